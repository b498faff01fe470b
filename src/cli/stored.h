// What a server or a data directory holds, read back series by series. Private to cli.
#pragma once

#include "cli/client.h"
#include "cli/local_store.h"
#include "ingest/backfill/row.h"

typedef struct Stored {
    const Call *call;
    Client client;
    LocalStore local;
    bool is_local;
    Text where;            // for people
    bool with_histograms;  // native ones are read, too; set by the caller
    uint64_t left_out;     // native histograms that were met and are not in the rows
} Stored;

// --data opens that directory, else the server of the client's flags is asked.
must_use bool stored_open(const Call *call, Stored *out, Error *err);
void stored_close(Stored *stored);

// Is --data among the flags?
bool call_has_data(const Call *call);

// Names of the metrics that a selector matches, sorted. Times are inclusive.
must_use bool stored_names(Stored *stored, Text selector, int64_t from_ms, int64_t to_ms,
                           Arena *arena, Texts *out, Error *err);

// A time before which nothing matches, at most a day early: 0 when that is not known.
must_use bool stored_begin(Stored *stored, Text selector, int64_t to_ms, int64_t *out, Error *err);

// The selector with one name: of those that stored_names gave.
must_use bool stored_of_name(Text selector, Text name, Arena *arena, Text *out, Error *err);

// Given a series with samples or histograms in time order; one that is long may come in several
// parts.
typedef bool (*StoredTake)(void *context, const BackfillRow *row, Error *err);

// All series that match, each with its raw samples, stale markers among them.
must_use bool stored_read(Stored *stored, Text selector, int64_t from_ms, int64_t to_ms,
                          StoredTake take, void *context, Error *err);
