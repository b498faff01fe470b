// Taking samples in and packing full tails.

#include "base/assert.h"
#include "store/series/page_inside.h"

enum {
    LATE_SAMPLES_MAX = 256,  // then they are packed; more where there are many strips
    SPANS_MIN = 64,          // strips; fewer are looked through one after the other
};

_Static_assert(sizeof(PageSeries) == 56, "less than a cache line");

// ---- Memory ----

void head_memory_charge(HeadMemory *memory, int64_t bytes) {
    if (memory->budget != NULL && !budget_reserve(memory->budget, bytes, NULL)) {
        atomic_fetch_add(&memory->overdraft, bytes);
    } else {
        atomic_fetch_add(&memory->charged, bytes);
    }
}

void head_memory_return(HeadMemory *memory, int64_t bytes) {
    int64_t over = atomic_load(&memory->overdraft), part;
    do {
        part = MIN(over, bytes);
    } while (part > 0 && !atomic_compare_exchange_weak(&memory->overdraft, &over, over - part));
    bytes -= MAX(part, 0);
    atomic_fetch_sub(&memory->charged, bytes);
    if (memory->budget != NULL) budget_release(memory->budget, bytes);
}

bool head_memory_reserve(HeadMemory *memory, int64_t bytes, Error *err) {
    if (memory->budget != NULL) TRY(budget_reserve(memory->budget, bytes, err));
    atomic_fetch_add(&memory->charged, bytes);
    return true;
}

void head_memory_release_all(HeadMemory *memory) {
    int64_t charged = atomic_exchange(&memory->charged, 0);
    if (memory->budget != NULL) budget_release(memory->budget, charged);
    atomic_store(&memory->overdraft, 0);
}

bool page_open(HeadMemory *memory, bool overdraft, Page **out, Error *err) {
    void *page_memory, *hot;
    int64_t bytes = (int64_t)(sizeof(Page) + PAGE_SERIES * sizeof(PageSeries));
    if (!overdraft) TRY(head_memory_reserve(memory, bytes, err));
    bool first = memory_reserve(sizeof(Page), &page_memory, err);
    if (!first || !memory_reserve(PAGE_SERIES * sizeof(PageSeries), &hot, err)) {
        if (first) memory_free(page_memory);
        if (overdraft) return false;
        atomic_fetch_sub(&memory->charged, bytes);
        if (memory->budget != NULL) budget_release(memory->budget, bytes);
        return false;
    }
    if (overdraft) head_memory_charge(memory, bytes);
    Page *page = page_memory;
    memset(page, 0, sizeof *page);
    page->memory = memory;
    page->hot = hot;
    mutex_begin(&page->lock, LOCK_SERIES_PAGE);
    *out = page;
    return true;
}

void page_close(Page **page) {
    if (*page == NULL) return;
    Page *gone = TAKE(*page);
    for (uint32_t i = 0; i < gone->piece_count; i++) memory_free(gone->pieces[i]);
    memory_free(gone->pieces);
    for (size_t i = 0; i < gone->late.count; i++) {
        memory_free(gone->late.at[i].times);
        memory_free(gone->late.at[i].values);
        memory_free(gone->late.at[i].spans);
    }
    array_free(&gone->late);
    page_starts_close(gone);
    row_cache_forget(&gone->kept);
    memory_free(gone->hot);
    mutex_end(&gone->lock);
    memory_free(gone);
}

void page_begin_series(Page *page, uint32_t slot, const Sample *last) {
    page->hot[slot] = (PageSeries){
        .last_ms = last == NULL ? INT64_MIN : last->time_ms,
        .last_value = last == NULL ? 0 : last->value,
    };
}

// `bytes` at a multiple of 8; never place 0. The samples are logged already, so this may not be
// refused: without budget it becomes overdraft, and without any memory the process ends (memory.h).
static uint32_t slab_take(Page *page, uint32_t bytes) {
    bytes = (bytes + 7) & ~7u;
    if (page->piece_count == 0 || page->piece_used + bytes > PAGE_PIECE_BYTES) {
        if (page->piece_count == page->piece_capacity) {
            page->piece_capacity = page->piece_capacity == 0 ? 8 : page->piece_capacity * 2;
            page->pieces = memory_resize(page->pieces,
                                         array_bytes(page->piece_capacity, sizeof *page->pieces));
        }
        assert(page->piece_count < UINT32_MAX / PAGE_PIECE_BYTES);
        page->pieces[page->piece_count++] = memory_take(PAGE_PIECE_BYTES);
        page->piece_used = page->piece_count == 1 ? 8 : 0;
        head_memory_charge(page->memory, PAGE_PIECE_BYTES);
    }
    uint32_t place = (page->piece_count - 1) * PAGE_PIECE_BYTES + page->piece_used;
    page->piece_used += bytes;
    return place;
}

