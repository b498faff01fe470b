// libcurl's multi interface, driven by the loop: curl says which sockets and which time to wait for
// (CURLMOPT_SOCKETFUNCTION, CURLMOPT_TIMERFUNCTION), the loop tells it when they are ready.

#include "net/fetch.h"

#include <curl/curl.h>
#include <errno.h>

#include "base/array.h"
#include "base/assert.h"
#include "base/limits.h"
#include "codec/compress.h"
#include "net/names.h"

enum {
    CONNECT_TIMEOUT_MS_MAX = 30000,
    REDIRECTS_MAX = 10,
    SPARES_MAX = 16,             // handles and buffers kept for the next requests
    BUFFER_KEPT_BYTES = 2 * MB,  // a larger one gives its memory back
    RECEIVE_BYTES = 64 * KB,
};

// Handles and buffers of one request; kept and used again.
typedef struct Spare {
    CURL *easy;
    Builder wire, plain;
} Spare;

struct Fetch {
    FetchClient *client;
    Fetch *next;
    Fetch **link;
    Spare spare;
    struct curl_slist *headers, *proxy_headers, *connect_to, *resolve;
    Text host;  // whose addresses curl needs; empty: it needs none
    long port;
    NameWait wait;
    WheelTimer timer;  // of the wait for a name
    Error *failure;    // why it has no address
    Arena arena;
    char message[CURL_ERROR_SIZE];
    FetchDone done;
    void *context;
    int64_t body_bytes_max;
    int64_t timeout_ms;
    int64_t started_ns;
    int64_t held;  // of the client's
    Compression compression;
    bool unknown_coding;
    bool too_large, crowded;
};

typedef struct CurlSocket CurlSocket;
struct CurlSocket {
    LoopSource source;
    FetchClient *client;
    CurlSocket *next;
    CurlSocket **link;
};

struct FetchClient {
    Loop *loop;
    CURLM *multi;
    Names *names;
    WheelTimer timer;
    Fetch *fetches;
    CurlSocket *sockets;
    ARRAY(Spare) spares;
    int64_t held, held_max;  // bytes of bodies that are being received
    bool inside;             // curl is at work: it must not be called again from its own callbacks
};

// ---- Sockets and time ----

static void finish_done(FetchClient *client);

static void drive(FetchClient *client, curl_socket_t socket, int events) {
    int running;
    client->inside = true;
    (void)curl_multi_socket_action(client->multi, socket, events, &running);
    client->inside = false;
    finish_done(client);
}

static void socket_ready(LoopSource *source, bool readable, bool writable, bool hung_up) {
    CurlSocket *of = (CurlSocket *)source;
    int events = (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0) |
                 (hung_up ? CURL_CSELECT_IN | CURL_CSELECT_ERR : 0);
    drive(of->client, source->socket.fd, events);
}

static void socket_forget(CurlSocket *of) {
    loop_unwatch(of->client->loop, &of->source);
    *of->link = of->next;
    if (of->next != NULL) of->next->link = of->link;
    memory_free(of);
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *of_socket) {
    FetchClient *client = context;
    CurlSocket *of = of_socket;
    if (what == CURL_POLL_REMOVE) {
        if (of != NULL) socket_forget(of);
        (void)curl_multi_assign(client->multi, socket, NULL);
        return 0;
    }
    bool read = (what & CURL_POLL_IN) != 0, write = (what & CURL_POLL_OUT) != 0;
    Error err = {0};
    if (of != NULL) return loop_rewatch(client->loop, &of->source, read, write, &err) ? 0 : -1;
    of = memory_new(CurlSocket);
    of->client = client;
    of->source = (LoopSource){.socket = {socket}, .ready = socket_ready};
    if (!loop_watch(client->loop, &of->source, read, write, &err)) {
        memory_free(of);
        return -1;
    }
    of->next = client->sockets;
    of->link = &client->sockets;
    if (of->next != NULL) of->next->link = &of->next;
    client->sockets = of;
    (void)curl_multi_assign(client->multi, socket, of);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *context) {
    FetchClient *client = context;
    if (timeout_ms < 0) {
        loop_disarm(client->loop, &client->timer);
    } else {
        loop_arm(client->loop, &client->timer, loop_now_ms(client->loop) + timeout_ms);
    }
    return 0;
}

