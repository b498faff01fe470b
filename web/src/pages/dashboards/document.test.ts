import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DocumentError, dashboardText, parseDashboard } from './document';
import { BUILT_IN_NAMES } from './names';
import { BUILT_IN, parseOwn } from './store';

const small = () => ({ version: 1, id: 'a', title: 'A', rows: [{ panels: [{ kind: 'series', title: 'P', queries: [{ expr: 'up' }] }] }] });

function faults(document: unknown): readonly string[] {
  try {
    parseDashboard(document);
  } catch (error) {
    if (error instanceof DocumentError) return error.faults;
    throw error;
  }
  return [];
}

test('what a document leaves out is filled in', () => {
  const { rows, interval, variables } = parseDashboard(small());
  expect(interval).toBe('15s');
  expect(variables).toEqual([]);
  expect(rows[0]!.panels[0]).toMatchObject({ width: 6, unit: 'none', reduce: 'last', thresholds: [], stacked: false });
});

test('a document that was written is read as the same', () => {
  for (const one of BUILT_IN) expect(parseDashboard(dashboardText(one))).toEqual(one);
});

test('the built-in dashboards have the names that the palette knows', () => {
  expect(BUILT_IN.map(({ id, title }) => ({ id, title }))).toEqual(BUILT_IN_NAMES);
});

test('the dashboard of Traceo itself asks for metrics that Traceo has', () => {
  const rows = readFileSync(new URL('../../../../src/server/self_metrics.def', import.meta.url), 'utf8');
  const known = new Set([...rows.matchAll(/^(?:METRIC|FAMILY)\((\w+),/gm)].map((match) => match[1]!));
  expect(known.size).toBeGreaterThan(80);
  const exprs = BUILT_IN.find((one) => one.id === 'traceo')!.rows.flatMap((row) => row.panels.flatMap((panel) => panel.queries.map((query) => query.expr)));
  const used = exprs.flatMap((expr) => expr.match(/\b(?:traceo|process)_\w+/g) ?? []).map((name) => (known.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')));
  expect(used.filter((name) => !known.has(name))).toEqual([]);
});

test('every fault is named by its place', () => {
  const bad = { ...small(), id: 'No Id', extra: 1, variables: [{ kind: 'query', name: 'job' }, { kind: 'interval', name: 'rate', values: ['soon'] }] };
  expect(faults(bad)).toEqual(
    expect.arrayContaining([expect.stringMatching(/^id: /), 'extra: is not known here', 'variables[0].label: is missing; a text belongs here', expect.stringMatching(/^variables\[1\]\.values: "soon"/)]),
  );
  const panel = { ...small(), rows: [{ panels: [{ kind: 'pie', title: 'P', width: 20, unit: 'miles', thresholds: [{ level: 'bad' }], queries: [] }] }] };
  const at = 'rows[0].panels[0].';
  expect(faults(panel).map((one) => one.split(':')[0]).sort()).toEqual([at + 'kind', at + 'queries', at + 'thresholds[0].from', at + 'unit', at + 'width']);
});

test('exemplars are of panels with lines', () => {
  const one = (kind: string) => ({ ...small(), rows: [{ panels: [{ kind, title: 'P', exemplars: true, queries: [{ expr: 'up' }] }] }] });
  expect(parseDashboard(one('series')).rows[0]!.panels[0]!.exemplars).toBe(true);
  expect(parseDashboard(small()).rows[0]!.panels[0]!.exemplars).toBe(false);
  expect(JSON.parse(dashboardText(parseDashboard(one('series')))).rows[0].panels[0].exemplars).toBe(true);
  expect(faults(one('stat'))).toEqual(['rows[0].panels[0].exemplars: are drawn by panels of the kind series only']);
});

test('a variable is defined before it is used', () => {
  const use = { ...small(), rows: [{ panels: [{ kind: 'series', title: 'P', queries: [{ expr: 'rate(x{a=~"$a",b=~"y$"}[$rate])' }] }] }] };
  expect(faults(use)).toEqual(['rows[0].panels[0].queries[0].expr: $a is not defined (before it is used)']);
  const order = { ...small(), variables: [{ kind: 'query', name: 'b', label: 'b', match: 'x{a=~"$a"}' }, { kind: 'query', name: 'a', label: 'a' }] };
  expect(faults(order)).toEqual(['variables[0].match: $a is not defined (before it is used)']);
});

test('what is no dashboard says so', () => {
  expect(faults([])).toEqual(['a dashboard is a JSON object']);
  expect(faults({ panels: [], title: 'x' })[0]).toContain('Grafana');
  expect(faults({ version: 1, id: 'a', title: 'A', rows: [] })).toEqual(['rows: hold no panel']);
  expect(faults(JSON.parse('{"version":1,"id":"a","title":"A","rows":[],"__proto__":{"x":1}}'))).toContain('__proto__: is not known here');
  expect(() => parseDashboard('{')).toThrow(SyntaxError);
});

test('storage may hold anything', () => {
  expect(parseOwn(null)).toEqual([]);
  expect(parseOwn('{')).toEqual([]);
  expect(parseOwn('{"a":1}')).toEqual([]);
  expect(parseOwn(JSON.stringify([1, null, { id: 'x' }, small()])).map((one) => one.id)).toEqual(['a']);
});
