// Front-coded rows, shared lines of metadata, and an index for pages that changed their order.

#include "ingest/scrape/cache.h"

#include "base/assert.h"

enum { RESTART_ROWS = 32, CHAINS_FIRST = 256 };
#define NONE UINT32_MAX

// ---- Lines ----

void scrape_lines_begin(ScrapeLines *lines, HashKey hash_key) {
    *lines = (ScrapeLines){.hash_key = hash_key, .first_free = NONE, .chain_count = CHAINS_FIRST};
    lines->chains = memory_take(lines->chain_count * sizeof(uint32_t));
    memset(lines->chains, 0xff, lines->chain_count * sizeof(uint32_t));
}

void scrape_lines_end(ScrapeLines *lines) {
    for (size_t i = 0; i < lines->lines.count; i++) memory_free(lines->lines.at[i].memory);
    array_free(&lines->lines);
    memory_free(lines->chains);
    *lines = (ScrapeLines){0};
}

static uint32_t *chain_of(const ScrapeLines *lines, Text raw) {
    uint64_t hash = hash_keyed(lines->hash_key, text_bytes(raw));
    return &lines->chains[hash & (lines->chain_count - 1)];
}

uint32_t scrape_lines_find(const ScrapeLines *lines, Text raw) {
    uint32_t at = *chain_of(lines, raw);
    while (at != NONE && !text_equal(lines->lines.at[at].raw, raw)) at = lines->lines.at[at].next;
    return at;
}

static void lines_grow(ScrapeLines *lines) {
    lines->chain_count *= 2;
    lines->chains = memory_resize(lines->chains, lines->chain_count * sizeof(uint32_t));
    memset(lines->chains, 0xff, lines->chain_count * sizeof(uint32_t));
    for (uint32_t i = 0; i < lines->lines.count; i++) {
        ScrapeLine *line = &lines->lines.at[i];
        if (line->refs == 0) continue;
        uint32_t *chain = chain_of(lines, line->raw);
        line->next = *chain;
        *chain = i;
    }
}

static Text part_copy(char **at, Text text) {
    Text copy = {*at, text.len};
    if (text.len > 0) memcpy(*at, text.at, text.len);
    *at += text.len;
    return copy;
}

uint32_t scrape_lines_take(ScrapeLines *lines, Text raw, ExpositionKind kind, MetadataType type,
                           Text family, Text text) {
    uint32_t number = scrape_lines_find(lines, raw);
    if (number != NONE) {
        lines->lines.at[number].refs++;
        return number;
    }
    if (lines->lines.count >= lines->chain_count) lines_grow(lines);
    number = lines->first_free;
    if (number != NONE) {
        lines->first_free = lines->lines.at[number].next;
    } else {
        number = (uint32_t)lines->lines.count;
        (void)array_add(&lines->lines);
    }
    size_t len = raw.len + family.len + text.len;
    char *memory = memory_take(len + 1), *at = memory;
    uint32_t *chain = chain_of(lines, raw);
    lines->lines.at[number] = (ScrapeLine){
        .raw = part_copy(&at, raw),
        .kind = kind,
        .type = type,
        .family = part_copy(&at, family),
        .text = part_copy(&at, text),
        .refs = 1,
        .next = *chain,
        .fresh = true,
        .memory = memory,
    };
    *chain = number;
    lines->bytes += (int64_t)len;
    return number;
}

void scrape_lines_give(ScrapeLines *lines, uint32_t number) {
    ScrapeLine *line = &lines->lines.at[number];
    assert(line->refs > 0);
    if (--line->refs > 0) return;
    uint32_t *link = chain_of(lines, line->raw);
    while (*link != number) link = &lines->lines.at[*link].next;
    *link = line->next;
    lines->bytes -= (int64_t)(line->raw.len + line->family.len + line->text.len);
    memory_free(line->memory);
    *line = (ScrapeLine){.next = lines->first_free};
    lines->first_free = number;
}

void scrape_lines_unsaid(ScrapeLines *lines) {
    lines->unsaid++;
    for (size_t i = 0; i < lines->lines.count; i++)
        lines->lines.at[i].fresh = lines->lines.at[i].refs > 0;
}

