// What may be kept, and answers put together from what was kept and what is computed now.

#include "query/cache/cache.h"

#include "base/limits.h"
#include "codec/json.h"
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
    builder_addf(&key, "%llu %lld %lld %lld %d %d %d %lld ",
                 (unsigned long long)series_identity(store), (long long)request->step_ms,
                 (long long)phase, (long long)request->lookback_ms, request->delayed_names,
                 request->stable_only, request->starts, (long long)request->max_resolution_ms);
    promql_print(promql.root, &key);
    *out = text_copy(builder_text(&key), arena);
    return true;
}

// ---- Putting together ----

// What is asked, and how much of it an entry has.
typedef struct Plan {
    int64_t start_ms, step_ms;
    size_t count;
    Kept *kept;   // NULL: nothing; its own reference
    size_t from;  // the step of the entry at which the answer begins
    size_t have;  // steps of the answer that the entry has
} Plan;

// The steps of an entry that no change since then concerns.
static size_t steps_valid(SeriesStore *store, const Kept *kept, int64_t step_ms) {
    int64_t changed_ms = series_changed_since(store, kept->version);
    if (changed_ms <= kept->start_ms) return 0;
    uint64_t before = ((uint64_t)changed_ms - 1 - (uint64_t)kept->start_ms) / (uint64_t)step_ms + 1;
    return before < kept->steps ? (size_t)before : kept->steps;
}

static void plan_end(Plan *plan) {
    kept_unref(&plan->kept);
}

// Takes the entry over where it has something.
static void plan_use(Plan *plan, SeriesStore *store, Kept **handle) {
    const Kept *kept = *handle;
    if (kept == NULL || plan->start_ms < kept->start_ms) return;
    size_t valid = steps_valid(store, kept, plan->step_ms);
    uint64_t from = ((uint64_t)plan->start_ms - (uint64_t)kept->start_ms) / (uint64_t)plan->step_ms;
    if (from >= valid) return;
    plan->kept = TAKE(*handle);
    plan->from = (size_t)from;
    plan->have = MIN(valid - plan->from, plan->count);
}

// A series of the answer while it is put together: as the entry and as the tail have it.
typedef struct Row {
    const KeptSeries *kept;   // NULL: not in it
    const QuerySeries *tail;  // NULL: not in it
} Row;
typedef ARRAY(Row) Rows;

static Labels labels_of(const Row *row) {
    return row->kept != NULL ? row->kept->labels : row->tail->labels;
}

static void rows_unite(const Plan *plan, const QueryResult *tail, Arena *arena, Rows *out) {
    size_t a = 0, kept_count = plan->kept == NULL ? 0 : plan->kept->series_count;
    for (size_t b = 0; a < kept_count || b < tail->count;) {
        int order = a == kept_count ? 1
                    : b == tail->count
                        ? -1
                        : labels_compare(plan->kept->series[a].labels, tail->series[b].labels);
        Row *row = array_add_on(arena, out);
        *row = (Row){0};
        if (order >= 0) row->tail = &tail->series[b++];
        if (order <= 0) row->kept = &plan->kept->series[a++];
    }
}

// Points [from, until) of a series of an entry.
typedef struct Slice {
    const KeptSeries *of;  // NULL: none
    size_t from, until;
} Slice;

// The points of an entry's series in [from_ms, until_ms).
static Slice slice_of(const KeptSeries *series, int64_t from_ms, int64_t until_ms) {
    if (series == NULL) return (Slice){0};
    return (Slice){series, times_place(series->times, series->count, from_ms),
                   times_place(series->times, series->count, until_ms)};
}

static size_t slice_count(Slice slice) {
    return slice.until - slice.from;
}

static size_t text_begin(Slice slice) {
    return slice.from == 0 ? 0 : slice.of->ends[slice.from - 1] + 1;
}

// How its points are printed; empty where nothing is.
static Text slice_text(Slice slice) {
    if (slice_count(slice) == 0 || slice.of->json == NULL) return (Text){0};
    size_t begin = text_begin(slice);
    return (Text){slice.of->json + begin, slice.of->ends[slice.until - 1] - begin};
}

