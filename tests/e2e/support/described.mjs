// Holds every answer of every gateway that a test's process talks to, by whatever client, against
// the gateway's own description of itself (/openapi.json). What comes over this process's sockets
// from a gateway's port is kept, and read when the file's tests are over.
import assert from 'node:assert/strict';
import net from 'node:net';
import Ajv from 'ajv/dist/2020.js';
import { parseEvents, parseResponses } from './http.mjs';

const MAX_BYTES = 64 << 20; // of a connection; what is behind is not looked at
const MAX_PROBLEMS = 12;

const gateways = new Set(); // ports
const conversations = [];
const known = new WeakMap(); // socket → its conversation

/** From now on the answers from that port of this machine are kept. */
export function watch(port) {
  gateways.add(Number(port));
}

export function unwatch(port) {
  gateways.delete(Number(port));
}

function conversationOf(socket) {
  let found = known.get(socket);
  if (found === undefined && socket.remotePort) {
    found = gateways.has(socket.remotePort) ? { sent: [], received: [], bytes: 0 } : null;
    known.set(socket, found);
    if (found) conversations.push(found);
  }
  return found;
}

function keep(conversation, list, chunk, encoding) {
  if (!conversation || !chunk || conversation.bytes > MAX_BYTES) return;
  const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : Buffer.from(chunk); // a copy: senders reuse theirs
  conversation.bytes += bytes.length;
  list.push(bytes);
}

// Every client of Node's, fetch among them, reads and writes through these two.
const { push } = net.Socket.prototype;
const { _writeGeneric: write } = net.Socket.prototype;
net.Socket.prototype.push = function pushAndKeep(chunk, encoding) {
  const conversation = conversationOf(this);
  if (conversation) keep(conversation, conversation.received, chunk, encoding);
  return push.call(this, chunk, encoding);
};
net.Socket.prototype._writeGeneric = function writeAndKeep(many, data, encoding, done) {
  const conversation = this.connecting ? null : conversationOf(this); // else it comes once more
  if (conversation) {
    for (const part of many ? data : [{ chunk: data, encoding }]) keep(conversation, conversation.sent, part.chunk ?? part, part.encoding);
  }
  return write.call(this, many, data, encoding, done);
};

/** The requests that bytes hold, as far as they are well formed: their method and path. */
export function parseRequests(bytes) {
  const all = [];
  let at = 0;
  while (at < bytes.length) {
    while (bytes[at] === 13 || bytes[at] === 10) at++; // blank lines before a request
    const end = bytes.indexOf('\r\n\r\n', at);
    if (end < 0) break;
    const lines = bytes.toString('latin1', at, end).split('\r\n');
    const line = /^([A-Z]+) (\S+) HTTP\/1\.[01]$/.exec(lines[0]);
    if (!line) break;
    const headers = Object.fromEntries(lines.slice(1).map((l) => [l.slice(0, l.indexOf(':')).toLowerCase(), l.slice(l.indexOf(':') + 1).trim()]));
    all.push({ method: line[1].toLowerCase(), path: line[2].replace(/^https?:\/\/[^/?]*/i, '').split('?')[0] });
    at = end + 4;
    if (/chunked/i.test(headers['transfer-encoding'] ?? '')) {
      // As an answer with the same framing would be.
      const head = Buffer.from('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      try {
        const last = parseResponses(Buffer.concat([head, bytes.subarray(at)]), { first: true })[0];
        if (!last.complete) break;
        at += last.end - head.length;
      } catch {
        break;
      }
    } else {
      at += Number(headers['content-length'] ?? 0);
    }
  }
  return all;
}

