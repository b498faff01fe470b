// Tests of labels, matchers, batches and tenant names.

#include "base/limits.h"
#include "base/test.h"
#include "model/batch.h"
#include "model/matcher.h"

static Labels make(Test *t, const Label *at, size_t count) {
    Labels labels = LABELS_NONE;
    check_ok(t, labels_make(at, count, t->arena, &labels, t->err));
    return labels;
}

TEST(labels_are_sorted_and_read_back) {
    Label in[] = {{TEXT("b"), TEXT("2")},
                  {TEXT("__name__"), TEXT("up")},
                  {TEXT("gone"), TEXT("")},
                  {TEXT("a"), TEXT("1")}};
    Labels labels = make(t, in, COUNT(in));
    check_ok(t, labels_check(labels.wire, t->err));
    check_i64(t, 3, labels_count(labels));
    check_text(t, TEXT("1"), labels_get(labels, TEXT("a")));
    check(t, labels_get(labels, TEXT("gone")).at == NULL);
    AUTO(builder_free) Builder out = {0};
    labels_print(labels, &out);
    check_text(t, TEXT("up{a=\"1\", b=\"2\"}"), builder_text(&out));
}

TEST(a_label_that_stands_twice_is_refused) {
    Label in[] = {{TEXT("a"), TEXT("1")}, {TEXT("a"), TEXT("2")}};
    Labels labels;
    check_error(t, labels_make(in, 2, t->arena, &labels, t->err), ERROR_BAD_INPUT);
}

TEST(the_canonical_bytes_are_those_of_prometheus) {
    Label in[] = {{TEXT("__name__"), TEXT("up")}};
    Labels labels = make(t, in, 1);
    check_text(t, TEXT("\x0a\x0e\x0a\x08__name__\x12\x02up"), bytes_text(labels.wire));
}

