// A chart over time: lines or stacked areas on a canvas (uPlot), with a legend that shows min, max and last, and the
// value under the pointer. All charts of a page share the pointer's place in time. Dragging zooms the page's range; the
// browser's Back takes that back.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { signal } from '@preact/signals';
import uPlot from 'uplot';
import { summaryOf, type Columns } from '../data/columns';
import { clockText, tickText, timeText, zoneOffsetMs, type Span } from '../data/time';
import { axisTexts, valueText, type Unit } from '../data/units';
import { moveRange, setSpan, shownTheme, zone } from '../state';
import { colorKeeper, seriesColor, withAlpha } from './colors';
import { denseView, drawRanges, pixelOf, type DenseView } from './dense';
import { downsample, lowerBound, nearestIndex } from './downsample';
import { Legend, type LegendRow } from './legend';
import { bindPan, type Pan } from './pan';
import { stack } from './stack';
import './chart.css';

export interface ChartProps {
  title: string; // said to screen readers, too
  data: Columns | undefined;
  span: Span; // ends of the time axis
  unit?: Unit;
  stacked?: boolean;
  height?: number;
  legend?: 'none' | 'line' | 'table';
  min?: number; // of the y axis; 0 unless the data goes below. NaN: as the data has it
  max?: number;
  onZoom?: (span: Span) => void; // without it the page's range is set
  busy?: boolean; // a newer answer is on its way
  hidden?: ReadonlySet<string>; // names of series switched off; with onHide the caller keeps the state
  onHide?: (hidden: Set<string>) => void;
  log?: boolean; // a logarithmic axis of values; what is not above zero is not drawn
  focused?: string; // the name of the series in the foreground, where the legend is the caller's
  onPlot?: (plot: uPlot | undefined) => void; // for who must know where a value is on the screen
  paint?: Painting; // drawn in place of lines (heat-map.tsx)
  over?: (plot: uPlot) => void; // drawn above the lines; another function is drawn anew
  say?: (at: number | undefined) => string; // what screen readers hear instead of the lines' values
  within?: readonly [number, number]; // values that the axis shows, too
}

/** A picture of the caller's own, between `low` and `high` of a value axis of its own. */
export interface Painting {
  draw: (plot: uPlot) => void;
  low: number;
  high: number;
  ticks: (most: number) => readonly { at: number; text: string }[];
}

/** The moment under the pointer or the arrow keys, for all charts of the page; undefined when nowhere. */
export const hovered = signal<number | undefined>(undefined);

interface View {
  times: number[]; // seconds, as uPlot wants them
  shown: (number | null)[][]; // stacked or not
  dense?: DenseView; // then `shown` is one series with the extremes, not drawn, for the scale
}

// More points than this in sight are drawn pixel by pixel (dense.ts).
const DENSE_POINTS = 60000;

export const SIDE = 58; // px for the y axis: the same everywhere, so that charts line up
export const PAD = 8; // px on the right

function css(element: Element, name: string): string {
  return getComputedStyle(element).getPropertyValue(name).trim();
}

// Ticks at whole seconds, minutes, hours and days of the zone.
const TICKS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000];

export function timeTicks(fromMs: number, toMs: number, most: number, zoneName: string): { ticks: number[]; stepMs: number } {
  const wanted = (toMs - fromMs) / 1000 / Math.max(most, 1);
  const stepMs = (TICKS_S.find((step) => step >= wanted) ?? 7776000) * 1000;
  const offset = zoneOffsetMs(fromMs, zoneName);
  const ticks: number[] = [];
  for (let at = Math.ceil((fromMs + offset) / stepMs) * stepMs - offset; at <= toMs; at += stepMs) ticks.push(at);
  return { ticks, stepMs };
}

