// dns_sd_configs: one target per record of some names, asked again every refresh_interval.
//
// A name that does not exist has no targets; a name that could not be asked for keeps those it had.

#include "ingest/scrape/discovery.h"

typedef struct DnsProvider DnsProvider;

typedef struct DnsName {
    DnsProvider *provider;
    Text name;
    TargetGroups groups;  // one of one target for each record
    Arena arena;
    Error error;
} DnsName;

struct DnsProvider {
    Discovery head;
    const DnsDiscovery *config;
    WheelTimer timer;
    DnsName *names;
    size_t name_count, waiting;
    bool starting;  // names are still being asked: none is the last one
    bool stopped;   // freed by the last answer
};

// ORDER: DnsType and ResolveType differ; a row per DnsType.
static const struct {
    ResolveType type;
    const char *target_label;  // NULL: none
} types[] = {
    [DNS_SRV] = {RESOLVE_SRV, "__meta_dns_srv_record_target"},
    [DNS_A] = {RESOLVE_A, NULL},
    [DNS_AAAA] = {RESOLVE_AAAA, NULL},
    [DNS_MX] = {RESOLVE_MX, "__meta_dns_mx_record_target"},
    [DNS_NS] = {RESOLVE_NS, "__meta_dns_ns_record_target"},
};

static void provider_free(DnsProvider *provider) {
    for (size_t i = 0; i < provider->name_count; i++) arena_free(&provider->names[i].arena);
    memory_free(provider->names);
    memory_free(provider);
}

static TargetGroup group_of(const DnsName *name, const ResolveRecord *record, Arena *arena) {
    const DnsDiscovery *config = name->provider->config;
    Text target = text_copy(record->target, arena);
    Text host = target;
    if (host.len > 0 && host.at[host.len - 1] == '.') host.len--;
    unsigned port = config->type == DNS_SRV ? record->port : config->port;
    bool v6 = config->type == DNS_AAAA;
    Text *address = arena_push(arena, Text);
    *address = text_format(arena, v6 ? "[%.*s]:%u" : "%.*s:%u", TEXT_ARG(host), port);
    TargetGroup group = {.source = name->name, .targets = {address, 1}};
    *array_add_on(arena, &group.labels) = (Label){TEXT("__meta_dns_name"), name->name};
    const char *label = types[config->type].target_label;
    if (label != NULL)
        *array_add_on(arena, &group.labels) = (Label){text_from_cstring(label), target};
    if (config->type == DNS_SRV) {
        *array_add_on(arena, &group.labels) =
            (Label){TEXT("__meta_dns_srv_record_port"), text_format(arena, "%u", port)};
    }
    return group;
}

static void tell(DnsProvider *provider) {
    AUTO(arena_free) Arena arena = {0};
    ARRAY(TargetGroup) all = {0};
    const Error *failed = NULL;
    for (size_t i = 0; i < provider->name_count; i++) {
        const DnsName *name = &provider->names[i];
        if (name->error.code != ERROR_NONE) failed = &name->error;
        for (size_t k = 0; k < name->groups.count; k++)
            *array_add_on(&arena, &all) = name->groups.at[k];
    }
    TargetGroups groups = {all.at, all.count};
    provider->head.found(provider->head.context, &groups, NULL);
    if (failed != NULL) provider->head.found(provider->head.context, NULL, failed);
    Loop *loop = provider->head.world->loop;
    loop_arm(loop, &provider->timer, loop_now_ms(loop) + provider->config->refresh_ms);
}

static void one_less(DnsProvider *provider) {
    if (--provider->waiting > 0 || provider->starting) return;
    if (provider->stopped) {
        provider_free(provider);
    } else {
        tell(provider);
    }
}

static void on_records(void *context, const ResolveRecord *records, size_t count,
                       const Error *err) {
    DnsName *name = context;
    if (name->provider->stopped) {
        // The configuration may be gone.
    } else if (err != NULL) {
        name->error = *err;
        (void)error_context(&name->error, "looking up \"%.*s\"", TEXT_ARG(name->name));
    } else {
        name->error = (Error){0};
        arena_clear(&name->arena);
        name->groups = (TargetGroups){arena_push_array(&name->arena, TargetGroup, count), count};
        for (size_t i = 0; i < count; i++)
            name->groups.at[i] = group_of(name, &records[i], &name->arena);
    }
    one_less(name->provider);
}

static void ask(DnsProvider *provider) {
    provider->starting = true;
    provider->waiting = provider->name_count + 1;
    for (size_t i = 0; i < provider->name_count; i++) {
        resolve_start(provider->head.world->resolver, provider->names[i].name,
                      types[provider->config->type].type, on_records, &provider->names[i]);
    }
    provider->starting = false;
    one_less(provider);
}

static void timer_fire(WheelTimer *timer) {
    ask((DnsProvider *)(void *)((char *)timer - offsetof(DnsProvider, timer)));
}

// c-ares cannot cancel one query of many: what is under way ends first, unheard.
static void dns_stop(Discovery *discovery) {
    DnsProvider *provider = (DnsProvider *)discovery;
    loop_disarm(discovery->world->loop, &provider->timer);
    provider->stopped = true;
    if (provider->waiting == 0) provider_free(provider);
}

Discovery *discovery_dns_start(const DiscoveryWorld *world, const DnsDiscovery *config,
                               DiscoveryFound found, void *context) {
    DnsProvider *provider = memory_new(DnsProvider);
    provider->head = (Discovery){"dns", dns_stop, world, found, context};
    provider->config = config;
    provider->timer.fire = timer_fire;
    provider->name_count = config->names.count;
    provider->names = memory_new_array(DnsName, provider->name_count);
    for (size_t i = 0; i < provider->name_count; i++) {
        provider->names[i].provider = provider;
        provider->names[i].name = config->names.at[i];
    }
    ask(provider);
    return &provider->head;
}
