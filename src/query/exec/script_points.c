// Series and points of test scripts.

#include "query/exec/script_points.h"

#include "query/promql/promql.h"

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

Text points_cut_series(Text *line) {
    Text text = text_trim(*line);
    size_t at = 0;
    while (at < text.len && !is_space(text.at[at]) && text.at[at] != '{') at++;
    if (at < text.len && text.at[at] == '{') {
        char quote = 0;
        for (at++; at < text.len && (quote != 0 || text.at[at] != '}'); at++) {
            char c = text.at[at];
            if (quote != 0 && c == '\\' && quote != '`') {
                at++;
            } else if (quote != 0) {
                if (c == quote) quote = 0;
            } else if (c == '"' || c == '\'' || c == '`') {
                quote = c;
            }
        }
        at++;
    }
    *line = text_trim(text_slice(text, at, text.len));
    return text_slice(text, 0, at);
}

// The end of one item of points: a word, or {{…}} with what is glued to it.
static size_t item_end(Text text) {
    size_t at = 0;
    while (at < text.len && !is_space(text.at[at])) {
        if (text.at[at] == '{') {
            ptrdiff_t close = text_find(text_slice(text, at, text.len), TEXT("}}"));
            if (close < 0) return text.len;
            at += (size_t)close + 2;
        } else {
            at++;
        }
    }
    return at;
}

// ---- {{schema:1 sum:3 count:22 buckets:[5 10 7]}} ----

typedef ARRAY(double) Numbers;

static bool numbers_parse(Text text, Arena *arena, Numbers *out, Error *err) {
    for (text = text_trim(text); text.len > 0; text = text_trim(text)) {
        size_t end = 0;
        while (end < text.len && !is_space(text.at[end])) end++;
        if (!text_to_f64(text_slice(text, 0, end), array_add_on(arena, out)))
            return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is no number", TEXT_ARG(text));
        text = text_slice(text, end, text.len);
    }
    return true;
}

typedef struct Stated {
    Numbers positive, negative, bounds;
    double offset, negative_offset;
} Stated;

static HistogramSide side_of(const Numbers *counts, double offset, Arena *arena) {
    int32_t *index = arena_push_array_raw(arena, int32_t, counts->count);
    for (size_t i = 0; i < counts->count; i++) index[i] = (int32_t)offset + (int32_t)i;
    return (HistogramSide){index, counts->at, counts->count};
}

static bool hint_parse(Text text, HistogramResetHint *out) {
    static const Text names[] = {TEXT_INIT("unknown"), TEXT_INIT("reset"), TEXT_INIT("not_reset"),
                                 TEXT_INIT("gauge")};  // ORDER: HistogramResetHint
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!text_equal(text, names[i])) continue;
        *out = (HistogramResetHint)i;
        return true;
    }
    return false;
}

static bool field_parse(Text name, Text value, Histogram *out, Stated *stated, Point *point,
                        Arena *arena, Error *err) {
    if (text_starts_with(value, TEXT("["))) {
        Numbers *list = text_equal(name, TEXT("buckets"))         ? &stated->positive
                        : text_equal(name, TEXT("n_buckets"))     ? &stated->negative
                        : text_equal(name, TEXT("custom_values")) ? &stated->bounds
                                                                  : NULL;
        if (list == NULL)
            return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is no list", TEXT_ARG(name));
        return numbers_parse(text_slice(value, 1, value.len - 1), arena, list, err);
    }
    if (text_equal(name, TEXT("counter_reset_hint"))) {
        point->hint_stated = true;
        return hint_parse(value, &out->reset_hint) ||
               error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is no hint", TEXT_ARG(value));
    }
    double schema = 0;
    double *number = text_equal(name, TEXT("count"))        ? &out->count
                     : text_equal(name, TEXT("sum"))        ? &out->sum
                     : text_equal(name, TEXT("z_bucket"))   ? &out->zero_count
                     : text_equal(name, TEXT("z_bucket_w")) ? &out->zero_threshold
                     : text_equal(name, TEXT("offset"))     ? &stated->offset
                     : text_equal(name, TEXT("n_offset"))   ? &stated->negative_offset
                     : text_equal(name, TEXT("schema"))     ? &schema
                                                            : NULL;
    if (number == NULL || !text_to_f64(value, number))
        return error_set(err, ERROR_BAD_INPUT, "bad field \"%.*s\" of a histogram", TEXT_ARG(name));
    if (number == &schema) out->schema = (int32_t)schema;
    return true;
}

// The text between {{ and }}.
static bool histogram_parse(Text text, Arena *arena, Point *out, Error *err) {
    Histogram *made = arena_push(arena, Histogram);
    Stated stated = {0};
    *out = (Point){.kind = POINT_HISTOGRAM, .histogram = made};
    for (text = text_trim(text); text.len > 0; text = text_trim(text)) {
        ptrdiff_t colon = text_find(text, TEXT(":"));
        if (colon < 0) return error_set(err, ERROR_BAD_INPUT, "a histogram without a colon");
        Text name = text_slice(text, 0, (size_t)colon);
        text = text_slice(text, (size_t)colon + 1, text.len);
        bool list = text_starts_with(text, TEXT("["));
        size_t end = 0;
        while (end < text.len && (list ? text.at[end] != ']' : !is_space(text.at[end]))) end++;
        if (list) end++;
        TRY(field_parse(name, text_slice(text, 0, end), made, &stated, out, arena, err));
        text = text_slice(text, end, text.len);
    }
    made->positive = side_of(&stated.positive, stated.offset, arena);
    made->negative = side_of(&stated.negative, stated.negative_offset, arena);
    made->bounds = stated.bounds.at;
    made->bound_count = stated.bounds.count;
    return true;
}

