// One door before three formats.

#include "ingest/backfill/source.h"

#include "base/limits.h"
#include "ingest/backfill/json_lines.h"
#include "ingest/backfill/tsdb_block.h"
#include "ingest/scrape/exposition.h"
#include "os/process.h"

enum { WINDOW_BYTES = MB };
static const int64_t OPENMETRICS_INPUT_MAX = 256 * MB;

typedef struct BlockPlace {
    Text folder, ulid;
    int64_t min_ms;
    uint64_t samples, series;
} BlockPlace;

// What TYPE, HELP and UNIT say of one, gathered from its lines.
typedef struct Family {
    BatchMetadata said;  // family empty: nothing yet
    size_t at;           // where its first line begins
    Arena arena;
} Family;

struct Source {
    SourceFormat format;
    Disk *disk;
    Text path, note;
    Arena arena;
    // Blocks, oldest first.
    ARRAY(BlockPlace) blocks;
    size_t block_at;
    TsdbBlock *block;
    uint64_t samples, samples_total;
    // Text: a file, mapped, or a window on the standard input.
    File *file;
    Bytes mapped;
    bool is_input, input_ended;
    Builder window;
    size_t window_at;
    uint64_t offset, line;  // of what comes next
    JsonLine json;
    // OpenMetrics.
    Exposition page;
    ExpositionRow ahead;  // read, but not yet given, and where it begins; or the end
    size_t ahead_at;
    bool has_ahead, ended;
    Family families[2];  // one whose lines are read, and the one before it
    size_t gathering;    // which of them
    bool has_family;     // the other one is whole and not yet given
    Builder raw;         // what identifies the series of the row
    Labels labels;
    Arena labels_arena;
    ARRAY(Sample) row;
    ARRAY(BatchExemplar) exemplars;
    Arena exemplars_arena;
};

static const Text format_names[] = {
    [SOURCE_UNKNOWN] = TEXT_INIT("unknown"),
    [SOURCE_PROMETHEUS] = TEXT_INIT("prometheus"),
    [SOURCE_OPENMETRICS] = TEXT_INIT("openmetrics"),
    [SOURCE_VICTORIAMETRICS] = TEXT_INIT("victoriametrics"),
};

bool source_format_from_name(Text name, SourceFormat *out) {
    for (SourceFormat format = SOURCE_PROMETHEUS; format <= SOURCE_VICTORIAMETRICS; format++) {
        if (!text_equal(name, format_names[format])) continue;
        *out = format;
        return true;
    }
    *out = SOURCE_VICTORIAMETRICS;
    return text_equal(name, TEXT("traceo"));
}

Text source_format_name(SourceFormat format) {
    return format_names[format];
}

// ---- Blocks ----

static int by_time(const void *a, const void *b) {
    const BlockPlace *left = a, *right = b;
    if (left->min_ms != right->min_ms) return left->min_ms < right->min_ms ? -1 : 1;
    return text_compare(left->ulid, right->ulid);
}

static bool add_block(Source *source, Text folder, Error *err) {
    AUTO(tsdb_block_close) TsdbBlock *block = NULL;
    TRY(tsdb_block_open(source->disk, folder, &block, err));
    TsdbBlockFacts facts = tsdb_block_facts(block);
    *array_add(&source->blocks) = (BlockPlace){.folder = text_copy(folder, &source->arena),
                                               .ulid = text_copy(facts.ulid, &source->arena),
                                               .min_ms = facts.min_ms,
                                               .samples = facts.samples,
                                               .series = facts.series};
    source->samples_total += facts.samples;
    return true;
}

