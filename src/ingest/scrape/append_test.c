// Pages in, rows out: what a target says scrape after scrape, and what becomes of it. The rows are
// read back from the body by the same decoder that replays the log.

#include "ingest/scrape/append.h"

#include "base/test.h"
#include "codec/protobuf.h"

typedef struct World {
    AppendRoom room;
    ScrapeLines lines;
    ScrapeCache cache;
    ScrapeConfig config;
    AppendTarget target;
    WriteBody body;
    AppendCounts counts;
    int64_t time_ms;
} World;

static void world_open(Test *t, World *world) {
    *world = (World){.config = {.job_name = TEXT("j"), .honor_timestamps = true}};
    scrape_lines_begin(&world->lines, (HashKey){1, 2});
    world->room.lines = &world->lines;
    Label labels[] = {{TEXT("instance"), TEXT("h:1")}, {TEXT("job"), TEXT("j")}};
    world->target = (AppendTarget){.config = &world->config, .cache = &world->cache};
    check_ok(t, labels_make(labels, COUNT(labels), t->arena, &world->target.labels, t->err));
    world->time_ms = 1000;
}

static void world_close(World *world) {
    scrape_cache_free(&world->cache, &world->lines);
    append_room_free(&world->room);
    scrape_lines_end(&world->lines);
    write_body_free(&world->body);
}

// "name{a="b"} 1 @1000" per row, in order; metadata as "# family type help".
static Text rows_of(Test *t, const WriteBody *body) {
    AUTO(builder_free) Builder out = {0};
    Reader reader = reader_begin(text_bytes(builder_text(&body->bytes)));
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        Reader inner = reader_begin(field.bytes);
        ProtobufField part;
        if (field.number == 3) {
            builder_add_char(&out, '#');
            while (protobuf_next(&inner, &part)) {
                if (part.type == WIRE_BYTES)
                    builder_addf(&out, " %.*s", TEXT_ARG(bytes_text(part.bytes)));
                else
                    builder_addf(&out, " %d", (int)part.value);
            }
            builder_add_char(&out, '\n');
            continue;
        }
        AUTO(builder_free) Builder labels = {0};
        while (protobuf_next(&inner, &part)) {
            if (part.number == 1) {
                builder_add_char(&labels, 0x0a);
                builder_add_char(&labels, (char)part.bytes.len);
                builder_add_bytes(&labels, part.bytes.at, part.bytes.len);
            }
            if (part.number != 2) continue;
            Reader sample = reader_begin(part.bytes);
            ProtobufField number;
            double value = 0;
            int64_t time_ms = 0, start_ms = 0;
            while (protobuf_next(&sample, &number)) {
                if (number.number == 1) value = protobuf_double(number.value);
                if (number.number == 2) time_ms = (int64_t)number.value;
                if (number.number == 3) start_ms = (int64_t)number.value;
            }
            labels_print((Labels){text_bytes(builder_text(&labels))}, &out);
            if (is_stale(value))
                builder_addf(&out, " end @%lld\n", (long long)time_ms);
            else
                builder_addf(&out, " %g @%lld", value, (long long)time_ms);
            if (start_ms != 0) builder_addf(&out, " since %lld", (long long)start_ms);
            if (!is_stale(value)) builder_add_char(&out, '\n');
        }
    }
    check(t, !reader.failed);
    return text_copy(builder_text(&out), t->arena);
}

static bool scrape_as(World *world, ExpositionFormat format, Text page, Error *err) {
    write_body_clear(&world->body);
    bool ok = append_page(&world->room, &world->target, format, page, world->time_ms, &world->body,
                          &world->counts, err);
    world->time_ms += 1000;
    return ok;
}

static bool scrape(World *world, const char *page, Error *err) {
    return scrape_as(world, EXPOSITION_TEXT, text_from_cstring(page), err);
}

#define check_scrape(t, world, page, rows)                         \
    do {                                                           \
        check_ok((t), scrape((world), (page), (t)->err));          \
        check_text((t), TEXT(rows), rows_of((t), &(world)->body)); \
    } while (0)

#define H "instance=\"h:1\", job=\"j\""

