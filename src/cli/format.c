// Reading flags of form and time.

#include "cli/format.h"

#include <math.h>

#include "os/clock.h"
#include "query/promql/promql.h"

static const double SECONDS_MAX = 9e12;  // beyond every date, far inside int64 of milliseconds

bool call_format(const Call *call, TableFormat *out, Error *err) {
    *out = call_has(call, FLAG_JSON) ? TABLE_JSON : TABLE_TEXT;
    Text output = call_flag(call, FLAG_OUTPUT);
    if (output.at == NULL) return true;
    return table_format_parse(output, out, err);
}

static bool seconds_parse(Text text, int64_t *out) {
    double seconds;
    if (!text_to_f64(text, &seconds) || !(fabs(seconds) < SECONDS_MAX)) return false;
    *out = (int64_t)llround(seconds * 1000);
    return true;
}

bool moment_parse(Text text, int64_t now_ms, int64_t *out, Error *err) {
    Text rest = text;
    bool from_now = text_starts_with(rest, TEXT("now"));
    if (from_now) rest = text_slice(rest, 3, rest.len);
    int64_t before_ms = 0;
    Error ignored;
    if (from_now && rest.len == 0) {
        *out = now_ms;
        return true;
    }
    if (text_starts_with(rest, TEXT("-")) &&
        duration_parse_ms(text_slice(rest, 1, rest.len), &before_ms, &ignored)) {
        *out = now_ms - before_ms;
        return true;
    }
    if (!from_now && (seconds_parse(text, out) || time_parse_ms(text, out))) return true;
    return error_set(err, ERROR_BAD_INPUT,
                     "\"%.*s\" is not a time; write 2026-11-21T08:00:00Z, seconds since 1970, now, "
                     "or -1h for an hour ago",
                     TEXT_ARG(text));
}

bool distance_parse(Text text, int64_t *out, Error *err) {
    Error ignored;
    bool known = duration_parse_ms(text, out, &ignored) || seconds_parse(text, out);
    if (known && *out > 0) return true;
    return error_set(err, ERROR_BAD_INPUT,
                     "\"%.*s\" is not a duration; write for example 15s, 5m, 2h or 30d",
                     TEXT_ARG(text));
}
