// The command line as people use it: help, check-config, models, chat, settings from everywhere.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LiveStream, chat, chatBody, request } from './support/http.mjs';
import { Gateway, Mock, ROOT, run, spawnTollgate, temporaryFolder } from './support/process.mjs';
import { Upstream, beginEvents, chunk, completion, sendEvent, sendJson, target } from './support/upstream.mjs';
import { timed, until } from './support/wait.mjs';

/** A folder with these files in it. */
function folderWith(files) {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  return folder;
}

describe('help and version', () => {
  it('every command in the list has its own help', async () => {
    const { code, stdout } = await run(['--help']);
    assert.equal(code, 0);
    const names = [...stdout.matchAll(/^ {2}([a-z-]+) {2,}\S/gm)].map((m) => m[1]);
    assert.deepEqual(names, ['serve', 'chat', 'models', 'check-config', 'adapter', 'mock', 'version']);
    for (const name of names) {
      for (const flag of ['--help', '-h']) {
        const help = await run([name, flag]);
        assert.equal(help.code, 0, `${name}: ${help.stderr}`);
        assert.match(help.stdout, new RegExp(`^usage: tollgate ${name}`));
        assert.equal(help.stderr, '');
        assert.ok(help.stdout.split('\n').every((l) => l.length <= 110), help.stdout);
      }
    }
  });

  it('no command at all: the help, and exit 2', async () => {
    const res = await run([]);
    assert.equal(res.code, 2);
    assert.match(res.stdout, /usage: tollgate/);
    assert.equal((await run(['help'])).code, 0);
  });

  it('version', async () => {
    for (const args of [['version'], ['--version']]) {
      const { code, stdout } = await run(args);
      assert.equal(code, 0);
      assert.match(stdout, /^tollgate \d+\.\d+\.\d+\n$/);
    }
  });

  const mistakes = [
    [['serv'], /did you mean 'serve'/], [['check-confg'], /did you mean 'check-config'/], [['xyzzy'], /unknown command 'xyzzy'/],
    [['serve', '--prot', '1'], /unknown option --prot/], [['serve', 'extra'], /unexpected 'extra'/], [['serve', '--port'], /--port takes N/],
    [['serve', '--set', 'x'], /key=value/], [['serve', '--set', 'server.prot=1'], /server\.prot/], [['serve', '--port', '99999'], /port/],
    [['serve', '--port', 'x'], /port/], [['serve', '--config', '/nowhere/at/all.yaml'], /\/nowhere\/at\/all\.yaml/],
    [['serve', '--workers', '-1'], /workers/], [['serve', '--log-level', 'loud'], /log_level|LOG_LEVEL/], [['mock', '--port', '70000'], /--port/],
    [['mock', '--script', 'mock:nonsense=1'], /nonsense/], [['check-config', '--quiet=1'], /no value/],
  ];
  for (const [args, wanted] of mistakes) {
    it(`tollgate ${args.join(' ')} → exit 2 with a reason`, async () => {
      const res = await run(args);
      assert.equal(res.code, 2, JSON.stringify(res));
      assert.match(res.stderr, wanted);
      assert.equal(res.stdout, '');
    });
  }
});

