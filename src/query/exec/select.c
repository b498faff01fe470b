// Instant selectors: for each step the youngest sample not older than the lookback, unless it is a
// stale marker.

#include "query/exec/exec.h"

#include "base/assert.h"

typedef struct Select {
    Operator operator;
    SeriesView *view;  // NULL when what it reads was given to it
    SeriesCursor *cursor;
    Selection found;
    size_t at;
    SeriesColumns columns;
    bool tiered;                // the view has tiers
    SeriesParts parts;          // of them, where the series has any
    int64_t first_ms, step_ms;  // the moments looked at, moved by offset and @
    bool timestamps;            // give the times of the samples instead of their values
    bool starts;                // or when their counting began
    bool stats_only;            // of histograms only count and sum matter
    // Which sample each step takes (`count`: none), and the times for which that was found:
    // neighbours, which come from one scrape, share them.
    uint32_t *picks;
    SeriesColumns picked;
    bool fresh;  // they were found for `columns`, which `picked` becomes
} Select;

static void select_close(Operator *operator) {
    Select *select = (Select *)operator;
    series_columns_free(&select->columns);
    series_columns_free(&select->picked);
    series_parts_free(&select->parts);
    series_cursor_close(&select->cursor);
    series_view_close(&select->view);
}

static void find_picks(Select *select) {
    const SeriesColumns *columns = &select->columns;
    Steps steps = select->operator.steps;
    int64_t lookback_ms = select->operator.exec->lookback_ms;
    size_t behind = 0;  // samples [0, behind) are not younger than the moment
    for (size_t i = 0; i < steps.count; i++) {
        int64_t moment = select->first_ms + (int64_t)i * select->step_ms;
        while (behind < columns->count && columns->times[behind] <= moment) behind++;
        bool none = behind == 0 || columns->times[behind - 1] <= moment - lookback_ms;
        select->picks[i] = (uint32_t)(none ? columns->count : behind - 1);
    }
}

// True when any step has a value. A stale marker is ABSENT already.
static bool fill(Select *select, double *out) {
    const SeriesColumns *columns = &select->columns, *picked = &select->picked;
    size_t count = columns->count, steps = select->operator.steps.count;
    bool same = picked->count == count && count > 0 &&
                memcmp(picked->times, columns->times, count * sizeof *columns->times) == 0;
    if (!same) find_picks(select);
    bool any = false;
    for (size_t i = 0; i < steps; i++) {
        uint32_t pick = select->picks[i];
        out[i] = pick < count ? columns->values[pick] : ABSENT;
        any |= !is_absent(out[i]);
    }
    for (size_t i = 0; select->timestamps && i < steps; i++) {
        if (!is_absent(out[i])) out[i] = (double)columns->times[select->picks[i]] / 1000;
    }
    for (size_t i = 0; select->starts && i < steps; i++) {
        if (is_absent(out[i])) continue;
        out[i] = columns->has_starts ? (double)columns->starts[select->picks[i]] / 1000 : 0;
    }
    select->fresh = !same;
    return any;
}

// Before the next series is read: its times are compared with those that were found for last.
static void keep_picked(Select *select) {
    if (!select->fresh) return;
    SeriesColumns spare = select->picked;
    select->picked = select->columns;
    select->columns = spare;
    select->fresh = false;
}

// The same for `smoothed`: on the line between the samples around each moment; the last sample
// where none follows. Neither may be further away than the lookback. As in a range, stale markers
// are passed over.
static bool fill_smoothed(Select *select, double *out) {
    SeriesColumns *columns = &select->columns;
    int64_t lookback_ms = select->operator.exec->lookback_ms;
    size_t behind = 0, kept = 0;
    bool any = false;
    for (size_t i = 0; i < columns->count; i++) {
        if (is_stale(columns->values[i])) continue;
        columns->times[kept] = columns->times[i];
        columns->values[kept++] = columns->values[i];
    }
    columns->count = kept;
    for (size_t i = 0; i < select->operator.steps.count; i++) {
        int64_t moment = select->first_ms + (int64_t)i * select->step_ms;
        while (behind < kept && columns->times[behind] <= moment) behind++;
        out[i] = ABSENT;
        if (behind == 0 || columns->times[behind - 1] <= moment - lookback_ms) continue;
        int64_t before_ms = columns->times[behind - 1];
        double value = columns->values[behind - 1];
        if (before_ms < moment && behind < kept && columns->times[behind] <= moment + lookback_ms) {
            double share =
                (double)(moment - before_ms) / (double)(columns->times[behind] - before_ms);
            value += (columns->values[behind] - value) * share;
        }
        out[i] = select->timestamps ? (double)moment / 1000 : value;
        any = true;
    }
    return any;
}

