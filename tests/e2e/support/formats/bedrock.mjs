// Bedrock's Converse and Invoke, AWS's binary event stream and signature, made anew here.
import { createHash, createHmac } from 'node:crypto';
import zlib from 'node:zlib';
import { messages } from './anthropic.mjs';
import { halves, textOf } from './common.mjs';

/** One frame of application/vnd.amazon.eventstream. */
export function frame(type, payload, kind = 'event') {
  const header = (name, value) => Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from([7, 0, value.length]), Buffer.from(value)]);
  const headers = Buffer.concat([header(`:${kind}-type`, type), header(':content-type', 'application/json'), header(':message-type', kind)]);
  const body = Buffer.from(JSON.stringify(payload));
  const prelude = Buffer.alloc(12);
  prelude.writeUInt32BE(16 + headers.length + body.length, 0);
  prelude.writeUInt32BE(headers.length, 4);
  prelude.writeUInt32BE(zlib.crc32(prelude.subarray(0, 8)), 8);
  const head = Buffer.concat([prelude, headers, body]);
  const end = Buffer.alloc(4);
  end.writeUInt32BE(zlib.crc32(head));
  return Buffer.concat([head, end]);
}

const sha = (text) => createHash('sha256').update(text).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();

/** The signature that the request should have, from its own headers (AWS Signature Version 4). */
export function signature(record, secret) {
  const [, scope, signed] = /Credential=[^/]+\/(\S+), SignedHeaders=(\S+), Signature=/.exec(record.headers.authorization);
  const [date, region, service] = scope.split('/');
  const path = record.path.split('/').map((s) => encodeURIComponent(s)).join('/');
  const names = signed.split(';');
  const canonical = [record.method, path, '', ...names.map((n) => `${n}:${record.headers[n]}`), '', signed, sha(record.body)].join('\n');
  const text = ['AWS4-HMAC-SHA256', record.headers['x-amz-date'], scope, sha(canonical)].join('\n');
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), service), 'aws4_request');
  return hmac(key, text).toString('hex');
}

const fault = (status, message) => ({ message });

export const converse = {
  type: 'application/vnd.amazon.eventstream',
  ids: true,
  read(body, path) {
    const blocks = (role) => body.messages.filter((m) => m.role === role).flatMap((m) => m.content);
    const format = body.outputConfig?.textFormat?.structure?.jsonSchema?.schema;
    return {
      stream: path.endsWith('/converse-stream'),
      system: textOf(body.system),
      text: blocks('user').filter((b) => b.text).at(-1)?.text,
      tools: (body.toolConfig?.tools ?? []).map((t) => ({ name: t.toolSpec.name, parameters: t.toolSpec.inputSchema.json })),
      schema: format && JSON.parse(format),
      forced: body.toolConfig?.toolChoice?.tool?.name,
      calls: blocks('assistant').filter((b) => b.toolUse).map(({ toolUse: t }) => ({ id: t.toolUseId, name: t.name, args: t.input })),
      results: blocks('user').filter((b) => b.toolResult).map(({ toolResult: t }) => ({ id: t.toolUseId, text: JSON.stringify(t.content) })),
    };
  },
  whole(r) {
    const content = [...(r.pieces.length ? [{ text: r.pieces.join('') }] : []),
      ...r.calls.map((c) => ({ toolUse: { toolUseId: c.id, name: c.name, input: c.args } }))];
    return { output: { message: { role: 'assistant', content } }, stopReason: r.calls.length ? 'tool_use' : 'end_turn', usage: this.usage(r), metrics: { latencyMs: 1 } };
  },
  usage: ({ usage: { input, cached, output } }) => ({ inputTokens: input - cached, cacheReadInputTokens: cached, outputTokens: output, totalTokens: input + output }),
  chunks(r) {
    const delta = (contentBlockIndex, d) => frame('contentBlockDelta', { contentBlockIndex, delta: d });
    const stop = (contentBlockIndex) => frame('contentBlockStop', { contentBlockIndex });
    const text = r.pieces.length ? [...r.pieces.map((t) => delta(0, { text: t })), stop(0)] : [];
    const first = r.pieces.length ? 1 : 0;
    const calls = r.calls.flatMap((c, i) => [
      frame('contentBlockStart', { contentBlockIndex: first + i, start: { toolUse: { toolUseId: c.id, name: c.name } } }),
      ...halves(JSON.stringify(c.args)).map((input) => delta(first + i, { toolUse: { input } })), stop(first + i)]);
    return [frame('messageStart', { role: 'assistant' }), ...text, ...calls,
      frame('messageStop', { stopReason: r.calls.length ? 'tool_use' : 'end_turn' }), frame('metadata', { usage: this.usage(r), metrics: { latencyMs: 1 } })];
  },
  fault,
};

/** Claude's own format behind InvokeModel. */
export const invoke = {
  type: 'application/vnd.amazon.eventstream',
  ids: true,
  read: (body, path) => ({ ...messages.read(body), stream: path.endsWith('/invoke-with-response-stream') }),
  whole: messages.whole,
  chunks: (r) => messages.events(r).map(([type, data]) => frame('chunk', { bytes: Buffer.from(JSON.stringify({ type, ...data })).toString('base64') })),
  fault,
};
