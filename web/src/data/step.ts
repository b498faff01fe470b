// Which step a range query takes: as fine as the pixels can show, a round number, the same for neighbours in time.
import type { Span } from './time';

const NICE_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

/** Points one query may give: the server (like Prometheus) refuses more than 11,000. */
export const POINTS_MAX = 11000;

/** The smallest round step with at most one point per pixel; never below `leastMs` (the interval of the data). */
export function stepFor(span: Span, pixels: number, leastMs = 1000): number {
  const points = Math.min(Math.max(pixels, 50), POINTS_MAX - 1);
  const wanted = Math.max((span.toMs - span.fromMs) / points, leastMs) / 1000;
  const nice = NICE_S.find((step) => step >= wanted);
  return (nice ?? Math.ceil(wanted / 604800) * 604800) * 1000;
}

/** The span with both ends on multiples of the step, so that the points stay where they are while time moves. */
export function alignSpan(span: Span, stepMs: number): Span {
  return { fromMs: Math.floor(span.fromMs / stepMs) * stepMs, toMs: Math.floor(span.toMs / stepMs) * stepMs };
}

/** The window for rate(): four intervals of the data, or the step when that is longer, so that no sample is left out. */
export function rateWindow(stepMs: number, intervalMs: number): number {
  return Math.max(stepMs + intervalMs, 4 * intervalMs);
}
