// The conformance table of HTTP/2: test/http2/*.cases, frames in a readable form and what must come
// of them. The language of the files is described in test/http2/README.md.

#include <stdio.h>

#include "net/http2_wire.h"
#include "os/disk.h"

static const struct {
    const char *name;
    uint8_t type;
} types[] = {{"DATA", 0},          {"HEADERS", 1},      {"PRIORITY", 2}, {"RST_STREAM", 3},
             {"SETTINGS", 4},      {"PUSH_PROMISE", 5}, {"PING", 6},     {"GOAWAY", 7},
             {"WINDOW_UPDATE", 8}, {"CONTINUATION", 9}};

static const struct {
    const char *name;
    uint8_t flag;
} flags[] = {{"end_stream", 1}, {"ack", 1}, {"end_headers", 4}, {"padded", 8}, {"priority", 32}};

static const char *const codes[] = {"NO_ERROR",
                                    "PROTOCOL_ERROR",
                                    "INTERNAL_ERROR",
                                    "FLOW_CONTROL_ERROR",
                                    "SETTINGS_TIMEOUT",
                                    "STREAM_CLOSED",
                                    "FRAME_SIZE_ERROR",
                                    "REFUSED_STREAM",
                                    "CANCEL",
                                    "COMPRESSION_ERROR",
                                    "CONNECT_ERROR",
                                    "ENHANCE_YOUR_CALM",
                                    "INADEQUATE_SECURITY",
                                    "HTTP_1_1_REQUIRED"};

typedef struct Runner {
    Test *t;
    const char *file;
    int line;
    Text name;
    Wire wire;
    bool open, over;
    int failed;
} Runner;

static _Noreturn void fail(const Runner *r, const char *what, Text text) {
    check_failed(r->t, r->file, r->line, "case \"%.*s\": %s: %.*s", TEXT_ARG(r->name), what,
                 TEXT_ARG(text));
    __builtin_unreachable();
}

static Text next_word(Text *rest) {
    *rest = text_trim(*rest);
    Text word = TEXT("");
    if (rest->len > 0 && !text_cut(rest, ' ', &word)) word = TEXT("");
    return word;
}

static uint64_t number_of(const Runner *r, Text text) {
    uint64_t value = 0;
    if (text_starts_with(text, TEXT("0x"))) {
        for (size_t i = 2; i < text.len; i++) {
            char c = text.at[i];
            value = value * 16 + (uint64_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
        }
        return value;
    }
    if (!text_to_u64(text, &value)) fail(r, "not a number", text);
    return value;
}

static uint8_t type_of(const Runner *r, Text word) {
    for (size_t i = 0; i < COUNT(types); i++)
        if (text_equal(text_from_cstring(types[i].name), word)) return types[i].type;
    return (uint8_t)number_of(r, word);
}

static uint8_t flags_of(const Runner *r, Text word) {
    uint8_t all = 0;
    Text one;
    if (text_equal(word, TEXT("-"))) return 0;
    while (text_cut(&word, '+', &one)) {
        size_t i = 0;
        while (i < COUNT(flags) && !text_equal(text_from_cstring(flags[i].name), one)) i++;
        all |= i < COUNT(flags) ? flags[i].flag : (uint8_t)number_of(r, one);
    }
    return all;
}

static uint32_t code_of(const Runner *r, Text word) {
    for (size_t i = 0; i < COUNT(codes); i++)
        if (text_equal(text_from_cstring(codes[i]), word)) return (uint32_t)i;
    fail(r, "unknown code", word);
}

static int hex_of(char c) {
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

static void add_hex(const Runner *r, Text hex, Builder *out) {
    if (hex.len % 2 != 0) fail(r, "odd hex", hex);
    for (size_t i = 0; i < hex.len; i += 2)
        builder_add_char(out, (char)(hex_of(hex.at[i]) << 4 | hex_of(hex.at[i + 1])));
}

// %20 and the like, so that blanks and control bytes can be written.
static Text unescape(const Runner *r, Text text) {
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '%' && i + 2 < text.len) {
            builder_add_char(&out, (char)(hex_of(text.at[i + 1]) << 4 | hex_of(text.at[i + 2])));
            i += 2;
        } else {
            builder_add_char(&out, text.at[i]);
        }
    }
    return text_copy(builder_text(&out), r->t->arena);
}

