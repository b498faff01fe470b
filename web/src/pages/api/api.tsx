// The API reference, from the server's own table of routes: what there is, what it takes, who may, and a try.
import { useState } from 'preact/hooks';
import { openApi, request, type OpenApi, type OpenApiOperation, type OpenApiPath } from '../../data/api';
import { apiKey } from '../../data/session';
import { useResource } from '../../data/resource';
import { param, setParams } from '../../router';
import { Copy } from '../../ui/copy';
import { ErrorNotice, Wait } from '../../ui/notice';
import { Panel } from '../../ui/panel';
import { matches, Search } from '../../ui/parts';
import './api.css';

const METHODS = ['get', 'post', 'put', 'delete', 'head'] as const;
type Method = (typeof METHODS)[number];

const groups: readonly { title: string; note: string; has: (path: string) => boolean }[] = [
  { title: 'Prometheus', note: 'the HTTP API that dashboards and scripts already speak', has: (path) => path.startsWith('/api/v1/') && !path.includes('otlp') },
  { title: 'OpenTelemetry', note: 'OTLP over HTTP and gRPC', has: (path) => /^\/v1\/|otlp|opentelemetry/.test(path) },
  { title: 'Traceo', note: 'its own', has: (path) => path.startsWith('/api/traceo/') || path.startsWith('/ui') || path === '/' },
  { title: 'Operation', note: 'health, readiness, reload, own metrics', has: () => true },
];

interface Row {
  path: string;
  item: OpenApiPath;
  methods: Method[];
  main: OpenApiOperation;
}

function rowsOf(document: OpenApi): Row[] {
  return Object.entries(document.paths).flatMap(([path, item]) => {
    const methods = METHODS.filter((method) => item[method] !== undefined);
    const main = methods.length === 0 ? undefined : item[methods[0]!];
    return main === undefined ? [] : [{ path, item, methods, main }];
  });
}

function typeOf(parameter: NonNullable<OpenApiOperation['parameters']>[number]): string {
  const schema = parameter.schema;
  return (schema?.items?.type !== undefined ? schema.items.type + ' …' : (schema?.type ?? 'string')) + (parameter.required ? ', needed' : '');
}

/** The line for a shell; parameters that must be there are named in capitals. */
export function curlLine(origin: string, row: Pick<Row, 'path' | 'methods' | 'main'>, withKey: boolean): string {
  const method = row.methods[0]!;
  const needed = (row.main.parameters ?? []).filter((one) => one.required && one.in === 'query');
  const words = ['curl'];
  if (method === 'get' && needed.length > 0) words.push('-G');
  else if (method !== 'get') words.push('-X ' + method.toUpperCase());
  if (withKey) words.push("-H 'Authorization: Bearer KEY'");
  words.push(`'${origin}${row.path}'`);
  for (const one of needed) words.push(`--data-urlencode '${one.name}=${one.name.toUpperCase()}'`);
  return words.join(' ');
}

const SHOWN_BYTES = 20000;

function Try({ path }: { path: string }) {
  const [state, setState] = useState<{ text?: string; error?: Error; busy: boolean }>({ busy: false });
  const run = async () => {
    setState({ busy: true });
    try {
      const text = await (await request(path)).text();
      let shown = text;
      try {
        shown = JSON.stringify(JSON.parse(text), null, 2);
      } catch {
        // Not JSON: as it came.
      }
      setState({ busy: false, text: shown.length > SHOWN_BYTES ? shown.slice(0, SHOWN_BYTES) + '\n…' : shown });
    } catch (error) {
      setState({ busy: false, error: error as Error });
    }
  };
  return (
    <>
      <div>
        <button type="button" class="button" disabled={state.busy} onClick={run}>
          Ask it now
        </button>
      </div>
      <ErrorNotice error={state.error} again={false} />
      {state.text !== undefined && (
        <pre class="answer" tabIndex={0} aria-label="Answer">
          {state.text}
        </pre>
      )}
    </>
  );
}

function Detail({ row }: { row: Row }) {
  const parameters = row.main.parameters ?? [];
  const prefixes = (row.item.servers ?? []).map((one) => one.url).filter((url) => url !== '/');
  const canTry = row.methods.includes('get') && !row.path.includes('{') && !parameters.some((one) => one.required) && !row.path.startsWith('/ui');
  return (
    <div class="stack detail">
      {parameters.length > 0 && (
        <div class="table-box" tabIndex={0} role="region" aria-label={'Parameters of ' + row.path}>
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Parameter</th>
                <th scope="col">Kind</th>
                <th scope="col">What it is</th>
              </tr>
            </thead>
            <tbody>
              {parameters.map((one) => (
                <tr key={one.in + one.name}>
                  <td>
                    <code>{one.name}</code>
                  </td>
                  <td class="dim">{typeOf(one)}</td>
                  <td class="dim">{one.description}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Copy text={curlLine(location.origin, row, apiKey.value !== '')} label="Copy the command" />
      <p class="small dim">
        {row.main['x-permission'] === undefined || row.main.security.length === 0 ? 'Open to everybody.' : <>Needs the permission <code>{row.main['x-permission']}</code>.</>}
        {prefixes.length > 0 && <> Also below {prefixes.map((prefix) => <code key={prefix}>{prefix} </code>)}</>}
      </p>
      {canTry && <Try path={row.path} />}
    </div>
  );
}

function RouteRow({ row }: { row: Row }) {
  const id = row.path;
  const open = param('route').value === id;
  return (
    <li class={open ? 'route open' : 'route'}>
      <button type="button" aria-expanded={open} onClick={() => setParams({ route: open ? undefined : id })}>
        <span class="methods">
          {row.methods.filter((method) => method !== 'head').map((method) => (
            <span key={method} class={'method ' + method}>
              {method.toUpperCase()}
            </span>
          ))}
        </span>
        <code class="path wrap">{row.path}</code>
        <span class="dim summary">{row.main.summary}</span>
      </button>
      {open && <Detail row={row} />}
    </li>
  );
}

export function Api() {
  const loaded = useResource((signal) => openApi({ signal }), []);
  if (loaded.value === undefined) return <>{loaded.slow && <Wait />}<ErrorNotice error={loaded.error} /></>;
  const typed = param('q').value;
  const rows = rowsOf(loaded.value);
  const taken = new Set<string>();
  const sections = groups.map((group) => {
    const mine = rows.filter((row) => !taken.has(row.path) && group.has(row.path));
    for (const row of mine) taken.add(row.path);
    return { ...group, rows: mine.filter((row) => matches(typed, row.path, row.main.summary)) };
  });
  return (
    <div class="api">
      <div class="tools">
        <Search name="q" label="Filter routes" />
        <a class="button" href="/api/v1/openapi.json" target="_blank" rel="noopener">
          OpenAPI document
        </a>
      </div>
      <div class="stack">
        {sections.map(
          (section) =>
            section.rows.length > 0 && (
              <Panel key={section.title} title={section.title} note={section.note}>
                <ul class="routes">
                  {section.rows.map((row) => (
                    <RouteRow key={row.path} row={row} />
                  ))}
                </ul>
              </Panel>
            ),
        )}
        {sections.every((section) => section.rows.length === 0) && <p class="dim small">No route matches.</p>}
      </div>
    </div>
  );
}
