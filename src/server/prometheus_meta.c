// What series there are: /series, /labels, /label/{name}/values, /metadata.

#include "base/memory.h"
#include "server/matchers.h"
#include "server/paid_read.h"
#include "server/pieces.h"
#include "server/serve.h"

#define LIMIT_WARNING TEXT("results truncated due to limit")

typedef ARRAY(Labels) LabelsArray;

// What the three have in common: the selectors, the tenant's series over the span that was asked
// for, and the list that was found, which is written from there.
typedef struct Lookup {
    Production production;  // first, so that one is the other
    PaidRead paid;          // until the list is found
    Arena arena;
    MatchSets sets;
    SeriesView *view;  // NULL: the tenant never wrote, or it is not needed any more
    uint64_t limit;
    int64_t memory_max;  // of one query
    LabelsArray series;  // one of the two is the list
    Texts texts;
    Texts warnings;
    size_t count, written;
    JsonWriter writer;
} Lookup;

static void lookup_free(Production *production) {
    Lookup *lookup = (Lookup *)production;
    series_view_close(&lookup->view);
    match_sets_close(&lookup->sets);
    arena_free(&lookup->arena);
    paid_read_end(&lookup->paid);
    memory_free(lookup);
}

// A long answer: its reader may be slow, and what a view shows cannot go while it is open.
static void lookup_let_go(Lookup *lookup) {
    if (lookup->view == NULL) return;
    if (lookup->texts.count > 0) {
        Text *own = arena_push_array(&lookup->arena, Text, lookup->count);
        for (size_t i = lookup->written; i < lookup->count; i++)
            own[i] = text_copy(lookup->texts.at[i], &lookup->arena);
        lookup->texts.at = own;
    }
    series_view_close(&lookup->view);
}

static bool lookup_next(Production *production, Builder *out, bool *done, Error *err) {
    Lookup *lookup = (Lookup *)production;
    size_t most = out->len + PIECE_BYTES;
    if (lookup->written == 0) {
        lookup->writer = envelope_begin_on(out);
        json_array_begin(&lookup->writer);
    } else {
        lookup_let_go(lookup);
    }
    JsonWriter *writer = &lookup->writer;
    writer->out = out;
    for (; lookup->written < lookup->count; lookup->written++) {
        if (out->len >= most) return true;
        if (lookup->texts.count > 0) {
            json_text(writer, lookup->texts.at[lookup->written]);
        } else {
            labels_write_json(lookup->series.at[lookup->written], writer);
        }
    }
    json_array_end(writer);
    envelope_end(writer, lookup->warnings, (Texts){0});
    *done = true;
    return true;
}

// The lists found so far, and as much again for copies, count as memory of a query.
static bool lookup_charge(Lookup *lookup, Error *err) {
    int64_t bytes = (int64_t)lookup->arena.bytes * 2;
    if (lookup->memory_max > 0 && bytes > lookup->memory_max) {
        return error_set(err, ERROR_TOO_COSTLY,
                         "the list would take more memory than one query may (query.memory, %lld "
                         "bytes); name more labels",
                         (long long)lookup->memory_max);
    }
    TRY(budget_reserve(lookup->production.budget, bytes - lookup->production.charged, err));
    lookup->production.charged = bytes;
    return true;
}

static Lookup *lookup_new(void) {
    Lookup *lookup = memory_new(Lookup);
    lookup->production = (Production){.next = lookup_next, .free = lookup_free};
    return lookup;
}

static bool lookup_begin(Request *request, bool needs_match, Lookup *lookup, Error *err) {
    int64_t from_ms, to_ms;
    TRY(paid_read_begin(request, &lookup->paid, err));
    lookup->production.budget = paid_read_budget(&lookup->paid);
    lookup->memory_max = atomic_load(&request->server->query_memory_bytes);
    TRY(param_limit(request, TEXT("limit"), &lookup->limit, err));
    TRY(param_span(request, &from_ms, &to_ms, err));
    TRY(match_sets_read(request, needs_match, &lookup->arena, &lookup->sets, err));
    Tenant *tenant;
    TRY(request_tenant(request, false, &tenant, err));
    if (tenant == NULL) return true;
    TRY(series_view_open(tenant->series, from_ms, to_ms, &lookup->view, err));
    series_view_meter(lookup->view, &lookup->paid.meter);
    return true;
}

// A list of `count` is found: cuts it to the limit, and tells of it and of what could not be read.
static void lookup_found(Lookup *lookup, size_t count) {
    Texts warnings = lookup->view == NULL ? (Texts){0} : series_view_warnings(lookup->view);
    bool too_many = lookup->limit > 0 && count > lookup->limit;
    Text *all = arena_push_array(&lookup->arena, Text, warnings.count + 1);
    for (size_t i = 0; i < warnings.count; i++) all[i] = text_copy(warnings.at[i], &lookup->arena);
    if (too_many) all[warnings.count] = LIMIT_WARNING;
    lookup->warnings = (Texts){all, warnings.count + too_many};
    lookup->count = too_many ? (size_t)lookup->limit : count;
    paid_read_end(&lookup->paid);
}

// ---- Series ----

// What a series takes at the least while it is listed: its labels, twice, and where it was found.
enum { SERIES_BYTES_MIN = 128 };

