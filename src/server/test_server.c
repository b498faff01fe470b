// Building and taking down the server of the tests.

#include "server/test_server.h"

#include "net/test_peer.h"
#include "os/process.h"
#include "os/random.h"

// ---- Files ----

void test_folder_remove(Test *t, Text folder) {
    Disk *disk = disk_real();
    DiskEntries entries;
    check_ok(t, disk->list(disk, folder, t->arena, &entries, t->err));
    for (size_t i = 0; i < entries.count; i++) {
        Text path =
            text_format(t->arena, "%.*s/%.*s", TEXT_ARG(folder), TEXT_ARG(entries.at[i].name));
        if (entries.at[i].is_folder) {
            test_folder_remove(t, path);
        } else {
            check_ok(t, disk->remove(disk, path, t->err));
        }
    }
    check_ok(t, disk->remove_folder(disk, folder, t->err));
}

// ---- The server ----

static void settings_print(void *context, Builder *out) {
    (void)context;
    builder_add(out, TEXT("listen: 127.0.0.1:0\n"));
}

static bool settings_at(void *context, size_t index, Arena *arena, ServerSetting *out) {
    (void)context;
    *out = (ServerSetting){
        .key = TEXT("listen"),
        .value = text_copy(TEXT("127.0.0.1:0"), arena),
        .standard = TEXT("127.0.0.1:4310"),
        .from = TEXT("traceo.yaml:3"),
        .kind = TEXT("text"),
        .unit = TEXT("ADDR:PORT"),
        .help = TEXT("Where to listen."),
    };
    return index == 0;
}

static bool settings_reload(void *context, Error *err) {
    TestServer *world = context;
    if (world->reload_fails)
        return error_set(err, ERROR_BAD_INPUT, "traceo.yaml:1: unknown setting \"lisen\"");
    world->reloads++;
    return true;
}

static void start(Test *t, TestServer *world, TestServerOptions options) {
    StoreOptions store = {
        .disk = options.disk == NULL ? disk_real() : options.disk,
        .clock = options.store_clock == NULL ? clock_system() : options.store_clock,
        .folder = world->folder,
        .durability = options.durability,
        .memory_limit = 512 * MB,
        .series_limits = {.active_max = 1000000,
                          .new_per_s = TEST_NEW_PER_S,
                          .per_metric_max = 500000},
        .log_segment_bytes = 4 * MB,
    };
    check_ok(t, random_hash_key(&store.hash_key, t->err));
    check_ok(t, store_open(store, &world->store, t->err));
    check_ok(t, access_open(store_catalog(world->store), clock_system(), &world->access, t->err));
    world->replayer = ingest_sender_new();
    if (!options.not_replayed) {
        check_ok(t, store_replay(world->store, ingest_replay, world->replayer, t->err));
        check_ok(t, store_run(world->store, t->err));
    }
    check_ok(t, address_parse(TEXT("127.0.0.1:0"), t->arena, &world->address, t->err));
    OtlpOptions otlp = options.otlp;
    otlp.hash_key = store.hash_key;
    world->otlp = otlp_open(&otlp);
    world->repeats = repeats_new(store.hash_key, 0);
    ServerOptions server = {
        .influx = {.db_label = TEXT("db")},
        .otlp = world->otlp,
        .repeats = world->repeats,
        .ui = options.ui,
        .ui_folder = options.ui_folder,
        .all_started = options.all_started,
        .store = world->store,
        .access = world->access,
        .clock = clock_system(),
        .addresses = &world->address,
        .address_count = 1,
        .loop_count = 2,
        .worker_count = 2,
        .limits = http_limits_default(),
        .build = {TEXT("0.1.0"), TEXT("abc123"), TEXT("2026-11-21"), TEXT("gcc")},
        .query = options.query,
        .settings = {world, settings_print, settings_at, settings_reload},
        .instance = TEXT("test:4310"),
        .started_ms = clock_system()->wall_ms(clock_system()),
    };
    check_ok(t, server_start(&server, &world->server, t->err));
    world->port = server_port(world->server, 0);
}

