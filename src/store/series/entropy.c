// Class codes: counting, making a limited Huffman code, writing and reading it least significant
// bit first.

#include "store/series/entropy.h"

#include "base/assert.h"
#include "store/index/bitpack.h"

enum { WINDOW_BITS = 57 };  // that one load surely has, whatever bit it begins at

// A step of the message: one number, or a run of zeros.
typedef struct Step {
    unsigned symbol;
    unsigned raw_bits;
    uint64_t raw;
    size_t numbers;  // how many it stands for
} Step;

static inline Step step_at(const uint64_t *numbers, size_t count, size_t at) {
    uint64_t number = numbers[at];
    if (number == 0) {
        size_t run = 1;
        while (at + run < count && numbers[at + run] == 0) run++;
        if (run >= (1u << ENTROPY_RUN_LOG_MIN)) {
            unsigned log = bit_length(run) - 1;
            return (Step){ENTROPY_CLASSES + log - ENTROPY_RUN_LOG_MIN, log,
                          run - ((size_t)1 << log), run};
        }
        return (Step){0, 0, 0, 1};
    }
    unsigned length = bit_length(number);
    // The highest bit is known to be set.
    return (Step){length, length - 1, number ^ (UINT64_C(1) << (length - 1)), 1};
}

typedef struct Node {
    uint32_t count;
    uint16_t parent;
    uint16_t symbol;
} Node;

// Huffman's two queues: leaves sorted by count, and inner nodes which come out sorted by
// themselves. Returns the longest length.
static unsigned lengths_make(const uint32_t *counts, uint8_t *lengths) {
    UNFILLED Node nodes[2 * ENTROPY_SYMBOLS];
    unsigned leaves = 0;
    for (unsigned symbol = 0; symbol < ENTROPY_SYMBOLS; symbol++) {
        lengths[symbol] = 0;
        if (counts[symbol] == 0) continue;
        unsigned at = leaves++;
        for (; at > 0 && nodes[at - 1].count > counts[symbol]; at--) nodes[at] = nodes[at - 1];
        nodes[at] = (Node){counts[symbol], 0, (uint16_t)symbol};
    }
    if (leaves == 1) {
        lengths[nodes[0].symbol] = 1;
        return 1;
    }
    unsigned leaf = 0, inner = leaves, all = leaves;
    for (; all < 2 * leaves - 1; all++) {
        uint32_t sum = 0;
        for (unsigned child = 0; child < 2; child++) {
            bool take_leaf =
                leaf < leaves && (inner == all || nodes[leaf].count <= nodes[inner].count);
            Node *node = take_leaf ? &nodes[leaf++] : &nodes[inner++];
            sum += node->count;
            node->parent = (uint16_t)all;
        }
        nodes[all] = (Node){sum, 0, 0};
    }
    UNFILLED uint8_t depth[2 * ENTROPY_SYMBOLS];
    unsigned longest = 0;
    depth[all - 1] = 0;
    for (unsigned i = all - 1; i-- > 0;) {
        depth[i] = (uint8_t)(depth[nodes[i].parent] + 1);
        if (i < leaves) {
            lengths[nodes[i].symbol] = depth[i];
            longest = MAX(longest, (unsigned)depth[i]);
        }
    }
    return longest;
}

// Long columns are two streams, the first half of the numbers and the rest: their decoders run side
// by side, since each only waits for its own last step. Measured: 10 ns per number as one stream,
// see README.md for two.
static inline size_t first_count(size_t count) {
    return count < ENTROPY_SPLIT_MIN ? count : count / 2;
}

// Where the symbols that occur lie: classes lowest … lowest + classes - 1, then `runs` run symbols.
typedef struct Extent {
    unsigned lowest, classes, runs;
} Extent;

static Extent extent_of(const uint8_t *lengths) {
    unsigned lowest = 0, highest = 0, runs = 0;
    bool any = false;
    for (unsigned c = 0; c < ENTROPY_CLASSES; c++) {
        if (lengths[c] == 0) continue;
        if (!any) lowest = c;
        any = true;
        highest = c;
    }
    for (unsigned k = 0; k < ENTROPY_RUNS; k++) {
        if (lengths[ENTROPY_CLASSES + k] > 0) runs = k + 1;
    }
    return (Extent){lowest, highest - lowest + 1, runs};
}

