// Tiers in a view: which days have one, which series are in them, and reading windows beside
// samples.

#include <stdlib.h>

#include "base/assert.h"
#include "base/map.h"
#include "store/series/columns.h"
#include "store/series/view.h"

// ---- Which tiers ----

// A tier of a day in the view: its blocks lie side by side.
typedef struct TierRun {
    const TierSource *begin;
    size_t count;
    bool damaged;  // one of them
} TierRun;

// Of two tiers of one day the one that answers: of those that are allowed the coarsest, else of
// those that must be the finest; but one that is whole before one that is not.
static bool is_better(const TierRun *run, const TierRun *than) {
    const TierSource *tier = run->begin, *other = than->begin;
    if (run->damaged != than->damaged) return than->damaged;
    if (tier->must != other->must) return other->must;
    return tier->must ? tier->tier_ms < other->tier_ms : tier->tier_ms > other->tier_ms;
}

static bool overlaps(const SeriesView *view, const StoreBlock *block) {
    // Windows reach up to one behind the samples, and a moment looks at the window before it.
    int64_t first_ms, last_ms;
    if (__builtin_sub_overflow(block->facts.min_ms, block->facts.tier_ms, &first_ms) ||
        __builtin_add_overflow(block->facts.max_ms, 2 * block->facts.tier_ms, &last_ms))
        return false;
    return first_ms <= view->to_ms && last_ms >= view->from_ms;
}

static int by_day(const void *a, const void *b) {
    const TierSource *first = a, *again = b;
    if (first->day_ms != again->day_ms) return first->day_ms < again->day_ms ? -1 : 1;
    if (first->tier_ms != again->tier_ms) return first->tier_ms < again->tier_ms ? -1 : 1;
    return (first->number > again->number) - (first->number < again->number);
}

// All of them that the view may see, with `blocks_lock` held. A damaged one has no block.
static void find_tiers(SeriesView *view, SeriesStore *store, int64_t most_ms) {
    view->tiers = arena_push_array(&view->arena, TierSource, store->tiers.count);
    for (size_t i = 0; i < store->tiers.count; i++) {
        StoreBlock *block = &store->tiers.at[i];
        const ManifestBlock *facts = &block->facts;
        bool must = facts->tier_ms > most_ms;
        if ((must && facts->source != 0) || !overlaps(view, block)) continue;
        if (block->block == NULL && facts->source == 0) view_warn(view, block);
        view->tiers[view->tier_count++] =
            (TierSource){.block = block->block,
                         .number = block_number(facts->name),
                         .min_ms = facts->min_ms,
                         .max_ms = facts->max_ms,
                         .day_ms = day_of_ms(facts->min_ms) * TIER_DAY_MS,
                         .tier_ms = facts->tier_ms,
                         .source = facts->source,
                         .must = must};
    }
    if (view->tier_count > 0) qsort(view->tiers, view->tier_count, sizeof *view->tiers, by_day);
}

static TierRun run_at(const SeriesView *view, size_t at) {
    TierRun run = {.begin = &view->tiers[at]};
    for (; at < view->tier_count; at++, run.count++) {
        const TierSource *tier = &view->tiers[at];
        if (tier->day_ms != run.begin->day_ms || tier->tier_ms != run.begin->tier_ms) break;
        run.damaged |= tier->block == NULL;
    }
    return run;
}

// Of each day the one tier that answers, as far as it is there.
static void choose_tiers(SeriesView *view) {
    size_t kept = 0;
    for (size_t at = 0; at < view->tier_count;) {
        TierRun best = run_at(view, at), run = best;
        for (at += run.count; at < view->tier_count; at += run.count) {
            run = run_at(view, at);
            if (run.begin->day_ms != best.begin->day_ms) break;
            if (is_better(&run, &best)) best = run;
        }
        // What is kept lies before what is looked at.
        for (size_t i = 0; i < best.count; i++) {
            TierSource tier = best.begin[i];
            tier.place = view->tier_days;
            if (tier.block != NULL) view->tiers[kept++] = tier;
        }
        view->tier_days++;
    }
    view->tier_count = kept;
}

