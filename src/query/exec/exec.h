// Running a query: operators over batches of series, all steps of the query at once.
//
// Private to query/exec. A value column holds one double per step; a step without a value holds
// ABSENT, the bits of the stale marker, which no query can see as a value. A step whose value is a
// native histogram holds ABSENT there too, and the histogram in a second column that only series
// with histograms have: a loop over floats need not know of it. Operators are pulled:
// next() gives a batch of series whose labels and columns live until the following next(), and
// belong to the caller meanwhile (it may change them in place). What an operator has to keep lies
// on its `keep` arena. All operators of a query are closed together (exec_close).
#pragma once

#include "base/map.h"
#include "model/histogram.h"
#include "model/sample.h"
#include "query/promql/promql.h"
#include "query/query.h"

// The moments of evaluation: start, start + step, …
typedef struct Steps {
    int64_t start_ms, step_ms;
    size_t count;
} Steps;

static inline int64_t step_ms_at(Steps steps, size_t i) {
    return steps.start_ms + (int64_t)i * steps.step_ms;
}
static inline int64_t steps_end_ms(Steps steps) {
    return step_ms_at(steps, steps.count - 1);
}

#define ABSENT stale_nan()
static inline bool is_absent(double value) {
    return is_stale(value);
}

typedef struct StepSeries {
    Labels labels;
    bool drop_name;  // the name goes when the result is handed over (delayed_names only)
    bool lasting;    // the label bytes live as long as the query, and equal sets are mostly one
    double *values;  // one per step
    // NULL: none; else one per step, NULL where there is none (values[i] is ABSENT where there is).
    const Histogram **histograms;
} StepSeries;

static inline const Histogram *histogram_at(const StepSeries *series, size_t step) {
    return series->histograms == NULL ? NULL : series->histograms[step];
}
static inline bool step_is_empty(const StepSeries *series, size_t step) {
    return is_absent(series->values[step]) && histogram_at(series, step) == NULL;
}

typedef struct StepBatch {
    StepSeries *at;
    size_t count;  // 0: there is no more
} StepBatch;

typedef struct Operator Operator;

typedef struct Exec Exec;

// Series that a selector found; the view and the list belong to someone else.
typedef struct Selection {
    SeriesView *view;
    const SeriesFound *at;
    size_t count;
    bool one_name;  // dropping the name makes no two label sets equal
} Selection;

// Samples as Prometheus counts them: at each step those that it looks at, so one sample may count
// several times; what the inside of a subquery looks at does not count, but its points do. A
// histogram is one. Shared by all shards of a query.
typedef struct StepCounts {
    _Atomic uint64_t *at;             // of each step of the query
    _Atomic int64_t held, held_most;  // samples in memory
} StepCounts;

struct Exec {
    SeriesStore *store;
    const QueryRequest *request;
    Text text;
    Arena *arena;  // of the request: plan, scalars, result
    Steps steps;   // of the whole query
    int64_t lookback_ms;
    HashKey hash_key;
    int64_t deadline_ns, memory_max;
    int64_t charged;       // bytes reserved in request->memory
    int64_t arena_before;  // bytes the request's arena held when the query began
    ARRAY(Operator *) operators;
    ARRAY(Text) warnings;
    ARRAY(Text) infos;
    uint64_t series, samples;
    _Atomic uint64_t own_downsampled;  // windows of tiers that were read
    _Atomic uint64_t *downsampled;     // those of the query; a shard counts there too
    StepCounts *counts;                // NULL: nobody asks for them
    bool in_subquery;                  // while operators are opened: it is its inside
    int64_t memory_peak;
    int64_t opened_ns, sort_ns;  // when the operators were open; what sorting took
    bool stats_only;         // while operators are opened: only count and sum of histograms matter
    SeriesMeter meter;       // of what is read from blocks
    Builder wire;            // scratch for label bytes
    QueryPlanNode *opening;  // the node whose operators are being made; NULL: nothing is measured
    const Selection *given;  // what the next selector reads, instead of asking itself; or NULL
    Exec *whole;             // of a shard: the query it belongs to; else NULL
    int64_t published;       // of a shard: its bytes that stand in the query's `shard_bytes`
    // Of a query whose shards run: what it held when they began, what they hold and have read.
    _Atomic int64_t shard_base, shard_bytes;
    _Atomic uint64_t shard_samples;
};

