// Finding series through a view: matchers in every source, equal label sets united.

#include <stdlib.h>

#include "base/assert.h"
#include "store/index/postings.h"
#include "store/series/view.h"
#include "store/series/view_labels.h"

typedef struct Union {
    SeriesView *view;
    Arena *arena;
    LabelPicker *picker;  // NULL: whole label sets, and nothing else is asked
    Arena slots_arena;
    uint32_t *slots;  // 1 + index into `found`; 0: free
    size_t slot_count, series_max;
    ARRAY(SeriesFound) found;
} Union;

static void union_end(Union *all) {
    arena_free(&all->slots_arena);
}

static bool too_many(const Union *all, Error *err) {
    return error_set(
        err, ERROR_TOO_COSTLY,
        "the selector matches more than %zu series, which is what the memory of one query "
        "holds (query.memory); name more labels",
        all->series_max);
}

static bool go_on(const Union *all, size_t found, Error *err) {
    const SeriesMeter *meter = all->view->meter;
    return found % 1024 != 0 || meter == NULL || meter->go_on == NULL ||
           meter->go_on(meter->context, err);
}

static uint64_t hash_of(const Union *all, Labels labels) {
    return hash_keyed(all->view->hash_key, labels.wire);
}

static void add_place(Union *all, SeriesFound *found, FoundPlace place) {
    FoundSources *sources = found->sources;
    if (sources->count == sources->capacity) {
        uint32_t capacity = MAX(sources->capacity * 2, 4u);
        FoundPlace *at = arena_push_array_raw(all->arena, FoundPlace, capacity);
        memcpy(at, sources->at, sources->count * sizeof *at);
        sources->at = at;
        sources->capacity = capacity;
    }
    sources->at[sources->count++] = place;
}

static void add_spans(Union *all, FoundSources *sources, DeletedSpans more) {
    DeletedSpans *spans = &sources->deleted;
    DeletedSpan *both = arena_push_array(all->arena, DeletedSpan, spans->count + more.count);
    if (spans->count > 0) memcpy(both, spans->at, spans->count * sizeof *both);
    memcpy(both + spans->count, more.at, more.count * sizeof *both);
    *spans = (DeletedSpans){both, spans->count + more.count};
}

static void add_found(Union *all, Labels labels, FoundPlace place) {
    struct {
        FoundSources sources;
        FoundPlace first;
    } *with = arena_push_size(all->arena, sizeof *with, _Alignof(FoundSources));
    with->first = place;
    with->sources = (FoundSources){.at = &with->first, .count = 1, .capacity = 1};
    *array_add_on(all->arena, &all->found) = (SeriesFound){labels, &with->sources};
}

static void grow(Union *all) {
    all->slot_count = all->slot_count == 0 ? 256 : all->slot_count * 2;
    while (all->slot_count * 3 < all->found.count * 4 + 4) all->slot_count *= 2;
    arena_clear(&all->slots_arena);
    all->slots = arena_push_array(&all->slots_arena, uint32_t, all->slot_count);
    for (size_t i = 0; i < all->found.count; i++) {
        size_t at = hash_of(all, all->found.at[i].labels) & (all->slot_count - 1);
        while (all->slots[at] != 0) at = (at + 1) & (all->slot_count - 1);
        all->slots[at] = (uint32_t)i + 1;
    }
}

// One series of one source. With a single source no label set comes twice, and nothing is hashed.
static bool unite(Union *all, Labels labels, FoundPlace place, FoundSources **out, Error *err) {
    if (all->view->source_count > 1) {
        if (all->found.count * 4 >= all->slot_count * 3) grow(all);
        size_t at = hash_of(all, labels) & (all->slot_count - 1);
        for (; all->slots[at] != 0; at = (at + 1) & (all->slot_count - 1)) {
            SeriesFound *known = &all->found.at[all->slots[at] - 1];
            if (!labels_equal(known->labels, labels)) continue;
            add_place(all, known, place);
            *out = known->sources;
            return true;
        }
        all->slots[at] = (uint32_t)all->found.count + 1;
    }
    if (all->series_max > 0 && all->found.count >= all->series_max) return too_many(all, err);
    add_found(all, labels, place);
    *out = all->found.at[all->found.count - 1].sources;
    return true;
}

