// Decoding of remote write 2.0.
//
// Where the time goes is the labels: 200 bytes a row that are sent as ten small numbers. So each
// pair of symbols becomes the canonical bytes of its label once per request, and a row is put
// together from those by copies of a fixed width, which cost no decision each (120 -> 80 ns a row
// of 7 labels; looking for runs that are equal to the row before was slower, as no two rows end
// alike).

#include "ingest/write_request_2.h"

#include "base/limits.h"
#include "codec/protobuf.h"
#include "ingest/write_request.h"

enum {
    REQUEST_SYMBOLS = 4,
    REQUEST_TIMESERIES = 5,
    SERIES_REFS = 1,
    SERIES_SAMPLES = 2,
    SERIES_HISTOGRAMS = 3,
    SERIES_EXEMPLARS = 4,
    SERIES_METADATA = 5,
    EXEMPLAR_REFS = 1,
    EXEMPLAR_VALUE = 2,
    EXEMPLAR_TIME = 3,
    METADATA_TYPE = 1,
    METADATA_HELP = 3,
    METADATA_UNIT = 4,
};

enum {
    SPACE_BYTES = 64 * KB,  // label bytes are taken from the arena by so much
    SPACE_KEPT_BYTES = 960 * KB,
    PAIR_BYTES_MAX = 32,  // tags and lengths of one label
    FIELDS_PER_LOOK = 256,
    COPY_BYTES = 64,  // most labels are shorter
    REFS_OF_SERIES = 0,
    REFS_OF_EXEMPLAR = 1,
};

typedef struct Space {
    uint8_t *at, *end;  // what is free
} Space;

typedef struct Decoder {
    WriteSymbols *symbols;
    Arena *scratch;
    Batch *batch;
    Space rows, pairs;     // label bytes of rows; of single labels
    size_t taken;          // from the arena, by this request
    uint32_t highest;      // reference of this row
    uint32_t name_symbol;  // which symbol is __name__, as far as seen
    // The metadata of the row before: neighbours of one family repeat it.
    Bytes metadata;
    uint32_t metadata_name;
} Decoder;

void write_symbols_free(WriteSymbols *symbols) {
    array_free(&symbols->texts);
    array_free(&symbols->pairs);
    array_free(&symbols->described);
    array_free(&symbols->rising);
    for (size_t i = 0; i < COUNT(symbols->refs); i++) array_free(&symbols->refs[i]);
}

size_t write_symbols_bytes_kept(const WriteSymbols *symbols) {
    size_t numbers = symbols->described.capacity + symbols->rising.capacity;
    for (size_t i = 0; i < COUNT(symbols->refs); i++) numbers += symbols->refs[i].capacity;
    return symbols->texts.capacity * sizeof(Text) + symbols->pairs.capacity * sizeof(WritePair) +
           numbers * sizeof(uint32_t);
}

static bool malformed(Error *err, const char *what, size_t row) {
    return error_set(err, ERROR_BAD_INPUT, "malformed protobuf in %s of time series %zu", what,
                     row + 1);
}

// ---- Space for label bytes ----

// As much at once as the last request took: the arena keeps a block from request to request.
static void space_begin(Decoder *decoder) {
    size_t bytes =
        MIN(MAX(decoder->symbols->expected, 2 * (size_t)SPACE_BYTES), (size_t)SPACE_KEPT_BYTES);
    decoder->taken = bytes;
    uint8_t *all = arena_push_raw(decoder->scratch, bytes, 1);
    decoder->pairs = (Space){all, all + SPACE_BYTES};
    decoder->rows = (Space){all + SPACE_BYTES, all + bytes};
}

// Room for `more` bytes, and COPY_BYTES behind them, after `*from` .. space->at, which move when
// they must.
static bool space_grow(Decoder *decoder, Space *space, uint8_t **from, size_t more, Error *err) {
    size_t have = (size_t)(space->at - *from);
    size_t bytes = MAX((size_t)SPACE_BYTES, have + more + COPY_BYTES);
    decoder->taken += bytes;
    if ((int64_t)decoder->taken > LIMIT_WRITE_LABELS_BYTES) {
        return error_set(err, ERROR_TOO_LARGE,
                         "the labels of this body take more than %lld bytes once their symbols are "
                         "filled in (limit WRITE_LABELS_BYTES); send smaller bodies",
                         (long long)LIMIT_WRITE_LABELS_BYTES);
    }
    uint8_t *fresh = arena_push_raw(decoder->scratch, bytes, 1);
    if (have > 0) memcpy(fresh, *from, have);
    *from = fresh;
    space->at = fresh + have;
    space->end = fresh + bytes;
    return true;
}