static void timer_fire(WheelTimer *timer) {
    FetchClient *client = (FetchClient *)(void *)((char *)timer - offsetof(FetchClient, timer));
    drive(client, CURL_SOCKET_TIMEOUT, 0);
}

// ---- A body arrives ----

static size_t on_body(char *at, size_t size, size_t count, void *context) {
    Fetch *fetch = context;
    size_t len = size * count;
    if ((int64_t)(fetch->spare.wire.len + len) > fetch->body_bytes_max) {
        fetch->too_large = true;
        return 0;  // ends the transfer
    }
    if (fetch->client->held + (int64_t)len > fetch->client->held_max) {
        fetch->crowded = true;
        return 0;
    }
    fetch->held += (int64_t)len;
    fetch->client->held += (int64_t)len;
    builder_add_bytes(&fetch->spare.wire, at, len);
    return len;
}

static void give_back(Fetch *fetch) {
    fetch->client->held -= fetch->held;
    fetch->held = 0;
}

// Headers of every answer pass here, also of redirects: the last one counts.
static size_t on_header(char *at, size_t size, size_t count, void *context) {
    Fetch *fetch = context;
    Text line = text_trim((Text){at, size * count});
    Text rest = line, name;
    if (text_starts_with(line, TEXT("HTTP/"))) {
        fetch->compression = COMPRESSION_NONE;
        fetch->unknown_coding = false;
        builder_clear(&fetch->spare.wire);
        give_back(fetch);
    } else if (text_cut(&rest, ':', &name) &&
               text_equal_ignore_case(name, TEXT("content-encoding"))) {
        fetch->unknown_coding = !compression_from_name(text_trim(rest), &fetch->compression);
    }
    return size * count;
}

// ---- The end of a request ----

static void spare_free(Spare *spare) {
    if (spare->easy != NULL) curl_easy_cleanup(spare->easy);
    builder_free(&spare->wire);
    builder_free(&spare->plain);
}

static void buffer_keep(Builder *builder) {
    if (builder->capacity > BUFFER_KEPT_BYTES) builder_free(builder);
    builder_clear(builder);
}

// Takes the request out of everything and frees it; its handle waits for the next one.
static void fetch_end(Fetch *fetch) {
    FetchClient *client = fetch->client;
    give_back(fetch);
    (void)curl_multi_remove_handle(client->multi, fetch->spare.easy);
    *fetch->link = fetch->next;
    if (fetch->next != NULL) fetch->next->link = fetch->link;
    curl_slist_free_all(fetch->headers);
    curl_slist_free_all(fetch->proxy_headers);
    curl_slist_free_all(fetch->connect_to);
    curl_slist_free_all(fetch->resolve);
    name_wait_leave(&fetch->wait);
    loop_disarm(client->loop, &fetch->timer);
    memory_free(fetch->failure);
    arena_free(&fetch->arena);
    if (fetch->spare.easy != NULL && client->spares.count < SPARES_MAX) {
        buffer_keep(&fetch->spare.wire);
        buffer_keep(&fetch->spare.plain);
        *array_add(&client->spares) = fetch->spare;
    } else {
        spare_free(&fetch->spare);
    }
    memory_free(fetch);
}

static bool error_too_large(const Fetch *fetch, Error *err) {
    return error_set(err, ERROR_TOO_LARGE, "body size limit exceeded: more than %lld bytes",
                     (long long)fetch->body_bytes_max);
}

