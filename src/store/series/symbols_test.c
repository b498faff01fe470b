// Rows whose labels are symbols are the series that their bytes would be: two heads are given the
// same rows, one as bytes and one as symbols of a table that means something else in each request.

#include "base/assert.h"
#include "base/test.h"
#include "store/series/head_fixture.h"

enum { TEXTS = 40, ROWS_MAX = 60, PAIRS_MAX = 8, NAMES = 8 };

typedef struct Row {
    uint32_t texts[2 * PAIRS_MAX];  // of the pool; the first of a pair below NAMES
    uint32_t pairs;
} Row;

typedef struct Request {
    BatchSymbols symbols;
    Arena *arena;
    size_t made;  // rows whose bytes were asked for
    Text texts[TEXTS];
    uint64_t known[TEXTS];
    uint32_t refs[ROWS_MAX * 2 * PAIRS_MAX];
    uint32_t ref_count;
    Side bytes, numbers;
} Request;

static Bytes labels_of(Arena *arena, const Text *texts, const uint32_t *refs, uint32_t count) {
    Label labels[PAIRS_MAX];
    for (uint32_t i = 0; i < count / 2; i++)
        labels[i] = (Label){texts[refs[2 * i]], texts[refs[2 * i + 1]]};
    Labels made;
    Error err;
    bool done = labels_make(labels, count / 2, arena, &made, &err);
    assert(done);
    return made.wire;
}

static void make(BatchSymbols *symbols, BatchSeries *row) {
    Request *request = (Request *)(void *)symbols;
    request->made++;
    row->labels = labels_of(request->arena, request->texts, request->refs + row->first_symbol,
                            row->symbol_count);
}

static void request_open(Request *request, Arena *arena) {
    memset(request, 0, sizeof *request);
    request->arena = arena;
    request->symbols = (BatchSymbols){
        .texts = request->texts, .refs = request->refs, .known = request->known, .make = make};
    side_open(&request->bytes);
    side_open(&request->numbers);
}

static void request_close(Request *request) {
    side_close(&request->bytes);
    side_close(&request->numbers);
}

// Sends the rows; `place` says which symbol each text of the pool is in this request.
static void request_send(Test *t, Request *request, const Text *pool, const uint32_t *place,
                         const Row *rows, uint32_t count) {
    batch_clear(&request->bytes.batch);
    batch_clear(&request->numbers.batch);
    request->numbers.batch.symbols = &request->symbols;
    request->symbols.count = TEXTS;
    request->ref_count = 0;
    memset(request->known, 0, sizeof request->known);
    for (uint32_t i = 0; i < TEXTS; i++) request->texts[place[i]] = pool[i];
    for (uint32_t i = 0; i < count; i++) {
        BatchSeries row = {.first_sample = i, .sample_count = 1};
        row.labels = labels_of(request->arena, pool, rows[i].texts, 2 * rows[i].pairs);
        *array_add(&request->bytes.batch.series) = row;
        *array_add(&request->bytes.batch.samples) = (Sample){1000, 1};
        row = (BatchSeries){.first_symbol = request->ref_count,
                            .symbol_count = 2 * rows[i].pairs,
                            .first_sample = i,
                            .sample_count = 1};
        for (uint32_t k = 0; k < row.symbol_count; k++)
            request->refs[request->ref_count++] = place[rows[i].texts[k]];
        *array_add(&request->numbers.batch.series) = row;
        *array_add(&request->numbers.batch.samples) = (Sample){1000, 1};
    }
    side_resolve(&request->bytes);
    side_resolve(&request->numbers);
    for (uint32_t i = 0; i < count; i++) {
        const BatchSeries *one = &request->bytes.batch.series.at[i],
                          *two = &request->numbers.batch.series.at[i];
        check_i64(t, VERDICT_STORED, two->verdict);
        check_i64(t, one->ref, two->ref);
        check_text(
            t, bytes_text(one->labels),
            bytes_text(registry_labels(&request->numbers.head->registry, two->ref, t->arena).wire));
    }
    check_i64(t, request->bytes.counts.created, request->numbers.counts.created);
}

static void pool_fill(Test *t, Text *pool) {
    pool[0] = LABEL_NAME;
    for (uint32_t i = 1; i < TEXTS; i++)
        pool[i] = text_format(t->arena, i < NAMES ? "name_%u" : "value-%u", i);
}

static void shuffle(uint64_t *random, uint32_t *at, uint32_t count) {
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t other = (uint32_t)(test_random(random) % (i + 1)), kept = at[i];
        at[i] = at[other];
        at[other] = kept;
    }
}

