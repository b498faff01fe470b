// HTTP/1.1 answers: the status table and the bytes of an answer's head.

#include "net/http1.h"

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

static void add_headers(const HttpHeader *headers, size_t count, Builder *out) {
    for (size_t i = 0; i < count; i++) {
        builder_add(out, headers[i].name);
        builder_add(out, TEXT(": "));
        builder_add(out, headers[i].value);
        builder_add(out, TEXT("\r\n"));
    }
}

bool http1_answer_is_chunked(const HttpTurn *turn) {
    return turn->streaming && turn->exchange.head.version_minor > 0;
}

void http1_answer_write(const HttpTurn *turn, bool close, Builder *out, Text *body) {
    const HttpAnswer *answer = &turn->answer;
    *body = http_turn_body(turn);
    add_status_line(answer->status, out);
    add_headers(answer->headers, answer->header_count, out);
    if (http1_answer_is_chunked(turn)) {
        builder_add(out, TEXT("Transfer-Encoding: chunked\r\n"));
    } else if (!turn->streaming && answer->status != 204 && answer->status != 304) {
        // Of the body that a GET would get, also for HEAD.
        builder_add(out, TEXT("Content-Length: "));
        builder_add_u64(out, answer->body.len > 0 ? answer->body.len : answer->text.len);
        builder_add(out, TEXT("\r\n"));
    }
    if (close) {
        builder_add(out, TEXT("Connection: close\r\n"));
    } else if (turn->exchange.head.version_minor == 0) {
        builder_add(out, TEXT("Connection: keep-alive\r\n"));
    }
    builder_add(out, TEXT("\r\n"));
}

void http1_answer_chunk(size_t len, bool first, Builder *out) {
    if (!first) builder_add(out, TEXT("\r\n"));
    builder_addf(out, "%zx\r\n", len);
}

void http1_answer_end(const HttpTurn *turn, bool any_piece, Builder *out) {
    if (any_piece) builder_add(out, TEXT("\r\n"));
    builder_add(out, TEXT("0\r\n"));
    add_headers(turn->answer.trailers, turn->answer.trailer_count, out);
    builder_add(out, TEXT("\r\n"));
}

void http1_answer_refusal(int status, const char *reason, Builder *out) {
    Builder body = {0};
    http_refusal_body(status, reason, &body);
    add_status_line(status, out);
    builder_add(out, TEXT("Content-Type: application/json\r\n"));
    if (status == 503) builder_add(out, TEXT("Retry-After: 5\r\n"));
    builder_add(out, TEXT("Connection: close\r\nContent-Length: "));
    builder_add_u64(out, body.len);
    builder_add(out, TEXT("\r\n\r\n"));
    builder_add(out, builder_text(&body));
    builder_free(&body);
}
