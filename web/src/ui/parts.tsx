// Small parts that lists share: a search field bound to the URL, a choice of few as segments, labels as chips.
import { param, setParams } from '../router';
import type { Labels } from '../data/api';
import './parts.css';

/** A field whose text is the URL parameter `name`; typing makes no step for the browser's Back. */
export function Search({ name, label, placeholder = label }: { name: string; label: string; placeholder?: string }) {
  return (
    <input
      class="field search"
      type="search"
      aria-label={label}
      placeholder={placeholder}
      value={param(name).value}
      spellcheck={false}
      autocomplete="off"
      onInput={(event) => setParams({ [name]: event.currentTarget.value || undefined }, { replace: true })}
    />
  );
}

export interface Segment {
  value: string; // of the URL parameter; '' is the one without it
  title: string;
  count?: number;
}

export function Segments({ name, label, of }: { name: string; label: string; of: readonly Segment[] }) {
  const chosen = param(name).value;
  return (
    <div class="segments" role="group" aria-label={label}>
      {of.map((one) => (
        <button key={one.value} type="button" aria-pressed={one.value === chosen} onClick={() => setParams({ [name]: one.value || undefined })}>
          {one.title}
          {one.count !== undefined && <span class="count num">{one.count.toLocaleString('en')}</span>}
        </button>
      ))}
    </div>
  );
}

export function Chips({ labels, without = [] }: { labels: Labels; without?: readonly string[] }) {
  const pairs = Object.entries(labels).filter(([name]) => !without.includes(name));
  return (
    <span class="chips">
      {pairs.map(([name, value]) => (
        <span class="chip" key={name} title={`${name}="${value}"`}>
          <span class="faint">{name}</span>
          <span>{value === '' ? '""' : value}</span>
        </span>
      ))}
    </span>
  );
}

/** Does any of the texts hold every word that was typed? */
export function matches(typed: string, ...texts: readonly string[]): boolean {
  const all = texts.join('\n').toLowerCase();
  return typed
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}
