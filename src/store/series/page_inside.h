// What the parts of a page share: how strips, clocks and tails lie in its slab, and their checks.
#pragma once

#include "base/assert.h"
#include "codec/crc32c.h"
#include "store/series/page.h"

enum {
    QUAD_SAMPLES = 4,
    QUAD_BYTES = QUAD_SAMPLES * (4 + 8),
    STRIP_COLUMN_MAX = 16 + STRIP_SAMPLES * 9,
};

typedef struct Strip {
    uint16_t check;  // over what stands behind it and what follows, to a multiple of 8
    uint8_t bytes;   // of the packed values that follow
    uint8_t count;
    uint32_t before;  // the next older one; 0: none
    uint32_t clock;
} Strip;

typedef struct StripClock {
    int64_t first_ms, last_ms;
    uint16_t check;  // likewise, over all but itself
    uint16_t bytes;  // of the packed times that follow
} StripClock;

_Static_assert(STRIP_COLUMN_MAX <= UINT8_MAX, "Strip.bytes has eight bits");

static inline uint8_t *slab_at(const Page *page, uint32_t place) {
    return page->pieces[place / PAGE_PIECE_BYTES] + place % PAGE_PIECE_BYTES;
}

static inline int32_t *quad_deltas(const Page *page, uint32_t quad) {
    return (int32_t *)(void *)slab_at(page, quad);
}
static inline double *quad_values(const Page *page, uint32_t quad) {
    return (double *)(void *)(slab_at(page, quad) + QUAD_SAMPLES * 4);
}

// ---- Checks (W20) ----
//
// What was packed is checked whenever it is read again, by a query or by sealing: memory that
// changed by itself ends the process, and the log has it all. Sixteen bits are what the structures
// have room for.

// Of whole words: what follows a strip or a clock up to a multiple of 8 is nobody's and stays as it
// is. `check` is where the check lies among them; it counts as 0.
static inline uint16_t check_of(const void *words, size_t bytes, size_t check) {
    uint32_t crc = 0;
    for (size_t at = 0; at < bytes; at += 8) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)words + at, sizeof word);
        if (at == check) word &= ~UINT64_C(0xffff);
        crc = crc32c_word(crc, word);
    }
    return (uint16_t)(crc ^ crc >> 16);
}

static inline uint16_t strip_check(const Strip *strip) {
    return check_of(strip, sizeof *strip + strip->bytes, offsetof(Strip, check));
}

static inline uint16_t clock_check(const StripClock *clock) {
    return check_of(clock, sizeof *clock + clock->bytes, offsetof(StripClock, check));
}

static inline const Strip *strip_at(const Page *page, uint32_t place) {
    const Strip *strip = (const Strip *)(const void *)slab_at(page, place);
    bool memory_is_as_written = strip->check == strip_check(strip);
    assert(memory_is_as_written);
    return strip;
}

static inline const StripClock *clock_at(const Page *page, uint32_t place) {
    const StripClock *clock = (const StripClock *)(const void *)slab_at(page, place);
    bool memory_is_as_written = clock->check == clock_check(clock);
    assert(memory_is_as_written);
    return clock;
}

// Multiplying by an odd number spreads every bit to the upper ones, which are kept. The samples are
// added up, so that sixteen need not wait for each other; each is mixed with its place.
static inline uint16_t tail_check_begin(int64_t base_ms) {
    return (uint16_t)(((uint64_t)base_ms * UINT64_C(0x9e3779b97f4a7c15)) >> 48);
}

static inline uint16_t tail_check_add(uint16_t check, uint32_t at, int32_t delta, double value) {
    uint64_t mixed = double_bits(value) ^ (uint64_t)(uint32_t)delta << 20 ^ at;
    return (uint16_t)(check + (uint16_t)((mixed * UINT64_C(0x9e3779b97f4a7c15)) >> 48));
}

// The sample becomes number `at` of the tail, whose quad is there.
static inline void tail_put(Page *page, PageSeries *series, uint32_t at, int32_t delta,
                            Sample sample) {
    uint32_t quad = series->quads[at / QUAD_SAMPLES];
    series->tail_check = tail_check_add(series->tail_check, at, delta, sample.value);
    quad_deltas(page, quad)[at % QUAD_SAMPLES] = delta;
    quad_values(page, quad)[at % QUAD_SAMPLES] = sample.value;
    series->last_ms = sample.time_ms;
    series->last_value = sample.value;
    series->tail_count = (uint8_t)(at + 1);
    page->samples++;
}

// With the lock held. Most samples go where the one before went; page_add_new knows all cases.
static inline Verdict page_add(Page *page, PageSeries *series, Sample sample) {
    if (unlikely(sample.time_ms <= series->last_ms)) return page_add_disorder(page, series, sample);
    uint32_t at = series->tail_count, quad = series->quads[at / QUAD_SAMPLES];
    // No overflow: with a tail, base <= last < time.
    uint64_t delta = (uint64_t)sample.time_ms - (uint64_t)series->base_ms;
    if (unlikely(at == 0 || at == STRIP_SAMPLES - 1 || quad == 0 || delta > INT32_MAX)) {
        page_add_new(page, series, sample);
        return VERDICT_STORED;
    }
    tail_put(page, series, at, (int32_t)delta, sample);
    return VERDICT_STORED;
}

// ---- page_read.c ----

// Decode bytes that this process packed itself: a failure is our own bug or broken memory.
void strip_values(const Strip *strip, double *values);
void strip_decode(const Strip *strip, const StripClock *clock, int64_t *times, double *values);
