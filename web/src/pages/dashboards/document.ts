// A dashboard is a JSON document of this shape; docs/dashboards.md describes it for people. Documents come from files of
// anybody, so `parseDashboard` looks at everything and names each place that is wrong.
import { UNIT_NAMES, type Unit } from '../../data/units';
import { parseDuration } from '../../data/time';

export interface Dashboard {
  version: 1;
  id: string; // in the address: letters, digits, '-'
  title: string;
  about: string; // one line, for the list
  tenant: string; // whose data; '' is that of the page
  interval: string; // how often the data comes: $rate is at least four of it
  variables: Variable[];
  rows: Row[];
}

export type Variable = QueryVariable | IntervalVariable | TextVariable;

/** The values of a label. In expressions it is a regular expression: instance=~"$instance". */
export interface QueryVariable {
  kind: 'query';
  name: string;
  title: string;
  label: string;
  match: string; // a selector that series must fit; may hold variables defined before
  many: boolean; // several at once
  all: boolean; // all of them, and that at first; else the first one
}

/** A duration to choose, 'auto' among them. Without one, $rate is what fits the step. */
export interface IntervalVariable {
  kind: 'interval';
  name: string;
  title: string;
  values: string[];
}

/** What somebody types; put between quotes, device=~"$device". */
export interface TextVariable {
  kind: 'text';
  name: string;
  title: string;
  value: string; // at first
}

export interface Row {
  title: string;
  folded: boolean; // at first
  panels: Panel[];
}

export type PanelKind = 'series' | 'stat' | 'gauge' | 'table' | 'heatmap';
export type Level = 'good' | 'warn' | 'bad';
export type Reduce = 'last' | 'min' | 'max' | 'mean';

/** From this value on, or up to that one, the level holds; the last one that fits counts. One of the two is there. */
export interface Threshold {
  from?: number;
  below?: number;
  level: Level;
}

export interface PanelQuery {
  expr: string;
  legend: string; // '{{device}}'; in a table the heading of the column
  unit: Unit | ''; // of this query's column in a table
}

export interface Panel {
  kind: PanelKind;
  title: string;
  note: string; // small, beside the title
  width: number; // of 12 columns
  height: number; // px of what is drawn
  unit: Unit;
  stacked: boolean;
  exemplars: boolean; // of lines: dots of single requests
  min: number | undefined;
  max: number | undefined; // of the axis; the full gauge
  reduce: Reduce; // the number of a stat or a gauge
  thresholds: Threshold[];
  columns: string[]; // labels that a table shows; none: all of them
  sort: string; // of a table at first: 'device', '-1' (the first query's value falling)
  scale: 'log' | 'linear'; // of a heat map's value axis
  queries: PanelQuery[];
}

const KINDS: readonly PanelKind[] = ['series', 'stat', 'gauge', 'table', 'heatmap'];
const LEVELS: readonly Level[] = ['good', 'warn', 'bad'];
const REDUCES: readonly Reduce[] = ['last', 'min', 'max', 'mean'];
/** What expressions have without a definition. */
export const BUILT_IN_NAMES: readonly string[] = ['rate', 'step', 'range'];
const BYTES_MAX = 1 << 20;
const PANELS_MAX = 200;
const QUERIES_MAX = 20;

export class DocumentError extends Error {
  constructor(readonly faults: readonly string[]) {
    super(faults.join('\n'));
    this.name = 'DocumentError';
  }
}

// Reads the fields of one object of the document, notes what is wrong, and at the end what is unknown (a typing error).
class Reader {
  private readonly seen = new Set<string>();
  constructor(
    private readonly from: Record<string, unknown>,
    private readonly path: string,
    private readonly faults: string[],
  ) {}

