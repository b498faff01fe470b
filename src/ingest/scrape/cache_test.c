// The cache gives back what it took, in order and out of it; lines are kept once.

#include "ingest/scrape/cache.h"

#include "base/test.h"

enum { ROWS = 1000 };

typedef struct Row {
    Text raw;
    Labels labels;
    CacheKind kind;
    uint32_t line;
} Row;

// Rows as a page has them: much alike, some dropped, lines of metadata between.
static Row *make_rows(Test *t, uint64_t *random, ScrapeLines *lines) {
    Row *rows = arena_push_array(t->arena, Row, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        unsigned family = (unsigned)(i / 20), cpu = (unsigned)(test_random(random) % 1000);
        rows[i].kind = i % 20 == 0                    ? CACHE_LINE
                       : test_random(random) % 7 == 0 ? CACHE_DROPPED
                                                      : CACHE_SERIES;
        if (rows[i].kind == CACHE_LINE) {
            Text raw = text_format(t->arena, "# TYPE family_%u counter", family);
            rows[i].line = scrape_lines_take(lines, raw, EXPOSITION_TYPE, METADATA_COUNTER,
                                             text_slice(raw, 7, 16), TEXT_NONE);
            continue;
        }
        rows[i].raw = text_format(t->arena, "family_%u{cpu=\"%u\",place=\"%zu\"}", family, cpu, i);
        Label labels[] = {{LABEL_NAME, text_format(t->arena, "family_%u", family)},
                          {TEXT("cpu"), text_format(t->arena, "%u", cpu)},
                          {TEXT("instance"), TEXT("localhost:9100")},
                          {TEXT("place"), text_format(t->arena, "%zu", i)}};
        check_ok(t, labels_make(labels, COUNT(labels), t->arena, &rows[i].labels, t->err));
    }
    return rows;
}

static void write_rows(CacheWriter *writer, const Row *rows, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        if (rows[i].kind == CACHE_LINE) cache_writer_line(writer, rows[i].line);
        if (rows[i].kind == CACHE_DROPPED) cache_writer_dropped(writer, rows[i].raw);
        if (rows[i].kind == CACHE_SERIES)
            cache_writer_series(writer, rows[i].raw, rows[i].labels, i % 3 == 0);
    }
}

static void check_row(Test *t, CacheCursor *cursor, const Row *rows, uint32_t i) {
    const CacheEntry *entry = cache_cursor_seek(cursor, i);
    check_i64(t, rows[i].kind, entry->kind);
    if (rows[i].kind == CACHE_LINE) {
        check_i64(t, rows[i].line, entry->line);
        return;
    }
    check_text(t, rows[i].raw, builder_text(&cursor->raw));
    if (rows[i].kind != CACHE_SERIES) return;
    check_text(t, bytes_text(rows[i].labels.wire), builder_text(&cursor->labels));
    check(t, entry->live == (i % 3 == 0));
}

TEST(rows_come_back_in_order_and_out_of_it) {
    uint64_t random = t->seed;
    ScrapeLines lines;
    scrape_lines_begin(&lines, (HashKey){1, 2});
    Row *rows = make_rows(t, &random, &lines);
    CacheWriter writer = {0};
    cache_writer_begin(&writer);
    write_rows(&writer, rows, 0, ROWS);
    ScrapeCache cache;
    cache_writer_finish(&writer, &cache);
    check_i64(t, ROWS, cache.count);
    CacheCursor cursor = {0};
    cache_cursor_begin(&cursor, &cache);
    for (uint32_t i = 0; i < ROWS; i++) check_row(t, &cursor, rows, i);
    for (int i = 0; i < 5000; i++)
        check_row(t, &cursor, rows, (uint32_t)(test_random(&random) % ROWS));
    CacheIndex index = {0};
    cache_index_begin(&index, &cache, (HashKey){3, 4});
    for (uint32_t i = 0; i < ROWS; i++) {
        if (rows[i].kind != CACHE_LINE) check_i64(t, i, cache_index_find(&index, rows[i].raw));
    }
    check_i64(t, UINT32_MAX, cache_index_find(&index, TEXT("family_1{none=\"1\"}")));
    // A row is far smaller than its texts: that is what front coding is for.
    size_t texts = 0;
    for (size_t i = 0; i < ROWS; i++) texts += rows[i].raw.len + rows[i].labels.wire.len;
    check(t, cache.byte_count < texts * 6 / 10);
    cache_index_free(&index);
    cache_cursor_free(&cursor);
    cache_writer_free(&writer);
    scrape_cache_free(&cache, &lines);
    scrape_lines_end(&lines);
}

