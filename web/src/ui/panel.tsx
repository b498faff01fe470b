// A box with a heading: what pages are laid out with.
import type { ComponentChildren } from 'preact';

export interface PanelProps {
  title: string;
  note?: ComponentChildren; // small, beside the title
  right?: ComponentChildren; // at the far end
  class?: string;
  children: ComponentChildren;
}

export function Panel({ title, note, right, children, class: more = '' }: PanelProps) {
  return (
    <section class={'panel ' + more} aria-label={title}>
      <header>
        <h2>{title}</h2>
        {note !== undefined && <span class="note clip">{note}</span>}
        {right !== undefined && <span class="right">{right}</span>}
      </header>
      {children}
    </section>
  );
}
