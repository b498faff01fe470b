// A page with one large chart, for measuring: 200 series of 10,000 points, panned as fast as the browser draws.
import { render } from 'preact';
import { signal } from '@preact/signals';
import { Chart } from '../../../src/chart/chart';
import type { Columns } from '../../../src/data/columns';
import '../../../src/style/tokens.css';
import '../../../src/style/base.css';

const SERIES = 200;
const POINTS = 10000;
const STEP_MS = 15000;

function data(): Columns {
  const times = Array.from({ length: POINTS }, (_, i) => i * STEP_MS);
  let seed = 1;
  const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const series = Array.from({ length: SERIES }, (_, k) => {
    let at = random() * 100;
    return { name: `series ${k}`, labels: { k: String(k) }, values: times.map((_, i) => ((at += random() - 0.5), i === 5000 + k ? 1000 : at)) };
  });
  return { times, series };
}

const all = data();
const half = (POINTS / 2) * STEP_MS;
const span = signal({ fromMs: 0, toMs: half });

function Bench() {
  return <Chart title="Bench" data={all} span={span.value} height={400} legend="none" />;
}

render(<Bench />, document.getElementById('app')!);

declare global {
  // eslint-disable-next-line no-var
  var pan: (ms: number) => Promise<{ frames: number; ms: number; worst: number }>;
}

/** Pans for so long, a hundredth of the width each frame; how many frames there were and how long the worst took. */
globalThis.pan = (forMs) =>
  new Promise((done) => {
    const begun = performance.now();
    let last = begun;
    let frames = 0;
    let worst = 0;
    const frame = () => {
      const now = performance.now();
      worst = Math.max(worst, now - last);
      last = now;
      frames++;
      if (now - begun > forMs) return done({ frames, ms: now - begun, worst });
      const shift = ((frames % 100) / 100) * half;
      span.value = { fromMs: shift, toMs: shift + half };
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