// Sorted, each once.
static bool find_series(Lookup *lookup, LabelsArray *out, Error *err) {
    size_t series_max = (size_t)(lookup->memory_max / SERIES_BYTES_MIN);
    AUTO(arena_free) Arena scratch = {0};
    LabelsArray all = {0};
    for (size_t i = 0; i < lookup->sets.count; i++) {
        SeriesFoundList found;
        TRY(series_select(lookup->view, match_set_matchers(&lookup->sets, i), series_max,
                          &lookup->arena, &found, err));
        TRY(lookup_charge(lookup, err));
        for (size_t j = 0; j < found.count; j++) *array_add_on(&scratch, &all) = found.at[j].labels;
        TRY(paid_read_go_on(&lookup->paid, err));
    }
    uint32_t *order = labels_order(all.at, sizeof *all.at, all.count, &scratch);
    out->at = arena_push_array_raw(&lookup->arena, Labels, all.count);
    for (size_t i = 0; i < all.count; i++) {
        Labels labels = all.at[order[i]];
        if (i == 0 || !labels_equal(all.at[order[i - 1]], labels)) out->at[out->count++] = labels;
    }
    return true;
}

bool serve_series(Request *request, Error *err) {
    Lookup *lookup = lookup_new();
    AUTO(production_free) Production *production = &lookup->production;
    TRY(lookup_begin(request, true, lookup, err));
    if (lookup->view != NULL) TRY(find_series(lookup, &lookup->series, err));
    lookup_found(lookup, lookup->series.count);
    return request_produce(request, TAKE(production), err);
}

// ---- Names and values ----

static int by_text(const void *a, const void *b) {
    return text_compare(*(const Text *)a, *(const Text *)b);
}

// Of one selector; a label's values, or the names of labels when `name` has no bytes.
static bool find_texts(Lookup *lookup, Text name, Matchers matchers, Texts *out, Error *err) {
    if (name.len > 0)
        return series_label_values(lookup->view, name, matchers, &lookup->arena, out, err);
    return series_label_names(lookup->view, matchers, &lookup->arena, out, err);
}

// Of all selectors together: sorted, each once.
static bool find_all_texts(Lookup *lookup, Text name, Texts *out, Error *err) {
    if (lookup->sets.count == 0) return find_texts(lookup, name, (Matchers){0}, out, err);
    if (lookup->sets.count == 1)
        return find_texts(lookup, name, match_set_matchers(&lookup->sets, 0), out, err);
    ARRAY(Text) all = {0};
    for (size_t i = 0; i < lookup->sets.count; i++) {
        Texts found;
        TRY(find_texts(lookup, name, match_set_matchers(&lookup->sets, i), &found, err));
        TRY(lookup_charge(lookup, err));
        for (size_t j = 0; j < found.count; j++) *array_add_on(&lookup->arena, &all) = found.at[j];
    }
    if (all.count > 1) qsort(all.at, all.count, sizeof *all.at, by_text);
    size_t kept = 0;
    for (size_t i = 0; i < all.count; i++) {
        if (kept == 0 || !text_equal(all.at[kept - 1], all.at[i])) all.at[kept++] = all.at[i];
    }
    *out = (Texts){all.at, kept};
    return true;
}

static bool answer_texts(Request *request, Text name, Error *err) {
    Lookup *lookup = lookup_new();
    AUTO(production_free) Production *production = &lookup->production;
    TRY(lookup_begin(request, false, lookup, err));
    if (lookup->view != NULL) TRY(find_all_texts(lookup, name, &lookup->texts, err));
    TRY(lookup_charge(lookup, err));
    lookup_found(lookup, lookup->texts.count);
    return request_produce(request, TAKE(production), err);
}

bool serve_labels(Request *request, Error *err) {
    return answer_texts(request, TEXT_NONE, err);
}

bool serve_label_values(Request *request, Error *err) {
    Text name = label_name_unescape(request->name, request->exchange->arena);
    if (name.len == 0 || !text_is_utf8(name)) {
        return error_set(err, ERROR_BAD_INPUT, "invalid label name: \"%.*s\"",
                         TEXT_ARG(request->name));
    }
    return answer_texts(request, name, err);
}

// ---- Metadata ----

static void write_metadata(JsonWriter *writer, const BatchMetadata *metadata) {
    json_object_begin(writer);
    json_key(writer, TEXT("type"));
    json_text(writer, metadata_type_name(metadata->type));
    json_key(writer, TEXT("help"));
    json_text(writer, metadata->help);
    json_key(writer, TEXT("unit"));
    json_text(writer, metadata->unit);
    json_object_end(writer);
}

// Here, unlike elsewhere, Prometheus takes a limit of 0 at its word, and a negative one for none.
static bool metadata_limit(const Request *request, Text name, int64_t *out, Error *err) {
    Text text = param_text(request, name);
    *out = -1;
    if (text.len == 0 || text_to_i64(text, out)) return true;
    return error_set(err, ERROR_BAD_INPUT, "%.*s must be a number", TEXT_ARG(name));
}

bool serve_metadata(Request *request, Error *err) {
    int64_t limit, per_metric;
    TRY(metadata_limit(request, TEXT("limit"), &limit, err));
    TRY(metadata_limit(request, TEXT("limit_per_metric"), &per_metric, err));
    Tenant *tenant;
    TRY(request_tenant(request, false, &tenant, err));
    AUTO(arena_free) Arena arena = {0};
    BatchMetadata *found = NULL;
    size_t count = 0;
    if (tenant != NULL)
        TRY(series_metadata(tenant->series, param_text(request, TEXT("metric")), &arena, &found,
                            &count, err));

    JsonWriter writer = envelope_begin(request);
    json_object_begin(&writer);
    int64_t written = 0;
    for (size_t i = 0; i < count && (limit < 0 || written < limit); written++) {
        Text family = found[i].family;
        json_key(&writer, family);
        json_array_begin(&writer);
        int64_t entries = 0;
        for (; i < count && text_equal(found[i].family, family); i++) {
            if (per_metric <= 0 || entries++ < per_metric) write_metadata(&writer, &found[i]);
        }
        json_array_end(&writer);
    }
    json_object_end(&writer);
    envelope_end(&writer, (Texts){0}, (Texts){0});
    return true;
}
