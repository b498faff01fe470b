// Matrix expressions as a source of whole series: read from the store, or made by a subquery.

#include "query/exec/exec.h"

#include "base/assert.h"

enum {
    SUBQUERY_STEP_MS = 60000,
    SUBQUERY_POINTS_MAX = 1 << 24,
    SUBQUERY_POINT_BYTES = 32,
    GROUP_SAMPLES = 8192,  // of the series that are read together, so that they stay in the cache
};

struct RangeSource {
    Operator operator;  // for its arenas and its close; never pulled
    // Of a selector:
    SeriesView *view;  // NULL when what it reads was given to it
    SeriesCursor *cursor;
    Selection found;
    size_t at;  // the next one to read
    // Read together, from series `group_at` on: their misses overlap, and clocks are read once.
    SeriesColumns group[SERIES_AHEAD];
    SeriesParts parts[SERIES_AHEAD];  // of them, where the view has tiers
    bool tiered;
    const Function *over;
    size_t group_at, group_count, group_given;
    int64_t from_ms, to_ms;
    SeriesWindows windows;  // over them, when not every sample is needed
    // Of a subquery:
    Operator *inner;
    StepBatch batch;
    size_t row;
    int64_t *times;
    double *values;
    // Of both: the native histograms of the series, for the rest of its turn.
    int64_t *histogram_times;
    const Histogram **histograms;
    size_t histogram_count;
    bool stats_only;  // of histograms only count and sum matter
};

static void source_close(Operator *operator) {
    RangeSource *source = (RangeSource *)operator;
    for (size_t i = 0; i < COUNT(source->group); i++) {
        series_columns_free(&source->group[i]);
        series_parts_free(&source->parts[i]);
    }
    series_cursor_close(&source->cursor);
    series_view_close(&source->view);
}

void range_windows(const Exec *exec, const Expr *matrix, Steps steps, int64_t *first_end_ms,
                   int64_t *step_ms, int64_t *range_ms) {
    *range_ms =
        matrix->kind == EXPR_SUBQUERY ? matrix->as.subquery.range_ms : matrix->as.selector.range_ms;
    *step_ms = matrix->at == AT_NONE ? steps.step_ms : 0;
    int64_t moment = steps.start_ms;
    if (matrix->at == AT_TIME) moment = matrix->at_ms;
    if (matrix->at == AT_START) moment = exec->steps.start_ms;
    if (matrix->at == AT_END) moment = exec->request->end_ms;
    *first_end_ms = moment - matrix->offset_ms;
}

static bool open_selector(RangeSource *source, const Expr *matrix, Error *err) {
    Exec *exec = source->operator.exec;
    if (exec->given != NULL) {
        source->found = *exec->given;
        source->operator.one_name = exec->given->one_name;
    } else {
        SeriesFoundList found;
        TRY(selection_find(exec, matrix, source->operator.steps, source->over, NULL,
                           &source->operator.keep, &source->view, &found,
                           &source->operator.one_name, err));
        source->found =
            (Selection){source->view, found.at, found.count, source->operator.one_name };
    }
    source->cursor = series_cursor_open(source->found.view);
    source->tiered = series_view_has_tiers(source->found.view);
    return true;
}

// Steps of a subquery are multiples of its step, whatever the outer query's are: the first one
// behind `from_ms`.
static bool open_subquery(RangeSource *source, const Expr *matrix, Error *err) {
    Exec *exec = source->operator.exec;
    int64_t step_ms =
        matrix->as.subquery.step_ms == 0 ? SUBQUERY_STEP_MS : matrix->as.subquery.step_ms;
    int64_t before_ms = source->from_ms - 1;
    int64_t first_ms = before_ms / step_ms * step_ms;
    if (first_ms <= before_ms) first_ms += step_ms;
    if (first_ms > source->to_ms) return true;  // no step falls inside: nothing
    int64_t count = (source->to_ms - first_ms) / step_ms + 1;
    if (count > SUBQUERY_POINTS_MAX) {
        return error_set(err, ERROR_TOO_COSTLY,
                         "a subquery would take %lld steps, more than %d; make its step longer",
                         (long long)count, SUBQUERY_POINTS_MAX);
    }
    // Its times, its values and the column they come from: no batch is small enough when these
    // alone are too many.
    int64_t memory_max = exec_memory_max(exec);
    if (memory_max > 0 && count > memory_max / SUBQUERY_POINT_BYTES) {
        return error_set(err, ERROR_TOO_COSTLY,
                         "a subquery would take %lld steps, more than its limit of memory holds "
                         "(%lld bytes); make its step longer",
                         (long long)count, (long long)memory_max);
    }
    Steps steps = {first_ms, step_ms, (size_t)count};
    bool before = exec->stats_only, outside = exec->in_subquery;
    exec->stats_only = false;  // resets have to be found between its steps, by buckets
    exec->in_subquery = true;
    TRY(operator_open(exec, matrix->as.subquery.expr, steps, &source->inner, err));
    exec->stats_only = before;
    exec->in_subquery = outside;
    source->operator.one_name = source->inner->one_name;
    source->times = arena_push_array_raw(&source->operator.keep, int64_t, steps.count);
    source->values = arena_push_array_raw(&source->operator.keep, double, steps.count);
    return true;
}

