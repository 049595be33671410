// OpenAI's chat completions, completions and embeddings; rankings as vLLM and Together have them.
import { halves, isLast, sse, textOf, vectorOf } from './common.mjs';

const usageOf = ({ input, cached, output }) => ({ prompt_tokens: input, completion_tokens: output, total_tokens: input + output,
  prompt_tokens_details: { cached_tokens: cached } });
const callOf = (c) => ({ id: c.id, type: 'function', function: { name: c.name, arguments: JSON.stringify(c.args) } });
const fault = (status, message) => ({ error: { message, type: status === 429 ? 'requests' : 'invalid_request_error', param: null,
  code: status === 429 ? 'rate_limit_exceeded' : null } });

export const chat = {
  type: 'text/event-stream',
  ids: true,
  read(body) {
    const of = (...roles) => body.messages.filter((m) => roles.includes(m.role));
    return {
      stream: body.stream === true,
      system: of('system', 'developer').map((m) => textOf(m.content)).join(''),
      text: textOf(of('user').at(-1)?.content),
      tools: (body.tools ?? []).map((t) => t.function),
      schema: body.response_format?.json_schema?.schema,
      forced: body.tool_choice?.function?.name,
      calls: of('assistant').flatMap((m) => m.tool_calls ?? []).map((c) => ({ id: c.id, name: c.function.name, args: JSON.parse(c.function.arguments) })),
      results: of('tool').map((m) => ({ id: m.tool_call_id, text: textOf(m.content) })),
    };
  },
  whole(r) {
    return { id: `chatcmpl-${r.id}`, object: 'chat.completion', created: 1700000000, model: r.model, usage: usageOf(r.usage),
      choices: [{ index: 0, logprobs: null, finish_reason: r.calls.length ? 'tool_calls' : 'stop',
        message: { role: 'assistant', content: r.pieces.join('') || null, refusal: null, ...(r.calls.length ? { tool_calls: r.calls.map(callOf) } : {}) } }] };
  },
  chunks(r, body) {
    const base = { id: `chatcmpl-${r.id}`, object: 'chat.completion.chunk', created: 1700000000, model: r.model };
    const chunk = (delta, finish = null) => sse({ ...base, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });
    const calls = r.calls.flatMap((c, index) => {
      const { function: { name, arguments: text }, ...call } = callOf(c);
      return [chunk({ tool_calls: [{ index, ...call, function: { name, arguments: '' } }] }),
        ...halves(text).map((half) => chunk({ tool_calls: [{ index, function: { arguments: half } }] }))];
    });
    return [chunk({ role: 'assistant', content: '', refusal: null }), ...r.pieces.map((content) => chunk({ content })), ...calls,
      chunk({}, r.calls.length ? 'tool_calls' : 'stop'),
      // Who does not ask for the usage of a stream does not get it.
      ...(body.stream_options?.include_usage ? [sse({ ...base, choices: [], usage: usageOf(r.usage) })] : []), sse('[DONE]')];
  },
  fault,
};

export const completions = {
  type: 'text/event-stream',
  read: (body) => ({ stream: body.stream === true, text: body.prompt, tools: [], calls: [], results: [] }),
  whole: (r) => ({ id: `cmpl-${r.id}`, object: 'text_completion', created: 1700000000, model: r.model, usage: usageOf(r.usage),
    choices: [{ index: 0, text: r.pieces.join(''), logprobs: null, finish_reason: 'stop' }] }),
  chunks(r, body) {
    const base = { id: `cmpl-${r.id}`, object: 'text_completion', created: 1700000000, model: r.model };
    const chunk = (text, finish = null) => sse({ ...base, choices: [{ index: 0, text, logprobs: null, finish_reason: finish }] });
    return [...r.pieces.map((text) => chunk(text)), chunk('', 'stop'),
      ...(body.stream_options?.include_usage ? [sse({ ...base, choices: [], usage: usageOf(r.usage) })] : []), sse('[DONE]')];
  },
  fault,
};

export const embeddings = {
  read: (body) => ({ inputs: [body.input].flat() }),
  whole(r, body) {
    const pack = (v) => (body.encoding_format === 'base64' ? Buffer.from(Float32Array.from(v).buffer).toString('base64') : v);
    return { object: 'list', model: r.model, usage: { prompt_tokens: r.usage.input, total_tokens: r.usage.input },
      data: r.inputs.map((text, index) => ({ object: 'embedding', index, embedding: pack(vectorOf(text)) })) };
  },
  fault,
};

