// Remote read over HTTP: both forms of the answer, histograms, and what is refused.

#include <math.h>
#include <stdlib.h>

#include "codec/crc32c.h"
#include "codec/protobuf.h"
#include "ingest/backfill/tsdb_chunk.h"
#include "model/native_histogram.h"
#include "query/remote_read/remote_read.h"
#include "server/test_server.h"

static void add_matcher(Builder *out, uint64_t kind, Text name, Text value) {
    size_t begun = protobuf_begin(out, 3);
    protobuf_add_varint(out, 1, kind);
    protobuf_add_text(out, 2, name);
    protobuf_add_text(out, 3, value);
    protobuf_end(out, begun);
}

// {__name__=~`name`} from T0 on.
static void add_query(Builder *out, Text name, int64_t length_ms) {
    size_t begun = protobuf_begin(out, 1);
    protobuf_add_varint(out, 1, (uint64_t)T0_MS);
    protobuf_add_varint(out, 2, (uint64_t)(T0_MS + length_ms));
    add_matcher(out, 2, LABEL_NAME, name);
    protobuf_end(out, begun);
}

static HttpClientAnswer read_bytes(Test *t, const TestServer *world, Bytes packed) {
    HttpHeader headers[] = {{TEXT("Content-Type"), TEXT("application/x-protobuf")},
                            {TEXT("Content-Encoding"), TEXT("snappy")},
                            {TEXT("Accept-Encoding"), TEXT("gzip, zstd, snappy")},
                            {TEXT("X-Prometheus-Remote-Read-Version"), TEXT("0.1.0")}};
    return test_send(t, world, TEXT("POST"), TEXT("/api/v1/read"), headers, COUNT(headers),
                     bytes_text(packed));
}

static HttpClientAnswer read_request(Test *t, const TestServer *world, Builder *body) {
    HttpClientAnswer answer =
        read_bytes(t, world, test_packed(t, text_bytes(builder_text(body)), COMPRESSION_SNAPPY));
    builder_free(body);
    return answer;
}

// The series of a QueryResult as text: "up{instance="a"}: 0=1 15000=1\n", times from T0 on.
static void print_series(Test *t, Bytes wire, Builder *out) {
    Reader reader = reader_begin(wire);
    ProtobufField field;
    AUTO(builder_free) Builder labels = {0};
    AUTO(builder_free) Builder samples = {0};
    while (protobuf_next(&reader, &field)) {
        if (field.number == 1) protobuf_add_bytes(&labels, 1, field.bytes);
        if (field.number == 4) builder_add(&samples, TEXT(" histogram"));
        if (field.number != 2) continue;
        Reader sample = reader_begin(field.bytes);
        double value = 0;
        int64_t time_ms = 0;
        while (protobuf_next(&sample, &field)) {
            if (field.number == 1) value = protobuf_double(field.value);
            if (field.number == 2) time_ms = (int64_t)field.value;
        }
        check(t, !sample.failed);
        builder_addf(&samples, " %lld=%g", (long long)(time_ms - T0_MS), value);
    }
    check(t, !reader.failed);
    labels_print((Labels){text_bytes(builder_text(&labels))}, out);
    builder_addf(out, ":%.*s\n", TEXT_ARG(builder_text(&samples)));
}

static Text print_answer(Test *t, HttpClientAnswer answer) {
    AUTO(builder_free) Builder plain = {0};
    AUTO(builder_free) Builder out = {0};
    check_status(t, 200, answer);
    check_text(t, TEXT("application/x-protobuf"), test_header(answer, TEXT("Content-Type")));
    check_text(t, TEXT("snappy"), test_header(answer, TEXT("Content-Encoding")));
    check_ok(t, decompress(COMPRESSION_SNAPPY, text_bytes(answer.body), 64 * MB, &plain, t->err));
    Reader reader = reader_begin(text_bytes(builder_text(&plain)));
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        check(t, field.number == 1);
        Reader result = reader_begin(field.bytes);
        builder_add(&out, TEXT("result\n"));
        while (protobuf_next(&result, &field)) print_series(t, field.bytes, &out);
        check(t, !result.failed);
    }
    check(t, !reader.failed);
    return text_copy(builder_text(&out), t->arena);
}

