// Tests of decoding and of the gate, without a store.

#include "base/assert.h"
#include "base/limits.h"
#include "base/test.h"
#include "codec/protobuf.h"
#include "ingest/admit.h"
#include "ingest/ingest.h"
#include "ingest/write_request.h"

static Labels named(Test *t, const char *name) {
    Label label = {LABEL_NAME, text_from_cstring(name)};
    Labels labels = LABELS_NONE;
    check_ok(t, labels_make(&label, 1, t->arena, &labels, t->err));
    return labels;
}

TEST(rows_come_out_as_they_were_written) {
    WriteBody body = {0};
    write_body_add(&body, named(t, "a"), 1000, -0.0);
    write_body_add(&body, named(t, "b"), -5, NAN);
    write_body_add_metadata(&body, TEXT("a"), 1, TEXT("help"), TEXT("bytes"));
    Batch batch = {0};
    check_ok(t, write_request_decode(text_bytes(builder_text(&body.bytes)), t->arena, NULL, &batch,
                                     t->err));
    check_i64(t, 2, batch.series.count);
    check(t, labels_equal(named(t, "b"), (Labels){batch.series.at[1].labels}));
    check_i64(t, -5, batch.samples.at[1].time_ms);
    check(t, isnan(batch.samples.at[1].value) &&
                 double_bits(batch.samples.at[0].value) == double_bits(-0.0));
    check_text(t, TEXT("help"), batch.metadata.at[0].help);
    batch_free(&batch);
    write_body_free(&body);
}

TEST(a_series_carries_samples_exemplars_and_histograms) {
    static const HistogramSpan spans[] = {{0, 2}};
    static const int64_t deltas[] = {1, 1};
    NativeHistogram histogram = {.time_ms = 2000,
                                 .schema = 3,
                                 .count = 3,
                                 .sum = 4.5,
                                 .positive = {spans, 1, deltas, NULL, 2}};
    WriteBody body = {0};
    write_body_begin(&body, named(t, "a"));
    write_body_sample(&body, 1000, 1);
    write_body_exemplar(&body, named(t, "e"), 0.5, 900);
    write_body_sample_since(&body, 1001, 2, 500);
    write_body_histogram(&body, &histogram);
    write_body_end(&body);
    write_body_add(&body, named(t, "b"), 1, 3);
    check_i64(t, 4, body.rows);

    Batch batch = {0};
    check_ok(t, write_request_decode(text_bytes(builder_text(&body.bytes)), t->arena, NULL, &batch,
                                     t->err));
    check_i64(t, 2, batch.series.count);
    check_i64(t, 2, batch.series.at[0].sample_count);
    check_i64(t, 1, batch.series.at[1].sample_count);
    check(t, batch.samples.at[1].time_ms == 1001 && batch.samples.at[1].value == 2);
    check(t, batch_start(&batch, 0) == 0 && batch_start(&batch, 1) == 500 &&
                 batch_start(&batch, 2) == 0);
    check_i64(t, 1, batch.series.at[0].exemplar_count);
    check_i64(t, 900, batch.exemplars.at[0].time_ms);
    check(t, batch.exemplars.at[0].value == 0.5);
    check(t, labels_equal(named(t, "e"), (Labels){batch.exemplars.at[0].labels}));
    check_i64(t, 2000, batch.histograms.at[0].time_ms);
    NativeHistogram again;
    check_ok(t, native_histogram_read(batch.histograms.at[0].wire, t->arena, &again, t->err));
    check(t, native_histogram_equal(&histogram, &again));
    batch_free(&batch);
    write_body_free(&body);
}