static inline bool space_for(Decoder *decoder, Space *space, uint8_t **from, size_t more,
                             Error *err) {
    if (likely((size_t)(space->end - space->at) >= more + COPY_BYTES)) return true;
    return space_grow(decoder, space, from, more, err);
}

static inline uint8_t *put_varint(uint8_t *at, size_t value) {
    for (; unlikely(value >= 0x80); value >>= 7) *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static inline size_t length_bytes(size_t len) {
    return likely(len < 0x80) ? 1 : varint_len(len);
}

// One label, as prometheus.TimeSeries.labels has it. There is room.
static inline uint8_t *put_pair(uint8_t *at, Text name, Text value) {
    size_t inner = 2 + length_bytes(name.len) + name.len + length_bytes(value.len) + value.len;
    *at++ = 0x0a;
    at = put_varint(at, inner);
    *at++ = 0x0a;
    at = put_varint(at, name.len);
    if (name.len > 0) memcpy(at, name.at, name.len);
    at += name.len;
    *at++ = 0x12;
    at = put_varint(at, value.len);
    if (value.len > 0) memcpy(at, value.at, value.len);
    return at + value.len;
}

// ---- References ----

// Adds the numbers of one field, packed or single, to `refs`, and keeps the highest of all.
static bool refs_add(const ProtobufField *field, WriteSymbols *symbols, unsigned which,
                     uint32_t *highest) {
    __typeof__(&symbols->refs[0]) refs = &symbols->refs[which];
    size_t need = refs->count + field->bytes.len;  // a number has at least a byte
    if (unlikely(refs->capacity < need)) {
        refs->at = memory_resize(refs->at, array_bytes(2 * need, sizeof *refs->at));
        refs->capacity = 2 * need;
    }
    uint32_t *out = refs->at + refs->count, most = *highest;
    const uint8_t *at = field->bytes.at, *end = at + field->bytes.len;
    while (at < end) {
        uint32_t ref = *at++;
        if (ref >= 0x80) {
            if (likely(at < end && *at < 0x80)) {
                ref = (ref & 0x7f) | (uint32_t)*at++ << 7;
            } else {
                Reader rest = reader_begin((Bytes){at - 1, (size_t)(end - at) + 1});
                uint64_t large = reader_varint(&rest);
                if (rest.failed) return false;
                ref = large > UINT32_MAX ? UINT32_MAX : (uint32_t)large;
                at = rest.at;
            }
        }
        most = ref > most ? ref : most;
        *out++ = ref;
    }
    refs->count = (size_t)(out - refs->at);
    *highest = most;
    return true;
}

static void refuse_refs(const Decoder *decoder, const uint32_t *refs, size_t count, Error *why) {
    size_t symbols = decoder->symbols->texts.count;
    if (count % 2 != 0) {
        error_set(why, ERROR_BAD_INPUT,
                  "time series %zu has %zu label references; they come in pairs of name and value",
                  decoder->batch->series.count, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (refs[i] < symbols) continue;
        error_set(why, ERROR_BAD_INPUT,
                  "time series %zu refers to symbol %u, and the request has %zu",
                  decoder->batch->series.count, refs[i], symbols);
        return;
    }
}

// `highest` of `count`; 0 of none.
static inline bool refs_hold(const Decoder *decoder, uint32_t highest, size_t count) {
    return count % 2 == 0 && (highest < decoder->symbols->texts.count || count == 0);
}

// Whether the names rise. They are nearly always those of the row before, whose names were
// compared.
static bool names_rise(WriteSymbols *symbols, const uint32_t *refs, size_t count) {
    bool same = symbols->rising.count == count / 2;
    for (size_t i = 0; same && i < count; i += 2) same = symbols->rising.at[i / 2] == refs[i];
    if (likely(same)) return true;
    const Text *texts = symbols->texts.at;
    for (size_t i = 2; i < count; i += 2) {
        if (text_compare(texts[refs[i - 2]], texts[refs[i]]) > 0) return false;
    }
    array_clear(&symbols->rising);
    for (size_t i = 0; i < count; i += 2) *array_add(&symbols->rising) = refs[i];
    return true;
}

// Senders should sort labels and need not: Prometheus sorts them, too. What has more of them than a
// series may have is refused anyway, and stays as it is.
static void sort_refs(WriteSymbols *symbols, uint32_t *refs, size_t count) {
    if (likely(names_rise(symbols, refs, count)) || (int64_t)count / 2 > LIMIT_SERIES_LABELS)
        return;
    const Text *texts = symbols->texts.at;
    for (size_t i = 2; i < count; i += 2) {
        uint32_t name = refs[i], value = refs[i + 1];
        size_t to = i;
        for (; to > 0 && text_compare(texts[refs[to - 2]], texts[name]) > 0; to -= 2) {
            refs[to] = refs[to - 2];
            refs[to + 1] = refs[to - 1];
        }
        refs[to] = name;
        refs[to + 1] = value;
    }
}

// The bytes of the label (name, value), made when it is the first time that the value comes with
// this name.
static bool pair_make(Decoder *decoder, uint32_t name_ref, uint32_t value_ref, Error *err) {
    const Text *texts = decoder->symbols->texts.at;
    Text name = texts[name_ref], value = texts[value_ref];
    uint8_t *from = decoder->pairs.at;
    TRY(space_for(decoder, &decoder->pairs, &from, name.len + value.len + PAIR_BYTES_MAX, err));
    decoder->pairs.at = put_pair(from, name, value);
    decoder->symbols->pairs.at[value_ref] =
        (WritePair){.at = from, .name = name_ref, .len = (uint32_t)(decoder->pairs.at - from)};
    return true;
}

// The label bytes of references that hold.
static bool put_labels(Decoder *decoder, const uint32_t *refs, size_t count, Bytes *out,
                       Error *err) {
    Space *space = &decoder->rows;
    uint8_t *from = space->at;
    for (size_t i = 0; i < count; i += 2) {
        const WritePair *pair = &decoder->symbols->pairs.at[refs[i + 1]];
        if (unlikely(pair->name != refs[i] || pair->at == NULL))
            TRY(pair_make(decoder, refs[i], refs[i + 1], err));
        TRY(space_for(decoder, space, &from, pair->len, err));
        memcpy(space->at, pair->at, COPY_BYTES);
        if (unlikely(pair->len > COPY_BYTES))
            memcpy(space->at + COPY_BYTES, pair->at + COPY_BYTES, pair->len - COPY_BYTES);
        space->at += pair->len;
    }
    *out = (Bytes){from, (size_t)(space->at - from)};
    return true;
}

// ---- What a series carries ----

static bool decode_exemplar(Decoder *decoder, Bytes bytes, size_t row, Error *err) {
    BatchExemplar *out = array_add(&decoder->batch->exemplars);
    uint32_t highest = 0;
    array_clear(&decoder->symbols->refs[REFS_OF_EXEMPLAR]);
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == EXEMPLAR_REFS &&
            (field.type == WIRE_BYTES || field.type == WIRE_VARINT) &&
            !refs_add(&field, decoder->symbols, REFS_OF_EXEMPLAR, &highest))
            return malformed(err, "the label references of an exemplar", row);
        if (field.number == EXEMPLAR_VALUE && field.type == WIRE_FIXED64)
            out->value = protobuf_double(field.value);
        if (field.number == EXEMPLAR_TIME && field.type == WIRE_VARINT)
            out->time_ms = (int64_t)field.value;
    }
    if (reader.failed) return malformed(err, "an exemplar", row);
    // Where they point nowhere it has none, and admit leaves it out.
    size_t count = decoder->symbols->refs[REFS_OF_EXEMPLAR].count;
    if (!refs_hold(decoder, highest, count)) return true;
    return put_labels(decoder, decoder->symbols->refs[REFS_OF_EXEMPLAR].at, count, &out->labels,
                      err);
}

