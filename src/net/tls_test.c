// TLS with real handshakes on loopback: who is let in, who is not, what changes while it runs, and
// what bad clients and failing calls do.

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "net/http.h"
#include "net/http_client.h"
#include "net/test_certificates.h"
#include "net/test_peer.h"
#include "net/tls_private.h"
#include "os/process.h"
#include "os/thread.h"

enum { DAY_S = 86400 };

typedef struct World {
    Text folder;
    TestIdentity ca, own;
    Text ca_file, cert_file, key_file;
    TlsServerOptions tls_options;
    TlsServer *tls;
    HttpServer *server;
    uint16_t port;
    _Atomic int served;
} World;

static void on_request(void *context, HttpExchange *exchange) {
    World *world = context;
    atomic_fetch_add(&world->served, 1);
    HttpResponse response = {.status = 200};
    if (text_equal(exchange->head.path, TEXT("/big"))) {
        builder_reserve(&response.body, 4 * MB);
        for (size_t i = 0; i < 4 * MB / 8; i++) builder_add(&response.body, TEXT("01234567"));
    } else {
        builder_add(&response.body, TEXT("got:"));
        builder_add(&response.body, bytes_text(exchange->body));
    }
    http_respond(exchange, &response);
}

static void world_begin(Test *t, World *world) {
    *world = (World){.folder = test_folder(t)};
    world->ca = test_identity(t, "Test CA", NULL, NULL, -DAY_S, 30 * DAY_S);
    world->own =
        test_identity(t, "server", "DNS:localhost,IP:127.0.0.1", &world->ca, -DAY_S, 30 * DAY_S);
    world->ca_file = test_write_certificate(t, world->folder, "ca.pem", &world->ca);
    world->cert_file = test_write_certificate(t, world->folder, "cert.pem", &world->own);
    world->key_file = test_write_key(t, world->folder, "key.pem", &world->own);
    world->tls_options = (TlsServerOptions){
        .disk = disk_real(),
        .clock = clock_system(),
        .cert_file = world->cert_file,
        .key_file = world->key_file,
        .client_ca_file = world->ca_file,
        .version_min = TLS_VERSION_1_3,
    };
}

static void world_serve(Test *t, World *world, void (*adjust)(HttpLimits *limits)) {
    check_ok(t, tls_server_open(&world->tls_options, 2, &world->tls, t->err));
    Address any;
    check_ok(t, address_parse(TEXT("127.0.0.1:0"), t->arena, &any, t->err));
    HttpServerOptions options = {.clock = clock_system(),
                                 .addresses = &any,
                                 .address_count = 1,
                                 .loop_count = 2,
                                 .limits = http_limits_default(),
                                 .handler = {.context = world, .on_request = on_request},
                                 .tls = world->tls};
    if (adjust != NULL) adjust(&options.limits);
    check_ok(t, http_server_start(&options, &world->server, t->err));
    world->port = http_server_port(world->server, 0);
}

static void world_end(Test *t, World *world) {
    http_server_free(&world->server);
    tls_server_free(&world->tls);
    test_identity_free(&world->ca);
    test_identity_free(&world->own);
    test_folder_remove(t, world->folder);
}

static HttpClientRequest request_to(const World *world, Text body) {
    return (HttpClientRequest){.host = TEXT("127.0.0.1"),
                               .port = world->port,
                               .tls = true,
                               .tls_options = {.ca_file = world->ca_file},
                               .method = TEXT("POST"),
                               .target = TEXT("/x"),
                               .body = body,
                               .timeout_ms = 3000};
}

static void check_served(Test *t, const World *world) {
    HttpClientRequest request = request_to(world, TEXT("hello"));
    HttpClientAnswer got;
    check_ok(t, http_client_send(&request, t->arena, &got, t->err));
    check_i64(t, 200, got.status);
    check_text(t, TEXT("got:hello"), got.body);
}

