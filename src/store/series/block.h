// A block: immutable samples of many series within one UTC day, one object, readable by range.
//
// Symbols, label sets, postings, chunk directory with summaries, pages of packed columns (clocks
// shared between series), native histograms, exemplars, metadata, checksums per section and page,
// footer: FORMAT.md. A block is built by BlockWriter in one pass over series sorted by labels, and
// opened as a mapped view. Immutable and shared (ref/unref); any thread reads. Everything read from
// it is checked: bad bytes are CORRUPT, naming section and offset.
#pragma once

#include "base/progress.h"
#include "model/batch.h"
#include "model/matcher.h"
#include "store/objects/objects.h"
#include "store/series/chunk.h"

struct SeriesColumns;

// ---- Building ----
typedef struct BlockWriter BlockWriter;

BlockWriter *block_writer_begin(void);
// What is written from now on is kept as it is for long: it may cost more to pack. Any reader reads
// it, at the same price.
void block_writer_cold(BlockWriter *writer);
void block_writer_free(BlockWriter **writer);

// Series in rising labels_compare order, each once. Times rise strictly within a series.
must_use bool block_writer_series(BlockWriter *writer, Labels labels, Error *err);
// In pieces as they come; after an error the writer is only good for freeing.
must_use bool block_writer_samples(BlockWriter *writer, const int64_t *times, const double *values,
                                   size_t count, Error *err);
// The same with their starts, where the columns have any.
must_use bool block_writer_columns(BlockWriter *writer, const struct SeriesColumns *columns,
                                   Error *err);
must_use bool block_writer_histogram(BlockWriter *writer, int64_t time_ms, Bytes wire, Error *err);
must_use bool block_writer_exemplar(BlockWriter *writer, int64_t time_ms, double value,
                                    Labels labels, Error *err);
// The block's interval reaches at least this far, whatever its samples do: one of metadata alone
// has a time too.
void block_writer_covers(BlockWriter *writer, int64_t min_ms, int64_t max_ms);
// It becomes a block of a tier, of windows of `tier_ms` (tier.h): its times say more than when, so
// that they are not those of samples. What its rows stand for lies between the other two times.
void block_writer_tier(BlockWriter *writer, int64_t tier_ms, int64_t min_ms, int64_t max_ms);
// What comes next of this series begins a new chunk.
must_use bool block_writer_cut(BlockWriter *writer, Error *err);
must_use bool block_writer_metadata(BlockWriter *writer, const BatchMetadata *metadata, Error *err);
// The whole object, ready for objects->put; with a sink, what did not go there. The writer is used
// up.
must_use bool block_writer_finish(BlockWriter *writer, Builder *out, Error *err);

// Where the object goes while it is written, so that memory holds its tables and not its columns:
// pieces of `bytes` or a little more, in order. `read` gives bytes that went there.
typedef struct BlockSink {
    void *context;
    size_t bytes;
    bool (*add)(void *context, Bytes piece, Error *err);
    bool (*read)(void *context, int64_t offset, void *into, size_t len, Error *err);
} BlockSink;
// Before the first series.
void block_writer_into(BlockWriter *writer, BlockSink sink);
// What it holds, and will hold until it is finished.
int64_t block_writer_memory(const BlockWriter *writer);

// ---- Reading ----
typedef struct Block Block;

typedef struct BlockFacts {
    int64_t min_ms, max_ms;
    uint64_t series, samples, chunks, histograms, exemplars;
    int64_t bytes;
    int64_t tier_ms;  // 0: samples as they came; else windows of a tier, as long as this
    bool near;        // it was written cold, and some column was better for it
} BlockFacts;

// Opens an object that the manifest states. Footer and label names are verified here, other
// sections when first touched (64 KiB at a time), pages whenever they are read from it: a page that
// is kept (below) was verified then. What is resident is small: names, a byte per 64 KiB, and at
// most 256 KiB of label values.
must_use bool block_open(Objects *objects, Text name, int64_t bytes, Block **out, Error *err);
Block *block_ref(Block *block);
// Called once, before others have the block: shared cursors find its pages and what was decoded of
// them in these caches, and leave them there (page_cache.h, kept_rows.h). NULL: they do not. The
// caches outlive the block.
struct PageCache;
struct RowCache;
void block_keep(Block *block, struct PageCache *pages, struct RowCache *rows);
// Before so many series, whose numbers rise, are read one after the other by shared cursors: what
// is kept of them is brought near.
enum { BLOCK_AHEAD = 16 };
void block_read_ahead(const Block *block, const uint32_t *series, size_t count, int64_t from_ms);
void block_unref(Block **block);  // NULL is fine
BlockFacts block_facts(const Block *block);

// Series are numbered 0 … series-1 in labels order.
typedef struct BlockSeriesSet {
    uint32_t *at;  // rising
    size_t count;
} BlockSeriesSet;
must_use bool block_select(const Block *block, Matchers matchers, Arena *arena, BlockSeriesSet *out,
                           Error *err);
must_use bool block_labels(const Block *block, uint32_t series, Arena *arena, Labels *out,
                           Error *err);
