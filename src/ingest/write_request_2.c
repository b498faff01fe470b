// Decoding of remote write 2.0.
//
// Where the time goes is the labels: 200 bytes a row that are sent as ten small numbers. A row
// whose series can be foretold is recognised by those numbers (registry_predict_symbols), and its
// label bytes are never made. For the others each pair of symbols becomes the canonical bytes of
// its label once per request, and a row is put together from those by copies of a fixed width,
// which cost no decision each (120 -> 80 ns a row of 7 labels; looking for runs that are equal to
// the row before was slower, as no two rows end alike).

#include "ingest/write_request_2.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/wide.h"
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
    FIELDS_PER_LOOK = 256,
    COPY_BYTES = 64,    // most labels are shorter
    REFS_AT_ONCE = 64,  // bytes of references
};

typedef struct Decoder {
    WriteSymbols *symbols;
    Batch *batch;
    uint32_t highest;      // reference of this row
    uint32_t name_symbol;  // which symbol is __name__, as far as seen
    // The metadata of the row before: neighbours of one family repeat it.
    Bytes metadata;
    uint32_t metadata_name;
} Decoder;

void write_symbols_free(WriteSymbols *symbols) {
    array_free(&symbols->texts);
    array_free(&symbols->pairs);
    array_free(&symbols->known);
    array_free(&symbols->described);
    array_free(&symbols->rising);
    array_free(&symbols->row_refs);
    array_free(&symbols->exemplar_refs);
}

size_t write_symbols_bytes_kept(const WriteSymbols *symbols) {
    size_t numbers = symbols->described.capacity + symbols->rising.capacity +
                     symbols->row_refs.capacity + symbols->exemplar_refs.capacity;
    return symbols->texts.capacity * sizeof(Text) + symbols->pairs.capacity * sizeof(WritePair) +
           symbols->known.capacity * sizeof(uint64_t) + numbers * sizeof(uint32_t);
}

static bool malformed(Error *err, const char *what, size_t row) {
    return error_set(err, ERROR_BAD_INPUT, "malformed protobuf in %s of time series %zu", what,
                     row + 1);
}

// ---- Space for label bytes ----

// As much at once as the last request took: the arena keeps a block from request to request.
static void space_begin(WriteSymbols *symbols, Arena *scratch) {
    size_t bytes = MIN(MAX(symbols->taken, 2 * (size_t)SPACE_BYTES), (size_t)SPACE_KEPT_BYTES);
    symbols->scratch = scratch;
    symbols->taken = bytes;
    uint8_t *all = arena_push_raw(scratch, bytes, 1);
    symbols->pair_space = (WriteSpace){all, all + SPACE_BYTES};
    symbols->row_space = (WriteSpace){all + SPACE_BYTES, all + bytes};
}

// `len` bytes, with COPY_BYTES behind them. What is large has a place of its own, so that no more
// than a quarter of the space is left behind.
static uint8_t *space_take(WriteSymbols *symbols, WriteSpace *space, size_t len) {
    if (unlikely((size_t)(space->end - space->at) < len + COPY_BYTES)) {
        bool large = len > SPACE_BYTES / 4;
        size_t bytes = large ? len + COPY_BYTES : (size_t)SPACE_BYTES;
        uint8_t *fresh = arena_push_raw(symbols->scratch, bytes, 1);
        symbols->taken += bytes;
        if (large) return fresh;
        *space = (WriteSpace){fresh, fresh + bytes};
    }
    uint8_t *taken = space->at;
    space->at += len;
    return taken;
}