// The last that was taken keeps `bytes` of it.
static void slab_shorten(Page *page, uint32_t place, size_t bytes) {
    page->piece_used = place % PAGE_PIECE_BYTES + (uint32_t)((bytes + 7) & ~(size_t)7);
}

// ---- Packing ----
//
// Columns are packed where they will stay.

static uint32_t clock_write(Page *page, const int64_t *times, size_t count) {
    uint32_t place = slab_take(page, sizeof(StripClock) + STRIP_COLUMN_MAX);
    StripClock *clock = (StripClock *)(void *)slab_at(page, place);
    size_t bytes = times_encode(times, count, (uint8_t *)(clock + 1));
    assert(bytes <= STRIP_COLUMN_MAX);
    *clock = (StripClock){times[0], times[count - 1], 0, (uint16_t)bytes};
    slab_shorten(page, place, sizeof *clock + bytes);
    clock->check = clock_check(clock);
    return place;
}

static void strip_write(Page *page, PageSeries *series, uint32_t clock, const double *values,
                        size_t count) {
    uint32_t place = slab_take(page, sizeof(Strip) + STRIP_COLUMN_MAX);
    Strip *strip = (Strip *)(void *)slab_at(page, place);
    size_t bytes = values_encode(values, count, true, (uint8_t *)(strip + 1));
    assert(bytes <= STRIP_COLUMN_MAX);
    *strip = (Strip){0, (uint8_t)bytes, (uint8_t)count, series->strip, clock};
    slab_shorten(page, place, sizeof *strip + bytes);
    strip->check = strip_check(strip);
    series->strip = place;
    series->strips++;
    page->strips++;
}

// The clock of the tail: one sealed lately with the same times, or a new one.
static uint32_t tail_clock(Page *page, int64_t base_ms, const int32_t *deltas, uint32_t count) {
    uint64_t mixed =
        (uint64_t)base_ms ^ (uint64_t)(uint32_t)deltas[count - 1] << 20 ^ (uint64_t)count << 54;
    PageClock *known = &page->clocks[(mixed * UINT64_C(0x9e3779b97f4a7c15)) >> 60];
    if (known->place != 0 && known->base_ms == base_ms && known->count == count &&
        memcmp(known->deltas, deltas, count * sizeof *deltas) == 0) {
        return known->place;
    }
    UNFILLED int64_t times[STRIP_SAMPLES];
    for (uint32_t i = 0; i < count; i++) times[i] = base_ms + deltas[i];
    known->place = clock_write(page, times, count);
    known->base_ms = base_ms;
    known->count = count;
    memcpy(known->deltas, deltas, count * sizeof *deltas);
    return known->place;
}

// Packs the tail into a strip. The quads stay with the series: those of series that are stored one
// after the other lie one after the other, and what is to be touched next is near already.
static void tail_pack(Page *page, PageSeries *series) {
    uint32_t count = series->tail_count;
    if (count == 0) return;
    UNFILLED int32_t deltas[STRIP_SAMPLES];
    UNFILLED double values[STRIP_SAMPLES];
    for (uint32_t at = 0; at < count; at += QUAD_SAMPLES) {
        uint32_t quad = series->quads[at / QUAD_SAMPLES];
        memcpy(&deltas[at], quad_deltas(page, quad), QUAD_SAMPLES * sizeof *deltas);
        memcpy(&values[at], quad_values(page, quad), QUAD_SAMPLES * sizeof *values);
    }
    uint16_t check = tail_check_begin(series->base_ms);
    for (uint32_t i = 0; i < count; i++) check = tail_check_add(check, i, deltas[i], values[i]);
    bool memory_is_as_written = check == series->tail_check;
    assert(memory_is_as_written);
    strip_write(page, series, tail_clock(page, series->base_ms, deltas, count), values, count);
    series->tail_count = 0;
}

