// The tensors: their tree, its keys, its filter, and names that mean harm.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { document, model, tensor, tensors, unloaded } from '../scenes.js';
import { play, until, untilEqual } from '../stage.js';

const names = page => page.locator('.tree-label').allInnerTexts();
const active = page => page.evaluate(() => {
  const tree = document.getElementById('tensor-tree');
  return document.activeElement === tree ? document.getElementById(tree.getAttribute('aria-activedescendant'))?.querySelector('.tree-label').textContent : null;
});

test('The tree has totals, and numbers in their order', () =>
  play({ document: document([model('llama')]), tensors: { llama: tensors(12) } }, async page => {
    await untilEqual(() => names(page), ['lm_head.weight', 'model', 'embed_tokens.weight', 'layers', 'norm.weight'], 'Roots are open, and chains are one line');
    await page.getByRole('treeitem', { name: /^layers/ }).click();
    await untilEqual(async () => (await names(page)).slice(4, -1), [...Array(12).keys()].map(String), 'layers.2 comes before layers.10');
    // One layer: four of 4096², three of 11008 × 4096, two norms.
    const layer = 4 * 4096 ** 2 * 2 + 3 * 11_008 * 4096 * 2 + 2 * 4096 * 4;
    assert.equal(await page.getByRole('treeitem', { name: /^7,/ }).getAttribute('aria-label'), `7, 9 tensors, ${(layer / 2 ** 20).toFixed(0)} MiB`);
    assert.equal(await page.getByRole('treeitem', { name: /^lm_head/ }).getAttribute('aria-label'), 'lm_head.weight, BF16, 32000 × 4096, 250 MiB');
    assert.match(await page.locator('#tensor-count').innerText(), /^111 tensors, /);
  }));

test('The keys of the tree pattern move, open and close', () =>
  play({ document: document([model('llama')]), tensors: { llama: tensors(12) } }, async page => {
    await untilEqual(async () => (await names(page)).length, 5, 'The tree is read');
    await untilEqual(async () => (await names(page)).length, 5, 'The tree is read');
    await page.getByRole('searchbox').focus();
    await page.keyboard.press('ArrowDown');
    const steps = [
      [null, 'lm_head.weight'], ['ArrowDown', 'model'], ['ArrowRight', 'embed_tokens.weight'], ['ArrowDown', 'layers'], ['ArrowRight', 'layers'], ['ArrowRight', '0'],
      ['ArrowDown', '1'], ['Enter', '1'], ['ArrowDown', 'input_layernorm.weight'], ['ArrowLeft', '1'], ['ArrowLeft', '1'], ['ArrowDown', '2'], ['End', 'norm.weight'], ['Home', 'lm_head.weight'],
      ['m', 'model'], ['ArrowLeft', 'model'], ['ArrowDown', 'model'], ['ArrowUp', 'lm_head.weight'], ['ArrowLeft', 'lm_head.weight'],
    ];
    for (const [key, expected] of steps) {
      if (key !== null) {
        await page.keyboard.press(key);
      }

      assert.equal(await active(page), expected, `after ${key}`);
    }

    assert.deepEqual(await names(page), ['lm_head.weight', 'model']);
    assert.equal(await page.getByRole('treeitem', { name: /^model/ }).getAttribute('aria-expanded'), 'false');
    assert.match(await page.locator('.tree-active').innerText(), /^lm_head\.weight · BF16 · 32000 × 4096 · 262,144,000 bytes$/);
    await page.keyboard.press('*');
    assert.equal((await names(page)).length, 17, 'A star opens the siblings, whose branches are as they were.');
  }));

test('The filter narrows the tree by text and by pattern, and gives it back', () =>
  play({ document: document([model('llama')]), tensors: { llama: tensors(12) } }, async page => {
    const box = page.getByRole('searchbox', { name: 'Filter tensors by name' });
    const count = page.locator('#tensor-count');
    await page.getByRole('treeitem', { name: /^layers/ }).click();
    await box.fill('layers.1*.Q_proj');
    await untilEqual(() => count.innerText(), '0 of 111 tensors', 'A pattern is of the whole name');
    assert.match(await page.locator('.tensors .empty').innerText(), /^No name matches layers\.1\*\.Q_proj\./);
    assert.equal(await page.getByRole('tree').isVisible(), false);
    await box.fill('*layers.1*.Q_proj.*');
    await until(() => count.innerText(), text => text.startsWith('3 of 111 tensors'), 'Layers 1, 10 and 11');
    await untilEqual(() => names(page), ['model.layers', '1.self_attn.q_proj.weight', '10.self_attn.q_proj.weight', '11.self_attn.q_proj.weight'], 'What matches is open');
    await box.fill('NORM');
    await until(() => count.innerText(), text => text.startsWith('25 of 111 tensors'), 'Text is found anywhere, in either case');
    await box.fill('');
    await until(() => count.innerText(), text => text.startsWith('111 tensors'), 'All are back');
    assert.equal((await names(page)).filter(name => /^\d+$/.test(name)).length, 12, 'What was open is open again.');
  }));

