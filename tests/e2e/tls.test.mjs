// TLS on both sides, and proxies: what is verified, what is refused, and that nothing ever falls
// back to plain text.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import tls from 'node:tls';
import { Authority, tlsOptions } from './support/certificates.mjs';
import { RawSocket, chat, chatBody, readChatStream, request } from './support/http.mjs';
import { scrape } from './support/metrics.mjs';
import { Gateway, Mock, temporaryFolder } from './support/process.mjs';
import { Upstream, completion, sendJson, sendStream, target } from './support/upstream.mjs';
import { until } from './support/wait.mjs';

const folder = temporaryFolder();
const ca = new Authority(folder);
const other = new Authority(folder, 'Other CA');
const server = ca.issue('server', 'DNS:localhost,DNS:api.test,IP:127.0.0.1');
const elsewhere = ca.issue('elsewhere', 'DNS:elsewhere.test');
const stranger = other.issue('stranger', 'DNS:localhost,IP:127.0.0.1');
const answer = (req, res, r) => (r.json.stream ? sendStream(res, ['a', 'b']) : sendJson(res, completion('m', 'over TLS')));
const provider = (files, options = {}) => Upstream.start(answer, { tls: { ...tlsOptions(files), ...options }, create: https.createServer });

/** One HTTPS request; what the server's certificate was, too. */
function secure(port, { path: where = '/health', body, options = {}, servername = 'localhost' } = {}) {
  return new Promise((resolve, reject) => {
    const req = https.request({ host: '127.0.0.1', port, path: where, method: body ? 'POST' : 'GET', agent: false, servername,
      ca: [ca, other].map((a) => execFileSync('cat', [a.file])), headers: body ? { 'content-type': 'application/json' } : {}, ...options }, (res) => {
      const parts = [];
      const peer = res.socket.getPeerCertificate();
      const protocol = res.socket.getProtocol();
      res.on('data', (d) => parts.push(d));
      res.on('end', () => resolve({ status: res.statusCode, text: Buffer.concat(parts).toString(), subject: peer.subject?.CN, serial: peer.serialNumber, protocol }));
    });
    req.on('error', reject);
    req.end(body);
  });
}

describe('TLS for clients', () => {
  let upstream, gateway;
  const files = { cert: path.join(folder, 'current.crt'), key: path.join(folder, 'current.key') };
  const use = (from) => { copyFileSync(from.cert, files.cert); copyFileSync(from.key, files.key); };

  before(async () => {
    use(server);
    upstream = await Upstream.start(answer);
    gateway = await Gateway.start({ config: { server: { tls_cert_file: files.cert, tls_key_file: files.key, header_timeout: '700ms' }, models: { m: target(upstream) } } });
  });
  after(async () => {
    await gateway.stop();
    await upstream.stop();
  });

  it('serves HTTPS, and says so on the first screen', async () => {
    assert.match(gateway.child.stdout, /serves on https:/);
    const res = await secure(gateway.port);
    assert.equal(res.status, 200);
    assert.match(res.protocol, /^TLSv1\.[23]$/);
  });

  it('streams', async () => {
    const agent = new https.Agent({ ca: execFileSync('cat', [ca.file]) });
    const body = await secure(gateway.port, { path: '/v1/chat/completions', body: JSON.stringify(chatBody('m', { stream: true })), options: { agent } });
    assert.equal(readChatStream({ events: body.text.split('\n\n').filter(Boolean).map((e) => e.slice(6)) }).text, 'ab');
    agent.destroy();
  });

  it('plain HTTP, garbage and silence on the TLS port end, without an answer', async () => {
    for (const bytes of ['GET /health HTTP/1.1\r\nHost: x\r\n\r\n', '\x16\x03\x01\xff\xff garbage'.repeat(100), '']) {
      const raw = await RawSocket.open(gateway.port);
      if (bytes) raw.write(bytes);
      await raw.ending(3000);
      assert.doesNotMatch(raw.text, /^HTTP\/1\.1 200/);
      raw.destroy();
    }
    assert.equal((await secure(gateway.port)).status, 200);
  });

  it('TLS 1.1 is refused', async () => {
    await assert.rejects(secure(gateway.port, { options: { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } }));
  });

  it('sessions are resumed', async () => {
    const first = tls.connect({ port: gateway.port, host: '127.0.0.1', servername: 'localhost', ca: execFileSync('cat', [ca.file]) });
    const session = await new Promise((resolve, reject) => {
      first.on('error', reject);
      first.on('session', resolve);
      first.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    });
    first.destroy();
    const second = tls.connect({ port: gateway.port, host: '127.0.0.1', servername: 'localhost', ca: execFileSync('cat', [ca.file]), session });
    await once(second, 'secureConnect');
    assert.ok(second.isSessionReused());
    second.destroy();
  });

  it('a reload takes a new certificate; a bad one leaves the old', async () => {
    const old = (await secure(gateway.port)).serial;
    const renewed = ca.issue('renewed', 'DNS:localhost,IP:127.0.0.1');
    use(renewed);
    assert.equal((await gateway.reload()).event, 'config_reloaded');
    const now = (await secure(gateway.port)).serial;
    assert.notEqual(now, old);
    writeFileSync(files.cert, '-----BEGIN CERTIFICATE-----\nhalf written');
    const line = await gateway.reload();
    assert.equal(line.event, 'config_reload_failed');
    assert.equal((await secure(gateway.port)).serial, now);
    copyFileSync(renewed.cert, files.cert);
    copyFileSync(elsewhere.key, files.key); // a key that does not belong to it
    assert.equal((await gateway.reload()).event, 'config_reload_failed');
    assert.equal((await secure(gateway.port)).serial, now);
  });
});

