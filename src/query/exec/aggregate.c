// Aggregations that fold: sum, avg, min, max, count, group, stddev, stdvar.
//
// Batches of the input are folded into one set of columns per group as they come, so that memory
// follows the result.

#include "base/assert.h"
#include "query/exec/shard.h"

// The native histograms of one step of a group (sum and avg).
typedef struct HistogramFold {
    bool any, mixed_schemas;
    bool resets, no_resets;  // hints that were seen
    HistogramJoin join;
    HistogramMean mean;  // of sum only its sum
} HistogramFold;

typedef struct Group {
    Labels labels;
    bool drop_name;
    double *value;  // the sum, the extreme, the mean so far
    double *rest;   // compensation, or the sum of squares
    double *count;
    uint8_t *incremental;       // avg: the sum overflowed, `value` is the mean
    HistogramFold *histograms;  // one per step, made with the first histogram of the group
    struct Group *next;
} Group;

// Groups that series, or other groups, are folded into: those of the aggregation, or of a shard.
typedef struct Groups {
    Exec *exec;
    const Expr *expr;
    Steps steps;
    Arena *arena, *scratch;
    Map by_labels;
    Group *first;
    Group **end;
    _Atomic bool *abandoned;  // of a shard: set where it met what shards cannot do; else NULL
    Group *last;              // of the last series: neighbours often share it
    // The groups of label bytes that last, by where these lie: series with the same labels, as far
    // as they matter here, mostly share them.
    struct KnownBytes {
        Bytes wire;
        Group *group;
    } *known;
    size_t known_slots, known_count;
} Groups;

typedef struct Aggregate {
    Operator operator;
    Operator *inner;  // NULL: in shards
    Shards *shards;
    Groups groups;
    Groups *partial;  // of each shard
    Group *emit;
    bool folded;
    _Atomic bool abandoned;
} Aggregate;

static void groups_begin(Groups *groups, Exec *exec, const Expr *expr, Steps steps, Arena *arena,
                         Arena *scratch) {
    *groups = (Groups){.exec = exec,
                       .expr = expr,
                       .steps = steps,
                       .arena = arena,
                       .scratch = scratch,
                       .by_labels = map_begin(arena, exec->hash_key)};
    groups->end = &groups->first;
}

static Group *group_make(Groups *groups, Labels labels) {
    Arena *arena = groups->arena;
    Steps steps = groups->steps;
    AggregateOp op = groups->expr->as.aggregate.op;
    Group *group = arena_push(arena, Group);
    group->labels.wire = bytes_copy(labels.wire, arena);
    group->value = column_new(arena, steps);
    column_fill(group->value, steps, ABSENT);
    bool counts = op == AGG_AVG || op == AGG_STDDEV || op == AGG_STDVAR;
    if (counts) group->count = arena_push_array(arena, double, steps.count);
    if (counts || op == AGG_SUM) group->rest = arena_push_array(arena, double, steps.count);
    if (op == AGG_AVG) group->incremental = arena_push_array(arena, uint8_t, steps.count);
    *groups->end = group;
    groups->end = &group->next;
    return group;
}

static bool is_one_group(const Expr *expr) {
    return !expr->as.aggregate.without && expr->as.aggregate.labels.count == 0;
}

static Group *group_with(Groups *groups, Labels labels) {
    if (is_one_group(groups->expr))
        return groups->first != NULL ? groups->first : group_make(groups, LABELS_NONE);
    if (groups->last != NULL && labels_equal(groups->last->labels, labels)) return groups->last;
    void **slot = map_put(&groups->by_labels, bytes_text(labels.wire));
    if (*slot == NULL) *slot = group_make(groups, labels);
    return groups->last = *slot;
}

static struct KnownBytes *known_slot(const Groups *groups, Bytes wire) {
    size_t at = hash_id((uintptr_t)wire.at ^ (uint64_t)wire.len << 48) & (groups->known_slots - 1);
    for (;; at = (at + 1) & (groups->known_slots - 1)) {
        struct KnownBytes *known = &groups->known[at];
        if (known->group == NULL || (known->wire.at == wire.at && known->wire.len == wire.len))
            return known;
    }
}

static void known_grow(Groups *groups) {
    const struct KnownBytes *before = groups->known;
    size_t count = groups->known_slots;
    groups->known_slots = count == 0 ? 256 : count * 4;
    groups->known = arena_push_size(groups->arena, groups->known_slots * sizeof *groups->known,
                                    _Alignof(struct KnownBytes));
    for (size_t i = 0; i < count; i++) {
        if (before[i].group != NULL) *known_slot(groups, before[i].wire) = before[i];
    }
}

