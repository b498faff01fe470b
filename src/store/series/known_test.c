// Rows whose senders keep their labels: known by number in the head that said so, and in no other.

#include "base/test.h"
#include "store/series/head_fixture.h"

enum { ROWS = 50 };

typedef struct Sender {
    Labels labels[ROWS];
    BatchKnown known[ROWS];
} Sender;

static void sender_begin(Test *t, Sender *sender) {
    memset(sender, 0, sizeof *sender);
    for (int i = 0; i < ROWS; i++) {
        Label labels[] = {{LABEL_NAME, TEXT("m")},
                          {TEXT("number"), text_format(t->arena, "%d", i)}};
        check_ok(t, labels_make(labels, 2, t->arena, &sender->labels[i], t->err));
    }
}

// Every `stride`-th row from `from` on, around; those for which `kept` is false come without.
static void send(Test *t, Side *side, Sender *sender, int from, int stride, bool kept) {
    batch_clear(&side->batch);
    side->counts = (HeadCounts){0};
    for (int i = 0; i < ROWS; i++) {
        int row = (from + i * stride) % ROWS;
        *array_add(&side->batch.series) = (BatchSeries){
            .labels = sender->labels[row].wire, .first_sample = (uint32_t)i, .sample_count = 1};
        *array_add(&side->batch.samples) = (Sample){1000, 1};
        if (kept) *array_add(&side->batch.known) = i % 7 == 3 ? NULL : &sender->known[row];
    }
    side_resolve(side);
    for (int i = 0; i < ROWS; i++) {
        const BatchSeries *row = &side->batch.series.at[i];
        if (row->verdict != VERDICT_STORED) continue;
        check_text(t, bytes_text(row->labels),
                   bytes_text(registry_labels(&side->head->registry, row->ref, t->arena).wire));
    }
}

TEST(kept_labels_are_known_in_any_order_in_the_head_that_has_them) {
    Side *side = arena_push(t->arena, Side);
    Sender *sender = arena_push(t->arena, Sender);
    side_open(side);
    sender_begin(t, sender);
    send(t, side, sender, 0, 1, true);
    check_i64(t, ROWS, (int64_t)side->counts.created);
    // All have had their turn with what is known, whichever came without.
    send(t, side, sender, 1, 1, true);
    for (int i = 0; i < ROWS; i++) check(t, sender->known[i].head == side->head->name);
    for (int stride = 3; stride < 30; stride += 2) {
        if (stride % 5 == 0) continue;
        send(t, side, sender, stride, stride, true);
        check_i64(t, 0, (int64_t)side->counts.created);
        // All but those without, which nothing foretells in a new order.
        check(t, side->counts.predicted >= ROWS - (ROWS + 3) / 7);
    }
    side_close(side);
}

TEST(another_head_does_not_believe_what_one_said) {
    Side *one = arena_push(t->arena, Side), *other = arena_push(t->arena, Side);
    Sender *sender = arena_push(t->arena, Sender);
    side_open(one);
    side_open(other);
    check(t,
          one->head->name != other->head->name && one->head->generation == other->head->generation);
    sender_begin(t, sender);
    // The same series under other numbers.
    send(t, one, sender, 0, 1, true);
    send(t, other, sender, 17, 3, false);
    for (int i = 0; i < 6; i++) {
        Side *side = i % 2 == 0 ? other : one;
        send(t, side, sender, i, 1, true);
        check_i64(t, 0, (int64_t)side->counts.created);
        check(t, side->batch.counts[VERDICT_LIMIT] == 0);
    }
    side_close(one);
    side_close(other);
}

TEST(a_row_that_is_refused_is_not_told_a_series) {
    Side *side = arena_push(t->arena, Side);
    Sender *sender = arena_push(t->arena, Sender);
    side_open(side);
    quota_end(&side->quota);
    quota_begin(&side->quota, (SeriesLimits){.active_max = 5}, 0);
    sender_begin(t, sender);
    sender->labels[2].wire.len--;  // malformed
    send(t, side, sender, 0, 1, true);
    check_i64(t, VERDICT_BAD_LABELS, side->batch.series.at[2].verdict);
    check_i64(t, 5, (int64_t)side->counts.created);
    int told = 0;
    for (int i = 0; i < ROWS; i++) told += sender->known[i].head != 0;
    check_i64(t, 4, told);  // the fourth row came without
    check(t, sender->known[2].head == 0);
    side_close(side);
}

TEST_MAIN("store/known", CASE(kept_labels_are_known_in_any_order_in_the_head_that_has_them),
          CASE(another_head_does_not_believe_what_one_said),
          CASE(a_row_that_is_refused_is_not_told_a_series))
