// Replay: one thread reads and verifies the log, several bring its records back into the heads.
//
//   reader ──> part 7 │ part 8 │ part 9 ──> workers: decode, recognise ──> in turn ──> append
//
// What decides alike must be decided in the order of the log: which of two samples of one time
// stays, which metadata is newest. So a worker looks, once it knows which series its part touches,
// whether any earlier part that is still under way touches one of them, and waits for that one. The
// marks are bits, by the series' number modulo TOUCHED_BITS: two series on one bit only wait for
// nothing. Metadata, which come with every request of remote write 2.0, are one more mark. What has
// histograms or exemplars, and small records, which travel together, wait for all before them, and
// all behind wait for them.
//
// Heads turn and are sealed while nothing is under way. A failure ends the replay: the error of the
// earliest part is told.

#include "store/replay.h"

#include "base/assert.h"
#include "base/log.h"

enum {
    SMALL_BYTES = 4 * KB,  // records below it are gathered
    PART_BYTES = 64 * KB,  // until a part is so large
    WAITING_BYTES_MAX = 8 * MB,
    // Parts under way together: that many, more with many workers, fewer where memory is short, as
    // what is new takes far more in the head than in the log; but two for each worker and two.
    PARTS = 64,
    PARTS_PER_WORKER = 8,
    MEMORY_PER_PART = 16 * MB,
    TOUCHED_BITS = 32 * 1024,
    TOUCHED_WORDS = TOUCHED_BITS / 64,
    TOUCHED_METADATA = TOUCHED_WORDS,  // a word of its own, for all families together
    PART_KEPT_BYTES = 128 * KB,
};

typedef enum PartState {
    PART_FREE,
    PART_READY,     // filled
    PART_TAKEN,     // a worker has it; what it touches is not known yet
    PART_RESOLVED,  // `touched` says which series it adds to
} PartState;

// Records that follow each other in the log.
typedef struct Part {
    PartState state;
    bool alone;  // nothing else of its time is under way while it appends
    uint32_t tenant;
    Builder bytes;             // what the records view, once the part is full
    ARRAY(LogRecord) records;  // while it is being filled `at` is NULL in their views
    uint64_t touched[TOUCHED_WORDS + 1];
} Part;

typedef struct ReplayWorker {
    Replay *replay;
    void *context;
    Thread *thread;
} ReplayWorker;

struct Replay {
    Store *store;
    StoreReplay each;
    ReplayWorker workers[STORE_REPLAY_WORKERS_MAX];
    size_t worker_count;  // 0: the reader does it all

    Mutex lock;                    // STORE_REPLAY, guards what follows
    Condition filled, done, turn;  // for workers, for the reader, for who waits for earlier parts
    // Who waits at these. Nobody is woken in vain, nor with the lock held where it can be helped: a
    // wake costs as much as a hundred samples, and who is woken runs at once and wants the lock.
    size_t idle, turning;
    bool reader_waits, wants_drained;
    Part *parts;
    size_t part_count;
    bool begun;        // something is in the part that is being filled; the reader's
    uint64_t filling;  // numbers of parts; number n is parts[n % part_count]
    uint64_t next;     // to be taken
    uint64_t oldest;   // under way
    int64_t waiting_bytes;
    bool ended, failed;
    uint64_t failed_part;
    Error error;
};

static Part *part_at(Replay *replay, uint64_t number) {
    return &replay->parts[number % replay->part_count];
}

// ---- The order of appending ----

static bool touch_the_same(const Part *one, const Part *other) {
    if (one->alone || other->alone) return true;
    if (one->tenant != other->tenant) return false;
    uint64_t both = 0;
    for (size_t i = 0; i < COUNT(one->touched); i++) both |= one->touched[i] & other->touched[i];
    return both != 0;
}

// Under `lock`.
static bool must_wait(Replay *replay, uint64_t number) {
    if (replay->store->replay_plant == REPLAY_PLANT_NO_ORDER) return false;
    for (uint64_t i = replay->oldest; i < number; i++) {
        const Part *earlier = part_at(replay, i);
        if (earlier->state == PART_FREE) continue;
        if (earlier->state != PART_RESOLVED || touch_the_same(earlier, part_at(replay, number)))
            return true;
    }
    return false;
}

