// Queries: what waits and runs now, whose it is and what it has cost so far; and a button that ends it. Asked every second,
// as a query seldom lives longer.
import { useEffect, useState } from 'preact/hooks';
import { endQuery, runningQueries, type RunningQuery } from '../../data/api';
import { useResource } from '../../data/resource';
import { durationHuman } from '../../data/time';
import { valueText } from '../../data/units';
import { href, param, setParams } from '../../router';
import { Empty, ErrorNotice, Wait } from '../../ui/notice';
import { Panel } from '../../ui/panel';
import { matches, Search } from '../../ui/parts';
import { Table, type ColumnSpec } from '../../ui/table';
import { toast } from '../../ui/toast';
import { plainText } from '../explore/plain';
import './queries.css';

const EVERY_MS = 1000;

function useSeconds(): [number, () => void] {
  const [count, setCount] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === 'visible' && setCount((old) => old + 1), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return [count, () => setCount((old) => old + 1)];
}

const STATES: Record<RunningQuery['state'], string> = { queued: 'badge', running: 'badge good', ending: 'badge warn' };

export function Queries() {
  const [count, again] = useSeconds();
  const loaded = useResource((signal) => runningQueries({ signal }).then((answer) => answer.data.queries), [], count);
  const [ending, setEnding] = useState<ReadonlySet<string>>(new Set());
  const typed = param('q').value;
  const order = param('order').value;

  const end = async (one: RunningQuery) => {
    setEnding((old) => new Set([...old, one.id]));
    try {
      await endQuery(one.id);
    } catch (error) {
      toast((error as Error).message, 'bad');
    }
    again();
  };

  const all = loaded.value ?? [];
  const shown = all.filter((one) => matches(typed, one.query, one.peer, one.agent, one.key, one.tenant, one.path));
  const tenants = new Set(all.map((one) => one.tenant)).size > 1;
  const columns: ColumnSpec<RunningQuery>[] = [
    { key: 'state', title: 'State', show: (one) => <span class={STATES[one.state] ?? 'badge'}>{one.state}</span>, sort: (one) => one.state },
    {
      key: 'query',
      title: 'Query',
      sort: (one) => one.query,
      show: (one) => (
        <a href={href('explore', { expr: one.query, tenant: tenants ? one.tenant : undefined })} title={plainText(one.query)}>
          <code>{plainText(one.query) || '(none)'}</code>
        </a>
      ),
    },
    { key: 'age', title: 'For', number: true, sort: (one) => one.ageMs, show: (one) => durationHuman(one.ageMs) },
    { key: 'samples', title: 'Samples', number: true, sort: (one) => one.samples, show: (one) => valueText(one.samples, 'count') },
    { key: 'memory', title: 'Memory', number: true, sort: (one) => one.memoryBytes, show: (one) => valueText(one.memoryBytes, 'bytes') },
    {
      key: 'who',
      title: 'From',
      sort: (one) => one.peer,
      show: (one) => (
        <span title={plainText(one.agent)}>
          {plainText(one.peer)} <span class="faint">{plainText(one.key || one.agent.slice(0, 24))}</span>
        </span>
      ),
    },
    ...(tenants ? [{ key: 'tenant', title: 'Tenant', sort: (one: RunningQuery) => one.tenant, show: (one: RunningQuery) => plainText(one.tenant) }] : []),
    { key: 'path', title: 'Route', sort: (one) => one.path, show: (one) => <span class="faint tiny">{one.path}</span> },
    {
      key: 'end',
      title: 'End',
      show: (one) => (
        <button type="button" class="button" disabled={one.state === 'ending' || ending.has(one.id)} aria-label={'End the query ' + plainText(one.query)} onClick={() => void end(one)}>
          End
        </button>
      ),
    },
  ];

  return (
    <Panel title="Running queries" note={loaded.value === undefined ? '' : shown.length === all.length ? String(all.length) : `${shown.length} of ${all.length}`} class="running">
      <div class="tools">
        <Search name="q" label="Filter queries" placeholder="Filter by text, client, key or tenant" />
      </div>
      {loaded.slow && <Wait />}
      <ErrorNotice error={loaded.error} />
      {shown.length > 0 && <Table label="Running queries" columns={columns} rows={shown} keyOf={(one) => one.id} order={order} onOrder={(next) => setParams({ order: next }, { replace: true })} />}
      {loaded.value !== undefined && all.length === 0 && (
        <Empty title="Nothing waits or runs">
          <p>What takes longer than a moment appears here while it runs. The client of a query that is ended gets an error that says so.</p>
        </Empty>
      )}
      {all.length > 0 && shown.length === 0 && <p class="small dim">No running query has these words.</p>}
    </Panel>
  );
}