TEST(a_row_written_straight_is_the_row_begun_and_ended) {
    static const int64_t times[] = {0, 1, 127, 128, 1763683200000, INT64_MAX, -1};
    char name[300];
    for (size_t len = 1; len < sizeof name; len += len < 100 || len > 140 ? 40 : 1) {
        memset(name, 'n', len);
        name[len] = '\0';
        Labels labels = named(t, name);
        for (size_t i = 0; i < COUNT(times); i++) {
            WriteBody straight = {0}, pieces = {0};
            int64_t start_ms = i % 2 == 0 ? 0 : times[i - 1] + 7;
            write_body_add_since(&straight, labels, times[i], (double)i - 0.5, start_ms);
            write_body_begin(&pieces, labels);
            write_body_sample_since(&pieces, times[i], (double)i - 0.5, start_ms);
            write_body_end(&pieces);
            check_text(t, builder_text(&pieces.bytes), builder_text(&straight.bytes));
            check_i64(t, pieces.rows, straight.rows);
            write_body_free(&straight);
            write_body_free(&pieces);
        }
    }
}

TEST(labels_written_in_several_places_are_brought_together) {
    AUTO(builder_free) Builder body = {0};
    size_t series = protobuf_begin(&body, 1);
    builder_add(&body, TEXT("\x0a\x0e\x0a\x08__name__\x12\x02up"));
    size_t sample = protobuf_begin(&body, 2);
    protobuf_add_varint(&body, 2, 7);
    protobuf_add_double(&body, 1, 3);  // the other way round than usual
    protobuf_end(&body, sample);
    builder_add(&body, TEXT("\x0a\x06\x0a\x01"
                            "a\x12\x01"
                            "1"));
    protobuf_end(&body, series);
    Batch batch = {0};
    check_ok(t,
             write_request_decode(text_bytes(builder_text(&body)), t->arena, NULL, &batch, t->err));
    check_i64(t, 2, labels_count((Labels){batch.series.at[0].labels}));
    check(t, batch.samples.at[0].time_ms == 7 && batch.samples.at[0].value == 3);
    batch_free(&batch);
}

TEST(every_truncation_is_refused_or_a_whole_number_of_rows) {
    WriteBody body = {0};
    for (int i = 0; i < 3; i++) write_body_add(&body, named(t, "metric"), 1000 + i, i);
    size_t row = body.bytes.len / 3;
    for (size_t len = 0; len < body.bytes.len; len++) {
        Batch batch = {0};
        uint8_t *exact = arena_push_raw(t->arena, len, 1);
        memcpy(exact, body.bytes.at, len);
        bool decoded = write_request_decode((Bytes){exact, len}, t->arena, NULL, &batch, t->err);
        check(t, decoded == (len % row == 0));
        batch_free(&batch);
    }
    write_body_free(&body);
}

TEST(times_outside_the_limits_refuse_their_row_and_no_other) {
    static const struct {
        int64_t time_ms;
        Verdict verdict;
    } rows[] = {
        {INT64_C(1763683200000), VERDICT_STORED},
        {INT64_C(-2208988800000), VERDICT_TOO_OLD},  // 1900
        {INT64_C(7258118400000), VERDICT_TOO_NEW},   // 2200
        {INT64_C(1763683200),
         VERDICT_STORED},  // seconds taken for milliseconds: 1970 is inside a hundred years
        {INT64_MIN, VERDICT_TOO_OLD},
        {INT64_MAX, VERDICT_TOO_NEW},
    };
    WriteBody body = {0};
    for (size_t i = 0; i < COUNT(rows); i++)
        write_body_add(&body, named(t, "m"), rows[i].time_ms, 1);
    Batch batch = {.arrival_ms = INT64_C(1763683200000)};
    check_ok(t, write_request_decode(text_bytes(builder_text(&body.bytes)), t->arena, NULL, &batch,
                                     t->err));
    admit(&batch);
    for (size_t i = 0; i < COUNT(rows); i++)
        check_i64(t, rows[i].verdict, batch.series.at[i].verdict);
    check(t, strstr(batch.first_fault.message, "too old") != NULL);
    batch_free(&batch);
    write_body_free(&body);
}

TEST(exemplars_and_metadata_beyond_their_limits_are_left_out) {
    char *long_text = arena_push_size(t->arena, 8000, 1);
    memset(long_text, 'x', 8000);
    WriteBody body = {0};
    write_body_add_metadata(&body, TEXT("fine"), 1, TEXT("h"), TEXT_NONE);
    write_body_add_metadata(&body, TEXT("long"), 1, (Text){long_text, 8000}, TEXT_NONE);
    write_body_add_metadata(&body, TEXT("\xff"), 1, TEXT("h"), TEXT_NONE);
    Batch batch = {0};
    check_ok(t, write_request_decode(text_bytes(builder_text(&body.bytes)), t->arena, NULL, &batch,
                                     t->err));
    admit(&batch);
    check_i64(t, 1, batch.metadata.count);
    batch_free(&batch);
    write_body_free(&body);
}