// The histograms of a series over what `fill` made of its floats: at each step the younger one
// counts.
static bool fill_histograms(Select *select, const SeriesFound *found, int64_t from_ms,
                            int64_t to_ms, double *out, const Histogram ***histograms, Error *err) {
    const SeriesColumns *columns = &select->columns;
    Steps steps = select->operator.steps;
    Arena *arena = &select->operator.batch;
    int64_t lookback_ms = select->operator.exec->lookback_ms;
    StoredHistograms stored = {.exec = select->operator.exec,
                               .range = select->operator.expr->range,
                               .arena = arena,
                               .stats_only = select->stats_only};
    TRY(stored_histograms_read(&stored, select->cursor, found, from_ms, to_ms, err));
    *histograms = histogram_column_new(arena, steps);
    size_t behind = stored.first, floats = 0;
    for (size_t i = 0; i < steps.count; i++) {
        int64_t moment = select->first_ms + (int64_t)i * select->step_ms;
        while (behind < stored.count && stored.at[behind].time_ms <= moment) behind++;
        while (floats < columns->count && columns->times[floats] <= moment) floats++;
        if (behind == stored.first || stored.at[behind - 1].time_ms <= moment - lookback_ms)
            continue;
        int64_t time_ms = stored.at[behind - 1].time_ms;
        if (floats > 0 && columns->times[floats - 1] >= time_ms) continue;
        const Histogram *histogram = stored_histogram(&stored, behind - 1);
        TRY(exec_tick_histograms(select->operator.exec, i, err));
        out[i] = ABSENT;
        if (histogram == NULL || is_stale(histogram->sum)) continue;
        if (select->timestamps) out[i] = (double)time_ms / 1000;
        if (select->starts) out[i] = (double)histogram->start_ms / 1000;
        (*histograms)[i] = histogram;
    }
    return true;
}

// The same for `smoothed`, over what fill_smoothed made of the floats.
static bool smooth_histograms(Select *select, const SeriesFound *found, int64_t from_ms,
                              int64_t to_ms, double *out, const Histogram ***histograms,
                              Error *err) {
    const SeriesColumns *columns = &select->columns;
    Exec *exec = select->operator.exec;
    Steps steps = select->operator.steps;
    Arena *arena = &select->operator.batch;
    SourceRange range = select->operator.expr->range;
    StoredHistograms stored = {.exec = exec, .range = range, .arena = arena};
    TRY(stored_histograms_read(&stored, select->cursor, found, from_ms, to_ms, err));
    int64_t *times = arena_push_array_raw(arena, int64_t, stored.count);
    const Histogram **own = arena_push_array_raw(arena, const Histogram *, stored.count);
    size_t count = 0, floats_from = 0, floats_to = 0, from = 0, behind = 0, to = 0;
    for (size_t i = stored.first; i < stored.count; i++) {
        const Histogram *histogram = stored_histogram(&stored, i);
        if (histogram == NULL || is_stale(histogram->sum)) continue;
        times[count] = stored.at[i].time_ms;
        own[count++] = histogram;
    }
    *histograms = histogram_column_new(arena, steps);
    for (size_t i = 0; i < steps.count; i++) {
        int64_t moment = select->first_ms + (int64_t)i * select->step_ms;
        int64_t oldest = moment - exec->lookback_ms, youngest = moment + exec->lookback_ms;
        while (floats_to < columns->count && columns->times[floats_to] <= youngest) floats_to++;
        while (floats_from < floats_to && columns->times[floats_from] <= oldest) floats_from++;
        while (to < count && times[to] <= youngest) to++;
        while (from < to && times[from] <= oldest) from++;
        while (behind < count && times[behind] <= moment) behind++;
        if (from == to) continue;  // floats alone
        out[i] = ABSENT;
        if (floats_from < floats_to) {
            note_mixed_range(exec, range, found->labels);
            continue;
        }
        if (behind <= from) continue;  // none before
        const Histogram *value = own[behind - 1];
        if (times[behind - 1] < moment && behind < to) {
            double share =
                (double)(moment - times[behind - 1]) / (double)(times[behind] - times[behind - 1]);
            value = histogram_between(value, own[behind], share,
                                      value->reset_hint != HISTOGRAM_RESET_GAUGE, arena);
            if (value == NULL) note_mixed_schemas(exec, range, found->labels);
        }
        if (value != NULL && select->timestamps) out[i] = (double)moment / 1000;
        (*histograms)[i] = value;
    }
    return true;
}

