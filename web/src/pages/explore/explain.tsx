// The plan of one query with what each node did. To explain is to run the query once more, so it is not asked again with
// every refresh: only when the query or the range changes, or somebody wants it.
import { useState } from 'preact/hooks';
import { queryExplain, type Explained } from '../../data/api';
import { useResource } from '../../data/resource';
import { tenantShown } from '../../data/session';
import { alignSpan } from '../../data/step';
import { valueText } from '../../data/units';
import { range, span } from '../../state';
import { Icon } from '../../ui/icon';
import { ErrorNotice, Wait } from '../../ui/notice';
import { plainText } from './plain';
import { partOf, planLines, type PlanLine } from './plan';

export interface ExplainProps {
  letter: string;
  expr: string;
  stepMs: number | undefined; // undefined: at the end of the range
  onMark: (from: number, to: number) => void; // in the query's text
  onClose: () => void;
}

const time = (ms: number) => valueText(ms / 1000, 'seconds');

export function Explain({ letter, expr, stepMs, onMark, onClose }: ExplainProps) {
  const [again, setAgain] = useState(0);
  const [marked, setMarked] = useState<string | undefined>(undefined);
  const state = useResource<Explained>(
    async (signal) => {
      const asked = span.peek();
      if (stepMs === undefined) return (await queryExplain(expr, { atMs: asked.toMs }, { signal })).data;
      return (await queryExplain(expr, { ...alignSpan(asked, stepMs), stepMs }, { signal })).data;
    },
    ['explain', expr, stepMs, range.value, tenantShown.value],
    again,
  );
  const data = state.value;
  const lines = data === undefined ? [] : planLines(data.plan);
  const most = Math.max(...lines.map((line) => line.share), 0);
  const chosen = lines.find((line) => line.key === marked);
  const part = chosen === undefined || data === undefined ? undefined : partOf(chosen.node, data.query, expr);
  const mark = (line: PlanLine) => {
    setMarked(line.key);
    const found = data === undefined ? undefined : partOf(line.node, data.query, expr);
    if (found !== undefined) onMark(found.from, found.to);
  };
  return (
    <section class="panel plan" aria-label={'Plan of ' + letter} aria-busy={state.loading}>
      <header>
        <span class="letters">
          <span class="letter">{letter}</span>
        </span>
        <h2>Plan</h2>
        {data !== undefined && (
          <span class="note num">
            ran {time(data.totals.runMs)} · parsed {time(data.totals.parseMs)}
            {data.totals.queuedMs !== undefined && ` · waited ${time(data.totals.queuedMs)}`} · {valueText(data.totals.series, 'count')} series · {valueText(data.totals.samples, 'count')} samples · {valueText(data.totals.memoryPeakBytes, 'bytes')} at most
          </span>
        )}
        <span class="right row">
          <button type="button" class="button quiet icon" aria-label="Measure again" title="Measure again" onClick={() => setAgain(again + 1)}>
            <Icon name="refresh" />
          </button>
          <button type="button" class="button quiet icon" aria-label="Close the plan" title="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </span>
      </header>
      {state.slow && <Wait what="Running it once, measured" />}
      <ErrorNotice error={state.error} />
      {data !== undefined && (
        <>
          <pre class="plan-query" tabIndex={0} aria-label="The query">
            {part === undefined ? (
              expr
            ) : (
              <>
                {expr.slice(0, part.from)}
                <mark>{expr.slice(part.from, part.to)}</mark>
                {expr.slice(part.to)}
              </>
            )}
          </pre>
          <div class="table-box" tabIndex={0} role="group" aria-label={'Nodes of the plan of ' + letter}>
            <table class="table plan-table">
              <thead>
                <tr>
                  <th scope="col">Node</th>
                  <th scope="col">By itself</th>
                  <th scope="col" class="num">
                    In all
                  </th>
                  <th scope="col" class="num">
                    Series
                  </th>
                  <th scope="col" class="num">
                    Points
                  </th>
                  <th scope="col" class="num">
                    Samples read
                  </th>
                  <th scope="col" class="num">
                    Memory
                  </th>
                </tr>
              </thead>
              <tbody>
                {lines.map((line) => (
                  <tr key={line.key} class={line.key === marked ? 'marked' : undefined}>
                    <td>
                      <span class="plan-node" style={{ paddingLeft: Math.min(line.depth, 24) * 0.9 + 'rem' }}>
                        <button type="button" aria-pressed={line.key === marked} title={`Mark it in the query: ${line.node.operator}`} onClick={() => mark(line)}>
                          {line.depth > 0 && (
                            <span class="faint" aria-hidden="true">
                              {line.last ? '└ ' : '├ '}
                            </span>
                          )}
                          <span class="mono">{plainText(line.node.node)}</span>
                        </button>
                        <span class="faint tiny">{line.node.operator}</span>
                      </span>
                    </td>
                    <td>
                      <span class="plan-time">
                        <span class={'meter' + (line.share === most && line.share > 0.3 && lines.length > 1 ? ' warn' : '')} aria-hidden="true">
                          <i style={{ width: (line.share * 100).toFixed(1) + '%' }} />
                        </span>
                        <span class="num">{time(line.node.selfMs)}</span>
                        <span class="num faint">{valueText(line.share, 'ratio')}</span>
                      </span>
                    </td>
                    <td class="num">{time(line.node.totalMs)}</td>
                    <td class="num">{line.node.series.toLocaleString('en')}</td>
                    <td class="num">{line.node.points.toLocaleString('en')}</td>
                    <td class="num">{line.node.samples === 0 ? <span class="faint">–</span> : line.node.samples.toLocaleString('en')}</td>
                    <td class="num">{valueText(line.node.memoryBytes, 'bytes')}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </section>
  );
}
