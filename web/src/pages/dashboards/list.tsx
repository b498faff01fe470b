// The list of dashboards, and the way to bring one along.
import { useRef, useState } from 'preact/hooks';
import { go, href, param } from '../../router';
import { Icon } from '../../ui/icon';
import { Notice } from '../../ui/notice';
import { Panel } from '../../ui/panel';
import { matches, Search } from '../../ui/parts';
import { toast } from '../../ui/toast';
import { saveBlob } from '../explore/save';
import { dashboardText, DocumentError, parseDashboard, type Dashboard } from './document';
import { addDashboard, allDashboards, own, removeDashboard } from './store';

export function saveDashboard(dashboard: Dashboard): void {
  saveBlob(new Blob([dashboardText(dashboard)], { type: 'application/json' }), dashboard.id + '.json');
}

const FAULTS_SHOWN = 12;

export function List() {
  const picker = useRef<HTMLInputElement>(null);
  const [faults, setFaults] = useState<{ name: string; sentences: readonly string[] } | undefined>(undefined);
  const mine = new Set(own.value.map((one) => one.id));
  const all = allDashboards();
  const shown = all.filter((one) => matches(param('q').value, one.title, one.about, one.id));

  const open = async (file: File | undefined) => {
    if (file === undefined) return;
    try {
      const dashboard = parseDashboard(await file.text());
      setFaults(undefined);
      if (!addDashboard(dashboard)) toast('The browser keeps nothing here: the dashboard is gone with this page.', 'bad');
      go('dashboards/' + dashboard.id);
    } catch (error) {
      setFaults({ name: file.name, sentences: error instanceof DocumentError ? error.faults : ['it is no JSON: ' + (error as Error).message] });
    }
  };

  return (
    <Panel title="Dashboards" note={String(all.length)}>
      <div class="tools">
        <Search name="q" label="Filter dashboards" />
        <button type="button" class="button" onClick={() => picker.current!.click()}>
          <Icon name="plus" /> Open a file
        </button>
        <input ref={picker} type="file" accept=".json,application/json" hidden aria-label="A dashboard's file" onChange={(event) => {
            const field = event.currentTarget;
            void open(field.files?.[0]).finally(() => (field.value = ''));
          }} />
      </div>
      {faults !== undefined && (
        <Notice>
          {faults.name} is no dashboard:
          <ul class="board-faults">
            {faults.sentences.slice(0, FAULTS_SHOWN).map((one) => (
              <li key={one}>{one}</li>
            ))}
            {faults.sentences.length > FAULTS_SHOWN && <li>and {faults.sentences.length - FAULTS_SHOWN} more</li>}
          </ul>
        </Notice>
      )}
      <ul class="boards">
        {shown.map((one) => (
          <li key={one.id}>
            <a href={href('dashboards/' + one.id)}>
              <b>{one.title}</b>
              <span class="dim small">{one.about}</span>
            </a>
            <span class="badge">{mine.has(one.id) ? 'this browser' : 'comes with Traceo'}</span>
            <button type="button" class="button quiet icon" aria-label={'Save ' + one.title + ' as a file'} title="Save as a file" onClick={() => saveDashboard(one)}>
              <Icon name="download" />
            </button>
            {mine.has(one.id) && (
              <button type="button" class="button quiet icon" aria-label={'Remove ' + one.title} title="Remove from this browser" onClick={() => removeDashboard(one.id)}>
                <Icon name="trash" />
              </button>
            )}
          </li>
        ))}
      </ul>
      {shown.length === 0 && <p class="small dim">No dashboard has these words.</p>}
      <p class="small faint boards-how">A dashboard is a JSON document: save one as a file, change it, and open it here. It stays in this browser.</p>
    </Panel>
  );
}
