// Opening views and reading samples through them: sources one after the other, merged by time.

#include "store/series/view.h"

#include <math.h>
#include <stdlib.h>

#include "base/assert.h"
#include "store/series/windows.h"

// ---- Views ----

static int by_order(const void *a, const void *b) {
    const StoreBlock *first = *(StoreBlock *const *)a, *again = *(StoreBlock *const *)b;
    return (first->facts.order > again->facts.order) - (first->facts.order < again->facts.order);
}

void view_warn(SeriesView *view, const StoreBlock *block) {
    AUTO(arena_free) Arena scratch = {0};
    Text from = time_format_ms(block->facts.min_ms, &scratch),
         to = time_format_ms(block->facts.max_ms, &scratch);
    const char *kept = block->facts.tier_ms == 0 ? "" : "what is kept of ";
    *array_add_on(&view->arena, &view->warnings) = text_format(
        &view->arena, "%ssamples from %.*s to %.*s may be missing: block %.*s is damaged (%s)",
        kept, TEXT_ARG(from), TEXT_ARG(to), TEXT_ARG(block->facts.name), block->why.message);
}

// The deletes that concern the view, with `blocks_lock` held and its blocks known.
static void pin_deletes(SeriesView *view, SeriesStore *store) {
    for (size_t i = 0; i < store->deletes.count; i++) {
        Delete *one = store->deletes.at[i];
        bool any = false;
        if (one->facts.from_ms > view->to_ms || one->facts.to_ms < view->from_ms) continue;
        for (size_t j = 0; j < view->source_count; j++) {
            ViewSource *source = &view->sources[j];
            if (!delete_means(one, source->number, source->min_ms, source->max_ms)) continue;
            any = source->has_deletes = true;
        }
        if (any) *array_add(&view->deletes) = delete_ref(one);
    }
}

DeletedSpans view_spans(const SeriesView *view, uint32_t at, Labels labels, Arena *arena) {
    const ViewSource *source = &view->sources[at];
    if (!source->has_deletes) return (DeletedSpans){0};
    return deletes_spans(&view->deletes, at, source->number, source->min_ms, source->max_ms, labels,
                         arena);
}

static int by_begin(const void *a, const void *b) {
    const ViewSource *first = *(ViewSource *const *)a, *again = *(ViewSource *const *)b;
    return (first->min_ms > again->min_ms) - (first->min_ms < again->min_ms);
}

// Which of the view's sources, all of them blocks yet, have a time with another one in common.
static void find_shared_times(SeriesView *view) {
    AUTO(arena_free) Arena scratch = {0};
    ViewSource **sorted = arena_push_array(&scratch, ViewSource *, view->source_count);
    for (size_t i = 0; i < view->source_count; i++) sorted[i] = &view->sources[i];
    if (view->source_count > 0) qsort(sorted, view->source_count, sizeof *sorted, by_begin);
    ViewSource *furthest = NULL;  // of those before; what else reaches as far shares its time
    for (size_t i = 0; i < view->source_count; i++) {
        ViewSource *source = sorted[i];
        if (furthest != NULL && source->min_ms <= furthest->max_ms)
            source->shares_time = furthest->shares_time = true;
        if (furthest == NULL || source->max_ms > furthest->max_ms) furthest = source;
    }
}