static bool source_open(Exec *exec, const Expr *matrix, Steps steps, const Function *over,
                        RangeSource **out, Error *err) {
    RangeSource *source = operator_new(exec, RangeSource, matrix, steps, NULL);
    source->stats_only = exec->stats_only;
    source->over = over;
    source->operator.close = source_close;
    int64_t first_end_ms, step_ms, range_ms;
    range_windows(exec, matrix, steps, &first_end_ms, &step_ms, &range_ms);
    source->windows = (SeriesWindows){first_end_ms, step_ms, range_ms, steps.count, SERIES_EVERY};
    source->from_ms = first_end_ms - range_ms + 1;
    source->to_ms = first_end_ms + (int64_t)(steps.count - 1) * step_ms;
    Extent extent = matrix_extent(matrix);
    if (extent != EXTENT_PLAIN) source->from_ms -= exec->lookback_ms;
    if (extent == EXTENT_SMOOTHED) source->to_ms += exec->lookback_ms;
    *out = source;
    return matrix->kind == EXPR_SUBQUERY ? open_subquery(source, matrix, err)
                                         : open_selector(source, matrix, err);
}

bool range_source_open(Exec *exec, const Expr *matrix, Steps steps, const Function *over,
                       RangeSource **out, Error *err) {
    matrix = expr_inner(matrix);
    PlanOpening opening;
    plan_open(exec, matrix, &opening);
    bool opened = source_open(exec, matrix, steps, over, out, err);
    plan_opened(exec, &opening, opened ? &(*out)->operator: NULL);
    return opened;
}

bool range_source_one_name(const RangeSource *source) {
    return source->operator.one_name;
}

// Decodes the histograms of a series onto the arena of its turn: neither stale markers nor one that
// shares its time with a float.
static bool read_histograms(RangeSource *source, const SeriesFound *found,
                            const SeriesColumns *columns, Error *err) {
    Exec *exec = source->operator.exec;
    Arena *arena = &source->operator.batch;
    StoredHistograms stored = {.exec = exec,
                               .range = source->operator.expr->range,
                               .arena = arena,
                               .stats_only = source->stats_only};
    TRY(stored_histograms_read(&stored, source->cursor, found, source->from_ms, source->to_ms,
                               err));
    source->histogram_times = arena_push_array_raw(arena, int64_t, stored.count);
    source->histograms = arena_push_array_raw(arena, const Histogram *, stored.count);
    size_t floats = 0;
    for (size_t i = stored.first; i < stored.count; i++) {
        int64_t time_ms = stored.at[i].time_ms;
        while (floats < columns->count && columns->times[floats] < time_ms) floats++;
        if (floats < columns->count && columns->times[floats] == time_ms) continue;
        const Histogram *histogram = stored_histogram(&stored, i);
        if (histogram == NULL || is_stale(histogram->sum)) continue;
        source->histogram_times[source->histogram_count] = time_ms;
        source->histograms[source->histogram_count++] = histogram;
        TRY(exec_tick_histograms(exec, i, err));
    }
    return true;
}

void range_source_want_starts(RangeSource *source) {
    for (size_t i = 0; i < COUNT(source->group); i++) source->group[i].wants_starts = true;
}

void range_source_wish(RangeSource *source, SeriesWish wish) {
    // Samples that are told step by step are all looked at.
    if (!source->operator.exec->request->count_steps) source->windows.wish = wish;
}

static bool read_samples(RangeSource *source, const SeriesFound *found, SeriesColumns *columns,
                         SeriesParts *parts, Error *err) {
    if (source->tiered)
        return tier_read_range(&source->operator, source->cursor, found, source->over,
                               source->from_ms, source->to_ms, parts, columns, err);
    if (source->windows.wish != SERIES_EVERY)
        return series_read_windows(source->cursor, found, &source->windows, columns, err);
    return series_read(source->cursor, found, source->from_ms, source->to_ms, columns, err);
}

