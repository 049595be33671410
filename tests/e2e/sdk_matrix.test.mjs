// The vendors' and the frameworks' clients, unmodified, in front of every adapter. The provider is a
// second gateway over a scripted model: it serves every client format, so each adapter meets its own.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { GoogleGenAI } from '@google/genai';
import { ChatAnthropic } from '@langchain/anthropic';
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { Gateway, temporaryFolder } from './support/process.mjs';

const SAID = 'Hello there, friend. ';
const SCHEMA = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'], additionalProperties: false };
const PERSON = { name: 'Ada', age: 36 };
const PLACE = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const SCRIPT = { steps: [
  { when: { model: '*json', tools: true }, calls: [{ tool: '*', arguments: PERSON }] },
  { when: { model: '*json' }, text: JSON.stringify(PERSON) },
  { when: { model: '*tool', turn: 0 }, text: 'Let me look.', calls: [{ tool: 'weather', arguments: { city: 'Paris' } }],
    usage: { input: 40, output: 12 } },
  { when: { model: '*tool', turn: 1, result: 'sunny' }, text: 'It is sunny in Paris.', usage: { input: 60, cache_read: 10, output: 6 } },
  { when: { model: '*chat' }, text: SAID.trim(), usage: { input: 11, cache_read: 4, output: 5 } },
] };

// How each adapter reaches the provider.
const ADAPTERS = {
  openai: (p) => ({ backend_type: 'openai', base_url: `${p}/v1`, api_key: 'k' }),
  openai_responses: (p) => ({ backend_type: 'openai', base_url: `${p}/v1`, api_key: 'k', api: 'responses' }),
  openai_compatible: (p) => ({ backend_type: 'openai_compatible', base_url: `${p}/v1` }),
  anthropic: (p) => ({ backend_type: 'anthropic', base_url: p, api_key: 'k' }),
  gemini: (p) => ({ backend_type: 'gemini', base_url: p, api_key: 'k' }),
  ollama: (p) => ({ backend_type: 'ollama', base_url: p }),
};
const MODELS = ['chat', 'tool', 'json', 'slow'];

let provider, gateway;

const QUESTION = 'What is the weather in Paris?';
const options = () => ({ apiKey: 'none', maxRetries: 0 });
const openai = () => new OpenAI({ ...options(), baseURL: `${gateway.url}/v1` });
const anthropic = () => new Anthropic({ ...options(), baseURL: gateway.url });
const google = () => new GoogleGenAI({ apiKey: 'none', httpOptions: { baseUrl: gateway.url } });
const ollama = () => new Ollama({ host: gateway.url });
const messages = [{ role: 'user', content: QUESTION }];
const functionTool = { type: 'function', function: { name: 'weather', description: 'Of a city', parameters: PLACE } };

async function joined(stream, textOf) {
  let text = '';
  for await (const piece of stream) text += textOf(piece) ?? '';
  return text;
}

/** A framework of models: chat, stream and a loop that runs the tool itself. */
function aiDriver(model) {
  return {
    async chat(name) {
      const r = await generateText({ model: model(name), prompt: QUESTION, maxRetries: 0 });
      return { text: r.text, finish: r.finishReason, input: r.usage.inputTokens, output: r.usage.outputTokens };
    },
    async stream(name) {
      const r = streamText({ model: model(name), prompt: QUESTION, maxRetries: 0, onError: () => {} });
      return { text: await joined(r.textStream, (t) => t), output: (await r.usage).outputTokens };
    },
    async tools(name) {
      const asked = [];
      const r = await generateText({ model: model(name), prompt: QUESTION, maxRetries: 0, stopWhen: stepCountIs(3),
        tools: { weather: tool({ description: 'Of a city', inputSchema: jsonSchema(PLACE),
          execute: async (input) => { asked.push(input); return 'sunny'; } }) } });
      return { asked, text: r.text };
    },
    async missing() {
      await generateText({ model: model('no-such-model'), prompt: 'x', maxRetries: 0 });
    },
    statusOf: (e) => e.statusCode,
  };
}

