// Heat maps: how often values fell where, over time. From native histograms, whose buckets a sample brings along, and from
// classic ones, whose series are counts up to a bound (label le). No drawing here; heat-map.tsx draws.
import type { QueryData } from '../data/api';
import { parseValue } from '../data/columns';
import { valueText, axisTexts, type Unit } from '../data/units';

/** How often values fell between two bounds; counts of rates are per second. */
export interface Cell {
  low: number; // may be -Infinity
  high: number; // may be Infinity
  count: number;
}

export interface Heat {
  times: number[]; // ms since 1970, a step apart
  stepMs: number;
  columns: (readonly Cell[] | undefined)[]; // rising, none over another; undefined: nothing is known of that time
  most: number; // the largest count of a cell
  series: number; // how many were added up
}

/** The heat map of a range query; undefined when its series are neither native histograms nor have bounds (le). */
export function heatOf(data: QueryData, fromMs: number, toMs: number, stepMs: number): Heat | undefined {
  if (data.resultType !== 'matrix') return undefined;
  const count = Math.max(Math.floor((toMs - fromMs) / stepMs + 1e-9) + 1, 0);
  const times = Array.from({ length: count }, (_, i) => fromMs + i * stepMs);
  const native = data.result.some((row) => row.histograms !== undefined && row.histograms.length > 0);
  if (!native && !data.result.some((row) => row.metric['le'] !== undefined)) return undefined;
  const columns = native ? nativeColumns(data.result, fromMs, stepMs, count) : classicColumns(data.result, fromMs, stepMs, count);
  let most = 0;
  for (const cells of columns) for (const cell of cells ?? []) if (cell.count > most) most = cell.count;
  const series = native ? data.result.length : new Set(data.result.map((row) => JSON.stringify({ ...row.metric, le: undefined }))).size;
  return { times, stepMs, columns, most, series };
}

type MatrixRow = Extract<QueryData, { resultType: 'matrix' }>['result'][number];

function nativeColumns(rows: readonly MatrixRow[], fromMs: number, stepMs: number, count: number): Heat['columns'] {
  const columns: Heat['columns'] = new Array<undefined>(count).fill(undefined);
  for (const row of rows) {
    for (const [seconds, histogram] of row.histograms ?? []) {
      const at = Math.round((seconds * 1000 - fromMs) / stepMs);
      if (at < 0 || at >= count) continue;
      const cells: Cell[] = [];
      for (const [, low, high, n] of histogram.buckets ?? []) cells.push({ low: parseValue(low), high: parseValue(high), count: parseValue(n) });
      const good = cells.filter((cell) => cell.low < cell.high && Number.isFinite(cell.count)).sort((a, b) => a.low - b.low);
      const zero = good[0];
      // The bucket around zero reaches below it even where no value did.
      if (zero !== undefined && zero.low < 0 && zero.high === -zero.low) zero.low = 0;
      columns[at] = columns[at] === undefined ? good : addCells(columns[at], good);
    }
  }
  return columns;
}

function classicColumns(rows: readonly MatrixRow[], fromMs: number, stepMs: number, count: number): Heat['columns'] {
  // Series of one bound are added up, whatever else tells them apart.
  const bounds = new Map<number, (number | undefined)[]>();
  for (const row of rows) {
    const le = row.metric['le'];
    if (le === undefined || Number.isNaN(parseValue(le))) continue;
    const sums = bounds.get(parseValue(le)) ?? new Array<undefined>(count).fill(undefined);
    bounds.set(parseValue(le), sums);
    for (const [seconds, text] of row.values ?? []) {
      const at = Math.round((seconds * 1000 - fromMs) / stepMs);
      const value = parseValue(text);
      if (at >= 0 && at < count && Number.isFinite(value)) sums[at] = (sums[at] ?? 0) + value;
    }
  }
  const rising = [...bounds].sort(([a], [b]) => a - b);
  return Array.from({ length: count }, (_, at) => {
    const cells: Cell[] = [];
    let before = 0;
    let low = rising[0] !== undefined && rising[0][0] > 0 ? 0 : -Infinity;
    for (const [high, sums] of rising) {
      const upTo = sums[at];
      if (upTo === undefined) continue;
      cells.push({ low, high, count: Math.max(0, upTo - before) });
      before = Math.max(before, upTo);
      low = high;
    }
    return cells.length === 0 ? undefined : cells;
  });
}