bool series_view_open(SeriesStore *store, int64_t from_ms, int64_t to_ms, SeriesView **out,
                      Error *err) {
    if (from_ms > to_ms)
        return error_set(err, ERROR_BAD_INPUT, "the interval ends before it begins");
    SeriesView *view = memory_new(SeriesView);
    view->from_ms = from_ms;
    view->to_ms = to_ms;
    *out = view;
    if (store == NULL) return true;
    view->hash_key = store->options.hash_key;
    mutex_take(&store->blocks_lock);
    size_t most = store->blocks.count + store->turned.count + 1;
    view->sources = arena_push_array(&view->arena, ViewSource, most);
    StoreBlock **blocks = arena_push_array(&view->arena, StoreBlock *, most);
    size_t count = 0;
    for (size_t i = 0; i < store->blocks.count; i++) {
        StoreBlock *block = &store->blocks.at[i];
        if (block->facts.min_ms > to_ms || block->facts.max_ms < from_ms) continue;
        if (block->block == NULL) {
            view_warn(view, block);
        } else {
            blocks[count++] = block;
        }
    }
    for (size_t i = 0; i < store->gaps.count; i++) {
        const StoreGap *gap = &store->gaps.at[i];
        if (gap->from_ms <= to_ms && gap->to_ms >= from_ms)
            *array_add_on(&view->arena, &view->warnings) = gap->note;
    }
    qsort(blocks, count, sizeof *blocks, by_order);
    for (size_t i = 0; i < count; i++) {
        view->sources[view->source_count++] =
            (ViewSource){.block = block_ref(blocks[i]->block),
                         .number = block_number(blocks[i]->facts.name),
                         .min_ms = blocks[i]->facts.min_ms,
                         .max_ms = blocks[i]->facts.max_ms};
    }
    find_shared_times(view);
    pin_deletes(view, store);
    for (size_t i = 0; i < store->turned.count; i++) {
        Head *head = store->turned.at[i];
        if (head_overlaps(head, from_ms, to_ms))
            view->sources[view->source_count++].head = head_ref(head);
    }
    if (head_overlaps(store->head, from_ms, to_ms))
        view->sources[view->source_count++].head = head_ref(store->head);
    mutex_give(&store->blocks_lock);
    return true;
}

void series_view_close(SeriesView **view) {
    if (*view == NULL) return;
    SeriesView *gone = TAKE(*view);
    for (size_t i = 0; i < gone->source_count; i++) {
        head_unref(&gone->sources[i].head);
        if (gone->sources[i].block != NULL) block_unref(&gone->sources[i].block);
    }
    for (size_t i = 0; i < gone->tier_count; i++) block_unref(&gone->tiers[i].block);
    deletes_free(&gone->tier_deletes);
    deletes_free(&gone->deletes);
    arena_free(&gone->arena);
    memory_free(gone);
}

void series_view_meter(SeriesView *view, SeriesMeter *meter) {
    view->meter = meter;
}

Texts series_view_warnings(const SeriesView *view) {
    return (Texts){view->warnings.at, view->warnings.count};
}

// ---- Reading samples ----

struct SeriesCursor {
    SeriesView *view;
    BlockCursor **blocks;  // of each source, opened when first read
    SeriesColumns one, merged;
    SeriesColumns late;  // of the heads, while blocks are read
    BlockSpan *spans;    // room for one per source
    PageReader reader;
    TierCursors *tiers;
};

TierCursors **cursor_tiers(SeriesCursor *cursor) {
    return &cursor->tiers;
}

SeriesView *cursor_view(SeriesCursor *cursor) {
    return cursor->view;
}

void series_view_keep_rows(SeriesView *view, SeriesStore *store) {
    if (store != NULL) view->rows = store->options.rows;
}

SeriesCursor *series_cursor_open(SeriesView *view) {
    SeriesCursor *cursor = memory_new(SeriesCursor);
    cursor->view = view;
    cursor->reader.rows = view->rows;
    cursor->blocks = memory_new_array(BlockCursor *, view->source_count);
    return cursor;
}

void series_cursor_close(SeriesCursor **cursor) {
    if (*cursor == NULL) return;
    SeriesCursor *gone = TAKE(*cursor);
    for (size_t i = 0; i < gone->view->source_count; i++) {
        if (gone->blocks[i] != NULL) block_cursor_close(&gone->blocks[i]);
    }
    const PageReader *reader = &gone->reader;
    if (reader->rows != NULL) row_cache_count(reader->rows, reader->hits, reader->misses);
    tier_cursors_close(&gone->tiers);
    memory_free(gone->blocks);
    memory_free(gone->spans);
    series_columns_free(&gone->late);
    series_columns_free(&gone->one);
    series_columns_free(&gone->merged);
    memory_free(gone);
}

