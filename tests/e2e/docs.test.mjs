// What the documentation says is true: every example runs and gives what the page shows, every
// table of endpoints, codes, metrics and events is that of the program, every link leads somewhere.
//
// An HTML comment right before a code block says what to do with it:
//   run: with the configuration above   the gateway has the page's last YAML block
//   run: in the background              it serves until its page is done
//   not run: why                        only looked at
//   fails: N                            its exit status
//   error: CODE                         the answer is that error
//   output: lines | json                the block is what the one before it printed
//   log: EVENT                          the block is such a line of the log
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { chat, request } from './support/http.mjs';
import { parseMetrics } from './support/metrics.mjs';
import { BIN, Child, Gateway, Mock, ROOT, temporaryFolder } from './support/process.mjs';
import { until } from './support/wait.mjs';

const RUN_MS = 60000;
const docs = ['README.md', 'HACKING.md', 'SECURITY.md', 'CHANGELOG.md', 'examples/README.md',
  ...markdownIn('docs'), ...markdownIn('docs/decisions')].filter((p) => existsSync(path.join(ROOT, p)));
// Figures come with how they were measured, which nobody wants to repeat in a test.
const measured = new Set(['docs/performance.md']);

function markdownIn(folder) {
  if (!existsSync(path.join(ROOT, folder))) return [];
  return readdirSync(path.join(ROOT, folder)).filter((n) => n.endsWith('.md')).map((n) => `${folder}/${n}`).sort();
}

function read(file) {
  return readFileSync(path.join(ROOT, file), 'utf8');
}

/** The code blocks of a page: language, text, line, and the comment's orders. */
export function blocksOf(text) {
  const blocks = [];
  let block, orders = {};
  text.split('\n').forEach((line, i) => {
    const fence = /^\s*```(\S*)\s*$/.exec(line);
    if (block && fence) {
      blocks.push(block);
      block = undefined;
      orders = {};
    } else if (block) {
      block.lines.push(line.slice(Math.min(block.indent, line.length - line.trimStart().length)));
    } else if (fence) {
      block = { language: fence[1], line: i + 1, orders, lines: [], indent: line.indexOf('`'),
        get text() { return `${this.lines.join('\n')}\n`; } };
    } else if (line.trim()) {
      const order = /^\s*<!-- (run|not run|fails|error|output|log): (.*) -->$/.exec(line);
      orders = order ? { ...orders, [order[1]]: order[2] } : {};
    }
  });
  assert.equal(block, undefined, 'a code block does not end');
  return blocks;
}

// ---- running

/** What varies from run to run, made equal. */
function mask(text) {
  return text.replace(/\b(req_|chatcmpl-|cmpl-|llm-)[A-Za-z0-9]+/g, '$1ID')
    .replace(/\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4}/g, 'DAY')
    .replace(/\d+(\.\d+)?/g, 'N');
}

function assertLines(expected, output, where) {
  const got = output.split('\n').map((l) => mask(l.trimEnd()));
  for (const line of expected.split('\n').filter((l) => l.trim())) {
    assert.ok(got.includes(mask(line.trimEnd())), `${where} shows a line that does not come:\n${line}\n\nwhat came:\n${output}`);
  }
}

/** Same members in the same order, same texts; numbers may differ. */
function assertSame(expected, got, where) {
  if (expected === null || typeof expected !== 'object') {
    assert.equal(typeof got, typeof expected, where);
    if (typeof expected !== 'number') assert.equal(mask(String(got)), mask(String(expected)), where);
    return;
  }
  assert.deepEqual(Object.keys(got ?? {}), Object.keys(expected), where);
  for (const key of Object.keys(expected)) assertSame(expected[key], got[key], `${where}.${key}`);
}

/** Blanks and line breaks of a page are for its reader. */
function parseJson(text) {
  try {
    return [JSON.parse(text)];
  } catch {
    return text.trim().split('\n').map((line) => JSON.parse(line));
  }
}

class Page {
  constructor(file, shared) {
    this.file = file;
    this.shared = shared;
    this.folder = temporaryFolder();
    this.background = [];
    mkdirSync(path.join(this.folder, 'bin'));
    symlinkSync(BIN, path.join(this.folder, 'bin/tollgate'));
    symlinkSync(path.join(ROOT, 'tests/e2e/node_modules'), path.join(this.folder, 'node_modules'));
    symlinkSync(path.join(ROOT, 'examples'), path.join(this.folder, 'examples'));
    symlinkSync(path.join(ROOT, 'config'), path.join(this.folder, 'config'));
  }

  async stop() {
    for (const child of this.background) {
      child.kill();
      await child.ending();
    }
    await this.configured?.stop();
  }

  env() {
    return { PATH: `${this.folder}/bin:${process.env.PATH}`, HOME: this.folder, ...this.shared.env,
      GATEWAY_URL: this.shared.gateway.url };
  }

