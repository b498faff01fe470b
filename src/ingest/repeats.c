// Requests that are remembered: a table by the first bytes of their symbols, and the list of all of
// them, of which those seen longest ago go.

#include "ingest/repeats.h"

#include "base/array.h"
#include "base/limits.h"
#include "base/same_bytes.h"
#include "codec/crc32c.h"
#include "ingest/write_request.h"
#include "ingest/write_request_2.h"
#include "os/thread.h"

enum {
    BUCKETS = 1024,
    PREFIX_BYTES = 128,  // what a request is looked for by; a shorter table is not worth it
    ALIKE_MAX = 4,       // requests that begin alike
    SEEN = 4096,         // tables of which it is known that they came once
};

// Of a row: how many bytes stand before its sample and behind it.
typedef struct Around {
    uint8_t before, behind;
} Around;

// Places of texts in the symbols.
typedef struct RepeatText {
    uint32_t at, len;
} RepeatText;

typedef struct RepeatMetadata {
    RepeatText family, help, unit;
    uint8_t type;
} RepeatMetadata;

typedef struct Repeat {
    struct Repeat *newer, *older;
    struct Repeat *next;  // in its bucket
    uint64_t prefix;      // the hash of PREFIX_BYTES and the tenant
    uint32_t tenant;
    unsigned users;  // with the lock; the table is one of them
    bool gone;       // from the table
    uint64_t head;
    size_t symbols_len, row_count, metadata_count;
    int64_t bytes;
    // All in one piece with this.
    RepeatMetadata *metadata;
    uint32_t *refs;  // of each row, in `head`
    Around *rows;
    const uint8_t *symbols;  // as they stand in the body
    const uint8_t *around;   // of all rows, one behind the other
} Repeat;

struct Repeats {
    HashKey key;
    int64_t bytes_max;
    Mutex lock;  // of all below
    Repeat *buckets[BUCKETS];
    Repeat *newest, *oldest;
    uint64_t seen[SEEN];
    RepeatsState state;
};

Repeats *repeats_new(HashKey key, int64_t bytes_max) {
    Repeats *repeats = memory_new(Repeats);
    repeats->key = key;
    repeats->bytes_max = bytes_max > 0 ? bytes_max : LIMIT_REPEATS_BYTES;
    mutex_begin(&repeats->lock, LOCK_WRITE_REPEATS);
    return repeats;
}

void repeats_free(Repeats **handle) {
    if (*handle == NULL) return;
    Repeats *repeats = TAKE(*handle);
    for (Repeat *at = repeats->newest; at != NULL;) {
        Repeat *gone = at;
        at = at->older;
        memory_free(gone);
    }
    mutex_end(&repeats->lock);
    memory_free(repeats);
}

void repeats_state(Repeats *repeats, RepeatsState *out) {
    mutex_take(&repeats->lock);
    *out = repeats->state;
    mutex_give(&repeats->lock);
}

// ---- The table and the list, with the lock ----

static Repeat **bucket_of(Repeats *repeats, uint64_t prefix) {
    return &repeats->buckets[prefix % BUCKETS];
}

static void list_add(Repeats *repeats, Repeat *repeat) {
    repeat->newer = NULL;
    repeat->older = repeats->newest;
    if (repeats->newest != NULL) repeats->newest->newer = repeat;
    repeats->newest = repeat;
    if (repeats->oldest == NULL) repeats->oldest = repeat;
}

static void list_take(Repeats *repeats, Repeat *repeat) {
    *(repeat->newer != NULL ? &repeat->newer->older : &repeats->newest) = repeat->older;
    *(repeat->older != NULL ? &repeat->older->newer : &repeats->oldest) = repeat->newer;
}

static void let_go(Repeat *repeat) {
    if (--repeat->users == 0) memory_free(repeat);
}

