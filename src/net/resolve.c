// c-ares driven by the loop: it says which sockets it has, the loop tells it when they are ready,
// and every so often that time has passed.

#include "net/resolve.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>

#include "base/array.h"
#include "base/assert.h"

enum { RESOLVE_TIMEOUT_MS = 3000, RESOLVE_TRIES = 3, RESOLVE_RECORDS_MAX = 4096 };

typedef struct AresSocket AresSocket;
struct AresSocket {
    LoopSource source;
    Resolver *resolver;
    AresSocket *next;
    AresSocket **link;
};

struct Resolver {
    Loop *loop;
    ares_channel channel;
    WheelTimer timer;
    AresSocket *sockets;
};

typedef struct Query {
    Resolver *resolver;
    ResolveType type;
    ResolveDone done;
    void *context;
} Query;

// ORDER: ResolveType.
static const int record_types[] = {ns_t_a, ns_t_aaaa, ns_t_srv, ns_t_mx, ns_t_ns};

// ---- Sockets and time ----

static void arm(Resolver *resolver) {
    struct timeval room, *wait = ares_timeout(resolver->channel, NULL, &room);
    if (wait == NULL) {
        loop_disarm(resolver->loop, &resolver->timer);
        return;
    }
    int64_t ms = (int64_t)wait->tv_sec * 1000 + (wait->tv_usec + 999) / 1000;
    loop_arm(resolver->loop, &resolver->timer, loop_now_ms(resolver->loop) + ms);
}

static void socket_ready(LoopSource *source, bool readable, bool writable, bool hung_up) {
    Resolver *resolver = ((AresSocket *)source)->resolver;
    int fd = source->socket.fd;
    ares_process_fd(resolver->channel, readable || hung_up ? fd : ARES_SOCKET_BAD,
                    writable ? fd : ARES_SOCKET_BAD);
    arm(resolver);
}

static void timer_fire(WheelTimer *timer) {
    Resolver *resolver = (Resolver *)(void *)((char *)timer - offsetof(Resolver, timer));
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(resolver);
}

static void socket_forget(AresSocket *of) {
    loop_unwatch(of->resolver->loop, &of->source);
    *of->link = of->next;
    if (of->next != NULL) of->next->link = of->link;
    memory_free(of);
}

static void on_socket(void *context, ares_socket_t fd, int read, int write) {
    Resolver *resolver = context;
    AresSocket *of = resolver->sockets;
    while (of != NULL && of->source.socket.fd != fd) of = of->next;
    Error err = {0};
    if (!read && !write) {
        if (of != NULL) socket_forget(of);
    } else if (of != NULL) {
        (void)!loop_rewatch(resolver->loop, &of->source, read, write, &err);
    } else {
        of = memory_new(AresSocket);
        of->resolver = resolver;
        of->source = (LoopSource){.socket = {fd}, .ready = socket_ready};
        // Without being watched the query ends by its time.
        if (!loop_watch(resolver->loop, &of->source, read, write, &err)) {
            memory_free(of);
            return;
        }
        of->next = resolver->sockets;
        of->link = &resolver->sockets;
        if (of->next != NULL) of->next->link = &of->next;
        resolver->sockets = of;
    }
}

// ---- Answers ----

typedef ARRAY(ResolveRecord) Records;

static void add_name(Records *records, Arena *arena, const char *name, uint16_t port) {
    Text text = text_from_cstring(name);
    const char *dot = text_ends_with(text, TEXT(".")) ? "" : ".";
    *array_add_on(arena, records) =
        (ResolveRecord){text_format(arena, "%.*s%s", TEXT_ARG(text), dot), port};
}

static void add_address(Records *records, Arena *arena, int family, const void *address) {
    char text[64];
    if (ares_inet_ntop(family, address, text, sizeof text) == NULL) return;
    *array_add_on(arena, records) =
        (ResolveRecord){.target = text_copy(text_from_cstring(text), arena)};
}

