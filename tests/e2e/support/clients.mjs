// The vendors' and the frameworks' clients, unmodified, behind one shape: what a program does with
// each of them to chat, stream, run tools, get an answer by a schema, embed, leave, and fail.
//
//   ask: { question, system, temperature, schema, force }    `force`: some tool must be called
//   chat, stream → { text, finish, input, cached, output }   undefined where the client has no place for it
//   tools(model, ask, streamed) → { asked: [arguments], text }
//   abort(model, ask): begins a stream, reads a little, leaves
//   fault(error) → { own, status, message, retryAfter }      `own`: it is of the client's class for that status
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { jsonSchemaOutputFormat } from '@anthropic-ai/sdk/helpers/json-schema';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { ApiError, GoogleGenAI } from '@google/genai';
import * as langchainAnthropic from '@langchain/anthropic';
import { HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { APICallError, Output, embedMany, generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';
import { Cohere, CohereClientV2, CohereError } from 'cohere-ai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { INPUTS, PLACE, WEATHER } from './provider.mjs';

const DESCRIPTION = 'The weather of a city';
const weatherOf = (args) => WEATHER[args.city] ?? 'unknown';
const heat = ({ temperature }) => (temperature === undefined ? {} : { temperature });

/** Takes pieces until `enough` of them are there, then `leave`s; what that throws is no matter. */
async function leaving(stream, enough, leave) {
  try {
    for await (const piece of stream) {
      if (enough(piece)) leave();
    }
  } catch (error) {
    if (!/abort|cancel|terminated|closed/i.test(`${error.name} ${error.message}`)) throw error;
  }
}

const roles = ({ question, system }) => [...(system ? [{ role: 'system', content: system }] : []), { role: 'user', content: question }];
const header = (headers, name) => (headers?.get ? headers.get(name) : headers?.[name]) ?? undefined;

// ---- OpenAI

const openaiFault = (e) => ({ status: e.status, message: e.message, retryAfter: header(e.headers, 'retry-after'),
  own: e instanceof ({ 400: OpenAI.BadRequestError, 404: OpenAI.NotFoundError, 429: OpenAI.RateLimitError }[e.status] ?? Error) });
const openaiOf = (url) => new OpenAI({ apiKey: 'none', maxRetries: 0, baseURL: `${url}/v1` });
const embedOpenai = (client) => async (model) => (await client.embeddings.create({ model, input: INPUTS })).data.map((d) => [...d.embedding]);

function openaiChat(url) {
  const api = openaiOf(url).chat.completions;
  const tools = [{ type: 'function', function: { name: 'weather', description: DESCRIPTION, parameters: PLACE } }];
  const result = ({ choices: [choice], usage }) => ({ text: choice.message.content, finish: choice.finish_reason, input: usage.prompt_tokens,
    cached: usage.prompt_tokens_details?.cached_tokens, output: usage.completion_tokens });
  const asStreamed = (body) => api.stream({ ...body, stream_options: { include_usage: true } });
  return {
    chat: async (model, ask) => result(await api.create({ model, messages: roles(ask), ...heat(ask) })),
    stream: async (model, ask) => result(await asStreamed({ model, messages: roles(ask), ...heat(ask) }).finalChatCompletion()),
    async tools(model, ask, asStream) {
      const messages = roles(ask);
      const body = { model, tools, ...heat(ask) };
      const run = async (more) => (asStream ? await asStreamed({ ...body, ...more }).finalChatCompletion() : await api.create({ ...body, ...more })).choices[0];
      const { message, finish_reason } = await run({ messages, ...(ask.force ? { tool_choice: 'required' } : {}) });
      assert.equal(finish_reason, 'tool_calls');
      const calls = message.tool_calls.map((c) => ({ id: c.id, args: JSON.parse(c.function.arguments) }));
      const results = calls.map((c) => ({ role: 'tool', tool_call_id: c.id, content: weatherOf(c.args) }));
      return { asked: calls.map((c) => c.args), text: (await run({ messages: [...messages, message, ...results] })).message.content };
    },
    async json(model, ask) {
      const r = await api.parse({ model, messages: roles(ask), ...heat(ask),
        response_format: { type: 'json_schema', json_schema: { name: 'person', schema: ask.schema, strict: true } } });
      return r.choices[0].message.parsed ?? JSON.parse(r.choices[0].message.content);
    },
    async abort(model, ask) {
      const stream = await api.create({ model, messages: roles(ask), stream: true });
      await leaving(stream, (c) => c.choices[0]?.delta.content, () => stream.controller.abort());
    },
    embed: embedOpenai(openaiOf(url)),
    fault: openaiFault,
  };
}

function openaiResponses(url) {
  const api = openaiOf(url).responses;
  const tools = [{ type: 'function', name: 'weather', description: DESCRIPTION, parameters: PLACE, strict: false }];
  const result = (r) => ({ text: r.output_text ?? r.output.flatMap((o) => o.content ?? []).map((c) => c.text).join(''), finish: r.status,
    input: r.usage.input_tokens, cached: r.usage.input_tokens_details.cached_tokens, output: r.usage.output_tokens });
  const base = (model, ask) => ({ model, input: ask.question, ...(ask.system ? { instructions: ask.system } : {}), ...heat(ask) });
  return {
    chat: async (model, ask) => result(await api.create(base(model, ask))),
    stream: async (model, ask) => result(await api.stream(base(model, ask)).finalResponse()),
    async tools(model, ask, asStream) {
      const body = { ...base(model, ask), tools };
      const run = async (more) => (asStream ? await api.stream({ ...body, ...more }).finalResponse() : await api.create({ ...body, ...more }));
      const first = await run(ask.force ? { tool_choice: 'required' } : {});
      const calls = first.output.filter((o) => o.type === 'function_call').map((o) => ({ id: o.call_id, args: JSON.parse(o.arguments) }));
      const output = first.output.map(({ parsed_arguments: _, ...item }) => item);
      const last = await run({ input: [{ role: 'user', content: ask.question }, ...output,
        ...calls.map((c) => ({ type: 'function_call_output', call_id: c.id, output: weatherOf(c.args) }))] });
      return { asked: calls.map((c) => c.args), text: result(last).text };
    },
    async json(model, ask) {
      const r = await api.parse({ ...base(model, ask), text: { format: { type: 'json_schema', name: 'person', schema: ask.schema, strict: true } } });
      return r.output_parsed ?? JSON.parse(r.output_text);
    },
    async abort(model, ask) {
      const stream = await api.create({ ...base(model, ask), stream: true });
      await leaving(stream, (e) => e.type === 'response.output_text.delta', () => stream.controller.abort());
    },
    embed: embedOpenai(openaiOf(url)),
    fault: openaiFault,
  };
}

function openaiCompletions(url) {
  const api = openaiOf(url).completions;
  const result = ({ choices: [choice], usage }) => ({ text: choice.text, finish: choice.finish_reason, input: usage.prompt_tokens,
    cached: usage.prompt_tokens_details?.cached_tokens, output: usage.completion_tokens });
  const none = () => assert.equal(api.parse, undefined);
  return {
    chat: async (model, ask) => result(await api.create({ model, prompt: ask.question, max_tokens: 1000, ...heat(ask) })),
    async stream(model, ask) {
      let text = '', finish, usage;
      for await (const c of await api.create({ model, prompt: ask.question, max_tokens: 1000, stream: true,
        stream_options: { include_usage: true }, ...heat(ask) })) {
        text += c.choices[0]?.text ?? '';
        finish = c.choices[0]?.finish_reason ?? finish;
        usage = c.usage ?? usage;
      }
      return result({ choices: [{ text, finish_reason: finish }], usage });
    },
    async abort(model, ask) {
      const stream = await api.create({ model, prompt: ask.question, max_tokens: 1000, stream: true });
      await leaving(stream, (c) => c.choices[0]?.text, () => stream.controller.abort());
    },
    embed: embedOpenai(openaiOf(url)),
    fault: openaiFault,
    lacks: { tools: none, json: none },
  };
}

// ---- Anthropic

function anthropic(url) {
  const client = new Anthropic({ apiKey: 'none', maxRetries: 0, baseURL: url });
  const api = client.messages;
  const tools = [{ name: 'weather', description: DESCRIPTION, input_schema: PLACE }];
  const said = (m) => m.content.filter((c) => c.type === 'text').map((c) => c.text).join('');
  const result = (m) => ({ text: said(m), finish: m.stop_reason, input: m.usage.input_tokens + (m.usage.cache_read_input_tokens ?? 0),
    cached: m.usage.cache_read_input_tokens ?? undefined, output: m.usage.output_tokens });
  const base = (model, ask) => ({ model, max_tokens: 1000, messages: [{ role: 'user', content: ask.question }],
    ...(ask.system ? { system: ask.system } : {}), ...heat(ask) });
  return {
    chat: async (model, ask) => result(await api.create(base(model, ask))),
    stream: async (model, ask) => result(await api.stream(base(model, ask)).finalMessage()),
    async tools(model, ask, asStream) {
      const body = { ...base(model, ask), tools };
      const run = async (more) => (asStream ? await api.stream({ ...body, ...more }).finalMessage() : await api.create({ ...body, ...more }));
      const first = await run(ask.force ? { tool_choice: { type: 'any' } } : {});
      assert.equal(first.stop_reason, 'tool_use');
      const calls = first.content.filter((c) => c.type === 'tool_use');
      const last = await run({ messages: [...body.messages, { role: 'assistant', content: first.content },
        { role: 'user', content: calls.map((c) => ({ type: 'tool_result', tool_use_id: c.id, content: weatherOf(c.input) })) }] });
      return { asked: calls.map((c) => c.input), text: said(last) };
    },
    async json(model, ask) {
      return (await api.parse({ ...base(model, ask), output_config: { format: jsonSchemaOutputFormat(ask.schema, { transform: false }) } })).parsed_output;
    },
    async abort(model, ask) {
      const stream = await api.create({ ...base(model, ask), stream: true });
      await leaving(stream, (e) => e.type === 'content_block_delta', () => stream.controller.abort());
    },
    fault: (e) => ({ status: e.status, message: e.message, retryAfter: header(e.headers, 'retry-after'),
      own: e instanceof ({ 400: Anthropic.BadRequestError, 404: Anthropic.NotFoundError, 429: Anthropic.RateLimitError }[e.status] ?? Error) }),
    lacks: { embed: () => assert.equal(client.embeddings, undefined) },
  };
}

// ---- Google

function google(url) {
  const api = new GoogleGenAI({ apiKey: 'none', httpOptions: { baseUrl: url } }).models;
  const tools = [{ functionDeclarations: [{ name: 'weather', description: DESCRIPTION, parametersJsonSchema: PLACE }] }];
  const result = (text, finish, u) => ({ text, finish, input: u.promptTokenCount, cached: u.cachedContentTokenCount, output: u.candidatesTokenCount });
  const config = (ask, more) => ({ ...(ask.system ? { systemInstruction: ask.system } : {}), ...heat(ask), ...more });
  async function gathered(request) {
    const parts = [];
    let finish, usage;
    for await (const c of await api.generateContentStream(request)) {
      parts.push(...c.candidates?.[0]?.content?.parts ?? []);
      finish = c.candidates?.[0]?.finishReason ?? finish;
      usage = c.usageMetadata ?? usage;
    }
    return { parts, finish, usage };
  }
  const said = (parts) => parts.map((p) => p.text ?? '').join('');
  return {
    async chat(model, ask) {
      const r = await api.generateContent({ model, contents: ask.question, config: config(ask) });
      return result(r.text, r.candidates[0].finishReason, r.usageMetadata);
    },
    async stream(model, ask) {
      const r = await gathered({ model, contents: ask.question, config: config(ask) });
      return result(said(r.parts), r.finish, r.usage);
    },
    async tools(model, ask, asStream) {
      const turn = { role: 'user', parts: [{ text: ask.question }] };
      const run = async (contents, more) => {
        const request = { model, contents, config: config(ask, { tools, ...more }) };
        return asStream ? (await gathered(request)).parts : (await api.generateContent(request)).candidates[0].content.parts;
      };
      const first = await run([turn], ask.force ? { toolConfig: { functionCallingConfig: { mode: 'ANY' } } } : {});
      const calls = first.filter((p) => p.functionCall).map((p) => p.functionCall);
      const parts = calls.map((c) => ({ functionResponse: { id: c.id, name: c.name, response: { result: weatherOf(c.args) } } }));
      return { asked: calls.map((c) => c.args), text: said(await run([turn, { role: 'model', parts: first }, { role: 'user', parts }])) };
    },
    async json(model, ask) {
      return JSON.parse((await api.generateContent({ model, contents: ask.question,
        config: config(ask, { responseMimeType: 'application/json', responseJsonSchema: ask.schema }) })).text);
    },
    async abort(model, ask) {
      const leave = new AbortController();
      const stream = await api.generateContentStream({ model, contents: ask.question, config: config(ask, { abortSignal: leave.signal }) });
      await leaving(stream, (c) => c.text, () => leave.abort());
    },
    embed: async (model) => (await api.embedContent({ model, contents: INPUTS })).embeddings.map((e) => e.values),
    fault: (e) => ({ status: e.status, message: e.message, own: e instanceof ApiError }),
  };
}

// ---- Ollama

function ollama(url) {
  const api = new Ollama({ host: url });
  const tools = [{ type: 'function', function: { name: 'weather', description: DESCRIPTION, parameters: PLACE } }];
  const base = (model, ask) => ({ model, messages: roles(ask), ...(ask.temperature === undefined ? {} : { options: heat(ask) }) });
  const result = (text, r) => ({ text, finish: r.done_reason, input: r.prompt_eval_count, output: r.eval_count });
  async function gathered(request) {
    const message = { role: 'assistant', content: '', tool_calls: [] };
    let end;
    for await (const c of await api.chat({ ...request, stream: true })) {
      message.content += c.message.content;
      message.tool_calls.push(...c.message.tool_calls ?? []);
      end = c;
    }
    return { message, end };
  }
  return {
    async chat(model, ask) {
      const r = await api.chat(base(model, ask));
      return result(r.message.content, r);
    },
    async stream(model, ask) {
      const { message, end } = await gathered(base(model, ask));
      return result(message.content, end);
    },
    async tools(model, ask, asStream) {
      const body = { ...base(model, ask), tools };
      const run = async (more) => (asStream ? await gathered({ ...body, ...more }) : await api.chat({ ...body, ...more })).message;
      const first = await run();
      const calls = first.tool_calls ?? [];
      const results = calls.map((c) => ({ role: 'tool', tool_name: c.function.name, content: weatherOf(c.function.arguments) }));
      const last = calls.length ? await run({ messages: [...body.messages, first, ...results] }) : first;
      return { asked: calls.map((c) => c.function.arguments), text: last.content };
    },
    json: async (model, ask) => JSON.parse((await api.chat({ ...base(model, ask), format: ask.schema })).message.content),
    async abort(model, ask) {
      const stream = await api.chat({ ...base(model, ask), stream: true });
      await leaving(stream, (c) => c.message.content, () => stream.abort());
    },
    embed: async (model) => (await api.embed({ model, input: INPUTS })).embeddings,
    fault: (e) => ({ status: e.status_code, message: e.message, own: e.name === 'ResponseError' }),
    noChoice: true,
  };
}

// ---- Cohere: rankings; its chat is a format that the gateway does not serve

function cohere(url) {
  const api = new CohereClientV2({ token: 'none', environment: url, maxRetries: 0 });
  const refused = (call) => async (model, ask) => assert.rejects(call(model, ask), (e) => {
    assert.ok(e instanceof Cohere.NotFoundError, e.message);
    assert.match(e.message, /there is no |No such|not found/i);
    return true;
  });
  const chat = refused((model, ask) => api.chat({ model, messages: roles(ask) }));
  const stream = refused(async (model, ask) => { for await (const _ of await api.chatStream({ model, messages: roles(ask) })) ; });
  return {
    rerank: async (model) => (await api.rerank({ model, query: 'q', documents: INPUTS })).results.map((r) => [r.index, r.relevanceScore]),
    fault: (e) => ({ status: e.statusCode, message: e.message, retryAfter: header(e.rawResponse?.headers, 'retry-after'),
      own: e instanceof CohereError && e instanceof ({ 400: Cohere.BadRequestError, 429: Cohere.TooManyRequestsError }[e.statusCode] ?? CohereError) }),
    lacks: { chat, stream, tools: refused((model, ask) => api.chat({ model, messages: roles(ask), tools: [] })),
      json: refused((model, ask) => api.chat({ model, messages: roles(ask), responseFormat: { type: 'json_object' } })), abort: stream,
      embed: refused((model) => api.embed({ model, texts: INPUTS, inputType: 'search_document', embeddingTypes: ['float'] })) },
  };
}

// ---- frameworks

function ai(modelOf, embedderOf) {
  const request = (model, ask) => ({ model: modelOf(model), prompt: ask.question, system: ask.system, maxRetries: 0, ...heat(ask) });
  const result = (text, finish, u) => ({ text, finish, input: u.inputTokens, cached: u.cachedInputTokens, output: u.outputTokens });
  /** A stream's error is told, not thrown. */
  async function streamed(options) {
    let failed;
    const r = streamText({ ...options, onError: ({ error }) => { failed = error; } });
    try {
      let text = '';
      for await (const piece of r.textStream) text += piece;
      const usage = await r.totalUsage;
      const finish = await r.finishReason;
      if (failed) throw failed;
      return { text, last: await r.text, usage, finish };
    } catch (error) {
      throw failed ?? error;
    }
  }
  const loop = (model, ask, asked) => ({ ...request(model, ask), stopWhen: stepCountIs(3),
    ...(ask.force ? { prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'auto' }) } : {}),
    tools: { weather: tool({ description: DESCRIPTION, inputSchema: jsonSchema(PLACE),
      execute: async (args) => { asked.push(args); return weatherOf(args); } }) } });
  return {
    async chat(model, ask) {
      const r = await generateText(request(model, ask));
      return result(r.text, r.finishReason, r.usage);
    },
    async stream(model, ask) {
      const r = await streamed(request(model, ask));
      return result(r.text, r.finish, r.usage);
    },
    async tools(model, ask, asStream) {
      const asked = [];
      const text = asStream ? (await streamed(loop(model, ask, asked))).last : (await generateText(loop(model, ask, asked))).text;
      return { asked, text };
    },
    // Anthropic's provider would call a tool for models that it does not know.
    json: async (model, ask) => (await generateText({ ...request(model, ask), output: Output.object({ schema: jsonSchema(ask.schema) }),
      providerOptions: { anthropic: { structuredOutputMode: 'outputFormat' } } })).output,
    async abort(model, ask) {
      const leave = new AbortController();
      const r = streamText({ ...request(model, ask), abortSignal: leave.signal, onError: () => {} });
      await leaving(r.textStream, (t) => t, () => leave.abort());
    },
    ...(embedderOf ? { embed: async (model) => (await embedMany({ model: embedderOf(model), values: INPUTS, maxRetries: 0 })).embeddings }
      : { lacks: { embed: () => assert.throws(() => createAnthropic({ apiKey: 'none' }).textEmbeddingModel('x'), { name: 'AI_NoSuchModelError' }) } }),
    fault: (e) => ({ status: e.statusCode, message: e.message, retryAfter: header(e.responseHeaders, 'retry-after'), own: APICallError.isInstance(e) }),
  };
}

