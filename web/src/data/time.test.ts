import { expect, test } from 'vitest';
import { alignSpan, stepFor } from './step';
import { agoHuman, durationHuman, durationText, parseDuration, parseTime, rangeSpan, tickText, timeText, zoneOffsetMs } from './time';

test('durations are read and written as Prometheus does', () => {
  expect(parseDuration('1h30m')).toBe(5400e3);
  expect(parseDuration('500ms')).toBe(500);
  expect(parseDuration('')).toBeUndefined();
  expect(parseDuration('5')).toBeUndefined();
  expect(parseDuration('5m x')).toBeUndefined();
  for (const ms of [0, 1, 999, 1000, 61000, 3600e3, 90061001, 400 * 86400e3]) expect(parseDuration(durationText(ms)), String(ms)).toBe(ms);
});

test('durations are short for people', () => {
  expect(durationHuman(340)).toBe('340 ms');
  expect(durationHuman(61000)).toBe('1 m 1 s');
  expect(durationHuman(3 * 86400e3 + 4 * 3600e3 + 5)).toBe('3 d 4 h');
  expect(agoHuman(1000, 6000)).toBe('5 s ago');
});

test('times are read in every form that a URL may have', () => {
  const now = 1.7e12;
  expect(parseTime('now', now)).toBe(now);
  expect(parseTime('now-15m', now)).toBe(now - 900e3);
  expect(parseTime('1700000000', now)).toBe(1.7e12);
  expect(parseTime('1700000000123', now)).toBe(1700000000123);
  expect(parseTime('2023-11-14T22:13:20Z', now)).toBe(1.7e12);
  expect(parseTime('yesterday', now)).toBeUndefined();
  expect(parseTime('now-<script>', now)).toBeUndefined();
  expect(rangeSpan({ from: 'now', to: 'now-1h' }, now)).toBeUndefined();
});

test('zones', () => {
  expect(timeText(1.7e12, 'utc')).toBe('2023-11-14 22:13:20');
  expect(timeText(1.7e12, 'Asia/Kolkata')).toBe('2023-11-15 03:43:20');
  expect(zoneOffsetMs(1.7e12, 'Asia/Kolkata')).toBe(5.5 * 3600e3);
  expect(tickText(1.7e12, 60e3, 'utc')).toBe('22:13');
});

test('a step is round, never too fine, and one point per pixel at most', () => {
  for (const seconds of [10, 60, 900, 3600, 86400, 30 * 86400, 3 * 365 * 86400]) {
    for (const pixels of [100, 600, 2000, 50000]) {
      const span = { fromMs: 0, toMs: seconds * 1000 };
      const step = stepFor(span, pixels, 2000);
      expect(step).toBeGreaterThanOrEqual(2000);
      expect((seconds * 1000) / step).toBeLessThanOrEqual(11000);
      const aligned = alignSpan(span, step);
      expect(aligned.fromMs % step).toBe(0);
    }
  }
});
