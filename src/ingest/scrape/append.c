// Walking a page beside the cache of the last one; new rows; what ended.

#include "ingest/scrape/append.h"

#include "base/limits.h"
#include "base/map.h"

enum { ROOM_KEPT_BYTES = 16 * MB };
#define NONE UINT32_MAX

void append_room_free(AppendRoom *room) {
    exposition_free(&room->page);
    cache_cursor_free(&room->expected);
    cache_index_free(&room->index);
    cache_writer_free(&room->writer);
    arena_free(&room->arena);
    array_free(&room->seen);
    array_free(&room->live_flips);
    *room = (AppendRoom){0};
}

// One page on its way.
typedef struct Walk {
    AppendRoom *room;
    const AppendTarget *target;
    WriteBody *body;
    int64_t time_ms;
    AppendCounts *counts;
    uint32_t at;  // the row of the old cache that should come next
    WriteBodyMark before;
    bool rebuilding;  // the page is not as it was: a new cache is being written
    bool over_limit;
    bool new_lines;
    bool says_starts;  // the page may say when counting began
} Walk;

// ---- Labels of a new row ----

void append_target_labels(RelabelLabels *labels, Labels target, bool honor) {
    Label label;
    LabelArray conflicts = {0};
    for (Bytes rest = target.wire; labels_next(&rest, &label);) {
        Text stated = relabel_labels_get(labels, label.name);
        if (stated.len > 0) {
            if (honor) continue;
            *array_add_on(labels->arena, &conflicts) = (Label){label.name, stated};
        }
        relabel_labels_set(labels, label.name, label.value);
    }
    // Shorter names first, so that `exported_a` of the page and `a` do not end in one.
    for (size_t i = 1; i < conflicts.count; i++) {
        Label moved = conflicts.at[i];
        size_t k = i;
        for (; k > 0 && conflicts.at[k - 1].name.len > moved.name.len; k--)
            conflicts.at[k] = conflicts.at[k - 1];
        conflicts.at[k] = moved;
    }
    for (size_t i = 0; i < conflicts.count; i++) {
        Text name = conflicts.at[i].name;
        do {
            name = text_format(labels->arena, "exported_%.*s", TEXT_ARG(name));
        } while (relabel_labels_get(labels, name).len > 0);
        relabel_labels_set(labels, name, conflicts.at[i].value);
    }
}

// With honor_labels an empty label on the page is honoured too: it keeps the target's away
// (Pushgateway says instance="" for that). Empty ones are not among the labels of a row, so the
// page is asked. Only text has them in practice.
static Labels honoured(const Walk *walk, const ExpositionRow *row) {
    Arena *arena = &walk->room->arena;
    Labels all = walk->target->labels;
    if (text_find(row->raw, TEXT("=\"\"")) < 0) return all;
    LabelArray kept = {0};
    Label label;
    for (Bytes rest = all.wire; labels_next(&rest, &label);) {
        Text empty = text_format(arena, "%.*s=\"\"", TEXT_ARG(label.name));
        ptrdiff_t at = text_find(row->raw, empty);
        char before = at > 0 ? row->raw.at[at - 1] : 'x';
        if (before != '{' && before != ',' && before != ' ') *array_add_on(arena, &kept) = label;
    }
    Labels out;
    Error ignored;
    return labels_make(kept.at, kept.count, arena, &out, &ignored) ? out : all;
}

static bool check_label_limits(const ScrapeLimits *limits, const LabelArray *labels, Text metric,
                               Error *err) {
    Text shown = text_slice(metric, 0, 50);
    if (limits->labels > 0 && labels->count > limits->labels) {
        return error_set(err, ERROR_TOO_LARGE,
                         "label_limit exceeded (metric: %.*s, number of labels: %zu, limit: %llu)",
                         TEXT_ARG(shown), labels->count, (unsigned long long)limits->labels);
    }
    for (size_t i = 0; i < labels->count; i++) {
        const Label *label = &labels->at[i];
        Text name = text_slice(label->name, 0, 50), value = text_slice(label->value, 0, 50);
        if (limits->label_name_bytes > 0 && label->name.len > limits->label_name_bytes) {
            return error_set(err, ERROR_TOO_LARGE,
                             "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, "
                             "length: %zu, limit: %llu)",
                             TEXT_ARG(shown), TEXT_ARG(name), label->name.len,
                             (unsigned long long)limits->label_name_bytes);
        }
        if (limits->label_value_bytes > 0 && label->value.len > limits->label_value_bytes) {
            return error_set(err, ERROR_TOO_LARGE,
                             "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, "
                             "value: \"%.*s\", length: %zu, limit: %llu)",
                             TEXT_ARG(shown), TEXT_ARG(name), TEXT_ARG(value), label->value.len,
                             (unsigned long long)limits->label_value_bytes);
        }
    }
    return true;
}

