// Targets: what is scraped, how it goes, and what to do where it does not.
import { targets, type Target } from '../../data/api';
import { useResource } from '../../data/resource';
import { agoHuman } from '../../data/time';
import { valueText } from '../../data/units';
import { href, param, setParams } from '../../router';
import { now } from '../../state';
import { Copy } from '../../ui/copy';
import { Empty, ErrorNotice, Wait } from '../../ui/notice';
import { Panel } from '../../ui/panel';
import { Chips, matches, Search, Segments } from '../../ui/parts';
import { Table, type ColumnSpec } from '../../ui/table';
import './targets.css';

const EXAMPLE = `# traceo.yaml
scrape_configs:
  - job_name: node
    static_configs:
      - targets: ["localhost:9100"]`;

/** Only what a browser may open without harm: a label could hold "javascript:…". */
function safeUrl(url: string): string | undefined {
  return /^https?:\/\//i.test(url) ? url : undefined;
}

function lastMs(target: Target): number | undefined {
  const ms = Date.parse(target.lastScrape);
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}

const badge = { up: 'good', down: 'bad', unknown: '' } as const;
const stateTitle = { up: 'Up', down: 'Down', unknown: 'Not yet' } as const;

function Endpoint({ target }: { target: Target }) {
  return (
    <div class="endpoint">
      {safeUrl(target.scrapeUrl) === undefined ? (
        <span class="mono wrap">{target.scrapeUrl}</span>
      ) : (
        <a class="mono wrap" href={safeUrl(target.scrapeUrl)} target="_blank" rel="noopener noreferrer">
          {target.scrapeUrl}
        </a>
      )}
      {target.lastError !== '' && (
        <p class="bad small wrap" role="note">
          {target.lastError}
        </p>
      )}
    </div>
  );
}

const columns: readonly ColumnSpec<Target>[] = [
  { key: 'state', title: 'State', sort: (target) => target.health, show: (target) => <span class={'badge ' + badge[target.health]}>{stateTitle[target.health]}</span> },
  { key: 'url', title: 'Endpoint', class: 'wide', sort: (target) => target.scrapeUrl, show: (target) => <Endpoint target={target} /> },
  { key: 'labels', title: 'Labels', show: (target) => <Chips labels={target.labels} without={['job']} /> },
  { key: 'last', title: 'Last scrape', number: true, sort: (target) => -(lastMs(target) ?? 0), show: (target) => (lastMs(target) === undefined ? '–' : agoHuman(lastMs(target)!, now.value)) },
  { key: 'took', title: 'Took', number: true, sort: (target) => target.lastScrapeDuration, show: (target) => (lastMs(target) === undefined ? '–' : valueText(target.lastScrapeDuration, 'seconds')) },
  { key: 'every', title: 'Every', number: true, show: (target) => <span title={'timeout ' + target.scrapeTimeout}>{target.scrapeInterval}</span> },
];

function Pool({ pool, all, shown }: { pool: string; all: readonly Target[]; shown: readonly Target[] }) {
  const up = all.filter((target) => target.health === 'up').length;
  const down = all.filter((target) => target.health === 'down').length;
  return (
    <Panel
      title={pool}
      note={
        <span class={down > 0 ? 'bad' : ''}>
          {up} of {all.length} up
        </span>
      }
      right={
        <a class="small" href={href('explore', { expr: `up{job=${JSON.stringify(all[0]?.labels['job'] ?? pool)}}` })}>
          up over time
        </a>
      }
    >
      <Table label={'Targets of ' + pool} columns={columns} rows={shown} keyOf={(target) => target.scrapeUrl + JSON.stringify(target.labels)} order={param('order').value} onOrder={(order) => setParams({ order }, { replace: true })} />
    </Panel>
  );
}

const DROPPED_SHOWN = 200;

export function Targets() {
  const loaded = useResource((signal) => targets('any', { signal }).then((answer) => answer.data), [], now.value);
  const data = loaded.value;
  if (data === undefined) return <>{loaded.slow && <Wait />}<ErrorNotice error={loaded.error} /></>;

  const state = param('state').value;
  const typed = param('q').value;
  const all = data.activeTargets;
  const shown = all.filter((target) => (state === '' || target.health === state) && matches(typed, target.scrapeUrl, target.scrapePool, target.lastError, JSON.stringify(target.labels)));
  const pools = [...new Set(all.map((target) => target.scrapePool))].sort();
  const count = (health: Target['health']) => all.filter((target) => target.health === health).length;
  const droppedCount = Object.values(data.droppedTargetCounts).reduce((sum, one) => sum + one, 0);
  const dropped = data.droppedTargets.filter((target) => matches(typed, JSON.stringify(target.discoveredLabels))).slice(0, DROPPED_SHOWN);

  if (all.length === 0 && droppedCount === 0) {
    return (
      <Panel title="Nothing is scraped yet">
        <Empty title="Name a target, and its metrics are here within one interval">
          <p>Any Prometheus configuration works as it is. Write a file such as this one:</p>
          <Copy text={EXAMPLE} label="Copy the example" />
          <p>and start Traceo with it (a running one reads it again on SIGHUP):</p>
          <Copy text="traceo serve --config traceo.yaml" />
          <p class="faint">This host's own metrics need no target: they are collected already.</p>
        </Empty>
      </Panel>
    );
  }
  return (
    <div class="targets">
      <ErrorNotice error={loaded.error} />
      <div class="tools">
        <Segments
          name="state"
          label="State"
          of={[
            { value: '', title: 'All', count: all.length },
            { value: 'up', title: 'Up', count: count('up') },
            { value: 'down', title: 'Down', count: count('down') },
            ...(count('unknown') > 0 ? [{ value: 'unknown', title: 'Not yet', count: count('unknown') }] : []),
          ]}
        />
        <Search name="q" label="Filter targets" placeholder="Filter by address, label or error" />
      </div>
      <div class="stack">
        {pools.map((pool) => {
          const of = shown.filter((target) => target.scrapePool === pool);
          return of.length === 0 ? null : <Pool key={pool} pool={pool} all={all.filter((target) => target.scrapePool === pool)} shown={of} />;
        })}
        {shown.length === 0 && all.length > 0 && <p class="dim small">No target matches. <a href={href('targets')}>Show all</a></p>}
        {droppedCount > 0 && (
          <details class="panel">
            <summary>
              Dropped by relabelling <span class="faint num">{droppedCount.toLocaleString('en')}</span>
            </summary>
            <ul class="dropped">
              {dropped.map((target, i) => (
                <li key={i}>
                  <Chips labels={target.discoveredLabels} />
                </li>
              ))}
            </ul>
            {droppedCount > dropped.length && <p class="faint tiny">{dropped.length} of {droppedCount} shown.</p>}
          </details>
        )}
      </div>
    </div>
  );
}
