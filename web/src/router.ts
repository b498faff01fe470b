// Where we are: the path and the query string, as signals. Every state that a person would want to share or come
// back to is in the URL, so this file is the page's memory.
//
// Global parameters (range, refresh, zone) stay when one goes from page to page; a page's own are dropped.
import { computed, signal, type ReadonlySignal } from '@preact/signals';

export const BASE = '/ui/';
export const GLOBAL_PARAMS = ['from', 'to', 'refresh', 'tz'] as const;

export type Params = Record<string, string | readonly string[] | undefined>;

interface Place {
  path: string; // below BASE, without slashes at its ends: '' is home, 'explore', …
  query: URLSearchParams;
}

function read(): Place {
  const url = new URL(globalThis.location?.href ?? 'http://localhost/ui/');
  const path = url.pathname.startsWith(BASE) ? url.pathname.slice(BASE.length) : '';
  return { path: path.replace(/^\/+|\/+$/g, ''), query: url.searchParams };
}

export const place = signal<Place>(read());

function set(query: URLSearchParams, params: Params): void {
  for (const [name, value] of Object.entries(params)) {
    query.delete(name);
    if (value === undefined || value === '') continue;
    for (const one of typeof value === 'string' ? [value] : value) query.append(name, one);
  }
}

/** The address of a page, with the global parameters of where we are now. For <a href>. */
export function href(path: string, params: Params = {}): string {
  const query = new URLSearchParams();
  for (const name of GLOBAL_PARAMS) {
    const value = place.value.query.get(name);
    if (value !== null) query.set(name, value);
  }
  set(query, params);
  const text = query.toString();
  return BASE + path + (text === '' ? '' : '?' + text);
}

function enter(url: string, replace: boolean): void {
  if (replace) history.replaceState(null, '', url);
  else history.pushState(null, '', url);
  place.value = read();
}

/** Goes to a page: go('explore', { expr: 'up' }). */
export function go(path: string, params: Params = {}, options: { replace?: boolean } = {}): void {
  enter(href(path, params), options.replace ?? false);
  if (!options.replace) globalThis.scrollTo?.(0, 0);
}

/**
 * Changes parameters of this page; undefined removes one. `replace` for what nobody wants to step back through
 * (typing in a filter); without it the browser's Back undoes the change.
 */
export function setParams(params: Params, options: { replace?: boolean } = {}): void {
  const query = new URLSearchParams(place.value.query);
  set(query, params);
  if (query.toString() === place.value.query.toString()) return;
  const text = query.toString();
  enter(BASE + place.value.path + (text === '' ? '' : '?' + text), options.replace ?? false);
}

const known = new Map<string, ReadonlySignal<string>>();

/** The value of a parameter as a signal, '' when it is not there. */
export function param(name: string): ReadonlySignal<string> {
  let found = known.get(name);
  if (found === undefined) {
    found = computed(() => place.value.query.get(name) ?? '');
    known.set(name, found);
  }
  return found;
}

/** All values of a parameter that may come several times. */
export function params(name: string): string[] {
  return place.value.query.getAll(name);
}

/** Follows links of the page itself without loading it again. */
export function routerBegin(): void {
  addEventListener('popstate', () => {
    place.value = read();
  });
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.('a');
    if (link === null || link === undefined || link.target !== '' || link.hasAttribute('download')) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || !url.pathname.startsWith(BASE) || link.getAttribute('href')?.startsWith('#')) return;
    event.preventDefault();
    enter(url.pathname + url.search, false);
    scrollTo(0, 0);
  });
}
