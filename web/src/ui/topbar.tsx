// The top bar: what page this is, the time range, the refresh, the zone, the theme.
import { useState } from 'preact/hooks';
import { apiKey, setKey } from '../data/session';
import { durationHuman, parseTime, QUICK_RANGES, rangeIsLive, timeText } from '../data/time';
import { href, setParams } from '../router';
import { live, moveRange, now, range, refresh, REFRESHES, refreshNow, setRange, setTheme, setZone, shownTheme, span, theme, zone, zoomRange } from '../state';
import { Icon, Logo } from './icon';
import { Menu } from './menu';

function rangeTitle(): string {
  const quick = QUICK_RANGES.find((one) => one.from === range.value.from && range.value.to === 'now');
  if (quick !== undefined) return quick.title;
  const { fromMs, toMs } = span.value;
  if (rangeIsLive(range.value)) return 'Last ' + durationHuman(toMs - fromMs);
  const from = timeText(fromMs, zone.value);
  const to = timeText(toMs, zone.value);
  return from + ' – ' + (from.slice(0, 10) === to.slice(0, 10) ? to.slice(11) : to);
}

function RangeFields({ close }: { close: () => void }) {
  const [from, setFrom] = useState(range.value.from);
  const [to, setTo] = useState(range.value.to);
  const fromMs = parseTime(from, now.value);
  const toMs = parseTime(to, now.value);
  const wrong = fromMs === undefined || toMs === undefined ? 'Write now-15m, 2026-11-21 08:00 or milliseconds.' : fromMs >= toMs ? 'The end is before the beginning.' : '';
  return (
    <form
      class="stack"
      style={{ padding: '0.5rem 0.6rem', gap: '0.4rem' }}
      onSubmit={(event) => {
        event.preventDefault();
        if (wrong !== '') return;
        setRange({ from, to });
        close();
      }}
    >
      <label class="row small">
        <span class="dim" style={{ width: '2.5rem' }}>
          From
        </span>
        <input class="field grow" value={from} aria-invalid={fromMs === undefined} onInput={(event) => setFrom(event.currentTarget.value)} />
      </label>
      <label class="row small">
        <span class="dim" style={{ width: '2.5rem' }}>
          To
        </span>
        <input class="field grow" value={to} aria-invalid={toMs === undefined} onInput={(event) => setTo(event.currentTarget.value)} />
      </label>
      {wrong !== '' && <span class="tiny bad">{wrong}</span>}
      <button class="button primary" type="submit" disabled={wrong !== ''}>
        Apply
      </button>
    </form>
  );
}

function RangePicker() {
  return (
    <div class="row" style={{ gap: '2px' }}>
      <button type="button" class="button quiet icon hide-narrow" aria-label="Earlier" title="Earlier ( [ )" onClick={() => moveRange(-0.5)}>
        <Icon name="left" />
      </button>
      <Menu
        label="Time range"
        items={QUICK_RANGES.map((one) => ({
          title: one.title,
          checked: range.value.from === one.from && range.value.to === 'now',
          run: () => setRange({ from: one.from, to: 'now' }),
        }))}
        button={
          <>
            <Icon name="clock" />
            <span class="num clip" style={{ maxWidth: 'max(7rem, 46vw - 4rem)' }}>
              {rangeTitle()}
            </span>
          </>
        }
      >
        {(close) => <RangeFields close={close} />}
      </Menu>
      <button type="button" class="button quiet icon hide-narrow" aria-label="Later" title="Later ( ] )" onClick={() => moveRange(0.5)}>
        <Icon name="right" />
      </button>
      <button type="button" class="button quiet icon hide-narrow" aria-label="Zoom out" title="Zoom out ( - )" onClick={() => zoomRange(2)}>
        <Icon name="zoomOut" />
      </button>
    </div>
  );
}

function RefreshPicker() {
  const titles: Record<string, string> = { '': 'Automatic', off: 'Stand still' };
  return (
    <div class="row" style={{ gap: '2px' }}>
      <button type="button" class="button quiet icon hide-narrow" aria-label="Refresh now" title="Refresh now ( r )" onClick={refreshNow}>
        <Icon name="refresh" />
      </button>
      <Menu
        label="Refresh"
        class="hide-narrow"
        items={REFRESHES.map((one) => ({ title: titles[one] ?? 'Every ' + one, checked: refresh.value === one, run: () => setParams({ refresh: one || undefined }, { replace: true }) }))}
        button={
          <>
            <i class={'pulse' + (live.value ? ' on' : '')} aria-hidden="true" />
            <span>{refresh.value === '' || refresh.value === 'off' ? (live.value ? 'Live' : 'Still') : refresh.value}</span>
          </>
        }
      />
    </div>
  );
}

const ZONES = ['local', 'utc', 'Europe/Berlin', 'Europe/London', 'America/New_York', 'America/Los_Angeles', 'Asia/Tokyo', 'Asia/Kolkata'];

function ZonePicker() {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = ZONES.includes(zone.value) ? ZONES : [...ZONES, zone.value];
  const title = (one: string) => (one === 'local' ? 'Browser' : one === 'utc' ? 'UTC' : one.replace('_', ' '));
  return (
    <Menu
      label={'Time zone: ' + title(zone.value)}
      class="quiet icon"
      items={zones.map((one) => ({ title: title(one), note: one === 'local' ? own : undefined, checked: zone.value === one, run: () => setZone(one) }))}
      button={<Icon name="globe" />}
    />
  );
}

function ThemePicker() {
  return (
    <Menu
      label="Theme"
      class="quiet icon"
      items={(['system', 'dark', 'light'] as const).map((one) => ({ title: one[0]!.toUpperCase() + one.slice(1), checked: theme.value === one, run: () => setTheme(one) }))}
      button={<Icon name={shownTheme.value === 'dark' ? 'moon' : 'sun'} />}
    />
  );
}

export function TopBar({ title, range: withRange }: { title: string; range: boolean }) {
  return (
    <header class="bars">
      <a class="brand" href={href('')}>
        <Logo />
        <span>Traceo</span>
      </a>
      <div class="bar">
      <h1 class="clip">{title}</h1>
      {withRange && <RangePicker />}
      {withRange && <RefreshPicker />}
      <div class="row" style={{ gap: '2px' }}>
        <ZonePicker />
        <ThemePicker />
        {apiKey.value !== '' && (
          <Menu label="API key" class="quiet icon" items={[{ title: 'Forget the API key', run: () => setKey('', '') }]} button={<Icon name="key" />} />
        )}
      </div>
      </div>
    </header>
  );
}
