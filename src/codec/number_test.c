// Numbers as text: known cases, and the two properties of shortest digits over random bit patterns.

#include "codec/number.h"

#include <stdlib.h>

#include "base/test.h"

static Text f64_text(Test *t, double value) {
    char text[400];
    size_t len = number_format_f64(value, text);
    return text_copy((Text){text, len}, t->arena);
}

static Text shortest_text(Test *t, double value) {
    char text[NUMBER_TEXT_MAX];
    size_t len = number_format_shortest(value, text);
    return text_copy((Text){text, len}, t->arena);
}

TEST(positional_notation_is_that_of_go) {
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {100, "100"},
        {1e21, "1000000000000000000000"},
        {1e23, "100000000000000000000000"},
        {123456789.125, "123456789.125"},
        {0.000001, "0.000001"},
        {1e-7, "0.0000001"},
        {1.7976931348623157e308, NULL},
        {0.3, "0.3"},
        {0.1 + 0.2, "0.30000000000000004"},
        {9007199254740992, "9007199254740992"},
        {4503599627370495.5, "4503599627370495.5"},
        {1.0 / 3, "0.3333333333333333"},
        {2.2250738585072014e-308, NULL},
        {5e-324, NULL},
        {__builtin_inf(), "+Inf"},
        {-__builtin_inf(), "-Inf"},
        {__builtin_nan(""), "NaN"},
        {9.5367431640625e-07, "0.00000095367431640625"},
        {72057594037927936.0, "72057594037927940"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (cases[i].text != NULL)
            check_text(t, text_from_cstring(cases[i].text), f64_text(t, cases[i].value));
    }
    check_i64(t, 309, f64_text(t, 1.7976931348623157e308).len);
    check_i64(t, 326, f64_text(t, 5e-324).len);
    check(t, text_ends_with(f64_text(t, 5e-324), TEXT("0005")));
    check(t, f64_text(t, -2.2250738585072014e-308).len <= 400);
}

TEST(shortest_notation_is_that_of_javascript) {
    check_text(t, TEXT("1e+21"), shortest_text(t, 1e21));
    check_text(t, TEXT("100000000000000000000"), shortest_text(t, 1e20));
    check_text(t, TEXT("0.000001"), shortest_text(t, 1e-6));
    check_text(t, TEXT("1e-7"), shortest_text(t, 1e-7));
    check_text(t, TEXT("-1.7976931348623157e+308"), shortest_text(t, -1.7976931348623157e308));
    check_text(t, TEXT("5e-324"), shortest_text(t, 5e-324));
    check_text(t, TEXT("2.2250738585072014e-308"), shortest_text(t, 2.2250738585072014e-308));
    check_text(t, TEXT("9.5367431640625e-7"), shortest_text(t, 9.5367431640625e-07));
}

