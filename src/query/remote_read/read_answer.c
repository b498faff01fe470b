// Answering a ReadRequest: series by series in the order of their labels, as samples or as chunks.

#include <stdlib.h>

#include "base/assert.h"
#include "base/memory.h"
#include "codec/crc32c.h"
#include "codec/protobuf.h"
#include "query/remote_read/histogram_chunk.h"
#include "query/remote_read/remote_read.h"
#include "query/remote_read/xor_chunk.h"

// Of generated names: ReadResponse.results, QueryResult.timeseries, TimeSeries.samples …
enum {
    RESPONSE_RESULTS = 1,
    RESULT_TIMESERIES = 1,
    TIMESERIES_SAMPLES = 2,
    TIMESERIES_HISTOGRAMS = 4,
    SAMPLE_VALUE = 1,
    SAMPLE_TIMESTAMP = 2,
    CHUNKED_SERIES = 1,
    CHUNKED_QUERY_INDEX = 2,
    SERIES_CHUNKS = 2,
    CHUNK_MIN_TIME = 1,
    CHUNK_MAX_TIME = 2,
    CHUNK_TYPE = 3,
    CHUNK_DATA = 4,
    CHUNK_TYPE_XOR = 1,
};

enum {
    FRAME_BYTES = 1 * MB,    // a frame ends once it has so many, as Prometheus'
    SERIES_BYTES_MIN = 128,  // what a series that was found takes at the least
};

typedef struct Reading {
    ReadAnswer *answer;
    SeriesView *view;
    SeriesCursor *cursor;
    SeriesColumns columns;
    Arena arena;    // of one query
    Arena scratch;  // of one series
    Arena piece;    // of the histograms of one chunk
    Builder frame;
    Builder chunk;
    uint64_t query_index;
} Reading;

static void reading_end(Reading *reading) {
    series_cursor_close(&reading->cursor);
    series_view_close(&reading->view);
    series_columns_free(&reading->columns);
    arena_free(&reading->arena);
    arena_free(&reading->scratch);
    arena_free(&reading->piece);
    builder_free(&reading->frame);
    builder_free(&reading->chunk);
}

static bool charge(Reading *reading, Error *err) {
    ReadAnswer *answer = reading->answer;
    int64_t bytes = (int64_t)(answer->out->len + reading->arena.bytes + reading->scratch.bytes +
                              reading->piece.bytes + reading->columns.capacity * 16);
    if (answer->bytes_max > 0 && bytes > answer->bytes_max) {
        return error_set(err, ERROR_TOO_COSTLY,
                         "the answer would take more memory than one query may (query.memory, %lld "
                         "bytes); ask for fewer series or a shorter time",
                         (long long)answer->bytes_max);
    }
    if (bytes <= answer->charged || answer->budget == NULL) return true;
    TRY(budget_reserve(answer->budget, bytes - answer->charged, err));
    answer->charged = bytes;
    return true;
}

static int by_labels(const void *a, const void *b) {
    return labels_compare(((const SeriesFound *)a)->labels, ((const SeriesFound *)b)->labels);
}

static bool find(Reading *reading, SeriesStore *store, const ReadQuery *query,
                 SeriesFoundList *found, Error *err) {
    size_t series_max = (size_t)(reading->answer->bytes_max / SERIES_BYTES_MIN);
    series_cursor_close(&reading->cursor);
    series_view_close(&reading->view);
    arena_clear(&reading->arena);
    TRY(series_view_open(store, query->from_ms, query->to_ms, &reading->view, err));
    series_view_meter(reading->view, reading->answer->meter);
    reading->cursor = series_cursor_open(reading->view);
    TRY(series_select(reading->view, query->matchers, series_max, &reading->arena, found, err));
    if (found->count > 1) qsort(found->at, found->count, sizeof *found->at, by_labels);
    return charge(reading, err);
}

