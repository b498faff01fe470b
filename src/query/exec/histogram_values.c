// histogram_count and kin: one number of each native histogram; floats have none.

#include "query/exec/exec.h"

#include "base/assert.h"

typedef struct Values {
    Operator operator;
    Operator *inner;
    FunctionId id;
} Values;

static double value_of(FunctionId id, const Histogram *histogram) {
    switch ((int)id) {
        case FUNCTION_HISTOGRAM_COUNT:
            return histogram->count;
        case FUNCTION_HISTOGRAM_SUM:
            return histogram->sum;
        case FUNCTION_HISTOGRAM_AVG:
            return histogram->sum / histogram->count;
        case FUNCTION_HISTOGRAM_STDVAR:
            return histogram_variance(histogram);
        case FUNCTION_HISTOGRAM_STDDEV:
            return sqrt(histogram_variance(histogram));
        default:
            unreachable("not a function of one histogram");
    }
}

static bool values_next(Operator *operator, StepBatch * out, Error *err) {
    Values *values = (Values *)operator;
    TRY(operator_next(values->inner, out, err));
    for (size_t i = 0; i < out->count; i++) {
        StepSeries *series = &out->at[i];
        for (size_t step = 0; step < operator->steps.count; step++) {
            const Histogram *histogram = histogram_at(series, step);
            series->values[step] = histogram == NULL ? ABSENT : value_of(values->id, histogram);
        }
        series->histograms = NULL;
        series_drop_name(operator->exec, series, &operator->batch);
    }
    return true;
}

bool histogram_value_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err) {
    Values *values = operator_new(exec, Values, call, steps, values_next);
    values->id = call->as.call.function->id;
    bool before = exec->stats_only;
    exec->stats_only =
        values->id != FUNCTION_HISTOGRAM_STDDEV && values->id != FUNCTION_HISTOGRAM_STDVAR;
    TRY(operator_open(exec, call->as.call.args[0], steps, &values->inner, err));
    exec->stats_only = before;
    values->operator.one_name = values->inner->one_name;
    *out = unique_open(exec, &values->operator);
    return true;
}
