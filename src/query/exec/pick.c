// Aggregations that need all members of a group: topk, bottomk, limitk, limit_ratio, quantile,
// count_values.

#include "query/exec/exec.h"

#include <stdlib.h>

#include "base/assert.h"
#include "codec/number.h"

typedef struct Group {
    Labels labels;
    bool drop_name;
    ARRAY(StepSeries *) members;  // on the operator's arena
    struct Group *next;
} Group;

typedef struct Pick {
    Operator operator;
    Operator *inner;
    double *param;
    Text label;  // of count_values
    Group *first;
    size_t looked_at;  // values since the last tick
    bool done;
} Pick;

// One group may hold all series: limits are looked at after so many values, not after so many
// groups.
static bool pick_tick(Pick *pick, size_t values, Error *err) {
    enum { VALUES_MAX = 1 << 16 };
    pick->looked_at += values;
    if (pick->looked_at < VALUES_MAX) return true;
    pick->looked_at = 0;
    return exec_tick(pick->operator.exec, err);
}

static Labels group_labels(Pick *pick, Labels series, Arena *arena) {
    const Expr *expr = pick->operator.expr;
    if (expr->as.aggregate.without)
        return labels_remove(pick->operator.exec, series, expr->as.aggregate.labels, true, arena);
    return labels_keep(pick->operator.exec, series, expr->as.aggregate.labels, arena);
}

static void group_all(Pick *pick, StepBatch all) {
    Arena *arena = &pick->operator.keep;
    Map groups = map_begin(arena, pick->operator.exec->hash_key);
    Group **end = &pick->first;
    for (size_t i = 0; i < all.count; i++) {
        Labels labels = group_labels(pick, all.at[i].labels, arena);
        void **slot = map_put(&groups, bytes_text(labels.wire));
        if (*slot == NULL) {
            Group *made = arena_push(arena, Group);
            made->labels = labels;
            *end = made;
            end = &made->next;
            *slot = made;
        }
        Group *group = *slot;
        group->drop_name |= all.at[i].drop_name;
        *array_add_on(arena, &group->members) = &all.at[i];
    }
}

// ---- topk and bottomk: a heap of the k best per step, the worst on top ----

typedef struct Candidate {
    double value;
    size_t member;
} Candidate;

typedef struct Ranking {
    const Group *group;
    bool largest;
} Ranking;

// Does `a` rank before `b`? NaN ranks last. Equals rank by their labels, so that an answer does not
// depend on the order in which series come.
static bool ranks_before(Candidate a, Candidate b, const Ranking *ranking) {
    bool equal = a.value == b.value || (isnan(a.value) && isnan(b.value));
    if (equal)
        return labels_compare(ranking->group->members.at[a.member]->labels,
                              ranking->group->members.at[b.member]->labels) < 0;
    if (isnan(a.value) || isnan(b.value)) return isnan(b.value);
    return ranking->largest ? a.value > b.value : a.value < b.value;
}

static void sift_down(Candidate *heap, size_t count, size_t at, const Ranking *ranking) {
    for (;;) {
        size_t worst = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            if (ranks_before(heap[worst], heap[child], ranking)) worst = child;
        }
        if (worst == at) return;
        Candidate moved = heap[at];
        heap[at] = heap[worst];
        heap[worst] = moved;
        at = worst;
    }
}

static int by_rank(const void *a, const void *b, void *ranking) {
    const Candidate *left = a, *right = b;
    if (left->member == right->member) return 0;
    return ranks_before(*left, *right, ranking) ? -1 : 1;
}

// The k best of one step, best first; returns how many.
static size_t best_of(const Group *group, size_t step, size_t k, bool largest, Candidate *heap) {
    Ranking ranking = {group, largest};
    size_t count = 0;
    for (size_t i = 0; i < group->members.count; i++) {
        Candidate candidate = {group->members.at[i]->values[step], i};
        if (is_absent(candidate.value)) continue;
        if (count < k) {
            heap[count++] = candidate;
            if (count < k) continue;
            for (size_t at = count / 2; at > 0; at--) sift_down(heap, count, at - 1, &ranking);
        } else if (ranks_before(candidate, heap[0], &ranking)) {
            heap[0] = candidate;
            sift_down(heap, count, 0, &ranking);
        }
    }
    if (count > 0) qsort_r(heap, count, sizeof *heap, by_rank, &ranking);
    return count;
}

