// Every recorded exchange of OpenAI's format, from many providers, through the gateway: what
// reaches the provider and what reaches the client, byte for byte, however the answer is cut.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import net from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { request } from './support/http.mjs';
import { Gateway, Replay, SHARED } from './support/process.mjs';

const APIS = { 'openai-chat': '/v1/chat/completions', 'openai-completions': '/v1/completions' };
// Where answers are cut, and how long a body may be for it (the slowest cuts cost milliseconds a byte).
const CUTS = { 'split=event': Infinity, 'split=odd': Infinity, 'split=random:7:64': Infinity, 'split=line': Infinity,
  'split=byte': 12000, 'tcp=9;split=whole': 4000, 'nolength=1': Infinity, 'chunked=1;split=odd': Infinity };
const skip = Replay.missing();

function loadCases() {
  const folder = path.join(SHARED, 'recordings');
  const read = (name, file) => JSON.parse(readFileSync(path.join(folder, name, file), 'utf8'));
  return readdirSync(folder, { withFileTypes: true }).filter((d) => d.isDirectory()).map(({ name }) => {
    const req = read(name, 'request.json');
    const res = read(name, 'response.json');
    return { name, api: req.api, request: req.body, stream: res.stream, status: res.status, type: res.headers['content-type'] ?? '',
      retryAfter: retryAfter(res.headers), body: readFileSync(path.join(folder, name, res.body_file)) };
  }).filter((c) => c.api in APIS);
}

/** In whole seconds; the finer header of OpenAI and Azure counts where both are given. */
function retryAfter(headers) {
  const ms = headers['retry-after-ms'];
  return ms === undefined ? headers['retry-after'] : String(Math.ceil(Number(ms) / 1000));
}

/** The blocks of an event stream, each with its line ends, and its data parsed. */
function blocks(bytes) {
  const text = bytes.toString('latin1');
  const all = [];
  const end = /(\r\n|\n|\r)(\r\n|\n|\r)/g;
  let at = 0;
  for (let m = end.exec(text); m; m = end.exec(text)) {
    const raw = text.slice(at, end.lastIndex);
    const data = raw.split(/\r\n|\n|\r/).filter((l) => l.startsWith('data:')).map((l) => l.slice(5).trimStart()).join('\n');
    at = end.lastIndex;
    let json;
    try { json = JSON.parse(Buffer.from(data, 'latin1').toString()); } catch { json = undefined; }
    all.push({ raw, data, json, isError: /^event: error/m.test(raw) || Boolean(json?.error) });
  }
  if (at < text.length) all.push({ raw: text.slice(at), data: '', tail: true });
  return all;
}

/** What a client of the gateway must get for a recorded stream. */
function expectedStream(c) {
  const asked = c.request.stream_options?.include_usage === true;
  let text = '';
  for (const b of blocks(c.body)) {
    if (b.isError) return { text, error: true };
    const usageOnly = b.json?.usage && Array.isArray(b.json.choices) && b.json.choices.length === 0;
    if (!(usageOnly && !asked)) text += b.raw;
    if (b.data === '[DONE]') break;
  }
  return { text, error: false };
}

function expectedStatus(status) {
  if ([401, 402, 403].includes(status)) return 502;
  if ([408, 504].includes(status)) return 504;
  return status;
}

function assertStream(c, res) {
  const { text, error } = expectedStream(c);
  if (error && !blocks(Buffer.from(text, 'latin1')).some((b) => b.json?.choices)) {
    assert.ok(res.status >= 400, 'an error before any content is an HTTP error');
    assert.ok(res.json.error.message);
    return;
  }
  assert.equal(res.status, 200, res.text.slice(0, 500));
  assert.match(res.headers['content-type'], /^text\/event-stream/);
  const got = res.bytes.toString('latin1');
  if (!error) {
    assert.equal(got, text);
    return;
  }
  assert.ok(got.startsWith(text), 'what came before the error');
  const rest = blocks(Buffer.from(got.slice(text.length), 'latin1'));
  assert.equal(rest.length, 1, got.slice(text.length));
  assert.ok(rest[0].json.error.message);
  assert.ok(!got.includes('[DONE]'));
}

function assertSingle(c, res) {
  if (c.status < 300) {
    assert.equal(res.status, 200, res.text);
    assert.ok(res.bytes.equals(c.body), `${res.bytes.length} bytes of ${c.body.length}`);
    return;
  }
  assert.equal(res.status, expectedStatus(c.status), res.text);
  let theirs;
  try { theirs = JSON.parse(c.body); } catch { theirs = null; }
  const own = typeof theirs?.error?.message === 'string' && ![401, 402, 403].includes(c.status);
  if (own) {
    assert.ok(res.bytes.equals(c.body), `the provider's own error: ${res.text} for ${c.body}`);
  } else {
    assert.deepEqual(Object.keys(res.error).sort(), ['code', 'message', 'param', 'request_id', 'type']);
    assert.ok(!/<html|sk-/i.test(res.text));
  }
  if (c.retryAfter && /^\d+$/.test(c.retryAfter) && res.status === c.status) assert.equal(res.headers['retry-after'], c.retryAfter);
}