// What one instance of an operator did. Each is counted by the thread that pulls it, and added up
// when the query ends.
typedef struct Counted {
    uint64_t batches, series, points, samples;
    int64_t own_ns, memory_bytes;
} Counted;

struct Operator {
    Exec *exec;
    const Expr *expr;
    Steps steps;
    bool one_name;  // all series bear the same metric name: dropping it makes no duplicates
    Arena keep, batch;
    int64_t extra_bytes;  // memory outside the arenas
    uint64_t held;        // samples; only with exec->counts
    bool in_subquery;     // it has steps of its own
    QueryPlanNode *node;  // whose part it is; NULL: nothing is measured
    bool gives;           // it is what the node gives, not a part inside
    Counted counted;
    bool (*next)(Operator *operator, StepBatch * out, Error *err);
    void (*close)(Operator *operator);  // of what lies outside the arenas; may be NULL
};

// ---- exec.c: life of a query ----

// A new operator of a type that begins with Operator, on the query's arena.
#define operator_new(exec, type, expr, steps, next) \
    ((type *)operator_make((exec), sizeof(type), (expr), (steps), (next)))
void *operator_make(Exec *exec, size_t size, const Expr *expr, Steps steps,
                    bool (*next)(Operator *, StepBatch *, Error *));
// Once per batch: cancelled? out of time? over a memory limit?
must_use bool exec_tick(Exec *exec, Error *err);
// Cancelled or out of time, for good: the next tick fails.
bool exec_is_over(const Exec *exec);
void exec_close(Exec *exec);
// Samples that were read. TOO_COSTLY beyond the limit; a shard counts into its query now and then,
// and when it has done (flush).
must_use bool exec_count_samples(Exec *exec, uint64_t more, Error *err);
must_use bool exec_samples_flush(Exec *shard, Error *err);
// With exec->counts: step `i` of an operator looked at so many more samples; and how many it holds
// now.
void exec_count_step(Operator *operator, size_t i, uint64_t more);
void exec_count_held(Operator *operator, uint64_t samples);
// While shards run, by whoever may touch the query: its own memory anew; annotations of a shard.
void exec_shards_base(Exec *whole);
void exec_take_notes(Exec *whole, const Exec *shard);

// The same where a loop makes histograms, one of which may be large: each 64th look.
static inline bool exec_tick_histograms(Exec *exec, size_t i, Error *err) {
    return i % 64 != 63 || exec_tick(exec, err);
}

bool operator_next_measured(Operator *operator, StepBatch * out, Error *err);
static inline bool operator_next(Operator *operator, StepBatch * out, Error *err) {
    if (unlikely(operator->node != NULL)) return operator_next_measured(operator, out, err);
    arena_clear(&operator->batch);
    *out = (StepBatch){NULL, 0};
    return exec_tick(operator->exec, err) && operator->next(operator, out, err);
}

// ---- measure.c: what each node of the plan costs ----

// A stretch of time on this thread. Stretches nest; what an inner one took is not the outer one's.
typedef struct Stretch {
    Clock *clock;
    int64_t began_ns, inner_ns;
    struct Stretch *outer;
} Stretch;
void stretch_begin(Stretch *stretch, Clock *clock);
int64_t stretch_end(Stretch *stretch);  // its own time

void plan_begin(Exec *exec);  // makes the root
// Around everything that opens the operators of an expression (or computes a scalar one); both do
// nothing when nothing is measured.
typedef struct PlanOpening {
    QueryPlanNode *node;
    Stretch stretch;
} PlanOpening;
void plan_open(Exec *exec, const Expr *expr, PlanOpening *opening);
// `made`: what the expression became; NULL when that failed, or for a scalar. An expression that
// became the operator of another one has no node.
void plan_opened(Exec *exec, PlanOpening *opening, Operator *made);
void plan_count_scalar(Exec *exec, Steps steps);  // the node being opened gave one value per step
void operator_count_memory(Operator *operator);
QueryPlanNode *plan_end(Exec *exec);  // adds up; NULL when nothing was measured