static Group *group_by_labels(Groups *groups, Labels series) {
    const Expr *expr = groups->expr;
    Exec *exec = groups->exec;
    Labels labels =
        expr->as.aggregate.without
            ? labels_remove(exec, series, expr->as.aggregate.labels, true, groups->scratch)
            : labels_keep_view(exec, series, expr->as.aggregate.labels);
    return group_with(groups, labels);
}

static Group *group_of(Groups *groups, const StepSeries *series) {
    if (is_one_group(groups->expr)) return group_with(groups, LABELS_NONE);
    if (!series->lasting || groups->expr->as.aggregate.without)
        return group_by_labels(groups, series->labels);
    if ((groups->known_count + 1) * 4 >= groups->known_slots * 3) known_grow(groups);
    struct KnownBytes *known = known_slot(groups, series->labels.wire);
    if (known->group == NULL) {
        *known = (struct KnownBytes){series->labels.wire, group_by_labels(groups, series->labels)};
        groups->known_count++;
    }
    return known->group;
}

// ---- Folding one series into its group ----

static inline MaskPair pair_absent(DoublePair pair) {
    double absent = ABSENT;
    int64_t bits;
    memcpy(&bits, &absent, sizeof bits);
    return (MaskPair)pair == bits;
}

static void fold_sum(Group *group, const double *values, size_t steps) {
    size_t i = 0;
    for (; i + 2 <= steps; i += 2) {
        DoublePair value, sum, rest;
        memcpy(&value, values + i, sizeof value);
        memcpy(&sum, group->value + i, sizeof sum);
        memcpy(&rest, group->rest + i, sizeof rest);
        KahanPair next = {sum, rest};
        kahan_pair_add(&next, value);
        MaskPair none = pair_absent(value), first = pair_absent(sum);
        sum = pair_choose(none, sum, pair_choose(first, value, next.sum));
        rest = pair_choose(none | first, rest, next.rest);
        memcpy(group->value + i, &sum, sizeof sum);
        memcpy(group->rest + i, &rest, sizeof rest);
    }
    for (; i < steps; i++) {
        if (is_absent(values[i])) continue;
        if (is_absent(group->value[i])) {
            group->value[i] = values[i];
            continue;
        }
        KahanSum sum = {group->value[i], group->rest[i]};
        kahan_add(&sum, values[i]);
        group->value[i] = sum.sum;
        group->rest[i] = sum.rest;
    }
}

static void fold_avg(Group *group, const double *values, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(values[i])) continue;
        double n = ++group->count[i];
        if (n == 1) {
            group->value[i] = values[i];
            continue;
        }
        KahanSum sum = {group->value[i], group->rest[i]};
        if (!group->incremental[i]) {
            KahanSum next = sum;
            kahan_add(&next, values[i]);
            if (!isinf(next.sum)) {
                group->value[i] = next.sum;
                group->rest[i] = next.rest;
                continue;
            }
            group->incremental[i] = 1;
            sum = (KahanSum){sum.sum / (n - 1), sum.rest / (n - 1)};
        }
        double share = (n - 1) / n;
        sum = (KahanSum){share * sum.sum, share * sum.rest};
        kahan_add(&sum, values[i] / n);
        group->value[i] = sum.sum;
        group->rest[i] = sum.rest;
    }
}

// NaN stays only when there is nothing else.
static void fold_min(Group *group, const double *values, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(values[i])) continue;
        if (isnan(group->value[i]) || group->value[i] > values[i]) group->value[i] = values[i];
    }
}

static void fold_max(Group *group, const double *values, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(values[i])) continue;
        if (isnan(group->value[i]) || group->value[i] < values[i]) group->value[i] = values[i];
    }
}

static void fold_count(Group *group, const double *values, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(values[i])) continue;
        group->value[i] = is_absent(group->value[i]) ? 1 : group->value[i] + 1;
    }
}

static void fold_group(Group *group, const double *values, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (!is_absent(values[i])) group->value[i] = 1;
    }
}

// Welford's running mean (`value`) and sum of squares (`rest`).
static void fold_spread(Group *group, const double *values, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(values[i])) continue;
        double n = ++group->count[i];
        if (n == 1) {
            group->value[i] = values[i];
            group->rest[i] = isfinite(values[i]) ? 0 : NAN;
            continue;
        }
        double delta = values[i] - group->value[i];
        group->value[i] += delta / n;
        group->rest[i] += delta * (values[i] - group->value[i]);
    }
}

