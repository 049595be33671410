// What OpenAI's API has beside chat, and what its clients give back: embeddings in both encodings,
// moderations, ranking, images and sounds, functions of the older form, signed reasoning.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { Gateway } from './support/process.mjs';
import { Upstream, sendJson, target } from './support/upstream.mjs';

const VECTORS = [[0.5, -2, 0.1], [1, 0, 3.25]];
const packed = (v) => Buffer.from(new Float32Array(v).buffer).toString('base64');
const SOUND = Buffer.from([0x49, 0x44, 0x33, 0, 0xff, 0xfe, 0x0d, 0x0a, 0x7b]);

function embeddings(res, r) {
  const n = Array.isArray(r.json.input) ? r.json.input.length : 1;
  sendJson(res, { object: 'list', model: r.json.model, usage: { prompt_tokens: 3, total_tokens: 3 },
    data: VECTORS.slice(0, n).map((v, index) => ({ object: 'embedding', index,
      embedding: r.json.encoding_format === 'base64' ? packed(v) : v })) });
}

function onRequest(req, res, r) {
  const path = new URL(r.path, 'http://x').pathname;
  if (path.endsWith('/embeddings')) return embeddings(res, r);
  if (path.endsWith('/moderations')) {
    return sendJson(res, { id: 'modr-9', model: r.json.model, results: [{ flagged: true, categories: { hate: true },
      category_scores: { hate: 0.9 } }] });
  }
  if (path.endsWith('/rerank')) {
    return sendJson(res, { id: 'r', results: [{ index: 1, relevance_score: 0.9 }, { index: 0, relevance_score: 0.1 }] });
  }
  if (path.endsWith('/images/generations')) {
    return sendJson(res, { created: 1, data: [{ b64_json: 'QUJD' }], usage: { input_tokens: 4, output_tokens: 5, total_tokens: 9 } });
  }
  if (path.endsWith('/audio/speech')) {
    res.writeHead(200, { 'content-type': 'audio/mpeg', 'content-length': SOUND.length });
    return res.end(SOUND);
  }
  if (path.endsWith('/audio/transcriptions')) return sendJson(res, { text: 'hello there' });
  if (path.endsWith('/messages')) return anthropic(res, r);
  return sendJson(res, { error: { message: `nothing at ${path}`, type: 'invalid_request_error' } }, 404);
}

// Thinks, signed, and calls a tool; with the tool's result it is content.
function anthropic(res, r) {
  const done = r.json.messages.length > 1;
  sendJson(res, { id: 'msg_1', type: 'message', role: 'assistant', model: r.json.model,
    stop_reason: done ? 'end_turn' : 'tool_use', stop_sequence: null, usage: { input_tokens: 5, output_tokens: 6 },
    content: done ? [{ type: 'text', text: 'It is mild.' }]
      : [{ type: 'thinking', thinking: 'A tööl is needed.', signature: 'EpYD+/=sig"n\\ed' },
        { type: 'redacted_thinking', data: 'c2VjcmV0' },
        { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { town: 'Bern' } }] });
}

