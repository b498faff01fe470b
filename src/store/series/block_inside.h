// What the parts of the block share: the layout's constants, and the open block as its readers see
// it. Private.
#pragma once

#include <stdatomic.h>

#include "codec/reader.h"
#include "store/index/postings.h"
#include "store/series/block.h"
#include "store/series/block_rows.h"
#include "store/series/page_cache.h"

enum {
    // Each is written only where it is needed.
    BLOCK_VERSION_PLAIN = 1,
    BLOCK_VERSION_PACKED = 2,  // a piece of histograms is packed
    BLOCK_VERSION_STARTS = 3,  // some sample says when its counting began
    BLOCK_VERSION_TIER = 4,    // windows of a tier instead of samples
    BLOCK_VERSION_NEAR = 5,    // some values are told as decimals and steps beside them
    BLOCK_VERSION = 5,         // the highest we read
    BLOCK_HEAD_BYTES = 8,
    BLOCK_TRAILER_BYTES = 32,
    PAGE_BYTES = 64 * KB,       // a page is closed before it would pass this
    PAGE_BYTES_MAX = 256 * KB,  // unless one thing alone is larger
    PAGE_ROW_BYTES = 20,
    PIECE_BYTES = 32 * KB,             // histograms and exemplars of a series are cut after so many
    HISTOGRAM_PIECE_BYTES = 128 * KB,  // before packing
    GROUP_ROWS = 16,                   // rows that are told from each other; one offset per group
    EXTENT_BYTES = 64 * KB,            // of a section, per checksum
    BLOCK_LABELS_MAX = BLOCK_PAIRS_MAX,
    SUMMARY_SAMPLES_MIN = 32,  // smaller chunks are summarised by decoding them
};

static const char block_magic_head[] = "TRcBLOCK";
static const char block_magic_tail[] = "KCOLBcRT";

// ORDER: sections of a block
typedef enum SectionKind {
    SECTION_PAGES,
    SECTION_NAMES,
    SECTION_PAIRS,
    SECTION_SERIES,
    SECTION_CHUNKS,
    SECTION_CLOCKS,
    SECTION_COUNT
} SectionKind;

static const char *const section_names[SECTION_COUNT]
    __attribute__((unused)) = {"pages", "names", "pairs", "series", "chunks", "clocks"};

enum { PAGE_IS_ZSTD = 1u << 31 };  // in the raw length of a page

typedef enum ChunkFlag {
    CHUNK_OTHER_CLOCK = 1,  // not the clock that was expected: its distance follows
    CHUNK_ELSEWHERE = 2,    // not right behind the column before: page and offset follow
    CHUNK_SUMMARY = 4,
    CHUNK_RESETS = 8,
    CHUNK_STARTS = 16,  // when counting began changes inside
} ChunkFlag;

enum { SERIES_HAS_HISTOGRAMS = 1, SERIES_HAS_EXEMPLARS = 2, SERIES_FLAG_BITS = 2 };
enum {
    SUMMARY_SUM_SCALED = 16,
    SUMMARY_FLAT = 32,  // last, min and max are the first, and the sum is as if all were
};

// ---- The open block ----
typedef struct Section {
    int64_t offset, len;
    Bytes checksums;        // 4 bytes per extent, inside the tail
    _Atomic uint8_t *seen;  // per extent: verified before
    size_t extents;
} Section;

typedef struct BlockName {
    Text name;
    uint32_t first_pair, pair_count;
} BlockName;

typedef struct Shape {
    uint32_t *names;
    size_t count;
} Shape;

// Values of label pairs as decoded, a group at a time, so that labels of many series are not
// decoded over and over. Groups are put in once, by whoever is first, and stay until the block
// closes; little memory, and none for huge dictionaries.
typedef struct PairGroup {
    Text values[GROUP_ROWS];
} PairGroup;
typedef struct PairCache {
    PairGroup *_Atomic *groups;  // NULL: too many pairs
    size_t group_count;
    _Atomic int64_t bytes;
} PairCache;
enum { PAIR_CACHE_BYTES_MAX = 256 * KB, PAIR_CACHE_GROUPS_MAX = 4096 };

struct Block {
    _Atomic int64_t refs;
    Arena arena;
    Objects *objects;
    Object object;
    Bytes bytes;
    Text name;
    BlockFacts facts;
    uint32_t version;
    uint32_t pairs, clocks, pages;
    uint32_t metadata_page, metadata_pages;
    int64_t tail_offset;
    Section sections[SECTION_COUNT];
    BlockName *names;
    Text *name_texts;  // of `names`
    size_t name_count;
    Shape *shapes;
    size_t shape_count;
    PairCache *pair_cache;
    PageCache *page_cache;  // NULL: pages are not kept
    PageOwner *kept_pages;
    BlockRows *rows;  // NULL: none are kept
};

// CORRUPT, naming block, section and offset within the object.
bool block_corrupt(const Block *block, SectionKind section, int64_t at, const char *why,
                   Error *err);

// `len` bytes of a section, verified the first time their extents are touched.
must_use bool section_bytes(const Block *block, SectionKind kind, int64_t from, int64_t len,
                            Bytes *out, Error *err);

// The rows of group `group` of a section of `rows` rows.
must_use bool section_group(const Block *block, SectionKind kind, uint64_t rows, uint64_t group,
                            Bytes *out, Error *err);

// How many rows a grouped section has.
uint64_t section_rows(const Block *block, SectionKind kind);

typedef struct PageRow {
    int64_t offset;
    uint32_t stored, raw;
    uint32_t checksum;
    bool zstd;
} PageRow;
must_use bool page_row(const Block *block, uint32_t page, PageRow *out, Error *err);
// They are fetched now; what cannot be is left to the reading (Objects.will_need).
enum { PAGES_AHEAD = 16 };
void pages_will_need(const Block *block, uint32_t page, uint32_t count);
must_use bool page_verify(const Block *block, uint32_t page, const PageRow *row, Error *err);
// Verified and unpacked. *unpacker is made at need and kept for the next page: it is 150 KB.
typedef struct ZSTD_DCtx_s PageUnpacker;
must_use bool page_read(const Block *block, uint32_t page, PageUnpacker **unpacker, KeptPage **out,
                        Error *err);
void page_unpacker_free(PageUnpacker **unpacker);  // NULL is fine

// A walk over label pairs in order of name and value: value and posting set of each.
typedef struct PairWalk {
    const Block *block;
    uint32_t next, end;
    Reader rows;
    Builder value;   // free it with pair_walk_end
    Bytes postings;  // encoded
} PairWalk;
PairWalk pair_walk_begin(const Block *block, uint32_t first, uint32_t end);
// *more false behind the last one.
must_use bool pair_walk_next(PairWalk *walk, bool *more, Error *err);
void pair_walk_end(PairWalk *walk);

const BlockName *block_name_find(const Block *block, Text name);
must_use bool pair_value(const Block *block, uint32_t pair, Builder *into, Error *err);
void pair_cache_begin(Block *block);
void pair_cache_end(Block *block);
