// The vendors' and the frameworks' clients, unmodified, in front of every adapter: each of them
// chats, streams, runs two tools at once, gets an answer by a schema, embeds, leaves in the middle and
// fails, at each provider's own format. What a format does not have must be refused clearly. The
// matrix of what was done is printed at the end.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { clientsOf } from './support/clients.mjs';
import { LiveStream, chat as rawChat } from './support/http.mjs';
import { Gateway, temporaryFolder } from './support/process.mjs';
import { BACKENDS, COMPLAINTS, INPUTS, PERSON, Provider, QUESTION, RETRY_AFTER, SAID, SCHEMA, SYSTEM, USAGE, VERDICT, WEATHER }
  from './support/provider.mjs';
import { vectorOf } from './support/formats/common.mjs';
import { until } from './support/wait.mjs';

const ASPECTS = ['chat', 'stream', 'tools', 'streamed tools', 'json', 'embed', 'rerank', 'abort', 'limited', 'bad', 'cut off'];
const REMOTE = Object.keys(BACKENDS);
const KINDS = [...REMOTE, 'mock', 'local'];
const CLIENTS = Object.keys(clientsOf('http://nowhere'));
const GOOD = new Set(['stop', 'completed', 'end_turn', 'STOP']);
const text = SAID.join('');

// Who ranks documents, in one form or another.
const RANKS = new Set(['openai', 'openai_responses', 'openai_compatible', 'huggingface', 'cohere', 'mock']);

let provider, gateway, clients;
let noEngine = null;
let count = 0;

// ---- where a format has no place for it: the answer is a clear no

/** What a refusal says; undefined where there is none. */
function refusal(client, kind, aspect) {
  const claude = ['anthropic', 'vertex_claude', 'bedrock', 'bedrock_invoke'].includes(kind);
  if (aspect === 'embed' && claude) return /nothing that answers/;
  if (client === 'cohere-ai' && !RANKS.has(kind)) return /nothing that answers/;
  return undefined;
}

// ---- what each aspect asserts at a provider

const ESTIMATE = 22; // what count_tokens says of the question and the system's message
const ASK = { question: QUESTION, system: SYSTEM, schema: SCHEMA };
const LIMITED = { status: 429, says: COMPLAINTS.limited, retryAfter: /^7$/ };
const BAD = { status: 400, says: COMPLAINTS.bad };

/** What reached the provider: [a stream?, results of tools] of each request, and the system's message in all of them. */
function requests(c, kind, model, expected) {
  if (!REMOTE.includes(kind)) return;
  const all = provider.of(model).requests.map((q) => q.asked);
  assert.deepEqual(all.map((a) => [a.stream, a.results.length]), expected);
  const system = c === clients['openai completions'] ? '' : SYSTEM;
  for (const asked of all) assert.equal(asked.system ?? '', system);
}

function checkSaid(r, kind) {
  assert.equal(r.text.trim(), text);
  if (r.finish !== undefined) assert.ok(GOOD.has(r.finish), r.finish);
  assert.equal(r.input, USAGE.input);
  assert.equal(r.output, USAGE.output);
  if (r.cached !== undefined && kind !== 'ollama') assert.equal(r.cached, USAGE.cached);
}

/** LangChain adds up what Anthropic's stream says at its start and at its end. At the start only some
 * providers know what the prompt came to, so it stays with the gateway's estimate of it, which is the
 * same at all others; Anthropic's own counts a first token of the answer there. */
function streamed(r, c, kind) {
  if (c !== clients['langchain anthropic']) return r;
  const early = ['anthropic', 'vertex_claude', 'bedrock_invoke'].includes(kind);
  assert.deepEqual([r.input, r.output], early ? [USAGE.input, USAGE.output + 1] : [ESTIMATE, USAGE.output]);
  return { ...r, input: USAGE.input, cached: undefined, output: USAGE.output };
}

async function loop(c, kind, model, asStream) {
  const r = await c.tools(model, ASK, asStream);
  assert.deepEqual(r.asked, Object.keys(WEATHER).map((city) => ({ city })));
  assert.equal(r.text.trim(), VERDICT);
  requests(c, kind, model, [[asStream, 0], [asStream, 2]]);
}

