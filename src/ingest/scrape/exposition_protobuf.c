// Prometheus' protobuf: io.prometheus.client.MetricFamily messages, each behind its length
// (io/prometheus/client/metrics.proto, Apache-2.0), given as the rows that the text would have.
//
//   family ─► HELP, UNIT?, TYPE, then for each metric
//                 counter, gauge, untyped ─► one series
//                 summary                 ─► _count, _sum, one per quantile
//                 histogram               ─► _count, _sum, one _bucket per bound, +Inf at the end
//                 native histogram        ─► one EXPOSITION_HISTOGRAM (the classic rows by option)
//
// A metric stays where it is: quantiles and buckets are walked, row by row, by a Reader over its
// message. Only the buckets of a native histogram are gathered, in arrays that are kept.

#include <math.h>

#include "base/limits.h"
#include "codec/protobuf.h"
#include "ingest/scrape/exposition_parts.h"

enum {
    FAMILY_NAME = 1,
    FAMILY_HELP = 2,
    FAMILY_TYPE = 3,
    FAMILY_METRIC = 4,
    FAMILY_UNIT = 5,
    METRIC_LABEL = 1,
    METRIC_GAUGE = 2,
    METRIC_COUNTER = 3,
    METRIC_SUMMARY = 4,
    METRIC_UNTYPED = 5,
    METRIC_TIME = 6,
    METRIC_HISTOGRAM = 7,
    PAIR_NAME = 1,
    PAIR_VALUE = 2,
    SIMPLE_VALUE = 1,  // of counter, gauge and untyped
    COUNTER_EXEMPLAR = 2,
    COUNTER_START = 3,
    SUMMARY_COUNT = 1,  // these three of histograms too
    SUMMARY_SUM = 2,
    SUMMARY_QUANTILE = 3,  // of histograms: a bucket
    SUMMARY_START = 4,
    HISTOGRAM_COUNT_FLOAT = 4,
    HISTOGRAM_SCHEMA = 5,
    HISTOGRAM_ZERO_THRESHOLD = 6,
    HISTOGRAM_ZERO_COUNT = 7,
    HISTOGRAM_ZERO_COUNT_FLOAT = 8,
    HISTOGRAM_NEGATIVE_SPAN = 9,
    HISTOGRAM_NEGATIVE_DELTA = 10,
    HISTOGRAM_NEGATIVE_COUNT = 11,
    HISTOGRAM_POSITIVE_SPAN = 12,
    HISTOGRAM_POSITIVE_DELTA = 13,
    HISTOGRAM_POSITIVE_COUNT = 14,
    HISTOGRAM_START = 15,
    HISTOGRAM_EXEMPLARS = 16,
    QUANTILE_QUANTILE = 1,
    QUANTILE_VALUE = 2,
    BUCKET_COUNT = 1,
    BUCKET_BOUND = 2,
    BUCKET_EXEMPLAR = 3,
    BUCKET_COUNT_FLOAT = 4,
    SPAN_OFFSET = 1,
    SPAN_LENGTH = 2,
    EXEMPLAR_LABEL = 1,
    EXEMPLAR_VALUE = 2,
    EXEMPLAR_TIME = 3,
    TIME_SECONDS = 1,
    TIME_NANOS = 2,
};

enum { EXEMPLARS_PER_ROW_MAX = 64 };

typedef enum FamilyType {
    FAMILY_COUNTER,
    FAMILY_GAUGE,
    FAMILY_SUMMARY,
    FAMILY_UNTYPED,
    FAMILY_HISTOGRAM,
    FAMILY_GAUGE_HISTOGRAM,
    FAMILY_TYPE_COUNT
} FamilyType;

// Where in a family the next row is.
typedef enum Step {
    STEP_FAMILY,  // before the next family
    STEP_UNIT,
    STEP_TYPE,
    STEP_METRIC,  // before the next metric
    STEP_NATIVE,
    STEP_COUNT,
    STEP_SUM,
    STEP_PARTS,  // quantiles or buckets
} Step;

typedef struct Side {
    ARRAY(HistogramSpan) spans;
    ARRAY(int64_t) deltas;
    ARRAY(double) counts;
} Side;

