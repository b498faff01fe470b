// Tests of the words everything else is written in.

#include "base/array.h"
#include "base/budget.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "base/test.h"

#include <math.h>

TEST(an_arena_gives_zeroed_aligned_memory) {
    Arena arena = {0};
    for (size_t size = 1; size < 3000; size = size * 3 + 1) {
        char *at = arena_push_size(&arena, size, 16);
        check(t, (uintptr_t)at % 16 == 0);
        for (size_t i = 0; i < size; i++) check(t, at[i] == 0);
        memset(at, 0xff, size);
    }
    arena_free(&arena);
    check(t, arena.bytes == 0);
}

TEST(an_arena_goes_back_to_its_mark) {
    Arena arena = {0};
    arena_push_size(&arena, 100, 1);
    ArenaMark mark = arena_mark(&arena);
    size_t bytes = arena.bytes;
    for (int i = 0; i < 100; i++) arena_push_size(&arena, 10000, 8);
    arena_reset_to(&arena, mark);
    check(t, arena.bytes == bytes);
    arena_clear(&arena);
    check(t, arena.bytes > 0);
    arena_free(&arena);
}

TEST(an_error_tells_its_story_from_the_outside_in) {
    error_set(t->err, ERROR_CORRUPT, "%d bytes of chunks, not %d", 8, 9);
    check(t, !error_context(t->err, "opening %s", "blocks/0042"));
    check_text(t, TEXT("opening blocks/0042: 8 bytes of chunks, not 9"),
               text_from_cstring(t->err->message));
    check(t, t->err->code == ERROR_CORRUPT);
    check_text(t, TEXT("CORRUPT"), text_from_cstring(error_code_name(t->err->code)));
}

TEST(an_error_that_grows_too_long_keeps_its_cause) {
    error_set(t->err, ERROR_IO, "the cause");
    for (int i = 0; i < 100; i++)
        error_context(t->err, "a context that is rather long, number %d", i);
    check(t, strlen(t->err->message) < ERROR_MESSAGE_MAX);
}

TEST(numbers_are_read_strictly) {
    uint64_t u;
    int64_t i;
    double f;
    check(t, text_to_u64(TEXT("18446744073709551615"), &u) && u == UINT64_MAX);
    check(t, !text_to_u64(TEXT("18446744073709551616"), &u));
    check(t, !text_to_u64(TEXT(""), &u) && !text_to_u64(TEXT("+1"), &u) &&
                 !text_to_u64(TEXT("1 "), &u));
    check(t, text_to_i64(TEXT("-9223372036854775808"), &i) && i == INT64_MIN);
    check(t, !text_to_i64(TEXT("9223372036854775808"), &i) && !text_to_i64(TEXT("-"), &i));
    check(t, text_to_f64(TEXT("-1.5e3"), &f) && f == -1500.0);
    check(t, text_to_f64(TEXT("+Inf"), &f) && isinf(f) && text_to_f64(TEXT("NaN"), &f) && isnan(f));
    check(t, !text_to_f64(TEXT(" 1"), &f) && !text_to_f64(TEXT("1_0"), &f) &&
                 !text_to_f64(TEXT("nan(1)"), &f));
}

TEST(utf8_is_told_from_other_bytes) {
    check(t, text_is_utf8(TEXT("plain ascii that is longer than eight bytes")));
    check(t, text_is_utf8(TEXT("gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x98\x80")));
    check(t, !text_is_utf8(TEXT("\xc0\xaf")));          // too long a form
    check(t, !text_is_utf8(TEXT("\xed\xa0\x80")));      // a surrogate
    check(t, !text_is_utf8(TEXT("\xf4\x90\x80\x80")));  // beyond U+10FFFF
    check(t, !text_is_utf8(TEXT("12345678\xe2\x82")));  // cut short
    check(t, !text_is_utf8(TEXT("\x80")));
}

TEST(cutting_gives_every_part_once) {
    Text rest = TEXT("a,,b"), part;
    check(t, text_cut(&rest, ',', &part) && text_equal(part, TEXT("a")));
    check(t, text_cut(&rest, ',', &part) && part.len == 0);
    check(t, text_cut(&rest, ',', &part) && text_equal(part, TEXT("b")));
    check(t, !text_cut(&rest, ',', &part));
}

TEST(siphash_matches_its_vector) {
    // The reference test key 00..0f; the expected value is that of the empty message.
    HashKey key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    check(t, hash_keyed(key, BYTES_NONE) == 0xabac0158050fc4dcu);
    uint8_t message[15];
    for (size_t i = 0; i < sizeof message; i++) message[i] = (uint8_t)i;
    uint64_t hash = hash_keyed(key, (Bytes){message, sizeof message});
    check(t, hash != hash_keyed((HashKey){1, 2}, (Bytes){message, sizeof message}));
    check(t, hash != hash_keyed(key, (Bytes){message, sizeof message - 1}));
}

