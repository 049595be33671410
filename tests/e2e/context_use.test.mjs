// What Anthropic's clients read of a prompt's length before the answer, and of an answer's greatest length.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';
import { until } from './support/wait.mjs';
import { Upstream, beginEvents, chunk, sendEvent, sendJson } from './support/upstream.mjs';

const words = 'one two three four five six seven eight nine ten '.repeat(20);
const ask = (model) => ({ model, max_tokens: 50, system: 'Be brief.', messages: [{ role: 'user', content: words }] });

describe('tokens', () => {
  let upstream, anthropic, gateway, client;
  before(async () => {
    upstream = await Upstream.start((req, res, record) => {
      beginEvents(res);
      sendEvent(res, chunk({ role: 'assistant', content: 'Hello' }));
      sendEvent(res, chunk({}, { finish: 'stop' }));
      if (record.json.model === 'counts') {
        sendEvent(res, { ...chunk({}), choices: [], usage: { prompt_tokens: 207, completion_tokens: 3, total_tokens: 210,
          prompt_tokens_details: { cached_tokens: 64 } } });
      }
      sendEvent(res, '[DONE]');
      res.end();
    });
    anthropic = await Upstream.start((req, res) => sendJson(res, { id: 'msg_1', type: 'message', role: 'assistant', model: 'x',
      content: [{ type: 'text', text: 'Hi' }], stop_reason: 'end_turn', stop_sequence: null, usage: { input_tokens: 1, output_tokens: 2 } }));
    const openai = { backend_type: 'openai_compatible', base_url: upstream.url };
    const claude = { backend_type: 'anthropic', base_url: anthropic.url.replace('/v1', ''), api_key: 'k' };
    gateway = await Gateway.start({ config: { models: { counts: openai, mute: openai,
      'claude-opus-4-1': claude, other: claude, set: { ...claude, max_tokens: 12345 } } } });
    client = new Anthropic({ apiKey: 'x', baseURL: gateway.url, maxRetries: 0 });
  });
  after(async () => {
    await gateway.stop();
    await upstream.stop();
    await anthropic.stop();
  });

  async function run(model) {
    const stream = client.messages.stream(ask(model));
    let start;
    stream.on('streamEvent', (event) => { if (event.type === 'message_start') start = event.message.usage.input_tokens; });
    return { final: (await stream.finalMessage()).usage, start };
  }

  it('of the prompt are estimated when a stream begins, as they are counted, and exact at its end', async () => {
    const { input_tokens: counted } = await client.messages.countTokens({ model: 'counts', system: ask().system, messages: ask().messages });
    const { start, final } = await run('counts');
    assert.ok(counted > 100 && counted < 400, `${counted}`);
    assert.equal(start, counted);
    assert.deepEqual([final.input_tokens, final.cache_read_input_tokens, final.cache_creation_input_tokens, final.output_tokens], [143, 64, 0, 3]);
  });

  it('stay an estimate where the provider never says', async () => {
    const { start, final } = await run('mute');
    assert.ok(start > 100);
    assert.equal(final.input_tokens, start);
    assert.equal(final.output_tokens, 0);
  });

  it('of an answer are as many as are configured, or as the model can write, where the client says nothing', async () => {
    for (const [model, extra, want] of [['claude-opus-4-1', {}, 32000], ['other', {}, 4096], ['set', {}, 12345], ['set', { max_tokens: 7 }, 7]]) {
      const res = await request(gateway.port, { path: '/v1/chat/completions', json: { model, messages: [{ role: 'user', content: 'Hi' }], ...extra } });
      assert.equal(res.status, 200, res.text);
      assert.equal(anthropic.requests.at(-1).json.max_tokens, want, model);
    }
  });
});

describe('usage in a stream that passes through', () => {
  // As servers send it when usage was asked for: null in each chunk, then a chunk of its own. Odd spelling on purpose.
  const first = 'data: {"id":"c", "choices":[{"index":0,"delta":{"role":"assistant","content":"a \\"usage\\":null"}}], "usage":null}\r\n\r\n';
  const last = 'data:{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n';
  const usage = 'data: {"id":"c","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}\n\n';
  const done = 'data: [DONE]\n\n';
  const all = first + ': a comment\n\n' + last + usage + done;
  for (const size of [all.length, 7, 1]) {
    it(`is the client's when it asked, byte for byte, and hidden when it did not (${size} bytes at a time)`, async () => {
      const upstream = await Upstream.start(async (req, res) => {
        beginEvents(res);
        for (let i = 0; i < all.length; i += size) {
          res.write(all.slice(i, i + size));
          if (size === 7) await new Promise((resolve) => setImmediate(resolve));
        }
        res.end();
      });
      const gateway = await Gateway.start({ config: { models: { m: { backend_type: 'openai_compatible', base_url: upstream.url } } } });
      const body = { model: 'm', stream: true, messages: [{ role: 'user', content: 'Hi' }] };
      for (const [extra, want] of [[{ stream_options: { include_usage: true } }, all], [{}, all.replace(usage, '')],
        [{ stream_options: { include_usage: false } }, all.replace(usage, '')]]) {
        const res = await request(gateway.port, { path: '/v1/chat/completions', json: { ...body, ...extra } });
        assert.equal(res.text, want);
        assert.equal(upstream.requests.at(-1).json.stream_options.include_usage, true);
      }
      const told = () => gateway.logs().filter((l) => l.event === 'response_generated');
      const lines = await until(() => told().length === 3 && told(), { what: 'three lines of the log' });
      assert.deepEqual(lines.map((l) => l.token_usage.total_tokens), [8, 8, 8], 'counted whoever asked');
      await gateway.stop();
      await upstream.stop();
    });
  }
});
