// Tests.
#include "base/test.h"
#include "ingest/otlp/names.h"
TEST(x) {
    (void)t;
}
TEST_MAIN("otlp", CASE(x))
