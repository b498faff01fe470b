// prometheus.WriteRequest on the wire: decoding into a Batch, without copies.
//
// Source of the field numbers: prompb/remote.proto and types.proto (Apache-2.0). Private to ingest.
#pragma once

#include "model/batch.h"

// Appends the rows of `body` to `batch`; label bytes stay views into `body` (or into `scratch`,
// when a sender wrote the labels of one series in several places). A series that carries nothing is
// no row. Malformed protobuf is BAD_INPUT naming the row and what is wrong; more rows than fit into
// WRITE_BATCH_BYTES are TOO_LARGE.
must_use bool write_request_decode(Bytes body, Arena *scratch, Batch *batch, Error *err);

// What both versions of remote write share. TOO_LARGE when the rows take more than
// WRITE_BATCH_BYTES.
must_use bool write_batch_fits(const Batch *batch, Error *err);
// Sample { double value = 1; int64 timestamp = 2; }; false when malformed.
bool write_sample_decode_any(Bytes bytes, Sample *out);

// Histogram: its time; the rest is kept as it came, a view. False when malformed.
bool write_histogram_decode(Bytes bytes, BatchHistogram *out);

// The usual shape: 09 <8 bytes> 10 <varint>, without the first part when the value is zero.
static inline bool write_sample_decode(Bytes bytes, Sample *out) {
    size_t at = 0;
    double value = 0;
    if (likely(bytes.len >= 11 && bytes.at[0] == 0x09)) {
        memcpy(&value, bytes.at + 1, sizeof value);
        at = 9;
    }
    if (unlikely(at >= bytes.len || bytes.at[at++] != 0x10))
        return write_sample_decode_any(bytes, out);
    uint64_t time = 0;
    for (unsigned shift = 0; at < bytes.len; shift += 7) {
        uint8_t byte = bytes.at[at++];
        if (unlikely(shift == 63 && byte > 1)) break;
        time |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (unlikely(at != bytes.len)) break;
            *out = (Sample){.time_ms = (int64_t)time, .value = value};
            return true;
        }
    }
    return write_sample_decode_any(bytes, out);
}