// The family that a metric belongs to: histograms and summaries have several names.
static Text family_of(Text name, uint8_t type) {
    static const struct {
        uint8_t type;
        Text suffix;
    } suffixes[] = {
        {METADATA_HISTOGRAM, TEXT_INIT("_bucket")},
        {METADATA_HISTOGRAM, TEXT_INIT("_count")},
        {METADATA_HISTOGRAM, TEXT_INIT("_sum")},
        {METADATA_GAUGE_HISTOGRAM, TEXT_INIT("_bucket")},
        {METADATA_GAUGE_HISTOGRAM, TEXT_INIT("_gcount")},
        {METADATA_GAUGE_HISTOGRAM, TEXT_INIT("_gsum")},
        {METADATA_SUMMARY, TEXT_INIT("_count")},
        {METADATA_SUMMARY, TEXT_INIT("_sum")},
    };
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        if (type == suffixes[i].type && name.len > suffixes[i].suffix.len &&
            text_ends_with(name, suffixes[i].suffix))
            return text_slice(name, 0, name.len - suffixes[i].suffix.len);
    }
    return name;
}

// Which symbol is the metric's name; false when there is none. `refs` hold.
static bool name_of(Decoder *decoder, const uint32_t *refs, size_t count, uint32_t *out) {
    for (size_t i = 0; i < count; i += 2) {
        if (refs[i] != decoder->name_symbol) {
            if (!text_equal(decoder->symbols->texts.at[refs[i]], LABEL_NAME)) continue;
            decoder->name_symbol = refs[i];
        }
        *out = refs[i + 1];
        return true;
    }
    return false;
}

