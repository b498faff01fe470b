// Unpacking a snappy block: the format of every remote write body.
//
// Format: google/snappy, format_description.txt. The library is left for packing; unpacking is here
// because it was a fifth of what a sample costs (its copies go through calls; these are inline and
// 16 bytes wide).
#pragma once

#include "base/text.h"

enum { SNAPPY_SLACK_BYTES = 64 };  // writable behind the output; what lies there is overwritten

// The length that a block states, and where its elements begin. False: it states none (more than
// five bytes, beyond 32 bits, or cut off).
bool snappy_length(Bytes block, size_t *len, size_t *elements_at);

// Elements become exactly `len` bytes at `out`, behind which SNAPPY_SLACK_BYTES are writable.
// False: the elements are malformed, reach outside what there is, or give another length; then
// `out` holds anything.
must_use bool snappy_unpack(Bytes elements, uint8_t *out, size_t len);
