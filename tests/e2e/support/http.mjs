// Clients: plain requests, streams read event by event, raw bytes on a socket.
import http from 'node:http';
import net from 'node:net';
import { within } from './wait.mjs';

const DEADLINE_MS = 15000;

/** One request on a connection of its own. `json` is a body; the answer's body is text and bytes. */
export function request(port, { method, path = '/', headers = {}, json, body, signal, host = '127.0.0.1',
  ms = DEADLINE_MS } = {}) {
  const payload = json === undefined ? body : JSON.stringify(json);
  const all = { ...headers };
  if (json !== undefined && !('content-type' in all)) all['content-type'] = 'application/json';
  const work = new Promise((resolve, reject) => {
    const req = http.request({ host, port, path, method: method ?? (payload === undefined ? 'GET' : 'POST'),
      headers: all, agent: false, signal }, (res) => {
      const parts = [];
      res.on('data', (d) => parts.push(d));
      res.on('end', () => resolve(answer(res, Buffer.concat(parts))));
      res.on('error', reject);
    });
    req.on('error', reject);
    req.end(payload);
  });
  return within(work, ms, `an answer to ${path}`);
}

function answer(res, bytes) {
  return {
    status: res.statusCode, headers: res.headers, rawHeaders: res.rawHeaders, bytes,
    complete: res.complete,
    get text() { return bytes.toString('utf8'); },
    get json() { return JSON.parse(bytes.toString('utf8')); },
    get error() { return this.json.error; },
    get events() { return parseEvents(bytes.toString('utf8')); },
  };
}

/** The data of each server-sent event, comments left out. */
export function parseEvents(text) {
  const events = [];
  let data = [];
  for (const line of text.split(/\r\n|\n|\r/)) {
    if (line === '' && data.length) {
      events.push(data.join('\n'));
      data = [];
    } else if (line.startsWith('data:')) {
      data.push(line.slice(line[5] === ' ' ? 6 : 5));
    }
  }
  return events;
}

export function chatBody(model, extra = {}) {
  return { model, messages: [{ role: 'user', content: 'Say something.' }], ...extra };
}

export function chat(port, model, extra = {}, options = {}) {
  return request(port, { path: '/v1/chat/completions', json: chatBody(model, extra), ...options });
}

/** What a chat stream amounts to: its text, the events parsed, and how it ended. */
export function readChatStream(res) {
  const events = res.events;
  const done = events.at(-1) === '[DONE]';
  const chunks = events.filter((e) => e !== '[DONE]').map((e) => JSON.parse(e));
  return {
    done, chunks,
    doneCount: events.filter((e) => e === '[DONE]').length,
    text: chunks.map((c) => c.choices?.[0]?.delta?.content ?? '').join(''),
    errors: chunks.filter((c) => c.error).map((c) => c.error),
    finish: chunks.map((c) => c.choices?.[0]?.finish_reason).filter(Boolean).at(-1),
    usage: chunks.map((c) => c.usage).filter(Boolean).at(-1),
  };
}

/** A stream that is read as it comes: next() gives the next event's data, undefined at the end. */
export class LiveStream {
  static open(port, { path = '/v1/chat/completions', json, headers = {}, host = '127.0.0.1' }) {
    const stream = new LiveStream();
    stream.queue = [];
    stream.buffer = '';
    stream.bytes = 0;
    stream.wake = () => {};
    return within(new Promise((resolve, reject) => {
      const req = http.request({ host, port, path, method: 'POST', agent: false,
        headers: { 'content-type': 'application/json', ...headers } }, (res) => {
        stream.status = res.statusCode;
        stream.headers = res.headers;
        stream.res = res;
        res.setEncoding('utf8');
        res.on('data', (text) => stream.take(text));
        res.on('end', () => stream.finish(null));
        res.on('error', (error) => stream.finish(error));
        resolve(stream);
      });
      stream.req = req;
      req.on('error', (error) => { stream.finish(error); reject(error); });
      req.end(JSON.stringify(json));
    }), DEADLINE_MS, 'the head of a stream');
  }

  take(text) {
    this.bytes += text.length;
    this.buffer += text;
    let at;
    while ((at = this.buffer.indexOf('\n\n')) >= 0) {
      const [data] = parseEvents(this.buffer.slice(0, at + 2));
      this.buffer = this.buffer.slice(at + 2);
      if (data !== undefined) this.queue.push(data);
    }
    this.wake();
  }

  finish(error) {
    if (this.over) return;
    this.over = true;
    this.error = error;
    this.wake();
  }