describe('check-config', () => {
  it('prints what is in effect, secrets as ***, and that it is valid', async () => {
    const folder = folderWith({ 'tollgate.yaml': 'models:\n  m:\n    backend_type: openai_compatible\n    base_url: http://u.test/v1\n    api_key: sk-very-secret\n    headers: {x-key: also-secret}\n' });
    const res = await run(['check-config'], { cwd: folder });
    assert.equal(res.code, 0, res.stderr);
    assert.match(res.stdout, /tollgate\.yaml is valid: \d+ models, the default is m/);
    assert.match(res.stdout, /\*\*\*/);
    assert.doesNotMatch(res.stdout, /secret/);
    const quiet = await run(['check-config', '--quiet', path.join(folder, 'tollgate.yaml')]);
    assert.equal(quiet.stdout.split('\n').length, 2);
  });

  it('says every problem with file, line, column and key', async () => {
    const folder = folderWith({ 'bad.yaml': ['server:', '  prot: 9', '  port: many', 'models:', '  a:', '    backend_typ: openai',
      '  b:', '    backend_type: telepathy', '  c:', '    backend_type: openai_compatible', '  d:', '    backend_type: mock',
      '    fallbacks: [e]', ''].join('\n') });
    const res = await run(['check-config', 'bad.yaml'], { cwd: folder });
    assert.equal(res.code, 2);
    assert.equal(res.stdout, '');
    for (const wanted of [/bad\.yaml:2:\d+: error: server\.prot.*port/, /bad\.yaml:3:\d+: error: server\.port/, /bad\.yaml:6:\d+: error: models\.a\.backend_typ.*backend_type/,
      /bad\.yaml:8:\d+: error: models\.b\.backend_type.*telepathy/, /bad\.yaml:\d+:\d+: error: models\.c.*base_url/, /bad\.yaml:13:\d+: error: models\.d\.fallbacks.*e/]) {
      assert.match(res.stderr, wanted);
    }
  });

  it('accepts the examples of the repository', async () => {
    for (const file of ['config/models.yaml', 'config/tollgate.example.yaml']) {
      const res = await run(['check-config', '--quiet', path.join(ROOT, file)], { env: { OPENAI_API_KEY: 'x', LLAMA_API_URL: 'http://x.test/v1', GEMINI_API_URL: 'http://y.test/v1' } });
      assert.equal(res.code, 0, res.stderr);
    }
  });
});

describe('settings', () => {
  const effective = async (options, args = []) => (await run(['check-config', ...args], options)).stdout;

  it('come from the file, .env, .env.<ENVIRONMENT>, the environment and --set, the later winning', async () => {
    const files = { 'tollgate.yaml': 'server: {port: 1001}\nmodels: {m: {backend_type: mock}}\n' };
    const port = async (options, args) => Number(/^server\.port = (\d+)$/m.exec(await effective(options, args))[1]);
    assert.equal(await port({ cwd: folderWith(files) }), 1001);
    files['.env'] = 'PORT=1002\n';
    assert.equal(await port({ cwd: folderWith(files) }), 1002);
    files['.env.dev'] = 'export PORT="1003" # dev is the default\n';
    files['.env.production'] = "PORT='1004'\r\n";
    const cwd = folderWith(files);
    assert.equal(await port({ cwd }), 1003);
    assert.equal(await port({ cwd, env: { ENVIRONMENT: 'production' } }), 1004);
    assert.equal(await port({ cwd, env: { PORT: '1005' } }), 1005);
    assert.equal(await port({ cwd, env: { PORT: '' } }), 1003, 'set but empty is not set');
    assert.equal(await port({ cwd, env: { PORT: '1005' } }, ['--set', 'server.port=1006']), 1006);
    assert.equal(await port({ cwd, env: { PORT: '1005' } }, ['--port', '1007']), 1007);
  });

  it('.env feeds ${…} of the file; a mistake in it has its line', async () => {
    const files = { 'tollgate.yaml': 'models:\n  m: {backend_type: openai_compatible, base_url: "${THE_URL}", api_key: "${THE_KEY:-none}"}\n', '.env': '# keys\nTHE_URL=http://from-env.test/v1\n' };
    assert.match(await effective({ cwd: folderWith(files) }), /from-env\.test/);
    const res = await run(['check-config'], { cwd: folderWith({ ...files, '.env': 'THE_URL=http://x.test\nthis is no assignment\n' }) });
    assert.equal(res.code, 2);
    assert.match(res.stderr, /\.env:2/);
  });

  it("the first documents' variables work without a file", async () => {
    const upstream = await Upstream.start((req, res, r) => sendJson(res, completion(r.json.model, `auth ${req.headers.authorization}`)));
    const gateway = await Gateway.start({ env: { OPENAI_API_KEY: 'sk-env', OPENAI_BASE_URL: upstream.url, LOG_LEVEL: 'debug', WORKERS: '2', HOST: '127.0.0.1' }, workers: 0 });
    const res = await chat(gateway.port, 'gpt-whatever');
    assert.equal(res.json.choices[0].message.content, 'auth Bearer sk-env');
    assert.equal(upstream.requests.at(-1).json.model, 'gpt-whatever', 'every name is passed on');
    assert.equal((await request(gateway.port, { path: '/v1/health' })).json.workers, 2);
    await gateway.stop();
    await upstream.stop();
  });

  it("config/models.yaml of the first document loads as it stands", async () => {
    const upstream = await Upstream.start((req, res, r) => sendJson(res, completion(r.json.model, 'ok')));
    const gateway = await Gateway.start({ args: ['--config', path.join(ROOT, 'config/models.yaml')], env: { LLAMA_API_URL: upstream.url, OPENAI_API_KEY: 'x' } });
    const { data } = (await request(gateway.port, { path: '/v1/models' })).json;
    const named = Object.fromEntries(data.map((m) => [m.id, m]));
    assert.deepEqual(['llama-7b', 'gpt-4-mini', 'gemini-2.5-flash'].map((n) => [named[n].display_name, named[n].tier, named[n].max_tokens]),
      [['Llama 7B', 'small', 2048], ['GPT-4 Mini', 'medium', 4096], ['Gemini 2.5 Flash', 'large', 8192]]);
    assert.equal((await chat(gateway.port, 'small')).status, 200);
    assert.equal(upstream.requests.at(-1).json.model, 'llama-7b-instruct');
    const gemini = await chat(gateway.port, 'gemini-2.5-flash');
    assert.equal(gemini.status, 503);
    assert.match(gemini.error.message, /GEMINI_API_URL/);
    await gateway.stop();
    await upstream.stop();
  });
});

