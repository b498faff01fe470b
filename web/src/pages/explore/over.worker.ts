// Reads a large answer beside the page (over.ts).
import type { Labels, QueryData } from '../../data/api';
import { columnsOf } from '../../data/columns';

export interface ToRead {
  id: number;
  bytes: ArrayBuffer;
  fromMs: number;
  toMs: number;
  stepMs: number;
}

export interface Read {
  id: number;
  error: string; // '' when it was read
  count: number; // points of each series
  series: { labels: Labels; values: Float64Array }[];
  notFinite: number;
  histograms: number;
  warnings: string[];
  infos: string[];
}

onmessage = (event: MessageEvent<ToRead>) => {
  const { id, bytes, fromMs, toMs, stepMs } = event.data;
  const answer: Read = { id, error: '', count: 0, series: [], notFinite: 0, histograms: 0, warnings: [], infos: [] };
  try {
    const body = JSON.parse(new TextDecoder().decode(bytes)) as { data: QueryData; warnings?: string[]; infos?: string[] };
    const columns = columnsOf(body.data, fromMs, toMs, stepMs);
    answer.count = columns.times.length;
    answer.notFinite = columns.notFinite;
    answer.histograms = columns.histograms;
    answer.series = columns.series.map(({ labels, values }) => ({ labels, values: Float64Array.from(values, (value) => value ?? NaN) }));
    answer.warnings = body.warnings ?? [];
    answer.infos = body.infos ?? [];
  } catch (error) {
    answer.error = 'The answer could not be read: ' + (error as Error).message;
  }
  (postMessage as (message: unknown, transfer: Transferable[]) => void)(
    answer,
    answer.series.map((one) => one.values.buffer),
  );
};