// Reads back bit for bit; and neither of the two decimals with one digit fewer does.
static void check_shortest(Test *t, uint64_t bits) {
    double value, again;
    memcpy(&value, &bits, sizeof value);
    if (value != value || value - value != 0) return;
    char text[NUMBER_TEXT_MAX], shorter[64];
    size_t len = number_format_shortest(value, text);
    check(t, text_to_f64((Text){text, len}, &again));
    if (memcmp(&value, &again, sizeof value) != 0) {
        check_failed(t, __FILE__, __LINE__, "%a became %.*s", value, (int)len, text);
    }
    // Count the digits between the first and the last that is not zero.
    int digits = 0, pending = 0;
    for (size_t i = 0; i < len && text[i] != 'e'; i++) {
        if (text[i] < '0' || text[i] > '9') continue;
        if (text[i] != '0') {
            digits += pending + 1;
            pending = 0;
        } else if (digits > 0) {
            pending++;
        }
    }
    if (digits <= 1) return;
    // %.*e rounds to nearest, so a shorter decimal within the interval would be found by it, or one
    // step beside.
    snprintf(shorter, sizeof shorter, "%.*e", digits - 2, value);
    double nearest = strtod(shorter, NULL);
    if (nearest == value)
        check_failed(t, __FILE__, __LINE__, "%a is %.*s, but %s is enough", value, (int)len, text,
                     shorter);
    // Of the decimals of this length it is the closest: the one that printf rounds to, if that
    // reads back.
    snprintf(shorter, sizeof shorter, "%.*e", digits - 1, value);
    double closest;
    check(t, text_to_f64(text_from_cstring(shorter), &closest));
    bool same = strtod(shorter, NULL) != value;
    char *mantissa = shorter;
    if (!same) {
        Text ours = shortest_text(t, value);
        char a[32] = {0}, b[32] = {0};
        size_t an = 0, bn = 0;
        for (size_t i = 0; i < ours.len && ours.at[i] != 'e'; i++) {
            if (ours.at[i] >= (an == 0 ? '1' : '0') && ours.at[i] <= '9' && an < sizeof a - 1)
                a[an++] = ours.at[i];
        }
        for (; *mantissa != 'e'; mantissa++) {
            if (*mantissa >= (bn == 0 ? '1' : '0') && *mantissa <= '9' && bn < sizeof b - 1)
                b[bn++] = *mantissa;
        }
        check(t, memcmp(a, b, (size_t)digits) == 0);
    }
}

TEST(random_bit_patterns_read_back_and_no_shorter_text_does) {
    uint64_t random = t->seed;
    const char *rounds = getenv("TRACEO_NUMBER_ROUNDS");
    uint64_t count = 400000;
    if (rounds != NULL) check(t, text_to_u64(text_from_cstring(rounds), &count));
    for (uint64_t i = 0; i < count; i++) {
        check_shortest(t, test_random(&random));
        if (i % 4096 == 0) arena_clear(t->arena);
    }
}

TEST(powers_of_two_and_their_neighbours_are_shortest) {
    for (uint64_t exponent = 0; exponent < 2047; exponent++) {
        for (int step = -2; step <= 2; step++) {
            uint64_t bits = (exponent << 52) + (uint64_t)(int64_t)step;
            if (bits >> 52 < 2047) check_shortest(t, bits);
        }
    }
}

TEST(decimals_of_few_digits_come_back_as_written) {
    uint64_t random = t->seed;
    for (int i = 0; i < 200000; i++) {
        char written[40], text[400];
        int64_t whole = (int64_t)(test_random(&random) % 1000000000) + 1;
        int places = (int)(test_random(&random) % 12);
        snprintf(written, sizeof written, "%llde-%d", (long long)whole, places);
        double value = strtod(written, NULL);
        size_t len = number_format_f64(value, text);
        snprintf(written, sizeof written, "%.*f", places, value);
        Text expected = text_from_cstring(written);
        while (places > 0 && text_ends_with(expected, TEXT("0"))) expected.len--, places--;
        if (text_ends_with(expected, TEXT("."))) expected.len--;
        if (!text_equal(expected, (Text){text, len})) check_text(t, expected, ((Text){text, len}));
    }
}

// Up to the fifteen digits and six decimals that have a way of their own, and just beyond.
TEST(neighbours_of_decimals_of_few_places_are_shortest) {
    uint64_t random = t->seed, bound = 1;
    for (int digits = 1; digits <= 17; digits++) {
        bound *= 10;
        for (int i = 0; i < 4000; i++) {
            uint64_t whole = i == 0 ? bound - 1 : test_random(&random) % bound;
            double value = (double)(whole + 1) / (i % 2 == 0 ? 1e6 : 1e3);
            uint64_t bits;
            memcpy(&bits, &value, sizeof bits);
            for (uint64_t here = bits - 1; here <= bits + 1; here++) {
                char plain[400], shortest[NUMBER_TEXT_MAX];
                check_shortest(t, here);
                memcpy(&value, &here, sizeof value);
                Text expected = {shortest, number_format_shortest(value, shortest)};
                Text is = {plain, number_format_f64(value, plain)};
                // Below a millionth the shortest notation has an exponent.
                if (value >= 1e-6 && !text_equal(expected, is)) check_text(t, expected, is);
            }
            if (i % 512 == 0) arena_clear(t->arena);
        }
    }
}

