// Printing a segment for people: its header, its records, what is damaged.

#include "os/clock.h"
#include "store/log/walk.h"

static Text file_name(Text path) {
    for (size_t i = path.len; i > 0; i--) {
        if (path.at[i - 1] == '/') return text_slice(path, i, path.len);
    }
    return path;
}

static const char *type_name(uint16_t type) {
    switch (type) {
        case LOG_RECORD_REMOTE_WRITE_1:
            return "remote_write_1";
        case LOG_RECORD_SAMPLES:
            return "samples";
        case LOG_RECORD_REMOTE_WRITE_2:
            return "remote_write_2";
        case RECORD_TYPE_END:
            return "end_mark";
        default:
            return "unknown";
    }
}

static void print_header(const Walk *walk, Builder *out, Arena *arena) {
    const SegmentHeader *header = &walk->header;
    builder_addf(
        out,
        "segment %llu, version %d, %lld bytes, first record %llu, proven below %llu, begun %.*s\n",
        (unsigned long long)header->id, SEGMENT_VERSION, (long long)header->bytes,
        (unsigned long long)header->first_sequence, (unsigned long long)header->proven_sequence,
        TEXT_ARG(time_format_ms(header->created_ms, arena)));
    if (walk->file_bytes != header->bytes) {
        builder_addf(out, "DAMAGE: the file has %lld bytes\n", (long long)walk->file_bytes);
    }
}

static void print_record(const WalkStep *step, Builder *out, Arena *arena) {
    const LogRecord *record = &step->record;
    builder_addf(out,
                 "offset %lld: record %llu, group %llu, %s, tenant %u, arrived %.*s, refused %zu "
                 "bytes, body %zu bytes\n",
                 (long long)step->offset, (unsigned long long)record->sequence,
                 (unsigned long long)step->group, type_name((uint16_t)record->type), record->tenant,
                 TEXT_ARG(time_format_ms(record->arrival_ms, arena)), record->refused.len,
                 record->body.len);
}

static bool print_records(Walk *walk, Progress *progress, Builder *out, Error *err) {
    uint64_t records = 0;
    for (;;) {
        AUTO(arena_free) Arena arena = {0};
        WalkStep step;
        uint64_t expected = walk->expected;
        TRY(walk_next(walk, &step, err));
        if (!step.found) break;
        if (step.record.sequence > expected) {
            builder_addf(
                out, "DAMAGE: offset %lld, %lld bytes: records %llu to %llu cannot be read\n",
                (long long)step.expected_offset, (long long)(step.offset - step.expected_offset),
                (unsigned long long)expected, (unsigned long long)step.record.sequence - 1);
        }
        print_record(&step, out, &arena);
        progress_tell(progress, step.next, walk->file_bytes);
        if (!step.is_end_mark) records++;
    }
    builder_addf(out, "%llu records, the last one ends at offset %lld\n",
                 (unsigned long long)records, (long long)walk->at);
    return true;
}

bool log_inspect(Disk *disk, Text path, Progress *progress, Builder *out, Error *err) {
    uint64_t id, first_sequence;
    if (!segment_name_parse(file_name(path), &id, &first_sequence)) {
        return error_set(
            err, ERROR_BAD_INPUT,
            "%.*s: a segment of the log is named <id>-<sequence>.log, both of 16 hex digits",
            TEXT_ARG(path));
    }
    AUTO(arena_free) Arena arena = {0};
    AUTO(walk_close) Walk walk = {.disk = disk};
    bool readable;
    TRY(walk_open(disk, path, id, first_sequence, &walk, &readable, err));
    if (!readable) {
        builder_addf(
            out,
            "DAMAGE: the header of %.*s and its copy are both damaged; no record can be verified\n",
            TEXT_ARG(path));
        return true;
    }
    print_header(&walk, out, &arena);
    return print_records(&walk, progress, out, err);
}
