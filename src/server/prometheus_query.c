// Queries: /query, /query_range, /query_exemplars.

#include "base/memory.h"
#include "query/cache/cache.h"
#include "server/matchers.h"
#include "server/pieces.h"
#include "server/queries.h"
#include "server/paid_read.h"
#include "server/serve.h"

// ---- Queries ----

static double seconds(int64_t ns) {
    return (double)ns / 1e9;
}

static void write_timing(JsonWriter *writer, Text name, int64_t ns) {
    json_key(writer, name);
    json_f64(writer, seconds(ns));
}

// One more warning behind those of the query.
static Texts with_warning(Texts warnings, Text more, Arena *arena) {
    Text *all = arena_push_array(arena, Text, warnings.count + 1);
    if (warnings.count > 0) memcpy(all, warnings.at, warnings.count * sizeof *all);
    all[warnings.count] = more;
    return (Texts){all, warnings.count + 1};
}

// A result that is being written; what it is made of is held until then.
typedef struct QueryAnswer {
    Production production;  // first, so that one is the other
    Request *request;
    Arena arena;
    QueryResult result;
    QueryJson json;
    JsonWriter writer;
    Text stats;  // as it was asked for
    int64_t start_ms, step_ms;
} QueryAnswer;

static void write_step(JsonWriter *writer, int64_t time_ms, uint64_t samples) {
    char time[NUMBER_TEXT_MAX];
    json_array_begin(writer);
    json_raw(writer, (Text){time, number_format_ms_as_s(time_ms, time)});
    json_u64(writer, samples);
    json_array_end(writer);
}

// Preparation is parsing and finding the series, as in Prometheus; what is neither that nor sorting
// is inner evaluation.
static void write_stats(QueryAnswer *answer, int64_t waited_ns, bool per_step) {
    JsonWriter *writer = &answer->writer;
    const QueryStats *stats = &answer->result.stats;
    int64_t prepared_ns = stats->parse_ns + stats->open_ns;
    int64_t total_ns = stats->parse_ns + stats->run_ns;
    json_key(writer, TEXT("stats"));
    json_object_begin(writer);
    json_key(writer, TEXT("timings"));
    json_object_begin(writer);
    write_timing(writer, TEXT("evalTotalTime"), total_ns);
    write_timing(writer, TEXT("resultSortTime"), stats->sort_ns);
    write_timing(writer, TEXT("queryPreparationTime"), prepared_ns);
    write_timing(writer, TEXT("innerEvalTime"), total_ns - prepared_ns - stats->sort_ns);
    write_timing(writer, TEXT("execQueueTime"), waited_ns);
    write_timing(writer, TEXT("execTotalTime"), waited_ns + total_ns);
    json_object_end(writer);
    json_key(writer, TEXT("samples"));
    json_object_begin(writer);
    if (per_step) {
        json_key(writer, TEXT("totalQueryableSamplesPerStep"));
        json_array_begin(writer);
        for (size_t i = 0; i < stats->step_count; i++)
            write_step(writer, answer->start_ms + (int64_t)i * answer->step_ms, stats->steps[i]);
        json_array_end(writer);
    }
    json_key(writer, TEXT("totalQueryableSamples"));
    json_u64(writer, stats->looked_at);
    json_key(writer, TEXT("peakSamples"));
    json_u64(writer, stats->peak_samples);
    if (stats->downsampled > 0) {
        json_key(writer, TEXT("downsampled"));
        json_u64(writer, stats->downsampled);
    }
    json_object_end(writer);
    json_object_end(writer);
}

static void query_answer_free(Production *production) {
    QueryAnswer *answer = (QueryAnswer *)production;
    query_cache_release(&answer->result);
    arena_free(&answer->arena);
    memory_free(answer);
}

