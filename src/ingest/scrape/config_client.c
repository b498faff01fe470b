// What must hold within the settings of a request and of a discovery mechanism.

#include "codec/quantity.h"
#include "ingest/scrape/keys.h"

static bool one_of_two(const Secret *secret, const YamlNode *node, const char *of, Error *err) {
    if (secret->text.len == 0 || secret->file.len == 0) return true;
    return yaml_error(node, ERROR_BAD_INPUT, err,
                      "%s and %s_file are both set; at most one of them may be", of, of);
}

bool basic_check(Binder *binder, void *object, const YamlNode *node, Error *err) {
    const BasicAuth *auth = object;
    TRY(one_of_two(&auth->username, node, "username", err));
    return one_of_two(&auth->password, node, "password", err);
}

bool authorization_check(Binder *binder, void *object, const YamlNode *node, Error *err) {
    Authorization *authorization = object;
    TRY(one_of_two(&authorization->credentials, node, "credentials", err));
    authorization->type = text_trim(authorization->type);
    if (authorization->type.len == 0) authorization->type = TEXT("Bearer");
    if (text_equal_ignore_case(authorization->type, TEXT("basic")))
        return yaml_error(bind_at(node, TEXT("type")), ERROR_BAD_INPUT, err,
                          "the type of authorization cannot be Basic; use basic_auth");
    return true;
}

bool oauth2_check(Binder *binder, void *object, const YamlNode *node, Error *err) {
    const Oauth2Config *oauth2 = object;
    const char *missing = oauth2->client_id.len == 0   ? "client_id"
                          : oauth2->token_url.len == 0 ? "token_url"
                                                       : NULL;
    if (missing != NULL)
        return yaml_error(node, ERROR_BAD_INPUT, err, "oauth2 needs a %s", missing);
    return one_of_two(&oauth2->client_secret, node, "client_secret", err);
}

bool tls_check(Binder *binder, void *object, const YamlNode *node, Error *err) {
    const TlsConfig *tls = object;
    TRY(one_of_two(&tls->ca, node, "ca", err));
    TRY(one_of_two(&tls->cert, node, "cert", err));
    TRY(one_of_two(&tls->key, node, "key", err));
    bool cert = secret_is_set(&tls->cert), key = secret_is_set(&tls->key);
    if (cert != key)
        return yaml_error(node, ERROR_BAD_INPUT, err,
                          "a client certificate has two parts: %s is set, %s_file is missing",
                          cert ? "cert" : "key", cert ? "key" : "cert");
    if (tls->version_max != TLS_VERSION_DEFAULT && tls->version_min > tls->version_max)
        return yaml_error(node, ERROR_BAD_INPUT, err, "min_version is above max_version");
    return true;
}

bool proxy_check(Binder *binder, void *object, const YamlNode *node, Error *err) {
    const ProxyConfig *proxy = object;
    bool url = proxy->url.len > 0;
    const YamlNode *no_proxy = bind_at(node, TEXT("no_proxy"));
    if (proxy->connect_headers.count > 0 && !url && !proxy->from_environment)
        return yaml_error(bind_at(node, TEXT("proxy_connect_header")), ERROR_BAD_INPUT, err,
                          "proxy_connect_header needs proxy_url or proxy_from_environment");
    if (proxy->from_environment && url)
        return yaml_error(bind_at(node, TEXT("proxy_url")), ERROR_BAD_INPUT, err,
                          "proxy_url and proxy_from_environment are both set; at most one may be");
    if (proxy->from_environment && proxy->no_proxy.len > 0)
        return yaml_error(no_proxy, ERROR_BAD_INPUT, err,
                          "no_proxy comes from the environment with proxy_from_environment; "
                          "delete one of them");
    if (!url && proxy->no_proxy.len > 0)
        return yaml_error(no_proxy, ERROR_BAD_INPUT, err, "no_proxy needs proxy_url");
    return true;
}

