// Reading parameters, with the words of Prometheus where they are wrong.

#include <math.h>

#include "os/clock.h"
#include "query/promql/promql.h"
#include "server/request.h"

Text param_text(const Request *request, Text name) {
    return url_pairs_find(request->params, name);
}

static bool bad(Text name, Error *err) {
    return error_context(err, "invalid parameter \"%.*s\"", TEXT_ARG(name));
}

// ---- Times ----

// Seconds since 1970 as a float, to the millisecond.
static bool time_from_float(Text text, int64_t *out) {
    double seconds;
    if (!text_to_f64(text, &seconds) || !isfinite(seconds)) return false;
    double whole;
    double part = modf(seconds, &whole);
    if (fabs(whole) > (double)(PARAM_TIME_MAX / 1000)) return false;
    int64_t ms = (int64_t)whole * 1000 + (int64_t)llround(part * 1000);
    *out = MAX(MIN(ms, PARAM_TIME_MAX), PARAM_TIME_MIN);
    return true;
}

// What Go prints for the first and the last time it can hold; clients send them back for "all of
// it".
static bool time_from_extreme(Text text, int64_t *out) {
    if (text_equal(text, TEXT("-292273086-05-16T16:47:06Z"))) {
        *out = PARAM_TIME_MIN;
        return true;
    }
    if (text_equal(text, TEXT("+292277025-08-18T07:12:54.999999999Z")) ||
        text_equal(text, TEXT("292277025-08-18T07:12:54.999999999Z"))) {
        *out = PARAM_TIME_MAX;
        return true;
    }
    return false;
}

bool param_time_needed(const Request *request, Text name, int64_t *out, Error *err) {
    Text text = param_text(request, name);
    if (time_from_float(text, out) || time_parse_ms(text, out) || time_from_extreme(text, out))
        return true;
    error_set(err, ERROR_BAD_INPUT, "cannot parse \"%.*s\" to a valid timestamp", TEXT_ARG(text));
    return bad(name, err);
}

bool param_time(const Request *request, Text name, int64_t otherwise, int64_t *out, Error *err) {
    *out = otherwise;
    return param_text(request, name).len == 0 || param_time_needed(request, name, out, err);
}

bool param_span(const Request *request, int64_t *from_ms, int64_t *to_ms, Error *err) {
    TRY(param_time(request, TEXT("start"), PARAM_TIME_MIN, from_ms, err));
    TRY(param_time(request, TEXT("end"), PARAM_TIME_MAX, to_ms, err));
    if (*to_ms >= *from_ms) return true;
    return error_set(err, ERROR_BAD_INPUT, "end timestamp must not be before start timestamp");
}

// ---- Durations and counts ----

bool param_duration_ms_needed(const Request *request, Text name, int64_t *out, Error *err) {
    Text text = param_text(request, name);
    double seconds;
    if (text_to_f64(text, &seconds) && !isnan(seconds)) {
        if (fabs(seconds) * 1e9 >= (double)INT64_MAX) {
            error_set(err, ERROR_BAD_INPUT,
                      "cannot parse \"%.*s\" to a valid duration. It overflows int64",
                      TEXT_ARG(text));
            return bad(name, err);
        }
        // The product is rounded at the nanosecond first: 0.29 s is 290 ms, although 0.29 * 1000 is
        // a little less.
        *out = (int64_t)(llround(seconds * 1e9) / 1000000);
        return true;
    }
    Error ignored;
    if (duration_parse_ms(text, out, &ignored)) return true;
    error_set(err, ERROR_BAD_INPUT, "cannot parse \"%.*s\" to a valid duration", TEXT_ARG(text));
    return bad(name, err);
}

bool param_duration_ms(const Request *request, Text name, int64_t otherwise, int64_t *out,
                       Error *err) {
    *out = otherwise;
    return param_text(request, name).len == 0 || param_duration_ms_needed(request, name, out, err);
}

bool param_limit(const Request *request, Text name, uint64_t *out, Error *err) {
    *out = 0;
    Text text = param_text(request, name);
    if (text.len == 0 || text_to_u64(text, out)) return true;
    int64_t negative;
    if (text_to_i64(text, &negative)) {
        error_set(err, ERROR_BAD_INPUT, "%.*s must be non-negative", TEXT_ARG(name));
    } else {
        error_set(err, ERROR_BAD_INPUT, "cannot parse \"%.*s\" to a valid number", TEXT_ARG(text));
    }
    return bad(name, err);
}

// ---- Escaped label names ----

static bool hex_digit(char c, uint32_t *into) {
    uint32_t digit;
    if (c >= '0' && c <= '9') {
        digit = (uint32_t)(c - '0');
    } else if (c >= 'a' && c <= 'f') {
        digit = (uint32_t)(c - 'a') + 10;
    } else if (c >= 'A' && c <= 'F') {
        digit = (uint32_t)(c - 'A') + 10;
    } else {
        return false;
    }
    *into = *into << 4 | digit;
    return true;
}

static size_t utf8_put(uint32_t point, char *into) {
    if (point < 0x80) {
        into[0] = (char)point;
        return 1;
    }
    size_t more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const uint32_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    into[0] = (char)(lead[more] | point >> (6 * more));
    for (size_t i = 1; i <= more; i++) into[i] = (char)(0x80 | (point >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

// `_2e_` behind `*at`, which stands at the first underscore. False when it is no such escape.
static bool unescape_one(Text name, size_t *at, char *into, size_t *len) {
    if (*at + 1 < name.len && name.at[*at + 1] == '_') {
        into[(*len)++] = '_';
        *at += 2;
        return true;
    }
    uint32_t point = 0;
    size_t digits = 0, i = *at + 1;
    while (i < name.len && digits < 6 && hex_digit(name.at[i], &point)) i++, digits++;
    if (digits == 0 || i == name.len || name.at[i] != '_') return false;
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    *len += utf8_put(point, into + *len);
    *at = i + 1;
    return true;
}

Text label_name_unescape(Text name, Arena *arena) {
    if (!text_starts_with(name, TEXT("U__"))) return name;
    char *into = arena_push_raw(arena, name.len + 4, 1);
    size_t len = 0;
    for (size_t at = 3; at < name.len;) {
        if (name.at[at] != '_') {
            into[len++] = name.at[at++];
        } else if (!unescape_one(name, &at, into, &len)) {
            return name;  // as Prometheus: what is not an escape is the name itself
        }
    }
    return (Text){into, len};
}

// ---- What is of the server ----

bool request_external_labels(const Request *request, Arena *arena, Labels *out, Error *err) {
    const ServerScrape *scrape = &request->server->options.scrape;
    *out = LABELS_NONE;
    return scrape->external_labels == NULL ||
           scrape->external_labels(scrape->context, arena, out, err);
}

// ---- Tenant ----

bool request_tenant(Request *request, bool create, Tenant **out, Error *err) {
    return store_tenant(request->server->options.store, request->identity.tenant, create, out, err);
}