static void step_clear(StepSeries *series, size_t step) {
    series->values[step] = ABSENT;
    if (series->histograms != NULL) series->histograms[step] = NULL;
}

static size_t first_of(const Group *group, size_t step, size_t k, Candidate *chosen) {
    size_t count = 0;
    for (size_t i = 0; i < group->members.count && count < k; i++) {
        if (!step_is_empty(group->members.at[i], step)) chosen[count++].member = i;
    }
    return count;
}

// limit_ratio keeps a series by the place of its hash in [0, 1): the same series always, and -r is
// what 1-r leaves out.
static size_t share_of(const Group *group, size_t step, double ratio, Candidate *chosen) {
    static const HashKey fixed = {0x7261746966696564, 0x6c696d69745f7260};
    size_t count = 0;
    for (size_t i = 0; i < group->members.count; i++) {
        const StepSeries *series = group->members.at[i];
        if (step_is_empty(series, step)) continue;
        double place = (double)(hash_keyed(fixed, series->labels.wire) >> 11) * 0x1p-53;
        if (ratio >= 0 ? place < ratio : place >= 1 + ratio) chosen[count++].member = i;
    }
    return count;
}

// Chooses members step by step; what is not chosen becomes absent. For a single step `order` gets
// the chosen in rank.
static bool choose(Pick *pick, Group *group, StepBatch *order, Error *err) {
    Arena *scratch = &pick->operator.batch;
    AggregateOp op = pick->operator.expr->as.aggregate.op;
    size_t members = group->members.count, steps = pick->operator.steps.count;
    Candidate *chosen = arena_push_array(scratch, Candidate, members);
    uint8_t *stays = arena_push_array(scratch, uint8_t, members);
    for (size_t step = 0; step < steps; step++) {
        TRY(pick_tick(pick, members, err));
        double param = pick->param[step];
        size_t k = op == AGG_LIMIT_RATIO || param < 1 ? 0
                   : param >= (double)members         ? members
                                                      : (size_t)param;
        size_t count = op == AGG_LIMIT_RATIO ? share_of(group, step, param, chosen)
                       : k == 0              ? 0
                       : op == AGG_LIMITK    ? first_of(group, step, k, chosen)
                                             : best_of(group, step, k, op == AGG_TOPK, chosen);
        memset(stays, 0, members);
        for (size_t i = 0; i < count; i++) stays[chosen[i].member] = 1;
        for (size_t i = 0; i < members; i++) {
            if (!stays[i]) step_clear(group->members.at[i], step);
        }
        for (size_t i = 0; steps == 1 && i < count; i++)
            order->at[order->count++] = *group->members.at[chosen[i].member];
    }
    return true;
}

static bool choose_all(Pick *pick, StepBatch all, StepBatch *out, Error *err) {
    size_t steps = pick->operator.steps.count;
    StepBatch order = {arena_push_array_raw(&pick->operator.keep, StepSeries, all.count), 0};
    for (Group *group = pick->first; group != NULL; group = group->next) {
        TRY(choose(pick, group, &order, err));
        arena_clear(&pick->operator.batch);
        TRY(exec_tick(pick->operator.exec, err));
    }
    for (size_t i = 0; steps > 1 && i < all.count; i++) {
        if (!series_is_empty(&all.at[i], pick->operator.steps)) order.at[order.count++] = all.at[i];
    }
    *out = order;
    return true;
}

// ---- quantile ----

static bool any_float(const Group *group, Steps steps) {
    for (size_t i = 0; i < group->members.count; i++) {
        for (size_t step = 0; step < steps.count; step++) {
            if (!is_absent(group->members.at[i]->values[step])) return true;
        }
    }
    return false;
}