TEST(a_prefix_taken_over_and_new_rows_behind_it_read_as_if_written_at_once) {
    uint64_t random = t->seed + 1;
    ScrapeLines lines;
    scrape_lines_begin(&lines, (HashKey){1, 2});
    Row *rows = make_rows(t, &random, &lines);
    for (uint32_t cut = 0; cut <= ROWS; cut += 37) {
        for (size_t i = 0; i < ROWS; i++)
            if (rows[i].kind == CACHE_LINE) lines.lines.at[rows[i].line].refs += 2;
        CacheWriter writer = {0};
        cache_writer_begin(&writer);
        write_rows(&writer, rows, 0, ROWS);
        ScrapeCache first, second;
        cache_writer_finish(&writer, &first);
        cache_writer_prefix(&writer, &first, cut, &lines);
        for (size_t i = 0; i < cut; i++)
            if (rows[i].kind == CACHE_LINE) scrape_lines_give(&lines, rows[i].line);
        write_rows(&writer, rows, cut, ROWS);
        cache_writer_finish(&writer, &second);
        CacheCursor cursor = {0};
        cache_cursor_begin(&cursor, &second);
        for (uint32_t i = 0; i < ROWS; i++) check_row(t, &cursor, rows, i);
        for (int i = 0; i < 200; i++)
            check_row(t, &cursor, rows, (uint32_t)(test_random(&random) % ROWS));
        cache_cursor_free(&cursor);
        scrape_cache_free(&first, &lines);
        scrape_cache_free(&second, &lines);
        cache_writer_free(&writer);
    }
    scrape_lines_end(&lines);
}

TEST(lines_are_kept_once_and_go_with_their_last_user) {
    ScrapeLines lines;
    scrape_lines_begin(&lines, (HashKey){1, 2});
    uint32_t numbers[2000];
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < COUNT(numbers); i++) {
            Text raw = text_format(t->arena, "# HELP a_%u what", i);
            uint32_t number = scrape_lines_take(&lines, raw, EXPOSITION_HELP, METADATA_UNKNOWN,
                                                text_slice(raw, 7, 10), TEXT("what"));
            if (round > 0) check_i64(t, numbers[i], number);
            numbers[i] = number;
        }
    }
    check_i64(t, COUNT(numbers), lines.lines.count);
    check_text(t, TEXT("# HELP a_7 what"), lines.lines.at[numbers[7]].raw);
    for (int round = 0; round < 3; round++)
        for (uint32_t i = 0; i < COUNT(numbers); i++) scrape_lines_give(&lines, numbers[i]);
    check_i64(t, UINT32_MAX, scrape_lines_find(&lines, TEXT("# HELP a_7 what")));
    check_i64(t, 0, lines.bytes);
    uint32_t again = scrape_lines_take(&lines, TEXT("x"), EXPOSITION_HELP, METADATA_UNKNOWN,
                                       TEXT("x"), TEXT_NONE);
    check(t, again < COUNT(numbers));
    scrape_lines_end(&lines);
}

TEST_MAIN("scrape/cache", CASE(rows_come_back_in_order_and_out_of_it),
          CASE(a_prefix_taken_over_and_new_rows_behind_it_read_as_if_written_at_once),
          CASE(lines_are_kept_once_and_go_with_their_last_user))
