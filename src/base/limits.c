// The table of limits, for help, documentation and its test.

#include "base/limits.h"

const LimitRow limit_rows[] = {
#define LIMIT(name, value, unit, why) {#name, (value), (unit), (why)},
#include "base/limits.def"
#undef LIMIT
};

const size_t limit_row_count = COUNT(limit_rows);