TEST(milliseconds_become_seconds_without_trailing_zeros) {
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {1722470400123, "1722470400.123"},
        {1722470400000, "1722470400"},
        {1722470400500, "1722470400.5"},
        {0, "0"},
        {1, "0.001"},
        {-1, "-0.001"},
        {-1500, "-1.5"},
        {INT64_MIN, "-9223372036854775.808"},
        {10, "0.01"},
        {1000, "1"},
        {INT64_MAX, "9223372036854775.807"},
        {100000, "100"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[NUMBER_TEXT_MAX];
        size_t len = number_format_ms_as_s(cases[i].ms, text);
        check_text(t, text_from_cstring(cases[i].text), ((Text){text, len}));
    }
}

static void check_same(Test *t, const char *stated, size_t stated_len, const char *actual,
                       size_t len) {
    Text first = {stated, stated_len}, again = {actual, len};
    check_text(t, first, again);
}

TEST(whole_numbers_are_their_digits) {
    char text[400], stated[32];
    uint64_t random = t->seed;
    for (int64_t power = 1; power < INT64_C(9000000000000000); power *= 10) {
        for (int64_t i = 0; i < 60; i++) {
            int64_t value = i < 2 ? power - i : i < 4 ? i - 2 - power : 0;
            if (i >= 4) value = (int64_t)(test_random(&random) % ((uint64_t)power * 10)) - power;
            int len = snprintf(stated, sizeof stated, "%lld", (long long)value);
            check_same(t, stated, (size_t)len, text, number_format_f64((double)value, text));
        }
    }
    check_same(t, "-0", 2, text, number_format_f64(-0.0, text));
    check_same(t, "9007199254740992000", 19, text, number_format_f64(9007199254740992000.0, text));
}

// Whatever came before, and in any order.
TEST(times_one_after_the_other_are_as_times_alone) {
    NumberTimes times = {0};
    uint64_t random = t->seed;
    int64_t ms = 0;
    for (int i = 0; i < 200000; i++) {
        char alone[NUMBER_TEXT_MAX], again[NUMBER_TEXT_MAX];
        switch (test_random(&random) % 50) {
            case 0:
                ms = (int64_t)test_random(&random) >> (test_random(&random) % 64);
                break;
            case 1:
                ms = INT64_C(1759999999000) + (int64_t)(test_random(&random) % 2000);
                break;
            default:
                ms = ms > INT64_MAX / 2 ? 0 : ms + (int64_t)(test_random(&random) % 20000);
        }
        size_t len = number_format_ms_as_s(ms, alone);
        check_same(t, alone, len, again, number_format_ms_as_s_again(&times, ms, again));
    }
}