static void forget(Repeats *repeats, Repeat *repeat) {
    Repeat **place = bucket_of(repeats, repeat->prefix);
    while (*place != repeat) place = &(*place)->next;
    *place = repeat->next;
    list_take(repeats, repeat);
    repeats->state.requests--;
    repeats->state.series -= repeat->row_count;
    repeats->state.bytes -= repeat->bytes;
    repeat->gone = true;
    let_go(repeat);
}

static void keep(Repeats *repeats, Repeat *repeat) {
    size_t alike = 0;
    Repeat *last = NULL;
    for (Repeat *at = *bucket_of(repeats, repeat->prefix), *next; at != NULL; at = next) {
        next = at->next;
        if (at->prefix != repeat->prefix) continue;
        bool same = at->symbols_len == repeat->symbols_len &&
                    memcmp(at->symbols, repeat->symbols, at->symbols_len) == 0;
        if (same) {
            forget(repeats, at);
            continue;
        }
        alike++;
        last = at;  // the first that came
    }
    if (alike >= ALIKE_MAX) forget(repeats, last);
    while (repeats->oldest != NULL && repeats->state.bytes + repeat->bytes > repeats->bytes_max) {
        forget(repeats, repeats->oldest);
        repeats->state.evicted++;
    }
    repeat->next = *bucket_of(repeats, repeat->prefix);
    *bucket_of(repeats, repeat->prefix) = repeat;
    list_add(repeats, repeat);
    repeats->state.requests++;
    repeats->state.series += repeat->row_count;
    repeats->state.bytes += repeat->bytes;
    repeats->state.remembered++;
}

// ---- Finding ----

static uint64_t prefix_of(const Repeats *repeats, uint32_t tenant, Bytes body) {
    return hash_keyed(repeats->key, (Bytes){body.at, PREFIX_BYTES}) ^ hash_id(tenant);
}

// Those of the tenant that begin as the body does, held; how many.
static size_t hold_alike(Repeats *repeats, uint32_t tenant, Bytes body, Repeat **out) {
    uint64_t prefix = prefix_of(repeats, tenant, body);
    size_t count = 0;
    mutex_take(&repeats->lock);
    for (Repeat *at = *bucket_of(repeats, prefix); at != NULL && count < ALIKE_MAX; at = at->next) {
        if (at->prefix != prefix || at->tenant != tenant) continue;
        at->users++;
        out[count++] = at;
    }
    mutex_give(&repeats->lock);
    return count;
}

static Text text_at(Bytes body, RepeatText text) {
    return (Text){(const char *)body.at + text.at, text.len};
}

typedef bool SameBytes(const uint8_t *a, const uint8_t *b, size_t len);

// The samples of the body's rows, as long as the rows are those remembered. The batch has room.
static inline __attribute__((always_inline)) bool rows_with(SameBytes *same, const Repeat *repeat,
                                                            Bytes body, Batch *batch) {
    const uint8_t *at = body.at + repeat->symbols_len, *end = body.at + body.len;
    const uint8_t *around = repeat->around;
    Sample *samples = batch->samples.at;
    for (size_t i = 0; i < repeat->row_count; i++) {
        const size_t before = repeat->rows[i].before, behind = repeat->rows[i].behind;
        if (unlikely(end - at < 2 || at[0] != WRITE_2_ROW_TAG || at[1] >= 0x80 ||
                     at[1] > end - at - 2 || at[1] < before + 2 + behind))
            return false;
        const uint8_t *row = at + 2, *sample = row + before;
        at = row + at[1];
        Bytes bytes = {sample + 2, (size_t)(at - sample) - 2 - behind};
        if (unlikely(sample[0] != WRITE_2_SAMPLE_TAG || sample[1] != bytes.len ||
                     !same(row, around, before) || !same(at - behind, around + before, behind)))
            return false;
        around += before + behind;
        if (likely(write_sample_decode_usual(bytes, &samples[i]))) continue;
        batch->samples.count = i;
        if (unlikely(!write_sample_add(bytes, batch))) return false;
    }
    batch->samples.count = repeat->row_count;
    return at == end;
}

#ifdef __x86_64__
WIDE_TARGET static bool rows_wide(const Repeat *repeat, Bytes body, Batch *batch) {
    return rows_with(same_bytes_wide, repeat, body, batch);
}
#endif