static bool wait_turn(Replay *replay, uint64_t number, Error *err) {
    mutex_take(&replay->lock);
    part_at(replay, number)->state = PART_RESOLVED;
    bool others = replay->turning > 0;
    while (!replay->failed && must_wait(replay, number)) {
        if (others) condition_wake_all(&replay->turn);
        others = false;
        replay->turning++;
        condition_wait(&replay->turn, &replay->lock);
        replay->turning--;
    }
    bool go_on = !replay->failed;
    mutex_give(&replay->lock);
    if (others) condition_wake_all(&replay->turn);
    return go_on || error_set(err, ERROR_CANCELLED, "the replay failed elsewhere");
}

// The part under way that has this record.
static uint64_t part_of(Replay *replay, uint64_t sequence) {
    mutex_take(&replay->lock);
    uint64_t number = replay->oldest;
    for (;; number++) {
        assert(number < replay->next);
        const Part *part = part_at(replay, number);
        if (part->state != PART_TAKEN && part->state != PART_RESOLVED) continue;
        size_t count = part->records.count;
        if (sequence >= part->records.at[0].sequence &&
            sequence <= part->records.at[count - 1].sequence)
            break;
    }
    mutex_give(&replay->lock);
    return number;
}

// Neighbours are in one word mostly, which is kept at hand.
typedef struct Touching {
    uint64_t *words, bits;
    uint32_t word;
} Touching;

static inline void touch(Touching *touching, uint32_t ref) {
    uint32_t word = ref / 64 % TOUCHED_WORDS;
    if (word != touching->word) {
        touching->words[touching->word] |= touching->bits;
        touching->word = word;
        touching->bits = 0;
    }
    touching->bits |= UINT64_C(1) << ref % 64;
}

static void touch_all(Part *part, const Batch *batch) {
    memset(part->touched, 0, sizeof part->touched);
    Touching touching = {.words = part->touched};
    for (size_t i = 0; i < batch->plain.count; i++) touch(&touching, batch->plain.at[i]);
    for (size_t i = 0; i < batch->series.count; i++) {
        const BatchSeries *row = &batch->series.at[i];
        if (row->verdict == VERDICT_STORED) touch(&touching, row->ref);
    }
    touching.words[touching.word] |= touching.bits;
}

bool replay_wait_turn(Replay *replay, const LogRecord *record, const Batch *batch, Error *err) {
    if (replay == NULL || replay->worker_count == 0) return true;
    uint64_t number = part_of(replay, record->sequence);
    Part *part = part_at(replay, number);
    if (part->alone) return true;  // it waited before it began
    touch_all(part, batch);
    part->touched[TOUCHED_METADATA] = batch->metadata.count > 0;
    part->alone = batch->histograms.count + batch->exemplars.count > 0;
    return wait_turn(replay, number, err);
}

// ---- Workers ----

static bool run_part(ReplayWorker *worker, uint64_t number, Error *err) {
    Replay *replay = worker->replay;
    Part *part = part_at(replay, number);
    if (part->alone) TRY(wait_turn(replay, number, err));
    for (size_t i = 0; i < part->records.count; i++) {
        TRY(replay->each(worker->context, replay->store, &part->records.at[i], err));
        atomic_fetch_add(&replay->store->replayed_records, 1);
    }
    return true;
}

// Under `lock`. The reader sleeps until there is much to do again.
static bool reader_goes_on(const Replay *replay) {
    uint64_t under_way = replay->filling - replay->oldest;
    bool low =
        under_way <= replay->part_count / 2 && replay->waiting_bytes <= WAITING_BYTES_MAX / 2;
    return replay->reader_waits &&
           (replay->failed || under_way == 0 || (low && !replay->wants_drained));
}

// Under `lock`.
static void part_done(Replay *replay, uint64_t number, bool fine, const Error *err) {
    Part *part = part_at(replay, number);
    replay->waiting_bytes -= (int64_t)part->bytes.len;
    part->state = PART_FREE;
    while (replay->oldest < replay->next && part_at(replay, replay->oldest)->state == PART_FREE)
        replay->oldest++;
    // Who waited in vain for its turn tells nothing.
    bool in_vain = replay->failed && !fine && err->code == ERROR_CANCELLED;
    if (fine || in_vain || (replay->failed && number > replay->failed_part)) return;
    replay->failed = true;
    replay->failed_part = number;
    replay->error = *err;
}

