// The JSON of versions 1 and 2, pulled token by token: points are many, and none becomes a tree.
//
//   body      -> '{' … "series" ':' '[' series {',' series} ']' … '}'
//   points    -> [[seconds, value], …] (version 1) | [{"timestamp": …, "value": …}, …] (version 2)
//   resources -> [{"type": …, "name": …}, …]

#include "codec/json.h"

#include "codec/number.h"
#include "ingest/datadog/parts.h"

typedef struct Pull {
    DatadogRead *read;
    JsonReader json;
} Pull;

// The next token, which is a text (else empty; what it is instead is passed by).
static bool take_text(Pull *pull, Text *out, Error *err) {
    JsonToken token;
    TRY(json_next(&pull->json, &token, err));
    *out = token.kind == JSON_STRING ? token.text : TEXT_NONE;
    bool opens = token.kind == JSON_ARRAY_BEGIN || token.kind == JSON_OBJECT_BEGIN;
    return !opens || json_skip(&pull->json, &token, err);
}

static bool number_of(const JsonToken *token, double *out) {
    return (token->kind == JSON_NUMBER || token->kind == JSON_STRING) &&
           number_parse_f64(token->text, out);
}

// Opens the array that comes next; false in *open when it is something else, which is passed by.
static bool array_open(Pull *pull, bool *open, Error *err) {
    JsonToken token;
    TRY(json_next(&pull->json, &token, err));
    *open = token.kind == JSON_ARRAY_BEGIN;
    return token.kind != JSON_OBJECT_BEGIN || json_skip(&pull->json, &token, err);
}

static bool take_tags(Pull *pull, Error *err) {
    bool open;
    TRY(array_open(pull, &open, err));
    while (open) {
        JsonToken token;
        TRY(json_next(&pull->json, &token, err));
        if (token.kind == JSON_ARRAY_END) return true;
        if (token.kind == JSON_STRING) *array_add(&pull->read->reader->tags) = token.text;
        if (token.kind == JSON_ARRAY_BEGIN || token.kind == JSON_OBJECT_BEGIN)
            TRY(json_skip(&pull->json, &token, err));
    }
    return true;
}

// The rest of a point: two numbers, or an object that names them. More is passed by.
static bool take_point(Pull *pull, DatadogSeries *series, bool named, Error *err) {
    double numbers[2] = {0, 0};
    bool have[2] = {false, false}, null = false;
    for (size_t place = 0;; place++) {
        JsonToken token;
        TRY(json_next(&pull->json, &token, err));
        if (token.kind == JSON_ARRAY_END || token.kind == JSON_OBJECT_END) break;
        size_t which = place;
        if (named) {
            which = text_equal(token.text, TEXT("timestamp")) ? 0
                    : text_equal(token.text, TEXT("value"))   ? 1
                                                              : 2;
            TRY(json_next(&pull->json, &token, err));
        }
        if (token.kind == JSON_ARRAY_BEGIN || token.kind == JSON_OBJECT_BEGIN)
            TRY(json_skip(&pull->json, &token, err));
        if (which >= COUNT(numbers)) continue;
        null |= token.kind == JSON_NULL;
        have[which] = number_of(&token, &numbers[which]);
    }
    if (have[1] && (have[0] || named))
        return point_add(pull->read, series, numbers[0], numbers[1], err);
    if (!null) series->fault = "a point is no time and number";
    return true;
}

static bool take_points(Pull *pull, DatadogSeries *series, Error *err) {
    bool open;
    TRY(array_open(pull, &open, err));
    if (!open) series->fault = "its points are no list";
    while (open) {
        JsonToken token;
        TRY(json_next(&pull->json, &token, err));
        if (token.kind == JSON_ARRAY_END) return true;
        if (token.kind == JSON_ARRAY_BEGIN || token.kind == JSON_OBJECT_BEGIN) {
            TRY(take_point(pull, series, token.kind == JSON_OBJECT_BEGIN, err));
        } else {
            series->fault = "a point is no time and number";
        }
    }
    return true;
}

static bool take_resources(Pull *pull, Error *err) {
    bool open;
    TRY(array_open(pull, &open, err));
    while (open) {
        JsonToken token;
        TRY(json_next(&pull->json, &token, err));
        if (token.kind == JSON_ARRAY_END) return true;
        if (token.kind == JSON_ARRAY_BEGIN) TRY(json_skip(&pull->json, &token, err));
        if (token.kind != JSON_OBJECT_BEGIN) continue;
        Label resource = {0};
        for (;;) {
            TRY(json_next(&pull->json, &token, err));
            if (token.kind == JSON_OBJECT_END) break;
            Text value;
            bool type = text_equal(token.text, TEXT("type"));
            bool name = text_equal(token.text, TEXT("name"));
            TRY(take_text(pull, &value, err));
            if (type) resource.name = value;
            if (name) resource.value = value;
        }
        if (resource.name.len > 0) *array_add(&pull->read->reader->resources) = resource;
    }
    return true;
}

// The rest of a series whose object has begun.
static bool take_series(Pull *pull, Error *err) {
    DatadogSeries series;
    series_begin(pull->read, &series);
    for (;;) {
        JsonToken token;
        TRY(json_next(&pull->json, &token, err));
        if (token.kind == JSON_OBJECT_END) return series_end(pull->read, &series, err);
        Text key = token.text;
        if (text_equal(key, TEXT("metric"))) {
            TRY(take_text(pull, &series.metric, err));
        } else if (text_equal(key, TEXT("host"))) {
            TRY(take_text(pull, &series.host, err));
        } else if (text_equal(key, TEXT("device"))) {
            TRY(take_text(pull, &series.device, err));
        } else if (text_equal(key, TEXT("tags"))) {
            TRY(take_tags(pull, err));
        } else if (text_equal(key, TEXT("points"))) {
            TRY(take_points(pull, &series, err));
        } else if (text_equal(key, TEXT("resources"))) {
            TRY(take_resources(pull, err));
        } else {
            TRY(json_skip(&pull->json, NULL, err));
        }
    }
}

static bool take_list(Pull *pull, Error *err) {
    bool open;
    TRY(array_open(pull, &open, err));
    if (!open) return error_set(err, ERROR_BAD_INPUT, "\"series\" is no list");
    for (;;) {
        JsonToken token;
        TRY(json_next(&pull->json, &token, err));
        if (token.kind == JSON_ARRAY_END) return true;
        if (token.kind != JSON_OBJECT_BEGIN)
            return error_set(err, ERROR_BAD_INPUT, "\"series\" holds something that is no object");
        TRY(take_series(pull, err));
    }
}

bool datadog_json(DatadogRead *read, Text body, Error *err) {
    Pull pull = {read, json_reader_begin(body, &read->reader->arena)};
    JsonToken token;
    TRY(json_next(&pull.json, &token, err));
    if (token.kind != JSON_OBJECT_BEGIN)
        return error_set(err, ERROR_BAD_INPUT, "the body is no object with \"series\"");
    bool found = false;
    for (;;) {
        TRY(json_next(&pull.json, &token, err));
        if (token.kind == JSON_OBJECT_END) break;
        if (text_equal(token.text, TEXT("series"))) {
            found = true;
            TRY(take_list(&pull, err));
        } else {
            TRY(json_skip(&pull.json, NULL, err));
        }
    }
    TRY(json_next(&pull.json, &token, err));  // nothing behind it
    return found || error_set(err, ERROR_BAD_INPUT, "the body is no object with \"series\"");
}
