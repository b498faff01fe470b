// Columns of samples (SeriesColumns of series.h): growing them, and uniting those of two sources.
#pragma once

#include "store/series/series.h"

void columns_reserve(SeriesColumns *columns, size_t more);

// The starts of the samples from `from` on, not known yet (0), to be filled in; those of the
// samples before stay. Until now nothing may have been known of any.
int64_t *columns_starts(SeriesColumns *columns, size_t from);

// Adds the samples of `one`, which was stored later, to `all`: both rise strictly, and so does the
// result. A time that both have keeps the value of `all`. `scratch` lends its memory.
void columns_append_merged(SeriesColumns *all, const SeriesColumns *one, SeriesColumns *scratch);
