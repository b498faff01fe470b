// Reading the head of an HTTP/1.x request, strictly (RFC 9112), and chunked bodies.
//
// Pure: no I/O, no allocation. The head parser works on a buffer that grows at its end: call it
// again with more bytes, it goes on where it stopped, and the outcome depends on the bytes alone,
// never on how they were cut. Positions are kept as offsets, so the buffer may move between calls.
//
// Strict means: whatever two readers could understand differently is refused (request smuggling):
// bare LF, folded lines, blanks before a colon, Content-Length twice or beside Transfer-Encoding,
// any coding but `chunked`, control bytes, a missing or second Host. Every refusal has a status and
// a sentence; the connection is closed after it.
#pragma once

#include "base/text.h"

// The methods we know. Others are well-formed but answered 501.
#define HTTP_METHODS(row) row(GET) row(HEAD) row(POST) row(PUT) row(DELETE) row(PATCH) row(OPTIONS)

typedef enum HttpMethod {
#define ROW(name) HTTP_##name,
    HTTP_METHODS(ROW)
#undef ROW
        HTTP_METHOD_COUNT
} HttpMethod;

Text http_method_text(HttpMethod method);
bool http_method_from_text(Text text, HttpMethod *out);  // false: well-formed perhaps, not known

typedef struct HttpHeader {
    Text name;   // as written
    Text value;  // trimmed; no control bytes but tabs
} HttpHeader;

// A request head as views into the buffer (and `path` on an arena when it held escapes).
typedef struct HttpHead {
    HttpMethod method;
    int version_major;  // 1, or 2 with a minor of 1: what HTTP/1.1 may do, HTTP/2 may
    int version_minor;  // 0 or 1
    Text target;        // as sent
    Text path;   // decoded once: UTF-8, begins with '/', no control bytes, no dot segments; "*" for
                 // OPTIONS *
    Text query;  // raw, without the '?'; for url.h
    Text host;
    const HttpHeader *headers;
    size_t header_count;
    int64_t content_length;  // 0 when there is none
    bool chunked;
    bool keep_alive;
    bool expect_continue;
} HttpHead;

// The first header of that name, whatever its case; TEXT_NONE when there is none (an empty one has
// `at`).
Text http_head_find(const HttpHead *head, Text name);

typedef enum HttpProgress { HTTP_MORE, HTTP_DONE, HTTP_REFUSED } HttpProgress;

typedef struct HttpRefusal {
    int status;
    const char *reason;  // a literal, one sentence
} HttpRefusal;

enum { HTTP_HEADER_COUNT_MAX = 128, HTTP_EMPTY_LINES_MAX = 4 };

typedef struct HttpParseLimits {
    size_t request_line_bytes;
    size_t header_bytes;  // request line and headers together
    size_t fields_bytes;  // headers without the request line: what a stranger may make us hold
    size_t header_count;  // at most HTTP_HEADER_COUNT_MAX
} HttpParseLimits;

typedef struct HttpSpan {
    uint32_t at, len;
} HttpSpan;

// Begin with {0} for every request. Only `refusal` and `head_len` are for the caller.
typedef struct HttpHeadParser {
    HttpRefusal refusal;  // when REFUSED
    size_t head_len;      // when DONE: bytes up to and with the empty line
    uint32_t scanned, line, fields;
    bool has_request_line;
    uint8_t empty_lines;
    HttpMethod method;
    int version_minor;
    HttpSpan target;
    uint32_t header_count;
    struct {
        HttpSpan name, value;
    } headers[HTTP_HEADER_COUNT_MAX];
} HttpHeadParser;

// `buffer` holds all bytes since the begin of the request (empty lines before it included).
HttpProgress http_head_parse(HttpHeadParser *parser, Bytes buffer, const HttpParseLimits *limits);

// After DONE: the head as views into `buffer`, with header list and decoded path on `arena`. Checks
// what concerns the head as a whole (Host, body framing, target); false fills parser->refusal.
must_use bool http_head_view(HttpHeadParser *parser, Bytes buffer, Arena *arena, HttpHead *out);

// The same for a head that came otherwise (HTTP/2): method, version, target, query "" and headers
// are there, the rest is found from them.
must_use bool http_head_interpret(HttpRefusal *refusal, Arena *arena, HttpHead *out);

// A chunked body (RFC 9112, 7.1). Begin with {0}. Extensions and trailers are checked and dropped.
typedef struct HttpChunks {
    HttpRefusal refusal;
    int state;
    uint64_t left;    // of the chunk
    uint32_t digits;  // of the size
    uint32_t line_bytes, extra_bytes;
} HttpChunks;

// Reads on in `input`: `*used` bytes are consumed, `*data` is the next piece of the body among them
// (may be empty). MORE: call again with what follows, at once when bytes are left. DONE: the bytes
// behind `*used` belong to the next request. A chunk larger than `bytes_max` is 413 before any of
// it is read.
HttpProgress http_chunks_parse(HttpChunks *chunks, Bytes input, uint64_t bytes_max, size_t *used,
                               Bytes *data);
