// What the command palette offers. Pages add their own commands while they are shown; the palette (ui/palette.tsx) only
// lists, filters and runs them.
import { signal } from '@preact/signals';

export interface Command {
  id: string;
  title: string;
  group: string; // 'Go to', 'Time', 'Theme', …
  keys?: string; // the shortcut, shown beside it
  hint?: string; // more words to find it by
  run: () => void;
}

export type CommandSource = () => readonly Command[];

const sources = signal<readonly CommandSource[]>([]);
export const paletteOpen = signal(false);

/** Adds a source, asked each time the palette opens; the function returned takes it away. */
export function addCommands(source: CommandSource): () => void {
  sources.value = [...sources.value, source];
  return () => {
    sources.value = sources.value.filter((one) => one !== source);
  };
}

export function allCommands(): Command[] {
  return sources.value.flatMap((source) => source());
}
