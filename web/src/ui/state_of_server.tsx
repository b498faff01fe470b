// What the whole page has to say about its server: it does not answer, or it is still reading its log. Said once, not by
// every panel.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { call, replaying, unreachable } from '../data/api';
import { refreshNow } from '../state';
import { Icon } from './icon';
import { Panel } from './panel';

export function Unreachable() {
  return (
    <div class="unreachable" role="alert">
      {unreachable.value && (
        <span>
          <Icon name="alert" /> Traceo does not answer. Is it still running? The page goes on by itself.
        </span>
      )}
    </div>
  );
}

/** The page, or how far the replay of the log is. */
export function WhenReady({ children }: { children: ComponentChildren }) {
  const [percent, setPercent] = useState(0);
  const waits = replaying.value;
  useEffect(() => {
    if (!waits) return;
    const look = () =>
      call<{ current: number; state: string }>('/api/v1/status/walreplay').then(
        ({ data }) => {
          setPercent(data.current);
          if (data.state !== 'done') return;
          replaying.value = false;
          refreshNow();
        },
        () => undefined, // said elsewhere
      );
    void look();
    const timer = setInterval(look, 500);
    return () => clearInterval(timer);
  }, [waits]);
  if (!waits) return <>{children}</>;
  return (
    <Panel title="Traceo is starting" class="center">
      <p class="small dim">It reads its log again, so that nothing it has acknowledged is missing. Queries are answered after that.</p>
      <p class="row" style={{ marginTop: '0.75rem' }}>
        <span class="meter grow" role="progressbar" aria-label="Replay" aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100}>
          <i style={{ width: percent + '%' }} />
        </span>
        <b class="num">{percent} %</b>
      </p>
    </Panel>
  );
}
