// Metrics: every metric with type, help and how many series it has; the labels that make them; what costs most.
import { labelValues, metadata, series, tsdb, type Labels, type Metadata } from '../../data/api';
import { Chart } from '../../chart/chart';
import { useLive } from '../../data/live';
import { useResource } from '../../data/resource';
import { unitOfExpr } from '../../data/units';
import { href, param, setParams } from '../../router';
import { now, span } from '../../state';
import { Copy } from '../../ui/copy';
import { Icon } from '../../ui/icon';
import { Empty, ErrorNotice, Wait } from '../../ui/notice';
import { Panel } from '../../ui/panel';
import { matches, Search, Segments } from '../../ui/parts';
import { Table, type ColumnSpec } from '../../ui/table';
import { Cardinality } from './cardinality';
import { familyOf, labelFacts, selector, sensible, type LabelFact } from './facts';
import './metrics.css';

const NAMES_MAX = 10000; // of /status/tsdb
const ROWS_FIRST = 200;
const SERIES_READ = 5000; // for the labels of one metric

interface Metric {
  name: string;
  type: Metadata['type'];
  help: string;
  unit: string;
  count: number; // series in memory now; 0: only in blocks
}

async function load(signal: AbortSignal): Promise<Metric[]> {
  const [names, known, top] = await Promise.all([labelValues('__name__', {}, { signal }), metadata('', undefined, { signal }), tsdb(NAMES_MAX, { signal }).catch(() => undefined)]);
  const counts = new Map((top?.data.seriesCountByMetricName ?? []).map((one) => [one.name, one.value]));
  return names.data.map((name) => {
    const row = familyOf(name, known.data);
    return { name, type: row?.type ?? 'unknown', help: row?.help ?? '', unit: row?.unit ?? '', count: counts.get(name) ?? 0 };
  });
}

function Meter({ part }: { part: number }) {
  return (
    <span class="meter" aria-hidden="true">
      <i style={{ width: Math.max(part * 100, 1) + '%' }} />
    </span>
  );
}

// ---- One metric ----

function LabelRow({ fact, metric }: { fact: LabelFact; metric: string }) {
  const most = fact.values[0]?.count ?? 1;
  return (
    <details class="label-fact">
      <summary>
        <code>{fact.name}</code>
        <span class="faint num">{fact.values.length.toLocaleString('en')} {fact.values.length === 1 ? 'value' : 'values'}</span>
        <span class="dim clip grow">{fact.values.slice(0, 4).map((one) => one.value).join(', ')}</span>
      </summary>
      <ul>
        {fact.values.slice(0, 50).map((one) => (
          <li key={one.value}>
            <a class="mono clip" href={href('explore', { expr: selector(metric, fact.name, one.value) })}>
              {one.value}
            </a>
            <Meter part={one.count / most} />
            <span class="num faint">{one.count.toLocaleString('en')}</span>
          </li>
        ))}
        {fact.values.length > 50 && <li class="faint tiny">{(fact.values.length - 50).toLocaleString('en')} more</li>}
      </ul>
    </details>
  );
}

function Detail({ metric }: { metric: Metric }) {
  const expr = sensible(metric.name, metric.type);
  const chart = useLive(expr, { legend: '' });
  const found = useResource((signal) => series({ match: [selector(metric.name)], fromMs: span.value.fromMs, toMs: span.value.toMs, limit: SERIES_READ }, { signal }).then((answer) => answer.data), [metric.name]);
  const facts = labelFacts(found.value ?? ([] as Labels[]));
  return (
    <Panel
      title={metric.name}
      class="metric-detail"
      note={<span class="badge">{metric.type}</span>}
      right={
        <span class="row">
          <a class="button quiet" href={href('metrics', { view: 'cardinality', where: '__name__=' + metric.name })}>
            Cardinality
          </a>
          <a class="button" href={href('explore', { expr })}>
            <Icon name="explore" /> Explore
          </a>
          <button type="button" class="button quiet icon" aria-label="Close" onClick={() => setParams({ metric: undefined })}>
            <Icon name="close" />
          </button>
        </span>
      }
    >
      <div class="stack">
        <p class="dim small wrap">{metric.help || 'No help text came with this metric.'}</p>
        <Chart title={expr} data={chart.value} span={chart.value?.span ?? span.value} unit={unitOfExpr(expr)} height={130} legend="none" />
        <ErrorNotice error={chart.error} />
        <Copy text={expr} label="Copy the expression" />
        <section aria-label="Labels" class="stack" style={{ gap: '0.2rem' }}>
          <h3>
            Labels <span class="faint num">{found.value === undefined ? '' : found.value.length.toLocaleString('en') + (found.value.length >= SERIES_READ ? '+ series' : ' series')}</span>
          </h3>
          <ErrorNotice error={found.error} />
          {facts.map((fact) => (
            <LabelRow key={fact.name} fact={fact} metric={metric.name} />
          ))}
          {found.value !== undefined && facts.length === 0 && <p class="faint small">No labels but the name.</p>}
        </section>
      </div>
    </Panel>
  );
}

