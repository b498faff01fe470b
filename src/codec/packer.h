// A body packed piece by piece, so that neither it nor its packed form is ever held whole.
//
// What comes out of packer_add and packer_end, put together, is one gzip member or one zstd frame,
// as compress_bytes would make of all pieces at once (a little larger). gzip is zlib's, as
// libdeflate wants a body whole. The window of zstd is that of its level, and at most 8 MiB
// (RFC 9659). One thread at a time.
#pragma once

#include "codec/compress.h"

typedef struct Packer Packer;

// `level` as in compress_bytes. GZIP and ZSTD; NO_MEMORY.
must_use bool packer_open(Compression compression, int level, Packer **out, Error *err);

// Appends to `out` what is ready of the body so far; maybe nothing.
must_use bool packer_add(Packer *packer, Bytes piece, Builder *out, Error *err);
// The rest, and the end of the body. Nothing may be added afterwards.
must_use bool packer_end(Packer *packer, Builder *out, Error *err);

// What it holds: a few hundred KiB, whatever the length of the body.
size_t packer_bytes(const Packer *packer);

void packer_close(Packer **packer);  // NULL is fine