// Found by test/scenario/limits_test.py: the first question for such an exemplar ended the server,
// after every restart.
TEST(exemplars_with_labels_that_cannot_be_read_are_left_out) {
    static const struct {
        Text labels;
        bool kept;
    } rows[] = {
        {TEXT_INIT("\x0a\x06\x0a\x01"
                   "a\x12\x01"
                   "1"),
         true},
        {TEXT_INIT("\x0a\x06\x0a\x01"
                   "b\x12\x01"
                   "1\x0a\x06\x0a\x01"
                   "a\x12\x01"
                   "1"),
         true},  // in any order
        {TEXT_INIT(""), true},
        {TEXT_INIT("\x0a\x06\x0a\x01"
                   "a\x12\x01"
                   "1\x0a\x06\x0a\x01"
                   "a\x12\x01"
                   "2"),
         false},
        {TEXT_INIT("\x0a\x06\x0a\x01"
                   "a\x12\x01"
                   "\xff"),
         false},
        {TEXT_INIT("\x0a\x05\x0a\x00\x12\x01"
                   "1"),
         false},
        {TEXT_INIT("\x0a\x03"
                   "abc"),
         false},
    };
    AUTO(builder_free) Builder body = {0};
    size_t series = protobuf_begin(&body, 1);
    builder_add_bytes(&body, named(t, "m").wire.at, named(t, "m").wire.len);
    size_t expected = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t exemplar = protobuf_begin(&body, 3);
        builder_add(&body, rows[i].labels);
        protobuf_add_varint(&body, 3, 1763683200000);
        protobuf_end(&body, exemplar);
        expected += rows[i].kept;
    }
    protobuf_end(&body, series);
    Batch batch = {.arrival_ms = INT64_C(1763683200000)};
    check_ok(t,
             write_request_decode(text_bytes(builder_text(&body)), t->arena, NULL, &batch, t->err));
    check_i64(t, COUNT(rows), batch.series.at[0].exemplar_count);
    admit_beside(&batch);
    check_i64(t, expected, batch.series.at[0].exemplar_count);
    for (uint32_t i = 0; i < batch.series.at[0].exemplar_count; i++) {
        check_i64(t, (i + 1) % 3, labels_count((Labels){batch.exemplars.at[i].labels}));
    }
    batch_free(&batch);
}

static Bytes repeated(Test *t, const char *piece, size_t times) {
    size_t len = strlen(piece) + 1;  // the pieces end in a zero length
    uint8_t *at = arena_push_raw(t->arena, len * times, 1);
    for (size_t i = 0; i < times; i++) memcpy(at + i * len, piece, len);
    return (Bytes){at, len * times};
}

// Found by test/scenario/limits_test.py: 3 MB on the wire took 2.5 GB and a loop for 19 s.
TEST(a_body_of_countless_empty_rows_is_too_large_or_nothing) {
    enum { MANY = 4 * 1024 * 1024 };
    static const struct {
        const char *piece;
        bool fits;
    } bodies[] = {{"\x0a", true}, {"\x1a", true}, {"\x0a\x02\x12", false}, {"\x0a\x02\x1a", false}};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        Batch batch = {0};
        bool decoded = write_request_decode(repeated(t, bodies[i].piece, MANY), t->arena, NULL,
                                            &batch, t->err);
        check(t, decoded == bodies[i].fits);
        check(t, decoded || (t->err->code == ERROR_TOO_LARGE &&
                             strstr(t->err->message, "WRITE_BATCH_BYTES") != NULL));
        check(t, !decoded || (batch.series.count == 0 && batch.metadata.count == 0));
        check(t, (int64_t)batch_bytes_kept(&batch) <= 3 * LIMIT_WRITE_BATCH_BYTES);
        batch_free(&batch);
    }
}

