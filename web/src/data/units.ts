// Units: which one a metric or an expression has, by Prometheus' naming rules, and numbers as people read them.

export const UNIT_NAMES = ['none', 'count', 'bytes', 'bytes/s', 'bits/s', 'seconds', 'ratio', 'percent', '/s', 'celsius', 'volts', 'amperes', 'joules', 'watts', 'hertz', 'meters', 'grams', 'timestamp', 'cores', 'boolean'] as const;

export type Unit = (typeof UNIT_NAMES)[number];

/** A number and its unit apart, so that a table can align them. */
export interface Quantity {
  number: string;
  unit: string;
}

const THIN = '\u202f'; // narrow no-break space between number and unit

// ---- Numbers ----

function digits(value: number, significant: number): string {
  const size = Math.abs(value);
  if (size === 0) return '0';
  const before = size >= 1 ? Math.floor(Math.log10(size)) + 1 : 0;
  const after = size >= 1 ? Math.max(0, significant - before) : Math.min(significant - 1 - Math.floor(Math.log10(size)), 12);
  return trimZeros(value.toFixed(Math.min(after, 20)));
}

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

interface Scale {
  factor: number;
  text: string;
}

const BINARY: readonly Scale[] = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'].map((text, i) => ({ factor: 1024 ** i, text }));
const DECIMAL: readonly Scale[] = ['', 'k', 'M', 'G', 'T', 'P', 'E'].map((text, i) => ({ factor: 1000 ** i, text }));
const SMALL: readonly Scale[] = [
  { factor: 1e-9, text: 'n' },
  { factor: 1e-6, text: 'µ' },
  { factor: 1e-3, text: 'm' },
  ...DECIMAL,
];
const SECONDS: readonly Scale[] = [
  { factor: 1e-9, text: 'ns' },
  { factor: 1e-6, text: 'µs' },
  { factor: 1e-3, text: 'ms' },
  { factor: 1, text: 's' },
  { factor: 60, text: 'min' },
  { factor: 3600, text: 'h' },
  { factor: 86400, text: 'd' },
];

function scaleFor(value: number, scales: readonly Scale[]): Scale {
  const size = Math.abs(value);
  let found = scales[0]!;
  if (size === 0) return scales.find((scale) => scale.factor === 1) ?? found;
  // 999.95 k is better read as 1 M than as 1000 k.
  for (const scale of scales) if (size >= scale.factor * 0.99995) found = scale;
  return found;
}

interface UnitRow {
  scales: readonly Scale[] | undefined;
  suffix: string;
  factor?: number;
}

// Time above minutes is not decimal: it is shown in two units by `seconds` below.
const UNITS: Record<Unit, UnitRow> = {
  none: { scales: DECIMAL, suffix: '' },
  count: { scales: DECIMAL, suffix: '' },
  bytes: { scales: BINARY, suffix: 'B' },
  'bytes/s': { scales: BINARY, suffix: 'B/s' },
  'bits/s': { scales: DECIMAL, suffix: 'b/s' },
  seconds: { scales: SECONDS, suffix: '' },
  ratio: { scales: undefined, suffix: '%', factor: 100 },
  percent: { scales: undefined, suffix: '%' },
  '/s': { scales: DECIMAL, suffix: '/s' },
  celsius: { scales: undefined, suffix: '°C' },
  volts: { scales: SMALL, suffix: 'V' },
  amperes: { scales: SMALL, suffix: 'A' },
  joules: { scales: SMALL, suffix: 'J' },
  watts: { scales: SMALL, suffix: 'W' },
  hertz: { scales: DECIMAL, suffix: 'Hz' },
  meters: { scales: SMALL, suffix: 'm' },
  grams: { scales: SMALL, suffix: 'g' },
  timestamp: { scales: undefined, suffix: '' },
  cores: { scales: undefined, suffix: 'cores' },
  boolean: { scales: undefined, suffix: '' },
};

function special(value: number): string | undefined {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '−Inf';
  return undefined;
}

function minus(text: string): string {
  return text.startsWith('-') ? '−' + text.slice(1) : text;
}

function scaled(value: number, unit: Unit, scale: Scale | undefined, significant: number): Quantity {
  const row = UNITS[unit];
  const number = (value * (row.factor ?? 1)) / (scale?.factor ?? 1);
  let text = Math.abs(number) >= 1e15 || (number !== 0 && Math.abs(number) < 1e-9) ? number.toExponential(2) : digits(number, significant);
  if (text === '-0') text = '0';
  return { number: minus(text), unit: (scale?.text ?? '') + row.suffix };
}

/** A value with its unit, three significant digits: { number: '1.24', unit: 'GiB' }. */
export function quantity(value: number, unit: Unit = 'none', significant = 3): Quantity {
  const word = special(value);
  if (word !== undefined) return { number: word, unit: '' };
  if (unit === 'boolean' && (value === 0 || value === 1)) return { number: value === 1 ? 'yes' : 'no', unit: '' };
  if (unit === 'timestamp') return { number: new Date(value * 1000).toISOString().replace('.000Z', 'Z'), unit: '' };
  const row = UNITS[unit];
  if (unit === 'ratio' || unit === 'percent') {
    const shown = Math.abs(value * (row.factor ?? 1));
    return { number: minus(trimZeros((value * (row.factor ?? 1)).toFixed(shown >= 99.95 ? 0 : shown >= 0.1 || shown === 0 ? 1 : 2))), unit: '%' };
  }
  const scale = row.scales === undefined ? undefined : scaleFor(value, row.scales);
  return scaled(value, unit, scale, significant);
}

