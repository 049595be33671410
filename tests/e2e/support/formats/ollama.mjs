// Ollama's own API: lines of JSON.
import { lines, textOf, vectorOf } from './common.mjs';

const times = { total_duration: 5e6, load_duration: 1e6, prompt_eval_duration: 1e6, eval_duration: 2e6 };
const fault = (status, message) => ({ error: message });

function textFormat({ read, put }) {
  const ended = (r) => ({ done_reason: 'stop', done: true, ...times, prompt_eval_count: r.usage.input, eval_count: r.usage.output });
  const base = (r) => ({ model: r.model, created_at: '2026-01-01T00:00:00.000000Z' });
  return {
    type: 'application/x-ndjson',
    read: (body) => ({ stream: body.stream !== false, schema: typeof body.format === 'object' ? body.format : undefined, tools: [], calls: [], results: [], ...read(body) }),
    whole: (r) => ({ ...base(r), ...put(r.pieces.join(''), r.calls), ...ended(r) }),
    chunks: (r) => lines([...r.pieces.map((text) => ({ ...base(r), ...put(text, []), done: false })),
      ...(r.calls.length ? [{ ...base(r), ...put('', r.calls), done: false }] : []), { ...base(r), ...put('', []), ...ended(r) }]),
    fault,
  };
}

export const chat = textFormat({
  read(body) {
    const of = (role) => body.messages.filter((m) => m.role === role);
    return {
      system: of('system').map((m) => m.content).join(''),
      text: of('user').at(-1)?.content,
      tools: (body.tools ?? []).map((t) => t.function),
      calls: of('assistant').flatMap((m) => m.tool_calls ?? []).map((c) => ({ name: c.function.name, args: c.function.arguments })),
      results: of('tool').map((m) => ({ name: m.tool_name, text: textOf(m.content) })),
    };
  },
  put: (content, calls) => ({ message: { role: 'assistant', content,
    ...(calls.length ? { tool_calls: calls.map((c) => ({ function: { name: c.name, arguments: c.args } })) } : {}) } }),
});

export const generate = textFormat({
  read: (body) => ({ text: body.prompt, system: body.system ?? '' }),
  put: (response) => ({ response }),
});

export const embed = {
  read: (body) => ({ inputs: [body.input].flat() }),
  whole: (r) => ({ model: r.model, embeddings: r.inputs.map(vectorOf), total_duration: 1e6, load_duration: 1e5, prompt_eval_count: r.usage.input }),
  fault,
};
