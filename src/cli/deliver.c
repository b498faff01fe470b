// A ring of requests: filled in order, worked on by several threads, counted as done in order.

#include "cli/deliver.h"

#include <stdatomic.h>

#include "codec/compress.h"
#include "os/clock.h"
#include "os/thread.h"

enum {
    TRY_AGAIN_MS = 500,
    TRIES_MAX = 120,  // of what passes: about a minute
    TRIES_WITHOUT_PROGRESS = 20,
};

typedef enum SlotState { SLOT_FREE, SLOT_FULL, SLOT_BUSY, SLOT_DONE } SlotState;

typedef struct Slot {
    SlotState state;
    WriteBody body;
    Builder place;
} Slot;

typedef struct Worker {
    Delivery *delivery;
    Thread *thread;
    IngestSender *sender;
    Builder packed;
} Worker;

struct Delivery {
    const Client *client;
    LocalStore *local;
    Mutex lock;
    Condition changed;
    Slot slots[DELIVERY_IN_FLIGHT];
    uint64_t filled, taken, arrived;  // numbers of requests: slot is the number modulo the ring
    Builder place;                    // of the newest that arrived
    bool stopping, failed;
    Error error;
    DeliverySums sums;
    Worker workers[DELIVERY_IN_FLIGHT];
};

// What came of one try.
typedef struct Outcome {
    bool pass_by;  // nothing was decided; it may work later
    uint64_t refused[VERDICT_COUNT];
    Error why;  // of a refusal, or of what passes
} Outcome;

// ---- To a server ----

// "3 too_old, 1 conflict", as X-Traceo-Refused has it.
static bool read_refused(Text text, uint64_t refused[VERDICT_COUNT]) {
    uint64_t found = 0;
    Text part;
    while (text_cut(&text, ',', &part)) {
        part = text_trim(part);
        Text number = TEXT_NONE;
        uint64_t count;
        if (!text_cut(&part, ' ', &number) || !text_to_u64(number, &count)) continue;
        for (Verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
            if (!text_equal(part, verdict_name(verdict))) continue;
            refused[verdict] += count;
            found += count;
        }
    }
    return found > 0;
}

static bool send_to_server(Worker *worker, const WriteBody *body, Outcome *out, Error *err) {
    const Client *client = worker->delivery->client;
    AUTO(arena_free) Arena arena = {0};
    builder_clear(&worker->packed);
    TRY(compress_bytes(COMPRESSION_SNAPPY, 0, write_body_bytes(body), &worker->packed, err));
    HttpClientAnswer answer;
    if (!client_send(client, TEXT("POST"), TEXT("/api/v1/write"), TEXT("application/x-protobuf"),
                     TEXT("snappy"), builder_text(&worker->packed), &arena, &answer, err)) {
        out->pass_by = err->code == ERROR_NETWORK || err->code == ERROR_TIMEOUT;
        out->why = *err;
        return out->pass_by;
    }
    if (answer.status / 100 == 2) return true;
    client_refused(client, &answer, &out->why);
    for (size_t i = 0; i < answer.header_count; i++) {
        if (text_equal_ignore_case(answer.headers[i].name, TEXT("X-Traceo-Refused")) &&
            read_refused(answer.headers[i].value, out->refused))
            return true;
    }
    out->pass_by = answer.status == 429 || answer.status == 503 || answer.status == 502;
    *err = out->why;
    return out->pass_by;
}

// ---- Into a store ----

typedef struct Waiting {
    Mutex lock;
    Condition done;
    bool over, ok;
    Error error;
} Waiting;

static void when_durable(void *context, bool ok, const Error *err) {
    Waiting *waiting = context;
    mutex_take(&waiting->lock);
    waiting->over = true;
    waiting->ok = ok;
    if (!ok) waiting->error = *err;
    condition_wake_all(&waiting->done);
    mutex_give(&waiting->lock);
}

