// Saving to a file: text as it is, and a chart with its title and its legend as a picture.
import type uPlot from 'uplot';
import type { Column } from '../../data/columns';
import { valueText, type Unit } from '../../data/units';
import { summary } from './stats';

export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10e3);
}

/** traceo-A-2026-11-21T04-10-00.csv */
export function fileName(letters: string, atMs: number, kind: string): string {
  return `traceo-${letters}-${new Date(atMs).toISOString().slice(0, 19).replaceAll(':', '-')}.${kind}`;
}

export function saveCsv(text: string, name: string): void {
  saveBlob(new Blob([text], { type: 'text/csv;charset=utf-8' }), name);
}

const LEGEND_ROWS = 30;

export interface Picture {
  plot: uPlot;
  title: string;
  when: string;
  series: readonly (Column & { color: string })[];
  unit: Unit;
}

/** Draws the chart as it is on the screen, at the screen's resolution, and saves it. */
export async function savePng({ plot, title, when, series, unit }: Picture, name: string): Promise<void> {
  const source = plot.ctx.canvas;
  const scale = source.width / plot.width;
  const look = getComputedStyle(plot.root);
  const color = (token: string) => look.getPropertyValue(token).trim();
  const rows = series.slice(0, LEGEND_ROWS);
  const head = 52;
  const line = 18;
  const pad = 16;
  const wide = plot.width + pad * 2;
  const tall = head + plot.height + 12 + (rows.length + (series.length > rows.length ? 1 : 0)) * line + pad;

  const canvas = document.createElement('canvas');
  canvas.width = Math.round(wide * scale);
  canvas.height = Math.round(tall * scale);
  const c = canvas.getContext('2d')!;
  c.scale(scale, scale);
  c.fillStyle = color('--surface');
  c.fillRect(0, 0, wide, tall);
  c.textBaseline = 'middle';
  const text = (what: string, x: number, y: number, most: number, font: string, ink: string, align: CanvasTextAlign = 'left') => {
    c.font = font;
    c.fillStyle = ink;
    c.textAlign = align;
    let shown = what;
    while (shown.length > 1 && c.measureText(shown).width > most) shown = shown.slice(0, -2).trimEnd() + '…';
    c.fillText(shown, x, y);
  };
  const font = color('--font');
  const mono = color('--mono');
  text(title.replace(/\s+/g, ' '), pad, 20, wide - pad * 2, '600 13px ' + mono, color('--ink'));
  text(when, pad, 38, wide - pad * 2, '11px ' + font, color('--ink-3'));
  c.drawImage(source, pad, head, plot.width, plot.height);
  rows.forEach((one, i) => {
    const y = head + plot.height + 12 + line * (i + 0.5);
    const { min, max, last } = summary(one.values);
    c.fillStyle = one.color;
    c.fillRect(pad, y - 4, 8, 8);
    const numbers = `last ${valueText(last, unit)}   min ${valueText(min, unit)}   max ${valueText(max, unit)}`;
    text(numbers, wide - pad, y, wide / 2, '11px ' + font, color('--ink-2'), 'right');
    const taken = c.measureText(numbers).width;
    text(one.name, pad + 14, y, wide - pad * 2 - taken - 30, '11px ' + mono, color('--ink'));
  });
  if (series.length > rows.length) text(`and ${series.length - rows.length} more`, pad + 14, head + plot.height + 12 + line * (rows.length + 0.5), wide / 2, '11px ' + font, color('--ink-3'));
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, 'image/png'));
  if (blob === null) throw new Error('The browser could not draw the picture.');
  saveBlob(blob, name);
}