static BlockCursor *block_cursor(SeriesCursor *cursor, uint32_t source) {
    if (cursor->blocks[source] == NULL) {
        cursor->blocks[source] = block_cursor_open_shared(cursor->view->sources[source].block);
        if (cursor->view->rows != NULL) block_cursor_keep_rows(cursor->blocks[source]);
        block_cursor_meter(cursor->blocks[source], cursor->view->meter);
    }
    return cursor->blocks[source];
}

static bool read_place(SeriesCursor *cursor, FoundPlace place, int64_t from_ms, int64_t to_ms,
                       SeriesColumns *out, Error *err) {
    const ViewSource *source = &cursor->view->sources[place.source];
    if (source->block != NULL)
        return block_read(block_cursor(cursor, place.source), place.number, from_ms, to_ms, out,
                          err);
    out->histograms += side_histogram_count(source->head, place.number, from_ms, to_ms);
    return head_read(source->head, &cursor->reader, place.number, from_ms, to_ms, out, err);
}

typedef struct HistogramCount {
    DeletedSpans spans;
    uint32_t source;
    size_t left;
} HistogramCount;

static void count_histogram(void *context, int64_t time_ms) {
    HistogramCount *counting = context;
    counting->left += !spans_cover(counting->spans, counting->source, time_ms);
}

bool histograms_left(BlockCursor *cursor, FoundPlace place, DeletedSpans spans, int64_t from_ms,
                     int64_t to_ms, size_t *out, Error *err) {
    HistogramCount counting = {spans, place.source, 0};
    TRY(block_each_histogram_time(cursor, place.number, from_ms, to_ms, count_histogram, &counting,
                                  err));
    *out = counting.left;
    return true;
}

// Takes out what was deleted of one place, from the samples and from the count of histograms.
static bool drop_deleted(SeriesCursor *cursor, const FoundSources *sources, FoundPlace place,
                         int64_t from_ms, int64_t to_ms, SeriesColumns *columns, Error *err) {
    if (sources->deleted.count == 0 || !cursor->view->sources[place.source].has_deletes)
        return true;
    spans_apply(sources->deleted, place.source, columns);
    return columns->histograms == 0 ||
           histograms_left(block_cursor(cursor, place.source), place, sources->deleted, from_ms,
                           to_ms, &columns->histograms, err);
}

// ---- Counting histograms of several sources ----

typedef struct HistogramTimes {
    DeletedSpans spans;
    uint32_t source;
    ARRAY(int64_t) times;
    Arena arena;
} HistogramTimes;

static void histogram_times_free(HistogramTimes *times) {
    arena_free(&times->arena);
}

static void take_time(void *context, int64_t time_ms) {
    HistogramTimes *times = context;
    if (!spans_cover(times->spans, times->source, time_ms))
        *array_add_on(&times->arena, &times->times) = time_ms;
}

static int by_value(const void *a, const void *b) {
    int64_t first = *(const int64_t *)a, again = *(const int64_t *)b;
    return (first > again) - (first < again);
}

// What several sources have at one time is one.
static bool count_each_once(SeriesCursor *cursor, const FoundSources *sources, int64_t from_ms,
                            int64_t to_ms, size_t *out, Error *err) {
    AUTO(histogram_times_free) HistogramTimes all = {.spans = sources->deleted};
    for (uint32_t i = 0; i < sources->count; i++) {
        FoundPlace place = sources->at[i];
        const ViewSource *source = &cursor->view->sources[place.source];
        all.source = place.source;
        if (source->head != NULL) {
            side_histogram_times(source->head, place.number, from_ms, to_ms, take_time, &all);
        } else {
            TRY(block_each_histogram_time(block_cursor(cursor, place.source), place.number, from_ms,
                                          to_ms, take_time, &all, err));
        }
    }
    if (all.times.count > 1) qsort(all.times.at, all.times.count, sizeof(int64_t), by_value);
    *out = 0;
    for (size_t i = 0; i < all.times.count; i++)
        *out += i == 0 || all.times.at[i] != all.times.at[i - 1];
    return true;
}

// The time that sources reach over.
typedef struct Reach {
    int64_t min_ms, max_ms;
} Reach;

