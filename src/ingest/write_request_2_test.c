// Decoding remote write 2.0: the same rows as 1.0 gives, whatever the order of the symbols.

#include "base/limits.h"
#include "base/test.h"
#include "base/wide.h"
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "ingest/write_request.h"
#include "ingest/write_request_2.h"
#include "model/native_histogram.h"
#include "os/disk.h"

// The body of src/store/log/FORMAT.md's example, as it lies in the log since it was first written
// there.
TEST(the_golden_body_gives_the_rows_it_always_gave) {
    Text path = TEXT("test/golden/log/remote_write_2/0000000000000001-0000000000000001.log");
    Bytes segment;
    check_ok(t, disk_read_whole(disk_real(), path, MB, t->arena, &segment, t->err));
    Builder plain = {0};
    check_ok(t,
             decompress(COMPRESSION_SNAPPY, (Bytes){segment.at + 4160, 102}, KB, &plain, t->err));
    WriteSymbols symbols = {0};
    Batch batch = {0};
    check_ok(t, write_request_2_decode(text_bytes(builder_text(&plain)), &symbols, t->arena, &batch,
                                       t->err));
    check_i64(t, 2, batch.series.count);
    const Label a[] = {{LABEL_NAME, TEXT("golden_up")}, {TEXT("job"), TEXT("a")}};
    const Label b[] = {{LABEL_NAME, TEXT("golden_up")}, {TEXT("job"), TEXT("b")}};
    Labels stated[2];
    check_ok(t, labels_make(a, 2, t->arena, &stated[0], t->err));
    check_ok(t, labels_make(b, 2, t->arena, &stated[1], t->err));
    for (size_t i = 0; i < 2; i++)
        check_text(t, bytes_text(stated[i].wire),
                   bytes_text(batch_labels(&batch, &batch.series.at[i])));
    const Sample samples[] = {{1700000000000, 1.5}, {1700000000001, -2}};
    check_i64(t, 2, batch.samples.count);
    check_same_bytes(t, samples, batch.samples.at, sizeof samples);
    check_i64(t, 1, batch.metadata.count);
    check_text(t, TEXT("golden_up"), batch.metadata.at[0].family);
    check_i64(t, METADATA_GAUGE, batch.metadata.at[0].type);
    check_text(t, TEXT("Help."), batch.metadata.at[0].help);
    batch_free(&batch);
    write_symbols_free(&symbols);
    builder_free(&plain);
}

// ---- A sender ----

typedef struct Sender {
    Arena *arena;
    ARRAY(Text) symbols;
    Builder series;  // the time series, without the symbols
} Sender;

static uint64_t ref_of(Sender *sender, Text text) {
    if (sender->symbols.count == 0) array_add(&sender->symbols);  // the first is empty
    for (size_t i = 0; i < sender->symbols.count; i++) {
        if (text_equal(sender->symbols.at[i], text)) return i;
    }
    *array_add(&sender->symbols) = text_copy(text, sender->arena);
    return sender->symbols.count - 1;
}

static void put_refs(Sender *sender, Builder *out, Labels labels) {
    AUTO(builder_free) Builder packed = {0};
    Label label;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) {
        writer_varint(&packed, ref_of(sender, label.name));
        writer_varint(&packed, ref_of(sender, label.value));
    }
    protobuf_add_text(out, 1, builder_text(&packed));
}

static void put_sample(Builder *out, int64_t time_ms, double value) {
    size_t sample = protobuf_begin(out, 2);
    if (double_bits(value) != 0) protobuf_add_double(out, 1, value);
    protobuf_add_varint(out, 2, (uint64_t)time_ms);
    protobuf_end(out, sample);
}

static void put_metadata(Sender *sender, Builder *out, uint8_t type, const char *help,
                         const char *unit) {
    size_t metadata = protobuf_begin(out, 5);
    protobuf_add_varint(out, 1, type);
    protobuf_add_varint(out, 3, ref_of(sender, text_from_cstring(help)));
    protobuf_add_varint(out, 4, ref_of(sender, text_from_cstring(unit)));
    protobuf_end(out, metadata);
}

