// One panel: a box with its title, the way to Explore, and what its kind draws. Until it is in sight it is only a box.
import { useEffect, useState } from 'preact/hooks';
import type { ComponentType } from 'preact';
import { href } from '../../router';
import { span } from '../../state';
import { Icon } from '../../ui/icon';
import { panelStep, useBoard, useSight, type Board } from './ask';
import type { Panel, PanelKind } from './document';
import { fill, fillPlain } from './fill';
import { GaugeView, HeatView, SeriesView, StatView, TableView, type ViewProps } from './views';

const VIEWS: Record<PanelKind, ComponentType<ViewProps>> = { series: SeriesView, stat: StatView, gauge: GaugeView, table: TableView, heatmap: HeatView };

/** The panel's queries in Explore, as they are asked here: over the same time, by the same step, of the same tenant. */
export function exploreLink({ dashboard, chosen }: Board, panel: Panel, pixels: number): string {
  const asked = span.value;
  const stepMs = panelStep(asked, pixels, dashboard);
  const texts = panel.queries.map((one) => fill(one.expr, dashboard, chosen, { stepMs, rangeMs: asked.toMs - asked.fromMs }));
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
  const legends = panel.queries.flatMap((one, i) => (one.legend === '' || panel.kind === 'table' ? [] : [letters[i] + ':' + fillPlain(one.legend, dashboard, chosen)]));
  return href('explore', {
    expr: texts,
    legend: legends,
    tenant: dashboard.tenant || undefined,
    charts: texts.length > 1 && panel.kind !== 'table' ? 'one' : undefined,
    view: panel.kind === 'table' ? 'table' : panel.kind === 'heatmap' ? 'heat' : panel.stacked ? 'stacked' : undefined,
    exemplars: panel.exemplars ? '1' : undefined,
    unit: panel.unit === 'none' ? undefined : panel.unit,
  });
}

export function PanelBox({ id, panel }: { id: string; panel: Panel }) {
  const board = useBoard();
  const { box, inSight, seen } = useSight();
  const [pixels, setPixels] = useState(400);
  useEffect(() => {
    // In coarse steps, so that a window being drawn larger does not ask at every pixel.
    const element = box.current!;
    const observer = new ResizeObserver(() => setPixels(Math.max(200, Math.round((element.clientWidth - 90) / 100) * 100)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const View = VIEWS[panel.kind];
  const title = fillPlain(panel.title, board.dashboard, board.chosen);
  return (
    <article class={`panel board-panel w${panel.width}`} aria-label={title} ref={(element) => void (box.current = element)}>
      <header>
        <h3>{title}</h3>
        {panel.note !== '' && <span class="note clip" title={panel.note}>{panel.note}</span>}
        <span class="right">
          <a class="button quiet icon" href={exploreLink(board, panel, pixels)} aria-label={'Explore ' + title} title="Explore">
            <Icon name="explore" />
          </a>
        </span>
      </header>
      {seen ? <View id={id} panel={{ ...panel, title }} pixels={pixels} inSight={inSight} /> : <div class="answered" style={{ minHeight: panel.height + 'px' }} />}
    </article>
  );
}
