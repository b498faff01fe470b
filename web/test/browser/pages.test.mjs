// What holds for every page that the navigation names: no fault, no complaint of axe in either theme, no width that a
// telephone does not have, nothing from elsewhere. Screenshots of each lie in build/screenshots.
import assert from 'node:assert/strict';
import { axeFaults, openPage, shoot } from './world.mjs';

async function pagesOf(browser, url) {
  const page = await openPage(browser, url);
  await page.goto(url + '/ui/');
  await page.waitForSelector('.side a');
  const found = await page.$$eval('.side a', (links) => links.map((link) => ({ path: new URL(link.href).pathname, name: link.textContent.trim().toLowerCase().replace(/\s+/g, '-') })));
  await page.context().close();
  return found;
}

async function settle(page) {
  await page.waitForSelector('main .panel, main table, main form, main section', { timeout: 10000 });
  await page.waitForTimeout(1500);
}

async function everyPage(theme, traceo, browser) {
  await new Promise((done) => setTimeout(done, Math.max(0, traceo.startedAt + 12000 - Date.now())));
  for (const { path, name } of await pagesOf(browser, traceo.url)) {
    const page = await openPage(browser, traceo.url, { theme });
    await page.goto(traceo.url + path);
    await settle(page);
    await shoot(page, `${name}-${theme}`, { fullPage: true });
    assert.deepEqual(await axeFaults(page), [], `${path} ${theme}`);
    assert.deepEqual(page.faults, [], `${path} ${theme}`);
    assert.match(await page.title(), / · Traceo$/);
    await page.context().close();
  }
}

export const tests = {
  'axe has no complaint on any page in the dark theme, and nothing goes wrong': ({ traceo, browser }) => everyPage('dark', traceo, browser),
  'axe has no complaint on any page in the light theme, and nothing goes wrong': ({ traceo, browser }) => everyPage('light', traceo, browser),

  'every page fits 360 pixels': async ({ traceo, browser }) => {
    for (const { path, name } of await pagesOf(browser, traceo.url)) {
      const page = await openPage(browser, traceo.url, { width: 360, height: 780 });
      await page.goto(traceo.url + path);
      await settle(page);
      await shoot(page, `${name}-narrow`, { fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= 360, `${path} is ${wide} px wide`);
      await page.context().close();
    }
  },

  'a place that does not exist says so': async ({ traceo, browser }) => {
    const page = await openPage(browser, traceo.url);
    await page.goto(traceo.url + '/ui/nowhere');
    await page.getByText('There is no such page').waitFor();
    assert.deepEqual(page.faults, []);
    await page.context().close();
  },
};