// The start timestamp of a metric.
typedef struct Start {
    bool known;
    int64_t ms;
} Start;

struct ExpositionProtobuf {
    size_t number;  // of the family
    Step step;
    FamilyType type;
    Text name, help, unit;
    Reader metrics;  // the family, from the next metric on
    // Of the metric:
    Builder pairs;    // its labels, each behind its length
    Bytes value;      // the message of its kind
    Reader parts;     // the same, from the next quantile or bucket on
    bool infinite;    // the bucket of +Inf came
    int64_t time_ms;  // 0: none
    Start start;
    double count, sum;
    NativeHistogram native;
    Side positive, negative;
    // Of the row:
    Builder raw;
    Text suffix;
    Text bound_name;  // "le", "quantile" or none
    double bound;
    Bytes exemplar;  // of a counter or a bucket
};

ExpositionProtobuf *exposition_protobuf_new(void) {
    return memory_new(ExpositionProtobuf);
}

static void side_free(Side *side) {
    array_free(&side->spans);
    array_free(&side->deltas);
    array_free(&side->counts);
}

void exposition_protobuf_free(ExpositionProtobuf **state) {
    if (*state == NULL) return;
    builder_free(&(*state)->pairs);
    builder_free(&(*state)->raw);
    side_free(&(*state)->positive);
    side_free(&(*state)->negative);
    memory_free(TAKE(*state));
}

void exposition_protobuf_begin(ExpositionProtobuf *state) {
    state->step = STEP_FAMILY;
    state->number = 0;
}

static bool wrong(const ExpositionProtobuf *state, Error *err, const char *what) {
    Text name = text_slice(state->name, 0, 64);
    if (!text_is_utf8(name)) name = TEXT("?");
    return error_set(err, ERROR_BAD_INPUT, "metric family %zu (%.*s): %s", state->number,
                     TEXT_ARG(name), what);
}

// ---- Small messages ----

static bool is_double(const ProtobufField *field, uint32_t number) {
    return field->number == number && field->type == WIRE_FIXED64;
}
static bool is_varint(const ProtobufField *field, uint32_t number) {
    return field->number == number && field->type == WIRE_VARINT;
}
static bool is_message(const ProtobufField *field, uint32_t number) {
    return field->number == number && field->type == WIRE_BYTES;
}

// google.protobuf.Timestamp, cut to milliseconds. Beyond what milliseconds can say it is not known.
static bool read_time(Bytes bytes, Start *out) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    int64_t seconds = 0, nanos = 0, ms;
    while (protobuf_next(&reader, &field)) {
        if (is_varint(&field, TIME_SECONDS)) seconds = (int64_t)field.value;
        if (is_varint(&field, TIME_NANOS)) nanos = (int32_t)field.value;
    }
    bool fits = !__builtin_mul_overflow(seconds, INT64_C(1000), &ms) &&
                !__builtin_add_overflow(ms, nanos / 1000000, &ms);
    *out = (Start){fits, fits ? ms : 0};
    return !reader.failed;
}

static bool read_pair(Bytes bytes, Label *out) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    *out = (Label){TEXT(""), TEXT("")};
    while (protobuf_next(&reader, &field)) {
        if (is_message(&field, PAIR_NAME)) out->name = bytes_text(field.bytes);
        if (is_message(&field, PAIR_VALUE)) out->value = bytes_text(field.bytes);
    }
    return !reader.failed;
}

// ---- Native histograms ----

static bool read_span(Bytes bytes, Side *side) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    HistogramSpan span = {0, 0};
    while (protobuf_next(&reader, &field)) {
        if (is_varint(&field, SPAN_OFFSET)) span.offset = (int32_t)zigzag_decode(field.value);
        if (is_varint(&field, SPAN_LENGTH)) span.length = (uint32_t)field.value;
    }
    *array_add(&side->spans) = span;
    return !reader.failed;
}

static bool read_deltas(const ProtobufField *field, Side *side) {
    if (field->type != WIRE_VARINT && field->type != WIRE_BYTES) return true;
    Reader packed = protobuf_packed(field);
    uint64_t bits;
    while (protobuf_packed_next(&packed, WIRE_VARINT, &bits))
        *array_add(&side->deltas) = zigzag_decode(bits);
    return !packed.failed;
}