// How far a bound is along: for buckets that grow by a factor their parts are alike on a logarithmic scale.
function shareOf(cell: Cell, low: number, high: number): number {
  const log = cell.low > 0 || cell.high < 0;
  const length = (a: number, b: number) => (log ? Math.abs(Math.log(b / a)) : b - a);
  const whole = length(cell.low, cell.high);
  return Number.isFinite(whole) && whole > 0 ? length(low, high) / whole : 1;
}

/** Two lists of cells as one; where bounds differ (another resolution) a cell is cut and its count shared out. */
export function addCells(a: readonly Cell[], b: readonly Cell[]): Cell[] {
  const bounds = [...new Set([...a, ...b].flatMap((cell) => [cell.low, cell.high]))].sort((x, y) => x - y);
  const out: Cell[] = [];
  const places = new Map(bounds.map((bound, i) => [bound, i]));
  const counts = new Array<number>(bounds.length).fill(NaN);
  for (const cell of [...a, ...b]) {
    for (let i = places.get(cell.low)!; i < places.get(cell.high)!; i++) {
      const part = cell.count * shareOf(cell, bounds[i]!, bounds[i + 1]!);
      counts[i] = Number.isNaN(counts[i]!) ? part : counts[i]! + part;
    }
  }
  for (let i = 0; i + 1 < bounds.length; i++) if (!Number.isNaN(counts[i]!)) out.push({ low: bounds[i]!, high: bounds[i + 1]!, count: counts[i]! });
  return out;
}

// ---- The value axis ----

export interface HeatScale {
  place: (value: number) => number; // of a value, or of an infinite bound, on the axis
  low: number;
  high: number;
  ticks: (most: number, unit: Unit) => { at: number; text: string }[];
}

/**
 * Where values lie on the axis. What has no end (le="+Inf") gets a strip beside the last bound. The logarithmic axis is
 * even-tempered around zero: below the least bound it is linear, and negative values mirror positive ones.
 */
export function heatScale(heat: Heat, kind: 'log' | 'linear'): HeatScale {
  let low = Infinity;
  let high = -Infinity;
  let least = Infinity; // the bound nearest to zero
  let openLow = false;
  let openHigh = false;
  for (const cells of heat.columns) {
    for (const cell of cells ?? []) {
      // Empty cells at the far ends do not widen the axis; classic histograms have many of them.
      if (cell.count <= 0) continue;
      openLow ||= cell.low === -Infinity;
      openHigh ||= cell.high === Infinity;
      for (const bound of [cell.low, cell.high]) {
        if (!Number.isFinite(bound)) continue;
        low = Math.min(low, bound);
        high = Math.max(high, bound);
        if (bound !== 0) least = Math.min(least, Math.abs(bound));
      }
    }
  }
  if (low > high) [low, high] = [0, 1];
  if (low === high) [low, high] = [Math.min(low, 0), Math.max(high, 0) || low + 1];
  if (!Number.isFinite(least)) least = 1;
  if (kind === 'linear') return linearScale(low, high, openLow, openHigh);
  return logScale(low, high, least, openLow, openHigh);
}

function linearScale(low: number, high: number, openLow: boolean, openHigh: boolean): HeatScale {
  const strip = (high - low) * 0.06;
  const bottom = openLow ? low - strip : low;
  const top = openHigh ? high + strip : high;
  return {
    place: (value) => (value === Infinity ? top : value === -Infinity ? bottom : value),
    low: bottom,
    high: top,
    ticks: (most, unit) => {
      const rough = (high - low) / Math.max(most, 1);
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? power * 10;
      const at: number[] = [];
      for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-6; i++) at.push(i * step);
      const texts = axisTexts(at, unit);
      return at.map((value, i) => ({ at: value, text: texts[i]! }));
    },
  };
}

