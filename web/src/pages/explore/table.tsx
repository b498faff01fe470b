// Answers as tables: the values at one time with a column per label, or a summary of each series over the range.
import { useState } from 'preact/hooks';
import type { Labels, QueryData } from '../../data/api';
import { parseValue, seriesName, type Column } from '../../data/columns';
import { valueText, type Unit } from '../../data/units';
import { Table, sortRows as sortTable, type ColumnSpec } from '../../ui/table';
import type { Cell } from '../../data/tables';
import { plainText } from './plain';
import { rowsOf, sortRows, type Row } from './stats';

const SHOWN = 250;

/**
 * Numbers as text of one shape: the points stand under each other. Blanks as wide as a digit and as a point fill up at
 * the right.
 */
export function alignNumbers(texts: readonly string[]): string[] {
  const places = texts.map((text) => (/^[-+]?\d+(\.\d+)?$/.test(text) ? (text.split('.')[1]?.length ?? 0) : 0));
  const most = Math.max(0, ...places);
  if (most === 0) return [...texts];
  return texts.map((text, i) => text + (text.includes('.') ? '' : '\u2008') + '\u2007'.repeat(most - places[i]!));
}

interface ValueRow {
  index: number;
  labels: Labels;
  text: string;
  value: number;
}

export function valueRows(data: QueryData): ValueRow[] {
  switch (data.resultType) {
    case 'vector':
      return data.result.map((row, index) => {
        const text = row.value?.[1] ?? (row.histogram === undefined ? '' : `histogram of ${row.histogram[1].count}, sum ${row.histogram[1].sum}`);
        return { index, labels: row.metric, text, value: parseValue(text) };
      });
    case 'scalar':
    case 'string':
      return [{ index: 0, labels: {}, text: data.result[1], value: parseValue(data.result[1]) }];
    case 'matrix':
      return data.result.map((row, index) => {
        const last = row.values?.at(-1)?.[1] ?? '';
        return { index, labels: row.metric, text: last, value: parseValue(last) };
      });
  }
}

/** The table of values as text: the labels, the value as the server wrote it. */
export function valueCells(data: QueryData, order: string): Cell[][] {
  const rows = valueRows(data);
  const names = labelNames(rows);
  const columns: ColumnSpec<ValueRow>[] = [...names.map((name): ColumnSpec<ValueRow> => ({ key: name, title: name, show: () => '', sort: (row) => row.labels[name] ?? '' })), { key: ':value', title: '', show: () => '', sort: sortValue }];
  return [[...names.map((name) => (name === '__name__' ? 'metric' : name)), 'value'], ...sortTable(rows, columns, order).map((row) => [...names.map((name) => row.labels[name] ?? ''), row.text])];
}

export function summaryCells(series: readonly Column[], order: string): Cell[][] {
  return [['series', 'last', 'min', 'max', 'mean'], ...sortRows(rowsOf(series), order).map((row) => [row.name, row.last ?? '', row.min ?? '', row.max ?? '', row.avg ?? ''])];
}

function labelNames(rows: readonly ValueRow[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row.labels)))].sort((a, b) => (a === '__name__' ? -1 : b === '__name__' ? 1 : a < b ? -1 : 1));
}

const sortValue = (row: ValueRow) => (Number.isNaN(row.value) ? -Infinity : row.value);

function Capped<R>({ label, columns, rows, keyOf, order, onOrder }: { label: string; columns: readonly ColumnSpec<R>[]; rows: readonly R[]; keyOf: (row: R) => number; order: string; onOrder: (order: string) => void }) {
  const [all, setAll] = useState(false);
  const sorted = sortTable(rows, columns, order);
  const shown = all ? sorted : sorted.slice(0, SHOWN);
  return (
    <>
      <Table label={label} columns={columns} rows={shown} keyOf={keyOf} order={order} onOrder={onOrder} />
      {rows.length > SHOWN && (
        <button type="button" class="legend-more small" onClick={() => setAll(!all)}>
          {all ? `Show the first ${SHOWN}` : `Show all ${rows.length} rows`}
        </button>
      )}
    </>
  );
}

export function ValueTable({ title, data, unit, sort, onSort }: { title: string; data: QueryData; unit: Unit; sort: string; onSort: (sort: string) => void }) {
  const rows = valueRows(data);
  const names = labelNames(rows);
  const aligned = alignNumbers(rows.map((row) => row.text));
  const columns: ColumnSpec<ValueRow>[] = [
    ...names.map((name): ColumnSpec<ValueRow> => ({ key: name, title: name === '__name__' ? 'metric' : name, show: (row) => (row.labels[name] === undefined ? <span class="faint">–</span> : plainText(row.labels[name])), sort: (row) => row.labels[name] ?? '', class: 'mono' })),
    ...(unit === 'none' ? [] : [{ key: ':unit', title: 'In units', number: true, show: (row: ValueRow) => <span class="dim">{valueText(row.value, unit)}</span> }]),
    { key: ':value', title: 'Value', number: true, show: (row) => <b class="value mono">{aligned[row.index]}</b>, sort: sortValue },
  ];
  return <Capped label={'Values of ' + title} columns={columns} rows={rows} keyOf={(row) => row.index} order={sort} onOrder={onSort} />;
}

export function SummaryTable({ title, series, unit, sort, onSort }: { title: string; series: readonly Column[]; unit: Unit; sort: string; onSort: (sort: string) => void }) {
  const number = (key: 'last' | 'min' | 'max' | 'avg', heading: string): ColumnSpec<Row> => ({ key, title: heading, number: true, show: (row) => valueText(row[key], unit, 5), sort: (row) => row[key] ?? -Infinity });
  const count = (row: Row) => row.column.values.reduce<number>((sum, value) => sum + (value === null ? 0 : 1), 0);
  const columns: ColumnSpec<Row>[] = [
    { key: 'name', title: 'Series', show: (row) => <span title={plainText(seriesName(row.column.labels))}>{plainText(row.name)}</span>, sort: (row) => row.name, class: 'mono', clip: true },
    number('last', 'Last'),
    number('min', 'Min'),
    number('max', 'Max'),
    number('avg', 'Mean'),
    { key: 'points', title: 'Points', number: true, show: (row) => count(row), sort: count },
  ];
  return <Capped label={'Series of ' + title} columns={columns} rows={rowsOf(series)} keyOf={(row) => row.index} order={sort} onOrder={onSort} />;
}