static void count_looked_at(Select *select, size_t samples, const double *column,
                            const Histogram *const *histograms) {
    Operator *operator= & select->operator;
    exec_count_held(operator, samples);
    for (size_t i = 0; i < operator->steps.count; i++) {
        if (!is_absent(column[i]) || (histograms != NULL && histograms[i] != NULL))
            exec_count_step(operator, i, 1);
    }
}

// What a view with tiers has of a series.
static bool read_tiered(Select *select, const SeriesFound *found, int64_t from_ms, int64_t to_ms,
                        Error *err) {
    return tier_read_moments(&select->operator, select->cursor, found, from_ms, to_ms,
                             &select->parts, &select->columns, err);
}

static bool fill_tiered(Select *select, double *out) {
    bool any =
        tier_fill_moments(&select->parts, select->first_ms, select->step_ms, select->operator.steps,
                          select->operator.exec->lookback_ms, select->timestamps, out);
    for (size_t i = 0; select->starts && i < select->operator.steps.count; i++) {
        if (!is_absent(out[i])) out[i] = 0;
    }
    return any;
}

static bool select_next(Operator *operator, StepBatch * out, Error *err) {
    Select *select = (Select *)operator;
    Exec *exec = operator->exec;
    size_t rows = batch_rows(operator->steps);
    out->at = arena_push_array_raw(&operator->batch, StepSeries, rows);
    int64_t from_ms = select->first_ms - exec->lookback_ms + 1;
    int64_t to_ms = select->first_ms + (int64_t)(operator->steps.count - 1) * select->step_ms;
    bool smoothed = operator->expr->as.selector.extent == EXTENT_SMOOTHED && !select->starts;
    if (smoothed) to_ms += exec->lookback_ms;
    // One moment looks at one sample, whatever lies before it.
    bool one = operator->steps.count == 1 && !smoothed && !select->tiered;
    // The window before a moment may have begun before its lookback.
    if (select->tiered) from_ms -= series_tiers_ms[SERIES_TIERS - 1];
    double *column = NULL;
    while (out->count < rows && select->at < select->found.count) {
        if (select->at % 64 == 0) TRY(exec_tick(exec, err));
        const SeriesFound *found = &select->found.at[select->at];
        if (select->at % SERIES_AHEAD == 0 && !select->tiered)
            series_read_ahead(select->cursor, found, select->found.count - select->at,
                              one ? to_ms : from_ms);  // one moment mostly needs the tail alone
        select->at++;
        keep_picked(select);
        bool read =
            select->tiered ? read_tiered(select, found, from_ms, to_ms, err)
            : one ? series_read_newest(select->cursor, found, from_ms, to_ms, &select->columns, err)
                  : series_read(select->cursor, found, from_ms, to_ms, &select->columns, err);
        if (!read) return false;
        // Where there are histograms too, their times are compared with those of all floats.
        if (one && select->columns.histograms > 0)
            TRY(series_read(select->cursor, found, from_ms, to_ms, &select->columns, err));
        size_t samples =
            MAX(select->columns.count, select->parts.count) + select->columns.histograms;
        TRY(exec_count_samples(exec, samples, err));
        operator->counted.samples += samples;
        operator->extra_bytes =(int64_t)(select->columns.capacity * 16) +
            parts_bytes(&select->parts);
        if (column == NULL) column = column_new(&operator->batch, operator->steps);
        bool any = select->parts.count > 0 ? fill_tiered(select, column)
                   : smoothed              ? fill_smoothed(select, column)
                                           : fill(select, column);
        const Histogram **histograms = NULL;
        if (select->columns.histograms > 0) {
            TRY((smoothed ? smooth_histograms : fill_histograms)(select, found, from_ms, to_ms,
                                                                 column, &histograms, err));
            any = true;
        }
        if (exec->counts != NULL) count_looked_at(select, samples, column, histograms);
        if (!any) continue;
        out->at[out->count++] = (StepSeries){found->labels, false, true, column, histograms};
        column = NULL;
    }
    return true;
}

