// An HTTP server for tests, on a real loopback port, and what its handler saw. One at a time.
//
// "/" and all else: 200 with "METHOD:body", X-Query and X-Evil. "/deny": 401 by the head alone.
// "/small": a body of at most ten bytes. "/big": 4 MiB, charged to `budget`. "/wait": held until
// the test answers it. "?open": open to all, so that who asks stays a stranger.
#pragma once

#include <stdatomic.h>

#include "base/test.h"
#include "net/http.h"
#include "os/thread.h"

// What the test's handler knows; `held` are the exchanges of /wait, answered by the test's own
// thread.
typedef struct World {
    HttpServer *server;
    Address address;
    Mutex lock;
    HttpExchange *held[64];
    int held_count;
    _Atomic int heads, requests, gone, dropped, users_freed;
    Budget budget;  // of the bodies of /big
} World;

void world_open(Test *t, World *world, int loops, void (*adjust)(HttpLimits *limits));
void world_close(World *world);

// The exchange of a /wait, which is answered with `answer`; NULL when none comes in three seconds.
HttpExchange *take_held(World *world);
void answer(HttpExchange *exchange, int status, Text text);

// Preface, SETTINGS, then a GET as HEADERS: method, path, scheme and authority as HPACK literals.
#define HTTP2_BEGIN "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
#define HTTP2_GET   "\0\0\6\1\5\0\0\0\1\x82\x84\x86\x41\1h"
#define HTTP2_WAIT  "\0\0\xc\1\5\0\0\0\3\x82\4\5/wait\x86\x41\1h"
