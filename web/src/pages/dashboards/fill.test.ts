import { expect, test } from 'vitest';
import { parseDashboard, type Dashboard } from './document';
import { ALL, chosenOf, chosenParams, fill, fillPlain, withDefaults } from './fill';

const dashboard: Dashboard = parseDashboard({
  version: 1,
  id: 'a',
  title: 'A',
  variables: [
    { kind: 'query', name: 'job', label: 'job' },
    { kind: 'query', name: 'instance', label: 'instance', many: true, all: true },
    { kind: 'text', name: 'device', value: 'eth.*' },
    { kind: 'interval', name: 'window', values: ['auto', '5m'] },
  ],
  rows: [{ panels: [{ kind: 'series', title: 'P', queries: [{ expr: 'up' }] }] }],
});
const moment = { stepMs: 60e3, rangeMs: 3600e3 };
const filled = (text: string, chosen: Record<string, string[]> = {}) => fill(text, dashboard, chosen, moment);

test('a value stands for itself, whatever characters it has, and cannot leave its quotes', () => {
  expect(filled('x{job=~"$job"}', { job: ['a.b'] })).toBe('x{job=~"a\\\\.b"}');
  expect(filled('x{job=~"$job"}', { job: ['"} or vector(1) #'] })).toBe('x{job=~"\\"\\\\} or vector\\\\(1\\\\) #"}');
  expect(filled('x{job=~"$job"}', { job: ['c:\\d'] })).toBe('x{job=~"c:\\\\\\\\d"}');
  expect(filled('x{job=~"$job"}', { job: ['a$&b'] })).toBe('x{job=~"a\\\\$&b"}');
});

test('several values are alternatives, none are all', () => {
  expect(filled('x{i=~"$instance"}', { instance: ['a:1', 'b:1'] })).toBe('x{i=~"a:1|b:1"}');
  expect(filled('x{i=~"${instance}"}')).toBe('x{i=~".*"}');
});

test('what is typed stays a regular expression, inside its quotes', () => {
  expect(filled('x{d=~"$device"}')).toBe('x{d=~"eth.*"}');
  expect(filled('x{d=~"$device"}', { device: ['a"b\\d'] })).toBe('x{d=~"a\\"b\\\\d"}');
});

test('the window of a rate holds at least four intervals, and a whole step', () => {
  expect(fill('[$rate]', dashboard, {}, { stepMs: 1000, rangeMs: 1 })).toBe('[1m]');
  expect(filled('[$rate] [$window] [$step] [$range]')).toBe('[1m15s] [1m15s] [1m] [1h]');
  expect(filled('[$window]', { window: ['5m'] })).toBe('[5m]');
});

test('what is no variable is left alone', () => {
  expect(filled('x{a=~"b$"} $5 $other $jobs')).toBe('x{a=~"b$"} $5 $other $jobs');
});

test('titles and legends say values as people read them', () => {
  expect(fillPlain('On $instance', dashboard, { instance: ['a.b', 'c'] })).toBe('On a.b, c');
  expect(fillPlain('On $instance, $device', dashboard, {})).toBe('On all, eth.*');
});

test('choices go to the address and come back', () => {
  const query = new URLSearchParams([['var-instance', 'a'], ['var-instance', 'b'], ['var-job', 'x'], ['var-job', 'y'], ['var-none', 'z']]);
  expect(chosenOf(query, dashboard)).toEqual({ instance: ['a', 'b'], job: ['y'] });
  expect(chosenParams(dashboard.variables[0]!, ['x'])).toEqual({ 'var-job': ['x'] });
  expect(chosenParams(dashboard.variables[0]!, undefined)).toEqual({ 'var-job': undefined });
});

test('without a choice the first value holds, or all where the document says so', () => {
  const options = { job: ['p', 'q'], instance: ['1', '2'] };
  expect(withDefaults(dashboard, {}, options)).toEqual({ job: ['p'], instance: [] });
  expect(withDefaults(dashboard, { job: [ALL], instance: ['2'] }, options)).toEqual({ job: [], instance: ['2'] });
  expect(withDefaults(dashboard, {}, {})).toEqual({ job: [], instance: [] });
});
