// The one gate: every batch of every protocol passes it before the store. Private to ingest.
#pragma once

#include "model/batch.h"

// Judges what needs no state: times within LIMIT_SAMPLE_AGE_*, exemplars, histograms and metadata
// within their limits. Refused rows keep their verdict and the first reason; the good rows go on.
// Number and rate of series are judged by the store, which knows which series are new.
void admit(Batch *batch);

// The part of it that drops without a word: exemplars and metadata. A replay needs it too, as the
// log keeps bodies as they came and lists only the rows that were refused.
void admit_beside(Batch *batch);
