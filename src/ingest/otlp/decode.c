// The walk through a request: resources, scopes, metrics; what each of them means is remembered.

#include "ingest/otlp/decode.h"

#include "base/assert.h"
#include "base/limits.h"

enum { DESCRIBE_EVERY_MS = 300000 };  // metadata of a metric that goes on coming

static bool malformed(const char *what, Error *err) {
    return error_set(err, ERROR_BAD_INPUT,
                     "the body is not an ExportMetricsServiceRequest: malformed protobuf in %s",
                     what);
}

void decode_reject(Decode *decode, const Error *why) {
    OtlpOutcome *out = decode->out;
    out->rejected++;
    if (out->first_fault.code != ERROR_NONE) return;
    out->first_fault = *why;
    if (decode->metric == NULL || decode->metric->original.len == 0) return;
    error_context(&out->first_fault, "metric \"%.*s\"",
                  TEXT_ARG(text_slice(decode->metric->original, 0, 100)));
}

// A reason that is remembered with what it is about.
static const char *keep_reason(Decode *decode, const Error *why) {
    return text_to_cstring(text_from_cstring(why->message), cache_arena(decode->cache));
}

// ---- Fields of a message that may stand anywhere in it ----

// The last field `number` of a message.
static bool field_of(Bytes message, uint32_t number, Bytes *out) {
    Reader reader = reader_begin(message);
    ProtobufField field;
    *out = BYTES_NONE;
    while (protobuf_next(&reader, &field)) {
        if (field.number == number && field.type == WIRE_BYTES) *out = field.bytes;
    }
    return !reader.failed;
}

// The same of two numbers at once.
static bool fields_of(Bytes message, uint32_t number, Bytes *out, uint32_t other_number,
                      Bytes *other) {
    Reader reader = reader_begin(message);
    ProtobufField field;
    *out = *other = BYTES_NONE;
    while (protobuf_next(&reader, &field)) {
        if (field.type != WIRE_BYTES) continue;
        if (field.number == number) *out = field.bytes;
        if (field.number == other_number) *other = field.bytes;
    }
    return !reader.failed;
}

// ---- Resources ----

static bool is_identifying(Text name) {
    return text_equal(name, TEXT("service.name")) || text_equal(name, TEXT("service.namespace")) ||
           text_equal(name, TEXT("service.instance.id"));
}

static bool is_promoted(const OtlpOptions *options, Text name) {
    for (size_t i = 0; i < options->promote.count; i++) {
        if (text_equal(options->promote.at[i], name) ||
            text_equal(options->promote.at[i], TEXT("*")))
            return true;
    }
    return false;
}

// Copies labels from the request's memory to the cache's.
static const Label *labels_keep(const LabelSet *set, Arena *arena) {
    Label *kept = arena_push_array(arena, Label, set->labels.count);
    for (size_t i = 0; i < set->labels.count; i++) {
        kept[i].name = text_copy(set->labels.at[i].name, arena);
        kept[i].value = text_copy(set->labels.at[i].value, arena);
    }
    return kept;
}

static void resource_identity(const LabelArray *attributes, Arena *arena, ResourceValue *out) {
    bool has_space;
    Text name = attribute_get(attributes, TEXT("service.name"), &out->has_job);
    Text space = attribute_get(attributes, TEXT("service.namespace"), &has_space);
    Text instance = attribute_get(attributes, TEXT("service.instance.id"), &out->has_instance);
    if (out->has_job) {
        out->job = has_space ? text_format(arena, "%.*s/%.*s", TEXT_ARG(space), TEXT_ARG(name))
                             : text_copy(name, arena);
    }
    if (out->has_instance) out->instance = text_copy(instance, arena);
}

static bool resource_promoted(Decode *decode, const LabelArray *attributes, ResourceValue *out,
                              Error *err) {
    LabelArray chosen = {0};
    for (size_t i = 0; i < attributes->count; i++) {
        if (is_promoted(decode->options, attributes->at[i].name))
            *array_add_on(decode->scratch, &chosen) = attributes->at[i];
    }
    attributes_sort(&chosen);
    LabelSet set = {.scratch = decode->scratch};
    AUTO(builder_free) Builder name = {0};
    for (size_t i = 0; i < chosen.count; i++) {
        builder_clear(&name);
        TRY(name_label(decode->options->naming, chosen.at[i].name, &name, err));
        label_set_offer(&set, text_copy(builder_text(&name), decode->scratch), chosen.at[i].value);
    }
    out->promoted = labels_keep(&set, cache_arena(decode->cache));
    out->promoted_count = set.labels.count;
    return true;
}

