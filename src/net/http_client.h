// A small blocking HTTP/1.1 client for our own command line and tests: one request, one connection.
//
// Plain or under TLS, where the server has to prove its name. No redirects, no proxies. Everything
// lies on the caller's arena.
#pragma once

#include "base/error.h"
#include "net/http_parse.h"
#include "net/tls.h"

typedef struct HttpClientRequest {
    Text host;  // a name, an IPv4 address or [an IPv6 one]
    uint16_t port;
    bool tls;
    TlsClientOptions tls_options;
    Text method;                // "GET" when empty
    Text target;                // "/…", escaped already
    const HttpHeader *headers;  // without Host, Content-Length and Connection
    size_t header_count;
    Text body;
    int64_t timeout_ms;        // of each wait for the other side
    int64_t answer_bytes_max;  // head and body; 0: 64 MiB
} HttpClientRequest;

typedef struct HttpClientAnswer {
    int status;
    const HttpHeader *headers;
    size_t header_count;
    Text body;
} HttpClientAnswer;

// "http://host[:port]/path?query" or the same with https, into host, port, tls and target of `out`.
must_use bool http_client_url(Text url, HttpClientRequest *out, Error *err);

// Any whole answer is true, whatever its status. NETWORK, TIMEOUT, TOO_LARGE, or CORRUPT for an
// answer that is not HTTP or was cut off.
must_use bool http_client_send(const HttpClientRequest *request, Arena *arena,
                               HttpClientAnswer *out, Error *err);

// The same for an answer that is already in memory, as far as it came; `ended`: the connection was
// closed behind it. HTTP_MORE: bytes are missing.
HttpProgress http_client_parse(Bytes bytes, bool ended, bool is_head, Arena *arena,
                               HttpClientAnswer *out, size_t *used, Error *err);
