// The replay's inside: records in parts, on several threads, with the outcome of one. Private to
// store.
#pragma once

#include "store/parts.h"

// Reads the whole log (log_recover) and gives each record that no block has to `each`, on `count`
// threads beside the caller's when there are two contexts or more. Everything else about the order
// is as store_replay promises.
must_use bool replay_run(Store *store, uint64_t from, StoreReplay each, void *const *contexts,
                         size_t count, Error *err);

// Called when the rows of the record are recognised and not added yet, with no lock held: returns
// once all that came before and adds to one of these series has done so. `replay` may be NULL.
// CANCELLED when the replay failed meanwhile.
must_use bool replay_wait_turn(Replay *replay, const LogRecord *record, const Batch *batch,
                               Error *err);