static bool quantile_all(Pick *pick, StepBatch *out, Error *err) {
    Arena *arena = &pick->operator.keep;
    Steps steps = pick->operator.steps;
    ARRAY(StepSeries) made = {0};
    for (Group *group = pick->first; group != NULL; group = group->next) {
        if (!any_float(group, steps)) continue;
        double *sorted = arena_push_array_raw(&pick->operator.batch, double, group->members.count);
        double *column = column_new(arena, steps);
        for (size_t step = 0; step < steps.count; step++) {
            TRY(pick_tick(pick, group->members.count, err));
            size_t count = 0;
            for (size_t i = 0; i < group->members.count; i++) {
                if (!is_absent(group->members.at[i]->values[step]))
                    sorted[count++] = group->members.at[i]->values[step];
            }
            values_sort(sorted, count);
            column[step] =
                count == 0 ? ABSENT : quantile_of_sorted(pick->param[step], sorted, count);
        }
        *array_add_on(arena, &made) = (StepSeries){group->labels, group->drop_name, false, column, NULL};
        arena_clear(&pick->operator.batch);
        TRY(exec_tick(pick->operator.exec, err));
    }
    *out = (StepBatch){made.at, made.count};
    return true;
}

// ---- count_values ----

// Is the value that of the step before?
static bool same_value(const StepSeries *series, size_t step) {
    return step > 0 && double_bits(series->values[step]) == double_bits(series->values[step - 1]) &&
           histogram_at(series, step) == histogram_at(series, step - 1);
}

static Text value_shown(const StepSeries *series, size_t step, Arena *arena) {
    AUTO(builder_free) Builder out = {0};
    if (histogram_at(series, step) != NULL) {
        histogram_print(series->histograms[step], &out);
    } else {
        char digits[400];
        builder_add(&out, (Text){digits, number_format_f64(series->values[step], digits)});
    }
    return text_copy(builder_text(&out), arena);
}

static bool count_values_all(Pick *pick, StepBatch *out, Error *err) {
    Arena *arena = &pick->operator.keep;
    Steps steps = pick->operator.steps;
    Exec *exec = pick->operator.exec;
    ARRAY(StepSeries *) made = {0};
    Map counted = map_begin(arena, exec->hash_key);
    for (Group *group = pick->first; group != NULL; group = group->next) {
        for (size_t i = 0; i < group->members.count; i++) {
            const StepSeries *member = group->members.at[i];
            StepSeries *last = NULL;
            for (size_t step = 0; step < steps.count; step++) {
                if (step_is_empty(member, step)) continue;
                if (last == NULL || !same_value(member, step)) {
                    Text shown = value_shown(member, step, &pick->operator.batch);
                    Labels labels =
                        labels_set(exec, group->labels, pick->label, shown, &pick->operator.batch);
                    void **slot = map_put(&counted, bytes_text(labels.wire));
                    if (*slot == NULL) {
                        TRY(exec_tick(exec, err));  // each value that is new costs a column
                        StepSeries *series = arena_push(arena, StepSeries);
                        *series = (StepSeries){{bytes_copy(labels.wire, arena)},
                                               group->drop_name,
                                               false,
                                               column_new(arena, steps),
                                               NULL};
                        column_fill(series->values, steps, ABSENT);
                        *slot = series;
                        *array_add_on(arena, &made) = series;
                    }
                    last = *slot;
                }
                last->values[step] = is_absent(last->values[step]) ? 1 : last->values[step] + 1;
            }
            arena_clear(&pick->operator.batch);
            TRY(exec_tick(exec, err));
        }
    }
    *out = (StepBatch){arena_push_array(arena, StepSeries, made.count), made.count};
    for (size_t i = 0; i < made.count; i++) out->at[i] = *made.at[i];
    return true;
}

// ---- The operator ----