static bool read_series(Reading *reading, const SeriesFound *series, const ReadQuery *query,
                        Error *err) {
    ReadAnswer *answer = reading->answer;
    if (answer->cancelled != NULL && atomic_load(answer->cancelled))
        return error_set(err, ERROR_CANCELLED, "the client went away");
    arena_clear(&reading->scratch);
    TRY(series_read(reading->cursor, series, query->from_ms, query->to_ms, &reading->columns, err));
    answer->samples += reading->columns.count + reading->columns.histograms;
    answer->series += reading->columns.count + reading->columns.histograms > 0;
    return true;
}

// Both are sorted; of one name the series' own label stays.
static void add_labels(Labels own, Labels external, Builder *out) {
    Label mine = {0}, theirs = {0};
    Bytes left = own.wire, right = external.wire;
    bool more = labels_next(&left, &mine), others = labels_next(&right, &theirs);
    while (more || others) {
        int order = !others ? -1 : !more ? 1 : text_compare(mine.name, theirs.name);
        if (order <= 0) {
            labels_append(out, mine.name, mine.value);
            more = labels_next(&left, &mine);
            if (order == 0) others = labels_next(&right, &theirs);
        } else {
            labels_append(out, theirs.name, theirs.value);
            others = labels_next(&right, &theirs);
        }
    }
}

// ---- Samples ----

static bool write_series(Reading *reading, const SeriesFound *series, const ReadQuery *query,
                         Error *err) {
    Builder *out = reading->answer->out;
    const SeriesColumns *columns = &reading->columns;
    TRY(read_series(reading, series, query, err));
    if (columns->count + columns->histograms == 0) return true;
    SeriesHistogram *histograms = NULL;
    size_t histogram_count = 0;
    if (columns->histograms > 0)
        TRY(series_read_histograms(reading->cursor, series, query->from_ms, query->to_ms,
                                   &reading->scratch, &histograms, &histogram_count, err));
    size_t begun = protobuf_begin(out, RESULT_TIMESERIES);
    add_labels(series->labels, reading->answer->external, out);  // field 1, as they are kept
    for (size_t i = 0; i < columns->count; i++) {
        size_t sample = protobuf_begin(out, TIMESERIES_SAMPLES);
        protobuf_add_double(out, SAMPLE_VALUE, columns->values[i]);
        protobuf_add_varint(out, SAMPLE_TIMESTAMP, (uint64_t)columns->times[i]);
        protobuf_end(out, sample);
    }
    for (size_t i = 0; i < histogram_count; i++)
        protobuf_add_bytes(out, TIMESERIES_HISTOGRAMS, histograms[i].wire);
    protobuf_end(out, begun);
    return charge(reading, err);
}

bool read_answer_samples(SeriesStore *store, const ReadRequest *request, ReadAnswer *answer,
                         Error *err) {
    AUTO(reading_end) Reading reading = {.answer = answer};
    for (size_t i = 0; i < request->count; i++) {
        const ReadQuery *query = &request->at[i];
        SeriesFoundList found;
        TRY(find(&reading, store, query, &found, err));
        size_t begun = protobuf_begin(answer->out, RESPONSE_RESULTS);
        for (size_t j = 0; j < found.count; j++)
            TRY(write_series(&reading, &found.at[j], query, err));
        protobuf_end(answer->out, begun);
    }
    return true;
}

// ---- Chunks ----

// Varint of the length, CRC-32C with its highest byte first, then the message.
static void end_frame(Reading *reading, size_t begun) {
    Builder *out = reading->answer->out, *frame = &reading->frame;
    protobuf_end(frame, begun);
    if (reading->query_index > 0)
        protobuf_add_varint(frame, CHUNKED_QUERY_INDEX, reading->query_index);
    Bytes message = text_bytes(builder_text(frame));
    uint32_t crc = crc32c(0, message);
    writer_varint(out, message.len);
    for (int shift = 24; shift >= 0; shift -= 8) builder_add_char(out, (char)(crc >> shift & 255));
    builder_add(out, builder_text(frame));
}

static size_t begin_frame(Reading *reading, const SeriesFound *series) {
    builder_clear(&reading->frame);
    size_t begun = protobuf_begin(&reading->frame, CHUNKED_SERIES);
    add_labels(series->labels, reading->answer->external, &reading->frame);
    return begun;
}

