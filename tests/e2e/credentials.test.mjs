// Credentials that change while the gateway runs: files, commands, Google's token server, and what
// becomes of requests whose credential a provider refuses.
import assert from 'node:assert/strict';
import { generateKeyPairSync, createVerify } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, test } from 'node:test';
import { Gateway, run, temporaryFolder } from './support/process.mjs';

const open = [];
after(() => open.forEach((server) => { server.closeAllConnections(); server.close(); }));

/** A server on a port of the system's choice; `answer(request, body, response)`. */
async function serve(answer) {
  const server = http.createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text) => { body += text; });
    request.on('end', () => answer(request, body, response));
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  open.push(server);
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

const COMPLETION = JSON.stringify({
  id: 'x', object: 'chat.completion', created: 1, model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
});

/** A provider that takes one key, which the test changes; `seen` are the keys that came. */
async function provider() {
  const p = { key: '', seen: [] };
  const { url } = await serve((request, body, response) => {
    const key = (request.headers.authorization ?? '').replace('Bearer ', '');
    p.seen.push(key);
    response.setHeader('content-type', 'application/json');
    if (key === p.key) {
      response.end(COMPLETION);
      return;
    }
    response.statusCode = 401;
    response.end(JSON.stringify({ error: { message: 'Incorrect API key', type: 'invalid_request_error', code: 'invalid_api_key' } }));
  });
  p.url = `${url}/v1`;
  return p;
}

async function chat(gateway, model = 'm') {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }),
  });
  return { status: response.status, text: await response.text() };
}

/** As programs that know what they do replace a file. */
function replace(file, text) {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

function config(settings, more = {}) {
  return {
    engine: { builtin: false },
    retry: { max_attempts: 1 },
    models: { m: { backend_type: 'openai_compatible', ...settings }, ...more },
  };
}

test('a key in a file is changed without a restart, and a 401 makes it read at once', async () => {
  const up = await provider();
  const folder = temporaryFolder();
  const file = path.join(folder, 'key.txt');
  writeFileSync(file, 'first\n');
  up.key = 'first';
  const gateway = await Gateway.start({ config: config({ base_url: up.url, api_key_file: file }) });
  assert.equal((await chat(gateway)).status, 200);
  replace(file, 'second\n');
  up.key = 'second';
  // Within the second in which the file is not looked at: the refusal makes the gateway look.
  assert.equal((await chat(gateway)).status, 200);
  assert.deepEqual(up.seen, ['first', 'first', 'second']);
  assert.equal((await chat(gateway)).status, 200);
  assert.equal(up.seen.at(-1), 'second');
  // A key that is simply wrong is refused once, with the provider's status.
  up.key = 'third';
  const seen = up.seen.length;
  const refused = await chat(gateway);
  assert.equal(refused.status, 502);
  assert.equal(up.seen.length, seen + 1);
  await gateway.stop();
});

test('a file that holds no key is refused by name', async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, 'key.txt');
  const yaml = path.join(folder, 'tollgate.yaml');
  writeFileSync(yaml, JSON.stringify(config({ base_url: 'http://127.0.0.1:9/v1', api_key_file: file })));
  for (const [text, code] of [['', 2], ['\n\n', 2], ['canary\nsecond\n', 2], ['a\0b', 2], [' good \r\n', 0]]) {
    writeFileSync(file, text);
    const checked = await run(['check-config', '--config', yaml]);
    assert.equal(checked.code, code, checked.stderr);
    if (code) assert.match(checked.stderr, /api_key_file: '.*key\.txt' holds no credential: expected one line/);
    assert.doesNotMatch(checked.stdout + checked.stderr, /canary|good/);
  }
});

test('a key that the provider quotes goes nowhere', async () => {
  const secret = 'ZxQ-canary-0123456789';
  let status = 400;
  const { url } = await serve((request, body, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { message: `no: ${request.headers['x-api-key'] ?? request.headers.authorization}`, type: secret, code: secret } }));
  });
  const gateway = await Gateway.start({ config: config({ base_url: `${url}/v1`, api_key: secret },
    { claude: { backend_type: 'anthropic', base_url: url, api_key: secret } }) });
  for (status of [200, 400, 401, 403, 404, 422, 429, 500, 503]) {
    for (const model of ['m', 'claude']) {
      const refused = await chat(gateway, model);
      assert.ok(refused.status >= 400);
      assert.doesNotMatch(refused.text, /canary/, `${status} ${model}`);
    }
  }
  status = 400;
  assert.match((await chat(gateway)).text, /no: \*\*\*/);
  await gateway.stop();
  assert.doesNotMatch(gateway.child.stderr, /canary/);
});

