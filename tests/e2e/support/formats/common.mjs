// What the formats share. Each one is an object: `read` says what a request asks for, in one shape
// for all formats; `whole` and `chunks` say an answer, `fault` an error.
//
//   asked: { stream, system, text, tools: [{name, parameters}], schema, forced, calls: [{id, name, args}],
//            results: [{id, name, text}], inputs }
//   reply: { id, model, pieces: [text], calls: [{id, name, args}], usage: {input, cached, output} }
//
// `forced` is a tool that must be called: an answer by a schema, where the format has no better way.

export const sse = (data) => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
export const named = (type, data) => `event: ${type}\n${sse({ type, ...data })}`;
export const lines = (objects) => objects.map((o) => `${JSON.stringify(o)}\n`);

/** Text of a content that is a string or a list of parts. */
export function textOf(content) {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => part.text ?? '').join('');
}

export const isLast = (list) => list.at(-1);

/** What the tools' arguments look like as they come: cut in the middle. */
export function halves(text) {
  const middle = Math.floor(text.length / 2);
  return [text.slice(0, middle), text.slice(middle)];
}

/** The vector of a text, in numbers that a float of four bytes holds. */
export const vectorOf = (text) => [text.length / 4, 0.5, -0.25];
