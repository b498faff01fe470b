// Tables as text: CSV as RFC 4180 has it, and Markdown. A cell that a spreadsheet would take for a formula is made text by a
// quote in front, because label values come from anywhere.

export type Cell = string | number;

function isNumber(cell: Cell): boolean {
  return typeof cell === 'number' || /^[-+]?(\d[\d.]*(e[-+]?\d+)?|Inf|NaN)$/i.test(cell); // le="+Inf"
}

function cellText(cell: Cell): string {
  if (typeof cell === 'number') return String(cell);
  const safe = !isNumber(cell) && /^[=+\-@\t\r]/.test(cell) ? "'" + cell : cell;
  return /[",\r\n]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
}

export function csvText(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => row.map(cellText).join(',') + '\r\n').join('');
}

// What Markdown or the HTML in it would read as more than text stands for itself.
function markdownCell(cell: Cell): string {
  return String(cell)
    .replace(/[\\`*_[\]<>|~&#]/g, (mark) => (mark === '<' ? '&lt;' : mark === '>' ? '&gt;' : mark === '&' ? '&amp;' : '\\' + mark))
    .replace(/\s*[\r\n]+\s*/g, ' ');
}

/** A table of Markdown (GitHub's); columns of numbers are aligned right. The first row is the headings. */
export function markdownText(rows: readonly (readonly Cell[])[]): string {
  const [head = [], ...body] = rows;
  const right = head.map((_, column) => body.length > 0 && body.every((row) => row[column] === '' || isNumber(row[column]!)) && body.some((row) => row[column] !== ''));
  const line = (cells: readonly string[]) => '| ' + cells.join(' | ') + ' |\n';
  return line(head.map(markdownCell)) + line(right.map((one) => (one ? '--:' : '---'))) + body.map((row) => line(row.map(markdownCell))).join('');
}
