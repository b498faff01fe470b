// The tables made of keys.def, and the hands for values that no kind describes.

#include "ingest/scrape/keys.h"

// ---- Maps of names: labels, parameters, headers ----

static const char *shown_kind(const YamlNode *node) {
    return node->kind == YAML_LIST ? "a list" : "this text";
}

static bool want_map(const YamlNode *value, const char *of, Error *err) {
    if (value->kind == YAML_MAP) return true;
    return yaml_error(value, ERROR_BAD_INPUT, err, "%s are expected (name: value), not %s", of,
                      shown_kind(value));
}

static bool want_text(const YamlNode *value, Text name, Error *err) {
    if (value->kind == YAML_SCALAR) return true;
    return yaml_error(value, ERROR_BAD_INPUT, err, "%.*s: a text is expected, not %s",
                      TEXT_ARG(name), value->kind == YAML_MAP ? "a map" : "a list");
}

static bool read_pairs(Binder *binder, const YamlNode *value, void *field, Error *err) {
    LabelArray pairs = {0};
    if (!yaml_is_null(value)) {
        TRY(want_map(value, "pairs", err));
        for (size_t i = 0; i < value->count; i++) {
            const YamlPair *pair = &value->pairs[i];
            TRY(want_text(pair->value, pair->key->text, err));
            Text text = yaml_is_null(pair->value) ? TEXT("") : pair->value->text;
            *array_add_on(binder->arena, &pairs) = (Label){pair->key->text, text};
        }
    }
    memcpy(field, &pairs, sizeof pairs);
    return true;
}

static bool read_labels(Binder *binder, const YamlNode *value, void *field, Error *err) {
    TRY(read_pairs(binder, value, field, err));
    const LabelArray *labels = field;
    for (size_t i = 0; i < labels->count; i++) {
        const YamlPair *pair = &value->pairs[i];
        // Names are checked against the job's scheme where it is known; here only what never works.
        if (!label_name_is_valid(pair->key->text, NAMES_UTF8))
            return yaml_error(pair->key, ERROR_BAD_INPUT, err,
                              "a label name is empty or not UTF-8");
        if (!text_is_utf8(pair->value->text))
            return yaml_error(pair->value, ERROR_BAD_INPUT, err,
                              "the value of label \"%.*s\" is not UTF-8",
                              TEXT_ARG(text_slice(pair->key->text, 0, 100)));
    }
    return true;
}

static void indent_by(int indent, Builder *out) {
    for (int i = 0; i < indent; i++) builder_add_char(out, ' ');
}

static void print_pair(Text name, Text value, int indent, Builder *out) {
    indent_by(indent, out);
    yaml_print_text(name, out);
    builder_add(out, TEXT(": "));
    yaml_print_text(value, out);
    builder_add_char(out, '\n');
}

static void print_pairs(const void *field, int indent, Builder *out) {
    const LabelArray *labels = field;
    builder_add_char(out, '\n');
    for (size_t i = 0; i < labels->count; i++)
        print_pair(labels->at[i].name, labels->at[i].value, indent + 2, out);
}

// Variables were filled in: a dollar that is left is written as two.
static void print_external(const void *field, int indent, Builder *out) {
    const LabelArray *labels = field;
    builder_add_char(out, '\n');
    for (size_t i = 0; i < labels->count; i++) {
        AUTO(builder_free) Builder value = {0};
        for (size_t j = 0; j < labels->at[i].value.len; j++) {
            if (labels->at[i].value.at[j] == '$') builder_add_char(&value, '$');
            builder_add_char(&value, labels->at[i].value.at[j]);
        }
        print_pair(labels->at[i].name, builder_text(&value), indent + 2, out);
    }
}

static bool pairs_are_set(const void *field) {
    return ((const LabelArray *)field)->count > 0;
}

static const BindHand labels_hand = {read_labels, print_pairs, pairs_are_set};
static const BindHand external_hand = {read_labels, print_external, pairs_are_set};
static const BindHand pairs_hand = {read_pairs, print_pairs, pairs_are_set};

static void print_texts(Text name, Texts texts, bool secret, int indent, Builder *out) {
    indent_by(indent, out);
    yaml_print_text(name, out);
    builder_add(out, texts.count == 0 ? TEXT(": []\n") : TEXT(":\n"));
    for (size_t i = 0; i < texts.count; i++) {
        indent_by(indent, out);
        builder_add(out, TEXT("- "));
        if (secret) {
            builder_add(out, TEXT("<secret>"));
        } else {
            yaml_print_text(texts.at[i], out);
        }
        builder_add_char(out, '\n');
    }
}

