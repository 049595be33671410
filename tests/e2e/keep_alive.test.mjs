// A model that thinks for long: each client hears something every 15 seconds, in what its format has
// for saying nothing, and reads the answer as if it had not.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { GoogleGenAI } from '@google/genai';
import { ChatAnthropic } from '@langchain/anthropic';
import { ChatOpenAI } from '@langchain/openai';
import { streamText } from 'ai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';

const SILENCE_MS = 16500; // the gateway speaks after 15,000
const SAID = 'One two.';
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const event = (value) => `data: ${JSON.stringify(value)}\n\n`;
const named = (value) => `event: ${value.type}\n${event(value)}`;

// What a provider of each format sends: a piece, silence, the rest.
const chunk = (delta, finish = null) => event({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] });
const candidate = (text, finishReason) => ({ candidates: [{ content: { role: 'model', parts: [{ text }] }, finishReason, index: 0 }], modelVersion: 'm' });
const line = (content, done) => `${JSON.stringify({ model: 'm', created_at: '2026-01-01T00:00:00Z', message: { role: 'assistant', content }, done })}\n`;
const PROVIDERS = {
  openai: ['text/event-stream', chunk({ role: 'assistant', content: 'One' }), chunk({ content: ' two.' }) + chunk({}, 'stop') + 'data: [DONE]\n\n'],
  anthropic: ['text/event-stream',
    named({ type: 'message_start', message: { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null, stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 } } }) +
    named({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }) +
    named({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'One' } }),
    named({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: ' two.' } }) + named({ type: 'content_block_stop', index: 0 }) +
    named({ type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 2 } }) + named({ type: 'message_stop' })],
  gemini: ['text/event-stream', event(candidate('One')), event(candidate(' two.', 'STOP'))],
  gemini_array: ['application/json', `[${JSON.stringify(candidate('One'))}`, `,\r\n${JSON.stringify(candidate(' two.', 'STOP'))}]`],
  ollama: ['application/x-ndjson', line('One', false), line(' two.', false) + line('', true)],
};

function provide(req, res) {
  const format = /streamGenerateContent/.test(req.url) ? (/alt=sse/.test(req.url) ? 'gemini' : 'gemini_array')
    : /\/messages/.test(req.url) ? 'anthropic' : /\/api\/chat/.test(req.url) ? 'ollama' : 'openai';
  const [type, first, rest] = PROVIDERS[format];
  const early = /early/.test(req.headers['x-when'] ?? ''); // silent before its first word
  req.resume().on('end', async () => {
    res.writeHead(200, { 'content-type': type });
    if (early) res.flushHeaders();
    else res.write(first);
    await sleep(SILENCE_MS);
    res.end(early ? first + rest : rest);
  });
}

let provider, gateway, base;
const messages = [{ role: 'user', content: 'Count.' }];
const contents = [{ role: 'user', parts: [{ text: 'Count.' }] }];

async function gathered(stream, textOf) {
  let text = '';
  for await (const piece of stream) text += textOf(piece) ?? '';
  return text;
}
const framework = (model) => gathered(streamText({ model, prompt: 'Count.', maxRetries: 0, onError: ({ error }) => { throw error; } }).textStream, (t) => t);
const options = () => ({ apiKey: 'k', maxRetries: 0 });
const CLIENTS = {
  'openai, chat': async (model) => gathered(await new OpenAI({ ...options(), baseURL: `${base}/v1` }).chat.completions.create({ model, messages, stream: true }), (c) => c.choices[0]?.delta?.content),
  'openai, completions': async (model) => gathered(await new OpenAI({ ...options(), baseURL: `${base}/v1` }).completions.create({ model, prompt: 'Count.', stream: true }), (c) => c.choices[0]?.text),
  'openai, responses': async (model) => (await new OpenAI({ ...options(), baseURL: `${base}/v1` }).responses.stream({ model, input: 'Count.' }).finalResponse()).output_text,
  anthropic: async (model) => (await new Anthropic({ ...options(), baseURL: base }).messages.stream({ model, max_tokens: 99, messages }).finalMessage()).content[0].text,
  google: async (model) => gathered(await new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl: base } }).models.generateContentStream({ model, contents: 'Count.' }), (c) => c.text),
  'ollama, chat': async (model) => gathered(await new Ollama({ host: base }).chat({ model, messages, stream: true }), (c) => c.message.content),
  'ollama, generate': async (model) => gathered(await new Ollama({ host: base }).generate({ model, prompt: 'Count.', stream: true }), (c) => c.response),
  'ai, openai': (model) => framework(createOpenAI({ apiKey: 'k', baseURL: `${base}/v1` }).chat(model)),
  'ai, openai responses': (model) => framework(createOpenAI({ apiKey: 'k', baseURL: `${base}/v1` }).responses(model)),
  'ai, anthropic': (model) => framework(createAnthropic({ apiKey: 'k', baseURL: `${base}/v1` })(model)),
  'ai, google': (model) => framework(createGoogleGenerativeAI({ apiKey: 'k', baseURL: `${base}/v1beta` })(model)),
  'langchain, openai': async (model) => gathered(await new ChatOpenAI({ model, ...options(), configuration: { baseURL: `${base}/v1` } }).stream('Count.'), (c) => c.text),
  'langchain, anthropic': async (model) => gathered(await new ChatAnthropic({ model, ...options(), anthropicApiUrl: base }).stream('Count.'), (c) => c.text),
};
// Which provider each client passes through to.
const OWN = { openai: 'openai', anthropic: 'anthropic', google: 'gemini', ollama: 'ollama' };
const ownOf = (client) => OWN[/google/.test(client) ? 'google' : /anthropic/.test(client) ? 'anthropic' : /ollama/.test(client) ? 'ollama' : 'openai'];

