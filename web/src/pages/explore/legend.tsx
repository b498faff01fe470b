// The legend of a chart in Explore: a table of the series with last, min, max and mean, that sorts, filters, shows one
// alone and switches one off.
import { useMemo, useState } from 'preact/hooks';
import { hovered } from '../../chart/chart';
import { nearestIndex } from '../../chart/downsample';
import type { Column } from '../../data/columns';
import { clockText } from '../../data/time';
import { valueText, type Unit } from '../../data/units';
import { zone } from '../../state';
import { shortNames } from './short';
import { rowsOf, sortRows, type Row, type SortKey } from './stats';

export interface LegendProps {
  title: string;
  series: readonly (Column & { color: string })[];
  times: readonly number[];
  unit: Unit;
  hidden: ReadonlySet<string>;
  onHide: (hidden: Set<string>) => void;
  onFocus: (name: string | undefined) => void;
  sort: string;
  onSort: (sort: string) => void;
}

const SHOWN = 50;
const FILTER_FROM = 12;

const COLUMNS: readonly { key: SortKey; title: string }[] = [
  { key: 'last', title: 'Last' },
  { key: 'min', title: 'Min' },
  { key: 'max', title: 'Max' },
  { key: 'avg', title: 'Mean' },
];

/** What a click on a name does: alone, or all again when it was alone. */
export function isolate(names: readonly string[], hidden: ReadonlySet<string>, name: string): Set<string> {
  const alone = !hidden.has(name) && names.every((one) => one === name || hidden.has(one));
  return alone ? new Set() : new Set(names.filter((one) => one !== name));
}

export function toggle(names: readonly string[], hidden: ReadonlySet<string>, name: string): Set<string> {
  const next = new Set(hidden);
  if (!next.delete(name)) next.add(name);
  return names.every((one) => next.has(one)) ? new Set() : next;
}

export function SeriesLegend(props: LegendProps) {
  const { title, series, times, unit, hidden, sort } = props;
  const [all, setAll] = useState(false);
  const [filter, setFilter] = useState('');
  const names = series.map((one) => one.name);
  const short = useMemo(() => shortNames(series), [series]);
  const at = hovered.value;
  const index = at === undefined ? -1 : nearestIndex(times, at);
  const wanted = filter.toLowerCase();
  const rows = sortRows(rowsOf(series), sort).filter((row) => wanted === '' || row.name.toLowerCase().includes(wanted));
  const shown = all ? rows : rows.slice(0, SHOWN);
  const order = (key: SortKey) => (sort === '-' + key ? 'descending' : sort === key ? 'ascending' : undefined);
  const next = (key: SortKey) => (key === 'name' ? (sort === 'name' ? '-name' : 'name') : sort === '-' + key ? key : '-' + key);

  const value = (row: Row, key: SortKey) => {
    if (key === 'last' && index >= 0) return valueText(row.column.values[index], unit);
    return valueText(row[key as 'last'], unit);
  };

  return (
    <div class="series-legend">
      {series.length >= FILTER_FROM && (
        <div class="row series-filter">
          <input class="field grow" type="search" aria-label={'Filter the series of ' + title} placeholder={`Filter ${series.length} series`} value={filter} onInput={(event) => setFilter(event.currentTarget.value)} />
          {wanted !== '' && rows.length < series.length && (
            <button type="button" class="button" onClick={() => props.onHide(new Set(names.filter((name) => !rows.some((row) => row.name === name))))}>
              Show only these {rows.length}
            </button>
          )}
          {hidden.size > 0 && (
            <button type="button" class="button" onClick={() => props.onHide(new Set())}>
              Show all
            </button>
          )}
        </div>
      )}
      {short.common !== '' && (
        <p class="series-common mono tiny faint wrap" title="What all series share">
          {short.common}
        </p>
      )}
      <div class="series-box" tabIndex={0} role="region" aria-label={'Series of ' + title}>
        <table>
          <thead>
            <tr>
              <th scope="col" aria-sort={order('name')}>
                <button type="button" onClick={() => props.onSort(next('name'))}>
                  Series
                </button>
              </th>
              {COLUMNS.map((column) => (
                <th key={column.key} scope="col" class="num" aria-sort={order(column.key)}>
                  <button type="button" onClick={() => props.onSort(next(column.key))}>
                    {column.key === 'last' && index >= 0 ? clockText(times[index]!, zone.value) : column.title}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => {
              const off = hidden.has(row.name);
              const color = series[row.index]!.color;
              return (
                <tr key={row.index} class={off ? 'off' : undefined} onMouseEnter={() => props.onFocus(row.name)} onMouseLeave={() => props.onFocus(undefined)}>
                  <th scope="row">
                    <span class="series-name">
                      <button type="button" class="series-swatch" aria-pressed={!off} aria-label={(off ? 'Show ' : 'Hide ') + row.name} title={off ? 'Show' : 'Hide'} onClick={() => props.onHide(toggle(names, hidden, row.name))}>
                        <i style={{ background: off ? 'transparent' : color, borderColor: color }} />
                      </button>
                      <button
                        type="button"
                        class="series-text"
                        title={row.name + '\nClick: this one alone. Ctrl and click: switch it.'}
                        onClick={(event) => props.onHide((event.ctrlKey || event.metaKey ? toggle : isolate)(names, hidden, row.name))}
                        onFocus={() => props.onFocus(row.name)}
                        onBlur={() => props.onFocus(undefined)}
                      >
                        {short.names[row.index]}
                      </button>
                    </span>
                  </th>
                  {COLUMNS.map((column) => (
                    <td key={column.key} class="num">
                      {value(row, column.key)}
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
        {rows.length > SHOWN && (
          <button type="button" class="legend-more" onClick={() => setAll(!all)}>
            {all ? 'Show fewer' : `and ${rows.length - SHOWN} more`}
          </button>
        )}
      </div>
    </div>
  );
}
