// A provider that misbehaves in every scripted way: what the client gets, for streams and for single
// answers; then timeouts, retries, fallbacks, the circuit breaker and slow clients.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { LiveStream, RawSocket, chat, chatBody, readChatStream, request } from './support/http.mjs';
import { scrape } from './support/metrics.mjs';
import { Gateway, Mock, SANITIZED } from './support/process.mjs';
import { RawUpstream, Upstream, beginEvents, chunk, closedPort, completion, drained, sendEvent, sendJson, sendStream, target } from './support/upstream.mjs';
import { timed, until } from './support/wait.mjs';

const NO_BREAKER = { consecutive_failures: 10000, min_requests: 1000000 };

/** The one error shape, whole. */
function assertShape(error) {
  assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'request_id', 'type']);
  assert.ok(error.message && !/sk-secret|127\.0\.0\.1/.test(error.message), error.message);
  assert.match(error.request_id, /^req_/);
}

describe('faults of the wire', () => {
  let mock, gateway, port;

  before(async () => {
    mock = await Mock.start();
    gateway = await Gateway.start({ config: {
      upstream: { timeouts: { first_byte: '400ms', idle: '400ms' } },
      retry: { max_attempts: 1 },
      breaker: NO_BREAKER,
      models: { 'mock:*': target(mock, { api_key: 'sk-secret-of-the-provider' }) },
    } });
    port = gateway.port;
  });
  after(async () => {
    await gateway.stop();
    await mock.stop();
  });

  const single = [
    ['wire=reset', 502, 'upstream_incomplete'],
    ['wire=close', 502, 'upstream_incomplete'],
    ['wire=stall', 504, 'upstream_timeout'],
    ['wire=truncated_chunk', 502, 'upstream_incomplete'],
    ['wire=reset,after=1', 502, 'upstream_incomplete'],
    ['wire=close,after=1', 502, 'upstream_incomplete'],
    ['wire=stall,after=1', 504, 'upstream_timeout'],
    ['wire=garbage', 502, 'upstream_invalid_response'],
    ['wire=big_header', 502, 'upstream_too_large'],
    ['wire=html', 502, 'upstream_error'],
    ['wire=bad_json', 502, 'upstream_invalid_response'],
    ['latency=5000', 504, 'upstream_timeout'],
  ];
  for (const [script, status, code] of single) {
    it(`single answer, ${script} → ${status} ${code}`, async () => {
      const res = await chat(port, `mock:${script}`);
      assert.equal(res.status, status, res.text);
      assert.equal(res.error.code, code, res.text);
      assertShape(res.error);
      assert.equal(res.headers['x-request-id'], res.error.request_id);
    });
  }

  const healthy = [['wire=none', 19], ['wire=drip,tokens=1,delay=1', 1], ['wire=no_done', 19],
    ['wire=error_event', 19], ['wire=bad_chunk', 19], ['status=200', 19], ['tokens=200', 200]];
  for (const [script, tokens] of healthy) {
    it(`single answer, ${script} → 200`, async () => {
      const res = await chat(port, `mock:${script}`);
      assert.equal(res.status, 200, res.text);
      assert.equal(res.json.usage.completion_tokens, tokens);
    });
  }

  const streamBeforeOutput = [
    ['wire=reset', 502, 'upstream_incomplete'],
    ['wire=close', 502, 'upstream_incomplete'],
    ['wire=stall', 504, 'upstream_timeout'],
    ['wire=garbage', 502, 'upstream_invalid_response'],
    ['wire=big_header', 502, 'upstream_too_large'],
    ['wire=html', 502, 'upstream_error'],
    ['wire=bad_json', 502, 'upstream_invalid_response'],
    ['latency=5000', 504, 'upstream_timeout'],
    ['ttft=5000', 504, 'upstream_timeout'],
    // A role alone is no output yet:
    ['wire=truncated_chunk', 502, 'upstream_incomplete'],
    ['wire=bad_chunk', 502, 'upstream_invalid_response'],
    ['wire=no_done', 502, 'upstream_incomplete'],
    ['wire=error_event', 502, 'mock_error'],
  ];
  for (const [script, status, code] of streamBeforeOutput) {
    it(`stream, ${script} → ${status} ${code}`, async () => {
      const res = await chat(port, `mock:${script}`, { stream: true });
      assert.equal(res.status, status, res.text);
      assert.match(res.headers['content-type'], /^application\/json/);
      assert.equal(res.error.code, code, res.text);
      assertShape(res.error);
    });
  }

  const streamAfterOutput = [
    ['wire=reset,after=3,delay=5', 'upstream_incomplete'],
    ['wire=close,after=3', 'upstream_incomplete'],
    ['wire=stall,after=3', 'upstream_timeout'],
    ['wire=truncated_chunk,after=3', 'upstream_incomplete'],
    ['wire=bad_chunk,after=3', 'upstream_invalid_response'],
    ['wire=no_done,after=3', 'upstream_incomplete'],
    ['wire=error_event,after=3', 'mock_error'],
    ['delay=5000', 'upstream_timeout'],
  ];
  for (const [script, code] of streamAfterOutput) {
    it(`stream, ${script} → what came, then ${code}, never [DONE]`, async () => {
      const res = await chat(port, `mock:${script}`, { stream: true });
      const stream = readChatStream(res);
      assert.equal(res.status, 200);
      assert.ok(res.complete, 'the HTTP message itself ends properly');
      assert.equal(stream.text, /^delay/.test(script) ? 'Lorem ' : 'Lorem ipsum dolor ');
      assert.equal(stream.errors.length, 1, res.text);
      assert.equal(stream.errors[0].code, code);
      assert.ok(stream.chunks.at(-1).error, 'the error is the last event');
      assert.equal(stream.doneCount, 0);
      assert.equal(stream.finish, undefined);
    });
  }

  const streamFine = ['wire=none', 'wire=drip,tokens=1,delay=1', 'tokens=500', 'tokens=20,delay=3,ttft=20'];
  for (const script of streamFine) {
    it(`stream, ${script} → whole`, async () => {
      const res = await chat(port, `mock:${script}`, { stream: true, stream_options: { include_usage: true } });
      const stream = readChatStream(res);
      assert.equal(stream.doneCount, 1);
      assert.equal(stream.errors.length, 0);
      assert.equal(stream.finish, 'stop');
      assert.equal(stream.usage.completion_tokens, Number(/tokens=(\d+)/.exec(script)?.[1] ?? 19));
    });
  }

  const statuses = [[400, 400], [401, 502, 'upstream_auth_error'], [402, 502, 'upstream_auth_error'],
    [403, 502, 'upstream_auth_error'], [404, 404], [408, 504], [409, 502], [413, 413],
    [422, 422], [429, 429], [500, 500], [501, 502], [502, 502], [503, 503], [504, 504],
    [529, 503]];
  for (const [theirs, ours, code] of statuses) {
    it(`status=${theirs} → ${ours}`, async () => {
      for (const stream of [false, true]) {
        const res = await chat(port, `mock:status=${theirs},retry_after=3`, { stream });
        assert.equal(res.status, ours, res.text);
        assert.ok(res.error.message);
        // The provider's own error goes back as it came, but for what it says about our credential.
        assert.equal(res.error.code, code ?? 'mock_error');
        assert.equal(res.headers['retry-after'], '3');
        assert.doesNotMatch(res.text, /sk-secret/);
      }
    });
  }

  it('counts every failure by its code', async () => {
    const metrics = await scrape(port);
    for (const code of ['upstream_incomplete', 'upstream_timeout', 'upstream_invalid_response', 'upstream_too_large',
      'upstream_auth_error']) {
      assert.ok(metrics.get('llm_gateway_upstream_errors_total', { code }) > 0, code);
    }
    assert.ok(metrics.get('llm_gateway_requests_total', { status: '502' }) > 10);
    assert.equal(metrics.get('llm_gateway_active_requests'), 0);
    assert.equal(metrics.get('llm_gateway_active_streams'), 0);
  });
});