// What a row of the page becomes: `*out` empty when it is dropped.
static bool labels_of(Walk *walk, const ExpositionRow *row, Labels *out, Error *err) {
    AppendRoom *room = walk->room;
    const ScrapeConfig *config = walk->target->config;
    *out = LABELS_NONE;
    Labels stated;
    if (!exposition_labels(&room->page, row, &room->arena, &stated, err)) {
        // One series that says too much is left out; the others of its target are not to blame.
        if (err->code != ERROR_TOO_LARGE) return false;
        room->rows_refused++;
        return true;
    }
    RelabelLabels labels = relabel_labels_begin(&room->arena);
    relabel_labels_add(&labels, stated);
    Labels given = config->honor_labels ? honoured(walk, row) : walk->target->labels;
    append_target_labels(&labels, given, config->honor_labels);
    bool keep = true;
    TRY(relabel_apply(&config->metric_relabel, &labels, &keep, err));
    if (!keep || labels.labels.count == 0) return true;
    Text metric = relabel_labels_get(&labels, LABEL_NAME);
    if (metric.len == 0)
        return error_set(err, ERROR_BAD_INPUT, "missing metric name (__name__ label)");
    for (size_t i = 0; i < labels.labels.count; i++) {
        const Label *label = &labels.labels.at[i];
        bool is_name = text_equal(label->name, LABEL_NAME);
        bool valid = is_name ? config->names == NAMES_UTF8 || label_name_is_plain(metric, true)
                             : label_name_is_valid(label->name, config->names);
        if (!valid) {
            return error_set(err, ERROR_BAD_INPUT, "invalid metric name or label names: %.*s",
                             TEXT_ARG(is_name ? metric : label->name));
        }
    }
    TRY(check_label_limits(&config->limits, &labels.labels, metric, err));
    TRY(relabel_labels_finish(&labels, &room->arena, out, err));
    if (out->wire.len <= CACHE_TEXT_BYTES_MAX) return true;
    *out = LABELS_NONE;
    room->rows_refused++;
    return true;
}

// ---- Bits ----

static void seen_clear(AppendRoom *room, uint32_t count) {
    array_clear(&room->seen);
    for (uint32_t i = 0; i < count; i += 64) (void)array_add(&room->seen);
}
static void seen_set(AppendRoom *room, uint32_t row) {
    room->seen.at[row / 64] |= UINT64_C(1) << row % 64;
}
static bool seen_get(const AppendRoom *room, uint32_t row) {
    return (room->seen.at[row / 64] >> row % 64 & 1) != 0;
}

// ---- Rows ----

static void add_exemplars(Walk *walk, const ExpositionRow *row, int64_t time_ms) {
    for (size_t i = 0; i < row->exemplar_count; i++) {
        ExpositionExemplar exemplar;
        Error ignored;
        if (!exposition_exemplar(&walk->room->page, row, i, &walk->room->arena, &exemplar,
                                 &ignored))
            continue;
        write_body_exemplar(walk->body, exemplar.labels, exemplar.value,
                            exemplar.has_time ? exemplar.time_ms : time_ms);
    }
}

static bool add_value(Walk *walk, const ExpositionRow *row, Labels labels, int64_t time_ms,
                      Error *err) {
    int64_t start_ms = 0;
    if (unlikely(walk->says_starts) && !exposition_start(&walk->room->page, row, &start_ms))
        start_ms = 0;
    if (row->kind == EXPOSITION_SERIES && row->exemplar_count == 0) {
        write_body_add_since(walk->body, labels, time_ms, row->value, start_ms);
        return true;
    }
    write_body_begin(walk->body, labels);
    if (row->kind == EXPOSITION_HISTOGRAM) {
        const ScrapeConfig *config = walk->target->config;
        uint64_t most = config->native_histogram_buckets_max;
        NativeHistogram histogram;
        if (!native_histogram_fit(row->histogram, config->native_histogram_growth_min, most,
                                  &walk->room->arena, &histogram)) {
            return error_set(err, ERROR_TOO_LARGE,
                             "histogram bucket limit exceeded: %zu buckets, limit %llu",
                             histogram.positive.bucket_count + histogram.negative.bucket_count,
                             (unsigned long long)most);
        }
        histogram.time_ms = time_ms;
        histogram.start_ms = start_ms;
        write_body_histogram(walk->body, &histogram);
    } else {
        write_body_sample_since(walk->body, time_ms, row->value, start_ms);
    }
    add_exemplars(walk, row, time_ms);
    write_body_end(walk->body);
    return true;
}

