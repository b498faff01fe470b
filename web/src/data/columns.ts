// Query results as columns: one row of times, and for each series a row of values on them. Charts draw these.
import type { Labels, QueryData } from './api';

export interface Column {
  name: string; // what the legend says
  labels: Labels;
  values: (number | null)[]; // null: no value then, a gap
  color?: string; // a CSS colour; without it the chart chooses
}

export interface Columns {
  times: number[]; // ms since 1970, rising
  series: Column[];
}

export const NO_COLUMNS: Columns = { times: [], series: [] };

export function parseValue(text: string): number {
  if (text === 'NaN') return NaN;
  if (text === '+Inf' || text === 'Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return Number(text);
}

/** metric{a="b"} as PromQL writes it; names that are no identifiers in quotes. */
export function seriesName(labels: Labels): string {
  const name = labels['__name__'] ?? '';
  const pairs = Object.entries(labels)
    .filter(([label]) => label !== '__name__')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => `${/^[A-Za-z_][A-Za-z0-9_]*$/.test(label) ? label : JSON.stringify(label)}=${JSON.stringify(value)}`);
  if (name !== '' && !/^[A-Za-z_:][A-Za-z0-9_:]*$/.test(name)) return '{' + [JSON.stringify(name), ...pairs].join(', ') + '}';
  return pairs.length === 0 ? name || '{}' : name + '{' + pairs.join(', ') + '}';
}

/** "{{mode}} on {{instance}}" filled in; '' gives the series' own name. */
export function legendText(template: string, labels: Labels): string {
  if (template === '') return seriesName(labels);
  return template.replace(/\{\{\s*([^}\s]+)\s*\}\}/g, (_, label: string) => labels[label] ?? '');
}

/**
 * A range query's matrix on its grid of steps. What is not finite (NaN, Inf) cannot be drawn and is a gap; `notFinite`
 * says how many there were, so that the page can say so. Native histograms are no lines: `histograms` counts the series
 * that are only that.
 */
export function columnsOf(data: QueryData, fromMs: number, toMs: number, stepMs: number, legend: string | ((labels: Labels) => string) = ''): Columns & { notFinite: number; histograms: number } {
  const count = Math.floor((toMs - fromMs) / stepMs) + 1;
  const times = Array.from({ length: Math.max(count, 0) }, (_, i) => fromMs + i * stepMs);
  const series: Column[] = [];
  let notFinite = 0;
  let histograms = 0;
  if (data.resultType === 'matrix') {
    for (const row of data.result) {
      if (row.values === undefined && row.histograms !== undefined) {
        histograms++;
        continue;
      }
      const values: (number | null)[] = new Array<number | null>(times.length).fill(null);
      for (const [seconds, text] of row.values ?? []) {
        const at = Math.round((seconds * 1000 - fromMs) / stepMs);
        const value = parseValue(text);
        if (!Number.isFinite(value)) notFinite++;
        else if (at >= 0 && at < values.length) values[at] = value;
      }
      series.push({ name: typeof legend === 'function' ? legend(row.metric) : legendText(legend, row.metric), labels: row.metric, values });
    }
  }
  return { times, series, notFinite, histograms };
}

export interface Summary {
  min: number | null;
  max: number | null;
  avg: number | null;
  last: number | null;
}

const summaries = new WeakMap<readonly (number | null)[], Summary>();

/** Made once for each array of values: legends ask again at each move of the pointer. */
export function summaryOf(values: readonly (number | null)[]): Summary {
  let found = summaries.get(values);
  if (found === undefined) summaries.set(values, (found = summarize(values)));
  return found;
}

function summarize(values: readonly (number | null)[]): Summary {
  let min: number | null = null;
  let max: number | null = null;
  let last: number | null = null;
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (value === null) continue;
    if (min === null || value < min) min = value;
    if (max === null || value > max) max = value;
    last = value;
    sum += value;
    count++;
  }
  return { min, max, avg: count === 0 ? null : sum / count, last };
}
