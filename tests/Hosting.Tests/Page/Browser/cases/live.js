// What the page does by itself when the host says something, or nothing any more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { document, downloading, loading, model, tensors, unloaded } from '../scenes.js';
import { play, until, untilEqual } from '../stage.js';

const lost = /status of 503/;

test('A load: its progress moves, and ends with the model loaded', () =>
  play({ document: document([loading('llama', 0.1)]), tensors: { llama: tensors(2) } }, async (page, host) => {
    const card = page.locator('.card');
    const bar = card.getByRole('progressbar', { name: 'Progress of llama' });
    await untilEqual(() => bar.getAttribute('value'), '0.1', 'The bar shows the fraction');
    assert.match(await card.innerText(), /10%\s+1\.3 GiB of 12\.6 GiB\s+29 of 291 tensors/);

    for (const fraction of [0.2, 0.3, 0.5]) {
      await host.change(loading('llama', fraction));
    }

    await untilEqual(() => bar.getAttribute('value'), '0.5', 'The bar follows');
    const half = loading('llama', 0.5).progress;
    const text = await card.innerText();
    assert.match(text, /50%\s+6\.3 GiB of 12\.6 GiB\s+145 of 291 tensors/);
    assert.match(text, new RegExp(`${(half.bytesPerSecond / 1024 ** 3).toFixed(1)} GiB/s`.replace('.', '\\.')));
    assert.match(text, new RegExp(`\\b${Math.ceil((half.totalBytes - half.bytesRead) / half.bytesPerSecond)} s left`));
    assert.equal((await card.locator('.spark-line').getAttribute('points')).split(' ').length, 4, 'Four rates make a line of four points.');

    await host.change(model('llama', { version: 1 }));
    await untilEqual(() => card.getAttribute('data-state'), 'Loaded', 'The card follows the state');
    assert.equal(await bar.isVisible(), false);
    assert.match(await card.innerText(), /Memory\s+12\.6 GiB\s+Tensors\s+291\s+Version\s+1\s+Loaded/);
  }));

test('A download comes before the load, and has a line of its own', () =>
  play({ document: document([downloading('llama', 0.25)]), tensors: { llama: tensors(2) } }, async (page, host) => {
    const card = page.locator('.card');
    const bar = card.getByRole('progressbar', { name: 'Download of llama' });
    await untilEqual(() => bar.getAttribute('value'), '0.25', 'The bar shows the fraction');
    assert.match(await card.innerText(), /25%\s+3\.1 GiB of 12\.6 GiB downloaded\s+1 of 7 files\s+\d+ MiB\/s\s+1 min \d+ s left/);
    await page.getByText('Its files are being downloaded.').waitFor();
    await host.change(downloading('llama', 0.5));
    await untilEqual(() => bar.getAttribute('value'), '0.5', 'The bar follows');
    const points = async () => (await card.locator('.spark-line').getAttribute('points')).split(' ').filter(Boolean).length;
    assert.equal(await points(), 2);

    await host.change(loading('llama', 0.1));
    await card.getByRole('progressbar', { name: 'Progress of llama' }).waitFor();
    assert.match(await card.innerText(), /10%\s+1\.3 GiB of 12\.6 GiB\s+29 of 291 tensors/);
    assert.equal(await points(), 0, 'What was downloaded is no point of the line of what is read.');
  }));

test('States are announced, steps of a progress are not', () =>
  play({ document: document([unloaded('llama')]) }, async (page, host) => {
    const spoken = page.locator('#announcements');
    await page.getByText('Live').waitFor();
    assert.equal(await spoken.innerText(), '');
    await host.change(loading('llama', 0.1));
    await untilEqual(() => spoken.innerText(), 'llama is loading.', 'The load is announced');
    await spoken.evaluate(node => { node.textContent = 'untouched'; });
    await host.change(loading('llama', 0.9));
    await page.getByText('90%').waitFor();
    assert.equal(await spoken.innerText(), 'untouched');
    await host.change(model('llama'));
    await untilEqual(() => spoken.innerText(), 'llama is loaded.', 'Its end is announced');
  }));

test('A failure: its code, its message, and when it is tried again', () =>
  play({ document: document([loading('llama', 0.4)]) }, async (page, host) => {
    const failure = { code: 'DeviceMemory', message: 'cuda:0 has 1 GiB free, and the plan needs 2 GiB.', at: new Date().toISOString(), attempt: 2, isReload: false };
    await host.change(unloaded('llama', { state: 'Failed', failure: { ...failure, nextAttemptAt: new Date(Date.now() + 600_000).toISOString() } }));
    const text = await until(() => page.locator('.card .failure').innerText(), value => value.includes('Next try'), 'The failure is shown');
    assert.match(text, /Load failed: DeviceMemory .*attempt 2\s+cuda:0 has 1 GiB free, and the plan needs 2 GiB\.\s+Next try in (10 min 0 s|9 min 5\d s)\./);
    await untilEqual(() => page.locator('#announcements').innerText(), 'llama: the load has failed, DeviceMemory.', 'It is announced');

    await host.change(model('llama', { version: 3, failure: { ...failure, code: 'InvalidHeader', isReload: true } }));
    await until(() => page.locator('.card .failure').innerText(), value => /Reload failed: InvalidHeader[\s\S]*Version 3 is still served\./.test(value), 'A reload that failed leaves the old version');
  }));

