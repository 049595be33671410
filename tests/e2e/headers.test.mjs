// Which headers go through: a client's to a provider of its own family, a provider's to the client.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';
import { Upstream, completion, sendJson } from './support/upstream.mjs';

const user = (content) => ({ role: 'user', content });
const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'c', content: [{ type: 'text', text: 'Hi' }],
  stop_reason: 'end_turn', stop_sequence: null, usage: { input_tokens: 1, output_tokens: 2 } };
const generated = { candidates: [{ content: { role: 'model', parts: [{ text: 'Hi' }] }, finishReason: 'STOP', index: 0 }],
  usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 2, totalTokenCount: 3 } };

const ours = ['host', 'accept', 'accept-encoding', 'content-length', 'content-type', 'user-agent', 'x-request-id'];
const secrets = { authorization: 'Bearer client-secret', 'x-api-key': 'client-secret', 'x-goog-api-key': 'client-secret', 'api-key': 'client-secret',
  cookie: 'client-secret', 'openai-organization': 'client-secret', 'openai-project': 'client-secret', 'x-goog-user-project': 'client-secret',
  'proxy-authorization': 'client-secret' };
const vendors = { 'anthropic-version': '2029-01-01', 'anthropic-beta': 'context-1m-2025-08-07,files-api-2025-04-14', 'openai-beta': 'responses=v1',
  'idempotency-key': 'k1', 'x-goog-api-client': 'genai/1', 'x-server-timeout': '20', traceparent: '00-aa-bb-01', tracestate: 'v=1' };
const sent = { ...secrets, ...vendors };

const returned = { 'x-request-id': 'req_theirs', 'request-id': 'req_theirs', 'openai-organization': 'org-secret', 'openai-project': 'org-secret',
  'anthropic-organization-id': 'org-secret', 'set-cookie': 'org-secret', 'openai-processing-ms': '12', 'openai-model': 'gpt-real', 'openai-version': '2020-10-01',
  'x-ratelimit-remaining-tokens': '99', 'x-ratelimit-reset-requests': '1s', 'anthropic-ratelimit-tokens-remaining': '77',
  'retry-after-ms': '1500', 'x-should-retry': 'false', 'cf-ray': 'org-secret' };
for (const kind of ['requests', 'tokens', 'input-tokens', 'output-tokens']) {
  for (const what of ['limit', 'remaining', 'reset']) returned[`anthropic-ratelimit-${kind}-${what}`] = '7';
}

