// Decoding of prometheus.WriteRequest: the hottest parser of the house.
//
// A sender's library always writes a series the same way: labels, then samples of nine bytes of
// value and a varint of time. That shape is read straight; anything else goes through the general
// reader.

#include "ingest/write_request.h"

#include "base/limits.h"
#include "codec/protobuf.h"
#include "store/series/series.h"

enum {
    REQUEST_TIMESERIES = 1,
    REQUEST_METADATA = 3,
    SERIES_LABELS = 1,
    SERIES_SAMPLES = 2,
    SERIES_EXEMPLARS = 3,
    SERIES_HISTOGRAMS = 4,
    SAMPLE_VALUE = 1,
    SAMPLE_TIME = 2,
    SAMPLE_START = 3,
    EXEMPLAR_LABELS = 1,
    EXEMPLAR_VALUE = 2,
    EXEMPLAR_TIME = 3,
    HISTOGRAM_TIME = 15,
    METADATA_TYPE = 1,
    METADATA_FAMILY = 2,
    METADATA_HELP = 4,
    METADATA_UNIT = 5,
};

static bool malformed(Error *err, const char *what, size_t row) {
    return error_set(err, ERROR_BAD_INPUT, "malformed protobuf in %s of time series %zu", what,
                     row + 1);
}

// Asked now and then, as a body of nothing but tags would become twenty-five times as large.
enum { FIELDS_PER_LOOK = 256 };

bool write_batch_fits(const Batch *batch, Error *err) {
    size_t bytes = batch->series.count * sizeof(BatchSeries) +
                   batch->samples.count * sizeof(Sample) + batch->starts.count * sizeof(int64_t) +
                   batch->histograms.count * sizeof(BatchHistogram) +
                   batch->exemplars.count * sizeof(BatchExemplar) +
                   batch->metadata.count * sizeof(BatchMetadata);
    if ((int64_t)bytes <= LIMIT_WRITE_BATCH_BYTES) return true;
    return error_set(err, ERROR_TOO_LARGE,
                     "the rows of this body take more than %lld bytes of memory (limit "
                     "WRITE_BATCH_BYTES); send smaller bodies",
                     (long long)LIMIT_WRITE_BATCH_BYTES);
}

bool write_sample_decode_any(Bytes bytes, Sample *out, int64_t *start_ms) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    *out = (Sample){0, 0};
    *start_ms = 0;
    while (protobuf_next(&reader, &field)) {
        if (field.number == SAMPLE_VALUE && field.type == WIRE_FIXED64)
            out->value = protobuf_double(field.value);
        if (field.number == SAMPLE_TIME && field.type == WIRE_VARINT)
            out->time_ms = (int64_t)field.value;
        if (field.number == SAMPLE_START && field.type == WIRE_VARINT)
            *start_ms = (int64_t)field.value;
    }
    return !reader.failed;
}

static bool decode_exemplar(Bytes bytes, Arena *scratch, BatchExemplar *out) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    const uint8_t *labels_from = NULL, *labels_to = NULL, *at = reader.at;
    bool split = false;
    AUTO(builder_free) Builder gathered = {0};
    while (protobuf_next(&reader, &field)) {
        if (field.number == EXEMPLAR_LABELS && field.type == WIRE_BYTES) {
            split |= labels_to != NULL && labels_to != at;
            if (labels_from == NULL) labels_from = at;
            labels_to = reader.at;
            protobuf_add_bytes(&gathered, EXEMPLAR_LABELS, field.bytes);
        }
        if (field.number == EXEMPLAR_VALUE && field.type == WIRE_FIXED64)
            out->value = protobuf_double(field.value);
        if (field.number == EXEMPLAR_TIME && field.type == WIRE_VARINT)
            out->time_ms = (int64_t)field.value;
        at = reader.at;
    }
    out->labels = split ? bytes_copy(text_bytes(builder_text(&gathered)), scratch)
                        : (Bytes){labels_from, (size_t)(labels_to - labels_from)};
    return !reader.failed;
}

