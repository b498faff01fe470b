// The files of a block brought together: the index leads, chunks follow, tombstones take away.

#include "ingest/backfill/tsdb_block.h"

#include <endian.h>

#include "base/limits.h"
#include "codec/crc32c.h"
#include "codec/json.h"
#include "codec/reader.h"
#include "ingest/backfill/tsdb_chunk.h"
#include "ingest/backfill/tsdb_index.h"

enum {
    CHUNKS_MAGIC = 0x85BD40DD,
    CHUNKS_HEAD_BYTES = 8,
    TOMBSTONES_MAGIC = 0x0130BA30,
    TOMBSTONES_HEAD_BYTES = 5,
    CRC_BYTES = 4,
};
static const int64_t META_BYTES_MAX = 4 * MB;

typedef struct Mapped {
    Text path;
    File *file;
    Bytes bytes;
} Mapped;

typedef struct Stone {
    uint64_t reference;
    int64_t min_ms, max_ms;  // both deleted too
} Stone;

struct TsdbBlock {
    Disk *disk;
    Text folder;
    Arena arena;  // paths, facts
    TsdbBlockFacts facts;
    int64_t meta_version;
    Mapped index_file;
    TsdbIndex index;
    ARRAY(Mapped) chunks;
    ARRAY(Stone) stones;  // sorted by reference
    // Where it is.
    uint64_t at, series, samples;
    bool has_series, skipped;
    TsdbSeries now;
    size_t chunk;   // the next one of `now`
    Arena scratch;  // of the row
    Labels labels;
    Arena labels_arena;
    TsdbSamples row;
    TsdbStarts starts;
    TsdbHistograms histograms;
};

// ---- Files ----

static bool map_file(TsdbBlock *block, Text path, Mapped *out, Error *err) {
    Disk *disk = block->disk;
    out->path = path;
    int64_t bytes;
    TRY(disk->open(disk, path, FILE_READ, &out->file, err));
    return disk->size(disk, out->file, &bytes, err) &&
           (bytes == 0 || disk->map(disk, out->file, bytes, &out->bytes, err));
}

static void unmap_file(TsdbBlock *block, Mapped *mapped) {
    if (mapped->bytes.at != NULL) block->disk->unmap(block->disk, &mapped->bytes);
    block->disk->close(block->disk, &mapped->file);
}

static Text path_of(TsdbBlock *block, const char *name) {
    return text_format(&block->arena, "%.*s/%s", TEXT_ARG(block->folder), name);
}

static bool corrupt(Text path, uint64_t offset, Error *err, const char *what) {
    return error_set(err, ERROR_CORRUPT, "%.*s, offset %llu: %s", TEXT_ARG(path),
                     (unsigned long long)offset, what);
}

bool tsdb_block_is(Disk *disk, Text folder, bool *out, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    return disk->exists(disk, text_format(&arena, "%.*s/meta.json", TEXT_ARG(folder)), out, err);
}

// A member that must be a whole number; absent ones stay as they are.
static bool number_of(const JsonValue *object, Text key, int64_t *out) {
    const JsonValue *value = json_get(object, key);
    return value == NULL || json_whole_i64(value, out);
}

