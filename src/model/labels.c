// Label sets as canonical bytes: walking, checking, making and printing them.

#include "model/labels.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/same_bytes.h"
#include "codec/reader.h"

enum { TAG_BYTES_1 = 0x0a, TAG_BYTES_2 = 0x12 };

// The shortest varint of up to three bytes; labels are far below 2 MiB. False when it is not there.
static inline bool take_len(const uint8_t **at, const uint8_t *end, size_t *out) {
    size_t value = 0;
    for (unsigned shift = 0; shift < 21; shift += 7) {
        if (*at == end) return false;
        uint8_t byte = *(*at)++;
        value |= (size_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return shift == 0 || byte != 0;  // a trailing zero group is a longer form than needed
        }
    }
    return false;
}

static inline bool take_field(const uint8_t **at, const uint8_t *end, uint8_t tag, Text *out) {
    if (*at == end || *(*at)++ != tag) return false;
    size_t len;
    if (!take_len(at, end, &len) || len > (size_t)(end - *at)) return false;
    *out = (Text){(const char *)*at, len};
    *at += len;
    return true;
}

// One label in canonical form; false when the bytes are anything else.
static inline bool take_label(const uint8_t **at, const uint8_t *end, Label *out) {
    Text whole;
    if (!take_field(at, end, TAG_BYTES_1, &whole)) return false;
    const uint8_t *inner = (const uint8_t *)whole.at;
    const uint8_t *inner_end = inner + whole.len;
    return take_field(&inner, inner_end, TAG_BYTES_1, &out->name) &&
           take_field(&inner, inner_end, TAG_BYTES_2, &out->value) && inner == inner_end;
}

bool labels_next_long(Bytes *rest, Label *out) {
    if (rest->len == 0) return false;
    const uint8_t *at = rest->at, *end = rest->at + rest->len;
    bool whole = take_label(&at, end, out);
    assert(whole);
    *rest = (Bytes){at, (size_t)(end - at)};
    return true;
}

size_t labels_count(Labels labels) {
    size_t count = 0;
    Label label;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) count++;
    return count;
}

Text labels_get(Labels labels, Text name) {
    Label label;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) {
        if (text_equal(label.name, name)) return label.value;
    }
    return TEXT_NONE;
}

// At most 64 bytes of a text from outside, for a message.
static Text excerpt(Text text) {
    return text_slice(text, 0, 64);
}

// One label, and whether it stands where it does rightly, behind the name before it (none: empty).
static bool check_label(const uint8_t **at, const uint8_t *end, int64_t number, Text before,
                        Label *out, Error *err) {
    if (!take_label(at, end, out)) {
        return error_set(err, ERROR_BAD_INPUT,
                         "label %lld is not a name and a value in canonical protobuf",
                         (long long)number);
    }
    Text name = excerpt(out->name);
    if (!text_is_utf8(out->name))
        return error_set(err, ERROR_BAD_INPUT, "a label name is not UTF-8 (label %lld)",
                         (long long)number);
    if (out->name.len == 0)
        return error_set(err, ERROR_BAD_INPUT, "label %lld has no name", (long long)number);
    if ((int64_t)out->name.len > LIMIT_LABEL_NAME_BYTES) {
        return error_set(err, ERROR_TOO_LARGE,
                         "label name \"%.*s…\" is longer than LABEL_NAME_BYTES (%lld)",
                         TEXT_ARG(name), (long long)LIMIT_LABEL_NAME_BYTES);
    }
    if ((int64_t)out->value.len > LIMIT_LABEL_VALUE_BYTES) {
        return error_set(err, ERROR_TOO_LARGE,
                         "the value of label \"%.*s\" is longer than LABEL_VALUE_BYTES (%lld)",
                         TEXT_ARG(name), (long long)LIMIT_LABEL_VALUE_BYTES);
    }
    if (!text_is_utf8(out->value))
        return error_set(err, ERROR_BAD_INPUT, "the value of label \"%.*s\" is not UTF-8",
                         TEXT_ARG(name));
    if (out->value.len == 0)
        return error_set(err, ERROR_BAD_INPUT, "label \"%.*s\" has an empty value", TEXT_ARG(name));
    int order = text_compare(before, out->name);
    if (order == 0)
        return error_set(err, ERROR_BAD_INPUT, "label \"%.*s\" stands twice", TEXT_ARG(name));
    if (order > 0)
        return error_set(err, ERROR_BAD_INPUT, "labels are not sorted: \"%.*s\" comes too late",
                         TEXT_ARG(name));
    return true;
}

// How long the label there is, where its length takes one byte; else 0.
static inline size_t short_label(const uint8_t *at, const uint8_t *end) {
    return end - at >= 2 && at[1] < 0x80 && at[1] <= end - at - 2 ? (size_t)at[1] + 2 : 0;
}