// What the operating system said, when it was it; else curl's own words.
static const char *reason_of(const Fetch *fetch, CURLcode code) {
    long number = 0;
    (void)curl_easy_getinfo(fetch->spare.easy, CURLINFO_OS_ERRNO, &number);
    const char *words = number != 0 ? strerrordesc_np((int)number) : NULL;
    if (words != NULL && (code == CURLE_COULDNT_CONNECT || fetch->message[0] == '\0')) return words;
    return fetch->message[0] != '\0' ? fetch->message : curl_easy_strerror(code);
}

static bool error_tls(const Fetch *fetch, CURLcode code, Error *err) {
    const char *why = fetch->message[0] != '\0' ? fetch->message : curl_easy_strerror(code);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return error_set(err, ERROR_NETWORK, "certificate refused: %s", why);
    if (code == CURLE_SSL_CERTPROBLEM)
        return error_set(err, ERROR_NETWORK, "our own certificate or key cannot be used: %s", why);
    if (code == CURLE_SSL_CACERT_BADFILE)
        return error_set(err, ERROR_NETWORK, "the file of authorities cannot be used: %s", why);
    return error_set(err, ERROR_NETWORK, "TLS handshake failed: %s", why);
}

static bool error_of(const Fetch *fetch, CURLcode code, Error *err) {
    if (fetch->too_large || code == CURLE_FILESIZE_EXCEEDED) return error_too_large(fetch, err);
    if (fetch->crowded) {
        return error_set(err, ERROR_TOO_LARGE,
                         "more answers come at once than fit into FETCH_BYTES (%lld)",
                         (long long)fetch->client->held_max);
    }
    // One list of curl's codes; those that need no words of their own end in the default.
    int number = (int)code;
    switch (number) {
        case CURLE_OPERATION_TIMEDOUT:
            return error_set(err, ERROR_TIMEOUT, "timed out after %g s",
                             (double)fetch->timeout_ms / 1e3);
        case CURLE_COULDNT_CONNECT: {
            // "Connection refused" -> "connection refused", as the rest of the sentence is ours.
            const char *why = reason_of(fetch, code);
            return error_set(err, ERROR_NETWORK, "cannot connect: %c%s",
                             why[0] >= 'A' && why[0] <= 'Z' ? why[0] | 0x20 : why[0], why + 1);
        }
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
            return error_set(err, ERROR_NETWORK, "cannot resolve a name: %s",
                             reason_of(fetch, code));
        case CURLE_GOT_NOTHING:
            return error_set(err, ERROR_NETWORK,
                             "the server closed the connection without an answer");
        case CURLE_PARTIAL_FILE:
            return error_set(err, ERROR_NETWORK, "the body was cut off: %s",
                             reason_of(fetch, code));
        case CURLE_TOO_MANY_REDIRECTS:
            return error_set(err, ERROR_NETWORK, "more than %d redirects", REDIRECTS_MAX);
        case CURLE_UNSUPPORTED_PROTOCOL:  // the scheme was checked: this is HTTP/0.9, or no HTTP
            return error_set(err, ERROR_NETWORK, "the answer is not HTTP");
        case CURLE_URL_MALFORMAT:
            return error_set(err, ERROR_BAD_INPUT, "not a URL of http or https");
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_SSL_CIPHER:
        case CURLE_SSL_ISSUER_ERROR:
            return error_tls(fetch, code, err);
        default:
            return error_set(err, ERROR_NETWORK, "%s", reason_of(fetch, code));
    }
}

