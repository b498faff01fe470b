// What is under the pointer: the time, and the series next to it with their values.
import { useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type uPlot from 'uplot';
import { hovered } from '../../chart/chart';
import { nearestIndex } from '../../chart/downsample';
import type { Column } from '../../data/columns';
import { timeText } from '../../data/time';
import { valueText, type Unit } from '../../data/units';
import { zone } from '../../state';

const SHOWN = 8;
const WIDTH = 340;

interface Near {
  name: string;
  color: string;
  value: number;
  distance: number;
}

/** The `most` series nearest to `value`, the largest first. Without a value: the largest ones. */
export function nearSeries(series: readonly (Column & { color: string })[], index: number, value: number | undefined, most = SHOWN): Near[] {
  const there = series.flatMap((one) => {
    const own = one.values[index];
    return own === null || own === undefined ? [] : [{ name: one.name, color: one.color, value: own, distance: value === undefined ? 0 : Math.abs(own - value) }];
  });
  if (value !== undefined) there.sort((a, b) => a.distance - b.distance);
  else there.sort((a, b) => b.value - a.value);
  return there.slice(0, most).sort((a, b) => b.value - a.value);
}

export interface TipProps {
  plot: { current: uPlot | undefined };
  series: readonly (Column & { color: string })[]; // those that are shown
  times: readonly number[];
  unit: Unit;
  stacked: boolean;
  still?: boolean; // something else is shown there
  children: ComponentChildren;
}

export function Tip({ plot, series, times, unit, stacked, still = false, children }: TipProps) {
  const [at, setAt] = useState<{ x: number; y: number; wide: number; value: number | undefined } | undefined>(undefined);
  return (
    <div
      class="tip-box"
      onPointerMove={(event) => {
        const u = plot.current;
        if (u === undefined || event.pointerType === 'touch' || event.buttons !== 0) return setAt(undefined);
        const over = u.over.getBoundingClientRect();
        const box = event.currentTarget.getBoundingClientRect();
        const inside = event.clientX >= over.left && event.clientX <= over.right && event.clientY >= over.top && event.clientY <= over.bottom;
        setAt(inside ? { x: event.clientX - box.left, y: event.clientY - box.top, wide: box.width, value: stacked ? undefined : u.posToVal(event.clientY - over.top, 'y') } : undefined);
      }}
      onPointerLeave={() => setAt(undefined)}
    >
      {children}
      {at !== undefined && !still && <TipText at={at} series={series} times={times} unit={unit} />}
    </div>
  );
}

function TipText({ at, series, times, unit }: { at: { x: number; y: number; wide: number; value: number | undefined }; series: TipProps['series']; times: readonly number[]; unit: Unit }) {
  const time = hovered.value;
  if (time === undefined || times.length === 0) return null;
  const index = nearestIndex(times, time);
  const near = nearSeries(series, index, at.value);
  if (near.length === 0) return null;
  const nearest = at.value === undefined ? undefined : near.reduce((best, one) => (one.distance < best.distance ? one : best));
  const right = at.x > at.wide / 2;
  return (
    <div class="tip" aria-hidden="true" style={{ left: (right ? Math.max(0, at.x - WIDTH - 14) : at.x + 14) + 'px', top: Math.max(0, at.y - 20) + 'px', maxWidth: WIDTH + 'px', ...(right ? { left: 'auto', right: at.wide - at.x + 14 + 'px' } : {}) }}>
      <div class="tip-time num">{timeText(times[index]!, zone.value)}</div>
      {near.map((one) => (
        <div key={one.name} class={'tip-row' + (one === nearest && series.length > 1 ? ' near' : '')}>
          <i class="swatch" style={{ background: one.color }} />
          <span class="clip">{one.name}</span>
          <b class="num">{valueText(one.value, unit)}</b>
        </div>
      ))}
      {series.length > near.length && <div class="faint">of {series.length} series</div>}
    </div>
  );
}
