// State that only one account can read (thinking's signatures, encrypted reasoning, thought signatures)
// goes back to the account that made it, also where answers pass through untouched, whichever worker or
// process has the next turn, and after a restart.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import path from 'node:path';
import { request } from './support/http.mjs';
import { Gateway, temporaryFolder } from './support/process.mjs';
import { Upstream, beginEvents, chunk, completion, sendEvent, sendJson } from './support/upstream.mjs';

const secret = (name) => Buffer.from(`state of ${name} `.repeat(20)).toString('base64');
const typed = (res, event) => res.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);

// Each format: how a provider answers (once, and as a stream), how a client asks and goes on.
const formats = {
  anthropic: {
    backend: (upstream, extra) => ({ backend_type: 'anthropic', base_url: upstream.url.replace('/v1', ''), ...extra }),
    path: () => '/v1/messages',
    ask: (model, stream) => ({ model, max_tokens: 50, stream, messages: [{ role: 'user', content: 'Hi' }] }),
    more: (body, state) => ({ ...body, messages: [...body.messages, { role: 'assistant', content: [
      { type: 'thinking', thinking: 'hm', signature: state }, { type: 'text', text: 'Hello' }] }, { role: 'user', content: 'Go on' }] }),
    answer: (res, state, stream) => {
      const usage = { input_tokens: 1, output_tokens: 2 };
      if (!stream) {
        sendJson(res, { id: 'msg_1', type: 'message', role: 'assistant', model: 'x', content: [
          { type: 'thinking', thinking: 'hm', signature: state }, { type: 'text', text: 'Hello' }], stop_reason: 'end_turn', stop_sequence: null, usage });
        return;
      }
      beginEvents(res);
      typed(res, { type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model: 'x', content: [], stop_reason: null, usage } });
      typed(res, { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } });
      typed(res, { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'hm' } });
      typed(res, { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: state } });
      typed(res, { type: 'content_block_stop', index: 0 });
      typed(res, { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } });
      typed(res, { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'Hello' } });
      typed(res, { type: 'content_block_stop', index: 1 });
      typed(res, { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 2 } });
      typed(res, { type: 'message_stop' });
      res.end();
    },
  },
  gemini: {
    backend: (upstream, extra) => ({ backend_type: 'gemini', base_url: upstream.url.replace('/v1', ''), ...extra }),
    path: (model, stream) => `/v1beta/models/${model}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    ask: () => ({ contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] }),
    more: (body, state) => ({ contents: [...body.contents, { role: 'model', parts: [
      { functionCall: { name: 'f', args: {} }, thoughtSignature: state }] }, { role: 'user', parts: [{ functionResponse: { name: 'f', response: { ok: 1 } } }] }] }),
    answer: (res, state, stream) => {
      const of = (parts, extra) => ({ candidates: [{ content: { role: 'model', parts }, index: 0, ...extra }],
        usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 2, totalTokenCount: 3 } });
      const call = { functionCall: { name: 'f', args: {} }, thoughtSignature: state };
      if (!stream) { sendJson(res, of([call], { finishReason: 'STOP' })); return; }
      beginEvents(res);
      sendEvent(res, of([{ text: 'Well' }]));
      sendEvent(res, of([call]));
      sendEvent(res, of([{ text: '' }], { finishReason: 'STOP' }));
      res.end();
    },
  },
  responses: {
    backend: (upstream, extra) => ({ backend_type: 'openai', base_url: upstream.url, ...extra }),
    path: () => '/v1/responses',
    ask: (model, stream) => ({ model, stream, store: false, include: ['reasoning.encrypted_content'], input: [{ role: 'user', content: 'Hi' }] }),
    more: (body, state) => ({ ...body, input: [...body.input, { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: state },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Hello', annotations: [] }] }, { role: 'user', content: 'Go on' }] }),
    answer: (res, state, stream) => {
      const output = [{ type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: state },
        { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'Hello', annotations: [] }] }];
      const whole = { id: 'resp_1', object: 'response', created_at: 1, model: 'x', status: 'completed', output,
        usage: { input_tokens: 1, output_tokens: 2, total_tokens: 3 } };
      if (!stream) { sendJson(res, whole); return; }
      beginEvents(res);
      typed(res, { type: 'response.created', sequence_number: 0, response: { ...whole, status: 'in_progress', output: [] } });
      output.forEach((item, i) => {
        typed(res, { type: 'response.output_item.added', sequence_number: 3 * i + 1, output_index: i, item: { ...item, encrypted_content: undefined } });
        typed(res, { type: 'response.output_item.done', sequence_number: 3 * i + 2, output_index: i, item });
      });
      typed(res, { type: 'response.completed', sequence_number: 9, response: whole });
      res.end();
    },
  },
  chat: {
    backend: (upstream, extra) => ({ backend_type: 'openai_compatible', base_url: upstream.url, ...extra }),
    path: () => '/v1/chat/completions',
    ask: (model, stream) => ({ model, stream, messages: [{ role: 'user', content: 'Hi' }] }),
    more: (body, state) => ({ ...body, messages: [...body.messages, { role: 'assistant', content: 'Hello', reasoning_details: [
      { type: 'reasoning.text', text: 'hm', signature: state, format: 'anthropic-claude-v1', index: 0 }] }, { role: 'user', content: 'Go on' }] }),
    answer: (res, state, stream) => {
      const detail = { type: 'reasoning.text', text: 'hm', signature: state, format: 'anthropic-claude-v1', index: 0 };
      if (!stream) {
        const whole = completion('x', 'Hello');
        whole.choices[0].message.reasoning_details = [detail];
        sendJson(res, whole);
        return;
      }
      beginEvents(res);
      sendEvent(res, chunk({ role: 'assistant', content: '', reasoning_details: [{ ...detail, signature: null }] }));
      sendEvent(res, chunk({ content: '', reasoning_details: [{ ...detail, text: '' }] }));
      sendEvent(res, chunk({ content: 'Hello' }));
      sendEvent(res, chunk({}, { finish: 'stop' }));
      sendEvent(res, '[DONE]');
      res.end();
    },
  },
};

/** Two accounts; the first is down while `down` is set. */
async function accounts(format) {
  const state = { down: true, n: 0 };
  for (const name of ['a', 'b']) {
    state[name] = await Upstream.start((req, res, record) => {
      if (name === 'a' && state.down) return sendJson(res, { type: 'error', error: { type: 'api_error', message: 'down' } }, 500);
      const stream = record.json.stream === true || req.url.includes('stream');
      return format.answer(res, secret(`${name}${state.n++}`), stream);
    });
  }
  const a = format.backend(state.a, { model_name: 'x', api_key: 'k-a', fallbacks: ['b'] });
  const b = format.backend(state.b, { model_name: 'x', api_key: 'k-b' });
  state.config = { retry: { max_attempts: 2, base_delay: '1ms' }, models: { a, b } };
  state.stop = async () => { await state.a.stop(); await state.b.stop(); };
  return state;
}

async function post(gateway, format, model, json, stream, headers = {}) {
  const res = await request(gateway.port, { method: 'POST', path: format.path(model, stream), json, headers });
  assert.equal(res.status, 200, res.text);
  return res;
}

/** What the last answer of b was made of. */
const made = (up) => secret(`b${up.n - 1}`);

async function firstTurn(gateway, format, up, stream) {
  up.down = true;
  const res = await post(gateway, format, 'a', format.ask('a', stream), stream);
  assert.equal(res.headers['x-tollgate-target'], 'b');
  assert.ok(res.text.includes(made(up)), 'it passes through');
  up.down = false;
}

describe('opaque state that passes through', () => {
  for (const [name, format] of Object.entries(formats)) {
    for (const stream of [false, true]) {
      it(`${name}, ${stream ? 'streamed' : 'single'}: the next turn goes to its maker`, async () => {
        const up = await accounts(format);
        const gateway = await Gateway.start({ config: up.config, workers: 2 });
        await firstTurn(gateway, format, up, stream);
        const next = format.more(format.ask('a', stream), made(up));
        for (let i = 0; i < 6; i++) { // on a connection of its own each: both workers get some
          const res = await post(gateway, format, 'a', next, stream);
          assert.equal(res.headers['x-tollgate-target'], 'b');
          assert.deepEqual(up.b.requests.at(-1).json, { ...next, ...('model' in next && { model: 'x' }),
            ...(name === 'chat' && stream && { stream_options: { include_usage: true } }) });
        }
        const fresh = await post(gateway, format, 'a', format.ask('a', stream), stream);
        assert.equal(fresh.headers['x-tollgate-target'], 'a', 'a new conversation starts where the route says');
        await gateway.stop();
        await up.stop();
      });
    }

    it(`${name}: after a restart, where there is a database`, async () => {
      const up = await accounts(format);
      const env = { STORE_PATH: path.join(temporaryFolder(), 'k.db') };
      const before = await Gateway.start({ config: up.config, env });
      await firstTurn(before, format, up, false);
      const next = format.more(format.ask('a', false), made(up));
      await post(before, format, 'a', next, false); // behind it in the database's queue
      before.child.kill('SIGKILL');
      await before.child.ending();
      const after = await Gateway.start({ config: up.config, env });
      const res = await post(after, format, 'a', next, false);
      assert.equal(res.headers['x-tollgate-target'], 'b');
      const unknown = format.more(format.ask('a', false), secret('nobody'));
      assert.equal((await post(after, format, 'a', unknown, false)).headers['x-tollgate-target'], 'a');
      const kept = await request(after.port, { path: '/v1/responses/:opaque' });
      assert.equal(kept.status, 404, 'nobody can ask for it');
      await after.stop();
      await up.stop();
    });

    it(`${name}: without its maker the state is left out and named, or refused`, async () => {
      const up = await accounts(format);
      const gateway = await Gateway.start({ config: up.config });
      await firstTurn(gateway, format, up, false);
      const state = made(up);
      await gateway.reload({ ...up.config, models: { a: { ...up.config.models.a, fallbacks: undefined } } });
      const next = format.more(format.ask('a', false), state);
      const res = await post(gateway, format, 'a', next, false);
      assert.equal(res.headers['x-tollgate-target'], 'a');
      assert.match(res.headers['x-tollgate-fidelity'], /^dropped=/);
      assert.ok(!up.a.requests.at(-1).body.toString().includes(state), 'the other account does not get it');
      const line = await gateway.log((l) => l.event === 'response_generated' && l.fidelity);
      assert.equal(line.fidelity, res.headers['x-tollgate-fidelity']);
      const refused = await request(gateway.port, { path: format.path('a', false), json: next, headers: { 'x-tollgate-strict': 'true' } });
      assert.equal(refused.status, 400, refused.text);
      assert.match(refused.text, /strict mode: .* was made by a model that is not configured any more/);
      await gateway.stop();
      await up.stop();
    });
  }

  it('a maker that is down keeps nobody waiting: others go on without, and say so', async () => {
    const format = formats.anthropic;
    const up = await accounts(format);
    const gateway = await Gateway.start({ config: up.config });
    await firstTurn(gateway, format, up, false);
    const next = format.more(format.ask('a', false), made(up));
    await up.b.stop();
    const res = await post(gateway, format, 'a', next, false);
    assert.equal(res.headers['x-tollgate-target'], 'a');
    assert.match(res.headers['x-tollgate-fidelity'], /dropped=/);
    const refused = await request(gateway.port, { path: '/v1/messages', json: next, headers: { 'x-tollgate-strict': 'true' } });
    assert.notEqual(refused.status, 200);
    await gateway.stop();
    await up.a.stop();
  });

  it('another model of the same account reads it', async () => {
    const format = formats.anthropic;
    const up = await accounts(format);
    const { model_name: _, ...account } = up.config.models.b;
    const gateway = await Gateway.start({ config: { ...up.config, models: { ...up.config.models, other: { ...account, model_name: 'x2' } } } });
    await firstTurn(gateway, format, up, false);
    const state = made(up);
    const res = await post(gateway, format, 'other', format.more(format.ask('other', false), state), false);
    assert.equal(res.headers['x-tollgate-target'], 'other');
    assert.equal(res.headers['x-tollgate-fidelity'], undefined);
    assert.ok(up.b.requests.at(-1).body.toString().includes(state));
    await gateway.stop();
    await up.stop();
  });

  it('reasoning that the provider keeps is known by its id', async () => {
    const format = formats.responses;
    const up = await accounts(format);
    const gateway = await Gateway.start({ config: up.config });
    await firstTurn(gateway, format, up, false);
    const next = format.more(format.ask('a', false), undefined);
    const res = await post(gateway, format, 'a', next, false);
    assert.equal(res.headers['x-tollgate-target'], 'b');
    await gateway.stop();
    await up.stop();
  });
});
