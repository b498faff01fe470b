// Writing rows as protobuf, with notes of where their parts lie; the notes become a batch.

#include "ingest/write_body.h"

#include "base/assert.h"
#include "base/limits.h"
#include "codec/protobuf.h"
#include "codec/snappy.h"
#include "codec/snappy_rows.h"
#include "ingest/write_request.h"

// ---- Writing ----

void write_body_begin(WriteBody *body, Labels labels) {
    assert(body->series == 0);
    body->series = protobuf_begin(&body->bytes, 1);
    builder_add_bytes(&body->bytes, labels.wire.at, labels.wire.len);
    array_add(&body->written)->labels_len = (uint32_t)labels.wire.len;
}

void write_body_begin_kept(WriteBody *body, KeptLabels *kept) {
    assert(kept->labels.wire.len > 0 && kept->labels.wire.len <= UINT16_MAX);
    write_body_begin(body, kept->labels);
    body->written.at[body->written.count - 1].kept = kept;
}

static WrittenSeries *series_open(WriteBody *body) {
    assert(body->series != 0);
    return &body->written.at[body->written.count - 1];
}

// Of the sample noted last.
static void note_start(WriteBody *body, int64_t start_ms) {
    while (body->starts.count + 1 < body->samples.count) *array_add(&body->starts) = 0;
    *array_add(&body->starts) = start_ms;
}

void write_body_sample(WriteBody *body, int64_t time_ms, double value) {
    write_body_sample_since(body, time_ms, value, 0);
}

void write_body_sample_since(WriteBody *body, int64_t time_ms, double value, int64_t start_ms) {
    series_open(body)->samples++;
    size_t sample = protobuf_begin(&body->bytes, 2);
    protobuf_add_double(&body->bytes, 1, value);
    protobuf_add_varint(&body->bytes, 2, (uint64_t)time_ms);
    if (start_ms != 0) protobuf_add_varint(&body->bytes, 3, (uint64_t)start_ms);
    protobuf_end(&body->bytes, sample);
    *array_add(&body->samples) = (Sample){.time_ms = time_ms, .value = value};
    if (start_ms != 0) note_start(body, start_ms);
    body->rows++;
}

// Ends a message and gives the place of its content, counted from that of the open series.
static size_t end_inside(WriteBody *body, size_t begun, size_t *len) {
    *len = body->bytes.len - begun;
    protobuf_end(&body->bytes, begun);
    return body->bytes.len - *len - body->series;
}

void write_body_exemplar(WriteBody *body, Labels labels, double value, int64_t time_ms) {
    series_open(body)->exemplars++;
    size_t exemplar = protobuf_begin(&body->bytes, 3);
    builder_add_bytes(&body->bytes, labels.wire.at, labels.wire.len);
    protobuf_add_double(&body->bytes, 2, value);
    protobuf_add_varint(&body->bytes, 3, (uint64_t)time_ms);
    size_t len, at = end_inside(body, exemplar, &len);
    *array_add(&body->exemplars) = (WrittenExemplar){time_ms, value, at, labels.wire.len};
}

void write_body_histogram(WriteBody *body, const NativeHistogram *histogram) {
    series_open(body)->histograms++;
    size_t message = protobuf_begin(&body->bytes, 4);
    native_histogram_write(histogram, &body->bytes);
    size_t len, at = end_inside(body, message, &len);
    *array_add(&body->histograms) = (WrittenHistogram){histogram->time_ms, at, len};
    body->rows++;
}

void write_body_end(WriteBody *body) {
    WrittenSeries *series = series_open(body);
    size_t len = body->bytes.len - body->series;
    protobuf_end(&body->bytes, body->series);
    series->at = body->bytes.len - len;
    series->len = (uint32_t)len;
    if (series->samples + series->histograms + series->exemplars == 0) body->written.count--;
    body->series = 0;
}

// Of a Sample: value, time, and the start where there is one.
static inline size_t sample_len(int64_t time_ms, int64_t start_ms) {
    size_t len = 1 + sizeof(double) + 1 + varint_len((uint64_t)time_ms);
    return start_ms == 0 ? len : len + 1 + varint_len((uint64_t)start_ms);
}

