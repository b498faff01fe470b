// Loading the series of a script into a real store over a disk in memory.

#include <math.h>
#include <stdlib.h>

#include "query/exec/script.h"
#include "query/exec/script_points.h"
#include "query/promql/promql.h"

bool script_store_open(ScriptStore *store, Arena *arena, Error *err) {
    *store = (ScriptStore){.disk = disk_model_new(), .memory = {.name = "test"}, .sequence = 1};
    clock_manual(&store->clock, INT64_C(1795219200000));
    Disk *disk = disk_model_disk(store->disk);
    TRY(objects_open_directory(disk, TEXT("data/objects"), &store->objects, err));
    SeriesReport report;
    SeriesOptions options = {.objects = store->objects,
                             .object_prefix = TEXT("1/"),
                             .disk = disk,
                             .folder = TEXT("data/tenants/1"),
                             .clock = &store->clock.clock,
                             .hash_key = {1, 2},
                             .memory = &store->memory,
                             .tiers = {{.on = true}, {.on = true}},  // made when asked for
                             .head_span_ms = INT64_MAX / 4};
    return series_open(options, arena, &report, &store->store, err);
}

void script_store_close(ScriptStore *store) {
    if (store->store != NULL) series_close(&store->store);
    if (store->objects != NULL) objects_close(&store->objects);
    if (store->disk != NULL) disk_model_free(&store->disk);
}

bool script_labels(Text text, Arena *arena, Labels *out, Error *err) {
    text = text_trim(text);
    Text inside =
        text_starts_with(text, TEXT("{")) ? text_trim(text_slice(text, 1, text.len - 1)) : text;
    if (inside.len == 0) {
        *out = LABELS_NONE;
        return true;
    }
    AUTO(promql_close) Promql promql = {0};
    TRY(promql_parse_selector(text, arena, &promql, err));
    Matchers matchers = promql.root->as.selector.matchers;
    Label *labels = arena_push_array(arena, Label, matchers.count);
    for (size_t i = 0; i < matchers.count; i++)
        labels[i] = (Label){matchers.at[i].name, matchers.at[i].value};
    return labels_make(labels, matchers.count, arena, out, err);
}

typedef struct Row {
    Labels labels;
    Points points;
    PointStarts starts;
} Row;

// ---- load_with_nhcb: classic histograms become native ones with custom bounds, too ----

typedef struct ScriptBucket {
    double bound, count;
} ScriptBucket;

// What is known of one moment of a classic histogram.
typedef struct ClassicMoment {
    ARRAY(ScriptBucket) buckets;
    double count, sum;
    bool has_count, any;
} ClassicMoment;

typedef struct Classic {
    Labels labels;  // without suffix and `le`
    ClassicMoment *moments;
    size_t count;
    struct Classic *next;
} Classic;

static int by_bound(const void *a, const void *b) {
    double left = ((const ScriptBucket *)a)->bound, right = ((const ScriptBucket *)b)->bound;
    return (left > right) - (left < right);
}

static const Histogram *classic_convert(ClassicMoment *moment, Arena *arena) {
    ScriptBucket *buckets = moment->buckets.at;
    size_t kept = 0;
    if (moment->buckets.count > 0) qsort(buckets, moment->buckets.count, sizeof *buckets, by_bound);
    for (size_t i = 0; i < moment->buckets.count; i++) {
        if (kept == 0 || buckets[kept - 1].bound != buckets[i].bound) buckets[kept++] = buckets[i];
    }
    if (!moment->has_count && kept > 0) moment->count = buckets[kept - 1].count;
    bool open = kept == 0 || !isinf(buckets[kept - 1].bound);
    size_t count = kept + open;
    int32_t *index = arena_push_array_raw(arena, int32_t, count);
    double *counts = arena_push_array_raw(arena, double, count);
    double *bounds = arena_push_array_raw(arena, double, count);
    for (size_t i = 0; i < count; i++) {
        double before = i == 0 ? 0 : buckets[i - 1].count;
        index[i] = (int32_t)i;
        counts[i] = (i == kept ? moment->count : buckets[i].count) - before;
        if (i + 1 < count) bounds[i] = buckets[i].bound;
    }
    Histogram *made = arena_push(arena, Histogram);
    *made = (Histogram){.schema = HISTOGRAM_SCHEMA_CUSTOM,
                        .count = moment->count,
                        .sum = moment->sum,
                        .positive = {index, counts, count},
                        .bounds = bounds,
                        .bound_count = count - 1};
    return made;
}