// From here on the page is not what it was: what stood up to here is taken over.
static void rebuild_begin(Walk *walk) {
    if (walk->rebuilding) return;
    AppendRoom *room = walk->room;
    const ScrapeCache *cache = walk->target->cache;
    walk->rebuilding = true;
    cache_writer_begin(&room->writer);
    cache_writer_prefix(&room->writer, cache, walk->at, room->lines);
    for (size_t i = 0; i < room->live_flips.count; i++) {
        CacheEntry *entry = &room->writer.entries.at[room->live_flips.at[i]];
        entry->live = !entry->live;
    }
    seen_clear(room, cache->count);
    for (uint32_t i = 0; i < walk->at; i++) seen_set(room, i);
    cache_index_begin(&room->index, cache, room->hash_key);
}

// The row of the old cache that this one was, NONE when it is new. `*labels` are those it became.
static uint32_t find_row(Walk *walk, const ExpositionRow *row, Labels *labels) {
    AppendRoom *room = walk->room;
    CacheCursor *cursor = &room->expected;
    uint32_t found;
    if (row->known) {
        found = walk->at++;
    } else {
        rebuild_begin(walk);
        found = cache_index_find(&room->index, row->raw);
        if (found == NONE) return NONE;
        walk->at = found + 1;
        cursor = &room->index.look;
    }
    bool dropped = walk->target->cache->entries[found].kind == CACHE_DROPPED;
    *labels = dropped ? LABELS_NONE : (Labels){text_bytes(builder_text(&cursor->labels))};
    return found;
}

static bool take_row(Walk *walk, const ExpositionRow *row, Error *err) {
    AppendRoom *room = walk->room;
    const ScrapeConfig *config = walk->target->config;
    Labels labels = LABELS_NONE;
    walk->counts->scraped++;
    uint32_t found = find_row(walk, row, &labels);
    if (found == NONE) {
        if (row->raw.len > CACHE_TEXT_BYTES_MAX) {
            return error_set(err, ERROR_TOO_LARGE, "a series takes %zu bytes; %d are the most",
                             row->raw.len, CACHE_TEXT_BYTES_MAX);
        }
        TRY(labels_of(walk, row, &labels, err));
    }
    bool own_time = config->honor_timestamps && row->has_time;
    bool live = !own_time || config->track_timestamps_staleness;
    bool kept = labels.wire.len > 0;
    if (!walk->rebuilding) {
        if (kept && walk->target->cache->entries[found].live != live)
            *array_add(&room->live_flips) = found;
    } else if (kept) {
        cache_writer_series(&room->writer, row->raw, labels, live);
    } else {
        cache_writer_dropped(&room->writer, row->raw);
    }
    if (walk->rebuilding && found != NONE) seen_set(room, found);
    if (!kept) return true;
    walk->counts->kept++;
    if (found == NONE) walk->counts->added++;
    walk->over_limit = config->limits.samples > 0 && walk->counts->kept > config->limits.samples;
    if (walk->over_limit) return true;  // the rest is only counted
    return add_value(walk, row, labels, own_time ? row->time_ms : walk->time_ms, err);
}

static void take_line(Walk *walk, const ExpositionRow *row) {
    if (row->known) {
        if (walk->rebuilding) {
            uint32_t line = walk->target->cache->entries[walk->at].line;
            walk->room->lines->lines.at[line].refs++;
            cache_writer_line(&walk->room->writer, line);
            seen_set(walk->room, walk->at);
        }
        walk->at++;
        return;
    }
    rebuild_begin(walk);
    AppendRoom *room = walk->room;
    Text family = exposition_family(&room->page, row, &room->arena);
    bool is_type = row->kind == EXPOSITION_TYPE;
    Text text = is_type ? TEXT_NONE : exposition_text(&room->page, row, &room->arena);
    uint32_t line = scrape_lines_take(room->lines, row->raw, row->kind, row->type, family, text);
    if (room->lines->lines.at[line].fresh) walk->new_lines = true;
    cache_writer_line(&room->writer, line);
}

// ---- What ended ----

// Series that may have ended, by their labels; the value is NULL for one that goes on.
static Labels live_labels(CacheCursor *cursor, const ScrapeCache *cache, uint32_t row) {
    const CacheEntry *entry = &cache->entries[row];
    if (entry->kind != CACHE_SERIES || !entry->live) return LABELS_NONE;
    (void)cache_cursor_seek(cursor, row);
    return (Labels){text_bytes(builder_text(&cursor->labels))};
}

