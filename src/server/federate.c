// /federate: the newest sample of every series that match[] selects, as a page that can be scraped.
//
// As in Prometheus: a sample counts when it is no older than the lookback, series that ended
// (stale) are left out, families stand in the order of their names and are untyped. A series gets
// the external labels that it does not have, and without `instance` it says so by an empty one,
// which keeps a scraper with honor_labels from filling it in. Native histograms are whole in
// protobuf; text has their count and sum. Those with custom bounds are classic histograms
// everywhere, as in Prometheus 3: a scraper makes native ones of them again if it is told to.

#include <stdlib.h>

#include "base/limits.h"
#include "base/memory.h"
#include "ingest/scrape/exposition.h"
#include "server/matchers.h"
#include "server/paid_read.h"
#include "server/pieces.h"
#include "server/serve.h"

#define INSTANCE TEXT("instance")

enum {
    LOOKBACK_MS = 300000,
    SERIES_BYTES_MIN = 128,  // what a series takes at the least: labels, place, row of the page
    ROW_BYTES = 64,          // of a row beside its labels
    TICK_SERIES = 256,       // after so many the client's absence is looked at
};

typedef struct Federated {
    Labels labels;
    Text name;
    double value;
    const NativeHistogram *histogram;  // in place of the value; NULL: none
    int64_t time_ms;
} Federated;

typedef struct Federation {
    Production production;  // first, so that one is the other
    PaidRead paid;          // until all rows were found
    Arena arena;
    MatchSets sets;
    SeriesView *view;  // NULL: the tenant never wrote, or all rows were found
    SeriesCursor *cursor;
    SeriesColumns columns;
    int64_t from_ms, to_ms;
    Labels external;  // with an empty `instance` where it has none
    ARRAY(Federated) found;
    // Printing.
    bool protobuf;
    ExpositionFormat format;
    size_t printed;
    const Federated *before;  // the last row that was printed
    Builder wire, family;
} Federation;

// Rows lie on the arena: what they were found in may go.
static void let_go(Federation *federation) {
    series_cursor_close(&federation->cursor);
    series_view_close(&federation->view);
    series_columns_free(&federation->columns);
}

static void federation_free(Production *production) {
    Federation *federation = (Federation *)production;
    let_go(federation);
    match_sets_close(&federation->sets);
    arena_free(&federation->arena);
    paid_read_end(&federation->paid);
    builder_free(&federation->wire);
    builder_free(&federation->family);
    memory_free(federation);
}

static bool charge(Federation *federation, const Request *request, Error *err) {
    int64_t most = atomic_load(&request->server->query_memory_bytes);
    int64_t bytes =
        (int64_t)federation->arena.bytes * 2 + (int64_t)federation->found.count * ROW_BYTES;
    if (most > 0 && bytes > most) {
        return error_set(err, ERROR_TOO_COSTLY,
                         "the page would take more memory than one query may (query.memory, %lld "
                         "bytes); name more labels in match[]",
                         (long long)most);
    }
    Production *production = &federation->production;
    TRY(budget_reserve(production->budget, bytes - production->charged, err));
    production->charged = bytes;
    return true;
}

// The newest native histogram of a series, unless it has ended or contradicts itself, which for
// queries is not there either.
static bool newest_histogram(Federation *federation, const SeriesFound *series, int64_t from_ms,
                             Federated *row, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    SeriesHistogram *all;
    size_t count;
    TRY(series_read_histograms(federation->cursor, series, from_ms, federation->to_ms, &scratch,
                               &all, &count, err));
    if (count == 0) return true;
    NativeHistogram *histogram = arena_push(&federation->arena, NativeHistogram);
    Bytes wire = bytes_copy(all[count - 1].wire, &federation->arena);
    TRY(native_histogram_read(wire, &federation->arena, histogram, err));
    Error ignored;
    bool shown = !is_stale(histogram->sum) && native_histogram_check(histogram, &ignored);
    *row = (Federated){series->labels, row->name, 0, histogram, all[count - 1].time_ms};
    if (!shown) row->name = TEXT_NONE;
    return true;
}

// The newest sample of a series, unless the series has ended.
static bool add_newest(Federation *federation, const SeriesFound *series, Error *err) {
    SeriesColumns *columns = &federation->columns;
    Federated row = {.labels = series->labels, .name = labels_get(series->labels, LABEL_NAME)};
    if (row.name.len == 0) return true;  // a page has no place for it
    TRY(series_read(federation->cursor, series, federation->from_ms, federation->to_ms, columns,
                    err));
    federation->paid.samples += columns->count + columns->histograms;
    int64_t after_ms = federation->from_ms;
    bool shown = columns->count > 0;
    if (shown) {
        row.value = columns->values[columns->count - 1];
        row.time_ms = columns->times[columns->count - 1];
        after_ms = row.time_ms + 1;
        shown = !is_stale(row.value);
    }
    if (columns->histograms > 0 && after_ms <= federation->to_ms) {
        TRY(newest_histogram(federation, series, after_ms, &row, err));
        if (row.histogram != NULL) shown = row.name.len > 0;
    }
    if (shown) *array_add_on(&federation->arena, &federation->found) = row;
    return true;
}

