// Coding agents do a task through the gateway. The model is a script, and its provider speaks
// another format than the agent. Three turns: a file is written; it is read while a command runs;
// the answer. Everything that the agent said must have arrived, and everything that came back must
// have made sense to it.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Gateway, Mock, temporaryFolder } from '../support/process.mjs';
import { Upstream } from '../support/upstream.mjs';
import { AGENTS, handOn, nowhere, place, recorded, runAgent } from './agents.mjs';
import { FORMATS } from './formats.mjs';

const PROMPT = 'Create hello.txt with a greeting, then read it and count to 42.';
const GREETING = 'héllo from "the model"\n';
const COUNT = "printf 'ran %d\\n' 0x2a";
const USAGE = { input: 50 + 60 + 70, cached: 7, output: 20 + 3 + 10 + 5, reasoning: 3 };

/** One script for all of them: each offers other tools for the same things. */
function script(work) {
  const name = path.join(work, 'hello.txt');
  const shell = (cmd) => ({ tool: 'exec_command', arguments: { cmd } });
  return {
    steps: [
      { name: 'side job', when: { tools: false }, text: 'A title' },
      { name: 'write', when: { turn: 0, last: PROMPT }, reasoning: 'The file has to be there first.',
        text: 'I write it.',
        calls: [[{ tool: ['Write', 'write_file'], arguments: { file_path: name, content: GREETING } },
          shell(`printf '${GREETING.replace('\n', '\\n')}' > hello.txt`)]],
        usage: { input: 50, cache_read: 7, output: 20, reasoning: 3 } },
      { name: 'read', when: { turn: 1, result: true }, text: 'I read it and count.', weave: true,
        calls: [[{ tool: ['Read', 'read_file'], arguments: { file_path: name } }, shell('cat hello.txt')],
          [{ tool: ['Bash', 'run_shell_command'], arguments: { command: COUNT, description: 'counts' } },
            shell(COUNT)]],
        usage: { input: 60, output: 10 } },
      { name: 'done', when: { turn: 2, result: [GREETING.trim(), 'ran 42'] },
        text: 'All done after {{turn}} answers.', usage: { input: 70, output: 5 } },
    ],
  };
}

function assertAllIn(wanted, texts, what) {
  const all = texts.join('\n');
  for (const text of wanted) {
    assert.ok(all.includes(text), `${what} is not whole: ${JSON.stringify(text.slice(0, 200))}`);
  }
}

function assertToolsArrived(offered, arrived, schema = (s) => s) {
  assert.ok(offered.length >= 8, 'the agent offers tools');
  assert.equal(arrived.length, offered.length);
  for (const tool of offered) {
    const same = arrived.find((t) => (tool.namespace
      ? t.name.includes(tool.namespace) && t.name.endsWith(tool.name) : t.name === tool.name));
    assert.ok(same, `the tool ${tool.name}`);
    assert.equal(same.description, tool.description);
    assert.deepEqual(same.parameters, schema(tool.parameters), tool.name);
  }
}

/** What an agent sent, against what the provider got. */
function assertArrived(from, sent, to, got) {
  assert.ok(from.system(sent).join('').length > 3000, 'a system prompt');
  assertAllIn(from.system(sent), to.system(got), 'the system prompt');
  assertToolsArrived(from.tools(sent), to.tools(got), to.schema);
  assertAllIn(from.results(sent).map((r) => r.text), to.results(got).map((r) => r.text), "a tool's result");
  const calls = to.calls(got);
  assert.deepEqual(calls.map((c) => c.arguments), from.calls(sent).map((c) => c.arguments));
  assert.deepEqual(to.results(got).map((r) => r.id).toSorted(), calls.map((c) => c.id).toSorted());
}

/** `tollgate mock` speaks OpenAI's chat format and keeps what it gets itself. */
async function mockProvider(steps) {
  const record = path.join(path.dirname(steps), 'record.jsonl');
  const mock = await Mock.start({ args: ['--script', steps, '--record', record] });
  return {
    target: { backend_type: 'openai_compatible', base_url: mock.url, api_key: 'provider-key' },
    requests: () => recorded(record).map((r) => ({ path: r.target, headers: Object.fromEntries(r.headers), json: r.body })),
    stop: () => mock.stop(),
  };
}

/** A second gateway that plays the script serves every other format. */
function gatewayProvider(target) {
  return async (steps) => {
    const gateway = await Gateway.start({ config: { models: {
      scripted: { backend_type: 'mock', mock: { script: steps } } } } });
    const between = await Upstream.start(handOn(gateway.url));
    return {
      target: { ...target, base_url: between.url.replace('/v1', target.base_url ?? ''), api_key: 'provider-key' },
      requests: () => between.requests.map((r) => ({ path: r.path, headers: r.headers, json: r.json })),
      stop: async () => { await between.stop(); await gateway.stop(); },
    };
  };
}