static inline uint8_t *put_varint(uint8_t *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7) *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

// Written straight, as OTLP makes millions of these a second; the test holds it against the same
// row begun and ended.
void write_body_add_since(WriteBody *body, Labels labels, int64_t time_ms, double value,
                          int64_t start_ms) {
    assert(body->series == 0);
    enum { LENGTHS_MAX = 24 };  // tags, both lengths
    size_t sample = sample_len(time_ms, start_ms);
    size_t series = labels.wire.len + 2 + sample;
    builder_reserve(&body->bytes, series + LENGTHS_MAX);
    uint8_t *at = (uint8_t *)body->bytes.at + body->bytes.len;
    *at++ = 0x0a;
    at = put_varint(at, series);
    *array_add(&body->written) = (WrittenSeries){.at = (size_t)(at - (uint8_t *)body->bytes.at),
                                                 .len = (uint32_t)series,
                                                 .labels_len = (uint32_t)labels.wire.len,
                                                 .samples = 1};
    *array_add(&body->samples) = (Sample){.time_ms = time_ms, .value = value};
    if (labels.wire.len > 0) memcpy(at, labels.wire.at, labels.wire.len);
    at += labels.wire.len;
    *at++ = 0x12;
    *at++ = (uint8_t)sample;
    *at++ = 0x09;
    memcpy(at, &value, sizeof value);
    at += sizeof value;
    *at++ = 0x10;
    at = put_varint(at, (uint64_t)time_ms);
    if (start_ms != 0) {
        *at++ = 0x18;
        at = put_varint(at, (uint64_t)start_ms);
        note_start(body, start_ms);
    }
    body->bytes.len = (size_t)(at - (uint8_t *)body->bytes.at);
    body->rows++;
}

void write_body_add(WriteBody *body, Labels labels, int64_t time_ms, double value) {
    write_body_add_since(body, labels, time_ms, value, 0);
}

void write_body_add_kept(WriteBody *body, KeptLabels *kept, int64_t time_ms, double value,
                         int64_t start_ms) {
    size_t labels = kept->labels.wire.len;
    assert(body->series == 0 && labels > 0 && labels <= UINT16_MAX);
    if (body->whole) {
        write_body_add_since(body, kept->labels, time_ms, value, start_ms);
        body->written.at[body->written.count - 1].kept = kept;
        return;
    }
    size_t series = labels + 2 + sample_len(time_ms, start_ms);
    *array_add(&body->written) = (WrittenSeries){.at = WRITTEN_ASIDE,
                                                 .len = (uint32_t)series,
                                                 .labels_len = (uint32_t)labels,
                                                 .samples = 1,
                                                 .kept = kept};
    *array_add(&body->samples) = (Sample){.time_ms = time_ms, .value = value};
    if (start_ms != 0) note_start(body, start_ms);
    body->aside += 1 + varint_len(series) + series;
    body->rows++;
}

// Gives the place of the text, counted from the message's content.
static size_t add_text_in(Builder *bytes, size_t begun, uint32_t number, Text text) {
    protobuf_add_text(bytes, number, text);
    return bytes->len - text.len - begun;
}

void write_body_add_metadata(WriteBody *body, Text family, uint8_t type, Text help, Text unit) {
    Builder *bytes = &body->bytes;
    WrittenMetadata note = {.family_len = family.len,
                            .help_len = help.len,
                            .unit_len = unit.len,
                            .type = type > METADATA_STATESET ? METADATA_UNKNOWN : type};
    size_t begun = protobuf_begin(bytes, 3);
    protobuf_add_varint(bytes, 1, type);
    note.family_at = add_text_in(bytes, begun, 2, family);
    note.help_at = add_text_in(bytes, begun, 4, help);
    if (unit.len > 0) note.unit_at = add_text_in(bytes, begun, 5, unit);
    size_t len = bytes->len - begun;
    protobuf_end(bytes, begun);
    size_t content = bytes->len - len;
    note.family_at += content;
    note.help_at += content;
    note.unit_at += content;
    if (family.len > 0) *array_add(&body->metadata) = note;
}

// ---- Keeping and taking back ----

void write_body_clear(WriteBody *body) {
    write_body_rewind(body, &(WriteBodyMark){0});
}