  async gatewayOf(block) {
    if (block.orders.run !== 'with the configuration above') return this.shared.gateway;
    assert.ok(this.yaml, 'no configuration above');
    await this.configured?.stop();
    this.configured = await Gateway.start({ config: this.yaml, folder: temporaryFolder(), env: this.shared.env });
    return this.configured;
  }

  /** The block's program on its gateway: status and all that it printed. */
  async execute(block, command, args) {
    const gateway = await this.gatewayOf(block);
    const text = block.text.replaceAll('127.0.0.1:8000', `127.0.0.1:${gateway.port}`);
    const child = new Child(command, [...args, ...(command === 'bash' ? ['-c', text] : [this.script(block, text)])],
      { env: this.env(), cwd: this.folder });
    const end = await child.ending(RUN_MS);
    this.output = child.stdout;
    this.errors = child.stderr;
    assert.equal(end.code, Number(block.orders.fails ?? 0), `${child.stdout}${child.stderr}`);
  }

  script(block, text) {
    const file = path.join(this.folder, `block-${block.line}.${{ js: 'mjs', python: 'py' }[block.language]}`);
    writeFileSync(file, text);
    return file;
  }

  async serve(block) {
    const text = block.text.trim().replace(/--port \d+/, '--port 0');
    const child = new Child('bash', ['-c', `exec ${text}`], { env: this.env(), cwd: this.folder });
    this.background.push(child);
    await until(() => {
      assert.equal(child.ended, undefined, child.stderr);
      return /serves on http/.test(child.stdout);
    }, { what: () => `a server: ${child.stdout}${child.stderr}` });
  }

