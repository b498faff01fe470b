// Building selectors: name{label="value", …} from what was clicked.
import type { Labels } from '../../data/api';

export interface Matcher {
  label: string;
  values: readonly string[]; // one: equal; several: any of them
}

const WORD = /^[A-Za-z_][A-Za-z0-9_]*$/;
const METRIC = /^[A-Za-z_:][A-Za-z0-9_:]*$/;

/** A string of PromQL. JSON's escapes are a part of Go's, but for the two separators that JSON may leave bare. */
export function quote(text: string): string {
  return JSON.stringify(text);
}

function escapeRegex(text: string): string {
  return text.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
}

function matcherText({ label, values }: Matcher): string {
  const name = WORD.test(label) ? label : quote(label);
  if (values.length === 1) return `${name}=${quote(values[0]!)}`;
  return `${name}=~${quote(values.map(escapeRegex).join('|'))}`;
}

export function selectorText(metric: string, matchers: readonly Matcher[]): string {
  const parts = matchers.filter((matcher) => matcher.values.length > 0).map(matcherText);
  if (metric !== '' && !METRIC.test(metric)) return '{' + [quote(metric), ...parts].join(', ') + '}';
  if (parts.length === 0) return metric === '' ? '{}' : metric;
  return metric + '{' + parts.join(', ') + '}';
}

/** The selector of exactly one series. */
export function seriesSelector(labels: Labels): string {
  const { __name__: name = '', ...rest } = labels;
  return selectorText(
    name,
    Object.entries(rest)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([label, value]) => ({ label, values: [value] })),
  );
}

/** What one usually wants of a metric: the rate of a counter, a quantile of a histogram, the value itself otherwise. */
export function usualQuery(metric: string, type: string, matchers: readonly Matcher[] = []): string {
  const selector = selectorText(metric, matchers);
  if (type === 'counter') return `rate(${selector}[5m])`;
  if (type === 'histogram' && metric.endsWith('_bucket')) return `histogram_quantile(0.95, sum by (le) (rate(${selector}[5m])))`;
  return selector;
}
