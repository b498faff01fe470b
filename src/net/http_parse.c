// The request head, a line at a time: each byte is looked at once, each line judged when it is
// whole.

#include "net/http_parse.h"

#include "base/assert.h"
#include "net/url.h"

// What a byte may be part of (RFC 9110, 5.6.2; RFC 3986).
enum {
    BYTE_TOKEN = 1,   // method and header names
    BYTE_TARGET = 2,  // anything visible and ASCII but '#': sloppy clients send { } | " [ ] raw
    BYTE_LINE = 4,    // visible, blank, tab, and bytes from 0x80 on
    BYTE_HOST = 8,
};

static const uint8_t byte_kinds[256] = {
    ['\t'] = BYTE_LINE, [' '] = BYTE_LINE,
#define ROW(from, to, kinds) [from... to] = kinds
    ['!'] = 15,         ['"'] = 6,         ['#'] = 5,         ['$'] = 15,
    ['%'] = 15,         ['&'] = 15,        ['\''] = 15,       ['('] = 14,
    [')'] = 14,         ['*'] = 15,        ['+'] = 15,        [','] = 14,
    ['-'] = 15,         ['.'] = 15,        ['/'] = 6,         ROW('0', '9', 15),
    [':'] = 14,         [';'] = 14,        ['<'] = 6,         ['='] = 14,
    ['>'] = 6,          ['?'] = 6,         ['@'] = 6,         ROW('A', 'Z', 15),
    ['['] = 14,         ['\\'] = 6,        [']'] = 14,        ['^'] = 7,
    ['_'] = 15,         ['`'] = 7,         ROW('a', 'z', 15), ['{'] = 6,
    ['|'] = 7,          ['}'] = 6,         ['~'] = 15,        ROW(0x80, 0xff, BYTE_LINE),
#undef ROW
};

static bool all_of(Text text, uint8_t kind) {
    for (size_t i = 0; i < text.len; i++) {
        if ((byte_kinds[(uint8_t)text.at[i]] & kind) == 0) return false;
    }
    return true;
}

static const Text method_texts[] = {
#define ROW(name) TEXT_INIT(#name),
    HTTP_METHODS(ROW)
#undef ROW
};

Text http_method_text(HttpMethod method) {
    assert((size_t)method < COUNT(method_texts));
    return method_texts[method];
}

bool http_method_from_text(Text text, HttpMethod *out) {
    for (size_t i = 0; i < COUNT(method_texts); i++) {
        if (!text_equal(method_texts[i], text)) continue;
        *out = (HttpMethod)i;
        return true;
    }
    return false;
}

static HttpProgress refuse(HttpRefusal *refusal, int status, const char *reason) {
    *refusal = (HttpRefusal){status, reason};
    return HTTP_REFUSED;
}

static HttpSpan span_of(Text text, const char *base) {
    return (HttpSpan){(uint32_t)(text.at - base), (uint32_t)text.len};
}

static Text span_text(HttpSpan span, Bytes buffer) {
    return (Text){(const char *)buffer.at + span.at, span.len};
}

