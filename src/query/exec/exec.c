// The life of a query: its operators, its limits, its annotations.

#include "query/exec/exec.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

enum { NOTES_MAX = 32, BATCH_VALUES = 16384, BATCH_ROWS_MAX = 128 };

void *operator_make(Exec *exec, size_t size, const Expr *expr, Steps steps,
                    bool (*next)(Operator *, StepBatch *, Error *)) {
    Operator *operator= arena_push_size(exec->arena, size, _Alignof(max_align_t));
    *operator=(Operator){.exec = exec,
                         .expr = expr,
                         .steps = steps,
                         .next = next,
                         .node = exec->opening,
                         .in_subquery = exec->in_subquery};
    *array_add(&exec->operators) = operator;
    return operator;
}

void exec_close(Exec *exec) {
    for (size_t i = exec->operators.count; i > 0; i--) {
        Operator *operator= exec->operators.at[i - 1];
        if (operator->close != NULL) operator->close(operator);
        arena_free(&operator->keep);
        arena_free(&operator->batch);
    }
    array_free(&exec->operators);
    array_free(&exec->warnings);
    array_free(&exec->infos);
    builder_free(&exec->wire);
    if (exec->request->memory != NULL) budget_release(exec->request->memory, exec->charged);
    exec->charged = 0;
    if (exec->whole != NULL) atomic_fetch_sub(&exec->whole->shard_bytes, exec->published);
    exec->published = 0;
}

// What the query holds now: the arenas of its operators, and what it added to the request's arena.
static int64_t memory_used(const Exec *exec) {
    int64_t bytes = (int64_t)exec->arena->bytes - exec->arena_before;
    for (size_t i = 0; i < exec->operators.count; i++) {
        const Operator *operator= exec->operators.at[i];
        bytes += (int64_t)(operator->keep.bytes + operator->batch.bytes) + operator->extra_bytes;
    }
    return bytes;
}

static bool is_cancelled(const QueryRequest *request) {
    return request->cancelled != NULL && atomic_load(request->cancelled);
}

static bool is_late(const Exec *exec) {
    Clock *clock = exec->request->clock;
    return clock != NULL && clock->monotonic_ns(clock) > exec->deadline_ns;
}

bool exec_is_over(const Exec *exec) {
    return is_cancelled(exec->request) || is_late(exec);
}

bool exec_tick(Exec *exec, Error *err) {
    const QueryRequest *request = exec->request;
    if (is_cancelled(request)) return error_set(err, ERROR_CANCELLED, "the query was cancelled");
    if (is_late(exec)) {
        return error_set(err, ERROR_TIMEOUT,
                         "query timed out: it ran longer than its limit of time (query.timeout); "
                         "ask for less time, fewer series or a longer step");
    }
    int64_t own = memory_used(exec);
    int64_t used = own + atomic_load(&exec->shard_bytes);
    if (exec->whole != NULL) {
        int64_t more = own - exec->published;
        used = atomic_load(&exec->whole->shard_base) +
               atomic_fetch_add(&exec->whole->shard_bytes, more) + more;
        exec->published = own;
    }
    exec->memory_peak = MAX(exec->memory_peak, used);
    if (request->progress != NULL) {
        const Exec *whole = exec->whole == NULL ? exec : exec->whole;
        uint64_t samples = whole->samples + atomic_load(&whole->shard_samples);
        atomic_store_explicit(&request->progress->samples, samples, memory_order_relaxed);
        atomic_store_explicit(&request->progress->memory_bytes, used, memory_order_relaxed);
    }
    if (exec->memory_max > 0 && used > exec->memory_max) {
        return error_set(err, ERROR_TOO_COSTLY,
                         "the query wants more than its limit of memory (query.memory, %lld "
                         "bytes); ask for fewer series or steps",
                         (long long)exec->memory_max);
    }
    if (request->memory == NULL || own <= exec->charged) return true;
    // In pieces of a MiB, so that small queries do not fight over the counter.
    int64_t more = ((own - exec->charged) / MB + 1) * MB;
    TRY(budget_reserve(request->memory, more, err));
    exec->charged += more;
    return true;
}

static bool samples_fit(const Exec *exec, uint64_t samples, Error *err) {
    int64_t most = exec->request->limits.samples_max;
    if (most <= 0 || samples <= (uint64_t)most) return true;
    return error_set(err, ERROR_TOO_COSTLY,
                     "query processing would load too many samples into memory in query "
                     "execution (query.samples, %lld); ask for less time or fewer series",
                     (long long)most);
}

bool exec_count_samples(Exec *exec, uint64_t more, Error *err) {
    enum { FLUSH_SAMPLES = 65536, FLUSHES_MIN = 16 };
    exec->samples += more;
    if (exec->whole == NULL) return samples_fit(exec, exec->samples, err);
    int64_t most = exec->request->limits.samples_max;
    uint64_t enough =
        most > 0 ? MIN((uint64_t)most / FLUSHES_MIN, (uint64_t)FLUSH_SAMPLES) : FLUSH_SAMPLES;
    return exec->samples <= enough || exec_samples_flush(exec, err);
}

void exec_count_step(Operator *operator, size_t i, uint64_t more) {
    if (operator->in_subquery) return;
    atomic_fetch_add_explicit(&operator->exec->counts->at[i], more, memory_order_relaxed);
}

void exec_count_held(Operator *operator, uint64_t samples) {
    StepCounts *counts = operator->exec->counts;
    int64_t change = (int64_t)samples - (int64_t) operator->held;
    operator->held = samples;
    int64_t now = atomic_fetch_add(&counts->held, change) + change;
    int64_t most = atomic_load(&counts->held_most);
    while (now > most && !atomic_compare_exchange_weak(&counts->held_most, &most, now)) continue;
}

