// Cardinality: what makes series, by metric, label and pair; and a way down into any of them, label by label, to the values
// that are too many. Each step is in the address.
import { labels, query, tsdb, type Refused, type Top, type Tsdb } from '../../data/api';
import { parseValue } from '../../data/columns';
import { useResource } from '../../data/resource';
import type { Cell } from '../../data/tables';
import { valueText } from '../../data/units';
import { agoHuman } from '../../data/time';
import { href, param, params, setParams } from '../../router';
import { now } from '../../state';
import { Icon } from '../../ui/icon';
import { ErrorNotice, Notice, Wait } from '../../ui/notice';
import { Panel } from '../../ui/panel';
import { matches, Search, Segments } from '../../ui/parts';
import { TakeTable } from '../../ui/take';
import { plainText } from '../explore/plain';
import { countExpr, parseWhere, partSelector, whereParam, widthsExpr, type Where } from './drill';

const LABELS_MAX = 40; // whose widths are counted at once
const TOPS = ['20', '100', '1000'];

function topShown(): number {
  return TOPS.includes(param('top').value) ? Number(param('top').value) : 20;
}

function Part({ of, whole }: { of: number; whole: number }) {
  return (
    <span class="meter" aria-hidden="true">
      <i style={{ width: Math.max(whole === 0 ? 0 : (of / whole) * 100, 0.5).toFixed(1) + '%' }} />
    </span>
  );
}

interface ListRow {
  name: string;
  value: number;
  link: string | undefined;
}

interface ListProps {
  title: string;
  note: string;
  rows: readonly ListRow[];
  whole: number | undefined; // what shares are of; without it bars are of the largest
  heading: string; // of the numbers, where the table is taken along
}

function TopList({ title, note, rows, whole, heading }: ListProps) {
  const typed = param('q').value;
  const shown = rows.filter((row) => matches(typed, row.name));
  const most = whole ?? Math.max(1, ...rows.map((row) => row.value));
  const cells = (): Cell[][] => [['name', heading, ...(whole === undefined ? [] : ['share'])], ...shown.map((row) => [row.name, row.value, ...(whole === undefined ? [] : [row.value / whole])])];
  return (
    <Panel title={title} note={note} right={<TakeTable name={title} rows={cells} />}>
      <ul class={'tops' + (whole === undefined ? '' : ' shares')}>
        {shown.map((row) => (
          <li key={row.name}>
            {row.link === undefined ? (
              <span class="mono clip" title={plainText(row.name)}>
                {plainText(row.name) || '(empty)'}
              </span>
            ) : (
              <a class="mono clip" title={plainText(row.name)} href={row.link}>
                {plainText(row.name) || '(empty)'}
              </a>
            )}
            <Part of={row.value} whole={most} />
            <span class="num">{row.value.toLocaleString('en')}</span>
            {whole !== undefined && <span class="num faint">{valueText(row.value / whole, 'ratio')}</span>}
          </li>
        ))}
      </ul>
      {shown.length === 0 && <p class="small faint">None of them.</p>}
    </Panel>
  );
}

// The address of a step: these conditions, counted by that label.
function step(where: readonly Where[], by?: string): string {
  return href('metrics', { view: 'cardinality', where: where.map(whereParam), by, top: param('top').value || undefined });
}

// "label=value", as the server writes a pair: the value may hold more of them, a label of Prometheus' old names may not.
function pairOf(text: string): Where | undefined {
  const at = text.indexOf('=');
  return at <= 0 ? undefined : { label: text.slice(0, at), value: text.slice(at + 1) };
}

function RefusedRow({ row }: { row: Refused }) {
  return (
    <li>
      <a class="mono" href={step(row.name === '' ? [] : [{ label: '__name__', value: row.name }], row.label || undefined)}>
        {plainText(row.name) || '(no name)'}
      </a>{' '}
      <span class="num">{row.value.toLocaleString('en')}</span> {row.value === 1 ? 'time' : 'times'}, the last {agoHuman(row.lastTime, now.value)}, by <code>{row.limit}</code>
      {row.labelValues > 1 && (
        <>
          ; its label <code>{plainText(row.label)}</code> has <span class="num">{row.labelValues.toLocaleString('en')}</span> values
        </>
      )}
    </li>
  );
}