// A metric's name first, then some of the other names, rising; values are shared by all names.
static Row random_row(uint64_t *random) {
    Row row = {.texts = {0, NAMES + (uint32_t)(test_random(random) % 6)}, .pairs = 1};
    for (uint32_t name = 1; name < NAMES; name++) {
        if (test_random(random) % 3 == 0) continue;
        row.texts[2 * row.pairs] = name;
        row.texts[2 * row.pairs++ + 1] =
            NAMES + (uint32_t)(test_random(random) % (test_random(random) % 8 == 0 ? 32 : 4));
    }
    return row;
}

// As a sender that does not sort: another order of the pairs.
static void mix(uint64_t *random, Row *row) {
    for (uint32_t i = row->pairs - 1; i > 0; i--) {
        uint32_t other = (uint32_t)(test_random(random) % (i + 1)), kept[2];
        memcpy(kept, &row->texts[2 * i], sizeof kept);
        memcpy(&row->texts[2 * i], &row->texts[2 * other], sizeof kept);
        memcpy(&row->texts[2 * other], kept, sizeof kept);
    }
}

TEST(symbols_lead_to_the_series_of_their_bytes) {
    uint64_t random = 7;
    Text pool[TEXTS];
    pool_fill(t, pool);
    Request *request = arena_push(t->arena, Request);
    request_open(request, t->arena);
    Row rows[ROWS_MAX];
    uint32_t place[TEXTS], count = ROWS_MAX / 2;
    for (uint32_t i = 0; i < TEXTS; i++) place[i] = i;
    for (uint32_t i = 0; i < count; i++) rows[i] = random_row(&random);
    for (int round = 0; round < 400; round++) {
        shuffle(&random, place, TEXTS);
        for (uint64_t changes = test_random(&random) % 4; changes > 0; changes--) {
            uint32_t at = (uint32_t)(test_random(&random) % count);
            switch (test_random(&random) % 5) {
                case 0:
                    rows[at] = random_row(&random);
                    break;
                case 1:
                    if (count < ROWS_MAX) rows[count++] = random_row(&random);
                    break;
                case 2:
                    if (count > 2) rows[at] = rows[--count];
                    break;
                case 3:
                    mix(&random, &rows[at]);
                    break;
                default:
                    rows[at].texts[2 * rows[at].pairs - 1] = NAMES + (uint32_t)(at % 32);
                    break;
            }
        }
        request_send(t, request, pool, place, rows, count);
    }
    HeadCounts bytes = request->bytes.counts, numbers = request->numbers.counts;
    check_i64(t, bytes.predicted, numbers.predicted);
    check_i64(t, bytes.looked_up, numbers.looked_up);
    // Most rows need no bytes.
    check(t, numbers.predicted > 4 * numbers.looked_up);
    check(t, request->made < (numbers.predicted + numbers.looked_up) / 2);
    request_close(request);
}

TEST(the_same_numbers_with_another_meaning_are_another_series) {
    Text pool[TEXTS];
    pool_fill(t, pool);
    Request *request = arena_push(t->arena, Request);
    request_open(request, t->arena);
    static const Row rows[] = {{{0, 8, 1, 9}, 2}, {{0, 8, 1, 10}, 2}};
    uint32_t place[TEXTS];
    for (uint32_t i = 0; i < TEXTS; i++) place[i] = i;
    for (int i = 0; i < 3; i++) request_send(t, request, pool, place, rows, 2);
    check_i64(t, 2, request->numbers.counts.created);
    check_i64(t, 3, request->made);  // two when they were made; one until its order was learnt
    // The same references, of the same lengths: only the texts tell.
    pool[10] = TEXT("value-9x");
    pool[9] = TEXT("valu3-9");
    request_send(t, request, pool, place, rows, 2);
    check_i64(t, 4, request->numbers.counts.created);
    // A name in the place of a value, and the other way round.
    static const Row swapped[] = {{{0, 8, 1, 2}, 2}, {{0, 8, 2, 1}, 2}};
    for (int i = 0; i < 2; i++) request_send(t, request, pool, place, swapped, 2);
    check_i64(t, 6, request->numbers.counts.created);
    // "ab" = "c" is not "a" = "bc": bytes are compared label by label.
    pool[3] = TEXT("ab"), pool[4] = TEXT("a"), pool[20] = TEXT("c"), pool[21] = TEXT("bc");
    static const Row alike[] = {{{0, 8, 3, 20}, 2}, {{0, 8, 4, 21}, 2}};
    for (int i = 0; i < 2; i++) request_send(t, request, pool, place, alike, 2);
    check_i64(t, 8, request->numbers.counts.created);
    request_close(request);
}

TEST_MAIN("store/symbols", CASE(symbols_lead_to_the_series_of_their_bytes),
          CASE(the_same_numbers_with_another_meaning_are_another_series))
