// What a query answered: a chart with its legend, or a table; what is to be noted about it; and ways to take it along.
import { useMemo, useRef, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type uPlot from 'uplot';
import { Chart } from '../../chart/chart';
import type { Dot } from '../../chart/exemplars';
import { heatOf } from '../../chart/heat';
import { HeatMap } from '../../chart/heat-map';
import { colorKeeper, seriesColor } from '../../chart/colors';
import { query as askAt, queryRange } from '../../data/api';
import { legendText, type Column } from '../../data/columns';
import type { Resource } from '../../data/resource';
import { tenantShown } from '../../data/session';
import { durationHuman, durationText, timeText } from '../../data/time';
import { unitOfObserved, type Unit } from '../../data/units';
import { range, shownTheme, span, zone } from '../../state';
import { copyText } from '../../ui/copy';
import { csvText, markdownText } from '../../data/tables';
import { Menu, type MenuItem } from '../../ui/menu';
import { Icon } from '../../ui/icon';
import { Empty, Notice, Wait } from '../../ui/notice';
import { toast } from '../../ui/toast';
import { asCurl, asTraceo } from './copyas';
import { answersCsv } from './csv';
import { SeriesLegend } from './legend';
import { DotField, ExemplarTable, useDots, useExemplars } from './exemplars';
import { plainText } from './plain';
import { useHeat, type RanAt, type RanHeat, type RanOver } from './run';
import { fileName, saveCsv, savePng } from './save';
import { capSeries, onOneGrid, SERIES_CAP, sortRows, rowsOf, uniqueNames } from './stats';
import { summaryCells, SummaryTable, valueCells, ValueTable } from './table';
import { Tip } from './tip';
import { hiddenOf, withHidden, type ExploreState, type Query } from './url';

export type Colored = Column & { color: string };

export interface Asked {
  letter: string;
  query: Query;
  over: Resource<RanOver> | undefined;
  at: Resource<RanAt> | undefined;
  heat?: Resource<RanHeat> | undefined;
}

export interface ResultProps {
  asked: readonly Asked[]; // several only in a joined chart
  state: ExploreState;
  unit: Unit;
  height: number;
  heatStepMs: number; // the width of a heat map's columns
  nearest: (expr: string) => string | undefined; // a metric of nearly that name
  onQuery: (letter: string, query: Query) => void;
  onSort: (sort: string) => void;
  onExpr: (letter: string, expr: string) => void;
}

export function Result(props: ResultProps) {
  const { asked, state } = props;
  const letters = asked.map((one) => one.letter).join('');
  const title = asked.map((one) => one.query.expr).join('; ');
  const atOnce = state.view === 'table' && state.instant;
  const asHeat = state.view === 'heat';
  const answers = asked.map((one) => (atOnce ? one.at : asHeat ? one.heat : one.over));
  const slow = answers.some((one) => one?.slow);
  const stale = asked.some((one, i) => {
    const answer = answers[i];
    if (answer === undefined || !answer.loading || answer.value === undefined) return answer?.error !== undefined;
    if (answer.value.expr !== one.query.expr) return true;
    const shown = asHeat ? one.heat?.value?.span : one.over?.value?.span;
    if (atOnce || shown === undefined) return false;
    const wanted = span.value;
    return Math.abs(shown.fromMs - wanted.fromMs) + Math.abs(shown.toMs - wanted.toMs) > (wanted.toMs - wanted.fromMs) * 0.1;
  });
  const plot = useRef<uPlot | undefined>(undefined);
  const colored = useColored(asked);
  const notes = [...new Set(answers.flatMap((one) => [...(one?.value?.warnings ?? []), ...(one?.value?.infos ?? [])]))];
  const value = answers.find((one) => one?.value !== undefined)?.value;
  const histograms = asked.reduce((sum, one) => sum + (one.over?.value?.histograms ?? 0), 0);
  const count = asHeat ? answers.reduce((sum, one) => sum + rowCount(one?.value as RanHeat | undefined), 0) : atOnce ? answers.reduce((sum, one) => sum + rowCount(one?.value as RanAt | undefined), 0) : colored.all.length + histograms;
  const over = asHeat ? asked[0]?.heat?.value : asked[0]?.over?.value;
  const ms = Math.max(0, ...answers.map((one) => one?.value?.ms ?? 0));
  const failed = answers.some((one) => one?.error !== undefined);
  const facts = value === undefined || (failed && stale) ? '' : [`${count} ${atOnce ? (count === 1 ? 'value' : 'values') : 'series'}`, ...(atOnce || over === undefined ? [] : [`step ${durationText(over.stepMs)}`]), durationHuman(ms)].join(' · ');

  return (
    <section class={'panel result' + (stale ? ' stale' : '')} aria-label={'Result of ' + letters} aria-busy={answers.some((one) => one?.loading)}>
      <header>
        <span class="letters">
          {asked.map((one) => (
            <span key={one.letter} class="letter">
              {one.letter}
            </span>
          ))}
        </span>
        <h2 class="clip mono" title={title}>
          {title}
        </h2>
        <span class="note num">{facts}</span>
        <span class="right">
          <TakeAlong {...props} atOnce={atOnce} plot={plot} all={colored.all} shown={colored.shown} title={title} letters={letters} />
        </span>
      </header>
      {slow && <Wait what="Asking" />}
      {!slow && value === undefined && !answers.some((one) => one?.error) && <div class="result-room" />}
      {notes.length > 0 && (
        <div class="stack result-notes">
          {notes.slice(0, 4).map((note) => (
            <Notice key={note} kind="warn">
              {note}
            </Notice>
          ))}
        </div>
      )}
      {value !== undefined && count === 0 && !stale && <NoSeries {...props} />}
      {value !== undefined && count > 0 && (atOnce ? <AtOnce {...props} /> : asHeat ? <AsHeat {...props} ran={asked[0]!.heat?.value} title={title} plot={plot} /> : histograms > 0 && colored.all.length === 0 ? <HistogramsOnly {...props} title={title} plot={plot} /> : <Over {...props} colored={colored} plot={plot} title={title} />)}
    </section>
  );
}

function rowCount(ran: RanAt | RanHeat | undefined): number {
  if (ran === undefined) return 0;
  return ran.data.resultType === 'vector' || ran.data.resultType === 'matrix' ? ran.data.result.length : 1;
}

interface ColoredSeries {
  all: readonly Colored[];
  shown: readonly Colored[]; // within the cap
  times: readonly number[];
}

// Names by the template, each with a colour that it keeps while the page is open.
function useColored(asked: readonly Asked[]): ColoredSeries {
  const keep = useMemo(colorKeeper, []);
  const theme = shownTheme.value;
  const several = asked.length > 1;
  const key = [theme, ...asked.map((one) => one.query.legend + '\n' + one.query.all), ...asked.map((one) => one.over?.value)];
  return useMemo(() => {
    const ran = asked.flatMap((one) => (one.over?.value === undefined ? [] : [{ ...one, columns: one.over.value }]));
    const { times, series } = onOneGrid(ran.map((one) => one.columns));
    const named = ran.flatMap((one, i) =>
      series[i]!.map((column) => {
        const name = plainText(legendText(one.query.legend, column.labels));
        return { ...column, name: several ? one.letter + ' ' + name : name };
      }),
    );
    const all = uniqueNames(named).map((column) => ({ ...column, color: column.color ?? seriesColor(keep(column.name), theme) }));
    const shown = asked.some((one) => one.query.all) ? all : (capSeries(all) as Colored[]);
    return { all, shown, times };
  }, key);
}

function Over({ asked, state, unit, height, onQuery, onSort, colored, plot, title }: ResultProps & { colored: ColoredSeries; plot: { current: uPlot | undefined }; title: string }) {
  const [focused, setFocused] = useState<string | undefined>(undefined);
  const { all, shown, times } = colored;
  const names = shown.map((one) => one.name);
  // A joined chart keeps what is hidden with its first query.
  const owner = asked[0]!;
  const hidden = hiddenOf(owner.query, names);
  const visible = useMemo(() => shown.filter((one) => !hidden.has(one.name)), [shown, [...hidden].join('\n')]);
  const data = useMemo(() => ({ times: times as number[], series: shown as Column[] }), [shown, times]);
  const notFinite = asked.reduce((sum, one) => sum + (one.over?.value?.notFinite ?? 0), 0);
  const capped = all.length > SERIES_CAP;
  const stacked = state.view === 'stacked';
  const flat = useMemo(() => fits(visible), [visible]);
  const exemplars = useExemplars(asked.map((one) => one.query.expr), state.exemplars);
  const [chosen, setChosen] = useState<Dot | undefined>(undefined);
  const most = useMemo(() => rowsOf(visible).reduce((high, row) => Math.max(high, row.max ?? 0), 0), [visible]);
  const dots = useDots(state.exemplars ? exemplars.value : undefined, most, chosen);

  if (state.view === 'table') return <SummaryTable title={title} series={all} unit={unit} sort={state.sort} onSort={onSort} />;
  return (
    <>
      <DotField plot={plot} drawn={dots.drawn} unit={unit} chosen={chosen} onChosen={setChosen}>
      <Tip plot={plot} series={visible} times={times} unit={unit} stacked={stacked} still={chosen !== undefined}>
        <Chart
          title={title}
          data={data}
          span={span.value}
          unit={unit}
          stacked={stacked}
          height={height}
          legend="none"
          hidden={hidden}
          focused={focused}
          log={state.scale === 'log' && !stacked}
          min={!stacked && (state.scale === 'fit' || (state.scale === '' && flat)) ? NaN : undefined}
          busy={asked.some((one) => one.over?.loading && one.over.value?.expr !== one.query.expr)}
          onPlot={(u) => (plot.current = u)}
          over={dots.over}
          within={dots.within}
        />
      </Tip>
      </DotField>
      {state.exemplars && <ExemplarTable state={exemplars} unit={unit} />}
      {(capped || notFinite > 0) && (
        <p class="result-note small dim">
          {capped && (
            <>
              {shown.length < all.length ? `The ${shown.length} largest of ${all.length} series are shown. ` : `All ${all.length} series are shown. `}
              <button type="button" class="legend-more" onClick={() => onQuery(owner.letter, { ...owner.query, all: !owner.query.all })}>
                {shown.length < all.length ? 'Show all' : `Show the ${SERIES_CAP} largest`}
              </button>
            </>
          )}
          {notFinite > 0 && ` ${notFinite} ${notFinite === 1 ? 'value is' : 'values are'} NaN or infinite and not drawn.`}
        </p>
      )}
      <SeriesLegend
        title={title}
        series={shown}
        times={times}
        unit={unit}
        hidden={hidden}
        onFocus={setFocused}
        onHide={(next) => onQuery(owner.letter, withHidden(owner.query, names, next))}
        sort={state.sort}
        onSort={onSort}
      />
    </>
  );
}

function AsHeat({ state, unit, height, ran, title, plot }: ResultProps & { ran: RanHeat | undefined; title: string; plot: { current: uPlot | undefined } }) {
  const heat = useMemo(() => ran && heatOf(ran.data, ran.span.fromMs, ran.span.toMs, ran.stepMs), [ran]);
  if (ran === undefined) return <div class="result-room" />;
  if (heat === undefined) {
    return (
      <Empty title="These series are no histogram">
        <p>
          A heat map shows native histograms, or classic ones by their bounds: <code>sum by (le) (rate(name_bucket[5m]))</code>.
        </p>
      </Empty>
    );
  }
  return <HeatMap title={title} heat={heat} span={span.value} unit={state.unit === '' ? unitOfObserved(ran.expr) : unit} scale={state.scale === 'linear' ? 'linear' : 'log'} height={height} table onPlot={(u) => (plot.current = u)} />;
}

// What cannot be drawn as lines is shown as it can be, without being asked.
function HistogramsOnly(props: ResultProps & { title: string; plot: { current: uPlot | undefined } }) {
  const state = useHeat(props.asked[0]!.query.expr, props.heatStepMs);
  return <AsHeat {...props} ran={state.value} />;
}

/** Far from zero and moving little: an axis from zero would show a flat line. */
export function fits(series: readonly Column[]): boolean {
  let low = Infinity;
  let high = -Infinity;
  for (const row of rowsOf(series)) {
    if (row.min !== null && row.min < low) low = row.min;
    if (row.max !== null && row.max > high) high = row.max;
  }
  return low > 0 && high - low < high * 0.2;
}

function AtOnce({ asked, unit, state, onSort }: ResultProps) {
  const ran = asked[0]!.at?.value;
  if (ran === undefined) return null;
  return <ValueTable title={asked[0]!.query.expr} data={ran.data} unit={unit} sort={state.sort} onSort={onSort} />;
}

function NoSeries({ asked, nearest, onExpr }: ResultProps) {
  const one = asked[0]!;
  const bare = /^\s*([A-Za-z_:][A-Za-z0-9_:]*)/.exec(one.query.expr)?.[1];
  const instead = bare === undefined ? undefined : nearest(one.query.expr);
  return (
    <Empty title="Nothing in this range of time">
      {instead !== undefined && bare !== undefined ? (
        <p>
          There is no metric <code>{misspelled(one.query.expr, instead) ?? bare}</code>. Did you mean{' '}
          <button type="button" class="legend-more mono" onClick={() => onExpr(one.letter, one.query.expr.replace(misspelled(one.query.expr, instead) ?? bare, () => instead))}>
            {instead}
          </button>
          ?
        </p>
      ) : (
        <p>The expression is valid, but no series has samples there. Look at a longer range, or at fewer conditions in the braces.</p>
      )}
    </Empty>
  );
}

// Which word of the expression `instead` stands for: the one that is nearest in length and beginning.
function misspelled(expr: string, instead: string): string | undefined {
  const words = expr.match(/[A-Za-z_:][A-Za-z0-9_:]*/g) ?? [];
  return words.filter((word) => word.includes('_') || words.length === 1).sort((a, b) => Math.abs(a.length - instead.length) - Math.abs(b.length - instead.length))[0];
}

// ---- Taking it along ----

function TakeAlong({ asked, state, unit, atOnce, plot, all, shown, title, letters }: ResultProps & { atOnce: boolean; plot: { current: uPlot | undefined }; all: readonly Colored[]; shown: readonly Colored[]; title: string; letters: string }): ComponentChildren {
  const asHeat = state.view === 'heat';
  const copy = async (text: string) => {
    if (await copyText(text)) toast('Copied.');
    else toast('The browser does not allow copying.', 'bad');
  };
  const lines = (make: (one: Parameters<typeof asCurl>[0]) => string) =>
    asked
      .map((one) => {
        const ran = asHeat ? one.heat?.value : one.over?.value;
        return make({ origin: location.origin, expr: one.query.expr, span: atOnce ? span.value : (ran?.span ?? span.value), stepMs: atOnce ? undefined : (ran?.stepMs ?? 15000), range: range.value, tenant: tenantShown.value });
      })
      .join('\n');
  // Asked once more: the file holds every series and every digit, also what a chart cannot show.
  const csv = async () => {
    try {
      const answers = await Promise.all(
        asked.map(async (one) => {
          const ran = asHeat ? one.heat?.value : one.over?.value;
          const atMs = one.at?.value?.atMs ?? span.value.toMs;
          const answer = atOnce || ran === undefined ? await askAt(one.query.expr, atMs) : await queryRange(one.query.expr, ran.span.fromMs, ran.span.toMs, ran.stepMs);
          return { letter: one.letter, data: answer.data };
        }),
      );
      saveCsv(answersCsv(answers), fileName(letters, span.value.toMs, 'csv'));
    } catch (error) {
      toast('The file could not be made: ' + (error as Error).message, 'bad');
    }
  };
  const png = () => {
    if (plot.current === undefined) return;
    const hidden = hiddenOf(asked[0]!.query, shown.map((one) => one.name));
    const order = sortRows(rowsOf(shown.filter((one) => !hidden.has(one.name))), state.sort).map((row) => row.column as Colored);
    const when = timeText(span.value.fromMs, zone.value) + ' – ' + timeText(span.value.toMs, zone.value) + (zone.value === 'local' ? '' : ' ' + zone.value);
    savePng({ plot: plot.current, title, when, series: order, unit }, fileName(letters, span.value.toMs, 'png')).catch((error: Error) => toast(error.message, 'bad'));
  };
  const cells = () => (atOnce ? asked.flatMap((one) => (one.at?.value === undefined ? [] : valueCells(one.at.value.data, state.sort))) : summaryCells(all, state.sort));
  const items: MenuItem[] = [
    { title: 'Save as CSV', run: () => void csv() },
    ...(state.view === 'table' ? [] : [{ title: 'Save as PNG', run: png }]),
    ...(state.view !== 'table' ? [] : [{ title: 'Copy as Markdown', run: () => void copy(markdownText(cells())) }]),
    ...(state.view !== 'table' || atOnce ? [] : [{ title: 'Save the table as CSV', run: () => saveCsv(csvText(cells()), fileName(letters + '-table', span.value.toMs, 'csv')) }]),
    { title: 'Copy as curl', run: () => void copy(lines(asCurl)) },
    { title: 'Copy as traceo query', run: () => void copy(lines(asTraceo)) },
    { title: 'Copy the link', run: () => void copy(location.href) },
  ];
  return <Menu label={'Save or copy ' + letters} class="quiet icon" items={items} button={<Icon name="download" />} />;
}
