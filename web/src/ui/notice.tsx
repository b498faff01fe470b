// What went wrong, where it went wrong; and what to show while there is nothing yet.
import type { ComponentChildren } from 'preact';
import { ApiError } from '../data/api';
import { refreshNow } from '../state';
import { Icon } from './icon';

export function Notice({ kind = 'bad', children }: { kind?: 'bad' | 'warn'; children: ComponentChildren }) {
  return (
    <div class={'notice ' + kind} role={kind === 'bad' ? 'alert' : 'status'}>
      <Icon name="alert" />
      <div class="grow">{children}</div>
    </div>
  );
}

/** What to do about it, in a sentence. */
function advice(error: Error): string {
  if (!(error instanceof ApiError)) return '';
  if (error.status === 401) return 'Enter an API key (traceo key add makes one).';
  if (error.status === 403) return 'The key in use may not do this; one with more permissions is needed.';
  if (error.status === 429) return 'Traceo is busy; it is tried again with the next refresh.';
  return '';
}

export function ErrorNotice({ error, again = true }: { error: Error | undefined; again?: boolean }) {
  // No answer at all is said once for the whole page (state_of_server.tsx).
  if (error === undefined || (error instanceof ApiError && (error.status === 0 || error.message.includes('being replayed')))) return null;
  const todo = advice(error);
  return (
    <Notice>
      {error.message} {todo !== '' && <span class="dim">{todo}</span>}
      {again && !(error instanceof ApiError && error.status === 400) && (
        <>
          {' '}
          <button type="button" class="legend-more" onClick={refreshNow}>
            Try again
          </button>
        </>
      )}
    </Notice>
  );
}

/** Nothing here yet: why, and the next step. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h3>{title}</h3>
      {children}
    </div>
  );
}

/** A sign of life, shown only when something takes longer than 100 ms (Resource.slow). */
export function Wait({ what = 'Loading' }: { what?: string }) {
  return (
    <div class="wait" role="status">
      {what} …
    </div>
  );
}
