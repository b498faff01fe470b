// Keyboard shortcuts: a registry that the help overlay (?) lists. "g h" is two keys in a row, "mod+k" Ctrl or ⌘.
import { signal } from '@preact/signals';

export interface Shortcut {
  keys: string;
  title: string;
  group: string; // 'Go to', 'Time', 'Page', …
  run: () => void;
}

export const shortcuts = signal<readonly Shortcut[]>([]);

/** Adds shortcuts; the function returned takes them away (return it from useEffect). */
export function bindKeys(...rows: Shortcut[]): () => void {
  shortcuts.value = [...shortcuts.value, ...rows];
  return () => {
    shortcuts.value = shortcuts.value.filter((row) => !rows.includes(row));
  };
}

const SEQUENCE_MS = 900;
let pending = '';
let pendingSince = 0;

/** Somebody types text: single keys are theirs. */
function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

function nameOf(event: KeyboardEvent): string {
  const mod = event.ctrlKey || event.metaKey ? 'mod+' : '';
  const alt = event.altKey ? 'alt+' : '';
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey && (event.key.length > 1 || mod !== '' || alt !== '') ? 'shift+' : '';
  return mod + alt + shift + key;
}

export function keysBegin(): void {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const name = nameOf(event);
    const single = !name.startsWith('mod+') && !name.startsWith('alt+');
    if (single && (isTyping(event.composedPath()[0] ?? event.target) || document.querySelector('dialog[open]') !== null)) return;
    const sequence = pending !== '' && performance.now() - pendingSince < SEQUENCE_MS ? pending + ' ' + name : name;
    // The newest first: a page's own shortcut covers a global one.
    const found = shortcuts.value.findLast((row) => row.keys === sequence) ?? shortcuts.value.findLast((row) => row.keys === name);
    const begins = shortcuts.value.some((row) => row.keys.startsWith(name + ' '));
    pending = found === undefined && begins ? name : '';
    pendingSince = performance.now();
    if (found === undefined) return;
    event.preventDefault();
    found.run();
  });
}
