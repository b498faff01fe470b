// The one gate: every batch of every protocol passes it before the store. Private to ingest.
#pragma once

#include "model/batch.h"

// Judges what needs no state: times within LIMIT_SAMPLE_AGE_*, exemplars, histograms and metadata within their limits. Refused
// rows keep their verdict and the first reason; the good rows go on. Number and rate of series are judged by the store,
// which knows which series are new.
void admit(Batch *batch);