static Bytes body_of(Test *t, const Sender *sender) {
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < sender->symbols.count; i++)
        protobuf_add_text(&out, 4, sender->symbols.at[i]);
    builder_add(&out, builder_text(&sender->series));
    return bytes_copy(text_bytes(builder_text(&out)), t->arena);
}

static void sender_end(Sender *sender) {
    array_free(&sender->symbols);
    builder_free(&sender->series);
}

static Labels labels_of(Test *t, const char *name, const char *value) {
    Label labels[] = {{LABEL_NAME, text_from_cstring(name)},
                      {TEXT("instance"), text_from_cstring(value)}};
    Labels made = LABELS_NONE;
    check_ok(t, labels_make(labels, 2, t->arena, &made, t->err));
    return made;
}

// One series of one sample.
static void put_row(Test *t, Sender *sender, const char *name, const char *value, double number) {
    size_t series = protobuf_begin(&sender->series, 5);
    put_refs(sender, &sender->series, labels_of(t, name, value));
    put_sample(&sender->series, 1000, number);
    protobuf_end(&sender->series, series);
}

// ---- The tests ----

static Labels random_labels(Test *t, uint64_t *random) {
    Label labels[12];
    size_t count = 0;
    labels[count++] =
        (Label){LABEL_NAME, text_format(t->arena, "m%d", (int)(test_random(random) % 3))};
    for (char name = 'a'; count < COUNT(labels) && name < 'a' + 11; name++) {
        if (test_random(random) % 4 == 0) continue;
        // Now and then a value whose length takes two bytes.
        int width = test_random(random) % 16 == 0 ? 200 : 1;
        labels[count++] =
            (Label){text_format(t->arena, "%c", name),
                    text_format(t->arena, "%0*d", width, (int)(test_random(random) % 3))};
    }
    Labels made = LABELS_NONE;
    check_ok(t, labels_make(labels, count, t->arena, &made, t->err));
    return made;
}

static void check_same_rows(Test *t, const Batch *one, const Batch *two) {
    check_i64(t, one->series.count, two->series.count);
    check_i64(t, one->samples.count, two->samples.count);
    check_i64(t, one->histograms.count, two->histograms.count);
    check_i64(t, one->exemplars.count, two->exemplars.count);
    for (size_t i = 0; i < one->series.count; i++) {
        const BatchSeries *a = &one->series.at[i], *b = &two->series.at[i];
        check_text(t, bytes_text(a->labels), bytes_text(batch_labels(two, &two->series.at[i])));
        check(t, a->first_sample == b->first_sample && a->sample_count == b->sample_count &&
                     a->first_histogram == b->first_histogram &&
                     a->histogram_count == b->histogram_count &&
                     a->first_exemplar == b->first_exemplar &&
                     a->exemplar_count == b->exemplar_count);
    }
    for (size_t i = 0; i < one->samples.count; i++) {
        check_i64(t, one->samples.at[i].time_ms, two->samples.at[i].time_ms);
        check(t, double_bits(one->samples.at[i].value) == double_bits(two->samples.at[i].value));
    }
    for (size_t i = 0; i < one->histograms.count; i++) {
        check_i64(t, one->histograms.at[i].time_ms, two->histograms.at[i].time_ms);
        check_text(t, bytes_text(one->histograms.at[i].wire),
                   bytes_text(two->histograms.at[i].wire));
    }
    for (size_t i = 0; i < one->exemplars.count; i++) {
        check_i64(t, one->exemplars.at[i].time_ms, two->exemplars.at[i].time_ms);
        check_text(t, bytes_text(one->exemplars.at[i].labels),
                   bytes_text(two->exemplars.at[i].labels));
    }
}

