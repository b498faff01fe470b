// The algebra agrees with plain loops over flags, and packed sets come back or are refused.

#include "store/index/postings.h"

#include "base/test.h"
#include "base/wide.h"
#include "store/index/bitpack.h"

enum { UNIVERSE = 5000 };

static PostingSet random_set(Test *t, uint64_t *random, uint32_t one_in, bool *flags) {
    PostingSet set = {arena_push_array(t->arena, uint32_t, UNIVERSE), 0};
    for (uint32_t i = 0; i < UNIVERSE; i++) {
        flags[i] = test_random(random) % one_in == 0;
        if (flags[i]) set.at[set.count++] = i;
    }
    return set;
}

static void check_set(Test *t, PostingSet set, const bool *flags) {
    size_t expected = 0;
    for (uint32_t i = 0; i < UNIVERSE; i++) {
        check(t, postings_contain(set, i) == flags[i]);
        if (flags[i]) {
            check(t, expected < set.count && set.at[expected] == i);
            expected++;
        }
    }
    check_i64(t, expected, set.count);
}

TEST(the_algebra_agrees_with_flags) {
    static bool a_flags[UNIVERSE], b_flags[UNIVERSE], c_flags[UNIVERSE], flags[UNIVERSE];
    static const uint32_t densities[] = {1, 2, 30, 700, 100000};
    uint64_t random = t->seed;
    for (size_t i = 0; i < COUNT(densities); i++) {
        for (size_t k = 0; k < COUNT(densities); k++) {
            PostingSet a = random_set(t, &random, densities[i], a_flags),
                       b = random_set(t, &random, densities[k], b_flags);
            PostingSet c = random_set(t, &random, 300, c_flags);
            for (size_t n = 0; n < UNIVERSE; n++) flags[n] = a_flags[n] && b_flags[n];
            check_set(t, postings_and(a, b, t->arena), flags);
            for (size_t n = 0; n < UNIVERSE; n++) flags[n] = a_flags[n] || b_flags[n];
            check_set(t, postings_or(a, b, t->arena), flags);
            for (size_t n = 0; n < UNIVERSE; n++) flags[n] = a_flags[n] && !b_flags[n];
            check_set(t, postings_without(a, b, t->arena), flags);
            for (size_t n = 0; n < UNIVERSE; n++) flags[n] = a_flags[n] || b_flags[n] || c_flags[n];
            check_set(t, postings_or_many((PostingSet[]){a, b, c}, 3, t->arena), flags);
        }
    }
}

TEST(many_sparse_sets_are_merged) {
    PostingSet sets[9];
    for (uint32_t i = 0; i < 9; i++) {
        sets[i] = (PostingSet){arena_push_array(t->arena, uint32_t, 2), 2};
        sets[i].at[0] = i;
        sets[i].at[1] = 4000000000u - i * 1000;
    }
    PostingSet all = postings_or_many(sets, 9, t->arena);
    check_i64(t, 18, all.count);
    for (size_t i = 1; i < all.count; i++) check(t, all.at[i] > all.at[i - 1]);
}

TEST(packed_sets_come_back_and_cut_ones_are_refused) {
    static bool flags[UNIVERSE];
    uint64_t random = t->seed;
    static const uint32_t densities[] = {1, 2, 3, 50, 1000, 4999};
    for (size_t i = 0; i < COUNT(densities); i++) {
        PostingSet set = random_set(t, &random, densities[i], flags), again;
        AUTO(builder_free) Builder packed = {0};
        postings_encode(set, &packed);
        size_t used;
        check_ok(t, postings_decode(text_bytes(builder_text(&packed)), UNIVERSE, t->arena, &again,
                                    &used, t->err));
        check_i64(t, packed.len, used);
        check_set(t, again, flags);
        for (size_t cut = 0; cut < packed.len; cut++) {
            uint8_t *exact = memory_take(cut + 1);
            memcpy(exact, packed.at, cut);
            exact = memory_resize(exact, MAX(cut, (size_t)1));
            check_error(
                t, postings_decode((Bytes){exact, cut}, UNIVERSE, t->arena, &again, &used, t->err),
                ERROR_CORRUPT);
            memory_free(exact);
        }
        if (set.count > 0) {
            uint32_t last = set.at[set.count - 1];
            check_error(t,
                        postings_decode(text_bytes(builder_text(&packed)), last, t->arena, &again,
                                        &used, t->err),
                        ERROR_CORRUPT);
        }
    }
}