// What a query may take at most, its own limit or that of all queries. 0: no end.
int64_t exec_memory_max(const Exec *exec);
// How many series one selector may find: a list longer than the memory allowed is not even begun.
// 0: no end.
size_t exec_series_max(const Exec *exec);

double *column_new(Arena *arena, Steps steps);                      // not filled
const Histogram **histogram_column_new(Arena *arena, Steps steps);  // all NULL
void column_fill(double *column, Steps steps, double value);
size_t batch_rows(Steps steps);  // how many series make a batch that stays in the cache
bool series_is_empty(const StepSeries *series, Steps steps);
// All that an operator gives, copied to `arena`; but no label bytes that last as long as the query.
must_use bool operator_collect(Operator *operator, Arena * arena, StepBatch *out, Error *err);

// Annotations: "PromQL warning: … (1:5)". Each text once, at most a few dozen.
typedef enum NoteKind { NOTE_WARNING, NOTE_INFO } NoteKind;
void exec_note(Exec *exec, NoteKind kind, SourceRange range, const char *format, ...)
    printf_like(4, 5);

// A quantile outside [0, 1] is computed (as an infinity) and warned about.
void quantile_note(Exec *exec, SourceRange range, double q);
Text number_shown(double value, Arena *arena);  // as Go's %.6g shows it

// ---- histogram_notes.c: what is said about native histograms, in the words of Prometheus ----

void note_mixed_range(Exec *exec, SourceRange range, Labels labels);       // floats and histograms
void note_ignored_in_range(Exec *exec, SourceRange range, Labels labels);  // floats are taken
void note_mixed_schemas(Exec *exec, SourceRange range, Labels labels);  // custom bounds and others
void note_not_counter(Exec *exec, SourceRange range, Labels labels);
void note_not_gauge(Exec *exec, SourceRange range, Labels labels);
void note_ignored_in_aggregation(Exec *exec, SourceRange range, Text aggregation);
// What an addition, subtraction or aggregation had to settle.
void note_join(Exec *exec, SourceRange range, HistogramJoin join, const char *what);
// Samples of any kind say of their beginnings what cannot be.
void note_starts_overlap(Exec *exec, SourceRange range, Labels labels);
// A stored histogram that cannot be decoded is left out.
void note_unreadable(Exec *exec, SourceRange range, Labels labels, const Error *why);

// ---- stored_histograms.c ----

// Of one series and an interval. Filled by the caller: exec, range, arena, stats_only.
typedef struct StoredHistograms {
    Exec *exec;
    SourceRange range;  // of the selector, for notes
    Arena *arena;       // of everything here
    bool stats_only;    // nothing but counts and sums is asked of them
    Labels labels;
    SeriesHistogram *at;  // by time; those of the interval begin at `first`
    size_t first, count;
    const Histogram **decoded, **hinted;
    uint8_t *bad;
} StoredHistograms;
must_use bool stored_histograms_read(StoredHistograms *stored, SeriesCursor *cursor,
                                     const SeriesFound *found, int64_t from_ms, int64_t to_ms,
                                     Error *err);
// The i-th, stale markers too; NULL when it cannot be read (which has been noted).
const Histogram *stored_histogram(StoredHistograms *stored, size_t i);

// ---- plan.c: from the tree to operators ----

must_use bool operator_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err);
// A scalar expression as one value per step, on `arena`.
must_use bool scalar_eval(Exec *exec, const Expr *expr, Steps steps, Arena *arena, double **out,
                          Error *err);

// ---- labels.c: making label sets ----

Texts labels_of_metric(void);  // the name, and what goes with it: __type__ and __unit__
Labels labels_without_name(Exec *exec, Labels labels, Arena *arena);  // nor the others of these
Labels labels_keep(Exec *exec, Labels labels, Texts names, Arena *arena);
// The same without a copy: until the next call for this Exec, or as long as `labels`.
Labels labels_keep_view(Exec *exec, Labels labels, Texts names);
Labels labels_remove(Exec *exec, Labels labels, Texts names, bool name_too,
                     Arena *arena);  // `__name__` too