static bool find_blocks(Source *source, Error *err) {
    bool is_block;
    TRY(tsdb_block_is(source->disk, source->path, &is_block, err));
    if (is_block) return add_block(source, source->path, err);
    DiskEntries entries;
    TRY(source->disk->list(source->disk, source->path, &source->arena, &entries, err));
    for (size_t i = 0; i < entries.count; i++) {
        const DiskEntry *entry = &entries.at[i];
        if (!entry->is_folder) continue;
        if (text_equal(entry->name, TEXT("wal"))) {
            source->note = TEXT(
                "the write-ahead log is not read: what Prometheus has not yet written as a "
                "block (about the last three hours) is in a snapshot "
                "(POST /api/v1/admin/tsdb/snapshot), not here");
            continue;
        }
        // A block that is being written has another ending.
        if (text_find_char(entry->name, '.') >= 0) continue;
        Text folder =
            text_format(&source->arena, "%.*s/%.*s", TEXT_ARG(source->path), TEXT_ARG(entry->name));
        TRY(tsdb_block_is(source->disk, folder, &is_block, err));
        if (is_block) TRY(add_block(source, folder, err));
    }
    if (source->blocks.count == 0)
        return error_set(err, ERROR_NOT_FOUND,
                         "%.*s holds no blocks of Prometheus: neither a meta.json nor folders with "
                         "one",
                         TEXT_ARG(source->path));
    qsort(source->blocks.at, source->blocks.count, sizeof *source->blocks.at, by_time);
    return true;
}

static bool next_of_blocks(Source *source, BackfillRow *out, bool *found, Error *err) {
    for (;;) {
        *found = source->block_at < source->blocks.count;
        if (!*found) return true;
        if (source->block == NULL)
            TRY(tsdb_block_open(source->disk, source->blocks.at[source->block_at].folder,
                                &source->block, err));
        TRY(tsdb_block_next(source->block, out, found, err));
        if (*found) {
            source->samples += out->samples.count + out->histogram_count;
            return true;
        }
        tsdb_block_close(&source->block);
        source->block_at++;
    }
}

// ---- Text ----

static bool open_text(Source *source, Error *err) {
    if (text_equal(source->path, TEXT("-"))) {
        source->is_input = true;
        source->path = TEXT("standard input");
        return true;
    }
    Disk *disk = source->disk;
    int64_t bytes;
    TRY(disk->open(disk, source->path, FILE_READ, &source->file, err));
    return disk->size(disk, source->file, &bytes, err) &&
           (bytes == 0 || disk->map(disk, source->file, bytes, &source->mapped, err));
}

static bool fill(Source *source, Error *err) {
    if (source->window_at > 0) {
        size_t left = source->window.len - source->window_at;
        memmove(source->window.at, source->window.at + source->window_at, left);
        source->window.len = left;
        source->window_at = 0;
    }
    builder_reserve(&source->window, WINDOW_BYTES);
    size_t got;
    TRY(stream_read_some(source->window.at + source->window.len, WINDOW_BYTES, &got, err));
    source->window.len += got;
    source->input_ended = got == 0;
    return true;
}

static bool too_long(const Source *source, Error *err) {
    return error_set(err, ERROR_TOO_LARGE, "%.*s, line %llu passes BACKFILL_LINE_BYTES (%lld)",
                     TEXT_ARG(source->path), (unsigned long long)source->line,
                     (long long)LIMIT_BACKFILL_LINE_BYTES);
}

// The next line of the standard input; `*found` false at the end.
static bool line_of_input(Source *source, Text *out, bool *found, Error *err) {
    size_t looked = 0;
    for (;;) {
        Text rest = {source->window.at + source->window_at, source->window.len - source->window_at};
        const char *end =
            looked < rest.len ? memchr(rest.at + looked, '\n', rest.len - looked) : NULL;
        if (end != NULL || source->input_ended) {
            size_t len = end != NULL ? (size_t)(end - rest.at) : rest.len;
            *found = end != NULL || len > 0;
            *out = (Text){rest.at, len};
            source->window_at += len + (end != NULL);
            source->offset += len + (end != NULL);
            return true;
        }
        looked = rest.len;
        if ((int64_t)looked > LIMIT_BACKFILL_LINE_BYTES) return too_long(source, err);
        TRY(fill(source, err));
    }
}

static bool next_line(Source *source, Text *out, bool *found, Error *err) {
    source->line++;
    if (source->is_input) return line_of_input(source, out, found, err);
    Text rest = text_slice(bytes_text(source->mapped), (size_t)source->offset, source->mapped.len);
    *found = rest.len > 0;
    if (!*found) return true;
    const char *end = memchr(rest.at, '\n', rest.len);
    size_t len = end != NULL ? (size_t)(end - rest.at) : rest.len;
    if ((int64_t)len > LIMIT_BACKFILL_LINE_BYTES) return too_long(source, err);
    *out = (Text){rest.at, len};
    source->offset += len + (end != NULL);
    return true;
}

