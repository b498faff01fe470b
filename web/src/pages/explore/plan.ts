// The plan of a query as the lines of a table: what each node did, how long it alone took, how deep it stands.
import type { PlanNode } from '../../data/api';
import { indexOfByte } from './fault';

export interface PlanLine {
  key: string; // its place in the tree: '0.1.0'
  node: PlanNode;
  depth: number;
  last: boolean; // of its parent's children
  open: readonly boolean[]; // of each ancestor below the root: does it have younger siblings, so that a line goes on
  share: number; // of the time of all nodes
}

function selfSum(plan: PlanNode): number {
  let sum = 0;
  // Not by recursion: how deep a stack may be the browser decides.
  for (const waiting = [plan]; waiting.length > 0; ) {
    const node = waiting.pop()!;
    sum += node.selfMs;
    waiting.push(...node.children);
  }
  return sum;
}

const DEPTH_MAX = 200; // the server shows fewer levels; whatever it sends, the page stays small

/** In the order in which one reads the query: a node before its children. */
export function planLines(plan: PlanNode): PlanLine[] {
  const whole = selfSum(plan);
  const lines: PlanLine[] = [];
  const walk = (node: PlanNode, key: string, depth: number, last: boolean, open: readonly boolean[]) => {
    lines.push({ key, node, depth, last, open, share: whole > 0 ? node.selfMs / whole : 0 });
    if (depth >= DEPTH_MAX) return;
    node.children.forEach((child, i) => {
      const isLast = i === node.children.length - 1;
      walk(child, `${key}.${i}`, depth + 1, isLast, depth === 0 ? [] : [...open, !last]);
    });
  };
  walk(plan, '0', 0, true, []);
  return lines;
}

/** The part of the text that a node stands for; undefined where the text is not the one that was run. */
export function partOf(node: PlanNode, ran: string, text: string): { from: number; to: number } | undefined {
  if (ran !== text) return undefined;
  const [from, to] = node.position;
  return { from: indexOfByte(text, from), to: indexOfByte(text, to) };
}
