// From the checked tree to operators, and scalar expressions to columns.

#include "query/exec/exec.h"

#include "base/assert.h"

typedef bool (*CallOpen)(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err);

// Which file computes a function. What takes a matrix goes to range.c, all else to the table of
// map.c.
static CallOpen call_open(const Function *function) {
    switch ((int)function->id) {
        case FUNCTION_ABSENT:
        case FUNCTION_ABSENT_OVER_TIME:
            return absent_open;
        case FUNCTION_VECTOR:
            return vector_open;
        case FUNCTION_TIMESTAMP:
            return timestamp_open;
        case FUNCTION_START_TIMESTAMP:
            return start_timestamp_open;
        case FUNCTION_LABEL_REPLACE:
        case FUNCTION_LABEL_JOIN:
            return label_function_open;
        case FUNCTION_HISTOGRAM_QUANTILE:
        case FUNCTION_HISTOGRAM_QUANTILES:
        case FUNCTION_HISTOGRAM_FRACTION:
            return histogram_open;
        case FUNCTION_INFO:
            return info_open;
        case FUNCTION_HISTOGRAM_COUNT:
        case FUNCTION_HISTOGRAM_SUM:
        case FUNCTION_HISTOGRAM_AVG:
        case FUNCTION_HISTOGRAM_STDDEV:
        case FUNCTION_HISTOGRAM_STDVAR:
            return histogram_value_open;
        case FUNCTION_SORT:
        case FUNCTION_SORT_DESC:
        case FUNCTION_SORT_BY_LABEL:
        case FUNCTION_SORT_BY_LABEL_DESC:
            return sort_open;
        case FUNCTION_MINUTE:
        case FUNCTION_HOUR:
        case FUNCTION_DAY_OF_MONTH:
        case FUNCTION_DAY_OF_WEEK:
        case FUNCTION_DAY_OF_YEAR:
        case FUNCTION_DAYS_IN_MONTH:
        case FUNCTION_MONTH:
        case FUNCTION_YEAR:
            return date_open;
        default:
            break;
    }
    for (size_t i = 0; i < function->take_count; i++) {
        if (function->takes[i] == VALUE_MATRIX) return range_open;
    }
    return map_open;
}

static bool binary_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err) {
    if (binary_op_is_set(expr->as.binary.op)) return set_open(exec, expr, steps, out, err);
    bool vectors =
        expr->as.binary.left->type == VALUE_VECTOR && expr->as.binary.right->type == VALUE_VECTOR;
    return vectors ? binary_vector_open(exec, expr, steps, out, err)
                   : binary_scalar_open(exec, expr, steps, out, err);
}

static bool expr_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err) {
    assert(expr->type == VALUE_VECTOR && steps.count > 0);
    switch (expr->kind) {
        case EXPR_SELECTOR:
            return select_open(exec, expr, steps, false, out, err);
        case EXPR_CALL:
            return call_open(expr->as.call.function)(exec, expr, steps, out, err);
        case EXPR_AGGREGATE:
            return expr->as.aggregate.op >= AGG_TOPK ? pick_open(exec, expr, steps, out, err)
                                                     : aggregate_open(exec, expr, steps, out, err);
        case EXPR_BINARY:
            return binary_open(exec, expr, steps, out, err);
        case EXPR_UNARY:
            return unary_open(exec, expr, steps, out, err);
        case EXPR_PAREN:
            return operator_open(exec, expr->as.paren, steps, out, err);
        case EXPR_NUMBER:
        case EXPR_STRING:
        case EXPR_SUBQUERY:
            break;
    }
    unreachable("the checker let a vector through that is none");
}

bool operator_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err) {
    *out = NULL;
    if (exec->given == NULL && exec->whole == NULL) {
        TRY(gather_open(exec, expr, steps, out, err));
        if (*out != NULL) return true;
    }
    PlanOpening opening;
    plan_open(exec, expr, &opening);
    bool opened = expr_open(exec, expr, steps, out, err);
    plan_opened(exec, &opening, opened ? *out : NULL);
    return opened;
}

// ---- Scalars ----

// scalar(v): the value of a step where exactly one element has one.
static bool scalar_of_vector(Exec *exec, const Expr *vector, Steps steps, Arena *arena, double *out,
                             Error *err) {
    Operator *operator;
    TRY(operator_open(exec, vector, steps, &operator, err));
    uint8_t *seen = arena_push_array(arena, uint8_t, steps.count);
    column_fill(out, steps, NAN);
    StepBatch batch;
    do {
        TRY(operator_next(operator, & batch, err));
        for (size_t i = 0; i < batch.count; i++) {
            for (size_t step = 0; step < steps.count; step++) {
                if (is_absent(batch.at[i].values[step])) continue;
                out[step] = seen[step] == 0 ? batch.at[i].values[step] : NAN;
                seen[step] = 1;
            }
        }
    } while (batch.count > 0);
    return true;
}

