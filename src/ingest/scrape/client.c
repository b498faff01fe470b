// From a configuration to a request; and the one thing with a life of its own, an OAuth2 token.

#include "ingest/scrape/client.h"

#include "codec/json.h"
#include "net/url.h"

enum {
    SECRET_BYTES_MAX = 64 * KB,
    TOKEN_BYTES_MAX = 256 * KB,
    TOKEN_TIMEOUT_MS = 30000,
    TOKEN_RETRY_MS = 5000,
    TOKEN_LIFE_MS = 3600000,  // when the server does not say
    TOKEN_EARLY_MS = 10000,   // renewed so long before its end, or half way when it is shorter
};

struct ScrapeClient {
    Loop *loop;
    Disk *disk;
    FetchClient *fetches;
    const HttpClientConfig *config;
    FetchTls tls, token_tls;
    FetchProxy proxy, token_proxy;
    Arena arena;  // headers of the proxy
    // OAuth2.
    WheelTimer renew;
    Fetch *asking;
    Builder token;  // empty: none
    Error token_error;
};

static bool secret_read(Disk *disk, const Secret *secret, const char *what, Arena *arena, Text *out,
                        Error *err) {
    *out = secret->text;
    if (secret->file.len == 0) return true;
    Bytes bytes;
    if (!disk_read_whole(disk, secret->file, SECRET_BYTES_MAX, arena, &bytes, err))
        return error_context(err, "unable to read %s file %.*s", what, TEXT_ARG(secret->file));
    *out = text_trim(bytes_text(bytes));
    return true;
}

static FetchTls tls_of(const TlsConfig *config) {
    // ORDER: FetchTlsVersion and TlsVersionBound are the same.
    return (FetchTls){
        .ca = config->ca.text,
        .ca_file = config->ca.file,
        .cert = config->cert.text,
        .cert_file = config->cert.file,
        .key = config->key.text,
        .key_file = config->key.file,
        .server_name = config->server_name,
        .version_min = (FetchTlsVersion)config->version_min,
        .version_max = (FetchTlsVersion)config->version_max,
        .insecure = config->insecure_skip_verify,
    };
}

static FetchProxy proxy_of(const ProxyConfig *config, Arena *arena) {
    size_t count = 0, at = 0;
    for (size_t i = 0; i < config->connect_headers.count; i++) {
        const HttpHeaderConfig *header = &config->connect_headers.at[i];
        count += header->values.count + header->secrets.count;
    }
    HttpHeader *headers = arena_push_array(arena, HttpHeader, count);
    for (size_t i = 0; i < config->connect_headers.count; i++) {
        const HttpHeaderConfig *header = &config->connect_headers.at[i];
        for (size_t k = 0; k < header->values.count; k++)
            headers[at++] = (HttpHeader){header->name, header->values.at[k]};
        for (size_t k = 0; k < header->secrets.count; k++)
            headers[at++] = (HttpHeader){header->name, header->secrets.at[k]};
    }
    return (FetchProxy){config->url, config->no_proxy, config->from_environment, headers, count};
}

// ---- OAuth2: client credentials (RFC 6749, 4.4) ----

static void ask_token(ScrapeClient *client);

static void ask_later(ScrapeClient *client, int64_t after_ms) {
    loop_arm(client->loop, &client->renew, loop_now_ms(client->loop) + after_ms);
}

static bool read_token(ScrapeClient *client, const FetchAnswer *answer, int64_t *life_ms,
                       Error *err) {
    if (answer->status != 200)
        return error_set(err, ERROR_UNAUTHENTICATED, "the token server answered %d",
                         answer->status);
    AUTO(arena_free) Arena arena = {0};
    JsonValue *root;
    TRY(json_parse(answer->body, &arena, &root, err));
    const JsonValue *token = json_get(root, TEXT("access_token"));
    if (token == NULL || token->kind != JSON_STRING || token->text.len == 0)
        return error_set(err, ERROR_UNAUTHENTICATED,
                         "the token server's answer has no access_token");
    builder_clear(&client->token);
    builder_add(&client->token, TEXT("Bearer "));
    builder_add(&client->token, token->text);
    int64_t seconds;
    *life_ms = TOKEN_LIFE_MS;
    if (json_whole_i64(json_get(root, TEXT("expires_in")), &seconds) && seconds > 0)
        *life_ms = MIN(seconds, (int64_t)86400) * 1000;
    return true;
}

static void on_token(void *context, const FetchAnswer *answer, const Error *err) {
    ScrapeClient *client = context;
    client->asking = NULL;
    int64_t life_ms = 0;
    Error why = {0};
    bool ok = answer != NULL && read_token(client, answer, &life_ms, &why);
    if (!ok) {
        client->token_error = answer == NULL ? *err : why;
        builder_clear(&client->token);
        ask_later(client, TOKEN_RETRY_MS);
        return;
    }
    client->token_error = (Error){0};
    ask_later(client, MAX(life_ms - TOKEN_EARLY_MS, life_ms / 2));
}

static void add_pair(Builder *form, Text name, Text value) {
    if (form->len > 0) builder_add_char(form, '&');
    url_encode(name, form);
    builder_add_char(form, '=');
    url_encode(value, form);
}