static inline uint8_t *put_varint(uint8_t *at, size_t value) {
    for (; unlikely(value >= 0x80); value >>= 7) *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static inline size_t length_bytes(size_t len) {
    return likely(len < 0x80) ? 1 : varint_len(len);
}

static inline size_t pair_inner(Text name, Text value) {
    return 2 + length_bytes(name.len) + name.len + length_bytes(value.len) + value.len;
}

static inline size_t pair_bytes(Text name, Text value) {
    size_t inner = pair_inner(name, value);
    return 1 + length_bytes(inner) + inner;
}

// One label, as prometheus.TimeSeries.labels has it. There is room.
static inline uint8_t *put_pair(uint8_t *at, Text name, Text value) {
    *at++ = 0x0a;
    at = put_varint(at, pair_inner(name, value));
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

static bool refs_grow(WriteRefs *refs, size_t need, Error *err) {
    if ((int64_t)need > LIMIT_WRITE_BATCH_BYTES / (int64_t)sizeof *refs->at) {
        return error_set(err, ERROR_TOO_LARGE,
                         "the label references of this body take more than %lld bytes of memory "
                         "(limit WRITE_BATCH_BYTES); send smaller bodies",
                         (long long)LIMIT_WRITE_BATCH_BYTES);
    }
    refs->at = memory_resize(refs->at, array_bytes(2 * need, sizeof *refs->at));
    refs->capacity = 2 * need;
    return true;
}

static bool refs_malformed(const Decoder *decoder, Error *err) {
    return malformed(err, "the label references", decoder->batch->series.count - 1);
}

#ifdef __x86_64__
// Numbers of one or two bytes each, REFS_AT_ONCE bytes of them at most: all at once. Writes up to
// as many numbers at `out`, whatever *count. False: some are longer, or the last one is cut off.
WIDE_TARGET static bool refs_unpack_wide(Bytes bytes, uint32_t *out, size_t *count,
                                         uint32_t *highest) {
    __mmask64 there = _bzhi_u64(~UINT64_C(0), (uint32_t)bytes.len);
    __m512i all = _mm512_maskz_loadu_epi8(there, bytes.at);
    uint64_t more = _mm512_movepi8_mask(all), ends = there & ~more;
    if ((more & more << 1) != 0 || (more >> (bytes.len - 1) & 1) != 0) return false;
    __mmask64 begins = (ends << 1 | 1) & there;
    __m512i first = _mm512_maskz_compress_epi8(begins, all);
    __m512i second =
        _mm512_maskz_compress_epi8(begins, _mm512_maskz_loadu_epi8(there >> 1, bytes.at + 1));
    __m512i most = _mm512_setzero_si512();
    *count = (size_t)_mm_popcnt_u64(ends);
    for (size_t at = 0;;) {
        __m512i low = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(first));
        __m512i high = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(second));
        __mmask16 longer = _mm512_test_epi32_mask(low, _mm512_set1_epi32(0x80));
        __m512i number = _mm512_and_si512(low, _mm512_set1_epi32(0x7f));
        number = _mm512_mask_or_epi32(number, longer, number, _mm512_slli_epi32(high, 7));
        _mm512_storeu_si512(out + at, number);
        most = _mm512_max_epu32(most, number);
        at += 16;
        if (likely(at >= *count)) break;
        first = _mm512_alignr_epi64(_mm512_setzero_si512(), first, 2);
        second = _mm512_alignr_epi64(_mm512_setzero_si512(), second, 2);
    }
    *highest = MAX(*highest, (uint32_t)_mm512_reduce_max_epu32(most));
    return true;
}
#else
static bool refs_unpack_wide(Bytes bytes, uint32_t *out, size_t *count, uint32_t *highest) {
    (void)bytes, (void)out, (void)count, (void)highest;
    return false;
}
#endif

