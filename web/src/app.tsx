// The frame of every page: brand, top bar, navigation, the page itself, and what floats above it.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { addCommands, paletteOpen } from './commands';
import { bindKeys } from './keys';
import { pageOf, pages } from './pages';
import { boardNames } from './pages/dashboards/names';
import { go, href, place, setParams } from './router';
import { defaultRange, moveRange, refresh, refreshNow, setTheme, shownTheme, zoomRange } from './state';
import { KeyGate } from './ui/key';
import { Help, helpOpen } from './ui/help';
import { Icon } from './ui/icon';
import { Palette } from './ui/palette';
import { ErrorNotice, Wait } from './ui/notice';
import { Toasts } from './ui/toast';
import { Unreachable, WhenReady } from './ui/state_of_server';
import { TopBar } from './ui/topbar';
import { useFoot } from './ui/foot';

const loaded = new Map<string, ComponentType>();

function usePage(path: string): { View: ComponentType | undefined; error: Error | undefined; slow: boolean } {
  const page = pageOf(path);
  const [state, setState] = useState<{ error?: Error; slow: boolean; count: number }>({ slow: false, count: 0 });
  useEffect(() => {
    if (page === undefined || loaded.has(page.path)) return;
    const answer = page.load();
    const slow = setTimeout(() => setState((old) => ({ ...old, slow: true })), 100);
    Promise.resolve(answer).then(
      (View) => {
        clearTimeout(slow);
        loaded.set(page.path, View);
        setState((old) => ({ slow: false, count: old.count + 1 }));
      },
      (error: Error) => {
        clearTimeout(slow);
        setState((old) => ({ ...old, slow: false, error: new Error('This page could not be loaded (' + error.message + '). Load it again, as Traceo may have been updated.') }));
      },
    );
    return () => clearTimeout(slow);
  }, [page?.path]);
  if (page !== undefined && !loaded.has(page.path)) {
    const now = page.load();
    if (typeof now === 'function') loaded.set(page.path, now as ComponentType);
  }
  return { View: page === undefined ? NotFound : loaded.get(page.path), error: state.error, slow: state.slow };
}

function NotFound() {
  return (
    <section class="panel">
      <h2>There is no such page</h2>
      <p class="dim">
        Nothing is at this address. <a href={href('')}>Home</a> shows this host.
      </p>
    </section>
  );
}

function globalKeys(): () => void {
  return bindKeys(
    ...pages.map((page) => ({ keys: 'g ' + page.key, title: page.title, group: 'Go to', run: () => go(page.path) })),
    { keys: 'mod+k', title: 'Command palette', group: 'General', run: () => (paletteOpen.value = true) },
    { keys: '?', title: 'Keyboard shortcuts', group: 'General', run: () => (helpOpen.value = true) },
    { keys: 't d', title: 'Dark or light', group: 'General', run: () => setTheme(shownTheme.value === 'dark' ? 'light' : 'dark') },
    { keys: 'r', title: 'Refresh now', group: 'Time', run: refreshNow },
    { keys: 'p', title: 'Pause or go on', group: 'Time', run: () => setParams({ refresh: refresh.value === 'off' ? undefined : 'off' }, { replace: true }) },
    { keys: '[', title: 'Earlier', group: 'Time', run: () => moveRange(-0.5) },
    { keys: ']', title: 'Later', group: 'Time', run: () => moveRange(0.5) },
    { keys: '-', title: 'Zoom out', group: 'Time', run: () => zoomRange(2) },
    { keys: '+', title: 'Zoom in', group: 'Time', run: () => zoomRange(0.5) },
  );
}

export function App() {
  const path = place.value.path;
  const page = pageOf(path);
  const { View, error, slow } = usePage(path);
  const foot = useFoot();

  useEffect(globalKeys, []);
  useEffect(
    () =>
      addCommands(() => [
        ...pages.map((one) => ({ id: 'go ' + one.path, title: one.title, group: 'Go to', keys: 'g ' + one.key, run: () => go(one.path) })),
        ...boardNames().map((one) => ({ id: 'board ' + one.id, title: one.title, group: 'Dashboard', run: () => go('dashboards/' + one.id) })),
        { id: 'theme dark', title: 'Dark theme', group: 'Theme', run: () => setTheme('dark') },
        { id: 'theme light', title: 'Light theme', group: 'Theme', run: () => setTheme('light') },
        { id: 'theme system', title: 'Theme of the system', group: 'Theme', run: () => setTheme('system') },
      ]),
    [],
  );
  // Before the page draws, so that it does not ask for a range that is not its own.
  const wanted = page?.defaultRange ?? { from: 'now-1h', to: 'now' };
  if (defaultRange.peek().from !== wanted.from || defaultRange.peek().to !== wanted.to) defaultRange.value = wanted;
  useEffect(() => {
    document.title = (page === undefined ? 'Not found' : page.title) + ' · Traceo';
  }, [page]);

  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <div class="shell">
        <TopBar title={page?.title ?? 'Not found'} range={page?.range ?? false} />
        <nav class="side" aria-label="Pages">
          <button type="button" class="find" title="Command palette" onClick={() => (paletteOpen.value = true)}>
            <Icon name="search" />
            <span>Find</span>
            <kbd class="kbd">{navigator.platform.startsWith('Mac') ? '⌘ K' : 'Ctrl K'}</kbd>
          </button>
          {pages.map((one) => (
            <a key={one.path} href={href(one.path)} aria-current={one === page ? 'page' : undefined}>
              <Icon name={one.icon} />
              {one.title}
            </a>
          ))}
          {foot}
        </nav>
        <main id="main" tabIndex={-1}>
          <KeyGate>
            <WhenReady>
            {error !== undefined ? <ErrorNotice error={error} again={false} /> : View !== undefined ? <View key={page?.path} /> : slow ? <Wait what="Loading the page" /> : null}
            </WhenReady>
          </KeyGate>
        </main>
      </div>
      {helpOpen.value && <Help />}
      {paletteOpen.value && <Palette />}
      <Unreachable />
      <Toasts />
    </>
  );
}