void write_body_free(WriteBody *body) {
    builder_free(&body->bytes);
    array_free(&body->written);
    array_free(&body->samples);
    array_free(&body->starts);
    array_free(&body->histograms);
    array_free(&body->exemplars);
    array_free(&body->metadata);
    *body = (WriteBody){.whole = body->whole};
}

Bytes write_body_bytes(const WriteBody *body) {
    assert(body->aside == 0);
    return text_bytes(builder_text(&body->bytes));
}

size_t write_body_bytes_kept(const WriteBody *body) {
    return body->bytes.capacity + body->written.capacity * sizeof *body->written.at +
           body->samples.capacity * sizeof *body->samples.at +
           body->starts.capacity * sizeof *body->starts.at +
           body->histograms.capacity * sizeof *body->histograms.at +
           body->exemplars.capacity * sizeof *body->exemplars.at +
           body->metadata.capacity * sizeof *body->metadata.at;
}

WriteBodyMark write_body_mark(const WriteBody *body) {
    assert(body->series == 0);
    return (WriteBodyMark){.bytes = body->bytes.len,
                           .aside = body->aside,
                           .written = body->written.count,
                           .samples = body->samples.count,
                           .starts = body->starts.count,
                           .histograms = body->histograms.count,
                           .exemplars = body->exemplars.count,
                           .metadata = body->metadata.count,
                           .rows = body->rows};
}

void write_body_rewind(WriteBody *body, const WriteBodyMark *mark) {
    body->bytes.len = mark->bytes;
    body->aside = mark->aside;
    body->written.count = mark->written;
    body->samples.count = mark->samples;
    body->starts.count = mark->starts;
    body->histograms.count = mark->histograms;
    body->exemplars.count = mark->exemplars;
    body->metadata.count = mark->metadata;
    body->rows = mark->rows;
    body->series = 0;
}

// ---- The notes become a batch ----

bool write_body_fits(const WriteBody *body, Error *err) {
    size_t plain = body->bytes.len + body->aside;
    // Nothing takes more than sixteen times its bytes.
    if (likely((int64_t)plain <= LIMIT_WRITE_BATCH_BYTES / 16)) return true;
    if (unlikely((int64_t)plain > LIMIT_BODY_DECOMPRESSED_BYTES)) {
        return error_set(err, ERROR_TOO_LARGE,
                         "rows of %zu bytes pass BODY_DECOMPRESSED_BYTES (%lld)", plain,
                         (long long)LIMIT_BODY_DECOMPRESSED_BYTES);
    }
    // Never looser than the decoder, which counts the same now and then: a replay must not refuse
    // what was logged.
    size_t bytes = body->written.count * sizeof(BatchSeries) +
                   body->samples.count * sizeof(Sample) + body->starts.count * sizeof(int64_t) +
                   body->histograms.count * sizeof(BatchHistogram) +
                   body->exemplars.count * sizeof(BatchExemplar) +
                   body->metadata.count * sizeof(BatchMetadata);
    if (likely((int64_t)bytes <= LIMIT_WRITE_BATCH_BYTES)) return true;
    return error_set(err, ERROR_TOO_LARGE,
                     "the rows of this body take more than %lld bytes of memory (limit "
                     "WRITE_BATCH_BYTES)",
                     (long long)LIMIT_WRITE_BATCH_BYTES);
}

