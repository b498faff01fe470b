// The queries that were run, newest first, and the ones marked as favourites. They are this browser's.
import { signal } from '@preact/signals';

export interface Past {
  exprs: readonly string[]; // those run together
  at: number; // ms since 1970
  star: boolean;
}

const KEY = 'traceo.history';
const KEPT = 200; // without a star

/** What storage holds may be anything: what is not understood is dropped. */
export function parseHistory(text: string | null): Past[] {
  try {
    const parsed: unknown = JSON.parse(text ?? '[]');
    if (!Array.isArray(parsed)) return [];
    return parsed.flatMap((one: Partial<Past> | null) => {
      const exprs = Array.isArray(one?.exprs) ? one.exprs.filter((expr): expr is string => typeof expr === 'string' && expr !== '') : [];
      return exprs.length === 0 || typeof one?.at !== 'number' ? [] : [{ exprs, at: one.at, star: one.star === true }];
    });
  } catch {
    return [];
  }
}

const same = (a: readonly string[], b: readonly string[]) => a.length === b.length && a.every((one, i) => one === b[i]);

/** With the run put first; a query is there once, and keeps its star. */
export function withRun(past: readonly Past[], exprs: readonly string[], at: number): Past[] {
  const asked = exprs.map((expr) => expr.trim()).filter((expr) => expr !== '');
  if (asked.length === 0) return [...past];
  const old = past.find((one) => same(one.exprs, asked));
  const rest = past.filter((one) => one !== old);
  let plain = 0;
  return [{ exprs: asked, at, star: old?.star ?? false }, ...rest].filter((one) => one.star || ++plain <= KEPT);
}

export function searchHistory(past: readonly Past[], words: string): Past[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = past.filter((one) => wanted.every((word) => one.exprs.some((expr) => expr.toLowerCase().includes(word))));
  return [...found.filter((one) => one.star), ...found.filter((one) => !one.star)];
}

function load(): Past[] {
  try {
    return parseHistory(localStorage.getItem(KEY));
  } catch {
    return [];
  }
}

export const history = signal<readonly Past[]>(load());

// Several tabs share the list: what is in storage is newer than what this tab last saw.
function change(next: (past: readonly Past[]) => readonly Past[]): void {
  history.value = next(stored ? load() : history.value);
  try {
    localStorage.setItem(KEY, JSON.stringify(history.value));
    stored = true;
  } catch {
    stored = false; // full or forbidden: the list lives as long as this page
  }
}

let stored = true;
globalThis.addEventListener?.('storage', (event: StorageEvent) => {
  if (event.key === KEY) history.value = load();
});

/** What was forgotten comes back where it stood; what is there again meanwhile stays as it is. */
export function withBack(past: readonly Past[], back: readonly Past[]): Past[] {
  return [...past, ...back.filter((one) => !past.some((other) => same(other.exprs, one.exprs)))].sort((a, b) => b.at - a.at);
}

export function remember(exprs: readonly string[]): void {
  change((past) => withRun(past, exprs, Date.now()));
}

export function setStar({ exprs }: Past, star: boolean): void {
  change((past) => past.map((one) => (same(one.exprs, exprs) ? { ...one, star } : one)));
}

/** Returns what takes it back. */
export function forget({ exprs }: Past): () => void {
  return forgetWhich((one) => same(one.exprs, exprs));
}

/** All but favourites. */
export function forgetAll(): () => void {
  return forgetWhich((one) => !one.star);
}

function forgetWhich(which: (one: Past) => boolean): () => void {
  let gone: readonly Past[] = [];
  change((past) => {
    gone = past.filter(which);
    return past.filter((one) => !which(one));
  });
  return () => change((past) => withBack(past, gone));
}