static bool read_counts(const ProtobufField *field, Side *side) {
    if (field->type != WIRE_FIXED64 && field->type != WIRE_BYTES) return true;
    Reader packed = protobuf_packed(field);
    uint64_t bits;
    while (protobuf_packed_next(&packed, WIRE_FIXED64, &bits))
        *array_add(&side->counts) = protobuf_double(bits);
    return !packed.failed;
}

static bool read_buckets(const ProtobufField *field, ExpositionProtobuf *state) {
    switch (field->number) {
        case HISTOGRAM_NEGATIVE_SPAN:
            return field->type != WIRE_BYTES || read_span(field->bytes, &state->negative);
        case HISTOGRAM_POSITIVE_SPAN:
            return field->type != WIRE_BYTES || read_span(field->bytes, &state->positive);
        case HISTOGRAM_NEGATIVE_DELTA:
            return read_deltas(field, &state->negative);
        case HISTOGRAM_POSITIVE_DELTA:
            return read_deltas(field, &state->positive);
        case HISTOGRAM_NEGATIVE_COUNT:
            return read_counts(field, &state->negative);
        case HISTOGRAM_POSITIVE_COUNT:
            return read_counts(field, &state->positive);
        default:
            return true;
    }
}

// Spans of no length only say that the histogram is a native one; those without a gap between them
// are one.
static void compact_spans(Side *side) {
    size_t kept = 0;
    int64_t gap = 0;
    for (size_t i = 0; i < side->spans.count; i++) {
        HistogramSpan span = side->spans.at[i];
        gap += span.offset;
        if (span.length == 0 || gap < INT32_MIN || gap > INT32_MAX) {
            if (span.length == 0) continue;
            return;  // nonsense, which the check will name
        }
        if (kept > 0 && gap == 0 && side->spans.at[kept - 1].length <= UINT32_MAX - span.length) {
            side->spans.at[kept - 1].length += span.length;
        } else {
            side->spans.at[kept++] = (HistogramSpan){(int32_t)gap, span.length};
        }
        gap = 0;
    }
    side->spans.count = kept;
}

static HistogramBuckets buckets_of(const Side *side, bool is_float) {
    return (HistogramBuckets){
        .spans = side->spans.at,
        .span_count = side->spans.count,
        .deltas = is_float ? NULL : side->deltas.at,
        .counts = is_float ? side->counts.at : NULL,
        .bucket_count = is_float ? side->counts.count : side->deltas.count,
    };
}

static bool side_fits(const Side *side) {
    return (int64_t)(side->spans.count + side->deltas.count + side->counts.count) <=
           LIMIT_HISTOGRAM_BYTES;
}

static bool finish_native(ExpositionProtobuf *state, Error *err) {
    NativeHistogram *native = &state->native;
    if (!side_fits(&state->positive) || !side_fits(&state->negative)) {
        wrong(state, err, "a native histogram passes HISTOGRAM_BYTES");
        err->code = ERROR_TOO_LARGE;
        return false;
    }
    native->is_float = native->count_float > 0 || native->zero_count_float > 0;
    if (native->is_float) {
        native->count = native->zero_count = 0;
    } else {
        native->count_float = native->zero_count_float = 0;
    }
    compact_spans(&state->positive);
    compact_spans(&state->negative);
    native->positive = buckets_of(&state->positive, native->is_float);
    native->negative = buckets_of(&state->negative, native->is_float);
    native->sum = state->sum;
    native->time_ms = state->time_ms;
    native->reset_hint =
        state->type == FAMILY_GAUGE_HISTOGRAM ? HISTOGRAM_RESET_GAUGE : HISTOGRAM_RESET_UNKNOWN;
    return native_histogram_check(native, err) ||
           error_context(err, "metric family %zu", state->number);
}

