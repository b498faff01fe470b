// Recovery: what the segments hold, what they have lost, and a durable end behind which nothing
// comes back.
//
// Nothing is written before all segments have been read, and what is written then (zeros behind the
// cut, the last group once more, syncs) leaves the same answer to the next reader: a crash in here
// is harmless.

#include <stdlib.h>

#include "base/limits.h"
#include "store/log/inside.h"
#include "store/log/walk.h"

// A segment on the way to be judged.
typedef struct Found {
    Segment segment;
    Text path;
    bool readable;         // its header or the copy of it
    uint64_t proven;       // of the header, as the next
    int64_t stated_bytes;  // 0 when the header cannot be read
    uint64_t void_from;    // records from here on were written again in a later segment
} Found;

// How far the reading has come, over all segments.
typedef struct Scan {
    Log *log;
    Arena *arena;  // for gaps; NULL when they are not wanted
    Found *found;
    size_t count;
    uint64_t expected;  // 0 before the first segment
    int64_t last_ms;
    uint64_t records;
    ARRAY(LogGap) gaps;
    // Of the segment read last:
    uint64_t group_last;     // the last group's number, 0 when it holds none
    int64_t group_offset;    // where that group begins
    int64_t cut;             // behind its last whole record
    int64_t zero_from;       // from here to its end there are zeros, as far as is known
    bool orderly;            // it ends with an end mark
    int64_t segments_bytes;  // of the segments before it
    // For replay:
    uint64_t from, until;
    bool (*each)(void *context, const LogRecord *record, Error *err);
    void *context;
} Scan;

Text log_path(const Log *log, Text name, Arena *arena) {
    return text_format(arena, "%.*s/%.*s", TEXT_ARG(log->folder), TEXT_ARG(name));
}

static bool found_begin(Log *log, Segment segment, Arena *arena, Found *out, Error *err) {
    *out = (Found){.segment = segment, .void_from = UINT64_MAX};
    out->path = log_path(log, segment_name(segment.id, segment.first_sequence, arena), arena);
    AUTO(walk_close) Walk walk = {.disk = log->disk};
    TRY(walk_open(log->disk, out->path, segment.id, segment.first_sequence, &walk, &out->readable,
                  err));
    out->segment.bytes = walk.file_bytes;
    if (out->readable) {
        out->proven = walk.header.proven_sequence;
        out->stated_bytes = walk.header.bytes;
    }
    return true;
}

static void add_gap(Scan *scan, uint64_t first, uint64_t last, int64_t ms, const Found *found,
                    int64_t offset, int64_t bytes, bool proven) {
    if (scan->arena == NULL) return;
    *array_add_on(scan->arena, &scan->gaps) = (LogGap){
        .first_sequence = first,
        .last_sequence = last,
        .first_ms = scan->last_ms == 0 ? ms : scan->last_ms,
        .last_ms = ms == 0 ? scan->last_ms : ms,
        .file = text_copy(found->path, scan->arena),
        .offset = offset,
        .bytes = bytes,
        .proven = proven,
    };
}

static bool take_record(Scan *scan, const Found *found, const WalkStep *step, Error *err) {
    const LogRecord *record = &step->record;
    if (record->sequence > scan->expected) {
        // Not proven yet: a later group of this segment, or the next header, may still do so.
        add_gap(scan, scan->expected, record->sequence - 1, record->arrival_ms, found,
                step->expected_offset, step->offset - step->expected_offset, false);
    }
    if (step->group != scan->group_last) scan->group_offset = step->offset;
    scan->group_last = step->group;
    scan->cut = step->next;
    scan->orderly = step->is_end_mark;
    scan->expected = record->sequence;
    if (step->is_end_mark) return true;
    scan->expected++;
    scan->last_ms = record->arrival_ms;
    atomic_store_explicit(&scan->log->recovered_bytes, scan->segments_bytes + step->next,
                          memory_order_relaxed);
    scan->records++;
    if (scan->each == NULL || record->sequence < scan->from) return true;
    return scan->each(scan->context, record, err);
}

static bool scan_next(Scan *scan, const Found *found, Walk *walk, bool *more, Error *err) {
    WalkStep step;
    TRY(walk_next(walk, &step, err));
    *more = step.found && step.record.sequence <= found->void_from &&
            (step.record.sequence < found->void_from || step.is_end_mark);
    if (!*more) return true;
    // The mark of an orderly end is the last that was written to this file.
    *more = !step.is_end_mark;
    return take_record(scan, found, &step, err);
}