TEST(rows_get_the_targets_labels_and_those_that_vanish_end) {
    World world;
    world_open(t, &world);
    check_scrape(t, &world, "a 1\nb{x=\"y\"} 2\n", "a{" H "} 1 @1000\nb{" H ", x=\"y\"} 2 @1000\n");
    check_i64(t, 2, world.counts.added);
    check_scrape(t, &world, "a 3\nb{x=\"y\"} 4\n", "a{" H "} 3 @2000\nb{" H ", x=\"y\"} 4 @2000\n");
    check_i64(t, 0, world.counts.added);
    check_scrape(t, &world, "b{x=\"y\"} 5\n", "b{" H ", x=\"y\"} 5 @3000\na{" H "} end @3000\n");
    check_scrape(t, &world, "b{x=\"y\"} 6\n", "b{" H ", x=\"y\"} 6 @4000\n");
    check_scrape(t, &world, "", "b{" H ", x=\"y\"} end @5000\n");
    check_scrape(t, &world, "a 1\n", "a{" H "} 1 @6000\n");
    check_i64(t, 1, world.counts.added);
    world_close(&world);
}

// Known rows and new ones, and what they said last time does not matter.
TEST(rows_say_when_their_counting_began_where_the_page_does) {
    World world;
    world_open(t, &world);
    static const char *const starts[] = {"1.5", "1.5", "3"};
    for (size_t i = 0; i < COUNT(starts); i++) {
        Text page = text_format(t->arena,
                                "# TYPE a counter\na_total 5\na_created %s\n# TYPE h histogram\n"
                                "h_bucket{le=\"+Inf\"} 2\nh_count 2\nh_created 0.25\n# EOF\n",
                                starts[i]);
        check_ok(t, scrape_as(&world, EXPOSITION_OPENMETRICS, page, t->err));
        Text rows = rows_of(t, &world.body);
        int64_t start_ms = i == 2 ? 3000 : 1500;
        Text wanted =
            text_format(t->arena,
                        "a_total{" H "} 5 @%zu since %lld\na_created{" H "} %s @%zu\nh_bucket{" H
                        ", le=\"+Inf\"} 2 @%zu since 250\nh_count{" H
                        "} 2 @%zu since 250\nh_created{" H "} 0.25 @%zu\n",
                        1000 * (i + 1), (long long)start_ms, starts[i], 1000 * (i + 1),
                        1000 * (i + 1), 1000 * (i + 1), 1000 * (i + 1));
        check(t, text_starts_with(rows, wanted));
    }
    world_close(&world);
}

// MetricFamily {1 name, 3 type COUNTER = 0, 4 metric {3 counter {1 value, 3 created_timestamp}}}
TEST(rows_of_protobuf_say_when_their_counting_began) {
    World world;
    world_open(t, &world);
    AUTO(builder_free) Builder page = {0};
    AUTO(builder_free) Builder body = {0};
    protobuf_add_text(&body, 1, TEXT("a_total"));
    protobuf_add_varint(&body, 3, 0);
    size_t metric = protobuf_begin(&body, 4), counter = protobuf_begin(&body, 3);
    protobuf_add_double(&body, 1, 5);
    size_t start = protobuf_begin(&body, 3);
    protobuf_add_varint(&body, 1, 12);
    protobuf_add_varint(&body, 2, 500000000);
    protobuf_end(&body, start);
    protobuf_end(&body, counter);
    protobuf_end(&body, metric);
    writer_varint(&page, body.len);
    builder_add(&page, builder_text(&body));
    check_ok(t, scrape_as(&world, EXPOSITION_PROTOBUF, builder_text(&page), t->err));
    check(t,
          text_starts_with(rows_of(t, &world.body), TEXT("a_total{" H "} 5 @1000 since 12500\n")));
    world_close(&world);
}