// With one source a series is met once, so that its labels need not be whole.
static bool picks_numbers(const Union *all) {
    return all->picker != NULL && all->picker->wanted->some && all->view->source_count == 1;
}

// What each name of the registry is looked at for. Names of series that were selected before are
// among them.
static uint8_t *uses_of_names(const Union *all, Registry *registry, Arena *scratch) {
    shared_take_read(&registry->lock);
    uint8_t *uses = arena_push_array_raw(scratch, uint8_t, registry->names.count + 1);
    for (size_t i = 0; i < registry->names.count; i++)
        uses[i] = picker_use(all->picker, registry->names.at[i].name);
    shared_give(&registry->lock);
    return uses;
}

static Labels pairs_labels(const Registry *registry, const Picked *picked, Arena *arena) {
    size_t bytes = 0;
    for (size_t i = 0; i < picked->count; i++)
        bytes += registry_pair(registry, picked->numbers[i])->len;
    uint8_t *wire = arena_push_raw(arena, bytes, 1), *end = wire;
    for (size_t i = 0; i < picked->count; i++) {
        const RegistryPair *pair = registry_pair(registry, picked->numbers[i]);
        memcpy(end, pair->wire, pair->len);
        end += pair->len;
    }
    return (Labels){{wire, bytes}};
}

static Labels picked_of_head(Union *all, const Registry *registry, const uint8_t *uses,
                             uint32_t ref) {
    UNFILLED Picked picked;
    bool made;
    const RegistrySeries *series = registry_series(registry, ref);
    const uint32_t *ids = registry_ids(registry, series);
    picked_begin(all->picker, &picked);
    for (unsigned i = 0; i < series->pair_count; i++)
        picked_add(&picked, uses[registry_pair(registry, ids[i])->name], ids[i]);
    Labels *labels = picked_find(all->picker, &picked, &made);
    if (made) *labels = pairs_labels(registry, &picked, all->arena);
    return *labels;
}

static bool select_head(Union *all, uint32_t source, Matchers matchers, Error *err) {
    Head *head = all->view->sources[source].head;
    AUTO(arena_free) Arena scratch = {0};
    PostingSet refs;
    TRY(registry_select(head_postings(head), matchers, &scratch, &refs, err));
    const uint8_t *uses = picks_numbers(all) ? uses_of_names(all, &head->registry, &scratch) : NULL;
    for (size_t i = 0; i < refs.count; i++) {
        FoundSources *ignored;
        TRY(go_on(all, i, err));
        uint32_t ref = refs.at[i];
        Labels labels = uses != NULL ? picked_of_head(all, &head->registry, uses, ref)
                                     : registry_labels(&head->registry, ref, all->arena);
        TRY(unite(all, labels, (FoundPlace){source, ref}, &ignored, err));
    }
    return true;
}

// Is anything of the series left in the view's interval? Only asked of series that a delete means.
static bool is_left(Union *all, FoundPlace place, DeletedSpans spans, bool *left, Error *err) {
    const SeriesView *view = all->view;
    const ViewSource *from = &view->sources[place.source];
    int64_t from_ms = MAX(view->from_ms, from->min_ms), to_ms = MIN(view->to_ms, from->max_ms);
    *left = false;
    for (size_t i = 0; i < spans.count; i++) {
        if (spans.at[i].from_ms <= from_ms && spans.at[i].to_ms >= to_ms) return true;
    }
    SeriesColumns columns = {0};
    size_t histograms = 0;
    BlockCursor *cursor = block_cursor_open_shared(from->block);
    block_cursor_meter(cursor, view->meter);
    bool read = block_read(cursor, place.number, from_ms, to_ms, &columns, err) &&
                histograms_left(cursor, place, spans, from_ms, to_ms, &histograms, err);
    spans_apply(spans, place.source, &columns);
    *left = columns.count + histograms > 0;
    block_cursor_close(&cursor);
    series_columns_free(&columns);
    return read;
}