/** The operations of a document, and whether values fit what they say. */
export class Description {
  constructor(document) {
    this.document = document;
    this.ajv = new Ajv({ strict: false });
    this.ajv.addSchema({ $id: 'tollgate:api', ...document });
    this.compiled = new Map();
    this.templates = Object.keys(document.paths).map((template) => ({ template,
      pattern: new RegExp(`^${template.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
      literal: template.replace(/\{\w+\}/g, '').length })).sort((a, b) => b.literal - a.literal);
  }

  /** The template that a path is of: the most literal one that has the method, else that fits. */
  find(method, path) {
    const fits = this.templates.filter((t) => t.pattern.test(path)).map((t) => t.template);
    const template = fits.find((t) => this.document.paths[t][method]);
    return template ? { template, operation: this.document.paths[template][method] } : { other: fits[0] };
  }

  /** What is wrong with a value, or null. */
  misfit(at, value) {
    const pointer = at.map((p) => encodeURIComponent(p.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
    if (!this.compiled.has(pointer)) this.compiled.set(pointer, this.ajv.compile({ $ref: `tollgate:api#/${pointer}` }));
    const validate = this.compiled.get(pointer);
    if (validate(value)) return null;
    return `${this.ajv.errorsText(validate.errors).slice(0, 600)}\n    ${JSON.stringify(value)?.slice(0, 600)}`;
  }
}

/** The whole values that a body of that type holds; a stream's last one may be cut. */
function valuesOf(type, res) {
  const text = res.body.toString('utf8');
  if (type === 'text/event-stream') {
    const whole = text.slice(0, Math.max(text.lastIndexOf('\n\n') + 2, text.lastIndexOf('\r\n\r\n') + 4, 0));
    return parseEvents(whole).filter((d) => d !== '[DONE]').map((d) => JSON.parse(d));
  }
  if (type === 'application/x-ndjson') return text.slice(0, text.lastIndexOf('\n') + 1).split('\n').filter((l) => l.trim()).map((l) => JSON.parse(l));
  if (!res.complete) return [];
  return [type === 'application/json' ? JSON.parse(text) : text];
}

function* errorProblems(description, res) {
  // No operation of ours: the answer must say so, in one of the error shapes.
  if (res.status < 400) { yield `status ${res.status} from what is not described`; return; }
  const type = res.headers['content-type']?.split(';')[0];
  if (type !== 'application/json') { yield `an error of type ${type}`; return; }
  const [value] = valuesOf(type, res);
  if (value === undefined) return;
  const shapes = ['OpenAIError', 'AnthropicError', 'GeminiError', 'OllamaError'];
  const misfits = shapes.map((name) => description.misfit(['components', 'schemas', name], value));
  if (!misfits.includes(null)) yield misfits[0];
}

function* bodyProblems(description, found, method, res) {
  const { template, operation } = found;
  const key = String(res.status) in operation.responses ? String(res.status) : 'default';
  if (res.status < 300 && key === 'default') yield `status ${res.status} is not described`;
  const described = operation.responses[key];
  for (const name of Object.keys(res.headers).filter((n) => n.startsWith('x-tollgate-'))) {
    if (!(name in (described.headers ?? {}))) yield `header ${name} is not described`;
  }
  const type = res.headers['content-type']?.split(';')[0] ?? 'none';
  const content = type in described.content ? type : '*/*';
  if (!(content in described.content)) { yield `an answer of type ${type}`; return; }
  if (content === '*/*') return;
  for (const value of valuesOf(type, res)) {
    const misfit = description.misfit(['paths', template, method, 'responses', key, 'content', type, 'schema'], value);
    if (misfit) { yield misfit; return; }
  }
}

/** What an answer has that its description has not. `req` is absent where it was no HTTP. */
export function* problems(description, req, res) {
  if (!res.headers) return; // cut before its head was whole
  if (res.status < 200) return;
  if (!res.headers['x-request-id']) yield 'no x-request-id';
  if (req && (req.method === 'head' || req.method === 'options')) return;
  const found = req ? description.find(req.method, req.path) : {};
  try {
    if (found.operation) yield* bodyProblems(description, found, req.method, res);
    else yield* errorProblems(description, res);
  } catch (error) {
    yield `cannot be read: ${error.message}`;
  }
}

/** Holds all that was kept so far against the document; gives how many answers that were. */
export function assertDescribed(document) {
  const description = new Description(document);
  const wrong = new Map();
  let answers = 0;
  for (const { sent, received } of conversations.splice(0)) {
    const requests = parseRequests(Buffer.concat(sent));
    const all = parseResponses(Buffer.concat(received), { heads: requests.map((r) => r.method === 'head') });
    let at = 0;
    for (const res of all) {
      const req = requests[at];
      answers += res.headers ? 1 : 0;
      for (const problem of problems(description, req, res)) {
        const what = `${req ? `${req.method} ${req.path}` : 'no request'}: ${res.status}: ${problem}`;
        wrong.set(what.split('\n')[0], what);
      }
      if (!(res.status < 200)) at++;
    }
  }
  assert.equal(wrong.size, 0, `answers that are not as /openapi.json says:\n${[...wrong.values()].slice(0, MAX_PROBLEMS).join('\n')}`);

  return answers;
}

/** Whether anything was kept since the last time. */
export function anythingKept() {
  return conversations.length > 0;
}
