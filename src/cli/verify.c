// `traceo verify`: is what a source holds in the server, sample for sample? Counts and sums are
// compared series by series, over the time that the source has of each; of native histograms how
// many there are, their counts, their sums, and where in their buckets the observations lie.

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

// Of native histograms, each a number per histogram.
typedef struct HistogramSums {
    Sums counts, sums;
    Sums places;  // the indexes of its buckets, each as often as something was observed there
} HistogramSums;

typedef struct Held {
    Sums samples;
    HistogramSums histograms;
} Held;

typedef struct Compared {
    Labels labels;
    int64_t from_ms, to_ms;  // of the source
    Held source, stored;
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
    uint64_t samples, histograms, asked, nameless, differences;
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

// Of one side: what its buckets hold together, each times its index. The negative side counts on
// from another place, so that the sides may not be mistaken for each other.
static double places_of(const HistogramBuckets *buckets, bool is_float, int64_t begin) {
    int64_t at = begin, whole = 0;
    size_t bucket = 0;
    double sum = 0;
    for (size_t i = 0; i < buckets->span_count; i++) {
        at += buckets->spans[i].offset;
        for (uint32_t j = 0; j < buckets->spans[i].length && bucket < buckets->bucket_count;
             j++, at++, bucket++) {
            if (!is_float) whole += buckets->deltas[bucket];
            sum += (double)at * (is_float ? buckets->counts[bucket] : (double)whole);
        }
    }
    return sum;
}

static void histogram_add(HistogramSums *sums, const NativeHistogram *histogram) {
    enum { NEGATIVE_BEGIN = 100003 };
    bool is_float = histogram->is_float;
    sums_add(&sums->sums, histogram->sum);
    if (is_stale(histogram->sum)) return;
    double count = is_float ? histogram->count_float : (double)histogram->count;
    sums_add(&sums->counts, count);
    sums_add(&sums->places, places_of(&histogram->positive, is_float, 0) +
                                places_of(&histogram->negative, is_float, NEGATIVE_BEGIN));
}

static bool held_equal(const Held *a, const Held *b) {
    return sums_equal(&a->samples, &b->samples) &&
           sums_equal(&a->histograms.counts, &b->histograms.counts) &&
           sums_equal(&a->histograms.sums, &b->histograms.sums) &&
           sums_equal(&a->histograms.places, &b->histograms.places);
}

// ---- The source ----

static Compared *compared_of(Verify *verify, Labels labels, Text name) {
    void **slot = map_put(&verify->series, bytes_text(labels.wire));
    if (*slot != NULL) return *slot;
    Compared *made = arena_push(&verify->arena, Compared);
    made->labels.wire = bytes_copy(labels.wire, &verify->arena);
    made->from_ms = INT64_MAX;
    made->to_ms = INT64_MIN;
    *slot = made;
    void **known = map_put(&verify->names, name);
    if (*known == NULL) *known = made;
    return made;
}

static void reach(Compared *compared, int64_t time_ms) {
    compared->from_ms = MIN(compared->from_ms, time_ms);
    compared->to_ms = MAX(compared->to_ms, time_ms);
}

static void note_row(Verify *verify, const BackfillRow *row) {
    size_t count = row->samples.count + row->histogram_count;
    if (count == 0) return;
    Text name = labels_get(row->labels, LABEL_NAME);
    if (name.len == 0) {
        verify->nameless += count;
        return;
    }
    Compared *compared = compared_of(verify, row->labels, name);
    for (size_t i = 0; i < row->samples.count; i++) {
        reach(compared, row->samples.at[i].time_ms);
        sums_add(&compared->source.samples, row->samples.at[i].value);
    }
    for (size_t i = 0; i < row->histogram_count; i++) {
        reach(compared, row->histograms[i].time_ms);
        histogram_add(&compared->source.histograms, &row->histograms[i]);
    }
    verify->samples += row->samples.count;
    verify->histograms += row->histogram_count;
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

static bool take(void *context, const BackfillRow *row, Error *err) {
    (void)err;
    Verify *verify = context;
    verify->asked += row->samples.count + row->histogram_count;
    progress_tell(&verify->line.progress, (int64_t)verify->asked,
                  (int64_t)(verify->samples + verify->histograms));
    Compared *compared = map_get(&verify->series, bytes_text(row->labels.wire));
    if (compared == NULL) return true;  // the server may hold more
    for (size_t i = 0; i < row->samples.count; i++) {
        int64_t time_ms = row->samples.at[i].time_ms;
        if (time_ms >= compared->from_ms && time_ms <= compared->to_ms)
            sums_add(&compared->stored.samples, row->samples.at[i].value);
    }
    for (size_t i = 0; i < row->histogram_count; i++) {
        int64_t time_ms = row->histograms[i].time_ms;
        if (time_ms >= compared->from_ms && time_ms <= compared->to_ms)
            histogram_add(&compared->stored.histograms, &row->histograms[i]);
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

static void print_held(const Held *held, Builder *out) {
    const Sums *samples = &held->samples, *sums = &held->histograms.sums;
    if (samples->count > 0 || sums->count == 0) {
        builder_addf(out, "%llu samples", (unsigned long long)samples->count);
        if (samples->not_finite > 0)
            builder_addf(out, " (%llu not finite)", (unsigned long long)samples->not_finite);
        builder_addf(out, ", sum %.17g", samples->sum);
    }
    if (sums->count == 0) return;
    builder_addf(out, "%s%llu native histograms", samples->count > 0 ? "; " : "",
                 (unsigned long long)sums->count);
    if (sums->not_finite > 0)
        builder_addf(out, " (%llu of no finite sum)", (unsigned long long)sums->not_finite);
    builder_addf(out, ", counts %.17g, sums %.17g, places of buckets %.17g",
                 held->histograms.counts.sum, sums->sum, held->histograms.places.sum);
}

static void compare(Verify *verify, const Compared *compared) {
    if (held_equal(&compared->source, &compared->stored)) return;
    if (verify->differences++ >= SHOWN_MAX) return;
    labels_print(compared->labels, &verify->out);
    builder_add(&verify->out, TEXT("\n  source: "));
    print_held(&compared->source, &verify->out);
    builder_add(&verify->out, TEXT("\n  stored: "));
    print_held(&compared->stored, &verify->out);
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
                 "verified: %zu series, %llu samples and %llu native histograms of the source; "
                 "%llu series differ in %.*s\n",
                 verify->series.count, (unsigned long long)verify->samples,
                 (unsigned long long)verify->histograms, (unsigned long long)verify->differences,
                 TEXT_ARG(verify->stored.where));
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
        return call_usage(call, err,
                          "--format %.*s: prometheus, openmetrics, victoriametrics or traceo",
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
    verify.stored.with_histograms = true;
    if (verify.series.count > 0 && !read_stored(&verify, err)) return client_code(err);
    progress_end(&verify.line);
    return report(&verify, err);
}
