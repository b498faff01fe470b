// For tests, fuzzing and measuring: objects in memory, and blocks over them.
#pragma once

#include "base/assert.h"
#include "model/sample.h"
#include "store/series/block.h"
#include "store/series/series.h"

// One object in memory. Bytes are copied to memory of their exact size, so that the sanitizer sees
// a step too far.
typedef struct MemoryObject {
    Objects objects;
    uint8_t *at;
    size_t len;
} MemoryObject;

static bool memory_object_open(Objects *objects, Text name, int64_t bytes, Object *out,
                               Error *err) {
    MemoryObject *memory = objects->context;
    if ((int64_t)memory->len != bytes)
        return error_set(err, ERROR_CORRUPT, "%.*s has %zu bytes, not %lld", TEXT_ARG(name),
                         memory->len, (long long)bytes);
    *out = (Object){{memory->at, memory->len}, NULL};
    return true;
}

static void memory_object_close(Objects *objects, Object *object) {
    *object = (Object){0};
}

static void memory_object_will_need(Objects *objects, Bytes part) {
    const MemoryObject *memory = objects->context;
    assert(part.at >= memory->at && part.len <= memory->len - (size_t)(part.at - memory->at));
}

static inline void memory_object_begin(MemoryObject *memory, Bytes bytes) {
    *memory = (MemoryObject){.objects = {.context = memory,
                                         .open = memory_object_open,
                                         .close = memory_object_close,
                                         .will_need = memory_object_will_need}};
    memory->at = memory_take(bytes.len + (bytes.len == 0));
    if (bytes.len > 0) memcpy(memory->at, bytes.at, bytes.len);
    memory->len = bytes.len;
}

static inline void memory_object_end(MemoryObject *memory) {
    memory_free(memory->at);
}

static inline bool memory_block_open(MemoryObject *memory, Block **out, Error *err) {
    return block_open(&memory->objects, TEXT("test"), (int64_t)memory->len, out, err);
}

// Labels from "name", "value", … in name order, on the arena.
static inline Labels fixture_labels(Arena *arena, const char *const *words, size_t count) {
    Builder wire = {0};
    for (size_t i = 0; i + 1 < count; i += 2)
        labels_append(&wire, text_from_cstring(words[i]), text_from_cstring(words[i + 1]));
    Labels labels = {bytes_copy(text_bytes(builder_text(&wire)), arena)};
    builder_free(&wire);
    return labels;
}
#define FIXTURE_LABELS(arena, ...)                              \
    fixture_labels((arena), (const char *const[]){__VA_ARGS__}, \
                   COUNT(((const char *const[]){__VA_ARGS__})))

// Everything a block holds, as text: two blocks with equal texts have equal content, bit for bit.
static bool fixture_histogram(void *context, int64_t time_ms, Bytes wire, Error *err) {
    builder_addf(context, "  histogram %lld %.*s\n", (long long)time_ms,
                 TEXT_ARG(bytes_text(wire)));
    return true;
}
static bool fixture_exemplar(void *context, int64_t time_ms, double value, Labels labels,
                             Error *err) {
    builder_addf(context, "  exemplar %lld %a %zu ", (long long)time_ms, value, labels.wire.len);
    builder_add(context, bytes_text(labels.wire));
    builder_add_char(context, '\n');
    return true;
}
static bool fixture_chunk(void *context, const ChunkSummary *chunk, Error *err) {
    builder_addf(context, "  chunk %lld %lld %u %u %a %a %a %a %a\n", (long long)chunk->first_ms,
                 (long long)chunk->last_ms, chunk->count, chunk->resets, chunk->sum, chunk->min,
                 chunk->max, chunk->first, chunk->last);
    return true;
}
static bool fixture_metadata(void *context, const BatchMetadata *metadata, Error *err) {
    builder_addf(context, "metadata %.*s %u %.*s %.*s\n", TEXT_ARG(metadata->family),
                 metadata->type, TEXT_ARG(metadata->help), TEXT_ARG(metadata->unit));
    return true;
}

static inline bool fixture_series(const Block *block, BlockCursor *cursor, uint32_t series,
                                  SeriesColumns *columns, Arena *arena, Builder *out, Error *err) {
    Labels labels;
    TRY(block_labels(block, series, arena, &labels, err));
    builder_add(out, bytes_text(labels.wire));
    columns->count = columns->histograms = 0;
    columns->wants_starts = true;
    columns->has_starts = false;
    TRY(block_read(cursor, series, INT64_MIN, INT64_MAX, columns, err));
    builder_addf(out, "\n%zu %zu\n", columns->count, columns->histograms);
    builder_add_bytes(out, columns->times, columns->count * sizeof *columns->times);
    builder_add_bytes(out, columns->values, columns->count * sizeof *columns->values);
    if (columns->has_starts)
        builder_add_bytes(out, columns->starts, columns->count * sizeof *columns->starts);
    TRY(block_each_chunk(cursor, series, fixture_chunk, out, err));
    TRY(block_each_histogram(cursor, series, INT64_MIN, INT64_MAX, fixture_histogram, out, err));
    return block_each_exemplar(cursor, series, INT64_MIN, INT64_MAX, fixture_exemplar, out, err);
}

