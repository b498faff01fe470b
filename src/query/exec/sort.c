// sort and kin: the order of an instant vector. In a range query they change nothing and say so.

#include "query/exec/exec.h"

#include <stdlib.h>

typedef struct Sort {
    Operator operator;
    Operator *inner;
    Texts labels;  // of sort_by_label
    bool descending, by_label, done;
} Sort;

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Natural order: runs of digits compare as numbers, all else byte by byte; "4m5" before "4m600".
static int natural_compare(Text a, Text b) {
    size_t i = 0, j = 0;
    while (i < a.len && j < b.len) {
        if (is_digit(a.at[i]) && is_digit(b.at[j])) {
            while (i < a.len && a.at[i] == '0') i++;
            while (j < b.len && b.at[j] == '0') j++;
            size_t from_a = i, from_b = j;
            while (i < a.len && is_digit(a.at[i])) i++;
            while (j < b.len && is_digit(b.at[j])) j++;
            if (i - from_a != j - from_b) return i - from_a < j - from_b ? -1 : 1;
            int order = text_compare(text_slice(a, from_a, i), text_slice(b, from_b, j));
            if (order != 0) return order;
        } else {
            if (a.at[i] != b.at[j]) return (uint8_t)a.at[i] < (uint8_t)b.at[j] ? -1 : 1;
            i++;
            j++;
        }
    }
    return (int)(i < a.len) - (int)(j < b.len);
}

// NaN comes last in both directions.
static int by_number(const void *a, const void *b, void *context) {
    double left = ((const StepSeries *)a)->values[0], right = ((const StepSeries *)b)->values[0];
    if (isnan(left) || isnan(right)) return (int)!!isnan(left) - (int)!!isnan(right);
    int order = (left > right) - (left < right);
    return ((const Sort *)context)->descending ? -order : order;
}

static int by_label(const void *a, const void *b, void *context) {
    const Sort *sort = context;
    Labels left = ((const StepSeries *)a)->labels, right = ((const StepSeries *)b)->labels;
    int order = 0;
    for (size_t i = 0; i < sort->labels.count && order == 0; i++) {
        Text name = sort->labels.at[i];
        order = natural_compare(labels_get(left, name), labels_get(right, name));
    }
    if (order == 0) order = labels_compare(left, right);
    return sort->descending ? -order : order;
}

// Values are compared, and histograms have none: they are left out.
static void leave_floats(StepBatch *batch, Steps steps) {
    size_t kept = 0;
    for (size_t i = 0; i < batch->count; i++) {
        batch->at[i].histograms = NULL;
        if (!series_is_empty(&batch->at[i], steps)) batch->at[kept++] = batch->at[i];
    }
    batch->count = kept;
}

// Over several steps there is no order, but histograms are left out all the same.
static bool floats_next(Operator *operator, StepBatch * out, Error *err) {
    do {
        TRY(operator_next(((Sort *)operator)->inner, out, err));
        if (out->count == 0) return true;
        leave_floats(out, operator->steps);
    } while (out->count == 0);
    return true;
}

static bool sort_next(Operator *operator, StepBatch * out, Error *err) {
    Sort *sort = (Sort *)operator;
    if (sort->done) return true;
    sort->done = true;
    TRY(operator_collect(sort->inner, &operator->keep, out, err));
    if (!sort->by_label) leave_floats(out, operator->steps);
    if (out->count > 0)
        qsort_r(out->at, out->count, sizeof *out->at, sort->by_label ? by_label : by_number, sort);
    return true;
}

bool sort_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err) {
    FunctionId id = call->as.call.function->id;
    Operator *inner;
    TRY(operator_open(exec, call->as.call.args[0], steps, &inner, err));
    if (exec->request->step_ms > 0) {
        exec_note(
            exec, NOTE_WARNING, call->range,
            "sort is ineffective for range queries since results are always ordered by labels");
    }
    bool by_value = id == FUNCTION_SORT || id == FUNCTION_SORT_DESC;
    if (steps.count > 1 && !by_value) {
        *out = inner;
        return true;
    }
    Sort *sort = operator_new(exec, Sort, call, steps, steps.count > 1 ? floats_next : sort_next);
    sort->inner = inner;
    sort->descending = id == FUNCTION_SORT_DESC || id == FUNCTION_SORT_BY_LABEL_DESC;
    sort->by_label = !by_value;
    Text *names = arena_push_array(&sort->operator.keep, Text, call->as.call.arg_count);
    for (size_t i = 1; i < call->as.call.arg_count; i++)
        names[i - 1] = expr_inner(call->as.call.args[i])->as.string;
    sort->labels = (Texts){names, call->as.call.arg_count - 1};
    sort->operator.one_name = inner->one_name;
    *out = &sort->operator;
    return true;
}