/** The same error for an answer and for a stream, of the client's own class. */
async function fails(c, model, ask, { status, says, retryAfter }) {
  for (const way of c.rerank ? [c.rerank] : [c.chat, c.stream]) {
    await assert.rejects(way(model, ask), (e) => {
      const fault = c.fault(e);
      assert.equal(fault.status, status, `${e.name}: ${e.message}`);
      assert.ok(fault.own, `${e.constructor.name} is not its class for ${status}`);
      assert.ok(says instanceof RegExp ? says.test(fault.message) : fault.message.includes(says), fault.message);
      if (retryAfter && 'retryAfter' in fault) assert.match(String(fault.retryAfter), retryAfter);
      return true;
    });
  }
}

const REMOTE_CHECKS = {
  async chat(c, kind, model) {
    checkSaid(await c.chat(model, ASK), kind);
    requests(c, kind, model, [[false, 0]]);
  },
  async stream(c, kind, model) {
    checkSaid(streamed(await c.stream(model, ASK), c, kind), kind);
    requests(c, kind, model, [[true, 0]]);
  },
  tools: (c, kind, model) => loop(c, kind, model, false),
  'streamed tools': (c, kind, model) => loop(c, kind, model, true),
  async json(c, kind, model) {
    assert.deepEqual(await c.json(model, ASK), PERSON);
  },
  async embed(c, kind, model) {
    assert.deepEqual((await c.embed(model)).map((v) => [...v]), INPUTS.map(vectorOf));
  },
  async rerank(c, kind, model) {
    assert.deepEqual(await c.rerank(model), [[1, 0.5], [0, 0.25]]);
  },
  async abort(c, kind, model) {
    await c.abort(model, ASK);
    await provider.left(model);
  },
  limited: (c, kind, model) => fails(c, model, ASK, LIMITED),
  bad: (c, kind, model) => fails(c, model, ASK, BAD),
  // A stream that breaks off is an error, never a short answer.
  'cut off': (c, kind, model) => assert.rejects(c.stream(model, ASK), (e) => /broke off|break off/.test(e.message)),
};

// ---- at the mock, which plays the same conversation

const SCRIPT = { steps: [
  { when: { model: 'mock-tools', turn: 0, tools: 'weather' }, text: 'Let me look.',
    calls: Object.keys(WEATHER).map((city) => ({ tool: 'weather', arguments: { city } })) },
  { when: { model: 'mock-tools', turn: 1, result: Object.values(WEATHER) }, text: VERDICT },
  { when: { model: 'mock-json', tools: true }, calls: [{ tool: '*', arguments: PERSON }] },
  { when: { model: 'mock-json' }, text: JSON.stringify(PERSON) },
  { when: { model: 'mock-chat' }, text, usage: { input: USAGE.input - USAGE.cached, cache_read: USAGE.cached, output: USAGE.output } },
] };

function mockModels() {
  const script = path.join(temporaryFolder(), 'script.json');
  writeFileSync(script, JSON.stringify(SCRIPT));
  const mock = (settings) => ({ backend_type: 'mock', mock: settings });
  return { ...Object.fromEntries(['chat', 'tools', 'json'].map((name) => [`mock-${name}`, mock({ script })])), 'mock-embed': mock({}),
    'mock-cut': mock({ text, fault: 'reset', fault_after: 2 }),
    'mock-slow': { ...mock({ tokens: 10000, delay: '5ms' }), aliases: CLIENTS.map((_, i) => `mock-slow.${i}`) },
    'mock-limited': mock({ status: 429, retry_after_s: RETRY_AFTER }), 'mock-bad': mock({ status: 400 }) };
}

const unit = (vectors) => vectors.length === INPUTS.length && vectors.every((v) => Math.abs(v.reduce((s, x) => s + x * x, 0) - 1) < 0.01);

/** The gateway has written down that the client of a request went away. */
async function noted(model) {
  await until(() => gateway.child.stderr.split('\n').find((l) => l.includes(`"${model}"`) && /client_closed_request|"cancelled"/.test(l)),
    { every: 50, what: `a log line on ${model}` });
}

const MOCK_CHECKS = {
  ...REMOTE_CHECKS,
  async embed(c, kind, model) {
    assert.ok(unit(await c.embed(model)));
  },
  async rerank(c, kind, model) {
    assert.equal((await c.rerank(model)).length, INPUTS.length);
  },
  async abort(c, kind, model) {
    await c.abort(model, ASK);
    await noted(model);
  },
  limited: (c, kind, model) => fails(c, model, ASK, { ...LIMITED, says: /the mock was told/ }),
  bad: (c, kind, model) => fails(c, model, ASK, { ...BAD, says: /the mock was told/ }),
};