static inline size_t table_bytes(Extent extent) {
    return 2 + (extent.classes + extent.runs + 1) / 2;
}

bool entropy_plan(const uint64_t *numbers, size_t count, EntropyPlan *plan) {
    assert(count > 0 && count <= ENTROPY_NUMBERS_MAX);
    uint32_t counts[2][ENTROPY_SYMBOLS] = {{0}};
    size_t bits[2] = {0}, ends[2] = {first_count(count), count};
    for (size_t stream = 0, at = 0; stream < 2; stream++) {
        while (at < ends[stream]) {
            Step step = step_at(numbers, ends[stream], at);
            if (step.raw_bits == 63 && step.numbers == 1) return false;
            counts[stream][step.symbol]++;
            bits[stream] += step.raw_bits;
            at += step.numbers;
        }
    }
    // Too deep a tree is flattened by halving the counts, as bzip2 does; rare and harmless.
    uint32_t flat[ENTROPY_SYMBOLS];
    for (unsigned i = 0; i < ENTROPY_SYMBOLS; i++) flat[i] = counts[0][i] + counts[1][i];
    while (lengths_make(flat, plan->lengths) > ENTROPY_CODE_BITS_MAX) {
        for (unsigned i = 0; i < ENTROPY_SYMBOLS; i++) flat[i] = flat[i] == 0 ? 0 : flat[i] / 2 + 1;
    }
    for (unsigned i = 0; i < ENTROPY_SYMBOLS; i++) {
        for (unsigned stream = 0; stream < 2; stream++)
            bits[stream] += (size_t)counts[stream][i] * plan->lengths[i];
    }
    plan->first_bytes = (bits[0] + 7) / 8;
    plan->bytes = table_bytes(extent_of(plan->lengths)) + plan->first_bytes + (bits[1] + 7) / 8;
    if (first_count(count) < count) plan->bytes += varint_len(plan->first_bytes);
    return true;
}

// Of a code, which has 12 bits at most.
static inline unsigned reversed(unsigned code, unsigned length) {
    static const unsigned nibbles[] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
    unsigned twelve =
        nibbles[code & 15] << 8 | nibbles[code >> 4 & 15] << 4 | nibbles[code >> 8 & 15];
    return twelve >> (12 - length);
}

// The canonical code: shorter first, then by symbol; bits reversed, since we write the lowest bit
// first. False when the lengths ask for more codes than there are.
static bool codes_make(const uint8_t *lengths, uint16_t *codes) {
    unsigned per_length[ENTROPY_CODE_BITS_MAX + 1] = {0}, next[ENTROPY_CODE_BITS_MAX + 1] = {0};
    for (unsigned i = 0; i < ENTROPY_SYMBOLS; i++) per_length[lengths[i]]++;
    unsigned code = 0;
    for (unsigned length = 1; length <= ENTROPY_CODE_BITS_MAX; length++) {
        next[length] = code;
        code += per_length[length];
        if (code > 1u << length) return false;
        code <<= 1;
    }
    for (unsigned i = 0; i < ENTROPY_SYMBOLS; i++) {
        unsigned length = lengths[i];
        if (length > 0) codes[i] = (uint16_t)reversed(next[length]++, length);
    }
    return true;
}

// Writes eight bytes at a time: as many behind the last one may be touched.
typedef struct BitWriter {
    uint8_t *at;
    uint64_t word;
    unsigned filled;  // below 8 between calls
} BitWriter;

// At most 56 bits at a time.
static inline void bits_put(BitWriter *writer, uint64_t bits, unsigned count) {
    uint64_t word = writer->word | bits << writer->filled;
    unsigned filled = writer->filled + count;  // 63 at most
    memcpy(writer->at, &word, sizeof word);
    writer->at += filled / 8;
    writer->word = word >> (filled & ~7u);
    writer->filled = filled % 8;
}

