// absent() and absent_over_time(): one element where there is none.

#include "query/exec/exec.h"

typedef struct Absent {
    Operator operator;
    Operator *inner;      // of absent()
    RangeSource *source;  // of absent_over_time()
    const Expr *argument;
    bool done;
} Absent;

// The labels that the selector asks for by equality, each only when it is asked for once.
static Labels asked_for(Exec *exec, const Expr *argument, Arena *arena) {
    Labels labels = LABELS_NONE;
    if (argument->kind != EXPR_SELECTOR) return labels;
    Matchers matchers = argument->as.selector.matchers;
    for (size_t i = 0; i < matchers.count; i++) {
        const Matcher *matcher = &matchers.at[i];
        if (text_equal(matcher->name, LABEL_NAME)) continue;
        bool before = false;
        for (size_t j = 0; j < i; j++) {
            before |= matchers.at[j].kind == MATCH_EQUAL &&
                      text_equal(matchers.at[j].name, matcher->name);
        }
        bool wanted = matcher->kind == MATCH_EQUAL && !before;
        labels = labels_set(exec, labels, matcher->name, wanted ? matcher->value : TEXT(""), arena);
    }
    return labels;
}

static bool mark_vector(Absent *absent, double *column, Error *err) {
    StepBatch batch;
    do {
        TRY(operator_next(absent->inner, &batch, err));
        for (size_t i = 0; i < batch.count; i++) {
            for (size_t step = 0; step < absent->operator.steps.count; step++) {
                if (!step_is_empty(&batch.at[i], step)) column[step] = ABSENT;
            }
        }
    } while (batch.count > 0);
    return true;
}

static void mark_windows(RangeInput *in, const int64_t *times, size_t count, double *column) {
    in->times = times;
    in->count = count;
    Window window = {0};
    for (size_t step = 0; step < in->steps.count; step++) {
        window_move(&window, in, step);
        if (window.to > window.from) column[step] = ABSENT;
    }
}

static bool mark_range(Absent *absent, double *column, Error *err) {
    Steps steps = absent->operator.steps;
    RangeInput in = {.steps = steps};
    range_windows(absent->operator.exec, absent->argument, steps, &in.first_end_ms, &in.step_ms,
                  &in.range_ms);
    for (;;) {
        RangeSeries series;
        bool more;
        TRY(range_source_next(absent->source, &series, &more, err));
        if (!more) return true;
        mark_windows(&in, series.times, series.count, column);
        if (series.histogram_count > 0)
            mark_windows(&in, series.histogram_times, series.histogram_count, column);
    }
}

static bool absent_next(Operator *operator, StepBatch * out, Error *err) {
    Absent *absent = (Absent *)operator;
    if (absent->done) return true;
    absent->done = true;
    double *column = column_new(&operator->keep, operator->steps);
    column_fill(column, operator->steps, 1);
    TRY(absent->inner != NULL ? mark_vector(absent, column, err) : mark_range(absent, column, err));
    bool any = false;
    for (size_t i = 0; i < operator->steps.count; i++) any |= !is_absent(column[i]);
    if (!any) return true;
    out->at = arena_push(&operator->batch, StepSeries);
    *out->at = (StepSeries){asked_for(operator->exec, absent->argument, &operator->keep), false,
                            false, column, NULL};
    out->count = 1;
    return true;
}

bool absent_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err) {
    Absent *absent = operator_new(exec, Absent, call, steps, absent_next);
    absent->operator.one_name = true;
    absent->argument = expr_inner(call->as.call.args[0]);
    *out = &absent->operator;
    if (call->as.call.function->id == FUNCTION_ABSENT)
        return operator_open(exec, absent->argument, steps, &absent->inner, err);
    RangeKernel none = NULL;
    TRY(range_extended_kernel(call->as.call.function, matrix_extent(absent->argument), &none, err));
    return range_source_open(exec, absent->argument, steps, call->as.call.function, &absent->source,
                             err);
}