static bool read_params(Binder *binder, const YamlNode *value, void *field, Error *err) {
    ScrapeParams params = {0};
    if (!yaml_is_null(value)) {
        TRY(want_map(value, "parameters", err));
        params.at = arena_push_array(binder->arena, ScrapeParam, value->count + 1);
        params.count = value->count;
        for (size_t i = 0; i < value->count; i++) {
            params.at[i].name = value->pairs[i].key->text;
            BindRow row = {.name = params.at[i].name, .kind = BIND_TEXTS};
            TRY(bind_value(binder, &row, value->pairs[i].value, &params.at[i].values, err));
        }
    }
    memcpy(field, &params, sizeof params);
    return true;
}

static void print_params(const void *field, int indent, Builder *out) {
    const ScrapeParams *params = field;
    builder_add_char(out, '\n');
    for (size_t i = 0; i < params->count; i++)
        print_texts(params->at[i].name, params->at[i].values, false, indent + 2, out);
}

static bool params_are_set(const void *field) {
    return ((const ScrapeParams *)field)->count > 0;
}

static const BindHand params_hand = {read_params, print_params, params_are_set};

// ---- Headers ----

static const BindTable header_table;

// A token of RFC 9110, 5.6.2.
static bool is_header_name(Text name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL)) return false;
    }
    return name.len > 0;
}

static bool check_header_name(const YamlNode *key, bool own, Error *err) {
    // What the request itself needs to say.
    static const Text reserved[] = {
        TEXT_INIT("Accept"),
        TEXT_INIT("Accept-Encoding"),
        TEXT_INIT("Authorization"),
        TEXT_INIT("Connection"),
        TEXT_INIT("Content-Encoding"),
        TEXT_INIT("Content-Length"),
        TEXT_INIT("Content-Type"),
        TEXT_INIT("Host"),
        TEXT_INIT("Keep-Alive"),
        TEXT_INIT("Proxy-Authenticate"),
        TEXT_INIT("Proxy-Authorization"),
        TEXT_INIT("User-Agent"),
        TEXT_INIT("Www-Authenticate"),
        TEXT_INIT("X-Prometheus-Scrape-Timeout-Seconds"),
        TEXT_INIT("X-Prometheus-Remote-Write-Version"),
        TEXT_INIT("X-Prometheus-Remote-Read-Version"),
        TEXT_INIT("X-Amz-Date"),
        TEXT_INIT("X-Amz-Security-Token"),
        TEXT_INIT("X-Amz-Content-Sha256"),
    };
    if (!is_header_name(key->text))
        return yaml_error(key, ERROR_BAD_INPUT, err, "\"%.*s\" is not the name of a header",
                          TEXT_ARG(text_slice(key->text, 0, 100)));
    for (size_t i = 0; own && i < COUNT(reserved); i++)
        if (text_equal_ignore_case(key->text, reserved[i]))
            return yaml_error(key, ERROR_BAD_INPUT, err, "the header %.*s cannot be set here",
                              TEXT_ARG(reserved[i]));
    return true;
}

static bool read_headers(Binder *binder, const YamlNode *value, void *field, Error *err) {
    HttpHeaderConfigs headers = {0};
    if (!yaml_is_null(value)) {
        TRY(want_map(value, "headers", err));
        headers.at = arena_push_array(binder->arena, HttpHeaderConfig, value->count + 1);
        headers.count = value->count;
        for (size_t i = 0; i < value->count; i++) {
            TRY(check_header_name(value->pairs[i].key, true, err));
            TRY(bind_map(binder, &header_table, value->pairs[i].value, &headers.at[i], err));
            headers.at[i].name = value->pairs[i].key->text;
        }
    }
    memcpy(field, &headers, sizeof headers);
    return true;
}

static void print_headers(const void *field, int indent, Builder *out) {
    const HttpHeaderConfigs *headers = field;
    builder_add_char(out, '\n');
    for (size_t i = 0; i < headers->count; i++) {
        indent_by(indent + 2, out);
        yaml_print_text(headers->at[i].name, out);
        builder_add(out, TEXT(":\n"));
        bind_print(&header_table, &headers->at[i], indent + 4, out);
    }
}

