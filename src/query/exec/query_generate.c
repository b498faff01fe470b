// Random queries by the grammar, and their two ways to run compared.

#include "query/exec/query_generate.h"

#include <math.h>

#include "model/sample.h"
#include "query/promql/promql.h"

bool generate_store(ScriptStore *store, Arena *arena, Error *err) {
    TRY(script_store_open(store, arena, err));
    return script_load(
        store,
        TEXT(
            "c_total{a=\"1\", b=\"x\"} 0+10x30 5+7x20\n"
            "c_total{a=\"2\", b=\"x\"} 3+1x12 _x7 0+2x30\n"
            "c_total{a=\"2\", b=\"y\"} 100+0x10 stale 0+1x40\n"
            "g{a=\"1\", b=\"x\"} 5 -3 NaN 7 Inf 2 1 0 -Inf 4 4 4 2 1 9 8 7 _ _ 3+1x25\n"
            "g{a=\"2\", b=\"y\"} 1-1x50\n"
            "g{a=\"3\"} 0.1+0.1x50\n"
            "h{a=\"1\", b=\"x\"} 2+2x50\n"
            "l_bucket{a=\"1\", le=\"0.5\"} 1+1x50\n"
            "l_bucket{a=\"1\", le=\"1\"} 1+2x50\n"
            "l_bucket{a=\"1\", le=\"+Inf\"} 2+2x50\n"
            "l_bucket{a=\"2\", le=\"1\"} 9 8 7 6 5+1x40\n"
            "l_bucket{a=\"2\", le=\"+Inf\"} 8+1x50\n"
            "n{a=\"1\", b=\"x\"} {{schema:1 count:4 sum:5 z_bucket:1 z_bucket_w:0.01 buckets:[1 2] "
            "n_buckets:[0 1]}}+{{schema:1 count:2 sum:1 buckets:[1 0 1]}}x30 {{schema:1 count:1 "
            "sum:1 "
            "buckets:[1]}}+{{schema:1 count:1 sum:1 buckets:[0 1]}}x18\n"
            "n{a=\"2\", b=\"y\"} {{schema:-1 count:3 sum:NaN buckets:[1 1]}}+{{schema:-1 count:2 "
            "sum:3 "
            "buckets:[1 0 0 1]}}x20 stale {{counter_reset_hint:gauge count:1 sum:1 "
            "buckets:[1]}}x20\n"
            "n{a=\"3\"} 1 2 3 {{count:1 sum:1 buckets:[1]}}+{{count:1 sum:1 buckets:[1]}}x20 "
            "4+1x20\n"
            "o{a=\"1\", b=\"x\"} {{schema:-53 count:3 sum:4 custom_values:[1 2 5] buckets:[1 1 0 "
            "1]}}+{{schema:-53 count:1 sum:3 custom_values:[1 2 5] buckets:[0 0 1]}}x40\n"
            "o{a=\"2\"} {{schema:-53 count:3 sum:4 custom_values:[1 5 9] buckets:[1 1 0 "
            "1]}}+{{schema:-53 count:1 sum:3 custom_values:[1 5 9] buckets:[0 0 1]}}x40\n"),
        30000, false, arena, err);
}

typedef struct Generator {
    Bytes bytes;
    size_t at;
    uint64_t random;  // goes on where the bytes end
    Builder *out;
} Generator;

static size_t pick(Generator *g, size_t count) {
    if (g->at < g->bytes.len) return g->bytes.at[g->at++] % count;
    return test_random(&g->random) % count;
}

#define PICK(g, ...)                                                                    \
    __extension__({                                                                     \
        static const char *const choices_[] = {__VA_ARGS__};                            \
        builder_add((g)->out, text_from_cstring(choices_[pick((g), COUNT(choices_))])); \
    })

static void make_vector(Generator *g, int depth);
static void make_scalar(Generator *g, int depth);

static void make_moved(Generator *g) {
    PICK(g, "", "", "", " offset 1m", " offset -90s", " @ 600", " @ 300.5 offset 15s");
}

static void make_selector(Generator *g) {
    PICK(g, "c_total", "g", "h", "l_bucket", "nothing", "n", "o", "m", "{__name__=~\"c_total|g\"}",
         "{__name__=~\"n|g|o\"}", "{__name__=~\".+\", a=\"1\"}");
}

static void make_matrix(Generator *g, int depth) {
    if (depth > 0 && pick(g, 3) == 0) {
        builder_add_char(g->out, '(');
        make_vector(g, depth - 1);
        builder_add_char(g->out, ')');
        PICK(g, "[2m:30s]", "[5m:1m]", "[4m:]", "[1m:7s]");
    } else {
        make_selector(g);
        PICK(g, "[1m]", "[2m]", "[5m]", "[10m]", "[31s]");
        PICK(g, "", "", "", "", "", "", " anchored", " smoothed");
    }
    make_moved(g);
}