describe("OpenAI's other endpoints", () => {
  let upstream, gateway, client, openai;

  before(async () => {
    upstream = await Upstream.start(onRequest);
    const claude = { backend_type: 'anthropic', base_url: upstream.url, api_key: 'sk-ant' };
    const base = { retry: { max_attempts: 1 } };
    gateway = await Gateway.start({ config: { ...base, models: {
      'emb-*': target(upstream), 'mod-*': target(upstream), 'img-*': target(upstream), 'tts-*': target(upstream),
      whisper: target(upstream, { model_name: 'whisper-large-v3-turbo' }), ranker: target(upstream), claude,
    } } });
    client = new OpenAI({ apiKey: 'k', baseURL: `${gateway.url}/v1`, maxRetries: 0 });
    openai = (body, path) => fetch(`${gateway.url}${path}`, { method: 'POST', body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' } });
  });

  after(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  const last = () => upstream.requests.at(-1);

  it('embeddings: the SDK asks for base64 and gets its floats', async () => {
    const answer = await client.embeddings.create({ model: 'emb-1', input: ['a', 'b'], dimensions: 3 });
    assert.equal(last().json.encoding_format, 'base64');
    assert.equal(last().json.dimensions, 3);
    assert.deepEqual(answer.data.map((d) => [...d.embedding]), VECTORS.map((v) => [...new Float32Array(v)]));
    assert.equal(answer.usage.prompt_tokens, 3);
    const floats = await client.embeddings.create({ model: 'emb-1', input: 'a', encoding_format: 'float' });
    assert.deepEqual(floats.data[0].embedding, VECTORS[0]);
    const log = gateway.logs().filter((l) => l.event === 'response_generated').at(-1);
    assert.equal(log.token_usage.prompt_tokens, 3);
  });

  it('embeddings of tokens; what is no input is refused', async () => {
    await client.embeddings.create({ model: 'emb-1', input: [[1, 2], [3]] });
    assert.deepEqual(last().json.input, [[1, 2], [3]]);
    await assert.rejects(client.embeddings.create({ model: 'emb-1', input: [] }), /at least one/);
    await assert.rejects(client.embeddings.create({ model: 'emb-1' }), /'input' is missing/);
  });

  it('moderations and ranking', async () => {
    const verdict = await client.moderations.create({ model: 'mod-1', input: 'x' });
    assert.equal(verdict.results[0].flagged, true);
    for (const path of ['/v1/rerank', '/v2/rerank']) {
      const answer = await openai({ model: 'ranker', query: 'q', documents: ['a', 'b'], top_n: 2 }, path);
      assert.equal(answer.status, 200);
      assert.deepEqual((await answer.json()).results.map((r) => r.index), [1, 0]);
      assert.equal(last().path, '/v1/rerank');
    }
  });

  it('images come back as they are', async () => {
    const image = await client.images.generate({ model: 'img-1', prompt: 'a cat', n: 1 });
    assert.equal(image.data[0].b64_json, 'QUJD');
    assert.equal(last().json.prompt, 'a cat');
  });

  it('sounds come back byte for byte with their type', async () => {
    const speech = await client.audio.speech.create({ model: 'tts-1', voice: 'alloy', input: 'hi' });
    assert.equal(speech.headers.get('content-type'), 'audio/mpeg');
    assert.deepEqual(Buffer.from(await speech.arrayBuffer()), SOUND);
  });

  it('a form passes with the model\'s field replaced', async () => {
    const text = await client.audio.transcriptions.create({ model: 'whisper', language: 'de',
      file: await toFile(SOUND, 'a.mp3', { type: 'audio/mpeg' }) });
    assert.equal(text.text, 'hello there');
    const form = await new Response(last().body, { headers: { 'content-type': last().headers['content-type'] } }).formData();
    assert.equal(form.get('model'), 'whisper-large-v3-turbo');
    assert.equal(form.get('language'), 'de');
    assert.deepEqual(Buffer.from(await form.get('file').arrayBuffer()), SOUND);
  });

  it('what a provider has no form of is refused by name', async () => {
    await assert.rejects(client.images.generate({ model: 'claude', prompt: 'x' }), (e) => e.status === 400);
    await assert.rejects(client.embeddings.create({ model: 'claude', input: 'x' }), (e) => e.status === 400);
  });

  it('functions of the older form reach a provider of another format, and calls come back so', async () => {
    const functions = [{ name: 'weather', parameters: { type: 'object', properties: { town: { type: 'string' } } } }];
    const question = { role: 'user', content: 'Bern?' };
    const first = await client.chat.completions.create({ model: 'claude', functions, function_call: 'auto',
      max_tokens: 5000, messages: [question] });
    assert.deepEqual(last().json.tools.map((t) => t.name), ['weather']);
    const { message } = first.choices[0];
    assert.equal(first.choices[0].finish_reason, 'function_call');
    assert.equal(message.function_call.name, 'weather');
    assert.deepEqual(JSON.parse(message.function_call.arguments), { town: 'Bern' });
    await client.chat.completions.create({ model: 'claude', functions, max_tokens: 5000, messages: [question,
      { role: 'assistant', content: null, function_call: message.function_call },
      { role: 'function', name: 'weather', content: '7 degrees' }] });
    const sent = last().json.messages;
    const call = sent[1].content.find((p) => p.type === 'tool_use');
    const result = sent[2].content.find((p) => p.type === 'tool_result');
    assert.equal(call.id, result.tool_use_id);
  });

  it('signed thinking goes through an OpenAI client byte for byte', async () => {
    const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: {} } } }];
    const messages = [{ role: 'user', content: 'Bern?' }];
    const ask = () => client.chat.completions.create({ model: 'claude', tools, max_tokens: 5000, messages });
    const { message } = (await ask()).choices[0];
    assert.equal(message.reasoning_content, 'A tööl is needed.');
    messages.push(message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: '7 degrees' });
    assert.equal((await ask()).choices[0].message.content, 'It is mild.');
    const parts = last().json.messages[1].content;
    assert.deepEqual(parts[0], { type: 'thinking', thinking: 'A tööl is needed.', signature: 'EpYD+/=sig"n\\ed' });
    assert.deepEqual(parts[1], { type: 'redacted_thinking', data: 'c2VjcmV0' });
    assert.equal(parts[2].type, 'tool_use');
  });
});
