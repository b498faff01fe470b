// The limits of limits.def as constants LIMIT_<NAME>, and as a table for help and documentation.
#pragma once

#include "base/language.h"

#define LIMIT(name, value, unit, why) \
    static const int64_t LIMIT_##name __attribute__((unused)) = (value);
#include "base/limits.def"
#undef LIMIT

typedef struct LimitRow {
    const char *name;
    int64_t value;
    const char *unit;
    const char *why;
} LimitRow;

extern const LimitRow limit_rows[];
extern const size_t limit_row_count;
