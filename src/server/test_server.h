// A whole server for tests: a store in a folder of its own, a real loopback port, and a client. One
// test at a time.
#pragma once

#include "base/test.h"
#include "net/http_client.h"
#include "os/socket.h"
#include "server/server.h"

enum { TEST_NEW_PER_S = 100000 };  // the new series a second that a tenant may bring

typedef struct TestServer {
    Text folder;
    Store *store;
    Otlp *otlp;
    Repeats *repeats;
    Access *access;
    Server *server;
    IngestSender *replayer;
    Address address;
    uint16_t port;
    int reloads;
    bool reload_fails;
} TestServer;

typedef struct TestServerOptions {
    LogDurability durability;
    bool not_replayed;                // as while the log is still being read
    const _Atomic bool *all_started;  // as in ServerOptions
    Disk *disk;                       // NULL: the real one
    Clock *store_clock;               // NULL: the system's
    ServerQuerySettings query;
    OtlpOptions otlp;
    UiFiles ui;
    Text ui_folder;
} TestServerOptions;

// A folder that is not there yet, for what a test writes itself; and taking one away with all that
// is in it.
Text test_folder_name(Test *t);
void test_folder_remove(Test *t, Text folder);

void test_server_begin(Test *t, TestServer *world, TestServerOptions options);
void test_server_end(Test *t, TestServer *world);
// With nothing special about it.
void test_server_plain(Test *t, TestServer *world);
// Ends server and store and begins them again over the same folder.
void test_server_again(Test *t, TestServer *world);

// Makes a key and puts it in force.
Text test_server_key(Test *t, TestServer *world, Text tenant, Permissions permissions);

// One request. `key` and `tenant` may be empty. `form` is a body of
// application/x-www-form-urlencoded.
HttpClientAnswer test_get(Test *t, const TestServer *world, const char *target);
HttpClientAnswer test_post_form(Test *t, const TestServer *world, const char *target, Text form);
HttpClientAnswer test_as(Test *t, const TestServer *world, Text method, Text target, Text key,
                         Text tenant);
HttpClientAnswer test_send(Test *t, const TestServer *world, Text method, Text target,
                           const HttpHeader *headers, size_t header_count, Text body);

// Writes rows "name{a="b",c="d"} value" of one time through /api/v1/write.
HttpClientAnswer test_write_bytes(Test *t, const TestServer *world, Text key, Text tenant,
                                  Text encoding, Bytes body);
void test_write(Test *t, const TestServer *world, Text key, Text tenant, WriteBody *body);
void test_row(Test *t, WriteBody *body, Text name, Text label, Text value, int64_t time_ms,
              double number);

// A time well in the past, so that answers are the same every day.
#define T0_MS INT64_C(1760000000000)
// Series many{number="0"} to many{number="count - 1"}, so many points each, 15 s apart; value: the
// number.
void test_write_many(Test *t, const TestServer *world, Text key, int count, int points);
// A query that takes its time over two thousand series: eleven thousand steps, ten times.
#define TEST_SLOW_SUM "sum(last_over_time(many[4h]))"
#define TEST_SLOW                                                                     \
    "/api/v1/query_range?start=1760000000&end=1760011000&step=1&query=" TEST_SLOW_SUM \
    "%2B" TEST_SLOW_SUM "%2B" TEST_SLOW_SUM "%2B" TEST_SLOW_SUM "%2B" TEST_SLOW_SUM   \
    "%2B" TEST_SLOW_SUM "%2B" TEST_SLOW_SUM "%2B" TEST_SLOW_SUM "%2B" TEST_SLOW_SUM   \
    "%2B" TEST_SLOW_SUM
enum { TEST_SLOW_SERIES = 2000 };
// A GET on a socket of its own, sent but not waited for. `key` may be empty.
Socket test_begin_get(Test *t, const TestServer *world, const char *target, Text key);

// Two series of `up` and one of `jobs_total`, three points each, 15 s apart.
void test_write_some(Test *t, TestServer *world, Text key, Text tenant);
// What is answered then: every target with the data of its answer.
typedef struct TestAnswer {
    const char *target;
    const char *data;
} TestAnswer;
extern const TestAnswer test_answers[];
extern const size_t test_answer_count;
void test_check_answers(Test *t, TestServer *world);
Bytes test_packed(Test *t, Bytes plain, Compression compression);

Text test_header(HttpClientAnswer answer, Text name);
// Status and whole body.
#define check_answer(t, stated_status, stated_body, answer)                                  \
    do {                                                                                     \
        HttpClientAnswer answer_ = (answer);                                                 \
        if (answer_.status != (stated_status)) {                                             \
            check_failed((t), __FILE__, __LINE__, "status %d, not %d: %.*s", answer_.status, \
                         (stated_status), TEXT_ARG(answer_.body));                           \
        }                                                                                    \
        check_text((t), (stated_body), answer_.body);                                        \
    } while (0)
#define check_status(t, stated_status, answer)                                               \
    do {                                                                                     \
        HttpClientAnswer answer_ = (answer);                                                 \
        if (answer_.status != (stated_status)) {                                             \
            check_failed((t), __FILE__, __LINE__, "status %d, not %d: %.*s", answer_.status, \
                         (stated_status), TEXT_ARG(answer_.body));                           \
        }                                                                                    \
    } while (0)