// {{…}} or {{…}}+{{…}} or {{…}}-{{…}}.
static bool histograms_parse(Text body, Arena *arena, Point *first, Point *more, double *sign,
                             Error *err) {
    ptrdiff_t close = text_find(body, TEXT("}}"));
    if (close < 0) return error_set(err, ERROR_BAD_INPUT, "a histogram without an end");
    TRY(histogram_parse(text_slice(body, 2, (size_t)close), arena, first, err));
    Text rest = text_slice(body, (size_t)close + 2, body.len);
    *sign = 0;
    if (rest.len == 0) return true;
    *sign = text_starts_with(rest, TEXT("-")) ? -1 : 1;
    if (rest.len < 5 || !text_ends_with(rest, TEXT("}}")))
        return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" behind a histogram", TEXT_ARG(rest));
    return histogram_parse(text_slice(rest, 3, rest.len - 2), arena, more, err);
}

// Cuts "x3" from the end; *times 0 where there is none.
static bool item_cut_times(Text item, Text *body, uint64_t *times, Error *err) {
    size_t digits = item.len;
    *body = item;
    *times = 0;
    while (digits > 0 && item.at[digits - 1] >= '0' && item.at[digits - 1] <= '9') digits--;
    if (digits == 0 || digits == item.len || item.at[digits - 1] != 'x') return true;
    if (!text_to_u64(text_slice(item, digits, item.len), times))
        return error_set(err, ERROR_BAD_INPUT, "bad repetition");
    *body = text_slice(item, 0, digits - 1);
    return true;
}

// "a+bxn", "a-bxn", "axn", "a", "_xn", "_", "stale", "{{…}}[+{{…}}][xn]".
static bool item_parse(Text item, Arena *arena, Point *first, double *more, Point *more_histogram,
                       uint64_t *times, Error *err) {
    *first = *more_histogram = (Point){0};
    *more = 0;
    Text body;
    TRY(item_cut_times(item, &body, times, err));
    if (text_starts_with(body, TEXT("{{"))) {
        return histograms_parse(body, arena, first, more_histogram, more, err);
    }
    if (text_equal(body, TEXT("_"))) {
        first->kind = POINT_NONE;
        *times = *times > 0 ? *times - 1 : 0;  // _x3 is three, where 1x3 is four
        return true;
    }
    if (text_equal(body, TEXT("stale"))) {
        first->kind = POINT_STALE;
        return true;
    }
    first->kind = POINT_VALUE;
    if (text_to_f64(body, &first->value)) return true;
    for (size_t i = 1; i < body.len; i++) {
        bool sign = (body.at[i] == '+' || body.at[i] == '-') && (body.at[i - 1] | 32) != 'e';
        if (!sign) continue;
        Text step = text_slice(body, body.at[i] == '+' ? i + 1 : i, body.len);
        if (text_to_f64(text_slice(body, 0, i), &first->value) && text_to_f64(step, more))
            return true;
    }
    return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is no point",
                     TEXT_ARG(text_slice(item, 0, 60)));
}

bool points_parse(Text text, Arena *arena, Points *out, Error *err) {
    ARRAY(Point) points = {0};
    for (text = text_trim(text); text.len > 0; text = text_trim(text)) {
        size_t end = item_end(text);
        Point point, more_histogram;
        double more;
        uint64_t times;
        TRY(item_parse(text_slice(text, 0, end), arena, &point, &more, &more_histogram, &times,
                       err));
        for (uint64_t i = 0; i <= times; i++) {
            *array_add_on(arena, &points) = point;
            point.value += more;
            if (more_histogram.histogram == NULL) continue;
            HistogramSum sum;
            HistogramJoin join = {0};
            histogram_sum_begin(&sum, point.histogram, false, arena);
            if (!histogram_sum_add(&sum, more_histogram.histogram, more, &join))
                return error_set(err, ERROR_BAD_INPUT, "histograms that cannot be added");
            point.histogram = histogram_sum_end(&sum);
        }
        text = text_slice(text, end, text.len);
    }
    *out = (Points){points.at, points.count};
    return true;
}

// ---- Starts ----

// "-1m", "+1m", "1ms", "0".
static bool offset_parse(Text text, int64_t *out, Error *err) {
    bool negative = text_starts_with(text, TEXT("-"));
    if (negative || text_starts_with(text, TEXT("+"))) text = text_slice(text, 1, text.len);
    *out = 0;
    if (!text_equal(text, TEXT("0")) && !text_equal(text, TEXT("0ms")))
        TRY(duration_parse_ms(text, out, err));
    if (negative) *out = -*out;
    return true;
}

bool points_parse_starts(Text text, Arena *arena, PointStarts *out, Error *err) {
    ARRAY(PointStart) starts = {0};
    for (text = text_trim(text); text.len > 0; text = text_trim(text)) {
        size_t end = item_end(text), sign = 1;
        Text body;
        uint64_t times;
        PointStart start = {0};
        int64_t step_ms = 0;
        TRY(item_cut_times(text_slice(text, 0, end), &body, &times, err));
        if (text_equal(body, TEXT("_"))) {
            if (times > 0) times--;
        } else {
            while (sign < body.len && body.at[sign] != '-' && body.at[sign] != '+') sign++;
            start.known = true;
            TRY(offset_parse(text_slice(body, 0, MIN(sign, body.len)), &start.offset_ms, err));
            if (sign < body.len) TRY(offset_parse(text_slice(body, sign, body.len), &step_ms, err));
        }
        for (uint64_t i = 0; i <= times; i++) {
            *array_add_on(arena, &starts) = start;
            start.offset_ms += step_ms;
        }
        text = text_slice(text, end, text.len);
    }
    *out = (PointStarts){starts.at, starts.count};
    return true;
}