static void check_not_served(Test *t, const HttpClientRequest *request, Text word) {
    HttpClientAnswer got;
    *t->err = (Error){0};
    check(t, !http_client_send(request, t->arena, &got, t->err));
    Text message = text_from_cstring(t->err->message);
    if (text_find(message, word) < 0)
        check_failed(t, __FILE__, __LINE__, "\"%.*s\" lacks \"%.*s\"", TEXT_ARG(message),
                     TEXT_ARG(word));
}

TEST(requests_and_answers_of_any_size_pass) {
    World world;
    world_begin(t, &world);
    world_serve(t, &world, NULL);
    check_served(t, &world);
    char *large = arena_push_array(t->arena, char, 3 * MB);
    for (size_t i = 0; i < 3 * MB; i++) large[i] = (char)('a' + i % 26);
    HttpClientRequest request = request_to(&world, (Text){large, 3 * MB});
    HttpClientAnswer got;
    check_ok(t, http_client_send(&request, t->arena, &got, t->err));
    check_i64(t, 3 * MB + 4, got.body.len);
    check_same_bytes(t, large, got.body.at + 4, 3 * MB);
    request.host = TEXT("localhost");
    request.target = TEXT("/big");
    check_ok(t, http_client_send(&request, t->arena, &got, t->err));
    check_i64(t, 4 * MB, got.body.len);
    check(t, text_ends_with(got.body, TEXT("01234567")));
    check_i64(t, 3, http_server_stats(world.server).tls_handshakes);
    world_end(t, &world);
}

TEST(a_client_believes_only_who_proves_the_name_and_is_signed_by_whom_it_trusts) {
    World world;
    world_begin(t, &world);
    TestIdentity other = test_identity(t, "Other CA", NULL, NULL, -DAY_S, DAY_S);
    Text other_file = test_write_certificate(t, world.folder, "other.pem", &other);
    TestIdentity elsewhere = test_identity(t, "x", "DNS:elsewhere.test", &world.ca, -DAY_S, DAY_S);
    world_serve(t, &world, NULL);
    HttpClientRequest request = request_to(&world, TEXT(""));
    request.tls_options.ca_file = other_file;
    check_not_served(t, &request, TEXT("certificate"));
    request.tls_options.ca_file = TEXT("");
    check_not_served(t, &request, TEXT("certificate"));
    test_write_certificate(t, world.folder, "cert.pem", &elsewhere);
    test_write_key(t, world.folder, "key.pem", &elsewhere);
    bool changed = false;
    check_ok(t, tls_server_reload(world.tls, &changed, t->err));
    check(t, changed);
    request = request_to(&world, TEXT(""));
    check_not_served(t, &request, TEXT("IP address mismatch"));
    request.host = TEXT("localhost");
    check_not_served(t, &request, TEXT("hostname mismatch"));
    test_identity_free(&other);
    test_identity_free(&elsewhere);
    world_end(t, &world);
}

TEST(mutual_tls_lets_in_who_the_ca_signed_and_nobody_else) {
    World world;
    world_begin(t, &world);
    world.tls_options.client_auth = TLS_CLIENT_REQUIRED;
    TestIdentity good = test_identity(t, "agent", NULL, &world.ca, -DAY_S, DAY_S);
    TestIdentity old = test_identity(t, "old agent", NULL, &world.ca, -2 * DAY_S, -DAY_S);
    TestIdentity other_ca = test_identity(t, "Other CA", NULL, NULL, -DAY_S, DAY_S);
    TestIdentity other = test_identity(t, "agent", NULL, &other_ca, -DAY_S, DAY_S);
    TestIdentity *refused[] = {&old, &other};
    world_serve(t, &world, NULL);
    HttpClientRequest request = request_to(&world, TEXT("hello"));
    HttpClientAnswer got;
    check_not_served(t, &request, TEXT("certificate required"));
    for (size_t i = 0; i < COUNT(refused); i++) {
        request.tls_options.cert_file =
            test_write_certificate(t, world.folder, "client.pem", refused[i]);
        request.tls_options.key_file = test_write_key(t, world.folder, "client.key", refused[i]);
        check_not_served(t, &request, i == 0 ? TEXT("certificate expired") : TEXT("unknown ca"));
    }
    request.tls_options.cert_file = test_write_certificate(t, world.folder, "client.pem", &good);
    request.tls_options.key_file = test_write_key(t, world.folder, "client.key", &good);
    check_ok(t, http_client_send(&request, t->arena, &got, t->err));
    check_text(t, TEXT("got:hello"), got.body);
    check_i64(t, 1, world.served);
    check_i64(t, 3, http_server_stats(world.server).tls_failed);
    test_identity_free(&good);
    test_identity_free(&old);
    test_identity_free(&other);
    test_identity_free(&other_ca);
    world_end(t, &world);
}