// None of the names is described yet.
static void described_begin(WriteSymbols *symbols) {
    size_t count = symbols->texts.count;
    if (symbols->described.count == count) return;
    if (symbols->described.capacity < count) {
        symbols->described.at =
            memory_resize(symbols->described.at, array_bytes(count, sizeof(uint32_t)));
        symbols->described.capacity = count;
    }
    memset(symbols->described.at, 0, count * sizeof(uint32_t));
    symbols->described.count = count;
}

static bool decode_metadata(Decoder *decoder, Bytes bytes, uint32_t name) {
    WriteSymbols *symbols = decoder->symbols;
    Batch *batch = decoder->batch;
    if (name == decoder->metadata_name && bytes_equal(bytes, decoder->metadata)) return true;
    BatchMetadata found = {0};
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    uint64_t help = 0, unit = 0;
    while (protobuf_next(&reader, &field)) {
        if (field.type != WIRE_VARINT) continue;
        if (field.number == METADATA_TYPE)
            found.type = field.value > METADATA_STATESET ? METADATA_UNKNOWN : (uint8_t)field.value;
        if (field.number == METADATA_HELP) help = field.value;
        if (field.number == METADATA_UNIT) unit = field.value;
    }
    if (reader.failed) return false;
    decoder->metadata = bytes;
    decoder->metadata_name = name;
    // Nothing is said by "unknown, no help, no unit", and nothing by what points nowhere.
    if (help >= symbols->texts.count || unit >= symbols->texts.count) return true;
    found.help = symbols->texts.at[help];
    found.unit = symbols->texts.at[unit];
    found.family = family_of(symbols->texts.at[name], found.type);
    if (found.family.len == 0 ||
        (found.type == METADATA_UNKNOWN && found.help.len + found.unit.len == 0))
        return true;
    described_begin(symbols);
    uint32_t row = symbols->described.at[name];
    if (row == 0) {
        *array_add(&batch->metadata) = found;
        symbols->described.at[name] = (uint32_t)batch->metadata.count;
    } else {
        batch->metadata.at[row - 1] = found;  // the last one counts
    }
    return true;
}

static bool decode_parts(Decoder *decoder, Bytes bytes, BatchSeries *series, Bytes *metadata,
                         Error *err) {
    Batch *batch = decoder->batch;
    size_t row = batch->series.count - 1;
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    for (size_t fields = 1; protobuf_next(&reader, &field); fields++) {
        if (unlikely(fields % FIELDS_PER_LOOK == 0)) TRY(write_batch_fits(batch, err));
        if (field.number == SERIES_REFS &&
            (field.type == WIRE_BYTES || field.type == WIRE_VARINT)) {
            if (!refs_add(&field, decoder->symbols, REFS_OF_SERIES, &decoder->highest))
                return malformed(err, "the label references", row);
            continue;
        }
        if (field.type != WIRE_BYTES) continue;
        switch (field.number) {
            case SERIES_SAMPLES:
                if (!write_sample_add(field.bytes, batch)) return malformed(err, "a sample", row);
                series->sample_count++;
                break;
            case SERIES_HISTOGRAMS:
                if (!write_histogram_decode(field.bytes, array_add(&batch->histograms)))
                    return malformed(err, "a native histogram", row);
                series->histogram_count++;
                break;
            case SERIES_EXEMPLARS:
                TRY(decode_exemplar(decoder, field.bytes, row, err));
                series->exemplar_count++;
                break;
            case SERIES_METADATA:
                *metadata = field.bytes;
                break;
            default:
                break;
        }
    }
    return !reader.failed || malformed(err, "the fields", row);
}

