// Queries that run are listed and can be ended; series are counted down to the values that make them; tables are taken along.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { axeFaults, openPage, push, shoot, startTraceo } from './world.mjs';

const EVIL = '<img src=x onerror=alert(1)>';
// Seven thousand windows of 36,000 values, sorted twice each: ten seconds and more, of one series, inside of which it can be ended.
const SLOW = 'mad_over_time((vector(time()) * 2)[1h:100ms])';

async function quiet(page) {
  assert.equal(await page.locator('main img, main script').count(), 0);
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

let stored;
async function pods(traceo) {
  stored ??= (async () => {
    const lines = [];
    for (let i = 0; i < 60; i++) lines.push(`running_pods{pod="pod-${i}",zone="${i % 3 === 0 ? EVIL : 'z' + (i % 3)}",app="web"} ${i}`);
    lines.push('running_other{zone="z1"} 1.25');
    await push(traceo, lines);
  })();
  return stored;
}

export const tests = {
  'running: a query that runs is listed with what it cost, and its client is told when it is ended': async ({ traceo, browser }) => {
    const end = Math.floor(Date.now() / 1000);
    const range = { start: end - 6960, end, step: 1 };
    for (const theme of ['dark', 'light']) {
      const page = await openPage(browser, traceo.url, { theme });
      await page.goto(traceo.url + '/ui/queries');
      await page.getByText('Nothing waits or runs').waitFor();
      const answer = fetch(traceo.url + '/api/v1/query_range', { method: 'POST', headers: { 'User-Agent': 'test ' + EVIL }, body: new URLSearchParams({ query: SLOW, ...range }) });
      const row = page.getByRole('row', { name: /mad_over_time/ });
      await row.getByText('running', { exact: true }).waitFor();
      await row.getByText('127.0.0.1').waitFor();
      await shoot(page, 'queries-' + theme);
      assert.deepEqual(await axeFaults(page), []);
      await page.getByRole('searchbox').fill('no such');
      await page.getByText('No running query has these words').waitFor();
      await page.getByRole('searchbox').fill('MAD_over');
      await row.getByRole('button', { name: /End the query/ }).click();
      const ended = await answer;
      assert.ok(ended.status >= 400, String(ended.status));
      assert.match(await ended.text(), /ended/);
      await page.getByText('Nothing waits or runs').waitFor();
      await quiet(page);
    }
  },

  'running: a label that explodes is named where series are counted': async ({ browser }) => {
    const traceo = await startTraceo({ args: ['--series.per_metric_max', '20', '--otlp.grpc_listen', 'off', '--otlp.http_listen', 'off', '--host.enabled', 'false'] });
    try {
      await push(traceo, Array.from({ length: 20 }, (_, i) => `bomb{user="u${i}",app="web"} 1`));
      // More of them are refused, all of a body: an error, and the known ones go on.
      await assert.rejects(push(traceo, Array.from({ length: 30 }, (_, i) => `bomb{user="v${i}",app="web"} 1`)));
      await push(traceo, ['bomb{user="u1",app="web"} 2', 'calm 1']);
      for (const theme of ['dark', 'light']) {
        const page = await openPage(browser, traceo.url, { theme });
        await page.goto(traceo.url + '/ui/metrics?view=cardinality');
        const notice = page.getByRole('status').filter({ hasText: 'were refused' });
        await notice.waitFor();
        assert.match(await notice.innerText(), /refused 30 times[\s\S]*bomb 30 times, the last .*, by series\.per_metric_max; its label user has 20 values/);
        await shoot(page, 'cardinality-refused-' + theme, { fullPage: true });
        assert.deepEqual(await axeFaults(page), []);
        await notice.getByRole('link', { name: 'bomb' }).click();
        await page.getByRole('region', { name: 'Series by user' }).getByRole('link', { name: 'u0', exact: true }).waitFor();
        await quiet(page);
      }
    } finally {
      await traceo.stop();
    }
  },

  'running: series are counted by metric, label and value, step by step in the address': async ({ traceo, browser }) => {
    await pods(traceo);
    for (const theme of ['dark', 'light']) {
      const page = await openPage(browser, traceo.url, { theme });
      await page.goto(traceo.url + '/ui/metrics?view=cardinality');
      const byMetric = page.getByRole('region', { name: 'Series by metric' });
      await byMetric.getByRole('link', { name: 'running_pods' }).waitFor();
      await shoot(page, 'cardinality-' + theme, { fullPage: true });
      assert.deepEqual(await axeFaults(page), []);
      await byMetric.getByRole('link', { name: 'running_pods' }).click();
      // The label that makes the series is the first one.
      await page.getByRole('region', { name: 'Series by pod' }).getByRole('link', { name: 'pod-0' }).waitFor();
      await page.getByText('60 series').waitFor();
      await page.getByRole('button', { name: 'zone', exact: true }).click();
      const zones = page.getByRole('region', { name: 'Series by zone' });
      await zones.getByRole('link', { name: EVIL }).waitFor();
      assert.match(await zones.getByRole('listitem').first().innerText(), /20[\s\S]*33\.3/);
      await shoot(page, 'cardinality-drill-' + theme, { fullPage: true });
      assert.deepEqual(await axeFaults(page), []);
      await zones.getByRole('button', { name: /Save or copy/ }).click();
      const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitemradio', { name: 'Save as CSV' }).click()]);
      assert.match(readFileSync(await file.path(), 'utf8'), /^name,series,share\r\n/);
      await zones.getByRole('link', { name: EVIL }).click();
      await page.getByText('20 series').waitFor();
      const where = new URL(page.url()).searchParams.getAll('where');
      assert.deepEqual(where, ['__name__=running_pods', 'zone=' + EVIL]);
      await page.reload();
      await page.getByText('20 series').waitFor();
      await page.getByRole('link', { name: 'Without the condition on __name__' }).click();
      await page.waitForURL((url) => url.searchParams.getAll('where').length === 1);
      await page.getByRole('region', { name: 'Series of' }).getByRole('link', { name: 'Explore' }).click();
      await page.waitForURL(/\/ui\/explore\?.*expr=/);
      assert.equal(new URL(page.url()).searchParams.get('expr'), `{zone="${EVIL}"}`);
      await page.locator('.result canvas').waitFor();
      await quiet(page);
    }
  },

  'running: tables are taken along as Markdown and as CSV': async ({ traceo, browser }) => {
    await pods(traceo);
    const page = await openPage(browser, traceo.url, { permissions: ['clipboard-read', 'clipboard-write'] });
    await page.goto(traceo.url + '/ui/explore?' + new URLSearchParams({ expr: 'running_pods{pod=~"pod-[0-3]"}', view: 'table', sort: '-:value', side: 'none' }));
    await page.locator('.result tbody tr').first().waitFor();
    await page.getByRole('button', { name: 'Save or copy A' }).click();
    await page.getByRole('menuitemradio', { name: 'Copy as Markdown' }).click();
    await page.getByText('Copied.').waitFor();
    const lines = (await page.evaluate(() => navigator.clipboard.readText())).trim().split('\n');
    assert.equal(lines[0], '| metric | app | pod | zone | value |');
    assert.equal(lines[1], '| --- | --- | --- | --- | --: |');
    assert.equal(lines[2], '| running\\_pods | web | pod-3 | &lt;img src=x onerror=alert(1)&gt; | 3 |');
    assert.equal(lines.length, 6);
    await page.getByRole('button', { name: 'Over the range' }).click();
    await page.locator('.result tbody tr').first().waitFor();
    await page.getByRole('button', { name: 'Save or copy A' }).click();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitemradio', { name: 'Save the table as CSV' }).click()]);
    const csv = readFileSync(await file.path(), 'utf8').trim().split('\r\n');
    assert.equal(csv[0], 'series,last,min,max,mean');
    assert.equal(csv.length, 5);
    await quiet(page);
  },

  'running: both pages fit 360 pixels': async ({ traceo, browser }) => {
    await pods(traceo);
    for (const path of ['/ui/queries', '/ui/metrics?view=cardinality&where=__name__%3Drunning_pods&by=zone']) {
      const page = await openPage(browser, traceo.url, { width: 360, height: 780 });
      await page.goto(traceo.url + path);
      await page.locator('main .panel').first().waitFor();
      await page.waitForTimeout(1500);
      await shoot(page, path.includes('metrics') ? 'cardinality-narrow' : 'queries-narrow', { fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= 360, `${path} is ${wide} px wide`);
      await quiet(page);
    }
  },
};
