// Private to tls_*.c: the shared pieces around OpenSSL.
#pragma once

#include <openssl/ssl.h>

#include "base/limits.h"
#include "net/tls.h"

// Puts OpenSSL's first complaint behind `doing` and empties its queue; false.
bool tls_error(Error *err, ErrorCode code, const char *doing);

// PEM files read by the caller, into a context. `name` is the file's, for errors.
must_use bool tls_use_certificate(SSL_CTX *context, Bytes pem, Text name, Error *err);
must_use bool tls_use_key(SSL_CTX *context, Bytes pem, Text name, Text cert_name, Error *err);
must_use bool tls_use_ca(SSL_CTX *context, Bytes pem, Text name, bool announce, Error *err);

// `*out` is wiped by the caller when it is a key.
must_use bool tls_read_file(Disk *disk, Text path, const char *what, Arena *arena, Bytes *out,
                            Error *err);

SSL_CTX *tls_context_begin(bool is_server, TlsVersion version_min);
TlsStream *tls_stream_wrap(SSL_CTX *context, Socket socket, bool is_server);
SSL *tls_stream_ssl(TlsStream *stream);  // of a client; a server's comes with the client's hello

// Do these bytes, the first ones of a client, hold its whole ClientHello? True also when they are
// none, or one of more than TLS_HELLO_BYTES: waiting for more would not make it better.
bool tls_hello_is_whole(Bytes taken);
