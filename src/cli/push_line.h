// One line of Prometheus' text exposition format: a sample, or nothing (blank, comment).
//
//   line   -> series value [milliseconds]
//   series -> name ['{' [pairs] '}'] | '{' '"' name '"' [',' pairs] '}'
//   pairs  -> pair {',' pair} [',']
//   pair   -> (word | '"' name '"') '=' '"' value '"'
//
// Within quotes \\ \" \n \t \r \xHH are known, the last three beyond the format, as labels_print
// writes them. Private to cli.
#pragma once

#include "model/labels.h"

typedef struct PushLine {
    LabelArray labels;  // __name__ among them, in the order of the line; decoded, on the arena or
                        // views of the line
    double value;
    int64_t time_ms;
    bool has_sample;
    bool has_time;
} PushLine;

// BAD_INPUT says what is wrong and in which column.
must_use bool push_line_parse(Text line, Arena *arena, PushLine *out, Error *err);
