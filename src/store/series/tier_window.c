// Windows of one series: made of samples, told as columns, read again.

#include "store/series/tier.h"

#include <math.h>

#include "base/assert.h"
#include "store/series/columns.h"

// The columns that every window with samples has; of the others only what is not nothing is kept.
enum { COLUMNS_FULL = WINDOW_LAST_AGO + 1 };

// ---- Making ----

static int64_t window_end(int64_t time_ms, int64_t tier_ms) {
    assert(time_ms >= 0);
    return time_ms % tier_ms == 0 ? time_ms : time_ms - time_ms % tier_ms + tier_ms;
}

static TierWindow *window_at(TierWindows *windows, int64_t end_ms) {
    if (windows->count > 0 && windows->at[windows->count - 1].end_ms == end_ms)
        return &windows->at[windows->count - 1];
    TierWindow *made = array_add(windows);
    made->end_ms = end_ms;
    made->of[WINDOW_ENDED_AGO] = -1;
    return made;
}

// Neumaier's compensated sum.
typedef struct TierSum {
    double sum, rest;
} TierSum;

static void sum_add(TierSum *sum, double value) {
    double total = sum->sum + value;
    if (isinf(total)) {
        sum->rest = 0;
    } else if (fabs(sum->sum) >= fabs(value)) {
        sum->rest += (sum->sum - total) + value;
    } else {
        sum->rest += (value - total) + sum->sum;
    }
    sum->sum = total;
}

static void add_value(TierWindow *window, double value, double ago_ms, TierSum *sum) {
    double *of = window->of;
    if (of[WINDOW_COUNT] == 0) {
        *sum = (TierSum){0};
        of[WINDOW_LEAST] = of[WINDOW_GREATEST] = of[WINDOW_FIRST] = value;
        of[WINDOW_FIRST_AGO] = ago_ms;
    } else if (value < of[WINDOW_LAST]) {
        of[WINDOW_FELL] += of[WINDOW_LAST];
        of[WINDOW_RESETS]++;
    }
    of[WINDOW_COUNT]++;
    sum_add(sum, value);
    of[WINDOW_SUM] = isinf(sum->sum) ? sum->sum : sum->sum + sum->rest;
    // Of equal ones the younger, which tells zero from minus zero.
    if (isnan(of[WINDOW_LEAST]) || value <= of[WINDOW_LEAST]) of[WINDOW_LEAST] = value;
    if (isnan(of[WINDOW_GREATEST]) || value >= of[WINDOW_GREATEST]) of[WINDOW_GREATEST] = value;
    of[WINDOW_LAST] = value;
    of[WINDOW_LAST_AGO] = ago_ms;
    of[WINDOW_ENDED_AGO] = -1;
}

void tier_add_samples(TierWindows *windows, int64_t tier_ms, const SeriesColumns *columns) {
    TierSum sum = {0};
    array_clear(windows);
    for (size_t i = 0; i < columns->count; i++) {
        int64_t end_ms = window_end(columns->times[i], tier_ms);
        TierWindow *window = window_at(windows, end_ms);
        double ago_ms = (double)(end_ms - columns->times[i]);
        if (is_stale(columns->values[i])) {
            window->of[WINDOW_ENDED_AGO] = ago_ms;
        } else {
            add_value(window, columns->values[i], ago_ms, &sum);
        }
    }
}

void tier_add_histogram(TierWindows *windows, int64_t tier_ms, int64_t time_ms) {
    int64_t end_ms = window_end(time_ms, tier_ms);
    size_t at = windows->count;
    while (at > 0 && windows->at[at - 1].end_ms > end_ms) at--;
    if (at == 0 || windows->at[at - 1].end_ms != end_ms) {
        array_add(windows);
        memmove(&windows->at[at + 1], &windows->at[at],
                (windows->count - 1 - at) * sizeof *windows->at);
        windows->at[at] = (TierWindow){.end_ms = end_ms, .of = {[WINDOW_ENDED_AGO] = -1}};
        at++;
    }
    windows->at[at - 1].of[WINDOW_HISTOGRAMS]++;
}

// ---- Columns ----

static bool is_kept(const TierWindow *window, int kind) {
    if (kind == WINDOW_COUNT) return true;
    if (kind < COLUMNS_FULL) return window->of[WINDOW_COUNT] > 0;
    return kind == WINDOW_ENDED_AGO ? window->of[kind] >= 0 : window->of[kind] != 0;
}

bool tier_write(const TierWindows *windows, int64_t day_ms, BlockWriter *writer, Error *err) {
    assert(windows->count > 0 && windows->at[0].end_ms >= day_ms &&
           windows->at[windows->count - 1].end_ms < day_ms + TIER_COLUMN_MS);
    for (int kind = 0; kind < WINDOW_KINDS; kind++) {
        bool any = false;
        for (size_t i = 0; i < windows->count; i++) {
            const TierWindow *window = &windows->at[i];
            if (!is_kept(window, kind)) continue;
            if (!any) TRY(block_writer_cut(writer, err));
            any = true;
            int64_t time_ms = window->end_ms + kind * TIER_COLUMN_MS;
            TRY(block_writer_samples(writer, &time_ms, &window->of[kind], 1, err));
        }
    }
    return true;
}

