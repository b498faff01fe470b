// A batch: what one request carried, decoded. Every protocol makes one and hands it to
// ingest/admit.
//
// Rows are flat arrays that keep their memory from request to request: nothing is allocated per
// row. Texts and label bytes are views into the decoded body, which outlives the batch.
#pragma once

#include "model/labels.h"
#include "model/sample.h"
#include "model/tenant.h"

typedef enum Verdict {
    VERDICT_STORED = 0,
    VERDICT_DUPLICATE,  // the same time and value again: fine, nothing added (W25)
    VERDICT_CONFLICT,   // the same time, another value: the first one stays
    VERDICT_TOO_OLD,    // outside retention or the limits of time
    VERDICT_TOO_NEW,
    VERDICT_BAD_LABELS,  // not canonical, not UTF-8, too many, too long
    VERDICT_LIMIT,       // a new series over the tenant's quota
    VERDICT_BAD_VALUE,   // a malformed native histogram
    VERDICT_COUNT
} Verdict;

// BatchSeries.symbol_count of rows whose references nobody has read yet (BatchSymbols.refs is
// NULL).
enum { BATCH_SYMBOLS_UNREAD = 1 };

typedef struct BatchSeries {
    // As sent; canonical when labels_check says so. Nothing yet where the row has symbols: ask
    // batch_labels.
    Bytes labels;
    uint32_t first_symbol, symbol_count;  // into BatchSymbols.refs; 0 where labels came as bytes
    uint32_t first_sample;                // into Batch.samples
    uint32_t sample_count;
    uint32_t first_histogram, histogram_count;
    uint32_t first_exemplar, exemplar_count;
    uint32_t ref;     // filled by the store
    uint8_t verdict;  // filled by admit and the store: refuses the whole row when not STORED
    bool told;        // `ref` was known while decoding: the series in the head Batch.told_head
} BatchSeries;

typedef struct BatchHistogram {
    int64_t time_ms;
    Bytes wire;  // prometheus.Histogram as sent, kept as it came (model/native_histogram.h)
} BatchHistogram;

typedef struct BatchExemplar {
    int64_t time_ms;
    double value;
    Bytes labels;  // canonical Labels of the exemplar
} BatchExemplar;

// prometheus.MetricMetadata.MetricType.
typedef enum MetadataType {
    METADATA_UNKNOWN = 0,
    METADATA_COUNTER = 1,
    METADATA_GAUGE = 2,
    METADATA_HISTOGRAM = 3,
    METADATA_GAUGE_HISTOGRAM = 4,
    METADATA_SUMMARY = 5,
    METADATA_INFO = 6,
    METADATA_STATESET = 7,
} MetadataType;
Text metadata_type_name(uint8_t type);  // "counter"; those unknown to us are "unknown"

typedef struct BatchMetadata {
    Text family;
    uint8_t type;  // MetadataType
    Text help;
    Text unit;
} BatchMetadata;

// The labels of rows as references into a table of texts: pairs of name and value. Their bytes are
// made for those rows only that are not recognised without (store/series/registry.h).
typedef struct BatchSymbols {
    const Text *texts;
    uint32_t count;
    // Of all rows; below `count`, an even number, where a row is not refused. NULL: all rows are
    // told, and nobody has read them; they are there once `make` was asked for a row.
    const uint32_t *refs;
    // For who recognises, one for each text, 0 at first: what the label of this value was last
    // found to be.
    uint64_t *known;
    // Fills row->labels, from the row's references. Never fails: who decodes has seen that there is
    // room.
    void (*make)(struct BatchSymbols *symbols, BatchSeries *row);
} BatchSymbols;

// Labels that a sender keeps, and the series that they were found to be. Their bytes never change,
// nor do those of a series, so that comparing them once is enough while the head is the same.
typedef struct BatchKnown {
    uint64_t head;  // the name of the head that has them as `ref`; 0: none has
    uint32_t ref;
} BatchKnown;

// A row and its series, for who takes the rows in another order (store/series/row_order.h).
typedef struct BatchPlace {
    uint32_t ref, row;
} BatchPlace;

typedef struct Batch {
    int64_t arrival_ms;
    ARRAY(BatchSeries) series;
    ARRAY(Sample) samples;
    // When the counting of each sample began (ms; 0: not known): of the first of `samples`, as many
    // as there are; those behind have none. A histogram has its own in its bytes.
    ARRAY(int64_t) starts;
    ARRAY(BatchHistogram) histograms;
    ARRAY(BatchExemplar) exemplars;
    ARRAY(BatchMetadata) metadata;
    ARRAY(BatchPlace) places;  // the store's scratch
    // Of the first of `series`, as many as there are; NULL: its labels are not kept. Not owned;
    // filled by the store, and by nobody else meanwhile.
    ARRAY(BatchKnown *) known;
    // Of a batch that is plain: the series of each sample, in the head Batch.told_head. Such a
    // batch has one row for each sample, in their order, none refused, and beside them metadata
    // alone. The rows are not there until somebody wants them (batch_unfold).
    ARRAY(uint32_t) plain;
    // Appends the rows of a plain batch to `series`; NULL: they are told, and labels are symbols'.
    void (*unfold)(struct Batch *batch);
    const void *folded;     // for `unfold`. Not owned
    uint64_t head;          // the name of the head that took it; filled by the store
    uint64_t told_head;     // the name of the head that rows are told of; 0: none
    size_t told;            // how many rows are
    BatchSymbols *symbols;  // of rows that have some; NULL: none has. Not owned
    size_t refusals;        // how often a row was refused; 0: all have the verdict STORED
    // Samples and histograms by verdict; filled by admit and the store.
    uint64_t counts[VERDICT_COUNT];
    uint64_t histograms_kept;  // of those stored or there already; filled by the store
    Error first_fault;  // of the first row refused (code NONE: none), names series and reason
} Batch;

static inline bool batch_is_plain(const Batch *batch) {
    return batch->plain.count > 0;
}

// Fills `series` of a plain batch, which is plain no more. Others stay as they are.
void batch_unfold(Batch *batch);

void batch_clear(Batch *batch);  // keeps the memory
void batch_free(Batch *batch);
size_t batch_bytes_kept(const Batch *batch);  // what batch_free would give back

static inline BatchKnown *batch_known(const Batch *batch, size_t series) {
    return series < batch->known.count ? batch->known.at[series] : NULL;
}

// Of the sample that was added last.
void batch_add_start(Batch *batch, int64_t start_ms);
static inline int64_t batch_start(const Batch *batch, size_t sample) {
    return sample < batch->starts.count ? batch->starts.at[sample] : 0;
}

// The label bytes of a row of the batch.
static inline Bytes batch_labels(const Batch *batch, BatchSeries *row) {
    if (row->labels.at == NULL && row->symbol_count > 0) batch->symbols->make(batch->symbols, row);
    return row->labels;
}

// Refuses a row: sets its verdict, counts its samples, keeps the first reason. `why` may be NULL,
// and should be once first_fault is known: a body of a million bad rows must not cost a million
// messages.
void batch_refuse(Batch *batch, BatchSeries *series, Verdict verdict, const Error *why);

Text verdict_name(Verdict verdict);  // "duplicate", for our own metrics' label
