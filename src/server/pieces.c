// Making an answer in pieces, as fast as its client takes them.

#include "server/pieces.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"

// So long a worker waits for room before it turns to other work: a client that is near takes what
// waits for it in less.
enum { PATIENCE_MS = 100 };

// What an answer holds on its way: pieces that wait, the one that is made, the one that is packed,
// and the packer.
#define HELD_BYTES (LIMIT_HTTP_STREAM_BYTES + 3 * PIECE_BYTES + 1 * MB)

void production_free(Production **handle) {
    if (*handle == NULL) return;
    Production *production = TAKE(*handle);
    packer_close(&production->packer);
    builder_free(&production->packed);
    if (production->charged > 0) budget_release(production->budget, production->charged);
    production->free(production);
}

// Until there is a piece, or the end.
static bool fill(Request *request, Production *production, size_t most, Error *err) {
    while (!production->done && request->body.len < most) {
        TRY(production->next(production, &request->body, &production->done, err));
        if (atomic_load(&request->cancelled))
            return error_set(err, ERROR_CANCELLED, "the client went away");
    }
    return true;
}

// It fits: what made it goes, the answer stays reserved until it was sent.
static bool answer_whole(Request *request, Production *production, Error *err) {
    Budget *budget = production->budget;
    if (production->trailer[0] != '\0') {
        Text value = text_from_cstring(production->trailer);
        request_add_header(request, production->trailer_name,
                           text_copy(value, request->exchange->arena));
    }
    production_free(&production);
    TRY(budget_reserve(budget, (int64_t)request->body.capacity, err));
    request->charged = (int64_t)request->body.capacity;
    request->charged_to = budget;
    return true;
}

// ---- In pieces ----

// Nobody but this thread has the request, up to http_stream_end.
static void finish(Request *request, bool whole, const Error *err) {
    Server *server = request->server;
    Clock *clock = server->options.clock;
    Production *production = request->production;
    int status = whole ? 200 : error_status(err->code).status;
    if (!whole && err->code != ERROR_CANCELLED) {
        log_warn("an answer was cut, as it could not be made to its end",
                 LOG_TEXT("path", request->exchange->head.path),
                 LOG_TEXT("peer", request->exchange->peer), LOG_ERR(err));
    }
    char trailer[sizeof production->trailer];
    memcpy(trailer, production->trailer, sizeof trailer);
    HttpHeader trailers[] = {{production->trailer_name, text_from_cstring(trailer)}};
    size_t trailer_count = trailers[0].name.len > 0 && trailer[0] != '\0';
    request->production = NULL;
    production_free(&production);
    builder_free(&request->body);
    builder_free(&request->unpacked);
    running_remove(&server->running, &request->running);
    counters_request(&server->counters, request->route, status,
                     clock->monotonic_ns(clock) - request->exchange->started_ns);
    http_stream_end(request->exchange, whole, trailers, trailer_count);
}

static HttpRoom send_piece(Request *request, bool *ok, Error *err) {
    Production *production = request->production;
    Builder *piece = &request->body;
    *ok = true;
    if (production->packer != NULL) {
        piece = &production->packed;
        *ok =
            packer_add(production->packer, text_bytes(builder_text(&request->body)), piece, err) &&
            (!production->done || packer_end(production->packer, piece, err));
        builder_clear(&request->body);
    }
    return *ok ? http_stream_give(request->exchange, piece) : HTTP_ROOM;
}

static bool gone(const Request *request, Error *err) {
    error_set(err, ERROR_CANCELLED, "the client went away");
    running_explain(&request->running, err);
    return false;
}

// The body holds a piece. Goes on until the end, or until the client has to be waited for: then the
// request is not ours any more.
static void go_on(Request *request, int64_t patience_ms) {
    Production *production = request->production;
    Error err = {0};
    bool ok;
    for (;;) {
        HttpRoom room = send_piece(request, &ok, &err);
        if (!ok) break;
        if (room == HTTP_FULL && !production->done && patience_ms > 0)
            room = http_stream_wait(request->exchange, patience_ms);
        if (room == HTTP_FULL && !production->done) room = http_stream_park(request->exchange);
        if (room == HTTP_GONE) {
            ok = gone(request, &err);
            break;
        }
        if (production->done) break;
        if (room == HTTP_FULL) return;
        ok = fill(request, production, PIECE_BYTES, &err);
        if (!ok) {
            running_explain(&request->running, &err);
            break;
        }
    }
    finish(request, ok, &err);
}

// The head: nothing may be refused from here on.
static void begin(Request *request, Production *production) {
    request->production = production;
    atomic_store(&request->streams, true);
    running_answers(&request->server->running, &request->running);
    Error ignored;
    Compression coding = request_choose_coding(request);
    // No memory to pack it: the plain answer is as good.
    if (coding != COMPRESSION_NONE &&
        packer_open(coding, PACKED_LEVEL, &production->packer, &ignored))
        request_add_header(request, TEXT("Content-Encoding"), compression_name(coding));
    if (production->trailer_name.len > 0)
        request_add_header(request, TEXT("Trailer"), production->trailer_name);
    request_add_headers(request, 200);
    HttpResponse head = {.status = 200,
                         .headers = request->headers,
                         .header_count = request->header_count,
                         .budget = production->budget,
                         .charged = HELD_BYTES};
    http_stream_begin(request->exchange, &head);
}

bool request_produce(Request *request, Production *production, Error *err) {
    AUTO(production_free) Production *ours = production;
    assert(!request->is_grpc && request->route->lane == LANE_QUERY && request->status == 0);
    size_t most = ours->whole_max > 0 ? ours->whole_max : PIECE_BYTES;
    TRY(fill(request, ours, most, err));
    if (ours->done) return answer_whole(request, TAKE(ours), err);
    TRY(budget_reserve(ours->budget, HELD_BYTES, err));
    begin(request, TAKE(ours));
    go_on(request, PATIENCE_MS);
    *err = (Error){0};
    return false;
}

static void run_again(WorkerJob *job, int64_t waited_ns, bool expired) {
    Request *request = (Request *)((char *)job - offsetof(Request, job));
    Error err = {0};
    (void)waited_ns;
    if (expired) {
        error_set(&err, ERROR_CANCELLED, "the server is stopping");
        finish(request, false, &err);
    } else if (fill(request, request->production, PIECE_BYTES, &err)) {
        go_on(request, PATIENCE_MS);
    } else {
        running_explain(&request->running, &err);
        finish(request, false, &err);
    }
}

void request_produce_again(Request *request) {
    request->job.run = run_again;
    worker_pool_add_again(request->server->workers, &request->job);
}
