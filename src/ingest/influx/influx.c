// Reading line protocol: a line is found first, then its parts, each up to the next byte that ends
// it and is not escaped.

#include "ingest/influx/influx.h"

#include "base/limits.h"
#include "codec/number.h"

enum { SHOWN_BYTES = 80 };  // of a bad line in its message

bool influx_precision(Text name, int64_t *out_ns) {
    static const struct {
        Text name;
        int64_t ns;
    } rows[] = {
        {TEXT_INIT(""), 1},
        {TEXT_INIT("n"), 1},
        {TEXT_INIT("ns"), 1},
        {TEXT_INIT("u"), 1000},
        {TEXT_INIT("\xc2\xb5"), 1000},  // µ
        {TEXT_INIT("us"), 1000},
        {TEXT_INIT("ms"), 1000000},
        {TEXT_INIT("s"), 1000000000},
        {TEXT_INIT("m"), INT64_C(60000000000)},
        {TEXT_INIT("h"), INT64_C(3600000000000)},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (!text_equal(rows[i].name, name)) continue;
        *out_ns = rows[i].ns;
        return true;
    }
    return false;
}

void influx_reader_free(InfluxReader *reader) {
    label_set_free(&reader->labels);
    arena_free(&reader->arena);
    builder_free(&reader->name);
}

// ---- Lines ----

// Cuts off the next line. A line break within the quotes of a text belongs to it; quotes mean
// something only behind the first blank, where fields begin.
static Text line_cut(Text *rest) {
    bool fields = false, quoted = false;
    size_t i = 0;
    for (; i < rest->len; i++) {
        char c = rest->at[i];
        if (c == '\\' && i + 1 < rest->len && rest->at[i + 1] != '\n') {
            i++;
        } else if (c == '"' && fields) {
            quoted = !quoted;
        } else if (c == ' ' && !quoted) {
            fields = true;
        } else if (c == '\n' && !quoted) {
            break;
        }
    }
    Text line = text_slice(*rest, 0, i);
    *rest = text_slice(*rest, MIN(i + 1, rest->len), rest->len);
    if (text_ends_with(line, TEXT("\r"))) line.len--;
    return line;
}

// ---- Parts of a line ----

// `text` without the backslashes before those bytes.
static Text unescape(Text text, Text escapable, Arena *arena) {
    char *out = arena_push_raw(arena, text.len, 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool escape = text.at[i] == '\\' && i + 1 < text.len &&
                      text_find_char(escapable, text.at[i + 1]) >= 0;
        if (escape) i++;
        out[len++] = text.at[i];
    }
    return (Text){out, len};
}

// Takes what stands before the first unescaped byte of `ends`, which stays; all when there is none.
static Text part_take(Text *rest, Text ends, Arena *arena) {
    bool escaped = false;
    size_t i = 0;
    for (; i < rest->len && text_find_char(ends, rest->at[i]) < 0; i++) {
        if (rest->at[i] != '\\') continue;
        escaped = true;
        if (i + 1 < rest->len) i++;
    }
    Text part = text_slice(*rest, 0, i);
    *rest = text_slice(*rest, i, rest->len);
    return escaped ? unescape(part, TEXT(",= "), arena) : part;
}

static bool next_is(const Text *rest, char c) {
    return rest->len > 0 && rest->at[0] == c;
}

static bool take_char(Text *rest, char c) {
    if (!next_is(rest, c)) return false;
    *rest = text_slice(*rest, 1, rest->len);
    return true;
}

static void take_blanks(Text *rest) {
    while (take_char(rest, ' ')) continue;
}

// tags -> {',' key '=' value}
static bool take_tags(InfluxReader *reader, Text *rest, Error *err) {
    while (take_char(rest, ',')) {
        Text key = part_take(rest, TEXT(",= "), &reader->arena);
        if (key.len == 0) return error_set(err, ERROR_BAD_INPUT, "missing tag key");
        if (!take_char(rest, '=')) return error_set(err, ERROR_BAD_INPUT, "missing tag value");
        Text value = part_take(rest, TEXT(", "), &reader->arena);
        if (value.len == 0) return error_set(err, ERROR_BAD_INPUT, "missing tag value");
        label_set_add(&reader->labels, key, value);
    }
    return true;
}