static bool read_histogram(ExpositionProtobuf *state) {
    NativeHistogram *native = &state->native;
    *native = (NativeHistogram){0};
    array_clear(&state->positive.spans);
    array_clear(&state->positive.deltas);
    array_clear(&state->positive.counts);
    array_clear(&state->negative.spans);
    array_clear(&state->negative.deltas);
    array_clear(&state->negative.counts);
    Reader reader = reader_begin(state->value);
    ProtobufField field;
    bool fine = true;
    while (fine && protobuf_next(&reader, &field)) {
        if (is_varint(&field, SUMMARY_COUNT)) native->count = field.value;
        if (is_double(&field, HISTOGRAM_COUNT_FLOAT))
            native->count_float = protobuf_double(field.value);
        if (is_double(&field, SUMMARY_SUM)) state->sum = protobuf_double(field.value);
        if (is_varint(&field, HISTOGRAM_SCHEMA))
            native->schema = (int32_t)zigzag_decode(field.value);
        if (is_double(&field, HISTOGRAM_ZERO_THRESHOLD))
            native->zero_threshold = protobuf_double(field.value);
        if (is_varint(&field, HISTOGRAM_ZERO_COUNT)) native->zero_count = field.value;
        if (is_double(&field, HISTOGRAM_ZERO_COUNT_FLOAT))
            native->zero_count_float = protobuf_double(field.value);
        if (is_message(&field, HISTOGRAM_START)) fine = read_time(field.bytes, &state->start);
        fine &= read_buckets(&field, state);
    }
    state->count = native->count_float != 0 ? native->count_float : (double)native->count;
    return fine && !reader.failed;
}

static bool is_native(const ExpositionProtobuf *state) {
    return state->positive.spans.count > 0 || state->negative.spans.count > 0 ||
           state->native.zero_threshold > 0 || state->native.zero_count > 0 ||
           state->native.zero_count_float > 0;
}

// ---- Metrics ----

static bool read_summary(ExpositionProtobuf *state) {
    Reader reader = reader_begin(state->value);
    ProtobufField field;
    bool fine = true;
    while (fine && protobuf_next(&reader, &field)) {
        if (is_varint(&field, SUMMARY_COUNT)) state->count = (double)field.value;
        if (is_double(&field, SUMMARY_SUM)) state->sum = protobuf_double(field.value);
        if (is_message(&field, SUMMARY_START)) fine = read_time(field.bytes, &state->start);
    }
    return fine && !reader.failed;
}

static bool read_simple(ExpositionProtobuf *state) {
    Reader reader = reader_begin(state->value);
    ProtobufField field;
    bool fine = true, counter = state->type == FAMILY_COUNTER;
    while (fine && protobuf_next(&reader, &field)) {
        if (is_double(&field, SIMPLE_VALUE)) state->sum = protobuf_double(field.value);
        if (counter && is_message(&field, COUNTER_EXEMPLAR)) state->exemplar = field.bytes;
        if (counter && is_message(&field, COUNTER_START))
            fine = read_time(field.bytes, &state->start);
    }
    return fine && !reader.failed;
}

// The field of Metric that holds the value, by the type of the family.
static uint32_t value_field(FamilyType type) {
    static const uint32_t fields[FAMILY_TYPE_COUNT] = {
        [FAMILY_COUNTER] = METRIC_COUNTER,     [FAMILY_GAUGE] = METRIC_GAUGE,
        [FAMILY_SUMMARY] = METRIC_SUMMARY,     [FAMILY_UNTYPED] = METRIC_UNTYPED,
        [FAMILY_HISTOGRAM] = METRIC_HISTOGRAM, [FAMILY_GAUGE_HISTOGRAM] = METRIC_HISTOGRAM,
    };
    return fields[type];
}

static bool is_histogram(const ExpositionProtobuf *state) {
    return state->type == FAMILY_HISTOGRAM || state->type == FAMILY_GAUGE_HISTOGRAM;
}

