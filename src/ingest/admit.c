// The gate: each row is judged alone, and a refused row leaves the others as they are.

#include "ingest/admit.h"

#include "base/limits.h"

// Times outside these bounds are mistakes of unit or clock.
typedef struct Bounds {
    int64_t from_ms, to_ms;
} Bounds;

static inline bool inside(Bounds bounds, int64_t time_ms) {
    return time_ms >= bounds.from_ms && time_ms <= bounds.to_ms;
}

static void refuse_time(Batch *batch, BatchSeries *series, Bounds bounds, int64_t time_ms) {
    bool old = time_ms < bounds.from_ms;
    Verdict verdict = old ? VERDICT_TOO_OLD : VERDICT_TOO_NEW;
    if (batch->first_fault.code != ERROR_NONE) {
        batch_refuse(batch, series, verdict, NULL);
        return;
    }
    AUTO(builder_free) Builder name = {0};
    Error why, ignored;
    if (labels_check(batch_labels(batch, series), &ignored)) {
        labels_print((Labels){series->labels}, &name);
    } else {
        builder_add(&name, TEXT("(labels not readable)"));
    }
    Text shown = text_slice(builder_text(&name), 0, 200);
    error_set(&why, ERROR_BAD_INPUT,
              "%.*s: a sample at %lld ms is %s (accepted: %lld to %lld, limit %s); check the "
              "sender's clock and unit",
              TEXT_ARG(shown), (long long)time_ms, old ? "too old" : "too far in the future",
              (long long)bounds.from_ms, (long long)bounds.to_ms,
              old ? "SAMPLE_AGE_PAST_MS" : "SAMPLE_AGE_FUTURE_MS");
    batch_refuse(batch, series, verdict, &why);
}

static void judge_times(Batch *batch, BatchSeries *series, Bounds bounds) {
    const Sample *samples = batch->samples.at + series->first_sample;
    for (uint32_t i = 0; i < series->sample_count; i++) {
        if (unlikely(!inside(bounds, samples[i].time_ms))) {
            refuse_time(batch, series, bounds, samples[i].time_ms);
            return;
        }
    }
    for (uint32_t i = 0; i < series->histogram_count; i++) {
        const BatchHistogram *histogram = &batch->histograms.at[series->first_histogram + i];
        if (!inside(bounds, histogram->time_ms)) {
            refuse_time(batch, series, bounds, histogram->time_ms);
            return;
        }
        if ((int64_t)histogram->wire.len > LIMIT_HISTOGRAM_BYTES) {
            Error why;
            error_set(&why, ERROR_TOO_LARGE,
                      "a native histogram of %zu bytes passes HISTOGRAM_BYTES (%lld)",
                      histogram->wire.len, (long long)LIMIT_HISTOGRAM_BYTES);
            batch_refuse(batch, series, VERDICT_BAD_VALUE, &why);
            return;
        }
    }
}

// An exemplar beyond its limits or malformed is dropped, its samples stay: Prometheus does the
// same.
static void judge_exemplars(Batch *batch, BatchSeries *series, Bounds bounds) {
    uint32_t kept = 0;
    BatchExemplar *exemplars = batch->exemplars.at + series->first_exemplar;
    for (uint32_t i = 0; i < series->exemplar_count; i++) {
        bool fits = labels_check_exemplar(exemplars[i].labels, NULL);
        if (fits && inside(bounds, exemplars[i].time_ms)) exemplars[kept++] = exemplars[i];
    }
    series->exemplar_count = kept;
}

static void judge_metadata(Batch *batch) {
    size_t kept = 0;
    for (size_t i = 0; i < batch->metadata.count; i++) {
        const BatchMetadata *metadata = &batch->metadata.at[i];
        bool fits = metadata->family.len > 0 &&
                    (int64_t)metadata->family.len <= LIMIT_LABEL_VALUE_BYTES &&
                    (int64_t)(metadata->help.len + metadata->unit.len) <= LIMIT_METADATA_BYTES &&
                    text_is_utf8(metadata->family) && text_is_utf8(metadata->help) &&
                    text_is_utf8(metadata->unit);
        if (fits) batch->metadata.at[kept++] = *metadata;
    }
    batch->metadata.count = kept;
}

static Bounds bounds_of(const Batch *batch) {
    return (Bounds){batch->arrival_ms - LIMIT_SAMPLE_AGE_PAST_MS,
                    batch->arrival_ms + LIMIT_SAMPLE_AGE_FUTURE_MS};
}

// Whether all samples are, which one look at the times tells.
static bool all_inside(const Batch *batch, Bounds bounds) {
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (size_t i = 0; i < batch->samples.count; i++) {
        int64_t time_ms = batch->samples.at[i].time_ms;
        least = time_ms < least ? time_ms : least;
        most = time_ms > most ? time_ms : most;
    }
    return batch->samples.count == 0 || (inside(bounds, least) && inside(bounds, most));
}

void admit(Batch *batch) {
    Bounds bounds = bounds_of(batch);
    bool fine = batch->histograms.count == 0 && all_inside(batch, bounds);
    if (unlikely(!fine)) batch_unfold(batch);
    for (size_t i = 0; !fine && i < batch->series.count; i++)
        judge_times(batch, &batch->series.at[i], bounds);
    admit_beside(batch);
}

void admit_beside(Batch *batch) {
    Bounds bounds = bounds_of(batch);
    for (size_t i = 0; batch->exemplars.count > 0 && i < batch->series.count; i++) {
        BatchSeries *series = &batch->series.at[i];
        if (series->exemplar_count > 0) judge_exemplars(batch, series, bounds);
    }
    judge_metadata(batch);
}
