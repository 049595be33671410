// Conversations that go on by an answer's id: what is kept, for how long, and what survives.
import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { request } from './support/http.mjs';
import { Gateway, temporaryFolder } from './support/process.mjs';
import { Upstream, beginEvents, sendJson, target } from './support/upstream.mjs';
import { until } from './support/wait.mjs';

const USAGE = { input_tokens: 11, output_tokens: 4 };
const WEATHER = { type: 'function', name: 'weather', strict: false,
  parameters: { type: 'object', properties: { town: { type: 'string' } }, required: ['town'] } };
const TOOL_USE = { type: 'tool_use', id: 'toolu_a', name: 'weather', input: { town: 'Paris' } };

/** A provider that keeps nothing: says how many messages it was sent, or calls the tool it is offered. */
function messages(req, res, { json }) {
  const calls = json.tools && !JSON.stringify(json.messages).includes('tool_result');
  const block = calls ? TOOL_USE : { type: 'text', text: `answer to ${json.messages.length}` };
  const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'm-1', content: [block],
    stop_reason: calls ? 'tool_use' : 'end_turn', stop_sequence: null, usage: USAGE };
  if (json.stream) streamMessage(res, message, block.text.split(/(?= )/));
  else sendJson(res, message);
}

function streamMessage(res, message, words, whole = true) {
  beginEvents(res);
  const event = (type, more) => res.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`);
  event('message_start', { message: { ...message, content: [], stop_reason: null } });
  event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } });
  for (const text of words) event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } });
  if (!whole) return setTimeout(() => res.destroy(), 50);
  event('content_block_stop', { index: 0 });
  event('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 4 } });
  event('message_stop', {});
  return res.end();
}

const anthropic = (upstream) => ({ backend_type: 'anthropic', base_url: upstream.url, api_key: 'k' });

/** A provider that keeps conversations itself. */
let kept = 0;
function ownResponses(req, res, r) {
  const response = { id: `resp_up${++kept}`, object: 'response', created_at: 1700000000, status: 'completed', model: 'up-1',
    error: null, incomplete_details: null, store: r.json.store !== false, previous_response_id: r.json.previous_response_id ?? null,
    output: [{ id: `msg_up${kept}`, type: 'message', role: 'assistant', status: 'completed',
      content: [{ type: 'output_text', text: `kept there ${kept}`, annotations: [] }] }],
    usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5, input_tokens_details: { cached_tokens: 0 },
      output_tokens_details: { reasoning_tokens: 0 } } };
  if (!r.json.stream) return sendJson(res, response);
  beginEvents(res);
  const event = (type, more) => res.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`);
  event('response.created', { sequence_number: 0, response: { ...response, status: 'in_progress', output: [], usage: null } });
  event('response.output_item.added', { sequence_number: 1, output_index: 0,
    item: { ...response.output[0], status: 'in_progress', content: [] } });
  event('response.output_text.delta', { sequence_number: 2, item_id: `msg_up${kept}`, output_index: 0, content_index: 0,
    delta: `kept there ${kept}`, logprobs: [] });
  event('response.output_item.done', { sequence_number: 3, output_index: 0, item: response.output[0] });
  event('response.completed', { sequence_number: 4, response });
  res.end();
}

function sdk(gateway) {
  return new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'any', maxRetries: 0 });
}

const textOf = (content) => (typeof content === 'string' ? content : content.map((c) => c.text).join(''));
const conversation = (r) => r.json.messages.map((m) => [m.role, textOf(m.content)]);
const notFound = (id) => ({ status: 404, message: new RegExp(`Response with id '${id}' not found`) });
const noPrevious = (id) => ({ status: 400, code: 'previous_response_not_found', param: 'previous_response_id',
  message: new RegExp(`Previous response with id '${id}' not found`) });