test('Ten thousand tensors are a few dozen elements', () =>
  play({ document: document([model('llama')]), tensors: { llama: tensors(1111) } }, async page => {
    await until(() => page.locator('#tensor-count').innerText(), text => text.startsWith('10,002 tensors, ') && !text.endsWith('read'), 'Eleven pages are read');
    await page.getByRole('button', { name: 'Open all' }).click();
    await page.getByRole('tree').focus();
    await page.keyboard.press('End');
    assert.equal(await active(page), 'norm.weight');
    const rows = await page.locator('.tree [role=treeitem]').count();
    assert.ok(rows < 80, `There are ${rows} elements.`);
    await page.keyboard.press('ArrowUp');
    assert.equal(await page.getByRole('treeitem', { selected: true }).getAttribute('title'), 'model.layers.1110.self_attn.v_proj.weight');
    assert.equal(await page.getByRole('treeitem', { selected: true }).getAttribute('aria-level'), '5');
  }));

test('A host that gives less at a time is asked for less', () =>
  play({ document: document([model('llama')]), tensors: { llama: tensors(25) }, largestPage: 500 }, async page => {
    await until(() => page.locator('#tensor-count').innerText(), text => /^228 tensors, [\d.]+ GiB$/.test(text), 'Three pages of a hundred are read');
  }, { expected: /status of 400/ }));

test('Names that mean harm are text', () => {
  const evil = ['<img src=x onerror=alert(1)>.weight', '"><script>document.title="broken"</script>', 'a.\u202egnp.exe', '..', '__proto__.constructor', 'b.\u3164x\u{e0041}y\ufe0f', 'javascript:alert(1)', `long.${'x'.repeat(3000)}`];
  return play({ document: document([model('llama', { path: '<b>path</b>', dtypes: [{ dtype: '<i>U8</i>', tensors: 7, bytes: 42 }] })]), tensors: { llama: evil.map(name => tensor(name)) } }, async page => {
    await page.getByRole('button', { name: 'Open all' }).click();
    const shown = await until(() => names(page), list => list.length >= evil.length, 'All are shown');
    for (const text of ['<img src=x onerror=alert(1)>.weight', '"><script>document.title="broken"</script>', 'a.\\u202egnp.exe', '..', '__proto__.constructor', 'b.\\u3164x\\u{e0041}y\\ufe0f']) {
      assert.ok(shown.includes(text), `${text} is among ${JSON.stringify(shown.map(name => name.slice(0, 60)))}.`);
    }

    assert.equal(await page.title(), 'ilgpu-loader');
    assert.equal(await page.locator('.tree img, .tree script, .card b, table i').count(), 0);
    assert.equal(await page.locator('.card-path').innerText(), '<b>path</b>');
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'A long name makes the page no wider.');
  });
});

test('Names with thousands of dots are lines like others', () => {
  const deep = 'b.'.repeat(5000);
  // Every level of this one has a tensor of its own.
  const stairs = [...Array(100).keys()].map(level => `${'a.'.repeat(level)}w`);
  return play({ document: document([model('llama')]), tensors: { llama: [`${deep}x`, `${deep}y`, 'lm_head.weight', ...stairs].map(name => tensor(name)) } }, async page => {
    await untilEqual(async () => (await names(page)).map(label => label.slice(0, 7)), ['a', 'a', 'w', 'b.b.b.b', 'b.b.b.b', 'b.b.b.b', 'lm_head', 'w'], 'The tree is read');
    await page.getByRole('button', { name: 'Open all' }).click();
    // The focus is on the first line; each step goes one level down, and the last to what is no longer taken apart.
    const deepest = page.getByRole('treeitem', { name: new RegExp(`^${'a.'.repeat(99 - 63)}w, `) });
    await page.getByRole('tree').focus();
    for (let step = 0; step < 63; step += 1) {
      await page.keyboard.press('ArrowRight');
    }

    assert.equal(await deepest.getAttribute('aria-level'), '64');
    assert.equal(await deepest.getAttribute('title'), stairs[99]);
  });
});

test('Other tensors are read when the model has others, and none when it is unloaded', () =>
  play({ document: document([model('llama', { version: 1 })]), tensors: { llama: tensors(1) } }, async (page, host) => {
    await until(() => names(page), list => list.includes('layers.0'), 'One layer is one line');
    await host.put({ document: document([model('llama', { version: 2 })]), tensors: { llama: tensors(2) } });
    await host.change(model('llama', { version: 2 }));
    await until(() => names(page), list => list.includes('layers'), 'There are two now');
    await host.change(unloaded('llama', { version: 2 }));
    await page.getByText('It is not loaded, so that there are no tensors.').waitFor();
    assert.equal(await page.getByRole('tree').isVisible(), false);
  }));
