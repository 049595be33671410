// Recorded answers of real providers, behind the gateway, read by the vendors' own clients: each
// client gets every provider's answers in its own format.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { Gateway, SHARED } from './support/process.mjs';
import { Upstream } from './support/upstream.mjs';

const RECORDINGS = path.join(SHARED, 'recordings');

// Which adapter reads a recording's format, and how it reaches a provider.
const KINDS = {
  'openai-chat': (p) => ({ backend_type: 'openai_compatible', base_url: `${p}/v1` }),
  'openai-responses': (p) => ({ backend_type: 'openai', api: 'responses', base_url: `${p}/v1`, api_key: 'k' }),
  'anthropic-messages': (p) => ({ backend_type: 'anthropic', base_url: p, api_key: 'k' }),
  'gemini-generate': (p) => ({ backend_type: 'gemini', base_url: p, api_key: 'k' }),
  'gemini-stream': (p) => ({ backend_type: 'gemini', base_url: p, api_key: 'k' }),
  'cohere-v2-chat': (p) => ({ backend_type: 'cohere', base_url: p, api_key: 'k' }),
  'ollama-chat': (p) => ({ backend_type: 'ollama', base_url: p }),
  'bedrock-converse': (p) => ({ backend_type: 'bedrock', base_url: p, region: 'eu-west-1', api_key: 'k' }),
  'bedrock-converse-stream': (p) => ({ backend_type: 'bedrock', base_url: p, region: 'eu-west-1', api_key: 'k' }),
};

function load() {
  const cases = [];
  for (const name of existsSync(RECORDINGS) ? readdirSync(RECORDINGS).sort() : []) {
    const folder = path.join(RECORDINGS, name);
    if (!existsSync(path.join(folder, 'response.json'))) continue;
    const request = JSON.parse(readFileSync(path.join(folder, 'request.json')));
    const response = JSON.parse(readFileSync(path.join(folder, 'response.json')));
    const ended = !response.stream || /^ok/.test(response.stream_end);
    if (!KINDS[request.api] || response.status !== 200 || !ended) continue;
    const body = readFileSync(path.join(folder, response.body_file));
    // Some files hold several answers, one behind the other: no provider sends that.
    if ((body.toString().match(/^event: (response\.created|message_start)$/gm) ?? []).length > 1) continue;
    cases.push({ name, api: request.api, stream: Boolean(response.stream), type: response.headers['content-type'], body });
  }
  return cases;
}

const cases = load();
const skip = cases.length ? false : 'no recordings beside the repository';
let upstream, gateway;

const messages = [{ role: 'user', content: 'Hi' }];
const openai = () => new OpenAI({ apiKey: 'none', baseURL: `${gateway.url}/v1`, maxRetries: 0 });
const anthropic = () => new Anthropic({ apiKey: 'none', baseURL: gateway.url, maxRetries: 0 });
const google = () => new GoogleGenAI({ apiKey: 'none', httpOptions: { baseUrl: gateway.url } });
const ollama = () => new Ollama({ host: gateway.url });

async function gathered(stream, textOf) {
  let text = '';
  for await (const piece of stream) text += textOf(piece) ?? '';
  return text;
}

/** Mistral's content is a list where it thinks. */
function said(content) {
  return Array.isArray(content) ? content.filter((c) => c.type === 'text').map((c) => c.text).join('') : content ?? '';
}

/** A refusal is a text of its own for OpenAI's clients only. */
function saidOrRefused(message) {
  return said(message?.content) + (message?.refusal ?? '');
}

// What each client makes of an answer: the text that is said. Formats that pass through are read
// by event: recordings were scrubbed of ids that the clients' own helpers compare.
const CLIENTS = {
  'openai chat': async (model, stream) => (stream
    ? await gathered(await openai().chat.completions.create({ model, messages, stream: true }), (c) => saidOrRefused(c.choices.find((x) => x.index === 0)?.delta))
    : saidOrRefused((await openai().chat.completions.create({ model, messages })).choices[0]?.message)),
  'openai responses': async (model, stream, api) => {
    const request = { model, input: 'Hi', store: false };
    if (stream && api === 'openai-responses') {
      return await gathered(await openai().responses.create({ ...request, stream: true }),
        (e) => (/^response\.(output_text|refusal)\.delta$/.test(e.type) ? e.delta : ''));
    }
    const { output } = stream ? await openai().responses.stream(request).finalResponse() : await openai().responses.create(request);
    return output.flatMap((o) => (o.type === 'message' ? o.content : [])).map((c) => c.text ?? c.refusal).join('');
  },
  anthropic: async (model, stream) => {
    const request = { model, max_tokens: 100, messages };
    const message = stream ? await anthropic().messages.stream(request).finalMessage() : await anthropic().messages.create(request);
    assert.ok(message.stop_reason);
    return message.content.filter((c) => c.type === 'text').map((c) => c.text).join('');
  },
  google: async (model, stream) => {
    const textOf = (c) => (c.candidates?.find((x) => !x.index)?.content?.parts ?? []).filter((p) => p.text && !p.thought).map((p) => p.text).join('');
    const request = { model, contents: 'Hi' };
    return stream ? await gathered(await google().models.generateContentStream(request), textOf)
      : textOf(await google().models.generateContent(request));
  },
  ollama: async (model, stream) => (stream
    ? await gathered(await ollama().chat({ model, messages, stream: true }), (c) => c.message.content)
    : (await ollama().chat({ model, messages })).message.content),
};

describe('recorded answers, read by the vendors\' clients', { skip }, () => {
  before(async () => {
    const byName = new Map(cases.map((c) => [c.name, c]));
    upstream = await Upstream.start((req, res, record) => {
      const found = /rec:[a-z-]+[a-z0-9-]*:([A-Za-z0-9_.-]+)/.exec(decodeURIComponent(record.path) + record.body.toString());
      const c = byName.get(found?.[1]);
      if (!c) { res.writeHead(404).end('{}'); return; }
      res.writeHead(200, { 'content-type': c.type });
      for (let i = 0; i < c.body.length; i += 1500) res.write(c.body.subarray(i, i + 1500));
      res.end();
    });
    const base = upstream.url.replace('/v1', '');
    gateway = await Gateway.start({ config: { models: Object.fromEntries(Object.entries(KINDS).map(([api, make]) => [`rec:${api}:*`, make(base)])) } });
  });

  after(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  for (const api of Object.keys(KINDS)) {
    const mine = cases.filter((c) => c.api === api);
    // OpenAI's provider speaks chat as well: such a request would pass through to it as it is.
    const clients = Object.entries(CLIENTS).filter(([name]) => api !== 'openai-responses' || name !== 'openai chat');
    it(`${api}: ${mine.length} answers, the same text for every client`, async () => {
      for (const c of mine) {
        const texts = {};
        for (const [name, ask] of clients) {
          try {
            texts[name] = (await ask(`rec:${api}:${c.name}`, c.stream, api)).trim();
          } catch (error) {
            throw new Error(`${c.name} with ${name}: ${error.message}`, { cause: error });
          }
        }
        const [first] = Object.values(texts);
        for (const [name, text] of Object.entries(texts)) assert.equal(text, first, `${c.name} with ${name}`);
      }
    });
  }
});
