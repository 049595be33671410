// Recorded answers of real providers, behind the gateway, read by the vendors' and the frameworks'
// own clients: each client gets every provider's answers, errors and vectors in its own format.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { GoogleGenAI } from '@google/genai';
import { ChatAnthropic } from '@langchain/anthropic';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, streamText } from 'ai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { clientsOf } from './support/clients.mjs';
import { Gateway, SHARED } from './support/process.mjs';
import { INPUTS } from './support/provider.mjs';
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
  'bedrock-invoke': (p) => ({ backend_type: 'bedrock', api: 'invoke', base_url: p, region: 'eu-west-1', api_key: 'k' }),
  'bedrock-invoke-with-response-stream': (p) => ({ backend_type: 'bedrock', api: 'invoke', base_url: p, region: 'eu-west-1', api_key: 'k' }),
  'vertex-rawpredict': (p) => ({ backend_type: 'vertex', api: 'messages', base_url: p, project: 'p', region: 'us-east5', api_key: 'k' }),
};

// What is no conversation: vectors and rankings.
const TASKS = {
  'openai-embeddings': (p) => ({ backend_type: 'openai_compatible', base_url: `${p}/v1` }),
  'gemini-embed': (p) => ({ backend_type: 'gemini', base_url: p, api_key: 'k' }),
  'cohere-v2-embed': (p) => ({ backend_type: 'cohere', base_url: p, api_key: 'k' }),
  'ollama-embed': (p) => ({ backend_type: 'ollama', base_url: p }),
  'cohere-v2-rerank': (p) => ({ backend_type: 'cohere', base_url: p, api_key: 'k' }),
};

function load() {
  const cases = [];
  for (const name of existsSync(RECORDINGS) ? readdirSync(RECORDINGS).sort() : []) {
    const folder = path.join(RECORDINGS, name);
    if (!existsSync(path.join(folder, 'response.json'))) continue;
    const request = JSON.parse(readFileSync(path.join(folder, 'request.json')));
    const response = JSON.parse(readFileSync(path.join(folder, 'response.json')));
    if (!KINDS[request.api] && !TASKS[request.api]) continue;
    const body = readFileSync(path.join(folder, response.body_file));
    const error = response.status !== 200;
    if (request.api.startsWith('bedrock-invoke') && !/anthropic/.test(request.path)) continue; // other models' formats are not spoken
    // Some files hold several answers, one behind the other: no provider sends that.
    if ((body.toString().match(/^event: (response\.created|message_start)$/gm) ?? []).length > 1) continue;
    if (!error && response.stream && !/^ok/.test(response.stream_end)) continue;
    cases.push({ name, api: request.api, status: response.status, stream: Boolean(response.stream), type: response.headers['content-type'],
      after: response.headers['retry-after'], body, request: request.body });
  }
  return cases;
}

const all = load();
const cases = all.filter((c) => c.status === 200);
const faults = all.filter((c) => c.status !== 200 && KINDS[c.api]);
const skip = all.length ? false : 'no recordings beside the repository';
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

function ai(modelOf) {
  return async (name, stream) => {
    const request = { model: modelOf(name), prompt: 'Hi', maxRetries: 0 };
    if (!stream) return (await generateText(request)).text;
    let failed;
    const text = await gathered(streamText({ ...request, onError: ({ error }) => { failed = error; } }).textStream, (t) => t);
    if (failed) throw failed;
    return text;
  };
}

function langchain(modelOf) {
  const textOf = (m) => m.text + (m.additional_kwargs.refusal ?? ''); // where it is kept of an answer by items
  return async (name, stream) => (stream ? await gathered(await modelOf(name).stream('Hi'), textOf) : textOf(await modelOf(name).invoke('Hi')));
}

// What passes through is the provider's own, byte for byte: the frameworks don't read all of it.
const CHATS = ['openai chat', 'ai openai chat', 'langchain openai'];
const UNREAD = [
  ['ai openai chat', /^mistral__.*thinking/, 'content that is a list'],
  ['langchain openai', /^mistral__.*thinking/, 'content that is a list'],
  ['langchain openai', /refus/, 'refusals'],
  ['ai openai responses', /^xai__.*web-search/, 'citations without a title'],
  ['ai anthropic', /^anthropic__compaction/, 'compactions, taken for text'],
  ['ai anthropic', /^anthropic__flight-native/, 'results of calls in an earlier turn'],
  ['ai openai chat', /multiple-choices/, 'choices, all taken for the first'],
  ['ai google', /multiple-choices/, 'choices, all taken for the first'],
  ['langchain openai', /multiple-choices/, 'choices, all taken for the first'],
];

function reads(client, c) {
  // OpenAI's provider speaks chat as well: such a request would pass through to it as it is.
  if (c.api === 'openai-responses' && CHATS.includes(client)) return false;
  return !UNREAD.some(([who, what]) => who === client && what.test(c.name));
}

