// The frame and Home, as somebody who just started Traceo meets them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { binary, machineIsBusy, mainThread, openPage, shoot, startTraceo } from './world.mjs';

const PAYLOAD = '<img src=x onerror="globalThis.hacked=1"><script>globalThis.hacked=1</script>';

/** Waits until the value of `look` in the page is true. */
async function until(page, look, why, timeout = 15000) {
  await page.waitForFunction(look, undefined, { timeout, polling: 50 }).catch(() => {
    throw new Error('never: ' + why);
  });
}

const hasData = () => document.querySelectorAll('.panel .legend-item b').length > 4 && [...document.querySelectorAll('.tile-value b')].every((b) => b.textContent !== '–');

export const tests = {
  'the first chart moves within ten seconds of starting on an empty folder': async ({ browser }) => {
    const traceo = await startTraceo();
    try {
      const page = await openPage(browser, traceo.url);
      await page.goto(traceo.url + '/');
      assert.equal(new URL(page.url()).pathname, '/ui/');
      await until(page, hasData, 'charts with data');
      const shot = () => page.evaluate(() => document.querySelector('.chart canvas').toDataURL());
      const before = await shot();
      await until(page, hasData, 'data');
      let took = 0;
      for (let i = 0; i < 200 && took === 0; i++) {
        if ((await shot()) !== before) took = Date.now() - traceo.startedAt;
        else await page.waitForTimeout(50);
      }
      console.log(`# first moving chart after ${took} ms`);
      assert.ok(took > 0 && took < 10000, `${took} ms`);
      assert.deepEqual(page.faults, []);
      await page.context().close();
    } finally {
      await traceo.stop();
    }
  },

  'the page is interactive within half a second, in at most 120 KB': async ({ traceo, browser }) => {
    const times = [];
    let bytes = 0;
    let work = Infinity;
    // The best of several: neighbours on this machine are not the page's fault.
    for (let i = 0; i < 8 && !(Math.min(...times) < 500); i++) {
      const page = await openPage(browser, traceo.url);
      await page.addInitScript(() => {
        const look = () => {
          if (globalThis.interactiveMs === undefined && document.querySelector('.bar button') && document.querySelector('.tile')) globalThis.interactiveMs = performance.now();
          else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
      });
      const cpu = await mainThread(page);
      const before = await cpu();
      await page.goto(traceo.url + '/ui/');
      await until(page, () => globalThis.interactiveMs !== undefined, 'interactive');
      work = Math.min(work, (await cpu()) - before);
      times.push(await page.evaluate(() => globalThis.interactiveMs));
      bytes = await page.evaluate(() =>
        [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].filter((one) => one.name.includes('/ui/')).reduce((sum, one) => sum + one.encodedBodySize, 0),
      );
      await page.context().close();
    }
    console.log(`# interactive after ${times.map((ms) => Math.round(ms)).join(', ')} ms, ${work.toFixed(0)} ms of processor; first load ${(bytes / 1024).toFixed(1)} KB`);
    assert.ok(Math.min(...times) < 500 || (machineIsBusy() && work < 500), times.join(' '));
    assert.ok(bytes > 10000 && bytes <= 120 * 1024, String(bytes));
  },

  'dragging on a chart zooms, and Back takes it back': async ({ traceo, browser }) => {
    const page = await openPage(browser, traceo.url);
    await page.goto(traceo.url + '/ui/');
    await until(page, hasData, 'data');
    const box = await page.locator('.u-over').first().boundingBox();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.9, box.y + 50, { steps: 5 });
    await page.mouse.up();
    await until(page, () => /from=\d+&to=\d+/.test(location.search), 'the range in the URL');
    await page.goBack();
    await until(page, () => location.search === '', 'the range is gone');
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
    // A turn that comes while Back still draws the chart anew meets nothing, as a hand's would.
    const moved = () => page.waitForFunction(() => /from=\d+&to=\d+/.test(location.search), null, { timeout: 2000 }).then(() => true, () => false);
    for (let turn = 0; turn < 5; turn++) {
      await page.mouse.wheel(-200, 0);
      if (await moved()) break;
    }
    await until(page, () => /from=\d+&to=\d+/.test(location.search), 'the wheel moves the range');
    assert.deepEqual(page.faults, []);
    await page.context().close();
  },

  'the pointer is shared, and a chart can be walked by keys': async ({ traceo, browser }) => {
    const page = await openPage(browser, traceo.url);
    await page.goto(traceo.url + '/ui/');
    await until(page, hasData, 'data');
    const box = await page.locator('.u-over').first().boundingBox();
    await page.mouse.move(box.x + box.width - 20, box.y + 40);
    await until(page, () => [...document.querySelectorAll('.chart-time')].filter((one) => one.textContent !== '').length > 4, 'every chart shows the time');
    await page.mouse.move(5, 5);
    const chart = page.locator('.chart-plot').first();
    await chart.focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    const told = await chart.getAttribute('aria-valuetext');
    assert.match(told, /^\d\d:\d\d:\d\d: /);
    await page.context().close();
  },

  'the keyboard reaches everything': async ({ traceo, browser }) => {
    const page = await openPage(browser, traceo.url);
    await page.goto(traceo.url + '/ui/');
    await until(page, hasData, 'data');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to content');
    await page.keyboard.press('?');
    await until(page, () => document.querySelector('dialog[open]')?.textContent.includes('Refresh now'), 'the list of shortcuts');
    await shoot(page, 'shortcuts-dark');
    await page.keyboard.press('Escape');
    await until(page, () => document.querySelector('dialog') === null, 'it closes');
    await page.keyboard.press('t');
    await page.keyboard.press('d');
    await until(page, () => document.documentElement.dataset.theme === 'light', 'the other theme');
    await page.keyboard.press('p');
    await until(page, () => location.search.includes('refresh=off'), 'paused');
    await page.keyboard.press('[');
    await until(page, () => location.search.includes('from='), 'earlier');
    await page.getByRole('button', { name: 'Last', exact: false }).or(page.getByTitle('Time range')).first().click();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await until(page, () => document.querySelector('.menu') === null, 'the menu closes');
    await page.reload();
    await until(page, () => document.documentElement.dataset.theme === 'light', 'the theme is kept');
    assert.deepEqual(page.faults, []);
    await page.context().close();
  },

  'what strangers send is shown as text': async ({ browser }) => {
    const traceo = await startTraceo();
    try {
      await fetch(traceo.url + '/api/v1/write', { method: 'POST', body: PAYLOAD, headers: { 'User-Agent': PAYLOAD, 'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf' } });
      execFileSync(binary(), ['push', '--server', traceo.url], { input: `node_filesystem_size_bytes{job="node",instance="${(await (await fetch(traceo.url + '/api/v1/status/runtimeinfo')).json()).data.hostname}",mountpoint=${JSON.stringify(PAYLOAD)},device="x",fstype="ext4"} 1e9\n`, stdio: ['pipe', 'ignore', 'ignore'] });
      const page = await openPage(browser, traceo.url);
      await page.goto(traceo.url + '/ui/?way=' + encodeURIComponent(PAYLOAD) + '&tz=' + encodeURIComponent(PAYLOAD) + '&from=' + encodeURIComponent(PAYLOAD));
      await until(page, () => document.body.textContent.includes('onerror='), 'the payload as text');
      await until(page, () => document.querySelector('.fs')?.textContent.includes('<img'), 'the file system');
      await page.waitForTimeout(500);
      assert.equal(await page.evaluate(() => document.querySelectorAll('main img, main script').length), 0);
      assert.equal(await page.evaluate(() => globalThis.hacked), undefined);
      assert.deepEqual(page.faults, []);
      await page.context().close();
    } finally {
      await traceo.stop();
    }
  },

  'a Traceo with keys asks for one, and says when it is wrong or may not': async ({ browser }) => {
    const data = mkdtempSync(join(tmpdir(), 'traceo-web-'));
    const make = (...more) => /traceo_[0-9a-f]+_[0-9a-f]+/.exec(execFileSync(binary(), ['key', 'add', '--data', data, ...more], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))[0];
    let traceo = await startTraceo({ folder: data });
    await traceo.stop();
    const key = make('--permissions', 'read_metrics,read_status');
    const weak = make('--permissions', 'read_metrics');
    traceo = await startTraceo({ folder: data });
    try {
      const page = await openPage(browser, traceo.url);
      await page.goto(traceo.url + '/');
      const field = page.locator('input[type=password]');
      await field.waitFor();
      await shoot(page, 'key-dark');
      await field.fill('traceo_0000000000000000_nonsense');
      await page.getByRole('button', { name: 'Use this key' }).click();
      await until(page, () => document.body.textContent.includes('is not accepted'), 'a wrong key is named so');
      await field.fill(weak);
      await page.getByRole('button', { name: 'Use this key' }).click();
      await until(page, () => document.body.textContent.includes('one with more permissions'), 'what the key may not');
      await page.getByTitle('API key').click();
      await page.getByText('Forget the API key').click();
      await field.waitFor();
      await field.fill(key);
      await page.getByRole('button', { name: 'Use this key' }).click();
      await until(page, hasData, 'data');
      assert.ok(!page.url().includes('traceo_'));
      assert.deepEqual(page.faults.filter((one) => !/status of 40[13]/.test(one)), []);
      await page.context().close();
    } finally {
      await traceo.stop();
      rmSync(data, { recursive: true, force: true });
    }
  },

  'while the log is replayed the page says how far it is, and goes on by itself': async ({ traceo, browser }) => {
    const page = await openPage(browser, traceo.url);
    let part = 10;
    const busy = { status: 503, contentType: 'application/json', body: JSON.stringify({ status: 'error', errorType: 'unavailable', error: 'the log is still being replayed; see /-/ready for the progress' }) };
    await page.route(/api\/v1\/query/, (route) => (part < 100 ? route.fulfill(busy) : route.continue()));
    await page.route(/walreplay/, (route) => route.fulfill({ contentType: 'application/json', body: JSON.stringify({ status: 'success', data: { min: 0, max: 100, current: part, state: part < 100 ? 'in progress' : 'done' } }) }));
    await page.goto(traceo.url + '/ui/');
    await until(page, () => document.querySelector('[role=progressbar]')?.getAttribute('aria-valuenow') === '10', 'the progress');
    await shoot(page, 'starting-dark');
    part = 100;
    await until(page, hasData, 'data');
    await page.context().close();
  },

  'without this host there is a next step; without an answer the page says so and recovers': async ({ browser }) => {
    const data = mkdtempSync(join(tmpdir(), 'traceo-web-'));
    const traceo = await startTraceo({ folder: data, args: ['--host.enabled', 'false'] });
    const page = await openPage(browser, traceo.url);
    try {
      await page.goto(traceo.url + '/ui/');
      await until(page, () => document.querySelector('.copy pre')?.textContent.includes('host.enabled true'), 'a line to copy');
      await shoot(page, 'empty-dark');
    } finally {
      await traceo.stop();
    }
    await until(page, () => document.body.textContent.includes('does not answer'), 'the fault');
    assert.equal(await page.evaluate(() => document.body.textContent.split('does not answer').length), 2, 'said once');
    await shoot(page, 'unreachable-dark');
    const again = await startTraceo({ folder: data, args: ['--host.enabled', 'false', '--listen', new URL(traceo.url).host] });
    await until(page, () => !document.body.textContent.includes('does not answer'), 'it goes on by itself');
    await again.stop();
    await page.context().close();
    rmSync(data, { recursive: true, force: true });
  },
};
