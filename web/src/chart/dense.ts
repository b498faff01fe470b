// Charts of very many points: drawn pixel by pixel instead of line by line. For each series and each pixel column the
// lowest and the highest value are found, and the pixels between them are set; so the cost follows the pixels, not the
// points, and a spike of a single point is always there. Lines between columns are joined; a gap stays a gap.
//
// Two million points on 1,200 columns take about ten milliseconds, where stroking paths takes hundreds.

import type { Values } from './downsample';
import { lowerBound } from './downsample';

// Extremes of runs of 8, 64, 512, … points, so that a wide range is not read point by point.
const RUN_SHIFT = 3;

interface Level {
  min: Float64Array;
  max: Float64Array;
}

export interface Pyramid {
  raw: Float64Array; // NaN: a gap
  levels: Level[];
}

const kept = new WeakMap<Values, Pyramid>();

function levelOf(min: Float64Array, max: Float64Array): Level {
  const count = Math.ceil(min.length / (1 << RUN_SHIFT));
  const out = { min: new Float64Array(count).fill(NaN), max: new Float64Array(count).fill(NaN) };
  for (let i = 0; i < min.length; i++) {
    const at = i >> RUN_SHIFT;
    // Comparisons with NaN are false: what is no number never replaces one.
    if (!(out.min[at]! <= min[i]!)) out.min[at] = Number.isNaN(min[i]!) ? out.min[at]! : min[i]!;
    if (!(out.max[at]! >= max[i]!)) out.max[at] = Number.isNaN(max[i]!) ? out.max[at]! : max[i]!;
  }
  return out;
}

/** The pyramid over a series, made once for each array of values. */
export function pyramidOf(values: Values): Pyramid {
  let found = kept.get(values);
  if (found === undefined) {
    const raw = new Float64Array(values.length);
    for (let i = 0; i < values.length; i++) raw[i] = values[i] ?? NaN;
    found = { raw, levels: [] };
    for (let level: Level = { min: raw, max: raw }; level.min.length > 1 << (RUN_SHIFT * 2); ) {
      level = levelOf(level.min, level.max);
      found.levels.push(level);
    }
    kept.set(values, found);
  }
  return found;
}

/** Lowest and highest value of points `from` to `to` (exclusive) into out[at], out[at + 1]; NaN when there is none. */
function rangeInto(pyramid: Pyramid, from: number, to: number, out: Float32Array, at: number): void {
  const { raw, levels } = pyramid;
  let low = Infinity;
  let high = -Infinity;
  let i = from;
  // Most columns are short: no run fits into them.
  if (to - from < 2 << RUN_SHIFT) {
    for (; i < to; i++) {
      const value = raw[i]!;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  while (i < to) {
    // The longest run that begins here and ends in time.
    let level = -1;
    while (level + 1 < levels.length) {
      const size = 1 << (RUN_SHIFT * (level + 2));
      if (i % size !== 0 || i + size > to) break;
      level++;
    }
    if (level < 0) {
      const value = raw[i]!;
      if (value < low) low = value;
      if (value > high) high = value;
      i++;
    } else {
      const size = RUN_SHIFT * (level + 1);
      const min = levels[level]!.min[i >> size]!;
      const max = levels[level]!.max[i >> size]!;
      if (min < low) low = min;
      if (max > high) high = max;
      i += 1 << size;
    }
  }
  out[at] = low === Infinity ? NaN : low;
  out[at + 1] = high === -Infinity ? NaN : high;
}

export interface DenseView {
  columns: number;
  ranges: Float32Array[]; // per series: low and high of each column, NaN for a gap
  low: number; // of all
  high: number;
}

/** What each pixel column shows of each series in the span of time. The memory of `old` is taken over. */
export function denseView(times: readonly number[], series: readonly Values[], fromMs: number, toMs: number, columns: number, old?: DenseView): DenseView {
  const starts = new Int32Array(columns + 1);
  const perColumn = (toMs - fromMs) / columns;
  let at = lowerBound(times, fromMs);
  for (let column = 0; column <= columns; column++) {
    const limit = fromMs + column * perColumn;
    while (at < times.length && times[at]! < limit) at++;
    starts[column] = at;
  }
  let low = Infinity;
  let high = -Infinity;
  const ranges = series.map((values, k) => {
    const pyramid = pyramidOf(values);
    const { raw } = pyramid;
    const room = old?.ranges[k];
    const out = room !== undefined && room.length === columns * 2 ? room : new Float32Array(columns * 2);
    for (let column = 0; column < columns; column++) {
      const from = starts[column]!;
      const to = starts[column + 1]!;
      if (to > from) rangeInto(pyramid, from, to, out, column * 2);
      else if (from > 0 && from < raw.length) {
        // Between two points: on the line from one to the other.
        const before = times[from - 1]!;
        const part = (fromMs + (column + 0.5) * perColumn - before) / (times[from]! - before);
        const value = raw[from - 1]! + (raw[from]! - raw[from - 1]!) * part;
        out[column * 2] = value;
        out[column * 2 + 1] = value;
      } else {
        out[column * 2] = NaN;
        out[column * 2 + 1] = NaN;
      }
      if (out[column * 2]! < low) low = out[column * 2]!;
      if (out[column * 2 + 1]! > high) high = out[column * 2 + 1]!;
    }
    return out;
  });
  return { columns, ranges, low, high };
}

/** "#4fd1b8" as a pixel of an ImageData seen as 32-bit words (little-endian: alpha, blue, green, red). */
export function pixelOf(color: string, alpha = 255): number {
  const number = parseInt(color.slice(1), 16);
  return ((alpha << 24) | ((number & 255) << 16) | (number & 0xff00) | (number >> 16)) >>> 0;
}

/** Sets the pixels of one series. `pixels` is columns × height; `thick` is the width of the line. */
export function drawRanges(pixels: Uint32Array, columns: number, height: number, ranges: Float32Array, yMin: number, yMax: number, pixel: number, thick: number): void {
  const scale = (height - 1) / (yMax - yMin);
  let lastTop = -1;
  let lastBottom = -1;
  for (let column = 0; column < columns; column++) {
    const low = ranges[column * 2]!;
    if (low !== low) {
      lastTop = -1;
      continue;
    }
    let top = Math.round((yMax - ranges[column * 2 + 1]!) * scale);
    let bottom = Math.round((yMax - low) * scale);
    const ownTop = top;
    const ownBottom = bottom;
    // Joined with the column before, half of the way each would leave a hole for steep lines: all of it.
    if (lastTop >= 0) {
      if (top > lastBottom) top = lastBottom;
      if (bottom < lastTop) bottom = lastTop;
    }
    lastTop = ownTop;
    lastBottom = ownBottom;
    bottom += thick - 1;
    if (top < 0) top = 0;
    if (bottom >= height) bottom = height - 1;
    for (let y = top, i = top * columns + column; y <= bottom; y++, i += columns) pixels[i] = pixel;
  }
}
