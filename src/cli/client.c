// Requests and their failures.

#include "cli/client.h"

#include "codec/json.h"
#include "os/process.h"

enum { TIMEOUT_MS = 90000 };  // longer than a query may take

static Text flag_or(const Call *call, FlagId flag, const char *variable) {
    Text given = call_flag(call, flag);
    return given.at != NULL ? given : environment_get(variable);
}

bool client_begin(const Call *call, Client *out, Error *err) {
    *out = (Client){.server = flag_or(call, FLAG_SERVER, "TRACEO_SERVER"),
                    .key = flag_or(call, FLAG_KEY, "TRACEO_KEY"),
                    .tenant = call_flag(call, FLAG_TENANT),
                    .tls = {.ca_file = flag_or(call, FLAG_CA_FILE, "TRACEO_CA_FILE"),
                            .cert_file = flag_or(call, FLAG_CERT_FILE, "TRACEO_CERT_FILE"),
                            .key_file = flag_or(call, FLAG_KEY_FILE, "TRACEO_KEY_FILE")}};
    if (out->server.len == 0) out->server = TEXT("http://127.0.0.1:4310");
    // People write 127.0.0.1:4310 as they see it elsewhere.
    if (text_find(out->server, TEXT("://")) < 0)
        out->server = text_format(call->arena, "http://%.*s", TEXT_ARG(out->server));
    while (text_ends_with(out->server, TEXT("/")) && !text_ends_with(out->server, TEXT("://")))
        out->server.len--;
    HttpClientRequest probe = {0};
    return http_client_url(out->server, &probe, err);
}

bool client_send(const Client *client, Text method, Text path, Text content_type, Text encoding,
                 Text body, Arena *arena, HttpClientAnswer *out, Error *err) {
    HttpHeader headers[6];
    size_t count = 0;
    headers[count++] = (HttpHeader){TEXT("User-Agent"), TEXT("traceo-cli")};
    if (content_type.len > 0) headers[count++] = (HttpHeader){TEXT("Content-Type"), content_type};
    if (encoding.len > 0) {
        headers[count++] = (HttpHeader){TEXT("Content-Encoding"), encoding};
        headers[count++] = (HttpHeader){TEXT("X-Prometheus-Remote-Write-Version"), TEXT("0.1.0")};
    }
    if (client->key.len > 0) {
        headers[count++] = (HttpHeader){TEXT("Authorization"),
                                        text_format(arena, "Bearer %.*s", TEXT_ARG(client->key))};
    }
    if (client->tenant.len > 0)
        headers[count++] = (HttpHeader){TEXT("X-Scope-OrgID"), client->tenant};
    HttpClientRequest request = {
        .method = method,
        .headers = headers,
        .header_count = count,
        .tls_options = client->tls,
        .body = body,
        .timeout_ms = TIMEOUT_MS,
        .answer_bytes_max = 4 * GB,
    };
    TRY(http_client_url(text_format(arena, "%.*s%.*s", TEXT_ARG(client->server), TEXT_ARG(path)),
                        &request, err));
    if (http_client_send(&request, arena, out, err)) return true;
    if (err->code == ERROR_NETWORK) {
        Text why = text_copy(text_from_cstring(err->message), arena);
        if (text_starts_with(why, TEXT("certificate: "))) {
            return error_set(err, ERROR_NETWORK,
                             "%.*s shows a certificate that is not trusted (%.*s); say who signed "
                             "it with --ca-file or TRACEO_CA_FILE",
                             TEXT_ARG(client->server), TEXT_ARG(why));
        }
        return error_set(err, ERROR_NETWORK,
                         "no server answers at %.*s; start one with `traceo`, or say where it is "
                         "with --server (%.*s)",
                         TEXT_ARG(client->server), TEXT_ARG(why));
    }
    return error_context(err, "%.*s", TEXT_ARG(client->server));
}

ExitCode client_code(const Error *err) {
    return err->code == ERROR_NETWORK || err->code == ERROR_TIMEOUT ? CODE_UNREACHABLE
                                                                    : CODE_FAILED;
}

// The `error` of Prometheus' envelope, else the body's first line.
static Text words_of(const HttpClientAnswer *answer, Arena *arena) {
    JsonValue *root;
    Error ignored;
    if (json_parse(answer->body, arena, &root, &ignored)) {
        const JsonValue *error = json_get(root, TEXT("error"));
        if (error != NULL && error->kind == JSON_STRING) return error->text;
    }
    Text rest = answer->body, line = TEXT_NONE;
    (void)!text_cut(&rest, '\n', &line);
    return text_slice(text_trim(line), 0, 300);
}

ExitCode client_refused(const Client *client, const HttpClientAnswer *answer, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Text words = words_of(answer, &arena);
    switch (answer->status) {
        case 401:
            error_set(err, ERROR_UNAUTHENTICATED,
                      client->key.len > 0
                          ? "the server does not know this API key (is it revoked or expired?)"
                          : "the server wants an API key: give it in TRACEO_KEY or with --key");
            break;
        case 403:
            error_set(err, ERROR_FORBIDDEN, "%.*s", TEXT_ARG(words));
            break;
        case 503:
            error_set(err, ERROR_BUSY, "the server cannot serve this now: %.*s", TEXT_ARG(words));
            break;
        default:
            if (words.len == 0) {
                error_set(err, ERROR_BAD_INPUT, "%.*s answered with status %d",
                          TEXT_ARG(client->server), answer->status);
            } else {
                error_set(err, ERROR_BAD_INPUT, "%.*s", TEXT_ARG(words));
            }
    }
    return CODE_FAILED;
}