describe('providers that cannot be reached', () => {
  it('a refused connection is 502, tried as often as configured', async () => {
    const port = await closedPort();
    const gateway = await Gateway.start({ config: {
      retry: { max_attempts: 3, base_delay: '5ms' }, breaker: NO_BREAKER,
      models: { gone: target(`http://127.0.0.1:${port}/v1`) },
    } });
    const res = await chat(gateway.port, 'gone');
    assert.deepEqual([res.status, res.error.code], [502, 'upstream_connect_error']);
    assertShape(res.error);
    const metrics = await scrape(gateway.port);
    assert.equal(metrics.get('llm_gateway_attempts_total', { target: 'gone' }), 3);
    assert.equal(metrics.get('llm_gateway_retries_total', { kind: 'same_target' }), 2);
    await gateway.stop();
  });

  it('a name that does not exist is 502', async () => {
    const gateway = await Gateway.start({ config: { retry: { max_attempts: 1 },
      models: { nowhere: target('http://does-not-exist.invalid/v1') } } });
    const { value: res, ms } = await timed(() => chat(gateway.port, 'nowhere', { stream: true }));
    assert.equal(res.status, 502);
    assert.match(res.error.code, /^upstream_(dns|connect)_error$/);
    assert.ok(ms < 6000, `${ms} ms`);
    await gateway.stop();
  });

  it('a connection that is never accepted ends with the connect timeout', async () => {
    const gateway = await Gateway.start({ config: { retry: { max_attempts: 1 },
      // 203.0.113.0/24 is for documentation: nothing answers (or the network refuses at once)
      models: { void: target('http://203.0.113.1:81/v1', { timeouts: { connect: '300ms' } }) } } });
    const { value: res, ms } = await timed(() => chat(gateway.port, 'void'));
    assert.ok([502, 504].includes(res.status), res.text);
    assert.ok(ms < 3000, `${ms} ms`);
    await gateway.stop();
  });
});