static void stream_put(const EntropyPlan *plan, const uint16_t *codes, const uint64_t *numbers,
                       size_t count, BitWriter *writer) {
    for (size_t at = 0; at < count;) {
        Step step = step_at(numbers, count, at);
        bits_put(writer, codes[step.symbol], plan->lengths[step.symbol]);
        unsigned low = MIN(step.raw_bits, 32u);
        bits_put(writer, step.raw & ((UINT64_C(1) << low) - 1), low);
        if (step.raw_bits > 32) bits_put(writer, step.raw >> 32, step.raw_bits - 32);
        at += step.numbers;
    }
    if (writer->filled > 0) bits_put(writer, 0, 8 - writer->filled);
}

size_t entropy_encode(const EntropyPlan *plan, const uint64_t *numbers, size_t count,
                      uint8_t *into) {
    uint16_t codes[ENTROPY_SYMBOLS] = {0};
    bool sound = codes_make(plan->lengths, codes);
    assert(sound);
    Extent extent = extent_of(plan->lengths);
    uint16_t shape = (uint16_t)(extent.lowest | (extent.classes - 1) << 6 | extent.runs << 12);
    memcpy(into, &shape, sizeof shape);
    BitWriter writer = {into + sizeof shape, 0, 0};
    for (unsigned i = 0; i < extent.classes; i++)
        bits_put(&writer, plan->lengths[extent.lowest + i], 4);
    for (unsigned i = 0; i < extent.runs; i++)
        bits_put(&writer, plan->lengths[ENTROPY_CLASSES + i], 4);
    if (writer.filled > 0) bits_put(&writer, 0, 8 - writer.filled);

    size_t first = first_count(count);
    if (first < count) {
        // Its length in front of the first stream, so that the second can be found.
        size_t left = plan->first_bytes;
        for (; left >= 0x80; left >>= 7) bits_put(&writer, (left & 0x7f) | 0x80, 8);
        bits_put(&writer, left, 8);
    }
    stream_put(plan, codes, numbers, first, &writer);
    if (first < count) stream_put(plan, codes, numbers + first, count - first, &writer);
    size_t written = (size_t)(writer.at - into);
    assert(written == plan->bytes);
    return written;
}

// What a table entry says: how long the code is, how many bits follow, and what they mean.
typedef struct Entry {
    uint8_t code_bits;  // 0: no such code
    uint8_t raw_bits;
    uint8_t one;      // 1 when an implied highest bit stands above the raw bits
    uint8_t special;  // 1: a run of zeros, or no such code
} Entry;

typedef struct Table {
    unsigned bits;
    unsigned steps;  // so many steps surely lie in 57 bits; 0: not even one
    Entry entries[1 << ENTROPY_CODE_BITS_MAX];
} Table;

// A symbol that occurs, and the length of its code.
typedef struct Used {
    uint8_t symbol, length;
} Used;

static Entry entry_of(Used used) {
    bool run = used.symbol >= ENTROPY_CLASSES;
    unsigned raw = used.symbol > 0 ? used.symbol - 1u : 0;
    if (run) raw = used.symbol - ENTROPY_CLASSES + ENTROPY_RUN_LOG_MIN;
    return (Entry){used.length, (uint8_t)raw, used.symbol > 0, run};
}

// As codes_make has it. The table is made for each column anew, and columns may be short, so only
// what occurs is looked at.
static bool table_fill(const Used *used, unsigned count, Table *table) {
    unsigned per_length[ENTROPY_CODE_BITS_MAX + 1] = {0}, next[ENTROPY_CODE_BITS_MAX + 1];
    unsigned code = 0, longest = 0, step_bits = 0;
    for (unsigned i = 0; i < count; i++) per_length[used[i].length]++;
    for (unsigned length = 1; length <= ENTROPY_CODE_BITS_MAX; length++) {
        next[length] = code;
        code += per_length[length];
        if (code > 1u << length) return false;
        code <<= 1;
        if (per_length[length] > 0) longest = length;
    }
    if (longest == 0) return false;
    UNFILLED Used sorted[ENTROPY_SYMBOLS];  // by length, then as they came
    unsigned place[ENTROPY_CODE_BITS_MAX + 1] = {0};
    for (unsigned length = 1; length < ENTROPY_CODE_BITS_MAX; length++)
        place[length + 1] = place[length] + per_length[length];
    for (unsigned i = 0; i < count; i++) sorted[place[used[i].length]++] = used[i];
    // A bit more is the same table twice, and then the codes of that length. No code: no entry.
    table->bits = longest;
    table->entries[0] = (Entry){.special = 1};
    for (unsigned length = 1, at = 0; length <= longest; length++) {
        Entry *half = table->entries + (1u << (length - 1));
        memcpy(half, table->entries, sizeof *half << (length - 1));
        for (unsigned left = per_length[length]; left > 0; left--) {
            Entry entry = entry_of(sorted[at++]);
            step_bits = MAX(step_bits, length + entry.raw_bits);
            table->entries[reversed(next[length]++, length)] = entry;
        }
    }
    table->steps = WINDOW_BITS / step_bits;
    return true;
}

