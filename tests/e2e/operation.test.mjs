// What an operator does: reload, drain, stop; and what a machine does: ports, descriptors, pipes.
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LiveStream, RawSocket, chat, chatBody, parseResponses, request } from './support/http.mjs';
import { scrape } from './support/metrics.mjs';
import { Gateway, SANITIZED, run, temporaryFolder } from './support/process.mjs';
import { Upstream, beginEvents, chunk, completion, sendEvent, sendJson, sendStream, target } from './support/upstream.mjs';
import { timed, until, within } from './support/wait.mjs';

const answering = (text = 'ok') => Upstream.start((req, res, r) => (r.json.stream ? sendStream(res, [text]) : sendJson(res, completion('m', text))));

/** A provider whose streams go on until they are told to end. */
async function startPatient() {
  const open = new Set();
  const upstream = await Upstream.start((req, res) => {
    beginEvents(res);
    sendEvent(res, chunk({ content: 'begun' }));
    open.add(res);
    res.on('close', () => open.delete(res));
  });
  upstream.finish = () => {
    for (const res of open) {
      sendEvent(res, chunk({ content: ' done' }));
      sendEvent(res, chunk({}, { finish: 'stop' }));
      sendEvent(res, '[DONE]');
      res.end();
    }
  };
  return upstream;
}

const openStream = (port, model = 'm') => LiveStream.open(port, { json: chatBody(model, { stream: true }) });

/** Requests without a pause over kept-alive connections, until stop() gives what came of them. */
function load(port, { connections = 8, model = 'm' } = {}) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const results = { ok: 0, failed: [] };
  let stopped = false;
  const one = async () => {
    const body = JSON.stringify(chatBody(model));
    await new Promise((resolve) => {
      const req = http.request({ port, host: '127.0.0.1', path: '/v1/chat/completions', method: 'POST', agent,
        headers: { 'content-type': 'application/json', 'content-length': body.length } }, (res) => {
        res.resume();
        res.on('end', () => { if (res.statusCode === 200) results.ok++; else results.failed.push(res.statusCode); resolve(); });
        res.on('error', (e) => { results.failed.push(e.code); resolve(); });
      });
      req.on('error', (e) => { results.failed.push(e.code); resolve(); });
      req.end(body);
    });
  };
  const workers = Array.from({ length: connections }, async () => { while (!stopped) await one(); });
  results.stop = async () => {
    stopped = true;
    await Promise.all(workers);
    agent.destroy();
    return results;
  };
  return results;
}

