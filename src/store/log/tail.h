// The end of a large segment, read from behind while its records are verified in front:
//
//   │ header │ record │ record │ record │ 0 0 0 0 0 0 … │      walk ──>   <── tail
//
// A log that was killed has written a part of its newest segment, and a record may still be found
// anywhere behind (W6). So all of it has to be looked at; this way the walk need not do that once
// the last record is replayed. Private to store/log.
#pragma once

#include "os/disk.h"

typedef struct Tail Tail;

// Begins to look through [from, end) of `file` (FILE_READ_DIRECT), both multiples of DISK_ALIGN,
// for the mark (record_mark). NULL when memory or a thread cannot be had.
Tail *tail_begin(Disk *disk, File *file, int64_t from, int64_t end, uint64_t mark);
// Any thread, at any time: no mark stands at this place or behind it, nothing but zeros does. Both
// only fall. A read that fails ends the search; who goes on from the front finds it again.
int64_t tail_bare_from(const Tail *tail);
int64_t tail_zero_from(const Tail *tail);
void tail_end(Tail **tail);  // NULL is fine
