// The file systems of this host and how full they are; below them what kind of machine it is.
import { query } from '../../data/api';
import { parseValue } from '../../data/columns';
import { useResource } from '../../data/resource';
import { durationHuman } from '../../data/time';
import { valueText } from '../../data/units';
import { now } from '../../state';
import { ErrorNotice } from '../../ui/notice';
import { Panel } from '../../ui/panel';
import type { Host } from './host';

interface FileSystem {
  mount: string;
  device: string;
  size: number;
  free: number;
}

// What holds no data of anybody: kept out of the list.
const HIDDEN = 'tmpfs|devtmpfs|ramfs|squashfs|iso9660|efivarfs|nsfs|proc|sysfs|cgroup.*|autofs|overlay_hidden';

async function load(host: Host, atMs: number, signal: AbortSignal): Promise<FileSystem[]> {
  const where = `job="node",instance=${JSON.stringify(host.name)},fstype!~"${HIDDEN}"`;
  const { data } = await query(`{__name__=~"node_filesystem_size_bytes|node_filesystem_avail_bytes",${where}}`, atMs, { signal });
  const found = new Map<string, FileSystem>();
  if (data.resultType !== 'vector') return [];
  for (const { metric, value } of data.result) {
    const mount = metric['mountpoint'] ?? '';
    const row = found.get(mount) ?? { mount, device: metric['device'] ?? '', size: 0, free: 0 };
    if (metric['__name__'] === 'node_filesystem_size_bytes') row.size = parseValue(value?.[1] ?? '0');
    else row.free = parseValue(value?.[1] ?? '0');
    found.set(mount, row);
  }
  // Bind mounts show one device several times: its shortest place stands for it.
  const byDevice = new Map<string, FileSystem>();
  for (const one of [...found.values()].filter((row) => row.size > 0)) {
    const key = `${one.device} ${one.size} ${one.free}`;
    const other = byDevice.get(key);
    if (other === undefined || one.mount.length < other.mount.length) byDevice.set(key, one);
  }
  return [...byDevice.values()].sort((a, b) => b.size - a.size);
}

interface Facts {
  system: string;
  bootMs: number | undefined;
  cores: number | undefined;
  running: number | undefined;
  sockets: number | undefined;
  files: number | undefined;
}

async function facts(host: Host, atMs: number, signal: AbortSignal): Promise<Facts> {
  const where = `job="node",instance=${JSON.stringify(host.name)}`;
  const names = ['node_uname_info', 'node_boot_time_seconds', 'node_procs_running', 'node_sockstat_sockets_used', 'node_filefd_allocated'];
  const expr = `{__name__=~"${names.join('|')}",${where}} or label_replace(count(node_cpu_seconds_total{${where},mode="idle"}), "__name__", "cores", "", "")`;
  const { data } = await query(expr, atMs, { signal });
  const rows = data.resultType === 'vector' ? data.result : [];
  const one = (name: string) => rows.find((row) => row.metric['__name__'] === name);
  const value = (name: string) => (one(name)?.value === undefined ? undefined : parseValue(one(name)!.value![1]));
  const uname = one('node_uname_info')?.metric;
  const boot = value('node_boot_time_seconds');
  return {
    system: uname === undefined ? '' : `${uname['sysname'] ?? ''} ${uname['release'] ?? ''}`,
    bootMs: boot === undefined ? undefined : boot * 1000,
    cores: value('cores'),
    running: value('node_procs_running'),
    sockets: value('node_sockstat_sockets_used'),
    files: value('node_filefd_allocated'),
  };
}

function Machine({ host, every }: { host: Host; every: number }) {
  const found = useResource((signal) => facts(host, now.value, signal), [host.name], every).value;
  if (found === undefined) return null;
  const rows: [string, string][] = [
    ['System', found.system],
    ['Cores', valueText(found.cores)],
    ['Up for', found.bootMs === undefined ? '–' : durationHuman(now.value - found.bootMs)],
    ['Running now', valueText(found.running)],
    ['Sockets', valueText(found.sockets)],
    ['Open files', valueText(found.files)],
  ];
  return (
    <dl class="facts">
      {rows.map(([name, text]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="clip" title={text}>
            {text}
          </dd>
        </div>
      ))}
    </dl>
  );
}

export function FileSystems({ host }: { host: Host }) {
  const every = Math.floor(now.value / 10000); // they do not fill faster than that
  const found = useResource((signal) => load(host, now.value, signal), [host.name], every);
  return (
    <Panel title="File systems" class="w4" note={host.name}>
      <ErrorNotice error={found.error} />
      <ul class="fs" tabIndex={0} aria-label="File systems">
        {found.value?.map((one) => {
          const used = 1 - one.free / one.size;
          return (
            <li key={one.mount}>
              <span class="row between">
                <span class="clip" title={`${one.mount} (${one.device})`}>
                  {one.mount}
                </span>
                <span class="num small">
                  {valueText(one.free, 'bytes')} <span class="faint">free of</span> {valueText(one.size, 'bytes')}
                </span>
              </span>
              <span class={'meter ' + (used > 0.95 ? 'bad' : used > 0.85 ? 'warn' : '')} role="img" aria-label={`${Math.round(used * 100)} % used`}>
                <i style={{ width: (used * 100).toFixed(1) + '%' }} />
              </span>
            </li>
          );
        })}
        {found.value?.length === 0 && <li class="faint small">None with data, as far as this process can see.</li>}
      </ul>
      <Machine host={host} every={every} />
    </Panel>
  );
}