static bool answer_of(Fetch *fetch, CURLcode code, FetchAnswer *out, Error *err) {
    CURL *easy = fetch->spare.easy;
    if (code != CURLE_OK) return error_of(fetch, code, err);
    if (fetch->unknown_coding)
        return error_set(err, ERROR_NETWORK,
                         "the body has a Content-Encoding that was not asked for");
    Clock *clock = loop_clock(fetch->client->loop);
    long status = 0;
    char *type = NULL;
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
    out->status = (int)status;
    out->content_type = text_from_cstring(type);
    out->duration_ns = clock->monotonic_ns(clock) - fetch->started_ns;
    out->wire_bytes = (int64_t)fetch->spare.wire.len;
    out->body = builder_text(&fetch->spare.wire);
    if (fetch->compression == COMPRESSION_NONE) return true;
    Builder *plain = &fetch->spare.plain;
    builder_clear(plain);
    if (!decompress(fetch->compression, text_bytes(out->body), (size_t)fetch->body_bytes_max, plain,
                    err)) {
        if (err->code == ERROR_TOO_LARGE) return error_context(err, "body size limit exceeded");
        return error_context(err, "unpacking the body");
    }
    out->body = builder_text(plain);
    return true;
}

// Calls back for everything that has ended. A callback may start or cancel other requests.
static void finish_done(FetchClient *client) {
    CURLMsg *message;
    int left;
    while (!client->inside && (message = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) continue;
        CURLcode code = message->data.result;
        char *mark = NULL;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &mark);
        Fetch *fetch = (Fetch *)(void *)mark;
        FetchAnswer answer = {0};
        Error err = {0};
        bool ok = answer_of(fetch, code, &answer, &err);
        FetchDone done = fetch->done;
        fetch->done = NULL;  // fetch_cancel from inside would be a mistake
        done(fetch->context, ok ? &answer : NULL, ok ? NULL : &err);
        fetch_end(fetch);
    }
}

// ---- Beginning ----

static void set_text(CURL *easy, CURLoption option, Text text, Arena *arena) {
    if (text.len > 0) (void)curl_easy_setopt(easy, option, text_to_cstring(text, arena));
}

static void set_blob(CURL *easy, CURLoption option, Text text) {
    if (text.len == 0) return;
    struct curl_blob blob = {(void *)(uintptr_t)text.at, text.len, CURL_BLOB_COPY};
    (void)curl_easy_setopt(easy, option, &blob);
}

static long version_min_of(FetchTlsVersion version) {
    static const long of[] = {CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_0,
                              CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_TLSv1_2,
                              CURL_SSLVERSION_TLSv1_3};
    return of[version];
}

static long version_max_of(FetchTlsVersion version) {
    static const long of[] = {CURL_SSLVERSION_MAX_DEFAULT, CURL_SSLVERSION_MAX_TLSv1_0,
                              CURL_SSLVERSION_MAX_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_2,
                              CURL_SSLVERSION_MAX_TLSv1_3};
    return of[version];
}

static void add_header(struct curl_slist **list, Text name, Text value, Arena *arena) {
    // "Name;" is how curl is asked to send a header that is empty.
    Text line = value.len > 0 ? text_format(arena, "%.*s: %.*s", TEXT_ARG(name), TEXT_ARG(value))
                              : text_format(arena, "%.*s;", TEXT_ARG(name));
    *list = curl_slist_append(*list, text_to_cstring(line, arena));
}

// The certificate and the name sent to the server (SNI) are those of the URL's host. Another name
// is asked for by putting it into the URL and connecting to the real host all the same.
static bool rename_server(Fetch *fetch, CURLU *url, Text server_name, Arena *arena, Error *err) {
    char *host = NULL, *port = NULL;
    bool ok =
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_HOST, text_to_cstring(server_name, arena), 0) == CURLUE_OK;
    if (ok) {
        Text to = text_format(arena, "::%s:%s", host, port);
        fetch->connect_to = curl_slist_append(NULL, text_to_cstring(to, arena));
        (void)curl_easy_setopt(fetch->spare.easy, CURLOPT_CONNECT_TO, fetch->connect_to);
        Text name = text_format(arena, "%s:%s", host, port);
        add_header(&fetch->headers, TEXT("Host"), name, arena);
    }
    curl_free(host);
    curl_free(port);
    return ok || error_set(err, ERROR_BAD_INPUT, "server_name \"%.*s\" is no name of a host",
                           TEXT_ARG(server_name));
}