TEST(a_packed_set_tells_whom_it_meets) {
    static bool flags[UNIVERSE];
    static uint64_t bits[UNIVERSE / 64 + 1];
    uint64_t random = t->seed;
    for (int round = 0; round < 200; round++) {
        static const uint32_t densities[] = {1, 3, 50, 1000, 4999};
        PostingSet set = random_set(t, &random, densities[round % 5], flags);
        AUTO(builder_free) Builder packed = {0};
        postings_encode(set, &packed);
        Bytes encoded = text_bytes(builder_text(&packed));
        uint64_t one_in = UINT64_C(1) << test_random(&random) % 13;
        bool expected = false, meet, any;
        uint32_t first;
        memset(bits, 0, sizeof bits);
        for (uint32_t i = 0; i < UNIVERSE; i++) {
            if (test_random(&random) % one_in != 0) continue;
            bits[i / 64] |= UINT64_C(1) << i % 64;
            expected |= flags[i];
        }
        check_ok(t, postings_meet(encoded, UNIVERSE, bits, &meet, t->err));
        check_i64(t, expected, meet);
        check_ok(t, postings_first(encoded, UNIVERSE, &first, &any, t->err));
        check_i64(t, set.count > 0, any);
        if (any) check_i64(t, set.at[0], first);
        // Nobody is met before the end, so what is cut is found.
        memset(bits, 0, sizeof bits);
        for (size_t cut = 0; cut < packed.len; cut++)
            check_error(t, postings_meet((Bytes){encoded.at, cut}, UNIVERSE, bits, &meet, t->err),
                        ERROR_CORRUPT);
        check_error(t, postings_first((Bytes){encoded.at, 0}, UNIVERSE, &first, &any, t->err),
                    ERROR_CORRUPT);
        if (set.count > 0)
            check_error(t, postings_meet(encoded, set.at[set.count - 1], bits, &meet, t->err),
                        ERROR_CORRUPT);
    }
}

TEST(a_dense_set_takes_a_byte_per_128) {
    PostingSet set = {arena_push_array(t->arena, uint32_t, 100000), 100000};
    for (uint32_t i = 0; i < set.count; i++) set.at[i] = i;
    AUTO(builder_free) Builder packed = {0};
    postings_encode(set, &packed);
    check(t, packed.len < 800);
}

TEST(a_list_grows_and_is_read) {
    PostingList list = {0};
    int64_t taken = 0;
    uint64_t random = t->seed;
    uint32_t number = 0;
    uint32_t *numbers = arena_push_array(t->arena, uint32_t, 3000);
    for (size_t i = 0; i < 3000; i++) {
        numbers[i] = number;
        posting_list_add(&list, number, &taken);
        number += 1 + (uint32_t)(test_random(&random) % (i % 10 == 0 ? 1000000 : 3));
    }
    check_i64(t, list.capacity, taken);
    PostingSet set = posting_list_read(&list, t->arena);
    check_i64(t, 3000, set.count);
    check_same_bytes(t, set.at, numbers, 3000 * sizeof *numbers);
    posting_list_free(&list);
}