// target_info, when there is who it is about and something to say about it. It is worth less than
// the points: what cannot be said of it is left out.
static bool resource_info(Decode *decode, const LabelArray *attributes, ResourceValue *out,
                          Error *err) {
    LabelArray told = {0};
    size_t others = 0;
    for (size_t i = 0; i < attributes->count; i++) {
        bool identifying = is_identifying(attributes->at[i].name);
        others += !identifying;
        if (!identifying || decode->options->keep_identifying)
            *array_add_on(decode->scratch, &told) = attributes->at[i];
    }
    if (others == 0 || !(out->has_job || out->has_instance)) return true;
    // Room for job, instance and the name.
    attributes_sort(&told);
    if ((int64_t)told.count > LIMIT_SERIES_LABELS - 3) told.count = (size_t)LIMIT_SERIES_LABELS - 3;
    LabelSet set = {.scratch = decode->scratch};
    TRY(label_set_attributes(&set, decode->options->naming, &told, err));
    if (out->has_job) label_set_put(&set, TEXT("job"), out->job);
    if (out->has_instance) label_set_put(&set, TEXT("instance"), out->instance);
    Labels labels;
    TRY(label_set_make(&set, TEXT("target_info"), NULL, cache_arena(decode->cache), &labels, err));
    out->info = arena_push(cache_arena(decode->cache), KeptLabels);
    out->info->labels = labels;
    return true;
}

static bool resource_make(Decode *decode, Bytes bytes, ResourceValue *out, Error *err) {
    LabelArray attributes = {0};
    TRY(attributes_read(bytes, 1, LIMIT_OTLP_RESOURCE_ATTRIBUTES, decode->scratch, &attributes,
                        err));
    resource_identity(&attributes, cache_arena(decode->cache), out);
    TRY(resource_promoted(decode, &attributes, out, err));
    Error ignored;
    (void)resource_info(decode, &attributes, out, &ignored);
    return true;
}

static const ResourceValue *resource_of(Decode *decode, CachePlace *place, Bytes bytes,
                                        CacheNode **node) {
    CacheKey key = {bytes, BYTES_NONE};
    *node = cache_find(decode->cache, place, key);
    if (*node != NULL) return (*node)->value;
    *node = cache_add(decode->cache, place, key);
    ResourceValue *value = arena_push(cache_arena(decode->cache), ResourceValue);
    Error err;
    if (!resource_make(decode, bytes, value, &err)) {
        error_context(&err, "the resource");
        value->faulty = true;
        value->why = keep_reason(decode, &err);
    }
    (*node)->value = value;
    return value;
}

// ---- Scopes ----

static bool scope_make(Decode *decode, Bytes bytes, Text schema_url, ScopeValue *out, Error *err) {
    Bytes name, version;
    if (!fields_of(bytes, 1, &name, 2, &version)) {
        return error_set(err, ERROR_BAD_INPUT, "malformed protobuf");
    }
    if (!decode->options->scope_labels || name.len == 0) return true;
    LabelArray attributes = {0};
    TRY(attributes_read(bytes, 3, LIMIT_SERIES_LABELS, decode->scratch, &attributes, err));
    attributes_sort(&attributes);
    LabelSet set = {.scratch = decode->scratch};
    AUTO(builder_free) Builder label = {0};
    for (size_t i = 0; i < attributes.count; i++) {
        builder_clear(&label);
        Text prefixed =
            text_format(decode->scratch, "otel_scope_%.*s", TEXT_ARG(attributes.at[i].name));
        TRY(name_label(decode->options->naming, prefixed, &label, err));
        label_set_put(&set, text_copy(builder_text(&label), decode->scratch),
                      attributes.at[i].value);
    }
    label_set_put(&set, TEXT("otel_scope_name"), bytes_text(name));
    label_set_put(&set, TEXT("otel_scope_version"), bytes_text(version));
    label_set_put(&set, TEXT("otel_scope_schema_url"), schema_url);
    out->labels = labels_keep(&set, cache_arena(decode->cache));
    out->label_count = set.labels.count;
    return true;
}