static void stop(TestServer *world) {
    if (world->server != NULL) server_stop(world->server, 5000);
    server_free(&world->server);
    otlp_close(&world->otlp);
    access_close(&world->access);
    store_close(&world->store);
    ingest_sender_free(&world->replayer);
    repeats_free(&world->repeats);
}

Text test_folder_name(Test *t) {
    Text base = environment_get("TMPDIR");
    if (base.len == 0) base = TEXT("/tmp");
    uint64_t number = 0;
    check_ok(t, random_bytes(&number, sizeof number, t->err));
    return text_format(t->arena, "%.*s/traceo-server-%016llx", TEXT_ARG(base),
                       (unsigned long long)number);
}

void test_server_begin(Test *t, TestServer *world, TestServerOptions options) {
    *world = (TestServer){.folder = test_folder_name(t)};
    start(t, world, options);
}

void test_server_end(Test *t, TestServer *world) {
    stop(world);
    test_folder_remove(t, world->folder);
}

void test_server_again(Test *t, TestServer *world) {
    stop(world);
    start(t, world, (TestServerOptions){0});
}

Text test_server_key(Test *t, TestServer *world, Text tenant, Permissions permissions) {
    AccessKeyOptions options = {.name = TEXT("test"), .tenant = tenant, .permissions = permissions};
    Text key = TEXT_NONE;
    check_ok(t, access_key_make(store_catalog(world->store), clock_system(), options, t->arena,
                                &key, t->err));
    check_ok(t, access_reload(world->access, t->err));
    return key;
}

// ---- The client ----

HttpClientAnswer test_send(Test *t, const TestServer *world, Text method, Text target,
                           const HttpHeader *headers, size_t header_count, Text body) {
    HttpClientRequest request = {
        .host = TEXT("127.0.0.1"),
        .port = world->port,
        .method = method,
        .target = target,
        .headers = headers,
        .header_count = header_count,
        .body = body,
        .timeout_ms = 20000,
    };
    HttpClientAnswer answer = {0};
    check_ok(t, http_client_send(&request, t->arena, &answer, t->err));
    return answer;
}

HttpClientAnswer test_get(Test *t, const TestServer *world, const char *target) {
    return test_send(t, world, TEXT("GET"), text_from_cstring(target), NULL, 0, TEXT_NONE);
}

HttpClientAnswer test_post_form(Test *t, const TestServer *world, const char *target, Text form) {
    HttpHeader header = {TEXT("Content-Type"),
                         TEXT("application/x-www-form-urlencoded; charset=utf-8")};
    return test_send(t, world, TEXT("POST"), text_from_cstring(target), &header, 1, form);
}

static size_t credentials(Test *t, Text key, Text tenant, HttpHeader *into) {
    size_t count = 0;
    if (key.len > 0)
        into[count++] = (HttpHeader){TEXT("Authorization"),
                                     text_format(t->arena, "Bearer %.*s", TEXT_ARG(key))};
    if (tenant.len > 0) into[count++] = (HttpHeader){TEXT("X-Scope-OrgID"), tenant};
    return count;
}

HttpClientAnswer test_as(Test *t, const TestServer *world, Text method, Text target, Text key,
                         Text tenant) {
    HttpHeader headers[2];
    size_t count = credentials(t, key, tenant, headers);
    return test_send(t, world, method, target, headers, count, TEXT_NONE);
}