function langchainDriver(model) {
  return {
    async chat(name) {
      const r = await model(name).invoke(QUESTION);
      return { text: r.text, input: r.usage_metadata.input_tokens, output: r.usage_metadata.output_tokens };
    },
    async stream(name) {
      return { text: await joined(await model(name).stream(QUESTION), (c) => c.text) };
    },
    async tools(name) {
      const bound = model(name).bindTools([{ name: 'weather', description: 'Of a city', schema: PLACE }]);
      const first = await bound.invoke([new HumanMessage(QUESTION)]);
      const asked = first.tool_calls.map((c) => c.args);
      const last = await bound.invoke([new HumanMessage(QUESTION), first,
        ...first.tool_calls.map((c) => new ToolMessage({ content: 'sunny', tool_call_id: c.id }))]);
      return { asked, text: last.text };
    },
    async missing() {
      await model('no-such-model').invoke('x');
    },
    statusOf: (e) => e.status,
  };
}

const CLIENTS = {
  'openai chat': {
    async chat(model) {
      const r = await openai().chat.completions.create({ model, messages });
      return { text: r.choices[0].message.content, finish: r.choices[0].finish_reason, input: r.usage.prompt_tokens,
        cached: r.usage.prompt_tokens_details?.cached_tokens, output: r.usage.completion_tokens };
    },
    async stream(model) {
      const stream = await openai().chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } });
      let output;
      const text = await joined(stream, (c) => { output = c.usage?.completion_tokens ?? output; return c.choices[0]?.delta.content; });
      return { text, output };
    },
    async tools(model) {
      const first = await openai().chat.completions.create({ model, messages, tools: [functionTool] });
      const { message } = first.choices[0];
      assert.equal(first.choices[0].finish_reason, 'tool_calls');
      const results = message.tool_calls.map((c) => ({ role: 'tool', tool_call_id: c.id, content: 'sunny' }));
      const last = await openai().chat.completions.create({ model, messages: [...messages, message, ...results], tools: [functionTool] });
      return { asked: message.tool_calls.map((c) => JSON.parse(c.function.arguments)), text: last.choices[0].message.content };
    },
    async json(model) {
      const r = await openai().chat.completions.create({ model, messages,
        response_format: { type: 'json_schema', json_schema: { name: 'person', schema: SCHEMA, strict: true } } });
      return JSON.parse(r.choices[0].message.content);
    },
    async abort(model) {
      const stream = await openai().chat.completions.create({ model, messages, stream: true });
      for await (const _ of stream) break;
      stream.controller.abort();
    },
    async embed(model) {
      return (await openai().embeddings.create({ model, input: ['a', 'b'] })).data.map((d) => d.embedding);
    },
    async missing() { await openai().chat.completions.create({ model: 'no-such-model', messages }); },
    statusOf: (e) => (e instanceof OpenAI.NotFoundError ? e.status : e),
  },
  'openai responses': {
    async chat(model) {
      const r = await openai().responses.create({ model, input: QUESTION });
      return { text: r.output_text, finish: r.status, input: r.usage.input_tokens,
        cached: r.usage.input_tokens_details.cached_tokens, output: r.usage.output_tokens };
    },
    async stream(model) {
      const stream = openai().responses.stream({ model, input: QUESTION });
      const text = await joined(stream, (e) => (e.type === 'response.output_text.delta' ? e.delta : ''));
      return { text, output: (await stream.finalResponse()).usage.output_tokens };
    },
    async tools(model) {
      const tools = [{ type: 'function', name: 'weather', description: 'Of a city', parameters: PLACE, strict: false }];
      const first = await openai().responses.create({ model, input: QUESTION, tools });
      const calls = first.output.filter((o) => o.type === 'function_call');
      const last = await openai().responses.create({ model, tools, input: [{ role: 'user', content: QUESTION }, ...first.output,
        ...calls.map((c) => ({ type: 'function_call_output', call_id: c.call_id, output: 'sunny' }))] });
      return { asked: calls.map((c) => JSON.parse(c.arguments)), text: last.output_text };
    },
    async json(model) {
      const r = await openai().responses.parse({ model, input: QUESTION,
        text: { format: { type: 'json_schema', name: 'person', schema: SCHEMA, strict: true } } });
      return JSON.parse(r.output_text);
    },
    async missing() { await openai().responses.create({ model: 'no-such-model', input: 'x' }); },
    statusOf: (e) => e.status,
  },
  anthropic: {
    async chat(model) {
      const r = await anthropic().messages.create({ model, max_tokens: 100, messages });
      return { text: r.content.map((c) => c.text).join(''), finish: r.stop_reason,
        input: r.usage.input_tokens + (r.usage.cache_read_input_tokens ?? 0), cached: r.usage.cache_read_input_tokens, output: r.usage.output_tokens };
    },
    async stream(model) {
      const stream = anthropic().messages.stream({ model, max_tokens: 100, messages });
      const final = await stream.finalMessage();
      return { text: final.content.map((c) => c.text).join(''), output: final.usage.output_tokens };
    },
    async tools(model) {
      const tools = [{ name: 'weather', description: 'Of a city', input_schema: PLACE }];
      const first = await anthropic().messages.create({ model, max_tokens: 100, messages, tools });
      assert.equal(first.stop_reason, 'tool_use');
      const calls = first.content.filter((c) => c.type === 'tool_use');
      const last = await anthropic().messages.create({ model, max_tokens: 100, tools, messages: [...messages,
        { role: 'assistant', content: first.content },
        { role: 'user', content: calls.map((c) => ({ type: 'tool_result', tool_use_id: c.id, content: 'sunny' })) }] });
      return { asked: calls.map((c) => c.input), text: last.content.map((c) => c.text).join('') };
    },
    async abort(model) {
      const stream = anthropic().messages.stream({ model, max_tokens: 100000, messages });
      stream.on('error', () => {});
      for await (const event of stream) if (event.type === 'content_block_delta') break;
      stream.abort();
    },
    async missing() { await anthropic().messages.create({ model: 'no-such-model', max_tokens: 1, messages }); },
    statusOf: (e) => (e instanceof Anthropic.NotFoundError ? e.status : e),
  },
  google: {
    async chat(model) {
      const r = await google().models.generateContent({ model, contents: QUESTION });
      return { text: r.text, finish: r.candidates[0].finishReason, input: r.usageMetadata.promptTokenCount,
        cached: r.usageMetadata.cachedContentTokenCount, output: r.usageMetadata.candidatesTokenCount };
    },
    async stream(model) {
      let output;
      const text = await joined(await google().models.generateContentStream({ model, contents: QUESTION }),
        (c) => { output = c.usageMetadata?.candidatesTokenCount ?? output; return c.text; });
      return { text, output };
    },
    async tools(model) {
      const config = { tools: [{ functionDeclarations: [{ name: 'weather', description: 'Of a city', parametersJsonSchema: PLACE }] }] };
      const ask = { role: 'user', parts: [{ text: QUESTION }] };
      const first = await google().models.generateContent({ model, contents: [ask], config });
      const parts = first.functionCalls.map((c) => ({ functionResponse: { id: c.id, name: c.name, response: { result: 'sunny' } } }));
      const last = await google().models.generateContent({ model, config,
        contents: [ask, first.candidates[0].content, { role: 'user', parts }] });
      return { asked: first.functionCalls.map((c) => c.args), text: last.text };
    },
    async json(model) {
      const r = await google().models.generateContent({ model, contents: QUESTION,
        config: { responseMimeType: 'application/json', responseJsonSchema: SCHEMA } });
      return JSON.parse(r.text);
    },
    async embed(model) {
      return (await google().models.embedContent({ model, contents: ['a', 'b'] })).embeddings.map((e) => e.values);
    },
    async missing() { await google().models.generateContent({ model: 'no-such-model', contents: 'x' }); },
    statusOf: (e) => e.status,
  },
  ollama: {
    async chat(model) {
      const r = await ollama().chat({ model, messages });
      return { text: r.message.content, finish: r.done_reason, input: r.prompt_eval_count, output: r.eval_count };
    },
    async stream(model) {
      let output;
      const text = await joined(await ollama().chat({ model, messages, stream: true }),
        (c) => { output = c.eval_count ?? output; return c.message.content; });
      return { text, output };
    },
    async tools(model) {
      const first = await ollama().chat({ model, messages, tools: [functionTool] });
      const last = await ollama().chat({ model, tools: [functionTool], messages: [...messages, first.message,
        ...first.message.tool_calls.map((c) => ({ role: 'tool', tool_name: c.function.name, content: 'sunny' }))] });
      return { asked: first.message.tool_calls.map((c) => c.function.arguments), text: last.message.content };
    },
    async json(model) {
      return JSON.parse((await ollama().chat({ model, messages, format: SCHEMA })).message.content);
    },
    async embed(model) {
      return (await ollama().embed({ model, input: ['a', 'b'] })).embeddings;
    },
    async missing() { await ollama().chat({ model: 'no-such-model', messages }); },
    statusOf: (e) => e.status_code,
  },
  'ai with openai': aiDriver((m) => createOpenAI({ apiKey: 'none', baseURL: `${gateway.url}/v1` }).chat(m)),
  'ai with openai responses': aiDriver((m) => createOpenAI({ apiKey: 'none', baseURL: `${gateway.url}/v1` }).responses(m)),
  'ai with anthropic': aiDriver((m) => createAnthropic({ apiKey: 'none', baseURL: `${gateway.url}/v1` })(m)),
  'ai with google': aiDriver((m) => createGoogleGenerativeAI({ apiKey: 'none', baseURL: `${gateway.url}/v1beta` })(m)),
  'langchain openai': langchainDriver((model) => new ChatOpenAI({ model, apiKey: 'none', maxRetries: 0,
    configuration: { baseURL: `${gateway.url}/v1` } })),
  'langchain anthropic': langchainDriver((model) => new ChatAnthropic({ model, apiKey: 'none', maxRetries: 0, anthropicApiUrl: gateway.url })),
};