static bool decode_series(Decoder *decoder, Bytes bytes, Error *err) {
    Batch *batch = decoder->batch;
    size_t row = batch->series.count;
    BatchSeries *series = array_add(&batch->series);
    series->first_sample = (uint32_t)batch->samples.count;
    series->first_histogram = (uint32_t)batch->histograms.count;
    series->first_exemplar = (uint32_t)batch->exemplars.count;
    Bytes metadata = BYTES_NONE;
    array_clear(&decoder->symbols->refs[REFS_OF_SERIES]);
    decoder->highest = 0;
    TRY(decode_parts(decoder, bytes, series, &metadata, err));

    uint32_t *refs = decoder->symbols->refs[REFS_OF_SERIES].at;
    size_t count = decoder->symbols->refs[REFS_OF_SERIES].count;
    if (unlikely(!refs_hold(decoder, decoder->highest, count))) {
        Error why;
        refuse_refs(decoder, refs, count, &why);
        batch_refuse(batch, series, VERDICT_BAD_LABELS, &why);
        metadata = BYTES_NONE;
    } else {
        sort_refs(decoder->symbols, refs, count);
        TRY(put_labels(decoder, refs, count, &series->labels, err));
    }
    uint32_t name;
    if (metadata.len > 0 && name_of(decoder, refs, count, &name) &&
        !decode_metadata(decoder, metadata, name))
        return malformed(err, "the metadata", row);
    if (unlikely(series->sample_count + series->histogram_count + series->exemplar_count == 0))
        batch->series.count--;
    return true;
}

// All symbols, wherever they stand.
static bool read_symbols(Bytes body, WriteSymbols *symbols, Error *err) {
    array_clear(&symbols->texts);
    array_clear(&symbols->described);
    array_clear(&symbols->rising);
    Reader reader = reader_begin(body);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number != REQUEST_SYMBOLS || field.type != WIRE_BYTES) continue;
        *array_add(&symbols->texts) = bytes_text(field.bytes);
        size_t bytes = symbols->texts.count * (sizeof(Text) + sizeof(WritePair));
        if (likely((int64_t)bytes <= LIMIT_WRITE_BATCH_BYTES)) continue;
        return error_set(err, ERROR_TOO_LARGE,
                         "the symbols of this body take more than %lld bytes of memory (limit "
                         "WRITE_BATCH_BYTES); send smaller bodies",
                         (long long)LIMIT_WRITE_BATCH_BYTES);
    }
    if (!reader.failed) return true;
    return error_set(
        err, ERROR_BAD_INPUT,
        "the body is not an io.prometheus.write.v2.Request (malformed protobuf at byte "
        "%zu of %zu)",
        (size_t)(reader.at - body.at), body.len);
}

// None of the labels is made yet.
static void pairs_begin(WriteSymbols *symbols) {
    size_t count = symbols->texts.count;
    if (count == 0) return;
    if (symbols->pairs.capacity < count) {
        symbols->pairs.at = memory_resize(symbols->pairs.at, array_bytes(count, sizeof(WritePair)));
        symbols->pairs.capacity = count;
    }
    memset(symbols->pairs.at, 0, count * sizeof(WritePair));
}

bool write_request_2_decode(Bytes body, WriteSymbols *symbols, Arena *scratch, Batch *batch,
                            Error *err) {
    TRY(read_symbols(body, symbols, err));
    pairs_begin(symbols);
    Decoder decoder = {.symbols = symbols,
                       .scratch = scratch,
                       .batch = batch,
                       .name_symbol = UINT32_MAX,
                       .metadata_name = UINT32_MAX};
    space_begin(&decoder);
    Reader reader = reader_begin(body);
    ProtobufField field;
    for (size_t fields = 1; protobuf_next(&reader, &field); fields++) {
        if (unlikely(fields % FIELDS_PER_LOOK == 0)) TRY(write_batch_fits(batch, err));
        if (field.number != REQUEST_TIMESERIES || field.type != WIRE_BYTES) continue;
        TRY(decode_series(&decoder, field.bytes, err));
    }
    symbols->expected = decoder.taken;
    return true;
}
