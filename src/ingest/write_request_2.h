// io.prometheus.write.v2.Request on the wire (remote write 2.0): decoding into a Batch.
//
// A request has one table of texts, its symbols; labels are pairs of numbers into it. Where a row's
// bytes are asked for, they are canonical (model/labels.h): sorted by name, as Prometheus does.
//
// Source of the field numbers: io/prometheus/write/v2/types.proto, version 2.0-rc.4 (Apache-2.0).
// Private to ingest.
#pragma once

#include "base/array.h"
#include "codec/protobuf.h"
#include "model/batch.h"

enum {
    WRITE_2_ROW_TAG = 5 << 3 | WIRE_BYTES,  // Request.timeseries
    WRITE_2_REFS_TAG = 1 << 3 | WIRE_BYTES,
    WRITE_2_SAMPLE_TAG = 2 << 3 | WIRE_BYTES,
    WRITE_2_METADATA_TAG = 5 << 3 | WIRE_BYTES,
};

// The bytes of one label.
typedef struct WritePair {
    const uint8_t *at;  // NULL: not made yet
    uint32_t name;      // the symbol of its name
    uint32_t len;
} WritePair;

typedef struct WriteSpace {
    uint8_t *at, *end;  // what is free
} WriteSpace;

typedef ARRAY(uint32_t) WriteRefs;

// What decoding needs besides the batch; its memory is kept from request to request. Begin with
// {0}; one thread at a time.
typedef struct WriteSymbols {
    BatchSymbols batch;  // as the batch sees them
    ARRAY(Text) texts;
    ARRAY(uint32_t) described;  // per symbol that names a metric: 1 + its row in Batch.metadata
    ARRAY(WritePair) pairs;     // per symbol: the label of which it was the value first
    ARRAY(uint64_t) known;      // BatchSymbols.known
    WriteRefs row_refs;         // of all series
    WriteRefs exemplar_refs;    // of one exemplar
    ARRAY(uint32_t) rising;     // symbols of the label names of a row, known to be in order
    Arena *scratch;
    WriteSpace row_space, pair_space;  // for label bytes, on `scratch`
    size_t taken;                      // from it, by the last request
    size_t exemplar_bytes;             // of their labels, of this request
    size_t front_len;                  // of the body: what its symbols take, which all come first
    Bytes again;                       // a body that was not decoded (write_symbols_repeat)
    Batch *again_batch;
} WriteSymbols;

void write_symbols_free(WriteSymbols *symbols);
size_t write_symbols_bytes_kept(const WriteSymbols *symbols);

// Appends the rows of `body` to `batch`, which is empty. Their labels are symbols (Batch.symbols)
// until batch_labels is asked for bytes, which then lie on `scratch`; what else is viewed are the
// body's own bytes. All of it holds until `symbols` decode the next body. A series whose references
// point nowhere is refused alone (BAD_LABELS). A series that carries nothing is no row; metadata
// comes once per metric name. BAD_INPUT: malformed protobuf, naming row and part. TOO_LARGE: rows,
// references or symbols beyond WRITE_BATCH_BYTES, labels that would pass WRITE_LABELS_BYTES.
must_use bool write_request_2_decode(Bytes body, WriteSymbols *symbols, Arena *scratch,
                                     Batch *batch, Error *err);

// Gives symbols to a batch whose rows were recognised without being decoded (repeats.h). `body` is
// decoded once somebody asks for labels; it is known to be good, and to have the rows of `batch`.
void write_symbols_repeat(WriteSymbols *symbols, Bytes body, Arena *scratch, Batch *batch);

// ---- The shape of a row, as senders write it ----

// References, one sample, its metadata.
typedef struct WriteUsual {
    Bytes refs, sample, metadata;
} WriteUsual;

// A field of this tag and fewer than 128 bytes, cut from the front.
static inline bool write_2_cut_short(Bytes *from, uint8_t tag, Bytes *out) {
    if (from->len < 2 || from->at[0] != tag || from->at[1] >= 0x80 || from->at[1] > from->len - 2)
        return false;
    *out = (Bytes){from->at + 2, from->at[1]};
    *from = (Bytes){out->at + out->len, from->len - 2 - out->len};
    return true;
}

static inline bool write_2_is_usual(Bytes row, WriteUsual *out) {
    out->metadata = BYTES_NONE;
    return write_2_cut_short(&row, WRITE_2_REFS_TAG, &out->refs) &&
           write_2_cut_short(&row, WRITE_2_SAMPLE_TAG, &out->sample) &&
           (row.len == 0 ||
            (write_2_cut_short(&row, WRITE_2_METADATA_TAG, &out->metadata) && row.len == 0));
}
