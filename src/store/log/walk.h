// Walking through one segment: every record that verifies, in order, past whatever is damaged.
//
// Reads past the page cache (W9) through a sliding window that grows only for a record whose header
// has verified. Private to store/log; one thread.
#pragma once

#include "store/log/ahead.h"
#include "store/log/segment.h"
#include "store/log/tail.h"

typedef struct Walk {
    Disk *disk;
    File *file;
    Text path;  // the caller's
    SegmentHeader header;
    int64_t file_bytes;  // as found; may be less than the header says
    int64_t end;         // records lie below this
    int64_t at;          // behind the last record
    uint64_t expected;   // the next sequence
    uint8_t *window;
    size_t window_capacity, window_len;
    int64_t window_from;
    Ahead *ahead;      // NULL: read as it comes
    Tail *tail;        // NULL: all is looked at from the front
    bool reads_ahead;  // the walk goes to the end, so what comes next is read meanwhile
    int64_t stained;   // behind the last byte that was seen not to be zero, of those behind `at`
    int64_t seen;      // behind the last byte that was looked at for it
} Walk;

// What walk_next found. Views hold until the next call.
typedef struct WalkStep {
    bool found;  // false: no further record in this segment
    bool is_end_mark;
    LogRecord record;
    uint64_t group;
    int64_t offset, next;     // the record takes [offset, next)
    int64_t expected_offset;  // where the search for it began
} WalkStep;

// Opens the file and reads its header, or the copy. *readable is false when both are damaged. `id`
// and `first_sequence` come from the name; a header that says otherwise counts as damaged.
must_use bool walk_open(Disk *disk, Text path, uint64_t id, uint64_t first_sequence, Walk *out,
                        bool *readable, Error *err);
void walk_close(Walk *walk);

// IO when the file cannot be read, NEWER_FORMAT for a verified record of unknown type.
must_use bool walk_next(Walk *walk, WalkStep *out, Error *err);

// Once no further record was found: where the zeros begin that reach to `end`, as far as is known.
int64_t walk_zero_from(const Walk *walk);

// The window's bytes from `offset` on, at least `need` of them when the file has that many; fewer
// only at the end of the records. For inspect and for the cut.
must_use bool walk_view(Walk *walk, int64_t offset, size_t need, Bytes *out, Error *err);
