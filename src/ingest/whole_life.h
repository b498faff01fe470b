// A scripted life of the whole store, for suites that spoil it (tests only): batches, commits,
// heads that become blocks, deletes of what is in blocks and heads, merges, blocks written again
// without what was deleted, tiers, retention. Beside it a list of what may and what must be found.
//
// A step that fails is no end: the life may go on with the next, as a server would.
#pragma once

#include <stdio.h>
#include <unistd.h>

#include "base/test.h"
#include "ingest/ingest.h"
#include "os/disk_model.h"

enum { WHOLE_SERIES = 4, WHOLE_CELLS = 96 };

#define WHOLE_BASE_MS INT64_C(1763683200000)
#define WHOLE_HOUR_MS INT64_C(3600000)
#define WHOLE_FROM_MS (WHOLE_BASE_MS - 96 * WHOLE_HOUR_MS)
#define WHOLE_TO_MS   (WHOLE_BASE_MS + 96 * WHOLE_HOUR_MS)

typedef enum Known { KNOWN_NO, KNOWN_MAYBE, KNOWN_YES } Known;

// One time of one series. `again` is another value that was sent for it later.
typedef struct Cell {
    int series;
    int64_t time_ms, start_ms;
    double value, again;
    Known sent, sent_again, gone;  // YES: that was acknowledged
} Cell;

typedef struct WholeLife {
    Test *t;
    char catalog[64];
    ManualClock clock;
    LogDurability durability;
    bool ignores_errors;  // planted: acknowledges whatever was said
    bool no_tiers;        // planted: samples are let go and nothing is left of them
    int64_t series_max;   // of a block; 0: a day is one block, else it and its tiers are several
    IngestSender *sender;
    Store *store;
    Cell cells[WHOLE_CELLS];
    size_t cell_count;
    int batches;
} WholeLife;

static inline void whole_begin(WholeLife *life, Test *t, const char *name) {
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    life->t = t;
    snprintf(life->catalog, sizeof life->catalog, "%s/traceo-%s-%d.db", memory, name,
             (int)getpid());
    life->cell_count = 0;
    life->batches = 0;
    clock_manual(&life->clock, WHOLE_BASE_MS);
}

static inline void whole_close(WholeLife *life) {
    store_close(&life->store);
    ingest_sender_free(&life->sender);
}

static inline void whole_forget_catalog(WholeLife *life) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < COUNT(ends); i++) {
        char path[80];
        snprintf(path, sizeof path, "%s%s", life->catalog, ends[i]);
        unlink(path);
    }
}

static inline bool whole_open(WholeLife *life, Disk *disk, Error *err) {
    StoreOptions options = {
        .disk = disk,
        .clock = &life->clock.clock,
        .folder = TEXT("data"),
        .catalog_path = text_from_cstring(life->catalog),
        .hash_key = {1, 2},
        .durability = life->durability,
        .memory_limit = GB,
        .retention_ms = 72 * WHOLE_HOUR_MS,
        .tiers = {{.on = !life->no_tiers}, {.on = !life->no_tiers}},
        .log_segment_bytes = 64 * KB,
        .block_series_max = life->series_max,
        .block_cold_bytes = life->series_max == 0 ? 1 : 0,  // of all, or of none so small
    };
    life->sender = ingest_sender_new();
    if (store_open(options, &life->store, err) &&
        store_replay(life->store, ingest_replay, life->sender, err))
        return true;
    whole_close(life);
    return false;
}

static inline Labels whole_labels(Arena *arena, int series) {
    Label labels[] = {{LABEL_NAME, TEXT("m")}, {TEXT("series"), text_format(arena, "%d", series)}};
    Labels made = LABELS_NONE;
    Error err;
    bool done = labels_make(labels, 2, arena, &made, &err);
    (void)done;
    return made;
}

static inline Cell *whole_cell(WholeLife *life, int series, int64_t time_ms) {
    for (size_t i = 0; i < life->cell_count; i++) {
        Cell *cell = &life->cells[i];
        if (cell->series == series && cell->time_ms == time_ms) return cell;
    }
    return NULL;
}

static inline void whole_add(WholeLife *life, WriteBody *body, Arena *arena, int series,
                             int64_t time_ms) {
    Cell *cell = &life->cells[life->cell_count++];
    *cell = (Cell){.series = series,
                   .time_ms = time_ms,
                   .start_ms = series % 2 == 0 ? 0 : WHOLE_BASE_MS - WHOLE_HOUR_MS - series,
                   .value = life->batches * 10.25 + series,
                   .sent = KNOWN_MAYBE};
    write_body_add_since(body, whole_labels(arena, series), time_ms, cell->value, cell->start_ms);
}

