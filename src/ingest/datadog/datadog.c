// From a series to its rows; the protobuf of version 2.

#include "ingest/datadog/datadog.h"

#include <math.h>

#include "base/limits.h"
#include "codec/protobuf.h"
#include "ingest/datadog/parts.h"

void datadog_reader_free(DatadogReader *reader) {
    label_set_free(&reader->labels);
    arena_free(&reader->arena);
    array_free(&reader->points);
    array_free(&reader->tags);
    array_free(&reader->resources);
}

size_t datadog_reader_bytes_kept(const DatadogReader *reader) {
    return reader->arena.bytes + reader->points.capacity * sizeof(Sample) +
           reader->tags.capacity * sizeof(Text) + reader->resources.capacity * sizeof(Label);
}

// ---- A series ----

void series_begin(DatadogRead *read, DatadogSeries *series) {
    *series = (DatadogSeries){0};
    arena_clear(&read->reader->arena);
    array_clear(&read->reader->points);
    array_clear(&read->reader->tags);
    array_clear(&read->reader->resources);
    label_set_clear(&read->reader->labels);
}

bool point_add(DatadogRead *read, DatadogSeries *series, double seconds, double value, Error *err) {
    static const double SECONDS_MAX = 9e15;  // milliseconds of it fit
    if (!isfinite(value) || isnan(seconds) || fabs(seconds) > SECONDS_MAX) {
        series->fault = "a point is no time and number";
        return true;
    }
    *array_add(&read->reader->points) =
        (Sample){.time_ms = seconds == 0 ? read->now_ms : (int64_t)floor(seconds * 1000 + 0.5),
                 .value = value};
    if ((int64_t)(read->reader->points.count * sizeof(Sample)) <= LIMIT_WRITE_BATCH_BYTES)
        return true;
    return error_set(err, ERROR_TOO_LARGE,
                     "the points of one series take more than %lld bytes of memory (limit "
                     "WRITE_BATCH_BYTES)",
                     (long long)LIMIT_WRITE_BATCH_BYTES);
}

// The first of a name counts.
static void label_add(DatadogReader *reader, Text key, Text value) {
    Text name = label_name_plain(key, false, &reader->arena);
    if (name.len > 0 && !label_set_has(&reader->labels, name))
        label_set_add(&reader->labels, name, value);
}

static bool make_labels(DatadogRead *read, const DatadogSeries *series, Error *err) {
    DatadogReader *reader = read->reader;
    label_add(reader, TEXT("host"), series->host);
    label_add(reader, TEXT("device"), series->device);
    for (size_t i = 0; i < reader->resources.count; i++)
        label_add(reader, reader->resources.at[i].name, reader->resources.at[i].value);
    for (size_t i = 0; i < reader->tags.count; i++) {
        Text tag = reader->tags.at[i];
        ptrdiff_t colon = text_find_char(tag, ':');
        Text key = colon < 0 ? tag : text_slice(tag, 0, (size_t)colon);
        Text value = colon < 0 ? TEXT("true") : text_slice(tag, (size_t)colon + 1, tag.len);
        // The host that the sender is on is no tag's to say.
        bool other_host = text_equal(key, TEXT("host")) && label_set_has(&reader->labels, key) &&
                          !text_equal(value, series->host);
        label_add(reader, other_host ? TEXT("exported_host") : key, value);
    }
    return label_set_close(&reader->labels, err);
}

static void refuse(DatadogRead *read, const DatadogSeries *series, const char *why) {
    Text shown = text_slice(series->metric, 0, 80);
    if (read->outcome->refused++ > 0) return;
    error_set(&read->outcome->first_fault, ERROR_BAD_INPUT, "series %llu, metric \"%.*s\": %s",
              (unsigned long long)read->outcome->series, TEXT_ARG(shown), why);
}