/** What a label bomb looks like from here: which metric, and the label that grows. */
function RefusedSeries({ data }: { data: Tsdb }) {
  const rows = data.refusedSeriesByMetricName.slice(0, 10);
  if (data.refusedSeries === 0) return null;
  return (
    <Notice kind="warn">
      <p>
        New series were refused {data.refusedSeries.toLocaleString('en')} times since the start; those that were known went on.
      </p>
      <ul class="refused">
        {rows.map((row) => (
          <RefusedRow key={row.name} row={row} />
        ))}
      </ul>
    </Notice>
  );
}

function Overview({ data }: { data: Tsdb }) {
  const whole = data.headStats.numSeries;
  const rows = (all: readonly Top[], where: (name: string) => Where | undefined, by: (found: Where) => string | undefined): ListRow[] =>
    all.map((one) => {
      const found = where(one.name);
      return { name: one.name, value: one.value, link: found === undefined ? undefined : step([found], by(found)) };
    });
  return (
    <div class="stack">
      <RefusedSeries data={data} />
      <div class="tops-grid">
        <TopList title="Series by metric" heading="series" note={`${whole.toLocaleString('en')} in memory`} whole={whole} rows={rows(data.seriesCountByMetricName, (value) => ({ label: '__name__', value }), () => undefined)} />
        <TopList title="Series by label and value" heading="series" note="what one pair is part of" whole={whole} rows={rows(data.seriesCountByLabelValuePair, pairOf, (found) => (found.label === '__name__' ? undefined : '__name__'))} />
        <TopList title="Values by label" heading="values" note="labels that make series" whole={undefined} rows={rows(data.labelValueCountByLabelName, (label) => (label === '__name__' ? undefined : { label, value: undefined }), (found) => found.label)} />
        <TopList title="Bytes by label" heading="bytes" note="of its values, in memory" whole={undefined} rows={rows(data.memoryInBytesByLabelName, (label) => (label === '__name__' ? undefined : { label, value: undefined }), () => '__name__')} />
      </div>
    </div>
  );
}

interface Widths {
  whole: number;
  labels: { label: string; values: number }[]; // the widest first
  left: number; // labels that were not counted
}

async function widths(where: readonly Where[], atMs: number, signal: AbortSignal): Promise<Widths> {
  const selector = partSelector(where);
  const found = await labels({ match: [selector], fromMs: atMs - 300e3, toMs: atMs }, { signal });
  const fixed = new Set(where.filter((one) => one.value !== undefined).map((one) => one.label));
  const open = found.data.filter((label) => !fixed.has(label));
  const { data } = await query(widthsExpr(where, open.slice(0, LABELS_MAX)), atMs, { signal });
  const rows = data.resultType === 'vector' ? data.result : [];
  const number = (row: (typeof rows)[number]) => parseValue(row.value?.[1] ?? '0');
  const all = rows.flatMap((row) => (row.metric['label'] === undefined ? [] : [{ label: row.metric['label'], values: number(row) }]));
  const whole = rows.find((row) => row.metric['label'] === undefined);
  return { whole: whole === undefined ? 0 : number(whole), labels: all.sort((a, b) => b.values - a.values || (a.label < b.label ? -1 : 1)), left: Math.max(0, open.length - LABELS_MAX) };
}

async function counts(where: readonly Where[], by: string, top: number, atMs: number, signal: AbortSignal): Promise<Top[]> {
  const { data } = await query(countExpr(where, by, top), atMs, { signal });
  const rows = data.resultType === 'vector' ? data.result : [];
  return rows.map((row) => ({ name: row.metric[by] ?? '', value: parseValue(row.value?.[1] ?? '0') })).sort((a, b) => b.value - a.value || a.name.localeCompare(b.name, 'en', { numeric: true }));
}