static inline bool whole_send(WholeLife *life, const WriteBody *body, Error *err) {
    Tenant *tenant;
    IngestOutcome outcome;
    int64_t now_ms = life->clock.clock.wall_ms(&life->clock.clock);
    bool sent = store_tenant(life->store, TENANT_DEFAULT_NAME, true, &tenant, err) &&
                ingest_samples(life->store, tenant, life->sender, body, now_ms, &outcome, err);
    if (sent && outcome.first_fault.code != ERROR_NONE)
        sent = error_set(err, ERROR_BAD_INPUT, "refused: %s", outcome.first_fault.message);
    return (sent && store_commit_now(life->store, err)) || life->ignores_errors;
}

// A batch of all series now; the very first brings samples that retention will let go.
static inline bool whole_write(WholeLife *life, Error *err) {
    AUTO(write_body_free) WriteBody body = {0};
    AUTO(arena_free) Arena arena = {0};
    size_t first = life->cell_count;
    clock_advance(&life->clock, 15000);
    int64_t now_ms = life->clock.clock.wall_ms(&life->clock.clock);
    for (int i = 0; i < 2 && life->batches == 0; i++)
        whole_add(life, &body, &arena, i == 0 ? 3 : 0, WHOLE_BASE_MS - (60 - i) * WHOLE_HOUR_MS);
    for (int i = 0; i < WHOLE_SERIES; i++) whole_add(life, &body, &arena, i, now_ms);
    life->batches++;
    TRY(whole_send(life, &body, err));
    for (size_t i = first; i < life->cell_count; i++) life->cells[i].sent = KNOWN_YES;
    return true;
}

// Another value for a time that was deleted.
static inline bool whole_write_again(WholeLife *life, int series, size_t nth, Error *err) {
    AUTO(write_body_free) WriteBody body = {0};
    AUTO(arena_free) Arena arena = {0};
    for (size_t i = 0; i < life->cell_count; i++) {
        Cell *cell = &life->cells[i];
        if (cell->series != series || nth-- > 0) continue;
        cell->again = cell->value + 0.125;
        cell->sent_again = KNOWN_MAYBE;
        write_body_add_since(&body, whole_labels(&arena, series), cell->time_ms, cell->again,
                             cell->start_ms);
        TRY(whole_send(life, &body, err));
        cell->sent_again = KNOWN_YES;
        return true;
    }
    return true;
}

// Samples number `from` to `to` of a series.
static inline bool whole_delete(WholeLife *life, int series, size_t from, size_t to, Error *err) {
    Tenant *tenant;
    AUTO(arena_free) Arena arena = {0};
    Matcher matcher = {MATCH_EQUAL, TEXT("series"), text_format(&arena, "%d", series), NULL};
    Matchers matchers = {&matcher, 1};
    int64_t from_ms = INT64_MAX, to_ms = INT64_MIN;
    size_t number = 0;
    for (size_t i = 0; i < life->cell_count; i++) {
        Cell *cell = &life->cells[i];
        if (cell->series != series || number++ < from || number > to + 1) continue;
        from_ms = MIN(from_ms, cell->time_ms);
        to_ms = MAX(to_ms, cell->time_ms);
        if (cell->gone == KNOWN_NO) cell->gone = KNOWN_MAYBE;
    }
    if (from_ms > to_ms) return true;
    TRY(store_tenant(life->store, TENANT_DEFAULT_NAME, true, &tenant, err));
    TRY(store_delete(life->store, tenant, &matchers, 1, from_ms, to_ms, err));
    for (size_t i = 0; i < life->cell_count; i++) {
        Cell *cell = &life->cells[i];
        if (cell->series == series && cell->time_ms >= from_ms && cell->time_ms <= to_ms)
            cell->gone = KNOWN_YES;
    }
    return true;
}

static inline bool whole_clean(WholeLife *life, Error *err) {
    Tenant *tenant;
    TRY(store_tenant(life->store, TENANT_DEFAULT_NAME, true, &tenant, err));
    return store_clean_deletes(life->store, tenant, err);
}