TEST(rows_in_another_order_stay_known) {
    World world;
    world_open(t, &world);
    AUTO(builder_free) Builder page = {0};
    for (int i = 0; i < 200; i++) builder_addf(&page, "m{i=\"%d\"} %d\n", i, i);
    builder_add_char(&page, '\0');
    check_ok(t, scrape(&world, page.at, t->err));
    check_i64(t, 200, world.counts.added);
    uint64_t random = t->seed;
    for (int round = 0; round < 20; round++) {
        int order[200];
        for (int i = 0; i < 200; i++) {
            int at = (int)(test_random(&random) % (uint64_t)(i + 1));
            order[i] = order[at];
            order[at] = i;
        }
        int count = round % 2 == 0 ? 200 : 150;  // the rest is missing
        builder_clear(&page);
        for (int i = 0; i < count; i++) builder_addf(&page, "m{i=\"%d\"} 7\n", order[i]);
        builder_add_char(&page, '\0');
        check_ok(t, scrape(&world, page.at, t->err));
        check_i64(t, round % 2 == 0 && round > 0 ? 50 : 0, world.counts.added);
        check_i64(t, 200, world.body.rows);  // samples and ends
        for (int i = 0; i < count; i++) {
            Text row = text_format(t->arena, "m{i=\"%d\", " H "} 7 @", order[i]);
            check(t, text_find(rows_of(t, &world.body), row) >= 0);
        }
    }
    world_close(&world);
}

TEST(a_page_with_a_fault_is_not_there_at_all_and_its_series_end_once) {
    World world;
    world_open(t, &world);
    check_ok(t, scrape(&world, "a 1\nb 2\n", t->err));
    check_error(t, scrape(&world, "a 1\nc 5\nb 2 2 2 2\n", t->err), ERROR_BAD_INPUT);
    check_i64(t, 0, world.body.bytes.len);
    append_end(&world.room, &world.target, 2000, &world.body);
    check_text(t, TEXT("a{" H "} end @2000\nb{" H "} end @2000\n"), rows_of(t, &world.body));
    write_body_clear(&world.body);
    append_end(&world.room, &world.target, 3000, &world.body);
    check_i64(t, 0, world.body.rows);
    check_scrape(t, &world, "a 4\nb 5\n", "a{" H "} 4 @3000\nb{" H "} 5 @3000\n");
    check_i64(t, 0, world.counts.added);
    world_close(&world);
}

TEST(labels_of_the_page_move_aside_or_win) {
    World world;
    world_open(t, &world);
    check_scrape(t, &world, "a{job=\"x\",exported_job=\"y\"} 1\n",
                 "a{exported_exported_job=\"x\", exported_job=\"y\", " H "} 1 @1000\n");
    world_close(&world);
    world_open(t, &world);
    world.config.honor_labels = true;
    check_scrape(t, &world, "a{job=\"x\"} 1\nb{instance=\"\"} 2\n",
                 "a{instance=\"h:1\", job=\"x\"} 1 @1000\nb{job=\"j\"} 2 @1000\n");
    world_close(&world);
}

TEST(own_times_count_when_honoured_and_then_nothing_ends) {
    World world;
    world_open(t, &world);
    check_scrape(t, &world, "a 1 77\nb 2\n", "a{" H "} 1 @77\nb{" H "} 2 @1000\n");
    check_scrape(t, &world, "c 3\n", "c{" H "} 3 @2000\nb{" H "} end @2000\n");
    // A row that loses its own time becomes one whose end is marked.
    check_scrape(t, &world, "c 3 99\n", "c{" H "} 3 @99\n");
    check_scrape(t, &world, "c 3\n", "c{" H "} 3 @4000\n");
    check_scrape(t, &world, "", "c{" H "} end @5000\n");
    world.config.honor_timestamps = false;
    check_scrape(t, &world, "a 1 77\n", "a{" H "} 1 @6000\n");
    world.config.honor_timestamps = world.config.track_timestamps_staleness = true;
    check_scrape(t, &world, "a 1 77\n", "a{" H "} 1 @77\n");
    check_scrape(t, &world, "", "a{" H "} end @8000\n");
    world_close(&world);
}

