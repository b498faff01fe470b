// Two ways to the same rows: lines of JSON from a server, columns from a store.

#include "cli/stored.h"

#include "base/limits.h"
#include "codec/json.h"
#include "codec/number.h"
#include "ingest/backfill/json_lines.h"
#include "net/url.h"
#include "query/promql/promql.h"

bool call_has_data(const Call *call) {
    for (size_t i = 0; i < call->flags.count; i++) {
        if (call->flags.at[i].flag == NULL && text_equal(call->flags.at[i].name, TEXT("data")))
            return true;
    }
    return false;
}

bool stored_open(const Call *call, Stored *out, Error *err) {
    *out = (Stored){.call = call, .is_local = call_has_data(call)};
    if (out->is_local && call_has(call, FLAG_SERVER))
        return error_set(err, ERROR_BAD_INPUT, "--server and --data exclude each other");
    TRY(client_begin(call, &out->client, err));
    out->where = out->client.server;
    if (!out->is_local) return true;
    Settings settings;
    TRY(settings_load(call, call->arena, &settings, err));
    out->where = settings_text(&settings, SETTING_DATA);
    return local_store_open(call, false, &out->local, err);
}

void stored_close(Stored *stored) {
    local_store_close(&stored->local);
}

static const int64_t DAY_MS = 86400000;

// ---- From a server ----

static void add_parameter(Builder *out, const char *name, Text value) {
    builder_addf(out, "&%s=", name);
    url_encode(value, out);
}

static void add_times(Builder *out, int64_t from_ms, int64_t to_ms) {
    char number[NUMBER_TEXT_MAX];
    size_t len = number_format_ms_as_s(from_ms, number);
    add_parameter(out, "start", (Text){number, len});
    len = number_format_ms_as_s(to_ms, number);
    add_parameter(out, "end", (Text){number, len});
}

static bool ask(Stored *stored, Text path, const Builder *form, Arena *arena, HttpClientAnswer *out,
                Error *err) {
    Text body = text_slice(builder_text(form), 1, form->len);
    return client_send(&stored->client, TEXT("POST"), path,
                       TEXT("application/x-www-form-urlencoded"), TEXT_NONE, body, arena, out, err);
}

// Label values are asked with GET.
static bool names_of_server(Stored *stored, Text selector, int64_t from_ms, int64_t to_ms,
                            Arena *arena, Texts *out, Error *err) {
    AUTO(builder_free) Builder path = {0};
    builder_add(&path, TEXT("/api/v1/label/__name__/values?x=1"));
    add_parameter(&path, "match[]", selector);
    add_times(&path, from_ms, to_ms);
    HttpClientAnswer answer;
    TRY(client_send(&stored->client, TEXT("GET"), builder_text(&path), TEXT_NONE, TEXT_NONE,
                    TEXT_NONE, arena, &answer, err));
    if (answer.status != 200) {
        client_refused(&stored->client, &answer, err);
        return false;
    }
    JsonValue *root;
    TRY(json_parse(answer.body, arena, &root, err));
    const JsonValue *data = json_get(root, TEXT("data"));
    if (data == NULL || data->kind != JSON_ARRAY_BEGIN)
        return error_set(err, ERROR_CORRUPT, "%.*s does not answer as Prometheus does",
                         TEXT_ARG(stored->where));
    Text *names = arena_push_array(arena, Text, data->count);
    size_t count = 0;
    for (const JsonValue *name = data->first; name != NULL; name = name->next)
        names[count++] = name->text;
    *out = (Texts){names, count};
    return true;
}

static bool take_lines(Stored *stored, const HttpClientAnswer *answer, StoredTake take,
                       void *context, Error *err) {
    for (size_t i = 0; i < answer->header_count; i++) {
        uint64_t count;
        Text value = answer->headers[i].value, number = TEXT_NONE;
        if (text_equal_ignore_case(answer->headers[i].name, TEXT("X-Traceo-Left-Out")) &&
            text_cut(&value, ' ', &number) && text_to_u64(number, &count))
            stored->left_out += count;
    }
    JsonLine line = {0};
    bool ok = true;
    Text rest = answer->body, text;
    while (ok && text_cut(&rest, '\n', &text)) {
        if (text.len == 0) continue;
        ok = json_line_read(text, &line, err);
        BackfillRow row = {.labels = line.labels,
                           .samples = {line.samples.at, line.samples.count},
                           .histograms = line.histograms.at,
                           .histogram_count = line.histograms.count};
        ok = ok && take(context, &row, err);
    }
    json_line_free(&line);
    return ok;
}

enum { TOO_COSTLY_STATUS = 422 };