// ---- at the model that is built in: real inference by the local engine

const CAPITAL = 'What is the capital of France?';
const LOCAL = { question: CAPITAL, temperature: 0, schema: SCHEMA, force: true };
const STORY = 'Tell me a long story about a fox.';
const BEGINNING = 'Once upon a time'; // of a text that goes on, where there is no chat
const LONG = { ...LOCAL, question: 'word '.repeat(6000) };
const builtin = (settings) => ({ backend_type: 'local', model_name: 'builtin', ...settings });
const localModels = { local: builtin({}), 'local-limited': builtin({ engine: { slots: 1, max_queue: 0 } }),
  'local-slow': builtin({ aliases: CLIENTS.map((_, i) => `local-slow.${i}`), engine: { slots: 4 } }) };
// An answer that takes seconds, as each of its words must fit a schema.
const HOG = { stream: true, messages: [{ role: 'user', content: 'List them.' }],
  response_format: { type: 'json_schema', json_schema: { name: 'list', schema: { type: 'array', items: { enum: ['a'] }, minItems: 1000 } } } };
const turns = {}; // by model: one after the other

/** Runs `work` while `n` other requests keep a model busy. */
function whileBusy(model, n, work) {
  const mine = (turns[model] ?? Promise.resolve()).then(async () => {
    const hogs = await Promise.all(Array.from({ length: n }, () => LiveStream.open(gateway.port, { json: { model, ...HOG } })));
    try {
      for (const hog of hogs) assert.ok(await hog.next(30000));
      await work();
    } finally {
      for (const hog of hogs) hog.abort();
    }
    await until(async () => (await rawChat(gateway.port, model, { max_tokens: 1 })).status === 200, { what: 'a free slot' });
  });
  turns[model] = mine.catch(() => {});
  return mine;
}

async function localLoop(c, model, asStream) {
  const r = await c.tools(model, LOCAL, asStream);
  if (!c.noChoice) {
    assert.ok(r.asked.length > 0);
    for (const args of r.asked) assert.ok(args.city in WEATHER, JSON.stringify(args));
  }
  assert.ok(r.text.length > 0);
}

const LOCAL_CHECKS = {
  async chat(c, kind, model) {
    const raw = c === clients['openai completions'];
    const r = await c.chat(model, raw ? { ...LOCAL, question: BEGINNING } : LOCAL);
    assert.match(r.text, raw ? /^, there was a/ : /Paris/);
    assert.ok(r.input > 3 && r.output > 1 && r.text.length > 0, JSON.stringify(r));
  },
  async stream(c, kind, model) {
    const whole = await c.chat(model, LOCAL);
    const r = await c.stream(model, LOCAL);
    assert.equal(r.text, whole.text);
    assert.equal(r.output, whole.output);
    if (c !== clients['langchain anthropic']) assert.equal(r.input, whole.input);
  },
  tools: (c, kind, model) => localLoop(c, model, false),
  'streamed tools': (c, kind, model) => localLoop(c, model, true),
  async json(c, kind, model) {
    const person = await c.json(model, LOCAL);
    assert.deepEqual(Object.keys(person), ['name', 'age']);
    assert.ok(typeof person.name === 'string' && Number.isInteger(person.age), JSON.stringify(person));
  },
  embed: MOCK_CHECKS.embed,
  async abort(c, kind, model) {
    const question = c === clients['openai completions'] ? BEGINNING : STORY;
    await whileBusy('local-slow', 3, () => c.abort(model, { ...LOCAL, question }));
    await noted(model);
  },
  limited: (c, kind, model) => whileBusy(model, 1, () => fails(c, model, LOCAL, { status: 429, says: /wait for the local model/, retryAfter: /^\d+$/ })),
  bad: (c, kind, model) => fails(c, model, LONG, { status: 400, says: /context/ }),
};

// ---- one cell of the matrix

const CHECKS = { mock: MOCK_CHECKS, local: LOCAL_CHECKS };
const SCENES = { chat: 'chat', stream: 'chat', tools: 'tools', 'streamed tools': 'tools', json: 'json', embed: 'embed', rerank: 'embed',
  abort: 'slow', limited: 'limited', bad: 'bad', 'cut off': 'cut' };
