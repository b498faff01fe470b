// prometheus.WriteRequest on the wire: decoding into a Batch, without copies.
//
// Source of the field numbers: prompb/remote.proto and types.proto (Apache-2.0). Private to ingest.
#pragma once

#include "model/batch.h"

// Appends the rows of `body` to `batch`; label bytes stay views into `body` (or into `scratch`,
// when a sender wrote the labels of one series in several places). A series that carries nothing is
// no row. Malformed protobuf is BAD_INPUT naming the row and what is wrong; more rows than fit into
// WRITE_BATCH_BYTES are TOO_LARGE.
must_use bool write_request_decode(Bytes body, Arena *scratch, Batch *batch, Error *err);
