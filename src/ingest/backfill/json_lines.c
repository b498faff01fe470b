// A line read by pulling: its three members may come in any order.

#include "ingest/backfill/json_lines.h"

#include "base/limits.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/number.h"

enum { HISTOGRAM_LINE_BYTES = 256 * KB };  // a line ends once it has so many

typedef ARRAY(double) Values;
typedef ARRAY(int64_t) Times;

static bool wants(JsonReader *reader, JsonKind kind, const char *what, Error *err) {
    JsonToken token;
    TRY(json_next(reader, &token, err));
    return token.kind == kind ||
           error_set(err, ERROR_BAD_INPUT, "column %zu: %s", reader->at, what);
}

static bool read_metric(JsonReader *reader, JsonLine *out, Error *err) {
    TRY(wants(reader, JSON_OBJECT_BEGIN, "\"metric\" is an object of labels", err));
    LabelArray labels = {0};
    for (;;) {
        JsonToken name, value;
        TRY(json_next(reader, &name, err));
        if (name.kind == JSON_OBJECT_END) break;
        TRY(json_next(reader, &value, err));
        if (value.kind != JSON_STRING)
            return error_set(err, ERROR_BAD_INPUT, "column %zu: the value of a label is a text",
                             reader->at);
        if (labels.count >= (size_t)LIMIT_SERIES_LABELS)
            return error_set(err, ERROR_TOO_LARGE, "more labels than SERIES_LABELS (%lld)",
                             (long long)LIMIT_SERIES_LABELS);
        *array_add_on(&out->arena, &labels) = (Label){name.text, value.text};
    }
    return labels_make(labels.at, labels.count, &out->arena, &out->labels, err);
}

static bool value_of(const JsonReader *reader, const JsonToken *token, double *out, Error *err) {
    if (token->kind == JSON_NUMBER && number_parse_f64(token->text, out)) return true;
    if (token->kind == JSON_NULL) {
        *out = stale_nan();
        return true;
    }
    if (token->kind == JSON_STRING && number_parse_f64(token->text, out)) return true;
    return error_set(
        err, ERROR_BAD_INPUT,
        "column %zu: a value is a number, null, \"Infinity\", \"-Infinity\" or \"NaN\"",
        reader->at);
}

static bool read_values(JsonReader *reader, Arena *arena, Values *out, Error *err) {
    TRY(wants(reader, JSON_ARRAY_BEGIN, "\"values\" is an array", err));
    for (;;) {
        JsonToken token;
        TRY(json_next(reader, &token, err));
        if (token.kind == JSON_ARRAY_END) return true;
        TRY(value_of(reader, &token, array_add_on(arena, out), err));
    }
}

static bool read_times(JsonReader *reader, Arena *arena, Times *out, Error *err) {
    TRY(wants(reader, JSON_ARRAY_BEGIN, "\"timestamps\" is an array", err));
    for (;;) {
        JsonToken token;
        TRY(json_next(reader, &token, err));
        if (token.kind == JSON_ARRAY_END) return true;
        if (token.kind != JSON_NUMBER || !json_text_to_i64(token.text, array_add_on(arena, out)))
            return error_set(err, ERROR_BAD_INPUT,
                             "column %zu: a time is a whole number of milliseconds", reader->at);
    }
}

// One that says nothing about itself but that its series has ended has no parts to agree.
static bool decode_histogram(Text text, Arena *arena, NativeHistogram *out, Error *err) {
    Bytes wire;
    if (!base64_decode(text, arena, &wire))
        return error_set(err, ERROR_BAD_INPUT, "a native histogram is not base64");
    return native_histogram_read(wire, arena, out, err) &&
           (is_stale(out->sum) || native_histogram_check(out, err));
}

static bool read_histogram(JsonReader *reader, JsonLine *out, Error *err) {
    static const char form[] = "a histogram is an array of a whole time and a text in base64";
    JsonToken time, text, end;
    int64_t time_ms;
    TRY(json_next(reader, &time, err));
    bool good = time.kind == JSON_NUMBER && json_text_to_i64(time.text, &time_ms);
    if (good) {
        TRY(json_next(reader, &text, err));
        good = text.kind == JSON_STRING;
    }
    if (good) {
        TRY(json_next(reader, &end, err));
        good = end.kind == JSON_ARRAY_END;
    }
    if (!good) return error_set(err, ERROR_BAD_INPUT, "column %zu: %s", reader->at, form);
    NativeHistogram histogram;
    if (!decode_histogram(text.text, &out->arena, &histogram, err))
        return error_context(err, "column %zu", reader->at);
    histogram.time_ms = time_ms;
    *array_add(&out->histograms) = histogram;
    return true;
}

