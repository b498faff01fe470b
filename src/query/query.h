// Queries: a text, a span of time and a budget in; a table of series out.
//
// Runs on a worker thread; everything a query makes lives on its arena, charged to the query
// budget. The flag `cancelled` is looked at once per batch. Limits passed are TOO_COSTLY or TIMEOUT
// naming the limit.
#pragma once

#include <stdatomic.h>

#include "base/budget.h"
#include "codec/number.h"
#include "model/histogram.h"
#include "query/promql/promql.h"
#include "store/series/series.h"

typedef struct QueryLimits {
    int64_t time_ms;       // 0: LIMIT_QUERY_TIME_MS
    int64_t memory_bytes;  // of this query; 0: no own limit
    int64_t samples_max;   // read; 0: none
    int64_t bytes_max;     // read from blocks; 0: none
    int64_t points_max;    // per series; 0: LIMIT_QUERY_POINTS
} QueryLimits;

// Threads that help queries: one for all. A query splits what a selector found into shards; its own
// thread works on them, and so do helpers that have nothing else to do. Answers do not depend on
// how many there are: shards that are folded have fixed borders, and all are put together in their
// order.
typedef struct QueryPool QueryPool;
must_use bool query_pool_start(int helpers, QueryPool **out, Error *err);
void query_pool_stop(QueryPool **pool);            // no query runs any more; NULL is fine
size_t query_pool_helpers(const QueryPool *pool);  // NULL: none
// Calls run(context) on this thread and, at the same time, on at most `helpers` others; returns
// when all calls have ended. `pool` NULL: on this thread only.
void query_pool_run(QueryPool *pool, size_t helpers, void (*run)(void *context), void *context);
// How far a running query has come; written once per batch, read by any thread.
typedef struct QueryProgress {
    _Atomic uint64_t samples;
    _Atomic int64_t memory_bytes;  // that it holds now
} QueryProgress;

typedef struct QueryRequest {
    Text text;
    int64_t start_ms, end_ms;  // equal for an instant query
    int64_t step_ms;           // 0: instant
    int64_t lookback_ms;       // 0: five minutes
    bool delayed_names;  // metric names are dropped at the end, not by each function (Prometheus'
                         // promql-delayed-name-removal)
    bool starts;         // rate, increase, irate and resets look at when counting began, where the
                         // samples say so (Prometheus' start timestamps)
    bool stable_only;    // what Prometheus has behind feature flags is refused
    QueryLimits limits;
    Budget *memory;  // of all queries; may be NULL
    Clock *clock;
    _Atomic bool *cancelled;  // may be NULL
    QueryPool *pool;          // NULL: one thread
    // Where samples are there, windows of tiers may be looked at instead: of the coarsest tier up
    // to this, to the step and to the range. 0: only where the samples are gone.
    int64_t max_resolution_ms;
    bool no_cache;            // for who keeps answers (cache/cache.h): not this one
    size_t shard_series;      // least series of a shard; 0: SHARD_SERIES_MIN. For tests
    QueryProgress *progress;  // may be NULL
    bool measure;             // fill QueryResult.plan; needs `clock`
    bool count_steps;         // fill QueryStats.steps and what follows it
} QueryRequest;

typedef struct QuerySeries {
    Labels labels;
    const int64_t *times;  // of the points that exist
    const double *values;
    size_t count;
    // NULL: none; else one per point, NULL where the point is a float. The value beside one means
    // nothing.
    const Histogram *const *histograms;
    // What of it is printed already, just as the JSON of a result has it: its labels (empty: no),
    // and its first `json_count` points, commas between them.
    Text json_labels, json_points;
    size_t json_count;
} QuerySeries;

// What a node of the plan did: the selectors, functions and operators of the text that are computed
// over series. Costs are its own, without those of the nodes below it.
typedef struct QueryPlanNode QueryPlanNode;
struct QueryPlanNode {
    const Expr *expr;  // NULL: the root, which stands for making the result out of its only child
    QueryPlanNode *outer, *first, *next;
    uint64_t batches;      // pulled from it
    uint64_t series;       // that it gave: those that had a value at any step
    uint64_t points;       // their values
    uint64_t samples;      // read from the store; one that stands for a chunk of a block is one
    int64_t own_ns;        // of all threads together
    int64_t memory_bytes;  // that it held at most
};

typedef struct QueryStats {
    uint64_t series, samples;
    int64_t bytes;         // of blocks, unpacked
    uint64_t downsampled;  // windows of tiers that were read instead of samples
    int64_t parse_ns, run_ns, memory_peak_bytes;
    int64_t open_ns, sort_ns;  // of run_ns: finding series, and sorting the result
    // With `count_steps`, as Prometheus counts: a sample as often as a step
    // looks at it. On the arena of the request.
    const uint64_t *steps;
    size_t step_count;
    uint64_t looked_at;     // all of them
    uint64_t peak_samples;  // that were held at once, or points of the result when they are more
} QueryStats;

typedef struct QueryResult {
    ValueType type;       // SCALAR, VECTOR, MATRIX or STRING
    QuerySeries *series;  // VECTOR: one point each; SCALAR: one row without labels; MATRIX: any
    size_t count;
    Text string;
    int64_t time_ms;  // of the evaluation (STRING)
    Texts warnings, infos;
    QueryStats stats;     // also of a query that failed
    QueryPlanNode *plan;  // the same, on the arena of the request; NULL unless it was measured
    struct Kept *kept;    // NULL, or what parts of it lie in: query_cache_release (cache/cache.h)
} QueryResult;

// `where` gets the part of the text that an error is about, when it is about one.
// `store` NULL: a tenant that never wrote.
must_use bool query_run(SeriesStore *store, const QueryRequest *request, Arena *arena,
                        QueryResult *out, SourceRange *where, Error *err);

// Prometheus' JSON `data` of a result ("resultType" before "result", values as strings).
struct JsonWriter;
void query_write_json(const QueryResult *result, struct JsonWriter *writer);

// The same in pieces: begins with {result} and lives as long as it is written. Each call writes
// about `bytes` more, behind what the writer's text holds; true with the last of it.
typedef struct QueryJson {
    const QueryResult *result;
    size_t series, point;  // the next ones
    int part;              // of the series
    bool begun, any_point;
    NumberTimes times;
} QueryJson;
bool query_json_next(QueryJson *json, size_t bytes, struct JsonWriter *writer);
// Floats of a matrix as the JSON has them, commas between them and behind what `out` holds of them;
// ends[i]: where the text of point i ends in `out`.
void query_json_points(const int64_t *times, const double *values, size_t count, Builder *out,
                       uint32_t *ends);

// The node below the root: {"node":"sum by (job)","operator":"aggregate","position":[0,20],
// "batches":…,"series":…,"points":…,"samples":…,"selfMs":…,"totalMs":…,"memoryBytes":…,
// "children":[…]}. Nodes deeper than QUERY_PLAN_DEPTH are left out: their costs are those of the
// last one shown, whose "hidden" says how many they are.
enum { QUERY_PLAN_DEPTH = 24, QUERY_PLAN_TEXT = 200 };
void query_plan_write_json(const QueryPlanNode *plan, struct JsonWriter *writer);
// One line: `sum by (job) 12.3ms 20 series < rate 40.1ms 5000 series < up[5m] …`; brackets around
// the children of a node that has several.
void query_plan_print(const QueryPlanNode *plan, Builder *out);