// What is not there counts as zero, as everywhere in protobuf.
static bool begin_metric(const Exposition *page, ExpositionProtobuf *state, Bytes metric,
                         Error *err) {
    builder_clear(&state->pairs);
    state->value = state->exemplar = BYTES_NONE;
    state->time_ms = 0;
    state->start = (Start){0};
    state->count = state->sum = 0;
    state->infinite = false;
    Reader reader = reader_begin(metric);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (is_message(&field, METRIC_LABEL))
            protobuf_add_bytes(&state->pairs, METRIC_LABEL, field.bytes);
        if (is_varint(&field, METRIC_TIME)) state->time_ms = (int64_t)field.value;
        if (is_message(&field, value_field(state->type))) state->value = field.bytes;
    }
    bool fine = !reader.failed;
    bool parts = is_histogram(state) || state->type == FAMILY_SUMMARY;
    if (fine) {
        fine = is_histogram(state) ? read_histogram(state)
               : parts             ? read_summary(state)
                                   : read_simple(state);
    }
    if (!fine) return wrong(state, err, "malformed protobuf in a metric");
    state->parts = reader_begin(state->value);
    bool native = is_histogram(state) && !page->options.no_native && is_native(state);
    state->step = native ? STEP_NATIVE : STEP_COUNT;
    return !native || finish_native(state, err);
}

// ---- Families ----

static bool check_unit(const ExpositionProtobuf *state, Error *err) {
    Text name = state->name, unit = state->unit;
    if (state->type == FAMILY_COUNTER && text_ends_with(name, TEXT("_total"))) name.len -= 6;
    bool fits = unit.len == 0 || (text_ends_with(name, unit) && name.len > unit.len &&
                                  name.at[name.len - unit.len - 1] == '_');
    return fits || wrong(state, err, "the name does not end in an underscore and the unit");
}

static bool read_family(ExpositionProtobuf *state, Bytes bytes, bool *empty, Error *err) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    uint64_t type = FAMILY_COUNTER;
    state->name = state->help = state->unit = TEXT("");
    *empty = true;
    while (protobuf_next(&reader, &field)) {
        if (is_message(&field, FAMILY_NAME)) state->name = bytes_text(field.bytes);
        if (is_message(&field, FAMILY_HELP)) state->help = bytes_text(field.bytes);
        if (is_message(&field, FAMILY_UNIT)) state->unit = bytes_text(field.bytes);
        if (is_varint(&field, FAMILY_TYPE)) type = field.value;
        if (is_message(&field, FAMILY_METRIC)) *empty = false;
    }
    if (reader.failed) return wrong(state, err, "malformed protobuf");
    if (*empty) return true;
    if (state->name.len == 0 || !text_is_utf8(state->name))
        return wrong(state, err, "the name is missing or not valid UTF-8");
    if (!text_is_utf8(state->help)) return wrong(state, err, "the help text is not valid UTF-8");
    if (!text_is_utf8(state->unit)) return wrong(state, err, "the unit is not valid UTF-8");
    if (type >= FAMILY_TYPE_COUNT) return wrong(state, err, "a type that is not known");
    state->type = (FamilyType)type;
    state->metrics = reader_begin(bytes);
    return check_unit(state, err);
}

// The next family that has metrics. False without an error set is never: the end is `*found`.
static bool next_family(Exposition *page, ExpositionProtobuf *state, bool *found, Error *err) {
    Text end = text_slice(page->body, page->body.len, page->body.len);
    Reader reader = {(const uint8_t *)page->at, (const uint8_t *)end.at, false};
    *found = false;
    while (!*found && reader.at < reader.end) {
        state->number++;
        state->name = TEXT("");
        Bytes bytes = reader_take(&reader, reader_varint(&reader));
        if (reader.failed)
            return wrong(state, err, "the page ends before it does; it may have been cut off");
        bool empty;
        TRY(read_family(state, bytes, &empty, err));
        *found = !empty;
    }
    page->at = (const char *)reader.at;
    return true;
}

// ---- Rows ----

static void finish_row(const ExpositionProtobuf *state, Text expected, ExpositionRow *row) {
    row->raw = builder_text(&state->raw);
    row->known = text_equal(row->raw, expected);
}

static void metadata_row(ExpositionProtobuf *state, ExpositionKind kind, Text keyword, Text text,
                         Text expected, ExpositionRow *row) {
    builder_clear(&state->raw);
    builder_add(&state->raw, keyword);
    builder_add(&state->raw, state->name);
    builder_add_char(&state->raw, ' ');
    builder_add(&state->raw, text);
    row->kind = kind;
    row->name = state->name;
    row->text = text;
    finish_row(state, expected, row);
}

