// Opening a block: trailer, tail, names; and the checked way to every other byte of it.

#include <zstd.h>

#include "base/assert.h"
#include "codec/crc32c.h"
#include "store/series/block_inside.h"

enum {
    TAIL_NUMBERS = 11,
    GROUP_OFFSET_BYTES = 4,
    EXTENTS_AHEAD = 8,           // half a megabyte
    TAIL_GUESS_BYTES = 16 * KB,  // trailer and tail of all but huge blocks
};

bool block_corrupt(const Block *block, SectionKind section, int64_t at, const char *why,
                   Error *err) {
    int64_t offset = section < SECTION_COUNT ? block->sections[section].offset + at : at;
    return error_set(err, ERROR_CORRUPT, "block %.*s, %s at byte %lld: %s", TEXT_ARG(block->name),
                     section < SECTION_COUNT ? section_names[section] : "footer", (long long)offset,
                     why);
}

static bool footer_corrupt(const Block *block, const char *why, Error *err) {
    return block_corrupt(block, SECTION_COUNT, block->tail_offset, why, err);
}

// ---- Sections ----

static void will_need(const Block *block, int64_t offset, int64_t len) {
    Bytes part = {block->bytes.at + offset, (size_t)len};
    if (len > 0) block->objects->will_need(block->objects, part);
}

// An extent alone, or those behind it too where the one before was looked at: then somebody walks.
static void extent_will_need(const Block *block, const Section *section, size_t extent) {
    bool walks =
        extent > 0 && atomic_load_explicit(&section->seen[extent - 1], memory_order_relaxed);
    int64_t from = (int64_t)extent * EXTENT_BYTES;
    will_need(block, section->offset + from,
              MIN(section->len - from, (int64_t)(walks ? EXTENTS_AHEAD : 1) * EXTENT_BYTES));
}

static bool extent_verify(const Block *block, SectionKind kind, size_t extent, Error *err) {
    const Section *section = &block->sections[kind];
    extent_will_need(block, section, extent);
    int64_t from = (int64_t)extent * EXTENT_BYTES;
    Bytes bytes = {block->bytes.at + section->offset + from,
                   (size_t)MIN(section->len - from, (int64_t)EXTENT_BYTES)};
    uint32_t stated;
    memcpy(&stated, section->checksums.at + extent * sizeof stated, sizeof stated);
    if (crc32c(0, bytes) != stated)
        return block_corrupt(block, kind, from, "the checksum does not fit", err);
    atomic_store_explicit(&section->seen[extent], 1, memory_order_release);
    return true;
}

bool section_bytes(const Block *block, SectionKind kind, int64_t from, int64_t len, Bytes *out,
                   Error *err) {
    const Section *section = &block->sections[kind];
    if (from < 0 || len < 0 || from > section->len || len > section->len - from) {
        return block_corrupt(block, kind, from, "a place outside of the section is asked for", err);
    }
    *out = (Bytes){block->bytes.at + section->offset + from, (size_t)len};
    if (len == 0) return true;
    for (size_t extent = (size_t)from / EXTENT_BYTES;
         extent <= (size_t)(from + len - 1) / EXTENT_BYTES; extent++) {
        if (atomic_load_explicit(&section->seen[extent], memory_order_acquire)) continue;
        TRY(extent_verify(block, kind, extent, err));
    }
    return true;
}

uint64_t section_rows(const Block *block, SectionKind kind) {
    switch (kind) {
        case SECTION_PAIRS:
            return block->pairs;
        case SECTION_SERIES:
        case SECTION_CHUNKS:
            return block->facts.series;
        case SECTION_CLOCKS:
            return block->clocks;
        case SECTION_PAGES:
        case SECTION_NAMES:
        case SECTION_COUNT:
            break;
    }
    return 0;
}

static uint64_t groups_of(uint64_t rows) {
    return (rows + GROUP_ROWS - 1) / GROUP_ROWS;
}

