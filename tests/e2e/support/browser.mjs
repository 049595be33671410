// A real browser, headless: Debian's chromium, driven by playwright-core.
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';

const executablePath = (process.env.PATH ?? '').split(':').map((folder) => path.join(folder, 'chromium')).find((file) => {
  try { accessSync(file, constants.X_OK); return true; } catch { return false; }
});

/** Why there is no browser, for `skip`; false when there is one. */
export const noBrowser = executablePath ? false : 'no chromium on this machine (Ubuntu has it as a snap only)';

export class Browser {
  static async start() {
    const self = new Browser();
    self.browser = await chromium.launch({
      executablePath,
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    });
    return self;
  }

  /** A page, opened; its `asked` are the addresses that it asked for, its `errors` what went wrong in it. */
  async open(url) {
    const page = await this.browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.asked = [];
    page.errors = [];
    page.on('request', (r) => page.asked.push(r.url()));
    page.on('pageerror', (e) => page.errors.push(e.message));
    await page.goto(url);
    return page;
  }

  async stop() { await this.browser.close(); }
}
