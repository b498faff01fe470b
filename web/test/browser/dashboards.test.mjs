// Dashboards: the built-in ones draw what this host and Traceo say of themselves; variables, zoom and what is hidden are in
// the address; a panel that is out of sight asks nothing; a document of one's own is checked, kept and hostile-proof; heat
// maps are there for eyes, hands and screen readers.
import assert from 'node:assert/strict';
import { axeFaults, openPage, pointAtExemplar, push, shoot } from './world.mjs';

const address = (traceo, path, params = {}) => traceo.url + '/ui/dashboards' + path + '?' + new URLSearchParams(params);
const param = (page, name) => new URL(page.url()).searchParams.getAll(name);
const panel = (page, name) => page.getByRole('article', { name, exact: true });
/** Every panel in sight has drawn, or says why it has nothing. */
const settled = (page) =>
  page.waitForFunction(() => {
    const all = [...document.querySelectorAll('.board-panel')].filter((one) => one.getBoundingClientRect().top < innerHeight);
    return all.length > 0 && all.every((one) => one.querySelector('canvas, .stat, .gauge, .bars-list, tbody tr, .nothing, .notice, p') !== null);
  });

async function quiet(page, expected = /^$/) {
  assert.deepEqual(page.faults.filter((fault) => !expected.test(fault)), []);
  await page.context().close();
}

const EVIL = '<img src=x onerror=alert(1)>';

// Two machines as two node_exporters would tell, and a histogram, over half an hour.
let stored;
async function machines(traceo) {
  stored ??= (async () => {
    const end = Math.floor(Date.now() / 15000) * 15000;
    const lines = [];
    for (let i = 0; i < 120; i++) {
      const at = end - (119 - i) * 15000;
      for (const [k, host] of ['alpha:9100', 'beta.example:9100', `${EVIL}:9100`].entries()) {
        lines.push(`node_load1{job="boards",instance="${host}"} ${k + 1 + (i % 7) / 10} ${at}`);
        lines.push(`node_memory_MemTotal_bytes{job="boards",instance="${host}"} ${(k + 1) * 1024 ** 3} ${at}`);
        lines.push(`node_memory_MemAvailable_bytes{job="boards",instance="${host}"} ${(k + 1) * 1024 ** 2 * 512} ${at}`);
      }
      const upTo = [0.01, 0.1, 1, '+Inf'].map((le, k) => [le, (i + 1) * [5, 40, 50, 52][k] + (i > 60 ? (i - 60) * [0, 0, 30, 60][k] : 0)]);
      for (const [le, count] of upTo) lines.push(`board_seconds_bucket{job="boards",le="${le}"} ${count} ${at}`);
    }
    await push(traceo, lines);
    return { from: String(end - 1785e3), to: String(end) };
  })();
  return stored;
}

const OWN = {
  version: 1,
  id: 'mine',
  title: 'Mine ' + EVIL,
  variables: [{ kind: 'text', name: 'word', title: 'Word', value: 'alpha.*' }],
  rows: [
    {
      title: 'Row',
      panels: [
        { kind: 'series', title: 'Lines', queries: [{ expr: 'node_load1{job="boards"}', legend: '{{instance}}' }], thresholds: [{ from: 2, level: 'warn' }] },
        { kind: 'heatmap', title: 'Heat', unit: 'seconds', queries: [{ expr: 'sum by (le) (increase(board_seconds_bucket{job="boards"}[1m]))' }] },
        { kind: 'series', title: 'Broken', queries: [{ expr: 'sum by (' }], width: 4 },
        { kind: 'series', title: 'Nothing', queries: [{ expr: 'no_such_metric' }], width: 4 },
        { kind: 'table', title: 'Table', queries: [{ expr: 'node_load1{job="boards",instance=~"$word"}', legend: 'Load' }], columns: ['instance'], width: 4 },
      ],
    },
  ],
};

async function openFile(page, document, name = 'mine.json') {
  await page.locator('input[type=file]').setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)) });
}

