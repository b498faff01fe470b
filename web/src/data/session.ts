// The API key and the tenant of this browser tab. They are kept in sessionStorage: gone with the tab, never in the URL.
import { computed, signal } from '@preact/signals';
import { param } from '../router';

function stored(name: string): string {
  try {
    return sessionStorage.getItem(name) ?? '';
  } catch {
    return '';
  }
}

function keep(name: string, value: string): void {
  try {
    if (value === '') sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, value);
  } catch {
    // Holds for this page then.
  }
}

export const apiKey = signal(stored('traceo.key'));
export const tenant = signal(stored('traceo.tenant'));

/** Whose data the page shows: the address may name a tenant (Traceo's own metrics are in one), and a link carries it. */
export const tenantShown = computed(() => param('tenant').value || tenant.value);

/** Why the page cannot ask: 'missing' or 'refused' show the field for the key (ui/key.tsx); '' is fine. */
export const keyWanted = signal<'' | 'missing' | 'refused'>('');

export function setKey(key: string, forTenant = tenant.value): void {
  apiKey.value = key.trim();
  tenant.value = forTenant.trim();
  keep('traceo.key', apiKey.value);
  keep('traceo.tenant', tenant.value);
  keyWanted.value = '';
}

export function sessionHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  if (apiKey.value !== '') headers['Authorization'] = 'Bearer ' + apiKey.value;
  if (tenantShown.value !== '') headers['X-Scope-OrgID'] = tenantShown.value;
  return headers;
}
