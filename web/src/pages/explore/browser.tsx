// The metric browser: every metric with its type, unit and help; search as one types; the labels of one metric to build a
// selector from.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { labelValues, metadata, series } from '../../data/api';
import { tenantShown } from '../../data/session';
import { useResource } from '../../data/resource';
import { Icon } from '../../ui/icon';
import { ErrorNotice, Wait } from '../../ui/notice';
import { span } from '../../state';
import { facetsOf, matching, metricsOf, searchMetrics, type Metric } from './catalogue';
import { plainText } from './plain';
import { selectorText, usualQuery, type Matcher } from './selector';

const NAMES_MAX = 100000;
const SERIES_MAX = 2000;
const SHOWN = 150;
const VALUES_SHOWN = 12;

export interface BrowserProps {
  onUse: (text: string, options: { run: boolean; replace: boolean }) => void;
}

/** Names and metadata of the range; asked for again when the range changes by hand, not with every refresh. */
export function useMetrics(): { metrics: readonly Metric[]; error: Error | undefined; slow: boolean; loading: boolean } {
  const { fromMs, toMs } = span.peek();
  const hour = Math.floor(toMs / 300e3);
  const found = useResource(
    async (signal) => {
      const [names, known] = await Promise.all([labelValues('__name__', { fromMs, toMs, limit: NAMES_MAX }, { signal }), metadata('', undefined, { signal })]);
      return metricsOf(names.data, known.data);
    },
    ['metrics', tenantShown.value, Math.round((toMs - fromMs) / 1000), hour],
  );
  return { metrics: found.value ?? [], error: found.error, slow: found.slow, loading: found.loading };
}

export function MetricBrowser({ onUse, found }: BrowserProps & { found: ReturnType<typeof useMetrics> }) {
  const [words, setWords] = useState('');
  const [open, setOpen] = useState<string | undefined>(undefined);
  const [more, setMore] = useState(false);
  const hits = useMemo(() => searchMetrics(found.metrics, words), [found.metrics, words]);
  const shown = more ? hits.slice(0, 2000) : hits.slice(0, SHOWN);
  useEffect(() => setMore(false), [words]);

  return (
    <section class="panel browser" aria-label="Metrics">
      <header>
        <h2>Metrics</h2>
        <span class="note num" role="status">
          {words === '' ? found.metrics.length : `${hits.length} of ${found.metrics.length}`}
        </span>
      </header>
      <input
        class="field browser-search"
        type="search"
        aria-label="Search metrics"
        placeholder="Search names and help"
        value={words}
        spellcheck={false}
        onInput={(event) => setWords(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && hits[0] !== undefined) onUse(usualQuery(hits[0].name, hits[0].type), { run: true, replace: true });
          if (event.key === 'ArrowDown') (event.currentTarget.closest('.browser')?.querySelector('.metric-name') as HTMLElement | null)?.focus();
        }}
      />
      {found.slow && <Wait what="Loading the metrics" />}
      <ErrorNotice error={found.error} />
      {!found.loading && found.error === undefined && hits.length === 0 && (
        <p class="small dim browser-none">{found.metrics.length === 0 ? 'Nothing was stored in this range of time.' : 'No metric has these words in its name or its help.'}</p>
      )}
      <ul
        class="metric-list"
        onKeyDown={(event) => {
          const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
          if (step === 0 || !(event.target instanceof HTMLElement) || !event.target.classList.contains('metric-name')) return;
          const all = [...event.currentTarget.querySelectorAll<HTMLElement>('.metric-name')];
          const next = all[all.indexOf(event.target) + step];
          event.preventDefault();
          if (next !== undefined) next.focus();
          else if (step < 0) (event.currentTarget.closest('.browser')?.querySelector('.browser-search') as HTMLElement | null)?.focus();
        }}
      >
        {shown.map((metric) => (
          <li key={metric.name} class={open === metric.name ? 'open' : undefined}>
            <div class="metric">
              <button type="button" class="metric-name" title={metric.help === '' ? metric.name : metric.name + '\n' + metric.help} onClick={() => onUse(usualQuery(metric.name, metric.type), { run: true, replace: false })}>
                <span class="clip mono">{metric.name}</span>
                {metric.type !== '' && <span class={'metric-type ' + metric.type}>{metric.type}</span>}
              </button>
              <button type="button" class="button quiet icon metric-more" aria-expanded={open === metric.name} aria-label={'Labels of ' + metric.name} title="Labels and help" onClick={() => setOpen(open === metric.name ? undefined : metric.name)}>
                <Icon name={open === metric.name ? 'down' : 'right'} />
              </button>
            </div>
            {open === metric.name && <MetricDetail metric={metric} onUse={onUse} />}
          </li>
        ))}
      </ul>
      {hits.length > shown.length && (
        <button type="button" class="legend-more small" onClick={() => setMore(true)}>
          and {hits.length - shown.length} more
        </button>
      )}
    </section>
  );
}