const PROVIDERS = {
  openai_chat: mockProvider,
  anthropic: gatewayProvider({ backend_type: 'anthropic' }),
  gemini: gatewayProvider({ backend_type: 'gemini' }),
  responses: gatewayProvider({ backend_type: 'openai', base_url: '/v1', api: 'responses' }),
};

describe('coding agents', () => {
  let proxy;
  before(async () => { proxy = await nowhere(); });
  after(() => proxy.stop());

  const pairs = Object.entries(AGENTS).flatMap(([name, agent]) => Object.keys(PROVIDERS)
    .filter((format) => format !== agent.format).map((format) => ({ name, agent, format })));
  for (const { name, agent, format } of pairs) {
    it(`${name} finishes its task with a provider that speaks ${format}`, async (t) => {
      const at = place();
      const steps = path.join(temporaryFolder(), 'steps.json');
      writeFileSync(steps, JSON.stringify(script(at.work)));
      const provider = await PROVIDERS[format](steps);
      const gateway = await Gateway.start({ config: { models: { scripted: provider.target } } });
      const between = await Upstream.start(handOn(gateway.url));

      const run = await runAgent(name, { url: between.url.replace('/v1', ''), prompt: PROMPT, ...at,
        proxy: proxy.url });
      const story = () => `${run.stdout.slice(-3000)}\n${run.stderr.slice(-3000)}\n${
        gateway.child.stderr.slice(-3000)}`;

      assert.equal(run.code, 0, story());
      assert.equal(readFileSync(path.join(at.work, 'hello.txt'), 'utf8'), GREETING);
      const report = agent.report(run.stdout);
      assert.equal(report.failed, false, story());
      assert.equal(report.text, 'All done after 2 answers.', story());
      assert.deepEqual(report.usage, USAGE);

      const [from, to] = [FORMATS[agent.format], FORMATS[format]];
      const got = provider.requests();
      assert.deepEqual(between.requests.map((r) => [r.method, r.status]), Array(3).fill(['POST', 200]));
      assert.equal(got.length, 3);
      for (const [i, sent] of between.requests.entries()) {
        assert.match(sent.path, from.path);
        assert.match(got[i].path, to.path);
        assertArrived(from, sent.json, to, got[i].json);
        const all = JSON.stringify(got[i]);
        assert.ok(all.includes('provider-key') && !all.includes('client-key'), "the client's key stays here");
      }
      assert.equal(to.calls(got[2].json).length, 3);
      assertAllIn([GREETING.trim(), 'ran 42'], to.results(got[2].json).map((r) => r.text), "a tool's result");
      if (proxy.tried.size) t.diagnostic(`refused: ${[...proxy.tried].join(' ')}`);
      await between.stop();
      await gateway.stop();
      await provider.stop();
    });
  }

  it("is told by name which of its provider's own tools another can't run", async () => {
    const at = place();
    const steps = path.join(temporaryFolder(), 'steps.json');
    writeFileSync(steps, JSON.stringify(script(at.work)));
    const provider = await PROVIDERS.openai_chat(steps);
    const gateway = await Gateway.start({ config: { models: { scripted: provider.target } } });
    const run = await runAgent('codex', { url: gateway.url, prompt: PROMPT, ...at, proxy: proxy.url, webSearch: 'live' });
    assert.equal(run.code, 1);
    assert.match(run.stdout, /'tools\[\]\.type' web_search can't be translated for this model's provider/);
    assert.equal(provider.requests().length, 0);
    await gateway.stop();
    await provider.stop();
  });

  it("finishes where the setting `drop` leaves that tool out", async () => {
    const at = place();
    const steps = path.join(temporaryFolder(), 'steps.json');
    writeFileSync(steps, JSON.stringify(script(at.work)));
    const provider = await PROVIDERS.openai_chat(steps);
    const gateway = await Gateway.start({ config: { models: { scripted: { ...provider.target, drop: ['web_search'] } } } });
    const run = await runAgent('codex', { url: gateway.url, prompt: PROMPT, ...at, proxy: proxy.url, webSearch: 'live' });
    assert.equal(run.code, 0, run.stdout + run.stderr);
    assert.ok(provider.requests().length >= 3);
    for (const r of provider.requests()) assert.doesNotMatch(JSON.stringify(r), /"type":"web_search/);
    await gateway.log((l) => l.event === 'response_generated' && /dropped=.*web_search/.test(l.fidelity ?? ''));
    await gateway.stop();
    await provider.stop();
  });
});
