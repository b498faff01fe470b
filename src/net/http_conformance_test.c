// Other people's requests: where their strict parser errors we refuse, where it completes we
// accept, unless our rules are stricter (the table below says why).
//
// A case is a markdown heading, a comment with meta={"type": …}, a ```http block (with \r \n \t \f
// written out, a backslash at a line's end joining lines, line ends meaning CR LF) and a ```log
// block of events. Cases without a Host header get one: we refuse its absence, they do not look.

#include "base/array.h"
#include "base/test.h"
#include "net/http_parse.h"
#include "os/disk.h"

typedef struct Case {
    Text file, heading, type, input, log;
} Case;
typedef ARRAY(Case) Cases;

// Where we refuse what they accept, and why.
static const struct {
    Text heading;
    const char *why;
} stricter[] = {
#define STRICTER(heading, why) \
    { TEXT_INIT(heading), why }
    STRICTER("SOURCE request with ICE", "a protocol we do not speak"),
    STRICTER("OPTIONS request with RTSP", "a protocol we do not speak"),
    STRICTER("ANNOUNCE request with RTSP", "a protocol we do not speak"),
    STRICTER("No HTTP version", "HTTP/0.9 has no headers, so no Host and no credentials"),
    STRICTER("POST with `chunked` as last transfer-encoding",
             "a fragment in the target, and a coding beside chunked"),
    STRICTER("POST with `chunked` as last transfer-encoding (multiple headers)",
             "a fragment in the target, and a coding beside chunked"),
    STRICTER("Fragment in URI", "a fragment is never sent (RFC 9112, 3.2); proxies differ on it"),
    STRICTER("`host:port` and basic auth",
             "user information in a target is phishing or a leak (RFC 9110, 4.2.4)"),
    STRICTER("Content-Length reset when no body is received",
             "they are told to skip bodies; for us the second request is the body"),
};

// Methods, codings and versions that we do not speak are told apart by our own status.
static bool is_stricter(const Case *one, HttpRefusal refusal) {
    if (refusal.status == 501 || refusal.status == 505) return true;
    for (size_t i = 0; i < COUNT(stricter); i++) {
        if (text_equal(stricter[i].heading, one->heading)) return true;
    }
    return false;
}

static bool cut_line(Text *rest, Text *line) {
    return text_cut(rest, '\n', line);
}

static Text read_block(Text *rest, Arena *arena) {
    Builder block = {0};
    Text line;
    while (cut_line(rest, &line) && !text_equal(text_trim(line), TEXT("```"))) {
        builder_add(&block, line);
        builder_add_char(&block, '\n');
    }
    Text text = text_copy(builder_text(&block), arena);
    builder_free(&block);
    return text;
}

static Text unescape(Text text, Arena *arena) {
    Builder out = {0};
    if (text_ends_with(text, TEXT("\n"))) text.len--;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i], next = i + 1 < text.len ? text.at[i + 1] : '\0';
        if (c == '\n') {
            builder_add(&out, TEXT("\r\n"));
        } else if (c == '\\' &&
                   (next == '\n' || next == 'r' || next == 'n' || next == 't' || next == 'f')) {
            i++;
            if (next != '\n')
                builder_add_char(&out, (char)(next == 'r'   ? '\r'
                                              : next == 'n' ? '\n'
                                              : next == 't' ? '\t'
                                                            : '\f'));
        } else if (c == '\\' && next == 'x' && i + 3 < text.len) {
            unsigned value = 0;
            for (size_t k = i + 2; k < i + 4; k++) {
                char digit = text.at[k];
                value =
                    value * 16 + (unsigned)(digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10);
            }
            builder_add_char(&out, (char)value);
            i += 3;
        } else {
            builder_add_char(&out, c);
        }
    }
    Text copy = text_copy(builder_text(&out), arena);
    builder_free(&out);
    return copy;
}

static void read_cases(Text file, Text text, Arena *arena, Cases *out) {
    Text rest = text, line;
    Case one = {.file = file};
    while (cut_line(&rest, &line)) {
        if (text_starts_with(line, TEXT("#"))) {
            while (text_starts_with(line, TEXT("#"))) line = text_slice(line, 1, line.len);
            one.heading = text_trim(line);
        } else if (text_starts_with(line, TEXT("<!-- meta="))) {
            ptrdiff_t at = text_find(line, TEXT("\"request"));
            Text tail = at < 0 ? TEXT("") : text_slice(line, (size_t)at + 1, line.len);
            text_cut(&tail, '"', &one.type);
        } else if (text_equal(line, TEXT("```http"))) {
            one.input = unescape(read_block(&rest, arena), arena);
        } else if (text_equal(line, TEXT("```log"))) {
            one.log = read_block(&rest, arena);
            *array_add_on(arena, out) = one;
        }
    }
}

static size_t count_of(Text text, Text needle) {
    size_t count = 0;
    for (ptrdiff_t at; (at = text_find(text, needle)) >= 0; count++)
        text = text_slice(text, (size_t)at + needle.len, text.len);
    return count;
}

typedef struct Outcome {
    size_t completed;
    bool closed;  // the last message asked for it
    bool refused;
    HttpRefusal refusal;
} Outcome;

// The host of an absolute target, else any.
static Text host_of(Text request) {
    ptrdiff_t at = text_find(request, TEXT("://"));
    ptrdiff_t line_end = text_find(request, TEXT("\r\n"));
    if (at < 0 || at > line_end) return TEXT("h");
    size_t end = (size_t)at + 3;
    while (strchr(" /?\r", request.at[end]) == NULL) end++;
    return text_slice(request, (size_t)at + 3, end);
}

