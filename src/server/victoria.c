// VictoriaMetrics' ways in and out: /api/v1/import and /api/v1/export with lines of JSON,
// /api/v1/import/prometheus with text. A body is stored whole or, when a line of it is not
// understood, not at all.

#include <stdio.h>

#include "base/limits.h"
#include "base/memory.h"
#include "ingest/backfill/json_lines.h"
#include "ingest/scrape/exposition.h"
#include "server/matchers.h"
#include "server/paid_read.h"
#include "server/pieces.h"
#include "server/serve.h"
#include "server/writer.h"

// ---- In ----

bool check_import(Request *request, Error *err) {
    return writer_check_coding(request, err);
}

// What reading a body needs beside its rows.
typedef struct Reading {
    JsonLine line;
    Exposition page;
    Arena arena;
} Reading;

static void reading_end(Reading *reading) {
    json_line_free(&reading->line);
    exposition_free(&reading->page);
    arena_free(&reading->arena);
}

static bool rows_of_lines(Reading *reading, Text body, int64_t now_ms, WriteBody *rows,
                          Error *err) {
    (void)now_ms;
    Text text;
    for (size_t number = 1; text_cut(&body, '\n', &text); number++) {
        text = text_trim(text);
        if (text.len == 0) continue;
        if (!json_line_read(text, &reading->line, err))
            return error_context(err, "line %zu", number);
        write_body_begin(rows, reading->line.labels);
        for (size_t i = 0; i < reading->line.samples.count; i++)
            write_body_sample(rows, reading->line.samples.at[i].time_ms,
                              reading->line.samples.at[i].value);
        for (size_t i = 0; i < reading->line.histograms.count; i++)
            write_body_histogram(rows, &reading->line.histograms.at[i]);
        write_body_end(rows);
        TRY(write_body_fits(rows, err));
    }
    return true;
}

// Prometheus' text, its times in milliseconds; without one it is now.
static bool rows_of_text(Reading *reading, Text body, int64_t now_ms, WriteBody *rows, Error *err) {
    exposition_begin(&reading->page, exposition_guess(body),
                     (ExpositionOptions){.generous = true, .bounds_as_written = true}, body);
    ExpositionRow row;
    for (;;) {
        TRY(exposition_next(&reading->page, TEXT_NONE, &row, err));
        if (row.kind == EXPOSITION_END) return true;
        if (row.kind != EXPOSITION_SERIES) continue;
        arena_clear(&reading->arena);
        Labels labels;
        TRY(exposition_labels(&reading->page, &row, &reading->arena, &labels, err));
        write_body_add(rows, labels, row.has_time ? row.time_ms : now_ms, row.value);
        TRY(write_body_fits(rows, err));
    }
}

typedef bool (*ReadRows)(Reading *reading, Text body, int64_t now_ms, WriteBody *rows, Error *err);

static bool import_rows(Request *request, ReadRows read_rows, Text protocol, Error *err) {
    Server *server = request->server;
    Writer *writer = writer_of(request);
    int64_t now_ms = server->options.clock->wall_ms(server->options.clock);
    AUTO(reading_end) Reading reading = {0};
    Bytes body;
    Tenant *tenant;
    bool done =
        writer_body(request, writer, &body, err) &&
        read_rows(&reading, bytes_text(body), now_ms, &writer->rows, err) &&
        writer_tenant(request, writer, &tenant, err) &&
        ingest_samples(server->options.store, tenant, writer_sender(writer, &server->options),
                       &writer->rows, now_ms, &request->outcome, err);
    writer_let_go(writer);
    return writer_finish(request, protocol, done, NULL, writer_answer, err);
}

bool serve_import(Request *request, Error *err) {
    return import_rows(request, rows_of_lines, TEXT("JSON lines"), err);
}

bool serve_import_prometheus(Request *request, Error *err) {
    return import_rows(request, rows_of_text, TEXT("Prometheus text"), err);
}

// ---- Out ----

// A view shows what may not go while it is open, and a reader may be slow: after so long it is
// opened anew, and what matches is found again.
enum { VIEW_AGE_MS = 5000 };

// A series that has more is told in several lines, so that none is much longer than a piece.
enum { LINE_SAMPLES_MAX = 8192, LINE_HISTOGRAMS_MAX = 1024 };

typedef struct Export {
    Production production;  // first, so that one is the other
    PaidRead paid;          // for the work alone, not for waiting
    Request *request;
    Arena arena;     // of the selectors
    Arena selected;  // of the series that were found
    MatchSets sets;
    SeriesStore *store;  // NULL: the tenant never wrote
    SeriesView *view;
    int64_t opened_ms;
    SeriesCursor *cursor;
    ARRAY(SeriesFound) found;
    size_t at;              // the next one
    Builder last;           // labels of the one before it, …
    SeriesColumns columns;  // … its samples, …
    size_t sample;
    ARRAY(Sample) line;
    Arena histograms_arena;  // … and its native histograms
    SeriesHistogram *histograms;
    size_t histogram, histogram_count;
    int64_t from_ms, to_ms;
    bool with_histograms;
    uint64_t left_out;         // histograms
    int64_t bytes, bytes_max;  // of the answer; 0: no end
} Export;

