// What Explore shows beyond lines: heat maps of native and classic histograms, exemplars with their traces, and what each
// part of a query cost.
import assert from 'node:assert/strict';
import { axeFaults, openPage, pointAtExemplar, push, shoot } from './world.mjs';

const address = (traceo, params) => traceo.url + '/ui/explore?' + new URLSearchParams(params);
const param = (page, name) => new URL(page.url()).searchParams.get(name);
const EVIL = '<img src=x onerror=alert(1)>';

async function quiet(page) {
  assert.equal(await page.locator('main img, main script').count(), 0);
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

/** A native histogram with exemplars over OTLP, as an SDK sends it, and a classic one, over ten minutes. */
let stored;
async function checkouts(traceo) {
  stored ??= (async () => {
    const end = Math.floor(Date.now() / 15000) * 15;
    const points = Array.from({ length: 41 }, (_, i) => {
      const at = BigInt(end - (40 - i) * 15) * 1000000000n;
      return {
        startTimeUnixNano: String(BigInt(end - 700) * 1000000000n),
        timeUnixNano: String(at),
        count: String(30 * (i + 1)),
        sum: 12 * (i + 1),
        scale: 1,
        zeroCount: String(i + 1),
        zeroThreshold: 0.001,
        positive: { offset: -8, bucketCounts: [1, 3, 8, 10, 5, 2].map((count) => String(count * (i + 1))) },
        exemplars: i % 4 === 0 ? [{ timeUnixNano: String(at - 5000000000n), asDouble: 0.1 + i * 0.01, traceId: (i + 1).toString(16).padStart(32, '0'), spanId: (i + 1).toString(16).padStart(16, '0'), filteredAttributes: [{ key: 'note', value: { stringValue: EVIL } }] }] : [],
      };
    });
    const body = { resourceMetrics: [{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] }, scopeMetrics: [{ metrics: [{ name: 'shop_checkout', unit: 's', exponentialHistogram: { aggregationTemporality: 2, dataPoints: points } }] }] }] };
    const answer = await fetch(traceo.url + '/v1/metrics', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    assert.equal(answer.status, 200, await answer.text());
    const lines = [];
    for (let i = 0; i < 41; i++) for (const [k, le] of [0.1, 1, '+Inf'].entries()) lines.push(`shop_page_seconds_bucket{le="${le}",job="shop"} ${(i + 1) * [10, 25, 26][k]} ${(end - (40 - i) * 15) * 1000}`);
    await push(traceo, lines);
    return { from: String((end - 540) * 1000), to: String(end * 1000) };
  })();
  return stored;
}