// What ranks values has no place for histograms.
static void ignore_histograms(Pick *pick, StepBatch *all) {
    const Expr *expr = pick->operator.expr;
    for (size_t i = 0; i < all->count; i++) {
        StepSeries *series = &all->at[i];
        bool any = false;
        for (size_t step = 0; series->histograms != NULL && step < pick->operator.steps.count;
             step++)
            any |= series->histograms[step] != NULL;
        series->histograms = NULL;
        if (any)
            note_ignored_in_aggregation(pick->operator.exec, expr->as.aggregate.expr->range,
                                        aggregate_op_name(expr->as.aggregate.op));
    }
}

static bool pick_next(Operator *operator, StepBatch * out, Error *err) {
    Pick *pick = (Pick *)operator;
    if (pick->done) return true;
    pick->done = true;
    StepBatch all;
    TRY(operator_collect(pick->inner, &operator->keep, &all, err));
    AggregateOp op = operator->expr->as.aggregate.op;
    if (op == AGG_TOPK || op == AGG_BOTTOMK || op == AGG_QUANTILE) ignore_histograms(pick, &all);
    group_all(pick, all);
    if (op == AGG_QUANTILE) return quantile_all(pick, out, err);
    if (op == AGG_COUNT_VALUES) return count_values_all(pick, out, err);
    return choose_all(pick, all, out, err);
}

static bool check_param(Pick *pick, Error *err) {
    Exec *exec = pick->operator.exec;
    const Expr *expr = pick->operator.expr;
    AggregateOp op = expr->as.aggregate.op;
    SourceRange range = expr->as.aggregate.param->range;
    for (size_t step = 0; step < pick->operator.steps.count; step++) {
        double value = pick->param[step];
        Text shown = number_shown(value, exec->arena);
        if (op == AGG_QUANTILE) {
            if (value >= 0 && value <= 1) continue;
            quantile_note(exec, range, value);
        } else if (op == AGG_LIMIT_RATIO) {
            if (isnan(value)) return error_set(err, ERROR_BAD_INPUT, "Ratio value is NaN");
            if (value >= -1 && value <= 1) continue;
            pick->param[step] = value > 1 ? 1 : -1;
            exec_note(exec, NOTE_WARNING, range,
                      "ratio value should be between -1 and 1, got %.*s, capping to %d",
                      TEXT_ARG(shown), value > 1 ? 1 : -1);
        } else {
            if (isnan(value)) return error_set(err, ERROR_BAD_INPUT, "Parameter value is NaN");
            if (value <= -0x1p63)
                return error_set(err, ERROR_BAD_INPUT, "Scalar value %.*s underflows int64",
                                 TEXT_ARG(shown));
            if (value >= 0x1p63)
                return error_set(err, ERROR_BAD_INPUT, "Scalar value %.*s overflows int64",
                                 TEXT_ARG(shown));
        }
    }
    return true;
}

static bool check_label(Text label, Arena *arena, Error *err) {
    if (label.len > 0 && text_is_utf8(label)) return true;
    AUTO(builder_free) Builder shown = {0};
    for (size_t i = 0; i < label.len && i < 64; i++) {
        unsigned char c = (unsigned char)label.at[i];
        if (c >= 0x20 && c < 0x7f) {
            builder_add_char(&shown, (char)c);
        } else {
            builder_addf(&shown, "\\x%02x", c);
        }
    }
    return error_set(err, ERROR_BAD_INPUT, "invalid label name \"%.*s\"",
                     TEXT_ARG(builder_text(&shown)));
}

bool pick_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err) {
    Pick *pick = operator_new(exec, Pick, expr, steps, pick_next);
    AggregateOp op = expr->as.aggregate.op;
    *out = &pick->operator;
    if (op == AGG_COUNT_VALUES) {
        pick->label = expr_inner(expr->as.aggregate.param)->as.string;
        TRY(check_label(pick->label, exec->arena, err));
    } else {
        TRY(scalar_eval(exec, expr->as.aggregate.param, steps, &pick->operator.keep, &pick->param,
                        err));
        TRY(check_param(pick, err));
    }
    TRY(operator_open(exec, expr->as.aggregate.expr, steps, &pick->inner, err));
    pick->operator.one_name = pick->inner->one_name && op != AGG_COUNT_VALUES;
    return true;
}