bool section_group(const Block *block, SectionKind kind, uint64_t rows, uint64_t group, Bytes *out,
                   Error *err) {
    uint64_t groups = groups_of(rows);
    assert(group < groups);
    int64_t rows_len = block->sections[kind].len - (int64_t)(groups * GROUP_OFFSET_BYTES);
    int64_t at = rows_len + (int64_t)(group * GROUP_OFFSET_BYTES);
    bool last = group + 1 == groups;
    Bytes offsets;
    TRY(section_bytes(block, kind, at, last ? GROUP_OFFSET_BYTES : 2 * GROUP_OFFSET_BYTES, &offsets,
                      err));
    Reader reader = reader_begin(offsets);
    int64_t from = reader_u32(&reader);
    int64_t to = last ? rows_len : (int64_t)reader_u32(&reader);
    if (from > to || to > rows_len)
        return block_corrupt(block, kind, at, "the offset of a group lies outside", err);
    return section_bytes(block, kind, from, to - from, out, err);
}

// ---- Pages ----

bool page_row(const Block *block, uint32_t page, PageRow *out, Error *err) {
    int64_t at = (int64_t)page * PAGE_ROW_BYTES;
    if (page >= block->pages)
        return block_corrupt(block, SECTION_PAGES, at, "there is no page of that number", err);
    Bytes row;
    TRY(section_bytes(block, SECTION_PAGES, at, PAGE_ROW_BYTES, &row, err));
    Reader reader = reader_begin(row);
    uint64_t offset = reader_u64(&reader);
    uint32_t stored = reader_u32(&reader), raw = reader_u32(&reader);
    *out = (PageRow){(int64_t)offset, stored, raw & ~PAGE_IS_ZSTD, reader_u32(&reader),
                     (raw & PAGE_IS_ZSTD) != 0};
    uint64_t end = (uint64_t)block->sections[SECTION_PAGES].offset;
    if (offset < BLOCK_HEAD_BYTES || offset > end || stored > end - offset || stored == 0 ||
        out->raw > PAGE_BYTES_MAX || (!out->zstd && out->raw != stored)) {
        return block_corrupt(block, SECTION_PAGES, at, "the page it states cannot be", err);
    }
    return true;
}

void pages_will_need(const Block *block, uint32_t page, uint32_t count) {
    PageRow first, last;
    if (page >= block->pages || count == 0) return;
    count = MIN(count, block->pages - page);
    if (!page_row(block, page, &first, NULL) || !page_row(block, page + count - 1, &last, NULL))
        return;  // who reads them will say so
    will_need(block, first.offset, last.offset + last.stored - first.offset);
}

bool page_verify(const Block *block, uint32_t page, const PageRow *row, Error *err) {
    if (crc32c(0, (Bytes){block->bytes.at + row->offset, row->stored}) == row->checksum)
        return true;
    return error_set(err, ERROR_CORRUPT,
                     "block %.*s, page %u at byte %lld (%u bytes): the checksum does not fit",
                     TEXT_ARG(block->name), page, (long long)row->offset, row->stored);
}

static bool page_unpack(const Block *block, uint32_t page, const PageRow *row,
                        PageUnpacker **unpacker, uint8_t *into, Error *err) {
    const uint8_t *stored = block->bytes.at + row->offset;
    if (!row->zstd) {
        memcpy(into, stored, row->stored);
        return true;
    }
    if (*unpacker == NULL) *unpacker = ZSTD_createDCtx();
    if (*unpacker == NULL)
        return error_set(err, ERROR_NO_MEMORY, "no memory to decompress a page of a block");
    size_t got = ZSTD_decompressDCtx(*unpacker, into, row->raw, stored, row->stored);
    if (!ZSTD_isError(got) && got == row->raw) return true;
    return error_set(err, ERROR_CORRUPT,
                     "block %.*s, page %u at byte %lld: it does not decompress to %u bytes",
                     TEXT_ARG(block->name), page, (long long)row->offset, row->raw);
}

