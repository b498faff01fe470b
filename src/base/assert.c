// The end of the process when an assertion does not hold.

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_failed(const char *what, const char *file, int line) {
    fprintf(stderr, "traceo: a bug in Traceo itself: %s does not hold (%s:%d)\n", what, file, line);
    abort();
}
