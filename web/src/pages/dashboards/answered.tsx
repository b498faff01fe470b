// Around what a panel draws: its error, its warnings, its emptiness and the room it keeps, all in place.
import type { ComponentChildren } from 'preact';
import type { Resource } from '../../data/resource';
import { ErrorNotice, Notice, Wait } from '../../ui/notice';

export interface AnsweredProps {
  state: Resource<{ warnings: readonly string[] }>;
  empty: boolean | undefined;
  height: number;
  children: ComponentChildren;
}

export function Answered({ state, empty = false, height, children }: AnsweredProps) {
  if (state.error !== undefined && state.value === undefined) {
    return (
      <div class="answered" style={{ minHeight: height + 'px' }}>
        <ErrorNotice error={state.error} />
      </div>
    );
  }
  if (state.value === undefined) {
    return (
      <div class="answered" style={{ minHeight: height + 'px' }}>
        {state.slow && <Wait what="Asking" />}
      </div>
    );
  }
  const notes = [...new Set(state.value.warnings)].slice(0, 2);
  return (
    <>
      <ErrorNotice error={state.error} />
      {notes.map((note) => (
        <Notice key={note} kind="warn">
          {note}
        </Notice>
      ))}
      {empty ? (
        <div class="answered nothing small faint" style={{ minHeight: height + 'px' }}>
          Nothing in this range of time
        </div>
      ) : (
        children
      )}
    </>
  );
}
