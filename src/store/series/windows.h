// What a run of samples is to the windows of a query (SeriesWindows of series.h): arithmetic alone,
// whatever the number of windows. Private to this folder.
#pragma once

#include "store/series/series.h"

// From the first moment of the first window to the last one of the last.
int64_t windows_from_ms(const SeriesWindows *windows);
int64_t windows_to_ms(const SeriesWindows *windows);

// Does some window hold a moment of [first_ms, last_ms]?
bool windows_touch(const SeriesWindows *windows, int64_t first_ms, int64_t last_ms);

// Of a run from `first_ms` to `last_ms` that some window touches: is one sample enough for all
// windows? For the greatest or least value every window has to hold the run whole or not at all,
// and any time inside will do. Where the newest sample is asked for, a window may begin inside, as
// it holds the newest sample all the same; the oldest likewise.
bool windows_need_one(const SeriesWindows *windows, int64_t first_ms, int64_t last_ms);

// Are they all the same one, so that one bound is one for all? And the bound that `value`, which
// such a window holds, makes of `bound`: the greater (or less) of both. NaN: none.
bool windows_are_one(const SeriesWindows *windows);
double windows_wider(const SeriesWindows *windows, double bound, double value);
