// What may be kept, and answers put together from what was kept and what is computed now.

#include "query/cache/cache.h"

#include "base/limits.h"
#include "model/sample.h"
#include "query/cache/keep.h"

enum { SHARE_OF_ONE = 8, GROWTH_MAX = 4 };  // an entry may take 1/8 of the cache

// ---- What may be kept ----

static bool function_keeps(FunctionId id) {
    switch ((int)id) {
        case FUNCTION_START:
        case FUNCTION_END:
        case FUNCTION_RANGE:
        case FUNCTION_INFO:
        case FUNCTION_HISTOGRAM_QUANTILES:  // refuses a quantile that changes from step to step
            return false;
        default:
            return true;
    }
}

static bool moves_back_only(const Expr *expr) {
    return expr->at == AT_NONE && expr->offset_ms >= 0 && expr->offset_given == NULL;
}

// Does each step depend on its own time, and on samples at or before it, alone?
static bool keeps(const Expr *expr) {
    if (expr == NULL) return true;
    switch (expr->kind) {
        case EXPR_NUMBER:
        case EXPR_STRING:
            return true;
        case EXPR_PAREN:
            return keeps(expr->as.paren);
        case EXPR_UNARY:
            return keeps(expr->as.unary.expr);
        case EXPR_BINARY:
            return keeps(expr->as.binary.left) && keeps(expr->as.binary.right);
        case EXPR_AGGREGATE:
            return keeps(expr->as.aggregate.expr) && keeps(expr->as.aggregate.param);
        case EXPR_SUBQUERY:
            return moves_back_only(expr) && expr->as.subquery.range_given == NULL &&
                   expr->as.subquery.step_given == NULL && keeps(expr->as.subquery.expr);
        case EXPR_SELECTOR:
            return moves_back_only(expr) && expr->as.selector.range_given == NULL &&
                   expr->as.selector.extent == EXTENT_PLAIN;
        case EXPR_CALL:
            if (!function_keeps(expr->as.call.function->id)) return false;
            for (size_t i = 0; i < expr->as.call.arg_count; i++) {
                if (!keeps(expr->as.call.args[i])) return false;
            }
            return true;
    }
    return false;
}

// The key of a query that may be kept; false where none may.
static bool key_of(SeriesStore *store, const QueryRequest *request, size_t count, Arena *arena,
                   Text *out) {
    int64_t points_max =
        request->limits.points_max > 0 ? request->limits.points_max : LIMIT_QUERY_POINTS;
    if ((int64_t)count - 1 > points_max) return false;
    AUTO(promql_close) Promql promql = {0};
    AUTO(builder_free) Builder key = {0};
    Error err;
    if (!promql_parse(request->text, arena, &promql, NULL, &err)) return false;
    if (promql.root->type != VALUE_VECTOR || !keeps(promql.root)) return false;
    int64_t phase = request->start_ms % request->step_ms;
    if (phase < 0) phase += request->step_ms;
    builder_addf(&key, "%llu %lld %lld %lld %d %d %d ", (unsigned long long)series_identity(store),
                 (long long)request->step_ms, (long long)phase, (long long)request->lookback_ms,
                 request->delayed_names, request->stable_only, request->starts);
    promql_print(promql.root, &key);
    *out = text_copy(builder_text(&key), arena);
    return true;
}

// ---- Putting together ----

// What is asked, and how much of it an entry has.
typedef struct Plan {
    int64_t start_ms, step_ms;
    size_t count;
    const Kept *kept;  // NULL: nothing
    size_t from;       // the step of the entry at which the answer begins
    size_t have;       // steps of the answer that the entry has
} Plan;

// The steps of an entry that no change since then concerns.
static size_t steps_valid(SeriesStore *store, const Kept *kept, int64_t step_ms) {
    int64_t changed_ms = series_changed_since(store, kept->version);
    if (changed_ms <= kept->start_ms) return 0;
    uint64_t before = ((uint64_t)changed_ms - 1 - (uint64_t)kept->start_ms) / (uint64_t)step_ms + 1;
    return before < kept->steps ? (size_t)before : kept->steps;
}

static void plan_use(Plan *plan, SeriesStore *store, const Kept *kept) {
    if (kept == NULL || plan->start_ms < kept->start_ms) return;
    size_t valid = steps_valid(store, kept, plan->step_ms);
    uint64_t from = ((uint64_t)plan->start_ms - (uint64_t)kept->start_ms) / (uint64_t)plan->step_ms;
    if (from >= valid) return;
    plan->kept = kept;
    plan->from = (size_t)from;
    plan->have = MIN(valid - plan->from, plan->count);
}

