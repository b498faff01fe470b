// Runs every *.test.mjs beside it as TAP: node test/browser/run.mjs [--only WORDS]. Each exports `tests`, an object of
// name → async ({ traceo, browser }) => …; all share one Traceo and one Chromium unless they start their own.
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromiumPath, startBrowser, startTraceo } from './world.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const words = process.argv.slice(2);
const only = words.includes('--only') ? words[words.indexOf('--only') + 1] : '';
const TIMEOUT_MS = 90000;

if (!chromiumPath()) {
  console.log('1..1\nok 1 - the page in a browser # SKIP there is no chromium\n# skipped: the page in a browser: there is no chromium');
  process.exit(0);
}

const tests = [];
for (const file of readdirSync(here).filter((name) => name.endsWith('.test.mjs')).sort()) {
  const module = await import(pathToFileURL(join(here, file)));
  for (const [name, run] of Object.entries(module.tests)) if (name.includes(only)) tests.push([name, run]);
}
console.log(`1..${tests.length}`);
const traceo = await startTraceo();
const browser = await startBrowser();
let failed = 0;
for (const [i, [name, run]] of tests.entries()) {
  let timer;
  const began = Date.now();
  try {
    await Promise.race([run({ traceo, browser }), new Promise((_, fail) => (timer = setTimeout(() => fail(new Error(`took more than ${TIMEOUT_MS} ms`)), TIMEOUT_MS)))]);
    console.log(`ok ${i + 1} - ${name} # time=${Date.now() - began}ms`);
  } catch (error) {
    failed++;
    console.log(`not ok ${i + 1} - ${name}`);
    for (const line of String(error.stack ?? error).split('\n').slice(0, 12)) console.log('# ' + line);
  } finally {
    clearTimeout(timer);
  }
}
await browser.close();
await traceo.stop();
process.exit(failed === 0 ? 0 : 1);
