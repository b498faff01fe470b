// `traceo check metrics`: a page read as a scrape reads it, and what Prometheus' conventions would
// want otherwise (https://prometheus.io/docs/instrumenting/writing_exporters/).

#include "base/map.h"
#include "cli/check.h"
#include "ingest/scrape/exposition.h"
#include "os/disk.h"
#include "os/process.h"

static const int64_t PAGE_BYTES_MAX = 256 * MB;

enum { HINTS_MAX = 20 };

typedef struct PageCheck {
    Exposition page;
    Arena arena;    // of the check
    Arena scratch;  // of a row
    Map series;     // labels and time as bytes
    uint64_t families, rows, hints;
    Builder out;
} PageCheck;

static void page_check_end(PageCheck *check) {
    exposition_free(&check->page);
    arena_free(&check->arena);
    arena_free(&check->scratch);
    builder_free(&check->out);
}

static void hint(PageCheck *check, const ExpositionRow *row, Error *said) {
    if (++check->hints > HINTS_MAX) return;
    exposition_at(&check->page, row, said);
    builder_addf(&check->out, "hint: %s\n", said->message);
}

static void check_type(PageCheck *check, const ExpositionRow *row) {
    Error said;
    Text family = exposition_family(&check->page, row, &check->scratch);
    check->families++;
    bool total = text_ends_with(family, TEXT("_total"));
    if (row->type == METADATA_COUNTER && !total && check->page.format == EXPOSITION_TEXT) {
        error_set(&said, ERROR_BAD_INPUT, "the counter \"%.*s\" should end in \"_total\"",
                  TEXT_ARG(family));
        hint(check, row, &said);
    }
    if (row->type != METADATA_COUNTER && row->type != METADATA_UNKNOWN && total) {
        error_set(&said, ERROR_BAD_INPUT,
                  "\"%.*s\" is no counter, so it should not end in \"_total\"", TEXT_ARG(family));
        hint(check, row, &said);
    }
}

// The same series twice, at the same time, is one too many: only the first would be kept.
static void check_once(PageCheck *check, const ExpositionRow *row, Labels labels) {
    AUTO(builder_free) Builder key = {0};
    builder_add(&key, bytes_text(labels.wire));
    builder_add_char(&key, '\n');
    if (row->has_time) builder_add_i64(&key, row->time_ms);
    void **place = map_put(&check->series, builder_text(&key));
    if (*place == NULL) {
        *place = check;
        return;
    }
    Error said;
    AUTO(builder_free) Builder name = {0};
    labels_print(labels, &name);
    Text shown = text_slice(builder_text(&name), 0, 200);
    error_set(&said, ERROR_BAD_INPUT, "%.*s stands twice; only the first would be kept",
              TEXT_ARG(shown));
    hint(check, row, &said);
}

static bool check_row(PageCheck *check, const ExpositionRow *row, Error *err) {
    if (row->kind == EXPOSITION_TYPE) check_type(check, row);
    if (row->kind != EXPOSITION_SERIES && row->kind != EXPOSITION_HISTOGRAM) return true;
    Labels labels;
    TRY(exposition_labels(&check->page, row, &check->scratch, &labels, err));
    if (!labels_check(labels.wire, err)) return exposition_at(&check->page, row, err);
    for (size_t i = 0; i < row->exemplar_count; i++) {
        ExpositionExemplar exemplar;
        TRY(exposition_exemplar(&check->page, row, i, &check->scratch, &exemplar, err));
    }
    check->rows++;
    check_once(check, row, labels);
    return true;
}

static bool check_page(PageCheck *check, Text body, Error *err) {
    check->series = map_begin(&check->arena, (HashKey){0, 0});
    exposition_begin(&check->page, exposition_guess(body), (ExpositionOptions){0}, body);
    ExpositionRow row;
    do {
        arena_clear(&check->scratch);
        TRY(exposition_next(&check->page, TEXT_NONE, &row, err));
        TRY(check_row(check, &row, err));
    } while (row.kind != EXPOSITION_END);
    return true;
}

static bool read_page(Call *call, Text path, Builder *out, Text *name, Error *err) {
    if (path.len == 0 || text_equal(path, TEXT("-"))) {
        *name = TEXT("standard input");
        return stream_read_in(PAGE_BYTES_MAX, out, err);
    }
    *name = path;
    Bytes content;
    TRY(disk_read_whole(disk_real(), path, PAGE_BYTES_MAX, call->arena, &content, err));
    builder_add(out, bytes_text(content));
    return true;
}

ExitCode check_metrics(Call *call, Text path, Error *err) {
    AUTO(page_check_end) PageCheck check = {0};
    AUTO(builder_free) Builder body = {0};
    Text name;
    if (!read_page(call, path, &body, &name, err)) return CODE_FAILED;
    if (!check_page(&check, builder_text(&body), err)) {
        error_context(err, "%.*s", TEXT_ARG(name));
        return CODE_PROBLEMS;
    }
    if (check.hints > HINTS_MAX)
        builder_addf(&check.out, "hint: and %llu more\n",
                     (unsigned long long)check.hints - HINTS_MAX);
    builder_addf(&check.out, "%.*s: fine, %llu families, %llu series\n", TEXT_ARG(name),
                 (unsigned long long)check.families, (unsigned long long)check.rows);
    return call_print(builder_text(&check.out), err);
}