static bool table_make(Reader *reader, Table *table) {
    unsigned shape = reader_u16(reader);
    Extent extent = {shape & 63, (shape >> 6 & 63) + 1, shape >> 12};
    if (extent.lowest + extent.classes > ENTROPY_CLASSES || extent.runs > ENTROPY_RUNS)
        return false;
    Bytes nibbles = reader_take(reader, (extent.classes + extent.runs + 1) / 2);
    if (reader->failed) return false;

    UNFILLED Used used[ENTROPY_SYMBOLS];
    unsigned count = 0;
    for (unsigned i = 0; i < extent.classes + extent.runs; i++) {
        unsigned length = nibbles.at[i / 2] >> (i % 2 * 4) & 15;
        unsigned symbol =
            i < extent.classes ? extent.lowest + i : ENTROPY_CLASSES + i - extent.classes;
        if (length > ENTROPY_CODE_BITS_MAX) return false;
        if (length > 0) used[count++] = (Used){(uint8_t)symbol, (uint8_t)length};
    }
    return table_fill(used, count, table);
}

// Inlined into versions for different processors, below.
#define always_inline_ inline __attribute__((always_inline))

typedef struct BitReader {
    const uint8_t *at;
    size_t bit;      // next bit, from `at`
    size_t safe;     // bytes before this may be looked at
    uint64_t *into;  // next number
    uint64_t *end;
} BitReader;

// WINDOW_BITS at least.
static always_inline_ uint64_t bits_look(const BitReader *bits) {
    uint64_t word;
    memcpy(&word, bits->at + bits->bit / 8, sizeof word);
    return word >> (bits->bit % 8);
}

// One step reads 73 bits at most: inside the next 16 bytes.
static always_inline_ bool step_is_safe(const BitReader *bits) {
    return bits->into < bits->end && bits->bit / 8 + 16 <= bits->safe;
}

// What the raw bits of an entry stand for. False: no such code, or too long a run.
static always_inline_ bool step_give(Entry entry, uint64_t raw, BitReader *bits) {
    raw |= (uint64_t)entry.one << entry.raw_bits;
    if (likely(!entry.special)) {
        *bits->into++ = raw;
        return true;
    }
    if (entry.code_bits == 0 || raw > (size_t)(bits->end - bits->into)) return false;
    memset(bits->into, 0, raw * sizeof raw);
    bits->into += raw;
    return true;
}

// One step of any length.
static always_inline_ bool step_take(const Table *table, uint64_t mask, BitReader *bits) {
    uint64_t window = bits_look(bits);
    Entry entry = table->entries[window & mask];
    uint64_t raw;
    if (likely(entry.raw_bits <= WINDOW_BITS - ENTROPY_CODE_BITS_MAX)) {
        raw = window >> entry.code_bits & ((UINT64_C(1) << entry.raw_bits) - 1);
        bits->bit += (size_t)entry.code_bits + entry.raw_bits;
    } else {
        bits->bit += entry.code_bits;
        raw = bits_look(bits) & UINT32_MAX;
        bits->bit += 32;
        raw |= (bits_look(bits) & ((UINT64_C(1) << (entry.raw_bits - 32)) - 1)) << 32;
        bits->bit += (size_t)entry.raw_bits - 32;
    }
    return step_give(entry, raw, bits);
}