static bool headers_are_set(const void *field) {
    return ((const HttpHeaderConfigs *)field)->count > 0;
}

static const BindHand headers_hand = {read_headers, print_headers, headers_are_set};

static bool read_connect(Binder *binder, const YamlNode *value, void *field, Error *err) {
    HttpHeaderConfigs headers = {0};
    if (!yaml_is_null(value)) {
        TRY(want_map(value, "headers", err));
        headers.at = arena_push_array(binder->arena, HttpHeaderConfig, value->count + 1);
        headers.count = value->count;
        for (size_t i = 0; i < value->count; i++) {
            TRY(check_header_name(value->pairs[i].key, false, err));
            headers.at[i].name = value->pairs[i].key->text;
            BindRow row = {.name = headers.at[i].name, .kind = BIND_SECRETS};
            TRY(bind_value(binder, &row, value->pairs[i].value, &headers.at[i].secrets, err));
        }
    }
    memcpy(field, &headers, sizeof headers);
    return true;
}

static void print_connect(const void *field, int indent, Builder *out) {
    const HttpHeaderConfigs *headers = field;
    builder_add_char(out, '\n');
    for (size_t i = 0; i < headers->count; i++)
        print_texts(headers->at[i].name, headers->at[i].secrets, true, indent + 2, out);
}

static const BindHand connect_hand = {read_connect, print_connect, headers_are_set};

// ---- Words ----

static const Text protocol_names[SCRAPE_PROTOCOL_COUNT] = {
    // ORDER: the words of fallback_scrape_protocol in keys.def
    [SCRAPE_PROTOCOL_NONE] = TEXT_INIT(""),
    [SCRAPE_PROTOCOL_PROTO] = TEXT_INIT("PrometheusProto"),
    [SCRAPE_PROTOCOL_TEXT_0_0_4] = TEXT_INIT("PrometheusText0.0.4"),
    [SCRAPE_PROTOCOL_TEXT_1_0_0] = TEXT_INIT("PrometheusText1.0.0"),
    [SCRAPE_PROTOCOL_OPENMETRICS_0_0_1] = TEXT_INIT("OpenMetricsText0.0.1"),
    [SCRAPE_PROTOCOL_OPENMETRICS_1_0_0] = TEXT_INIT("OpenMetricsText1.0.0"),
};

Text scrape_protocol_name(ScrapeProtocol protocol) {
    return protocol_names[protocol];
}

static bool read_protocol(const YamlNode *item, ScrapeProtocols *into, Error *err) {
    TRY(want_text(item, TEXT("scrape_protocols"), err));
    for (size_t i = 1; i < SCRAPE_PROTOCOL_COUNT; i++) {
        if (!text_equal(item->text, protocol_names[i])) continue;
        for (size_t j = 0; j < into->count; j++)
            if (into->at[j] == (ScrapeProtocol)i)
                return yaml_error(item, ERROR_BAD_INPUT, err, "scrape_protocols: %.*s stands twice",
                                  TEXT_ARG(item->text));
        into->at[into->count++] = (ScrapeProtocol)i;
        return true;
    }
    return yaml_error(item, ERROR_BAD_INPUT, err,
                      "scrape_protocols: \"%.*s\" is none of PrometheusProto, "
                      "OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, "
                      "PrometheusText0.0.4",
                      TEXT_ARG(text_slice(item->text, 0, 60)));
}

static bool read_protocols(Binder *binder, const YamlNode *value, void *field, Error *err) {
    ScrapeProtocols protocols = {0};
    if (!yaml_is_null(value)) {
        if (value->kind != YAML_LIST)
            return yaml_error(value, ERROR_BAD_INPUT, err,
                              "scrape_protocols: a list is expected, as in [PrometheusText0.0.4]");
        if (value->count == 0)
            return yaml_error(value, ERROR_BAD_INPUT, err,
                              "scrape_protocols is empty; name a format or delete the key");
        for (size_t i = 0; i < value->count; i++)
            TRY(read_protocol(value->items[i], &protocols, err));
    }
    memcpy(field, &protocols, sizeof protocols);
    return true;
}

