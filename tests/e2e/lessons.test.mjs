// What has broken for users of other gateways, each as a test here through the real binary. The
// comment over a test names where it was reported.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { LiveStream, RawSocket, readChatStream, request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';
import { Upstream, beginEvents, chunk, completion, sendEvent, sendJson } from './support/upstream.mjs';

const user = (content) => ({ role: 'user', content });
const messages = [user('Hi')];
const TOOL = { type: 'function', function: { name: 'look', parameters: { type: 'object', properties: { at: { type: 'string' } } } } };
const message = (content, extra = {}) => ({ id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content,
  stop_reason: 'end_turn', stop_sequence: null, usage: { input_tokens: 9, output_tokens: 2 }, ...extra });
const converse = (content, stopReason = 'end_turn') => ({ output: { message: { role: 'assistant', content } }, stopReason,
  usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 }, metrics: { latencyMs: 1 } });
const generated = (parts, extra = {}) => ({ candidates: [{ content: { role: 'model', parts }, finishReason: 'STOP', index: 0 }],
  usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2 }, modelVersion: 'm', ...extra });
const response = (output) => ({ id: 'resp_1', object: 'response', created_at: 1, status: 'completed', model: 'm', output,
  usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 } });
const said = (text) => ({ type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text, annotations: [] }] });
const answers = { openai: completion('m', 'Hello.'), responses: response([said('Hello.')]), anthropic: message([{ type: 'text', text: 'Hello.' }]),
  gemini: generated([{ text: 'Hello.' }]), bedrock: converse([{ text: 'Hello.' }]),
  ollama: { model: 'm', created_at: '2026-01-01T00:00:00Z', message: { role: 'assistant', content: 'Hello.' }, done: true, done_reason: 'stop' },
  cohere: { id: 'c', message: { role: 'assistant', content: [{ type: 'text', text: 'Hello.' }] }, finish_reason: 'COMPLETE' } };

// One model for each kind of provider; what the provider says is the test's.
const KINDS = {
  openai: { backend_type: 'openai_compatible' }, responses: { backend_type: 'openai', api: 'responses', api_key: 'k' },
  anthropic: { backend_type: 'anthropic', api_key: 'k' }, gemini: { backend_type: 'gemini', api_key: 'k' },
  bedrock: { backend_type: 'bedrock', region: 'eu-west-1', api_key: 'k', model_name: 'anthropic.claude-x' },
  ollama: { backend_type: 'ollama' }, cohere: { backend_type: 'cohere', api_key: 'k' },
};
const withPath = new Set(['openai', 'responses']);

