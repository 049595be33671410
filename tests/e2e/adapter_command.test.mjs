// `tollgate adapter`: one backend alone, behind a gateway on another host.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chat, request } from './support/http.mjs';
import { Gateway, run, spawnTollgate } from './support/process.mjs';
import { until } from './support/wait.mjs';

/** Its port, once it serves. */
async function adapter(args, env) {
  const child = spawnTollgate(['adapter', ...args, '--port', '0', '--workers', '1'], { env });
  const found = await until(() => /serves on http:\/\/127\.0\.0\.1:(\d+) with/.exec(child.stdout),
    { ms: 20000, what: () => `the adapter's first screen\n${child.stderr}` });
  return { child, port: Number(found[1]) };
}

describe('tollgate adapter', () => {
  it('serves one backend, and a gateway has it as an openai_compatible one', async () => {
    const edge = await adapter(['mock']);
    const gateway = await Gateway.start({ config: { models: {
      far: { backend_type: 'openai_compatible', base_url: `http://127.0.0.1:${edge.port}/v1`, model_name: 'mock:tokens=3' },
    } } });
    const { status, json } = await chat(gateway.port, 'far');
    assert.equal(status, 200);
    assert.equal(json.choices[0].message.content, 'Lorem ipsum dolor ');
    assert.equal(json.usage.completion_tokens, 3);
    await gateway.stop();
    edge.child.kill();
    assert.deepEqual(await edge.child.ending(), { code: 0, signal: null });
  });

  it('takes every name a provider has, and the credential from its own variable', async () => {
    const provider = await adapter(['mock']);
    const edge = await adapter(['ollama', '--base-url', `http://127.0.0.1:${provider.port}`]);
    const { json } = await chat(edge.port, 'mock:text=hello');
    assert.match(json.choices[0].message.content, /^hello/);
    const models = await request(edge.port, { path: '/v1/models' });
    assert.equal(models.status, 200);
    const set = await adapter(['openai_compatible', '--base-url', `http://127.0.0.1:${provider.port}/v1`,
      '--model-name', 'mock:text=any', '--set', 'models.*.timeouts.connect=3s', '--set', 'models.*.display_name=a: "b"', '--set', 'observability.log_level=warning']);
    const shown = await request(set.port, { path: '/v1/models' });
    assert.equal(shown.json.data[0].display_name, 'a: "b"');
    for (const model of [undefined, 'some']) {
      const said = await chat(set.port, model);
      assert.match(said.json.choices[0].message.content, /^any/);
    }
    assert.equal(set.child.stderr, '');
    set.child.kill();
    await set.child.ending();
    for (const { child } of [edge, provider]) {
      child.kill();
      await child.ending();
    }
    const missing = await adapter(['anthropic']);
    const refused = await chat(missing.port, 'claude-x');
    assert.equal(refused.status, 503);
    assert.match(refused.json.error.message, /ANTHROPIC_API_KEY/);
    missing.child.kill();
    await missing.child.ending();
  });

  const mistakes = [[[], /name a backend/], [['nope'], /expected one of openai/], [['a', 'b'], /one backend at a time/],
    [['mock', '--config', 'x.yaml'], /takes no --config/], [['bedrock', '--set', 'models.*.nope=1'], /models\.\*\.nope: unknown/],
    [['bedrock', '--set', 'models.*.timeouts.connect=soon'], /models\.\*\.timeouts\.connect: expected a duration/],
    [['openai_compatible'], /base_url: is required/], [['mock', '--base-url', 'http://x'], /has no effect/]];
  for (const [args, message] of mistakes) {
    it(`${args.join(' ') || 'nothing'}: exit 2 and why`, async () => {
      const { code, stderr } = await run(['adapter', ...args]);
      assert.equal(code, 2);
      assert.match(stderr, message);
    });
  }
});
