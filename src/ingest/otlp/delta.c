// Running totals of deltas: a hash table of streams, the longest silent one last in a list.

#include "ingest/otlp/delta.h"

#include "base/assert.h"
#include "base/limits.h"
#include "ingest/otlp/exponential.h"

typedef struct Stream Stream;
struct Stream {
    Stream *chain;          // of the same slot
    Stream *older, *newer;  // by when they were last heard of
    uint64_t hash;
    Bytes name;                  // heap
    uint64_t start_ns, time_ns;  // of the first point; of the last
    uint64_t total_start_ns;     // of what is added up now
    uint64_t last_start_ns;
    uint64_t last_print;  // fingerprint of the last point
    int64_t heard_ms;
    uint64_t round;    // of the table, when it was last touched
    double sum;        // of numbers
    uint64_t *memory;  // of the two below: exactly what they need, as there may be many
    size_t memory_bytes;
    HistogramPoint histogram;
    ExponentialPoint exponential;
};

struct DeltaTable {
    HashKey hash_key;
    int64_t streams_max, expires_ms, now_ms;
    uint64_t round;
    Stream **slots;
    size_t slot_count, count;
    int64_t bytes;  // of names and arenas
    Stream *newest, *oldest;
};

enum { SLOTS_MIN = 64 };

DeltaTable *delta_table_new(HashKey hash_key, int64_t streams_max, int64_t expires_ms) {
    DeltaTable *table = memory_new(DeltaTable);
    table->hash_key = hash_key;
    table->streams_max = streams_max;
    table->expires_ms = expires_ms;
    table->slot_count = SLOTS_MIN;
    table->slots = memory_new_array(Stream *, SLOTS_MIN);
    return table;
}

int64_t delta_table_bytes(const DeltaTable *table) {
    return table->bytes;
}

size_t delta_table_count(const DeltaTable *table) {
    return table->count;
}

// ---- The list and the table ----

static void list_remove(DeltaTable *table, Stream *stream) {
    *(stream->newer == NULL ? &table->newest : &stream->newer->older) = stream->older;
    *(stream->older == NULL ? &table->oldest : &stream->older->newer) = stream->newer;
    stream->older = stream->newer = NULL;
}

static void list_add(DeltaTable *table, Stream *stream) {
    stream->older = table->newest;
    *(table->newest == NULL ? &table->oldest : &table->newest->newer) = stream;
    table->newest = stream;
}

static void stream_remove(DeltaTable *table, Stream *stream) {
    Stream **at = &table->slots[stream->hash & (table->slot_count - 1)];
    while (*at != stream) at = &(*at)->chain;
    *at = stream->chain;
    list_remove(table, stream);
    table->count--;
    table->bytes -= (int64_t)(sizeof *stream + stream->name.len + stream->memory_bytes);
    memory_free(stream->memory);
    memory_free((void *)(uintptr_t)stream->name.at);
    memory_free(stream);
}

void delta_table_free(DeltaTable **table) {
    if (*table == NULL) return;
    while ((*table)->oldest != NULL) stream_remove(*table, (*table)->oldest);
    memory_free((*table)->slots);
    memory_free(TAKE(*table));
}

static void expire(DeltaTable *table) {
    while (table->oldest != NULL && table->now_ms - table->oldest->heard_ms > table->expires_ms)
        stream_remove(table, table->oldest);
}

void delta_table_turn(DeltaTable *table, int64_t now_ms) {
    table->now_ms = now_ms;
    table->round++;
    expire(table);
}

void delta_table_expire(DeltaTable *table, int64_t now_ms) {
    table->now_ms = now_ms;
    expire(table);
}

void delta_table_forget(DeltaTable *table) {
    // Whatever was touched was moved to the front.
    while (table->newest != NULL && table->newest->round == table->round)
        stream_remove(table, table->newest);
}

static void slots_grow(DeltaTable *table) {
    size_t count = table->slot_count * 2;
    Stream **slots = memory_new_array(Stream *, count);
    for (size_t i = 0; i < table->slot_count; i++) {
        for (Stream *stream = table->slots[i], *next; stream != NULL; stream = next) {
            next = stream->chain;
            stream->chain = slots[stream->hash & (count - 1)];
            slots[stream->hash & (count - 1)] = stream;
        }
    }
    memory_free(table->slots);
    table->slots = slots;
    table->slot_count = count;
}

static Stream *stream_find(const DeltaTable *table, uint64_t hash, Bytes name) {
    Stream *stream = table->slots[hash & (table->slot_count - 1)];
    while (stream != NULL && (stream->hash != hash || !bytes_equal(stream->name, name)))
        stream = stream->chain;
    return stream;
}