// With `blocks_lock` held.
static void pin_tiers(SeriesView *view, SeriesStore *store, int64_t most_ms) {
    find_tiers(view, store, most_ms);
    choose_tiers(view);
    for (size_t i = 0; i < view->tier_count; i++) block_ref(view->tiers[i].block);
    for (size_t i = 0; i < store->deletes.count; i++) {
        Delete *one = store->deletes.at[i];
        bool any = false;
        for (size_t j = 0; j < view->tier_count; j++) {
            const TierSource *tier = &view->tiers[j];
            any |= delete_means(one, tier->number, tier->min_ms, tier->max_ms);
        }
        if (any) *array_add(&view->tier_deletes) = delete_ref(one);
    }
}

// Samples that came late, which are in heads or in a block of a higher number, are in no tier until
// it is made again: then those that came answer. Where some were let go nothing else does.
static bool is_up_to_date(const SeriesView *view, const TierSource *tier) {
    bool alone = true;
    for (size_t i = 0; tier->source != 0 && i < view->source_count && alone; i++) {
        const ViewSource *source = &view->sources[i];
        alone = source->head != NULL ? !side_has_day(source->head, tier->day_ms / TIER_DAY_MS)
                                     : source->number <= tier->source ||
                                           day_of_ms(source->min_ms) * TIER_DAY_MS != tier->day_ms;
    }
    return alone;
}

static void drop_outdated(SeriesView *view) {
    size_t kept = 0;
    for (size_t i = 0; i < view->tier_count; i++) {
        if (is_up_to_date(view, &view->tiers[i]))
            view->tiers[kept++] = view->tiers[i];
        else
            block_unref(&view->tiers[i].block);
    }
    view->tier_count = kept;
}

bool series_view_add_tiers(SeriesView *view, SeriesStore *store, int64_t most_ms) {
    assert(view->tier_count == 0);
    if (store == NULL) return false;
    mutex_take(&store->blocks_lock);
    pin_tiers(view, store, most_ms);
    mutex_give(&store->blocks_lock);
    drop_outdated(view);
    return view->tier_count > 0;
}

// ---- Which series ----

typedef struct TierUnion {
    SeriesView *view;
    Arena *arena;
    Arena map_arena;
    Map map;  // label bytes -> 1 + index
    ARRAY(SeriesFound) found;
    size_t series_max;
} TierUnion;

static void union_end(TierUnion *all) {
    arena_free(&all->map_arena);
}

static uintptr_t *slot_of(TierUnion *all, Labels labels) {
    return (uintptr_t *)map_put(&all->map, bytes_text(labels.wire));
}

// Does the day have samples of the series in a block?
static bool has_samples(const SeriesView *view, const FoundSources *sources, int64_t day_ms) {
    for (uint32_t i = 0; i < sources->count; i++) {
        const ViewSource *source = &view->sources[sources->at[i].source];
        if (source->block != NULL && day_of_ms(source->min_ms) * TIER_DAY_MS == day_ms) return true;
    }
    return false;
}

