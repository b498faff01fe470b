// Deltas added up: one running total per stream, so that what is stored is cumulative.
//
// A stream is named by the label bytes of its first series. Rules (OpenTelemetry's data model,
// "Sums: Delta-to-Cumulative", as its collector applies them): the first point begins a total; a
// point behind the last one is added; one that is not behind it, or began before the first, is
// refused; the very same point again (a retry) adds nothing and gives the same total. A histogram
// whose bounds or zero threshold changed begins anew. A stream that was silent for long begins
// anew, which PromQL sees as a reset of the counter.
//
// Bounded in number; the caller holds a lock. Private to ingest/otlp.
#pragma once

#include "base/hash.h"
#include "ingest/otlp/points.h"

typedef struct DeltaTable DeltaTable;

DeltaTable *delta_table_new(HashKey hash_key, int64_t streams_max, int64_t expires_ms);
void delta_table_free(DeltaTable **table);
size_t delta_table_count(const DeltaTable *table);
int64_t delta_table_bytes(const DeltaTable *table);

// What was silent too long goes; then `now_ms` is the time of what comes next.
void delta_table_turn(DeltaTable *table, int64_t now_ms);
// Only the first half, for a table that nobody writes to.
void delta_table_expire(DeltaTable *table, int64_t now_ms);
// Since the last turn nothing was stored: every stream touched since begins anew.
void delta_table_forget(DeltaTable *table);

// Each adds the point to the stream `name` and replaces its values by the totals, its start by that
// of the first point in them. False: refused, nothing changed. TOO_MANY: no more streams, or no
// memory for another one (OTLP_DELTA_BYTES). What the point's arrays become is on `scratch`.
must_use bool delta_number(DeltaTable *table, Bytes name, bool monotonic, NumberPoint *point,
                           Error *err);
must_use bool delta_histogram(DeltaTable *table, Bytes name, Arena *scratch, HistogramPoint *point,
                              Error *err);
must_use bool delta_exponential(DeltaTable *table, Bytes name, Arena *scratch,
                                ExponentialPoint *point, Error *err);
