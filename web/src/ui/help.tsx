// The list of shortcuts, from the registry that runs them.
import { signal } from '@preact/signals';
import { shortcuts } from '../keys';
import { Dialog } from './dialog';

export const helpOpen = signal(false);

function Keys({ keys }: { keys: string }) {
  return (
    <>
      {keys.split(' ').map((key, i) => (
        <kbd class="kbd" key={i}>
          {key.replace('mod+', navigator.platform.startsWith('Mac') ? '⌘ ' : 'Ctrl ').toUpperCase()}
        </kbd>
      ))}
    </>
  );
}

export function Help() {
  const groups = [...new Set(shortcuts.value.map((one) => one.group))];
  return (
    <Dialog title="Keyboard shortcuts" class="help" onClose={() => (helpOpen.value = false)}>
      <div class="stack">
        {groups.map((group) => (
          <section key={group} class="stack" style={{ gap: '0.35rem' }}>
            <h3 class="faint">{group}</h3>
            {shortcuts.value
              .filter((one) => one.group === group)
              .map((one) => (
                <div class="row between" key={one.keys}>
                  <span>{one.title}</span>
                  <span class="row" style={{ gap: '0.25rem' }}>
                    <Keys keys={one.keys} />
                  </span>
                </div>
              ))}
          </section>
        ))}
        <p class="faint tiny">On a chart: drag to zoom, arrow keys to walk along the points, Shift with arrows to move in time.</p>
      </div>
    </Dialog>
  );
}
