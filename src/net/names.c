// A hash table of names, a queue of those to be asked for, and at most two resolvers: the one in
// use, and its predecessor until what it was asked is answered.

#include "net/names.h"

#include <ares.h>
#include <arpa/inet.h>

#include "base/limits.h"
#include "net/resolve.h"
#include "os/random.h"

enum {
    TTL_MIN_S = 5,
    TTL_MAX_S = 60,
    UNKNOWN_MS = 1000,
    STALE_MS = 30000,  // how long old addresses go on before the silent server is asked again
    RENEW_MS = 30000,  // so often the resolver's configuration is read again
    ASK_TIMEOUT_MS = 2000,
    ASK_TRIES = 2,  // 2 + 4 s: within the usual time of a scrape
    BUCKETS = 4096,
};

typedef struct Asker {
    Resolver *resolver;
    size_t under_way;
} Asker;

typedef enum NameState { NAME_AT_REST, NAME_QUEUED, NAME_ASKED } NameState;

typedef struct Name Name;
struct Name {
    Names *names;
    Name *next;   // of the bucket
    Name *after;  // of the queue
    NameState state;
    int64_t until_ms;  // 0: never asked
    Asker *asker;
    Builder addresses;  // empty: none known
    Error failure;
    NameWait *waits;
    size_t len;
    char text[];
};

struct Names {
    Loop *loop;
    HashKey hash_key;
    char *servers;
    Asker askers[2];
    Asker *now, *old;
    WheelTimer renewal;
    Name *buckets[BUCKETS];
    size_t count, under_way;
    Name *queue, **queue_end;
    bool pumping;
    int64_t lookups;
};

bool name_is_address(Text host) {
    if (text_starts_with(host, TEXT("["))) return true;
    char text[64];
    unsigned char room[16];
    if (host.len >= sizeof text) return false;
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET, text, room) == 1 || inet_pton(AF_INET6, text, room) == 1;
}

// ---- Resolvers ----

static bool asker_begin(Names *names, Asker *asker, Error *err) {
    asker->under_way = 0;
    return resolver_open_within(names->loop, text_from_cstring(names->servers), ASK_TIMEOUT_MS,
                                ASK_TRIES, &asker->resolver, err);
}

// A resolver knows the configuration of its beginning; a new one is the way to hear of changes.
static void renewal_fire(WheelTimer *timer) {
    Names *names = (Names *)(void *)((char *)timer - offsetof(Names, renewal));
    if (names->old != NULL && names->old->under_way == 0) {
        resolver_close(&names->old->resolver);
        names->old = NULL;
    }
    if (names->old != NULL) {
        loop_arm(names->loop, timer, loop_now_ms(names->loop) + UNKNOWN_MS);
        return;
    }
    Asker *other = names->now == &names->askers[0] ? &names->askers[1] : &names->askers[0];
    Error err;
    // Without a new one the present one goes on.
    if (!asker_begin(names, other, &err)) return;
    names->old = names->now;
    names->now = other;
}

// ---- Asking ----

static void wake_all(Name *name) {
    const Error *err = name->addresses.len > 0 ? NULL : &name->failure;
    while (name->waits != NULL) {
        NameWait *wait = name->waits;
        name_wait_leave(wait);
        wait->done(wait, builder_text(&name->addresses), err);
    }
}

static void pump(Names *names);

static void on_addresses(void *context, const ResolveAddress *found, size_t count,
                         const Error *err) {
    Name *name = context;
    Names *names = name->names;
    int64_t now_ms = loop_now_ms(names->loop);
    name->state = NAME_AT_REST;
    name->asker->under_way--;
    names->under_way--;
    if (count > 0) {
        int64_t ttl_s = TTL_MAX_S;
        builder_clear(&name->addresses);
        for (size_t i = 0; i < count; i++) {
            builder_addf(&name->addresses, found[i].six ? "%s[%.*s]" : "%s%.*s", i > 0 ? "," : "",
                         TEXT_ARG(found[i].text));
            ttl_s = MIN(ttl_s, found[i].ttl_s);
        }
        name->until_ms = now_ms + MAX(ttl_s, (int64_t)TTL_MIN_S) * 1000;
    } else if (err != NULL && name->addresses.len > 0) {
        name->until_ms = now_ms + STALE_MS;
    } else {
        builder_clear(&name->addresses);
        name->until_ms = now_ms + UNKNOWN_MS;
        (void)error_set(&name->failure, err != NULL ? err->code : ERROR_NETWORK,
                        "cannot resolve %.*s: %s", (int)name->len, name->text,
                        err != NULL ? err->message : "no such host");
    }
    wake_all(name);
    pump(names);
}

