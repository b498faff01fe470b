// Functions that change each value by itself: mathematics, clamp, round, sign; and unary minus.

#include "query/exec/exec.h"

#include "base/assert.h"

static const double PI_VALUE = 3.14159265358979323846;

static double sign(double v) {
    return v > 0 ? 1 : v < 0 ? -1 : v;
}
static double degrees(double v) {
    return v * 180 / PI_VALUE;
}
static double radians(double v) {
    return v * PI_VALUE / 180;
}
static double negated(double v) {
    return -v;
}
static double natural_log(double v) {
    return v < 0 ? NAN : log(v);
}

typedef struct MapRow {
    FunctionId id;
    double (*value)(double);
} MapRow;

static const MapRow rows[] = {
    {FUNCTION_ABS, fabs},    {FUNCTION_CEIL, ceil},   {FUNCTION_FLOOR, floor},
    {FUNCTION_EXP, exp},     {FUNCTION_SQRT, sqrt},   {FUNCTION_LN, natural_log},
    {FUNCTION_LOG2, log2},   {FUNCTION_LOG10, log10}, {FUNCTION_SIN, sin},
    {FUNCTION_COS, cos},     {FUNCTION_TAN, tan},     {FUNCTION_ASIN, asin},
    {FUNCTION_ACOS, acos},   {FUNCTION_ATAN, atan},   {FUNCTION_SINH, sinh},
    {FUNCTION_COSH, cosh},   {FUNCTION_TANH, tanh},   {FUNCTION_ASINH, asinh},
    {FUNCTION_ACOSH, acosh}, {FUNCTION_ATANH, atanh}, {FUNCTION_SGN, sign},
    {FUNCTION_DEG, degrees}, {FUNCTION_RAD, radians},
};

typedef struct ValueMap {
    Operator operator;
    Operator *inner;
    double (*value)(double);  // NULL: by id, with params
    FunctionId id;
    double *params[2];
} ValueMap;


static double with_params(const ValueMap *map, double v, size_t step) {
    double first = map->params[0][step];
    switch ((int)map->id) {
        case FUNCTION_CLAMP:
            return map->params[1][step] < first ? ABSENT : most(first, least(map->params[1][step], v));
        case FUNCTION_CLAMP_MIN:
            return most(first, v);
        case FUNCTION_CLAMP_MAX:
            return least(first, v);
        case FUNCTION_ROUND: {
            // Division by the inverse keeps round(x, 0.1) exact where 0.1 is not.
            double inverse = 1 / first;
            return floor(v * inverse + 0.5) / inverse;
        }
        default:
            unreachable("a function of several arguments without a kernel");
    }
}

// Unary minus is the one function here that a native histogram has a value of.
static bool negate_histograms(Operator *operator, StepSeries * series, Error *err) {
    Arena *arena = &operator->batch;
    const Histogram **column = histogram_column_new(arena, operator->steps);
    for (size_t i = 0; i < operator->steps.count; i++) {
        if (series->histograms[i] == NULL) continue;
        column[i] = histogram_scaled(series->histograms[i], -1, arena);
        TRY(exec_tick_histograms(operator->exec, i, err));
    }
    series->histograms = column;
    return true;
}

static bool values_next(Operator *operator, StepBatch * out, Error *err) {
    ValueMap *map = (ValueMap *)operator;
    TRY(operator_next(map->inner, out, err));
    for (size_t i = 0; i < out->count; i++) {
        double *values = out->at[i].values;
        if (out->at[i].histograms == NULL) {
        } else if (map->value == negated) {
            TRY(negate_histograms(operator, & out->at[i], err));
        } else {
            out->at[i].histograms = NULL;
        }
        for (size_t step = 0; step < operator->steps.count; step++) {
            if (is_absent(values[step])) continue;
            values[step] = map->value != NULL ? map->value(values[step])
                                              : with_params(map, values[step], step);
        }
        series_drop_name(operator->exec, &out->at[i], &operator->batch);
    }
    return true;
}

bool map_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err) {
    ValueMap *map = operator_new(exec, ValueMap, call, steps, values_next);
    map->id = call->as.call.function->id;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].id == map->id) map->value = rows[i].value;
    }
    TRY(operator_open(exec, call->as.call.args[0], steps, &map->inner, err));
    for (size_t i = 1; i < call->as.call.arg_count; i++) {
        TRY(scalar_eval(exec, call->as.call.args[i], steps, &map->operator.keep,
                        &map->params[i - 1], err));
    }
    if (map->id == FUNCTION_ROUND && map->params[0] == NULL) {
        map->params[0] = column_new(&map->operator.keep, steps);
        column_fill(map->params[0], steps, 1);
    }
    map->operator.one_name = map->inner->one_name;
    *out = unique_open(exec, &map->operator);
    return true;
}

bool unary_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err) {
    if (!expr->as.unary.negative) return operator_open(exec, expr->as.unary.expr, steps, out, err);
    ValueMap *map = operator_new(exec, ValueMap, expr, steps, values_next);
    map->value = negated;
    TRY(operator_open(exec, expr->as.unary.expr, steps, &map->inner, err));
    map->operator.one_name = map->inner->one_name;
    *out = unique_open(exec, &map->operator);
    return true;
}
