// Google's SDK, unmodified, against the gateway, with providers of its own and of another format
// behind it; and OpenAI's SDK with Gemini behind the gateway.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { GoogleGenAI, FunctionCallingConfigMode, Type } from '@google/genai';
import OpenAI from 'openai';
import { request } from './support/http.mjs';
import { Gateway, Mock } from './support/process.mjs';
import { Upstream, beginEvents, chunk, completion, sendEvent, sendJson, sendStream, target } from './support/upstream.mjs';
import { within } from './support/wait.mjs';

const WEATHER = { name: 'weather', description: 'of a town', parameters: { type: Type.OBJECT,
  properties: { town: { type: Type.STRING, nullable: true } }, required: ['town'] } };
const USAGE = { promptTokenCount: 9, cachedContentTokenCount: 4, candidatesTokenCount: 3, thoughtsTokenCount: 2, totalTokenCount: 14 };
const SIGNATURE = 'CiQBAQ+/c2lnbmVkPT0=';

// ---- a Gemini provider ----

const answerOf = (parts, extra = {}) => ({ candidates: [{ content: { parts, role: 'model' }, index: 0 }],
  modelVersion: 'gemini-up', responseId: 'resp_up', ...extra });
const last = (parts, extra = {}) => {
  const a = answerOf(parts, { usageMetadata: USAGE });
  Object.assign(a.candidates[0], { finishReason: 'STOP', ...extra });
  return a;
};
const hasResult = (r) => r.json.contents.at(-1).parts.some((p) => p.functionResponse);
const script = {
  hello: () => [answerOf([{ text: 'Hello ' }]), last([{ text: 'wörld 🌍' }])],
  thinks: () => [answerOf([{ text: 'let me see', thought: true }]), last([{ text: 'so', thoughtSignature: SIGNATURE }])],
  tools: (r) => (hasResult(r) ? [last([{ text: `It is ${JSON.stringify(r.json.contents.at(-1).parts[0].functionResponse.response)}.` }])]
    : [last([{ functionCall: { name: 'weather', args: { town: 'Paris "x"' } }, thoughtSignature: SIGNATURE },
      { functionCall: { name: 'weather', args: { town: 'Rome' } } }])]),
  blocked: () => [{ promptFeedback: { blockReason: 'PROHIBITED_CONTENT' }, usageMetadata: { promptTokenCount: 3 }, modelVersion: 'gemini-up' }],
  grounded: () => [last([{ text: 'abc' }], { groundingMetadata: { groundingChunks: [{ web: { uri: 'https://x', title: 'X' } }],
    groundingSupports: [{ segment: { endIndex: 3, text: 'abc' }, groundingChunkIndices: [0] }] } })],
};
/** The answers of a stream as one. */
function whole(answers) {
  const parts = answers.flatMap((a) => a.candidates?.[0].content.parts ?? []);
  const joined = parts.reduce((all, p) => {
    const before = all.at(-1);
    if (p.text && before?.text && !before.thought === !p.thought) before.text += p.text;
    else all.push({ ...p });
    return all;
  }, []);
  return parts.length ? { ...answers.at(-1), candidates: [{ ...answers.at(-1).candidates[0], content: { parts: joined, role: 'model' } }] } : answers[0];
}
const failure = (code, status, message, details = []) => ({ error: { code, message, status, details } });

async function google(req, res, r) {
  const url = new URL(req.url, 'http://x');
  const [, model, method] = /^\/v1beta\/models\/(.+):(\w+)$/.exec(url.pathname);
  if (method === 'countTokens') return sendJson(res, { totalTokens: 42 });
  if (method === 'batchEmbedContents') return sendJson(res, { embeddings: r.json.requests.map((q, i) => ({ values: [i, 0.5] })) });
  if (method === 'embedContent') return sendJson(res, { embedding: { values: [7, 0.5] } });
  if (model === 'limited') {
    return sendJson(res, failure(429, 'RESOURCE_EXHAUSTED', 'slow down',
      [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '7s' }]), 429);
  }
  if (model === 'keyless') return sendJson(res, failure(400, 'INVALID_ARGUMENT', 'API key not valid', [{ reason: 'API_KEY_INVALID' }]), 400);
  const answers = model === 'breaks' ? [answerOf([{ text: 'a' }]), failure(503, 'UNAVAILABLE', 'overloaded')] : script[model](r);
  if (method === 'generateContent') return sendJson(res, whole(answers));
  if (url.searchParams.get('alt') !== 'sse') {
    res.writeHead(200, { 'content-type': 'application/json' });
    return res.end(`[${answers.map((a) => JSON.stringify(a, null, 1)).join('\n,\r\n')}\n]\n`);
  }
  beginEvents(res);
  for (const a of answers) res.write(`data: ${JSON.stringify(a)}\r\n\r\n`);
  res.end();
}

