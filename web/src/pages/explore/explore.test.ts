// The logic of Explore: the URL, the step, CSV, the legend's figures, selectors, errors in the text, the history.
import { expect, test } from 'vitest';
import { ApiError, type QueryData } from '../../data/api';
import { facetsOf, matching, metricsOf, nearestName, searchMetrics } from './catalogue';
import { asCurl, asTraceo, shellQuote } from './copyas';
import { csvText } from '../../data/tables';
import { answersCsv } from './csv';
import { faultLines, faultOf, indexOfByte } from './fault';
import { parseHistory, searchHistory, withBack, withRun } from './history';
import { isolate, toggle } from './legend';
import { plainText } from './plain';
import { quote, selectorText, seriesSelector, usualQuery } from './selector';
import { capSeries, onOneGrid, rowsOf, sortRows, uniqueNames } from './stats';
import { chooseStep, parseStep } from './step';
import { alignNumbers } from './table';
import { nearSeries } from './tip';
import { hiddenOf, newQuery, readState, withHidden, writeState, type ExploreState } from './url';

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function queryOf(state: ExploreState): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(writeState(state))) {
    for (const one of value === undefined ? [] : typeof value === 'string' ? [value] : value) query.append(name, one);
  }
  return new URLSearchParams(query.toString());
}

test('every state comes back from its URL', () => {
  const texts = ['up', 'rate(a{b="c&d=é:%"}[5m])', '', 'A:B', ' + ', '<img src=x onerror=alert(1)>', 'sum(\n  x\n)', '😀'];
  for (let seed = 1; seed <= 300; seed++) {
    const next = random(seed);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!;
    const names = () => Array.from({ length: Math.floor(next() * 3) }, () => pick(texts));
    const state: ExploreState = {
      queries: Array.from({ length: 1 + Math.floor(next() * 5) }, () => {
        const only = next() < 0.5;
        return { expr: pick(texts), off: next() < 0.3, legend: pick(texts), hidden: only ? [] : names(), only: only ? names() : [], all: next() < 0.2, explain: next() < 0.2 };
      }),
      view: pick(['line', 'stacked', 'heat', 'table'] as const),
      instant: next() < 0.5,
      joined: next() < 0.5,
      step: pick(['', 'low', 'max', '15s']),
      scale: pick(['', 'zero', 'fit', 'log', 'linear'] as const),
      unit: pick(['', 'bytes', '/s']),
      sort: pick(['', '-max', 'name']),
      side: pick(['', 'metrics', 'history', 'none'] as const),
      exemplars: next() < 0.5,
    };
    expect(readState(queryOf(state)), `seed ${seed}`).toEqual(state);
  }
});

test('a short link is enough, and a broken one does not break the page', () => {
  expect(readState(new URLSearchParams('expr=up')).queries).toEqual([newQuery('up')]);
  expect(queryOf(readState(new URLSearchParams('expr=up'))).toString()).toBe('expr=up');
  expect(queryOf(readState(new URLSearchParams(''))).toString()).toBe('');
  const odd = readState(new URLSearchParams('expr=up&off=Z9&hide=nonsense&legend=C:x&view=pie&y=cube&side=left'));
  expect(odd.queries).toEqual([newQuery('up')]);
  expect(odd.view).toBe('line');
  expect(readState(new URLSearchParams('expr=x&'.repeat(99))).queries.length).toBe(26);
});

test('the shorter list says which series are hidden', () => {
  const names = ['a', 'b', 'c', 'd'];
  expect(withHidden(newQuery(), names, new Set(['a']))).toMatchObject({ hidden: ['a'], only: [] });
  expect(withHidden(newQuery(), names, new Set(['a', 'b', 'c']))).toMatchObject({ hidden: [], only: ['d'] });
  expect([...hiddenOf(withHidden(newQuery(), names, new Set(['a', 'b', 'c'])), names)]).toEqual(['a', 'b', 'c']);
  expect(hiddenOf({ ...newQuery(), only: ['gone'] }, names).size).toBe(0);
  expect([...isolate(names, new Set(), 'b')]).toEqual(['a', 'c', 'd']);
  expect([...isolate(names, new Set(['a', 'c', 'd']), 'b')]).toEqual([]);
  expect([...toggle(names, new Set(['a']), 'b')]).toEqual(['a', 'b']);
  expect([...toggle(['a'], new Set(), 'a')]).toEqual([]);
});

