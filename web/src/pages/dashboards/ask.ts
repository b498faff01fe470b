// What the panels ask. Only a panel that is in sight asks; one that scrolled away keeps what it has and goes on when it is
// back. All panels share the page's span and clock.
import { useEffect, useRef, useState } from 'preact/hooks';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { labelValues, query as askAt, queryRange, type CallOptions, type QueryData } from '../../data/api';
import type { Dot } from '../../chart/exemplars';
import type { Columns } from '../../data/columns';
import { followKey, followRange, type Kept } from '../../data/live';
import { useResource, type Resource } from '../../data/resource';
import { alignSpan, stepFor } from '../../data/step';
import { parseDuration, type Span } from '../../data/time';
import { now, span } from '../../state';
import { askExemplars, EXEMPLARS_EVERY_MS } from '../explore/exemplars';
import type { Dashboard, Panel, QueryVariable } from './document';
import { fill, fillPlain, type Chosen } from './fill';

export interface Board {
  dashboard: Dashboard;
  chosen: Chosen;
}

export const BoardContext = createContext<Board | undefined>(undefined);

export function useBoard(): Board {
  const board = useContext(BoardContext);
  if (board === undefined) throw new Error('a panel outside a dashboard');
  return board;
}

/** Is the element on the screen, or nearly? `seen`: was it ever. */
export function useSight(): { box: { current: HTMLElement | null }; inSight: boolean; seen: boolean } {
  const box = useRef<HTMLElement | null>(null);
  const [inSight, setInSight] = useState(false);
  const seen = useRef(false);
  seen.current ||= inSight;
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => setInSight(entries.at(-1)!.isIntersecting), { rootMargin: '150px 0px' });
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  return { box, inSight, seen: seen.current };
}

function withTenant(dashboard: Dashboard, signal: AbortSignal): CallOptions {
  return dashboard.tenant === '' ? { signal } : { signal, headers: { 'X-Scope-OrgID': dashboard.tenant } };
}

// While a panel is out of sight its question stays the last one, so that nothing is asked.
function useHeld<T>(value: T, inSight: boolean): T {
  const held = useRef(value);
  if (inSight) held.current = value;
  return held.current;
}

function keysOf(asked: Span, nowMs: number): readonly unknown[] {
  const still = Math.abs(asked.toMs - nowMs) > 1000;
  return still ? [asked.fromMs, asked.toMs] : [asked.toMs - asked.fromMs];
}

/** The step of a panel: whole intervals of the data, and no more points than it has room for. */
export function panelStep(asked: Span, pixels: number, dashboard: Dashboard): number {
  const intervalMs = parseDuration(dashboard.interval) ?? 15000;
  const length = asked.toMs - asked.fromMs;
  // In a short range finer than the interval, or a line would be a few corners.
  return stepFor(asked, pixels, Math.min(intervalMs, Math.max(1000, length / 240)));
}

export interface PanelLines extends Columns {
  span: Span;
  stepMs: number;
  warnings: string[];
}

/** All queries of a panel over the span, as the series of one chart. */
export function usePanelLines(panel: Panel, pixels: number, inSight: boolean): Resource<PanelLines> {
  const { dashboard, chosen } = useBoard();
  const kept = useRef<(Kept | undefined)[]>([]);
  const asked = span.value;
  const stepMs = panelStep(asked, pixels, dashboard);
  const texts = panel.queries.map((one) => fill(one.expr, dashboard, chosen, { stepMs, rangeMs: asked.toMs - asked.fromMs }));
  const legends = panel.queries.map((one) => fillPlain(one.legend, dashboard, chosen));
  const question = useHeld({ texts, legends, stepMs, asked, at: now.value, keys: ['lines', texts, legends, stepMs, ...keysOf(asked, now.value)] }, inSight);
  return useResource<PanelLines>(
    async (signal) => {
      const options = withTenant(dashboard, signal);
      const answers = await Promise.all(question.texts.map((text, i) => followRange(kept.current[i]?.key === followKey(text, question.stepMs, question.asked) ? kept.current[i] : undefined, text, question.asked, question.stepMs, question.legends[i]!, options)));
      kept.current = answers;
      return {
        times: answers[0]?.times ?? [],
        series: answers.flatMap((one) => one.series),
        span: answers[0]!.span,
        stepMs: question.stepMs,
        warnings: answers.flatMap((one) => one.warnings),
      };
    },
    question.keys,
    question.at,
  );
}

