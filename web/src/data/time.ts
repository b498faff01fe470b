// Time as people write it: durations, "now-15m", ranges, zones. No state here; state.ts has the range in force.

export interface Span {
  fromMs: number;
  toMs: number;
}

export interface Range {
  from: string; // "now-15m", or milliseconds since 1970, or RFC 3339
  to: string;
}

const UNITS: readonly [string, number][] = [
  ['y', 365 * 86400e3],
  ['w', 7 * 86400e3],
  ['d', 86400e3],
  ['h', 3600e3],
  ['m', 60e3],
  ['s', 1e3],
  ['ms', 1],
];

/** "1h30m" to milliseconds, as Prometheus writes durations; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const pattern = /(\d+)(ms|y|w|d|h|m|s)/gy;
  let total = 0;
  let end = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    total += Number(match[1]) * (UNITS.find(([unit]) => unit === match![2])?.[1] ?? 0);
    end = pattern.lastIndex;
  }
  return end === text.length && end > 0 ? total : undefined;
}

/** Milliseconds to "1h30m": exact, the form that a query or a URL takes. */
export function durationText(ms: number): string {
  let rest = Math.max(0, Math.round(ms));
  if (rest === 0) return '0s';
  let text = '';
  for (const [unit, size] of UNITS) {
    if (rest < size) continue;
    text += Math.floor(rest / size) + unit;
    rest %= size;
  }
  return text;
}

/** Milliseconds for people: "3 d 4 h", "12 s", "340 ms". At most two units. */
export function durationHuman(ms: number): string {
  const sign = ms < 0 ? '−' : '';
  let rest = Math.abs(ms);
  if (rest < 1000) return sign + Math.round(rest) + ' ms';
  rest = Math.round(rest / 1000) * 1000;
  const parts: string[] = [];
  for (const [unit, size] of UNITS) {
    if (unit === 'w' || unit === 'ms' || (rest < size && parts.length === 0)) continue;
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(count + ' ' + unit);
    rest -= count * size;
    if (parts.length === 2 || (parts.length === 1 && count === 0)) break;
  }
  return sign + parts.join(' ');
}

/** "5 s ago", "in 2 m", "now". */
export function agoHuman(ms: number, nowMs: number): string {
  const past = nowMs - ms;
  if (Math.abs(past) < 1000) return 'now';
  return past > 0 ? durationHuman(past) + ' ago' : 'in ' + durationHuman(-past);
}

/** "now", "now-15m", "now+1h", milliseconds or seconds since 1970, RFC 3339; undefined when it is none. */
export function parseTime(text: string, nowMs: number): number | undefined {
  const relative = /^now(?:\s*([+-])\s*(\w+))?$/.exec(text.trim());
  if (relative !== null) {
    if (relative[1] === undefined) return nowMs;
    const duration = parseDuration(relative[2] ?? '');
    if (duration === undefined) return undefined;
    return relative[1] === '-' ? nowMs - duration : nowMs + duration;
  }
  if (/^\d+(\.\d+)?$/.test(text.trim())) {
    const number = Number(text);
    return number < 1e11 ? number * 1000 : number;
  }
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : date;
}

/** The span a range means at `nowMs`; undefined when it is not understood or ends before it begins. */
export function rangeSpan(range: Range, nowMs: number): Span | undefined {
  const fromMs = parseTime(range.from, nowMs);
  const toMs = parseTime(range.to, nowMs);
  if (fromMs === undefined || toMs === undefined || fromMs >= toMs) return undefined;
  return { fromMs, toMs };
}

/** Does it move with the clock? */
export function rangeIsLive(range: Range): boolean {
  return range.to.startsWith('now');
}

export const QUICK_RANGES: readonly { from: string; title: string }[] = [
  { from: 'now-5m', title: 'Last 5 minutes' },
  { from: 'now-15m', title: 'Last 15 minutes' },
  { from: 'now-30m', title: 'Last 30 minutes' },
  { from: 'now-1h', title: 'Last hour' },
  { from: 'now-3h', title: 'Last 3 hours' },
  { from: 'now-6h', title: 'Last 6 hours' },
  { from: 'now-12h', title: 'Last 12 hours' },
  { from: 'now-1d', title: 'Last 24 hours' },
  { from: 'now-2d', title: 'Last 2 days' },
  { from: 'now-7d', title: 'Last 7 days' },
  { from: 'now-30d', title: 'Last 30 days' },
];

// ---- Zones and how times are shown ----

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let found = formats.get(key);
  if (found === undefined) {
    const timeZone = zone === 'local' ? undefined : zone === 'utc' ? 'UTC' : zone;
    // sv-SE writes 2026-11-21 14:05:09: the order of ISO 8601, 24 hours.
    found = new Intl.DateTimeFormat('sv-SE', { timeZone, ...options });
    formats.set(key, found);
  }
  return found;
}

export function zoneIsKnown(zone: string): boolean {
  if (zone === 'local' || zone === 'utc') return true;
  try {
    new Intl.DateTimeFormat('sv-SE', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/** 14:05:09 */
export function clockText(ms: number, zone: string): string {
  return format(zone, { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(ms);
}

/** 2026-11-21 14:05:09 */
export function timeText(ms: number, zone: string): string {
  return format(zone, { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(ms);
}

/** A tick of a time axis: as much of the time as `stepMs` between ticks needs. */
export function tickText(ms: number, stepMs: number, zone: string): string {
  if (stepMs < 60e3) return clockText(ms, zone);
  if (stepMs < 86400e3) {
    const clock = format(zone, { hour: '2-digit', minute: '2-digit' }).format(ms);
    return clock === '00:00' ? format(zone, { month: '2-digit', day: '2-digit' }).format(ms) : clock;
  }
  return format(zone, { month: '2-digit', day: '2-digit' }).format(ms);
}

/** How far the zone is from UTC at that time, in ms: for ticks at whole hours and days of the zone. */
export function zoneOffsetMs(ms: number, zone: string): number {
  if (zone === 'utc') return 0;
  if (zone === 'local') return -new Date(ms).getTimezoneOffset() * 60e3;
  const shown = timeText(ms, zone);
  return Date.parse(shown.replace(' ', 'T') + 'Z') - Math.floor(ms / 1000) * 1000;
}