bool selector_one_name(const Expr *selector) {
    Matchers matchers = selector->as.selector.matchers;
    for (size_t i = 0; i < matchers.count; i++) {
        if (matchers.at[i].kind == MATCH_EQUAL && text_equal(matchers.at[i].name, LABEL_NAME))
            return true;
    }
    return false;
}

void selector_span(const Exec *exec, const Expr *selector, Steps steps, int64_t *from_ms,
                   int64_t *to_ms) {
    int64_t first_ms, step_ms, range_ms;
    range_windows(exec, selector, steps, &first_ms, &step_ms, &range_ms);
    Extent extent = selector->as.selector.extent;
    bool matrix = selector->type == VALUE_MATRIX;
    *from_ms = first_ms - (matrix ? range_ms : exec->lookback_ms) + 1;
    *to_ms = first_ms + (int64_t)(steps.count - 1) * step_ms;
    if (matrix && extent != EXTENT_PLAIN) *from_ms -= exec->lookback_ms;
    if (extent == EXTENT_SMOOTHED) *to_ms += exec->lookback_ms;
}

bool selection_find(Exec *exec, const Expr *selector, Steps steps, const Function *over,
                    const SeriesWanted *wanted, Arena *arena, SeriesView **view,
                    SeriesFoundList *out, bool *one_name, Error *err) {
    int64_t from_ms, to_ms;
    selector_span(exec, selector, steps, &from_ms, &to_ms);
    TRY(series_view_open(exec->store, from_ms, to_ms, view, err));
    series_view_meter(*view, &exec->meter);
    series_view_keep_rows(*view, exec->store);
    int64_t most_ms = tiers_most_ms(exec, selector, steps, over);
    bool tiered = series_view_add_tiers(*view, exec->store, most_ms);
    Texts damaged = series_view_warnings(*view);
    for (size_t i = 0; i < damaged.count; i++)
        *array_add(&exec->warnings) = text_copy(damaged.at[i], exec->arena);
    SeriesWanted asked = wanted == NULL ? (SeriesWanted){0} : *wanted;
    asked.series_max = exec_series_max(exec);
    Matchers matchers = selector->as.selector.matchers;
    TRY(tiered ? series_select_tiers(*view, matchers, asked.series_max, arena, out, err)
               : series_select_labels(*view, matchers, &asked, arena, out, err));
    exec->series += out->count;
    *one_name = selector_one_name(selector);
    return true;
}

bool select_open(Exec *exec, const Expr *expr, Steps steps, bool timestamps, Operator **out,
                 Error *err) {
    Select *select = operator_new(exec, Select, expr, steps, select_next);
    select->operator.close = select_close;
    select->timestamps = timestamps;
    select->stats_only = exec->stats_only;
    select->picks = arena_push_array_raw(&select->operator.keep, uint32_t, steps.count);
    int64_t range_ms;
    range_windows(exec, expr, steps, &select->first_ms, &select->step_ms, &range_ms);
    if (exec->given != NULL) {
        select->found = *exec->given;
        select->operator.one_name = exec->given->one_name;
    } else {
        SeriesFoundList found;
        TRY(selection_find(exec, expr, steps, NULL, NULL, &select->operator.keep, &select->view,
                           &found, &select->operator.one_name, err));
        select->found =
            (Selection){select->view, found.at, found.count, select->operator.one_name };
    }
    select->cursor = series_cursor_open(select->found.view);
    select->tiered = series_view_has_tiers(select->found.view);
    *out = &select->operator;
    return true;
}

void select_give_starts(Operator *operator) {
    Select *select = (Select *)operator;
    select->starts = select->columns.wants_starts = select->picked.wants_starts = true;
}
