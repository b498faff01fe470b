// Remote read: what another Prometheus asks for, and the answer in either of its two forms.
//
// A ReadRequest names queries: a span of time and matchers each. SAMPLES is one ReadResponse;
// CHUNKS is a row of frames, each a ChunkedReadResponse with chunks of at most 120 samples in
// Prometheus' encodings (README.md has the bytes). What a stranger sent is checked here; the
// limits are READ_QUERIES and READ_MATCHERS.
//
// Runs on a worker thread. The answer is held whole until it is sent: it is charged to `budget`
// while it grows, and more than `bytes_max` is TOO_COSTLY.
#pragma once

#include <stdatomic.h>

#include "base/array.h"
#include "base/budget.h"
#include "store/series/series.h"

typedef struct ReadQuery {
    int64_t from_ms, to_ms;  // both inclusive
    Matchers matchers;
} ReadQuery;

typedef struct ReadRequest {
    ReadQuery *at;
    size_t count;
    bool samples;        // the client takes ReadResponse
    bool chunks;         // the client takes frames
    bool chunks_wanted;  // and would rather have them
    ARRAY(Regex *) regexes;
} ReadRequest;

// `wire` outlives the request: names and values are views. BAD_INPUT, TOO_MANY; on failure nothing
// is left to close. UNSUPPORTED when the client takes neither form.
must_use bool read_request_decode(Bytes wire, Arena *arena, ReadRequest *out, Error *err);
// What this server calls itself: series do not have these labels, the reader asks for them all the
// same. Matchers that name them exactly go; ReadAnswer.external brings them back.
void read_request_drop(ReadRequest *request, Labels external);
void read_request_close(ReadRequest *request);  // works with AUTO

typedef struct ReadAnswer {
    Budget *budget;
    int64_t charged;    // there, by this answer; the caller releases it when it was sent
    int64_t bytes_max;  // 0: none
    _Atomic bool *cancelled;
    Labels external;  // added to the labels of each series where it has none of the name
    Builder *out;
    SeriesMeter *meter;  // of what is read; NULL: none
    uint64_t series, samples;
} ReadAnswer;

// A ReadResponse, not compressed yet. `store` NULL: a tenant that never wrote. Native histograms
// are told as they were sent.
must_use bool read_answer_samples(SeriesStore *store, const ReadRequest *request,
                                  ReadAnswer *answer, Error *err);
// Frames. Floats are XOR chunks, native histograms those of Prometheus' histogram and float
// histogram encodings; those with bounds of their own in the form that Prometheus 3 has for them.
must_use bool read_answer_chunks(SeriesStore *store, const ReadRequest *request, ReadAnswer *answer,
                                 Error *err);