TEST(metric_relabelling_drops_and_renames_and_is_remembered) {
    World world;
    world_open(t, &world);
    Text name[] = {LABEL_NAME};
    RelabelRule rules[2] = {relabel_rule_default(), relabel_rule_default()};
    rules[0].action = RELABEL_DROP;
    rules[0].source_labels = (Texts){name, 1};
    rules[0].regex = TEXT("go_.*");
    rules[1].source_labels = (Texts){name, 1};
    rules[1].regex = TEXT("old");
    rules[1].replacement = TEXT("new");
    rules[1].target_label = LABEL_NAME;
    for (size_t i = 0; i < COUNT(rules); i++) check_ok(t, relabel_rule_compile(&rules[i], t->err));
    world.config.metric_relabel = (RelabelRules){rules, COUNT(rules)};
    for (int i = 1; i <= 2; i++) {
        check_ok(t, scrape(&world, "go_a 1\nold 2\ngo_b 3\n", t->err));
        Text row = text_format(t->arena, "new{" H "} 2 @%d000\n", i);
        check_text(t, row, rows_of(t, &world.body));
        check_i64(t, 3, world.counts.scraped);
        check_i64(t, 1, world.counts.kept);
    }
    relabel_rules_close(&world.config.metric_relabel);
    world_close(&world);
}

TEST(limits_refuse_the_whole_page) {
    World world;
    world_open(t, &world);
    world.config.limits.samples = 2;
    check_ok(t, scrape(&world, "a 1\nb 1\n", t->err));
    check_error(t, scrape(&world, "a 1\nb 1\nc 1\nd 1\n", t->err), ERROR_TOO_LARGE);
    check(t, text_starts_with(text_from_cstring(t->err->message), TEXT("sample limit exceeded")));
    check_i64(t, 4, world.counts.scraped);
    check_i64(t, 0, world.body.bytes.len);
    world.config.limits = (ScrapeLimits){.labels = 4};
    check_ok(t, scrape(&world, "a{x=\"1\"} 1\n", t->err));
    check_error(t, scrape(&world, "a{x=\"1\",y=\"2\"} 1\n", t->err), ERROR_TOO_LARGE);
    check_text(t, TEXT("label_limit exceeded (metric: a, number of labels: 5, limit: 4)"),
               text_from_cstring(t->err->message));
    world.config.limits = (ScrapeLimits){.label_name_bytes = 8};
    check_error(t, scrape(&world, "a{longer_name=\"1\"} 1\n", t->err), ERROR_TOO_LARGE);
    world.config.limits = (ScrapeLimits){.label_value_bytes = 8};
    check_error(t, scrape(&world, "a{x=\"longer value\"} 1\n", t->err), ERROR_TOO_LARGE);
    world_close(&world);
}

TEST(metadata_is_said_once_for_all_targets) {
    World world;
    world_open(t, &world);
    const char *page = "# HELP a What a is.\n# TYPE a counter\na 1\n# TYPE b gauge\nb 2\n";
    check_scrape(t, &world, page, "a{" H "} 1 @1000\nb{" H "} 2 @1000\n# 1 a What a is.\n# 2 b \n");
    check_scrape(t, &world, page, "a{" H "} 1 @2000\nb{" H "} 2 @2000\n");
    ScrapeCache other = {0};
    ScrapeCache *own = world.target.cache;
    world.target.cache = &other;
    check_scrape(t, &world, page, "a{" H "} 1 @3000\nb{" H "} 2 @3000\n");
    scrape_cache_free(&other, &world.lines);
    world.target.cache = own;
    // What did not reach the store is said again, once.
    scrape_lines_unsaid(&world.lines);
    write_body_clear(&world.body);
    check_ok(t, scrape(&world, page, t->err));
    check(t, text_find(rows_of(t, &world.body), TEXT("# 1 a What a is.\n# 2 b \n")) > 0);
    world.time_ms = 4000;
    check_scrape(t, &world, "# HELP a Changed.\n# TYPE a counter\na 1\n",
                 "a{" H "} 1 @4000\nb{" H "} end @4000\n# 1 a Changed.\n");
    world_close(&world);
}

