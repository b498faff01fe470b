// One number with its course: what the host does now, at a glance.
import { Spark } from '../../chart/spark';
import { quantity, type Unit } from '../../data/units';
import type { Span } from '../../data/time';
import { lastOf } from './host';

export interface TileProps {
  title: string;
  unit: Unit;
  values: readonly (number | null)[];
  times?: readonly number[] | undefined;
  shown?: Span | undefined;
  limit?: number | undefined; // a full bar
  note?: string;
}

export function Tile({ title, unit, values, times, shown, limit, note = '' }: TileProps) {
  const last = lastOf(values);
  const { number, unit: suffix } = last === null ? { number: '–', unit: '' } : quantity(last, unit);
  const from = times === undefined || shown === undefined ? 0 : Math.max(0, times.findIndex((time) => time >= shown.fromMs));
  const part = limit === undefined || last === null ? undefined : Math.min(last / limit, 1);
  const kind = part === undefined ? '' : part > 0.95 ? 'bad' : part > 0.85 ? 'warn' : '';
  return (
    <div class="tile">
      <h2>{title}</h2>
      <p class="tile-value">
        <b class="num">{number}</b>
        <span>{suffix}</span>
        <small class="num">{note}</small>
      </p>
      <Spark values={values.slice(from)} width={120} height={26} />
      {part !== undefined && (
        <span class={'meter ' + kind} aria-hidden="true">
          <i style={{ width: (part * 100).toFixed(1) + '%' }} />
        </span>
      )}
    </div>
  );
}