test('a step never asks for more points than the server gives', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const next = random(seed);
    const length = Math.round(1000 + next() ** 4 * 400 * 86400e3);
    const span = { fromMs: 1_700_000_000_000, toMs: 1_700_000_000_000 + length };
    for (const choice of ['', 'low', 'max', '1ms', '1s', '1h', 'nonsense']) {
      const { ms } = chooseStep(choice, span, 100 + next() * 3000);
      expect(ms, choice).toBeGreaterThanOrEqual(1);
      expect(length / ms, choice).toBeLessThanOrEqual(11000);
    }
  }
  for (const pixels of [200, 900]) expect(chooseStep('', { fromMs: 0, toMs: 3600e3 }, pixels).ms).toBeLessThanOrEqual(10000);
  expect(chooseStep('15s', { fromMs: 0, toMs: 3600e3 }, 900)).toEqual({ ms: 15000, raised: false });
  expect(chooseStep('1s', { fromMs: 0, toMs: 86400e3 }, 900)).toEqual({ ms: 8000, raised: true });
  expect(parseStep('2m30s')).toBe(150000);
  expect(parseStep('0.5')).toBe(500);
  expect(parseStep('0s')).toBeUndefined();
  expect(parseStep('soon')).toBeUndefined();
});

// As a strict reader of RFC 4180 reads it.
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (let at = 0; at < text.length; ) {
    let cell = '';
    if (text[at] === '"') {
      for (at++; !(text[at] === '"' && text[at + 1] !== '"'); at++) {
        if (text[at] === '"') at++;
        cell += text[at];
      }
      at++;
    } else while (text[at] !== ',' && text[at] !== '\r') cell += text[at++];
    row.push(cell);
    if (text[at] === ',') at++;
    else {
      expect(text.slice(at, at + 2)).toBe('\r\n');
      at += 2;
      rows.push(row);
      row = [];
    }
  }
  return rows;
}

test('CSV holds the data to the digit', () => {
  const data: QueryData = {
    resultType: 'matrix',
    result: [
      { metric: { __name__: 'm', a: 'x,"y"\r\nz', le: '+Inf' }, values: [[1.5, '0.1'], [2.5, 'NaN']] },
      { metric: { __name__: 'm', b: '=HYPERLINK("http://evil")' }, values: [[1.5, '-1e-300']] },
    ],
  };
  expect(parseCsv(answersCsv([{ letter: 'A', data }]))).toEqual([
    ['time', '__name__', 'a', 'b', 'le', 'value'],
    ['1970-01-01T00:00:01.500Z', 'm', 'x,"y"\r\nz', '', '+Inf', '0.1'],
    ['1970-01-01T00:00:02.500Z', 'm', 'x,"y"\r\nz', '', '+Inf', 'NaN'],
    ['1970-01-01T00:00:01.500Z', 'm', '', '\'=HYPERLINK("http://evil")', '', '-1e-300'],
  ]);
  const native: QueryData = { resultType: 'matrix', result: [{ metric: { job: 'a' }, histograms: [[1, { count: '3', sum: '2', buckets: [[0, '0.5', '1', '2'], [0, '1', '+Inf', '1']] }]] }] };
  expect(answersCsv([{ letter: 'A', data: native }])).toBe('time,job,low,high,value\r\n1970-01-01T00:00:01.000Z,a,0.5,1,2\r\n1970-01-01T00:00:01.000Z,a,1,+Inf,1\r\n');
  const scalar: QueryData = { resultType: 'scalar', result: [1, '2'] };
  expect(answersCsv([{ letter: 'A', data: scalar }, { letter: 'B', data: scalar }])).toBe('query,time,value\r\nA,1970-01-01T00:00:01.000Z,2\r\nB,1970-01-01T00:00:01.000Z,2\r\n');
  expect(csvText([['a', 1], ['', -2]])).toBe('a,1\r\n,-2\r\n');
});

test('legend figures, their order, and what the cap leaves out', () => {
  const column = (name: string, values: (number | null)[]) => ({ name, labels: {}, values });
  const series = [column('b10', [1, null, 9]), column('b9', [null, null]), column('a', [-20, 4])];
  const rows = rowsOf(series);
  expect(rows[0]).toMatchObject({ min: 1, max: 9, avg: 5, last: 9 });
  expect(rows[1]).toMatchObject({ min: null, max: null, avg: null, last: null });
  expect(sortRows(rows, '-max').map((row) => row.name)).toEqual(['b10', 'a', 'b9']);
  expect(sortRows(rows, 'max').map((row) => row.name)).toEqual(['a', 'b10', 'b9']);
  expect(sortRows(rows, 'name').map((row) => row.name)).toEqual(['a', 'b9', 'b10']);
  expect(sortRows(rows, 'nonsense').map((row) => row.name)).toEqual(['b10', 'b9', 'a']);
  expect(capSeries(series, 2).map((one) => one.name)).toEqual(['b10', 'a']);
  expect(uniqueNames([column('x', []), column('x', []), column('y', [])]).map((one) => one.name)).toEqual(['x', 'x #2', 'y']);
  const colored = series.map((one) => ({ ...one, color: '#000' }));
  expect(nearSeries(colored, 0, -19, 1).map((one) => one.name)).toEqual(['a']);
  expect(nearSeries(colored, 0, undefined).map((one) => one.name)).toEqual(['b10', 'a']);
});