test('Memory follows, and its bar has the shares of the numbers', () =>
  play({ document: document([model('llama')]) }, async (page, host) => {
    const device = { id: 'cuda:0', kind: 'Cuda', name: 'NVIDIA H200', liveBytes: 2 ** 30, liveAllocations: 1, totalBytes: 8 * 2 ** 30, freeBytes: 5 * 2 ** 30 };
    await host.send('devices', { devices: [device] });
    await untilEqual(() => page.locator('.device').count(), 1, 'The other device is gone');
    assert.match(await page.locator('.device').innerText(), /1\.0 GiB models \(1 allocation\)\s+2\.0 GiB other\s+5\.0 GiB free of 8\.0 GiB/);
    const widths = await page.locator('.memory-bar').evaluate(bar => [...bar.children].map(part => part.offsetWidth / bar.offsetWidth));
    [1, 2, 5].forEach((part, index) => assert.ok(Math.abs(widths[index] - part / 8) < 0.01, `${part} of 8 is ${widths[index]}.`));
  }));

test('Dtypes and stages have a table of their numbers, and a bar of their shares', () =>
  play({ document: document([model('llama')]), tensors: { llama: tensors(1) } }, async page => {
    const dtypes = page.getByRole('table', { name: 'Tensors and bytes of each dtype' });
    assert.deepEqual(await dtypes.getByRole('row').allInnerTexts(), ['dtype\tTensors\tBytes\tShare', 'BF16\t226\t12.4 GiB\t99.0%', 'F32\t65\t128 MiB\t1.0%']);
    const stages = page.getByRole('table', { name: 'Time of each stage of the last load' });
    const rows = await stages.getByRole('row').allInnerTexts();
    assert.deepEqual(rows.map(row => row.split('\t')[0]), ['Stage', 'open', 'plan', 'touch', 'read', 'hash', 'upload', 'decode', 'process', 'other']);
    assert.equal(rows[4], 'read\t1.7 s\t40.7%');
    const read = page.locator('.part', { hasText: /^read$/ });
    const share = await read.evaluate(part => part.offsetWidth / part.parentElement.offsetWidth);
    assert.ok(Math.abs(share - 0.407) < 0.03, `read has ${share} of the bar.`);
  }));

test('A connection that breaks is shown, and comes back by itself and by the button', () =>
  play({ document: document([model('llama')]) }, async (page, host) => {
    const connection = page.locator('#connection');
    await untilEqual(() => connection.innerText(), 'Live', 'It is connected');
    await host.cut();
    await until(() => connection.innerText(), text => /^Disconnected/.test(text), 'The loss is shown');
    assert.equal(await page.getByRole('button', { name: 'Try now' }).isVisible(), true);
    assert.equal(await page.locator('.card').isVisible(), true, 'What was known stays.');
    await untilEqual(() => page.locator('#announcements').innerText(), 'The connection to the host is lost.', 'It is announced');
    await host.mend();
    await untilEqual(() => connection.innerText(), 'Live', 'It comes back by itself');
    await untilEqual(() => page.locator('#announcements').innerText(), 'The connection to the host is back.', 'It is announced');

    await host.cut();
    await until(() => connection.innerText(), text => /next try/.test(text), 'The second loss is shown');
    await host.mend();
    await page.getByRole('button', { name: 'Try now' }).click();
    await untilEqual(() => connection.innerText(), 'Live', 'It comes back by the button');
    assert.equal(await page.getByRole('button', { name: 'Try now' }).isVisible(), false);
  }, { expected: lost }));

test('A host that says nothing for 90 seconds is lost, and one that says something within them is not', () =>
  play({ document: document([model('llama', { version: 1 })]) }, async (page, host) => {
    const connection = page.locator('#connection');
    await untilEqual(() => connection.innerText(), 'Live', 'It is connected');
    // From here on, time passes where the case says so.
    await page.clock.pauseAt(await page.evaluate(() => Date.now()) + 20_000);
    await page.clock.runFor(65_000);
    await host.change(model('llama', { version: 2 }));
    await until(() => page.locator('.card').innerText(), text => /Version\s+2/.test(text), 'It says something');
    await page.clock.runFor(89_900);
    assert.equal(await connection.innerText(), 'Live');
    await page.clock.runFor(200);
    await until(() => connection.innerText(), text => /^Disconnected/.test(text), 'The silence is taken for a loss');
  }, { context: {}, prepare: page => page.clock.install() }));

test('Cookies go along, for applications that mount the page behind their own sign-in', () =>
  play({ document: document([model('llama')]) }, async page => {
    await page.context().addCookies([{ name: 'session', value: 'of-the-application', url: page.url() }]);
    const [asked] = await Promise.all([page.waitForRequest('**/api/events'), page.reload()]);
    const { cookie } = await asked.allHeaders();
    await page.context().clearCookies();
    assert.equal(cookie, 'session=of-the-application');
  }));

test('A stream that is cut anywhere is read as one that is not', () =>
  play({ document: document([]) }, async page => {
    const text = ': comment\r\nid: 1\r\nevent: model\r\ndata: {"a":\r\ndata: "ü"}\r\n\r\ndata:x\n\nevent: lost\n\n';
    const seen = await page.evaluate(async stream => {
      const { EventParser } = await import('/page/events.js');
      return [1, 2, 3, 7, stream.length].map(length => {
        const events = [];
        const parser = new EventParser(event => events.push(event));
        for (let start = 0; start < stream.length; start += length) {
          parser.push(stream.slice(start, start + length));
        }

        return events;
      });
    }, text);
    for (const events of seen) {
      assert.deepEqual(events, [{ type: 'model', text: '{"a":\n"ü"}' }, { type: 'message', text: 'x' }]);
    }
  }));
