// Answering a ReadRequest: series by series in the order of their labels, as samples or as chunks.

#include <stdlib.h>

#include "base/assert.h"
#include "codec/crc32c.h"
#include "codec/protobuf.h"
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
    builder_free(&reading->frame);
    builder_free(&reading->chunk);
}

static bool charge(Reading *reading, Error *err) {
    ReadAnswer *answer = reading->answer;
    int64_t bytes = (int64_t)(answer->out->len + reading->arena.bytes + reading->scratch.bytes +
                              reading->columns.capacity * 16);
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

static void add_chunk(Reading *reading, size_t first, size_t count) {
    const int64_t *times = reading->columns.times + first;
    Builder *frame = &reading->frame;
    builder_clear(&reading->chunk);
    xor_chunk_write(times, reading->columns.values + first, count, &reading->chunk);
    size_t begun = protobuf_begin(frame, SERIES_CHUNKS);
    protobuf_add_varint(frame, CHUNK_MIN_TIME, (uint64_t)times[0]);
    protobuf_add_varint(frame, CHUNK_MAX_TIME, (uint64_t)times[count - 1]);
    protobuf_add_varint(frame, CHUNK_TYPE, CHUNK_TYPE_XOR);
    protobuf_add_bytes(frame, CHUNK_DATA, text_bytes(builder_text(&reading->chunk)));
    protobuf_end(frame, begun);
}

static bool write_frames(Reading *reading, const SeriesFound *series, const ReadQuery *query,
                         Error *err) {
    TRY(read_series(reading, series, query, err));
    size_t count = reading->columns.count;
    if (reading->columns.histograms > 0) {
        reading->answer->met_histogram = true;
        return error_set(err, ERROR_UNSUPPORTED,
                         "native histograms are not sent as chunks by this version; accept SAMPLES "
                         "too");
    }
    if (count == 0) return true;
    size_t begun = begin_frame(reading, series);
    for (size_t i = 0; i < count;) {
        size_t some = MIN(count - i, (size_t)XOR_CHUNK_SAMPLES_MAX);
        add_chunk(reading, i, some);
        i += some;
        if (reading->frame.len < FRAME_BYTES || i == count) continue;
        end_frame(reading, begun);
        TRY(charge(reading, err));
        begun = begin_frame(reading, series);
    }
    end_frame(reading, begun);
    return charge(reading, err);
}

bool read_answer_chunks(SeriesStore *store, const ReadRequest *request, ReadAnswer *answer,
                        Error *err) {
    AUTO(reading_end) Reading reading = {.answer = answer};
    for (size_t i = 0; i < request->count; i++) {
        const ReadQuery *query = &request->at[i];
        SeriesFoundList found;
        reading.query_index = i;
        TRY(find(&reading, store, query, &found, err));
        for (size_t j = 0; j < found.count; j++)
            TRY(write_frames(&reading, &found.at[j], query, err));
    }
    return true;
}
