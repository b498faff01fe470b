import { expect, test } from 'vitest';
import { countExpr, parseWhere, partSelector, whereParam, widthsExpr } from './drill';

test('conditions go to the address and come back, whatever labels are called', () => {
  for (const one of [{ label: 'job', value: 'a=b!c' }, { label: '__name__', value: 'up' }, { label: 'pod', value: undefined }, { label: 'k=x !', value: '' }, { label: 'é', value: '"\n' }]) expect(parseWhere(whereParam(one))).toEqual(one);
  for (const broken of ['', '=', 'x', '%zz=1', '!']) expect(parseWhere(broken)).toBeUndefined();
});

test('conditions are a selector', () => {
  expect(partSelector([])).toBe('{}');
  expect(partSelector([{ label: '__name__', value: 'up' }])).toBe('up');
  expect(partSelector([{ label: '__name__', value: 'up' }, { label: 'job', value: 'a"b' }])).toBe('up{job="a\\"b"}');
  expect(partSelector([{ label: 'pod', value: undefined }])).toBe('{pod!=""}');
  expect(partSelector([{ label: '__name__', value: 'up' }, { label: 'k.x', value: undefined }])).toBe('up{"k.x"!=""}');
  expect(partSelector([{ label: '__name__', value: 'http.x' }, { label: 'a', value: '1' }, { label: 'b', value: undefined }])).toBe('{"http.x", a="1", b!=""}');
});

test('counts by a label, and the width of each label', () => {
  const up = [{ label: '__name__', value: 'up' }];
  expect(countExpr(up, 'k.x', 20)).toBe('topk(20, count by ("k.x") (up))');
  expect(widthsExpr(up, ['job', 'a$1'])).toBe('count(up) or label_replace(count(count by (job) (up)), "label", "job", "", "") or label_replace(count(count by ("a$1") (up)), "label", "a$$1", "", "")');
});