// A walk over the series of a block that match.
typedef struct BlockWalk {
    const Block *block;
    BlockRows *rows;
    uint8_t *uses;  // of each name; NULL: whole label sets
    size_t pair_count;
    BlockPair pairs[BLOCK_PAIRS_MAX];  // of the series looked at
} BlockWalk;

static bool picked_of_block(Union *all, const BlockWalk *walk, Labels *out, Error *err) {
    UNFILLED Picked picked;
    UNFILLED BlockPair kept[BLOCK_PAIRS_MAX];
    bool made;
    picked_begin(all->picker, &picked);
    for (size_t i = 0; i < walk->pair_count; i++) {
        uint8_t use = walk->uses[walk->pairs[i].name];
        if (use & LABEL_PICKED) kept[picked.count] = walk->pairs[i];
        picked_add(&picked, use, walk->pairs[i].pair);
    }
    Labels *labels = picked_find(all->picker, &picked, &made);
    if (made) TRY(block_pairs_labels(walk->block, kept, picked.count, all->arena, labels, err));
    *out = *labels;
    return true;
}

// What deletes took from the series of the walk; *left: something of it is still there.
static bool find_spans(Union *all, const BlockWalk *walk, FoundPlace place, DeletedSpans *spans,
                       bool *left, Error *err) {
    Labels whole;
    TRY(block_pairs_labels(walk->block, walk->pairs, walk->pair_count, all->arena, &whole, err));
    *spans = view_spans(all->view, place.source, whole, all->arena);
    *left = true;
    return spans->count == 0 || is_left(all, place, *spans, left, err);
}

// The series of a block that some delete of the view means; no others need to be asked about.
static bool meant_by_deletes(const SeriesView *view, uint32_t at, Arena *arena, PostingSet *out,
                             Error *err) {
    const ViewSource *source = &view->sources[at];
    *out = (PostingSet){0};
    for (size_t i = 0; source->has_deletes && i < view->deletes.count; i++) {
        const Delete *one = view->deletes.at[i];
        if (!delete_means(one, source->number, source->min_ms, source->max_ms)) continue;
        BlockSeriesSet set;
        TRY(block_select(source->block, one->facts.matchers, arena, &set, err));
        *out = postings_or(*out, (PostingSet){set.at, set.count}, arena);
    }
    return true;
}

static bool select_block(Union *all, uint32_t source, Matchers matchers, Error *err) {
    const Block *block = all->view->sources[source].block;
    AUTO(arena_free) Arena scratch = {0};
    BlockSeriesSet set;
    PostingSet meant;
    TRY(block_select(block, matchers, &scratch, &set, err));
    TRY(meant_by_deletes(all->view, source, &scratch, &meant, err));
    UNFILLED BlockWalk walk;
    walk.block = block;
    walk.rows = block_rows_open(block, &scratch);
    walk.uses = NULL;
    Texts names = block_names(block);
    if (picks_numbers(all)) {
        walk.uses = arena_push_array_raw(&scratch, uint8_t, names.count + 1);
        for (size_t i = 0; i < names.count; i++)
            walk.uses[i] = picker_use(all->picker, names.at[i]);
    }
    for (size_t i = 0; i < set.count; i++) {
        FoundPlace place = {source, set.at[i]};
        DeletedSpans spans = {0};
        bool left = true;
        Labels labels;
        FoundSources *sources;
        TRY(go_on(all, i, err));
        TRY(block_rows_pairs(walk.rows, set.at[i], walk.pairs, &walk.pair_count, err));
        if (meant.count > 0 && postings_contain(meant, set.at[i]))
            TRY(find_spans(all, &walk, place, &spans, &left, err));
        if (!left) continue;
        if (walk.uses != NULL) {
            TRY(picked_of_block(all, &walk, &labels, err));
        } else {
            TRY(block_pairs_labels(block, walk.pairs, walk.pair_count, all->arena, &labels, err));
        }
        TRY(unite(all, labels, place, &sources, err));
        if (spans.count > 0) add_spans(all, sources, spans);
    }
    return true;
}

static bool select_all(Union *all, Matchers matchers, Error *err) {
    for (uint32_t i = 0; i < all->view->source_count; i++) {
        bool one = all->view->sources[i].head != NULL ? select_head(all, i, matchers, err)
                                                      : select_block(all, i, matchers, err);
        if (!one) return false;
    }
    return true;
}