// A series of the answer while it is put together: its row in the entry and in the tail.
typedef struct Row {
    Labels labels;
    const double *kept;       // all steps of the entry; NULL: not in it
    const QuerySeries *tail;  // NULL: not in it
} Row;
typedef ARRAY(Row) Rows;

static void rows_unite(const Plan *plan, const QueryResult *tail, Arena *arena, Rows *out) {
    size_t a = 0, kept_count = plan->kept == NULL ? 0 : plan->kept->series_count;
    for (size_t b = 0; a < kept_count || b < tail->count;) {
        int order = a == kept_count ? 1
                    : b == tail->count
                        ? -1
                        : labels_compare(plan->kept->series[a].labels, tail->series[b].labels);
        Row *row = array_add_on(arena, out);
        *row = (Row){0};
        if (order >= 0) {
            row->labels = tail->series[b].labels;
            row->tail = &tail->series[b++];
        }
        if (order <= 0) {
            row->labels = plan->kept->series[a].labels;
            row->kept = plan->kept->series[a++].values;
        }
    }
}

// `count` steps of a row, the first `kept_count` from the entry at `from`, the others from the
// tail.
static void row_fill(const Row *row, size_t from, size_t kept_count, size_t count, int64_t start_ms,
                     int64_t step_ms, double *out) {
    size_t i = 0;
    for (; i < kept_count; i++) out[i] = row->kept == NULL ? stale_nan() : row->kept[from + i];
    for (; i < count; i++) out[i] = stale_nan();
    for (size_t j = 0; row->tail != NULL && j < row->tail->count; j++) {
        uint64_t step = ((uint64_t)row->tail->times[j] - (uint64_t)start_ms) / (uint64_t)step_ms;
        if (step < count) out[step] = row->tail->values[j];
    }
}

// The points of a column, drawn together in place.
static QuerySeries points_of(Labels labels, double *values, const int64_t *times, size_t count,
                             Arena *arena) {
    size_t missing = 0;
    for (size_t i = 0; i < count; i++) missing += is_stale(values[i]);
    QuerySeries series = {
        .labels = labels, .times = times, .values = values, .count = count - missing};
    if (missing == 0) return series;
    int64_t *own = arena_push_array_raw(arena, int64_t, series.count);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_stale(values[i])) continue;
        own[at] = times[i];
        values[at++] = values[i];
    }
    series.times = own;
    return series;
}

static void answer(const Plan *plan, const Rows *rows, Arena *arena, QueryResult *out) {
    int64_t *times = arena_push_array_raw(arena, int64_t, plan->count);
    for (size_t i = 0; i < plan->count; i++) times[i] = plan->start_ms + (int64_t)i * plan->step_ms;
    out->type = VALUE_MATRIX;
    out->series = arena_push_array(arena, QuerySeries, rows->count);
    out->count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        double *column = arena_push_array_raw(arena, double, plan->count);
        row_fill(&rows->at[i], plan->from, plan->have, plan->count, plan->start_ms, plan->step_ms,
                 column);
        // The entry may go before the answer is written.
        Labels labels = {bytes_copy(rows->at[i].labels.wire, arena)};
        QuerySeries series = points_of(labels, column, times, plan->count, arena);
        if (series.count > 0) out->series[out->count++] = series;
    }
}

// Annotations that are no warnings: those of the entry, and those of the tail that are others.
static Texts infos_unite(const Plan *plan, Texts tail, Arena *arena) {
    Texts before = plan->have > 0 ? plan->kept->infos : (Texts){0};
    Text *all = arena_push_array(arena, Text, before.count + tail.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < before.count; i++) all[count++] = text_copy(before.at[i], arena);
    for (size_t i = 0; i < tail.count; i++) {
        bool known = false;
        for (size_t j = 0; j < before.count; j++) known |= text_equal(before.at[j], tail.at[i]);
        if (!known) all[count++] = text_copy(tail.at[i], arena);
    }
    return (Texts){all, count};
}