const GOOD = new Set(['stop', 'completed', 'end_turn', 'STOP']);
const EMBEDS = new Set(['openai', 'openai_responses', 'openai_compatible', 'gemini', 'ollama', 'mock']);

describe('clients in front of adapters', () => {
  before(async () => {
    const script = path.join(temporaryFolder(), 'script.json');
    writeFileSync(script, JSON.stringify(SCRIPT));
    const scripted = { backend_type: 'mock', mock: { script } };
    provider = await Gateway.start({ config: { models: {
      chat: scripted, tool: scripted, json: scripted,
      slow: { backend_type: 'mock', mock: { tokens: 10000, delay: '20ms' } },
    } } });
    const models = {};
    for (const [kind, make] of Object.entries(ADAPTERS)) {
      for (const name of MODELS) models[`${kind}-${name}`] = { ...make(provider.url), model_name: name };
    }
    for (const name of ['chat', 'tool', 'json']) models[`mock-${name}`] = { ...scripted, model_name: name };
    models['mock-slow'] = { backend_type: 'mock', mock: { tokens: 10000, delay: '20ms' } };
    gateway = await Gateway.start({ config: { models } });
  });

  after(async () => {
    await gateway?.stop();
    await provider?.stop();
  });

  for (const [client, c] of Object.entries(CLIENTS)) {
    describe(client, () => {
      for (const kind of [...Object.keys(ADAPTERS), 'mock']) {
        describe(`at ${kind}`, () => {
          it('chat', async () => {
            const r = await c.chat(`${kind}-chat`);
            assert.equal(r.text.trim(), SAID.trim());
            if (r.finish) assert.ok(GOOD.has(r.finish), r.finish);
            assert.equal(r.input, 15);
            assert.equal(r.output, 5);
            if (r.cached !== undefined && kind !== 'ollama') assert.equal(r.cached, 4);
          });

          it('stream', async () => {
            const r = await c.stream(`${kind}-chat`);
            assert.equal(r.text.trim(), SAID.trim());
            if ('output' in r) assert.equal(r.output, 5);
          });

          it('a tool is asked for, its result answered', async () => {
            const r = await c.tools(`${kind}-tool`);
            assert.deepEqual(r.asked, [{ city: 'Paris' }]);
            assert.match(r.text, /sunny in Paris/);
          });

          if (c.json) {
            it('an answer by a schema', async () => {
              assert.deepEqual(await c.json(`${kind}-json`), PERSON);
            });
          }

          if (c.embed) {
            it('embeddings, or a clear no', async () => {
              if (EMBEDS.has(kind)) {
                const vectors = await c.embed(`${kind}-chat`);
                assert.equal(vectors.length, 2);
                assert.ok(vectors.every((v) => v.length === 64 && Math.abs(v.reduce((s, x) => s + x * x, 0) - 1) < 0.01));
              } else {
                await assert.rejects(c.embed(`${kind}-chat`), /nothing that answers/);
              }
            });
          }

          if (c.abort) {
            it('leaving ends the call', async () => {
              await c.abort(`${kind}-slow`);
              await gateway.log((l) => l.event === 'request_failed' && l.model === `${kind}-slow` && l.status !== undefined);
            });
          }
        });
      }

      it('an unknown model is its own kind of error', async () => {
        await assert.rejects(c.missing(), (e) => {
          assert.equal(c.statusOf(e), 404);
          assert.match(e.message, /no-such-model/);
          return true;
        });
      });
    });
  }
});
