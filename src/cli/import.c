// `traceo import`: old samples of another store, into a server or a data directory.
//
// Rows go the ordinary way of a write, so everything that holds for a write holds here: tenants,
// limits, retention, and that a sample that is there already does no harm. The place up to which
// everything has arrived is kept beside the source, so that an import that was stopped goes on
// there; some rows may come twice then.

#include "cli/deliver.h"
#include "cli/extra_labels.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "cli/seen_series.h"
#include "cli/stored.h"
#include "ingest/backfill/source.h"
#include "os/process.h"

static const size_t REQUEST_BYTES_MAX = MB;  // before compression
enum { PIECE_SAMPLES = BACKFILL_ROW_SAMPLES };
static const int64_t KEEP_PLACE_EVERY_NS = INT64_C(2000000000);
#define PLACE_ENDING TEXT(".traceo-position")
#define PLACE_HEAD   TEXT("traceo import 1")

typedef struct Import {
    Call *call;
    Client client;
    LocalStore local;
    bool is_local;
    Text path, target;
    Source *source;
    Delivery *delivery;
    WriteBody body;
    Builder place;  // of the source, behind the last whole row
    ProgressLine line;
    // The file that keeps the place; empty: none is kept.
    Text place_folder, place_name;
    int64_t place_next_ns;
    Text place_kept;
    Arena place_arena;
    SeenSeries seen;
    ExtraLabels extra;
    Arena row_arena;
    uint64_t samples, histograms;
} Import;

static void import_end(Import *import) {
    progress_end(&import->line);
    delivery_close(&import->delivery);
    source_close(&import->source);
    local_store_close(&import->local);
    write_body_free(&import->body);
    builder_free(&import->place);
    seen_series_free(&import->seen);
    arena_free(&import->place_arena);
    arena_free(&import->row_arena);
}

// ---- The place to go on from ----

static void place_paths(Import *import) {
    Text path = import->path;
    while (path.len > 1 && path.at[path.len - 1] == '/') path.len--;
    ptrdiff_t slash = -1;
    for (size_t i = 0; i < path.len; i++) slash = path.at[i] == '/' ? (ptrdiff_t)i : slash;
    import->place_folder = slash < 0    ? TEXT(".")
                     : slash == 0 ? TEXT("/")
                     : text_slice(path, 0, (size_t)slash);
    import->place_name = text_format(import->call->arena, "%.*s%.*s",
                                     TEXT_ARG(text_slice(path, (size_t)(slash + 1), path.len)),
                                     TEXT_ARG(PLACE_ENDING));
}

static Text place_path(const Import *import) {
    return text_format(import->call->arena, "%.*s/%.*s", TEXT_ARG(import->place_folder),
                       TEXT_ARG(import->place_name));
}

// False when there is no new one.
static bool keep_place(Import *import) {
    if (import->place_name.len == 0) return false;
    AUTO(arena_free) Arena arena = {0};
    Text place = delivery_place(import->delivery, &arena);
    if (place.len == 0 || text_equal(place, import->place_kept)) return false;
    Text content = text_format(&arena, "%.*s\n%.*s\n%.*s\n", TEXT_ARG(PLACE_HEAD),
                               TEXT_ARG(import->target), TEXT_ARG(place));
    Error err;
    if (disk_replace(disk_real(), import->place_folder, import->place_name, text_bytes(content),
                     &err)) {
        arena_clear(&import->place_arena);
        import->place_kept = text_copy(place, &import->place_arena);
        return true;
    }
    progress_end(&import->line);
    stream_write_err(text_format(
        &arena, "traceo: %s; this import cannot be resumed when it is stopped\n", err.message));
    import->place_name = TEXT_NONE;
    return false;
}

static void forget_place(Import *import) {
    if (import->place_name.len == 0) return;
    Error ignored;
    (void)!disk_real()->remove(disk_real(), place_path(import), &ignored);
}

