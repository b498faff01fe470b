// Taking a line apart.

#include "ingest/statsd/line.h"

#include <math.h>

#include "codec/number.h"

void statsd_line_free(StatsdLine *line) {
    label_set_free(&line->set);
}

static bool take_type(StatsdLine *line, Text type, Error *err) {
    static const struct {
        Text type;
        StatsdKind kind;
    } rows[] = {{TEXT_INIT("c"), STATSD_COUNTER}, {TEXT_INIT("g"), STATSD_GAUGE},
                {TEXT_INIT("ms"), STATSD_TIMER},  {TEXT_INIT("h"), STATSD_TIMER},
                {TEXT_INIT("d"), STATSD_TIMER},   {TEXT_INIT("s"), STATSD_SET}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (!text_equal(rows[i].type, type)) continue;
        line->kind = rows[i].kind;
        line->is_milliseconds = i == 2;
        return true;
    }
    Text shown = text_slice(type, 0, 20);
    return error_set(err, ERROR_BAD_INPUT, "type \"%.*s\" is none of c, g, ms, h, d, s",
                     TEXT_ARG(shown));
}

static bool take_rate(StatsdLine *line, Text text, Error *err) {
    static const double RATE_MIN = 1e-9;
    if (number_parse_f64(text, &line->rate) && line->rate >= RATE_MIN && line->rate <= 1)
        return true;
    Text shown = text_slice(text, 0, 20);
    return error_set(err, ERROR_BAD_INPUT, "the sample rate \"%.*s\" is not between 0 and 1",
                     TEXT_ARG(shown));
}

// A tag without a value is there: its value is true.
static void take_tags(StatsdLine *line, Text tags, Arena *arena) {
    Text tag;
    while (text_cut(&tags, ',', &tag)) {
        ptrdiff_t colon = text_find_char(tag, ':');
        Text key = colon < 0 ? tag : text_slice(tag, 0, (size_t)colon);
        Text value = colon < 0 ? TEXT("true") : text_slice(tag, (size_t)colon + 1, tag.len);
        if (key.len == 0) continue;
        Text name = label_name_plain(key, false, arena);
        // The first counts where a tag comes twice, as agents of Datadog see it.
        if (!label_set_has(&line->set, name)) label_set_add(&line->set, name, value);
    }
}

static bool take_time(StatsdLine *line, Text text, Error *err) {
    int64_t seconds;
    if (!text_to_i64(text, &seconds) || __builtin_mul_overflow(seconds, 1000, &line->time_ms)) {
        Text shown = text_slice(text, 0, 20);
        return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is no time in seconds", TEXT_ARG(shown));
    }
    line->has_time = true;
    return true;
}

static bool take_part(StatsdLine *line, Text part, Arena *arena, Error *err) {
    if (part.len == 0) return true;
    Text rest = text_slice(part, 1, part.len);
    if (part.at[0] == '@') return take_rate(line, rest, err);
    if (part.at[0] == '#') {
        take_tags(line, rest, arena);
    } else if (part.at[0] == 'T') {
        return take_time(line, rest, err);
    }
    return true;  // container ids, external data, what is still to come
}

static bool check_values(const StatsdLine *line, Error *err) {
    Text value;
    for (Text rest = line->values; text_cut(&rest, ':', &value);) {
        double number;
        if (line->kind == STATSD_SET ? value.len > 0
                                     : number_parse_f64(value, &number) && isfinite(number))
            continue;
        Text shown = text_slice(value, 0, 40);
        return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is no value of a metric", TEXT_ARG(shown));
    }
    return true;
}

bool statsd_line_read(StatsdLine *line, Text text, Arena *arena, Error *err) {
    *line = (StatsdLine){.set = line->set, .rate = 1};
    label_set_clear(&line->set);
    Text name, head, type, part;
    if (!text_cut(&text, '|', &head) || !text_cut(&text, '|', &type))
        return error_set(err, ERROR_BAD_INPUT, "a metric is \"name:value|type\"");
    if (!text_cut(&head, ':', &name) || name.len == 0 || head.len == 0)
        return error_set(err, ERROR_BAD_INPUT, "a metric is \"name:value|type\"");
    line->values = head;
    TRY(take_type(line, type, err));
    while (text_cut(&text, '|', &part)) TRY(take_part(line, part, arena, err));
    TRY(check_values(line, err));
    if (line->has_time && line->kind != STATSD_COUNTER && line->kind != STATSD_GAUGE)
        return error_set(err, ERROR_BAD_INPUT, "only counters and gauges have a time of their own");
    TRY(label_set_close(&line->set, err));
    line->labels = label_set_named(&line->set, label_name_plain(name, true, arena));
    return true;
}
