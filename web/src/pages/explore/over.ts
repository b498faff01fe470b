// A range query's answer as columns. Two million points are forty megabytes of JSON: reading them takes a second, and in
// that second nothing on the page would move. So what is large is read by a worker; small answers are read here, as
// starting a worker takes longer than reading them.
import { request, type Labels, type QueryData } from '../../data/api';
import { columnsOf, seriesName, type Columns } from '../../data/columns';
import type { Read } from './over.worker';

const LARGE_BYTES = 1 << 20;

export interface OverAnswer extends Columns {
  notFinite: number;
  histograms: number; // series that are native histograms, and no lines
  warnings: string[];
  infos: string[];
}

interface Envelope {
  data: QueryData;
  warnings?: string[];
  infos?: string[];
}

let worker: Worker | undefined;
let nextId = 1;
const waiting = new Map<number, { done: (read: Read) => void; fail: (error: Error) => void }>();

function reader(): Worker {
  if (worker !== undefined) return worker;
  worker = new Worker(new URL('./over.worker.ts', import.meta.url), { type: 'module' });
  worker.onmessage = (event: MessageEvent<Read>) => {
    const one = waiting.get(event.data.id);
    waiting.delete(event.data.id);
    if (event.data.error !== '') one?.fail(new Error(event.data.error));
    else one?.done(event.data);
  };
  worker.onerror = () => {
    for (const one of waiting.values()) one.fail(new Error('The answer is too large for this browser.'));
    waiting.clear();
    worker?.terminate();
    worker = undefined;
  };
  return worker;
}

export async function askOver(expr: string, fromMs: number, toMs: number, stepMs: number, signal: AbortSignal): Promise<OverAnswer> {
  const response = await request('/api/v1/query_range', { query: expr, start: fromMs / 1000, end: toMs / 1000, step: stepMs / 1000 }, { method: 'POST', signal });
  const bytes = await response.arrayBuffer();
  if (bytes.byteLength < LARGE_BYTES) {
    const body = JSON.parse(new TextDecoder().decode(bytes)) as Envelope;
    return { ...columnsOf(body.data, fromMs, toMs, stepMs), warnings: body.warnings ?? [], infos: body.infos ?? [] };
  }
  const id = nextId++;
  const read = await new Promise<Read>((done, fail) => {
    waiting.set(id, { done, fail });
    reader().postMessage({ id, bytes, fromMs, toMs, stepMs }, [bytes]);
    signal.addEventListener('abort', () => {
      waiting.delete(id);
      fail(new DOMException('superseded', 'AbortError'));
    });
  });
  return { times: Array.from({ length: read.count }, (_, i) => fromMs + i * stepMs), series: read.series.map(columnOf), notFinite: read.notFinite, histograms: read.histograms, warnings: read.warnings, infos: read.infos };
}

// NaN stands for "no value" on the way.
function columnOf({ labels, values }: { labels: Labels; values: Float64Array }) {
  const out = new Array<number | null>(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    out[i] = value === value ? value : null;
  }
  return { name: seriesName(labels), labels, values: out };
}
