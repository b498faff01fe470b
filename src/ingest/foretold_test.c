// Rows that are recognised while they are decoded: what comes out is what decoding alone and
// looking up later would give, whatever the sender does.

#include "base/test.h"
#include "base/wide.h"
#include "codec/protobuf.h"
#include "ingest/write_request.h"
#include "store/series/head_fixture.h"

enum { SERIES = 200, ROWS_MAX = 120 };

typedef struct Sender {
    uint64_t random;
    Labels labels[SERIES];
    uint32_t order[ROWS_MAX];
    size_t count;
} Sender;

// Neighbours share labels at both ends; some are the beginning of others', some have long values.
static Labels labels_of(Test *t, uint32_t i) {
    static const char *const names[] = {"cpu_seconds_total", "memory_bytes", "up"};
    static const char *const modes[] = {"idle", "iowait", "user", ""};
    Label labels[6];
    size_t count = 0;
    const char *mode = modes[i / 3 % 4];
    labels[count++] = (Label){LABEL_NAME, text_from_cstring(names[i / 12 % 3])};
    labels[count++] =
        (Label){TEXT("instance"), text_format(t->arena, "node-%u.example:9100", i / 36)};
    labels[count++] = (Label){TEXT("job"), TEXT("node")};
    if (*mode != 0) labels[count++] = (Label){TEXT("mode"), text_from_cstring(mode)};
    if (i % 3 > 0) labels[count++] = (Label){TEXT("region"), TEXT("eu-west-1")};
    if (i % 3 > 1)
        labels[count++] =
            (Label){TEXT("team"), text_format(t->arena, "%0*u", 20 + (int)i % 200, i)};
    Labels out;
    check_ok(t, labels_make(labels, count, t->arena, &out, t->err));
    return out;
}

static void sender_begin(Test *t, Sender *sender) {
    *sender = (Sender){.random = 7, .count = 60};
    for (uint32_t i = 0; i < SERIES; i++) sender->labels[i] = labels_of(t, i);
    for (uint32_t i = 0; i < sender->count; i++) sender->order[i] = i;
}

static uint32_t pick(Sender *sender, size_t below) {
    return (uint32_t)(test_random(&sender->random) % below);
}

// What happens to what a sender sends, from one time to the next.
static void change_order(Sender *sender) {
    uint32_t *order = sender->order, at = pick(sender, sender->count);
    switch (pick(sender, 8)) {
        case 0:  // a series more, perhaps one that is there already
            if (sender->count == ROWS_MAX) break;
            memmove(order + at + 1, order + at, (sender->count++ - at) * sizeof *order);
            order[at] = pick(sender, SERIES);
            break;
        case 1:  // one less
            if (sender->count < 20) break;
            memmove(order + at, order + at + 1, (--sender->count - at) * sizeof *order);
            break;
        case 2: {  // two change places
            uint32_t with = pick(sender, sender->count), kept = order[at];
            order[at] = order[with];
            order[with] = kept;
            break;
        }
        case 3: {  // requests are cut elsewhere
            uint32_t kept[ROWS_MAX];
            for (size_t i = 0; i < sender->count; i++) kept[i] = order[(i + at) % sender->count];
            memcpy(order, kept, sender->count * sizeof *order);
            break;
        }
        case 4:  // no order at all
            if (pick(sender, 4) > 0) break;
            for (size_t i = 0; i < sender->count; i++) order[i] = pick(sender, SERIES);
            break;
        default:
            break;
    }
}

static void put_sample(Builder *body, int64_t time_ms, double value) {
    size_t sample = protobuf_begin(body, 2);
    if (value != 0) protobuf_add_double(body, 1, value);
    protobuf_add_varint(body, 2, (uint64_t)time_ms);
    protobuf_end(body, sample);
}

static void put_row(Sender *sender, uint32_t series, int64_t time_ms, bool usual, Builder *body) {
    Bytes wire = sender->labels[series].wire;
    size_t row = protobuf_begin(body, 1), late = 0;
    uint32_t shape = usual ? 0 : pick(sender, 12);
    if (shape == 1) {  // the last label behind the sample
        Bytes rest = wire;
        Label label;
        for (late = 0; labels_next(&rest, &label) && rest.len > 0;) late = wire.len - rest.len;
    }
    builder_add_bytes(body, wire.at, late > 0 ? late : wire.len);
    if (shape != 2) put_sample(body, time_ms, shape == 3 ? 0 : series);
    if (shape == 4) put_sample(body, time_ms + 1, 1.5);
    if (shape == 5) {
        size_t exemplar = protobuf_begin(body, 3);
        builder_add_bytes(body, wire.at, wire.len);
        protobuf_add_varint(body, 3, (uint64_t)time_ms);
        protobuf_end(body, exemplar);
    }
    if (late > 0) builder_add_bytes(body, wire.at + late, wire.len - late);
    protobuf_end(body, row);
}

static void check_same(Test *t, const Batch *one, const Batch *two) {
    check_i64(t, (int64_t)one->series.count, (int64_t)two->series.count);
    check_i64(t, (int64_t)one->samples.count, (int64_t)two->samples.count);
    for (size_t i = 0; i < one->series.count && i < two->series.count; i++) {
        const BatchSeries *a = &one->series.at[i], *b = &two->series.at[i];
        check_text(t, bytes_text(a->labels), bytes_text(b->labels));
        check(t, a->first_sample == b->first_sample && a->sample_count == b->sample_count);
        check(t, a->exemplar_count == b->exemplar_count && a->verdict == b->verdict);
    }
    check(t, memcmp(one->samples.at, two->samples.at, one->samples.count * sizeof(Sample)) == 0);
}