typedef void (*Fold)(Group *group, const double *values, size_t steps);
static const Fold folds[] = {
    // ORDER: AggregateOp
    fold_sum, fold_avg, fold_min, fold_max, fold_count, fold_group, fold_spread, fold_spread,
};
_Static_assert(COUNT(folds) == AGG_TOPK, "one fold for each aggregation that folds");

static void finish(AggregateOp op, Group *group, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        double value = group->value[i];
        if (is_absent(value)) continue;
        if (op == AGG_SUM) group->value[i] = isinf(value) ? value : value + group->rest[i];
        if (op == AGG_AVG) {
            double n = group->incremental[i] ? 1 : group->count[i];
            group->value[i] = value / n + group->rest[i] / n;
        }
        if (op == AGG_STDVAR) group->value[i] = group->rest[i] / group->count[i];
        if (op == AGG_STDDEV) group->value[i] = sqrt(group->rest[i] / group->count[i]);
    }
}

// ---- Native histograms ----

static void fold_one(Groups *groups, HistogramFold *fold, const Histogram *histogram,
                     Labels labels) {
    Exec *exec = groups->exec;
    const Expr *expr = groups->expr;
    fold->resets |= histogram->reset_hint == HISTOGRAM_RESET_YES;
    fold->no_resets |= histogram->reset_hint == HISTOGRAM_RESET_NO;
    if (fold->mixed_schemas) return;
    if (!fold->any) {
        fold->any = true;
        histogram_mean_begin(&fold->mean, histogram, groups->arena);
        return;
    }
    bool added = expr->as.aggregate.op == AGG_AVG
                     ? histogram_mean_add(&fold->mean, histogram, &fold->join)
                     : histogram_sum_add(&fold->mean.sum, histogram, 1, &fold->join);
    if (added) return;
    fold->mixed_schemas = true;
    note_mixed_schemas(exec, expr->as.aggregate.expr->range, labels);
}

static bool fold_histograms(Groups *groups, Group *group, const StepSeries *series, Error *err) {
    Arena *arena = groups->arena;
    size_t steps = groups->steps.count;
    AggregateOp op = groups->expr->as.aggregate.op;
    bool sums = op == AGG_SUM || op == AGG_AVG;
    if (sums && groups->abandoned != NULL) {  // of a shard: sums of these are not put together
        atomic_store(groups->abandoned, true);
        return error_set(err, ERROR_UNSUPPORTED, "native histograms are not folded in shards");
    }
    if (sums && group->histograms == NULL)
        group->histograms = arena_push_array(arena, HistogramFold, steps);
    for (size_t i = 0; i < steps; i++) {
        if (series->histograms[i] == NULL) continue;
        if (sums) {
            fold_one(groups, &group->histograms[i], series->histograms[i], series->labels);
            TRY(exec_tick_histograms(groups->exec, i, err));
        } else if (op == AGG_GROUP) {
            group->value[i] = 1;
        } else if (op == AGG_COUNT) {
            group->value[i] = is_absent(group->value[i]) ? 1 : group->value[i] + 1;
        }
    }
    return true;
}

// min, max, stddev and stdvar know only floats.
static bool ignores_histograms(AggregateOp op) {
    return op == AGG_MIN || op == AGG_MAX || op == AGG_STDDEV || op == AGG_STDVAR;
}

static void ignore_histograms(Groups *groups, StepSeries *series) {
    const Expr *expr = groups->expr;
    bool any = false;
    for (size_t i = 0; i < groups->steps.count; i++) any |= series->histograms[i] != NULL;
    series->histograms = NULL;
    if (any)
        note_ignored_in_aggregation(groups->exec, expr->as.aggregate.expr->range,
                                    aggregate_op_name(expr->as.aggregate.op));
}

// The sums of a group as a column; steps that also had floats, or both kinds of bounds, have none.
static const Histogram **finish_histograms(Aggregate *aggregate, Group *group) {
    Exec *exec = aggregate->operator.exec;
    const Expr *expr = aggregate->operator.expr;
    SourceRange range = expr->as.aggregate.expr->range;
    Steps steps = aggregate->operator.steps;
    const Histogram **out = histogram_column_new(&aggregate->operator.keep, steps);
    for (size_t i = 0; i < steps.count; i++) {
        HistogramFold *fold = &group->histograms[i];
        if (!fold->any) continue;
        fold->join.collision = fold->resets && fold->no_resets;
        note_join(exec, range, fold->join, "aggregation");
        if (!is_absent(group->value[i])) {
            exec_note(exec, NOTE_WARNING, range,
                      "encountered a mix of histograms and floats for aggregation");
            group->value[i] = ABSENT;
            continue;
        }
        if (fold->mixed_schemas) continue;
        out[i] = expr->as.aggregate.op == AGG_AVG ? histogram_mean_end(&fold->mean)
                                                  : histogram_sum_end(&fold->mean.sum);
    }
    return out;
}

