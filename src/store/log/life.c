// The oracle of the log's tests.

#include "store/log/life.h"

#include "base/assert.h"

#define FOLDER TEXT("data/log")

void life_begin(Life *life, Disk *disk) {
    *life = (Life){.disk = disk, .segment_bytes = 32 * KB};
    clock_manual(&life->clock, 1700000000000);
}

void life_end(Life *life) {
    life_close(life);
    array_free(&life->given);
    arena_free(&life->arena);
}

void life_copy(const Life *from, Disk *disk, Life *out) {
    life_begin(out, disk);
    out->segment_bytes = from->segment_bytes;
    out->seeds = from->seeds + 1000;
    out->trimmed = from->trimmed;
    for (size_t i = 0; i < from->given.count; i++) *array_add(&out->given) = from->given.at[i];
}

bool life_open(Life *life, Error *err) {
    LogOptions options = {
        .disk = life->disk,
        .clock = &life->clock.clock,
        .folder = FOLDER,
        .segment_bytes = life->segment_bytes,
        .ballast_bytes = -1,
    };
    arena_clear(&life->arena);
    life->opened_at = life->given.count;
    TRY(log_open(options, &life->arena, &life->recovery, &life->log, err));
    log_plant(life->log, life->plant);
    return true;
}

void life_close(Life *life) {
    log_close(&life->log);
}

// The bytes that follow from a seed: the seed, then noise; its refused part is a few bytes of the
// same.
static LogRecord record_of(uint64_t seed, size_t body_bytes, uint8_t *into) {
    uint64_t state = seed * 2 + 1;
    size_t len = MAX(body_bytes, sizeof seed);
    for (size_t i = 0; i < len; i++) into[i] = (uint8_t)(test_random(&state) >> 32);
    memcpy(into, &seed, sizeof seed);
    return (LogRecord){
        .type = seed % 2 == 0 ? LOG_RECORD_REMOTE_WRITE_1 : LOG_RECORD_SAMPLES,
        .tenant = (uint32_t)(seed % 7 + 1),
        .arrival_ms = 1700000000000 + (int64_t)seed,
        .refused = {into, seed % 3},
        .body = {into, len},
    };
}

static bool same_record(const LogRecord *a, const LogRecord *b) {
    return a->type == b->type && a->tenant == b->tenant && a->arrival_ms == b->arrival_ms &&
           bytes_equal(a->refused, b->refused) && bytes_equal(a->body, b->body);
}

bool life_append(Life *life, size_t body_bytes, Error *err) {
    uint8_t *bytes = memory_take(MAX(body_bytes, (size_t)8));
    LogRecord record = record_of(++life->seeds, body_bytes, bytes);
    uint64_t sequence = 0;
    bool ok = log_append(life->log, &record, &sequence, err);
    memory_free(bytes);
    if (ok) *array_add(&life->given) = (Given){sequence, life->seeds, false};
    return ok;
}

static void note_acked(Life *life) {
    LogState state;
    log_state(life->log, &state);
    for (size_t i = life->opened_at; i < life->given.count; i++) {
        Given *given = &life->given.at[i];
        if (given->sequence < state.durable_sequence) given->acked = true;
    }
}

bool life_commit(Life *life, Error *err) {
    for (;;) {
        LogState state;
        log_state(life->log, &state);
        if (state.waiting_bytes == 0) return true;
        bool ok = log_commit_now(life->log, err);
        note_acked(life);
        TRY(ok);
    }
}

bool life_trim(Life *life, uint64_t sequence, Error *err) {
    life->trimmed = MAX(life->trimmed, sequence);
    return log_trim(life->log, sequence, err);
}

bool life_finish(Life *life, Error *err) {
    TRY(log_finish(life->log, err));
    LogState state;
    log_state(life->log, &state);
    return life_trim(life, state.durable_sequence, err);
}

static bool complain(Life *life, const char *complaint, Error *err) {
    life->complaint = complaint;
    return error_set(err, ERROR_CORRUPT, "%s", complaint);
}

typedef struct Judge {
    Life *life;
    uint64_t last, records;
    uint8_t *seen;  // per row of `given`
} Judge;

static bool judge_record(void *context, const LogRecord *record, Error *err) {
    Judge *judge = context;
    Life *life = judge->life;
    if (record->sequence <= judge->last) return complain(life, "records are out of order", err);
    judge->last = record->sequence;
    judge->records++;
    uint64_t seed = 0;
    if (record->body.len < sizeof seed) return complain(life, "a record was invented or cut", err);
    memcpy(&seed, record->body.at, sizeof seed);
    for (size_t i = 0; i < life->given.count; i++) {
        const Given *given = &life->given.at[i];
        if (given->sequence != record->sequence || given->seed != seed) continue;
        uint8_t *bytes = memory_take(record->body.len);
        LogRecord stated = record_of(seed, record->body.len, bytes);
        bool same = same_record(&stated, record);
        memory_free(bytes);
        if (!same) return complain(life, "a record was altered", err);
        judge->seen[i] = 1;
        return true;
    }
    return complain(life, "a record was invented", err);
}

static bool named_by_gap(const Life *life, uint64_t sequence, bool must_be_proven) {
    for (size_t i = 0; i < life->recovery.gap_count; i++) {
        const LogGap *gap = &life->recovery.gaps[i];
        if (gap->first_sequence <= sequence && sequence <= gap->last_sequence)
            return gap->proven || !must_be_proven;
    }
    return false;
}

static bool judge_all(Judge *judge, bool gaps_allowed, Error *err) {
    Life *life = judge->life;
    if (!log_replay(life->log, 0, judge_record, judge, err)) {
        return false;  // a complaint of judge_record, or a disk that fails
    }
    for (size_t i = 0; i < life->given.count; i++) {
        const Given *given = &life->given.at[i];
        if (!given->acked || judge->seen[i] || given->sequence < life->trimmed) continue;
        bool in_tail =
            given->sequence >= life->recovery.next_sequence && life->recovery.bytes_cut > 0;
        if (gaps_allowed && (named_by_gap(life, given->sequence, false) || in_tail)) continue;
        return complain(life, "an acknowledged record is lost", err);
    }
    for (size_t i = 0; i < life->recovery.gap_count && !gaps_allowed; i++) {
        const LogGap *gap = &life->recovery.gaps[i];
        if (gap->proven && gap->last_sequence >= life->trimmed)
            return complain(life, "a proven gap without a loss", err);
    }
    return true;
}

bool life_judge(Life *life, bool gaps_allowed, Error *err) {
    Judge judge = {.life = life, .seen = memory_take_zeroed(life->given.count)};
    life->complaint = NULL;
    bool ok = judge_all(&judge, gaps_allowed, err);
    memory_free(judge.seen);
    return ok;
}
