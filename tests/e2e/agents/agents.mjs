// Coding agents as their makers ship them: each with a home and a folder of its own, told where the
// gateway is, with updates, telemetry and questions switched off. What is not for 127.0.0.1 goes to
// a proxy that refuses and notes it, so that nothing depends on the network.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { Child, ROOT, temporaryFolder } from '../support/process.mjs';

const PACKAGES = path.join(ROOT, 'tests/e2e/agents/node_modules');
const LIMIT_MS = 150000; // one run, on a slow machine

function file(folder, name, text) {
  mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
  writeFileSync(path.join(folder, name), text);
}

function lastJson(text) {
  return JSON.parse(text.slice(text.indexOf('{')));
}

function jsonLines(text) {
  return text.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
}

/** How each is run, the format it speaks (formats.mjs), and what it reports. */
export const AGENTS = {
  'claude-code': {
    format: 'anthropic',
    command: ({ prompt }) => [path.join(PACKAGES, '@anthropic-ai/claude-code/cli-wrapper.cjs'),
      '-p', prompt, '--model', 'scripted', '--output-format', 'json',
      '--permission-mode', 'acceptEdits', '--allowedTools', 'Bash,Write,Read'],
    environment: ({ url }) => ({
      ANTHROPIC_BASE_URL: url, ANTHROPIC_AUTH_TOKEN: 'client-key',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', DISABLE_TELEMETRY: '1', DISABLE_AUTOUPDATER: '1',
    }),
    prepare() {},
    report(stdout) {
      const said = lastJson(stdout);
      return { text: said.result, failed: said.is_error, usage: {
        input: said.usage.input_tokens, cached: said.usage.cache_read_input_tokens,
        output: said.usage.output_tokens,
        reasoning: said.usage.output_tokens_details.thinking_tokens } };
    },
  },

  codex: {
    format: 'responses',
    command: ({ prompt }) => [path.join(PACKAGES, '@openai/codex/bin/codex.js'),
      'exec', '--json', '--skip-git-repo-check', prompt],
    environment: () => ({ TOLLGATE_KEY: 'client-key' }),
    prepare({ home, url, webSearch = 'disabled' }) {
      file(home, '.codex/config.toml', `
model = "scripted"
model_provider = "tollgate"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
web_search = "${webSearch}" # OpenAI runs that one itself: no other provider can
[model_providers.tollgate]
name = "tollgate"
base_url = "${url}/v1"
wire_api = "responses"
env_key = "TOLLGATE_KEY"
request_max_retries = 0
stream_max_retries = 0
[analytics]
enabled = false
`);
    },
    report(stdout) {
      const events = jsonLines(stdout);
      const said = events.filter((e) => e.type === 'item.completed' && e.item.type === 'agent_message');
      const { usage } = events.find((e) => e.type === 'turn.completed');
      return { text: said.at(-1).item.text, failed: events.some((e) => e.type === 'turn.failed'), usage: {
        input: usage.input_tokens - usage.cached_input_tokens, cached: usage.cached_input_tokens,
        output: usage.output_tokens, reasoning: usage.reasoning_output_tokens } };
    },
  },

  'gemini-cli': {
    format: 'gemini',
    command: ({ prompt }) => [path.join(PACKAGES, '@google/gemini-cli/bundle/gemini.js'),
      '-p', prompt, '--yolo', '-m', 'scripted', '--output-format', 'json'],
    environment: ({ url }) => ({ GOOGLE_GEMINI_BASE_URL: url, GEMINI_API_KEY: 'client-key',
      GEMINI_CLI_TRUST_WORKSPACE: 'true',
      GEMINI_CLI_NO_RELAUNCH: 'true' }), // else it starts itself once more, with other limits of memory
    prepare({ home }) {
      file(home, '.gemini/settings.json', JSON.stringify({
        security: { auth: { selectedType: 'gemini-api-key' } },
        general: { enableAutoUpdate: false, enableAutoUpdateNotification: false },
        privacy: { usageStatisticsEnabled: false }, telemetry: { enabled: false } }));
    },
    report(stdout) {
      const said = lastJson(stdout);
      const { tokens, api } = said.stats.models.scripted;
      return { text: said.response, failed: api.totalErrors > 0, usage: {
        input: tokens.prompt - tokens.cached, cached: tokens.cached,
        output: tokens.candidates + tokens.thoughts, reasoning: tokens.thoughts } };
    },
  },
};

/** Refuses everything; `tried` holds who was to be reached. */
export async function nowhere() {
  const tried = new Set();
  const server = http.createServer((req, res) => {
    tried.add(req.url);
    res.writeHead(403).end();
  });
  server.on('connect', (req, socket) => {
    tried.add(req.url);
    socket.on('error', () => {});
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return { tried, url: `http://127.0.0.1:${server.address().port}`,
    stop: () => { server.closeAllConnections(); server.close(); } };
}

/** Hands on what an agent sends, and keeps it. For Upstream.start(). */
export function handOn(url) {
  return async (req, res, record) => {
    const { host, ...headers } = req.headers;
    const out = http.request(url + req.url, { method: req.method, headers: { ...headers, connection: 'close' } });
    out.on('response', (answer) => {
      record.status = answer.statusCode;
      record.answerHeaders = answer.headers;
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    });
    out.on('error', (error) => res.destroy(error));
    res.on('close', () => out.destroy());
    out.end(record.body);
  };
}

/** A folder to work in and a home, both new. */
export function place() {
  const folder = temporaryFolder();
  const at = { home: path.join(folder, 'home'), work: path.join(folder, 'work') };
  mkdirSync(at.home);
  mkdirSync(at.work);
  return at;
}

/** Runs an agent to its end: { code, stdout, stderr, report }. Whatever it started ends with it. */
export async function runAgent(name, { url, prompt, home, work, proxy, ...options }) {
  const agent = AGENTS[name];
  agent.prepare({ home, url, ...options });
  const child = new Child(process.execPath, agent.command({ prompt }), {
    cwd: work,
    detached: true,
    env: { PATH: process.env.PATH, HOME: home, TMPDIR: home, TERM: 'dumb', LANG: 'C.UTF-8',
      HTTP_PROXY: proxy, HTTPS_PROXY: proxy, NO_PROXY: '127.0.0.1,localhost',
      ...agent.environment({ url }) },
  });
  try {
    const { code } = await child.ending(LIMIT_MS);
    return { code, stdout: child.stdout, stderr: child.stderr };
  } finally {
    try {
      process.kill(-child.pid, 'SIGKILL'); // its group: an agent may leave helpers behind
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  }
}

/** What the mock was sent. */
export function recorded(name) {
  return readFileSync(name, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
}