  at(name: string): string {
    return this.path === '' ? name : this.path + '.' + name;
  }
  fault(name: string, sentence: string): void {
    this.faults.push(`${this.at(name)}: ${sentence}`);
  }
  private take(name: string): unknown {
    this.seen.add(name);
    return Object.hasOwn(this.from, name) ? this.from[name] : undefined;
  }
  text(name: string, otherwise?: string): string {
    const value = this.take(name);
    if (value === undefined && otherwise !== undefined) return otherwise;
    if (typeof value === 'string' && (value !== '' || otherwise !== undefined)) return value;
    this.fault(name, value === undefined ? 'is missing; a text belongs here' : 'must be a text' + (otherwise === undefined ? ' that is not empty' : ''));
    return '';
  }
  choice<T extends string>(name: string, choices: readonly T[], otherwise?: T): T {
    const value = this.take(name);
    if (value === undefined && otherwise !== undefined) return otherwise;
    if (choices.includes(value as T)) return value as T;
    this.fault(name, `must be one of ${choices.filter((one) => one !== '').join(', ')}`);
    return otherwise ?? choices[0]!;
  }
  flag(name: string): boolean {
    const value = this.take(name) ?? false;
    if (typeof value !== 'boolean') this.fault(name, 'must be true or false');
    return value === true;
  }
  number(name: string, least: number, most: number): number | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && value >= least && value <= most) return value;
    this.fault(name, Number.isFinite(least) ? `must be a number from ${least} to ${most}` : 'must be a number');
    return undefined;
  }
  texts(name: string): string[] {
    const value = this.take(name) ?? [];
    if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value;
    this.fault(name, 'must be a list of texts');
    return [];
  }
  list<T>(name: string, read: (reader: Reader) => T): T[] {
    const value = this.take(name) ?? [];
    if (!Array.isArray(value)) {
      this.fault(name, 'must be a list');
      return [];
    }
    return value.flatMap((one: unknown, i) => {
      const path = `${this.at(name)}[${i}]`;
      if (typeof one !== 'object' || one === null || Array.isArray(one)) {
        this.faults.push(path + ': must be an object');
        return [];
      }
      const reader = new Reader(one as Record<string, unknown>, path, this.faults);
      const out = read(reader);
      reader.end();
      return [out];
    });
  }
  end(): void {
    for (const name of Object.keys(this.from)) if (!this.seen.has(name)) this.fault(name, 'is not known here');
  }
}

function readVariable(r: Reader): Variable {
  const kind = r.choice('kind', ['query', 'interval', 'text'] as const);
  const name = r.text('name');
  if (name !== '' && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) r.fault('name', 'must be a word of letters, digits and _');
  if (BUILT_IN_NAMES.includes(name) && kind !== 'interval') r.fault('name', `is taken: $${name} is always there`);
  const title = r.text('title', name);
  if (kind === 'query') return { kind, name, title, label: r.text('label'), match: r.text('match', ''), many: r.flag('many'), all: r.flag('all') };
  if (kind === 'text') return { kind, name, title, value: r.text('value', '') };
  const values = r.texts('values');
  if (values.length === 0) r.fault('values', 'needs at least one duration, or "auto"');
  for (const value of values) if (value !== 'auto' && parseDuration(value) === undefined) r.fault('values', `${JSON.stringify(value)} is no duration, as "5m" is`);
  return { kind, name, title, values };
}

function readPanel(r: Reader): Panel {
  const kind = r.choice('kind', KINDS);
  const queries = r.list('queries', (q) => ({ expr: q.text('expr'), legend: q.text('legend', ''), unit: q.choice<Unit | ''>('unit', ['', ...UNIT_NAMES], '') }));
  if (queries.length === 0) r.fault('queries', 'needs at least one');
  if (queries.length > QUERIES_MAX) r.fault('queries', `has more than ${QUERIES_MAX}`);
  if (kind === 'heatmap' && queries.length > 1) r.fault('queries', 'of a heat map is one');
  const exemplars = r.flag('exemplars');
  if (exemplars && kind !== 'series') r.fault('exemplars', 'are drawn by panels of the kind series only');
  return {
    kind,
    title: r.text('title'),
    note: r.text('note', ''),
    width: Math.round(r.number('width', 1, 12) ?? (kind === 'stat' || kind === 'gauge' ? 2 : 6)),
    height: r.number('height', 40, 1200) ?? (kind === 'stat' || kind === 'gauge' ? 84 : kind === 'heatmap' ? 220 : 180),
    unit: r.choice('unit', UNIT_NAMES, 'none'),
    stacked: r.flag('stacked'),
    exemplars,
    min: r.number('min', -Infinity, Infinity),
    max: r.number('max', -Infinity, Infinity),
    reduce: r.choice('reduce', REDUCES, 'last'),
    thresholds: r.list('thresholds', (t) => {
      const from = t.number('from', -Infinity, Infinity);
      const below = t.number('below', -Infinity, Infinity);
      if ((from === undefined) === (below === undefined)) t.fault('from', 'or "below" is needed, one of them');
      return { from, below, level: t.choice('level', LEVELS) };
    }),
    columns: r.texts('columns'),
    sort: r.text('sort', ''),
    scale: r.choice('scale', ['log', 'linear'] as const, 'log'),
    queries,
  };
}

