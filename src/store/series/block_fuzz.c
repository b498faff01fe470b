// A valid block (one of two) with some bytes overwritten, its checksums made right again where they
// lie in the footer: opening and reading it either works or says CORRUPT; it never crashes. And any
// bytes at all are refused.

#include "codec/crc32c.h"
#include "store/series/block_fixture.h"
#include "store/series/block_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// As windows see it: what summaries say, and what is decoded because they say nothing.
static bool read_windows(const Block *block, Error *err) {
    BlockFacts facts = block_facts(block);
    SeriesColumns columns = {0};
    BlockCursor *cursor = block_cursor_open(block);
    bool good = true;
    for (uint32_t i = 0; good && i < facts.series * 8; i++) {
        columns.count = columns.histograms = 0;
        SeriesWindows windows = {.first_end_ms = facts.max_ms / 2,
                                 .step_ms = i % 2 == 0 ? 0 : facts.max_ms / 8,
                                 .range_ms = i % 3 == 0 ? 1 : facts.max_ms / 2,
                                 .count = 1 + i % 4,
                                 .wish = (SeriesWish)(SERIES_GREATEST + i % 4)};
        if (i % 5 == 0) {
            windows.first_end_ms = facts.max_ms;
            windows.count = 1;
        }
        BlockSpan span;
        BlockOthers others = {.spans = &span, .span_count = i % 7 == 0};
        good = facts.max_ms < 0 ||  // the query sees to it that edges do not pass the ends of time
               (block_span(cursor, i / 8, &span, err) &&
                (i % 4 > 1 || block_bound(cursor, i / 8, &windows, &others, err)) &&
                block_read_windows(cursor, i / 8, &windows, &others, &columns, err));
    }
    block_cursor_close(&cursor);
    series_columns_free(&columns);
    return good;
}

static void read_whole(Bytes bytes) {
    MemoryObject memory;
    memory_object_begin(&memory, bytes);
    Block *block = NULL;
    Builder dump = {0};
    Error err = {0};
    if (!memory_block_open(&memory, &block, &err) || !fixture_dump(block, &dump, &err) ||
        !read_windows(block, &err)) {
        assert(err.code == ERROR_CORRUPT || err.code == ERROR_NEWER_FORMAT);
    }
    block_unref(&block);
    memory_object_end(&memory);
    builder_free(&dump);
}

static uint32_t take_u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void put_crc(uint8_t *at, Bytes bytes) {
    uint32_t crc = crc32c(0, bytes);
    memcpy(at, &crc, sizeof crc);
}

// Checksums hide every damage from the code behind them; this makes them fit again: pages,
// sections, tail.
static void checksums_mend(Builder *block) {
    uint8_t *at = (uint8_t *)block->at, *trailer = at + block->len - BLOCK_TRAILER_BYTES;
    uint32_t tail_len = take_u32(trailer + 8);
    if (tail_len > block->len - BLOCK_TRAILER_BYTES || tail_len < 88) return;
    uint8_t *tail = trailer - tail_len, *section_row = tail + 88;
    uint64_t lens[SECTION_COUNT], total = 0;
    for (size_t i = 0; i < SECTION_COUNT; i++, section_row += 12) {
        if (section_row + 12 > trailer) return;
        memcpy(&lens[i], section_row, 8);
        // The block of the fixture has one extent per section.
        if (lens[i] == 0 || lens[i] > EXTENT_BYTES) return;
        total += lens[i];
    }
    if (total > (size_t)(tail - at)) return;
    uint8_t *section = tail - total;
    for (size_t page = 0; page + PAGE_ROW_BYTES <= lens[0]; page += PAGE_ROW_BYTES) {
        uint64_t offset;
        memcpy(&offset, section + page, 8);
        uint32_t stored = take_u32(section + page + 8);
        if (offset <= block->len && stored <= block->len - offset)
            put_crc(section + page + 16, (Bytes){at + offset, stored});
    }
    section_row = tail + 88;
    for (size_t i = 0; i < SECTION_COUNT; section += lens[i], i++, section_row += 12)
        put_crc(section_row + 8, (Bytes){section, lens[i]});
    put_crc(trailer + 12, (Bytes){tail, tail_len});
    put_crc(trailer + 20, (Bytes){trailer, 20});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_whole((Bytes){data, size});
    Builder block = {0};
    Error err;
    bool made = size % 2 == 0 ? fixture_golden(&block, &err) : fixture_golden_starts(&block, &err);
    assert(made);
    // Edits of four bytes: place (from the end), what to put there, and how.
    for (size_t i = 0; i + 4 <= size && i < 64; i += 4) {
        size_t place = (data[i] | (size_t)data[i + 1] << 8) % block.len;
        char *byte = &block.at[block.len - 1 - place];
        if (data[i + 3] % 3 == 0)
            *byte = (char)data[i + 2];
        else if (data[i + 3] % 3 == 1)
            *byte ^= (char)(1 << data[i + 2] % 8);
        else
            *byte = (char)(*byte + (int8_t)data[i + 2]);
    }
    checksums_mend(&block);
    read_whole(text_bytes(builder_text(&block)));
    builder_free(&block);
    return 0;
}