describe('retries and fallbacks', () => {
  it('429 and 5xx are tried again, and counted', async () => {
    const script = [429, 503, 200];
    let calls = 0;
    const upstream = await Upstream.start((req, res) => {
      const status = script[calls++];
      return status === 200 ? sendJson(res, completion('m', 'third time')) : sendJson(res, { error: { message: 'no' } }, status);
    });
    const gateway = await Gateway.start({ config: { retry: { max_attempts: 3, base_delay: '5ms' },
      models: { m: target(upstream) } } });
    const res = await chat(gateway.port, 'm');
    assert.equal(res.json.choices[0].message.content, 'third time');
    const metrics = await scrape(gateway.port);
    assert.equal(metrics.get('llm_gateway_attempts_total', { target: 'm' }), 3);
    assert.equal(metrics.get('llm_gateway_retries_total', { kind: 'same_target' }), 2);
    assert.equal(metrics.get('llm_gateway_requests_total', { status: '200' }), 1);
    const line = await gateway.log((l) => l.event === 'response_generated');
    assert.equal(line.attempts, 3);
    await gateway.stop();
    await upstream.stop();
  });

  it('Retry-After is waited for when short, passed on when long', async () => {
    const times = [];
    let wait = '1';
    const upstream = await Upstream.start((req, res) => {
      times.push(performance.now());
      return times.length % 2 ? sendJson(res, { error: { message: 'slow down' } }, 429, { 'retry-after': wait })
        : sendJson(res, completion('m', 'ok'));
    });
    const gateway = await Gateway.start({ config: { retry: { max_attempts: 2, base_delay: '1ms', max_retry_after: '2s' },
      models: { m: target(upstream) } } });
    assert.equal((await chat(gateway.port, 'm')).status, 200);
    assert.ok(times[1] - times[0] >= 990, `${times[1] - times[0]} ms`);
    wait = '30';
    const refused = await chat(gateway.port, 'm');
    assert.equal(refused.status, 429);
    assert.equal(refused.headers['retry-after'], '30');
    assert.equal(times.length, 3);
    await gateway.stop();
    await upstream.stop();
  });

  it('a rejected request (400) is never tried again', async () => {
    const upstream = await Upstream.start((req, res) => sendJson(res, { error: { message: 'no' } }, 400));
    const spare = await Upstream.start((req, res) => sendJson(res, completion('m', 'spare')));
    const gateway = await Gateway.start({ config: { models: { m: target(upstream, { fallbacks: ['spare'] }),
      spare: target(spare) } } });
    assert.equal((await chat(gateway.port, 'm')).status, 400);
    assert.deepEqual([upstream.requests.length, spare.requests.length], [1, 0]);
    await gateway.stop();
    await upstream.stop();
    await spare.stop();
  });

  it('the next target serves when the first fails before its first byte', async () => {
    const spare = await Upstream.start((req, res, r) => (r.json.stream ? sendStream(res, ['from ', 'spare'])
      : sendJson(res, completion('m', 'from spare'))));
    const mock = await Mock.start();
    const scripts = ['wire=reset', 'wire=close', 'wire=garbage', 'wire=html', 'status=500', 'status=401', 'status=429',
      'wire=big_header', 'wire=stall', 'latency=5000'];
    const hello = ['wire=truncated_chunk', 'wire=bad_chunk', 'wire=no_done', 'wire=error_event']; // streams that begin with a role
    scripts.push(...hello);
    const models = { spare: target(spare, { model_name: 'spare-model' }) };
    for (const s of scripts) {
      models[`m-${s}`] = target(mock, { model_name: `mock:${s}`, fallbacks: ['spare'], timeouts: { first_byte: '200ms' } });
    }
    models.refused = target(`http://127.0.0.1:${await closedPort()}/v1`, { fallbacks: ['spare'] });
    const gateway = await Gateway.start({ config: { retry: { budget_percent: 1000 }, breaker: NO_BREAKER, models } });
    const tooLarge = 'm-wire=big_header'; // not retryable: the answer would be the same
    for (const model of Object.keys(models)) {
      for (const stream of [false, true]) {
        if (hello.includes(model.slice(2)) && !stream) continue;
        const res = await chat(gateway.port, model, { stream });
        if (model === tooLarge) {
          assert.equal(res.status, 502);
          continue;
        }
        assert.equal(res.status, 200, `${model}: ${res.text}`);
        assert.equal(stream ? readChatStream(res).text : res.json.choices[0].message.content, 'from spare');
        assert.equal(res.headers['x-tollgate-target'], 'spare');
        assert.equal(spare.requests.at(-1).json.model, 'spare-model', 'each target gets its own name of the model');
      }
    }
    assert.ok((await scrape(gateway.port)).get('llm_gateway_retries_total', { kind: 'next_target' }) >= 18);
    await gateway.stop();
    await mock.stop();
    await spare.stop();
  });

  it('after the first byte no other target is asked', async () => {
    const spare = await Upstream.start((req, res) => sendStream(res, ['spare']));
    const mock = await Mock.start();
    const gateway = await Gateway.start({ config: { models: { spare: target(spare),
      m: target(mock, { model_name: 'mock:wire=reset,after=2,delay=2', fallbacks: ['spare'] }) } } });
    const stream = readChatStream(await chat(gateway.port, 'm', { stream: true }));
    assert.equal(stream.text, 'Lorem ipsum ');
    assert.equal(stream.errors[0].code, 'upstream_incomplete');
    assert.equal(spare.requests.length, 0);
    await gateway.stop();
    await mock.stop();
    await spare.stop();
  });

  it('an error as the first event of a stream is an HTTP error, or the next target', async () => {
    const upstream = await Upstream.start((req, res) => {
      beginEvents(res);
      sendEvent(res, { error: { message: 'out of capacity', type: 'server_error', code: 'capacity' } });
      res.end();
    });
    const spare = await Upstream.start((req, res) => sendStream(res, ['spare']));
    const gateway = await Gateway.start({ config: { breaker: NO_BREAKER, models: { alone: target(upstream),
      m: target(upstream, { fallbacks: ['spare'] }), spare: target(spare) } } });
    const alone = await chat(gateway.port, 'alone', { stream: true });
    assert.ok(alone.status >= 500, alone.text);
    assert.match(alone.error.message, /out of capacity/);
    assert.equal(readChatStream(await chat(gateway.port, 'm', { stream: true })).text, 'spare');
    await gateway.stop();
    await upstream.stop();
    await spare.stop();
  });

  it('the retry budget bounds extra attempts', async () => {
    const upstream = await Upstream.start((req, res) => sendJson(res, { error: { message: 'no' } }, 500));
    const gateway = await Gateway.start({ config: { retry: { max_attempts: 3, base_delay: 0, budget_percent: 20 },
      breaker: NO_BREAKER, models: { m: target(upstream) } } });
    for (let i = 0; i < 100; i++) assert.equal((await chat(gateway.port, 'm')).status, 500);
    const extra = upstream.requests.length - 100;
    assert.ok(extra >= 10 && extra <= 30, `${extra} extra attempts for 100 requests`);
    await gateway.stop();
    await upstream.stop();
  });
});

