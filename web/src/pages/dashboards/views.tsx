// The five kinds of panels: what each draws of its answer.
import { useMemo, useRef, useState } from 'preact/hooks';
import type uPlot from 'uplot';
import { Chart, type ChartProps } from '../../chart/chart';
import type { Dot } from '../../chart/exemplars';
import { heatOf } from '../../chart/heat';
import { HeatMap } from '../../chart/heat-map';
import { Spark } from '../../chart/spark';
import type { Column } from '../../data/columns';
import { quantity, valueText } from '../../data/units';
import { params, setParams } from '../../router';
import { span } from '../../state';
import { ErrorNotice } from '../../ui/notice';
import { sortRows, Table, type ColumnSpec } from '../../ui/table';
import { TakeTable } from '../../ui/take';
import { DotField, useDots } from '../explore/exemplars';
import { rowsOf, uniqueNames } from '../explore/stats';
import { plainText } from '../explore/plain';
import { hiddenOf, newQuery, withHidden } from '../explore/url';
import { usePanelExemplars, usePanelLines, usePanelMatrix, usePanelValues } from './ask';
import type { Panel, Threshold } from './document';
import { Answered } from './answered';
import { headingOf, joinAnswers, levelOf, reduce, type TableLine } from './values';

export interface ViewProps {
  id: string; // of the panel in its dashboard: what is chosen in it has this in its parameter
  panel: Panel;
  pixels: number; // width of the panel
  inSight: boolean;
}

const named = (series: readonly Column[]) => uniqueNames(series.map((one) => ({ ...one, name: plainText(one.name) })));

// ---- Time series ----

function limitLines(thresholds: readonly Threshold[]): ChartProps['over'] {
  if (thresholds.length === 0) return undefined;
  return (u: uPlot) => {
    const { left, top, width, height } = u.bbox;
    const look = getComputedStyle(u.root);
    for (const one of thresholds) {
      const y = u.valToPos(one.from ?? one.below ?? 0, 'y', true);
      if (y < top || y > top + height) continue;
      u.ctx.save();
      u.ctx.strokeStyle = look.getPropertyValue('--' + one.level);
      u.ctx.setLineDash([4, 4]);
      u.ctx.globalAlpha = 0.7;
      u.ctx.beginPath();
      u.ctx.moveTo(left, Math.round(y) + 0.5);
      u.ctx.lineTo(left + width, Math.round(y) + 0.5);
      u.ctx.stroke();
      u.ctx.restore();
    }
  };
}

export function SeriesView({ id, panel, pixels, inSight }: ViewProps) {
  const state = usePanelLines(panel, pixels, inSight);
  const data = useMemo(() => state.value && { times: state.value.times, series: named(state.value.series) as Column[] }, [state.value]);
  const exemplars = usePanelExemplars(panel, pixels, inSight);
  const plot = useRef<uPlot | undefined>(undefined);
  const [dot, setDot] = useState<Dot | undefined>(undefined);
  const most = useMemo(() => rowsOf(data?.series ?? []).reduce((high, row) => Math.max(high, row.max ?? 0), 0), [data]);
  const dots = useDots(exemplars.value, most, dot);
  const over = useMemo<ChartProps['over']>(() => {
    const limits = limitLines(panel.thresholds);
    if (limits === undefined || dots.over === undefined) return limits ?? dots.over;
    return (u) => {
      limits(u);
      dots.over?.(u);
    };
  }, [panel.thresholds, dots.over]);
  const names = (data?.series ?? []).map((one) => one.name);
  const marks = { ...newQuery(), hidden: params('hide-' + id), only: params('only-' + id) };
  const hide = (next: Set<string>) => {
    const { hidden, only } = withHidden(marks, names, next);
    setParams({ ['hide-' + id]: hidden, ['only-' + id]: only });
  };
  return (
    <Answered state={state} empty={state.value?.series.length === 0} height={panel.height}>
      <ErrorNotice error={exemplars.error} again={false} />
      <DotField plot={plot} drawn={dots.drawn} unit={panel.unit} chosen={dot} onChosen={setDot}>
        <Chart title={panel.title} data={data} span={state.value?.span ?? span.value} unit={panel.unit} stacked={panel.stacked} height={panel.height} min={panel.min} max={panel.max} legend="line" onPlot={(u) => (plot.current = u)} over={over} within={dots.within} hidden={hiddenOf(marks, names)} onHide={hide} />
      </DotField>
    </Answered>
  );
}

// ---- One number ----

export function StatView({ panel, pixels, inSight }: ViewProps) {
  const state = usePanelLines(panel, Math.min(pixels, 240), inSight);
  const series = named(state.value?.series ?? []);
  return (
    <Answered state={state} empty={state.value !== undefined && series.length === 0} height={panel.height}>
      <div class="stats" style={{ minHeight: panel.height + 'px' }}>
        {series.slice(0, 12).map((one) => {
          const value = reduce(one.values, panel.reduce);
          const { number, unit } = value === null ? { number: '–', unit: '' } : quantity(value, panel.unit);
          return (
            <div class="stat" key={one.name}>
              {series.length > 1 && <span class="stat-name clip faint tiny">{one.name}</span>}
              <p class={'stat-value ' + levelOf(value, panel.thresholds)}>
                <b class="num">{number}</b> <span>{unit}</span>
              </p>
              <Spark values={one.values} width={160} height={24} />
            </div>
          );
        })}
      </div>
    </Answered>
  );
}

