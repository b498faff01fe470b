// The client: write the request, read until the answer is whole.

#include "net/http_client.h"

#include "base/array.h"
#include "net/transport.h"
#include "os/socket.h"

enum { READ_BYTES = 64 * KB, INTERIM_MAX = 8 };

bool http_client_url(Text url, HttpClientRequest *out, Error *err) {
    out->tls = text_starts_with(url, TEXT("https://"));
    if (!out->tls && !text_starts_with(url, TEXT("http://"))) {
        return error_set(err, ERROR_BAD_INPUT, "%.*s: an address begins with http:// or https://",
                         TEXT_ARG(url));
    }
    Text rest = text_slice(url, out->tls ? 8 : 7, url.len);
    size_t end = 0;
    while (end < rest.len && rest.at[end] != '/') end++;
    Text authority = text_slice(rest, 0, end);
    out->target = end < rest.len ? text_slice(rest, end, rest.len) : TEXT("/");
    out->port = out->tls ? 443 : 80;
    size_t colon = authority.len;
    while (colon > 0 && authority.at[colon - 1] != ':' && authority.at[colon - 1] != ']') colon--;
    if (colon > 0 && authority.at[colon - 1] == ':') {
        uint64_t port = 0;
        if (!text_to_u64(text_slice(authority, colon, authority.len), &port) || port == 0 ||
            port > UINT16_MAX) {
            return error_set(err, ERROR_BAD_INPUT, "%.*s: the port is not a number from 1 to 65535",
                             TEXT_ARG(url));
        }
        out->port = (uint16_t)port;
        authority.len = colon - 1;
    }
    if (authority.len == 0)
        return error_set(err, ERROR_BAD_INPUT, "%.*s: the host is missing", TEXT_ARG(url));
    out->host = authority;
    return true;
}

static bool corrupt(Error *err, const char *what) {
    return error_set(err, ERROR_CORRUPT, "the answer is not HTTP: %s", what);
}

// status-line = HTTP-version SP status-code SP [reason]
static bool read_status_line(Text line, HttpClientAnswer *out, Error *err) {
    uint64_t status = 0;
    bool ok = line.len >= 12 && text_starts_with(line, TEXT("HTTP/1.")) && line.at[8] == ' ' &&
              text_to_u64(text_slice(line, 9, 12), &status) && status >= 100 && status <= 599 &&
              (line.len == 12 || line.at[12] == ' ');
    if (!ok) return corrupt(err, "its first line is no status line");
    out->status = (int)status;
    return true;
}

static bool read_head(Text head, Arena *arena, HttpClientAnswer *out, Error *err) {
    Text rest = head, line;
    ARRAY(HttpHeader) headers = {0};
    for (size_t i = 0; text_cut(&rest, '\n', &line); i++) {
        if (text_ends_with(line, TEXT("\r"))) line.len--;
        if (line.len == 0) continue;
        if (i == 0) {
            TRY(read_status_line(line, out, err));
            continue;
        }
        if (headers.count == HTTP_HEADER_COUNT_MAX) return corrupt(err, "it has too many headers");
        ptrdiff_t colon = text_find_char(line, ':');
        if (colon <= 0) return corrupt(err, "a header has no colon");
        *array_add_on(arena, &headers) =
            (HttpHeader){text_slice(line, 0, (size_t)colon),
                         text_trim(text_slice(line, (size_t)colon + 1, line.len))};
    }
    out->headers = headers.at;
    out->header_count = headers.count;
    return true;
}

static Text find_header(const HttpClientAnswer *answer, Text name) {
    HttpHead head = {.headers = answer->headers, .header_count = answer->header_count};
    return http_head_find(&head, name);
}

static HttpProgress read_chunks(Bytes rest, bool ended, Arena *arena, HttpClientAnswer *out,
                                size_t *used, Error *err) {
    HttpChunks chunks = {0};
    char *body = arena_push_array_raw(arena, char, rest.len + 1);
    size_t len = 0, at = 0;
    HttpProgress progress = HTTP_MORE;
    while (at < rest.len && progress == HTTP_MORE) {
        size_t step;
        Bytes data;
        progress = http_chunks_parse(&chunks, (Bytes){rest.at + at, rest.len - at}, INT64_MAX,
                                     &step, &data);
        if (data.len > 0) memcpy(body + len, data.at, data.len);
        len += data.len;
        at += step;
    }
    *used += at;
    out->body = (Text){body, len};
    if (progress == HTTP_REFUSED) {
        corrupt(err, chunks.refusal.reason);
    } else if (progress == HTTP_MORE && ended) {
        corrupt(err, "it was cut off");
        return HTTP_REFUSED;
    }
    return progress;
}

