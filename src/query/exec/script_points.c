// Series and points of test scripts.

#include "query/exec/script_points.h"

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

// "a+bxn", "a-bxn", "axn", "a", "_xn", "_", "stale", "{{…}}[+{{…}}][xn]".
static bool item_parse(Text item, Arena *arena, Point *first, double *more, uint64_t *times,
                       Error *err) {
    *more = 0;
    *times = 0;
    Text body = item;
    size_t digits = item.len;
    while (digits > 0 && item.at[digits - 1] >= '0' && item.at[digits - 1] <= '9') digits--;
    if (digits > 0 && digits < item.len && item.at[digits - 1] == 'x') {
        if (!text_to_u64(text_slice(item, digits, item.len), times))
            return error_set(err, ERROR_BAD_INPUT, "bad repetition");
        body = text_slice(item, 0, digits - 1);
    }
    if (text_starts_with(body, TEXT("{{"))) {
        *first = (Point){POINT_HISTOGRAM, 0};
        return true;
    }
    if (text_equal(body, TEXT("_"))) {
        *first = (Point){POINT_NONE, 0};
        *times = *times > 0 ? *times - 1 : 0;  // _x3 is three, where 1x3 is four
        return true;
    }
    if (text_equal(body, TEXT("stale"))) {
        *first = (Point){POINT_STALE, 0};
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
        Point point;
        double more;
        uint64_t times;
        TRY(item_parse(text_slice(text, 0, end), arena, &point, &more, &times, err));
        for (uint64_t i = 0; i <= times; i++) {
            *array_add_on(arena, &points) = point;
            point.value += more;
        }
        text = text_slice(text, end, text.len);
    }
    *out = (Points){points.at, points.count};
    return true;
}
