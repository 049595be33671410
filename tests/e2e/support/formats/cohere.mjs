// Cohere's API v2: chat, embeddings, rankings.
import { halves, named, sse, textOf, vectorOf } from './common.mjs';
import { rerank as ranked } from './openai.mjs';

const usageOf = ({ input, cached, output }) => ({ billed_units: { input_tokens: input, output_tokens: output },
  tokens: { input_tokens: input, output_tokens: output }, cached_tokens: cached });
const callOf = (c) => ({ id: c.id, type: 'function', function: { name: c.name, arguments: JSON.stringify(c.args) } });
const fault = (status, message) => ({ id: 'upstream', message });

export const chat = {
  type: 'text/event-stream',
  ids: true,
  read(body) {
    const of = (role) => body.messages.filter((m) => m.role === role);
    return {
      stream: body.stream === true,
      system: of('system').map((m) => textOf(m.content)).join(''),
      text: textOf(of('user').at(-1)?.content),
      tools: (body.tools ?? []).map((t) => t.function),
      schema: body.response_format?.type === 'json_object' ? body.response_format.json_schema ?? body.response_format.schema : undefined,
      calls: of('assistant').flatMap((m) => m.tool_calls ?? []).map((c) => ({ id: c.id, name: c.function.name, args: JSON.parse(c.function.arguments) })),
      results: of('tool').map((m) => ({ id: m.tool_call_id, text: JSON.stringify(m.content) })),
    };
  },
  whole(r) {
    const text = r.pieces.join('');
    const message = r.calls.length ? { role: 'assistant', tool_plan: text, tool_calls: r.calls.map(callOf) }
      : { role: 'assistant', content: [{ type: 'text', text }] };
    return { id: r.id, message, finish_reason: r.calls.length ? 'TOOL_CALL' : 'COMPLETE', usage: usageOf(r.usage) };
  },
  chunks(r) {
    const calls = r.calls.flatMap((c, index) => {
      const call = callOf(c);
      return [named('tool-call-start', { index, delta: { message: { tool_calls: { ...call, function: { name: c.name, arguments: '' } } } } }),
        ...halves(call.function.arguments).map((text) => named('tool-call-delta', { index, delta: { message: { tool_calls: { function: { arguments: text } } } } })),
        named('tool-call-end', { index })];
    });
    const said = r.calls.length ? r.pieces.map((tool_plan) => named('tool-plan-delta', { delta: { message: { tool_plan } } }))
      : [named('content-start', { index: 0, delta: { message: { content: { type: 'text', text: '' } } } }),
        ...r.pieces.map((text) => named('content-delta', { index: 0, delta: { message: { content: { text } } } })), named('content-end', { index: 0 })];
    return [named('message-start', { id: r.id, delta: { message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } } }),
      ...said, ...calls, named('message-end', { delta: { finish_reason: r.calls.length ? 'TOOL_CALL' : 'COMPLETE', usage: usageOf(r.usage) } }), sse('[DONE]')];
  },
  fault,
};

export const embed = {
  read: (body) => ({ inputs: body.texts ?? body.inputs.map((i) => textOf(i.content)) }),
  whole: (r) => ({ id: r.id, texts: r.inputs, embeddings: { float: r.inputs.map(vectorOf) },
    meta: { api_version: { version: '2' }, billed_units: { input_tokens: r.usage.input } } }),
  fault,
};

export const rerank = { ...ranked, fault };
