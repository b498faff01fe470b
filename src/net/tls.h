// TLS 1.3 (1.2 by choice) with OpenSSL: what a server shows and demands, and a stream of bytes
// under it. Certificates are PEM files.
//
//   TlsServer ── one context per loop, replaced whole by a reload ──> TlsStream, one per connection
//
// A stream keeps the context that it began with, so that a reload ends no connection. Session
// tickets are on, with keys of our own, renewed with the context. Client certificates are checked
// against the CA file; what they say gives no right, that is for API keys.
#pragma once

#include "os/clock.h"
#include "os/disk.h"
#include "os/socket.h"

typedef enum TlsClientAuth {
    TLS_CLIENT_NONE,      // no certificate is asked for
    TLS_CLIENT_OPTIONAL,  // one that is sent must be good
    TLS_CLIENT_REQUIRED   // without a good one there is no connection
} TlsClientAuth;

typedef enum TlsVersion { TLS_VERSION_1_2, TLS_VERSION_1_3 } TlsVersion;

typedef struct TlsServer TlsServer;

typedef struct TlsServerOptions {
    Disk *disk;
    Clock *clock;
    Text cert_file;       // the server's certificate first, then what signed it
    Text key_file;        // not encrypted
    Text client_ca_file;  // who may sign client certificates; empty when none are asked for
    TlsClientAuth client_auth;
    TlsVersion version_min;
    bool http2;  // offer it by ALPN
} TlsServerOptions;

// The options' texts must outlive it. BAD_INPUT or NOT_FOUND name the file and what is wrong with
// it. A certificate that is expired is used all the same, with a warning in the log.
must_use bool tls_server_open(const TlsServerOptions *options, int loop_count, TlsServer **out,
                              Error *err);
void tls_server_free(TlsServer **server);  // after its streams; NULL is fine

// Reads the files again; when their content changed, new connections get the new certificate. False
// with what is wrong: the old one stays. The same fault is an error only once: as long as the files
// stay as they are, later calls are true. Any thread, one at a time.
must_use bool tls_server_reload(TlsServer *server, bool *changed, Error *err);

int64_t tls_server_expires_s(const TlsServer *server);  // of the certificate, seconds since 1970

// What a client trusts and shows. `ca_file`: empty for what the system trusts. `cert_file` and
// `key_file` may be empty.
typedef struct TlsClientOptions {
    Text ca_file, cert_file, key_file;
} TlsClientOptions;

typedef struct TlsStream TlsStream;

// Over a connected socket, which stays the caller's and outlives the stream.
TlsStream *tls_stream_accept(TlsServer *server, int loop, Socket socket);
// `host` is what the server's certificate must name: a name or an address.
must_use bool tls_stream_connect(const TlsClientOptions *options, Text host, Socket socket,
                                 TlsStream **out, Error *err);
void tls_stream_free(TlsStream **stream);  // NULL is fine

typedef enum TlsResult {
    TLS_DONE,
    TLS_WANTS_READ,   // try again once the socket has bytes
    TLS_WANTS_WRITE,  // try again once it takes some
    TLS_CLOSED,       // the other side has ended the stream, or is gone
    TLS_FAILED
} TlsResult;

TlsResult tls_stream_handshake(TlsStream *stream, Error *err);
TlsResult tls_stream_read(TlsStream *stream, void *into, size_t len, size_t *count, Error *err);
TlsResult tls_stream_write(TlsStream *stream, const void *from, size_t len, size_t *count,
                           Error *err);
void tls_stream_shut(TlsStream *stream);            // says that no more will be written
bool tls_stream_has_more(const TlsStream *stream);  // decrypted or taken from the socket, not read

// What the other side said first was no TLS but the letters of a request.
bool tls_stream_met_plain_text(const TlsStream *stream);
// By ALPN; after the handshake.
typedef enum TlsProtocol { TLS_PROTOCOL_NONE, TLS_PROTOCOL_HTTP1, TLS_PROTOCOL_HTTP2 } TlsProtocol;
TlsProtocol tls_stream_protocol(const TlsStream *stream);
