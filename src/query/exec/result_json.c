// Results in the JSON of Prometheus' API: "resultType" before "result", values as text.

#include "query/query.h"

#include "base/assert.h"
#include "codec/json.h"
#include "codec/number.h"

// A point takes no more: two brackets, a comma, quotes, the time, and the longest of all numbers.
enum { POINT_BYTES_MAX = 8 + NUMBER_TEXT_MAX + 400 };

// [1722470400.123,"0.5"] straight into the text, because answers consist of little else.
static void write_point(NumberTimes *times, int64_t time_ms, double value, JsonWriter *writer) {
    Builder *out = writer->out;
    builder_reserve(out, POINT_BYTES_MAX);
    char *begin = out->at + out->len, *at = begin;
    if (writer->need_comma) *at++ = ',';
    *at++ = '[';
    at += number_format_ms_as_s_again(times, time_ms, at);
    *at++ = ',';
    *at++ = '"';
    at += number_format_f64(value, at);
    *at++ = '"';
    *at++ = ']';
    out->len += (size_t)(at - begin);
    writer->need_comma = true;
}

static void write_number(double value, JsonWriter *writer) {
    char text[400];
    json_text(writer, (Text){text, number_format_f64(value, text)});
}

// [time,{"count":"3","sum":"4.5","buckets":[[rule,"1","2","3"]]}]; the rule says which bounds
// belong to the bucket: 0 the upper, 1 the lower, 2 none, 3 both.
static void write_histogram(int64_t time_ms, const Histogram *histogram, JsonWriter *writer) {
    char time[NUMBER_TEXT_MAX];
    json_array_begin(writer);
    json_raw(writer, (Text){time, number_format_ms_as_s(time_ms, time)});
    json_object_begin(writer);
    json_key(writer, TEXT("count"));
    write_number(histogram->count, writer);
    json_key(writer, TEXT("sum"));
    write_number(histogram->sum, writer);
    HistogramWalk walk = histogram_walk(histogram, false);
    HistogramBucket bucket;
    bool any = false;
    while (histogram_walk_next(&walk, &bucket)) {
        if (bucket.count == 0) continue;  // as Prometheus
        if (!any) {
            json_key(writer, TEXT("buckets"));
            json_array_begin(writer);
        }
        any = true;
        json_array_begin(writer);
        json_i64(writer, bucket.lower_inclusive   ? (bucket.upper_inclusive ? 3 : 1)
                         : bucket.upper_inclusive ? 0
                                                  : 2);
        write_number(bucket.lower, writer);
        write_number(bucket.upper, writer);
        write_number(bucket.count, writer);
        json_array_end(writer);
    }
    if (any) json_array_end(writer);
    json_object_end(writer);
    json_array_end(writer);
}

static bool is_histogram(const QuerySeries *series, size_t i) {
    return series->histograms != NULL && series->histograms[i] != NULL;
}

// What of a series comes next.
enum { PART_LABELS, PART_FLOATS, PART_HISTOGRAMS };

// Points of one kind under their key, where there are any. True: all of them.
static bool write_points(QueryJson *json, const QuerySeries *series, bool histograms, size_t most,
                         JsonWriter *writer) {
    for (; json->point < series->count; json->point++) {
        size_t i = json->point;
        if (is_histogram(series, i) != histograms) continue;
        if (writer->out->len >= most) return false;
        if (!json->any_point) {
            json_key(writer, histograms ? TEXT("histograms") : TEXT("values"));
            json_array_begin(writer);
        }
        json->any_point = true;
        if (i < series->json_count) {
            assert(i == 0 && series->histograms == NULL);
            json_raw(writer, series->json_points);
            json->point = series->json_count - 1;
            continue;
        }
        if (histograms) {
            write_histogram(series->times[i], series->histograms[i], writer);
        } else {
            write_point(&json->times, series->times[i], series->values[i], writer);
        }
    }
    if (json->any_point) json_array_end(writer);
    return true;
}

static void next_part(QueryJson *json, int part) {
    json->part = part;
    json->point = 0;
    json->any_point = false;
}

