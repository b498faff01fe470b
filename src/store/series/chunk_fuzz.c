// Any bytes decode or are refused; what decodes, and any doubles and times at all, are encoded and
// come back bit for bit.

#include "base/assert.h"
#include "store/series/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void values_round(const double *values, size_t count, bool fast) {
    uint8_t encoded[COLUMN_BYTES_MAX];
    double again[CHUNK_SAMPLES_MAX];
    size_t used, len = values_encode(values, count, fast, encoded);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) return 0;
    // The first two bytes say how many samples the rest is said to hold, or is.
    size_t count = 1 + (data[0] | (size_t)data[1] << 8) % CHUNK_SAMPLES_MAX;
    Bytes rest = {data + 2, size - 2};
    double values[CHUNK_SAMPLES_MAX];
    int64_t times[CHUNK_SAMPLES_MAX];
    size_t used;
    if (values_decode(rest, count, values, &used, NULL)) {
        assert(used <= rest.len);
        values_round(values, count, data[0] & 1);
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
    times_round(times, count);
    return 0;
}