static bool add_series(TierUnion *all, uint32_t at, uint32_t number, Labels labels, Error *err) {
    const TierSource *tier = &all->view->tiers[at];
    uintptr_t *slot = slot_of(all, labels);
    if (*slot == 0) {
        if (all->series_max > 0 && all->found.count >= all->series_max)
            return error_set(err, ERROR_TOO_COSTLY,
                             "the selector matches more than %zu series, which is what the memory "
                             "of one query holds (query.memory); name more labels",
                             all->series_max);
        *array_add_on(all->arena, &all->found) = (SeriesFound){
            {bytes_copy(labels.wire, all->arena)}, arena_push(all->arena, FoundSources)};
        *slot = all->found.count;
    }
    FoundSources *sources = all->found.at[*slot - 1].sources;
    if (tier->must && has_samples(all->view, sources, tier->day_ms)) return true;
    if (sources->tiers == NULL)
        sources->tiers = arena_push_array_raw(all->arena, FoundPlace, all->view->tier_days);
    if (sources->tier_count > 0 &&
        all->view->tiers[sources->tiers[sources->tier_count - 1].source].place == tier->place)
        return error_set(err, ERROR_CORRUPT, "two blocks of a tier have the same series");
    sources->tiers[sources->tier_count++] = (FoundPlace){at, number};
    DeletedSpans spans = all->view->tier_deletes.count == 0
                             ? (DeletedSpans){0}
                             : deletes_spans(&all->view->tier_deletes, at, tier->number,
                                             tier->min_ms, tier->max_ms, labels, all->arena);
    if (spans.count == 0) return true;
    DeletedSpans *before = &sources->tier_deleted;
    DeletedSpan *both = arena_push_array(all->arena, DeletedSpan, before->count + spans.count);
    if (before->count > 0) memcpy(both, before->at, before->count * sizeof *both);
    memcpy(both + before->count, spans.at, spans.count * sizeof *both);
    *before = (DeletedSpans){both, before->count + spans.count};
    return true;
}

static bool select_in_tier(TierUnion *all, uint32_t at, Matchers matchers, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    const SeriesMeter *meter = all->view->meter;
    const Block *block = all->view->tiers[at].block;
    BlockSeriesSet set;
    TRY(block_select(block, matchers, &scratch, &set, err));
    ArenaMark mark = arena_mark(&scratch);
    for (size_t i = 0; i < set.count; i++) {
        Labels labels;
        if (i % 1024 == 1023 && meter != NULL && meter->go_on != NULL)
            TRY(meter->go_on(meter->context, err));
        TRY(block_labels(block, set.at[i], &scratch, &labels, err) &&
            add_series(all, at, set.at[i], labels, err));
        arena_reset_to(&scratch, mark);
    }
    return true;
}

bool series_select_tiers(SeriesView *view, Matchers matchers, size_t series_max, Arena *arena,
                         SeriesFoundList *out, Error *err) {
    AUTO(union_end)
    TierUnion all = {.view = view, .arena = arena, .series_max = series_max};
    all.map = map_begin(&all.map_arena, view->hash_key);
    TRY(series_select(view, matchers, series_max, arena, out, err));
    for (size_t i = 0; i < out->count; i++) {
        *array_add_on(arena, &all.found) = out->at[i];
        *slot_of(&all, out->at[i].labels) = all.found.count;
    }
    for (uint32_t i = 0; i < view->tier_count; i++) TRY(select_in_tier(&all, i, matchers, err));
    *out = (SeriesFoundList){.at = all.found.at, .count = all.found.count};
    return true;
}

// ---- Reading ----

// Of the blocks of a tier the one read last is open.
typedef struct TierCursor {
    BlockCursor *block;
    uint32_t tier;
} TierCursor;

struct TierCursors {
    size_t count;
    TierCursor *days;    // by TierSource.place
    FoundPlace *places;  // room for those of a series
    size_t place_room;
    SeriesColumns column;
    SeriesParts merged;
};

void tier_cursors_close(TierCursors **cursors) {
    if (*cursors == NULL) return;
    TierCursors *gone = TAKE(*cursors);
    for (size_t i = 0; i < gone->count; i++) {
        if (gone->days[i].block != NULL) block_cursor_close(&gone->days[i].block);
    }
    memory_free(gone->days);
    memory_free(gone->places);
    series_columns_free(&gone->column);
    series_parts_free(&gone->merged);
    memory_free(gone);
}