// ---- All of them ----

function columnsFor(most: number): readonly ColumnSpec<Metric>[] {
  return [
    {
      key: 'name',
      title: 'Metric',
      sort: (one) => one.name,
      show: (one) => (
        <button type="button" class="name mono" aria-pressed={param('metric').value === one.name} onClick={() => setParams({ metric: one.name })}>
          {one.name}
        </button>
      ),
    },
    { key: 'type', title: 'Type', sort: (one) => one.type, show: (one) => <span class="dim">{one.type}</span> },
    {
      key: 'series',
      title: 'Series',
      number: true,
      sort: (one) => one.count,
      show: (one) => (
        <span class="bar-cell">
          <Meter part={one.count / most} />
          <span>{one.count === 0 ? <span class="faint" title="Not in memory: stored in blocks">–</span> : one.count.toLocaleString('en')}</span>
        </span>
      ),
    },
    { key: 'help', title: 'Help', clip: true, class: 'help', show: (one) => <span class="dim" title={one.help}>{one.help}</span> },
  ];
}

function Catalogue({ all }: { all: readonly Metric[] }) {
  const type = param('type').value;
  const typed = param('q').value;
  const shown = all.filter((one) => (type === '' || one.type === type) && matches(typed, one.name, one.help));
  const types = [...new Set(all.map((one) => one.type))].sort();
  const order = param('order').value || '-series';
  const columns = columnsFor(Math.max(1, ...all.map((one) => one.count)));
  const chosen = all.find((one) => one.name === param('metric').value);
  const column = columns.find((one) => one.key === order.replace('-', ''));
  const sorted = [...shown].sort((a, b) => {
    const x = column?.sort?.(a) ?? 0;
    const y = column?.sort?.(b) ?? 0;
    return (order.startsWith('-') ? -1 : 1) * (typeof x === 'string' ? x.localeCompare(String(y)) : x - Number(y));
  });
  const rows = param('all').value === '1' ? sorted : sorted.slice(0, ROWS_FIRST);
  return (
    <div class={chosen === undefined ? 'metrics-split' : 'metrics-split with-detail'}>
      <Panel title="Metrics" note={`${shown.length.toLocaleString('en')} of ${all.length.toLocaleString('en')}`}>
        <div class="tools">
          <Search name="q" label="Filter metrics" placeholder="Filter by name or help" />
          <Segments name="type" label="Type" of={[{ value: '', title: 'All' }, ...types.map((one) => ({ value: one, title: one, count: all.filter((metric) => metric.type === one).length }))]} />
        </div>
        {rows.length === 0 ? <p class="dim small">No metric matches.</p> : <Table label="All metrics" columns={columns} rows={rows} keyOf={(one) => one.name} order={order} onOrder={(next) => setParams({ order: next }, { replace: true })} />}
        {rows.length < sorted.length && (
          <button type="button" class="button" onClick={() => setParams({ all: '1' }, { replace: true })}>
            Show all {sorted.length.toLocaleString('en')}
          </button>
        )}
      </Panel>
      {chosen !== undefined && <Detail key={chosen.name} metric={chosen} />}
    </div>
  );
}

export function Metrics() {
  const loaded = useResource(load, [], Math.floor(now.value / 30000));
  const all = loaded.value;
  return (
    <div>
      <div class="tools">
        <Segments name="view" label="View" of={[{ value: '', title: 'Catalogue' }, { value: 'cardinality', title: 'Cardinality' }]} />
      </div>
      <ErrorNotice error={loaded.error} />
      {param('view').value === 'cardinality' ? (
        <Cardinality />
      ) : all === undefined ? (
        loaded.slow && <Wait />
      ) : all.length === 0 ? (
        <Panel title="No metrics yet">
          <Empty title="Send the first sample">
            <Copy text={'echo "my_first_metric 42" | traceo push'} />
          </Empty>
        </Panel>
      ) : (
        <Catalogue all={all} />
      )}
    </div>
  );
}
