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

static void write_series(const QueryResult *result, JsonWriter *writer) {
    json_array_begin(writer);
    for (size_t i = 0; i < result->count; i++) {
        const QuerySeries *series = &result->series[i];
        json_object_begin(writer);
        json_key(writer, TEXT("metric"));
        labels_write_json(series->labels, writer);
        if (result->type == VALUE_VECTOR) {
            json_key(writer, TEXT("value"));
            write_point(series->times[0], series->values[0], writer);
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
