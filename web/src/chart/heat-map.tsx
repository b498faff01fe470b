// A heat map over time: time to the right, values upwards, colour for how many. It is a Chart with a picture of its own, so
// pointer, zoom and panning are those of all charts. The same as a table is below it.
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import type uPlot from 'uplot';
import { timeText, type Span } from '../data/time';
import { valueText, type Unit } from '../data/units';
import { shownTheme, zone } from '../state';
import { Table, type ColumnSpec } from '../ui/table';
import { Chart, hovered, type Painting } from './chart';
import { nearestIndex } from './downsample';
import { cellText, heatLevel, heatScale, meanCells, totalOf, type Cell, type Heat, type HeatScale } from './heat';
import './heat.css';

const LEVELS = 24;

export interface HeatMapProps {
  title: string;
  heat: Heat;
  span: Span;
  unit: Unit; // of the values, not of the counts
  scale: 'log' | 'linear';
  height?: number;
  table?: boolean; // a table below, folded
  onPlot?: (plot: uPlot | undefined) => void;
}

// All cells of one level of colour are one path.
function draw(u: uPlot, heat: Heat, scale: HeatScale): void {
  const { left, top, width, height } = u.bbox;
  const accent = getComputedStyle(u.root).getPropertyValue('--accent').trim();
  const paths = Array.from({ length: LEVELS + 1 }, () => new Path2D());
  const y = (value: number) => Math.round(u.valToPos(scale.place(value), 'y', true));
  const heights = new Map<number, number>();
  const yOf = (value: number) => {
    let found = heights.get(value);
    if (found === undefined) heights.set(value, (found = y(value)));
    return found;
  };
  heat.columns.forEach((cells, i) => {
    if (cells === undefined) return;
    const from = Math.round(u.valToPos((heat.times[i]! - heat.stepMs) / 1000, 'x', true));
    const to = Math.round(u.valToPos(heat.times[i]! / 1000, 'x', true));
    if (to < left || from > left + width) return;
    for (const cell of cells) {
      const level = Math.ceil(heatLevel(cell.count, heat.most) * LEVELS);
      if (level === 0) continue;
      const bottom = yOf(cell.low);
      const above = yOf(cell.high);
      paths[level]!.rect(from, above, Math.max(1, to - from), Math.max(1, bottom - above));
    }
  });
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(left, top, width, height);
  u.ctx.clip();
  u.ctx.fillStyle = accent;
  paths.forEach((path, level) => {
    u.ctx.globalAlpha = level / LEVELS;
    u.ctx.fill(path);
  });
  u.ctx.restore();
}

interface Pointed {
  x: number;
  y: number;
  wide: number;
  place: number; // on the value axis
}

/** The column that holds a moment: it reaches from the time before to its own. */
function columnAt(heat: Heat, at: number): number {
  const i = Math.ceil((at - heat.times[0]!) / heat.stepMs - 1e-6);
  return Math.max(0, Math.min(i, heat.times.length - 1));
}

export function HeatMap({ title, heat, span, unit, scale: kind, height = 220, table = false, onPlot }: HeatMapProps) {
  const plot = useRef<uPlot | undefined>(undefined);
  const [pointed, setPointed] = useState<Pointed | undefined>(undefined);
  const [row, setRow] = useState<number | undefined>(undefined); // chosen by arrow keys, from below
  const scale = useMemo(() => heatScale(heat, kind), [heat, kind]);
  const theme = shownTheme.value;
  const paint = useMemo<Painting>(() => ({ draw: (u) => draw(u, heat, scale), low: scale.low, high: scale.high, ticks: (most) => scale.ticks(most, unit) }), [heat, scale, unit, theme]);
  const data = useMemo(() => ({ times: heat.times, series: [] }), [heat]);
  const say = useCallback(
    (at: number | undefined) => {
      if (at === undefined) return `${title}: a heat map of ${heat.columns.filter((cells) => cells !== undefined).length} times; left and right go through them, up and down through the buckets`;
      const cells = heat.columns[columnAt(heat, at)];
      if (cells === undefined || cells.length === 0) return 'nothing then';
      const cell = row === undefined ? cells.reduce((best, one) => (one.count > best.count ? one : best)) : cells[Math.min(row, cells.length - 1)]!;
      return `${row === undefined ? 'most in ' : ''}${cellText(cell, unit)}: ${valueText(cell.count)} of ${valueText(totalOf(cells))}`;
    },
    [heat, unit, title, row],
  );

  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowUp' ? 1 : event.key === 'ArrowDown' ? -1 : 0;
    if (step === 0 || !(event.target as Element).classList.contains('chart-plot')) return;
    event.preventDefault();
    hovered.value ??= heat.times.at(-1);
    const cells = heat.columns[columnAt(heat, hovered.value ?? 0)] ?? [];
    setRow(Math.max(0, Math.min((row ?? (step > 0 ? -1 : cells.length)) + step, cells.length - 1)));
  };

  return (
    <div
      class="heat tip-box"
      onKeyDown={onKeyDown}
      onPointerMove={(event) => {
        const u = plot.current;
        if (u === undefined || event.buttons !== 0) return setPointed(undefined);
        const over = u.over.getBoundingClientRect();
        const box = event.currentTarget.getBoundingClientRect();
        const inside = event.clientX >= over.left && event.clientX <= over.right && event.clientY >= over.top && event.clientY <= over.bottom;
        setPointed(inside ? { x: event.clientX - box.left, y: event.clientY - box.top, wide: box.width, place: u.posToVal(event.clientY - over.top, 'y') } : undefined);
      }}
      onPointerLeave={() => setPointed(undefined)}
    >
      <Chart
        title={title}
        data={data}
        span={span}
        unit={unit}
        height={height}
        legend="none"
        paint={paint}
        say={say}
        onPlot={(u) => {
          plot.current = u;
          onPlot?.(u);
        }}
      />
      {pointed !== undefined && <HeatTip pointed={pointed} heat={heat} scale={scale} unit={unit} />}
      <div class="heat-key tiny faint" aria-hidden="true">
        <span>0</span>
        <i class="heat-ramp" />
        <span class="num">{valueText(heat.most)}</span>
        {heat.series > 1 && <span class="heat-sum">{heat.series} series added up</span>}
      </div>
      {table && (
        <details class="heat-table">
          <summary class="small dim">As a table</summary>
          <HeatTable title={title} heat={heat} unit={unit} />
        </details>
      )}
    </div>
  );
}

