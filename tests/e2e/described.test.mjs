// What every other test relies on: each answer of a gateway that this process gets, by whatever
// client, is held against /openapi.json, and one that differs is found.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { assertDescribed } from './support/described.mjs';
import { RawSocket, chat, request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';

describe('answers held against the description', () => {
  let gateway;
  let document;
  before(async () => {
    gateway = await Gateway.start({ config: { models: { said: { backend_type: 'mock', mock: { text: 'Well.' } } } } });
    document = (await request(gateway.port, { path: '/openapi.json' })).json;
  });
  after(() => gateway.stop());

  /** The same document, changed. */
  function changed(change) {
    const copy = structuredClone(document);
    change(copy);
    return copy;
  }
  const stream = () => chat(gateway.port, 'said', { stream: true });

  it('sees every client of a process: http, fetch, a plain socket, a library', async () => {
    assertDescribed(document); // what was before
    await request(gateway.port, { path: '/health' });
    await (await fetch(`${gateway.url}/health`)).text();
    const raw = await RawSocket.open(gateway.port);
    raw.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\nHEAD /health HTTP/1.1\r\nHost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await raw.ending();
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'k', maxRetries: 0 });
    await client.chat.completions.create({ model: 'said', messages: [{ role: 'user', content: 'a' }] });
    await assert.rejects(client.chat.completions.create({ model: 'none', messages: [{ role: 'user', content: 'a' }] }));
    assert.equal(assertDescribed(document), 7);
    assert.equal(assertDescribed(document), 0);
  });

  it('finds a path, a status, a type and a header that are not described', async () => {
    const wrong = [
      [(d) => { delete d.paths['/health']; }, /get \/health: 200: status 200 from what is not described/],
      [(d) => { delete d.paths['/health'].get.responses[200]; }, /status 200 is not described/],
      [(d) => { const { content } = d.paths['/health'].get.responses[200]; content['text/plain'] = content['application/json']; delete content['application/json']; },
        /an answer of type application\/json/],
    ];
    for (const [change, found] of wrong) {
      await request(gateway.port, { path: '/health' });
      assert.throws(() => assertDescribed(changed(change)), found);
    }
    await stream();
    assert.throws(() => assertDescribed(changed((d) => {
      d.paths['/v1/chat/completions'].post.responses[200].headers = {};
    })), /header x-tollgate-\w+ is not described/);
  });

  it('finds what is wrong in a body, in an event of a stream, and in an error', async () => {
    await chat(gateway.port, 'said');
    assert.throws(() => assertDescribed(changed((d) => { d.components.schemas.ChatCompletion.required.push('no_such'); })), /no_such/);
    await stream();
    assert.throws(() => assertDescribed(changed((d) => {
      d.components.schemas.ChatChunk.anyOf[0].properties.choices.maxItems = 0; // one of many events has some
    })), /post \/v1\/chat\/completions: 200/);
    await chat(gateway.port, 'none');
    assert.throws(() => assertDescribed(changed((d) => { d.components.schemas.OpenAIError.required.push('no_such'); })), /: 404: .*no_such/);
    await request(gateway.port, { path: '/nowhere' });
    assert.throws(() => assertDescribed(changed((d) => {
      for (const name of ['OpenAIError', 'AnthropicError', 'GeminiError', 'OllamaError']) d.components.schemas[name].required.push('no_such');
    })), /get \/nowhere: 404/);
  });
});
