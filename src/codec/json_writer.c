// Writing JSON by pushing: commas, escapes and UTF-8 are seen to here.

#include <math.h>

#include "codec/json.h"
#include "codec/number.h"

JsonWriter json_writer_begin(Builder *out) {
    return (JsonWriter){out, false};
}

// A comma when something stands before; what is about to be written wants one behind it.
static void separate(JsonWriter *writer) {
    if (writer->need_comma) builder_add_char(writer->out, ',');
    writer->need_comma = true;
}

static void open(JsonWriter *writer, char bracket) {
    separate(writer);
    builder_add_char(writer->out, bracket);
    writer->need_comma = false;
}

static void close(JsonWriter *writer, char bracket) {
    builder_add_char(writer->out, bracket);
    writer->need_comma = true;
}

void json_object_begin(JsonWriter *writer) {
    open(writer, '{');
}

void json_object_end(JsonWriter *writer) {
    close(writer, '}');
}

void json_array_begin(JsonWriter *writer) {
    open(writer, '[');
}

void json_array_end(JsonWriter *writer) {
    close(writer, ']');
}

// Bytes of the well-formed UTF-8 sequence at the front of `text`; 0 when there is none.
static size_t sequence_len(Text text) {
    uint8_t lead = (uint8_t)text.at[0];
    size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return len <= text.len && text_is_utf8((Text){text.at, len}) ? len : 0;
}

// One character that cannot stand as it is: a control, a quote, a backslash, or a broken byte.
static void add_escaped(Builder *out, uint8_t c) {
    static const char hex[] = "0123456789abcdef";
    static const char short_from[] = "\"\\\b\f\n\r\t", short_to[] = "\"\\bfnrt";
    const char *found = c == 0 ? NULL : memchr(short_from, c, sizeof short_from - 1);
    if (c >= 0x80) {
        builder_add(out, TEXT("\xef\xbf\xbd"));
    } else if (found != NULL) {
        builder_add_char(out, '\\');
        builder_add_char(out, short_to[found - short_from]);
    } else {
        builder_add(out, TEXT("\\u00"));
        builder_add_char(out, hex[c >> 4]);
        builder_add_char(out, hex[c & 15]);
    }
}

// Eight bytes that can stand as they are: below 0x80, no control, no quote, no backslash. Any bit
// of the result is one that cannot (Mycroft's test for zero bytes; borrows only add more of them
// behind a true one).
static inline uint64_t odd_bytes(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    uint64_t odd = (word - ones * 0x20) | (quote - ones) | (backslash - ones) | word;
    return odd & highs;
}

// Copies the text; true when all of it can stand as it is. Most texts are short, so the last bytes
// are not looked at one by one: the words at both ends overlap.
static inline bool copy_plain(char *to, Text text) {
    uint64_t odd = 0, word = UINT64_C(0x7878787878787878);  // of plain bytes
    if (text.len >= sizeof word) {
        size_t last = text.len - sizeof word;
        for (size_t at = 0; at < last; at += sizeof word) {
            memcpy(&word, text.at + at, sizeof word);
            memcpy(to + at, &word, sizeof word);
            odd |= odd_bytes(word);
        }
        memcpy(&word, text.at + last, sizeof word);
        memcpy(to + last, &word, sizeof word);
    } else if (text.len >= sizeof(uint32_t)) {
        uint32_t begin, end;
        memcpy(&begin, text.at, sizeof begin);
        memcpy(&end, text.at + text.len - sizeof end, sizeof end);
        memcpy(to, &begin, sizeof begin);
        memcpy(to + text.len - sizeof end, &end, sizeof end);
        word = begin | (uint64_t)end << 32;
    } else if (text.len > 0) {
        memcpy(&word, text.at, text.len);
        memcpy(to, &word, text.len);
    }
    return (odd | odd_bytes(word)) == 0;
}

static void add_escaping(Builder *out, Text text) {
    size_t begin = 0;  // of the run that can be copied as it is
    for (size_t at = 0; at < text.len;) {
        uint8_t c = (uint8_t)text.at[at];
        size_t len = 1;
        bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
        if (c >= 0x80) {
            len = sequence_len((Text){text.at + at, text.len - at});
            plain = len > 0;
        }
        if (plain) {
            at += len;
            continue;
        }
        builder_add_bytes(out, text.at + begin, at - begin);
        add_escaped(out, c);
        begin = ++at;
    }
    builder_add_bytes(out, text.at + begin, text.len - begin);
}

static inline void add_string(Builder *out, Text text) {
    builder_reserve(out, text.len + 2);
    builder_add_char(out, '"');
    if (likely(copy_plain(out->at + out->len, text))) {
        out->len += text.len;
    } else {
        add_escaping(out, text);
    }
    builder_add_char(out, '"');
}

void json_key(JsonWriter *writer, Text key) {
    separate(writer);
    add_string(writer->out, key);
    builder_add_char(writer->out, ':');
    writer->need_comma = false;
}

void json_text(JsonWriter *writer, Text value) {
    separate(writer);
    add_string(writer->out, value);
}

void json_member(JsonWriter *writer, Text key, Text value) {
    Builder *out = writer->out;
    builder_reserve(out, key.len + value.len + 6);
    char *at = out->at + out->len;
    if (writer->need_comma) *at++ = ',';
    *at++ = '"';
    bool plain = copy_plain(at, key);
    at += key.len;
    memcpy(at, "\":\"", 3);
    at += 3;
    plain &= copy_plain(at, value);
    at += value.len;
    *at++ = '"';
    if (likely(plain)) {
        out->len = (size_t)(at - out->at);
        writer->need_comma = true;
    } else {
        json_key(writer, key);
        json_text(writer, value);
    }
}

void json_i64(JsonWriter *writer, int64_t value) {
    separate(writer);
    builder_add_i64(writer->out, value);
}

void json_u64(JsonWriter *writer, uint64_t value) {
    separate(writer);
    builder_add_u64(writer->out, value);
}

void json_f64(JsonWriter *writer, double value) {
    if (!isfinite(value)) {
        json_null(writer);
        return;
    }
    separate(writer);
    builder_reserve(writer->out, NUMBER_TEXT_MAX);
    writer->out->len += number_format_shortest(value, writer->out->at + writer->out->len);
}

void json_bool(JsonWriter *writer, bool value) {
    json_raw(writer, value ? TEXT("true") : TEXT("false"));
}

void json_null(JsonWriter *writer) {
    json_raw(writer, TEXT("null"));
}

void json_raw(JsonWriter *writer, Text value) {
    separate(writer);
    builder_add(writer->out, value);
}