static void close_view(Export *export) {
    series_cursor_close(&export->cursor);
    series_view_close(&export->view);
    array_clear(&export->found);
    arena_free(&export->selected);
}

static void export_free(Production *production) {
    Export *export = (Export *)production;
    close_view(export);
    series_columns_free(&export->columns);
    match_sets_close(&export->sets);
    array_free(&export->line);
    array_free(&export->found);
    builder_free(&export->last);
    arena_free(&export->arena);
    arena_free(&export->histograms_arena);
    paid_read_end(&export->paid);
    memory_free(export);
}

static int by_labels(const void *a, const void *b) {
    return labels_compare(((const SeriesFound *)a)->labels, ((const SeriesFound *)b)->labels);
}

enum { SERIES_BYTES_MIN = 128 };  // what a series takes at the least while it is listed

// All that match, sorted, each once.
static bool find_series(Export *export, Error *err) {
    int64_t most = atomic_load(&export->request->server->query_memory_bytes);
    size_t series_max = (size_t)(most / SERIES_BYTES_MIN);
    for (size_t i = 0; i < export->sets.count; i++) {
        SeriesFoundList found;
        TRY(series_select(export->view, match_set_matchers(&export->sets, i), series_max,
                          &export->selected, &found, err));
        array_add_many(&export->found, found.at, found.count);
        TRY(paid_read_go_on(&export->paid, err));
    }
    if (export->found.count > 1)
        qsort(export->found.at, export->found.count, sizeof *export->found.at, by_labels);
    size_t kept = 0;
    for (size_t i = 0; i < export->found.count; i++) {
        if (kept > 0 && labels_equal(export->found.at[kept - 1].labels, export->found.at[i].labels))
            continue;
        export->found.at[kept++] = export->found.at[i];
    }
    export->found.count = kept;
    return true;
}

// What is held counts as memory of queries.
static bool charge(Export *export, const Builder *out, Error *err) {
    Production *production = &export->production;
    int64_t bytes =
        (int64_t)(export->arena.bytes + export->selected.bytes + export->histograms_arena.bytes +
                  export->columns.capacity * sizeof(Sample) + (out == NULL ? 0 : out->capacity));
    if (bytes <= production->charged) return true;
    TRY(budget_reserve(production->budget, bytes - production->charged, err));
    production->charged = bytes;
    return true;
}

static int64_t now_ms(const Export *export) {
    Clock *clock = export->request->server->options.clock;
    return clock->monotonic_ns(clock) / 1000000;
}

static bool open_view(Export *export, Error *err) {
    TRY(series_view_open(export->store, export->from_ms, export->to_ms, &export->view, err));
    // A stream of lines has no room for warnings: what cannot be read is an error.
    Texts warnings = series_view_warnings(export->view);
    if (warnings.count > 0) return error_set(err, ERROR_CORRUPT, "%.*s", TEXT_ARG(warnings.at[0]));
    series_view_meter(export->view, &export->paid.meter);
    export->opened_ms = now_ms(export);
    TRY(find_series(export, err));
    export->cursor = series_cursor_open(export->view);
    // Behind what was written already.
    Labels last = {text_bytes(builder_text(&export->last))};
    for (export->at = 0; last.wire.len > 0 && export->at < export->found.count; export->at++)
        if (labels_compare(export->found.at[export->at].labels, last) > 0) break;
    return charge(export, NULL, err);
}

static bool read_next(Export *export, Error *err) {
    const SeriesFound *series = &export->found.at[export->at++];
    SeriesColumns *columns = &export->columns;
    builder_clear(&export->last);
    builder_add(&export->last, bytes_text(series->labels.wire));
    export->sample = columns->count = columns->histograms = 0;
    export->histogram = export->histogram_count = 0;
    TRY(series_read(export->cursor, series, export->from_ms, export->to_ms, columns, err));
    export->paid.samples += columns->count + columns->histograms;
    if (columns->histograms > 0) {
        arena_clear(&export->histograms_arena);
        TRY(series_read_histograms(export->cursor, series, export->from_ms, export->to_ms,
                                   &export->histograms_arena, &export->histograms,
                                   &export->histogram_count, err));
        if (!export->with_histograms) {
            export->left_out += export->histogram_count;
            export->histogram_count = 0;
        }
    }
    return paid_read_go_on(&export->paid, err);
}

static Labels last_labels(const Export *export) {
    return (Labels){text_bytes(builder_text(&export->last))};
}

