// Handlers that count, and one that keeps exchanges for later.

#include "net/test_world.h"

static const char user_mark[] = "user";
static World *world_now;  // for user_free, which has no context

static void free_user(void *user) {
    if (user == user_mark) atomic_fetch_add(&world_now->users_freed, 1);
}

void answer(HttpExchange *exchange, int status, Text text) {
    HttpResponse response = {.status = status, .text = text};
    http_respond(exchange, &response);
}

static bool on_head(void *context, HttpExchange *exchange) {
    World *world = context;
    atomic_fetch_add(&world->heads, 1);
    exchange->user = (void *)(uintptr_t)user_mark;
    exchange->user_free = free_user;
    if (text_equal(exchange->head.path, TEXT("/deny"))) {
        answer(exchange, 401, TEXT("no\n"));
        return false;
    }
    if (text_equal(exchange->head.path, TEXT("/small"))) exchange->body_bytes_max = 10;
    exchange->anonymous = text_equal(exchange->head.query, TEXT("open"));
    return true;
}

static void on_request(void *context, HttpExchange *exchange) {
    World *world = context;
    atomic_fetch_add(&world->requests, 1);
    if (text_equal(exchange->head.path, TEXT("/wait"))) {
        mutex_take(&world->lock);
        world->held[world->held_count++] = exchange;
        mutex_give(&world->lock);
        return;
    }
    HttpHeader headers[] = {{TEXT("X-Query"), exchange->head.query},
                            {TEXT("X-Evil"), TEXT("a\r\nb")}};
    HttpResponse response = {.status = 200, .headers = headers, .header_count = COUNT(headers)};
    if (text_equal(exchange->head.path, TEXT("/big"))) {
        builder_reserve(&response.body, 4 * MB);
        for (size_t i = 0; i < 4 * MB / 8; i++) builder_add(&response.body, TEXT("01234567"));
        (void)!budget_reserve(&world->budget, 4 * MB, NULL);  // it has no limit
        response.budget = &world->budget;
        response.charged = 4 * MB;
    } else {
        builder_add(&response.body, http_method_text(exchange->head.method));
        builder_add_char(&response.body, ':');
        builder_add(&response.body, bytes_text(exchange->body));
    }
    http_respond(exchange, &response);
}

static void on_gone(void *context, HttpExchange *exchange) {
    atomic_fetch_add(&((World *)context)->gone, 1);
}

static void on_drop(void *context, HttpExchange *exchange) {
    atomic_fetch_add(&((World *)context)->dropped, 1);
}

void world_open(Test *t, World *world, int loops, void (*adjust)(HttpLimits *limits)) {
    *world = (World){0};
    world_now = world;
    mutex_begin(&world->lock, LOCK_WORKER_QUEUE);
    Address any;
    check_ok(t, address_parse(TEXT("127.0.0.1:0"), t->arena, &any, t->err));
    HttpServerOptions options = {.clock = clock_system(),
                                 .addresses = &any,
                                 .address_count = 1,
                                 .loop_count = loops,
                                 .limits = http_limits_default(),
                                 .handler = {.context = world,
                                             .on_head = on_head,
                                             .on_request = on_request,
                                             .on_drop = on_drop,
                                             .on_gone = on_gone}};
    if (adjust != NULL) adjust(&options.limits);
    check_ok(t, http_server_start(&options, &world->server, t->err));
    world->address = any;
    world->address.port = http_server_port(world->server, 0);
}

void world_close(World *world) {
    http_server_stop(world->server, 200);
    http_server_free(&world->server);
    mutex_end(&world->lock);
}

HttpExchange *take_held(World *world) {
    for (int i = 0; i < 300; i++) {
        mutex_take(&world->lock);
        HttpExchange *exchange = world->held_count > 0 ? world->held[--world->held_count] : NULL;
        mutex_give(&world->lock);
        if (exchange != NULL) return exchange;
        clock_system()->sleep_ms(clock_system(), 10);
    }
    return NULL;
}
