// The server's side: contexts made from files, one per loop (OpenSSL 3.0 has a lock in each), and
// their replacement.

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/tls_private.h"
#include "os/random.h"
#include "os/thread.h"

enum {
    TICKET_KEYS_BYTES = 80,
    DIGEST_BYTES = 32,
    TICKET_KEYS_AGE_MS = 12 * 3600 * 1000,  // then new ones: an old key opens old sessions (1.2)
    EXPIRY_WARNING_S = 7 * 86400
};

// AEAD with forward secrecy only; TLS 1.3 has nothing else.
static const char ciphers_1_2[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

struct TlsServer {
    TlsServerOptions options;
    int loop_count;
    Mutex lock;          // LOCK_TLS, over `contexts`
    SSL_CTX **contexts;  // of each loop
    // Of whoever reloads:
    uint8_t digest[DIGEST_BYTES];  // of the files in force, or that failed last
    bool digest_failed;
    int64_t made_ms;
    _Atomic int64_t expires_s;
};

typedef struct Files {
    Bytes cert, key, ca;
    uint8_t digest[DIGEST_BYTES];
} Files;

SSL_CTX *tls_context_begin(bool is_server, TlsVersion version_min) {
    SSL_CTX *context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    assert(context != NULL);
    SSL_CTX_set_min_proto_version(context,
                                  version_min == TLS_VERSION_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    int ok = SSL_CTX_set_cipher_list(context, ciphers_1_2);
    assert(ok == 1);
    long groups = SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384");
    assert(groups == 1);
    return context;
}

// Ours first: HTTP/2, when it is offered, then HTTP/1.1. Nothing in common ends the handshake (RFC
// 7301).
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *theirs, unsigned theirs_len, void *context) {
    static const unsigned char both[] = "\x02h2\x08http/1.1", old[] = "\x08http/1.1";
    const TlsServer *server = context;
    unsigned char *chosen = NULL;
    int found = SSL_select_next_proto(&chosen, out_len, server->options.http2 ? both : old,
                                      server->options.http2 ? sizeof both - 1 : sizeof old - 1,
                                      theirs, theirs_len);
    *out = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// ---- From files to a context ----

static void files_wipe(Files *files) {
    if (files->key.len > 0) OPENSSL_cleanse((void *)(uintptr_t)files->key.at, files->key.len);
}

static bool files_read(const TlsServer *server, Arena *arena, Files *out, Error *err) {
    const TlsServerOptions *options = &server->options;
    TRY(tls_read_file(options->disk, options->cert_file, "tls.cert_file", arena, &out->cert, err));
    TRY(tls_read_file(options->disk, options->key_file, "tls.key_file", arena, &out->key, err));
    if (options->client_auth != TLS_CLIENT_NONE)
        TRY(tls_read_file(options->disk, options->client_ca_file, "tls.client_ca_file", arena,
                          &out->ca, err));
    Bytes all[] = {out->cert, out->key, out->ca};
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool ok = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; ok && i < COUNT(all); i++) {
        ok = EVP_DigestUpdate(digest, &all[i].len, sizeof all[i].len) == 1 &&
             EVP_DigestUpdate(digest, all[i].at, all[i].len) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(digest, out->digest, NULL) == 1;
    EVP_MD_CTX_free(digest);
    return ok || tls_error(err, ERROR_NO_MEMORY, "hashing certificates");
}

static bool context_fill(TlsServer *server, const Files *files, uint8_t *ticket_keys,
                         SSL_CTX *context, Error *err) {
    const TlsServerOptions *options = &server->options;
    TRY(tls_use_certificate(context, files->cert, options->cert_file, err));
    TRY(tls_use_key(context, files->key, options->key_file, options->cert_file, err));
    if (options->client_auth != TLS_CLIENT_NONE) {
        TRY(tls_use_ca(context, files->ca, options->client_ca_file, true, err));
        SSL_CTX_set_verify(context,
                           options->client_auth == TLS_CLIENT_REQUIRED
                               ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                               : SSL_VERIFY_PEER,
                           NULL);
    }
    // Sessions live in tickets only: the server remembers nothing of a stranger.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    static const unsigned char name[] = "traceo";
    SSL_CTX_set_session_id_context(context, name, sizeof name - 1);
    SSL_CTX_set_tlsext_ticket_keys(context, ticket_keys, TICKET_KEYS_BYTES);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, server);
    return true;
}

static void contexts_free(SSL_CTX **contexts, int count) {
    if (contexts == NULL) return;
    for (int i = 0; i < count; i++) SSL_CTX_free(contexts[i]);
    memory_free(contexts);
}

// All loops take each other's tickets: they have the same keys.
static bool contexts_make(TlsServer *server, const Files *files, SSL_CTX ***out, Error *err) {
    uint8_t ticket_keys[TICKET_KEYS_BYTES];
    TRY(random_bytes(ticket_keys, sizeof ticket_keys, err));
    SSL_CTX **contexts = memory_new_array(SSL_CTX *, (size_t)server->loop_count);
    bool ok = true;
    for (int i = 0; ok && i < server->loop_count; i++) {
        contexts[i] = tls_context_begin(true, server->options.version_min);
        ok = context_fill(server, files, ticket_keys, contexts[i], err);
    }
    OPENSSL_cleanse(ticket_keys, sizeof ticket_keys);
    if (!ok) {
        contexts_free(contexts, server->loop_count);
        return false;
    }
    *out = contexts;
    return true;
}

// ---- Validity ----

static int64_t seconds_of(const ASN1_TIME *time) {
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, seconds = 0;
    bool ok = epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;
    ASN1_TIME_free(epoch);
    return ok ? (int64_t)days * 86400 + seconds : 0;
}

static void check_validity(TlsServer *server, const X509 *certificate) {
    int64_t now_s = server->options.clock->wall_ms(server->options.clock) / 1000;
    int64_t begins_s = seconds_of(X509_get0_notBefore(certificate));
    int64_t ends_s = seconds_of(X509_get0_notAfter(certificate));
    atomic_store(&server->expires_s, ends_s);
    if (ends_s <= now_s) {
        log_warn("the TLS certificate has expired: clients will refuse it",
                 LOG_TEXT("file", server->options.cert_file),
                 LOG_I64("days_ago", (now_s - ends_s) / 86400));
    } else if (ends_s - now_s < EXPIRY_WARNING_S) {
        log_warn("the TLS certificate expires soon", LOG_TEXT("file", server->options.cert_file),
                 LOG_I64("hours_left", (ends_s - now_s) / 3600));
    }
    if (begins_s > now_s)
        log_warn("the TLS certificate is not valid yet",
                 LOG_TEXT("file", server->options.cert_file),
                 LOG_I64("hours_to_go", (begins_s - now_s) / 3600));
}

// ---- The whole ----

// `files` becomes what new connections get.
static bool put_in_force(TlsServer *server, const Files *files, Error *err) {
    SSL_CTX **contexts = NULL;
    TRY(contexts_make(server, files, &contexts, err));
    check_validity(server, SSL_CTX_get0_certificate(contexts[0]));
    mutex_take(&server->lock);
    SSL_CTX **before = server->contexts;
    server->contexts = contexts;
    mutex_give(&server->lock);
    contexts_free(before, server->loop_count);
    server->made_ms = server->options.clock->monotonic_ns(server->options.clock) / 1000000;
    return true;
}

static bool check_options(const TlsServerOptions *options, Error *err) {
    if (options->cert_file.len == 0 || options->key_file.len == 0) {
        return error_set(err, ERROR_BAD_INPUT, "TLS needs both tls.cert_file and tls.key_file");
    }
    if (options->client_auth != TLS_CLIENT_NONE && options->client_ca_file.len == 0) {
        return error_set(err, ERROR_BAD_INPUT,
                         "tls.client_auth needs tls.client_ca_file: who may sign the clients' "
                         "certificates");
    }
    return true;
}

bool tls_server_open(const TlsServerOptions *options, int loop_count, TlsServer **out, Error *err) {
    assert(loop_count > 0);
    TRY(check_options(options, err));
    AUTO(tls_server_free) TlsServer *server = memory_new(TlsServer);
    AUTO(arena_free) Arena arena = {0};
    AUTO(files_wipe) Files files = {0};
    server->options = *options;
    server->loop_count = loop_count;
    mutex_begin(&server->lock, LOCK_TLS);
    TRY(files_read(server, &arena, &files, err));
    TRY(put_in_force(server, &files, err));
    memcpy(server->digest, files.digest, DIGEST_BYTES);
    *out = TAKE(server);
    return true;
}

void tls_server_free(TlsServer **server) {
    if (*server == NULL) return;
    contexts_free((*server)->contexts, (*server)->loop_count);
    mutex_end(&(*server)->lock);
    memory_free(TAKE(*server));
}

bool tls_server_reload(TlsServer *server, bool *changed, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(files_wipe) Files files = {0};
    *changed = false;
    if (!files_read(server, &arena, &files, err)) {
        // Told once: a digest that no files have stands for "unreadable".
        static const uint8_t unreadable[DIGEST_BYTES];
        bool known = memcmp(server->digest, unreadable, DIGEST_BYTES) == 0;
        memset(server->digest, 0, DIGEST_BYTES);
        return known;
    }
    bool same = memcmp(files.digest, server->digest, DIGEST_BYTES) == 0;
    int64_t now_ms = server->options.clock->monotonic_ns(server->options.clock) / 1000000;
    bool young = now_ms - server->made_ms < TICKET_KEYS_AGE_MS;
    if (same && (server->digest_failed || young)) return true;
    memcpy(server->digest, files.digest, DIGEST_BYTES);
    server->digest_failed = true;
    TRY(put_in_force(server, &files, err));
    server->digest_failed = false;
    *changed = !same;
    return true;
}

int64_t tls_server_expires_s(const TlsServer *server) {
    return atomic_load(&server->expires_s);
}

TlsStream *tls_stream_accept(TlsServer *server, int loop, Socket socket) {
    assert(loop >= 0 && loop < server->loop_count);
    mutex_take(&server->lock);
    SSL_CTX *context = server->contexts[loop];
    SSL_CTX_up_ref(context);
    mutex_give(&server->lock);
    TlsStream *stream = tls_stream_wrap(context, socket, true);
    SSL_CTX_free(context);
    return stream;
}