// `sample` is the number that the first sample has in the batch.
static void series_to_batch(const WriteBody *body, size_t sample, Batch *batch) {
    const uint8_t *bytes = (const uint8_t *)body->bytes.at;
    size_t histogram = 0, exemplar = 0, samples = sample + body->samples.count;
    array_reserve(&batch->series, batch->series.count + body->written.count);
    for (size_t i = 0; i < body->written.count; i++) {
        const WrittenSeries *note = &body->written.at[i];
        bool aside = note->at == WRITTEN_ASIDE;
        const uint8_t *content = aside ? note->kept->labels.wire.at : bytes + note->at;
        batch->series.at[batch->series.count++] = (BatchSeries){
            .labels = {content, note->labels_len},
            .first_sample = (uint32_t)sample,
            .sample_count = note->samples,
            .first_histogram = (uint32_t)batch->histograms.count,
            .histogram_count = note->histograms,
            .first_exemplar = (uint32_t)batch->exemplars.count,
            .exemplar_count = note->exemplars,
        };
        if (note->kept != NULL) {
            array_reserve(&batch->known, batch->series.count + body->written.count - i);
            while (batch->known.count + 1 < batch->series.count)
                batch->known.at[batch->known.count++] = NULL;
            batch->known.at[batch->known.count++] = &note->kept->known;
        }
        sample += note->samples;
        for (uint32_t n = note->histograms; n > 0; n--) {
            const WrittenHistogram *from = &body->histograms.at[histogram++];
            *array_add(&batch->histograms) =
                (BatchHistogram){from->time_ms, {content + from->at, from->len}};
        }
        for (uint32_t n = note->exemplars; n > 0; n--) {
            const WrittenExemplar *from = &body->exemplars.at[exemplar++];
            *array_add(&batch->exemplars) =
                (BatchExemplar){from->time_ms, from->value, {content + from->at, from->labels_len}};
        }
    }
    assert(sample == samples && histogram == body->histograms.count &&
           exemplar == body->exemplars.count);
}

// Batch.unfold of a body: the rows are not told, their labels know which series they are.
static void unfold(Batch *batch) {
    series_to_batch(batch->folded, 0, batch);
}

// The series of all rows, where each is one sample of labels that the same head is known to have.
static bool series_plain(const WriteBody *body, Batch *batch) {
    enum { AHEAD = 8 };
    size_t count = body->written.count;
    const WrittenSeries *notes = body->written.at;
    if (count == 0 || count != body->samples.count || batch->samples.count > 0 ||
        body->histograms.count + body->exemplars.count > 0 || notes[0].kept == NULL)
        return false;
    uint64_t head = notes[0].kept->known.head;
    array_reserve(&batch->plain, count);
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count && notes[i + AHEAD].kept != NULL)
            __builtin_prefetch(&notes[i + AHEAD].kept->known);
        if (notes[i].kept == NULL || notes[i].kept->known.head != head || notes[i].samples != 1)
            return false;
        batch->plain.at[i] = notes[i].kept->known.ref;
    }
    if (head == 0) return false;
    batch->plain.count = count;
    batch->told_head = head;
    batch->unfold = unfold;
    batch->folded = body;
    return true;
}

void write_body_batch(const WriteBody *body, Batch *batch) {
    assert(body->series == 0);
    if (!series_plain(body, batch)) series_to_batch(body, batch->samples.count, batch);
    if (body->starts.count > 0) {
        while (batch->starts.count < batch->samples.count) *array_add(&batch->starts) = 0;
        array_add_many(&batch->starts, body->starts.at, body->starts.count);
    }
    array_add_many(&batch->samples, body->samples.at, body->samples.count);
    const char *bytes = body->bytes.at;
    for (size_t i = 0; i < body->metadata.count; i++) {
        const WrittenMetadata *note = &body->metadata.at[i];
        *array_add(&batch->metadata) = (BatchMetadata){
            .family = {bytes + note->family_at, note->family_len},
            .type = note->type,
            .help = {bytes + note->help_at, note->help_len},
            .unit = {bytes + note->unit_at, note->unit_len},
        };
    }
}

// ---- Packing ----

// A series of one sample, at most: its tag and length in front of its labels, and behind them tags,
// value, time and start.
enum { LEAD_BYTES_MAX = 6, REST_BYTES_MAX = 2 + 9 + 11 + 11 };

typedef struct Packing {
    const WriteBody *body;
    SnappyRows rows;
    size_t said;    // of body->bytes
    size_t sample;  // of body->samples, the next one
    const WrittenSeries *before;
    // Of rows that are only noted, in turn, as the packer looks at the row before.
    struct {
        uint8_t lead[LEAD_BYTES_MAX], rest[REST_BYTES_MAX];
    } made[2];
    // Time and start as they were last written: nearly always the same again.
    int64_t time_ms, start_ms;
    uint8_t times[22];
    size_t times_len;
} Packing;