// Histograms are bounded in number and in size, which is not enough: both together is gigabytes.
static bool has_room(const DeltaTable *table, Error *err) {
    if (table->bytes < LIMIT_OTLP_DELTA_BYTES) return true;
    return error_set(err, ERROR_TOO_MANY,
                     "the streams of deltas take more than OTLP_DELTA_BYTES (%lld); send "
                     "cumulative histograms, or fewer buckets",
                     (long long)LIMIT_OTLP_DELTA_BYTES);
}

static bool stream_make(DeltaTable *table, uint64_t hash, Bytes name, Stream **out, Error *err) {
    TRY(has_room(table, err));
    if ((int64_t)table->count >= table->streams_max) {
        return error_set(err, ERROR_TOO_MANY,
                         "more than %lld streams of deltas (setting otlp.delta_series); send "
                         "cumulative sums or raise it",
                         (long long)table->streams_max);
    }
    if (table->count >= table->slot_count) slots_grow(table);
    Stream *stream = memory_new(Stream);
    uint8_t *copy = memory_take(name.len + 1);
    if (name.len > 0) memcpy(copy, name.at, name.len);
    stream->name = (Bytes){copy, name.len};
    stream->hash = hash;
    Stream **slot = &table->slots[hash & (table->slot_count - 1)];
    stream->chain = *slot;
    *slot = stream;
    table->count++;
    table->bytes += (int64_t)(sizeof *stream + name.len);
    list_add(table, stream);
    *out = stream;
    return true;
}

// ---- One point ----

typedef enum Place { PLACE_FIRST, PLACE_NEXT, PLACE_AGAIN } Place;

// Where the point stands in its stream, which is made when it is new. `print` tells points of the
// same time apart.
static bool stream_place(DeltaTable *table, Bytes name, const PointHead *head, uint64_t print,
                         Stream **out, Place *place, Error *err) {
    if (head->start_ns > head->time_ns) {
        return error_set(err, ERROR_BAD_INPUT, "a delta that ends before it begins");
    }
    uint64_t hash = hash_keyed(table->hash_key, name);
    Stream *stream = stream_find(table, hash, name);
    *place = PLACE_NEXT;
    if (stream == NULL) {
        TRY(stream_make(table, hash, name, &stream, err));
        stream->start_ns = stream->total_start_ns = head->start_ns;
        *place = PLACE_FIRST;
    } else if (head->time_ns == stream->time_ns && head->start_ns == stream->last_start_ns &&
               print == stream->last_print) {
        *place = PLACE_AGAIN;
    } else if (head->start_ns != 0 && head->start_ns < stream->start_ns) {
        return error_set(err, ERROR_OUT_OF_ORDER,
                         "a delta that begins before the first one of its stream");
    } else if (head->time_ns <= stream->time_ns) {
        return error_set(err, ERROR_OUT_OF_ORDER,
                         "a delta that is not behind the last one of its stream");
    }
    *out = stream;
    return true;
}

static void stream_touch(DeltaTable *table, Stream *stream, const PointHead *head, uint64_t print) {
    stream->time_ns = head->time_ns;
    stream->last_start_ns = head->start_ns;
    stream->last_print = print;
    stream->heard_ms = table->now_ms;
    stream->round = table->round;
    list_remove(table, stream);
    list_add(table, stream);
}

static bool is_finite(double value) {
    return value - value == 0;
}

static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

bool delta_number(DeltaTable *table, Bytes name, bool monotonic, NumberPoint *point, Error *err) {
    if (!is_finite(point->value)) {
        return error_set(err, ERROR_BAD_INPUT, "a delta that is not a finite number");
    }
    if (monotonic && point->value < 0) {
        return error_set(err, ERROR_BAD_INPUT, "a monotonic sum with a negative delta");
    }
    uint64_t print = bits_of(point->value);
    Stream *stream;
    Place place;
    TRY(stream_place(table, name, &point->head, print, &stream, &place, err));
    if (place != PLACE_AGAIN) stream->sum += point->value;
    stream_touch(table, stream, &point->head, print);
    point->value = stream->sum;
    point->head.start_ns = stream->total_start_ns;
    return true;
}

// ---- Histograms ----

static uint64_t print_counts(uint64_t print, const uint64_t *counts, size_t count) {
    for (size_t i = 0; i < count; i++) print = hash_id(hash_id(print + 1) ^ counts[i]);
    return print;
}

static bool same_bounds(const HistogramPoint *a, const HistogramPoint *b) {
    return a->bound_count == b->bound_count && a->count_count == b->count_count &&
           (a->bound_count == 0 ||
            memcmp(a->bounds, b->bounds, a->bound_count * sizeof *a->bounds) == 0);
}