Labels labels_set(Exec *exec, Labels labels, Text name, Text value,
                  Arena *arena);                                      // an empty value removes
void series_drop_name(Exec *exec, StepSeries *series, Arena *arena);  // now, or marked for later

// ---- The operators, one file each ----

// Asks the store for the series of a selector, over all the time that it may look at. The view is
// the caller's to close, also after an error.
// `wanted`: of its labels; NULL: all. Its series_max is that of the query. `over`: the function of
// ranges that looks at them; NULL: none.
must_use bool selection_find(Exec *exec, const Expr *selector, Steps steps, const Function *over,
                             const SeriesWanted *wanted, Arena *arena, SeriesView **view,
                             SeriesFoundList *out, bool *one_name, Error *err);
bool selector_one_name(const Expr *selector);  // does it fix the name?
void selector_span(const Exec *exec, const Expr *selector, Steps steps, int64_t *from_ms,
                   int64_t *to_ms);
must_use bool select_open(Exec *exec, const Expr *expr, Steps steps, bool timestamps,
                          Operator **out, Error *err);
void select_give_starts(Operator *selected);  // instead of values, before it is pulled
must_use bool range_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err);
must_use bool map_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err);
must_use bool unary_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err);
must_use bool vector_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err);
must_use bool date_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err);
must_use bool timestamp_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err);
must_use bool start_timestamp_open(Exec *exec, const Expr *call, Steps steps, Operator **out,
                                   Error *err);
must_use bool absent_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err);
must_use bool sort_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err);
must_use bool label_function_open(Exec *exec, const Expr *call, Steps steps, Operator **out,
                                  Error *err);
must_use bool histogram_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err);
must_use bool info_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err);
must_use bool histogram_value_open(Exec *exec, const Expr *call, Steps steps, Operator **out,
                                   Error *err);
must_use bool aggregate_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err);
must_use bool pick_open(Exec *exec, const Expr *expr, Steps steps, Operator **out,
                        Error *err);  // topk and kin
must_use bool binary_scalar_open(Exec *exec, const Expr *expr, Steps steps, Operator **out,
                                 Error *err);
must_use bool binary_vector_open(Exec *exec, const Expr *expr, Steps steps, Operator **out,
                                 Error *err);
must_use bool set_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err);

// A chain over one selector in shards (shard.h), as one operator; *out NULL where it is none.
must_use bool gather_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err);

// Puts equal label sets together; where two of them have values at one step, it is an error.
Operator *unique_open(Exec *exec, Operator *inner);
must_use bool series_unique(Exec *exec, StepBatch *batch, Steps steps, Arena *arena, Error *err);

// ---- Arithmetic shared by several ----

double binary_value(BinaryOp op, double left, double right);  // arithmetic; comparisons give 1 or 0
// Go's Min and Max, which are Prometheus': NaN spreads, except over the infinity that wins anyway.
double least(double a, double b);
double most(double a, double b);
// One step of a binary operator where either side may be a histogram (NULL: the float beside it).
// False when there is no result, or a comparison filters it; *error when types do not go together.
typedef struct BinarySide {
    double value;
    const Histogram *histogram;
} BinarySide;
bool binary_histogram(Exec *exec, const Expr *expr, BinarySide left, BinarySide right, Arena *arena,
                      BinarySide *out);
double quantile_of_sorted(double q, const double *sorted, size_t count);  // NaN sorts first
void values_sort(double *values, size_t count);                           // NaN first

// Neumaier's compensated sum: `sum` + `rest` is the value.
typedef struct KahanSum {
    double sum, rest;
} KahanSum;
static inline void kahan_add(KahanSum *kahan, double value) {
    double total = kahan->sum + value;
    if (__builtin_isinf(total)) {
        kahan->rest = 0;
    } else if (__builtin_fabs(kahan->sum) >= __builtin_fabs(value)) {
        kahan->rest += (kahan->sum - total) + value;
    } else {
        kahan->rest += (value - total) + kahan->sum;
    }
    kahan->sum = total;
}