export const tests = {
  'insight: a native histogram is a heat map by itself, a classic one when asked for, in both themes': async ({ traceo, browser }) => {
    const range = await checkouts(traceo);
    for (const theme of ['dark', 'light']) {
      const page = await openPage(browser, traceo.url, { theme });
      // Nobody asked for a heat map: lines would be empty.
      await page.goto(address(traceo, { ...range, expr: 'rate(shop_checkout_seconds[1m])', side: 'none' }));
      await page.locator('.heat canvas').waitFor();
      const over = await page.locator('.heat .u-over').boundingBox();
      await page.mouse.move(over.x + over.width * 0.6, over.y + over.height * 0.25);
      await page.locator('.tip').getByText(/ms – |s$/).first().waitFor();
      await shoot(page, 'explore-heat-native-' + theme);
      await page.mouse.move(2, 2);
      await page.getByText('As a table').click();
      // 30 a quarter of a minute: 2 a second, a third of them in the largest bucket.
      const row = page.getByRole('row', { name: /177.ms – 250.ms/ });
      await row.getByRole('cell', { name: '0.667' }).first().waitFor();
      assert.match(await row.innerText(), /33\.3/);
      assert.deepEqual(await axeFaults(page), []);
      await page.getByRole('button', { name: 'Heat map' }).click();
      await page.getByRole('button', { name: 'Linear' }).click();
      assert.equal(param(page, 'view'), 'heat');
      assert.equal(param(page, 'y'), 'linear');
      await page.locator('.heat canvas').waitFor();
      await shoot(page, 'explore-heat-linear-' + theme);
      await page.goto(address(traceo, { ...range, view: 'heat', expr: 'sum by (le) (rate(shop_page_seconds_bucket[1m]))', side: 'none' }));
      await page.getByText('As a table').click();
      await page.getByRole('row', { name: /100.ms – 1.s/ }).getByRole('cell', { name: '1', exact: true }).first().waitFor();
      await page.goto(address(traceo, { ...range, view: 'heat', expr: 'sum(shop_page_seconds_bucket)', side: 'none' }));
      await page.getByText('These series are no histogram').waitFor();
      await quiet(page);
    }
  },

  'insight: exemplars are dots whose labels are shown, kept and copied; a link shows them': async ({ traceo, browser }) => {
    const range = await checkouts(traceo);
    for (const theme of ['dark', 'light']) {
      const page = await openPage(browser, traceo.url, { theme, permissions: ['clipboard-read', 'clipboard-write'] });
      const asked = [];
      page.on('request', (request) => request.url().includes('query_exemplars') && asked.push(request.url()));
      await page.goto(address(traceo, { ...range, expr: 'histogram_quantile(0.9, rate(shop_checkout_seconds[1m]))', side: 'none' }));
      await page.locator('.result canvas').waitFor();
      assert.equal(asked.length, 0, 'nothing is asked before they are wanted');
      await page.getByRole('button', { name: 'Exemplars' }).click();
      assert.equal(param(page, 'exemplars'), '1');
      await page.getByText(/^\d+ exemplars$/).waitFor();
      await page.reload();
      await page.getByText(/^\d+ exemplars$/).click();
      const rows = await page.getByRole('group', { name: 'Exemplars' }).locator('tbody tr').count();
      assert.ok(rows >= 8 && rows <= 11, String(rows));
      await page.getByText(EVIL).first().waitFor();
      assert.deepEqual(await axeFaults(page), []);
      const card = page.locator('.dot-card');
      const found = await pointAtExemplar(page, page.locator('.result .u-over'));
      await card.getByText('trace_id').waitFor();
      await page.mouse.click(found.x, found.y);
      await page.mouse.move(5, 5);
      await card.getByRole('button', { name: 'Copy trace_id' }).waitFor();
      await shoot(page, 'explore-exemplars-' + theme);
      assert.deepEqual(await axeFaults(page), []);
      await card.getByRole('button', { name: 'Copy trace_id' }).click();
      assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^0{30}[0-9a-f]{2}$/);
      await page.keyboard.press('Escape');
      assert.equal(await card.count(), 0);
      await quiet(page);
    }
  },

  'insight: a query is explained node by node; a click marks its part of the text': async ({ traceo, browser }) => {
    const range = await checkouts(traceo);
    for (const theme of ['dark', 'light']) {
      const page = await openPage(browser, traceo.url, { theme });
      await page.goto(address(traceo, { ...range, expr: 'sum by (le) (rate(shop_page_seconds_bucket{job!="é"}[1m])) / 2', side: 'none' }));
      await page.locator('.result canvas').waitFor();
      await page.locator('.cm-content').waitFor();
      await page.keyboard.press('i');
      const plan = page.getByRole('region', { name: 'Plan of A' });
      await plan.getByRole('button', { name: /sum by \(le\)/ }).click();
      assert.equal(param(page, 'explain'), 'A');
      assert.equal(await plan.locator('mark').textContent(), 'sum by (le) (rate(shop_page_seconds_bucket{job!="é"}[1m]))');
      assert.equal(await page.evaluate(() => [...document.querySelectorAll('.expr-editor, .expr-editor *')].find((one) => one.shadowRoot !== null).shadowRoot.getSelection().toString()), 'sum by (le) (rate(shop_page_seconds_bucket{job!="é"}[1m]))');
      const selector = plan.getByRole('row', { name: /shop_page_seconds_bucket/ });
      const read = Number((await selector.locator('td').nth(5).textContent()).replaceAll(',', ''));
      assert.ok(read >= 3 * 36, `${read} samples were read`);
      const shares = (await plan.locator('.plan-time span:last-child').allTextContents()).map((text) => parseFloat(text));
      const sum = shares.reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(sum - 100) < 3, `the parts of the time are ${sum} %`);
      await shoot(page, 'explore-plan-' + theme);
      assert.deepEqual(await axeFaults(page), []);
      await plan.getByRole('button', { name: 'Measure again' }).click();
      await plan.getByRole('button', { name: 'Close the plan' }).click();
      assert.equal(await plan.count(), 0);
      assert.equal(param(page, 'explain'), null);
      await quiet(page);
    }
  },

  'insight: all of it fits 360 pixels': async ({ traceo, browser }) => {
    const range = await checkouts(traceo);
    for (const params of [{ expr: 'histogram_quantile(0.9, rate(shop_checkout_seconds[1m]))', exemplars: '1', explain: 'A' }, { expr: 'rate(shop_checkout_seconds[1m])', view: 'heat' }]) {
      const page = await openPage(browser, traceo.url, { width: 360, height: 1400 });
      await page.goto(address(traceo, { ...range, ...params, side: 'none' }));
      await page.locator('.result canvas').waitFor();
      await page.waitForTimeout(500);
      await shoot(page, 'explore-narrow-' + (params.view ?? 'plan'), { fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= 360, `${wide} px wide`);
      await quiet(page);
    }
  },
};