static bool add_selected(Federation *federation, Request *request, Matchers matchers, Error *err) {
    size_t series_max =
        (size_t)(atomic_load(&request->server->query_memory_bytes) / SERIES_BYTES_MIN);
    SeriesFoundList found;
    TRY(series_select(federation->view, matchers, series_max, &federation->arena, &found, err));
    TRY(charge(federation, request, err));
    for (size_t i = 0; i < found.count; i++) {
        TRY(add_newest(federation, &found.at[i], err));
        if (i % TICK_SERIES == 0) TRY(paid_read_go_on(&federation->paid, err));
    }
    return charge(federation, request, err);
}

static MetadataType type_of(const Federated *row) {
    if (row->histogram == NULL) return METADATA_UNKNOWN;
    return row->histogram->reset_hint == HISTOGRAM_RESET_GAUGE ? METADATA_GAUGE_HISTOGRAM
                                                               : METADATA_HISTOGRAM;
}

// A name that is a histogram here and a number there has a family for each.
static bool same_family(const Federated *a, const Federated *b) {
    return text_equal(a->name, b->name) && type_of(a) == type_of(b);
}

static int by_family_and_labels(const void *a, const void *b) {
    const Federated *first = a, *again = b;
    int order = text_compare(first->name, again->name);
    if (order != 0) return order;
    if (type_of(first) != type_of(again)) return type_of(first) < type_of(again) ? -1 : 1;
    return labels_compare(first->labels, again->labels);
}

// `labels`, and behind them those of the server that they do not have themselves.
static Labels with_external(Labels labels, Labels external, Builder *wire) {
    builder_clear(wire);
    builder_add(wire, bytes_text(labels.wire));
    Label label;
    for (Bytes rest = external.wire; labels_next(&rest, &label);) {
        if (labels_get(labels, label.name).at == NULL) labels_append(wire, label.name, label.value);
    }
    return (Labels){text_bytes(builder_text(wire))};
}

// In the order of their names, an empty `instance` among them: no label set in itself.
static bool read_external(Federation *federation, const Request *request, Error *err) {
    AUTO(builder_free) Builder wire = {0};
    Labels given;
    TRY(request_external_labels(request, &federation->arena, &given, err));
    bool has_instance = labels_get(given, INSTANCE).at != NULL;
    Label label;
    for (Bytes rest = given.wire; labels_next(&rest, &label);) {
        if (!has_instance && text_compare(label.name, INSTANCE) > 0) {
            labels_append(&wire, INSTANCE, TEXT(""));
            has_instance = true;
        }
        labels_append(&wire, label.name, label.value);
    }
    if (!has_instance) labels_append(&wire, INSTANCE, TEXT(""));
    federation->external =
        (Labels){bytes_copy(text_bytes(builder_text(&wire)), &federation->arena)};
    return true;
}

// One part of a histogram in text, which knows classic ones only. `le` may be empty.
static void print_part(ExpositionPrinter page, const Federated *row, Labels labels, Text suffix,
                       Text le, double value) {
    AUTO(builder_free) Builder wire = {0};
    AUTO(builder_free) Builder name = {0};
    Label label;
    builder_addf(&name, "%.*s%.*s", TEXT_ARG(row->name), TEXT_ARG(suffix));
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) {
        bool is_name = text_equal(label.name, LABEL_NAME);
        labels_append(&wire, label.name, is_name ? builder_text(&name) : label.value);
    }
    if (le.len > 0) labels_append(&wire, TEXT("le"), le);
    exposition_print_series(page, (Labels){text_bytes(builder_text(&wire))}, value, &row->time_ms,
                            NULL);
}

static void print_custom_buckets(ExpositionPrinter page, const Federated *row, Labels labels) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder le = {0};
    const NativeHistogram *histogram = row->histogram;
    const ClassicBucket *buckets = native_histogram_classic(histogram, &arena);
    for (size_t i = 0; i < histogram->custom_bound_count; i++) {
        builder_clear(&le);
        exposition_print_bound(page.format, buckets[i].bound, &le);
        print_part(page, row, labels, TEXT("_bucket"), builder_text(&le),
                   histogram->is_float ? buckets[i].count_float : (double)buckets[i].count);
    }
}

