// How far something long is: whoever works tells, whoever waits listens.
//
// A lower floor that may take long takes a `Progress *`, NULL when nobody listens, and calls
// progress_tell every few thousand rows or megabytes. Called on the thread that works.
#pragma once

#include "base/language.h"

typedef struct Progress Progress;
struct Progress {
    void (*tell)(Progress *progress, int64_t done, int64_t total);  // total 0: not known
};

static inline void progress_tell(Progress *progress, int64_t done, int64_t total) {
    if (progress != NULL) progress->tell(progress, done, total);
}