describe('kept responses', () => {
  let upstream, own, gateway, client, config;

  before(async () => {
    upstream = await Upstream.start(messages);
    own = await Upstream.start(ownResponses);
    config = { models: {
      'm-1': anthropic(upstream),
      'up-1': { ...target(own), api: 'responses' },
      'up-2': { ...target(own), api: 'responses' },
      'up-3': { ...target(own), api: 'responses', api_key: 'of another account' },
    } };
    gateway = await Gateway.start({ config, env: { STORE_PATH: 'kept.db' } });
    client = sdk(gateway);
  });
  after(async () => {
    await gateway.stop();
    await upstream.stop();
    await own.stop();
  });

  it('a provider that keeps nothing is sent the whole conversation', async () => {
    const first = await client.responses.create({ model: 'm-1', input: 'one', instructions: 'be brief' });
    assert.match(first.id, /^resp_/);
    const second = await client.responses.create({ model: 'm-1', input: [{ role: 'user', content: 'two' }],
      previous_response_id: first.id });
    assert.equal(second.previous_response_id, first.id);
    const stream = await client.responses.create({ model: 'm-1', input: 'three', previous_response_id: second.id, stream: true });
    let third;
    for await (const event of stream) if (event.type === 'response.completed') third = event.response;
    const fourth = await client.responses.create({ model: 'm-1', input: 'four', previous_response_id: third.id });
    // Instructions are of one turn; everything else is there, in order.
    assert.deepEqual(conversation(upstream.requests.at(-1)), [
      ['user', 'one'], ['assistant', first.output_text], ['user', 'two'], ['assistant', second.output_text],
      ['user', 'three'], ['assistant', third.output[0].content[0].text], ['user', 'four']]);
    assert.equal(fourth.output_text, 'answer to 7');
    // A branch from the first turn knows nothing of the others.
    await client.responses.create({ model: 'm-1', input: 'other', previous_response_id: first.id });
    assert.deepEqual(conversation(upstream.requests.at(-1)).map(([, content]) => content),
      ['one', first.output_text, 'other']);
  });

  it('large conversations go on as well as small ones', async () => {
    const large = 'wörld '.repeat(1e6); // 7 MB
    const first = await client.responses.create({ model: 'm-1', input: large });
    const second = await client.responses.create({ model: 'm-1', input: large, previous_response_id: first.id });
    assert.equal(second.output_text, 'answer to 3');
    const sent = conversation(upstream.requests.at(-1)).map(([, text]) => text);
    assert.ok(sent[0] === large && sent[2] === large);
    // Together more than limits.body.
    const third = await client.responses.create({ model: 'm-1', input: large, previous_response_id: second.id });
    await assert.rejects(client.responses.create({ model: 'm-1', input: 'x', previous_response_id: third.id }),
      { status: 400, param: 'previous_response_id', message: /larger than 20000000 bytes/ });
  });

  it('tool calls and their results go on across turns', async () => {
    const first = await client.responses.create({ model: 'm-1', input: 'weather?', tools: [WEATHER] });
    const call = first.output.find((o) => o.type === 'function_call');
    assert.equal(call.arguments, '{"town":"Paris"}');
    await client.responses.create({ model: 'm-1', tools: [WEATHER], previous_response_id: first.id,
      input: [{ type: 'function_call_output', call_id: call.call_id, output: 'sunny' }] });
    const sent = upstream.requests.at(-1).json.messages;
    assert.deepEqual(sent.map((m) => m.role), ['user', 'assistant', 'user']);
    const use = sent[1].content.find((c) => c.type === 'tool_use');
    assert.deepEqual(use.input, { town: 'Paris' });
    const result = sent[2].content.find((c) => c.type === 'tool_result');
    assert.equal(result.tool_use_id, use.id);
    assert.match(JSON.stringify(result.content), /sunny/);
  });

  it('is read, listed and deleted', async () => {
    const made = await client.responses.create({ model: 'm-1', metadata: { a: 'b' }, input: [
      { role: 'developer', content: 'short' }, { role: 'user', content: [{ type: 'input_text', text: 'hé 🌍' }] },
      { type: 'message', role: 'user', content: 'three' }] });
    const read = await client.responses.retrieve(made.id);
    const { output_text: _, ...plain } = made;
    assert.deepEqual({ ...read, output_text: undefined }, { ...plain, output_text: undefined });

    const all = [];
    for await (const item of client.responses.inputItems.list(made.id, { order: 'asc', limit: 2 })) all.push(item);
    assert.deepEqual(all.map((i) => [i.type, i.role, i.content[0].text]),
      [['message', 'developer', 'short'], ['message', 'user', 'hé 🌍'], ['message', 'user', 'three']]);
    assert.equal(new Set(all.map((i) => i.id)).size, 3);
    const newest = await client.responses.inputItems.list(made.id, { limit: 1 });
    assert.equal(newest.data[0].content[0].text, 'three');
    assert.equal(newest.has_more, true);
    await assert.rejects(client.responses.inputItems.list(made.id, { limit: 0 }), { status: 400, param: 'limit' });
    await assert.rejects(client.responses.inputItems.list(made.id, { after: 'msg_none' }), { status: 400, param: 'after' });

    await assert.rejects(client.responses.cancel(made.id), { status: 400, message: /Cannot cancel a synchronous response/ });
    await client.responses.delete(made.id);
    await assert.rejects(client.responses.retrieve(made.id), notFound(made.id));
    await assert.rejects(client.responses.delete(made.id), notFound(made.id));
    await assert.rejects(client.responses.cancel(made.id), notFound(made.id));
    await assert.rejects(client.responses.inputItems.list(made.id), notFound(made.id));
    await assert.rejects(client.responses.create({ model: 'm-1', input: 'x', previous_response_id: made.id }), noPrevious(made.id));
  });

  it('a hole in a conversation is named', async () => {
    const first = await client.responses.create({ model: 'm-1', input: 'one' });
    const second = await client.responses.create({ model: 'm-1', input: 'two', previous_response_id: first.id });
    await client.responses.delete(first.id);
    const before = upstream.requests.length;
    await assert.rejects(client.responses.create({ model: 'm-1', input: 'x', previous_response_id: second.id }), noPrevious(first.id));
    await assert.rejects(client.responses.create({ model: 'm-1', input: 'x', previous_response_id: 'resp_none', stream: true }), noPrevious('resp_none'));
    assert.equal(upstream.requests.length, before);
  });

  it('store: false keeps nothing', async () => {
    const made = await client.responses.create({ model: 'm-1', input: 'secret', store: false });
    await assert.rejects(client.responses.retrieve(made.id), notFound(made.id));
    await assert.rejects(client.responses.create({ model: 'm-1', input: 'x', previous_response_id: made.id }), noPrevious(made.id));
  });

  it('a conversation that its provider keeps stays with it', async () => {
    const first = await client.responses.create({ model: 'up-1', input: 'one' });
    assert.match(first.id, /^resp_up/);
    const stream = await client.responses.create({ model: 'up-1', input: 'two', previous_response_id: first.id, stream: true });
    let second;
    for await (const event of stream) if (event.type === 'response.completed') second = event.response;
    const third = await client.responses.create({ model: 'up-1', input: 'three', previous_response_id: second.id });
    assert.equal(third.output_text, `kept there ${kept}`);
    const sent = own.requests.slice(-3).map((r) => r.json);
    assert.deepEqual(sent.map((r) => r.input), ['one', 'two', 'three']); // each as the client sent it
    assert.deepEqual(sent.map((r) => r.previous_response_id), [undefined, first.id, second.id]);
    assert.equal((await client.responses.retrieve(second.id)).output[0].content[0].text, second.output[0].content[0].text);

    await assert.rejects(client.responses.create({ model: 'm-1', input: 'x', previous_response_id: third.id }),
      { status: 400, code: 'previous_response_not_found', message: /kept by the provider of 'up-1', which does not serve the model 'm-1'/ });
    await assert.rejects(client.responses.create({ model: 'up-3', input: 'x', previous_response_id: third.id }), { status: 400 });
    // Another model of the same account goes on.
    await client.responses.create({ model: 'up-2', input: 'four', previous_response_id: third.id });
    assert.deepEqual([own.requests.at(-1).json.model, own.requests.at(-1).json.previous_response_id], ['up-2', third.id]);
    // What the provider does not know is not asked of it.
    await assert.rejects(client.responses.create({ model: 'up-1', input: 'x', previous_response_id: 'resp_foreign' }), noPrevious('resp_foreign'));
    assert.equal(own.requests.at(-1).json.input, 'four');
  });

  it('a conversation of another provider is told to one that keeps its own', async () => {
    const first = await client.responses.create({ model: 'm-1', input: 'one' });
    await client.responses.create({ model: 'up-1', input: 'two', previous_response_id: first.id });
    const sent = own.requests.at(-1).json;
    assert.equal(sent.previous_response_id, undefined);
    const texts = sent.input.map((i) => (typeof i.content === 'string' ? i.content : i.content[0].text));
    assert.deepEqual(texts, ['one', first.output_text, 'two']);
  });

  it('an answer that another attempt replaces is not the one that is kept', async () => {
    const shaky = await Upstream.start((req, res) => {
      // The whole answer in the stream's first event, and then what can't be read.
      const response = { id: 'resp_lost', object: 'response', status: 'completed', store: true, output: [] };
      beginEvents(res);
      res.write(`event: response.completed\ndata: ${JSON.stringify({ type: 'response.completed', response })}\n\n`);
      setTimeout(() => res.end('data: {"type":\n\n'), 30);
    });
    const other = await Gateway.start({ config: { models: {
      s: { ...target(shaky), api: 'responses', fallbacks: ['t'] }, t: { ...target(own), api: 'responses' } } } });
    const res = await request(other.port, { path: '/v1/responses', json: { model: 's', input: 'x', stream: true } });
    const ids = new Set([...res.text.matchAll(/"id":"(resp_[^"]+)"/g)].map((m) => m[1]));
    assert.deepEqual([...ids], [`resp_up${kept}`], res.text);
    assert.equal(shaky.requests.length, 1);
    assert.equal((await sdk(other).responses.retrieve(`resp_up${kept}`)).output[0].content[0].text, `kept there ${kept}`);
    await assert.rejects(sdk(other).responses.retrieve('resp_lost'), notFound('resp_lost'));
    await other.stop();
    await shaky.stop();
  });

  it('what is made in the background is refused', async () => {
    await assert.rejects(client.responses.create({ model: 'up-1', input: 'x', background: true }),
      { status: 400, param: 'background', code: 'unsupported_parameter' });
  });

  it('an end of a stream that the provider cuts keeps nothing', async () => {
    const broken = await Upstream.start((req, res) => streamMessage(res, { id: 'msg_1', type: 'message',
      role: 'assistant', model: 'b', content: [], usage: USAGE }, ['half'], false));
    const folder = temporaryFolder();
    const other = await Gateway.start({ config: { models: { b: anthropic(broken) } }, env: { STORE_PATH: 'k.db' }, folder });
    const res = await request(other.port, { path: '/v1/responses', json: { model: 'b', input: 'x', stream: true } });
    assert.match(res.text, /response\.created/);
    const { id } = /"id":"(?<id>resp_[^"]+)"/.exec(res.text).groups;
    await assert.rejects(sdk(other).responses.retrieve(id), notFound(id));
    await other.stop();
    await broken.stop();
  });

  it('a WebSocket is refused at once', async () => {
    const began = performance.now();
    const socket = net.connect(gateway.port, '127.0.0.1');
    socket.write('GET /v1/responses HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
      + 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n');
    let text = '';
    socket.on('data', (d) => { text += d; });
    await until(() => text.includes('\r\n\r\n') && text.endsWith('}'), { ms: 5000, what: 'an answer' });
    socket.destroy();
    assert.match(text, /^HTTP\/1\.1 426 /);
    assert.equal(JSON.parse(text.slice(text.indexOf('{'))).error.code, 'websocket_not_supported');
    assert.ok(performance.now() - began < 2000);
    const plain = await fetch(`${gateway.url}/v1/responses`);
    assert.equal(plain.status, 405);
    assert.equal(plain.headers.get('allow'), 'POST');
  });
});