// ---- Notes of a body ----

typedef struct Dice {
    uint64_t state;
} Dice;

static uint32_t roll(Dice *dice, uint32_t sides) {
    return (uint32_t)(test_random(&dice->state) >> 33) % sides;
}

static int64_t roll_time(Dice *dice) {
    static const int64_t times[] = {0, 1, 127, 128, 1763683200000, INT64_MAX, INT64_MIN, -1};
    return times[roll(dice, COUNT(times))];
}

static Labels roll_labels(Test *t, Dice *dice) {
    static const uint32_t lens[] = {1, 20, 100, 108, 109, 110, 111, 112, 127, 128, 300, 17000};
    if (roll(dice, 10) == 0) return LABELS_NONE;
    Label label = {LABEL_NAME, TEXT_NONE};
    uint32_t len = roll(dice, 20) == 0 ? lens[COUNT(lens) - 1] : lens[roll(dice, COUNT(lens) - 1)];
    char *value = arena_push_size(t->arena, len, 1);
    memset(value, 'v', len);
    label.value = (Text){value, len};
    Labels labels = LABELS_NONE;
    check_ok(t, labels_make(&label, 1, t->arena, &labels, t->err));
    return labels;
}

static void roll_histogram(Test *t, Dice *dice, WriteBody *body) {
    uint32_t buckets = roll(dice, 200);
    int64_t *deltas = arena_push_array(t->arena, int64_t, buckets);
    HistogramSpan *span = arena_push(t->arena, HistogramSpan);
    *span = (HistogramSpan){0, buckets};
    NativeHistogram histogram = {.time_ms = roll_time(dice), .schema = 3, .sum = 4.5};
    if (buckets > 0) histogram.positive = (HistogramBuckets){span, 1, deltas, NULL, buckets};
    write_body_histogram(body, &histogram);
}

static void roll_series(Test *t, Dice *dice, WriteBody *body) {
    write_body_begin(body, roll_labels(t, dice));
    for (uint32_t n = roll(dice, 5); n > 0; n--) {
        switch (roll(dice, 3)) {
            case 0:
                write_body_sample(body, roll_time(dice),
                                  roll(dice, 3) == 0 ? (double)NAN : (double)n);
                break;
            case 1:
                write_body_exemplar(body, roll_labels(t, dice), n, roll_time(dice));
                break;
            default:
                roll_histogram(t, dice, body);
                break;
        }
    }
    write_body_end(body);
}

enum { KEPT = 12 };

// Labels that resemble one another; each on the heap, to its end.
static void kept_begin(KeptLabels *kept) {
    static const char *const names[] = {"m", "node_cpu_seconds_total", "node_cpu_seconds_total_of"};
    static const char *const hosts[] = {"a", "host-17.example:9100"};
    for (uint32_t i = 0; i < KEPT; i++) {
        AUTO(arena_free) Arena arena = {0};
        Label labels[] = {{LABEL_NAME, text_from_cstring(names[i % 3])},
                          {TEXT("cpu"), text_format(&arena, "%u", i % 5 * 77)},
                          {TEXT("instance"), text_from_cstring(hosts[i % 2])},
                          {TEXT("job"), TEXT("node")}};
        Labels made = LABELS_NONE;
        Error err;
        bool done = labels_make(labels, i == 0 ? 1 : COUNT(labels), &arena, &made, &err);
        assert(done);
        uint8_t *exact = memory_take(made.wire.len);
        memcpy(exact, made.wire.at, made.wire.len);
        kept[i] = (KeptLabels){.labels = {{exact, made.wire.len}}};
    }
}

static void kept_end(KeptLabels *kept) {
    for (uint32_t i = 0; i < KEPT; i++) memory_free((void *)(uintptr_t)kept[i].labels.wire.at);
}

