// Looks at a page: node test/browser/shot.mjs PATH [--url http://127.0.0.1:4310] [--theme light] [--width 360]
//                  [--height 900] [--wait 3000] [--full] [--name NAME] [--axe]
// Without --url it starts Traceo itself over an empty folder. Writes build/screenshots/NAME.png.
import { axeFaults, openPage, shoot, startBrowser, startTraceo } from './world.mjs';

const words = process.argv.slice(2);
const option = (name, otherwise) => (words.includes('--' + name) ? words[words.indexOf('--' + name) + 1] : otherwise);
const path = words[0]?.startsWith('--') ? '/ui/' : (words[0] ?? '/ui/');
const traceo = option('url') ? undefined : await startTraceo();
const url = option('url') ?? traceo.url;
const browser = await startBrowser();
try {
  const page = await openPage(browser, url, { theme: option('theme', 'dark'), width: Number(option('width', '1440')), height: Number(option('height', '900')) });
  await page.goto(url + path);
  await page.waitForTimeout(Number(option('wait', '2500')));
  console.log(await shoot(page, option('name', 'shot'), { fullPage: words.includes('--full') }));
  for (const fault of page.faults) console.log('fault:', fault);
  if (words.includes('--axe')) for (const fault of await axeFaults(page)) console.log('axe:', fault);
} finally {
  await browser.close();
  await traceo?.stop();
}