TEST(samples_come_series_by_series_in_the_order_of_the_queries) {
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    Builder body = {0};
    add_query(&body, TEXT("up|jobs_total"), 15000);
    add_query(&body, TEXT("nothing"), 15000);
    add_query(&body, TEXT("up"), 0);
    check_text(t,
               TEXT("result\njobs_total{queue=\"mail\"}: 0=0 15000=10\n"
                    "up{instance=\"a\"}: 0=1 15000=1\nup{instance=\"b\"}: 0=0 15000=1\nresult\n"
                    "result\nup{instance=\"a\"}: 0=1\nup{instance=\"b\"}: 0=0\n"),
               print_answer(t, read_request(t, &world, &body)));
    check_ok(t, store_flush(world.store, t->err));
    add_query(&body, TEXT("up"), 0);
    check_text(t, TEXT("result\nup{instance=\"a\"}: 0=1\nup{instance=\"b\"}: 0=0\n"),
               print_answer(t, read_request(t, &world, &body)));
    test_server_end(t, &world);
}

// ---- Frames ----

typedef struct Frames {
    size_t frames, chunks, samples;
    uint64_t query_sum;
    int64_t min_ms, max_ms;
} Frames;

static void take_chunk(Test *t, Bytes wire, Frames *out) {
    Reader reader = reader_begin(wire);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == 1) out->min_ms = MIN(out->min_ms, (int64_t)field.value);
        if (field.number == 2) out->max_ms = MAX(out->max_ms, (int64_t)field.value);
        if (field.number == 3) check_i64(t, 1, field.value);
        if (field.number == 4) out->samples += (size_t)field.bytes.at[0] << 8 | field.bytes.at[1];
    }
    out->chunks++;
}

static Frames take_frames(Test *t, HttpClientAnswer answer) {
    Frames frames = {.min_ms = INT64_MAX, .max_ms = INT64_MIN};
    check_status(t, 200, answer);
    check_text(t, TEXT("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"),
               test_header(answer, TEXT("Content-Type")));
    check(t, test_header(answer, TEXT("Content-Encoding")).len == 0);
    Reader reader = reader_begin(text_bytes(answer.body));
    while (reader_left(&reader) > 0) {
        uint64_t len = reader_varint(&reader);
        uint32_t crc = 0;
        for (int i = 0; i < 4; i++) crc = crc << 8 | reader_u8(&reader);
        Bytes message = reader_take(&reader, len);
        check(t, !reader.failed);
        check_i64(t, crc, crc32c(0, message));
        Reader inside = reader_begin(message);
        ProtobufField field;
        while (protobuf_next(&inside, &field)) {
            if (field.number == 2) frames.query_sum += field.value;
            if (field.number != 1) continue;
            Reader series = reader_begin(field.bytes);
            while (protobuf_next(&series, &field)) {
                if (field.number == 2) take_chunk(t, field.bytes, &frames);
            }
        }
        check(t, !inside.failed);
        frames.frames++;
    }
    return frames;
}

TEST(chunks_come_in_frames_of_one_series_each) {
    TestServer world;
    test_server_plain(t, &world);
    WriteBody rows = {0};
    for (int64_t i = 0; i < 250; i++) {
        test_row(t, &rows, TEXT("up"), TEXT("instance"), TEXT("a"), T0_MS + i * 1000, (double)i);
        test_row(t, &rows, TEXT("up"), TEXT("instance"), TEXT("b"), T0_MS + i * 1000, 1);
    }
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &rows);
    Builder body = {0};
    add_query(&body, TEXT("up"), 249000);
    add_query(&body, TEXT("up"), 119000);
    protobuf_add_varint(&body, 2, 1);
    protobuf_add_varint(&body, 2, 0);
    Frames frames = take_frames(t, read_request(t, &world, &body));
    check_i64(t, 4, frames.frames);
    check_i64(t, 2, frames.query_sum);  // two frames are of query 1
    check_i64(t, 3 + 3 + 1 + 1, frames.chunks);
    check_i64(t, 250 * 2 + 120 * 2, frames.samples);
    check_i64(t, T0_MS, frames.min_ms);
    check_i64(t, T0_MS + 249000, frames.max_ms);
    test_server_end(t, &world);
}

// In pieces of about `bytes`; what is read from is closed between them where that is asked for.
static void frames_in_pieces(Test *t, SeriesStore *store, const ReadRequest *request, size_t bytes,
                             bool let_go, Builder *out) {
    ReadAnswer answer = {.out = out};
    AUTO(read_frames_free) ReadFrames *frames = read_frames_begin(store, request, &answer);
    for (bool done = false; !done;) {
        size_t before = out->len;
        check_ok(t, read_frames_next(frames, bytes, &done, t->err));
        check(t, done || out->len >= before + bytes);
        if (let_go) read_frames_let_go(frames);
    }
}

