// A bare server for measuring this floor alone: `bench_http PORT LOOPS`, then wrk against it. It
// answers every request with "ok" and prints requests and CPU time per request each second until it
// is stopped.

#include "net/http.h"
#include "os/process.h"

static void on_request(void *context, HttpExchange *exchange) {
    HttpResponse response = {.status = 200, .text = TEXT("ok\n")};
    http_respond(exchange, &response);
}

static bool run(uint64_t port, uint64_t loops, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Address address;
    TRY(address_parse(text_format(&arena, "127.0.0.1:%u", (unsigned)port), &arena, &address, err));
    HttpServerOptions options = {.clock = clock_system(),
                                 .addresses = &address,
                                 .address_count = 1,
                                 .loop_count = (int)loops,
                                 .limits = http_limits_default(),
                                 .handler = {.on_request = on_request}};
    AUTO(http_server_free) HttpServer *server = NULL;
    TRY(signals_begin(err));
    TRY(http_server_start(&options, &server, err));
    int64_t requests = 0, cpu_ns = 0;
    while (signals_wait(1000) != SIGNAL_STOP) {
        int64_t requests_now = http_server_stats(server).requests, cpu_now = cpu_process_ns();
        if (requests_now > requests) {
            stream_write_err(text_format(
                &arena, "%lld requests/s, %.2f us CPU each\n", (long long)(requests_now - requests),
                (double)(cpu_now - cpu_ns) / 1000.0 / (double)(requests_now - requests)));
        }
        requests = requests_now;
        cpu_ns = cpu_now;
    }
    return true;
}

int main(int argc, char **argv) {
    Error err = {0};
    uint64_t port = 0, loops = 0;
    bool ok = argc == 3 && text_to_u64(text_from_cstring(argv[1]), &port) && port <= UINT16_MAX &&
              text_to_u64(text_from_cstring(argv[2]), &loops) && loops > 0 && loops <= 64;
    if (!ok) {
        stream_write_err(TEXT("usage: bench_http PORT LOOPS\n"));
        return 2;
    }
    if (run(port, loops, &err)) return 0;
    stream_write_err(text_from_cstring(err.message));
    stream_write_err(TEXT("\n"));
    return 1;
}
