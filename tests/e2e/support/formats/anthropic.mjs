// Anthropic's Messages.
import { halves, named, textOf } from './common.mjs';

const usageOf = ({ input, cached, output }) => ({ input_tokens: input - cached, cache_read_input_tokens: cached,
  cache_creation_input_tokens: 0, output_tokens: output });

function blocksOf(r) {
  return [...(r.pieces.length ? [{ type: 'text', text: r.pieces.join('') }] : []),
    ...r.calls.map((c) => ({ type: 'tool_use', id: c.id, name: c.name, input: c.args }))];
}

const messageOf = (r) => ({ id: `msg_${r.id}`, type: 'message', role: 'assistant', model: r.model, content: blocksOf(r),
  stop_reason: r.calls.length ? 'tool_use' : 'end_turn', stop_sequence: null, usage: usageOf(r.usage) });

export const messages = {
  type: 'text/event-stream',
  ids: true,
  read(body) {
    const blocks = (role) => body.messages.filter((m) => m.role === role)
      .flatMap((m) => (typeof m.content === 'string' ? [{ type: 'text', text: m.content }] : m.content));
    return {
      stream: body.stream === true,
      system: textOf(body.system),
      text: blocks('user').filter((b) => b.type === 'text').at(-1)?.text,
      tools: (body.tools ?? []).map((t) => ({ name: t.name, parameters: t.input_schema })),
      schema: body.output_config?.format?.schema,
      forced: body.tool_choice?.type === 'tool' ? body.tool_choice.name : undefined,
      calls: blocks('assistant').filter((b) => b.type === 'tool_use').map((b) => ({ id: b.id, name: b.name, args: b.input })),
      results: blocks('user').filter((b) => b.type === 'tool_result').map((b) => ({ id: b.tool_use_id, text: textOf(b.content) })),
    };
  },
  whole: messageOf,
  /** The events themselves; `chunks` has them as text. */
  events(r) {
    const message = messageOf(r);
    const blocks = message.content.flatMap((block, index) => {
      const [empty, deltas] = block.type === 'text'
        ? [{ type: 'text', text: '' }, r.pieces.map((text) => ({ type: 'text_delta', text }))]
        : [{ ...block, input: {} }, halves(JSON.stringify(block.input)).map((partial_json) => ({ type: 'input_json_delta', partial_json }))];
      return [['content_block_start', { index, content_block: empty }], ...deltas.map((delta) => ['content_block_delta', { index, delta }]),
        ['content_block_stop', { index }]];
    });
    const { stop_reason, stop_sequence, usage } = message;
    return [['message_start', { message: { ...message, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } } }], ['ping', {}],
      ...blocks, ['message_delta', { delta: { stop_reason, stop_sequence }, usage: { output_tokens: usage.output_tokens } }], ['message_stop', {}]];
  },
  chunks(r) {
    return this.events(r).map(([type, data]) => named(type, data));
  },
  fault: (status, message) => ({ type: 'error', request_id: 'req_upstream',
    error: { type: status === 429 ? 'rate_limit_error' : 'invalid_request_error', message } }),
};
