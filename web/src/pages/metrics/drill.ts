// Where series come from: which part of them is looked at (a metric, a label, a pair), by which label it is counted, to and
// from the address and as PromQL.
import { quote, selectorText } from '../explore/selector';

/** One condition: a label with a value, or with any value (`value` undefined). The metric's name is the label __name__. */
export interface Where {
  label: string;
  value: string | undefined;
}

/** "job=api", "pod!" (has the label). The label is escaped, as its name may hold anything. */
export function whereParam({ label, value }: Where): string {
  return encodeURIComponent(label).replaceAll('!', '%21') + (value === undefined ? '!' : '=' + value);
}

export function parseWhere(text: string): Where | undefined {
  const found = /^([^=!]+)(?:=([\s\S]*)|!)$/.exec(text);
  if (found === null) return undefined;
  try {
    return { label: decodeURIComponent(found[1]!), value: found[2] };
  } catch {
    return undefined;
  }
}

/** The selector of the part. */
export function partSelector(where: readonly Where[]): string {
  const metric = where.find((one) => one.label === '__name__' && one.value !== undefined)?.value ?? '';
  const equal = where.filter((one) => one.label !== '__name__' && one.value !== undefined).map((one) => ({ label: one.label, values: [one.value!] }));
  const has = where.filter((one) => one.value === undefined).map((one) => nameOf(one.label) + '!=""');
  const base = selectorText(metric, equal);
  if (has.length === 0) return base;
  if (base === '{}') return '{' + has.join(', ') + '}';
  return base.endsWith('}') ? base.slice(0, -1) + ', ' + has.join(', ') + '}' : base + '{' + has.join(', ') + '}';
}

function nameOf(label: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(label) ? label : quote(label);
}

/** How many series each value has: the largest `top`. */
export function countExpr(where: readonly Where[], by: string, top: number): string {
  return `topk(${top}, count by (${nameOf(by)}) (${partSelector(where)}))`;
}

/** How many values each label has, and how many series there are in all, with one query. */
export function widthsExpr(where: readonly Where[], labels: readonly string[]): string {
  const selector = partSelector(where);
  const widths = labels.map((label) => `label_replace(count(count by (${nameOf(label)}) (${selector})), "label", ${quote(label.replaceAll('$', () => '$$'))}, "", "")`);
  return [`count(${selector})`, ...widths].join(' or ');
}