HttpProgress http_client_parse(Bytes bytes, bool ended, bool is_head, Arena *arena,
                               HttpClientAnswer *out, size_t *used, Error *err) {
    *used = 0;
    for (int i = 0; i < INTERIM_MAX; i++) {
        Text rest = {(const char *)bytes.at + *used, bytes.len - *used};
        ptrdiff_t end = text_find(rest, TEXT("\r\n\r\n"));
        if (end < 0) {
            if (ended)
                corrupt(err,
                        rest.len == 0 ? "the connection was closed without one" : "it was cut off");
            return ended ? HTTP_REFUSED : HTTP_MORE;
        }
        *out = (HttpClientAnswer){0};
        if (!read_head(text_slice(rest, 0, (size_t)end), arena, out, err)) return HTTP_REFUSED;
        *used += (size_t)end + 4;
        if (out->status >= 200) break;
    }
    Bytes rest = {bytes.at + *used, bytes.len - *used};
    if (is_head || out->status == 204 || out->status == 304) return HTTP_DONE;
    Text length = find_header(out, TEXT("content-length"));
    if (text_equal_ignore_case(find_header(out, TEXT("transfer-encoding")), TEXT("chunked"))) {
        return read_chunks(rest, ended, arena, out, used, err);
    }
    uint64_t want = 0;
    if (length.at == NULL) {
        // Until the end of the connection.
        if (!ended) return HTTP_MORE;
        want = rest.len;
    } else if (!text_to_u64(length, &want)) {
        corrupt(err, "its Content-Length is no number");
        return HTTP_REFUSED;
    }
    if (rest.len < want) {
        if (ended) corrupt(err, "it was cut off");
        return ended ? HTTP_REFUSED : HTTP_MORE;
    }
    out->body = (Text){(const char *)rest.at, (size_t)want};
    *used += (size_t)want;
    return HTTP_DONE;
}

static bool shake_hands(Transport *transport, int64_t timeout_ms, Error *err) {
    for (;;) {
        TransportResult result = transport_handshake(transport, err);
        if (result == TRANSPORT_DONE) return true;
        if (result != TRANSPORT_AGAIN) return false;
        TRY(socket_wait(transport->socket, transport->wants_write, timeout_ms, err));
    }
}

static bool write_all(Transport *transport, Text head, Text body, int64_t timeout_ms, Error *err) {
    while (head.len + body.len > 0) {
        SocketPart parts[] = {{head.at, head.len}, {body.at, body.len}};
        size_t count = 0;
        TransportResult result = transport_write(transport, parts, COUNT(parts), &count, err);
        // A server may refuse early and close: its answer is still worth reading.
        if (result == TRANSPORT_CLOSED) return true;
        if (result == TRANSPORT_FAILED) return false;
        if (result == TRANSPORT_AGAIN) {
            TRY(socket_wait(transport->socket, transport->wants_write, timeout_ms, err));
            continue;
        }
        size_t of_head = MIN(count, head.len);
        head = text_slice(head, of_head, head.len);
        body = text_slice(body, count - of_head, body.len);
    }
    return true;
}

static void write_request(const HttpClientRequest *request, Text method, Builder *out) {
    builder_addf(out, "%.*s %.*s HTTP/1.1\r\nHost: %.*s:%u\r\nConnection: close\r\n",
                 TEXT_ARG(method), TEXT_ARG(request->target), TEXT_ARG(request->host),
                 (unsigned)request->port);
    for (size_t i = 0; i < request->header_count; i++) {
        builder_addf(out, "%.*s: %.*s\r\n", TEXT_ARG(request->headers[i].name),
                     TEXT_ARG(request->headers[i].value));
    }
    bool may_have_body = !text_equal(method, TEXT("GET")) && !text_equal(method, TEXT("HEAD"));
    if (request->body.len > 0 || may_have_body)
        builder_addf(out, "Content-Length: %zu\r\n", request->body.len);
    builder_add(out, TEXT("\r\n"));
}

