// Requests that come again: what is recalled is what decoding would have given, whatever changes.

#include "ingest/repeats.h"

#include "base/test.h"
#include "base/wide.h"
#include "codec/protobuf.h"
#include "os/thread.h"
#include "store/series/head_fixture.h"

enum { SERIES = 120, ROWS_MAX = 90, TENANT = 7 };

// One is longer than what a length of one byte can say.
static const Text help[] = {
    TEXT_INIT("What it says."),
    TEXT_INIT("What it says, why it says it, who asked for it to be said, when that was, and what "
              "is to be done about it by whoever comes to read this at three in the morning."),
};

// ---- A sender ----

typedef struct Sender {
    uint64_t random;
    uint32_t order[ROWS_MAX];
    size_t count;
    Map numbers;  // of the symbols of the request at hand
    Arena arena;
    Builder symbols, rows;
} Sender;

static uint32_t pick(Sender *sender, size_t below) {
    return (uint32_t)(test_random(&sender->random) % below);
}

static void sender_begin(Sender *sender) {
    *sender = (Sender){.random = 11, .count = 50};
    for (uint32_t i = 0; i < sender->count; i++) sender->order[i] = i;
}

static void sender_end(Sender *sender) {
    arena_free(&sender->arena);
    builder_free(&sender->symbols);
    builder_free(&sender->rows);
}

static uint64_t number_of(Sender *sender, Text text) {
    void **place = map_put(&sender->numbers, text);
    if (*place == NULL) {
        *place = (void *)(uintptr_t)sender->numbers.count;
        protobuf_add_text(&sender->symbols, 4, text);
    }
    return (uintptr_t)*place - 1;
}

static void put_refs(Sender *sender, uint32_t i) {
    static const char *const names[] = {"cpu_seconds_total", "memory_bytes", "up_and_running"};
    AUTO(builder_free) Builder packed = {0};
    Text instance = text_format(&sender->arena, "node-%u.example:9100", i / 30);
    Text mode = text_format(&sender->arena, "mode-%u", i % 10);
    Text value = text_from_cstring(names[i / 10 % 3]);
    const Text texts[] = {LABEL_NAME,  value,        TEXT("instance"), instance,
                          TEXT("job"), TEXT("node"), TEXT("mode"),     mode};
    for (size_t k = 0; k < COUNT(texts); k++) writer_varint(&packed, number_of(sender, texts[k]));
    protobuf_add_text(&sender->rows, 1, builder_text(&packed));
}

static void put_sample(Builder *out, int64_t time_ms, double value, int64_t start_ms) {
    size_t sample = protobuf_begin(out, 2);
    if (value != 0) protobuf_add_double(out, 1, value);
    protobuf_add_varint(out, 2, (uint64_t)time_ms);
    if (start_ms != 0) protobuf_add_varint(out, 3, (uint64_t)start_ms);
    protobuf_end(out, sample);
}

static void put_row(Sender *sender, uint32_t i, int64_t time_ms, bool odd) {
    size_t row = protobuf_begin(&sender->rows, 5);
    put_refs(sender, i);
    uint32_t shape = odd ? pick(sender, 6) : 5;
    put_sample(&sender->rows, time_ms, pick(sender, 4), shape == 0 ? time_ms - 1000 : 0);
    if (shape == 1) put_sample(&sender->rows, time_ms + 1, 2, 0);
    if (shape == 2) protobuf_add_varint(&sender->rows, 9, i);  // of a later version
    if (shape != 3) {
        size_t metadata = protobuf_begin(&sender->rows, 5);
        protobuf_add_varint(&sender->rows, 1, METADATA_GAUGE);
        protobuf_add_varint(&sender->rows, 3, number_of(sender, help[i % 2]));
        protobuf_end(&sender->rows, metadata);
    }
    protobuf_end(&sender->rows, row);
}

static Bytes request(Test *t, Sender *sender, int64_t time_ms, uint32_t odd_rows) {
    arena_clear(&sender->arena);
    builder_clear(&sender->symbols);
    builder_clear(&sender->rows);
    sender->numbers = map_begin(&sender->arena, (HashKey){1, 2});
    (void)number_of(sender, TEXT(""));
    for (size_t i = 0; i < sender->count; i++)
        put_row(sender, sender->order[i], time_ms, pick(sender, 100) < odd_rows);
    AUTO(builder_free) Builder body = {0};
    builder_add(&body, builder_text(&sender->symbols));
    builder_add(&body, builder_text(&sender->rows));
    return bytes_copy(text_bytes(builder_text(&body)), t->arena);
}

