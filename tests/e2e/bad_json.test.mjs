// Bodies that are no good: what is refused, how it is named, and that nothing of it reaches a
// provider. What is odd but allowed reaches it byte for byte.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { chatBody, request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';
import { Upstream, completion, sendJson, target } from './support/upstream.mjs';
import { timed } from './support/wait.mjs';

const CHAT = '/v1/chat/completions';
const hi = '"messages":[{"role":"user","content":"hi"}]';

describe('bodies from clients', () => {
  let upstream, gateway, port;

  before(async () => {
    upstream = await Upstream.start((req, res) => sendJson(res, completion('m', 'ok')));
    gateway = await Gateway.start({ config: { limits: { body: '4MiB' }, models: { 'gpt-alpha': target(upstream, { aliases: ['alpha'] }),
      'gpt-beta': target(upstream), 'org/model-x': target(upstream) }, default_model: 'gpt-alpha' } });
    port = gateway.port;
  });
  after(async () => {
    await gateway.stop();
    await upstream.stop();
  });

  const send = (body, path = CHAT, headers = { 'content-type': 'application/json' }) => request(port, { path, body, headers });

  async function assertRefused(body, status, code, param, path) {
    const calls = upstream.requests.length;
    const res = await send(body, path);
    assert.equal(res.status, status, `${res.status} ${res.text}`);
    assert.ok([code].flat().includes(res.error.code), res.text);
    if (param !== undefined) assert.equal(res.error.param, param, res.text);
    assert.equal(res.error.type, 'invalid_request_error');
    assert.ok(res.error.message.length < 1000);
    assert.doesNotMatch(res.error.message, /[\0-\x1f\x7f]/, 'control bytes are escaped');
    assert.equal(upstream.requests.length, calls, 'nothing reached the provider');
    return res;
  }

  const utf16 = (text) => Buffer.from(`\ufeff${text}`, 'utf16le');
  const notJson = {
    'an empty body': '',
    'blanks only': ' \n\t ',
    'a body cut off': `{${hi},"model":"gpt-al`,
    'an unclosed object': `{${hi}`,
    'trailing bytes': `{${hi}}x`,
    'two documents': `{${hi}}{${hi}}`,
    'a NUL behind it': `{${hi}}\0`,
    'a comment': `{/* x */${hi}}`,
    'a line comment': `{${hi} // x\n}`,
    'single quotes': "{'messages':[]}",
    'a name without quotes': `{model:"gpt-alpha",${hi}}`,
    'a trailing comma': `{${hi},}`,
    'a trailing comma in an array': '{"messages":[{"role":"user","content":"hi"},]}',
    NaN: `{${hi},"temperature":NaN}`,
    Infinity: `{${hi},"temperature":Infinity}`,
    'a leading zero': `{${hi},"n":01}`,
    'a leading plus': `{${hi},"n":+1}`,
    'a bare point': `{${hi},"temperature":.5}`,
    'a point without digits': `{${hi},"temperature":1.}`,
    hexadecimal: `{${hi},"n":0x1}`,
    'True': `{${hi},"stream":True}`,
    'a raw newline in a string': '{"messages":[{"role":"user","content":"a\nb"}]}',
    'a raw control byte in a string': '{"messages":[{"role":"user","content":"a\x01b"}]}',
    'an unknown escape': '{"messages":[{"role":"user","content":"a\\qb"}]}',
    'half a \\u escape': '{"messages":[{"role":"user","content":"\\u12"}]}',
    'invalid UTF-8': Buffer.from('{"messages":[{"role":"user","content":"a\xff"}]}', 'latin1'),
    'an overlong form': Buffer.from('{"messages":[{"role":"user","content":"\xc0\xaf"}]}', 'latin1'),
    'an encoded surrogate': Buffer.from('{"messages":[{"role":"user","content":"\xed\xa0\x80"}]}', 'latin1'),
    'beyond Unicode': Buffer.from('{"messages":[{"role":"user","content":"\xf4\x90\x80\x80"}]}', 'latin1'),
    'UTF-16': utf16(`{${hi}}`),
    'a byte order mark': `\ufeff{${hi}}`,
  };
  for (const [what, body] of Object.entries(notJson)) {
    it(`${what} → 400 invalid_json with the offset`, async () => {
      const res = await assertRefused(body, 400, 'invalid_json');
      assert.match(res.error.message, /\d/, 'the byte offset');
    });
  }

  it('a lone surrogate escape is 400 or passed on as written', async () => {
    const body = '{"messages":[{"role":"user","content":"\\ud800"}]}';
    const res = await send(body);
    if (res.status === 200) assert.ok(upstream.requests.at(-1).body.includes('\\ud800'));
    else assert.equal(res.error.code, 'invalid_json');
  });

  it('100,000 brackets → json_too_deep, at once', async () => {
    for (const open of ['[', '{"a":']) {
      const { ms } = await timed(() => assertRefused(`{"messages":${open.repeat(100000)}`, 400, ['json_too_deep', 'invalid_json']));
      assert.ok(ms < 500, `${ms} ms`);
      await assertRefused(`{${hi},"x":${open.repeat(200)}1${(open === '[' ? ']' : '}').repeat(200)}}`, 400, 'json_too_deep');
    }
  });

  it('a million values → json_too_large, in time', async () => {
    const { ms } = await timed(() => assertRefused(`{${hi},"x":[${'0,'.repeat(1000000)}0]}`, 400, 'json_too_large'));
    assert.ok(ms < 1500, `${ms} ms`);
  });

  const duplicates = {
    'at the top': [`{"model":"gpt-alpha",${hi},"model":"gpt-beta"}`, 'model'],
    'escaped once': [`{"model":"gpt-alpha",${hi},"\\u006dodel":"gpt-beta"}`, 'model'],
    'in a message': ['{"messages":[{"role":"user","content":"hi","role":"system"}]}', 'messages[0].role'],
    'unknown ones too': [`{"zzz":1,${hi},"zzz":1}`, 'zzz'],
  };
  for (const [what, [body, param]] of Object.entries(duplicates)) {
    it(`a key twice ${what} → 400 duplicate_key`, async () => {
      const res = await assertRefused(body, 400, 'duplicate_key');
      assert.ok(res.error.param === param || res.error.message.includes(param.split('.').at(-1)), res.text);
    });
  }

  const values = [
    ['[]', 400, 'invalid_value'], ['"text"', 400, 'invalid_value'], ['null', 400, 'invalid_value'], ['17', 400, 'invalid_value'],
    ['{}', 400, 'missing_field', 'messages'],
    ['{"messages":null}', 400, 'missing_field', 'messages'],
    ['{"messages":[]}', 400, 'invalid_value', 'messages'],
    ['{"messages":{}}', 400, 'invalid_value', 'messages'],
    ['{"messages":"hi"}', 400, 'invalid_value', 'messages'],
    ['{"messages":["hi"]}', 400, 'invalid_value', 'messages[0]'],
    ['{"messages":[{"content":"hi"}]}', 400, 'missing_field', 'messages[0].role'],
    ['{"messages":[{"role":"root","content":"hi"}]}', 400, 'invalid_value', 'messages[0].role'],
    ['{"messages":[{"role":7,"content":"hi"}]}', 400, 'invalid_value', 'messages[0].role'],
    ['{"messages":[{"role":"user","content":7}]}', 400, 'invalid_value', 'messages[0].content'],
    [`{${hi},"model":7}`, 400, 'invalid_value', 'model'],
    [`{${hi},"model":null}`, 400, 'invalid_value', 'model'],
    [`{${hi},"model":["gpt-alpha"]}`, 400, 'invalid_value', 'model'],
    [`{${hi},"stream":"yes"}`, 400, 'invalid_value', 'stream'],
    [`{${hi},"stream":1}`, 400, 'invalid_value', 'stream'],
    [`{${hi},"stream_options":true}`, 400, 'invalid_value', 'stream_options'],
    [`{${hi},"max_tokens":0}`, 400, 'invalid_value', 'max_tokens'],
    [`{${hi},"max_tokens":-5}`, 400, 'invalid_value', 'max_tokens'],
    [`{${hi},"max_tokens":1.5}`, 400, 'invalid_value', 'max_tokens'],
    [`{${hi},"max_tokens":"10"}`, 400, 'invalid_value', 'max_tokens'],
    [`{${hi},"max_tokens":1e400}`, 400, 'invalid_value', 'max_tokens'],
    [`{${hi},"max_tokens":${'9'.repeat(5000)}}`, 400, 'invalid_value', 'max_tokens'],
    [`{${hi},"max_completion_tokens":0}`, 400, 'invalid_value', 'max_completion_tokens'],
    [`{${hi},"n":0}`, 400, 'invalid_value', 'n'],
    [`{${hi},"n":129}`, 400, 'invalid_value', 'n'],
    [`{${hi},"temperature":-0.1}`, 400, 'invalid_value', 'temperature'],
    [`{${hi},"temperature":2.01}`, 400, 'invalid_value', 'temperature'],
    [`{${hi},"temperature":"hot"}`, 400, 'invalid_value', 'temperature'],
    [`{${hi},"top_p":1.1}`, 400, 'invalid_value', 'top_p'],
    [`{${hi},"presence_penalty":3}`, 400, 'invalid_value', 'presence_penalty'],
    [`{${hi},"top_logprobs":21}`, 400, 'invalid_value', 'top_logprobs'],
    [`{${hi},"logit_bias":[]}`, 400, 'invalid_value', 'logit_bias'],
    [`{${hi},"tools":{}}`, 400, 'invalid_value', 'tools'],
    [`{${hi},"tool_choice":5}`, 400, 'invalid_value', 'tool_choice'],
    [`{${hi},"response_format":"json"}`, 400, 'invalid_value', 'response_format'],
    [`{${hi},"user":5}`, 400, 'invalid_value', 'user'],
    [`{${hi},"metadata":"x"}`, 400, 'invalid_value', 'metadata'],
    [`{${hi},"stop":5}`, 400, 'invalid_value', 'stop'],
    [`{${hi},"api_base":"http://evil"}`, 400, 'unsupported_parameter', 'api_base'],
    [`{${hi},"base_url":"http://evil"}`, 400, 'unsupported_parameter', 'base_url'],
    [`{${hi},"api_key":"x"}`, 400, 'unsupported_parameter', 'api_key'],
    [`{${hi},"extra_headers":{}}`, 400, 'unsupported_parameter', 'extra_headers'],
  ];
  for (const [body, status, code, param] of values) {
    it(`${body.replace(hi, '…').slice(0, 60)} → ${code}${param ? ` of ${param}` : ''}`, async () => {
      await assertRefused(body, status, code, param);
    });
  }

  const others = [
    ['/v1/completions', '{"model":"gpt-alpha"}', 'missing_field', 'prompt'],
    ['/v1/completions', '{"prompt":[]}', 'invalid_value', 'prompt'],
    ['/v1/completions', '{"prompt":["a",1]}', 'invalid_value', 'prompt'],
    ['/v1/generate', '{}', 'missing_field', 'prompt'],
    ['/v1/generate', '{"prompt":5}', 'invalid_value', 'prompt'],
    ['/v1/generate', '{"prompt":"x","max_tokens":5,"max_length":6}', 'invalid_value', 'max_length'],
    ['/v1/generate', '{"prompt":"x","variables":{"a":1}}', 'invalid_value', 'variables'],
    ['/v1/generate', '{"prompt":"x","temperature":3}', 'invalid_value', 'temperature'],
    ['/v1/generate', '{"prompt":"x","template":"{{ nope }}"}', 'invalid_value'],
    ['/api/chat', '{}', 'missing_field', 'message'],
    ['/api/chat', '{"message":["hi"]}', 'invalid_value', 'message'],
    ['/api/chat', '{"message":"hi","stream":true}', 'unsupported_parameter', 'stream'],
    ['/api/chat', '{"message":"hi","model":5}', 'invalid_value', 'model'],
  ];
  for (const [path, body, code, param] of others) {
    it(`${path} ${body} → ${code}`, async () => {
      await assertRefused(body, 400, code, param, path);
    });
  }

  it('an unknown model → 404 with the nearest name', async () => {
    const res = await assertRefused(JSON.stringify(chatBody('gpt-alhpa')), 404, 'model_not_found', 'model');
    assert.match(res.error.message, /gpt-alpha/);
    for (const path of ['/v1/completions', '/v1/generate', '/api/chat']) {
      const body = { model: 'nothing-like-it', prompt: 'x', message: 'x' };
      if (path !== '/api/chat') delete body.message; else delete body.prompt;
      assert.equal((await request(port, { path, json: body })).error.code, 'model_not_found');
    }
  });

  it('a huge and evil model name is quoted short and clean', async () => {
    const res = await assertRefused(JSON.stringify(chatBody(`<script>\u0000\u001b[31m\n"${'x'.repeat(100000)}`)), 404, 'model_not_found');
    assert.ok(res.error.message.length < 400, `${res.error.message.length}`);
    const line = await gateway.log((l) => l.event === 'request_failed' && l.request_id === res.error.request_id);
    assert.equal(line.status, 404);
  });

  it('other content types → 415', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonx', 'application']) {
      const res = await send(`{${hi}}`, CHAT, { 'content-type': type });
      assert.deepEqual([res.status, res.error.code], [415, 'unsupported_media_type'], type);
    }
    for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON', 'application/vnd.api+json']) {
      assert.equal((await send(`{${hi}}`, CHAT, { 'content-type': type })).status, 200, type);
    }
    assert.equal((await send(`{${hi}}`, CHAT, {})).status, 200, 'none at all');
  });

  it('a compressed body → 415', async () => {
    for (const coding of ['gzip', 'deflate', 'br', 'gzip, identity']) {
      const res = await send(`{${hi}}`, CHAT, { 'content-type': 'application/json', 'content-encoding': coding });
      assert.equal(res.status, 415, coding);
    }
  });

  it('5 MiB → 413', async () => {
    const res = await send(JSON.stringify(chatBody('gpt-alpha', { pad: 'x'.repeat(5 << 20) }))).catch((e) => e);
    if (res instanceof Error) assert.match(res.code, /ECONNRESET|EPIPE/); // while it was still sending
    else assert.deepEqual([res.status, res.error.code], [413, 'body_too_large']);
  });

  const odd = {
    'a NUL in a prompt': '{"model":"gpt-alpha","messages":[{"role":"user","content":"a\\u0000b"}]}',
    'odd blanks': `\r\n\t {  "model" :\t"gpt-alpha" ,\n${hi}  } \n`,
    'numbers beyond a double': `{"model":"gpt-alpha",${hi},"seed":9007199254740993,"x":1.10,"y":1E5,"z":123456789012345678901234567890,"w":-0}`,
    'escapes as they were': `{"model":"gpt-alpha",${hi},"x":"\\/\\u00e9\\ud83d\\ude00 \\"é😀"}`,
    'deep but allowed': `{"model":"gpt-alpha",${hi},"x":${'['.repeat(120)}${']'.repeat(120)}}`,
    'unknown members everywhere': '{"model":"gpt-alpha","messages":[{"role":"user","content":[{"type":"hologram","x":{"y":[null]}}],"zz":1}],"a":{"b":{}}}',
    'a prompt of 1 MB': `{"model":"gpt-alpha","messages":[{"role":"user","content":"${'lorem "ipsum" '.replaceAll('"', '\\"').repeat(70000)}"}]}`,
    'roles of every kind': '{"model":"gpt-alpha","messages":[{"role":"developer","content":"a"},{"role":"system","content":"a"},{"role":"assistant","content":null,"tool_calls":[]},{"role":"tool","tool_call_id":"x","content":"b"},{"role":"function","name":"f","content":"c"}]}',
    'null for whatever may be null': `{"model":"gpt-alpha",${hi},"stop":null,"temperature":null,"max_tokens":null,"stream":null,"tools":null,"user":null}`,
  };
  for (const [what, body] of Object.entries(odd)) {
    it(`${what}: passed on byte for byte`, async () => {
      const res = await send(body);
      assert.equal(res.status, 200, res.text);
      assert.ok(upstream.requests.at(-1).body.equals(Buffer.from(body)));
    });
  }

  it('the model name is spliced in without touching anything else', async () => {
    const other = await Gateway.start({ config: { models: { mapped: target(upstream, { model_name: 'a "quoted"/näme' }) } } });
    const cases = [[`{"model":"mapped",${hi}, "x":1.10}`, `{"model":"a \\"quoted\\"/näme",${hi}, "x":1.10}`],
      [`{ ${hi} , "model" : "m\\u0061pped" }`, `{ ${hi} , "model" : "a \\"quoted\\"/näme" }`]];
    for (const [sent, got] of cases) {
      assert.equal((await request(other.port, { path: CHAT, body: sent })).status, 200);
      assert.equal(upstream.requests.at(-1).body.toString(), got);
    }
    for (const body of [`{${hi}}`, `{ }`.replace(' ', hi)]) { // no model: it is added
      assert.equal((await request(other.port, { path: CHAT, body })).status, 200);
      assert.deepEqual(JSON.parse(upstream.requests.at(-1).body), { ...JSON.parse(body), model: 'a "quoted"/näme' });
    }
    await other.stop();
  });

  it('options of streams are spliced in where they belong', async () => {
    const cases = [[`{"model":"gpt-alpha",${hi},"stream":true}`, { include_usage: true }],
      [`{"model":"gpt-alpha",${hi},"stream":true,"stream_options":null}`, { include_usage: true }],
      [`{"model":"gpt-alpha",${hi},"stream":true,"stream_options":{}}`, { include_usage: true }],
      [`{"model":"gpt-alpha",${hi},"stream":true,"stream_options":{"x":1}}`, { x: 1, include_usage: true }],
      [`{"model":"gpt-alpha",${hi},"stream":true,"stream_options":{"include_usage":false,"x":1}}`, { include_usage: true, x: 1 }],
      [`{"model":"gpt-alpha",${hi},"stream":true,"stream_options":{"include_usage":true}}`, { include_usage: true }]];
    for (const [body, options] of cases) {
      await send(body);
      const got = upstream.requests.at(-1).json;
      assert.deepEqual(got, { ...JSON.parse(body), stream_options: options }, body);
    }
    await send(`{"model":"gpt-alpha",${hi},"stream":false}`);
    assert.equal(upstream.requests.at(-1).json.stream_options, undefined);
  });

  it('aliases, default model, exact names', async () => {
    assert.equal((await request(port, { path: CHAT, json: chatBody('alpha') })).status, 200);
    assert.equal(upstream.requests.at(-1).json.model, 'gpt-alpha');
    assert.equal((await request(port, { path: CHAT, body: `{${hi}}` })).status, 200);
    assert.equal(upstream.requests.at(-1).json.model, 'gpt-alpha');
    assert.equal((await request(port, { path: CHAT, json: chatBody('ALPHA') })).status, 404);
    assert.equal((await request(port, { path: CHAT, json: chatBody('org/model-x') })).status, 200);
    assert.equal((await request(port, { path: CHAT, json: chatBody('') })).status, 200, 'an empty name is no name');
  });
});
