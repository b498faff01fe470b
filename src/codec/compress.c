// Bodies made smaller and whole again: one row per format, one guard for all of them.

#include "codec/compress.h"

#include <libdeflate.h>
#include <snappy-c.h>
#include <zstd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"
#include "codec/snappy.h"

enum { RATIO_FREE_BYTES = MB, OUTPUT_BYTES_MIN = 4 * KB, ZSTD_WINDOW_LOG_MAX = 23 };

// The decoded bytes of one call: where they begin in `out`, and how many there may be.
typedef struct Output {
    Builder *out;
    size_t begin;
    size_t allowed;    // the smaller of the two limits
    size_t bytes_max;  // the caller's
    size_t input_bytes;
} Output;

static Output output_begin(Bytes from, size_t bytes_max, Builder *out) {
    size_t by_ratio;
    bool overflow =
        __builtin_mul_overflow(from.len, (size_t)LIMIT_BODY_DECOMPRESSED_RATIO, &by_ratio);
    by_ratio = overflow ? SIZE_MAX : MAX(by_ratio, (size_t)RATIO_FREE_BYTES);
    // Half of the address space is more than there is, and leaves room for sums.
    size_t by_limits = MIN(bytes_max, by_ratio);
    size_t allowed = MIN(by_limits, SIZE_MAX / 2 - out->len);
    return (Output){out, out->len, allowed, bytes_max, from.len};
}

static size_t output_len(const Output *output) {
    return output->out->len - output->begin;
}

// The error of a body that is, or says that it is, larger than allowed.
static bool output_too_large(const Output *output, Error *err) {
    if (output->allowed == output->bytes_max) {
        return error_set(err, ERROR_TOO_LARGE,
                         "the decompressed body passes %zu bytes (limit BODY_DECOMPRESSED_BYTES); "
                         "send smaller bodies",
                         output->bytes_max);
    }
    return error_set(err, ERROR_TOO_LARGE,
                     "%zu bytes decompress to more than %zu (limit BODY_DECOMPRESSED_RATIO, %d to "
                     "1 past the first MiB)",
                     output->input_bytes, output->allowed, (int)LIMIT_BODY_DECOMPRESSED_RATIO);
}

// Room for `more` bytes, which the caller has held against `allowed`, and `slack` behind them.
// Unlike builder_reserve it may fail: the size follows what a stranger sent.
static bool output_reserve(Output *output, size_t more, size_t slack, Error *err) {
    Builder *out = output->out;
    assert(more <= output->allowed - output_len(output));
    size_t need = out->len + more + slack;
    if (need <= out->capacity && out->at != NULL) return true;
    size_t capacity = MAX(need, (size_t)OUTPUT_BYTES_MIN);
    void *moved;
    TRY(memory_reserve_again(out->at, capacity, &moved, err));
    out->at = moved;
    out->capacity = capacity;
    return true;
}

// The next size to try when `room` was not enough.
static size_t output_more(const Output *output, size_t room) {
    size_t left = output->allowed - output_len(output);
    if (room > left / 2 || left < OUTPUT_BYTES_MIN) return left;
    return MAX(room * 2, (size_t)OUTPUT_BYTES_MIN);
}

static bool none_decode(Bytes from, Output *output, Error *err) {
    if (from.len > output->allowed) return output_too_large(output, err);
    TRY(output_reserve(output, from.len, 0, err));
    builder_add_bytes(output->out, from.at, from.len);
    return true;
}

static bool snappy_decode(Bytes from, Output *output, Error *err) {
    size_t stated, at;
    if (!snappy_length(from, &stated, &at)) {
        return error_set(err, ERROR_BAD_INPUT, "not a snappy block: its length cannot be read");
    }
    if (stated > output->allowed) return output_too_large(output, err);
    TRY(output_reserve(output, stated, SNAPPY_SLACK_BYTES, err));
    Builder *out = output->out;
    Bytes elements = {from.at + at, from.len - at};
    if (!snappy_unpack(elements, (uint8_t *)out->at + out->len, stated)) {
        return error_set(err, ERROR_BAD_INPUT,
                         "a broken snappy block of %zu bytes that should give %zu", from.len,
                         stated);
    }
    out->len += stated;
    return true;
}

static void deflate_free(struct libdeflate_decompressor **inflater) {
    libdeflate_free_decompressor(*inflater);
}

typedef enum libdeflate_result (*DeflateDecode)(struct libdeflate_decompressor *, const void *,
                                                size_t, void *, size_t, size_t *, size_t *);