static void print_protocols(const void *field, int indent, Builder *out) {
    const ScrapeProtocols *protocols = field;
    builder_add_char(out, '\n');
    for (size_t i = 0; i < protocols->count; i++) {
        indent_by(indent, out);
        builder_addf(out, "- %.*s\n", TEXT_ARG(protocol_names[protocols->at[i]]));
    }
}

static bool protocols_are_set(const void *field) {
    return ((const ScrapeProtocols *)field)->count > 0;
}

static const BindHand protocols_hand = {read_protocols, print_protocols, protocols_are_set};

static bool read_action(Binder *binder, const YamlNode *value, void *field, Error *err) {
    RelabelAction action;
    TRY(want_text(value, TEXT("action"), err));
    if (!relabel_action_parse(value->text, &action))
        return yaml_error(value, ERROR_BAD_INPUT, err,
                          "action: \"%.*s\" is none of replace, keep, drop, keepequal, dropequal, "
                          "hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase",
                          TEXT_ARG(text_slice(value->text, 0, 60)));
    memcpy(field, &action, sizeof action);
    return true;
}

static void print_action(const void *field, int indent, Builder *out) {
    builder_addf(out, " %.*s\n", TEXT_ARG(relabel_action_name(*(const RelabelAction *)field)));
}

static bool is_always_set(const void *field) {
    return true;
}

static const BindHand action_hand = {read_action, print_action, is_always_set};

static const Text dns_names[] = {TEXT_INIT("SRV"), TEXT_INIT("A"), TEXT_INIT("AAAA"),
                                 TEXT_INIT("MX"), TEXT_INIT("NS")};  // ORDER: DnsType

static bool read_dns_type(Binder *binder, const YamlNode *value, void *field, Error *err) {
    TRY(want_text(value, TEXT("type"), err));
    for (int i = 0; i < (int)COUNT(dns_names); i++) {
        if (!text_equal_ignore_case(value->text, dns_names[i])) continue;
        memcpy(field, &i, sizeof i);
        return true;
    }
    return yaml_error(value, ERROR_BAD_INPUT, err, "type: \"%.*s\" is none of SRV, A, AAAA, MX, NS",
                      TEXT_ARG(text_slice(value->text, 0, 60)));
}

static void print_dns_type(const void *field, int indent, Builder *out) {
    builder_addf(out, " %.*s\n", TEXT_ARG(dns_names[*(const DnsType *)field]));
}

static const BindHand dns_hand = {read_dns_type, print_dns_type, is_always_set};

// ---- The tables ----

#define NONE       .table = NULL
#define TABLE(of_) .table = &of_
#define HAND(of_)  .hand = &of_
#define ROW(type_, name_, kind_, field_, default_, words_, link_, help_) \
    {.name = TEXT_INIT(name_),                                           \
     .kind = BIND_##kind_,                                               \
     .offset = offsetof(type_, field_),                                  \
     .standard = TEXT_INIT(default_),                                    \
     .words = TEXT_INIT(words_),                                         \
     .help = TEXT_INIT(help_),                                           \
     link_},
#define LATER(name_, help_) \
    {.name = TEXT_INIT(name_), .kind = BIND_LATER, .help = TEXT_INIT(help_)},
#define TABLE_OF(type, what_, rows_, begin_, check_)                                          \
    {                                                                                         \
        .what = TEXT_INIT(what_), .rows = rows_, .count = COUNT(rows_), .size = sizeof(type), \
        .align = _Alignof(type), .begin = begin_, .check = check_                             \
    }

static const BindRow header_rows[] = {
#define HEADER_KEY(...) ROW(HttpHeaderConfig, __VA_ARGS__)
#include "ingest/scrape/keys.def"
};
static const BindTable header_table = TABLE_OF(HttpHeaderConfig, "header", header_rows, NULL, NULL);

static const BindRow tls_rows[] = {
#define TLS_KEY(...)   ROW(TlsConfig, __VA_ARGS__)
#define TLS_LATER(...) LATER(__VA_ARGS__)
#include "ingest/scrape/keys.def"
};
static const BindTable tls_table = TABLE_OF(TlsConfig, "tls_config", tls_rows, NULL, tls_check);

static const BindRow proxy_rows[] = {
#define PROXY_KEY(...) ROW(ProxyConfig, __VA_ARGS__)
#include "ingest/scrape/keys.def"
};
static const BindTable proxy_table = TABLE_OF(ProxyConfig, "proxy", proxy_rows, NULL, proxy_check);

