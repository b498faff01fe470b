// Reading the index from its end: the table of contents, then what it points to.

#include "ingest/backfill/tsdb_index.h"

#include <endian.h>

#include "base/limits.h"
#include "codec/crc32c.h"
#include "codec/reader.h"

enum {
    MAGIC = 0xBAAAD700,
    HEAD_BYTES = 5,
    CONTENTS_SECTIONS = 6,
    CONTENTS_BYTES = CONTENTS_SECTIONS * 8 + 4,
    SERIES_ALIGN = 16,  // of version 2
};

// ORDER: as in the table of contents.
typedef enum Section {
    SECTION_SYMBOLS,
    SECTION_SERIES,
    SECTION_LABEL_INDICES,
    SECTION_LABEL_TABLE,
    SECTION_POSTINGS,
    SECTION_POSTINGS_TABLE,
} Section;

static bool corrupt(uint64_t offset, Error *err, const char *what) {
    return error_set(err, ERROR_CORRUPT, "offset %llu: %s", (unsigned long long)offset, what);
}

static uint32_t take_be32(Reader *reader) {
    return be32toh(reader_u32(reader));
}

static uint64_t place(const TsdbIndex *index, const Reader *reader) {
    return (uint64_t)(reader->at - index->bytes.at);
}

static Text take_text(Reader *reader) {
    return bytes_text(reader_take(reader, reader_varint(reader)));
}

// Everything but series: a length of four bytes, so many bytes, their checksum.
static bool take_section(const TsdbIndex *index, uint64_t offset, Reader *out, Error *err) {
    uint64_t end = index->bytes.len - CONTENTS_BYTES;
    if (offset < HEAD_BYTES || offset >= end)
        return corrupt(offset, err, "a section lies outside the file");
    Reader reader = reader_begin((Bytes){index->bytes.at + offset, (size_t)(end - offset)});
    Bytes content = reader_take(&reader, take_be32(&reader));
    uint32_t stated = take_be32(&reader);
    if (reader.failed) return corrupt(offset, err, "a section is longer than the file");
    if (crc32c(0, content) != stated)
        return corrupt(offset, err, "the checksum of a section does not fit");
    *out = reader_begin(content);
    return true;
}

static bool read_symbols(TsdbIndex *index, uint64_t offset, Error *err) {
    Reader reader;
    TRY(take_section(index, offset, &reader, err));
    uint32_t count = take_be32(&reader);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = place(index, &reader);
        Text symbol = take_text(&reader);
        if (reader.failed) return corrupt(at, err, "the symbols end too early");
        *array_add(&index->symbols) = symbol;
    }
    return reader_left(&reader) == 0 ||
           corrupt(place(index, &reader), err, "there are more symbols than are counted");
}

// The list of all series is the postings of the empty label.
static bool find_all(TsdbIndex *index, uint64_t table_offset, Error *err) {
    Reader table;
    TRY(take_section(index, table_offset, &table, err));
    uint32_t count = take_be32(&table);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = place(index, &table);
        uint64_t keys = reader_varint(&table);
        Text name = take_text(&table), value = take_text(&table);
        uint64_t offset = reader_varint(&table);
        if (table.failed || keys != 2) return corrupt(at, err, "an entry of postings is malformed");
        if (name.len > 0 || value.len > 0) continue;
        Reader list;
        TRY(take_section(index, offset, &list, err));
        uint64_t series = take_be32(&list);
        index->all = reader_take(&list, series * 4);
        if (list.failed || reader_left(&list) > 0)
            return corrupt(offset, err, "the list of all series has another length than it says");
        if (index->all.at == NULL) index->all.at = index->bytes.at;
        return true;
    }
    return true;
}

bool tsdb_index_open(Bytes bytes, bool is_version_2, TsdbIndex *out, Error *err) {
    *out = (TsdbIndex){.bytes = bytes};
    if (bytes.len < HEAD_BYTES + CONTENTS_BYTES)
        return corrupt(bytes.len, err, "the file is shorter than an empty index");
    Reader head = reader_begin(bytes);
    if (take_be32(&head) != MAGIC) return corrupt(0, err, "it does not begin as an index");
    out->version = reader_u8(&head);
    if (out->version != 1 && out->version != 2)
        return error_set(err, ERROR_UNSUPPORTED,
                         "version %d of the index is not known (1 and 2 are)", out->version);
    if (is_version_2) out->version = 2;
    uint64_t contents_at = bytes.len - CONTENTS_BYTES;
    Reader contents = reader_begin((Bytes){bytes.at + contents_at, CONTENTS_BYTES});
    uint64_t sections[CONTENTS_SECTIONS];
    for (size_t i = 0; i < CONTENTS_SECTIONS; i++) sections[i] = be64toh(reader_u64(&contents));
    if (crc32c(0, (Bytes){bytes.at + contents_at, CONTENTS_BYTES - 4}) != take_be32(&contents))
        return corrupt(contents_at, err, "the checksum of the table of contents does not fit");
    TRY(read_symbols(out, sections[SECTION_SYMBOLS], err));
    out->series_at = sections[SECTION_SERIES];
    out->series_end = contents_at;
    for (size_t i = 0; i < CONTENTS_SECTIONS; i++) {
        if (sections[i] > out->series_at) out->series_end = MIN(out->series_end, sections[i]);
    }
    if (out->series_at < HEAD_BYTES || out->series_at > contents_at)
        return corrupt(contents_at, err, "the series lie outside the file");
    return sections[SECTION_POSTINGS_TABLE] == 0 ||
           find_all(out, sections[SECTION_POSTINGS_TABLE], err);
}

