// Short messages in the corner: what happened, where there is no better place to say it.
import { signal } from '@preact/signals';
import { Icon } from './icon';

interface Toast {
  id: number;
  text: string;
  kind: 'info' | 'bad';
  undo: (() => void) | undefined;
}

const toasts = signal<readonly Toast[]>([]);
let nextId = 1;
const SHOWN_MS = 5000;

/** With `undo` there is a button that takes back what happened; then it stays longer. */
export function toast(text: string, kind: 'info' | 'bad' = 'info', undo?: () => void): void {
  const id = nextId++;
  toasts.value = [...toasts.value.filter((one) => one.text !== text), { id, text, kind, undo }].slice(-4);
  setTimeout(() => dismiss(id), kind === 'bad' || undo !== undefined ? SHOWN_MS * 2 : SHOWN_MS);
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((one) => (
        <div key={one.id} class={'toast ' + one.kind}>
          <span class="grow">{one.text}</span>
          {one.undo !== undefined && (
            <button
              type="button"
              class="button"
              onClick={() => {
                one.undo?.();
                dismiss(one.id);
              }}
            >
              Undo
            </button>
          )}
          <button type="button" class="button quiet icon" aria-label="Dismiss" onClick={() => dismiss(one.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
