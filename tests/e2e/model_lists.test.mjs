// The models, as each vendor's own client library asks for them.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';

const NAMES = ['claude', 'gpt', 'tollgate-tiny'];
let gateway;

describe('lists of models', () => {
  before(async () => {
    gateway = await Gateway.start({ config: { models: {
      gpt: { backend_type: 'mock', display_name: 'A GPT', aliases: ['g'], context_length: 4096, max_tokens: 512 },
      claude: { backend_type: 'mock' },
      'any-*': { backend_type: 'mock' },
    } } });
  });
  after(async () => { await gateway?.stop(); });

  const get = (path, headers) => request(gateway.port, { path, headers });
  const show = (body) => request(gateway.port, { method: 'POST', path: '/api/show', body, headers: { 'content-type': 'application/json' } });

  it('are read by Ollama\'s client', async () => {
    const ollama = new Ollama({ host: gateway.url });
    const { models } = await ollama.list();
    assert.deepEqual(models.map((m) => m.model).sort(), NAMES);
    for (const m of models) {
      assert.equal(m.name, m.model);
      assert.match(m.digest, /^[0-9a-f]{64}$/);
      assert.ok(!Number.isNaN(Date.parse(m.modified_at)));
    }
    assert.equal(new Set(models.map((m) => m.digest)).size, models.length);
    const one = await ollama.show({ model: 'g' });
    assert.deepEqual(one.capabilities, ['completion', 'tools']);
    assert.equal(one.model_info['general.architecture'], 'mock');
    assert.equal(one.model_info['mock.context_length'], 4096);
    assert.match((await ollama.version()).version, /^0\.\d+\.\d+$/);
    await assert.rejects(ollama.show({ model: 'nope' }), (e) => e.status_code === 404 && /nope/.test(e.message));
  });

  it('tell Ollama\'s client which are in memory', async () => {
    const ollama = new Ollama({ host: gateway.url });
    await ollama.chat({ model: 'tollgate-tiny', messages: [{ role: 'user', content: 'Hi' }], options: { num_predict: 1 } });
    const { models } = await ollama.ps();
    assert.deepEqual(models.map((m) => m.name), ['tollgate-tiny']);
    assert.ok(models[0].size > 0 && models[0].context_length > 0);
    assert.ok(Date.parse(models[0].expires_at) > Date.now());
    assert.equal(models[0].details.format, 'gguf');
  });

  it('are read by Google\'s client', async () => {
    for (const apiVersion of ['v1beta', 'v1']) {
      const ai = new GoogleGenAI({ apiKey: 'none', apiVersion, httpOptions: { baseUrl: gateway.url } });
      const names = [];
      for await (const m of await ai.models.list()) names.push(m.name);
      assert.deepEqual(names.sort(), NAMES.map((n) => `models/${n}`));
      const one = await ai.models.get({ model: 'gpt' });
      assert.equal(one.displayName, 'A GPT');
      assert.equal(one.inputTokenLimit, 4096);
      assert.equal(one.outputTokenLimit, 512);
      await assert.rejects(ai.models.get({ model: 'nope' }), (e) => e.status === 404 && /nope.*NOT_FOUND/s.test(e.message));
    }
  });

  it('are read by Anthropic\'s and OpenAI\'s clients', async () => {
    const anthropic = new Anthropic({ apiKey: 'none', baseURL: gateway.url, maxRetries: 0 });
    const ids = [];
    for await (const m of anthropic.models.list()) {
      ids.push(m.id);
      assert.equal(m.type, 'model');
      assert.ok(!Number.isNaN(Date.parse(m.created_at)));
    }
    assert.deepEqual(ids.sort(), ['any-*', ...NAMES]);
    assert.equal((await anthropic.models.retrieve('gpt')).display_name, 'A GPT');
    await assert.rejects(anthropic.models.retrieve('nope'), (e) => e instanceof Anthropic.NotFoundError
      && e.error.type === 'error' && e.error.error.type === 'not_found_error');
    const openai = new OpenAI({ apiKey: 'none', baseURL: `${gateway.url}/v1`, maxRetries: 0 });
    assert.deepEqual((await openai.models.list()).data.map((m) => m.id).sort(), ['any-*', ...NAMES]);
    await assert.rejects(openai.models.retrieve('nope'), (e) => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found');
  });

  it('fail in the words of who asks', async () => {
    for (const [body, status] of [['', 400], ['{', 400], ['[]', 400], ['{}', 400], ['{"model":7}', 400], ['{"name":"gpt"}', 200]]) {
      const res = await show(body);
      assert.equal(res.status, status, body);
      if (status !== 200) assert.equal(typeof res.json.error, 'string', body);
    }
    for (const [path, is] of [['/api/nope', (e) => typeof e.error === 'string'], ['/api/show', (e) => typeof e.error === 'string'],
      ['/v1beta/nope', (e) => e.error.status === 'NOT_FOUND'], ['/v1beta/models/nope', (e) => e.error.status === 'NOT_FOUND'],
      ['/v1/messages', (e) => e.type === 'error'], ['/v1/nope', (e) => e.error.type === 'invalid_request_error']]) {
      const res = await get(path);
      assert.ok(res.status === 404 || res.status === 405, path);
      assert.ok(is(res.json), `${path}: ${res.text}`);
    }
    const anthropic = await get('/v1/models/nope', { 'anthropic-version': '2023-06-01' });
    assert.equal(anthropic.json.type, 'error');
    assert.equal((await get('/v1beta/models/%zz')).status, 400);
    const verb = await request(gateway.port, { method: 'POST', path: '/v1beta/models/gpt:predict', json: {} });
    assert.equal(verb.status, 404);
    assert.equal(verb.json.error.status, 'NOT_FOUND');
  });

  it('are preceded by a look whether there is a server', async () => {
    for (const method of ['GET', 'HEAD']) {
      const res = await request(gateway.port, { method, path: '/' });
      assert.equal(res.status, 200);
      assert.equal(res.text, method === 'GET' ? 'Tollgate is running. Its API: /docs, /redoc, /openapi.json\n' : '');
    }
  });

  it('wait for a request that comes in pieces', async () => {
    const socket = net.connect(gateway.port, '127.0.0.1');
    socket.write('POST /api/show HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 15\r\n\r\n{"model"');
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    socket.write(':"gpt"}');
    let text = '';
    for await (const part of socket) text += part;
    assert.match(text, /^HTTP\/1\.1 200 /);
    assert.match(text, /"capabilities":\["completion","tools"\]/);
    const gone = net.connect(gateway.port, '127.0.0.1');
    gone.write('POST /api/show HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{');
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    gone.destroy();
    assert.equal((await get('/health')).status, 200);
  });
});