static bool url_is(CURLU *url, Text scheme) {
    char *stated = NULL;
    bool is = curl_url_get(url, CURLUPART_SCHEME, &stated, 0) == CURLUE_OK &&
              text_equal(text_from_cstring(stated), scheme);
    curl_free(stated);
    return is;
}

static bool set_tls(Fetch *fetch, CURLU *url, const FetchTls *tls, Arena *arena, Error *err) {
    CURL *easy = fetch->spare.easy;
    FetchTls none = {0};
    if (tls == NULL) tls = &none;
    (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                           version_min_of(tls->version_min) | version_max_of(tls->version_max));
    set_text(easy, CURLOPT_CAINFO, tls->ca_file, arena);
#if LIBCURL_VERSION_NUM >= 0x075700
    // curl would keep what it read of the file for a day: authorities that were replaced would be
    // strangers until then.
    if (tls->ca_file.len > 0) (void)curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
#endif
    set_blob(easy, CURLOPT_CAINFO_BLOB, tls->ca);
    set_text(easy, CURLOPT_SSLCERT, tls->cert_file, arena);
    set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->cert);
    set_text(easy, CURLOPT_SSLKEY, tls->key_file, arena);
    set_blob(easy, CURLOPT_SSLKEY_BLOB, tls->key);
    if (tls->insecure) {
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (url_is(url, TEXT("https")) && tls->server_name.len > 0)
        TRY(rename_server(fetch, url, tls->server_name, arena, err));
    return true;
}

static void set_proxy(Fetch *fetch, const FetchProxy *proxy, Arena *arena) {
    CURL *easy = fetch->spare.easy;
    if (proxy != NULL && proxy->from_environment) return;  // curl looks by itself
    Text url = proxy == NULL ? TEXT_NONE : proxy->url;
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, text_to_cstring(url, arena));
    (void)curl_easy_setopt(easy, CURLOPT_NOPROXY,
                           text_to_cstring(proxy == NULL ? TEXT_NONE : proxy->none_for, arena));
    if (url.len == 0) return;
    for (size_t i = 0; i < proxy->connect_header_count; i++) {
        add_header(&fetch->proxy_headers, proxy->connect_headers[i].name,
                   proxy->connect_headers[i].value, arena);
    }
    (void)curl_easy_setopt(easy, CURLOPT_PROXYHEADER, fetch->proxy_headers);
    (void)curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
}

static void set_basics(Fetch *fetch, const FetchRequest *request, Arena *arena) {
    CURL *easy = fetch->spare.easy;
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->message);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    (void)curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->body_bytes_max);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                           (long)MIN(request->timeout_ms, (int64_t)CONNECT_TIMEOUT_MS_MAX));
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, request->follow_redirects ? 1L : 0L);
    (void)curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    (void)curl_easy_setopt(
        easy, CURLOPT_HTTP_VERSION,
        request->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    if (request->basic || request->user.len > 0) {
        (void)curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        (void)curl_easy_setopt(easy, CURLOPT_USERNAME, text_to_cstring(request->user, arena));
        (void)curl_easy_setopt(easy, CURLOPT_PASSWORD, text_to_cstring(request->password, arena));
    }
}

static void set_method(Fetch *fetch, const FetchRequest *request, Arena *arena) {
    CURL *easy = fetch->spare.easy;
    bool is_get = request->method.len == 0 || text_equal(request->method, TEXT("GET"));
    if (!is_get || request->body.len > 0) {
        (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        (void)curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, text_to_cstring(request->body, arena));
        Text method = is_get ? TEXT("GET") : request->method;
        if (!text_equal(method, TEXT("POST")))
            (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, text_to_cstring(method, arena));
    }
    for (size_t i = 0; i < request->header_count; i++)
        add_header(&fetch->headers, request->headers[i].name, request->headers[i].value, arena);
    // Not curl's own decompression: ours is faster, and knows bombs.
    if (request->accept_gzip)
        fetch->headers = curl_slist_append(fetch->headers, "Accept-Encoding: gzip");
    fetch->headers = curl_slist_append(fetch->headers, "Expect:");
}

