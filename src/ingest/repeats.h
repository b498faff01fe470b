// Requests of remote write 2.0 that come again: the same table of symbols, the same rows in the
// same order, other samples.
//
// A sender whose requests begin at the same series each time sends the same bytes but for values
// and times. What such a request was the last time is remembered for all connections: its symbols,
// what each row has around its sample, and the series that the rows were. A body that is equal to
// it byte for byte around its samples is a batch without its references being read: no symbol is
// looked at, and each row is told (BatchSeries.told). Anything else is decoded as ever.
//
//   symbols            row                            row
//   ├ compared whole ┤ ├ compared ┤ sample ┤ compared ┤ …
//
// A request is remembered when its symbols come for the second time, so that a sender whose table
// shifts from request to request, as Prometheus' does when it sends more than it may in one, costs
// a checksum and no memory. What was seen longest ago goes first. Some 33 bytes a series.
//
// Any thread. Why: docs/decisions/0028. Private to ingest, but for what ingest.h has of it.
#pragma once

#include "ingest/ingest.h"
#include "ingest/write_request_2.h"

// Decodes `body` as write_request_2_decode does, if it is not known; `repeats` may be NULL.
must_use bool repeats_decode(Repeats *repeats, uint32_t tenant, Bytes body, WriteSymbols *symbols,
                             Arena *scratch, Batch *batch, Error *err);

// Notes a body that became `batch` by repeats_decode, with these `symbols`, once a head took it.
// What is known already stays. Else it is remembered if its symbols were here before, and if its
// rows are all of one sample and all good.
void repeats_note(Repeats *repeats, uint32_t tenant, Bytes body, const WriteSymbols *symbols,
                  const Batch *batch);

// Whether `body` is a request of the tenant that is remembered. Then `batch`, which is empty, has
// its rows, samples and metadata, as decoding would give them, and is told of the head that took it
// then; its symbols are the caller's to make (write_symbols_repeat).
bool repeats_find(Repeats *repeats, uint32_t tenant, Bytes body, Batch *batch);
