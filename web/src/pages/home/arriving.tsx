// What is arriving and from whom; and while it is only this host, how to send more.
import { sources, type Source } from '../../data/api';
import { useResource } from '../../data/resource';
import { agoHuman } from '../../data/time';
import { valueText } from '../../data/units';
import { href, param, setParams } from '../../router';
import { now } from '../../state';
import { Copy } from '../../ui/copy';
import { ErrorNotice } from '../../ui/notice';
import { Panel } from '../../ui/panel';
import { Table, type ColumnSpec } from '../../ui/table';

const SILENT_MS = 60e3;

function Who({ one }: { one: Source }) {
  const silent = now.value - Date.parse(one.lastSeen) > SILENT_MS;
  const bad = one.lastFaultAt !== undefined && now.value - Date.parse(one.lastFaultAt) < SILENT_MS;
  return (
    <span class="row" style={{ gap: '0.45rem' }}>
      <i class={'dot ' + (bad ? 'bad' : silent ? '' : 'good')} role="img" aria-label={bad ? 'with faults' : silent ? 'silent' : 'sending'} />
      <span class="clip" title={`${one.peer} ${one.agent}`}>
        {one.protocol === 'scrape' ? <a href={href('targets')}>{one.peer}</a> : one.peer || one.agent} {one.peer !== '' && one.agent !== '' && <span class="faint">{one.agent}</span>}
      </span>
    </span>
  );
}

const columns: readonly ColumnSpec<Source>[] = [
  { key: 'who', title: 'From', clip: true, show: (one) => <Who one={one} /> },
  { key: 'protocol', title: 'By', show: (one) => <span class="dim">{one.protocol}</span> },
  { key: 'samples', title: 'Samples', number: true, show: (one) => valueText(one.samplesPerSecond, '/s') },
  { key: 'bytes', title: 'Bytes', number: true, show: (one) => valueText(one.bytesPerSecond, 'bytes/s') },
  { key: 'last', title: 'Last', number: true, show: (one) => <span class="dim">{agoHuman(Date.parse(one.lastSeen), Math.max(now.value, Date.parse(one.lastSeen)))}</span> },
];

function ways(origin: string): readonly { key: string; title: string; text: string; say: string }[] {
  return [
    { key: 'prometheus', title: 'Prometheus', say: 'In prometheus.yml, then reload it:', text: `remote_write:\n  - url: ${origin}/api/v1/write` },
    { key: 'scrape', title: 'Scrape', say: 'In a file scrape.yml, then start Traceo with --config scrape.yml:', text: `scrape_configs:\n  - job_name: node\n    static_configs:\n      - targets: ['localhost:9100']` },
    { key: 'otel', title: 'OpenTelemetry', say: 'For any OpenTelemetry SDK or collector:', text: `export OTEL_EXPORTER_OTLP_ENDPOINT=${origin}\nexport OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf` },
    { key: 'shell', title: 'Shell', say: 'One sample by hand:', text: `echo 'backup_size_bytes{host="a"} 1024' | traceo push --server ${origin}` },
    { key: 'grafana', title: 'Grafana', say: 'To ask from Grafana, a data source of type Prometheus with the URL:', text: origin },
  ];
}

function Ways({ none }: { none: boolean }) {
  const all = ways(location.origin);
  const chosen = all.find((one) => one.key === param('way').value) ?? all[0]!;
  return (
    <div class="stack" style={{ gap: '0.5rem', marginTop: '0.75rem' }}>
      <div class="row between" style={{ flexWrap: 'wrap' }}>
        <span class="small dim">{none ? 'Nothing arrives yet. Send something:' : 'Only this host so far. Send more:'}</span>
        <span class="segments" role="group" aria-label="Way to send">
          {all.map((one) => (
            <button key={one.key} type="button" aria-pressed={one === chosen} onClick={() => setParams({ way: one === all[0] ? undefined : one.key }, { replace: true })}>
              {one.title}
            </button>
          ))}
        </span>
      </div>
      <span class="small">{chosen.say}</span>
      <Copy text={chosen.text} />
    </div>
  );
}

export function Arriving() {
  const found = useResource((signal) => sources({ signal }).then((answer) => answer.data.sources), ['sources'], now.value);
  const rows = [...(found.value ?? [])].sort((a, b) => b.samplesPerSecond - a.samplesPerSecond).slice(0, 12);
  const faulty = rows.filter((one) => one.lastFault !== undefined && now.value - Date.parse(one.lastFaultAt ?? '') < 10 * SILENT_MS);
  const others = rows.filter((one) => one.protocol !== 'this host' && one.protocol !== 'itself');
  const rate = rows.reduce((sum, one) => sum + one.samplesPerSecond, 0);
  return (
    <Panel title="What is arriving" class="w6" right={<span class="faint tiny num">{found.value === undefined ? '' : valueText(rate, '/s') + ' samples'}</span>}>
      <ErrorNotice error={found.error} />
      {found.value !== undefined && rows.length > 0 && <Table label="Senders" columns={columns} rows={rows} keyOf={(one) => [one.protocol, one.peer, one.agent].join(' ')} />}
      {faulty.map((one) => (
        <p key={one.protocol + one.peer + one.agent} class="small wrap faulty">
          <b>{one.peer || one.agent}</b> <span class="bad">{one.lastFault}</span> <span class="faint">{agoHuman(Date.parse(one.lastFaultAt ?? ''), now.value)}</span>
        </p>
      ))}
      {found.value !== undefined && others.length === 0 && <Ways none={rows.length === 0} />}
    </Panel>
  );
}