static void url_close(CURLU **url) {
    curl_url_cleanup(*url);
}

static void find_host(Fetch *fetch, CURLU *url, const FetchProxy *proxy, Arena *arena);

static bool prepare(Fetch *fetch, const FetchRequest *request, Arena *arena, Error *err) {
    CURL *easy = fetch->spare.easy;
    AUTO(url_close) CURLU *url = curl_url();
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text_to_cstring(request->url, arena), 0);
    if (code != CURLUE_OK)
        return error_set(err, ERROR_BAD_INPUT, "not a URL: %s", curl_url_strerror(code));
    if (!url_is(url, TEXT("http")) && !url_is(url, TEXT("https")))
        return error_set(err, ERROR_BAD_INPUT, "not a URL of http or https");
    set_basics(fetch, request, arena);
    set_method(fetch, request, arena);
    find_host(fetch, url, request->proxy, arena);  // before set_tls puts another name into it
    TRY(set_tls(fetch, url, request->tls, arena, err));
    set_proxy(fetch, request->proxy, arena);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers);
    char *text = NULL;
    if (curl_url_get(url, CURLUPART_URL, &text, 0) != CURLUE_OK)
        return error_set(err, ERROR_BAD_INPUT, "not a URL of http or https");
    (void)curl_easy_setopt(easy, CURLOPT_URL, text);
    curl_free(text);
    return true;
}

// ---- The name before the request ----

// Whether `host` is among "host,.domain,*", the way curl reads it; networks concern addresses only.
static bool none_for_holds(Text none_for, Text host) {
    while (text_ends_with(host, TEXT("."))) host.len--;
    for (size_t i = 0; i < none_for.len;) {
        size_t begin = i;
        while (i < none_for.len && none_for.at[i] != ',' && none_for.at[i] != ' ') i++;
        Text word = text_slice(none_for, begin, i);
        i++;
        if (text_equal(word, TEXT("*"))) return true;
        if (text_starts_with(word, TEXT("."))) word = text_slice(word, 1, word.len);
        while (text_ends_with(word, TEXT("."))) word.len--;
        if (word.len == 0 || word.len > host.len) continue;
        Text tail = text_slice(host, host.len - word.len, host.len);
        if (text_equal_ignore_case(tail, word) &&
            (tail.len == host.len || host.at[host.len - word.len - 1] == '.'))
            return true;
    }
    return false;
}

static void host_take(Fetch *fetch, CURLU *url, unsigned flags, const char *port_else) {
    char *host = NULL, *port = NULL;
    if (curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        if (curl_url_get(url, CURLUPART_PORT, &port, flags) != CURLUE_OK) port = NULL;
        fetch->host = text_copy(text_from_cstring(host), &fetch->arena);
        fetch->port = strtol(port != NULL ? port : port_else, NULL, 10);
    }
    curl_free(host);
    curl_free(port);
}

