// A WriteRequest body made in this process, series by series: how every protocol that is not remote
// write hands its rows to ingest_samples, so that the log has one form.
//
//   write_body_begin(&body, labels);
//   write_body_sample(&body, time_ms, value);          any number of these, in any order
//   write_body_exemplar(&body, labels, value, time_ms);
//   write_body_histogram(&body, &histogram);
//   write_body_end(&body);
//
// Nothing is judged here: what is wrong with a row, admit and the store will say.
//
// While the bytes are written, it is noted where the parts of each series lie in them, so that the
// batch for the store is made without reading them again; a replay of the log, which has the bytes
// alone, decodes them to the same batch. Begin with {0}; one thread at a time.
//
// A row of labels that its maker keeps (KeptLabels) is only noted: its bytes are made for the log,
// packed, and are nowhere else. Whoever wants to read all bytes sets `whole` first.
#pragma once

#include "model/batch.h"
#include "model/native_histogram.h"

// Label bytes that are used for rows again and again, and what was learned of them. Begin with the
// labels alone. They stay where and what they are, as do those of the rows beside them, until the
// body was stored or cleared; one thread at a time.
typedef struct KeptLabels {
    Labels labels;
    BatchKnown known;
    const struct KeptLabels *before;  // of the row before it, last time
    uint16_t first, last;             // how many bytes they have in common at both ends
} KeptLabels;

#define WRITTEN_ASIDE SIZE_MAX

// Places are offsets, as the bytes move when they grow. Those inside a series count from its
// content, which moves when the length in front of it is known.
typedef struct WrittenSeries {
    size_t at;  // its content, which begins with its labels; WRITTEN_ASIDE: only noted
    uint32_t len, labels_len;
    uint32_t samples, histograms, exemplars;
    KeptLabels *kept;  // NULL: not kept
} WrittenSeries;

typedef struct WrittenHistogram {
    int64_t time_ms;
    size_t at, len;
} WrittenHistogram;

typedef struct WrittenExemplar {
    int64_t time_ms;
    double value;
    size_t at, labels_len;
} WrittenExemplar;

typedef struct WrittenMetadata {
    size_t family_at, family_len, help_at, help_len, unit_at, unit_len;
    uint8_t type;
} WrittenMetadata;

typedef struct WriteBody {
    Builder bytes;
    uint64_t rows;  // samples and histograms
    size_t series;  // the one that has begun; 0: none
    size_t aside;   // bytes of rows that are only noted
    bool whole;     // none is
    // The notes. A series without content and metadata of no family have none: they are no rows.
    ARRAY(WrittenSeries) written;
    ARRAY(Sample) samples;
    ARRAY(int64_t) starts;  // as Batch.starts
    ARRAY(WrittenHistogram) histograms;
    ARRAY(WrittenExemplar) exemplars;
    ARRAY(WrittenMetadata) metadata;
} WriteBody;

void write_body_begin(WriteBody *body, Labels labels);
void write_body_begin_kept(WriteBody *body, KeptLabels *kept);
void write_body_sample(WriteBody *body, int64_t time_ms, double value);
// With the time at which its counting began; 0: not known.
void write_body_sample_since(WriteBody *body, int64_t time_ms, double value, int64_t start_ms);
void write_body_exemplar(WriteBody *body, Labels labels, double value, int64_t time_ms);
void write_body_histogram(WriteBody *body, const NativeHistogram *histogram);
void write_body_end(WriteBody *body);
// A series of one sample.
void write_body_add(WriteBody *body, Labels labels, int64_t time_ms, double value);
void write_body_add_since(WriteBody *body, Labels labels, int64_t time_ms, double value,
                          int64_t start_ms);
// The same of labels that are kept: not empty, at most UINT16_MAX bytes.
void write_body_add_kept(WriteBody *body, KeptLabels *kept, int64_t time_ms, double value,
                         int64_t start_ms);
// `type` is one of MetadataType.
void write_body_add_metadata(WriteBody *body, Text family, uint8_t type, Text help, Text unit);
void write_body_clear(WriteBody *body);
void write_body_free(WriteBody *body);

Bytes write_body_bytes(const WriteBody *body);        // a view, until the next row; all rows' bytes
size_t write_body_bytes_kept(const WriteBody *body);  // what write_body_free would give back

// Taking back what was written since a mark, which is made between two series.
typedef struct WriteBodyMark {
    size_t bytes, aside, written, samples, starts, histograms, exemplars, metadata;
    uint64_t rows;
} WriteBodyMark;
WriteBodyMark write_body_mark(const WriteBody *body);
void write_body_rewind(WriteBody *body, const WriteBodyMark *mark);  // a series may have begun

// TOO_LARGE when the bytes pass BODY_DECOMPRESSED_BYTES or the rows WRITE_BATCH_BYTES: what fits,
// a replay takes too.
must_use bool write_body_fits(const WriteBody *body, Error *err);

// Appends its rows to `batch`, as views into its bytes and into labels that are kept; where an
// empty batch can be plain, it is, and the body stays as it is until the batch is cleared. It must
// fit, and no series be open.
void write_body_batch(const WriteBody *body, Batch *batch);

// Appends all its bytes as a snappy block, for the log; learns what kept labels have in common. It
// must fit, and no series be open.
void write_body_pack(const WriteBody *body, Builder *out);

// Whether `batch`, not yet judged, is what its bytes decode to. For tests and slow assertions.
bool write_body_decodes_to(const WriteBody *body, const Batch *batch);
