// Results in the JSON of Prometheus' API: "resultType" before "result", values as text.

#include "query/query.h"

#include "codec/json.h"
#include "codec/number.h"

// [1722470400.123,"0.5"]: written in one piece, because answers consist of little else.
static void write_point(int64_t time_ms, double value, JsonWriter *writer) {
    char text[NUMBER_TEXT_MAX + 400 + 8];
    size_t len = 0;
    text[len++] = '[';
    len += number_format_ms_as_s(time_ms, text + len);
    text[len++] = ',';
    text[len++] = '"';
    len += number_format_f64(value, text + len);
    text[len++] = '"';
    text[len++] = ']';
    json_raw(writer, (Text){text, len});
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

// Points of one kind under their key, where there are any.
static void write_points(const QuerySeries *series, bool histograms, JsonWriter *writer) {
    bool any = false;
    for (size_t i = 0; i < series->count; i++) {
        if (is_histogram(series, i) != histograms) continue;
        if (!any) {
            json_key(writer, histograms ? TEXT("histograms") : TEXT("values"));
            json_array_begin(writer);
        }
        any = true;
        if (histograms) {
            write_histogram(series->times[i], series->histograms[i], writer);
        } else {
            write_point(series->times[i], series->values[i], writer);
        }
    }
    if (any) json_array_end(writer);
}

static void write_series(const QueryResult *result, JsonWriter *writer) {
    json_array_begin(writer);
    for (size_t i = 0; i < result->count; i++) {
        const QuerySeries *series = &result->series[i];
        json_object_begin(writer);
        json_key(writer, TEXT("metric"));
        labels_write_json(series->labels, writer);
        if (result->type == VALUE_VECTOR && is_histogram(series, 0)) {
            json_key(writer, TEXT("histogram"));
            write_histogram(series->times[0], series->histograms[0], writer);
        } else if (result->type == VALUE_VECTOR) {
            json_key(writer, TEXT("value"));
            write_point(series->times[0], series->values[0], writer);
        } else if (series->histograms != NULL) {
            write_points(series, false, writer);
            write_points(series, true, writer);
        } else {
            json_key(writer, TEXT("values"));
            json_array_begin(writer);
            for (size_t j = 0; j < series->count; j++)
                write_point(series->times[j], series->values[j], writer);
            json_array_end(writer);
        }
        json_object_end(writer);
    }
    json_array_end(writer);
}

void query_write_json(const QueryResult *result, JsonWriter *writer) {
    static const Text names[] = {TEXT_INIT("none"), TEXT_INIT("scalar"), TEXT_INIT("vector"),
                                 TEXT_INIT("matrix"), TEXT_INIT("string")};  // ORDER: ValueType
    char time[NUMBER_TEXT_MAX];
    json_object_begin(writer);
    json_key(writer, TEXT("resultType"));
    json_text(writer, names[result->type]);
    json_key(writer, TEXT("result"));
    switch (result->type) {
        case VALUE_SCALAR:
            write_point(result->series[0].times[0], result->series[0].values[0], writer);
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
            write_series(result, writer);
            break;
    }
    json_object_end(writer);
}
