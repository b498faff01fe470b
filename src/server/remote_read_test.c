// Remote read over HTTP: both forms of the answer, histograms, and what is refused.

#include "codec/crc32c.h"
#include "codec/protobuf.h"
#include "model/native_histogram.h"
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

TEST(a_native_histogram_is_answered_with_samples_or_refused) {
    TestServer world;
    test_server_plain(t, &world);
    WriteBody rows = {0};
    Label labels[] = {{LABEL_NAME, TEXT("latency")}};
    Labels made;
    NativeHistogram histogram = {.time_ms = T0_MS};
    check_ok(t, labels_make(labels, 1, t->arena, &made, t->err));
    write_body_begin(&rows, made);
    write_body_histogram(&rows, &histogram);
    write_body_end(&rows);
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &rows);
    Builder body = {0};
    add_query(&body, TEXT("latency"), 0);
    protobuf_add_varint(&body, 2, 1);
    protobuf_add_varint(&body, 2, 0);
    check_text(t, TEXT("result\nlatency: histogram\n"),
               print_answer(t, read_request(t, &world, &body)));
    add_query(&body, TEXT("latency"), 0);
    protobuf_add_varint(&body, 2, 1);
    HttpClientAnswer refused = read_request(t, &world, &body);
    check_status(t, 422, refused);
    check(t, text_find(refused.body, TEXT("accept SAMPLES too")) > 0);
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
          CASE(a_native_histogram_is_answered_with_samples_or_refused),
          CASE(a_tenant_that_never_wrote_answers_as_an_empty_one_and_broken_bodies_are_refused))