double least(double a, double b) {
    if (isinf(a) && a < 0) return a;
    if (isinf(b) && b < 0) return b;
    return isnan(a) || isnan(b) ? NAN : fmin(a, b);
}
double most(double a, double b) {
    if (isinf(a) && a > 0) return a;
    if (isinf(b) && b > 0) return b;
    return isnan(a) || isnan(b) ? NAN : fmax(a, b);
}

static bool scalar_call(Exec *exec, const Expr *call, Steps steps, Arena *arena, double *out,
                        Error *err) {
    FunctionId id = call->as.call.function->id;
    if (id == FUNCTION_SCALAR)
        return scalar_of_vector(exec, call->as.call.args[0], steps, arena, out, err);
    if (id == FUNCTION_MIN_OF || id == FUNCTION_MAX_OF) {
        double *left, *right;
        TRY(scalar_eval(exec, call->as.call.args[0], steps, arena, &left, err));
        TRY(scalar_eval(exec, call->as.call.args[1], steps, arena, &right, err));
        for (size_t i = 0; i < steps.count; i++)
            out[i] = id == FUNCTION_MIN_OF ? least(left[i], right[i]) : most(left[i], right[i]);
        return true;
    }
    if (id == FUNCTION_TIME) {
        for (size_t i = 0; i < steps.count; i++) out[i] = (double)step_ms_at(steps, i) / 1000;
        return true;
    }
    const QueryRequest *request = exec->request;
    double value = id == FUNCTION_PI      ? 3.14159265358979323846
                   : id == FUNCTION_START ? (double)request->start_ms / 1000
                   : id == FUNCTION_END   ? (double)request->end_ms / 1000
                   : id == FUNCTION_STEP  ? (double)request->step_ms / 1000
                                          : (double)(request->end_ms - request->start_ms) / 1000;
    assert(id == FUNCTION_PI || id == FUNCTION_START || id == FUNCTION_END || id == FUNCTION_STEP ||
           id == FUNCTION_RANGE);
    column_fill(out, steps, value);
    return true;
}

static bool scalar_binary(Exec *exec, const Expr *expr, Steps steps, Arena *arena, double *out,
                          Error *err) {
    double *left, *right;
    TRY(scalar_eval(exec, expr->as.binary.left, steps, arena, &left, err));
    TRY(scalar_eval(exec, expr->as.binary.right, steps, arena, &right, err));
    for (size_t i = 0; i < steps.count; i++)
        out[i] = binary_value(expr->as.binary.op, left[i], right[i]);
    return true;
}

static bool scalar_compute(Exec *exec, const Expr *expr, Steps steps, Arena *arena, double **out,
                           Error *err) {
    double *column;
    if (expr->kind == EXPR_UNARY) {
        TRY(scalar_eval(exec, expr->as.unary.expr, steps, arena, &column, err));
        for (size_t i = 0; expr->as.unary.negative && i < steps.count; i++) column[i] = -column[i];
    } else {
        TRY(exec_tick(exec, err));
        column = column_new(arena, steps);
        if (expr->kind == EXPR_NUMBER) {
            column_fill(column, steps, expr->as.number);
        } else if (expr->kind == EXPR_BINARY) {
            TRY(scalar_binary(exec, expr, steps, arena, column, err));
        } else {
            assert(expr->kind == EXPR_CALL);
            TRY(scalar_call(exec, expr, steps, arena, column, err));
        }
    }
    *out = column;
    return true;
}

bool scalar_eval(Exec *exec, const Expr *expr, Steps steps, Arena *arena, double **out,
                 Error *err) {
    assert(expr->type == VALUE_SCALAR);
    if (expr->kind == EXPR_PAREN) return scalar_eval(exec, expr->as.paren, steps, arena, out, err);
    // A number inside a query is said with the node that it belongs to.
    if (expr->kind == EXPR_NUMBER && (exec->opening == NULL || exec->opening->outer != NULL))
        return scalar_compute(exec, expr, steps, arena, out, err);
    PlanOpening opening;
    plan_open(exec, expr, &opening);
    bool computed = scalar_compute(exec, expr, steps, arena, out, err);
    if (computed) plan_count_scalar(exec, steps);
    plan_opened(exec, &opening, NULL);
    return computed;
}
