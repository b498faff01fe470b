// vector(), timestamp() and the functions of the calendar (UTC).

#include "query/exec/exec.h"

#include "base/assert.h"

// ---- vector(s): one element without labels ----

typedef struct Single {
    Operator operator;
    double *values;
} Single;

static bool single_next(Operator *operator, StepBatch * out, Error *err) {
    Single *single = (Single *)operator;
    if (single->values == NULL) return true;
    out->at = arena_push(&operator->batch, StepSeries);
    *out->at = (StepSeries){LABELS_NONE, false, false, TAKE(single->values), NULL};
    out->count = 1;
    return true;
}

bool vector_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err) {
    Single *single = operator_new(exec, Single, call, steps, single_next);
    single->operator.one_name = true;
    *out = &single->operator;
    return scalar_eval(exec, call->as.call.args[0], steps, &single->operator.keep, &single->values,
                       err);
}

// ---- Values that become something else, step by step ----

// Days since 1970 to a date of the civil calendar (Howard Hinnant, "chrono-compatible low-level
// date algorithms").
typedef struct Date {
    int64_t year;
    int month, day, day_of_year, day_of_week;
} Date;

static bool is_leap(int64_t year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in(int64_t year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static Date date_of(int64_t days) {
    int64_t shifted = days + 719468;  // days since 0000-03-01
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t from_march = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * from_march + 2) / 153;
    Date date = {.day = (int)(from_march - (153 * month_from_march + 2) / 5 + 1)};
    date.month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    date.year = year_of_era + era * 400 + (date.month <= 2);
    date.day_of_year = date.day;
    for (int month = 1; month < date.month; month++) date.day_of_year += days_in(date.year, month);
    date.day_of_week = (int)(((days + 4) % 7 + 7) % 7);  // 1970 began on a Thursday
    return date;
}

static double calendar(FunctionId id, double seconds) {
    if (!(fabs(seconds) < 9e15)) return NAN;  // no such date
    int64_t whole = (int64_t)seconds;
    int64_t days = whole / 86400 - (whole % 86400 < 0);
    int64_t of_day = whole - days * 86400;
    if (id == FUNCTION_MINUTE) return (double)(of_day / 60 % 60);
    if (id == FUNCTION_HOUR) return (double)(of_day / 3600);
    Date date = date_of(days);
    switch ((int)id) {
        case FUNCTION_DAY_OF_MONTH:
            return date.day;
        case FUNCTION_DAY_OF_WEEK:
            return date.day_of_week;
        case FUNCTION_DAY_OF_YEAR:
            return date.day_of_year;
        case FUNCTION_DAYS_IN_MONTH:
            return days_in(date.year, date.month);
        case FUNCTION_MONTH:
            return date.month;
        case FUNCTION_YEAR:
            return (double)date.year;
        default:
            unreachable("not a function of the calendar");
    }
}

typedef struct Moments {
    Operator operator;
    Operator *inner;  // NULL: the time of evaluation, once
    FunctionId id;
    bool done;
} Moments;

static bool moments_next(Operator *operator, StepBatch * out, Error *err) {
    Moments *moments = (Moments *)operator;
    Steps steps = operator->steps;
    if (moments->inner != NULL) {
        TRY(operator_next(moments->inner, out, err));
    } else if (!moments->done) {
        moments->done = true;
        out->at = arena_push(&operator->batch, StepSeries);
        *out->at = (StepSeries){LABELS_NONE, false, false, column_new(&operator->batch, steps), NULL};
        for (size_t i = 0; i < steps.count; i++)
            out->at->values[i] = (double)step_ms_at(steps, i) / 1000;
        out->count = 1;
    }
    for (size_t i = 0; i < out->count; i++) {
        double *values = out->at[i].values;
        bool times = moments->id == FUNCTION_TIMESTAMP;
        for (size_t step = 0; step < steps.count; step++) {
            if (times ? step_is_empty(&out->at[i], step) : is_absent(values[step])) continue;
            values[step] = moments->id == FUNCTION_TIMESTAMP
                               ? (double)step_ms_at(steps, step) / 1000
                               : calendar(moments->id, values[step]);
        }
        out->at[i].histograms = NULL;
        if (moments->inner != NULL) series_drop_name(operator->exec, &out->at[i], &operator->batch);
    }
    return true;
}

bool date_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err) {
    Moments *moments = operator_new(exec, Moments, call, steps, moments_next);
    moments->id = call->as.call.function->id;
    moments->operator.one_name = true;
    if (call->as.call.arg_count > 0) {
        TRY(operator_open(exec, call->as.call.args[0], steps, &moments->inner, err));
        moments->operator.one_name = moments->inner->one_name;
    }
    *out = unique_open(exec, &moments->operator);
    return true;
}

// ---- timestamp(v): of a selector the times of its samples, of anything else the time of
// evaluation ------

typedef struct Nameless {
    Operator operator;
    Operator *inner;
    bool nothing;
} Nameless;

static bool nameless_next(Operator *operator, StepBatch * out, Error *err) {
    if (((Nameless *)operator)->nothing) return true;
    TRY(operator_next(((Nameless *)operator)->inner, out, err));
    for (size_t i = 0; i < out->count; i++) {
        out->at[i].histograms = NULL;  // their times are there
        series_drop_name(operator->exec, &out->at[i], &operator->batch);
    }
    return true;
}

bool timestamp_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err) {
    const Expr *argument = expr_inner(call->as.call.args[0]);
    if (argument->kind != EXPR_SELECTOR) return date_open(exec, call, steps, out, err);
    Nameless *nameless = operator_new(exec, Nameless, call, steps, nameless_next);
    TRY(select_open(exec, argument, steps, true, &nameless->inner, err));
    nameless->operator.one_name = nameless->inner->one_name;
    *out = unique_open(exec, &nameless->operator);
    return true;
}

// ---- start_timestamp(v): of a selector when the counting of its samples began, of anything else
// nothing ------

bool start_timestamp_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err) {
    const Expr *argument = expr_inner(call->as.call.args[0]);
    Nameless *nameless = operator_new(exec, Nameless, call, steps, nameless_next);
    if (argument->kind == EXPR_SELECTOR) {
        TRY(select_open(exec, argument, steps, false, &nameless->inner, err));
        select_give_starts(nameless->inner);
    } else {
        nameless->nothing = true;
        TRY(operator_open(exec, argument, steps, &nameless->inner, err));
    }
    nameless->operator.one_name = nameless->inner->one_name;
    *out = unique_open(exec, &nameless->operator);
    return true;
}
