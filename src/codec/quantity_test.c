// Tests of durations and sizes as Prometheus reads and prints them.

#include "base/test.h"
#include "codec/quantity.h"

TEST(durations_are_read_and_printed) {
    static const struct {
        Text text;
        int64_t ms;
        Text printed;
    } cases[] = {
        {TEXT_INIT("0"), 0, TEXT_INIT("0s")},
        {TEXT_INIT("0s"), 0, TEXT_INIT("0s")},
        {TEXT_INIT("15s"), 15000, TEXT_INIT("15s")},
        {TEXT_INIT("1h30m"), 5400000, TEXT_INIT("1h30m")},
        {TEXT_INIT("90s"), 90000, TEXT_INIT("1m30s")},
        {TEXT_INIT("1d"), 86400000, TEXT_INIT("1d")},
        {TEXT_INIT("2w"), 1209600000, TEXT_INIT("2w")},
        {TEXT_INIT("90d"), INT64_C(7776000000), TEXT_INIT("90d")},
        {TEXT_INIT("1y"), INT64_C(31536000000), TEXT_INIT("1y")},
        {TEXT_INIT("1w2d3h4m5s6ms"), 788645006, TEXT_INIT("9d3h4m5s6ms")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms;
        AUTO(builder_free) Builder out = {0};
        check_ok(t, duration_to_ms(cases[i].text, &ms, t->err));
        check_i64(t, cases[i].ms, ms);
        duration_print(ms, &out);
        check_text(t, cases[i].printed, builder_text(&out));
    }
    static const char *const bad[] = {
        "",   "1", "s", "1.5s", "-1s", "1s1m", "1m1m", "1S", "1 s", "300y", "99999999999999999999s",
        "1us"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t ms;
        check_error(t, duration_to_ms(text_from_cstring(bad[i]), &ms, t->err), ERROR_BAD_INPUT);
    }
}

TEST(sizes_are_read_and_printed) {
    static const struct {
        Text text;
        int64_t bytes;
        Text printed;
    } cases[] = {
        {TEXT_INIT("0"), 0, TEXT_INIT("0B")},
        {TEXT_INIT("100B"), 100, TEXT_INIT("100B")},
        {TEXT_INIT("15MB"), 15 * MB, TEXT_INIT("15MiB")},
        {TEXT_INIT("15MiB"), 15 * MB, TEXT_INIT("15MiB")},
        {TEXT_INIT("1.5KB"), 1536, TEXT_INIT("1536B")},
        {TEXT_INIT("2GB"), 2 * GB, TEXT_INIT("2GiB")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t bytes;
        AUTO(builder_free) Builder out = {0};
        check_ok(t, size_to_bytes(cases[i].text, &bytes, t->err));
        check_i64(t, cases[i].bytes, bytes);
        size_print(bytes, &out);
        check_text(t, cases[i].printed, builder_text(&out));
    }
    static const char *const bad[] = {"",     "100",  "MB",   "1XB", "1mb",
                                      "-1MB", "1 MB", "9EB9", "99EB"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t bytes;
        check_error(t, size_to_bytes(text_from_cstring(bad[i]), &bytes, t->err), ERROR_BAD_INPUT);
    }
}

TEST_MAIN("codec/quantity", CASE(durations_are_read_and_printed), CASE(sizes_are_read_and_printed))