/** Copies bytes between the gateway and the provider, and keeps those that go up. */
class Tap {
  static async start(port) {
    const tap = new Tap();
    tap.up = new Map(); // connection → bytes
    let n = 0;
    tap.server = net.createServer({ noDelay: true }, (client) => {
      const key = n++;
      tap.up.set(key, Buffer.alloc(0));
      const server = net.connect({ port, host: '127.0.0.1', noDelay: true });
      client.on('data', (d) => { tap.up.set(key, Buffer.concat([tap.up.get(key), d])); server.write(d); });
      server.on('data', (d) => client.write(d));
      client.on('close', () => server.destroy());
      server.on('close', () => client.destroy());
      client.on('error', () => {});
      server.on('error', () => {});
    });
    tap.server.unref();
    tap.server.listen(0, '127.0.0.1');
    await once(tap.server, 'listening');
    tap.port = tap.server.address().port;
    return tap;
  }

  /** The body of the only request since the last take(). */
  take() {
    const all = [...this.up.values()].filter((b) => b.length);
    for (const key of this.up.keys()) this.up.set(key, Buffer.alloc(0));
    assert.equal(all.length, 1, `${all.length} requests`);
    const end = all[0].indexOf('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(all[0].toString('latin1', 0, end))[1]);
    assert.equal(all[0].length, end + 4 + length, 'one request and nothing behind it');
    return all[0].subarray(end + 4).toString();
  }
}

/** The text a client sends: one time compact, one time with blanks everywhere. */
function clientText(c, pretty) {
  return JSON.stringify({ ...c.request, model: c.name }, null, pretty ? 2 : 0);
}

describe('recorded exchanges', { skip: skip ?? false }, () => {
  let replay, tap;
  const cases = skip ? [] : loadCases();
  const score = { cases: new Set(), failed: new Set(), exchanges: 0, upstream: 0 };

  before(async () => {
    replay = await Replay.start();
    tap = await Tap.start(replay.port);
  });

  /** A gateway with one model for each case, whose key tells the replay server what to play. */
  function startGateway(url, options = '') {
    const models = Object.fromEntries(cases.map((c) => [c.name, { backend_type: 'openai_compatible', base_url: `${url}/v1`,
      model_name: c.request.model, api_key: `case:${c.name}${options}` }]));
    return Gateway.start({ config: { observability: { log_level: 'WARNING' }, retry: { max_attempts: 1 },
      breaker: { consecutive_failures: 10000, min_requests: 1000000 }, engine: { builtin: false }, models } });
  }

  after(async () => {
    const whole = score.cases.size - score.failed.size;
    console.log(`recordings: ${whole} of ${cases.length} cases byte for byte in ${score.exchanges} exchanges, ${score.upstream} request bodies compared`);
    tap.server.close();
    await replay.stop();
  });

  const send = (gateway, c, pretty) => request(gateway.port, { path: APIS[c.api], body: clientText(c, pretty), ms: 30000,
    headers: { 'content-type': 'application/json' } });

  it('there are as many as there should be', () => {
    assert.ok(cases.length >= 150, `${cases.length}`);
  });

  for (const [cut, limit] of Object.entries(CUTS)) {
    it(`answers cut by ${cut}`, async (t) => {
      const gateway = await startGateway(replay.url, `;${cut}`);
      const work = cases.filter((c) => c.body.length <= limit);
      const failures = [];
      const one = async () => {
        for (let c = work.pop(); c; c = work.pop()) {
          score.cases.add(c.name);
          score.exchanges++;
          try {
            const res = await send(gateway, c);
            if (c.stream) assertStream(c, res);
            else assertSingle(c, res);
          } catch (error) {
            score.failed.add(c.name);
            failures.push(`${c.name}: ${error.message}`);
          }
        }
      };
      await Promise.all(Array.from({ length: 6 }, one));
      t.diagnostic(`${score.exchanges} exchanges so far`);
      assert.ok(gateway.rssBytes() < 100 << 20, `${gateway.rssBytes()} bytes`);
      await gateway.stop();
      assert.deepEqual(failures, []);
    });
  }

  it('request bodies reach the provider as they are, but for the spliced spans', async () => {
    const gateway = await startGateway(`http://127.0.0.1:${tap.port}`);
    const failures = [];
    for (const c of cases) {
      for (const pretty of [false, true]) {
        await send(gateway, c, pretty);
        score.upstream++;
        let wanted = clientText(c, pretty).replace(JSON.stringify(c.name), JSON.stringify(c.request.model));
        let got = tap.take();
        if (c.request.stream && !c.request.stream_options) {
          // The new member stands first; blanks around it are nobody's.
          const option = /^\{\s*"stream_options":\{"include_usage":true\},\s*/;
          if (!option.test(got)) failures.push(`${c.name}: no usage was asked for: ${got}`);
          got = got.replace(option, '{');
          wanted = wanted.replace(/^\{\s*/, '{');
        } else if (c.request.stream && !c.request.stream_options.include_usage) {
          [got, wanted] = [got, wanted].map((text) => JSON.stringify({ ...JSON.parse(text), stream_options: null }));
        }
        if (got !== wanted) failures.push(`${c.name}:\n${got}\n${wanted}`);
      }
    }
    await gateway.stop();
    assert.deepEqual(failures, []);
  });
});