static bool query_answer_next(Production *production, Builder *out, bool *done, Error *err) {
    QueryAnswer *answer = (QueryAnswer *)production;
    if (!answer->json.begun) answer->writer = envelope_begin_on(out);
    answer->writer.out = out;
    *done = query_json_next(&answer->json, PIECE_BYTES, &answer->writer);
    if (!*done) return true;
    if (answer->stats.len > 0) {
        // `stats` stands inside `data`, which was just closed: its last brace is opened again.
        out->len--;
        write_stats(answer, answer->request->waited_ns, text_equal(answer->stats, TEXT("all")));
        json_object_end(&answer->writer);
    }
    envelope_end(&answer->writer, answer->result.warnings, answer->result.infos);
    return true;
}

// The result is held until it is sent, so it goes on being memory of the query, also while a slow
// client reads the answer.
static bool charge_result(QueryAnswer *answer, Error *err) {
    int64_t bytes = (int64_t)answer->arena.bytes;
    int64_t most = atomic_load(&answer->request->server->query_memory_bytes);
    if (most > 0 && bytes > most) {
        return error_set(err, ERROR_TOO_COSTLY,
                         "the result takes %lld bytes, more memory than one query may "
                         "(query.memory, %lld bytes)",
                         (long long)bytes, (long long)most);
    }
    TRY(budget_reserve(answer->production.budget, bytes, err));
    answer->production.charged = bytes;
    return true;
}

static void limit_result(QueryAnswer *answer, uint64_t limit) {
    QueryResult *result = &answer->result;
    bool has_rows = result->type == VALUE_VECTOR || result->type == VALUE_MATRIX;
    if (!has_rows || limit == 0 || result->count <= limit) return;
    result->count = (size_t)limit;
    result->warnings =
        with_warning(result->warnings, TEXT("results truncated due to limit"), &answer->arena);
}

static bool run_query(Request *request, const QueryRequest *query, Error *err) {
    uint64_t limit;
    TRY(param_limit(request, TEXT("limit"), &limit, err));
    QueryAnswer *answer = memory_new(QueryAnswer);
    AUTO(production_free) Production *production = &answer->production;
    *production = (Production){
        .next = query_answer_next, .free = query_answer_free, .budget = query_budget(request)};
    answer->request = request;
    TRY(request_run_query(request, query, &answer->arena, &answer->result, err));
    limit_result(answer, limit);
    TRY(charge_result(answer, err));
    answer->json = (QueryJson){.result = &answer->result};
    answer->stats = param_text(request, TEXT("stats"));
    answer->start_ms = query->start_ms;
    answer->step_ms = query->step_ms;
    return request_produce(request, TAKE(production), err);
}

bool serve_query(Request *request, Error *err) {
    QueryRequest query;
    TRY(query_params_instant(request, &query, err));
    return run_query(request, &query, err);
}

bool serve_query_range(Request *request, Error *err) {
    QueryRequest query;
    TRY(query_params_range(request, &query, err));
    return run_query(request, &query, err);
}

// ---- Exemplars ----

typedef ARRAY(const Expr *) Selectors;

// The selectors of an expression, wherever they stand. Its depth was limited by the parser.
static void find_selectors(const Expr *expr, Arena *arena, Selectors *out) {
    if (expr == NULL) return;
    switch (expr->kind) {
        case EXPR_SELECTOR:
            *array_add_on(arena, out) = expr;
            break;
        case EXPR_SUBQUERY:
            find_selectors(expr->as.subquery.expr, arena, out);
            break;
        case EXPR_CALL:
            for (size_t i = 0; i < expr->as.call.arg_count; i++)
                find_selectors(expr->as.call.args[i], arena, out);
            break;
        case EXPR_AGGREGATE:
            find_selectors(expr->as.aggregate.expr, arena, out);
            find_selectors(expr->as.aggregate.param, arena, out);
            break;
        case EXPR_BINARY:
            find_selectors(expr->as.binary.left, arena, out);
            find_selectors(expr->as.binary.right, arena, out);
            break;
        case EXPR_UNARY:
            find_selectors(expr->as.unary.expr, arena, out);
            break;
        case EXPR_PAREN:
            find_selectors(expr->as.paren, arena, out);
            break;
        case EXPR_NUMBER:
        case EXPR_STRING:
            break;
    }
}

typedef ARRAY(SeriesExemplar) Exemplars;

