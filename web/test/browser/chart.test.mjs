// A chart under load: 200 series of 10,000 points pan at 30 frames a second or more, and no spike is lost on the way.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { machineIsBusy, mainThread, openPage, ROOT, shoot, startTraceo } from './world.mjs';

export const tests = {
  'two million points pan at thirty frames a second': async ({ browser }) => {
    const folder = mkdtempSync(join(tmpdir(), 'traceo-bench-'));
    execFileSync('node', ['node_modules/vite/bin/vite.js', 'build', '--config', 'test/browser/bench/vite.config.ts'], { cwd: join(ROOT, 'web'), env: { ...process.env, TRACEO_UI_OUT: folder } });
    const traceo = await startTraceo({ args: ['--web.ui-dir', folder] });
    try {
      const page = await openPage(browser, traceo.url, { width: 1280, height: 600 });
      await page.goto(traceo.url + '/ui/');
      await page.waitForSelector('.u-over');
      await page.evaluate(() => globalThis.pan(500));
      // The best of several: neighbours on this machine are not the chart's fault.
      const cpu = await mainThread(page);
      let best = { fps: 0 };
      for (let i = 0; i < 5 && best.fps < 30; i++) {
        const before = await cpu();
        const { frames, ms, worst } = await page.evaluate(() => globalThis.pan(2000));
        const cost = ((await cpu()) - before) / frames;
        if ((frames / ms) * 1000 > best.fps) best = { fps: (frames / ms) * 1000, worst, cost };
      }
      console.log(`# ${best.fps.toFixed(1)} frames a second, the worst took ${best.worst.toFixed(0)} ms; ${best.cost.toFixed(1)} ms of processor a frame`);
      await shoot(page, 'bench');
      assert.deepEqual(page.faults, []);
      assert.ok(best.fps >= 30 || (machineIsBusy() && best.cost < 1000 / 30), `${best.fps.toFixed(1)} frames a second`);
      await page.context().close();
    } finally {
      await traceo.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
