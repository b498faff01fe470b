// What Home asks about this host: the expressions, and the facts they are filled with.
import { flags, runtimeInfo } from '../../data/api';
import type { Columns } from '../../data/columns';
import { rateWindow } from '../../data/step';
import { durationText, parseDuration } from '../../data/time';
import { shownTheme } from '../../state';

export interface Host {
  name: string;
  startedMs: number; // this Traceo
  intervalMs: number; // between two collections
  collected: boolean;
}

/** Who this host is. The settings may be hidden from a key: then the defaults are assumed. */
export async function hostFacts(signal: AbortSignal): Promise<Host> {
  const [runtime, settings] = await Promise.all([runtimeInfo({ signal }), flags({ signal }).catch(() => ({ data: {} as Record<string, string> }))]);
  return {
    name: runtime.data.hostname,
    startedMs: Date.parse(runtime.data.startTime),
    intervalMs: parseDuration(settings.data['host.interval'] ?? '') ?? 2000,
    collected: settings.data['host.enabled'] !== 'false',
  };
}

export type HostExpr = (stepMs: number) => string;

/** The expressions of the charts for one host; each follows the step of its chart. */
export function hostExprs(host: Host): Record<'cpu' | 'memory' | 'load' | 'pressure' | 'disk' | 'busy' | 'network', HostExpr> {
  const where = `job="node",instance=${JSON.stringify(host.name)}`;
  // With a point for every collection its own rate is the truest, also in the first seconds; rate() over what has hardly
  // begun would say too little.
  const rate = (metric: string, stepMs: number) => `${stepMs <= 2 * host.intervalMs ? 'irate' : 'rate'}(${metric}[${durationText(rateWindow(stepMs, host.intervalMs))}])`;
  const kind = (expr: string, name: string) => `label_replace(${expr}, "kind", "${name}", "", "")`;
  return {
    cpu: (step) => `sum by (mode) (${rate(`node_cpu_seconds_total{${where},mode!="idle"}`, step)}) / scalar(count(node_cpu_seconds_total{${where},mode="idle"}))`,
    memory: () =>
      [
        kind(`node_memory_MemTotal_bytes{${where}} - node_memory_MemAvailable_bytes{${where}}`, 'used'),
        kind(`node_memory_MemAvailable_bytes{${where}} - node_memory_MemFree_bytes{${where}}`, 'cache'),
        kind(`node_memory_MemFree_bytes{${where}}`, 'free'),
      ].join(' or '),
    load: () => `{__name__=~"node_load1|node_load5|node_load15",${where}}`,
    pressure: (step) =>
      [
        kind(rate(`node_pressure_cpu_waiting_seconds_total{${where}}`, step), 'processor'),
        kind(rate(`node_pressure_memory_waiting_seconds_total{${where}}`, step), 'memory'),
        kind(rate(`node_pressure_io_waiting_seconds_total{${where}}`, step), 'disk'),
      ].join(' or '),
    disk: (step) =>
      [
        kind(`sum(${rate(`node_disk_read_bytes_total{${where}}`, step)})`, 'read'),
        kind(`sum(${rate(`node_disk_written_bytes_total{${where}}`, step)})`, 'written'),
      ].join(' or '),
    // Of all the devices a kernel lists, those that did something since it started.
    busy: (step) => `${rate(`node_disk_io_time_seconds_total{${where}}`, step)} and node_disk_io_time_seconds_total{${where}} > 0`,
    network: (step) =>
      [
        kind(`sum(${rate(`node_network_receive_bytes_total{${where},device!="lo"}`, step)})`, 'received'),
        kind(`sum(${rate(`node_network_transmit_bytes_total{${where},device!="lo"}`, step)})`, 'sent'),
      ].join(' or '),
  };
}

export const MODES = ['user', 'system', 'iowait', 'nice', 'irq', 'softirq', 'steal'];

/** Series in this order, so that a kind keeps its place and its colour; others behind, zeros away. */
export function arrange(data: Columns | undefined, order: readonly string[], dropZeros = false): Columns | undefined {
  if (data === undefined) return undefined;
  const place = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  const series = data.series
    .filter((one) => !dropZeros || place(one.name) < 2 || one.values.some((value) => value !== null && value > 0.005))
    .map((one) => (one.name === 'free' ? { ...one, color: shownTheme.value === 'dark' ? '#39434f' : '#c3ccd6' } : one))
    .sort((a, b) => place(a.name) - place(b.name) || (a.name < b.name ? -1 : 1));
  return { times: data.times, series };
}

/** The sum over all series, for a tile. */
export function total(data: Columns | undefined, names?: readonly string[]): (number | null)[] {
  if (data === undefined) return [];
  const chosen = data.series.filter((one) => names === undefined || names.includes(one.name));
  return data.times.map((_, i) => {
    let sum: number | null = null;
    for (const one of chosen) if (one.values[i] !== null && one.values[i] !== undefined) sum = (sum ?? 0) + one.values[i]!;
    return sum;
  });
}

/** The largest of all series, for a tile. */
export function largest(data: Columns | undefined): (number | null)[] {
  if (data === undefined) return [];
  return data.times.map((_, i) => data.series.reduce<number | null>((most, one) => (one.values[i] == null ? most : Math.max(most ?? 0, one.values[i]!)), null));
}

export function lastOf(values: readonly (number | null)[]): number | null {
  for (let i = values.length - 1; i >= 0; i--) if (values[i] !== null && values[i] !== undefined) return values[i]!;
  return null;
}
