// Binary operators where a native histogram stands on either side, one step at a time.
//
//   histogram + - == != histogram · histogram * / </ >/ number · number * histogram
// All else has no result and says so.

#include "query/exec/exec.h"

static void note_types(Exec *exec, const Expr *expr, BinarySide left, BinarySide right) {
    exec_note(exec, NOTE_INFO, expr->range,
              "incompatible sample types encountered for binary operator \"%.*s\": %s %.*s %s",
              TEXT_ARG(binary_op_name(expr->as.binary.op)),
              left.histogram == NULL ? "float" : "histogram",
              TEXT_ARG(binary_op_name(expr->as.binary.op)),
              right.histogram == NULL ? "float" : "histogram");
}

static const Histogram *sum_of(Exec *exec, const Expr *expr, const Histogram *left,
                               const Histogram *right, Arena *arena) {
    bool adds = expr->as.binary.op == OP_ADD;
    HistogramSum sum;
    HistogramJoin join = {0};
    histogram_sum_begin(&sum, left, false, arena);
    if (!histogram_sum_add(&sum, right, adds ? 1 : -1, &join)) {
        exec_note(exec, NOTE_WARNING, expr->range,
                  "incompatible bucket layout encountered for binary operator %.*s",
                  TEXT_ARG(binary_op_name(expr->as.binary.op)));
        return NULL;
    }
    note_join(exec, expr->range, join, adds ? "addition" : "subtraction");
    if (!adds) sum.head.reset_hint = HISTOGRAM_RESET_GAUGE;
    return histogram_sum_end(&sum);
}

// The result of an operator that is no comparison; NULL when these types have none.
static const Histogram *computed(Exec *exec, const Expr *expr, BinarySide left, BinarySide right,
                                 Arena *arena) {
    BinaryOp op = expr->as.binary.op;
    if (left.histogram != NULL && right.histogram != NULL && (op == OP_ADD || op == OP_SUB))
        return sum_of(exec, expr, left.histogram, right.histogram, arena);
    if (left.histogram != NULL && right.histogram == NULL) {
        if (op == OP_MUL) return histogram_scaled(left.histogram, right.value, arena);
        if (op == OP_DIV) return histogram_divided(left.histogram, right.value, arena);
        if (op == OP_TRIM_UPPER || op == OP_TRIM_LOWER)
            return histogram_trim(left.histogram, right.value, op == OP_TRIM_UPPER, arena);
    }
    if (left.histogram == NULL && right.histogram != NULL && op == OP_MUL)
        return histogram_scaled(right.histogram, left.value, arena);
    note_types(exec, expr, left, right);
    return NULL;
}

bool binary_histogram(Exec *exec, const Expr *expr, BinarySide left, BinarySide right, Arena *arena,
                      BinarySide *out) {
    BinaryOp op = expr->as.binary.op;
    bool trims = op == OP_TRIM_UPPER || op == OP_TRIM_LOWER;
    if (left.histogram == NULL && right.histogram == NULL && !trims) {
        double value = binary_value(op, left.value, right.value);
        bool filters = binary_op_is_comparison(op) && !expr->as.binary.return_bool;
        *out = (BinarySide){value, NULL};
        return !filters || value != 0;
    }
    if (!binary_op_is_comparison(op)) {
        *out = (BinarySide){ABSENT, computed(exec, expr, left, right, arena)};
        return out->histogram != NULL;
    }
    bool equal = false, comparable = left.histogram != NULL && right.histogram != NULL &&
                                     (op == OP_EQ || op == OP_NE);
    if (comparable) {
        equal = histogram_equal(left.histogram, right.histogram);
    } else {
        note_types(exec, expr, left, right);
        return false;
    }
    bool holds = op == OP_EQ ? equal : !equal;
    *out = (BinarySide){holds ? 1 : 0, NULL};
    return holds || expr->as.binary.return_bool;
}
