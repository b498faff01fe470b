// The command palette: pages, themes, what the page offers, and every metric by name. Ctrl K or ⌘ K opens it.
import { useEffect, useRef, useState } from 'preact/hooks';
import { allCommands, paletteOpen, type Command } from '../commands';
import { labelValues } from '../data/api';
import { QUICK_RANGES } from '../data/time';
import { go } from '../router';
import { setRange } from '../state';
import { Dialog } from './dialog';
import './palette.css';

const SHOWN = 12;
const METRICS_SHOWN = 8;

/** How well a text answers what was typed: higher is better, 0 is not at all. Words may stand in any order. */
export function score(typed: string, text: string): number {
  const words = typed.toLowerCase().split(/\s+/).filter((word) => word !== '');
  const lower = text.toLowerCase();
  let sum = 1;
  for (const word of words) {
    const at = lower.indexOf(word);
    if (at < 0) return 0;
    const begins = at === 0 || /[^a-z0-9]/.test(lower[at - 1]!);
    sum += (begins ? 4 : 1) + word.length / lower.length;
  }
  return sum;
}

function ranges(): Command[] {
  return QUICK_RANGES.map((one) => ({ id: 'range ' + one.from, title: one.title, group: 'Time', run: () => setRange({ from: one.from, to: 'now' }) }));
}

function useMetrics(typed: string): string[] {
  const [names, setNames] = useState<string[]>([]);
  useEffect(() => {
    const abort = new AbortController();
    labelValues('__name__', {}, { signal: abort.signal }).then(
      (answer) => setNames(answer.data),
      () => undefined,
    );
    return () => abort.abort();
  }, []);
  if (typed.length < 2) return [];
  return names
    .map((name) => ({ name, score: score(typed.replaceAll('_', ' '), name.replaceAll('_', ' ')) }))
    .filter((one) => one.score > 0)
    .sort((a, b) => b.score - a.score || a.name.localeCompare(b.name))
    .slice(0, METRICS_SHOWN)
    .map((one) => one.name);
}

export function Palette() {
  const [typed, setTyped] = useState('');
  const [chosen, setChosen] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const metrics = useMetrics(typed).map((name): Command => ({ id: 'metric ' + name, title: name, group: 'Metric', run: () => go('explore', { expr: name }) }));
  const commands = [...allCommands(), ...ranges()]
    .map((one) => ({ one, score: score(typed, one.title + ' ' + one.group + ' ' + (one.hint ?? '')) }))
    .filter((row) => row.score > 0)
    .sort((a, b) => (typed === '' ? 0 : b.score - a.score))
    .slice(0, SHOWN)
    .map((row) => row.one);
  const rows = [...commands, ...metrics];
  const at = Math.min(chosen, rows.length - 1);
  const close = () => (paletteOpen.value = false);
  const run = (command: Command | undefined) => {
    if (command === undefined) return;
    close();
    command.run();
  };

  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' });
  }, [at, typed]);

  return (
    <Dialog title="Command palette" class="palette" bare onClose={close}>
      <input
        class="field"
        role="combobox"
        aria-label="Type a command or a metric"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={rows[at] === undefined ? undefined : 'palette-' + at}
        placeholder="Go to, do, or find a metric"
        value={typed}
        autocomplete="off"
        spellcheck={false}
        autofocus
        onInput={(event) => {
          setTyped(event.currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={(event) => {
          const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
          if (step !== 0 && rows.length > 0) {
            event.preventDefault();
            setChosen((at + step + rows.length) % rows.length);
          } else if (event.key === 'Enter') {
            event.preventDefault();
            run(rows[at]);
          }
        }}
      />
      <ul id="palette-list" role="listbox" aria-label="Commands" ref={list}>
        {rows.map((row, i) => (
          <li key={row.id} id={'palette-' + i} role="option" aria-selected={i === at} onMouseMove={() => setChosen(i)} onClick={() => run(row)}>
            <span class={row.group === 'Metric' ? 'grow clip mono' : 'grow clip'}>{row.title}</span>
            <span class="faint tiny">{row.group}</span>
            {row.keys !== undefined && <kbd class="kbd">{row.keys.toUpperCase()}</kbd>}
          </li>
        ))}
      </ul>
      {rows.length === 0 && <p class="dim small none">Nothing is called that.</p>}
    </Dialog>
  );
}