static int by_series_and_time(const void *left, const void *right) {
    const SeriesExemplar *a = left, *b = right;
    int order = labels_compare(a->series, b->series);
    if (order != 0) return order;
    if (a->time_ms != b->time_ms) return a->time_ms < b->time_ms ? -1 : 1;
    order = labels_compare(a->labels, b->labels);
    if (order != 0) return order;
    return a->value < b->value ? -1 : a->value > b->value;
}

static bool exemplars_of(SeriesView *view, const Selectors *selectors, int64_t from_ms,
                         int64_t to_ms, Arena *arena, Exemplars *out, Error *err) {
    for (size_t i = 0; i < selectors->count; i++) {
        SeriesExemplar *found;
        size_t count;
        TRY(series_exemplars(view, selectors->at[i]->as.selector.matchers, arena, &found, &count,
                             err));
        for (size_t j = 0; j < count; j++) {
            if (found[j].time_ms >= from_ms && found[j].time_ms <= to_ms)
                *array_add_on(arena, out) = found[j];
        }
    }
    if (out->count > 1) qsort(out->at, out->count, sizeof *out->at, by_series_and_time);
    return true;
}

static void write_exemplar(JsonWriter *writer, const SeriesExemplar *exemplar) {
    AUTO(builder_free) Builder number = {0};
    json_object_begin(writer);
    json_key(writer, TEXT("labels"));
    labels_write_json(exemplar->labels, writer);
    json_key(writer, TEXT("value"));
    builder_add_f64(&number, exemplar->value);
    json_text(writer, builder_text(&number));
    json_key(writer, TEXT("timestamp"));
    char time[NUMBER_TEXT_MAX];
    json_raw(writer, (Text){time, number_format_ms_as_s(exemplar->time_ms, time)});
    json_object_end(writer);
}

// Exactly the two members that clients know; the same exemplar found by two selectors is told once.
static void write_exemplars(JsonWriter *writer, const Exemplars *exemplars) {
    json_array_begin(writer);
    for (size_t i = 0; i < exemplars->count;) {
        Labels series = exemplars->at[i].series;
        json_object_begin(writer);
        json_key(writer, TEXT("seriesLabels"));
        labels_write_json(series, writer);
        json_key(writer, TEXT("exemplars"));
        json_array_begin(writer);
        for (; i < exemplars->count && labels_equal(exemplars->at[i].series, series); i++) {
            if (i > 0 && by_series_and_time(&exemplars->at[i - 1], &exemplars->at[i]) == 0)
                continue;
            write_exemplar(writer, &exemplars->at[i]);
        }
        json_array_end(writer);
        json_object_end(writer);
    }
    json_array_end(writer);
}

bool serve_query_exemplars(Request *request, Error *err) {
    int64_t from_ms, to_ms;
    AUTO(paid_read_end) PaidRead paid = {0};
    TRY(paid_read_begin(request, &paid, err));
    TRY(param_span(request, &from_ms, &to_ms, err));
    AUTO(arena_free) Arena arena = {0};
    AUTO(promql_close) Promql parsed = {0};
    SourceRange where = {0};
    if (!promql_parse(param_text(request, TEXT("query")), &arena, &parsed, &where, err)) {
        query_fault_at(request, where);
        return query_text_is_bad(err);
    }
    Selectors selectors = {0};
    find_selectors(parsed.root, &arena, &selectors);

    Exemplars found = {0};
    Texts warnings = {0};
    Tenant *tenant;
    TRY(request_tenant(request, false, &tenant, err));
    AUTO(series_view_close) SeriesView *view = NULL;
    if (tenant != NULL) {
        TRY(series_view_open(tenant->series, from_ms, to_ms, &view, err));
        series_view_meter(view, &paid.meter);
        TRY(exemplars_of(view, &selectors, from_ms, to_ms, &arena, &found, err));
        warnings = series_view_warnings(view);
    }
    JsonWriter writer = envelope_begin(request);
    write_exemplars(&writer, &found);
    envelope_end(&writer, warnings, (Texts){0});
    return true;
}
