// The client of the HTTP API: one function per route that the page uses. Failure is an ApiError with words for people.
import { signal } from '@preact/signals';
import { apiKey, keyWanted, sessionHeaders } from './session';

/** The last request had no answer at all; ui/state_of_server.tsx says so. */
export const unreachable = signal(false);
/** The server reads its log and does not answer queries yet. */
export const replaying = signal(false);

/** A part of a query: byte offsets into its UTF-8 text. */
export interface FaultRange {
  start: number;
  end: number;
}

export class ApiError extends Error {
  constructor(
    readonly status: number, // 0: no answer at all
    readonly type: string, // 'bad_data', 'timeout', … as Prometheus names them
    message: string,
    readonly retryAfterMs = 0,
    readonly at?: FaultRange, // the part of the query that is at fault
  ) {
    super(message);
    this.name = 'ApiError';
  }
  /** Where in the query the fault is, when the message says so ("1:5: parse error: …"). */
  get position(): { line: number; column: number } | undefined {
    const found = /(?:^|\s)(\d+):(\d+):/.exec(this.message);
    return found === null ? undefined : { line: Number(found[1]), column: Number(found[2]) };
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** GET puts parameters into the URL; POST sends them as a form, which long queries need. */
  method?: 'GET' | 'POST' | 'DELETE';
  headers?: Record<string, string>;
}

export type CallParams = Record<string, string | number | readonly string[] | undefined>;

function formOf(params: CallParams): URLSearchParams {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) form.append(name, String(one));
  }
  return form;
}

/** One request; any body. Throws ApiError, or the AbortError of `signal`. */
export async function request(path: string, params: CallParams = {}, options: CallOptions = {}): Promise<Response> {
  const form = formOf(params).toString();
  const method = options.method ?? 'GET';
  let response: Response;
  try {
    response = await fetch(method !== 'POST' && form !== '' ? path + '?' + form : path, {
      method,
      // A challenge for Basic would open the browser's own dialog; the page asks for a key itself.
      credentials: 'omit',
      cache: 'no-store',
      headers: { ...sessionHeaders(), ...options.headers, ...(method === 'POST' ? { 'Content-Type': 'application/x-www-form-urlencoded' } : {}) },
      body: method === 'POST' ? form : null,
      signal: options.signal ?? null,
    });
  } catch (error) {
    if (isAbort(error)) throw error;
    unreachable.value = true;
    throw new ApiError(0, 'unreachable', 'Traceo does not answer. Is it still running?');
  }
  unreachable.value = false;
  if (response.ok) return response;
  const body = await response.text();
  let type = 'http';
  let message = body.trim() || response.statusText || 'status ' + response.status;
  let at: FaultRange | undefined;
  try {
    const parsed = JSON.parse(body) as { errorType?: string; error?: string; position?: FaultRange };
    type = parsed.errorType ?? type;
    message = parsed.error ?? message;
    at = parsed.position;
  } catch {
    // Not JSON: the text itself is the message.
  }
  if (response.status === 503 && message.includes('being replayed')) replaying.value = true;
  if (response.status === 401) keyWanted.value = apiKey.value === '' ? 'missing' : 'refused';
  throw new ApiError(response.status, type, message, Number(response.headers.get('Retry-After') ?? 0) * 1000, at);
}

/** One request in Prometheus' envelope: { status, data, warnings, infos }. */
export async function call<T>(path: string, params: CallParams = {}, options: CallOptions = {}): Promise<Answer<T>> {
  const response = await request(path, params, options);
  const body = (await response.json()) as { data: T; warnings?: string[]; infos?: string[] };
  return { data: body.data, warnings: body.warnings ?? [], infos: body.infos ?? [] };
}

// ---- Queries ----

export type Labels = Record<string, string>;
export type Point = [seconds: number, value: string];

export interface Histogram {
  count: string;
  sum: string;
  buckets?: [number, string, string, string][];
}

export type QueryData =
  | { resultType: 'matrix'; result: { metric: Labels; values?: Point[]; histograms?: [number, Histogram][] }[] }
  | { resultType: 'vector'; result: { metric: Labels; value?: Point; histogram?: [number, Histogram] }[] }
  | { resultType: 'scalar'; result: Point }
  | { resultType: 'string'; result: Point };

export function query(expr: string, atMs: number, options: CallOptions = {}): Promise<Answer<QueryData>> {
  return call('/api/v1/query', { query: expr, time: atMs / 1000 }, { method: 'POST', ...options });
}

