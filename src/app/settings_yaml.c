// The YAML file of settings: libyaml's events, folded into dotted keys.

#include <yaml.h>

#include "app/settings.h"
#include "app/settings_set.h"
#include "base/limits.h"

typedef struct Reading {
    Settings *settings;
    Text file;
    yaml_parser_t parser;
} Reading;

static void reading_end(Reading *reading) {
    yaml_parser_delete(&reading->parser);
}

static bool next(Reading *reading, yaml_event_t *event, Error *err) {
    if (yaml_parser_parse(&reading->parser, event)) return true;
    const yaml_parser_t *parser = &reading->parser;
    return error_set(err, ERROR_BAD_INPUT, "%.*s:%zu:%zu: not YAML: %s", TEXT_ARG(reading->file),
                     parser->problem_mark.line + 1, parser->problem_mark.column + 1,
                     parser->problem == NULL ? "unreadable" : parser->problem);
}

static Text place(const Reading *reading, const yaml_event_t *event) {
    return text_format(reading->settings->arena, "%.*s:%zu", TEXT_ARG(reading->file),
                       event->start_mark.line + 1);
}

// An event that ends its own memory.
static void event_end(yaml_event_t *event) {
    yaml_event_delete(event);
}

// The pairs of a mapping that has begun; `prefix` is the dotted key above it.
static bool read_mapping(Reading *reading, Text prefix, int depth, Error *err) {
    if (depth > LIMIT_NESTING_YAML) {
        return error_set(err, ERROR_TOO_LARGE, "%.*s: nested deeper than NESTING_YAML (%lld)",
                         TEXT_ARG(reading->file), (long long)LIMIT_NESTING_YAML);
    }
    Arena *arena = reading->settings->arena;
    for (;;) {
        AUTO(event_end) yaml_event_t key = {0};
        TRY(next(reading, &key, err));
        if (key.type == YAML_MAPPING_END_EVENT) return true;
        Text where = place(reading, &key);
        if (key.type != YAML_SCALAR_EVENT)
            return error_set(err, ERROR_BAD_INPUT, "%.*s: a setting's name is expected here",
                             TEXT_ARG(where));
        Text name = {(const char *)key.data.scalar.value, key.data.scalar.length};
        Text dotted = prefix.len == 0
                          ? text_copy(name, arena)
                          : text_format(arena, "%.*s.%.*s", TEXT_ARG(prefix), TEXT_ARG(name));
        AUTO(event_end) yaml_event_t value = {0};
        TRY(next(reading, &value, err));
        if (value.type == YAML_MAPPING_START_EVENT) {
            TRY(read_mapping(reading, dotted, depth + 1, err));
        } else if (value.type == YAML_SCALAR_EVENT) {
            Text text = {(const char *)value.data.scalar.value, value.data.scalar.length};
            TRY(settings_set_key(reading->settings, dotted, text, where, err));
        } else {
            return error_set(err, ERROR_BAD_INPUT,
                             "%.*s: %.*s: a plain value is expected, not a list or an alias",
                             TEXT_ARG(where), TEXT_ARG(dotted));
        }
    }
}

static bool read_document(Reading *reading, Error *err) {
    for (;;) {
        AUTO(event_end) yaml_event_t event = {0};
        TRY(next(reading, &event, err));
        switch (event.type) {
            case YAML_STREAM_END_EVENT:
                return true;
            case YAML_MAPPING_START_EVENT:
                TRY(read_mapping(reading, TEXT_NONE, 0, err));
                break;
            case YAML_SCALAR_EVENT:
                if (event.data.scalar.length == 0) break;  // an empty document
                return error_set(err, ERROR_BAD_INPUT,
                                 "%.*s:%zu: settings are expected (name: value)",
                                 TEXT_ARG(reading->file), event.start_mark.line + 1);
            case YAML_SEQUENCE_START_EVENT:
            case YAML_ALIAS_EVENT:
                return error_set(err, ERROR_BAD_INPUT,
                                 "%.*s:%zu: settings are expected (name: value)",
                                 TEXT_ARG(reading->file), event.start_mark.line + 1);
            case YAML_NO_EVENT:
            case YAML_STREAM_START_EVENT:
            case YAML_DOCUMENT_START_EVENT:
            case YAML_DOCUMENT_END_EVENT:
            case YAML_SEQUENCE_END_EVENT:
            case YAML_MAPPING_END_EVENT:
                break;
        }
    }
}

bool settings_read_yaml(Settings *settings, Text source, Text file_name, Error *err) {
    AUTO(reading_end) Reading reading = {.settings = settings, .file = file_name};
    if (!yaml_parser_initialize(&reading.parser))
        return error_set(err, ERROR_NO_MEMORY, "no memory for the YAML parser");
    yaml_parser_set_input_string(&reading.parser, (const unsigned char *)source.at, source.len);
    return read_document(&reading, err);
}
