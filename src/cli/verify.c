// `traceo verify`: is what a source holds in the server, sample for sample? Counts and sums are
// compared series by series, over the time that the source has of each.

#include "base/map.h"
#include "cli/extra_labels.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "cli/stored.h"
#include "ingest/backfill/source.h"
#include "os/process.h"
#include "os/random.h"

static const double SUM_TOLERANCE = 1e-9;  // relative: the order of adding may differ
enum { SHOWN_MAX = 20 };

// Of finite values; the others are counted.
typedef struct Sums {
    uint64_t count, not_finite;
    double sum, magnitude;
} Sums;

typedef struct Compared {
    Labels labels;
    int64_t from_ms, to_ms;  // of the source
    Sums source, stored;
} Compared;

typedef struct Verify {
    Call *call;
    Stored stored;
    Source *source;
    ExtraLabels extra;
    Arena arena, row_arena;
    Map series;  // labels as bytes to Compared
    Map names;   // of metrics, to themselves
    ProgressLine line;
    uint64_t samples, asked, histograms, nameless, differences;
    int64_t from_ms, to_ms;
    Builder out;
} Verify;

static void verify_end(Verify *verify) {
    progress_end(&verify->line);
    source_close(&verify->source);
    stored_close(&verify->stored);
    builder_free(&verify->out);
    arena_free(&verify->arena);
    arena_free(&verify->row_arena);
}

static void sums_add(Sums *sums, double value) {
    sums->count++;
    if (isfinite(value)) {
        sums->sum += value;
        sums->magnitude += fabs(value);
    } else {
        sums->not_finite++;
    }
}

static bool sums_equal(const Sums *a, const Sums *b) {
    double magnitude = MAX(a->magnitude, b->magnitude);
    bool close = fabs(a->sum - b->sum) <= SUM_TOLERANCE * magnitude || a->sum == b->sum;
    return a->count == b->count && a->not_finite == b->not_finite && close;
}

// ---- The source ----

static void note_row(Verify *verify, const BackfillRow *row) {
    verify->histograms += row->histogram_count;
    if (row->samples.count == 0) return;
    Text name = labels_get(row->labels, LABEL_NAME);
    if (name.len == 0) {
        verify->nameless += row->samples.count;
        return;
    }
    void **slot = map_put(&verify->series, bytes_text(row->labels.wire));
    if (*slot == NULL) {
        Compared *made = arena_push(&verify->arena, Compared);
        made->labels.wire = bytes_copy(row->labels.wire, &verify->arena);
        made->from_ms = INT64_MAX;
        made->to_ms = INT64_MIN;
        *slot = made;
        void **known = map_put(&verify->names, name);
        if (*known == NULL) *known = made;
    }
    Compared *compared = *slot;
    for (size_t i = 0; i < row->samples.count; i++) {
        int64_t time_ms = row->samples.at[i].time_ms;
        compared->from_ms = MIN(compared->from_ms, time_ms);
        compared->to_ms = MAX(compared->to_ms, time_ms);
        sums_add(&compared->source, row->samples.at[i].value);
    }
    verify->samples += row->samples.count;
    verify->from_ms = MIN(verify->from_ms, compared->from_ms);
    verify->to_ms = MAX(verify->to_ms, compared->to_ms);
}

static bool read_source(Verify *verify, Error *err) {
    for (;;) {
        BackfillRow row;
        bool found;
        TRY(source_next(verify->source, &row, &found, err));
        if (!found) return true;
        arena_clear(&verify->row_arena);
        TRY(extra_labels_add(&verify->extra, &verify->row_arena, &row.labels, err));
        note_row(verify, &row);
        int64_t done, total;
        source_progress(verify->source, &done, &total);
        progress_tell(&verify->line.progress, done, total);
    }
}

// ---- The server ----

static bool take(void *context, Labels labels, Samples samples, Error *err) {
    (void)err;
    Verify *verify = context;
    verify->asked += samples.count;
    progress_tell(&verify->line.progress, (int64_t)verify->asked, (int64_t)verify->samples);
    Compared *compared = map_get(&verify->series, bytes_text(labels.wire));
    if (compared == NULL) return true;  // the server may hold more
    for (size_t i = 0; i < samples.count; i++) {
        int64_t time_ms = samples.at[i].time_ms;
        if (time_ms >= compared->from_ms && time_ms <= compared->to_ms)
            sums_add(&compared->stored, samples.at[i].value);
    }
    return true;
}

