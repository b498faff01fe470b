// Shards: what a selector found is split, and each part runs selector, range function and
// arithmetic by itself, on whichever thread is free.
//
// What can be split is a chain over one selector in which each series is computed by itself:
//
//   selector ── range function ── functions of values, arithmetic with numbers, comparisons
//
// A shard has an Exec of its own (arenas, scratch, annotations) that counts into the query's.
// Shards are put together in their order. Where they are folded, how many series make one follows
// from how many were found, never from how many threads there are: so an answer has the same bits
// on any machine. Rows that are only put one behind the other may be parted anywhere.

#include "query/exec/shard.h"

#include "base/assert.h"
#include "os/thread.h"

enum { SHARD_SERIES_MIN = 512, GATHER_SERIES_MIN = 128, SHARDS_MAX = 32 };

typedef struct Shard {
    Exec exec;
    Arena arena;
    Error err;
    enum { SHARD_WAITS, SHARD_DONE, SHARD_FAILED } state;  // under the lock
} Shard;

struct Shards {
    Operator operator;  // for its arenas and its close; never pulled
    SeriesView *view;
    SeriesFoundList found;
    bool one_name;
    bool stats_only;  // as it stood when the selector was asked
    bool together;    // equal label sets may meet across shards: then there is one
    Selection all;
    size_t count, shard_series;
    Shard *shards;
    Selection *selections;
    // One run:
    ShardWork work;
    ShardMerge merge;
    void *context;
    bool keep;
    _Atomic size_t next;
    _Atomic bool failed;
    Mutex lock;     // QUERY_SHARDS
    size_t merged;  // shards [0, merged) are put together
    bool merging;   // a thread is at it
};

// ---- What can be split ----

// A scalar that reads nothing, so that each shard may compute it again.
static bool is_plain_scalar(const Expr *expr) {
    switch (expr->kind) {
        case EXPR_NUMBER:
            return true;
        case EXPR_PAREN:
            return is_plain_scalar(expr->as.paren);
        case EXPR_UNARY:
            return is_plain_scalar(expr->as.unary.expr);
        case EXPR_BINARY:
            return is_plain_scalar(expr->as.binary.left) && is_plain_scalar(expr->as.binary.right);
        case EXPR_CALL:
            return expr->as.call.arg_count == 0;
        case EXPR_SELECTOR:
        case EXPR_SUBQUERY:
        case EXPR_AGGREGATE:
        case EXPR_STRING:
            break;
    }
    return false;
}

// The functions that are no chain although they take a vector: they look at all series, make
// labels, or take what is not a chain.
static bool is_chain_function(const Function *function) {
    switch ((int)function->id) {
        case FUNCTION_ABSENT:
        case FUNCTION_ABSENT_OVER_TIME:
        case FUNCTION_VECTOR:
        case FUNCTION_SCALAR:
        case FUNCTION_TIMESTAMP:
        case FUNCTION_START_TIMESTAMP:
        case FUNCTION_LABEL_REPLACE:
        case FUNCTION_LABEL_JOIN:
        case FUNCTION_HISTOGRAM_QUANTILE:
        case FUNCTION_HISTOGRAM_QUANTILES:
        case FUNCTION_HISTOGRAM_FRACTION:
        case FUNCTION_INFO:
        case FUNCTION_SORT:
        case FUNCTION_SORT_DESC:
        case FUNCTION_SORT_BY_LABEL:
        case FUNCTION_SORT_BY_LABEL_DESC:
            return false;
        default:
            return function->take_count > 0;
    }
}

static bool keeps_name(const Function *function) {
    return function->id == FUNCTION_LAST_OVER_TIME || function->id == FUNCTION_FIRST_OVER_TIME;
}