describe('reload', () => {
  it('with a good configuration under load: not one request fails', async () => {
    const upstream = await answering();
    const config = (n) => ({ observability: { log_level: 'WARNING' }, models: { m: target(upstream), [`model-${n}`]: target(upstream) } });
    const gateway = await Gateway.start({ workers: 2, config: config(0) });
    const running = load(gateway.port);
    const reloads = async () => (await scrape(gateway.port)).get('llm_gateway_config_reloads_total');
    for (let i = 1; i <= 25; i++) {
      gateway.writeConfig(config(i));
      gateway.child.kill('SIGHUP');
      await until(async () => await reloads() === i, { what: `reload ${i}` });
    }
    const { ok, failed } = await running.stop();
    assert.deepEqual(failed, []);
    assert.ok(ok > 100, `${ok} requests`);
    assert.equal((await chat(gateway.port, 'model-25')).status, 200);
    assert.equal((await chat(gateway.port, 'model-24')).status, 404);
    await gateway.stop();
    await upstream.stop();
  });

  it('a running stream keeps the configuration that it began with', async () => {
    const upstream = await startPatient();
    const gateway = await Gateway.start({ config: { models: { m: target(upstream) } } });
    const stream = await openStream(gateway.port);
    await stream.next();
    assert.equal((await gateway.reload({ models: { other: target(upstream) } })).event, 'config_reloaded');
    assert.equal((await chat(gateway.port, 'm')).status, 404);
    upstream.finish();
    const rest = await stream.rest();
    assert.equal(rest.at(-1), '[DONE]');
    const line = await gateway.log((l) => l.event === 'response_generated');
    assert.equal(line.target, 'm');
    await gateway.stop();
    await upstream.stop();
  });

  const bad = [
    ['a syntax error', 'models:\n  m: {backend_type: mock\n', /tollgate\.yaml:\d+:\d+: error/],
    ['an unknown key', 'models:\n  m:\n    backend_type: mock\nserverr:\n  port: 1\n', /tollgate\.yaml:4:\d+: error: .*serverr/],
    ['a duplicate model', 'models:\n  m: {backend_type: mock}\n  m: {backend_type: mock}\n', /tollgate\.yaml:3:\d+: error: .*m/],
    ['a price that is no number', 'models:\n  m:\n    backend_type: mock\n    prices: {input: cheap}\n', /tollgate\.yaml:4:\d+: error: .*prices\.input/],
    ['a variable that is not set', 'server:\n  host: ${NOT_SET}\nmodels:\n  m: {backend_type: mock}\n', /tollgate\.yaml:2:\d+: error: .*NOT_SET/],
    ['a bad certificate', 'server: {tls_cert_file: none.pem, tls_key_file: none.key}\nmodels:\n  m: {backend_type: mock}\n', /none\.pem|certificate/],
    ['no model left', 'engine: {builtin: false}\nmodels: {}\n', /error: .*model/],
    ['an address for everyone', 'server: {host: 0.0.0.0}\nmodels:\n  m: {backend_type: mock}\n', /insecure_bind/],
  ];
  for (const [what, text, wanted] of bad) {
    it(`with ${what}: the old one serves on`, async () => {
      const gateway = await Gateway.start({ config: { models: { m: { backend_type: 'mock' } } } });
      const from = gateway.child.stderr.length;
      const line = await gateway.reload(text);
      assert.equal(line.event, 'config_reload_failed');
      assert.equal(line.level, 'ERROR');
      await until(() => wanted.test(gateway.child.stderr.slice(from)), { what: () => `${wanted} in ${gateway.child.stderr.slice(from)}` });
      assert.equal((await chat(gateway.port, 'm')).status, 200);
      assert.equal((await scrape(gateway.port)).get('llm_gateway_config_reload_failures_total'), 1);
      assert.equal((await gateway.reload({ models: { n: { backend_type: 'mock' } } })).event, 'config_reloaded');
      assert.equal((await chat(gateway.port, 'n')).status, 200);
      await gateway.stop();
    });
  }

  it('says when a change needs a restart', async () => {
    const gateway = await Gateway.start({ config: { server: { idle_timeout: '10s' }, models: { m: { backend_type: 'mock' } } } });
    const line = await gateway.reload({ server: { idle_timeout: '20s', host: '127.0.0.2' }, models: { m: { backend_type: 'mock' } } });
    assert.match(line.message, /next start/);
    assert.equal((await chat(gateway.port, 'm')).status, 200);
    await gateway.stop();
  });

  it('takes the log level and limits over', async () => {
    const gateway = await Gateway.start({ config: { models: { m: { backend_type: 'mock' } } } });
    await gateway.reload({ limits: { body: '1KiB' }, models: { m: { backend_type: 'mock' } } });
    assert.equal((await chat(gateway.port, 'm', { pad: 'x'.repeat(2000) })).status, 413);
    await gateway.stop();
  });
});