static bool read_stored(Verify *verify, Error *err) {
    const MapSlot *slot;
    for (size_t at = 0; map_next(&verify->names, &at, &slot);) {
        Text selector;
        AUTO(arena_free) Arena arena = {0};
        TRY(stored_of_name(TEXT("{__name__!=\"\"}"), slot->key, &arena, &selector, err));
        TRY(stored_read(&verify->stored, selector, verify->from_ms, verify->to_ms, take, verify,
                        err));
    }
    return true;
}

// ---- What differs ----

static void print_sums(const Sums *sums, Builder *out) {
    builder_addf(out, "%llu samples", (unsigned long long)sums->count);
    if (sums->not_finite > 0)
        builder_addf(out, " (%llu not finite)", (unsigned long long)sums->not_finite);
    builder_addf(out, ", sum %.17g", sums->sum);
}

static void compare(Verify *verify, const Compared *compared) {
    if (sums_equal(&compared->source, &compared->stored)) return;
    if (verify->differences++ >= SHOWN_MAX) return;
    labels_print(compared->labels, &verify->out);
    builder_add(&verify->out, TEXT("\n  source: "));
    print_sums(&compared->source, &verify->out);
    builder_add(&verify->out, TEXT("\n  stored: "));
    print_sums(&compared->stored, &verify->out);
    builder_add_char(&verify->out, '\n');
}

static ExitCode report(Verify *verify, Error *err) {
    const MapSlot *slot;
    for (size_t at = 0; map_next(&verify->series, &at, &slot);) compare(verify, slot->value);
    if (verify->differences > SHOWN_MAX)
        builder_addf(&verify->out, "and %llu series more that differ\n",
                     (unsigned long long)(verify->differences - SHOWN_MAX));
    if (verify->out.len > 0 && call_print(builder_text(&verify->out), err) != CODE_OK)
        return CODE_FAILED;
    AUTO(builder_free) Builder line = {0};
    builder_addf(&line,
                 "verified: %zu series, %llu samples of the source; %llu series differ in "
                 "%.*s\n",
                 verify->series.count, (unsigned long long)verify->samples,
                 (unsigned long long)verify->differences, TEXT_ARG(verify->stored.where));
    if (verify->histograms > 0)
        builder_addf(&line, "not compared: %llu native histograms\n",
                     (unsigned long long)verify->histograms);
    if (verify->nameless > 0)
        builder_addf(&line,
                     "not compared: %llu samples of series without a name, which no server "
                     "takes\n",
                     (unsigned long long)verify->nameless);
    stream_write_err(builder_text(&line));
    return verify->differences > 0 || verify->nameless > 0 ? CODE_PROBLEMS : CODE_OK;
}

ExitCode command_verify(Call *call, Error *err) {
    AUTO(verify_end) Verify verify = {.call = call, .from_ms = INT64_MAX, .to_ms = INT64_MIN};
    Text path = call_argument(call, 0);
    if (path.len == 0)
        return call_usage(call, err, "the source is missing: a folder, a file, or -");
    SourceFormat format = SOURCE_UNKNOWN;
    Text name = call_flag(call, FLAG_FORMAT);
    if (name.at != NULL && !source_format_from_name(name, &format))
        return call_usage(call, err, "--format %.*s: prometheus, openmetrics or victoriametrics",
                          TEXT_ARG(name));
    if (!extra_labels_begin(call, &verify.extra, err)) return CODE_USAGE;
    HashKey key;
    if (!random_hash_key(&key, err)) return CODE_FAILED;
    verify.series = map_begin(&verify.arena, key);
    verify.names = map_begin(&verify.arena, key);
    if (!stored_open(call, &verify.stored, err)) return client_code(err);
    if (!source_open(format, disk_real(), path, &verify.source, err)) return CODE_FAILED;
    progress_begin(&verify.line, TEXT("reading the source"), source_unit(verify.source));
    if (!read_source(&verify, err)) return CODE_FAILED;
    progress_end(&verify.line);
    progress_begin(&verify.line, TEXT("comparing"), TEXT("samples"));
    if (verify.samples > 0 && !read_stored(&verify, err)) return client_code(err);
    progress_end(&verify.line);
    return report(&verify, err);
}
