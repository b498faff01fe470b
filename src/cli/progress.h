// One line on standard error about work that takes longer than two seconds; nothing on a fast run.
//
//   pushing: 45.2 MiB of 200.0 MiB (22 %), 12.1 MiB/s, 13 s left
//
// On a terminal the line is written over itself five times a second and gone when the work ends;
// elsewhere it is a line every five seconds. It is a Progress, so lower floors can drive it. One
// thread. Private to cli.
#pragma once

#include "base/progress.h"
#include "base/text.h"
#include "os/clock.h"

typedef struct ProgressLine {
    Progress progress;  // first: a Progress of this line is the line
    Clock *clock;
    void (*write)(Text text);  // standard error; tests listen here
    Text what;                 // "pushing"
    Text unit;                 // "samples"; empty: bytes
    bool terminal;
    int64_t begun_ns, next_ns;  // when the line is due
    size_t shown;               // columns on the terminal that are to be written over
} ProgressLine;

void progress_begin(ProgressLine *line, Text what, Text unit);
// For tests: on a clock and an output of theirs.
void progress_begin_on(ProgressLine *line, Text what, Text unit, Clock *clock, bool terminal,
                       void (*write)(Text text));
// The same line goes on with another step: "checking" becomes "pushing". Rates begin anew, the two
// seconds do not.
void progress_next(ProgressLine *line, Text what);
// Clears the terminal's line, so that what follows stands alone. May be called twice.
void progress_end(ProgressLine *line);