describe('stopping', () => {
  it('SIGTERM: no new connection, streams run to their end, exit 0', async () => {
    const upstream = await startPatient();
    const gateway = await Gateway.start({ config: { server: { drain_timeout: '20s' }, models: { m: target(upstream) } } });
    const streams = await Promise.all(Array.from({ length: 20 }, () => openStream(gateway.port)));
    for (const s of streams) await s.next();
    const idle = await RawSocket.open(gateway.port);
    idle.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    await idle.response();
    gateway.child.kill('SIGTERM');
    const { ms } = await timed(() => until(() => new Promise((resolve) => {
      const probe = net.connect({ port: gateway.port, host: '127.0.0.1' });
      probe.on('connect', () => { probe.destroy(); resolve(false); });
      probe.on('error', () => resolve(true));
    }), { ms: 2000, what: 'the listener to close' }));
    assert.ok(ms < 300, `the listener was open for ${ms} ms`);
    await idle.ending(1000);
    assert.equal(gateway.child.ended, undefined, 'streams hold it');
    upstream.finish();
    for (const s of streams) assert.equal((await s.rest()).at(-1), '[DONE]');
    const { ms: after } = await timed(() => gateway.stop());
    assert.ok(after < 3000, `${after} ms`);
    assert.ok(gateway.logs().some((l) => l.event === 'shutting_down') && gateway.logs().some((l) => l.event === 'stopped'));
    await upstream.stop();
  });

  it('SIGTERM: a request in work gets its answer with Connection: close', async () => {
    let release;
    const upstream = await Upstream.start(async (req, res) => {
      await new Promise((resolve) => { release = resolve; });
      sendJson(res, completion('m', 'late'));
    });
    const gateway = await Gateway.start({ config: { models: { m: target(upstream) } } });
    const raw = await RawSocket.open(gateway.port);
    const body = JSON.stringify(chatBody('m'));
    raw.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await until(() => release, { what: 'the request' });
    gateway.child.kill('SIGTERM');
    await gateway.log((l) => l.event === 'shutting_down');
    release();
    await raw.ending();
    const [res] = parseResponses(raw.received);
    assert.equal(res.status, 200);
    assert.equal(res.headers.connection, 'close');
    await gateway.stop();
    await upstream.stop();
  });

  it('the drain ends: streams get shutting_down and no [DONE], waiting requests 503', async () => {
    const upstream = await startPatient();
    const silent = await Upstream.start(() => {});
    const gateway = await Gateway.start({ config: { server: { drain_timeout: '400ms' }, models: { m: target(upstream), silent: target(silent) } } });
    const stream = await openStream(gateway.port);
    await stream.next();
    const waiting = chat(gateway.port, 'silent');
    await until(() => silent.requests.length, { what: 'the request' });
    const { ms } = await timed(async () => {
      gateway.child.kill('SIGTERM');
      const rest = await stream.rest();
      assert.ok(!rest.includes('[DONE]'));
      assert.equal(JSON.parse(rest.at(-1)).error.code, 'shutting_down');
      const res = await waiting;
      assert.deepEqual([res.status, res.error.code], [503, 'shutting_down']);
      await gateway.stop();
    });
    assert.ok(ms > 350 && ms < 2500, `${ms} ms`);
    await upstream.stop();
    await silent.stop();
  });

  it('a second signal stops at once', async () => {
    for (const [first, second] of [['SIGTERM', 'SIGTERM'], ['SIGINT', 'SIGINT']]) {
      const upstream = await startPatient();
      const gateway = await Gateway.start({ config: { server: { drain_timeout: '60s' }, models: { m: target(upstream) } } });
      const stream = await openStream(gateway.port);
      await stream.next();
      gateway.child.kill(first);
      await gateway.log((l) => l.event === 'shutting_down');
      const { ms } = await timed(() => gateway.stop({ signal: second }));
      assert.ok(ms < 2000, `${ms} ms`);
      const rest = await stream.rest();
      assert.ok(!rest.includes('[DONE]'));
      await upstream.stop();
    }
  });

  it('a client that does not read cannot hold it', async () => {
    const upstream = await Upstream.start(async (req, res) => {
      beginEvents(res);
      const text = `data: ${JSON.stringify(chunk({ content: 'x'.repeat(4000) }))}\n\n`;
      for (let i = 0; i < 5000 && !res.destroyed; i++) if (!res.write(text)) await sleep(5);
    });
    const gateway = await Gateway.start({ config: { server: { drain_timeout: '200ms' }, models: { m: target(upstream) } } });
    const raw = await RawSocket.open(gateway.port);
    raw.socket.pause();
    const body = JSON.stringify(chatBody('m', { stream: true }));
    raw.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await until(() => upstream.requests.length, { what: 'the request' });
    const { ms } = await timed(() => gateway.stop());
    assert.ok(ms < 2500, `${ms} ms`);
    raw.destroy();
    await upstream.stop();
  });

  it('nothing is left open behind it', async () => {
    const gateway = await Gateway.start({ config: { models: { m: { backend_type: 'mock' } } } });
    await chat(gateway.port, 'm');
    const before = gateway.fds();
    for (let i = 0; i < 50; i++) await chat(gateway.port, 'm', { stream: i % 2 === 0 });
    await until(() => gateway.fds() <= before, { what: () => `descriptors: ${before}, now ${gateway.fds()}` });
    await gateway.stop();
  });
});