static const ScopeValue *scope_of(Decode *decode, CachePlace *place, Bytes bytes, Bytes schema_url,
                                  CacheNode **node) {
    CacheKey key = {bytes, schema_url};
    *node = cache_find(decode->cache, place, key);
    if (*node != NULL) return (*node)->value;
    *node = cache_add(decode->cache, place, key);
    ScopeValue *value = arena_push(cache_arena(decode->cache), ScopeValue);
    Error err;
    if (!scope_make(decode, bytes, bytes_text(schema_url), value, &err)) {
        error_context(&err, "the instrumentation scope");
        value->faulty = true;
        value->why = keep_reason(decode, &err);
    }
    (*node)->value = value;
    return value;
}

// ---- Metrics ----

// A metric before it is understood.
typedef struct RawMetric {
    Text name, help, unit;
    FieldRun head;  // of the three above
    MetricKind kind;
    uint8_t temporality, monotonic;
    Bytes data;
} RawMetric;

static MetricKind kind_of(uint32_t number) {
    switch (number) {
        case 5:
            return METRIC_GAUGE;
        case 7:
            return METRIC_SUM;
        case 9:
            return METRIC_HISTOGRAM;
        case 10:
            return METRIC_EXPONENTIAL;
        case 11:
            return METRIC_SUMMARY;
        default:
            return METRIC_NONE;
    }
}

// Metric {1 name, 2 description, 3 unit, one of 5 7 9 10 11}
static bool metric_read(Bytes bytes, RawMetric *out) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    *out = (RawMetric){0};
    for (const uint8_t *from = reader.at; protobuf_next(&reader, &field); from = reader.at) {
        if (field.type != WIRE_BYTES) continue;
        if (field.number >= 1 && field.number <= 3) {
            Text text = bytes_text(field.bytes);
            *(field.number == 1 ? &out->name : field.number == 2 ? &out->help : &out->unit) = text;
            out->head.split |= out->head.from != NULL && out->head.to != from;
            if (out->head.from == NULL) out->head.from = from;
            out->head.to = reader.at;
        } else if (kind_of(field.number) != METRIC_NONE) {
            out->kind = kind_of(field.number);
            out->data = field.bytes;
        }
    }
    if (reader.failed) return false;
    if (out->kind == METRIC_GAUGE || out->kind == METRIC_SUMMARY || out->kind == METRIC_NONE)
        return true;
    // Sum, Histogram, ExponentialHistogram {1 data_points, 2 temporality, 3 is_monotonic}
    reader = reader_begin(out->data);
    while (protobuf_next(&reader, &field)) {
        if (field.type != WIRE_VARINT) continue;
        if (field.number == 2) out->temporality = field.value > 2 ? 0 : (uint8_t)field.value;
        if (field.number == 3) out->monotonic = field.value != 0;
    }
    return !reader.failed;
}

static bool metric_make(Decode *decode, const RawMetric *raw, MetricValue *out, Error *err) {
    Arena *arena = cache_arena(decode->cache);
    OtlpNaming naming = decode->options->naming;
    out->kind = raw->kind;
    out->temporality = (Temporality)raw->temporality;
    out->monotonic = raw->monotonic != 0;
    out->original = text_copy(raw->name, arena);
    out->help = text_copy(raw->help, arena);
    bool counts = raw->kind == METRIC_SUM && out->monotonic;
    bool gauge = raw->kind == METRIC_GAUGE;
    if (!text_is_utf8(raw->name)) {
        out->original = TEXT_NONE;
        return error_set(err, ERROR_BAD_INPUT, "the name of a metric is not UTF-8");
    }
    AUTO(builder_free) Builder name = {0};
    TRY(name_metric(naming,
                    counts  ? NAME_COUNTER
                    : gauge ? NAME_GAUGE
                            : NAME_OTHER,
                    raw->name, raw->unit, &name, err));
    out->name = text_copy(builder_text(&name), arena);
    out->sum_name = text_format(arena, "%.*s_sum", TEXT_ARG(out->name));
    out->count_name = text_format(arena, "%.*s_count", TEXT_ARG(out->name));
    out->bucket_name = text_format(arena, "%.*s_bucket", TEXT_ARG(out->name));
    builder_clear(&name);
    name_unit(naming, raw->unit, &name);
    out->unit = text_copy(builder_text(&name), arena);
    bool wants_temporality =
        raw->kind == METRIC_SUM || raw->kind == METRIC_HISTOGRAM || raw->kind == METRIC_EXPONENTIAL;
    if (raw->kind == METRIC_NONE) {
        return error_set(err, ERROR_BAD_INPUT, "it has no data of a known kind");
    }
    if (wants_temporality && out->temporality == TEMPORALITY_NONE) {
        return error_set(err, ERROR_BAD_INPUT, "its aggregation temporality is not specified");
    }
    return true;
}

