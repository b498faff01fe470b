// What tests of recognising rows share: a head that takes batches, without the store around it.
#pragma once

#include "store/series/head.h"

typedef struct Side {
    Head *head;
    Quota quota;
    SeriesPrediction prediction;
    HeadCounts counts;
    Batch batch;
    uint64_t verdicts[VERDICT_COUNT];  // for who adds up what became of batches
    Error fault;                       // the first one
} Side;

static inline void side_open(Side *side) {
    *side = (Side){.head = head_open(1, (HashKey){1, 2}, NULL, 0)};
    quota_begin(&side->quota, (SeriesLimits){0}, 0);
}

static inline void side_close(Side *side) {
    head_unref(&side->head);
    quota_end(&side->quota);
    batch_free(&side->batch);
}

// Recognises the batch, whose samples may be as old as they like.
static inline void side_resolve(Side *side) {
    head_resolve(side->head, NULL, &side->quota, clock_system(), &side->prediction, &side->batch,
                 INT64_MIN + 1, false, &side->counts);
}
