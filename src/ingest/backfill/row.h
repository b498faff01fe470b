// What every source of old samples gives: rows of one series each, with their times as they were,
// and between them what is said of families.
#pragma once

#include "model/batch.h"
#include "model/native_histogram.h"

enum { BACKFILL_ROW_SAMPLES = 8192 };

// Views, until the source is asked for the next row. Where a family is named, the row is metadata
// and nothing else.
typedef struct BackfillRow {
    Labels labels;
    Samples samples;
    const int64_t *starts;  // when the counting of the first samples began; 0: not known
    size_t start_count;     // no more than samples; the rest has none
    const NativeHistogram *histograms;
    size_t histogram_count;
    const BatchExemplar *exemplars;
    size_t exemplar_count;
    BatchMetadata metadata;  // family empty: none
} BackfillRow;
