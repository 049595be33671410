// The scripted provider: steps of a file as a provider and inside the gateway, what it records, and
// its answers that are no text.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Gateway, Mock, run, temporaryFolder } from './support/process.mjs';

const STEPS = {
  vars: { dir: { after: ['directory: '] } },
  steps: [
    { when: { tools: false, turn: 0 }, text: 'A plain title' },
    { when: { turn: 0 }, reasoning: 'Hm, hm.', text: 'I call.', weave: true,
      calls: [[{ tool: 'Absent' }, { tool: 'Wri*', arguments: { path: '{{dir}}/ä "b"', text: '日本語 𝄞' } }],
        { tool: 'Bash', arguments: { command: 'ls {{dir}}' } }],
      usage: { input: 50, cache_read: 7, output: 20, reasoning: 3 } },
    { when: { turn: 1, result: 'fine' }, text: 'Done: {{result}}' },
  ],
};
const TOOLS = ['Write', 'Bash'].map((name) => ({ type: 'function', function: { name, parameters: { type: 'object' } } }));
const TALK = [{ role: 'system', content: 'working directory: /tmp/x\nmore' }, { role: 'user', content: 'go' }];

async function post(url, body) {
  const answer = await fetch(url, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'Content-Type': 'application/json', Authorization: 'Bearer a-key' } });
  return { status: answer.status, text: await answer.text(), get json() { return JSON.parse(this.text); } };
}

/** A stream's chunks, after checking that it is complete. */
function chunks(text) {
  const events = text.trim().split('\n\n').map((e) => e.replace(/^data: /, ''));
  assert.equal(events.pop(), '[DONE]');
  return events.map((e) => JSON.parse(e));
}

/** Calls put together from a stream, and how often the index changed from one piece to the next. */
function callsOf(all) {
  const calls = [];
  let [changes, before] = [0, 0];
  for (const piece of all.flatMap((c) => c.choices[0]?.delta.tool_calls ?? [])) {
    calls[piece.index] ??= { id: piece.id, name: piece.function.name, arguments: '' };
    calls[piece.index].arguments += piece.function.arguments ?? '';
    if (piece.index !== before) changes++;
    before = piece.index;
  }
  return { calls, changes };
}

function assertCalls(calls) {
  assert.deepEqual(calls.map((c) => c.name), ['Write', 'Bash']);
  assert.deepEqual(JSON.parse(calls[0].arguments), { path: '/tmp/x/ä "b"', text: '日本語 𝄞' });
  assert.deepEqual(JSON.parse(calls[1].arguments), { command: 'ls /tmp/x' });
  assert.match(calls[0].id, /^call_[A-Za-z0-9]+_1$/);
  assert.notEqual(calls[0].id, calls[1].id);
}