export function queryRange(expr: string, fromMs: number, toMs: number, stepMs: number, options: CallOptions = {}): Promise<Answer<QueryData>> {
  return call('/api/v1/query_range', { query: expr, start: fromMs / 1000, end: toMs / 1000, step: stepMs / 1000 }, { method: 'POST', ...options });
}

export interface ExemplarSeries {
  seriesLabels: Labels;
  exemplars: { labels: Labels; value: string; timestamp: number }[];
}
export function queryExemplars(expr: string, fromMs: number, toMs: number, options: CallOptions = {}): Promise<Answer<ExemplarSeries[]>> {
  return call('/api/v1/query_exemplars', { query: expr, start: fromMs / 1000, end: toMs / 1000 }, { method: 'POST', ...options });
}

export interface PlanNode {
  node: string; // as the query has it: 'sum by (job)'
  operator: string;
  position: [from: number, to: number]; // bytes of the query's UTF-8 text
  series: number;
  points: number;
  samples: number; // read from storage
  selfMs: number;
  totalMs: number; // with its children
  memoryBytes: number;
  children: PlanNode[];
}
export interface Explained {
  query: string;
  plan: PlanNode;
  totals: { queuedMs?: number; parseMs: number; runMs: number; series: number; samples: number; memoryPeakBytes: number };
}
/** Runs the query and says what each node of its plan did, in place of the result. */
export function queryExplain(expr: string, when: { atMs: number } | { fromMs: number; toMs: number; stepMs: number }, options: CallOptions = {}): Promise<Answer<Explained>> {
  const times = 'atMs' in when ? { time: when.atMs / 1000 } : { start: when.fromMs / 1000, end: when.toMs / 1000, step: when.stepMs / 1000 };
  return call('/api/traceo/v1/query_explain', { query: expr, ...times }, { method: 'POST', ...options });
}

export interface RunningQuery {
  id: string;
  tenant: string;
  query: string; // shortened where it is long
  path: string;
  state: 'queued' | 'running' | 'ending';
  startedAt: string;
  ageMs: number;
  samples: number;
  memoryBytes: number;
  key: string;
  peer: string;
  agent: string;
}
export function runningQueries(options: CallOptions = {}): Promise<Answer<{ queries: RunningQuery[] }>> {
  return call('/api/traceo/v1/queries', {}, options);
}
export function endQuery(id: string, options: CallOptions = {}): Promise<Answer<{ id: string; state: string }>> {
  return call('/api/traceo/v1/queries/' + encodeURIComponent(id), {}, { ...options, method: 'DELETE' });
}

// ---- What there is ----

interface Matching {
  match?: readonly string[];
  fromMs?: number;
  toMs?: number;
  limit?: number;
}
function matching(m: Matching): CallParams {
  return {
    'match[]': m.match,
    start: m.fromMs === undefined ? undefined : m.fromMs / 1000,
    end: m.toMs === undefined ? undefined : m.toMs / 1000,
    limit: m.limit,
  };
}

export function labels(m: Matching = {}, options: CallOptions = {}): Promise<Answer<string[]>> {
  return call('/api/v1/labels', matching(m), options);
}
export function labelValues(name: string, m: Matching = {}, options: CallOptions = {}): Promise<Answer<string[]>> {
  return call(`/api/v1/label/${encodeURIComponent(name)}/values`, matching(m), options);
}
export function series(m: Matching, options: CallOptions = {}): Promise<Answer<Labels[]>> {
  return call('/api/v1/series', matching(m), options);
}

export interface Metadata {
  type: 'counter' | 'gauge' | 'histogram' | 'gaugehistogram' | 'summary' | 'info' | 'stateset' | 'unknown';
  help: string;
  unit: string;
}
export function metadata(metric = '', limit?: number, options: CallOptions = {}): Promise<Answer<Record<string, Metadata[]>>> {
  return call('/api/v1/metadata', { metric: metric || undefined, limit }, options);
}

export interface Target {
  discoveredLabels: Labels;
  labels: Labels;
  scrapePool: string;
  scrapeUrl: string;
  globalUrl: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  health: 'up' | 'down' | 'unknown';
  scrapeInterval: string;
  scrapeTimeout: string;
}
export interface Targets {
  activeTargets: Target[];
  droppedTargets: { discoveredLabels: Labels; scrapePool?: string }[];
  droppedTargetCounts: Record<string, number>;
}
export function targets(state: 'active' | 'dropped' | 'any' = 'any', options: CallOptions = {}): Promise<Answer<Targets>> {
  return call('/api/v1/targets', { state }, options);
}

// ---- The server itself ----