HttpClientAnswer test_write_bytes(Test *t, const TestServer *world, Text key, Text tenant,
                                  Text encoding, Bytes body) {
    HttpHeader headers[5];
    size_t count = credentials(t, key, tenant, headers);
    headers[count++] = (HttpHeader){TEXT("Content-Type"), TEXT("application/x-protobuf")};
    if (encoding.len > 0) headers[count++] = (HttpHeader){TEXT("Content-Encoding"), encoding};
    headers[count++] = (HttpHeader){TEXT("X-Prometheus-Remote-Write-Version"), TEXT("0.1.0")};
    return test_send(t, world, TEXT("POST"), TEXT("/api/v1/write"), headers, count,
                     bytes_text(body));
}

void test_write(Test *t, const TestServer *world, Text key, Text tenant, WriteBody *body) {
    Builder packed = {0};
    check_ok(t, compress_bytes(COMPRESSION_SNAPPY, 0, text_bytes(builder_text(&body->bytes)),
                               &packed, t->err));
    HttpClientAnswer answer =
        test_write_bytes(t, world, key, tenant, TEXT("snappy"), text_bytes(builder_text(&packed)));
    builder_free(&packed);
    write_body_free(body);
    check_answer(t, 204, TEXT(""), answer);
}

void test_row(Test *t, WriteBody *body, Text name, Text label, Text value, int64_t time_ms,
              double number) {
    Label labels[] = {{LABEL_NAME, name}, {label, value}};
    Labels made;
    check_ok(t, labels_make(labels, label.len > 0 ? 2 : 1, t->arena, &made, t->err));
    write_body_add(body, made, time_ms, number);
}

void test_write_many(Test *t, const TestServer *world, Text key, int count, int points) {
    WriteBody body = {0};
    for (int i = 0; i < count; i++) {
        for (int at = 0; at < points; at++)
            test_row(t, &body, TEXT("many"), TEXT("number"), text_format(t->arena, "%d", i),
                     T0_MS + at * 15000, i);
    }
    test_write(t, world, key, TEXT_NONE, &body);
}

Socket test_begin_get(Test *t, const TestServer *world, const char *target, Text key) {
    AUTO(builder_free) Builder head = {0};
    builder_addf(&head, "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: slow/1\r\n", target);
    if (key.len > 0) builder_addf(&head, "Authorization: Bearer %.*s\r\n", TEXT_ARG(key));
    builder_add(&head, TEXT("\r\n"));
    Socket socket = dial(t, world->port);
    say(t, socket, builder_text(&head));
    return socket;
}

Text test_header(HttpClientAnswer answer, Text name) {
    for (size_t i = 0; i < answer.header_count; i++) {
        if (text_equal_ignore_case(answer.headers[i].name, name)) return answer.headers[i].value;
    }
    return TEXT_NONE;
}

// ---- What many tests send ----

Bytes test_packed(Test *t, Bytes plain, Compression compression) {
    Builder out = {0};
    check_ok(t, compress_bytes(compression, 0, plain, &out, t->err));
    Bytes copy = bytes_copy(text_bytes(builder_text(&out)), t->arena);
    builder_free(&out);
    return copy;
}

void test_server_plain(Test *t, TestServer *world) {
    test_server_begin(t, world, (TestServerOptions){.durability = LOG_SYNC});
}

void test_write_some(Test *t, TestServer *world, Text key, Text tenant) {
    WriteBody body = {0};
    for (int64_t i = 0; i < 3; i++) {
        test_row(t, &body, TEXT("jobs_total"), TEXT("queue"), TEXT("mail"), T0_MS + i * 15000,
                 (double)(i * 10));
        test_row(t, &body, TEXT("up"), TEXT("instance"), TEXT("a"), T0_MS + i * 15000, 1);
        test_row(t, &body, TEXT("up"), TEXT("instance"), TEXT("b"), T0_MS + i * 15000, (double)i);
    }
    write_body_add_metadata(&body, TEXT("jobs_total"), 1, TEXT("Jobs \"done\"."), TEXT(""));
    write_body_add_metadata(&body, TEXT("up"), 2, TEXT("Is it up?"), TEXT(""));
    test_write(t, world, key, tenant, &body);
}