// ---- Reading ----

void scrape_cache_free(ScrapeCache *cache, ScrapeLines *lines) {
    for (uint32_t i = 0; i < cache->count; i++) {
        if (cache->entries[i].kind == CACHE_LINE) scrape_lines_give(lines, cache->entries[i].line);
    }
    memory_free(cache->entries);
    memory_free(cache->bytes);
    *cache = (ScrapeCache){0};
}

void cache_cursor_begin(CacheCursor *cursor, const ScrapeCache *cache) {
    cursor->cache = cache;
    cursor->next = 0;
    builder_clear(&cursor->raw);
    builder_clear(&cursor->labels);
}

static void step(CacheCursor *cursor) {
    const CacheEntry *entry = &cursor->cache->entries[cursor->next++];
    if (entry->kind == CACHE_LINE) return;
    const uint8_t *bytes = cursor->cache->bytes + entry->at;
    size_t raw_more = entry->raw_len - entry->raw_shared;
    cursor->raw.len = entry->raw_shared;
    builder_add_bytes(&cursor->raw, bytes, raw_more);
    if (entry->kind != CACHE_SERIES) return;
    cursor->labels.len = entry->labels_shared;
    builder_add_bytes(&cursor->labels, bytes + raw_more,
                      (size_t)(entry->labels_len - entry->labels_shared));
}

const CacheEntry *cache_cursor_seek(CacheCursor *cursor, uint32_t index) {
    assert(index < cursor->cache->count);
    uint32_t restart = index - index % RESTART_ROWS;
    if (cursor->next > index || cursor->next < restart) cursor->next = restart;
    while (cursor->next <= index) step(cursor);
    return &cursor->cache->entries[index];
}

void cache_cursor_free(CacheCursor *cursor) {
    builder_free(&cursor->raw);
    builder_free(&cursor->labels);
}

// ---- Writing ----

void cache_writer_begin(CacheWriter *writer) {
    array_clear(&writer->entries);
    builder_clear(&writer->bytes);
    builder_clear(&writer->raw);
    builder_clear(&writer->labels);
}

void cache_writer_prefix(CacheWriter *writer, const ScrapeCache *from, uint32_t count,
                         ScrapeLines *lines) {
    for (uint32_t i = 0; i < count; i++) {
        *array_add(&writer->entries) = from->entries[i];
        if (from->entries[i].kind == CACHE_LINE) lines->lines.at[from->entries[i].line].refs++;
    }
    size_t bytes = count == from->count ? from->byte_count : from->entries[count].at;
    builder_add_bytes(&writer->bytes, from->bytes, bytes);
}

// How much of `text` is as in `before`, which becomes `text`.
static uint16_t share(Builder *before, Text text) {
    size_t most = MIN(before->len, text.len), same = 0;
    while (same < most && before->at[same] == text.at[same]) same++;
    before->len = same;
    builder_add_bytes(before, text.at + same, text.len - same);
    return (uint16_t)same;
}

static CacheEntry *add_row(CacheWriter *writer, CacheKind kind, Text raw) {
    assert(raw.len <= CACHE_TEXT_BYTES_MAX);
    if (writer->entries.count % RESTART_ROWS == 0) {
        writer->raw.len = writer->labels.len = 0;
    }
    CacheEntry *entry = array_add(&writer->entries);
    entry->kind = (uint8_t)kind;
    entry->at = (uint32_t)writer->bytes.len;
    entry->raw_len = (uint16_t)raw.len;
    entry->raw_shared = share(&writer->raw, raw);
    builder_add_bytes(&writer->bytes, raw.at + entry->raw_shared, raw.len - entry->raw_shared);
    return entry;
}

void cache_writer_series(CacheWriter *writer, Text raw, Labels labels, bool live) {
    assert(labels.wire.len <= CACHE_TEXT_BYTES_MAX);
    CacheEntry *entry = add_row(writer, CACHE_SERIES, raw);
    entry->live = live;
    entry->labels_len = (uint16_t)labels.wire.len;
    entry->labels_shared = share(&writer->labels, bytes_text(labels.wire));
    builder_add_bytes(&writer->bytes, labels.wire.at + entry->labels_shared,
                      labels.wire.len - entry->labels_shared);
}

