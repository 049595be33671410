// What a translation loses is said, or refused; opaque state goes back to who made it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';
import { Upstream, completion, sendJson } from './support/upstream.mjs';

const user = (content) => ({ role: 'user', content });
const cached = { max_tokens: 50, messages: [user([{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }])] };

async function post(gateway, path, json, headers = {}) {
  return await request(gateway.port, { method: 'POST', path, json, headers });
}

/** An Anthropic-like provider that thinks with a signature of its own. */
async function thinker(name, refuses) {
  return await Upstream.start((req, res, record) => {
    const thinks = record.body.toString().includes('"signature"');
    if (thinks && refuses) {
      sendJson(res, { type: 'error', error: { type: 'invalid_request_error',
        message: 'messages.1.content.0: Invalid `signature` in `thinking` block' } }, 400);
      return;
    }
    sendJson(res, { id: `msg_${name}`, type: 'message', role: 'assistant', model: name,
      content: [{ type: 'thinking', thinking: 'hm', signature: `sig-of-${name}==` }, { type: 'text', text: `from ${name}` }],
      stop_reason: 'end_turn', stop_sequence: null, usage: { input_tokens: 1, output_tokens: 2 } });
  });
}

const anthropic = (upstream, extra = {}) => ({ backend_type: 'anthropic', base_url: upstream.url.replace('/v1', ''), api_key: 'k', ...extra });