static inline SnappyAlike alike(Packing *packing, const WrittenSeries *note, Bytes labels) {
    const WrittenSeries *before = packing->before;
    KeptLabels *kept = note->kept;
    if (before == NULL) return (SnappyAlike){0};
    if (likely(kept != NULL && before->kept != NULL && kept->before == before->kept))
        return (SnappyAlike){kept->first, kept->last};
    Bytes last = {before->at == WRITTEN_ASIDE
                      ? before->kept->labels.wire.at
                      : (const uint8_t *)packing->body->bytes.at + before->at,
                  before->labels_len};
    SnappyAlike made = snappy_rows_alike(last, labels);
    if (kept != NULL && before->kept != NULL) {
        kept->before = before->kept;
        kept->first = (uint16_t)made.first;
        kept->last = (uint16_t)made.last;
    }
    return made;
}

// The content of the series behind its labels.
static uint8_t *put_sample(Packing *packing, uint8_t *at, Sample sample, int64_t start_ms) {
    if (unlikely(sample.time_ms != packing->time_ms || start_ms != packing->start_ms ||
                 packing->times_len == 0)) {
        uint8_t *to = packing->times;
        *to++ = 0x10;
        to = put_varint(to, (uint64_t)sample.time_ms);
        if (start_ms != 0) {
            *to++ = 0x18;
            to = put_varint(to, (uint64_t)start_ms);
        }
        packing->times_len = (size_t)(to - packing->times);
        packing->time_ms = sample.time_ms;
        packing->start_ms = start_ms;
    }
    *at++ = 0x12;
    *at++ = (uint8_t)(1 + sizeof sample.value + packing->times_len);
    *at++ = 0x09;
    memcpy(at, &sample.value, sizeof sample.value);
    at += sizeof sample.value;
    memcpy(at, packing->times, sizeof packing->times);
    return at + packing->times_len;
}

static inline void pack_noted(Packing *packing, size_t row, const WrittenSeries *note) {
    const WriteBody *body = packing->body;
    Bytes labels = note->kept->labels.wire;
    uint8_t *lead = packing->made[row % 2].lead, *rest = packing->made[row % 2].rest;
    *lead = 0x0a;
    size_t lead_len = (size_t)(put_varint(lead + 1, note->len) - lead);
    size_t sample = packing->sample;
    int64_t start_ms = sample < body->starts.count ? body->starts.at[sample] : 0;
    size_t rest_len =
        (size_t)(put_sample(packing, rest, body->samples.at[sample], start_ms) - rest);
    snappy_rows_add(&packing->rows, (Bytes){lead, lead_len}, labels, alike(packing, note, labels),
                    (Bytes){rest, rest_len});
}

// One whose bytes are there. In front of it may lie metadata.
static void pack_written(Packing *packing, const WrittenSeries *note) {
    const uint8_t *bytes = (const uint8_t *)packing->body->bytes.at;
    Bytes lead = {bytes + packing->said, note->at - packing->said};
    Bytes labels = {bytes + note->at, note->labels_len};
    Bytes rest = {labels.at + labels.len, note->len - labels.len};
    snappy_rows_add(&packing->rows, lead, labels, alike(packing, note, labels), rest);
    packing->said = note->at + note->len;
}

void write_body_pack(const WriteBody *body, Builder *out) {
    enum { AHEAD = 8 };
    assert(body->series == 0);
    UNFILLED Packing packing;
    packing.body = body;
    packing.said = packing.sample = packing.times_len = 0;
    packing.before = NULL;
    packing.time_ms = packing.start_ms = 0;
    snappy_rows_begin(&packing.rows, body->bytes.len + body->aside, out);
    for (size_t i = 0; i < body->written.count; i++) {
        const WrittenSeries *note = &body->written.at[i];
        if (i + AHEAD < body->written.count && note[AHEAD].kept != NULL) {
            const KeptLabels *ahead = note[AHEAD].kept;
            __builtin_prefetch(ahead->labels.wire.at + ahead->first);
        }
        if (likely(note->at == WRITTEN_ASIDE)) {
            pack_noted(&packing, i, note);
        } else {
            pack_written(&packing, note);
        }
        packing.sample += note->samples;
        packing.before = note;
    }
    Bytes tail = {NULL, body->bytes.len - packing.said};
    if (tail.len > 0) tail.at = (const uint8_t *)body->bytes.at + packing.said;
    snappy_rows_end(&packing.rows, tail);
}

