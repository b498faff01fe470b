// Equal label sets after a name was dropped or a label replaced: merged when they take turns,
// refused when they meet.

#include "query/exec/exec.h"

bool series_unique(Exec *exec, StepBatch *batch, Steps steps, Arena *arena, Error *err) {
    Map seen = map_begin(arena, exec->hash_key);
    size_t kept = 0;
    for (size_t i = 0; i < batch->count; i++) {
        StepSeries *series = &batch->at[i];
        void **slot = map_put(&seen, bytes_text(series->labels.wire));
        StepSeries *first = *slot;
        if (first == NULL) {
            batch->at[kept] = *series;
            *slot = &batch->at[kept++];
            continue;
        }
        first->drop_name |= series->drop_name;
        if (series->histograms != NULL && first->histograms == NULL)
            first->histograms = histogram_column_new(arena, steps);
        for (size_t step = 0; step < steps.count; step++) {
            if (step_is_empty(series, step)) continue;
            if (!step_is_empty(first, step)) {
                return error_set(err, ERROR_BAD_INPUT,
                                 "vector cannot contain metrics with the same labelset");
            }
            first->values[step] = series->values[step];
            if (series->histograms != NULL) first->histograms[step] = series->histograms[step];
        }
    }
    batch->count = kept;
    return true;
}

typedef struct Unique {
    Operator operator;
    Operator *inner;
    bool done;
} Unique;

static bool unique_next(Operator *operator, StepBatch * out, Error *err) {
    Unique *unique = (Unique *)operator;
    if (unique->done) return true;
    unique->done = true;
    TRY(operator_collect(unique->inner, &operator->keep, out, err));
    return series_unique(operator->exec, out, operator->steps, &operator->keep, err);
}

Operator *unique_open(Exec *exec, Operator *inner) {
    // With delayed names nothing is dropped yet; the result is looked at once, at the end.
    if (exec->request->delayed_names || inner->one_name) return inner;
    Unique *unique = operator_new(exec, Unique, inner->expr, inner->steps, unique_next);
    unique->inner = inner;
    return &unique->operator;
}