// The selector of the chain; NULL when the expression is none. *drops_name: the name of a series
// does not come out at the end. *over: the function of ranges on it, if any.
static const Expr *chain_selector(const Expr *expr, bool *drops_name, const Function **over) {
    switch (expr->kind) {
        case EXPR_SELECTOR:
            return expr;
        case EXPR_PAREN:
            return chain_selector(expr->as.paren, drops_name, over);
        case EXPR_UNARY:
            *drops_name |= expr->as.unary.negative;
            return chain_selector(expr->as.unary.expr, drops_name, over);
        case EXPR_BINARY: {
            const Expr *left = expr->as.binary.left, *right = expr->as.binary.right;
            const Expr *scalar = left->type == VALUE_SCALAR ? left : right;
            const Expr *vector = left->type == VALUE_SCALAR ? right : left;
            if (scalar->type != VALUE_SCALAR || !is_plain_scalar(scalar)) return NULL;
            *drops_name |=
                !binary_op_is_comparison(expr->as.binary.op) || expr->as.binary.return_bool;
            return chain_selector(vector, drops_name, over);
        }
        case EXPR_CALL: {
            const Expr *argument = NULL;
            if (!is_chain_function(expr->as.call.function)) return NULL;
            for (size_t i = 0; i < expr->as.call.arg_count; i++) {
                const Expr *arg = expr->as.call.args[i];
                if (arg->type == VALUE_SCALAR && is_plain_scalar(arg)) continue;
                if (argument != NULL || (arg->type != VALUE_VECTOR && arg->type != VALUE_MATRIX))
                    return NULL;
                argument = arg;
            }
            *drops_name |= !keeps_name(expr->as.call.function);
            if (argument != NULL && argument->type == VALUE_MATRIX) *over = expr->as.call.function;
            return argument == NULL ? NULL : chain_selector(argument, drops_name, over);
        }
        case EXPR_NUMBER:
        case EXPR_STRING:
        case EXPR_SUBQUERY:
        case EXPR_AGGREGATE:
            break;
    }
    return NULL;
}

// Asks the selector of a chain. Where a name is dropped, equal label sets may meet across shards:
// then all go one way, and the labels have to be whole.
static bool find_series(Shards *shards, const Expr *selector, const Function *over, bool drops_name,
                        const Texts *labels, Error *err) {
    Exec *exec = shards->operator.exec;
    Steps steps = shards->operator.steps;
    Arena *arena = &shards->operator.keep;
    bool delayed = exec->request->delayed_names;
    bool asks = drops_name && !delayed && !selector_one_name(selector);
    SeriesWanted wanted = {.some = labels != NULL && !delayed};
    if (wanted.some) wanted.labels = *labels;
    if (asks) wanted.without = labels_of_metric();
    for (;;) {
        TRY(selection_find(exec, selector, steps, over, &wanted, arena, &shards->view,
                           &shards->found, &shards->one_name, err));
        if (asks) shards->one_name = shards->found.apart;
        shards->together = asks && !shards->found.apart;
        if (!shards->together || !wanted.some) return true;
        series_view_close(&shards->view);
        exec->series -= shards->found.count;
        wanted.some = false;
    }
}

static void shards_close(Operator *operator) {
    Shards *shards = (Shards *)operator;
    for (size_t i = 0; shards->shards != NULL && i < shards->count; i++) {
        exec_close(&shards->shards[i].exec);
        arena_free(&shards->shards[i].arena);
    }
    series_view_close(&shards->view);
}

SeriesFoundList *shards_found(Shards *shards) {
    return &shards->found;
}

// How many series make a shard.
static void split(Shards *shards, size_t least) {
    const QueryRequest *request = shards->operator.exec->request;
    if (request->shard_series > 0) least = request->shard_series;
    size_t found = shards->found.count;
    shards->all = (Selection){shards->view, shards->found.at, found, shards->one_name};
    shards->shard_series = MAX(least, (found + SHARDS_MAX - 1) / SHARDS_MAX);
    shards->count = MAX((size_t)1, (found + shards->shard_series - 1) / shards->shard_series);
    if (shards->together) shards->count = 1;
}