TEST(a_series_that_is_spelt_otherwise_goes_on) {
    World world;
    world_open(t, &world);
    check_scrape(t, &world, "a{x=\"1\",y=\"2\"} 1\nb 1\n",
                 "a{" H ", x=\"1\", y=\"2\"} 1 @1000\nb{" H "} 1 @1000\n");
    check_scrape(t, &world, "a{y=\"2\",x=\"1\"} 2\nb 1\n",
                 "a{" H ", x=\"1\", y=\"2\"} 2 @2000\nb{" H "} 1 @2000\n");
    // Two rows of one series end together, and only when both are gone.
    check_scrape(t, &world, "c 1\nb 1\nc 1\n",
                 "c{" H "} 1 @3000\nb{" H "} 1 @3000\nc{" H
                 "} 1 @3000\n"
                 "a{" H ", x=\"1\", y=\"2\"} end @3000\n");
    check_scrape(t, &world, "c 1\nb 1\n", "c{" H "} 1 @4000\nb{" H "} 1 @4000\n");
    check_scrape(t, &world, "c 1\nb 1\nc 1\n",
                 "c{" H "} 1 @5000\nb{" H "} 1 @5000\nc{" H "} 1 @5000\n");
    check_scrape(t, &world, "b 1\n", "b{" H "} 1 @6000\nc{" H "} end @6000\n");
    world_close(&world);
}

TEST(what_another_configuration_kept_ends_with_the_next_page) {
    for (int next = 0; next < 3; next++) {
        World world;
        world_open(t, &world);
        check_ok(t, scrape(&world, "a 1\nb 2\n", t->err));
        ScrapeCache former = world.cache;
        world.cache = (ScrapeCache){0};
        world.target.former = &former;
        if (next == 0) check_scrape(t, &world, "b 3\n", "b{" H "} 3 @2000\na{" H "} end @2000\n");
        if (next == 1) check_scrape(t, &world, "", "a{" H "} end @2000\nb{" H "} end @2000\n");
        if (next == 2) {
            check_error(t, scrape(&world, "b b b\n", t->err), ERROR_BAD_INPUT);
            append_end(&world.room, &world.target, 2000, &world.body);
            check_text(t, TEXT("a{" H "} end @2000\nb{" H "} end @2000\n"),
                       rows_of(t, &world.body));
        }
        check_i64(t, 0, former.count);
        world_close(&world);
    }
}

TEST(short_rows_with_long_labels_are_bounded) {
    World world;
    world_open(t, &world);
    AUTO(builder_free) Builder value = {0}, page = {0};
    for (int i = 0; i < 2000; i++) builder_add_char(&value, 'v');
    Label labels[] = {{TEXT("a"), builder_text(&value)},
                      {TEXT("b"), builder_text(&value)},
                      {TEXT("c"), builder_text(&value)}};
    check_ok(t, labels_make(labels, COUNT(labels), t->arena, &world.target.labels, t->err));
    for (int i = 0; i < 60000; i++) builder_addf(&page, "m%d 1\n", i);
    builder_add_char(&page, '\0');
    check_error(t, scrape(&world, page.at, t->err), ERROR_TOO_LARGE);
    check(t, strstr(t->err->message, "SCRAPE_ROWS_BYTES") != NULL);
    check_i64(t, 0, world.body.bytes.len);
    world_close(&world);
}

TEST_MAIN("scrape/append", CASE(rows_get_the_targets_labels_and_those_that_vanish_end),
          CASE(rows_say_when_their_counting_began_where_the_page_does),
          CASE(rows_of_protobuf_say_when_their_counting_began),
          CASE(rows_in_another_order_stay_known),
          CASE(a_page_with_a_fault_is_not_there_at_all_and_its_series_end_once),
          CASE(labels_of_the_page_move_aside_or_win),
          CASE(own_times_count_when_honoured_and_then_nothing_ends),
          CASE(metric_relabelling_drops_and_renames_and_is_remembered),
          CASE(limits_refuse_the_whole_page), CASE(metadata_is_said_once_for_all_targets),
          CASE(a_series_that_is_spelt_otherwise_goes_on),
          CASE(what_another_configuration_kept_ends_with_the_next_page),
          CASE(short_rows_with_long_labels_are_bounded))
