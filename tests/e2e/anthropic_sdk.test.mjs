// Anthropic's SDK, unmodified, against the gateway, with providers of its own and of another format
// behind it; and OpenAI's SDK with Anthropic's API behind the gateway.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { request } from './support/http.mjs';
import { Gateway, Mock } from './support/process.mjs';
import { Upstream, beginEvents, chunk, completion, sendEvent, sendJson, sendStream, target } from './support/upstream.mjs';
import { within } from './support/wait.mjs';

const hi = [{ role: 'user', content: 'hi' }];
const WEATHER = { name: 'weather', description: 'of a town',
  input_schema: { type: 'object', properties: { town: { type: 'string' } }, required: ['town'] } };
const USAGE = { input_tokens: 9, cache_creation_input_tokens: 2, cache_read_input_tokens: 3, output_tokens: 5 };

// ---- an Anthropic provider ----

function sendEvents(res, events) {
  beginEvents(res);
  for (const e of events) res.write(`event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`);
  res.end();
}

const message = (content, stop_reason = 'end_turn', extra = {}) => ({ id: 'msg_up', type: 'message', role: 'assistant',
  model: 'claude-up', content, stop_reason, stop_sequence: null, usage: USAGE, ...extra });

/** The stream of a message, in the pieces that the API sends. */
function eventsOf(m) {
  const events = [{ type: 'message_start', message: { ...m, content: [], stop_reason: null, usage: { ...USAGE, output_tokens: 1 } } }];
  m.content.forEach((block, index) => {
    const delta = (d) => events.push({ type: 'content_block_delta', index, delta: d });
    const empty = { text: { type: 'text', text: '' }, thinking: { type: 'thinking', thinking: '', signature: '' },
      tool_use: { ...block, input: {} } }[block.type] ?? block;
    events.push({ type: 'content_block_start', index, content_block: empty });
    if (block.type === 'text') for (const text of block.text.split(/(?= )/)) delta({ type: 'text_delta', text });
    if (block.type === 'thinking') {
      delta({ type: 'thinking_delta', thinking: block.thinking });
      delta({ type: 'signature_delta', signature: block.signature });
    }
    if (block.type === 'tool_use') {
      const json = JSON.stringify(block.input);
      delta({ type: 'input_json_delta', partial_json: json.slice(0, 5) });
      delta({ type: 'input_json_delta', partial_json: json.slice(5) });
    }
    events.push({ type: 'content_block_stop', index }, { type: 'ping' });
  });
  events.push({ type: 'message_delta', delta: { stop_reason: m.stop_reason, stop_sequence: m.stop_sequence },
    usage: { output_tokens: USAGE.output_tokens } }, { type: 'message_stop' });
  return events;
}

const errorBody = (type, text) => ({ type: 'error', error: { type, message: text }, request_id: 'req_up' });

const answers = {
  hello: () => message([{ type: 'text', text: 'Hello wörld 🌍' }]),
  thinks: () => message([{ type: 'thinking', thinking: 'let me see', signature: 'sig+/==' },
    { type: 'redacted_thinking', data: 'opaque' }, { type: 'text', text: 'so' }]),
  tools: ({ messages }) => (messages.at(-1).content[0]?.type === 'tool_result'
    ? message([{ type: 'text', text: `It is ${JSON.stringify(messages.at(-1).content[0].content)}.` }])
    : message([{ type: 'tool_use', id: 'toolu_1', name: 'weather', input: { town: 'Paris "x"' } }], 'tool_use')),
  json: ({ tools }) => message([{ type: 'tool_use', id: 'toolu_j', name: tools[0].name, input: { town: 'Rome' } }], 'tool_use'),
};

