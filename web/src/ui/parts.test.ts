import { expect, test } from 'vitest';
import { matches } from './parts';

test('every word must be found, in any of the texts, whatever the case', () => {
  expect(matches('CPU node', 'node_cpu_seconds_total', 'Seconds')).toBe(true);
  expect(matches('cpu disk', 'node_cpu_seconds_total', 'Seconds')).toBe(false);
  expect(matches('', 'anything')).toBe(true);
  expect(matches('  ', 'anything')).toBe(true);
});
