// Asking: one query of Explore, over the range or at its end, kept up to date with the page's clock.
import { useRef } from 'preact/hooks';
import { query, queryRange, type QueryData } from '../../data/api';
import type { Columns } from '../../data/columns';
import { cutColumns, joinColumns } from '../../data/live';
import { useResource, type Resource } from '../../data/resource';
import { tenantShown } from '../../data/session';
import { alignSpan } from '../../data/step';
import type { Span } from '../../data/time';
import { now, span } from '../../state';
import { askOver } from './over';

/** Points at the end that may still change, as samples come late. */
const TAIL_POINTS = 3;

export interface Ran {
  expr: string;
  warnings: readonly string[];
  infos: readonly string[];
  ms: number; // from asking to having it
  notFinite: number; // values that cannot be drawn
}

export interface RanOver extends Ran, Columns {
  span: Span;
  stepMs: number;
  key: string;
  histograms: number; // series that are native histograms
}

/** A range as the server wrote it, for a heat map. */
export interface RanHeat extends Ran {
  data: QueryData;
  span: Span;
  stepMs: number;
}

export interface RanAt extends Ran {
  data: QueryData;
  atMs: number;
}

// A range that stands still is a question of its own; one that moves is the same question, asked again.
function keysOf(asked: Span): readonly unknown[] {
  const still = Math.abs(asked.toMs - now.value) > 1000;
  return [tenantShown.value, ...(still ? [asked.fromMs, asked.toMs] : [asked.toMs - asked.fromMs])];
}

/** Over the span in force, by steps. */
export function useOver(expr: string, stepMs: number): Resource<RanOver> {
  const kept = useRef<RanOver | undefined>(undefined);
  const asked = span.value;
  const key = JSON.stringify([tenantShown.value, expr, stepMs, Math.round((asked.toMs - asked.fromMs) / stepMs)]);
  return useResource<RanOver>(
    async (signal) => {
      const began = performance.now();
      const aligned = alignSpan(asked, stepMs);
      const old = kept.current;
      const overlaps = old !== undefined && old.key === key && aligned.fromMs >= old.span.fromMs && aligned.fromMs < old.span.toMs && aligned.toMs >= old.span.toMs;
      const fromMs = overlaps ? Math.max(aligned.fromMs, old.span.toMs - TAIL_POINTS * stepMs) : aligned.fromMs;
      const tail = await askOver(expr, fromMs, aligned.toMs, stepMs, signal);
      const columns = overlaps ? joinColumns(cutColumns(old, aligned.fromMs), tail) : tail;
      const notFinite = overlaps ? Math.max(tail.notFinite, old.notFinite) : tail.notFinite;
      const next = { ...columns, expr, span: aligned, stepMs, key, warnings: tail.warnings, infos: tail.infos, ms: performance.now() - began, notFinite, histograms: tail.histograms };
      kept.current = next;
      return next;
    },
    ['over', expr, stepMs, ...keysOf(asked)],
    now.value,
  );
}

/** Over the span in force, with everything that a heat map needs. `stepMs` is the width of its columns. */
export function useHeat(expr: string, stepMs: number): Resource<RanHeat> {
  const asked = span.value;
  return useResource<RanHeat>(
    async (signal) => {
      const began = performance.now();
      const aligned = alignSpan(asked, stepMs);
      const answer = await queryRange(expr, aligned.fromMs, aligned.toMs, stepMs, { signal });
      return { expr, data: answer.data, span: aligned, stepMs, warnings: answer.warnings, infos: answer.infos, ms: performance.now() - began, notFinite: 0 };
    },
    ['heat', expr, stepMs, ...keysOf(asked)],
    // A column is several refreshes wide.
    Math.floor(now.value / Math.min(stepMs, 60e3)),
  );
}

/** At the end of the span in force. */
export function useAt(expr: string): Resource<RanAt> {
  const asked = span.value;
  return useResource<RanAt>(
    async (signal) => {
      const began = performance.now();
      const answer = await query(expr, asked.toMs, { signal });
      return { expr, data: answer.data, atMs: asked.toMs, warnings: answer.warnings, infos: answer.infos, ms: performance.now() - began, notFinite: 0 };
    },
    ['at', expr, ...keysOf(asked)],
    now.value,
  );
}
