// OpenAI's request fields at their edges, before providers of other formats, and what their answers'
// oddities become.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';
import { Upstream, beginEvents, completion, sendEvent, sendJson, target } from './support/upstream.mjs';

const user = (content) => ({ role: 'user', content });
const fn = (name) => ({ type: 'function', function: { name, parameters: { type: 'object', properties: {} } } });
const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content: [{ type: 'text', text: 'hi' }],
  stop_reason: 'end_turn', stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 } };
const converse = { output: { message: { role: 'assistant', content: [{ text: 'hi' }] } }, stopReason: 'end_turn',
  usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 }, metrics: { latencyMs: 1 } };
const gemini = { candidates: [{ content: { role: 'model', parts: [{ text: 'hi' }] }, finishReason: 'STOP', index: 0 }],
  usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 } };

function answer(req, res) {
  if (req.url.endsWith('/messages')) return sendJson(res, message);
  if (req.url.endsWith('/converse')) return sendJson(res, converse);
  if (req.url.includes(':generateContent')) return sendJson(res, gemini);
  return sendJson(res, completion('m', 'hi'));
}

describe('what OpenAI clients may ask', () => {
  let upstream, gateway;

  before(async () => {
    upstream = await Upstream.start(answer);
    const base = upstream.url.replace('/v1', '');
    gateway = await Gateway.start({ config: { models: {
      claude: { backend_type: 'anthropic', base_url: base, api_key: 'k' },
      gem: { backend_type: 'gemini', base_url: base, api_key: 'k' },
      bed: { backend_type: 'bedrock', base_url: base, api_key: 'k', region: 'us-east-1' },
      gpt: target(upstream),
    } } });
  });
  after(async () => {
    await gateway.stop();
    await upstream.stop();
  });

  async function chat(model, more, headers = {}) {
    const res = await request(gateway.port, { method: 'POST', path: '/v1/chat/completions', headers,
      json: { model, messages: [user('Hi')], ...more } });
    return { ...res, sent: upstream.requests.at(-1)?.json };
  }

  it('allowed_tools of a chat: the model sees those, and its own provider all', async () => {
    const tool_choice = { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'g' } }] } };
    const res = await chat('claude', { tools: [fn('f'), fn('g')], tool_choice });
    assert.equal(res.status, 200);
    assert.deepEqual(res.sent.tools.map((t) => t.name), ['g']);
    assert.deepEqual(res.sent.tool_choice, { type: 'any' });
    assert.match(res.headers['x-tollgate-fidelity'], /emulated=tool_choice/);
    const own = await chat('gpt', { tools: [fn('f'), fn('g')], tool_choice });
    assert.deepEqual(own.sent.tool_choice, tool_choice);
    assert.equal(own.sent.tools.length, 2);
  });

  it('a choice that no tool can meet, and words that mean nothing, are refused by name', async () => {
    for (const [more, param] of [
      [{ tool_choice: 'required' }, 'tool_choice'],
      [{ tools: [fn('f')], tool_choice: { type: 'function', function: { name: 'g' } } }, 'tool_choice'],
      [{ functions: [{ name: 'f' }], function_call: 'always' }, 'function_call'],
      [{ tools: [{ type: 'function', function: { name: 'f', parameters: 'x' } }] }, 'tools[0].function.parameters'],
      [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema'],
    ]) {
      const res = await chat('claude', more);
      assert.equal(res.status, 400, JSON.stringify(more));
      assert.equal(res.json.error.param, param);
    }
  });

  it('an output format of another server is named as dropped, and refused in strict mode', async () => {
    const response_format = { type: 'grammar', grammar: 'root ::= "x"' };
    const res = await chat('claude', { response_format });
    assert.equal(res.status, 200);
    assert.match(res.headers['x-tollgate-fidelity'], /dropped=.*response_format/);
    const strict = await chat('claude', { response_format }, { 'x-tollgate-strict': 'true' });
    assert.equal(strict.status, 400);
    const own = await chat('gpt', { response_format });
    assert.deepEqual(own.sent.response_format, response_format);
  });

  it('asking for what is so anyway loses nothing', async () => {
    for (const more of [{ parallel_tool_calls: true, tools: [fn('f')] }, { parallel_tool_calls: false }]) {
      const res = await chat('gem', more, { 'x-tollgate-strict': 'true' });
      assert.equal(res.status, 200, res.text);
      assert.equal(res.headers['x-tollgate-fidelity'], undefined);
    }
  });

  it('items of OpenAI\'s own kinds are refused by their type', async () => {
    for (const type of ['local_shell_call', 'web_search_call', 'item_reference']) {
      const res = await request(gateway.port, { method: 'POST', path: '/v1/responses',
        json: { model: 'claude', input: [{ role: 'user', content: 'q' }, { type, id: 'x_1', call_id: 'c', status: 'completed' }] } });
      assert.equal(res.status, 400);
      assert.match(res.json.error.message, new RegExp(type));
    }
  });

  it('Converse: roles in turn, no empty results, tools of the calls', async () => {
    const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } };
    const res = await chat('bed', { messages: [user('a'), { role: 'assistant', content: '' }, user('b'),
      { role: 'assistant', content: null, tool_calls: [call] }, { role: 'tool', tool_call_id: 'c1', content: '' }] });
    assert.equal(res.status, 200);
    assert.deepEqual(res.sent.messages.map((m) => m.role), ['user', 'assistant', 'user']);
    assert.deepEqual(res.sent.messages[0].content, [{ text: 'a' }, { text: 'b' }]);
    assert.deepEqual(res.sent.messages[2].content, [{ toolResult: { toolUseId: 'c1', content: [] } }]);
    assert.deepEqual(res.sent.toolConfig.tools.map((t) => t.toolSpec.name), ['f']);
    assert.equal(res.headers['x-tollgate-fidelity'], 'emulated=tools');
    const system = await chat('bed', { messages: [{ role: 'system', content: 's' }] });
    assert.deepEqual(system.sent.messages, [{ role: 'user', content: [{ text: 's' }] }]);
    assert.equal(system.headers['x-tollgate-fidelity'], 'emulated=messages[].role:system');
  });
});

