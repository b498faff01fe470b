// Beginning, going on and paying.

#include "server/paid_read.h"

#include "server/parts.h"

static int64_t now_ns(const PaidRead *paid) {
    Clock *clock = paid->request->server->options.clock;
    return clock->monotonic_ns(clock);
}

static bool go_on(void *context, Error *err) {
    return paid_read_go_on(context, err);
}

bool paid_read_begin(Request *request, PaidRead *out, Error *err) {
    Server *server = request->server;
    Spending *spending = spending_of(&server->spending, request->identity.tenant);
    TRY(spending_may_begin(&server->spending, spending, &request->retry_after_s, err));
    *out = (PaidRead){.request = request,
                      .spending = spending,
                      .meter = {.most = atomic_load(&server->query_bytes_max),
                                .named = "query.bytes",
                                .go_on = go_on,
                                .context = out}};
    out->begun_ns = now_ns(out);
    return true;
}

void paid_read_rest(PaidRead *paid) {
    paid->rested_ns = now_ns(paid);
}

void paid_read_again(PaidRead *paid) {
    if (paid->rested_ns > 0) paid->begun_ns += now_ns(paid) - paid->rested_ns;
    paid->rested_ns = 0;
}

void paid_read_end(PaidRead *paid) {
    if (paid->request == NULL) return;
    paid_read_again(paid);
    Server *server = paid->request->server;
    QueryStats stats = {.samples = paid->samples,
                        .bytes = atomic_load(&paid->meter.bytes),
                        .run_ns = now_ns(paid) - paid->begun_ns};
    spending_pay(&server->spending, paid->spending, &stats);
    *paid = (PaidRead){0};
}

bool paid_read_go_on(PaidRead *paid, Error *err) {
    Request *request = paid->request;
    if (atomic_load(&request->cancelled)) {
        error_set(err, ERROR_CANCELLED, "the client went away");
        running_explain(&request->running, err);
        return false;
    }
    int64_t most_ms = atomic_load(&request->server->query_timeout_ms);
    if (now_ns(paid) - paid->begun_ns <= most_ms * 1000000) return true;
    return error_set(err, ERROR_TIMEOUT,
                     "it ran longer than the limit of time (query.timeout, %lld ms); ask for fewer "
                     "series or less time",
                     (long long)most_ms);
}

Budget *paid_read_budget(const PaidRead *paid) {
    return &paid->spending->memory;
}
