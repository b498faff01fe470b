// Answers of queries as CSV: every series, and every digit as the server wrote it.
import type { Histogram, Labels, QueryData } from '../../data/api';
import { csvText, type Cell } from '../../data/tables';

export interface Answered {
  letter: string;
  data: QueryData;
}

// The values as the server wrote them, digit for digit.
interface Points {
  metric: Labels;
  points: readonly (readonly [seconds: number, value: string])[];
  histograms?: readonly (readonly [seconds: number, histogram: Histogram])[];
}

function pointsOf(data: QueryData): Points[] {
  switch (data.resultType) {
    case 'matrix':
      return data.result.map((row) => ({ metric: row.metric, points: row.values ?? [], histograms: row.histograms }));
    case 'vector':
      return data.result.map((row) => ({ metric: row.metric, points: row.value === undefined ? [] : [row.value], histograms: row.histogram === undefined ? undefined : [row.histogram] }));
    default:
      return [{ metric: {}, points: [data.result] }];
  }
}

/**
 * One line per point: the time, a column per label that occurs, the value; of a native histogram a line per bucket, with
 * its bounds. With several queries a column says which.
 * This is the form that joins, filters and charts in any tool; a column per series is not, once series come and go.
 */
export function answersCsv(answers: readonly Answered[]): string {
  const names = new Set<string>();
  const all = answers.map((answer) => ({ letter: answer.letter, series: pointsOf(answer.data) }));
  for (const { series } of all) for (const one of series) for (const name of Object.keys(one.metric)) names.add(name);
  const labels = [...names].sort((a, b) => (a === '__name__' ? -1 : b === '__name__' ? 1 : a < b ? -1 : 1));
  const several = answers.length > 1;
  const bounds = all.some(({ series }) => series.some((one) => (one.histograms?.length ?? 0) > 0));
  const rows: Cell[][] = [[...(several ? ['query'] : []), 'time', ...labels, ...(bounds ? ['low', 'high'] : []), 'value']];
  for (const { letter, series } of all) {
    for (const one of series) {
      const cells = labels.map((name) => one.metric[name] ?? '');
      const push = (seconds: number, ends: readonly Cell[], value: string) => rows.push([...(several ? [letter] : []), new Date(Math.round(seconds * 1000)).toISOString(), ...cells, ...ends, value]);
      for (const [seconds, value] of one.points) push(seconds, bounds ? ['', ''] : [], value);
      for (const [seconds, histogram] of one.histograms ?? []) for (const [, low, high, count] of histogram.buckets ?? []) push(seconds, [low, high], count);
    }
  }
  return csvText(rows);
}