// False when the series is no part of a classic histogram. `*bound` of a bucket only.
static bool classic_part(Labels labels, Arena *arena, Text *suffix, double *bound, Labels *base,
                         Error *err) {
    static const Text suffixes[] = {TEXT_INIT("_bucket"), TEXT_INIT("_count"), TEXT_INIT("_sum")};
    Text name = labels_get(labels, LABEL_NAME);
    *suffix = TEXT("");
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        if (text_ends_with(name, suffixes[i])) *suffix = suffixes[i];
    }
    bool bucket = text_equal(*suffix, suffixes[0]);
    *base = LABELS_NONE;
    if (suffix->len == 0 || (bucket && !text_to_f64(labels_get(labels, TEXT("le")), bound)))
        return true;
    LabelArray kept = {0};
    Label label;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) {
        if (bucket && text_equal(label.name, TEXT("le"))) continue;
        if (text_equal(label.name, LABEL_NAME))
            label.value = text_slice(name, 0, name.len - suffix->len);
        *array_add_on(arena, &kept) = label;
    }
    return labels_make(kept.at, kept.count, arena, base, err);
}

static bool classic_collect(const Row *row, Classic **all, Arena *arena, Error *err) {
    Text suffix;
    double bound = 0;
    Labels base;
    TRY(classic_part(row->labels, arena, &suffix, &bound, &base, err));
    if (base.wire.len == 0) return true;
    Classic *classic = *all;
    while (classic != NULL && !labels_equal(classic->labels, base)) classic = classic->next;
    if (classic == NULL) {
        classic = arena_push(arena, Classic);
        *classic = (Classic){.labels = base, .next = *all};
        *all = classic;
    }
    if (classic->count < row->points.count) {
        ClassicMoment *moments = arena_push_array(arena, ClassicMoment, row->points.count);
        for (size_t i = 0; i < classic->count; i++) moments[i] = classic->moments[i];
        classic->moments = moments;
        classic->count = row->points.count;
    }
    for (size_t i = 0; i < row->points.count; i++) {
        ClassicMoment *moment = &classic->moments[i];
        if (row->points.at[i].kind != POINT_VALUE) continue;
        moment->any = true;
        double value = row->points.at[i].value;
        if (text_equal(suffix, TEXT("_sum"))) {
            moment->sum = value;
        } else if (text_equal(suffix, TEXT("_count"))) {
            moment->count = value;
            moment->has_count = true;
        } else {
            *array_add_on(arena, &moment->buckets) = (ScriptBucket){bound, value};
        }
    }
    return true;
}

// ---- Rows of a batch ----

static Bytes wire_of(const Histogram *histogram, int64_t start_ms, Arena *arena) {
    AUTO(builder_free) Builder out = {0};
    NativeHistogram native;
    histogram_encode(histogram, arena, &native);
    native.start_ms = start_ms;
    native_histogram_write(&native, &out);
    return bytes_copy(text_bytes(builder_text(&out)), arena);
}