// Asks for what is queued. An answer may come from inside (/etc/hosts): it does not come here anew.
static void pump(Names *names) {
    if (names->pumping) return;
    names->pumping = true;
    while (names->queue != NULL && (int64_t)names->under_way < LIMIT_NAME_LOOKUPS) {
        Name *name = names->queue;
        names->queue = name->after;
        if (names->queue == NULL) names->queue_end = &names->queue;
        name->state = NAME_AT_REST;
        if (name->waits == NULL) continue;  // whoever wanted to know has gone
        if (!wheel_is_armed(&names->renewal))
            loop_arm(names->loop, &names->renewal, loop_now_ms(names->loop) + RENEW_MS);
        name->state = NAME_ASKED;
        name->asker = names->now;
        name->asker->under_way++;
        names->under_way++;
        names->lookups++;
        resolve_addresses(name->asker->resolver, (Text){name->text, name->len}, on_addresses, name);
    }
    names->pumping = false;
}

// ---- The table ----

static void name_free(Name *name) {
    builder_free(&name->addresses);
    memory_free(name);
}

// Makes room: forgets what is past its time, or, with `all`, whatever nobody waits for.
static void forget(Names *names, bool all) {
    int64_t now_ms = loop_now_ms(names->loop);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (Name **link = &names->buckets[i]; *link != NULL;) {
            Name *name = *link;
            bool idle = name->state == NAME_AT_REST && name->waits == NULL;
            if (!idle || (!all && name->until_ms > now_ms)) {
                link = &name->next;
                continue;
            }
            *link = name->next;
            names->count--;
            name_free(name);
        }
    }
}

static Name *name_get(Names *names, Text text) {
    size_t at = hash_keyed(names->hash_key, text_bytes(text)) % BUCKETS;
    for (Name *name = names->buckets[at]; name != NULL; name = name->next)
        if (text_equal((Text){name->text, name->len}, text)) return name;
    if ((int64_t)names->count >= LIMIT_NAMES) forget(names, false);
    if ((int64_t)names->count >= LIMIT_NAMES) forget(names, true);
    if ((int64_t)names->count >= LIMIT_NAMES) return NULL;
    Name *name = memory_take_zeroed(sizeof *name + text.len);
    name->names = names;
    name->len = text.len;
    memcpy(name->text, text.at, text.len);
    name->next = names->buckets[at];
    names->buckets[at] = name;
    names->count++;
    return name;
}

NameKnown names_find(Names *names, Text text, NameWait *wait, Text *addresses, Error *err) {
    Name *name = name_get(names, text);
    if (name == NULL) {
        (void)error_set(err, ERROR_BUSY, "cannot resolve %.*s: more names wait than NAMES (%lld)",
                        TEXT_ARG(text), (long long)LIMIT_NAMES);
        return NAME_UNKNOWN;
    }
    if (name->state == NAME_AT_REST && name->until_ms <= loop_now_ms(names->loop)) {
        name->state = NAME_QUEUED;
        name->after = NULL;
        *names->queue_end = name;
        names->queue_end = &name->after;
    }
    if (name->state != NAME_AT_REST) {
        wait->next = name->waits;
        wait->link = &name->waits;
        if (wait->next != NULL) wait->next->link = &wait->next;
        name->waits = wait;
        pump(names);  // only now: what nobody waits for is not asked
        return NAME_LATER;
    }
    if (name->addresses.len == 0) {
        *err = name->failure;
        return NAME_UNKNOWN;
    }
    *addresses = builder_text(&name->addresses);
    return NAME_KNOWN;
}

void name_wait_leave(NameWait *wait) {
    if (wait->link == NULL) return;
    *wait->link = wait->next;
    if (wait->next != NULL) wait->next->link = wait->link;
    wait->next = NULL;
    wait->link = NULL;
}

int64_t names_lookups(const Names *names) {
    return names->lookups;
}

bool names_open(Loop *loop, Text servers, Names **out, Error *err) {
    AUTO(names_close) Names *names = memory_new(Names);
    names->loop = loop;
    names->renewal.fire = renewal_fire;
    names->queue_end = &names->queue;
    names->servers = memory_take_zeroed(servers.len + 1);
    if (servers.len > 0) memcpy(names->servers, servers.at, servers.len);
    names->now = &names->askers[0];
    TRY(random_hash_key(&names->hash_key, err));
    TRY(asker_begin(names, names->now, err));
    *out = TAKE(names);
    return true;
}

void names_close(Names **handle) {
    if (*handle == NULL) return;
    Names *names = TAKE(*handle);
    names->pumping = true;  // the answers that come now ask no more
    loop_disarm(names->loop, &names->renewal);
    for (size_t i = 0; i < COUNT(names->askers); i++) resolver_close(&names->askers[i].resolver);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (Name *name = names->buckets[i], *next; name != NULL; name = next) {
            next = name->next;
            name_free(name);
        }
    }
    memory_free(names->servers);
    memory_free(names);
}
