// The local engine with the model that is built into the binary: real inference, a real child
// process, and what happens when it dies.
import assert from 'node:assert/strict';
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { LiveStream, chat, parseEvents, readChatStream, request } from './support/http.mjs';
import { scrape } from './support/metrics.mjs';
import { Gateway, ROOT, temporaryFolder } from './support/process.mjs';
import { until, within } from './support/wait.mjs';

const MODEL = 'tollgate-tiny';
const CAPITAL = [{ role: 'user', content: 'What is the capital of France?' }];
const STORY = [{ role: 'user', content: 'Tell me a long story about a fox.' }];

/** Why these tests can't run here: null when they can. */
async function missing() {
  const gateway = await Gateway.start();
  const res = await chat(gateway.port, MODEL, { max_tokens: 1 });
  await gateway.stop();
  return /built without llama\.cpp/.test(res.text) ? 'this binary was built without llama.cpp' : null;
}

const skip = await missing() ?? false;

describe('local engine', { skip }, () => {
  let gateway, port;
  const ask = (extra, options) => request(port, { path: '/v1/chat/completions', ms: 30000,
    json: { model: MODEL, messages: CAPITAL, temperature: 0, ...extra }, ...options });
  const engine = async () => (await request(port, { path: '/v1/health' })).json.local_models.find((m) => m.name === MODEL);
  const idle = () => until(async () => { const e = await engine(); return e.running === 0 && e.waiting === 0; },
    { what: 'an idle engine' });

  before(async () => {
    gateway = await Gateway.start({ config: { engine: { context: 4096, slots: 4 }, server: { drain_timeout: '2s' } } });
    port = gateway.port;
    await ask({ max_tokens: 1 }); // loads
  });
  after(async () => {
    const children = gateway.childPids();
    assert.equal(children.length, 1, 'one model, one child');
    await gateway.stop();
    assert.ok(!existsSync(`/proc/${children[0]}`) || readFileSync(`/proc/${children[0]}/stat`, 'utf8').includes(') Z'),
      'the child is gone with its parent');
  });

  it('needs no configuration at all', async () => {
    const bare = await Gateway.start();
    const res = await request(bare.port, { path: '/v1/chat/completions', ms: 30000, json: { messages: CAPITAL, temperature: 0 } });
    assert.match(res.json.choices[0].message.content, /Paris/);
    await bare.stop();
  });

  it('answers greedily, with exact and stable usage', async () => {
    const first = (await ask()).json;
    assert.match(first.choices[0].message.content, /Paris/);
    assert.equal(first.choices[0].finish_reason, 'stop');
    assert.equal(first.object, 'chat.completion');
    assert.equal(first.model, MODEL);
    const { usage } = first;
    assert.ok(usage.prompt_tokens > 5 && usage.completion_tokens > 3);
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    const second = (await ask()).json;
    assert.equal(second.choices[0].message.content, first.choices[0].message.content);
    for (const key of ['prompt_tokens', 'completion_tokens', 'total_tokens']) assert.equal(second.usage[key], usage[key]);
  });

  it('streams the same answer, usage included', async () => {
    const whole = (await ask()).json;
    const res = await ask({ stream: true, stream_options: { include_usage: true } });
    const stream = readChatStream(res);
    assert.equal(res.headers['content-type'], 'text/event-stream');
    assert.equal(stream.text, whole.choices[0].message.content);
    assert.equal(stream.finish, 'stop');
    assert.equal(stream.doneCount, 1);
    assert.equal(stream.usage.completion_tokens, whole.usage.completion_tokens);
    assert.equal(stream.chunks[0].choices[0].delta.role, 'assistant');
    assert.ok(stream.chunks.length > 4, 'piece by piece');
    assert.equal(new Set(stream.chunks.map((c) => c.id)).size, 1);
    const plain = readChatStream(await ask({ stream: true }));
    assert.ok(plain.chunks.every((c) => !c.usage), 'no usage that nobody asked for');
  });

  it('counts each token: completion_tokens equals the log probabilities', async () => {
    const { choices, usage } = (await ask({ logprobs: true, top_logprobs: 3, max_tokens: 8 })).json;
    const tokens = choices[0].logprobs.content;
    assert.ok(Math.abs(tokens.length - usage.completion_tokens) <= 1, 'but for the token that ends the answer');
    assert.equal(tokens.map((t) => t.token).join('').trim(), choices[0].message.content.trim());
    for (const t of tokens) {
      assert.ok(t.logprob <= 0);
      assert.equal(t.top_logprobs.length, 3);
      assert.equal(Buffer.from(t.bytes).toString(), t.token);
    }
  });

  it('stops at max_tokens with "length"', async () => {
    for (const key of ['max_tokens', 'max_completion_tokens']) {
      const { choices, usage } = (await ask({ [key]: 3 })).json;
      assert.equal(choices[0].finish_reason, 'length');
      assert.equal(usage.completion_tokens, 3);
    }
  });

  it('stops at stop strings, which are not part of the answer', async () => {
    const whole = (await ask()).json.choices[0].message.content;
    for (const [stop, kept] of [['Paris', ''], [['nowhere', 'ari'], 'P'], [['Par', 'Paris'], '']]) {
      const expected = whole.slice(0, whole.indexOf('Paris')) + kept;
      for (const stream of [false, true]) {
        const res = await ask({ stop, stream });
        const text = stream ? readChatStream(res).text : res.json.choices[0].message.content;
        const finish = stream ? readChatStream(res).finish : res.json.choices[0].finish_reason;
        assert.equal(text, expected);
        assert.equal(finish, 'stop');
      }
    }
  });

  it('gives several answers', async () => {
    const { choices, usage } = (await ask({ messages: STORY, n: 3, temperature: 1, seed: 11, max_tokens: 12 })).json;
    assert.deepEqual(choices.map((c) => c.index), [0, 1, 2]);
    assert.ok(new Set(choices.map((c) => c.message.content)).size > 1);
    assert.equal(usage.completion_tokens, 36);
  });

  it('gives the same for the same seed, and others for others', async () => {
    const story = async (seed) => (await ask({ messages: STORY, temperature: 1, seed, max_tokens: 16 })).json.choices[0].message.content;
    await story(5); // from here on the prompt's cells are there: sums come in the same order
    assert.equal(await story(5), await story(5));
    assert.ok(new Set(await Promise.all([6, 7, 8, 9].map(story))).size > 1);
  });

  it('completes raw prompts', async () => {
    const res = await request(port, { path: '/v1/completions', ms: 30000, json: { model: MODEL, prompt: 'Once upon a time', max_tokens: 6,
      temperature: 0, echo: true } });
    assert.ok(res.json.choices[0].text.startsWith('Once upon a time'), res.text);
    assert.equal(res.json.usage.completion_tokens, 6);
  });

  it('serves /v1/generate and /api/chat', async () => {
    const generated = (await request(port, { path: '/v1/generate', ms: 30000, json: { prompt: CAPITAL[0].content, temperature: 0 } })).json;
    assert.match(generated.completion, /Paris/);
    assert.equal(generated.provider, 'local');
    const reply = (await request(port, { path: '/api/chat', ms: 30000, json: { message: CAPITAL[0].content, temperature: 0 } })).json;
    assert.match(reply.reply, /Paris/);
  });

  it('runs 8 requests at once over 4 slots', async () => {
    const whole = (await ask()).json.choices[0].message.content;
    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => ask({ stream: i % 2 === 1 })));
    for (const [i, res] of answers.entries()) {
      assert.equal(i % 2 ? readChatStream(res).text : res.json.choices[0].message.content, whole);
    }
    await idle();
  });

  it('refuses what would wait too long: 429 queue_full', async () => {
    const other = await Gateway.start({ config: { engine: { slots: 1, max_queue: 1, context: 2048 } } });
    await chat(other.port, MODEL, { max_tokens: 1 }, { ms: 30000 });
    const streams = [await LiveStream.open(other.port, { json: { model: MODEL, messages: STORY, stream: true } })];
    await streams[0].next(30000);
    const results = await Promise.all(Array.from({ length: 4 }, () => chat(other.port, MODEL, { messages: STORY, max_tokens: 400 }, { ms: 60000 })));
    const full = results.filter((r) => r.status === 429);
    assert.ok(full.length >= 2, results.map((r) => r.status).join());
    assert.equal(full[0].error.code, 'queue_full');
    assert.match(full[0].headers['retry-after'], /^\d+$/);
    streams[0].abort();
    await other.stop();
  });

  it('a client that leaves frees its slot', async () => {
    const stream = await LiveStream.open(port, { json: { model: MODEL, messages: STORY, stream: true, max_tokens: 1500, ignore_eos: true } });
    await stream.next();
    stream.abort();
    await idle();
    const waiting = new AbortController();
    const gone = ask({ messages: STORY, max_tokens: 1500 }, { signal: waiting.signal });
    await until(async () => (await engine()).running === 1 || gone.settled, { ms: 2000, what: 'a running request' });
    waiting.abort();
    await assert.rejects(gone, { name: 'AbortError' });
    await idle();
  });

  it('the child is killed: the stream ends with an error and no [DONE], the next request works', async () => {
    const [child] = gateway.childPids();
    const before = (await engine()).restarts;
    const stream = await LiveStream.open(port, { json: { model: MODEL, messages: STORY, stream: true, temperature: 0 } });
    await stream.next();
    process.kill(child, 'SIGSTOP'); // so that the answer can't be over before the kill
    process.kill(child, 'SIGKILL');
    const events = await stream.rest();
    assert.ok(!events.includes('[DONE]'), events.join('\n'));
    const { error } = JSON.parse(events.at(-1));
    assert.match(error.code, /^local_model_/);
    const again = await ask({}, { ms: 30000 });
    assert.equal(again.status, 200, again.text);
    assert.match(again.json.choices[0].message.content, /Paris/);
    const health = await engine();
    assert.ok(health.restarts > before);
    assert.equal(health.state, 'ready');
    assert.notEqual(gateway.childPids()[0], child);
  });

  it('the child is killed before the first byte: 503, or another try', async () => {
    const [child] = gateway.childPids();
    process.kill(child, 'SIGSTOP');
    const waiting = ask({}, { ms: 30000 });
    await until(async () => (await scrape(port)).get('llm_gateway_active_requests') >= 1, { what: 'the request' });
    process.kill(child, 'SIGKILL');
    const res = await waiting;
    if (res.status === 200) assert.match(res.json.choices[0].message.content, /Paris/);
    else assert.deepEqual([res.status, res.error.code], [503, 'local_model_unavailable']);
    assert.match((await ask({}, { ms: 30000 })).json.choices[0].message.content, /Paris/);
  });

  it('a prompt longer than the context → 400 context_length_exceeded', async () => {
    for (const stream of [false, true]) {
      const res = await ask({ stream, messages: [{ role: 'user', content: 'word '.repeat(6000) }] });
      assert.equal(res.status, 400, res.text);
      assert.equal(res.error.code, 'context_length_exceeded');
      assert.equal(res.error.type, 'invalid_request_error');
    }
  });

  const refused = {
    'tools[].type': { tools: [{ type: 'web_search' }] },
    tool_choice: { tools: [{ type: 'function', function: { name: 'f' } }],
      tool_choice: { type: 'function', function: { name: 'g' } } },
    'response_format.json_schema.schema.type': { response_format: { type: 'json_schema',
      json_schema: { name: 'x', schema: { type: 'thing' } } } },
    'response_format.json_schema.schema.properties.a.not': { response_format: { type: 'json_schema',
      json_schema: { name: 'x', strict: true, schema: { type: 'object', properties: { a: { not: {} } } } } } },
    image_url: { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }] }] },
    n: { n: 17 },
    logit_bias: { logit_bias: { x: 1 } },
    stop: { stop: Array.from({ length: 17 }, (_, i) => `s${i}`) },
  };
  for (const [param, extra] of Object.entries(refused)) {
    it(`refuses ${param}, naming it`, async () => {
      const res = await ask(extra);
      assert.equal(res.status, 400, res.text);
      assert.ok(['unsupported_parameter', 'invalid_value'].includes(res.error.code), res.text);
      assert.equal(res.error.param, param);
    });
  }

  it('counts its tokens in /metrics', async () => {
    const tokens = async () => (await scrape(port)).get('llm_gateway_tokens_generated_total', { model: MODEL });
    const before = await tokens();
    const { usage } = (await ask({ max_tokens: 5 })).json;
    assert.equal(await tokens() - before, usage.completion_tokens);
    await idle();
  });

  it('says in /v1/health what is loaded', async () => {
    const e = await engine();
    assert.equal(e.state, 'ready');
    assert.equal(e.slots, 4);
    assert.ok(e.parameters > 3e6 && e.context_length >= 1024 && e.resident_bytes > 1e6, JSON.stringify(e));
  });

  it('a child cannot outlive a gateway that is killed', async () => {
    const other = await Gateway.start({ config: { engine: { start_at_boot: true } } });
    await until(() => other.childPids().length === 1, { what: 'the child' });
    const [child] = other.childPids();
    other.child.kill('SIGKILL');
    await other.child.ending();
    await until(() => !existsSync(`/proc/${child}`) || /\) Z/.test(readFileSync(`/proc/${child}/stat`, 'utf8')),
      { what: 'the end of the orphan' });
  });
});