/** The document, with what it leaves out filled in. Throws DocumentError, or SyntaxError where it is not JSON. */
export function parseDashboard(json: unknown): Dashboard {
  if (typeof json === 'string') {
    if (json.length > BYTES_MAX) throw new DocumentError(['it is larger than 1 MiB']);
    json = JSON.parse(json) as unknown;
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new DocumentError(['a dashboard is a JSON object']);
  const faults: string[] = [];
  const from = json as Record<string, unknown>;
  if (Array.isArray(from['panels']) && from['rows'] === undefined) throw new DocumentError(['this looks like a dashboard of Grafana; Traceo has a form of its own ("rows" of "panels")']);
  const r = new Reader(from, '', faults);
  if (r.number('version', 1, 1) === undefined && !faults.length) r.fault('version', 'is missing; it is 1');
  const id = r.text('id');
  if (id !== '' && !/^[a-z0-9][a-z0-9-]{0,63}$/.test(id)) r.fault('id', "must be made of a to z, 0 to 9 and '-', at most 64");
  const found: Dashboard = {
    version: 1,
    id,
    title: r.text('title'),
    about: r.text('about', ''),
    tenant: r.text('tenant', ''),
    interval: r.text('interval', '15s'),
    variables: r.list('variables', readVariable),
    rows: r.list('rows', (row) => ({ title: row.text('title', ''), folded: row.flag('folded'), panels: row.list('panels', readPanel) })),
  };
  r.end();
  if (parseDuration(found.interval) === undefined) r.fault('interval', 'must be a duration, as "15s"');
  const names = found.variables.map((one) => one.name);
  names.forEach((name, i) => {
    if (names.indexOf(name) !== i) faults.push(`variables[${i}].name: "${name}" is there twice`);
  });
  const panels = found.rows.reduce((sum, row) => sum + row.panels.length, 0);
  if (panels === 0 && faults.length === 0) r.fault('rows', 'hold no panel');
  if (panels > PANELS_MAX) r.fault('rows', `hold more than ${PANELS_MAX} panels`);
  checkUses(found, faults);
  if (faults.length > 0) throw new DocumentError(faults);
  return found;
}

/** Names of the variables that a text uses: $name and ${name}. */
export function usesOf(text: string): string[] {
  return [...text.matchAll(/\$(?:\{(\w+)\}|(\w+))/g)].map((match) => match[1] ?? match[2]!);
}

function checkUses(found: Dashboard, faults: string[]): void {
  const known = new Set(BUILT_IN_NAMES);
  const check = (text: string, path: string) => {
    // In a regular expression a '$' is an end; only what looks like a name counts.
    for (const name of usesOf(text)) if (!known.has(name) && /^[A-Za-z_]/.test(name)) faults.push(`${path}: $${name} is not defined (before it is used)`);
  };
  found.variables.forEach((one, i) => {
    if (one.kind === 'query') check(one.match, `variables[${i}].match`);
    known.add(one.name);
  });
  found.rows.forEach((row, i) =>
    row.panels.forEach((panel, k) =>
      panel.queries.forEach((query, n) => {
        check(query.expr, `rows[${i}].panels[${k}].queries[${n}].expr`);
        check(query.legend, `rows[${i}].panels[${k}].queries[${n}].legend`);
      }),
    ),
  );
}

/** The document as it is written to a file: without what is left out anyway. */
export function dashboardText(dashboard: Dashboard): string {
  return JSON.stringify(dashboard, (_, value: unknown) => (value === '' || value === false || (Array.isArray(value) && value.length === 0) ? undefined : value), 2) + '\n';
}
