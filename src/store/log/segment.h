// The bytes of a segment: its header, the frame of a record, its name. FORMAT.md has the tables.
//
// Nothing here reads or writes files. Private to store/log.
#pragma once

#include <string.h>

#include "store/log/log.h"

enum {
    SEGMENT_VERSION = 1,
    SEGMENT_PAGE = DISK_ALIGN,  // the header, and its copy at the end
    SEGMENT_NAME_BYTES = 16 + 1 + 16 + 4,
    SEGMENT_SPARE_NAME_BYTES = 16 + 6,
    RECORD_HEADER_BYTES = 64,
    RECORD_ALIGN = 16,
    RECORD_TYPE_END = 0xffff,  // an orderly close; uses no sequence
};

typedef struct SegmentHeader {
    uint64_t id;
    uint64_t salt;
    uint64_t first_sequence;
    uint64_t proven_sequence;
    int64_t bytes;
    int64_t created_ms;
} SegmentHeader;

void segment_header_encode(const SegmentHeader *header, uint8_t page[SEGMENT_PAGE]);
// CORRUPT, or NEWER_FORMAT when a verified header has a version above ours.
must_use bool segment_header_decode(Bytes page, SegmentHeader *out, Error *err);

typedef struct RecordHeader {
    uint64_t sequence;
    uint64_t group;
    int64_t arrival_ms;
    uint32_t tenant;
    uint16_t type;
    uint16_t flags;
    uint32_t refused_bytes;
    uint32_t body_bytes;
    uint32_t payload_crc;
} RecordHeader;

// Bytes that a record of this payload takes, header and padding included.
static inline size_t record_bytes(size_t payload_bytes) {
    return (RECORD_HEADER_BYTES + payload_bytes + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}
static inline int64_t page_round_up(int64_t bytes) {
    return (bytes + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
}

// Writes the header of a record that will stand at `offset` of this segment.
void record_header_encode(const RecordHeader *record, const SegmentHeader *segment, int64_t offset,
                          uint8_t into[RECORD_HEADER_BYTES]);
// The parts that do not depend on the place, for a record that waits; finished by the call above.
void record_header_peek(const uint8_t at[RECORD_HEADER_BYTES], RecordHeader *out);
// False when these bytes are not a header of this segment at this offset, or state an absurd
// length.
bool record_header_decode(const uint8_t at[RECORD_HEADER_BYTES], const SegmentHeader *segment,
                          int64_t offset, RecordHeader *out);
// The first 8 bytes of every record of a segment: what a scan looks for.
uint64_t record_mark(uint64_t segment_id);

uint32_t record_payload_crc(Bytes refused, Bytes body);

// Whether the ZEROS_STEP bytes there, which may begin a record at every RECORD_ALIGN, are zeros.
enum { ZEROS_STEP = 64 };
static inline bool all_zeros(const uint8_t at[ZEROS_STEP]) {
    uint64_t words[ZEROS_STEP / 8], any = 0;
    memcpy(words, at, sizeof words);
    for (size_t i = 0; i < ZEROS_STEP / 8; i++) any |= words[i];
    return any == 0;
}

// Names, on `arena`, without the folder.
Text segment_name(uint64_t id, uint64_t first_sequence, Arena *arena);
Text segment_spare_name(uint64_t id, Arena *arena);
bool segment_name_parse(Text name, uint64_t *id, uint64_t *first_sequence);
bool segment_spare_name_parse(Text name, uint64_t *id);
