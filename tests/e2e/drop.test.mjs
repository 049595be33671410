// What a model's `drop` leaves out; fields told by the client's own names.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';
import { Upstream, completion, sendJson } from './support/upstream.mjs';

const user = (content) => ({ role: 'user', content });
const fn = { type: 'function', name: 'f', parameters: { type: 'object' } };
const chatFn = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } };

async function post(gateway, path, json, headers = {}) {
  return await request(gateway.port, { method: 'POST', path, json, headers });
}

const body = (upstream, at = -1) => JSON.parse(upstream.requests.at(at).body.toString());

async function rig(models) {
  const upstream = await Upstream.start((req, res) => sendJson(res, completion('m', 'hello')));
  const made = Object.fromEntries(Object.entries(models).map(([name, m]) => [name, { backend_type: 'openai_compatible', base_url: upstream.url, ...m }]));
  const gateway = await Gateway.start({ config: { models: made } });
  return { upstream, gateway, stop: async () => { await gateway.stop(); await upstream.stop(); } };
}

describe('drop', () => {
  it('leaves a provider\'s own tools out of a translated request, and says so', async () => {
    const { upstream, gateway, stop } = await rig({ m: { drop: ['web_search', 'logprobs'] }, without: {} });
    const ask = { input: 'Hi', store: false, tools: [{ type: 'web_search' }, fn], tool_choice: 'auto', top_logprobs: 2 };
    const res = await post(gateway, '/v1/responses', { model: 'm', ...ask });
    assert.equal(res.status, 200, res.text);
    assert.deepEqual(body(upstream).tools.map((t) => t.function.name), ['f']);
    assert.equal(body(upstream).logprobs, undefined);
    assert.match(res.headers['x-tollgate-fidelity'], /^dropped=.*web_search/);
    await gateway.log((l) => l.event === 'response_generated' && /web_search/.test(l.fidelity ?? ''));
    // Nothing of it used: nothing is said. Without the setting: refused, by name.
    const plain = await post(gateway, '/v1/responses', { model: 'm', input: 'Hi', store: false });
    assert.equal(plain.headers['x-tollgate-fidelity'], undefined);
    const refused = await post(gateway, '/v1/responses', { model: 'without', ...ask });
    assert.equal(refused.status, 400);
    assert.equal(refused.json.error.param, 'tools[].type');
    assert.match(refused.json.error.message, /web_search/);
    assert.equal(upstream.requests.length, 2);
    await stop();
  });

  it('strict mode wins over it, and so does a choice of what is left out', async () => {
    const { upstream, gateway, stop } = await rig({ m: { drop: ['web_search'] }, strict: { drop: ['web_search'], strict: true } });
    const ask = { input: 'Hi', store: false, tools: [{ type: 'web_search' }, fn] };
    for (const [model, headers] of [['m', { 'x-tollgate-strict': 'true' }], ['strict', {}]]) {
      const res = await post(gateway, '/v1/responses', { model, ...ask }, headers);
      assert.equal(res.status, 400);
      assert.match(res.json.error.message, /strict mode.*web_search/);
    }
    const chosen = await post(gateway, '/v1/responses', { model: 'm', ...ask, tool_choice: { type: 'web_search' } });
    assert.equal(chosen.status, 400);
    assert.match(chosen.json.error.message, /asks for the tool 'web_search'.*'drop'/);
    const messages = { max_tokens: 9, messages: [user('Hi')], tools: [{ type: 'web_search_20250305', name: 'web' }] };
    const named = await post(gateway, '/v1/messages', { model: 'm', ...messages, tool_choice: { type: 'tool', name: 'web' } });
    assert.equal(named.status, 400);
    assert.match(named.json.error.message, /'tool_choice:tool' asks for the tool 'web_search_20250305'/);
    assert.equal(upstream.requests.length, 0);
    const auto = await post(gateway, '/v1/messages', { model: 'm', ...messages, tool_choice: { type: 'auto' } });
    assert.equal(auto.status, 200, auto.text);
    assert.equal(body(upstream).tools, undefined);
    assert.equal(body(upstream).tool_choice, undefined);
    await stop();
  });

  it('a request of the provider\'s own format passes on as it is but for that', async () => {
    const { upstream, gateway, stop } = await rig({ m: { drop: ['user', 'prompt_cache_key', 'web_search', 'messages[].name'] } });
    const json = { model: 'm', messages: [user('Hi')], user: 'ann', prompt_cache_key: 'k', tools: [{ type: 'web_search' }, chatFn], own: { of: ['mine', 1.50] } };
    const res = await post(gateway, '/v1/chat/completions', json);
    assert.equal(res.status, 200, res.text);
    assert.equal(res.headers['x-tollgate-fidelity'], 'dropped=user,prompt_cache_key,web_search');
    const { user: gone, prompt_cache_key: too, ...kept } = json;
    assert.deepEqual(body(upstream), { ...kept, tools: [chatFn] });
    const strict = await post(gateway, '/v1/chat/completions', json, { 'x-tollgate-strict': '1' });
    assert.equal(strict.status, 400);
    assert.match(strict.json.error.message, /strict mode.*dropped=user/);
    // What is inside of messages makes the request anew.
    const named = await post(gateway, '/v1/chat/completions', { model: 'm', messages: [{ ...user('Hi'), name: 'ann' }], seed: 7 });
    assert.equal(named.status, 200, named.text);
    assert.deepEqual(body(upstream).messages, [user('Hi')]);
    assert.equal(body(upstream).seed, 7);
    assert.equal(named.headers['x-tollgate-fidelity'], 'dropped=messages[].name');
    const untouched = await post(gateway, '/v1/chat/completions', { model: 'm', messages: [user('Hi')], foo: 1 });
    assert.equal(untouched.headers['x-tollgate-fidelity'], undefined);
    assert.equal(body(upstream).foo, 1);
    await stop();
  });
});