static TierCursors *tiers_of(SeriesCursor *cursor) {
    TierCursors **tiers = cursor_tiers(cursor);
    if (*tiers == NULL) {
        *tiers = memory_new(TierCursors);
        (*tiers)->count = cursor_view(cursor)->tier_days;
        (*tiers)->days = memory_new_array(TierCursor, (*tiers)->count);
    }
    return *tiers;
}

static BlockCursor *cursor_of(SeriesCursor *cursor, uint32_t tier) {
    const SeriesView *view = cursor_view(cursor);
    TierCursor *day = &tiers_of(cursor)->days[view->tiers[tier].place];
    if (day->block != NULL && day->tier != tier) block_cursor_close(&day->block);
    if (day->block == NULL) {
        day->block = block_cursor_open_shared(view->tiers[tier].block);
        day->tier = tier;
        block_cursor_meter(day->block, view->meter);
    }
    return day->block;
}

// The samples of the days for which no window answers. `answered`: bit per place of the series.
static bool read_samples(SeriesCursor *cursor, const SeriesFound *series, const bool *answered,
                         int64_t from_ms, int64_t to_ms, SeriesColumns *out, Error *err) {
    const SeriesView *view = cursor_view(cursor);
    const FoundSources *sources = series->sources;
    TierCursors *tiers = tiers_of(cursor);
    FoundSources left = *sources;
    if (sources->count > tiers->place_room) {
        memory_free(tiers->places);
        tiers->places = memory_new_array(FoundPlace, sources->count);
        tiers->place_room = sources->count;
    }
    left.at = tiers->places;
    left.count = 0;
    // Blocks of such days are not even read; heads may have late samples of them.
    for (uint32_t i = 0; i < sources->count; i++) {
        const ViewSource *source = &view->sources[sources->at[i].source];
        bool gone = false;
        for (uint32_t j = 0; j < sources->tier_count && source->block != NULL; j++)
            gone |= answered[j] && view->tiers[sources->tiers[j].source].day_ms ==
                                       day_of_ms(source->min_ms) * TIER_DAY_MS;
        if (!gone) left.at[left.count++] = sources->at[i];
    }
    SeriesFound narrowed = {series->labels, &left};
    TRY(series_read(cursor, &narrowed, from_ms, to_ms, out, err));
    size_t kept = 0;
    uint32_t at = 0;
    for (size_t i = 0; i < out->count; i++) {
        int64_t day_ms = day_of_ms(out->times[i]) * TIER_DAY_MS;
        while (at < sources->tier_count && view->tiers[sources->tiers[at].source].day_ms < day_ms)
            at++;
        if (at < sources->tier_count && answered[at] &&
            view->tiers[sources->tiers[at].source].day_ms == day_ms)
            continue;
        if (out->has_starts) out->starts[kept] = out->starts[i];
        out->times[kept] = out->times[i];
        out->values[kept++] = out->values[i];
    }
    out->count = kept;
    return true;
}

static void copy_part(const SeriesParts *from, size_t i, SeriesParts *to) {
    to->ends_ms[to->count] = from->ends_ms[i];
    to->tiers_ms[to->count] = from->tiers_ms[i];
    for (size_t kind = 0; kind < WINDOW_KINDS; kind++) to->of[kind][to->count] = from->of[kind][i];
    to->count++;
}

static void sample_part(int64_t time_ms, double value, SeriesParts *to) {
    size_t at = to->count++;
    bool stale = is_stale(value);
    to->ends_ms[at] = time_ms;
    to->tiers_ms[at] = 0;
    for (size_t kind = 0; kind < WINDOW_KINDS; kind++) to->of[kind][at] = 0;
    to->of[WINDOW_COUNT][at] = stale ? 0 : 1;
    to->of[WINDOW_ENDED_AGO][at] = stale ? 0 : -1;
    to->of[WINDOW_SUM][at] = to->of[WINDOW_LEAST][at] = to->of[WINDOW_GREATEST][at] =
        to->of[WINDOW_FIRST][at] = to->of[WINDOW_LAST][at] = value;
}