function langchain(modelOf, { force, json, embed, fault, lacks }) {
  const prompt = ({ question, system }) => [...(system ? [new SystemMessage(system)] : []), new HumanMessage(question)];
  const result = (m) => ({ text: m.text, input: m.usage_metadata.input_tokens, cached: m.usage_metadata.input_token_details?.cache_read,
    output: m.usage_metadata.output_tokens });
  async function whole(stream) {
    let all;
    for await (const chunk of await stream) all = all ? all.concat(chunk) : chunk;
    return all;
  }
  return {
    chat: async (model, ask) => result(await modelOf(model, ask).invoke(prompt(ask))),
    stream: async (model, ask) => result(await whole(modelOf(model, ask).stream(prompt(ask)))),
    async tools(model, ask, asStream) {
      const definition = [{ type: 'function', function: { name: 'weather', description: DESCRIPTION, parameters: PLACE } }];
      const run = (messages, choice) => {
        const bound = modelOf(model, ask).bindTools(definition, choice ? { tool_choice: choice } : {});
        return asStream ? whole(bound.stream(messages)) : bound.invoke(messages);
      };
      const first = await run(prompt(ask), ask.force ? force : undefined);
      const results = first.tool_calls.map((c) => new ToolMessage({ content: weatherOf(c.args), tool_call_id: c.id, name: c.name }));
      return { asked: first.tool_calls.map((c) => c.args), text: (await run([...prompt(ask), first, ...results])).text };
    },
    json: (model, ask) => modelOf(model, ask).withStructuredOutput(ask.schema, { name: 'person', method: 'jsonSchema', ...json }).invoke(prompt(ask)),
    async abort(model, ask) {
      const leave = new AbortController();
      await leaving(await modelOf(model, ask).stream(prompt(ask), { signal: leave.signal }), (c) => c.text, () => leave.abort());
    },
    ...(embed ? { embed } : {}),
    ...(lacks ? { lacks } : {}),
    fault,
  };
}