// ---- an OpenAI provider ----

async function openai(req, res, r) {
  if (req.url.endsWith('/embeddings')) {
    return sendJson(res, { object: 'list', model: 'e', usage: { prompt_tokens: 3, total_tokens: 3 },
      data: r.json.input.map((text, index) => ({ object: 'embedding', index, embedding: [index, 0.5] })) });
  }
  if (r.json.model === 'limited') return sendJson(res, { error: { message: 'slow down', type: 'requests' } }, 429, { 'retry-after': '7' });
  if (r.json.model === 'endless') {
    beginEvents(res);
    for (let i = 0; !res.destroyed && i < 100000; i++) {
      sendEvent(res, chunk({ content: `${i} ` }));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return undefined;
  }
  if (r.json.model === 'tools' && r.json.messages.at(-1).role !== 'tool') {
    beginEvents(res);
    const call = (index, fields) => chunk({ tool_calls: [{ index, ...fields }] });
    for (const c of [chunk({ role: 'assistant', content: 'Both. ' }),
      call(0, { id: 'call_a', type: 'function', function: { name: 'weather', arguments: '{"town":' } }),
      call(1, { id: 'call_b', type: 'function', function: { name: 'weather', arguments: '' } }),
      call(0, { function: { arguments: '"A"}' } }), call(1, { function: { arguments: '{"town":"B"}' } }),
      chunk({}, { finish: 'tool_calls' })]) sendEvent(res, c);
    sendEvent(res, '[DONE]');
    return res.end();
  }
  const text = r.json.model === 'json' ? '{"town":"Rome"}' : 'Hello wörld 🌍';
  const usage = { prompt_tokens: 11, completion_tokens: 4, total_tokens: 15, prompt_tokens_details: { cached_tokens: 5 } };
  return r.json.stream ? sendStream(res, [text.slice(0, 4), text.slice(4)], { model: 'm', usage })
    : sendJson(res, completion('m', text, { usage }));
}

describe('google SDK', () => {
  let gemini, other, mock, gateway, client, chats;

  before(async () => {
    gemini = await Upstream.start(google);
    other = await Upstream.start(openai);
    mock = await Mock.start();
    const g = (name) => ({ backend_type: 'gemini', base_url: `http://127.0.0.1:${gemini.port}`, api_key: 'AIza-gateway', model_name: name });
    gateway = await Gateway.start({ config: {
      retry: { max_attempts: 1 },
      breaker: { consecutive_failures: 10000, min_requests: 1000000 },
      models: {
        ...Object.fromEntries(['hello', 'thinks', 'tools', 'blocked', 'grounded', 'limited', 'keyless', 'breaks', 'embed'].map((n) => [`g-${n}`, g(n)])),
        ...Object.fromEntries(['hello', 'tools', 'json', 'limited', 'endless', 'embed'].map((n) => [`o-${n}`, target(other, { model_name: n })])),
        'mock:*': target(mock),
      },
    } });
    client = new GoogleGenAI({ apiKey: 'AIza-client', httpOptions: { baseUrl: gateway.url } });
    chats = new OpenAI({ apiKey: 'sk', baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([gemini.stop(), other.stop(), mock.stop()]);
  });

  const sent = () => gemini.requests.at(-1);
  const collect = async (stream) => {
    const all = [];
    for await (const c of stream) all.push(c);
    return all;
  };

  for (const p of ['g', 'o']) {
    it(`${p}: one answer`, async () => {
      const r = await client.models.generateContent({ model: `${p}-hello`, contents: 'hi' });
      assert.equal(r.text, 'Hello wörld 🌍');
      assert.equal(r.candidates[0].finishReason, 'STOP');
      assert.deepEqual([r.usageMetadata.promptTokenCount, r.usageMetadata.cachedContentTokenCount, r.usageMetadata.totalTokenCount],
        p === 'g' ? [9, 4, 14] : [11, 5, 15]);
    });

    it(`${p}: a stream`, async () => {
      const all = await collect(await client.models.generateContentStream({ model: `${p}-hello`, contents: 'hi' }));
      assert.equal(all.map((c) => c.text ?? '').join(''), 'Hello wörld 🌍');
      assert.equal(all.at(-1).candidates[0].finishReason, 'STOP');
      assert.equal(all.at(-1).usageMetadata.totalTokenCount, p === 'g' ? 14 : 15);
    });

    it(`${p}: a chat with tools, streamed`, async () => {
      const chat = client.chats.create({ model: `${p}-tools`, config: { tools: [{ functionDeclarations: [WEATHER] }] } });
      const calls = (await collect(await chat.sendMessageStream({ message: 'both?' }))).flatMap((c) => c.functionCalls ?? []);
      assert.deepEqual(calls.map((c) => c.args), p === 'g' ? [{ town: 'Paris "x"' }, { town: 'Rome' }] : [{ town: 'A' }, { town: 'B' }]);
      const answer = await chat.sendMessage({ message: calls.map((c) => ({ functionResponse: {
        id: c.id, name: c.name, response: { result: 'sunny' } } })) });
      assert.match(answer.text, p === 'g' ? /sunny/ : /Hello/);
      if (p === 'g') {
        assert.equal(sent().json.contents[1].parts[0].thoughtSignature, SIGNATURE);
        return;
      }
      const { messages, tools } = other.requests.at(-1).json;
      assert.deepEqual(tools[0].function.parameters, { type: 'object', properties: { town: { type: ['string', 'null'] } }, required: ['town'] });
      assert.deepEqual(messages.map((m) => m.role), ['user', 'assistant', 'tool', 'tool']);
      assert.deepEqual(messages[1].tool_calls.map((c) => c.id), ['call_a', 'call_b']);
      assert.deepEqual(messages.slice(2).map((m) => [m.tool_call_id, m.content]), [['call_a', 'sunny'], ['call_b', 'sunny']]);
    });

    it(`${p}: errors`, async () => {
      await assert.rejects(client.models.generateContent({ model: `${p}-limited`, contents: 'hi' }), (e) => {
        assert.equal(e.status, 429);
        assert.match(e.message, /slow down/);
        assert.match(e.message, /RESOURCE_EXHAUSTED/);
        return true;
      });
    });

    it(`${p}: embeddings`, async () => {
      const r = await client.models.embedContent({ model: `${p}-embed`, contents: ['a', 'b'] });
      assert.deepEqual(r.embeddings.map((e) => e.values), [[0, 0.5], [1, 0.5]]);
    });

    it(`${p}: counting`, async () => {
      const r = await client.models.countTokens({ model: `${p}-hello`, contents: 'count this, please' });
      assert.ok(p === 'g' ? r.totalTokens === 42 : r.totalTokens > 0);
    });
  }

  it('passes bytes on, but for the keys', async () => {
    const body = `{ "contents" : [{"parts":[{"text":"h\\u0069"}]}],\n"x_new":1.50}`;
    const res = await request(gateway.port, { path: '/v1beta/models/g-hello:streamGenerateContent?alt=sse&key=AIza-client',
      body, headers: { 'content-type': 'application/json', 'x-goog-api-key': 'AIza-client' } });
    assert.equal(res.status, 200);
    assert.equal(sent().body.toString(), body);
    assert.equal(sent().path, '/v1beta/models/hello:streamGenerateContent?alt=sse');
    assert.equal(sent().headers['x-goog-api-key'], 'AIza-gateway');
    assert.doesNotMatch(JSON.stringify(sent().rawHeaders) + sent().path, /AIza-client/);
    assert.equal(res.text, script.hello().map((a) => `data: ${JSON.stringify(a)}\r\n\r\n`).join(''));
  });

  it('streams as one array where no events are asked for', async () => {
    for (const model of ['g-hello', 'o-hello']) {
      const res = await request(gateway.port, { path: `/v1beta/models/${model}:streamGenerateContent`, json: { contents: [{ parts: [{ text: 'hi' }] }] } });
      assert.equal(res.status, 200, res.text);
      assert.match(res.headers['content-type'], /^application\/json/);
      const parts = JSON.parse(res.text).flatMap((c) => c.candidates[0].content?.parts ?? []);
      assert.equal(parts.map((q) => q.text).join(''), 'Hello wörld 🌍');
    }
  });

  it('structured output', async () => {
    const r = await client.models.generateContent({ model: 'o-json', contents: 'where?', config: {
      responseMimeType: 'application/json', responseSchema: { type: Type.OBJECT, properties: { town: { type: Type.STRING } } },
      maxOutputTokens: 99, temperature: 0.5, topP: 0.25, stopSequences: ['x'],
      toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.NONE } } } });
    assert.deepEqual(JSON.parse(r.text), { town: 'Rome' });
    const q = other.requests.at(-1).json;
    assert.deepEqual(q.response_format.json_schema.schema, { type: 'object', properties: { town: { type: 'string' } } });
    assert.deepEqual([q.max_tokens ?? q.max_completion_tokens, q.temperature, q.top_p, q.stop], [99, 0.5, 0.25, ['x']]);
  });

  it('abort cancels upstream', async () => {
    const controller = new AbortController();
    const stream = await client.models.generateContentStream({ model: 'o-endless', contents: 'go', config: { abortSignal: controller.signal } });
    await stream.next();
    const upstream = other.requests.at(-1);
    controller.abort();
    await within(upstream.gone, 5000, 'the end of the upstream request');
  });

  it('errors inside a stream', async () => {
    await assert.rejects(collect(await client.models.generateContentStream({ model: 'g-breaks', contents: 'hi' })), /overloaded|UNAVAILABLE/);
    const res = await request(gateway.port, { path: '/v1beta/models/g-breaks:streamGenerateContent', json: { contents: [{ parts: [{ text: 'hi' }] }] } });
    const all = JSON.parse(res.text);
    assert.equal(all[0].candidates[0].content.parts[0].text, 'a');
    assert.equal(all[1].error.code, 503);
  });

  it('a wrong path, model and body are told in the shape of Google', async () => {
    const missing = await request(gateway.port, { path: '/v1beta/models/nope:generateContent', json: { contents: [{}] } });
    assert.deepEqual([missing.status, missing.json.error.code, missing.json.error.status], [404, 404, 'NOT_FOUND']);
    const bad = await request(gateway.port, { path: '/v1beta/models/g-hello:generateContent', json: { contents: 7 } });
    assert.deepEqual([bad.status, bad.json.error.status], [400, 'INVALID_ARGUMENT']);
    await assert.rejects(client.models.generateContent({ model: 'g-keyless', contents: 'hi' }), (e) => e.status === 502);
  });

  describe('OpenAI SDK with Gemini behind', () => {
    it('answers and streams', async () => {
      const one = await chats.chat.completions.create({ model: 'g-hello', messages: [{ role: 'user', content: 'hi' }] });
      assert.equal(one.choices[0].message.content, 'Hello wörld 🌍');
      assert.deepEqual([one.usage.prompt_tokens, one.usage.prompt_tokens_details.cached_tokens, one.usage.completion_tokens], [9, 4, 5]);
      const all = await collect(await chats.chat.completions.create({ model: 'g-hello', stream: true, messages: [{ role: 'user', content: 'hi' }] }));
      assert.equal(all.map((c) => c.choices[0]?.delta.content ?? '').join(''), 'Hello wörld 🌍');
    });

    it('thoughts are reasoning', async () => {
      const r = await chats.chat.completions.create({ model: 'g-thinks', messages: [{ role: 'user', content: 'hi' }] });
      assert.equal(r.choices[0].message.reasoning_content ?? r.choices[0].message.reasoning, 'let me see');
      assert.equal(r.choices[0].message.content, 'so');
    });

    it('signatures survive a loop of tools', async () => {
      const messages = [{ role: 'user', content: 'both?' }];
      const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: { town: { type: 'string' } } } } }];
      const first = await chats.chat.completions.create({ model: 'g-tools', messages, tools });
      const { message, finish_reason: finish } = first.choices[0];
      assert.equal(finish, 'tool_calls');
      assert.deepEqual(message.tool_calls.map((c) => JSON.parse(c.function.arguments)), [{ town: 'Paris "x"' }, { town: 'Rome' }]);
      assert.equal(new Set(message.tool_calls.map((c) => c.id)).size, 2);
      messages.push(message, ...message.tool_calls.map((c) => ({ role: 'tool', tool_call_id: c.id, content: 'sunny' })));
      const second = await chats.chat.completions.create({ model: 'g-tools', messages, tools });
      assert.match(second.choices[0].message.content, /sunny/);
      const { contents } = sent().json;
      assert.deepEqual(contents.map((c) => c.role), ['user', 'model', 'user']);
      assert.equal(contents[1].parts[0].thoughtSignature.replace(/-/g, '+').replace(/_/g, '/').replace(/=+$/, ''), SIGNATURE.replace(/=+$/, ''));
      assert.deepEqual(contents[2].parts.map((q) => [q.functionResponse.name, q.functionResponse.response]),
        [['weather', { result: 'sunny' }], ['weather', { result: 'sunny' }]]);
    });

    it('a blocked prompt is a content filter', async () => {
      const r = await chats.chat.completions.create({ model: 'g-blocked', messages: [{ role: 'user', content: 'hi' }] });
      assert.equal(r.choices[0].finish_reason, 'content_filter');
    });

    it('errors and embeddings', async () => {
      await assert.rejects(chats.chat.completions.create({ model: 'g-limited', messages: [{ role: 'user', content: 'hi' }] }), (e) => {
        assert.equal(e.status, 429);
        assert.equal(e.headers.get('retry-after'), '7');
        return true;
      });
      const r = await chats.embeddings.create({ model: 'g-embed', input: ['a', 'b'], dimensions: 2 });
      assert.deepEqual(r.data.map((d) => d.embedding), [[0, 0.5], [1, 0.5]]);
      assert.equal(sent().json.requests[0].outputDimensionality, 2);
    });
  });
});