static bool fold_all(Groups *groups, Operator *inner, Error *err) {
    size_t steps = groups->steps.count;
    AggregateOp op = groups->expr->as.aggregate.op;
    Fold fold = folds[op];
    StepBatch batch;
    do {
        TRY(operator_next(inner, &batch, err));
        for (size_t i = 0; i < batch.count; i++) {
            StepSeries *series = &batch.at[i];
            if (series->histograms != NULL && ignores_histograms(op))
                ignore_histograms(groups, series);
            if (series_is_empty(series, groups->steps)) continue;
            Group *group = group_of(groups, series);
            // A name that is still to be dropped goes for the group when any member drops it.
            group->drop_name |= series->drop_name;
            fold(group, series->values, steps);
            if (series->histograms != NULL) TRY(fold_histograms(groups, group, series, err));
        }
        arena_clear(groups->scratch);
    } while (batch.count > 0);
    return true;
}

// ---- Shards: each folds by itself, then their groups are put together in order ----

static void unite_sum(Group *group, const Group *part, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(part->value[i])) continue;
        if (is_absent(group->value[i])) {
            group->value[i] = part->value[i];
            group->rest[i] = part->rest[i];
            continue;
        }
        KahanSum sum = {group->value[i], group->rest[i]};
        kahan_add(&sum, part->value[i]);
        group->value[i] = sum.sum;
        group->rest[i] = isinf(sum.sum) ? 0 : sum.rest + part->rest[i];
    }
}

// The sum, or the mean as soon as the sum is too large for a double.
static void unite_avg(Group *group, const Group *part, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        double before = group->count[i], more = part->count[i], all = before + more;
        if (more == 0) continue;
        group->count[i] = all;
        if (before == 0) {
            group->value[i] = part->value[i];
            group->rest[i] = part->rest[i];
            group->incremental[i] = part->incremental[i];
            continue;
        }
        KahanSum sum = {group->value[i], group->rest[i]};
        KahanSum other = {part->value[i], part->rest[i]};
        if (!group->incremental[i] && !part->incremental[i]) {
            KahanSum both = sum;
            kahan_add(&both, other.sum);
            if (!isinf(both.sum)) {
                group->value[i] = both.sum;
                group->rest[i] = both.rest + other.rest;
                continue;
            }
        }
        double by = group->incremental[i] ? before / all : 1 / all;
        double other_by = part->incremental[i] ? more / all : 1 / all;
        sum = (KahanSum){sum.sum * by, sum.rest * by};
        kahan_add(&sum, other.sum * other_by);
        group->value[i] = sum.sum;
        group->rest[i] = isinf(sum.sum) ? 0 : sum.rest + other.rest * other_by;
        group->incremental[i] = 1;
    }
}

static void unite_count(Group *group, const Group *part, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(part->value[i])) continue;
        group->value[i] =
            is_absent(group->value[i]) ? part->value[i] : group->value[i] + part->value[i];
    }
}

// Means and sums of squares of two parts (Chan, Golub, LeVeque).
static void unite_spread(Group *group, const Group *part, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        double before = group->count[i], more = part->count[i], all = before + more;
        if (more == 0) continue;
        group->count[i] = all;
        if (before == 0) {
            group->value[i] = part->value[i];
            group->rest[i] = part->rest[i];
            continue;
        }
        double delta = part->value[i] - group->value[i];
        group->value[i] += delta * (more / all);
        group->rest[i] += part->rest[i] + delta * delta * (before * more / all);
    }
}

static void unite(AggregateOp op, Group *group, const Group *part, size_t steps) {
    group->drop_name |= part->drop_name;
    switch ((int)op) {
        case AGG_SUM:
            unite_sum(group, part, steps);
            return;
        case AGG_AVG:
            unite_avg(group, part, steps);
            return;
        case AGG_COUNT:
            unite_count(group, part, steps);
            return;
        case AGG_STDDEV:
        case AGG_STDVAR:
            unite_spread(group, part, steps);
            return;
        default:  // extremes, and group: the same again
            folds[op](group, part->value, steps);
            return;
    }
}

