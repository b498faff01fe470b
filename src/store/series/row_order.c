// Sorting by digits of 11 bits, from the lowest on: stable, and one or two passes are enough.

#include "store/series/row_order.h"

enum {
    ROWS_MIN = 256,      // fewer would not pay for the counters
    STEPS_BACK_MIN = 8,  // one row of so many has to step back to an earlier series
    DIGIT_BITS = 11,
    DIGITS = 1 << DIGIT_BITS,
};

static void sort_by_digit(const RowPlace *from, RowPlace *to, size_t count, uint32_t least,
                          unsigned shift) {
    uint32_t begins[DIGITS] = {0};
    for (size_t i = 0; i < count; i++) begins[(from[i].ref - least) >> shift & (DIGITS - 1)]++;
    uint32_t begin = 0;
    for (size_t digit = 0; digit < DIGITS; digit++) {
        uint32_t of_digit = begins[digit];
        begins[digit] = begin;
        begin += of_digit;
    }
    for (size_t i = 0; i < count; i++)
        to[begins[(from[i].ref - least) >> shift & (DIGITS - 1)]++] = from[i];
}

bool refs_near_order(const uint32_t *refs, size_t count) {
    uint32_t back = 0;
    for (size_t i = 1; i < count; i++) back += refs[i] < refs[i - 1];
    return count < ROWS_MIN || back < count / STEPS_BACK_MIN;
}

const RowPlace *rows_by_series(Batch *batch, size_t *count) {
    size_t row_count = batch->series.count, kept = 0, back = 0;
    if (row_count < ROWS_MIN) return NULL;
    const BatchSeries *rows = batch->series.at;
    for (size_t i = 1; i < row_count; i++) back += rows[i].ref < rows[i - 1].ref;
    if (back < row_count / STEPS_BACK_MIN) return NULL;

    batch->places.count = 0;
    array_reserve(&batch->places, 2 * row_count);
    RowPlace *places = batch->places.at, *sorted = places + row_count;
    uint32_t least = UINT32_MAX, most = 0;
    for (size_t i = 0; i < row_count; i++) {
        if (rows[i].verdict != VERDICT_STORED) continue;
        places[kept++] = (RowPlace){rows[i].ref, (uint32_t)i};
        least = MIN(least, rows[i].ref);
        most = MAX(most, rows[i].ref);
    }
    for (unsigned shift = 0; kept > 0 && shift < 32 && (most - least) >> shift > 0;
         shift += DIGIT_BITS) {
        sort_by_digit(places, sorted, kept, least, shift);
        RowPlace *other = places;
        places = sorted;
        sorted = other;
    }
    *count = kept;
    return places;
}