TEST(many_frames_are_sent_while_they_are_made) {
    enum { SERIES = 3000 };
    TestServer world;
    test_server_plain(t, &world);
    WriteBody rows = {0};
    for (int i = 0; i < SERIES; i++) {
        Text value = text_format(t->arena, "%0100d", i);
        test_row(t, &rows, TEXT("wide"), TEXT("value"), value, T0_MS, i);
        test_row(t, &rows, TEXT("wide"), TEXT("value"), value, T0_MS + 15000, i);
    }
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &rows);
    Builder body = {0};
    add_query(&body, TEXT("wide"), 15000);
    add_query(&body, TEXT("nothing"), 15000);
    add_query(&body, TEXT("wide"), 0);
    protobuf_add_varint(&body, 2, 1);
    AUTO(read_request_close) ReadRequest request = {0};
    Bytes wire = bytes_copy(text_bytes(builder_text(&body)), t->arena);
    check_ok(t, read_request_decode(wire, t->arena, &request, t->err));
    HttpClientAnswer answer = read_request(t, &world, &body);
    check_text(t, TEXT("chunked"), test_header(answer, TEXT("Transfer-Encoding")));
    Frames frames = take_frames(t, answer);
    check_i64(t, 2 * SERIES, frames.frames);
    check_i64(t, 2 * SERIES, frames.query_sum);  // half of them are of query 2
    check_i64(t, 3 * SERIES, frames.samples);
    // Whatever the pieces are, also when the store is opened again between them.
    Tenant *tenant;
    check_ok(t, store_tenant(world.store, TEXT("default"), false, &tenant, t->err));
    AUTO(builder_free) Builder whole = {0}, pieces = {0};
    frames_in_pieces(t, tenant->series, &request, SIZE_MAX, false, &whole);
    check_text(t, answer.body, builder_text(&whole));
    static const size_t sizes[] = {20000, 300000};
    for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
        builder_clear(&pieces);
        frames_in_pieces(t, tenant->series, &request, sizes[i / 2], i % 2 == 1, &pieces);
        check_text(t, builder_text(&whole), builder_text(&pieces));
    }
    test_server_end(t, &world);
}

// ---- Native histograms ----

// What frames hold of one series, decoded by the reader of Prometheus' blocks.
typedef struct Held {
    TsdbSamples samples;
    TsdbStarts starts;
    TsdbHistograms histograms;
    ARRAY(Bytes) chunks;  // behind their encoding, one byte
    int64_t last_ms;
} Held;

static void held_free(Held *held) {
    array_free(&held->samples);
    array_free(&held->starts);
    array_free(&held->histograms);
    array_free(&held->chunks);
}

static void hold_chunk(Test *t, Bytes wire, Held *out) {
    Reader reader = reader_begin(wire);
    ProtobufField field;
    uint64_t type = 0;
    int64_t min_ms = 0, max_ms = 0;
    Bytes data = {0};
    while (protobuf_next(&reader, &field)) {
        if (field.number == 1) min_ms = (int64_t)field.value;
        if (field.number == 2) max_ms = (int64_t)field.value;
        if (field.number == 3) type = field.value;
        if (field.number == 4) data = field.bytes;
    }
    check(t, min_ms > out->last_ms && max_ms >= min_ms);
    out->last_ms = max_ms;
    size_t floats = out->samples.count, histograms = out->histograms.count;
    check_ok(t, tsdb_chunk_decode((uint8_t)type, data, &out->samples, &out->starts,
                                  &out->histograms, t->arena, t->err));
    if (type == TSDB_CHUNK_XOR) {
        check_i64(t, min_ms, out->samples.at[floats].time_ms);
        check_i64(t, max_ms, out->samples.at[out->samples.count - 1].time_ms);
    } else {
        check_i64(t, min_ms, out->histograms.at[histograms].time_ms);
        check_i64(t, max_ms, out->histograms.at[out->histograms.count - 1].time_ms);
        check(t, out->histograms.at[histograms].is_float == (type == TSDB_CHUNK_FLOAT_HISTOGRAM));
    }
    uint8_t *whole = arena_push_array(t->arena, uint8_t, data.len + 1);
    whole[0] = (uint8_t)type;
    memcpy(whole + 1, data.at, data.len);
    *array_add(&out->chunks) = (Bytes){whole, data.len + 1};
}

