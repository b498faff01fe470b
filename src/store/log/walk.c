// Walking through one segment, record by record, by looking at every sixteenth byte.

#include "store/log/walk.h"

#include "base/assert.h"

enum { WINDOW_BYTES = 256 * KB };

// A segment of nothing but its end is not worth the threads.
static const int64_t READ_AHEAD_FROM = 1 * MB;

// Loads a page-aligned stretch that covers [offset, offset + need), as far as the file reaches.
static bool window_load(Walk *walk, int64_t offset, size_t need, Error *err) {
    int64_t from = offset / SEGMENT_PAGE * SEGMENT_PAGE;
    size_t want = (size_t)page_round_up(offset - from + (int64_t)need);
    if (want < WINDOW_BYTES) want = WINDOW_BYTES;
    int64_t left = page_round_up(walk->file_bytes) - from;
    if ((int64_t)want > left) want = (size_t)left;
    if (want > walk->window_capacity) {
        uint8_t *larger = NULL;
        TRY(disk_buffer_take(want, &larger, err));
        disk_buffer_free(&walk->window);
        walk->window = larger;
        walk->window_capacity = want;
    }
    walk->window_len = 0;
    size_t got = 0;
    if (walk->reads_ahead && walk->ahead == NULL && from >= READ_AHEAD_FROM) {
        walk->reads_ahead = false;  // once
        walk->ahead = ahead_begin(walk->disk, walk->file, walk->file_bytes,
                                  from / AHEAD_WINDOW_BYTES * AHEAD_WINDOW_BYTES);
        // Of a file that was cut short there is no end to begin at.
        if (walk->ahead != NULL && walk->end % SEGMENT_PAGE == 0 && walk->end < walk->file_bytes)
            walk->tail =
                tail_begin(walk->disk, walk->file, from, walk->end, record_mark(walk->header.id));
    }
    bool fine = walk->ahead != NULL
                    ? ahead_read(walk->ahead, from, walk->window, want, &got, err)
                    : walk->disk->read(walk->disk, walk->file, from, walk->window, want, &got, err);
    if (!fine) {
        return error_context(
            err,
            "reading the log at offset %lld (if the disk cannot read it any more, move this "
            "segment away: its records are then published as lost)",
            (long long)from);
    }
    walk->window_from = from;
    walk->window_len = got;
    return true;
}

bool walk_view(Walk *walk, int64_t offset, size_t need, Bytes *out, Error *err) {
    *out = BYTES_NONE;
    if (offset >= walk->file_bytes) return true;
    int64_t left = walk->file_bytes - offset;
    if ((int64_t)need > left) need = (size_t)left;
    int64_t window_end = walk->window_from + (int64_t)walk->window_len;
    if (offset < walk->window_from || offset + (int64_t)need > window_end) {
        TRY(window_load(walk, offset, need, err));
        window_end = walk->window_from + (int64_t)walk->window_len;
    }
    if (offset >= window_end) return true;
    *out = (Bytes){walk->window + (offset - walk->window_from), (size_t)(window_end - offset)};
    return true;
}

// The header at `offset`, when it verifies and agrees with the name.
static bool read_header(Walk *walk, int64_t offset, uint64_t id, uint64_t first_sequence, bool *ok,
                        Error *err) {
    *ok = false;
    Bytes page;
    TRY(walk_view(walk, offset, SEGMENT_PAGE, &page, err));
    SegmentHeader header;
    Error why = {0};
    if (page.len > SEGMENT_PAGE) page.len = SEGMENT_PAGE;
    if (!segment_header_decode(page, &header, &why)) {
        if (why.code != ERROR_NEWER_FORMAT) return true;
        *err = why;
        return error_context(err, "%.*s", TEXT_ARG(walk->path));
    }
    if (header.id != id || header.first_sequence != first_sequence) return true;
    walk->header = header;
    *ok = true;
    return true;
}

static bool walk_begin(Walk *walk, uint64_t id, uint64_t first_sequence, bool *readable,
                       Error *err) {
    TRY(walk->disk->open(walk->disk, walk->path, FILE_READ_DIRECT, &walk->file, err));
    TRY(walk->disk->size(walk->disk, walk->file, &walk->file_bytes, err));
    TRY(read_header(walk, 0, id, first_sequence, readable, err));
    int64_t copy = walk->file_bytes / SEGMENT_PAGE * SEGMENT_PAGE - SEGMENT_PAGE;
    if (!*readable && copy > 0) TRY(read_header(walk, copy, id, first_sequence, readable, err));
    if (!*readable) return true;
    walk->at = SEGMENT_PAGE;
    walk->end = MIN(walk->file_bytes, walk->header.bytes - SEGMENT_PAGE);
    walk->expected = walk->header.first_sequence;
    return true;
}