  async next(ms = DEADLINE_MS) {
    const until = performance.now() + ms;
    while (!this.queue.length && !this.over) {
      const left = until - performance.now();
      if (left <= 0) throw new Error(`no event within ${ms} ms`);
      await within(new Promise((resolve) => { this.wake = resolve; }), left, 'an event');
    }
    return this.queue.shift();
  }

  /** All events to the end. */
  async rest(ms = DEADLINE_MS) {
    const all = [];
    for (let e = await this.next(ms); e !== undefined; e = await this.next(ms)) all.push(e);
    return all;
  }

  abort() {
    this.req.destroy();
  }
}

/** A TCP connection: send bytes, look at what came, wait for the end. */
export class RawSocket {
  static open(port, { host = '127.0.0.1' } = {}) {
    const raw = new RawSocket();
    raw.received = Buffer.alloc(0);
    raw.closed = false;
    raw.socket = net.connect({ port, host, noDelay: true, allowHalfOpen: true });
    raw.wake = () => {};
    raw.socket.on('data', (d) => { raw.received = Buffer.concat([raw.received, d]); raw.wake(); });
    raw.socket.on('end', () => { raw.ended = true; raw.wake(); });
    raw.socket.on('error', (error) => { raw.error = error; });
    raw.socket.on('close', () => { raw.closed = true; raw.wake(); });
    return within(new Promise((resolve, reject) => {
      raw.socket.once('connect', () => resolve(raw));
      raw.socket.once('error', reject);
    }), DEADLINE_MS, 'a connection');
  }

  get text() {
    return this.received.toString('latin1');
  }

  write(bytes) {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }

  /** FIN, while answers may still come. */
  end() {
    this.socket.end();
    return this;
  }

  destroy() {
    this.socket.destroy();
  }

  async wait(probe, ms = 5000, what = 'bytes on a socket') {
    const deadline = performance.now() + ms;
    while (!probe(this)) {
      const left = deadline - performance.now();
      await within(new Promise((resolve) => { this.wake = resolve; }), Math.max(left, 0),
        `${what}; so far: ${JSON.stringify(this.text.slice(0, 300))}`);
    }
    return this;
  }

  /** Until the other side has ended (FIN or reset). */
  async ending(ms = 5000) {
    return await this.wait((r) => r.ended || r.closed, ms, 'the end of a connection');
  }

  /** Until one whole answer is there. */
  async response(ms = 5000, { head = false } = {}) {
    await this.wait((r) => parseResponses(r.received, { head })[0]?.complete || r.ended || r.closed, ms,
      'an answer');
    return parseResponses(this.received, { head })[0];
  }
}

/** The HTTP answers that bytes hold, in order; interim ones (1xx) too. `head`: no body follows any;
 *  `heads`: which of them no body follows; `first`: one is enough. Each says where it ends. */
export function parseResponses(bytes, { head = false, heads = [], first = false } = {}) {
  const all = [];
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf('\r\n\r\n', at);
    if (end < 0) {
      all.push({ complete: false, raw: bytes.subarray(at) });
      break;
    }
    const lines = bytes.toString('latin1', at, end).split('\r\n');
    const headers = {};
    for (const line of lines.slice(1)) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const res = { line: lines[0], status: Number(lines[0].split(' ')[1]), headers, complete: true };
    at = end + 4;
    const nth = all.filter((r) => r.status >= 200).length;
    const bodyless = res.status < 200 || res.status === 204 || res.status === 304 || head || heads[nth];
    if (bodyless) {
      res.body = Buffer.alloc(0);
    } else if (/chunked/i.test(headers['transfer-encoding'] ?? '')) {
      at = readChunks(bytes, at, res);
    } else if ('content-length' in headers) {
      const n = Number(headers['content-length']);
      res.body = bytes.subarray(at, at + n);
      res.complete = res.body.length === n;
      at += res.body.length;
    } else {
      res.body = bytes.subarray(at);
      at = bytes.length;
    }
    Object.defineProperty(res, 'json', { get() { return JSON.parse(this.body.toString('utf8')); } });
    res.end = at;
    all.push(res);
    if (first) break;
  }
  return all;
}

function readChunks(bytes, start, res) {
  const parts = [];
  let at = start;
  res.complete = false;
  for (;;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) break;
    const size = parseInt(bytes.toString('latin1', at, line), 16);
    if (Number.isNaN(size)) throw new Error('a chunk without a size');
    at = line + 2;
    parts.push(bytes.subarray(at, at + size));
    if (at + size + 2 > bytes.length) { at = bytes.length; break; }
    at += size + 2;
    if (size === 0) { res.complete = true; break; }
  }
  res.body = Buffer.concat(parts);
  return at;
}
