// Numbers as text, exactly: the shortest digits that read back to the same double.
#pragma once

#include "base/text.h"

enum { NUMBER_TEXT_MAX = 32 };

// As Prometheus prints sample values (Go's strconv 'f', -1 within [1e-6?, 1e21), see number.c): "NaN", "+Inf", "-Inf",
// no exponent where Go's FormatFloat(v, 'f', -1, 64) has none. Writes at most 400 bytes into `into`; returns the length.
size_t number_format_f64(double value, char into[400]);
// JavaScript-like shortest form, with an exponent when that is shorter (JSON numbers, CSV).
size_t number_format_shortest(double value, char into[NUMBER_TEXT_MAX]);
// "1722470400.123" from milliseconds, no trailing zeros ("1722470400", "1722470400.5").
size_t number_format_ms_as_s(int64_t ms, char into[NUMBER_TEXT_MAX]);
void builder_add_f64(Builder *builder, double value);  // number_format_f64