static bool resume(Import *import, Error *err) {
    Text path = place_path(import);
    bool there;
    TRY(disk_real()->exists(disk_real(), path, &there, err));
    if (!there) {
        stream_write_err(text_format(import->call->arena,
                                     "traceo: there is no %.*s: nothing to resume, so from the "
                                     "beginning\n",
                                     TEXT_ARG(path)));
        return true;
    }
    Bytes content;
    TRY(disk_read_whole(disk_real(), path, 64 * KB, import->call->arena, &content, err));
    Text rest = bytes_text(content), head = TEXT_NONE, target = TEXT_NONE, place = TEXT_NONE;
    bool good = text_cut(&rest, '\n', &head) && text_cut(&rest, '\n', &target) &&
                text_cut(&rest, '\n', &place) && text_equal(head, PLACE_HEAD);
    if (!good)
        return error_set(err, ERROR_CORRUPT,
                         "%.*s is not what an import left; remove it to begin anew",
                         TEXT_ARG(path));
    if (!text_equal(target, import->target))
        return error_set(err, ERROR_BAD_INPUT,
                         "%.*s belongs to an import into %.*s, not into %.*s; remove it to begin "
                         "anew",
                         TEXT_ARG(path), TEXT_ARG(target), TEXT_ARG(import->target));
    if (!source_seek(import->source, place, err)) return error_context(err, "%.*s", TEXT_ARG(path));
    builder_add(&import->place, place);
    return true;
}

// ---- Rows ----

static bool flush(Import *import, Error *err) {
    if (import->body.bytes.len == 0) return true;
    TRY(delivery_send(import->delivery, &import->body, builder_text(&import->place), err));
    int64_t done, total;
    source_progress(import->source, &done, &total);
    progress_tell(&import->line.progress, done, total);
    Clock *clock = clock_system();
    int64_t now_ns = clock->monotonic_ns(clock);
    if (now_ns >= import->place_next_ns && keep_place(import))
        import->place_next_ns = now_ns + KEEP_PLACE_EVERY_NS;
    return true;
}

// A long row goes in pieces, so that no request grows beyond its size.
static bool add_row(Import *import, const BackfillRow *row, Error *err) {
    const BatchMetadata *said = &row->metadata;
    if (said->family.len > 0) {
        write_body_add_metadata(&import->body, said->family, said->type, said->help, said->unit);
        return true;
    }
    if (row->samples.count == 0 && row->histogram_count == 0) return true;
    Labels labels = row->labels;
    arena_clear(&import->row_arena);
    TRY(extra_labels_add(&import->extra, &import->row_arena, &labels, err));
    seen_series_note(&import->seen, labels);
    import->samples += row->samples.count;
    import->histograms += row->histogram_count;
    WriteBody *body = &import->body;
    for (size_t at = 0; at < row->samples.count;) {
        size_t end = MIN(at + PIECE_SAMPLES, row->samples.count);
        write_body_begin(body, labels);
        for (; at < end; at++)
            write_body_sample_since(body, row->samples.at[at].time_ms, row->samples.at[at].value,
                                    at < row->start_count ? row->starts[at] : 0);
        for (size_t i = 0; at == row->samples.count && i < row->exemplar_count; i++) {
            const BatchExemplar *exemplar = &row->exemplars[i];
            write_body_exemplar(body, (Labels){.wire = exemplar->labels}, exemplar->value,
                                exemplar->time_ms);
        }
        write_body_end(body);
        if (body->bytes.len >= REQUEST_BYTES_MAX) TRY(flush(import, err));
    }
    for (size_t i = 0; i < row->histogram_count; i++) {
        write_body_begin(body, labels);
        write_body_histogram(body, &row->histograms[i]);
        write_body_end(body);
        if (body->bytes.len >= REQUEST_BYTES_MAX) TRY(flush(import, err));
    }
    return true;
}

static bool move_rows(Import *import, Error *err) {
    for (;;) {
        BackfillRow row;
        bool found;
        TRY(source_next(import->source, &row, &found, err));
        if (!found) break;
        TRY(add_row(import, &row, err));
        builder_clear(&import->place);
        source_position(import->source, &import->place);
        if (import->body.bytes.len >= REQUEST_BYTES_MAX) TRY(flush(import, err));
    }
    return flush(import, err);
}

// ---- What came of it ----

static void say_sums(Import *import, const DeliverySums *sums, bool whole, Builder *out) {
    uint64_t refused = 0;
    for (Verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) refused += sums->refused[verdict];
    if (whole) {
        builder_addf(out, "imported: %zu series, %llu samples into %.*s\n", import->seen.count,
                     (unsigned long long)(sums->samples - refused), TEXT_ARG(import->target));
    } else if (sums->samples > 0) {
        builder_addf(out, "imported: %llu samples into %.*s before it stopped\n",
                     (unsigned long long)(sums->samples - refused), TEXT_ARG(import->target));
    }
    if (refused == 0) return;
    builder_addf(out, "refused: %llu samples\n", (unsigned long long)refused);
    static const char *const reasons[VERDICT_COUNT] = {
        [VERDICT_CONFLICT] = "another value is stored at their time; the first one stays",
        [VERDICT_TOO_OLD] =
            "older than the server keeps; raise its setting retention (0 keeps for "
            "ever) and import again",
        [VERDICT_TOO_NEW] = "in the future",
        [VERDICT_BAD_LABELS] = "labels that no series may have",
        [VERDICT_LIMIT] = "more series than the tenant may have",
        [VERDICT_BAD_VALUE] = "malformed native histograms",
    };
    for (Verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        if (sums->refused[verdict] == 0) continue;
        builder_addf(out, "  %llu %.*s: %s\n", (unsigned long long)sums->refused[verdict],
                     TEXT_ARG(verdict_name(verdict)),
                     reasons[verdict] == NULL ? "" : reasons[verdict]);
    }
    if (sums->first_refused.code != ERROR_NONE)
        builder_addf(out, "  the first: %s\n", sums->first_refused.message);
}

