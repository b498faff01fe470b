// Names and units translated, by the rules of Prometheus 3.

#include "ingest/otlp/names.h"

#include "base/assert.h"

bool naming_escapes(OtlpNaming naming) {
    return naming == OTLP_NAMING_ESCAPED_WITH_SUFFIXES || naming == OTLP_NAMING_ESCAPED;
}

static bool adds_suffixes(OtlpNaming naming) {
    return naming == OTLP_NAMING_ESCAPED_WITH_SUFFIXES || naming == OTLP_NAMING_UTF8_WITH_SUFFIXES;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == ':';
}

// ---- Units ----

typedef struct UnitRow {
    Text code;
    Text word;
} UnitRow;

static const UnitRow units[] = {
#define UNIT(code, word) {TEXT_INIT(code), TEXT_INIT(word)},
#define PER_UNIT(code, word)
#include "ingest/otlp/units.def"
#undef UNIT
#undef PER_UNIT
};

static const UnitRow per_units[] = {
#define UNIT(code, word)
#define PER_UNIT(code, word) {TEXT_INIT(code), TEXT_INIT(word)},
#include "ingest/otlp/units.def"
#undef UNIT
#undef PER_UNIT
};

static Text word_of(const UnitRow *rows, size_t count, Text code) {
    for (size_t i = 0; i < count; i++) {
        if (text_equal(rows[i].code, code)) return rows[i].word;
    }
    return code;
}

// One side of a unit: nothing when it is blank or holds brackets ("{packet}").
static Text unit_word(const UnitRow *rows, size_t count, Text code) {
    code = text_trim(code);
    if (text_find_char(code, '{') >= 0 || text_find_char(code, '}') >= 0) return TEXT_NONE;
    return word_of(rows, count, code);
}

// Letters, digits and colons stay; all else is an underscore, several are one, none leads.
static void add_cleaned(Text unit, Builder *out) {
    size_t begun = out->len;
    for (size_t i = 0; i < unit.len; i++) {
        if (is_word(unit.at[i])) {
            builder_add_char(out, unit.at[i]);
        } else if (out->len > begun && out->at[out->len - 1] != '_') {
            builder_add_char(out, '_');
        }
    }
}

// "bytes" and "per_second", either of them empty.
typedef struct UnitSuffixes {
    Builder main, per;
} UnitSuffixes;

static void suffixes_free(UnitSuffixes *suffixes) {
    builder_free(&suffixes->main);
    builder_free(&suffixes->per);
}

static void suffixes_of(Text unit, bool clean, UnitSuffixes *out) {
    Text main = TEXT_NONE, rest = unit;
    if (!text_cut(&rest, '/', &main)) return;
    main = unit_word(units, COUNT(units), main);
    Text per = rest.at == NULL ? TEXT_NONE : unit_word(per_units, COUNT(per_units), rest);
    if (clean) {
        add_cleaned(main, &out->main);
    } else {
        builder_add(&out->main, main);
    }
    if (per.len == 0) return;
    builder_add(&out->per, TEXT("per_"));
    if (clean) {
        add_cleaned(per, &out->per);
    } else {
        builder_add(&out->per, per);
    }
}

void name_unit(OtlpNaming naming, Text unit, Builder *out) {
    AUTO(suffixes_free) UnitSuffixes suffixes = {0};
    suffixes_of(unit, naming_escapes(naming), &suffixes);
    Text main = builder_text(&suffixes.main), per = builder_text(&suffixes.per);
    builder_add(out, main);
    if (main.len > 0 && per.len > 0) builder_add_char(out, '_');
    builder_add(out, per);
    while (out->len > 0 && out->at[out->len - 1] == '_') out->len--;
}

// ---- Metrics, escaped ----

// A name being put together from words with one underscore between them.
typedef struct Words {
    Builder *out;
} Words;

static void word_add(Words words, Text word) {
    if (word.len == 0) return;
    if (words.out->len > 0) builder_add_char(words.out, '_');
    builder_add(words.out, word);
}

static bool word_next(Text *rest, Text *out) {
    while (rest->len > 0 && !is_word(*rest->at)) *rest = text_slice(*rest, 1, rest->len);
    size_t len = 0;
    while (len < rest->len && is_word(rest->at[len])) len++;
    *out = text_slice(*rest, 0, len);
    *rest = text_slice(*rest, len, rest->len);
    return len > 0;
}

static bool has_word(Text name, Text word) {
    Text at;
    while (word_next(&name, &at)) {
        if (text_equal(at, word)) return true;
    }
    return false;
}

static Text without_last_underscore(Text text) {
    return text_ends_with(text, TEXT("_")) ? text_slice(text, 0, text.len - 1) : text;
}

