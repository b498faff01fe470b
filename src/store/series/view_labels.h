// Which labels of found series are handed out (SeriesWanted), and whether the series stay apart.
// Private to this folder.
//
// A source that keeps labels as numbers shows each series as a row of them: `picked_begin`, one
// `picked_add` per pair, `picked_find`. Only where these numbers are met for the first time are
// label bytes made. Numbers of one source say nothing about another's: who unites several has the
// bytes in hand anyway, and shows those.
#pragma once

#include "store/series/series.h"

enum { PICKED_MAX = 64 };

typedef struct PickedSet {
    uint64_t hash;
    uint32_t first, count;  // of `numbers`; or none
    Labels labels;
} PickedSet;

typedef struct LabelPicker {
    const SeriesWanted *wanted;
    HashKey key;
    Arena *arena;   // of label bytes
    Arena scratch;  // of all below
    ARRAY(uint32_t) numbers;
    ARRAY(PickedSet) sets;
    uint32_t *set_slots;  // 1 + index into `sets`; 0: free
    size_t set_slot_count;
    uint64_t *rests;  // hashes of what is left of each series; 0: free
    size_t rest_slot_count, rest_count;
    bool apart;  // so far
} LabelPicker;

LabelPicker picker_begin(const SeriesWanted *wanted, HashKey key, Arena *arena);
void picker_end(LabelPicker *picker);

// What a label is looked at for, as bits.
enum { LABEL_PICKED = 1, LABEL_OF_REST = 2 };
uint8_t picker_use(const LabelPicker *picker, Text name);

// One series: its pairs, in their order.
typedef struct Picked {
    uint32_t numbers[PICKED_MAX];
    size_t count;
    uint64_t hash, rest;
} Picked;

static inline void picked_begin(const LabelPicker *picker, Picked *picked) {
    picked->count = 0;
    picked->hash = picked->rest = picker->key.low;
}

// `number` tells the pair from all others of the source, name included.
static inline void picked_add(Picked *picked, uint8_t use, uint32_t number) {
    if (use & LABEL_PICKED) {
        picked->numbers[picked->count++] = number;
        picked->hash = hash_id(picked->hash ^ number);
    }
    if (use & LABEL_OF_REST) picked->rest = hash_id(picked->rest ^ number);
}

// Where the label bytes of these numbers are kept; `*made` when they are to be written there.
// Also counts the rest of the series.
Labels *picked_find(LabelPicker *picker, const Picked *picked, bool *made);

// The same of a series whose bytes are at hand: what of them is handed out.
Labels picker_of_bytes(LabelPicker *picker, Labels labels);
