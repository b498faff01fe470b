// A log's life in tests: records that can be recognised, and an oracle that knows what was
// acknowledged.
//
// Tests only. A record's bytes follow from a seed that its body begins with, so an altered or
// invented one shows.
#pragma once

#include "base/array.h"
#include "base/test.h"
#include "os/disk_model.h"
#include "store/log/log.h"
#include "store/log/plant.h"

typedef struct Given {
    uint64_t sequence, seed;
    bool acked;
} Given;

typedef struct Life {
    Disk *disk;
    ManualClock clock;
    LogPlant plant;
    int64_t segment_bytes;
    uint64_t seeds;      // the last one given out
    uint64_t trimmed;    // everything below was given up on purpose
    ARRAY(Given) given;  // every record ever appended
    size_t opened_at;    // rows of `given` below this belong to earlier openings
    Log *log;
    Arena arena;  // of the last recovery
    LogRecovery recovery;
    const char *complaint;  // what the judge found last, or NULL
} Life;

void life_begin(Life *life, Disk *disk);
void life_end(Life *life);
void life_copy(const Life *from, Disk *disk,
               Life *out);  // what was given and acknowledged, not the open log

bool life_open(Life *life, Error *err);
void life_close(Life *life);
bool life_append(Life *life, size_t body_bytes, Error *err);
bool life_commit(Life *life, Error *err);  // and notes what is acknowledged from then on
bool life_finish(Life *life, Error *err);  // nothing is left but the end
bool life_trim(Life *life, uint64_t sequence, Error *err);

// Reads all back: every acknowledged record there, unaltered, in order, nothing invented; what
// recovery said agrees. False with `complaint` otherwise. With `gaps_allowed` a loss is fine when a
// proven gap names it.
bool life_judge(Life *life, bool gaps_allowed, Error *err);