// ---- A part of a whole ----

const ARC = Math.PI * 42; // half a circle of radius 42

export function GaugeView({ panel, pixels, inSight }: ViewProps) {
  const state = usePanelLines(panel, Math.min(pixels, 240), inSight);
  const series = named(state.value?.series ?? []);
  const least = panel.min ?? 0;
  const most = panel.max ?? (panel.unit === 'percent' ? 100 : 1);
  const part = (value: number | null) => (value === null ? 0 : Math.max(0, Math.min(1, (value - least) / (most - least || 1))));
  return (
    <Answered state={state} empty={state.value !== undefined && series.length === 0} height={panel.height}>
      {series.length === 1 ? (
        <Arc panel={panel} value={reduce(series[0]!.values, panel.reduce)} part={part(reduce(series[0]!.values, panel.reduce))} />
      ) : (
        <ul class="bars-list" style={{ minHeight: panel.height + 'px' }}>
          {series.slice(0, 40).map((one) => {
            const value = reduce(one.values, panel.reduce);
            return (
              <li key={one.name}>
                <span class="clip" title={one.name}>
                  {one.name}
                </span>
                <span class={'meter ' + levelOf(value, panel.thresholds)} aria-hidden="true">
                  <i style={{ width: (part(value) * 100).toFixed(1) + '%' }} />
                </span>
                <b class="num">{valueText(value, panel.unit)}</b>
              </li>
            );
          })}
        </ul>
      )}
    </Answered>
  );
}

function Arc({ panel, value, part }: { panel: Panel; value: number | null; part: number }) {
  const { number, unit } = value === null ? { number: '–', unit: '' } : quantity(value, panel.unit);
  const level = levelOf(value, panel.thresholds);
  return (
    <div class="gauge" style={{ height: panel.height + 'px' }}>
      <svg viewBox="0 0 100 54" class={level} aria-hidden="true">
        <path class="gauge-whole" d="M8 50a42 42 0 0 1 84 0" pathLength={ARC} />
        <path class="gauge-part" d="M8 50a42 42 0 0 1 84 0" pathLength={ARC} stroke-dasharray={`${(part * ARC).toFixed(2)} ${ARC * 2}`} />
      </svg>
      <p class={'stat-value ' + level}>
        <b class="num">{number}</b> <span>{unit}</span>
      </p>
    </div>
  );
}

// ---- A table ----

export function TableView({ id, panel, inSight }: ViewProps) {
  const state = usePanelValues(panel, inSight);
  const order = params('sort-' + id)[0] ?? panel.sort;
  const table = useMemo(() => joinAnswers(state.value?.data ?? [], panel), [state.value, panel]);
  const columns: ColumnSpec<TableLine>[] = [
    ...table.labels.map((name, i): ColumnSpec<TableLine> => ({ key: name, title: name, clip: i === 0, class: 'mono', show: (line) => <span title={line.labels[name]}>{plainText(line.labels[name] ?? '')}</span>, sort: (line) => line.labels[name] ?? '' })),
    ...panel.queries.map(
      (query, i): ColumnSpec<TableLine> => ({
        key: String(i + 1),
        title: headingOf(query, i, panel.queries.length),
        number: true,
        show: (line) => <span class={i === panel.queries.length - 1 ? levelOf(line.values[i] ?? null, panel.thresholds) : ''}>{valueText(line.values[i], query.unit || panel.unit)}</span>,
        sort: (line) => line.values[i] ?? -Infinity,
      }),
    ),
  ];
  const cells = () => [
    [...table.labels, ...panel.queries.map((query, k) => headingOf(query, k, panel.queries.length))],
    ...sortRows(table.lines, columns, order).map((line) => [...table.labels.map((name) => line.labels[name] ?? ''), ...line.values.map((value) => value ?? '')]),
  ];
  return (
    <Answered state={state} empty={state.value !== undefined && table.lines.length === 0} height={panel.height}>
      <span class="board-take">
        <TakeTable name={panel.title} rows={cells} />
      </span>
      <div class="board-table" style={{ height: panel.height + 'px' }}>
        <Table label={panel.title} columns={columns} rows={table.lines.slice(0, 500)} keyOf={(line) => line.key} order={order} onOrder={(next) => setParams({ ['sort-' + id]: next === panel.sort ? undefined : next })} />
      </div>
    </Answered>
  );
}

// ---- A heat map ----

export function HeatView({ panel, pixels, inSight }: ViewProps) {
  const state = usePanelMatrix(panel, pixels, inSight);
  const heat = useMemo(() => state.value && heatOf(state.value.data, state.value.span.fromMs, state.value.span.toMs, state.value.stepMs), [state.value]);
  const nothing = state.value?.data.resultType === 'matrix' && state.value.data.result.length === 0;
  return (
    <Answered state={state} empty={nothing} height={panel.height}>
      {heat !== undefined ? (
        <HeatMap title={panel.title} heat={heat} span={state.value?.span ?? span.value} unit={panel.unit} scale={panel.scale} height={panel.height} table />
      ) : state.value !== undefined && !nothing ? (
        <p class="small dim">A heat map needs native histograms, or series with the label le: sum by (le) (rate(name_bucket[$rate])).</p>
      ) : null}
    </Answered>
  );
}