static void batch_add(Batch *batch, Labels labels, Points points, PointStarts starts,
                      int64_t step_ms, Arena *arena) {
    BatchSeries *row = array_add(&batch->series);
    *row = (BatchSeries){.labels = labels.wire,
                         .first_sample = (uint32_t)batch->samples.count,
                         .first_histogram = (uint32_t)batch->histograms.count};
    for (size_t i = 0; i < points.count; i++) {
        Point point = points.at[i];
        int64_t time_ms = (int64_t)i * step_ms;
        bool started = i < starts.count && starts.at[i].known;
        int64_t start_ms = started ? time_ms + starts.at[i].offset_ms : 0;
        if (point.kind == POINT_HISTOGRAM) {
            *array_add(&batch->histograms) =
                (BatchHistogram){time_ms, wire_of(point.histogram, start_ms, arena)};
            row->histogram_count++;
        } else if (point.kind != POINT_NONE) {
            *array_add(&batch->samples) =
                (Sample){time_ms, point.kind == POINT_STALE ? stale_nan() : point.value};
            row->sample_count++;
            if (start_ms != 0) batch_add_start(batch, start_ms);
        }
    }
}

static void batch_add_classic(Batch *batch, Classic *classic, int64_t step_ms, Arena *arena) {
    Points points = {arena_push_array(arena, Point, classic->count), classic->count};
    for (size_t i = 0; i < classic->count; i++) {
        points.at[i].kind = POINT_NONE;
        if (!classic->moments[i].any) continue;
        points.at[i] = (Point){.kind = POINT_HISTOGRAM,
                               .histogram = classic_convert(&classic->moments[i], arena)};
    }
    batch_add(batch, classic->labels, points, (PointStarts){0}, step_ms, arena);
}

static bool rows_parse(Text lines, Arena *arena, Row **out, size_t *count, Error *err) {
    ARRAY(Row) rows = {0};
    Text line;
    while (text_cut(&lines, '\n', &line)) {
        line = text_trim(line);
        if (line.len == 0) continue;
        Row row = {0};
        Text series = points_cut_series(&line);
        bool starts = text_ends_with(series, TEXT("@st")) || text_starts_with(line, TEXT("@st"));
        if (text_ends_with(series, TEXT("@st"))) {
            series = text_slice(series, 0, series.len - 3);
        } else if (starts) {
            line = text_slice(line, 3, line.len);
        }
        if (!script_labels(series, arena, &row.labels, err))
            return error_context(err, "series \"%.*s\"", TEXT_ARG(series));
        // A series that stands twice in one load is the second one.
        size_t at = 0;
        while (at < rows.count && !labels_equal(rows.at[at].labels, row.labels)) at++;
        if (at == rows.count) *array_add_on(arena, &rows) = row;
        if (starts) {
            TRY(points_parse_starts(line, arena, &rows.at[at].starts, err));
        } else {
            TRY(points_parse(line, arena, &rows.at[at].points, err));
        }
    }
    *out = rows.at;
    *count = rows.count;
    return true;
}

bool script_load(ScriptStore *store, Text lines, int64_t step_ms, bool with_custom_buckets,
                 Arena *arena, Error *err) {
    Row *rows = NULL;
    size_t count = 0;
    TRY(rows_parse(lines, arena, &rows, &count, err));
    Batch batch = {0};
    Classic *classics = NULL;
    for (size_t i = 0; i < count; i++) {
        batch_add(&batch, rows[i].labels, rows[i].points, rows[i].starts, step_ms, arena);
        if (with_custom_buckets) TRY(classic_collect(&rows[i], &classics, arena, err));
    }
    for (Classic *classic = classics; classic != NULL; classic = classic->next)
        batch_add_classic(&batch, classic, step_ms, arena);
    SeriesPrediction prediction = {0};
    series_write_begin(store->store);
    series_resolve(store->store, &prediction, &batch, false);
    series_append(store->store, &batch, store->sequence++);
    series_write_end(store->store);
    Error fault = batch.first_fault;
    batch_free(&batch);
    if (fault.code == ERROR_NONE) return true;
    return error_set(err, fault.code, "%s", fault.message);
}