static void roll_rows(Test *t, Dice *dice, WriteBody *body) {
    static const Text texts[] = {TEXT_INIT(""), TEXT_INIT("m"), TEXT_INIT("a longer help text")};
    for (uint32_t n = roll(dice, 20); n > 0; n--) {
        switch (roll(dice, 4)) {
            case 0:
                write_body_add_metadata(body, texts[roll(dice, 3)], (uint8_t)roll(dice, 256),
                                        roll(dice, 9) == 0 ? bytes_text(roll_labels(t, dice).wire)
                                                           : texts[roll(dice, 3)],
                                        texts[roll(dice, 3)]);
                break;
            case 1:
                roll_series(t, dice, body);
                break;
            default:
                write_body_add(body, roll_labels(t, dice), roll_time(dice), -0.0);
                break;
        }
    }
}

static void check_notes(Test *t, const WriteBody *body) {
    Batch noted = {0}, decoded = {0};
    write_body_batch(body, &noted);
    check(t, write_body_decodes_to(body, &noted));
    // And the gate says the same of both, row by row.
    check_ok(t, write_request_decode(write_body_bytes(body), t->arena, NULL, &decoded, t->err));
    noted.arrival_ms = decoded.arrival_ms = INT64_C(1763683200000);
    admit(&noted);
    admit(&decoded);
    check_i64(t, decoded.series.count, noted.series.count);
    for (size_t i = 0; i < noted.series.count; i++) {
        check_i64(t, decoded.series.at[i].verdict, noted.series.at[i].verdict);
        check_i64(t, decoded.series.at[i].exemplar_count, noted.series.at[i].exemplar_count);
    }
    for (size_t i = 0; i < VERDICT_COUNT; i++)
        check_i64(t, (int64_t)decoded.counts[i], (int64_t)noted.counts[i]);
    check(t, strcmp(decoded.first_fault.message, noted.first_fault.message) == 0);
    check_i64(t, decoded.metadata.count, noted.metadata.count);
    batch_free(&noted);
    batch_free(&decoded);
}

TEST(the_batch_made_from_notes_is_the_batch_decoded_from_the_bytes) {
    enum { BODIES = 400 };
    Dice dice = {t->seed};
    WriteBody body = {0};
    for (int i = 0; i < BODIES; i++) {
        // Sometimes on top of rows that were written before, sometimes after some taken back.
        if (roll(&dice, 3) != 0) write_body_clear(&body);
        roll_rows(t, &dice, &body);
        WriteBodyMark mark = write_body_mark(&body);
        roll_rows(t, &dice, &body);
        if (roll(&dice, 2) == 0) {
            write_body_begin(&body, roll_labels(t, &dice));
            write_body_sample(&body, 1, 1);
            write_body_rewind(&body, &mark);
            check_i64(t, mark.bytes, body.bytes.len);
            check_i64(t, (int64_t)mark.rows, (int64_t)body.rows);
        }
        check_notes(t, &body);
    }
    write_body_free(&body);
}

// Rows of kept labels are nowhere but in what is packed: runs of them, alone and beside rows that
// are written; with what was learned of their neighbours, and after the neighbours changed.
TEST(rows_of_kept_labels_are_packed_as_if_they_had_been_written) {
    enum { BODIES = 600 };
    Dice dice = {t->seed};
    WriteBody body = {0}, written = {0};
    KeptLabels kept[KEPT];
    kept_begin(kept);
    for (int i = 0; i < BODIES; i++) {
        write_body_clear(&body);
        written.whole = true;
        write_body_clear(&written);
        uint32_t next = roll(&dice, KEPT);
        int64_t time_ms = roll_time(&dice), start_ms = 0;
        for (uint32_t n = roll(&dice, 30); n > 0; n--) {
            if (roll(&dice, 6) == 0) time_ms = roll_time(&dice);
            if (roll(&dice, 6) == 0) start_ms = roll(&dice, 2) == 0 ? 0 : roll_time(&dice);
            double value = roll(&dice, 3) == 0 ? 0 : (double)roll(&dice, 3) * 0.3;
            next = roll(&dice, 9) == 0 ? roll(&dice, KEPT) : (next + 1) % KEPT;
            uint32_t what = roll(&dice, 24);
            if (what == 0) {
                Dice again = dice;
                roll_rows(t, &dice, &body);
                roll_rows(t, &again, &written);
            } else if (what == 1) {
                WriteBodyMark mark = write_body_mark(&body);
                write_body_add_kept(&body, &kept[0], 5, 5, 5);
                write_body_rewind(&body, &mark);
            } else if (what == 2) {
                write_body_begin_kept(&body, &kept[next]);
                write_body_sample(&body, time_ms, value);
                write_body_end(&body);
                write_body_add_kept(&written, &kept[next], time_ms, value, 0);
            } else {
                write_body_add_kept(&body, &kept[next], time_ms, value, start_ms);
                write_body_add_kept(&written, &kept[next], time_ms, value, start_ms);
            }
        }
        check_i64(t, 0, (int64_t)written.aside);
        check_notes(t, &written);
        Batch noted = {0}, wanted = {0};
        write_body_batch(&body, &noted);
        write_body_batch(&written, &wanted);
        check(t, write_body_decodes_to(&body, &noted) && write_body_decodes_to(&body, &wanted));
        for (size_t row = 0; row < noted.series.count; row++)
            check(t, batch_known(&noted, row) == batch_known(&wanted, row));
        batch_free(&noted);
        batch_free(&wanted);
    }
    kept_end(kept);
    write_body_free(&body);
    write_body_free(&written);
}