describe('names of fields', () => {
  it('are those of the client\'s own format', async () => {
    const { upstream, gateway, stop } = await rig({ m: { provider: 'mistral' } });
    const told = async (path, json) => {
      const res = await post(gateway, path, json);
      assert.equal(res.status, 200, `${path}: ${res.text}`);
      return res.headers['x-tollgate-fidelity'];
    };
    assert.equal(await told('/v1beta/models/m:generateContent', { contents: [{ parts: [{ text: 'Hi' }] }],
      generationConfig: { topK: 3, mediaResolution: 'LOW' }, safetySettings: [] }),
    'dropped=generationConfig.topK,generationConfig.mediaResolution,safetySettings');
    assert.equal(await told('/v1/messages', { model: 'm', max_tokens: 2000, top_k: 3, thinking: { type: 'enabled', budget_tokens: 1024 }, messages: [user('Hi')] }),
      'dropped=top_k,thinking.budget_tokens');
    assert.equal(await told('/api/chat', { model: 'm', stream: false, options: { top_k: 3, min_p: 0.1 }, messages: [user('Hi')] }),
      'dropped=options.top_k,options.min_p');
    const strict = await post(gateway, '/v1beta/models/m:generateContent', { contents: [{ parts: [{ text: 'Hi' }] }], generationConfig: { topK: 3 } }, { 'x-tollgate-strict': 'true' });
    assert.equal(strict.status, 400);
    assert.match(strict.json.error.message, /generationConfig\.topK/);
    const refused = await post(gateway, '/v1beta/models/m:generateContent', { contents: [{ parts: [{ text: 'Hi' }] }], generationConfig: { responseLogprobs: true } });
    assert.equal(refused.status, 400);
    assert.match(refused.json.error.message, /'generationConfig\.responseLogprobs'/);
    // What an encoder refuses by itself is told in the client's words, too.
    const part = await post(gateway, '/v1/messages', { model: 'm', max_tokens: 9, messages: [user([{ type: 'document', source: { type: 'url', url: 'https://x.example/a.pdf' } }])] });
    assert.equal(part.status, 400);
    assert.match(part.json.error.message, /document\.source\.url/);
    const schema = await post(gateway, '/v1beta/models/tollgate-tiny:generateContent', { contents: [{ parts: [{ text: 'Hi' }] }],
      generationConfig: { responseMimeType: 'application/json', responseJsonSchema: { type: 'thing' } } });
    assert.equal(schema.status, 400, schema.text);
    assert.match(schema.json.error.message, /generationConfig\.responseJsonSchema\.type/);
    assert.equal(upstream.requests.length, 3);
    await stop();
  });
});