static void make_call(Generator *g, int depth) {
    const Function *function = &functions[pick(g, FUNCTION_COUNT)];
    FunctionId id = function->id;
    // The borders of the query differ between its two runs, and so may what these say.
    bool own =
        id == FUNCTION_START || id == FUNCTION_END || id == FUNCTION_STEP || id == FUNCTION_RANGE;
    if (!function->supported || own || function->result != VALUE_VECTOR) {
        builder_add(g->out, TEXT("abs("));
        make_vector(g, depth - 1);
        builder_add_char(g->out, ')');
        return;
    }
    builder_add(g->out, function->name);
    builder_add_char(g->out, '(');
    if (id == FUNCTION_INFO) {
        make_vector(g, depth - 1);
        PICK(g, ")", ", {b=~\".+\"})", ", {c=\"1\"})", ", {__name__=~\".+_info\"})",
             ", {__name__!=\"p_info\", b=~\".*\"})");
        return;
    }
    for (size_t i = 0; i < function->take_count; i++) {
        if (i > 0) builder_add(g->out, TEXT(", "));
        switch (function->takes[i]) {
            case VALUE_VECTOR:
                make_vector(g, depth - 1);
                break;
            case VALUE_MATRIX:
                make_matrix(g, depth - 1);
                break;
            case VALUE_SCALAR:
                make_scalar(g, depth - 1);
                break;
            case VALUE_STRING:
                PICK(g, "\"a\"", "\"b\"", "\"x$1\"", "\"(.*)\"", "\"__name__\"", "\"\"", "\"new\"");
                break;
            case VALUE_NONE:
                break;
        }
    }
    builder_add_char(g->out, ')');
}

static void make_aggregate(Generator *g, int depth) {
    AggregateOp op = (AggregateOp)pick(g, AGG_OP_COUNT);
    builder_add(g->out, aggregate_op_name(op));
    PICK(g, "", " by (a)", " by (a, b)", " without (a)", " by (le)", " by (__name__)",
         " without ()");
    builder_add(g->out, TEXT(" ("));
    if (op == AGG_COUNT_VALUES) {
        builder_add(g->out, TEXT("\"v\", "));
    } else if (aggregate_op_has_param(op)) {
        make_scalar(g, 0);
        builder_add(g->out, TEXT(", "));
    }
    make_vector(g, depth - 1);
    builder_add_char(g->out, ')');
}

static void make_binary(Generator *g, int depth) {
    BinaryOp op = (BinaryOp)pick(g, OP_COUNT);
    bool set = binary_op_is_set(op);
    size_t shape = set ? 0 : pick(g, 4);
    builder_add_char(g->out, '(');
    if (shape == 1)
        make_scalar(g, depth - 1);
    else
        make_vector(g, depth - 1);
    builder_addf(g->out, " %.*s ", TEXT_ARG(binary_op_name(op)));
    if (binary_op_is_comparison(op)) PICK(g, "", "bool ");
    if (shape != 1 && shape != 2) {
        PICK(g, "", "on (a) ", "on (a, b) ", "ignoring (b) ", "ignoring (le) ");
        bool matched = builder_text(g->out).at[g->out->len - 2] == ')';
        if (matched && !set) PICK(g, "", "group_left () ", "group_right () ", "group_left (c) ");
    }
    if (shape != 1 && shape != 2 && !set)
        PICK(g, "", "", "", "fill (0) ", "fill_left (1) ", "fill_right (NaN) ");
    if (shape == 2)
        make_scalar(g, depth - 1);
    else
        make_vector(g, depth - 1);
    builder_add_char(g->out, ')');
}

static void make_vector(Generator *g, int depth) {
    if (depth <= 0) {
        make_selector(g);
        PICK(g, "", "", "", "", "", " smoothed");
        make_moved(g);
        return;
    }
    switch (pick(g, 8)) {
        case 0:
            make_selector(g);
            make_moved(g);
            break;
        case 1:
            builder_add_char(g->out, '-');
            make_vector(g, depth - 1);
            break;
        case 2:
        case 3:
            make_aggregate(g, depth);
            break;
        case 4:
        case 5:
            make_binary(g, depth);
            break;
        default:
            make_call(g, depth);
            break;
    }
}

static void make_scalar(Generator *g, int depth) {
    if (depth > 0 && pick(g, 4) == 0) {
        builder_add(g->out, TEXT("scalar("));
        make_vector(g, depth - 1);
        builder_add_char(g->out, ')');
        return;
    }
    PICK(g, "0", "1", "2", "0.5", "-1", "3", "0.9", "time()", "1e3", "NaN", "Inf", "0.25", "60");
}

void generate_query(Bytes bytes, Builder *out) {
    Generator g = {.bytes = bytes, .random = 7, .out = out};
    for (size_t i = 0; i < bytes.len; i++) g.random = g.random * 31 + bytes.at[i];
    make_vector(&g, 3);
}

// ---- The two ways to run ----

static bool same_value(double a, double b) {
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b));
}