describe('TLS to providers', () => {
  let good;
  before(async () => { good = await provider(server); });
  after(() => good.stop());

  /** What the client of a gateway with this one model gets. */
  async function ask(upstreamUrl, model = {}, extra = {}, env = {}) {
    const gateway = await Gateway.start({ env, config: { retry: { max_attempts: 1 }, models: { m: target(upstreamUrl, model) }, ...extra } });
    const single = await chat(gateway.port, 'm');
    const stream = await chat(gateway.port, 'm', { stream: true });
    await gateway.stop();
    const failed = gateway.logs().find((l) => l.event === 'request_failed');
    assert.equal(single.status, stream.status);
    return Object.assign(single, { stream, why: failed?.error });
  }

  async function assertRefused(promise) {
    const res = await promise;
    assert.equal(res.status, 502, res.text);
    assert.equal(res.error.code, 'upstream_tls_error', res.text);
    assert.ok(res.why, 'the log says why');
    return res;
  }

  it('with an authority of its own', async () => {
    const res = await ask(good, { ca_file: ca.file });
    assert.equal(res.status, 200, res.text);
    assert.equal(readChatStream(res.stream).text, 'ab');
    assert.equal((await ask(good, {}, { upstream: { ca_file: ca.file } })).status, 200, 'for all models');
    assert.equal((await ask(`https://localhost:${good.port}/v1`, { ca_file: ca.file })).status, 200, 'by name');
  });

  it('an unknown authority → 502 upstream_tls_error, nothing was sent', async () => {
    const calls = good.requests.length;
    await assertRefused(ask(good));
    await assertRefused(ask(good, { ca_file: other.file }));
    assert.equal(good.requests.length, calls);
  });

  it('the wrong name → 502 upstream_tls_error', async () => {
    const wrong = await provider(elsewhere);
    await assertRefused(ask(wrong, { ca_file: ca.file }));
    await assertRefused(ask(`https://localhost:${wrong.port}/v1`, { ca_file: ca.file }));
    assert.equal(wrong.requests.length, 0);
    await wrong.stop();
  });

  it('another authority’s certificate for the right name → refused', async () => {
    const evil = await provider(stranger);
    await assertRefused(ask(evil, { ca_file: ca.file }));
    await evil.stop();
  });

  it('an expired certificate → refused', async (t) => {
    let expired;
    try {
      expired = ca.issue('expired', 'DNS:localhost,IP:127.0.0.1', { days: -1 });
    } catch {
      expired = null; // this openssl makes none
    }
    if (!expired) { t.skip('this openssl makes no expired certificates'); return; }
    const old = await provider(expired);
    const res = await assertRefused(ask(old, { ca_file: ca.file }));
    assert.match(res.why, /expired/);
    await old.stop();
  });

  it('an old version of TLS → refused', async () => {
    const old = await provider(server, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
    await assertRefused(ask(old, { ca_file: ca.file }));
    await old.stop();
  });

  it('plain text where TLS should be → refused', async () => {
    const plain = await Upstream.start(answer);
    await assertRefused(ask(`https://127.0.0.1:${plain.port}/v1`, { ca_file: ca.file }));
    assert.equal(plain.requests.length, 0);
    await plain.stop();
  });

  it('a handshake that stalls ends with the connect timeout', async () => {
    const sockets = new Set();
    const stalled = net.createServer((s) => { sockets.add(s); s.on('error', () => {}); }).listen(0, '127.0.0.1');
    await once(stalled, 'listening');
    const res = await ask(`https://127.0.0.1:${stalled.address().port}/v1`, { ca_file: ca.file, timeouts: { connect: '300ms' } });
    assert.equal(res.status, 504, res.text);
    assert.equal(res.error.code, 'upstream_timeout');
    for (const s of sockets) s.destroy();
    stalled.close();
  });

  it('the environment cannot switch verification off', async () => {
    await assertRefused(ask(good, {}, {}, { NODE_TLS_REJECT_UNAUTHORIZED: '0', SSL_VERIFY: 'false', CURL_INSECURE: '1', PYTHONHTTPSVERIFY: '0' }));
  });

  it('connections are kept, sessions resumed', async () => {
    const gateway = await Gateway.start({ config: { models: { m: target(good, { ca_file: ca.file }) } } });
    const before = good.connections;
    for (let i = 0; i < 20; i++) assert.equal((await chat(gateway.port, 'm')).status, 200);
    assert.equal(good.connections - before, 1, 'one connection for requests one after another');
    const metrics = await scrape(gateway.port);
    assert.equal(metrics.get('llm_gateway_upstream_tls_handshakes_total'), 1);
    assert.equal(metrics.get('llm_gateway_upstream_reuses_total'), 19);
    await Promise.all(Array.from({ length: 8 }, () => chat(gateway.port, 'm')));
    assert.ok((await scrape(gateway.port)).get('llm_gateway_upstream_tls_resumed_total') >= 1);
    await gateway.stop();
  });

  it('the mock speaks TLS as well', async () => {
    const mock = await Mock.start({ args: ['--tls-cert', server.cert, '--tls-key', server.key] });
    const gateway = await Gateway.start({ config: { upstream: { ca_file: ca.file }, retry: { max_attempts: 1 }, models: { 'mock:*': target(mock) } } });
    assert.equal((await chat(gateway.port, 'mock:tokens=5')).status, 200);
    for (const [script, code] of [['wire=reset,after=2', 'upstream_incomplete'], ['wire=close,after=2', 'upstream_incomplete'], ['wire=bad_chunk,after=2', 'upstream_invalid_response']]) {
      const stream = readChatStream(await chat(gateway.port, `mock:${script}`, { stream: true }));
      assert.equal(stream.errors[0]?.code, code, script);
      assert.equal(stream.doneCount, 0);
    }
    await gateway.stop();
    await mock.stop();
  });
});

/** A CONNECT proxy: names lead to `routes`, and it remembers what it was asked. */
async function startProxy(routes, { status = 200, needs } = {}) {
  const proxy = { asked: [], auth: [], sockets: new Set(), plain: 0 };
  proxy.server = net.createServer((socket) => {
    proxy.sockets.add(socket);
    socket.on('error', () => {});
    let head = '';
    const onData = (d) => {
      head += d.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', onData);
      const [, where] = /^CONNECT (\S+) HTTP\/1\.1\r\n/.exec(head) ?? [];
      if (!where) { proxy.plain++; socket.destroy(); return; }
      proxy.asked.push(where);
      const auth = /proxy-authorization: (.*)\r\n/i.exec(head)?.[1];
      proxy.auth.push(auth);
      if (needs && auth !== needs) { socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n'); return; }
      if (status !== 200) { socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`); return; }
      const to = net.connect({ port: routes[where], host: '127.0.0.1' }, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        socket.pipe(to).pipe(socket);
      });
      to.on('error', () => socket.destroy());
      proxy.sockets.add(to);
    };
    socket.on('data', onData);
  }).listen(0, '127.0.0.1');
  await once(proxy.server, 'listening');
  proxy.port = proxy.server.address().port;
  proxy.url = `http://127.0.0.1:${proxy.port}`;
  proxy.stop = async () => {
    for (const s of proxy.sockets) s.destroy();
    proxy.server.close();
    await once(proxy.server, 'close');
  };
  return proxy;
}

describe('proxies', () => {
  let good, plain;
  before(async () => {
    good = await provider(server);
    plain = await Upstream.start(answer);
  });
  after(async () => {
    await good.stop();
    await plain.stop();
  });
  const routes = () => ({ 'api.test:443': good.port, 'plain.test:80': plain.port });
  const models = { secure: target('https://api.test/v1', { ca_file: ca.file }), plain: target('http://plain.test/v1') };
  const start = (env, extra = {}) => Gateway.start({ env, config: { retry: { max_attempts: 1 }, models, ...extra } });

  it('HTTPS_PROXY and HTTP_PROXY are tunnelled through, end to end', async () => {
    const proxy = await startProxy(routes());
    const gateway = await start({ HTTPS_PROXY: proxy.url, HTTP_PROXY: proxy.url });
    for (const model of ['secure', 'plain']) {
      assert.equal((await chat(gateway.port, model)).status, 200);
      assert.equal(readChatStream(await chat(gateway.port, model, { stream: true })).text, 'ab');
    }
    assert.deepEqual(proxy.asked, ['api.test:443', 'plain.test:80'], 'one tunnel each, kept');
    assert.equal(good.requests.at(-1).headers.host, 'api.test');
    assert.equal(good.requests.at(-1).headers['proxy-authorization'], undefined);
    await gateway.stop();
    await proxy.stop();
  });

  it('with a name and password', async () => {
    const proxy = await startProxy(routes(), { needs: `Basic ${Buffer.from('us er:pa:ss').toString('base64')}` });
    const gateway = await start({ https_proxy: `http://us%20er:pa%3Ass@127.0.0.1:${proxy.port}` });
    assert.equal((await chat(gateway.port, 'secure')).status, 200);
    await gateway.stop();
    const wrong = await start({ https_proxy: `http://us%20er:wrong@127.0.0.1:${proxy.port}` });
    const res = await chat(wrong.port, 'secure');
    assert.deepEqual([res.status, res.error.code], [502, 'upstream_connect_error']);
    assert.doesNotMatch(res.text + wrong.child.stderr, /wrong|dXMg/);
    await wrong.stop();
    await proxy.stop();
  });

  it('NO_PROXY goes around it; so does loopback', async () => {
    const proxy = await startProxy(routes());
    const gateway = await start({ HTTPS_PROXY: proxy.url, HTTP_PROXY: proxy.url, NO_PROXY: 'example.com,.test' },
      { models: { ...models, local: target(plain) } });
    assert.equal((await chat(gateway.port, 'secure')).status, 502, 'the name leads nowhere without the proxy');
    assert.equal((await chat(gateway.port, 'local')).status, 200);
    assert.deepEqual(proxy.asked, []);
    await gateway.stop();
    await proxy.stop();
  });

  it('settings win over the environment', async () => {
    const proxy = await startProxy(routes());
    const unused = await startProxy({});
    const gateway = await start({ HTTPS_PROXY: unused.url }, { upstream: { proxy: proxy.url }, models: { ...models,
      none: target('https://api.test/v1', { ca_file: ca.file, proxy: 'none' }) } });
    assert.equal((await chat(gateway.port, 'secure')).status, 200);
    assert.equal((await chat(gateway.port, 'none')).status, 502);
    assert.deepEqual(unused.asked, []);
    await gateway.stop();
    await proxy.stop();
    await unused.stop();
  });

  it('a proxy that refuses, is gone or talks nonsense → 502', async () => {
    const refusing = await startProxy({}, { status: 503 });
    const nonsense = net.createServer((s) => { s.on('error', () => {}); s.end('hello\r\n\r\n'); }).listen(0, '127.0.0.1');
    await once(nonsense, 'listening');
    for (const url of [refusing.url, `http://127.0.0.1:${nonsense.address().port}`, 'http://127.0.0.1:9']) {
      const gateway = await start({ HTTPS_PROXY: url });
      const res = await chat(gateway.port, 'secure');
      assert.deepEqual([res.status, res.error.code], [502, 'upstream_connect_error'], res.text);
      await gateway.stop();
    }
    await refusing.stop();
    nonsense.close();
  });

  it('a client that leaves closes the tunnel', async () => {
    const slow = await Upstream.start(() => {});
    const proxy = await startProxy({ 'plain.test:80': slow.port });
    const gateway = await start({ HTTP_PROXY: proxy.url });
    const control = new AbortController();
    const call = chat(gateway.port, 'plain', {}, { signal: control.signal });
    await until(() => slow.requests.length, { what: 'the request' });
    control.abort();
    await assert.rejects(call);
    await slow.requests[0].gone;
    assert.equal((await request(gateway.port, { path: '/health' })).status, 200);
    await gateway.stop();
    await proxy.stop();
    await slow.stop();
  });
});
