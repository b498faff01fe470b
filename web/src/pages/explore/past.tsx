// The list of queries that were run: search, run again, favourites, forget.
import { useState } from 'preact/hooks';
import { agoHuman, timeText } from '../../data/time';
import { now, zone } from '../../state';
import { Icon } from '../../ui/icon';
import { toast } from '../../ui/toast';
import { plainText } from './plain';
import { forget, forgetAll, history, searchHistory, setStar } from './history';

export function PastQueries({ onRun }: { onRun: (exprs: readonly string[]) => void }) {
  const [words, setWords] = useState('');
  const [stars, setStars] = useState(false);
  const found = searchHistory(history.value, words).filter((one) => !stars || one.star);
  return (
    <section class="panel browser" aria-label="History">
      <header>
        <h2>History</h2>
        <span class="note num" role="status">
          {found.length === history.value.length ? found.length : `${found.length} of ${history.value.length}`}
        </span>
        <span class="right row" style={{ gap: '0.25rem' }}>
          <button type="button" class="button quiet icon" aria-pressed={stars} aria-label="Favourites only" title="Favourites only" onClick={() => setStars(!stars)}>
            <Icon name="star" />
          </button>
          <button type="button" class="button quiet icon" aria-label="Forget all but favourites" title="Forget all but favourites" disabled={!history.value.some((one) => !one.star)} onClick={() => toast('The history is forgotten, but for favourites.', 'info', forgetAll())}>
            <Icon name="trash" />
          </button>
        </span>
      </header>
      <input class="field browser-search" type="search" aria-label="Search the history" placeholder="Search queries" value={words} spellcheck={false} onInput={(event) => setWords(event.currentTarget.value)} />
      {found.length === 0 && <p class="small dim browser-none">{history.value.length === 0 ? 'Queries that you run are listed here, in this browser only.' : 'No query has these words.'}</p>}
      <ul class="past-list">
        {found.map((one) => (
          <li key={one.exprs.join('\n')} class="past">
            <button type="button" class="past-run" title="Run again" onClick={() => onRun(one.exprs)}>
              {one.exprs.map((expr, i) => (
                <code key={i}>{expr}</code>
              ))}
              <span class="faint tiny" title={timeText(one.at, zone.value)}>
                {agoHuman(one.at, Math.max(now.value, one.at))}
              </span>
            </button>
            <span class="past-tools">
              <button type="button" class="button quiet icon" aria-pressed={one.star} aria-label={one.star ? 'No favourite any more' : 'Favourite'} title="Favourite" onClick={() => setStar(one, !one.star)}>
                <Icon name="star" />
              </button>
              <button type="button" class="button quiet icon" aria-label="Forget" title="Forget" onClick={() => toast('Forgotten: ' + plainText(one.exprs.join('; ').slice(0, 80)), 'info', forget(one))}>
                <Icon name="close" />
              </button>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