describe('circuit breaker', () => {
  it('opens after failures in a row, answers 503 at once, and closes after good probes', async () => {
    let healthy = false;
    const upstream = await Upstream.start((req, res) => (healthy ? sendJson(res, completion('m', 'back'))
      : sendJson(res, { error: { message: 'broken' } }, 500)));
    const gateway = await Gateway.start({ config: { retry: { max_attempts: 1 },
      breaker: { consecutive_failures: 3, probe_after: '400ms', close_successes: 2 }, models: { m: target(upstream) } } });
    const { port } = gateway;
    const circuit = async () => (await scrape(port)).get('llm_gateway_circuit_state', { target: 'm' });
    for (let i = 0; i < 3; i++) assert.equal((await chat(port, 'm')).status, 500);
    const calls = upstream.requests.length;
    for (let i = 0; i < 5; i++) {
      const res = await chat(port, 'm');
      assert.deepEqual([res.status, res.error.code], [503, 'no_healthy_upstream']);
      assert.match(res.headers['retry-after'], /^[1-9]\d*$/);
    }
    assert.equal(upstream.requests.length, calls, 'the provider is left alone');
    assert.equal(await circuit(), 1);
    assert.equal((await request(port, { path: '/v1/health' })).json.providers.find((p) => p.name === 'm').circuit, 'open');
    healthy = true;
    await until(async () => (await chat(port, 'm')).status === 200, { ms: 3000, every: 50, what: 'a probe' });
    for (let i = 0; i < 3; i++) assert.equal((await chat(port, 'm')).status, 200);
    assert.equal(await circuit(), 0);
    await gateway.stop();
    await upstream.stop();
  });

  it('an open target is passed over for its fallback', async () => {
    const broken = await Upstream.start((req, res) => sendJson(res, { error: { message: 'broken' } }, 500));
    const spare = await Upstream.start((req, res) => sendJson(res, completion('m', 'spare')));
    const gateway = await Gateway.start({ config: { breaker: { consecutive_failures: 2, probe_after: '60s' },
      models: { m: target(broken, { fallbacks: ['spare'] }), spare: target(spare) } } });
    for (let i = 0; i < 6; i++) assert.equal((await chat(gateway.port, 'm')).status, 200);
    assert.equal(broken.requests.length, 2);
    assert.equal(spare.requests.length, 6);
    await gateway.stop();
    await broken.stop();
    await spare.stop();
  });
});

