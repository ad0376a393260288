// The page and the server as they are delivered, with a checkpoint: what one expects of the other.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { until, untilEqual, visit } from '../stage.js';

const { SERVER_ADDRESS: address, SERVER_TOKEN: token, SERVER_MODEL: folder } = process.env;

test('A model of a server is loaded, listed, narrowed and reloaded', async () => {
  // The checkpoint's own list of its tensors.
  const names = Object.keys(JSON.parse(await readFile(`${folder}/model.safetensors.index.json`, 'utf8')).weight_map);
  await visit(address, async page => {
    const card = page.locator('.card');
    const count = page.locator('#tensor-count');
    await untilEqual(() => page.locator('#connection').innerText(), 'Live', 'It is connected');
    await untilEqual(() => card.getAttribute('data-state'), 'Loaded', 'The model is loaded');
    assert.equal(await card.getByRole('button', { name: 'tiny-llama', exact: true }).count(), 1);
    assert.match(await card.innerText(), new RegExp(`Tensors\\s+${names.length}\\s+Version\\s+1\\s`));
    assert.match(await page.locator('.device').innerText(), /^host .* models \(\d+ allocations?\)/s);

    await until(() => count.innerText(), text => text.startsWith(`${names.length} tensors, `), 'All tensors are listed');
    await page.getByRole('button', { name: 'Open all' }).click();
    const listed = await page.getByRole('tree').evaluate(tree => {
      // More lines than are drawn at a time; each has its whole name.
      const titles = new Set();
      const look = () => tree.querySelectorAll('[role=treeitem]:not([aria-expanded])').forEach(row => titles.add(row.title));
      return new Promise(resolve => {
        const step = () => {
          look();
          const before = tree.scrollTop;
          tree.scrollTop += tree.clientHeight;
          requestAnimationFrame(() => requestAnimationFrame(() => tree.scrollTop === before ? resolve([...titles]) : step()));
        };
        step();
      });
    });
    assert.deepEqual(listed.sort(), names.sort());

    const matching = names.filter(name => name.includes('q_proj'));
    await page.getByRole('searchbox').fill('Q_PROJ');
    await until(() => count.innerText(), text => text.startsWith(`${matching.length} of ${names.length} tensors`), 'The filter narrows');
    assert.ok(matching.length > 0 && matching.length < names.length);

    await page.getByRole('button', { name: 'Reload tiny-llama' }).click();
    await page.getByLabel('Token of this host').fill(token);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await until(() => card.innerText(), text => /Version\s+2\s/.test(text), 'The reload is another version');
    await untilEqual(() => card.getAttribute('data-state'), 'Loaded', 'It is loaded again');
    await until(() => page.locator('#load-heading').innerText(), text => text === 'Last reload', 'Its reload is described');
  });
});