// Does this source meet those before? Mostly one begins where the others end.
static bool reach_meets(Reach *reach, const ViewSource *source) {
    const Head *head = source->head;
    int64_t min_ms = head == NULL ? source->min_ms : atomic_load(&head->min_ms);
    int64_t max_ms = head == NULL ? source->max_ms : atomic_load(&head->max_ms);
    bool meets = min_ms <= reach->max_ms && max_ms >= reach->min_ms;
    *reach = (Reach){MIN(reach->min_ms, min_ms), MAX(reach->max_ms, max_ms)};
    return meets;
}

bool series_read(SeriesCursor *cursor, const SeriesFound *series, int64_t from_ms, int64_t to_ms,
                 SeriesColumns *out, Error *err) {
    const FoundSources *sources = series->sources;
    Reach reach = {INT64_MAX, INT64_MIN};  // of those that have histograms
    bool meet = false;
    out->count = out->histograms = 0;
    out->has_starts = false;
    for (uint32_t i = 0; i < sources->count; i++) {
        SeriesColumns *one = i == 0 ? out : &cursor->one;
        one->count = one->histograms = 0;
        one->wants_starts = out->wants_starts;
        one->has_starts = false;
        TRY(read_place(cursor, sources->at[i], from_ms, to_ms, one, err) &&
            drop_deleted(cursor, sources, sources->at[i], from_ms, to_ms, one, err));
        if (one->histograms > 0)
            meet |= reach_meets(&reach, &cursor->view->sources[sources->at[i].source]);
        if (i == 0) continue;
        out->histograms += one->histograms;
        columns_append_merged(out, one, &cursor->merged);
    }
    return !meet || count_each_once(cursor, sources, from_ms, to_ms, &out->histograms, err);
}

// Where the other blocks that have the series may have samples beside those of the `at`-th, in
// cursor->spans. Days are apart, so most often there are none.
static bool other_spans(SeriesCursor *cursor, const FoundSources *sources, uint32_t at,
                        uint32_t blocks, size_t *count, Error *err) {
    const SeriesView *view = cursor->view;
    const ViewSource *source = &view->sources[sources->at[at].source];
    *count = 0;
    if (!source->shares_time) return true;
    if (cursor->spans == NULL) cursor->spans = memory_new_array(BlockSpan, view->source_count);
    for (uint32_t i = 0; i < blocks; i++) {
        FoundPlace place = sources->at[i];
        const ViewSource *other = &view->sources[place.source];
        if (i == at || other->min_ms > source->max_ms || other->max_ms < source->min_ms) continue;
        TRY(block_span(block_cursor(cursor, place.source), place.number, &cursor->spans[(*count)++],
                       err));
    }
    return true;
}

// What the blocks have to be told about the rest of the series before the `at`-th is read.
static bool others_of(SeriesCursor *cursor, const FoundSources *sources, uint32_t at,
                      uint32_t blocks, BlockOthers *others, Error *err) {
    others->times = cursor->late.times;
    others->time_count = cursor->late.count;
    TRY(other_spans(cursor, sources, at, blocks, &others->span_count, err));
    others->spans = cursor->spans;
    return true;
}

// A greatest or least value that a single window is sure to hold, from summaries and from what
// heads have behind all blocks (where no block can have been first).
static bool find_bound(SeriesCursor *cursor, const FoundSources *sources,
                       const SeriesWindows *windows, uint32_t blocks, BlockOthers *others,
                       Error *err) {
    bool extreme = windows->wish == SERIES_GREATEST || windows->wish == SERIES_LEAST;
    others->bound = NAN;
    if (!extreme || !windows_are_one(windows)) return true;
    int64_t behind_ms = INT64_MIN;
    for (uint32_t i = 0; i < blocks; i++) {
        FoundPlace place = sources->at[i];
        behind_ms = MAX(behind_ms, cursor->view->sources[place.source].max_ms);
        TRY(others_of(cursor, sources, i, blocks, others, err));
        TRY(block_bound(block_cursor(cursor, place.source), place.number, windows, others, err));
    }
    const SeriesColumns *late = &cursor->late;
    for (size_t i = late->count; i > 0 && late->times[i - 1] > behind_ms; i--)
        others->bound = windows_wider(windows, others->bound, late->values[i - 1]);
    return true;
}

