// Something that is loaded and loaded again: what a component shows while it comes, when it came, and when it failed.
// The last good value stays on the screen while a newer one is on its way: nothing blinks, nothing jumps.
import { useEffect, useRef, useState } from 'preact/hooks';
import { isAbort } from './api';

export interface Resource<T> {
  value: T | undefined; // the last one that came
  error: Error | undefined; // of the last try
  loading: boolean; // a try is on its way
  slow: boolean; // for more than 100 ms, and there is nothing to show yet: now a sign of life is due
}

const SLOW_MS = 100;

/**
 * Loads when `keys` change. A newer call aborts an older one; with `keep` a refresh waits for the one under way instead
 * (polling must not starve on a slow server): pass the moment of refresh as `again`.
 */
export function useResource<T>(load: (signal: AbortSignal) => Promise<T>, keys: readonly unknown[], again: unknown = 0): Resource<T> {
  const [state, setState] = useState<Resource<T>>({ value: undefined, error: undefined, loading: true, slow: false });
  const running = useRef<{ abort: AbortController; key: string } | undefined>(undefined);
  const key = JSON.stringify(keys);

  useEffect(() => {
    if (running.current !== undefined) {
      if (running.current.key === key) return; // a refresh while one is under way
      running.current.abort.abort();
    }
    const mine = { abort: new AbortController(), key };
    running.current = mine;
    setState((old) => ({ ...old, loading: true }));
    const slow = setTimeout(() => setState((old) => ({ ...old, slow: old.value === undefined && old.loading })), SLOW_MS);
    const end = (next: Partial<Resource<T>>) => {
      clearTimeout(slow);
      if (running.current !== mine) return;
      running.current = undefined;
      setState((old) => ({ ...old, loading: false, slow: false, ...next }));
    };
    load(mine.abort.signal).then(
      (value) => end({ value, error: undefined }),
      (error: unknown) => end(isAbort(error) ? {} : { error: error instanceof Error ? error : new Error(String(error)) }),
    );
  }, [key, again]);

  useEffect(() => () => running.current?.abort.abort(), []);
  return state;
}
