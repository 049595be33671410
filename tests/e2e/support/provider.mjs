// One upstream that plays every provider: the first word of a path says which. It answers in that
// provider's format what the model's name asks for ("anthropic:tools.17" plays `tools` for whatever
// the test calls 17), and writes down what is wrong with a request: path, credential, tools, results.
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import * as anthropic from './formats/anthropic.mjs';
import * as bedrock from './formats/bedrock.mjs';
import * as cohere from './formats/cohere.mjs';
import * as gemini from './formats/gemini.mjs';
import * as ollama from './formats/ollama.mjs';
import * as openai from './formats/openai.mjs';
import { temporaryFolder } from './process.mjs';
import { Upstream, sendJson } from './upstream.mjs';
import { until } from './wait.mjs';

export const QUESTION = 'What is the weather in Paris and in Rome?';
export const SYSTEM = 'Be brief.';
export const SAID = ['Hello ', 'there, ', 'friend.'];
export const PLACE = { type: 'object', properties: { city: { type: 'string', enum: ['Paris', 'Rome'] } }, required: ['city'], additionalProperties: false };
export const SCHEMA = { type: 'object', properties: { name: { type: 'string', enum: ['Ada', 'Grace'] }, age: { type: 'integer' } }, required: ['name', 'age'],
  additionalProperties: false };
export const PERSON = { name: 'Ada', age: 36 };
export const WEATHER = { Paris: 'sunny', Rome: 'rainy' };
export const VERDICT = 'Sunny in Paris, rainy in Rome.';
export const USAGE = { input: 15, cached: 4, output: 5 };
export const INPUTS = ['a', 'bb'];
export const RETRY_AFTER = 7;
export const COMPLAINTS = { limited: 'Too many of these, wait a while', bad: 'This is longer than the model takes' };

const CITIES = Object.keys(WEATHER);
const KEY = 'upstream-key';
const TOKEN = 'ya29.of-the-test';
const AWS = { id: 'AKIDEXAMPLE', secret: 'secret', region: 'eu-west-1' };

// ---- the providers: settings to reach them, paths and their formats, the credential they want

const openaiRoutes = (prefix) => [[`${prefix}/chat/completions`, openai.chat], [`${prefix}/completions`, openai.completions],
  [`${prefix}/responses`, openai.responses], [`${prefix}/embeddings`, openai.embeddings], [`${prefix}/rerank`, openai.rerank]];
const bearer = (key) => (r) => r.headers.authorization === `Bearer ${key}`;
const vertexPath = '/v1/projects/proj/locations/us-east5/publishers';
const vertex = (base, p) => ({ backend_type: 'vertex', base_url: base, project: 'proj', region: 'us-east5', service_account_file: p.accountFile });
const aws = (base) => ({ backend_type: 'bedrock', base_url: base, region: AWS.region, aws_access_key_id: AWS.id, aws_secret_access_key: AWS.secret });
const azureRoutes = (version) => openaiRoutes(`/openai/deployments/MODEL`).map(([p, format]) =>
  [p.endsWith('/responses') ? `/openai/responses${version}` : `${p}${version}`, format]);

function signed(record) {
  const [, id, region, found] = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/\d{8}\/([^/]+)\/bedrock\/aws4_request, .*Signature=([0-9a-f]{64})$/
    .exec(record.headers.authorization) ?? [];
  return id === AWS.id && region === AWS.region && found === bedrock.signature(record, AWS.secret);
}