// The points of the tail from `from_ms` on, and before `until_ms`.
static QuerySeries tail_of(const Row *row, int64_t from_ms, int64_t until_ms) {
    if (row->tail == NULL) return (QuerySeries){0};
    QuerySeries part = *row->tail;
    size_t from = times_place(part.times, part.count, from_ms);
    part.count = times_place(part.times, part.count, until_ms) - from;
    part.times += from;
    part.values += from;
    return part;
}

static int64_t step_at(const Plan *plan, size_t step) {
    return plan->start_ms + (int64_t)step * plan->step_ms;
}

// What the entry has lies in it; with a tail behind it, both are copied together.
static QuerySeries series_of(const Plan *plan, const Row *row, Arena *arena) {
    int64_t border_ms = step_at(plan, plan->have);
    Slice kept = slice_of(row->kept, plan->start_ms, border_ms);
    QuerySeries tail = tail_of(row, border_ms, INT64_MAX);
    size_t kept_count = slice_count(kept);
    if (kept_count == 0) return tail;
    QuerySeries series = {.labels = kept.of->labels,
                          .times = kept.of->times + kept.from,
                          .values = kept.of->values + kept.from,
                          .count = kept_count,
                          .json_labels = kept.of->json_labels,
                          .json_points = slice_text(kept)};
    series.json_count = series.json_points.len > 0 ? kept_count : 0;
    if (tail.count == 0) return series;
    series.count += tail.count;
    int64_t *times = arena_push_array_raw(arena, int64_t, series.count);
    double *values = arena_push_array_raw(arena, double, series.count);
    memcpy(times, series.times, kept_count * sizeof *times);
    memcpy(values, series.values, kept_count * sizeof *values);
    memcpy(times + kept_count, tail.times, tail.count * sizeof *times);
    memcpy(values + kept_count, tail.values, tail.count * sizeof *values);
    series.times = times;
    series.values = values;
    return series;
}

