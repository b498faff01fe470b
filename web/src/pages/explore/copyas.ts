// The query in force as a line for a shell: with curl, or with traceo's own command.
import { durationText, type Range, type Span } from '../../data/time';

/** A word of a POSIX shell, whatever is in it. */
export function shellQuote(text: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(text) ? text : "'" + text.replaceAll("'", `'\\''`) + "'";
}

export interface Asked {
  origin: string;
  expr: string;
  span: Span;
  stepMs: number | undefined; // undefined: at the end of the span
  range: Range;
  tenant?: string; // whose data; '' is the page's own
}

const seconds = (ms: number) => String(ms / 1000);

export function asCurl({ origin, expr, span, stepMs, tenant = '' }: Asked): string {
  const path = stepMs === undefined ? '/api/v1/query' : '/api/v1/query_range';
  const when = stepMs === undefined ? ['time=' + seconds(span.toMs)] : ['start=' + seconds(span.fromMs), 'end=' + seconds(span.toMs), 'step=' + seconds(stepMs)];
  return ['curl -sS', shellQuote(origin + path), ...(tenant === '' ? [] : ['-H ' + shellQuote('X-Scope-OrgID: ' + tenant)]), '--data-urlencode ' + shellQuote('query=' + expr), ...when.map((one) => '-d ' + one)].join(' ');
}

export function asTraceo({ origin, expr, span, stepMs, range, tenant = '' }: Asked): string {
  const server = origin === 'http://127.0.0.1:4310' ? [] : ['--server ' + shellQuote(origin)];
  const live = range.to === 'now' ? /^now-(\w+)$/.exec(range.from)?.[1] : undefined;
  const iso = (ms: number) => new Date(ms).toISOString();
  const when =
    stepMs === undefined
      ? range.to === 'now'
        ? []
        : ['--time ' + iso(span.toMs)]
      : [...(live !== undefined ? ['--since ' + live] : ['--start ' + iso(span.fromMs), '--end ' + iso(span.toMs)]), '--step ' + durationText(stepMs)];
  // A word that begins with a minus would be taken for a flag.
  return ['traceo query', shellQuote(expr.startsWith('-') ? '(' + expr + ')' : expr), ...when, ...server, ...(tenant === '' ? [] : ['--tenant ' + shellQuote(tenant)])].join(' ');
}
