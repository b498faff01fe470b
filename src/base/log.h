// The log of the program itself: one line per event, logfmt or JSON, on a sink that `app` chooses.
//
// Library floors never log errors; whoever decides what to do about one logs once. Values are
// escaped, so a line from outside cannot forge another. Any thread. Lines longer than 4 KiB are
// cut.
//
//   log_info("ready", LOG_TEXT("listen", address), LOG_I64("series", count));
#pragma once

#include "base/error.h"
#include "base/text.h"

typedef enum LogLevel { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } LogLevel;
typedef enum LogFormat { LOG_LOGFMT, LOG_JSON } LogFormat;

typedef struct LogField {
    const char *name;  // NULL ends a list
    enum { LOG_FIELD_TEXT, LOG_FIELD_I64, LOG_FIELD_F64 } kind;
    Text text;
    int64_t i64;
    double f64;
} LogField;

#define LOG_TEXT(name, value) ((LogField){(name), LOG_FIELD_TEXT, (value), 0, 0})
#define LOG_I64(name, value)  ((LogField){(name), LOG_FIELD_I64, TEXT_NONE, (int64_t)(value), 0})
#define LOG_F64(name, value)  ((LogField){(name), LOG_FIELD_F64, TEXT_NONE, 0, (value)})
// The message of an Error, and where it was raised.
#define LOG_ERR(err) LOG_TEXT("err", text_from_cstring((err)->message))

// Where lines go and how they look; set once by `app` before other threads start. The writer gets
// whole lines with their end of line. `now_ms` may be NULL: then lines carry no time.
typedef struct LogSink {
    void (*write)(void *context, Text line);
    int64_t (*now_ms)(void *context);
    void *context;
    LogFormat format;
    LogLevel level;  // lower ones are dropped
} LogSink;

void log_set_sink(LogSink sink);
void log_set_level(LogLevel level);  // at run time, any thread

void log_line(LogLevel level, const char *message, const LogField *fields, size_t count);

#define LOG_AT(level, message, ...)                                            \
    do {                                                                       \
        LogField log_fields_[] = {{0}, ##__VA_ARGS__};                         \
        log_line((level), (message), log_fields_ + 1, COUNT(log_fields_) - 1); \
    } while (0)
#define log_debug(message, ...) LOG_AT(LOG_DEBUG, message, ##__VA_ARGS__)
#define log_info(message, ...)  LOG_AT(LOG_INFO, message, ##__VA_ARGS__)
#define log_warn(message, ...)  LOG_AT(LOG_WARN, message, ##__VA_ARGS__)
#define log_error(message, ...) LOG_AT(LOG_ERROR, message, ##__VA_ARGS__)
