// Fewer points than pixels, and yet no spike is hidden: of all points that fall into one pixel column the lowest and
// the highest are kept, in their order, beside the first and the last, which join it to its neighbours ("M4", Jugel et
// al., VLDB 2014: exact to the pixel for a line chart). A gap stays a gap.

export type Values = readonly (number | null)[];

export interface Picked {
  times: number[];
  values: (number | null)[][];
}

/**
 * Points `from` to `to` (exclusive) of every series in at most `columns` columns of equal length in time. All series share
 * the times that are kept, as the chart's data is one table.
 */
export function downsample(times: readonly number[], series: readonly Values[], from: number, to: number, columns: number): Picked {
  if (to - from <= columns * 2 || columns < 1) {
    return { times: times.slice(from, to), values: series.map((values) => values.slice(from, to)) };
  }
  const outTimes: number[] = [];
  const out: (number | null)[][] = series.map(() => []);
  const first = times[from]!;
  const width = (times[to - 1]! - first) / columns || 1;
  let begin = from;
  for (let column = 0; column < columns && begin < to; column++) {
    const limit = column === columns - 1 ? Infinity : first + (column + 1) * width;
    let end = begin;
    while (end < to && times[end]! < limit) end++;
    if (end === begin) continue;
    addColumn(times, series, begin, end, outTimes, out);
    begin = end;
  }
  return { times: outTimes, values: out };
}

// Four rows at most stand for a column: each series puts first, lower and higher extreme (in their order) and last.
function addColumn(times: readonly number[], series: readonly Values[], begin: number, end: number, outTimes: number[], out: (number | null)[][]): void {
  const count = end - begin;
  if (count <= 4) {
    for (let i = begin; i < end; i++) outTimes.push(times[i]!);
    series.forEach((values, k) => {
      for (let i = begin; i < end; i++) out[k]!.push(values[i]!);
    });
    return;
  }
  const start = times[begin]!;
  const last = times[end - 1]!;
  outTimes.push(start, start + (last - start) / 3, start + ((last - start) * 2) / 3, last);
  for (let k = 0; k < series.length; k++) {
    const values = series[k]!;
    let low = -1;
    let high = -1;
    for (let i = begin; i < end; i++) {
      const value = values[i]!;
      if (value === null) continue;
      if (low < 0 || value < values[low]!) low = i;
      if (high < 0 || value > values[high]!) high = i;
    }
    const row = out[k]!;
    if (low < 0) row.push(null, null, null, null);
    else row.push(values[begin]!, values[Math.min(low, high)]!, values[Math.max(low, high)]!, values[end - 1]!);
  }
}

/** The first index whose time is not before `time`. */
export function lowerBound(times: readonly number[], time: number): number {
  let from = 0;
  let to = times.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (times[middle]! < time) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The index of the time next to `at`. */
export function nearestIndex(times: readonly number[], at: number): number {
  const i = lowerBound(times, at);
  if (i > 0 && (i >= times.length || at - times[i - 1]! < times[i]! - at)) return i - 1;
  return i;
}