static bool read_histograms(JsonReader *reader, JsonLine *out, Error *err) {
    TRY(wants(reader, JSON_ARRAY_BEGIN, "\"histograms\" is an array", err));
    for (;;) {
        JsonToken token;
        TRY(json_next(reader, &token, err));
        if (token.kind == JSON_ARRAY_END) return true;
        if (token.kind != JSON_ARRAY_BEGIN)
            return error_set(err, ERROR_BAD_INPUT, "column %zu: a histogram is an array",
                             reader->at);
        TRY(read_histogram(reader, out, err));
    }
}

bool json_line_read(Text line, JsonLine *out, Error *err) {
    arena_clear(&out->arena);
    array_clear(&out->samples);
    array_clear(&out->histograms);
    out->labels = LABELS_NONE;
    JsonReader reader = json_reader_begin(line, &out->arena);
    Values values = {0};
    Times times = {0};
    TRY(wants(&reader, JSON_OBJECT_BEGIN, "a line is an object", err));
    for (;;) {
        JsonToken key;
        TRY(json_next(&reader, &key, err));
        if (key.kind == JSON_OBJECT_END) break;
        if (text_equal(key.text, TEXT("metric"))) {
            TRY(read_metric(&reader, out, err));
        } else if (text_equal(key.text, TEXT("values"))) {
            TRY(read_values(&reader, &out->arena, &values, err));
        } else if (text_equal(key.text, TEXT("timestamps"))) {
            TRY(read_times(&reader, &out->arena, &times, err));
        } else if (text_equal(key.text, TEXT("histograms"))) {
            TRY(read_histograms(&reader, out, err));
        } else {
            return error_set(
                err, ERROR_BAD_INPUT,
                "column %zu: \"%.*s\" is neither metric, values, timestamps nor histograms",
                reader.at, TEXT_ARG(text_slice(key.text, 0, 100)));
        }
    }
    JsonToken end;
    TRY(json_next(&reader, &end, err));
    if (out->labels.wire.len == 0)
        return error_set(err, ERROR_BAD_INPUT, "the line has no \"metric\" with labels");
    if (values.count != times.count)
        return error_set(err, ERROR_BAD_INPUT, "the line has %zu values and %zu timestamps",
                         values.count, times.count);
    for (size_t i = 0; i < values.count; i++)
        *array_add(&out->samples) = (Sample){times.at[i], values.at[i]};
    return true;
}

void json_line_free(JsonLine *line) {
    array_free(&line->samples);
    array_free(&line->histograms);
    arena_free(&line->arena);
}

static void write_value(JsonWriter *writer, double value) {
    if (is_stale(value)) {
        json_null(writer);
    } else if (isnan(value)) {
        json_text(writer, TEXT("NaN"));
    } else if (isinf(value)) {
        json_text(writer, value > 0 ? TEXT("Infinity") : TEXT("-Infinity"));
    } else {
        json_f64(writer, value);
    }
}

void json_line_write(Labels labels, Samples samples, Builder *out) {
    JsonWriter writer = json_writer_begin(out);
    json_object_begin(&writer);
    json_key(&writer, TEXT("metric"));
    labels_write_json(labels, &writer);
    json_key(&writer, TEXT("values"));
    json_array_begin(&writer);
    for (size_t i = 0; i < samples.count; i++) write_value(&writer, samples.at[i].value);
    json_array_end(&writer);
    json_key(&writer, TEXT("timestamps"));
    json_array_begin(&writer);
    for (size_t i = 0; i < samples.count; i++) json_i64(&writer, samples.at[i].time_ms);
    json_array_end(&writer);
    json_object_end(&writer);
    builder_add_char(out, '\n');
}

// As many as fit into a line; returns how many.
static size_t write_histogram_line(Labels labels, const NativeHistogram *histograms, size_t count,
                                   Builder *out) {
    AUTO(builder_free) Builder wire = {0};
    AUTO(builder_free) Builder text = {0};
    size_t begun = out->len, written = 0;
    JsonWriter writer = json_writer_begin(out);
    json_object_begin(&writer);
    json_key(&writer, TEXT("metric"));
    labels_write_json(labels, &writer);
    json_key(&writer, TEXT("histograms"));
    json_array_begin(&writer);
    while (written < count && out->len - begun < HISTOGRAM_LINE_BYTES) {
        NativeHistogram histogram = histograms[written];
        histogram.time_ms = 0;  // it stands in front
        builder_clear(&wire);
        builder_clear(&text);
        native_histogram_write(&histogram, &wire);
        base64_encode(text_bytes(builder_text(&wire)), &text);
        json_array_begin(&writer);
        json_i64(&writer, histograms[written++].time_ms);
        json_text(&writer, builder_text(&text));
        json_array_end(&writer);
    }
    json_array_end(&writer);
    json_object_end(&writer);
    builder_add_char(out, '\n');
    return written;
}

void json_line_write_histograms(Labels labels, const NativeHistogram *histograms, size_t count,
                                Builder *out) {
    for (size_t at = 0; at < count;)
        at += write_histogram_line(labels, histograms + at, count - at, out);
}