TEST(general_notation_is_that_of_go) {
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {1, "1"},
        {-0.0, "-0"},
        {100000, "100000"},
        {1e6, "1e+06"},
        {1234567, "1.234567e+06"},
        {123456.75, "123456.75"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {2.279966416e+09, "2.279966416e+09"},
        {1e100, "1e+100"},
        {5e-324, "5e-324"},
        {-1.7976931348623157e308, "-1.7976931348623157e+308"},
        {__builtin_inf(), "+Inf"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[NUMBER_TEXT_MAX];
        size_t len = number_format_general(cases[i].value, text);
        check_text(t, text_from_cstring(cases[i].text), ((Text){text, len}));
    }
}

TEST(numbers_are_read_as_go_reads_them) {
    static const struct {
        const char *text;
        double value;
    } good[] = {
        {"0", 0},
        {"+1", 1},
        {"-.5", -0.5},
        {"1.", 1},
        {"1.e3", 1000},
        {"1E+2", 100},
        {"007", 7},
        {"Inf", __builtin_inf()},
        {"+inf", __builtin_inf()},
        {"-Infinity", -__builtin_inf()},
        {"1e-400", 0},
        {"4.9e-324", 5e-324},
        {"2.2250738585072011e-308", 2.2250738585072011e-308},
        {"179769313486231570000000000000000000000e270", 1.7976931348623157e308},
        {"9007199254740993", 9007199254740992},
        {"9007199254740993.00000000000000001", 9007199254740994},
        {"1e23", 1e23},
        {"8.5e22", 8.5e22},
        {"123456789012345678901234567890", 123456789012345678901234567890.0},
        {"0.000000000000000000000000000000000000000000000000001", 1e-51},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        double value = -7;
        check(t, number_parse_f64(text_from_cstring(good[i].text), &value));
        check_same_bytes(t, &value, &good[i].value, sizeof value);
    }
    static const char *const bad[] = {"",     "+",     "-",    ".",     "e5",   "1e",    "1e+",
                                      "0x10", "0x1p3", "1_0",  "1 ",    " 1",   "+nan",  "-NaN",
                                      "nan1", "infi",  "1e5x", "1.2.3", "--1",  "1e400", "-1e309",
                                      "1,5",  "1\n",   "in",   "1e5.",  "true", "1f"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        double value = -7;
        if (number_parse_f64(text_from_cstring(bad[i]), &value) || value != -7)
            check_failed(t, __FILE__, __LINE__, "\"%s\" was read as %g", bad[i], value);
    }
    double nan = 0;
    check(t, number_parse_f64(TEXT("nAn"), &nan) && nan != nan);
}

static void check_as_strtod(Test *t, const char *text) {
    double stated = strtod(text, NULL), actual;
    bool read = number_parse_f64(text_from_cstring(text), &actual);
    if (__builtin_isinf(stated)) {
        check(t, !read);
    } else if (!read || memcmp(&stated, &actual, sizeof stated) != 0) {
        check_failed(t, __FILE__, __LINE__, "%s became %a, not %a", text, actual, stated);
    }
}

TEST(random_numbers_are_read_as_strtod_reads_them) {
    uint64_t random = t->seed;
    for (int i = 0; i < 200000; i++) {
        char text[80];
        uint64_t bits = test_random(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (value - value == 0) {
            snprintf(text, sizeof text, "%.*e", (int)(test_random(&random) % 25), value);
            check_as_strtod(t, text);
        }
        uint64_t digits = test_random(&random) >> (test_random(&random) % 64);
        snprintf(text, sizeof text, "%llue%d", (unsigned long long)digits,
                 (int)(test_random(&random) % 680) - 345);
        check_as_strtod(t, text);
        // Half way between two doubles, and a little beside.
        uint64_t odd = (UINT64_C(1) << 53 | test_random(&random) >> 11) * 2 + 1;
        snprintf(text, sizeof text, "%llu%s", (unsigned long long)odd,
                 (const char *[]){"", ".0", ".00000000000000000001"}[i % 3]);
        check_as_strtod(t, text);
    }
}

TEST_MAIN("codec/number", CASE(whole_numbers_are_their_digits),
          CASE(times_one_after_the_other_are_as_times_alone), CASE(general_notation_is_that_of_go),
          CASE(numbers_are_read_as_go_reads_them),
          CASE(random_numbers_are_read_as_strtod_reads_them),
          CASE(positional_notation_is_that_of_go), CASE(shortest_notation_is_that_of_javascript),
          CASE(random_bit_patterns_read_back_and_no_shorter_text_does),
          CASE(powers_of_two_and_their_neighbours_are_shortest),
          CASE(decimals_of_few_digits_come_back_as_written),
          CASE(neighbours_of_decimals_of_few_places_are_shortest),
          CASE(milliseconds_become_seconds_without_trailing_zeros))
