// Providers that a test writes itself: an HTTP one that records what reached it byte for byte, and
// a raw one that says whatever it likes.
import http from 'node:http';
import net from 'node:net';
import { once } from 'node:events';
import { after } from 'node:test';

const open = new Set();
after(async () => { // what failed tests left behind
  for (const upstream of open) await upstream.stop();
});

async function stop(upstream) {
  open.delete(upstream);
  for (const socket of upstream.sockets) socket.destroy();
  upstream.server.close();
  await once(upstream.server, 'close');
}

/** `handler(req, res, body)` answers; `requests` holds what came. */
export class Upstream {
  static async start(handler, { tls, create = http.createServer } = {}) {
    const upstream = new Upstream();
    open.add(upstream);
    upstream.requests = [];
    upstream.sockets = new Set();
    upstream.connections = 0;
    const onRequest = async (req, res) => {
      req.socket.setMaxListeners(0); // each request listens for the end
      const record = { method: req.method, path: req.url, headers: req.headers,
        rawHeaders: req.rawHeaders, at: performance.now(), socket: req.socket };
      record.gone = new Promise((resolve) => {
        const seen = () => { record.goneAt ??= performance.now(); resolve(record.goneAt); };
        req.socket.once('close', seen);
        req.socket.once('end', seen);
      });
      const parts = [];
      for await (const part of req) parts.push(part);
      record.body = Buffer.concat(parts);
      Object.defineProperty(record, 'json', { get() { return JSON.parse(this.body.toString()); } });
      upstream.requests.push(record);
      await handler(req, res, record);
    };
    upstream.server = tls ? create(tls, onRequest) : create(onRequest);
    upstream.server.keepAliveTimeout = 60000;
    upstream.server.on('connection', (socket) => {
      upstream.connections++;
      upstream.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.once('close', () => upstream.sockets.delete(socket));
    });
    upstream.server.listen(0, '127.0.0.1');
    await once(upstream.server, 'listening');
    upstream.port = upstream.server.address().port;
    upstream.url = `${tls ? 'https' : 'http'}://127.0.0.1:${upstream.port}/v1`;
    return upstream;
  }

  async stop() {
    await stop(this);
  }
}

/** `onRequest(socket, text)` is called with each read once a whole head is there. */
export class RawUpstream {
  static async start(onRequest) {
    const upstream = new RawUpstream();
    open.add(upstream);
    upstream.sockets = new Set();
    upstream.requests = [];
    upstream.server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      upstream.sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => upstream.sockets.delete(socket));
      let text = '';
      socket.on('data', (d) => {
        text += d.toString('latin1');
        const end = text.indexOf('\r\n\r\n');
        if (end < 0) return;
        const length = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
        if (text.length < end + 4 + length) return;
        const whole = text;
        text = '';
        upstream.requests.push(whole);
        onRequest(socket, whole, upstream.requests.length);
      });
    });
    upstream.server.listen(0, '127.0.0.1');
    await once(upstream.server, 'listening');
    upstream.port = upstream.server.address().port;
    upstream.url = `http://127.0.0.1:${upstream.port}/v1`;
    return upstream;
  }

  async stop() {
    await stop(this);
  }
}

/** A port on which nobody listens, for a moment at least. */
export async function closedPort() {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// ---- OpenAI's answers

export function completion(model, content, extra = {}) {
  return { id: 'chatcmpl-test', object: 'chat.completion', created: 1700000000, model,
    choices: [{ index: 0, message: { role: 'assistant', content, refusal: null }, logprobs: null,
      finish_reason: 'stop' }],
    usage: { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 }, ...extra };
}

export function chunk(delta, { finish = null, model = 'm', index = 0, ...extra } = {}) {
  return { id: 'chatcmpl-test', object: 'chat.completion.chunk', created: 1700000000, model,
    choices: [{ index, delta, logprobs: null, finish_reason: finish }], ...extra };
}

export function sendJson(res, body, status = 200, headers = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  res.writeHead(status, { 'content-type': 'application/json', ...headers });
  res.end(text);
}

export function beginEvents(res, headers = {}) {
  res.writeHead(200, { 'content-type': 'text/event-stream', ...headers });
}

/** Until a response takes more, or is gone. */
export function drained(res) {
  return new Promise((resolve) => {
    const done = () => {
      res.off('drain', done);
      res.off('close', done);
      resolve();
    };
    res.on('drain', done);
    res.on('close', done);
  });
}

export function sendEvent(res, data) {
  res.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
}

/** A whole stream of words. */
export function sendStream(res, words, { model = 'm', usage } = {}) {
  beginEvents(res);
  sendEvent(res, chunk({ role: 'assistant', content: '' }, { model }));
  for (const word of words) sendEvent(res, chunk({ content: word }, { model }));
  sendEvent(res, chunk({}, { model, finish: 'stop' }));
  if (usage) sendEvent(res, { ...chunk({}, { model }), choices: [], usage });
  sendEvent(res, '[DONE]');
  res.end();
}

/** A gateway's model entry for an upstream. */
export function target(upstream, extra = {}) {
  return { backend_type: 'openai_compatible', base_url: upstream.url ?? upstream, ...extra };
}
