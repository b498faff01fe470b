// The foot of the navigation: which Traceo this is, and how to get at help.
import { useEffect, useState } from 'preact/hooks';
import { buildInfo } from '../data/api';
import { apiKey } from '../data/session';
import { helpOpen } from './help';

export function useFoot() {
  const [version, setVersion] = useState('');
  useEffect(() => {
    buildInfo().then(
      ({ data }) => setVersion(data.revision.replace(/^traceo-/, '').split('-')[0] ?? ''),
      () => setVersion(''),
    );
  }, [apiKey.value]);
  return (
    <div class="foot">
      <button type="button" class="button quiet" onClick={() => (helpOpen.value = true)}>
        <span class="kbd">?</span> Shortcuts
      </button>
      <span>{version === '' ? '\u00a0' : 'Traceo ' + version}</span>
    </div>
  );
}