TEST(an_optional_client_certificate_must_be_good_when_it_is_there) {
    World world;
    world_begin(t, &world);
    world.tls_options.client_auth = TLS_CLIENT_OPTIONAL;
    TestIdentity other_ca = test_identity(t, "Other CA", NULL, NULL, -DAY_S, DAY_S);
    TestIdentity other = test_identity(t, "agent", NULL, &other_ca, -DAY_S, DAY_S);
    world_serve(t, &world, NULL);
    check_served(t, &world);
    HttpClientRequest request = request_to(&world, TEXT("hello"));
    request.tls_options.cert_file = test_write_certificate(t, world.folder, "client.pem", &other);
    request.tls_options.key_file = test_write_key(t, world.folder, "client.key", &other);
    check_not_served(t, &request, TEXT("unknown ca"));
    test_identity_free(&other);
    test_identity_free(&other_ca);
    world_end(t, &world);
}

TEST(files_that_cannot_be_used_are_named_with_the_reason) {
    World world;
    world_begin(t, &world);
    TestIdentity other = test_identity(t, "x", "DNS:localhost", &world.ca, -DAY_S, DAY_S);
    Text other_key = test_write_key(t, world.folder, "other.key", &other);
    Text nonsense = test_write_file(t, world.folder, "nonsense.pem", TEXT("nothing here\n"));
    Text empty = test_write_file(t, world.folder, "empty.pem", TEXT(""));
    Text damaged =
        test_write_file(t, world.folder, "damaged.pem",
                        TEXT("-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n"));
    Text locked =
        test_write_file(t, world.folder, "locked.key",
                        TEXT("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                             "MIHjME4GCSqGSIb3DQEFDTBBMCkGCSqGSIb3DQEFDDAcBAjJ7LkWUr6hAAICCAAw\n"
                             "-----END ENCRYPTED PRIVATE KEY-----\n"));
    Text missing = text_format(t->arena, "%.*s/missing.pem", TEXT_ARG(world.folder));
    const struct {
        Text cert, key, ca;
        const char *words[2];
    } rows[] = {
        {missing, world.key_file, world.ca_file, {"tls.cert_file", "missing.pem"}},
        {world.cert_file, missing, world.ca_file, {"tls.key_file", "missing.pem"}},
        {world.cert_file, world.key_file, missing, {"tls.client_ca_file", "missing.pem"}},
        {nonsense, world.key_file, world.ca_file, {"nonsense.pem", "no certificate is in it"}},
        {empty, world.key_file, world.ca_file, {"empty.pem", "no certificate is in it"}},
        {damaged, world.key_file, world.ca_file, {"damaged.pem", "damaged"}},
        {world.cert_file, nonsense, world.ca_file, {"nonsense.pem", "no private key"}},
        {world.cert_file,
         other_key,
         world.ca_file,
         {"other.key", "not the key of the certificate in"}},
        {world.cert_file, world.cert_file, world.ca_file, {"cert.pem", "no private key"}},
        {world.cert_file, world.key_file, nonsense, {"nonsense.pem", "no certificate is in it"}},
        {world.cert_file, TEXT(""), world.ca_file, {"tls.cert_file", "tls.key_file"}},
        {world.cert_file, world.key_file, TEXT(""), {"tls.client_auth", "tls.client_ca_file"}},
        {world.cert_file, locked, world.ca_file, {"locked.key", "key"}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        TlsServerOptions options = world.tls_options;
        options.client_auth = TLS_CLIENT_REQUIRED;
        options.cert_file = rows[i].cert;
        options.key_file = rows[i].key;
        options.client_ca_file = rows[i].ca;
        *t->err = (Error){0};
        TlsServer *server = NULL;
        check(t, !tls_server_open(&options, 1, &server, t->err) && server == NULL);
        for (size_t n = 0; n < COUNT(rows[i].words); n++) {
            if (strstr(t->err->message, rows[i].words[n]) == NULL)
                check_failed(t, __FILE__, __LINE__, "row %zu: \"%s\" lacks \"%s\"", i,
                             t->err->message, rows[i].words[n]);
        }
    }
    test_identity_free(&other);
    world_end(t, &world);
}

// A thread that sends one request after the other and counts what fails.
typedef struct Sender {
    const World *world;
    _Atomic bool stop;
    _Atomic int sent;
    int failed;
    Error first;
} Sender;

static void send_on(void *context) {
    Sender *sender = context;
    while (!atomic_load(&sender->stop)) {
        AUTO(arena_free) Arena arena = {0};
        HttpClientRequest request = request_to(sender->world, TEXT("hello"));
        HttpClientAnswer got;
        Error err = {0};
        if (!http_client_send(&request, &arena, &got, &err) && sender->failed++ == 0)
            sender->first = err;
        atomic_fetch_add(&sender->sent, 1);
    }
}

TEST(certificates_change_under_load_without_a_failed_request) {
    World world;
    world_begin(t, &world);
    world_serve(t, &world, NULL);
    int64_t expires_s = tls_server_expires_s(world.tls);
    // An open connection keeps what it began with.
    AUTO(socket_close) Socket kept = dial(t, world.port);
    TlsStream *stream = NULL;
    TlsClientOptions trust = {.ca_file = world.ca_file};
    check_ok(t, tls_stream_connect(&trust, TEXT("localhost"), kept, &stream, t->err));
    TlsResult shaken;
    while ((shaken = tls_stream_handshake(stream, t->err)) != TLS_DONE)
        check_ok(t, socket_wait(kept, shaken == TLS_WANTS_WRITE, 3000, t->err));
    Sender sender = {.world = &world};
    Thread *thread = NULL;
    check_ok(t, thread_start("send", send_on, &sender, &thread, t->err));
    for (int round = 0; round < 10; round++) {
        TestIdentity next = test_identity(t, "server", "DNS:localhost,IP:127.0.0.1", &world.ca,
                                          -DAY_S, (40 + round) * DAY_S);
        // The certificate is there before its key: a round with two that do not match.
        test_write_certificate(t, world.folder, "cert.pem", &next);
        bool changed = true;
        check_error(t, tls_server_reload(world.tls, &changed, t->err), ERROR_BAD_INPUT);
        check(t, !changed);
        check_ok(t, tls_server_reload(world.tls, &changed, t->err));  // said once
        test_write_key(t, world.folder, "key.pem", &next);
        check_ok(t, tls_server_reload(world.tls, &changed, t->err));
        check(t, changed && tls_server_expires_s(world.tls) > expires_s);
        expires_s = tls_server_expires_s(world.tls);
        check_ok(t, tls_server_reload(world.tls, &changed, t->err));
        check(t, !changed);
        test_identity_free(&next);
        int before = atomic_load(&sender.sent);
        while (atomic_load(&sender.sent) < before + 3) clock_system()->sleep_ms(clock_system(), 1);
    }
    atomic_store(&sender.stop, true);
    thread_join(&thread);
    if (sender.failed > 0)
        check_failed(t, __FILE__, __LINE__, "%d failed: %s", sender.failed, sender.first.message);
    Text ask = TEXT("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    size_t count;
    check(t, tls_stream_write(stream, ask.at, ask.len, &count, t->err) == TLS_DONE);
    char piece[512];
    TlsResult result;
    while ((result = tls_stream_read(stream, piece, sizeof piece, &count, t->err)) ==
           TLS_WANTS_READ)
        check_ok(t, socket_wait(kept, false, 3000, t->err));
    check(t, result == TLS_DONE && has((Text){piece, count}, TEXT("200 OK")));
    tls_stream_free(&stream);
    world_end(t, &world);
}

// An OpenSSL client of the test's own, blocking, for what our client does not do.
typedef struct Peer {
    SSL_CTX *context;
    SSL *ssl;
    Socket socket;
} Peer;

static int peer_do(Test *t, Peer *peer, int (*step)(SSL *ssl)) {
    for (;;) {
        int done = step(peer->ssl);
        int error = SSL_get_error(peer->ssl, done);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return done;
        if (!socket_wait(peer->socket, error == SSL_ERROR_WANT_WRITE, 3000, t->err)) return -1;
    }
}

static int peer_connect(Test *t, const World *world, int version_max, const char *ciphers,
                        Text protocols, SSL_SESSION *session, Peer *out) {
    *out = (Peer){.context = SSL_CTX_new(TLS_client_method()), .socket = dial(t, world->port)};
    SSL_CTX_set_max_proto_version(out->context, version_max);
    if (ciphers != NULL) check(t, SSL_CTX_set_cipher_list(out->context, ciphers) == 1);
    out->ssl = SSL_new(out->context);
    SSL_set_max_send_fragment(out->ssl, 512);
    SSL_set_fd(out->ssl, out->socket.fd);
    if (session != NULL) SSL_set_session(out->ssl, session);
    if (protocols.len > 0)
        SSL_set_alpn_protos(out->ssl, (const unsigned char *)protocols.at, (unsigned)protocols.len);
    return peer_do(t, out, SSL_connect);
}

static void peer_end(Peer *peer) {
    SSL_set_quiet_shutdown(peer->ssl, 1);  // else its session counts as spoilt
    SSL_shutdown(peer->ssl);
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->context);
    socket_close(&peer->socket);
}

TEST(tls_1_2_is_refused_unless_chosen_and_then_only_with_good_ciphers) {
    World world;
    world_begin(t, &world);
    world_serve(t, &world, NULL);
    Peer peer;
    check(t, peer_connect(t, &world, TLS1_2_VERSION, NULL, TEXT(""), NULL, &peer) != 1);
    peer_end(&peer);
    http_server_free(&world.server);
    tls_server_free(&world.tls);
    world.tls_options.version_min = TLS_VERSION_1_2;
    world_serve(t, &world, NULL);
    check(t, peer_connect(t, &world, TLS1_2_VERSION, NULL, TEXT(""), NULL, &peer) == 1);
    check(t, strstr(SSL_get_cipher(peer.ssl), "GCM") != NULL);
    peer_end(&peer);
    static const char *const weak[] = {"ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA",
                                       "AES128-GCM-SHA256"};
    for (size_t i = 0; i < COUNT(weak); i++) {
        check(t, peer_connect(t, &world, TLS1_2_VERSION, weak[i], TEXT(""), NULL, &peer) != 1);
        peer_end(&peer);
    }
    check(t, peer_connect(t, &world, TLS1_1_VERSION, "DEFAULT:@SECLEVEL=0", TEXT(""), NULL,
                          &peer) != 1);
    peer_end(&peer);
    world_end(t, &world);
}

// A client's preface and SETTINGS; the server's SETTINGS come back as the first frame.
static int write_preface(SSL *ssl) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    return SSL_write(ssl, preface, sizeof preface - 1);
}

