// Rules of retention, and what they mean for a block.

#include "store/series/retention.h"

#include "store/series/tier.h"

int64_t retention_of(const SeriesRetention *retention, Labels labels) {
    for (size_t i = 0; i < retention->rule_count; i++) {
        if (matchers_match(retention->rules[i].matchers, labels))
            return retention->rules[i].keep_ms;
    }
    return retention->keep_ms;
}

int64_t retention_longest(const SeriesRetention *retention) {
    int64_t longest = retention->keep_ms;
    for (size_t i = 0; i < retention->rule_count && longest > 0; i++) {
        int64_t keep_ms = retention->rules[i].keep_ms;
        longest = keep_ms == 0 ? 0 : MAX(longest, keep_ms);
    }
    return longest;
}

static bool is_over(int64_t keep_ms, int64_t max_ms, int64_t now_ms) {
    int64_t oldest;
    return keep_ms > 0 && !__builtin_sub_overflow(now_ms, keep_ms, &oldest) && max_ms < oldest;
}

bool retention_is_over(const SeriesRetention *retention, Labels labels, int64_t max_ms,
                       int64_t now_ms) {
    return is_over(retention_of(retention, labels), max_ms, now_ms);
}

// Of all series, or of those that `matchers` match.
static bool any_is_over(const SeriesRetention *retention, const Block *block, Matchers matchers,
                        int64_t max_ms, int64_t now_ms, bool *touches, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    BlockSeriesSet set;
    TRY(block_select(block, matchers, &scratch, &set, err));
    ArenaMark mark = arena_mark(&scratch);
    for (size_t i = 0; i < set.count && !*touches; i++) {
        Labels labels;
        TRY(block_labels(block, set.at[i], &scratch, &labels, err));
        *touches = retention_is_over(retention, labels, max_ms, now_ms);
        arena_reset_to(&scratch, mark);
    }
    return true;
}

bool retention_touches(const SeriesRetention *retention, const Block *block, int64_t max_ms,
                       int64_t now_ms, bool *touches, Error *err) {
    *touches = false;
    for (size_t i = 0; i < retention->rule_count && !*touches; i++) {
        const SeriesKeep *rule = &retention->rules[i];
        if (is_over(rule->keep_ms, max_ms, now_ms))
            TRY(any_is_over(retention, block, rule->matchers, max_ms, now_ms, touches, err));
    }
    if (*touches || !is_over(retention->keep_ms, max_ms, now_ms)) return true;
    return any_is_over(retention, block, (Matchers){0}, max_ms, now_ms, touches, err);
}

static int64_t sooner(int64_t before, int64_t keep_ms, int64_t max_ms, int64_t now_ms) {
    int64_t end_ms;
    if (keep_ms == 0 || is_over(keep_ms, max_ms, now_ms) ||
        __builtin_add_overflow(max_ms, keep_ms, &end_ms) || end_ms == INT64_MAX)
        return before;
    return MIN(before, end_ms + 1);
}

int64_t retention_next(const SeriesRetention *retention, int64_t max_ms, int64_t now_ms) {
    int64_t next = sooner(INT64_MAX, retention->keep_ms, max_ms, now_ms);
    for (size_t i = 0; i < retention->rule_count; i++)
        next = sooner(next, retention->rules[i].keep_ms, max_ms, now_ms);
    return next;
}

// ---- Housekeeping ----

static bool has_tiers(const SeriesStore *store, int64_t day) {
    bool has = false;
    for (size_t k = 0; k < SERIES_TIERS; k++) has |= store->options.tiers[k].on;
    for (size_t i = 0; i < store->tiers.count && !has; i++)
        has = day_of_ms(store->tiers.at[i].facts.min_ms) == day;
    return has;
}

int64_t store_end_ms(const SeriesStore *store, const StoreBlock *block) {
    int64_t day = day_of_ms(block->facts.min_ms), end_ms = block->facts.max_ms;
    if (!has_tiers(store, day)) return end_ms;
    for (size_t i = 0; i < store->blocks.count; i++) {
        const ManifestBlock *other = &store->blocks.at[i].facts;
        if (day_of_ms(other->min_ms) == day) end_ms = MAX(end_ms, other->max_ms);
    }
    return end_ms;
}

// Do some series of the block have to go by now?
static bool is_touched(SeriesStore *store, StoreBlock *block, int64_t now_ms, bool *touches,
                       Error *err) {
    const SeriesRetention *retention = &store->options.retention;
    *touches = false;
    // A damaged one waits for its repair, or goes as a whole.
    if (block->block == NULL || block->retain_ms > now_ms || tiers_wait(store, block, now_ms))
        return true;
    int64_t end_ms = store_end_ms(store, block);
    TRY(retention_touches(retention, block->block, end_ms, now_ms, touches, err));
    if (!*touches) block->retain_ms = retention_next(retention, end_ms, now_ms);
    return true;
}

// Blocks of one day of which some series have to go by now, in `out`, which has room for all there
// are: one, or where the day may have tiers all of them.
static bool find_touched(SeriesStore *store, int64_t now_ms, StoreBlock **out, size_t *count,
                         Error *err) {
    *count = 0;
    for (size_t i = 0; i < store->blocks.count; i++) {
        StoreBlock *block = &store->blocks.at[i];
        bool touches;
        int64_t day = day_of_ms(block->facts.min_ms);
        if (*count > 0 && (day != day_of_ms(out[0]->facts.min_ms) || !has_tiers(store, day)))
            continue;
        TRY(is_touched(store, block, now_ms, &touches, err));
        if (touches) out[(*count)++] = block;
    }
    return true;
}

static bool retain(SeriesStore *store, int64_t now_ms, bool *changed, bool *more, Error *err) {
    int64_t longest_ms = retention_longest(&store->options.retention), before_ms;
    if (longest_ms > 0 && !__builtin_sub_overflow(now_ms, longest_ms, &before_ms))
        TRY(store_drop_before(store, before_ms, now_ms, changed, err));
    TRY(tiers_retain(store, now_ms, changed, more, err));
    AUTO(arena_free) Arena arena = {0};
    size_t count;
    StoreBlock **touched = arena_push_array(&arena, StoreBlock *, store->blocks.count + 1);
    if (store->options.retention.rule_count == 0) return true;
    TRY(find_touched(store, now_ms, touched, &count, err));
    if (count == 0) return true;
    *changed = *more = true;
    return store_merge_retained(store, touched, count, now_ms, err);
}

bool series_retain(SeriesStore *store, int64_t now_ms, bool *more, Error *err) {
    bool changed = false;
    *more = false;
    mutex_take(&store->maintain);
    bool retained = retain(store, now_ms, &changed, more, err);
    mutex_give(&store->maintain);
    if (changed || !retained) series_note_change(store, INT64_MIN);
    return retained;
}
