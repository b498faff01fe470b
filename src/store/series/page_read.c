// Reading the samples of a page back while others write.

#include <stdlib.h>

#include "store/series/page_inside.h"

void strip_values(const Strip *strip, double *values) {
    size_t used;
    bool whole = values_decode((Bytes){(const uint8_t *)(strip + 1), strip->bytes}, strip->count,
                               values, &used, NULL);
    assert(whole && used == strip->bytes);
}

void strip_decode(const Strip *strip, const StripClock *clock, int64_t *times, double *values) {
    size_t used;
    bool whole = times_decode((Bytes){(const uint8_t *)(clock + 1), clock->bytes}, strip->count,
                              times, &used, NULL);
    assert(whole && used == clock->bytes);
    if (values != NULL) strip_values(strip, values);
}

typedef struct StripPlace {
    const Strip *strip;
    const StripClock *clock;
} StripPlace;

static inline void columns_push(SeriesColumns *out, int64_t time_ms, double value) {
    out->times[out->count] = time_ms;
    out->values[out->count++] = value;
}

static int by_time(const void *a, const void *b) {
    const Sample *first = a, *again = b;
    return (first->time_ms > again->time_ms) - (first->time_ms < again->time_ms);
}

// Late samples stand behind the ordered ones: sorts what was appended from `begin` on. No time
// stands twice.
static void sort_columns(SeriesColumns *out, size_t begin) {
    bool rising = true;
    for (size_t i = begin + 1; i < out->count; i++) rising &= out->times[i - 1] < out->times[i];
    if (rising) return;
    size_t count = out->count - begin;
    Sample *samples = memory_take(array_bytes(count, sizeof *samples));
    for (size_t i = 0; i < count; i++)
        samples[i] = (Sample){out->times[begin + i], out->values[begin + i]};
    qsort(samples, count, sizeof *samples, by_time);
    for (size_t i = 0; i < count; i++) {
        out->times[begin + i] = samples[i].time_ms;
        out->values[begin + i] = samples[i].value;
    }
    memory_free(samples);
}

// The times of a clock, kept for the series that share it. The clock was checked when it was read
// first.
static const int64_t *clock_times(PageReader *reader, const StripClock *clock, uint32_t count) {
    uint64_t mixed = (uint64_t)(uintptr_t)clock * UINT64_C(0x9e3779b97f4a7c15);
    __typeof__(&reader->known[0]) known = &reader->known[mixed >> 58];
    if (known->clock == clock) return known->times;
    size_t used;
    bool memory_is_as_written = clock->check == clock_check(clock);
    assert(memory_is_as_written);
    bool whole = times_decode((Bytes){(const uint8_t *)(clock + 1), clock->bytes}, count,
                              known->times, &used, NULL);
    assert(whole && used == clock->bytes);
    known->clock = clock;
    return known->times;
}

_Static_assert(PAGE_READER_CLOCKS == 1 << (64 - 58), "the upper bits choose the place");

// The whole tail, which rises; how many.
static size_t tail_read(const Page *page, const PageSeries *series, int64_t *times,
                        double *values) {
    uint16_t check = tail_check_begin(series->base_ms);
    for (uint32_t i = 0; i < series->tail_count; i++) {
        uint32_t quad = series->quads[i / QUAD_SAMPLES];
        int32_t delta = quad_deltas(page, quad)[i % QUAD_SAMPLES];
        values[i] = quad_values(page, quad)[i % QUAD_SAMPLES];
        times[i] = series->base_ms + delta;
        check = tail_check_add(check, i, delta, values[i]);
    }
    bool memory_is_as_written = series->tail_count == 0 || check == series->tail_check;
    assert(memory_is_as_written);
    return series->tail_count;
}

static bool is_in_order(const Page *page, const PageSeries *series) {
    return !series->disorder && (series->late == 0 || page->late.at[series->late - 1].count == 0);
}

// ---- Rows that are kept ----

// Adds what came since the row was read last: the rest of the tail it knew, which may have become a
// strip, and the tail there is now. Many strips are for who holds no lock.
static bool row_catch_up(Page *page, PageReader *reader, const PageSeries *series, KeptRow *row) {
    if (row->strips == series->strips && row->tail == series->tail_count) return true;
    if (series->strips - row->strips > 1) return false;
    UNFILLED int64_t times[2 * STRIP_SAMPLES];
    UNFILLED double values[2 * STRIP_SAMPLES];
    size_t count = 0, known = row->tail;
    if (row->strips != series->strips) {
        const Strip *strip = strip_at(page, series->strip);
        const StripClock *clock = (const void *)slab_at(page, strip->clock);
        memcpy(times, clock_times(reader, clock, strip->count), strip->count * sizeof *times);
        strip_values(strip, values);
        count = strip->count;
    }
    count += tail_read(page, series, times + count, values + count);
    assert(known <= count);
    if (!kept_row_grow(page->kept, row, times + known, values + known, count - known)) return false;
    row->strips = series->strips;
    row->tail = series->tail_count;
    return true;
}

