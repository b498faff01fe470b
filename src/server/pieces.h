// Answers that are made in pieces, so that a long one is never held whole. Private to server.
//
//   serve ─> request_produce ─ fits a piece ──────────────────────> an answer like others
//                 └ more ─> head ─> next ─> pack ─> give ─> next … ─> end
//                                    ^                └ the client is slow: this thread goes on to
//                                    └── worker <── on_room       other work
//
// What can be refused is refused before the first byte. What fails later cuts the connection: the
// status is out, and half an answer must not look whole.
#pragma once

#include "codec/packer.h"
#include "server/request.h"

enum { PIECE_BYTES = 256 * KB };

typedef struct Production Production;
struct Production {
    // Appends some more of the answer, not much more than PIECE_BYTES at once; *done with the last
    // of it. On workers' threads, one after the other.
    bool (*next)(Production *production, Builder *out, bool *done, Error *err);
    void (*free)(Production *production);  // all it holds, and itself

    Budget *budget;    // where its memory is reserved, and that of its answer
    int64_t charged;   // so many bytes by what it holds; released with it
    size_t whole_max;  // an answer up to here is sent whole; 0: PIECE_BYTES

    // Told behind the answer when it was sent in pieces (the head's Trailer has announced it);
    // empty: nothing.
    Text trailer_name;
    char trailer[64];

    // Of pieces.c.
    bool done;
    Packer *packer;  // NULL: as it is
    Builder packed;
};

// The last thing that `serve` does: returns what it says. Takes `production` over.
bool request_produce(Request *request, Production *production, Error *err);

// There is room again for an answer that had to wait. On its loop.
void request_produce_again(Request *request);

void production_free(Production **production);  // works with AUTO; NULL is fine
