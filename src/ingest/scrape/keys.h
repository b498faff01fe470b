// The tables of keys (keys.def) and the structs they fill; private to the configuration.
#pragma once

#include "codec/yaml_bind.h"
#include "ingest/scrape/config.h"

typedef struct GlobalConfig {
    int64_t interval_ms;
    int64_t timeout_ms;
    int64_t evaluation_ms;
    int64_t rule_offset_ms;
    ScrapeProtocols protocols;  // none: by scrape_native_histograms of the job
    LabelArray external_labels;
    ScrapeLimits limits;
    NameScheme names;
    NameEscaping escaping;
    bool native_histograms;
    bool classic_to_native_histograms;
    bool always_classic_histograms;
    bool extra_scrape_metrics;
} GlobalConfig;

typedef struct ScrapeConfigList {
    ScrapeConfig *at;
    size_t count;
} ScrapeConfigList;

// A file, or one of scrape_config_files.
typedef struct ConfigFile {
    GlobalConfig global;
    ScrapeConfigList list;
    Texts config_files;
} ConfigFile;

// What tables need to know while they are bound.
typedef struct ConfigContext {
    const GlobalConfig *global;  // what jobs inherit
    ARRAY(Regex *) regexes;      // compiled so far; whoever opens the configuration closes them
} ConfigContext;

extern const BindTable config_file_table;
extern const BindTable config_static_table;

// The checks of tables, in the files that know what they are about.
void global_complete(GlobalConfig *global);  // what was not set, or set to 0
bool global_check(Binder *binder, void *object, const YamlNode *node, Error *err);
void scrape_begin(Binder *binder, void *object);
bool scrape_check(Binder *binder, void *object, const YamlNode *node, Error *err);
bool client_check(Binder *binder, void *object, const YamlNode *node, Error *err);
bool proxy_check(Binder *binder, void *object, const YamlNode *node, Error *err);
bool basic_check(Binder *binder, void *object, const YamlNode *node, Error *err);
bool authorization_check(Binder *binder, void *object, const YamlNode *node, Error *err);
bool oauth2_check(Binder *binder, void *object, const YamlNode *node, Error *err);
bool tls_check(Binder *binder, void *object, const YamlNode *node, Error *err);
bool file_sd_check(Binder *binder, void *object, const YamlNode *node, Error *err);
bool dns_sd_check(Binder *binder, void *object, const YamlNode *node, Error *err);
bool http_sd_check(Binder *binder, void *object, const YamlNode *node, Error *err);

// An interval of 0 would spin.
must_use bool check_refresh(const YamlNode *node, int64_t refresh_ms, Error *err);
