// Every way of finding targets, against files that change, a web server and a name server of our
// own: what is found, what a failure leaves in place, what stopping leaves behind.

#include "ingest/scrape/discovery.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/array.h"
#include "base/test.h"
#include "net/http.h"
#include "os/thread.h"

enum { PATIENCE_MS = 8000 };

typedef struct World {
    Loop *loop;
    Thread *thread;
    FetchClient *fetches;
    Resolver *resolver;
    DiscoveryWorld world;
    Discovery *discovery;
    Mutex lock;
    Condition wake;
    Builder found;  // the newest delivery as text
    int deliveries, failures;
    Error last_failure;
    Error err;
    // A name server that knows example.test.
    int dns;
    uint16_t dns_port;
    Thread *dns_thread;
    _Atomic bool stopping, dns_fails;
    HttpServer *server;
    uint16_t port;
    Text page;
    int status;
    Text folder;
} World;

static void run_loop(void *context) {
    World *world = context;
    (void)!loop_run(world->loop, &world->err);
}

// ---- A name server: a few bytes of RFC 1035 ----

static size_t put_name(uint8_t *at, const char *dotted) {
    size_t len = 0;
    while (*dotted != '\0') {
        const char *dot = strchr(dotted, '.');
        size_t part = dot == NULL ? strlen(dotted) : (size_t)(dot - dotted);
        at[len++] = (uint8_t)part;
        memcpy(at + len, dotted, part);
        len += part;
        dotted += part + (dot != NULL);
    }
    at[len++] = 0;
    return len;
}

static size_t put_record(uint8_t *at, uint16_t type, const uint8_t *data, size_t len) {
    const uint8_t head[] = {0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 30, 0, (uint8_t)len};
    memcpy(at, head, sizeof head);
    memcpy(at + sizeof head, data, len);
    return sizeof head + len;
}

