// Which dashboards there are: those that come with Traceo, and those that somebody opened in this browser.
import { signal } from '@preact/signals';
import { dashboardText, parseDashboard, type Dashboard } from './document';
import { KEY } from './names';
import node from './node.json';
import traceo from './traceo.json';

export const BUILT_IN: readonly Dashboard[] = [node, traceo].map((one) => parseDashboard(one));

/** What storage holds may be anything: what is no dashboard (any more) is left alone there and not shown. */
export function parseOwn(text: string | null): Dashboard[] {
  let all: unknown;
  try {
    all = JSON.parse(text ?? '[]');
  } catch {
    return [];
  }
  if (!Array.isArray(all)) return [];
  return all.flatMap((one: unknown) => {
    try {
      return [parseDashboard(one)];
    } catch {
      return [];
    }
  });
}

function load(): Dashboard[] {
  try {
    return parseOwn(localStorage.getItem(KEY));
  } catch {
    return [];
  }
}

export const own = signal<readonly Dashboard[]>(load());

function keep(next: readonly Dashboard[]): boolean {
  own.value = next;
  try {
    localStorage.setItem(KEY, JSON.stringify(next.map((one) => JSON.parse(dashboardText(one)) as unknown)));
    return true;
  } catch {
    return false;
  }
}

/** Adds one, in place of one of the same id. False: it lives only as long as this page, as storage is full or forbidden. */
export function addDashboard(dashboard: Dashboard): boolean {
  return keep([...own.value.filter((one) => one.id !== dashboard.id), dashboard]);
}

export function removeDashboard(id: string): void {
  keep(own.value.filter((one) => one.id !== id));
}

/** One's own covers one of the same id that came with Traceo. */
export function dashboardOf(id: string): Dashboard | undefined {
  return own.value.find((one) => one.id === id) ?? BUILT_IN.find((one) => one.id === id);
}

export function allDashboards(): Dashboard[] {
  return [...own.value, ...BUILT_IN.filter((one) => !own.value.some((mine) => mine.id === one.id))];
}
