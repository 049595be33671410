// The other endpoints: generate, simple chat, models, health, metrics; and what the log says.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { chat, chatBody, parseEvents, request } from './support/http.mjs';
import { parseMetrics, scrape } from './support/metrics.mjs';
import { Gateway, Mock } from './support/process.mjs';
import { Upstream, completion, sendJson, sendStream, target } from './support/upstream.mjs';
import { until } from './support/wait.mjs';

const USAGE = { prompt_tokens: 50, completion_tokens: 100, total_tokens: 150 };
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/;

describe('endpoints', () => {
  let upstream, gateway, port;

  before(async () => {
    upstream = await Upstream.start((req, res, r) => (r.json.stream
      ? sendStream(res, ['Hello ', '"wörld"\n', '🌍'], { model: 'provider-model', usage: USAGE })
      : sendJson(res, completion('provider-model', 'Hello "wörld"\n🌍', { usage: USAGE }))));
    gateway = await Gateway.start({ env: { OPENAI_API_KEY: '' }, config: { default_model: 'gpt-4',
      models: { 'gpt-4': target(upstream, { model_name: 'provider-model', display_name: 'GPT 4', tier: 'large', context_length: 8192,
        max_tokens: 4096, aliases: ['four'], prices: { input: '2.50', output: 10 } }),
      small: target(upstream, { tier: 'small' }),
      keyless: { backend_type: 'openai_compatible', base_url: '${NOT_SET_URL}' } } } });
    port = gateway.port;
  });
  after(async () => {
    await gateway.stop();
    await upstream.stop();
  });

  const post = (path, json, headers) => request(port, { path, json, headers });

  describe('POST /v1/generate', () => {
    it('answers the union of both shapes', async () => {
      const res = await post('/v1/generate', { prompt: 'Say hello. ', model: 'gpt-4', max_tokens: 100, temperature: 0.5, top_p: 0.9,
        stop: ['END'], user_id: 'u1', metadata: { team: 'x' } }, { 'x-request-id': 'gen.1' });
      assert.equal(res.status, 200, res.text);
      const { latency_ms: latency, ...rest } = res.json;
      assert.deepEqual(rest, { completion: 'Hello "wörld"\n🌍', generated_text: 'Say hello. Hello "wörld"\n🌍', prompt: 'Say hello. ',
        model: 'gpt-4', prompt_tokens: 50, completion_tokens: 100, total_tokens: 150, cost_usd: rest.cost_usd, request_id: 'gen.1',
        cached: false, finish_reason: 'stop', provider: 'openai_compatible' });
      assert.ok('cost_usd' in rest);
      assert.ok(latency > 0 && latency < 5000);
      const sent = upstream.requests.at(-1).json;
      assert.deepEqual(sent.messages, [{ role: 'user', content: 'Say hello. ' }]);
      assert.deepEqual([sent.model, sent.temperature, sent.top_p, sent.stop], ['provider-model', 0.5, 0.9, ['END']]);
      assert.equal(sent.max_tokens ?? sent.max_completion_tokens, 100);
      assert.equal(sent.prompt, undefined);
    });

    it('max_length is max_tokens', async () => {
      assert.equal((await post('/v1/generate', { prompt: 'x', max_length: 17 })).status, 200);
      const sent = upstream.requests.at(-1).json;
      assert.equal(sent.max_tokens ?? sent.max_completion_tokens, 17);
      assert.equal(sent.max_length, undefined);
    });

    it('streams text events, the result, [DONE]', async () => {
      const res = await post('/v1/generate', { prompt: 'Hi', stream: true });
      assert.equal(res.headers['content-type'], 'text/event-stream');
      const events = parseEvents(res.text);
      assert.equal(events.at(-1), '[DONE]');
      const parsed = events.slice(0, -1).map((e) => JSON.parse(e));
      const last = parsed.pop();
      for (const e of parsed) assert.deepEqual(Object.keys(e), ['text']);
      assert.equal(parsed.map((e) => e.text).join(''), 'Hello "wörld"\n🌍');
      assert.deepEqual(Object.keys(last).sort(), ['cached', 'completion', 'completion_tokens', 'cost_usd', 'finish_reason', 'latency_ms',
        'model', 'prompt', 'prompt_tokens', 'provider', 'request_id', 'total_tokens']);
      assert.equal(last.completion, 'Hello "wörld"\n🌍');
      assert.equal(last.total_tokens, 150);
      assert.deepEqual(upstream.requests.at(-1).json.stream_options, { include_usage: true });
    });

    it('fills templates', async () => {
      const res = await post('/v1/generate', { template: 'Dear {{name}}, {{ text }}!', variables: { name: 'Ada "L"', text: 'né\n{{x}}' } });
      assert.equal(res.status, 200, res.text);
      assert.equal(upstream.requests.at(-1).json.messages[0].content, 'Dear Ada "L", né\n{{x}}!', 'values are not templates');
      assert.equal(res.json.prompt, 'Dear Ada "L", né\n{{x}}!');
      const missing = await post('/v1/generate', { template: '{{name}} {{nope}}', variables: { name: 'x' } });
      assert.equal(missing.status, 400);
      assert.match(missing.error.message, /nope/);
    });
  });

  describe('POST /api/chat', () => {
    it('answers {"message": "Hello"}', async () => {
      const res = await post('/api/chat', { message: 'Hello' });
      assert.equal(res.status, 200, res.text);
      const { request_id: id, ...rest } = res.json;
      assert.deepEqual(rest, { reply: 'Hello "wörld"\n🌍', model: 'gpt-4', provider: 'openai_compatible', usage: USAGE });
      assert.equal(res.headers['x-request-id'], id);
      assert.deepEqual(upstream.requests.at(-1).json.messages, [{ role: 'user', content: 'Hello' }]);
    });

    it('takes a system text and a model', async () => {
      const res = await post('/api/chat', { message: 'Hello', system: 'Be brief.', model: 'large' });
      assert.equal(res.status, 200, res.text);
      assert.deepEqual(upstream.requests.at(-1).json.messages, [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Hello' }]);
    });

    it("with messages it is Ollama's chat: lines, or one object", async () => {
      const body = { model: 'gpt-4', messages: [{ role: 'user', content: 'x' }] };
      const whole = await post('/api/chat', { ...body, stream: false });
      assert.equal(whole.status, 200);
      assert.equal(whole.json.message.role, 'assistant');
      assert.ok(whole.json.message.content);
      assert.equal(whole.json.done, true);
      const lines = (await post('/api/chat', body)).text.trim().split('\n').map((line) => JSON.parse(line));
      assert.equal(lines.map((line) => line.message.content).join(''), whole.json.message.content);
      assert.deepEqual(lines.map((line) => line.done), lines.map((_, i) => i === lines.length - 1));
    });
  });

  describe('GET /v1/models', () => {
    it('lists them in order, with everything a chooser wants', async () => {
      const { object, data, ...page } = (await request(port, { path: '/v1/models' })).json;
      assert.equal(object, 'list');
      assert.deepEqual(data.map((m) => m.id).slice(0, 3), ['gpt-4', 'small', 'keyless']);
      assert.deepEqual(page, { has_more: false, first_id: 'gpt-4', last_id: data.at(-1).id });
      const { created, created_at: at, ...four } = data[0];
      assert.equal(Math.floor(Date.parse(at) / 1000), created);
      assert.ok(Math.abs(created - Date.now() / 1000) < 600);
      assert.deepEqual(four, { id: 'gpt-4', object: 'model', type: 'model', owned_by: 'openai_compatible', display_name: 'GPT 4', tier: 'large',
        backend_type: 'openai_compatible', backend_model: 'provider-model', context_length: 8192, max_tokens: 4096,
        pricing: { input_usd_per_million_tokens: 2.5, output_usd_per_million_tokens: 10 }, aliases: ['four'], default: true, available: true });
      assert.equal(data[2].available, false);
      assert.match(data[2].unavailable_reason, /NOT_SET_URL/);
    });

    it('describes one; an unknown one gets a suggestion', async () => {
      assert.equal((await request(port, { path: '/v1/models/gpt-4' })).json.id, 'gpt-4');
      assert.equal((await request(port, { path: '/v1/models/gpt%2D4' })).json.id, 'gpt-4');
      const res = await request(port, { path: '/v1/models/gtp-4' });
      assert.deepEqual([res.status, res.error.code], [404, 'model_not_found']);
      assert.match(res.error.message, /gpt-4/);
    });

    it('an unavailable model → 503 with its reason', async () => {
      const res = await chat(port, 'keyless');
      assert.equal(res.status, 503);
      assert.match(res.error.message, /NOT_SET_URL/);
    });

    it('a tier is a model name', async () => {
      assert.equal((await chat(port, 'small')).status, 200);
      assert.equal(upstream.requests.at(-1).json.model, 'small');
      assert.equal((await chat(port, 'large')).status, 200);
      assert.equal(upstream.requests.at(-1).json.model, 'provider-model');
    });
  });

  describe('health', () => {
    it('GET /health says only that it lives', async () => {
      const res = await request(port, { path: '/health' });
      assert.deepEqual(Object.keys(res.json), ['status', 'version']);
      assert.equal(res.json.status, 'ok');
    });

    it('GET /v1/health says how everything is', async () => {
      const res = await request(port, { path: '/v1/health' });
      assert.equal(res.status, 200);
      const h = res.json;
      assert.equal(h.status, 'healthy');
      assert.equal(h.workers, 1);
      assert.equal(h.default_model, 'gpt-4');
      assert.equal(h.stores.redis.status, 'not_configured');
      const four = h.providers.find((p) => p.name === 'gpt-4');
      assert.deepEqual([four.available, four.circuit, four.in_flight], [true, 'closed', 0]);
      const { reason } = h.providers.find((p) => p.name === 'keyless');
      assert.match(reason, /NOT_SET_URL/);
      assert.ok(h.uptime_seconds >= 0 && h.uptime_seconds < 600);
    });

    it('503 when no model could answer', async () => {
      const other = await Gateway.start({ config: { engine: { builtin: false }, models: { m: { backend_type: 'openai_compatible', base_url: '${NOT_SET_URL}' } } } });
      const res = await request(other.port, { path: '/v1/health' });
      assert.deepEqual([res.status, res.json.status], [503, 'unhealthy']);
      assert.equal((await request(other.port, { path: '/health' })).status, 200);
      await other.stop();
    });
  });

  describe('metrics', () => {
    it('keep the names of old, and are what a scraper understands', async () => {
      const res = await request(port, { path: '/metrics' });
      assert.match(res.headers['content-type'], /^text\/plain; version=0\.0\.4/);
      const metrics = parseMetrics(res.text);
      for (const [name, type] of [['llm_gateway_requests_total', 'counter'], ['llm_gateway_request_duration_seconds', 'histogram'],
        ['llm_gateway_tokens_generated_total', 'counter'], ['llm_gateway_generation_duration_seconds', 'histogram'],
        ['llm_gateway_active_requests', 'gauge'], ['llm_gateway_model_info', 'gauge']]) {
        assert.equal(metrics.families.get(name)?.TYPE, type, name);
        assert.ok(metrics.families.get(name).HELP, name);
      }
      assert.equal(metrics.get('llm_gateway_model_info', { model: 'gpt-4' }), 1);
      assert.equal((await request(port, { path: '/v1/metrics' })).status, 200);
    });

    it('count requests, tokens and time', async () => {
      const before = await scrape(port);
      for (let i = 0; i < 3; i++) await chat(port, 'gpt-4', { stream: i === 1 });
      await chat(port, 'nope');
      const now = await scrape(port);
      const grown = (name, labels) => now.get(name, labels) - before.get(name, labels);
      assert.equal(grown('llm_gateway_requests_total', { status: '200', endpoint: '/v1/chat/completions', model: 'gpt-4' }), 3);
      assert.equal(grown('llm_gateway_requests_total', { status: '404', model: 'unknown' }), 1);
      assert.equal(grown('llm_gateway_tokens_generated_total', { model: 'gpt-4' }), 300);
      assert.equal(grown('llm_gateway_tokens_total', { model: 'gpt-4', kind: 'input' }), 150);
      assert.equal(grown('llm_gateway_request_duration_seconds_count', { endpoint: '/v1/chat/completions' }), 4);
      assert.equal(grown('llm_gateway_request_duration_seconds_bucket', { endpoint: '/v1/chat/completions', le: '+Inf' }), 4);
      assert.ok(grown('llm_gateway_time_to_first_token_seconds_count', { model: 'gpt-4' }) >= 1);
      assert.equal(now.get('llm_gateway_active_requests'), 0);
    });

    it('histograms add up', async () => {
      const metrics = parseMetrics((await request(port, { path: '/metrics' })).text);
      for (const family of metrics.families.values()) {
        if (family.TYPE !== 'histogram') continue;
        const series = new Map();
        for (const s of family.samples.filter((x) => x.name.endsWith('_bucket'))) {
          const { le, ...labels } = s.labels;
          const key = JSON.stringify(labels);
          series.set(key, [...(series.get(key) ?? []), [Number(le.replace('+Inf', 'Infinity')), s.value]]);
        }
        for (const [key, buckets] of series) {
          const labels = JSON.parse(key);
          assert.ok(buckets.every((b, i) => !i || (b[0] > buckets[i - 1][0] && b[1] >= buckets[i - 1][1])), family.name);
          assert.equal(buckets.at(-1)[1], metrics.get(`${family.name}_count`, labels));
          assert.ok(metrics.get(`${family.name}_sum`, labels) >= 0);
        }
      }
    });

    it('names of evil models cannot break the text', async () => {
      for (const name of ['a"b', 'a\\b', 'a\nb', '{x="y"} 1\nfoo 2']) await chat(port, name);
      await scrape(port);
    });

    it('can be switched off', async () => {
      const other = await Gateway.start({ env: { METRICS_ENABLED: 'false' } });
      for (const path of ['/metrics', '/v1/metrics']) {
        const res = await request(other.port, { path });
        assert.deepEqual([res.status, res.error.code], [404, 'not_found']);
      }
      await other.stop();
    });
  });

  describe('the log', () => {
    it('has one line for a request in, one for its end, with the fields of old', async () => {
      const from = gateway.logs().length;
      await post('/v1/chat/completions', chatBody('four', { stream: true, user: 'u7', metadata: { a: [1, { b: 'c' }] } }), { 'x-request-id': 'log.1' });
      const end = await gateway.log((l) => l.event === 'response_generated' && l.request_id === 'log.1');
      const received = gateway.logs().slice(from).find((l) => l.event === 'request_received');
      assert.deepEqual([received.request_id, received.level, received.model, received.endpoint, received.stream, received.client],
        ['log.1', 'INFO', 'four', '/v1/chat/completions', true, '127.0.0.1']);
      assert.match(received.timestamp, ISO);
      for (const key of ['timestamp', 'start', 'end']) assert.match(end[key], ISO, key);
      assert.ok(end.start <= end.end);
      assert.deepEqual([end.model, end.backend_model, end.target, end.status, end.stream, end.attempts, end.finish_reason, end.user],
        ['four', 'provider-model', 'gpt-4', 200, true, 1, 'stop', 'u7']);
      assert.deepEqual(end.metadata, { a: [1, { b: 'c' }] });
      assert.deepEqual([end.token_usage.prompt_tokens, end.token_usage.completion_tokens, end.token_usage.source], [50, 100, 'reported']);
      assert.ok(end.latency_ms >= end.ttft_ms && end.ttft_ms > 0);
      assert.ok(end.response_bytes > 100);
    });

    it('says why a request failed', async () => {
      await post('/v1/chat/completions', chatBody('gpt-4', { temperature: 5 }), { 'x-request-id': 'log.2' });
      const line = await gateway.log((l) => l.event === 'request_failed' && l.request_id === 'log.2');
      assert.deepEqual([line.level, line.status, line.error_code, line.param], ['WARNING', 400, 'invalid_value', 'temperature']);
      assert.match(line.error, /temperature/);
      await request(port, { path: '/health', headers: { 'bad header': 'x' } }).catch(() => {}); // Node refuses to send it
    });

    it('cannot be forged', async () => {
      const forged = '{"timestamp":"2000-01-01T00:00:00.000000Z","level":"ERROR","event":"forged"}';
      const body = `{"model":"gpt-4","user":"u\\n${forged.replaceAll('"', '\\"')}","metadata":{"x":\n${forged}\r\n},"messages":[{"role":"user","content":"hi"}]}`;
      await request(port, { path: '/v1/chat/completions', body, headers: { 'x-request-id': 'log.3' } });
      await chat(port, `nope\n${forged}`, {}, { headers: { 'x-request-id': 'log.4' } });
      const line = await gateway.log((l) => l.request_id === 'log.3' && l.event === 'response_generated');
      assert.equal(line.metadata.x.event, 'forged', 'within its line');
      await gateway.log((l) => l.request_id === 'log.4' && l.event === 'request_failed');
      assert.ok(gateway.logs().every((l) => l.event !== 'forged'));
    });

    it('keeps a request with huge metadata', async () => {
      await post('/v1/chat/completions', chatBody('gpt-4', { metadata: { big: 'x'.repeat(100000) } }), { 'x-request-id': 'log.5' });
      const line = await gateway.log((l) => l.request_id === 'log.5' && l.event === 'response_generated');
      assert.ok(line.metadata_bytes > 100000);
    });

    it('is silent when switched off, and quiet at WARNING', async () => {
      for (const [level, lines] of [['OFF', 0], ['WARNING', 1]]) {
        const other = await Gateway.start({ env: { LOG_LEVEL: level }, config: { models: { m: target(upstream) } } });
        await chat(other.port, 'm');
        await chat(other.port, 'nope');
        await other.stop();
        assert.equal(other.child.stderr.split('\n').filter(Boolean).length, lines, other.child.stderr);
      }
    });
  });
});

describe('secrets', () => {
  it('show nowhere: log at DEBUG, answers, metrics, health, first screen, check of the configuration', async () => {
    const canaries = { provider: 'sk-canary-provider-0123456789', client: 'tg-canary-client-0123456789', header: 'canary-header-0123456789',
      prompt: 'canary prompt 0123456789', proxy: 'canary-proxy-password', cookie: 'canary-cookie-0123456789' };
    const upstream = await Upstream.start((req, res, r) => {
      assert.equal(req.headers.authorization, `Bearer ${canaries.provider}`);
      assert.equal(req.headers['x-extra'], canaries.header);
      if (r.json.model === 'leaky') {
        return sendJson(res, { error: { message: `Incorrect API key provided: ${canaries.provider}.`, type: 'invalid_request_error',
          code: 'invalid_api_key' } }, Number(r.json.user));
      }
      if (r.json.model === 'leaky-stream') {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write('data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n');
        return res.end(`data: {"error":{"message":"bad key ${canaries.provider}","code":"x"}}\n\n`);
      }
      return r.json.stream ? sendStream(res, ['ok'], { usage: USAGE }) : sendJson(res, completion('m', 'ok'));
    });
    const mock = await Mock.start();
    const model = (extra) => target(upstream, { api_key: '${PROVIDER_KEY}', headers: { 'x-extra': canaries.header }, ...extra });
    const gateway = await Gateway.start({ args: ['--log-level', 'debug'], env: { PROVIDER_KEY: canaries.provider },
      config: { retry: { max_attempts: 2, base_delay: '1ms' }, models: { m: model(), leaky: model(), 'leaky-stream': model(),
        proxied: target('http://127.0.0.1:9/v1', { proxy: `http://user:${canaries.proxy}@127.0.0.1:9` }),
        'mock:*': target(mock, { api_key: '${PROVIDER_KEY}' }) } } });
    const headers = { authorization: `Bearer ${canaries.client}`, 'x-api-key': canaries.client, cookie: `s=${canaries.cookie}` };
    const texts = [];
    const keep = async (promise) => texts.push(await promise.then((r) => `${JSON.stringify(r.headers)}${r.text}`));
    const messages = [{ role: 'user', content: canaries.prompt }];
    for (const stream of [false, true]) {
      await keep(chat(gateway.port, 'm', { messages, stream }, { headers }));
      for (const status of ['400', '401', '404', '429', '500']) await keep(chat(gateway.port, 'leaky', { messages, stream, user: status }, { headers }));
      for (const script of ['status=401', 'status=500', 'wire=garbage', 'wire=html', 'wire=reset,after=1']) {
        await keep(chat(gateway.port, `mock:${script}`, { messages, stream }, { headers }));
      }
      await keep(chat(gateway.port, 'proxied', { messages, stream }, { headers }));
    }
    await keep(chat(gateway.port, 'leaky-stream', { messages, stream: true }, { headers }));
    await keep(chat(gateway.port, 'nope', { messages, temperature: 9 }, { headers }));
    await keep(request(gateway.port, { path: '/v1/chat/completions', body: `{"messages": [${canaries.prompt}`, headers }));
    for (const path of ['/v1/models', '/v1/health', '/metrics', '/health', '/nowhere']) await keep(request(gateway.port, { path, headers }));
    await gateway.reload();
    await gateway.stop();
    texts.push(gateway.child.stderr, gateway.child.stdout);
    const all = texts.join('\n');
    for (const [what, canary] of Object.entries(canaries)) assert.ok(!all.includes(canary), `${what}: ${all.slice(Math.max(0, all.indexOf(canary) - 300), all.indexOf(canary) + 60)}`);
    await upstream.stop();
    await mock.stop();
  });
});

describe('several workers', () => {
  it('add up in /metrics and share the work', async () => {
    const upstream = await Upstream.start((req, res) => sendJson(res, completion('m', 'ok')));
    const gateway = await Gateway.start({ workers: 3, config: { models: { m: target(upstream) } } });
    await Promise.all(Array.from({ length: 60 }, () => chat(gateway.port, 'm')));
    await until(async () => (await scrape(gateway.port)).get('llm_gateway_requests_total', { status: '200', model: 'm' }) === 60);
    assert.equal((await request(gateway.port, { path: '/v1/health' })).json.workers, 3);
    await gateway.stop();
    await upstream.stop();
  });
});
