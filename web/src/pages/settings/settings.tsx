// Settings: every setting in force, where it came from, and the server behind this page.
import { buildInfo, configYaml, runtimeInfo, settings, type Setting } from '../../data/api';
import { useResource } from '../../data/resource';
import { agoHuman, timeText } from '../../data/time';
import { param, setParams } from '../../router';
import { now, zone } from '../../state';
import { Copy } from '../../ui/copy';
import { ErrorNotice, Wait } from '../../ui/notice';
import { Panel } from '../../ui/panel';
import { matches, Search, Segments } from '../../ui/parts';
import { Table, type ColumnSpec } from '../../ui/table';
import './settings.css';

const changed = (one: Setting) => one.from !== 'default';

const columns: readonly ColumnSpec<Setting>[] = [
  { key: 'key', title: 'Setting', sort: (one) => one.key, show: (one) => <code>{one.key}</code> },
  {
    key: 'value',
    title: 'Value',
    show: (one) => <span class={'mono wrap ' + (changed(one) ? 'changed' : '')}>{one.value === '' ? <span class="faint">empty</span> : one.value}</span>,
  },
  { key: 'from', title: 'From', sort: (one) => one.from, show: (one) => <span class={changed(one) ? '' : 'faint'} title={'default: ' + (one.default || 'empty')}>{one.from}</span> },
  {
    key: 'help',
    title: 'What it does',
    class: 'help',
    show: (one) => (
      <span class="dim">
        {one.help} {one.reload && <span class="badge" title="A reload is enough: SIGHUP or POST /-/reload">at reload</span>}
      </span>
    ),
  },
];

function Facts({ rows }: { rows: readonly (readonly [string, string])[] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="num">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function ThisServer() {
  const build = useResource((signal) => buildInfo({ signal }).then((answer) => answer.data), []);
  const runtime = useResource((signal) => runtimeInfo({ signal }).then((answer) => answer.data), [], now.value);
  const started = Date.parse(runtime.value?.startTime ?? '');
  const read = Date.parse(runtime.value?.lastConfigTime ?? '');
  const revision = build.value?.revision.replace(/^traceo-/, '') ?? '';
  return (
    <Panel title="This server" note={runtime.value !== undefined && !runtime.value.reloadConfigSuccess ? <span class="bad">the last reload failed: the old settings stay in force</span> : undefined}>
      <Facts
        rows={[
          ['Version', revision || '–'],
          ['Speaks as Prometheus', build.value?.version ?? '–'],
          ['Host', runtime.value?.hostname ?? '–'],
          ['Started', Number.isFinite(started) ? timeText(started, zone.value) + ' · ' + agoHuman(started, now.value) : '–'],
          ['Settings read', Number.isFinite(read) ? agoHuman(read, now.value) : '–'],
          ['Series in memory', runtime.value?.timeSeriesCount.toLocaleString('en') ?? '–'],
        ]}
      />
      <ErrorNotice error={runtime.error ?? build.error} />
    </Panel>
  );
}

export function Settings() {
  const loaded = useResource((signal) => settings({ signal }).then((answer) => answer.data), [], now.value);
  const config = useResource((signal) => configYaml({ signal }).then((answer) => answer.data.yaml), [], now.value);
  const typed = param('q').value;
  const rows = loaded.value?.filter((one) => (param('only').value !== 'changed' || changed(one)) && matches(typed, one.key, one.value, one.help, one.from));
  return (
    <div class="stack settings">
      <ThisServer />
      <Panel title="Settings in force" note="file, then TRACEO_… variables, then flags">
        <div class="tools">
          <Segments name="only" label="Which" of={[{ value: '', title: 'All', count: loaded.value?.length ?? 0 }, { value: 'changed', title: 'Changed', count: loaded.value?.filter(changed).length ?? 0 }]} />
          <Search name="q" label="Filter settings" />
        </div>
        <ErrorNotice error={loaded.error} />
        {rows === undefined ? loaded.slow && <Wait /> : rows.length === 0 ? <p class="dim small">{param('only').value === 'changed' && typed === '' ? 'Everything is as it comes: nothing was changed.' : 'No setting matches.'}</p> : <Table label="Settings" columns={columns} rows={rows} keyOf={(one) => one.key} order={param('order').value} onOrder={(order) => setParams({ order }, { replace: true })} />}
      </Panel>
      <Panel title="As a file" note="what a traceo.yaml with these settings says; secrets are masked">
        <ErrorNotice error={config.error} />
        {config.value !== undefined && <Copy text={config.value.trimEnd()} label="Copy the settings" />}
      </Panel>
    </div>
  );
}
