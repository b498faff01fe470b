// How fast pages are read: `bench_exposition FILE [text|openmetrics|protobuf] [ROUNDS]`. Three
// lines: all rows with their labels, all rows without, and all rows known.

#include "codec/compress.h"
#include "ingest/scrape/exposition.h"
#include "os/clock.h"
#include "os/disk.h"
#include "os/process.h"

typedef enum Way { WAY_LABELS, WAY_ROWS, WAY_KNOWN, WAY_COUNT } Way;

typedef struct Bench {
    ExpositionFormat format;
    Text body;
    Text *expected;  // raw of each row
    size_t row_count;
    Arena arena;
} Bench;

static bool read_once(Bench *bench, Exposition *page, Way way, double *sum, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    exposition_begin(page, bench->format, (ExpositionOptions){0}, bench->body);
    ExpositionRow row;
    for (size_t i = 0;; i++) {
        Text expected = way == WAY_KNOWN && i < bench->row_count ? bench->expected[i] : TEXT_NONE;
        TRY(exposition_next(page, expected, &row, err));
        if (row.kind == EXPOSITION_END) return true;
        if (row.kind != EXPOSITION_SERIES) continue;
        *sum += row.value;
        if (way != WAY_LABELS) continue;
        Labels labels;
        arena_clear(&arena);
        TRY(exposition_labels(page, &row, &arena, &labels, err));
    }
}

static bool gather(Bench *bench, Exposition *page, Error *err) {
    ARRAY(Text) raws = {0};
    exposition_begin(page, bench->format, (ExpositionOptions){0}, bench->body);
    ExpositionRow row;
    for (;;) {
        TRY(exposition_next(page, TEXT_NONE, &row, err));
        if (row.kind == EXPOSITION_END) break;
        *array_add_on(&bench->arena, &raws) = text_copy(row.raw, &bench->arena);
    }
    bench->expected = raws.at;
    bench->row_count = raws.count;
    return true;
}

static bool measure(Bench *bench, uint64_t rounds, Error *err) {
    static const char *const names[WAY_COUNT] = {"new, with labels", "new, rows only", "known"};
    AUTO(exposition_free) Exposition page = {0};
    TRY(gather(bench, &page, err));
    for (Way way = WAY_LABELS; way < WAY_COUNT; way++) {
        double sum = 0;
        TRY(read_once(bench, &page, way, &sum, err));
        int64_t begun_ns = cpu_process_ns();
        for (uint64_t i = 0; i < rounds; i++) TRY(read_once(bench, &page, way, &sum, err));
        double ns = (double)(cpu_process_ns() - begun_ns) / (double)rounds;
        stream_write_err(
            text_format(&bench->arena, "%-18s %6zu rows %8zu bytes %7.1f ns/row %7.0f MB/s\n",
                        names[way], bench->row_count, bench->body.len,
                        ns / (double)bench->row_count, (double)bench->body.len / ns * 1000));
    }
    return true;
}

static bool run(const char *path, const char *format, uint64_t rounds, Error *err) {
    Bench bench = {.format = text_equal(text_from_cstring(format), TEXT("openmetrics"))
                                 ? EXPOSITION_OPENMETRICS
                             : text_equal(text_from_cstring(format), TEXT("protobuf"))
                                 ? EXPOSITION_PROTOBUF
                                 : EXPOSITION_TEXT};
    Bytes content;
    AUTO(builder_free) Builder plain = {0};
    TRY(disk_read_whole(disk_real(), text_from_cstring(path), 64 * MB, &bench.arena, &content,
                        err));
    TRY(decompress(compression_by_magic(content), content, 256 * MB, &plain, err));
    bench.body = builder_text(&plain);
    bool done = measure(&bench, rounds, err);
    arena_free(&bench.arena);
    return done;
}

int main(int argc, char **argv) {
    Error err = {0};
    uint64_t rounds = 500;
    bool ok = argc >= 2 && argc <= 4 &&
              (argc < 4 || text_to_u64(text_from_cstring(argv[3]), &rounds)) && rounds > 0;
    if (!ok) {
        stream_write_err(
            TEXT("usage: bench_exposition FILE [text|openmetrics|protobuf] [ROUNDS]\n"));
        return 2;
    }
    if (run(argv[1], argc > 2 ? argv[2] : "text", rounds, &err)) return 0;
    stream_write_err(text_from_cstring(err.message));
    stream_write_err(TEXT("\n"));
    return 1;
}
