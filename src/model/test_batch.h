// Rows as text, for tests of protocols.
#pragma once

#include "base/test.h"
#include "model/batch.h"

// One line per sample or histogram: `name{a="b"} 1.5 @1000`; a native histogram as
// `name{a="b"} {count:3 sum:10 buckets:2} @1000`; metadata as `# counter name "help" unit`. Every
// series passes labels_check, or the test fails.
Text test_batch_print(Test *t, const Batch *batch);