// Where one head is known to have the labels of all rows the batch is plain, and unfolds to what it
// would have been.
TEST(rows_of_labels_that_a_head_has_become_a_plain_batch) {
    enum { PLAIN, ANOTHER_HEAD, NOT_KNOWN, NOT_KEPT, TWO_SAMPLES, EXEMPLAR, CASES };
    KeptLabels kept[KEPT];
    kept_begin(kept);
    for (int what = 0; what < CASES; what++) {
        WriteBody body = {0};
        Batch batch = {0};
        for (uint32_t i = 0; i < KEPT; i++) {
            uint64_t head = what == NOT_KNOWN && i == KEPT - 1      ? 0
                            : what == ANOTHER_HEAD && i == KEPT / 2 ? 8
                                                                    : 9;
            kept[i].known = (BatchKnown){.head = head, .ref = 100 - i};
            if (i == 5 && what == NOT_KEPT) {
                write_body_add(&body, kept[i].labels, 1000, 5);
            } else if (i == 5 && what >= TWO_SAMPLES) {
                write_body_begin_kept(&body, &kept[i]);
                write_body_sample(&body, 1000, 5);
                if (what == TWO_SAMPLES) write_body_sample(&body, 1001, 6);
                if (what == EXEMPLAR) write_body_exemplar(&body, kept[0].labels, 1, 1000);
                write_body_end(&body);
            } else {
                write_body_add_kept(&body, &kept[i], 1000 + i, i, i % 2 == 0 ? 0 : 500 + i);
            }
        }
        write_body_add_metadata(&body, TEXT("m"), 1, TEXT("What it says."), TEXT_NONE);
        write_body_batch(&body, &batch);
        check(t, batch_is_plain(&batch) == (what == PLAIN));
        for (size_t i = 0; i < batch.plain.count; i++)
            check_i64(t, 100 - (int)i, batch.plain.at[i]);
        check(t, write_body_decodes_to(&body, &batch));
        batch_unfold(&batch);
        check(t, !batch_is_plain(&batch) && write_body_decodes_to(&body, &batch));
        for (size_t i = 0; what == PLAIN && i < KEPT; i++)
            check(t, batch_known(&batch, i) == &kept[i].known && !batch.series.at[i].told);
        batch_free(&batch);
        write_body_free(&body);
    }
    kept_end(kept);
}

