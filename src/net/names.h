// The addresses of hosts by name, remembered for a while: one lookup under way per name.
//
// Asks as getaddrinfo does (/etc/hosts, search domains, ndots) but on the loop, without threads.
// An answer holds for its time to live, 5 to 60 s; "no such host" and a silent name server for 1 s.
// While the name server does not answer, the last known addresses go on. At most NAMES are kept and
// NAME_LOOKUPS under way, later ones queue. /etc/resolv.conf is read again every half minute. One
// loop; all calls on its thread.
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "net/loop.h"

typedef struct Names Names;

// Embedded in whoever waits. `done` is called once: `err` NULL and the addresses, or why there are
// none. It must not call out to users: it may run inside names_find.
typedef struct NameWait NameWait;
struct NameWait {
    void (*done)(NameWait *wait, Text addresses, const Error *err);
    NameWait *next;
    NameWait **link;  // NULL: does not wait
};

typedef enum NameKnown { NAME_KNOWN, NAME_UNKNOWN, NAME_LATER } NameKnown;

// `servers`: "127.0.0.1:5353,…" instead of those of /etc/resolv.conf; empty: those.
must_use bool names_open(Loop *loop, Text servers, Names **out, Error *err);
// Nobody may wait any more.
void names_close(Names **names);

// KNOWN: `*addresses` is "10.0.0.1,[fd00::1]", held until the next call. UNKNOWN: `err` says why.
// LATER: `wait` hangs in and hears of it.
NameKnown names_find(Names *names, Text name, NameWait *wait, Text *addresses, Error *err);
void name_wait_leave(NameWait *wait);

bool name_is_address(Text host);
int64_t names_lookups(const Names *names);  // begun so far