static int read_frame_type(SSL *ssl) {
    unsigned char head[9];
    int got = SSL_read(ssl, head, sizeof head);
    return got <= 0 ? got : got == 9 && head[3] == 4 ? 1 : -1;
}

TEST(alpn_brings_http2_where_it_is_offered) {
    World world;
    world_begin(t, &world);
    world.tls_options.http2 = true;
    world_serve(t, &world, NULL);
    Peer peer;
    check(t, peer_connect(t, &world, TLS1_3_VERSION, NULL, TEXT("\x08http/1.1\x02h2"), NULL,
                          &peer) == 1);
    check(t, peer_do(t, &peer, write_preface) > 0 && peer_do(t, &peer, read_frame_type) == 1);
    peer_end(&peer);
    check_served(t, &world);  // our own client asks for http/1.1
    world_end(t, &world);
}

TEST(alpn_chooses_and_refuses) {
    World world;
    world_begin(t, &world);
    world_serve(t, &world, NULL);
    static const struct {
        Text offered, chosen;
        bool ok;
    } rows[] = {
        {TEXT_INIT("\x08http/1.1"), TEXT_INIT("http/1.1"), true},
        {TEXT_INIT("\x02h2\x08http/1.1"), TEXT_INIT("http/1.1"), true},
        {TEXT_INIT("\x08http/0.9"), TEXT_INIT(""), false},
        {TEXT_INIT(""), TEXT_INIT(""), true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        Peer peer;
        check(t, (peer_connect(t, &world, TLS1_3_VERSION, NULL, rows[i].offered, NULL, &peer) ==
                  1) == rows[i].ok);
        const unsigned char *name;
        unsigned len;
        SSL_get0_alpn_selected(peer.ssl, &name, &len);
        if (rows[i].ok) check_text(t, rows[i].chosen, ((Text){(const char *)name, len}));
        peer_end(&peer);
    }
    world_end(t, &world);
}

static int read_some(SSL *ssl) {
    char piece[512];
    return SSL_read(ssl, piece, sizeof piece);
}

static int write_request(SSL *ssl) {
    static const char ask[] = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
    return SSL_write(ssl, ask, sizeof ask - 1);
}

TEST(sessions_are_taken_up_again_on_any_loop) {
    World world;
    world_begin(t, &world);
    world_serve(t, &world, NULL);
    Peer peer;
    check(t, peer_connect(t, &world, TLS1_3_VERSION, NULL, TEXT(""), NULL, &peer) == 1);
    check(t, peer_do(t, &peer, write_request) > 0 && peer_do(t, &peer, read_some) > 0);
    SSL_SESSION *session = SSL_get1_session(peer.ssl);
    check(t, session != NULL && SSL_SESSION_is_resumable(session));
    peer_end(&peer);
    for (int i = 0; i < 8; i++) {
        check(t, peer_connect(t, &world, TLS1_3_VERSION, NULL, TEXT(""), session, &peer) == 1);
        check(t, SSL_session_reused(peer.ssl));
        peer_end(&peer);
    }
    SSL_SESSION_free(session);
    world_end(t, &world);
}

static void short_times(HttpLimits *limits) {
    limits->header_time_ms = 150;
}

TEST(plain_requests_garbage_and_half_handshakes_end_clearly_and_soon) {
    World world;
    world_begin(t, &world);
    world_serve(t, &world, short_times);
    static const char *const methods[] = {"GET", "POST", "DELETE", "OPTIONS", "PRI"};
    for (size_t i = 0; i < COUNT(methods); i++) {
        AUTO(socket_close) Socket socket = dial(t, world.port);
        say(t, socket, text_format(t->arena, "%s / HTTP/1.1\r\nHost: h\r\n\r\n", methods[i]));
        Text heard = hear(t, socket, TEXT(""));
        check(t, has(heard, TEXT("HTTP/1.1 400 ")) && has(heard, TEXT("https")));
    }
    // Garbage, a record that promises more than it brings, and nothing at all.
    Text garbage[] = {
        TEXT("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09"), TEXT("\x16\x03\x01\xff\xff\x01"),
        TEXT("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"), TEXT("\x17\x03\x03\x00\x01x"), TEXT("")};
    for (size_t i = 0; i < COUNT(garbage); i++) {
        AUTO(socket_close) Socket socket = dial(t, world.port);
        int64_t begin_ns = clock_system()->monotonic_ns(clock_system());
        if (garbage[i].len > 0) say(t, socket, garbage[i]);
        Text heard = hear(t, socket, TEXT(""));
        check(t, heard.len < 64);  // an alert at most
        check(t, clock_system()->monotonic_ns(clock_system()) - begin_ns < 2500 * INT64_C(1000000));
    }
    check_served(t, &world);
    check(t,
          http_server_stats(world.server).tls_failed >= (int64_t)(COUNT(methods) + COUNT(garbage)));
    world_end(t, &world);
}

// R5: every call of a socket fails in turn, on either side of the connection.
TEST(failing_calls_end_one_connection_and_single_bytes_change_nothing) {
    enum { NUMBER_ECONNRESET = 104 };
    World world;
    world_begin(t, &world);
    world_serve(t, &world, NULL);
    for (int call = SOCKET_CALL_READ; call <= SOCKET_CALL_WRITE; call++) {
        for (uint64_t nth = 1; nth <= 12; nth++) {
            socket_fail_after((SocketCall)call, nth, false, nth % 2 == 0 ? NUMBER_ECONNRESET : 0);
            HttpClientRequest request = request_to(&world, TEXT("0123456789"));
            request.timeout_ms = 1000;
            HttpClientAnswer got;
            bool ok = http_client_send(&request, t->arena, &got, t->err);
            socket_fail_after((SocketCall)call, 0, false, 0);
            if (ok) check_text(t, TEXT("got:0123456789"), got.body);
        }
        socket_fail_after((SocketCall)call, 1, true, 0);
        HttpClientRequest request = request_to(&world, TEXT("0123456789"));
        HttpClientAnswer got;
        bool ok = http_client_send(&request, t->arena, &got, t->err);
        socket_fail_after((SocketCall)call, 0, false, 0);
        check_ok(t, ok);
        check_text(t, TEXT("got:0123456789"), got.body);
        check_served(t, &world);
    }
    world_end(t, &world);
}

// The first message of a client, as its bytes.
static Text client_hello(Test *t, Text protocols) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    SSL_set_max_send_fragment(ssl, 512);
    SSL_set_alpn_protos(ssl, (const unsigned char *)protocols.at, (unsigned)protocols.len);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    check_i64(t, -1, SSL_do_handshake(ssl));
    char *at;
    long len = BIO_get_mem_data(SSL_get_wbio(ssl), &at);
    check(t, len > 100);
    Text hello = text_copy((Text){at, (size_t)len}, t->arena);
    SSL_free(ssl);
    SSL_CTX_free(context);
    return hello;
}