// One gzip member or zlib stream from the front of `*rest`. libdeflate wants room for the whole:
// the guess is `room`, doubled until it is enough or all that is allowed.
static bool deflate_decode_one(struct libdeflate_decompressor *inflater, DeflateDecode decode,
                               const char *name, size_t room, Bytes *rest, Output *output,
                               Error *err) {
    for (room = MIN(room, output->allowed - output_len(output));;
         room = output_more(output, room)) {
        TRY(output_reserve(output, room, 0, err));
        size_t taken = 0, given = 0;
        Builder *out = output->out;
        enum libdeflate_result result =
            decode(inflater, rest->at, rest->len, out->at + out->len, room, &taken, &given);
        if (result == LIBDEFLATE_SUCCESS) {
            out->len += given;
            *rest = (Bytes){rest->at + taken, rest->len - taken};
            return true;
        }
        if (result != LIBDEFLATE_INSUFFICIENT_SPACE) {
            return error_set(err, ERROR_BAD_INPUT, "a broken or cut off %s body of %zu bytes", name,
                             rest->len);
        }
        if (room == output->allowed - output_len(output)) return output_too_large(output, err);
    }
}

static bool inflater_new(struct libdeflate_decompressor **inflater, Error *err) {
    *inflater = libdeflate_alloc_decompressor();
    return *inflater != NULL ||
           error_set(err, ERROR_NO_MEMORY, "no memory for a deflate decompressor");
}

static bool gzip_decode(Bytes from, Output *output, Error *err) {
    AUTO(deflate_free) struct libdeflate_decompressor *inflater = NULL;
    TRY(inflater_new(&inflater, err));
    if (from.len == 0) return error_set(err, ERROR_BAD_INPUT, "an empty body is not gzip");
    do {
        // The last four bytes are the length of the last member. It may lie, so it is only a guess.
        uint32_t stated = 0;
        if (from.len >= 18) memcpy(&stated, from.at + from.len - 4, sizeof stated);
        size_t likely_most = from.len > SIZE_MAX / 32 ? from.len : from.len * 32;
        size_t room = stated >= from.len / 2 && stated <= likely_most ? stated : from.len * 4;
        TRY(deflate_decode_one(inflater, libdeflate_gzip_decompress_ex, "gzip", room, &from, output,
                               err));
    } while (from.len > 0);
    return true;
}

static bool zlib_decode(Bytes from, Output *output, Error *err) {
    AUTO(deflate_free) struct libdeflate_decompressor *inflater = NULL;
    TRY(inflater_new(&inflater, err));
    TRY(deflate_decode_one(inflater, libdeflate_zlib_decompress_ex, "zlib", from.len * 4, &from,
                           output, err));
    if (from.len > 0)
        return error_set(err, ERROR_BAD_INPUT, "%zu bytes follow the end of the zlib body",
                         from.len);
    return true;
}

static void zstd_free(ZSTD_DCtx **context) {
    ZSTD_freeDCtx(*context);
}

// One frame (or one skippable frame). A stated content size that fits is reserved at once, and then
// zstd decodes in one pass, straight into `out` and without a window.
static bool zstd_decode_frame(ZSTD_DCtx *context, ZSTD_inBuffer *in, Output *output, Error *err) {
    const char *at = (const char *)in->src + in->pos;
    unsigned long long stated = ZSTD_getFrameContentSize(at, in->size - in->pos);
    if (stated == ZSTD_CONTENTSIZE_ERROR)
        return error_set(err, ERROR_BAD_INPUT, "not zstd at byte %zu", in->pos);
    size_t left = output->allowed - output_len(output);
    bool known = stated != ZSTD_CONTENTSIZE_UNKNOWN;
    if (known && stated > left) return output_too_large(output, err);
    size_t room = known ? (size_t)stated : output_more(output, (in->size - in->pos) * 2);
    Builder *out = output->out;
    for (;;) {
        TRY(output_reserve(output, room, 0, err));
        ZSTD_outBuffer into = {out->at + out->len, room, 0};
        size_t before = in->pos;
        size_t result = ZSTD_decompressStream(context, &into, in);
        out->len += into.pos;
        if (ZSTD_isError(result)) {
            return error_set(err, ERROR_BAD_INPUT, "broken zstd body: %s",
                             ZSTD_getErrorName(result));
        }
        if (result == 0) return true;
        if (into.pos < into.size || room == 0) {
            bool stuck = into.pos == 0 && in->pos == before;
            if (stuck && room == 0) return output_too_large(output, err);
            if (stuck)
                return error_set(err, ERROR_BAD_INPUT, "the zstd body of %zu bytes is cut off",
                                 in->size);
        }
        room = into.pos == into.size ? output_more(output, room) : room - into.pos;
    }
}

static bool zstd_decode(Bytes from, Output *output, Error *err) {
    AUTO(zstd_free) ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == NULL)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a zstd decompressor");
    size_t result = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    assert(!ZSTD_isError(result));
    if (from.len == 0) return error_set(err, ERROR_BAD_INPUT, "an empty body is not zstd");
    ZSTD_inBuffer in = {from.at, from.len, 0};
    while (in.pos < in.size) TRY(zstd_decode_frame(context, &in, output, err));
    return true;
}

static bool none_encode(Bytes from, int level, Builder *out, Error *err) {
    builder_add_bytes(out, from.at, from.len);
    return true;
}