// An answer that would be too large is asked for in halves of its time.
static bool read_from_server(Stored *stored, Text selector, int64_t from_ms, int64_t to_ms,
                             StoredTake take, void *context, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder form = {0};
    add_parameter(&form, "match[]", selector);
    add_times(&form, from_ms, to_ms);
    if (stored->with_histograms) add_parameter(&form, "histograms", TEXT("1"));
    builder_addf(&form, "&max_bytes=%lld", (long long)LIMIT_EXPORT_BYTES);
    HttpClientAnswer answer;
    TRY(ask(stored, TEXT("/api/v1/export"), &form, &arena, &answer, err));
    if (answer.status == 200) return take_lines(stored, &answer, take, context, err);
    if (answer.status != TOO_COSTLY_STATUS || from_ms == to_ms) {
        client_refused(&stored->client, &answer, err);
        return false;
    }
    arena_free(&arena);
    int64_t middle_ms = from_ms + (to_ms - from_ms) / 2;
    return read_from_server(stored, selector, from_ms, middle_ms, take, context, err) &&
           read_from_server(stored, selector, middle_ms + 1, to_ms, take, context, err);
}

// ---- From a directory ----

// A selector over a span of a store.
typedef struct Selected {
    Promql parsed;
    SeriesView *view;
    Arena arena;
} Selected;

static void selected_end(Selected *selected) {
    series_view_close(&selected->view);
    promql_close(&selected->parsed);
    arena_free(&selected->arena);
}

static bool selected_begin(Stored *stored, Text selector, int64_t from_ms, int64_t to_ms,
                           Selected *out, Error *err) {
    TRY(promql_parse_selector(selector, &out->arena, &out->parsed, err));
    Tenant *tenant = stored->local.tenant;
    TRY(series_view_open(tenant == NULL ? NULL : tenant->series, from_ms, to_ms, &out->view, err));
    Texts warnings = series_view_warnings(out->view);
    return warnings.count == 0 || error_set(err, ERROR_CORRUPT, "%.*s", TEXT_ARG(warnings.at[0]));
}

static Matchers matchers_of(const Selected *selected) {
    return selected->parsed.root->as.selector.matchers;
}

static bool names_of_store(Stored *stored, Text selector, int64_t from_ms, int64_t to_ms,
                           Arena *arena, Texts *out, Error *err) {
    AUTO(selected_end) Selected selected = {0};
    Texts names;
    TRY(selected_begin(stored, selector, from_ms, to_ms, &selected, err));
    TRY(series_label_values(selected.view, LABEL_NAME, matchers_of(&selected), &selected.arena,
                            &names, err));
    Text *copies = arena_push_array(arena, Text, names.count);
    for (size_t i = 0; i < names.count; i++) copies[i] = text_copy(names.at[i], arena);
    *out = (Texts){copies, names.count};
    return true;
}

static int by_labels(const void *a, const void *b) {
    return labels_compare(((const SeriesFound *)a)->labels, ((const SeriesFound *)b)->labels);
}

// A series of a store, read whole.
typedef struct LocalRow {
    SeriesCursor *cursor;
    SeriesColumns columns;
    ARRAY(Sample) samples;
    ARRAY(NativeHistogram) histograms;
    Arena arena;  // of the histograms
} LocalRow;

static void local_row_end(LocalRow *row) {
    array_free(&row->samples);
    array_free(&row->histograms);
    arena_free(&row->arena);
    series_columns_free(&row->columns);
    series_cursor_close(&row->cursor);
}

static bool read_local_histograms(Stored *stored, LocalRow *row, const SeriesFound *found,
                                  int64_t from_ms, int64_t to_ms, Error *err) {
    SeriesHistogram *all;
    size_t count;
    TRY(series_read_histograms(row->cursor, found, from_ms, to_ms, &row->arena, &all, &count, err));
    for (size_t i = 0; i < count; i++) {
        NativeHistogram histogram;
        Error ignored;  // what contradicts itself no import would take
        bool good = stored->with_histograms &&
                    native_histogram_read(all[i].wire, &row->arena, &histogram, &ignored) &&
                    (is_stale(histogram.sum) || native_histogram_check(&histogram, &ignored));
        stored->left_out += !good;
        if (!good) continue;
        histogram.time_ms = all[i].time_ms;
        *array_add(&row->histograms) = histogram;
    }
    return true;
}

static bool read_local(Stored *stored, LocalRow *row, const SeriesFound *found, int64_t from_ms,
                       int64_t to_ms, Error *err) {
    array_clear(&row->samples);
    array_clear(&row->histograms);
    arena_clear(&row->arena);
    TRY(series_read(row->cursor, found, from_ms, to_ms, &row->columns, err));
    for (size_t i = 0; i < row->columns.count; i++)
        *array_add(&row->samples) = (Sample){row->columns.times[i], row->columns.values[i]};
    return row->columns.histograms == 0 ||
           read_local_histograms(stored, row, found, from_ms, to_ms, err);
}

