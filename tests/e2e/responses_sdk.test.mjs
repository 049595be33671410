// OpenAI's SDK and its Responses, unmodified, against the gateway: in front of a provider that only
// has chat completions, of one with Responses of its own, and of the mock.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { Gateway } from './support/process.mjs';
import { Upstream, beginEvents, chunk, completion, sendEvent, sendJson, sendStream, target } from './support/upstream.mjs';
import { timed } from './support/wait.mjs';

const WEATHER = { type: 'function', name: 'weather', description: 'of a town', strict: true,
  parameters: { type: 'object', properties: { town: { type: 'string' } }, required: ['town'], additionalProperties: false } };
const USAGE = { prompt_tokens: 11, completion_tokens: 4, total_tokens: 15, prompt_tokens_details: { cached_tokens: 3 },
  completion_tokens_details: { reasoning_tokens: 1 } };
const SCHEMA = { type: 'json_schema', name: 'person', strict: true, schema: { type: 'object',
  properties: { name: { type: 'string' } }, required: ['name'], additionalProperties: false } };

// What a provider of chat completions does with a request, by its model.
const chat = {
  hello: (req, res, { json }) => (json.stream ? sendStream(res, ['Hel', 'lo ', 'wörld'], { usage: USAGE })
    : sendJson(res, completion('hello', 'Hello wörld', { usage: USAGE }))),
  person: (req, res) => sendJson(res, completion('person', '{"name":"Ada"}')),
  short: (req, res) => {
    beginEvents(res);
    sendEvent(res, chunk({ content: 'Once' }));
    sendEvent(res, chunk({}, { finish: 'length' }));
    sendEvent(res, '[DONE]');
    res.end();
  },
  tools: (req, res, { json }) => {
    if (json.messages.at(-1).role === 'tool') return sendStream(res, ['It is ', json.messages.at(-1).content], {});
    return sendCalls(res, json.tools.map((t) => t.function.name));
  },
  breaks: async (req, res) => {
    beginEvents(res);
    sendEvent(res, chunk({ content: 'a' }));
    setTimeout(() => res.destroy(), 50);
  },
  endless: async (req, res) => {
    beginEvents(res);
    for (let i = 0; !res.destroyed && i < 100000; i++) {
      sendEvent(res, chunk({ content: `${i} ` }));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  },
  busy: (req, res) => sendJson(res, { error: { message: 'slow down', type: 'requests', code: 'rate_limit_exceeded' } }, 429,
    { 'retry-after': '7' }),
};

/** Calls every tool at once, the arguments woven. */
function sendCalls(res, names) {
  const call = (index, fields) => sendEvent(res, chunk({ tool_calls: [{ index, ...fields }] }));
  const argument = (name) => (name === 'weather' ? ['{"town":', '"Paris"}'] : ['{"input":"ls', ' -l\\n"}']);
  beginEvents(res);
  names.forEach((name, i) => call(i, { id: `call_${i}`, type: 'function', function: { name, arguments: '' } }));
  for (const half of [0, 1]) names.forEach((name, i) => call(i, { function: { arguments: argument(name)[half] } }));
  sendEvent(res, chunk({}, { finish: 'tool_calls' }));
  sendEvent(res, '[DONE]');
  res.end();
}

// A provider with Responses of its own says things that nobody else knows.
const OWN = { id: 'resp_own', object: 'response', created_at: 1, status: 'completed', model: 'own-1', x_new: { a: [1.0] },
  output: [{ id: 'h_1', type: 'hologram', beam: 7 }, { id: 'msg_1', type: 'message', role: 'assistant', status: 'completed',
    content: [{ type: 'output_text', text: 'own', annotations: [] }] }],
  usage: { input_tokens: 2, input_tokens_details: { cached_tokens: 0 }, output_tokens: 1,
    output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 3 } };
const OWN_STREAM = [['response.created', { response: { ...OWN, status: 'in_progress', output: [] } }],
  ['response.hologram.delta', { beam: 7 }], ['response.completed', { response: OWN }]]
  .map(([type, more], i) => `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: i, ...more })}\n\n`).join('');

function own(req, res, { json, path }) {
  if (path !== '/v1/responses') return sendJson(res, { error: { message: 'no' } }, 404);
  if (!json.stream) return sendJson(res, OWN);
  beginEvents(res);
  return res.end(OWN_STREAM);
}

// A provider that signs its thinking, and wants it back with the tool's result.
const THOUGHT = { type: 'thinking', thinking: 'hm, a tool', signature: 'c2ln/+== ' };
const HIDDEN = { type: 'redacted_thinking', data: 'b3BhcXVl' };
const CALL = { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { town: 'Paris' } };
const thinker = (req, res, { json }) => sendJson(res, { id: 'msg_1', type: 'message', role: 'assistant', model: 'c',
  content: json.messages.length === 1 ? [THOUGHT, HIDDEN, CALL] : [{ type: 'text', text: 'sunny' }],
  stop_reason: json.messages.length === 1 ? 'tool_use' : 'end_turn', usage: { input_tokens: 3, output_tokens: 2 } });

describe('Responses with the openai SDK', () => {
  let upstream, provider, thinking, gateway, client;

  before(async () => {
    upstream = await Upstream.start((req, res, r) => chat[r.json.model](req, res, r));
    provider = await Upstream.start(own);
    thinking = await Upstream.start(thinker);
    const models = Object.fromEntries(Object.keys(chat).map((name) => [name, target(upstream)]));
    gateway = await Gateway.start({ config: { retry: { max_attempts: 1 },
      breaker: { consecutive_failures: 10000, min_requests: 1000000 },
      models: { ...models, own: target(provider, { api: 'responses' }),
        thinker: { backend_type: 'anthropic', base_url: thinking.url.replace('/v1', ''), api_key: 'k' }, 'mock:*': { backend_type: 'mock' } } } });
    client = new OpenAI({ apiKey: 'sk-client', baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  });

  after(async () => {
    await gateway.stop();
    await upstream.stop();
    await provider.stop();
    await thinking.stop();
  });

  const last = () => upstream.requests.at(-1);

  it('answers', async () => {
    const { data, response } = await client.responses.create({ model: 'hello', input: 'hi', instructions: 'be nice',
      temperature: 0.5, max_output_tokens: 20, metadata: { a: 'b' } }).withResponse();
    assert.equal(data.output_text, 'Hello wörld');
    assert.match(data.id, /^resp_/);
    assert.equal(data.status, 'completed');
    assert.equal(data.instructions, 'be nice');
    assert.deepEqual(data.metadata, { a: 'b' });
    assert.deepEqual(data.usage, { input_tokens: 11, input_tokens_details: { cached_tokens: 3 }, output_tokens: 4,
      output_tokens_details: { reasoning_tokens: 1 }, total_tokens: 15 });
    assert.match(response.headers.get('x-tollgate-fidelity') ?? '', /metadata/);
    assert.deepEqual(last().json.messages, [{ role: 'system', content: 'be nice' }, { role: 'user', content: 'hi' }]);
    assert.equal(last().json.temperature, 0.5);
    assert.equal(last().path, '/v1/chat/completions');
  });

  it('streams, every event in its place', async () => {
    const events = [];
    for await (const event of await client.responses.create({ model: 'hello', input: 'hi', stream: true })) events.push(event);
    assert.deepEqual(events.map((e) => e.type), ['response.created', 'response.in_progress', 'response.output_item.added',
      'response.content_part.added', ...Array(3).fill('response.output_text.delta'), 'response.output_text.done',
      'response.content_part.done', 'response.output_item.done', 'response.completed']);
    assert.deepEqual(events.map((e) => e.sequence_number), events.map((_, i) => i));
    assert.equal(events.at(-1).response.usage.total_tokens, 15);
    assert.equal(events.at(-1).response.id, events[0].response.id);
  });

  it("drives the SDK's stream helper", async () => {
    let text = '';
    const stream = client.responses.stream({ model: 'hello', input: [{ role: 'user', content: 'hi' }] });
    stream.on('response.output_text.delta', (e) => { text = e.snapshot; });
    const final = await stream.finalResponse();
    assert.equal(text, 'Hello wörld');
    assert.equal(final.output_text, 'Hello wörld');
  });

  it('parses structured output', async () => {
    const answer = await client.responses.parse({ model: 'person', input: 'who?', text: { format: SCHEMA } });
    assert.equal(JSON.parse(answer.output_text).name, 'Ada');
    assert.deepEqual(last().json.response_format, { type: 'json_schema',
      json_schema: { name: 'person', schema: SCHEMA.schema, strict: true } });
  });

  it('calls tools, functions and custom ones, and takes their results', async () => {
    const tools = [WEATHER, { type: 'custom', name: 'shell', description: 'runs a line' }];
    const input = [{ role: 'user', content: 'go' }];
    const first = await client.responses.stream({ model: 'tools', input, tools }).finalResponse();
    const [weather, shell] = first.output;
    assert.deepEqual([weather.type, weather.name, weather.arguments], ['function_call', 'weather', '{"town":"Paris"}']);
    assert.deepEqual([shell.type, shell.name, shell.input], ['custom_tool_call', 'shell', 'ls -l\n']);
    assert.equal(last().json.tools[1].function.name, 'shell');
    input.push(...first.output, { type: 'custom_tool_call_output', call_id: shell.call_id, output: 'a.txt' },
      { type: 'function_call_output', call_id: weather.call_id, output: 'sunny' });
    const second = await client.responses.stream({ model: 'tools', input, tools }).finalResponse();
    assert.equal(second.output_text, 'It is sunny');
    assert.deepEqual(last().json.messages.map((m) => [m.role, m.tool_calls?.length ?? m.tool_call_id]),
      [['user', undefined], ['assistant', 2], ['tool', 'call_1'], ['tool', 'call_0']]);
  });

  it("carries another provider's signed thinking, byte for byte", async () => {
    for (const stream of [false, true]) {
      const input = [{ role: 'user', content: 'weather?' }];
      const ask = (items) => (stream ? client.responses.stream({ model: 'thinker', input: items, tools: [WEATHER] }).finalResponse()
        : client.responses.create({ model: 'thinker', input: items, tools: [WEATHER], store: false }));
      const first = await ask(input);
      assert.deepEqual(first.output.map((o) => o.type), ['reasoning', 'reasoning', 'function_call']);
      assert.equal(first.output[0].summary[0].text, THOUGHT.thinking);
      const second = await ask([...input, ...first.output,
        { type: 'function_call_output', call_id: first.output[2].call_id, output: 'sunny' }]);
      assert.equal(second.output_text, 'sunny');
      assert.deepEqual(thinking.requests.at(-1).json.messages[1].content, [THOUGHT, HIDDEN, CALL]);
    }
  });

  it('says why an answer ended early', async () => {
    const answer = await client.responses.stream({ model: 'short', input: 'x' }).finalResponse();
    assert.equal(answer.status, 'incomplete');
    assert.deepEqual(answer.incomplete_details, { reason: 'max_output_tokens' });
  });

  it('drops tools that only a provider has, unless one is forced', async () => {
    const tools = [WEATHER, { type: 'web_search' }, { type: 'teleport' }];
    const { data, response } = await client.responses.create({ model: 'mock:tokens=2', input: 'x', tools }).withResponse();
    assert.equal(data.status, 'completed');
    assert.equal(response.status, 200);
    await assert.rejects(client.responses.create({ model: 'hello', input: 'x', tools, tool_choice: { type: 'web_search' } }),
      (e) => e instanceof OpenAI.BadRequestError && e.code === 'unsupported_parameter');
  });

  it('refuses by name what it can not do', async () => {
    for (const [member, value] of [['background', true], ['conversation', 'conv_1'], ['temperature', 5], ['input', 7]]) {
      await assert.rejects(client.responses.create({ model: 'hello', input: 'x', [member]: value }),
        (e) => e instanceof OpenAI.BadRequestError && e.param === member, member);
    }
  });

  it("passes a provider's error on", async () => {
    await assert.rejects(client.responses.create({ model: 'busy', input: 'x' }), (e) => e instanceof OpenAI.RateLimitError
      && e.code === 'rate_limit_exceeded' && /slow down/.test(e.message) && e.headers.get('retry-after') === '7');
  });

  it('tells of a stream that breaks', async () => {
    const types = [];
    await assert.rejects(async () => {
      for await (const e of await client.responses.create({ model: 'breaks', input: 'x', stream: true })) types.push(e.type);
    }, (e) => e instanceof OpenAI.APIError && e.code === 'upstream_incomplete');
    assert.equal(types.at(-1), 'response.output_text.delta');
    const raw = await fetch(`${gateway.url}/v1/responses`, { method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'breaks', input: 'x', stream: true }) }).then((r) => r.text());
    assert.match(raw, /event: response\.failed\ndata: \{"type":"response\.failed","sequence_number":\d+,/);
  });

  it('stops the provider when the client leaves', async () => {
    const stream = await client.responses.create({ model: 'endless', input: 'x', stream: true });
    let n = 0;
    for await (const e of stream) {
      if (e.type === 'response.output_text.delta' && ++n === 3) break;
    }
    assert.ok((await timed(() => last().gone)).ms < 2000);
  });

  it('counts tokens', async () => {
    const count = await client.responses.inputTokens.count({ model: 'mock:tokens=2', input: 'one two three' });
    assert.equal(count.object, 'response.input_tokens');
    assert.ok(count.input_tokens > 0);
  });

  it('passes through to a provider of the same format, byte for byte', async () => {
    const body = '{"model":"own", "input":[{"type":"hologram","beam":7.0}],\n "x":[1.50],"tools":[{"type":"teleport"}]}';
    const post = (text) => fetch(`${gateway.url}/v1/responses`, { method: 'POST',
      headers: { 'content-type': 'application/json' }, body: text }).then((r) => r.text());
    assert.equal(await post(body), JSON.stringify(OWN));
    assert.equal(provider.requests.at(-1).body.toString(), body);
    assert.equal(await post(body.replace('"x"', '"stream":true,"x"')), OWN_STREAM);
    const types = [];
    for await (const e of await client.responses.create({ model: 'own', input: 'x', stream: true })) types.push(e.type);
    assert.deepEqual(types, ['response.created', 'response.hologram.delta', 'response.completed']);
  });

  it('serves a client of another format from a provider of Responses', async () => {
    const answer = await fetch(`${gateway.url}/v1/messages`, { method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'own', max_tokens: 30, messages: [{ role: 'user', content: 'hi' }] }) }).then((r) => r.json());
    assert.equal(answer.content.at(-1).text, 'own');
    assert.deepEqual(provider.requests.at(-1).json, { model: 'own', input: [{ role: 'user', content: 'hi' }],
      max_output_tokens: 30, store: false });
  });
});
