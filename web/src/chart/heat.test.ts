import { expect, test } from 'vitest';
import type { QueryData } from '../data/api';
import { addCells, cellText, heatLevel, heatOf, heatScale, meanCells, totalOf } from './heat';

// As query_range answers a rate of a native histogram: buckets with values only, a bucket around zero, two schemas apart.
const native: QueryData = JSON.parse(`{"resultType":"matrix","result":[{"metric":{"job":"a"},"histograms":[
  [1000,{"count":"6","sum":"9.5","buckets":[[3,"-0.001","0.001","1"],[0,"0.5","1","2"],[0,"1","2","3"]]}],
  [1010,{"count":"4","sum":"3","buckets":[[0,"0.5","1","1"],[0,"2","4","3"]]}]
]}]}`);

const rowsOf = (data: QueryData) => (data.resultType === 'matrix' ? data.result : []);

const classic = (rows: [string, (string | null)[]][]): QueryData => ({
  resultType: 'matrix',
  result: rows.map(([le, values]) => ({ metric: { le }, values: values.flatMap((value, i) => (value === null ? [] : [[1000 + i * 10, value] as [number, string]])) })),
});

test('a native histogram is a column of cells at its time', () => {
  const heat = heatOf(native, 1000e3, 1020e3, 10e3)!;
  expect(heat.times).toEqual([1000e3, 1010e3, 1020e3]);
  expect(heat.columns[0]).toEqual([{ low: 0, high: 0.001, count: 1 }, { low: 0.5, high: 1, count: 2 }, { low: 1, high: 2, count: 3 }]);
  expect(heat.columns[2]).toBeUndefined();
  expect(heat.most).toBe(3);
  expect(totalOf(heat.columns[1])).toBe(4);
});

test('negative buckets keep the bucket around zero whole', () => {
  const data: QueryData = { resultType: 'matrix', result: [{ metric: {}, histograms: [[1000, { count: '3', sum: '0', buckets: [[1, '-2', '-1', '2'], [3, '-0.001', '0.001', '1']] }]] }] };
  expect(heatOf(data, 1000e3, 1000e3, 1000)!.columns[0]).toEqual([{ low: -2, high: -1, count: 2 }, { low: -0.001, high: 0.001, count: 1 }]);
});

test('series of a classic histogram are counts up to a bound: a cell is a difference, never below zero', () => {
  const heat = heatOf(classic([['+Inf', ['10', '4', null]], ['0.1', ['3', '5', null]], ['1', ['7', '4', null]]]), 1000e3, 1020e3, 10e3)!;
  expect(heat.columns[0]).toEqual([{ low: 0, high: 0.1, count: 3 }, { low: 0.1, high: 1, count: 4 }, { low: 1, high: Infinity, count: 3 }]);
  expect(heat.columns[1]!.map((cell) => cell.count)).toEqual([5, 0, 0]);
  expect(heat.columns[2]).toBeUndefined();
});

test('series of several instances are added up, of native histograms too', () => {
  const twice: QueryData = { resultType: 'matrix', result: [...rowsOf(native), ...rowsOf(native)] };
  const heat = heatOf(twice, 1000e3, 1010e3, 10e3)!;
  expect(heat.series).toBe(2);
  expect(totalOf(heat.columns[0])).toBe(12);
});

test('cells of another resolution are cut, and nothing is lost', () => {
  const cells = addCells([{ low: 1, high: 4, count: 8 }], [{ low: 1, high: 2, count: 1 }, { low: 8, high: 16, count: 2 }]);
  expect(cells).toEqual([{ low: 1, high: 2, count: 5 }, { low: 2, high: 4, count: 4 }, { low: 8, high: 16, count: 2 }]);
});

test('what is neither is no heat map', () => {
  expect(heatOf({ resultType: 'matrix', result: [{ metric: {}, values: [[1, '2']] }] }, 0, 1000, 1000)).toBeUndefined();
  expect(heatOf({ resultType: 'scalar', result: [1, '2'] }, 0, 1000, 1000)).toBeUndefined();
});

test('the logarithmic axis rises, through zero, below it and beyond the last bound', () => {
  const data: QueryData = { resultType: 'matrix', result: [{ metric: {}, histograms: [[1000, { count: '4', sum: '0', buckets: [[1, '-100', '-10', '1'], [3, '-0.1', '0.1', '1'], [0, '1', '10', '1'], [0, '10', '+Inf', '1']] }]] }] };
  const scale = heatScale(heatOf(data, 1000e3, 1000e3, 1000)!, 'log');
  const places = [-100, -10, -0.1, 0, 0.1, 1, 10, Infinity].map(scale.place);
  expect([...places].sort((a, b) => a - b)).toEqual(places);
  expect(scale.place(-100)).toBe(scale.low);
  expect(scale.place(Infinity)).toBe(scale.high);
  expect(scale.place(10) - scale.place(1)).toBeCloseTo(scale.place(1) - scale.place(0.1));
});

test('ticks are round numbers, rising, no more than there is room for', () => {
  const heat = heatOf(classic([['0.005', ['1']], ['0.1', ['3']], ['10', ['7']], ['+Inf', ['9']]]), 1000e3, 1000e3, 1000)!;
  for (const kind of ['log', 'linear'] as const) {
    const ticks = heatScale(heat, kind).ticks(6, 'seconds');
    expect(ticks.length).toBeGreaterThan(2);
    expect(ticks.length).toBeLessThanOrEqual(8);
    expect(ticks.every((tick, i) => i === 0 || tick.at > ticks[i - 1]!.at)).toBe(true);
  }
  expect(heatScale(heat, 'log').ticks(6, 'seconds').map((tick) => tick.text.replace(/\s/, ' '))).toContain('100 ms');
});

test('an axis of nothing, of one bucket, of empty buckets is still an axis', () => {
  for (const data of [classic([]), classic([['1', ['0']], ['2', ['0']]]), classic([['1', ['5']]])]) {
    const heat = heatOf(classic([['1', ['1']]]), 1000e3, 1000e3, 1000)!;
    const columns = heatOf(data, 1000e3, 1000e3, 1000)?.columns ?? [];
    for (const kind of ['log', 'linear'] as const) {
      const scale = heatScale({ ...heat, columns }, kind);
      expect(scale.low).toBeLessThan(scale.high);
      expect(scale.ticks(5, 'none').length).toBeLessThan(20);
    }
  }
});

test('the mean of each bucket counts the times of which something is known', () => {
  expect(meanCells(heatOf(native, 1000e3, 1020e3, 10e3)!)).toEqual([
    { low: 0, high: 0.001, count: 0.5 },
    { low: 0.5, high: 1, count: 1.5 },
    { low: 1, high: 2, count: 1.5 },
    { low: 2, high: 4, count: 1.5 },
  ]);
});

test('buckets in words', () => {
  expect(cellText({ low: 0.01, high: 0.025 }, 'seconds').replaceAll('\u202f', ' ')).toBe('10 ms – 25 ms');
  expect(cellText({ low: 10, high: Infinity }, 'none')).toBe('above 10');
  expect(cellText({ low: -Infinity, high: -1 }, 'none')).toBe('up to −1');
  expect(heatLevel(0, 5)).toBe(0);
  expect(heatLevel(5, 5)).toBe(1);
  expect(heatLevel(0.01, 5)).toBeGreaterThan(0.05);
});
