// Reading and writing the manifest.

#include "store/series/manifest.h"

#include <stdlib.h>

#include "base/limits.h"
#include "codec/crc32c.h"

static const int64_t MANIFEST_BYTES_MAX = 64 * MB;
#define MANIFEST_NAME  TEXT("MANIFEST")
#define MANIFEST_FIRST "traceo series manifest "

// Version 2 is written only when there are deletes, 3 when there are tiers, 4 when one is of
// several blocks: who cannot honour them must not read it.
enum {
    MANIFEST_VERSION_DELETES = 2,
    MANIFEST_VERSION_TIERS = 3,
    MANIFEST_VERSION_PARTS = 4,
    MANIFEST_VERSION_MAX = 4
};
enum { DAY_MS = 86400000 };

static const char *const matcher_words[] = {"eq", "ne", "re", "nr"};  // ORDER: MatcherKind

// ---- Writing ----

// `=` and the bytes; all but printable ASCII, and the percent sign, as %xx. So no word is empty.
static void print_word(Text text, Builder *out) {
    builder_add(out, TEXT(" ="));
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = (uint8_t)text.at[i];
        if (byte > ' ' && byte < 0x7f && byte != '%') {
            builder_add_char(out, text.at[i]);
        } else {
            builder_addf(out, "%%%02x", byte);
        }
    }
}

static void print_delete(const ManifestDelete *one, Builder *out) {
    builder_addf(out, "delete %llu %lld %lld", (unsigned long long)one->before,
                 (long long)one->from_ms, (long long)one->to_ms);
    for (size_t i = 0; i < one->matchers.count; i++) {
        const Matcher *matcher = &one->matchers.at[i];
        builder_addf(out, " %s", matcher_words[matcher->kind]);
        print_word(matcher->name, out);
        print_word(matcher->value, out);
    }
    builder_add_char(out, '\n');
}

static int by_day_and_length(const void *a, const void *b) {
    const ManifestBlock *first = *(ManifestBlock *const *)a, *again = *(ManifestBlock *const *)b;
    int64_t day = first->min_ms / DAY_MS, other = again->min_ms / DAY_MS;
    if (day != other) return day < other ? -1 : 1;
    return (first->tier_ms > again->tier_ms) - (first->tier_ms < again->tier_ms);
}

// Is a tier of a day in more blocks than one?
static bool has_parts(const Manifest *manifest) {
    AUTO(arena_free) Arena arena = {0};
    size_t count = manifest->tiers.count;
    const ManifestBlock **sorted = arena_push_array(&arena, const ManifestBlock *, count + 1);
    bool has = false;
    for (size_t i = 0; i < count; i++) sorted[i] = &manifest->tiers.at[i];
    if (count > 0) qsort(sorted, count, sizeof *sorted, by_day_and_length);
    for (size_t i = 1; i < count; i++) has |= by_day_and_length(&sorted[i - 1], &sorted[i]) == 0;
    return has;
}

void manifest_print(const Manifest *manifest, Builder *out) {
    builder_addf(out, MANIFEST_FIRST "%d\n",
                 has_parts(manifest)           ? MANIFEST_VERSION_PARTS
                 : manifest->tiers.count > 0   ? MANIFEST_VERSION_TIERS
                 : manifest->deletes.count > 0 ? MANIFEST_VERSION_DELETES
                                               : 1);
    builder_addf(out, "sealed %llu\n", (unsigned long long)manifest->sealed_sequence);
    builder_addf(out, "next %llu\n", (unsigned long long)manifest->next_order);
    builder_addf(out, "writes %llu\n", (unsigned long long)manifest->writes);
    for (size_t i = 0; i < manifest->blocks.count; i++) {
        const ManifestBlock *block = &manifest->blocks.at[i];
        builder_addf(out, "block %.*s %lld %08x %lld %lld %u %llu %llu %llu\n",
                     TEXT_ARG(block->name), (long long)block->bytes, block->crc,
                     (long long)block->min_ms, (long long)block->max_ms,
                     block->level + (block->cold ? MANIFEST_LEVEL_MAX + 1u : 0),
                     (unsigned long long)block->order, (unsigned long long)block->series,
                     (unsigned long long)block->samples);
    }
    for (size_t i = 0; i < manifest->tiers.count; i++) {
        const ManifestBlock *tier = &manifest->tiers.at[i];
        builder_addf(out, "tier %.*s %lld %08x %lld %lld %lld %llu %llu %llu\n",
                     TEXT_ARG(tier->name), (long long)tier->bytes, tier->crc,
                     (long long)tier->min_ms, (long long)tier->max_ms, (long long)tier->tier_ms,
                     (unsigned long long)tier->source, (unsigned long long)tier->series,
                     (unsigned long long)tier->samples);
    }
    for (size_t i = 0; i < manifest->deletes.count; i++)
        print_delete(&manifest->deletes.at[i], out);
    uint32_t crc = crc32c(0, text_bytes(builder_text(out)));
    builder_addf(out, "crc32c %08x\n", crc);
}

