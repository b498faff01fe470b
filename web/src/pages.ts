// The pages: one row each. Navigation, shortcuts, the palette and the router read these rows; to add a page, add a row
// and a folder under pages/. Pages but the first are loaded when they are opened.
import type { ComponentType } from 'preact';
import type { Range } from './data/time';
import { Home } from './pages/home/home';
import type { IconName } from './ui/icon';

export interface Page {
  path: string; // below /ui/
  title: string;
  icon: IconName;
  key: string; // "g" and this goes there
  range: boolean; // shows the time range and the refresh in the top bar
  defaultRange?: Range;
  load: () => Promise<ComponentType> | ComponentType;
}

export const pages: readonly Page[] = [
  { path: '', title: 'Home', icon: 'home', key: 'h', range: true, defaultRange: { from: 'now-15m', to: 'now' }, load: () => Home },
  { path: 'explore', title: 'Explore', icon: 'explore', key: 'e', range: true, load: () => import('./pages/explore/explore').then((m) => m.Explore) },
  { path: 'dashboards', title: 'Dashboards', icon: 'dashboard', key: 'd', range: true, load: () => import('./pages/dashboards/dashboards').then((m) => m.Dashboards) },
  { path: 'targets', title: 'Targets', icon: 'target', key: 't', range: false, load: () => import('./pages/targets/targets').then((m) => m.Targets) },
  { path: 'metrics', title: 'Metrics', icon: 'metrics', key: 'm', range: true, load: () => import('./pages/metrics/metrics').then((m) => m.Metrics) },
  { path: 'queries', title: 'Queries', icon: 'clock', key: 'q', range: false, load: () => import('./pages/queries/queries').then((m) => m.Queries) },
  { path: 'settings', title: 'Settings', icon: 'settings', key: 's', range: false, load: () => import('./pages/settings/settings').then((m) => m.Settings) },
  { path: 'api', title: 'API', icon: 'api', key: 'a', range: false, load: () => import('./pages/api/api').then((m) => m.Api) },
];

export function pageOf(path: string): Page | undefined {
  const first = path.split('/')[0] ?? '';
  return pages.find((page) => page.path === first);
}