bool labels_check(Bytes wire, Error *err) {
    uint64_t same;
    return labels_check_beside(BYTES_NONE, wire, &same, err);
}

bool labels_check_beside(Bytes known, Bytes wire, uint64_t *same_at, Error *err) {
    *same_at = 0;
    if ((int64_t)wire.len > LIMIT_SERIES_LABELS_BYTES) {
        return error_set(err, ERROR_TOO_LARGE,
                         "the labels take %zu bytes, more than SERIES_LABELS_BYTES (%lld)",
                         wire.len, (long long)LIMIT_SERIES_LABELS_BYTES);
    }
    const uint8_t *at = wire.at, *end = wire.at + wire.len;
    const uint8_t *beside = known.at, *beside_end = known.at + known.len;
    Label label, before = {TEXT_NONE, TEXT_NONE};
    bool named = false, follows = true;  // the label before is the same in both, or there is none
    for (int64_t count = 0; at < end; count++, before = label) {
        if (count == LIMIT_SERIES_LABELS) {
            return error_set(err, ERROR_TOO_LARGE, "more labels than SERIES_LABELS (%lld)",
                             (long long)LIMIT_SERIES_LABELS);
        }
        size_t len = short_label(beside, beside_end);
        bool same = len > 0 && len <= (size_t)(end - at) && same_bytes(beside, at, len);
        beside = len == 0 ? beside_end : beside + len;
        if (same && follows) {
            Bytes rest = {at, len};
            (void)labels_next(&rest, &label);
            at += len;
        } else {
            TRY(check_label(&at, end, count + 1, before.name, &label, err));
        }
        follows = same;
        if (same && count < 64) *same_at |= UINT64_C(1) << count;
        named |= text_equal(label.name, LABEL_NAME);
    }
    if (!named)
        return error_set(err, ERROR_BAD_INPUT, "the metric name (label __name__) is missing");
    return true;
}

// Is the name among the labels that stand before `end`? They are known to be whole.
static bool stands_before(const uint8_t *at, const uint8_t *end, Text name) {
    Label label;
    while (at < end && take_label(&at, end, &label)) {
        if (text_equal(label.name, name)) return true;
    }
    return false;
}

bool labels_check_exemplar(Bytes wire, Error *err) {
    // Small enough to look for a repeated name by walking again; the limit counts characters, a
    // character has up to four bytes.
    if ((int64_t)wire.len > 4 * LIMIT_EXEMPLAR_LABELS_BYTES) {
        return error_set(
            err, ERROR_TOO_LARGE,
            "the labels of an exemplar take %zu bytes, more than EXEMPLAR_LABELS_BYTES allows",
            wire.len);
    }
    const uint8_t *at = wire.at, *end = wire.at + wire.len;
    while (at < end) {
        const uint8_t *begin = at;
        Label label;
        if (!take_label(&at, end, &label))
            return error_set(err, ERROR_BAD_INPUT,
                             "a label of an exemplar is not a name and a value in protobuf");
        if (label.name.len == 0 || !text_is_utf8(label.name) || !text_is_utf8(label.value)) {
            return error_set(err, ERROR_BAD_INPUT,
                             "a label of an exemplar has no name or is not UTF-8");
        }
        if (stands_before(wire.at, begin, label.name))
            return error_set(err, ERROR_BAD_INPUT, "a label of an exemplar stands twice");
    }
    return true;
}

static void add_len(Builder *out, size_t len) {
    writer_varint(out, len);
}

// The same where all lengths take one byte, as nearly always.
static void append_short(Builder *out, Text name, Text value) {
    builder_reserve(out, name.len + value.len + 6);
    char *at = out->at + out->len;
    *at++ = TAG_BYTES_1;
    *at++ = (char)(name.len + value.len + 4);
    *at++ = TAG_BYTES_1;
    *at++ = (char)name.len;
    memcpy(at, name.at, name.len);
    at += name.len;
    *at++ = TAG_BYTES_2;
    *at++ = (char)value.len;
    memcpy(at, value.at, value.len);
    out->len += name.len + value.len + 6;
}

void labels_append(Builder *out, Text name, Text value) {
    if (likely(name.len > 0 && value.len > 0 && name.len + value.len + 4 < 0x80)) {
        append_short(out, name, value);
        return;
    }
    size_t inner = 1 + varint_len(name.len) + name.len + 1 + varint_len(value.len) + value.len;
    builder_add_char(out, TAG_BYTES_1);
    add_len(out, inner);
    builder_add_char(out, TAG_BYTES_1);
    add_len(out, name.len);
    builder_add(out, name);
    builder_add_char(out, TAG_BYTES_2);
    add_len(out, value.len);
    builder_add(out, value);
}

