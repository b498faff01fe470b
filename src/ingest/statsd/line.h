// One line of StatsD or DogStatsD taken apart. Private to ingest/statsd.
//
//   line   -> name ':' value {':' value} '|' type {'|' part}
//   type   -> c | g | ms | h | d | s
//   part   -> '@' rate | '#' tag {',' tag} | 'T' seconds | 'c:' container | 'e:' data | 'card:'
//   word
#pragma once

#include "model/label_set.h"

typedef enum StatsdKind { STATSD_COUNTER, STATSD_GAUGE, STATSD_TIMER, STATSD_SET } StatsdKind;

typedef struct StatsdLine {
    StatsdKind kind;
    bool is_milliseconds;  // a timer of type ms
    bool has_time;
    int64_t time_ms;
    double rate;    // 1 where none is said
    Text values;    // with colons between; each is a finite number, but for sets
    Labels labels;  // a view, until the next line
    LabelSet set;
} StatsdLine;

void statsd_line_free(StatsdLine *line);

// BAD_INPUT says what is wrong. Texts are views of `text` or lie on `arena`.
must_use bool statsd_line_read(StatsdLine *line, Text text, Arena *arena, Error *err);