// The same random rows in both versions.
static void put_both(Test *t, uint64_t *random, Builder *one, Sender *two) {
    static const double values[] = {0, -0.0, 1, 0.1, NAN, INFINITY};
    static const HistogramSpan spans[] = {{0, 2}};
    static const int64_t deltas[] = {1, 1};
    Labels labels = random_labels(t, random);
    size_t series_one = protobuf_begin(one, 1), series_two = protobuf_begin(&two->series, 5);
    builder_add_bytes(one, labels.wire.at, labels.wire.len);
    put_refs(two, &two->series, labels);
    for (uint64_t n = test_random(random) % 3; n > 0; n--) {
        double value = values[test_random(random) % COUNT(values)];
        int64_t time_ms = (int64_t)(test_random(random) >> (test_random(random) % 64));
        size_t sample = protobuf_begin(one, 2);
        protobuf_add_double(one, 1, value);
        protobuf_add_varint(one, 2, (uint64_t)time_ms);
        protobuf_end(one, sample);
        put_sample(&two->series, time_ms, value);
    }
    if (test_random(random) % 4 == 0) {
        NativeHistogram histogram = {.time_ms = 2000,
                                     .schema = 3,
                                     .count = 3,
                                     .sum = 4.5,
                                     .positive = {spans, 1, deltas, NULL, 2}};
        size_t message = protobuf_begin(one, 4);
        native_histogram_write(&histogram, one);
        protobuf_end(one, message);
        message = protobuf_begin(&two->series, 3);
        native_histogram_write(&histogram, &two->series);
        protobuf_end(&two->series, message);
    }
    if (test_random(random) % 4 == 0) {
        Labels trace = random_labels(t, random);
        size_t exemplar = protobuf_begin(one, 3);
        builder_add_bytes(one, trace.wire.at, trace.wire.len);
        protobuf_add_double(one, 2, 0.5);
        protobuf_add_varint(one, 3, 900);
        protobuf_end(one, exemplar);
        exemplar = protobuf_begin(&two->series, 4);
        put_refs(two, &two->series, trace);
        protobuf_add_double(&two->series, 2, 0.5);
        protobuf_add_varint(&two->series, 3, 900);
        protobuf_end(&two->series, exemplar);
    }
    protobuf_end(one, series_one);
    protobuf_end(&two->series, series_two);
}

static void check_both_versions(Test *t) {
    uint64_t random = 42;
    WriteSymbols symbols = {0};
    for (int round = 0; round < 200; round++) {
        AUTO(builder_free) Builder one = {0};
        Sender two = {.arena = t->arena};
        for (int row = 0; row < 20; row++) put_both(t, &random, &one, &two);
        Batch batch_one = {0}, batch_two = {0};
        check_ok(t, write_request_decode(text_bytes(builder_text(&one)), t->arena, NULL, &batch_one,
                                         t->err));
        check_ok(t,
                 write_request_2_decode(body_of(t, &two), &symbols, t->arena, &batch_two, t->err));
        check_same_rows(t, &batch_one, &batch_two);
        check_i64(t, 0, batch_two.counts[VERDICT_BAD_LABELS]);
        batch_free(&batch_one);
        batch_free(&batch_two);
        sender_end(&two);
    }
    write_symbols_free(&symbols);
}

// Numbers of one byte and of more, few and many of them: with wide registers and without.
TEST(both_versions_of_remote_write_give_the_same_rows) {
    bool there = wide_is_there;
    check_both_versions(t);
    wide_is_there = false;
    check_both_versions(t);
    wide_is_there = there;
}

