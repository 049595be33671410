// Providers, and what stands before them, that compress answers although `identity` was asked for:
// single answers, streams, errors; what comes broken, and what unpacks to far too much.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import zlib from 'node:zlib';
import Anthropic from '@anthropic-ai/sdk';
import { LiveStream, chat, chatBody, readChatStream, request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';
import { Upstream, chunk, completion, target } from './support/upstream.mjs';

const BIG = 8 << 20;
const codings = {
  gzip: [zlib.gzipSync, zlib.createGzip],
  deflate: [zlib.deflateSync, zlib.createDeflate],
  'deflate, without its frame': [zlib.deflateRawSync, zlib.createDeflateRaw],
};
const header = (coding) => coding.split(',')[0];
const words = ['Hello', ' there', ', how', ' are', ' you?'];

describe('compressed answers', () => {
  let upstream, gateway, port, answer;

  before(async () => {
    upstream = await Upstream.start((req, res, record) => answer(req, res, record));
    gateway = await Gateway.start({ config: {
      upstream: { max_response: '4MiB' },
      retry: { max_attempts: 1 },
      breaker: { consecutive_failures: 10000, min_requests: 1000000 },
      models: { m: target(upstream) },
    } });
    port = gateway.port;
  });
  after(async () => {
    await gateway.stop();
    await upstream.stop();
  });

  const send = (res, bytes, { status = 200, coding = 'gzip', ...headers } = {}) => {
    res.writeHead(status, { 'content-type': 'application/json', 'content-encoding': coding, 'content-length': bytes.length, ...headers });
    res.end(bytes);
  };

  for (const [coding, [pack, stream]] of Object.entries(codings)) {
    it(`${coding}: a single answer comes out as it was`, async () => {
      const body = JSON.stringify(completion('m', 'as it was', { extra: { unknown: [1.0, '\u00e9'] } }));
      answer = (req, res) => send(res, pack(body), { coding: header(coding) });
      const res = await chat(port, 'm');
      assert.equal(res.status, 200, res.text);
      assert.equal(res.text, body);
      assert.equal(res.headers['content-encoding'], undefined);
      assert.equal(upstream.requests.at(-1).headers['accept-encoding'], 'identity');
    });

    it(`${coding}: a stream's events come when they were sent`, async () => {
      let go;
      answer = async (req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': header(coding) });
        const z = stream({ flush: zlib.constants.Z_SYNC_FLUSH });
        z.pipe(res);
        for (const word of words) {
          z.write(`data: ${JSON.stringify(chunk({ content: word }))}\n\n`);
          await new Promise((resolve) => { go = resolve; }); // until the client has it
        }
        z.write(`data: ${JSON.stringify(chunk({}, { finish: 'stop' }))}\n\n`);
        z.end('data: [DONE]\n\n');
      };
      const live = await LiveStream.open(port, { json: chatBody('m', { stream: true }) });
      let seen = '';
      for (const word of words) {
        while (!seen.endsWith(word)) seen += JSON.parse(await live.next()).choices[0].delta.content ?? '';
        go();
      }
      assert.equal(seen, words.join(''));
      assert.equal((await live.rest()).at(-1), '[DONE]');
    });
  }

  it('a stream for a client of another protocol', async () => {
    answer = (req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' });
      const events = [...words.map((w) => chunk({ content: w })), chunk({}, { finish: 'stop' })];
      const bytes = zlib.gzipSync(`${events.map((e) => `data: ${JSON.stringify(e)}\n\n`).join('')}data: [DONE]\n\n`);
      for (const b of bytes) res.write(Buffer.from([b])); // at every byte
      res.end();
    };
    const client = new Anthropic({ apiKey: 'none', baseURL: `http://127.0.0.1:${port}`, maxRetries: 0 });
    const message = await client.messages.stream({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Hi' }] }).finalMessage();
    assert.equal(message.content[0].text, words.join(''));
  });

  it('an error keeps its text, status and Retry-After', async () => {
    answer = (req, res) => send(res, zlib.gzipSync(JSON.stringify({ error: { message: 'slow down, please', type: 'rate_limit_error' } })),
      { status: 429, 'retry-after': '7' });
    const res = await chat(port, 'm');
    assert.equal(res.status, 429);
    assert.equal(res.error.message, 'slow down, please');
    assert.equal(res.headers['retry-after'], '7');
  });

  const whole = Buffer.from(zlib.gzipSync(JSON.stringify(completion('m', 'whole'))));
  const wrong = Buffer.from(whole);
  wrong[wrong.length - 6] ^= 1; // its checksum
  const broken = [
    ['broken off', whole.subarray(0, -9), 'gzip', 502, 'upstream_incomplete', /compressed answer broke off/],
    ['with a wrong checksum', wrong, 'gzip', 502, 'upstream_invalid_response', /not compressed as it says/],
    ['not compressed at all', Buffer.from(JSON.stringify(completion('m', 'x'))), 'gzip', 502, 'upstream_invalid_response', /not compressed as it says/],
    ['in a coding that nobody asked for', zlib.brotliCompressSync('{}'), 'br', 502, 'upstream_invalid_response', /compressed/],
    ['of a few bytes that unpack to megabytes', zlib.gzipSync(Buffer.alloc(BIG, 32)), 'gzip', 502, 'upstream_too_large', /unpacks to too much/],
  ];
  for (const [what, bytes, coding, status, code, text] of broken) {
    it(`${what} → ${status} ${code}`, async () => {
      answer = (req, res) => send(res, bytes, { coding });
      const res = await chat(port, 'm');
      assert.equal(res.status, status, res.text);
      assert.equal(res.error.code, code, res.text);
      assert.match(res.error.message, text);
    });
  }

  it('a stream that breaks off in its compression ends in an error', async () => {
    answer = (req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' });
      const z = zlib.createGzip({ flush: zlib.constants.Z_SYNC_FLUSH });
      z.on('data', (d) => res.write(d));
      z.write(`data: ${JSON.stringify(chunk({ content: 'Hello' }))}\n\n`, () => res.end());
    };
    const res = await request(port, { path: '/v1/chat/completions', json: chatBody('m', { stream: true }) });
    assert.equal(res.status, 200);
    const stream = readChatStream(res);
    assert.equal(stream.text, 'Hello');
    assert.match(res.text, /"error":\{"message":"the provider's compressed answer broke off"/);
    assert.ok(!res.text.includes('[DONE]') || res.text.indexOf('"error"') < res.text.indexOf('[DONE]'));
  });
});