bool write_histogram_decode(Bytes bytes, BatchHistogram *out) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    out->wire = bytes;
    while (protobuf_next(&reader, &field)) {
        if (field.number == HISTOGRAM_TIME && field.type == WIRE_VARINT)
            out->time_ms = (int64_t)field.value;
    }
    return !reader.failed;
}

// Labels that stand in several places of one series, brought together.
static Bytes gather_labels(Bytes series, Arena *scratch) {
    AUTO(builder_free) Builder gathered = {0};
    Reader reader = reader_begin(series);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == SERIES_LABELS && field.type == WIRE_BYTES)
            protobuf_add_bytes(&gathered, SERIES_LABELS, field.bytes);
    }
    return bytes_copy(text_bytes(builder_text(&gathered)), scratch);
}

// Behind the labels at the front, as far as they are whole and shorter than 128 bytes.
static inline const uint8_t *skip_labels(Bytes bytes) {
    const uint8_t *at = bytes.at, *end = bytes.at + bytes.len;
    while (end - at >= 2 && at[0] == (SERIES_LABELS << 3 | WIRE_BYTES) && at[1] < 0x80 &&
           at[1] <= end - at - 2)
        at += 2 + at[1];
    return at;
}

// Steps over the labels at the front by their lengths; the store compares the bytes.
static bool step_over_labels(Reader *reader, Bytes bytes) {
    *reader = (Reader){skip_labels(bytes), bytes.at + bytes.len, false};
    while (reader->at < reader->end && *reader->at == 0x0a) {  // long ones, or a malformed one
        reader->at++;
        uint64_t len = reader_varint(reader);
        reader_take(reader, len);
        if (unlikely(reader->failed)) return false;
    }
    return true;
}

// The labels of a row, which come first and together. Those that were foretold are equal, byte for
// byte, to labels that were taken apart once, and so need not be stepped over.
static inline bool decode_labels(Reader *reader, Bytes bytes, SeriesForetold *foretold,
                                 Batch *batch, BatchSeries *series) {
    size_t len;
    if (likely(foretold != NULL && series_foretell(foretold, bytes, &len))) {
        *reader = (Reader){bytes.at + len, bytes.at + bytes.len, false};
        series->told = true;
    } else {
        if (unlikely(!step_over_labels(reader, bytes))) return false;
        len = (size_t)(reader->at - bytes.at);
        series->told = foretold != NULL && series_foretell_again(foretold, (Bytes){bytes.at, len});
    }
    series->labels = (Bytes){bytes.at, len};
    if (series->told) {
        series->ref = foretold->follow.ref;
        batch->told++;
    }
    return true;
}

static bool decode_series(Bytes bytes, Arena *scratch, SeriesForetold *foretold, Batch *batch,
                          Error *err) {
    size_t row = batch->series.count;
    BatchSeries *series = array_add(&batch->series);
    series->first_sample = (uint32_t)batch->samples.count;
    series->first_histogram = (uint32_t)batch->histograms.count;
    series->first_exemplar = (uint32_t)batch->exemplars.count;

    Reader reader;
    if (unlikely(!decode_labels(&reader, bytes, foretold, batch, series)))
        return malformed(err, "the labels", row);
    // Then one sample, nearly always, which ends the series.
    size_t left = reader_left(&reader);
    if (likely(left >= 2 && reader.at[0] == (SERIES_SAMPLES << 3 | WIRE_BYTES) &&
               reader.at[1] == left - 2 && left - 2 < 0x80)) {
        series->sample_count = 1;
        return write_sample_add((Bytes){reader.at + 2, left - 2}, batch) ||
               malformed(err, "a sample", row);
    }

    ProtobufField field;
    bool scattered = false;
    for (size_t fields = 1; protobuf_next(&reader, &field); fields++) {
        if (unlikely(fields % FIELDS_PER_LOOK == 0)) TRY(write_batch_fits(batch, err));
        if (field.type != WIRE_BYTES) continue;
        switch (field.number) {
            case SERIES_LABELS:
                scattered = true;
                break;
            case SERIES_SAMPLES:
                if (!write_sample_add(field.bytes, batch)) return malformed(err, "a sample", row);
                series->sample_count++;
                break;
            case SERIES_EXEMPLARS:
                if (!decode_exemplar(field.bytes, scratch, array_add(&batch->exemplars)))
                    return malformed(err, "an exemplar", row);
                series->exemplar_count++;
                break;
            case SERIES_HISTOGRAMS:
                if (!write_histogram_decode(field.bytes, array_add(&batch->histograms)))
                    return malformed(err, "a native histogram", row);
                series->histogram_count++;
                break;
            default:
                break;
        }
    }
    if (reader.failed) return malformed(err, "the fields", row);
    if (unlikely(scattered)) {
        series->labels = gather_labels(bytes, scratch);
        batch->told -= series->told;
        series->told = false;
    }
    // Prometheus makes no series of labels alone either.
    if (unlikely(series->sample_count + series->histogram_count + series->exemplar_count == 0)) {
        batch->told -= series->told;
        batch->series.count--;
    }
    return true;
}