static bool same_side(const HistogramSide *a, const HistogramSide *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = a->index[i] == b->index[i] && same_value(a->counts[i], b->counts[i]);
    return same;
}

static bool same_histogram(const Histogram *a, const Histogram *b) {
    if (a == NULL || b == NULL) return a == b;
    return a->schema == b->schema && a->reset_hint == b->reset_hint &&
           same_value(a->count, b->count) && same_value(a->sum, b->sum) &&
           same_value(a->zero_count, b->zero_count) && a->zero_threshold == b->zero_threshold &&
           a->bound_count == b->bound_count && same_side(&a->positive, &b->positive) &&
           same_side(&a->negative, &b->negative);
}

static bool same_point(const QuerySeries *a, size_t i, const QuerySeries *b) {
    const Histogram *left = a->histograms == NULL ? NULL : a->histograms[i];
    const Histogram *right = b->histograms == NULL ? NULL : b->histograms[0];
    if (left != NULL || right != NULL) return same_histogram(left, right);
    return same_value(a->values[i], b->values[0]);
}

// The element of the instant answer that bears these labels.
static const QuerySeries *element(const QueryResult *result, Labels labels) {
    for (size_t i = 0; i < result->count; i++) {
        if (labels_equal(result->series[i].labels, labels)) return &result->series[i];
    }
    return NULL;
}

static bool step_same(const QueryResult *ranged, const QueryResult *instant, int64_t time_ms,
                      Arena *arena, Text *why) {
    size_t expected = 0;
    for (size_t i = 0; i < ranged->count; i++) {
        const QuerySeries *series = &ranged->series[i];
        for (size_t j = 0; j < series->count; j++) {
            if (series->times[j] != time_ms) continue;
            expected++;
            const QuerySeries *found = element(instant, series->labels);
            if (found != NULL && same_point(series, j, found)) continue;
            *why = text_format(arena, "at %lld ms: %.17g as a step, %.17g as an instant",
                               (long long)time_ms, series->values[j],
                               found == NULL ? NAN : found->values[0]);
            return false;
        }
    }
    if (expected == instant->count) return true;
    *why = text_format(arena, "at %lld ms: %zu elements as a step, %zu as an instant",
                       (long long)time_ms, expected, instant->count);
    return false;
}

// What parses prints, and what was printed parses to an equal tree.
static bool prints_same(Text query, Arena *arena, Text *why) {
    AUTO(promql_close) Promql first = {0};
    AUTO(promql_close) Promql again = {0};
    AUTO(builder_free) Builder printed = {0};
    Error err;
    if (!promql_parse(query, arena, &first, NULL, &err)) return true;
    promql_print(first.root, &printed);
    bool parsed = promql_parse(builder_text(&printed), arena, &again, NULL, &err);
    if (parsed && expr_equal(first.root, again.root)) return true;
    *why = text_format(arena, "it is printed as %.*s, which is %s",
                       TEXT_ARG(builder_text(&printed)), parsed ? "another tree" : err.message);
    return false;
}

bool generate_check(ScriptStore *store, Text query, Arena *arena, bool *ran, Text *why) {
    enum { START_MS = 240000, STEP_MS = 45000, STEPS = 9 };
    Error err;
    QueryResult ranged, instant;
    *ran = false;
    if (!prints_same(query, arena, why)) return false;
    QueryRequest request = {.text = query,
                            .start_ms = START_MS,
                            .end_ms = START_MS + (STEPS - 1) * STEP_MS,
                            .step_ms = STEP_MS};
    *ran = query_run(store->store, &request, arena, &ranged, NULL, &err);
    // These say something else when the query begins elsewhere, or take what comes first in an
    // order that only an instant query has.
    static const Text others[] = {TEXT_INIT("start"), TEXT_INIT("end"),    TEXT_INIT("step"),
                                  TEXT_INIT("range"), TEXT_INIT("limitk"), TEXT_INIT("sort")};
    bool own = false;
    for (size_t i = 0; i < COUNT(others); i++) own |= text_find(query, others[i]) >= 0;
    // A sum over what topk has ordered may differ in its last bit, which count_values makes a
    // label.
    own |= text_find(query, TEXT("count_values")) >= 0 &&
           (text_find(query, TEXT("topk")) >= 0 || text_find(query, TEXT("bottomk")) >= 0);
    if (!*ran) {
        request.end_ms = request.start_ms;
        request.step_ms = 0;
        (void)!query_run(store->store, &request, arena, &instant, NULL, &err);
        return true;
    }
    for (size_t i = 0; i < STEPS && !own; i++) {
        int64_t time_ms = START_MS + (int64_t)i * STEP_MS;
        request.start_ms = request.end_ms = time_ms;
        request.step_ms = 0;
        if (!query_run(store->store, &request, arena, &instant, NULL, &err)) {
            *why = text_format(arena, "at %lld ms: a step, but as an instant %s",
                               (long long)time_ms, err.message);
            return false;
        }
        if (!step_same(&ranged, &instant, time_ms, arena, why)) return false;
    }
    return true;
}