static bool read_windows(SeriesCursor *cursor, const FoundSources *sources,
                         const SeriesWindows *windows, uint32_t blocks, SeriesColumns *out,
                         Error *err) {
    int64_t from_ms = windows_from_ms(windows), to_ms = windows_to_ms(windows);
    SeriesColumns *late = &cursor->late, *one = &cursor->one;
    out->count = out->histograms = late->count = late->histograms = 0;
    out->has_starts = late->has_starts = one->has_starts = one->wants_starts = false;
    // Heads first. What comes to one later is not read, so it cannot lie in the midst of a chunk
    // that one sample stands for.
    for (uint32_t i = blocks; i < sources->count; i++) {
        one->count = one->histograms = 0;
        TRY(read_place(cursor, sources->at[i], from_ms, to_ms, one, err));
        late->histograms += one->histograms;
        columns_append_merged(late, one, &cursor->merged);
    }
    BlockOthers others = {0};
    TRY(find_bound(cursor, sources, windows, blocks, &others, err));
    for (uint32_t i = 0; i < blocks; i++) {
        TRY(others_of(cursor, sources, i, blocks, &others, err));
        FoundPlace place = sources->at[i];
        SeriesColumns *into = i == 0 ? out : one;
        if (i > 0) one->count = one->histograms = 0;
        TRY(block_read_windows(block_cursor(cursor, place.source), place.number, windows, &others,
                               into, err));
        if (i == 0) continue;
        out->histograms += one->histograms;
        columns_append_merged(out, one, &cursor->merged);
    }
    out->histograms += late->histograms;
    columns_append_merged(out, late, &cursor->merged);
    return true;
}

bool series_read_windows(SeriesCursor *cursor, const SeriesFound *series,
                         const SeriesWindows *windows, SeriesColumns *out, Error *err) {
    assert(windows->count > 0);
    const FoundSources *sources = series->sources;
    uint32_t blocks = sources->count;  // they come first
    while (blocks > 0 && cursor->view->sources[sources->at[blocks - 1].source].head != NULL)
        blocks--;
    bool whole = windows->wish == SERIES_EVERY || out->wants_starts || blocks == 0 ||
                 sources->deleted.count > 0;
    if (!whole) {
        TRY(read_windows(cursor, sources, windows, blocks, out, err));
        if (out->histograms == 0) return true;
    }
    return series_read(cursor, series, windows_from_ms(windows), windows_to_ms(windows), out, err);
}

// Heads come last, and what lies in them is asked for most.
static FoundPlace newest_place(const SeriesFound *series) {
    const FoundSources *sources = series->sources;
    return sources->at[sources->count - 1];
}

// In the same page of a head, or in the same block further down?
static bool lies_beside(const SeriesCursor *cursor, FoundPlace place, FoundPlace next) {
    if (place.source != next.source) return false;
    if (cursor->view->sources[place.source].head == NULL) return place.number < next.number;
    return place.number / PAGE_SERIES == next.number / PAGE_SERIES;
}

static void place_read_ahead(const ViewSource *source, uint32_t *numbers, size_t count,
                             int64_t from_ms) {
    if (source->head == NULL) {
        block_read_ahead(source->block, numbers, count, from_ms);
        return;
    }
    Page *page = head_page(source->head, numbers[0]);
    for (size_t i = 0; i < count; i++) numbers[i] %= PAGE_SERIES;
    page_prefetch(page, numbers, count, from_ms);
}

