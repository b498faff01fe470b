// Home: this host as it is now, what Traceo itself costs, and what is arriving from whom. Every panel follows the
// page's clock and asks for the newest points only.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Chart, type ChartProps } from '../../chart/chart';
import type { Columns } from '../../data/columns';
import { useLive, type LiveData } from '../../data/live';
import { useResource, type Resource } from '../../data/resource';
import { durationHuman, type Span } from '../../data/time';
import { param } from '../../router';
import { now, shownTheme, span } from '../../state';
import { Copy } from '../../ui/copy';
import { Empty, ErrorNotice, Wait } from '../../ui/notice';
import { Panel } from '../../ui/panel';
import { Arriving } from './arriving';
import { Cost } from './cost';
import { FileSystems } from './filesystems';
import { arrange, hostExprs, hostFacts, largest, lastOf, MODES, total, type Host } from './host';
import { Processes } from './processes';
import { Tile } from './tile';
import './home.css';

const MIN_SHOWN_MS = 40e3;

export function Home() {
  // Asked again with the page's clock until it is known: Traceo may only just be starting.
  const [known, setKnown] = useState(false);
  const host = useResource(hostFacts, ['host'], known ? 0 : now.value);
  useEffect(() => setKnown(host.value !== undefined), [host.value !== undefined]);
  if (host.value !== undefined) return <Live host={host.value} />;
  if (host.error !== undefined) return <ErrorNotice error={host.error} />;
  return host.slow ? <Wait what="Asking this host" /> : null;
}

// In the first minutes the charts begin where the data does: a sliver at the right edge tells nobody anything.
function shownSpan(data: LiveData | undefined, chosen: boolean): Span {
  const asked = data?.span ?? span.value;
  if (data === undefined || chosen) return asked;
  const first = data.times.findIndex((_, i) => data.series.some((one) => one.values[i] !== null && one.values[i] !== undefined));
  if (first <= 0) return asked;
  return { fromMs: Math.max(asked.fromMs, Math.min(data.times[first]!, asked.toMs - MIN_SHOWN_MS)), toMs: asked.toMs };
}

interface HostChartProps {
  title: string;
  note?: string;
  live: Resource<LiveData>;
  data: Columns | undefined;
  shown: Span;
  class?: string;
  chart: Partial<ChartProps>;
}

function HostChart({ title, note, live, data, shown, class: more, chart }: HostChartProps) {
  return (
    <Panel title={title} note={note} class={more}>
      <Chart title={title} data={data} span={shown} height={148} {...chart} />
      <ErrorNotice error={live.error} />
    </Panel>
  );
}

function Live({ host }: { host: Host }) {
  const exprs = useMemo(() => hostExprs(host), [host]);
  const options = { leastStepMs: host.intervalMs, pixels: 520 };
  const cpu = useLive(exprs.cpu, { ...options, legend: '{{mode}}' });
  const memory = useLive(exprs.memory, { ...options, legend: '{{kind}}' });
  const load = useLive(exprs.load, { ...options, legend: (labels) => (labels['__name__'] ?? '').replace('node_load', '') + ' min' });
  const pressure = useLive(exprs.pressure, { ...options, legend: '{{kind}}' });
  const disk = useLive(exprs.disk, { ...options, legend: '{{kind}}' });
  const busy = useLive(exprs.busy, { ...options, legend: '{{device}}' });
  const network = useLive(exprs.network, { ...options, legend: '{{kind}}' });

  const cpuData = useMemo(() => arrange(cpu.value, MODES, true), [cpu.value]);
  const memoryData = useMemo(() => arrange(memory.value, ['used', 'cache', 'free']), [memory.value, shownTheme.value]);
  const loadData = useMemo(() => arrange(load.value, ['1 min', '5 min', '15 min']), [load.value]);
  const pressureData = useMemo(() => arrange(pressure.value, ['processor', 'memory', 'disk']), [pressure.value]);
  const diskData = useMemo(() => arrange(disk.value, ['read', 'written']), [disk.value]);
  const networkData = useMemo(() => arrange(network.value, ['received', 'sent']), [network.value]);

  const chosen = param('from').value !== '';
  const shown = shownSpan(load.value, chosen);
  const used = total(memoryData, ['used']);
  const all = lastOf(total(memoryData));

  if (!host.collected && load.value?.series.length === 0) {
    return (
      <div class="stack">
        <Panel title="This host">
          <Empty title="This host is not collected">
            <p>host.enabled is off. Start Traceo with it to see this machine here:</p>
            <Copy text="traceo serve --host.enabled true" />
          </Empty>
        </Panel>
        <Arriving />
        <Cost />
      </div>
    );
  }
  return (
    <div class="home">
      <section class="tiles" aria-label="This host now">
        <Tile title="Processor" unit="ratio" values={total(cpuData)} shown={shown} times={cpuData?.times} limit={1} />
        <Tile title="Memory" unit="bytes" values={used} shown={shown} times={memoryData?.times} limit={all ?? undefined} note={all === null ? '' : Math.round(((lastOf(used) ?? 0) / all) * 100) + ' %'} />
        <Tile title="Load" unit="none" values={total(loadData, ['1 min'])} shown={shown} times={loadData?.times} />
        <Tile title="Disks" unit="bytes/s" values={total(diskData)} shown={shown} times={diskData?.times} />
        <Tile title="Network" unit="bytes/s" values={total(networkData)} shown={shown} times={networkData?.times} />
        <Tile title="Pressure" unit="ratio" values={largest(pressureData)} shown={shown} times={pressureData?.times} limit={1} />
      </section>
      <HostChart class="w6" title="Processor" note={host.name} live={cpu} data={cpuData} shown={shown} chart={{ unit: 'ratio', stacked: true, max: undefined }} />
      <HostChart class="w6" title="Memory" live={memory} data={memoryData} shown={shown} chart={{ unit: 'bytes', stacked: true }} />
      <HostChart class="w4" title="Load" note="processes that run or wait" live={load} data={loadData} shown={shown} chart={{}} />
      <HostChart class="w4" title="Pressure" note="part of the time that something waits for …" live={pressure} data={pressureData} shown={shown} chart={{ unit: 'ratio' }} />
      <HostChart class="w4" title="Network" note="all but loopback" live={network} data={networkData} shown={shown} chart={{ unit: 'bytes/s' }} />
      <HostChart class="w4" title="Disks" note="read and written" live={disk} data={diskData} shown={shown} chart={{ unit: 'bytes/s' }} />
      <HostChart class="w4" title="Disks busy" note="part of the time" live={busy} data={busy.value} shown={shown} chart={{ unit: 'ratio' }} />
      <FileSystems host={host} />
      <Processes />
      <Arriving />
      <Cost />
      <p class="sr" aria-live="off">
        Traceo runs for {durationHuman(now.value - host.startedMs)}.
      </p>
    </div>
  );
}