static bool next_of_lines(Source *source, BackfillRow *out, bool *found, Error *err) {
    Text line;
    do {
        TRY(next_line(source, &line, found, err));
        if (!*found) return true;
        line = text_trim(line);
    } while (line.len == 0);
    if (!json_line_read(line, &source->json, err))
        return error_context(err, "%.*s, line %llu", TEXT_ARG(source->path),
                             (unsigned long long)source->line);
    *out = (BackfillRow){.labels = source->json.labels,
                         .samples = {source->json.samples.at, source->json.samples.count},
                         .histograms = source->json.histograms.at,
                         .histogram_count = source->json.histograms.count};
    return true;
}

// ---- OpenMetrics ----

static bool begin_page(Source *source, Error *err) {
    if (source->is_input) {
        TRY(stream_read_in(OPENMETRICS_INPUT_MAX, &source->window, err));
        source->mapped = text_bytes(builder_text(&source->window));
    }
    Text body = bytes_text(source->mapped);
    if (exposition_guess(body) != EXPOSITION_OPENMETRICS) {
        return error_set(err, ERROR_BAD_INPUT,
                         "%.*s does not end in `# EOF`, so it is no OpenMetrics text or was cut "
                         "off; `traceo push` takes Prometheus' text",
                         TEXT_ARG(source->path));
    }
    exposition_begin(&source->page, EXPOSITION_OPENMETRICS,
                     (ExpositionOptions){.bounds_as_written = true}, body);
    return true;
}

static bool fault(Source *source, Error *err) {
    return error_context(err, "%.*s", TEXT_ARG(source->path));
}

// Lines of a family other than the one that is being gathered make that one whole.
static void gather(Source *source, const ExpositionRow *row, size_t at) {
    AUTO(arena_free) Arena arena = {0};
    Text name = exposition_family(&source->page, row, &arena);
    Family *family = &source->families[source->gathering];
    if (family->said.family.len > 0 && !text_equal(name, family->said.family)) {
        source->has_family = true;
        source->gathering = !source->gathering;
        family = &source->families[source->gathering];
    }
    if (source->has_family || family->said.family.len == 0) {
        arena_clear(&family->arena);
        family->said = (BatchMetadata){.family = text_copy(name, &family->arena)};
        family->at = at;
    }
    Text text = text_copy(exposition_text(&source->page, row, &arena), &family->arena);
    if (row->kind == EXPOSITION_TYPE) family->said.type = (uint8_t)row->type;
    if (row->kind == EXPOSITION_HELP) family->said.help = text;
    if (row->kind == EXPOSITION_UNIT) family->said.unit = text;
}

// A line of samples, or the end, makes whole what was gathered.
static void finish_family(Source *source) {
    if (source->families[source->gathering].said.family.len == 0) return;
    source->has_family = true;
    source->gathering = !source->gathering;
    source->families[source->gathering].said = (BatchMetadata){0};
}

// Reads on, until there is a line of samples (`ahead`), a whole family, or the end.
static bool read_ahead(Source *source, Text expected, Error *err) {
    ExpositionRow *row = &source->ahead;
    while (!source->has_ahead && !source->has_family && !source->ended) {
        size_t at = (size_t)(source->page.at - source->page.body.at);
        if (!exposition_next(&source->page, expected, row, err)) return fault(source, err);
        if (row->kind == EXPOSITION_TYPE || row->kind == EXPOSITION_HELP ||
            row->kind == EXPOSITION_UNIT) {
            gather(source, row, at);
            continue;
        }
        finish_family(source);
        source->ended = row->kind == EXPOSITION_END;
        source->has_ahead = !source->ended;
        source->ahead_at = at;
        if (source->ended || row->has_time) continue;
        error_set(err, ERROR_BAD_INPUT,
                  "a timestamp is missing; old samples need one, in seconds behind the value");
        (void)!exposition_at(&source->page, row, err);
        return fault(source, err);
    }
    return true;
}

// Where the first line begins of which nothing was given yet.
static uint64_t next_line_at(const Source *source) {
    if (source->has_family) return source->families[!source->gathering].at;
    const Family *gathering = &source->families[source->gathering];
    if (gathering->said.family.len > 0) return gathering->at;
    if (source->has_ahead || source->ended) return source->ahead_at;
    return (uint64_t)(source->page.at - source->page.body.at);
}