static void drop_stale(SeriesColumns *columns) {
    bool any = false;
    for (size_t i = 0; i < columns->count; i++) any |= is_stale(columns->values[i]);
    if (likely(!any)) return;
    size_t kept = 0;
    for (size_t i = 0; i < columns->count; i++) {
        if (is_stale(columns->values[i])) continue;
        if (columns->has_starts) columns->starts[kept] = columns->starts[i];
        columns->times[kept] = columns->times[i];
        columns->values[kept++] = columns->values[i];
    }
    columns->count = kept;
}

// Reads the samples of the next few series.
static bool read_group(RangeSource *source, Error *err) {
    Exec *exec = source->operator.exec;
    size_t longest = 0, capacity = 0;
    for (size_t i = 0; i < source->group_count; i++) longest = MAX(longest, source->group[i].count);
    size_t fit = longest == 0 ? COUNT(source->group) : GROUP_SAMPLES / longest + 1;
    size_t left = source->found.count - source->at;
    size_t wanted = MIN(left, COUNT(source->group));
    wanted = MIN(wanted, fit);
    source->group_at = source->at;
    source->group_count = source->group_given = 0;
    TRY(exec_tick(exec, err));
    const SeriesFound *found = &source->found.at[source->at];
    if (!source->tiered) series_read_ahead(source->cursor, found, wanted, source->from_ms);
    for (size_t i = 0; i < wanted; i++) {
        SeriesColumns *columns = &source->group[i];
        TRY(read_samples(source, &found[i], columns, &source->parts[i], err));
        size_t samples = columns->count + columns->histograms;
        TRY(exec_count_samples(exec, samples, err));
        source->operator.counted.samples += samples;
        if (source->parts[i].count == 0) drop_stale(columns);
        source->at++;
        source->group_count++;
        // Nobody knew how long they are.
        if (columns->count > (size_t)GROUP_SAMPLES) break;
    }
    for (size_t i = 0; i < COUNT(source->group); i++)
        capacity += source->group[i].capacity * 2 + source->group[i].starts_capacity;
    source->operator.extra_bytes =(int64_t)(capacity * 8);
    for (size_t i = 0; i < COUNT(source->parts) && source->tiered; i++)
        source->operator.extra_bytes += parts_bytes(&source->parts[i]);
    return true;
}

static bool has_same_times(const SeriesColumns *a, const SeriesColumns *b) {
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->times, b->times, a->count * sizeof *a->times) == 0);
}

static bool next_selected(RangeSource *source, RangeSeries *out, bool *more, Error *err) {
    for (*more = true;;) {
        if (source->group_given == source->group_count) {
            *more = source->at < source->found.count;
            if (!*more) return true;
            TRY(read_group(source, err));
        }
        size_t i = source->group_given++;
        const SeriesColumns *columns = &source->group[i];
        const SeriesFound *found = &source->found.at[source->group_at + i];
        source->histogram_count = 0;
        if (columns->histograms > 0) {
            arena_clear(&source->operator.batch);
            TRY(read_histograms(source, found, columns, err));
        }
        if (columns->count == 0 && source->histogram_count == 0) continue;
        const SeriesParts *parts = source->parts[i].count > 0 ? &source->parts[i] : NULL;
        // Windows share neither times nor reaches with anybody.
        bool same_times = i > 0 && parts == NULL && source->parts[i - 1].count == 0 &&
                          has_same_times(columns, columns - 1);
        *out = (RangeSeries){found->labels,
                             false,
                             same_times,
                             true,
                             columns->times,
                             columns->values,
                             columns->count,
                             source->histogram_times,
                             source->histograms,
                             source->histogram_count,
                             columns->has_starts ? columns->starts : NULL,
                             parts};
        return true;
    }
}

// A hint speaks of the sample before, which the steps of a subquery may have left out, or of the
// reset itself, which they may repeat. So does a start.
static const Histogram *without_hint(const Histogram *histogram, Arena *arena) {
    bool hinted =
        histogram->reset_hint == HISTOGRAM_RESET_YES || histogram->reset_hint == HISTOGRAM_RESET_NO;
    if (!hinted && histogram->start_ms == 0) return histogram;
    Histogram *copy = arena_push(arena, Histogram);
    *copy = *histogram;
    if (hinted) copy->reset_hint = HISTOGRAM_RESET_UNKNOWN;
    copy->start_ms = 0;
    return copy;
}

