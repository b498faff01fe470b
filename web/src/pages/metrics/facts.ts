// What can be said of a metric from its name, its family and its series.
import type { Labels, Metadata } from '../../data/api';

/** Metadata is kept by family; `x_bucket`, `x_sum`, `x_count`, `x_total` belong to the family `x`. */
export function familyOf(name: string, known: Readonly<Record<string, readonly Metadata[]>>): Metadata | undefined {
  if (Object.hasOwn(known, name)) return known[name]![0];
  const cut = /^(.*)_(?:bucket|sum|count|total|created|info)$/.exec(name)?.[1];
  if (cut === undefined || !Object.hasOwn(known, cut)) return undefined;
  return known[cut]![0];
}

const plain = /^[A-Za-z_:][A-Za-z0-9_:]*$/;

/** `name{label="value"}`; names that are no identifiers go into the braces, quoted. */
export function selector(name: string, label?: string, value?: string): string {
  const pairs = label === undefined ? [] : [`${/^[A-Za-z_][A-Za-z0-9_]*$/.test(label) ? label : JSON.stringify(label)}=${JSON.stringify(value ?? '')}`];
  if (!plain.test(name)) return '{' + [JSON.stringify(name), ...pairs].join(', ') + '}';
  return pairs.length === 0 ? name : `${name}{${pairs.join(', ')}}`;
}

/** What one would ask first: the rate of what counts up, the 95th percentile of a histogram, else the value. */
export function sensible(name: string, type: Metadata['type']): string {
  const one = selector(name);
  if (type === 'histogram' && name.endsWith('_bucket')) return `histogram_quantile(0.95, sum by (le) (rate(${one}[5m])))`;
  if (type === 'counter' || /_(?:total|count|sum|bucket)$/.test(name)) return `rate(${one}[5m])`;
  return one;
}

export interface LabelFact {
  name: string;
  values: { value: string; count: number }[]; // most series first
}

/** Which labels the series have, with the values of each by the number of series; most values first. */
export function labelFacts(all: readonly Labels[]): LabelFact[] {
  const found = new Map<string, Map<string, number>>();
  for (const labels of all) {
    for (const [name, value] of Object.entries(labels)) {
      if (name === '__name__') continue;
      const values = found.get(name) ?? new Map<string, number>();
      found.set(name, values.set(value, (values.get(value) ?? 0) + 1));
    }
  }
  return [...found]
    .map(([name, values]) => ({ name, values: [...values].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count || a.value.localeCompare(b.value)) }))
    .sort((a, b) => b.values.length - a.values.length || a.name.localeCompare(b.name));
}
