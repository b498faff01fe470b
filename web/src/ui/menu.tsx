// A button that opens a small list of choices. Arrow keys walk, Escape closes, a click outside closes.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

export interface MenuItem {
  title: string;
  checked?: boolean;
  note?: string;
  run: () => void;
}

export interface MenuProps {
  label: string; // what it is for: the name of a button that shows only an icon, and the tooltip
  button: ComponentChildren;
  class?: string;
  items: readonly MenuItem[];
  children?: (close: () => void) => ComponentChildren; // below the items: fields, say
}

export function Menu({ label, button, items, children, class: more = '' }: MenuProps) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', outside);
    box.current?.querySelector<HTMLElement>('[aria-checked=true], .item')?.focus();
    return () => document.removeEventListener('pointerdown', outside);
  }, [open]);

  const close = () => {
    setOpen(false);
    opener.current?.focus();
  };
  const keyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape' && open) {
      event.stopPropagation();
      close();
      return;
    }
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step === 0 || !open || event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    const all = [...box.current!.querySelectorAll<HTMLElement>('.item')];
    all[(all.indexOf(document.activeElement as HTMLElement) + step + all.length) % all.length]?.focus();
  };

  return (
    <div class="menu-box" ref={box} onKeyDown={keyDown}>
      <button type="button" ref={opener} class={'button ' + more} aria-haspopup="true" aria-expanded={open} aria-label={/\bicon\b/.test(more) ? label : undefined} title={label} onClick={() => setOpen(!open)}>
        {button}
      </button>
      {open && (
        <div class="menu">
          <div role="menu" aria-label={label}>
            {items.map((item) => (
              <button
                key={item.title}
                type="button"
                class="item"
                role="menuitemradio"
                aria-checked={item.checked ?? false}
                onClick={() => {
                  item.run();
                  close();
                }}
              >
                <span class="grow">{item.title}</span>
                {item.note !== undefined && <span class="faint tiny">{item.note}</span>}
              </button>
            ))}
          </div>
          {children?.(close)}
        </div>
      )}
    </div>
  );
}
