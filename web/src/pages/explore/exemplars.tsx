// Exemplars on a chart: dots that say which request a value was taken from. Pointing at one shows its labels, clicking keeps
// them there, so that the trace can be copied. In Explore the newest are a table below the chart; dashboards have only dots.
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type uPlot from 'uplot';
import { dotsOf, dotsWithin, exemplarLabels, nearestDot, thinDots, type Dot } from '../../chart/exemplars';
import { queryExemplars, type CallOptions } from '../../data/api';
import { seriesName } from '../../data/columns';
import { useResource, type Resource } from '../../data/resource';
import { tenantShown } from '../../data/session';
import { timeText, type Span } from '../../data/time';
import { valueText, type Unit } from '../../data/units';
import { now, span, zone } from '../../state';
import { copyText } from '../../ui/copy';
import { Icon } from '../../ui/icon';
import { ErrorNotice } from '../../ui/notice';
import { Table, type ColumnSpec } from '../../ui/table';
import { toast } from '../../ui/toast';
import { plainText } from './plain';
import './exemplars.css';

const DRAWN = 1000;
const LISTED = 100;

export const EXEMPLARS_EVERY_MS = 10e3; // they are asked anew no more often

/** The exemplars of the series that the expressions name, oldest first. */
export async function askExemplars(exprs: readonly string[], asked: Span, options: CallOptions): Promise<Dot[]> {
  const answers = await Promise.all(exprs.map((expr) => queryExemplars(expr, asked.fromMs, asked.toMs, options)));
  return dotsOf(answers.flatMap((one) => one.data));
}

/** Those of Explore; nothing is asked while they are off. */
export function useExemplars(exprs: readonly string[], on: boolean): Resource<Dot[]> {
  const asked = span.value;
  const still = Math.abs(asked.toMs - now.value) > 1000;
  return useResource<Dot[]>(
    async (signal) => (on ? askExemplars(exprs, asked, { signal }) : []),
    [on, exprs, tenantShown.value, ...(still ? [asked.fromMs, asked.toMs] : [asked.toMs - asked.fromMs])],
    on ? Math.floor(now.value / EXEMPLARS_EVERY_MS) : 0,
  );
}

export interface Dotted {
  over: ((u: uPlot) => void) | undefined; // for the chart
  within: readonly [number, number] | undefined;
  drawn: readonly Dot[];
}

// On the chart's scale, at its edge where the value is beyond.
function placeOf(u: uPlot, dot: Dot): { x: number; y: number } {
  const y = u.valToPos(dot.value, 'y');
  return { x: u.valToPos(dot.at / 1000, 'x'), y: Math.max(4, Math.min(u.over.clientHeight - 4, Number.isFinite(y) ? y : u.over.clientHeight)) };
}

export function useDots(dots: readonly Dot[] | undefined, most: number, chosen: Dot | undefined): Dotted {
  return useMemo(() => {
    if (dots === undefined || dots.length === 0) return { over: undefined, within: undefined, drawn: [] };
    const drawn = thinDots(dots, DRAWN);
    const over = (u: uPlot) => {
      const look = getComputedStyle(u.root);
      const ratio = u.bbox.width / Math.max(u.over.clientWidth, 1);
      const { left, top, width, height } = u.bbox;
      u.ctx.save();
      u.ctx.beginPath();
      u.ctx.rect(left, top, width, height);
      u.ctx.clip();
      u.ctx.lineWidth = 1.25 * ratio;
      for (const dot of drawn) {
        const { x, y } = placeOf(u, dot);
        const size = (dot === chosen ? 5.5 : 3.5) * ratio;
        u.ctx.beginPath();
        u.ctx.moveTo(left + x * ratio, top + y * ratio - size);
        u.ctx.lineTo(left + x * ratio + size, top + y * ratio);
        u.ctx.lineTo(left + x * ratio, top + y * ratio + size);
        u.ctx.lineTo(left + x * ratio - size, top + y * ratio);
        u.ctx.closePath();
        u.ctx.fillStyle = look.getPropertyValue(dot === chosen ? '--ink' : '--surface');
        u.ctx.strokeStyle = look.getPropertyValue(dot === chosen ? '--ink' : '--ink-2');
        u.ctx.fill();
        u.ctx.stroke();
      }
      u.ctx.restore();
    };
    return { over, within: dotsWithin(drawn, most), drawn };
  }, [dots, most, chosen]);
}

export interface DotFieldProps {
  plot: { current: uPlot | undefined };
  drawn: readonly Dot[];
  unit: Unit;
  chosen: Dot | undefined; // pointed at or kept
  onChosen: (dot: Dot | undefined) => void;
  children: ComponentChildren;
}

