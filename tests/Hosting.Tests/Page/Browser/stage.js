// One browser for all cases, and a page for each, which must leave the browser's console silent.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const address = process.env.PAGE_ADDRESS;
let browser;

export async function open() {
  // Chromium's sandbox refuses root, which containers often are; what it opens is our own page.
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...sandbox, '--disable-dev-shm-usage'] });
}

export async function close() {
  await browser?.close();
}

/**
 * Runs a case in a page of its own and closes it.
 * @param {{ document: object, tensors?: object, token?: string, conflict?: string }} script What the host says.
 * @param {(page: import('playwright-core').Page, host: typeof host) => Promise<void>} act
 * @param {{ context?: import('playwright-core').BrowserContextOptions, expected?: RegExp, address?: string, prepare?: (page: import('playwright-core').Page) => Promise<void> }} [options]
 * `expected` is what the console may say, as where the case itself makes requests fail.
 */
export async function play(script, act, { context: settings = {}, expected, address: suffix = '', prepare } = {}) {
  await host.put(script);
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'UTC', ...settings });
  context.setDefaultTimeout(5000);
  const complaints = [];
  try {
    const page = await context.newPage();
    page.on('console', message => ['error', 'warning'].includes(message.type()) && complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', error => complaints.push(`exception: ${error.stack}`));
    await prepare?.(page);
    await page.goto(`${address}/${suffix}`);
    await act(page, host);
  } finally {
    await context.close();
  }

  assert.deepEqual(complaints.filter(text => !expected?.test(text)), [], 'The console of the browser is to be silent.');
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
  const end = Date.now() + 5000;
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
