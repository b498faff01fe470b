// Remote read: what another Prometheus asks for, and the answer in either of its two forms.
//
// A ReadRequest names queries: a span of time and matchers each. SAMPLES is one ReadResponse;
// CHUNKS is a row of frames, each a ChunkedReadResponse with chunks of at most 120 samples in
// Prometheus' encodings (README.md has the bytes). What a stranger sent is checked here; the
// limits are READ_QUERIES and READ_MATCHERS.
//
// Runs on worker threads. What is held is charged to `budget` while it grows, and more than
// `bytes_max` is TOO_COSTLY: of SAMPLES, which are one message, the whole answer; of frames those
// that were not taken yet.
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

// The same some at a time. Request and answer outlive it.
typedef struct ReadFrames ReadFrames;
ReadFrames *read_frames_begin(SeriesStore *store, const ReadRequest *request, ReadAnswer *answer);
// Appends about `bytes` more to answer->out, whole series; *done with the last of them.
must_use bool read_frames_next(ReadFrames *frames, size_t bytes, bool *done, Error *err);
// Closes what the frames are read from, as it cannot go while it is open; the next call opens it
// again and goes on behind the last series.
void read_frames_let_go(ReadFrames *frames);
void read_frames_free(ReadFrames **frames);  // works with AUTO; NULL is fine
