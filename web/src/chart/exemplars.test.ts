import { expect, test } from 'vitest';
import { dotsOf, dotsWithin, exemplarLabels, nearestDot, thinDots, type Dot } from './exemplars';

const dot = (at: number, value: number): Dot => ({ at, value, labels: {}, series: {} });

test('exemplars are dots in the order of time, without what cannot be drawn', () => {
  const dots = dotsOf([
    { seriesLabels: { a: '1' }, exemplars: [{ labels: { trace_id: 'x' }, value: '0.5', timestamp: 2.5 }, { labels: {}, value: 'NaN', timestamp: 3 }] },
    { seriesLabels: { a: '2' }, exemplars: [{ labels: {}, value: '7', timestamp: 1 }] },
  ]);
  expect(dots.map((one) => [one.at, one.value, one.series['a']])).toEqual([[1000, 7, '2'], [2500, 0.5, '1']]);
});

test('of many the extremes of each column stay', () => {
  const many = Array.from({ length: 10000 }, (_, i) => dot(i, i === 4321 ? 99 : i === 77 ? -5 : (i * 7) % 10));
  const few = thinDots(many, 200);
  expect(few.length).toBeLessThanOrEqual(200);
  expect(few.some((one) => one.value === 99)).toBe(true);
  expect(few.some((one) => one.value === -5)).toBe(true);
  expect(few.every((one, i) => i === 0 || one.at >= few[i - 1]!.at)).toBe(true);
  expect(thinDots([dot(1, 1)], 200)).toEqual([dot(1, 1)]);
  expect(thinDots([dot(5, 1), dot(5, 2), dot(5, 3)], 2).map((one) => one.value)).toEqual([1, 3]);
});

test('the nearest within reach', () => {
  const dots = [dot(0, 0), dot(10, 10), dot(12, 10)];
  const place = (one: Dot) => ({ x: one.at, y: one.value });
  expect(nearestDot(dots, 11.5, 10, place)).toBe(dots[2]);
  expect(nearestDot(dots, 30, 30, place)).toBeUndefined();
});

test('the axis holds dots of the size of the lines, and no others', () => {
  expect(dotsWithin([dot(0, 0.2), dot(1, 3)], 0.5)).toEqual([0.2, 3]);
  expect(dotsWithin([dot(0, 3000)], 0.5)).toBeUndefined();
  expect(dotsWithin([], 1)).toBeUndefined();
});

test('the trace comes first', () => {
  expect(exemplarLabels({ b: '1', traceID: 'x', a: '2' }).map((one) => one.name)).toEqual(['traceID', 'a', 'b']);
});