export interface Build {
  version: string;
  revision: string;
  buildDate: string;
}
export function buildInfo(options: CallOptions = {}): Promise<Answer<Build>> {
  return call('/api/v1/status/buildinfo', {}, options);
}
export interface Runtime {
  startTime: string;
  serverTime: string;
  hostname: string;
  reloadConfigSuccess: boolean;
  lastConfigTime: string;
  timeSeriesCount: number;
  corruptionCount: number;
}
export function runtimeInfo(options: CallOptions = {}): Promise<Answer<Runtime>> {
  return call('/api/v1/status/runtimeinfo', {}, options);
}
export function flags(options: CallOptions = {}): Promise<Answer<Record<string, string>>> {
  return call('/api/v1/status/flags', {}, options);
}
export interface Setting {
  key: string;
  value: string;
  default: string;
  from: string; // 'default', 'traceo.yaml:3', 'TRACEO_LISTEN', '--listen'
  kind: 'text' | 'size' | 'duration' | 'count' | 'switch' | 'choice';
  unit: string;
  reload: boolean;
  help: string;
}
export function settings(options: CallOptions = {}): Promise<Answer<Setting[]>> {
  return call('/api/traceo/v1/settings', {}, options);
}
export function configYaml(options: CallOptions = {}): Promise<Answer<{ yaml: string }>> {
  return call('/api/v1/status/config', {}, options);
}
export interface Top {
  name: string;
  value: number;
}
export interface Tsdb {
  headStats: { numSeries: number; numSamples: number; minTime: number; maxTime: number };
  seriesCountByMetricName: Top[];
  labelValueCountByLabelName: Top[];
  memoryInBytesByLabelName: Top[];
  seriesCountByLabelValuePair: Top[];
  seriesLimits: { active: number; newPerSecond: number; perMetric: number }; // 0: none
  refusedSeries: number; // since the start, once for each time they came
  refusedSeriesByMetricName: Refused[];
}
/** New series that a limit refused: of which metric, how often, by which setting, and which of their labels has most values. */
export interface Refused extends Top {
  limit: string;
  label: string;
  labelValues: number;
  lastTime: number; // ms
}
export function tsdb(limit = 10, options: CallOptions = {}): Promise<Answer<Tsdb>> {
  return call('/api/v1/status/tsdb', { limit }, options);
}

export interface OpenApiOperation {
  summary: string;
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema?: { type?: string; items?: { type?: string } } }[];
  requestBody?: { content: Record<string, unknown> };
  'x-permission'?: string;
  security: unknown[];
}
export type OpenApiPath = { servers?: { url: string }[] } & Partial<Record<'get' | 'post' | 'put' | 'delete' | 'head', OpenApiOperation>>;
export interface OpenApi {
  info: { title: string; version: string; description: string };
  paths: Record<string, OpenApiPath>;
}
export async function openApi(options: CallOptions = {}): Promise<OpenApi> {
  return (await request('/api/v1/openapi.json', {}, options)).json() as Promise<OpenApi>;
}

// ---- This host and Traceo itself ----

export interface HostProcess {
  pid: number;
  name: string;
  user: string;
  state: string;
  threads: number;
  cpuCores: number;
  residentBytes: number;
}
export function hostProcesses(limit = 12, options: CallOptions = {}): Promise<Answer<{ count: number; seconds: number; processes: HostProcess[] }>> {
  return call('/api/traceo/v1/host/processes', { limit }, options);
}
export interface Self {
  time: number;
  startTime: number;
  cpuSeconds: number;
  residentBytes: number;
  memoryLimitBytes: number;
  logBytes: number;
  blockBytes: number;
  headSamples: number;
  blockSamples: number;
  seriesActive: number;
  samplesAppended: number;
  receivedBytes: number;
  sentBytes: number;
  queries: number;
  querySeconds: number;
  writable: boolean;
  diskBytes?: number;
  diskFreeBytes?: number;
}
export function self(options: CallOptions = {}): Promise<Answer<Self>> {
  return call('/api/traceo/v1/self', {}, options);
}
export interface Source {
  protocol: string;
  peer: string;
  agent: string;
  firstSeen: string;
  lastSeen: string;
  requests: number;
  samples: number;
  bytes: number;
  requestsPerSecond: number;
  samplesPerSecond: number;
  bytesPerSecond: number;
  faults: number;
  lastFault?: string;
  lastFaultAt?: string;
}
export function sources(options: CallOptions = {}): Promise<Answer<{ sources: Source[] }>> {
  return call('/api/traceo/v1/sources', {}, options);
}