static void hold(Test *t, HttpClientAnswer answer, Held *out) {
    out->last_ms = INT64_MIN;
    check_status(t, 200, answer);
    Reader reader = reader_begin(text_bytes(answer.body));
    while (reader_left(&reader) > 0) {
        uint64_t len = reader_varint(&reader);
        (void)reader_take(&reader, 4);
        Reader message = reader_begin(reader_take(&reader, len));
        ProtobufField field;
        while (protobuf_next(&message, &field)) {
            if (field.number != 1) continue;
            Reader series = reader_begin(field.bytes);
            while (protobuf_next(&series, &field)) {
                if (field.number == 2) hold_chunk(t, field.bytes, out);
            }
            check(t, !series.failed);
        }
        check(t, !message.failed && !reader.failed);
    }
}

static void ask_for_chunks(Test *t, const TestServer *world, Text name, Held *out) {
    Builder body = {0};
    size_t begun = protobuf_begin(&body, 1);
    protobuf_add_varint(&body, 2, (uint64_t)T0_MS * 2);
    add_matcher(&body, 0, LABEL_NAME, name);
    protobuf_end(&body, begun);
    protobuf_add_varint(&body, 2, 1);  // chunks and nothing else
    hold(t, read_request(t, world, &body), out);
}

static void begin_row(Test *t, WriteBody *rows, Text name) {
    Label labels[] = {{LABEL_NAME, name}};
    Labels made;
    check_ok(t, labels_make(labels, 1, t->arena, &made, t->err));
    write_body_begin(rows, made);
}

static void write_histograms(Test *t, const TestServer *world, Text name,
                             const NativeHistogram *histograms, size_t count) {
    WriteBody rows = {0};
    begin_row(t, &rows, name);
    for (size_t i = 0; i < count; i++) write_body_histogram(&rows, &histograms[i]);
    write_body_end(&rows);
    test_write(t, world, TEXT_NONE, TEXT_NONE, &rows);
}

TEST(chunks_of_histograms_are_those_that_prometheus_wrote) {
    TestServer world;
    ManualClock clock;
    clock_manual(&clock, INT64_C(1795700600000));
    test_server_begin(t, &world,
                      (TestServerOptions){.durability = LOG_MEMORY, .store_clock = &clock.clock});
    for (unsigned i = 0; i < 6; i++) {
        Text path = text_format(t->arena, "test/corpus/tsdb_chunk/histograms_%u", i);
        Text name = text_format(t->arena, "h%u", i);
        Bytes content;
        Held before = {0}, after = {0};
        check_ok(t, disk_read_whole(disk_real(), path, MB, t->arena, &content, t->err));
        check_ok(t, tsdb_chunk_decode(content.at[0], (Bytes){content.at + 1, content.len - 1},
                                      &before.samples, &before.starts, &before.histograms, t->arena,
                                      t->err));
        write_histograms(t, &world, name, before.histograms.at, before.histograms.count);
        ask_for_chunks(t, &world, name, &after);
        check_i64(t, 1, after.chunks.count);
        check_i64(t, content.len, after.chunks.at[0].len);
        // The fourth byte says what is known of resets in front of the chunk, which no reader of it
        // tells.
        check_same_bytes(t, content.at, after.chunks.at[0].at, 3);
        check_same_bytes(t, content.at + 4, after.chunks.at[0].at + 4, content.len - 4);
        held_free(&before);
        held_free(&after);
    }
    test_server_end(t, &world);
}