static int read_addresses(ResolveType type, const unsigned char *at, int len, Arena *arena,
                          Records *out) {
    if (type == RESOLVE_A) {
        struct ares_addrttl *found =
            arena_push_array(arena, struct ares_addrttl, RESOLVE_RECORDS_MAX);
        int count = RESOLVE_RECORDS_MAX;
        int status = ares_parse_a_reply(at, len, NULL, found, &count);
        for (int i = 0; status == ARES_SUCCESS && i < count; i++)
            add_address(out, arena, AF_INET, &found[i].ipaddr);
        return status;
    }
    struct ares_addr6ttl *found =
        arena_push_array(arena, struct ares_addr6ttl, RESOLVE_RECORDS_MAX);
    int count = RESOLVE_RECORDS_MAX;
    int status = ares_parse_aaaa_reply(at, len, NULL, found, &count);
    for (int i = 0; status == ARES_SUCCESS && i < count; i++)
        add_address(out, arena, AF_INET6, &found[i].ip6addr);
    return status;
}

static int read_services(const unsigned char *at, int len, Arena *arena, Records *out) {
    struct ares_srv_reply *list = NULL;
    int status = ares_parse_srv_reply(at, len, &list);
    for (struct ares_srv_reply *row = list; status == ARES_SUCCESS && row != NULL; row = row->next)
        add_name(out, arena, row->host, row->port);
    ares_free_data(list);
    return status;
}

static int read_exchangers(const unsigned char *at, int len, Arena *arena, Records *out) {
    struct ares_mx_reply *list = NULL;
    int status = ares_parse_mx_reply(at, len, &list);
    for (struct ares_mx_reply *row = list; status == ARES_SUCCESS && row != NULL; row = row->next)
        add_name(out, arena, row->host, 0);
    ares_free_data(list);
    return status;
}

static int read_servers(const unsigned char *at, int len, Arena *arena, Records *out) {
    struct hostent *host = NULL;
    int status = ares_parse_ns_reply(at, len, &host);
    for (char **name = status == ARES_SUCCESS ? host->h_aliases : NULL;
         name != NULL && *name != NULL; name++)
        add_name(out, arena, *name, 0);
    if (host != NULL) ares_free_hostent(host);
    return status;
}

static int read_answer(ResolveType type, const unsigned char *at, int len, Arena *arena,
                       Records *out) {
    switch (type) {
        case RESOLVE_A:
        case RESOLVE_AAAA:
            return read_addresses(type, at, len, arena, out);
        case RESOLVE_SRV:
            return read_services(at, len, arena, out);
        case RESOLVE_MX:
            return read_exchangers(at, len, arena, out);
        case RESOLVE_NS:
            return read_servers(at, len, arena, out);
    }
    unreachable("a type of record without a reader");
}

static ErrorCode code_of(int status) {
    if (status == ARES_ETIMEOUT) return ERROR_TIMEOUT;
    if (status == ARES_EBADNAME) return ERROR_BAD_INPUT;
    if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) return ERROR_CANCELLED;
    return ERROR_NETWORK;
}

static void on_answer(void *context, int status, int timeouts, unsigned char *at, int len) {
    Query *query = context;
    AUTO(arena_free) Arena arena = {0};
    Records records = {0};
    if (status == ARES_SUCCESS) status = read_answer(query->type, at, len, &arena, &records);
    if (status == ARES_SUCCESS || status == ARES_ENOTFOUND || status == ARES_ENODATA) {
        query->done(query->context, records.at, records.count, NULL);
    } else {
        Error err = {0};
        (void)error_set(&err, code_of(status), "DNS: %s", ares_strerror(status));
        query->done(query->context, NULL, 0, &err);
    }
    memory_free(query);
}

void resolve_start(Resolver *resolver, Text name, ResolveType type, ResolveDone done,
                   void *context) {
    Query *query = memory_new(Query);
    *query = (Query){resolver, type, done, context};
    AUTO(arena_free) Arena arena = {0};
    ares_search(resolver->channel, text_to_cstring(name, &arena), ns_c_in, record_types[type],
                on_answer, query);
    arm(resolver);
}

// ---- Addresses of hosts ----

typedef struct AddressQuery {
    ResolveAddressesDone done;
    void *context;
} AddressQuery;

