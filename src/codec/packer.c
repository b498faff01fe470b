// Packing piece by piece, by the streams of zlib and zstd.

#include "codec/packer.h"

#include <zlib.h>
#include <zstd.h>

#include "base/assert.h"
#include "base/memory.h"

enum {
    ROOM_BYTES = 16 * KB,        // that a step may write
    GZIP_WINDOW_BITS = 15 + 16,  // 32 KiB, with gzip's head and end
    GZIP_MEMORY_LEVEL = 8,
};

struct Packer {
    Compression compression;
    z_stream deflater;
    size_t deflater_bytes;
    ZSTD_CStream *zstd;
};

// zlib asks for its memory here; NULL makes it say Z_MEM_ERROR.
static void *take(void *context, unsigned count, unsigned size) {
    Packer *packer = context;
    void *at = NULL;
    Error ignored = {0};
    size_t bytes = array_bytes(count, size);
    if (!memory_reserve(bytes, &at, &ignored)) return NULL;
    packer->deflater_bytes += bytes;
    return at;
}

static void give(void *context, void *at) {
    (void)context;
    memory_free(at);
}

static bool no_memory(const char *name, Error *err) {
    return error_set(err, ERROR_NO_MEMORY, "no memory to pack an answer with %s", name);
}

bool packer_open(Compression compression, int level, Packer **out, Error *err) {
    assert(compression == COMPRESSION_GZIP || compression == COMPRESSION_ZSTD);
    AUTO(packer_close) Packer *packer = memory_new(Packer);
    packer->compression = compression;
    if (compression == COMPRESSION_ZSTD) {
        packer->zstd = ZSTD_createCStream();
        if (packer->zstd == NULL) return no_memory("zstd", err);
        size_t result =
            ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_compressionLevel, level == 0 ? 1 : level);
        assert(!ZSTD_isError(result));
    } else {
        packer->deflater = (z_stream){.zalloc = take, .zfree = give, .opaque = packer};
        int result = deflateInit2(&packer->deflater, level == 0 ? 6 : level, Z_DEFLATED,
                                  GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
        if (result == Z_MEM_ERROR) return no_memory("gzip", err);
        assert(result == Z_OK);
    }
    *out = TAKE(packer);
    return true;
}

static void gzip_step(Packer *packer, Bytes piece, bool last, Builder *out) {
    z_stream *z = &packer->deflater;
    z->next_in = (Bytef *)(uintptr_t)piece.at;
    z->avail_in = (uInt)piece.len;
    // Room that was not filled says that there is no more for now.
    do {
        builder_reserve(out, ROOM_BYTES);
        z->next_out = (Bytef *)out->at + out->len;
        z->avail_out = ROOM_BYTES;
        int result = deflate(z, last ? Z_FINISH : Z_NO_FLUSH);
        assert(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
        out->len += ROOM_BYTES - z->avail_out;
    } while (z->avail_out == 0);
    assert(z->avail_in == 0);
}

static bool zstd_step(Packer *packer, Bytes piece, bool last, Builder *out, Error *err) {
    ZSTD_inBuffer in = {piece.at, piece.len, 0};
    for (;;) {
        builder_reserve(out, ROOM_BYTES);
        ZSTD_outBuffer into = {out->at + out->len, ROOM_BYTES, 0};
        size_t left =
            ZSTD_compressStream2(packer->zstd, &into, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return error_set(err, ERROR_NO_MEMORY, "zstd: %s", ZSTD_getErrorName(left));
        out->len += into.pos;
        if (last ? left == 0 : in.pos == in.size && into.pos < into.size) return true;
    }
}

static bool step(Packer *packer, Bytes piece, bool last, Builder *out, Error *err) {
    if (packer->compression == COMPRESSION_ZSTD) return zstd_step(packer, piece, last, out, err);
    // Its counters have 32 bits.
    enum { STEP_BYTES_MAX = 1 << 30 };
    while (piece.len > STEP_BYTES_MAX) {
        gzip_step(packer, (Bytes){piece.at, STEP_BYTES_MAX}, false, out);
        piece = (Bytes){piece.at + STEP_BYTES_MAX, piece.len - STEP_BYTES_MAX};
    }
    gzip_step(packer, piece, last, out);
    return true;
}

bool packer_add(Packer *packer, Bytes piece, Builder *out, Error *err) {
    return piece.len == 0 || step(packer, piece, false, out, err);
}

bool packer_end(Packer *packer, Builder *out, Error *err) {
    return step(packer, (Bytes){(const uint8_t *)"", 0}, true, out, err);
}

size_t packer_bytes(const Packer *packer) {
    return sizeof *packer + packer->deflater_bytes +
           (packer->zstd == NULL ? 0 : ZSTD_sizeof_CStream(packer->zstd));
}

void packer_close(Packer **handle) {
    if (*handle == NULL) return;
    Packer *packer = TAKE(*handle);
    if (packer->deflater.zalloc != NULL) (void)deflateEnd(&packer->deflater);
    ZSTD_freeCStream(packer->zstd);
    memory_free(packer);
}
