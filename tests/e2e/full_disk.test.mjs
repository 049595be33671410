// A database that may not grow any more: answers still come, the log says what was not kept, and what
// was kept before is there after a hard end.
import assert from 'node:assert/strict';
import path from 'node:path';
import { it } from 'node:test';
import { request } from './support/http.mjs';
import { Gateway, temporaryFolder } from './support/process.mjs';
import { until } from './support/wait.mjs';

it('a full disk costs what is kept, not what is asked', async () => {
  const folder = temporaryFolder();
  const options = { folder, env: { STORE_PATH: path.join(folder, 'kept.db') },
    config: { models: { m: { backend_type: 'mock', mock: { text: 'said' } } } } };
  const ask = (gateway, json) => request(gateway.port, { path: '/v1/responses', json: { model: 'm', ...json } });
  const full = await Gateway.start({ ...options, limitBlocks: 400 });
  const kept = (await ask(full, { input: 'first' })).json.id;
  for (let i = 0; i < 40; i++) assert.equal((await ask(full, { input: 'x'.repeat(9000) })).status, 200, `request ${i}`);
  await until(() => full.logs().some((l) => l.event === 'store_failed'), 'the log says that the database fails');
  full.child.kill('SIGKILL');
  await full.child.ending();
  const next = await Gateway.start(options);
  assert.equal((await request(next.port, { path: `/v1/responses/${kept}` })).json.id, kept);
  assert.equal((await ask(next, { input: 'more', previous_response_id: kept })).status, 200);
  await next.stop();
});
