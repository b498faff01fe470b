// Private to src/net: the body of an answer that comes in pieces, between the thread that makes
// them and the loop that sends them.
//
//   producer: http_stream_begin ─> give … ─> end           loop: message ─> http_stream_take … ─>
//   sent
//                                   │                                             │
//                                   └── FULL: wait, or park ── on_room <── room ──┘
//
// It belongs to a turn, from http_stream_begin until http_turn_end. Pieces wait in a list under a
// lock; a message to the loop says that there are some, another, the last thing the producer does,
// that there will be no more.
#pragma once

#include "net/http_turn.h"
#include "os/thread.h"

typedef struct HttpPiece HttpPiece;
struct HttpPiece {
    Builder bytes;
    HttpPiece *next;
};

struct HttpStream {
    Mutex lock;  // of what follows up to `whole`
    Condition room;
    HttpPiece *first, *last, *spare;
    size_t waiting;  // bytes that were not sent, those of `sending` too
    size_t most;     // may wait before the producer has to
    bool posted;     // a message is on its way
    bool parked;     // the producer is called when there is room
    bool gone;
    bool whole;  // how it ended
    // The producer's until it has ended, then the loop's, which takes them into the answer.
    const HttpHeader *trailers;
    size_t trailer_count;
    Arena arena;         // of the trailers
    HttpPiece *sending;  // of the loop
};

// The next piece, valid until the next call; the one before is given up. False: there is none now.
// On the loop's thread.
bool http_stream_take(HttpTurn *turn, Text *piece);
// How it ended; once the turn is answered.
bool http_stream_is_whole(const HttpTurn *turn);

// Of turns.
void http_stream_gone(HttpTurn *turn);
void http_stream_free(HttpStream **stream);
