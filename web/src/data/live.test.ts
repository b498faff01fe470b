import { expect, test } from 'vitest';
import { columnsOf, legendText, seriesName } from './columns';
import { cutColumns, joinColumns } from './live';

const one = (name: string, values: (number | null)[]) => ({ name, labels: { a: name }, values });

test('a tail is put behind what is known, and what it says about the past wins', () => {
  const old = { times: [1, 2, 3, 4], series: [one('a', [1, 1, 1, 1]), one('gone', [5, 5, 5, 5])] };
  const tail = { times: [3, 4, 5], series: [one('a', [2, 2, 2]), one('new', [null, 7, 7])] };
  expect(joinColumns(old, tail)).toEqual({
    times: [1, 2, 3, 4, 5],
    series: [one('a', [1, 1, 2, 2, 2]), one('gone', [5, 5, null, null, null]), one('new', [null, null, null, 7, 7])],
  });
  expect(cutColumns(joinColumns(old, tail), 3).series.map((series) => series.name)).toEqual(['a', 'new']);
});

test('a matrix becomes columns on its grid, with gaps', () => {
  const data = { resultType: 'matrix' as const, result: [{ metric: { __name__: 'm', x: '"<b>' }, values: [[1, '5'], [3, 'NaN'], [4, '+Inf']] as [number, string][] }] };
  const columns = columnsOf(data, 1000, 4000, 1000);
  expect(columns.times).toEqual([1000, 2000, 3000, 4000]);
  expect(columns.series[0]!.values).toEqual([5, null, null, null]);
  expect(columns.notFinite).toBe(2);
  expect(columns.series[0]!.name).toBe('m{x="\\"<b>"}');
});

test('names of series', () => {
  expect(seriesName({ __name__: 'http.requests', 'a.b': 'c' })).toBe('{"http.requests", "a.b"="c"}');
  expect(legendText('{{mode}} of {{ cpu }}', { mode: 'user', cpu: '0' })).toBe('user of 0');
});