bool page_read(const Block *block, uint32_t page, PageUnpacker **unpacker, KeptPage **out,
               Error *err) {
    PageRow row;
    TRY(page_row(block, page, &row, err));
    TRY(page_verify(block, page, &row, err));
    AUTO(kept_page_unref) KeptPage *made = kept_page_make(row.raw);
    TRY(page_unpack(block, page, &row, unpacker, kept_page_room(made), err));
    *out = TAKE(made);
    return true;
}

void page_unpacker_free(PageUnpacker **unpacker) {
    ZSTD_freeDCtx(TAKE(*unpacker));
}

// ---- Opening ----

// The last 32 bytes say how long the tail is, and carry its checksum and their own.
static bool trailer_open(Block *block, Reader *tail, Error *err) {
    int64_t size = (int64_t)block->bytes.len;
    block->tail_offset = size;
    if (size < BLOCK_HEAD_BYTES + BLOCK_TRAILER_BYTES)
        return footer_corrupt(block, "too short for a block", err);
    Bytes trailer = {block->bytes.at + size - BLOCK_TRAILER_BYTES, BLOCK_TRAILER_BYTES};
    will_need(block, size - MIN(size, (int64_t)TAIL_GUESS_BYTES),
              MIN(size, (int64_t)TAIL_GUESS_BYTES));
    block->tail_offset = size - BLOCK_TRAILER_BYTES;
    if (memcmp(block->bytes.at, block_magic_head, BLOCK_HEAD_BYTES) != 0)
        return block_corrupt(block, SECTION_COUNT, 0, "it does not begin as a block", err);
    if (memcmp(trailer.at + 24, block_magic_tail, 8) != 0)
        return footer_corrupt(block, "it does not end as a block", err);
    Reader reader = reader_begin(trailer);
    uint64_t stated_size = reader_u64(&reader);
    uint32_t tail_len = reader_u32(&reader), tail_crc = reader_u32(&reader),
             version = reader_u32(&reader);
    if (reader_u32(&reader) != crc32c(0, (Bytes){trailer.at, 20}))
        return footer_corrupt(block, "the checksum of the trailer does not fit", err);
    if (version > BLOCK_VERSION) {
        return error_set(err, ERROR_NEWER_FORMAT,
                         "block %.*s has version %u; this Traceo reads up to %d: use a newer one",
                         TEXT_ARG(block->name), version, BLOCK_VERSION);
    }
    block->version = version;
    if (version == 0 || stated_size != (uint64_t)size)
        return footer_corrupt(block, "it states another size", err);
    if (tail_len > size - BLOCK_HEAD_BYTES - BLOCK_TRAILER_BYTES)
        return footer_corrupt(block, "the tail is longer than the block", err);
    block->tail_offset -= tail_len;
    if (tail_len > TAIL_GUESS_BYTES) will_need(block, block->tail_offset, tail_len);
    Bytes bytes = {block->bytes.at + block->tail_offset, tail_len};
    if (crc32c(0, bytes) != tail_crc)
        return footer_corrupt(block, "the checksum of the tail does not fit", err);
    *tail = reader_begin(bytes);
    return true;
}