static void add_chunk(Reading *reading, int64_t first_ms, int64_t last_ms, uint64_t type) {
    Builder *frame = &reading->frame;
    size_t begun = protobuf_begin(frame, SERIES_CHUNKS);
    protobuf_add_varint(frame, CHUNK_MIN_TIME, (uint64_t)first_ms);
    protobuf_add_varint(frame, CHUNK_MAX_TIME, (uint64_t)last_ms);
    protobuf_add_varint(frame, CHUNK_TYPE, type);
    protobuf_add_bytes(frame, CHUNK_DATA, text_bytes(builder_text(&reading->chunk)));
    protobuf_end(frame, begun);
}

// A chunk of the floats from `from` on, which end before `end_ms`; returns where the next begins.
static size_t add_floats(Reading *reading, size_t from, int64_t end_ms) {
    const SeriesColumns *columns = &reading->columns;
    size_t to = from;
    while (to < columns->count && to - from < XOR_CHUNK_SAMPLES_MAX &&
           (columns->times[to] < end_ms || end_ms == INT64_MAX))
        to++;
    builder_clear(&reading->chunk);
    xor_chunk_write(columns->times + from, columns->values + from, to - from, &reading->chunk);
    add_chunk(reading, columns->times[from], columns->times[to - 1], CHUNK_TYPE_XOR);
    return to;
}

// False for what contradicts itself: writes are not asked for that, and for queries it is not there
// either.
static bool read_histogram(Reading *reading, const SeriesHistogram *stored, NativeHistogram *out) {
    Error ignored;
    bool good = native_histogram_read(stored->wire, &reading->piece, out, &ignored) &&
                (is_stale(out->sum) || native_histogram_check(out, &ignored));
    if (good) out->time_ms = stored->time_ms;
    return good;
}

// The same of histograms: as many as one chunk can hold.
static size_t add_histograms(Reading *reading, const SeriesHistogram *stored, size_t from,
                             size_t count, int64_t end_ms) {
    NativeHistogram some[HISTOGRAM_CHUNK_SAMPLES_MAX];
    size_t taken = 0, at = from;
    arena_clear(&reading->piece);
    for (; at < count && taken < COUNT(some); at++) {
        if (stored[at].time_ms >= end_ms && end_ms != INT64_MAX) break;
        if (!read_histogram(reading, &stored[at], &some[taken])) continue;
        if (taken > 0 && !histogram_chunk_joins(&some[taken - 1], &some[taken])) break;
        taken++;
    }
    if (taken == 0) return at;
    builder_clear(&reading->chunk);
    histogram_chunk_write(some, taken, &reading->chunk);
    add_chunk(reading, some[0].time_ms, some[taken - 1].time_ms,
              some[0].is_float ? CHUNK_TYPE_FLOAT_HISTOGRAM : CHUNK_TYPE_HISTOGRAM);
    return at;
}

// Where a float has the same time it counts, as in queries.
static size_t drop_covered(const SeriesColumns *floats, SeriesHistogram *stored, size_t count) {
    size_t kept = 0, at = 0;
    for (size_t i = 0; i < count; i++) {
        while (at < floats->count && floats->times[at] < stored[i].time_ms) at++;
        bool covered = at < floats->count && floats->times[at] == stored[i].time_ms;
        if (!covered) stored[kept++] = stored[i];
    }
    return kept;
}

// Floats and histograms in the order of time.
static bool add_chunks(Reading *reading, const SeriesFound *series, const SeriesHistogram *stored,
                       size_t stored_count, Error *err) {
    const SeriesColumns *columns = &reading->columns;
    size_t at = 0, histogram = 0, begun = begin_frame(reading, series);
    size_t empty = reading->frame.len;
    while (at < columns->count || histogram < stored_count) {
        int64_t float_ms = at < columns->count ? columns->times[at] : INT64_MAX;
        int64_t histogram_ms = histogram < stored_count ? stored[histogram].time_ms : INT64_MAX;
        if (reading->frame.len >= FRAME_BYTES) {
            end_frame(reading, begun);
            TRY(charge(reading, err));
            begun = begin_frame(reading, series);
        }
        if (at < columns->count && (float_ms < histogram_ms || histogram == stored_count)) {
            at = add_floats(reading, at, histogram_ms);
        } else {
            histogram = add_histograms(reading, stored, histogram, stored_count, float_ms);
        }
    }
    if (reading->frame.len > empty) end_frame(reading, begun);
    return charge(reading, err);
}