bool series_select(SeriesView *view, Matchers matchers, size_t series_max, Arena *arena,
                   SeriesFoundList *out, Error *err) {
    AUTO(union_end) Union all = {.view = view, .arena = arena, .series_max = series_max};
    TRY(select_all(&all, matchers, err));
    *out = (SeriesFoundList){all.found.at, all.found.count, false};
    return true;
}

bool series_select_labels(SeriesView *view, Matchers matchers, const SeriesWanted *wanted,
                          Arena *arena, SeriesFoundList *out, Error *err) {
    AUTO(picker_end) LabelPicker picker = picker_begin(wanted, view->hash_key, arena);
    AUTO(union_end)
    Union all = {.view = view, .arena = arena, .series_max = wanted->series_max, .picker = &picker};
    TRY(select_all(&all, matchers, err));
    bool by_bytes = (wanted->some || wanted->without.count > 0) && !picks_numbers(&all);
    for (size_t i = 0; by_bytes && i < all.found.count; i++)
        all.found.at[i].labels = picker_of_bytes(&picker, all.found.at[i].labels);
    *out = (SeriesFoundList){all.found.at, all.found.count, picker.apart};
    return true;
}

// ---- Names and values ----

typedef ARRAY(Text) TextArray;

static int by_text(const void *a, const void *b) {
    return text_compare(*(const Text *)a, *(const Text *)b);
}

// Those of one block are sorted already.
static bool is_rising(const TextArray *texts) {
    for (size_t i = 1; i < texts->count; i++) {
        if (text_compare(texts->at[i - 1], texts->at[i]) >= 0) return false;
    }
    return true;
}

static void sort_unique(TextArray *texts, Texts *out) {
    size_t kept = 0;
    if (!is_rising(texts)) qsort(texts->at, texts->count, sizeof *texts->at, by_text);
    for (size_t i = 0; i < texts->count; i++) {
        if (kept == 0 || !text_equal(texts->at[kept - 1], texts->at[i]))
            texts->at[kept++] = texts->at[i];
    }
    *out = (Texts){texts->at, kept};
}

static void add_texts(TextArray *all, Texts some, Arena *arena) {
    for (size_t i = 0; i < some.count; i++) *array_add_on(arena, all) = some.at[i];
}

// Lists of names and values know nothing of deletes, so where there are some the series are asked.
static bool by_series(const SeriesView *view, Matchers matchers) {
    return matchers.count > 0 || view->deletes.count > 0;
}

// Texts that were met, each once.
typedef struct Met {
    Map seen;
    Arena *arena;
    TextArray *out;
} Met;

static void meet(Met *met, Text text) {
    void **place = map_put(&met->seen, text);
    if (*place != NULL) return;
    *place = met;
    *array_add_on(met->arena, met->out) = text_copy(text, met->arena);
}

// Of the series of a head that match: each pair is looked at once, and no label set is made.
static bool meet_in_head(Met *met, Head *head, Text name, Matchers matchers, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    if (name.at != NULL) {
        bool told;
        Texts values;
        TRY(registry_values_matching(head_postings(head), name, matchers, &scratch, &told, &values,
                                     err));
        for (size_t i = 0; told && i < values.count; i++) meet(met, values.at[i]);
        if (told) return true;
    }
    const Registry *registry = &head->registry;
    PostingSet refs;
    TRY(registry_select(head_postings(head), matchers, &scratch, &refs, err));
    uint32_t most = 0;
    for (size_t i = 0; i < refs.count; i++) {
        const RegistrySeries *series = registry_series(registry, refs.at[i]);
        const uint32_t *ids = registry_ids(registry, series);
        for (unsigned j = 0; j < series->pair_count; j++) most = MAX(most, ids[j]);
    }
    uint8_t *seen = arena_push_array(&scratch, uint8_t, (size_t)most + 1);
    for (size_t i = 0; i < refs.count; i++) {
        const RegistrySeries *series = registry_series(registry, refs.at[i]);
        const uint32_t *ids = registry_ids(registry, series);
        for (unsigned j = 0; j < series->pair_count; j++) {
            if (seen[ids[j]]) continue;
            seen[ids[j]] = 1;
            Label label = registry_label_of(registry_pair(registry, ids[j]));
            if (name.at == NULL) {
                meet(met, label.name);
            } else if (text_equal(label.name, name)) {
                meet(met, label.value);
            }
        }
    }
    return true;
}

