// The busiest processes of this host.
import { hostProcesses, type HostProcess } from '../../data/api';
import { useResource } from '../../data/resource';
import { valueText } from '../../data/units';
import { now } from '../../state';
import { ErrorNotice } from '../../ui/notice';
import { Panel } from '../../ui/panel';
import { Table, type ColumnSpec } from '../../ui/table';

const columns: readonly ColumnSpec<HostProcess>[] = [
  { key: 'name', title: 'Process', clip: true, show: (one) => <span title={`${one.name} (${one.pid})`}>{one.name}</span> },
  { key: 'pid', title: 'PID', number: true, show: (one) => <span class="faint">{one.pid}</span> },
  { key: 'user', title: 'User', show: (one) => <span class="dim">{one.user}</span> },
  { key: 'cpu', title: 'Processor', number: true, show: (one) => valueText(one.cpuCores, 'ratio') },
  { key: 'memory', title: 'Memory', number: true, show: (one) => one.residentBytes === 0 ? <span class="faint">kernel</span> : valueText(one.residentBytes, 'bytes') },
];

export function Processes() {
  const top = useResource((signal) => hostProcesses(8, { signal }).then((answer) => answer.data), ['processes'], now.value);
  return (
    <Panel title="Busiest processes" class="w6" note="100 % is one core" right={<span class="faint tiny num">{top.value === undefined ? '' : `${top.value.count} in all`}</span>}>
      <ErrorNotice error={top.error} />
      <div class="rows8">{top.value !== undefined && <Table label="Busiest processes" columns={columns} rows={top.value.processes} keyOf={(one) => one.pid} />}</div>
    </Panel>
  );
}
