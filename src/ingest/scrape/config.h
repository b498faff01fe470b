// What to scrape: Prometheus' `global`, `scrape_configs` and `scrape_config_files`, read, checked
// and completed with their defaults.
//
// Plain structs on one arena, immutable once open, shared between threads by reference (a reload
// opens a new one; the scraper drops the old when its last request is back). Keys, kinds, defaults
// and help are the rows of keys.def. Errors are BAD_INPUT and begin with "file:line:column: "; what
// Prometheus knows and we do not is UNSUPPORTED and names the key and what to do instead.
//
// Semantics: https://prometheus.io/docs/prometheus/latest/configuration/configuration/ (3.x).
#pragma once

#include "codec/yaml.h"
#include "ingest/scrape/target_group.h"
#include "model/relabel.h"
#include "os/disk.h"

typedef enum ScrapeProtocol {
    SCRAPE_PROTOCOL_NONE,
    SCRAPE_PROTOCOL_PROTO,              // PrometheusProto
    SCRAPE_PROTOCOL_TEXT_0_0_4,         // PrometheusText0.0.4
    SCRAPE_PROTOCOL_TEXT_1_0_0,         // PrometheusText1.0.0
    SCRAPE_PROTOCOL_OPENMETRICS_0_0_1,  // OpenMetricsText0.0.1
    SCRAPE_PROTOCOL_OPENMETRICS_1_0_0,  // OpenMetricsText1.0.0
    SCRAPE_PROTOCOL_COUNT
} ScrapeProtocol;

// In order of preference.
typedef struct ScrapeProtocols {
    ScrapeProtocol at[SCRAPE_PROTOCOL_COUNT];
    size_t count;
} ScrapeProtocols;

// What is asked of a target whose names are not plain: `escaping=` of the Accept header.
typedef enum NameEscaping {
    ESCAPING_UNSET,
    ESCAPING_ALLOW_UTF8,   // allow-utf-8
    ESCAPING_UNDERSCORES,  // underscores
    ESCAPING_DOTS,         // dots
    ESCAPING_VALUES        // values
} NameEscaping;

// 0 is no limit.
typedef struct ScrapeLimits {
    int64_t body_bytes;
    uint64_t samples;
    uint64_t targets;
    uint64_t labels;
    uint64_t label_name_bytes;
    uint64_t label_value_bytes;
    uint64_t keep_dropped_targets;
} ScrapeLimits;

// A secret stands in the file, or in another file that is read at every use (so that it can be
// renewed without a reload). At most one of the two. Trim white space at the end of a file's
// content.
typedef struct Secret {
    Text text;
    Text file;  // a path, relative ones already joined to the configuration's folder
} Secret;

static inline bool secret_is_set(const Secret *secret) {
    return secret->text.len > 0 || secret->file.len > 0;
}

typedef struct BasicAuth {
    Secret username;  // not a secret, but it may come from a file as well
    Secret password;
} BasicAuth;

typedef struct Authorization {
    Text type;  // "Bearer"
    Secret credentials;
} Authorization;

typedef enum TlsVersionBound {
    TLS_VERSION_DEFAULT,
    TLS_VERSION_10,
    TLS_VERSION_11,
    TLS_VERSION_12,
    TLS_VERSION_13
} TlsVersionBound;

typedef struct TlsConfig {
    Secret ca;    // PEM text or file
    Secret cert;  // the client's own
    Secret key;
    Text server_name;
    bool insecure_skip_verify;
    TlsVersionBound version_min;
    TlsVersionBound version_max;
} TlsConfig;

typedef struct HttpHeaderConfig {
    Text name;
    Texts values;
    Texts secrets;
    Texts files;
} HttpHeaderConfig;

typedef struct HttpHeaderConfigs {
    HttpHeaderConfig *at;
    size_t count;
} HttpHeaderConfigs;

typedef struct ProxyConfig {
    Text url;       // empty: none
    Text no_proxy;  // comma-separated
    bool from_environment;
    HttpHeaderConfigs connect_headers;  // values are secrets
} ProxyConfig;

typedef struct Oauth2Config {
    Text client_id;
    Secret client_secret;
    Texts scopes;
    Text token_url;
    LabelArray endpoint_params;  // name, value
    TlsConfig tls;
    ProxyConfig proxy;
} Oauth2Config;