describe('starting', () => {
  it('a port in use → exit 1 and one clear line', async () => {
    for (const workers of ['1', '2']) { // with several workers sockets share ports, but not with strangers
      const gateway = await Gateway.start({ workers: Number(workers), config: { models: { m: { backend_type: 'mock' } } } });
      const second = await run(['serve', '--port', String(gateway.port), '--workers', workers], { ms: 10000 });
      assert.equal(second.code, 1, `with ${workers} workers: ${JSON.stringify(second)}`);
      assert.match(second.stderr, new RegExp(`^tollgate: .*${gateway.port}.*in use`, 'm'));
      assert.equal(second.stdout, '');
      await gateway.stop();
    }
  });

  it('an address for everyone is refused without a word for it', async () => {
    for (const host of ['0.0.0.0', '::']) {
      const refused = await run(['serve', '--host', host, '--port', '0']);
      assert.equal(refused.code, 2, refused.stderr);
      assert.match(refused.stderr, /insecure_bind/);
    }
    const gateway = await Gateway.start({ args: ['--host', '0.0.0.0'], env: { INSECURE_BIND: 'true' } });
    assert.equal((await request(gateway.port, { path: '/health' })).status, 200);
    await gateway.stop();
  });

  it('an unknown host → exit 1', async () => {
    const refused = await run(['serve', '--host', '192.0.2.77', '--port', '0'], { env: { INSECURE_BIND: 'true' } });
    assert.equal(refused.code, 1, refused.stderr);
    assert.match(refused.stderr, /192\.0\.2\.77/);
  });

  it('the first screen has a command that works', async () => {
    const gateway = await Gateway.start();
    assert.match(gateway.child.stdout, /tollgate-tiny +built-in/);
    assert.match(gateway.child.stdout, new RegExp(`curl -N http://127\\.0\\.0\\.1:${gateway.port}/v1/chat/completions`));
    const body = /-d '(.*)'/.exec(gateway.child.stdout)[1];
    const res = await request(gateway.port, { path: '/v1/chat/completions', body, headers: { 'content-type': 'application/json' }, ms: 30000 });
    assert.ok([200, 503].includes(res.status), res.text); // 503: built without the library
    await gateway.stop();
  });
});

