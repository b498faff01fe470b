// Data points become rows: the labels from the cache, the values from the point.

#include <math.h>

#include "base/limits.h"
#include "codec/number.h"
#include "ingest/otlp/decode.h"
#include "ingest/otlp/exponential.h"

static bool malformed(Error *err) {
    return error_set(err, ERROR_BAD_INPUT,
                     "the body is not an ExportMetricsServiceRequest: malformed protobuf in a data "
                     "point");
}

static bool too_many(const char *what, Error *err) {
    return error_set(err, ERROR_TOO_LARGE, "more %s than OTLP_BUCKETS (%lld)", what,
                     (long long)LIMIT_OTLP_BUCKETS);
}

// What holds for every kind of point.
static bool head_check(const PointHead *head, Error *err) {
    if (likely(head->time_ns != 0)) return true;
    return error_set(err, ERROR_BAD_INPUT, "a data point without a time");
}

static void take_time(Decode *decode, const PointHead *head) {
    if (decode->first_ns == 0 || head->time_ns < decode->first_ns) decode->first_ns = head->time_ns;
    if (head->time_ns > decode->last_ns) decode->last_ns = head->time_ns;
}

static int64_t ms_of(uint64_t ns) {
    return (int64_t)(ns / 1000000);
}

// When a counter's counting began; 0: not said, or nothing counts.
static inline int64_t start_of(const PointHead *head) {
    return ms_of(head->start_ns);
}
static inline int64_t number_start(const Decode *decode, const PointHead *head) {
    const MetricValue *metric = decode->metric;
    return metric->kind == METRIC_SUM && metric->monotonic ? start_of(head) : 0;
}

static bool is_stale_point(const PointHead *head) {
    return (head->flags & POINT_NO_VALUE) != 0;
}

static bool delta_needed(Decode *decode, Error *err) {
    if (likely(decode->delta != NULL)) return true;
    decode->wants_delta = true;
    return error_set(err, ERROR_BUSY, "deltas come unexpectedly");
}

// The cached value of a point's labels, or a place for a new one (then *known is false).
static PointValue *value_of(Decode *decode, CacheKey key, bool *known) {
    CacheNode *node = cache_find(decode->cache, &decode->points, key);
    *known = node != NULL;
    if (node == NULL) return NULL;
    decode->out->cached++;
    return node->value;
}

static KeptLabels labels_keep(Labels labels, Arena *arena) {
    return (KeptLabels){.labels = {bytes_copy(labels.wire, arena)}};
}

// Labels are made on the request's memory, which is given back after each point, and copied here
// once all of a point's are fine: a point that is rejected leaves nothing behind.
static PointValue *value_keep(Decode *decode, CacheKey key, const PointValue *value) {
    CacheNode *node = cache_add(decode->cache, &decode->points, key);
    Arena *arena = cache_arena(decode->cache);
    PointValue *kept = arena_push(arena, PointValue);
    *kept = *value;
    kept->base = labels_keep(value->base.labels, arena);
    kept->sum = labels_keep(value->sum.labels, arena);
    kept->count = labels_keep(value->count.labels, arena);
    kept->infinite = labels_keep(value->infinite.labels, arena);
    kept->parts = arena_push_array(arena, KeptLabels, value->part_count);
    for (size_t i = 0; i < value->part_count; i++)
        kept->parts[i] = labels_keep(value->parts[i].labels, arena);
    node->value = kept;
    return kept;
}

// ---- Exemplars ----

enum { EXEMPLAR_LABELS_MAX = 16 };

static void add_hex(Bytes id, Builder *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < id.len; i++) {
        builder_add_char(out, digits[id.at[i] >> 4]);
        builder_add_char(out, digits[id.at[i] & 15]);
    }
}

static bool all_zero(Bytes id) {
    for (size_t i = 0; i < id.len; i++) {
        if (id.at[i] != 0) return false;
    }
    return true;
}

typedef struct RawExemplar {
    uint64_t time_ns;
    double value;
    bool has_value;
    Bytes trace, span, whole;
} RawExemplar;

