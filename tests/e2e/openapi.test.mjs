// The gateway's description of itself: valid OpenAPI, and true of what it answers.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv from 'ajv/dist/2020.js';
import { request } from './support/http.mjs';
import { Gateway, Mock, temporaryFolder } from './support/process.mjs';

const TALK = [{ role: 'user', content: 'Say something.' }];
const CONTENTS = { contents: [{ role: 'user', parts: [{ text: 'Say something.' }] }] };
const TOOL = { type: 'function', function: { name: 'look', parameters: { type: 'object' } } };

const streams = {
  '/v1/chat/completions': { messages: TALK, stream: true, stream_options: { include_usage: true } },
  '/v1/completions': { prompt: 'a', stream: true },
  '/v1/responses': { input: 'a', stream: true },
  '/v1/messages': { max_tokens: 9, messages: TALK, stream: true },
  '/v1/generate': { prompt: 'a', stream: true },
  '/v1/llm/chat': { models: ['said', 'remote'], aggregate: 'all', messages: TALK, stream: true },
  '/api/chat': { messages: TALK },
  '/api/generate': { prompt: 'a' },
};
// One each, so that no breaker opens.
const brokenFor = (at) => `broken${at.replaceAll('/', '-')}`;

describe('/openapi.json', () => {
  let gateway;
  let mock;
  let document;
  let ajv;
  const answered = new Set(); // operations that gave a good answer
  before(async () => {
    mock = await Mock.start({ script: 'mock:text=The capital of France is Paris.' });
    const folder = temporaryFolder();
    const script = path.join(folder, 'steps.json');
    writeFileSync(script, JSON.stringify({ steps: [{ reasoning: 'Hm.', text: 'I call.',
      calls: [[{ tool: 'look', arguments: { at: 'x' } }, { tool: 'look', arguments: {} }]] }] }));
    gateway = await Gateway.start({
      folder,
      config: { default_model: 'said', models: {
        said: { backend_type: 'mock', aliases: ['tunedModels/said'], mock: { text: 'The capital of France is Paris.' } },
        calls: { backend_type: 'mock', mock: { script } },
        remote: { backend_type: 'openai_compatible', base_url: mock.url, api_key: 'k' },
        ...Object.fromEntries(['down', 'down2', 'down3'].map((name) => [name,
          { backend_type: 'openai_compatible', base_url: 'http://127.0.0.1:9/v1', api_key: 'k' }])),
        ...Object.fromEntries(Object.keys(streams).map((p) => [brokenFor(p), { backend_type: 'mock', mock: { fault: 'reset', fault_after: 1 } }])),
        'tollgate-tiny': { backend_type: 'local', model_name: 'builtin' },
      } },
    });
    const res = await request(gateway.port, { path: '/openapi.json' });
    assert.equal(res.status, 200);
    assert.equal(res.headers['content-type'], 'application/json');
    document = res.json;
    ajv = new Ajv({ strict: false, allErrors: true });
    ajv.addSchema({ $id: 'tollgate:api', ...document });
  });
  after(async () => {
    await gateway?.stop();
    await mock?.stop();
  });

  /** The template and the operation that a request is of. */
  function find(method, path) {
    const plain = path.split('?')[0];
    const fits = Object.keys(document.paths).filter((template) => document.paths[template][method] &&
      new RegExp(`^${template.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}$`).test(plain));
    // The most literal one: {id} fits what {model}:countTokens does.
    const [template] = fits.sort((a, b) => b.replace(/\{\w+\}/g, '').length - a.replace(/\{\w+\}/g, '').length);
    assert.ok(template, `${method} ${path} is not described`);
    return { template, operation: document.paths[template][method] };
  }

  function assertFits(at, value, what) {
    const pointer = at.map((p) => encodeURIComponent(p.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
    const validate = ajv.compile({ $ref: `tollgate:api#/${pointer}` });
    assert.ok(validate(value), `${what}: ${ajv.errorsText(validate.errors).slice(0, 1000)}\n${JSON.stringify(value).slice(0, 1500)}`);
  }

  /** The values that a body of that type holds. */
  function valuesOf(type, text) {
    if (type === 'text/event-stream') {
      const data = text.split('\n').filter((l) => l.startsWith('data: ')).map((l) => l.slice(6));
      assert.ok(data.length);
      return data.filter((d) => d !== '[DONE]').map((d) => JSON.parse(d));
    }
    if (type === 'application/x-ndjson') return text.trim().split('\n').map((l) => JSON.parse(l));
    return [type === 'application/json' ? JSON.parse(text) : text];
  }

  async function check(method, path, { json, status = 200, headers } = {}) {
    const what = `${method} ${path}`;
    const { template, operation } = find(method, path);
    const at = ['paths', template, method];
    if (json && status < 300) assertFits([...at, 'requestBody', 'content', 'application/json', 'schema'], json, `${what}: request`);
    const res = await request(gateway.port, { method: method.toUpperCase(), path, json, headers });
    assert.equal(res.status, status, `${what}: ${res.text.slice(0, 600)}`);
    const key = String(status) in operation.responses ? String(status) : 'default';
    if (status < 300) assert.notEqual(key, 'default', what);
    const described = operation.responses[key];
    const type = res.headers['content-type'].split(';')[0];
    const content = type in described.content ? type : '*/*';
    assert.ok(content in described.content, `${what}: an answer of type ${type}`);
    for (const value of valuesOf(type, res.text)) assertFits([...at, 'responses', key, 'content', content, 'schema'], value, what);
    assert.ok(res.headers['x-request-id'], what);
    for (const name of Object.keys(res.headers).filter((n) => n.startsWith('x-tollgate-'))) {
      assert.ok(name in described.headers, `${what}: ${name} is not described`);
    }
    if (status < 300) answered.add(`${method} ${template}`);
    return res;
  }

  it('is valid OpenAPI 3.1', async () => {
    const result = await new Validator().validate(structuredClone(document));
    assert.ok(result.valid, JSON.stringify(result.errors, null, 1));
    assert.equal(document.openapi, '3.1.0');
  });

  it('has schemas that compile', () => {
    for (const name of Object.keys(document.components.schemas)) ajv.compile({ $ref: `tollgate:api#/components/schemas/${name}` });
  });

  it('names each operation once', () => {
    const ids = Object.values(document.paths).flatMap((p) => Object.values(p)).map((o) => o.operationId);
    assert.ok(ids.length > 45);
    assert.equal(new Set(ids).size, ids.length);
    const tags = new Set(Object.values(document.paths).flatMap((p) => Object.values(p)).map((o) => o.tags.join()));
    assert.deepEqual([...tags].sort(), ['Anthropic', 'Gemini', 'Ollama', 'OpenAI', 'Operation', 'Rerank', 'Tollgate']);
  });

  it('has no operation that is not served', async () => {
    for (const [template, item] of Object.entries(document.paths)) {
      for (const method of Object.keys(item)) {
        const path = template.replace('{model}', 'said').replace('{id}', 'none');
        const res = await request(gateway.port, { method: method.toUpperCase(), path, ...(method === 'post' ? { json: {} } : {}) });
        if (res.status === 404) assert.doesNotMatch(res.text, /no such path/, `${method} ${template}`);
        if (template !== '/v1/responses') assert.notEqual(res.status, 405, `${method} ${template}`);
      }
    }
  });

  const single = {
    '/v1/chat/completions': [{ messages: TALK }, { messages: TALK, n: 2, logprobs: true, top_logprobs: 2 },
      { model: 'calls', messages: TALK, tools: [TOOL] }, { model: 'remote', messages: TALK }],
    '/v1/completions': [{ prompt: 'Once' }],
    '/v1/embeddings': [{ input: 'a' }, { input: ['a', 'b'], encoding_format: 'base64' }, { model: 'remote', input: 'a' }],
    '/v1/moderations': [{ input: 'a' }],
    '/v1/rerank': [{ query: 'a', documents: ['a', { text: 'b' }], return_documents: true }],
    '/v2/rerank': [{ query: 'a', documents: ['a'] }],
    '/v1/responses': [{ input: 'a' }, { model: 'calls', input: TALK, tools: [{ type: 'function', name: 'look', parameters: {} }] }],
    '/v1/responses/input_tokens': [{ input: 'a' }],
    '/v1/messages': [{ max_tokens: 9, messages: TALK },
      { model: 'calls', max_tokens: 9, messages: TALK, tools: [{ name: 'look', input_schema: { type: 'object' } }] }],
    '/v1/messages/count_tokens': [{ messages: TALK }],
    '/v1/generate': [{ prompt: 'a' }, { template: '{{x}}', variables: { x: 1 } }],
    '/v1/llm/chat': [{ models: ['said', 'none'], messages: TALK }, { models: ['said', 'none'], messages: TALK, aggregate: 'all' },
      { models: ['said', 'remote'], messages: TALK, aggregate: 'merge', judge: 'said' }],
    '/api/chat': [{ message: 'a' }, { messages: TALK, stream: false }],
    '/api/generate': [{ prompt: 'a', stream: false }],
    '/api/embed': [{ input: ['a', 'b'] }],
    '/api/embeddings': [{ prompt: 'a' }],
  };
  for (const [path, bodies] of Object.entries(single)) {
    it(`POST ${path}`, async () => {
      for (const json of bodies) await check('post', path, { json });
    });
  }

  for (const [path, json] of Object.entries(streams)) {
    it(`POST ${path}, streamed`, async () => {
      const res = await check('post', path, { json });
      assert.match(res.headers['content-type'], /^(text\/event-stream|application\/x-ndjson)/);
      const models = json.models ? { models: [brokenFor(path)] } : { model: brokenFor(path) };
      await check('post', path, { json: { ...json, ...models } }); // ends in an error event
    });
  }

  it('Gemini', async () => {
    for (const version of ['v1beta', 'v1']) {
      for (const kind of ['models', 'tunedModels']) {
        const model = `/${version}/${kind}/said`;
        await check('post', `${model}:generateContent`, { json: CONTENTS });
        await check('post', `${model}:streamGenerateContent`, { json: CONTENTS });
        await check('post', `${model}:streamGenerateContent?alt=sse`, { json: CONTENTS });
      }
      const model = `/${version}/models/said`;
      await check('post', `${model}:countTokens`, { json: CONTENTS });
      await check('post', `${model}:embedContent`, { json: { content: CONTENTS.contents[0] } });
      await check('post', `${model}:batchEmbedContents`, { json: { requests: [{ model: 'models/said', content: CONTENTS.contents[0] }] } });
    }
  });

  it('kept responses', async () => {
    const { json: { id } } = await check('post', '/v1/responses', { json: { input: 'a' } });
    await check('get', `/v1/responses/${id}`);
    await check('get', `/v1/responses/${id}/input_items?limit=1&order=asc`);
    await check('post', `/v1/responses/${id}/cancel`, { status: 400 });
    await check('delete', `/v1/responses/${id}`);
    await check('get', `/v1/responses/${id}`, { status: 404 });
    await check('get', '/v1/responses', { status: 405 });
  });

  it('pages', async () => {
    for (const path of ['/', '/v1/models', '/v1/models/said', '/v1beta/models', '/v1beta/models/said', '/api/tags', '/api/ps', '/api/version', '/health', '/v1/health', '/metrics', '/v1/metrics', '/openapi.json', '/docs', '/docs/start.js', '/redoc', '/redoc/redoc.standalone.js']) {
      await check('get', path);
    }
    await check('get', '/v1/models/none', { status: 404 });
    await check('get', '/v1beta/models/none', { status: 404 });
    await check('post', '/api/show', { json: { model: 'said' } });
    await check('post', '/api/show', { json: { model: 'none' }, status: 404 });
    await check('post', '/v1/models/tollgate-tiny/load', { status: 202 });
    await check('post', '/v1/models/tollgate-tiny/unload', { status: 202 });
    await check('post', '/v1/models/said/load', { status: 400 });
  });

  it('errors, in the shape of each format', async () => {
    const failing = { ...single, '/v1/images/generations': [{ prompt: 'a' }], '/v1/audio/speech': [{ input: 'a', voice: 'b' }] };
    for (const [path, [good]] of Object.entries(failing)) {
      await check('post', path, { json: good.models ? { ...good, models: ['none'] } : { ...good, model: 'none' }, status: 404 });
      await check('post', path, { json: [], status: 400 });
      const type = { 'content-type': 'text/plain' };
      await check('post', path, { json: good, status: 415, headers: type });
    }
    await check('post', '/v1/chat/completions', { json: { model: 'down', messages: TALK }, status: 502 });
    await check('post', '/v1/messages', { json: { model: 'down2', max_tokens: 9, messages: TALK }, status: 502 });
    await check('post', '/v1/models/none:generateContent', { json: CONTENTS, status: 404 });
    await check('post', '/v1/models/down3:generateContent', { json: CONTENTS, status: 502 });
    for (const name of ['none:streamGenerateContent', 'none:countTokens']) {
      await check('post', `/v1beta/models/${name}`, { json: CONTENTS, status: 404 });
    }
  });

  it('requests that are refused by name do not fit their schema', async () => {
    const bad = {
      '/v1/chat/completions': [{}, { messages: TALK, temperature: 3 }, { messages: TALK, n: 0 }, { messages: TALK, base_url: 'x' }],
      '/v1/completions': [{}], '/v1/embeddings': [{}], '/v1/moderations': [{}], '/v1/rerank': [{ query: 'a' }, { documents: ['a'] }],
      '/v1/messages': [{ messages: TALK }, { max_tokens: 9 }], '/v1/generate': [{}, { prompt: 'a', top_p: 2 }],
      '/v1/llm/chat': [{ models: ['said'] }, { messages: TALK, models: [] }], '/v1beta/models/said:generateContent': [{}],
      '/v1beta/models/said:embedContent': [{}], '/api/embed': [{}], '/api/show': [{}],
    };
    for (const [path, bodies] of Object.entries(bad)) {
      const { template } = find('post', path);
      for (const json of bodies) {
        await check('post', path, { json, status: 400 });
        assert.throws(() => assertFits(['paths', template, 'post', 'requestBody', 'content', 'application/json', 'schema'], json, path),
          undefined, `${path} ${JSON.stringify(json)}`);
      }
    }
  });

  it('every operation has been answered, but for those that need a provider of media', () => {
    const all = Object.entries(document.paths).flatMap(([p, item]) => Object.keys(item).map((m) => `${m} ${p}`));
    const left = all.filter((o) => !answered.has(o)).sort();
    assert.deepEqual(left, ['get /v1/responses', 'post /v1/audio/speech', 'post /v1/audio/transcriptions',
      'post /v1/audio/translations', 'post /v1/images/edits', 'post /v1/images/generations',
      'post /v1/images/variations', 'post /v1/responses/{id}/cancel']);
  });
});