// The words of `name` but `left_out`, the unit unless it is there already, and `left_out` last.
static void add_words(Text name, Text unit, Text left_out, Builder *out) {
    AUTO(suffixes_free) UnitSuffixes suffixes = {0};
    suffixes_of(unit, true, &suffixes);
    Text main = builder_text(&suffixes.main);
    Text per = without_last_underscore(builder_text(&suffixes.per));
    if (text_equal(per, TEXT("per")) || has_word(name, per)) per = TEXT_NONE;
    if (per.len > 0) main = without_last_underscore(main);
    if (has_word(name, main)) main = TEXT_NONE;
    Words words = {out};
    Text word;
    while (word_next(&name, &word)) {
        if (left_out.len == 0 || !text_equal(word, left_out)) word_add(words, word);
    }
    if (!text_equal(main, left_out)) word_add(words, main);
    word_add(words, per);
    word_add(words, left_out);
}

// Runs of characters that are not allowed become one underscore between what stands beside them.
static void add_allowed(Text name, Builder *out) {
    bool gap = false;
    for (size_t i = 0; i < name.len; i++) {
        if (!is_word(name.at[i]) && name.at[i] != '_') {
            gap = true;
            continue;
        }
        if (gap && out->len > 0) builder_add_char(out, '_');
        gap = false;
        builder_add_char(out, name.at[i]);
    }
}

static Text last_word(NameKind kind, Text unit) {
    if (kind == NAME_COUNTER) return TEXT("total");
    if (kind == NAME_GAUGE && text_equal(unit, TEXT("1"))) return TEXT("ratio");
    return TEXT_NONE;
}

static bool only_underscores(Text text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != '_') return false;
    }
    return true;
}

// Room for `prefix` in front of what begins at `begun`.
static void insert(Builder *out, size_t begun, Text prefix) {
    builder_reserve(out, prefix.len);
    memmove(out->at + begun + prefix.len, out->at + begun, out->len - begun);
    memcpy(out->at + begun, prefix.at, prefix.len);
    out->len += prefix.len;
}

static bool escaped_metric(OtlpNaming naming, NameKind kind, Text name, Text unit, Builder *out,
                           Error *err) {
    if (adds_suffixes(naming)) {
        add_words(name, unit, last_word(kind, unit), out);
    } else {
        add_allowed(name, out);
    }
    if (out->len > 0 && is_digit(out->at[0])) insert(out, 0, TEXT("_"));
    if (text_equal(builder_text(out), name) || !only_underscores(builder_text(out))) return true;
    return error_set(err, ERROR_BAD_INPUT, "nothing is left of the metric name \"%.*s\"",
                     TEXT_ARG(text_slice(name, 0, 100)));
}

// ---- Metrics as they are ----

// Takes a suffix and the character in front of it away, when something is left.
static Text without_suffix(Text name, Text suffix) {
    if (suffix.len == 0 || !text_ends_with(name, suffix) || name.len <= suffix.len + 1) return name;
    return text_slice(name, 0, name.len - suffix.len - 1);
}

static void utf8_metric(NameKind kind, Text name, Text unit, Builder *out) {
    AUTO(suffixes_free) UnitSuffixes suffixes = {0};
    suffixes_of(unit, false, &suffixes);
    Text main = builder_text(&suffixes.main), per = builder_text(&suffixes.per);
    Text last = last_word(kind, unit);
    name = without_suffix(without_suffix(name, last), per);
    builder_add(out, name);
    Words words = {out};
    if (!text_ends_with(name, main)) word_add(words, main);
    word_add(words, per);
    word_add(words, last);
}

bool name_metric(OtlpNaming naming, NameKind kind, Text name, Text unit, Builder *out, Error *err) {
    assert(out->len == 0);
    if (name.len == 0) return error_set(err, ERROR_BAD_INPUT, "a metric has no name");
    if (naming_escapes(naming)) return escaped_metric(naming, kind, name, unit, out, err);
    if (adds_suffixes(naming)) {
        utf8_metric(kind, name, unit, out);
    } else {
        builder_add(out, name);
    }
    return true;
}

// ---- Labels ----

bool name_label(OtlpNaming naming, Text name, Builder *out, Error *err) {
    if (name.len == 0) return error_set(err, ERROR_BAD_INPUT, "an attribute has no name");
    if (!naming_escapes(naming)) {
        builder_add(out, name);
        return true;
    }
    size_t begun = out->len;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];
        if ((c & 0xc0) == 0x80 && i > 0) continue;  // one underscore per character, not per byte
        builder_add_char(out, is_word((char)c) && c != ':' ? (char)c : '_');
    }
    Text made = {out->at + begun, out->len - begun};
    if (is_digit(made.at[0])) {
        insert(out, begun, TEXT("key_"));
    } else if (made.at[0] == '_' && !text_starts_with(made, TEXT("__"))) {
        insert(out, begun, TEXT("key"));
    }
    made = (Text){out->at + begun, out->len - begun};
    if (text_equal(made, name) || !only_underscores(made)) return true;
    out->len = begun;
    return error_set(err, ERROR_BAD_INPUT, "nothing is left of the attribute name \"%.*s\"",
                     TEXT_ARG(text_slice(name, 0, 100)));
}
