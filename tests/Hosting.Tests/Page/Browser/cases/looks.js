// How it looks and is reached: phones, dark and light, keys, empty states.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { document, downloading, loading, model, tensors, unloaded } from '../scenes.js';
import { host, play, untilEqual } from '../stage.js';

const failure = { code: 'InvalidHeader', message: `/models/${'deep/'.repeat(30)}model.safetensors: the header is cut off.`, at: '2026-03-09T12:03:22Z', attempt: 4, isReload: true };
const everything = {
  document: document([
    model('llama', { path: `/models/${'deep/'.repeat(30)}llama`, failure }),
    loading('a-model-of-the-longest-name-that-is-allowed-which-is-64-letters.x', 0.4), unloaded('bert'),
    unloaded('phi', { state: 'Failed', failure: { ...failure, isReload: false } }), unloaded('queued', { state: 'Queued' }), downloading('coming', 0.25), model('leaving', { state: 'Unloading' }),
  ]),
  tensors: { llama: tensors(12) },
};

test('At 360 pixels nothing scrolls sideways, in any state', () =>
  play(everything, async page => {
    const tooWide = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    await page.getByRole('treeitem', { name: /^layers/ }).click();
    await page.getByRole('treeitem', { name: /^1,/ }).click();
    assert.equal(await tooWide(), 0);
    const cut = await page.evaluate(() => [...document.querySelectorAll('.card, .panel, .button, .masthead *')]
      .filter(node => node.checkVisibility() && (node.getBoundingClientRect().right > innerWidth || node.getBoundingClientRect().left < 0)).map(node => node.className));
    assert.deepEqual(cut, [], 'Nothing is cut off at the side.');
    await host.cut();
    await page.getByText(/^Disconnected/).waitFor();
    assert.equal(await tooWide(), 0);
    await page.getByRole('button', { name: 'Unload llama' }).click();
    await page.getByRole('dialog').waitFor();
    assert.equal(await tooWide(), 0);
  }, { context: { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }, expected: /status of 503/ }));

for (const colorScheme of ['light', 'dark']) {
  test(`Every text has a contrast of 4.5 to its ground: ${colorScheme}`, () =>
    play(everything, async page => {
      await page.getByRole('treeitem', { name: /^layers/ }).click();
      await page.getByRole('button', { name: 'Unload llama' }).click();
      const seen = await page.evaluate(measureContrast);
      assert.ok(seen.length > 60, `${seen.length} texts were measured.`);
      assert.deepEqual(seen.filter(text => text.contrast < 4.5), []);
      const ground = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      assert.equal(ground, colorScheme === 'dark' ? 'rgb(14, 18, 23)' : 'rgb(244, 246, 248)');
    }, { prepare: page => page.emulateMedia({ colorScheme, reducedMotion: 'reduce' }) }));
}

test('Nothing moves for those who want no motion', () =>
  play({ document: document([loading('llama', 0.4)]) }, async page => {
    const motion = () => page.locator('.state-mark').evaluate(mark => getComputedStyle(mark).animationName);
    await page.emulateMedia({ reducedMotion: 'no-preference' });
    assert.equal(await motion(), 'turn');
    await page.emulateMedia({ reducedMotion: 'reduce' });
    assert.equal(await motion(), 'none');
  }));

test('Everything is reached with the tab key, and the focus is seen', () =>
  play({ document: document([model('llama'), unloaded('bert')]), tensors: { llama: tensors(1) }, token: 'secret' }, async page => {
    await page.getByRole('treeitem', { name: /^lm_head/ }).waitFor();
    const reached = [];
    for (let step = 0; step < 16; step += 1) {
      await page.keyboard.press('Tab');
      const { name, outlined } = await page.evaluate(() => {
        const node = document.activeElement;
        return { name: node.getAttribute('aria-label') ?? node.id ?? node.textContent, outlined: node.matches(':focus-visible') && getComputedStyle(node).outlineStyle === 'solid', text: node.textContent };
      });
      const text = await page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? (document.activeElement.textContent || document.activeElement.id));
      reached.push(text);
      if (await page.evaluate(() => document.activeElement !== document.body)) {
        assert.ok(outlined, `${name || text} shows its focus.`);
      }
    }

    for (const name of ['Skip to the models', 'llama', 'Load llama', 'Reload llama', 'Unload llama', 'bert', 'Load bert', 'tensor-filter', 'Open all', 'Close all', 'Tensors by name']) {
      assert.ok(reached.includes(name), `${name} is among ${JSON.stringify(reached)}.`);
    }
  }));

test('The skip link leads past the masthead', () =>
  play({ document: document([model('llama')]) }, async page => {
    await page.getByText('Live').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await untilEqual(() => page.evaluate(() => document.activeElement.id), 'main', 'The focus is in the main part');
  }));

test('The chosen model is part of the address', () =>
  play({ document: document([model('llama'), unloaded('bert')]) }, async page => {
    await untilEqual(() => page.getByRole('heading', { level: 2, name: 'bert' }).isVisible(), true, 'The address chooses');
    await page.getByRole('button', { name: 'llama', exact: true }).click();
    await untilEqual(() => page.getByRole('heading', { level: 2, name: 'llama' }).isVisible(), true, 'A click chooses');
    assert.match(page.url(), /#model\/llama$/);
    assert.equal(await page.getByRole('button', { name: 'llama', exact: true }).getAttribute('aria-pressed'), 'true');
  }, { address: '#model/bert' }));

test('Without a model the page says how there would be one', () =>
  play({ document: document([], { devices: [] }) }, async page => {
    await page.getByRole('heading', { name: 'No model is configured' }).waitFor();
    assert.match(await page.locator('#no-models').innerText(), /IlgpuLoader:Models/);
    assert.equal(await page.locator('#details').isVisible(), false);
    assert.equal(await page.locator('#memory').isVisible(), false);
  }));

test('The policy is the contract\'s, and the browser holds the page to it', () =>
  play({ document: document([model('llama')]) }, async page => {
    await page.getByText('Live').waitFor();
    const ran = await page.evaluate(async () => {
      const violation = new Promise(resolve => document.addEventListener('securitypolicyviolation', event => resolve(event.effectiveDirective), { once: true }));
      const script = document.createElement('script');
      script.textContent = 'document.title = "broken"';
      document.body.append(script);
      return [await violation, document.title];
    });
    assert.deepEqual(ran, ['script-src-elem', 'ilgpu-loader']);
  }, { expected: /Content Security Policy/ }));

// Runs in the page. The formula is WCAG's (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio).
function measureContrast() {
  const channels = color => color.match(/[\d.]+/g).map(Number);
  const light = ([red, green, blue]) => [red, green, blue].map(value => value / 255)
    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const groundOf = node => {
    for (let at = node; at !== null; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) {
        return color;
      }
    }

    return null;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = [];
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    const text = texts.currentNode.textContent.trim();
    if (text !== '' && node.checkVisibility() && !node.closest('.visually-hidden, noscript, script')) {
      const [one, other] = [light(channels(getComputedStyle(node).color)), light(groundOf(node))].sort((left, right) => right - left);
      seen.push({ text: text.slice(0, 40), where: node.className || node.tagName, contrast: (one + 0.05) / (other + 0.05) });
    }
  }

  return seen;
}
