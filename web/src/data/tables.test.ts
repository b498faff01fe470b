import { expect, test } from 'vitest';
import { csvText, markdownText } from './tables';

test('a cell of a spreadsheet is never a formula', () => {
  expect(csvText([['=1+1', '-2', '+Inf', '@x', 'a"b,c', 3]])).toBe('\'=1+1,-2,+Inf,\'@x,"a""b,c",3\r\n');
});

test('a table of Markdown aligns numbers, and its cells stay text', () => {
  expect(markdownText([['job', 'value'], ['a|b', 1.5], ['<img src=x onerror=alert(1)>', 2], ['x\n_y_', -3]])).toBe(
    '| job | value |\n| --- | --: |\n| a\\|b | 1.5 |\n| &lt;img src=x onerror=alert(1)&gt; | 2 |\n| x \\_y\\_ | -3 |\n',
  );
  expect(markdownText([['a']])).toBe('| a |\n| --- |\n');
});