static void write_samples(Export *export, Builder *out) {
    const SeriesColumns *columns = &export->columns;
    array_clear(&export->line);
    for (; export->line.count < LINE_SAMPLES_MAX && export->sample < columns->count;
         export->sample++) {
        *array_add(&export->line) =
            (Sample){columns->times[export->sample], columns->values[export->sample]};
    }
    json_line_write(last_labels(export), (Samples){export->line.at, export->line.count}, out);
}

// What contradicts itself is left out: no import would take it.
static bool add_histogram(const SeriesHistogram *stored, Arena *arena, NativeHistogram *out) {
    Error ignored;
    if (!native_histogram_read(stored->wire, arena, out, &ignored)) return false;
    out->time_ms = stored->time_ms;
    return is_stale(out->sum) || native_histogram_check(out, &ignored);
}

static void write_histograms(Export *export, Builder *out) {
    AUTO(arena_free) Arena arena = {0};
    NativeHistogram *some = arena_push_array(&arena, NativeHistogram, LINE_HISTOGRAMS_MAX);
    size_t kept = 0;
    for (; kept < LINE_HISTOGRAMS_MAX && export->histogram < export->histogram_count;
         export->histogram++) {
        bool good = add_histogram(&export->histograms[export->histogram], &arena, &some[kept]);
        kept += good;
        export->left_out += !good;
    }
    if (kept > 0) json_line_write_histograms(last_labels(export), some, kept, out);
}

static bool write_line(Export *export, Builder *out, Error *err) {
    size_t before = out->len;
    if (export->sample < export->columns.count) {
        write_samples(export, out);
    } else {
        write_histograms(export, out);
    }
    export->bytes += (int64_t)(out->len - before);
    if (export->bytes_max > 0 && export->bytes > export->bytes_max)
        return error_set(err, ERROR_TOO_COSTLY,
                         "the answer passes max_bytes (%lld); ask for less time or fewer series",
                         (long long)export->bytes_max);
    return charge(export, export->bytes_max > 0 ? out : NULL, err);
}

// Nothing of the series that was read last is left to write.
static bool is_between(const Export *export) {
    return export->sample == export->columns.count && export->histogram == export->histogram_count;
}

static bool export_some(Export *export, Builder *out, bool *done, Error *err) {
    bool is_old = export->view != NULL && now_ms(export) >= export->opened_ms + VIEW_AGE_MS;
    if (is_old && is_between(export)) close_view(export);
    if (export->view == NULL) TRY(open_view(export, err));
    for (size_t most = out->len + PIECE_BYTES; out->len < most && !*done;) {
        if (!is_between(export)) {
            TRY(write_line(export, out, err));
        } else if (export->at < export->found.count) {
            TRY(read_next(export, err));
        } else {
            *done = true;
        }
    }
    return true;
}

static bool export_next(Production *production, Builder *out, bool *done, Error *err) {
    Export *export = (Export *)production;
    *done = export->store == NULL;
    if (*done) return true;
    paid_read_again(&export->paid);
    TRY(export_some(export, out, done, err));
    paid_read_rest(&export->paid);
    if (*done && export->left_out > 0)
        snprintf(production->trailer, sizeof production->trailer, "%llu native histograms",
                 (unsigned long long)export->left_out);
    return true;
}

// An answer of at most so many bytes, or an error: whoever asks so has it whole or not at all.
static bool read_bytes_max(const Request *request, Export *export, Error *err) {
    Text text = param_text(request, TEXT("max_bytes"));
    if (text.len == 0) return true;
    if (!text_to_i64(text, &export->bytes_max) || export->bytes_max <= 0 ||
        export->bytes_max > LIMIT_EXPORT_BYTES) {
        return error_set(err, ERROR_BAD_INPUT,
                         "invalid parameter \"max_bytes\": a number of bytes from 1 to %lld "
                         "(EXPORT_BYTES)",
                         (long long)LIMIT_EXPORT_BYTES);
    }
    export->production.whole_max = SIZE_MAX;
    return true;
}

bool serve_export(Request *request, Error *err) {
    Export *export = memory_new(Export);
    AUTO(production_free) Production *production = &export->production;
    *production = (Production){
        .next = export_next, .free = export_free, .trailer_name = TEXT("x-traceo-left-out")};
    export->request = request;
    TRY(paid_read_begin(request, &export->paid, err));
    production->budget = paid_read_budget(&export->paid);
    export->with_histograms = text_equal(param_text(request, TEXT("histograms")), TEXT("1"));
    TRY(read_bytes_max(request, export, err));
    TRY(param_span(request, &export->from_ms, &export->to_ms, err));
    TRY(match_sets_read(request, true, &export->arena, &export->sets, err));
    Tenant *tenant;
    TRY(request_tenant(request, false, &tenant, err));
    request->content_type = TEXT("application/stream+json");
    export->store = tenant == NULL ? NULL : tenant->series;
    return request_produce(request, TAKE(production), err);
}