static inline void whole_age(WholeLife *life) {
    for (int i = 0; i < 20; i++) clock_advance(&life->clock, WHOLE_HOUR_MS);
    for (size_t i = 0; i < life->cell_count; i++) {
        Cell *cell = &life->cells[i];
        bool old = cell->time_ms < WHOLE_BASE_MS - 48 * WHOLE_HOUR_MS;
        if (old && cell->gone == KNOWN_NO) cell->gone = KNOWN_MAYBE;
    }
}

// w: a batch, f: heads to blocks, m: a round of housekeeping, d and D: deletes, a: again, c: blocks
// without what was deleted, h: hours pass.
#define WHOLE_SCRIPT "wwmfwwdfwwfwwfwwmfmwaDwfcwfmhwmwfmw"

static inline bool whole_step(WholeLife *life, char step, Error *err) {
    switch (step) {
        case 'w':
            return whole_write(life, err);
        case 'f':
            return store_flush(life->store, err);
        case 'm':
            return store_maintain(life->store, err);
        case 'd':
            return whole_delete(life, 1, 1, 3, err);
        case 'D':
            return whole_delete(life, 2, 0, 99, err);
        case 'a':
            return whole_write_again(life, 1, 2, err);
        case 'c':
            return whole_clean(life, err);
        case 'h':
            whole_age(life);
            return true;
    }
    return error_set(err, ERROR_BAD_INPUT, "no step is called %c", step);
}

// The first samples are let go by retention when their tiers are there: they are in one or the
// other.
static inline bool whole_is_kept(const Cell *cell) {
    return cell->sent == KNOWN_YES && cell->time_ms < WHOLE_BASE_MS - 48 * WHOLE_HOUR_MS;
}

// The windows of one series that answer in place of samples: none has what nobody sent. `seen`:
// whatever may be in one.
static inline const char *whole_windows_wrong(WholeLife *life, SeriesCursor *cursor,
                                              const SeriesFound *found, int series, bool *seen,
                                              bool *refused, Arena *arena) {
    Error err = {0};
    SeriesParts parts = {0};
    SeriesColumns samples = {0};
    const char *error = NULL;
    if (!series_read_parts(cursor, found, WHOLE_FROM_MS, WHOLE_TO_MS, UINT32_MAX, &parts, &samples,
                           &err)) {
        *refused = true;
        error = text_format(arena, "reading tiers: %s", err.message).at;
    }
    for (size_t i = 0; i < parts.count && error == NULL; i++) {
        if (parts.tiers_ms[i] == 0) continue;
        double count = 0;
        bool known = false;
        for (size_t k = 0; k < life->cell_count; k++) {
            const Cell *cell = &life->cells[k];
            if (cell->series != series || cell->time_ms > parts.ends_ms[i] ||
                cell->time_ms <= parts.ends_ms[i] - parts.tiers_ms[i])
                continue;
            count += cell->sent != KNOWN_NO || cell->sent_again != KNOWN_NO;
            known |= parts.of[WINDOW_FIRST][i] == cell->value ||
                     parts.of[WINDOW_FIRST][i] == cell->again;
            seen[k] |= parts.of[WINDOW_COUNT][i] > 0;
        }
        if (parts.of[WINDOW_COUNT][i] > count) error = "a window has more samples than were sent";
        if (parts.of[WINDOW_COUNT][i] > 0 && !known) error = "a window begins with another value";
    }
    series_parts_free(&parts);
    series_columns_free(&samples);
    return error;
}

// *refused: the store said that it cannot tell.
static inline const char *whole_tiers_wrong(WholeLife *life, Tenant *tenant, bool *seen,
                                            bool *refused, Arena *arena) {
    Error err = {0};
    AUTO(series_view_close) SeriesView *view = NULL;
    SeriesFoundList found = {0};
    if (!series_view_open(tenant->series, WHOLE_FROM_MS, WHOLE_TO_MS, &view, &err))
        return text_format(arena, "asking tiers: %s", err.message).at;
    if (!series_view_add_tiers(view, tenant->series, series_tiers_ms[0])) return NULL;
    if (!series_select_tiers(view, (Matchers){0}, 0, arena, &found, &err)) {
        *refused = true;
        return text_format(arena, "asking tiers: %s", err.message).at;
    }
    AUTO(series_cursor_close) SeriesCursor *cursor = series_cursor_open(view);
    const char *error = NULL;
    for (size_t i = 0; i < found.count && error == NULL; i++) {
        uint64_t series = WHOLE_SERIES;
        if (!text_to_u64(labels_get(found.at[i].labels, TEXT("series")), &series) ||
            series >= WHOLE_SERIES)
            return "a series is in tiers that nobody sent";
        error = whole_windows_wrong(life, cursor, &found.at[i], (int)series, seen, refused, arena);
    }
    return error;
}

