// The table of series, and telling them on every flush.

#include "ingest/statsd/statsd.h"

#include <math.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "codec/number.h"
#include "ingest/statsd/line.h"
#include "ingest/statsd/spread.h"

enum { FLUSH_BYTES = 1 * MB };
static const uint64_t STALE_BITS = 0x7ff0000000000002;  // Prometheus' stale marker

typedef struct StatsdSeries {
    uint64_t hash;
    StatsdKind kind;
    int64_t seen_ms;
    double value;             // of a counter or gauge
    Spread *spread;           // of a timer
    ARRAY(uint64_t) members;  // of a set: hashes of what it saw since the last flush
    uint32_t labels_len;
    uint8_t labels[];
} StatsdSeries;

struct Statsd {
    StatsdOptions options;
    StatsdCounts counts;
    StatsdLine line;
    LabelSet labels;  // of a row with `le`
    Arena arena;      // of a line; of a flush
    ARRAY(StatsdSeries *) series;
    uint32_t *slots;  // 1 + index into `series`; 0: free
    size_t slot_count;
    size_t flush_at;  // the next one of the flush that is under way
    bool expired;     // some ended in it
};

Statsd *statsd_new(const StatsdOptions *options) {
    Statsd *statsd = memory_new(Statsd);
    statsd->options = *options;
    if (statsd->options.series_max == 0) statsd->options.series_max = LIMIT_STATSD_SERIES;
    return statsd;
}

static void series_free(StatsdSeries **series) {
    if (*series == NULL) return;
    spread_free(&(*series)->spread);
    array_free(&(*series)->members);
    memory_free(TAKE(*series));
}

void statsd_free(Statsd **handle) {
    if (*handle == NULL) return;
    Statsd *statsd = TAKE(*handle);
    for (size_t i = 0; i < statsd->series.count; i++) series_free(&statsd->series.at[i]);
    array_free(&statsd->series);
    memory_free(statsd->slots);
    statsd_line_free(&statsd->line);
    label_set_free(&statsd->labels);
    arena_free(&statsd->arena);
    memory_free(statsd);
}

void statsd_counts(const Statsd *statsd, StatsdCounts *out) {
    *out = statsd->counts;
    out->series = statsd->series.count;
}

// ---- The table ----

static void slot_put(Statsd *statsd, uint32_t index) {
    size_t at = statsd->series.at[index]->hash & (statsd->slot_count - 1);
    while (statsd->slots[at] != 0) at = (at + 1) & (statsd->slot_count - 1);
    statsd->slots[at] = index + 1;
}

static void slots_rebuild(Statsd *statsd, size_t slot_count) {
    memory_free(statsd->slots);
    statsd->slot_count = slot_count;
    statsd->slots = memory_take_zeroed(array_bytes(slot_count, sizeof *statsd->slots));
    for (size_t i = 0; i < statsd->series.count; i++) slot_put(statsd, (uint32_t)i);
}

static StatsdSeries *series_find(const Statsd *statsd, Labels labels, uint64_t hash) {
    if (statsd->slot_count == 0) return NULL;
    for (size_t at = hash & (statsd->slot_count - 1); statsd->slots[at] != 0;
         at = (at + 1) & (statsd->slot_count - 1)) {
        StatsdSeries *series = statsd->series.at[statsd->slots[at] - 1];
        if (series->hash == hash &&
            bytes_equal(labels.wire, (Bytes){series->labels, series->labels_len}))
            return series;
    }
    return NULL;
}

static StatsdSeries *series_make(Statsd *statsd, Labels labels, uint64_t hash, StatsdKind kind) {
    StatsdSeries *series = memory_take_zeroed(sizeof *series + labels.wire.len);
    series->hash = hash;
    series->kind = kind;
    series->labels_len = (uint32_t)labels.wire.len;
    memcpy(series->labels, labels.wire.at, labels.wire.len);
    if (kind == STATSD_TIMER) series->spread = spread_new();
    *array_add(&statsd->series) = series;
    if (statsd->series.count * 4 > statsd->slot_count * 3) {
        slots_rebuild(statsd, MAX(statsd->slot_count * 2, (size_t)64));
    } else {
        slot_put(statsd, (uint32_t)statsd->series.count - 1);
    }
    return series;
}

