// The request head and chunked bodies, as tables: what is accepted and what is refused with which
// status.

#include "base/test.h"
#include "net/http_parse.h"

static const HttpParseLimits limits = {1024, 4096, 2048, 8};

// The status of the refusal, 0 when it was accepted, -1 when bytes are missing.
static int parse(Text in, Arena *arena, HttpHead *out) {
    HttpHeadParser *parser = arena_push(arena, HttpHeadParser);
    HttpHead head;
    switch (http_head_parse(parser, text_bytes(in), &limits)) {
        case HTTP_MORE:
            return -1;
        case HTTP_REFUSED:
            break;
        case HTTP_DONE:
            if (http_head_view(parser, text_bytes(in), arena, &head)) {
                if (out != NULL) *out = head;
                return 0;
            }
            break;
    }
    return parser->refusal.status;
}

typedef struct Row {
    int status;
    Text in;
} Row;

static void check_rows(Test *t, const Row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int got = parse(rows[i].in, t->arena, NULL);
        if (got != rows[i].status) {
            check_failed(t, __FILE__, __LINE__, "\"%.*s\" gives %d, not %d", TEXT_ARG(rows[i].in),
                         got, rows[i].status);
        }
    }
}

#define H   "Host: h\r\n"
#define END "\r\n"
#define ROW(status, in) \
    { status, TEXT_INIT(in) }

TEST(request_lines) {
    static const Row rows[] = {
        ROW(0, "GET / HTTP/1.1\r\n" H END),
        ROW(0, "GET / HTTP/1.0\r\n" END),
        ROW(0, "\r\n\r\nGET / HTTP/1.1\r\n" H END),
        ROW(0, "GET /a?{x=\"y\"}|[z]<>^` HTTP/1.1\r\n" H END),
        ROW(0, "OPTIONS * HTTP/1.1\r\n" H END),
        ROW(0, "GET http://h/x HTTP/1.1\r\n" H END),
        ROW(0, "GET HTTP://H HTTP/1.1\r\n" H END),
        ROW(0, "GET http://h?q HTTP/1.1\r\n" H END),
        ROW(-1, ""),
        ROW(-1, "GET / HTTP/1.1\r"),
        ROW(-1, "GET / HTTP/1.1\r\n" H "\r"),
        ROW(400, "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n"),
        ROW(400, "GET / HTTP/1.1\n"),
        ROW(400, "GET / HTTP/1.1\rX"),
        ROW(400, "GET  / HTTP/1.1\r\n"),
        ROW(400, "GET /  HTTP/1.1\r\n"),
        ROW(400, " GET / HTTP/1.1\r\n"),
        ROW(400, "GET /\r\n"),
        ROW(400, "GET / HTTP/1.1 \r\n"),
        ROW(400, "GET /a b HTTP/1.1\r\n"),
        ROW(400, "GET /\tHTTP/1.1\r\n"),
        ROW(400, "GET / http/1.1\r\n"),
        ROW(400, "GET / HTTP/11\r\n"),
        ROW(400, "GET / HTTP/1.10\r\n"),
        ROW(400, "GET /a#b HTTP/1.1\r\n"),
        ROW(400, "GET /\xc3\xa4 HTTP/1.1\r\n"),
        ROW(400, "GE(T / HTTP/1.1\r\n"),
        ROW(400, "GET\0 / HTTP/1.1\r\n"),
        ROW(400, "GET * HTTP/1.1\r\n" H END),
        ROW(400, "GET x HTTP/1.1\r\n" H END),
        ROW(400, "GET http:// HTTP/1.1\r\n" H END),
        ROW(400, "GET http://other/ HTTP/1.1\r\n" H END),
        ROW(400, "GET ftp://h/ HTTP/1.1\r\n" H END),
        ROW(400, "GET http://user@h/ HTTP/1.1\r\n" H END),
        ROW(501, "CONNECT h:443 HTTP/1.1\r\n"),
        ROW(501, "TRACE / HTTP/1.1\r\n"),
        ROW(501, "get / HTTP/1.1\r\n"),
        ROW(505, "GET / HTTP/1.2\r\n"),
        ROW(505, "GET / HTTP/0.9\r\n"),
        ROW(505, "PRI * HTTP/2.0\r\n"),
    };
    check_rows(t, rows, COUNT(rows));
}