// Exemplar {2 time, 3 as_double, 4 span_id, 5 trace_id, 6 as_int, 7 filtered_attributes}
static bool exemplar_read(Bytes bytes, RawExemplar *out) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    *out = (RawExemplar){.whole = bytes};
    while (protobuf_next(&reader, &field)) {
        if (field.type == WIRE_FIXED64 && field.number == 2) out->time_ns = field.value;
        if (field.type == WIRE_FIXED64 && (field.number == 3 || field.number == 6)) {
            out->value =
                field.number == 3 ? protobuf_double(field.value) : (double)(int64_t)field.value;
            out->has_value = true;
        }
        if (field.type == WIRE_BYTES && field.number == 4) out->span = field.bytes;
        if (field.type == WIRE_BYTES && field.number == 5) out->trace = field.bytes;
    }
    return !reader.failed;
}

static size_t label_bytes(const LabelArray *labels) {
    size_t bytes = 0;
    for (size_t i = 0; i < labels->count; i++)
        bytes += labels->at[i].name.len + labels->at[i].value.len;
    return bytes;
}

// trace_id and span_id, and the filtered attributes where they still fit (OpenMetrics' limit).
static Labels exemplar_labels(Decode *decode, const RawExemplar *exemplar) {
    Arena *scratch = decode->scratch;
    LabelSet set = {.scratch = scratch};
    AUTO(builder_free) Builder hex = {0};
    Error ignored;
    if (!all_zero(exemplar->trace)) {
        add_hex(exemplar->trace, &hex);
        label_set_put(&set, TEXT("trace_id"), text_copy(builder_text(&hex), scratch));
    }
    builder_clear(&hex);
    if (!all_zero(exemplar->span)) {
        add_hex(exemplar->span, &hex);
        label_set_put(&set, TEXT("span_id"), text_copy(builder_text(&hex), scratch));
    }
    LabelArray attributes = {0};
    if (attributes_read(exemplar->whole, 7, EXEMPLAR_LABELS_MAX, scratch, &attributes, &ignored) &&
        (int64_t)(label_bytes(&attributes) + label_bytes(&set.labels)) <=
            LIMIT_EXEMPLAR_LABELS_BYTES) {
        for (size_t i = 0; i < attributes.count; i++)
            label_set_offer(&set, attributes.at[i].name, attributes.at[i].value);
    }
    Labels labels = LABELS_NONE;
    if (!labels_make(set.labels.at, set.labels.count, scratch, &labels, &ignored))
        return LABELS_NONE;
    return labels;
}

// Which exemplars of a point belong to the row that is open: those in (above, to].
typedef struct ExemplarSpan {
    double above, to;
} ExemplarSpan;

static const ExemplarSpan all_exemplars = {-INFINITY, INFINITY};

static bool belongs(ExemplarSpan span, double value) {
    if (isnan(value)) return isinf(span.to);
    return value <= span.to && (value > span.above || isinf(span.above));
}

static bool write_exemplars(Decode *decode, Bytes point, uint32_t number, uint64_t time_ns,
                            ExemplarSpan span, Error *err) {
    Reader reader = reader_begin(point);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number != number || field.type != WIRE_BYTES) continue;
        RawExemplar exemplar;
        if (!exemplar_read(field.bytes, &exemplar)) return malformed(err);
        if (!exemplar.has_value || !belongs(span, exemplar.value)) continue;
        uint64_t at = exemplar.time_ns == 0 ? time_ns : exemplar.time_ns;
        write_body_exemplar(decode->rows, exemplar_labels(decode, &exemplar), exemplar.value,
                            ms_of(at));
    }
    return true;
}

// ---- Numbers ----

// The value of a number's node is its labels alone: there are many of them.
static bool number_labels(Decode *decode, Bytes attributes, Labels *out, Error *err) {
    LabelSet set;
    TRY(point_labels(decode, attributes, NUMBER_ATTRIBUTES, &set, err));
    return label_set_make(&set, decode->metric->name, NULL, decode->scratch, out, err);
}

