// Requests as clients send them, and XOR chunks: read back by a decoder of the test, and byte for
// byte those that a real Prometheus wrote.

#include "query/remote_read/remote_read.h"

#include <math.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/test.h"
#include "codec/protobuf.h"
#include "model/sample.h"
#include "os/disk.h"
#include "query/remote_read/xor_chunk.h"

// ---- A decoder ----

typedef struct BitReader {
    Bytes bytes;
    size_t at;  // in bits
    bool failed;
} BitReader;

static uint64_t take_bits(BitReader *bits, unsigned count) {
    uint64_t value = 0;
    for (; count > 0; count--, bits->at++) {
        if (bits->at / 8 >= bits->bytes.len) {
            bits->failed = true;
            return 0;
        }
        value = value << 1 | (bits->bytes.at[bits->at / 8] >> (7 - bits->at % 8) & 1);
    }
    return value;
}

static int64_t signed_bits(uint64_t value, unsigned count) {
    if (count < 64 && value > UINT64_C(1) << (count - 1)) value -= UINT64_C(1) << count;
    return (int64_t)value;
}

static int64_t take_change(BitReader *bits) {
    static const unsigned sizes[] = {0, 14, 17, 20, 64};
    size_t ones = 0;
    while (ones < 4 && take_bits(bits, 1) == 1) ones++;
    return ones == 0 ? 0 : signed_bits(take_bits(bits, sizes[ones]), sizes[ones]);
}

static uint64_t take_value(BitReader *bits, uint64_t before, unsigned *leading, unsigned *size) {
    if (take_bits(bits, 1) == 0) return before;
    if (take_bits(bits, 1) == 1) {
        *leading = (unsigned)take_bits(bits, 5);
        *size = (unsigned)take_bits(bits, 6);
        if (*size == 0) *size = 64;
    }
    return before ^ take_bits(bits, *size) << (64 - *leading - *size);
}

static uint64_t take_varint(BitReader *bits) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = take_bits(bits, 8);
        value |= (byte & 127) << shift;
        if (byte < 128) break;
    }
    return value;
}

typedef struct Decoded {
    int64_t times[XOR_CHUNK_SAMPLES_MAX];
    double values[XOR_CHUNK_SAMPLES_MAX];
    size_t count;
} Decoded;

static bool xor_decode(Bytes chunk, Decoded *out) {
    BitReader bits = {.bytes = chunk};
    out->count = (size_t)take_bits(&bits, 16);
    if (out->count == 0 || out->count > XOR_CHUNK_SAMPLES_MAX) return false;
    uint64_t distance = 0, value = 0;
    unsigned leading = 0, size = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (i == 0) {
            out->times[0] = zigzag_decode(take_varint(&bits));
            value = take_bits(&bits, 64);
        } else {
            distance = i == 1 ? take_varint(&bits) : distance + (uint64_t)take_change(&bits);
            out->times[i] = (int64_t)((uint64_t)out->times[i - 1] + distance);
            value = take_value(&bits, value, &leading, &size);
        }
        out->values[i] = protobuf_double(value);
    }
    return !bits.failed;
}

static void check_round_trip(Test *t, const int64_t *times, const double *values, size_t count) {
    AUTO(builder_free) Builder chunk = {0};
    Decoded again;
    xor_chunk_write(times, values, count, &chunk);
    check(t, xor_decode(text_bytes(builder_text(&chunk)), &again));
    check(t, again.count == count);
    check_same_bytes(t, again.times, times, count * sizeof *times);
    check_same_bytes(t, again.values, values, count * sizeof *values);
}