// The row that is kept, up to date; NULL if there is none that goes back as far as that.
static KeptRow *row_of(Page *page, PageReader *reader, uint32_t slot, int64_t from_ms) {
    KeptRow *row = reader == NULL ? NULL : kept_row(page->kept, slot);
    if (row == NULL) return NULL;
    const PageSeries *series = &page->hot[slot];
    if (!is_in_order(page, series) || !row_catch_up(page, reader, series, row)) {
        kept_row_drop(page->kept, slot);
        return NULL;
    }
    if (from_ms < row->from_ms) return NULL;
    page->kept->used = true;
    return row;
}

// ---- Samples ----

bool page_samples(Page *page, PageReader *reader, uint32_t slot, int64_t from_ms, int64_t to_ms,
                  SeriesColumns *out, Error *err) {
    (void)err;
    UNFILLED StripPlace few[128], *places = few;
    size_t place_count = 0, begin = out->count;
    UNFILLED int64_t tail_times[STRIP_SAMPLES];
    UNFILLED double tail_values[STRIP_SAMPLES];
    bool keeps = reader != NULL && reader->rows != NULL;

    mutex_take(&page->lock);
    const KeptRow *row = row_of(page, reader, slot, from_ms);
    if (row != NULL) {
        kept_row_read(page->kept, row, from_ms, to_ms, out);
        mutex_give(&page->lock);
        reader->hits++;
        return true;
    }
    const PageSeries *series = &page->hot[slot];
    if (series->strips > COUNT(few))
        places = memory_take(array_bytes(series->strips, sizeof *places));
    for (uint32_t place = series->strip; place != 0;) {
        const Strip *strip = strip_at(page, place);
        const StripClock *clock = reader == NULL ? clock_at(page, strip->clock)
                                                 : (const void *)slab_at(page, strip->clock);
        if (clock->last_ms < from_ms && !series->disorder) break;
        if (clock->last_ms >= from_ms && clock->first_ms <= to_ms)
            places[place_count++] = (StripPlace){strip, clock};
        place = strip->before;
    }
    size_t tail_count = tail_read(page, series, tail_times, tail_values);
    const PageLate *late = series->late == 0 ? NULL : &page->late.at[series->late - 1];
    size_t late_count = late == NULL ? 0 : late->count;
    bool in_order = is_in_order(page, series);
    columns_reserve(out, place_count * STRIP_SAMPLES + tail_count + late_count);
    for (size_t i = 0; i < late_count; i++) {
        if (late->times[i] >= from_ms && late->times[i] <= to_ms)
            columns_push(out, late->times[i], late->values[i]);
    }
    // Whoever had all strips, and nothing of them left out, knows that there is nothing before.
    bool from_the_first = place_count > 0 && place_count == series->strips &&
                          places[place_count - 1].clock->first_ms >= from_ms;
    KeptFresh fresh = {.from_ms = from_the_first ? INT64_MIN : from_ms,
                       .to_ms = INT64_MAX,
                       .strips = series->strips,
                       .tail = series->tail_count};
    if (keeps && place_count > 0) reader->misses++;
    // A row has all up to the newest; a series of a tail alone is as quick without.
    keeps = keeps && in_order && place_count > 0 && to_ms >= series->last_ms &&
            kept_mark(page->read, slot);
    mutex_give(&page->lock);

    while (place_count-- > 0) {
        const Strip *strip = places[place_count].strip;
        const StripClock *clock = places[place_count].clock;
        int64_t *times = out->times + out->count;
        double *values = out->values + out->count;
        if (reader == NULL) {
            strip_decode(strip, clock, times, values);
        } else {
            // All of them, which is cheaper than so many: there is room for the whole strip.
            memcpy(times, clock_times(reader, clock, strip->count), STRIP_SAMPLES * sizeof *times);
            strip_values(strip, values);
        }
        if (clock->first_ms >= from_ms && clock->last_ms <= to_ms) {
            out->count += strip->count;
            continue;
        }
        for (uint32_t i = 0; i < strip->count; i++) {
            if (times[i] >= from_ms && times[i] <= to_ms) columns_push(out, times[i], values[i]);
        }
    }
    for (size_t i = 0; i < tail_count; i++) {
        if (tail_times[i] >= from_ms && tail_times[i] <= to_ms)
            columns_push(out, tail_times[i], tail_values[i]);
    }
    if (!in_order) sort_columns(out, begin);
    if (places != few) memory_free(places);
    if (keeps && out->count > begin) {
        fresh.times = out->times + begin;
        fresh.values = out->values + begin;
        fresh.count = out->count - begin;
        row_cache_put(reader->rows, &page->lock, &page->kept, slot, fresh);
    }
    return true;
}