// What happens to what a sender sends, now and then.
static void change(Sender *sender) {
    uint32_t at = pick(sender, sender->count);
    switch (pick(sender, 24)) {
        case 0:
            sender->order[at] = pick(sender, SERIES);
            break;
        case 1:
            if (sender->count < ROWS_MAX) sender->order[sender->count++] = pick(sender, SERIES);
            break;
        case 2:
            if (sender->count > 20) sender->count--;
            break;
        default:
            break;
    }
}

// ---- Two that take its requests ----

typedef struct Taker {
    Side side;
    WriteSymbols symbols;
    Repeats *repeats;  // NULL: decodes all
    Arena scratch;
    uint64_t sequence;
} Taker;

static void taker_begin(Taker *taker, int64_t bytes_max) {
    *taker = (Taker){0};
    side_open(&taker->side);
    if (bytes_max > 0) taker->repeats = repeats_new((HashKey){3, 4}, bytes_max);
}

static void taker_end(Taker *taker) {
    side_close(&taker->side);
    repeats_free(&taker->repeats);
    write_symbols_free(&taker->symbols);
    arena_free(&taker->scratch);
}

static bool decode(Taker *taker, Bytes body, Error *err) {
    Batch *batch = &taker->side.batch;
    batch_clear(batch);
    arena_clear(&taker->scratch);
    batch->arrival_ms = 2000000000000;
    return repeats_decode(taker->repeats, TENANT, body, &taker->symbols, &taker->scratch, batch,
                          err);
}

static void turn_head(Side *side) {
    uint64_t generation = side->head->generation + 1;
    head_unref(&side->head);
    side->head = head_open(generation, (HashKey){1, 2}, NULL, 0);
}

// As ingest does it. Whether the request was known.
static bool take(Test *t, Taker *taker, Bytes body, bool turn) {
    Batch *batch = &taker->side.batch;
    check_ok(t, decode(taker, body, t->err));
    bool found = batch_is_plain(batch);
    if (turn) turn_head(&taker->side);
    side_resolve(&taker->side);
    head_append(taker->side.head, batch, ++taker->sequence, INT64_MIN + 1);
    repeats_note(taker->repeats, TENANT, body, &taker->symbols, batch);
    return found;
}

// So often that the sender's request is known: at this time and the two after it.
static void teach(Test *t, Taker *taker, Sender *sender, int64_t time_ms) {
    for (int64_t i = 0; i < 3; i++) take(t, taker, request(t, sender, time_ms + i, 0), false);
}

static void check_same(Test *t, Batch *one, Batch *two) {
    batch_unfold(one);
    batch_unfold(two);
    check_i64(t, (int64_t)one->series.count, (int64_t)two->series.count);
    check_i64(t, (int64_t)one->samples.count, (int64_t)two->samples.count);
    check_i64(t, (int64_t)one->metadata.count, (int64_t)two->metadata.count);
    for (size_t i = 0; i < one->series.count && i < two->series.count; i++) {
        BatchSeries *a = &one->series.at[i], *b = &two->series.at[i];
        check_text(t, bytes_text(batch_labels(one, a)), bytes_text(batch_labels(two, b)));
        check(t, a->first_sample == b->first_sample && a->sample_count == b->sample_count);
        check(t, a->verdict == b->verdict);
    }
    check(t, memcmp(one->samples.at, two->samples.at, one->samples.count * sizeof(Sample)) == 0);
    for (size_t i = 0; i < one->samples.count; i++)
        check_i64(t, batch_start(one, i), batch_start(two, i));
    for (size_t i = 0; i < one->metadata.count && i < two->metadata.count; i++) {
        const BatchMetadata *a = &one->metadata.at[i], *b = &two->metadata.at[i];
        check_text(t, a->family, b->family);
        check_text(t, a->help, b->help);
        check_text(t, a->unit, b->unit);
        check(t, a->type == b->type);
    }
}

// ---- The tests ----

