// What panels make of numbers: the one number of a series, the level of a number, rows of a table out of several answers.
import type { Labels, QueryData } from '../../data/api';
import { parseValue, summaryOf } from '../../data/columns';
import type { Level, Panel, PanelQuery, Reduce, Threshold } from './document';

export function reduce(values: readonly (number | null)[], how: Reduce): number | null {
  const { min, max, avg, last } = summaryOf(values);
  return how === 'min' ? min : how === 'max' ? max : how === 'mean' ? avg : last;
}

/** The last threshold that fits holds; '' when none does. */
export function levelOf(value: number | null, thresholds: readonly Threshold[]): Level | '' {
  let level: Level | '' = '';
  if (value === null || Number.isNaN(value)) return level;
  for (const one of thresholds) if ((one.from !== undefined && value >= one.from) || (one.below !== undefined && value <= one.below)) level = one.level;
  return level;
}

export interface TableLine {
  key: string;
  labels: Labels;
  values: (number | null)[]; // of each query; null: none for these labels
}

export interface TableData {
  labels: string[];
  lines: TableLine[];
}

/** Several answers as one table: values whose labels are alike share a line. */
export function joinAnswers(data: readonly QueryData[], panel: Pick<Panel, 'columns'>): TableData {
  const lines = new Map<string, TableLine>();
  const names = new Set<string>();
  data.forEach((one, i) => {
    const rows = one.resultType === 'vector' ? one.result : one.resultType === 'scalar' ? [{ metric: {}, value: one.result }] : [];
    for (const row of rows) {
      if (row.value === undefined) continue; // a histogram is no number
      const shown = panel.columns.length > 0 ? panel.columns : Object.keys(row.metric).filter((name) => name !== '__name__');
      const labels = Object.fromEntries(shown.flatMap((name) => (row.metric[name] === undefined ? [] : [[name, row.metric[name]] as const])));
      for (const name of Object.keys(labels)) names.add(name);
      const key = JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
      const line = lines.get(key) ?? { key, labels, values: data.map(() => null) };
      line.values[i] ??= parseValue(row.value[1]);
      lines.set(key, line);
    }
  });
  return { labels: panel.columns.length > 0 ? [...panel.columns] : [...names].sort(), lines: [...lines.values()] };
}

/** The heading of a query's column. */
export function headingOf(query: PanelQuery, index: number, count: number): string {
  return query.legend !== '' && !query.legend.includes('{{') ? query.legend : count === 1 ? 'Value' : `Value ${index + 1}`;
}