static bool read_from_store(Stored *stored, Text selector, int64_t from_ms, int64_t to_ms,
                            StoredTake take, void *context, Error *err) {
    AUTO(selected_end) Selected selected = {0};
    AUTO(local_row_end) LocalRow row = {0};
    SeriesFoundList found;
    TRY(selected_begin(stored, selector, from_ms, to_ms, &selected, err));
    TRY(series_select(selected.view, matchers_of(&selected), 0, &selected.arena, &found, err));
    if (found.count > 1) qsort(found.at, found.count, sizeof *found.at, by_labels);
    row.cursor = series_cursor_open(selected.view);
    for (size_t i = 0; i < found.count; i++) {
        TRY(read_local(stored, &row, &found.at[i], from_ms, to_ms, err));
        BackfillRow given = {.labels = found.at[i].labels,
                             .samples = {row.samples.at, row.samples.count},
                             .histograms = row.histograms.at,
                             .histogram_count = row.histograms.count};
        if (given.samples.count + given.histogram_count > 0) TRY(take(context, &given, err));
    }
    return true;
}

// ---- Both ----

bool stored_names(Stored *stored, Text selector, int64_t from_ms, int64_t to_ms, Arena *arena,
                  Texts *out, Error *err) {
    return stored->is_local ? names_of_store(stored, selector, from_ms, to_ms, arena, out, err)
                            : names_of_server(stored, selector, from_ms, to_ms, arena, out, err);
}

// Is there a series with samples between these times? Blocks may say yes where a head would not.
static bool any_between(Stored *stored, Text selector, int64_t from_ms, int64_t to_ms, bool *out,
                        Error *err) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder form = {0};
    add_parameter(&form, "match[]", selector);
    add_parameter(&form, "limit", TEXT("1"));
    add_times(&form, from_ms, to_ms);
    HttpClientAnswer answer;
    JsonValue *root;
    TRY(ask(stored, TEXT("/api/v1/series"), &form, &arena, &answer, err));
    if (answer.status != 200) {
        client_refused(&stored->client, &answer, err);
        return false;
    }
    TRY(json_parse(answer.body, &arena, &root, err));
    const JsonValue *data = json_get(root, TEXT("data"));
    *out = data != NULL && data->count > 0;
    return true;
}

bool stored_begin(Stored *stored, Text selector, int64_t to_ms, int64_t *out, Error *err) {
    *out = 0;
    if (stored->is_local) return true;
    int64_t empty_ms = 0, full_ms = to_ms;  // nothing below the one, something below the other
    while (full_ms - empty_ms > DAY_MS) {
        int64_t middle_ms = empty_ms + (full_ms - empty_ms) / 2;
        bool any;
        TRY(any_between(stored, selector, empty_ms, middle_ms, &any, err));
        *(any ? &full_ms : &empty_ms) = middle_ms;
    }
    *out = empty_ms;
    return true;
}

bool stored_of_name(Text selector, Text name, Arena *arena, Text *out, Error *err) {
    static const char *const signs[] = {[MATCH_EQUAL] = "=",
                                        [MATCH_NOT_EQUAL] = "!=",
                                        [MATCH_REGEX] = "=~",
                                        [MATCH_NOT_REGEX] = "!~"};
    AUTO(promql_close) Promql parsed = {0};
    AUTO(builder_free) Builder text = {0};
    TRY(promql_parse_selector(selector, arena, &parsed, err));
    Matchers matchers = parsed.root->as.selector.matchers;
    builder_add(&text, TEXT("{__name__="));
    label_print_quoted(name, &text);
    for (size_t i = 0; i < matchers.count; i++) {
        const Matcher *matcher = &matchers.at[i];
        if (text_equal(matcher->name, LABEL_NAME)) continue;  // the name was found by it
        builder_add_char(&text, ',');
        label_print_quoted(matcher->name, &text);
        builder_addf(&text, "%s", signs[matcher->kind]);
        label_print_quoted(matcher->value, &text);
    }
    builder_add_char(&text, '}');
    *out = text_copy(builder_text(&text), arena);
    return true;
}

bool stored_read(Stored *stored, Text selector, int64_t from_ms, int64_t to_ms, StoredTake take,
                 void *context, Error *err) {
    return stored->is_local
               ? read_from_store(stored, selector, from_ms, to_ms, take, context, err)
               : read_from_server(stored, selector, from_ms, to_ms, take, context, err);
}
