// Lines through a window: deriv and predict_linear by least squares, and double exponential
// smoothing.

#include "query/exec/exec.h"

typedef struct Line {
    double slope, intercept;
} Line;

// Least squares over samples [from, to), x in seconds from `zero_ms`, sums compensated.
static Line line_through(const RangeInput *in, size_t from, size_t to, int64_t zero_ms) {
    KahanSum x_sum = {0}, y_sum = {0}, xy_sum = {0}, xx_sum = {0};
    double n = 0, first = in->values[from];
    bool constant = true;
    for (size_t i = from; i < to; i++) {
        double x = (double)(in->times[i] - zero_ms) / 1e3, y = in->values[i];
        if (y != first) constant = false;
        n++;
        kahan_add(&x_sum, x);
        kahan_add(&y_sum, y);
        kahan_add(&xy_sum, x * y);
        kahan_add(&xx_sum, x * x);
    }
    if (constant) return isinf(first) ? (Line){NAN, NAN} : (Line){0, first};
    double sx = x_sum.sum + x_sum.rest, sy = y_sum.sum + y_sum.rest;
    double sxy = xy_sum.sum + xy_sum.rest, sxx = xx_sum.sum + xx_sum.rest;
    double covariance = sxy - sx * sy / n, spread = sxx - sx * sx / n;
    double slope = covariance / spread;
    return (Line){slope, sy / n - slope * sx / n};
}

void range_deriv(const RangeInput *in, double *out) {
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        bool enough = window.to - window.from >= 2;
        out[i] = enough ? line_through(in, window.from, window.to, in->times[window.from]).slope
                        : ABSENT;
    }
}

void range_predict_linear(const RangeInput *in, double *out) {
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        out[i] = ABSENT;
        if (window.to - window.from < 2) continue;
        Line line = line_through(in, window.from, window.to, step_ms_at(in->steps, i));
        out[i] = line.slope * in->params[0][i] + line.intercept;
    }
}

// Holt's linear method: a level and a trend, both smoothed exponentially.
void range_smoothing(const RangeInput *in, double *out) {
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        out[i] = ABSENT;
        if (window.to - window.from < 2) continue;
        const double *values = in->values + window.from;
        size_t count = window.to - window.from;
        double smoothing = in->params[0][i], trend_factor = in->params[1][i];
        double before = 0, level = values[0], trend = values[1] - values[0];
        for (size_t j = 1; j < count; j++) {
            if (j > 1) trend = trend_factor * (level - before) + (1 - trend_factor) * trend;
            double next = smoothing * values[j] + (1 - smoothing) * (level + trend);
            before = level;
            level = next;
        }
        out[i] = level;
    }
}