describe('what providers say in their own way', () => {
  let upstream, touchy, calm, say;

  before(async () => {
    upstream = await Upstream.start((req, res) => say(req, res));
    const base = upstream.url.replace('/v1', '');
    const models = {
      gpt: target(upstream),
      claude: { backend_type: 'anthropic', base_url: base, api_key: 'k' },
      command: { backend_type: 'cohere', base_url: base, api_key: 'k' },
      llama: { backend_type: 'ollama', base_url: base },
    };
    const retry = { max_attempts: 1 };
    touchy = await Gateway.start({ config: { breaker: { consecutive_failures: 1 }, retry, models } });
    calm = await Gateway.start({ config: { breaker: { consecutive_failures: 1000 }, retry, models } });
  });
  after(async () => {
    await touchy.stop();
    await calm.stop();
    await upstream.stop();
  });

  async function chat(gateway, model, more = {}) {
    return await request(gateway.port, { method: 'POST', path: '/v1/chat/completions',
      json: { model, messages: [user('Hi')], ...more } });
  }

  it('a plain text is told with its status and is no fault of the provider\'s; so is 413', async () => {
    for (const model of ['gpt', 'claude', 'command', 'llama']) {
      for (let i = 0; i < 2; i++) { // a breaker that counted it would be open
        say = (req, res) => { res.writeHead(422, { 'content-type': 'text/plain; charset=utf-8' }); res.end('missing field `model`\n'); };
        const told = await chat(touchy, model);
        assert.deepEqual([told.status, told.json.error.message], [422, 'missing field `model`'], model);
        say = (req, res) => { res.writeHead(413, { 'content-type': 'text/html' }); res.end('<html>'); };
        assert.equal((await chat(touchy, model)).status, 413, model);
      }
    }
  });

  it('an error that opens a stream has the status of its words', async () => {
    for (const [error, status] of [[{ message: 'm', type: 'x', code: 'rate_limit_exceeded' }, 429], [{ message: 'm', code: 429 }, 429],
      [{ message: 'm', type: 'invalid_request_error' }, 400]]) {
      say = (req, res) => { beginEvents(res); sendEvent(res, { error }); res.end(); };
      const res = await chat(calm, 'gpt', { stream: true });
      assert.equal(res.status, status, res.text);
      assert.equal(res.json.error.message, 'm');
    }
  });

  it('Retry-After: a date is seconds for every provider, what can\'t be read is not passed on', async () => {
    for (const model of ['gpt', 'claude', 'command', 'llama']) {
      const date = new Date(Math.ceil(Date.now() / 1000) * 1000 + 30000).toUTCString();
      for (const [value, want] of [[date, /^(29|30|31)$/], ['7', /^7$/], ['soon', null], ['-5', null]]) {
        say = (req, res) => { res.writeHead(429, { 'content-type': 'application/json', 'retry-after': value }); res.end('{}'); };
        const res = await chat(calm, model);
        assert.equal(res.status, 429, `${model} ${value}`);
        if (want) assert.match(res.headers['retry-after'], want);
        else assert.equal(res.headers['retry-after'], undefined, `${model} ${value}`);
      }
    }
  });
});