export const BACKENDS = {
  openai: {
    settings: (base) => ({ backend_type: 'openai', base_url: `${base}/v1`, api_key: KEY }),
    allowed: bearer(KEY), routes: openaiRoutes('/v1') },
  openai_responses: {
    settings: (base) => ({ backend_type: 'openai', base_url: `${base}/v1`, api_key: KEY, api: 'responses' }),
    allowed: bearer(KEY), routes: openaiRoutes('/v1') },
  openai_compatible: {
    settings: (base) => ({ backend_type: 'openai_compatible', base_url: `${base}/v1`, api_key: KEY }),
    allowed: bearer(KEY), routes: openaiRoutes('/v1') },
  azure_openai: {
    settings: (base) => ({ backend_type: 'azure_openai', base_url: base, api_key: KEY }),
    allowed: (r) => r.headers['api-key'] === KEY && !r.headers.authorization, routes: openaiRoutes('/openai/v1') },
  azure_dated: {
    settings: (base) => ({ backend_type: 'azure_openai', base_url: base, api_key: KEY, api_version: '2024-10-21' }),
    allowed: (r) => r.headers['api-key'] === KEY && !r.headers.authorization, routes: azureRoutes('?api-version=2024-10-21') },
  huggingface: {
    settings: (base) => ({ backend_type: 'huggingface', base_url: `${base}/v1`, api_key: KEY }),
    allowed: bearer(KEY), routes: openaiRoutes('/v1') },
  anthropic: {
    settings: (base) => ({ backend_type: 'anthropic', base_url: base, api_key: KEY }),
    allowed: (r) => r.headers['x-api-key'] === KEY && /^20\d\d-\d\d-\d\d$/.test(r.headers['anthropic-version']),
    routes: [['/v1/messages', anthropic.messages]] },
  gemini: {
    settings: (base) => ({ backend_type: 'gemini', base_url: base, api_key: KEY }),
    allowed: (r) => r.headers['x-goog-api-key'] === KEY && !/[?&]key=/.test(r.path),
    routes: [['/v1beta/models/MODEL:generateContent', gemini.generate], ['/v1beta/models/MODEL:streamGenerateContent?alt=sse', gemini.generate],
      ['/v1beta/models/MODEL:embedContent', gemini.embed], ['/v1beta/models/MODEL:batchEmbedContents', gemini.embed]] },
  vertex: {
    settings: vertex, allowed: bearer(TOKEN),
    routes: [[`${vertexPath}/google/models/MODEL:generateContent`, gemini.generate],
      [`${vertexPath}/google/models/MODEL:streamGenerateContent?alt=sse`, gemini.generate], [`${vertexPath}/google/models/MODEL:predict`, gemini.predict]] },
  vertex_claude: {
    settings: (base, p) => ({ ...vertex(base, p), api: 'messages' }), allowed: bearer(TOKEN), version: 'vertex-2023-10-16',
    routes: [[`${vertexPath}/anthropic/models/MODEL:rawPredict`, anthropic.messages],
      [`${vertexPath}/anthropic/models/MODEL:streamRawPredict`, anthropic.messages]] },
  bedrock: {
    settings: aws, allowed: signed,
    routes: [['/model/MODEL/converse', bedrock.converse], ['/model/MODEL/converse-stream', bedrock.converse]] },
  bedrock_invoke: {
    settings: (base) => ({ ...aws(base), api: 'invoke' }), allowed: signed, version: 'bedrock-2023-05-31',
    routes: [['/model/MODEL/invoke', bedrock.invoke], ['/model/MODEL/invoke-with-response-stream', bedrock.invoke]] },
  cohere: {
    settings: (base) => ({ backend_type: 'cohere', base_url: base, api_key: KEY }), allowed: bearer(KEY),
    routes: [['/v2/chat', cohere.chat], ['/v2/embed', cohere.embed], ['/v2/rerank', cohere.rerank]] },
  ollama: {
    settings: (base) => ({ backend_type: 'ollama', base_url: base }), allowed: (r) => !r.headers.authorization,
    routes: [['/api/chat', ollama.chat], ['/api/generate', ollama.generate], ['/api/embed', ollama.embed]] },
};

function routed(kind, target) {
  for (const [route, format] of BACKENDS[kind]?.routes ?? []) {
    const [before, after] = route.split('MODEL');
    if (after === undefined ? target === route : target.startsWith(before) && target.endsWith(after)) {
      const model = after === undefined ? undefined : target.slice(before.length, target.length - after.length);
      if (!model?.includes('/')) return { format, model: model && decodeURIComponent(model) };
    }
  }
  return {};
}

// ---- what is played

function turn(asked, format, id) {
  const calls = CITIES.map((city, i) => ({ id: `call_${id.replace(/\W/g, '_')}_${i}`, name: 'weather', args: { city } }));
  const [tool] = asked.tools;
  if (asked.tools.length !== 1 || tool.name !== 'weather' || tool.parameters?.properties?.city?.type !== 'string') {
    throw new Error(`tools are ${JSON.stringify(asked.tools)}`);
  }
  if (!asked.results.length) return { pieces: ['Let me ', 'look.'], calls };
  const same = (given, i) => given.name === calls[i].name && isDeepStrictEqual(given.args, calls[i].args) && (!format.ids || given.id === calls[i].id);
  if (asked.calls.length !== calls.length || !asked.calls.every(same)) throw new Error(`calls came back as ${JSON.stringify(asked.calls)}`);
  const right = (given, i) => given.text.includes(WEATHER[CITIES[i]]) && (format.ids ? given.id === calls[i].id : given.name === 'weather');
  if (asked.results.length !== calls.length || !asked.results.every(right)) throw new Error(`results came as ${JSON.stringify(asked.results)}`);
  return { pieces: [VERDICT] };
}

const SCENES = {
  chat(asked) {
    if (asked.text !== QUESTION) throw new Error(`the question came as ${JSON.stringify(asked.text)}`);
    return { pieces: SAID };
  },
  tools: turn,
  json(asked) {
    const schema = asked.schema ?? asked.tools.find((t) => t.name === asked.forced)?.parameters;
    if (!schema?.properties?.age) throw new Error(`the schema came as ${JSON.stringify(asked)}`);
    return asked.schema ? { pieces: ['{"name":"Ada",', '"age":36}'] } : { calls: [{ id: 'call_forced', name: asked.forced, args: PERSON }] };
  },
  cut: () => ({ pieces: SAID }),
  slow: () => ({ pieces: Array.from({ length: 2000 }, (_, i) => `word ${i} `) }),
  embed(asked) {
    return { inputs: asked.inputs };
  },
};