// bearer_token and bearer_token_file become an Authorization.
static bool fold_bearer(Binder *binder, HttpClientConfig *client, const YamlNode *node,
                        Error *err) {
    bool text = client->bearer_token.len > 0, file = client->bearer_token_file.len > 0;
    if (!text && !file) return true;
    const YamlNode *place = bind_at(node, text ? TEXT("bearer_token") : TEXT("bearer_token_file"));
    if (text && file)
        return yaml_error(place, ERROR_BAD_INPUT, err,
                          "bearer_token and bearer_token_file are both set; at most one may be");
    if (client->basic_auth != NULL || client->oauth2 != NULL || client->authorization != NULL)
        return yaml_error(place, ERROR_BAD_INPUT, err,
                          "at most one of basic_auth, authorization, oauth2, bearer_token and "
                          "bearer_token_file may be set");
    Authorization *authorization = arena_push(binder->arena, Authorization);
    *authorization = (Authorization){
        .type = TEXT("Bearer"),
        .credentials = {.text = client->bearer_token, .file = client->bearer_token_file}};
    client->authorization = authorization;
    client->bearer_token = client->bearer_token_file = TEXT_NONE;
    return true;
}

bool client_check(Binder *binder, void *object, const YamlNode *node, Error *err) {
    HttpClientConfig *client = object;
    TRY(fold_bearer(binder, client, node, err));
    int ways =
        (client->basic_auth != NULL) + (client->authorization != NULL) + (client->oauth2 != NULL);
    if (ways <= 1) return true;
    return yaml_error(
        bind_at(node, client->basic_auth != NULL ? TEXT("basic_auth") : TEXT("authorization")),
        ERROR_BAD_INPUT, err, "at most one of basic_auth, authorization and oauth2 may be set");
}

// ---- Discovery ----

bool check_refresh(const YamlNode *node, int64_t refresh_ms, Error *err) {
    if (refresh_ms > 0) return true;
    return yaml_error(bind_at(node, TEXT("refresh_interval")), ERROR_BAD_INPUT, err,
                      "refresh_interval must be above 0");
}

static bool ends_as_targets(Text path) {
    static const Text ends[] = {TEXT_INIT(".json"), TEXT_INIT(".yml"), TEXT_INIT(".yaml"),
                                TEXT_INIT(".JSON"), TEXT_INIT(".YML"), TEXT_INIT(".YAML")};
    for (size_t i = 0; i < COUNT(ends); i++)
        if (text_ends_with(path, ends[i])) return true;
    return false;
}

bool file_sd_check(Binder *binder, void *object, const YamlNode *node, Error *err) {
    const FileDiscovery *discovery = object;
    if (discovery->files.count == 0)
        return yaml_error(node, ERROR_BAD_INPUT, err, "file_sd_configs: `files` names no file");
    const YamlNode *files = yaml_get(node, TEXT("files"));
    for (size_t i = 0; i < discovery->files.count; i++) {
        Text path = discovery->files.at[i];
        ptrdiff_t star = text_find_char(files->items[i]->text, '*');
        Text behind =
            star < 0 ? TEXT("")
                     : text_slice(files->items[i]->text, (size_t)star, files->items[i]->text.len);
        if (!ends_as_targets(path))
            return yaml_error(files->items[i], ERROR_BAD_INPUT, err,
                              "\"%.*s\": the name must end in .json, .yml or .yaml",
                              TEXT_ARG(text_slice(path, 0, 200)));
        if (text_find_char(behind, '/') >= 0)
            return yaml_error(files->items[i], ERROR_BAD_INPUT, err,
                              "\"%.*s\": only the last piece of the path may have *",
                              TEXT_ARG(text_slice(path, 0, 200)));
    }
    return check_refresh(node, discovery->refresh_ms, err);
}

bool dns_sd_check(Binder *binder, void *object, const YamlNode *node, Error *err) {
    const DnsDiscovery *discovery = object;
    if (discovery->names.count == 0)
        return yaml_error(node, ERROR_BAD_INPUT, err, "dns_sd_configs: `names` is missing");
    if (discovery->type != DNS_SRV && discovery->port == 0)
        return yaml_error(node, ERROR_BAD_INPUT, err,
                          "dns_sd_configs: `port` is missing; only SRV records have one");
    return check_refresh(node, discovery->refresh_ms, err);
}

bool http_sd_check(Binder *binder, void *object, const YamlNode *node, Error *err) {
    const HttpDiscovery *discovery = object;
    if (discovery->url.len == 0)
        return yaml_error(node, ERROR_BAD_INPUT, err, "http_sd_configs: `url` is missing");
    return check_refresh(node, discovery->refresh_ms, err);
}
