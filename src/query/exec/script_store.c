// Loading the series of a script into a real store over a disk in memory.

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
} Row;

// With custom buckets, a bucket series also gives a native histogram of the name without `_bucket`;
// its content is not looked at before native histograms are evaluated.
static bool base_of_bucket(Labels labels, Arena *arena, Labels *out, Error *err) {
    LabelArray kept = {0};
    Label label;
    *out = LABELS_NONE;
    Text name = labels_get(labels, LABEL_NAME);
    if (!text_ends_with(name, TEXT("_bucket")) || labels_get(labels, TEXT("le")).at == NULL)
        return true;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) {
        if (text_equal(label.name, TEXT("le"))) continue;
        if (text_equal(label.name, LABEL_NAME))
            label.value = text_slice(name, 0, name.len - strlen("_bucket"));
        *array_add_on(arena, &kept) = label;
    }
    return labels_make(kept.at, kept.count, arena, out, err);
}

static void batch_add(Batch *batch, Labels labels, Points points, int64_t step_ms,
                      bool all_histograms) {
    static const uint8_t histogram[] = {0x08, 0x01};  // prometheus.Histogram with count_int = 1
    BatchSeries *row = array_add(&batch->series);
    *row = (BatchSeries){.labels = labels.wire,
                         .first_sample = (uint32_t)batch->samples.count,
                         .first_histogram = (uint32_t)batch->histograms.count};
    for (size_t i = 0; i < points.count; i++) {
        Point point = points.at[i];
        int64_t time_ms = (int64_t)i * step_ms;
        if (point.kind == POINT_HISTOGRAM || (all_histograms && point.kind == POINT_VALUE)) {
            *array_add(&batch->histograms) =
                (BatchHistogram){time_ms, {histogram, sizeof histogram}};
            row->histogram_count++;
        } else if (point.kind != POINT_NONE) {
            *array_add(&batch->samples) =
                (Sample){time_ms, point.kind == POINT_STALE ? stale_nan() : point.value};
            row->sample_count++;
        }
    }
}

static bool rows_parse(Text lines, Arena *arena, Row **out, size_t *count, Error *err) {
    ARRAY(Row) rows = {0};
    Text line;
    while (text_cut(&lines, '\n', &line)) {
        line = text_trim(line);
        if (line.len == 0) continue;
        Row row;
        Text series = points_cut_series(&line);
        if (!script_labels(series, arena, &row.labels, err))
            return error_context(err, "series \"%.*s\"", TEXT_ARG(series));
        TRY(points_parse(line, arena, &row.points, err));
        // A series that stands twice in one load is the second one.
        size_t at = 0;
        while (at < rows.count && !labels_equal(rows.at[at].labels, row.labels)) at++;
        if (at == rows.count) array_add_on(arena, &rows);
        rows.at[at] = row;
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
    for (size_t i = 0; i < count; i++) {
        batch_add(&batch, rows[i].labels, rows[i].points, step_ms, false);
        Labels base = LABELS_NONE;
        if (with_custom_buckets) TRY(base_of_bucket(rows[i].labels, arena, &base, err));
        bool new_base = base.wire.len > 0;
        for (size_t j = 0; j < batch.series.count && new_base; j++)
            new_base = !bytes_equal(batch.series.at[j].labels, base.wire);
        if (new_base) batch_add(&batch, base, rows[i].points, step_ms, true);
    }
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
