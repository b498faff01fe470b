// Numbers that are mostly small, coded by their class: a Huffman code for the bit length, then the
// low bits as they are.
//
// This is what DESIGN.md calls class entropy; JPEG codes its coefficients the same way. The table
// is built per column (a few bytes), so each column adapts to its own spread, and runs of zeros
// have symbols of their own. Within 2 to 4 % of the entropy for noise, a few bits per change for
// what hardly changes. FORMAT.md, "Coded". Pure functions.
#pragma once

#include "codec/reader.h"

enum {
    ENTROPY_CLASSES = 64,     // symbol c < 64: a number of bit length c (so below 2^63)
    ENTROPY_RUN_LOG_MIN = 3,  // symbol 64 + k: a run of 2^(3 + k) … 2^(4 + k) - 1 zeros
    ENTROPY_RUNS = 8,
    ENTROPY_SYMBOLS = ENTROPY_CLASSES + ENTROPY_RUNS,
    ENTROPY_CODE_BITS_MAX = 10,
    ENTROPY_NUMBERS_MAX = 1024,
    ENTROPY_SPLIT_MIN = 128,  // from so many numbers on there are two streams
};

typedef struct EntropyPlan {
    size_t bytes;                      // what entropy_encode will write
    size_t first_bytes;                // of the first stream
    uint8_t lengths[ENTROPY_SYMBOLS];  // of the codes; 0: the symbol does not occur
} EntropyPlan;

// Counts symbols and makes the code. False when a number needs 64 bits. `count` is at most
// ENTROPY_NUMBERS_MAX, not 0.
bool entropy_plan(const uint64_t *numbers, size_t count, EntropyPlan *plan);
// Seven bytes behind what it writes may be touched.
size_t entropy_encode(const EntropyPlan *plan, const uint64_t *numbers, size_t count,
                      uint8_t *into);

// Not trusted: false when the table is no prefix code or the bits end too soon.
bool entropy_decode(Reader *reader, size_t count, uint64_t *into);