export function Chart(props: ChartProps) {
  const { title, data, span, unit = 'none', stacked = false, height = 160, legend = 'line' } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const colorOf = useMemo(colorKeeper, []);
  const [width, setWidth] = useState(0);
  const [ownHidden, setOwnHidden] = useState<ReadonlySet<string>>(new Set());
  const [ownFocus, setFocus] = useState<string | undefined>(undefined);
  const focus = props.focused ?? ownFocus;
  const pan = useRef<Pan>({ span: undefined, y: undefined });
  const hidden = props.hidden ?? ownHidden;
  const theme = shownTheme.value;
  const zoneName = zone.value;

  const all = data?.series ?? [];
  const colors = all.map((one) => one.color ?? seriesColor(colorOf(one.name), theme));
  const visible = all.map((one, i) => ({ ...one, color: colors[i]! })).filter((one) => !hidden.has(one.name));
  const inSight = data === undefined ? 0 : lowerBound(data.times, span.toMs) - lowerBound(data.times, span.fromMs);
  const isDense = !stacked && !props.log && inSight * visible.length > DENSE_POINTS;
  const shape = JSON.stringify([isDense, visible.map((one) => [one.name, one.color]), stacked, theme, zoneName, unit, props.min, props.max, props.log, props.paint !== undefined]);
  const ratio = globalThis.devicePixelRatio || 1;

  const denseOld = useRef<DenseView | undefined>(undefined);
  const view = useMemo<View>(() => {
    const times = data?.times ?? [];
    if (props.paint !== undefined) return { times: [span.fromMs / 1000, span.toMs / 1000], shown: [[props.paint.low, props.paint.high]] };
    if (isDense) {
      const columns = Math.max(50, Math.round((width - SIDE - PAD) * ratio));
      const dense = denseView(times, visible.map((one) => one.values), span.fromMs, span.toMs, columns, denseOld.current);
      denseOld.current = dense;
      const some = Number.isFinite(dense.low);
      return { times: [span.fromMs / 1000, span.toMs / 1000], shown: [some ? [dense.low, dense.high] : [null, null]], dense };
    }
    const from = Math.max(0, lowerBound(times, span.fromMs) - 1);
    const to = Math.min(times.length, lowerBound(times, span.toMs) + 2);
    // Two hundred lines on one pixel cannot be told apart: with many series a column is wider. Its extremes stay.
    const columns = Math.max((width - SIDE) / (visible.length > 60 ? 2 : 1), 50);
    const picked = downsample(times, visible.map((one) => one.values), from, to, columns);
    if (props.log) for (const values of picked.values) values.forEach((value, i) => value !== null && value <= 0 && (values[i] = null));
    return { times: picked.times.map((time) => time / 1000), shown: stacked ? stack(picked.values) : picked.values };
  }, [data, span.fromMs, span.toMs, width, shape, props.paint]);

  // What the drawing hook looks at; it is called from within uPlot.
  const viewNow = useRef(view);
  viewNow.current = view;
  const visibleNow = useRef(visible);
  visibleNow.current = visible;
  const focusNow = useRef(focus);
  focusNow.current = focus;

  // The width follows the layout.
  useLayoutEffect(() => {
    const element = box.current!;
    const observer = new ResizeObserver(() => setWidth(Math.floor(element.clientWidth)));
    observer.observe(element);
    setWidth(Math.floor(element.clientWidth));
    return () => observer.disconnect();
  }, []);

  // A plot per shape; new data and new ranges only move it.
  useLayoutEffect(() => {
    if (width === 0) return;
    const element = box.current!;
    const grid = css(element, '--chart-grid');
    const ink = css(element, '--ink-3');
    const font = '11px ' + css(element, '--font');
    const bare = isDense || props.paint !== undefined; // no lines of uPlot's
    const order = bare ? [] : visible.map((_, i) => i);
    const series: uPlot.Series[] = order.map((i) => ({
      label: visible[i]!.name,
      stroke: visible[i]!.color,
      width: 1.25,
      fill: stacked ? withAlpha(visible[i]!.color, theme === 'dark' ? 0.5 : 0.55) : visible.length === 1 ? withAlpha(visible[i]!.color, 0.12) : undefined,
      points: { show: false },
      spanGaps: false,
    }));
    const bands: uPlot.Band[] = stacked ? order.slice(1).map((i) => ({ series: [i + 1, i] as [number, number] })) : [];
    const options: uPlot.Options = {
      width,
      height,
      padding: [8, PAD, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: false, range: () => {
            const shown = pan.current.span ?? latest.current.span;
            return [shown.fromMs / 1000, shown.toMs / 1000];
          } },
        y: { distr: props.log ? 3 : 1, log: 10, range: (_, low, high) => pan.current.y ?? valueRange(low, high, latest.current) },
      },
      axes: [
        {
          stroke: ink,
          font,
          size: 22,
          gap: 4,
          grid: { stroke: grid, width: 1 },
          ticks: { show: false },
          splits: (_, __, from, to) => timeTicks(from * 1000, to * 1000, Math.floor((width - SIDE) / 76), zoneName).ticks.map((at) => at / 1000),
          values: (u, splits) => {
            const step = splits.length > 1 ? (splits[1]! - splits[0]!) * 1000 : 60e3;
            // One at the very edge would be cut.
            const room = ((u.scales['x']!.max! - u.scales['x']!.min!) / Math.max(width - SIDE, 1)) * 22;
            return splits.map((at) => (at > u.scales['x']!.max! - room || at < u.scales['x']!.min! + room / 4 ? '' : tickText(at * 1000, step, zoneName)));
          },
        },
        {
          stroke: ink,
          font,
          size: SIDE,
          gap: 6,
          grid: { stroke: grid, width: 1 },
          ticks: { show: false },
          space: 30,
          incrs: unit === 'bytes' || unit === 'bytes/s' ? BINARY_STEPS : DECIMAL_STEPS,
          ...(props.paint === undefined ? {} : { splits: (u: uPlot) => ticksNow(latest.current, u).map((tick) => tick.at), filter: (_: uPlot, splits: number[]) => splits }),
          values: (u, splits) => (props.paint !== undefined ? ticksNow(latest.current, u).map((tick) => tick.text) : props.log ? splits.map((split) => (split === null ? '' : valueText(split, unit))) : axisTexts(splits, unit)),
        },
      ],
      series: [{}, ...(bare ? [{ paths: () => null, points: { show: false } }] : series)],
      bands,
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false, dist: 5 },
        // With Shift the hand moves the chart (pan.ts); without it selects a part to zoom into.
        bind: {
          mousedown: (_, __, handler) => (event) => {
            if (!event.shiftKey) handler(event);
            return null;
          },
        },
        points: { size: 5, width: 0, fill: (_, i) => visible[i - 1]?.color ?? ink, show: !bare && visible.length <= 30 },
      },
      hooks: {
        // While the hand moves the chart its picture is moved instead (pan.ts).
        drawAxes: [
          (u) => {
            if (pan.current.span !== undefined) return;
            if (latest.current.paint !== undefined) latest.current.paint.draw(u);
            else drawDense(u, viewNow.current.dense, visibleNow.current, focusNow.current, ratio);
          },
        ],
        draw: [(u) => pan.current.span === undefined && latest.current.over?.(u)],
        setCursor: [
          (u) => {
            if (!element.matches(':hover')) return; // moved by a neighbour
            hovered.value = u.cursor.left === undefined || u.cursor.left < 0 ? undefined : u.posToVal(u.cursor.left, 'x') * 1000;
          },
        ],
        setSelect: [
          (u) => {
            const { left, width: wide } = u.select;
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            if (wide < 6) return;
            const next = { fromMs: u.posToVal(left, 'x') * 1000, toMs: u.posToVal(left + wide, 'x') * 1000 };
            hovered.value = undefined;
            (latest.current.onZoom ?? setSpan)(next);
          },
        ],
      },
    };
    // uPlot draws later series over earlier ones; bands fill down to the one before.
    plot.current = new uPlot(options, [view.times, ...view.shown] as uPlot.AlignedData, element);
    const panEnd = bindPan(plot.current, pan.current, () => latest.current.span, (next) => (latest.current.onZoom ?? setSpan)(next));
    latest.current.onPlot?.(plot.current);
    return () => {
      panEnd();
      latest.current.onPlot?.(undefined);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [shape, width > 0]);

  useLayoutEffect(() => {
    const u = plot.current;
    if (u === undefined || width === 0) return;
    if (u.width !== width || u.height !== height) u.setSize({ width, height });
  }, [width, height]);

  useLayoutEffect(() => {
    plot.current?.setData([view.times, ...view.shown] as uPlot.AlignedData);
  }, [view]);

  useEffect(() => {
    plot.current?.redraw(false, false);
  }, [props.over]);
  useEffect(() => {
    plot.current?.setData(plot.current.data); // the axis is chosen anew
  }, [props.within?.[0], props.within?.[1]]);

  // The pointer of a neighbour.
  useEffect(
    () =>
      hovered.subscribe((at) => {
        const u = plot.current;
        const element = box.current;
        if (u === undefined || element === null || element.matches(':hover')) return;
        if (at === undefined) u.setCursor({ left: -10, top: -10 }, false);
        else u.setCursor({ left: u.valToPos(at / 1000, 'x'), top: 0 }, false);
      }),
    [],
  );

  // One series in the foreground while its legend is pointed at.
  useEffect(() => {
    const u = plot.current;
    if (u === undefined) return;
    visible.forEach((one, i) => {
      const alpha = focus === undefined || focus === one.name ? 1 : 0.15;
      if (u.series[i + 1] !== undefined) u.series[i + 1]!.alpha = alpha;
    });
    u.redraw(false);
  }, [focus, shape]);

  const description = useMemo(() => (props.say === undefined ? describe(title, data?.series ?? [], unit) : props.say(undefined)), [data, unit, title, props.say]);
  const rows: LegendRow[] = legend === 'none' ? [] : all.map((one, i) => ({ name: one.name, color: colors[i]!, hidden: hidden.has(one.name), values: one.values }));
  const hide = (next: Set<string>) => (props.onHide ?? setOwnHidden)(next);

  const at = hovered.value;
  const told = at === undefined ? description : clockText(at, zoneName) + ': ' + (props.say?.(at) ?? nearest(data, at, unit));

  return (
    <figure class="chart">
      <div
        ref={box}
        class="chart-plot"
        style={{ height: height + 'px' }}
        role="slider"
        tabIndex={0}
        aria-label={title}
        aria-orientation="horizontal"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={at === undefined ? 100 : Math.max(0, Math.min(100, Math.round(((at - span.fromMs) / (span.toMs - span.fromMs)) * 100)))}
        aria-valuetext={told}
        title=""
        onMouseLeave={() => (hovered.value = undefined)}
        onBlur={() => (hovered.value = undefined)}
        onKeyDown={(event) => keyDown(event, data, span)}
        onDblClick={() => history.back()}
      />
      {data !== undefined && all.length === 0 && props.paint === undefined && <div class="chart-empty">No data in this range</div>}
      {props.busy && <div class="chart-busy" aria-hidden="true" />}
      {legend !== 'none' && rows.length > 0 && (
        <Legend rows={rows} times={data?.times ?? []} unit={unit} table={legend === 'table'} onFocus={setFocus} onHide={hide} hovered={at} />
      )}
      <span class="chart-time" aria-hidden="true">
        {at !== undefined && timeText(at, zoneName)}
      </span>
    </figure>
  );
}

