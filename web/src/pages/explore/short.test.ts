import { expect, test } from 'vitest';
import { seriesName } from '../../data/columns';
import { shortNames } from './short';

const series = (...all: Record<string, string>[]) => all.map((labels) => ({ name: seriesName(labels), labels }));

test('what all share is said once', () => {
  expect(shortNames(series({ __name__: 'm', job: 'a', cpu: '0' }, { __name__: 'm', job: 'a', cpu: '1' }))).toEqual({ common: 'm{job="a"}', names: ['cpu="0"', 'cpu="1"'] });
});

test('a letter in front stays', () => {
  const two = series({ job: 'a', cpu: '0' }, { job: 'a', cpu: '1' }).map((one) => ({ ...one, name: 'A ' + one.name }));
  expect(shortNames(two).names).toEqual(['A cpu="0"', 'A cpu="1"']);
});

test('names stay whole where nothing is shared, where one would be left empty, and where somebody chose them', () => {
  expect(shortNames(series({ a: '1' }, { a: '2' })).names).toEqual(['{a="1"}', '{a="2"}']);
  expect(shortNames(series({ job: 'a' }, { job: 'a', x: '1' })).names).toEqual(['{job="a"}', '{job="a", x="1"}']);
  expect(shortNames([{ name: 'mine', labels: { job: 'a', x: '1' } }, { name: 'yours', labels: { job: 'a', x: '2' } }]).names).toEqual(['mine', 'yours']);
  expect(shortNames(series({ job: 'a' })).names).toEqual(['{job="a"}']);
});