static void type_row(Exposition *page, ExpositionProtobuf *state, Text expected,
                     ExpositionRow *row) {
    static const struct {
        MetadataType type;
        Text name;
    } types[FAMILY_TYPE_COUNT] = {
        [FAMILY_COUNTER] = {METADATA_COUNTER, TEXT_INIT("counter")},
        [FAMILY_GAUGE] = {METADATA_GAUGE, TEXT_INIT("gauge")},
        [FAMILY_SUMMARY] = {METADATA_SUMMARY, TEXT_INIT("summary")},
        [FAMILY_UNTYPED] = {METADATA_UNKNOWN, TEXT_INIT("unknown")},
        [FAMILY_HISTOGRAM] = {METADATA_HISTOGRAM, TEXT_INIT("histogram")},
        [FAMILY_GAUGE_HISTOGRAM] = {METADATA_GAUGE_HISTOGRAM, TEXT_INIT("gaugehistogram")},
    };
    metadata_row(state, EXPOSITION_TYPE, TEXT("# TYPE "), types[state->type].name, expected, row);
    row->type = page->type = types[state->type].type;
    page->family = state->name;
}

// name suffix 0xff pairs [0xff the eight bytes of the bound]: 0xff stands in no UTF-8.
static void series_row(ExpositionProtobuf *state, double value, Text expected, ExpositionRow *row) {
    builder_clear(&state->raw);
    builder_add(&state->raw, state->name);
    builder_add(&state->raw, state->suffix);
    builder_add_char(&state->raw, (char)0xff);
    builder_add(&state->raw, builder_text(&state->pairs));
    if (state->bound_name.len > 0) {
        builder_add_char(&state->raw, (char)0xff);
        builder_add_bytes(&state->raw, &state->bound, sizeof state->bound);
    }
    if (row->kind == EXPOSITION_END) row->kind = EXPOSITION_SERIES;
    row->value = exposition_value(value);
    row->has_time = state->time_ms != 0;
    row->time_ms = state->time_ms;
    row->exemplar_count = state->exemplar.at != NULL;
    finish_row(state, expected, row);
}

// Moves `parts` behind the next quantile or bucket; false when there is none.
static bool next_part(ExpositionProtobuf *state, Bytes *out) {
    ProtobufField field;
    while (protobuf_next(&state->parts, &field)) {
        if (!is_message(&field, SUMMARY_QUANTILE)) continue;
        *out = field.bytes;
        return true;
    }
    return false;
}

static bool read_quantile(ExpositionProtobuf *state, Bytes bytes, double *value) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    state->bound_name = TEXT("quantile");
    while (protobuf_next(&reader, &field)) {
        if (is_double(&field, QUANTILE_QUANTILE)) state->bound = protobuf_double(field.value);
        if (is_double(&field, QUANTILE_VALUE)) *value = protobuf_double(field.value);
    }
    return !reader.failed;
}

static bool read_bucket(ExpositionProtobuf *state, Bytes bytes, double *value) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    double count_float = 0;
    state->bound_name = TEXT("le");
    state->suffix = TEXT("_bucket");
    while (protobuf_next(&reader, &field)) {
        if (is_varint(&field, BUCKET_COUNT)) *value = (double)field.value;
        if (is_double(&field, BUCKET_COUNT_FLOAT)) count_float = protobuf_double(field.value);
        if (is_double(&field, BUCKET_BOUND)) state->bound = protobuf_double(field.value);
        if (is_message(&field, BUCKET_EXEMPLAR)) state->exemplar = field.bytes;
    }
    if (count_float != 0) *value = count_float;
    return !reader.failed;
}