static void note_gone(Walk *walk, const ScrapeCache *cache, bool all, Map *gone) {
    CacheCursor *cursor = &walk->room->expected;
    cache_cursor_begin(cursor, cache);
    for (uint32_t i = 0; i < cache->count; i++) {
        if (!all && seen_get(walk->room, i)) continue;
        Labels labels = live_labels(cursor, cache, i);
        if (labels.wire.len > 0) *map_put(gone, bytes_text(labels.wire)) = walk;
    }
}

static void write_gone(Walk *walk, const ScrapeCache *cache, bool all, Map *gone) {
    CacheCursor *cursor = &walk->room->expected;
    cache_cursor_begin(cursor, cache);
    for (uint32_t i = 0; i < cache->count; i++) {
        if (!all && seen_get(walk->room, i)) continue;
        Labels labels = live_labels(cursor, cache, i);
        Text key = bytes_text(labels.wire);
        if (key.len == 0 || map_get(gone, key) == NULL) continue;
        write_body_add(walk->body, labels, walk->time_ms, stale_nan());
        *map_put(gone, key) = NULL;  // two rows may have been one series
    }
}

// A row that is not on the page any more is the end of its series, unless another row is the same
// series now: it is spelt otherwise, or relabelling makes one of two.
static void end_unseen(Walk *walk, const ScrapeCache *fresh) {
    AppendRoom *room = walk->room;
    const ScrapeCache *cache = walk->target->cache, *former = walk->target->former;
    arena_clear(&room->arena);
    Map gone = map_begin(&room->arena, room->hash_key);
    note_gone(walk, cache, false, &gone);
    if (former != NULL) note_gone(walk, former, true, &gone);
    if (gone.count == 0) return;
    CacheCursor *cursor = &room->expected;
    cache_cursor_begin(cursor, fresh);
    for (uint32_t i = 0; i < fresh->count; i++) {
        if (fresh->entries[i].kind != CACHE_SERIES) continue;
        (void)cache_cursor_seek(cursor, i);
        Text key = builder_text(&cursor->labels);
        if (map_get(&gone, key) != NULL) *map_put(&gone, key) = NULL;
    }
    write_gone(walk, cache, false, &gone);
    if (former != NULL) write_gone(walk, former, true, &gone);
}

static void end_all(AppendRoom *room, ScrapeCache *cache, int64_t time_ms, WriteBody *body) {
    cache_cursor_begin(&room->expected, cache);
    for (uint32_t i = 0; i < cache->count; i++) {
        Labels labels = live_labels(&room->expected, cache, i);
        if (labels.wire.len > 0) write_body_add(body, labels, time_ms, stale_nan());
        cache->entries[i].live = false;
    }
}

void append_end(AppendRoom *room, const AppendTarget *target, int64_t time_ms, WriteBody *body) {
    end_all(room, target->cache, time_ms, body);
    if (target->former == NULL) return;
    end_all(room, target->former, time_ms, body);
    scrape_cache_free(target->former, room->lines);
}

// ---- Metadata that is new ----

typedef struct FamilyWords {
    Text family, help, unit;
    MetadataType type;
    bool fresh;
} FamilyWords;

static void family_write(WriteBody *body, const FamilyWords *words) {
    if (words->family.len > 0 && words->fresh)
        write_body_add_metadata(body, words->family, (uint8_t)words->type, words->help,
                                words->unit);
}

// Lines of one family stand together. What one target said is known to all.
static void add_new_metadata(AppendRoom *room, ScrapeCache *cache, WriteBody *body) {
    cache->unsaid = room->lines->unsaid;
    FamilyWords words = {0};
    for (uint32_t i = 0; i < cache->count; i++) {
        if (cache->entries[i].kind != CACHE_LINE) continue;
        const ScrapeLine *line = &room->lines->lines.at[cache->entries[i].line];
        if (!text_equal(line->family, words.family)) {
            family_write(body, &words);
            words = (FamilyWords){.family = line->family};
        }
        if (line->kind == EXPOSITION_TYPE) words.type = line->type;
        if (line->kind == EXPOSITION_HELP) words.help = line->text;
        if (line->kind == EXPOSITION_UNIT) words.unit = line->text;
        if (line->fresh) words.fresh = true;
    }
    family_write(body, &words);
    for (uint32_t i = 0; i < cache->count; i++) {
        if (cache->entries[i].kind == CACHE_LINE)
            room->lines->lines.at[cache->entries[i].line].fresh = false;
    }
}

// ---- The page ----

