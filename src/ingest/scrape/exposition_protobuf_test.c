#include "base/test.h"
TEST(nothing) {
    check(t, true);
}
TEST_MAIN("x", CASE(nothing))
