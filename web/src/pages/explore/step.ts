// The step of Explore's queries: chosen, or as fine as the chart can show; never more points than the server gives.
import { POINTS_MAX, stepFor } from '../../data/step';
import { parseDuration, type Span } from '../../data/time';

export interface Step {
  ms: number;
  raised: boolean; // the chosen one would have given too many points
}

export const STEPS = ['1s', '5s', '15s', '30s', '1m', '5m', '15m', '1h'] as const;

/** '15s', or a bare number of seconds; undefined when it is no step. */
export function parseStep(text: string): number | undefined {
  const trimmed = text.trim();
  const ms = /^\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) * 1000 : parseDuration(trimmed);
  return ms === undefined || ms < 1 ? undefined : Math.round(ms);
}

const AUTO_POINTS_MIN = 600;

export function chooseStep(choice: string, span: Span, pixels: number): Step {
  const length = span.toMs - span.fromMs;
  // One more interval than the length holds, as both ends are moved to multiples of the step.
  const least = Math.ceil(length / (POINTS_MAX - 1));
  if (choice === 'max') return { ms: Math.max(stepFor(span, POINTS_MAX - 1, 1000), least), raised: false };
  if (choice === 'low') return { ms: Math.max(stepFor(span, Math.max(pixels / 6, 50), 1000), least), raised: false };
  const chosen = parseStep(choice);
  // A point a pixel, and not fewer on a small screen: what lies between two points of a query is never seen, while the
  // chart keeps the extremes of all points that it is given.
  if (chosen === undefined) return { ms: Math.max(stepFor(span, Math.max(pixels, AUTO_POINTS_MIN), 1000), least), raised: false };
  return chosen < least ? { ms: roundUp(least), raised: true } : { ms: chosen, raised: false };
}

function roundUp(ms: number): number {
  const unit = ms < 1000 ? 1 : ms < 60e3 ? 1000 : 60e3;
  return Math.ceil(ms / unit) * unit;
}
