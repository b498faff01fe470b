// What the tests of the store share: a store on the disk of the tests, and batches written in one
// line.
#pragma once

#include "base/test.h"
#include "os/disk_model.h"
#include "store/series/page_cache.h"
#include "store/series/series.h"

typedef struct Fixture {
    DiskModel *model;
    Disk planted;  // a copy of the model's table whose sync does nothing, when `skip_sync`
    bool skip_sync;
    Disk *around;  // the model's disk in something; NULL: the model's
    Objects *objects;
    SeriesStore *store;
    ManualClock clock;
    PageCache *pages;
    RowCache *rows;
    Budget memory, building;
    int64_t piece_bytes, series_max, cold_bytes;  // of a block
    SeriesReport report;
    SeriesPrediction prediction;
    uint64_t sequence;
    int64_t retention_ms, head_span_ms;
    const SeriesKeep *rules;  // of retention
    size_t rule_count;
    SeriesTierKeep tiers[SERIES_TIERS];
    Batch batch;
    Builder wires[64];  // label bytes of the rows of `batch`
    size_t row_count;
} Fixture;

// 2026-11-21T00:00:00Z, a Saturday.
#define FIXTURE_NOW_MS INT64_C(1795219200000)

static inline bool fixture_sync_nothing(Disk *disk, File *file, Error *err) {
    (void)disk, (void)file, (void)err;
    return true;
}

static inline Disk *fixture_disk(Fixture *f) {
    if (f->around != NULL) return f->around;
    if (!f->skip_sync) return disk_model_disk(f->model);
    f->planted = *disk_model_disk(f->model);
    f->planted.sync = f->planted.sync_data = fixture_sync_nothing;
    return &f->planted;
}

static inline SeriesOptions fixture_options(Fixture *f) {
    return (SeriesOptions){
        .objects = f->objects,
        .object_prefix = TEXT("7/"),
        .disk = fixture_disk(f),
        .folder = TEXT("data/tenants/7"),
        .clock = &f->clock.clock,
        .hash_key = {1, 2},
        .memory = &f->memory,
        .building = &f->building,
        .block_piece_bytes = f->piece_bytes,
        .block_series_max = f->series_max,
        .block_cold_bytes = f->cold_bytes,
        .pages = f->pages,
        .rows = f->rows,
        .retention = {f->retention_ms, f->rules, f->rule_count},
        .tiers = {f->tiers[0], f->tiers[1]},
        .head_span_ms = f->head_span_ms,
    };
}

static inline bool fixture_open(Fixture *f, Arena *arena, Error *err) {
    f->pages = page_cache_open(NULL, 256 * KB);  // small, so that pages come and go
    f->rows = row_cache_open(NULL, 64 * KB);
    TRY(objects_open_directory(fixture_disk(f), TEXT("data/objects"), &f->objects, err));
    f->prediction = (SeriesPrediction){0};
    return series_open(fixture_options(f), arena, &f->report, &f->store, err);
}

static inline void fixture_close(Fixture *f) {
    series_close(&f->store);
    page_cache_close(&f->pages);
    row_cache_close(&f->rows);
    objects_close(&f->objects);
}

// Housekeeping by a retention of `retention_ms` at a time that lets go what is below `before_ms`.
static inline bool fixture_drop_before(Fixture *f, int64_t before_ms, Error *err) {
    bool more;
    return series_retain(f->store, before_ms + f->retention_ms, &more, err);
}

static inline void fixture_begin(Fixture *f, Test *t) {
    *f = (Fixture){.model = disk_model_new(),
                   .memory = {.name = "ingest"},
                   .building = {.name = "blocks"},
                   .sequence = 1};
    clock_manual(&f->clock, FIXTURE_NOW_MS);
    check_ok(t, fixture_open(f, t->arena, t->err));
}

static inline void fixture_end(Fixture *f) {
    fixture_close(f);
    disk_model_free(&f->model);
    batch_free(&f->batch);
    for (size_t i = 0; i < COUNT(f->wires); i++) builder_free(&f->wires[i]);
}

// "name" and pairs of label name and value, sorted by the caller, ended by NULL.
static inline void fixture_labels(Builder *out, const char *name, const char *const *pairs) {
    labels_append(out, LABEL_NAME, text_from_cstring(name));
    for (; pairs != NULL && *pairs != NULL; pairs += 2) {
        labels_append(out, text_from_cstring(pairs[0]), text_from_cstring(pairs[1]));
    }
}

static inline BatchSeries *fixture_row(Fixture *f, const char *name, const char *const *pairs) {
    Builder *wire = &f->wires[f->row_count++];
    builder_clear(wire);
    fixture_labels(wire, name, pairs);
    BatchSeries *row = array_add(&f->batch.series);
    *row = (BatchSeries){.labels = text_bytes(builder_text(wire)),
                         .first_sample = (uint32_t)f->batch.samples.count,
                         .first_histogram = (uint32_t)f->batch.histograms.count,
                         .first_exemplar = (uint32_t)f->batch.exemplars.count};
    return row;
}

static inline void fixture_sample(Fixture *f, int64_t time_ms, double value) {
    f->batch.series.at[f->batch.series.count - 1].sample_count++;
    *array_add(&f->batch.samples) = (Sample){time_ms, value};
}

// Writes the batch and leaves it for a look at its counts; fixture_clear begins the next.
static inline void fixture_write(Fixture *f) {
    series_write_begin(f->store);
    series_resolve(f->store, &f->prediction, &f->batch, false);
    series_append(f->store, &f->batch, f->sequence++);
    series_write_end(f->store);
}

static inline void fixture_clear(Fixture *f) {
    batch_clear(&f->batch);
    f->batch.arrival_ms = f->clock.wall_ms;
    f->row_count = 0;
}

static inline void fixture_put(Fixture *f, const char *name, const char *const *pairs,
                               int64_t time_ms, double value) {
    fixture_clear(f);
    fixture_row(f, name, pairs);
    fixture_sample(f, time_ms, value);
    fixture_write(f);
}

// As PromQL prints them, sorted, one a line: "up{job=\"a\"}: 1000=1 2000=2".
static inline int fixture_by_labels(const void *a, const void *b) {
    return labels_compare(((const SeriesFound *)a)->labels, ((const SeriesFound *)b)->labels);
}

static inline Text fixture_read(Fixture *f, Test *t, Matchers matchers, int64_t from_ms,
                                int64_t to_ms) {
    SeriesView *view = NULL;
    SeriesFoundList found;
    Builder out = {0};
    SeriesColumns columns = {0};
    check_ok(t, series_view_open(f->store, from_ms, to_ms, &view, t->err));
    check_ok(t, series_select(view, matchers, 0, t->arena, &found, t->err));
    if (found.count > 0) qsort(found.at, found.count, sizeof *found.at, fixture_by_labels);
    SeriesCursor *cursor = series_cursor_open(view);
    for (size_t i = 0; i < found.count; i++) {
        check_ok(t, series_read(cursor, &found.at[i], from_ms, to_ms, &columns, t->err));
        labels_print(found.at[i].labels, &out);
        builder_add(&out, TEXT(":"));
        for (size_t k = 0; k < columns.count; k++)
            builder_addf(&out, " %lld=%g", (long long)columns.times[k], columns.values[k]);
        builder_add(&out, TEXT("\n"));
    }
    series_cursor_close(&cursor);
    series_columns_free(&columns);
    series_view_close(&view);
    Text text = text_copy(builder_text(&out), t->arena);
    builder_free(&out);
    return text;
}