static bool value_after(Text word, Text prefix, Text *out) {
    if (!text_starts_with(word, prefix)) return false;
    *out = text_slice(word, prefix.len, word.len);
    return true;
}

// A payload word. `*len` is overridden by len:N.
static void add_payload(const Runner *r, Text word, Builder *out, size_t *len) {
    Text rest;
    if (text_equal(word, TEXT("@get"))) {
        wire_get(out, TEXT("/"));
    } else if (value_after(word, TEXT("@get:"), &rest)) {
        wire_get(out, rest);
    } else if (value_after(word, TEXT("@post:"), &rest)) {
        wire_field(out, TEXT(":method"), TEXT("POST"));
        wire_field(out, TEXT(":scheme"), TEXT("http"));
        wire_field(out, TEXT(":path"), rest);
        wire_field(out, TEXT(":authority"), TEXT("a.test"));
    } else if (value_after(word, TEXT("hex:"), &rest)) {
        add_hex(r, rest, out);
    } else if (value_after(word, TEXT("text:"), &rest)) {
        builder_add(out, unescape(r, rest));
    } else if (value_after(word, TEXT("zeros:"), &rest)) {
        for (uint64_t i = number_of(r, rest); i > 0; i--) builder_add_char(out, 0);
    } else if (value_after(word, TEXT("long:"), &rest)) {
        AUTO(builder_free) Builder value = {0};
        for (uint64_t i = number_of(r, rest); i > 0; i--) builder_add_char(&value, 'v');
        wire_field(out, TEXT("x-long"), builder_text(&value));
    } else if (value_after(word, TEXT("u32:"), &rest)) {
        wire_u32(out, (uint32_t)number_of(r, rest));
    } else if (value_after(word, TEXT("set:"), &rest)) {
        Text id;
        text_cut(&rest, ':', &id);
        uint64_t number = number_of(r, id);
        builder_add_char(out, (char)(number >> 8));
        builder_add_char(out, (char)number);
        wire_u32(out, (uint32_t)number_of(r, rest));
    } else if (value_after(word, TEXT("len:"), &rest)) {
        *len = (size_t)number_of(r, rest);
    } else {
        size_t from = word.len > 0 && word.at[0] == ':' ? 1 : 0;
        ptrdiff_t equals = text_find_char(text_slice(word, from, word.len), '=');
        if (equals < 0) fail(r, "not a payload", word);
        size_t at = from + (size_t)equals;
        wire_field(out, unescape(r, text_slice(word, 0, at)),
                   unescape(r, text_slice(word, at + 1, word.len)));
    }
}

static void feed(Runner *r, Text bytes) {
    if (!r->open) wire_open(&r->wire);
    r->open = true;
    if (!wire_feed(&r->wire, bytes)) r->over = true;
}

// "send TYPE STREAM FLAGS payload…", "times N TYPE …"
static void run_send(Runner *r, Text rest, uint64_t times) {
    uint8_t type = type_of(r, next_word(&rest));
    uint32_t stream = (uint32_t)number_of(r, next_word(&rest));
    uint8_t bits = flags_of(r, next_word(&rest));
    AUTO(builder_free) Builder payload = {0}, frame = {0};
    size_t len = SIZE_MAX;
    for (Text word = next_word(&rest); word.len > 0; word = next_word(&rest))
        add_payload(r, word, &payload, &len);
    for (uint64_t i = 0; i < times; i++) {
        wire_frame_head(&frame, len == SIZE_MAX ? payload.len : len, type, bits, stream);
        builder_add(&frame, builder_text(&payload));
    }
    feed(r, builder_text(&frame));
}