static bool decode_metadata(Bytes bytes, Batch *batch, Error *err) {
    BatchMetadata *metadata = array_add(&batch->metadata);
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == METADATA_TYPE && field.type == WIRE_VARINT)
            metadata->type = field.value > 7 ? 0 : (uint8_t)field.value;
        if (field.type != WIRE_BYTES) continue;
        if (field.number == METADATA_FAMILY) metadata->family = bytes_text(field.bytes);
        if (field.number == METADATA_HELP) metadata->help = bytes_text(field.bytes);
        if (field.number == METADATA_UNIT) metadata->unit = bytes_text(field.bytes);
    }
    if (reader.failed)
        return error_set(err, ERROR_BAD_INPUT, "malformed protobuf in metadata %zu",
                         batch->metadata.count);
    if (metadata->family.len == 0) batch->metadata.count--;  // of nothing
    return true;
}

// A time series of 128 to 16,383 bytes, as most are; false when what comes next is anything else.
static inline bool next_series(Reader *reader, Bytes *out) {
    const uint8_t *at = reader->at;
    size_t left = reader_left(reader);
    if (left < 3 || at[0] != (REQUEST_TIMESERIES << 3 | WIRE_BYTES) || at[1] < 0x80 ||
        at[2] >= 0x80)
        return false;
    size_t len = (size_t)(at[1] & 0x7f) | (size_t)at[2] << 7;
    if (len > left - 3) return false;
    *out = (Bytes){at + 3, len};
    reader->at = at + 3 + len;
    return true;
}

bool write_request_decode(Bytes body, Arena *scratch, SeriesForetold *foretold, Batch *batch,
                          Error *err) {
    Reader reader = reader_begin(body);
    if (foretold != NULL) batch->told_head = foretold->head_name;
    ProtobufField field;
    for (size_t fields = 1;; fields++) {
        if (unlikely(fields % FIELDS_PER_LOOK == 0)) TRY(write_batch_fits(batch, err));
        Bytes series;
        if (likely(next_series(&reader, &series))) {
            TRY(decode_series(series, scratch, foretold, batch, err));
            continue;
        }
        if (!protobuf_next(&reader, &field)) break;
        if (field.type != WIRE_BYTES) continue;
        if (field.number == REQUEST_TIMESERIES) {
            TRY(decode_series(field.bytes, scratch, foretold, batch, err));
        } else if (field.number == REQUEST_METADATA) {
            TRY(decode_metadata(field.bytes, batch, err));
        }
    }
    if (reader.failed) {
        return error_set(err, ERROR_BAD_INPUT,
                         "the body is not a protobuf WriteRequest (malformed at byte %zu of %zu)",
                         (size_t)(reader.at - body.at), body.len);
    }
    return true;
}
