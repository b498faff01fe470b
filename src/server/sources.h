// Who sends what: a bounded table of senders with their rates and their last fault. Private to
// server; protocols write into it with server_note_source (server.h).
//
// A row is a protocol, a peer's address, a user agent and a tenant. When the table is full the
// sender that was silent longest makes room. Any thread.
#pragma once

#include "os/thread.h"
#include "server/server.h"

enum { SOURCE_ROWS_MAX = 128, SOURCE_SLOTS = 7, SOURCE_SLOT_MS = 10000, SOURCE_TEXT_MAX = 120 };

typedef struct SourceSlot {
    int64_t number;  // time / SOURCE_SLOT_MS
    uint64_t requests, samples, bytes;
} SourceSlot;

typedef struct SourceRow {
    char protocol[24], peer[56], agent[SOURCE_TEXT_MAX], tenant[SOURCE_TEXT_MAX];
    int64_t first_ms, last_ms;
    uint64_t requests, samples, bytes, faults;
    int64_t fault_ms;  // 0: never
    char fault[256];
    SourceSlot slots[SOURCE_SLOTS];  // the last minute
} SourceRow;

typedef struct Sources {
    Mutex lock;
    size_t count;
    SourceRow *rows;
} Sources;

void sources_begin(Sources *sources);
void sources_end(Sources *sources);
void sources_note(Sources *sources, int64_t now_ms, const SourceNote *note);

// What one sender did per second of the last minute.
typedef struct SourceRates {
    double requests, samples, bytes;
} SourceRates;
SourceRates source_rates(const SourceRow *row, int64_t now_ms);