static inline bool fixture_dump(const Block *block, Builder *out, Error *err) {
    BlockFacts facts = block_facts(block);
    builder_addf(out, "%lld %lld %llu %llu %llu %llu %llu\n", (long long)facts.min_ms,
                 (long long)facts.max_ms, (unsigned long long)facts.series,
                 (unsigned long long)facts.samples, (unsigned long long)facts.chunks,
                 (unsigned long long)facts.histograms, (unsigned long long)facts.exemplars);
    BlockCursor *cursor = block_cursor_open(block);
    SeriesColumns columns = {0};
    Arena arena = {0};
    Texts names = {0};
    bool good = true;
    for (uint32_t series = 0; good && series < facts.series; series++)
        good = fixture_series(block, cursor, series, &columns, &arena, out, err);
    good = good && block_label_names(block, &arena, &names, err);
    for (size_t i = 0; good && i < names.count; i++) {
        Texts values;
        good = block_label_values(block, names.at[i], &arena, &values, err);
        for (size_t k = 0; good && k < values.count; k++) {
            Matcher matcher = {MATCH_EQUAL, names.at[i], values.at[k], NULL};
            BlockSeriesSet set;
            good = block_select(block, (Matchers){&matcher, 1}, &arena, &set, err);
            if (good)
                builder_addf(out, "%.*s=%.*s:", TEXT_ARG(names.at[i]), TEXT_ARG(values.at[k]));
            for (size_t s = 0; good && s < set.count; s++) builder_addf(out, " %u", set.at[s]);
            builder_add_char(out, '\n');
        }
    }
    good = good && block_each_metadata(block, fixture_metadata, out, err);
    series_columns_free(&columns);
    block_cursor_close(&cursor);
    arena_free(&arena);
    return good;
}

// The block of test/golden/series/block: small, fixed, with something of everything.
static inline bool fixture_golden(Builder *out, Error *err) {
    static const double odd[] = {1, 1.5, -0.0, 2.25, 0, 1e300, -3, 4};
    Arena arena = {0};
    BlockWriter *writer = block_writer_begin();
    int64_t times[40];
    double values[40];
    for (size_t i = 0; i < COUNT(times); i++)
        times[i] = 1700000000000 + (int64_t)i * 15000 + (i % 4 == 1 ? 3 : 0);
    bool good = true;
    for (size_t s = 0; good && s < 4; s++) {
        static const char *const names[] = {"a", "b", "b", "c"}, *const instances[] = {
                                                                     "one", "one", "two", "two"};
        Labels labels =
            s == 3 ? FIXTURE_LABELS(&arena, "__name__", "c")
                   : FIXTURE_LABELS(&arena, "__name__", names[s], "instance", instances[s]);
        for (size_t i = 0; i < COUNT(values); i++) {
            values[i] = s == 0 ? 7 : s == 1 ? 100.0 + (double)(i * i) : odd[i % COUNT(odd)];
            if (s == 2 && i % 20 == 19) values[i] = stale_nan();
        }
        good = block_writer_series(writer, labels, err) &&
               block_writer_samples(writer, times, values, s == 3 ? 3 : COUNT(times), err);
        if (s == 3) {
            good =
                good &&
                block_writer_histogram(writer, times[0], text_bytes(TEXT("histogram one")), err) &&
                block_writer_histogram(writer, times[2], text_bytes(TEXT("two")), err) &&
                block_writer_exemplar(writer, times[1], 0.5,
                                      FIXTURE_LABELS(&arena, "trace_id", "0123"), err);
        }
    }
    BatchMetadata metadata = {TEXT("a"), 2, TEXT("what a is"), TEXT("bytes")};
    good = good && block_writer_metadata(writer, &metadata, err) &&
           block_writer_finish(writer, out, err);
    block_writer_free(&writer);
    arena_free(&arena);
    return good;
}

// The block of test/golden/series/block_starts: three series of one clock that say when their
// counting began. One begins anew in the middle, one never does, one is not sure for a while.
static inline bool fixture_golden_starts(Builder *out, Error *err) {
    static const char *const names[] = {"restarts_total", "steady_total", "unsure_total"};
    const int64_t first = 1700000000000;
    Arena arena = {0};
    BlockWriter *writer = block_writer_begin();
    int64_t times[8], starts[8];
    double values[8];
    bool good = true;
    for (size_t s = 0; good && s < COUNT(names); s++) {
        for (size_t i = 0; i < COUNT(times); i++) {
            bool again = s == 0 && i >= 5;
            times[i] = first + (int64_t)i * 15000;
            values[i] = 10 * (double)(again ? i - 5 : i);
            starts[i] = again ? first + 5 * 15000 - 2000 : first - 60000;
            if (s == 2 && i >= 2 && i < 4) starts[i] = 0;
        }
        SeriesColumns columns = {.times = times,
                                 .values = values,
                                 .count = COUNT(times),
                                 .starts = starts,
                                 .has_starts = true};
        good = block_writer_series(writer, FIXTURE_LABELS(&arena, "__name__", names[s]), err) &&
               block_writer_columns(writer, &columns, err);
    }
    good = good && block_writer_finish(writer, out, err);
    block_writer_free(&writer);
    arena_free(&arena);
    return good;
}

// The block of test/golden/series/block_near: two series of sums of tenths, one of which ends.
static inline bool fixture_golden_near(Builder *out, Error *err) {
    Arena arena = {0};
    BlockWriter *writer = block_writer_begin();
    block_writer_cold(writer);
    int64_t times[96];
    double values[2][96], sum = 0;
    for (size_t i = 0; i < COUNT(times); i++) {
        times[i] = 1700000000000 + (int64_t)i * 15000;
        values[0][i] = sum += 0.1 * (double)(i % 7);
        values[1][i] = i == COUNT(times) - 1 ? stale_nan() : sum * 3;
    }
    bool good = true;
    static const char *const names[] = {"ending_seconds_total", "seconds_total"};
    for (size_t s = 0; good && s < 2; s++) {
        good = block_writer_series(writer, FIXTURE_LABELS(&arena, "__name__", names[s]), err) &&
               block_writer_samples(writer, times, values[1 - s], COUNT(times), err);
    }
    good = good && block_writer_finish(writer, out, err);
    block_writer_free(&writer);
    arena_free(&arena);
    return good;
}
