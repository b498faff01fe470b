// A stream under TLS. OpenSSL reads and writes through a BIO of ours, so that its system calls pass
// os like all others.
//
// A handshake costs OpenSSL 45 KiB from the moment it begins, even while nothing has come. So of a
// server's stream it begins once the client's first message is there, gathered in `hello`.

#include <openssl/err.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/memory.h"
#include "net/tls_private.h"

struct TlsStream {
    SSL *ssl;          // NULL: the client's hello is still being gathered
    SSL_CTX *context;  // until then
    Builder hello;     // what OpenSSL has not yet read of the gathered bytes: from `hello_at` on
    size_t hello_at;
    Socket socket;
    uint8_t first_byte;  // that the other side sent
    bool has_first_byte;
    bool broken;  // nothing may be asked of OpenSSL any more but to free it
};

// ---- The BIO ----

static TlsStream *stream_of(BIO *bio) {
    return BIO_get_data(bio);
}

static void read_gathered(TlsStream *stream, char *into, size_t len, size_t *count) {
    *count = MIN(len, stream->hello.len - stream->hello_at);
    memcpy(into, stream->hello.at + stream->hello_at, *count);
    stream->hello_at += *count;
    if (stream->hello_at < stream->hello.len) return;
    builder_free(&stream->hello);
    stream->hello_at = 0;
}

static int bio_read(BIO *bio, char *into, size_t len, size_t *count) {
    TlsStream *stream = stream_of(bio);
    Error ignored;
    BIO_clear_retry_flags(bio);
    if (stream->hello_at < stream->hello.len) {
        read_gathered(stream, into, len, count);
    } else {
        SocketResult result = socket_read(stream->socket, into, len, count, &ignored);
        if (result == SOCKET_AGAIN) BIO_set_retry_read(bio);
        if (result != SOCKET_DONE) return 0;
    }
    if (!stream->has_first_byte && *count > 0) {
        stream->first_byte = (uint8_t)into[0];
        stream->has_first_byte = true;
    }
    return 1;
}

static int bio_write(BIO *bio, const char *from, size_t len, size_t *count) {
    Error ignored;
    BIO_clear_retry_flags(bio);
    SocketPart part = {from, len};
    SocketResult result = socket_write(stream_of(bio)->socket, &part, 1, count, &ignored);
    if (result == SOCKET_AGAIN) BIO_set_retry_write(bio);
    return result == SOCKET_DONE;
}

