// Exponential histograms of OpenTelemetry: made coarser, added, and turned into native ones.
//
// Scale s means a base of 2^(2^-s), as schema s of a native histogram. Bucket i holds
// (base^i, base^(i+1)], which a native histogram calls bucket i + 1. A step down in scale makes
// two buckets one: index i becomes i >> 1. Private to ingest/otlp.
#pragma once

#include "ingest/otlp/points.h"
#include "model/native_histogram.h"

// Makes `buckets` coarser by so many steps.
void exponential_coarsen(ExponentialBuckets *buckets, int32_t steps, Arena *arena);

// b is added to a; both sides at the coarser scale of the two, coarser still until either side fits
// into OTLP_BUCKETS. False when no scale does (a is then unchanged).
must_use bool exponential_add(ExponentialPoint *a, const ExponentialPoint *b, Arena *arena,
                              Error *err);

// BAD_INPUT when the scale is below -4 or the parts do not agree; a scale above 8 becomes 8.
must_use bool exponential_to_native(const ExponentialPoint *point, int64_t time_ms, Arena *arena,
                                    NativeHistogram *out, Error *err);

// Explicit buckets as a native histogram with bounds of its own (schema -53).
must_use bool explicit_to_native(const HistogramPoint *point, int64_t time_ms, Arena *arena,
                                 NativeHistogram *out, Error *err);