static Bytes metric_head(Decode *decode, const RawMetric *raw) {
    const FieldRun *head = &raw->head;
    if (likely(!head->split)) return (Bytes){head->from, (size_t)(head->to - head->from)};
    AUTO(builder_free) Builder gathered = {0};
    protobuf_add_text(&gathered, 1, raw->name);
    protobuf_add_text(&gathered, 2, raw->help);
    protobuf_add_text(&gathered, 3, raw->unit);
    return bytes_copy(text_bytes(builder_text(&gathered)), decode->scratch);
}

static MetricValue *metric_of(Decode *decode, CachePlace *place, const RawMetric *raw,
                              CacheNode **node) {
    uint8_t traits[] = {(uint8_t)raw->kind, raw->temporality, raw->monotonic};
    CacheKey key = {metric_head(decode, raw), {traits, sizeof traits}};
    *node = cache_find(decode->cache, place, key);
    if (*node != NULL) return (*node)->value;
    *node = cache_add(decode->cache, place, key);
    MetricValue *value = arena_push(cache_arena(decode->cache), MetricValue);
    value->described_ms = INT64_MIN;
    Error err;
    if (!metric_make(decode, raw, value, &err)) {
        value->faulty = true;
        value->why = keep_reason(decode, &err);
    }
    (*node)->value = value;
    return value;
}

// Type, help and unit, now and then.
static void metric_describe(Decode *decode) {
    MetricValue *metric = decode->metric;
    if (metric->described_ms != INT64_MIN &&
        decode->arrival_ms - metric->described_ms < DESCRIBE_EVERY_MS)
        return;
    metric->described_ms = decode->arrival_ms;
    MetadataType type = METADATA_GAUGE;
    if (metric->kind == METRIC_SUM && metric->monotonic) type = METADATA_COUNTER;
    if (metric->kind == METRIC_HISTOGRAM || metric->kind == METRIC_EXPONENTIAL)
        type = METADATA_HISTOGRAM;
    if (metric->kind == METRIC_SUMMARY) type = METADATA_SUMMARY;
    write_body_add_metadata(decode->rows, metric->name, (uint8_t)type, metric->help, metric->unit);
}

// ---- Points ----

bool point_labels(Decode *decode, Bytes attributes, uint32_t number, LabelSet *out, Error *err) {
    const ResourceValue *resource = decode->resource;
    const ScopeValue *scope = decode->scope;
    LabelArray read = {0};
    *out = (LabelSet){.scratch = decode->scratch};
    TRY(attributes_read(attributes, number, LIMIT_SERIES_LABELS, decode->scratch, &read, err));
    TRY(label_set_attributes(out, decode->options->naming, &read, err));
    for (size_t i = 0; i < resource->promoted_count; i++)
        label_set_offer(out, resource->promoted[i].name, resource->promoted[i].value);
    for (size_t i = 0; i < scope->label_count; i++)
        label_set_put(out, scope->labels[i].name, scope->labels[i].value);
    if (resource->has_job) label_set_put(out, TEXT("job"), resource->job);
    if (resource->has_instance) label_set_put(out, TEXT("instance"), resource->instance);
    return true;
}

static bool rows_fit(const Decode *decode, Error *err) {
    if (likely(write_body_fits(decode->rows, err))) return true;
    return error_context(err, "send fewer data points at once");
}