// Adds the numbers of one field, packed or single, to `refs`, and keeps the highest of all.
static inline bool refs_add(const Decoder *decoder, Bytes bytes, WriteRefs *refs, uint32_t *highest,
                            Error *err) {
    size_t need = refs->count + bytes.len + REFS_AT_ONCE;  // a number has at least a byte
    if (unlikely(refs->capacity < need)) TRY(refs_grow(refs, need, err));
    size_t count;
    if (likely(bytes.len > 0 && bytes.len <= REFS_AT_ONCE) && has_wide() &&
        likely(refs_unpack_wide(bytes, refs->at + refs->count, &count, highest))) {
        refs->count += count;
        return true;
    }
    uint32_t *out = refs->at + refs->count, most = *highest;
    const uint8_t *at = bytes.at, *end = at + bytes.len;
    while (at < end) {
        uint32_t ref = *at++;
        if (ref >= 0x80) {
            if (likely(at < end && *at < 0x80)) {
                ref = (ref & 0x7f) | (uint32_t)*at++ << 7;
            } else {
                Reader rest = reader_begin((Bytes){at - 1, (size_t)(end - at) + 1});
                uint64_t large = reader_varint(&rest);
                if (rest.failed) return refs_malformed(decoder, err);
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
// a name.
static void pair_make(WriteSymbols *symbols, uint32_t name_ref, uint32_t value_ref) {
    Text name = symbols->texts.at[name_ref], value = symbols->texts.at[value_ref];
    size_t len = pair_bytes(name, value);
    uint8_t *at = space_take(symbols, &symbols->pair_space, len);
    put_pair(at, name, value);
    symbols->pairs.at[value_ref] = (WritePair){.at = at, .name = name_ref, .len = (uint32_t)len};
}

static size_t labels_bytes(const WriteSymbols *symbols, const uint32_t *refs, size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i += 2)
        bytes += pair_bytes(symbols->texts.at[refs[i]], symbols->texts.at[refs[i + 1]]);
    return bytes;
}

// The label bytes of references that hold.
static Bytes put_labels(WriteSymbols *symbols, const uint32_t *refs, size_t count) {
    size_t len = labels_bytes(symbols, refs, count);
    uint8_t *from = space_take(symbols, &symbols->row_space, len), *at = from;
    for (size_t i = 0; i < count; i += 2) {
        const WritePair *pair = &symbols->pairs.at[refs[i + 1]];
        if (unlikely(pair->at == NULL)) pair_make(symbols, refs[i], refs[i + 1]);
        if (unlikely(pair->name != refs[i])) {  // the value of several names
            at = put_pair(at, symbols->texts.at[refs[i]], symbols->texts.at[refs[i + 1]]);
            continue;
        }
        memcpy(at, pair->at, COPY_BYTES);
        if (unlikely(pair->len > COPY_BYTES))
            memcpy(at + COPY_BYTES, pair->at + COPY_BYTES, pair->len - COPY_BYTES);
        at += pair->len;
    }
    return (Bytes){from, len};
}

// BatchSymbols.make.
static void make_labels(BatchSymbols *of, BatchSeries *row) {
    WriteSymbols *symbols = (WriteSymbols *)(void *)of;
    uint32_t *refs = symbols->row_refs.at + row->first_symbol;
    sort_refs(symbols, refs, row->symbol_count);
    row->labels = put_labels(symbols, refs, row->symbol_count);
}

_Static_assert(offsetof(WriteSymbols, batch) == 0, "make_labels goes from one to the other");

// Whether there is room for the label bytes of all rows, should they be made. Most bodies are seen
// to be small enough without a look at each reference.
static bool labels_fit(const WriteSymbols *symbols, const Batch *batch, Error *err) {
    size_t widest = 0, sum = symbols->exemplar_bytes;
    for (size_t i = 0; i < symbols->texts.count; i++)
        widest = MAX(widest, symbols->texts.at[i].len);
    size_t most = pair_bytes((Text){NULL, widest}, (Text){NULL, widest});
    size_t limit = (size_t)LIMIT_WRITE_LABELS_BYTES;
    if (sum <= limit && most <= limit && symbols->row_refs.count / 2 <= (limit - sum) / most)
        return true;
    for (size_t i = 0; sum <= limit && i < batch->series.count; i++) {
        const BatchSeries *row = &batch->series.at[i];
        sum += labels_bytes(symbols, symbols->row_refs.at + row->first_symbol, row->symbol_count);
    }
    if (sum <= limit) return true;
    return error_set(err, ERROR_TOO_LARGE,
                     "the labels of this body take more than %lld bytes once their symbols are "
                     "filled in (limit WRITE_LABELS_BYTES); send smaller bodies",
                     (long long)LIMIT_WRITE_LABELS_BYTES);
}

// ---- What a series carries ----

static bool decode_exemplar(Decoder *decoder, Bytes bytes, size_t row, Error *err) {
    WriteSymbols *symbols = decoder->symbols;
    BatchExemplar *out = array_add(&decoder->batch->exemplars);
    uint32_t highest = 0;
    array_clear(&symbols->exemplar_refs);
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == EXEMPLAR_REFS &&
            (field.type == WIRE_BYTES || field.type == WIRE_VARINT))
            TRY(refs_add(decoder, field.bytes, &symbols->exemplar_refs, &highest, err));
        if (field.number == EXEMPLAR_VALUE && field.type == WIRE_FIXED64)
            out->value = protobuf_double(field.value);
        if (field.number == EXEMPLAR_TIME && field.type == WIRE_VARINT)
            out->time_ms = (int64_t)field.value;
    }
    if (reader.failed) return malformed(err, "an exemplar", row);
    // Where they point nowhere it has none, and admit leaves it out.
    size_t count = symbols->exemplar_refs.count;
    const uint32_t *refs = symbols->exemplar_refs.at;
    if (!refs_hold(decoder, highest, count)) return true;
    symbols->exemplar_bytes += labels_bytes(symbols, refs, count);
    if ((int64_t)symbols->exemplar_bytes > LIMIT_WRITE_LABELS_BYTES)
        return labels_fit(symbols, decoder->batch, err);
    out->labels = put_labels(symbols, refs, count);
    return true;
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
            TRY(refs_add(decoder, field.bytes, &decoder->symbols->row_refs, &decoder->highest,
                         err));
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

static bool decode_fields(Decoder *decoder, Bytes bytes, BatchSeries *series, Bytes *metadata,
                          Error *err) {
    WriteUsual usual;
    if (unlikely(!write_2_is_usual(bytes, &usual)))
        return decode_parts(decoder, bytes, series, metadata, err);
    Batch *batch = decoder->batch;
    TRY(refs_add(decoder, usual.refs, &decoder->symbols->row_refs, &decoder->highest, err));
    if (unlikely(!write_sample_add(usual.sample, batch)))
        return malformed(err, "a sample", batch->series.count - 1);
    series->sample_count = 1;
    *metadata = usual.metadata;
    return true;
}

// What this row says of its metric, unless the row before said the same of the same.
static bool note_metadata(Decoder *decoder, const uint32_t *refs, size_t count, Bytes metadata) {
    uint32_t name;
    if (!name_of(decoder, refs, count, &name)) return true;
    Bytes before = decoder->metadata;
    if (name == decoder->metadata_name && metadata.len == before.len) {
        size_t same = 0;
        while (same < metadata.len && metadata.at[same] == before.at[same]) same++;
        if (same == metadata.len) return true;
    }
    return decode_metadata(decoder, metadata, name);
}

static bool decode_series(Decoder *decoder, Bytes bytes, Error *err) {
    Batch *batch = decoder->batch;
    WriteSymbols *symbols = decoder->symbols;
    size_t row = batch->series.count;
    BatchSeries *series = array_add(&batch->series);
    series->first_symbol = (uint32_t)symbols->row_refs.count;
    series->first_sample = (uint32_t)batch->samples.count;
    series->first_histogram = (uint32_t)batch->histograms.count;
    series->first_exemplar = (uint32_t)batch->exemplars.count;
    Bytes metadata = BYTES_NONE;
    decoder->highest = 0;
    TRY(decode_fields(decoder, bytes, series, &metadata, err));

    const uint32_t *refs = symbols->row_refs.at + series->first_symbol;
    size_t count = symbols->row_refs.count - series->first_symbol;
    if (unlikely(!refs_hold(decoder, decoder->highest, count))) {
        Error why;
        refuse_refs(decoder, refs, count, &why);
        batch_refuse(batch, series, VERDICT_BAD_LABELS, &why);
        metadata = BYTES_NONE;
    } else {
        series->symbol_count = (uint32_t)count;
    }
    if (metadata.len > 0 && !note_metadata(decoder, refs, count, metadata))
        return malformed(err, "the metadata", row);
    if (unlikely(series->sample_count + series->histogram_count + series->exemplar_count == 0)) {
        batch->series.count--;
        symbols->row_refs.count = series->first_symbol;
    }
    return true;
}

static bool add_symbol(WriteSymbols *symbols, Bytes text, Error *err) {
    *array_add(&symbols->texts) = bytes_text(text);
    size_t bytes = symbols->texts.count * (sizeof(Text) + sizeof(WritePair) + sizeof(uint64_t));
    if (likely((int64_t)bytes <= LIMIT_WRITE_BATCH_BYTES)) return true;
    return error_set(err, ERROR_TOO_LARGE,
                     "the symbols of this body take more than %lld bytes of memory (limit "
                     "WRITE_BATCH_BYTES); send smaller bodies",
                     (long long)LIMIT_WRITE_BATCH_BYTES);
}

// The symbols at the front of `rest`, where senders write them. Help texts may be long ones.
static bool cut_symbols(Bytes *rest, WriteSymbols *symbols, Error *err) {
    enum { TAG = REQUEST_SYMBOLS << 3 | WIRE_BYTES };
    for (Bytes text;;) {
        if (unlikely(!write_2_cut_short(rest, TAG, &text))) {
            Reader reader = reader_begin(*rest);
            if (reader_u8(&reader) != TAG) return true;
            text = reader_take(&reader, reader_varint(&reader));
            if (reader.failed) return true;  // who reads on will say so
            *rest = (Bytes){reader.at, reader_left(&reader)};
        }
        TRY(add_symbol(symbols, text, err));
    }
}

static bool request_whole(const Reader *reader, Bytes body, Error *err) {
    if (!reader->failed) return true;
    return error_set(
        err, ERROR_BAD_INPUT,
        "the body is not an io.prometheus.write.v2.Request (malformed protobuf at byte "
        "%zu of %zu)",
        (size_t)(reader->at - body.at), body.len);
}

// All symbols, wherever they stand.
static bool read_symbols(Bytes body, WriteSymbols *symbols, Error *err) {
    array_clear(&symbols->texts);
    Reader reader = reader_begin(body);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number != REQUEST_SYMBOLS || field.type != WIRE_BYTES) continue;
        TRY(add_symbol(symbols, field.bytes, err));
    }
    return request_whole(&reader, body, err);
}