void cache_writer_dropped(CacheWriter *writer, Text raw) {
    (void)add_row(writer, CACHE_DROPPED, raw);
}

void cache_writer_line(CacheWriter *writer, uint32_t line) {
    // A restart is a place in the order, whatever stands there.
    if (writer->entries.count % RESTART_ROWS == 0) writer->raw.len = writer->labels.len = 0;
    CacheEntry *entry = array_add(&writer->entries);
    entry->kind = CACHE_LINE;
    entry->at = (uint32_t)writer->bytes.len;
    entry->line = line;
}

void cache_writer_finish(CacheWriter *writer, ScrapeCache *out) {
    size_t count = writer->entries.count;
    *out = (ScrapeCache){.count = (uint32_t)count, .byte_count = writer->bytes.len};
    out->entries = memory_take(array_bytes(count, sizeof(CacheEntry)) + 1);
    out->bytes = memory_take(writer->bytes.len + 1);
    if (count > 0) memcpy(out->entries, writer->entries.at, count * sizeof(CacheEntry));
    if (writer->bytes.len > 0) memcpy(out->bytes, writer->bytes.at, writer->bytes.len);
    cache_writer_begin(writer);
}

void cache_writer_drop(CacheWriter *writer, ScrapeLines *lines) {
    for (size_t i = 0; i < writer->entries.count; i++) {
        if (writer->entries.at[i].kind == CACHE_LINE)
            scrape_lines_give(lines, writer->entries.at[i].line);
    }
    cache_writer_begin(writer);
}

void cache_writer_free(CacheWriter *writer) {
    array_free(&writer->entries);
    builder_free(&writer->bytes);
    builder_free(&writer->raw);
    builder_free(&writer->labels);
}

// ---- Finding ----

void cache_index_begin(CacheIndex *index, const ScrapeCache *cache, HashKey hash_key) {
    cache_cursor_begin(&index->look, cache);
    index->hash_key = hash_key;
    index->made = false;
}

static void index_make(CacheIndex *index) {
    const ScrapeCache *cache = index->look.cache;
    index->made = true;
    index->slot_count = 16;
    while (index->slot_count < 2 * (size_t)cache->count) index->slot_count *= 2;
    if (index->slot_count > index->capacity) {
        index->capacity = index->slot_count;
        index->slots = memory_resize(index->slots, array_bytes(index->capacity, 8));
    }
    memset(index->slots, 0xff, index->slot_count * 8);
    for (uint32_t row = 0; row < cache->count; row++) {
        if (cache->entries[row].kind == CACHE_LINE) continue;
        (void)cache_cursor_seek(&index->look, row);
        uint64_t hash = hash_keyed(index->hash_key, text_bytes(builder_text(&index->look.raw)));
        size_t at = hash & (index->slot_count - 1);
        while (index->slots[at].row != NONE) at = (at + 1) & (index->slot_count - 1);
        index->slots[at].hash = (uint32_t)(hash >> 32);
        index->slots[at].row = row;
    }
}

uint32_t cache_index_find(CacheIndex *index, Text raw) {
    if (!index->made) index_make(index);
    uint64_t hash = hash_keyed(index->hash_key, text_bytes(raw));
    for (size_t at = hash & (index->slot_count - 1); index->slots[at].row != NONE;
         at = (at + 1) & (index->slot_count - 1)) {
        if (index->slots[at].hash != (uint32_t)(hash >> 32)) continue;
        (void)cache_cursor_seek(&index->look, index->slots[at].row);
        if (text_equal(builder_text(&index->look.raw), raw)) return index->slots[at].row;
    }
    return NONE;
}

void cache_index_free(CacheIndex *index) {
    memory_free(index->slots);
    cache_cursor_free(&index->look);
    *index = (CacheIndex){0};
}