static bool rows_anywhere(const Repeat *repeat, Bytes body, Batch *batch) {
    return rows_with(same_bytes, repeat, body, batch);
}

static bool rows_same(const Repeat *repeat, Bytes body, Batch *batch) {
#ifdef __x86_64__
    if (has_wide()) return rows_wide(repeat, body, batch);
#endif
    return rows_anywhere(repeat, body, batch);
}

static bool recall(const Repeat *repeat, Bytes body, Batch *batch) {
    array_reserve(&batch->samples, repeat->row_count);
    if (!rows_same(repeat, body, batch)) {
        array_clear(&batch->samples);
        array_clear(&batch->starts);
        return false;
    }
    array_add_many(&batch->plain, repeat->refs, repeat->row_count);
    batch->told_head = repeat->head;
    for (size_t i = 0; i < repeat->metadata_count; i++) {
        const RepeatMetadata *metadata = &repeat->metadata[i];
        *array_add(&batch->metadata) =
            (BatchMetadata){text_at(body, metadata->family), metadata->type,
                            text_at(body, metadata->help), text_at(body, metadata->unit)};
    }
    return true;
}

static bool begins(const Repeat *repeat, Bytes body) {
    return repeat->symbols_len <= body.len &&
           memcmp(repeat->symbols, body.at, repeat->symbols_len) == 0;
}

bool repeats_find(Repeats *repeats, uint32_t tenant, Bytes body, Batch *batch) {
    if (body.len <= PREFIX_BYTES) return false;
    UNFILLED Repeat *alike[ALIKE_MAX];
    size_t count = hold_alike(repeats, tenant, body, alike), at = 0;
    if (count == 0) return false;
    while (at < count && !begins(alike[at], body)) at++;
    bool found = at < count && recall(alike[at], body, batch);
    mutex_take(&repeats->lock);
    if (found && !alike[at]->gone) {
        list_take(repeats, alike[at]);
        list_add(repeats, alike[at]);
    }
    repeats->state.found += found;
    for (size_t i = 0; i < count; i++) let_go(alike[i]);
    mutex_give(&repeats->lock);
    return found;
}

bool repeats_decode(Repeats *repeats, uint32_t tenant, Bytes body, WriteSymbols *symbols,
                    Arena *scratch, Batch *batch, Error *err) {
    if (repeats == NULL || !repeats_find(repeats, tenant, body, batch))
        return write_request_2_decode(body, symbols, scratch, batch, err);
    write_symbols_repeat(symbols, body, scratch, batch);
    return true;
}

// ---- Remembering ----

// Each row one sample, all of them good.
static bool may_be_plain(const Batch *batch) {
    if (batch->series.count == 0 || batch->samples.count != batch->series.count ||
        batch->histograms.count > 0 || batch->exemplars.count > 0 || batch->head == 0)
        return false;
    for (size_t i = 0; i < batch->series.count; i++) {
        const BatchSeries *row = &batch->series.at[i];
        if (row->verdict != VERDICT_STORED || row->sample_count != 1) return false;
    }
    return true;
}

// Whether this table came before; notes that it did.
static bool seen_before(Repeats *repeats, uint32_t tenant, Bytes symbols) {
    uint64_t table = (uint64_t)symbols.len << 32 | crc32c(tenant, symbols);
    uint64_t *place = &repeats->seen[hash_id(table) % SEEN];
    mutex_take(&repeats->lock);
    bool seen = *place == table;
    *place = table;
    mutex_give(&repeats->lock);
    return seen;
}

typedef struct Lengths {
    ARRAY(Around) rows;
    size_t around;
} Lengths;

