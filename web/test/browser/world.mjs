// What every browser test needs: the real binary on a free port over an empty folder, Debian's Chromium, and a watch on
// everything that may not happen (a request elsewhere, a violated policy, an error on the console).
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
export const SHOTS = process.env.TRACEO_SHOTS ?? join(ROOT, 'build/screenshots');

/** The program to test: TRACEO_BIN, or the newest build. */
export function binary() {
  const found = [process.env.TRACEO_BIN, ...['dev', 'check', 'release'].map((name) => join(ROOT, 'build', name, 'src/cli/traceo'))].find((path) => path && existsSync(path));
  if (!found) throw new Error('build/traceo is missing: run make build');
  return found;
}

export function chromiumPath() {
  return ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));
}

/** Starts Traceo; `args` are more flags, `folder` is kept when given. TRACEO_UI=web/dist shows a page from disk. */
export async function startTraceo({ args = [], folder, env = {} } = {}) {
  const data = folder ?? mkdtempSync(join(tmpdir(), 'traceo-web-'));
  const startedAt = Date.now();
  const page = process.env.TRACEO_UI ? ['--web.ui-dir', resolve(process.env.TRACEO_UI)] : [];
  const child = spawn(binary(), ['serve', '--data', data, '--listen', '127.0.0.1:0', ...page, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let log = '';
  const url = await new Promise((done, fail) => {
    const look = (chunk) => {
      log += chunk;
      const found = /https?:\/\/[\d.]+:\d+/.exec(log);
      if (found) done(found[0]);
    };
    child.stdout.on('data', look);
    child.stderr.on('data', (chunk) => (log += chunk));
    child.on('exit', (code) => fail(new Error(`traceo ended with ${code}: ${log}`)));
    setTimeout(() => fail(new Error('traceo did not start: ' + log)), 15000).unref();
  });
  return {
    url,
    data,
    startedAt,
    pid: child.pid,
    log: () => log,
    stop: () =>
      new Promise((done) => {
        child.removeAllListeners('exit');
        child.on('exit', () => {
          if (!folder) rmSync(data, { recursive: true, force: true });
          done();
        });
        child.kill('SIGTERM');
      }),
  };
}

/** Stores lines of the text format, through traceo's own command. */
export async function push(traceo, lines) {
  const child = spawn(binary(), ['push', '--server', traceo.url], { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = new Promise((done) => child.on('exit', done));
  child.stdin.end(lines.join('\n') + '\n');
  const code = await ended;
  if (code !== 0) throw new Error('traceo push ended with ' + code);
}

export async function startBrowser() {
  const { chromium } = await import('playwright-core');
  return chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox', '--disable-gpu', '--font-render-hinting=none'] });
}

/**
 * A page that remembers what went wrong: `page.faults` is a list of sentences, empty when all is well. Requests to any
 * other origin are faults, and so are console errors, violated policies and exceptions.
 */
export async function openPage(browser, origin, { theme = 'dark', width = 1440, height = 900, ...more } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: 'reduce', ...more });
  const page = await context.newPage();
  page.faults = [];
  page.transferred = 0;
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !/^(data|blob|about):/.test(request.url())) page.faults.push('request to another origin: ' + request.url());
  });
  page.on('console', (message) => {
    if (message.type() === 'error' || /Content.Security.Policy/i.test(message.text())) page.faults.push('console: ' + message.text());
  });
  page.on('pageerror', (error) => page.faults.push('exception: ' + error.message));
  page.on('response', async (response) => {
    try {
      page.transferred += (await response.request().sizes()).responseBodySize;
    } catch {
      // A request that was aborted has no size.
    }
  });
  return page;
}

/** Others use this machine more than it has cores: then wall time says nothing, and processor time is judged instead. */
export const machineIsBusy = () => loadavg()[0] > cpus().length * 1.5;

/** Processor time of the page's main thread so far, in ms. */
export async function mainThread(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  return async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find((one) => one.name === 'TaskDuration').value * 1000;
  };
}

/** Writes build/screenshots/NAME.png; look at it. */
export async function shoot(page, name, options = {}) {
  mkdirSync(SHOTS, { recursive: true });
  const path = join(SHOTS, name + '.png');
  await page.screenshot({ path, ...options });
  return path;
}

/** Moves the pointer over a chart from its right until an exemplar's card is there; where that is. */
export async function pointAtExemplar(page, plot) {
  const over = await plot.boundingBox();
  for (let x = over.width - 2; x > 0; x -= 5) {
    for (let y = 4; y < over.height; y += 8) {
      await page.mouse.move(over.x + x, over.y + y);
      if ((await page.locator('.dot-card').count()) > 0) return { x: over.x + x, y: over.y + y };
    }
  }
  throw new Error('no exemplar is found on the chart');
}

/** Violations of axe-core on the page as it is now, as sentences. axe is injected by the test, past the policy. */
export async function axeFaults(page) {
  const { readFileSync } = await import('node:fs');
  const source = readFileSync(join(ROOT, 'web/node_modules/axe-core/axe.min.js'), 'utf8');
  await page.evaluate(source);
  const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return result.violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${one.help}: ${node.html.slice(0, 160)} (${node.failureSummary?.split('\n').slice(1).join(' ').trim().slice(0, 200)})`));
}
