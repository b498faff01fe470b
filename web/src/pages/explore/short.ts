// Names as the legend shows them: what all series share is said once, above, so that each row says what makes it itself.
import { seriesName, type Column } from '../../data/columns';
import type { Labels } from '../../data/api';
import { plainText } from './plain';

export interface Short {
  common: string; // 'node_load1{job="node"}'; '' when nothing is shared or nothing is gained
  names: string[]; // in the order of the series
}

function without(labels: Labels, shared: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !Object.hasOwn(shared, name)));
}

export function shortNames(series: readonly Pick<Column, 'name' | 'labels'>[]): Short {
  const full = { common: '', names: series.map((one) => one.name) };
  // A template of the person is theirs: only names made of labels are shortened.
  const made = series.every((one) => one.name.endsWith(plainText(seriesName(one.labels))));
  if (series.length < 2 || !made) return full;
  const first = series[0]!.labels;
  const shared = Object.fromEntries(Object.entries(first).filter(([name, value]) => series.every((one) => one.labels[name] === value)));
  if (Object.keys(shared).length === 0) return full;
  const names = series.map((one) => {
    const whole = plainText(seriesName(one.labels));
    const left = plainText(seriesName(without(one.labels, shared))).replace(/^\{(.*)\}$/s, '$1');
    return one.name.slice(0, one.name.length - whole.length) + left;
  });
  if (new Set(names).size !== names.length || names.some((name) => name.trim() === '')) return full;
  return { common: plainText(seriesName(shared)), names };
}
