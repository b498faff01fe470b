import { expect, test } from 'vitest';
import { score } from './palette';

test('all words must be there, beginnings of words count more', () => {
  expect(score('cpu node', 'node cpu seconds total')).toBeGreaterThan(0);
  expect(score('cpu disk', 'node cpu seconds total')).toBe(0);
  expect(score('tot', 'node cpu seconds total')).toBeGreaterThan(score('ota', 'node cpu seconds total'));
  expect(score('', 'anything')).toBe(1);
});
