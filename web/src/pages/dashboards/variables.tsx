// The bar of variables: a menu of a label's values (one or several), of durations, or a field.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { setParams } from '../../router';
import { Icon } from '../../ui/icon';
import { Menu } from '../../ui/menu';
import { plainText } from '../explore/plain';
import { useOptions } from './ask';
import type { Dashboard, QueryVariable, TextVariable, Variable } from './document';
import { ALL, chosenParams, fill, withDefaults, type Chosen } from './fill';

const SHOWN = 300;

export interface Variables {
  chosen: Chosen; // what holds
  options: Readonly<Record<string, readonly string[]>>;
  ready: boolean; // every label's values are known: now panels may ask
  error: Error | undefined;
}

/** One query variable after the other, as a later one may be narrowed by an earlier. Its number does not change while a dashboard is shown. */
export function useVariables(dashboard: Dashboard, asked: Chosen): Variables {
  const all = dashboard.variables.filter((one): one is QueryVariable => one.kind === 'query');
  const options: Record<string, readonly string[]> = {};
  let ready = true;
  let error: Error | undefined;
  for (const one of all) {
    const chosen = withDefaults(dashboard, asked, options);
    const match = fill(one.match, dashboard, chosen, { stepMs: 15000, rangeMs: 3600e3 });
    const found = useOptions(dashboard, one, match);
    options[one.name] = found.value ?? [];
    ready &&= found.value !== undefined;
    error ??= found.error;
  }
  const key = JSON.stringify([asked, options]);
  const chosen = useMemo(() => withDefaults(dashboard, asked, options), [dashboard, key]);
  return { chosen, options, ready: ready || error !== undefined, error };
}

export function VariableBar({ dashboard, asked, variables }: { dashboard: Dashboard; asked: Chosen; variables: Variables }) {
  if (dashboard.variables.length === 0) return null;
  return (
    <div class="variables" role="group" aria-label="Variables">
      {dashboard.variables.map((one) => (
        <VariableField key={one.name} variable={one} asked={asked[one.name]} chosen={variables.chosen[one.name] ?? []} options={variables.options[one.name] ?? []} />
      ))}
    </div>
  );
}

function VariableField({ variable, asked, chosen, options }: { variable: Variable; asked: readonly string[] | undefined; chosen: readonly string[]; options: readonly string[] }) {
  const set = (values: readonly string[] | undefined) => setParams(chosenParams(variable, values));
  if (variable.kind === 'text') return <TextField variable={variable} value={asked?.[0] ?? variable.value} onSet={(value) => set(value === variable.value ? undefined : [value])} />;
  if (variable.kind === 'interval') {
    const value = asked?.[0] ?? variable.values[0]!;
    return <Menu label={variable.title} class="variable" items={variable.values.map((one, i) => ({ title: one, checked: one === value, run: () => set(i === 0 ? undefined : [one]) }))} button={<Shown title={variable.title} text={value} />} />;
  }
  return <QueryField variable={variable} chosen={chosen} options={options} set={set} />;
}

function Shown({ title, text }: { title: string; text: string }) {
  return (
    <>
      <span class="faint">{title}</span>
      <span class="clip">{plainText(text)}</span>
      <Icon name="down" />
    </>
  );
}

function QueryField({ variable, chosen, options, set }: { variable: QueryVariable; chosen: readonly string[]; options: readonly string[]; set: (values: readonly string[] | undefined) => void }) {
  const [words, setWords] = useState('');
  // A chosen value that has no series any more stays visible, so that one sees why nothing is shown.
  const all = [...options, ...chosen.filter((one) => !options.includes(one))];
  const hits = all.filter((one) => one.toLowerCase().includes(words.toLowerCase()));
  const choose = (value: string) => {
    if (!variable.many) return set(!variable.all && value === options[0] ? undefined : [value]);
    const next = chosen.includes(value) ? chosen.filter((one) => one !== value) : [...chosen, value];
    set(next.length === 0 ? (variable.all ? undefined : [ALL]) : next);
  };
  const text = chosen.length === 0 ? (options.length === 0 ? 'none' : 'all') : chosen.length > 3 ? `${chosen.length} of ${options.length}` : chosen.join(', ');
  return (
    <Menu label={variable.title} class="variable" items={variable.all || variable.many ? [{ title: 'All', note: String(options.length), checked: chosen.length === 0, run: () => set(variable.all ? undefined : [ALL]) }] : []} button={<Shown title={variable.title} text={text} />}>
      {(close) => (
        <div class="variable-choice">
          {all.length > 8 && <input class="field" type="search" aria-label={'Search ' + variable.title} placeholder="Search" value={words} spellcheck={false} onInput={(event) => setWords(event.currentTarget.value)} />}
          <ul>
            {hits.slice(0, SHOWN).map((one) => (
              <li key={one}>
                <label>
                  <input
                    type={variable.many ? 'checkbox' : 'radio'}
                    name={'var-' + variable.name}
                    checked={chosen.includes(one)}
                    onChange={() => {
                      choose(one);
                      if (!variable.many) close();
                    }}
                  />
                  <span class="clip" title={one}>
                    {one === '' ? '(empty)' : plainText(one)}
                  </span>
                </label>
              </li>
            ))}
          </ul>
          {hits.length === 0 && <p class="small faint">{all.length === 0 ? 'No series has this label here.' : 'None of them.'}</p>}
          {hits.length > SHOWN && <p class="tiny faint">and {hits.length - SHOWN} more; search for them</p>}
        </div>
      )}
    </Menu>
  );
}

function TextField({ variable, value, onSet }: { variable: TextVariable; value: string; onSet: (value: string) => void }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  return (
    <label class="variable-text">
      <span class="faint small">{variable.title}</span>
      <input
        class="field mono"
        value={typed}
        spellcheck={false}
        onInput={(event) => setTyped(event.currentTarget.value)}
        onBlur={() => onSet(typed)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') onSet(typed);
          if (event.key === 'Escape') setTyped(value);
        }}
      />
    </label>
  );
}
