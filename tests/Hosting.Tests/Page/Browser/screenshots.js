// Pictures of every state, to be looked at: PAGE_ADDRESS=http://… node screenshots.js FOLDER [PAGE_FOLDER]. With a page's folder, its
// files come from there and not from the host, so that a change is seen without a build.

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { close, open, play } from './stage.js';
import { devices, document, downloading, gibi, loading, model, tensors, unloaded } from './scenes.js';

const [folder = 'screenshots', source] = process.argv.slice(2);
const types = { '.html': 'text/html; charset=utf-8', '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml' };
const desktop = { viewport: { width: 1280, height: 900 } };
const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
mkdirSync(folder, { recursive: true });

const failed = unloaded('mixtral', {
  state: 'Failed', required: false, device: 'cuda:0',
  failure: {
    code: 'DeviceMemory', message: 'cuda:0 has 41.2 GiB free, and the plan needs 86.9 GiB: choose another device or load fewer layers. Largest: model.layers.0.block_sparse_moe.experts.w13 (1.3 GiB).',
    at: '2026-03-09T12:03:22Z', attempt: 3, nextAttemptAt: new Date(Date.now() + 42_000).toISOString(), isReload: false,
  },
});
const small = model('tiny-gguf', {
  required: false, device: 'host', format: 'gguf', layout: 'Checkpoint', memoryBytes: 4_831_838_208, version: 1,
  dtypes: [
    { dtype: 'Q4_K', tensors: 168, bytes: 2.9 * gibi }, { dtype: 'Q6_K', tensors: 24, bytes: 0.9 * gibi }, { dtype: 'Q5_K', tensors: 12, bytes: 0.4 * gibi }, { dtype: 'Q8_0', tensors: 8, bytes: 0.2 * gibi },
    { dtype: 'F16', tensors: 4, bytes: 0.1 * gibi }, { dtype: 'BF16', tensors: 4, bytes: 0.08 * gibi }, { dtype: 'F32', tensors: 65, bytes: 0.05 * gibi }, { dtype: 'I32', tensors: 1, bytes: 4096 },
  ],
});
const reloading = model('llama', {
  state: 'Reloading', progress: { ...loading('llama', 0.63).progress },
  failure: undefined,
});
const kept = model('qwen', {
  required: false,
  lastLoad: { ...model('x').lastLoad, isReload: true, oldLayers: 2 },
  failure: { code: 'InvalidHeader', message: '/models/qwen/model-00002-of-00004.safetensors: the header is 18,446,744,073,709,551,615 bytes long at offset 0, but the file has 5,242,880: it is cut off, or not safetensors.', at: '2026-03-09T13:40:02Z', attempt: 1, isReload: true },
});

const everything = [loading('llama', 0.42), small, kept, failed, unloaded('phi', { state: 'Queued', required: false }), unloaded('bert', { required: false })];
const shots = [
  ['overview', { document: document(everything) }, { select: 'tiny-gguf', sparkline: 'llama' }],
  ['loaded', { document: document([model('llama'), small]) }, { open: true }],
  ['reloading', { document: document([reloading, small]) }, { sparkline: 'llama' }],
  ['downloading', { document: document([downloading('llama', 0.42), small]) }, { sparkline: 'llama', of: downloading }],
  ['filter', { document: document([model('llama')]) }, { filter: '*layers.1*.q_proj.*' }],
  ['filter-empty', { document: document([model('llama')]) }, { filter: 'nothing-like-it' }],
  ['failed', { document: document([failed, model('llama')]) }, {}],
  ['unloaded', { document: document([unloaded('llama')], { devices: [] }) }, {}],
  ['no-models', { document: document([], { devices: devices.slice(0, 1) }) }, {}],
  ['dialog', { document: document([model('llama'), small]) }, { dialog: true }],
  ['disconnected', { document: document([model('llama'), small]) }, { cut: true }],
  ['locked', { document: document([], { needsToken: true }) }, {}],
];

await open();
for (const [name, script, scene] of shots) {
  for (const [kind, context] of [['light', { ...desktop, colorScheme: 'light' }], ['dark', { ...desktop, colorScheme: 'dark' }], ['phone', { ...phone, colorScheme: 'light' }], ['phone-dark', { ...phone, colorScheme: 'dark' }]]) {
    if (kind === 'phone-dark' && name !== 'overview') {
      continue;
    }

    const listed = { llama: tensors(32), 'tiny-gguf': tensors(28), qwen: tensors(24) };
    await play({ token: 'secret', tensors: listed, ...script }, (page, host) => shoot(page, host, scene, join(folder, `${name}-${kind}.png`)), {
      context, expected: /./, address: scene.select ? `#model/${scene.select}` : '', prepare: source ? fromFolder : undefined,
    });
  }
}

await close();

async function shoot(page, host, { select, sparkline, of = loading, open: opened, filter, dialog, cut }, path) {
  await page.locator('#content:not([hidden]), #locked:not([hidden])').waitFor();
  if (sparkline) {
    const base = sparkline === 'llama' && (await page.locator('[data-state=Reloading]').count()) > 0 ? reloading : null;
    for (let step = 1; step <= 40; step += 1) {
      const now = of(sparkline, step / 95);
      await host.change(base === null ? now : { ...base, progress: now.progress });
    }

    await page.getByText(/^42%$/).waitFor();
  }

  if (opened) {
    await page.getByRole('treeitem', { name: /^layers,/ }).click();
    await page.getByRole('treeitem', { name: /^0,/ }).click();
    await page.getByRole('treeitem', { name: /^mlp,/ }).click();
  }

  if (filter) {
    await page.getByRole('searchbox').fill(filter);
    await page.getByText(/ of 291 tensors/).waitFor();
  }

  if (dialog) {
    await page.getByRole('button', { name: 'Reload llama' }).click();
    await page.getByLabel('Token of this host').fill('wrong');
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByText('does not accept').waitFor();
  }

  if (cut) {
    await host.cut();
    await page.getByText(/Disconnected, next/).waitFor();
  }

  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForTimeout(150);
  await page.screenshot({ path, fullPage: !dialog });
}

async function fromFolder(page) {
  await page.route(url => url.pathname === '/' || url.pathname.startsWith('/page/'), async route => {
    const file = join(source, new URL(route.request().url()).pathname.replace('/page/', '') || 'index.html').replace(/\/$/, '/index.html');
    if (!existsSync(file)) {
      await route.fulfill({ status: 404 });
      return;
    }

    await route.fulfill({
      body: readFileSync(file), contentType: types[extname(file)],
      headers: { 'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
    });
  });
}
