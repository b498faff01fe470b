// The manifest: which blocks exist, and below which sequence the log is not needed any more. Only
// it decides (W15).
//
// A small text file of lines, replaced as a whole (disk_replace), its last line a CRC-32C of all
// before: FORMAT.md, "Manifest". Written by one thread at a time.
#pragma once

#include "base/array.h"
#include "model/matcher.h"
#include "os/disk.h"

typedef struct ManifestBlock {
    Text name;  // of the object, without the store's prefix
    int64_t bytes;
    uint32_t crc;  // CRC-32C of the whole object
    int64_t min_ms, max_ms;
    uint32_t level;  // 0: from a head; one more than the highest it was merged from; that of the
                     // one it was written again from; at most MANIFEST_LEVEL_MAX
    uint64_t order;  // who was stored first wins: the lower order. Unique within a day
    uint64_t series, samples;
    // Of tiers only (tier.h): how long a window is, and the highest number of the blocks of samples
    // it was made of; 0 once samples of that day were let go for their age, so that it is final. A
    // tier of a day may be in several blocks, each with series of its own.
    int64_t tier_ms;
    uint64_t source;
    bool cold;  // written with more effort, or that made it no smaller; no tier is
} ManifestBlock;

enum { MANIFEST_LEVEL_MAX = 255 };  // levels of cold blocks lie above it

// What was deleted from blocks whose number is below `before`.
typedef struct ManifestDelete {
    uint64_t before;
    int64_t from_ms, to_ms;
    Matchers matchers;  // regular expressions as text only
} ManifestDelete;

typedef struct Manifest {
    uint64_t sealed_sequence;
    uint64_t next_order;  // also makes names unique
    uint64_t writes;      // how often the manifest was written, over all lives of the store
    ARRAY(ManifestBlock) blocks;
    ARRAY(ManifestBlock) tiers;  // none has a level or an order
    ARRAY(ManifestDelete) deletes;
} Manifest;

// `folder`/MANIFEST. None there: an empty manifest. CORRUPT, NEWER_FORMAT, IO. Texts live on the
// arena.
must_use bool manifest_read(Disk *disk, Text folder, Arena *arena, Manifest *out, Error *err);
must_use bool manifest_parse(Bytes content, Arena *arena, Manifest *out, Error *err);
must_use bool manifest_write(Disk *disk, Text folder, Manifest *manifest, Error *err);
void manifest_print(const Manifest *manifest, Builder *out);
void manifest_free(Manifest *manifest);  // its arrays

// The number in a block's name, "00000000000000ff.block": names are given out rising and never
// twice. 0 for a name of another kind.
uint64_t block_number(Text name);
