import { expect, test } from 'vitest';
import { familyOf, labelFacts, selector, sensible } from './facts';

test('a part of a histogram finds its family, and a name of the prototype finds none', () => {
  const known = { latency: [{ type: 'histogram' as const, help: 'h', unit: '' }] };
  expect(familyOf('latency_bucket', known)?.help).toBe('h');
  expect(familyOf('latency', known)?.help).toBe('h');
  expect(familyOf('constructor', known)).toBeUndefined();
  expect(familyOf('other_total', known)).toBeUndefined();
});

test('selectors quote what is no identifier', () => {
  expect(selector('up')).toBe('up');
  expect(selector('up', 'job', 'a"b')).toBe('up{job="a\\"b"}');
  expect(selector('http.requests', 'http.code', '200')).toBe('{"http.requests", "http.code"="200"}');
});

test('what counts up is asked as a rate', () => {
  expect(sensible('jobs_total', 'counter')).toBe('rate(jobs_total[5m])');
  expect(sensible('node_load1', 'gauge')).toBe('node_load1');
  expect(sensible('latency_bucket', 'histogram')).toContain('histogram_quantile(0.95');
});

test('labels with most values come first, values with most series first', () => {
  const facts = labelFacts([
    { __name__: 'm', a: '1', b: 'x' },
    { __name__: 'm', a: '2', b: 'x' },
    { __name__: 'm', a: '2', b: 'x' },
  ]);
  expect(facts.map((fact) => fact.name)).toEqual(['a', 'b']);
  expect(facts[0]!.values[0]).toEqual({ value: '2', count: 2 });
});
