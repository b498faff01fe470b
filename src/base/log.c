// Log lines: built on the stack, written whole.

#include "base/log.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

enum { LINE_BYTES_MAX = 4 * KB };

static LogSink sink;
static _Atomic LogLevel level_now = LOG_INFO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

typedef struct Line {
    char at[LINE_BYTES_MAX];
    size_t len;
} Line;

static void add_char(Line *line, char c) {
    // Three bytes stay free for the closing brace, the quote and the end of line.
    if (line->len < sizeof line->at - 3) line->at[line->len++] = c;
}

static void add_cstring(Line *line, const char *text) {
    while (*text != '\0') add_char(line, *text++);
}

// JSON's escapes serve both formats.
static void add_quoted(Line *line, Text text) {
    static const char hex[] = "0123456789abcdef";
    add_char(line, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c == '"' || c == '\\') {
            add_char(line, '\\');
            add_char(line, (char)c);
        } else if (c == '\n') {
            add_cstring(line, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            add_cstring(line, "\\u00");
            add_char(line, hex[c >> 4]);
            add_char(line, hex[c & 15]);
        } else {
            add_char(line, (char)c);
        }
    }
    add_char(line, '"');
}

static bool is_plain(Text text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return false;
    }
    return text.len > 0;
}

static void add_name(Line *line, const char *name, bool json) {
    if (json) {
        if (line->len > 1) add_char(line, ',');
        add_quoted(line, text_from_cstring(name));
        add_char(line, ':');
    } else {
        if (line->len > 0) add_char(line, ' ');
        add_cstring(line, name);
        add_char(line, '=');
    }
}

static void add_text(Line *line, const char *name, Text value, bool json) {
    add_name(line, name, json);
    if (json || !is_plain(value)) {
        add_quoted(line, value);
    } else {
        for (size_t i = 0; i < value.len; i++) add_char(line, value.at[i]);
    }
}

// RFC 3339 with milliseconds, from days since the epoch (the civil calendar of Hinnant's paper).
static void add_time(Line *line, int64_t now_ms, bool json) {
    int64_t days = now_ms / 86400000;
    int64_t ms = now_ms % 86400000;
    int64_t z = days + 719468;
    int64_t era = z / 146097;
    int64_t day_of_era = z % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * shifted + 2) / 5 + 1;
    int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    char text[40];
    int len = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)year,
                       (int)month, (int)day, (int)(ms / 3600000), (int)(ms / 60000 % 60),
                       (int)(ms / 1000 % 60), (int)(ms % 1000));
    add_text(line, "ts", (Text){text, (size_t)len}, json);
}

void log_set_sink(LogSink new_sink) {
    sink = new_sink;
    atomic_store(&level_now, new_sink.level);
}

void log_set_level(LogLevel level) {
    atomic_store(&level_now, level);
}

void log_line(LogLevel level, const char *message, const LogField *fields, size_t count) {
    if (sink.write == NULL || level < atomic_load_explicit(&level_now, memory_order_relaxed))
        return;
    bool json = sink.format == LOG_JSON;
    Line line = {.len = 0};
    if (json) add_char(&line, '{');
    if (sink.now_ms != NULL) add_time(&line, sink.now_ms(sink.context), json);
    add_text(&line, "level", text_from_cstring(level_names[level]), json);
    add_text(&line, "msg", text_from_cstring(message), json);
    for (size_t i = 0; i < count; i++) {
        char number[40];
        switch (fields[i].kind) {
            case LOG_FIELD_TEXT:
                add_text(&line, fields[i].name, fields[i].text, json);
                break;
            case LOG_FIELD_I64:
                snprintf(number, sizeof number, "%lld", (long long)fields[i].i64);
                add_name(&line, fields[i].name, json);
                add_cstring(&line, number);
                break;
            case LOG_FIELD_F64:
                snprintf(number, sizeof number, "%.6g", fields[i].f64);
                add_name(&line, fields[i].name, json);
                add_cstring(&line, json && !isfinite(fields[i].f64) ? "null" : number);
                break;
        }
    }
    if (json) line.at[line.len++] = '}';
    line.at[line.len++] = '\n';
    sink.write(sink.context, (Text){line.at, line.len});
}
