// Targets, Metrics, Settings, API and the palette, over a Traceo that scrapes good, broken, hostile and absent targets.
// What targets say (names, labels, help, faults) is text on the page, whatever it looks like.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { axeFaults, openPage, shoot, startTraceo } from './world.mjs';

const EVIL = '<img src=x onerror=alert(1)>';
const GOOD_PAGE = `# HELP shop_orders_total Orders taken. ${EVIL} </script><script>alert(2)</script>
# TYPE shop_orders_total counter
shop_orders_total{country="de",evil="${EVIL}"} 7
shop_orders_total{country="fr",evil="javascript:alert(1)"} 3
# TYPE shop_queue gauge
shop_queue 4
`;

let world;
/** One Traceo for all tests of this file; it is stopped when the process ends. */
async function house() {
  world ??= (async () => {
    const pages = { '/metrics': GOOD_PAGE, '/broken': `shop_queue 1\n${EVIL} is no sample\n` };
    const server = createServer((request, response) => {
      const path = new URL(request.url, 'http://x').pathname;
      response.writeHead(path in pages ? 200 : 404, { 'Content-Type': 'text/plain; version=0.0.4' });
      response.end(pages[path] ?? EVIL);
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    server.unref();
    const at = `127.0.0.1:${server.address().port}`;
    const folder = mkdtempSync(join(tmpdir(), 'traceo-web-config-'));
    const config = join(folder, 'traceo.yaml');
    writeFileSync(
      config,
      `global: {scrape_interval: 1s}
scrape_configs:
  - job_name: shop
    static_configs: [{targets: ["${at}"], labels: {team: '${EVIL}'}}]
  - job_name: '${EVIL}'
    metrics_path: /broken
    static_configs: [{targets: ["${at}"]}]
  - job_name: away
    static_configs: [{targets: ["127.0.0.1:1", "drop.me:80"]}]
    relabel_configs: [{source_labels: [__address__], regex: 'drop.*', action: drop}]
`,
    );
    const traceo = await startTraceo({ args: ['--config', config, '--otlp.grpc_listen', 'off', '--otlp.http_listen', 'off'] });
    process.on('exit', () => {
      process.kill(traceo.pid, 'SIGKILL');
      rmSync(folder, { recursive: true, force: true });
      rmSync(traceo.data, { recursive: true, force: true });
    });
    for (let i = 0; i < 100; i++) {
      const { data } = await (await fetch(traceo.url + '/api/v1/targets')).json();
      if (data.activeTargets.length === 3 && data.activeTargets.every((one) => one.health !== 'unknown')) return traceo;
      await new Promise((done) => setTimeout(done, 100));
    }
    throw new Error('the targets were not scraped: ' + traceo.log());
  })();
  return world;
}

/** Nothing of what was sent may have become part of the page's structure. */
async function nothingHostile(page) {
  assert.equal(await page.locator('main img, main script, main iframe').count(), 0);
  assert.equal(await page.locator('a[href^="javascript:"]').count(), 0);
  assert.deepEqual(page.faults, []);
}

export const tests = {
  'targets: what is up, what is down and why': async ({ browser }) => {
    const traceo = await house();
    const page = await openPage(browser, traceo.url);
    let dialogs = 0;
    page.on('dialog', (dialog) => (dialogs++, dialog.dismiss()));
    await page.goto(traceo.url + '/ui/targets');
    await page.getByRole('region', { name: 'shop', exact: true }).getByText('Up', { exact: true }).waitFor();
    await page.getByText('connection refused').waitFor();
    const faults = await page.locator('main [role="note"]').allTextContents();
    assert.ok(faults.some((text) => text.includes('line 2')), 'the broken page names its line: ' + faults.join(' | '));
    await page.getByText('Dropped by relabelling').click();
    await page.getByText('drop.me:80').first().waitFor();
    await shoot(page, 'targets-three', { fullPage: true });
    assert.deepEqual(await axeFaults(page), []);
    // The filter is in the address, and a link shows the same.
    await page.getByRole('button', { name: /^Down/ }).click();
    await page.waitForURL(/state=down/);
    assert.equal(await page.getByRole('region', { name: 'shop', exact: true }).count(), 0);
    await page.getByRole('searchbox').fill('refused');
    await page.waitForURL(/q=refused/);
    await page.reload();
    await page.getByText('connection refused').waitFor();
    assert.equal(await page.locator('main tbody tr').count(), 1);
    await nothingHostile(page);
    assert.equal(dialogs, 0);
    await page.context().close();
  },

  'metrics: found by name and help, with type, labels and a first look': async ({ browser }) => {
    const traceo = await house();
    const page = await openPage(browser, traceo.url);
    await page.goto(traceo.url + '/ui/metrics');
    await page.getByRole('searchbox').fill('orders taken');
    await page.getByRole('button', { name: 'shop_orders_total' }).click();
    await page.waitForURL(/metric=shop_orders_total/);
    const detail = page.getByRole('region', { name: 'shop_orders_total', exact: true });
    await detail.getByText('Orders taken. ' + EVIL).waitFor();
    await detail.getByText('counter').waitFor();
    await detail.getByText('2 series').waitFor();
    await detail.getByText('country').click();
    await detail.getByRole('link', { name: 'de', exact: true }).waitFor();
    await shoot(page, 'metrics-one', { fullPage: true });
    assert.deepEqual(await axeFaults(page), []);
    await nothingHostile(page);
    await detail.getByRole('link', { name: 'Explore' }).click();
    await page.waitForURL(/\/ui\/explore\?.*expr=rate/);
    await page.goBack();
    await page.getByRole('button', { name: 'Cardinality' }).click();
    await page.getByRole('region', { name: 'Series by metric' }).waitFor();
    await page.getByText('in memory').first().waitFor();
    assert.deepEqual(await axeFaults(page), []);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  },

  'settings: what is changed, from where, and the file that says the same': async ({ browser }) => {
    const traceo = await house();
    const page = await openPage(browser, traceo.url);
    await page.goto(traceo.url + '/ui/settings?only=changed');
    await page.getByRole('row', { name: /otlp\.grpc_listen off --otlp\.grpc_listen/ }).waitFor();
    assert.equal(await page.getByText('query.timeout', { exact: true }).count(), 0);
    await page.getByRole('button', { name: /^All/ }).click();
    await page.getByRole('searchbox').fill('how long samples');
    await page.getByRole('row', { name: /retention 30d default/ }).waitFor();
    await page.getByText('job_name: shop').waitFor();
    await nothingHostile(page);
    await page.context().close();
  },

  'the API explains itself and answers': async ({ browser }) => {
    const traceo = await house();
    const page = await openPage(browser, traceo.url);
    await page.goto(traceo.url + '/ui/api');
    await page.getByRole('searchbox').fill('buildinfo');
    await page.getByRole('button', { name: /status\/buildinfo/ }).click();
    await page.waitForURL(/route=/);
    await page.getByText("curl 'http").waitFor();
    await page.getByRole('button', { name: 'Ask it now' }).click();
    await page.getByLabel('Answer').getByText('"status": "success"').waitFor();
    assert.deepEqual(await axeFaults(page), []);
    await nothingHostile(page);
    await page.context().close();
  },

  'the palette finds pages, commands and metrics by the keyboard alone': async ({ browser }) => {
    const traceo = await house();
    const page = await openPage(browser, traceo.url);
    await page.goto(traceo.url + '/ui/');
    await page.waitForSelector('main .panel');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').waitFor();
    await page.keyboard.type('light');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.documentElement.dataset.theme === 'light');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').waitFor();
    await page.keyboard.type('shop ord');
    await page.getByRole('option', { name: /shop_orders_total/ }).waitFor();
    await shoot(page, 'palette');
    assert.deepEqual(await axeFaults(page), []);
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/ui\/explore\?.*expr=shop_/);
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').waitFor();
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => document.querySelector('dialog[open]') === null);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  },
};