// HTTP-version = "HTTP/" DIGIT "." DIGIT
static HttpProgress read_version(HttpHeadParser *parser, Text version) {
    bool well_formed = version.len == 8 && memcmp(version.at, "HTTP/", 5) == 0 &&
                       version.at[6] == '.' && version.at[5] >= '0' && version.at[5] <= '9' &&
                       version.at[7] >= '0' && version.at[7] <= '9';
    if (!well_formed)
        return refuse(&parser->refusal, 400, "The request line does not end in HTTP/1.1.");
    if (version.at[5] == '2')
        return refuse(&parser->refusal, 505,
                      "HTTP/2 begins with its own preface, not with such a line.");
    if (version.at[5] != '1' || version.at[7] > '1') {
        return refuse(&parser->refusal, 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
    }
    parser->version_minor = version.at[7] - '0';
    return HTTP_MORE;
}

// request-line = method SP request-target SP HTTP-version
static HttpProgress read_request_line(HttpHeadParser *parser, Text line, const char *base) {
    Text rest = line, method, target;
    if (!text_cut(&rest, ' ', &method) || rest.at == NULL || !text_cut(&rest, ' ', &target) ||
        rest.at == NULL) {
        return refuse(&parser->refusal, 400, "The request line is not METHOD TARGET HTTP/1.1.");
    }
    if (method.len == 0 || !all_of(method, BYTE_TOKEN))
        return refuse(&parser->refusal, 400, "The method is not a token.");
    if (target.len == 0 || !all_of(target, BYTE_TARGET)) {
        return refuse(&parser->refusal, 400,
                      "The target holds bytes that must be percent-encoded.");
    }
    if (read_version(parser, rest) == HTTP_REFUSED) return HTTP_REFUSED;
    if (!http_method_from_text(method, &parser->method))
        return refuse(&parser->refusal, 501, "This method is not known here.");
    parser->target = span_of(target, base);
    parser->has_request_line = true;
    parser->fields = parser->line;
    return HTTP_MORE;
}

static Text trim_blanks(Text text) {
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = (Text){text.at + 1, text.len - 1};
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

// field-line = field-name ":" OWS field-value OWS. False with a reason when it is not one.
static bool split_field(Text line, Text *name, Text *value, const char **reason) {
    if (line.at[0] == ' ' || line.at[0] == '\t') {
        *reason = "A header is folded over several lines; write it on one.";
        return false;
    }
    ptrdiff_t colon = text_find_char(line, ':');
    if (colon <= 0) {
        *reason = "A header line is not NAME: VALUE.";
        return false;
    }
    *name = (Text){line.at, (size_t)colon};
    if (!all_of(*name, BYTE_TOKEN)) {
        *reason = "A header name is not a token (a blank before the colon?).";
        return false;
    }
    *value = trim_blanks((Text){line.at + colon + 1, line.len - (size_t)colon - 1});
    return true;
}

static HttpProgress read_header(HttpHeadParser *parser, Text line, const char *base,
                                const HttpParseLimits *limits) {
    Text name, value;
    const char *reason = "";
    if (!split_field(line, &name, &value, &reason)) return refuse(&parser->refusal, 400, reason);
    if (parser->header_count >= MIN(limits->header_count, (size_t)HTTP_HEADER_COUNT_MAX)) {
        return refuse(&parser->refusal, 431, "There are too many headers (HTTP_HEADER_COUNT).");
    }
    parser->headers[parser->header_count].name = span_of(name, base);
    parser->headers[parser->header_count].value = span_of(value, base);
    parser->header_count++;
    return HTTP_MORE;
}

static HttpProgress read_line(HttpHeadParser *parser, Text line, const char *base,
                              const HttpParseLimits *limits) {
    if (parser->has_request_line) {
        return line.len == 0 ? HTTP_DONE : read_header(parser, line, base, limits);
    }
    if (line.len > 0) return read_request_line(parser, line, base);
    // RFC 9112, 2.2: some old clients end a body with a line end too many.
    if (++parser->empty_lines > HTTP_EMPTY_LINES_MAX) {
        return refuse(&parser->refusal, 400, "There are empty lines where a request should begin.");
    }
    return HTTP_MORE;
}

// How far the current line may reach before it passes a limit.
static size_t line_end_max(const HttpHeadParser *parser, const HttpParseLimits *limits) {
    size_t head_end = limits->header_bytes;
    if (parser->has_request_line) return MIN(head_end, parser->fields + limits->fields_bytes);
    return MIN(head_end, parser->line + limits->request_line_bytes);
}

static HttpProgress refuse_length(HttpHeadParser *parser) {
    if (parser->has_request_line)
        return refuse(&parser->refusal, 431, "The headers are too long (HTTP_HEADER_BYTES).");
    return refuse(
        &parser->refusal, 414,
        "The request line is too long (HTTP_REQUEST_LINE_BYTES); send the query as a POST form.");
}

HttpProgress http_head_parse(HttpHeadParser *parser, Bytes buffer, const HttpParseLimits *limits) {
    const char *base = (const char *)buffer.at;
    for (;;) {
        size_t end = MIN(buffer.len, line_end_max(parser, limits));
        size_t at = parser->scanned;
        while (at < end && (byte_kinds[buffer.at[at]] & BYTE_LINE) != 0) at++;
        parser->scanned = (uint32_t)at;
        if (at == end)
            return end == buffer.len && end < line_end_max(parser, limits) ? HTTP_MORE
                                                                           : refuse_length(parser);
        if (buffer.at[at] == '\n')
            return refuse(&parser->refusal, 400, "A line ends in a bare LF; HTTP wants CR LF.");
        if (buffer.at[at] != '\r')
            return refuse(&parser->refusal, 400, "There is a control byte in the request head.");
        if (at + 1 == buffer.len) return HTTP_MORE;
        if (buffer.at[at + 1] != '\n')
            return refuse(&parser->refusal, 400,
                          "There is a CR without its LF in the request head.");
        Text line = {base + parser->line, at - parser->line};
        parser->scanned = parser->line = (uint32_t)at + 2;
        HttpProgress progress = read_line(parser, line, base, limits);
        if (progress == HTTP_DONE) parser->head_len = parser->line;
        if (progress != HTTP_MORE) return progress;
    }
}

Text http_head_find(const HttpHead *head, Text name) {
    for (size_t i = 0; i < head->header_count; i++) {
        if (text_equal_ignore_case(head->headers[i].name, name)) return head->headers[i].value;
    }
    return TEXT_NONE;
}

// The headers that this floor understands. Two of one kind are refused where two readers could pick
// different ones; some are only listed for that.
typedef enum KnownHeader {
    KNOWN_HOST,
    KNOWN_LENGTH,
    KNOWN_TRANSFER,
    KNOWN_EXPECT,
    KNOWN_CONNECTION,
    KNOWN_AUTHORIZATION,
    KNOWN_CONTENT_TYPE,
    KNOWN_CONTENT_ENCODING,
    KNOWN_API_KEY,
    KNOWN_TENANT,
    KNOWN_COUNT
} KnownHeader;

static const struct {
    Text name;
    bool once;
} known_headers[KNOWN_COUNT] = {
    [KNOWN_HOST] = {TEXT_INIT("host"), true},
    [KNOWN_LENGTH] = {TEXT_INIT("content-length"), true},
    [KNOWN_TRANSFER] = {TEXT_INIT("transfer-encoding"), true},
    [KNOWN_EXPECT] = {TEXT_INIT("expect"), true},
    [KNOWN_CONNECTION] = {TEXT_INIT("connection"), false},
    [KNOWN_AUTHORIZATION] = {TEXT_INIT("authorization"), true},
    [KNOWN_CONTENT_TYPE] = {TEXT_INIT("content-type"), true},
    [KNOWN_CONTENT_ENCODING] = {TEXT_INIT("content-encoding"), true},
    [KNOWN_API_KEY] = {TEXT_INIT("x-api-key"), true},
    [KNOWN_TENANT] = {TEXT_INIT("x-scope-orgid"), true},
};

static KnownHeader known_header(Text name) {
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (name.len == known_headers[i].name.len &&
            text_equal_ignore_case(name, known_headers[i].name)) {
            return (KnownHeader)i;
        }
    }
    return KNOWN_COUNT;
}

static void read_connection(Text value, bool *close, bool *keep) {
    Text rest = value, option;
    while (text_cut(&rest, ',', &option)) {
        option = trim_blanks(option);
        if (text_equal_ignore_case(option, TEXT("close"))) *close = true;
        if (text_equal_ignore_case(option, TEXT("keep-alive"))) *keep = true;
    }
}

// Content-Length = 1*DIGIT; leading zeros are fine, a list is not.
static bool read_length(Text value, int64_t *out) {
    if (value.len == 0) return false;
    int64_t length = 0;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c < '0' || c > '9' || length > (INT64_MAX - 9) / 10) return false;
        length = length * 10 + (c - '0');
    }
    *out = length;
    return true;
}