// References whose bytes are cut anywhere, with wide registers and without: the same rows, or the
// same refusal.
TEST(references_of_any_length_are_read_alike_with_wide_registers_and_without) {
    bool there = wide_is_there;
    uint64_t random = 9;
    for (int round = 0; round < 20000; round++) {
        uint8_t refs[80];
        size_t len = 1 + test_random(&random) % 70;
        for (size_t i = 0; i < len; i++) {
            uint64_t chance = test_random(&random);
            refs[i] = (uint8_t)(chance % 40 == 0 ? chance >> 8 | 0x80 : chance >> 8 & 0x7f);
            if (chance % 5 == 1 && i > 0 && refs[i - 1] < 0x80) refs[i] |= 0x80;
        }
        AUTO(builder_free) Builder body = {0};
        for (int i = 0; i < 200; i++) protobuf_add_text(&body, 4, TEXT("s"));
        size_t series = protobuf_begin(&body, 5);
        protobuf_add_text(&body, 1, (Text){(const char *)refs, len});
        put_sample(&body, 1000, 1);
        protobuf_end(&body, series);
        Batch batches[2] = {0};
        WriteSymbols symbols[2] = {0};
        bool done[2];
        for (int way = 0; way < 2; way++) {
            wide_is_there = way == 0 && there;
            done[way] = write_request_2_decode(text_bytes(builder_text(&body)), &symbols[way],
                                               t->arena, &batches[way], t->err);
        }
        check(t, done[0] == done[1] && batches[0].series.count == batches[1].series.count);
        if (done[0] && done[1] && batches[0].series.count == 1) {
            const BatchSeries *a = &batches[0].series.at[0], *b = &batches[1].series.at[0];
            check(t, a->symbol_count == b->symbol_count && a->verdict == b->verdict);
            check(t, symbols[0].row_refs.count == symbols[1].row_refs.count);
            for (size_t i = 0; i < symbols[0].row_refs.count; i++)
                check_i64(t, symbols[0].row_refs.at[i], symbols[1].row_refs.at[i]);
        }
        for (int way = 0; way < 2; way++) {
            batch_free(&batches[way]);
            write_symbols_free(&symbols[way]);
        }
    }
    wide_is_there = there;
}

TEST(references_that_point_nowhere_refuse_their_series_alone) {
    Sender sender = {.arena = t->arena};
    put_row(t, &sender, "before", "a", 1);
    static const uint8_t odd[] = {0x0a, 0x01, 0x01, 0x12, 0x02, 0x10, 0x07};
    static const uint8_t beyond[] = {0x0a, 0x02, 0x01, 0x63, 0x12, 0x02, 0x10, 0x07};
    protobuf_add_bytes(&sender.series, 5, (Bytes){odd, sizeof odd});
    protobuf_add_bytes(&sender.series, 5, (Bytes){beyond, sizeof beyond});
    put_row(t, &sender, "behind", "a", 2);
    WriteSymbols symbols = {0};
    Batch batch = {0};
    check_ok(t, write_request_2_decode(body_of(t, &sender), &symbols, t->arena, &batch, t->err));
    check_i64(t, 4, batch.series.count);
    check_i64(t, 2, batch.counts[VERDICT_BAD_LABELS]);
    check_i64(t, VERDICT_BAD_LABELS, batch.series.at[1].verdict);
    check_i64(t, VERDICT_BAD_LABELS, batch.series.at[2].verdict);
    check_text(t, bytes_text(labels_of(t, "behind", "a").wire),
               bytes_text(batch_labels(&batch, &batch.series.at[3])));
    check(t, text_find(text_from_cstring(batch.first_fault.message), TEXT("pairs")) >= 0);
    batch_free(&batch);
    write_symbols_free(&symbols);
    sender_end(&sender);
}

// One time series of these (name, value) pairs in their order, with one sample.
static void put_pairs(Sender *sender, const char *const pairs[][2], size_t count) {
    size_t series = protobuf_begin(&sender->series, 5);
    AUTO(builder_free) Builder packed = {0};
    for (size_t i = 0; i < 2 * count; i++)
        writer_varint(&packed, ref_of(sender, text_from_cstring(pairs[i / 2][i % 2])));
    protobuf_add_text(&sender->series, 1, builder_text(&packed));
    put_sample(&sender->series, 1000, 1);
    protobuf_end(&sender->series, series);
}