test('numbers stand with their points under each other', () => {
  expect(alignNumbers(['1.25', '10', '3.5', 'NaN'])).toEqual(['1.25', '10\u2008\u2007\u2007', '3.5\u2007', 'NaN\u2008\u2007\u2007']);
  expect(alignNumbers(['1', '20'])).toEqual(['1', '20']);
});

test('selectors are PromQL whatever the labels hold', () => {
  expect(selectorText('up', [])).toBe('up');
  expect(selectorText('up', [{ label: 'job', values: ['a"b\\'] }])).toBe('up{job="a\\"b\\\\"}');
  expect(selectorText('up', [{ label: 'job', values: ['a.b', 'c|d'] }])).toBe('up{job=~"a\\\\.b|c\\\\|d"}');
  expect(selectorText('http.requests', [{ label: 'k.x', values: ['v'] }])).toBe('{"http.requests", "k.x"="v"}');
  expect(seriesSelector({ __name__: 'm', b: '2', a: '1' })).toBe('m{a="1", b="2"}');
  expect(usualQuery('x_total', 'counter')).toBe('rate(x_total[5m])');
  expect(usualQuery('x_seconds_bucket', 'histogram')).toBe('histogram_quantile(0.95, sum by (le) (rate(x_seconds_bucket[5m])))');
  expect(quote('\n')).toBe('"\\n"');
});

test('an error is found in the text', () => {
  const text = 'sum(\n  "é😀" + bar)';
  const bytes = new TextEncoder().encode(text);
  for (let index = 0; index <= text.length; index++) {
    const offset = new TextEncoder().encode(text.slice(0, index)).length;
    if (index > 0 && /[\ud800-\udbff]/.test(text[index - 1]!)) continue; // between two halves of a character
    expect(indexOfByte(text, offset)).toBe(index);
  }
  expect(indexOfByte(text, bytes.length + 9)).toBe(text.length);
  const start = new TextEncoder().encode('sum(\n  "é😀" + ').length;
  const fault = faultOf(new ApiError(400, 'bad_data', 'invalid parameter "query": 2:17: parse error: unexpected <b>', 0, { start, end: start + 3 }), text)!;
  expect(fault).toMatchObject({ message: 'unexpected <b>', line: 2, column: 10 });
  expect(text.slice(fault.from, fault.to)).toBe('bar');
  expect(faultLines(text, fault)).toEqual({ line: '  "é😀" + bar)', before: '  "é😀" + ', marks: '^^^' });
  // The end of the text, and a message without our position.
  const end = faultOf(new ApiError(400, 'bad_data', '1:13: parse error: unclosed left parenthesis'), 'sum by (code')!;
  expect(end).toMatchObject({ from: 12, to: 12, message: 'unclosed left parenthesis' });
  expect(faultLines('sum by (code', end)).toEqual({ line: 'sum by (code', before: 'sum by (code', marks: '^' });
  expect(faultOf(new ApiError(422, 'execution', 'too much'), 'x')).toBeUndefined();
  expect(faultOf(new Error('1:1: x'), 'x')).toBeUndefined();
});

test('what was forgotten comes back where it stood, and only once', () => {
  const one = (expr: string, at: number, star = false) => ({ exprs: [expr], at, star });
  expect(withBack([one('c', 9, true), one('a', 1)], [one('b', 5), one('c', 3)])).toEqual([one('c', 9, true), one('b', 5), one('a', 1)]);
});

test('the history keeps stars, drops doubles, and survives what storage holds', () => {
  let past = withRun([], ['up', ''], 1);
  past = withRun(past, ['  rate(x[1m]) '], 2);
  past = withRun(past, ['up'], 3);
  expect(past.map((one) => [one.exprs, one.at])).toEqual([[['up'], 3], [['rate(x[1m])'], 2]]);
  past = [past[0]!, { ...past[1]!, star: true }];
  for (let i = 0; i < 300; i++) past = withRun(past, ['q' + i], 10 + i);
  expect(past.length).toBe(201);
  expect(searchHistory(past, 'RATE 1m').map((one) => one.exprs[0])).toEqual(['rate(x[1m])']);
  expect(searchHistory(past, '')[0]!.star).toBe(true);
  expect(withRun(past, [' '], 9)).toEqual(past);
  for (const broken of ['', 'null', '{}', '[1,null,{"exprs":"x"},{"exprs":[3],"at":1}]', '<b>']) expect(parseHistory(broken)).toEqual([]);
  expect(parseHistory('[{"exprs":["up"],"at":5}]')).toEqual([{ exprs: ['up'], at: 5, star: false }]);
});

