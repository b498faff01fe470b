// Recovery over arbitrary bytes: never a crash, sequences only rise, a second reading gives the
// same, and the log takes records afterwards.
//
// The first byte chooses: 0 the bytes are the whole file; else they follow a valid header, and
// whatever begins with the mark of a record gets the right header checksum, so that fields behind
// it are reached.

#include "base/assert.h"
#include "base/test.h"
#include "os/disk_model.h"
#include "os/random.h"
#include "store/log/log.h"
#include "store/log/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_BYTES_MAX = 256 * KB };

typedef struct Seen {
    uint64_t last, count, digest;
} Seen;

static bool note(void *context, const LogRecord *record, Error *err) {
    Seen *seen = context;
    assert(record->sequence > seen->last);
    seen->last = record->sequence;
    seen->count++;
    // Touches every byte of the views, for the address sanitizer.
    seen->digest = hash_id(seen->digest ^ record->sequence) ^
                   record_payload_crc(record->refused, record->body);
    return true;
}

static Bytes build(const uint8_t *data, size_t size, Arena *arena) {
    if (size == 0 || data[0] == 0)
        return size == 0 ? BYTES_NONE : (Bytes){data + 1, MIN(size - 1, (size_t)FILE_BYTES_MAX)};
    size_t body = MIN(size - 1, (size_t)FILE_BYTES_MAX - 2 * SEGMENT_PAGE);
    size_t bytes = (size_t)page_round_up((int64_t)body) + 2 * SEGMENT_PAGE;
    uint8_t *file = arena_push_array(arena, uint8_t, bytes);
    SegmentHeader header = {
        .id = 1, .salt = 9, .first_sequence = 1, .proven_sequence = 1, .bytes = (int64_t)bytes};
    segment_header_encode(&header, file);
    if (body > 0) memcpy(file + SEGMENT_PAGE, data + 1, body);
    uint64_t mark = record_mark(1);
    for (size_t at = SEGMENT_PAGE; at + RECORD_HEADER_BYTES <= SEGMENT_PAGE + body;
         at += RECORD_ALIGN) {
        if (memcmp(file + at, &mark, 4) != 0) continue;
        RecordHeader record;
        record_header_peek(file + at, &record);
        if (data[0] % 2 == 0) {
            record.flags = 0;
            record.type = (uint16_t)(record.type % 2 + 1);
            size_t left = bytes - SEGMENT_PAGE - at - RECORD_HEADER_BYTES;
            if (record.refused_bytes <= left && record.body_bytes <= left - record.refused_bytes) {
                Bytes payload = {file + at + RECORD_HEADER_BYTES,
                                 (size_t)record.refused_bytes + record.body_bytes};
                record.payload_crc = record_payload_crc(BYTES_NONE, payload);
            }
        }
        record_header_encode(&record, &header, (int64_t)at, file + at);
    }
    return (Bytes){file, bytes};
}

// Opens and reads all; false when recovery refused, with a reason.
static bool read_all(Disk *disk, bool append, Seen *seen) {
    AUTO(arena_free) Arena arena = {0};
    ManualClock clock;
    clock_manual(&clock, 1700000000000);
    LogOptions options = {.disk = disk,
                          .clock = &clock.clock,
                          .folder = TEXT("log"),
                          .segment_bytes = 16 * KB,
                          .ballast_bytes = -1};
    LogRecovery recovery;
    Log *log = NULL;
    Error err = {0};
    *seen = (Seen){0};
    if (!log_open(options, &arena, &recovery, &log, &err)) {
        assert(err.code == ERROR_NEWER_FORMAT);
        return false;
    }
    bool ok = log_replay(log, 0, note, seen, &err);
    assert(ok && seen->count == recovery.records && seen->last < recovery.next_sequence);
    uint64_t sequence = 0;
    LogRecord record = {.type = LOG_RECORD_SAMPLES, .tenant = 1, .body = text_bytes(TEXT("new"))};
    if (append) {
        ok = log_append(log, &record, &sequence, &err) && log_commit_now(log, &err);
        assert(ok && sequence == recovery.next_sequence);
    }
    log_close(&log);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    Error err = {0};
    DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    random_use_seed(3);
    bool ok = disk_make_folders(disk, TEXT("log"), &err) &&
              disk_replace(disk, TEXT("log"), TEXT("0000000000000001-0000000000000001.log"),
                           build(data, size, &arena), &err);
    assert(ok);
    Seen first, again;
    if (read_all(disk, false, &first)) {
        ok = read_all(disk, true, &again);
        assert(ok && again.count == first.count && again.digest == first.digest);
        ok = read_all(disk, false, &again);
        assert(ok && again.count == first.count + 1);
    }
    disk_model_free(&model);
    return 0;
}