static bool scan_segment(Scan *scan, const Found *found, Error *err) {
    AUTO(walk_close) Walk walk = {.disk = scan->log->disk};
    bool readable;
    TRY(walk_open(scan->log->disk, found->path, found->segment.id, found->segment.first_sequence,
                  &walk, &readable, err));
    if (!readable)
        return error_set(err, ERROR_IO, "%.*s changed while it was read", TEXT_ARG(found->path));
    walk.reads_ahead = true;
    scan->group_last = 0;
    scan->cut = scan->group_offset = SEGMENT_PAGE;
    scan->orderly = false;
    bool more = true;
    while (more && scan->expected < scan->until) TRY(scan_next(scan, found, &walk, &more, err));
    scan->zero_from = walk_zero_from(&walk);
    return true;
}

// Closes the books of found[i]: which of its gaps are proven, and what is missing up to the next
// one.
static void judge_segment(Scan *scan, size_t i, size_t first_gap) {
    const Found *found = &scan->found[i], *next = i + 1 < scan->count ? &scan->found[i + 1] : NULL;
    uint64_t proven = found->readable ? scan->group_last : 0;
    if (next != NULL)
        proven = MAX(proven, next->readable ? next->proven : next->segment.first_sequence);
    for (size_t at = first_gap; at < scan->gaps.count; at++) {
        LogGap *gap = &scan->gaps.at[at];
        gap->proven = gap->first_sequence < proven;
    }
    if (next != NULL && next->segment.first_sequence > scan->expected) {
        int64_t from = found->readable ? scan->cut : 0;
        add_gap(scan, scan->expected, next->segment.first_sequence - 1, 0, found, from,
                MAX(found->segment.bytes - from, (int64_t)0), scan->expected < proven);
        scan->expected = next->segment.first_sequence;
    }
    // A segment had its full size before it had its name, so a shorter one has lost its end. That
    // may have held any number of acknowledged records: pass over all it had room for.
    bool end_lost =
        !found->readable || (found->segment.bytes < found->stated_bytes && !scan->orderly);
    if (next == NULL && end_lost) {
        int64_t from = found->readable ? scan->cut : 0;
        int64_t bytes = MAX(found->segment.bytes, found->stated_bytes);
        uint64_t room = (uint64_t)MAX(bytes, LIMIT_LOG_SEGMENT_BYTES) / RECORD_HEADER_BYTES;
        add_gap(scan, scan->expected, scan->expected + room - 1, 0, found, from,
                MAX(found->segment.bytes - from, (int64_t)0), true);
        scan->expected += room;
    }
}

static bool scan_all(Scan *scan, SegmentArray segments, Arena *scratch, Error *err) {
    scan->found = arena_push_array(scratch, Found, segments.count);
    scan->count = segments.count;
    for (size_t i = 0; i < segments.count; i++) {
        TRY(found_begin(scan->log, segments.at[i], scratch, &scan->found[i], err));
    }
    uint64_t void_from = UINT64_MAX;
    for (size_t i = segments.count; i-- > 0;) {
        scan->found[i].void_from = void_from;
        void_from = MIN(void_from, segments.at[i].first_sequence);
    }
    for (size_t i = 0; i < segments.count; i++) {
        const Found *found = &scan->found[i];
        if (scan->expected == 0) scan->expected = found->segment.first_sequence;
        size_t first_gap = scan->gaps.count;
        // A whole segment may be void; then the next ones tell where it goes on.
        if (found->readable && found->segment.first_sequence < found->void_from)
            TRY(scan_segment(scan, found, err));
        judge_segment(scan, i, first_gap);
        scan->segments_bytes += found->segment.bytes;
        if (scan->expected >= scan->until) break;
    }
    return true;
}

bool recovery_replay(Log *log, SegmentArray segments, uint64_t from, uint64_t until,
                     bool (*each)(void *context, const LogRecord *record, Error *err),
                     void *context, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    // Segments that end before `from` are not even opened.
    while (segments.count > 1 && segments.at[1].first_sequence <= from) {
        segments.at++;
        segments.count--;
    }
    Scan scan = {.log = log, .from = from, .until = until, .each = each, .context = context};
    return scan_all(&scan, segments, &scratch, err);
}