TEST(bytes_that_are_not_canonical_are_named) {
    static const struct {
        Text wire;
        const char *says;
    } cases[] = {
        {TEXT_INIT("\x0a\x0e\x0a\x08__name__\x12\x02u"), "canonical"},
        {TEXT_INIT("\x0a\x8e\x00\x0a\x08__name__\x12\x02up"),
         "canonical"},  // a longer varint than needed
        {TEXT_INIT("\x0a\x06\x0a\x01"
                   "a\x12\x01"
                   "1"),
         "__name__"},
        {TEXT_INIT("\x0a\x0e\x0a\x08__name__\x12\x02up"
                   "\x0a\x06\x0a\x01"
                   "A\x12\x01"
                   "1"),
         "sorted"},
        {TEXT_INIT("\x0a\x0e\x0a\x08__name__\x12\x02up"
                   "\x0a\x06\x0a\x01"
                   "a\x12\x01"
                   "1"
                   "\x0a\x06\x0a\x01"
                   "a\x12\x01"
                   "1"),
         "twice"},
        {TEXT_INIT("\x0a\x0c\x0a\x08__name__\x12\x00"), "empty"},
        {TEXT_INIT("\x0a\x0e\x0a\x08__name__\x12\x02u\xff"), "UTF-8"},
        {TEXT_INIT("\x12\x00"), "canonical"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        check(t, !labels_check(text_bytes(cases[i].wire), t->err));
        if (strstr(t->err->message, cases[i].says) == NULL)
            check_failed(t, __FILE__, __LINE__, "case %zu says \"%s\"", i, t->err->message);
    }
}

TEST(the_limits_of_labels_hold_and_are_named) {
    AUTO(builder_free) Builder wire = {0};
    labels_append(&wire, TEXT("__name__"), TEXT("m"));
    for (int i = 0; i < LIMIT_SERIES_LABELS; i++)
        labels_append(&wire, text_format(t->arena, "l%04d", i), TEXT("v"));
    check_error(t, labels_check(text_bytes(builder_text(&wire)), t->err), ERROR_TOO_LARGE);
    check(t, strstr(t->err->message, "SERIES_LABELS") != NULL);
    builder_clear(&wire);
    char *value = arena_push_size(t->arena, (size_t)LIMIT_LABEL_VALUE_BYTES + 1, 1);
    memset(value, 'v', (size_t)LIMIT_LABEL_VALUE_BYTES + 1);
    labels_append(&wire, TEXT("__name__"), (Text){value, (size_t)LIMIT_LABEL_VALUE_BYTES});
    check_ok(t, labels_check(text_bytes(builder_text(&wire)), t->err));
    builder_clear(&wire);
    labels_append(&wire, TEXT("__name__"), (Text){value, (size_t)LIMIT_LABEL_VALUE_BYTES + 1});
    check_error(t, labels_check(text_bytes(builder_text(&wire)), t->err), ERROR_TOO_LARGE);
}

TEST(names_beyond_ascii_are_printed_quoted) {
    Label in[] = {{TEXT("__name__"), TEXT("http.requests")}, {TEXT("caf\xc3\xa9"), TEXT("a\"b\n")}};
    AUTO(builder_free) Builder out = {0};
    labels_print(make(t, in, 2), &out);
    check_text(t, TEXT("{\"http.requests\", \"caf\xc3\xa9\"=\"a\\\"b\\n\"}"), builder_text(&out));
}

TEST(labels_compare_like_their_names_and_values) {
    Label a[] = {{TEXT("__name__"), TEXT("m")}, {TEXT("a"), TEXT("1")}};
    Label b[] = {{TEXT("__name__"), TEXT("m")}, {TEXT("a"), TEXT("10")}};
    check(t, labels_compare(make(t, a, 2), make(t, b, 2)) < 0);
    check(t, labels_compare(make(t, a, 1), make(t, a, 2)) < 0);
    check(t, labels_compare(make(t, a, 2), make(t, a, 2)) == 0);
}

// Few names, values that share beginnings and hold zeros: what the order is decided by lies
// anywhere.
static Labels random_labels(Test *t, uint64_t *state) {
    static const Text names[] = {TEXT_INIT("__name__"), TEXT_INIT("a"), TEXT_INIT("ab"),
                                 TEXT_INIT("zone")};
    static const Text pieces[] = {TEXT_INIT("a"),
                                  TEXT_INIT("\0"),
                                  TEXT_INIT("b"),
                                  TEXT_INIT("0"),
                                  TEXT_INIT("node-0001.dc1.example"),
                                  TEXT_INIT("\xff")};
    Label labels[COUNT(names)];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(names); i++) {
        if (test_random(state) % 4 == 0) continue;
        AUTO(builder_free) Builder value = {0};
        for (size_t left = 1 + test_random(state) % 5; left > 0; left--)
            builder_add(&value, pieces[test_random(state) % (left == 2 ? 5 : 2)]);
        labels[count++] = (Label){names[i], text_copy(builder_text(&value), t->arena)};
    }
    return make(t, labels, count);
}

static uint64_t same_places(Bytes one, Bytes other) {
    uint64_t same = 0;
    Label a, b;
    for (unsigned i = 0; labels_next(&one, &a) && labels_next(&other, &b); i++) {
        bool equal = text_equal(a.name, b.name) && text_equal(a.value, b.value);
        same |= (uint64_t)equal << i;
    }
    return same;
}

TEST(labels_beside_others_are_judged_as_by_themselves) {
    uint64_t random = t->seed * 2 + 1;
    size_t fine = 0, refused = 0;
    while (fine < 2000 || refused < 2000) {
        // Others that passed, and these: they have labels in common, and a byte may be another.
        Bytes known = random_labels(t, &random).wire, wire = random_labels(t, &random).wire;
        if (wire.len == 0 || !labels_check(known, t->err)) continue;
        if (test_random(&random) % 2 == 0) wire = known;
        uint8_t *bytes = arena_push_array(t->arena, uint8_t, wire.len + 1);
        memcpy(bytes, wire.at, wire.len);
        if (test_random(&random) % 2 == 0)
            bytes[test_random(&random) % wire.len] ^= (uint8_t)(1u << test_random(&random) % 8);
        wire = (Bytes){bytes, wire.len - (test_random(&random) % 8 == 0)};
        Error alone = {0}, beside = {0};
        bool passes = labels_check(wire, &alone);
        uint64_t same;
        check(t, labels_check_beside(known, wire, &same, &beside) == passes);
        if (passes) check(t, same == same_places(known, wire));
        check(t, alone.code == beside.code && strcmp(alone.message, beside.message) == 0);
        passes ? fine++ : refused++;
    }
}

