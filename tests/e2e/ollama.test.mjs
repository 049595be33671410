// What is Ollama's alone: models that are loaded and unloaded, pictures in any wrapping.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Ollama } from 'ollama';
import { request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';
import { Upstream, completion, sendJson } from './support/upstream.mjs';

describe('Ollama', () => {
  let gateway, other, own;
  before(async () => {
    other = await Upstream.start((req, res) => sendJson(res, completion('m', 'hello')));
    own = await Upstream.start((req, res, record) => sendJson(res, { model: record.json.model, created_at: '2026-01-01T00:00:00Z',
      ...(/generate/.test(req.url) ? { response: '' } : { message: { role: 'assistant', content: '' } }), done: true, done_reason: 'told' }));
    gateway = await Gateway.start({ config: { models: {
      other: { backend_type: 'openai_compatible', base_url: other.url },
      own: { backend_type: 'ollama', base_url: own.url.replace('/v1', '') },
    } } });
  });
  after(async () => {
    await gateway?.stop();
    for (const upstream of [other, own]) await upstream?.stop();
  });
  const post = (path, json) => request(gateway.port, { method: 'POST', path, json });

  it('a request without a message loads or unloads, and asks nobody who can\'t', async () => {
    const cases = [['/api/chat', { messages: [] }, 'load'], ['/api/chat', { messages: [], keep_alive: 0 }, 'unload'],
      ['/api/chat', { messages: [], keep_alive: '10m', stream: false }, 'load'], ['/api/generate', {}, 'load'],
      ['/api/generate', { prompt: '', keep_alive: '0s' }, 'unload'], ['/api/generate', { keep_alive: -1, stream: true }, 'load']];
    for (const [path, body, reason] of cases) {
      const res = await post(path, { model: 'other', ...body });
      assert.equal(res.status, 200, res.text);
      assert.match(res.headers['content-type'], /^application\/json/);
      assert.equal(res.json.done, true);
      assert.equal(res.json.done_reason, reason, JSON.stringify(body));
      assert.equal(path === '/api/chat' ? res.json.message.content : res.json.response, '');
      const passed = await post(path, { model: 'own', ...body });
      assert.equal(passed.json.done_reason, 'told');
    }
    assert.equal(other.requests.length, 0);
    assert.deepEqual(own.requests.map((r) => r.path), cases.map(([path]) => path));
    const missing = await post('/api/chat', { model: 'none', messages: [] });
    assert.equal(missing.status, 404);
    assert.match(missing.json.error, /none/);
  });

  it('its own client loads a model with a stream', async () => {
    const ollama = new Ollama({ host: gateway.url });
    const lines = [];
    for await (const line of await ollama.generate({ model: 'other', prompt: '', stream: true })) lines.push(line);
    assert.deepEqual(lines.map((l) => [l.response, l.done, l.done_reason]), [['', true, 'load']]);
  });

  it('takes what curl -d sends, but not from a web page', async () => {
    const body = JSON.stringify({ model: 'other', messages: [{ role: 'user', content: 'q' }], stream: false });
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    const send = (path, text, headers) => request(gateway.port, { method: 'POST', path, body: text, headers });
    assert.equal((await send('/api/chat', body, type)).status, 200);
    assert.equal((await send('/api/generate', JSON.stringify({ model: 'other', prompt: 'q', stream: false }), type)).status, 200);
    assert.equal((await send('/api/chat', '{"model":"other","message":"q"}', type)).status, 200);
    assert.equal((await send('/api/chat', body, { ...type, origin: 'https://example.com' })).status, 415);
    assert.equal((await send('/api/chat', body, { 'content-type': 'text/plain' })).status, 415);
    assert.equal((await send('/v1/chat/completions', body, type)).status, 415);
  });

  it('options that others don\'t have are named', async () => {
    const body = { messages: [{ role: 'user', content: 'q' }], stream: false, options: { num_ctx: 8192, seed: 1, mirostat: 2, num_predict: -1 } };
    const res = await post('/api/chat', { model: 'other', ...body });
    assert.equal(res.status, 200, res.text);
    assert.match(res.headers['x-tollgate-fidelity'], /dropped=\S*num_ctx\S*/);
    assert.match(res.headers['x-tollgate-fidelity'], /mirostat/);
    assert.doesNotMatch(res.headers['x-tollgate-fidelity'], /seed|num_predict/);
    const generated = await post('/api/generate', { model: 'other', prompt: 'q', stream: false, options: { num_ctx: 1 }, keep_alive: 5 });
    assert.match(generated.headers['x-tollgate-fidelity'], /num_ctx/);
    assert.match(generated.headers['x-tollgate-fidelity'], /keep_alive/);
    const strict = await request(gateway.port, { method: 'POST', path: '/api/chat', json: { model: 'other', ...body }, headers: { 'x-tollgate-strict': '1' } });
    assert.equal(strict.status, 400);
    assert.match(strict.json.error, /num_ctx/);
    const same = await post('/api/chat', { model: 'own', ...body });
    assert.equal(same.headers['x-tollgate-fidelity'], undefined);
    assert.deepEqual(own.requests.at(-1).json.options, body.options);
  });

  it('pictures come as base64 or as a data URL', async () => {
    const png = 'iVBORw0KGgoAAA==';
    for (const image of [png, `data:image/png;base64,${png}`]) {
      const from = other.requests.length;
      const res = await post('/api/chat', { model: 'other', messages: [{ role: 'user', content: 'q', images: [image] }], stream: false });
      assert.equal(res.status, 200, res.text);
      assert.equal(other.requests[from].json.messages[0].content[1].image_url.url, `data:image/png;base64,${png}`);
    }
    const bad = await post('/api/chat', { model: 'other', messages: [{ role: 'user', content: 'q', images: ['data:image/png;base64,'] }] });
    assert.equal(bad.status, 400);
    const stop = await post('/api/chat', { model: 'other', messages: [{ role: 'user', content: 'q' }], options: { stop: 7 } });
    assert.equal(stop.status, 400);
    assert.match(stop.json.error, /options\.stop/);
  });
});
