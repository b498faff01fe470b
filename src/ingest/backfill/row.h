// What every source of old samples gives: rows of one series each, with their times as they were.
#pragma once

#include "model/labels.h"
#include "model/native_histogram.h"
#include "model/sample.h"

enum { BACKFILL_ROW_SAMPLES = 8192 };

// Views, until the source is asked for the next row.
typedef struct BackfillRow {
    Labels labels;
    Samples samples;
    const NativeHistogram *histograms;
    size_t histogram_count;
} BackfillRow;
