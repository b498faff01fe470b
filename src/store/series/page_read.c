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

bool page_samples(Page *page, PageReader *reader, uint32_t slot, int64_t from_ms, int64_t to_ms,
                  SeriesColumns *out, Error *err) {
    (void)err;
    UNFILLED StripPlace few[128], *places = few;
    size_t place_count = 0;
    UNFILLED Sample tail[STRIP_SAMPLES];
    size_t tail_count = 0, begin = out->count;

    mutex_take(&page->lock);
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
    uint16_t check = tail_check_begin(series->base_ms);
    for (uint32_t i = 0; i < series->tail_count; i++) {
        uint32_t quad = series->quads[i / QUAD_SAMPLES];
        int32_t delta = quad_deltas(page, quad)[i % QUAD_SAMPLES];
        double value = quad_values(page, quad)[i % QUAD_SAMPLES];
        check = tail_check_add(check, delta, value);
        int64_t time_ms = series->base_ms + delta;
        if (time_ms < from_ms || time_ms > to_ms) continue;
        tail[tail_count++] = (Sample){time_ms, value};
    }
    bool memory_is_as_written = series->tail_count == 0 || check == series->tail_check;
    assert(memory_is_as_written);
    const PageLate *late = series->late == 0 ? NULL : &page->late.at[series->late - 1];
    size_t late_count = late == NULL ? 0 : late->count;
    bool in_order = late_count == 0 && !series->disorder;
    columns_reserve(out, place_count * STRIP_SAMPLES + tail_count + late_count);
    for (size_t i = 0; i < late_count; i++) {
        if (late->times[i] >= from_ms && late->times[i] <= to_ms)
            columns_push(out, late->times[i], late->values[i]);
    }
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
    for (size_t i = 0; i < tail_count; i++) columns_push(out, tail[i].time_ms, tail[i].value);
    if (!in_order) sort_columns(out, begin);
    if (places != few) memory_free(places);
    return true;
}

// Level by level: the series, then their tails and newest strips, then the strips before those.
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
    }
    for (size_t i = 0; i < count; i++) {
        const PageSeries *series = &page->hot[slots[i]];
        for (uint32_t at = 0; at < series->tail_count; at += QUAD_SAMPLES) {
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

bool page_newest(Page *page, uint32_t slot, int64_t from_ms, int64_t to_ms, bool *found,
                 Sample *out) {
    mutex_take(&page->lock);
    const PageSeries *series = &page->hot[slot];
    // A late sample may lie anywhere; a tail whose first sample is behind `to_ms` says nothing.
    bool told = series->late == 0 && !series->disorder && series->tail_count > 0;
    *found = false;
    uint16_t check = tail_check_begin(series->base_ms);
    bool before = false;  // some sample of the tail is not behind `to_ms`
    for (uint32_t i = 0; told && i < series->tail_count; i++) {
        uint32_t quad = series->quads[i / QUAD_SAMPLES];
        int32_t delta = quad_deltas(page, quad)[i % QUAD_SAMPLES];
        double value = quad_values(page, quad)[i % QUAD_SAMPLES];
        check = tail_check_add(check, delta, value);
        int64_t time_ms = series->base_ms + delta;
        if (time_ms > to_ms) continue;
        before = true;
        *found = time_ms >= from_ms;
        *out = (Sample){time_ms, value};
    }
    bool memory_is_as_written = !told || check == series->tail_check;
    assert(memory_is_as_written);
    mutex_give(&page->lock);
    return told && before;
}