// ---- Reading ----

void series_parts_free(SeriesParts *parts) {
    memory_free(parts->ends_ms);
    memory_free(parts->tiers_ms);
    for (size_t i = 0; i < WINDOW_KINDS; i++) memory_free(parts->of[i]);
    *parts = (SeriesParts){0};
}

void parts_reserve(SeriesParts *parts, size_t more) {
    size_t need = parts->count + more;
    if (need <= parts->capacity) return;
    size_t capacity = MAX(need, parts->capacity * 2);
    parts->ends_ms = memory_resize(parts->ends_ms, array_bytes(capacity, sizeof(int64_t)));
    parts->tiers_ms = memory_resize(parts->tiers_ms, array_bytes(capacity, sizeof(int64_t)));
    for (size_t i = 0; i < WINDOW_KINDS; i++)
        parts->of[i] = memory_resize(parts->of[i], array_bytes(capacity, sizeof(double)));
    parts->capacity = capacity;
}

static bool read_column(BlockCursor *cursor, uint32_t series, int kind, int64_t from_ms,
                        int64_t to_ms, SeriesColumns *column, Error *err) {
    int64_t shift_ms = kind * TIER_COLUMN_MS;
    column->count = column->histograms = 0;
    column->has_starts = false;
    return block_read(cursor, series, from_ms + shift_ms, to_ms + shift_ms, column, err);
}

// Puts a column beside those that are there: where it has something for a window of the others.
static bool join_column(const SeriesColumns *column, int kind, size_t first, SeriesParts *parts,
                        Error *err) {
    double *of = parts->of[kind];
    size_t at = 0;
    for (size_t i = first; i < parts->count; i++) {
        bool here =
            at < column->count && column->times[at] - kind * TIER_COLUMN_MS == parts->ends_ms[i];
        bool full = kind < COLUMNS_FULL && parts->of[WINDOW_COUNT][i] > 0;
        if (full && !here) break;
        of[i] = here ? column->values[at] : kind == WINDOW_ENDED_AGO ? -1 : 0;
        at += here;
    }
    return at == column->count ||
           error_set(err, ERROR_CORRUPT, "the columns of a tier do not belong together");
}

bool tier_read(BlockCursor *cursor, uint32_t series, int64_t day_ms, int64_t tier_ms,
               int64_t from_ms, int64_t to_ms, uint32_t wanted, SeriesColumns *column,
               SeriesParts *parts, Error *err) {
    size_t first = parts->count;
    from_ms = MAX(from_ms, day_ms);
    to_ms = MIN(to_ms, day_ms + TIER_DAY_MS);
    if (from_ms > to_ms) return true;
    TRY(read_column(cursor, series, WINDOW_COUNT, from_ms, to_ms, column, err));
    parts_reserve(parts, column->count);
    for (size_t i = 0; i < column->count; i++) {
        parts->ends_ms[parts->count] = column->times[i];
        parts->tiers_ms[parts->count] = tier_ms;
        parts->of[WINDOW_COUNT][parts->count++] = column->values[i];
    }
    wanted |= 1u << WINDOW_ENDED_AGO | 1u << WINDOW_HISTOGRAMS;
    for (int kind = WINDOW_COUNT + 1; kind < WINDOW_KINDS; kind++) {
        if ((wanted >> kind & 1) == 0) continue;
        TRY(read_column(cursor, series, kind, from_ms, to_ms, column, err) &&
            join_column(column, kind, first, parts, err));
    }
    return true;
}

bool tier_touched(DeletedSpans spans, uint32_t source, int64_t tier_ms, int64_t end_ms) {
    for (size_t i = 0; i < spans.count; i++) {
        const DeletedSpan *span = &spans.at[i];
        if (span->source == source && span->from_ms <= end_ms && span->to_ms > end_ms - tier_ms)
            return true;
    }
    return false;
}

void tier_drop(SeriesParts *parts, size_t first, DeletedSpans spans, uint32_t source) {
    size_t kept = first;
    for (size_t i = first; spans.count > 0 && i < parts->count; i++) {
        if (tier_touched(spans, source, parts->tiers_ms[i], parts->ends_ms[i])) continue;
        parts->ends_ms[kept] = parts->ends_ms[i];
        parts->tiers_ms[kept] = parts->tiers_ms[i];
        for (size_t kind = 0; kind < WINDOW_KINDS; kind++)
            parts->of[kind][kept] = parts->of[kind][i];
        kept++;
    }
    if (spans.count > 0) parts->count = kept;
}