static void take_histograms(RangeSource *source, const StepSeries *series) {
    Steps steps = source->inner->steps;
    arena_clear(&source->operator.batch);
    const Histogram *before = NULL, *made = NULL;
    if (source->histograms == NULL) {
        source->histograms = histogram_column_new(&source->operator.keep, steps);
        source->histogram_times =
            arena_push_array_raw(&source->operator.keep, int64_t, steps.count);
    }
    source->histogram_count = 0;
    for (size_t i = 0; i < steps.count; i++) {
        if (series->histograms[i] == NULL) continue;
        source->histogram_times[source->histogram_count] = step_ms_at(steps, i);
        if (series->histograms[i] != before) {
            before = series->histograms[i];
            made = without_hint(before, &source->operator.batch);
        }
        source->histograms[source->histogram_count++] = made;
    }
}

static bool next_of_subquery(RangeSource *source, RangeSeries *out, bool *more, Error *err) {
    *more = false;
    if (source->inner == NULL) return true;
    if (source->row == source->batch.count) {
        TRY(operator_next(source->inner, &source->batch, err));
        source->row = 0;
        if (source->batch.count == 0) {
            source->inner = NULL;
            return true;
        }
    }
    const StepSeries *series = &source->batch.at[source->row++];
    size_t kept = 0;
    for (size_t i = 0; i < source->inner->steps.count; i++) {
        if (is_absent(series->values[i])) continue;
        source->times[kept] = step_ms_at(source->inner->steps, i);
        source->values[kept++] = series->values[i];
    }
    if (series->histograms != NULL) take_histograms(source, series);
    *out = (RangeSeries){series->labels,
                         series->drop_name,
                         false,
                         false,
                         source->times,
                         source->values,
                         kept,
                         source->histogram_times,
                         source->histograms,
                         series->histograms == NULL ? 0 : source->histogram_count,
                         NULL,
                         NULL};
    *more = true;
    return true;
}

static bool source_next(RangeSource *source, RangeSeries *out, bool *more, Error *err) {
    return source->operator.expr->kind == EXPR_SUBQUERY ? next_of_subquery(source, out, more, err)
                                                        : next_selected(source, out, more, err);
}

// Of these times how many lie in (from, to]; both rise from call to call.
typedef struct Between {
    size_t from, to;
} Between;
static size_t between(Between *at, const int64_t *times, size_t count, int64_t from_ms,
                      int64_t to_ms) {
    while (at->to < count && times[at->to] <= to_ms) at->to++;
    while (at->from < at->to && times[at->from] <= from_ms) at->from++;
    return at->to - at->from;
}

static void count_looked_at(RangeSource *source, const RangeSeries *series) {
    Operator *operator= & source->operator;
    Exec *exec = operator->exec;
    int64_t end_ms, step_ms, range_ms;
    Between floats = {0}, histograms = {0};
    range_windows(exec, operator->expr, operator->steps, &end_ms, &step_ms, &range_ms);
    // Of a group the series itself is one.
    uint64_t held = series->histogram_count + (source->group_count == 0 ? series->count : 0);
    for (size_t i = 0; i < source->group_count; i++) held += source->group[i].count;
    exec_count_held(operator, held);
    for (size_t i = 0; i < operator->steps.count; i++, end_ms += step_ms) {
        size_t inside = between(&floats, series->times, series->count, end_ms - range_ms, end_ms) +
                        between(&histograms, series->histogram_times, series->histogram_count,
                                end_ms - range_ms, end_ms);
        if (inside > 0) exec_count_step(operator, i, inside);
    }
}

static bool counted_next(RangeSource *source, RangeSeries *out, bool *more, Error *err) {
    TRY(source_next(source, out, more, err));
    if (source->operator.exec->counts != NULL && * more) count_looked_at(source, out);
    return true;
}

bool range_source_next(RangeSource *source, RangeSeries *out, bool *more, Error *err) {
    Counted *counted = &source->operator.counted;
    // What is read already costs less than looking at the clock.
    size_t given = source->group_given;
    bool ready = given < source->group_count && source->group[given].count > 0 &&
                 source->group[given].histograms == 0;
    bool went;
    if (likely(source->operator.node == NULL || ready)) {
        went = counted_next(source, out, more, err);
        if (source->operator.node == NULL) return went;
    } else {
        Stretch stretch;
        stretch_begin(&stretch, source->operator.exec->request->clock);
        went = counted_next(source, out, more, err);
        counted->own_ns += stretch_end(&stretch);
        counted->batches++;
        operator_count_memory(&source->operator);
    }
    if (!went || !*more) return went;
    counted->series++;
    counted->points += out->count;
    return true;
}
