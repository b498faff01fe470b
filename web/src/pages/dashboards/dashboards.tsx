// Dashboards: the list at /ui/dashboards, one of them at /ui/dashboards/ID.
import { useEffect } from 'preact/hooks';
import { href, place } from '../../router';
import { Empty } from '../../ui/notice';
import { Panel } from '../../ui/panel';
import { Board } from './board';
import { List } from './list';
import { dashboardOf } from './store';
import './dashboards.css';

export function Dashboards() {
  const id = place.value.path.split('/')[1] ?? '';
  const dashboard = id === '' ? undefined : dashboardOf(id);
  useEffect(() => {
    document.title = (dashboard?.title ?? 'Dashboards') + ' · Traceo';
  }, [dashboard]);
  if (dashboard !== undefined) return <Board key={dashboard.id} dashboard={dashboard} />;
  if (id === '') return <List />;
  return (
    <Panel title="There is no such dashboard">
      <Empty title={`This browser knows no dashboard “${id.slice(0, 64)}”`}>
        <p>
          Dashboards of your own live in the browser in which they were opened. Open its file in <a href={href('dashboards')}>the list</a>, and this link works.
        </p>
      </Empty>
    </Panel>
  );
}
