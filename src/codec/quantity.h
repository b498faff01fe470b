// Durations and sizes as Prometheus writes them in its files: `1h30m`, `15MB`.
#pragma once

#include "base/error.h"
#include "base/text.h"

// Years, weeks, days, hours, minutes, seconds and milliseconds, each once and in this order, or
// "0". BAD_INPUT says what to write.
must_use bool duration_to_ms(Text text, int64_t *out, Error *err);
void duration_print(int64_t ms, Builder *out);  // "1h30m"; 0 is "0s"

// A number (a fraction is fine) with a unit: B, KB or KiB, MB or MiB, … EB; all are powers of 1024,
// as Prometheus takes them. "0" needs none.
must_use bool size_to_bytes(Text text, int64_t *out, Error *err);
void size_print(int64_t bytes, Builder *out);  // "15MiB"