// One picture of its own, made anew for each drawing and laid over the grid.
let canvas: HTMLCanvasElement | undefined;
let image: ImageData | undefined;

function drawDense(u: uPlot, dense: DenseView | undefined, visible: readonly { name: string; color: string }[], focus: string | undefined, ratio: number): void {
  const { min, max } = u.scales['y']!;
  if (dense === undefined || min == null || max == null || max <= min) return;
  const { left, top, width, height } = u.bbox;
  const rows = Math.max(1, Math.round(height));
  canvas ??= document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  if (image === undefined || image.width !== dense.columns || image.height !== rows) {
    canvas.width = dense.columns;
    canvas.height = rows;
    image = context.createImageData(dense.columns, rows);
  }
  const pixels = new Uint32Array(image.data.buffer);
  pixels.fill(0);
  const thick = Math.max(1, Math.round(ratio));
  const draw = (i: number, alpha: number) => drawRanges(pixels, dense.columns, rows, dense.ranges[i]!, min, max, pixelOf(visible[i]!.color, alpha), thick);
  visible.forEach((one, i) => {
    if (one.name !== focus) draw(i, focus === undefined ? 255 : 50);
  });
  visible.forEach((one, i) => {
    if (one.name === focus) draw(i, 255);
  });
  context.putImageData(image, 0, 0);
  u.ctx.drawImage(canvas, left, top, width, height);
}

