// One dashboard: its variables, and its rows of panels.
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { addCommands } from '../../commands';
import { bindKeys } from '../../keys';
import { go, href, param, place, setParams } from '../../router';
import { Icon } from '../../ui/icon';
import { ErrorNotice } from '../../ui/notice';
import { BoardContext } from './ask';
import type { Dashboard } from './document';
import { chosenOf } from './fill';
import { saveDashboard } from './list';
import { PanelBox } from './panel';
import { useVariables, VariableBar } from './variables';

export function Board({ dashboard }: { dashboard: Dashboard }) {
  const asked = chosenOf(place.value.query, dashboard);
  const variables = useVariables(dashboard, asked);
  const board = useMemo(() => ({ dashboard, chosen: variables.chosen }), [dashboard, variables.chosen]);
  const box = useRef<HTMLDivElement>(null);
  // Rows that are not as the document has them, by number.
  const turned = new Set(param('rows').value.split('.').filter(Boolean));
  const turn = (row: number) => {
    const next = new Set(turned);
    if (!next.delete(String(row))) next.add(String(row));
    setParams({ rows: [...next].sort().join('.') || undefined });
  };

  useEffect(
    () =>
      addCommands(() => [
        ...dashboard.rows.flatMap((row, i) => row.panels.map((panel, k) => ({ id: `panel ${i} ${k}`, title: panel.title, group: row.title || 'Panel', hint: 'panel', run: () => walkTo(box.current, panel.title) }))),
      ]),
    [dashboard],
  );
  useEffect(
    () =>
      bindKeys(
        { keys: 'j', title: 'Next panel', group: 'Dashboard', run: () => walk(box.current, 1) },
        { keys: 'k', title: 'Panel before', group: 'Dashboard', run: () => walk(box.current, -1) },
        { keys: 'd', title: 'All dashboards', group: 'Dashboard', run: () => go('dashboards') },
      ),
    [],
  );

  return (
    <div class="board" ref={box}>
      <div class="board-head">
        <a class="button quiet icon" href={href('dashboards')} aria-label="All dashboards" title="All dashboards ( d )">
          <Icon name="left" />
        </a>
        <h2 title={dashboard.about}>{dashboard.title}</h2>
        <VariableBar dashboard={dashboard} asked={asked} variables={variables} />
        <button type="button" class="button quiet icon board-save" aria-label="Save as a file" title="Save as a file" onClick={() => saveDashboard(dashboard)}>
          <Icon name="download" />
        </button>
      </div>
      <ErrorNotice error={variables.error} />
      {variables.ready && (
        <BoardContext.Provider value={board}>
          {dashboard.rows.map((row, i) => {
            const folded = row.folded !== turned.has(String(i));
            return (
              <section key={i} class="board-row" aria-label={row.title || 'Panels'}>
                {row.title !== '' && (
                  <h2 class="row-title">
                    <button type="button" aria-expanded={!folded} onClick={() => turn(i)}>
                      <Icon name={folded ? 'right' : 'down'} />
                      {row.title}
                      {folded && <span class="faint tiny">{row.panels.length === 1 ? '1 panel' : `${row.panels.length} panels`}</span>}
                    </button>
                  </h2>
                )}
                {!folded && (
                  <div class="board-grid">
                    {row.panels.map((panel, k) => (
                      <PanelBox key={`${dashboard.id} ${i} ${k}`} id={`${i}.${k}`} panel={panel} />
                    ))}
                  </div>
                )}
              </section>
            );
          })}
        </BoardContext.Provider>
      )}
    </div>
  );
}

// From the panel that has the focus, or the first one in sight, to its neighbour.
function walk(box: HTMLElement | null, step: number): void {
  const all = [...(box?.querySelectorAll<HTMLElement>('.board-panel') ?? [])];
  const at = all.findIndex((one) => one.contains(document.activeElement));
  const from = at >= 0 ? at : all.findIndex((one) => one.getBoundingClientRect().bottom > 60) - (step > 0 ? 1 : 0);
  focus(all[Math.max(0, Math.min(from + step, all.length - 1))]);
}

function walkTo(box: HTMLElement | null, title: string): void {
  focus([...(box?.querySelectorAll<HTMLElement>('.board-panel') ?? [])].find((one) => one.getAttribute('aria-label') === title));
}

function focus(panel: HTMLElement | undefined): void {
  if (panel === undefined) return;
  panel.scrollIntoView({ block: 'nearest' });
  (panel.querySelector<HTMLElement>('.chart-plot, .table-box') ?? panel.querySelector('a'))?.focus({ preventScroll: true });
}