async function claude(req, res, r) {
  const { model, stream } = r.json;
  if (req.url.startsWith('/v1/messages/count_tokens')) return sendJson(res, { input_tokens: 42 });
  if (model === 'limited') return sendJson(res, errorBody('rate_limit_error', 'slow down'), 429, { 'retry-after': '7' });
  if (model === 'overloaded') return sendJson(res, errorBody('overloaded_error', 'Overloaded'), 529);
  if (model === 'breaks') return sendEvents(res, [...eventsOf(answers.hello()).slice(0, 4), errorBody('overloaded_error', 'Overloaded')]);
  const m = answers[model](r.json);
  return stream ? sendEvents(res, eventsOf(m)) : sendJson(res, m);
}

// ---- an OpenAI provider ----

function sendWoven(res) {
  const call = (index, fields) => chunk({ tool_calls: [{ index, ...fields }] });
  const begin = (index, id) => call(index, { id, type: 'function', function: { name: 'weather', arguments: '' } });
  beginEvents(res);
  for (const c of [chunk({ role: 'assistant', content: 'Both. ' }), begin(0, 'call_a'), begin(1, 'call_b'),
    call(0, { function: { arguments: '{"town":' } }), call(1, { function: { arguments: '{"town":"B' } }),
    call(0, { function: { arguments: '"A"}' } }), call(1, { function: { arguments: '"}' } }),
    chunk({}, { finish: 'tool_calls' }),
    { ...chunk({}), choices: [], usage: { prompt_tokens: 30, completion_tokens: 6, total_tokens: 36,
      prompt_tokens_details: { cached_tokens: 10 } } }]) sendEvent(res, c);
  sendEvent(res, '[DONE]');
  res.end();
}

