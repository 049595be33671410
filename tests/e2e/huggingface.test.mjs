// Hugging Face's servers by their own API: text-generation-inference's /generate, text-embeddings-
// inference's /embed and /rerank, for clients of other protocols.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { chat, request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';
import { Upstream, beginEvents, sendJson } from './support/upstream.mjs';

const client = (gateway) => new OpenAI({ apiKey: 'none', baseURL: `${gateway.url}/v1`, maxRetries: 0 });
const native = (upstream) => ({ backend_type: 'huggingface', api: 'native', base_url: upstream.url, api_key: 'hf_test' });

async function serve(handler, use) {
  const upstream = await Upstream.start(handler);
  const gateway = await Gateway.start({ config: { retry: { max_attempts: 1 }, models: { m: native(upstream) } } });
  await use(gateway, upstream);
  await gateway.stop();
  await upstream.stop();
}

/** A stream of tokens as the server sends it, and the text of all of them in its last event. */
function stream(res, tokens, details) {
  beginEvents(res);
  tokens.forEach((text, i) => {
    const last = i === tokens.length - 1;
    const event = { index: i + 1, token: { id: i, text, logprob: -0.1, special: text === '</s>' },
      generated_text: last ? tokens.filter((t) => t !== '</s>').join('') : null, details: last ? details : null };
    res.write(`data:${JSON.stringify(event)}\n\n`);
  });
  res.end();
}

describe('text-generation-inference', () => {
  it('raw prompts, streamed and not', () => serve((req, res, record) => {
    if (record.path === '/generate_stream') {
      stream(res, ['Rome', ' is', ' old', '.', '</s>'], { finish_reason: 'eos_token', generated_tokens: 5, seed: null, input_length: 6 });
    } else {
      sendJson(res, { generated_text: 'Rome.', details: { finish_reason: 'length', generated_tokens: 2, seed: 1, prefill: [], tokens: [] } }, 200,
        { 'x-prompt-tokens': '6', 'x-generated-tokens': '2' });
    }
  }, async (gateway, upstream) => {
    const r = await client(gateway).completions.create({ model: 'm', prompt: 'The capital of Italy is', max_tokens: 2, temperature: 0.5, stop: ['\n'] });
    assert.equal(r.choices[0].text, 'Rome.');
    assert.equal(r.choices[0].finish_reason, 'length');
    assert.deepEqual([r.usage.prompt_tokens, r.usage.completion_tokens], [6, 2]);
    assert.equal(upstream.requests[0].path, '/generate');
    assert.equal(upstream.requests[0].headers.authorization, 'Bearer hf_test');
    assert.deepEqual(upstream.requests[0].json, { inputs: 'The capital of Italy is',
      parameters: { temperature: 0.5, do_sample: true, max_new_tokens: 2, stop: ['\n'], return_full_text: false, details: true } });
    let text = '', usage;
    for await (const c of await client(gateway).completions.create({ model: 'm', prompt: 'x', stream: true, stream_options: { include_usage: true } })) {
      text += c.choices[0]?.text ?? '';
      usage = c.usage ?? usage;
    }
    assert.equal(text, 'Rome is old.');
    assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], [6, 5]);
  }));

  it('a conversation becomes a text, and says so', () => serve((req, res, record) => {
    stream(res, [' Hello', ' there', '.\n', 'User', ':'], { finish_reason: 'stop_sequence', generated_tokens: 5, seed: null, input_length: 9 });
  }, async (gateway, upstream) => {
    const anthropic = new Anthropic({ apiKey: 'none', baseURL: gateway.url, maxRetries: 0 });
    const answer = anthropic.messages.stream({ model: 'm', max_tokens: 50, system: 'Be brief.', messages: [{ role: 'user', content: 'Hi' }] });
    const message = await answer.finalMessage();
    assert.equal(message.content[0].text.trimEnd(), 'Hello there.');
    assert.equal(message.stop_reason, 'end_turn');
    assert.deepEqual([message.usage.input_tokens, message.usage.output_tokens], [9, 5]);
    assert.equal(upstream.requests[0].json.inputs, 'Be brief.\n\nUser: Hi\nAssistant:');
    const res = await chat(gateway.port, 'm', { stream: true });
    assert.match(res.headers['x-tollgate-fidelity'], /emulated=\S*prompt/);
    const strict = await chat(gateway.port, 'm', { stream: true }, { headers: { 'x-tollgate-strict': 'true' } });
    assert.equal(strict.status, 400, strict.text);
    const tools = await chat(gateway.port, 'm', { tools: [{ type: 'function', function: { name: 'f', parameters: {} } }] });
    assert.equal(tools.status, 400);
    assert.equal(tools.error.param, 'tools');
  }));

  it('errors: loading, overloaded, too long, in the middle of a stream', async () => {
    const answers = [
      [503, { error: 'Model x is currently loading', estimated_time: 20.3 }, { status: 503, retry: '21' }],
      [429, { error: 'Model is overloaded', error_type: 'overloaded' }, { status: 429 }],
      [422, { error: 'Input validation error: `inputs` must have less than 1024 tokens. Given: 2000', error_type: 'validation' }, { status: 422, code: 'context_length_exceeded' }],
      [424, { error: 'Request failed during generation: CUDA', error_type: 'generation' }, { status: 502 }],
    ];
    let next;
    await serve((req, res) => {
      if (next) return sendJson(res, next[1], next[0]);
      beginEvents(res);
      res.write('data:{"token":{"text":"Hel","special":false},"generated_text":null}\n\n');
      return res.end('data:{"error":"Request failed during generation: CUDA","error_type":"generation"}\n\n');
    }, async (gateway) => {
      for (next of answers) {
        const res = await chat(gateway.port, 'm');
        assert.equal(res.status, next[2].status, res.text);
        assert.equal(res.error.message, next[1].error);
        assert.equal(res.headers['retry-after'], next[2].retry);
        if (next[2].code) assert.equal(res.error.code, next[2].code);
      }
      next = null;
      const broken = await client(gateway).chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'Hi' }], stream: true });
      await assert.rejects(async () => { for await (const _ of broken) ; }, /Request failed during generation: CUDA/);
    });
  });
});

describe('text-embeddings-inference', () => {
  it('embeddings and rankings', () => serve((req, res, record) => {
    const headers = { 'x-compute-tokens': '8' };
    if (record.path === '/embed') sendJson(res, record.json.inputs.map((t, i) => [i, 0.5]), 200, headers);
    else sendJson(res, [{ index: 1, score: 0.9 }, { index: 2, score: 0.4 }, { index: 0, score: 0.1 }], 200, headers);
  }, async (gateway, upstream) => {
    const e = await client(gateway).embeddings.create({ model: 'm', input: ['a', 'b'], dimensions: 2 });
    assert.deepEqual(e.data.map((d) => [...d.embedding]), [[0, 0.5], [1, 0.5]]);
    assert.equal(e.usage.prompt_tokens, 8);
    assert.deepEqual(upstream.requests[0].json, { inputs: ['a', 'b'], dimensions: 2 });
    const ranked = await request(gateway.port, { path: '/v1/rerank', json: { model: 'm', query: 'q', documents: ['a', 'b', 'c'], top_n: 2 } });
    assert.equal(ranked.status, 200, ranked.text);
    assert.deepEqual(JSON.parse(ranked.text).results.map((x) => [x.index, x.relevance_score]), [[1, 0.9], [2, 0.4]]);
    assert.deepEqual(upstream.requests[1].json, { query: 'q', texts: ['a', 'b', 'c'] });
  }));
});