// The line ahead becomes part of the row.
static void add_line(Source *source) {
    const ExpositionRow *row = &source->ahead;
    source->has_ahead = false;
    *array_add(&source->row) = (Sample){row->time_ms, row->value};
    for (size_t i = 0; i < row->exemplar_count; i++) {
        ExpositionExemplar exemplar;
        Error ignored;  // an exemplar that is not fine is left out, as a scrape leaves it out
        if (!exposition_exemplar(&source->page, row, i, &source->exemplars_arena, &exemplar,
                                 &ignored))
            continue;
        *array_add(&source->exemplars) = (BatchExemplar){
            .time_ms = exemplar.has_time ? exemplar.time_ms : row->time_ms,
            .value = exemplar.value,
            .labels = exemplar.labels.wire,
        };
    }
}

// Lines of one series that stand together are one row: the next ones are recognised by their bytes.
static bool next_of_page(Source *source, BackfillRow *out, bool *found, Error *err) {
    TRY(read_ahead(source, TEXT_NONE, err));
    *found = true;
    if (source->has_family) {
        source->has_family = false;
        *out = (BackfillRow){.metadata = source->families[!source->gathering].said};
        source->offset = next_line_at(source);
        return true;
    }
    *found = source->has_ahead;
    if (!*found) return true;
    array_clear(&source->row);
    array_clear(&source->exemplars);
    arena_clear(&source->exemplars_arena);
    // What was recognised while metadata came between is still of the series before.
    if (!source->ahead.known) {
        arena_clear(&source->labels_arena);
        if (!exposition_labels(&source->page, &source->ahead, &source->labels_arena,
                               &source->labels, err))
            return fault(source, err);
        builder_clear(&source->raw);
        builder_add(&source->raw, source->ahead.raw);
    }
    add_line(source);
    while (source->row.count < BACKFILL_ROW_SAMPLES) {
        TRY(read_ahead(source, builder_text(&source->raw), err));
        if (source->has_family || source->ended || !source->ahead.known) break;
        add_line(source);
    }
    source->offset = next_line_at(source);
    *out = (BackfillRow){.labels = source->labels,
                         .samples = {source->row.at, source->row.count},
                         .exemplars = source->exemplars.at,
                         .exemplar_count = source->exemplars.count};
    return true;
}

// ---- All of them ----

static bool is_folder(Disk *disk, Text path) {
    AUTO(arena_free) Arena arena = {0};
    DiskEntries ignored;
    Error err;
    return disk->list(disk, path, &arena, &ignored, &err);
}

static bool guess(Source *source, Error *err) {
    if (source->format != SOURCE_UNKNOWN) return true;
    Text begin = bytes_text(source->mapped);
    if (source->is_input) {
        while (source->window.len == 0 && !source->input_ended) TRY(fill(source, err));
        begin = builder_text(&source->window);
    }
    begin = text_trim(text_slice(begin, 0, KB));
    bool is_json =
        begin.len > 0 && begin.at[0] == '{' &&
        (text_starts_with(begin, TEXT("{\"metric\"")) || text_starts_with(begin, TEXT("{ ")) ||
         text_find(begin, TEXT("\"values\"")) > 0);
    source->format = is_json ? SOURCE_VICTORIAMETRICS : SOURCE_OPENMETRICS;
    return true;
}

static bool open_any(Source *source, Error *err) {
    if (source->format == SOURCE_UNKNOWN && !text_equal(source->path, TEXT("-")) &&
        is_folder(source->disk, source->path))
        source->format = SOURCE_PROMETHEUS;
    if (source->format == SOURCE_PROMETHEUS) return find_blocks(source, err);
    TRY(open_text(source, err) && guess(source, err));
    return source->format != SOURCE_OPENMETRICS || begin_page(source, err);
}

bool source_open(SourceFormat format, Disk *disk, Text path, Source **out, Error *err) {
    AUTO(source_close) Source *source = memory_new(Source);
    source->format = format;
    source->disk = disk;
    source->path = text_copy(path, &source->arena);
    TRY(open_any(source, err));
    *out = TAKE(source);
    return true;
}