/** The best is the longest. */
export const rerank = {
  read: (body) => ({ inputs: body.documents }),
  whole: (r) => ({ id: r.id, results: r.inputs.map((text, index) => ({ index, relevance_score: text.length / 4 }))
    .sort((a, b) => b.relevance_score - a.relevance_score), meta: { billed_units: { search_units: 1 } } }),
  fault,
};

// Responses: items instead of messages, and a type for each event.

const responseUsage = ({ input, cached, output }) => ({ input_tokens: input, input_tokens_details: { cached_tokens: cached },
  output_tokens: output, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: input + output });

function itemsOf(r) {
  const said = r.pieces.length ? [{ id: `msg_${r.id}`, type: 'message', role: 'assistant', status: 'completed',
    content: [{ type: 'output_text', text: r.pieces.join(''), annotations: [], logprobs: [] }] }] : [];
  return [...said, ...r.calls.map((c) => ({ id: `fc_${c.id}`, type: 'function_call', status: 'completed', call_id: c.id, name: c.name,
    arguments: JSON.stringify(c.args) }))];
}

function responseOf(r, status) {
  const done = status === 'completed';
  return { id: `resp_${r.id}`, object: 'response', created_at: 1700000000, status, model: r.model, error: null, incomplete_details: null,
    instructions: null, metadata: {}, parallel_tool_calls: true, temperature: 1, tool_choice: 'auto', tools: [], top_p: 1,
    text: { format: { type: 'text' } }, output: done ? itemsOf(r) : [], usage: done ? responseUsage(r.usage) : null };
}

export const responses = {
  type: 'text/event-stream',
  ids: true,
  read(body) {
    const items = typeof body.input === 'string' ? [{ role: 'user', content: body.input }] : body.input;
    const said = (...roles) => items.filter((i) => roles.includes(i.role)).map((i) => textOf(i.content));
    return {
      stream: body.stream === true,
      system: (body.instructions ?? '') + said('system', 'developer').join(''),
      text: isLast(said('user')),
      tools: body.tools ?? [],
      schema: body.text?.format?.schema,
      forced: body.tool_choice?.name,
      calls: items.filter((i) => i.type === 'function_call').map((i) => ({ id: i.call_id, name: i.name, args: JSON.parse(i.arguments) })),
      results: items.filter((i) => i.type === 'function_call_output').map((i) => ({ id: i.call_id, text: textOf(i.output) })),
    };
  },
  whole: (r) => responseOf(r, 'completed'),
  chunks(r) {
    let n = 0;
    const event = (type, data) => `event: ${type}\n${sse({ type, sequence_number: n++, ...data })}`;
    const events = [event('response.created', { response: responseOf(r, 'in_progress') }),
      event('response.in_progress', { response: responseOf(r, 'in_progress') })];
    itemsOf(r).forEach((item, output_index) => {
      const at = { output_index, item_id: item.id };
      if (item.type === 'message') {
        const part = { type: 'output_text', text: '', annotations: [], logprobs: [] };
        const [{ text }] = item.content;
        events.push(event('response.output_item.added', { output_index, item: { ...item, status: 'in_progress', content: [] } }),
          event('response.content_part.added', { ...at, content_index: 0, part }),
          ...r.pieces.map((delta) => event('response.output_text.delta', { ...at, content_index: 0, delta, logprobs: [] })),
          event('response.output_text.done', { ...at, content_index: 0, text, logprobs: [] }),
          event('response.content_part.done', { ...at, content_index: 0, part: { ...part, text } }));
      } else {
        events.push(event('response.output_item.added', { output_index, item: { ...item, status: 'in_progress', arguments: '' } }),
          ...halves(item.arguments).map((delta) => event('response.function_call_arguments.delta', { ...at, delta })),
          event('response.function_call_arguments.done', { ...at, arguments: item.arguments }));
      }
      events.push(event('response.output_item.done', { output_index, item }));
    });
    return [...events, event('response.completed', { response: responseOf(r, 'completed') })];
  },
  fault,
};
