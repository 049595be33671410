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
import { AGENTS, handOn, nowhere, place, recorded, runAgent, textsOf } from './agents.mjs';

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

/** The texts of a provider's messages in these roles; `body` is OpenAI's chat format. */
function messageTexts(body, ...roles) {
  return body.messages.filter((m) => roles.includes(m.role)).flatMap((m) => textsOf(m.content));
}

function assertAllIn(wanted, texts, what) {
  const all = texts.join('\n');
  for (const text of wanted) {
    assert.ok(all.includes(text), `${what} is not whole: ${JSON.stringify(text.slice(0, 200))}`);
  }
}

/** What an agent sent and what the provider got, in OpenAI's chat format. */
function assertArrived(agent, sent, got) {
  assert.ok(agent.system(sent).join('').length > 3000, 'a system prompt');
  assertAllIn(agent.system(sent), messageTexts(got, 'system', 'developer'), 'the system prompt');
  const offered = agent.tools(sent);
  assert.ok(offered.length >= 8, 'the agent offers tools');
  assert.equal(got.tools.length, offered.length);
  for (const tool of offered) {
    const arrived = got.tools.find((t) => (tool.namespace
      ? t.function.name.includes(tool.namespace) && t.function.name.endsWith(tool.name)
      : t.function.name === tool.name));
    assert.ok(arrived, `the tool ${tool.name}`);
    assert.equal(arrived.type, 'function');
    assert.equal(arrived.function.description, tool.description);
    assert.deepEqual(arrived.function.parameters, tool.parameters);
  }
  assertAllIn(agent.results(sent), messageTexts(got, 'tool'), "a tool's result");
}

describe('coding agents through an OpenAI-compatible provider', () => {
  let proxy;
  before(async () => { proxy = await nowhere(); });
  after(() => proxy.stop());

  for (const [name, agent] of Object.entries(AGENTS)) {
    it(`${name} finishes its task`, async (t) => {
      const at = place();
      const folder = temporaryFolder();
      const [steps, record] = [path.join(folder, 'steps.json'), path.join(folder, 'record.jsonl')];
      writeFileSync(steps, JSON.stringify(script(at.work)));
      const mock = await Mock.start({ args: ['--script', steps, '--record', record] });
      const gateway = await Gateway.start({ config: { models: { scripted: {
        backend_type: 'openai_compatible', base_url: mock.url, api_key: 'provider-key' } } } });
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

      const got = recorded(record);
      assert.deepEqual(got.map((r) => r.target), Array(3).fill('/v1/chat/completions'));
      assert.deepEqual(between.requests.map((r) => [r.method, r.status]), Array(3).fill(['POST', 200]));
      for (const [i, sent] of between.requests.entries()) {
        assert.match(sent.path, agent.endpoint);
        assertArrived(agent, sent.json, got[i].body);
        assert.equal(Object.fromEntries(got[i].headers).authorization, 'Bearer provider-key');
        assert.ok(!JSON.stringify(got[i]).includes('client-key'), "the client's key stays here");
      }
      const last = got[2].body;
      assertAllIn([GREETING.trim(), 'ran 42'], messageTexts(last, 'tool'), "a tool's result");
      const calls = last.messages.flatMap((m) => m.tool_calls ?? []);
      const results = last.messages.filter((m) => m.role === 'tool').map((m) => m.tool_call_id);
      assert.equal(calls.length, 3);
      assert.deepEqual(results.toSorted(), calls.map((c) => c.id).toSorted());
      if (proxy.tried.size) t.diagnostic(`refused: ${[...proxy.tried].join(' ')}`);
      await between.stop();
      await gateway.stop();
      await mock.stop();
    });
  }
});
