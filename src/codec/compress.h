// Bodies made smaller: snappy (block format), gzip, zlib, zstd; and the guard against bombs.
//
// Decoding never trusts a stated length: output is bounded by `bytes_max` and by the ratio limit
// (BODY_DECOMPRESSED_RATIO times the input past the first MiB), checked before memory is taken.
// Passing either is ERROR_TOO_LARGE naming the limit; broken input is ERROR_BAD_INPUT. Bytes after
// the end are broken input too, except further gzip members and zstd frames, which those formats
// allow. A zstd window is at most 8 MiB, as RFC 9659 asks of HTTP. Any thread; nothing is kept
// between calls.
#pragma once

#include "base/error.h"
#include "base/text.h"

typedef enum Compression {
    COMPRESSION_NONE,
    COMPRESSION_SNAPPY,
    COMPRESSION_GZIP,
    COMPRESSION_ZLIB,
    COMPRESSION_ZSTD,
    COMPRESSION_COUNT
} Compression;

// By the name of an HTTP Content-Encoding ("", identity, snappy, gzip, x-gzip, deflate, zstd).
// False when unknown.
must_use bool compression_from_name(Text name, Compression *out);
Text compression_name(Compression compression);

// What the first bytes say: gzip and zstd have a magic; otherwise COMPRESSION_NONE.
Compression compression_by_magic(Bytes bytes);

// Appends the decoded bytes to `out` (kept memory is reused from call to call). On failure `out`
// has its old length; ERROR_NO_MEMORY when the memory for the body is refused.
must_use bool decompress(Compression compression, Bytes from, size_t bytes_max, Builder *out,
                         Error *err);
// Level 0: each format's default (zstd 1, gzip 6).
must_use bool compress_bytes(Compression compression, int level, Bytes from, Builder *out,
                             Error *err);