  async shell(block) {
    const commands = block.text.replaceAll('\\\n', ' ').split('\n').map((l) => l.replace(/#.*/, '').trim()).filter(Boolean);
    const own = commands.filter((c) => /^(\.\/dev|tools\/|bench\/run)/.test(c));
    own.forEach(assertOwnCommand);
    if (own.length === commands.length) return;
    assert.equal(own.length, 0, 'commands of the repository and others in one block');
    if (block.orders.run === 'in the background') {
      await this.serve(block);
      return;
    }
    await this.execute(block, 'bash', ['-euo', 'pipefail']);
    const failure = /"error":\{[^\n]*"code":"(\w+)"/.exec(this.output);
    const shown = this.next?.orders.output && !block.orders.error; // then the page says what comes
    if (!shown) assert.equal(failure?.[1], block.orders.error, this.output);
    assert.ok(this.output.trim() || !/curl/.test(block.text), 'no answer');
  }

  async yamlBlock(block) {
    const name = /^# (\S+\.yaml)\n/.exec(block.text)?.[1] ?? 'tollgate.yaml';
    const file = path.join(this.folder, name);
    this.yaml = block.text;
    writeFileSync(file, block.text);
    const done = spawnSync(BIN, ['check-config', '--quiet', file], { env: this.env(), cwd: this.folder, encoding: 'utf8' });
    assert.equal(done.status, Number(block.orders.fails ?? 0), done.stderr + done.stdout);
    this.output = done.stderr + done.stdout;
  }

  /** A reason when it could not be checked here. */
  async check(block, next) {
    this.next = next;
    const where = `${this.file}:${block.line}`;
    if (block.language === 'json') parseJson(block.text);
    if ('not run' in block.orders) {
      assert.ok(block.orders['not run'].length > 10, 'a block that is not run needs a reason');
      return undefined;
    }
    if (block.orders.output === 'lines') assertLines(block.text, this.output, where);
    else if (block.orders.output === 'json') assertSame(parseJson(block.text), parseJson(this.output), where);
    else if (block.orders.log) await this.logLine(block, where);
    else return await this.byLanguage(block);
    return undefined;
  }

  async logLine(block, where) {
    const [expected] = parseJson(block.text);
    const fits = (l) => l.event === block.orders.log && l.stream === expected.stream && l.endpoint === expected.endpoint;
    const line = await this.shared.gateway.log(fits);
    assert.deepEqual(Object.keys(line), Object.keys(expected), where);
  }

  async byLanguage(block) {
    switch (block.language) {
      case 'sh': return await this.shell(block);
      case 'yaml': return await this.yamlBlock(block);
      case 'python': return await this.execute(block, 'python3', []);
      case 'js': return await this.execute(block, process.execPath, []);
      case 'ini': return checkUnit(block, this.folder);
      case 'nginx': return checkNginx(block, this.folder);
      case 'json': case 'text': case 'c': case 'meson': return undefined;
      default: assert.fail(`a block of the unknown language '${block.language}'`);
    }
  }
}

const devCommands = new Set(execFileSync(path.join(ROOT, 'dev'), ['help'], { encoding: 'utf8' })
  .split('\n').slice(1).map((l) => l.trim().split(' ')[0]).filter(Boolean));

/** A command of the repository is not run from its own tests; it is there, that much is sure. */
function assertOwnCommand(command) {
  const [program, name] = command.split(/\s+/);
  assert.ok(existsSync(path.join(ROOT, program)), `no ${program}`);
  if (program === './dev') assert.ok(devCommands.has(name), `./dev has no command '${name}'`);
}

function has(tool) {
  return spawnSync('bash', ['-c', `command -v ${tool}`]).status === 0;
}

function checkUnit(block, folder) {
  if (!has('systemd-analyze')) return 'systemd-analyze is not installed';
  const file = path.join(folder, 'tollgate.service');
  writeFileSync(file, block.text.replace(/^ExecStart(Pre)?=\S+/gm, `ExecStart$1=${BIN}`));
  const done = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
  const own = done.stderr.split('\n').filter((l) => /tollgate\.service/.test(l));
  assert.deepEqual(own, [], done.stderr);
  return undefined;
}

function checkNginx(block, folder) {
  if (!has('nginx') || !has('openssl')) return 'nginx is not installed';
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=test',
    '-keyout', path.join(folder, 'key.pem'), '-out', path.join(folder, 'cert.pem')], { stdio: 'ignore' });
  const text = block.text.replace(/ssl_certificate .*;/g, `ssl_certificate ${folder}/cert.pem;`)
    .replace(/ssl_certificate_key .*;/g, `ssl_certificate_key ${folder}/key.pem;`)
    .replace(/auth_basic_user_file .*;/g, `auth_basic_user_file ${folder}/users;`);
  writeFileSync(path.join(folder, 'users'), 'x:y\n');
  const file = path.join(folder, 'nginx.conf');
  writeFileSync(file, `error_log stderr;\npid ${folder}/nginx.pid;\nevents {}\nhttp {\naccess_log off;\n${text}}\n`);
  const done = spawnSync('nginx', ['-t', '-p', folder, '-c', file], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  return undefined;
}

describe('examples in the documentation', () => {
  const shared = {};
  before(async () => {
    shared.mock = await Mock.start({ script: 'mock:text=The capital of France is Paris.' });
    shared.env = { OPENAI_API_KEY: 'test', OPENAI_BASE_URL: shared.mock.url, LLAMA_API_URL: shared.mock.url,
      GEMINI_API_URL: shared.mock.url, GROQ_API_KEY: 'test', GEMINI_API_KEY: 'test' };
    shared.gateway = await Gateway.start({ args: ['--set', 'engine.temperature=0'] });
    await chat(shared.gateway.port, 'tollgate-tiny'); // for the pages' log lines
  });
  after(async () => {
    await shared.gateway.stop();
    await shared.mock.stop();
  });

  for (const file of docs.filter((f) => !measured.has(f))) {
    describe(file, () => {
      let page;
      before(() => { page = new Page(file, shared); });
      after(async () => await page.stop());
      const blocks = blocksOf(read(file));
      blocks.forEach((block, i) => {
        it(`line ${block.line}: ${block.language}`, async (t) => {
          const missing = await page.check(block, blocks[i + 1]);
          if (missing) t.skip(missing);
        });
      });
    });
  }
});

// ---- links

function anchorsOf(text) {
  let fenced = false;
  const anchors = new Set();
  for (const line of text.split('\n')) {
    if (/^\s*```/.test(line)) fenced = !fenced;
    const heading = fenced ? null : /^#+ (.*)$/.exec(line);
    if (heading) anchors.add(heading[1].toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'));
  }
  return anchors;
}

describe('links', () => {
  for (const file of docs) {
    it(`of ${file} lead somewhere`, () => {
      const text = read(file).replace(/^\s*```[\s\S]*?^\s*```/gm, '').replace(/`[^`\n]*`/g, '');
      for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^(https?|mailto):/.test(link)) continue;
        const [target, anchor] = link.split('#');
        const at = target ? path.join(path.dirname(path.join(ROOT, file)), target) : path.join(ROOT, file);
        assert.ok(existsSync(at), `${link} is not there`);
        if (anchor) assert.ok(anchorsOf(readFileSync(at, 'utf8')).has(anchor), `${link}: no such heading`);
      }
    });
  }
});

// ---- tables

function sources(pattern) {
  const found = new Set();
  for (const file of execFileSync('find', [path.join(ROOT, 'src'), '-name', '*.[ch]'], { encoding: 'utf8' }).trim().split('\n')) {
    for (const m of readFileSync(file, 'utf8').matchAll(pattern)) found.add(m[1]);
  }
  return found;
}