static bool refuse_view(HttpRefusal *refusal, int status, const char *reason) {
    refuse(refusal, status, reason);
    return false;
}

// Where the body ends, and what happens after it (RFC 9112, 6).
static bool view_framing(HttpRefusal *refusal, const Text known[KNOWN_COUNT], HttpHead *out) {
    Text length = known[KNOWN_LENGTH], transfer = known[KNOWN_TRANSFER],
         expect = known[KNOWN_EXPECT];
    if (transfer.at != NULL) {
        if (length.at != NULL)
            return refuse_view(refusal, 400,
                               "Content-Length and Transfer-Encoding exclude each other.");
        if (out->version_minor == 0)
            return refuse_view(refusal, 400, "HTTP/1.0 has no Transfer-Encoding.");
        if (!text_equal_ignore_case(transfer, TEXT("chunked"))) {
            return refuse_view(refusal, 501, "The only Transfer-Encoding known here is chunked.");
        }
        out->chunked = true;
    }
    if (length.at != NULL && !read_length(length, &out->content_length)) {
        return refuse_view(refusal, 400, "Content-Length is not a number.");
    }
    if (expect.at != NULL && out->version_minor == 1) {
        if (!text_equal_ignore_case(expect, TEXT("100-continue"))) {
            return refuse_view(refusal, 417, "The only expectation known here is 100-continue.");
        }
        out->expect_continue = true;
    }
    return true;
}

// Cuts "http://host[:port]" off an absolute target; the rest is "" or begins with '/' or '?'.
static bool cut_authority(Text *target, Text *authority) {
    static const Text schemes[] = {TEXT_INIT("http://"), TEXT_INIT("https://")};
    for (size_t i = 0; i < COUNT(schemes); i++) {
        if (target->len < schemes[i].len ||
            !text_equal_ignore_case(text_slice(*target, 0, schemes[i].len), schemes[i]))
            continue;
        size_t end = schemes[i].len;
        while (end < target->len && target->at[end] != '/' && target->at[end] != '?') end++;
        *authority = text_slice(*target, schemes[i].len, end);
        *target = text_slice(*target, end, target->len);
        return authority->len > 0;
    }
    return false;
}

