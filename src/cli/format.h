// What several commands read from their flags: how to print, moments, durations. Private to cli.
#pragma once

#include "cli/command.h"
#include "cli/table.h"

// --output or --json; a table without either. BAD_INPUT.
must_use bool call_format(const Call *call, TableFormat *out, Error *err);

// "now", "-1h", "now-1h", RFC 3339, or seconds since 1970 ("1700000000.5"), in milliseconds.
must_use bool moment_parse(Text text, int64_t now_ms, int64_t *out, Error *err);

// A distance of time as Prometheus writes it ("1h30m"), or seconds ("15", "0.5"), in milliseconds;
// more than 0.
must_use bool distance_parse(Text text, int64_t *out, Error *err);