describe('the mock with a file of steps', () => {
  const folder = temporaryFolder();
  const steps = path.join(folder, 'steps.json');
  const record = path.join(folder, 'record.jsonl');
  writeFileSync(steps, JSON.stringify(STEPS));
  let mock, gateway;
  before(async () => {
    mock = await Mock.start({ args: ['--script', steps, '--script', 'mock:delay=1', '--record', record] });
    gateway = await Gateway.start({ config: { models: {
      far: { backend_type: 'openai_compatible', base_url: mock.url, api_key: 'k' },
      near: { backend_type: 'mock', mock: { script: steps } } } } });
  });
  after(async () => {
    await gateway.stop();
    await mock.stop();
  });
  const places = { 'as a provider': () => mock.url, 'inside the gateway': () => `${gateway.url}/v1` };

  for (const [where, url] of Object.entries(places)) {
    it(`calls tools and tells its thoughts, ${where}`, async () => {
      const { json } = await post(`${url()}/chat/completions`, { model: 'near', messages: TALK, tools: TOOLS });
      const { message, finish_reason: finish } = json.choices[0];
      assert.equal(finish, 'tool_calls');
      assert.equal(message.content, 'I call.');
      assert.equal(message.reasoning_content, 'Hm, hm.');
      assertCalls(message.tool_calls.map((c) => ({ id: c.id, ...c.function })));
      assert.equal(json.usage.prompt_tokens, 57);
      assert.equal(json.usage.completion_tokens, 23);
      assert.equal(json.usage.prompt_tokens_details.cached_tokens, 7);
      assert.equal(json.usage.completion_tokens_details.reasoning_tokens, 3);
    });

    it(`weaves the calls of a stream, ${where}`, async () => {
      const { text } = await post(`${url()}/chat/completions`, { model: 'near', messages: TALK, tools: TOOLS,
        stream: true, stream_options: { include_usage: true } });
      const all = chunks(text);
      const { calls, changes } = callsOf(all);
      assertCalls(calls);
      assert.ok(changes > 4, `they come by turns (${changes} changes)`);
      const said = (member) => all.map((c) => c.choices[0]?.delta[member] ?? '').join('');
      assert.equal(said('content'), 'I call.');
      assert.equal(said('reasoning_content'), 'Hm, hm.');
      assert.equal(all.at(-1).usage.completion_tokens, 23);
    });

    it(`says what it had expected when no step fits, ${where}`, async () => {
      const messages = [...TALK, { role: 'assistant', content: 'x' }, { role: 'user', content: 'bad' }];
      const { status, json } = await post(`${url()}/chat/completions`, { model: 'near', messages, tools: TOOLS });
      assert.equal(status, 400);
      assert.match(json.error.message, /turn 1 of model near with 2 tools and 4 messages; wanted: .*steps\[2\] a tool's result/);
    });

    it(`is cut by max_tokens, ${where}`, async () => {
      const { json } = await post(`${url()}/chat/completions`, { model: 'near', messages: TALK, tools: TOOLS, max_tokens: 6 });
      assert.equal(json.choices[0].finish_reason, 'length');
      assert.equal(json.choices[0].message.tool_calls.length, 2);
      assert.equal(json.choices[0].message.tool_calls[0].function.arguments, '{"path":"');
    });
  }

  it('goes on after a tool has answered', async () => {
    const messages = [...TALK, { role: 'assistant', content: null, tool_calls: [{ id: 'c', type: 'function',
      function: { name: 'Bash', arguments: '{}' } }] }, { role: 'tool', tool_call_id: 'c', content: 'all fine' }];
    const { json } = await post(`${gateway.url}/v1/chat/completions`, { model: 'far', messages, tools: TOOLS });
    assert.equal(json.choices[0].message.content, 'Done: all fine');
    const { json: title } = await post(`${mock.url}/chat/completions`, { model: 'far', messages: TALK });
    assert.equal(title.choices[0].message.content, 'A plain title');
  });

  it('records what it was sent, readable by its owner only', async () => {
    const before = readFileSync(record, 'utf8').split('\n').length;
    await post(`${mock.url}/chat/completions`, '{\n "model": "a\\nb",\r\n "messages": []}');
    await post(`${mock.url}/chat/completions`, 'not\n"JSON"');
    const lines = readFileSync(record, 'utf8').split('\n').slice(before - 1, -1).map((l) => JSON.parse(l));
    assert.equal(lines.length, 2);
    assert.equal(lines[0].method, 'POST');
    assert.equal(lines[0].target, '/v1/chat/completions');
    assert.equal(Object.fromEntries(lines[0].headers).authorization, 'Bearer a-key');
    assert.deepEqual(lines[0].body, { model: 'a\nb', messages: [] });
    assert.equal(lines[1].body, 'not\n"JSON"');
    assert.equal(lines[1].n, lines[0].n + 1);
    assert.equal(statSync(record).mode & 0o777, 0o600);
  });

  it('answers lists: embeddings, rankings, verdicts', async () => {
    const length = (v) => Math.hypot(...v);
    const { json: e } = await post(`${mock.url}/embeddings`, { model: 'e', input: ['a red fish', 'red fish', 'tractor'], dimensions: 128 });
    const [a, b, c] = e.data.map((d) => d.embedding);
    assert.equal(a.length, 128);
    assert.ok(Math.abs(length(a) - 1) < 1e-4);
    const near = (v, w) => v.reduce((sum, x, i) => sum + x * w[i], 0);
    assert.ok(near(a, b) > near(a, c) + 0.2);
    const { json: packed } = await post(`${mock.url}/embeddings`, { model: 'e', input: 'red fish', dimensions: 128, encoding_format: 'base64' });
    const bytes = Buffer.from(packed.data[0].embedding, 'base64');
    assert.equal(bytes.length, 512);
    for (const [i, x] of b.entries()) assert.ok(Math.abs(bytes.readFloatLE(4 * i) - x) < 1e-6);
    const { json: plain } = await post(`${mock.url}/embeddings`, { model: 'e', input: 'x' });
    assert.equal(plain.data[0].embedding.length, 64);
    const { json: r } = await post(`${mock.url}/rerank`, { query: 'red fish', documents: ['a fish', { text: 'red fish' }, 'x'], top_n: 2 });
    assert.deepEqual(r.results, [{ index: 1, relevance_score: 1 }, { index: 0, relevance_score: 0.5 }]);
    const { json: m } = await post(`${mock.url}/moderations`, { input: ['violence', 'peace'] });
    assert.deepEqual(m.results.map((v) => v.flagged), [true, false]);
  });

  it('answers lists inside the gateway too, and counts tokens', async () => {
    const v1 = `${gateway.url}/v1`;
    const { json: e } = await post(`${v1}/embeddings`, { model: 'near', input: ['a red fish', 'x'], dimensions: 3 });
    const { json: same } = await post(`${mock.url}/embeddings`, { model: 'e', input: ['a red fish', 'x'], dimensions: 3 });
    assert.deepEqual(e.data, same.data);
    const { json: r } = await post(`${v1}/rerank`, { model: 'near', query: 'red fish', documents: ['a fish', 'red fish', 'x'], top_n: 2 });
    assert.deepEqual(r.results.map((d) => [d.index, d.relevance_score]), [[1, 1], [0, 0.5]]);
    const { json: m } = await post(`${v1}/moderations`, { model: 'near', input: ['violence', 'peace'] });
    assert.deepEqual(m.results.map((v) => v.flagged), [true, false]);
    const { json: count } = await post(`${v1}/messages/count_tokens`, { model: 'near', messages: [{ role: 'user', content: 'hi' }] });
    assert.ok(count.input_tokens > 5, JSON.stringify(count));
  });

  it('refuses a broken script with its place', async () => {
    const bad = path.join(folder, 'bad.json');
    writeFileSync(bad, '{"steps": [{"when": {"turns": 1}}]}');
    const mocked = await run(['mock', '--script', bad]);
    assert.equal(mocked.code, 2);
    assert.match(mocked.stderr, /bad\.json: steps\[0\]\.when has no 'turns'; known: turn, tools/);
    const config = path.join(folder, 'bad.yaml');
    writeFileSync(config, JSON.stringify({ models: { m: { backend_type: 'mock', mock: { script: 'bad.json' } } } }));
    const checked = await run(['check-config', '--config', config]);
    assert.equal(checked.code, 2);
    assert.match(checked.stderr, /steps\[0\]\.when has no 'turns'/);
    const absent = await run(['mock', '--record', path.join(folder, 'no/such/folder')]);
    assert.equal(absent.code, 2);
    assert.match(absent.stderr, /No such file or directory/);
  });
});
