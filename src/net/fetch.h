// An HTTP client on a loop: many requests at once, connections kept and used again.
//
// libcurl does the protocol (HTTP/1.1, HTTP/2, TLS, proxies, redirects), the loop does the waiting.
// Names are resolved on the loop too (names.h), so that a silent name server costs no threads; the
// proxy's name instead of the server's where a proxy is named. Left to curl, which begins a thread
// per lookup, are the rare ones it alone comes to know: hosts that a redirect leads to, proxies out
// of the environment or of scheme socks4/socks5, and hosts that are not ASCII. A body is gathered
// up to a limit, on the wire and again decompressed: an endless or enormous one is cut off early.
// Messages of errors name what is wrong and never carry credentials.
//
// One client belongs to one loop; all calls on its thread.
#pragma once

#include "base/error.h"
#include "net/http_parse.h"
#include "net/loop.h"

typedef struct FetchClient FetchClient;
typedef struct Fetch Fetch;  // a request on its way

typedef enum FetchTlsVersion {
    FETCH_TLS_DEFAULT,
    FETCH_TLS_1_0,
    FETCH_TLS_1_1,
    FETCH_TLS_1_2,
    FETCH_TLS_1_3
} FetchTlsVersion;

// Files are PEM, read when a connection begins; the texts beside them are the same, inline. Empty:
// not given.
typedef struct FetchTls {
    Text ca_file, ca;
    Text cert_file, cert;
    Text key_file, key;
    Text server_name;  // expected in the certificate, instead of the host of the URL
    FetchTlsVersion version_min, version_max;
    bool insecure;  // any certificate is welcome
} FetchTls;

typedef struct FetchProxy {
    Text url;               // empty: straight to the server
    Text none_for;          // "host,.domain,10.0.0.0/8": these without the proxy
    bool from_environment;  // HTTP_PROXY and kin decide instead
    const HttpHeader *connect_headers;
    size_t connect_header_count;
} FetchProxy;

typedef struct FetchAnswer {
    int status;
    Text content_type;  // empty when the server sent none
    Text body;          // decompressed
    int64_t duration_ns;
    int64_t wire_bytes;  // of the body as it came
} FetchAnswer;

// Exactly once per request, on the loop, never from inside fetch_start: `answer` is NULL when there
// is none and `err` says why (NETWORK, TIMEOUT, TOO_LARGE, BAD_INPUT). Any status is an answer.
// Views hold during the call.
typedef void (*FetchDone)(void *context, const FetchAnswer *answer, const Error *err);

// Everything is copied by fetch_start but what `tls` and `proxy` point to, which must stay until
// `done`.
typedef struct FetchRequest {
    Text method;  // "GET" when empty
    Text url;     // http:// or https://, escaped already
    const HttpHeader *headers;
    size_t header_count;
    Text body;
    Text user, password;  // basic authorisation when `user` is not empty or `basic` is set
    bool basic;
    const FetchTls *tls;      // NULL: the system's authorities
    const FetchProxy *proxy;  // NULL: none
    bool follow_redirects;    // credentials do not follow to another host
    bool http2;               // when the server offers it under TLS
    bool accept_gzip;
    int64_t timeout_ms;      // of the whole
    int64_t body_bytes_max;  // on the wire and decompressed
    FetchDone done;
    void *context;
} FetchRequest;

// At most `connections_max` connections are kept open when they are idle.
must_use bool fetch_client_open(Loop *loop, size_t connections_max, FetchClient **out, Error *err);
// Cancels what is under way without calling `done`. On the loop's thread, or after it ended.
void fetch_client_close(FetchClient **client);
// A changed number of targets.
void fetch_client_resize(FetchClient *client, size_t connections_max);
// Bytes of all bodies that are being received together, instead of FETCH_BYTES: what does not fit
// is TOO_LARGE.
void fetch_client_limit(FetchClient *client, int64_t bytes_max);

// Other name servers than those of /etc/resolv.conf: "127.0.0.1:5353,…". Before the first request.
must_use bool fetch_client_name_servers(FetchClient *client, Text servers, Error *err);
// How many names were asked for, so far.
int64_t fetch_client_lookups(const FetchClient *client);

// BAD_INPUT for a URL that is none; then `done` is not called.
must_use bool fetch_start(FetchClient *client, const FetchRequest *request, Fetch **out,
                          Error *err);
// `done` will not be called. NULL is fine.
void fetch_cancel(Fetch **fetch);
