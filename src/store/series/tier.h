// Tiers: what windows of five minutes or an hour say of the samples of a day. Private to this
// folder; docs/decisions/0022-downsampled-tiers.md has the meaning, FORMAT.md ("Tiers") the bytes.
//
//   the raw blocks of a day that is over ──series_make_tiers──► a block of windows, or several
//   where
//                                                               one has no room, in the manifest
//   samples of the day let go for their age ──────────────────► the tier is final: only cut from
//                                                               now on
//
// The rows of a series are its windows, told as columns one behind the other (SeriesPart): the
// column of number k stands at the times end + k × TIER_COLUMN_MS, so that a block of a tier is
// written, read, verified and cached like any other.
#pragma once

#include "store/series/generations.h"
#include "store/series/retention.h"

enum { TIER_DAY_MS = 86400000 };
static const int64_t TIER_COLUMN_MS = 2 * (int64_t)TIER_DAY_MS;

// ---- tier_window.c: windows of one series ----

typedef struct TierWindow {
    int64_t end_ms;
    double of[WINDOW_KINDS];
} TierWindow;
typedef ARRAY(TierWindow) TierWindows;

// The windows of samples of one day, stale markers included, in their order; `windows` is filled
// anew. Times are not below 0.
void tier_add_samples(TierWindows *windows, int64_t tier_ms, const SeriesColumns *columns);
// Beside them, in the order of time: a native histogram.
void tier_add_histogram(TierWindows *windows, int64_t tier_ms, int64_t time_ms);
// As the series that was begun in the writer.
must_use bool tier_write(const TierWindows *windows, int64_t day_ms, BlockWriter *writer,
                         Error *err);
// Appends the windows of a series that end in [from_ms, to_ms], as `wanted` says. `column` is
// scratch. CORRUPT where columns do not belong together.
must_use bool tier_read(BlockCursor *cursor, uint32_t series, int64_t day_ms, int64_t tier_ms,
                        int64_t from_ms, int64_t to_ms, uint32_t wanted, SeriesColumns *column,
                        SeriesParts *parts, Error *err);
// Takes out the windows that `spans` of `source` touch, from the `first`-th on.
void tier_drop(SeriesParts *parts, size_t first, DeletedSpans spans, uint32_t source);
void parts_reserve(SeriesParts *parts, size_t more);
bool tier_touched(DeletedSpans spans, uint32_t source, int64_t tier_ms, int64_t end_ms);

// ---- tiers.c, with `maintain` held ----

// Gives up what was made of a tier that is not whole yet.
void tier_draft_end(SeriesStore *store);

// Of series_tiers_ms; SERIES_TIERS: none.
size_t tier_index(int64_t tier_ms);
// May the samples of a raw block go at `now_ms`, or do they wait for tiers?
bool tiers_wait(const SeriesStore *store, const StoreBlock *raw, int64_t now_ms);
// Lets go what is kept no longer.
must_use bool tiers_retain(SeriesStore *store, int64_t now_ms, bool *changed, bool *more,
                           Error *err);
// Does what deletes ask of one tier that ends before `before_ms`; *any: some still wait.
must_use bool tiers_rewrite_touched(SeriesStore *store, int64_t before_ms, bool *more, bool *any,
                                    Error *err);
must_use bool tiers_have(const SeriesStore *store, Matchers matchers, int64_t from_ms,
                         int64_t to_ms, bool *has, Error *err);

// ---- tier_view.c ----

typedef struct TierCursors TierCursors;
void tier_cursors_close(TierCursors **cursors);  // NULL is fine