describe('local models that are no good', { skip }, () => {
  it('missing, garbage, cut and too large files → 503 with the reason; the others serve on', async () => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, 'garbage.gguf'), 'this is not a model'.repeat(1000));
    writeFileSync(path.join(folder, 'empty.gguf'), '');
    const whole = readFileSync(path.join(ROOT, 'models/tiny-chat-3.5m-q8_0.gguf'));
    writeFileSync(path.join(folder, 'cut.gguf'), whole.subarray(0, whole.length / 2));
    const damaged = Buffer.from(whole.subarray(0, 4096));
    damaged.fill(0xff, 24, 200);
    writeFileSync(path.join(folder, 'damaged.gguf'), damaged);
    const hole = openSync(path.join(folder, 'hole.gguf'), 'w');
    ftruncateSync(hole, 64 * 2 ** 30);
    closeSync(hole);
    writeFileSync(path.join(folder, 'good.gguf'), whole);
    const models = {};
    for (const name of ['missing', 'garbage', 'empty', 'cut', 'damaged', 'hole', 'good']) models[name] = { backend_type: 'local', model_name: `${name}.gguf` };
    models.cramped = { backend_type: 'local', model_name: 'good.gguf', engine: { memory_limit: '1MiB' } };
    const gateway = await Gateway.start({ folder, config: { retry: { max_attempts: 1 }, models } });
    for (const name of Object.keys(models)) {
      const res = await chat(gateway.port, name, { messages: CAPITAL, temperature: 0 }, { ms: 30000 });
      if (name === 'good') {
        assert.match(res.json.choices[0].message.content, /Paris/);
        continue;
      }
      assert.equal(res.status, 503, `${name}: ${res.text}`);
      assert.match(res.error.code, /^(local_model_unavailable|no_healthy_upstream)$/);
      assert.ok(res.error.message.length > 10, res.text);
      assert.ok(!res.error.message.includes(folder), `no path of the machine: ${res.error.message}`);
    }
    const { local_models: listed } = (await request(gateway.port, { path: '/v1/health' })).json;
    assert.equal(listed.find((m) => m.name === 'good').state, 'ready');
    assert.ok(listed.find((m) => m.name === 'garbage').reason);
    await gateway.stop();
  });

  it('MODEL_NAME serves a file under its name', async () => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, 'my-model.gguf'), readFileSync(path.join(ROOT, 'models/tiny-chat-3.5m-q8_0.gguf')));
    const gateway = await Gateway.start({ folder, env: { MODEL_NAME: path.join(folder, 'my-model.gguf'), MAX_LENGTH: '4' } });
    const res = await request(gateway.port, { path: '/v1/generate', json: { prompt: 'Tell me a story.', stream: true }, ms: 30000 });
    const last = JSON.parse(parseEvents(res.text).at(-2));
    assert.equal(last.model, 'my-model');
    assert.equal(last.completion_tokens, 4);
    assert.equal(last.finish_reason, 'length');
    await within(gateway.stop(), 10000, 'the end');
  });
});