static const BindRow basic_rows[] = {
#define BASIC_KEY(...)   ROW(BasicAuth, __VA_ARGS__)
#define BASIC_LATER(...) LATER(__VA_ARGS__)
#include "ingest/scrape/keys.def"
};
static const BindTable basic_table =
    TABLE_OF(BasicAuth, "basic_auth", basic_rows, NULL, basic_check);

static const BindRow authorization_rows[] = {
#define AUTHORIZATION_KEY(...)   ROW(Authorization, __VA_ARGS__)
#define AUTHORIZATION_LATER(...) LATER(__VA_ARGS__)
#include "ingest/scrape/keys.def"
};
static const BindTable authorization_table =
    TABLE_OF(Authorization, "authorization", authorization_rows, NULL, authorization_check);

static const BindRow oauth2_rows[] = {
#define OAUTH2_KEY(...)   ROW(Oauth2Config, __VA_ARGS__)
#define OAUTH2_LATER(...) LATER(__VA_ARGS__)
#include "ingest/scrape/keys.def"
};
static const BindTable oauth2_table =
    TABLE_OF(Oauth2Config, "oauth2", oauth2_rows, NULL, oauth2_check);

static const BindRow client_rows[] = {
#define CLIENT_KEY(...) ROW(HttpClientConfig, __VA_ARGS__)
#include "ingest/scrape/keys.def"
};
static const BindTable client_table =
    TABLE_OF(HttpClientConfig, "HTTP client", client_rows, NULL, client_check);

static const BindRow relabel_rows[] = {
#define RELABEL_KEY(...) ROW(RelabelRule, __VA_ARGS__)
#include "ingest/scrape/keys.def"
};
static const BindTable relabel_table =
    TABLE_OF(RelabelRule, "relabelling rule", relabel_rows, NULL, NULL);

static const BindRow static_rows[] = {
#define STATIC_KEY(...) ROW(TargetGroup, __VA_ARGS__)
#include "ingest/scrape/keys.def"
};
const BindTable config_static_table =
    TABLE_OF(TargetGroup, "target group", static_rows, NULL, NULL);
#define static_table config_static_table

static const BindRow file_sd_rows[] = {
#define FILE_SD_KEY(...) ROW(FileDiscovery, __VA_ARGS__)
#include "ingest/scrape/keys.def"
};
static const BindTable file_sd_table =
    TABLE_OF(FileDiscovery, "file_sd_config", file_sd_rows, NULL, file_sd_check);

static const BindRow dns_sd_rows[] = {
#define DNS_SD_KEY(...) ROW(DnsDiscovery, __VA_ARGS__)
#include "ingest/scrape/keys.def"
};
static const BindTable dns_sd_table =
    TABLE_OF(DnsDiscovery, "dns_sd_config", dns_sd_rows, NULL, dns_sd_check);

static const BindRow http_sd_rows[] = {
#define HTTP_SD_KEY(...) ROW(HttpDiscovery, __VA_ARGS__)
#include "ingest/scrape/keys.def"
};
static const BindTable http_sd_table =
    TABLE_OF(HttpDiscovery, "http_sd_config", http_sd_rows, NULL, http_sd_check);

static const BindRow scrape_rows[] = {
#define SCRAPE_KEY(...)   ROW(ScrapeConfig, __VA_ARGS__)
#define SCRAPE_LATER(...) LATER(__VA_ARGS__)
#include "ingest/scrape/keys.def"
};
static const BindTable scrape_table =
    TABLE_OF(ScrapeConfig, "scrape config", scrape_rows, scrape_begin, scrape_check);

static const BindRow global_rows[] = {
#define GLOBAL_KEY(...)   ROW(GlobalConfig, __VA_ARGS__)
#define GLOBAL_LATER(...) LATER(__VA_ARGS__)
#include "ingest/scrape/keys.def"
};
static const BindTable global_table =
    TABLE_OF(GlobalConfig, "global", global_rows, NULL, global_check);

static const BindRow file_rows[] = {
#define FILE_KEY(...)   ROW(ConfigFile, __VA_ARGS__)
#define FILE_LATER(...) LATER(__VA_ARGS__)
#include "ingest/scrape/keys.def"
};
const BindTable config_file_table = TABLE_OF(ConfigFile, "the file", file_rows, NULL, NULL);