TEST(many_labels_are_sorted_as_by_comparing_them) {
    static const size_t counts[] = {0, 1, 2, 12, 13, 100, 3000};
    uint64_t state = 1;
    for (size_t round = 0; round < COUNT(counts); round++) {
        typedef struct {
            double before;
            Labels labels;
        } Row;
        size_t count = counts[round];
        Row *rows = arena_push_array(t->arena, Row, count + 1);
        for (size_t i = 0; i < count; i++) rows[i].labels = random_labels(t, &state);
        uint32_t *order = labels_order(&rows->labels, sizeof *rows, count, t->arena);
        uint8_t *seen = arena_push_array(t->arena, uint8_t, count + 1);
        for (size_t i = 0; i < count; i++) {
            check(t, order[i] < count && !seen[order[i]]);
            seen[order[i]] = 1;
            if (i == 0) continue;
            int compared = labels_compare(rows[order[i - 1]].labels, rows[order[i]].labels);
            check(t, compared < 0 || (compared == 0 && order[i - 1] < order[i]));
        }
    }
}

TEST(an_absent_label_matches_as_empty) {
    Label in[] = {{TEXT("__name__"), TEXT("up")}};
    Matcher matchers[2];
    check_ok(t, matcher_make(MATCH_NOT_EQUAL, TEXT("job"), TEXT("x"), &matchers[0], t->err));
    check_ok(t, matcher_make(MATCH_REGEX, TEXT("job"), TEXT("|y"), &matchers[1], t->err));
    check(t, matchers_match((Matchers){matchers, 2}, make(t, in, 1)));
    matcher_close(&matchers[0]);
    matcher_close(&matchers[1]);
}

TEST(the_names_of_tenants_cannot_become_paths) {
    check_ok(t, tenant_name_check(TEXT("team-a.prod_1"), t->err));
    static const Text bad[] = {TEXT_INIT(""),     TEXT_INIT(".."),  TEXT_INIT("a/b"),
                               TEXT_INIT("a\0b"), TEXT_INIT("a b"), TEXT_INIT("\xc3\xa9")};
    for (size_t i = 0; i < COUNT(bad); i++)
        check_error(t, tenant_name_check(bad[i], t->err), ERROR_BAD_INPUT);
}

TEST(a_refused_row_is_counted_once_and_keeps_the_first_reason) {
    Batch batch = {0};
    BatchSeries *row = array_add(&batch.series);
    row->sample_count = 3;
    Error first = {.code = ERROR_BAD_INPUT, .message = "first"},
          second = {.code = ERROR_TOO_LARGE, .message = "second"};
    batch_refuse(&batch, row, VERDICT_BAD_LABELS, &first);
    batch_refuse(&batch, row, VERDICT_LIMIT, &second);
    check_i64(t, 3, batch.counts[VERDICT_BAD_LABELS]);
    check_i64(t, 0, batch.counts[VERDICT_LIMIT]);
    check_text(t, TEXT("first"), text_from_cstring(batch.first_fault.message));
    batch_free(&batch);
}

TEST_MAIN("model", CASE(labels_are_sorted_and_read_back),
          CASE(a_label_that_stands_twice_is_refused),
          CASE(the_canonical_bytes_are_those_of_prometheus),
          CASE(bytes_that_are_not_canonical_are_named),
          CASE(the_limits_of_labels_hold_and_are_named),
          CASE(names_beyond_ascii_are_printed_quoted),
          CASE(labels_compare_like_their_names_and_values),
          CASE(labels_beside_others_are_judged_as_by_themselves),
          CASE(many_labels_are_sorted_as_by_comparing_them), CASE(an_absent_label_matches_as_empty),
          CASE(the_names_of_tenants_cannot_become_paths),
          CASE(a_refused_row_is_counted_once_and_keeps_the_first_reason))
