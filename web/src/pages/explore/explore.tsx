// Explore: write expressions, see what they answer, find one's way to the next one.
//
//   URL ──► readState ──► queries ──► a Loader each (run.ts) ──► results ──► Result (chart, legend, table)
//             ▲                                                    │
//   drafts ───┴── Enter, Run, a click in the browser               └──► errors under the text of their query
import { signal, useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { addCommands } from '../../commands';
import { isAbort } from '../../data/api';
import type { Resource } from '../../data/resource';
import { durationText } from '../../data/time';
import { unitOfExpr, unitOfMetric, type Unit } from '../../data/units';
import { bindKeys } from '../../keys';
import { param, place, setParams } from '../../router';
import { refreshNow, span } from '../../state';
import { Icon } from '../../ui/icon';
import { Menu } from '../../ui/menu';
import { Empty, ErrorNotice, Notice } from '../../ui/notice';
import { MetricBrowser, useMetrics } from './browser';
import { nearestName } from './catalogue';
import { Explain } from './explain';
import { FaultNote, Field, type FieldHandle } from './editor';
import { faultOf } from './fault';
import { remember } from './history';
import { PastQueries } from './past';
import { plainText } from './plain';
import { Result, type Asked } from './result';
import { useAt, useHeat, useOver, type RanAt, type RanHeat, type RanOver } from './run';
import { chooseStep, parseStep, STEPS } from './step';
import { LETTERS, newQuery, QUERIES_MAX, readState, writeState, type ExploreState, type Query, type Scale, type View } from './url';
import './explore.css';

interface Answer {
  over?: Resource<RanOver>;
  at?: Resource<RanAt>;
  heat?: Resource<RanHeat>;
}

/** Asks one query, draws nothing: the page needs all answers in one place. */
function OverLoader({ expr, stepMs, onState }: { expr: string; stepMs: number; onState: (state: Resource<RanOver> | undefined) => void }) {
  const state = useOver(expr, stepMs);
  useEffect(() => onState(state), [state]);
  return null;
}
function AtLoader({ expr, onState }: { expr: string; onState: (state: Resource<RanAt> | undefined) => void }) {
  const state = useAt(expr);
  useEffect(() => onState(state), [state]);
  return null;
}
function HeatLoader({ expr, stepMs, onState }: { expr: string; stepMs: number; onState: (state: Resource<RanHeat> | undefined) => void }) {
  const state = useHeat(expr, stepMs);
  useEffect(() => onState(state), [state]);
  return null;
}

function useWide(pixels: number): boolean {
  const query = useMemo(() => matchMedia(`(min-width: ${pixels}px)`), [pixels]);
  const [wide, setWide] = useState(query.matches);
  useEffect(() => {
    const change = () => setWide(query.matches);
    query.addEventListener('change', change);
    return () => query.removeEventListener('change', change);
  }, [query]);
  return wide;
}

const UNITS: readonly { unit: Unit | ''; title: string }[] = [
  { unit: '', title: 'Automatic' },
  { unit: 'none', title: 'Number' },
  { unit: 'bytes', title: 'Bytes' },
  { unit: 'bytes/s', title: 'Bytes per second' },
  { unit: 'bits/s', title: 'Bits per second' },
  { unit: 'seconds', title: 'Seconds' },
  { unit: 'ratio', title: 'Ratio as %' },
  { unit: 'percent', title: 'Per cent' },
  { unit: '/s', title: 'Per second' },
  { unit: 'cores', title: 'Cores' },
  { unit: 'celsius', title: 'Celsius' },
  { unit: 'timestamp', title: 'Time' },
];

const SCALES: readonly { scale: Scale; title: string; short: string }[] = [
  { scale: '', title: 'Automatic', short: 'Axis' },
  { scale: 'zero', title: 'From zero', short: 'From zero' },
  { scale: 'fit', title: 'Fit the data', short: 'Fit' },
  { scale: 'log', title: 'Logarithmic', short: 'Log' },
];

// What is asked is kept for as long as the page lives, also while another page is shown.
const drafts = signal<readonly string[]>([]);

export function Explore() {
  const state = readState(place.value.query);
  const { queries } = state;
  const exprs = JSON.stringify(queries.map((query) => query.expr));
  const answers = useSignal<Readonly<Record<string, Answer>>>({});
  const handles = useRef<(FieldHandle | null)[]>([]);
  const active = useRef(0);
  const work = useRef<HTMLDivElement>(null);
  const [pixels, setPixels] = useState(900);
  const wide = useWide(1180);
  const beside = useWide(1000); // the side beside the work; else under the queries
  const found = useMetrics();
  const side = state.side !== '' ? state.side : wide ? 'metrics' : 'none';
  const names = useMemo(() => found.metrics.map((metric) => metric.name), [found.metrics]);

  // Back, a link, the history: the text of the fields is that of the URL again.
  const lastExprs = useRef('');
  if (lastExprs.current !== exprs) {
    lastExprs.current = exprs;
    drafts.value = queries.map((query) => query.expr);
  }

  useEffect(() => {
    const element = work.current!;
    // In coarse steps, so that a window being drawn larger does not ask at every pixel.
    const observer = new ResizeObserver(() => setPixels(Math.max(200, Math.round((element.clientWidth - 90) / 100) * 100)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const latest = useRef({ state });
  latest.current = { state };
  const update = (change: Partial<ExploreState>, options: { replace?: boolean } = {}) => setParams(writeState({ ...latest.current.state, ...change }), options);
  const written = () => latest.current.state.queries.map((query, i) => ({ ...query, expr: (drafts.value[i] ?? query.expr).trim() }));

  const run = (next: readonly Query[] = written()) => {
    const asked = next.filter((query) => !query.off && query.expr !== '').map((query) => query.expr);
    if (asked.length > 0) remember(asked);
    const before = JSON.stringify(latest.current.state.queries);
    update({ queries: next });
    if (before === JSON.stringify(next)) refreshNow();
  };
  const setQuery = (index: number, query: Query) => update({ queries: written().map((one, i) => (i === index ? query : one)) });
  const focus = (index: number) => setTimeout(() => handles.current[index]?.focus(), 0);
  const add = (query = newQuery()) => {
    const next = written();
    if (next.length >= QUERIES_MAX) return;
    update({ queries: [...next, query] });
    active.current = next.length;
    focus(next.length);
  };
  const remove = (index: number) => {
    const next = written().filter((_, i) => i !== index);
    update({ queries: next.length === 0 ? [newQuery()] : next });
    active.current = Math.max(0, index - 1);
    focus(active.current);
  };
  const setDraft = (index: number, text: string) => {
    drafts.value = latest.current.state.queries.map((query, i) => (i === index ? text : (drafts.value[i] ?? query.expr)));
  };

  const use = (text: string, options: { run: boolean; replace: boolean }) => {
    const index = Math.min(active.current, latest.current.state.queries.length - 1);
    const empty = (drafts.value[index] ?? '').trim() === '';
    if (options.replace || empty) {
      setDraft(index, text);
      if (options.run) run();
    } else {
      handles.current[index]?.focus();
      // A metric's name goes where the cursor is; its usual query would not fit into an expression.
      handles.current[index]?.insert(options.run ? (text.match(/[A-Za-z_:][A-Za-z0-9_:]*(?=[[{)]|$)/)?.[0] ?? text) : text);
    }
  };

  useEffect(
    () =>
      bindKeys(
        { keys: 'e', title: 'Write in the expression', group: 'Explore', run: () => focus(active.current) },
        { keys: 'mod+Enter', title: 'Run', group: 'Explore', run: () => run() },
        { keys: 'a', title: 'Add a query', group: 'Explore', run: () => add() },
        { keys: 'm', title: 'Metrics', group: 'Explore', run: () => toggleSide('metrics') },
        { keys: 'h', title: 'History', group: 'Explore', run: () => toggleSide('history') },
        { keys: 'i', title: 'Explain the query', group: 'Explore', run: () => toggleExplain() },
        { keys: 'x', title: 'Exemplars', group: 'Explore', run: () => update({ exemplars: !latest.current.state.exemplars }) },
        { keys: 'v l', title: 'Lines', group: 'Explore', run: () => update({ view: 'line' }) },
        { keys: 'v s', title: 'Stacked', group: 'Explore', run: () => update({ view: 'stacked' }) },
        { keys: 'v h', title: 'Heat map', group: 'Explore', run: () => update({ view: 'heat' }) },
        { keys: 'v t', title: 'Table', group: 'Explore', run: () => update({ view: 'table' }) },
      ),
    [],
  );
  useEffect(
    () =>
      addCommands(() => [
        { id: 'explore add', title: 'Add a query', group: 'Explore', keys: 'a', run: () => add() },
        { id: 'explore line', title: 'Show lines', group: 'Explore', keys: 'v l', run: () => update({ view: 'line' }) },
        { id: 'explore stacked', title: 'Show stacked', group: 'Explore', keys: 'v s', run: () => update({ view: 'stacked' }) },
        { id: 'explore heat', title: 'Show a heat map', group: 'Explore', keys: 'v h', run: () => update({ view: 'heat' }) },
        { id: 'explore table', title: 'Show a table', group: 'Explore', keys: 'v t', run: () => update({ view: 'table' }) },
        { id: 'explore history', title: 'Query history', group: 'Explore', keys: 'h', run: () => toggleSide('history') },
        { id: 'explore explain', title: 'Explain the query', group: 'Explore', keys: 'i', hint: 'plan profile slow', run: () => toggleExplain() },
        { id: 'explore exemplars', title: 'Exemplars', group: 'Explore', keys: 'x', hint: 'traces', run: () => update({ exemplars: !latest.current.state.exemplars }) },
        { id: 'explore log', title: 'Logarithmic axis', group: 'Explore', run: () => update({ scale: 'log' }) },
      ]),
    [],
  );
  function toggleExplain() {
    const index = Math.min(active.current, latest.current.state.queries.length - 1);
    update({ queries: written().map((one, i) => (i === index ? { ...one, explain: !one.explain } : one)) });
  }
  const shownSide = useRef(side);
  shownSide.current = side;
  function toggleSide(which: 'metrics' | 'history') {
    update({ side: shownSide.current === which ? 'none' : which }, { replace: true });
  }

  const step = chooseStep(state.step, span.value, pixels);
  const enabled = queries.flatMap((query, i) => (query.off || query.expr === '' ? [] : [{ letter: LETTERS[i]!, index: i, query }]));
  const atOnce = state.view === 'table' && state.instant;
  const asHeat = state.view === 'heat';
  const heatStep = chooseStep(state.step === '' ? 'low' : state.step, span.value, pixels);
  const keep = (letter: string, part: Answer) => {
    answers.value = { ...answers.value, [letter]: { ...answers.value[letter], ...part } };
  };
  const asked: Asked[] = enabled.map((one) => ({ letter: one.letter, query: one.query, over: answers.value[one.letter]?.over, at: answers.value[one.letter]?.at, heat: answers.value[one.letter]?.heat }));
  const errorOf = (letter: string): Error | undefined => {
    const answer = answers.value[letter];
    const error = atOnce ? answer?.at?.error : asHeat ? answer?.heat?.error : answer?.over?.error;
    return error !== undefined && !isAbort(error) ? error : undefined;
  };
  const unit = (shown: readonly Asked[]): Unit => {
    if (state.unit !== '' && UNITS.some((one) => one.unit === state.unit)) return state.unit as Unit;
    const units = new Set(
      shown.map((one) => {
        const guessed = unitOfExpr(one.query.expr);
        const bare = /^\s*([A-Za-z_:][A-Za-z0-9_:]*)\s*(\{[^}]*\})?\s*$/.exec(one.query.expr)?.[1];
        const metric = found.metrics.find((row) => row.name === bare);
        return guessed === 'none' && metric !== undefined && metric.unit !== '' ? unitOfMetric(metric.name, metric.unit) : guessed;
      }),
    );
    return units.size === 1 ? [...units][0]! : 'none';
  };
  const nearest = (expr: string): string | undefined => {
    const words = (expr.replace(/"(?:[^"\\]|\\.)*"|\{[^}]*\}/g, '').match(/[A-Za-z_:][A-Za-z0-9_:]{3,}/g) ?? []).filter((word) => (word.includes('_') || expr.trim() === word) && !/_over_time$|^histogram_|^label_|^group_|^count_values$/.test(word));
    const strange = words.find((word) => !names.includes(word));
    return strange === undefined || names.length === 0 ? undefined : nearestName(strange, names);
  };
  const groups = state.joined && !atOnce && !asHeat && asked.length > 1 ? [asked] : asked.map((one) => [one]);
  const changed = queries.some((query, i) => (drafts.value[i] ?? query.expr).trim() !== query.expr);

  const aside = side !== 'none' && (
    <aside class="explore-side">
      {side === 'history' ? (
        <PastQueries
          onRun={(past) => {
            const next = past.map((expr, i) => ({ ...newQuery(expr), legend: queries[i]?.expr === expr ? queries[i].legend : '' }));
            run(next);
          }}
        />
      ) : (
        <MetricBrowser onUse={use} found={found} />
      )}
    </aside>
  );

  return (
    <div class={'explore' + (side !== 'none' && beside ? ' with-side' : '')}>
      {beside && aside}
      <div class="explore-work stack" ref={work}>
        {enabled.map((one) =>
          atOnce ? (
            <AtLoader key={'at' + one.letter} expr={one.query.expr} onState={(at) => keep(one.letter, { at })} />
          ) : asHeat ? (
            <HeatLoader key={'heat' + one.letter} expr={one.query.expr} stepMs={heatStep.ms} onState={(heat) => keep(one.letter, { heat })} />
          ) : (
            <OverLoader key={'over' + one.letter} expr={one.query.expr} stepMs={step.ms} onState={(over) => keep(one.letter, { over })} />
          ),
        )}
        <section class="panel queries" aria-label="Queries">
          {queries.map((query, i) => (
            <QueryRow
              key={i}
              letter={LETTERS[i]!}
              query={query}
              draft={drafts.value[i] ?? query.expr}
              error={query.off ? undefined : errorOf(LETTERS[i]!)}
              several={queries.length > 1}
              read={() => drafts.value[i] ?? query.expr}
              onDraft={(text) => setDraft(i, text)}
              onRun={() => run()}
              onFocus={() => (active.current = i)}
              onQuery={(next) => setQuery(i, next)}
              onAdd={add}
              onRemove={() => remove(i)}
              handle={(handle) => (handles.current[i] = handle)}
            />
          ))}
          <div class="explore-tools">
            <button type="button" class={'button' + (changed || enabled.length === 0 ? ' primary' : '')} onClick={() => run()} title="Run (Enter in the expression)">
              <Icon name="play" /> Run
            </button>
            <button type="button" class="button" onClick={() => add()} title="Add a query ( a )" disabled={queries.length >= QUERIES_MAX}>
              <Icon name="plus" /> <span>Add query</span>
            </button>
            <span class="tools-gap" />
            {param('tenant').value !== '' && (
              <span class="badge">
                of the tenant <b>{plainText(param('tenant').value)}</b>
                <button type="button" class="badge-close" aria-label="My own data again" title="My own data again" onClick={() => setParams({ tenant: undefined })}>
                  <Icon name="close" />
                </button>
              </span>
            )}
            <button type="button" class="button quiet" aria-pressed={side === 'metrics'} onClick={() => toggleSide('metrics')} title="Metrics ( m )">
              <Icon name="metrics" /> <span>Metrics</span>
            </button>
            <button type="button" class="button quiet" aria-pressed={side === 'history'} onClick={() => toggleSide('history')} title="History ( h )">
              <Icon name="history" /> <span>History</span>
            </button>
          </div>
        </section>
        {!beside && aside}
        <ViewBar state={state} stepMs={asHeat ? heatStep.ms : step.ms} update={update} several={enabled.length > 1} atOnce={atOnce} />
        {step.raised && <Notice kind="warn">With that step a series would have more than 11,000 points, the most the server gives; {durationText(step.ms)} is used.</Notice>}
        {enabled.length === 0 && <Beginning metrics={names} onRun={(expr) => run([newQuery(expr)])} nothing={!found.loading && names.length === 0 && found.error === undefined} />}
        {enabled
          .filter((one) => one.query.explain)
          .map((one) => (
            <Explain
              key={'explain' + one.letter}
              letter={one.letter}
              expr={one.query.expr}
              stepMs={atOnce ? undefined : asHeat ? heatStep.ms : step.ms}
              onMark={(from, to) => (drafts.value[one.index] ?? '').trimEnd() === one.query.expr && handles.current[one.index]?.select(from, to)}
              onClose={() => setQuery(one.index, { ...one.query, explain: false })}
            />
          ))}
        {groups.map((group) => (
          <Result
            key={group.map((one) => one.letter).join('')}
            asked={group}
            state={state}
            unit={unit(group)}
            height={groups.length > 1 ? 240 : 320}
            nearest={nearest}
            heatStepMs={heatStep.ms}
            onQuery={(letter, query) => setQuery(LETTERS.indexOf(letter), query)}
            onSort={(sort) => update({ sort })}
            onExpr={(letter, expr) => {
              setDraft(LETTERS.indexOf(letter), expr);
              run();
            }}
          />
        ))}
      </div>
    </div>
  );
}

interface QueryRowProps {
  letter: string;
  query: Query;
  draft: string;
  error: Error | undefined;
  several: boolean;
  read: () => string;
  onDraft: (text: string) => void;
  onRun: () => void;
  onFocus: () => void;
  onQuery: (query: Query) => void;
  onAdd: (query: Query) => void;
  onRemove: () => void;
  handle: (handle: FieldHandle | null) => void;
}

function QueryRow({ letter, query, draft, error, several, read, onDraft, onRun, onFocus, onQuery, onAdd, onRemove, handle }: QueryRowProps) {
  const [legendOpen, setLegendOpen] = useState(query.legend !== '');
  // An error belongs to the text it was about: while somebody writes on, it would be wrong.
  const shown = draft.trim() === query.expr ? error : undefined;
  const fault = useMemo(() => faultOf(shown, query.expr), [shown, query.expr]);
  const placed = useMemo(() => (fault === undefined ? undefined : shift(fault, draft.length - draft.trimStart().length)), [fault, draft]);
  return (
    <div class={'query' + (query.off ? ' off' : '')}>
      <div class="query-line">
        <button type="button" class="query-letter" aria-pressed={!query.off} aria-label={query.off ? `Query ${letter} is off; switch it on` : `Query ${letter} is on; switch it off`} title={query.off ? 'Switch on' : 'Switch off'} onClick={() => onQuery({ ...query, expr: draft.trim(), off: !query.off })}>
          {letter}
        </button>
        <Field letter={letter} text={draft} read={read} fault={placed} onChange={onDraft} onRun={onRun} onFocus={onFocus} handle={handle} />
        <Menu
          label={'More for query ' + letter}
          class="quiet icon"
          items={[
            { title: 'Duplicate', run: () => onAdd({ ...query, expr: draft.trim() }) },
            { title: query.off ? 'Switch on' : 'Switch off', run: () => onQuery({ ...query, expr: draft.trim(), off: !query.off }) },
            { title: 'Explain', checked: query.explain, note: 'i', run: () => onQuery({ ...query, expr: draft.trim(), explain: !query.explain }) },
            { title: 'Name the series', checked: legendOpen, run: () => setLegendOpen(!legendOpen) },
            { title: several ? 'Remove' : 'Clear', run: onRemove },
          ]}
          button={<Icon name="more" />}
        />
      </div>
      {legendOpen && (
        <label class="query-legend small">
          <span class="faint">Names</span>
          <input
            class="field grow mono"
            placeholder="{{instance}} {{mode}}: labels in double braces; empty shows all labels"
            aria-label={`Names of the series of query ${letter}`}
            value={query.legend}
            spellcheck={false}
            onInput={(event) => onQuery({ ...query, expr: query.expr, legend: event.currentTarget.value })}
          />
        </label>
      )}
      {fault !== undefined ? <FaultNote text={query.expr} fault={fault} /> : shown !== undefined ? <ErrorNotice error={shown} /> : null}
    </div>
  );
}

function shift(fault: NonNullable<ReturnType<typeof faultOf>>, by: number) {
  return by === 0 ? fault : { ...fault, from: fault.from + by, to: fault.to + by };
}

function ViewBar({ state, stepMs, update, several, atOnce }: { state: ExploreState; stepMs: number; update: (change: Partial<ExploreState>) => void; several: boolean; atOnce: boolean }) {
  const views: readonly [View, string][] = [
    ['line', 'Lines'],
    ['stacked', 'Stacked'],
    ['heat', 'Heat map'],
    ['table', 'Table'],
  ];
  const chart = state.view !== 'table';
  return (
    <div class="view-bar" role="toolbar" aria-label="How it is shown">
      <div class="segments" role="group" aria-label="View">
        {views.map(([view, title]) => (
          <button key={view} type="button" aria-pressed={state.view === view} onClick={() => update({ view })}>
            {title}
          </button>
        ))}
      </div>
      {!chart && (
        <div class="segments" role="group" aria-label="When">
          <button type="button" aria-pressed={state.instant} onClick={() => update({ instant: true })} title="One value of each series, at the end of the range">
            At the end
          </button>
          <button type="button" aria-pressed={!state.instant} onClick={() => update({ instant: false })} title="Last, least, most and mean of each series over the range">
            Over the range
          </button>
        </div>
      )}
      <span class="tools-gap" />
      {state.view === 'heat' && (
        <div class="segments" role="group" aria-label="Value axis">
          <button type="button" aria-pressed={state.scale !== 'linear'} onClick={() => update({ scale: '' })}>
            Log
          </button>
          <button type="button" aria-pressed={state.scale === 'linear'} onClick={() => update({ scale: 'linear' })}>
            Linear
          </button>
        </div>
      )}
      {chart && state.view !== 'heat' && several && (
        <button type="button" class="button quiet" aria-pressed={state.joined} onClick={() => update({ joined: !state.joined })}>
          One chart
        </button>
      )}
      {chart && state.view !== 'heat' && (
        <button type="button" class="button quiet" aria-pressed={state.exemplars} title="Dots of single requests with their traces ( x )" onClick={() => update({ exemplars: !state.exemplars })}>
          Exemplars
        </button>
      )}
      {!atOnce && <StepMenu step={state.step} stepMs={stepMs} onStep={(step) => update({ step })} />}
      {state.view === 'line' && (
        <Menu label="Value axis" class="quiet" items={SCALES.map((one) => ({ title: one.title, checked: state.scale === one.scale, run: () => update({ scale: one.scale }) }))} button={<Choice text={SCALES.find((one) => one.scale === state.scale)?.short ?? 'Axis'} />} />
      )}
      <Menu label="Unit" class="quiet" items={UNITS.map((one) => ({ title: one.title, checked: state.unit === one.unit, run: () => update({ unit: one.unit }) }))} button={<Choice text={UNITS.find((one) => one.unit === state.unit && one.unit !== '')?.title ?? 'Unit'} />} />
    </div>
  );
}

function Choice({ text }: { text: string }) {
  return (
    <>
      <span class="num">{text}</span>
      <Icon name="down" />
    </>
  );
}

function StepMenu({ step, stepMs, onStep }: { step: string; stepMs: number; onStep: (step: string) => void }) {
  const [typed, setTyped] = useState(parseStep(step) === undefined ? '' : step);
  const wrong = typed !== '' && parseStep(typed) === undefined;
  return (
    <Menu
      label="Step between points"
      class="quiet"
      items={[
        { title: 'Automatic', note: 'as the width shows', checked: step === '', run: () => onStep('') },
        { title: 'Coarse', note: 'quick', checked: step === 'low', run: () => onStep('low') },
        { title: 'Finest', note: 'up to 11,000 points', checked: step === 'max', run: () => onStep('max') },
        ...STEPS.map((one) => ({ title: one, checked: step === one, run: () => onStep(one) })),
      ]}
      button={<Choice text={'Step ' + durationText(stepMs)} />}
    >
      {(close) => (
        <form
          class="row step-form"
          onSubmit={(event) => {
            event.preventDefault();
            if (wrong) return;
            onStep(typed.trim());
            close();
          }}
        >
          <input class="field grow" aria-label="A step, as 20s or 2m" aria-invalid={wrong} placeholder="20s, 2m30s" value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
          <button type="submit" class="button" disabled={wrong || typed === ''}>
            Set
          </button>
        </form>
      )}
    </Menu>
  );
}

// Examples that this server can answer: each names the metric that it needs.
const EXAMPLES: readonly { needs: string; title: string; expr: string }[] = [
  { needs: 'node_cpu_seconds_total', title: 'Processors, by what they do', expr: 'sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[1m]))' },
  { needs: 'node_memory_MemAvailable_bytes', title: 'Memory in use', expr: '1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes' },
  { needs: 'node_network_receive_bytes_total', title: 'Received, by network device', expr: 'sum by (device) (rate(node_network_receive_bytes_total[1m]))' },
  { needs: 'node_filesystem_avail_bytes', title: 'File systems, filled', expr: '1 - node_filesystem_avail_bytes / node_filesystem_size_bytes' },
  { needs: 'node_load1', title: 'Load', expr: 'node_load1' },
  { needs: 'up', title: 'Targets that answer', expr: 'up' },
];

function Beginning({ metrics, onRun, nothing }: { metrics: readonly string[]; onRun: (expr: string) => void; nothing: boolean }) {
  const known = new Set(metrics);
  const offered = EXAMPLES.filter((one) => known.has(one.needs)).slice(0, 5);
  return (
    <section class="panel">
      {nothing ? (
        <Empty title="Nothing was stored in this range of time">
          <p>Look at a longer range, or send something: the Home page shows how.</p>
        </Empty>
      ) : (
        <Empty title="Ask something">
          <p>Write an expression above, choose a metric, or begin with one of these:</p>
          <div class="examples">
            {offered.map((one) => (
              <button type="button" key={one.expr} class="example" onClick={() => onRun(one.expr)}>
                <span>{one.title}</span>
                <code>{one.expr}</code>
              </button>
            ))}
          </div>
        </Empty>
      )}
    </section>
  );
}