TEST(a_chunk_gives_back_what_it_took) {
    int64_t odd_times[] = {INT64_MIN, -1, 0, 1, 8193, 16386, INT64_MAX};
    double odd_values[] = {0, -0.0, NAN, stale_nan(), INFINITY, 5e-324, 1};
    check_round_trip(t, odd_times, odd_values, COUNT(odd_times));
    check_round_trip(t, odd_times, odd_values, 1);
    srand48(11);
    for (int round = 0; round < 2000; round++) {
        int64_t times[XOR_CHUNK_SAMPLES_MAX], now = lrand48() - (1 << 30);
        double values[XOR_CHUNK_SAMPLES_MAX], value = drand48();
        size_t count = 1 + (size_t)lrand48() % XOR_CHUNK_SAMPLES_MAX;
        for (size_t i = 0; i < count; i++) {
            // Changes of every class, both ends of each among them.
            now += 1 + (INT64_C(1) << (lrand48() % 40)) + lrand48() % 3;
            if (lrand48() % 2 == 0) value = drand48() * (double)(1 << lrand48() % 20);
            if (lrand48() % 7 == 0) value = floor(value);
            times[i] = now;
            values[i] = value;
        }
        check_round_trip(t, times, values, count);
    }
}

// The chunks of blocks that Prometheus wrote: decoded and written again they are the same bytes.
// (Those of 2017 end in one more, empty byte.)
static size_t compare_chunks(Test *t, Text path) {
    Bytes file;
    size_t compared = 0;
    check_ok(t, disk_read_whole(disk_real(), path, 64 * MB, t->arena, &file, t->err));
    Reader reader = reader_begin(file);
    (void)reader_take(&reader, 8);  // magic, version
    while (reader_left(&reader) > 0) {
        uint64_t len = reader_varint(&reader);
        uint8_t encoding = reader_u8(&reader);
        Bytes chunk = reader_take(&reader, len);
        (void)reader_take(&reader, 4);  // CRC
        check(t, !reader.failed);
        Decoded decoded;
        AUTO(builder_free) Builder again = {0};
        if (encoding != 1 || !xor_decode(chunk, &decoded)) continue;
        xor_chunk_write(decoded.times, decoded.values, decoded.count, &again);
        check(t, again.len <= chunk.len && chunk.len - again.len <= 1);
        check_same_bytes(t, again.at, chunk.at, again.len);
        check(t, again.len == chunk.len || chunk.at[again.len] == 0);
        compared++;
    }
    return compared;
}

static size_t compare_below(Test *t, Text folder) {
    DiskEntries entries;
    size_t compared = 0;
    check_ok(t, disk_real()->list(disk_real(), folder, t->arena, &entries, t->err));
    for (size_t i = 0; i < entries.count; i++) {
        Text path =
            text_format(t->arena, "%.*s/%.*s", TEXT_ARG(folder), TEXT_ARG(entries.at[i].name));
        if (entries.at[i].is_folder) {
            compared += compare_below(t, path);
        } else if (text_ends_with(folder, TEXT("/chunks"))) {
            compared += compare_chunks(t, path);
        }
    }
    return compared;
}

TEST(a_chunk_has_the_bytes_that_prometheus_writes) {
    Text folder = test_data_folder(t, "tsdb-blocks/prometheus");
    check(t, compare_below(t, folder) > 0);
}

// ---- Requests ----

static void add_matcher(Builder *out, uint64_t kind, const char *name, const char *value) {
    size_t begun = protobuf_begin(out, 3);
    protobuf_add_varint(out, 1, kind);
    protobuf_add_text(out, 2, text_from_cstring(name));
    protobuf_add_text(out, 3, text_from_cstring(value));
    protobuf_end(out, begun);
}

static void add_query(Builder *out, int64_t from_ms, int64_t to_ms, uint64_t kind,
                      const char *value) {
    size_t begun = protobuf_begin(out, 1);
    protobuf_add_varint(out, 1, (uint64_t)from_ms);
    protobuf_add_varint(out, 2, (uint64_t)to_ms);
    add_matcher(out, 0, "__name__", "up");
    add_matcher(out, kind, "job", value);
    protobuf_end(out, begun);
}

static bool decode(Test *t, Builder *body, ReadRequest *out) {
    return read_request_decode(text_bytes(builder_text(body)), t->arena, out, t->err);
}

