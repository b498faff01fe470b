// A head: one generation of the store, in memory. Registry (who), pages (samples), side (the rest).
//
// Reference counted: the store holds one, every view that reads it another. While it is young, any
// thread resolves and appends; after its turn nothing changes any more. It is dropped whole:
// nothing inside is ever collected.
#pragma once

#include "store/series/histogram_pieces.h"
#include "store/series/page.h"
#include "store/series/quota.h"
#include "store/series/registry.h"

// Which series has something on the side: open addressing over our own dense refs.
typedef struct RefMap {
    uint64_t *slots;  // ref << 32 | value + 1; 0: free
    uint32_t slot_count, count;
} RefMap;

typedef struct HeadExemplar {
    uint32_t ref;
    int64_t time_ms;
    double value;
    Bytes labels;  // owned
} HeadExemplar;

typedef struct HeadHistograms {  // of one series
    uint32_t ref;
    HistogramPieces pieces;
} HeadHistograms;

typedef struct HeadSide {
    Mutex lock;  // SERIES_SIDE
    ARRAY(HeadExemplar) exemplars;
    size_t exemplar_oldest;  // once the ring is full
    RefMap exemplar_last;    // ref -> place of its newest exemplar
    RefMap histogram_of;     // ref -> place in `histograms`
    ARRAY(HeadHistograms) histograms;
    _Atomic uint64_t histogram_count;
    HistogramPeek peek;
    ARRAY(int64_t) days;  // UTC days that have samples, rising
} HeadSide;

typedef struct Head {
    uint64_t generation;
    uint64_t name;  // above 0; no other head of this process has it, of whatever store
    _Atomic uint32_t references;
    HeadMemory memory;
    Registry registry;
    Vector pages;         // Page *
    uint32_t page_count;  // made; grows under the registry's lock
    HeadSide side;
    _Atomic int64_t min_ms, max_ms;  // of what was stored; min > max: nothing
    _Atomic int64_t front_ms;        // max_ms after the first append: how far the front moved since
    _Atomic int64_t day;             // a day known to be in side.days
    _Atomic uint64_t first_sequence, last_sequence;  // UINT64_MAX, 0: none
    _Atomic uint64_t samples;
    int64_t born_ns;  // monotonic
    int64_t registry_charged;
} Head;

// So many rows in a row that nothing foretold: the sender has no order.
enum { HEAD_FAILURES_MAX = 3 };

typedef struct HeadCounts {
    uint64_t predicted, looked_up, created;  // predicted: or known by the sender
} HeadCounts;

Head *head_open(uint64_t generation, HashKey hash_key, Budget *memory, int64_t now_ns);
Head *head_ref(Head *head);
void head_unref(Head **head);  // NULL is fine

// See series_resolve. `before` (NULL: none) is the head before this one. No series is made for rows
// of which nothing is as young as `oldest_ms`: they are TOO_OLD.
void head_resolve(Head *head, Head *before, Quota *quota, Clock *clock,
                  SeriesPrediction *prediction, Batch *batch, int64_t oldest_ms, bool replay,
                  HeadCounts *counts);
// See series_append; samples below `oldest_ms` are TOO_OLD.
void head_append(Head *head, Batch *batch, uint64_t sequence, int64_t oldest_ms);
void head_too_old(Error *err, int64_t time_ms, int64_t oldest_ms);  // why

// The registry, for who reads its postings. Those of series that were made with `replay` are added
// by whoever asks for them first, so that a start need not wait for it. Takes the registry's lock.
Registry *head_postings(Head *head);

static inline Page *head_page(const Head *head, uint32_t ref) {
    return *(Page **)vector_place(&head->pages, ref >> PAGE_BITS, sizeof(Page *));
}
// `reader` as in page_samples.
must_use bool head_read(Head *head, PageReader *reader, uint32_t ref, int64_t from_ms,
                        int64_t to_ms, SeriesColumns *out, Error *err);
int64_t head_bytes(const Head *head);
uint64_t head_series(const Head *head);
bool head_overlaps(const Head *head, int64_t from_ms, int64_t to_ms);

// ---- Side (head_side.c) ----
void side_begin(HeadSide *side);
void side_end(HeadSide *side);
void side_add_day(Head *head, int64_t day);
Verdict side_add_histogram(Head *head, uint32_t ref, int64_t time_ms, Bytes wire);
void side_add_exemplar(Head *head, uint32_t ref, const BatchExemplar *exemplar);
// Appends the histograms in the interval, copied to the arena, rising.
void side_histograms(Head *head, uint32_t ref, int64_t from_ms, int64_t to_ms, Arena *arena,
                     SeriesHistogramArray *out);
// The time of each in the interval.
void side_histogram_times(Head *head, uint32_t ref, int64_t from_ms, int64_t to_ms,
                          void (*each)(void *context, int64_t time_ms), void *context);
size_t side_histogram_count(Head *head, uint32_t ref, int64_t from_ms, int64_t to_ms);
// All exemplars in the interval, copied to the arena, in time order. `of` (NULL: all) keeps those
// of these refs.
typedef ARRAY(HeadExemplar) HeadExemplarArray;
void side_exemplars(Head *head, const PostingSet *of, int64_t from_ms, int64_t to_ms, Arena *arena,
                    HeadExemplarArray *out);

// Has it anything of the day?
bool side_has_day(Head *head, int64_t day);

static inline int64_t day_of_ms(int64_t time_ms) {
    const int64_t day = 86400000;
    return time_ms >= 0 ? time_ms / day : -((-(time_ms + 1)) / day) - 1;
}