static bool read_meta(TsdbBlock *block, Error *err) {
    Text path = path_of(block, "meta.json");
    Bytes content;
    TRY(disk_read_whole(block->disk, path, META_BYTES_MAX, &block->arena, &content, err));
    JsonValue *root;
    if (!json_parse(bytes_text(content), &block->arena, &root, err)) {
        err->code = ERROR_CORRUPT;
        return error_context(err, "%.*s", TEXT_ARG(path));
    }
    const JsonValue *ulid = json_get(root, TEXT("ulid")), *stats = json_get(root, TEXT("stats"));
    int64_t series = 0, samples = 0;
    bool good = root->kind == JSON_OBJECT_BEGIN && ulid != NULL && ulid->kind == JSON_STRING &&
                json_get(root, TEXT("minTime")) != NULL &&
                number_of(root, TEXT("version"), &block->meta_version) &&
                number_of(root, TEXT("minTime"), &block->facts.min_ms) &&
                number_of(root, TEXT("maxTime"), &block->facts.max_ms) &&
                number_of(stats, TEXT("numSeries"), &series) &&
                number_of(stats, TEXT("numSamples"), &samples) && series >= 0 && samples >= 0;
    if (!good)
        return error_set(err, ERROR_CORRUPT,
                         "%.*s: ulid, version, minTime, maxTime and stats are not as Prometheus "
                         "writes them",
                         TEXT_ARG(path));
    if (block->meta_version != 1 && block->meta_version != 2)
        return error_set(err, ERROR_UNSUPPORTED, "%.*s: version %lld is not known (1 is)",
                         TEXT_ARG(path), (long long)block->meta_version);
    block->facts.ulid = ulid->text;
    block->facts.series = (uint64_t)series;
    block->facts.samples = (uint64_t)samples;
    return true;
}

// All files of chunks, 000001 and on. A block without series has none.
static bool open_chunks(TsdbBlock *block, Error *err) {
    Text folder = path_of(block, "chunks");
    bool there;
    TRY(block->disk->exists(block->disk, folder, &there, err));
    if (!there) return true;
    for (size_t number = 1;; number++) {
        Text path = text_format(&block->arena, "%.*s/%06zu", TEXT_ARG(folder), number);
        TRY(block->disk->exists(block->disk, path, &there, err));
        if (!there) return true;
        Mapped *mapped = array_add(&block->chunks);
        TRY(map_file(block, path, mapped, err));
        Reader head = reader_begin(mapped->bytes);
        uint32_t magic = be32toh(reader_u32(&head));
        uint8_t version = reader_u8(&head);
        if (head.failed || magic != CHUNKS_MAGIC)
            return corrupt(path, 0, err, "it does not begin as a file of chunks");
        if (version != 1)
            return error_set(err, ERROR_UNSUPPORTED, "%.*s: version %u is not known (1 is)",
                             TEXT_ARG(path), version);
    }
}

static int by_reference(const void *a, const void *b) {
    const Stone *left = a, *right = b;
    if (left->reference != right->reference) return left->reference < right->reference ? -1 : 1;
    return 0;
}

static bool read_stones(TsdbBlock *block, Error *err) {
    Text path = path_of(block, "tombstones");
    bool there;
    TRY(block->disk->exists(block->disk, path, &there, err));
    if (!there) return true;
    Bytes content;
    TRY(disk_read_whole(block->disk, path, LIMIT_TSDB_TOMBSTONES_BYTES, &block->arena, &content,
                        err));
    if (content.len < TOMBSTONES_HEAD_BYTES + CRC_BYTES)
        return corrupt(path, content.len, err, "the file is shorter than one without tombstones");
    Reader reader = reader_begin((Bytes){content.at, content.len - CRC_BYTES});
    if (be32toh(reader_u32(&reader)) != TOMBSTONES_MAGIC)
        return corrupt(path, 0, err, "it does not begin as a file of tombstones");
    if (reader_u8(&reader) != 1)
        return error_set(err, ERROR_UNSUPPORTED, "%.*s: only version 1 is known", TEXT_ARG(path));
    Reader tail = reader_begin((Bytes){content.at + content.len - CRC_BYTES, CRC_BYTES});
    if (crc32c(0, (Bytes){reader.at, reader_left(&reader)}) != be32toh(reader_u32(&tail)))
        return corrupt(path, content.len - CRC_BYTES, err, "the checksum does not fit");
    while (reader_left(&reader) > 0) {
        uint64_t at = (uint64_t)(reader.at - content.at);
        Stone stone = {.reference = reader_varint(&reader)};
        stone.min_ms = reader_zigzag(&reader);
        stone.max_ms = reader_zigzag(&reader);
        if (reader.failed) return corrupt(path, at, err, "the last tombstone is cut off");
        *array_add(&block->stones) = stone;
    }
    if (block->stones.count > 0)
        qsort(block->stones.at, block->stones.count, sizeof(Stone), by_reference);
    return true;
}

