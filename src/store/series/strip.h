// Columns of exactly STRIP_SAMPLES numbers, which two wide registers hold: the same bytes as
// chunk.c writes and reads, at a quarter of the price.
//
// Nothing here loops over samples: sixteen values are scaled, compared with what the division gives
// back, told from a line of each order, measured and packed at once. It knows the common shapes
// (constant, steady, packed, packed under a divisor, up to seven odd values) where the processor
// has the registers; chunk.c goes its general way wherever these functions answer that they do not.
// Pure functions; any thread.
#pragma once

#include "store/series/chunk.h"

// How many bytes were written to `into`, which has room for 16 + STRIP_SAMPLES * 9 and is touched
// to its end; 0: not one of the shapes that are known here. What was written was decoded and
// compared.
size_t strip_values_encode(const double *values, uint8_t *into);
size_t strip_times_encode(const int64_t *times, uint8_t *into);

// False: bad bytes, or a shape that is not known here. Bytes behind `encoded` are not touched.
bool strip_values_decode(Bytes encoded, double *into, size_t *used);
bool strip_times_decode(Bytes encoded, int64_t *into, size_t *used);