// Two such sums side by side, with the same bits: two lanes of a register and no branches, as which
// of two numbers is larger cannot be predicted.
typedef double DoublePair __attribute__((vector_size(16)));
typedef int64_t MaskPair __attribute__((vector_size(16)));  // of each lane all bits, or none

static inline DoublePair pair_choose(MaskPair mask, DoublePair yes, DoublePair no) {
    return (DoublePair)((mask & (MaskPair)yes) | (~mask & (MaskPair)no));
}
static inline DoublePair pair_abs(DoublePair pair) {
    return (DoublePair)((MaskPair)pair & INT64_MAX);
}

typedef struct KahanPair {
    DoublePair sum, rest;
} KahanPair;
static inline void kahan_pair_add(KahanPair *kahan, DoublePair value) {
    DoublePair sum = kahan->sum, total = sum + value;
    MaskPair larger = pair_abs(sum) >= pair_abs(value);
    DoublePair rest = (pair_choose(larger, sum, value) - total) + pair_choose(larger, value, sum);
    MaskPair infinite = pair_abs(total) == (DoublePair){} + __builtin_inf();
    kahan->rest = pair_choose(infinite, (DoublePair){0, 0}, kahan->rest + rest);
    kahan->sum = total;
}

// ---- range kernels: range_rate.c, range_over_time.c, range_regression.c ----

// Samples [from, to).
typedef struct WindowEdges {
    size_t from, to;
} WindowEdges;

// The samples of one series and the windows (end - range, end] over them. Windows move by step_ms,
// which may be 0.
typedef struct RangeInput {
    const int64_t *times;
    const double *values;
    size_t count;
    // Of each window, where they are known; or NULL.
    const WindowEdges *edges;
    const struct WindowReach *reaches;  // of windows of two samples and more
    int64_t first_end_ms, step_ms, range_ms;
    Steps steps;              // of evaluation; windows are as many
    const double *params[2];  // scalar arguments, one value per step
    Arena *scratch;           // forgotten after each series
    const Exec *exec;         // asked whether to go on; may be NULL
    Extent extent;            // of the selector; other than PLAIN: range_extended.c
    int64_t lookback_ms;
    // The native histograms of the series, sorted by time too; none has the time of a float.
    const int64_t *histogram_times;
    const Histogram *const *histograms;
    size_t histogram_count;
    // When the counting of each sample began (0: not known), where that is looked at and known of
    // any; else NULL. Histograms have their own.
    const int64_t *starts;
    bool looks_at_starts;
    // Windows of tiers of which times and values are one column; NULL: they are samples.
    const SeriesParts *parts;
} RangeInput;

typedef struct Window {
    size_t from, to;  // samples [from, to)
    int64_t start_ms, end_ms;
    size_t work;  // samples of the windows since the query was last asked whether to go on
    bool over;
} Window;

// One series may have so much under its windows that the query has to be asked in between: about
// some milliseconds of work.
enum { WINDOW_WORK_MAX = 1 << 20 };

// Moves to the window of step `i`; called with i = 0, 1, 2, … on a zeroed Window. When the query is
// over meanwhile, windows are empty from then on; the tick behind the kernel says why.
static inline void window_move(Window *window, const RangeInput *in, size_t i) {
    window->end_ms = in->first_end_ms + (int64_t)i * in->step_ms;
    window->start_ms = window->end_ms - in->range_ms;
    if (in->edges != NULL) {
        window->from = in->edges[i].from;
        window->to = in->edges[i].to;
    } else {
        size_t to = window->to, from = window->from;
        while (to < in->count && in->times[to] <= window->end_ms) to++;
        while (from < to && in->times[from] <= window->start_ms) from++;
        window->from = from;
        window->to = to;
    }
    window->work += window->to - window->from;
    if (__builtin_expect(window->work > WINDOW_WORK_MAX, 0)) {
        window->work = 0;
        window->over |= in->exec != NULL && exec_is_over(in->exec);
    }
    if (__builtin_expect(window->over, 0)) window->from = window->to;
}

// How far a window of two samples or more reaches, in seconds: from its first sample to the last,
// and what is assumed in front of it and behind (range_rate.c).
typedef struct WindowReach {
    double sampled, to_start, to_end;
} WindowReach;
WindowReach range_reach(const RangeInput *in, const Window *window);
// The edges of all windows; and how far they reach, unless `reaches` is NULL.
void windows_find(const RangeInput *in, WindowEdges *edges, WindowReach *reaches);

