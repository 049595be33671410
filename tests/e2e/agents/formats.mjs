// What a request says, in each of the formats that agents and providers speak: the system prompt's
// texts, the tools, the tools' results and the calls they belong to. `schema`, where there is one, is
// what of a JSON schema can be said in the format.

/** Texts of a content that is a string or a list of parts. */
export function textsOf(content) {
  if (typeof content === 'string') return [content];
  return (content ?? []).map((part) => part.text).filter((text) => text !== undefined);
}

const blocks = (body, type) => body.messages
  .flatMap((m) => (Array.isArray(m.content) ? m.content : [])).filter((part) => part.type === type);
const items = (body, type) => body.input.filter((i) => i.type === type);
const parts = (body, member) => body.contents.flatMap((c) => c.parts).filter((p) => p[member]).map((p) => p[member]);

// Members of JSON Schema that Google's API refuses, and so can't get there.
const UNKNOWN_TO_GEMINI = new Set(['$schema', '$comment', 'examples', 'exclusiveMinimum', 'exclusiveMaximum']);

function geminiSchema(schema, isNames = false) {
  if (Array.isArray(schema)) return schema.map((s) => geminiSchema(s));
  if (schema === null || typeof schema !== 'object') return schema;
  return Object.fromEntries(Object.entries(schema).filter(([key]) => isNames || !UNKNOWN_TO_GEMINI.has(key))
    .map(([key, value]) => [key, geminiSchema(value, !isNames && key === 'properties')]));
}

export const FORMATS = {
  openai_chat: {
    path: /^\/v1\/chat\/completions$/,
    system: (body) => body.messages.filter((m) => ['system', 'developer'].includes(m.role))
      .flatMap((m) => textsOf(m.content)),
    tools: (body) => body.tools.map(({ function: f }) => ({ name: f.name, description: f.description,
      parameters: f.parameters })),
    results: (body) => body.messages.filter((m) => m.role === 'tool')
      .map((m) => ({ id: m.tool_call_id, text: textsOf(m.content).join('') })),
    calls: (body) => body.messages.flatMap((m) => m.tool_calls ?? [])
      .map((c) => ({ id: c.id, arguments: JSON.parse(c.function.arguments) })),
  },

  anthropic: {
    path: /^\/v1\/messages(\?beta=true)?$/,
    system: (body) => [...textsOf(body.system),
      ...body.messages.filter((m) => m.role === 'system').flatMap((m) => textsOf(m.content))],
    tools: (body) => body.tools.map((t) => ({ name: t.name, description: t.description,
      parameters: t.input_schema })),
    results: (body) => blocks(body, 'tool_result')
      .map((part) => ({ id: part.tool_use_id, text: textsOf(part.content).join('') })),
    calls: (body) => blocks(body, 'tool_use').map((part) => ({ id: part.id, arguments: part.input })),
  },

  responses: {
    path: /^\/v1\/responses$/,
    system: (body) => [body.instructions, ...body.input.filter((i) => ['developer', 'system'].includes(i.role))
      .flatMap((i) => textsOf(i.content))].filter(Boolean),
    // Those of a namespace are offered with the others, their names made of both.
    tools: (body) => body.tools.flatMap((t) => (t.type === 'namespace'
      ? t.tools.map((inner) => ({ ...inner, namespace: t.name })) : [t]))
      .map((t) => ({ name: t.name, namespace: t.namespace, description: t.description,
        parameters: t.parameters })),
    results: (body) => items(body, 'function_call_output')
      .map((i) => ({ id: i.call_id, text: textsOf(i.output).join('') })),
    calls: (body) => items(body, 'function_call')
      .map((i) => ({ id: i.call_id, arguments: JSON.parse(i.arguments) })),
  },

  gemini: {
    path: /^\/v1beta\/models\/scripted:streamGenerateContent\?alt=sse$/,
    schema: geminiSchema,
    system: (body) => textsOf(body.systemInstruction.parts),
    tools: (body) => body.tools.flatMap((t) => t.functionDeclarations)
      .map((t) => ({ name: t.name, description: t.description, parameters: t.parametersJsonSchema })),
    results: (body) => parts(body, 'functionResponse')
      .map((r) => ({ id: r.id, text: r.response.output ?? r.response.result ?? JSON.stringify(r.response) })),
    calls: (body) => parts(body, 'functionCall').map((c) => ({ id: c.id, arguments: c.args })),
  },
};