// The rows of the body as a sender of the usual shape writes them; false: it is of another.
static bool measure(Bytes rest, const Batch *batch, Lengths *out) {
    array_reserve(&out->rows, batch->series.count);
    while (rest.len > 0) {
        Bytes row;
        WriteUsual usual;
        if (out->rows.count == batch->series.count ||
            !write_2_cut_short(&rest, WRITE_2_ROW_TAG, &row) || !write_2_is_usual(row, &usual))
            return false;
        const uint8_t *behind = usual.sample.at + usual.sample.len;
        Around around = {.before = (uint8_t)(usual.sample.at - 2 - row.at),
                         .behind = (uint8_t)(row.at + row.len - behind)};
        out->around += (size_t)around.before + around.behind;
        *array_add(&out->rows) = around;
    }
    return out->rows.count == batch->series.count;
}

static RepeatText place_of(Bytes body, Text text) {
    if (text.len == 0) return (RepeatText){0, 0};
    return (RepeatText){(uint32_t)((const uint8_t *)text.at - body.at), (uint32_t)text.len};
}

static void copy_around(Bytes rest, const Lengths *lengths, uint8_t *out) {
    const uint8_t *at = rest.at;
    for (size_t i = 0; i < lengths->rows.count; i++) {
        const Around row = lengths->rows.at[i];
        size_t len = at[1];
        at += 2;
        memcpy(out, at, row.before);
        memcpy(out + row.before, at + len - row.behind, row.behind);
        out += row.before + row.behind;
        at += len;
    }
}

static Repeat *repeat_make(Bytes body, size_t symbols_len, const Batch *batch,
                           const Lengths *lengths) {
    size_t rows = batch->series.count, metadata = batch->metadata.count;
    size_t bytes = sizeof(Repeat) + metadata * sizeof(RepeatMetadata) + rows * sizeof(uint32_t) +
                   rows * sizeof(Around) + symbols_len + lengths->around;
    Repeat *repeat = memory_take(bytes);
    *repeat = (Repeat){.users = 1,
                       .head = batch->head,
                       .symbols_len = symbols_len,
                       .row_count = rows,
                       .metadata_count = metadata,
                       .bytes = (int64_t)bytes};
    repeat->metadata = (RepeatMetadata *)(repeat + 1);
    repeat->refs = (uint32_t *)(repeat->metadata + metadata);
    repeat->rows = (Around *)(repeat->refs + rows);
    uint8_t *symbols = (uint8_t *)(repeat->rows + rows), *around = symbols + symbols_len;
    repeat->symbols = symbols;
    repeat->around = around;
    for (size_t i = 0; i < metadata; i++) {
        const BatchMetadata *from = &batch->metadata.at[i];
        repeat->metadata[i] =
            (RepeatMetadata){place_of(body, from->family), place_of(body, from->help),
                             place_of(body, from->unit), from->type};
    }
    for (size_t i = 0; i < rows; i++) repeat->refs[i] = batch->series.at[i].ref;
    memcpy(repeat->rows, lengths->rows.at, rows * sizeof(Around));
    memcpy(symbols, body.at, symbols_len);
    copy_around((Bytes){body.at + symbols_len, body.len - symbols_len}, lengths, around);
    return repeat;
}

void repeats_note(Repeats *repeats, uint32_t tenant, Bytes body, const WriteSymbols *symbols,
                  const Batch *batch) {
    if (repeats == NULL || batch->head == batch->told_head) return;
    size_t symbols_len = symbols->front_len;
    if (symbols_len < PREFIX_BYTES || !may_be_plain(batch)) return;
    if (!seen_before(repeats, tenant, (Bytes){body.at, symbols_len})) return;
    Lengths lengths = {0};
    if (measure((Bytes){body.at + symbols_len, body.len - symbols_len}, batch, &lengths)) {
        Repeat *repeat = repeat_make(body, symbols_len, batch, &lengths);
        repeat->tenant = tenant;
        repeat->prefix = prefix_of(repeats, tenant, body);
        if (repeat->bytes > repeats->bytes_max / 8) {
            memory_free(repeat);  // it would drive out all others
        } else {
            mutex_take(&repeats->lock);
            keep(repeats, repeat);
            mutex_give(&repeats->lock);
        }
    }
    array_free(&lengths.rows);
}
