import { expect, test } from 'vitest';
import { downsample, lowerBound, nearestIndex } from './downsample';

// A small generator with a seed, so that a failure can be repeated.
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test('no extreme of any pixel column is lost, and none is invented', () => {
  for (let seed = 1; seed <= 80; seed++) {
    const next = random(seed);
    const count = 1 + Math.floor(next() * 5000);
    const columns = 1 + Math.floor(next() * 400);
    const times: number[] = [];
    for (let i = 0, at = 0; i < count; i++) times.push((at += 1 + Math.floor(next() * 30)));
    const gaps = next() * 0.5;
    const series = [0, 1, 2].map(() => times.map(() => (next() < gaps ? null : next() < 0.01 ? next() * 1e9 : next())));
    const picked = downsample(times, series, 0, count, columns);
    expect(picked.times.length, `seed ${seed}`).toBeLessThanOrEqual(Math.max(columns * 4, columns * 2));
    const width = (times[count - 1]! - times[0]!) / columns || 1;
    const columnOf = (time: number) => Math.min(Math.floor((time - times[0]!) / width), columns - 1);
    series.forEach((values, k) => {
      const extremes = (ts: readonly number[], vs: readonly (number | null)[]) => {
        const found = new Map<number, [number, number]>();
        ts.forEach((time, i) => {
          const value = vs[i];
          if (value === null || value === undefined) return;
          const at = columnOf(time);
          const old = found.get(at) ?? [Infinity, -Infinity];
          found.set(at, [Math.min(old[0], value), Math.max(old[1], value)]);
        });
        return found;
      };
      const before = extremes(times, values);
      const after = extremes(picked.times, picked.values[k]!);
      // A point on the border of two columns may be counted to either by rounding; the whole has the same extremes.
      let differ = 0;
      for (const [at, [low, high]] of before) if (after.get(at)?.[0] !== low || after.get(at)?.[1] !== high) differ++;
      expect(differ, `seed ${seed} series ${k}`).toBeLessThanOrEqual(0);
    });
    picked.times.forEach((time, i) => i > 0 && expect(time).toBeGreaterThanOrEqual(picked.times[i - 1]!));
  }
});

test('few points are left as they are', () => {
  expect(downsample([1, 2, 3], [[1, null, 3]], 0, 3, 100)).toEqual({ times: [1, 2, 3], values: [[1, null, 3]] });
});

test('a column without a value is a gap', () => {
  const times = Array.from({ length: 1000 }, (_, i) => i);
  const values = times.map((i) => (i >= 400 && i < 600 ? null : 1));
  const picked = downsample(times, [values], 0, 1000, 10);
  const gap = picked.values[0]!.filter((_, i) => picked.times[i]! >= 400 && picked.times[i]! < 600);
  expect(gap.every((value) => value === null)).toBe(true);
  expect(gap.length).toBeGreaterThan(0);
});

test('places in time are found', () => {
  expect(lowerBound([10, 20, 30], 20)).toBe(1);
  expect(lowerBound([10, 20, 30], 31)).toBe(3);
  expect(nearestIndex([10, 20, 30], 24)).toBe(1);
  expect(nearestIndex([10, 20, 30], 26)).toBe(2);
  expect(nearestIndex([10, 20, 30], 99)).toBe(2);
});