static void print_row(ExpositionPrinter page, const Federated *row, Labels labels) {
    const NativeHistogram *histogram = row->histogram;
    if (histogram == NULL) {
        exposition_print_series(page, labels, row->value, &row->time_ms, NULL);
        return;
    }
    double count = histogram->is_float ? histogram->count_float : (double)histogram->count;
    if (histogram->schema == HISTOGRAM_SCHEMA_CUSTOM) print_custom_buckets(page, row, labels);
    print_part(page, row, labels, TEXT("_bucket"), TEXT("+Inf"), count);
    print_part(page, row, labels, TEXT("_sum"), TEXT_NONE, histogram->sum);
    print_part(page, row, labels, TEXT("_count"), TEXT_NONE, count);
}

// Rows until the page is so long. Two selectors may find one series.
static const Federated *next_row(Federation *federation, const Builder *page, size_t most) {
    while (federation->printed < federation->found.count && page->len < most) {
        const Federated *row = &federation->found.at[federation->printed++];
        const Federated *before = federation->before;
        if (before == NULL || !labels_equal(before->labels, row->labels)) return row;
    }
    return NULL;
}

static void print_text(Federation *federation, size_t most, Builder *out) {
    ExpositionPrinter page = {federation->format, out};
    for (const Federated *row; (row = next_row(federation, out, most)) != NULL;) {
        if (federation->before == NULL || !same_family(federation->before, row))
            exposition_print_type(page, row->name, type_of(row));
        print_row(page, row, with_external(row->labels, federation->external, &federation->wire));
        federation->before = row;
    }
}

// A family is one message, which begins with its length: it is held until its last row.
static void print_protobuf(Federation *federation, size_t most, Builder *out) {
    Builder *family = &federation->family;
    for (const Federated *row; (row = next_row(federation, out, most)) != NULL;) {
        const Federated *before = federation->before;
        if (before == NULL || !same_family(before, row)) {
            if (before != NULL) exposition_family_end(family, out);
            exposition_family_begin(family, row->name, type_of(row));
        }
        Labels labels = with_external(row->labels, federation->external, &federation->wire);
        exposition_family_metric(family, labels, row->value, row->histogram, row->time_ms);
        federation->before = row;
    }
}

static bool federation_next(Production *production, Builder *out, bool *done, Error *err) {
    Federation *federation = (Federation *)production;
    size_t most = out->len + PIECE_BYTES;
    (federation->protobuf ? print_protobuf : print_text)(federation, most, out);
    *done = federation->printed == federation->found.count;
    if (!*done) return true;
    if (!federation->protobuf) {
        exposition_print_end((ExpositionPrinter){federation->format, out});
    } else if (federation->before != NULL) {
        exposition_family_end(&federation->family, out);
    }
    return true;
}

static bool find_rows(Federation *federation, Request *request, Error *err) {
    Tenant *tenant;
    TRY(request_tenant(request, false, &tenant, err));
    if (tenant == NULL || federation->sets.count == 0) return true;
    TRY(series_view_open(tenant->series, federation->from_ms, federation->to_ms, &federation->view,
                         err));
    series_view_meter(federation->view, &federation->paid.meter);
    federation->cursor = series_cursor_open(federation->view);
    for (size_t i = 0; i < federation->sets.count; i++)
        TRY(add_selected(federation, request, match_set_matchers(&federation->sets, i), err));
    let_go(federation);
    paid_read_end(&federation->paid);
    if (federation->found.count > 1)
        qsort(federation->found.at, federation->found.count, sizeof *federation->found.at,
              by_family_and_labels);
    return true;
}

bool serve_federate(Request *request, Error *err) {
    Server *server = request->server;
    Clock *clock = server->options.clock;
    int64_t lookback_ms = atomic_load(&server->query_lookback_ms);
    Federation *federation = memory_new(Federation);
    AUTO(production_free) Production *production = &federation->production;
    *production = (Production){.next = federation_next, .free = federation_free};
    TRY(paid_read_begin(request, &federation->paid, err));
    production->budget = paid_read_budget(&federation->paid);
    federation->to_ms = clock->wall_ms(clock);
    federation->from_ms = federation->to_ms - (lookback_ms > 0 ? lookback_ms : LOOKBACK_MS);
    TRY(match_sets_read(request, false, &federation->arena, &federation->sets, err));
    TRY(read_external(federation, request, err));
    TRY(find_rows(federation, request, err));
    Text accept = http_header(request->exchange, TEXT("Accept"));
    federation->protobuf = exposition_wants_protobuf(accept);
    federation->format = exposition_accept(accept);
    request->content_type =
        exposition_content_type(federation->protobuf ? EXPOSITION_PROTOBUF : federation->format);
    return request_produce(request, TAKE(production), err);
}
