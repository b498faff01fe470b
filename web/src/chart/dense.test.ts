import { expect, test } from 'vitest';
import { denseView, drawRanges, pixelOf } from './dense';

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test('every column has the extremes of its points, exactly', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const next = random(seed);
    const count = 100 + Math.floor(next() * 20000);
    const columns = 10 + Math.floor(next() * 300);
    const times = Array.from({ length: count }, (_, i) => i * 1000);
    const gaps = next() * 0.6;
    const values = times.map(() => (next() < gaps ? null : next() < 0.005 ? next() * 1e6 : next()));
    const fromMs = Math.floor(next() * count * 300);
    const toMs = fromMs + Math.floor((count * 1000 - fromMs) * (0.2 + next() * 0.8));
    const view = denseView(times, [values], fromMs, toMs, columns);
    const per = (toMs - fromMs) / columns;
    let low = Infinity;
    let high = -Infinity;
    for (let column = 0; column < columns; column++) {
      const there = values.filter((value, i) => value !== null && times[i]! >= fromMs + column * per && times[i]! < fromMs + (column + 1) * per) as number[];
      if (there.length === 0) continue;
      expect(view.ranges[0]![column * 2], `seed ${seed}`).toBe(Math.fround(Math.min(...there)));
      expect(view.ranges[0]![column * 2 + 1], `seed ${seed}`).toBe(Math.fround(Math.max(...there)));
      low = Math.min(low, ...there);
      high = Math.max(high, ...there);
    }
    expect(view.low).toBeLessThanOrEqual(Math.fround(low));
    expect(view.high).toBeGreaterThanOrEqual(Math.fround(high));
  }
});

test('a single spike among ten thousand points is drawn from its foot to its top', () => {
  const times = Array.from({ length: 10000 }, (_, i) => i);
  const values = times.map((i) => (i === 7777 ? 100 : 0));
  const columns = 200;
  const height = 101;
  const view = denseView(times, [values], 0, 10000, columns);
  const pixels = new Uint32Array(columns * height);
  drawRanges(pixels, columns, height, view.ranges[0]!, 0, 100, pixelOf('#ffffff'), 1);
  const column = Math.floor((7777 / 10000) * columns);
  for (let y = 0; y < height; y++) expect(pixels[y * columns + column]).toBe(0xffffffff);
});

test('lines are whole, gaps are empty', () => {
  const times = Array.from({ length: 10 }, (_, i) => i * 100);
  const values = [0, 50, 100, 50, null, null, 0, 100, 0, 100];
  const columns = 100;
  const height = 101;
  const view = denseView(times, [values], 0, 900, columns);
  const pixels = new Uint32Array(columns * height);
  drawRanges(pixels, columns, height, view.ranges[0]!, 0, 100, 1, 1);
  const filled = (column: number) => Array.from({ length: height }, (_, y) => pixels[y * columns + column]).some((pixel) => pixel !== 0);
  for (let column = 0; column < columns; column++) {
    const time = (column + 0.5) * 9;
    if (time < 290 || (time > 610 && time < 890)) expect(filled(column), `column ${column}`).toBe(true);
    if (time > 310 && time < 590) expect(filled(column), `column ${column}`).toBe(false);
  }
});

test('colours become pixels', () => {
  expect(pixelOf('#4fd1b8')).toBe(0xffb8d14f);
  expect(pixelOf('#000001', 0x80)).toBe(0x80010000);
});