bool manifest_write(Disk *disk, Text folder, Manifest *manifest, Error *err) {
    AUTO(builder_free) Builder content = {0};
    manifest_print(manifest, &content);
    if (!disk_replace(disk, folder, MANIFEST_NAME, text_bytes(builder_text(&content)), err)) {
        return error_context(err, "writing the manifest in %.*s", TEXT_ARG(folder));
    }
    return true;
}

// ---- Reading ----

// The next word of a line, ended by a space or the end.
static bool take_word(Text *rest, Text *out) {
    return text_cut(rest, ' ', out) && out->len > 0;
}

static bool take_u64(Text *rest, uint64_t *out) {
    Text word;
    return take_word(rest, &word) && text_to_u64(word, out);
}

static bool take_i64(Text *rest, int64_t *out) {
    Text word;
    return take_word(rest, &word) && text_to_i64(word, out);
}

// Hexadecimal with small letters, all of `digits`; at most 16.
static bool hex_value(Text digits, uint64_t *out) {
    uint64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        char c = digits.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *out = value;
    return digits.len > 0 && digits.len <= 16;
}

static bool take_hex(Text *rest, uint32_t *out) {
    Text word;
    uint64_t value;
    if (!take_word(rest, &word) || word.len != 8 || !hex_value(word, &value)) return false;
    *out = (uint32_t)value;
    return true;
}

// What print_word wrote, and nothing that it would write otherwise.
static bool take_text(Text *rest, Arena *arena, Text *out) {
    Text word;
    if (!take_word(rest, &word) || word.at[0] != '=') return false;
    char *into = arena_push_raw(arena, word.len, 1);
    size_t len = 0;
    for (size_t i = 1; i < word.len; i++) {
        uint64_t byte = (uint8_t)word.at[i];
        if (byte != '%') {
            if (byte <= ' ' || byte >= 0x7f) return false;
        } else {
            if (i + 2 >= word.len || !hex_value(text_slice(word, i + 1, i + 3), &byte))
                return false;
            if (byte > ' ' && byte < 0x7f && byte != '%') return false;
            i += 2;
        }
        into[len++] = (char)byte;
    }
    *out = (Text){into, len};
    return true;
}

static bool take_kind(Text *rest, MatcherKind *out) {
    Text word;
    if (!take_word(rest, &word)) return false;
    for (size_t i = 0; i < COUNT(matcher_words); i++) {
        if (!text_equal(word, text_from_cstring(matcher_words[i]))) continue;
        *out = (MatcherKind)i;
        return true;
    }
    return false;
}

static bool is_object_name(Text name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                    (c == '.' && i > 0);
        if (!fine) return false;
    }
    return name.len > 0 && name.len <= 200;
}

static bool take_block(Text *rest, Arena *arena, ManifestBlock *out) {
    Text name;
    uint64_t level;
    if (!take_word(rest, &name) || !is_object_name(name)) return false;
    out->name = text_copy(name, arena);
    bool whole = take_i64(rest, &out->bytes) && take_hex(rest, &out->crc) &&
                 take_i64(rest, &out->min_ms) && take_i64(rest, &out->max_ms) &&
                 take_u64(rest, &level) && take_u64(rest, &out->order) &&
                 take_u64(rest, &out->series) && take_u64(rest, &out->samples);
    if (!whole || level > 1000 || out->bytes <= 0 || out->min_ms > out->max_ms) return false;
    out->level = (uint32_t)(level & MANIFEST_LEVEL_MAX);
    out->cold = level > MANIFEST_LEVEL_MAX;
    return true;
}

static bool take_tier(Text *rest, Arena *arena, ManifestBlock *out) {
    Text name;
    if (!take_word(rest, &name) || !is_object_name(name)) return false;
    out->name = text_copy(name, arena);
    return take_i64(rest, &out->bytes) && take_hex(rest, &out->crc) &&
           take_i64(rest, &out->min_ms) && take_i64(rest, &out->max_ms) &&
           take_i64(rest, &out->tier_ms) && take_u64(rest, &out->source) &&
           take_u64(rest, &out->series) && take_u64(rest, &out->samples) && out->bytes > 0 &&
           out->min_ms <= out->max_ms && out->tier_ms > 0;
}

static bool take_delete(Text *rest, Arena *arena, ManifestDelete *out) {
    ARRAY(Matcher) matchers = {0};
    *out = (ManifestDelete){0};
    if (!take_u64(rest, &out->before) || !take_i64(rest, &out->from_ms) ||
        !take_i64(rest, &out->to_ms) || out->from_ms > out->to_ms)
        return false;
    do {
        Matcher matcher = {0};
        if (!take_kind(rest, &matcher.kind) || !take_text(rest, arena, &matcher.name) ||
            !take_text(rest, arena, &matcher.value))
            return false;
        *array_add_on(arena, &matchers) = matcher;
    } while (rest->at != NULL);
    out->matchers = (Matchers){matchers.at, matchers.count};
    return true;
}

// Nothing after the last word: text_cut left no rest.
static bool ended(Text rest) {
    return rest.at == NULL;
}