/** The exemplars of the series that a panel's queries name; nothing is asked for a panel without them. */
export function usePanelExemplars(panel: Panel, pixels: number, inSight: boolean): Resource<Dot[]> {
  const { dashboard, chosen } = useBoard();
  const asked = span.value;
  const stepMs = panelStep(asked, pixels, dashboard);
  const texts = panel.exemplars ? panel.queries.map((one) => fill(one.expr, dashboard, chosen, { stepMs, rangeMs: asked.toMs - asked.fromMs })) : [];
  const question = useHeld({ texts, asked, at: Math.floor(now.value / EXEMPLARS_EVERY_MS), keys: ['exemplars', texts, ...keysOf(asked, now.value)] }, inSight);
  return useResource<Dot[]>((signal) => askExemplars(question.texts, question.asked, withTenant(dashboard, signal)), question.keys, panel.exemplars ? question.at : 0);
}

export interface PanelValues {
  data: QueryData[]; // of each query
  warnings: string[];
}

/** All queries of a panel at the end of the span. */
export function usePanelValues(panel: Panel, inSight: boolean): Resource<PanelValues> {
  const { dashboard, chosen } = useBoard();
  const asked = span.value;
  const stepMs = panelStep(asked, 300, dashboard);
  const texts = panel.queries.map((one) => fill(one.expr, dashboard, chosen, { stepMs, rangeMs: asked.toMs - asked.fromMs }));
  const question = useHeld({ texts, toMs: asked.toMs, at: now.value, keys: ['values', texts, ...keysOf(asked, now.value)] }, inSight);
  return useResource<PanelValues>(
    async (signal) => {
      const answers = await Promise.all(question.texts.map((text) => askAt(text, question.toMs, withTenant(dashboard, signal))));
      return { data: answers.map((one) => one.data), warnings: answers.flatMap((one) => one.warnings) };
    },
    question.keys,
    question.at,
  );
}

export interface PanelMatrix {
  data: QueryData;
  span: Span;
  stepMs: number;
  warnings: string[];
}

/** The query of a heat map over the span, as the server gave it. A column is some pixels wide, so the step is coarse. */
export function usePanelMatrix(panel: Panel, pixels: number, inSight: boolean): Resource<PanelMatrix> {
  const { dashboard, chosen } = useBoard();
  const asked = span.value;
  const stepMs = panelStep(asked, pixels / 6, dashboard);
  const text = fill(panel.queries[0]!.expr, dashboard, chosen, { stepMs, rangeMs: asked.toMs - asked.fromMs });
  const question = useHeld({ text, asked, stepMs, at: Math.floor(now.value / stepMs), keys: ['matrix', text, stepMs, ...keysOf(asked, now.value)] }, inSight);
  return useResource<PanelMatrix>(
    async (signal) => {
      const aligned = alignSpan(question.asked, question.stepMs);
      const answer = await queryRange(question.text, aligned.fromMs, aligned.toMs, question.stepMs, withTenant(dashboard, signal));
      return { data: answer.data, span: aligned, stepMs: question.stepMs, warnings: answer.warnings };
    },
    question.keys,
    question.at,
  );
}

/** The values of a variable's label in the range. */
export function useOptions(dashboard: Dashboard, variable: QueryVariable | undefined, match: string): Resource<string[]> {
  const minute = Math.floor(now.value / 60e3);
  const { fromMs, toMs } = span.value;
  return useResource<string[]>(
    async (signal) => {
      if (variable === undefined) return [];
      const answer = await labelValues(variable.label, { match: match === '' ? undefined : [match], fromMs, toMs }, withTenant(dashboard, signal));
      return answer.data;
    },
    [variable?.name ?? '', variable?.label ?? '', match, Math.round((toMs - fromMs) / 1000)],
    minute,
  );
}