static inline void prefetch_quad(const Page *page, uint32_t quad) {
    const uint8_t *at = slab_at(page, quad);
    __builtin_prefetch(at, 1);
    __builtin_prefetch(at + QUAD_BYTES - 1, 1);
}

void page_prefetch_tail(const Page *page, uint32_t slot) {
    const PageSeries *series = &page->hot[slot];
    if (series->tail_count == STRIP_SAMPLES - 1) {  // all of it will be packed
        for (size_t i = 0; i < COUNT(series->quads); i++) prefetch_quad(page, series->quads[i]);
        return;
    }
    uint32_t quad = series->quads[series->tail_count / QUAD_SAMPLES];
    if (quad == 0) return;
    prefetch_quad(page, quad);
}

void page_add_new(Page *page, PageSeries *series, Sample sample) {
    int64_t delta;
    if (series->tail_count == 0) {
        series->base_ms = sample.time_ms;
        delta = 0;
    } else if (__builtin_sub_overflow(sample.time_ms, series->base_ms, &delta) ||
               delta > INT32_MAX) {
        tail_pack(page, series);
        series->base_ms = sample.time_ms;
        delta = 0;
    }
    uint32_t at = series->tail_count;
    if (at == 0) series->tail_check = tail_check_begin(series->base_ms);
    uint32_t *quad = &series->quads[at / QUAD_SAMPLES];
    if (at % QUAD_SAMPLES == 0 && *quad == 0) *quad = slab_take(page, QUAD_BYTES);
    tail_put(page, series, at, (int32_t)delta, sample);
    if (series->tail_count == STRIP_SAMPLES) tail_pack(page, series);
}

// ---- Late samples ----

static Verdict compare_values(double stored, double given) {
    return double_bits(stored) == double_bits(given) ? VERDICT_DUPLICATE : VERDICT_CONFLICT;
}

static bool find_in_tail(const Page *page, const PageSeries *series, int64_t time_ms, double *out) {
    for (uint32_t i = 0; i < series->tail_count; i++) {
        uint32_t quad = series->quads[i / QUAD_SAMPLES];
        if (series->base_ms + quad_deltas(page, quad)[i % QUAD_SAMPLES] != time_ms) continue;
        *out = quad_values(page, quad)[i % QUAD_SAMPLES];
        return true;
    }
    return false;
}

static bool find_in_strip(const Strip *strip, const StripClock *clock, int64_t time_ms,
                          double *out) {
    UNFILLED int64_t times[STRIP_SAMPLES];
    UNFILLED double values[STRIP_SAMPLES];
    if (time_ms < clock->first_ms || time_ms > clock->last_ms) return false;
    strip_decode(strip, clock, times, values);
    for (uint32_t i = 0; i < strip->count; i++) {
        if (times[i] != time_ms) continue;
        *out = values[i];
        return true;
    }
    return false;
}

static PageLate *late_of(Page *page, PageSeries *series) {
    if (series->late == 0) {
        array_add(&page->late);
        series->late = (uint32_t)page->late.count;
        head_memory_charge(page->memory, (int64_t)sizeof(PageLate));
    }
    return &page->late.at[series->late - 1];
}