// The next part that nobody has; false when there will be none.
static bool take_part(Replay *replay, uint64_t *number) {
    while (!replay->ended && (replay->failed || replay->next == replay->filling)) {
        replay->idle++;
        condition_wait(&replay->filled, &replay->lock);
        replay->idle--;
    }
    if (replay->failed || replay->next == replay->filling) return false;
    *number = replay->next++;
    part_at(replay, *number)->state = PART_TAKEN;
    return true;
}

static void worker_run(void *context) {
    ReplayWorker *worker = context;
    Replay *replay = worker->replay;
    uint64_t number;
    mutex_take(&replay->lock);
    while (take_part(replay, &number)) {
        mutex_give(&replay->lock);
        UNFILLED Error err;
        bool fine = run_part(worker, number, &err);
        mutex_take(&replay->lock);
        part_done(replay, number, fine, &err);
        bool others = replay->turning > 0, reader = reader_goes_on(replay);
        if (!others && !reader) continue;
        mutex_give(&replay->lock);
        if (others) condition_wake_all(&replay->turn);
        if (reader) condition_wake_one(&replay->done);
        mutex_take(&replay->lock);
    }
    mutex_give(&replay->lock);
}

// ---- The reader ----

static bool fail_as_told(Replay *replay, Error *err) {
    *err = replay->error;
    return false;
}

// Hands over what was gathered, if anything was.
static void publish(Replay *replay) {
    if (!replay->begun) return;
    Part *part = part_at(replay, replay->filling);
    replay->begun = false;
    const uint8_t *at = (const uint8_t *)part->bytes.at;
    for (size_t i = 0; i < part->records.count; i++) {
        LogRecord *record = &part->records.at[i];
        record->refused.at = at;
        record->body.at = at + record->refused.len;
        at += record->refused.len + record->body.len;
    }
    part->alone = part->records.count > 1;
    part->tenant = part->records.at[0].tenant;
    mutex_take(&replay->lock);
    part->state = PART_READY;
    replay->waiting_bytes += (int64_t)part->bytes.len;
    replay->filling++;
    bool idle = replay->idle > 0;
    mutex_give(&replay->lock);
    if (idle) condition_wake_one(&replay->filled);
}

// Waits until the next part to fill is free, or until all are (`drained`).
static bool wait_free(Replay *replay, bool drained, Error *err) {
    mutex_take(&replay->lock);
    replay->wants_drained = drained;
    while (!replay->failed) {
        bool free = part_at(replay, replay->filling)->state == PART_FREE &&
                    replay->filling - replay->oldest < replay->part_count &&
                    replay->waiting_bytes < WAITING_BYTES_MAX;
        if (drained ? replay->oldest == replay->filling : free) break;
        replay->reader_waits = true;
        condition_wait(&replay->done, &replay->lock);
        replay->reader_waits = false;
    }
    bool fine = !replay->failed || fail_as_told(replay, err);
    mutex_give(&replay->lock);
    return fine;
}

static bool drain(Replay *replay, Error *err) {
    publish(replay);
    return wait_free(replay, true, err);
}

static void gather(Part *part, const LogRecord *record) {
    LogRecord *copy = array_add(&part->records);
    *copy = *record;
    builder_add_bytes(&part->bytes, record->refused.at, record->refused.len);
    builder_add_bytes(&part->bytes, record->body.at, record->body.len);
}

static bool hand_over(Replay *replay, const LogRecord *record, Error *err) {
    bool small = record->body.len < SMALL_BYTES;
    if (replay->begun) {
        const Part *part = part_at(replay, replay->filling);
        if (!small || part->bytes.len + record->body.len > PART_BYTES) publish(replay);
    }
    if (!replay->begun) {
        TRY(wait_free(replay, false, err));
        Part *part = part_at(replay, replay->filling);
        if (part->bytes.capacity > PART_KEPT_BYTES) builder_free(&part->bytes);
        builder_clear(&part->bytes);
        array_clear(&part->records);
        replay->begun = true;
    }
    gather(part_at(replay, replay->filling), record);
    if (!small) publish(replay);
    return true;
}

