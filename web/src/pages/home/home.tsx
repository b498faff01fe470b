// Home: this host, live.
import { useLive } from '../../data/live';
import { Chart } from '../../chart/chart';
import { Panel } from '../../ui/panel';
import { ErrorNotice } from '../../ui/notice';
import { span } from '../../state';

export function Home() {
  const load = useLive('node_load1', { legend: '1 minute' });
  return (
    <div class="stack">
      <Panel title="Load">
        <Chart title="Load" data={load.value} span={load.value?.span ?? span.value} />
        <ErrorNotice error={load.error} />
      </Panel>
    </div>
  );
}