describe('fidelity', () => {
  it('names what was left out, in the header and the log', async () => {
    const upstream = await Upstream.start((req, res) => sendJson(res, completion('m', 'hello')));
    const gateway = await Gateway.start({ config: { models: {
      m: { backend_type: 'openai_compatible', base_url: upstream.url },
      strict: { backend_type: 'openai_compatible', base_url: upstream.url, strict: true },
    } } });
    const res = await post(gateway, '/v1/messages', { model: 'm', ...cached });
    assert.equal(res.status, 200);
    assert.equal(res.headers['x-tollgate-fidelity'], 'dropped=cache_control');
    await gateway.log((l) => l.event === 'response_generated' && l.fidelity === 'dropped=cache_control');
    const plain = await post(gateway, '/v1/messages', { model: 'm', max_tokens: 5, messages: [user('Hi')] });
    assert.equal(plain.headers['x-tollgate-fidelity'], undefined);
    for (const [model, headers] of [['m', { 'x-tollgate-strict': 'true' }], ['strict', {}]]) {
      const refused = await post(gateway, '/v1/messages', { model, ...cached }, headers);
      assert.equal(refused.status, 400);
      assert.match(refused.json.error.message, /strict mode.*cache_control/);
    }
    assert.equal(upstream.requests.length, 2);
    await gateway.stop();
    await upstream.stop();
  });

  it('what tools and documents lose is named by its path, and each field has one fate', async () => {
    const upstream = await Upstream.start((req, res) => {
      if (req.url.endsWith('/converse')) sendJson(res, { output: { message: { role: 'assistant', content: [{ text: 'hello' }] } },
        stopReason: 'end_turn', usage: { inputTokens: 3, outputTokens: 4 } });
      else if (req.url.endsWith('/messages')) sendJson(res, { id: 'msg_1', type: 'message', role: 'assistant', model: 'a',
        content: [{ type: 'text', text: 'hello' }], stop_reason: 'end_turn', usage: { input_tokens: 1, output_tokens: 2 } });
      else sendJson(res, completion('m', 'hello'));
    });
    const bedrock = { backend_type: 'bedrock', base_url: upstream.url.replace('/v1', ''), region: 'eu-west-1', api_key: 'k' };
    const gateway = await Gateway.start({ config: { models: {
      chat: { backend_type: 'openai_compatible', base_url: upstream.url },
      router: { backend_type: 'openai_compatible', provider: 'openrouter', base_url: upstream.url },
      claude: anthropic(upstream),
      bedrock: { ...bedrock, model_name: 'anthropic.claude-x-v1:0' },
      nova: { ...bedrock, model_name: 'amazon.nova-x-v1:0' },
      bare: { ...bedrock, model_name: 'anthropic.claude-x-v1:0', drop: ['cache_control'] },
    } } });
    const hint = { type: 'ephemeral' };
    const tool = { name: 'f', input_schema: { type: 'object', properties: {} } };
    const ask = { max_tokens: 50, messages: [user('Hi')] };
    const own = (more) => ({ ...ask, tools: [{ ...tool, ...more }] });
    const document = (more) => ({ ...ask, messages: [user([{ type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' }, ...more }])] });
    const openai = (more, inside) => ({ messages: [user('Hi')], tools: [{ type: 'function', function: { name: 'f', ...inside }, ...more }] });
    const [messages, chats] = ['/v1/messages', '/v1/chat/completions'];
    const cases = [
      [messages, 'chat', own({}), undefined],
      [messages, 'chat', own({ cache_control: hint }), 'dropped=tools[].cache_control'],
      [messages, 'router', own({ cache_control: hint }), undefined],
      [messages, 'bedrock', own({ cache_control: hint }), undefined],
      [messages, 'bare', own({ cache_control: hint }), 'dropped=cache_control'],
      [messages, 'chat', own({ defer_loading: true, allowed_callers: ['direct'] }), 'dropped=tools[].defer_loading,tools[].allowed_callers'],
      [messages, 'bedrock', own({ input_examples: [{}], cache_control: null }), 'dropped=tools[].input_examples'],
      [messages, 'claude', own({ defer_loading: true, cache_control: hint }), undefined],
      [messages, 'chat', document({ title: 'a' }), undefined],
      [messages, 'chat', document({ citations: { enabled: true }, context: 'c' }), 'dropped=document.citations,document.context'],
      [messages, 'bedrock', document({ citations: { enabled: false }, context: 'c' }), 'dropped=document.context'],
      [messages, 'claude', document({ citations: { enabled: true }, context: 'c' }), undefined],
      [chats, 'claude', openai({ cache_control: hint }), undefined],
      [chats, 'claude', openai({ x: 1 }, { y: 2 }), 'dropped=tools[].x,tools[].function.y'],
      [chats, 'chat', openai({ x: 1 }, { y: 2 }), undefined],
      ['/v1/responses', 'claude', { input: 'Hi', tools: [{ type: 'function', name: 'f', parameters: {}, defer_loading: true }] }, 'dropped=tools[].defer_loading'],
      [messages, 'bedrock', { ...ask, output_config: { effort: 'high' } }, 'emulated=output_config.effort'],
      [messages, 'nova', { ...ask, output_config: { effort: 'high' } }, 'dropped=output_config.effort'],
      [messages, 'nova', { ...ask, output_config: { effort: 'high' }, thinking: { type: 'adaptive' } }, 'dropped=output_config.effort,thinking'],
    ];
    for (const [path, model, body, fidelity] of cases) {
      const res = await post(gateway, path, { model, ...body });
      assert.equal(res.status, 200, res.text);
      assert.equal(res.headers['x-tollgate-fidelity'], fidelity, `${model} ${JSON.stringify(body)}`);
    }
    const sent = upstream.requests.map((r) => r.json.tools ?? r.json.toolConfig?.tools);
    assert.deepEqual(sent[2][0].cache_control, hint);
    assert.deepEqual(sent[3].map((t) => Object.keys(t)[0]), ['toolSpec', 'cachePoint']);
    assert.deepEqual(sent[3][1].cachePoint, { type: 'default' });
    assert.equal(sent[4].length, 1);
    assert.deepEqual(sent[7][0].cache_control, hint);
    assert.deepEqual(sent[12][0].cache_control, hint);
    const refused = await post(gateway, messages, { model: 'chat', ...own({ defer_loading: true }) }, { 'x-tollgate-strict': 'true' });
    assert.equal(refused.status, 400);
    assert.match(refused.json.error.message, /strict mode.*tools\[\]\.defer_loading/);
    assert.equal(upstream.requests.length, cases.length);
    await gateway.stop();
    await upstream.stop();
  });

  it('a model that can\'t take a request is passed over for a fallback that can', async () => {
    const upstream = await Upstream.start((req, res) => sendJson(res, completion('m', 'hello')));
    const gateway = await Gateway.start({ config: { models: {
      m: { backend_type: 'openai_compatible', base_url: upstream.url, fallbacks: ['able'] },
      alone: { backend_type: 'openai_compatible', base_url: upstream.url },
      able: { backend_type: 'mock' },
    } } });
    const body = { max_tokens: 5, messages: [user('Hi')], tools: [{ type: 'web_search_20250305', name: 'web_search' }] };
    const res = await post(gateway, '/v1/messages', { model: 'm', ...body });
    assert.equal(res.status, 200);
    assert.equal(res.headers['x-tollgate-target'], 'able');
    const refused = await post(gateway, '/v1/messages', { model: 'alone', ...body });
    assert.equal(refused.status, 400);
    assert.match(refused.json.error.message, /web_search/);
    assert.equal(upstream.requests.length, 0);
    await gateway.stop();
    await upstream.stop();
  });

  it('tokens are counted by estimate where nobody counts, and said to be', async () => {
    const upstream = await Upstream.start((req, res) => sendJson(res, completion('m', 'hello')));
    const gateway = await Gateway.start({ config: { models: { m: { backend_type: 'openai_compatible', base_url: upstream.url } } } });
    const body = { model: 'm', messages: [user('one two three four five six seven eight')] };
    const res = await post(gateway, '/v1/messages/count_tokens', body);
    assert.equal(res.status, 200);
    assert.ok(res.json.input_tokens > 8 && res.json.input_tokens < 30, res.text);
    assert.equal(res.headers['x-tollgate-fidelity'], 'emulated=count_tokens');
    const refused = await post(gateway, '/v1/messages/count_tokens', body, { 'x-tollgate-strict': '1' });
    assert.equal(refused.status, 400);
    assert.equal(upstream.requests.length, 0);
    await gateway.stop();
    await upstream.stop();
  });
});

describe('opaque state', () => {
  it('goes back to the target that made it', async () => {
    const a = await thinker('a');
    const b = await thinker('b');
    let broken = true;
    const flaky = await Upstream.start((req, res) => {
      if (broken) sendJson(res, { type: 'error', error: { type: 'api_error', message: 'down' } }, 500);
      else sendJson(res, { id: 'msg_a', type: 'message', role: 'assistant', model: 'a', content: [{ type: 'text', text: 'from a' }],
        stop_reason: 'end_turn', usage: { input_tokens: 1, output_tokens: 2 } });
    });
    const gateway = await Gateway.start({ config: { retry: { max_attempts: 2, base_delay: '1ms' },
      models: { first: anthropic(flaky, { fallbacks: ['second'] }), second: anthropic(b) } } });
    // An OpenAI client: the request is translated, the answer's signature is its to give back.
    const chat = { model: 'first', messages: [user('Hi')] };
    const one = await post(gateway, '/v1/chat/completions', chat);
    assert.equal(one.headers['x-tollgate-target'], 'second');
    broken = false;
    const two = await post(gateway, '/v1/chat/completions', { model: 'first', messages: [user('Hi'), one.json.choices[0].message, user('Go on')] });
    assert.equal(two.headers['x-tollgate-target'], 'second');
    assert.match(b.requests[1].body.toString(), /"signature":"sig-of-b=="/);
    // A new conversation starts where the route says.
    const three = await post(gateway, '/v1/chat/completions', chat);
    assert.equal(three.headers['x-tollgate-target'], 'first');
    await gateway.stop();
    for (const upstream of [a, b, flaky]) await upstream.stop();
  });

  it('a provider that refuses it gets the conversation once more without', async () => {
    const upstream = await thinker('x', true);
    const gateway = await Gateway.start({ config: { models: { m: anthropic(upstream) } } });
    const messages = [user('Hi'), { role: 'assistant', content: [{ type: 'thinking', thinking: 'old', signature: 'of-another-account==' },
      { type: 'text', text: 'Hello' }] }, user('Go on')];
    const res = await post(gateway, '/v1/messages', { model: 'm', max_tokens: 100, messages });
    assert.equal(res.status, 200, res.text);
    assert.match(res.text, /from x/);
    assert.equal(upstream.requests.length, 2);
    assert.match(upstream.requests[0].body.toString(), /of-another-account==/);
    assert.doesNotMatch(upstream.requests[1].body.toString(), /of-another-account|"thinking":"old"/);
    assert.match(upstream.requests[1].body.toString(), /"text":"Hello"/);
    assert.match(res.headers['x-tollgate-fidelity'], /thinking\.signature/);
    // In strict mode the provider's own words come back.
    const refused = await post(gateway, '/v1/messages', { model: 'm', max_tokens: 100, messages }, { 'x-tollgate-strict': 'true' });
    assert.equal(refused.status, 400);
    assert.match(refused.text, /Invalid `signature`/);
    await gateway.stop();
    await upstream.stop();
  });
});