// Else the comparison above would prove nothing.
TEST(a_batch_of_other_rows_is_told_from_what_the_bytes_say) {
    WriteBody body = {0};
    Dice dice = {3};
    for (int i = 0; i < 40; i++) roll_series(t, &dice, &body);
    write_body_add_metadata(&body, TEXT("m"), 1, TEXT("h"), TEXT("u"));
    Batch batch = {0};
    write_body_batch(&body, &batch);
    check(t, write_body_decodes_to(&body, &batch));
    check(t, batch.histograms.count > 0 && batch.exemplars.count > 0 && batch.samples.count > 0);
#define CHECK_TOLD(field)                                \
    do {                                                 \
        batch.field ^= 1;                                \
        check(t, !write_body_decodes_to(&body, &batch)); \
        batch.field ^= 1;                                \
    } while (0)
    CHECK_TOLD(series.at[1].labels.len);
    CHECK_TOLD(series.at[1].first_sample);
    CHECK_TOLD(series.at[1].sample_count);
    CHECK_TOLD(series.at[1].first_histogram);
    CHECK_TOLD(series.at[1].histogram_count);
    CHECK_TOLD(series.at[1].first_exemplar);
    CHECK_TOLD(series.at[1].exemplar_count);
    CHECK_TOLD(samples.at[0].time_ms);
    CHECK_TOLD(histograms.at[0].time_ms);
    CHECK_TOLD(histograms.at[0].wire.len);
    CHECK_TOLD(exemplars.at[0].time_ms);
    CHECK_TOLD(metadata.at[0].type);
    CHECK_TOLD(metadata.at[0].unit.len);
#undef CHECK_TOLD
    batch.exemplars.at[0].value += 1;
    check(t, !write_body_decodes_to(&body, &batch));
    batch.exemplars.at[0].value -= 1;
    check(t, write_body_decodes_to(&body, &batch));
    batch.samples.count--;
    check(t, !write_body_decodes_to(&body, &batch));
    batch_free(&batch);
    write_body_free(&body);
}

// What the notes let pass, a replay must take: they count the same rows, at the end.
TEST(a_body_that_fits_is_decoded_and_one_that_does_not_is_too_large) {
    size_t per_row = sizeof(BatchSeries) + sizeof(Sample);
    size_t most = (size_t)LIMIT_WRITE_BATCH_BYTES / per_row;
    WriteBody body = {0};
    for (size_t i = 0; i < most; i++) write_body_add(&body, LABELS_NONE, 0, 0);
    check_ok(t, write_body_fits(&body, t->err));
    Batch batch = {0};
    check_ok(t, write_request_decode(write_body_bytes(&body), t->arena, NULL, &batch, t->err));
    check_i64(t, most, batch.series.count);
    batch_free(&batch);
    write_body_add(&body, LABELS_NONE, 0, 0);
    check(t, !write_body_fits(&body, t->err) && t->err->code == ERROR_TOO_LARGE &&
                 strstr(t->err->message, "WRITE_BATCH_BYTES") != NULL);
    write_body_free(&body);

    char *help = arena_push_size(t->arena, (size_t)LIMIT_BODY_DECOMPRESSED_BYTES, 1);
    write_body_add_metadata(&body, TEXT("m"), 1,
                            (Text){help, (size_t)LIMIT_BODY_DECOMPRESSED_BYTES}, TEXT_NONE);
    check(t, !write_body_fits(&body, t->err) && t->err->code == ERROR_TOO_LARGE &&
                 strstr(t->err->message, "BODY_DECOMPRESSED_BYTES") != NULL);
    write_body_free(&body);
}

TEST_MAIN("ingest", CASE(the_batch_made_from_notes_is_the_batch_decoded_from_the_bytes),
          CASE(rows_of_kept_labels_are_packed_as_if_they_had_been_written),
          CASE(rows_of_labels_that_a_head_has_become_a_plain_batch),
          CASE(a_batch_of_other_rows_is_told_from_what_the_bytes_say),
          CASE(a_body_that_fits_is_decoded_and_one_that_does_not_is_too_large),
          CASE(a_body_of_countless_empty_rows_is_too_large_or_nothing),
          CASE(exemplars_with_labels_that_cannot_be_read_are_left_out),
          CASE(rows_come_out_as_they_were_written),
          CASE(a_row_written_straight_is_the_row_begun_and_ended),
          CASE(a_series_carries_samples_exemplars_and_histograms),
          CASE(labels_written_in_several_places_are_brought_together),
          CASE(every_truncation_is_refused_or_a_whole_number_of_rows),
          CASE(times_outside_the_limits_refuse_their_row_and_no_other),
          CASE(exemplars_and_metadata_beyond_their_limits_are_left_out))