static bool header_is(const Runner *r, uint32_t stream, Text field, bool trailer) {
    for (size_t i = 0; i < r->wire.events.count; i++) {
        const WireEvent *event = &r->wire.events.at[i];
        if (event->type != HTTP2_HEADERS || event->stream != stream) continue;
        if ((event->status == 0) != trailer) continue;
        Text lines = event->headers, line;
        while (text_cut(&lines, '\n', &line))
            if (text_equal(line, field)) return true;
    }
    return false;
}

// One outcome, as told after "expect".
static bool holds(Runner *r, Text rest) {
    Wire *wire = &r->wire;
    Text what = next_word(&rest);
    uint32_t code = UINT32_MAX;
    if (text_equal(what, TEXT("goaway")))
        return wire_goaway(wire, &code) && code == code_of(r, next_word(&rest)) &&
               http2_is_over(wire->session);
    if (text_equal(what, TEXT("alive")))
        return !wire_goaway(wire, &code) && wire_alive(wire) && !http2_is_over(wire->session);
    if (text_equal(what, TEXT("over"))) return http2_is_over(wire->session);
    if (text_equal(what, TEXT("settings"))) return wire_find(wire, HTTP2_SETTINGS, 0) != NULL;
    if (text_equal(what, TEXT("settings-ack"))) {
        for (size_t i = 0; i < wire->events.count; i++) {
            const WireEvent *event = &wire->events.at[i];
            if (event->type == HTTP2_SETTINGS && event->flags == HTTP2_FLAG_ACK) return true;
        }
        return false;
    }
    if (text_equal(what, TEXT("ping-ack"))) {
        const WireEvent *event = wire_find(wire, HTTP2_PING, 0);
        return event != NULL && event->flags == HTTP2_FLAG_ACK &&
               text_equal(event->payload, next_word(&rest));
    }
    if (text_equal(what, TEXT("no-ping-ack"))) return wire_find(wire, HTTP2_PING, 0) == NULL;
    if (text_equal(what, TEXT("heads")))
        return (uint64_t)wire->heads == number_of(r, next_word(&rest));
    uint32_t stream = (uint32_t)number_of(r, next_word(&rest));
    Text word = next_word(&rest);
    if (text_equal(what, TEXT("reset")))
        return wire_reset(wire, stream, &code) && code == code_of(r, word);
    if (text_equal(what, TEXT("no-reset"))) return !wire_reset(wire, stream, &code);
    if (text_equal(what, TEXT("answer")))
        return wire_status(wire, stream) == (int)number_of(r, word) && wire_ended(wire, stream);
    if (text_equal(what, TEXT("no-answer"))) return wire_status(wire, stream) == 0;
    if (text_equal(what, TEXT("begun")))
        return wire_status(wire, stream) == (int)number_of(r, word) && !wire_ended(wire, stream);
    if (text_equal(what, TEXT("continue"))) {
        const WireEvent *event = wire_find(wire, HTTP2_HEADERS, stream);
        return event != NULL && event->status == 100;
    }
    if (text_equal(what, TEXT("body")))
        return text_equal(wire_body(wire, stream), unescape(r, word));
    if (text_equal(what, TEXT("body-bytes")))
        return wire_body(wire, stream).len == number_of(r, word);
    if (text_equal(what, TEXT("header"))) return header_is(r, stream, unescape(r, word), false);
    if (text_equal(what, TEXT("no-header"))) return !header_is(r, stream, unescape(r, word), false);
    if (text_equal(what, TEXT("trailer"))) return header_is(r, stream, unescape(r, word), true);
    if (text_equal(what, TEXT("window"))) {
        const WireEvent *event = wire_find(wire, HTTP2_WINDOW_UPDATE, stream);
        return event != NULL && event->code >= number_of(r, word);
    }
    fail(r, "unknown outcome", what);
}

static Text events_text(const Runner *r) {
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < r->wire.events.count; i++) {
        const WireEvent *event = &r->wire.events.at[i];
        builder_addf(&out, "%s %u flags %d code %u status %d, ",
                     event->type < COUNT(types) ? types[event->type].name : "?", event->stream,
                     event->flags, event->code, event->status);
    }
    return text_copy(builder_text(&out), r->t->arena);
}