TEST(what_is_recalled_is_what_decoding_gives) {
    Taker *plain = arena_push(t->arena, Taker), *recalling = arena_push(t->arena, Taker);
    Sender sender;
    bool there = wide_is_there;
    size_t found = 0, rounds = 1500;
    taker_begin(plain, 0);
    taker_begin(recalling, 64 * KB);
    sender_begin(&sender);
    for (size_t round = 0; round < rounds; round++) {
        wide_is_there = there && round % 2 == 0;
        change(&sender);
        Bytes body = request(t, &sender, 1000000000000 + (int64_t)round, pick(&sender, 8) == 0);
        bool turn = pick(&sender, 60) == 0;
        take(t, plain, body, turn);
        found += take(t, recalling, body, turn);
        Batch *one = &plain->side.batch, *two = &recalling->side.batch;
        for (size_t v = 0; v < VERDICT_COUNT; v++)
            check_i64(t, (int64_t)one->counts[v], (int64_t)two->counts[v]);
        check_same(t, one, two);
        for (size_t i = 0; i < one->series.count; i++)
            check_i64(t, one->series.at[i].ref, two->series.at[i].ref);
        RepeatsState state;
        repeats_state(recalling->repeats, &state);
        check(t, state.bytes <= 64 * KB && state.found == found);
    }
    wide_is_there = there;
    printf("# %zu of %zu requests found\n", found, rounds);
    check(t, found > rounds / 3 && found < rounds);
    sender_end(&sender);
    taker_end(plain);
    taker_end(recalling);
}

TEST(a_request_is_known_from_its_third_time_on) {
    Taker *taker = arena_push(t->arena, Taker);
    Sender sender;
    taker_begin(taker, 64 * KB);
    sender_begin(&sender);
    for (int64_t round = 0; round < 6; round++)
        check_i64(t, round >= 2, take(t, taker, request(t, &sender, 1000 + round, 0), false));
    // A new head has other numbers: known, and yet recognised again, and known to be that from then
    // on.
    check(t, take(t, taker, request(t, &sender, 2000, 0), true));
    check(t, taker->side.batch.head != taker->side.batch.told_head);
    check(t, take(t, taker, request(t, &sender, 2001, 0), false));
    check(t, taker->side.batch.head == taker->side.batch.told_head);
    check(t, batch_is_plain(&taker->side.batch));
    sender_end(&sender);
    taker_end(taker);
}

// Whatever bit of a request flips, it is not known, or is what decoding makes of it.
TEST(no_other_request_is_taken_for_one_that_is_known) {
    Taker *plain = arena_push(t->arena, Taker), *recalling = arena_push(t->arena, Taker);
    Sender sender;
    size_t known = 0, bits;
    bool there = wide_is_there;
    taker_begin(plain, 0);
    taker_begin(recalling, 64 * KB);
    sender_begin(&sender);
    sender.count = 12;
    teach(t, recalling, &sender, 1763683200000);
    Bytes body = request(t, &sender, 1763683200007, 0);
    bits = 8 * body.len;
    uint8_t *at = memory_new_array(uint8_t, body.len);  // just so many
    memcpy(at, body.at, body.len);
    for (size_t bit = 0; bit < 2 * bits; bit++) {
        wide_is_there = there && bit < bits;
        at[bit % bits / 8] ^= (uint8_t)(1 << bit % 8);
        Bytes flipped = {at, body.len};
        Error ignored;
        bool fine = decode(plain, flipped, &ignored);
        bool also = decode(recalling, flipped, &ignored);
        bool found = also && batch_is_plain(&recalling->side.batch);
        check(t, fine == also);
        if (found) check_same(t, &plain->side.batch, &recalling->side.batch);
        known += found;
        at[bit % bits / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t len = 0; len < body.len; len++) {
        Batch *batch = &recalling->side.batch;
        batch_clear(batch);
        check(t, !repeats_find(recalling->repeats, TENANT, (Bytes){at, len}, batch));
        check(t, batch->samples.count == 0 && !batch_is_plain(batch));
    }
    wide_is_there = there;
    memory_free(at);
    // Values and the lower bits of times.
    printf("# %zu of %zu bits change nothing but samples\n", known, 2 * bits);
    check(t, known > 12 * 2 * 64 && known < bits);
    sender_end(&sender);
    taker_end(plain);
    taker_end(recalling);
}

TEST(tenants_do_not_know_each_others_requests) {
    Taker *taker = arena_push(t->arena, Taker);
    Sender sender;
    taker_begin(taker, 64 * KB);
    sender_begin(&sender);
    teach(t, taker, &sender, 1000);
    Bytes body = request(t, &sender, 1003, 0);
    Batch *batch = &taker->side.batch;
    batch_clear(batch);
    check(t, !repeats_find(taker->repeats, TENANT + 1, body, batch));
    check(t, repeats_find(taker->repeats, TENANT, body, batch));
    sender_end(&sender);
    taker_end(taker);
}

TEST(a_fault_in_a_known_request_names_its_series) {
    Taker *taker = arena_push(t->arena, Taker);
    Sender sender;
    taker_begin(taker, 64 * KB);
    sender_begin(&sender);
    teach(t, taker, &sender, 1000);
    bool found = take(t, taker, request(t, &sender, 1002, 0), false);  // other values at that time
    const Batch *batch = &taker->side.batch;
    check(t, found && batch->counts[VERDICT_CONFLICT] > 0 && batch->counts[VERDICT_DUPLICATE] > 0);
    check(t, strstr(batch->first_fault.message, "instance=\"node-0.example") != NULL);
    sender_end(&sender);
    taker_end(taker);
}

TEST(what_was_seen_longest_ago_is_forgotten_first) {
    Taker *taker = arena_push(t->arena, Taker);
    Sender senders[40];
    RepeatsState state;
    taker_begin(taker, 40 * KB);
    for (size_t i = 0; i < COUNT(senders); i++) {
        sender_begin(&senders[i]);
        for (size_t k = 0; k < senders[i].count; k++)
            senders[i].order[k] = (uint32_t)((i * 3 + k) % SERIES);
    }
    for (int64_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT(senders); i++)
            take(t, taker, request(t, &senders[i], 1000 + round, 0), false);
    }
    repeats_state(taker->repeats, &state);
    check(t, state.requests > 3 && state.requests < COUNT(senders) && state.evicted > 0);
    check(t, state.bytes <= 40 * KB && state.series == state.requests * 50);
    Batch *batch = &taker->side.batch;
    batch_clear(batch);
    Bytes last = request(t, &senders[COUNT(senders) - 1], 2000, 0);
    check(t, repeats_find(taker->repeats, TENANT, last, batch));
    batch_clear(batch);
    check(t, !repeats_find(taker->repeats, TENANT, request(t, &senders[0], 2000, 0), batch));
    for (size_t i = 0; i < COUNT(senders); i++) sender_end(&senders[i]);
    taker_end(taker);
}

