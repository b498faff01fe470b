// What the editor's completion asks: names, values, series and metadata of this server, each remembered for a while,
// because a list is asked for at every key.
import type { Matcher } from '@prometheus-io/codemirror-promql/dist/esm/types';
import type { PrometheusClient } from '@prometheus-io/codemirror-promql/dist/esm/client/prometheus';
import { labelMatchersToString } from '@prometheus-io/codemirror-promql/dist/esm/parser/matcher';
import { labels, labelValues, metadata, series } from '../../data/api';
import { tenantShown } from '../../data/session';
import { span } from '../../state';

const KEPT_MS = 30e3;
const LIST_MAX = 20000;

const answers = new Map<string, { at: number; value: Promise<unknown> }>();

function remembered<T>(what: string, ask: () => Promise<T>): Promise<T> {
  const key = tenantShown.peek() + '\n' + what;
  const old = answers.get(key);
  if (old !== undefined && performance.now() - old.at < KEPT_MS) return old.value as Promise<T>;
  if (answers.size > 200) answers.clear();
  const value = ask();
  answers.set(key, { at: performance.now(), value });
  value.catch(() => answers.delete(key)); // the next key tries again
  return value;
}

/** The selector that is being written, as far as it is whole: without the matcher at the cursor. '' selects everything. */
export function matchOf(metric: string, matchers: Matcher[] | undefined, without = ''): string {
  const whole = (matchers ?? []).filter((one) => one.name !== without && one.value !== '');
  return labelMatchersToString(metric, whole, without);
}

/** Failures are no answer: completion is help, and the query itself will say what is wrong. */
const quiet = <T>(value: Promise<T>, otherwise: T): Promise<T> => value.catch(() => otherwise);

function within() {
  return { fromMs: span.peek().fromMs, toMs: span.peek().toMs, limit: LIST_MAX };
}

export const completionClient: PrometheusClient = {
  metricNames: () => quiet(remembered('names', () => labelValues('__name__', within()).then((answer) => answer.data)), []),
  labelNames: (metric) => {
    const match = matchOf(metric ?? '', undefined);
    return quiet(
      remembered('labels ' + match, () => labels({ ...within(), ...(match === '' ? {} : { match: [match] }) }).then((answer) => answer.data)),
      [],
    );
  },
  labelValues: (name, metric, matchers) => {
    const match = matchOf(metric ?? '', matchers, name);
    return quiet(
      remembered(`values ${name} ${match}`, () => labelValues(name, { ...within(), ...(match === '' ? {} : { match: [match] }) }).then((answer) => answer.data)),
      [],
    );
  },
  series: (metric, matchers, name) => {
    const match = matchOf(metric, matchers, name);
    if (match === '') return Promise.resolve([]);
    return quiet(
      remembered('series ' + match, () => series({ match: [match], ...within(), limit: 1000 }).then((answer) => answer.data.map((one) => new Map(Object.entries(one))))),
      [],
    );
  },
  metricMetadata: () => quiet(remembered('metadata', () => metadata().then((answer) => answer.data)), {}),
  flags: () => Promise.resolve({}),
};