// None of the labels is made yet, and none is recognised.
static void pairs_begin(WriteSymbols *symbols) {
    size_t count = symbols->texts.count;
    if (count == 0) return;
    if (symbols->pairs.capacity < count) {
        symbols->pairs.at = memory_resize(symbols->pairs.at, array_bytes(count, sizeof(WritePair)));
        symbols->pairs.capacity = count;
    }
    if (symbols->known.capacity < count) {
        symbols->known.at = memory_resize(symbols->known.at, array_bytes(count, sizeof(uint64_t)));
        symbols->known.capacity = count;
    }
    memset(symbols->pairs.at, 0, count * sizeof(WritePair));
    memset(symbols->known.at, 0, count * sizeof(uint64_t));
}

static void batch_symbols(WriteSymbols *symbols, Batch *batch) {
    symbols->batch = (BatchSymbols){.texts = symbols->texts.at,
                                    .count = (uint32_t)symbols->texts.count,
                                    .refs = symbols->row_refs.at,
                                    .known = symbols->known.at,
                                    .make = make_labels};
    batch->symbols = &symbols->batch;
}

// What is left of a batch when its rows are decoded again.
static void batch_again(Batch *batch) {
    int64_t arrival_ms = batch->arrival_ms;
    batch_clear(batch);
    batch->arrival_ms = arrival_ms;
}