typedef struct Shared {
    Test *t;
    Repeats *repeats;
    const Bytes *bodies;
    size_t count, found;
    uint32_t first;
} Shared;

static void find_and_note(void *context) {
    Shared *shared = context;
    Batch batch = {0};
    WriteSymbols symbols = {0};
    Arena scratch = {0};
    Error err;
    for (size_t i = 0; i < 3000; i++) {
        size_t often = i % 3, seldom = (i / 8 + shared->first) % shared->count;
        Bytes body = shared->bodies[i % 8 == 0 ? seldom : often];
        batch_clear(&batch);
        arena_clear(&scratch);
        if (repeats_find(shared->repeats, TENANT, body, &batch)) {
            shared->found++;
            continue;
        }
        if (!write_request_2_decode(body, &symbols, &scratch, &batch, &err)) break;
        for (size_t k = 0; k < batch.series.count; k++) batch.series.at[k].ref = (uint32_t)k;
        batch.head = 1;
        repeats_note(shared->repeats, TENANT, body, &symbols, &batch);
    }
    batch_free(&batch);
    write_symbols_free(&symbols);
    arena_free(&scratch);
}

TEST(threads_find_and_forget_at_once) {
    enum { BODIES = 16, THREADS = 4 };
    Bytes bodies[BODIES];
    Shared shared[THREADS];
    Thread *threads[THREADS];
    Repeats *repeats = repeats_new((HashKey){3, 4}, 15 * KB);  // room for half of them
    for (size_t i = 0; i < BODIES; i++) {
        Sender sender;
        sender_begin(&sender);
        for (size_t k = 0; k < sender.count; k++)
            sender.order[k] = (uint32_t)((i * 5 + k) % SERIES);
        bodies[i] = request(t, &sender, 1000, 0);
        sender_end(&sender);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        shared[i] = (Shared){t, repeats, bodies, BODIES, 0, i};
        check_ok(t, thread_start("finder", find_and_note, &shared[i], &threads[i], t->err));
    }
    size_t found = 0;
    for (size_t i = 0; i < THREADS; i++) {
        thread_join(&threads[i]);
        found += shared[i].found;
    }
    RepeatsState state;
    repeats_state(repeats, &state);
    check(t, state.found == found && found > 0 && state.evicted > 0 && state.bytes <= 15 * KB);
    repeats_free(&repeats);
}

TEST_MAIN("ingest/repeats", CASE(what_is_recalled_is_what_decoding_gives),
          CASE(a_request_is_known_from_its_third_time_on),
          CASE(no_other_request_is_taken_for_one_that_is_known),
          CASE(tenants_do_not_know_each_others_requests),
          CASE(a_fault_in_a_known_request_names_its_series),
          CASE(what_was_seen_longest_ago_is_forgotten_first), CASE(threads_find_and_forget_at_once))