describe('limits of the machine', () => {
  it('more requests than max_active_requests → 503 overloaded with Retry-After', async () => {
    const silent = await Upstream.start(() => {});
    const gateway = await Gateway.start({ config: { server: { max_active_requests: 4 }, models: { m: target(silent) } } });
    const held = Array.from({ length: 4 }, () => chat(gateway.port, 'm').catch(() => null));
    await until(() => silent.requests.length === 4, { what: 'four requests' });
    const { value: res, ms } = await timed(() => chat(gateway.port, 'm'));
    assert.deepEqual([res.status, res.error.code], [503, 'overloaded']);
    assert.match(res.headers['retry-after'], /^\d+$/);
    assert.ok(ms < 200, `${ms} ms`);
    assert.equal((await request(gateway.port, { path: '/health' })).status, 200);
    gateway.child.kill('SIGTERM');
    await gateway.log((l) => l.event === 'shutting_down');
    await gateway.stop();
    await Promise.all(held);
    await silent.stop();
  });

  it('more connections than max_connections are closed at once, and counted', async () => {
    const gateway = await Gateway.start({ config: { server: { max_connections: 10 }, models: { m: { backend_type: 'mock' } } } });
    const held = await Promise.all(Array.from({ length: 10 }, () => RawSocket.open(gateway.port)));
    held[0].write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    await held[0].response();
    const extra = await RawSocket.open(gateway.port);
    await extra.ending(2000);
    held[1].destroy();
    await until(async () => (await request(gateway.port, { path: '/health' }).catch(() => null))?.status === 200, { what: 'a free place' });
    for (const raw of held) raw.destroy();
    await until(async () => (await scrape(gateway.port).catch(() => null))?.get('llm_gateway_client_connections_refused_total') >= 1, { what: 'the count' });
    await gateway.stop();
  });

  it('no descriptors left: those in use serve on, no busy loop, all is well after', async () => {
    const gateway = await Gateway.start({ limitFiles: 64, config: { models: { m: { backend_type: 'mock' } } } });
    const first = await RawSocket.open(gateway.port);
    const sockets = [];
    for (let i = 0; i < 90; i++) sockets.push(await RawSocket.open(gateway.port)); // the kernel queues what is not accepted
    await sleep(200); // lets it run into the limit
    const cpu = gateway.cpuSeconds();
    const { ms } = await timed(() => sleep(1000));
    const used = (gateway.cpuSeconds() - cpu) / (ms / 1000);
    assert.ok(used < 0.2, `${Math.round(used * 100)} % of a core`);
    first.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal((await first.response()).status, 200);
    for (const raw of sockets) raw.destroy();
    await timed(() => until(async () => (await request(gateway.port, { path: '/health', ms: 1000 }).catch(() => null))?.status === 200,
      { ms: 5000, what: 'service' }));
    first.destroy();
    await gateway.stop();
  });

  it('the soft limit of descriptors is raised to the hard one', async () => {
    const gateway = await Gateway.start({ limitFiles: '300 && ulimit -Sn 64', config: { models: { m: { backend_type: 'mock' } } } });
    const limits = readFileSync(`/proc/${gateway.pid}/limits`, 'utf8');
    assert.match(limits, /^Max open files +300 +300 /m);
    const sockets = [];
    for (let i = 0; i < 150; i++) sockets.push(await RawSocket.open(gateway.port));
    sockets.at(-1).write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal((await sockets.at(-1).response()).status, 200);
    for (const raw of sockets) raw.destroy();
    await gateway.stop();
  });

  it('slow and idle clients are cheap and do not slow others down', async () => {
    const upstream = await answering();
    const gateway = await Gateway.start({ config: { observability: { log_level: 'WARNING' }, models: { m: target(upstream) } } });
    for (let i = 0; i < 20; i++) await chat(gateway.port, 'm');
    const before = gateway.rssBytes();
    const slow = await Promise.all(Array.from({ length: 1500 }, () => RawSocket.open(gateway.port)));
    slow.forEach((raw, i) => raw.write(i % 2 ? 'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"mess'
      : 'GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: '));
    await until(async () => (await scrape(gateway.port)).get('llm_gateway_client_connections') >= 1500, { what: 'all of them' });
    const times = [];
    for (let i = 0; i < 200; i++) times.push((await timed(() => chat(gateway.port, 'm'))).ms);
    times.sort((a, b) => a - b);
    const each = (gateway.rssBytes() - before) / slow.length;
    console.log(`1,500 slow clients: ${(each / 1024).toFixed(1)} KiB each, others' p99 ${times[197].toFixed(1)} ms`);
    assert.ok(each < 16 * 1024 || SANITIZED, `${each} bytes each`);
    assert.ok(times[197] < 100, `${times[197]} ms`);
    for (const raw of slow) raw.destroy();
    await until(async () => (await scrape(gateway.port)).get('llm_gateway_client_connections') <= 2, { what: 'their end' });
    await gateway.stop();
    await upstream.stop();
  });

  it('a blocked log costs lines, not requests', async () => {
    const upstream = await answering();
    const gateway = await Gateway.start({ config: { models: { m: target(upstream) } } });
    gateway.child.process.stderr.pause();
    const metadata = { pad: 'x'.repeat(15000) };
    let slowest = 0;
    for (let i = 0; i < 45; i++) {
      const { ms } = await timed(() => Promise.all(Array.from({ length: 10 }, async () => {
        assert.equal((await chat(gateway.port, 'm', { metadata })).status, 200);
      })));
      slowest = Math.max(slowest, ms);
    }
    assert.ok(slowest < 2000, `${slowest} ms`);
    assert.ok((await scrape(gateway.port)).get('llm_gateway_log_lines_dropped_total') > 0);
    gateway.child.process.stderr.resume();
    await until(async () => {
      await chat(gateway.port, 'm');
      return gateway.logs().some((l) => l.event === 'log_lines_dropped');
    }, { what: 'the log again' });
    await gateway.stop();
    await upstream.stop();
  });

  it('a pause of the whole process is survived', async () => {
    const upstream = await startPatient();
    const gateway = await Gateway.start({ config: { upstream: { timeouts: { idle: '30s' } }, models: { m: target(upstream) } } });
    const stream = await openStream(gateway.port);
    await stream.next();
    gateway.child.kill('SIGSTOP');
    const during = chat(gateway.port, 'nothing');
    await sleep(700);
    gateway.child.kill('SIGCONT');
    assert.equal((await during).status, 404);
    upstream.finish();
    assert.equal((await stream.rest()).at(-1), '[DONE]');
    await gateway.stop();
    await upstream.stop();
  });

  it('1,000 streams at once on one worker: every event of each, in order', async () => {
    const n = 1000;
    const events = 12;
    const upstream = await Upstream.start(async (req, res, r) => {
      const tag = r.json.user;
      beginEvents(res);
      for (let i = 0; i < events; i++) {
        sendEvent(res, chunk({ content: `${tag}.${i};` }));
        await sleep(150);
      }
      sendEvent(res, chunk({}, { finish: 'stop' }));
      sendEvent(res, '[DONE]');
      res.end();
    });
    const gateway = await Gateway.start({ config: { observability: { log_level: 'WARNING' }, server: { max_connections: 5000 },
      models: { m: target(upstream, { max_connections: 2000, max_handshakes: 256 }) } } });
    await chat(gateway.port, 'nothing');
    const before = gateway.rssBytes();
    let most = 0;
    let streams = 0;
    const watch = setInterval(async () => {
      most = Math.max(most, gateway.rssBytes());
      streams = Math.max(streams, (await scrape(gateway.port).catch(() => null))?.get('llm_gateway_active_streams') ?? 0);
    }, 200);
    const results = await within(Promise.all(Array.from({ length: n }, async (_, id) => {
      const res = await chat(gateway.port, 'm', { stream: true, user: `s${id}` }, { ms: 60000 });
      const wanted = Array.from({ length: events }, (__, i) => `s${id}.${i};`).join('');
      const text = res.events.filter((e) => e !== '[DONE]').map((e) => JSON.parse(e).choices[0].delta.content ?? '').join('');
      return text === wanted && res.events.at(-1) === '[DONE]';
    })), 60000, '1,000 streams');
    clearInterval(watch);
    assert.equal(results.filter(Boolean).length, n);
    assert.ok(streams >= n * 0.9, `at most ${streams} at once`);
    const each = (most - before) / n;
    assert.ok(each < 64 * 1024 || SANITIZED, `${Math.round(each)} bytes a stream`);
    console.log(`1,000 streams at once: ${Math.round(each / 1024)} KiB each, ${gateway.cpuSeconds().toFixed(2)} s of CPU in all`);
    await until(async () => (await scrape(gateway.port)).get('llm_gateway_active_requests') === 0);
    await gateway.stop();
    await upstream.stop();
  });
});

describe('files beside it', () => {
  it('the configuration is found where the page says', async () => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, 'tollgate.yaml'), 'models:\n  found-it: {backend_type: mock}\n');
    const gateway = await Gateway.start({ folder });
    assert.equal((await chat(gateway.port, 'found-it')).status, 200);
    await gateway.stop();
  });
});