/** Until the client is gone, or for ten seconds. */
async function dribble(res, chunks) {
  for (const chunk of chunks) {
    if (res.destroyed) return;
    res.write(chunk);
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
  res.end();
}

/** Half of it, and the connection is gone. */
function breakOff(res, chunks) {
  for (const chunk of chunks.slice(0, Math.ceil(chunks.length / 2))) res.write(chunk);
  setTimeout(() => res.destroy(), 20);
}

/** All of it, cut where no format has its seams. */
function send(res, chunks) {
  const all = Buffer.concat(chunks.map((c) => Buffer.from(c)));
  for (let i = 0; i < all.length; i += 131) res.write(all.subarray(i, i + 131));
  res.end();
}

export class Provider {
  static async start() {
    const provider = new Provider();
    provider.byModel = new Map();
    provider.upstream = await Upstream.start((req, res, record) => provider.answer(res, record));
    provider.url = provider.upstream.url.replace('/v1', '');
    provider.accountFile = path.join(temporaryFolder(), 'account.json');
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(provider.accountFile, JSON.stringify({ type: 'service_account', project_id: 'proj', private_key_id: 'kid',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }), client_email: 'robot@proj.iam.gserviceaccount.com',
      token_uri: `${provider.url}/token` }));
    return provider;
  }

  /** Entries of a gateway's configuration: each provider, and one target of its own for what fails. */
  models() {
    const all = {};
    for (const [kind, backend] of Object.entries(BACKENDS)) {
      const entry = backend.settings(`${this.url}/${kind}`, this);
      for (const name of ['*', 'limited.*', 'bad.*']) all[`${kind}:${name}`] = entry;
    }
    return all;
  }

  /** What came for a model: [{ path, asked, gone }], and what was wrong with it. */
  of(model) {
    if (!this.byModel.has(model)) this.byModel.set(model, { requests: [], problems: [] });
    return this.byModel.get(model);
  }

  /** Until the connection of a model's last request is closed. */
  async left(model, ms = 5000) {
    await until(() => this.of(model).requests.at(-1)?.record.goneAt, { ms, what: () => `the provider's client to leave ${model}` });
  }

  async answer(res, record) {
    if (record.path === '/token') {
      sendJson(res, { access_token: TOKEN, expires_in: 3599, token_type: 'Bearer' });
      return;
    }
    const [, kind, target] = /^\/([a-z_]+)(\/.*)$/.exec(record.path) ?? [];
    const { format, model: inPath } = routed(kind, target ?? '');
    if (!format) {
      sendJson(res, { error: { message: `there is no ${record.path} here` } }, 404);
      return;
    }
    const body = record.json;
    const model = inPath ?? body.model;
    const mine = this.of(model);
    const asked = format.read(body, target);
    mine.requests.push({ kind, path: target, record, asked, body });
    try {
      this.play({ res, record, kind, format, model, body, asked });
    } catch (error) {
      mine.problems.push(`${target}: ${error.message}`);
      sendJson(res, format.fault(500, error.message), 500);
    }
  }

  play({ res, record, kind, format, model, body, asked }) {
    const backend = BACKENDS[kind];
    const [, owner, scene, id] = /^([a-z_]+):([a-z]+)\.(.+)$/.exec(model) ?? [];
    if (owner !== kind) throw new Error(`the model is ${model}`);
    if (!backend.allowed(record)) throw new Error(`the credential is wrong: ${JSON.stringify(record.headers)}`);
    if (record.headers['content-type'] !== 'application/json') throw new Error(`the content type is ${record.headers['content-type']}`);
    if (backend.version && (body.anthropic_version !== backend.version || 'model' in body)) throw new Error(`the version is ${body.anthropic_version}`);
    if (COMPLAINTS[scene]) {
      const status = scene === 'limited' ? 429 : 400;
      sendJson(res, format.fault(status, COMPLAINTS[scene]), status, status === 429 ? { 'retry-after': String(RETRY_AFTER) } : {});
      return;
    }
    const reply = { id, model, pieces: [], calls: [], usage: USAGE, ...SCENES[scene](asked, format, id) };
    if (!asked.stream) {
      sendJson(res, format.whole(reply, body));
      return;
    }
    res.writeHead(200, { 'content-type': format.type });
    const chunks = format.chunks(reply, body);
    if (scene === 'slow') dribble(res, chunks);
    else if (scene === 'cut') breakOff(res, chunks);
    else send(res, chunks);
  }

  async stop() {
    await this.upstream.stop();
  }
}