static bool fold_shard(void *context, Exec *exec, size_t shard, Error *err) {
    Aggregate *aggregate = context;
    const Expr *expr = aggregate->operator.expr;
    Operator *inner;
    TRY(operator_open(exec, expr->as.aggregate.expr, aggregate->operator.steps, &inner, err));
    // The arena of the operator is charged and dies with the shard.
    Arena *scratch = arena_push(exec->arena, Arena);
    groups_begin(&aggregate->partial[shard], exec, expr, aggregate->operator.steps, exec->arena,
                 scratch);
    aggregate->partial[shard].abandoned = &aggregate->abandoned;
    bool folded = fold_all(&aggregate->partial[shard], inner, err);
    arena_free(scratch);
    return folded;
}

static bool unite_shard(void *context, size_t shard, Error *err) {
    (void)err;
    Aggregate *aggregate = context;
    AggregateOp op = aggregate->operator.expr->as.aggregate.op;
    for (Group *part = aggregate->partial[shard].first; part != NULL; part = part->next)
        unite(op, group_with(&aggregate->groups, part->labels), part,
              aggregate->operator.steps.count);
    return true;
}

static bool fold_everything(Aggregate *aggregate, Error *err) {
    if (aggregate->inner != NULL) return fold_all(&aggregate->groups, aggregate->inner, err);
    aggregate->partial =
        arena_push_array(&aggregate->operator.keep, Groups, shards_count(aggregate->shards));
    Exec *exec = aggregate->operator.exec;
    uint64_t samples = exec->samples;
    bool ran = shards_run(aggregate->shards, fold_shard, unite_shard, aggregate, false, err);
    if (ran || !atomic_load(&aggregate->abandoned)) return ran;
    // Native histograms turned up: everything anew, in one piece.
    exec->samples = samples;
    const Expr *expr = aggregate->operator.expr;
    groups_begin(&aggregate->groups, exec, expr, aggregate->operator.steps,
                 &aggregate->operator.keep, &aggregate->operator.batch);
    TRY(shards_open_whole(aggregate->shards, expr->as.aggregate.expr, &aggregate->inner, err));
    return fold_all(&aggregate->groups, aggregate->inner, err);
}

static bool aggregate_next(Operator *operator, StepBatch * out, Error *err) {
    Aggregate *aggregate = (Aggregate *)operator;
    if (!aggregate->folded) {
        TRY(fold_everything(aggregate, err));
        aggregate->folded = true;
        aggregate->emit = aggregate->groups.first;
    }
    size_t rows = batch_rows(operator->steps);
    out->at = arena_push_array_raw(&operator->batch, StepSeries, rows);
    for (; aggregate->emit != NULL && out->count < rows; aggregate->emit = aggregate->emit->next) {
        Group *group = aggregate->emit;
        const Histogram **histograms =
            group->histograms == NULL ? NULL : finish_histograms(aggregate, group);
        finish(operator->expr->as.aggregate.op, group, operator->steps.count);
        out->at[out->count++] =
            (StepSeries){group->labels, group->drop_name, false, group->value, histograms};
    }
    return true;
}

// What is grouped by, and the name, which notes about a series speak of.
static Texts labels_needed(const Expr *expr, Arena *arena) {
    Texts by = expr->as.aggregate.labels;
    Text *names = arena_push_array(arena, Text, by.count + 1);
    if (by.count > 0) memcpy(names, by.at, by.count * sizeof *names);
    names[by.count] = LABEL_NAME;
    return (Texts){names, by.count + 1};
}

bool aggregate_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err) {
    Aggregate *aggregate = operator_new(exec, Aggregate, expr, steps, aggregate_next);
    groups_begin(&aggregate->groups, exec, expr, steps, &aggregate->operator.keep,
                 &aggregate->operator.batch);
    aggregate->operator.one_name = true;  // groups differ in the labels that are left
    for (size_t i = 0; i < expr->as.aggregate.labels.count && !expr->as.aggregate.without; i++) {
        if (text_equal(expr->as.aggregate.labels.at[i], LABEL_NAME))
            aggregate->operator.one_name = false;
    }
    *out = &aggregate->operator;
    const Expr *over = expr->as.aggregate.expr;
    Texts by = labels_needed(expr, &aggregate->operator.keep);
    TRY(shards_open(exec, over, steps, expr->as.aggregate.without ? NULL : &by, &aggregate->shards,
                    err));
    if (aggregate->shards == NULL) return operator_open(exec, over, steps, &aggregate->inner, err);
    if (shards_count(aggregate->shards) > 1) return true;
    return shards_open_whole(aggregate->shards, over, &aggregate->inner, err);
}