static void write_labels(const QuerySeries *series, JsonWriter *writer) {
    if (series->json_labels.len > 0) {
        json_raw(writer, series->json_labels);
    } else {
        labels_write_json(series->labels, writer);
    }
}

// A series of a matrix. True: it is whole.
static bool matrix_series(QueryJson *json, size_t most, JsonWriter *writer) {
    const QuerySeries *series = &json->result->series[json->series];
    if (json->part == PART_LABELS) {
        json_object_begin(writer);
        json_key(writer, TEXT("metric"));
        write_labels(series, writer);
        next_part(json, PART_FLOATS);
    }
    if (json->part == PART_FLOATS) {
        if (!write_points(json, series, false, most, writer)) return false;
        next_part(json, PART_HISTOGRAMS);
    }
    bool whole = series->histograms == NULL || write_points(json, series, true, most, writer);
    if (!whole) return false;
    json_object_end(writer);
    next_part(json, PART_LABELS);
    return true;
}

static void vector_series(QueryJson *json, const QuerySeries *series, JsonWriter *writer) {
    json_object_begin(writer);
    json_key(writer, TEXT("metric"));
    labels_write_json(series->labels, writer);
    if (is_histogram(series, 0)) {
        json_key(writer, TEXT("histogram"));
        write_histogram(series->times[0], series->histograms[0], writer);
    } else {
        json_key(writer, TEXT("value"));
        write_point(&json->times, series->times[0], series->values[0], writer);
    }
    json_object_end(writer);
}

static bool next_series(QueryJson *json, size_t most, JsonWriter *writer) {
    const QueryResult *result = json->result;
    while (json->series < result->count) {
        if (writer->out->len >= most) return false;
        if (result->type == VALUE_VECTOR) {
            vector_series(json, &result->series[json->series], writer);
        } else if (!matrix_series(json, most, writer)) {
            return false;
        }
        json->series++;
    }
    return true;
}

static void begin(QueryJson *json, JsonWriter *writer) {
    const QueryResult *result = json->result;
    static const Text names[] = {TEXT_INIT("none"), TEXT_INIT("scalar"), TEXT_INIT("vector"),
                                 TEXT_INIT("matrix"), TEXT_INIT("string")};  // ORDER: ValueType
    char time[NUMBER_TEXT_MAX];
    json_object_begin(writer);
    json_key(writer, TEXT("resultType"));
    json_text(writer, names[result->type]);
    json_key(writer, TEXT("result"));
    switch (result->type) {
        case VALUE_SCALAR:
            write_point(&json->times, result->series[0].times[0], result->series[0].values[0],
                        writer);
            break;
        case VALUE_STRING:
            json_array_begin(writer);
            json_raw(writer, (Text){time, number_format_ms_as_s(result->time_ms, time)});
            json_text(writer, result->string);
            json_array_end(writer);
            break;
        case VALUE_VECTOR:
        case VALUE_MATRIX:
        case VALUE_NONE:
            json_array_begin(writer);
            break;
    }
}

bool query_json_next(QueryJson *json, size_t bytes, JsonWriter *writer) {
    const QueryResult *result = json->result;
    size_t most = bytes > SIZE_MAX - writer->out->len ? SIZE_MAX : writer->out->len + bytes;
    if (!json->begun) begin(json, writer);
    json->begun = true;
    if (result->type != VALUE_SCALAR && result->type != VALUE_STRING) {
        if (!next_series(json, most, writer)) return false;
        json_array_end(writer);
    }
    json_object_end(writer);
    return true;
}

void query_json_points(const int64_t *times, const double *values, size_t count, Builder *out,
                       uint32_t *ends) {
    JsonWriter writer = {.out = out, .need_comma = out->len > 0};
    NumberTimes seconds = {0};
    for (size_t i = 0; i < count; i++) {
        write_point(&seconds, times[i], values[i], &writer);
        ends[i] = (uint32_t)out->len;
    }
}

void query_write_json(const QueryResult *result, JsonWriter *writer) {
    QueryJson json = {.result = result};
    bool whole = query_json_next(&json, SIZE_MAX, writer);
    assert(whole);
}