TEST(labels_in_any_order_are_sorted_and_doubles_stay_for_who_judges) {
    Sender sender = {.arena = t->arena};
    static const char *const sorted[][2] = {{"__name__", "m"}, {"a", "1"}, {"b", "2"}, {"c", "3"}};
    static const char *const mixed[][2] = {{"c", "3"}, {"a", "1"}, {"__name__", "m"}, {"b", "2"}};
    static const char *const doubled[][2] = {{"b", "2"}, {"__name__", "m"}, {"b", "1"}};
    put_pairs(&sender, sorted, COUNT(sorted));
    put_pairs(&sender, mixed, COUNT(mixed));
    put_pairs(&sender, sorted, COUNT(sorted));
    put_pairs(&sender, mixed, COUNT(mixed));
    put_pairs(&sender, doubled, COUNT(doubled));
    // More than a series may have: nobody sorts them.
    size_t series = protobuf_begin(&sender.series, 5);
    AUTO(builder_free) Builder many = {0};
    for (int i = 0; i < LIMIT_SERIES_LABELS + 1; i++) {
        writer_varint(&many, ref_of(&sender, text_format(t->arena, "n%d", 999 - i)));
        writer_varint(&many, ref_of(&sender, TEXT("v")));
    }
    protobuf_add_text(&sender.series, 1, builder_text(&many));
    put_sample(&sender.series, 1000, 1);
    protobuf_end(&sender.series, series);

    WriteSymbols symbols = {0};
    Batch batch = {0};
    check_ok(t, write_request_2_decode(body_of(t, &sender), &symbols, t->arena, &batch, t->err));
    check_i64(t, 6, batch.series.count);
    check_ok(t, labels_check(batch_labels(&batch, &batch.series.at[0]), t->err));
    for (size_t i = 1; i < 4; i++)
        check_text(t, bytes_text(batch_labels(&batch, &batch.series.at[0])),
                   bytes_text(batch_labels(&batch, &batch.series.at[i])));
    check_error(t, labels_check(batch_labels(&batch, &batch.series.at[4]), t->err),
                ERROR_BAD_INPUT);
    check(t, strstr(t->err->message, "b") != NULL);
    check(t, !labels_check(batch_labels(&batch, &batch.series.at[5]), t->err));
    batch_free(&batch);
    write_symbols_free(&symbols);
    sender_end(&sender);
}

TEST(metadata_comes_once_for_each_name_and_of_the_family) {
    Sender sender = {.arena = t->arena};
    static const struct {
        const char *name;
        uint8_t type;
    } rows[] = {{"jobs_total", 1},  {"jobs_total", 1}, {"took_bucket", 3},
                {"took_bucket", 3}, {"took_sum", 3},   {"size_gcount", 4},
                {"wait_sum", 5},    {"odd_bucket", 2}, {"jobs_total", 1}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t series = protobuf_begin(&sender.series, 5);
        put_refs(&sender, &sender.series, labels_of(t, rows[i].name, i % 2 == 0 ? "a" : "b"));
        put_sample(&sender.series, 1000, 1);
        put_metadata(&sender, &sender.series, rows[i].type, "What it is.", "seconds");
        protobuf_end(&sender.series, series);
    }
    static const char *const families[] = {"jobs_total", "took", "took",
                                           "size",       "wait", "odd_bucket"};
    WriteSymbols symbols = {0};
    Batch batch = {0};
    check_ok(t, write_request_2_decode(body_of(t, &sender), &symbols, t->arena, &batch, t->err));
    check_i64(t, COUNT(families), batch.metadata.count);
    for (size_t i = 0; i < batch.metadata.count; i++) {
        check_text(t, text_from_cstring(families[i]), batch.metadata.at[i].family);
        check_text(t, TEXT("What it is."), batch.metadata.at[i].help);
        check_text(t, TEXT("seconds"), batch.metadata.at[i].unit);
    }
    batch_free(&batch);
    write_symbols_free(&symbols);
    sender_end(&sender);
}

