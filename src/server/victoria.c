// VictoriaMetrics' ways in and out: /api/v1/import and /api/v1/export with lines of JSON,
// /api/v1/import/prometheus with text. A body is stored whole or, when a line of it is not
// understood, not at all.

#include "base/limits.h"
#include "ingest/backfill/json_lines.h"
#include "ingest/scrape/exposition.h"
#include "server/matchers.h"
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
    bool done = writer_body(request, writer, &body, err) &&
                read_rows(&reading, bytes_text(body), now_ms, &writer->rows, err) &&
                writer_tenant(request, writer, &tenant, err) &&
                ingest_samples(server->options.store, tenant, writer_sender(writer), &writer->rows,
                               now_ms, &request->outcome, err);
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

typedef struct Export {
    Arena arena;
    MatchSets sets;
    SeriesView *view;  // NULL: the tenant never wrote
    SeriesCursor *cursor;
    SeriesColumns columns;
    ARRAY(Sample) samples;
    ARRAY(SeriesFound) found;
    int64_t from_ms, to_ms;
    bool with_histograms;
    uint64_t left_out;  // histograms
    Budget *budget;
    int64_t charged;
} Export;

static void export_end(Export *export) {
    series_cursor_close(&export->cursor);
    series_view_close(&export->view);
    series_columns_free(&export->columns);
    match_sets_close(&export->sets);
    array_free(&export->samples);
    array_free(&export->found);
    arena_free(&export->arena);
    if (export->charged > 0) budget_release(export->budget, export->charged);
}

static int by_labels(const void *a, const void *b) {
    return labels_compare(((const SeriesFound *)a)->labels, ((const SeriesFound *)b)->labels);
}

enum { SERIES_BYTES_MIN = 128 };  // what a series takes at the least while it is listed

// All that match, sorted, each once.
static bool find_series(Request *request, Export *export, Error *err) {
    size_t series_max = (size_t)(LIMIT_EXPORT_BYTES / SERIES_BYTES_MIN);
    for (size_t i = 0; i < export->sets.count; i++) {
        SeriesFoundList found;
        TRY(series_select(export->view, match_set_matchers(&export->sets, i), series_max,
                          &export->arena, &found, err));
        array_add_many(&export->found, found.at, found.count);
        if (atomic_load(&request->cancelled))
            return error_set(err, ERROR_CANCELLED, "the client went away");
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

// What is held so far counts as memory of queries; the answer alone has an end of its own.
static bool charge(Request *request, Export *export, Error *err) {
    int64_t bytes = (int64_t)(request->body.capacity + export->arena.bytes +
                              export->columns.capacity * 3 * sizeof(Sample));
    if ((int64_t)request->body.len > LIMIT_EXPORT_BYTES)
        return error_set(err, ERROR_TOO_COSTLY,
                         "the answer passes EXPORT_BYTES (%lld); ask for less time or fewer series",
                         (long long)LIMIT_EXPORT_BYTES);
    if (bytes <= export->charged) return true;
    TRY(budget_reserve(export->budget, bytes - export->charged, err));
    export->charged = bytes;
    return true;
}

enum { PIECE_HISTOGRAMS = 1024 };  // decoded at a time

// What contradicts itself is left out: no import would take it.
static bool add_histogram(const SeriesHistogram *stored, Arena *arena, NativeHistogram *out) {
    Error ignored;
    if (!native_histogram_read(stored->wire, arena, out, &ignored)) return false;
    out->time_ms = stored->time_ms;
    return is_stale(out->sum) || native_histogram_check(out, &ignored);
}

static bool write_histograms(Request *request, Export *export, const SeriesFound *series,
                             Error *err) {
    AUTO(arena_free) Arena arena = {0};
    SeriesHistogram *stored;
    size_t count, kept = 0;
    TRY(series_read_histograms(export->cursor, series, export->from_ms, export->to_ms, &arena,
                               &stored, &count, err));
    if (!export->with_histograms) {
        export->left_out += count;
        return true;
    }
    NativeHistogram *some = arena_push_array(&arena, NativeHistogram, PIECE_HISTOGRAMS);
    ArenaMark mark = arena_mark(&arena);
    for (size_t i = 0; i < count; i++) {
        if (!add_histogram(&stored[i], &arena, &some[kept])) {
            export->left_out++;
        } else {
            kept++;
        }
        if (kept == 0 || (kept < PIECE_HISTOGRAMS && i + 1 < count)) continue;
        json_line_write_histograms(series->labels, some, kept, &request->body);
        TRY(charge(request, export, err));
        arena_reset_to(&arena, mark);
        kept = 0;
    }
    return true;
}

static bool write_samples(Request *request, Export *export, const SeriesFound *series, Error *err) {
    array_clear(&export->samples);
    for (size_t i = 0; i < export->columns.count; i++)
        *array_add(&export->samples) =
            (Sample){export->columns.times[i], export->columns.values[i]};
    json_line_write(series->labels, (Samples){export->samples.at, export->samples.count},
                    &request->body);
    return charge(request, export, err);
}

static bool write_series(Request *request, Export *export, const SeriesFound *series, Error *err) {
    export->columns.count = 0;
    export->columns.histograms = 0;
    TRY(series_read(export->cursor, series, export->from_ms, export->to_ms, &export->columns, err));
    if (export->columns.count > 0) TRY(write_samples(request, export, series, err));
    return export->columns.histograms == 0 || write_histograms(request, export, series, err);
}

bool serve_export(Request *request, Error *err) {
    AUTO(export_end) Export export = {.budget = store_query_budget(request->server->options.store)};
    export.with_histograms = text_equal(param_text(request, TEXT("histograms")), TEXT("1"));
    TRY(param_span(request, &export.from_ms, &export.to_ms, err));
    TRY(match_sets_read(request, true, &export.arena, &export.sets, err));
    Tenant *tenant;
    TRY(request_tenant(request, false, &tenant, err));
    request->content_type = TEXT("application/stream+json");
    if (tenant == NULL) return true;
    TRY(series_view_open(tenant->series, export.from_ms, export.to_ms, &export.view, err));
    // A stream of lines has no room for warnings: what cannot be read is an error.
    Texts warnings = series_view_warnings(export.view);
    if (warnings.count > 0) return error_set(err, ERROR_CORRUPT, "%.*s", TEXT_ARG(warnings.at[0]));
    TRY(find_series(request, &export, err));
    export.cursor = series_cursor_open(export.view);
    for (size_t i = 0; i < export.found.count; i++) {
        TRY(write_series(request, &export, &export.found.at[i], err));
        if (atomic_load(&request->cancelled))
            return error_set(err, ERROR_CANCELLED, "the client went away");
    }
    if (export.left_out > 0)
        request_add_header(request, TEXT("X-Traceo-Left-Out"),
                           text_format(request->exchange->arena, "%llu native histograms",
                                       (unsigned long long)export.left_out));
    request->charged = MIN((int64_t)request->body.capacity, export.charged);
    export.charged -= request->charged;
    return true;
}