/** A value as one text: '1.24 GiB'. */
export function valueText(value: number | null | undefined, unit: Unit = 'none', significant = 3): string {
  if (value === null || value === undefined) return '–';
  const { number, unit: suffix } = quantity(value, unit, significant);
  return suffix === '' ? number : number + THIN + suffix;
}

/** Ticks of one axis in one scale, with as many digits as tell them apart. */
export function axisTexts(ticks: readonly number[], unit: Unit): string[] {
  const finite = ticks.filter((tick) => Number.isFinite(tick));
  const largest = finite.reduce((most, tick) => Math.max(most, Math.abs(tick)), 0);
  const row = UNITS[unit];
  const scale = row.scales === undefined ? undefined : scaleFor(largest, row.scales);
  const factor = (row.factor ?? 1) / (scale?.factor ?? 1);
  const step = finite.length > 1 ? Math.abs(finite[1]! - finite[0]!) * factor : Math.abs(largest) * factor;
  const after = step === 0 ? 0 : Math.min(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), 9);
  // 0.25 wants two digits where 0.2 wants one.
  const needs = (places: number) => finite.some((tick) => Math.abs(Number((tick * factor).toFixed(places)) - tick * factor) > step * 1e-3);
  const places = needs(after) ? after + 1 : after;
  const suffix = (scale?.text ?? '') + row.suffix;
  return ticks.map((tick) => {
    const text = minus((tick * factor).toFixed(places).replace(/^-(0(\.0+)?)$/, '$1'));
    if (tick === 0 && scale !== undefined && scale.factor !== 1) return '0';
    if (unit === 'cores') return text;
    return suffix === '' ? text : suffix.length === 1 && scale?.text === suffix ? text + suffix : text + THIN + suffix;
  });
}

// ---- Which unit ----

const NAME_UNITS: readonly [RegExp, Unit][] = [
  [/_timestamp_seconds$|_time_seconds$|_time_stamp$/, 'timestamp'],
  [/_seconds$/, 'seconds'],
  [/_bytes$/, 'bytes'],
  [/_ratio$/, 'ratio'],
  [/_percent$/, 'percent'],
  [/_celsius$/, 'celsius'],
  [/_volts$/, 'volts'],
  [/_amperes$/, 'amperes'],
  [/_joules$/, 'joules'],
  [/_watts$/, 'watts'],
  [/_hertz$/, 'hertz'],
  [/_meters$/, 'meters'],
  [/_grams$/, 'grams'],
  [/_info$/, 'none'],
];

/** The unit of a metric by its name (node_memory_MemFree_bytes) or by what its metadata says. */
export function unitOfMetric(name: string, metadataUnit = ''): Unit {
  const named = metadataUnit !== '' ? '_' + metadataUnit : name.replace(/_(total|sum|max|min|avg|created|bucket|count)$/, '');
  for (const [pattern, unit] of NAME_UNITS) if (pattern.test(named)) return unit;
  if (name === 'up' || /_up$|_success$/.test(name)) return 'boolean';
  return 'none';
}

const RATES = /\b(rate|irate|deriv)\s*\(/;
const COUNTS = /^\s*(count|count_values|group|changes|resets|absent|count_over_time)\b/;
const PASS = /^\s*(sum|avg|min|max|topk|bottomk|quantile|stddev|abs|sort|sort_desc|clamp|clamp_min|clamp_max|round|ceil|floor|last_over_time|avg_over_time|min_over_time|max_over_time|sum_over_time|rate|irate|increase|delta|idelta|deriv|histogram_quantile|label_replace|label_join|limitk)\b/;

// Names of metrics in an expression whose strings, selectors and windows are gone.
function metricsIn(text: string): string[] {
  return [...text.matchAll(/[A-Za-z_:][A-Za-z0-9_:]*/g)]
    .map((match) => match[0])
    .filter((name) => name.includes('_') && !PASS.test(name) && !/_over_time$|^histogram_|^label_|^group_(left|right)$|^sort_|^clamp_|^count_values$|^day_of|^days_in/.test(name));
}

function bareExpr(expr: string): string {
  return expr.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""').replace(/\{[^}]*\}|\[[^\]]*\]/g, '');
}

/** The unit of what a histogram observed, whatever rates are taken of its buckets: that of its name. */
export function unitOfObserved(expr: string): Unit {
  const units = [...new Set(metricsIn(bareExpr(expr)).map((name) => unitOfMetric(name)))];
  return units.length === 1 ? units[0]! : 'none';
}

/** The unit of an expression, guessed: right for the common forms, 'none' where it cannot know. */
export function unitOfExpr(expr: string): Unit {
  const text = bareExpr(expr);
  if (COUNTS.test(text)) return 'none';
  const units = [...new Set(metricsIn(text).map((name) => unitOfMetric(name)))];
  if (units.length !== 1) return 'none';
  const unit = units[0]!;
  const outside = text.replace(/\((?:[^()]|\([^()]*\))*\)/g, '');
  if (/\*\s*100\b/.test(outside)) return 'percent';
  if (/[A-Za-z_)\]]\s*\/\s*[A-Za-z_(]/.test(text)) return /\bcount\b/.test(text) ? unit : 'ratio';
  if (unit === 'timestamp' && /time\s*\(\s*\)/.test(text)) return 'seconds';
  if (!RATES.test(text)) return unit;
  if (/histogram_quantile/.test(text)) return unit;
  if (unit === 'bytes') return 'bytes/s';
  if (unit === 'seconds') return /cpu_seconds/.test(text) ? 'cores' : 'ratio';
  return unit === 'none' ? '/s' : 'none';
}
