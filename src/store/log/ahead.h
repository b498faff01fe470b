// Reading a large segment ahead of who walks through it: several requests are under way at the disk
// while records are verified. Private to store/log.
#pragma once

#include "os/disk.h"

typedef struct Ahead Ahead;

// Begins to read `file` (FILE_READ_DIRECT, of `bytes` bytes) at `from`, a multiple of
// AHEAD_WINDOW_BYTES. NULL when memory or a thread cannot be had: then it is read as it comes.
enum { AHEAD_WINDOW_BYTES = 1 * MB };
Ahead *ahead_begin(Disk *disk, File *file, int64_t bytes, int64_t from);
// As disk->read. Offsets that rise are served from what was read ahead, others by the disk.
must_use bool ahead_read(Ahead *ahead, int64_t offset, uint8_t *into, size_t want, size_t *got,
                         Error *err);
void ahead_end(Ahead **ahead);  // NULL is fine
