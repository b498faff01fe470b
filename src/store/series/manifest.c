// Reading and writing the manifest.

#include "store/series/manifest.h"

#include "base/limits.h"
#include "codec/crc32c.h"

static const int64_t MANIFEST_BYTES_MAX = 64 * MB;
#define MANIFEST_NAME  TEXT("MANIFEST")
#define MANIFEST_FIRST "traceo series manifest "

// ---- Writing ----

void manifest_print(const Manifest *manifest, Builder *out) {
    builder_addf(out, MANIFEST_FIRST "1\n");
    builder_addf(out, "sealed %llu\n", (unsigned long long)manifest->sealed_sequence);
    builder_addf(out, "next %llu\n", (unsigned long long)manifest->next_order);
    builder_addf(out, "writes %llu\n", (unsigned long long)manifest->writes);
    for (size_t i = 0; i < manifest->blocks.count; i++) {
        const ManifestBlock *block = &manifest->blocks.at[i];
        builder_addf(out, "block %.*s %lld %08x %lld %lld %u %llu %llu %llu\n",
                     TEXT_ARG(block->name), (long long)block->bytes, block->crc,
                     (long long)block->min_ms, (long long)block->max_ms, block->level,
                     (unsigned long long)block->order, (unsigned long long)block->series,
                     (unsigned long long)block->samples);
    }
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

static bool take_hex(Text *rest, uint32_t *out) {
    Text word;
    if (!take_word(rest, &word) || word.len != 8) return false;
    uint32_t value = 0;
    for (size_t i = 0; i < 8; i++) {
        char c = word.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *out = value;
    return true;
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
    out->level = (uint32_t)level;
    return true;
}

// Nothing after the last word: text_cut left no rest.
static bool ended(Text rest) {
    return rest.at == NULL;
}

static bool take_line(Text line, Arena *arena, Manifest *out) {
    Text word;
    if (!take_word(&line, &word)) return false;
    if (text_equal(word, TEXT("sealed")))
        return take_u64(&line, &out->sealed_sequence) && ended(line);
    if (text_equal(word, TEXT("next"))) return take_u64(&line, &out->next_order) && ended(line);
    if (text_equal(word, TEXT("writes"))) return take_u64(&line, &out->writes) && ended(line);
    if (!text_equal(word, TEXT("block"))) return false;
    ManifestBlock block = {0};
    if (!take_block(&line, arena, &block) || !ended(line)) return false;
    for (size_t i = 0; i < out->blocks.count; i++) {
        if (text_equal(out->blocks.at[i].name, block.name)) return false;
    }
    *array_add(&out->blocks) = block;
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
    if (version > 1) {
        return error_set(
            err, ERROR_NEWER_FORMAT,
            "the manifest has version %llu, this program reads 1; use the newer Traceo",
            (unsigned long long)version);
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
        if (!take_line(line, arena, out))
            return error_set(err, ERROR_CORRUPT, "line %d of the manifest cannot be read",
                             number_of_line);
    }
    return true;
}

bool manifest_parse(Bytes content, Arena *arena, Manifest *out, Error *err) {
    Manifest manifest = {0};
    if (!parse(bytes_text(content), arena, &manifest, err)) {
        array_free(&manifest.blocks);
        return false;
    }
    *out = manifest;
    return true;
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