static Text add_host(Text request, Arena *arena) {
    while (text_starts_with(request, TEXT("\r\n"))) request = text_slice(request, 2, request.len);
    size_t end = (size_t)text_find(request, TEXT("\r\n")) + 2;
    Text host = host_of(request), rest = text_slice(request, end, request.len);
    return text_format(arena, "%.*sHost: %.*s\r\n%.*s", (int)end, request.at, TEXT_ARG(host),
                       TEXT_ARG(rest));
}

// One message; false when bytes are missing or it is refused.
static bool run_message(Text *input, Arena *arena, Outcome *out) {
    static const HttpParseLimits limits = {16 * KB, 64 * KB, 32 * KB, 64};
    HttpHeadParser *parser = arena_push(arena, HttpHeadParser);
    HttpHead head;
    HttpProgress progress = http_head_parse(parser, text_bytes(*input), &limits);
    bool viewed = progress == HTTP_DONE && http_head_view(parser, text_bytes(*input), arena, &head);
    if (!viewed && progress == HTTP_DONE &&
        text_find(text_from_cstring(parser->refusal.reason), TEXT("Host header is missing")) >= 0) {
        *input = add_host(*input, arena);
        return run_message(input, arena, out);
    }
    out->refused = progress == HTTP_REFUSED || (progress == HTTP_DONE && !viewed);
    out->refusal = parser->refusal;
    if (!viewed) return false;
    out->closed = !head.keep_alive;
    Text rest = text_slice(*input, parser->head_len, input->len);
    if (!head.chunked) {
        if ((int64_t)rest.len < head.content_length) return false;
        *input = text_slice(rest, (size_t)head.content_length, rest.len);
        return true;
    }
    HttpChunks chunks = {0};
    progress = HTTP_MORE;
    while (progress == HTTP_MORE && rest.len > 0) {
        size_t used;
        Bytes data;
        progress = http_chunks_parse(&chunks, text_bytes(rest), 1 << 20, &used, &data);
        rest = text_slice(rest, used, rest.len);
    }
    out->refused = progress == HTTP_REFUSED;
    out->refusal = chunks.refusal;
    *input = rest;
    return progress == HTTP_DONE;
}

static Outcome run_case(const Case *one, Arena *arena) {
    Outcome out = {0};
    Text input = one->input;
    while (input.len > 0 && !out.closed && run_message(&input, arena, &out)) out.completed++;
    return out;
}

// Pauses are written as errors 21 to 24 in the log; they are none.
static bool log_has_error(Text log) {
    size_t pauses = count_of(log, TEXT("error code=21")) + count_of(log, TEXT("error code=22")) +
                    count_of(log, TEXT("error code=23"));
    return count_of(log, TEXT("error code=")) > pauses;
}

TEST(strict_cases_end_as_theirs_do) {
    Text folder = test_data_folder(t, "parsers/http/request");
    DiskEntries files;
    check_ok(t, disk_real()->list(disk_real(), folder, t->arena, &files, t->err));
    Cases cases = {0};
    for (size_t i = 0; i < files.count; i++) {
        if (!text_ends_with(files.at[i].name, TEXT(".md"))) continue;
        Bytes content;
        Text path =
            text_format(t->arena, "%.*s/%.*s", TEXT_ARG(folder), TEXT_ARG(files.at[i].name));
        check_ok(t, disk_read_whole(disk_real(), path, 1 << 20, t->arena, &content, t->err));
        read_cases(files.at[i].name, bytes_text(content), t->arena, &cases);
    }
    size_t accepted = 0, refused = 0, exceptions = 0, lenient_refused = 0, lenient = 0,
           failures = 0;
    for (size_t i = 0; i < cases.count; i++) {
        const Case *one = &cases.at[i];
        Outcome out = run_case(one, t->arena);
        bool is_lenient = text_starts_with(one->type, TEXT("request-lenient"));
        if (is_lenient) {
            lenient++;
            lenient_refused += out.refused;
            if (!out.refused && !out.closed)
                printf("# not refused: %.*s: %.*s\n", TEXT_ARG(one->type), TEXT_ARG(one->heading));
            continue;
        }
        size_t theirs = count_of(one->log, TEXT("message complete"));
        bool error = log_has_error(one->log);
        bool ok = error ? out.completed <= theirs : out.completed >= theirs && !out.refused;
        if (ok) {
            *(error ? &refused : &accepted) += 1;
        } else if (!error && is_stricter(one, out.refusal)) {
            exceptions++;
        } else {
            failures++;
            printf("# %.*s: %.*s: %zu messages (theirs %zu%s), %d %s\n", TEXT_ARG(one->file),
                   TEXT_ARG(one->heading), out.completed, theirs, error ? " and an error" : "",
                   out.refusal.status, out.refusal.reason == NULL ? "" : out.refusal.reason);
        }
    }
    printf(
        "# %zu cases: %zu accepted as theirs, %zu refused as theirs, %zu stricter by rule, %zu "
        "differ; lenient: %zu of %zu refused\n",
        cases.count, accepted, refused, exceptions, failures, lenient_refused, lenient);
    check(t, cases.count > 100);
    check_i64(t, 0, failures);
}

TEST_MAIN("net/http_conformance", CASE(strict_cases_end_as_theirs_do))
