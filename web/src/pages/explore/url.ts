// What Explore shows, to and from the URL. Queries are the parameter `expr`, once each and in order, so that any page
// can link here with go('explore', { expr: 'up' }). What concerns one query carries its letter: legend=B:{{mode}}.
import type { Params } from '../../router';

export type View = 'line' | 'stacked' | 'heat' | 'table';
export type Side = 'metrics' | 'history' | 'none' | '';
export type Scale = '' | 'zero' | 'fit' | 'log' | 'linear'; // 'linear' is for heat maps, which are logarithmic without it

export interface Query {
  expr: string;
  off: boolean; // kept, but not asked
  legend: string; // template; '' is the series' own name
  hidden: readonly string[]; // names of series switched off
  only: readonly string[]; // when not empty: the names of those that are shown
  all: boolean; // all series, beyond the cap
  explain: boolean; // its plan is shown
}

export interface ExploreState {
  queries: readonly Query[];
  view: View;
  instant: boolean; // the table: at the end of the range, not over it
  joined: boolean; // all queries in one chart
  step: string; // '' automatic, 'low', 'max', or a duration
  scale: Scale; // of the value axis
  unit: string; // '' guessed
  sort: string; // of legends and tables: 'name', '-max', …
  side: Side;
  exemplars: boolean; // dots on the charts
}

export const QUERIES_MAX = 26;
export const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

export function newQuery(expr = ''): Query {
  return { expr, off: false, legend: '', hidden: [], only: [], all: false, explain: false };
}

// "B:text" of a parameter that may come several times; the last of one letter wins, except where all are wanted.
function lettered(query: URLSearchParams, name: string): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (const value of query.getAll(name)) {
    const index = value[1] === ':' ? LETTERS.indexOf(value[0]!) : -1;
    if (index < 0) continue;
    found.set(index, [...(found.get(index) ?? []), value.slice(2)]);
  }
  return found;
}

function letters(query: URLSearchParams, name: string): Set<number> {
  return new Set([...(query.get(name) ?? '')].map((letter) => LETTERS.indexOf(letter)).filter((index) => index >= 0));
}

function oneOf<T extends string>(value: string | null, choices: readonly T[], otherwise: T): T {
  return choices.includes(value as T) ? (value as T) : otherwise;
}

export function readState(query: URLSearchParams): ExploreState {
  const exprs = query.getAll('expr').slice(0, QUERIES_MAX);
  const off = letters(query, 'off');
  const all = letters(query, 'all');
  const explain = letters(query, 'explain');
  const legends = lettered(query, 'legend');
  const hidden = lettered(query, 'hide');
  const only = lettered(query, 'only');
  return {
    queries: (exprs.length === 0 ? [''] : exprs).map((expr, i) => ({
      expr,
      off: off.has(i),
      legend: legends.get(i)?.at(-1) ?? '',
      hidden: hidden.get(i) ?? [],
      only: only.get(i) ?? [],
      all: all.has(i),
      explain: explain.has(i),
    })),
    view: oneOf(query.get('view'), ['line', 'stacked', 'heat', 'table'], 'line'),
    instant: query.get('over') !== 'range',
    joined: query.get('charts') === 'one',
    step: query.get('step') ?? '',
    scale: oneOf(query.get('y'), ['', 'zero', 'fit', 'log', 'linear'], ''),
    unit: query.get('unit') ?? '',
    sort: query.get('sort') ?? '',
    exemplars: query.get('exemplars') === '1',
    side: oneOf(query.get('side'), ['', 'metrics', 'history', 'none'], ''),
  };
}

/** Only what differs from the default, so that links stay short. */
export function writeState(state: ExploreState): Params {
  const queries = state.queries;
  const marked = (test: (query: Query) => boolean) =>
    queries
      .map((query, i) => (test(query) ? LETTERS[i]! : ''))
      .join('') || undefined;
  const each = (values: (query: Query) => readonly string[]) => queries.flatMap((query, i) => values(query).map((value) => LETTERS[i]! + ':' + value));
  const list = (values: string[]) => (values.length === 0 ? undefined : values);
  const bare = queries.length === 1 && queries[0]!.expr === '';
  return {
    expr: bare ? undefined : queries.map((query) => query.expr),
    off: marked((query) => query.off),
    all: marked((query) => query.all),
    explain: marked((query) => query.explain),
    legend: list(each((query) => (query.legend === '' ? [] : [query.legend]))),
    hide: list(each((query) => query.hidden)),
    only: list(each((query) => query.only)),
    view: state.view === 'line' ? undefined : state.view,
    over: state.instant ? undefined : 'range',
    charts: state.joined ? 'one' : undefined,
    step: state.step || undefined,
    y: state.scale || undefined,
    unit: state.unit || undefined,
    sort: state.sort || undefined,
    side: state.side || undefined,
    exemplars: state.exemplars ? '1' : undefined,
  };
}

/** Which of `names` a query does not show. */
export function hiddenOf(query: Query, names: readonly string[]): Set<string> {
  if (query.only.length > 0) {
    const kept = new Set(query.only);
    const hidden = new Set(names.filter((name) => !kept.has(name)));
    // A link whose series are gone must not show an empty chart.
    return hidden.size === names.length ? new Set() : hidden;
  }
  return new Set(query.hidden);
}

/** The query with `hidden` of `names` switched off, written as the shorter of the two lists. */
export function withHidden(query: Query, names: readonly string[], hidden: ReadonlySet<string>): Query {
  const off = names.filter((name) => hidden.has(name));
  if (off.length === 0 || off.length === names.length) return { ...query, hidden: [], only: [] };
  const on = names.filter((name) => !hidden.has(name));
  return on.length < off.length ? { ...query, hidden: [], only: on } : { ...query, hidden: off, only: [] };
}
