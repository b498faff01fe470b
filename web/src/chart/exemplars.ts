// Exemplars as dots of a chart: which there are, which are drawn, which one is meant. No drawing here.
import type { ExemplarSeries, Labels } from '../data/api';
import { parseValue } from '../data/columns';

export interface Dot {
  at: number; // ms since 1970
  value: number;
  labels: Labels; // of the exemplar: trace_id, …
  series: Labels;
}

/** Oldest first; what has no value that can be drawn is left out. */
export function dotsOf(data: readonly ExemplarSeries[]): Dot[] {
  return data
    .flatMap((one) => one.exemplars.map((exemplar) => ({ at: exemplar.timestamp * 1000, value: parseValue(exemplar.value), labels: exemplar.labels, series: one.seriesLabels })))
    .filter((dot) => Number.isFinite(dot.value) && Number.isFinite(dot.at))
    .sort((a, b) => a.at - b.at);
}

/** At most about `most` of them: of each column of time the highest and the lowest, as those are what one looks for. */
export function thinDots(dots: readonly Dot[], most: number): Dot[] {
  if (dots.length <= most) return [...dots];
  const columns = Math.max(1, Math.floor(most / 2));
  const first = dots[0]!.at;
  const width = (dots.at(-1)!.at - first) / columns || 1;
  const ends = new Map<number, { low: Dot; high: Dot }>();
  for (const dot of dots) {
    const column = Math.min(columns - 1, Math.floor((dot.at - first) / width));
    const old = ends.get(column);
    if (old === undefined) ends.set(column, { low: dot, high: dot });
    else {
      if (dot.value < old.low.value) old.low = dot;
      if (dot.value > old.high.value) old.high = dot;
    }
  }
  return [...ends.values()].flatMap(({ low, high }) => (low === high ? [low] : [low, high])).sort((a, b) => a.at - b.at);
}

/** The one next to a place, no farther than `reach` pixels; undefined when none is. */
export function nearestDot(dots: readonly Dot[], x: number, y: number, place: (dot: Dot) => { x: number; y: number }, reach = 9): Dot | undefined {
  let best: Dot | undefined;
  let least = reach * reach;
  for (const dot of dots) {
    const at = place(dot);
    const distance = (at.x - x) ** 2 + (at.y - y) ** 2;
    if (distance <= least) [best, least] = [dot, distance];
  }
  return best;
}

/**
 * The values that the axis shows for the dots' sake: theirs, where they are of the lines' size. Those of a histogram beside
 * a rate are not, and stand at the edge.
 */
export function dotsWithin(dots: readonly Dot[], most: number): readonly [number, number] | undefined {
  const values = dots.map((dot) => dot.value);
  const high = Math.max(...values);
  return values.length === 0 || high > most * 10 ? undefined : [Math.min(...values), high];
}

const TRACE = /^(trace_?id|traceid)$/i;

/** The label that names a trace, first. */
export function exemplarLabels(labels: Labels): { name: string; value: string; trace: boolean }[] {
  return Object.entries(labels)
    .map(([name, value]) => ({ name, value, trace: TRACE.test(name) }))
    .sort((a, b) => Number(b.trace) - Number(a.trace) || (a.name < b.name ? -1 : 1));
}
