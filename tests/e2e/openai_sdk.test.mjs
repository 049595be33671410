// The vendor's own SDK, unmodified, against the gateway; the provider behind it is the test's.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { Gateway, Mock } from './support/process.mjs';
import { Upstream, beginEvents, chunk, completion, sendEvent, sendJson, sendStream, target } from './support/upstream.mjs';
import { timed, until, within } from './support/wait.mjs';

const WEATHER = { type: 'function', function: { name: 'weather', description: 'of a town',
  parameters: { type: 'object', properties: { town: { type: 'string' } }, required: ['town'] } } };
const USAGE = { prompt_tokens: 11, completion_tokens: 4, total_tokens: 15 };
const hi = [{ role: 'user', content: 'hi' }];

// What the upstream does with a request, by its model.
const script = {
  hello: (req, res, r) => (r.json.stream
    ? sendStream(res, ['Hel', 'lo ', 'wörld', ' 🌍'], { model: 'hello-1', usage: USAGE })
    : sendJson(res, completion('hello-1', 'Hello wörld 🌍', { usage: USAGE }), 200,
      { 'x-ratelimit-remaining-requests': '41', 'openai-processing-ms': '3' })),
  tools: (req, res, r) => (r.json.stream ? sendTools(res) : sendJson(res, toolAnswer())),
  many: (req, res, r) => sendJson(res, { ...completion('many', ''), choices: Array.from({ length: r.json.n },
    (_, index) => ({ index, message: { role: 'assistant', content: `answer ${index}` }, finish_reason: 'stop' })) }),
  logprobs: (req, res) => sendJson(res, { ...completion('logprobs', ''), choices: [{ index: 0, finish_reason: 'stop',
    message: { role: 'assistant', content: 'Hi' }, logprobs: { refusal: null, content: [{ token: 'Hi', logprob: -0.125,
      bytes: [72, 105], top_logprobs: [{ token: 'Hi', logprob: -0.125, bytes: [72, 105] }] }] } }] }),
  endless: async (req, res) => {
    beginEvents(res);
    for (let i = 0; !res.destroyed && i < 100000; i++) {
      sendEvent(res, chunk({ content: `${i} ` }));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  },
  silent: () => {},
  patient: () => {},
  text: (req, res, r) => sendJson(res, { id: 'cmpl-1', object: 'text_completion', created: 1, model: 'text',
    choices: [{ index: 0, text: ` after ${r.json.prompt}`, logprobs: null, finish_reason: 'length' }], usage: USAGE }),
};

function sendTools(res) {
  const call = (index, fields) => chunk({ tool_calls: [{ index, ...fields }] });
  beginEvents(res);
  sendEvent(res, chunk({ role: 'assistant', content: null }));
  sendEvent(res, call(0, { id: 'call_a', type: 'function', function: { name: 'weather', arguments: '' } }));
  for (const part of ['{"to', 'wn":"Pa', 'ris"}']) sendEvent(res, call(0, { function: { arguments: part } }));
  sendEvent(res, call(1, { id: 'call_b', type: 'function', function: { name: 'weather', arguments: '{"town":' } }));
  sendEvent(res, call(1, { function: { arguments: '"Zürich \\"x\\""}' } }));
  sendEvent(res, chunk({}, { finish: 'tool_calls' }));
  sendEvent(res, '[DONE]');
  res.end();
}

function toolAnswer() {
  return { ...completion('tools', null), choices: [{ index: 0, finish_reason: 'tool_calls', message: {
    role: 'assistant', content: null, tool_calls: [{ id: 'call_a', type: 'function',
      function: { name: 'weather', arguments: '{"town":"Paris"}' } }] } }] };
}

describe('openai SDK', () => {
  let upstream, mock, gateway, client;

  before(async () => {
    upstream = await Upstream.start((req, res, r) => script[r.json.model](req, res, r));
    mock = await Mock.start();
    gateway = await Gateway.start({ config: {
      retry: { max_attempts: 1 },
      breaker: { consecutive_failures: 10000, min_requests: 1000000 },
      models: {
        'meta/llama-3.1': target(upstream, { model_name: 'hello', display_name: 'Llama', tier: 'small',
          context_length: 8192, prices: { input: 0.5, output: '1.25' } }),
        hello: target(upstream), tools: target(upstream), many: target(upstream), logprobs: target(upstream),
        endless: target(upstream), patient: target(upstream), text: target(upstream),
        silent: target(upstream, { timeouts: { first_byte: '300ms' } }),
        'mock:*': target(mock),
      },
    } });
    client = new OpenAI({ apiKey: 'sk-client', baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  });

  after(async () => {
    await gateway.stop();
    await mock.stop();
    await upstream.stop();
  });

  const last = () => upstream.requests.at(-1);

  it('answers a chat', async () => {
    const { data, response, request_id } = await client.chat.completions.create({ model: 'hello', messages: hi, seed: 7 })
      .withResponse();
    assert.equal(data.choices[0].message.content, 'Hello wörld 🌍');
    assert.deepEqual(data.usage, USAGE);
    assert.equal(data.model, 'hello-1');
    assert.match(request_id, /^req_/);
    assert.equal(response.headers.get('x-ratelimit-remaining-requests'), '41');
    assert.equal(response.headers.get('openai-processing-ms'), '3');
    assert.deepEqual(last().json, { model: 'hello', messages: hi, seed: 7 });
    assert.equal(last().headers.authorization, undefined, "the client's key stays here");
    assert.equal(last().headers['x-request-id'], request_id);
  });

  it('streams a chat; usage that nobody asked for stays hidden', async () => {
    let text = '';
    const chunks = [];
    for await (const part of await client.chat.completions.create({ model: 'hello', messages: hi, stream: true })) {
      chunks.push(part);
      text += part.choices[0]?.delta?.content ?? '';
    }
    assert.equal(text, 'Hello wörld 🌍');
    assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
    assert.ok(chunks.every((c) => !c.usage && c.choices.length === 1));
    assert.deepEqual(last().json.stream_options, { include_usage: true });
  });

  it('streams usage when asked', async () => {
    const chunks = [];
    for await (const part of await client.chat.completions.create({ model: 'hello', messages: hi, stream: true,
      stream_options: { include_usage: true } })) chunks.push(part);
    assert.deepEqual(chunks.at(-1).usage, USAGE);
    assert.deepEqual(chunks.at(-1).choices, []);
  });

  it("drives the SDK's stream helper", async () => {
    const stream = client.chat.completions.stream({ model: 'tools', messages: hi, tools: [WEATHER] });
    const message = await stream.finalMessage();
    assert.deepEqual(message.tool_calls.map((c) => [c.id, c.function.name, JSON.parse(c.function.arguments)]),
      [['call_a', 'weather', { town: 'Paris' }], ['call_b', 'weather', { town: 'Zürich "x"' }]]);
    assert.deepEqual(last().json.tools, [WEATHER]);
  });

  it('answers with tool calls and takes their results', async () => {
    const answer = await client.chat.completions.create({ model: 'tools', messages: hi, tools: [WEATHER],
      tool_choice: 'required', parallel_tool_calls: false });
    const call = answer.choices[0].message.tool_calls[0];
    assert.equal(answer.choices[0].finish_reason, 'tool_calls');
    assert.deepEqual(JSON.parse(call.function.arguments), { town: 'Paris' });
    const messages = [...hi, answer.choices[0].message, { role: 'tool', tool_call_id: call.id, content: '21 °C' }];
    const second = await client.chat.completions.create({ model: 'hello', messages });
    assert.equal(second.choices[0].message.content, 'Hello wörld 🌍');
    assert.deepEqual(last().json.messages, messages);
  });

  it('passes structured output, images and unknown parameters through', async () => {
    const body = { model: 'hello', temperature: 0.25, service_tier: 'flex', response_format: { type: 'json_schema',
      json_schema: { name: 'town', strict: true, schema: { type: 'object', properties: { name: { type: 'string' } },
        required: ['name'], additionalProperties: false } } },
    messages: [{ role: 'user', content: [{ type: 'text', text: 'what is it?' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' } }] }],
    some_future_parameter: { deep: [1, 2.50, 1e3] } };
    await client.chat.completions.create(body);
    assert.deepEqual(last().json, body);
  });

  it('maps the model name', async () => {
    const answer = await client.chat.completions.create({ model: 'meta/llama-3.1', messages: hi });
    assert.equal(last().json.model, 'hello');
    assert.equal(answer.choices[0].message.content, 'Hello wörld 🌍');
  });

  it('gives n answers and log probabilities', async () => {
    const many = await client.chat.completions.create({ model: 'many', messages: hi, n: 3 });
    assert.deepEqual(many.choices.map((c) => c.message.content), ['answer 0', 'answer 1', 'answer 2']);
    const one = await client.chat.completions.create({ model: 'logprobs', messages: hi, logprobs: true, top_logprobs: 1 });
    assert.equal(one.choices[0].logprobs.content[0].logprob, -0.125);
    assert.equal(one.choices[0].logprobs.content[0].top_logprobs[0].token, 'Hi');
  });

  it('answers the older completions', async () => {
    const answer = await client.completions.create({ model: 'text', prompt: 'Once', max_tokens: 4 });
    assert.equal(answer.choices[0].text, ' after Once');
    assert.equal(last().path, '/v1/completions');
    let text = '';
    for await (const part of await client.completions.create({ model: 'mock:tokens=6', prompt: 'x', stream: true })) {
      text += part.choices[0]?.text ?? '';
    }
    assert.equal(text, 'Lorem ipsum dolor sit amet, consectetur ');
  });

  it('lists and describes models, names with a slash too', async () => {
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    assert.ok(names.includes('meta/llama-3.1') && names.includes('hello'), names.join());
    const one = await client.models.retrieve('meta/llama-3.1');
    assert.deepEqual([one.id, one.object, one.display_name, one.tier, one.context_length],
      ['meta/llama-3.1', 'model', 'Llama', 'small', 8192]);
    assert.deepEqual(one.pricing, { input_usd_per_million_tokens: 0.5, output_usd_per_million_tokens: 1.25 });
    await assert.rejects(client.models.retrieve('meta/llama-3.2'), (e) => e instanceof OpenAI.NotFoundError
      && /meta\/llama-3\.1/.test(e.message));
  });

  it('hands a cancel on to the provider within 100 ms', async () => {
    const control = new AbortController();
    const stream = await client.chat.completions.create({ model: 'endless', messages: hi, stream: true },
      { signal: control.signal });
    let seen = 0;
    let abortedAt;
    for await (const part of stream) { // the SDK ends the loop quietly
      assert.ok(part.choices);
      if (++seen === 5) {
        abortedAt = performance.now();
        control.abort();
      }
    }
    assert.ok(seen >= 5 && seen < 100, `${seen} events`);
    const goneAt = await within(last().gone, 2000, 'the cancel at the provider');
    assert.ok(goneAt - abortedAt < 100, `${goneAt - abortedAt} ms`);
  });

  it('hands a cancel on before the first byte, too', async () => {
    const slow = await Upstream.start(() => {});
    const other = await Gateway.start({ config: { models: { slow: target(slow) } } });
    const control = new AbortController();
    const call = new OpenAI({ apiKey: 'x', baseURL: `${other.url}/v1`, maxRetries: 0 }).chat.completions
      .create({ model: 'slow', messages: hi }, { signal: control.signal });
    await until(() => slow.requests.length, { what: 'the request at the provider' });
    const abortedAt = performance.now();
    control.abort();
    await assert.rejects(call, OpenAI.APIUserAbortError);
    const goneAt = await within(slow.requests[0].gone, 2000, 'the cancel at the provider');
    assert.ok(goneAt - abortedAt < 100, `${goneAt - abortedAt} ms`);
    await other.stop();
    await slow.stop();
  });

  it("keeps the SDK's own timeout", async () => {
    const { ms } = await timed(() => assert.rejects(
      client.chat.completions.create({ model: 'patient', messages: hi }, { timeout: 200 }),
      OpenAI.APIConnectionTimeoutError));
    assert.ok(ms >= 190 && ms < 2000, `${ms} ms`);
    await within(last().gone, 2000, 'the cancel at the provider');
  });

  it("turns a provider's silence into 504", async () => {
    await assert.rejects(client.chat.completions.create({ model: 'silent', messages: hi }), (e) => {
      assert.ok(e instanceof OpenAI.InternalServerError);
      assert.deepEqual([e.status, e.code, e.type], [504, 'upstream_timeout', 'api_error']);
      return true;
    });
  });

  const classes = [
    ['400', 'mock:status=400', OpenAI.BadRequestError, 400],
    ['401', 'mock:status=401', OpenAI.InternalServerError, 502, 'upstream_auth_error'],
    ['403', 'mock:status=403', OpenAI.InternalServerError, 502, 'upstream_auth_error'],
    ['404', 'mock:status=404', OpenAI.NotFoundError, 404],
    ['422', 'mock:status=422', OpenAI.UnprocessableEntityError, 422],
    ['429', 'mock:status=429,retry_after=7', OpenAI.RateLimitError, 429],
    ['500', 'mock:status=500', OpenAI.InternalServerError, 500],
    ['503', 'mock:status=503', OpenAI.InternalServerError, 503],
    ['a name that no model has', 'no-such-model', OpenAI.NotFoundError, 404, 'model_not_found'],
  ];
  for (const [what, model, type, status, code] of classes) {
    it(`throws ${type.name} for ${what}`, async () => {
      for (const stream of [false, true]) {
        await assert.rejects(client.chat.completions.create({ model, messages: hi, stream }), (e) => {
          assert.ok(e instanceof type, `${e.constructor.name}: ${e.message}`);
          assert.equal(e.status, status);
          assert.ok(e.requestID, 'the request id is there');
          if (code) assert.equal(e.code, code);
          if (status === 429) assert.equal(e.headers.get('retry-after'), '7');
          return true;
        });
      }
    });
  }

  it('throws for a bad parameter, naming it', async () => {
    await assert.rejects(client.chat.completions.create({ model: 'hello', messages: hi, temperature: 9 }), (e) => {
      assert.ok(e instanceof OpenAI.BadRequestError);
      assert.deepEqual([e.code, e.param, e.type], ['invalid_value', 'temperature', 'invalid_request_error']);
      return true;
    });
  });

  it('lets the SDK retry', async () => {
    let times = 0;
    const flaky = await Upstream.start((req, res) => (++times < 3
      ? sendJson(res, { error: { message: 'later', type: 'rate_limit_error' } }, 429, { 'retry-after-ms': '10', 'retry-after': '0' })
      : sendJson(res, completion('m', 'at last'))));
    const other = await Gateway.start({ config: { retry: { max_attempts: 1 }, models: { m: target(flaky) } } });
    const patient = new OpenAI({ apiKey: 'x', baseURL: `${other.url}/v1`, maxRetries: 3 });
    const answer = await patient.chat.completions.create({ model: 'm', messages: hi });
    assert.equal(answer.choices[0].message.content, 'at last');
    assert.equal(times, 3);
    await other.stop();
    await flaky.stop();
  });

  it('throws when a stream breaks off', async () => {
    const stream = await client.chat.completions.create({ model: 'mock:wire=reset,after=3,delay=1', messages: hi, stream: true });
    let text = '';
    await assert.rejects(async () => {
      for await (const part of stream) text += part.choices[0]?.delta?.content ?? '';
    }, (e) => e instanceof OpenAI.APIError && e.code === 'upstream_incomplete');
    assert.equal(text, 'Lorem ipsum dolor ');
  });
});
