// A line or a block to copy: what an empty state tells people to run or to write.
import { useState } from 'preact/hooks';
import { Icon } from './icon';
import { toast } from './toast';

/** Copies; where the browser forbids it (no secure context), an old way is tried. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.style.position = 'fixed';
    area.style.opacity = '0';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

export function Copy({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  return (
    <div class="copy">
      <pre tabIndex={0}>{text}</pre>
      <button
        type="button"
        aria-label={done ? 'Copied' : label}
        title={label}
        onClick={async () => {
          if (!(await copyText(text))) return toast('The browser does not allow copying; select the text instead.', 'bad');
          setDone(true);
          setTimeout(() => setDone(false), 1500);
        }}
      >
        <Icon name={done ? 'check' : 'copy'} />
      </button>
    </div>
  );
}
