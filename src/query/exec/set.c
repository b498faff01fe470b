// and, or, unless: which series stay, decided step by step by whether the other side has something
// that matches.

#include "query/exec/exec.h"

typedef struct SetOperator {
    Operator operator;
    Operator *left, *right;
    Map present;  // matching labels to a byte per step
    bool left_done, right_done;
} SetOperator;

static Labels match_labels(SetOperator *set, Labels labels, Arena *arena) {
    const VectorMatching *rule = &set->operator.expr->as.binary.matching;
    Exec *exec = set->operator.exec;
    return rule->on ? labels_keep(exec, labels, rule->labels, arena)
                    : labels_remove(exec, labels, rule->labels, true, arena);
}

// Marks where the series of a batch have values.
static void mark(SetOperator *set, StepBatch batch) {
    size_t steps = set->operator.steps.count;
    for (size_t i = 0; i < batch.count; i++) {
        Labels labels = match_labels(set, batch.at[i].labels, &set->operator.batch);
        void **slot = map_put(&set->present, bytes_text(labels.wire));
        if (*slot == NULL) *slot = arena_push_array(&set->operator.keep, uint8_t, steps);
        uint8_t *marks = *slot;
        for (size_t step = 0; step < steps; step++)
            marks[step] |= !step_is_empty(&batch.at[i], step);
    }
}

// Leaves only the steps whose mark is (`wanted`) or is not set; series without any go.
static void filter(SetOperator *set, StepBatch *batch, bool wanted) {
    size_t steps = set->operator.steps.count, kept = 0;
    for (size_t i = 0; i < batch->count; i++) {
        StepSeries *series = &batch->at[i];
        Labels labels = match_labels(set, series->labels, &set->operator.batch);
        const uint8_t *marks = map_get(&set->present, bytes_text(labels.wire));
        bool any = false;
        for (size_t step = 0; step < steps; step++) {
            bool marked = marks != NULL && marks[step];
            if (marked != wanted) {
                series->values[step] = ABSENT;
                if (series->histograms != NULL) series->histograms[step] = NULL;
            }
            any |= !step_is_empty(series, step);
        }
        if (any) batch->at[kept++] = *series;
    }
    batch->count = kept;
}

// Batches of `from` until one has something left; an empty one only at the end.
static bool next_filtered(SetOperator *set, Operator *from, bool wanted, StepBatch *out,
                          Error *err) {
    do {
        TRY(operator_next(from, out, err));
        if (out->count == 0) return true;
        filter(set, out, wanted);
    } while (out->count == 0);
    return true;
}

static bool or_next(Operator *operator, StepBatch * out, Error *err) {
    SetOperator *set = (SetOperator *)operator;
    if (!set->left_done) {
        TRY(operator_next(set->left, out, err));
        if (out->count > 0) {
            mark(set, *out);
            return true;
        }
        set->left_done = true;
    }
    return next_filtered(set, set->right, false, out, err);
}

static bool and_unless_next(Operator *operator, StepBatch * out, Error *err) {
    SetOperator *set = (SetOperator *)operator;
    while (!set->right_done) {
        TRY(operator_next(set->right, out, err));
        mark(set, *out);
        arena_clear(&operator->batch);
        set->right_done = out->count == 0;
    }
    return next_filtered(set, set->left, operator->expr->as.binary.op == OP_AND, out, err);
}

bool set_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err) {
    bool is_or = expr->as.binary.op == OP_OR;
    SetOperator *set =
        operator_new(exec, SetOperator, expr, steps, is_or ? or_next : and_unless_next);
    set->present = map_begin(&set->operator.keep, exec->hash_key);
    TRY(operator_open(exec, expr->as.binary.left, steps, &set->left, err));
    TRY(operator_open(exec, expr->as.binary.right, steps, &set->right, err));
    set->operator.one_name = !is_or && set->left->one_name;
    *out = is_or ? unique_open(exec, &set->operator) : &set->operator;
    return true;
}