// A hello of several records: OpenSSL cuts at 512 bytes.
TEST(a_hello_is_whole_with_its_last_byte_and_not_before_however_it_is_cut) {
    for (size_t protocols = 0; protocols <= 60; protocols += 20) {
        AUTO(builder_free) Builder offered = {0};
        for (size_t i = 0; i < protocols; i++)
            builder_add(&offered, TEXT("\x20in-a-hello-are-names-as-long-asx"));
        Text hello = client_hello(t, builder_text(&offered));
        check(t, (protocols >= 20) == (hello.len > 512 + 5));
        for (size_t len = 0; len <= hello.len; len++)
            check(t, tls_hello_is_whole(text_bytes((Text){hello.at, len})) == (len == hello.len));
    }
    // What is no hello, or too long to be gathered, is not waited for.
    static const Text rows[] = {TEXT_INIT("G"),
                                TEXT_INIT("\x17"),
                                TEXT_INIT("\x16\x03\x01\x00\x00"),
                                TEXT_INIT("\x16\x03\x01\xff\xff"),
                                TEXT_INIT("\x16\x03\x01\x00\x40\x02"),
                                TEXT_INIT("\x16\x03\x01\x00\x40\x01\x01\x00\x00")};
    for (size_t i = 0; i < COUNT(rows); i++) check(t, tls_hello_is_whole(text_bytes(rows[i])));
}