static bool wait_durable(Store *store, uint64_t sequence, Error *err) {
    Waiting waiting = {0};
    mutex_begin(&waiting.lock, LOCK_CLI_DURABLE);
    condition_begin(&waiting.done);
    store_when_durable(store, sequence, when_durable, &waiting);
    mutex_take(&waiting.lock);
    while (!waiting.over) condition_wait(&waiting.done, &waiting.lock);
    mutex_give(&waiting.lock);
    condition_end(&waiting.done);
    mutex_end(&waiting.lock);
    if (!waiting.ok) *err = waiting.error;
    return waiting.ok;
}

static bool put_into_store(Worker *worker, const WriteBody *body, Outcome *out, Error *err) {
    LocalStore *local = worker->delivery->local;
    Clock *clock = clock_system();
    IngestOutcome outcome = {0};
    if (!ingest_samples(local->store, local->tenant, worker->sender, body, clock->wall_ms(clock),
                        &outcome, err)) {
        out->pass_by = err->code == ERROR_BUSY || err->code == ERROR_NO_MEMORY;
        out->why = *err;
        return out->pass_by;
    }
    for (Verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        if (verdict != VERDICT_STORED && verdict != VERDICT_DUPLICATE)
            out->refused[verdict] = outcome.counts[verdict];
    }
    out->why = outcome.first_fault;
    return outcome.sequence == 0 || wait_durable(local->store, outcome.sequence, err);
}

// ---- Working ----

static bool is_stopping(Delivery *delivery) {
    mutex_take(&delivery->lock);
    bool stopping = delivery->stopping || delivery->failed;
    mutex_give(&delivery->lock);
    return stopping;
}

static bool has_arrived(Delivery *delivery) {
    mutex_take(&delivery->lock);
    bool arrived = delivery->sums.requests > 0;
    mutex_give(&delivery->lock);
    return arrived;
}

// Again and again while it may still be taken whole: rows that are here already do no harm twice.
static bool carry(Worker *worker, const WriteBody *body, Outcome *out, Error *err) {
    Clock *clock = clock_system();
    uint64_t over_quota = UINT64_MAX;
    for (int tries = 0, idle = 0;; tries++) {
        *out = (Outcome){0};
        TRY(worker->delivery->local != NULL ? put_into_store(worker, body, out, err)
                                            : send_to_server(worker, body, out, err));
        uint64_t left = out->refused[VERDICT_LIMIT];
        if (!out->pass_by && left == 0) return true;
        if (!out->pass_by && left >= over_quota && ++idle >= TRIES_WITHOUT_PROGRESS) return true;
        if (!out->pass_by) over_quota = MIN(over_quota, left);
        // Where nobody ever answered, the address is more likely wrong than the server away.
        bool stranger = out->why.code == ERROR_NETWORK && !has_arrived(worker->delivery);
        if (out->pass_by && (stranger || tries >= TRIES_MAX)) {
            *err = out->why;
            return false;
        }
        clock->sleep_ms(clock, TRY_AGAIN_MS);
        if (is_stopping(worker->delivery))
            return error_set(err, ERROR_CANCELLED, "another request failed");
    }
}

// With the lock held: who came first is done first.
static void note_done(Delivery *delivery, Slot *slot, const Outcome *outcome) {
    delivery->sums.requests++;
    delivery->sums.samples += slot->body.rows;
    bool any = false;
    for (Verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        delivery->sums.refused[verdict] += outcome->refused[verdict];
        any |= outcome->refused[verdict] > 0;
    }
    if (any && delivery->sums.first_refused.code == ERROR_NONE) {
        // A server counts before it names; here the counts are added up.
        Text said = text_from_cstring(outcome->why.message), first = TEXT("; the first: ");
        ptrdiff_t at = text_find(said, first);
        if (at >= 0) said = text_slice(said, (size_t)at + first.len, said.len);
        error_set(&delivery->sums.first_refused, outcome->why.code, "%.*s", TEXT_ARG(said));
    }
    slot->state = SLOT_DONE;
    while (delivery->arrived < delivery->taken) {
        Slot *first = &delivery->slots[delivery->arrived % DELIVERY_IN_FLIGHT];
        if (first->state != SLOT_DONE) break;
        builder_clear(&delivery->place);
        builder_add(&delivery->place, builder_text(&first->place));
        write_body_clear(&first->body);
        first->state = SLOT_FREE;
        delivery->arrived++;
    }
}