describe('models', () => {
  it('lists them', async () => {
    const cwd = folderWith({ 'tollgate.yaml': 'models:\n  a: {backend_type: mock, tier: small, context_length: 4096}\n  b: {backend_type: openai_compatible, base_url: "${NOPE}"}\n' });
    const { code, stdout } = await run(['models'], { cwd });
    assert.equal(code, 0);
    assert.match(stdout, /^NAME/);
    assert.match(stdout, /^a +mock +small +4096 +default/m);
    assert.match(stdout, /^b .*unavailable.*NOPE/m);
    assert.match(stdout, /^tollgate-tiny +local .*built in/m);
  });
});

describe('chat', () => {
  let mockConfig;
  before(() => {
    mockConfig = folderWith({ 'tollgate.yaml': 'models:\n  m: {backend_type: mock, mock: {text: "one two three"}}\n  slow: {backend_type: mock, mock: {tokens: 10000, delay: 20ms}}\n  bad: {backend_type: mock, mock: {status: 500}}\n' });
  });
  const inProcess = (args, options) => run(['chat', '--config', path.join(mockConfig, 'tollgate.yaml'), ...args], options);

  it('asks one question, without a server', async () => {
    const res = await inProcess(['hello', 'there']);
    assert.deepEqual([res.code, res.stdout, res.stderr], [0, 'one two three\n', '']);
  });

  it('with the built-in model', async (t) => {
    const cwd = folderWith({ 'empty.yaml': '{}' });
    const res = await run(['chat', '--config', 'empty.yaml', '--set', 'engine.temperature=0', 'What is the capital of France?'], { cwd });
    if (/built without/.test(res.stderr)) {
      t.skip('this binary was built without llama.cpp');
      return;
    }
    assert.equal(res.code, 0, res.stderr);
    assert.match(res.stdout, /Paris/);
  });

  it('reads questions from standard input, one a line', async () => {
    const res = await inProcess([], { input: 'first\n\n  second  \n' });
    assert.deepEqual([res.code, res.stdout], [0, 'one two three\none two three\n']);
    const none = await inProcess([], { input: '' });
    assert.deepEqual([none.code, none.stdout], [0, '']);
  });

  it('says what went wrong, exit 1', async () => {
    const res = await inProcess(['--model', 'bad', 'x']);
    assert.equal(res.code, 1);
    assert.match(res.stderr, /^tollgate chat: .+/m);
    const unknown = await inProcess(['--model', 'nope', 'x']);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /nope/);
    const gone = await run(['chat', '--url', 'http://127.0.0.1:9', 'x']);
    assert.equal(gone.code, 1);
    assert.match(gone.stderr, /connect/);
    const bad = await run(['chat', '--url', 'gopher://x', 'x']);
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /http/);
  });

  it('keeps the conversation, the system text, the key', async () => {
    const upstream = await Upstream.start((req, res, r) => {
      beginEvents(res);
      sendEvent(res, chunk({ content: `answer ${r.json.messages.length}` }));
      sendEvent(res, chunk({}, { finish: 'stop' }));
      sendEvent(res, '[DONE]');
      res.end();
    });
    const res = await run(['chat', '--url', upstream.url.replace('/v1', ''), '--model', 'some-model', '--system', 'Be brief.'],
      { input: 'a\nb\n', env: { TOLLGATE_API_KEY: 'tg-key' } });
    assert.deepEqual([res.code, res.stdout], [0, 'answer 2\nanswer 4\n']);
    const last = upstream.requests.at(-1);
    assert.equal(last.headers.authorization, 'Bearer tg-key');
    assert.equal(last.json.model, 'some-model');
    assert.deepEqual(last.json.messages, [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'a' },
      { role: 'assistant', content: 'answer 2' }, { role: 'user', content: 'b' }]);
    await upstream.stop();
  });

  it('Ctrl-C ends the answer of its own gateway', async () => {
    const child = spawnTollgate(['chat', '--config', path.join(mockConfig, 'tollgate.yaml'), '--model', 'slow', 'x']);
    await until(() => child.stdout.length > 10, { what: () => `an answer: ${child.stderr}` });
    child.kill('SIGINT');
    const { ms, value } = await timed(() => child.ending(5000));
    assert.deepEqual(value, { code: 1, signal: null });
    assert.match(child.stderr, /cancelled/);
    assert.ok(ms < 2000, `${ms} ms`);
  });

  it('Ctrl-C before the first byte, too', async () => {
    const upstream = await Upstream.start(() => {});
    const child = spawnTollgate(['chat', '--url', upstream.url.replace('/v1', ''), 'x']);
    await until(() => upstream.requests.length, { what: 'the request' });
    child.kill('SIGINT');
    assert.deepEqual(await child.ending(5000), { code: 1, signal: null });
    await upstream.stop();
  });

  it('Ctrl-C cancels at a running gateway, which serves on', async () => {
    const upstream = await Upstream.start(async (req, res) => {
      beginEvents(res);
      while (!res.destroyed) {
        sendEvent(res, chunk({ content: 'on and ' }));
        await sleep(10);
      }
    });
    const gateway = await Gateway.start({ config: { models: { m: target(upstream) } } });
    const child = spawnTollgate(['chat', '--url', gateway.url], { stdin: 'pipe' });
    child.process.stdin.write('go\n');
    await until(() => child.stdout.includes('on and on and'), { what: 'an answer' });
    child.kill('SIGINT');
    await upstream.requests[0].gone;
    await gateway.log((l) => l.event === 'request_failed' && l.status !== undefined && /client/.test(l.error_code));
    child.process.stdin.end();
    const { code } = await child.ending(5000);
    assert.equal(code, 1);
    assert.equal((await request(gateway.port, { path: '/health' })).status, 200);
    await gateway.stop();
    await upstream.stop();
  });

  it('a stream that breaks off is said to have', async () => {
    const mock = await Mock.start();
    const gateway = await Gateway.start({ config: { models: { 'mock:*': target(mock) } } });
    const res = await run(['chat', '--url', gateway.url, '--model', 'mock:wire=close,after=3', 'x']);
    assert.equal(res.code, 1);
    assert.equal(res.stdout, 'Lorem ipsum dolor \n');
    assert.match(res.stderr, /broke off|closed/);
    await gateway.stop();
    await mock.stop();
  });
});

describe('signals to the whole group', () => {
  it('Ctrl-C in the terminal drains a local answer to its end', async (t) => {
    const gateway = await Gateway.start({ detached: true, config: { server: { drain_timeout: '20s' } } });
    const probe = await chat(gateway.port, 'tollgate-tiny', { max_tokens: 1 }, { ms: 30000 });
    if (probe.status !== 200) {
      await gateway.stop();
      t.skip('this binary was built without llama.cpp');
      return;
    }
    const stream = await LiveStream.open(gateway.port, { json: chatBody('tollgate-tiny', { stream: true, max_tokens: 1200, temperature: 1.5,
      messages: [{ role: 'user', content: 'Tell me a long story about a fox.' }] }) });
    await stream.next();
    process.kill(-gateway.pid, 'SIGINT');
    const rest = await stream.rest(30000);
    assert.equal(rest.at(-1), '[DONE]', rest.slice(-2).join('\n'));
    assert.deepEqual(await gateway.child.ending(), { code: 0, signal: null });
  });
});
