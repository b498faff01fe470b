// Durations and sizes: two tables of units, walked from the largest to the smallest.

#include "codec/quantity.h"

typedef struct UnitRow {
    Text name;
    int64_t factor;
} UnitRow;

static const UnitRow duration_units[] = {
    {TEXT_INIT("y"), INT64_C(31536000000)},
    {TEXT_INIT("w"), 604800000},
    {TEXT_INIT("d"), 86400000},
    {TEXT_INIT("h"), 3600000},
    {TEXT_INIT("m"), 60000},
    {TEXT_INIT("s"), 1000},
    {TEXT_INIT("ms"), 1},
};

static const UnitRow size_units[] = {
    {TEXT_INIT("EiB"), INT64_C(1) << 60},
    {TEXT_INIT("PiB"), INT64_C(1) << 50},
    {TEXT_INIT("TiB"), INT64_C(1) << 40},
    {TEXT_INIT("GiB"), 1 << 30},
    {TEXT_INIT("MiB"), 1 << 20},
    {TEXT_INIT("KiB"), 1 << 10},
    {TEXT_INIT("B"), 1},
};

// What Prometheus' durations may add up to: 2^63 ns, 292 years.
static const int64_t DURATION_MAX_MS = INT64_MAX / 1000000;

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static size_t run_length(Text text, size_t from, bool digits) {
    size_t end = from;
    while (end < text.len && (is_digit(text.at[end]) || text.at[end] == '.') == digits) end++;
    return end - from;
}

static bool bad_duration(Text text, Error *err) {
    return error_set(err, ERROR_BAD_INPUT,
                     "\"%.*s\" is not a duration; write for example 15s, 1m30s or 2h",
                     TEXT_ARG(text_slice(text, 0, 60)));
}

bool duration_to_ms(Text text, int64_t *out, Error *err) {
    int64_t sum = 0;
    size_t unit = 0, at = 0;
    if (text_equal(text, TEXT("0"))) {
        *out = 0;
        return true;
    }
    while (at < text.len) {
        size_t digits = run_length(text, at, true);
        size_t letters = run_length(text, at + digits, false);
        Text name = text_slice(text, at + digits, at + digits + letters);
        uint64_t amount;
        int64_t part;
        if (!text_to_u64(text_slice(text, at, at + digits), &amount) || amount > INT64_MAX)
            return bad_duration(text, err);
        while (unit < COUNT(duration_units) && !text_equal(name, duration_units[unit].name)) unit++;
        if (unit == COUNT(duration_units)) return bad_duration(text, err);
        if (__builtin_mul_overflow((int64_t)amount, duration_units[unit].factor, &part) ||
            __builtin_add_overflow(sum, part, &sum) || sum > DURATION_MAX_MS)
            return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is longer than 292 years",
                             TEXT_ARG(text_slice(text, 0, 60)));
        unit++;
        at += digits + letters;
    }
    if (text.len == 0) return bad_duration(text, err);
    *out = sum;
    return true;
}

void duration_print(int64_t ms, Builder *out) {
    if (ms == 0) {
        builder_add(out, TEXT("0s"));
        return;
    }
    for (size_t i = 0; i < COUNT(duration_units); i++) {
        int64_t factor = duration_units[i].factor;
        // Weeks and years only where nothing is left over, as Prometheus prints: 90d, not 12w6d.
        if (ms < factor || (i < 2 && ms % factor != 0)) continue;
        builder_add_i64(out, ms / factor);
        builder_add(out, duration_units[i].name);
        ms %= factor;
    }
}

static bool unit_is(Text written, Text name) {
    if (text_equal(written, name)) return true;
    return name.len == 3 && written.len == 2 && written.at[0] == name.at[0] && written.at[1] == 'B';
}

bool size_to_bytes(Text text, int64_t *out, Error *err) {
    size_t digits = run_length(text, 0, true);
    Text unit = text_slice(text, digits, text.len);
    double amount;
    bool zero = text_equal(text, TEXT("0"));
    if (zero || (digits > 0 && unit.len > 0 && text_to_f64(text_slice(text, 0, digits), &amount))) {
        *out = 0;
        if (zero) return true;
        for (size_t i = 0; i < COUNT(size_units); i++) {
            if (!unit_is(unit, size_units[i].name)) continue;
            double bytes = amount * (double)size_units[i].factor;
            if (bytes >= 0x1p63) break;
            *out = (int64_t)bytes;
            return true;
        }
    }
    return error_set(err, ERROR_BAD_INPUT,
                     "\"%.*s\" is not a size; write a number and a unit, for example 512KB or 15MB",
                     TEXT_ARG(text_slice(text, 0, 60)));
}

void size_print(int64_t bytes, Builder *out) {
    for (size_t i = 0; i < COUNT(size_units); i++) {
        int64_t factor = size_units[i].factor;
        if (factor > 1 && (bytes < factor || bytes % factor != 0)) continue;
        builder_add_i64(out, bytes / factor);
        builder_add(out, size_units[i].name);
        return;
    }
}
