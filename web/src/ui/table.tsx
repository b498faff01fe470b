// A table: columns are rows of a list, each says how it looks and how it is sorted. The caller keeps the order (in the
// URL), so that a link shows the same.
import type { ComponentChildren } from 'preact';

export interface ColumnSpec<Row> {
  key: string;
  title: string;
  show: (row: Row) => ComponentChildren;
  sort?: (row: Row) => number | string; // can be sorted by this
  number?: boolean; // aligned right, figures of one width
  clip?: boolean; // takes what room is left and is cut there
  class?: string;
}

/** "name" ascending, "-name" descending; '' as given. */
export type Order = string;

export interface TableProps<Row> {
  label: string;
  columns: readonly ColumnSpec<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string | number;
  order?: Order;
  onOrder?: (order: Order) => void;
  onRow?: (row: Row) => void;
}

export function sortRows<Row>(rows: readonly Row[], columns: readonly ColumnSpec<Row>[], order: Order): readonly Row[] {
  const column = columns.find((one) => one.key === order.replace(/^-/, ''));
  if (column?.sort === undefined) return rows;
  const sort = column.sort;
  const sign = order.startsWith('-') ? -1 : 1;
  return [...rows].sort((a, b) => {
    const x = sort(a);
    const y = sort(b);
    if (typeof x === 'string' || typeof y === 'string') return sign * String(x).localeCompare(String(y), 'en', { numeric: true });
    return sign * (x - y);
  });
}

export function Table<Row>({ label, columns, rows, keyOf, order = '', onOrder, onRow }: TableProps<Row>) {
  const sorted = sortRows(rows, columns, order);
  const next = (column: ColumnSpec<Row>): Order => {
    const first = column.number ? '-' + column.key : column.key;
    if (order !== first) return first;
    return first.startsWith('-') ? column.key : '-' + column.key;
  };
  return (
    <div class="table-box" tabIndex={0} role="group" aria-label={label}>
      <table class="table">
        <thead>
          <tr>
            {columns.map((column) => {
              const sort = order === column.key ? 'ascending' : order === '-' + column.key ? 'descending' : undefined;
              return (
                <th key={column.key} scope="col" class={column.number ? 'num' : undefined} aria-sort={sort}>
                  {column.sort !== undefined && onOrder !== undefined ? (
                    <button type="button" onClick={() => onOrder(next(column))}>
                      {column.title}
                    </button>
                  ) : (
                    column.title
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {sorted.map((row) => (
            <tr key={keyOf(row)} onClick={onRow === undefined ? undefined : () => onRow(row)}>
              {columns.map((column) => (
                <td key={column.key} class={[column.number ? 'num' : '', column.clip ? 'clip' : '', column.class ?? ''].join(' ').trim() || undefined}>
                  {column.show(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
