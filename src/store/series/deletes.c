// Deletes as such: making, sharing, and taking samples out.

#include "store/series/deletes.h"

#include "base/memory.h"

// ---- Making and sharing ----

static void delete_free(Delete *gone) {
    Matchers matchers = gone->facts.matchers;
    for (size_t i = 0; i < matchers.count; i++) matcher_close(&matchers.at[i]);
    arena_free(&gone->arena);
    memory_free(gone);
}

bool delete_make(const ManifestDelete *facts, Delete **out, Error *err) {
    Delete *made = memory_new(Delete);
    Matchers from = facts->matchers;
    made->facts = *facts;
    made->facts.matchers = (Matchers){arena_push_array(&made->arena, Matcher, from.count + 1), 0};
    for (size_t i = 0; i < from.count; i++) {
        Text name = text_copy(from.at[i].name, &made->arena);
        Text value = text_copy(from.at[i].value, &made->arena);
        Matcher *matcher = &made->facts.matchers.at[i];
        if (!matcher_make(from.at[i].kind, name, value, matcher, err)) {
            delete_free(made);
            return error_context(err, "a matcher of a delete");
        }
        made->facts.matchers.count++;
    }
    atomic_store(&made->refs, 1);
    *out = made;
    return true;
}

Delete *delete_ref(Delete *of) {
    atomic_fetch_add(&of->refs, 1);
    return of;
}

void delete_unref(Delete **of) {
    if (*of == NULL) return;
    Delete *gone = TAKE(*of);
    if (atomic_fetch_sub(&gone->refs, 1) == 1) delete_free(gone);
}

void deletes_free(DeleteArray *deletes) {
    for (size_t i = 0; i < deletes->count; i++) delete_unref(&deletes->at[i]);
    array_free(deletes);
}

// ---- What they mean ----

bool delete_means(const Delete *of, uint64_t number, int64_t min_ms, int64_t max_ms) {
    return number < of->facts.before && of->facts.from_ms <= max_ms && of->facts.to_ms >= min_ms;
}

DeletedSpans deletes_spans(const DeleteArray *deletes, uint32_t source, uint64_t number,
                           int64_t min_ms, int64_t max_ms, Labels labels, Arena *arena) {
    ARRAY(DeletedSpan) spans = {0};
    for (size_t i = 0; i < deletes->count; i++) {
        const Delete *one = deletes->at[i];
        if (!delete_means(one, number, min_ms, max_ms) ||
            !matchers_match(one->facts.matchers, labels))
            continue;
        *array_add_on(arena, &spans) = (DeletedSpan){source, one->facts.from_ms, one->facts.to_ms};
    }
    return (DeletedSpans){spans.at, spans.count};
}

bool spans_cover(DeletedSpans spans, uint32_t source, int64_t time_ms) {
    for (size_t i = 0; i < spans.count; i++) {
        const DeletedSpan *span = &spans.at[i];
        if (span->source == source && span->from_ms <= time_ms && time_ms <= span->to_ms)
            return true;
    }
    return false;
}

void spans_apply(DeletedSpans spans, uint32_t source, SeriesColumns *columns) {
    size_t kept = 0;
    for (size_t i = 0; spans.count > 0 && i < columns->count; i++) {
        if (spans_cover(spans, source, columns->times[i])) continue;
        if (columns->has_starts) columns->starts[kept] = columns->starts[i];
        columns->times[kept] = columns->times[i];
        columns->values[kept++] = columns->values[i];
    }
    if (spans.count > 0) columns->count = kept;
}