void series_read_ahead(SeriesCursor *cursor, const SeriesFound *series, size_t count,
                       int64_t from_ms) {
    _Static_assert((int)SERIES_AHEAD <= (int)PAGE_GROUP && (int)SERIES_AHEAD <= BLOCK_AHEAD,
                   "one page may have all of them");
    UNFILLED uint32_t numbers[SERIES_AHEAD];
    size_t run = 0;
    count = MIN(count, (size_t)SERIES_AHEAD);
    for (size_t i = 0; i < count; i++) {
        FoundPlace place = newest_place(&series[i]);
        numbers[run++] = place.number;
        if (i + 1 < count && lies_beside(cursor, place, newest_place(&series[i + 1]))) continue;
        place_read_ahead(&cursor->view->sources[place.source], numbers, run, from_ms);
        run = 0;
    }
}

bool series_read_newest(SeriesCursor *cursor, const SeriesFound *series, int64_t from_ms,
                        int64_t to_ms, SeriesColumns *out, Error *err) {
    const FoundSources *sources = series->sources;
    const ViewSource *source = &cursor->view->sources[sources->at[0].source];
    uint32_t number = sources->at[0].number;
    bool found;
    Sample newest;
    if (sources->count == 1 && !out->wants_starts && source->head != NULL &&
        sources->deleted.count == 0 &&
        page_newest(head_page(source->head, number), number & (PAGE_SERIES - 1), from_ms, to_ms,
                    &found, &newest)) {
        out->count = 0;
        out->histograms = side_histogram_count(source->head, number, from_ms, to_ms);
        if (!found) return true;
        columns_reserve(out, 1);
        out->times[0] = newest.time_ms;
        out->values[0] = newest.value;
        out->count = 1;
        return true;
    }
    SeriesWindows window = {
        .first_end_ms = to_ms, .range_ms = to_ms - from_ms + 1, .count = 1, .wish = SERIES_NEWEST};
    TRY(series_read_windows(cursor, series, &window, out, err));
    if (out->count <= 1) return true;
    out->times[0] = out->times[out->count - 1];
    out->values[0] = out->values[out->count - 1];
    if (out->has_starts) out->starts[0] = out->starts[out->count - 1];
    out->count = 1;
    return true;
}

// ---- Histograms ----

typedef struct HistogramSink {
    Arena *arena;
    SeriesHistogramArray *out;
    DeletedSpans deleted;
    uint32_t source;
} HistogramSink;

static bool take_histogram(void *context, int64_t time_ms, Bytes wire, Error *err) {
    (void)err;
    HistogramSink *sink = context;
    if (spans_cover(sink->deleted, sink->source, time_ms)) return true;
    *array_add_on(sink->arena, sink->out) =
        (SeriesHistogram){time_ms, bytes_copy(wire, sink->arena)};
    return true;
}

static void sort_histograms(SeriesHistogramArray *all) {
    // Insertion keeps what was stored first in front; sources are nearly always in order already.
    for (size_t i = 1; i < all->count; i++) {
        SeriesHistogram here = all->at[i];
        size_t at = i;
        for (; at > 0 && all->at[at - 1].time_ms > here.time_ms; at--)
            all->at[at] = all->at[at - 1];
        all->at[at] = here;
    }
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (kept == 0 || all->at[kept - 1].time_ms != all->at[i].time_ms)
            all->at[kept++] = all->at[i];
    }
    all->count = kept;
}

bool series_read_histograms(SeriesCursor *cursor, const SeriesFound *series, int64_t from_ms,
                            int64_t to_ms, Arena *arena, SeriesHistogram **out, size_t *count,
                            Error *err) {
    const FoundSources *sources = series->sources;
    SeriesHistogramArray all = {0};
    HistogramSink sink = {arena, &all, sources->deleted, 0};
    for (uint32_t i = 0; i < sources->count; i++) {
        FoundPlace place = sources->at[i];
        const ViewSource *source = &cursor->view->sources[place.source];
        if (source->head != NULL) {
            side_histograms(source->head, place.number, from_ms, to_ms, arena, &all);
        } else {
            BlockCursor *block = block_cursor(cursor, place.source);
            sink.source = place.source;
            TRY(block_each_histogram(block, place.number, from_ms, to_ms, take_histogram, &sink,
                                     err));
        }
    }
    sort_histograms(&all);
    *out = all.at;
    *count = all.count;
    return true;
}
