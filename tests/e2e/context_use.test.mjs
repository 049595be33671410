// What Anthropic's clients read of a prompt's length before the answer, and of an answer's greatest length.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';
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
