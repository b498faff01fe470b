import { expect, test } from 'vitest';
import { curlLine } from './api';

const main = (parameters: { name: string; in: string; required?: boolean }[]) => ({ summary: '', parameters, security: [] });

test('a line for the shell names what must be given', () => {
  const row = { path: '/api/v1/query', methods: ['get' as const], main: main([{ name: 'query', in: 'query', required: true }, { name: 'time', in: 'query' }]) };
  expect(curlLine('http://a:1', row, false)).toBe("curl -G 'http://a:1/api/v1/query' --data-urlencode 'query=QUERY'");
  expect(curlLine('http://a:1', row, true)).toBe("curl -G -H 'Authorization: Bearer KEY' 'http://a:1/api/v1/query' --data-urlencode 'query=QUERY'");
});

test('what is no GET says so', () => {
  expect(curlLine('http://a:1', { path: '/-/reload', methods: ['post'], main: main([]) }, false)).toBe("curl -X POST 'http://a:1/-/reload'");
});
