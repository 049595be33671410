// Starts the real binary: gateways, scripted providers, one-shot commands. Everything listens on
// 127.0.0.1 and a port of the system's choice; every process is ended by its own id.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { anythingKept, assertDescribed, unwatch, watch } from './described.mjs';
import { request } from './http.mjs';
import { until, within } from './wait.mjs';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const BIN = path.resolve(process.env.TOLLGATE_BIN ?? path.join(ROOT, 'build/tollgate'));
// What lies beside the repository on some machines: recorded traffic of providers.
export const SHARED = path.resolve(ROOT, '../shared');

// A sanitizer's shadow memory says nothing about the program's own.
export const SANITIZED = Boolean(process.env.ASAN_OPTIONS || process.env.TSAN_OPTIONS);

const START_MS = 20000;
const STOP_MS = 20000;
const running = new Set();

// What a failed test left behind must neither live on nor keep the runner waiting.
function killAll() {
  for (const child of running) child.kill('SIGKILL');
}
after(killAll);
after(async () => {
  if (!anythingKept()) return;
  const gateway = await Gateway.start({ config: {} });
  const document = (await request(gateway.port, { path: '/openapi.json' })).json;
  await gateway.stop();
  assertDescribed(document);
});
const folders = [];
process.on('exit', () => {
  killAll();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder that is gone when the test's process ends. */
export function temporaryFolder() {
  const folder = mkdtempSync(path.join(tmpdir(), 'tollgate-e2e-'));
  folders.push(folder);
  return folder;
}

function configText(config) {
  return typeof config === 'string' ? config : JSON.stringify(config, null, 2);
}

/** Nothing of the tester's own settings reaches the program, and nothing is kept behind its back. */
function cleanEnvironment(extra) {
  const kept = {};
  for (const name of ['PATH', 'TMPDIR', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS']) {
    if (process.env[name]) kept[name] = process.env[name];
  }
  return { ...kept, STORE_PATH: 'memory', ...extra };
}

/** A child with its output collected; `lines(which)` are whole lines so far. */
export class Child {
  constructor(command, args, { env, cwd, stdin, detached } = {}) {
    this.stdout = '';
    this.stderr = '';
    this.process = spawn(command, args, { env, cwd, detached, stdio: [stdin ?? 'ignore', 'pipe', 'pipe'] });
    this.pid = this.process.pid;
    running.add(this.process);
    this.exit = new Promise((resolve, reject) => {
      this.process.once('error', reject);
      this.process.once('close', (code, signal) => {
        running.delete(this.process);
        this.ended = { code, signal };
        resolve(this.ended);
      });
    });
    this.exit.catch(() => {});
    this.process.stdout.setEncoding('utf8').on('data', (text) => { this.stdout += text; });
    this.process.stderr.setEncoding('utf8').on('data', (text) => { this.stderr += text; });
  }

  kill(signal = 'SIGTERM') {
    this.process.kill(signal);
  }

  async ending(ms = STOP_MS) {
    return await within(this.exit, ms, `the end of process ${this.pid}\n${this.stderr.slice(-4000)}`);
  }
}

/** Runs `tollgate ARGS…` to its end. */
export async function run(args, { env, cwd, input, ms = STOP_MS } = {}) {
  const child = new Child(BIN, args, {
    env: cleanEnvironment(env), cwd: cwd ?? temporaryFolder(),
    stdin: input === undefined ? 'ignore' : 'pipe',
  });
  if (input !== undefined) child.process.stdin.end(input);
  const { code, signal } = await child.ending(ms);
  return { code, signal, stdout: child.stdout, stderr: child.stderr };
}

/** `limitFiles`: how many descriptors it may have, as `ulimit -n` takes it; `limitBlocks`: how large a file may get, as `ulimit -f` does; `detached`: in a process group of its own. */
export function spawnTollgate(args, { env, cwd, stdin, limitFiles, limitBlocks, detached } = {}) {
  const limits = [limitFiles && `ulimit -n ${limitFiles}`, limitBlocks && `ulimit -f ${limitBlocks}`].filter(Boolean);
  const command = limits.length ? ['sh', '-c', `${limits.join('; ')}; exec "$0" "$@"`, BIN, ...args] : [BIN, ...args];
  const child = new Child(command[0], command.slice(1), { env: cleanEnvironment(env), cwd: cwd ?? temporaryFolder(), stdin, detached });
  let port;
  child.process.stdout.on('data', () => {
    const found = port ? null : /serves on https?:\/\/\S+:(\d+) with/.exec(child.stdout);
    if (found) watch(port = found[1]);
  });
  child.process.once('exit', () => unwatch(port));
  return child;
}

export class Gateway {
  /** `config`: an object (written as JSON, which is YAML) or YAML text; none: no file. */
  static async start({ config, env, args = [], folder = temporaryFolder(), workers = 1,
    file = 'tollgate.yaml', limitFiles, limitBlocks, detached } = {}) {
    const gateway = new Gateway();
    gateway.folder = folder;
    gateway.configFile = path.join(folder, file);
    const all = ['serve', '--port', '0'];
    if (workers) all.push('--workers', String(workers));
    if (config !== undefined) {
      writeFileSync(gateway.configFile, configText(config));
      all.push('--config', gateway.configFile);
    }
    gateway.child = spawnTollgate([...all, ...args], { env, cwd: folder, limitFiles, limitBlocks, detached });
    gateway.pid = gateway.child.pid;
    const found = await until(() => {
      if (gateway.child.ended) throw new Error(`the gateway did not start: ${gateway.child.stderr.slice(-4000)}`);
      return /serves on https?:\/\/\S+:(\d+) with/.exec(gateway.child.stdout);
    }, { ms: START_MS, what: () => `the first screen\n${gateway.child.stderr.slice(-4000)}` });
    gateway.port = Number(found[1]);
    gateway.url = `http://127.0.0.1:${gateway.port}`;
    return gateway;
  }

  /** Every log line so far, parsed; a line that is no JSON fails the test. */
  logs() {
    const text = this.child.stderr;
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    // The configuration's problems are for people: FILE:LINE:COLUMN: error: …
    return whole.split('\n').filter((l) => l && !/^tollgate: |^([^{].*: )?(warning|error): /.test(l))
      .map((l) => {
        try {
          return JSON.parse(l);
        } catch (error) {
          throw new Error(`a log line is not JSON: ${l}`, { cause: error });
        }
      });
  }

  /** The first line that fits, waiting for it. */
  async log(fits, { ms = 5000, from = 0 } = {}) {
    return await until(() => {
      if (this.child.ended) {
        const found = this.logs().slice(from).find(fits);
        if (found) return found;
        throw new Error(`the gateway ended with ${JSON.stringify(this.child.ended)}:\n${this.child.stderr.slice(-4000)}`);
      }
      return this.logs().slice(from).find(fits);
    }, { ms, what: () => `a log line ${fits}\n${this.child.stderr.slice(-4000)}` });
  }

  writeConfig(config) {
    writeFileSync(this.configFile, configText(config));
  }

  /** SIGHUP, and its outcome's log line. */
  async reload(config) {
    if (config !== undefined) this.writeConfig(config);
    const from = this.logs().length;
    this.child.kill('SIGHUP');
    return await this.log((l) => l.event === 'config_reloaded' || l.event === 'config_reload_failed',
      { from });
  }

  fds() {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  rssBytes() {
    const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'));
    return Number(line[1]) * 1024;
  }

  cpuSeconds() {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  childPids() {
    const file = `/proc/${this.pid}/task/${this.pid}/children`;
    const all = new Set();
    for (const task of readdirSync(`/proc/${this.pid}/task`)) {
      const text = readFileSync(file.replace(`task/${this.pid}/`, `task/${task}/`), 'utf8').trim();
      for (const pid of text.split(' ').filter(Boolean)) all.add(Number(pid));
    }
    return [...all];
  }

  /** SIGTERM; asserts a clean end. */
  async stop({ signal = 'SIGTERM', ms = STOP_MS } = {}) {
    if (!this.child.ended) this.child.kill(signal);
    const end = await this.child.ending(ms);
    assert.deepEqual(end, { code: 0, signal: null }, this.child.stderr.slice(-4000));
    this.logs(); // all of them are JSON
    return end;
  }
}

export class Mock {
  static async start({ script, args = [] } = {}) {
    const mock = new Mock();
    const all = ['mock', '--port', '0', ...args];
    if (script) all.push('--script', script);
    mock.child = spawnTollgate(all);
    const found = await until(() => {
      if (mock.child.ended) throw new Error(`the mock ended: ${mock.child.stderr}`);
      return /serves on (https?):\/\/[^:]+:(\d+)\/v1/.exec(mock.child.stdout);
    }, { ms: START_MS, what: 'the mock' });
    mock.port = Number(found[2]);
    mock.url = `${found[1]}://127.0.0.1:${mock.port}/v1`;
    return mock;
  }

  async stop() {
    this.child.kill('SIGTERM');
    assert.deepEqual(await this.child.ending(), { code: 0, signal: null }, this.child.stderr);
  }
}

/** Serves the recorded cases; null when they are not there. */
export class Replay {
  static missing() {
    const wanted = [path.join(SHARED, 'tools/replay_server.py'), path.join(SHARED, 'recordings')];
    return wanted.every((p) => existsSync(p)) ? null : 'no recordings beside the repository';
  }

  static async start() {
    const replay = new Replay();
    replay.child = new Child('python3', [path.join(SHARED, 'tools/replay_server.py'), '--dir',
      path.join(SHARED, 'recordings'), '--port', '0'], { env: cleanEnvironment() });
    const found = await until(() => {
      if (replay.child.ended) throw new Error(`the replay server ended: ${replay.child.stderr}`);
      return /on http:\/\/127\.0\.0\.1:(\d+)/.exec(replay.child.stdout);
    }, { ms: START_MS, what: 'the replay server' });
    replay.port = Number(found[1]);
    replay.url = `http://127.0.0.1:${replay.port}`;
    return replay;
  }

  async stop() {
    this.child.kill('SIGKILL');
    await this.child.ending();
  }
}