/** `work` on each of a list, a few at a time. */
async function each(list, work) {
  const left = [...list];
  const one = async () => { for (let c = left.shift(); c; c = left.shift()) await work(c); };
  await Promise.all(Array.from({ length: 4 }, one));
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
  'ai openai chat': ai((m) => createOpenAI({ apiKey: 'none', baseURL: `${gateway.url}/v1` }).chat(m)),
  'ai openai responses': ai((m) => createOpenAI({ apiKey: 'none', baseURL: `${gateway.url}/v1` }).responses(m)),
  'ai anthropic': ai((m) => createAnthropic({ apiKey: 'none', baseURL: `${gateway.url}/v1` })(m)),
  'ai google': ai((m) => createGoogleGenerativeAI({ apiKey: 'none', baseURL: `${gateway.url}/v1beta` })(m)),
  'langchain openai': langchain((model) => new ChatOpenAI({ model, apiKey: 'none', maxRetries: 0, useResponsesApi: false,
    configuration: { baseURL: `${gateway.url}/v1` } })),
  'langchain responses': langchain((model) => new ChatOpenAI({ model, apiKey: 'none', maxRetries: 0, useResponsesApi: true,
    configuration: { baseURL: `${gateway.url}/v1` } })),
  'langchain anthropic': langchain((model) => new ChatAnthropic({ model, apiKey: 'none', maxRetries: 0, anthropicApiUrl: gateway.url })),
};

describe('recorded answers, read by the vendors\' clients', { skip }, () => {
  before(async () => {
    const byName = new Map(all.map((c) => [c.name, c]));
    upstream = await Upstream.start((req, res, record) => {
      const found = /rec:[a-z-]+[a-z0-9-]*:([A-Za-z0-9_.-]+)/.exec(decodeURIComponent(record.path) + record.body.toString());
      const c = byName.get(found?.[1]);
      if (!c) { res.writeHead(404).end('{}'); return; }
      res.writeHead(c.status, { 'content-type': c.type, ...(c.after ? { 'retry-after': c.after } : {}) });
      for (let i = 0; i < c.body.length; i += 1500) res.write(c.body.subarray(i, i + 1500));
      res.end();
    });
    const base = upstream.url.replace('/v1', '');
    gateway = await Gateway.start({ config: { models: Object.fromEntries(
      Object.entries({ ...KINDS, ...TASKS }).map(([api, make]) => [`rec:${api}:*`, make(base)])),
    retry: { max_attempts: 1 }, breaker: { consecutive_failures: 10000, min_requests: 1000000 } } });
  });

  after(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  for (const api of Object.keys(KINDS)) {
    const mine = cases.filter((c) => c.api === api);
    it(`${api}: ${mine.length} answers, the same text for every client`, async () => {
      const wrong = [];
      await each(mine, async (c) => {
        let first;
        for (const [name, ask] of Object.entries(CLIENTS)) {
          if (!reads(name, c)) continue;
          try {
            const text = (await ask(`rec:${api}:${c.name}`, c.stream, api)).trim();
            first ??= text;
            assert.equal(text, first);
          } catch (error) {
            wrong.push(`${c.name} with ${name}: ${error.message.slice(0, 500)}`);
          }
        }
      });
      assert.deepEqual(wrong, []);
    });
  }

  it(`${faults.length} errors: every client's own, with the provider's status and words`, async () => {
    const clients = Object.entries(clientsOf(gateway.url)).filter(([, c]) => c.chat && c.tools);
    await each(faults, async (c) => {
      const isKey = c.body.toString().toLowerCase().includes('api key'); // the gateway's own business, where it is seen
      const words = /"message":\s*("(?:[^"\\]|\\.)*")/.exec(c.body.toString())?.[1];
      for (const [name, client] of clients) {
        await assert.rejects(client.chat(`rec:${c.api}:${c.name}`, { question: 'Hi' }), (e) => {
          const fault = client.fault(e);
          const where = `${c.name} with ${name}: ${fault.status} ${fault.message}`;
          const told = [400, 404, 413, 429].includes(c.status) && !isKey;
          if (told) assert.equal(fault.status, c.status, where);
          else assert.ok(fault.status >= (isKey ? 400 : 500), where);
          assert.ok(fault.own, where);
          if (told && words) assert.ok(fault.message.includes(JSON.parse(words).slice(0, 60)), where);
          return true;
        });
      }
    });
  });

  it('vectors are the same for every client', async () => {
    const clients = Object.entries(clientsOf(gateway.url)).filter(([, c]) => c.embed);
    for (const c of cases.filter((x) => /embed/.test(x.api))) {
      const model = `rec:${c.api}:${c.name}`;
      const vectors = {};
      const packed = /"embedding":\s*"/.test(c.body.toString()); // as its client had asked, and as these do not
      for (const [name, client] of clients) {
        if (packed && /^(ai openai|langchain)/.test(name)) continue;
        if (name.startsWith('langchain') && Object.values(vectors)[0].length !== INPUTS.length) continue; // it counts what it gets
        try {
          vectors[name] = (await client.embed(model)).map((v) => [...v].map(Math.fround)); // packed in four bytes on the way to some
        } catch (error) {
          throw new Error(`${c.name} with ${name}: ${error.message}`, { cause: error });
        }
      }
      const [first] = Object.values(vectors);
      assert.ok(first.length > 0 && first[0].length > 1, c.name);
      for (const [name, mine] of Object.entries(vectors)) assert.deepEqual(mine, first, `${c.name} with ${name}`);
    }
  });

  it("Cohere's rankings, by Cohere's client", async () => {
    const rankings = cases.filter((c) => c.api === 'cohere-v2-rerank');
    assert.ok(rankings.length > 0);
    for (const c of rankings) {
      const theirs = JSON.parse(c.body).results.map((r) => [r.index, r.relevance_score]);
      assert.deepEqual(await clientsOf(gateway.url)['cohere-ai'].rerank(`rec:${c.api}:${c.name}`), theirs);
    }
  });
});