TEST(a_hello_cut_into_records_is_understood) {
    World world;
    world_begin(t, &world);
    world_serve(t, &world, NULL);
    AUTO(builder_free) Builder offered = {0};
    for (size_t i = 0; i < 60; i++) builder_add(&offered, TEXT("\x0alongername"));
    builder_add(&offered, TEXT("\x08http/1.1"));
    Peer peer;
    check(t,
          peer_connect(t, &world, TLS1_3_VERSION, NULL, builder_text(&offered), NULL, &peer) == 1);
    check(t, peer_do(t, &peer, write_request) > 0 && peer_do(t, &peer, read_some) > 0);
    peer_end(&peer);
    world_end(t, &world);
}

#ifndef SANITIZED
static void long_times(HttpLimits *limits) {
    limits->header_time_ms = limits->stranger_time_ms = 60000;
}

// Until the server has taken them in and, where it has something to say, has said it.
static void wait_for_strangers(Test *t, World *world, const Socket *strangers, size_t count,
                               bool answered) {
    for (int i = 0; i < 500 && http_server_stats(world->server).strangers < (int64_t)count; i++)
        clock_system()->sleep_ms(clock_system(), 10);
    check_i64(t, (int64_t)count, http_server_stats(world->server).strangers);
    for (size_t i = 0; answered && i < count; i++)
        check(t, socket_wait(strangers[i], false, 5000, t->err));
    clock_system()->sleep_ms(clock_system(), 100);
}

