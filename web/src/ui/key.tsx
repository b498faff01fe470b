// Where Traceo wants an API key and the page has none that fits: the field for it, in place of the page.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { apiKey, keyWanted, setKey, tenant } from '../data/session';
import { refreshNow } from '../state';
import { Copy } from './copy';
import { Notice } from './notice';

export function KeyGate({ children }: { children: ComponentChildren }) {
  const [typed, setTyped] = useState('');
  const [forTenant, setForTenant] = useState(tenant.value);
  // The page is made anew with a new key: what was loaded with the old one is not shown again.
  if (keyWanted.value === '') return <div key={apiKey.value + '\n' + tenant.value}>{children}</div>;
  return (
    <section class="panel" style={{ maxWidth: '41rem', margin: '8vh auto 0' }}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          setKey(typed, forTenant);
          refreshNow();
        }}
      >
        <h2>This Traceo asks for an API key</h2>
        {keyWanted.value === 'refused' && <Notice>The key is not accepted: it is unknown, expired or revoked.</Notice>}
        <label class="stack" style={{ gap: '0.3rem' }}>
          <span class="small dim">API key</span>
          <input class="field mono" type="password" autocomplete="off" spellcheck={false} required value={typed} placeholder="traceo_…" onInput={(event) => setTyped(event.currentTarget.value)} />
        </label>
        <label class="stack" style={{ gap: '0.3rem' }}>
          <span class="small dim">Tenant, for a key of all tenants; empty is the key's own</span>
          <input class="field mono" autocomplete="off" spellcheck={false} value={forTenant} onInput={(event) => setForTenant(event.currentTarget.value)} />
        </label>
        <div class="row">
          <button class="button primary" type="submit">
            Use this key
          </button>
          <span class="tiny faint">Kept until this tab is closed.</span>
        </div>
        <p class="small dim">A key that may look at everything is made on the server with:</p>
        <Copy text="traceo key add --name page --permissions read_metrics,read_status" />
      </form>
    </section>
  );
}
