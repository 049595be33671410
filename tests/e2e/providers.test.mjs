// Providers that no client speaks to directly: what goes out to them, and what comes back.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CohereClientV2 } from 'cohere-ai';
import OpenAI from 'openai';
import { frame, signature } from './support/formats/bedrock.mjs';
import { Gateway } from './support/process.mjs';
import { Upstream, beginEvents, sendJson } from './support/upstream.mjs';

const messages = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Hi' }];
const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }];
const client = (gateway) => new OpenAI({ apiKey: 'none', baseURL: `${gateway.url}/v1`, maxRetries: 0 });

const bedrock = (upstream, extra = {}) => ({ backend_type: 'bedrock', base_url: upstream.url.replace('/v1', ''), region: 'eu-west-1',
  model_name: 'anthropic.claude-x-v1:0', aws_access_key_id: 'AKIDEXAMPLE', aws_secret_access_key: 'secret', aws_session_token: 'token', ...extra });

describe('Bedrock', () => {
  it('gets a signed request, its answer comes back in the client\'s format', async () => {
    const upstream = await Upstream.start((req, res) => sendJson(res, { output: { message: { role: 'assistant', content: [
      { text: 'Let me look.' }, { toolUse: { toolUseId: 'tooluse_1', name: 'weather', input: { city: 'Rome' } } }] } },
    stopReason: 'tool_use', usage: { inputTokens: 3, outputTokens: 4, cacheReadInputTokens: 2 } }));
    const gateway = await Gateway.start({ config: { models: { m: bedrock(upstream) } } });
    const r = await client(gateway).chat.completions.create({ model: 'm', messages, tools, max_completion_tokens: 50, tool_choice: 'required' });
    assert.equal(r.choices[0].message.content, 'Let me look.');
    assert.deepEqual(JSON.parse(r.choices[0].message.tool_calls[0].function.arguments), { city: 'Rome' });
    assert.equal(r.choices[0].finish_reason, 'tool_calls');
    assert.deepEqual([r.usage.prompt_tokens, r.usage.prompt_tokens_details.cached_tokens, r.usage.completion_tokens], [5, 2, 4]);
    const [sent] = upstream.requests;
    assert.equal(sent.path, '/model/anthropic.claude-x-v1%3A0/converse');
    assert.match(sent.headers.authorization, /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/bedrock\/aws4_request, /);
    assert.equal(/Signature=([0-9a-f]{64})$/.exec(sent.headers.authorization)[1], signature(sent, 'secret'));
    assert.equal(sent.headers['x-amz-security-token'], 'token');
    assert.deepEqual(sent.json.system, [{ text: 'Be brief.' }]);
    assert.deepEqual(sent.json.inferenceConfig, { maxTokens: 50 });
    assert.deepEqual(sent.json.toolConfig.toolChoice, { any: {} });
    await gateway.stop();
    await upstream.stop();
  });

  it('streams frames, cut anywhere; an exception within is an error', async () => {
    const upstream = await Upstream.start(async (req, res, record) => {
      res.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
      const good = [frame('messageStart', { role: 'assistant' }),
        frame('contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text: 'hm' } } }),
        frame('contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { signature: 's+/=' } } }),
        frame('contentBlockStop', { contentBlockIndex: 0 }),
        frame('contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'Hello ' } }),
        frame('contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'there' } })];
      const end = record.body.toString().includes('break')
        ? [frame('throttlingException', { message: 'Too many tokens' }, 'exception')]
        : [frame('contentBlockStop', { contentBlockIndex: 1 }), frame('messageStop', { stopReason: 'end_turn' }),
          frame('metadata', { usage: { inputTokens: 3, outputTokens: 4 } })];
      const all = Buffer.concat([...good, ...end]);
      for (let i = 0; i < all.length; i += 97) {
        res.write(all.subarray(i, i + 97));
        await new Promise(setImmediate);
      }
      res.end();
    });
    const gateway = await Gateway.start({ config: { models: { m: bedrock(upstream) } } });
    const stream = await client(gateway).chat.completions.create({ model: 'm', messages, stream: true, stream_options: { include_usage: true } });
    let text = '', thought = '', usage;
    for await (const c of stream) {
      text += c.choices[0]?.delta.content ?? '';
      thought += c.choices[0]?.delta.reasoning_content ?? '';
      usage = c.usage ?? usage;
    }
    assert.equal(text, 'Hello there');
    assert.equal(thought, 'hm');
    assert.equal(usage.completion_tokens, 4);
    assert.equal(upstream.requests[0].path, '/model/anthropic.claude-x-v1%3A0/converse-stream');
    const broken = await client(gateway).chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'break' }], stream: true });
    await assert.rejects(async () => { for await (const _ of broken) ; }, /Too many tokens/);
    await gateway.stop();
    await upstream.stop();
  });
});

describe('Cohere', () => {
  const cohere = (upstream) => ({ backend_type: 'cohere', base_url: upstream.url.replace('/v1', ''), api_key: 'ck' });

  it('chat, streamed and not, embeddings and ranking', async () => {
    const usage = { tokens: { input_tokens: 7, output_tokens: 5 }, cached_tokens: 2 };
    const upstream = await Upstream.start((req, res, record) => {
      if (record.path === '/v2/embed') {
        sendJson(res, { embeddings: { float: record.json.texts.map((t, i) => [i, 0.5]) }, meta: { billed_units: { input_tokens: 2 } } });
      } else if (record.path === '/v2/rerank') {
        sendJson(res, { results: [{ index: 1, relevance_score: 0.9 }, { index: 0, relevance_score: 0.1 }] });
      } else if (record.json.stream) {
        beginEvents(res);
        for (const e of [{ type: 'message-start', id: 'c', delta: { message: { role: 'assistant' } } },
          { type: 'tool-plan-delta', delta: { message: { tool_plan: 'I will look.' } } },
          { type: 'tool-call-start', index: 0, delta: { message: { tool_calls: { id: 'weather_1', type: 'function', function: { name: 'weather', arguments: '' } } } } },
          { type: 'tool-call-delta', index: 0, delta: { message: { tool_calls: { function: { arguments: '{"city":\n"Rome"}' } } } } },
          { type: 'tool-call-end', index: 0 },
          { type: 'message-end', delta: { finish_reason: 'TOOL_CALL', usage } }]) res.write(`event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`);
        res.end('data: [DONE]\n\n');
      } else {
        sendJson(res, { id: 'c', message: { role: 'assistant', content: [{ type: 'text', text: 'Hello there' }] }, finish_reason: 'COMPLETE', usage });
      }
    });
    const gateway = await Gateway.start({ config: { models: { m: cohere(upstream) } } });
    const r = await client(gateway).chat.completions.create({ model: 'm', messages, temperature: 0.5, top_p: 0.9, stop: 'x' });
    assert.equal(r.choices[0].message.content, 'Hello there');
    assert.deepEqual([r.usage.prompt_tokens, r.usage.prompt_tokens_details.cached_tokens, r.usage.completion_tokens], [7, 2, 5]);
    assert.equal(upstream.requests[0].headers.authorization, 'Bearer ck');
    assert.deepEqual(upstream.requests[0].json, { model: 'm', messages, temperature: 0.5, p: 0.9, stop_sequences: ['x'] });
    const stream = client(gateway).chat.completions.stream({ model: 'm', messages, tools });
    const final = await stream.finalChatCompletion();
    assert.deepEqual(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments), { city: 'Rome' });
    const e = await client(gateway).embeddings.create({ model: 'm', input: ['a', 'b'] });
    assert.deepEqual(e.data.map((d) => [...d.embedding]), [[0, 0.5], [1, 0.5]]);
    const ranked = await client(gateway).post('/rerank', { body: { model: 'm', query: 'q', documents: ['a', 'b'] } });
    assert.deepEqual(ranked.results.map((x) => x.index), [1, 0]);
    // Cohere's own client, whose path for rankings is its own.
    const own = new CohereClientV2({ token: 'none', environment: gateway.url });
    const mine = await own.rerank({ model: 'm', query: 'q', documents: ['a', 'b'] });
    assert.deepEqual(mine.results.map((x) => [x.index, x.relevanceScore]), [[1, 0.9], [0, 0.1]]);
    await assert.rejects(own.rerank({ model: 'none', query: 'q', documents: ['a'] }), (error) => error.statusCode === 404);
    await gateway.stop();
    await upstream.stop();
  });

  it('its errors keep status and message', async () => {
    const upstream = await Upstream.start((req, res) => sendJson(res, { id: 'x', message: 'too many tokens: size limit exceeded', error_type: 'TOO_MANY_TOKENS' }, 400));
    const gateway = await Gateway.start({ config: { models: { m: cohere(upstream) } } });
    await assert.rejects(client(gateway).chat.completions.create({ model: 'm', messages }), (error) => {
      assert.equal(error.status, 400);
      assert.equal(error.code, 'context_length_exceeded');
      assert.match(error.message, /size limit exceeded/);
      return true;
    });
    await gateway.stop();
    await upstream.stop();
  });
});