// The last group was perhaps never synced, and a page cache that lost it may still show it (W8,
// W9): the same bytes are written again, so that what is replayed now is there after the next crash
// too.
static bool rewrite_last_group(const Scan *scan, Walk *walk, File *file, Error *err) {
    Disk *disk = scan->log->disk;
    int64_t from = scan->group_offset / SEGMENT_PAGE * SEGMENT_PAGE, to = page_round_up(scan->cut);
    if (scan->group_last == 0) return true;
    for (int64_t at = from; at < to; at += SEGMENT_PAGE) {
        Bytes page;
        TRY(walk_view(walk, at, SEGMENT_PAGE, &page, err));
        if (page.len < SEGMENT_PAGE) return true;  // a truncated file keeps what it has
        int64_t whole = MIN((int64_t)(page.len / SEGMENT_PAGE * SEGMENT_PAGE), to - at);
        // The window begins on a page, so this address is aligned as O_DIRECT wants it.
        TRY(disk->write(disk, file, at, page.at, (size_t)whole, err));
        at += whole - SEGMENT_PAGE;
    }
    return true;
}

static bool is_zero(const uint8_t *at, size_t len) {
    return len == 0 || (at[0] == 0 && memcmp(at, at + 1, len - 1) == 0);
}

// Zeros the pages behind the cut, as far as one group can reach (W7). A page with a whole record in
// it stays. Those of a recycled file are all to be written, so what lies together is written at
// once.
static bool zero_tail(const Scan *scan, Walk *walk, File *file, int64_t *cut_bytes, Error *err) {
    int64_t from = page_round_up(scan->cut);
    int64_t to = MIN(walk->end, from + page_round_up(LIMIT_LOG_GROUP_BYTES +
                                                     LIMIT_LOG_RECORD_BYTES + SEGMENT_PAGE));
    to = MIN(to, page_round_up(scan->zero_from));
    Bytes rest;
    TRY(walk_view(walk, scan->cut, (size_t)(from - scan->cut), &rest, err));
    size_t rest_len = MIN(rest.len, (size_t)(from - scan->cut));
    if (!is_zero(rest.at, rest_len)) *cut_bytes += (int64_t)rest_len;
    int64_t at = from, stained = from;  // pages from `stained` to `at` are not zero
    for (; at + SEGMENT_PAGE <= to; at += SEGMENT_PAGE) {
        Bytes page;
        TRY(walk_view(walk, at, SEGMENT_PAGE, &page, err));
        if (page.len >= SEGMENT_PAGE && !is_zero(page.at, SEGMENT_PAGE)) {
            *cut_bytes += SEGMENT_PAGE;
            continue;
        }
        if (stained < at) TRY(write_zeros(scan->log, file, stained, at, err));
        stained = at + SEGMENT_PAGE;
    }
    return stained == at || write_zeros(scan->log, file, stained, at, err);
}

typedef struct OpenFile {
    Disk *disk;
    File *file;
} OpenFile;

static void open_file_close(OpenFile *open) {
    open->disk->close(open->disk, &open->file);
}

static bool settle_tail(const Scan *scan, const Found *last, int64_t *cut_bytes, Error *err) {
    Disk *disk = scan->log->disk;
    AUTO(walk_close) Walk walk = {.disk = disk};
    bool readable;
    TRY(walk_open(disk, last->path, last->segment.id, last->segment.first_sequence, &walk,
                  &readable, err));
    AUTO(open_file_close) OpenFile open = {disk, NULL};
    TRY(disk->open(disk, last->path, FILE_WRITE_DIRECT, &open.file, err));
    TRY(rewrite_last_group(scan, &walk, open.file, err));
    TRY(zero_tail(scan, &walk, open.file, cut_bytes, err));
    return disk->sync_data(disk, open.file, err);
}

// The same bytes are written over themselves, but not every file system puts them in the same
// place: on a full disk they may need what is kept aside (W12).
static bool settle_tail_with_room(const Scan *scan, const Found *last, int64_t *cut_bytes,
                                  Error *err) {
    if (settle_tail(scan, last, cut_bytes, err)) return true;
    if (err->code != ERROR_DISK_FULL || !ballast_release(scan->log)) return false;
    *cut_bytes = 0;
    return settle_tail(scan, last, cut_bytes, err);
}

static int compare_segments(const void *a, const void *b) {
    uint64_t left = ((const Segment *)a)->id, right = ((const Segment *)b)->id;
    return left < right ? -1 : left > right;
}