test('the metric browser: types of parts, search, facets, near misses', () => {
  const known = { http_seconds: [{ type: 'histogram' as const, help: 'Duration of requests.', unit: 'seconds' }], up: [{ type: 'gauge' as const, help: '', unit: '' }] };
  const metrics = metricsOf(['up', 'http_seconds_count', 'http_seconds_bucket', 'other'], known);
  expect(metrics.map((one) => [one.name, one.type])).toEqual([['http_seconds_bucket', 'histogram'], ['http_seconds_count', 'counter'], ['other', ''], ['up', 'gauge']]);
  expect(searchMetrics(metrics, 'request').map((one) => one.name)).toEqual(['http_seconds_bucket', 'http_seconds_count']);
  expect(searchMetrics(metrics, 'SECONDS count').map((one) => one.name)).toEqual(['http_seconds_count']);
  const series = [
    { __name__: 'm', job: 'a', mode: 'x' },
    { __name__: 'm', job: 'a', mode: 'y' },
    { __name__: 'm', job: 'b', mode: 'x' },
  ];
  const chosen = [{ label: 'job', values: ['a'] }];
  expect(facetsOf(series, chosen)).toEqual([
    { label: 'job', values: [{ value: 'a', count: 2 }, { value: 'b', count: 1 }] },
    { label: 'mode', values: [{ value: 'x', count: 1 }, { value: 'y', count: 1 }] },
  ]);
  expect(matching(series, chosen)).toBe(2);
  expect(nearestName('node_laod1', ['node_load1', 'node_load15', 'up'])).toBe('node_load1');
  expect(nearestName('zzz', ['node_load1'])).toBeUndefined();
});

test('several answers stand on one grid of times', () => {
  const answer = (first: number, values: number[], stepMs = 10) => ({ stepMs, times: values.map((_, i) => first + i * stepMs), series: [{ name: 'x', labels: {}, values }] });
  const { times, series } = onOneGrid([answer(0, [1, 2, 3]), answer(10, [4, 5, 6])]);
  expect(times).toEqual([0, 10, 20, 30]);
  expect(series.map((one) => one[0]!.values)).toEqual([[1, 2, 3, null], [null, 4, 5, 6]]);
  expect(onOneGrid([answer(0, [1], 5), answer(0, [2])]).series.map((one) => one.length)).toEqual([0, 1]);
  expect(onOneGrid([]).times).toEqual([]);
});

test('no value turns the direction of the text', () => {
  expect(plainText('\u202elive\u2069 é')).toBe('\\u202elive\\u2069 é');
});

test('lines for a shell', () => {
  const of = { origin: 'http://h:1', expr: 'up', span: { fromMs: 0, toMs: 60e3 }, stepMs: undefined, range: { from: 'now-1h', to: 'now' }, tenant: 'a b' };
  expect(asCurl(of)).toBe(`curl -sS http://h:1/api/v1/query -H 'X-Scope-OrgID: a b' --data-urlencode query=up -d time=60`);
  expect(asTraceo(of)).toBe(`traceo query up --server http://h:1 --tenant 'a b'`);
  expect(shellQuote("it's")).toBe(`'it'\\''s'`);
  const asked = { origin: 'http://127.0.0.1:4310', expr: 'rate(a{b="c"}[5m])', span: { fromMs: 0, toMs: 60e3 }, stepMs: 15e3, range: { from: 'now-1h', to: 'now' } };
  expect(asCurl(asked)).toBe(`curl -sS http://127.0.0.1:4310/api/v1/query_range --data-urlencode 'query=rate(a{b="c"}[5m])' -d start=0 -d end=60 -d step=15`);
  expect(asTraceo(asked)).toBe(`traceo query 'rate(a{b="c"}[5m])' --since 1h --step 15s`);
  expect(asTraceo({ ...asked, origin: 'http://h:1', expr: '-up', stepMs: undefined, range: { from: '0', to: '60000' } })).toBe(`traceo query '(-up)' --time 1970-01-01T00:01:00.000Z --server http://h:1`);
});