static void *copy_of(const void *from, size_t bytes, Arena *arena) {
    void *to = arena_push_raw(arena, bytes, _Alignof(uint64_t));
    if (bytes > 0) memcpy(to, from, bytes);
    return to;
}

// New memory of so many 64-bit values; the old one is still there.
static uint64_t *stream_memory(DeltaTable *table, Stream *stream, size_t values) {
    table->bytes += (int64_t)(values * sizeof(uint64_t)) - (int64_t)stream->memory_bytes;
    stream->memory_bytes = values * sizeof(uint64_t);
    return memory_take(stream->memory_bytes + 1);
}

static uint64_t *put(uint64_t **at, const void *from, size_t values) {
    uint64_t *to = *at;
    if (values > 0) memcpy(to, from, values * sizeof *to);
    *at += values;
    return to;
}

static void begin_histogram(DeltaTable *table, Stream *stream, const HistogramPoint *point) {
    HistogramPoint *total = &stream->histogram;
    uint64_t *memory = stream_memory(table, stream, point->count_count + point->bound_count);
    uint64_t *at = memory;
    *total = *point;
    stream->total_start_ns = point->head.start_ns;
    total->counts = put(&at, point->counts, point->count_count);
    total->bounds = (double *)(void *)put(&at, point->bounds, point->bound_count);
    memory_free(stream->memory);
    stream->memory = memory;
}

bool delta_histogram(DeltaTable *table, Bytes name, Arena *scratch, HistogramPoint *point,
                     Error *err) {
    uint64_t print = print_counts(point->count, point->counts, point->count_count) ^
                     (point->has_sum ? bits_of(point->sum) : 0);
    Stream *stream;
    Place place;
    TRY(stream_place(table, name, &point->head, print, &stream, &place, err));
    HistogramPoint *total = &stream->histogram;
    if (place == PLACE_FIRST || (place == PLACE_NEXT && !same_bounds(total, point))) {
        begin_histogram(table, stream, point);
    } else if (place == PLACE_NEXT) {
        total->count += point->count;
        total->sum += point->sum;
        total->has_sum &= point->has_sum;
        for (size_t i = 0; i < total->count_count; i++) total->counts[i] += point->counts[i];
    }
    stream_touch(table, stream, &point->head, print);
    point->count = total->count;
    point->sum = total->sum;
    point->has_sum = total->has_sum;
    point->head.start_ns = stream->total_start_ns;
    point->counts = copy_of(total->counts, total->count_count * sizeof(uint64_t), scratch);
    return true;
}

static void keep_side(ExponentialBuckets *side, Arena *arena) {
    side->counts = copy_of(side->counts, side->count * sizeof(uint64_t), arena);
}

static void begin_exponential(DeltaTable *table, Stream *stream, const ExponentialPoint *point) {
    // `point` may lie on the memory that is given up.
    ExponentialPoint *total = &stream->exponential;
    uint64_t *memory = stream_memory(table, stream, point->positive.count + point->negative.count);
    uint64_t *at = memory;
    *total = *point;
    total->positive.counts = put(&at, point->positive.counts, point->positive.count);
    total->negative.counts = put(&at, point->negative.counts, point->negative.count);
    memory_free(stream->memory);
    stream->memory = memory;
}

bool delta_exponential(DeltaTable *table, Bytes name, Arena *scratch, ExponentialPoint *point,
                       Error *err) {
    uint64_t print = print_counts(point->count ^ (uint64_t)(int64_t)point->positive.offset,
                                  point->positive.counts, point->positive.count);
    print =
        print_counts(print ^ bits_of(point->sum), point->negative.counts, point->negative.count);
    Stream *stream;
    Place place;
    TRY(stream_place(table, name, &point->head, print, &stream, &place, err));
    ExponentialPoint sum = stream->exponential;
    bool begins =
        place == PLACE_FIRST ||
        (place == PLACE_NEXT && bits_of(sum.zero_threshold) != bits_of(point->zero_threshold));
    if (begins || (place == PLACE_NEXT && !exponential_add(&sum, point, scratch, err))) {
        stream->total_start_ns = point->head.start_ns;
        begin_exponential(table, stream, point);
    } else if (place == PLACE_NEXT) {
        begin_exponential(table, stream, &sum);
    }
    stream_touch(table, stream, &point->head, print);
    PointHead head = point->head;
    *point = stream->exponential;
    point->head = head;
    point->head.start_ns = stream->total_start_ns;
    keep_side(&point->positive, scratch);
    keep_side(&point->negative, scratch);
    return true;
}
