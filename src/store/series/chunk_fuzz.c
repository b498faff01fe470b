// Any bytes decode or are refused; what decodes, and any doubles and times at all, are encoded and
// come back bit for bit.

#include "base/assert.h"
#include "store/series/chunk.h"
#include "store/series/strip.h"
#include "store/series/strip_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void values_round(const double *values, size_t count, bool fast) {
    uint8_t encoded[COLUMN_BYTES_MAX];
    double again[CHUNK_SAMPLES_MAX];
    size_t used, len = values_encode(values, count, fast, encoded);
    bool decoded = values_decode((Bytes){encoded, len}, count, again, &used, NULL);
    assert(decoded && used == len && memcmp(values, again, count * sizeof *values) == 0);
}

static void cold_round(const double *values, size_t count) {
    uint8_t encoded[COLUMN_BYTES_MAX];
    double again[CHUNK_SAMPLES_MAX];
    bool near;
    size_t used, len = values_encode_cold(values, count, encoded, &near);
    bool decoded = values_decode((Bytes){encoded, len}, count, again, &used, NULL);
    assert(decoded && used == len && memcmp(values, again, count * sizeof *values) == 0);
}

static void times_round(const int64_t *times, size_t count) {
    uint8_t encoded[COLUMN_BYTES_MAX];
    int64_t again[CHUNK_SAMPLES_MAX];
    size_t used, len = times_encode(times, count, encoded);
    bool decoded = times_decode((Bytes){encoded, len}, count, again, &used, NULL);
    assert(decoded && used == len && memcmp(times, again, count * sizeof *times) == 0);
}

// What wide registers say of a strip, the general way says too.
static void strip_alike(Bytes encoded) {
    double wide[STRIP_SAMPLES], general[STRIP_SAMPLES];
    int64_t wide_times[STRIP_SAMPLES], general_times[STRIP_SAMPLES];
    size_t used, general_used;
    if (strip_values_decode(encoded, wide, &used)) {
        bool decoded = values_decode_anywhere(encoded, general, &general_used);
        assert(decoded && used == general_used && memcmp(wide, general, sizeof wide) == 0);
    }
    if (strip_times_decode(encoded, wide_times, &used)) {
        bool decoded = times_decode_anywhere(encoded, general_times, &general_used);
        assert(decoded && used == general_used &&
               memcmp(wide_times, general_times, sizeof wide_times) == 0);
    }
    if (encoded.len < sizeof wide) return;
    uint8_t column[COLUMN_BYTES_MAX], general_column[COLUMN_BYTES_MAX];
    memcpy(wide, encoded.at, sizeof wide);
    memcpy(wide_times, encoded.at, sizeof wide_times);
    size_t len = strip_values_encode(wide, column);
    if (len > 0) {
        bool same = values_encode_anywhere(wide, general_column) == len &&
                    memcmp(column, general_column, len) == 0;
        assert(same);
    }
    len = strip_times_encode(wide_times, column);
    if (len > 0) {
        bool same = times_encode_anywhere(wide_times, general_column) == len &&
                    memcmp(column, general_column, len) == 0;
        assert(same);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) return 0;
    // The first two bytes say how many samples the rest is said to hold, or is.
    size_t count = 1 + (data[0] | (size_t)data[1] << 8) % CHUNK_SAMPLES_MAX;
    Bytes rest = {data + 2, size - 2};
    strip_alike(rest);
    double values[CHUNK_SAMPLES_MAX];
    int64_t times[CHUNK_SAMPLES_MAX];
    size_t used;
    if (values_decode(rest, count, values, &used, NULL)) {
        assert(used <= rest.len);
        values_round(values, count, data[0] & 1);
        cold_round(values, count);
    }
    if (times_decode(rest, count, times, &used, NULL)) {
        assert(used <= rest.len);
        times_round(times, count);
    }
    count = MIN(rest.len / 8, (size_t)CHUNK_SAMPLES_MAX);
    if (count == 0) return 0;
    memcpy(values, rest.at, count * sizeof *values);
    memcpy(times, rest.at, count * sizeof *times);
    values_round(values, count, data[0] & 1);
    cold_round(values, count);
    times_round(times, count);
    return 0;
}