static bool start_token(ScrapeClient *client, Error *err) {
    const Oauth2Config *oauth = client->config->oauth2;
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder form = {0};
    AUTO(builder_free) Builder scopes = {0};
    Text secret;
    TRY(secret_read(client->disk, &oauth->client_secret, "client secret", &arena, &secret, err));
    add_pair(&form, TEXT("grant_type"), TEXT("client_credentials"));
    for (size_t i = 0; i < oauth->scopes.count; i++) {
        if (i > 0) builder_add_char(&scopes, ' ');
        builder_add(&scopes, oauth->scopes.at[i]);
    }
    if (scopes.len > 0) add_pair(&form, TEXT("scope"), builder_text(&scopes));
    for (size_t i = 0; i < oauth->endpoint_params.count; i++)
        add_pair(&form, oauth->endpoint_params.at[i].name, oauth->endpoint_params.at[i].value);
    HttpHeader headers[] = {
        {TEXT("Content-Type"), TEXT("application/x-www-form-urlencoded")},
        {TEXT("Accept"), TEXT("application/json")},
    };
    FetchRequest request = {
        .method = TEXT("POST"),
        .url = oauth->token_url,
        .headers = headers,
        .header_count = COUNT(headers),
        .body = builder_text(&form),
        .basic = true,
        .user = oauth->client_id,
        .password = secret,
        .tls = &client->token_tls,
        .proxy = &client->token_proxy,
        .http2 = true,
        .timeout_ms = TOKEN_TIMEOUT_MS,
        .body_bytes_max = TOKEN_BYTES_MAX,
        .done = on_token,
        .context = client,
    };
    return fetch_start(client->fetches, &request, &client->asking, err);
}

static void ask_token(ScrapeClient *client) {
    if (client->asking != NULL) return;
    if (!start_token(client, &client->token_error)) ask_later(client, TOKEN_RETRY_MS);
}

static void renew_fire(WheelTimer *timer) {
    ask_token((ScrapeClient *)(void *)((char *)timer - offsetof(ScrapeClient, renew)));
}

void scrape_client_refused(ScrapeClient *client) {
    if (client->config->oauth2 != NULL && client->token.len > 0) {
        builder_clear(&client->token);
        ask_token(client);
    }
}

// ---- The request ----

typedef ARRAY(HttpHeader) Headers;

static bool add_headers(ScrapeClient *client, Arena *arena, Headers *out, Error *err) {
    const HttpHeaderConfigs *configs = &client->config->headers;
    for (size_t i = 0; i < configs->count; i++) {
        const HttpHeaderConfig *header = &configs->at[i];
        for (size_t k = 0; k < header->values.count; k++)
            *array_add_on(arena, out) = (HttpHeader){header->name, header->values.at[k]};
        for (size_t k = 0; k < header->secrets.count; k++)
            *array_add_on(arena, out) = (HttpHeader){header->name, header->secrets.at[k]};
        for (size_t k = 0; k < header->files.count; k++) {
            Secret from = {.file = header->files.at[k]};
            Text value;
            TRY(secret_read(client->disk, &from, "http headers", arena, &value, err));
            *array_add_on(arena, out) = (HttpHeader){header->name, value};
        }
    }
    return true;
}

static bool add_authorization(ScrapeClient *client, Arena *arena, Headers *out, Error *err) {
    const Authorization *authorization = client->config->authorization;
    if (authorization != NULL) {
        Text credentials;
        TRY(secret_read(client->disk, &authorization->credentials, "credentials", arena,
                        &credentials, err));
        *array_add_on(arena, out) = (HttpHeader){
            TEXT("Authorization"),
            text_format(arena, "%.*s %.*s", TEXT_ARG(authorization->type), TEXT_ARG(credentials))};
    } else if (client->config->oauth2 != NULL) {
        if (client->token.len == 0) {
            return error_set(err, ERROR_UNAUTHENTICATED, "no OAuth2 token: %s",
                             client->token_error.code == ERROR_NONE ? "none was answered yet"
                                                                    : client->token_error.message);
        }
        *array_add_on(arena, out) =
            (HttpHeader){TEXT("Authorization"), builder_text(&client->token)};
    }
    return true;
}

bool scrape_client_prepare(ScrapeClient *client, Arena *arena, FetchRequest *request, Error *err) {
    const HttpClientConfig *config = client->config;
    Headers headers = {0};
    for (size_t i = 0; i < request->header_count; i++)
        *array_add_on(arena, &headers) = request->headers[i];
    TRY(add_authorization(client, arena, &headers, err));
    TRY(add_headers(client, arena, &headers, err));
    request->headers = headers.at;
    request->header_count = headers.count;
    if (config->basic_auth != NULL) {
        const BasicAuth *basic = config->basic_auth;
        request->basic = true;
        TRY(secret_read(client->disk, &basic->username, "username", arena, &request->user, err));
        TRY(secret_read(client->disk, &basic->password, "password", arena, &request->password,
                        err));
    }
    request->tls = &client->tls;
    request->proxy = &client->proxy;
    request->follow_redirects = config->follow_redirects;
    request->http2 = config->enable_http2;
    return true;
}

ScrapeClient *scrape_client_open(Loop *loop, Disk *disk, FetchClient *fetches,
                                 const HttpClientConfig *config) {
    ScrapeClient *client = memory_new(ScrapeClient);
    client->loop = loop;
    client->disk = disk;
    client->fetches = fetches;
    client->config = config;
    client->tls = tls_of(&config->tls);
    client->proxy = proxy_of(&config->proxy, &client->arena);
    client->renew.fire = renew_fire;
    if (config->oauth2 != NULL) {
        client->token_tls = tls_of(&config->oauth2->tls);
        client->token_proxy = proxy_of(&config->oauth2->proxy, &client->arena);
        ask_token(client);
    }
    return client;
}

void scrape_client_close(ScrapeClient **handle) {
    if (*handle == NULL) return;
    ScrapeClient *client = TAKE(*handle);
    fetch_cancel(&client->asking);
    loop_disarm(client->loop, &client->renew);
    builder_free(&client->token);
    arena_free(&client->arena);
    memory_free(client);
}