static size_t answer_dns(World *world, uint8_t *message, size_t len) {
    size_t question = 12;
    while (question < len && message[question] != 0) question += (size_t)message[question] + 1;
    uint16_t type = (uint16_t)(message[question + 1] << 8 | message[question + 2]);
    bool known = memcmp(message + 12, "\7example\4test", 13) == 0;
    message[2] = 0x84;
    message[3] = world->dns_fails ? 2 : known ? 0 : 3;  // SERVFAIL, fine, NXDOMAIN
    message[7] = 0;
    message[11] = 0;
    size_t at = question + 5;
    if (message[3] != 0) return at;
    uint8_t data[64];
    if (type == 1) {
        at += put_record(message + at, type, (const uint8_t *)"\x0a\0\0\1", 4);
        at += put_record(message + at, type, (const uint8_t *)"\x0a\0\0\2", 4);
        message[7] = 2;
    } else if (type == 28) {
        memcpy(data, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
        at += put_record(message + at, type, data, 16);
        message[7] = 1;
    } else if (type == 33) {
        memcpy(data, "\0\1\0\1\x23\x8c", 6);  // port 9100
        at += put_record(message + at, type, data, 6 + put_name(data + 6, "web.example.test"));
        message[7] = 1;
    } else if (type == 15) {
        memcpy(data, "\0\1", 2);
        at += put_record(message + at, type, data, 2 + put_name(data + 2, "mail.example.test"));
        message[7] = 1;
    } else if (type == 2) {
        at += put_record(message + at, type, data, put_name(data, "ns.example.test"));
        message[7] = 1;
    }
    return at;
}

static void run_dns(void *context) {
    World *world = context;
    while (!atomic_load(&world->stopping)) {
        uint8_t message[512];
        struct sockaddr_in from;
        socklen_t from_len = sizeof from;
        ssize_t got = recvfrom(world->dns, message, 256, 0, (struct sockaddr *)&from, &from_len);
        if (got < 17) continue;
        size_t len = answer_dns(world, message, (size_t)got);
        (void)!sendto(world->dns, message, len, 0, (struct sockaddr *)&from, from_len);
    }
}

static void dns_open(Test *t, World *world) {
    world->dns = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_usec = 50000};
    check(t, setsockopt(world->dns, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof own;
    check(t, bind(world->dns, (struct sockaddr *)&own, len) == 0);
    check(t, getsockname(world->dns, (struct sockaddr *)&own, &len) == 0);
    world->dns_port = ntohs(own.sin_port);
    check_ok(t, thread_start("dns", run_dns, world, &world->dns_thread, t->err));
}

// ---- The world ----

static void serve(void *context, HttpExchange *exchange) {
    World *world = context;
    mutex_take(&world->lock);
    HttpHeader header = {TEXT("Content-Type"), TEXT("application/json; charset=utf-8")};
    HttpResponse response = {.status = world->status, .headers = &header, .header_count = 1};
    Text authorization = http_header(exchange, TEXT("authorization"));
    if (text_equal(exchange->head.path, TEXT("/token"))) {
        bool asked =
            text_find(bytes_text(exchange->body), TEXT("grant_type=client_credentials")) >= 0;
        builder_add(&response.body,
                    asked ? TEXT("{\"access_token\":\"t0ken\",\"expires_in\":3600}") : TEXT("{}"));
    } else if (text_equal(exchange->head.path, TEXT("/guarded")) &&
               !text_equal(authorization, TEXT("Bearer t0ken"))) {
        response.status = 401;
    } else {
        builder_add(&response.body, world->page);
    }
    mutex_give(&world->lock);
    http_respond(exchange, &response);
}

static void world_open(Test *t, World *world) {
    *world = (World){.page = TEXT("[]"), .status = 200};
    mutex_begin(&world->lock, LOCK_WORKER_QUEUE);
    condition_begin(&world->wake);
    char folder[] = "/tmp/traceo-discovery-XXXXXX";
    check(t, mkdtemp(folder) != NULL);
    world->folder = text_copy(text_from_cstring(folder), t->arena);
    dns_open(t, world);
    Address any;
    check_ok(t, address_parse(TEXT("127.0.0.1:0"), t->arena, &any, t->err));
    HttpServerOptions options = {.clock = clock_system(),
                                 .addresses = &any,
                                 .address_count = 1,
                                 .loop_count = 1,
                                 .limits = http_limits_default(),
                                 .handler = {.context = world, .on_request = serve}};
    check_ok(t, http_server_start(&options, &world->server, t->err));
    world->port = http_server_port(world->server, 0);
    check_ok(t, loop_open(clock_system(), &world->loop, t->err));
    check_ok(t, fetch_client_open(world->loop, 8, &world->fetches, t->err));
    Text servers = text_format(t->arena, "127.0.0.1:%u", world->dns_port);
    check_ok(t, resolver_open(world->loop, servers, &world->resolver, t->err));
    world->world = (DiscoveryWorld){world->loop, disk_real(), world->fetches, world->resolver,
                                    TEXT("Traceo/test")};
}

static void stop_on_loop(void *context) {
    World *world = context;
    discovery_stop(&world->discovery);
    loop_stop(world->loop);
}

static void world_close(Test *t, World *world) {
    if (world->thread != NULL) loop_post(world->loop, stop_on_loop, world);
    thread_join(&world->thread);
    resolver_close(&world->resolver);
    fetch_client_close(&world->fetches);
    loop_close(&world->loop);
    atomic_store(&world->stopping, true);
    thread_join(&world->dns_thread);
    (void)close(world->dns);
    http_server_stop(world->server, 100);
    http_server_free(&world->server);
    builder_free(&world->found);
    condition_end(&world->wake);
    mutex_end(&world->lock);
    DiskEntries entries;
    check_ok(t, disk_real()->list(disk_real(), world->folder, t->arena, &entries, t->err));
    for (size_t i = 0; i < entries.count; i++) {
        Text path = text_format(t->arena, "%.*s/%.*s", TEXT_ARG(world->folder),
                                TEXT_ARG(entries.at[i].name));
        check_ok(t, disk_real()->remove(disk_real(), path, t->err));
    }
    check_ok(t, disk_real()->remove_folder(disk_real(), world->folder, t->err));
}

static void on_found(void *context, const TargetGroups *groups, const Error *err) {
    World *world = context;
    mutex_take(&world->lock);
    if (groups == NULL) {
        world->failures++;
        world->last_failure = *err;
    } else {
        world->deliveries++;
        builder_clear(&world->found);
        for (size_t i = 0; i < groups->count; i++) {
            for (size_t k = 0; k < groups->at[i].targets.count; k++) {
                builder_addf(&world->found, "%.*s", TEXT_ARG(groups->at[i].targets.at[k]));
                for (size_t n = 0; n < groups->at[i].labels.count; n++)
                    builder_addf(&world->found, " %.*s=%.*s",
                                 TEXT_ARG(groups->at[i].labels.at[n].name),
                                 TEXT_ARG(groups->at[i].labels.at[n].value));
                builder_add_char(&world->found, '\n');
            }
        }
    }
    condition_wake_all(&world->wake);
    mutex_give(&world->lock);
}

static void run(Test *t, World *world) {
    check_ok(t, thread_start("loop", run_loop, world, &world->thread, t->err));
}

// Waits until this is what was found last.
static void check_found(Test *t, World *world, Text stated) {
    int64_t end_ns = clock_system()->monotonic_ns(clock_system()) + PATIENCE_MS * INT64_C(1000000);
    mutex_take(&world->lock);
    while ((world->deliveries == 0 || !text_equal(stated, builder_text(&world->found))) &&
           clock_system()->monotonic_ns(clock_system()) < end_ns)
        (void)condition_wait_ms(&world->wake, &world->lock, 100);
    Text actual = text_copy(builder_text(&world->found), t->arena);
    mutex_give(&world->lock);
    check_text(t, stated, actual);
}

static void check_failure(Test *t, World *world, int at_least, const char *words) {
    int64_t end_ns = clock_system()->monotonic_ns(clock_system()) + PATIENCE_MS * INT64_C(1000000);
    mutex_take(&world->lock);
    while (world->failures < at_least && clock_system()->monotonic_ns(clock_system()) < end_ns)
        (void)condition_wait_ms(&world->wake, &world->lock, 100);
    Error last = world->last_failure;
    mutex_give(&world->lock);
    if (strstr(last.message, words) == NULL)
        check_failed(t, __FILE__, __LINE__, "\"%s\" does not say \"%s\"", last.message, words);
}

static void put_file(Test *t, World *world, const char *name, const char *content) {
    check_ok(t, disk_replace(disk_real(), world->folder, text_from_cstring(name),
                             text_bytes(text_from_cstring(content)), t->err));
}

static void say(World *world, int status, Text page) {
    mutex_take(&world->lock);
    world->status = status;
    world->page = page;
    mutex_give(&world->lock);
}

// ---- Files ----

TEST(files_are_followed_and_a_broken_one_keeps_its_targets) {
    World world;
    world_open(t, &world);
    put_file(t, &world, "a.json", "[{\"targets\":[\"x:1\"],\"labels\":{\"env\":\"e\"}}]");
    put_file(t, &world, "b.yml", "- targets: ['y:1', 'y:2']\n");
    put_file(t, &world, "ignored.txt", "no targets");
    Text globs[] = {text_format(t->arena, "%.*s/*.json", TEXT_ARG(world.folder)),
                    text_format(t->arena, "%.*s/b.yml", TEXT_ARG(world.folder))};
    FileDiscovery config = {.files = {globs, 2}, .refresh_ms = 50};
    world.discovery = discovery_file_start(&world.world, &config, on_found, &world);
    run(t, &world);
    Text a =
        text_format(t->arena, "x:1 env=e __meta_filepath=%.*s/a.json\n", TEXT_ARG(world.folder));
    Text b =
        text_format(t->arena, "y:1 __meta_filepath=%.*s/b.yml\ny:2 __meta_filepath=%.*s/b.yml\n",
                    TEXT_ARG(world.folder), TEXT_ARG(world.folder));
    Text both = text_format(t->arena, "%.*s%.*s", TEXT_ARG(a), TEXT_ARG(b));
    check_found(t, &world, both);
    put_file(t, &world, "b.yml", "- targets: ['y:1', \n");
    check_failure(t, &world, 1, "b.yml:");
    check_found(t, &world, both);
    put_file(t, &world, "b.yml", "- targets: ['z:9']\n");
    Text z = text_format(t->arena, "%.*sz:9 __meta_filepath=%.*s/b.yml\n", TEXT_ARG(a),
                         TEXT_ARG(world.folder));
    check_found(t, &world, z);
    check_ok(
        t, disk_real()->remove(
               disk_real(), text_format(t->arena, "%.*s/a.json", TEXT_ARG(world.folder)), t->err));
    check_found(t, &world, text_slice(z, a.len, z.len));
    world_close(t, &world);
}

// ---- HTTP ----

TEST(a_web_server_is_asked_again_and_its_failures_keep_the_targets) {
    World world;
    world_open(t, &world);
    world.page = TEXT("[{\"targets\":[\"x:1\"]}]");
    HttpDiscovery config = {.url = text_format(t->arena, "http://127.0.0.1:%u/sd", world.port),
                            .refresh_ms = 100};
    world.discovery = discovery_http_start(&world.world, &config, on_found, &world);
    run(t, &world);
    Text one = text_format(t->arena, "x:1 __meta_url=%.*s\n", TEXT_ARG(config.url));
    check_found(t, &world, one);
    say(&world, 500, TEXT("[]"));
    check_failure(t, &world, 1, "server returned HTTP status 500");
    say(&world, 200, TEXT("[{\"targets\""));
    mutex_take(&world.lock);
    int before = world.failures;
    mutex_give(&world.lock);
    check_failure(t, &world, before + 2, "/sd");
    check_found(t, &world, one);
    say(&world, 200, TEXT("[]"));
    check_found(t, &world, TEXT(""));
    world_close(t, &world);
}

TEST(a_token_is_asked_for_and_sent) {
    World world;
    world_open(t, &world);
    world.page = TEXT("[{\"targets\":[\"x:1\"]}]");
    Oauth2Config oauth = {
        .client_id = TEXT("me"),
        .client_secret = {.text = TEXT("secret")},
        .token_url = text_format(t->arena, "http://127.0.0.1:%u/token", world.port)};
    HttpDiscovery config = {.url = text_format(t->arena, "http://127.0.0.1:%u/guarded", world.port),
                            .refresh_ms = 100,
                            .client = {.oauth2 = &oauth}};
    world.discovery = discovery_http_start(&world.world, &config, on_found, &world);
    run(t, &world);
    check_found(t, &world, text_format(t->arena, "x:1 __meta_url=%.*s\n", TEXT_ARG(config.url)));
    world_close(t, &world);
}

// ---- DNS ----

static void check_dns(Test *t, DnsType type, const char *name, const char *stated) {
    World world;
    world_open(t, &world);
    Text names[] = {text_from_cstring(name)};
    DnsDiscovery config = {.names = {names, 1}, .refresh_ms = 50, .type = type, .port = 80};
    world.discovery = discovery_dns_start(&world.world, &config, on_found, &world);
    run(t, &world);
    check_found(t, &world, text_from_cstring(stated));
    atomic_store(&world.dns_fails, true);
    check_failure(t, &world, 1, "looking up \"");
    check_found(t, &world, text_from_cstring(stated));
    world_close(t, &world);
}

TEST(records_of_every_kind_are_targets) {
    check_dns(
        t, DNS_A, "example.test",
        "10.0.0.1:80 __meta_dns_name=example.test\n10.0.0.2:80 __meta_dns_name=example.test\n");
    check_dns(t, DNS_AAAA, "example.test", "[fd00::1]:80 __meta_dns_name=example.test\n");
    check_dns(t, DNS_SRV, "example.test",
              "web.example.test:9100 __meta_dns_name=example.test "
              "__meta_dns_srv_record_target=web.example.test. __meta_dns_srv_record_port=9100\n");
    check_dns(t, DNS_MX, "example.test",
              "mail.example.test:80 __meta_dns_name=example.test "
              "__meta_dns_mx_record_target=mail.example.test.\n");
    check_dns(t, DNS_NS, "example.test",
              "ns.example.test:80 __meta_dns_name=example.test "
              "__meta_dns_ns_record_target=ns.example.test.\n");
    check_dns(t, DNS_A, "nobody.test", "");
}

TEST_MAIN("scrape/discovery", CASE(files_are_followed_and_a_broken_one_keeps_its_targets),
          CASE(a_web_server_is_asked_again_and_its_failures_keep_the_targets),
          CASE(a_token_is_asked_for_and_sent), CASE(records_of_every_kind_are_targets))