static bool number_check(Decode *decode, NumberPoint *point, Labels labels, Error *err) {
    TRY(head_check(&point->head, err));
    if (unlikely(is_stale_point(&point->head))) {
        point->value = stale_nan();
        return true;
    }
    if (unlikely(!point->has_value)) {
        return error_set(err, ERROR_BAD_INPUT, "a data point without a value");
    }
    const MetricValue *metric = decode->metric;
    if (metric->kind != METRIC_SUM || metric->temporality != TEMPORALITY_DELTA) return true;
    TRY(delta_needed(decode, err));
    return delta_number(decode->delta, labels.wire, metric->monotonic, point, err);
}

// Any number point; apart from the usual one, whose way has no room for an Error on the stack (the
// compiler would clear it for each point).
static __attribute__((noinline)) bool write_any_number(Decode *decode, Bytes bytes, CacheKey key,
                                                       NumberPoint *point, Error *err) {
    CacheNode *node = cache_find(decode->cache, &decode->points, key);
    KeptLabels *kept = NULL;
    Labels made;
    Error why;
    if (node != NULL) {
        kept = node->value;
        decode->out->cached++;
    } else if (number_labels(decode, key.first, &made, &why)) {
        node = cache_add(decode->cache, &decode->points, key);
        node->value = kept = arena_push(cache_arena(decode->cache), KeptLabels);
        *kept = labels_keep(made, cache_arena(decode->cache));
    } else {
        decode_reject(decode, &why);
        return true;
    }
    if (!number_check(decode, point, kept->labels, &why)) {
        decode_reject(decode, &why);
        return true;
    }
    take_time(decode, &point->head);
    int64_t time_ms = ms_of(point->head.time_ns), start_ms = number_start(decode, &point->head);
    if (!point->head.has_exemplars) {
        write_body_add_kept(decode->rows, kept, time_ms, point->value, start_ms);
        return true;
    }
    write_body_begin_kept(decode->rows, kept);
    write_body_sample_since(decode->rows, time_ms, point->value, start_ms);
    TRY(write_exemplars(decode, bytes, NUMBER_EXEMPLARS, point->head.time_ns, all_exemplars, err));
    write_body_end(decode->rows);
    return true;
}