const table = new Map(); // client → kind → { aspect: mark }

function mark(client, kind, aspect, sign) {
  const row = table.get(client) ?? table.set(client, new Map()).get(client);
  const cell = row.get(kind) ?? row.set(kind, {}).get(kind);
  cell[aspect] = sign;
}

/** A name for each call at a provider; elsewhere for each client that leaves, to tell their log lines apart. */
function nameOf(client, kind, aspect) {
  const scene = SCENES[aspect];
  if (REMOTE.includes(kind)) return `${kind}:${scene}.${++count}`;
  if (scene === 'slow') return `${kind}-slow.${CLIENTS.indexOf(client)}`;
  return kind === 'mock' || scene === 'limited' ? `${kind}-${scene}` : kind;
}

async function play(client, kind, aspect) {
  const c = clients[client];
  const model = nameOf(client, kind, aspect);
  const method = { 'streamed tools': 'tools', 'cut off': 'stream', limited: c.chat ? 'chat' : 'rerank', bad: c.chat ? 'chat' : 'rerank' }[aspect] ?? aspect;
  if (aspect === 'cut off' && kind === 'local') return '.';
  if (!c[method]) {
    if (aspect === 'rerank') return ' ';
    await c.lacks[method](model, ASK);
    return '-';
  }
  const no = refusal(client, kind, aspect);
  if (no) {
    await assert.rejects(c[method](model, ASK, aspect === 'streamed tools'), (e) => {
      assert.match(c.fault(e).message, no);
      assert.equal(c.fault(e).status, 400);
      return true;
    });
    assert.deepEqual(provider.of(model).requests, []);
    return 'x';
  }
  try {
    await (CHECKS[kind] ?? REMOTE_CHECKS)[aspect](c, kind, model);
  } catch (error) {
    const { problems } = provider.of(model);
    if (problems.length) throw new Error(`the provider says: ${problems.join('; ')}`, { cause: error });
    throw error;
  }
  assert.deepEqual(provider.of(model).problems, []);
  return aspect[0];
}

function print() {
  const width = Math.max(...CLIENTS.map((c) => c.length));
  const head = (s) => s.padEnd(ASPECTS.length + 1);
  const rows = CLIENTS.map((client) => `${client.padEnd(width)}  ${KINDS.map((kind) => head(ASPECTS
    .map((a) => table.get(client)?.get(kind)?.[a] ?? '?').join(''))).join(' ')}`);
  console.log([`each cell: ${ASPECTS.join(', ')}`, 'x: refused clearly, as the format has no place for it; -: the client has no such call; .: see local_engine.test.mjs; !: failed',
    `${' '.repeat(width)}  ${KINDS.map((k) => head(k.slice(0, ASPECTS.length))).join(' ')}`, ...rows].join('\n'));
}

describe('clients in front of adapters', { concurrency: 6 }, () => {
  before(async () => {
    provider = await Provider.start();
    gateway = await Gateway.start({ config: { models: { ...provider.models(), ...mockModels(), ...localModels }, retry: { max_attempts: 1 },
      breaker: { consecutive_failures: 10000, min_requests: 1000000 } } });
    clients = clientsOf(gateway.url);
    const loaded = await rawChat(gateway.port, 'local', { max_tokens: 1 }, { ms: 60000 });
    if (/built without llama\.cpp/.test(loaded.text)) noEngine = 'this binary was built without llama.cpp';
    else assert.equal(loaded.status, 200, loaded.text);
  });

  after(async () => {
    print();
    await gateway?.stop();
    await provider?.stop();
  });

  for (const client of CLIENTS) {
    for (const kind of KINDS) {
      it(`${client} at ${kind}`, async (t) => {
        if (kind === 'local' && noEngine) {
          t.skip(noEngine);
          return;
        }
        for (const aspect of ASPECTS) {
          await t.test(aspect, async () => {
            mark(client, kind, aspect, '!');
            mark(client, kind, aspect, await play(client, kind, aspect));
          });
        }
      });
    }

    it(`${client}: an unknown model is its own kind of error`, async () => {
      await fails(clients[client], 'no-such-model', ASK, { status: 404, says: 'no-such-model' });
    });
  }
});