describe('a Responses stream that passes through and breaks', () => {
  let upstream, gateway, events, cut;
  const response = { id: 'resp_up1', object: 'response', created_at: 1, status: 'completed', model: 'up-model', error: null,
    incomplete_details: null, output: [{ type: 'message', id: 'msg_1', status: 'completed', role: 'assistant',
      content: [{ type: 'output_text', text: 'Hello', annotations: [] }] }],
    usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2, input_tokens_details: { cached_tokens: 0 },
      output_tokens_details: { reasoning_tokens: 0 } } };
  const item = { output_index: 0, item_id: 'msg_1' };
  const stream = [
    { type: 'response.created', response: { ...response, status: 'in_progress', output: [], usage: null } },
    { type: 'response.output_item.added', output_index: 0, item: { ...response.output[0], status: 'in_progress', content: [] } },
    { type: 'response.output_text.delta', ...item, content_index: 0, delta: 'Hel', logprobs: [] },
    { type: 'response.output_text.delta', ...item, content_index: 0, delta: 'lo', logprobs: [] },
    { type: 'response.output_item.done', output_index: 0, item: response.output[0] },
    { type: 'response.completed', response },
  ].map((e, i) => ({ ...e, sequence_number: i }));

  before(async () => {
    upstream = await Upstream.start((req, res) => {
      beginEvents(res);
      for (const e of stream.slice(0, cut)) res.write(`event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`);
      setTimeout(() => res.destroy(), 30);
    });
    gateway = await Gateway.start({ config: { retry: { max_attempts: 1 }, breaker: { consecutive_failures: 1000 },
      models: { up: { ...target(upstream), api: 'responses' } } } });
  });
  after(async () => {
    await gateway.stop();
    await upstream.stop();
  });

  async function ask(n) {
    cut = n;
    const res = await request(gateway.port, { method: 'POST', path: '/v1/responses', json: { model: 'up', input: 'q', stream: true } });
    assert.equal(res.status, 200, res.text);
    events = res.text.split('\n').filter((l) => l.startsWith('data: ')).map((l) => JSON.parse(l.slice(6)));
    events.forEach((e, i) => assert.equal(e.sequence_number, i, JSON.stringify(events.map((x) => x.sequence_number))));
    return events.slice(n);
  }

  it('goes on in its numbers and keeps the answer\'s id', async () => {
    for (const n of [3, 4, 5]) {
      const rest = await ask(n);
      assert.deepEqual(rest.map((e) => e.type), ['error', 'response.failed']);
      assert.equal(rest[1].response.id, 'resp_up1');
      assert.equal(rest[1].response.model, 'up-model');
      assert.equal(rest[1].response.status, 'failed');
      assert.equal(rest[0].code, 'upstream_incomplete');
    }
  });

  it('is whole when its last event was there', async () => {
    assert.deepEqual(await ask(stream.length), []);
    await gateway.log((l) => l.event === 'response_generated');
  });
});