// Of those series of a block that match, the ones of which deletes leave something.
static bool select_left(Union *all, uint32_t source, Matchers matchers, Arena *arena,
                        BlockSeriesSet *out, Error *err) {
    UNFILLED BlockWalk walk;
    PostingSet meant;
    walk.block = all->view->sources[source].block;
    TRY(block_select(walk.block, matchers, arena, out, err));
    TRY(meant_by_deletes(all->view, source, arena, &meant, err));
    if (meant.count == 0) return true;
    walk.rows = block_rows_open(walk.block, arena);
    BlockSeriesSet all_of = *out;
    *out = (BlockSeriesSet){arena_push_array_raw(arena, uint32_t, all_of.count + 1), 0};
    for (size_t i = 0; i < all_of.count; i++) {
        uint32_t series = all_of.at[i];
        DeletedSpans spans;
        bool left = true;
        TRY(go_on(all, i, err));
        if (postings_contain(meant, series)) {
            ArenaMark before = arena_mark(all->arena);
            TRY(block_rows_pairs(walk.rows, series, walk.pairs, &walk.pair_count, err));
            TRY(find_spans(all, &walk, (FoundPlace){source, series}, &spans, &left, err));
            arena_reset_to(all->arena, before);
        }
        if (left) out->at[out->count++] = series;
    }
    return true;
}

static bool meet_in_block(Met *met, Union *all, uint32_t source, Text name, Matchers matchers,
                          Error *err) {
    const ViewSource *from = &all->view->sources[source];
    AUTO(arena_free) Arena scratch = {0};
    Texts texts;
    if (name.at != NULL && !from->has_deletes) {
        TRY(block_values_matching(from->block, name, matchers, &scratch, &texts, err));
    } else {
        BlockSeriesSet set;
        TRY(select_left(all, source, matchers, &scratch, &set, err));
        TRY(name.at == NULL ? block_names_of(from->block, &set, &scratch, &texts, err)
                            : block_values_of(from->block, name, &set, &scratch, &texts, err));
    }
    for (size_t i = 0; i < texts.count; i++) meet(met, texts.at[i]);
    return true;
}

// Of the series that match; `name` NULL text: the names, else the values of this name.
static bool collect_matching(SeriesView *view, Text name, Matchers matchers, Arena *arena,
                             TextArray *out, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    Union all = {.view = view, .arena = &scratch};
    Met met = {map_begin(&scratch, view->hash_key), arena, out};
    for (uint32_t i = 0; i < view->source_count; i++) {
        Head *head = view->sources[i].head;
        TRY(head != NULL ? meet_in_head(&met, head, name, matchers, err)
                         : meet_in_block(&met, &all, i, name, matchers, err));
    }
    return true;
}

bool series_label_names(SeriesView *view, Matchers matchers, Arena *arena, Texts *out, Error *err) {
    TextArray all = {0};
    if (by_series(view, matchers)) {
        TRY(collect_matching(view, TEXT_NONE, matchers, arena, &all, err));
    }
    for (size_t i = 0; !by_series(view, matchers) && i < view->source_count; i++) {
        Texts some = {0};
        if (view->sources[i].head != NULL) {
            registry_label_names(&view->sources[i].head->registry, arena, &some);
        } else {
            TRY(block_label_names(view->sources[i].block, arena, &some, err));
        }
        add_texts(&all, some, arena);
    }
    sort_unique(&all, out);
    return true;
}