// Where it goes to, and as what: for people, and for an import that is resumed to be the same.
static Text whole_target(const Import *import, Text where) {
    const Call *call = import->call;
    Text tenant = call_flag(call, FLAG_TENANT);
    if (tenant.len > 0)
        where = text_format(call->arena, "%.*s, tenant %.*s", TEXT_ARG(where), TEXT_ARG(tenant));
    return text_format(call->arena, "%.*s%.*s", TEXT_ARG(where),
                       TEXT_ARG(extra_labels_text(&import->extra, call->arena)));
}

static ExitCode begin(Import *import, Error *err) {
    Call *call = import->call;
    import->path = call_argument(call, 0);
    if (import->path.len == 0)
        return call_usage(call, err, "what to import is missing: a folder, a file, or - ");
    SourceFormat format = SOURCE_UNKNOWN;
    Text name = call_flag(call, FLAG_FORMAT);
    if (name.at != NULL && !source_format_from_name(name, &format))
        return call_usage(call, err,
                          "--format %.*s: prometheus, openmetrics, victoriametrics or traceo",
                          TEXT_ARG(name));
    import->is_local = call_has_data(call);
    if (import->is_local && call_has(call, FLAG_SERVER))
        return call_usage(call, err, "--server and --data exclude each other");
    bool is_input = text_equal(import->path, TEXT("-"));
    if (is_input && call_has(call, FLAG_RESUME))
        return call_usage(call, err, "the standard input cannot be resumed; give a file");
    if (!extra_labels_begin(call, &import->extra, err)) return CODE_USAGE;
    if (!client_begin(call, &import->client, err)) return CODE_USAGE;
    if (!seen_series_begin(&import->seen, err)) return CODE_FAILED;
    if (!source_open(format, disk_real(), import->path, &import->source, err)) return CODE_FAILED;
    import->target = whole_target(import, import->client.server);
    if (import->is_local) {
        if (!local_store_open(call, true, &import->local, err)) return CODE_FAILED;
        Settings settings;
        if (!settings_load(call, call->arena, &settings, err)) return CODE_USAGE;
        import->target = whole_target(import, settings_text(&settings, SETTING_DATA));
    }
    if (!is_input) place_paths(import);
    if (call_has(call, FLAG_RESUME) && !resume(import, err)) return CODE_FAILED;
    LocalStore *local = import->is_local ? &import->local : NULL;
    return delivery_open(&import->client, local, &import->delivery, err) ? CODE_OK : CODE_FAILED;
}

ExitCode command_import(Call *call, Error *err) {
    AUTO(import_end) Import import = {.call = call};
    ExitCode code = begin(&import, err);
    if (code != CODE_OK) return code;
    Text note = source_note(import.source);
    if (note.len > 0) stream_write_err(text_format(call->arena, "traceo: %.*s\n", TEXT_ARG(note)));
    progress_begin(&import.line, TEXT("importing"), source_unit(import.source));
    bool ok = move_rows(&import, err);
    Error later;
    ok = delivery_finish(import.delivery, ok ? err : &later) && ok;
    progress_end(&import.line);
    DeliverySums sums;
    delivery_sums(import.delivery, &sums);
    AUTO(builder_free) Builder out = {0};
    say_sums(&import, &sums, ok, &out);
    stream_write_err(builder_text(&out));
    uint64_t refused = 0;
    for (Verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) refused += sums.refused[verdict];
    if (!ok) {
        (void)keep_place(&import);
        if (import.place_kept.len > 0)
            error_context(err, "stopped; `traceo import --resume` goes on from here");
        return client_code(err);
    }
    forget_place(&import);
    return refused > 0 ? CODE_PROBLEMS : CODE_OK;
}
