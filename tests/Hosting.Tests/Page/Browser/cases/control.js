// What is asked of the host, and the token for it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { document, loading, model, tensors, unloaded } from '../scenes.js';
import { play, until, untilEqual } from '../stage.js';

const refused = /status of 401/;
const stored = page => page.evaluate(() => sessionStorage.getItem('ilgpu-loader.token'));

test('A reload asks for the token once, says that a wrong one is wrong, and is done', () =>
  play({ document: document([model('llama'), model('qwen')]), token: 'secret' }, async (page, host) => {
    const dialog = page.getByRole('dialog', { name: 'Token' });
    await page.getByRole('button', { name: 'Reload llama' }).click();
    await dialog.waitFor();
    assert.match(await dialog.innerText(), /To reload llama, the host wants its token\./);
    await page.getByLabel('Token of this host').fill('guess');
    await page.keyboard.press('Enter');
    await dialog.getByRole('alert').getByText('The host does not accept this token.').waitFor();
    assert.equal(await page.getByLabel('Token of this host').getAttribute('aria-invalid'), 'true');
    assert.equal(await stored(page), null);
    assert.deepEqual(await host.calls(), []);

    await page.getByLabel('Token of this host').fill('secret');
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'hidden' });
    assert.deepEqual(await host.calls(), ['reload llama']);
    assert.equal(await stored(page), 'secret');
    assert.equal(await page.getByRole('button', { name: 'Reload llama' }).evaluate(button => button === document.activeElement), true, 'The focus is where it was.');

    await host.change(model('llama', { state: 'Reloading', progress: loading('llama', 0.5).progress }));
    await page.locator('.card').filter({ hasText: 'Reloading' }).getByText('50%').waitFor();
    await host.change(model('llama', { version: 4 }));
    await until(() => page.locator('.card').first().innerText(), text => /Version\s+4/.test(text), 'The new version is shown');

    await page.getByRole('button', { name: 'Unload qwen' }).click();
    await untilEqual(() => host.calls(), ['reload llama', 'unload qwen'], 'The second call needs no dialog');
    assert.equal(await dialog.isVisible(), false);
  }, { expected: refused }));

test('A token that is no longer accepted is forgotten and asked for again; the dialog can be left', () =>
  play({ document: document([unloaded('llama')]), token: 'new' }, async (page, host) => {
    await page.evaluate(() => sessionStorage.setItem('ilgpu-loader.token', 'old'));
    await page.getByRole('button', { name: 'Load llama', exact: true }).click();
    await page.getByRole('dialog').getByText('The host no longer accepts the token').waitFor();
    assert.equal(await stored(page), null);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    assert.deepEqual(await host.calls(), []);
  }, { expected: refused }));

test('What the host refuses is said at the model', () =>
  play({ document: document([model('llama')]), token: 'secret', conflict: 'llama is being freed.' }, async page => {
    await page.evaluate(() => sessionStorage.setItem('ilgpu-loader.token', 'secret'));
    await page.getByRole('button', { name: 'Reload llama' }).click();
    await page.getByRole('alert').getByText('Reload was not accepted. llama is being freed.').waitFor();
  }, { expected: /status of 409/ }));

test('Actions that make no sense are off but keep the focus, and without a token there are none', () =>
  play({ document: document([unloaded('llama')]), token: 'secret' }, async (page, host) => {
    const off = async action => await page.getByRole('button', { name: `${action} llama`, exact: true }).getAttribute('aria-disabled') === 'true';
    await page.getByText('Live').waitFor();
    assert.deepEqual([await off('Load'), await off('Reload'), await off('Unload')], [false, true, true]);
    const reload = page.getByRole('button', { name: 'Reload llama' });
    await reload.click({ force: true });
    assert.equal(await reload.evaluate(button => button === document.activeElement), true);
    assert.equal(await page.getByRole('dialog').isVisible(), false);
    await host.change(loading('llama', 0.5));
    await page.getByText('50%').waitFor();
    assert.deepEqual([await off('Load'), await off('Reload'), await off('Unload')], [true, true, false]);
    await host.send('models', document([model('llama')], { canControl: false }));
    await untilEqual(() => page.getByRole('button', { name: 'Reload llama' }).isVisible(), false, 'The actions go');
  }));

