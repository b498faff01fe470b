// What Traceo itself costs: processor, memory, disk. Rates are made here, of two answers; the course is kept while the
// page is open.
import { useRef } from 'preact/hooks';
import { self, type Self } from '../../data/api';
import { useResource } from '../../data/resource';
import { durationHuman } from '../../data/time';
import { valueText } from '../../data/units';
import { now } from '../../state';
import { ErrorNotice } from '../../ui/notice';
import { Panel } from '../../ui/panel';
import { Tile } from './tile';

const KEPT = 120;

interface Course {
  last: Self | undefined;
  cpu: (number | null)[];
  memory: (number | null)[];
  samples: (number | null)[];
}

export function Cost() {
  const course = useRef<Course>({ last: undefined, cpu: [], memory: [], samples: [] });
  const state = useResource(
    async (signal) => {
      const { data } = await self({ signal });
      const kept = course.current;
      const seconds = kept.last === undefined ? (data.time - data.startTime) / 1000 : (data.time - kept.last.time) / 1000;
      if (seconds > 0) {
        kept.cpu = [...kept.cpu, (data.cpuSeconds - (kept.last?.cpuSeconds ?? 0)) / seconds].slice(-KEPT);
        kept.samples = [...kept.samples, (data.samplesAppended - (kept.last?.samplesAppended ?? 0)) / seconds].slice(-KEPT);
        kept.memory = [...kept.memory, data.residentBytes].slice(-KEPT);
        kept.last = data;
      }
      return data;
    },
    ['self'],
    now.value,
  );
  const data = state.value;
  const { cpu, memory, samples } = course.current;
  return (
    <Panel
      title="What Traceo itself costs"
      class="w12"
      note={data === undefined ? '' : `running for ${durationHuman(data.time - data.startTime)}`}
      right={data !== undefined && !data.writable ? <span class="badge bad">Not taking writes</span> : undefined}
    >
      <ErrorNotice error={state.error} />
      <div class="tiles inner">
        <Tile title="Processor" unit="ratio" values={cpu} note="of a core" />
        <Tile title="Memory" unit="bytes" values={memory} limit={data?.memoryLimitBytes} note={data === undefined ? '' : 'limit ' + valueText(data.memoryLimitBytes, 'bytes')} />
        <Tile title="Log and blocks" unit="bytes" values={data === undefined ? [] : [data.logBytes + data.blockBytes]} note={data?.diskFreeBytes === undefined ? '' : valueText(data.diskFreeBytes, 'bytes') + ' free'} />
        <Tile title="Series" unit="count" values={data === undefined ? [] : [data.seriesActive]} />
        <Tile title="Samples stored" unit="/s" values={samples} />
        <Tile title="Samples kept" unit="count" values={data === undefined ? [] : [data.headSamples + data.blockSamples]} />
      </div>
    </Panel>
  );
}