function logScale(low: number, high: number, least: number, openLow: boolean, openHigh: boolean): HeatScale {
  const decades = Math.log10(Math.max(Math.abs(low), Math.abs(high)) / least);
  const strip = Math.max(0.1, decades * 0.07);
  const finite = (value: number) => (Math.abs(value) <= least ? (strip * value) / least : Math.sign(value) * (strip + Math.log10(Math.abs(value) / least)));
  const bottom = finite(low) - (openLow ? strip : 0);
  const top = finite(high) + (openHigh ? strip : 0);
  return {
    place: (value) => (value === Infinity ? top : value === -Infinity ? bottom : finite(value)),
    low: bottom,
    high: top,
    ticks: (most, unit) => {
      const values = logTicks(low, high, least);
      const at = values.map((value) => ({ at: finite(value), text: valueText(value, unit) }));
      // Those too near to the one before are left out; whole powers of ten stay.
      const apart = (top - bottom) / Math.max(most, 1);
      const whole = (value: number) => value === 0 || Math.abs(Math.log10(Math.abs(value)) % 1) < 1e-9;
      const kept: { at: number; text: string }[] = [];
      for (const round of [true, false]) at.forEach((tick, i) => whole(values[i]!) === round && kept.every((one) => Math.abs(one.at - tick.at) >= apart * 0.9) && kept.push(tick));
      return kept.sort((a, b) => a.at - b.at);
    },
  };
}

function logTicks(low: number, high: number, least: number): number[] {
  const out: number[] = [];
  if (low <= 0 && high >= 0) out.push(0);
  const largest = Math.max(Math.abs(low), Math.abs(high));
  for (let power = Math.floor(Math.log10(least)); power <= Math.ceil(Math.log10(largest)); power++) {
    for (const factor of [1, 2, 5]) {
      const value = Number((factor * 10 ** power).toPrecision(3));
      if (value < least * 0.999) continue;
      for (const one of [value, -value]) if (one >= low - Math.abs(low) * 1e-9 && one <= high * (1 + 1e-9)) out.push(one);
    }
  }
  return out.sort((a, b) => a - b);
}

// ---- In words and numbers ----

/** "10 ms – 25 ms", "above 10 s". */
export function cellText(cell: Pick<Cell, 'low' | 'high'>, unit: Unit): string {
  if (cell.high === Infinity) return cell.low === -Infinity ? 'any' : 'above ' + valueText(cell.low, unit);
  if (cell.low === -Infinity) return 'up to ' + valueText(cell.high, unit);
  return valueText(cell.low, unit) + ' – ' + valueText(cell.high, unit);
}

export function totalOf(cells: readonly Cell[] | undefined): number {
  return (cells ?? []).reduce((sum, cell) => sum + cell.count, 0);
}

/** All columns as one: the mean of each cell over the times of which something is known. */
export function meanCells(heat: Heat): Cell[] {
  const known = heat.columns.filter((cells) => cells !== undefined);
  const sums = new Map<string, Cell>();
  for (const cells of known) {
    for (const cell of cells) {
      const key = cell.low + ' ' + cell.high;
      const old = sums.get(key);
      if (old === undefined) sums.set(key, { ...cell });
      else old.count += cell.count;
    }
  }
  return [...sums.values()].map((cell) => ({ ...cell, count: cell.count / known.length })).sort((a, b) => a.low - b.low || a.high - b.high);
}

/** Which part of full colour a cell has: the root, so that what is rare is seen beside what is frequent. */
export function heatLevel(count: number, most: number): number {
  return count <= 0 || most <= 0 ? 0 : 0.08 + 0.92 * Math.sqrt(Math.min(count / most, 1));
}