test('A host that shows nothing without its token asks for it first', () =>
  play({ document: document([model('llama')], { needsToken: true }), token: 'secret', tensors: { llama: tensors(1) } }, async page => {
    await page.getByRole('button', { name: 'Enter the token' }).click();
    assert.equal(await page.locator('#content').isVisible(), false);
    await page.getByLabel('Token of this host').fill('guess');
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByText('The host does not accept this token.').waitFor();
    await page.getByLabel('Token of this host').fill('secret');
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByRole('treeitem', { name: /^lm_head/ }).waitFor();
    // What is drawn and what is announced also holds names.
    await page.getByRole('treeitem', { name: /^lm_head/ }).click();
    const shown = ['llama', 'lm_head', 'NVIDIA', 'BF16', '12.6 GiB', 'safetensors', '0.1.0'];
    const left = async () => {
      const text = await page.evaluate(() => document.documentElement.outerHTML);
      return shown.filter(word => text.includes(word));
    };
    assert.deepEqual(await left(), shown);
    await page.getByRole('button', { name: 'Forget token' }).click();
    await page.getByRole('button', { name: 'Enter the token' }).waitFor();
    assert.equal(await page.locator('#content').isVisible(), false);
    assert.equal(await stored(page), null);
    assert.deepEqual(await left(), []);

    await page.getByRole('button', { name: 'Enter the token' }).click();
    await page.getByLabel('Token of this host').fill('secret');
    await page.keyboard.press('Enter');
    await page.getByRole('treeitem', { name: /^lm_head/ }).waitFor();
    assert.deepEqual(await left(), shown, 'All is back.');
  }, { expected: refused }));

test('A token that cannot be one is not sent, and a host that cannot try it is said', () =>
  play({ document: document([model('llama')], { needsToken: true }), token: 'secret', tensors: { llama: tensors(1) } }, async page => {
    const enter = async token => {
      await page.getByRole('button', { name: 'Enter the token' }).click();
      await page.getByLabel('Token of this host').fill(token);
      await page.getByRole('button', { name: 'Go on' }).click();
    };
    let sent = 0;
    await page.route('**/api/models', route => {
      sent += 1;
      return sent === 1 ? route.abort('connectionrefused') : route.fulfill({ status: 429, contentType: 'application/problem+json', body: '{"detail":"Too many ask at once."}' });
    });
    for (const token of ['schl\u00fcssel', 'two words', '\u9375']) {
      await enter(token);
      await page.getByRole('dialog').getByRole('alert').getByText(/^A token has letters/).waitFor();
      await page.keyboard.press('Escape');
    }

    assert.equal(sent, 0);
    await enter('secret');
    await page.getByText(/^The token could not be tried\. The host cannot be reached/).waitFor();
    await enter('secret');
    await page.getByText('The token could not be tried. Too many ask at once.').waitFor();
    assert.equal(await page.getByRole('dialog').isVisible(), false);
    assert.equal(await stored(page), null);
    await page.unrouteAll();
    await enter('secret');
    await page.getByRole('treeitem', { name: /^lm_head/ }).waitFor();
    assert.equal(await page.locator('#locked-problem').isVisible(), false);
  }, { expected: /status of (401|429)|ERR_CONNECTION_REFUSED/ }));

test('A list that was refused is read again with the new token', () =>
  play({ document: document([model('llama', { version: 1 })], { needsToken: true }), token: 'old', tensors: { llama: tensors(1) } }, async (page, host) => {
    await page.getByRole('button', { name: 'Enter the token' }).click();
    await page.getByLabel('Token of this host').fill('old');
    await page.keyboard.press('Enter');
    await page.getByRole('treeitem', { name: /^lm_head/ }).waitFor();
    await host.put({ document: document([model('llama', { version: 2 })], { needsToken: true }), token: 'new', tensors: { llama: tensors(2) } });
    await host.change(model('llama', { version: 2 }));
    await page.getByText('The tensors cannot be read. The host does not accept this token.').waitFor();
    await page.getByRole('button', { name: 'Reload llama' }).click();
    await page.getByLabel('Token of this host').fill('new');
    await page.keyboard.press('Enter');
    await until(() => page.locator('#tensor-count').innerText(), text => text.startsWith('21 tensors, '), 'It is read again');
  }, { expected: refused }));
