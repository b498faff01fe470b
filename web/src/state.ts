// What every page shares: the time range, the refresh, the zone, the theme and the clock that drives them.
// Range, refresh and zone live in the URL; the theme is a matter of the browser and is kept there.
import { computed, effect, signal } from '@preact/signals';
import { parseDuration, rangeIsLive, rangeSpan, zoneIsKnown, type Range, type Span } from './data/time';
import { param, setParams } from './router';

// ---- Time range ----

/** What holds where the URL names no range; a page may choose another one (pages.ts). */
export const defaultRange = signal<Range>({ from: 'now-1h', to: 'now' });

export const range = computed<Range>(() => {
  const from = param('from').value;
  const to = param('to').value;
  return from === '' && to === '' ? defaultRange.value : { from: from || 'now-1h', to: to || 'now' };
});

/** A zoom and a choice are steps that the browser's Back undoes. */
export function setRange(next: Range): void {
  const standard = defaultRange.value;
  const same = next.from === standard.from && next.to === standard.to;
  setParams({ from: same ? undefined : next.from, to: same || next.to === 'now' ? undefined : next.to });
}

export function setSpan(span: Span): void {
  setRange({ from: String(Math.round(span.fromMs)), to: String(Math.round(span.toMs)) });
}

/** Moves the range by a part of its length (-0.5: half of it back), or makes it longer (zoom 2) or shorter (zoom 0.5). */
export function moveRange(by: number): void {
  const { fromMs, toMs } = span.value;
  const shift = (toMs - fromMs) * by;
  if (toMs + shift >= Date.now()) setRange(liveAgain(toMs - fromMs));
  else setSpan({ fromMs: fromMs + shift, toMs: toMs + shift });
}

export function zoomRange(factor: number): void {
  const { fromMs, toMs } = span.value;
  const middle = (fromMs + toMs) / 2;
  const half = Math.max(((toMs - fromMs) / 2) * factor, 5000);
  setSpan({ fromMs: middle - half, toMs: Math.min(middle + half, Date.now()) });
}

function liveAgain(lengthMs: number): Range {
  return { from: 'now-' + Math.max(1, Math.round(lengthMs / 1000)) + 's', to: 'now' };
}

// ---- Refresh: the clock of the page ----

/** '' is automatic: as often as a new point fits, at least every two seconds. 'off' stands still. */
export const refresh = param('refresh');
export const REFRESHES = ['', 'off', '2s', '5s', '15s', '30s', '1m', '5m'] as const;

export const live = computed(() => rangeIsLive(range.value) && refresh.value !== 'off');

export const refreshMs = computed(() => {
  const chosen = parseDuration(refresh.value);
  if (chosen !== undefined) return Math.max(chosen, 1000);
  const asked = rangeSpan(range.value, Date.now());
  const length = asked === undefined ? 3600e3 : asked.toMs - asked.fromMs;
  return Math.min(Math.max(Math.round(length / 450 / 1000) * 1000, 2000), 60000);
});

/** The moment that all panels of the page show. It moves with the refresh, so that charts move together. */
export const now = signal(Date.now());

/** The span of time in force. */
export const span = computed<Span>(() => rangeSpan(range.value, now.value) ?? { fromMs: now.value - 3600e3, toMs: now.value });

export function refreshNow(): void {
  now.value = Date.now();
}

/** Starts the clock. It stands still while nobody looks, and catches up at once when somebody does. */
export function clockBegin(): void {
  effect(() => {
    if (!live.value) return;
    const every = refreshMs.value;
    const tick = () => {
      if (document.visibilityState === 'visible') refreshNow();
    };
    const timer = setInterval(tick, every);
    return () => clearInterval(timer);
  });
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible' && live.value && Date.now() - now.value > 1000) refreshNow();
  });
  // A range chosen by hand is shown as of that moment.
  effect(() => {
    void range.value;
    refreshNow();
  });
}

// ---- Zone ----

/** 'local', 'utc', or a name such as Europe/Berlin. */
export const zone = computed(() => {
  const chosen = param('tz').value;
  return chosen !== '' && zoneIsKnown(chosen) ? chosen : 'local';
});

export function setZone(next: string): void {
  setParams({ tz: next === 'local' ? undefined : next }, { replace: true });
}

// ---- Theme ----

export type Theme = 'system' | 'dark' | 'light';

function storedTheme(): Theme {
  try {
    const stored = localStorage.getItem('traceo.theme');
    return stored === 'dark' || stored === 'light' ? stored : 'system';
  } catch {
    return 'system';
  }
}

export const theme = signal<Theme>(storedTheme());
const systemDark = signal(globalThis.matchMedia?.('(prefers-color-scheme: dark)').matches ?? true);

/** The theme that is shown: charts draw with it. */
export const shownTheme = computed<'dark' | 'light'>(() => (theme.value === 'system' ? (systemDark.value ? 'dark' : 'light') : theme.value));

export function setTheme(next: Theme): void {
  theme.value = next;
  try {
    if (next === 'system') localStorage.removeItem('traceo.theme');
    else localStorage.setItem('traceo.theme', next);
  } catch {
    // Not kept then; it holds for this page.
  }
}

export function themeBegin(): void {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', (event) => {
    systemDark.value = event.matches;
  });
  effect(() => {
    document.documentElement.dataset['theme'] = shownTheme.value;
  });
}