static bool series_of(Statsd *statsd, Labels labels, StatsdKind kind, StatsdSeries **out,
                      Error *err) {
    uint64_t hash = hash_keyed(statsd->options.hash_key, labels.wire);
    StatsdSeries *series = series_find(statsd, labels, hash);
    if (series == NULL) {
        TRY(labels_check(labels.wire, err));
        if ((int64_t)statsd->series.count >= statsd->options.series_max) {
            statsd->counts.overflow++;
            return error_set(err, ERROR_TOO_MANY,
                             "%lld series are kept already (limit STATSD_SERIES)",
                             (long long)statsd->options.series_max);
        }
        series = series_make(statsd, labels, hash, kind);
    } else if (series->kind != kind) {
        return error_set(err, ERROR_BAD_INPUT,
                         "a metric of this name and these tags is of another type");
    }
    *out = series;
    return true;
}

// ---- Values ----

static void set_add(Statsd *statsd, StatsdSeries *series, Text member) {
    uint64_t hash = hash_keyed(statsd->options.hash_key, text_bytes(member));
    // Sorted, so that a value is found by halving.
    size_t from = 0, to = series->members.count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (series->members.at[middle] < hash) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    if (from < series->members.count && series->members.at[from] == hash) return;
    if ((int64_t)series->members.count >= LIMIT_STATSD_SET_VALUES) return;
    array_add(&series->members);
    memmove(series->members.at + from + 1, series->members.at + from,
            (series->members.count - 1 - from) * sizeof *series->members.at);
    series->members.at[from] = hash;
}

static void value_take(Statsd *statsd, StatsdSeries *series, const StatsdLine *line, Text text,
                       double value) {
    switch (series->kind) {
        case STATSD_COUNTER:
            series->value += value / line->rate;
            return;
        case STATSD_GAUGE: {
            bool moves = text.at[0] == '+' || text.at[0] == '-';
            series->value = moves ? series->value + value : value;
            return;
        }
        case STATSD_TIMER: {
            double times = floor(1 / line->rate + 0.5);
            spread_add(series->spread, statsd->options.native,
                       line->is_milliseconds ? value / 1000 : value, (uint64_t)times);
            return;
        }
        case STATSD_SET:
            set_add(statsd, series, text);
            return;
    }
}

bool statsd_line(Statsd *statsd, Text text, int64_t now_ms, WriteBody *out, Error *err) {
    StatsdLine *line = &statsd->line;
    text = text_trim(text);
    if (text.len == 0) return true;
    if (text_starts_with(text, TEXT("_e{"))) {
        statsd->counts.events++;
        return true;
    }
    if (text_starts_with(text, TEXT("_sc|"))) {
        statsd->counts.checks++;
        return true;
    }
    statsd->counts.lines++;
    StatsdSeries *series = NULL;
    arena_clear(&statsd->arena);
    if (!statsd_line_read(line, text, &statsd->arena, err) ||
        !series_of(statsd, line->labels, line->kind, &series, err)) {
        statsd->counts.refused += err->code != ERROR_TOO_MANY;
        return false;
    }
    series->seen_ms = now_ms;
    Text value;
    for (Text rest = line->values; text_cut(&rest, ':', &value);) {
        double number = 0;
        bool read = line->kind == STATSD_SET || number_parse_f64(value, &number);
        assert(read);  // statsd_line_read looked
        value_take(statsd, series, line, value, number);
    }
    if (line->has_time) write_body_add(out, line->labels, line->time_ms, series->value);
    return true;
}

// ---- Telling ----

static Labels series_labels(const StatsdSeries *series) {
    return (Labels){{series->labels, series->labels_len}};
}

