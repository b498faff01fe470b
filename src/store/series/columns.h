// Columns of samples (SeriesColumns of series.h): growing them, and uniting those of two sources.
#pragma once

#include "store/series/series.h"

void columns_reserve(SeriesColumns *columns, size_t more);

// Adds the samples of `one`, which was stored later, to `all`: both rise strictly, and so does the
// result. A time that both have keeps the value of `all`. `scratch` lends its memory.
void columns_append_merged(SeriesColumns *all, const SeriesColumns *one, SeriesColumns *scratch);