// Level by level: the series and the rows that are kept, then the values of those and of the others
// tails and newest strips, then the strips before those.
void page_prefetch(Page *page, const uint32_t *slots, size_t count, int64_t from_ms) {
    enum { STRIPS_AHEAD = 8 };
    UNFILLED const Strip *strips[PAGE_GROUP];
    size_t left = 0;
    assert(count <= PAGE_GROUP);
    mutex_take(&page->lock);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *series = (const uint8_t *)&page->hot[slots[i]];
        __builtin_prefetch(series);
        __builtin_prefetch(series + sizeof(PageSeries) - 1);
        const KeptRow *row = kept_row(page->kept, slots[i]);
        if (row != NULL) __builtin_prefetch(row);
    }
    for (size_t i = 0; i < count; i++) {
        const PageSeries *series = &page->hot[slots[i]];
        const KeptRow *row = kept_row(page->kept, slots[i]);
        if (row != NULL && row->from_ms <= from_ms && from_ms <= series->last_ms) {
            kept_row_prefetch(page->kept, row, from_ms);
            continue;
        }
        bool last_only = series->tail_count > 0 && from_ms >= series->last_ms;
        uint32_t first = last_only ? (series->tail_count - 1u) & ~(QUAD_SAMPLES - 1u) : 0;
        for (uint32_t at = first; at < series->tail_count; at += QUAD_SAMPLES) {
            const uint8_t *quad = slab_at(page, series->quads[at / QUAD_SAMPLES]);
            __builtin_prefetch(quad);
            __builtin_prefetch(quad + QUAD_BYTES - 1);
        }
        bool tail_is_enough = series->tail_count > 0 && series->base_ms < from_ms;
        if (series->strip == 0 || tail_is_enough) continue;
        strips[left] = (const Strip *)(const void *)slab_at(page, series->strip);
        __builtin_prefetch(strips[left++]);
    }
    for (size_t level = 0; level < STRIPS_AHEAD && left > 0; level++) {
        size_t kept = 0;
        for (size_t i = 0; i < left; i++) {
            const StripClock *clock =
                (const StripClock *)(const void *)slab_at(page, strips[i]->clock);
            if (strips[i]->before == 0 || clock->first_ms <= from_ms) continue;
            strips[kept] = (const Strip *)(const void *)slab_at(page, strips[i]->before);
            __builtin_prefetch(strips[kept++]);
        }
        left = kept;
    }
    mutex_give(&page->lock);
}

// The newest of all stands twice: as the last of the tail, and with the series.
static Sample tail_newest(const Page *page, const PageSeries *series) {
    uint32_t last = series->tail_count - 1u, quad = series->quads[last / QUAD_SAMPLES];
    bool memory_is_as_written =
        series->base_ms + quad_deltas(page, quad)[last % QUAD_SAMPLES] == series->last_ms &&
        double_bits(quad_values(page, quad)[last % QUAD_SAMPLES]) ==
            double_bits(series->last_value);
    assert(memory_is_as_written);
    return (Sample){series->last_ms, series->last_value};
}

bool page_newest(Page *page, uint32_t slot, int64_t from_ms, int64_t to_ms, bool *found,
                 Sample *out) {
    UNFILLED int64_t times[STRIP_SAMPLES];
    UNFILLED double values[STRIP_SAMPLES];
    mutex_take(&page->lock);
    const PageSeries *series = &page->hot[slot];
    bool told = series->tail_count > 0 && series->last_ms <= to_ms;
    if (told) {
        *out = tail_newest(page, series);
    } else if (series->tail_count > 0 && is_in_order(page, series)) {
        size_t count = tail_read(page, series, times, values);
        while (count > 0 && times[count - 1] > to_ms) count--;
        told = count > 0;
        if (told) *out = (Sample){times[count - 1], values[count - 1]};
    }
    mutex_give(&page->lock);
    *found = told && out->time_ms >= from_ms;
    return told;
}
