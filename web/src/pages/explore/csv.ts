// Answers of queries as CSV: every series, and every digit as the server wrote it.
import type { Labels, QueryData } from '../../data/api';
import { csvText, type Cell } from '../../data/tables';

export interface Answered {
  letter: string;
  data: QueryData;
}

// The values as the server wrote them, digit for digit.
function pointsOf(data: QueryData): { metric: Labels; points: readonly (readonly [number, string])[] }[] {
  switch (data.resultType) {
    case 'matrix':
      return data.result.map((row) => ({ metric: row.metric, points: row.values ?? [] }));
    case 'vector':
      return data.result.map((row) => ({ metric: row.metric, points: row.value === undefined ? [] : [row.value] }));
    default:
      return [{ metric: {}, points: [data.result] }];
  }
}

/**
 * One line per point: the time, a column per label that occurs, the value. With several queries a column says which.
 * This is the form that joins, filters and charts in any tool; a column per series is not, once series come and go.
 */
export function answersCsv(answers: readonly Answered[]): string {
  const names = new Set<string>();
  const all = answers.map((answer) => ({ letter: answer.letter, series: pointsOf(answer.data) }));
  for (const { series } of all) for (const one of series) for (const name of Object.keys(one.metric)) names.add(name);
  const labels = [...names].sort((a, b) => (a === '__name__' ? -1 : b === '__name__' ? 1 : a < b ? -1 : 1));
  const several = answers.length > 1;
  const rows: Cell[][] = [[...(several ? ['query'] : []), 'time', ...labels, 'value']];
  for (const { letter, series } of all) {
    for (const one of series) {
      const cells = labels.map((name) => one.metric[name] ?? '');
      for (const [seconds, value] of one.points) rows.push([...(several ? [letter] : []), new Date(Math.round(seconds * 1000)).toISOString(), ...cells, value]);
    }
  }
  return csvText(rows);
}
