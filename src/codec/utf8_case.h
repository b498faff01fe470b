// Upper and lower case of UTF-8 by Unicode's simple mappings, one character to one, as Go's
// strings.ToUpper and ToLower do it.
//
// No locale takes part. Bytes that are not UTF-8 stay as they are.
#pragma once

#include "base/text.h"

typedef enum Utf8Case { UTF8_LOWER, UTF8_UPPER } Utf8Case;

// A view of `text` when nothing changes, else a new text on the arena.
Text utf8_to_case(Text text, Utf8Case to, Arena *arena);
