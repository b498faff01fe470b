// Chunked bodies, a byte at a time through the frame and in one piece through the data.
//
//   chunked-body = *( size [ext] CRLF data CRLF ) "0" [ext] CRLF *( field-line CRLF ) CRLF
//   ext          = *( ";" name [ "=" ( token / quoted-string ) ] )          no blanks

#include "net/http_parse.h"

#include "base/assert.h"

enum {
    SIZE_DIGITS_MAX = 16,
    LINE_BYTES_MAX = 1024,       // one extension or trailer line
    EXTRA_BYTES_MAX = 16 * 1024  // all of them in one body
};

typedef enum ChunkState {
    CHUNK_SIZE,
    CHUNK_EXTENSION,  // behind ';', name expected
    CHUNK_EXTENSION_NAME,
    CHUNK_EXTENSION_EQUALS,  // behind '=', value expected
    CHUNK_EXTENSION_TOKEN,
    CHUNK_EXTENSION_QUOTED,
    CHUNK_EXTENSION_ESCAPE,  // behind '\' inside quotes
    CHUNK_EXTENSION_UNQUOTED,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER,  // at the begin of a line
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
    CHUNK_DONE
} ChunkState;

static HttpProgress refuse(HttpChunks *chunks, int status, const char *reason) {
    chunks->refusal = (HttpRefusal){status, reason};
    return HTTP_REFUSED;
}

static HttpProgress go(HttpChunks *chunks, ChunkState state) {
    chunks->state = (int)state;
    return HTTP_MORE;
}