// The rows of `rest`, which is the end of `body`. *symbols_there: a symbol stands among them, and
// it all has to be done again, with every symbol known; NULL: they are known.
static bool decode_rows(WriteSymbols *symbols, Bytes body, Bytes rest, Batch *batch,
                        bool *symbols_there, Error *err) {
    Decoder decoder = {
        .symbols = symbols, .batch = batch, .name_symbol = UINT32_MAX, .metadata_name = UINT32_MAX};
    array_clear(&symbols->row_refs);
    array_clear(&symbols->described);
    array_clear(&symbols->rising);
    symbols->exemplar_bytes = 0;
    pairs_begin(symbols);
    for (size_t fields = 1;; fields++) {
        if (unlikely(fields % FIELDS_PER_LOOK == 0)) TRY(write_batch_fits(batch, err));
        Bytes series;
        if (likely(write_2_cut_short(&rest, WRITE_2_ROW_TAG, &series))) {
            TRY(decode_series(&decoder, series, err));
            continue;
        }
        Reader reader = reader_begin(rest);
        ProtobufField field;
        if (!protobuf_next(&reader, &field)) return request_whole(&reader, body, err);
        rest = (Bytes){reader.at, reader_left(&reader)};
        if (field.type != WIRE_BYTES) continue;
        if (field.number == REQUEST_TIMESERIES) TRY(decode_series(&decoder, field.bytes, err));
        if (field.number != REQUEST_SYMBOLS || symbols_there == NULL) continue;
        *symbols_there = true;
        return true;
    }
}