const gpt = {
  'gpt-hello': (req, res, r) => (r.json.stream
    ? sendStream(res, ['Hel', 'lo ', 'wörld'], { usage: { prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 } })
    : sendJson(res, completion('gpt', 'Hello wörld', { usage: { prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 } }))),
  'gpt-tools': (req, res, r) => (r.json.messages.at(-1).role === 'tool'
    ? sendJson(res, completion('gpt', r.json.messages.filter((m) => m.role === 'tool').map((m) => m.content).join('+')))
    : sendWoven(res)),
  'gpt-thinks': (req, res) => {
    beginEvents(res);
    for (const delta of [{ role: 'assistant', reasoning_content: 'hm' }, { reasoning_content: ' hm' }, { content: 'so' }]) sendEvent(res, chunk(delta));
    sendEvent(res, chunk({}, { finish: 'stop' }));
    sendEvent(res, '[DONE]');
    res.end();
  },
  'gpt-broke': (req, res) => sendJson(res, { error: { message: 'You exceeded your quota', type: 'insufficient_quota', code: 'insufficient_quota' } },
    429, { 'retry-after': '3' }),
  'gpt-endless': async (req, res) => {
    beginEvents(res);
    for (let i = 0; !res.destroyed && i < 100000; i++) {
      sendEvent(res, chunk({ content: `${i} ` }));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  },
};

describe("Anthropic's API", () => {
  let provider, other, mock, gateway, client, openai;

  before(async () => {
    provider = await Upstream.start(claude);
    other = await Upstream.start((req, res, r) => gpt[r.json.model](req, res, r));
    mock = await Mock.start();
    const anthropic = (model) => ({ backend_type: 'anthropic', base_url: provider.url.replace(/\/v1$/, ''), api_key: 'sk-up', model_name: model });
    gateway = await Gateway.start({ config: {
      retry: { max_attempts: 1 },
      breaker: { consecutive_failures: 10000, min_requests: 1000000 },
      models: {
        ...Object.fromEntries(['hello', 'thinks', 'tools', 'json', 'limited', 'overloaded', 'breaks'].map((m) => [m, anthropic(m)])),
        ...Object.fromEntries(Object.keys(gpt).map((m) => [m, target(other)])),
        'mock:*': target(mock),
      },
    } });
    client = new Anthropic({ apiKey: 'sk-client', baseURL: gateway.url, maxRetries: 0 });
    openai = new OpenAI({ apiKey: 'sk-client', baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  });

  after(async () => {
    await gateway.stop();
    await mock.stop();
    await provider.stop();
    await other.stop();
  });

  const ask = (model, extra = {}) => ({ model, max_tokens: 100, messages: hi, ...extra });

  describe('its SDK, its provider: passed through', () => {
    it('answers', async () => {
      const { data, request_id } = await client.messages.create(ask('hello', { top_k: 4, container: 'c' })).withResponse();
      assert.deepEqual({ ...data, _request_id: undefined }, { ...answers.hello(), _request_id: undefined });
      assert.match(request_id, /^req_/);
      const sent = provider.requests.at(-1);
      assert.deepEqual(sent.json, ask('hello', { top_k: 4, container: 'c' }));
      assert.equal(sent.headers['x-api-key'], 'sk-up');
      assert.match(sent.headers['anthropic-version'], /^20\d\d-\d\d-\d\d$/); // the one that the SDK speaks
    });

    it('forwards beta headers', async () => {
      await client.beta.messages.create(ask('hello', { betas: ['context-1m-2025-08-07'] }));
      assert.equal(provider.requests.at(-1).headers['anthropic-beta'], 'context-1m-2025-08-07');
    });

    it('streams thinking, byte for byte', async () => {
      const final = await client.messages.stream(ask('thinks')).finalMessage();
      assert.deepEqual(final.content, answers.thinks().content);
      assert.equal(final.usage.output_tokens, USAGE.output_tokens);
    });

    it('counts tokens', async () => {
      assert.equal((await client.messages.countTokens({ model: 'hello', messages: hi })).input_tokens, 42);
    });

    it('gives errors as the provider meant them', async () => {
      await assert.rejects(client.messages.create(ask('limited')), (e) => {
        assert.ok(e instanceof Anthropic.RateLimitError);
        assert.equal(e.headers.get('retry-after'), '7');
        assert.equal(e.error.error.type, 'rate_limit_error');
        return /slow down/.test(e.message);
      });
      await assert.rejects(client.messages.create(ask('overloaded')), (e) => e.status === 529 && e.error.error.type === 'overloaded_error');
      await assert.rejects(client.messages.stream(ask('breaks')).finalMessage(), /Overloaded/);
    });
  });

  describe('its SDK, a provider of another format', () => {
    it('answers', async () => {
      const m = await client.messages.create(ask('gpt-hello', { system: 'be brief', stop_sequences: ['END'], metadata: { user_id: 'u1' } }));
      assert.deepEqual(m.content, [{ type: 'text', text: 'Hello wörld' }]);
      assert.equal(m.stop_reason, 'end_turn');
      assert.equal(m.usage.input_tokens, 4);
      assert.equal(m.usage.output_tokens, 3);
      assert.match(m.id, /^msg_/);
      const { json } = other.requests.at(-1);
      assert.deepEqual(json.messages, [{ role: 'system', content: 'be brief' }, { role: 'user', content: 'hi' }]);
      assert.deepEqual(json.stop, ['END']);
      assert.equal(json.user, 'u1');
    });

    it('streams, in the order that its events must have', async () => {
      const types = [];
      for await (const e of await client.messages.create(ask('gpt-hello', { stream: true }))) types.push(e.type);
      assert.deepEqual(types, ['message_start', 'content_block_start', 'content_block_delta', 'content_block_delta', 'content_block_delta',
        'content_block_stop', 'message_delta', 'message_stop']);
      const final = await client.messages.stream(ask('gpt-hello')).finalMessage();
      assert.equal(final.content[0].text, 'Hello wörld');
      assert.equal(final.usage.input_tokens, 4);
    });

    it('loops over tools whose calls the provider weaves', async () => {
      const first = await client.messages.stream(ask('gpt-tools', { tools: [WEATHER], tool_choice: { type: 'any' } })).finalMessage();
      assert.deepEqual(first.content.map((b) => b.input ?? b.text), ['Both. ', { town: 'A' }, { town: 'B' }]);
      assert.equal(first.stop_reason, 'tool_use');
      assert.equal(first.usage.input_tokens, 20);
      assert.equal(first.usage.cache_read_input_tokens, 10);
      assert.equal(other.requests.at(-1).json.tool_choice, 'required');
      const second = await client.messages.create(ask('gpt-tools', { tools: [WEATHER], messages: [...hi,
        { role: 'assistant', content: first.content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_b', content: 'rain' },
          { type: 'tool_result', tool_use_id: 'call_a', content: [{ type: 'text', text: 'sun' }] }] }] }));
      assert.equal(second.content[0].text, 'rain+sun');
      assert.deepEqual(other.requests.at(-1).json.messages[1].tool_calls.map((c) => [c.id, c.function.arguments]),
        [['call_a', '{"town":"A"}'], ['call_b', '{"town":"B"}']]);
    });

    it('shows reasoning as thinking, and takes it back', async () => {
      const m = await client.messages.stream(ask('gpt-thinks')).finalMessage();
      assert.deepEqual(m.content, [{ type: 'thinking', thinking: 'hm hm', signature: '' }, { type: 'text', text: 'so' }]);
      const again = await client.messages.create(ask('gpt-hello', { messages: [...hi, { role: 'assistant', content: m.content }, ...hi] }));
      assert.equal(again.content[0].text, 'Hello wörld');
    });

    it('asks for structured output', async () => {
      const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false };
      await client.messages.create(ask('gpt-hello', { output_config: { format: { type: 'json_schema', schema } } }));
      assert.deepEqual(other.requests.at(-1).json.response_format.json_schema.schema, schema);
    });

    it('estimates tokens', async () => {
      const { input_tokens } = await client.messages.countTokens({ model: 'gpt-hello', messages: [{ role: 'user', content: 'x '.repeat(1000) }] });
      assert.ok(input_tokens > 100 && input_tokens < 4000, input_tokens);
    });

    it('gives errors in its own shape', async () => {
      await assert.rejects(client.messages.create(ask('gpt-broke')), (e) => {
        assert.ok(e instanceof Anthropic.RateLimitError);
        assert.equal(e.headers.get('retry-after'), '3');
        assert.equal(e.error.error.type, 'rate_limit_error');
        assert.equal(e.error.request_id, e.requestID);
        return /quota/.test(e.message);
      });
      await assert.rejects(client.messages.create(ask('nobody')), (e) => e instanceof Anthropic.NotFoundError && e.error.error.type === 'not_found_error');
      const res = await request(gateway.port, { method: 'POST', path: '/v1/messages', json: { model: 'gpt-hello', messages: hi } });
      assert.equal(res.status, 400);
      assert.deepEqual(res.error, { type: 'invalid_request_error', message: "'max_tokens' is missing" });
      assert.equal(res.headers['request-id'], res.json.request_id);
    });

    it('stops the provider when the client leaves', async () => {
      const before = other.requests.length;
      const stream = client.messages.stream(ask('gpt-endless'));
      await within(new Promise((resolve) => { stream.on('text', resolve); }), 5000, 'the first text');
      stream.abort();
      await assert.rejects(stream.finalMessage(), Anthropic.APIUserAbortError);
      await within(other.requests[before].gone, 5000, "the end of the provider's stream");
    });

    it('talks to the mock', async () => {
      const m = await client.messages.stream(ask('mock:tokens=5')).finalMessage();
      assert.equal(m.content[0].type, 'text');
      assert.ok(m.usage.output_tokens > 0);
    });
  });

  describe("OpenAI's SDK, its provider", () => {
    const chat = (model, extra = {}) => openai.chat.completions.create({ model, messages: hi, ...extra });

    it('answers', async () => {
      const { data, response } = await chat('hello', { temperature: 1.5, seed: 7, messages: [{ role: 'developer', content: 'be brief' }, ...hi] }).withResponse();
      assert.equal(data.choices[0].message.content, 'Hello wörld 🌍');
      assert.equal(data.choices[0].finish_reason, 'stop');
      assert.equal(data.usage.prompt_tokens, 14);
      assert.equal(data.usage.prompt_tokens_details.cached_tokens, 3);
      const { json } = provider.requests.at(-1);
      assert.deepEqual(json, { model: 'hello', system: 'be brief', messages: hi, max_tokens: 4096, temperature: 1 });
      assert.match(response.headers.get('x-tollgate-fidelity'), /dropped=seed.*emulated=temperature/);
    });

    it('streams', async () => {
      let text = '', usage;
      for await (const c of await chat('hello', { stream: true, stream_options: { include_usage: true } })) {
        text += c.choices[0]?.delta.content ?? '';
        usage = c.usage ?? usage;
      }
      assert.equal(text, 'Hello wörld 🌍');
      assert.equal(usage.completion_tokens, 5);
      const thinking = [];
      for await (const c of await chat('thinks', { stream: true })) thinking.push(c.choices[0]?.delta.reasoning_content ?? '');
      assert.equal(thinking.join(''), 'let me see');
    });

    it('loops over tools', async () => {
      const tools = [{ type: 'function', function: { name: 'weather', parameters: WEATHER.input_schema } }];
      const runner = openai.chat.completions.stream({ model: 'tools', messages: hi, tools });
      const first = (await runner.finalChatCompletion()).choices[0];
      assert.equal(first.finish_reason, 'tool_calls');
      assert.deepEqual(JSON.parse(first.message.tool_calls[0].function.arguments), { town: 'Paris "x"' });
      const second = await chat('tools', { tools, messages: [...hi, first.message, { role: 'tool', tool_call_id: 'toolu_1', content: 'sunny' }] });
      assert.equal(second.choices[0].message.content, 'It is "sunny".');
    });

    it('gets structured output from a tool, and is told so', async () => {
      const response_format = { type: 'json_schema', json_schema: { name: 'town', schema: WEATHER.input_schema } };
      for (const stream of [false, true]) {
        const { data, response } = await chat('json', { response_format, stream }).withResponse();
        let text = '';
        if (stream) for await (const c of data) text += c.choices[0]?.delta.content ?? '';
        else {
          text = data.choices[0].message.content;
          assert.equal(data.choices[0].finish_reason, 'stop');
          assert.equal(data.choices[0].message.tool_calls, undefined);
        }
        assert.deepEqual(JSON.parse(text), { town: 'Rome' });
        assert.match(response.headers.get('x-tollgate-fidelity'), /emulated=response_format:json_schema/);
      }
      assert.deepEqual(provider.requests.at(-1).json.tool_choice, { type: 'tool', name: 'tollgate_json_answer' });
    });

    it('gives errors in the shape of the client', async () => {
      await assert.rejects(chat('limited'), (e) => e instanceof OpenAI.RateLimitError && e.headers.get('retry-after') === '7' && /slow down/.test(e.message));
      await assert.rejects(chat('overloaded'), (e) => e.status === 529 && /Overloaded/.test(e.message));
      await assert.rejects(async () => { for await (const c of await chat('breaks', { stream: true })) assert.ok(c); }, /Overloaded/);
      await assert.rejects(chat('hello', { n: 2 }), (e) => e.status === 400 && e.param === 'n');
    });
  });

  it('a gateway is a provider for a gateway', async () => {
    const second = await Gateway.start({ config: { models: { 'gpt-tools': { backend_type: 'anthropic', base_url: gateway.url, api_key: 'k' } } } });
    const chained = new OpenAI({ apiKey: 'x', baseURL: `${second.url}/v1`, maxRetries: 0 });
    const tools = [{ type: 'function', function: { name: 'weather', parameters: WEATHER.input_schema } }];
    const first = (await chained.chat.completions.stream({ model: 'gpt-tools', messages: hi, tools }).finalChatCompletion()).choices[0];
    assert.equal(first.message.content, 'Both. ');
    assert.deepEqual(first.message.tool_calls.map((c) => c.function.arguments), ['{"town":"A"}', '{"town":"B"}']);
    await second.stop();
  });
});