static int hex_value(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool is_token(uint8_t c) {
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_line_byte(uint8_t c) {
    return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static HttpProgress size_done(HttpChunks *chunks, uint64_t bytes_max) {
    if (chunks->left > bytes_max)
        return refuse(chunks, 413, "The body is too large (HTTP_BODY_BYTES).");
    return go(chunks, CHUNK_SIZE_LF);
}

static HttpProgress on_size(HttpChunks *chunks, uint8_t c, uint64_t bytes_max) {
    int digit = hex_value(c);
    if (digit >= 0) {
        if (chunks->digits++ == SIZE_DIGITS_MAX)
            return refuse(chunks, 400, "A chunk size has too many digits.");
        chunks->left = chunks->left << 4 | (uint64_t)digit;
        return HTTP_MORE;
    }
    if (chunks->digits == 0) return refuse(chunks, 400, "A chunk size is missing.");
    if (c == '\r') return size_done(chunks, bytes_max);
    if (c == ';') return go(chunks, CHUNK_EXTENSION);
    return refuse(chunks, 400, "A chunk size is not hexadecimal.");
}

// What may follow a complete extension: the next one or the end of the line.
static HttpProgress on_extension_end(HttpChunks *chunks, uint8_t c, uint64_t bytes_max) {
    if (c == ';') return go(chunks, CHUNK_EXTENSION);
    if (c == '\r') return size_done(chunks, bytes_max);
    return refuse(chunks, 400, "A chunk extension is malformed.");
}

static HttpProgress on_extension(HttpChunks *chunks, uint8_t c, uint64_t bytes_max) {
    switch (chunks->state) {
        case CHUNK_EXTENSION:
            if (is_token(c)) return go(chunks, CHUNK_EXTENSION_NAME);
            break;
        case CHUNK_EXTENSION_NAME:
            if (is_token(c)) return HTTP_MORE;
            if (c == '=') return go(chunks, CHUNK_EXTENSION_EQUALS);
            return on_extension_end(chunks, c, bytes_max);
        case CHUNK_EXTENSION_EQUALS:
            if (c == '"') return go(chunks, CHUNK_EXTENSION_QUOTED);
            if (is_token(c)) return go(chunks, CHUNK_EXTENSION_TOKEN);
            break;
        case CHUNK_EXTENSION_TOKEN:
            if (is_token(c)) return HTTP_MORE;
            return on_extension_end(chunks, c, bytes_max);
        case CHUNK_EXTENSION_QUOTED:
            if (c == '"') return go(chunks, CHUNK_EXTENSION_UNQUOTED);
            if (c == '\\') return go(chunks, CHUNK_EXTENSION_ESCAPE);
            if (is_line_byte(c)) return HTTP_MORE;
            break;
        case CHUNK_EXTENSION_ESCAPE:
            if (is_line_byte(c)) return go(chunks, CHUNK_EXTENSION_QUOTED);
            break;
        default:
            return on_extension_end(chunks, c, bytes_max);
    }
    return refuse(chunks, 400, "A chunk extension is malformed.");
}

// Trailers are read by the rules of headers and dropped: nothing we serve needs one.
static HttpProgress on_trailer(HttpChunks *chunks, uint8_t c) {
    switch (chunks->state) {
        case CHUNK_TRAILER:
            if (c == '\r') return go(chunks, CHUNK_END_LF);
            if (is_token(c)) return go(chunks, CHUNK_TRAILER_NAME);
            break;
        case CHUNK_TRAILER_NAME:
            if (is_token(c)) return HTTP_MORE;
            if (c == ':') return go(chunks, CHUNK_TRAILER_VALUE);
            break;
        default:
            if (c == '\r') return go(chunks, CHUNK_TRAILER_LF);
            if (is_line_byte(c)) return HTTP_MORE;
            break;
    }
    return refuse(chunks, 400, "A trailer is malformed.");
}

static HttpProgress count_extra(HttpChunks *chunks) {
    if (++chunks->line_bytes > LINE_BYTES_MAX || ++chunks->extra_bytes > EXTRA_BYTES_MAX) {
        return refuse(chunks, 431, "Chunk extensions or trailers are too long.");
    }
    return HTTP_MORE;
}

static HttpProgress on_byte(HttpChunks *chunks, uint8_t c, uint64_t bytes_max) {
    switch ((ChunkState)chunks->state) {
        case CHUNK_SIZE:
            return on_size(chunks, c, bytes_max);
        case CHUNK_EXTENSION:
        case CHUNK_EXTENSION_NAME:
        case CHUNK_EXTENSION_EQUALS:
        case CHUNK_EXTENSION_TOKEN:
        case CHUNK_EXTENSION_QUOTED:
        case CHUNK_EXTENSION_ESCAPE:
        case CHUNK_EXTENSION_UNQUOTED:
            if (count_extra(chunks) == HTTP_REFUSED) return HTTP_REFUSED;
            return on_extension(chunks, c, bytes_max);
        case CHUNK_SIZE_LF:
            if (c != '\n') break;
            chunks->line_bytes = 0;
            chunks->digits = 0;
            return go(chunks, chunks->left == 0 ? CHUNK_TRAILER : CHUNK_DATA);
        case CHUNK_DATA_CR:
            if (c != '\r') break;
            return go(chunks, CHUNK_DATA_LF);
        case CHUNK_DATA_LF:
            if (c != '\n') break;
            return go(chunks, CHUNK_SIZE);
        case CHUNK_TRAILER:
        case CHUNK_TRAILER_NAME:
        case CHUNK_TRAILER_VALUE:
            if (count_extra(chunks) == HTTP_REFUSED) return HTTP_REFUSED;
            return on_trailer(chunks, c);
        case CHUNK_TRAILER_LF:
            if (c != '\n') break;
            chunks->line_bytes = 0;
            return go(chunks, CHUNK_TRAILER);
        case CHUNK_END_LF:
            if (c != '\n') break;
            chunks->state = CHUNK_DONE;
            return HTTP_DONE;
        case CHUNK_DATA:
        case CHUNK_DONE:
            unreachable("data is not read a byte at a time, and nothing is after the end");
    }
    return refuse(chunks, 400, "A line of a chunked body does not end in CR LF where it should.");
}

HttpProgress http_chunks_parse(HttpChunks *chunks, Bytes input, uint64_t bytes_max, size_t *used,
                               Bytes *data) {
    *data = BYTES_NONE;
    *used = 0;
    while (*used < input.len) {
        if (chunks->state == CHUNK_DATA) {
            size_t len = (size_t)MIN(chunks->left, (uint64_t)(input.len - *used));
            *data = (Bytes){input.at + *used, len};
            *used += len;
            chunks->left -= len;
            if (chunks->left == 0) chunks->state = CHUNK_DATA_CR;
            return HTTP_MORE;
        }
        HttpProgress progress = on_byte(chunks, input.at[*used], bytes_max);
        (*used)++;
        if (progress != HTTP_MORE) return progress;
    }
    return HTTP_MORE;
}