static bool snappy_encode(Bytes from, int level, Builder *out, Error *err) {
    size_t len = snappy_max_compressed_length(from.len);
    builder_reserve(out, len);
    if (snappy_compress((const char *)from.at, from.len, out->at + out->len, &len) != SNAPPY_OK) {
        return error_set(err, ERROR_TOO_LARGE, "snappy cannot hold %zu bytes", from.len);
    }
    out->len += len;
    return true;
}

static bool deflate_encode(Bytes from, int level, bool gzip, Builder *out, Error *err) {
    struct libdeflate_compressor *deflater = libdeflate_alloc_compressor(level == 0 ? 6 : level);
    if (deflater == NULL)
        return error_set(err, ERROR_BAD_INPUT, "deflate has levels 1 to 12, not %d", level);
    size_t bound = gzip ? libdeflate_gzip_compress_bound(deflater, from.len)
                        : libdeflate_zlib_compress_bound(deflater, from.len);
    builder_reserve(out, bound);
    char *into = out->at + out->len;
    size_t len = gzip ? libdeflate_gzip_compress(deflater, from.at, from.len, into, bound)
                      : libdeflate_zlib_compress(deflater, from.at, from.len, into, bound);
    libdeflate_free_compressor(deflater);
    assert(len > 0);
    out->len += len;
    return true;
}

static bool gzip_encode(Bytes from, int level, Builder *out, Error *err) {
    return deflate_encode(from, level, true, out, err);
}

static bool zlib_encode(Bytes from, int level, Builder *out, Error *err) {
    return deflate_encode(from, level, false, out, err);
}

static bool zstd_encode(Bytes from, int level, Builder *out, Error *err) {
    size_t bound = ZSTD_compressBound(from.len);
    builder_reserve(out, bound);
    // Levels beyond 19 use windows that RFC 9659 does not let a receiver accept.
    if (level > 19)
        return error_set(err, ERROR_BAD_INPUT, "zstd has levels up to 19 here, not %d", level);
    size_t len =
        ZSTD_compress(out->at + out->len, bound, from.at, from.len, level == 0 ? 1 : level);
    if (ZSTD_isError(len))
        return error_set(err, ERROR_NO_MEMORY, "zstd: %s", ZSTD_getErrorName(len));
    out->len += len;
    return true;
}

// ORDER: Compression
static const struct CompressionRow {
    Text name;
    Text other_name;
    Text magic;
    bool (*decode)(Bytes from, Output *output, Error *err);
    bool (*encode)(Bytes from, int level, Builder *out, Error *err);
} rows[] = {
    [COMPRESSION_NONE] = {TEXT_INIT("identity"), TEXT_INIT(""), TEXT_INIT(""), none_decode,
                          none_encode},
    [COMPRESSION_SNAPPY] = {TEXT_INIT("snappy"), TEXT_INIT("snappy"), TEXT_INIT(""), snappy_decode,
                            snappy_encode},
    [COMPRESSION_GZIP] = {TEXT_INIT("gzip"), TEXT_INIT("x-gzip"), TEXT_INIT("\x1f\x8b\x08"),
                          gzip_decode, gzip_encode},
    [COMPRESSION_ZLIB] = {TEXT_INIT("deflate"), TEXT_INIT("deflate"), TEXT_INIT(""), zlib_decode,
                          zlib_encode},
    [COMPRESSION_ZSTD] = {TEXT_INIT("zstd"), TEXT_INIT("zstd"), TEXT_INIT("\x28\xb5\x2f\xfd"),
                          zstd_decode, zstd_encode},
};
_Static_assert(COUNT(rows) == COMPRESSION_COUNT, "one row for each compression");

bool compression_from_name(Text name, Compression *out) {
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (text_equal_ignore_case(name, rows[i].name) ||
            text_equal_ignore_case(name, rows[i].other_name)) {
            *out = (Compression)i;
            return true;
        }
    }
    return false;
}

Text compression_name(Compression compression) {
    assert(compression < COMPRESSION_COUNT);
    return rows[compression].name;
}

Compression compression_by_magic(Bytes bytes) {
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].magic.len > 0 && text_starts_with(bytes_text(bytes), rows[i].magic))
            return (Compression)i;
    }
    return COMPRESSION_NONE;
}

bool decompress(Compression compression, Bytes from, size_t bytes_max, Builder *out, Error *err) {
    assert(compression < COMPRESSION_COUNT);
    if (from.at == NULL) from.at = (const uint8_t *)"";
    Output output = output_begin(from, bytes_max, out);
    if (rows[compression].decode(from, &output, err)) return true;
    out->len = output.begin;
    return false;
}

bool compress_bytes(Compression compression, int level, Bytes from, Builder *out, Error *err) {
    assert(compression < COMPRESSION_COUNT);
    if (from.at == NULL) from.at = (const uint8_t *)"";
    return rows[compression].encode(from, level, out, err);
}