// A header that could end the request early is our caller's mistake, but maybe its user's input.
static bool check_request(const HttpClientRequest *request, Error *err) {
    Text parts[] = {request->host, request->method, request->target};
    for (size_t i = 0; i < COUNT(parts) + 2 * request->header_count; i++) {
        size_t n = i < COUNT(parts) ? 0 : i - COUNT(parts);
        Text part = i < COUNT(parts) ? parts[i]
                    : n % 2 == 0     ? request->headers[n / 2].name
                                     : request->headers[n / 2].value;
        for (size_t k = 0; k < part.len; k++) {
            bool bad = (uint8_t)part.at[k] < 0x20 || part.at[k] == 0x7f ||
                       (i < COUNT(parts) && part.at[k] == ' ');
            if (bad)
                return error_set(err, ERROR_BAD_INPUT, "a control byte or blank in the request");
        }
    }
    return true;
}

static bool read_answer(Transport *transport, const HttpClientRequest *request, bool is_head,
                        Arena *arena, Builder *input, HttpClientAnswer *out, Error *err) {
    size_t most =
        request->answer_bytes_max > 0 ? (size_t)request->answer_bytes_max : (size_t)64 * MB;
    size_t tried = 0;
    bool ended = false, chunked = false;
    for (;;) {
        // Parsed again only when it doubled or, as nothing is waiting, it may be whole: linear in
        // all. Chunks come one by one, and end with an empty line.
        size_t count = 0;
        bool empty;
        builder_reserve(input, READ_BYTES);
        TransportResult result = ended ? TRANSPORT_CLOSED
                                       : transport_read(transport, input->at + input->len,
                                                        READ_BYTES, &count, &empty, err);
        input->len += count;
        if (result == TRANSPORT_FAILED) return false;
        ended = ended || result == TRANSPORT_CLOSED;
        if (input->len > most)
            return error_set(err, ERROR_TOO_LARGE, "the answer is longer than %zu bytes", most);
        bool may_be_whole = result == TRANSPORT_AGAIN &&
                            (!chunked || text_ends_with(builder_text(input), TEXT("\r\n\r\n")));
        if (ended || may_be_whole || input->len > 2 * tried) {
            size_t used;
            tried = input->len;
            Bytes bytes = {(const uint8_t *)input->at, input->len};
            ArenaMark mark = arena_mark(arena);
            HttpProgress progress =
                http_client_parse(bytes, ended, is_head, arena, out, &used, err);
            if (progress == HTTP_DONE) return true;
            chunked = text_equal_ignore_case(find_header(out, TEXT("transfer-encoding")),
                                             TEXT("chunked"));
            arena_reset_to(arena, mark);
            if (progress == HTTP_REFUSED) return false;
        }
        if (result == TRANSPORT_AGAIN)
            TRY(socket_wait(transport->socket, transport->wants_write, request->timeout_ms, err));
    }
}

bool http_client_send(const HttpClientRequest *request, Arena *arena, HttpClientAnswer *out,
                      Error *err) {
    TRY(check_request(request, err));
    Text method = request->method.len > 0 ? request->method : TEXT("GET");
    AUTO(socket_close) Socket socket = SOCKET_NONE;
    AUTO(builder_free) Builder head = {0}, input = {0};
    AUTO(transport_end) Transport transport = {.socket = SOCKET_NONE};
    TRY(socket_connect(request->host, request->port, request->timeout_ms, &socket, err));
    TlsStream *tls = NULL;
    if (request->tls)
        TRY(tls_stream_connect(&request->tls_options, request->host, socket, &tls, err));
    transport_begin(&transport, socket, tls);
    TRY(shake_hands(&transport, request->timeout_ms, err));
    write_request(request, method, &head);
    TRY(write_all(&transport, builder_text(&head), request->body, request->timeout_ms, err));
    HttpClientAnswer answer = {0};
    AUTO(arena_free) Arena scratch = {0};
    TRY(read_answer(&transport, request, text_equal(method, TEXT("HEAD")), &scratch, &input,
                    &answer, err));
    // The answer's views point into the input, which ends here.
    HttpHeader *headers = arena_push_array(arena, HttpHeader, MAX(answer.header_count, (size_t)1));
    for (size_t i = 0; i < answer.header_count; i++) {
        headers[i] = (HttpHeader){text_copy(answer.headers[i].name, arena),
                                  text_copy(answer.headers[i].value, arena)};
    }
    *out = (HttpClientAnswer){answer.status, headers, answer.header_count,
                              text_copy(answer.body, arena)};
    return true;
}