const endpointsIn = (text) => [...text.matchAll(/`(GET|POST|DELETE|PUT) (\/[^`\s]*)`/g)].map((m) => ({ method: m[1], path: m[2] }));

describe('tables', () => {
  let gateway;
  before(async () => {
    gateway = await Gateway.start({ config: { default_model: 'tollgate-tiny', models: { said: { backend_type: 'mock' } } } });
  });
  after(async () => await gateway.stop());

  // What {id} stands for: a model, or an answer that was kept.
  async function idFor(at) {
    if (!at.startsWith('/v1/responses/')) return 'tollgate-tiny';
    const made = await request(gateway.port, { path: '/v1/responses', json: { model: 'said', input: 'hi' } });
    return made.json.id;
  }

  for (const file of ['README.md', 'docs/api.md']) {
    it(`every endpoint of ${file} is served`, async () => {
      const endpoints = endpointsIn(read(file));
      assert.ok(endpoints.length >= 12);
      for (const { method, path: at } of endpoints) {
        const res = await request(gateway.port, { method, path: at.replace('{id}', await idFor(at)),
          ...(method === 'POST' ? { json: {} } : {}) });
        assert.ok(![404, 405, 501].includes(res.status), `${method} ${at}: ${res.status}`);
      }
    });
    it(`${file} has every endpoint of the program`, () => {
      const told = new Set(endpointsIn(read(file)).map((e) => e.path.replace('{id}', '')));
      const served = [...sources(/\{TG_HTTP_[A-Z]+, "(\/[^"]+)"/g), ...sources(/^ {4}\{TG_STR_INIT\("(\/[^"]+)"\)/gm)];
      assert.ok(served.length >= 10, served.join(' '));
      for (const at of served) assert.ok([...told].some((t) => t === at || t.startsWith(at)), `${at} is missing`);
    });
  }

  it('the table of error codes is that of err.def', () => {
    const done = spawnSync('python3', [path.join(ROOT, 'tools/gen_error_docs'), '--check'], { encoding: 'utf8' });
    assert.equal(done.status, 0, done.stderr);
  });

  it('docs/api.md has every metric, and no other', async () => {
    const metrics = parseMetrics((await request(gateway.port, { path: '/metrics' })).text);
    const real = [...metrics.families.keys()];
    const told = new Set([...read('docs/api.md').matchAll(/^\| `((?:llm_gateway|process)_\w+)` \|/gm)].map((m) => m[1]));
    assert.deepEqual([...told].sort(), real.sort());
  });

  it('docs/api.md has every event of the log, and no other', () => {
    const real = new Set([...sources(/tg_log_begin\([^;"]*"(\w+)"/g), ...sources(/tg_log_msg\([^;"]*"(\w+)"/g),
      'request_failed', 'response_generated']);
    const page = read('docs/api.md').split('## Logs')[1].split('\n## ')[0];
    const told = new Set([...page.matchAll(/^\| `(\w+)` \|/gm)].map((m) => m[1]));
    assert.deepEqual([...told].sort(), [...real].sort());
  });

  it('HACKING.md has every command of ./dev', () => {
    for (const name of devCommands) assert.match(read('HACKING.md'), new RegExp(`\\./dev ${name}\\b`));
  });

  it('README.md has every command', () => {
    const help = execFileSync(BIN, ['--help'], { encoding: 'utf8' });
    for (const [, name] of help.split('commands:')[1].split('Start with')[0].matchAll(/^ {2}(\S+)/gm)) {
      assert.match(read('README.md'), new RegExp(`\`tollgate ${name}\``));
    }
  });
});

// ---- examples

describe('examples/', () => {
  let gateway;
  before(async () => { gateway = await Gateway.start({ args: ['--set', 'engine.temperature=0'] }); });
  after(async () => await gateway.stop());
  const interpreters = { sh: 'bash', py: 'python3', mjs: process.execPath };
  const files = existsSync(path.join(ROOT, 'examples'))
    ? readdirSync(path.join(ROOT, 'examples')).filter((n) => !n.endsWith('.md')) : [];
  for (const name of files) {
    const interpreter = interpreters[name.split('.').at(-1)];
    it(name, { skip: interpreter && has(interpreter) ? false : `no interpreter for ${name}` }, async () => {
      const child = new Child(interpreter, [path.join(ROOT, 'examples', name), 'What is the capital of France?'],
        { env: { PATH: process.env.PATH, GATEWAY_URL: gateway.url } });
      const end = await child.ending(RUN_MS);
      assert.equal(end.code, 0, child.stderr);
      assert.match(child.stdout, /Paris/);
      const down = new Child(interpreter, [path.join(ROOT, 'examples', name), 'Hello'],
        { env: { PATH: process.env.PATH, GATEWAY_URL: 'http://127.0.0.1:9' } });
      assert.notEqual((await down.ending(RUN_MS)).code, 0, 'it fails when nobody answers');
    });
  }
});
