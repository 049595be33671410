// Gemini's generateContent and its embeddings; Vertex has the same but for the embeddings.
import { sse, textOf, vectorOf } from './common.mjs';

const usageOf = ({ input, cached, output }) => ({ promptTokenCount: input, cachedContentTokenCount: cached,
  candidatesTokenCount: output, totalTokenCount: input + output });
const answer = (r, parts, finishReason) => ({ candidates: [{ index: 0, content: { role: 'model', parts }, finishReason }],
  usageMetadata: usageOf(r.usage), modelVersion: r.model, responseId: r.id });
const callsOf = (r) => r.calls.map((c) => ({ functionCall: { name: c.name, args: c.args } }));
const fault = (status, message) => ({ error: { code: status, message, status: status === 429 ? 'RESOURCE_EXHAUSTED' : 'INVALID_ARGUMENT' } });

export const generate = {
  type: 'text/event-stream',
  read(body, path) {
    const parts = (role) => body.contents.filter((c) => (c.role ?? 'user') === role).flatMap((c) => c.parts);
    const config = body.generationConfig ?? {};
    return {
      stream: /:streamGenerateContent\?alt=sse$/.test(path),
      system: textOf(body.systemInstruction?.parts),
      text: parts('user').filter((p) => p.text).at(-1)?.text,
      tools: (body.tools ?? []).flatMap((t) => t.functionDeclarations ?? [])
        .map((t) => ({ name: t.name, parameters: t.parametersJsonSchema ?? t.parameters })),
      schema: config.responseMimeType === 'application/json' ? config.responseJsonSchema ?? config.responseSchema : undefined,
      forced: body.toolConfig?.functionCallingConfig?.allowedFunctionNames?.[0],
      calls: parts('model').filter((p) => p.functionCall).map((p) => ({ ...p.functionCall })),
      results: parts('user').filter((p) => p.functionResponse).map(({ functionResponse: f }) => ({ name: f.name, text: JSON.stringify(f.response) })),
    };
  },
  whole: (r) => answer(r, [...(r.pieces.length ? [{ text: r.pieces.join('') }] : []), ...callsOf(r)], 'STOP'),
  chunks(r) {
    const parts = [...r.pieces.map((text) => ({ text })), ...callsOf(r)];
    return parts.map((part, i) => sse(answer(r, [part], i === parts.length - 1 ? 'STOP' : undefined)));
  },
  fault,
};

export const embed = {
  read: (body) => ({ inputs: (body.requests ?? [body]).map((r) => textOf(r.content.parts)) }),
  whole(r, body) {
    const all = r.inputs.map((text) => ({ values: vectorOf(text) }));
    return body.requests ? { embeddings: all } : { embedding: all[0] };
  },
  fault,
};

export const predict = {
  read: (body) => ({ inputs: body.instances.map((i) => i.content) }),
  whole: (r) => ({ predictions: r.inputs.map((text) => ({ embeddings: { values: vectorOf(text), statistics: { truncated: false, token_count: r.usage.input } } })) }),
  fault,
};