static bool has_dot_segment(Text path) {
    Text rest = path, segment;
    while (text_cut(&rest, '/', &segment)) {
        if (text_equal(segment, TEXT(".")) || text_equal(segment, TEXT(".."))) return true;
    }
    return false;
}

// Decoded exactly once, and refused where a second reader could see another path.
static bool view_path(HttpRefusal *refusal, Text raw, Arena *arena, Text *out) {
    if (!url_decode(raw, false, arena, out, NULL))
        return refuse_view(refusal, 400, "The path has a % without two hex digits.");
    size_t slashes_raw = 0, slashes = 0;
    for (size_t i = 0; i < raw.len; i++) slashes_raw += raw.at[i] == '/';
    for (size_t i = 0; i < out->len; i++) {
        uint8_t byte = (uint8_t)out->at[i];
        slashes += byte == '/';
        if (byte < 0x20 || byte == 0x7f)
            return refuse_view(refusal, 400, "The path has an encoded control byte.");
        if (byte == '\\') return refuse_view(refusal, 400, "The path has a backslash.");
    }
    if (slashes != slashes_raw) return refuse_view(refusal, 400, "The path has an encoded slash.");
    if (has_dot_segment(*out))
        return refuse_view(refusal, 400, "The path has a segment . or .. in it.");
    if (!text_is_utf8(*out)) return refuse_view(refusal, 400, "The path is not UTF-8.");
    return true;
}

static bool view_target(HttpRefusal *refusal, Arena *arena, HttpHead *out) {
    if (out->target.len == 0 || !all_of(out->target, BYTE_TARGET))
        return refuse_view(refusal, 400, "The target holds bytes that must be percent-encoded.");
    if (text_equal(out->target, TEXT("*"))) {
        if (out->method != HTTP_OPTIONS)
            return refuse_view(refusal, 400, "The target * is for OPTIONS only.");
        out->path = out->target;
        return true;
    }
    Text rest = out->target, authority = TEXT_NONE, path;
    if (rest.at[0] != '/') {
        if (!cut_authority(&rest, &authority))
            return refuse_view(refusal, 400, "The target does not begin with a slash.");
        if (!text_equal_ignore_case(authority, out->host) && out->version_minor == 1) {
            return refuse_view(refusal, 400, "The target names another host than the Host header.");
        }
        if (rest.len == 0 || rest.at[0] != '/') {
            // "http://host?query": the empty path is "/".
            out->path = TEXT("/");
            out->query = rest.len == 0 ? TEXT("") : text_slice(rest, 1, rest.len);
            return true;
        }
    }
    text_cut(&rest, '?', &path);
    out->query = rest.at == NULL ? TEXT("") : rest;
    return view_path(refusal, path, arena, &out->path);
}

bool http_head_interpret(HttpRefusal *refusal, Arena *arena, HttpHead *out) {
    Text known[KNOWN_COUNT] = {0};
    bool close = false, keep = false;
    for (size_t i = 0; i < out->header_count; i++) {
        const HttpHeader *header = &out->headers[i];
        KnownHeader which = known_header(header->name);
        if (which == KNOWN_COUNT) continue;
        if (known_headers[which].once && known[which].at != NULL) {
            return refuse_view(
                refusal, 400,
                "A header that may come once (Host, Content-Length, Authorization, …) came twice.");
        }
        known[which] = header->value;
        if (which == KNOWN_CONNECTION) read_connection(header->value, &close, &keep);
    }
    out->keep_alive = !close && (out->version_minor == 1 || keep);
    out->host = known[KNOWN_HOST].at == NULL ? TEXT("") : known[KNOWN_HOST];
    if (known[KNOWN_HOST].at == NULL && out->version_minor == 1)
        return refuse_view(refusal, 400, "The Host header is missing.");
    if (!all_of(out->host, BYTE_HOST))
        return refuse_view(refusal, 400, "The Host header is not a host name.");
    return view_framing(refusal, known, out) && view_target(refusal, arena, out);
}

bool http_head_view(HttpHeadParser *parser, Bytes buffer, Arena *arena, HttpHead *out) {
    assert(parser->head_len > 0 && parser->head_len <= buffer.len);
    HttpHeader *headers = arena_push_array_raw(arena, HttpHeader, MAX(parser->header_count, 1u));
    for (size_t i = 0; i < parser->header_count; i++) {
        headers[i] = (HttpHeader){span_text(parser->headers[i].name, buffer),
                                  span_text(parser->headers[i].value, buffer)};
    }
    *out = (HttpHead){.method = parser->method,
                      .version_major = 1,
                      .version_minor = parser->version_minor,
                      .target = span_text(parser->target, buffer),
                      .query = TEXT(""),
                      .headers = headers,
                      .header_count = parser->header_count};
    return http_head_interpret(&parser->refusal, arena, out);
}