static long bio_control(BIO *bio, int command, long number, void *at) {
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

// Made once for the process, by whoever comes first; a second one made meanwhile is given back.
static BIO_METHOD *bio_method(void) {
    static BIO_METHOD *_Atomic made;
    BIO_METHOD *method = atomic_load(&made);
    if (method != NULL) return method;
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket of os");
    assert(method != NULL);
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    BIO_meth_set_create(method, bio_create);
    BIO_METHOD *expected = NULL;
    if (atomic_compare_exchange_strong(&made, &expected, method)) return method;
    BIO_meth_free(method);
    return expected;
}

// ---- The stream ----

static void ssl_begin(TlsStream *stream, SSL_CTX *context, bool is_server) {
    stream->ssl = SSL_new(context);
    BIO *bio = BIO_new(bio_method());
    assert(stream->ssl != NULL && bio != NULL);  // a few kilobytes missing is the end
    BIO_set_data(bio, stream);
    SSL_set_bio(stream->ssl, bio, bio);
    if (is_server) {
        SSL_set_accept_state(stream->ssl);
    } else {
        SSL_set_connect_state(stream->ssl);
    }
}

TlsStream *tls_stream_wrap(SSL_CTX *context, Socket socket, bool is_server) {
    TlsStream *stream = memory_new(TlsStream);
    stream->socket = socket;
    if (is_server) {
        SSL_CTX_up_ref(context);
        stream->context = context;
    } else {
        ssl_begin(stream, context, false);
    }
    return stream;
}

SSL *tls_stream_ssl(TlsStream *stream) {
    return stream->ssl;
}

void tls_stream_free(TlsStream **stream) {
    if (*stream == NULL) return;
    SSL_free((*stream)->ssl);
    SSL_CTX_free((*stream)->context);
    builder_free(&(*stream)->hello);
    memory_free(TAKE(*stream));
}

// What OpenSSL meant. `doing` names the step for the error.
static TlsResult result_of(TlsStream *stream, int returned, const char *doing, Error *err) {
    if (returned > 0) return TLS_DONE;
    switch (SSL_get_error(stream->ssl, returned)) {
        case SSL_ERROR_WANT_READ:
            return TLS_WANTS_READ;
        case SSL_ERROR_WANT_WRITE:
            return TLS_WANTS_WRITE;
        case SSL_ERROR_ZERO_RETURN:
            error_set(err, ERROR_NETWORK, "%s: the other side ended the connection", doing);
            return TLS_CLOSED;
        case SSL_ERROR_SYSCALL:
            stream->broken = true;
            error_set(err, ERROR_NETWORK, "%s: the other side closed the connection", doing);
            ERR_clear_error();
            return TLS_CLOSED;
        default:
            stream->broken = true;
            long verified = SSL_get_verify_result(stream->ssl);
            tls_error(err, ERROR_NETWORK, doing);
            if (verified != X509_V_OK)
                error_context(err, "certificate: %s", X509_verify_cert_error_string(verified));
            return TLS_FAILED;
    }
}

static bool is_usable(const TlsStream *stream, Error *err) {
    return !stream->broken || error_set(err, ERROR_NETWORK, "the TLS connection is broken");
}

// Reads until the client's hello is whole, then begins the handshake over it.
static TlsResult gather_hello(TlsStream *stream, Error *err) {
    for (;;) {
        UNFILLED uint8_t piece[2 * KB];
        size_t count = 0;
        SocketResult result = socket_read(stream->socket, piece, sizeof piece, &count, err);
        if (result == SOCKET_AGAIN) return TLS_WANTS_READ;
        if (result != SOCKET_DONE) {
            stream->broken = true;
            error_set(err, ERROR_NETWORK, "TLS handshake: the other side closed the connection");
            return TLS_CLOSED;
        }
        builder_add_bytes(&stream->hello, piece, count);
        if (!tls_hello_is_whole(text_bytes(builder_text(&stream->hello)))) continue;
        ssl_begin(stream, stream->context, true);
        SSL_CTX_free(TAKE(stream->context));
        return TLS_DONE;
    }
}

TlsResult tls_stream_handshake(TlsStream *stream, Error *err) {
    if (!is_usable(stream, err)) return TLS_FAILED;
    if (stream->ssl == NULL) {
        TlsResult result = gather_hello(stream, err);
        if (result != TLS_DONE) return result;
    }
    ERR_clear_error();
    return result_of(stream, SSL_do_handshake(stream->ssl), "TLS handshake", err);
}

TlsResult tls_stream_read(TlsStream *stream, void *into, size_t len, size_t *count, Error *err) {
    *count = 0;
    if (!is_usable(stream, err)) return TLS_FAILED;
    if (len == 0) return TLS_DONE;
    ERR_clear_error();
    return result_of(stream, SSL_read_ex(stream->ssl, into, len, count), "reading under TLS", err);
}

TlsResult tls_stream_write(TlsStream *stream, const void *from, size_t len, size_t *count,
                           Error *err) {
    *count = 0;
    if (!is_usable(stream, err)) return TLS_FAILED;
    if (len == 0) return TLS_DONE;
    ERR_clear_error();
    return result_of(stream, SSL_write_ex(stream->ssl, from, len, count), "writing under TLS", err);
}

void tls_stream_shut(TlsStream *stream) {
    // Before the end of the handshake there is nothing to end.
    if (stream->broken || stream->ssl == NULL || !SSL_is_init_finished(stream->ssl)) return;
    ERR_clear_error();
    (void)SSL_shutdown(stream->ssl);
    ERR_clear_error();
}

bool tls_stream_has_more(const TlsStream *stream) {
    if (stream->broken || stream->ssl == NULL) return false;
    return stream->hello_at < stream->hello.len || SSL_has_pending(stream->ssl) == 1;
}

bool tls_stream_met_plain_text(const TlsStream *stream) {
    // A record of TLS begins with its type, 20 to 23.
    return stream->has_first_byte && stream->first_byte >= 'A' && stream->first_byte <= 'Z';
}

TlsProtocol tls_stream_protocol(const TlsStream *stream) {
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(stream->ssl, &name, &len);
    Text chosen = {(const char *)name, len};
    if (text_equal(chosen, TEXT("h2"))) return TLS_PROTOCOL_HTTP2;
    if (text_equal(chosen, TEXT("http/1.1"))) return TLS_PROTOCOL_HTTP1;
    return TLS_PROTOCOL_NONE;
}