// A histogram of a random layout, or with the layout of the one before and not smaller.
static NativeHistogram random_histogram(Test *t, const NativeHistogram *before, int64_t time_ms) {
    NativeHistogram made = {.time_ms = time_ms};
    bool goes_on = before != NULL && lrand48() % 8 > 0 && !is_stale(before->sum);
    if (goes_on) {
        made = *before;
        made.time_ms = time_ms;
        made.reset_hint = lrand48() % 20 > 0 || made.reset_hint == HISTOGRAM_RESET_GAUGE
                              ? made.reset_hint
                              : HISTOGRAM_RESET_YES;
        if (made.reset_hint == HISTOGRAM_RESET_YES && lrand48() % 2 > 0)
            made.reset_hint = HISTOGRAM_RESET_NO;
    } else {
        static const double thresholds[] = {0, 0.001, 0x1p-128, 0x1p-243, 0x1p10, 0x1p11, 0x1p-250};
        made.is_float = lrand48() % 2 > 0;
        made.schema = lrand48() % 4 > 0 ? (int32_t)(lrand48() % 13 - 4) : HISTOGRAM_SCHEMA_CUSTOM;
        made.reset_hint = (HistogramResetHint)(lrand48() % 4);
        bool custom = made.schema == HISTOGRAM_SCHEMA_CUSTOM;
        if (!custom) made.zero_threshold = thresholds[lrand48() % (long)COUNT(thresholds)];
        HistogramSpan *spans = arena_push_array(t->arena, HistogramSpan, 3);
        size_t buckets = 0, span_count = (size_t)(lrand48() % 4);
        for (size_t i = 0; i < span_count; i++) {
            spans[i].offset = (int32_t)(lrand48() % (i == 0 && !custom ? 3000 : 3));
            if (i == 0 && !custom) spans[i].offset -= 1500;
            spans[i].length = (uint32_t)(1 + lrand48() % 9);
            buckets += spans[i].length;
        }
        made.positive = (HistogramBuckets){spans, span_count, NULL, NULL, buckets};
        if (!custom && lrand48() % 3 == 0)
            made.negative = (HistogramBuckets){spans, span_count, NULL, NULL, buckets};
        if (custom) {
            double *bounds = arena_push_array(t->arena, double, 40);
            bounds[0] = lrand48() % 2 > 0 ? 0.005 : -1.5;
            for (size_t i = 1; i < 40; i++)
                bounds[i] = bounds[i - 1] + (lrand48() % 2 > 0 ? 0.25 : 1e4 * drand48());
            made.custom_bounds = bounds;
            made.custom_bound_count = 40;
        }
    }
    if (lrand48() % 30 == 0)
        return (NativeHistogram){.time_ms = time_ms, .is_float = made.is_float, .sum = stale_nan()};
    // Counts grow from those before, rarely they fall.
    bool falls = goes_on && lrand48() % 15 == 0;
    double total = 0;
    HistogramBuckets *sides[] = {&made.positive, &made.negative};
    for (size_t side = 0; side < 2; side++) {
        HistogramBuckets *buckets = sides[side];
        int64_t *deltas = arena_push_array(t->arena, int64_t, buckets->bucket_count);
        double *counts = arena_push_array(t->arena, double, buckets->bucket_count);
        int64_t was = 0, is = 0;
        for (size_t i = 0; i < buckets->bucket_count; i++) {
            int64_t more = lrand48() % 3 == 0 ? lrand48() % (INT64_C(1) << (lrand48() % 31)) : 0;
            if (made.is_float) {
                double half = lrand48() % 2 > 0 ? 0.5 : 0;
                counts[i] = (goes_on && !falls ? buckets->counts[i] : 0) + (double)more + half;
                total += counts[i];
                continue;
            }
            if (goes_on && !falls) was += buckets->deltas[i];
            int64_t now = was + more;
            deltas[i] = now - is;
            is = now;
            total += (double)now;
        }
        buckets->deltas = made.is_float ? NULL : deltas;
        buckets->counts = made.is_float ? counts : NULL;
    }
    bool has_zero = made.schema != HISTOGRAM_SCHEMA_CUSTOM;
    made.zero_count = has_zero && !made.is_float ? made.zero_count + (uint64_t)(lrand48() % 3) : 0;
    made.zero_count_float = has_zero && made.is_float ? made.zero_count_float + 0.25 : 0;
    made.count = made.is_float ? 0 : (uint64_t)total + made.zero_count;
    made.count_float = made.is_float ? total + made.zero_count_float : 0;
    made.sum = lrand48() % 9 > 0 ? made.sum + floor(100 * drand48()) / 4 : -made.sum;
    return made;
}

// The same but for the hint: of the first of a chunk none is told, unless it is a gauge.
static bool told_alike(const NativeHistogram *stated, NativeHistogram actual) {
    bool gauge = stated->reset_hint == HISTOGRAM_RESET_GAUGE;
    if (gauge != (actual.reset_hint == HISTOGRAM_RESET_GAUGE)) return false;
    actual.reset_hint = stated->reset_hint;
    return native_histogram_equal(stated, &actual);
}