typedef enum FieldKind { FIELD_NUMBER, FIELD_TEXT } FieldKind;

// text -> '"' … '"', which may hold anything but an unescaped quote.
static bool take_text(Text *rest, Error *err) {
    for (size_t i = 1; i < rest->len; i++) {
        if (rest->at[i] == '\\') {
            i++;
        } else if (rest->at[i] == '"') {
            *rest = text_slice(*rest, i + 1, rest->len);
            return true;
        }
    }
    return error_set(err, ERROR_BAD_INPUT, "unbalanced quotes");
}

static bool boolean_of(Text word, double *out) {
    static const char *const words[] = {"t", "T", "true",  "True",  "TRUE",
                                        "f", "F", "false", "False", "FALSE"};
    for (size_t i = 0; i < COUNT(words); i++) {
        if (!text_equal(word, text_from_cstring(words[i]))) continue;
        *out = i < COUNT(words) / 2 ? 1 : 0;
        return true;
    }
    return false;
}

static bool number_of(Text word, double *out) {
    if (word.len > 1 && word.at[word.len - 1] == 'i') {
        int64_t whole;
        if (!text_to_i64(text_slice(word, 0, word.len - 1), &whole)) return false;
        *out = (double)whole;
        return true;
    }
    if (word.len > 1 && word.at[word.len - 1] == 'u') {
        uint64_t whole;
        if (!text_to_u64(text_slice(word, 0, word.len - 1), &whole)) return false;
        *out = (double)whole;
        return true;
    }
    // Only what is written with digits: InfluxDB knows no infinity and nothing that is no number.
    bool digits = word.len > 0 && (word.at[word.len - 1] == '.' ||
                                   (word.at[word.len - 1] >= '0' && word.at[word.len - 1] <= '9'));
    return digits && number_parse_f64(word, out);
}

static bool take_value(Text *rest, FieldKind *kind, double *value, Error *err) {
    *kind = FIELD_NUMBER;
    if (next_is(rest, '"')) {
        *kind = FIELD_TEXT;
        return take_text(rest, err);
    }
    size_t len = 0;
    while (len < rest->len && rest->at[len] != ',' && rest->at[len] != ' ') len++;
    Text word = text_slice(*rest, 0, len), shown = text_slice(word, 0, 40);
    *rest = text_slice(*rest, len, rest->len);
    if (word.len == 0) return error_set(err, ERROR_BAD_INPUT, "missing field value");
    if (boolean_of(word, value) || number_of(word, value)) return true;
    return error_set(err, ERROR_BAD_INPUT, "invalid field value \"%.*s\"", TEXT_ARG(shown));
}

// The time in milliseconds, in bounds that no sum of ours leaves.
static bool take_time(const InfluxBody *body, Text *rest, int64_t *out, Error *err) {
    take_blanks(rest);
    *out = body->now_ms;
    if (rest->len == 0) return true;
    Text word = text_trim(*rest), shown = text_slice(word, 0, 40);
    int64_t time;
    if (!text_to_i64(word, &time))
        return error_set(err, ERROR_BAD_INPUT, "bad timestamp \"%.*s\"", TEXT_ARG(shown));
    if (body->unit_ns < 1000000) {
        int64_t per_ms = 1000000 / body->unit_ns;
        *out = time / per_ms - (time % per_ms < 0);  // towards the past, before 1970 too
        return true;
    }
    if (__builtin_mul_overflow(time, body->unit_ns / 1000000, out))
        return error_set(err, ERROR_BAD_INPUT, "timestamp \"%.*s\" is out of range",
                         TEXT_ARG(shown));
    return true;
}

// ---- A line becomes rows ----

