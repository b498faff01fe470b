// The client's side: trust, the name that must be proven, and a certificate of its own.

#include <openssl/crypto.h>
#include <openssl/x509v3.h>

#include "net/tls_private.h"

static void context_free(SSL_CTX **context) {
    SSL_CTX_free(*context);
}

static bool use_own(const TlsClientOptions *options, Disk *disk, SSL_CTX *context, Arena *arena,
                    Error *err) {
    if (options->cert_file.len == 0 && options->key_file.len == 0) return true;
    if (options->cert_file.len == 0 || options->key_file.len == 0)
        return error_set(err, ERROR_BAD_INPUT,
                         "a client certificate needs its key, and a key its certificate");
    Bytes cert, key;
    TRY(tls_read_file(disk, options->cert_file, "client certificate", arena, &cert, err));
    TRY(tls_use_certificate(context, cert, options->cert_file, err));
    TRY(tls_read_file(disk, options->key_file, "client key", arena, &key, err));
    bool ok = tls_use_key(context, key, options->key_file, options->cert_file, err);
    OPENSSL_cleanse((void *)(uintptr_t)key.at, key.len);
    return ok;
}

static bool use_trust(const TlsClientOptions *options, Disk *disk, SSL_CTX *context, Arena *arena,
                      Error *err) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (options->ca_file.len == 0) {
        if (SSL_CTX_set_default_verify_paths(context) == 1) return true;
        return tls_error(err, ERROR_IO, "the system's trusted certificates");
    }
    Bytes ca;
    TRY(tls_read_file(disk, options->ca_file, "CA file", arena, &ca, err));
    return tls_use_ca(context, ca, options->ca_file, false, err);
}

// An address is proven as an address, a name as a name.
static bool demand_name(SSL *ssl, Text host, Arena *arena, Error *err) {
    if (host.len >= 2 && host.at[0] == '[') host = text_slice(host, 1, host.len - 1);
    const char *name = text_to_cstring(host, arena);
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1) return true;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1) return true;
    return tls_error(err, ERROR_BAD_INPUT, "the server's name");
}

bool tls_stream_connect(const TlsClientOptions *options, Text host, Socket socket, TlsStream **out,
                        Error *err) {
    Disk *disk = disk_real();
    AUTO(arena_free) Arena arena = {0};
    AUTO(context_free) SSL_CTX *context = tls_context_begin(false, TLS_VERSION_1_2);
    TRY(use_trust(options, disk, context, &arena, err));
    TRY(use_own(options, disk, context, &arena, err));
    AUTO(tls_stream_free) TlsStream *stream = tls_stream_wrap(context, socket, false);
    TRY(demand_name(tls_stream_ssl(stream), host, &arena, err));
    static const unsigned char protocols[] = "\x08http/1.1";
    SSL_set_alpn_protos(tls_stream_ssl(stream), protocols, sizeof protocols - 1);
    *out = TAKE(stream);
    return true;
}