// Keeps what is now known up to `until_ms`: also the steps of the entry in front of the answer,
// unless that makes much more than what was asked.
static void keep(QueryCache *cache, Text key, uint64_t version, const Plan *plan, const Rows *rows,
                 Texts infos, int64_t until_ms) {
    size_t front = plan->have > 0 && plan->from + plan->count <= GROWTH_MAX * plan->count &&
                           plan->from + plan->count <= (size_t)LIMIT_QUERY_POINTS
                       ? plan->from
                       : 0;
    int64_t start_ms = plan->start_ms - (int64_t)front * plan->step_ms;
    if (until_ms < plan->start_ms) return;
    uint64_t settled =
        ((uint64_t)until_ms - (uint64_t)plan->start_ms) / (uint64_t)plan->step_ms + 1;
    size_t steps = front + (size_t)MIN(settled, (uint64_t)plan->count);
    int64_t bytes = 0;
    for (size_t i = 0; i < rows->count; i++)
        bytes += (int64_t)(steps * sizeof(double) + rows->at[i].labels.wire.len + 64);
    if (bytes > keep_bytes_max(cache) / SHARE_OF_ONE) return;
    Kept *kept = kept_new(key);
    kept->version = version;
    kept->start_ms = start_ms;
    kept->steps = steps;
    Text *notes = arena_push_array(&kept->arena, Text, infos.count + 1);
    for (size_t i = 0; i < infos.count; i++) notes[i] = text_copy(infos.at[i], &kept->arena);
    kept->infos = (Texts){notes, infos.count};
    kept->series = arena_push_array(&kept->arena, KeptSeries, rows->count);
    for (size_t i = 0; i < rows->count; i++) {
        double *values = arena_push_array_raw(&kept->arena, double, steps);
        row_fill(&rows->at[i], plan->from - front, MIN(front + plan->have, steps), steps, start_ms,
                 plan->step_ms, values);
        kept->series[kept->series_count++] =
            (KeptSeries){{bytes_copy(rows->at[i].labels.wire, &kept->arena)}, values};
    }
    keep_put(cache, &kept);
}

static bool has_histograms(const QueryResult *result) {
    for (size_t i = 0; i < result->count; i++) {
        if (result->series[i].histograms != NULL) return true;
    }
    return false;
}

// The tail has what an entry cannot hold: then all is computed at once, as if there were no cache.
static bool run_tail(QueryCache *cache, SeriesStore *store, const QueryRequest *request, Text key,
                     Arena *arena, QueryResult *out, SourceRange *where, Error *err) {
    Clock *clock = request->clock;
    int64_t last_ms = request->start_ms +
                      (request->end_ms - request->start_ms) / request->step_ms * request->step_ms;
    int64_t until_ms = MIN(last_ms, clock->wall_ms(clock) - CACHE_MARGIN_MS);
    // In this order: what changes from here on is noted, then the entry is judged, then data is
    // read.
    uint64_t version = series_watch_changes(store, until_ms);
    AUTO(kept_unref) Kept *kept = keep_find(cache, key);
    Plan plan = {.start_ms = request->start_ms,
                 .step_ms = request->step_ms,
                 .count = (size_t)((last_ms - request->start_ms) / request->step_ms) + 1};
    plan_use(&plan, store, kept);
    keep_count(cache, plan.have, plan.count);
    QueryRequest rest = *request;
    rest.start_ms += (int64_t)plan.have * plan.step_ms;
    QueryResult tail = {0};
    if (plan.have < plan.count) TRY(query_run(store, &rest, arena, &tail, where, err));
    if (plan.have > 0 && has_histograms(&tail))
        return query_run(store, request, arena, out, where, err);
    Rows rows = {0};
    rows_unite(&plan, &tail, arena, &rows);
    tail.infos = infos_unite(&plan, tail.infos, arena);
    if (plan.have < plan.count && tail.warnings.count == 0 && !has_histograms(&tail))
        keep(cache, key, version, &plan, &rows, tail.infos, until_ms);
    *out = tail;
    if (plan.have > 0) answer(&plan, &rows, arena, out);
    return true;
}

bool query_cache_run(QueryCache *cache, SeriesStore *store, const QueryRequest *request,
                     Arena *arena, QueryResult *out, SourceRange *where, Error *err) {
    const int64_t time_max = INT64_MAX / 4;
    bool may = cache != NULL && store != NULL && request->clock != NULL && request->step_ms > 0 &&
               request->start_ms <= request->end_ms && request->start_ms >= -time_max &&
               request->end_ms <= time_max && keep_bytes_max(cache) > 0;
    Text key;
    if (!may || !key_of(store, request,
                        (size_t)((request->end_ms - request->start_ms) / request->step_ms) + 1,
                        arena, &key))
        return query_run(store, request, arena, out, where, err);
    if (where != NULL) *where = (SourceRange){0, 0};
    return run_tail(cache, store, request, key, arena, out, where, err);
}
