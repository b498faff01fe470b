import { expect, test } from 'vitest';
import { axisTexts, unitOfExpr, unitOfMetric, unitOfObserved, valueText } from './units';

const plain = (text: string) => text.replaceAll('\u202f', ' ');

test('values are written as people read them', () => {
  const rows: [number | null, Parameters<typeof valueText>[1], string][] = [
    [0, 'bytes', '0 B'],
    [1023, 'bytes', '1023 B'],
    [1536, 'bytes', '1.5 KiB'],
    [1024 ** 3, 'bytes', '1 GiB'],
    [123456789, 'bytes/s', '118 MiB/s'],
    [0.00034, 'seconds', '340 µs'],
    [0.25, 'seconds', '250 ms'],
    [90, 'seconds', '1.5 min'],
    [0.4321, 'ratio', '43.2 %'],
    [1, 'ratio', '100 %'],
    [0.0004, 'ratio', '0.04 %'],
    [1234567, 'none', '1.23 M'],
    [-5, 'none', '−5'],
    [0.001234, 'none', '0.00123'],
    [999.96, 'none', '1 k'],
    [NaN, 'bytes', 'NaN'],
    [-Infinity, 'none', '−Inf'],
    [1, 'boolean', 'yes'],
    [null, 'none', '–'],
    [1763700000, 'timestamp', '2025-11-21T04:40:00Z'],
  ];
  for (const [value, unit, text] of rows) expect(plain(valueText(value, unit)), `${value} ${unit}`).toBe(text);
});

test('ticks of an axis have one scale and tell neighbours apart', () => {
  expect(axisTexts([0, 0.25, 0.5], 'none')).toEqual(['0.00', '0.25', '0.50']);
  expect(axisTexts([0, 512, 1024], 'bytes').map(plain)).toEqual(['0', '0.5 KiB', '1.0 KiB']);
  expect(axisTexts([0, 0.5, 1], 'ratio').map(plain)).toEqual(['0 %', '50 %', '100 %']);
  for (let power = -6; power < 12; power++) {
    for (const step of [1, 2, 2.5, 5]) {
      const ticks = [0, 1, 2, 3, 4].map((i) => i * step * 10 ** power);
      for (const unit of ['none', 'bytes', 'seconds', 'ratio'] as const) expect(new Set(axisTexts(ticks, unit)).size, `${step}e${power} ${unit}`).toBe(5);
    }
  }
});

test('units are read from names', () => {
  expect(unitOfMetric('node_memory_MemFree_bytes')).toBe('bytes');
  expect(unitOfMetric('http_request_duration_seconds_bucket')).toBe('seconds');
  expect(unitOfMetric('node_network_receive_bytes_total')).toBe('bytes');
  expect(unitOfMetric('process_start_time_seconds')).toBe('timestamp');
  expect(unitOfMetric('up')).toBe('boolean');
  expect(unitOfMetric('queue_length')).toBe('none');
  expect(unitOfMetric('anything', 'celsius')).toBe('celsius');
});

test('units of expressions are guessed where the form is common', () => {
  const rows: [string, string][] = [
    ['node_memory_MemFree_bytes', 'bytes'],
    ['rate(node_network_receive_bytes_total{device!="lo"}[1m])', 'bytes/s'],
    ['sum by (mode) (rate(node_cpu_seconds_total[5m]))', 'cores'],
    ['rate(http_requests_total[5m])', '/s'],
    ['histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))', 'seconds'],
    ['node_memory_MemFree_bytes / node_memory_MemTotal_bytes', 'ratio'],
    ['count(node_memory_MemFree_bytes)', 'none'],
    ['1 + 1', 'none'],
    ['time() - process_start_time_seconds', 'seconds'],
    ['up{job="a_bytes"}', 'none'],
  ];
  for (const [expr, unit] of rows) expect(unitOfExpr(expr), expr).toBe(unit);
});

test('what a histogram observed has the unit of its name, whatever is taken of it', () => {
  expect(unitOfObserved('sum by (le) (rate(http_request_duration_seconds_bucket{job="x_bytes"}[5m]))')).toBe('seconds');
  expect(unitOfObserved('rate(response_size_bytes[5m])')).toBe('bytes');
  expect(unitOfObserved('sum(rate(a_seconds[5m])) + sum(rate(b_bytes[5m]))')).toBe('none');
});