bool write_request_2_decode(Bytes body, WriteSymbols *symbols, Arena *scratch, Batch *batch,
                            Error *err) {
    Bytes rest = body;
    bool symbols_there = false;
    space_begin(symbols, scratch);
    array_clear(&symbols->texts);
    TRY(cut_symbols(&rest, symbols, err));
    symbols->front_len = body.len - rest.len;
    TRY(decode_rows(symbols, body, rest, batch, &symbols_there, err));
    if (unlikely(symbols_there)) {
        symbols->front_len = 0;
        batch_again(batch);
        TRY(read_symbols(body, symbols, err));
        TRY(decode_rows(symbols, body, body, batch, NULL, err));
    }
    TRY(labels_fit(symbols, batch, err));
    batch_symbols(symbols, batch);
    return true;
}

// BatchSymbols.make of rows that nobody has decoded: decodes them all.
static void make_again(BatchSymbols *of, BatchSeries *row) {
    WriteSymbols *symbols = (WriteSymbols *)(void *)of;
    Batch *batch = symbols->again_batch;
    AUTO(batch_free) Batch decoded = {0};
    Error err;
    bool done = write_request_2_decode(symbols->again, symbols, symbols->scratch, &decoded, &err);
    assert(done && decoded.series.count == batch->series.count);
    for (size_t i = 0; done && i < decoded.series.count; i++) {
        batch->series.at[i].first_symbol = decoded.series.at[i].first_symbol;
        batch->series.at[i].symbol_count = decoded.series.at[i].symbol_count;
    }
    make_labels(of, row);
}

void write_symbols_repeat(WriteSymbols *symbols, Bytes body, Arena *scratch, Batch *batch) {
    symbols->batch = (BatchSymbols){.make = make_again};
    symbols->scratch = scratch;
    symbols->again = body;
    symbols->again_batch = batch;
    batch->symbols = &symbols->batch;
}