/** Around the chart: which dot is pointed at, and its card. */
export function DotField({ plot, drawn, unit, chosen, onChosen, children }: DotFieldProps) {
  const [kept, setKept] = useState(false);
  useEffect(() => {
    // Asked again, the same one is another object.
    if (chosen !== undefined && !drawn.includes(chosen)) onChosen(drawn.find((one) => one.at === chosen.at && JSON.stringify(one) === JSON.stringify(chosen)));
  }, [drawn]);
  const find = (event: MouseEvent): Dot | undefined => {
    const u = plot.current;
    if (u === undefined) return undefined;
    const over = u.over.getBoundingClientRect();
    return nearestDot(drawn, event.clientX - over.left, event.clientY - over.top, (dot) => placeOf(u, dot));
  };
  const u = plot.current;
  const at = chosen === undefined || u === undefined ? undefined : placeOf(u, chosen);
  const left = u === undefined ? 0 : u.over.offsetLeft;
  return (
    <div
      class="dot-field"
      onPointerMove={(event) => {
        if (kept || drawn.length === 0 || event.buttons !== 0) return;
        const dot = find(event);
        if (dot !== chosen) onChosen(dot);
      }}
      onPointerLeave={() => !kept && onChosen(undefined)}
      onClick={(event) => {
        if ((event.target as Element).closest('.dot-card') !== null || drawn.length === 0) return;
        const dot = find(event);
        setKept(dot !== undefined);
        onChosen(dot);
      }}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || chosen === undefined) return;
        setKept(false);
        onChosen(undefined);
      }}
    >
      {children}
      {chosen !== undefined && at !== undefined && u !== undefined && (
        <div class={'dot-card' + (kept ? ' kept' : '')} role={kept ? 'dialog' : undefined} aria-label="Exemplar" style={{ top: at.y + 18 + 'px', ...(at.x > u.over.clientWidth / 2 ? { right: u.over.clientWidth - at.x + 8 + 'px' } : { left: left + at.x - 8 + 'px' }) }}>
          <div class="row between">
            <b class="num">{valueText(chosen.value, unit)}</b>
            <span class="faint num">{timeText(chosen.at, zone.value)}</span>
          </div>
          {exemplarLabels(chosen.labels).map((one) => (
            <LabelLine key={one.name} name={one.name} value={one.value} copy={kept} />
          ))}
          <div class="faint wrap mono">{plainText(seriesName(chosen.series))}</div>
          {!kept && <div class="faint">Click keeps this</div>}
        </div>
      )}
    </div>
  );
}

function LabelLine({ name, value, copy }: { name: string; value: string; copy: boolean }) {
  return (
    <div class="dot-label">
      <span class="faint">{name}</span>
      <span class="mono wrap grow">{plainText(value)}</span>
      {copy && <CopyButton text={value} label={'Copy ' + name} />}
    </div>
  );
}

function CopyButton({ text, label }: { text: string; label: string }) {
  return (
    <button type="button" class="button quiet icon dot-copy" aria-label={label} title={label} onClick={async () => ((await copyText(text)) ? toast('Copied.') : toast('The browser does not allow copying; select the text instead.', 'bad'))}>
      <Icon name="copy" />
    </button>
  );
}

export function ExemplarTable({ state, unit }: { state: Resource<Dot[]>; unit: Unit }) {
  const dots = state.value ?? [];
  const newest = dots.slice(-LISTED).reverse();
  const columns: ColumnSpec<Dot>[] = [
    { key: 'at', title: 'Time', show: (dot) => <span class="num">{timeText(dot.at, zone.value)}</span> },
    { key: 'value', title: 'Value', number: true, show: (dot) => valueText(dot.value, unit) },
    {
      key: 'labels',
      title: 'Labels',
      show: (dot) => (
        <span class="dot-labels">
          {exemplarLabels(dot.labels).map((one) => (
            <span class="chip" key={one.name}>
              <span class="faint">{one.name}</span>
              <span>{plainText(one.value)}</span>
              {one.trace && <CopyButton text={one.value} label={`Copy ${one.name} ${plainText(one.value)}`} />}
            </span>
          ))}
        </span>
      ),
    },
    { key: 'series', title: 'Series', clip: true, class: 'mono', show: (dot) => <span title={plainText(seriesName(dot.series))}>{plainText(seriesName(dot.series))}</span> },
  ];
  return (
    <>
      <ErrorNotice error={state.error} again={false} />
      {state.value !== undefined && dots.length === 0 && <p class="result-note small dim">No series of this expression has exemplars in this range.</p>}
      {dots.length > 0 && (
        <details class="exemplar-table">
          <summary class="small dim">
            {dots.length === 1 ? '1 exemplar' : `${dots.length.toLocaleString('en')} exemplars`}
            {dots.length > LISTED && <span class="faint">, the newest {LISTED}</span>}
          </summary>
          <Table label="Exemplars" columns={columns} rows={newest} keyOf={(dot) => `${dot.at} ${dot.value} ${JSON.stringify(dot.labels)} ${JSON.stringify(dot.series)}`} />
        </details>
      )}
    </>
  );
}