typedef void (*RangeKernel)(const RangeInput *in, double *out);
void range_rate(const RangeInput *in, double *out);
void range_increase(const RangeInput *in, double *out);
void range_delta(const RangeInput *in, double *out);
void range_irate(const RangeInput *in, double *out);
void range_idelta(const RangeInput *in, double *out);
void range_changes(const RangeInput *in, double *out);
void range_resets(const RangeInput *in, double *out);
void range_deriv(const RangeInput *in, double *out);
void range_predict_linear(const RangeInput *in, double *out);
void range_smoothing(const RangeInput *in, double *out);
void range_sum(const RangeInput *in, double *out);
void range_avg(const RangeInput *in, double *out);
void range_min(const RangeInput *in, double *out);
void range_max(const RangeInput *in, double *out);
void range_time_of_min(const RangeInput *in, double *out);
void range_time_of_max(const RangeInput *in, double *out);
void range_count(const RangeInput *in, double *out);
void range_present(const RangeInput *in, double *out);
void range_first(const RangeInput *in, double *out);
void range_last(const RangeInput *in, double *out);
void range_time_of_first(const RangeInput *in, double *out);
void range_time_of_last(const RangeInput *in, double *out);
void range_stddev(const RangeInput *in, double *out);
void range_stdvar(const RangeInput *in, double *out);
void range_quantile(const RangeInput *in, double *out);
void range_mad(const RangeInput *in, double *out);

// As rate and increase extrapolate; `first` is the first value.
double range_extrapolated(const RangeInput *in, WindowReach reach, double first, double result,
                          bool is_counter, bool is_rate);

// ---- range_starts.c: the same where samples say when their counting began ----

// One sample: its time, and when its counting began.
typedef struct Started {
    int64_t time_ms, start_ms;
} Started;
bool start_is_reset(Started before, Started now);
// Does its counting begin inside a window, so that a zero stands there?
static inline bool start_is_inside(Started first, int64_t window_start_ms) {
    return first.start_ms > window_start_ms && first.start_ms < first.time_ms &&
           first.start_ms != 0;
}
// What a difference that begins with a zero at such a start is multiplied with; `last_ms` and
// `between` (0: one sample alone) as range_extrapolated has them.
double start_extrapolation(const RangeInput *in, int64_t start_ms, int64_t last_ms, int64_t end_ms,
                           double between, bool is_rate);
void range_rate_starts(const RangeInput *in, double *out, bool is_rate);
void range_irate_starts(const RangeInput *in, double *out);
void range_resets_starts(const RangeInput *in, double *out);
// Two samples of one window contradict each other: the later one's counting is said to have begun
// before the earlier one was taken, and not when the earlier one says.
bool range_starts_overlap(const RangeInput *in);

// range_histograms.c: the windows that hold native histograms, after the kernel has run over the
// floats. `out` are the floats, changed where histograms make a difference; *histograms is made
// when any window has a histogram as its result.
typedef struct RangeHistograms {
    Exec *exec;
    FunctionId id;
    SourceRange range;  // of the matrix
    Labels labels;
    Arena *arena;  // of results
    Steps steps;   // of the column of results, which may be longer than that of windows
} RangeHistograms;
must_use bool range_histograms(const RangeHistograms *with, const RangeInput *in, double *out,
                               const Histogram ***histograms, Error *err);

// A matrix expression as a source of (labels, times, values), for range functions and for a matrix
// as result.
typedef struct RangeSource RangeSource;
typedef struct RangeSeries {
    Labels labels;
    bool drop_name;
    bool same_times;  // as the series before: neighbours come from one scrape
    bool lasting;     // the label bytes live as long as the source
    const int64_t *times;
    const double *values;  // no stale markers
    size_t count;
    const int64_t *histogram_times;  // the native histograms beside them
    const Histogram *const *histograms;
    size_t histogram_count;
    const int64_t *starts;  // as many as times; NULL: none is known or looked at
    const SeriesParts
        *parts;  // windows of tiers, as many as times, which are their ends; NULL: samples
} RangeSeries;
// `over`: the function that looks at them; NULL: samples are wanted as they are.
must_use bool range_source_open(Exec *exec, const Expr *matrix, Steps steps, const Function *over,
                                RangeSource **out, Error *err);