describe('slow and leaving clients', () => {
  const event = chunk({ content: 'x'.repeat(1000) });

  it('a client that does not read holds bounded memory, and its provider waits', async () => {
    let written = 0;
    const upstream = await Upstream.start(async (req, res) => {
      beginEvents(res);
      const bytes = `data: ${JSON.stringify(event)}\n\n`;
      while (!res.destroyed && written < 256e6) {
        written += bytes.length;
        if (!res.write(bytes)) await drained(res);
      }
      res.end();
    });
    const gateway = await Gateway.start({ config: { server: { client_stall: '60s' }, models: { m: target(upstream) } } });
    await chat(gateway.port, 'nothing'); // warm
    const before = gateway.rssBytes();
    const clients = [];
    for (let i = 0; i < 8; i++) {
      const raw = await RawSocket.open(gateway.port);
      raw.socket.pause();
      const body = JSON.stringify(chatBody('m', { stream: true }));
      raw.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      clients.push(raw);
    }
    await until(() => upstream.requests.length === 8, { what: 'the requests' });
    let last = -1;
    await until(() => { // the provider's writes come to a stop
      const still = written === last && written > 0;
      last = written;
      return still;
    }, { ms: 15000, every: 500, what: () => `the provider to be held back: ${written} bytes` });
    const grown = gateway.rssBytes() - before;
    assert.ok(grown < 8 * 1.5e6 || SANITIZED, `${grown} bytes for 8 streams`);
    assert.equal((await request(gateway.port, { path: '/health' })).status, 200);
    for (const raw of clients) raw.destroy();
    await until(() => upstream.sockets.size === 0, { what: 'the cancel of all' });
    await gateway.stop();
    await upstream.stop();
  });

  it('a client that stopped reading is cut', async () => {
    const upstream = await Upstream.start(async (req, res) => {
      beginEvents(res);
      while (!res.destroyed) {
        if (!res.write(`data: ${JSON.stringify(event)}\n\n`)) await drained(res);
      }
    });
    const gateway = await Gateway.start({ config: { server: { client_stall: '300ms' }, models: { m: target(upstream) } } });
    const raw = await RawSocket.open(gateway.port);
    raw.socket.pause();
    const body = JSON.stringify(chatBody('m', { stream: true }));
    raw.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await until(() => upstream.requests.length === 1, { what: 'the request' });
    await until(() => upstream.sockets.size === 0, { ms: 10000, what: 'the cut' });
    await until(async () => (await scrape(gateway.port)).get('llm_gateway_client_stalls_total') === 1, { what: 'its count' });
    raw.destroy();
    await gateway.stop();
    await upstream.stop();
  });

  it('a slow reader gets every byte in order', async () => {
    const n = 3000;
    const upstream = await Upstream.start((req, res) => sendStream(res, Array.from({ length: n }, (_, i) => `${i},${'y'.repeat(500)};`)));
    const gateway = await Gateway.start({ config: { models: { m: target(upstream) } } });
    const stream = await LiveStream.open(gateway.port, { json: chatBody('m', { stream: true }) });
    let text = '';
    let events = 0;
    for (let e = await stream.next(); e !== '[DONE]'; e = await stream.next()) {
      text += JSON.parse(e).choices[0].delta.content ?? '';
      if (++events % 500 === 0) {
        stream.res.pause();
        await new Promise((resolve) => setTimeout(resolve, 50));
        stream.res.resume();
      }
    }
    assert.deepEqual(text.split(';').slice(0, -1).map((p) => p.split(',')[0]), Array.from({ length: n }, (_, i) => String(i)));
    await gateway.stop();
    await upstream.stop();
  });

  it('leaving at any moment cancels the provider and leaks nothing', async () => {
    const upstream = await Upstream.start(async (req, res) => {
      beginEvents(res);
      for (let i = 0; i < 10000 && !res.destroyed; i++) {
        sendEvent(res, chunk({ content: 'z' }));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    });
    const gateway = await Gateway.start({ config: { models: { m: target(upstream) } } });
    await request(gateway.port, { path: '/health' });
    const fds = gateway.fds();
    await Promise.all(Array.from({ length: 40 }, async (_, i) => {
      const raw = await RawSocket.open(gateway.port);
      const body = JSON.stringify(chatBody('m', { stream: true }));
      const text = `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      raw.write(text.slice(0, i % 4 ? undefined : 20 + i * 4));
      if (i % 4) await raw.wait((r) => r.received.length > i * 37, 10000);
      if (i % 2) raw.socket.resetAndDestroy();
      else raw.destroy();
    }));
    await until(() => upstream.sockets.size === 0, { what: 'the cancel of all' });
    await until(() => gateway.fds() <= fds, { what: () => `descriptors: ${fds} before, ${gateway.fds()} now` });
    const metrics = await scrape(gateway.port);
    assert.equal(metrics.get('llm_gateway_active_requests'), 0);
    assert.ok(metrics.get('llm_gateway_client_disconnects_total') >= 25);
    await gateway.stop();
    await upstream.stop();
  });
});

describe('answers of a raw provider', () => {
  const body = JSON.stringify(completion('m', 'raw'));
  const ok = (extra = '') => `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n${extra}\r\n${body}`;
  const cases = [
    ['a plain answer', ok(), 200],
    ['interim answers before it', `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${ok()}`, 200],
    ['a flood of interim answers', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(200) + ok(), 502, 'upstream_invalid_response'],
    ['a length delimited by close', `HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n${body}`, 200],
    ['Content-Length and chunked', ok('Transfer-Encoding: chunked\r\n'), 502, 'upstream_invalid_response'],
    ['two lengths that differ', ok('Content-Length: 5\r\n'), 502, 'upstream_invalid_response'],
    ['10,000 headers', ok('X-A: 1\r\n'.repeat(10000)), 502, 'upstream_too_large'],
    ['a body that nobody decoded', ok('Content-Encoding: gzip\r\n'), 502, 'upstream_invalid_response'],
    ['a redirect', 'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n', 502, 'upstream_invalid_response'],
    ['no content', 'HTTP/1.1 204 No Content\r\n\r\n', 502, 'upstream_invalid_response'],
    ['an empty body', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 502, 'upstream_invalid_response'],
    ['a web page with status 200', 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>', 502, 'upstream_invalid_response'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n', 502, 'upstream_invalid_response'],
    ['a header that folds', ok('X-A: 1\r\n 2\r\n'), 502, 'upstream_invalid_response'],
  ];
  for (const [what, bytes, status, code] of cases) {
    it(`${what} → ${status}`, async () => {
      const upstream = await RawUpstream.start((socket) => socket.end(bytes, 'latin1'));
      const gateway = await Gateway.start({ config: { retry: { max_attempts: 1 }, models: { m: target(upstream) } } });
      const res = await chat(gateway.port, 'm');
      assert.equal(res.status, status, res.text);
      if (code) assert.equal(res.error.code, code, res.text);
      else assert.equal(res.text, body);
      await gateway.stop();
      await upstream.stop();
    });
  }

  it('two answers to one request: the second is nobody’s', async () => {
    let n = 0;
    const upstream = await RawUpstream.start((socket) => {
      const text = JSON.stringify(completion('m', `answer ${++n}`));
      const one = `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
      const evil = JSON.stringify(completion('m', 'not asked for'));
      socket.write(`${one}HTTP/1.1 200 OK\r\nContent-Length: ${evil.length}\r\n\r\n${evil}`);
    });
    const gateway = await Gateway.start({ config: { models: { m: target(upstream) } } });
    for (let i = 1; i <= 5; i++) {
      const res = await chat(gateway.port, 'm');
      assert.equal(res.json.choices[0].message.content, `answer ${i}`);
    }
    await gateway.stop();
    await upstream.stop();
  });

  it('an event longer than the limit ends the stream with an error', async () => {
    const upstream = await Upstream.start((req, res) => {
      beginEvents(res);
      sendEvent(res, chunk({ content: 'short' }));
      sendEvent(res, chunk({ content: 'l'.repeat(200000) }));
      sendEvent(res, '[DONE]');
      res.end();
    });
    const gateway = await Gateway.start({ config: { models: { m: target(upstream, { max_event: '64KiB' }) } } });
    const stream = readChatStream(await chat(gateway.port, 'm', { stream: true }));
    assert.equal(stream.text, 'short');
    assert.equal(stream.errors[0].code, 'upstream_too_large');
    assert.equal(stream.doneCount, 0);
    await gateway.stop();
    await upstream.stop();
  });

  it('a million bytes of empty events do no harm', async () => {
    const upstream = await Upstream.start((req, res) => {
      beginEvents(res);
      res.write(': ping\n\n'.repeat(125000));
      sendEvent(res, chunk({ content: 'still here' }));
      sendEvent(res, chunk({}, { finish: 'stop' }));
      sendEvent(res, '[DONE]');
      res.end();
    });
    const gateway = await Gateway.start({ config: { models: { m: target(upstream) } } });
    const before = gateway.rssBytes();
    const stream = readChatStream(await chat(gateway.port, 'm', { stream: true }));
    assert.equal(stream.text, 'still here');
    assert.ok(stream.done);
    assert.ok(gateway.rssBytes() - before < 8 << 20);
    await gateway.stop();
    await upstream.stop();
  });
});