function ticksNow(props: ChartProps, u: uPlot): readonly { at: number; text: string }[] {
  return props.paint?.ticks(Math.max(2, Math.floor(u.height / 30))) ?? [];
}

function valueRange(low: number | null, high: number | null, props: ChartProps): [number, number] {
  if (props.paint !== undefined) return [props.paint.low, props.paint.high];
  const within = props.within;
  if (within !== undefined && low !== null && high !== null) [low, high] = [Math.min(low, within[0]), Math.max(high, within[1])];
  return props.log ? logRange(low, high) : yRange(low, high, props);
}

function yRange(low: number | null, high: number | null, props: ChartProps): [number, number] {
  let from = low ?? 0;
  let to = high ?? 1;
  if (!Number.isFinite(from) || !Number.isFinite(to)) return [0, 1];
  if (props.min === undefined) from = Math.min(0, from);
  else if (!Number.isNaN(props.min)) from = Math.min(props.min, from);
  if (props.max !== undefined) to = Math.max(props.max, to);
  else to += (to - from) * 0.06;
  if (to <= from) to = from + (Math.abs(from) * 0.1 || 1);
  if (props.min !== undefined && Number.isNaN(props.min)) from -= (to - from) * 0.04;
  return [from, to];
}

// Whole powers of ten around the data.
function logRange(low: number | null, high: number | null): [number, number] {
  const least = low !== null && low > 0 ? low : 1e-3;
  const most = high !== null && high > least ? high : least * 10;
  return [10 ** Math.floor(Math.log10(least) + 1e-9), 10 ** Math.ceil(Math.log10(most) - 1e-9)];
}