describe('what broke elsewhere', () => {
  let upstream, other, gateway;
  let says; // the provider, as the test has it
  before(async () => {
    upstream = await Upstream.start((req, res, record) => says(res, record));
    other = await Upstream.start((req, res) => sendJson(res, answers.openai));
    const at = (name, u) => (withPath.has(name) ? u.url : u.url.replace('/v1', ''));
    const models = Object.fromEntries(Object.entries(KINDS).map(([name, kind]) => [name, { model_name: 'm', ...kind, base_url: at(name, upstream) }]));
    for (const name of ['openai', 'anthropic', 'responses']) models[`${name}-covered`] = { ...models[name], fallbacks: ['cover'] };
    models.cover = { ...models.openai, base_url: other.url };
    models['anthropic-b'] = { ...models.anthropic, base_url: at('anthropic', other), api_key: 'another' };
    models['gemini-b'] = { ...models.gemini, base_url: at('gemini', other), api_key: 'another' };
    models['responses-b'] = { ...models.responses, base_url: other.url, api_key: 'another' };
    models.slow = { ...models.bedrock, timeouts: { first_byte: '500ms' } };
    models.tiny = { backend_type: 'local', model_name: 'builtin' };
    gateway = await Gateway.start({ config: { breaker: { consecutive_failures: 10000, min_requests: 10000 }, retry: { max_attempts: 3, base_delay: '1ms' }, models } });
  });
  after(async () => {
    await gateway?.stop();
    await upstream?.stop();
    await other?.stop();
  });

  const post = (path, json, headers = {}) => request(gateway.port, { path, json, headers, ms: 30000 });
  const chat = (model, extra = {}, headers = {}) => post('/v1/chat/completions', { model, messages, ...extra }, headers);
  const claude = (model, extra = {}, headers = {}) => post('/v1/messages', { model, max_tokens: 99, messages, ...extra }, headers);
  const last = () => upstream.requests.at(-1);
  const answering = (body, status, headers) => (res) => sendJson(res, body, status, headers);

  // BerriAI/litellm #36650: Bedrock rejects at once, the client sees nothing for 240 s.
  it('a rejection is the client\'s at once, and silence ends', async () => {
    says = answering({ message: 'The model id is not valid' }, 400);
    const t0 = performance.now();
    const res = await chat('bedrock', { stream: true });
    assert.equal(res.status, 400, res.text);
    assert.match(res.error.message, /model id is not valid/);
    assert.ok(performance.now() - t0 < 3000);
    await gateway.log((l) => l.event === 'request_failed' && l.status === 400 && /model id/.test(l.error));
    says = () => {}; // nothing, for ever
    const silent = await chat('slow', { stream: true });
    assert.equal(silent.status, 504, silent.text);
    assert.equal(silent.error.code, 'upstream_timeout');
  });

  // BerriAI/litellm #29808, #19077, #28216: a fallback in the middle of a stream says things twice.
  it('once a word is out nobody else is asked: the stream ends in its format\'s error', async () => {
    const breaks = { openai: (res) => { beginEvents(res); sendEvent(res, chunk({ role: 'assistant', content: 'Half' })); },
      anthropic: (res) => {
        beginEvents(res);
        for (const e of [{ type: 'message_start', message: message([], { stop_reason: null }) }, { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
          { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Half' } }]) res.write(`event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`);
      },
      responses: (res) => { beginEvents(res); sendEvent(res, { type: 'response.output_text.delta', output_index: 0, content_index: 0, delta: 'Half' }); } };
    const asked = other.requests.length;
    for (const [kind, begin] of Object.entries(breaks)) {
      says = (res) => { begin(res); setTimeout(() => res.destroy(), 50); };
      const model = `${kind}-covered`;
      const one = kind === 'responses' ? null : readChatStream(await chat(model, { stream: true }));
      if (one) assert.deepEqual([one.text, one.errors.length, one.done], ['Half', 1, false]);
      const two = await claude(model, { stream: true });
      assert.equal(two.text.match(/Half/g).length, 1);
      assert.match(two.text, /event: error\ndata: \{"type":"error"/);
      assert.doesNotMatch(two.text, /message_stop/);
      const three = (await post('/v1/responses', { model, input: 'Hi', stream: true })).text;
      assert.match(three, /"type":"(error|response\.failed)"/);
      assert.doesNotMatch(three, /response\.completed"/);
    }
    assert.equal(other.requests.length, asked);
  });

  // Kong/kong #14425: streams arrive as one. (Compressed ones: compressed_answers.test.mjs.)
  it('each event leaves when it came', async () => {
    for (const path of ['/v1/chat/completions', '/v1/messages', '/v1/responses', '/v1/generate']) {
      let next;
      const pulled = () => new Promise((resolve) => { next = resolve; });
      says = async (res) => {
        beginEvents(res);
        for (const word of ['one', 'two', 'three']) { // none before the client has had the one before
          const seen = pulled();
          sendEvent(res, chunk({ role: 'assistant', content: word }));
          await seen;
        }
        sendEvent(res, chunk({}, { finish: 'stop' }));
        res.end('data: [DONE]\n\n');
      };
      const json = { model: 'openai', stream: true, ...(/generate/.test(path) ? { prompt: 'Hi' } : /responses/.test(path) ? { input: 'Hi' } : { messages, max_tokens: 9 }) };
      const stream = await LiveStream.open(gateway.port, { path, json });
      for (const word of ['one', 'two', 'three']) {
        for (let data = await stream.next(4000); !data.includes(word); data = await stream.next(4000));
        next();
      }
      await stream.rest();
    }
  });

  // apache/apisix PR #13852, #13495: a retry on 401 and 402.
  it('a request\'s, a key\'s and an account\'s fault is not tried again at the same place', async () => {
    for (const [status, tries] of [[400, 1], [401, 1], [402, 1], [403, 1], [404, 1], [422, 1], [503, 3]]) {
      says = answering({ error: { message: 'no' } }, status);
      const before = upstream.requests.length;
      const res = await chat('openai');
      assert.ok(res.status >= 400);
      assert.equal(upstream.requests.length - before, tries, `${status}`);
    }
    says = answering({ error: { message: 'quota' } }, 402); // another provider has another account
    assert.equal((await chat('openai-covered')).headers['x-tollgate-target'], 'cover');
  });

  // BerriAI/litellm #25321, #29286, #30014, #32357, #13373: first words, arguments and events lost or doubled.
  it('arguments that come only when done, an empty list of calls and a first word beside the role are kept', async () => {
    says = (res) => {
      beginEvents(res);
      for (const e of [{ type: 'response.created', response: response([]) },
        { type: 'response.output_item.added', output_index: 0, item: { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'look', arguments: '' } },
        { type: 'response.function_call_arguments.done', output_index: 0, item_id: 'fc_1', arguments: '{"at":"x"}' },
        { type: 'response.output_item.done', output_index: 0, item: { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'look', arguments: '{"at":"x"}' } },
        { type: 'response.completed', response: response([{ type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'look', arguments: '{"at":"x"}' }]) }]) sendEvent(res, e);
      res.end();
    };
    const called = (await claude('responses', { stream: true, tools: [{ name: 'look', input_schema: { type: 'object' } }] })).events.map((d) => JSON.parse(d));
    assert.equal(called.map((e) => e.delta?.partial_json ?? '').join(''), '{"at":"x"}');
    says = (res) => {
      beginEvents(res);
      sendEvent(res, chunk({ role: 'assistant', content: 'First', tool_calls: [] }));
      sendEvent(res, chunk({ content: ' second', tool_calls: [] }));
      sendEvent(res, chunk({}, { finish: 'stop' }));
      res.end('data: [DONE]\n\n');
    };
    const types = [];
    let text = '';
    for (const e of (await claude('openai', { stream: true })).events.map((d) => JSON.parse(d))) {
      if (types.at(-1) !== e.type) types.push(e.type);
      text += e.delta?.text ?? '';
      assert.notEqual(e.delta?.type, 'input_json_delta');
    }
    assert.equal(text, 'First second');
    assert.deepEqual(types.filter((t) => t !== 'ping'), ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop']);
  });

  // maximhq/bifrost #6342: thinking that was rebuilt is refused for good.
  it('thinking goes back byte for byte', async () => {
    says = answering(answers.anthropic);
    const block = '{ "signature":"EqQB+/=", "type" : "thinking","thinking":"h\\u00e4  m\\n" }';
    const body = `{"model":"anthropic","max_tokens":99,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[${block},{"type":"redacted_thinking","data":"cmVk+/=="},{"type":"text","text":"a"}]},{"role":"user","content":"On"}]}`;
    const res = await request(gateway.port, { path: '/v1/messages', body, headers: { 'content-type': 'application/json' } });
    assert.equal(res.status, 200, res.text);
    assert.ok(last().body.toString().includes(block));
    assert.ok(last().body.toString().includes('{"type":"redacted_thinking","data":"cmVk+/=="}'));
    // To another provider it does not go at all: nobody else can read it.
    says = answering(answers.openai);
    const elsewhere = await request(gateway.port, { path: '/v1/messages', body: body.replace('"anthropic"', '"openai"'), headers: { 'content-type': 'application/json' } });
    assert.equal(elsewhere.status, 200);
    assert.doesNotMatch(last().body.toString(), /EqQB|cmVk/);
    assert.match(elsewhere.headers['x-tollgate-fidelity'], /thinking/);
  });

  // maximhq/bifrost #5185: a gateway's own default made agents slower.
  it('nothing is asked for that the client did not ask for', async () => {
    const members = { openai: ['messages', 'model'], anthropic: ['max_tokens', 'messages', 'model'], gemini: ['contents'],
      bedrock: ['messages'], ollama: ['messages', 'model', 'stream'], cohere: ['messages', 'model'] };
    const allowed = { cohere: ['stream'] }; // what changes nothing
    for (const [model, wanted] of Object.entries(members)) {
      says = answering(answers[model]);
      const res = await chat(model);
      assert.equal(res.status, 200, `${model}: ${res.text}`);
      const sent = Object.keys(last().json).filter((k) => !(allowed[model] ?? []).includes(k));
      assert.deepEqual(sent.sort(), wanted, `${model}: ${last().body}`);
    }
    says = answering(answers.responses);
    await claude('responses');
    assert.deepEqual(Object.keys(last().json).filter((k) => k !== 'store').sort(), ['input', 'max_output_tokens', 'model']); // nothing is to be kept there
    says = answering(answers.anthropic);
    const own = '{"max_tokens":7,"messages":[{"content":"Hi","role":"user"}],"model":"anthropic"}';
    await request(gateway.port, { path: '/v1/messages', body: own, headers: { 'content-type': 'application/json' } });
    assert.equal(last().body.toString(), own.replace('"anthropic"', '"m"'));
  });

  // maximhq/bifrost #3942, BerriAI/litellm #41424, PR #39355: cache hints stripped, or sent where they are refused.
  it('cache hints reach who has them, and only them; reads are counted', async () => {
    const hinted = { messages: [user([{ type: 'text', text: 'Long', cache_control: { type: 'ephemeral', ttl: '1h' } }])] };
    says = answering(message([{ type: 'text', text: 'a' }], { usage: { input_tokens: 1, cache_read_input_tokens: 90, cache_creation_input_tokens: 0, output_tokens: 1 } }));
    const read = await claude('anthropic', hinted);
    assert.deepEqual(last().json.messages[0].content[0].cache_control, { type: 'ephemeral', ttl: '1h' });
    assert.equal(read.json.usage.cache_read_input_tokens, 90);
    says = answering(answers.bedrock);
    await claude('bedrock', hinted);
    assert.ok(last().json.messages[0].content.some((c) => c.cachePoint), last().body.toString());
    says = answering(answers.openai);
    const res = await claude('openai', hinted);
    assert.doesNotMatch(last().body.toString(), /cache_control|ttl|ephemeral/);
    assert.match(res.headers['x-tollgate-fidelity'], /dropped=.*cache_control/);
    await gateway.log((l) => l.event === 'response_generated' && l.token_usage?.cache_read_tokens === 90 && l.target === 'anthropic');
  });

  // BerriAI/litellm #40470, #40471: reasoning_effort dropped with a 200.
  it('a parameter that a provider has no form of is said, or refused', async () => {
    const asks = { reasoning_effort: 'high', logit_bias: { 1: 1 }, seed: 3 };
    for (const model of Object.keys(KINDS).filter((k) => k !== 'responses')) { // that one takes chats as they are
      says = answering(answers[model]);
      const res = await chat(model, asks);
      assert.equal(res.status, 200, `${model}: ${res.text}`);
      const sent = last().body.toString();
      const told = res.headers['x-tollgate-fidelity'] ?? '';
      for (const [field, there] of [['reasoning', /effort|reasoning|thinking|think/i], ['logit_bias', /logit_?bias/i], ['seed', /seed/]]) {
        assert.ok(there.test(sent) || told.includes(field), `${model}: ${field} is neither in ${sent} nor in "${told}"`);
      }
      if (!/dropped/.test(told)) continue;
      const strict = await chat(model, asks, { 'x-tollgate-strict': 'true' });
      assert.equal(strict.status, 400);
      assert.match(strict.error.message, /reasoning|logit_bias|seed/);
    }
  });

  // BerriAI/litellm PR #24983, #29818; qxcnm/Codex-Manager #91: 5 to 10 s lost on a WebSocket; unknown tools refused.
  it('a WebSocket is refused at once, and tools of unknown types go where they are known', async () => {
    const raw = await RawSocket.open(gateway.port);
    const t0 = performance.now();
    raw.write('GET /v1/responses HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
    const res = await raw.response();
    assert.ok(res.status >= 400 && res.status < 500 && performance.now() - t0 < 1000, res.line);
    raw.destroy();
    const tools = [{ type: 'namespace', name: 'mcp__x', tools: [{ type: 'function', name: 'look', parameters: {} }] }, { type: 'brand_new', options: { a: [1, null] } }];
    says = answering(answers.responses);
    assert.equal((await post('/v1/responses', { model: 'responses', input: 'Hi', tools })).status, 200);
    assert.deepEqual(last().json.tools, tools);
    says = answering(answers.anthropic);
    const there = await post('/v1/responses', { model: 'anthropic', input: 'Hi', tools });
    if (there.status === 200) assert.match(there.headers['x-tollgate-fidelity'], /tools/);
    else assert.match(there.text, /brand_new|namespace|tools/);
  });

  // caozhiyuan/copilot-api #331: sealed reasoning sent with another account's key.
  it('sealed reasoning goes back to the account that sealed it, and to no other', async () => {
    const sealed = { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAA-sealed==' };
    says = answering(response([sealed, said('Hello.')]));
    const one = await post('/v1/responses', { model: 'responses', input: 'Hi', store: false, include: ['reasoning.encrypted_content'] });
    const input = [user('Hi'), ...one.json.output, user('On')];
    await post('/v1/responses', { model: 'responses', input, store: false });
    assert.match(last().body.toString(), /gAAAA-sealed==/);
    await post('/v1/responses', { model: 'responses-b', input, store: false });
    assert.doesNotMatch(other.requests.at(-1).body.toString(), /gAAAA-sealed/);
    // Likewise a signature of Anthropic's and one of Google's, streamed or not, in formats that pass through.
    const thinking = { type: 'thinking', thinking: 'hm', signature: 'EqQB-sealed==' };
    says = answering(message([thinking, { type: 'text', text: 'Hello.' }]));
    const two = await claude('anthropic');
    const on = { messages: [...messages, { role: 'assistant', content: two.json.content }, user('On')] };
    await claude('anthropic', on);
    assert.match(last().body.toString(), /EqQB-sealed==/);
    await claude('anthropic-b', on);
    assert.doesNotMatch(other.requests.at(-1).body.toString(), /EqQB-sealed/);
    const contents = [{ role: 'user', parts: [{ text: 'Hi' }] }];
    says = (res) => { beginEvents(res); sendEvent(res, generated([{ text: 'Hello.', thoughtSignature: 'c2VhbGVk' }])); res.end(); };
    await post('/v1beta/models/gemini:streamGenerateContent?alt=sse', { contents });
    const back = { contents: [...contents, { role: 'model', parts: [{ text: 'Hello.', thoughtSignature: 'c2VhbGVk' }] }, ...contents] };
    await post('/v1beta/models/gemini:generateContent', back);
    assert.match(last().body.toString(), /c2VhbGVk/);
    await post('/v1beta/models/gemini-b:generateContent', back);
    assert.doesNotMatch(other.requests.at(-1).body.toString(), /c2VhbGVk/);
  });

  // theopenco/llmgateway #1267, labring/aiproxy #450: Gemini's thought signatures lost, every turn with tools fails.
  it('a thought\'s signature survives a loop of tools of any client', async () => {
    const signed = generated([{ functionCall: { name: 'look', args: { at: 'x' } }, thoughtSignature: 'c2lnbmVk+/==' }]);
    says = answering(signed);
    const { choices: [{ message: asked }] } = (await chat('gemini', { tools: [TOOL] })).json;
    says = answering(answers.gemini);
    const res = await chat('gemini', { tools: [TOOL], messages: [...messages, asked, { role: 'tool', tool_call_id: asked.tool_calls[0].id, content: 'there' }] });
    assert.equal(res.status, 200, res.text);
    const part = last().json.contents.flatMap((c) => c.parts).find((p) => p.functionCall);
    assert.equal(part.thoughtSignature ?? part.thought_signature, 'c2lnbmVk+/==');
    says = answering(signed);
    const tools = [{ name: 'look', input_schema: TOOL.function.parameters }];
    const { content } = (await claude('gemini', { tools })).json;
    says = answering(answers.gemini);
    await claude('gemini', { tools, messages: [...messages, { role: 'assistant', content }, user([{ type: 'tool_result', tool_use_id: content.find((c) => c.type === 'tool_use').id, content: 'there' }])] });
    assert.match(last().body.toString(), /c2lnbmVk\+\/==/);
  });

  // maximhq/bifrost #3596: tool_choice names a tool that was dropped.
  it('a tool and the choice of it go together or are refused together', async () => {
    const search = { type: 'web_search_20250305', name: 'web_search' };
    for (const model of ['openai', 'gemini', 'ollama', 'cohere', 'bedrock']) {
      says = answering(answers[model]);
      const before = upstream.requests.length;
      const res = await claude(model, { tools: [search, { name: 'look', input_schema: { type: 'object' } }], tool_choice: { type: 'tool', name: 'web_search' } });
      if (res.status === 200) { // a provider that has the same tool by another name
        assert.match(last().body.toString(), /search/i, model);
        continue;
      }
      assert.equal(res.status, 400, `${model}: ${res.text}`);
      assert.match(res.json.error.message, /web_search|tool/);
      assert.equal(upstream.requests.length, before, model);
    }
  });

  // envoyproxy/ai-gateway #2546: an error of Bedrock's in Bedrock's shape to Anthropic's client.
  it('errors of counting are in the client\'s shape, whoever counts', async () => {
    for (const [model, body, status] of [['bedrock', { message: 'You do not have access' }, 403], ['anthropic', { type: 'error', error: { type: 'not_found_error', message: 'You do not have access' } }, 404],
      ['gemini', { error: { code: 404, message: 'You do not have access', status: 'NOT_FOUND' } }, 404]]) {
      says = answering(body, status);
      const res = await post('/v1/messages/count_tokens', { model, messages });
      assert.ok(res.status >= 400, `${model}: ${res.text}`);
      assert.equal(res.json.type, 'error');
      assert.ok(res.json.error.type && res.json.error.message, res.text);
    }
  });

  // ggml-org/llama.cpp #27580, #25895, #19051: \d in a pattern fails all tools, or nothing is held at all.
  it('a pattern with \\d in a tool\'s schema fails no request, and a strict schema is not let go', async () => {
    const parameters = { type: 'object', properties: { zip: { type: 'string', pattern: '^\\d{5}$' } }, required: ['zip'], additionalProperties: false };
    const tools = [{ type: 'function', function: { name: 'send', parameters } }];
    const res = await chat('tiny', { tools, tool_choice: { type: 'function', function: { name: 'send' } }, max_tokens: 120 });
    assert.equal(res.status, 200, res.text);
    const call = res.json.choices[0].message.tool_calls?.[0];
    if (res.json.choices[0].finish_reason !== 'length') assert.match(JSON.parse(call.function.arguments).zip, /^\d{5}$/);
    const strict = await chat('tiny', { messages, max_tokens: 20, response_format: { type: 'json_schema', json_schema: { name: 'a', strict: true, schema: { type: 'string', pattern: '^(?=a)b' } } } });
    if (strict.status === 200) assert.match(strict.headers['x-tollgate-fidelity'] ?? '', /schema|pattern/, strict.text);
    else assert.match(strict.error.message, /pattern/);
  });

  // Portkey-AI/gateway #1417: Anthropic's SDK does not work in front of Bedrock.
  it('Anthropic\'s own client talks to Bedrock: text, tools, errors', async () => {
    const client = new Anthropic({ apiKey: 'none', baseURL: gateway.url, maxRetries: 0 });
    says = answering(converse([{ text: 'I look.' }, { toolUse: { toolUseId: 't1', name: 'look', input: { at: 'x' } } }], 'tool_use'));
    const tools = [{ name: 'look', input_schema: { type: 'object' } }];
    const one = await client.messages.create({ model: 'bedrock', max_tokens: 99, messages, tools });
    assert.deepEqual(one.content.map((c) => c.text ?? c.input), ['I look.', { at: 'x' }]);
    assert.equal(one.stop_reason, 'tool_use');
    says = answering(answers.bedrock);
    const two = await client.messages.create({ model: 'bedrock', max_tokens: 99, tools,
      messages: [...messages, { role: 'assistant', content: one.content }, user([{ type: 'tool_result', tool_use_id: 't1', content: 'there' }])] });
    assert.equal(two.content[0].text, 'Hello.');
    assert.equal(last().json.messages[2].content[0].toolResult.toolUseId, 't1');
    says = answering({ message: 'Too many requests' }, 429, { 'retry-after': '120' });
    await assert.rejects(client.messages.create({ model: 'bedrock', max_tokens: 9, messages }), (e) => e instanceof Anthropic.RateLimitError && /Too many/.test(e.message));
  });
});