// The label pairs of series as numbers, for who looks at many. Pairs of one block are the same
// exactly when their numbers are; a name is one of `block_names`.
typedef struct BlockPair {
    uint32_t name, pair;
} BlockPair;
Texts block_names(const Block *block);  // sorted; live as long as the block
enum { BLOCK_PAIRS_MAX = 64 };
typedef struct BlockRows BlockRows;  // remembers where it stands: ask in rising order
BlockRows *block_rows_open(const Block *block, Arena *arena);
must_use bool block_rows_pairs(BlockRows *rows, uint32_t series, BlockPair out[BLOCK_PAIRS_MAX],
                               size_t *count, Error *err);
must_use bool block_pairs_labels(const Block *block, const BlockPair *pairs, size_t count,
                                 Arena *arena, Labels *out, Error *err);
must_use bool block_label_names(const Block *block, Arena *arena, Texts *out,
                                Error *err);  // sorted
must_use bool block_label_values(const Block *block, Text name, Arena *arena, Texts *out,
                                 Error *err);  // sorted
// Of the series of a set alone, sorted. `matching` is that of block_select's set, and quicker where
// the name has few values.
must_use bool block_names_of(const Block *block, const BlockSeriesSet *set, Arena *arena,
                             Texts *out, Error *err);
must_use bool block_values_of(const Block *block, Text name, const BlockSeriesSet *set,
                              Arena *arena, Texts *out, Error *err);
must_use bool block_values_matching(const Block *block, Text name, Matchers matchers, Arena *arena,
                                    Texts *out, Error *err);

// Decodes samples with from <= time <= to; a BlockCursor keeps the last decoded page. One thread
// per cursor.
typedef struct BlockCursor BlockCursor;
BlockCursor *block_cursor_open(const Block *block);  // always reads the block itself
BlockCursor *block_cursor_open_shared(const Block *block);
void block_cursor_keep_rows(BlockCursor *cursor);  // of a shared one: finds and leaves rows too
struct SeriesMeter;
void block_cursor_meter(BlockCursor *cursor, struct SeriesMeter *meter);  // counts what it reads
void block_cursor_close(BlockCursor **cursor);
// Appends to the columns (see series.h); times rise. Any page that does not verify is CORRUPT.
must_use bool block_read(BlockCursor *cursor, uint32_t series, int64_t from_ms, int64_t to_ms,
                         struct SeriesColumns *out, Error *err);
// The same for windows (series_read_windows in series.h): a chunk that tells all that is wished is
// not decoded, unless another source of the series may have samples in its midst. What `others`
// points to rises (times) or is in any order (spans; empty ones have first_ms > last_ms). `bound`
// is a value that a single window is known to hold: a chunk that is cut by its edges and does not
// pass the bound is left out. NaN: none is known.
typedef struct BlockSpan {
    int64_t first_ms, last_ms;
} BlockSpan;
typedef struct BlockOthers {
    const int64_t *times;
    size_t time_count;
    const BlockSpan *spans;
    size_t span_count;
    double bound;
} BlockOthers;
struct SeriesWindows;
must_use bool block_read_windows(BlockCursor *cursor, uint32_t series,
                                 const struct SeriesWindows *windows, const BlockOthers *others,
                                 struct SeriesColumns *out, Error *err);
// Raises others->bound (lowers it, for the least value) to what chunks that no edge cuts say.
must_use bool block_bound(BlockCursor *cursor, uint32_t series, const struct SeriesWindows *windows,
                          BlockOthers *others, Error *err);
// From the first to the last sample of a series.
must_use bool block_span(BlockCursor *cursor, uint32_t series, BlockSpan *out, Error *err);
// What each chunk of a series says without being decoded (small ones are decoded for it), in time
// order.
must_use bool block_each_chunk(BlockCursor *cursor, uint32_t series,
                               bool (*each)(void *context, const ChunkSummary *summary, Error *err),
                               void *context, Error *err);
// Each native histogram or exemplar of a series in the interval, in time order.
must_use bool block_each_histogram(BlockCursor *cursor, uint32_t series, int64_t from_ms,
                                   int64_t to_ms,
                                   bool (*each)(void *context, int64_t time_ms, Bytes wire,
                                                Error *err),
                                   void *context, Error *err);
// The time alone of each, which unpacks nothing else.
must_use bool block_each_histogram_time(BlockCursor *cursor, uint32_t series, int64_t from_ms,
                                        int64_t to_ms, void (*each)(void *context, int64_t time_ms),
                                        void *context, Error *err);
must_use bool block_each_exemplar(BlockCursor *cursor, uint32_t series, int64_t from_ms,
                                  int64_t to_ms,
                                  bool (*each)(void *context, int64_t time_ms, double value,
                                               Labels labels, Error *err),
                                  void *context, Error *err);
must_use bool block_each_metadata(const Block *block,
                                  bool (*each)(void *context, const BatchMetadata *metadata,
                                               Error *err),
                                  void *context, Error *err);

// Verifies every checksum, page by page, from `*offset` on, at most `bytes_max`; *offset is the
// block's size when done.
must_use bool block_verify(const Block *block, int64_t *offset, int64_t bytes_max, Error *err);
must_use bool block_inspect(const Block *block, bool verify_all, Progress *progress, Builder *out,
                            Error *err);
