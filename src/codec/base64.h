// Base64 (RFC 4648, section 4), strict: padded, and nothing but its alphabet.
#pragma once

#include "base/text.h"

// False when it is not base64.
must_use bool base64_decode(Text text, Arena *arena, Bytes *out);
void base64_encode(Bytes bytes, Builder *out);