function MetricDetail({ metric, onUse }: { metric: Metric } & BrowserProps) {
  const [chosen, setChosen] = useState<readonly Matcher[]>([]);
  const found = useResource(
    async (signal) => {
      const { fromMs, toMs } = span.peek();
      const answer = await series({ match: [selectorText(metric.name, [])], fromMs, toMs, limit: SERIES_MAX + 1 }, { signal });
      return answer.data;
    },
    ['series', metric.name],
  );
  const all = found.value ?? [];
  const facets = useMemo(() => facetsOf(all, chosen), [all, chosen]);
  const selector = selectorText(metric.name, chosen);
  const count = matching(all, chosen);

  const choose = (label: string, value: string) => {
    const old = chosen.find((one) => one.label === label)?.values ?? [];
    const values = old.includes(value) ? old.filter((one) => one !== value) : [...old, value];
    setChosen([...chosen.filter((one) => one.label !== label), ...(values.length === 0 ? [] : [{ label, values }])]);
  };

  return (
    <div class="metric-detail">
      {metric.help !== '' && <p class="small dim wrap">{metric.help}</p>}
      <div class="metric-build">
        <code class="wrap">{selector}</code>
        <span class="faint tiny num">
          {all.length > SERIES_MAX ? `more than ${SERIES_MAX}` : count} series{metric.unit !== '' && ' · ' + metric.unit}
        </span>
        <div class="row">
          <button type="button" class="button primary" onClick={() => onUse(usualQuery(metric.name, metric.type, chosen), { run: true, replace: true })}>
            Run
          </button>
          <button type="button" class="button" onClick={() => onUse(selector, { run: false, replace: false })}>
            Insert
          </button>
          {chosen.length > 0 && (
            <button type="button" class="button quiet" onClick={() => setChosen([])}>
              Clear
            </button>
          )}
        </div>
      </div>
      {found.slow && <Wait what="Loading the labels" />}
      <ErrorNotice error={found.error} again={false} />
      {facets.map((facet) => (
        <FacetBox key={facet.label} facet={facet} chosen={chosen.find((one) => one.label === facet.label)?.values ?? []} onChoose={(value) => choose(facet.label, value)} />
      ))}
      {found.value !== undefined && facets.length === 0 && <p class="small faint">This metric has no labels.</p>}
    </div>
  );
}

function FacetBox({ facet, chosen, onChoose }: { facet: ReturnType<typeof facetsOf>[number]; chosen: readonly string[]; onChoose: (value: string) => void }) {
  const [words, setWords] = useState('');
  const [all, setAll] = useState(false);
  const wanted = words.toLowerCase();
  const hits = facet.values.filter((one) => wanted === '' || one.value.toLowerCase().includes(wanted));
  const shown = all ? hits.slice(0, 500) : hits.slice(0, VALUES_SHOWN);
  return (
    <fieldset class="facet">
      <legend>
        <span class="mono">{facet.label}</span> <span class="faint num">{facet.values.length}</span>
      </legend>
      {facet.values.length > VALUES_SHOWN && <input class="field" type="search" aria-label={'Search values of ' + facet.label} placeholder="Search values" value={words} onInput={(event) => setWords(event.currentTarget.value)} />}
      <div class="facet-values">
        {shown.map((one) => (
          <label key={one.value} class={'facet-value' + (one.count === 0 ? ' none' : '')}>
            <input type="checkbox" checked={chosen.includes(one.value)} onChange={() => onChoose(one.value)} />
            <span class="clip mono" title={one.value}>
              {one.value === '' ? '(empty)' : plainText(one.value)}
            </span>
            <span class="faint num">{one.count}</span>
          </label>
        ))}
      </div>
      {hits.length > shown.length && (
        <button type="button" class="legend-more tiny" onClick={() => setAll(true)}>
          and {hits.length - shown.length} more
        </button>
      )}
    </fieldset>
  );
}
