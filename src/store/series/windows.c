// Windows against runs of samples: ends and starts are two arithmetic progressions, and the
// question is always whether one of them has a member in an interval.

#include "store/series/windows.h"

#include <math.h>

int64_t windows_from_ms(const SeriesWindows *windows) {
    return windows->first_end_ms - windows->range_ms + 1;
}

int64_t windows_to_ms(const SeriesWindows *windows) {
    return windows->first_end_ms + (int64_t)(windows->count - 1) * windows->step_ms;
}

// The first of base_ms, base_ms + step, … that is not before `time_ms`; their count when none is.
static size_t first_not_before(const SeriesWindows *windows, int64_t base_ms, int64_t time_ms) {
    if (base_ms >= time_ms) return 0;
    if (windows->step_ms <= 0) return windows->count;
    uint64_t gap = (uint64_t)time_ms - (uint64_t)base_ms, step = (uint64_t)windows->step_ms;
    uint64_t steps = gap / step + (gap % step != 0);
    return steps < windows->count ? (size_t)steps : windows->count;
}

// Is one of them in [from_ms, before_ms)?
static bool any_within(const SeriesWindows *windows, int64_t base_ms, int64_t from_ms,
                       int64_t before_ms) {
    size_t i = first_not_before(windows, base_ms, from_ms);
    return i < windows->count && base_ms + (int64_t)i * windows->step_ms < before_ms;
}

bool windows_touch(const SeriesWindows *windows, int64_t first_ms, int64_t last_ms) {
    // Of all windows that end late enough, the first one begins first.
    size_t i = first_not_before(windows, windows->first_end_ms, first_ms);
    if (i == windows->count) return false;
    int64_t end_ms = windows->first_end_ms + (int64_t)i * windows->step_ms;
    return end_ms - windows->range_ms < last_ms;
}

bool windows_need_one(const SeriesWindows *windows, int64_t first_ms, int64_t last_ms) {
    int64_t ends_ms = windows->first_end_ms, starts_ms = ends_ms - windows->range_ms;
    // A window that ends inside lacks the last sample; one that begins inside, the first.
    if (windows->wish != SERIES_OLDEST && any_within(windows, ends_ms, first_ms, last_ms))
        return false;
    return windows->wish == SERIES_NEWEST || !any_within(windows, starts_ms, first_ms, last_ms);
}

bool windows_are_one(const SeriesWindows *windows) {
    return windows->count == 1 || windows->step_ms == 0;
}

double windows_wider(const SeriesWindows *windows, double bound, double value) {
    bool wider = windows->wish == SERIES_LEAST ? value < bound : value > bound;
    return isnan(bound) || wider ? value : bound;
}