// The next quantile or bucket, or the missing bucket of +Inf. `*out`: there was one.
static bool part_row(ExpositionProtobuf *state, Text expected, ExpositionRow *row, bool *out,
                     Error *err) {
    Bytes bytes;
    double value = 0;
    bool histogram = is_histogram(state);
    state->bound = 0;
    *out = !state->infinite && next_part(state, &bytes);
    if (*out) {
        bool fine =
            histogram ? read_bucket(state, bytes, &value) : read_quantile(state, bytes, &value);
        if (!fine) return wrong(state, err, "malformed protobuf in a bucket or quantile");
        state->infinite = histogram && isinf(state->bound) && state->bound > 0;
    } else if (histogram && !state->infinite) {
        *out = state->infinite = true;
        state->suffix = TEXT("_bucket");
        state->bound_name = TEXT("le");
        state->bound = INFINITY;
        value = state->count;
    }
    if (*out) series_row(state, value, expected, row);
    return true;
}

static bool has_time(Bytes exemplar) {
    Reader reader = reader_begin(exemplar);
    ProtobufField field;
    bool found = false;
    while (protobuf_next(&reader, &field)) found |= is_message(&field, EXEMPLAR_TIME);
    return found && !reader.failed;
}

// The index-th exemplar of a native histogram: its own, or those of its classic buckets, if they
// have a time. How many there are when there is none of that index.
static size_t native_exemplar(const ExpositionProtobuf *state, bool own, size_t index, Bytes *out) {
    Reader reader = reader_begin(state->value);
    ProtobufField field, inner;
    size_t count = 0;
    while (count <= index && protobuf_next(&reader, &field)) {
        Bytes exemplar = BYTES_NONE;
        if (own && is_message(&field, HISTOGRAM_EXEMPLARS)) exemplar = field.bytes;
        if (!own && is_message(&field, SUMMARY_QUANTILE)) {
            Reader bucket = reader_begin(field.bytes);
            while (protobuf_next(&bucket, &inner)) {
                if (is_message(&inner, BUCKET_EXEMPLAR)) exemplar = inner.bytes;
            }
        }
        if (exemplar.at == NULL || !has_time(exemplar)) continue;
        *out = exemplar;
        count++;
    }
    return count;
}

static void native_row(ExpositionProtobuf *state, Text expected, ExpositionRow *row) {
    Bytes ignored;
    row->kind = EXPOSITION_HISTOGRAM;
    series_row(state, 0, expected, row);
    row->histogram = &state->native;
    row->exemplar_count = native_exemplar(state, true, EXEMPLARS_PER_ROW_MAX - 1, &ignored);
    if (row->exemplar_count == 0)
        row->exemplar_count = native_exemplar(state, false, EXEMPLARS_PER_ROW_MAX - 1, &ignored);
}

// Is there another metric in the family? Begins it.
static bool next_metric(const Exposition *page, ExpositionProtobuf *state, Error *err) {
    ProtobufField field;
    while (protobuf_next(&state->metrics, &field)) {
        if (is_message(&field, FAMILY_METRIC)) return begin_metric(page, state, field.bytes, err);
    }
    state->step = STEP_FAMILY;
    return true;
}

// One step; a row came when row->kind says so.
static bool step(Exposition *page, ExpositionProtobuf *state, Text expected, ExpositionRow *row,
                 bool *end, Error *err) {
    bool simple = !is_histogram(state) && state->type != FAMILY_SUMMARY, found;
    state->suffix = state->bound_name = TEXT("");
    switch (state->step) {
        case STEP_FAMILY:
            TRY(next_family(page, state, &found, err));
            *end = !found;
            if (!found) return true;
            metadata_row(state, EXPOSITION_HELP, TEXT("# HELP "), state->help, expected, row);
            state->step = state->unit.len > 0 ? STEP_UNIT : STEP_TYPE;
            return true;
        case STEP_UNIT:
            metadata_row(state, EXPOSITION_UNIT, TEXT("# UNIT "), state->unit, expected, row);
            state->step = STEP_TYPE;
            return true;
        case STEP_TYPE:
            type_row(page, state, expected, row);
            state->step = STEP_METRIC;
            return true;
        case STEP_METRIC:
            return next_metric(page, state, err);
        case STEP_NATIVE:
            native_row(state, expected, row);
            state->exemplar = BYTES_NONE;
            Reader parts = state->parts;
            Bytes ignored;
            bool classic = page->options.classic_beside_native && next_part(state, &ignored);
            state->parts = parts;
            state->step = classic ? STEP_COUNT : STEP_METRIC;
            return true;
        case STEP_COUNT:
            state->suffix = simple ? TEXT("") : TEXT("_count");
            series_row(state, simple ? state->sum : state->count, expected, row);
            state->step = simple ? STEP_METRIC : STEP_SUM;
            return true;
        case STEP_SUM:
            state->suffix = TEXT("_sum");
            series_row(state, state->sum, expected, row);
            state->step = STEP_PARTS;
            return true;
        case STEP_PARTS:
            state->exemplar = BYTES_NONE;
            TRY(part_row(state, expected, row, &found, err));
            if (!found) state->step = STEP_METRIC;
            return true;
    }
    return true;
}