// "expect A | B": one of them.
static void run_expect(Runner *r, Text rest) {
    Text all = rest, one;
    while (text_cut(&rest, '|', &one))
        if (holds(r, one)) return;
    // All that fail are told, not only the first.
    printf("# %s:%d: case \"%.*s\": expected %.*s, but there came: %.*s\n", r->file, r->line,
           TEXT_ARG(r->name), TEXT_ARG(all), TEXT_ARG(events_text(r)));
    r->failed++;
}

static void end_case(Runner *r) {
    if (r->name.len == 0) return;
    if (!r->open) wire_open(&r->wire);
    wire_end(&r->wire);
    r->name = TEXT("");
    r->open = false;
}

static void begin_case(Runner *r, Text name, bool greet) {
    end_case(r);
    r->name = name;
    r->over = false;
    wire_begin(r->t, &r->wire, false);
    if (!greet) return;
    wire_open(&r->wire);
    r->open = true;
    wire_greet(&r->wire);
    // What the greeting brought is not what a case is about.
    if (r->wire.events.count < 2) fail(r, "no greeting", events_text(r));
    array_clear(&r->wire.events);
}

static void run_line(Runner *r, Text line, size_t *cases) {
    Text rest = line, word = next_word(&rest);
    rest = text_trim(rest);
    if (word.len == 0 || word.at[0] == '#') return;
    if (text_equal(word, TEXT("case")) || text_equal(word, TEXT("raw"))) {
        begin_case(r, rest, text_equal(word, TEXT("case")));
        (*cases)++;
    } else if (text_equal(word, TEXT("send"))) {
        run_send(r, rest, 1);
    } else if (text_equal(word, TEXT("times"))) {
        uint64_t times = number_of(r, next_word(&rest));
        run_send(r, rest, times);
    } else if (text_equal(word, TEXT("bytes"))) {
        AUTO(builder_free) Builder bytes = {0};
        size_t ignored;
        while ((word = next_word(&rest)).len > 0) add_payload(r, word, &bytes, &ignored);
        feed(r, builder_text(&bytes));
    } else if (text_equal(word, TEXT("preface"))) {
        feed(r, TEXT(WIRE_PREFACE));
    } else if (text_equal(word, TEXT("wait"))) {
        if (!r->open) feed(r, TEXT(""));
        wire_wait(&r->wire, (int64_t)number_of(r, rest));
    } else if (text_equal(word, TEXT("drain"))) {
        http2_drain(r->wire.session);
        wire_read(&r->wire);
    } else if (text_equal(word, TEXT("forget"))) {
        array_clear(&r->wire.events);
    } else if (text_equal(word, TEXT("expect"))) {
        run_expect(r, rest);
    } else {
        fail(r, "unknown word", word);
    }
}

static size_t run_file(Test *t, const char *file) {
    Bytes bytes;
    check_ok(
        t, disk_read_whole(disk_real(), text_from_cstring(file), 1 * MB, t->arena, &bytes, t->err));
    Runner *r = arena_push(t->arena, Runner);
    *r = (Runner){.t = t, .file = file};
    size_t cases = 0;
    Text rest = bytes_text(bytes), line;
    while (text_cut(&rest, '\n', &line)) {
        r->line++;
        run_line(r, line, &cases);
    }
    end_case(r);
    check_i64(t, 0, r->failed);
    return cases;
}

#define FILE_TEST(name, least)                                          \
    TEST(name##_cases_hold) {                                           \
        check(t, run_file(t, "test/http2/" #name ".cases") >= (least)); \
    }

FILE_TEST(frames, 90)
FILE_TEST(streams, 36)
FILE_TEST(messages, 70)
FILE_TEST(hpack, 25)

TEST_MAIN("net/http2_cases", CASE(frames_cases_hold), CASE(streams_cases_hold),
          CASE(messages_cases_hold), CASE(hpack_cases_hold))