describe('headers', () => {
  let openai, anthropic, gemini, gateway;
  before(async () => {
    openai = await Upstream.start((req, res, r) => {
      if (r.json.messages?.[0]?.content !== 'fail') return sendJson(res, completion('m', 'hello'), 200, returned);
      sendJson(res, { error: { message: 'slow down', type: 'requests', param: null, code: 'rate_limit_exceeded' } }, 429, { ...returned, 'retry-after': '2' });
    });
    anthropic = await Upstream.start((req, res) => sendJson(res, message, 200, returned));
    gemini = await Upstream.start((req, res) => sendJson(res, generated, 200, returned));
    const claude = { backend_type: 'anthropic', base_url: anthropic.url.replace('/v1', ''), api_key: 'sk-up' };
    gateway = await Gateway.start({ config: { retry: { max_attempts: 1 }, models: {
      gpt: { backend_type: 'openai_compatible', base_url: openai.url, api_key: 'sk-up', headers: { 'OpenAI-Organization': 'org-configured' } },
      claude, pinned: { ...claude, api_version: '2023-01-01', headers: { 'anthropic-beta': 'configured-2025-01-01' } },
      gem: { backend_type: 'gemini', base_url: gemini.url.replace('/v1', ''), api_key: 'sk-up' },
    } } });
  });
  after(async () => {
    await gateway.stop();
    for (const upstream of [openai, anthropic, gemini]) await upstream.stop();
  });

  const asks = {
    openai: (model, text = 'Hi') => ['/v1/chat/completions', { model, messages: [user(text)] }],
    responses: (model) => ['/v1/responses', { model, input: 'Hi' }],
    anthropic: (model) => ['/v1/messages', { model, max_tokens: 5, messages: [user('Hi')] }],
    gemini: (model) => [`/v1beta/models/${model}:generateContent`, { contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] }],
    generate: (model) => ['/v1/generate', { model, prompt: 'Hi' }],
  };
  async function ask(dialect, model, text) {
    const [path, json] = asks[dialect](model, text);
    const res = await request(gateway.port, { method: 'POST', path, json, headers: sent });
    const upstream = { gpt: openai, claude: anthropic, pinned: anthropic, gem: gemini }[model];
    return { res, up: upstream.requests.at(-1) };
  }
  const others = (up) => Object.fromEntries(Object.entries(up.headers).filter(([name]) => !ours.includes(name)));
  const tracing = { traceparent: vendors.traceparent, tracestate: vendors.tracestate };

  it('of a client go on to a provider of its family', async () => {
    assert.deepEqual(others((await ask('anthropic', 'claude')).up), { ...tracing, 'x-api-key': 'sk-up', 'anthropic-version': '2029-01-01',
      'anthropic-beta': vendors['anthropic-beta'], 'idempotency-key': 'k1' });
    const openaiOnes = { ...tracing, authorization: 'Bearer sk-up', 'openai-organization': 'org-configured', 'openai-beta': 'responses=v1', 'idempotency-key': 'k1' };
    assert.deepEqual(others((await ask('openai', 'gpt')).up), openaiOnes);
    assert.deepEqual(others((await ask('responses', 'gpt')).up), openaiOnes);
    assert.deepEqual(others((await ask('gemini', 'gem')).up), { ...tracing, 'x-goog-api-key': 'sk-up', 'x-goog-api-client': 'genai/1', 'x-server-timeout': '20' });
  });

  it('of a client stay here when the provider is of another family', async () => {
    for (const dialect of ['openai', 'responses', 'gemini', 'generate']) {
      assert.deepEqual(others((await ask(dialect, 'claude')).up), { ...tracing, 'x-api-key': 'sk-up', 'anthropic-version': '2023-06-01' }, dialect);
    }
    for (const dialect of ['anthropic', 'gemini', 'generate']) {
      assert.deepEqual(others((await ask(dialect, 'gpt')).up), { ...tracing, authorization: 'Bearer sk-up', 'openai-organization': 'org-configured' }, dialect);
    }
    for (const dialect of ['openai', 'anthropic', 'generate']) {
      assert.deepEqual(others((await ask(dialect, 'gem')).up), { ...tracing, 'x-goog-api-key': 'sk-up' }, dialect);
    }
  });

  it('that are configured stand before the client\'s', async () => {
    const { up } = await ask('anthropic', 'pinned');
    assert.equal(up.headers['anthropic-version'], '2023-01-01');
    assert.equal(up.headers['anthropic-beta'], `configured-2025-01-01, ${vendors['anthropic-beta']}`);
    assert.equal(up.rawHeaders.filter((h) => /^anthropic-(beta|version)$/i.test(h)).length, 2);
  });

  it('betas that another family can\'t have are named, or refused', async () => {
    const { res } = await ask('anthropic', 'gpt');
    assert.equal(res.headers['x-tollgate-fidelity'], 'dropped=anthropic-beta.context-1m-2025-08-07');
    const [path, json] = asks.anthropic('gpt');
    const headers = { 'anthropic-beta': vendors['anthropic-beta'], 'x-tollgate-strict': 'true' };
    const refused = await request(gateway.port, { method: 'POST', path, json, headers });
    assert.equal(refused.status, 400);
    assert.match(refused.text, /anthropic-beta\.context-1m-2025-08-07/);
    const harmless = await request(gateway.port, { method: 'POST', path, json, headers: { ...headers, 'anthropic-beta': 'claude-code-20250219' } });
    assert.equal(harmless.status, 200, harmless.text);
    assert.equal((await ask('anthropic', 'claude')).res.headers['x-tollgate-fidelity'], undefined);
  });

  it('of a provider come back where clients read them, and none that names an account', async () => {
    for (const [dialect, model] of [['openai', 'gpt'], ['anthropic', 'claude'], ['gemini', 'gem'], ['openai', 'claude'], ['anthropic', 'gpt']]) {
      const { res } = await ask(dialect, model);
      assert.equal(res.status, 200, res.text);
      assert.doesNotMatch(JSON.stringify(res.headers), /org-secret/);
      assert.match(res.headers['x-request-id'], /^req_(?!theirs)/);
      assert.equal(res.headers['x-tollgate-provider-request-id'], 'req_theirs');
      for (const name of ['openai-processing-ms', 'openai-model', 'openai-version', 'retry-after-ms', 'x-should-retry',
        ...Object.keys(returned).filter((n) => /ratelimit/.test(n))]) assert.equal(res.headers[name], returned[name], name);
    }
  });

  it('of a provider come back with its errors', async () => {
    const { res } = await ask('openai', 'gpt', 'fail');
    assert.equal(res.status, 429);
    assert.equal(res.headers['retry-after'], '2');
    assert.equal(res.headers['retry-after-ms'], '1500');
    assert.equal(res.headers['x-tollgate-provider-request-id'], 'req_theirs');
    assert.doesNotMatch(JSON.stringify(res.headers), /org-secret/);
    const line = await gateway.log((l) => l.event === 'request_failed' && l.provider_request_id === 'req_theirs');
    assert.equal(line.request_id, res.headers['x-request-id']);
  });
});
