// Numbers as text, exactly: the shortest digits that read back to the same double, and the double
// closest to any digits.
#pragma once

#include "base/text.h"

enum { NUMBER_TEXT_MAX = 32 };

// As Prometheus prints sample values: Go's FormatFloat(v, 'f', -1, 64). "NaN", "+Inf", "-Inf",
// "-0"; never an exponent. Writes at most 400 bytes (342 is the longest) without a NUL; returns how
// many.
size_t number_format_f64(double value, char into[400]);
// As JavaScript: positional from 1e-6 up to below 1e21, else "1.5e-7", "1e+21" (JSON numbers, CSV).
// Not finite and negative zero as above, so that everything reads back. At most 25 bytes.
size_t number_format_shortest(double value, char into[NUMBER_TEXT_MAX]);
// As exposition pages have them: Go's FormatFloat(v, 'g', -1, 64). "1e+06", "123456", "1e-05", no
// more than 25 bytes.
size_t number_format_general(double value, char into[NUMBER_TEXT_MAX]);
// "1722470400.123" from milliseconds, no trailing zeros ("1722470400", "1722470400.5").
size_t number_format_ms_as_s(int64_t ms, char into[NUMBER_TEXT_MAX]);

// The same for times that follow each other, whose first digits are mostly those of the one before.
// Begin with {0}.
typedef struct NumberTimes {
    uint64_t first;  // the seconds without their last four digits
    char text[16];
    size_t len;
} NumberTimes;
size_t number_format_ms_as_s_again(NumberTimes *times, int64_t ms, char into[NUMBER_TEXT_MAX]);

// Reads what Go's ParseFloat reads of decimal notation: "1", "-.5", "1.e5", "+Inf", "infinity",
// "NaN" (no sign, any case); no hexadecimal, no `_`, no blanks, and nothing that rounds to an
// infinity. Whole text, correctly rounded. Faster than strtod by Clinger's exact powers ("How to
// Read Floating Point Numbers Accurately", 1990) and by one 128-bit power after Eisel and Lemire
// ("Number Parsing at a Gigabyte per Second", 2021).
must_use bool number_parse_f64(Text text, double *out);

void builder_add_f64(Builder *builder, double value);  // number_format_f64