static void work(void *context) {
    Worker *worker = context;
    Delivery *delivery = worker->delivery;
    mutex_take(&delivery->lock);
    for (;;) {
        while (!delivery->stopping && !delivery->failed && delivery->taken == delivery->filled)
            condition_wait(&delivery->changed, &delivery->lock);
        if (delivery->failed || delivery->taken == delivery->filled) break;
        Slot *slot = &delivery->slots[delivery->taken++ % DELIVERY_IN_FLIGHT];
        slot->state = SLOT_BUSY;
        mutex_give(&delivery->lock);
        Outcome outcome;
        Error err = {0};
        bool ok = carry(worker, &slot->body, &outcome, &err);
        mutex_take(&delivery->lock);
        if (ok) note_done(delivery, slot, &outcome);
        if (!ok && !delivery->failed) {
            delivery->failed = true;
            delivery->error = err;
        }
        condition_wake_all(&delivery->changed);
    }
    mutex_give(&delivery->lock);
}

bool delivery_open(const Client *client, LocalStore *local, Delivery **out, Error *err) {
    AUTO(delivery_close) Delivery *delivery = memory_new(Delivery);
    delivery->client = client;
    delivery->local = local;
    mutex_begin(&delivery->lock, LOCK_CLI_DELIVERY);
    condition_begin(&delivery->changed);
    for (size_t i = 0; i < DELIVERY_IN_FLIGHT; i++) {
        Worker *worker = &delivery->workers[i];
        worker->delivery = delivery;
        if (local != NULL) worker->sender = ingest_sender_new();
        TRY(thread_start("deliver", work, worker, &worker->thread, err));
    }
    *out = TAKE(delivery);
    return true;
}

void delivery_close(Delivery **closed) {
    Delivery *delivery = *closed;
    *closed = NULL;
    if (delivery == NULL) return;
    mutex_take(&delivery->lock);
    delivery->stopping = true;
    condition_wake_all(&delivery->changed);
    mutex_give(&delivery->lock);
    for (size_t i = 0; i < DELIVERY_IN_FLIGHT; i++) {
        Worker *worker = &delivery->workers[i];
        thread_join(&worker->thread);
        ingest_sender_free(&worker->sender);
        builder_free(&worker->packed);
        write_body_free(&delivery->slots[i].body);
        builder_free(&delivery->slots[i].place);
    }
    builder_free(&delivery->place);
    condition_end(&delivery->changed);
    mutex_end(&delivery->lock);
    memory_free(delivery);
}

bool delivery_send(Delivery *delivery, WriteBody *body, Text place, Error *err) {
    mutex_take(&delivery->lock);
    while (!delivery->failed && delivery->filled - delivery->arrived == DELIVERY_IN_FLIGHT)
        condition_wait(&delivery->changed, &delivery->lock);
    bool ok = !delivery->failed;
    if (ok) {
        Slot *slot = &delivery->slots[delivery->filled++ % DELIVERY_IN_FLIGHT];
        WriteBody empty = slot->body;
        slot->body = *body;
        *body = empty;
        builder_clear(&slot->place);
        builder_add(&slot->place, place);
        slot->state = SLOT_FULL;
        condition_wake_all(&delivery->changed);
    } else {
        *err = delivery->error;
    }
    mutex_give(&delivery->lock);
    return ok;
}

bool delivery_finish(Delivery *delivery, Error *err) {
    mutex_take(&delivery->lock);
    while (!delivery->failed && delivery->arrived < delivery->filled)
        condition_wait(&delivery->changed, &delivery->lock);
    bool ok = !delivery->failed;
    if (!ok) *err = delivery->error;
    mutex_give(&delivery->lock);
    return ok;
}

Text delivery_place(Delivery *delivery, Arena *arena) {
    mutex_take(&delivery->lock);
    Text place = text_copy(builder_text(&delivery->place), arena);
    mutex_give(&delivery->lock);
    return place;
}

void delivery_sums(Delivery *delivery, DeliverySums *out) {
    mutex_take(&delivery->lock);
    *out = delivery->sums;
    mutex_give(&delivery->lock);
}
