// MD5 (RFC 1321), for relabelling's hashmod, which shards targets by it. Nothing here is secret or
// protects anything; do not use it where somebody gains by a collision.
#pragma once

#include "base/text.h"

typedef struct Md5 {
    uint8_t bytes[16];
} Md5;

Md5 md5_of(Bytes bytes);