// Of lists and sets of every density, so that eight gaps are passed over at their beginning, at
// their end and not at all.
TEST(a_list_and_a_set_have_in_common_what_reading_the_list_gives) {
    static const uint32_t gap_most[] = {1, 2, 120, 127, 128, 129, 300, 100000};
    uint64_t random = t->seed;
    for (int round = 0; round < 400; round++) {
        PostingList list = {0};
        int64_t taken = 0;
        uint32_t number = (uint32_t)(test_random(&random) % 300);
        size_t count = test_random(&random) % 400;
        uint32_t most = gap_most[test_random(&random) % COUNT(gap_most)];
        for (size_t i = 0; i < count; i++) {
            posting_list_add(&list, number, &taken);
            number += 1 + (uint32_t)(test_random(&random) % most);
        }
        PostingSet all = posting_list_read(&list, t->arena);
        uint32_t *at = arena_push_array(t->arena, uint32_t, count * 2 + 40);
        PostingSet set = {at, 0};
        // Members, their neighbours, and some beyond the end.
        uint64_t keep = 1 + test_random(&random) % 60;
        for (size_t i = 0; i < count + 10; i++) {
            if (test_random(&random) % keep != 0) continue;
            uint32_t member = i < count ? all.at[i] : number + (uint32_t)i;
            member += (uint32_t)(test_random(&random) % 3) - (member > 0);
            if (set.count == 0 || member > at[set.count - 1]) at[set.count++] = member;
        }
        PostingSet expected = postings_and(all, set, t->arena);
        PostingSet common = posting_list_and(&list, set, t->arena);
        check_i64(t, expected.count, common.count);
        check_same_bytes(t, common.at, expected.at, expected.count * sizeof *at);
        common = posting_list_and(&list, all, t->arena);
        check_i64(t, all.count, common.count);
        posting_list_free(&list);
    }
}

// What lies behind the last gap would make the very number that is looked for.
TEST(a_list_ends_where_its_last_gaps_were_passed_over) {
    enum { NUMBERS = 16, BEYOND = 40 };
    PostingList list = {0};
    int64_t taken = 0;
    for (uint32_t i = 0; i < NUMBERS; i++) posting_list_add(&list, i, &taken);
    check(t, list.len == NUMBERS && list.capacity > NUMBERS);
    list.bytes[NUMBERS] = BEYOND - NUMBERS;
    uint32_t beyond = BEYOND;
    check_i64(t, 0, posting_list_and(&list, (PostingSet){&beyond, 1}, t->arena).count);
    posting_list_free(&list);
}

TEST(bits_of_every_width_come_back) {
    uint64_t random = t->seed, numbers[131], again[131];
    for (unsigned width = 0; width <= 64; width++) {
        for (size_t i = 0; i < COUNT(numbers); i++) {
            numbers[i] = width == 0 ? 0 : test_random(&random) >> (64 - width);
        }
        size_t len = bitpack_bytes(COUNT(numbers), width);
        uint8_t *packed = memory_take(len + 1);
        packed = memory_resize(packed, MAX(len, (size_t)1));
        bitpack(numbers, COUNT(numbers), width, packed);
        bool is_there = wide_is_there;
        for (unsigned way = 0; way < 2; way++, wide_is_there = false) {
            memset(again, 0xee, sizeof again);
            bitunpack((Bytes){packed, len}, COUNT(numbers), width, again);
            check_same_bytes(t, numbers, again, sizeof numbers);
        }
        wide_is_there = is_there;
        memory_free(packed);
    }
}

TEST_MAIN("store/index", CASE(the_algebra_agrees_with_flags), CASE(many_sparse_sets_are_merged),
          CASE(packed_sets_come_back_and_cut_ones_are_refused),
          CASE(a_packed_set_tells_whom_it_meets), CASE(a_dense_set_takes_a_byte_per_128),
          CASE(a_list_grows_and_is_read),
          CASE(a_list_and_a_set_have_in_common_what_reading_the_list_gives),
          CASE(a_list_ends_where_its_last_gaps_were_passed_over),
          CASE(bits_of_every_width_come_back))