static int by_name(const void *a, const void *b) {
    return text_compare(((const Label *)a)->name, ((const Label *)b)->name);
}

bool labels_make(const Label *at, size_t count, Arena *arena, Labels *out, Error *err) {
    Label *sorted = arena_push_array_raw(arena, Label, count + 1);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (at[i].value.len > 0) sorted[kept++] = at[i];
    }
    bool in_order = true;
    for (size_t i = 1; i < kept; i++)
        in_order &= text_compare(sorted[i - 1].name, sorted[i].name) < 0;
    if (!in_order) qsort(sorted, kept, sizeof *sorted, by_name);
    AUTO(builder_free) Builder wire = {0};
    for (size_t i = 0; i < kept; i++) {
        if (i > 0 && text_equal(sorted[i - 1].name, sorted[i].name)) {
            Text name = excerpt(sorted[i].name);
            return error_set(err, ERROR_BAD_INPUT, "label \"%.*s\" stands twice", TEXT_ARG(name));
        }
        labels_append(&wire, sorted[i].name, sorted[i].value);
    }
    out->wire = bytes_copy(text_bytes(builder_text(&wire)), arena);
    return true;
}

// Bytes of the well-formed UTF-8 sequence at the front of `text`; 0 when there is none.
static size_t utf8_sequence(Text text) {
    uint8_t lead = (uint8_t)text.at[0];
    size_t len = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    return len <= text.len && text_is_utf8((Text){text.at, len}) ? len : 0;
}

// Bytes that are no UTF-8 (a literal may have them, as "\xff") are escaped, so that what is printed
// is a text and means the same.
void label_print_quoted(Text text, Builder *out) {
    builder_add_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c == '"' || c == '\\') {
            builder_add_char(out, '\\');
            builder_add_char(out, (char)c);
        } else if (c == '\n') {
            builder_add(out, TEXT("\\n"));
        } else if (c == '\t') {
            builder_add(out, TEXT("\\t"));
        } else if (c == '\r') {
            builder_add(out, TEXT("\\r"));
        } else if (c >= 0x80) {
            size_t len = utf8_sequence(text_slice(text, i, text.len));
            if (len > 0) {
                builder_add(out, text_slice(text, i, i + len));
                i += len - 1;
            } else {
                builder_addf(out, "\\x%02x", c);
            }
        } else if (c < 0x20 || c == 0x7f) {
            builder_addf(out, "\\x%02x", c);
        } else {
            builder_add_char(out, (char)c);
        }
    }
    builder_add_char(out, '"');
}

bool label_name_is_plain(Text name, bool colon_allowed) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                      (colon_allowed && c == ':');
        if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
    }
    return name.len > 0;
}

void labels_print(Labels labels, Builder *out) {
    Text name = labels_get(labels, LABEL_NAME);
    bool plain = label_name_is_plain(name, true);
    if (plain) builder_add(out, name);
    bool any = false;
    Label label;
    if (name.at != NULL && !plain) {
        builder_add_char(out, '{');
        label_print_quoted(name, out);
        any = true;
    }
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) {
        if (text_equal(label.name, LABEL_NAME)) continue;
        builder_add(out, any ? TEXT(", ") : TEXT("{"));
        any = true;
        if (label_name_is_plain(label.name, false)) {
            builder_add(out, label.name);
        } else {
            label_print_quoted(label.name, out);
        }
        builder_add_char(out, '=');
        label_print_quoted(label.value, out);
    }
    if (any) {
        builder_add_char(out, '}');
    } else if (name.at == NULL) {
        builder_add(out, TEXT("{}"));
    }
}

int labels_compare(Labels a, Labels b) {
    Bytes rest_a = a.wire, rest_b = b.wire;
    Label label_a, label_b;
    // The labels that lie whole in what both begin with need not be compared again.
    size_t common = bytes_common(a.wire, b.wire);
    for (Bytes rest = a.wire; labels_next(&rest, &label_a);) {
        size_t end = a.wire.len - rest.len;
        if (end > common) break;
        rest_a = rest;
        rest_b = (Bytes){b.wire.at + end, b.wire.len - end};
    }
    for (;;) {
        bool more_a = labels_next(&rest_a, &label_a);
        bool more_b = labels_next(&rest_b, &label_b);
        if (!more_a || !more_b) return (int)more_a - (int)more_b;
        int order = text_compare(label_a.name, label_b.name);
        if (order == 0) order = text_compare(label_a.value, label_b.value);
        if (order != 0) return order;
    }
}

void labels_write_json(Labels labels, JsonWriter *writer) {
    json_object_begin(writer);
    Label label;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);)
        json_member(writer, label.name, label.value);
    json_object_end(writer);
}