// As many steps as lie in one window: each waits for the length of the one before and nothing else.
static always_inline_ bool steps_take(const Table *table, uint64_t mask, BitReader *bits) {
    if (unlikely(table->steps == 0)) return step_take(table, mask, bits);
    uint64_t window = bits_look(bits);
    size_t taken = 0;
    for (unsigned left = table->steps; left > 0 && bits->into < bits->end; left--) {
        Entry entry = table->entries[window & mask];
        unsigned step = (unsigned)entry.code_bits + entry.raw_bits;
        uint64_t raw = window >> entry.code_bits & ((UINT64_C(1) << entry.raw_bits) - 1);
        window >>= step;
        taken += step;
        if (unlikely(!step_give(entry, raw, bits))) return false;
    }
    bits->bit += taken;
    return true;
}

static always_inline_ bool stream_finish(const Table *table, BitReader *bits) {
    uint64_t mask = (UINT64_C(1) << table->bits) - 1;
    BitReader local = *bits;
    while (step_is_safe(&local)) {
        if (!steps_take(table, mask, &local)) return false;
    }
    if (local.into < local.end) {
        // The last bytes again, with room behind them; the zeros there may be looked at but not
        // used.
        uint8_t tail[64] = {0};
        size_t from = MIN(local.bit / 8, local.safe), tail_len = MIN(local.safe - from, (size_t)24);
        memcpy(tail, local.at + from, tail_len);
        BitReader end = {tail, local.bit - from * 8, sizeof tail, local.into, local.end};
        while (step_is_safe(&end)) {
            if (!steps_take(table, mask, &end)) return false;
        }
        if (end.into < end.end) return false;
        local.bit = from * 8 + end.bit;
    }
    *bits = local;
    return local.bit <= local.safe * 8;
}

// Both streams in turn, as long as both have steps: two chains of waiting instead of one.
static always_inline_ bool streams_run(const Table *table, BitReader *first, BitReader *second) {
    uint64_t mask = (UINT64_C(1) << table->bits) - 1;
    BitReader a = *first, b = *second;
    while (step_is_safe(&a) && step_is_safe(&b)) {
        if (!steps_take(table, mask, &a) || !steps_take(table, mask, &b)) return false;
    }
    *first = a;
    *second = b;
    return true;
}

static always_inline_ bool decode_inline(const Table *table, Reader *reader, size_t count,
                                         uint64_t *into) {
    size_t first = first_count(count);
    Bytes first_bytes = {reader->at, reader_left(reader)};
    BitReader second = {0};
    if (first < count) {
        first_bytes = reader_take(reader, reader_varint(reader));
        if (reader->failed) return false;
        second = (BitReader){reader->at, 0, reader_left(reader), into + first, into + count};
    }
    BitReader bits = {first_bytes.at, 0, first_bytes.len, into, into + first};
    if (first == count)
        return stream_finish(table, &bits) && reader_take(reader, (bits.bit + 7) / 8).at != NULL;
    return streams_run(table, &bits, &second) && stream_finish(table, &bits) &&
           (bits.bit + 7) / 8 == first_bytes.len && stream_finish(table, &second) &&
           reader_take(reader, (second.bit + 7) / 8).at != NULL;
}

static bool decode_anywhere(const Table *table, Reader *reader, size_t count, uint64_t *into) {
    return decode_inline(table, reader, count, into);
}

#ifdef __x86_64__
// Shifts by a variable take one step instead of three where BMI2 is.
__attribute__((target("bmi,bmi2"))) static bool decode_bmi2(const Table *table, Reader *reader,
                                                            size_t count, uint64_t *into) {
    return decode_inline(table, reader, count, into);
}
#endif

bool entropy_decode(Reader *reader, size_t count, uint64_t *into) {
    UNFILLED Table table;
    if (!table_make(reader, &table)) return false;
#ifdef __x86_64__
    if (__builtin_cpu_supports("bmi2")) return decode_bmi2(&table, reader, count, into);
#endif
    return decode_anywhere(&table, reader, count, into);
}