TEST(wide_hashes_tell_every_key_from_every_other) {
    UNFILLED HashWideKey key, other;
    hash_wide_begin(&key, (HashKey){1, t->seed});
    hash_wide_begin(&other, (HashKey){2, t->seed});
    uint64_t state = t->seed;
    for (size_t len = 0; len < HASH_WIDE_BYTES + 20; len += len < 200 ? 1 : 37) {
        // Just so many bytes: reading behind them is found out.
        uint8_t *at = memory_new_array(uint8_t, len + 1);
        for (size_t i = 0; i < len; i++) at[i] = (uint8_t)test_random(&state);
        uint64_t hash = hash_wide(&key, (Bytes){at, len});
        check(t, hash == hash_wide(&key, (Bytes){at, len}));
        check(t, hash != hash_wide(&other, (Bytes){at, len}));
        check(t, hash != hash_wide(&key, (Bytes){at, len + 1}));  // a zero more
        for (size_t bit = 0; bit < 8 * len; bit++) {
            at[bit / 8] ^= (uint8_t)(1 << bit % 8);
            check(t, hash != hash_wide(&key, (Bytes){at, len}));
            at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        if (len > HASH_WIDE_BYTES) check(t, hash == hash_keyed(key.key, (Bytes){at, len}));
        memory_free(at);
    }
}

TEST(wide_hashes_of_neighbours_are_scattered) {
    UNFILLED HashWideKey key;
    hash_wide_begin(&key, (HashKey){1, t->seed});
    // Of 65,536 balls in as many bins 24,109 bins stay empty, give or take some hundred.
    enum { KEYS = 65536 };
    uint8_t *low = memory_new_array(uint8_t, KEYS), *middle = memory_new_array(uint8_t, KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        char name[48];
        int len = snprintf(name, sizeof name, "instance=10.0.%zu.%zu:9100", i >> 8, i & 255);
        uint64_t hash = hash_wide(&key, (Bytes){(const uint8_t *)name, (size_t)len});
        low[hash % KEYS] = 1;
        middle[hash >> 32 & (KEYS - 1)] = 1;
    }
    size_t empty_low = 0, empty_middle = 0;
    for (size_t i = 0; i < KEYS; i++) {
        empty_low += low[i] == 0;
        empty_middle += middle[i] == 0;
    }
    memory_free(low);
    memory_free(middle);
    check(t, empty_low > 22000 && empty_low < 26500);
    check(t, empty_middle > 22000 && empty_middle < 26500);
}

TEST(a_map_finds_what_was_put) {
    Map map = map_begin(t->arena, (HashKey){1, 2});
    for (int i = 0; i < 1000; i++)
        *map_put(&map, text_format(t->arena, "key-%d", i)) = (void *)(intptr_t)(i + 1);
    for (int i = 0; i < 1000; i++) {
        check(t, map_get(&map, text_format(t->arena, "key-%d", i)) == (void *)(intptr_t)(i + 1));
    }
    check(t, map_get(&map, TEXT("key-1000")) == NULL);
    size_t seen = 0;
    const MapSlot *slot;
    for (size_t at = 0; map_next(&map, &at, &slot);) seen++;
    check(t, seen == 1000);
}

TEST(an_array_grows_and_keeps_its_elements) {
    ARRAY(int) heap = {0}, on_arena = {0};
    for (int i = 0; i < 1000; i++) {
        *array_add(&heap) = i;
        *array_add_on(t->arena, &on_arena) = i;
    }
    for (int i = 0; i < 1000; i++) check(t, heap.at[i] == i && on_arena.at[i] == i);
    array_free(&heap);
}

TEST(a_budget_refuses_what_passes_it_or_its_parent) {
    Budget parent = {.name = "all", .limit = 100};
    Budget child = {.name = "queries", .limit = 80, .parent = &parent};
    check_ok(t, budget_reserve(&child, 60, t->err));
    check_error(t, budget_reserve(&child, 30, t->err), ERROR_NO_MEMORY);
    check_ok(t, budget_reserve(&parent, 30, t->err));
    check_error(t, budget_reserve(&child, 15, t->err), ERROR_NO_MEMORY);
    check(t, child.used == 60 && parent.used == 90);
    budget_release(&child, 60);
    check(t, child.used == 0 && parent.used == 30);
}

TEST(large_memory_fails_when_told_to) {
    void *at = NULL;
    memory_fail_after(2, false);
    check_ok(t, memory_reserve(100, &at, t->err));
    memory_free(at);
    check_error(t, memory_reserve(100, &at, t->err), ERROR_NO_MEMORY);
    check_ok(t, memory_reserve(100, &at, t->err));
    memory_free(at);
    check(t, memory_fail_after(1, false) == 3);
    memory_fail_untold(true);
    check_ok(t, memory_reserve(100, &at, t->err));
    check(t, at == NULL);
    memory_fail_untold(false);
    check(t, memory_fail_after(0, false) == 1);
}

TEST(every_limit_has_a_reason_and_a_unit) {
    for (size_t i = 0; i < limit_row_count; i++) {
        check(t, limit_rows[i].value > 0 && limit_rows[i].unit[0] != '\0' &&
                     limit_rows[i].why[0] != '\0');
        for (size_t j = 0; j < i; j++)
            check(t, strcmp(limit_rows[i].name, limit_rows[j].name) != 0);
    }
}

TEST(a_distance_counts_the_letters_that_differ) {
    check_i64(t, 0, text_distance(TEXT(""), TEXT("")));
    check_i64(t, 3, text_distance(TEXT(""), TEXT("abc")));
    check_i64(t, 2, text_distance(TEXT("qurey"), TEXT("query")));
    check_i64(t, 1, text_distance(TEXT("serv"), TEXT("serve")));
    check_i64(t, 3, text_distance(TEXT("kitten"), TEXT("sitting")));
    char wide[61];
    memset(wide, 'a', sizeof wide);
    check(t, text_distance((Text){wide, 61}, TEXT("a")) > 100 &&
                 text_distance((Text){wide, 60}, TEXT("a")) == 59);
}

static Builder lines;
static void keep_line(void *context, Text line) {
    (void)context;
    builder_add(&lines, line);
}
static int64_t a_known_time(void *context) {
    (void)context;
    return 1732147200123;
}

TEST(a_log_line_cannot_be_forged) {
    log_set_sink((LogSink){keep_line, a_known_time, NULL, LOG_LOGFMT, LOG_INFO});
    builder_clear(&lines);
    log_info("hello", LOG_TEXT("name", TEXT("a\nlevel=error")), LOG_I64("count", -3),
             LOG_F64("part", 0.5));
    log_debug("not shown");
    check_text(t,
               TEXT("ts=2024-11-21T00:00:00.123Z level=info msg=hello name=\"a\\nlevel=error\" "
                    "count=-3 part=0.5\n"),
               builder_text(&lines));
    log_set_sink((LogSink){keep_line, NULL, NULL, LOG_JSON, LOG_DEBUG});
    builder_clear(&lines);
    log_debug("x", LOG_TEXT("q", TEXT("\"\x01")));
    check_text(t, TEXT("{\"level\":\"debug\",\"msg\":\"x\",\"q\":\"\\\"\\u0001\"}\n"),
               builder_text(&lines));
    log_set_sink((LogSink){0});
    builder_free(&lines);
}

#ifndef SANITIZED  // which keeps what was freed, to find who uses it
static long resident_pages(void) {
    long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &all, &resident) != 2) resident = -1;
    if (file != NULL) (void)fclose(file);
    return resident;
}

