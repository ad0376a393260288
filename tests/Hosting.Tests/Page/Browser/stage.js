// One browser and one tab for all cases, since opening them takes longer than most; each begins with an empty store, and must leave the
// browser's console silent.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const address = process.env.PAGE_ADDRESS;
// Nothing takes this long unless it never comes, however busy the machine is.
const patience = 20_000;
let browser;
let tab;
let cases = 0;

export async function open() {
  // Chromium's sandbox refuses root, which containers often are; what it opens is our own page.
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...sandbox, '--disable-dev-shm-usage', '--disable-gpu'] });
  tab = await newTab({});
}

export async function close() {
  await browser?.close();
}

/**
 * Runs a case.
 * @param {{ document: object, tensors?: object, largestPage?: number, token?: string, conflict?: string }} script What the host says.
 * @param {(page: import('playwright-core').Page, host: typeof host) => Promise<void>} act
 * @param {{ context?: import('playwright-core').BrowserContextOptions, expected?: RegExp, address?: string, prepare?: (page: import('playwright-core').Page) => Promise<void> }} [options]
 * `context` is for a tab of its own; `expected` is what the console may say, as where the case itself makes requests fail.
 */
export async function play(script, act, options) {
  await host.put(script);
  await visit(address, page => act(page, host), options);
}

/**
 * Runs a case at an address that is not the scripted host's.
 * @param {string} origin
 * @param {(page: import('playwright-core').Page) => Promise<void>} act
 * @param {Parameters<typeof play>[2]} [options]
 */
export async function visit(origin, act, { context, expected, address: suffix = '', prepare } = {}) {
  const page = context === undefined ? tab : await newTab(context);
  const complaints = [];
  page.removeAllListeners('console').removeAllListeners('pageerror');
  page.on('console', message => ['error', 'warning'].includes(message.type()) && complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', error => complaints.push(`exception: ${error.stack}`));
  try {
    await prepare?.(page);
    // Another query is another document: a fragment alone would load nothing.
    cases += 1;
    await page.goto(`${origin}/?${cases}${suffix}`);
    // The document is loaded before its stream of events is open: what a case sent in between would reach nobody.
    await page.locator('#connection:is([data-phase="live"], [data-phase="locked"])').waitFor();
    await act(page);
  } finally {
    await (page === tab ? page.evaluate(() => sessionStorage.clear()) : page.context().close());
  }

  assert.deepEqual(complaints.filter(text => !expected?.test(text)), [], 'The console of the browser is to be silent.');
}

async function newTab(settings) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'UTC', ...settings });
  context.setDefaultTimeout(patience);
  return context.newPage();
}

/** What is told to the host. */
export const host = {
  put: script => tell('PUT', '', script),
  send: (event, data) => tell('POST', '/events', { event, data }),
  change: model => tell('POST', '/events', { event: 'model', data: { model } }),
  cut: () => tell('POST', '/cut'),
  mend: () => tell('POST', '/mend'),
  calls: async () => (await tell('GET', '/calls')).json(),
};

/** Waits until something is so; says what it was instead. */
export async function until(read, expected, message) {
  const end = Date.now() + patience;
  let last;
  do {
    last = await read();
    if (expected(last)) {
      return last;
    }

    await new Promise(resolve => setTimeout(resolve, 15));
  } while (Date.now() < end);
  assert.fail(`${message}; at last it was ${JSON.stringify(last)}.`);
}

/** Waits until something has a value. */
export function untilEqual(read, expected, message) {
  return until(read, value => JSON.stringify(value) === JSON.stringify(expected), `${message}: ${JSON.stringify(expected)} was expected`);
}

async function tell(method, path, body) {
  const answer = await fetch(`${address}/scripted${path}`, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  assert.ok(answer.ok, `${method} /scripted${path} was answered ${answer.status}.`);
  return answer;
}