static Text expected_raw(Walk *walk) {
    const ScrapeCache *cache = walk->target->cache;
    if (walk->at >= cache->count) return TEXT_NONE;
    const CacheEntry *entry = cache_cursor_seek(&walk->room->expected, walk->at);
    if (entry->kind == CACHE_LINE) return walk->room->lines->lines.at[entry->line].raw;
    return builder_text(&walk->room->expected.raw);
}

static bool walk_page(Walk *walk, Error *err) {
    AppendRoom *room = walk->room;
    for (;;) {
        ExpositionRow row;
        TRY(exposition_next(&room->page, expected_raw(walk), &row, err));
        switch (row.kind) {
            case EXPOSITION_END:
                if (!walk->over_limit) return true;
                return error_set(err, ERROR_TOO_LARGE, "sample limit exceeded: %llu of %llu",
                                 (unsigned long long)walk->counts->kept,
                                 (unsigned long long)walk->target->config->limits.samples);
            case EXPOSITION_TYPE:
            case EXPOSITION_HELP:
            case EXPOSITION_UNIT:
                take_line(walk, &row);
                break;
            case EXPOSITION_SERIES:
            case EXPOSITION_HISTOGRAM:
                TRY(take_row(walk, &row, err));
                break;
        }
        if ((int64_t)(walk->body->bytes.len - walk->before.bytes) > LIMIT_SCRAPE_ROWS_BYTES) {
            return error_set(err, ERROR_TOO_LARGE,
                             "the rows of this page take more than SCRAPE_ROWS_BYTES (%lld)",
                             (long long)LIMIT_SCRAPE_ROWS_BYTES);
        }
        if (!row.known || row.exemplar_count > 0 || row.kind == EXPOSITION_HISTOGRAM)
            arena_clear(&room->arena);
    }
}

static void commit(Walk *walk) {
    AppendRoom *room = walk->room;
    ScrapeCache *cache = walk->target->cache;
    bool has_former = walk->target->former != NULL && walk->target->former->count > 0;
    bool lost = cache->count > 0 && cache->unsaid != room->lines->unsaid;
    // Something is missing at the end.
    if (!walk->rebuilding && (walk->at < cache->count || has_former)) rebuild_begin(walk);
    if (!walk->rebuilding) {
        for (size_t i = 0; i < room->live_flips.count; i++) {
            CacheEntry *entry = &cache->entries[room->live_flips.at[i]];
            entry->live = !entry->live;
        }
        if (lost) add_new_metadata(room, cache, walk->body);
        return;
    }
    ScrapeCache fresh;
    cache_writer_finish(&room->writer, &fresh);
    end_unseen(walk, &fresh);
    scrape_cache_free(cache, room->lines);
    if (has_former) scrape_cache_free(walk->target->former, room->lines);
    *cache = fresh;
    cache->unsaid = room->lines->unsaid;
    if (lost || walk->new_lines) add_new_metadata(room, cache, walk->body);
}

// What an ordinary page needs stays; a huge one gives its memory back.
static void let_go(AppendRoom *room) {
    arena_clear(&room->arena);
    CacheWriter *writer = &room->writer;
    size_t held = writer->entries.capacity * sizeof(CacheEntry) + writer->bytes.capacity +
                  room->index.capacity * sizeof *room->index.slots;
    if (held <= ROOM_KEPT_BYTES) return;
    cache_writer_free(writer);
    cache_index_free(&room->index);
    array_free(&room->seen);
    array_free(&room->live_flips);
}

bool append_page(AppendRoom *room, const AppendTarget *target, ExpositionFormat format, Text page,
                 int64_t time_ms, WriteBody *body, AppendCounts *counts, Error *err) {
    *counts = (AppendCounts){0};
    Walk walk = {.room = room,
                 .target = target,
                 .body = body,
                 .before = write_body_mark(body),
                 .time_ms = time_ms,
                 .counts = counts,
                 .says_starts =
                     format == EXPOSITION_PROTOBUF ||
                     (format == EXPOSITION_OPENMETRICS && text_find(page, TEXT("_created")) >= 0)};
    ExpositionOptions options = {
        .classic_beside_native = target->config->always_classic_histograms,
        .no_native = !target->config->native_histograms,
    };
    array_clear(&room->live_flips);
    cache_cursor_begin(&room->expected, target->cache);
    exposition_begin(&room->page, format, options, page);
    bool ok = walk_page(&walk, err);
    if (ok) {
        commit(&walk);
    } else {
        if (walk.rebuilding) cache_writer_drop(&room->writer, room->lines);
        write_body_rewind(body, &walk.before);
    }
    let_go(room);
    return ok;
}