// Series come with starts from now on, where any are stored.
void range_source_want_starts(RangeSource *source);
// Of a plain selector: no more than this is asked of each window (series_read_windows), so series
// come with fewer samples from now on.
void range_source_wish(RangeSource *source, SeriesWish wish);
// False in *more when there is none left. The series lives until the next call.
must_use bool range_source_next(RangeSource *source, RangeSeries *out, bool *more, Error *err);
// Where the windows of a matrix expression end: the first, and how far each step moves it (0 with
// @).
void range_windows(const Exec *exec, const Expr *matrix, Steps steps, int64_t *first_end_ms,
                   int64_t *step_ms, int64_t *range_ms);
bool range_source_one_name(const RangeSource *source);
// How far a matrix expression reaches beyond its borders.
static inline Extent matrix_extent(const Expr *matrix) {
    matrix = expr_inner(matrix);
    return matrix->kind == EXPR_SELECTOR ? matrix->as.selector.extent : EXTENT_PLAIN;
}

// ---- tiers.c: answers from windows of tiers ----

// The coarsest tier that a selector may be answered from where samples are there, too; 0: none.
int64_t tiers_most_ms(const Exec *exec, const Expr *selector, Steps steps, const Function *over);
// What a function has for windows instead of its kernel; NULL: nothing.
RangeKernel tier_kernel(const Expr *selector, const Function *over);
// Of a view with tiers, instead of series_read: with windows in `parts` they are what is looked at,
// in `columns` the column that the function's kernel takes for values. Notes what has to be said.
must_use bool tier_read_range(Operator *operator, SeriesCursor * cursor, const SeriesFound *found,
                              const Function *over, int64_t from_ms, int64_t to_ms,
                              SeriesParts *parts, SeriesColumns *columns, Error *err);
must_use bool tier_read_moments(Operator *operator, SeriesCursor * cursor, const SeriesFound *found,
                                int64_t from_ms, int64_t to_ms, SeriesParts *parts,
                                SeriesColumns *columns, Error *err);
// An instant selector's values, or times; true when any step has one.
bool tier_fill_moments(const SeriesParts *parts, int64_t first_ms, int64_t step_ms, Steps steps,
                       int64_t lookback_ms, bool timestamps, double *out);
static inline int64_t parts_bytes(const SeriesParts *parts) {
    return (int64_t)(parts->capacity * (WINDOW_KINDS + 2) * 8);
}

// ---- range_extended.c: anchored and smoothed ----

// Puts in the kernel that a function has for such a range; leaves a plain one alone. BAD_INPUT when
// it has none.
must_use bool range_extended_kernel(const Function *function, Extent extent, RangeKernel *kernel,
                                    Error *err);
// Of one window: the samples between its borders and what stands on them, on in->scratch.
void range_extended_points(const RangeInput *in, RangeSeries *series);

// The samples that matter to one window: first … last. Moves forward only, on a zeroed one.
typedef struct ExtendedReach {
    size_t from, to;        // within reach: [from, to)
    size_t inside, behind;  // the first one behind the start; the first one at or behind the end
    size_t first, last;
    int64_t start_ms, end_ms;
} ExtendedReach;
// False when no sample lies inside or, smoothed, none on each side of a part of it.
bool extended_reach_move(ExtendedReach *reach, const RangeInput *in, size_t i);

// ---- range_extended_histograms.c ----

// As range_histograms, of ranges that are not plain.
must_use bool range_extended_histograms(const RangeHistograms *with, const RangeInput *in,
                                        double *out, const Histogram ***histograms, Error *err);
void range_extended_histogram_points(const RangeInput *in, RangeSeries *series);
// Part of the way from one histogram to the next. NULL when only one has custom bounds.
const Histogram *histogram_between(const Histogram *before, const Histogram *after, double share,
                                   bool is_counter, Arena *arena);