static bool point_take(Decode *decode, Bytes point, Error *err) {
    decode->out->points++;
    if (unlikely(decode->refused != NULL)) {
        Error why;
        error_set(&why, ERROR_BAD_INPUT, "%s", decode->refused);
        decode_reject(decode, &why);
        return true;
    }
    switch (decode->metric->kind) {
        case METRIC_GAUGE:
        case METRIC_SUM:
            return write_number(decode, point, err);
        case METRIC_HISTOGRAM:
            return write_histogram(decode, point, err);
        case METRIC_EXPONENTIAL:
            return write_exponential(decode, point, err);
        case METRIC_SUMMARY:
            return write_summary(decode, point, err);
        case METRIC_NONE:
            break;
    }
    unreachable("a metric without a kind was refused before");
}

static bool metric_walk(Decode *decode, CachePlace *place, Bytes bytes, Error *err) {
    RawMetric raw;
    if (!metric_read(bytes, &raw)) return malformed("a metric", err);
    CacheNode *node;
    decode->metric = metric_of(decode, place, &raw, &node);
    decode->points = (CachePlace){.parent = node};
    const char *outer = decode->refused;
    if (outer == NULL && decode->metric->faulty) decode->refused = decode->metric->why;
    if (decode->refused == NULL) metric_describe(decode);
    Reader reader = reader_begin(raw.data);
    ArenaMark mark = arena_mark(decode->scratch);
    Bytes point;
    while (protobuf_next_of(&reader, 1, &point)) {
        TRY(point_take(decode, point, err));
        if (decode->scratch->at != mark.at) arena_reset_to(decode->scratch, mark);
        TRY(rows_fit(decode, err));
        if (unlikely(decode->wants_delta)) return error_set(err, ERROR_BUSY, "deltas");
    }
    decode->refused = outer;
    decode->metric = NULL;
    return !reader.failed || malformed("data points", err);
}

static bool scope_walk(Decode *decode, CachePlace *place, Bytes bytes, Error *err) {
    Bytes scope, schema_url;
    if (!fields_of(bytes, 1, &scope, 3, &schema_url))
        return malformed("the metrics of a scope", err);
    CacheNode *node;
    decode->scope = scope_of(decode, place, scope, schema_url, &node);
    const char *outer = decode->refused;
    if (outer == NULL && decode->scope->faulty) decode->refused = decode->scope->why;
    CachePlace metrics = {.parent = node};
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == 2 && field.type == WIRE_BYTES)
            TRY(metric_walk(decode, &metrics, field.bytes, err));
    }
    decode->refused = outer;
    return !reader.failed || malformed("the metrics of a scope", err);
}

// target_info goes with the times of the points: at the first, every so often, and at the last.
enum { INFO_ROWS_MAX = 1000 };

static void write_info(Decode *decode) {
    const ResourceValue *resource = decode->resource;
    if (resource->faulty || resource->info == NULL || decode->last_ns == 0) return;
    int64_t from = (int64_t)(decode->first_ns / 1000000), to = (int64_t)(decode->last_ns / 1000000);
    int64_t every = MAX(decode->options->info_every_ms, (to - from) / INFO_ROWS_MAX + 1);
    if (from == to) {
        write_body_add_kept(decode->rows, resource->info, to, 1, 0);
        return;
    }
    write_body_begin_kept(decode->rows, resource->info);
    for (int64_t at = from; at < to; at += every) write_body_sample(decode->rows, at, 1);
    write_body_sample(decode->rows, to, 1);
    write_body_end(decode->rows);
}

static bool resource_walk(Decode *decode, CachePlace *place, Bytes bytes, Error *err) {
    Bytes resource;
    if (!field_of(bytes, 1, &resource)) return malformed("the metrics of a resource", err);
    CacheNode *node;
    decode->resource = resource_of(decode, place, resource, &node);
    decode->refused = decode->resource->faulty ? decode->resource->why : NULL;
    decode->first_ns = decode->last_ns = 0;
    CachePlace scopes = {.parent = node};
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == 2 && field.type == WIRE_BYTES)
            TRY(scope_walk(decode, &scopes, field.bytes, err));
    }
    if (reader.failed) return malformed("the metrics of a resource", err);
    write_info(decode);
    return rows_fit(decode, err);
}

bool decode_request(Decode *decode, Bytes body, Error *err) {
    CachePlace resources = {.parent = &decode->cache->root};
    Reader reader = reader_begin(body);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == 1 && field.type == WIRE_BYTES)
            TRY(resource_walk(decode, &resources, field.bytes, err));
    }
    return !reader.failed || malformed("its first level", err);
}