static bool write_frames(Reading *reading, const SeriesFound *series, const ReadQuery *query,
                         Error *err) {
    TRY(read_series(reading, series, query, err));
    SeriesHistogram *stored = NULL;
    size_t count = 0;
    if (reading->columns.histograms > 0)
        TRY(series_read_histograms(reading->cursor, series, query->from_ms, query->to_ms,
                                   &reading->scratch, &stored, &count, err));
    count = drop_covered(&reading->columns, stored, count);
    return reading->columns.count + count == 0 || add_chunks(reading, series, stored, count, err);
}

struct ReadFrames {
    Reading reading;
    SeriesStore *store;
    const ReadRequest *request;
    size_t query;           // the next one
    SeriesFoundList found;  // of the one before it
    size_t at;              // the next series
    Builder last;           // the labels of the one before it
};

ReadFrames *read_frames_begin(SeriesStore *store, const ReadRequest *request, ReadAnswer *answer) {
    ReadFrames *frames = memory_new(ReadFrames);
    *frames = (ReadFrames){.reading = {.answer = answer}, .store = store, .request = request};
    return frames;
}

void read_frames_free(ReadFrames **handle) {
    if (*handle == NULL) return;
    ReadFrames *frames = TAKE(*handle);
    reading_end(&frames->reading);
    builder_free(&frames->last);
    memory_free(frames);
}

void read_frames_let_go(ReadFrames *frames) {
    series_cursor_close(&frames->reading.cursor);
    series_view_close(&frames->reading.view);
}

static bool next_query(ReadFrames *frames, Error *err) {
    frames->reading.query_index = frames->query;
    const ReadQuery *query = &frames->request->at[frames->query++];
    builder_clear(&frames->last);
    frames->at = 0;
    return find(&frames->reading, frames->store, query, &frames->found, err);
}

// The series of the query that is under way are found again, those behind the last one.
static bool find_again(ReadFrames *frames, Error *err) {
    const ReadQuery *query = &frames->request->at[frames->query - 1];
    TRY(find(&frames->reading, frames->store, query, &frames->found, err));
    Labels last = {text_bytes(builder_text(&frames->last))};
    for (frames->at = 0; frames->last.len > 0 && frames->at < frames->found.count; frames->at++)
        if (labels_compare(frames->found.at[frames->at].labels, last) > 0) break;
    return true;
}

bool read_frames_next(ReadFrames *frames, size_t bytes, bool *done, Error *err) {
    const Builder *out = frames->reading.answer->out;
    size_t most = bytes > SIZE_MAX - out->len ? SIZE_MAX : out->len + bytes;
    *done = false;
    if (frames->query > 0 && frames->reading.view == NULL) TRY(find_again(frames, err));
    while (out->len < most) {
        if (frames->at < frames->found.count) {
            const SeriesFound *series = &frames->found.at[frames->at++];
            builder_clear(&frames->last);
            builder_add(&frames->last, bytes_text(series->labels.wire));
            TRY(write_frames(&frames->reading, series, &frames->request->at[frames->query - 1],
                             err));
        } else if (frames->query < frames->request->count) {
            TRY(next_query(frames, err));
        } else {
            *done = true;
            break;
        }
    }
    return true;
}

bool read_answer_chunks(SeriesStore *store, const ReadRequest *request, ReadAnswer *answer,
                        Error *err) {
    AUTO(read_frames_free) ReadFrames *frames = read_frames_begin(store, request, answer);
    bool done = false;
    while (!done) TRY(read_frames_next(frames, SIZE_MAX, &done, err));
    return true;
}