// Asks the open store for everything. A sentence about the first thing that is wrong, or NULL.
// `damaged`: what is missing is fine when the answer says that something is (*said).
static inline const char *whole_wrong(WholeLife *life, bool damaged, const char **said,
                                      Arena *arena) {
    Error err = {0};
    Tenant *tenant;
    AUTO(series_view_close) SeriesView *view = NULL;
    if (!store_tenant(life->store, TENANT_DEFAULT_NAME, true, &tenant, &err) ||
        !series_view_open(tenant->series, WHOLE_FROM_MS, WHOLE_TO_MS, &view, &err)) {
        const char *error = text_format(arena, "asking: %s", err.message).at;
        if (said != NULL) *said = error;
        return damaged ? NULL : error;
    }
    AUTO(series_cursor_close) SeriesCursor *cursor = series_cursor_open(view);
    AUTO(series_columns_free) SeriesColumns columns = {.wants_starts = true};
    bool seen[WHOLE_CELLS] = {false};
    const char *error = NULL;
    SeriesFoundList found = {0};
    if (!series_select(view, (Matchers){0}, 0, arena, &found, &err))
        error = text_format(arena, "select: %s", err.message).at;
    for (size_t k = 0; error == NULL && k < found.count; k++) {
        uint64_t series = WHOLE_SERIES;
        Labels labels = found.at[k].labels;
        if (!text_to_u64(labels_get(labels, TEXT("series")), &series) || series >= WHOLE_SERIES ||
            !text_equal(labels_get(labels, LABEL_NAME), TEXT("m")))
            return "a series is there that nobody sent";
        if (!series_read(cursor, &found.at[k], WHOLE_FROM_MS, WHOLE_TO_MS, &columns, &err)) {
            error = text_format(arena, "read: %s", err.message).at;
            break;
        }
        for (size_t s = 0; s < columns.count; s++) {
            Cell *cell = whole_cell(life, (int)series, columns.times[s]);
            if (cell == NULL) return "a sample is there that nobody sent";
            if (seen[cell - life->cells]) return "a sample is there twice";
            seen[cell - life->cells] = true;
            bool first = columns.values[s] == cell->value && cell->sent != KNOWN_NO;
            bool again = cell->sent_again != KNOWN_NO && columns.values[s] == cell->again;
            if (first && cell->gone == KNOWN_YES) return "a deleted sample is there";
            if (!first && !again) return "a sample is altered";
            if ((columns.has_starts ? columns.starts[s] : 0) != cell->start_ms)
                return "a sample has another start";
        }
    }
    Texts warnings = series_view_warnings(view);
    if (error == NULL && warnings.count > 0)
        error = text_format(arena, "a warning: %.*s", TEXT_ARG(warnings.at[0])).at;
    if (said != NULL) *said = error;
    if (error != NULL) return damaged ? NULL : error;
    for (size_t i = 0; i < life->cell_count; i++) {
        Cell *cell = &life->cells[i];
        bool must =
            (cell->sent == KNOWN_YES && cell->gone == KNOWN_NO) || cell->sent_again == KNOWN_YES;
        if (must && !seen[i])
            return text_format(arena, "series %d at %lld was acknowledged and is lost",
                               cell->series, (long long)(cell->time_ms - WHOLE_BASE_MS))
                .at;
    }
    bool refused = false;
    error = whole_tiers_wrong(life, tenant, seen, &refused, arena);
    if (refused) {
        if (said != NULL) *said = error;
        return damaged ? NULL : error;
    }
    for (size_t i = 0; i < life->cell_count && error == NULL; i++) {
        if (whole_is_kept(&life->cells[i]) && !seen[i])
            error = "an old sample is let go and no tier has it";
    }
    return error;
}

// The same after opening what a disk holds.
static inline const char *whole_wrong_after(WholeLife *life, Disk *disk, Arena *arena) {
    Error err = {0};
    if (!whole_open(life, disk, &err))
        return text_format(arena, "it does not open: %s", err.message).at;
    const char *wrong = whole_wrong(life, false, NULL, arena);
    whole_close(life);
    return wrong;
}