void shards_narrowed(Shards *shards) {
    split(shards, SHARD_SERIES_MIN);
}

bool shards_open(Exec *exec, const Expr *expr, Steps steps, const Texts *labels, Shards **out,
                 Error *err) {
    *out = NULL;
    bool drops_name = false;
    if (exec->given != NULL || exec->whole != NULL) return true;
    const Function *over = NULL;
    const Expr *selector = chain_selector(expr, &drops_name, &over);
    if (selector == NULL) return true;
    Shards *shards = operator_new(exec, Shards, selector, steps, NULL);
    shards->operator.close = shards_close;
    shards->stats_only = exec->stats_only;
    TRY(find_series(shards, selector, over, drops_name, labels, err));
    shards_narrowed(shards);
    *out = shards;
    return true;
}

size_t shards_count(const Shards *shards) {
    return shards->count;
}

bool shards_open_whole(Shards *shards, const Expr *expr, Operator **out, Error *err) {
    Exec *exec = shards->operator.exec;
    bool stats_only = exec->stats_only;
    QueryPlanNode *opening = exec->opening;
    exec->given = &shards->all;
    exec->stats_only = shards->stats_only;
    exec->opening = shards->operator.node;  // also where it is opened later than the others
    bool opened = operator_open(exec, expr, shards->operator.steps, out, err);
    exec->opening = opening;
    exec->stats_only = stats_only;
    exec->given = NULL;
    return opened;
}

// ---- Running ----

static void shard_begin(Shards *shards, size_t i) {
    Exec *whole = shards->operator.exec;
    Shard *shard = &shards->shards[i];
    size_t from = i * shards->shard_series;
    shards->selections[i] =
        (Selection){shards->view, shards->found.at + from,
                    MIN(shards->shard_series, shards->found.count - from), shards->one_name};
    shard->exec = (Exec){
        .store = whole->store,
        .request = whole->request,
        .text = whole->text,
        .arena = &shard->arena,
        .steps = whole->steps,
        .lookback_ms = whole->lookback_ms,
        .hash_key = whole->hash_key,
        .deadline_ns = whole->deadline_ns,
        .memory_max = whole->memory_max,
        .stats_only = shards->stats_only,
        .counts = whole->counts,
        .downsampled = whole->downsampled,
        .in_subquery = shards->operator.in_subquery,
        .whole = whole,
        .given = &shards->selections[i],
    };
}

// Puts together what is next in order and done; one thread at a time does, the others go on.
static void merge_done(Shards *shards) {
    Exec *whole = shards->operator.exec;
    mutex_take(&shards->lock);
    while (!shards->merging && shards->merged < shards->count &&
           shards->shards[shards->merged].state == SHARD_DONE) {
        Shard *shard = &shards->shards[shards->merged];
        shards->merging = true;
        mutex_give(&shards->lock);
        exec_take_notes(whole, &shard->exec);
        bool good = shards->merge(shards->context, shards->merged, &shard->err);
        if (good && !shards->keep) {
            exec_close(&shard->exec);
            arena_free(&shard->arena);
        }
        exec_shards_base(whole);
        mutex_take(&shards->lock);
        shards->merging = false;
        if (!good) {
            shard->state = SHARD_FAILED;
            atomic_store(&shards->failed, true);
            break;
        }
        shards->merged++;
    }
    mutex_give(&shards->lock);
}

static void shards_work(void *context) {
    Shards *shards = context;
    while (!atomic_load(&shards->failed)) {
        size_t i = atomic_fetch_add(&shards->next, 1);
        if (i >= shards->count) return;
        Shard *shard = &shards->shards[i];
        shard_begin(shards, i);
        bool good = shards->work(shards->context, &shard->exec, i, &shard->err) &&
                    exec_samples_flush(&shard->exec, &shard->err);
        mutex_take(&shards->lock);
        shard->state = good ? SHARD_DONE : SHARD_FAILED;
        mutex_give(&shards->lock);
        if (!good) atomic_store(&shards->failed, true);
        merge_done(shards);
    }
}