void tsdb_index_close(TsdbIndex *index) {
    array_free(&index->symbols);
}

// ---- Series ----

void tsdb_series_free(TsdbSeries *series) {
    array_free(&series->labels);
    array_free(&series->chunks);
}

static bool symbol_get(const TsdbIndex *index, uint64_t reference, Text *out) {
    if (index->version == 2) {
        if (reference >= index->symbols.count) return false;
        *out = index->symbols.at[reference];
        return true;
    }
    // Version 1 refers to the byte of the file where the symbol's length stands.
    size_t low = 0, high = index->symbols.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        Text symbol = index->symbols.at[middle];
        uint64_t at =
            (uint64_t)((const uint8_t *)symbol.at - index->bytes.at) - varint_len(symbol.len);
        if (at == reference) {
            *out = symbol;
            return true;
        }
        if (at < reference) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

static bool read_labels(const TsdbIndex *index, Reader *reader, TsdbSeries *out, Error *err) {
    uint64_t count = reader_varint(reader);
    if (reader->failed || count > reader_left(reader))
        return corrupt(out->offset, err, "the series ends within its labels");
    for (uint64_t i = 0; i < count; i++) {
        Label label;
        uint64_t name = reader_varint(reader), value = reader_varint(reader);
        if (reader->failed || !symbol_get(index, name, &label.name) ||
            !symbol_get(index, value, &label.value))
            return corrupt(out->offset, err, "a label of the series is no symbol");
        *array_add(&out->labels) = label;
    }
    return true;
}

static bool read_chunks(Reader *reader, TsdbSeries *out, Error *err) {
    uint64_t count = reader_varint(reader);
    if (reader->failed || count > reader_left(reader))
        return corrupt(out->offset, err, "the series ends within its chunks");
    uint64_t time_ms = 0, reference = 0;
    for (uint64_t i = 0; i < count; i++) {
        time_ms += i == 0 ? (uint64_t)reader_zigzag(reader) : reader_varint(reader);
        TsdbChunkPlace chunk = {.min_ms = (int64_t)time_ms};
        time_ms += reader_varint(reader);
        chunk.max_ms = (int64_t)time_ms;
        reference += i == 0 ? reader_varint(reader) : (uint64_t)reader_zigzag(reader);
        if (reader->failed) return corrupt(out->offset, err, "the series ends within its chunks");
        chunk.file = reference >> 32;
        chunk.offset = reference & UINT32_MAX;
        *array_add(&out->chunks) = chunk;
    }
    return reader_left(reader) == 0 ||
           corrupt(out->offset, err, "the series is longer than its content");
}

// What is walked is what the list of all series says.
static bool is_listed(const TsdbIndex *index, uint64_t number, uint64_t reference, Error *err) {
    if (index->all.at == NULL) return true;
    uint64_t count = index->all.len / 4;
    uint32_t listed = 0;
    if (number < count) memcpy(&listed, index->all.at + number * 4, sizeof listed);
    if (number < count && be32toh(listed) == reference) return true;
    return error_set(err, ERROR_CORRUPT, "series %llu is not the one that the list of all names",
                     (unsigned long long)number);
}

bool tsdb_index_next(const TsdbIndex *index, uint64_t number, uint64_t *at, TsdbSeries *out,
                     bool *found, Error *err) {
    uint64_t offset = *at;
    // Series are aligned, and zeros may stand between sections; no series is of length zero.
    while (offset < index->series_end && index->bytes.at[offset] == 0) offset++;
    *found = offset < index->series_end;
    if (!*found) {
        *at = index->series_end;
        if (index->all.at != NULL && number != index->all.len / 4) {
            return error_set(err, ERROR_CORRUPT, "offset %llu: %llu series, not %zu as listed",
                             (unsigned long long)offset, (unsigned long long)number,
                             index->all.len / 4);
        }
        return true;
    }
    Reader reader =
        reader_begin((Bytes){index->bytes.at + offset, (size_t)(index->series_end - offset)});
    Bytes content = reader_take(&reader, reader_varint(&reader));
    uint32_t stated = take_be32(&reader);
    if (reader.failed) return corrupt(offset, err, "a series is longer than its section");
    if (index->version == 2 && offset % SERIES_ALIGN != 0)
        return corrupt(offset, err, "a series does not begin at a multiple of 16");
    uint64_t reference = index->version == 2 ? offset / SERIES_ALIGN : offset;
    if (!is_listed(index, number, reference, err))
        return error_context(err, "offset %llu", (unsigned long long)offset);
    *at = place(index, &reader);
    if (out == NULL) return true;
    if (crc32c(0, content) != stated)
        return corrupt(offset, err, "the checksum of a series does not fit");
    array_clear(&out->labels);
    array_clear(&out->chunks);
    out->offset = offset;
    out->reference = reference;
    Reader series = reader_begin(content);
    return read_labels(index, &series, out, err) && read_chunks(&series, out, err);
}