// Sections end where the tail begins, one right behind the other.
static bool sections_open(Block *block, Reader *tail, Error *err) {
    int64_t total = 0;
    for (SectionKind kind = 0; kind < SECTION_COUNT; kind++) {
        Section *section = &block->sections[kind];
        uint64_t len = reader_u64(tail);
        if (tail->failed || len > (uint64_t)(block->tail_offset - BLOCK_HEAD_BYTES - total))
            return footer_corrupt(block, "a section is longer than the block", err);
        section->len = (int64_t)len;
        section->extents = (len + EXTENT_BYTES - 1) / EXTENT_BYTES;
        section->checksums = reader_take(tail, section->extents * sizeof(uint32_t));
        section->seen = arena_push_array(&block->arena, _Atomic uint8_t, section->extents + 1);
        total += section->len;
    }
    if (tail->failed || reader_left(tail) != 0)
        return footer_corrupt(block, "the tail has another length", err);
    int64_t at = block->tail_offset - total;
    for (SectionKind kind = 0; kind < SECTION_COUNT; kind++) {
        block->sections[kind].offset = at;
        at += block->sections[kind].len;
        uint64_t groups = groups_of(section_rows(block, kind));
        if ((int64_t)(groups * GROUP_OFFSET_BYTES) > block->sections[kind].len)
            return block_corrupt(block, kind, 0, "too short for its groups", err);
    }
    if (block->sections[SECTION_PAGES].len != (int64_t)block->pages * PAGE_ROW_BYTES)
        return block_corrupt(block, SECTION_PAGES, 0, "another number of pages", err);
    return true;
}

static bool tail_open(Block *block, Reader *tail, Error *err) {
    uint64_t numbers[TAIL_NUMBERS];
    for (size_t i = 0; i < COUNT(numbers); i++) numbers[i] = reader_u64(tail);
    BlockFacts *facts = &block->facts;
    *facts = (BlockFacts){(int64_t)numbers[0],
                          (int64_t)numbers[1],
                          numbers[2],
                          numbers[3],
                          numbers[4],
                          numbers[5],
                          numbers[6],
                          (int64_t)block->bytes.len,
                          0,
                          block->version == BLOCK_VERSION_NEAR};
    if (block->version == BLOCK_VERSION_TIER) {
        facts->tier_ms = (int64_t)reader_u64(tail);
        if (facts->tier_ms <= 0) return footer_corrupt(block, "it is of a tier of no length", err);
    }
    // Each counted thing takes a byte at least, so the size bounds them all.
    for (size_t i = 7; i < COUNT(numbers); i++) {
        if (numbers[i] > block->bytes.len || numbers[i] > UINT32_MAX)
            return footer_corrupt(block, "it counts more than it can hold", err);
    }
    if (facts->series > block->bytes.len || facts->series >= UINT32_MAX ||
        facts->min_ms > facts->max_ms)
        return footer_corrupt(block, "its facts cannot be", err);
    block->pairs = (uint32_t)numbers[7];
    block->clocks = (uint32_t)numbers[8];
    block->pages = (uint32_t)numbers[9];
    block->metadata_page = (uint32_t)numbers[10];
    if ((uint64_t)block->pages + block->clocks > UINT32_MAX)  // they share numbers (block_read.c)
        return footer_corrupt(block, "it has too many pages and clocks", err);
    if (block->metadata_page > block->pages)
        return footer_corrupt(block, "its metadata lies behind the last page", err);
    block->metadata_pages = block->pages - block->metadata_page;
    return sections_open(block, tail, err);
}

static bool shapes_open(Block *block, Reader *reader, Error *err) {
    uint64_t count = reader_varint(reader);
    if (reader->failed || count > reader_left(reader))
        return block_corrupt(block, SECTION_NAMES, 0, "more shapes than bytes", err);
    block->shapes = arena_push_array(&block->arena, Shape, count + 1);
    block->shape_count = count;
    for (uint64_t i = 0; i < count; i++) {
        Shape *shape = &block->shapes[i];
        uint64_t names = reader_varint(reader);
        if (reader->failed || names > BLOCK_LABELS_MAX)
            return block_corrupt(block, SECTION_NAMES, 0, "a shape has too many labels", err);
        shape->names = arena_push_array(&block->arena, uint32_t, names + 1);
        shape->count = names;
        for (uint64_t k = 0; k < names; k++) {
            uint64_t name = reader_varint(reader);
            if (reader->failed || name >= block->name_count ||
                (k > 0 && name <= shape->names[k - 1]))
                return block_corrupt(block, SECTION_NAMES, 0, "a shape names what is not there",
                                     err);
            shape->names[k] = (uint32_t)name;
        }
    }
    if (reader_left(reader) != 0)
        return block_corrupt(block, SECTION_NAMES, 0, "bytes are left over", err);
    return true;
}