// What there is to see on the wire, and what reads it.
const data = (text) => text.split('\n').filter((l) => l.startsWith('data: ') && l !== 'data: [DONE]').map((l) => JSON.parse(l.slice(6)));
const lines = (text) => text.trim().split('\n').map((l) => JSON.parse(l));
const COMMENT = /^: keep-alive\n\n/m;
const EMPTY = /^\{"model":"[^"]+","created_at":"[^"]+","message":\{"role":"assistant","content":""\},"done":false\}\n/m;
const WIRES = {
  'openai chat': { path: () => '/v1/chat/completions', json: { messages, stream: true }, sign: COMMENT, read: (t) => data(t).map((e) => e.choices[0]?.delta?.content ?? '').join('') },
  'openai responses': { path: () => '/v1/responses', json: { input: 'Count.', stream: true }, sign: COMMENT, read: (t) => data(t).map((e) => (e.type === 'response.output_text.delta' ? e.delta : '')).join('') },
  anthropic: { path: () => '/v1/messages', json: { max_tokens: 9, messages, stream: true }, sign: /^event: ping\ndata: \{"type":"ping"\}\n\n/m, read: (t) => data(t).map((e) => e.delta?.text ?? '').join('') },
  gemini: { path: (m) => `/v1beta/models/${m}:streamGenerateContent?alt=sse`, json: { contents }, sign: COMMENT, read: (t) => data(t).map((e) => e.candidates[0].content.parts.map((p) => p.text).join('')).join('') },
  'gemini, one array': { path: (m) => `/v1beta/models/${m}:streamGenerateContent`, json: { contents }, late: true, sign: /\}\n,/,
    read: (t) => { assert.equal(t[0], '['); return JSON.parse(t).map((e) => e.candidates[0].content?.parts?.map((p) => p.text).join('') ?? '').join(''); } },
  'ollama chat': { path: () => '/api/chat', json: { messages }, sign: EMPTY, read: (t) => lines(t).map((l) => l.message.content).join('') },
  'ollama generate': { path: () => '/api/generate', json: { prompt: 'Count.' }, sign: /^\{"model":"[^"]+","created_at":"[^"]+","response":"","done":false\}\n/m, read: (t) => lines(t).map((l) => l.response).join('') },
  generate: { path: () => '/v1/generate', json: { prompt: 'Count.', stream: true }, sign: COMMENT, read: (t) => data(t).filter((e) => !('completion' in e)).map((e) => e.text).join('') },
};

describe('a stream that is silent for long', { concurrency: true }, () => {
  before(async () => {
    provider = http.createServer(provide);
    await new Promise((resolve) => { provider.listen(0, '127.0.0.1', resolve); });
    const at = `http://127.0.0.1:${provider.address().port}`;
    const urls = { openai: `${at}/v1`, anthropic: at, gemini: at, ollama: at };
    const types = { openai: 'openai_compatible', anthropic: 'anthropic', gemini: 'gemini', ollama: 'ollama' };
    const models = {};
    for (const [name, url] of Object.entries(urls)) {
      models[`${name}-early`] = { backend_type: types[name], base_url: url, api_key: 'k', headers: { 'x-when': 'early' } };
      models[`${name}-late`] = { backend_type: types[name], base_url: url, api_key: 'k' };
    }
    gateway = await Gateway.start({ config: { models } });
    base = gateway.url;
  });
  after(async () => {
    provider?.close();
    await gateway?.stop();
  });

  for (const [client, run] of Object.entries(CLIENTS)) {
    it(`${client}: translated`, async () => {
      const from = ownOf(client) === 'anthropic' ? 'openai' : 'anthropic';
      assert.deepEqual(await Promise.all([run(`${from}-early`), run(`${from}-late`)]), [SAID, SAID]);
    });
    if (/completions|responses|generate$/.test(client)) continue; // their providers would be others
    it(`${client}: passed through`, async () => {
      assert.deepEqual(await Promise.all([run(`${ownOf(client)}-early`), run(`${ownOf(client)}-late`)]), [SAID, SAID]);
    });
  }

  for (const [name, wire] of Object.entries(WIRES)) {
    it(`${name}: what is on the wire`, async () => {
      const own = { 'openai chat': 'openai', anthropic: 'anthropic', gemini: 'gemini', 'gemini, one array': 'gemini', 'ollama chat': 'ollama' }[name];
      const other = name === 'anthropic' ? 'openai' : 'anthropic';
      await Promise.all([other, own].filter(Boolean).flatMap((p) => [`${p}-early`, `${p}-late`]).map(async (model) => {
        const res = await request(gateway.port, { path: wire.path(model), json: { model, ...wire.json }, ms: 40000 });
        assert.equal(res.status, 200, res.text);
        assert.equal(wire.read(res.text), SAID, res.text);
        if (!wire.late || /late/.test(model)) assert.match(res.text, wire.sign, `${model}: ${res.text}`);
      }));
    });
  }
});
