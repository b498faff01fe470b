// Moving a chart in time by hand: Shift and drag, a drag on the time axis, a finger, or a wheel that goes sideways.
//
// However much is drawn, the hand must not feel it. So the lines are not drawn again while the chart moves: the picture
// they made is moved (one blit), and only the axes and the grid are drawn anew. When the hand lets go, the range is set,
// and the lines are drawn once.
import type uPlot from 'uplot';
import type { Span } from '../data/time';

export interface Pan {
  /** The span to show while the hand moves; undefined otherwise. */
  span: Span | undefined;
  /** The value axis as it was when the hand began: it does not jump under way. */
  y: [number, number] | undefined;
}

const WHEEL_REST_MS = 180;
const LEAST_PX = 4;

interface Gesture {
  from: Span;
  picture: HTMLCanvasElement;
  left: number; // of the plot in the canvas
  top: number;
  dx: number; // CSS pixels so far
  frame: number;
  paths: (uPlot.Series.PathBuilder | undefined)[];
}

/** `pan` is shared with the chart's scales. `moved` gets the new span when the hand lets go. Returns what ends it all. */
export function bindPan(u: uPlot, pan: Pan, current: () => Span, moved: (span: Span) => void): () => void {
  let gesture: Gesture | undefined;
  let wheelRest = 0;

  const msPerPixel = () => (gesture!.from.toMs - gesture!.from.fromMs) / Math.max(u.over.clientWidth, 1);

  const begin = () => {
    const { left, top, width, height } = u.bbox;
    const picture = document.createElement('canvas');
    picture.width = Math.max(1, width);
    picture.height = Math.max(1, height);
    picture.getContext('2d')!.drawImage(u.ctx.canvas, left, top, width, height, 0, 0, width, height);
    const scale = u.scales['y']!;
    pan.y = [scale.min ?? 0, scale.max ?? 1];
    pan.span = current();
    gesture = { from: pan.span, picture, left, top, dx: 0, frame: 0, paths: u.series.map((one) => one.paths) };
    for (const one of u.series) one.paths = () => null;
    u.setCursor({ left: -10, top: -10 }, false);
  };

  const draw = () => {
    if (gesture === undefined) return;
    gesture.frame = 0;
    const shift = -gesture.dx * msPerPixel();
    pan.span = { fromMs: gesture.from.fromMs + shift, toMs: gesture.from.toMs + shift };
    u.redraw(true, true);
  };

  const move = (dx: number) => {
    gesture!.dx = dx;
    if (gesture!.frame === 0) gesture!.frame = requestAnimationFrame(draw);
  };

  const end = (keep: boolean) => {
    if (gesture === undefined) return;
    const { dx, frame, paths, from } = gesture;
    cancelAnimationFrame(frame);
    u.series.forEach((one, i) => (one.paths = paths[i]!));
    const shift = -dx * msPerPixel();
    gesture = undefined;
    pan.span = undefined;
    pan.y = undefined;
    if (keep && Math.abs(dx) >= LEAST_PX) moved({ fromMs: from.fromMs + shift, toMs: from.toMs + shift });
    else u.redraw(true, true);
  };

  // Drawn over the grid by the chart's `draw` hook.
  const paint = () => {
    if (gesture === undefined) return;
    const { left, top, width, height } = u.bbox;
    const ratio = width / Math.max(u.over.clientWidth, 1);
    u.ctx.save();
    u.ctx.beginPath();
    u.ctx.rect(left, top, width, height);
    u.ctx.clip();
    u.ctx.drawImage(gesture.picture, gesture.left + gesture.dx * ratio, gesture.top);
    u.ctx.restore();
  };
  (u.hooks.draw ??= []).push(paint);

  const onAxis = (event: PointerEvent) => event.clientY > u.over.getBoundingClientRect().bottom;
  const pointerDown = (event: PointerEvent) => {
    const byMouse = event.pointerType === 'mouse' && ((event.button === 0 && (event.shiftKey || onAxis(event))) || event.button === 1);
    if (!byMouse && event.pointerType !== 'touch') return;
    if (event.pointerType === 'mouse') event.preventDefault();
    const startX = event.clientX;
    const id = event.pointerId;
    const pointerMove = (next: PointerEvent) => {
      if (next.pointerId !== id) return;
      const dx = next.clientX - startX;
      if (gesture === undefined && Math.abs(dx) < LEAST_PX) return;
      if (gesture === undefined) begin();
      move(dx);
    };
    const stop = (keep: boolean) => (next: PointerEvent) => {
      if (next.pointerId !== id) return;
      removeEventListener('pointermove', pointerMove);
      removeEventListener('pointerup', up);
      removeEventListener('pointercancel', cancel);
      end(keep);
    };
    const up = stop(true);
    const cancel = stop(false);
    addEventListener('pointermove', pointerMove);
    addEventListener('pointerup', up);
    addEventListener('pointercancel', cancel);
  };

  const wheel = (event: WheelEvent) => {
    const by = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
    if (by === 0 || Math.abs(by) < Math.abs(event.deltaY) * (event.shiftKey ? 0 : 1)) return;
    event.preventDefault();
    if (gesture === undefined) begin();
    move(gesture!.dx - by);
    clearTimeout(wheelRest);
    wheelRest = window.setTimeout(() => end(true), WHEEL_REST_MS);
  };

  u.root.addEventListener('pointerdown', pointerDown);
  u.root.addEventListener('wheel', wheel, { passive: false });
  return () => {
    clearTimeout(wheelRest);
    if (gesture !== undefined) cancelAnimationFrame(gesture.frame);
    gesture = undefined;
    pan.span = undefined;
    pan.y = undefined;
  };
}