TEST(what_was_freed_goes_back_when_it_is_asked_for) {
    enum { BLOCKS = 64 * 1024, BLOCK = 1000 };
    void **blocks = memory_new_array(void *, BLOCKS);
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = memory_take(BLOCK);
        memset(blocks[i], 1, BLOCK);
    }
    long before = resident_pages();
    // All but the last ones, which keep the heap from shrinking by itself.
    for (size_t i = 0; i < BLOCKS - 64; i++) memory_free(blocks[i]);
    memory_give_back();
    check(t, before > 0 && before - resident_pages() > (long)BLOCKS * BLOCK / 4096 / 2);
    for (size_t i = BLOCKS - 64; i < BLOCKS; i++) memory_free(blocks[i]);
    memory_free(blocks);
}
#define GIVE_BACK_CASE CASE(what_was_freed_goes_back_when_it_is_asked_for),
#else
#define GIVE_BACK_CASE
#endif

TEST(wide_memory_is_aligned_writable_and_refused_as_other_memory_is) {
    const size_t sizes[] = {100, MEMORY_HUGE - 1, MEMORY_HUGE, 3 * (size_t)MEMORY_HUGE};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        void *at = NULL;
        check_ok(t, memory_reserve_wide(sizes[i], &at, t->err));
        check(t, sizes[i] < MEMORY_HUGE || (uintptr_t)at % MEMORY_HUGE == 0);
        memset(at, 7, sizes[i]);
        memory_free_wide(at, sizes[i]);
        memory_fail_after(1, false);
        check_error(t, memory_reserve_wide(sizes[i], &at, t->err), ERROR_NO_MEMORY);
        memory_fail_after(0, false);
    }
    memory_free_wide(NULL, 0);
}

TEST_MAIN("base",
          GIVE_BACK_CASE CASE(wide_memory_is_aligned_writable_and_refused_as_other_memory_is),
          CASE(an_arena_gives_zeroed_aligned_memory), CASE(an_arena_goes_back_to_its_mark),
          CASE(an_error_tells_its_story_from_the_outside_in),
          CASE(an_error_that_grows_too_long_keeps_its_cause), CASE(numbers_are_read_strictly),
          CASE(utf8_is_told_from_other_bytes), CASE(cutting_gives_every_part_once),
          CASE(siphash_matches_its_vector), CASE(wide_hashes_tell_every_key_from_every_other),
          CASE(wide_hashes_of_neighbours_are_scattered), CASE(a_map_finds_what_was_put),
          CASE(an_array_grows_and_keeps_its_elements),
          CASE(a_budget_refuses_what_passes_it_or_its_parent),
          CASE(large_memory_fails_when_told_to), CASE(every_limit_has_a_reason_and_a_unit),
          CASE(a_log_line_cannot_be_forged), CASE(a_distance_counts_the_letters_that_differ))