bool shards_run(Shards *shards, ShardWork work, ShardMerge merge, void *context, bool keep,
                Error *err) {
    Exec *whole = shards->operator.exec;
    Arena *arena = &shards->operator.keep;
    shards->shards = arena_push_array(arena, Shard, shards->count);
    shards->selections = arena_push_array(arena, Selection, shards->count);
    for (size_t i = 0; i < shards->count; i++) shards->shards[i].exec.request = whole->request;
    shards->work = work;
    shards->merge = merge;
    shards->context = context;
    shards->keep = keep;
    mutex_begin(&shards->lock, LOCK_QUERY_SHARDS);
    exec_shards_base(whole);
    query_pool_run(whole->request->pool, shards->count - 1, shards_work, shards);
    mutex_end(&shards->lock);
    uint64_t samples = atomic_exchange(&whole->shard_samples, 0);
    whole->samples += samples;
    shards->operator.counted.samples += samples;
    for (size_t i = 0; i < shards->count; i++)
        whole->memory_peak = MAX(whole->memory_peak, shards->shards[i].exec.memory_peak);
    if (!keep) atomic_store(&whole->shard_bytes, 0);
    for (size_t i = 0; i < shards->count; i++) {
        if (shards->shards[i].state != SHARD_FAILED) continue;
        *err = shards->shards[i].err;
        return false;
    }
    assert(shards->merged == shards->count);
    return true;
}

// ---- All rows of a chain, in their order ----

typedef struct Gather {
    Operator operator;
    Shards *shards;
    StepBatch *parts;
    size_t part;
    bool ran;
} Gather;

static bool gather_work(void *context, Exec *exec, size_t i, Error *err) {
    Gather *gather = context;
    Operator *operator;
    TRY(operator_open(exec, gather->operator.expr, gather->operator.steps, &operator, err));
    return operator_collect(operator, exec->arena, &gather->parts[i], err);
}

static bool gather_merge(void *context, size_t i, Error *err) {
    (void)context, (void)i, (void)err;
    return true;
}

static bool gather_next(Operator *operator, StepBatch * out, Error *err) {
    Gather *gather = (Gather *)operator;
    size_t count = shards_count(gather->shards);
    if (!gather->ran) {
        gather->ran = true;
        gather->parts = arena_push_array(&operator->keep, StepBatch, count);
        TRY(shards_run(gather->shards, gather_work, gather_merge, gather, true, err));
    }
    while (gather->part < count && out->count == 0) *out = gather->parts[gather->part++];
    return true;
}

bool shards_gather(Shards *shards, const Expr *expr, Operator **out, Error *err) {
    Exec *exec = shards->operator.exec;
    // Rows that are put one behind the other have the same bits wherever they were parted: a few
    // hundred series are parted evenly among the threads.
    size_t found = shards->found.count, threads = query_pool_helpers(exec->request->pool) + 1;
    size_t parts = MAX(MIN(threads, found / GATHER_SERIES_MIN),
                       (found + SHARD_SERIES_MIN - 1) / SHARD_SERIES_MIN);
    if (parts > 1) split(shards, (found + parts - 1) / parts);
    if (shards_count(shards) == 1) return shards_open_whole(shards, expr, out, err);
    Gather *gather = operator_new(exec, Gather, expr, shards->operator.steps, gather_next);
    gather->shards = shards;
    gather->operator.one_name = shards->one_name;
    *out = &gather->operator;
    return true;
}

bool gather_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err) {
    *out = NULL;
    if (exec->request->pool == NULL && exec->request->shard_series == 0) return true;
    Shards *shards;
    TRY(shards_open(exec, expr, steps, NULL, &shards, err));
    return shards == NULL || shards_gather(shards, expr, out, err);
}
