// HTTP/1.1 as attackers write it: each input's status, code and fate of the connection, with a
// second request behind it that must never be seen.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { RawSocket, chatBody, parseResponses, request } from './support/http.mjs';
import { scrape } from './support/metrics.mjs';
import { Gateway } from './support/process.mjs';
import { Upstream, completion, sendJson, sendStream, target } from './support/upstream.mjs';
import { until, timed } from './support/wait.mjs';

const BODY = JSON.stringify(chatBody('m'));
const HOST = 'Host: x\r\n';
const POST = 'POST /v1/chat/completions HTTP/1.1\r\n';
const BEHIND = `POST /v1/chat/completions HTTP/1.1\r\n${HOST}X-Request-Id: smuggled\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
const get = (headers = '', line = 'GET /health HTTP/1.1') => `${line}\r\n${HOST}${headers}\r\n`;
const post = (headers, body = '') => `${POST}${HOST}${headers}\r\n${body}`;

let upstream, slow, gateway, port;

async function exchange(bytes, { ms = 4000, split = 0, end = false } = {}) {
  const raw = await RawSocket.open(port);
  const all = Buffer.from(bytes, 'latin1');
  for (let i = 0; split && i < all.length; i += split) raw.write(all.subarray(i, i + split));
  if (!split) raw.write(all);
  if (end) raw.end();
  await raw.ending(ms);
  raw.destroy();
  return parseResponses(raw.received);
}

/** Refused: one answer with status and code, then the end. */
async function assertRefused(bytes, statuses, codes) {
  for (const split of [0, 7]) {
    const answers = await exchange(bytes + BEHIND, { split });
    assert.equal(answers.length, 1, `${answers.length} answers: ${answers.map((a) => a.line)}`);
    const [res] = answers;
    assert.ok([statuses].flat().includes(res.status), `${res.line}: ${res.body}`);
    assert.equal(res.headers.connection, 'close');
    assert.ok([codes].flat().includes(res.json.error.code), `${res.body}`);
    assert.equal(res.json.error.type, 'invalid_request_error');
    assert.equal(res.headers['x-request-id'], res.json.error.request_id);
  }
}

describe('HTTP/1.1 from clients', () => {
  before(async () => {
    upstream = await Upstream.start((req, res, r) => (r.json.stream ? sendStream(res, ['a', 'b'])
      : sendJson(res, completion('m', `to ${r.headers['x-request-id']}`))));
    slow = await Upstream.start(() => {});
    gateway = await Gateway.start({ config: {
      server: { header_timeout: '600ms', body_grace: '400ms', body_min_rate: '1KiB', idle_timeout: '700ms' },
      limits: { body: '64KiB' },
      models: { m: target(upstream), slow: target(slow) },
    } });
    port = gateway.port;
  });
  after(async () => {
    const ids = upstream.requests.map((r) => r.headers['x-request-id']);
    assert.ok(!ids.includes('smuggled'), 'a request behind a refused one reached the provider');
    await gateway.stop();
    await upstream.stop();
    await slow.stop();
  });

  describe('refused before anything is looked at', () => {
    const big = 'a'.repeat(9000);
    const cases = {
      'a bad method byte': ['G@T /health HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad_request'],
      'a space in the target': ['GET /hea lth HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad_request'],
      'a control byte in the target': ['GET /hea\x01lth HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad_request'],
      'NUL in the target': ['GET /hea\0lth HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad_request'],
      'DEL in the target': ['GET /hea\x7flth HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad_request'],
      'a bare CR': ['GET /health HTTP/1.1\rHost: x\r\n\r\n', 400, ['bad_request', 'http_version_not_supported']],
      'LF alone': ['GET /health HTTP/1.1\nHost: x\n\n', 400, ['bad_request', 'bad_header']],
      'LF alone behind a header': ['GET /health HTTP/1.1\r\nHost: x\n\r\n', 400, ['bad_request', 'bad_header', 'bad_host']],
      'white space before the line': [' GET /health HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad_request'],
      'two spaces': ['GET  /health HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad_request'],
      'two request lines in one': ['GET /health HTTP/1.1GET /health HTTP/1.1\r\nHost: x\r\n\r\n', [400, 505], ['bad_request', 'http_version_not_supported']],
      'HTTP/0.9': ['GET /health\r\n\r\n', [400, 505], ['bad_request', 'http_version_not_supported']],
      'the name in small letters': ['GET /health http/1.1\r\nHost: x\r\n\r\n', [400, 505], ['bad_request', 'http_version_not_supported']],
      'another protocol': ['GET /health SIP/1.1\r\nHost: x\r\n\r\n', [400, 505], ['bad_request', 'http_version_not_supported']],
      'HTTP/2.0': ['GET /health HTTP/2.0\r\nHost: x\r\n\r\n', 505, 'http_version_not_supported'],
      'HTTP/1.2': ['GET /health HTTP/1.2\r\nHost: x\r\n\r\n', 505, 'http_version_not_supported'],
      'HTTP/1.10': ['GET /health HTTP/1.10\r\nHost: x\r\n\r\n', [400, 505], ['bad_request', 'http_version_not_supported']],
      'the preface of HTTP/2': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 505], ['bad_request', 'http_version_not_supported']],
      'a TLS hello': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400, 'bad_request'],
      'an SSH banner': ['SSH-2.0-OpenSSH_9.2\r\n\r\n', 400, 'bad_request'],
      'a target of 9,000 bytes': [`GET /${big} HTTP/1.1\r\nHost: x\r\n\r\n`, 414, 'uri_too_long'],
      'a header line of 20,000 bytes': [get(`X-A: ${'a'.repeat(20000)}\r\n`), 431, 'headers_too_large'],
      'headers of 90,000 bytes': [get(`X-A: ${big}\r\n`.repeat(10)), 431, 'headers_too_large'],
      '101 headers': [get('X-A: 1\r\n'.repeat(101)), 431, 'headers_too_large'],
      'a header without a colon': [get('NoColon\r\n'), 400, 'bad_header'],
      'an empty name': [get(': value\r\n'), 400, 'bad_header'],
      'a name that is no token': [get('X(A): 1\r\n'), 400, 'bad_header'],
      'a space before the colon': [get('X-A : 1\r\n'), 400, 'bad_header'],
      'a tab before the colon': [get('X-A\t: 1\r\n'), 400, 'bad_header'],
      'NUL in a value': [get('X-A: a\0b\r\n'), 400, 'bad_header'],
      'CR in a value': [get('X-A: a\rb\r\n'), 400, 'bad_header'],
      'a control byte in a value': [get('X-A: a\x02b\r\n'), 400, 'bad_header'],
      'a folded header': [get('X-A: 1\r\n 2\r\n'), 400, 'bad_header'],
      'a first header that is indented': ['GET /health HTTP/1.1\r\n Host: x\r\n\r\n', 400, ['bad_header', 'bad_host']],
      'no Host': ['GET /health HTTP/1.1\r\n\r\n', 400, 'bad_host'],
      'two Hosts': ['GET /health HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n', 400, 'bad_host'],
      'a Host with a space': ['GET /health HTTP/1.1\r\nHost: a b\r\n\r\n', 400, 'bad_host'],
      'a Host with user info': ['GET /health HTTP/1.1\r\nHost: a@b\r\n\r\n', 400, 'bad_host'],
      'a Host with a path': ['GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n', 400, 'bad_host'],
      'a Host with a bad port': ['GET /health HTTP/1.1\r\nHost: a:9x\r\n\r\n', 400, 'bad_host'],
      'two Authorizations': [get('Authorization: Bearer a\r\nAuthorization: Bearer b\r\n'), 400, 'bad_header'],
      'Transfer-Encoding with Content-Length': [post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', '0\r\n\r\n'), 400, 'bad_framing'],
      'Transfer-Encoding twice': [post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), 400, ['bad_framing', 'unsupported_transfer_encoding']],
      'Transfer-Encoding in HTTP/1.0': [`POST /v1/chat/completions HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400, 'bad_framing'],
      'an unknown method': ['BREW /health HTTP/1.1\r\nHost: x\r\n\r\n', 501, 'method_not_implemented'],
      'another expectation': [post(`Content-Length: ${BODY.length}\r\nExpect: 200-ok\r\n`, BODY), 417, 'expectation_failed'],
      'an absolute target for another host': ['GET http://evil/health HTTP/1.1\r\nHost: x\r\n\r\n', 400, ['bad_host', 'bad_request']],
    };
    for (const value of ['', ' ', '+5', '-5', '0x5', '5,5', '5 5', 'five', '5.0', '1234567890123456', '5;']) {
      cases[`Content-Length "${value}"`] = [post(`Content-Length: ${value}\r\n`, 'hello'), 400, 'bad_content_length'];
    }
    cases['two Content-Lengths that differ'] = [post('Content-Length: 5\r\nContent-Length: 6\r\n', 'hello'), 400, 'bad_content_length'];
    cases['two Content-Lengths alike'] = [post('Content-Length: 5\r\nContent-Length: 5\r\n', 'hello'), 400, 'bad_content_length'];
    for (const value of ['gzip', 'gzip, chunked', 'chunked, chunked', 'identity', 'xchunked', 'chunked;q=1', '"chunked"']) {
      cases[`Transfer-Encoding "${value}"`] = [post(`Transfer-Encoding: ${value}\r\n`, '0\r\n\r\n'), [501, 400], ['unsupported_transfer_encoding', 'bad_framing']];
    }
    for (const [what, [bytes, status, code]] of Object.entries(cases)) {
      it(`${what} → ${[status].flat().join(' or ')} ${[code].flat().join(' or ')}`, async () => {
        await assertRefused(bytes, status, code);
      });
    }
  });

  describe('bodies', () => {
    it('longer than the limit → 413 at once, nothing of it read', async () => {
      const { ms } = await timed(() => assertRefused(post('Content-Length: 70000\r\n'), 413, 'body_too_large'));
      assert.ok(ms < 1000, `${ms} ms`);
      await assertRefused(post('Content-Length: 999999999999999\r\n'), 413, 'body_too_large');
    });

    const chunked = (body) => post('Transfer-Encoding: chunked\r\n', body);
    const bad = {
      'no number': 'zz\r\nhello\r\n0\r\n\r\n',
      'a sign': '+5\r\nhello\r\n0\r\n\r\n',
      'a negative size': '-5\r\nhello\r\n0\r\n\r\n',
      'a leading space': ' 5\r\nhello\r\n0\r\n\r\n',
      '0x': '0x5\r\nhello\r\n0\r\n\r\n',
      'nine digits': '000000005\r\nhello\r\n0\r\n\r\n',
      'an empty size': '\r\nhello\r\n0\r\n\r\n',
      'LF alone behind the size': '5\nhello\r\n0\r\n\r\n',
      'LF alone behind the bytes': '5\r\nhello\n0\r\n\r\n',
      'bytes where CRLF belongs': '5\r\nhelloXX0\r\n\r\n',
      'NUL in an extension': '5;a=\0\r\nhello\r\n0\r\n\r\n',
      'CR in an extension': '5;a=\rb\r\nhello\r\n0\r\n\r\n',
      'a line of 300 bytes': `5;${'a'.repeat(300)}\r\nhello\r\n0\r\n\r\n`,
      'a malformed trailer': '5\r\nhello\r\n0\r\nno colon\r\n\r\n',
    };
    for (const [what, body] of Object.entries(bad)) {
      it(`chunks with ${what} → 400`, async () => {
        await assertRefused(chunked(body), 400, ['bad_chunk', 'bad_header']);
      });
    }

    it('chunks that pass the limit → 413', async () => {
      await assertRefused(chunked(`8000\r\n${'a'.repeat(0x8000)}\r\n8001\r\n${'a'.repeat(0x8001)}\r\n0\r\n\r\n`), 413, 'body_too_large');
    });

    it('good chunks, any case, extensions and trailers are taken', async () => {
      const half = BODY.length >> 1;
      const text = [BODY.slice(0, half), BODY.slice(half)].map((p) => `${p.length.toString(16).toUpperCase()};x=1\r\n${p}\r\n`).join('');
      for (const split of [0, 1]) {
        const raw = await RawSocket.open(port);
        const bytes = `${POST}${HOST}X-Request-Id: chunked.1\r\nTransfer-Encoding: Chunked\r\n\r\n${text}0\r\nX-Trailer: dropped\r\nContent-Length: 3\r\n\r\n`;
        for (let i = 0; split && i < bytes.length; i += split) raw.write(bytes.slice(i, i + split));
        if (!split) raw.write(bytes);
        const res = await raw.response();
        assert.equal(res.status, 200, String(res.body));
        assert.deepEqual(upstream.requests.at(-1).json, JSON.parse(BODY));
        assert.equal(upstream.requests.at(-1).headers['x-trailer'], undefined);
        assert.equal(upstream.requests.at(-1).headers['content-length'], String(BODY.length));
        raw.destroy();
      }
    });

    it('cut short: no call of the provider', async () => {
      const calls = upstream.requests.length;
      for (const bytes of [post(`Content-Length: ${BODY.length}\r\n`, BODY.slice(0, -3)), chunked('5\r\nhel')]) {
        const raw = await RawSocket.open(port);
        raw.write(bytes).end();
        await raw.ending();
        raw.destroy();
      }
      await until(async () => (await scrape(port)).get('llm_gateway_active_requests') === 0);
      assert.equal(upstream.requests.length, calls);
    });
  });

  describe('time', () => {
    it('a head that never ends → 408 within the header timeout', async () => {
      const raw = await RawSocket.open(port);
      raw.write('GET /health HTTP/1.1\r\nHost: x\r\n');
      const drip = setInterval(() => raw.write('X-A: 1\r\n'), 50);
      const { ms } = await timed(() => raw.ending(3000));
      clearInterval(drip);
      assert.ok(ms > 400 && ms < 2000, `${ms} ms`);
      const [res] = parseResponses(raw.received);
      if (res) assert.deepEqual([res.status, res.json.error.code], [408, 'request_timeout']);
      raw.destroy();
    });

    it('a body that crawls → 408', async () => {
      const raw = await RawSocket.open(port);
      raw.write(post('Content-Length: 5000\r\n'));
      const drip = setInterval(() => raw.write('a'), 50);
      await raw.ending(3000);
      clearInterval(drip);
      const [res] = parseResponses(raw.received);
      assert.deepEqual([res.status, res.json.error.code], [408, 'request_timeout']);
      raw.destroy();
    });

    it('an idle connection is closed without a word', async () => {
      const raw = await RawSocket.open(port);
      raw.write(get());
      assert.equal((await raw.response()).status, 200);
      const { ms } = await timed(() => raw.ending(4000));
      assert.ok(ms > 300 && ms < 2500, `${ms} ms`);
      assert.equal(parseResponses(raw.received).length, 1);
      raw.destroy();
    });
  });

  describe('what is allowed', () => {
    it('keeps connections alive, and closes when asked', async () => {
      const raw = await RawSocket.open(port);
      for (let i = 1; i <= 3; i++) {
        raw.write(get());
        await raw.wait((r) => parseResponses(r.received).filter((a) => a.complete).length === i);
      }
      raw.write(get('Connection: close\r\n') + get());
      await raw.ending();
      assert.equal(parseResponses(raw.received).length, 4, 'nothing is read behind Connection: close');
      raw.destroy();
    });

    it('answers pipelined requests in order', async () => {
      const raw = await RawSocket.open(port);
      const one = (id, extra = '') => `${POST}${HOST}X-Request-Id: ${id}\r\n${extra}Content-Length: ${BODY.length}\r\n\r\n${BODY}`;
      raw.write(one('p.1') + get('X-Request-Id: p.2\r\n') + one('p.3') + get('X-Request-Id: p.4\r\n', 'GET /nowhere HTTP/1.1') + one('p.5', 'Connection: close\r\n') + one('smuggled'));
      await raw.ending();
      const answers = parseResponses(raw.received);
      assert.deepEqual(answers.map((a) => [a.headers['x-request-id'], a.status]),
        [['p.1', 200], ['p.2', 200], ['p.3', 200], ['p.4', 404], ['p.5', 200]]);
      assert.equal(answers[2].json.choices[0].message.content, 'to p.3');
      raw.destroy();
    });

    it('a stream in the middle of a pipeline', async () => {
      const raw = await RawSocket.open(port);
      const body = JSON.stringify(chatBody('m', { stream: true }));
      raw.write(`${POST}${HOST}Content-Length: ${body.length}\r\n\r\n${body}${get()}`);
      await raw.wait((r) => parseResponses(r.received).filter((a) => a.complete).length === 2);
      const [stream, health] = parseResponses(raw.received);
      assert.equal(stream.headers['transfer-encoding'], 'chunked');
      assert.match(String(stream.body), /data: \[DONE\]\n\n$/);
      assert.equal(health.json.status, 'ok');
      raw.destroy();
    });

    it('100 Continue before the body', async () => {
      const raw = await RawSocket.open(port);
      raw.write(post(`Content-Length: ${BODY.length}\r\nExpect: 100-continue\r\n`));
      await raw.wait((r) => r.text.includes('100 Continue'));
      raw.write(BODY);
      await raw.wait((r) => parseResponses(r.received).at(-1)?.complete && parseResponses(r.received).length === 2);
      const [first, second] = parseResponses(raw.received);
      assert.deepEqual([first.status, second.status], [100, 200]);
      raw.destroy();
    });

    it('the final status instead of 100 where it is known', async () => {
      const raw = await RawSocket.open(port);
      raw.write(post('Content-Length: 9999999\r\nExpect: 100-continue\r\n'));
      await raw.ending();
      assert.deepEqual(parseResponses(raw.received).map((a) => a.status), [413]);
      raw.destroy();
    });

    it('HEAD has the headers of GET and no body', async () => {
      for (const path of ['/health', '/v1/models', '/metrics']) {
        const raw = await RawSocket.open(port);
        raw.write(`HEAD ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
        await raw.ending();
        const [res] = parseResponses(raw.received, { head: true });
        assert.equal(res.status, 200);
        assert.ok(Number(res.headers['content-length']) > 10);
        assert.ok(raw.text.endsWith('\r\n\r\n'), 'no body');
        raw.destroy();
      }
    });

    it('405 with Allow, 404, 501', async () => {
      const table = [['PUT', '/v1/chat/completions', 405, 'POST'], ['GET', '/v1/chat/completions', 405, 'POST'],
        ['DELETE', '/health', 405, 'GET, HEAD'], ['OPTIONS', '/v1/models', 405, 'GET, HEAD'], ['POST', '/metrics', 405, 'GET, HEAD'],
        ['TRACE', '/health', 405, 'GET, HEAD'], ['TRACE', '/nowhere', 405, 'GET, HEAD, POST'], ['PATCH', '/v1/generate', 405, 'POST'], ['GET', '/nowhere', 404], ['POST', '/v1/nowhere', 404],
        ['POST', '/', 405, 'GET, HEAD'], ['GET', '/v1/models/', 404], ['GET', '/../../etc/passwd', 404], ['GET', '/v1/../health', 404], ['GET', '/health%00', 404],
        ['GET', '/%2e%2e/%2e%2e/etc/passwd', 404], ['GET', '/v1/models/%zz', 400], ['GET', '/v1/models/a%00', 400], ['GET', '//health', 404]];
      for (const [method, path, status, allow] of table) {
        const raw = await RawSocket.open(port);
        raw.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
        await raw.ending();
        const [res] = parseResponses(raw.received);
        assert.equal(res.status, status, `${method} ${path}: ${res.line} ${res.body}`);
        assert.ok(res.json.error.code);
        assert.equal(res.headers.allow, allow, `${method} ${path}`);
        raw.destroy();
      }
      await assertConnect();
    });

    async function assertConnect() {
      const raw = await RawSocket.open(port);
      raw.write('CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n');
      await raw.response();
      const [res] = parseResponses(raw.received);
      assert.deepEqual([res.status, res.json.error.code], [405, 'method_not_allowed']);
      assert.equal(res.headers.allow, 'GET, HEAD, POST');
      raw.destroy();
    }

    it('an absolute target for this host is an ordinary one', async () => {
      const raw = await RawSocket.open(port);
      raw.write('GET http://x/health?a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      await raw.ending();
      assert.equal(parseResponses(raw.received)[0].status, 200);
      raw.destroy();
    });

    it('HTTP/1.0 gets an answer delimited by close', async () => {
      const raw = await RawSocket.open(port);
      const body = JSON.stringify(chatBody('m', { stream: true }));
      raw.write(`POST /v1/chat/completions HTTP/1.0\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      await raw.ending();
      const [res] = parseResponses(raw.received);
      assert.equal(res.status, 200);
      assert.equal(res.headers['transfer-encoding'], undefined);
      assert.match(String(res.body), /^data: [^]*data: \[DONE\]\n\n$/);
      raw.destroy();
    });

    it('Upgrade is ignored', async () => {
      const raw = await RawSocket.open(port);
      raw.write(get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n'));
      assert.equal((await raw.response()).status, 200);
      raw.destroy();
    });

    it('FIN behind a request: what is ready still arrives, what is in work is cancelled', async () => {
      const raw = await RawSocket.open(port);
      raw.write(get()).end();
      await raw.ending();
      assert.equal(parseResponses(raw.received)[0]?.status, 200);
      raw.destroy();
      // A client that left and one that only half-closed look the same; a provider costs money.
      const waiting = await RawSocket.open(port);
      const body = JSON.stringify(chatBody('slow'));
      waiting.write(post(`Content-Length: ${body.length}\r\n`, body));
      await until(() => slow.requests.length === 1, { what: 'the request at the provider' });
      const leftAt = performance.now();
      waiting.end();
      const goneAt = await slow.requests[0].gone;
      assert.ok(goneAt - leftAt < 100, `${goneAt - leftAt} ms`);
      await waiting.ending();
      waiting.destroy();
    });

    it('an x-request-id is kept when it is harmless, else replaced', async () => {
      const good = ['abc', 'A.b_c-1', 'x'.repeat(128)];
      const bad = ['x'.repeat(129), 'a b', 'a/b', '<script>', 'ä', 'a;b', ''];
      for (const id of good) {
        const res = await request(port, { path: '/health', headers: { 'x-request-id': id } });
        assert.equal(res.headers['x-request-id'], id);
      }
      for (const id of bad) {
        const raw = await RawSocket.open(port);
        raw.write(Buffer.from(get(`X-Request-Id: ${id}\r\n`), 'utf8'));
        const res = await raw.response();
        assert.match(res.headers['x-request-id'], /^req_[A-Za-z0-9_-]{8,}$/, JSON.stringify(id));
        raw.destroy();
      }
    });

    it('client headers do not reach the provider but for those on the list', async () => {
      await request(port, { path: '/v1/chat/completions', json: chatBody('m'), headers: {
        authorization: 'Bearer client-key', cookie: 'a=b', 'x-forwarded-for': '1.2.3.4', 'x-evil-host': 'evil', 'openai-beta': 'x=1',
        'idempotency-key': 'k1', traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'x-request-id': 'fwd.1' } });
      const { headers, rawHeaders } = upstream.requests.at(-1);
      assert.deepEqual(Object.keys(headers).sort(), ['accept', 'accept-encoding', 'content-length', 'content-type', 'host',
        'idempotency-key', 'openai-beta', 'traceparent', 'user-agent', 'x-request-id'].sort());
      assert.equal(rawHeaders.filter((h) => /^content-length$/i.test(h)).length, 1);
      assert.equal(headers.host, `127.0.0.1:${upstream.port}`);
      assert.equal(headers['x-request-id'], 'fwd.1');
      assert.match(headers['user-agent'], /^tollgate\//);
    });

    it('the gateway is well after all that', async () => {
      const res = await request(port, { path: '/v1/chat/completions', json: chatBody('m') });
      assert.equal(res.status, 200);
      const metrics = await scrape(port);
      assert.ok(metrics.get('llm_gateway_bad_requests_total') > 100);
      assert.equal(metrics.get('llm_gateway_active_requests'), 0);
      await until(() => gateway.fds() < 40, { what: () => `descriptors: ${gateway.fds()}` });
    });
  });

  describe('CORS', () => {
    const preflight = { origin: 'https://app.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' };
    const ask = (p, headers) => request(p, { method: 'OPTIONS', path: '/v1/chat/completions', headers });

    it('is off unless configured', async () => {
      assert.equal((await ask(port, preflight)).status, 405);
      const res = await request(port, { path: '/v1/models', headers: { origin: 'https://app.example' } });
      assert.equal(res.headers['access-control-allow-origin'], undefined);
    });

    it('allows the origins named, on answers, errors and streams alike', async () => {
      const other = await Gateway.start({ config: { server: { cors_origins: ['https://app.example', 'http://localhost:3000'] },
        models: { m: target(upstream) } } });
      const ok = await ask(other.port, preflight);
      assert.equal(ok.status, 204);
      assert.match(ok.headers['x-request-id'], /^req_/);
      assert.equal(ok.headers['access-control-allow-origin'], 'https://app.example');
      assert.match(ok.headers['access-control-allow-methods'], /POST/);
      assert.equal(ok.headers['access-control-allow-headers'], 'authorization,content-type');
      assert.equal(ok.headers['access-control-allow-credentials'], undefined);
      const evil = await ask(other.port, { ...preflight, origin: 'https://evil.example' });
      assert.equal(evil.headers['access-control-allow-origin'], undefined);
      assert.notEqual(evil.status, 204);
      const headers = { origin: 'http://localhost:3000' };
      const answers = [await request(other.port, { path: '/v1/models', headers }),
        await request(other.port, { path: '/v1/chat/completions', json: chatBody('m'), headers }),
        await request(other.port, { path: '/v1/chat/completions', json: chatBody('m', { stream: true }), headers }),
        await request(other.port, { path: '/v1/chat/completions', json: chatBody('nope'), headers }),
        await request(other.port, { path: '/v1/chat/completions', body: '{', headers })];
      assert.deepEqual(answers.map((a) => a.status), [200, 200, 200, 404, 400]);
      for (const a of answers) {
        assert.equal(a.headers['access-control-allow-origin'], 'http://localhost:3000');
        assert.match(a.headers.vary ?? '', /origin/i, a.text);
      }
      await other.stop();
    });

    it('"*" allows everyone, without credentials', async () => {
      const other = await Gateway.start({ config: { server: { cors_origins: ['*'] }, models: { m: target(upstream) } } });
      const res = await ask(other.port, preflight);
      assert.equal(res.headers['access-control-allow-origin'], '*');
      assert.equal(res.headers['access-control-allow-credentials'], undefined);
      await other.stop();
    });
  });
});
