// A turn: calling the handler, and taking its answer from whatever thread it comes.

#include "net/http_turn.h"

#include "base/assert.h"
#include "net/http_stream.h"

static const HttpHandler *handler_of(const HttpTurn *turn) {
    return turn->service->handler;
}

void http_turn_begin(HttpTurn *turn, const HttpService *service, Arena *arena, Text peer,
                     void (*when_answered)(HttpTurn *turn)) {
    *turn = (HttpTurn){.service = service, .when_answered = when_answered};
    turn->exchange.peer = peer;
    turn->exchange.arena = arena;
    turn->exchange.loop = service->loop_index;
}

bool http_turn_head(HttpTurn *turn) {
    HttpExchange *exchange = &turn->exchange;
    const HttpService *service = turn->service;
    http_count(service->requests, 1);
    exchange->started_ns = service->clock->monotonic_ns(service->clock);
    exchange->body_bytes_max = service->limits->body_bytes;
    exchange->body = BYTES_NONE;
    exchange->anonymous = false;
    bool accepted = true;
    if (service->handler->on_head != NULL) {
        turn->in_handler = true;
        accepted = service->handler->on_head(service->handler->context, exchange);
        turn->in_handler = false;
    }
    turn->accepted = accepted && !turn->answered;
    turn->owed = !turn->accepted;
    return turn->accepted;
}

void http_turn_request(HttpTurn *turn) {
    turn->accepted = false;
    turn->owed = true;
    turn->in_handler = true;
    handler_of(turn)->on_request(handler_of(turn)->context, &turn->exchange);
    turn->in_handler = false;
}

void http_turn_drop(HttpTurn *turn) {
    if (!turn->accepted) return;
    turn->accepted = false;
    if (handler_of(turn)->on_drop != NULL)
        handler_of(turn)->on_drop(handler_of(turn)->context, &turn->exchange);
}

void http_turn_gone(HttpTurn *turn) {
    atomic_store(&turn->gone, true);
    if (atomic_load(&turn->answer_given)) return;
    if (handler_of(turn)->on_gone != NULL) {
        turn->in_handler = true;
        handler_of(turn)->on_gone(handler_of(turn)->context, &turn->exchange);
        turn->in_handler = false;
    }
    http_stream_gone(turn);
}

void http_turn_end(HttpTurn *turn) {
    HttpAnswer *answer = &turn->answer;
    builder_free(&answer->body);
    if (answer->budget != NULL) budget_release(answer->budget, answer->charged);
    *answer = (HttpAnswer){0};
    HttpStream *stream = atomic_exchange(&turn->stream, NULL);
    http_stream_free(&stream);
    turn->streaming = false;
    turn->answered = turn->accepted = turn->owed = false;
    atomic_store(&turn->answer_given, false);
    atomic_store(&turn->gone, false);
    turn->exchange.body = BYTES_NONE;
    turn->exchange.state = NULL;
    Arena *arena = turn->exchange.arena;
    if (arena->bytes > 64 * KB) {
        arena_free(arena);
    } else {
        arena_clear(arena);
    }
}

void http_refusal_body(int status, const char *reason, Builder *out) {
    // The reasons are our own literals: nothing to escape.
    builder_addf(out, "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":\"%s\"}\n",
                 status == 503   ? "unavailable"
                 : status == 408 ? "timeout"
                                 : "bad_data",
                 reason);
}

void http_turn_upgrade(HttpTurn *turn, struct WebSocket *socket, Text accept) {
    bool again = atomic_exchange(&turn->answer_given, true);
    assert(!again);
    turn->upgraded = socket;
    turn->upgrade_accept = accept;
    turn->answered = true;
}

Text http_turn_body(const HttpTurn *turn) {
    const HttpAnswer *answer = &turn->answer;
    bool none =
        answer->status == 204 || answer->status == 304 || turn->exchange.head.method == HTTP_HEAD;
    if (none) return TEXT("");
    return answer->body.len > 0 ? builder_text(&answer->body) : answer->text;
}

static void answer_posted(void *context) {
    HttpTurn *turn = context;
    turn->answered = true;
    if (!turn->in_handler) turn->when_answered(turn);
}

// A value that echoes the request must not end the line: control bytes become blanks.
static Text clean_copy(Text value, Arena *arena) {
    char *copy = arena_push_array_raw(arena, char, value.len + 1);
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = (uint8_t)value.at[i];
        copy[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    return (Text){copy, value.len};
}

const HttpHeader *http_turn_copy_headers(const HttpHeader *headers, size_t count, Arena *arena) {
    HttpHeader *copy = arena_push_array(arena, HttpHeader, MAX(count, (size_t)1));
    for (size_t i = 0; i < count; i++) {
        copy[i] =
            (HttpHeader){clean_copy(headers[i].name, arena), clean_copy(headers[i].value, arena)};
    }
    return copy;
}

void http_turn_answer(HttpTurn *turn, HttpResponse *response) {
    Arena *arena = turn->exchange.arena;
    assert(response->status >= 200 && response->status <= 599);
    turn->answer = (HttpAnswer){
        .status = response->status,
        .headers = http_turn_copy_headers(response->headers, response->header_count, arena),
        .header_count = response->header_count,
        .trailers = http_turn_copy_headers(response->trailers, response->trailer_count, arena),
        .trailer_count = response->trailer_count,
        .body = response->body,
        .text = response->body.len > 0 ? TEXT("") : response->text,
        .budget = response->budget,
        .charged = response->charged,
        .close = response->close,
    };
    response->body = (Builder){0};
}

void http_respond(HttpExchange *exchange, HttpResponse *response) {
    HttpTurn *turn = (HttpTurn *)exchange;
    bool again = atomic_exchange(&turn->answer_given, true);
    assert(!again);
    http_turn_answer(turn, response);
    // Outside of its own callback also the loop itself posts: whoever calls may be walking
    // connections.
    Loop *loop = turn->service->loop;
    if ((loop == NULL || loop_is_current(loop)) && turn->in_handler) {
        turn->answered = true;
    } else {
        assert(loop != NULL);
        loop_post(loop, answer_posted, turn);
    }
}

bool http_is_gone(const HttpExchange *exchange) {
    return atomic_load(&((const HttpTurn *)exchange)->gone);
}

Text http_header(const HttpExchange *exchange, Text name) {
    return http_head_find(&exchange->head, name);
}