static bool apply(Replay *replay, const LogRecord *record, Error *err) {
    if (replay->worker_count > 0) return hand_over(replay, record, err);
    TRY(replay->each(replay->workers[0].context, replay->store, record, err));
    atomic_fetch_add(&replay->store->replayed_records, 1);
    return true;
}

// Start-up lives inside the memory limit too: what is full goes to disk before more is read.
static bool make_room(Replay *replay, SeriesStore *series, Error *err) {
    Store *store = replay->store;
    bool full = series_wants_turn(series);
    if (!full && !store_is_pressed(store)) return true;
    if (replay->worker_count > 0) TRY(drain(replay, err));
    if (!full) return store_relieve_memory(store, err);
    return series_turn(series, err) && series_seal(series, err);
}

static bool take_record(void *context, const LogRecord *record, Error *err) {
    Replay *replay = context;
    Store *store = replay->store;
    TenantPart *part = (TenantPart *)store_tenant_by_id(store, (TenantId){record->tenant});
    if (part == NULL) {
        // A tenant is made in the catalogue before its first record is logged, so this is damage of
        // the catalogue.
        return error_set(err, ERROR_CORRUPT,
                         "log record %llu is of tenant %u, which the catalogue does not know; was "
                         "catalog.db replaced?",
                         (unsigned long long)record->sequence, record->tenant);
    }
    if (record->sequence < part->sealed_sequence) return true;
    TRY(apply(replay, record, err));
    return make_room(replay, part->tenant.series, err);
}

static void replay_begin(Replay *replay) {
    mutex_begin(&replay->lock, LOCK_STORE_REPLAY);
    condition_begin(&replay->filled);
    condition_begin(&replay->done);
    condition_begin(&replay->turn);
}

// As many as can be had: without any the reader does their work.
static void start_workers(Replay *replay, void *const *contexts, size_t count) {
    replay->workers[0].context = contexts[0];
    if (count < 2) return;
    int64_t limit = replay->store->options.memory_limit;
    size_t most =
        MIN(MAX((size_t)PARTS, PARTS_PER_WORKER * count), (size_t)(limit / MEMORY_PER_PART));
    replay->part_count = MAX(most, 2 * count + 2);
    replay->parts = memory_take(array_bytes(replay->part_count, sizeof *replay->parts));
    memset(replay->parts, 0, replay->part_count * sizeof *replay->parts);
    for (size_t i = 0; i < count; i++) {
        ReplayWorker *worker = &replay->workers[replay->worker_count];
        *worker = (ReplayWorker){.replay = replay, .context = contexts[i]};
        Error why = {0};
        if (!thread_start("replay-part", worker_run, worker, &worker->thread, &why)) {
            log_warn("a thread for the replay cannot be had", LOG_ERR(&why));
            break;
        }
        replay->worker_count++;
    }
    replay->workers[0].context = contexts[0];
}

static void replay_end(Replay *replay) {
    mutex_take(&replay->lock);
    replay->ended = true;
    condition_wake_all(&replay->filled);
    mutex_give(&replay->lock);
    for (size_t i = 0; i < replay->worker_count; i++) thread_join(&replay->workers[i].thread);
    for (size_t i = 0; i < replay->part_count; i++) {
        builder_free(&replay->parts[i].bytes);
        array_free(&replay->parts[i].records);
    }
    memory_free(replay->parts);
    condition_end(&replay->filled);
    condition_end(&replay->done);
    condition_end(&replay->turn);
    mutex_end(&replay->lock);
}

bool replay_run(Store *store, uint64_t from, StoreReplay each, void *const *contexts, size_t count,
                Error *err) {
    assert(count >= 1 && count <= STORE_REPLAY_WORKERS_MAX);
    Replay *replay = memory_new(Replay);
    replay->store = store;
    replay->each = each;
    replay_begin(replay);
    start_workers(replay, contexts, count);
    store->replaying = replay;
    bool fine =
        log_recover(store->log, from, take_record, replay, &store->arena, &store->recovery, err) &&
        (replay->worker_count == 0 || drain(replay, err));
    replay_end(replay);
    store->replaying = NULL;
    memory_free(replay);
    return fine;
}
