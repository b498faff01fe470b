// Answers: the status table, http_respond, and the bytes of an answer's head.

#include "base/assert.h"
#include "net/http_connection.h"

static const struct {
    int status;
    const char *text;
} statuses[] = {
    {100, "Continue"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_status_text(int status) {
    for (size_t i = 0; i < COUNT(statuses); i++) {
        if (statuses[i].status == status) return statuses[i].text;
    }
    return "";
}

static void add_status_line(int status, Builder *out) {
    builder_add(out, TEXT("HTTP/1.1 "));
    builder_add_i64(out, status);
    builder_add_char(out, ' ');
    builder_add(out, text_from_cstring(http_status_text(status)));
    builder_add(out, TEXT("\r\n"));
}

// A value that echoes the request must not end the line: control bytes become blanks.
static void add_header(const HttpHeader *header, Builder *out) {
    builder_add(out, header->name);
    builder_add(out, TEXT(": "));
    size_t begin = out->len;
    builder_add(out, header->value);
    for (size_t i = begin; i < out->len; i++) {
        uint8_t c = (uint8_t)out->at[i];
        if (c < 0x20 || c == 0x7f) out->at[i] = ' ';
    }
    builder_add(out, TEXT("\r\n"));
}

static void answer_posted(void *context) {
    http_connection_answered(context);
}

void http_respond(HttpExchange *exchange, HttpResponse *response) {
    HttpConnection *connection = (HttpConnection *)exchange;
    bool again = atomic_exchange(&connection->answer_given, true);
    assert(!again);
    assert(response->status >= 200 && response->status <= 599);
    HttpAnswer *answer = &connection->answer;
    answer->status = response->status;
    answer->close = response->close;
    answer->budget = response->budget;
    answer->charged = response->charged;
    builder_clear(&answer->head);
    add_status_line(response->status, &answer->head);
    for (size_t i = 0; i < response->header_count; i++)
        add_header(&response->headers[i], &answer->head);
    answer->body = response->body;
    answer->text = response->body.len > 0 ? TEXT("") : response->text;
    response->body = (Builder){0};
    Loop *loop = connection->loop->loop;
    // Outside of its own callback also the loop itself posts: whoever calls may be walking
    // connections.
    if (loop_is_current(loop) && connection->in_handler) {
        http_connection_answered(connection);
    } else {
        loop_post(loop, answer_posted, connection);
    }
}

void http_answer_write(HttpConnection *connection, bool close, Builder *out, Text *body) {
    HttpAnswer *answer = &connection->answer;
    const HttpHead *head = &connection->exchange.head;
    *body = answer->body.len > 0 ? builder_text(&answer->body) : answer->text;
    builder_add(out, builder_text(&answer->head));
    bool has_body = answer->status != 204 && answer->status != 304;
    if (has_body) {
        builder_add(out, TEXT("Content-Length: "));
        builder_add_u64(out, body->len);
        builder_add(out, TEXT("\r\n"));
    }
    if (close) {
        builder_add(out, TEXT("Connection: close\r\n"));
    } else if (head->version_minor == 0) {
        builder_add(out, TEXT("Connection: keep-alive\r\n"));
    }
    builder_add(out, TEXT("\r\n"));
    if (!has_body || head->method == HTTP_HEAD) *body = TEXT("");
}

void http_answer_refusal(int status, const char *reason, Builder *out) {
    Builder body = {0};
    // The reasons are our own literals: nothing to escape.
    builder_addf(&body, "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":\"%s\"}\n",
                 status == 503   ? "unavailable"
                 : status == 408 ? "timeout"
                                 : "bad_data",
                 reason);
    add_status_line(status, out);
    builder_add(out, TEXT("Content-Type: application/json\r\n"));
    if (status == 503) builder_add(out, TEXT("Retry-After: 5\r\n"));
    builder_add(out, TEXT("Connection: close\r\nContent-Length: "));
    builder_add_u64(out, body.len);
    builder_add(out, TEXT("\r\n\r\n"));
    builder_add(out, builder_text(&body));
    builder_free(&body);
}

Text http_header(const HttpExchange *exchange, Text name) {
    return http_head_find(&exchange->head, name);
}

bool http_is_gone(const HttpExchange *exchange) {
    return atomic_load(&((const HttpConnection *)exchange)->gone);
}