// `a` may be plain: what it would unfold to.
static bool series_same(const Batch *a, const Batch *b) {
    if (batch_is_plain(a) && a->series.count == 0) {
        Batch unfolded = {.folded = a->folded};
        unfold(&unfolded);
        bool same = a->plain.count == unfolded.series.count && series_same(&unfolded, b);
        batch_free(&unfolded);
        return same;
    }
    if (a->series.count != b->series.count) return false;
    for (size_t i = 0; i < a->series.count; i++) {
        const BatchSeries *x = &a->series.at[i], *y = &b->series.at[i];
        if (!bytes_equal(x->labels, y->labels) || x->first_sample != y->first_sample ||
            x->sample_count != y->sample_count || x->first_histogram != y->first_histogram ||
            x->histogram_count != y->histogram_count || x->first_exemplar != y->first_exemplar ||
            x->exemplar_count != y->exemplar_count)
            return false;
    }
    return true;
}

static bool samples_same(const Batch *a, const Batch *b) {
    if (a->samples.count != b->samples.count) return false;
    for (size_t i = 0; i < a->samples.count; i++) {
        const Sample *x = &a->samples.at[i], *y = &b->samples.at[i];
        if (x->time_ms != y->time_ms || double_bits(x->value) != double_bits(y->value) ||
            batch_start(a, i) != batch_start(b, i))
            return false;
    }
    return true;
}

static bool others_same(const Batch *a, const Batch *b) {
    if (a->histograms.count != b->histograms.count || a->exemplars.count != b->exemplars.count ||
        a->metadata.count != b->metadata.count)
        return false;
    for (size_t i = 0; i < a->histograms.count; i++) {
        const BatchHistogram *x = &a->histograms.at[i], *y = &b->histograms.at[i];
        if (x->time_ms != y->time_ms || !bytes_equal(x->wire, y->wire)) return false;
    }
    for (size_t i = 0; i < a->exemplars.count; i++) {
        const BatchExemplar *x = &a->exemplars.at[i], *y = &b->exemplars.at[i];
        if (x->time_ms != y->time_ms || double_bits(x->value) != double_bits(y->value) ||
            !bytes_equal(x->labels, y->labels))
            return false;
    }
    for (size_t i = 0; i < a->metadata.count; i++) {
        const BatchMetadata *x = &a->metadata.at[i], *y = &b->metadata.at[i];
        if (x->type != y->type || !text_equal(x->family, y->family) ||
            !text_equal(x->help, y->help) || !text_equal(x->unit, y->unit))
            return false;
    }
    return true;
}

// What the body is when it was packed and unpacked. Takes no memory that may be refused: tests
// refuse it at every place, and this is none of those that they are about.
static bool plain_of(const WriteBody *body, Builder *out) {
    AUTO(builder_free) Builder packed = {0};
    size_t len, at;
    write_body_pack(body, &packed);
    if (!snappy_length(text_bytes(builder_text(&packed)), &len, &at) ||
        len != body->bytes.len + body->aside)
        return false;
    builder_reserve(out, len + SNAPPY_SLACK_BYTES);
    Bytes elements = {(const uint8_t *)packed.at + at, packed.len - at};
    out->len = len;
    return snappy_unpack(elements, (uint8_t *)out->at, len);
}

bool write_body_decodes_to(const WriteBody *body, const Batch *batch) {
    Arena scratch = {0};
    Batch decoded = {0};
    AUTO(builder_free) Builder plain = {0};
    Error ignored;
    bool same =
        plain_of(body, &plain) &&
        (body->aside > 0 || text_equal(builder_text(&plain), bytes_text(write_body_bytes(body)))) &&
        write_request_decode(text_bytes(builder_text(&plain)), &scratch, NULL, &decoded,
                             &ignored) &&
        series_same(batch, &decoded) && samples_same(batch, &decoded) &&
        others_same(batch, &decoded);
    batch_free(&decoded);
    arena_free(&scratch);
    return same;
}