bool series_label_values(SeriesView *view, Text name, Matchers matchers, Arena *arena, Texts *out,
                         Error *err) {
    TextArray all = {0};
    if (name.at == NULL) name = TEXT("");
    if (by_series(view, matchers)) {
        TRY(collect_matching(view, name, matchers, arena, &all, err));
    }
    for (size_t i = 0; !by_series(view, matchers) && i < view->source_count; i++) {
        Texts some = {0};
        if (view->sources[i].head != NULL) {
            registry_label_values(&view->sources[i].head->registry, name, arena, &some);
        } else {
            TRY(block_label_values(view->sources[i].block, name, arena, &some, err));
        }
        add_texts(&all, some, arena);
    }
    sort_unique(&all, out);
    return true;
}

// ---- Exemplars ----

typedef struct ExemplarSink {
    Arena *arena;
    Labels series;
    ARRAY(SeriesExemplar) out;
    DeletedSpans deleted;  // of this series
    uint32_t source;
} ExemplarSink;

static bool take_exemplar(void *context, int64_t time_ms, double value, Labels labels, Error *err) {
    (void)err;
    ExemplarSink *sink = context;
    if (spans_cover(sink->deleted, sink->source, time_ms)) return true;
    *array_add_on(sink->arena, &sink->out) =
        (SeriesExemplar){sink->series, {bytes_copy(labels.wire, sink->arena)}, value, time_ms};
    return true;
}

static bool exemplars_of_head(SeriesView *view, Head *head, Matchers matchers, ExemplarSink *sink,
                              Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    PostingSet refs;
    TRY(registry_select(head_postings(head), matchers, &scratch, &refs, err));
    HeadExemplarArray some = {0};
    side_exemplars(head, &refs, view->from_ms, view->to_ms, &scratch, &some);
    for (size_t i = 0; i < some.count; i++) {
        sink->series = registry_labels(&head->registry, some.at[i].ref, sink->arena);
        TRY(take_exemplar(sink, some.at[i].time_ms, some.at[i].value, (Labels){some.at[i].labels},
                          err));
    }
    return true;
}

static void cursor_close(BlockCursor **cursor) {
    if (*cursor != NULL) block_cursor_close(cursor);
}

static bool exemplars_of_block(SeriesView *view, const Block *block, Matchers matchers,
                               ExemplarSink *sink, Error *err) {
    if (block_facts(block).exemplars == 0) return true;
    AUTO(arena_free) Arena scratch = {0};
    BlockSeriesSet set;
    TRY(block_select(block, matchers, &scratch, &set, err));
    AUTO(cursor_close) BlockCursor *cursor = block_cursor_open_shared(block);
    for (size_t i = 0; i < set.count; i++) {
        TRY(block_labels(block, set.at[i], sink->arena, &sink->series, err));
        sink->deleted = view_spans(view, sink->source, sink->series, sink->arena);
        TRY(block_each_exemplar(cursor, set.at[i], view->from_ms, view->to_ms, take_exemplar, sink,
                                err));
    }
    return true;
}

static int by_series_and_time(const void *a, const void *b) {
    const SeriesExemplar *first = a, *again = b;
    int order = labels_compare(first->series, again->series);
    if (order != 0) return order;
    return (first->time_ms > again->time_ms) - (first->time_ms < again->time_ms);
}

bool series_exemplars(SeriesView *view, Matchers matchers, Arena *arena, SeriesExemplar **out,
                      size_t *count, Error *err) {
    ExemplarSink sink = {.arena = arena};
    for (size_t i = 0; i < view->source_count; i++) {
        const ViewSource *source = &view->sources[i];
        sink.source = (uint32_t)i;
        sink.deleted = (DeletedSpans){0};
        bool one = source->head != NULL
                       ? exemplars_of_head(view, source->head, matchers, &sink, err)
                       : exemplars_of_block(view, source->block, matchers, &sink, err);
        if (!one) return false;
    }
    SeriesExemplar *all = sink.out.at;
    size_t kept = 0;
    if (sink.out.count > 0) qsort(all, sink.out.count, sizeof *all, by_series_and_time);
    for (size_t i = 0; i < sink.out.count; i++) {  // a replay after a crash may bring one again
        if (kept > 0 && all[kept - 1].time_ms == all[i].time_ms &&
            labels_equal(all[kept - 1].series, all[i].series))
            continue;
        all[kept++] = all[i];
    }
    *out = all;
    *count = kept;
    return true;
}