// Windows and samples by their ends; at midnight a window of the day before comes first.
static void merge_samples(SeriesParts *parts, const SeriesColumns *samples, SeriesParts *merged) {
    merged->count = 0;
    parts_reserve(merged, parts->count + samples->count);
    size_t i = 0, j = 0;
    while (i < parts->count || j < samples->count) {
        if (j == samples->count || (i < parts->count && parts->ends_ms[i] <= samples->times[j])) {
            copy_part(parts, i++, merged);
        } else {
            sample_part(samples->times[j], samples->values[j], merged);
            j++;
        }
    }
    SeriesParts spare = *parts;
    *parts = *merged;
    *merged = spare;
    parts->samples = samples->count;
    parts->histograms = spare.histograms;
}

static bool any_histograms(const SeriesParts *parts, size_t first, double *histograms) {
    double all = 0;
    for (size_t i = first; i < parts->count; i++) all += parts->of[WINDOW_HISTOGRAMS][i];
    *histograms += all;
    return all > 0;
}

bool series_read_parts(SeriesCursor *cursor, const SeriesFound *series, int64_t from_ms,
                       int64_t to_ms, uint32_t wanted, SeriesParts *parts, SeriesColumns *samples,
                       Error *err) {
    const SeriesView *view = cursor_view(cursor);
    const FoundSources *sources = series->sources;
    parts->count = parts->samples = 0;
    parts->histograms = 0;
    if (sources->tier_count == 0) return series_read(cursor, series, from_ms, to_ms, samples, err);
    AUTO(arena_free) Arena scratch = {0};
    bool *answered = arena_push_array(&scratch, bool, sources->tier_count);
    for (uint32_t i = 0; i < sources->tier_count; i++) {
        FoundPlace place = sources->tiers[i];
        const TierSource *tier = &view->tiers[place.source];
        size_t first = parts->count;
        double histograms = 0;
        if (!tier_read(cursor_of(cursor, place.source), place.number, tier->day_ms, tier->tier_ms,
                       from_ms, to_ms, wanted, &tiers_of(cursor)->column, parts, err))
            return error_context(err, "reading a tier of %lld ms", (long long)tier->tier_ms);
        tier_drop(parts, first, sources->tier_deleted, place.source);
        answered[i] = true;
        if (!any_histograms(parts, first, &histograms)) continue;
        // Samples as they came know of histograms.
        if (!tier->must && has_samples(view, sources, tier->day_ms)) {
            parts->count = first;
            answered[i] = false;
        } else {
            parts->histograms += histograms;
        }
    }
    TRY(read_samples(cursor, series, answered, from_ms, to_ms, samples, err));
    if (parts->count > 0 && samples->count > 0)
        merge_samples(parts, samples, &tiers_of(cursor)->merged);
    return true;
}

bool series_view_has_tiers(const SeriesView *view) {
    return view->tier_count > 0;
}

void series_parts_columns(SeriesParts *parts, SeriesPart value, SeriesColumns *columns) {
    size_t kept = 0;
    for (size_t i = 0; i < parts->count; i++) {
        if (parts->of[WINDOW_COUNT][i] == 0) continue;
        if (kept == i) {
            kept++;
            continue;
        }
        parts->ends_ms[kept] = parts->ends_ms[i];
        parts->tiers_ms[kept] = parts->tiers_ms[i];
        for (size_t kind = 0; kind < WINDOW_KINDS; kind++)
            parts->of[kind][kept] = parts->of[kind][i];
        kept++;
    }
    parts->count = kept;
    columns->count = 0;
    columns->has_starts = false;
    if (kept == 0) return;  // there may be no memory at all
    columns_reserve(columns, kept);
    memcpy(columns->times, parts->ends_ms, kept * sizeof *columns->times);
    memcpy(columns->values, parts->of[value], kept * sizeof *columns->values);
    columns->count = kept;
}
