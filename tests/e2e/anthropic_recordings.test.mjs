// Recorded answers of Anthropic's API behind the gateway, read by OpenAI's SDK and by Anthropic's own;
// recorded answers of OpenAI's API, read by Anthropic's SDK.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { Gateway, Replay, SHARED } from './support/process.mjs';
import { Upstream } from './support/upstream.mjs';

const hi = [{ role: 'user', content: 'hi' }];
const skip = Replay.missing();
const folder = path.join(SHARED, 'recordings');

function load(api) {
  const read = (name, file) => JSON.parse(readFileSync(path.join(folder, name, file), 'utf8'));
  return readdirSync(folder, { withFileTypes: true }).filter((d) => d.isDirectory()).map(({ name }) => {
    const req = read(name, 'request.json');
    if (req.api !== api) return null;
    const res = read(name, 'response.json');
    const well = res.status === 200 && (!res.stream || res.stream_end.startsWith('ok'));
    return well ? { name, stream: res.stream === 'sse', body: readFileSync(path.join(folder, name, res.body_file)) } : null;
  }).filter(Boolean);
}

/** The JSON documents of an answer: its events' data, or the one that it is. */
function documents(c) {
  const text = c.body.toString('utf8');
  if (!c.stream) return [JSON.parse(text)];
  return text.split(/\r\n|\n|\r/).filter((l) => l.startsWith('data:') && !l.includes('[DONE]')).map((l) => JSON.parse(l.slice(5)));
}

/** Text and calls of a recorded message. */
function saidByClaude(c) {
  const blocks = [];
  for (const d of documents(c)) {
    if (d.type === 'message') blocks.push(...d.content);
    if (d.type === 'content_block_start') blocks.push({ ...d.content_block, json: '' });
    if (d.delta?.type === 'text_delta') blocks.at(-1).text += d.delta.text;
    if (d.delta?.type === 'thinking_delta') blocks.at(-1).thinking += d.delta.thinking;
    if (d.delta?.type === 'input_json_delta') blocks.at(-1).json += d.delta.partial_json;
    if (d.type === 'message_stop') break;
  }
  const of = (type, key) => blocks.filter((b) => b.type === type).map((b) => b[key]).join('');
  return { text: of('text', 'text'), thinking: of('thinking', 'thinking'),
    calls: blocks.filter((b) => b.type === 'tool_use').map((b) => ({ id: b.id, name: b.name, input: b.json ? JSON.parse(b.json) : b.input })) };
}

/** Text of a recorded chat completion, its first choice. */
function saidByGpt(c) {
  let text = '';
  for (const d of documents(c)) {
    const choice = d.choices?.find((x) => (x.index ?? 0) === 0);
    // Some servers say the same twice in one chunk: as a stream's delta it is meant.
    const said = c.stream ? (choice?.delta ?? choice?.message) : choice?.message;
    const content = said?.content;
    text += Array.isArray(content) ? content.map((p) => p.text ?? '').join('') : (content ?? '');
    text += said?.refusal ?? '';
  }
  return text;
}

describe('recorded answers and SDKs', { skip: skip ?? false }, () => {
  let provider, gateway, claude, gpt;
  const cases = new Map();

  before(async () => {
    provider = await Upstream.start((req, res, r) => {
      const c = cases.get(r.json.model);
      res.writeHead(200, { 'content-type': c.stream ? 'text/event-stream' : 'application/json' });
      res.end(c.body);
    });
    gateway = await Gateway.start({ config: { retry: { max_attempts: 1 }, models: {
      'anthropic__*': { backend_type: 'anthropic', base_url: provider.url.replace(/\/v1$/, ''), api_key: 'k' },
      '*': { backend_type: 'openai_compatible', base_url: provider.url },
    } } });
    claude = new Anthropic({ apiKey: 'k', baseURL: gateway.url, maxRetries: 0 });
    gpt = new OpenAI({ apiKey: 'k', baseURL: `${gateway.url}/v1`, maxRetries: 0 });
    for (const api of ['anthropic-messages', 'openai-chat']) for (const c of load(api)) cases.set(c.name, { ...c, api });
  });

  after(async () => {
    await gateway.stop();
    await provider.stop();
  });

  const of = (api) => [...cases.values()].filter((c) => c.api === api);

  it("Anthropic's answers, OpenAI's SDK", async () => {
    assert.ok(of('anthropic-messages').length > 50);
    for (const c of of('anthropic-messages')) {
      const want = saidByClaude(c);
      const got = { text: '', thinking: '', calls: [] };
      const answer = await gpt.chat.completions.create({ model: c.name, messages: hi, stream: c.stream });
      const add = (m) => {
        got.text += m.content ?? '';
        got.thinking += m.reasoning_content ?? '';
        for (const t of m.tool_calls ?? []) {
          const call = (got.calls[t.index ?? got.calls.length] ??= { id: t.id, name: t.function.name, json: '' });
          call.json += t.function.arguments;
        }
      };
      if (c.stream) for await (const chunk of answer) add(chunk.choices[0]?.delta ?? {});
      else add(answer.choices[0].message);
      got.calls = got.calls.map(({ id, name, json }) => ({ id, name, input: JSON.parse(json) }));
      assert.deepEqual(got, want, c.name);
    }
  });

  it("Anthropic's answers, its own SDK", async () => {
    for (const c of of('anthropic-messages')) {
      const want = saidByClaude(c);
      const ask = { model: c.name, max_tokens: 9, messages: hi };
      const m = c.stream ? await claude.beta.messages.stream(ask).finalMessage().catch((e) => e) : await claude.beta.messages.create(ask);
      // One recording is several streams one behind the other, which the SDK refuses.
      if (m instanceof Error) assert.ok(c.body.toString().split('event: message_stop').length > 2, `${c.name}: ${m.message}`);
      else assert.equal(m.content.filter((b) => b.type === 'text').map((b) => b.text).join(''), want.text, c.name);
    }
  });

  it("OpenAI's answers, Anthropic's SDK", async () => {
    assert.ok(of('openai-chat').length > 100);
    for (const c of of('openai-chat')) {
      const ask = { model: c.name, max_tokens: 9, messages: hi };
      const m = c.stream ? await claude.messages.stream(ask).finalMessage() : await claude.messages.create(ask);
      assert.equal(m.content.filter((b) => b.type === 'text').map((b) => b.text).join(''), saidByGpt(c), c.name);
      assert.ok(m.stop_reason, c.name);
    }
  });
});