typedef struct HttpClientConfig {
    const BasicAuth *basic_auth;         // at most one of these three; NULL when not set
    const Authorization *authorization;  // bearer_token and bearer_token_file end here too
    const Oauth2Config *oauth2;
    Text bearer_token;  // empty once open
    Text bearer_token_file;
    TlsConfig tls;
    ProxyConfig proxy;
    HttpHeaderConfigs headers;
    bool follow_redirects;
    bool enable_http2;
} HttpClientConfig;

typedef struct FileDiscovery {
    Texts files;  // globs, joined to the folder; the last piece may hold *
    int64_t refresh_ms;
} FileDiscovery;

typedef enum DnsType { DNS_SRV, DNS_A, DNS_AAAA, DNS_MX, DNS_NS } DnsType;

typedef struct DnsDiscovery {
    Texts names;
    int64_t refresh_ms;
    DnsType type;
    uint16_t port;  // of A, AAAA, MX and NS
} DnsDiscovery;

typedef struct HttpDiscovery {
    Text url;
    int64_t refresh_ms;
    HttpClientConfig client;
} HttpDiscovery;

typedef struct ScrapeParam {
    Text name;
    Texts values;
} ScrapeParam;

typedef struct ScrapeParams {
    ScrapeParam *at;
    size_t count;
} ScrapeParams;

// One entry of scrape_configs with everything inherited from `global` filled in.
typedef struct ScrapeConfig {
    Text job_name;
    Text from;  // "prometheus.yml:12", for messages
    int64_t interval_ms;
    int64_t timeout_ms;  // at most interval_ms
    ScrapeProtocols protocols;
    ScrapeProtocol fallback_protocol;  // NONE: a target without a content type is an error
    Text metrics_path;
    Text scheme;  // "http" or "https"
    ScrapeParams params;
    bool honor_labels;
    bool honor_timestamps;
    bool track_timestamps_staleness;
    bool enable_compression;
    bool native_histograms;
    bool always_classic_histograms;
    bool classic_to_native_histograms;
    bool extra_scrape_metrics;
    uint64_t native_histogram_buckets_max;  // 0 is no limit
    double native_histogram_growth_min;     // min_bucket_factor; 0 is none
    NameScheme names;
    NameEscaping escaping;
    ScrapeLimits limits;
    HttpClientConfig client;
    RelabelRules relabel;
    RelabelRules metric_relabel;
    TargetGroups static_groups;
    struct {
        FileDiscovery *at;
        size_t count;
    } file_discovery;
    struct {
        DnsDiscovery *at;
        size_t count;
    } dns_discovery;
    struct {
        HttpDiscovery *at;
        size_t count;
    } http_discovery;
} ScrapeConfig;

typedef struct ScrapeConfigs ScrapeConfigs;

// Reads `path` and what its scrape_config_files name. Top-level keys that are not Prometheus' are
// left to their owner (app/settings). A file without scrape_configs gives none, which is fine.
must_use bool scrape_configs_open(Disk *disk, Text path, ScrapeConfigs **out, Error *err);
// The same from bytes that were read already. Relative paths are joined to the folder of `path`.
must_use bool scrape_configs_open_text(Disk *disk, Text source, Text path, ScrapeConfigs **out,
                                       Error *err);

// Shared between threads: everyone who keeps it holds a reference; open gives the first.
ScrapeConfigs *scrape_configs_ref(ScrapeConfigs *configs);
void scrape_configs_close(ScrapeConfigs **configs);  // gives one reference back; NULL is fine

size_t scrape_configs_count(const ScrapeConfigs *configs);
const ScrapeConfig *scrape_configs_at(const ScrapeConfigs *configs, size_t index);
// external_labels of `global`: for what leaves this server; names sorted.
LabelArray scrape_configs_external_labels(const ScrapeConfigs *configs);

NameScheme scrape_configs_names(const ScrapeConfigs *configs);  // of `global`

// The top-level keys that belong here (also those that Prometheus has and we refuse): who else
// reads the file passes them by.
bool scrape_configs_owns(Text top_level_key);
// The nearest of them, for "did you mean", with its distance (text_distance).
Text scrape_configs_nearest(Text top_level_key, size_t *distance);

// Everything in effect as Prometheus prints it, secrets as <secret>; nothing when no key of ours
// stands in the file.
void scrape_configs_print(const ScrapeConfigs *configs, Builder *out);

Text scrape_protocol_name(ScrapeProtocol protocol);  // "PrometheusText0.0.4"