static void foretell_begin(const Side *side, SeriesForetold *out) {
    bool same = side->prediction.generation == side->head->generation;
    *out = (SeriesForetold){.head = side->head,
                            .head_name = side->head->name,
                            .follow = {.ref = same ? side->prediction.last_ref : UINT32_MAX}};
}

static size_t told_rows(const Batch *batch) {
    size_t told = 0;
    for (size_t i = 0; i < batch->series.count; i++) told += batch->series.at[i].told;
    return told;
}

// The body into both sides, one of them foretelling; between decoding and storing the head may
// turn. Returns how many rows were told.
static size_t take(Test *t, Side *plain, Side *telling, Bytes body, bool turn) {
    SeriesForetold foretold;
    batch_clear(&plain->batch);
    batch_clear(&telling->batch);
    Bytes exact = bytes_copy(body, t->arena);
    check_ok(t, write_request_decode(body, t->arena, NULL, &plain->batch, t->err));
    foretell_begin(telling, &foretold);
    check_ok(t, write_request_decode(exact, t->arena, &foretold, &telling->batch, t->err));
    check_same(t, &plain->batch, &telling->batch);
    size_t told = told_rows(&telling->batch);
    check_i64(t, (int64_t)told, (int64_t)telling->batch.told);
    if (turn) {
        uint64_t generation = plain->head->generation + 1;
        head_unref(&plain->head);
        head_unref(&telling->head);
        plain->head = head_open(generation, (HashKey){1, 2}, NULL, 0);
        telling->head = head_open(generation, (HashKey){1, 2}, NULL, 0);
    }
    side_resolve(plain);
    side_resolve(telling);
    check_same(t, &plain->batch, &telling->batch);
    for (size_t i = 0; i < plain->batch.series.count; i++)
        check_i64(t, plain->batch.series.at[i].ref, telling->batch.series.at[i].ref);
    return told;
}

TEST(rows_foretold_are_the_rows_decoded) {
    Side *plain = arena_push(t->arena, Side), *telling = arena_push(t->arena, Side);
    Sender *sender = arena_push(t->arena, Sender);
    size_t told = 0, rows = 0;
    side_open(plain);
    side_open(telling);
    sender_begin(t, sender);
    for (int round = 0; round < 1500; round++) {
        AUTO(builder_free) Builder body = {0};
        change_order(sender);
        for (size_t i = 0; i < sender->count; i++)
            put_row(sender, sender->order[i], 1000 + round, pick(sender, 3) > 0, &body);
        told += take(t, plain, telling, text_bytes(builder_text(&body)), pick(sender, 40) == 0);
        rows += plain->batch.series.count;
    }
    printf("# %zu of %zu rows told\n", told, rows);
    check(t, told > rows / 4 && told < rows);
    side_close(plain);
    side_close(telling);
}

TEST(a_sender_that_keeps_its_order_is_told_whole) {
    Side *plain = arena_push(t->arena, Side), *telling = arena_push(t->arena, Side);
    Sender *sender = arena_push(t->arena, Sender);
    side_open(plain);
    side_open(telling);
    sender_begin(t, sender);
    for (int round = 0; round < 5; round++) {
        AUTO(builder_free) Builder body = {0};
        for (size_t i = 0; i < sender->count; i++)
            put_row(sender, sender->order[i], 1000 + round, true, &body);
        size_t told = take(t, plain, telling, text_bytes(builder_text(&body)), false);
        check_i64(t, round == 0 ? 0 : (int64_t)sender->count, (int64_t)told);
    }
    side_close(plain);
    side_close(telling);
}

// Whatever bit of a row's labels flips, the row is not taken for the series, by either path.
TEST(no_other_labels_are_taken_for_those_foretold) {
    Side *side = arena_push(t->arena, Side);
    Sender *sender = arena_push(t->arena, Sender);
    AUTO(builder_free) Builder body = {0};
    side_open(side);
    sender_begin(t, sender);
    for (size_t i = 0; i < sender->count; i++) put_row(sender, (uint32_t)i, 1000, true, &body);
    for (int round = 0; round < 3; round++) {
        batch_clear(&side->batch);
        check_ok(t, write_request_decode(text_bytes(builder_text(&body)), t->arena, NULL,
                                         &side->batch, t->err));
        side_resolve(side);
    }
    Registry *registry = &side->head->registry;
    bool there = wide_is_there;
    for (uint32_t i = 1; i < sender->count; i++) {
        Bytes wire = sender->labels[i].wire;
        uint8_t *at = memory_new_array(uint8_t, wire.len);  // just so many
        memcpy(at, wire.at, wire.len);
        for (size_t bit = 0; bit <= 8 * wire.len; bit++) {
            bool flipped = bit < 8 * wire.len;
            if (flipped) at[bit / 8] ^= (uint8_t)(1 << bit % 8);
            for (int path = 0; path < 4; path++) {
                // With the row before at hand and without.
                SeriesFollow follow = {i - 1, path < 2 ? sender->labels[i - 1].wire : BYTES_NONE};
                size_t len;
                wide_is_there = path % 2 == 0 && there;
                bool same = registry_follow(registry, &follow, (Bytes){at, wire.len}, &len);
                check(t, same == !flipped && (flipped || (follow.ref == i && len == wire.len)));
            }
            if (flipped) at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        wide_is_there = there;
        size_t len;
        SeriesFollow follow = {i - 1, sender->labels[i - 1].wire};
        check(t, !registry_follow(registry, &follow, (Bytes){at, wire.len - 1}, &len));
        memory_free(at);
    }
    side_close(side);
}

TEST_MAIN("ingest/foretold", CASE(rows_foretold_are_the_rows_decoded),
          CASE(a_sender_that_keeps_its_order_is_told_whole),
          CASE(no_other_labels_are_taken_for_those_foretold))