function steps(base: number, factors: readonly number[], least: number, most: number): number[] {
  const out: number[] = [];
  for (let power = least; power <= most; power++) for (const factor of factors) out.push(factor * base ** power);
  return out;
}
const DECIMAL_STEPS = steps(10, [1, 2, 2.5, 5], -12, 18);
// 1, 2, 4, …, 512 of each binary prefix, and fractions of a byte for rates.
const BINARY_STEPS = [...steps(10, [1, 2, 5], -3, -1), ...steps(2, [1], 0, 62)];

function describe(title: string, all: Columns['series'], unit: Unit): string {
  if (all.length === 0) return title + ': no data';
  const shown = all.slice(0, 4).map((one) => {
    const { min, max, last } = summaryOf(one.values);
    return `${one.name}: last ${valueText(last, unit)}, from ${valueText(min, unit)} to ${valueText(max, unit)}`;
  });
  return shown.join('; ') + (all.length > 4 ? `; and ${all.length - 4} more` : '');
}

function nearest(data: Columns | undefined, at: number, unit: Unit): string {
  if (data === undefined) return '';
  const i = nearestIndex(data.times, at);
  return data.series
    .slice(0, 6)
    .map((one) => `${one.name} ${valueText(one.values[i], unit)}`)
    .join(', ');
}

// Arrows walk along the points, Shift with arrows moves the range, Escape leaves.
function keyDown(event: KeyboardEvent, data: Columns | undefined, span: Span): void {
  const step = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0;
  if (step !== 0 && event.shiftKey) moveRange(step * 0.25);
  else if (step !== 0 && data !== undefined && data.times.length > 0) {
    const i = hovered.value === undefined ? data.times.length - 1 : nearestIndex(data.times, hovered.value) + step;
    hovered.value = data.times[Math.max(0, Math.min(i, data.times.length - 1))];
  } else if (event.key === 'Home') hovered.value = span.fromMs;
  else if (event.key === 'End') hovered.value = span.toMs;
  else if (event.key === 'Escape') hovered.value = undefined;
  else return;
  event.preventDefault();
}
