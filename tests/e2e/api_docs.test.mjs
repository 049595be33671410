// The pages that show the API to people, in a browser: whole in the binary, nothing asked of other hosts.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Browser, noBrowser } from './support/browser.mjs';
import { request } from './support/http.mjs';
import { Gateway } from './support/process.mjs';

const WAIT_MS = 30000;

describe('pages of the API', () => {
  let gateway;
  let document;
  before(async () => {
    gateway = await Gateway.start({ config: { models: { said: { backend_type: 'mock', mock: { text: 'The capital is Paris.' } } } } });
    document = (await request(gateway.port, { path: '/openapi.json' })).json;
  });
  after(async () => { await gateway?.stop(); });

  it('come as what they are, with a policy that keeps other hosts out', async () => {
    for (const [path, type] of [['/docs', 'text/html'], ['/docs/start.js', 'text/javascript'], ['/redoc', 'text/html']]) {
      const res = await request(gateway.port, { path });
      assert.equal(res.status, 200, path);
      assert.equal(res.headers['content-type'], `${type}; charset=utf-8`);
      assert.match(res.headers['content-security-policy'], /^default-src 'self';/);
      assert.doesNotMatch(res.text, /https?:/);
    }
  });

  it('scripts are sent as they are kept, gzipped', async () => {
    const files = [['/docs/swagger-ui-bundle.js', /SwaggerUIBundle/], ['/docs/swagger-ui.css', /\.swagger-ui/],
      ['/redoc/redoc.standalone.js', /customElements|redoc/]];
    for (const [path, has] of files) {
      const res = await request(gateway.port, { path });
      assert.equal(res.headers['content-encoding'], 'gzip', path);
      assert.match(gunzipSync(res.bytes).toString(), has);
    }
  });

  it('other files are not there', async () => {
    for (const path of ['/docs/', '/docs/none.js', '/docs/../openapi.json', '/redoc/', '/redoc/start.js']) {
      const res = await request(gateway.port, { path });
      assert.equal(res.status, 404, path);
      assert.equal(res.json.error.code, 'not_found');
    }
    assert.equal((await request(gateway.port, { method: 'POST', path: '/docs', json: {} })).status, 405);
  });

  describe('in a browser', { skip: noBrowser }, () => {
    let browser;
    before(async () => { browser = await Browser.start(); });
    after(async () => { await browser?.stop(); });

    const assertFromHere = (page) => {
      const outside = page.asked.filter((url) => !/^(data|blob):/.test(url) && !url.startsWith(gateway.url));
      // Redoc names a picture on a host of its maker; the policy keeps the browser from asking for it.
      assert.deepEqual(outside.filter((url) => !url.endsWith('/logo-mini-full.svg')), []);
      assert.deepEqual(page.errors, []);
    };

    it('/docs has every operation, and tries one', async () => {
      const page = await browser.open(`${gateway.url}/docs`);
      await page.waitForSelector('.opblock', { timeout: WAIT_MS });
      const operations = Object.values(document.paths).flatMap((p) => Object.values(p)).length;
      assert.equal(await page.locator('.opblock').count(), operations);
      const block = page.locator('#operations-OpenAI-post_v1_chat_completions');
      await block.locator('.opblock-summary').click();
      await block.locator('textarea').fill(JSON.stringify({ model: 'said', messages: [{ role: 'user', content: 'Say something.' }] }));
      await block.locator('button.execute').click();
      await block.locator('.live-responses-table', { hasText: 'The capital is Paris.' }).waitFor({ timeout: WAIT_MS });
      assertFromHere(page);
    });

    it('/redoc shows each family of formats', async () => {
      const page = await browser.open(`${gateway.url}/redoc`);
      for (const family of ['OpenAI', 'Anthropic', 'Gemini', 'Ollama', 'Operation']) {
        await page.locator('h2', { hasText: family }).first().waitFor({ timeout: WAIT_MS });
      }
      assert.match(await page.evaluate(() => globalThis.document.body.innerText), /\/v1\/chat\/completions/);
      assertFromHere(page);
    });
  });
});