TEST(symbols_may_come_last_and_references_one_by_one) {
    AUTO(builder_free) Builder body = {0};
    size_t series = protobuf_begin(&body, 5);
    static const uint64_t refs[] = {1, 2, 3, 4};
    put_sample(&body, 1000, 7);
    for (size_t i = 0; i < COUNT(refs); i++) protobuf_add_varint(&body, 1, refs[i]);
    protobuf_end(&body, series);
    static const char *const texts[] = {"", "__name__", "up", "instance", "a"};
    for (size_t i = 0; i < COUNT(texts); i++)
        protobuf_add_text(&body, 4, text_from_cstring(texts[i]));
    WriteSymbols symbols = {0};
    Batch batch = {0};
    check_ok(t, write_request_2_decode(text_bytes(builder_text(&body)), &symbols, t->arena, &batch,
                                       t->err));
    check_i64(t, 1, batch.series.count);
    check_text(t, bytes_text(labels_of(t, "up", "a").wire),
               bytes_text(batch_labels(&batch, &batch.series.at[0])));
    check(t, batch.samples.at[0].value == 7);
    batch_free(&batch);
    write_symbols_free(&symbols);
}

static void put_started(Builder *out, int64_t time_ms, int64_t start_ms, bool start_first) {
    size_t sample = protobuf_begin(out, 2);
    if (start_first) protobuf_add_varint(out, 3, (uint64_t)start_ms);
    protobuf_add_double(out, 1, 7);
    protobuf_add_varint(out, 2, (uint64_t)time_ms);
    if (!start_first) protobuf_add_varint(out, 3, (uint64_t)start_ms);
    protobuf_end(out, sample);
}

TEST(start_timestamps_go_with_their_samples) {
    Sender sender = {.arena = t->arena};
    size_t series = protobuf_begin(&sender.series, 5);
    put_refs(&sender, &sender.series, labels_of(t, "up", "a"));
    put_sample(&sender.series, 900, 7);
    put_started(&sender.series, 1000, 500, false);
    put_started(&sender.series, 1100, 1763683200000, true);
    put_started(&sender.series, 1200, -1, false);
    put_sample(&sender.series, 1300, 7);
    protobuf_end(&sender.series, series);
    put_row(t, &sender, "up", "b", 7);
    WriteSymbols symbols = {0};
    Batch batch = {0};
    check_ok(t, write_request_2_decode(body_of(t, &sender), &symbols, t->arena, &batch, t->err));
    static const int64_t starts[] = {0, 500, 1763683200000, -1, 0, 0};
    check_i64(t, COUNT(starts), batch.samples.count);
    for (size_t i = 0; i < COUNT(starts); i++) {
        check_i64(t, starts[i], batch_start(&batch, i));
        check(t, batch.samples.at[i].value == 7);
        check_i64(t, i == 5 ? 1000 : 900 + 100 * (int64_t)i, batch.samples.at[i].time_ms);
    }
    batch_free(&batch);
    write_symbols_free(&symbols);
    sender_end(&sender);
}

TEST(labels_that_symbols_blow_up_are_refused) {
    // 33,000 series of one large label each: 6 bytes become 2,000.
    AUTO(builder_free) Builder body = {0};
    char *large = arena_push_raw(t->arena, 2000, 1);
    memset(large, 'x', 2000);
    protobuf_add_text(&body, 4, TEXT(""));
    protobuf_add_text(&body, 4, LABEL_NAME);
    protobuf_add_text(&body, 4, (Text){large, 2000});
    for (int i = 0; i < 34000; i++) {
        static const uint8_t series[] = {0x0a, 0x02, 0x01, 0x02, 0x12, 0x02, 0x10, 0x07};
        protobuf_add_bytes(&body, 5, (Bytes){series, sizeof series});
    }
    WriteSymbols symbols = {0};
    Batch batch = {0};
    Arena scratch = {0};
    check_error(
        t,
        write_request_2_decode(text_bytes(builder_text(&body)), &symbols, &scratch, &batch, t->err),
        ERROR_TOO_LARGE);
    check(t, text_find(text_from_cstring(t->err->message), TEXT("WRITE_LABELS_BYTES")) >= 0);
    check(t, (int64_t)scratch.bytes < 2 * LIMIT_WRITE_LABELS_BYTES);
    arena_free(&scratch);
    batch_free(&batch);
    write_symbols_free(&symbols);
}