function HeatTip({ pointed, heat, scale, unit }: { pointed: Pointed; heat: Heat; scale: HeatScale; unit: Unit }) {
  const at = hovered.value;
  if (at === undefined || heat.times.length === 0) return null;
  const column = columnAt(heat, at);
  const cells = heat.columns[column];
  const cell = cells?.find((one) => scale.place(one.low) <= pointed.place && pointed.place < scale.place(one.high));
  const total = totalOf(cells);
  const right = pointed.x > pointed.wide / 2;
  return (
    <div class="tip" aria-hidden="true" style={{ top: Math.max(0, pointed.y - 20) + 'px', ...(right ? { right: pointed.wide - pointed.x + 14 + 'px' } : { left: pointed.x + 14 + 'px' }) }}>
      <div class="tip-time num">{timeText(heat.times[column]!, zone.value)}</div>
      {cell === undefined ? (
        <div class="tip-row">{cells === undefined ? 'nothing known' : 'none here'}</div>
      ) : (
        <div class="tip-row near">
          <span class="clip">{cellText(cell, unit)}</span>
          <b class="num">{valueText(cell.count)}</b>
        </div>
      )}
      {cells !== undefined && (
        <div class="tip-row">
          <span class="clip">of all</span>
          <b class="num">{cell === undefined || total === 0 ? valueText(total) : `${valueText(cell.count / total, 'ratio')} of ${valueText(total)}`}</b>
        </div>
      )}
    </div>
  );
}

interface TableRow extends Cell {
  then: number | undefined;
  share: number;
  upTo: number;
}

/** Every bucket with its count under the pointer (or the last one), its mean over the range and its share. */
export function HeatTable({ title, heat, unit }: { title: string; heat: Heat; unit: Unit }) {
  const mean = useMemo(() => meanCells(heat), [heat]);
  const last = heat.columns.findLastIndex((cells) => cells !== undefined);
  const at = hovered.value === undefined ? last : nearestIndex(heat.times, hovered.value);
  const then = heat.columns[at] ?? [];
  const total = totalOf(mean);
  let sum = 0;
  const rows: TableRow[] = mean.map((cell) => {
    sum += cell.count;
    return { ...cell, then: then.find((one) => one.low === cell.low && one.high === cell.high)?.count, share: total === 0 ? 0 : cell.count / total, upTo: total === 0 ? 0 : sum / total };
  });
  const columns: ColumnSpec<TableRow>[] = [
    { key: 'bucket', title: 'Bucket', show: (one) => cellText(one, unit) },
    { key: 'then', title: hovered.value === undefined ? 'Last' : 'There', number: true, show: (one) => valueText(one.then) },
    { key: 'mean', title: 'Mean', number: true, show: (one) => valueText(one.count) },
    {
      key: 'share',
      title: 'Share',
      number: true,
      show: (one) => (
        <span class="heat-share">
          <span class="meter" aria-hidden="true">
            <i style={{ width: (one.share * 100).toFixed(1) + '%' }} />
          </span>
          {valueText(one.share, 'ratio')}
        </span>
      ),
    },
    { key: 'upTo', title: 'Up to here', number: true, show: (one) => valueText(one.upTo, 'ratio') },
  ];
  return <Table label={'Buckets of ' + title} columns={columns} rows={rows} keyOf={(one) => one.low + ' ' + one.high} />;
}
