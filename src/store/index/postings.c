// Sets of series numbers: merging, intersecting by galloping, packing for the disk, growing in
// memory.

#include "store/index/postings.h"

#include "base/assert.h"
#include "codec/reader.h"
#include "store/index/bitpack.h"

enum {
    BLOCK_DELTAS = 128,
    GALLOP_RATIO = 16,       // a set this many times larger is searched, not walked
    BITMAP_SPARSENESS = 64,  // more than one number in so many: a bitmap beats merging
    LIST_BYTES_MIN = 8,
};

static PostingSet set_begin(size_t capacity, Arena *arena) {
    return (PostingSet){arena_push_array_raw(arena, uint32_t, capacity), 0};
}

// The first place from `from` on whose number is not below `number`, by doubling steps.
static size_t gallop(PostingSet set, size_t from, uint32_t number) {
    size_t step = 1, low = from, high = from;
    while (high < set.count && set.at[high] < number) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    high = MIN(high, set.count);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set.at[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

PostingSet postings_and(PostingSet a, PostingSet b, Arena *arena) {
    if (a.count > b.count) {
        PostingSet swapped = a;
        a = b;
        b = swapped;
    }
    PostingSet out = set_begin(a.count, arena);
    if (b.count / GALLOP_RATIO > a.count) {
        for (size_t i = 0, at = 0; i < a.count; i++) {
            at = gallop(b, at, a.at[i]);
            if (at == b.count) break;
            if (b.at[at] == a.at[i]) out.at[out.count++] = a.at[i];
        }
        return out;
    }
    for (size_t i = 0, k = 0; i < a.count && k < b.count;) {
        uint32_t left = a.at[i], right = b.at[k];
        if (left == right) out.at[out.count++] = left;
        i += left <= right;
        k += right <= left;
    }
    return out;
}

PostingSet postings_or(PostingSet a, PostingSet b, Arena *arena) {
    if (a.count == 0) return b;
    if (b.count == 0) return a;
    PostingSet out = set_begin(a.count + b.count, arena);
    size_t i = 0, k = 0;
    while (i < a.count && k < b.count) {
        uint32_t left = a.at[i], right = b.at[k];
        out.at[out.count++] = MIN(left, right);
        i += left <= right;
        k += right <= left;
    }
    while (i < a.count) out.at[out.count++] = a.at[i++];
    while (k < b.count) out.at[out.count++] = b.at[k++];
    return out;
}

static PostingSet or_by_bitmap(const PostingSet *sets, size_t count, uint32_t least, uint32_t most,
                               size_t total, Arena *arena) {
    size_t words = (most - least) / 64 + 1;
    uint64_t *bitmap = memory_new_array(uint64_t, words);
    for (size_t s = 0; s < count; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            uint32_t place = sets[s].at[i] - least;
            bitmap[place / 64] |= UINT64_C(1) << place % 64;
        }
    }
    PostingSet out = set_begin(MIN(total, (size_t)(most - least) + 1), arena);
    for (size_t word = 0; word < words; word++) {
        for (uint64_t bits = bitmap[word]; bits != 0; bits &= bits - 1) {
            out.at[out.count++] = least + (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(bits);
        }
    }
    memory_free(bitmap);
    return out;
}

PostingSet postings_or_many(const PostingSet *sets, size_t count, Arena *arena) {
    if (count == 0) return (PostingSet){0};
    if (count == 1) return sets[0];
    if (count == 2) return postings_or(sets[0], sets[1], arena);
    uint32_t least = UINT32_MAX, most = 0;
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (sets[i].count == 0) continue;
        least = MIN(least, sets[i].at[0]);
        most = MAX(most, sets[i].at[sets[i].count - 1]);
        total += sets[i].count;
    }
    if (total == 0) return (PostingSet){0};
    if (total >= (most - least) / BITMAP_SPARSENESS)
        return or_by_bitmap(sets, count, least, most, total, arena);
    // Sparse: halves are merged, so each number moves as often as the logarithm of the number of
    // sets.
    PostingSet low = postings_or_many(sets, count / 2, arena);
    PostingSet high = postings_or_many(sets + count / 2, count - count / 2, arena);
    return postings_or(low, high, arena);
}

PostingSet postings_without(PostingSet a, PostingSet b, Arena *arena) {
    if (a.count == 0 || b.count == 0) return a;
    PostingSet out = set_begin(a.count, arena);
    bool jump = b.count / GALLOP_RATIO > a.count;
    for (size_t i = 0, k = 0; i < a.count; i++) {
        if (jump)
            k = gallop(b, k, a.at[i]);
        else
            while (k < b.count && b.at[k] < a.at[i]) k++;
        if (k == b.count || b.at[k] != a.at[i]) out.at[out.count++] = a.at[i];
    }
    return out;
}

bool postings_contain(PostingSet set, uint32_t number) {
    size_t at = gallop(set, 0, number);
    return at < set.count && set.at[at] == number;
}

// ---- On disk ----

void postings_encode(PostingSet set, Builder *out) {
    writer_varint(out, set.count);
    if (set.count == 0) return;
    writer_varint(out, set.at[0]);
    uint64_t gaps[BLOCK_DELTAS];
    uint8_t packed[BLOCK_DELTAS * sizeof(uint32_t)];
    for (size_t at = 1; at < set.count; at += BLOCK_DELTAS) {
        size_t count = MIN(set.count - at, (size_t)BLOCK_DELTAS);
        uint64_t any = 0;
        for (size_t i = 0; i < count; i++) {
            assert(set.at[at + i] > set.at[at + i - 1]);
            any |= gaps[i] = set.at[at + i] - set.at[at + i - 1] - 1;
        }
        unsigned width = bit_length(any);
        bitpack(gaps, count, width, packed);
        builder_add_char(out, (char)width);
        builder_add_bytes(out, packed, bitpack_bytes(count, width));
    }
}

// A set as it is being decoded.
typedef struct Unpacking {
    Reader reader;
    uint64_t count, taken;  // of the set; decoded before the block at hand
    uint64_t number;        // last decoded
    uint32_t limit;
} Unpacking;

static bool unpacking_begin(Bytes encoded, uint32_t limit, Unpacking *out, Error *err) {
    *out = (Unpacking){.reader = reader_begin(encoded), .limit = limit};
    out->count = reader_varint(&out->reader);
    // Width 0 packs 128 numbers into a byte: more than that would be a lie, found before memory is
    // taken.
    if (!out->reader.failed && out->count <= limit &&
        out->count <= 1 + (uint64_t)encoded.len * BLOCK_DELTAS)
        return true;
    return error_set(err, ERROR_CORRUPT, "a posting set states %llu of %u series in %zu bytes",
                     (unsigned long long)out->count, limit, encoded.len);
}

// The next numbers, at most BLOCK_DELTAS; none behind the last one, or where the set breaks off.
static size_t unpacking_next(Unpacking *of, uint32_t *into) {
    if (of->taken == of->count) return 0;
    if (of->taken == 0) {
        of->number = reader_varint(&of->reader);
        if (of->reader.failed || of->number >= of->limit) return 0;
        of->taken = 1;
        into[0] = (uint32_t)of->number;
        return 1;
    }
    UNFILLED uint64_t gaps[BLOCK_DELTAS];
    size_t block = MIN(of->count - of->taken, (size_t)BLOCK_DELTAS);
    unsigned width = reader_u8(&of->reader);
    Bytes packed = width > 32 ? BYTES_NONE : reader_take(&of->reader, bitpack_bytes(block, width));
    if (width > 32 || of->reader.failed) return 0;
    bitunpack(packed, block, width, gaps);
    uint64_t number = of->number;
    for (size_t i = 0; i < block; i++) {
        number += gaps[i] + 1;
        into[i] = (uint32_t)number;
    }
    of->number = number;
    // Numbers rise, so the last one stands for all; 128 gaps of 32 bits do not overflow 64.
    if (number >= of->limit) return 0;
    of->taken += block;
    return block;
}

static bool unpacking_broken(const Unpacking *of, Error *err) {
    return error_set(err, ERROR_CORRUPT, "a posting set of %llu breaks off after %llu (below %u)",
                     (unsigned long long)of->count, (unsigned long long)of->taken, of->limit);
}

bool postings_decode(Bytes encoded, uint32_t limit, Arena *arena, PostingSet *out, size_t *used,
                     Error *err) {
    UNFILLED Unpacking of;
    TRY(unpacking_begin(encoded, limit, &of, err));
    PostingSet set = set_begin(of.count, arena);
    for (size_t more; (more = unpacking_next(&of, set.at + set.count)) > 0;) set.count += more;
    if (of.taken < of.count) return unpacking_broken(&of, err);
    *out = set;
    *used = encoded.len - reader_left(&of.reader);
    return true;
}

bool postings_first(Bytes encoded, uint32_t limit, uint32_t *first, bool *any, Error *err) {
    UNFILLED Unpacking of;
    TRY(unpacking_begin(encoded, limit, &of, err));
    *any = of.count > 0;
    return !*any || unpacking_next(&of, first) == 1 || unpacking_broken(&of, err);
}

bool postings_meet(Bytes encoded, uint32_t limit, const uint64_t *among, bool *meet, Error *err) {
    UNFILLED Unpacking of;
    UNFILLED uint32_t numbers[BLOCK_DELTAS];
    *meet = false;
    TRY(unpacking_begin(encoded, limit, &of, err));
    for (size_t more; (more = unpacking_next(&of, numbers)) > 0;) {
        uint64_t hit = 0;
        for (size_t i = 0; i < more; i++) hit |= among[numbers[i] / 64] >> numbers[i] % 64;
        *meet = hit & 1;
        if (*meet) return true;
    }
    return of.taken == of.count || unpacking_broken(&of, err);
}

// ---- Growing ----

void posting_list_add_any(PostingList *list, uint32_t number, int64_t *taken) {
    assert(list->count == 0 || number > list->last);
    uint32_t gap = list->count == 0 ? number : number - list->last - 1;
    if (list->capacity - list->len < 5) {
        uint32_t capacity = MAX(list->capacity + list->capacity / 2, (uint32_t)LIST_BYTES_MIN);
        list->bytes = memory_resize(list->bytes, capacity);
        *taken += capacity - list->capacity;
        list->capacity = capacity;
    }
    for (; gap >= 0x80; gap >>= 7) list->bytes[list->len++] = (uint8_t)(gap | 0x80);
    list->bytes[list->len++] = (uint8_t)gap;
    list->last = number;
    list->count++;
}

PostingSet posting_list_read(const PostingList *list, Arena *arena) {
    PostingSet set = set_begin(list->count, arena);
    const uint8_t *at = list->bytes;
    uint32_t number = 0;
    for (; set.count < list->count; set.count++) {
        uint32_t gap = 0;
        for (unsigned shift = 0;; shift += 7) {
            gap |= (uint32_t)(*at & 0x7f) << shift;
            if (*at++ < 0x80) break;
        }
        number = set.count == 0 ? gap : number + gap + 1;
        set.at[set.count] = number;
    }
    return set;
}

// Passes over eight gaps of one byte at a time while all of their numbers are below `wanted`.
// `base`: the number that a gap of 0 would make.
static const uint8_t *pass_over(const uint8_t *at, const uint8_t *end, uint64_t wanted,
                                uint64_t *base) {
    const uint64_t even = UINT64_C(0x00ff00ff00ff00ff);
    while (end - at >= 8) {
        uint64_t gaps;
        memcpy(&gaps, at, sizeof gaps);
        if ((gaps & UINT64_C(0x8080808080808080)) != 0) break;
        uint64_t twos = (gaps & even) + (gaps >> 8 & even);
        uint64_t sum = twos * UINT64_C(0x0001000100010001) >> 48;
        if (*base + sum + 7 >= wanted) break;
        *base += sum + 8;
        at += 8;
    }
    return at;
}

PostingSet posting_list_and(const PostingList *list, PostingSet set, Arena *arena) {
    PostingSet out = set_begin(MIN((size_t)list->count, set.count), arena);
    const uint8_t *at = list->bytes, *end = at + list->len;
    uint64_t base = 0;
    for (size_t i = 0; i < set.count && at < end;) {
        at = pass_over(at, end, set.at[i], &base);
        if (at == end) break;
        uint32_t gap = 0;
        for (unsigned shift = 0;; shift += 7) {
            gap |= (uint32_t)(*at & 0x7f) << shift;
            if (*at++ < 0x80) break;
        }
        uint64_t number = base + gap;
        base = number + 1;
        while (i < set.count && set.at[i] < number) i++;
        if (i < set.count && set.at[i] == number) out.at[out.count++] = set.at[i++];
    }
    return out;
}

void posting_list_free(PostingList *list) {
    memory_free(list->bytes);
    *list = (PostingList){0};
}
