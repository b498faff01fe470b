// What the metric browser lists: the names that have samples in the range, each with what its metadata says; search; and
// the labels of one metric with their values.
import type { Labels, Metadata } from '../../data/api';
import type { Matcher } from './selector';

export interface Metric {
  name: string;
  type: string; // 'counter', …; '' when nothing is known
  unit: string;
  help: string;
}

const PARTS = /_(bucket|count|sum|total|created|info)$/;

/** A series' name may be that of its family with a suffix (http_seconds_bucket). */
export function metadataOf(name: string, known: Readonly<Record<string, Metadata[]>>): Metadata | undefined {
  return known[name]?.[0] ?? known[name.replace(PARTS, '')]?.[0];
}

export function metricsOf(names: readonly string[], known: Readonly<Record<string, Metadata[]>>): Metric[] {
  return [...names].sort().map((name) => {
    const found = metadataOf(name, known);
    const part = PARTS.exec(name)?.[1];
    const folded = found !== undefined && (found.type === 'histogram' || found.type === 'summary') && (part === 'count' || part === 'sum');
    return { name, type: folded ? 'counter' : (found?.type ?? ''), unit: found?.unit ?? '', help: found?.help ?? '' };
  });
}

/** Every word must be in the name or in the help. Those whose name begins with it come first, then by name, then by help. */
export function searchMetrics(metrics: readonly Metric[], words: string): Metric[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length === 0) return [...metrics];
  const scored = metrics.flatMap((metric) => {
    const name = metric.name.toLowerCase();
    const help = metric.help.toLowerCase();
    let score = 0;
    for (const word of wanted) {
      if (name === word) score += 0;
      else if (name.startsWith(word)) score += 1;
      else if (name.includes('_' + word)) score += 2;
      else if (name.includes(word)) score += 3;
      else if (help.includes(word)) score += 10;
      else return [];
    }
    return [{ metric, score }];
  });
  return scored.sort((a, b) => a.score - b.score || (a.metric.name < b.metric.name ? -1 : 1)).map((one) => one.metric);
}

/** The nearest known name to a mistyped one; undefined when none is near. */
export function nearestName(name: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(name.length / 4)) + 1;
  for (const one of names) {
    if (Math.abs(one.length - name.length) >= least) continue;
    const distance = editDistance(name, one);
    if (distance < least) [best, least] = [one, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length]!;
}

export interface Facet {
  label: string;
  values: { value: string; count: number }[]; // the most frequent first
}

/** Labels of the series with how many each value has; the choice in one label narrows the counts of the others. */
export function facetsOf(series: readonly Labels[], chosen: readonly Matcher[]): Facet[] {
  const sets = chosen.filter((one) => one.values.length > 0).map((one) => ({ label: one.label, values: new Set(one.values) }));
  const counts = new Map<string, Map<string, number>>();
  for (const labels of series) {
    const misses = sets.filter((set) => !set.values.has(labels[set.label] ?? ''));
    for (const [label, value] of Object.entries(labels)) {
      if (label === '__name__') continue;
      const values = counts.get(label) ?? new Map<string, number>();
      const counted = misses.length === 0 || (misses.length === 1 && misses[0]!.label === label);
      values.set(value, (values.get(value) ?? 0) + (counted ? 1 : 0));
      counts.set(label, values);
    }
  }
  return [...counts]
    .map(([label, values]) => ({ label, values: [...values].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count || a.value.localeCompare(b.value, 'en', { numeric: true })) }))
    .sort((a, b) => (a.label < b.label ? -1 : 1));
}

export function matching(series: readonly Labels[], chosen: readonly Matcher[]): number {
  const sets = chosen.filter((one) => one.values.length > 0).map((one) => ({ label: one.label, values: new Set(one.values) }));
  return series.filter((labels) => sets.every((set) => set.values.has(labels[set.label] ?? ''))).length;
}