TEST(headers) {
    static const Row rows[] = {
        ROW(0, "GET / HTTP/1.1\r\n" H "X:\r\nY: \t \r\nZ: a\tb \xff\r\n" END),
        ROW(0, "GET / HTTP/1.1\r\nHost:\r\n" END),
        ROW(0, "GET / HTTP/1.1\r\nhOsT: [::1]:4310\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H H END),
        ROW(400, "GET / HTTP/1.1\r\nHost: a b\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\nHost: a/b\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\nHost: a@b\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n X: a\r\n" H END),
        ROW(400, "GET / HTTP/1.1\r\n" H "X : a\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H "X\t: a\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H "X\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H ": a\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H "X: a\0b\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H "X: a\x7f\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H "X: a\nY: b\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H "X: a\rY: b\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H "X(: a\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H "\xc3\xa4: a\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H "Authorization: a\r\nAuthorization: b\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H "X-API-Key: a\r\nx-api-key: a\r\n" END),
        ROW(400, "GET / HTTP/1.1\r\n" H "X-Scope-OrgID: a\r\nX-SCOPE-ORGID: b\r\n" END),
        ROW(431, "GET / HTTP/1.1\r\n" H "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\n" END),
        ROW(417, "GET / HTTP/1.1\r\n" H "Expect: cake\r\n" END),
        ROW(0, "GET / HTTP/1.1\r\n" H "Expect: 100-Continue\r\n" END),
    };
    check_rows(t, rows, COUNT(rows));
}

TEST(request_smuggling) {
    static const Row rows[] = {
        ROW(0, "POST / HTTP/1.1\r\n" H "Content-Length: 003\r\n" END),
        ROW(0, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Content-Length:\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Content-Length : 5\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H
                 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H
                 "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n" END),
        ROW(501, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n" END),
        ROW(501, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n" END),
        ROW(501, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n" END),
        ROW(501, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;q=1\r\n" END),
        ROW(501, "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
                 "chunked\r\n" END),
        ROW(400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding\r\n: chunked\r\n" END),
        ROW(400, "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n" END),
    };
    check_rows(t, rows, COUNT(rows));
}

TEST(paths_are_decoded_once_and_tricks_refused) {
    static const struct {
        int status;
        Text in, path, query;
    } rows[] = {
        {0, TEXT_INIT("/"), TEXT_INIT("/"), TEXT_INIT("")},
        {0, TEXT_INIT("/a%20b?c%20d?e"), TEXT_INIT("/a b"), TEXT_INIT("c%20d?e")},
        {0, TEXT_INIT("/%2541"), TEXT_INIT("/%41"), TEXT_INIT("")},
        {0, TEXT_INIT("/a..b/...?../.."), TEXT_INIT("/a..b/..."), TEXT_INIT("../..")},
        {0, TEXT_INIT("/a+b//c"), TEXT_INIT("/a+b//c"), TEXT_INIT("")},
        {0, TEXT_INIT("/%c3%a4"), TEXT_INIT("/\xc3\xa4"), TEXT_INIT("")},
        {400, TEXT_INIT("/.."), TEXT_INIT(""), TEXT_INIT("")},
        {400, TEXT_INIT("/a/./b"), TEXT_INIT(""), TEXT_INIT("")},
        {400, TEXT_INIT("/a/%2e%2E/b"), TEXT_INIT(""), TEXT_INIT("")},
        {400, TEXT_INIT("/a/.%2e"), TEXT_INIT(""), TEXT_INIT("")},
        {400, TEXT_INIT("/a%2fb"), TEXT_INIT(""), TEXT_INIT("")},
        {400, TEXT_INIT("/a%5cb"), TEXT_INIT(""), TEXT_INIT("")},
        {400, TEXT_INIT("/a\\b"), TEXT_INIT(""), TEXT_INIT("")},
        {400, TEXT_INIT("/a%00"), TEXT_INIT(""), TEXT_INIT("")},
        {400, TEXT_INIT("/a%0a"), TEXT_INIT(""), TEXT_INIT("")},
        {400, TEXT_INIT("/a%"), TEXT_INIT(""), TEXT_INIT("")},
        {400, TEXT_INIT("/a%4"), TEXT_INIT(""), TEXT_INIT("")},
        {400, TEXT_INIT("/a%zz"), TEXT_INIT(""), TEXT_INIT("")},
        {400, TEXT_INIT("/%ff"), TEXT_INIT(""), TEXT_INIT("")},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        HttpHead head = {0};
        Text in = text_format(t->arena, "GET %.*s HTTP/1.1\r\n" H END, TEXT_ARG(rows[i].in));
        check_i64(t, rows[i].status, parse(in, t->arena, &head));
        if (rows[i].status != 0) continue;
        check_text(t, rows[i].path, head.path);
        check_text(t, rows[i].query, head.query);
    }
}

TEST(a_head_shows_what_it_says) {
    HttpHead head;
    Text in = TEXT(
        "PUT /x?y=1 HTTP/1.1\r\nHost: h:1\r\nConnection: foo , Close\r\nContent-Length: 12\r\nX-A: "
        " b c \t\r\nx-a: d\r\n" END);
    check_i64(t, 0, parse(in, t->arena, &head));
    check(t,
          head.method == HTTP_PUT && head.version_minor == 1 && !head.keep_alive && !head.chunked);
    check_i64(t, 12, head.content_length);
    check_i64(t, 5, head.header_count);
    check_text(t, TEXT("h:1"), head.host);
    check_text(t, TEXT("/x?y=1"), head.target);
    check_text(t, TEXT("b c"), http_head_find(&head, TEXT("x-A")));
    check(t, http_head_find(&head, TEXT("x-b")).at == NULL);
    check_i64(t, 0,
              parse(TEXT("GET / HTTP/1.0\r\nConnection: keep-alive\r\n" END), t->arena, &head));
    check(t, head.keep_alive);
    check_i64(t, 0, parse(TEXT("GET / HTTP/1.0\r\n" END), t->arena, &head));
    check(t, !head.keep_alive);
}

TEST(long_lines_and_heads_are_refused_at_the_limit) {
    AUTO(builder_free) Builder in = {0};
    builder_add(&in, TEXT("GET /"));
    while (in.len < 1024 - 9) builder_add_char(&in, 'a');
    builder_add(&in, TEXT(" HTTP/1.1"));
    check_i64(t, 414, parse(builder_text(&in), t->arena, NULL));  // no room for the line end
    in.len -= 10;
    builder_add(&in, TEXT(" HTTP/1.1\r\n" H END));
    check_i64(t, 0, parse(builder_text(&in), t->arena, NULL));
    in.len -= 2;
    builder_add(&in, TEXT("X: "));
    while (in.len < 1024 + 2048 - 10) builder_add_char(&in, 'a');
    check_i64(t, -1, parse(builder_text(&in), t->arena, NULL));
    while (in.len < 1024 + 2048 + 10) builder_add_char(&in, 'a');
    check_i64(t, 431, parse(builder_text(&in), t->arena, NULL));
}

TEST(chunked_bodies) {
    static const struct {
        int status;  // 0 done, -1 more
        Text in, body;
        size_t rest;
    } rows[] = {
        {0, TEXT_INIT("0\r\n\r\n"), TEXT_INIT(""), 0},
        {0, TEXT_INIT("5\r\nhello\r\n0\r\n\r\nGET"), TEXT_INIT("hello"), 3},
        {0, TEXT_INIT("005\r\nhello\r\n00\r\nA: b\r\nC:\r\n\r\n"), TEXT_INIT("hello"), 0},
        {0, TEXT_INIT("1;a\r\nx\r\n1;a=b;c=\"d;\\\"\"\r\ny\r\n0;z\r\n\r\n"), TEXT_INIT("xy"), 0},
        {-1, TEXT_INIT("5\r\nhel"), TEXT_INIT("hel"), 0},
        {400, TEXT_INIT("\r\n"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("x\r\n"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("-1\r\n"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("0x5\r\n"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("5 \r\nhello"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("5\nhello"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("5\rhello"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("5\r\nhelloX\r\n"), TEXT_INIT("hello"), 0},
        {400, TEXT_INIT("5\r\nhello\n0\r\n\r\n"), TEXT_INIT("hello"), 0},
        {400, TEXT_INIT("5\r\nhelloX\n0\r\n\r\n"), TEXT_INIT("hello"), 0},
        {400, TEXT_INIT("5;\r\nhello"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("5; a\r\nhello"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("5;a=\r\nhello"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("5;a=\"b\r\nhello"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("5;a\n5\r\nhello"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("0\r\n A: b\r\n\r\n"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("0\r\nA b\r\n\r\n"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("0\r\nA: b\n\r\n"), TEXT_INIT(""), 0},
        {400, TEXT_INIT("10000000000000005\r\nhello"), TEXT_INIT(""), 0},
        {413, TEXT_INIT("ffffffffffffffff\r\nhello"), TEXT_INIT(""), 0},
        {413, TEXT_INIT("65\r\n"), TEXT_INIT(""), 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        HttpChunks chunks = {0};
        AUTO(builder_free) Builder body = {0};
        HttpProgress progress = HTTP_MORE;
        size_t at = 0, used;
        while (progress == HTTP_MORE && at < rows[i].in.len) {
            Bytes data;
            progress = http_chunks_parse(
                &chunks, text_bytes(text_slice(rows[i].in, at, rows[i].in.len)), 100, &used, &data);
            builder_add_bytes(&body, data.at, data.len);
            at += used;
        }
        int got = progress == HTTP_DONE ? 0 : progress == HTTP_MORE ? -1 : chunks.refusal.status;
        if (got != rows[i].status)
            check_failed(t, __FILE__, __LINE__, "\"%.*s\" gives %d", TEXT_ARG(rows[i].in), got);
        check_text(t, rows[i].body, builder_text(&body));
        if (got == 0) check_i64(t, rows[i].rest, rows[i].in.len - at);
    }
}

TEST(chunk_extensions_and_trailers_without_end_are_cut) {
    HttpChunks chunks = {0};
    size_t used;
    Bytes data;
    char *long_line = arena_push_array(t->arena, char, 2000);
    memset(long_line, 'a', 2000);
    check(t, http_chunks_parse(&chunks, text_bytes(TEXT("1;")), 100, &used, &data) == HTTP_MORE);
    check(t, http_chunks_parse(&chunks, (Bytes){(uint8_t *)long_line, 2000}, 100, &used, &data) ==
                 HTTP_REFUSED);
    check_i64(t, 431, chunks.refusal.status);
    // Many short ones: the sum counts too.
    chunks = (HttpChunks){0};
    HttpProgress progress =
        http_chunks_parse(&chunks, text_bytes(TEXT("0\r\n")), 100, &used, &data);
    for (int i = 0; i < 10000 && progress == HTTP_MORE; i++) {
        progress = http_chunks_parse(&chunks, text_bytes(TEXT("A: b\r\n")), 100, &used, &data);
    }
    check(t, progress == HTTP_REFUSED);
    check_i64(t, 431, chunks.refusal.status);
}

TEST_MAIN("net/http_parse", CASE(request_lines), CASE(headers), CASE(request_smuggling),
          CASE(paths_are_decoded_once_and_tricks_refused), CASE(a_head_shows_what_it_says),
          CASE(long_lines_and_heads_are_refused_at_the_limit), CASE(chunked_bodies),
          CASE(chunk_extensions_and_trailers_without_end_are_cut))