// Which name curl is going to ask for: the server's, or the proxy's that asks in its stead.
static void find_host(Fetch *fetch, CURLU *url, const FetchProxy *proxy, Arena *arena) {
    if (proxy != NULL && proxy->from_environment) return;
    host_take(fetch, url, CURLU_DEFAULT_PORT, "80");
    if (proxy != NULL && proxy->url.len > 0 && !none_for_holds(proxy->none_for, fetch->host)) {
        // Whether an address is in a network of `none_for` is curl's to say.
        bool unclear = proxy->none_for.len > 0 && name_is_address(fetch->host);
        AUTO(url_close) CURLU *of = curl_url();
        bool ok =
            !unclear && curl_url_set(of, CURLUPART_URL, text_to_cstring(proxy->url, arena),
                                     CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
        ok = ok && !url_is(of, TEXT("socks4")) && !url_is(of, TEXT("socks5"));
        fetch->host = TEXT_NONE;
        if (ok) host_take(fetch, of, 0, url_is(of, TEXT("https")) ? "443" : "1080");
    }
    for (size_t i = 0; i < fetch->host.len; i++) {
        if ((unsigned char)fetch->host.at[i] >= 0x80) {
            fetch->host = TEXT_NONE;
            return;
        }
    }
    if (name_is_address(fetch->host)) fetch->host = TEXT_NONE;
}

static void fail_soon(Fetch *fetch, const Error *err) {
    FetchClient *client = fetch->client;
    fetch->failure = memory_new(Error);
    *fetch->failure = *err;
    loop_arm(client->loop, &fetch->timer, loop_now_ms(client->loop));
}

static bool send_off(Fetch *fetch, Error *err) {
    if (curl_multi_add_handle(fetch->client->multi, fetch->spare.easy) == CURLM_OK) return true;
    return error_set(err, ERROR_NO_MEMORY, "no memory for a request");
}

// '+': curl may forget it again. A name that ends in '.' is looked for with it or without.
static void set_addresses(Fetch *fetch, Text addresses) {
    Text host = fetch->host;
    for (int i = 0; i < 2; i++) {
        Text line = text_format(&fetch->arena, "+%.*s:%ld:%.*s", TEXT_ARG(host), fetch->port,
                                TEXT_ARG(addresses));
        fetch->resolve = curl_slist_append(fetch->resolve, text_to_cstring(line, &fetch->arena));
        if (!text_ends_with(host, TEXT("."))) break;
        host.len--;
    }
    (void)curl_easy_setopt(fetch->spare.easy, CURLOPT_RESOLVE, fetch->resolve);
}

static void name_done(NameWait *wait, Text addresses, const Error *err) {
    Fetch *fetch = (Fetch *)(void *)((char *)wait - offsetof(Fetch, wait));
    FetchClient *client = fetch->client;
    loop_disarm(client->loop, &fetch->timer);
    Error failure = {0};
    if (err == NULL) {
        int64_t now_ns = loop_clock(client->loop)->monotonic_ns(loop_clock(client->loop));
        int64_t left_ms = fetch->timeout_ms - (now_ns - fetch->started_ns) / 1000000;
        (void)curl_easy_setopt(fetch->spare.easy, CURLOPT_TIMEOUT_MS, (long)MAX(left_ms, 1));
        set_addresses(fetch, addresses);
        if (send_off(fetch, &failure)) return;
        err = &failure;
    }
    fail_soon(fetch, err);
}

static void wait_fire(WheelTimer *timer) {
    Fetch *fetch = (Fetch *)(void *)((char *)timer - offsetof(Fetch, timer));
    Error err = {0};
    if (fetch->failure != NULL) {
        err = *fetch->failure;
    } else {
        (void)error_set(
            &err, ERROR_TIMEOUT,
            "timed out after %g s: cannot resolve %.*s: the name server does not answer",
            (double)fetch->timeout_ms / 1e3, TEXT_ARG(fetch->host));
    }
    FetchDone done = fetch->done;
    fetch->done = NULL;
    name_wait_leave(&fetch->wait);
    done(fetch->context, NULL, &err);
    fetch_end(fetch);
}

static bool begin(Fetch *fetch, Error *err) {
    FetchClient *client = fetch->client;
    if (fetch->host.len == 0) return send_off(fetch, err);
    fetch->timer.fire = wait_fire;
    fetch->wait.done = name_done;
    // Before it is asked: the answer may come from inside.
    loop_arm(client->loop, &fetch->timer, loop_now_ms(client->loop) + fetch->timeout_ms);
    Text addresses;
    Error failure = {0};
    switch (names_find(client->names, fetch->host, &fetch->wait, &addresses, &failure)) {
        case NAME_KNOWN:
            loop_disarm(client->loop, &fetch->timer);
            set_addresses(fetch, addresses);
            return send_off(fetch, err);
        case NAME_UNKNOWN:
            fail_soon(fetch, &failure);
            return true;
        case NAME_LATER:
            return true;
    }
    unreachable("a state of a name");
}

static Spare spare_take(FetchClient *client) {
    if (client->spares.count > 0) return client->spares.at[--client->spares.count];
    return (Spare){.easy = curl_easy_init()};
}

bool fetch_start(FetchClient *client, const FetchRequest *request, Fetch **out, Error *err) {
    assert(!client->inside);
    assert(request->timeout_ms > 0 && request->body_bytes_max > 0);
    Fetch *fetch = memory_new(Fetch);
    fetch->client = client;
    fetch->spare = spare_take(client);
    fetch->done = request->done;
    fetch->context = request->context;
    fetch->body_bytes_max = request->body_bytes_max;
    fetch->timeout_ms = request->timeout_ms;
    fetch->started_ns = loop_clock(client->loop)->monotonic_ns(loop_clock(client->loop));
    fetch->next = client->fetches;
    fetch->link = &client->fetches;
    if (fetch->next != NULL) fetch->next->link = &fetch->next;
    client->fetches = fetch;
    AUTO(arena_free) Arena arena = {0};
    bool ok =
        fetch->spare.easy != NULL || error_set(err, ERROR_NO_MEMORY, "no memory for a request");
    if (ok) curl_easy_reset(fetch->spare.easy);
    ok = ok && prepare(fetch, request, &arena, err);
    ok = ok && begin(fetch, err);
    if (!ok) {
        fetch_end(fetch);
        return false;
    }
    // curl has set its timer to "at once"; the loop comes to it in this very round.
    *out = fetch;
    return true;
}

void fetch_cancel(Fetch **fetch) {
    if (*fetch == NULL) return;
    assert(!(*fetch)->client->inside && (*fetch)->done != NULL);
    fetch_end(TAKE(*fetch));
}

// ---- The client ----

bool fetch_client_open(Loop *loop, size_t connections_max, FetchClient **out, Error *err) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, ERROR_NO_MEMORY, "libcurl cannot begin");
    FetchClient *client = memory_new(FetchClient);
    client->loop = loop;
    client->timer.fire = timer_fire;
    client->multi = curl_multi_init();
    if (client->multi == NULL) {
        memory_free(client);
        return error_set(err, ERROR_NO_MEMORY, "libcurl cannot begin");
    }
    if (!names_open(loop, TEXT_NONE, &client->names, err)) {
        (void)curl_multi_cleanup(client->multi);
        memory_free(client);
        curl_global_cleanup();
        return false;
    }
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    client->held_max = LIMIT_FETCH_BYTES;
    fetch_client_resize(client, connections_max);
    *out = client;
    return true;
}

void fetch_client_resize(FetchClient *client, size_t connections_max) {
    (void)curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)connections_max);
}

void fetch_client_limit(FetchClient *client, int64_t bytes_max) {
    client->held_max = bytes_max;
}

bool fetch_client_name_servers(FetchClient *client, Text servers, Error *err) {
    assert(client->fetches == NULL);
    Names *names = NULL;
    TRY(names_open(client->loop, servers, &names, err));
    names_close(&client->names);
    client->names = names;
    return true;
}

int64_t fetch_client_lookups(const FetchClient *client) {
    return names_lookups(client->names);
}

void fetch_client_close(FetchClient **handle) {
    if (*handle == NULL) return;
    FetchClient *client = TAKE(*handle);
    while (client->fetches != NULL) fetch_end(client->fetches);
    for (size_t i = 0; i < client->spares.count; i++) spare_free(&client->spares.at[i]);
    array_free(&client->spares);
    names_close(&client->names);
    (void)curl_multi_cleanup(client->multi);
    while (client->sockets != NULL) socket_forget(client->sockets);
    loop_disarm(client->loop, &client->timer);
    memory_free(client);
    curl_global_cleanup();
}
