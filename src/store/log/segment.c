// The bytes of a segment, as FORMAT.md lays them out.

#include "store/log/segment.h"

#include "base/limits.h"
#include "codec/crc32c.h"

static const char magic[8] = {'T', 'r', 'a', 'c', 'e', 'o', 'L', 'g'};
static const char record_magic[4] = {'T', 'R', 'E', 'C'};

#define PUT(at, offset, value)                       \
    do {                                             \
        __typeof__(value) put_ = (value);            \
        memcpy((at) + (offset), &put_, sizeof put_); \
    } while (0)
#define GET(at, offset, field) memcpy(&(field), (at) + (offset), sizeof(field))

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the log is written as the processor keeps numbers");

// The checksum of a header page: its own four bytes count as zero.
static uint32_t page_crc(const uint8_t *page) {
    static const uint8_t zero[4] = {0};
    uint32_t crc = crc32c(0, (Bytes){page, 12});
    crc = crc32c(crc, (Bytes){zero, 4});
    return crc32c(crc, (Bytes){page + 16, SEGMENT_PAGE - 16});
}

void segment_header_encode(const SegmentHeader *header, uint8_t page[SEGMENT_PAGE]) {
    memset(page, 0, SEGMENT_PAGE);
    memcpy(page, magic, sizeof magic);
    PUT(page, 8, (uint32_t)SEGMENT_VERSION);
    PUT(page, 16, header->id);
    PUT(page, 24, header->salt);
    PUT(page, 32, header->first_sequence);
    PUT(page, 40, header->proven_sequence);
    PUT(page, 48, header->bytes);
    PUT(page, 56, header->created_ms);
    PUT(page, 12, page_crc(page));
}

bool segment_header_decode(Bytes page, SegmentHeader *out, Error *err) {
    if (page.len < SEGMENT_PAGE)
        return error_set(err, ERROR_CORRUPT, "the header of the segment is cut off");
    if (memcmp(page.at, magic, sizeof magic) != 0) {
        return error_set(err, ERROR_CORRUPT, "this is no header of a log segment");
    }
    uint32_t version, crc;
    GET(page.at, 8, version);
    GET(page.at, 12, crc);
    if (crc != page_crc(page.at))
        return error_set(err, ERROR_CORRUPT, "the checksum of the segment's header is wrong");
    if (version > SEGMENT_VERSION) {
        return error_set(err, ERROR_NEWER_FORMAT,
                         "the segment has version %u at offset 8, this program reads up to %d; use "
                         "the newer program",
                         version, SEGMENT_VERSION);
    }
    SegmentHeader header;
    GET(page.at, 16, header.id);
    GET(page.at, 24, header.salt);
    GET(page.at, 32, header.first_sequence);
    GET(page.at, 40, header.proven_sequence);
    GET(page.at, 48, header.bytes);
    GET(page.at, 56, header.created_ms);
    if (version == 0 || header.first_sequence == 0 || header.bytes < 2 * SEGMENT_PAGE ||
        header.bytes % SEGMENT_PAGE != 0) {
        return error_set(err, ERROR_CORRUPT, "the segment's header states impossible numbers");
    }
    *out = header;
    return true;
}

uint64_t record_mark(uint64_t segment_id) {
    uint64_t mark = 0;
    uint32_t low = (uint32_t)segment_id;
    memcpy(&mark, record_magic, 4);
    memcpy((uint8_t *)&mark + 4, &low, 4);
    return mark;
}

uint32_t record_payload_crc(Bytes refused, Bytes body) {
    uint32_t crc = refused.len > 0 ? crc32c(0, refused) : 0;
    return body.len > 0 ? crc32c(crc, body) : crc;
}

static uint32_t header_crc(const uint8_t *at, const SegmentHeader *segment, int64_t offset) {
    uint8_t seed[24];
    PUT(seed, 0, segment->id);
    PUT(seed, 8, segment->salt);
    PUT(seed, 16, offset);
    return crc32c(crc32c(0, (Bytes){seed, sizeof seed}), (Bytes){at, RECORD_HEADER_BYTES - 4});
}

void record_header_encode(const RecordHeader *record, const SegmentHeader *segment, int64_t offset,
                          uint8_t into[RECORD_HEADER_BYTES]) {
    memset(into, 0, RECORD_HEADER_BYTES);
    PUT(into, 0, record_mark(segment->id));
    PUT(into, 8, record->sequence);
    PUT(into, 16, record->group);
    PUT(into, 24, record->arrival_ms);
    PUT(into, 32, record->tenant);
    PUT(into, 36, record->type);
    PUT(into, 38, record->flags);
    PUT(into, 40, record->refused_bytes);
    PUT(into, 44, record->body_bytes);
    PUT(into, 56, record->payload_crc);
    PUT(into, 60, header_crc(into, segment, offset));
}

void record_header_peek(const uint8_t at[RECORD_HEADER_BYTES], RecordHeader *out) {
    GET(at, 8, out->sequence);
    GET(at, 16, out->group);
    GET(at, 24, out->arrival_ms);
    GET(at, 32, out->tenant);
    GET(at, 36, out->type);
    GET(at, 38, out->flags);
    GET(at, 40, out->refused_bytes);
    GET(at, 44, out->body_bytes);
    GET(at, 56, out->payload_crc);
}

bool record_header_decode(const uint8_t at[RECORD_HEADER_BYTES], const SegmentHeader *segment,
                          int64_t offset, RecordHeader *out) {
    uint64_t mark;
    uint32_t crc;
    GET(at, 0, mark);
    GET(at, 60, crc);
    if (mark != record_mark(segment->id) || crc != header_crc(at, segment, offset)) return false;
    RecordHeader record;
    record_header_peek(at, &record);
    if ((int64_t)record.refused_bytes + record.body_bytes > LIMIT_LOG_RECORD_BYTES) return false;
    *out = record;
    return true;
}

Text segment_name(uint64_t id, uint64_t first_sequence, Arena *arena) {
    return text_format(arena, "%016llx-%016llx.log", (unsigned long long)id,
                       (unsigned long long)first_sequence);
}

Text segment_spare_name(uint64_t id, Arena *arena) {
    return text_format(arena, "%016llx.spare", (unsigned long long)id);
}

// Exactly sixteen lower-case hexadecimal digits.
static bool hex_parse(Text text, uint64_t *out) {
    if (text.len != 16) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        unsigned digit;
        if (c >= '0' && c <= '9') {
            digit = (unsigned)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = (unsigned)(c - 'a') + 10;
        } else {
            return false;
        }
        value = value << 4 | digit;
    }
    *out = value;
    return true;
}

bool segment_name_parse(Text name, uint64_t *id, uint64_t *first_sequence) {
    return name.len == SEGMENT_NAME_BYTES && name.at[16] == '-' &&
           text_ends_with(name, TEXT(".log")) && hex_parse(text_slice(name, 0, 16), id) &&
           hex_parse(text_slice(name, 17, 33), first_sequence) && *first_sequence > 0;
}

bool segment_spare_name_parse(Text name, uint64_t *id) {
    return name.len == SEGMENT_SPARE_NAME_BYTES && text_ends_with(name, TEXT(".spare")) &&
           hex_parse(text_slice(name, 0, 16), id);
}
