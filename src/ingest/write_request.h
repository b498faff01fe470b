// prometheus.WriteRequest on the wire: decoding into a Batch, without copies.
//
// Source of the field numbers: prompb/remote.proto and types.proto (Apache-2.0). Private to ingest.
#pragma once

#include "model/batch.h"

struct SeriesForetold;  // store/series/series.h

// Appends the rows of `body` to `batch`; label bytes stay views into `body` (or into `scratch`,
// when a sender wrote the labels of one series in several places). A series that carries nothing is
// no row. Malformed protobuf is BAD_INPUT naming the row and what is wrong; more rows than fit into
// WRITE_BATCH_BYTES are TOO_LARGE. Rows that `foretold` (NULL: nothing) knows are told.
must_use bool write_request_decode(Bytes body, Arena *scratch, struct SeriesForetold *foretold,
                                   Batch *batch, Error *err);

// What both versions of remote write share. TOO_LARGE when the rows take more than
// WRITE_BATCH_BYTES.
must_use bool write_batch_fits(const Batch *batch, Error *err);
// Sample { double value = 1; int64 timestamp = 2; int64 start_timestamp = 3; }, the last one of
// version 2.0 and of our own rows (write_body.h); *start_ms 0 where there is none. False when
// malformed.
bool write_sample_decode_any(Bytes bytes, Sample *out, int64_t *start_ms);

// Histogram: its time; the rest is kept as it came, a view. False when malformed.
bool write_histogram_decode(Bytes bytes, BatchHistogram *out);

// Six bytes of a varint, which hold any time from 1971 (in ms) to 2109. False when it has another
// length.
static inline bool write_varint_6(uint64_t bytes, int64_t *out) {
    if (unlikely((bytes & UINT64_C(0x808080808080)) != UINT64_C(0x008080808080))) return false;
    bytes &= UINT64_C(0x7f7f7f7f7f7f);
    bytes = (bytes & UINT64_C(0x007f007f007f)) | (bytes & UINT64_C(0x7f007f007f00)) >> 1;
    *out = (int64_t)((bytes & 0x3fff) | (bytes & UINT64_C(0x3fff0000)) >> 2 |
                     (bytes & UINT64_C(0x3fff00000000)) >> 4);
    return true;
}

// A value and a time of today, read without a loop; false when it is anything else.
static inline bool write_sample_decode_usual(Bytes bytes, Sample *out) {
    uint64_t low = 0, high = 0;
    if (likely(bytes.len == 16 && bytes.at[0] == 0x09)) {
        memcpy(&out->value, bytes.at + 1, 8);
        memcpy(&low, bytes.at + 8, 8);
        return (low & 0xff00) == 0x1000 && write_varint_6(low >> 16, &out->time_ms);
    }
    if (bytes.len != 7 || bytes.at[0] != 0x10) return false;
    out->value = 0;
    memcpy(&low, bytes.at + 1, 2);
    memcpy(&high, bytes.at + 3, 4);
    return write_varint_6(low | high << 16, &out->time_ms);
}

// The usual shape: 09 <8 bytes> 10 <varint> [18 <varint>], without the first part when the value is
// zero.
static inline bool write_sample_decode(Bytes bytes, Sample *out, int64_t *start_ms) {
    *start_ms = 0;
    if (likely(write_sample_decode_usual(bytes, out))) return true;
    size_t at = 0;
    double value = 0;
    if (likely(bytes.len >= 11 && bytes.at[0] == 0x09)) {
        memcpy(&value, bytes.at + 1, sizeof value);
        at = 9;
    }
    uint64_t numbers[2] = {0, 0};  // the time, the start
    for (size_t i = 0; i < 2 && at < bytes.len; i++) {
        if (unlikely(bytes.at[at++] != 0x10 + 8 * i))
            return write_sample_decode_any(bytes, out, start_ms);
        for (unsigned shift = 0;; shift += 7) {
            uint8_t byte = at < bytes.len ? bytes.at[at++] : 0x80;
            if (unlikely(shift == 63 && byte > 1))
                return write_sample_decode_any(bytes, out, start_ms);
            numbers[i] |= (uint64_t)(byte & 0x7f) << shift;
            if (byte < 0x80) break;
        }
    }
    if (unlikely(at != bytes.len || at == 0)) return write_sample_decode_any(bytes, out, start_ms);
    *out = (Sample){.time_ms = (int64_t)numbers[0], .value = value};
    *start_ms = (int64_t)numbers[1];
    return true;
}

// Adds a sample, and its start where it has one.
static inline bool write_sample_add(Bytes bytes, Batch *batch) {
    int64_t start_ms;
    if (unlikely(!write_sample_decode(bytes, array_add(&batch->samples), &start_ms))) return false;
    if (start_ms != 0) batch_add_start(batch, start_ms);
    return true;
}
