// Pages scrape after scrape (cut at NUL bytes; text, or OpenMetrics when all are of an odd size):
// what is remembered of earlier ones never changes the rows of a page, only the cost. Each page is
// appended with the cache and again without any; the rows must be the same bytes. What comes behind
// them with the cache are ends and metadata.

#include "base/assert.h"
#include "ingest/scrape/append.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool one_page(AppendRoom *room, const AppendTarget *target, ExpositionFormat format,
                     Text page, WriteBody *body) {
    AppendCounts counts;
    Error err;
    write_body_clear(body);
    bool ok = append_page(room, target, format, page, 1000, body, &counts, &err);
    assert(ok || body->bytes.len == 0);
    Batch noted = {0};
    write_body_batch(body, &noted);
    assert(write_body_decodes_to(body, &noted));
    batch_free(&noted);
    assert(counts.kept <= counts.scraped && counts.added <= counts.kept);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    ScrapeLines lines;
    scrape_lines_begin(&lines, (HashKey){1, 2});
    AppendRoom room = {.lines = &lines};
    ScrapeConfig config = {.honor_timestamps = true};
    ScrapeCache known = {0};
    AppendTarget target = {.config = &config, .cache = &known};
    Label labels[] = {{TEXT("instance"), TEXT("h:1")}, {TEXT("job"), TEXT("j")}};
    bool made = labels_make(labels, COUNT(labels), &arena, &target.labels, NULL);
    assert(made);
    WriteBody with = {0}, without = {0};
    ExpositionFormat format = size % 2 == 0 ? EXPOSITION_TEXT : EXPOSITION_OPENMETRICS;
    Text rest = {(const char *)data, size}, page;
    while (text_cut(&rest, '\0', &page)) {
        ScrapeCache none = {0};
        AppendTarget other = target;
        other.cache = &none;
        bool ok = one_page(&room, &target, format, page, &with);
        bool again = one_page(&room, &other, format, page, &without);
        assert(ok == again);
        // The lines are known by now, so there is no metadata in the second body.
        assert(text_starts_with(builder_text(&with.bytes), builder_text(&without.bytes)));
        scrape_cache_free(&none, &lines);
    }
    append_end(&room, &target, 2000, &with);
    scrape_cache_free(&known, &lines);
    assert(lines.bytes == 0);
    append_room_free(&room);
    scrape_lines_end(&lines);
    write_body_free(&with);
    write_body_free(&without);
    return 0;
}
