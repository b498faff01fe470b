// The names of the dashboards, for the palette: without the documents, which are loaded with the page.

export interface BoardName {
  id: string;
  title: string;
}

export const KEY = 'traceo.dashboards';

export const BUILT_IN_NAMES: readonly BoardName[] = [
  { id: 'node', title: 'Node' },
  { id: 'traceo', title: 'Traceo itself' },
];

export function boardNames(): BoardName[] {
  let own: BoardName[] = [];
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '[]') as unknown;
    if (Array.isArray(kept)) own = kept.filter((one: Partial<BoardName> | null): one is BoardName => typeof one?.id === 'string' && typeof one.title === 'string').map(({ id, title }) => ({ id, title }));
  } catch {
    // No storage, or not ours: those that come with Traceo are there.
  }
  return [...own, ...BUILT_IN_NAMES.filter((one) => own.every((mine) => mine.id !== one.id))];
}