bool exec_samples_flush(Exec *shard, Error *err) {
    Exec *whole = shard->whole;
    uint64_t more = shard->samples;
    shard->samples = 0;
    uint64_t all = atomic_fetch_add(&whole->shard_samples, more) + more + whole->samples;
    return samples_fit(shard, all, err);
}

void exec_shards_base(Exec *whole) {
    atomic_store(&whole->shard_base, memory_used(whole));
}

int64_t exec_memory_max(const Exec *exec) {
    int64_t budget = exec->request->memory == NULL ? 0 : atomic_load(&exec->request->memory->limit);
    return exec->memory_max == 0 || (budget > 0 && budget < exec->memory_max) ? budget
                                                                              : exec->memory_max;
}

size_t exec_series_max(const Exec *exec) {
    int64_t bytes = exec_memory_max(exec);
    return bytes == 0 ? 0 : (size_t)MAX((int64_t)1, bytes / (int64_t)sizeof(SeriesFound));
}

double *column_new(Arena *arena, Steps steps) {
    return arena_push_array_raw(arena, double, steps.count);
}

const Histogram **histogram_column_new(Arena *arena, Steps steps) {
    return arena_push_array(arena, const Histogram *, steps.count);
}

bool series_is_empty(const StepSeries *series, Steps steps) {
    for (size_t i = 0; i < steps.count; i++) {
        if (!is_absent(series->values[i])) return false;
    }
    for (size_t i = 0; series->histograms != NULL && i < steps.count; i++) {
        if (series->histograms[i] != NULL) return false;
    }
    return true;
}

void column_fill(double *column, Steps steps, double value) {
    for (size_t i = 0; i < steps.count; i++) column[i] = value;
}

size_t batch_rows(Steps steps) {
    size_t rows = BATCH_VALUES / steps.count;
    return MAX((size_t)1, MIN(rows, (size_t)BATCH_ROWS_MAX));
}

// Where steps share a histogram, so do their copies.
static bool histograms_copy(Exec *exec, const Histogram **from, Steps steps, Arena *arena,
                            const Histogram ***out, Error *err) {
    *out = histogram_column_new(arena, steps);
    for (size_t i = 0; i < steps.count; i++) {
        if (from[i] == NULL) continue;
        bool same = i > 0 && from[i] == from[i - 1];
        (*out)[i] = same ? (*out)[i - 1] : histogram_copy(from[i], arena);
        TRY(exec_tick_histograms(exec, i, err));
    }
    return true;
}

bool operator_collect(Operator *operator, Arena * arena, StepBatch *out, Error *err) {
    ARRAY(StepSeries) all = {0};
    StepBatch batch;
    do {
        TRY(operator_next(operator, & batch, err));
        for (size_t i = 0; i < batch.count; i++) {
            StepSeries *copy = array_add_on(arena, &all);
            copy->lasting = batch.at[i].lasting;
            copy->labels = batch.at[i].labels;
            if (!copy->lasting) copy->labels.wire = bytes_copy(copy->labels.wire, arena);
            copy->drop_name = batch.at[i].drop_name;
            copy->values = column_new(arena, operator->steps);
            memcpy(copy->values, batch.at[i].values, operator->steps.count * sizeof(double));
            if (batch.at[i].histograms != NULL)
                TRY(histograms_copy(operator->exec, batch.at[i].histograms, operator->steps, arena,
                                    &copy->histograms, err));
        }
    } while (batch.count > 0);
    *out = (StepBatch){all.at, all.count};
    return true;
}

void exec_note(Exec *exec, NoteKind kind, SourceRange range, const char *format, ...) {
    char message[400];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    SourcePlace place = source_place(exec->text, range.from);
    ArenaMark before =
        arena_mark(exec->arena);  // most notes are repeated for every series, and given back
    Text note =
        text_format(exec->arena, "PromQL %s: %s (%zu:%zu)",
                    kind == NOTE_WARNING ? "warning" : "info", message, place.line, place.column);
    __typeof__(&exec->warnings) list =
        kind == NOTE_WARNING ? &exec->warnings : (void *)&exec->infos;
    for (size_t i = 0; i < list->count; i++) {
        if (text_equal(list->at[i], note)) {
            arena_reset_to(exec->arena, before);
            return;
        }
    }
    if (list->count < NOTES_MAX) {
        *array_add(list) = note;
    } else {
        arena_reset_to(exec->arena, before);
    }
}

static void take_notes(Exec *whole, const Text *notes, size_t count, NoteKind kind) {
    __typeof__(&whole->warnings) list =
        kind == NOTE_WARNING ? &whole->warnings : (void *)&whole->infos;
    for (size_t i = 0; i < count && list->count < NOTES_MAX; i++) {
        bool known = false;
        for (size_t j = 0; j < list->count; j++) known |= text_equal(list->at[j], notes[i]);
        if (!known) *array_add(list) = text_copy(notes[i], whole->arena);
    }
}

void exec_take_notes(Exec *whole, const Exec *shard) {
    take_notes(whole, shard->warnings.at, shard->warnings.count, NOTE_WARNING);
    take_notes(whole, shard->infos.at, shard->infos.count, NOTE_INFO);
}

Text number_shown(double value, Arena *arena) {
    if (isnan(value)) return TEXT("NaN");
    if (isinf(value)) return value > 0 ? TEXT("+Inf") : TEXT("-Inf");
    return text_format(arena, "%.6g", value);
}

void quantile_note(Exec *exec, SourceRange range, double q) {
    Text shown = number_shown(q, exec->arena);
    exec_note(exec, NOTE_WARNING, range, "quantile value should be between 0 and 1, got %.*s",
              TEXT_ARG(shown));
}