describe('kept responses and time', () => {
  let upstream, config;
  before(async () => {
    upstream = await Upstream.start(messages);
    config = { models: { 'm-1': anthropic(upstream) } };
  });
  after(async () => upstream.stop());

  it('end with their lifetime', async () => {
    const gateway = await Gateway.start({ config: { ...config, store: { responses_lifetime: '1500ms' } } });
    const client = sdk(gateway);
    const made = await client.responses.create({ model: 'm-1', input: 'x' });
    assert.equal((await client.responses.retrieve(made.id)).id, made.id);
    await until(async () => client.responses.retrieve(made.id).then(() => false, (error) => error.status === 404),
      { ms: 5000, what: 'the end of its lifetime' });
    await assert.rejects(client.responses.create({ model: 'm-1', input: 'x', previous_response_id: made.id }), noPrevious(made.id));
    await gateway.stop();
  });

  it('a lifetime of 0 keeps nothing', async () => {
    const gateway = await Gateway.start({ config: { ...config, store: { responses_lifetime: 0 } } });
    const client = sdk(gateway);
    const made = await client.responses.create({ model: 'm-1', input: 'x' });
    await assert.rejects(client.responses.retrieve(made.id), notFound(made.id));
    await assert.rejects(client.responses.create({ model: 'm-1', input: 'x', previous_response_id: made.id }), noPrevious(made.id));
    await gateway.stop();
  });

  it('survive a restart, and kill -9 after the answer', async () => {
    const folder = temporaryFolder();
    const env = { STORE_PATH: path.join(folder, 'deep', 'folder', 'k.db') };
    let previous;
    const said = [];
    for (const end of ['stop', 'kill', 'kill', 'stop']) {
      const gateway = await Gateway.start({ config, env, folder });
      const stream = await sdk(gateway).responses.create({ model: 'm-1', input: `before ${end}`, stream: true,
        ...(previous && { previous_response_id: previous }) });
      for await (const event of stream) if (event.type === 'response.completed') previous = event.response.id;
      said.push(`before ${end}`);
      assert.deepEqual(conversation(upstream.requests.at(-1)).filter(([role]) => role === 'user').map(([, text]) => text), said);
      if (end === 'stop') await gateway.stop();
      else {
        gateway.child.kill('SIGKILL');
        await gateway.child.ending();
      }
    }
  });

  it('two gateways share a file', async () => {
    const env = { STORE_PATH: path.join(temporaryFolder(), 'k.db') };
    const gateways = await Promise.all([0, 1].map(() => Gateway.start({ config, env, folder: temporaryFolder() })));
    let previous;
    for (let turn = 0; turn < 6; turn++) {
      const made = await sdk(gateways[turn % 2]).responses.create({ model: 'm-1', input: `turn ${turn}`,
        ...(previous && { previous_response_id: previous }) });
      previous = made.id;
    }
    assert.equal(upstream.requests.at(-1).json.messages.length, 11);
    for (const gateway of gateways) await gateway.stop();
  });

  it('a database that can not be written delays an answer a little and costs no client one', async () => {
    const env = { STORE_PATH: path.join(temporaryFolder(), 'k.db') };
    const gateway = await Gateway.start({ config, env });
    const client = sdk(gateway);
    const first = await client.responses.create({ model: 'm-1', input: 'one' });
    const other = new DatabaseSync(env.STORE_PATH);
    other.exec('BEGIN IMMEDIATE');
    const began = performance.now();
    const second = await client.responses.create({ model: 'm-1', input: 'two', previous_response_id: first.id });
    assert.equal(second.output_text, 'answer to 3');
    assert.ok(performance.now() - began < 5000);
    await gateway.log((l) => l.event === 'response_not_kept' && l.level === 'WARNING');
    await gateway.log((l) => l.event === 'store_failed' && /locked/.test(l.message), { ms: 15000 });
    other.exec('ROLLBACK');
    other.close();
    const third = await client.responses.create({ model: 'm-1', input: 'three', previous_response_id: first.id });
    assert.equal((await client.responses.retrieve(third.id)).id, third.id);
    await gateway.stop();
  });
});