static bool any_falls(const NativeHistogram *before, const NativeHistogram *next) {
    return next->is_float ? next->count_float < before->count_float : next->count < before->count;
}

TEST(histograms_of_any_kind_come_back_from_their_chunks) {
    TestServer world;
    test_server_plain(t, &world);
    srand48(5);
    for (int round = 0; round < 40; round++) {
        enum { ROWS = 300 };
        NativeHistogram stated[ROWS];
        Held held = {0};
        Text name = text_format(t->arena, "any%d", round);
        for (int64_t i = 0; i < ROWS; i++) {
            stated[i] = random_histogram(t, i == 0 ? NULL : &stated[i - 1],
                                         T0_MS - 600000 + i * 1500 + lrand48() % 20);
            if (!is_stale(stated[i].sum)) check_ok(t, native_histogram_check(&stated[i], t->err));
        }
        write_histograms(t, &world, name, stated, ROWS);
        ask_for_chunks(t, &world, name, &held);
        check_i64(t, ROWS, held.histograms.count);
        check(t, held.chunks.count > 3 && held.chunks.count < ROWS);
        for (size_t i = 0; i < ROWS; i++) {
            const NativeHistogram *actual = &held.histograms.at[i];
            check(t, told_alike(&stated[i], *actual));
            // What reads the chunk may not take a reset for none.
            if (i > 0 && !is_stale(actual->sum) && actual->reset_hint == HISTOGRAM_RESET_NO)
                check(t, !any_falls(&stated[i - 1], &stated[i]) &&
                             stated[i].reset_hint != HISTOGRAM_RESET_YES);
        }
        held_free(&held);
    }
    test_server_end(t, &world);
}

TEST(floats_and_histograms_of_one_series_come_in_the_order_of_time) {
    TestServer world;
    test_server_plain(t, &world);
    WriteBody rows = {0};
    for (int64_t i = 0; i < 400; i++) {
        begin_row(t, &rows, TEXT("mixed"));
        NativeHistogram histogram = {.time_ms = T0_MS + i * 1000, .sum = (double)i};
        bool is_float = i < 10 || (i >= 150 && i < 290);
        if (is_float) write_body_sample(&rows, T0_MS + i * 1000, (double)i);
        if (!is_float || i == 9) write_body_histogram(&rows, &histogram);
        write_body_end(&rows);
    }
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &rows);
    Held held = {0};
    ask_for_chunks(t, &world, TEXT("mixed"), &held);
    check_i64(t, 1 + 2 + 2 + 1, held.chunks.count);  // 10, 120 and 20, 120 and 20, 110
    check_i64(t, 150, held.samples.count);
    check_i64(t, 250, held.histograms.count);  // of the two at one time the float counts
    for (size_t i = 0; i < held.histograms.count; i++)
        check_i64(t, T0_MS + (int64_t)held.histograms.at[i].sum * 1000,
                  held.histograms.at[i].time_ms);
    held_free(&held);
    Builder body = {0};
    add_query(&body, TEXT("mixed"), 9000);
    check(t, text_find(print_answer(t, read_request(t, &world, &body)), TEXT("histogram")) > 0);
    test_server_end(t, &world);
}

TEST(a_tenant_that_never_wrote_answers_as_an_empty_one_and_broken_bodies_are_refused) {
    TestServer world;
    test_server_plain(t, &world);
    Builder body = {0};
    add_query(&body, TEXT("up"), 0);
    check_text(t, TEXT("result\n"), print_answer(t, read_request(t, &world, &body)));
    check_status(t, 400, read_bytes(t, &world, text_bytes(TEXT("\xff\xff\xff"))));
    builder_add(&body, TEXT("\x0a\xff"));
    check_status(t, 400, read_request(t, &world, &body));
    add_query(&body, TEXT("("), 0);
    check_status(t, 400, read_request(t, &world, &body));
    test_server_end(t, &world);
}

TEST_MAIN("server/read", CASE(samples_come_series_by_series_in_the_order_of_the_queries),
          CASE(chunks_come_in_frames_of_one_series_each),
          CASE(many_frames_are_sent_while_they_are_made),
          CASE(chunks_of_histograms_are_those_that_prometheus_wrote),
          CASE(histograms_of_any_kind_come_back_from_their_chunks),
          CASE(floats_and_histograms_of_one_series_come_in_the_order_of_time),
          CASE(a_tenant_that_never_wrote_answers_as_an_empty_one_and_broken_bodies_are_refused))