bool series_end(DatadogRead *read, DatadogSeries *series, Error *err) {
    DatadogReader *reader = read->reader;
    read->outcome->series++;
    if (series->fault == NULL && series->metric.len == 0) series->fault = "it has no metric";
    Error why;
    if (series->fault != NULL || !make_labels(read, series, &why)) {
        refuse(read, series, series->fault != NULL ? series->fault : why.message);
        return true;
    }
    if (reader->points.count == 0) return true;
    Text name = label_name_plain(series->metric, true, &reader->arena);
    write_body_begin(read->out, label_set_named(&reader->labels, name));
    for (size_t i = 0; i < reader->points.count; i++)
        write_body_sample(read->out, reader->points.at[i].time_ms, reader->points.at[i].value);
    write_body_end(read->out);
    read->outcome->samples += reader->points.count;
    return write_body_fits(read->out, err);
}

// ---- Protobuf ----

enum {
    PAYLOAD_SERIES = 1,
    SERIES_RESOURCES = 1,
    SERIES_METRIC = 2,
    SERIES_TAGS = 3,
    SERIES_POINTS = 4,
    POINT_VALUE = 1,
    POINT_TIME = 2,
    RESOURCE_TYPE = 1,
    RESOURCE_NAME = 2,
};

static bool read_point(DatadogRead *read, DatadogSeries *series, Bytes bytes, Error *err) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    double value = 0;
    int64_t seconds = 0;
    while (protobuf_next(&reader, &field)) {
        if (field.number == POINT_VALUE && field.type == WIRE_FIXED64)
            value = protobuf_double(field.value);
        if (field.number == POINT_TIME && field.type == WIRE_VARINT) seconds = (int64_t)field.value;
    }
    if (reader.failed) return error_set(err, ERROR_BAD_INPUT, "malformed protobuf in a point");
    return point_add(read, series, (double)seconds, value, err);
}

static bool read_resource(DatadogRead *read, Bytes bytes, Error *err) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    Label resource = {0};
    while (protobuf_next(&reader, &field)) {
        if (field.type != WIRE_BYTES) continue;
        if (field.number == RESOURCE_TYPE) resource.name = bytes_text(field.bytes);
        if (field.number == RESOURCE_NAME) resource.value = bytes_text(field.bytes);
    }
    if (reader.failed) return error_set(err, ERROR_BAD_INPUT, "malformed protobuf in a resource");
    if (resource.name.len > 0) *array_add(&read->reader->resources) = resource;
    return true;
}

static bool read_series(DatadogRead *read, Bytes bytes, Error *err) {
    DatadogSeries series;
    series_begin(read, &series);
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.type != WIRE_BYTES) continue;
        switch (field.number) {
            case SERIES_RESOURCES:
                TRY(read_resource(read, field.bytes, err));
                break;
            case SERIES_METRIC:
                series.metric = bytes_text(field.bytes);
                break;
            case SERIES_TAGS:
                *array_add(&read->reader->tags) = bytes_text(field.bytes);
                break;
            case SERIES_POINTS:
                TRY(read_point(read, &series, field.bytes, err));
                break;
            default:
                break;
        }
    }
    if (reader.failed) return error_set(err, ERROR_BAD_INPUT, "malformed protobuf in a series");
    return series_end(read, &series, err);
}

bool datadog_protobuf(DatadogRead *read, Bytes body, Error *err) {
    Reader reader = reader_begin(body);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == PAYLOAD_SERIES && field.type == WIRE_BYTES)
            TRY(read_series(read, field.bytes, err));
    }
    if (!reader.failed) return true;
    return error_set(err, ERROR_BAD_INPUT, "the body is not a protobuf MetricPayload");
}

bool datadog_read(DatadogReader *reader, DatadogEncoding encoding, Bytes body, int64_t now_ms,
                  WriteBody *out, DatadogOutcome *outcome, Error *err) {
    *outcome = (DatadogOutcome){0};
    DatadogRead read = {reader, now_ms, out, outcome};
    return encoding == DATADOG_JSON ? datadog_json(&read, bytes_text(body), err)
                                    : datadog_protobuf(&read, body, err);
}
