// What a legend says of each series: min, max, mean, last; and in which order the series stand.
import { summaryOf, type Column, type Columns, type Summary } from '../../data/columns';

export interface Row extends Summary {
  index: number; // in the answer
  name: string;
  column: Column;
}

// Values do not change once they are there, so a summary is made once; pointing at a chart asks for it often.
const known = new WeakMap<readonly (number | null)[], Summary>();

export function summary(values: readonly (number | null)[]): Summary {
  let found = known.get(values);
  if (found === undefined) {
    found = summaryOf(values);
    known.set(values, found);
  }
  return found;
}

export function rowsOf(series: readonly Column[]): Row[] {
  return series.map((column, index) => ({ index, name: column.name, column, ...summary(column.values) }));
}

export const SORTS = ['name', 'last', 'min', 'max', 'avg'] as const;
export type SortKey = (typeof SORTS)[number];

/** 'max' rising, '-max' falling; '' as the server gave them. What has no value comes last either way. */
export function sortRows<T extends Row>(rows: readonly T[], order: string): T[] {
  const key = order.replace(/^-/, '') as SortKey;
  const sign = order.startsWith('-') ? -1 : 1;
  if (!SORTS.includes(key)) return [...rows];
  return [...rows].sort((a, b) => {
    if (key === 'name') return sign * a.name.localeCompare(b.name, 'en', { numeric: true });
    const [x, y] = [a[key], b[key]];
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
    return sign * (x - y) || a.index - b.index;
  });
}

export const SERIES_CAP = 100;

/** The largest `most` series, in the order they came: what is left out is what matters least. */
export function capSeries(series: readonly Column[], most = SERIES_CAP): readonly Column[] {
  if (series.length <= most) return series;
  const rows = rowsOf(series).sort((a, b) => Math.max(Math.abs(b.max ?? 0), Math.abs(b.min ?? 0)) - Math.max(Math.abs(a.max ?? 0), Math.abs(a.min ?? 0)) || a.index - b.index);
  return rows
    .slice(0, most)
    .sort((a, b) => a.index - b.index)
    .map((row) => row.column);
}

/** Names that are there twice get a number, because a name is what a series is switched by. */
export function uniqueNames(series: readonly Column[]): readonly Column[] {
  const count = new Map<string, number>();
  return series.map((one) => {
    const seen = (count.get(one.name) ?? 0) + 1;
    count.set(one.name, seen);
    return seen === 1 ? one : { ...one, name: `${one.name} #${seen}` };
  });
}

/**
 * The series of several answers over the same times. Their step is the page's, but one may have been asked a refresh
 * earlier than the other; one with another step is from before the step was changed, and waits.
 */
export function onOneGrid(answers: readonly (Columns & { stepMs: number })[]): { times: readonly number[]; series: readonly (readonly Column[])[] } {
  const only = answers[0];
  if (answers.length === 1 && only !== undefined) return { times: only.times, series: [only.series] };
  const stepMs = answers.at(-1)?.stepMs ?? 1;
  const fitting = answers.filter((one) => one.stepMs === stepMs && one.times.length > 0);
  const first = Math.min(...fitting.map((one) => one.times[0]!));
  const last = Math.max(...fitting.map((one) => one.times.at(-1)!));
  const count = fitting.length === 0 ? 0 : Math.round((last - first) / stepMs) + 1;
  const times = Array.from({ length: count }, (_, i) => first + i * stepMs);
  return {
    times,
    series: answers.map((one) => {
      if (!fitting.includes(one)) return [];
      const before = Math.round((one.times[0]! - first) / stepMs);
      const after = count - before - one.times.length;
      if (before === 0 && after === 0) return one.series;
      const gap = (length: number) => new Array<null>(length).fill(null);
      return one.series.map((column) => ({ ...column, values: [...gap(before), ...column.values, ...gap(after)] }));
    }),
  };
}
