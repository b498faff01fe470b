// `traceo export`: raw samples of a server or a data directory, as text that others import.

#include "cli/format.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "cli/seen_series.h"
#include "cli/stored.h"
#include "ingest/backfill/json_lines.h"
#include "ingest/backfill/source.h"
#include "ingest/scrape/exposition.h"
#include "os/process.h"

enum { PIECE_BYTES = MB };  // written at once

typedef struct Export {
    Call *call;
    Stored stored;
    SourceFormat format;   // of samples
    bool with_histograms;  // lines that have them
    int64_t from_ms, to_ms;
    File *file;  // NULL: standard output
    int64_t written;
    Builder out;
    ProgressLine line;
    SeenSeries seen;
    uint64_t samples, stale, histograms;
} Export;

static void export_end(Export *export) {
    progress_end(&export->line);
    stored_close(&export->stored);
    if (export->file != NULL) disk_real()->close(disk_real(), &export->file);
    builder_free(&export->out);
    seen_series_free(&export->seen);
}

static bool flush(Export *export, Error *err) {
    Text text = builder_text(&export->out);
    if (text.len == 0) return true;
    if (export->file == NULL) {
        TRY(stream_write_out(text, err));
    } else {
        TRY(disk_real()->write(disk_real(), export->file, export->written, text.at, text.len, err));
    }
    export->written += (int64_t)text.len;
    builder_clear(&export->out);
    return true;
}

// OpenMetrics has no stale marker: there a series ends by having no more lines.
static void add_lines(Export *export, Labels labels, Samples samples) {
    ExpositionPrinter printer = {EXPOSITION_OPENMETRICS, &export->out};
    for (size_t i = 0; i < samples.count; i++) {
        if (is_stale(samples.at[i].value)) {
            export->stale++;
            continue;
        }
        exposition_print_series(printer, labels, samples.at[i].value, &samples.at[i].time_ms, NULL);
    }
}

static bool take(void *context, const BackfillRow *row, Error *err) {
    Export *export = context;
    Labels labels = row->labels;
    Samples samples = row->samples;
    seen_series_note(&export->seen, labels);
    export->samples += samples.count;
    progress_tell(&export->line.progress, (int64_t) export->samples, 0);
    if (export->format != SOURCE_VICTORIAMETRICS) {
        add_lines(export, labels, samples);
    } else if (samples.count > 0) {
        json_line_write(labels, samples, &export->out);
    }
    json_line_write_histograms(labels, row->histograms, row->histogram_count, &export->out);
    export->histograms += row->histogram_count;
    return export->out.len < PIECE_BYTES || flush(export, err);
}

static bool read_times(Export *export, Error *err) {
    Clock *clock = clock_system();
    int64_t now_ms = clock->wall_ms(clock);
    Text start = call_flag(export->call, FLAG_START), end = call_flag(export->call, FLAG_END);
    export->from_ms = 0;
    export->to_ms = now_ms + 600000;  // what a clock that is ahead may have sent
    if (start.at != NULL) TRY(moment_parse(start, now_ms, &export->from_ms, err));
    if (end.at != NULL) TRY(moment_parse(end, now_ms, &export->to_ms, err));
    return export->from_ms <= export->to_ms ||
           error_set(err, ERROR_BAD_INPUT, "the range ends before it starts");
}

static bool read_format(Export *export, Error *err) {
    Text name = call_flag(export->call, FLAG_FORMAT);
    export->format = SOURCE_VICTORIAMETRICS;
    export->with_histograms = name.at == NULL || text_equal(name, TEXT("traceo"));
    if (export->with_histograms || text_equal(name, TEXT("victoriametrics"))) return true;
    export->format = SOURCE_OPENMETRICS;
    if (text_equal(name, TEXT("openmetrics")) || text_equal(name, TEXT("prometheus"))) return true;
    return error_set(err, ERROR_BAD_INPUT,
                     "--format %.*s: traceo, openmetrics (what promtool tsdb create-blocks-from "
                     "takes) or victoriametrics",
                     TEXT_ARG(name));
}

// Name by name, so that the lines of a family stand together.
static bool export_all(Export *export, Text selector, Error *err) {
    Arena *arena = export->call->arena;
    Texts names;
    // Answers that are too large are asked for in halves: of the time in which there is something.
    if (!call_has(export->call, FLAG_START))
        TRY(stored_begin(&export->stored, selector, export->to_ms, &export->from_ms, err));
    TRY(stored_names(&export->stored, selector, export->from_ms, export->to_ms, arena, &names,
                     err));
    for (size_t i = 0; i < names.count; i++) {
        Text one;
        TRY(stored_of_name(selector, names.at[i], arena, &one, err));
        TRY(stored_read(&export->stored, one, export->from_ms, export->to_ms, take, export, err));
    }
    if (export->format == SOURCE_OPENMETRICS)
        exposition_print_end((ExpositionPrinter){EXPOSITION_OPENMETRICS, &export->out});
    return flush(export, err);
}

static void say_sums(const Export *export) {
    AUTO(builder_free) Builder out = {0};
    builder_addf(&out, "exported: %zu series, %llu samples", export->seen.count,
                 (unsigned long long)(export->samples - export->stale));
    if (export->histograms > 0)
        builder_addf(&out, ", %llu native histograms", (unsigned long long)export->histograms);
    builder_addf(&out, " from %.*s\n", TEXT_ARG(export->stored.where));
    if (export->stale > 0)
        builder_addf(&out, "left out: %llu stale markers, which OpenMetrics does not have\n",
                     (unsigned long long)export->stale);
    if (export->stored.left_out > 0)
        builder_addf(&out, "left out: %llu native histograms, %s\n",
                     (unsigned long long)export->stored.left_out,
                     export->with_histograms ? "which contradict themselves"
                                             : "which this format does not have; traceo has them");
    stream_write_err(builder_text(&out));
}

// A file that is there already is not written over: it may be the only copy.
static bool open_file(Export *export, Error *err) {
    Text path = call_argument(export->call, 0);
    if (path.len == 0 || text_equal(path, TEXT("-"))) return true;
    bool there;
    TRY(disk_real()->exists(disk_real(), path, &there, err));
    if (there)
        return error_set(err, ERROR_BAD_INPUT, "%.*s is there already; remove it first",
                         TEXT_ARG(path));
    return disk_real()->open(disk_real(), path, FILE_CREATE, &export->file, err);
}

ExitCode command_export(Call *call, Error *err) {
    AUTO(export_end) Export export = {.call = call};
    Text selector = call_flag(call, FLAG_MATCH);
    if (selector.at == NULL)
        return call_usage(call, err, "--match is missing: which series, as in '{job=\"node\"}'");
    if (!read_format(&export, err) || !read_times(&export, err)) return CODE_USAGE;
    if (!seen_series_begin(&export.seen, err) || !stored_open(call, &export.stored, err) ||
        !open_file(&export, err))
        return CODE_FAILED;
    export.stored.with_histograms = export.with_histograms;
    progress_begin(&export.line, TEXT("exporting"), TEXT("samples"));
    if (!export_all(&export, selector, err)) return client_code(err);
    if (export.file != NULL && !disk_real()->sync(disk_real(), export.file, err))
        return CODE_FAILED;
    progress_end(&export.line);
    say_sums(&export);
    return CODE_OK;
}
