// Wild cards: matching with one place to come back to, and listing the folder.

#include "ingest/scrape/glob.h"

bool glob_is_plain(Text pattern) {
    return text_find_char(pattern, '*') < 0 && text_find_char(pattern, '?') < 0 &&
           text_find_char(pattern, '[') < 0 && text_find_char(pattern, '\\') < 0;
}

// One character of the pattern at `at` (not `*`) against `c`; *next is behind it. A set that does
// not end matches nothing.
static bool matches_one(Text pattern, size_t at, char c, size_t *next) {
    char head = pattern.at[at];
    *next = at + 1;
    if (head == '?') return true;
    if (head == '\\' && at + 1 < pattern.len) {
        *next = at + 2;
        return pattern.at[at + 1] == c;
    }
    if (head != '[') return head == c;
    size_t i = at + 1;
    bool negated = i < pattern.len && pattern.at[i] == '^', found = false;
    for (i += negated; i < pattern.len && (pattern.at[i] != ']' || i == at + 1 + negated); i++) {
        char low = pattern.at[i], high = low;
        if (i + 2 < pattern.len && pattern.at[i + 1] == '-' && pattern.at[i + 2] != ']') {
            high = pattern.at[i + 2];
            i += 2;
        }
        found = found || (c >= low && c <= high);
    }
    *next = i + 1;
    return i < pattern.len && found != negated;
}

// A `*` takes as little as it can; when what follows fails, the last `*` takes one more.
bool glob_matches(Text pattern, Text name) {
    size_t p = 0, n = 0, star = SIZE_MAX, star_n = 0;
    while (n < name.len) {
        size_t next;
        if (p < pattern.len && pattern.at[p] == '*') {
            star = p++;
            star_n = n;
        } else if (p < pattern.len && matches_one(pattern, p, name.at[n], &next)) {
            p = next;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++star_n;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.at[p] == '*') p++;
    return p == pattern.len;
}

bool glob_files(Disk *disk, Text pattern, Arena *arena, Texts *out, Error *err) {
    *out = (Texts){0};
    size_t cut = pattern.len;
    while (cut > 0 && pattern.at[cut - 1] != '/') cut--;
    Text last = text_slice(pattern, cut, pattern.len);
    bool exists;
    if (glob_is_plain(last)) {
        TRY(disk->exists(disk, pattern, &exists, err));
        if (!exists) return true;
        Text *one = arena_push(arena, Text);
        *one = text_copy(pattern, arena);
        *out = (Texts){one, 1};
        return true;
    }
    Text folder = cut == 0 ? TEXT(".") : cut == 1 ? TEXT("/") : text_slice(pattern, 0, cut - 1);
    TRY(disk->exists(disk, folder, &exists, err));
    if (!exists) return true;
    DiskEntries entries;
    TRY(disk->list(disk, folder, arena, &entries, err));
    Text *files = arena_push_array(arena, Text, entries.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < entries.count; i++) {
        if (entries.at[i].is_folder || !glob_matches(last, entries.at[i].name)) continue;
        files[count++] =
            text_format(arena, "%.*s%.*s", (int)cut, pattern.at, TEXT_ARG(entries.at[i].name));
    }
    *out = (Texts){files, count};
    return true;
}