static void answer(const Plan *plan, const Rows *rows, Arena *arena, QueryResult *out) {
    out->type = VALUE_MATRIX;
    out->series = arena_push_array(arena, QuerySeries, rows->count);
    out->count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        QuerySeries series = series_of(plan, &rows->at[i], arena);
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

// ---- Keeping ----

// An entry while it is filled.
typedef struct Filling {
    Kept *kept;
    const int64_t *all_times;  // of a series without gaps
    Builder json;              // of the series at hand
    int64_t json_room;         // so much may still be printed; < 0: no more
} Filling;

static void copy_points(Filling *filling, Slice front, const QuerySeries *tail, KeptSeries *out) {
    Kept *kept = filling->kept;
    size_t count = slice_count(front);
    double *values = arena_push_array_raw(&kept->arena, double, out->count);
    if (count > 0) memcpy(values, front.of->values + front.from, count * sizeof *values);
    if (tail->count > 0) memcpy(values + count, tail->values, tail->count * sizeof *values);
    out->values = values;
    out->times = filling->all_times;
    if (out->count == kept->steps) return;
    int64_t *times = arena_push_array_raw(&kept->arena, int64_t, out->count);
    if (count > 0) memcpy(times, front.of->times + front.from, count * sizeof *times);
    if (tail->count > 0) memcpy(times + count, tail->times, tail->count * sizeof *times);
    out->times = times;
}

// Once, for this answer and all later ones: what an entry had printed is copied.
static void print_points(Filling *filling, Slice front, KeptSeries *out) {
    Arena *arena = &filling->kept->arena;
    Builder *json = &filling->json;
    Text before = slice_text(front);
    size_t done = before.len > 0 ? slice_count(front) : 0;
    builder_clear(json);
    builder_add(json, before);
    uint32_t *ends = arena_push_array_raw(arena, uint32_t, out->count);
    for (size_t i = 0; i < done; i++)
        ends[i] = (uint32_t)(front.of->ends[front.from + i] - text_begin(front));
    query_json_points(out->times + done, out->values + done, out->count - done, json, ends + done);
    size_t points = json->len;
    JsonWriter writer = json_writer_begin(json);
    labels_write_json(out->labels, &writer);
    filling->json_room -= (int64_t)json->len;
    if (filling->json_room < 0) return;
    const char *at = text_copy(builder_text(json), arena).at;
    out->json = at;
    out->ends = ends;
    out->json_labels = (Text){at + points, json->len - points};
}

// A row, which has what it has in the entry from here on.
static void fill(Filling *filling, Row *row, int64_t border_ms, int64_t end_ms) {
    Kept *kept = filling->kept;
    Slice front = slice_of(row->kept, kept->start_ms, border_ms);
    QuerySeries tail = tail_of(row, border_ms, end_ms);
    Labels labels = labels_of(row);
    row->kept = NULL;
    size_t count = slice_count(front) + tail.count;
    if (count == 0) return;
    KeptSeries *out = &kept->series[kept->series_count++];
    out->labels = (Labels){bytes_copy(labels.wire, &kept->arena)};
    out->count = count;
    copy_points(filling, front, &tail, out);
    if (filling->json_room >= 0) print_points(filling, front, out);
    row->kept = out;
}

// Keeps what is now known up to `until_ms`: also the steps of the entry in front of the answer,
// unless that makes much more than what was asked. Where something is kept, plan and rows have what
// they have in the new entry from here on.
static void keep(QueryCache *cache, Text key, uint64_t version, Plan *plan, Rows *rows, Texts infos,
                 int64_t until_ms) {
    if (until_ms < plan->start_ms) return;
    size_t front = plan->have > 0 && plan->from + plan->count <= GROWTH_MAX * plan->count &&
                           plan->from + plan->count <= (size_t)LIMIT_QUERY_POINTS
                       ? plan->from
                       : 0;
    uint64_t settled =
        ((uint64_t)until_ms - (uint64_t)plan->start_ms) / (uint64_t)plan->step_ms + 1;
    if (settled < plan->have) return;  // the clock went back
    size_t have = (size_t)MIN(settled, (uint64_t)plan->count), steps = front + have;
    int64_t bytes = 0, bytes_max = keep_bytes_max(cache) / SHARE_OF_ONE;
    for (size_t i = 0; i < rows->count; i++) {
        bytes += (int64_t)(steps * (sizeof(double) + sizeof(uint32_t)) +
                           labels_of(&rows->at[i]).wire.len + sizeof(KeptSeries));
    }
    if (bytes > bytes_max) return;
    Kept *kept = kept_new(key);
    kept->version = version;
    kept->start_ms = plan->start_ms - (int64_t)front * plan->step_ms;
    kept->steps = steps;
    Text *notes = arena_push_array(&kept->arena, Text, infos.count + 1);
    for (size_t i = 0; i < infos.count; i++) notes[i] = text_copy(infos.at[i], &kept->arena);
    kept->infos = (Texts){notes, infos.count};
    kept->series = arena_push_array(&kept->arena, KeptSeries, rows->count);
    int64_t *times = arena_push_array_raw(&kept->arena, int64_t, steps);
    for (size_t i = 0; i < steps; i++) times[i] = kept->start_ms + (int64_t)i * plan->step_ms;
    Filling filling = {.kept = kept, .all_times = times, .json_room = bytes_max - bytes};
    int64_t border_ms = step_at(plan, plan->have), end_ms = step_at(plan, have);
    for (size_t i = 0; i < rows->count; i++) fill(&filling, &rows->at[i], border_ms, end_ms);
    builder_free(&filling.json);
    kept_unref(&plan->kept);
    plan->kept = kept;
    plan->from = front;
    plan->have = have;
    keep_put(cache, kept);
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
    AUTO(plan_end)
    Plan plan = {.start_ms = request->start_ms,
                 .step_ms = request->step_ms,
                 .count = (size_t)((last_ms - request->start_ms) / request->step_ms) + 1};
    plan_use(&plan, store, &kept);
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
    if (plan.have == 0) return true;
    answer(&plan, &rows, arena, out);
    out->kept = TAKE(plan.kept);
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

void query_cache_release(QueryResult *result) {
    kept_unref(&result->kept);
}
