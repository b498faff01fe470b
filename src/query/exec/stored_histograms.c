// The native histograms of one stored series, decoded when asked for, each knowing whether it
// follows the one before it without a reset.
//
// Senders rarely say so (their hint is UNKNOWN); Prometheus finds out when it stores a histogram,
// and answers show it. Here it is found when a query reads: within one bucket layout, what did not
// fall was not reset. What came after a reset stays UNKNOWN, as the one it should be compared with
// may be gone; only where counts and sums alone are asked for, it is said.

#include "query/exec/exec.h"

bool stored_histograms_read(StoredHistograms *stored, SeriesCursor *cursor,
                            const SeriesFound *found, int64_t from_ms, int64_t to_ms, Error *err) {
    // The one before the first is needed, too: where there is one, it is not far away.
    TRY(series_read_histograms(cursor, found, from_ms - stored->exec->lookback_ms, to_ms,
                               stored->arena, &stored->at, &stored->count, err));
    while (stored->first < stored->count && stored->at[stored->first].time_ms < from_ms)
        stored->first++;
    stored->decoded = arena_push_array(stored->arena, const Histogram *, stored->count);
    stored->hinted = arena_push_array(stored->arena, const Histogram *, stored->count);
    stored->bad = arena_push_array(stored->arena, uint8_t, stored->count);
    stored->labels = found->labels;
    return true;
}

static const Histogram *decoded(StoredHistograms *stored, size_t i) {
    if (stored->decoded[i] != NULL || stored->bad[i]) return stored->decoded[i];
    Error why = {0};
    if (!histogram_decode(stored->at[i].wire, stored->arena, &stored->decoded[i], &why)) {
        stored->bad[i] = 1;
        note_unreadable(stored->exec, stored->range, stored->labels, &why);
    }
    return stored->decoded[i];
}

static HistogramResetHint hint_of(const StoredHistograms *stored, const Histogram *now,
                                  const Histogram *before) {
    if (before->reset_hint == HISTOGRAM_RESET_GAUGE || is_stale(before->sum))
        return HISTOGRAM_RESET_UNKNOWN;
    bool reset = histogram_is_reset(now, before);
    if (stored->stats_only) return reset ? HISTOGRAM_RESET_YES : HISTOGRAM_RESET_NO;
    return !reset && histogram_same_layout(now, before) ? HISTOGRAM_RESET_NO
                                                        : HISTOGRAM_RESET_UNKNOWN;
}

const Histogram *stored_histogram(StoredHistograms *stored, size_t i) {
    if (stored->hinted[i] != NULL) return stored->hinted[i];
    const Histogram *now = decoded(stored, i);
    const Histogram *before = i > 0 && now != NULL ? decoded(stored, i - 1) : NULL;
    stored->hinted[i] = now;
    if (before == NULL || now->reset_hint != HISTOGRAM_RESET_UNKNOWN || is_stale(now->sum))
        return now;
    HistogramResetHint hint = hint_of(stored, now, before);
    if (hint == HISTOGRAM_RESET_UNKNOWN) return now;
    Histogram *hinted = arena_push(stored->arena, Histogram);
    *hinted = *now;
    hinted->reset_hint = hint;
    stored->hinted[i] = hinted;
    return hinted;
}
