// Variables filled into texts: $name and ${name}.
//
// A value from outside must not end the string it stands in. A label's values become a regular expression whose every
// character stands for itself, escaped once more for the quotes around it; what somebody types stays a regular expression,
// and is escaped for the quotes only.
import { rateWindow } from '../../data/step';
import { durationText, parseDuration } from '../../data/time';
import type { Dashboard, Variable } from './document';

/** What is chosen: for a label its values (none: all of them), for the others one text. */
export type Chosen = Readonly<Record<string, readonly string[]>>;

export interface Moment {
  stepMs: number;
  rangeMs: number;
}

function forRegex(text: string): string {
  return text.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
}

/** For between double quotes, as PromQL reads them. */
function forQuotes(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

export function valueOf(variable: Variable, chosen: Chosen, moment: Moment, intervalMs: number): string {
  const values = chosen[variable.name] ?? [];
  switch (variable.kind) {
    case 'query':
      // Of all, also series without the label: that is what "all" means where a label is not everywhere.
      return values.length === 0 ? '.*' : forQuotes(values.map(forRegex).join('|'));
    case 'text':
      return forQuotes(values[0] ?? variable.value);
    case 'interval': {
      const value = values[0] ?? variable.values[0] ?? 'auto';
      // Shorter than four intervals of the data there would be gaps; said to be 'auto', it is never so.
      return value === 'auto' ? durationText(rateWindow(moment.stepMs, intervalMs)) : value;
    }
  }
}

export function fill(text: string, dashboard: Dashboard, chosen: Chosen, moment: Moment): string {
  const intervalMs = parseDuration(dashboard.interval) ?? 15000;
  return text.replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced: string | undefined, bare: string | undefined) => {
    const name = braced ?? bare!;
    const variable = dashboard.variables.find((one) => one.name === name);
    if (variable !== undefined) return valueOf(variable, chosen, moment, intervalMs);
    if (name === 'rate') return durationText(rateWindow(moment.stepMs, intervalMs));
    if (name === 'step') return durationText(moment.stepMs);
    if (name === 'range') return durationText(Math.max(1000, Math.round(moment.rangeMs / 1000) * 1000));
    return whole;
  });
}

/** The same for legends and titles: the values as people read them, nothing escaped. */
export function fillPlain(text: string, dashboard: Dashboard, chosen: Chosen): string {
  return text.replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced: string | undefined, bare: string | undefined) => {
    const variable = dashboard.variables.find((one) => one.name === (braced ?? bare));
    if (variable === undefined) return whole;
    const values = chosen[variable.name] ?? [];
    return values.length === 0 ? (variable.kind === 'query' ? 'all' : variable.kind === 'text' ? variable.value : variable.values[0]!) : values.join(', ');
  });
}

const PREFIX = 'var-';

/** What the address says: var-instance=a, once for each value. */
export function chosenOf(query: URLSearchParams, dashboard: Dashboard): Chosen {
  return Object.fromEntries(
    dashboard.variables.flatMap((one) => {
      const values = query.getAll(PREFIX + one.name);
      return values.length === 0 ? [] : [[one.name, one.kind === 'query' && one.many ? values : values.slice(-1)] as const];
    }),
  );
}

export const ALL = '$all'; // in the address: all of them, where the first value is what is shown without a choice

/** With what holds where nobody chose: the first of the label's values, unless all are wanted. */
export function withDefaults(dashboard: Dashboard, chosen: Chosen, options: Readonly<Record<string, readonly string[]>>): Chosen {
  return Object.fromEntries(
    dashboard.variables.flatMap((one) => {
      const values = chosen[one.name];
      if (one.kind !== 'query') return values === undefined ? [] : [[one.name, values] as const];
      if (values?.includes(ALL)) return [[one.name, []] as const];
      if (values !== undefined) return [[one.name, values] as const];
      return [[one.name, one.all ? [] : (options[one.name] ?? []).slice(0, 1)] as const];
    }),
  );
}

/** Parameters of the address for a choice; without one the default holds. */
export function chosenParams(variable: Variable, values: readonly string[] | undefined): Record<string, readonly string[] | undefined> {
  return { [PREFIX + variable.name]: values === undefined || values.length === 0 ? undefined : values };
}