// What each of some hundred strangers holds who say this much and no more.
static int64_t held_by_each(Test *t, World *world, Text said, bool answered) {
    enum { STRANGERS = 500, WARM = 200 };
    Socket strangers[STRANGERS];
    int64_t before = 0;
    for (size_t i = 0; i < STRANGERS; i++) {
        // The first ones use what earlier ones have left in the heap.
        if (i == WARM) {
            wait_for_strangers(t, world, strangers, i, answered);
            before = process_memory_resident();
        }
        strangers[i] = dial(t, world->port);
        if (said.len > 0) say(t, strangers[i], said);
    }
    wait_for_strangers(t, world, strangers, STRANGERS, answered);
    int64_t each = (process_memory_resident() - before) / (STRANGERS - WARM);
    for (size_t i = 0; i < STRANGERS; i++) socket_close(&strangers[i]);
    return each;
}
#endif

TEST(a_stranger_holds_little_before_its_hello_and_at_most_48_KiB_after_it) {
#ifdef SANITIZED
    test_skip(t, "memory is measured, and a sanitizer takes its own");
#else
    Text hello = client_hello(t, TEXT(""));
    const struct {
        const char *name;
        Text said;
        int64_t most;
    } rows[] = {
        {"silent", TEXT(""), 8 * KB},
        {"half a hello", {hello.at, hello.len / 2}, 8 * KB},
        {"a hello", hello, 48 * KB},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        World world;
        process_files_raise();
        world_begin(t, &world);
        world_serve(t, &world, long_times);
        int64_t each = held_by_each(t, &world, rows[i].said, rows[i].said.len == hello.len);
        printf("# %s: %lld bytes for each\n", rows[i].name, (long long)each);
        check(t, each <= rows[i].most);
        world_end(t, &world);
    }
#endif
}

TEST_MAIN("net/tls", CASE(requests_and_answers_of_any_size_pass),
          CASE(a_client_believes_only_who_proves_the_name_and_is_signed_by_whom_it_trusts),
          CASE(mutual_tls_lets_in_who_the_ca_signed_and_nobody_else),
          CASE(an_optional_client_certificate_must_be_good_when_it_is_there),
          CASE(files_that_cannot_be_used_are_named_with_the_reason),
          CASE(certificates_change_under_load_without_a_failed_request),
          CASE(tls_1_2_is_refused_unless_chosen_and_then_only_with_good_ciphers),
          CASE(alpn_brings_http2_where_it_is_offered), CASE(alpn_chooses_and_refuses),
          CASE(sessions_are_taken_up_again_on_any_loop),
          CASE(plain_requests_garbage_and_half_handshakes_end_clearly_and_soon),
          CASE(failing_calls_end_one_connection_and_single_bytes_change_nothing),
          CASE(a_hello_is_whole_with_its_last_byte_and_not_before_however_it_is_cut),
          CASE(a_hello_cut_into_records_is_understood),
          CASE(a_stranger_holds_little_before_its_hello_and_at_most_48_KiB_after_it))
