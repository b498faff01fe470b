// What the last scrape of a target taught: every row of its page in order, with the bytes that
// identify it there (`raw`) and the labels it became, or that it was dropped.
//
//   entries  | 16 B | 16 B | …       bytes  | raw suffix, labels suffix | …
//
// A page is much alike from row to row, so raw and labels are kept as what differs from the row
// before (front coding); every 32nd row is whole, and reading may begin there. Lines of metadata
// (HELP, TYPE, UNIT) are the same in many targets and kept once for all (ScrapeLines). One thread.
#pragma once

#include "base/assert.h"
#include "base/hash.h"
#include "ingest/scrape/exposition.h"

// ---- Lines of metadata, each once ----

typedef struct ScrapeLine {
    Text raw;
    ExpositionKind kind;
    MetadataType type;
    Text family, text;
    uint32_t refs;
    uint32_t next;  // in its chain, or in the list of free ones
    bool fresh;     // the store has not heard of it
    char *memory;
} ScrapeLine;

typedef struct ScrapeLines {
    ARRAY(ScrapeLine) lines;
    uint32_t *chains;
    size_t chain_count;  // a power of two
    uint32_t first_free;
    HashKey hash_key;
    int64_t bytes;
    uint64_t unsaid;  // how often what was said did not reach the store
} ScrapeLines;

void scrape_lines_begin(ScrapeLines *lines, HashKey hash_key);
void scrape_lines_end(ScrapeLines *lines);
// Its number, with one reference more.
uint32_t scrape_lines_take(ScrapeLines *lines, Text raw, ExpositionKind kind, MetadataType type,
                           Text family, Text text);
uint32_t scrape_lines_find(const ScrapeLines *lines, Text raw);  // UINT32_MAX: unknown
void scrape_lines_give(ScrapeLines *lines, uint32_t number);
// A write failed, maybe with metadata in it: all is said once more, by the next page of each
// target.
void scrape_lines_unsaid(ScrapeLines *lines);

// ---- Rows ----

typedef enum CacheKind { CACHE_SERIES, CACHE_DROPPED, CACHE_LINE } CacheKind;

typedef struct CacheEntry {
    uint32_t at;  // its bytes: raw suffix, labels suffix
    uint16_t raw_len, raw_shared;
    union {
        struct {
            uint16_t labels_len, labels_shared;  // SERIES
        };
        uint32_t line;  // LINE
    };
    uint8_t kind;
    bool live;  // had a sample in the last scrape whose end must be marked
} CacheEntry;
_Static_assert(sizeof(CacheEntry) == 16, "a million of them are kept");

// Raw bytes and labels of a row are at most this long.
enum { CACHE_TEXT_BYTES_MAX = UINT16_MAX };

typedef struct ScrapeCache {
    CacheEntry *entries;
    uint32_t count;
    uint8_t *bytes;
    size_t byte_count;
    uint64_t unsaid;  // as in ScrapeLines when its lines were last said
} ScrapeCache;

void scrape_cache_free(ScrapeCache *cache, ScrapeLines *lines);
static inline int64_t scrape_cache_bytes(const ScrapeCache *cache) {
    return (int64_t)(cache->count * sizeof(CacheEntry) + cache->byte_count);
}

// Reading: in order is cheap, anywhere costs up to 31 rows more. `raw` and `labels` are those of
// the row sought last (labels only if it is SERIES). Keeps its memory from cache to cache.
typedef struct CacheCursor {
    const ScrapeCache *cache;
    uint32_t next;
    Builder raw, labels;
} CacheCursor;
void cache_cursor_begin(CacheCursor *cursor, const ScrapeCache *cache);
const CacheEntry *cache_cursor_seek(CacheCursor *cursor, uint32_t index);
void cache_cursor_free(CacheCursor *cursor);

// Making a new one.
typedef struct CacheWriter {
    ARRAY(CacheEntry) entries;
    Builder bytes, raw, labels;
} CacheWriter;
void cache_writer_begin(CacheWriter *writer);
// The first `count` rows of `from`, as they are.
void cache_writer_prefix(CacheWriter *writer, const ScrapeCache *from, uint32_t count,
                         ScrapeLines *lines);
void cache_writer_series(CacheWriter *writer, Text raw, Labels labels, bool live);
void cache_writer_dropped(CacheWriter *writer, Text raw);
void cache_writer_line(CacheWriter *writer, uint32_t line);  // takes over the reference
void cache_writer_finish(CacheWriter *writer, ScrapeCache *out);
void cache_writer_drop(CacheWriter *writer, ScrapeLines *lines);  // what was begun is forgotten
void cache_writer_free(CacheWriter *writer);

// Finding a row by its raw bytes when the order has changed: made for one cache when first needed.
typedef struct CacheIndex {
    struct {
        uint32_t hash, row;  // row UINT32_MAX: free
    } * slots;
    size_t slot_count, capacity;
    CacheCursor look;
    HashKey hash_key;
    bool made;
} CacheIndex;
void cache_index_begin(CacheIndex *index, const ScrapeCache *cache, HashKey hash_key);
// The row, sought with index->look; UINT32_MAX when there is none.
uint32_t cache_index_find(CacheIndex *index, Text raw);
void cache_index_free(CacheIndex *index);