bool walk_open(Disk *disk, Text path, uint64_t id, uint64_t first_sequence, Walk *out,
               bool *readable, Error *err) {
    *out = (Walk){.disk = disk, .path = path};
    *readable = false;
    if (walk_begin(out, id, first_sequence, readable, err)) return true;
    walk_close(out);
    return false;
}

void walk_close(Walk *walk) {
    tail_end(&walk->tail);
    ahead_end(&walk->ahead);
    if (walk->file != NULL) walk->disk->close(walk->disk, &walk->file);
    disk_buffer_free(&walk->window);
    walk->window_capacity = walk->window_len = 0;
}

static void stain(Walk *walk, int64_t to) {
    walk->stained = walk->seen = to;
}

// Moves *offset to the next place where a record of this segment may begin; false when there is
// none.
static bool find_mark(Walk *walk, int64_t *offset, bool *found, Error *err) {
    uint64_t mark = record_mark(walk->header.id);
    *found = false;
    while (*offset + RECORD_HEADER_BYTES <= walk->end) {
        if (walk->tail != NULL && *offset >= tail_bare_from(walk->tail)) return true;
        Bytes view;
        TRY(walk_view(walk, *offset, RECORD_HEADER_BYTES, &view, err));
        if (view.len < RECORD_HEADER_BYTES) return true;
        for (size_t i = 0; i + RECORD_HEADER_BYTES <= view.len;) {
            if (all_zeros(view.at + i)) {
                i += ZEROS_STEP;
                walk->seen = *offset += ZEROS_STEP;
                continue;
            }
            uint64_t here;
            memcpy(&here, view.at + i, sizeof here);
            if (here == mark) {
                *found = *offset + RECORD_HEADER_BYTES <= walk->end;
                return true;
            }
            i += RECORD_ALIGN;
            stain(walk, *offset += RECORD_ALIGN);
        }
    }
    return true;
}

int64_t walk_zero_from(const Walk *walk) {
    if (walk->tail == NULL) return walk->end;
    // Where both have met all of it is known.
    int64_t from = tail_zero_from(walk->tail);
    return from <= walk->seen ? MIN(from, walk->stained) : from;
}

// A verified record that this program does not know: to skip it would lose it silently (W23).
static bool check_known(const Walk *walk, const RecordHeader *record, int64_t offset, Error *err) {
    bool known =
        record->flags == 0 &&
        ((record->type >= LOG_RECORD_REMOTE_WRITE_1 && record->type <= LOG_RECORD_TYPE_MAX) ||
         record->type == RECORD_TYPE_END);
    if (known) return true;
    return error_set(err, ERROR_NEWER_FORMAT,
                     "%.*s: the record at offset %lld has type %u, flags %u, which need a newer "
                     "program than this",
                     TEXT_ARG(walk->path), (long long)offset, record->type, record->flags);
}

bool walk_next(Walk *walk, WalkStep *out, Error *err) {
    *out = (WalkStep){.expected_offset = walk->at};
    int64_t offset = walk->at;
    for (;;) {
        bool found;
        TRY(find_mark(walk, &offset, &found, err));
        if (!found) return true;
        Bytes view;
        RecordHeader record;
        TRY(walk_view(walk, offset, RECORD_HEADER_BYTES, &view, err));
        if (!record_header_decode(view.at, &walk->header, offset, &record)) {
            stain(walk, offset += RECORD_ALIGN);
            continue;
        }
        size_t payload_bytes = (size_t)record.refused_bytes + record.body_bytes;
        int64_t next = offset + (int64_t)record_bytes(payload_bytes);
        if (next > walk->end) {
            stain(walk, offset += RECORD_ALIGN);
            continue;
        }
        TRY(walk_view(walk, offset, RECORD_HEADER_BYTES + payload_bytes, &view, err));
        Bytes payload = {view.at + RECORD_HEADER_BYTES, payload_bytes};
        // A verified header with a broken payload: its length is true, so what it holds is not
        // searched.
        bool whole = view.len >= RECORD_HEADER_BYTES + payload_bytes &&
                     record_payload_crc(BYTES_NONE, payload) == record.payload_crc;
        if (!whole || record.sequence < walk->expected) {
            stain(walk, offset = next);
            continue;
        }
        TRY(check_known(walk, &record, offset, err));
        out->found = true;
        out->is_end_mark = record.type == RECORD_TYPE_END;
        out->group = record.group;
        out->offset = offset;
        out->next = next;
        out->record = (LogRecord){
            .sequence = record.sequence,
            .type = (LogRecordType)record.type,
            .tenant = record.tenant,
            .arrival_ms = record.arrival_ms,
            .refused = {payload.at, record.refused_bytes},
            .body = {payload.at + record.refused_bytes, record.body_bytes},
        };
        walk->at = next;
        stain(walk, next);
        walk->expected = record.sequence + (out->is_end_mark ? 0 : 1);
        return true;
    }
}
