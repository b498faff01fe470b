import { expect, test } from 'vitest';
import type { PlanNode } from '../../data/api';
import { partOf, planLines } from './plan';

// As the server answers for sum(rate(é[1m])) / scalar(count(b)).
const node = (name: string, position: [number, number], selfMs: number, children: PlanNode[] = []): PlanNode => ({
  node: name,
  operator: 'x',
  position,
  series: 1,
  points: 1,
  samples: 0,
  selfMs,
  totalMs: selfMs + children.reduce((sum, child) => sum + child.totalMs, 0),
  memoryBytes: 0,
  children,
});
const text = '"é" / b';
const plan = node('/', [0, 8], 1, [node('sum', [0, 4], 2, [node('rate', [0, 4], 5)]), node('b', [7, 8], 2)]);

test('a node stands before its children, with its part of the time', () => {
  const lines = planLines(plan);
  expect(lines.map((line) => [line.key, line.node.node, line.depth, line.last, line.share])).toEqual([
    ['0', '/', 0, true, 0.1],
    ['0.0', 'sum', 1, false, 0.2],
    ['0.0.0', 'rate', 2, true, 0.5],
    ['0.1', 'b', 1, true, 0.2],
  ]);
  expect(lines[2]!.open).toEqual([true]);
});

test('a plan that took no time has no shares', () => {
  expect(planLines(node('1', [0, 1], 0))[0]!.share).toBe(0);
});

test('a deep plan ends', () => {
  let deep = node('x', [0, 1], 1);
  for (let i = 0; i < 5000; i++) deep = { ...deep, children: [deep] };
  const lines = planLines(deep);
  expect(lines.length).toBe(201);
});

test('bytes of the query are found in its text', () => {
  expect(partOf(plan.children[1]!, text, text)).toEqual({ from: 6, to: 7 });
  expect(partOf(plan.children[0]!, text, text)).toEqual({ from: 0, to: 3 });
  expect(partOf(plan, text, 'other')).toBeUndefined();
});