async function drawsInBoth(id, traceo, browser) {
  // Rates need a few collections.
  await new Promise((done) => setTimeout(done, Math.max(0, traceo.startedAt + 20000 - Date.now())));
  for (const theme of ['dark', 'light']) {
    const page = await openPage(browser, traceo.url, { theme, height: 2600 });
    await page.goto(address(traceo, '/' + id, { from: 'now-5m' }));
    await settled(page);
    await page.waitForTimeout(500);
    await shoot(page, `dashboard-${id}-${theme}`, { fullPage: true });
    assert.equal(await page.locator('.board .notice').count(), 0, await page.locator('.board .notice').allTextContents().then(String));
    assert.deepEqual(await axeFaults(page), [], `${id} ${theme}`);
    const drawn = await page.locator('.board-panel').filter({ has: page.locator('canvas, .stat, .gauge, tbody tr') }).count();
    assert.ok(drawn >= 15, `${drawn} panels of ${id} draw`);
    await quiet(page);
  }
}

export const tests = {
  'dashboards: the node draws in both themes, and axe has no complaint': ({ traceo, browser }) => drawsInBoth('node', traceo, browser),
  'dashboards: Traceo itself draws in both themes, and axe has no complaint': ({ traceo, browser }) => drawsInBoth('traceo', traceo, browser),

  'dashboards: only panels in sight ask; a link goes to Explore with the same query and tenant': async ({ traceo, browser }) => {
    const page = await openPage(browser, traceo.url, { height: 600 });
    const asked = [];
    page.on('request', (request) => request.url().includes('/api/v1/query') && asked.push(new URLSearchParams(request.postData() ?? '').get('query')));
    await page.goto(address(traceo, '/traceo', { refresh: 'off' }));
    await settled(page);
    await page.waitForTimeout(500);
    assert.ok(asked.some((expr) => expr.includes('process_resident_memory_bytes')), 'the first row asks');
    assert.ok(!asked.some((expr) => expr.includes('process_open_fds')), 'the last row does not');
    await panel(page, 'File descriptors').scrollIntoViewIfNeeded();
    await panel(page, 'File descriptors').locator('canvas').waitFor();
    assert.ok(asked.some((expr) => expr.includes('process_open_fds')));
    await panel(page, 'File descriptors').getByRole('link', { name: 'Explore File descriptors' }).click();
    await page.waitForURL(/\/ui\/explore/);
    assert.deepEqual(param(page, 'tenant'), ['traceo']);
    await page.locator('.result canvas').waitFor();
    await page.getByText('open', { exact: true }).first().waitFor();
    await page.getByText('of the tenant').waitFor();
    await shoot(page, 'explore-tenant');
    await quiet(page);
  },

  'dashboards: variables are chosen by menu, kept in the address, and never leave their quotes': async ({ traceo, browser }) => {
    const range = await machines(traceo);
    const page = await openPage(browser, traceo.url);
    const asked = [];
    page.on('request', (request) => request.url().includes('/api/v1/query') && asked.push(new URLSearchParams(request.postData() ?? '').get('query')));
    await page.goto(address(traceo, '/node', { ...range, 'var-job': 'boards' }));
    await settled(page);
    await page.getByRole('button', { name: /^Instance/ }).click();
    await page.getByRole('checkbox', { name: 'beta.example:9100' }).check();
    await page.waitForURL(/var-instance=/);
    await page.getByRole('checkbox', { name: 'alpha:9100' }).check();
    await page.getByRole('checkbox', { name: 'alpha:9100' }).uncheck();
    await shoot(page, 'dashboard-variables');
    assert.deepEqual(await axeFaults(page), []);
    assert.deepEqual(param(page, 'var-instance'), [EVIL + ':9100', 'beta.example:9100']);
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => [...document.querySelectorAll('.board-panel')].some((one) => one.textContent.includes('Memory') && one.textContent.includes('50')));
    assert.ok(asked.some((expr) => expr.includes('beta\\\\.example:9100')), 'points stand for themselves');
    // Back undoes a choice; a link shows the same.
    await page.goBack();
    assert.equal(param(page, 'var-instance').length, 3);
    await page.reload();
    await settled(page);
    await page.getByRole('button', { name: /^Instance/ }).getByText('alpha:9100').waitFor();
    assert.equal(await page.locator('main img, main script').count(), 0);
    await quiet(page);
  },

  'dashboards: a document of my own is checked by place, kept, and shows faults where they are': async ({ traceo, browser }) => {
    const range = await machines(traceo);
    const page = await openPage(browser, traceo.url);
    await page.goto(address(traceo, '', range));
    await openFile(page, { ...OWN, rows: [{ panels: [{ kind: 'pie', title: 'x', queries: [] }] }] });
    await page.getByText('rows[0].panels[0].kind: must be one of series').waitFor();
    await shoot(page, 'dashboards-list-faults');
    assert.deepEqual(await axeFaults(page), []);
    await openFile(page, '{ not json');
    await page.getByText('it is no JSON').waitFor();
    await openFile(page, OWN);
    await page.waitForURL(/\/dashboards\/mine/);
    await settled(page);
    await panel(page, 'Broken').getByText('unclosed left parenthesis').waitFor();
    await panel(page, 'Nothing').getByText('Nothing in this range of time').waitFor();
    await panel(page, 'Table').getByRole('cell', { name: 'alpha:9100' }).waitFor();
    assert.equal(await panel(page, 'Table').locator('tbody tr').count(), 1);
    await page.getByLabel('Word').fill('beta.*');
    await page.getByLabel('Word').press('Enter');
    await panel(page, 'Table').getByRole('cell', { name: 'beta.example:9100' }).waitFor();
    assert.deepEqual(param(page, 'var-word'), ['beta.*']);
    await shoot(page, 'dashboard-own-dark', { fullPage: true });
    assert.deepEqual(await axeFaults(page), []);
    // What a legend hides is in the address.
    await panel(page, 'Lines').getByRole('button', { name: 'alpha:9100' }).click();
    await page.waitForURL(/only-0\.0=alpha/);
    await page.reload();
    await settled(page);
    assert.equal(await panel(page, 'Lines').getByRole('button', { name: 'beta.example:9100' }).getAttribute('aria-pressed'), 'false');
    // A row folds, also in the address.
    await page.getByRole('button', { name: 'Row', exact: true }).click();
    assert.equal(await page.locator('.board-panel').count(), 0);
    assert.deepEqual(param(page, 'rows'), ['0']);
    // The palette knows it, and the list forgets it.
    await page.goto(traceo.url + '/ui/');
    await page.waitForSelector('main .panel');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').fill('mine');
    await page.getByRole('option', { name: /Mine/ }).click();
    await page.waitForURL(/\/dashboards\/mine/);
    await settled(page);
    await page.keyboard.press('d');
    await page.getByRole('button', { name: 'Remove Mine' }).click();
    await page.reload();
    await page.getByText('Traceo itself').waitFor();
    assert.equal(await page.getByText('Mine').count(), 0);
    assert.equal(await page.locator('main img, main script').count(), 0);
    await quiet(page, /status of 400/);
  },

  'dashboards: panels share the pointer and the zoom; a heat map has buckets for the pointer, the keyboard and as a table': async ({ traceo, browser }) => {
    const range = await machines(traceo);
    for (const theme of ['dark', 'light']) {
      const page = await openPage(browser, traceo.url, { theme });
      await page.goto(address(traceo, '', range));
      await openFile(page, OWN);
      await page.waitForURL(/\/dashboards\/mine/);
      await settled(page);
      const heat = panel(page, 'Heat');
      const over = await heat.locator('.u-over').boundingBox();
      await page.mouse.move(over.x + over.width * 0.9, over.y + over.height * 0.5);
      await heat.locator('.tip').getByText(/ms – |s$/).first().waitFor();
      const x = await panel(page, 'Lines').locator('.u-cursor-x').evaluate((one) => new DOMMatrix(getComputedStyle(one).transform).e);
      const there = await panel(page, 'Lines').locator('.u-over').evaluate((one) => one.clientWidth);
      assert.ok(Math.abs(x / there - 0.9) < 0.01, `the pointer of the neighbour is at ${x} of ${there}`);
      await shoot(page, 'dashboard-heat-' + theme);
      await page.mouse.move(5, 400);
      // From the keyboard: the last time, the least bucket.
      await heat.getByRole('slider').focus();
      await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('ArrowUp');
      const told = await heat.getByRole('slider').getAttribute('aria-valuetext');
      assert.match(told, /0.s – 10.ms: \d+ of \d+/, told);
      await heat.getByText('As a table').click();
      await heat.getByRole('cell', { name: 'above 1' }).waitFor();
      assert.equal(await heat.locator('tbody tr').count(), 4);
      assert.deepEqual(await axeFaults(page), []);
      // A drag zooms all panels, and Back takes it back.
      const from = param(page, 'from');
      await page.mouse.move(over.x + over.width * 0.2, over.y + 50);
      await page.mouse.down();
      await page.mouse.move(over.x + over.width * 0.6, over.y + 60, { steps: 5 });
      await page.mouse.up();
      await page.waitForFunction((old) => new URL(location.href).searchParams.get('from') !== old, from[0]);
      await page.goBack();
      assert.deepEqual(param(page, 'from'), from);
      await quiet(page, /status of 400/);
    }
  },

  'dashboards: a panel with exemplars draws them, shows and keeps their labels, and takes them to Explore': async ({ traceo, browser }) => {
    const end = Math.floor(Date.now() / 15000) * 15;
    const lines = ['# TYPE board_asks counter'];
    for (let i = 0; i < 60; i++) lines.push(`board_asks_total{job="boards"} ${i * 3} ${end - (59 - i) * 15}` + (i % 10 === 5 ? ` # {trace_id="${String(i).padStart(32, '0')}",note="${EVIL}"} ${0.05 + i / 400} ${end - (59 - i) * 15 - 4}` : ''));
    await push(traceo, [...lines, '# EOF']);
    const query = { expr: 'rate(board_asks_total{job="boards"}[1m])', legend: 'asks' };
    const own = {
      version: 1,
      id: 'dots',
      title: 'Dots',
      rows: [{ panels: [{ kind: 'series', title: 'With', unit: '/s', exemplars: true, thresholds: [{ from: 0.15, level: 'warn' }], queries: [query] }, { kind: 'series', title: 'Without', unit: '/s', queries: [{ expr: 'rate(board_asks_total[2m])', legend: 'asks' }] }] }],
    };
    const range = { from: String((end - 885) * 1000), to: String(end * 1000) };
    for (const theme of ['dark', 'light']) {
      const page = await openPage(browser, traceo.url, { theme, permissions: ['clipboard-read', 'clipboard-write'] });
      const asked = [];
      page.on('request', (request) => request.url().includes('query_exemplars') && asked.push(new URLSearchParams(request.postData() ?? '').get('query')));
      await page.goto(address(traceo, '', range));
      await openFile(page, own, 'dots.json');
      await page.waitForURL(/\/dashboards\/dots/);
      await settled(page);
      await page.waitForTimeout(500);
      assert.deepEqual(asked, [query.expr], 'only the panel that has them asks, once');
      const found = await pointAtExemplar(page, panel(page, 'With').locator('.u-over'));
      const card = panel(page, 'With').locator('.dot-card');
      await card.getByText('trace_id').waitFor();
      await page.mouse.click(found.x, found.y);
      await page.mouse.move(5, 5);
      await card.getByText(EVIL).waitFor();
      await shoot(page, 'dashboard-exemplars-' + theme);
      assert.deepEqual(await axeFaults(page), []);
      await card.getByRole('button', { name: 'Copy trace_id' }).click();
      assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^0{30}[0-9]5$/);
      assert.equal(await page.locator('main img, main script').count(), 0);
      await page.keyboard.press('Escape');
      await panel(page, 'With').getByRole('link', { name: 'Explore With' }).click();
      await page.waitForURL(/\/ui\/explore/);
      assert.deepEqual(param(page, 'exemplars'), ['1']);
      await page.getByText('6 exemplars', { exact: true }).waitFor();
      await quiet(page);
    }
  },

  'dashboards: 360 pixels are enough': async ({ traceo, browser }) => {
    const range = await machines(traceo);
    const page = await openPage(browser, traceo.url, { width: 360, height: 780 });
    await page.goto(address(traceo, '/node', { ...range, 'var-job': 'boards' }));
    await settled(page);
    await page.getByRole('button', { name: /^Instance/ }).click();
    await page.waitForTimeout(300);
    await shoot(page, 'dashboard-narrow');
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 360, `${wide} px wide`);
    assert.deepEqual(await axeFaults(page), []);
    await quiet(page);
  },
};
