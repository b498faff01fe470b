// A range query that is asked again as time moves. Only the tail is asked for: what is older does not change any more,
// so a page that is open all day costs the server next to nothing.
import { useRef } from 'preact/hooks';
import { now, span } from '../state';
import { queryRange, type CallOptions, type Labels } from './api';
import { columnsOf, NO_COLUMNS, type Column, type Columns } from './columns';
import { useResource, type Resource } from './resource';
import { alignSpan, stepFor } from './step';
import type { Span } from './time';

/** Points at the end that may still change, as samples come late: asked for again each time. */
const TAIL_POINTS = 3;

export interface LiveData extends Columns {
  span: Span; // aligned, as asked for
  stepMs: number;
  warnings: string[];
}

/** An answer that a later question of the same `key` goes on from. */
export interface Kept extends LiveData {
  key: string;
}

/** `old` cut to the new span, with the new tail put behind it. Series come and go; values of one series stay together. */
export function joinColumns(old: Columns, tail: Columns): Columns {
  const from = tail.times[0];
  if (from === undefined) return old;
  const kept = old.times.findIndex((time) => time >= from);
  const count = kept < 0 ? old.times.length : kept;
  const times = [...old.times.slice(0, count), ...tail.times];
  const known = new Map(old.series.map((one) => [JSON.stringify(one.labels), one]));
  const series: Column[] = [];
  const gap = (length: number): (number | null)[] => new Array<number | null>(length).fill(null);
  const fresh = new Map(tail.series.map((one) => [JSON.stringify(one.labels), one]));
  for (const [labels, one] of known) {
    const newer = fresh.get(labels);
    if (newer === undefined) series.push({ ...one, values: one.values.slice(0, count).concat(gap(tail.times.length)) });
    else series.push({ ...newer, values: one.values.slice(0, count).concat(newer.values) });
  }
  for (const one of tail.series) {
    if (!known.has(JSON.stringify(one.labels))) series.push({ ...one, values: [...gap(count), ...one.values] });
  }
  return { times, series };
}

/** Drops points before `fromMs`, and series that have none left. */
export function cutColumns(columns: Columns, fromMs: number): Columns {
  const at = columns.times.findIndex((time) => time >= fromMs);
  if (at <= 0) return columns;
  const series = columns.series.map((one) => ({ ...one, values: one.values.slice(at) })).filter((one) => one.values.some((value) => value !== null));
  return { times: columns.times.slice(at), series };
}

export interface LiveOptions {
  pixels?: number; // width of the chart
  leastStepMs?: number; // the interval of the data
  legend?: string | ((labels: Labels) => string);
  /** The expression may hold $step and $window: filled in by the caller's function instead of text. */
  window?: (stepMs: number) => string;
}

/** What makes two questions the same but for the time that passed between them. */
export function followKey(text: string, stepMs: number, asked: Span): string {
  return JSON.stringify([text, stepMs, Math.round((asked.toMs - asked.fromMs) / stepMs)]);
}

/** The expression over `asked`; where `old` answers a part of it, only the rest is asked for. */
export async function followRange(old: Kept | undefined, text: string, asked: Span, stepMs: number, legend: string | ((labels: Labels) => string), options: CallOptions): Promise<Kept> {
  const key = followKey(text, stepMs, asked);
  const aligned = alignSpan(asked, stepMs);
  const overlap = old !== undefined && old.key === key && aligned.fromMs >= old.span.fromMs && aligned.fromMs < old.span.toMs && aligned.toMs >= old.span.toMs;
  const fromMs = overlap ? Math.max(aligned.fromMs, old.span.toMs - TAIL_POINTS * stepMs) : aligned.fromMs;
  const answer = await queryRange(text, fromMs, aligned.toMs, stepMs, options);
  const tail = columnsOf(answer.data, fromMs, aligned.toMs, stepMs, legend);
  const columns = overlap ? joinColumns(cutColumns(old, aligned.fromMs), tail) : tail;
  return { ...(columns ?? NO_COLUMNS), span: aligned, stepMs, warnings: answer.warnings, key };
}

/** The expression over the span in force, kept up to date with the page's clock. */
export function useLive(expr: string | ((stepMs: number) => string), options: LiveOptions = {}): Resource<LiveData> {
  const kept = useRef<Kept | undefined>(undefined);
  const asked = span.value;
  const stepMs = stepFor(asked, options.pixels ?? 600, options.leastStepMs ?? 1000);
  const text = typeof expr === 'function' ? expr(stepMs) : expr;
  // A range that stands still is a question of its own; one that moves is the same question, asked again.
  const still = Math.abs(asked.toMs - now.value) > 1000;

  return useResource<LiveData>(
    async (signal) => (kept.current = await followRange(kept.current, text, asked, stepMs, options.legend ?? '', { signal })),
    still ? [text, stepMs, asked.fromMs, asked.toMs] : [text, stepMs, asked.toMs - asked.fromMs],
    now.value,
  );
}