/** LangChain throws the vendor's error, of its own copy of the vendor's package; a prompt that is too
 * long is an error of LangChain's, around it. */
function inName(fault) {
  return (e) => {
    const own = e.name === 'ContextOverflowError' ? e.cause : e;
    const names = { 400: 'BadRequestError', 404: 'NotFoundError', 429: 'RateLimitError' };
    return { ...fault(own), own: own.constructor.name === (names[own.status] ?? own.constructor.name) };
  };
}

export function clientsOf(url) {
  const chatOpenai = (more) => (model, ask) => new ChatOpenAI({ model, apiKey: 'none', maxRetries: 0, configuration: { baseURL: `${url}/v1` }, ...heat(ask), ...more });
  const chatAnthropic = (model, ask) => new langchainAnthropic.ChatAnthropic({ model, apiKey: 'none', maxRetries: 0, anthropicApiUrl: url, ...heat(ask) });
  const embedder = (model) => new OpenAIEmbeddings({ model, apiKey: 'none', maxRetries: 0, configuration: { baseURL: `${url}/v1` } });
  const openai = () => createOpenAI({ apiKey: 'none', baseURL: `${url}/v1` });
  const gemini = () => createGoogleGenerativeAI({ apiKey: 'none', baseURL: `${url}/v1beta` });
  const direct = openaiChat(url);
  const lc = { force: 'required', json: { strict: true }, embed: (model) => embedder(model).embedDocuments(INPUTS), fault: inName(direct.fault) };
  return {
    'openai chat': direct,
    'openai responses': openaiResponses(url),
    'openai completions': openaiCompletions(url),
    anthropic: anthropic(url),
    google: google(url),
    ollama: ollama(url),
    'cohere-ai': cohere(url),
    'ai openai chat': ai((m) => openai().chat(m), (m) => openai().textEmbeddingModel(m)),
    'ai openai responses': ai((m) => openai().responses(m), (m) => openai().textEmbeddingModel(m)),
    'ai anthropic': ai((m) => createAnthropic({ apiKey: 'none', baseURL: `${url}/v1` })(m)),
    'ai google': ai((m) => gemini()(m), (m) => gemini().textEmbeddingModel(m)),
    'langchain openai': langchain(chatOpenai({ useResponsesApi: false }), lc),
    'langchain responses': langchain(chatOpenai({ useResponsesApi: true }), { ...lc, force: 'weather' }),
    'langchain anthropic': langchain(chatAnthropic, { force: 'any', fault: inName(anthropic(url).fault),
      lacks: { embed: () => assert.deepEqual(Object.keys(langchainAnthropic).filter((k) => /embedding/i.test(k)), []) } }),
  };
}