static bool is_named(const Manifest *manifest, Text name) {
    for (size_t i = 0; i < manifest->blocks.count; i++) {
        if (text_equal(manifest->blocks.at[i].name, name)) return true;
    }
    for (size_t i = 0; i < manifest->tiers.count; i++) {
        if (text_equal(manifest->tiers.at[i].name, name)) return true;
    }
    return false;
}

static bool take_line(Text line, uint64_t version, Arena *arena, Manifest *out) {
    Text word;
    if (!take_word(&line, &word)) return false;
    if (version >= MANIFEST_VERSION_DELETES && text_equal(word, TEXT("delete"))) {
        ManifestDelete one;
        if (!take_delete(&line, arena, &one)) return false;
        *array_add(&out->deletes) = one;
        return true;
    }
    if (text_equal(word, TEXT("sealed")))
        return take_u64(&line, &out->sealed_sequence) && ended(line);
    if (text_equal(word, TEXT("next"))) return take_u64(&line, &out->next_order) && ended(line);
    if (text_equal(word, TEXT("writes"))) return take_u64(&line, &out->writes) && ended(line);
    ManifestBlock block = {0};
    bool tier = version >= MANIFEST_VERSION_TIERS && text_equal(word, TEXT("tier"));
    if (!tier && !text_equal(word, TEXT("block"))) return false;
    if (!(tier ? take_tier : take_block)(&line, arena, &block) || !ended(line)) return false;
    if (is_named(out, block.name)) return false;
    if (tier) {
        *array_add(&out->tiers) = block;
    } else {
        *array_add(&out->blocks) = block;
    }
    return true;
}

static bool parse(Text content, Arena *arena, Manifest *out, Error *err) {
    Text rest = content, line;
    if (!text_cut(&rest, '\n', &line) || !text_starts_with(line, TEXT(MANIFEST_FIRST))) {
        return error_set(err, ERROR_CORRUPT, "this is not a series manifest");
    }
    uint64_t version;
    Text number = text_slice(line, sizeof MANIFEST_FIRST - 1, line.len);
    if (!text_to_u64(number, &version) || version == 0)
        return error_set(err, ERROR_CORRUPT, "the version of the manifest cannot be read");
    if (version > MANIFEST_VERSION_MAX) {
        return error_set(
            err, ERROR_NEWER_FORMAT,
            "the manifest has version %llu, this program reads up to %d; use the newer Traceo",
            (unsigned long long)version, MANIFEST_VERSION_MAX);
    }
    enum { CRC_LINE = 7 + 8 + 1 };
    if (content.len < CRC_LINE || content.at[content.len - 1] != '\n')
        return error_set(err, ERROR_CORRUPT, "the manifest is cut off");
    Text before = text_slice(content, 0, content.len - CRC_LINE),
         last = text_slice(content, before.len, content.len - 1);
    uint32_t stated, actual = crc32c(0, text_bytes(before));
    Text word;
    if (!take_word(&last, &word) || !text_equal(word, TEXT("crc32c")) ||
        !take_hex(&last, &stated) || !ended(last)) {
        return error_set(err, ERROR_CORRUPT, "the manifest does not end in its checksum");
    }
    if (stated != actual)
        return error_set(err, ERROR_CORRUPT, "the manifest has checksum %08x, not %08x", actual,
                         stated);
    rest = text_slice(before, line.len + 1, before.len);
    for (int number_of_line = 2; text_cut(&rest, '\n', &line); number_of_line++) {
        if (line.len == 0 && (rest.at == NULL || rest.len == 0)) break;
        if (!take_line(line, version, arena, out))
            return error_set(err, ERROR_CORRUPT, "line %d of the manifest cannot be read",
                             number_of_line);
    }
    return true;
}

bool manifest_parse(Bytes content, Arena *arena, Manifest *out, Error *err) {
    Manifest manifest = {0};
    if (!parse(bytes_text(content), arena, &manifest, err)) {
        manifest_free(&manifest);
        return false;
    }
    *out = manifest;
    return true;
}

void manifest_free(Manifest *manifest) {
    array_free(&manifest->blocks);
    array_free(&manifest->tiers);
    array_free(&manifest->deletes);
}

uint64_t block_number(Text name) {
    uint64_t number;
    if (!text_ends_with(name, TEXT(".block"))) return 0;
    return hex_value(text_slice(name, 0, name.len - 6), &number) ? number : 0;
}

bool manifest_read(Disk *disk, Text folder, Arena *arena, Manifest *out, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    Text path = text_format(&scratch, "%.*s/MANIFEST", TEXT_ARG(folder));
    bool there;
    TRY(disk->exists(disk, path, &there, err));
    if (!there) {
        *out = (Manifest){.next_order = 1};
        return true;
    }
    Bytes content;
    TRY(disk_read_whole(disk, path, MANIFEST_BYTES_MAX, &scratch, &content, err));
    if (!manifest_parse(content, arena, out, err))
        return error_context(err, "%.*s", TEXT_ARG(path));
    return true;
}
