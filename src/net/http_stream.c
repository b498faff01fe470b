// Answers in pieces: the queue between who makes them and the loop.

#include "net/http_stream.h"

#include "base/assert.h"
#include "base/memory.h"

static HttpStream *stream_of(const HttpTurn *turn) {
    return atomic_load(&((HttpTurn *)(uintptr_t)turn)->stream);
}

static void piece_free(HttpPiece *piece) {
    if (piece == NULL) return;
    builder_free(&piece->bytes);
    memory_free(piece);
}

void http_stream_free(HttpStream **handle) {
    if (*handle == NULL) return;
    HttpStream *stream = TAKE(*handle);
    while (stream->first != NULL) {
        HttpPiece *piece = stream->first;
        stream->first = piece->next;
        piece_free(piece);
    }
    piece_free(stream->sending);
    piece_free(stream->spare);
    arena_free(&stream->arena);
    condition_end(&stream->room);
    mutex_end(&stream->lock);
    memory_free(stream);
}

// ---- Messages ----

static void when_given(void *context) {
    HttpTurn *turn = context;
    HttpStream *stream = stream_of(turn);
    mutex_take(&stream->lock);
    stream->posted = false;
    mutex_give(&stream->lock);
    turn->streaming = true;
    turn->when_answered(turn);
}

// The producer does not touch the turn any more.
static void when_ended(void *context) {
    HttpTurn *turn = context;
    const HttpStream *stream = stream_of(turn);
    turn->answer.trailers = stream->trailers;
    turn->answer.trailer_count = stream->trailer_count;
    turn->streaming = true;
    turn->answered = true;
    turn->when_answered(turn);
}

// ---- The producer ----

void http_stream_begin(HttpExchange *exchange, HttpResponse *head) {
    HttpTurn *turn = (HttpTurn *)exchange;
    Loop *loop = turn->service->loop;
    assert(loop != NULL && !loop_is_current(loop));
    assert(!atomic_load(&turn->answer_given) && stream_of(turn) == NULL);
    assert(exchange->head.method != HTTP_HEAD && head->body.len == 0 && head->text.len == 0);
    http_turn_answer(turn, head);
    HttpStream *stream = memory_new(HttpStream);
    mutex_begin(&stream->lock, LOCK_HTTP_STREAM);
    condition_begin(&stream->room);
    stream->most = (size_t)turn->service->limits->stream_bytes;
    stream->posted = true;
    atomic_store(&turn->stream, stream);
    loop_post(loop, when_given, turn);
}

// The caller holds the lock. Either who leaves sees the stream, or we see that they left.
static HttpRoom room_of(const HttpTurn *turn, const HttpStream *stream) {
    if (stream->gone || atomic_load(&turn->gone)) return HTTP_GONE;
    return stream->waiting < stream->most ? HTTP_ROOM : HTTP_FULL;
}

HttpRoom http_stream_give(HttpExchange *exchange, Builder *bytes) {
    HttpTurn *turn = (HttpTurn *)exchange;
    HttpStream *stream = stream_of(turn);
    bool post = false;
    mutex_take(&stream->lock);
    HttpRoom room = room_of(turn, stream);
    if (bytes->len > 0 && room != HTTP_GONE) {
        HttpPiece *piece = stream->spare != NULL ? stream->spare : memory_new(HttpPiece);
        stream->spare = NULL;
        Builder given = *bytes;
        *bytes = piece->bytes;
        builder_clear(bytes);
        piece->bytes = given;
        piece->next = NULL;
        if (stream->first == NULL) {
            stream->first = piece;
        } else {
            stream->last->next = piece;
        }
        stream->last = piece;
        stream->waiting += given.len;
        post = !stream->posted;
        stream->posted = true;
        room = room_of(turn, stream);
    }
    mutex_give(&stream->lock);
    if (post) loop_post(turn->service->loop, when_given, turn);
    return room;
}

HttpRoom http_stream_wait(HttpExchange *exchange, int64_t wait_ms) {
    HttpTurn *turn = (HttpTurn *)exchange;
    HttpStream *stream = stream_of(turn);
    mutex_take(&stream->lock);
    HttpRoom room;
    bool in_time = true;
    while ((room = room_of(turn, stream)) == HTTP_FULL && in_time)
        in_time = condition_wait_ms(&stream->room, &stream->lock, wait_ms);
    mutex_give(&stream->lock);
    return room;
}

HttpRoom http_stream_park(HttpExchange *exchange) {
    HttpTurn *turn = (HttpTurn *)exchange;
    HttpStream *stream = stream_of(turn);
    mutex_take(&stream->lock);
    HttpRoom room = room_of(turn, stream);
    stream->parked = room == HTTP_FULL;
    mutex_give(&stream->lock);
    return room;
}

void http_stream_end(HttpExchange *exchange, bool whole, const HttpHeader *trailers, size_t count) {
    HttpTurn *turn = (HttpTurn *)exchange;
    HttpStream *stream = stream_of(turn);
    Loop *loop = turn->service->loop;
    bool again = atomic_exchange(&turn->answer_given, true);
    assert(!again);
    mutex_take(&stream->lock);
    stream->whole = whole;
    mutex_give(&stream->lock);
    // The loop may be looking at the answer for a piece that was given before.
    stream->trailers = http_turn_copy_headers(trailers, count, &stream->arena);
    stream->trailer_count = count;
    loop_post(loop, when_ended, turn);
}

// ---- The loop ----

static void call_on_room(HttpTurn *turn) {
    const HttpHandler *handler = turn->service->handler;
    turn->in_handler = true;
    handler->on_room(handler->context, &turn->exchange);
    turn->in_handler = false;
}

bool http_stream_take(HttpTurn *turn, Text *piece) {
    HttpStream *stream = stream_of(turn);
    HttpPiece *sent = stream->sending;
    mutex_take(&stream->lock);
    stream->sending = stream->first;
    if (stream->first != NULL) stream->first = stream->first->next;
    if (sent != NULL) {
        stream->waiting -= sent->bytes.len;
        if (stream->spare == NULL) {
            stream->spare = TAKE(sent);
        }
    }
    // Half of it is to be sent before the producer is woken: not once for every piece.
    bool room = stream->waiting <= stream->most / 2;
    bool call = room && stream->parked;
    if (call) stream->parked = false;
    if (room) condition_wake_one(&stream->room);
    mutex_give(&stream->lock);
    piece_free(sent);
    *piece = stream->sending == NULL ? TEXT("") : builder_text(&stream->sending->bytes);
    if (call) call_on_room(turn);
    return stream->sending != NULL;
}

bool http_stream_is_whole(const HttpTurn *turn) {
    return stream_of(turn)->whole;
}

void http_stream_gone(HttpTurn *turn) {
    HttpStream *stream = stream_of(turn);
    if (stream == NULL) return;
    mutex_take(&stream->lock);
    stream->gone = true;
    bool call = stream->parked;
    stream->parked = false;
    condition_wake_one(&stream->room);
    mutex_give(&stream->lock);
    if (call) call_on_room(turn);
}
