// Asking DNS for records of a name, on a loop. c-ares does the protocol, the loop does the waiting.
//
// Servers, search domains and tries are those of /etc/resolv.conf, read when the resolver is
// opened. Answers come whole (TCP when UDP is too short). One resolver belongs to one loop; all
// calls on its thread.
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "net/loop.h"

typedef enum ResolveType {
    RESOLVE_A,
    RESOLVE_AAAA,
    RESOLVE_SRV,
    RESOLVE_MX,
    RESOLVE_NS
} ResolveType;

typedef struct ResolveRecord {
    Text target;    // an address (A, AAAA), else a name that ends in '.'
    uint16_t port;  // of SRV
} ResolveRecord;

// Exactly once per query, on the loop, perhaps from inside resolve_start. `err` NULL: `records` are
// all there are, in the order of the answer; a name that does not exist has none. Else BAD_INPUT,
// NETWORK or TIMEOUT. Views hold during the call.
typedef void (*ResolveDone)(void *context, const ResolveRecord *records, size_t count,
                            const Error *err);

typedef struct Resolver Resolver;

// `servers`: "127.0.0.1:5353,…" instead of those of /etc/resolv.conf; empty: those.
must_use bool resolver_open(Loop *loop, Text servers, Resolver **out, Error *err);
// The same with other patience: the first wait for a server, twice as long at each later try.
must_use bool resolver_open_within(Loop *loop, Text servers, int timeout_ms, int tries,
                                   Resolver **out, Error *err);
// What is under way ends with CANCELLED, inside this call.
void resolver_close(Resolver **resolver);

void resolve_start(Resolver *resolver, Text name, ResolveType type, ResolveDone done,
                   void *context);

typedef struct ResolveAddress {
    Text text;
    int64_t ttl_s;
    bool six;  // of IPv6
} ResolveAddress;

// As ResolveDone. `err` is about the name servers only and names no host: a host that does not
// exist or has no address has none.
typedef void (*ResolveAddressesDone)(void *context, const ResolveAddress *found, size_t count,
                                     const Error *err);

// As getaddrinfo: /etc/hosts first, then DNS; the better addresses first (RFC 6724).
void resolve_addresses(Resolver *resolver, Text host, ResolveAddressesDone done, void *context);
