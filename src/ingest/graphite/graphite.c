// A line of Graphite: path, tags, value, time.

#include "ingest/graphite/graphite.h"

#include <math.h>

#include "codec/number.h"

void graphite_reader_free(GraphiteReader *reader) {
    label_set_free(&reader->labels);
    arena_free(&reader->arena);
}

// The next word between blanks; false at the end.
static bool word_take(Text *rest, Text *out) {
    *rest = text_trim(*rest);
    if (rest->len == 0) return false;
    size_t len = 0;
    while (len < rest->len && rest->at[len] != ' ' && rest->at[len] != '\t') len++;
    *out = text_slice(*rest, 0, len);
    *rest = text_slice(*rest, len, rest->len);
    return true;
}

static bool time_of(Text word, int64_t now_ms, int64_t *out, Error *err) {
    static const double SECONDS_MAX = 9e15;  // milliseconds of it fit
    double seconds;
    Text shown = text_slice(word, 0, 40);
    if (!number_parse_f64(word, &seconds) || isnan(seconds) || fabs(seconds) > SECONDS_MAX)
        return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is no time", TEXT_ARG(shown));
    *out = seconds == -1 ? now_ms : (int64_t)floor(seconds * 1000 + 0.5);
    return true;
}

// path -> name {';' tag '=' value}
static bool take_path(GraphiteReader *reader, Text path, Text *name, Error *err) {
    Text tag, key;
    if (!text_cut(&path, ';', name) || name->len == 0)
        return error_set(err, ERROR_BAD_INPUT, "the path is empty");
    *name = label_name_plain(*name, true, &reader->arena);
    while (text_cut(&path, ';', &tag)) {
        Text shown = text_slice(tag, 0, 40);
        if (!text_cut(&tag, '=', &key) || key.len == 0 || tag.at == NULL || tag.len == 0)
            return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is no tag=value", TEXT_ARG(shown));
        label_set_add(&reader->labels, label_name_plain(key, false, &reader->arena), tag);
    }
    return label_set_close(&reader->labels, err);
}

bool graphite_line(GraphiteReader *reader, Text line, int64_t now_ms, WriteBody *out, Error *err) {
    arena_clear(&reader->arena);
    label_set_clear(&reader->labels);
    Text path, number, when, name;
    double value;
    int64_t time_ms = now_ms;
    if (!word_take(&line, &path)) return true;
    if (!word_take(&line, &number))
        return error_set(err, ERROR_BAD_INPUT, "a line is \"path value time\"; there is no value");
    Text shown = text_slice(number, 0, 40);
    if (!number_parse_f64(number, &value) || !isfinite(value))
        return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is no number", TEXT_ARG(shown));
    if (word_take(&line, &when)) TRY(time_of(when, now_ms, &time_ms, err));
    if (word_take(&line, &when))
        return error_set(err, ERROR_BAD_INPUT, "a line is \"path value time\" and nothing more");
    TRY(take_path(reader, path, &name, err));
    write_body_add(out, label_set_named(&reader->labels, name), time_ms, value);
    return true;
}