// The fields again, now that the time and the labels are known; they were checked.
static bool add_rows(InfluxReader *reader, Text measurement, Text fields, int64_t time_ms,
                     WriteBody *out, InfluxOutcome *outcome, Error *err) {
    do {
        FieldKind kind;
        double value = 0;
        Error ignored;
        Text key = part_take(&fields, TEXT(",= "), &reader->arena);
        if (!take_char(&fields, '=') || !take_value(&fields, &kind, &value, &ignored)) break;
        if (kind == FIELD_TEXT) {
            outcome->texts++;
            continue;
        }
        builder_clear(&reader->name);
        builder_add(&reader->name, measurement);
        if (!text_equal(key, TEXT("value"))) {
            builder_add_char(&reader->name, '_');
            builder_add(&reader->name, key);
        }
        write_body_add(out, label_set_named(&reader->labels, builder_text(&reader->name)), time_ms,
                       value);
        outcome->samples++;
        // A line of a hundred tags and a million fields would become terabytes.
        TRY(write_body_fits(out, err));
    } while (take_char(&fields, ','));
    return true;
}

// line -> measurement tags ' ' field {',' field} [' ' time]
static bool check_line(InfluxReader *reader, const InfluxBody *body, Text line, Text *measurement,
                       Text *fields, int64_t *time_ms, Error *err) {
    Text rest = line;
    *measurement = part_take(&rest, TEXT(", "), &reader->arena);
    if (measurement->len == 0) return error_set(err, ERROR_BAD_INPUT, "missing measurement");
    TRY(take_tags(reader, &rest, err));
    take_blanks(&rest);
    if (rest.len == 0) return error_set(err, ERROR_BAD_INPUT, "missing fields");
    *fields = rest;
    do {
        FieldKind kind;
        double value;
        Text key = part_take(&rest, TEXT(",= "), &reader->arena);
        if (key.len == 0) return error_set(err, ERROR_BAD_INPUT, "missing field key");
        if (!take_char(&rest, '=')) return error_set(err, ERROR_BAD_INPUT, "missing field value");
        TRY(take_value(&rest, &kind, &value, err));
    } while (take_char(&rest, ','));
    if (rest.len > 0 && rest.at[0] != ' ')
        return error_set(err, ERROR_BAD_INPUT, "something stands behind a field value");
    TRY(take_time(body, &rest, time_ms, err));
    if (body->value.len > 0 && !label_set_has(&reader->labels, body->label))
        label_set_add(&reader->labels, body->label, body->value);
    return label_set_close(&reader->labels, err);
}

bool influx_read(InfluxReader *reader, const InfluxBody *body, WriteBody *out,
                 InfluxOutcome *outcome, Error *err) {
    *outcome = (InfluxOutcome){0};
    uint64_t number = 0;
    for (Text rest = body->text; rest.len > 0;) {
        const char *begun = rest.at;
        Text line = line_cut(&rest), trimmed = text_trim(line);
        uint64_t first = ++number;
        for (const char *at = begun; at < line.at + line.len; at++) number += *at == '\n';
        if (trimmed.len == 0 || trimmed.at[0] == '#') continue;
        outcome->lines++;
        arena_clear(&reader->arena);
        label_set_clear(&reader->labels);
        Text measurement, fields;
        int64_t time_ms = 0;
        Error why;
        while (line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t'))
            line = text_slice(line, 1, line.len);
        if (check_line(reader, body, line, &measurement, &fields, &time_ms, &why)) {
            TRY(add_rows(reader, measurement, fields, time_ms, out, outcome, err));
            continue;
        }
        if (outcome->refused++ > 0) continue;
        Text shown = text_slice(line, 0, SHOWN_BYTES);
        outcome->first_fault_line = first;
        error_set(&outcome->first_fault, why.code, "line %llu: unable to parse '%.*s%s': %s",
                  (unsigned long long)first, TEXT_ARG(shown), line.len > shown.len ? "…" : "",
                  why.message);
    }
    return true;
}