TEST(a_long_text_that_no_label_uses_refuses_nothing) {
    Sender sender = {.arena = t->arena};
    for (int i = 0; i < 500; i++)
        put_row(t, &sender, "metric", text_format(t->arena, "%d", i).at, i);
    char *help = arena_push_raw(t->arena, 200 * KB, 1);
    memset(help, 'x', 200 * KB);
    ref_of(&sender, (Text){help, 200 * KB});
    WriteSymbols symbols = {0};
    Batch batch = {0};
    check_ok(t, write_request_2_decode(body_of(t, &sender), &symbols, t->arena, &batch, t->err));
    check_i64(t, 500, batch.series.count);
    check_text(t, bytes_text(labels_of(t, "metric", "499").wire),
               bytes_text(batch_labels(&batch, &batch.series.at[499])));
    batch_free(&batch);
    write_symbols_free(&symbols);
    sender_end(&sender);
}

TEST(a_value_may_belong_to_several_names) {
    Sender sender = {.arena = t->arena};
    static const char *const pairs[][2] = {
        {"__name__", "x"}, {"a", "x"}, {"b", "y"}, {"c", "x"}, {"d", "y"}};
    put_pairs(&sender, pairs, COUNT(pairs));
    put_pairs(&sender, pairs + 1, COUNT(pairs) - 1);
    WriteSymbols symbols = {0};
    Batch batch = {0};
    check_ok(t, write_request_2_decode(body_of(t, &sender), &symbols, t->arena, &batch, t->err));
    for (size_t row = 0; row < 2; row++) {
        Bytes rest = batch_labels(&batch, &batch.series.at[row]);
        Label label;
        size_t i = row;
        for (; labels_next(&rest, &label); i++) {
            check_text(t, text_from_cstring(pairs[i][0]), label.name);
            check_text(t, text_from_cstring(pairs[i][1]), label.value);
        }
        check_i64(t, COUNT(pairs), i);
    }
    batch_free(&batch);
    write_symbols_free(&symbols);
    sender_end(&sender);
}

TEST(every_truncation_is_refused_or_a_whole_number_of_rows) {
    Sender sender = {.arena = t->arena};
    for (int i = 0; i < 3; i++) put_row(t, &sender, "metric", "a", i);
    Bytes body = body_of(t, &sender);
    WriteSymbols symbols = {0};
    size_t whole = 0;
    for (size_t len = 0; len <= body.len; len++) {
        Batch batch = {0};
        uint8_t *exact = arena_push_raw(t->arena, len, 1);
        memcpy(exact, body.at, len);
        if (write_request_2_decode((Bytes){exact, len}, &symbols, t->arena, &batch, t->err)) {
            whole++;
            check_i64(t, batch.series.count, batch.samples.count);
        } else {
            check_i64(t, ERROR_BAD_INPUT, t->err->code);
        }
        batch_free(&batch);
    }
    check_i64(t, 1 + 5 + 3, whole);  // nothing, five symbols, three rows
    write_symbols_free(&symbols);
    sender_end(&sender);
}

TEST_MAIN("ingest/write_request_2", CASE(the_golden_body_gives_the_rows_it_always_gave),
          CASE(both_versions_of_remote_write_give_the_same_rows),
          CASE(references_of_any_length_are_read_alike_with_wide_registers_and_without),
          CASE(labels_in_any_order_are_sorted_and_doubles_stay_for_who_judges),
          CASE(references_that_point_nowhere_refuse_their_series_alone),
          CASE(metadata_comes_once_for_each_name_and_of_the_family),
          CASE(symbols_may_come_last_and_references_one_by_one),
          CASE(start_timestamps_go_with_their_samples),
          CASE(labels_that_symbols_blow_up_are_refused),
          CASE(a_long_text_that_no_label_uses_refuses_nothing),
          CASE(a_value_may_belong_to_several_names),
          CASE(every_truncation_is_refused_or_a_whole_number_of_rows))