static bool open_files(TsdbBlock *block, Error *err) {
    TRY(read_meta(block, err));
    Text path = path_of(block, "index");
    TRY(map_file(block, path, &block->index_file, err));
    if (!tsdb_index_open(block->index_file.bytes, block->meta_version == 2, &block->index, err))
        return error_context(err, "%.*s", TEXT_ARG(path));
    block->at = block->index.series_at;
    return open_chunks(block, err) && read_stones(block, err);
}

bool tsdb_block_open(Disk *disk, Text folder, TsdbBlock **out, Error *err) {
    AUTO(tsdb_block_close) TsdbBlock *block = memory_new(TsdbBlock);
    block->disk = disk;
    block->folder = text_copy(folder, &block->arena);
    TRY(open_files(block, err));
    *out = TAKE(block);
    return true;
}

void tsdb_block_close(TsdbBlock **closed) {
    TsdbBlock *block = *closed;
    *closed = NULL;
    if (block == NULL) return;
    tsdb_index_close(&block->index);
    unmap_file(block, &block->index_file);
    for (size_t i = 0; i < block->chunks.count; i++) unmap_file(block, &block->chunks.at[i]);
    array_free(&block->chunks);
    array_free(&block->stones);
    tsdb_series_free(&block->now);
    array_free(&block->row);
    array_free(&block->starts);
    array_free(&block->histograms);
    arena_free(&block->scratch);
    arena_free(&block->labels_arena);
    arena_free(&block->arena);
    memory_free(block);
}

TsdbBlockFacts tsdb_block_facts(const TsdbBlock *block) {
    return block->facts;
}

uint64_t tsdb_block_series(const TsdbBlock *block) {
    return block->has_series ? block->series - 1 : block->series;
}

// ---- Rows ----

static bool read_chunk(TsdbBlock *block, const TsdbChunkPlace *place, Error *err) {
    if (place->file >= block->chunks.count) {
        return error_set(err, ERROR_CORRUPT,
                         "%.*s, offset %llu: a series has a chunk in file %06llu, which is missing",
                         TEXT_ARG(block->index_file.path), (unsigned long long)block->now.offset,
                         (unsigned long long)place->file + 1);
    }
    const Mapped *file = &block->chunks.at[place->file];
    if (place->offset < CHUNKS_HEAD_BYTES || place->offset >= file->bytes.len)
        return corrupt(file->path, place->offset, err,
                       "a chunk of the index lies outside the file");
    Reader reader = reader_begin(
        (Bytes){file->bytes.at + place->offset, file->bytes.len - (size_t)place->offset});
    uint64_t len = reader_varint(&reader);
    // The encoding is not counted, but it is covered by the checksum.
    Bytes content = len < UINT32_MAX ? reader_take(&reader, len + 1) : BYTES_NONE;
    uint32_t stated = be32toh(reader_u32(&reader));
    if (reader.failed || content.len == 0)
        return corrupt(file->path, place->offset, err, "a chunk is longer than the file");
    if (crc32c(0, content) != stated)
        return corrupt(file->path, place->offset, err, "the checksum of a chunk does not fit");
    size_t before = block->row.count + block->histograms.count;
    if (!tsdb_chunk_decode(content.at[0], (Bytes){content.at + 1, content.len - 1}, &block->row,
                           &block->starts, &block->histograms, &block->scratch, err)) {
        return error_context(err, "%.*s, offset %llu", TEXT_ARG(file->path),
                             (unsigned long long)place->offset);
    }
    block->samples += block->row.count + block->histograms.count - before;
    return true;
}

static bool is_deleted(const Stone *stones, size_t count, int64_t time_ms) {
    for (size_t i = 0; i < count; i++) {
        if (time_ms >= stones[i].min_ms && time_ms <= stones[i].max_ms) return true;
    }
    return false;
}