static ErrorCode fault_of(int status, const char **words) {
    // Servers that do not answer at all, and those that do but cannot help, are told apart.
    *words = status == ARES_ETIMEOUT       ? "the name server does not answer"
             : status == ARES_ECONNREFUSED ? "the name server cannot be reached"
             : status == ARES_ESERVFAIL    ? "the name server failed to find out"
                                           : ares_strerror(status);
    return code_of(status);
}

static void on_hosts(void *context, int status, int timeouts, struct ares_addrinfo *found) {
    AddressQuery *query = context;
    AUTO(arena_free) Arena arena = {0};
    ARRAY(ResolveAddress) list = {0};
    for (struct ares_addrinfo_node *node = status == ARES_SUCCESS ? found->nodes : NULL;
         node != NULL && list.count < RESOLVE_RECORDS_MAX; node = node->ai_next) {
        bool six = node->ai_family == AF_INET6;
        const void *address =
            six ? (const void *)&((const struct sockaddr_in6 *)(const void *)node->ai_addr)
                      ->sin6_addr
                : (const void *)&((const struct sockaddr_in *)(const void *)node->ai_addr)
                      ->sin_addr;
        char text[64];
        if (ares_inet_ntop(node->ai_family, address, text, sizeof text) == NULL) continue;
        *array_add_on(&arena, &list) =
            (ResolveAddress){text_copy(text_from_cstring(text), &arena), node->ai_ttl, six};
    }
    if (status == ARES_SUCCESS || status == ARES_ENOTFOUND || status == ARES_ENODATA) {
        query->done(query->context, list.at, list.count, NULL);
    } else {
        const char *words;
        ErrorCode code = fault_of(status, &words);
        Error err = {0};
        (void)error_set(&err, code, "%s", words);
        query->done(query->context, NULL, 0, &err);
    }
    if (found != NULL) ares_freeaddrinfo(found);
    memory_free(query);
}

void resolve_addresses(Resolver *resolver, Text host, ResolveAddressesDone done, void *context) {
    AddressQuery *query = memory_new(AddressQuery);
    *query = (AddressQuery){done, context};
    AUTO(arena_free) Arena arena = {0};
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(resolver->channel, text_to_cstring(host, &arena), NULL, &hints, on_hosts,
                     query);
    arm(resolver);
}

// ---- The resolver ----

bool resolver_open(Loop *loop, Text servers, Resolver **out, Error *err) {
    return resolver_open_within(loop, servers, RESOLVE_TIMEOUT_MS, RESOLVE_TRIES, out, err);
}

bool resolver_open_within(Loop *loop, Text servers, int timeout_ms, int tries, Resolver **out,
                          Error *err) {
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status != ARES_SUCCESS)
        return error_set(err, ERROR_NO_MEMORY, "c-ares cannot begin: %s", ares_strerror(status));
    AUTO(resolver_close) Resolver *resolver = memory_new(Resolver);
    resolver->loop = loop;
    resolver->timer.fire = timer_fire;
    struct ares_options options = {
        .timeout = timeout_ms,
        .tries = tries,
        .sock_state_cb = on_socket,
        .sock_state_cb_data = resolver,
    };
    status = ares_init_options(&resolver->channel, &options,
                               ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
        resolver->channel = NULL;
        return error_set(err, ERROR_NETWORK, "DNS: %s", ares_strerror(status));
    }
    if (servers.len > 0) {
        AUTO(arena_free) Arena arena = {0};
        status = ares_set_servers_ports_csv(resolver->channel, text_to_cstring(servers, &arena));
        if (status != ARES_SUCCESS)
            return error_set(err, ERROR_BAD_INPUT, "DNS servers \"%.*s\": %s", TEXT_ARG(servers),
                             ares_strerror(status));
    }
    *out = TAKE(resolver);
    return true;
}

void resolver_close(Resolver **handle) {
    if (*handle == NULL) return;
    Resolver *resolver = TAKE(*handle);
    if (resolver->channel != NULL) ares_destroy(resolver->channel);
    while (resolver->sockets != NULL) socket_forget(resolver->sockets);
    loop_disarm(resolver->loop, &resolver->timer);
    memory_free(resolver);
    ares_library_cleanup();
}