void source_close(Source **closed) {
    Source *source = *closed;
    *closed = NULL;
    if (source == NULL) return;
    tsdb_block_close(&source->block);
    exposition_free(&source->page);
    json_line_free(&source->json);
    if (source->file != NULL) {
        if (source->mapped.at != NULL) source->disk->unmap(source->disk, &source->mapped);
        source->disk->close(source->disk, &source->file);
    }
    builder_free(&source->window);
    builder_free(&source->raw);
    array_free(&source->blocks);
    array_free(&source->row);
    array_free(&source->exemplars);
    arena_free(&source->exemplars_arena);
    for (size_t i = 0; i < COUNT(source->families); i++) arena_free(&source->families[i].arena);
    arena_free(&source->labels_arena);
    arena_free(&source->arena);
    memory_free(source);
}

bool source_next(Source *source, BackfillRow *out, bool *found, Error *err) {
    if (source->format == SOURCE_PROMETHEUS) return next_of_blocks(source, out, found, err);
    if (source->format == SOURCE_OPENMETRICS) return next_of_page(source, out, found, err);
    return next_of_lines(source, out, found, err);
}

SourceFormat source_format(const Source *source) {
    return source->format;
}

void source_progress(const Source *source, int64_t *done, int64_t *total) {
    bool blocks = source->format == SOURCE_PROMETHEUS;
    *done = (int64_t)(blocks ? source->samples : source->offset);
    *total = (int64_t)(blocks ? source->samples_total : source->mapped.len);
}

Text source_unit(const Source *source) {
    return source->format == SOURCE_PROMETHEUS ? TEXT("samples") : TEXT("");
}

Text source_note(const Source *source) {
    return source->note;
}

// ---- Positions ----

void source_position(const Source *source, Builder *out) {
    builder_addf(out, "%.*s ", TEXT_ARG(format_names[source->format]));
    if (source->format != SOURCE_PROMETHEUS) {
        builder_addf(out, "%zu %llu", source->mapped.len, (unsigned long long)source->offset);
        return;
    }
    bool done = source->block_at >= source->blocks.count;
    builder_addf(
        out, "%.*s %llu", TEXT_ARG(done ? TEXT("end") : source->blocks.at[source->block_at].ulid),
        (unsigned long long)(source->block == NULL ? 0 : tsdb_block_series(source->block)));
}

static bool no_place(Text position, Error *err) {
    return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is no place in this source",
                     TEXT_ARG(text_slice(position, 0, 100)));
}

static bool seek_block(Source *source, Text position, Text which, uint64_t series, Error *err) {
    size_t at = 0;
    while (at < source->blocks.count && !text_equal(source->blocks.at[at].ulid, which)) at++;
    if (at == source->blocks.count && !text_equal(which, TEXT("end")))
        return no_place(position, err);
    for (size_t i = 0; i < at; i++) source->samples += source->blocks.at[i].samples;
    source->block_at = at;
    if (at == source->blocks.count) return true;
    const BlockPlace *place = &source->blocks.at[at];
    TRY(tsdb_block_open(source->disk, place->folder, &source->block, err));
    TRY(tsdb_block_skip(source->block, series, err));
    if (place->series > 0)
        source->samples +=
            (uint64_t)((double)place->samples * (double)series / (double)place->series);
    return true;
}

bool source_seek(Source *source, Text position, Error *err) {
    if (source->is_input)
        return error_set(err, ERROR_UNSUPPORTED, "the standard input has no places to go on from");
    Text rest = position, format, which = TEXT_NONE, number = TEXT_NONE;
    uint64_t at, size;
    bool good = text_cut(&rest, ' ', &format) && text_cut(&rest, ' ', &which) &&
                text_cut(&rest, ' ', &number) && text_equal(format, format_names[source->format]) &&
                text_to_u64(number, &at);
    if (!good) return no_place(position, err);
    if (source->format == SOURCE_PROMETHEUS) return seek_block(source, position, which, at, err);
    if (!text_to_u64(which, &size) || at > source->mapped.len) return no_place(position, err);
    if (size != source->mapped.len)
        return error_set(err, ERROR_BAD_INPUT,
                         "%.*s has %zu bytes, and had %llu when its import was stopped",
                         TEXT_ARG(source->path), source->mapped.len, (unsigned long long)size);
    if (at > 0 && source->mapped.at[at - 1] != '\n') return no_place(position, err);
    source->offset = at;
    for (size_t i = 0; i < at; i++) source->line += source->mapped.at[i] == '\n';
    source->page.at = source->page.body.at + at;
    return true;
}
