// Looking at a block as a whole: every checksum in the order of its bytes, and a description for
// people.

#include "base/assert.h"
#include "codec/crc32c.h"
#include "store/series/block_inside.h"
#include "store/series/series.h"

static const int64_t VERIFY_STEP_BYTES = 4 * MB;

// ---- Verifying ----

static bool page_at(const Block *block, int64_t offset, uint32_t *page, PageRow *row, Error *err) {
    uint32_t low = 0, high = block->pages;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        TRY(page_row(block, middle, row, err));
        if (row->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    *page = low;
    if (low < block->pages) {
        TRY(page_row(block, low, row, err));
        if (row->offset == offset) return true;
    }
    return error_set(err, ERROR_CORRUPT, "block %.*s: no page begins at byte %lld",
                     TEXT_ARG(block->name), (long long)offset);
}

// Sections are verified anew each time: what was good when opened may have rotted since.
static bool section_verify(const Block *block, SectionKind kind, int64_t *offset, Error *err) {
    const Section *section = &block->sections[kind];
    size_t extent = (size_t)(*offset - section->offset) / EXTENT_BYTES;
    int64_t from = (int64_t)extent * EXTENT_BYTES;
    int64_t len = MIN(section->len - from, (int64_t)EXTENT_BYTES);
    uint32_t stated;
    memcpy(&stated, section->checksums.at + extent * sizeof stated, sizeof stated);
    if (crc32c(0, (Bytes){block->bytes.at + section->offset + from, (size_t)len}) != stated) {
        return block_corrupt(block, kind, from, "the checksum does not fit", err);
    }
    *offset = section->offset + from + len;
    return true;
}

static bool tail_verify(const Block *block, Error *err) {
    Bytes trailer = {block->bytes.at + block->bytes.len - BLOCK_TRAILER_BYTES, BLOCK_TRAILER_BYTES};
    Reader reader = reader_begin(trailer);
    bool good = reader_u64(&reader) == block->bytes.len;
    uint32_t tail_len = reader_u32(&reader), stated = reader_u32(&reader);
    good &= reader_u32(&reader) == block->version &&
            reader_u32(&reader) == crc32c(0, (Bytes){trailer.at, 20});
    good =
        good &&
        block->tail_offset + (int64_t)tail_len == (int64_t)block->bytes.len - BLOCK_TRAILER_BYTES &&
        crc32c(0, (Bytes){block->bytes.at + block->tail_offset, tail_len}) == stated &&
        memcmp(trailer.at + 24, block_magic_tail, 8) == 0;
    return good || block_corrupt(block, SECTION_COUNT, block->tail_offset,
                                 "the checksum does not fit", err);
}

static bool step_verify(const Block *block, int64_t *offset, Error *err) {
    if (*offset < BLOCK_HEAD_BYTES) {
        if (memcmp(block->bytes.at, block_magic_head, BLOCK_HEAD_BYTES) != 0)
            return block_corrupt(block, SECTION_COUNT, 0, "it does not begin as a block", err);
        *offset = BLOCK_HEAD_BYTES;
        return true;
    }
    if (*offset < block->sections[0].offset) {
        uint32_t page;
        PageRow row;
        TRY(page_at(block, *offset, &page, &row, err));
        TRY(page_verify(block, page, &row, err));
        *offset += row.stored;
        return true;
    }
    for (SectionKind kind = 0; kind < SECTION_COUNT; kind++) {
        const Section *section = &block->sections[kind];
        if (*offset < section->offset + section->len)
            return section_verify(block, kind, offset, err);
    }
    TRY(tail_verify(block, err));
    *offset = (int64_t)block->bytes.len;
    return true;
}

bool block_verify(const Block *block, int64_t *offset, int64_t bytes_max, Error *err) {
    int64_t begun = *offset;
    while (*offset < (int64_t)block->bytes.len && *offset - begun < bytes_max)
        TRY(step_verify(block, offset, err));
    return true;
}

// ---- Describing ----

static void share_print(Builder *out, const char *name, int64_t bytes, const BlockFacts *facts) {
    double samples = (double)MAX(facts->samples, (uint64_t)1);
    builder_addf(out, "  %-10s %12lld bytes  %8.4f per sample", name, (long long)bytes,
                 (double)bytes / samples);
    if (facts->series > 0)
        builder_addf(out, "  %8.1f per series", (double)bytes / (double)facts->series);
    builder_add_char(out, '\n');
}

// Reads everything there is; the sums must be those of the footer.
// One half of the way is the checksums, the other the samples.
static bool whole_read(const Block *block, Progress *progress, Builder *out, Error *err) {
    int64_t bytes = (int64_t)block->bytes.len;
    for (int64_t offset = 0; offset < bytes;) {
        TRY(block_verify(block, &offset, VERIFY_STEP_BYTES, err));
        progress_tell(progress, offset / 2, bytes);
    }
    BlockCursor *cursor = block_cursor_open(block);
    SeriesColumns columns = {0};
    uint64_t samples = 0, histograms = 0;
    bool good = true;
    Arena arena = {0};
    for (uint32_t series = 0; good && series < block->facts.series; series++) {
        Labels labels;
        columns.count = columns.histograms = 0;
        good = block_labels(block, series, &arena, &labels, err) &&
               block_read(cursor, series, INT64_MIN, INT64_MAX, &columns, err);
        samples += columns.count;
        histograms += columns.histograms;
        arena_clear(&arena);
        progress_tell(
            progress,
            bytes / 2 + (int64_t)((double)bytes / 2 * series / (double)block->facts.series), bytes);
    }
    series_columns_free(&columns);
    block_cursor_close(&cursor);
    arena_free(&arena);
    if (!good) return false;
    if (samples != block->facts.samples || histograms != block->facts.histograms) {
        return error_set(
            err, ERROR_CORRUPT,
            "block %.*s holds %llu samples and %llu histograms, its footer states %llu and %llu",
            TEXT_ARG(block->name), (unsigned long long)samples, (unsigned long long)histograms,
            (unsigned long long)block->facts.samples, (unsigned long long)block->facts.histograms);
    }
    builder_add(out, TEXT("verified: every checksum, every sample\n"));
    return true;
}

bool block_inspect(const Block *block, bool verify_all, Progress *progress, Builder *out,
                   Error *err) {
    const BlockFacts *facts = &block->facts;
    builder_addf(out, "block %.*s, version %u, %lld bytes\n", TEXT_ARG(block->name), block->version,
                 (long long)facts->bytes);
    builder_addf(out, "times %lld to %lld ms\n", (long long)facts->min_ms,
                 (long long)facts->max_ms);
    if (facts->tier_ms != 0)
        builder_addf(out, "a tier: its samples are the columns of windows of %lld ms\n",
                     (long long)facts->tier_ms);
    builder_addf(out, "%llu series, %llu samples in %llu chunks, %llu histograms, %llu exemplars\n",
                 (unsigned long long)facts->series, (unsigned long long)facts->samples,
                 (unsigned long long)facts->chunks, (unsigned long long)facts->histograms,
                 (unsigned long long)facts->exemplars);
    builder_addf(
        out, "%zu label names, %u label pairs, %zu shapes, %u clocks, %u pages (%u of metadata)\n",
        block->name_count, block->pairs, block->shape_count, block->clocks, block->pages,
        block->metadata_pages);
    int64_t pages_raw = 0;
    for (uint32_t page = 0; page < block->pages; page++) {
        PageRow row;
        TRY(page_row(block, page, &row, err));
        pages_raw += row.raw;
    }
    share_print(out, "columns", block->sections[0].offset - BLOCK_HEAD_BYTES, facts);
    share_print(out, "(raw)", pages_raw, facts);
    for (SectionKind kind = 0; kind < SECTION_COUNT; kind++)
        share_print(out, section_names[kind], block->sections[kind].len, facts);
    share_print(out, "footer", (int64_t)block->bytes.len - block->tail_offset, facts);
    share_print(out, "all", facts->bytes, facts);
    if (verify_all) TRY(whole_read(block, progress, out, err));
    return true;
}