static int compare_spares(const void *a, const void *b) {
    uint64_t left = ((const Spare *)a)->id, right = ((const Spare *)b)->id;
    return left < right ? -1 : left > right;
}

// Sorts the folder's files into segments and spares. A spare of odd size was never finished: it
// goes.
static bool list_files(Log *log, Arena *scratch, Error *err) {
    DiskEntries entries;
    TRY(log->disk->list(log->disk, log->folder, scratch, &entries, err));
    log->next_id = 1;
    for (size_t i = 0; i < entries.count; i++) {
        const DiskEntry *entry = &entries.at[i];
        uint64_t id, first_sequence;
        if (entry->is_folder) continue;
        if (segment_name_parse(entry->name, &id, &first_sequence)) {
            *array_add(&log->segments) = (Segment){id, first_sequence, entry->bytes};
        } else if (segment_spare_name_parse(entry->name, &id)) {
            bool useful = entry->bytes >= 3 * SEGMENT_PAGE && entry->bytes % SEGMENT_PAGE == 0 &&
                          log->spares.count < SPARES_MAX;
            if (useful) {
                *array_add(&log->spares) = (Spare){id, entry->bytes};
            } else {
                (void)log->disk->remove(log->disk, log_path(log, entry->name, scratch), NULL);
            }
        } else {
            continue;
        }
        if (id >= log->next_id && id < UINT64_MAX) log->next_id = id + 1;
    }
    if (log->segments.count > 1) {
        qsort(log->segments.at, log->segments.count, sizeof *log->segments.at, compare_segments);
    }
    if (log->spares.count > 1)
        qsort(log->spares.at, log->spares.count, sizeof *log->spares.at, compare_spares);
    return true;
}

// A spare below the newest segment's id would come before it in the order of reading: it goes.
static void drop_low_spares(Log *log, Arena *scratch) {
    uint64_t newest = log->segments.count == 0 ? 0 : log->segments.at[log->segments.count - 1].id;
    size_t kept = 0;
    for (size_t i = 0; i < log->spares.count; i++) {
        Spare spare = log->spares.at[i];
        if (spare.id > newest) {
            log->spares.at[kept++] = spare;
        } else {
            (void)log->disk->remove(
                log->disk, log_path(log, segment_spare_name(spare.id, scratch), scratch), NULL);
        }
    }
    log->spares.count = kept;
}

bool recovery_list(Log *log, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    TRY(list_files(log, &scratch, err));
    drop_low_spares(log, &scratch);
    int64_t bytes = 0;
    for (size_t i = 0; i < log->segments.count; i++) bytes += log->segments.at[i].bytes;
    atomic_store(&log->recover_bytes, bytes);
    return true;
}

bool recovery_run(Log *log, uint64_t from,
                  bool (*each)(void *context, const LogRecord *record, Error *err), void *context,
                  Arena *arena, LogRecovery *out, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    Scan scan = {.log = log,
                 .arena = arena,
                 .from = from,
                 .until = UINT64_MAX,
                 .each = each,
                 .context = context};
    int64_t cut_bytes = 0;
    TRY(scan_all(&scan, log->segments, &scratch, err));
    if (scan.expected == 0) scan.expected = 1;
    log->proven_sequence = scan.expected;
    if (scan.count > 0) {
        const Found *last = &scan.found[scan.count - 1];
        if (last->readable) {
            log->proven_sequence =
                scan.orderly ? scan.expected : MAX(scan.group_last, last->proven);
            if (!scan.orderly) TRY(settle_tail_with_room(&scan, last, &cut_bytes, err));
        }
        // Names that only the cache knows, after kill -9, become durable with what they hold (W1).
        TRY(log->disk->sync_folder(log->disk, log->folder, err));
    }
    // The server asks for the log's state while it is read.
    mutex_take(&log->buffer);
    log->next_sequence = log->durable_sequence = scan.expected;
    log->newest_bytes = scan.count > 0 ? scan.cut : 0;
    mutex_give(&log->buffer);
    log->recovered = true;
    *out = (LogRecovery){
        .first_sequence = scan.count > 0 ? log->segments.at[0].first_sequence : scan.expected,
        .next_sequence = scan.expected,
        .records = scan.records,
        .gaps = scan.gaps.at,
        .gap_count = scan.gaps.count,
        .bytes_cut = cut_bytes,
    };
    return true;
}
