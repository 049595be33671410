// Prometheus text format 0.0.4, parsed strictly: what this parser refuses, a scraper would too.
import assert from 'node:assert/strict';
import { request } from './http.mjs';

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\+?Inf|NaN))$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/;

function parseLabels(text) {
  const labels = {};
  let rest = text ?? '';
  while (rest) {
    const m = LABEL.exec(rest);
    assert.ok(m, `labels cannot be read: ${text}`);
    assert.ok(!(m[1] in labels), `a label twice: ${text}`);
    labels[m[1]] = m[2].replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
    rest = rest.slice(m[0].length);
  }
  return labels;
}

export function parseMetrics(text) {
  assert.ok(text.endsWith('\n'), 'the last line ends');
  const families = new Map();
  const seen = new Set();
  for (const line of text.split('\n').slice(0, -1)) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (comment) {
      const family = families.get(comment[2]) ?? { name: comment[2], samples: [] };
      assert.ok(!(comment[1] in family), `${comment[1]} twice for ${comment[2]}`);
      assert.equal(family.samples.length, 0, `${comment[1]} behind samples of ${comment[2]}`);
      family[comment[1]] = comment[3];
      families.set(comment[2], family);
      continue;
    }
    const m = SAMPLE.exec(line);
    assert.ok(m, `not a sample: ${line}`);
    const labels = parseLabels(m[2]);
    const key = `${m[1]}${JSON.stringify(Object.entries(labels).sort())}`;
    assert.ok(!seen.has(key), `a series twice: ${line}`);
    seen.add(key);
    const base = m[1].replace(/_(bucket|sum|count)$/, '');
    const family = families.get(m[1]) ?? families.get(base);
    assert.ok(family, `no TYPE before ${line}`);
    family.samples.push({ name: m[1], labels, value: Number(m[3].replace('Inf', 'Infinity')) });
  }
  return new Metrics(families);
}

class Metrics {
  constructor(families) {
    this.families = families;
  }

  /** The sum over the series that have these labels; 0 for none. */
  get(name, labels = {}) {
    const family = this.families.get(name) ?? this.families.get(name.replace(/_(bucket|sum|count)$/, ''));
    return (family?.samples ?? [])
      .filter((s) => s.name === name && Object.entries(labels).every(([k, v]) => s.labels[k] === v))
      .reduce((sum, s) => sum + s.value, 0);
  }
}

export async function scrape(port) {
  const res = await request(port, { path: '/metrics' });
  assert.equal(res.status, 200);
  return parseMetrics(res.text);
}