static inline uint64_t eight_bytes(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

// A point as nearly all are: start, time, value and short attributes, in the order of their
// numbers, nothing else about it, no delta, and seen before in this place. False: it is something
// else, and nothing happened. Its parts stay in registers.
static inline bool write_usual_number(Decode *decode, Bytes bytes) {
    const uint8_t *at = bytes.at, *end = at + bytes.len;
    const MetricValue *metric = decode->metric;
    uint64_t start_ns = 0;
    if (bytes.len > 9 && at[0] == 0x11) {
        start_ns = eight_bytes(at + 1);
        at += 9;
    }
    if (end - at < 18 || at[0] != 0x19 || (at[9] != 0x21 && at[9] != 0x31)) return false;
    uint64_t time_ns = eight_bytes(at + 1), bits = eight_bytes(at + 10);
    double value = at[9] == 0x21 ? protobuf_double(bits) : (double)(int64_t)bits;
    at += 18;
    Bytes attributes = {at, (size_t)(end - at)};
    while (end - at >= 2 && at[0] == 0x3a && at[1] < 0x80 && at[1] <= end - at - 2)
        at += 2 + (ptrdiff_t)at[1];
    if (at != end || time_ns == 0 || metric->temporality == TEMPORALITY_DELTA) return false;
    CacheNode *node = cache_guess(&decode->points, attributes);
    if (unlikely(node == NULL)) return false;
    decode->out->cached++;
    if (decode->first_ns == 0 || time_ns < decode->first_ns) decode->first_ns = time_ns;
    if (time_ns > decode->last_ns) decode->last_ns = time_ns;
    bool counts = metric->kind == METRIC_SUM && metric->monotonic;
    write_body_add_kept(decode->rows, node->value, ms_of(time_ns), value,
                        counts ? ms_of(start_ns) : 0);
    return true;
}

bool write_number(Decode *decode, Bytes bytes, Error *err) {
    if (likely(write_usual_number(decode, bytes))) return true;
    NumberPoint point;
    if (unlikely(!number_point_read(bytes, &point))) return malformed(err);
    Bytes attributes = point_attributes(&point.head, bytes, NUMBER_ATTRIBUTES, decode->scratch);
    return write_any_number(decode, bytes, (CacheKey){attributes, BYTES_NONE}, &point, err);
}

// ---- Histograms with explicit bounds ----

static Text number_text(double value, Arena *arena) {
    char *text = arena_push_array_raw(arena, char, 400);
    return (Text){text, number_format_f64(value, text)};
}

static bool histogram_labels(Decode *decode, Bytes attributes, const HistogramPoint *point,
                             PointValue *out, Error *err) {
    const MetricValue *metric = decode->metric;
    Arena *arena = decode->scratch;
    LabelSet set;
    TRY(point_labels(decode, attributes, HISTOGRAM_ATTRIBUTES, &set, err));
    TRY(label_set_make(&set, metric->count_name, NULL, arena, &out->count.labels, err));
    if (decode->options->native_buckets)
        return label_set_make(&set, metric->name, NULL, arena, &out->base.labels, err);
    TRY(label_set_make(&set, metric->sum_name, NULL, arena, &out->sum.labels, err));
    out->part_count = MIN(point->bound_count, point->count_count);
    out->parts = arena_push_array(arena, KeptLabels, out->part_count);
    for (size_t i = 0; i < out->part_count; i++) {
        Label le = {TEXT("le"), number_text(point->bounds[i], decode->scratch)};
        TRY(label_set_make(&set, metric->bucket_name, &le, arena, &out->parts[i].labels, err));
    }
    Label le = {TEXT("le"), TEXT("+Inf")};
    return label_set_make(&set, metric->bucket_name, &le, arena, &out->infinite.labels, err);
}

// bucket_counts are one more than explicit_bounds, or both are missing; bounds rise; the buckets
// hold what is counted.
static bool histogram_check(const HistogramPoint *point, Error *err) {
    TRY(head_check(&point->head, err));
    if (is_stale_point(&point->head)) return true;
    bool none = point->count_count == 0 && point->bound_count == 0;
    if (!none && point->count_count != point->bound_count + 1) {
        return error_set(err, ERROR_BAD_INPUT, "%zu bucket counts for %zu bounds; one more is due",
                         point->count_count, point->bound_count);
    }
    for (size_t i = 0; i < point->bound_count; i++) {
        if (isnan(point->bounds[i]) || (i > 0 && point->bounds[i] <= point->bounds[i - 1]))
            return error_set(err, ERROR_BAD_INPUT, "the bounds of the buckets do not rise");
    }
    return true;
}

static void row(Decode *decode, KeptLabels *labels, const PointHead *head, double value) {
    write_body_add_kept(decode->rows, labels, ms_of(head->time_ns),
                        is_stale_point(head) ? stale_nan() : value, start_of(head));
}

// One bucket with the exemplars that fall into it.
static bool bucket_row(Decode *decode, Bytes bytes, const PointHead *head, KeptLabels *labels,
                       double value, ExemplarSpan span, Error *err) {
    if (likely(!head->has_exemplars)) {
        row(decode, labels, head, value);
        return true;
    }
    write_body_begin_kept(decode->rows, labels);
    write_body_sample_since(decode->rows, ms_of(head->time_ns),
                            is_stale_point(head) ? stale_nan() : value, start_of(head));
    TRY(write_exemplars(decode, bytes, HISTOGRAM_EXEMPLARS, head->time_ns, span, err));
    write_body_end(decode->rows);
    return true;
}

static bool histogram_rows(Decode *decode, Bytes bytes, const HistogramPoint *point,
                           PointValue *value, Error *err) {
    const PointHead *head = &point->head;
    if (point->has_sum) row(decode, &value->sum, head, point->sum);
    row(decode, &value->count, head, (double)point->count);
    uint64_t below = 0;
    double above = -INFINITY;
    for (size_t i = 0; i < value->part_count; i++) {
        below += point->counts[i];
        ExemplarSpan span = {above, point->bounds[i]};
        TRY(bucket_row(decode, bytes, head, &value->parts[i], (double)below, span, err));
        above = point->bounds[i];
    }
    ExemplarSpan span = {above, INFINITY};
    return bucket_row(decode, bytes, head, &value->infinite, (double)point->count, span, err);
}

// A row of one native histogram, with all exemplars of its point.
static bool native_row(Decode *decode, Bytes bytes, KeptLabels *labels,
                       const NativeHistogram *histogram, const PointHead *head, uint32_t exemplars,
                       Error *err) {
    write_body_begin_kept(decode->rows, labels);
    write_body_histogram(decode->rows, histogram);
    if (head->has_exemplars)
        TRY(write_exemplars(decode, bytes, exemplars, head->time_ns, all_exemplars, err));
    write_body_end(decode->rows);
    return true;
}

// Labels, deltas and native form of a histogram; false: rejected with `why`.
static bool histogram_make(Decode *decode, Bytes attributes, CacheKey key, HistogramPoint *point,
                           PointValue **value, PointValue *made, NativeHistogram *native,
                           Error *why) {
    TRY(histogram_check(point, why));
    bool known;
    *value = value_of(decode, key, &known);
    if (!known) {
        *value = made;
        TRY(histogram_labels(decode, attributes, point, made, why));
        *value = value_keep(decode, key, made);
    }
    int64_t time_ms = ms_of(point->head.time_ns);
    bool to_native = decode->options->native_buckets;
    // Judged before it is added to a total that would keep the fault.
    TRY(!to_native || explicit_to_native(point, time_ms, decode->scratch, native, why));
    if (decode->metric->temporality != TEMPORALITY_DELTA || is_stale_point(&point->head))
        return true;
    TRY(delta_needed(decode, why));
    TRY(delta_histogram(decode->delta, (*value)->count.labels.wire, decode->scratch, point, why));
    return !to_native || explicit_to_native(point, time_ms, decode->scratch, native, why);
}

bool write_histogram(Decode *decode, Bytes bytes, Error *err) {
    HistogramPoint point;
    bool many;
    Error why;
    if (!histogram_point_read(bytes, decode->scratch, &point, &many)) return malformed(err);
    if (many) {
        too_many("buckets", &why);
        decode_reject(decode, &why);
        return true;
    }
    Bytes attributes = point_attributes(&point.head, bytes, HISTOGRAM_ATTRIBUTES, decode->scratch);
    Bytes bounds = {(const uint8_t *)point.bounds, point.bound_count * sizeof *point.bounds};
    PointValue made = {0}, *value;
    NativeHistogram native;
    if (!histogram_make(decode, attributes, (CacheKey){attributes, bounds}, &point, &value, &made,
                        &native, &why)) {
        decode_reject(decode, &why);
        return true;
    }
    take_time(decode, &point.head);
    if (!decode->options->native_buckets) return histogram_rows(decode, bytes, &point, value, err);
    return native_row(decode, bytes, &value->base, &native, &point.head, HISTOGRAM_EXEMPLARS, err);
}

// ---- Exponential histograms ----

static bool exponential_make(Decode *decode, Bytes attributes, ExponentialPoint *point,
                             PointValue **value, PointValue *made, NativeHistogram *native,
                             Error *why) {
    TRY(head_check(&point->head, why));
    CacheKey key = {attributes, BYTES_NONE};
    bool known;
    *value = value_of(decode, key, &known);
    if (!known) {
        *value = made;
        LabelSet set;
        TRY(point_labels(decode, attributes, EXPONENTIAL_ATTRIBUTES, &set, why));
        TRY(label_set_make(&set, decode->metric->name, NULL, decode->scratch, &made->base.labels,
                           why));
        *value = value_keep(decode, key, made);
    }
    // Judged before it is added to a total that would keep the fault.
    int64_t time_ms = ms_of(point->head.time_ns);
    TRY(exponential_to_native(point, time_ms, decode->scratch, native, why));
    if (decode->metric->temporality != TEMPORALITY_DELTA || is_stale_point(&point->head))
        return true;
    TRY(delta_needed(decode, why));
    TRY(delta_exponential(decode->delta, (*value)->base.labels.wire, decode->scratch, point, why));
    return exponential_to_native(point, time_ms, decode->scratch, native, why);
}

bool write_exponential(Decode *decode, Bytes bytes, Error *err) {
    ExponentialPoint point;
    bool many;
    Error why;
    if (!exponential_point_read(bytes, decode->scratch, &point, &many)) return malformed(err);
    if (many) {
        too_many("buckets", &why);
        decode_reject(decode, &why);
        return true;
    }
    Bytes attributes =
        point_attributes(&point.head, bytes, EXPONENTIAL_ATTRIBUTES, decode->scratch);
    PointValue made = {0}, *value;
    NativeHistogram native;
    if (!exponential_make(decode, attributes, &point, &value, &made, &native, &why)) {
        decode_reject(decode, &why);
        return true;
    }
    take_time(decode, &point.head);
    return native_row(decode, bytes, &value->base, &native, &point.head, EXPONENTIAL_EXEMPLARS,
                      err);
}

// ---- Summaries ----

static bool summary_labels(Decode *decode, Bytes attributes, const SummaryPoint *point,
                           PointValue *out, Error *err) {
    const MetricValue *metric = decode->metric;
    Arena *arena = decode->scratch;
    LabelSet set;
    TRY(point_labels(decode, attributes, SUMMARY_ATTRIBUTES, &set, err));
    TRY(label_set_make(&set, metric->sum_name, NULL, arena, &out->sum.labels, err));
    TRY(label_set_make(&set, metric->count_name, NULL, arena, &out->count.labels, err));
    out->part_count = point->quantile_count;
    out->parts = arena_push_array(arena, KeptLabels, out->part_count);
    for (size_t i = 0; i < out->part_count; i++) {
        Label quantile = {TEXT("quantile"),
                          number_text(point->quantiles[i].quantile, decode->scratch)};
        TRY(label_set_make(&set, metric->name, &quantile, arena, &out->parts[i].labels, err));
    }
    return true;
}

static Bytes quantile_key(const SummaryPoint *point, Arena *scratch) {
    double *key = arena_push_array_raw(scratch, double, point->quantile_count);
    for (size_t i = 0; i < point->quantile_count; i++) key[i] = point->quantiles[i].quantile;
    return (Bytes){(const uint8_t *)key, point->quantile_count * sizeof *key};
}

bool write_summary(Decode *decode, Bytes bytes, Error *err) {
    SummaryPoint point;
    bool many, known;
    Error why;
    if (!summary_point_read(bytes, decode->scratch, &point, &many)) return malformed(err);
    Bytes attributes = point_attributes(&point.head, bytes, SUMMARY_ATTRIBUTES, decode->scratch);
    CacheKey key = {attributes, quantile_key(&point, decode->scratch)};
    PointValue made = {0}, *value = value_of(decode, key, &known);
    bool fine = many ? too_many("quantiles", &why) : head_check(&point.head, &why);
    if (fine && !known) {
        value = &made;
        fine = summary_labels(decode, attributes, &point, value, &why);
        if (fine) value = value_keep(decode, key, value);
    }
    if (!fine) {
        decode_reject(decode, &why);
        return true;
    }
    take_time(decode, &point.head);
    row(decode, &value->sum, &point.head, point.sum);
    row(decode, &value->count, &point.head, (double)point.count);
    point.head.start_ns = 0;  // quantiles do not count
    for (size_t i = 0; i < value->part_count; i++)
        row(decode, &value->parts[i], &point.head, point.quantiles[i].value);
    return true;
}