// Leaves out of the row what the tombstones of its series cover.
static void bury(TsdbBlock *block) {
    if (block->stones.count == 0) return;
    const Stone *all = block->stones.at;
    size_t low = 0, high = block->stones.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (all[middle].reference < block->now.reference) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t count = 0;
    while (low + count < block->stones.count && all[low + count].reference == block->now.reference)
        count++;
    if (count == 0) return;
    size_t kept = 0;
    for (size_t i = 0; i < block->row.count; i++) {
        if (is_deleted(all + low, count, block->row.at[i].time_ms)) continue;
        TsdbStarts *starts = &block->starts;
        if (kept < starts->count) starts->at[kept] = i < starts->count ? starts->at[i] : 0;
        block->row.at[kept++] = block->row.at[i];
    }
    block->row.count = kept;
    block->starts.count = MIN(block->starts.count, kept);
    kept = 0;
    for (size_t i = 0; i < block->histograms.count; i++) {
        if (!is_deleted(all + low, count, block->histograms.at[i].time_ms))
            block->histograms.at[kept++] = block->histograms.at[i];
    }
    block->histograms.count = kept;
}

static bool take_series(TsdbBlock *block, bool *found, Error *err) {
    TRY(tsdb_index_next(&block->index, block->series, &block->at, &block->now, found, err));
    if (!*found) return true;
    arena_clear(&block->labels_arena);
    if (!labels_make(block->now.labels.at, block->now.labels.count, &block->labels_arena,
                     &block->labels, err)) {
        err->code = ERROR_CORRUPT;
        return error_context(err, "offset %llu", (unsigned long long)block->now.offset);
    }
    block->series++;
    block->has_series = true;
    block->chunk = 0;
    return true;
}

// A block that lost series or samples without breaking a checksum is found by its own numbers.
static bool compare_sums(const TsdbBlock *block, Error *err) {
    const TsdbBlockFacts *facts = &block->facts;
    bool same = (facts->series == 0 || facts->series == block->series) &&
                (facts->samples == 0 || facts->samples == block->samples);
    if (block->skipped || same) return true;
    return error_set(err, ERROR_CORRUPT,
                     "%.*s/meta.json states %llu series and %llu samples, the block holds %llu and "
                     "%llu",
                     TEXT_ARG(block->folder), (unsigned long long)facts->series,
                     (unsigned long long)facts->samples, (unsigned long long)block->series,
                     (unsigned long long)block->samples);
}

bool tsdb_block_next(TsdbBlock *block, BackfillRow *out, bool *found, Error *err) {
    *found = true;
    if (!block->has_series || block->chunk == block->now.chunks.count) {
        block->has_series = false;
        if (!take_series(block, found, err))
            return error_context(err, "%.*s", TEXT_ARG(block->index_file.path));
        if (!*found) return compare_sums(block, err);
    }
    array_clear(&block->row);
    array_clear(&block->starts);
    array_clear(&block->histograms);
    arena_clear(&block->scratch);
    while (block->chunk < block->now.chunks.count &&
           block->row.count + block->histograms.count < BACKFILL_ROW_SAMPLES)
        TRY(read_chunk(block, &block->now.chunks.at[block->chunk++], err));
    bury(block);
    *out = (BackfillRow){.labels = block->labels,
                         .samples = {block->row.at, block->row.count},
                         .starts = block->starts.at,
                         .start_count = block->starts.count,
                         .histograms = block->histograms.at,
                         .histogram_count = block->histograms.count};
    return true;
}

bool tsdb_block_skip(TsdbBlock *block, uint64_t series, Error *err) {
    while (block->series < series) {
        bool found;
        if (!tsdb_index_next(&block->index, block->series, &block->at, NULL, &found, err))
            return error_context(err, "%.*s", TEXT_ARG(block->index_file.path));
        if (!found)
            return error_set(err, ERROR_NOT_FOUND, "%.*s has %llu series, not %llu",
                             TEXT_ARG(block->folder), (unsigned long long)block->series,
                             (unsigned long long)series);
        block->series++;
        block->skipped = true;
    }
    return true;
}
