// Durations as Prometheus writes them: 1y2w3d4h5m6s7ms, each unit at most once and in this order.

#include "query/promql/promql.h"

typedef struct Unit {
    const char *name;
    int64_t ms;
} Unit;

// Largest first.
static const Unit units[] = {
    {"y", INT64_C(31536000000)},
    {"w", 604800000},
    {"d", 86400000},
    {"h", 3600000},
    {"m", 60000},
    {"s", 1000},
    {"ms", 1},
};

// The longest unit name at the beginning of `rest`, or -1.
static int unit_find(Text rest) {
    int found = -1;
    size_t len = 0;
    for (size_t i = 0; i < COUNT(units); i++) {
        Text name = text_from_cstring(units[i].name);
        if (text_starts_with(rest, name) && name.len > len) {
            found = (int)i;
            len = name.len;
        }
    }
    return found;
}

bool duration_parse_ms(Text text, int64_t *out, Error *err) {
    if (text_equal(text, TEXT("0"))) {
        *out = 0;
        return true;
    }
    Text shown = text_slice(text, 0, 64);
    int64_t total = 0;
    int unit_before = -1;
    Text rest = text;
    if (text.len == 0) return error_set(err, ERROR_BAD_INPUT, "empty duration string");
    while (rest.len > 0) {
        size_t digits = 0;
        while (digits < rest.len && rest.at[digits] >= '0' && rest.at[digits] <= '9') digits++;
        Text behind = text_slice(rest, digits, rest.len);
        int unit = unit_find(behind);
        int64_t count, part;
        if (digits == 0 || unit <= unit_before) {
            return error_set(err, ERROR_BAD_INPUT, "not a valid duration string: \"%.*s\"",
                             TEXT_ARG(shown));
        }
        if (!text_to_i64(text_slice(rest, 0, digits), &count) ||
            __builtin_mul_overflow(count, units[unit].ms, &part) ||
            __builtin_add_overflow(total, part, &total) || total > INT64_MAX / 1000000) {
            return error_set(err, ERROR_BAD_INPUT, "duration out of range: \"%.*s\"",
                             TEXT_ARG(shown));
        }
        unit_before = unit;
        rest = text_slice(behind, strlen(units[unit].name), behind.len);
    }
    *out = total;
    return true;
}

void duration_print_ms(int64_t ms, Builder *out) {
    if (ms == 0) {
        builder_add(out, TEXT("0s"));
        return;
    }
    for (size_t i = 0; i < COUNT(units); i++) {
        // As Prometheus: years, weeks and days only when nothing is left over, so that 90d stays
        // readable.
        bool exact_only = i < 3;
        int64_t count = ms / units[i].ms;
        if (count == 0 || (exact_only && ms % units[i].ms != 0)) continue;
        builder_add_i64(out, count);
        builder_add(out, text_from_cstring(units[i].name));
        ms -= count * units[i].ms;
    }
}
