// The legend under a chart: a line of names with their values, or a table with min, max, average and last. Clicking a
// name shows it alone, with Ctrl or ⌘ switches it; pointing at one puts it into the foreground.
import { useState } from 'preact/hooks';
import { summaryOf } from '../data/columns';
import { valueText, type Unit } from '../data/units';
import { nearestIndex } from './downsample';

export interface LegendRow {
  name: string;
  color: string;
  hidden: boolean;
  values: readonly (number | null)[];
}

export interface LegendProps {
  rows: LegendRow[];
  times: readonly number[];
  unit: Unit;
  table: boolean;
  hovered: number | undefined;
  onFocus: (name: string | undefined) => void;
  onHide: (hidden: Set<string>) => void;
}

const SHOWN = 12; // of a line; a table shows more
const SHOWN_TABLE = 100;

export function Legend({ rows, times, unit, table, hovered, onFocus, onHide }: LegendProps) {
  const [all, setAll] = useState(false);
  const at = hovered === undefined ? -1 : nearestIndex(times, hovered);
  const most = table ? SHOWN_TABLE : SHOWN;
  const shown = all ? rows : rows.slice(0, most);

  const choose = (row: LegendRow, event: MouseEvent) => {
    const hidden = new Set(rows.filter((one) => one.hidden).map((one) => one.name));
    if (event.ctrlKey || event.metaKey || event.shiftKey) {
      if (!hidden.delete(row.name)) hidden.add(row.name);
    } else {
      const alone = !row.hidden && hidden.size === rows.length - 1;
      hidden.clear();
      if (!alone) for (const one of rows) if (one !== row) hidden.add(one.name);
    }
    onHide(hidden.size === rows.length ? new Set() : hidden);
  };
  const name = (row: LegendRow) => (
    <button
      type="button"
      class={'legend-name' + (row.hidden ? ' off' : '')}
      aria-pressed={!row.hidden}
      onClick={(event) => choose(row, event)}
      onMouseEnter={() => onFocus(row.name)}
      onMouseLeave={() => onFocus(undefined)}
      onFocus={() => onFocus(row.name)}
      onBlur={() => onFocus(undefined)}
      title={row.name}
    >
      <i class="swatch" style={{ background: row.color }} />
      <span>{row.name}</span>
    </button>
  );
  const more = rows.length > most && (
    <button type="button" class="legend-more" onClick={() => setAll(!all)}>
      {all ? 'Show fewer' : `and ${rows.length - most} more`}
    </button>
  );

  if (!table) {
    return (
      <figcaption class="legend">
        {shown.map((row, i) => (
          <span class="legend-item" key={i}>
            {name(row)}
            <b class="num">{valueText(at >= 0 ? row.values[at] : summaryOf(row.values).last, unit)}</b>
          </span>
        ))}
        {more}
      </figcaption>
    );
  }
  return (
    <figcaption class="legend-table" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Series</th>
            <th scope="col">{at >= 0 ? 'There' : 'Last'}</th>
            <th scope="col">Min</th>
            <th scope="col">Max</th>
            <th scope="col">Mean</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((row, i) => {
            const { min, max, avg, last } = summaryOf(row.values);
            return (
              <tr key={i}>
                <th scope="row">{name(row)}</th>
                {[at >= 0 ? row.values[at] : last, min, max, avg].map((value, column) => (
                  <td key={column} class="num">
                    {valueText(value, unit)}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
      {more}
    </figcaption>
  );
}