function Drill({ where }: { where: readonly Where[] }) {
  const top = topShown();
  const minute = Math.floor(now.value / 60e3);
  const wide = useResource((signal) => widths(where, now.peek(), signal), [where], minute);
  const by = param('by').value || wide.value?.labels[0]?.label || '';
  const found = useResource((signal) => (by === '' ? Promise.resolve([]) : counts(where, by, top, now.peek(), signal)), [where, by, top], minute);
  const selector = partSelector(where);
  const whole = wide.value?.whole ?? 0;
  const rows = (found.value ?? []).map((one) => ({ ...one, link: one.name === '' ? undefined : step([...where.filter((old) => old.label !== by), { label: by, value: one.name }], undefined) }));
  return (
    <div class="stack">
      <Panel
        title="Series of"
        note={wide.value === undefined ? '' : `${whole.toLocaleString('en')} series`}
        right={
          <a class="button" href={href('explore', { expr: selector })}>
            <Icon name="explore" /> Explore
          </a>
        }
      >
        <div class="drill-path">
          <a href={step([])}>All series</a>
          {where.map((one) => (
            <span class="chip" key={whereParam(one)}>
              <span class="faint">{one.label === '__name__' ? 'metric' : plainText(one.label)}</span>
              <span>{one.value === undefined ? 'any value' : plainText(one.value)}</span>
              <a class="badge-close" href={step(where.filter((old) => old !== one))} aria-label={`Without the condition on ${one.label}`}>
                <Icon name="close" />
              </a>
            </span>
          ))}
        </div>
        <ErrorNotice error={wide.error} />
        {wide.slow && <Wait what="Counting" />}
        {wide.value !== undefined && whole === 0 && <p class="small dim">No series of it has samples now.</p>}
      </Panel>
      <div class="drill-grid">
        <Panel title="Labels" note="values of each" right={<TakeTable name="Labels" rows={() => [['label', 'values'], ...(wide.value?.labels ?? []).map((one) => [one.label, one.values])]} />}>
          <ul class="tops labels">
            {wide.value?.labels.map((one) => (
              <li key={one.label}>
                <button type="button" class="name mono clip" aria-pressed={one.label === by} onClick={() => setParams({ by: one.label })}>
                  {one.label === '__name__' ? 'metric' : plainText(one.label)}
                </button>
                <Part of={one.values} whole={Math.max(1, ...wide.value!.labels.map((other) => other.values))} />
                <span class="num">{one.values.toLocaleString('en')}</span>
              </li>
            ))}
          </ul>
          {wide.value !== undefined && wide.value.left > 0 && <p class="tiny faint">and {wide.value.left} labels more</p>}
        </Panel>
        <div>
          <ErrorNotice error={found.error} />
          {by !== '' && <TopList title={'Series by ' + (by === '__name__' ? 'metric' : plainText(by))} heading="series" note={rows.length >= top ? `the largest ${top}` : `${rows.length}`} whole={Math.max(whole, 1)} rows={rows} />}
        </div>
      </div>
    </div>
  );
}

export function Cardinality() {
  const top = topShown();
  const where = params('where').flatMap((text) => parseWhere(text) ?? []);
  const loaded = useResource((signal) => tsdb(top, { signal }).then((answer) => answer.data), [top], Math.floor(now.value / 10e3));
  return (
    <div>
      <div class="tools">
        <Search name="q" label="Filter by name" />
        <Segments name="top" label="How many" of={[{ value: '', title: 'Top 20' }, { value: '100', title: '100' }, { value: '1000', title: '1,000' }]} />
      </div>
      {where.length > 0 ? (
        <Drill key={where.map(whereParam).join('\n')} where={where} />
      ) : loaded.value === undefined ? (
        <>
          {loaded.slow && <Wait />}
          <ErrorNotice error={loaded.error} />
        </>
      ) : (
        <Overview data={loaded.value} />
      )}
    </div>
  );
}