static void span_insert(PageLate *late, PageSpan span) {
    uint32_t low = 0, high = late->span_count++;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (late->spans[middle].first_ms <= span.first_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    memmove(&late->spans[low + 1], &late->spans[low],
            (late->span_count - 1 - low) * sizeof *late->spans);
    int64_t reach_ms = span.reach_ms;
    if (low > 0) span.reach_ms = MAX(reach_ms, late->spans[low - 1].reach_ms);
    late->spans[low] = span;
    for (uint32_t i = low + 1; i < late->span_count && late->spans[i].reach_ms < reach_ms; i++)
        late->spans[i].reach_ms = reach_ms;
}

// The strips packed since the last time join the others, oldest first, so that most go to the end.
static void spans_catch_up(Page *page, const PageSeries *series, PageLate *late) {
    uint32_t fresh = series->strips - late->span_count;
    if (fresh == 0) return;
    if (series->strips > late->span_capacity) {
        uint32_t more = MAX(series->strips, late->span_capacity * 2);
        head_memory_charge(page->memory,
                           (int64_t)((more - late->span_capacity) * sizeof *late->spans));
        late->spans = memory_resize(late->spans, array_bytes(more, sizeof *late->spans));
        late->span_capacity = more;
    }
    uint32_t *places = memory_new_array(uint32_t, fresh), place = series->strip;
    for (uint32_t i = fresh; i-- > 0; place = strip_at(page, place)->before) places[i] = place;
    for (uint32_t i = 0; i < fresh; i++) {
        const StripClock *clock = clock_at(page, strip_at(page, places[i])->clock);
        span_insert(late, (PageSpan){clock->first_ms, clock->last_ms, places[i]});
    }
    memory_free(places);
}

// A body may repeat any number of old samples of one series: walking the chain for each would take
// the square of it.
static bool find_in_many_strips(Page *page, PageSeries *series, int64_t time_ms, double *out) {
    PageLate *late = late_of(page, series);
    spans_catch_up(page, series, late);
    uint32_t low = 0, high = late->span_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (late->spans[middle].first_ms <= time_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low-- > 0 && late->spans[low].reach_ms >= time_ms) {
        const Strip *strip = strip_at(page, late->spans[low].place);
        if (find_in_strip(strip, clock_at(page, strip->clock), time_ms, out)) return true;
    }
    return false;
}

static bool find_in_strips(Page *page, PageSeries *series, int64_t time_ms, double *out) {
    if (series->strips >= SPANS_MIN) return find_in_many_strips(page, series, time_ms, out);
    for (uint32_t place = series->strip; place != 0;) {
        const Strip *strip = strip_at(page, place);
        const StripClock *clock = clock_at(page, strip->clock);
        if (find_in_strip(strip, clock, time_ms, out)) return true;
        // All further strips are older still.
        if (time_ms > clock->last_ms && !series->disorder) return false;
        place = strip->before;
    }
    return false;
}

static void late_pack(Page *page, PageSeries *series, PageLate *late) {
    for (uint32_t at = 0; at < late->count; at += STRIP_SAMPLES) {
        uint32_t count = MIN(late->count - at, (uint32_t)STRIP_SAMPLES);
        uint32_t clock = clock_write(page, late->times + at, count);
        strip_write(page, series, clock, late->values + at, count);
    }
    series->disorder = 1;
    late->count = 0;
}

static void late_add(Page *page, PageSeries *series, Sample sample) {
    PageLate *late = late_of(page, series);
    // Each packing of samples from all over the past leaves strips that overlap those before: the
    // more there are, the more go at a time.
    if (late->count >= MAX((uint32_t)LATE_SAMPLES_MAX, series->strips))
        late_pack(page, series, late);
    if (late->count == late->capacity) {
        uint32_t more = late->capacity == 0 ? 8 : late->capacity * 2;
        head_memory_charge(page->memory, (int64_t)(more - late->capacity) * 16);
        late->times = memory_resize(late->times, array_bytes(more, sizeof *late->times));
        late->values = memory_resize(late->values, array_bytes(more, sizeof *late->values));
        late->capacity = more;
    }
    uint32_t at = (uint32_t)times_place(late->times, late->count, sample.time_ms);
    memmove(&late->times[at + 1], &late->times[at], (late->count - at) * sizeof *late->times);
    memmove(&late->values[at + 1], &late->values[at], (late->count - at) * sizeof *late->values);
    late->times[at] = sample.time_ms;
    late->values[at] = sample.value;
    late->count++;
    page->samples++;
}

Verdict page_add_disorder(Page *page, PageSeries *series, Sample sample) {
    if (sample.time_ms == series->last_ms) return compare_values(series->last_value, sample.value);
    double stored;
    if (find_in_tail(page, series, sample.time_ms, &stored))
        return compare_values(stored, sample.value);
    if (series->late != 0) {
        const PageLate *late = &page->late.at[series->late - 1];
        uint32_t at = (uint32_t)times_place(late->times, late->count, sample.time_ms);
        if (at < late->count && late->times[at] == sample.time_ms)
            return compare_values(late->values[at], sample.value);
    }
    if (find_in_strips(page, series, sample.time_ms, &stored))
        return compare_values(stored, sample.value);
    late_add(page, series, sample);
    return VERDICT_STORED;
}