TEST(a_request_is_read_with_its_matchers_and_what_the_client_takes) {
    AUTO(builder_free) Builder body = {0};
    AUTO(read_request_close) ReadRequest request = {0};
    add_query(&body, -5, 7, 3, "a|b");
    add_query(&body, 0, 0, 1, "");
    check_ok(t, decode(t, &body, &request));
    check(t, request.count == 2 && request.samples && !request.chunks && !request.chunks_wanted);
    check_i64(t, -5, request.at[0].from_ms);
    check_i64(t, 7, request.at[0].to_ms);
    check(t, request.at[0].matchers.count == 2 && request.regexes.count == 1);
    check(t, request.at[0].matchers.at[1].kind == MATCH_NOT_REGEX);
    check(t, !matcher_matches(&request.at[0].matchers.at[1], TEXT("b")));
    check(t, matcher_matches(&request.at[1].matchers.at[1], TEXT("b")));
}

TEST(the_form_that_the_client_names_first_is_wanted) {
    static const struct {
        uint64_t first, second;
        bool samples, chunks, wanted;
    } rows[] = {{1, 0, true, true, true},
                {0, 1, true, true, false},
                {1, 1, false, true, true},
                {9, 0, true, false, false}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(builder_free) Builder body = {0};
        AUTO(read_request_close) ReadRequest request = {0};
        protobuf_add_varint(&body, 2, rows[i].first);
        protobuf_add_varint(&body, 2, rows[i].second);
        check_ok(t, decode(t, &body, &request));
        check(t, request.samples == rows[i].samples && request.chunks == rows[i].chunks &&
                     request.chunks_wanted == rows[i].wanted);
    }
    AUTO(builder_free) Builder body = {0};
    ReadRequest request;
    protobuf_add_varint(&body, 2, 9);
    check_error(t, decode(t, &body, &request), ERROR_UNSUPPORTED);
}

TEST(matchers_that_name_an_external_label_exactly_go) {
    AUTO(builder_free) Builder body = {0};
    AUTO(read_request_close) ReadRequest request = {0};
    Label labels[] = {{TEXT("job"), TEXT("a")}, {TEXT("zone"), TEXT("x")}};
    Labels external;
    check_ok(t, labels_make(labels, COUNT(labels), t->arena, &external, t->err));
    add_query(&body, 0, 1, 0, "a");
    add_query(&body, 0, 1, 0, "b");
    add_query(&body, 0, 1, 1, "a");
    check_ok(t, decode(t, &body, &request));
    read_request_drop(&request, external);
    check_i64(t, 1, request.at[0].matchers.count);
    check_text(t, LABEL_NAME, request.at[0].matchers.at[0].name);
    check_i64(t, 2, request.at[1].matchers.count);
    check_i64(t, 2, request.at[2].matchers.count);
}

TEST(what_is_wrong_with_a_request_is_told) {
    ReadRequest request;
    AUTO(builder_free) Builder body = {0};
    add_query(&body, 2, 1, 0, "");
    check_error(t, decode(t, &body, &request), ERROR_BAD_INPUT);
    builder_clear(&body);
    add_query(&body, 1, 2, 4, "");
    check_error(t, decode(t, &body, &request), ERROR_BAD_INPUT);
    builder_clear(&body);
    add_query(&body, 1, 2, 2, "(");
    check_error(t, decode(t, &body, &request), ERROR_BAD_INPUT);
    builder_clear(&body);
    add_query(&body, 1, 2, 0, "\xff");
    check_error(t, decode(t, &body, &request), ERROR_BAD_INPUT);
    builder_clear(&body);
    for (int64_t i = 0; i <= LIMIT_READ_QUERIES; i++) add_query(&body, 1, 2, 2, "x");
    check_error(t, decode(t, &body, &request), ERROR_TOO_MANY);
    builder_clear(&body);
    builder_add(&body, TEXT("\x0a\xff"));
    check_error(t, decode(t, &body, &request), ERROR_BAD_INPUT);
}

TEST_MAIN("query/remote_read", CASE(a_chunk_gives_back_what_it_took),
          CASE(a_chunk_has_the_bytes_that_prometheus_writes),
          CASE(a_request_is_read_with_its_matchers_and_what_the_client_takes),
          CASE(the_form_that_the_client_names_first_is_wanted),
          CASE(matchers_that_name_an_external_label_exactly_go),
          CASE(what_is_wrong_with_a_request_is_told))