bool exposition_next_protobuf(Exposition *page, Text expected, ExpositionRow *row, Error *err) {
    bool end = false;
    *row = (ExpositionRow){.kind = EXPOSITION_END};
    while (row->kind == EXPOSITION_END && !end)
        TRY(step(page, page->protobuf, expected, row, &end, err));
    return true;
}

// ---- On demand ----

static bool add_pairs(Bytes message, uint32_t number, LabelArray *out, Arena *arena, Error *err) {
    Reader reader = reader_begin(message);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (!is_message(&field, number)) continue;
        if ((int64_t)out->count > LIMIT_SERIES_LABELS) {
            return error_set(err, ERROR_TOO_LARGE, "more labels than SERIES_LABELS (%lld)",
                             (long long)LIMIT_SERIES_LABELS);
        }
        if (!read_pair(field.bytes, array_add_on(arena, out)))
            return error_set(err, ERROR_BAD_INPUT, "malformed protobuf in a label");
    }
    return !reader.failed || error_set(err, ERROR_BAD_INPUT, "malformed protobuf in the labels");
}

bool exposition_labels_protobuf(const Exposition *page, Arena *arena, LabelArray *out, Error *err) {
    const ExpositionProtobuf *state = page->protobuf;
    // Put together by hand, as a name may hold a NUL.
    size_t len = state->name.len + state->suffix.len;
    char *name = arena_push_raw(arena, len, 1);
    memcpy(name, state->name.at, state->name.len);
    memcpy(name + state->name.len, state->suffix.at, state->suffix.len);
    *array_add_on(arena, out) = (Label){LABEL_NAME, {name, len}};
    Bytes pairs = text_bytes(builder_text(&state->pairs));
    if (!add_pairs(pairs, METRIC_LABEL, out, arena, err))
        return error_context(err, "metric family %zu", state->number);
    if (state->bound_name.len > 0) {
        *array_add_on(arena, out) =
            (Label){state->bound_name, exposition_bound(state->bound, arena)};
    }
    return true;
}

bool exposition_exemplar_protobuf(const Exposition *page, const ExpositionRow *row, size_t index,
                                  Arena *arena, ExpositionExemplar *out, LabelArray *labels,
                                  Error *err) {
    const ExpositionProtobuf *state = page->protobuf;
    Bytes bytes = state->exemplar;
    if (row->kind == EXPOSITION_HISTOGRAM && native_exemplar(state, true, index, &bytes) <= index)
        (void)native_exemplar(state, false, index, &bytes);
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    Start time = {0};
    bool fine = true;
    while (protobuf_next(&reader, &field)) {
        if (is_double(&field, EXEMPLAR_VALUE)) out->value = protobuf_double(field.value);
        if (is_message(&field, EXEMPLAR_TIME)) fine &= read_time(field.bytes, &time);
    }
    if (reader.failed || !fine) return wrong(state, err, "malformed protobuf in an exemplar");
    out->value = exposition_value(out->value);
    out->has_time = time.known;
    out->time_ms = time.ms;
    return add_pairs(bytes, EXEMPLAR_LABEL, labels, arena, err);
}

bool exposition_start_protobuf(const Exposition *page, int64_t *out_ms) {
    const ExpositionProtobuf *state = page->protobuf;
    bool counts = state->type == FAMILY_COUNTER || state->type == FAMILY_HISTOGRAM ||
                  (state->type == FAMILY_SUMMARY && state->bound_name.len == 0);
    *out_ms = state->start.ms;
    return counts && state->start.known;
}