static void tell_classic(Statsd *statsd, const StatsdSeries *series, int64_t now_ms, bool ends,
                         WriteBody *out) {
    const Spread *spread = series->spread;
    Text name = labels_get(series_labels(series), LABEL_NAME);
    double stale;
    memcpy(&stale, &STALE_BITS, sizeof stale);
    uint64_t below = 0;
    static const char *const suffixes[] = {"_sum", "_count"};
    for (size_t i = 0; i < SPREAD_BOUNDS + 1 + COUNT(suffixes); i++) {
        bool bucket = i <= SPREAD_BOUNDS;
        label_set_clear(&statsd->labels);
        Label label;
        for (Bytes rest = series_labels(series).wire; labels_next(&rest, &label);) {
            if (!text_equal(label.name, LABEL_NAME) && !text_equal(label.name, TEXT("le")))
                label_set_add(&statsd->labels, label.name, label.value);
        }
        char bound[NUMBER_TEXT_MAX] = "+Inf";
        size_t len = 4;
        if (i < SPREAD_BOUNDS) {
            len = number_format_general(spread_bounds[i], bound);
            // As Prometheus writes bounds: "1.0".
            if (memchr(bound, '.', len) == NULL) {
                bound[len++] = '.';
                bound[len++] = '0';
            }
        }
        if (bucket) label_set_add(&statsd->labels, TEXT("le"), (Text){bound, len});
        Error ignored;
        if (!label_set_close(&statsd->labels, &ignored)) return;  // one label too many with `le`
        Text suffix = bucket ? TEXT("_bucket") : text_from_cstring(suffixes[i - SPREAD_BOUNDS - 1]);
        Text full = text_format(&statsd->arena, "%.*s%.*s", TEXT_ARG(name), TEXT_ARG(suffix));
        if (bucket) below += spread->classic[i];
        double value = bucket                   ? (double)below
                       : i == SPREAD_BOUNDS + 1 ? spread->sum
                                                : (double)spread->count;
        write_body_add(out, label_set_named(&statsd->labels, full), now_ms, ends ? stale : value);
    }
}

static void tell(Statsd *statsd, StatsdSeries *series, int64_t now_ms, bool ends, WriteBody *out) {
    double value = series->value;
    if (series->kind == STATSD_SET) value = (double)series->members.count;
    if (ends) memcpy(&value, &STALE_BITS, sizeof value);
    if (series->kind == STATSD_TIMER && !statsd->options.native) {
        tell_classic(statsd, series, now_ms, ends, out);
    } else if (series->kind == STATSD_TIMER && !ends) {
        NativeHistogram histogram;
        spread_native(series->spread, now_ms, &statsd->arena, &histogram);
        write_body_begin(out, series_labels(series));
        write_body_histogram(out, &histogram);
        write_body_end(out);
    } else {
        write_body_add(out, series_labels(series), now_ms, value);
    }
    array_clear(&series->members);
}

static void describe(const StatsdSeries *series, WriteBody *out) {
    static const uint8_t types[] = {[STATSD_COUNTER] = METADATA_COUNTER,
                                    [STATSD_GAUGE] = METADATA_GAUGE,
                                    [STATSD_TIMER] = METADATA_HISTOGRAM,
                                    [STATSD_SET] = METADATA_GAUGE};
    write_body_add_metadata(out, labels_get(series_labels(series), LABEL_NAME), types[series->kind],
                            TEXT_NONE, TEXT_NONE);
}

static void expire(Statsd *statsd) {
    size_t kept = 0;
    for (size_t i = 0; i < statsd->series.count; i++) {
        if (statsd->series.at[i] != NULL) statsd->series.at[kept++] = statsd->series.at[i];
    }
    statsd->series.count = kept;
    slots_rebuild(statsd, statsd->slot_count);
    statsd->expired = false;
}

bool statsd_flush(Statsd *statsd, int64_t now_ms, bool with_types, WriteBody *out) {
    size_t begun = out->bytes.len;
    for (; statsd->flush_at < statsd->series.count; statsd->flush_at++) {
        if (out->bytes.len - begun > FLUSH_BYTES) return true;
        arena_clear(&statsd->arena);
        StatsdSeries *series = statsd->series.at[statsd->flush_at];
        bool ends = statsd->options.expires_ms > 0 &&
                    now_ms - series->seen_ms >= statsd->options.expires_ms;
        if (with_types && !ends) describe(series, out);
        tell(statsd, series, now_ms, ends, out);
        if (ends) {
            series_free(&statsd->series.at[statsd->flush_at]);
            statsd->expired = true;
        }
    }
    if (statsd->expired) expire(statsd);
    statsd->flush_at = 0;
    return false;
}