test("a command's key is waited for, renewed after a 401, and its stderr stays its own", async () => {
  const up = await provider();
  const folder = temporaryFolder();
  const file = path.join(folder, 'key.txt');
  writeFileSync(file, 'one');
  up.key = 'one';
  const command = `echo canary-stderr >&2; printf x >> '${folder}/runs'; sleep 0.3; cat '${file}'`;
  const gateway = await Gateway.start({ config: config({ base_url: up.url, api_key_command: command }) });
  const many = await Promise.all(Array.from({ length: 10 }, () => chat(gateway)));
  assert.ok(many.every((a) => a.status === 200), JSON.stringify(many.map((a) => a.status)));
  assert.equal(readFileSync(path.join(folder, 'runs'), 'utf8'), 'x'); // one run for all of them
  assert.ok(up.seen.every((key) => key === 'one'));
  // The provider takes the key back less than ten seconds after: nothing newer is to be had.
  up.key = 'two';
  assert.equal((await chat(gateway)).status, 502);
  await new Promise((resolve) => { setTimeout(resolve, 10_100); });
  writeFileSync(file, 'two');
  const both = await Promise.all([chat(gateway), chat(gateway)]);
  assert.deepEqual(both.map((a) => a.status), [200, 200]);
  assert.equal(up.seen.at(-1), 'two');
  assert.equal(readFileSync(path.join(folder, 'runs'), 'utf8'), 'xx');
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  assert.match(metrics, /llm_gateway_credential_renewals_total\{target="m",result="ok"\} 2/);
  await gateway.stop();
  assert.doesNotMatch(gateway.child.stderr, /canary|"one"|"two"/);
});

test('a command that fails or hangs is told without what it printed', async () => {
  const up = await provider();
  const more = {
    hangs: { backend_type: 'openai_compatible', base_url: up.url, api_key_command: 'sleep 60', timeouts: { connect: '300ms' } },
  };
  const gateway = await Gateway.start({
    config: config({ base_url: up.url, api_key_command: 'echo canary; echo canary >&2; exit 7' }, more),
  });
  const failed = await chat(gateway);
  assert.equal(failed.status, 502);
  assert.match(failed.text, /there is no credential for m: its last renewal failed/);
  assert.doesNotMatch(failed.text, /canary/);
  const line = await gateway.log((l) => l.event === 'credential_renewal_failed');
  assert.equal(line.target, 'm');
  assert.match(line.error, /the command ended with status 7/);
  assert.equal(line.old_one_in_use, false);
  const started = Date.now();
  const hangs = await chat(gateway, 'hangs');
  assert.equal(hangs.status, 504);
  await gateway.log((l) => l.event === 'request_failed' && /no credential for hangs within 300 ms/.test(l.error));
  assert.ok(Date.now() - started < 5000);
  assert.equal(up.seen.length, 0);
  const children = gateway.childPids();
  assert.equal(children.length, 1); // the one that hangs
  await gateway.stop();
  assert.throws(() => process.kill(children[0], 0)); // and it is gone with the gateway
  assert.doesNotMatch(gateway.child.stderr, /canary/);
});

test("a service account's key buys access tokens for Vertex", async () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  let issued = 0;
  const grants = [];
  const tokens = await serve((request, body, response) => {
    grants.push(new URLSearchParams(body));
    issued += 1;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ access_token: `ya29.${issued}`, expires_in: 3599, token_type: 'Bearer' }));
  });
  const seen = [];
  let revoked = '';
  const vertex = await serve((request, body, response) => {
    seen.push({ path: request.url, authorization: request.headers.authorization });
    response.setHeader('content-type', 'application/json');
    if (request.headers.authorization === `Bearer ${revoked}`) {
      response.statusCode = 401;
      response.end(JSON.stringify({ error: { code: 401, message: 'Request had invalid authentication credentials.', status: 'UNAUTHENTICATED' } }));
      return;
    }
    response.end(JSON.stringify({
      candidates: [{ content: { role: 'model', parts: [{ text: 'Hello' }] }, finishReason: 'STOP' }],
      usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
    }));
  });
  const folder = temporaryFolder();
  const keyFile = path.join(folder, 'sa.json');
  writeFileSync(keyFile, JSON.stringify({
    type: 'service_account', project_id: 'proj', private_key_id: 'kid',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    client_email: 'robot@proj.iam.gserviceaccount.com', token_uri: `${tokens.url}/token`,
  }));
  const gateway = await Gateway.start({
    config: config({
      backend_type: 'vertex', base_url: vertex.url, region: 'us-east5', model_name: 'gemini-2.5-flash',
      service_account_file: keyFile,
    }),
  });
  const answers = await Promise.all(Array.from({ length: 5 }, () => chat(gateway)));
  assert.deepEqual(answers.map((a) => a.status), [200, 200, 200, 200, 200], answers[0].text);
  assert.equal(issued, 1);
  assert.ok(seen.every((s) => s.authorization === 'Bearer ya29.1'));
  assert.match(seen[0].path, /^\/v1\/projects\/proj\/locations\/us-east5\/publishers\/google\/models\/gemini-2\.5-flash:/);
  const [head, claims, signature] = grants[0].get('assertion').split('.');
  assert.ok(createVerify('RSA-SHA256').update(`${head}.${claims}`).verify(publicKey, signature, 'base64url'));
  assert.equal(JSON.parse(Buffer.from(claims, 'base64url')).iss, 'robot@proj.iam.gserviceaccount.com');
  // A token that is revoked before its time: ten seconds after the last renewal another is bought.
  await new Promise((resolve) => { setTimeout(resolve, 10_100); });
  revoked = 'ya29.1';
  assert.equal((await chat(gateway)).status, 200);
  assert.equal(seen.at(-1).authorization, 'Bearer ya29.2');
  await gateway.stop();
  assert.doesNotMatch(gateway.child.stderr, /ya29|PRIVATE KEY/);
});
