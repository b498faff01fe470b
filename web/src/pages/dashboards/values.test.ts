import { expect, test } from 'vitest';
import type { QueryData } from '../../data/api';
import { headingOf, joinAnswers, levelOf, reduce } from './values';

const vector = (...rows: [Record<string, string>, string][]): QueryData => ({ resultType: 'vector', result: rows.map(([metric, value]) => ({ metric, value: [1, value] })) });

test('values with the same labels share a line; what one answer lacks is empty', () => {
  const table = joinAnswers([vector([{ __name__: 'size', m: '/', d: 'a' }, '10'], [{ __name__: 'size', m: '/b', d: 'b' }, '20']), vector([{ m: '/', d: 'a' }, 'NaN'])], { columns: ['m'] });
  expect(table.labels).toEqual(['m']);
  expect(table.lines.map((line) => [line.labels, line.values])).toEqual([
    [{ m: '/' }, [10, NaN]],
    [{ m: '/b' }, [20, null]],
  ]);
});

test('without a choice all labels but the name are columns', () => {
  expect(joinAnswers([vector([{ __name__: 'x', b: '1', a: '2' }, '1'])], { columns: [] }).labels).toEqual(['a', 'b']);
  expect(joinAnswers([{ resultType: 'scalar', result: [1, '7'] }], { columns: [] }).lines[0]!.values).toEqual([7]);
});

test('the last threshold that fits holds', () => {
  const rising = [{ from: 0.8, level: 'warn' as const }, { from: 0.95, level: 'bad' as const }];
  expect([0.5, 0.8, 0.99, null, NaN].map((value) => levelOf(value, rising))).toEqual(['', 'warn', 'bad', '', '']);
  expect(levelOf(0, [{ from: 1, level: 'good' }, { below: 0, level: 'bad' }])).toBe('bad');
});

test('one number of a series', () => {
  expect((['last', 'min', 'max', 'mean'] as const).map((how) => reduce([1, null, 5, 3], how))).toEqual([3, 1, 5, 3]);
  expect(reduce([null], 'last')).toBeNull();
});

test('a column is called what its query is called', () => {
  const query = { expr: '', legend: 'Size', unit: '' as const };
  expect(headingOf(query, 0, 2)).toBe('Size');
  expect(headingOf({ ...query, legend: '{{a}}' }, 1, 2)).toBe('Value 2');
  expect(headingOf({ ...query, legend: '' }, 0, 1)).toBe('Value');
});