static bool names_open(Block *block, Error *err) {
    Bytes bytes;
    TRY(section_bytes(block, SECTION_NAMES, 0, block->sections[SECTION_NAMES].len, &bytes, err));
    Reader reader = reader_begin(bytes);
    uint64_t count = reader_varint(&reader), pairs = 0;
    if (reader.failed || count > bytes.len)
        return block_corrupt(block, SECTION_NAMES, 0, "more names than bytes", err);
    block->names = arena_push_array(&block->arena, BlockName, count + 1);
    block->name_texts = arena_push_array(&block->arena, Text, count + 1);
    block->name_count = count;
    for (uint64_t i = 0; i < count; i++) {
        Bytes name = reader_take(&reader, reader_varint(&reader));
        uint64_t pair_count = reader_varint(&reader);
        bool sorted = i == 0 || text_compare(block->names[i - 1].name, bytes_text(name)) < 0;
        if (reader.failed || !sorted || pair_count == 0 || pair_count > block->pairs - pairs)
            return block_corrupt(block, SECTION_NAMES, 0, "names or their pairs are out of order",
                                 err);
        block->names[i] = (BlockName){bytes_text(name), (uint32_t)pairs, (uint32_t)pair_count};
        block->name_texts[i] = bytes_text(name);
        pairs += pair_count;
    }
    if (pairs != block->pairs)
        return block_corrupt(block, SECTION_NAMES, 0, "the names have another number of pairs",
                             err);
    return shapes_open(block, &reader, err);
}

bool block_open(Objects *objects, Text name, int64_t bytes, Block **out, Error *err) {
    AUTO(block_unref) Block *block = memory_new(Block);
    atomic_init(&block->refs, 1);
    block->name = text_copy(name, &block->arena);
    TRY(objects->open(objects, name, bytes, &block->object, err));
    block->objects = objects;  // from here on there is something to close
    block->bytes = block->object.bytes;
    if ((int64_t)block->bytes.len != bytes)
        return error_set(err, ERROR_CORRUPT, "block %.*s has %zu bytes, not %lld", TEXT_ARG(name),
                         block->bytes.len, (long long)bytes);
    Reader tail = {0};
    TRY(trailer_open(block, &tail, err));
    TRY(tail_open(block, &tail, err));
    TRY(names_open(block, err));
    pair_cache_begin(block);
    *out = TAKE(block);
    return true;
}

Block *block_ref(Block *block) {
    atomic_fetch_add(&block->refs, 1);
    return block;
}

void block_unref(Block **block) {
    Block *taken = TAKE(*block);
    if (taken == NULL || atomic_fetch_sub(&taken->refs, 1) > 1) return;
    pair_cache_end(taken);
    block_rows_end(taken->rows);
    if (taken->page_cache != NULL) page_cache_drop(taken->page_cache, taken->kept_pages);
    if (taken->objects != NULL) taken->objects->close(taken->objects, &taken->object);
    arena_free(&taken->arena);
    memory_free(taken);
}

void block_keep(Block *block, PageCache *pages, RowCache *rows) {
    if (pages != NULL) block->kept_pages = arena_push(&block->arena, PageOwner);
    block->page_cache = pages;
    block->rows = block_rows_begin(&block->arena, rows, block->facts.series);
}

void block_read_ahead(const Block *block, const uint32_t *series, size_t count, int64_t from_ms) {
    if (block->rows != NULL && from_ms <= block->facts.max_ms)
        block_rows_prefetch(block->rows, series, count, from_ms);
}

BlockFacts block_facts(const Block *block) {
    return block->facts;
}
