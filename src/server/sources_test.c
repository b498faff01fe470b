// Tests of the table of senders: rows, rates, the limit, faults, and what a tenant sees.

#include "server/sources.h"
#include "server/test_server.h"

static SourceNote note_of(const char *peer, uint64_t samples) {
    return (SourceNote){.protocol = TEXT("remote write"),
                        .peer = text_from_cstring(peer),
                        .agent = TEXT("Prometheus/2.42.0"),
                        .tenant = TEXT("default"),
                        .samples = samples,
                        .bytes = samples * 10};
}

TEST(connections_of_one_sender_are_one_row) {
    Sources sources;
    sources_begin(&sources);
    SourceNote first = note_of("192.0.2.7:51234", 1), second = note_of("192.0.2.7:51235", 2),
               other = note_of("[2001:db8::7]:80", 4);
    sources_note(&sources, 1000000, &first);
    sources_note(&sources, 1001000, &second);
    sources_note(&sources, 1002000, &other);
    check_i64(t, 2, (int64_t)sources.count);
    check_text(t, TEXT("192.0.2.7"), text_from_cstring(sources.rows[0].peer));
    check_text(t, TEXT("[2001:db8::7]"), text_from_cstring(sources.rows[1].peer));
    check_i64(t, 3, (int64_t)sources.rows[0].samples);
    check_i64(t, 2, (int64_t)sources.rows[0].requests);
    sources_end(&sources);
}

TEST(a_long_agent_is_one_row_wherever_it_is_cut) {
    Sources sources;
    sources_begin(&sources);
    for (size_t i = 0; i < 4; i++) {
        SourceNote note = note_of("a", 1);
        // 119 bytes are kept: the cut falls between two bytes of a character, or it does not.
        note.agent = text_format(t->arena, "%.*s%s", (int)(115 + i),
                                 "-------------------------------------------------------------"
                                 "-------------------------------------------------------------",
                                 "\xe2\x82\xac\xe2\x82\xac");
        sources_note(&sources, 1000, &note);
        sources_note(&sources, 1001, &note);
        check_i64(t, (int64_t)i + 1, (int64_t)sources.count);
    }
    sources_end(&sources);
}

TEST(rates_are_of_the_last_minute_and_fade_to_nothing) {
    Sources sources;
    sources_begin(&sources);
    for (int64_t second = 0; second < 600; second++) {
        SourceNote note = note_of("a", 50);
        sources_note(&sources, 1000000 + second * 1000, &note);
    }
    SourceRates rates = source_rates(&sources.rows[0], 1000000 + 600 * 1000);
    check(t,
          rates.samples > 48 && rates.samples < 52 && rates.requests > 0.95 && rates.bytes > 480);
    rates = source_rates(&sources.rows[0], 1000000 + 600 * 1000 + 71000);
    check(t, rates.samples == 0 && rates.requests == 0);
    check_i64(t, 30000, (int64_t)sources.rows[0].samples);
    // A clock that steps back does no harm.
    SourceNote late = note_of("a", 1);
    sources_note(&sources, 5, &late);
    sources_note(&sources, -5, &late);
    sources_end(&sources);
}

TEST(the_one_silent_longest_makes_room) {
    Sources sources;
    sources_begin(&sources);
    for (int i = 0; i < SOURCE_ROWS_MAX; i++) {
        SourceNote note = note_of(text_format(t->arena, "host-%d%c", i, 0).at, 1);
        sources_note(&sources, 1000 + (i == 0 ? 100000 : i), &note);
    }
    SourceNote newcomer = note_of("newcomer", 1);
    sources_note(&sources, 200000, &newcomer);
    check_i64(t, SOURCE_ROWS_MAX, (int64_t)sources.count);
    check_text(t, TEXT("host-0"), text_from_cstring(sources.rows[0].peer));
    check_text(t, TEXT("newcomer"), text_from_cstring(sources.rows[1].peer));
    sources_end(&sources);
}

TEST(long_texts_are_cut_between_characters_and_found_again) {
    Sources sources;
    sources_begin(&sources);
    Builder agent = {0};
    for (int i = 0; i < 500; i++) builder_add(&agent, TEXT("é"));
    SourceNote note = note_of("a", 1);
    note.agent = builder_text(&agent);
    Error fault = {.code = ERROR_BAD_INPUT};
    error_set(&fault, ERROR_BAD_INPUT, "<script>alert(1)</script>");
    note.fault = &fault;
    sources_note(&sources, 1000, &note);
    check(t, text_is_utf8(text_from_cstring(sources.rows[0].agent)));
    check_i64(t, 1, (int64_t)sources.rows[0].faults);
    check_text(t, TEXT("<script>alert(1)</script>"), text_from_cstring(sources.rows[0].fault));
    builder_free(&agent);
    sources_end(&sources);
}

TEST(writers_are_shown_to_their_tenant_only_with_what_went_wrong) {
    TestServer world;
    test_server_plain(t, &world);
    WriteBody body = {0};
    test_row(t, &body, TEXT("m"), TEXT("a"), TEXT("b"), 1000, 1);
    test_write_bytes(t, &world, TEXT_NONE, TEXT("default"), TEXT("snappy"),
                     text_bytes(TEXT("nonsense")));
    test_write(t, &world, TEXT_NONE, TEXT("other"), &body);
    write_body_free(&body);
    Text mine = test_get(t, &world, "/api/traceo/v1/sources").body;
    check(t, text_find(mine, TEXT("\"protocol\":\"remote write\",\"peer\":\"127.0.0.1\"")) > 0);
    check(t, text_find(mine, TEXT("\"faults\":1,\"lastFault\":\"")) > 0);
    check(t, text_find(mine, TEXT("\"samples\":0")) > 0);
    Text others =
        test_as(t, &world, TEXT("GET"), TEXT("/api/traceo/v1/sources"), TEXT_NONE, TEXT("other"))
            .body;
    check(t, text_find(others, TEXT("\"faults\":0")) > 0);
    test_server_end(t, &world);
}

TEST(what_it_costs_and_who_is_busy_are_shown) {
    TestServer world;
    test_server_plain(t, &world);
    Text self = test_get(t, &world, "/api/traceo/v1/self").body;
    check(t, text_find(self, TEXT("\"residentBytes\":")) > 0 &&
                 text_find(self, TEXT("\"residentBytes\":0,")) < 0);
    HttpClientAnswer top = test_get(t, &world, "/api/traceo/v1/host/processes?limit=2");
    check_status(t, 200, top);
    check(t, text_find(top.body, TEXT("\"pid\":")) > 0);
    check_status(t, 400, test_get(t, &world, "/api/traceo/v1/host/processes?limit=x"));
    test_server_end(t, &world);
}

TEST_MAIN("server/sources", CASE(connections_of_one_sender_are_one_row),
          CASE(a_long_agent_is_one_row_wherever_it_is_cut),
          CASE(rates_are_of_the_last_minute_and_fade_to_nothing),
          CASE(the_one_silent_longest_makes_room),
          CASE(long_texts_are_cut_between_characters_and_found_again),
          CASE(writers_are_shown_to_their_tenant_only_with_what_went_wrong),
          CASE(what_it_costs_and_who_is_busy_are_shown))
