// The tables of commands and flags, and the calls that command lines become.

#include "app/app.h"
#include "base/test.h"
#include "cli/format.h"
#include "cli/progress.h"
#include "cli/query_print.h"
#include "cli/run.h"
#include "os/call_fault.h"

// ---- Tables ----

TEST(commands_are_sorted_and_explained) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const Command *command = &commands[i];
        if (i > 0) check(t, text_compare(commands[i - 1].name, command->name) < 0);
        check(t, command->help.len > 10 && command->help.at[command->help.len - 1] == '.');
        check(t, text_starts_with(command->example, TEXT("traceo ")) ||
                     text_find(command->example, TEXT("| traceo ")) > 0 ||
                     text_starts_with(command->example, TEXT("source ")));
        check(t, text_find(command->example, command->name) > 0);
        check(t, command->run != NULL && command->most <= 2);
        check(t, command_find(command->name) == command);
    }
}

TEST(flags_are_sorted_and_explained) {
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (i > 0) check(t, text_compare(flags[i - 1].name, flags[i].name) < 0);
        check(t, flags[i].help.len > 10 && flags[i].help.at[flags[i].help.len - 1] == '.');
        check(t, flags[i].commands != 0);
        for (size_t j = 0; j < i; j++)
            check(t, flags[i].letter == 0 || flags[i].letter != flags[j].letter);
    }
}

// A flag of a command that takes settings would hide the setting of the same name.
TEST(no_flag_has_the_name_of_a_setting) {
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        for (size_t j = 0; j < SETTING_COUNT; j++)
            check(t, !text_equal(flags[i].name, setting_rows[j].key));
    }
}

TEST(every_command_has_a_help_page_that_fits_a_terminal) {
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i <= COMMAND_COUNT; i++) {
        builder_clear(&out);
        help_print(i == COMMAND_COUNT ? NULL : &commands[i], &out);
        Text line;
        for (Text rest = builder_text(&out); text_cut(&rest, '\n', &line);) {
            bool is_example = text_find(line, TEXT("traceo ")) >= 0;
            check(t, text_columns(line) <= 90 || is_example);
        }
        check(t, text_find(builder_text(&out), TEXT("Usage: traceo")) >= 0);
    }
}

// ---- Calls ----

static bool parse(Test *t, CommandId id, Call *out, const char *line) {
    ARRAY(Text) words = {0};
    Text word;
    for (Text rest = text_from_cstring(line); rest.len > 0 && text_cut(&rest, ' ', &word);)
        *array_add_on(t->arena, &words) = word;
    return call_parse(&commands[id], (Texts){words.at, words.count}, t->arena, out, t->err);
}

TEST(flags_take_their_values_in_every_usual_way) {
    Call call;
    check_ok(t,
             parse(t, COMMAND_QUERY, &call, "--output json up --since=1h -s http://x --step 5m"));
    check_text(t, TEXT("up"), call_argument(&call, 0));
    check_text(t, TEXT("json"), call_flag(&call, FLAG_OUTPUT));
    check_text(t, TEXT("1h"), call_flag(&call, FLAG_SINCE));
    check_text(t, TEXT("http://x"), call_flag(&call, FLAG_SERVER));
    check_text(t, TEXT("5m"), call_flag(&call, FLAG_STEP));
    check(t, !call_has(&call, FLAG_TIME) && call_argument(&call, 1).at == NULL);
    check_ok(t, parse(t, COMMAND_QUERY, &call, "-ocsv -o table -- -1"));
    check_text(t, TEXT("table"), call_flag(&call, FLAG_OUTPUT));
    check_text(t, TEXT("-1"), call_argument(&call, 0));
    check_ok(t, parse(t, COMMAND_QUERY, &call, "up --start -1h"));
    check_text(t, TEXT("-1h"), call_flag(&call, FLAG_START));
}

TEST(settings_are_flags_where_the_row_says_so) {
    Call call;
    check_ok(t, parse(t, COMMAND_SERVE, &call, "--memory-limit 1GiB --host.enabled false"));
    check_i64(t, 2, call.flags.count);
    check(t, call.flags.at[0].flag == NULL);
    check_text(t, TEXT("1GiB"), call.flags.at[0].value);
    check_error(t, parse(t, COMMAND_PUSH, &call, "--memory-limit 1GiB"), ERROR_BAD_INPUT);
}

static void check_says(Test *t, CommandId id, const char *line, const char *part) {
    Call call;
    check_error(t, parse(t, id, &call, line), ERROR_BAD_INPUT);
    if (strstr(t->err->message, part) == NULL)
        check_failed(t, __FILE__, __LINE__, "\"%s\" does not say \"%s\"", t->err->message, part);
}

TEST(a_wrong_command_line_says_what_was_meant) {
    check_says(t, COMMAND_QUERY, "--sinse 1h up", "did you mean --since?");
    check_says(t, COMMAND_SERVE, "--memory.limt 1GiB", "did you mean --memory.limit?");
    check_says(t, COMMAND_QUERY, "--zzzzzz", "`traceo help query`");
    check_says(t, COMMAND_QUERY, "up --step", "--step wants a value: DURATION");
    check_says(t, COMMAND_QUERY, "--json=yes up", "takes no value");
    check_says(t, COMMAND_QUERY, "sum (up)", "in quotes");
}

TEST(moments_and_distances) {
    int64_t at, now = INT64_C(1700000000000);
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"now", INT64_C(1700000000000)},
        {"-1h", INT64_C(1699996400000)},
        {"now-1m30s", INT64_C(1699999910000)},
        {"1700000000.5", INT64_C(1700000000500)},
        {"0", 0},
        {"2023-11-14T22:13:20Z", INT64_C(1700000000000)},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        check_ok(t, moment_parse(text_from_cstring(good[i].text), now, &at, t->err));
        check_i64(t, good[i].ms, at);
    }
    static const char *const bad[] = {"", "yesterday", "nowish", "now-", "-", "NaN", "1e300", "1h"};
    for (size_t i = 0; i < COUNT(bad); i++)
        check_error(t, moment_parse(text_from_cstring(bad[i]), now, &at, t->err), ERROR_BAD_INPUT);
    check_ok(t, distance_parse(TEXT("15"), &at, t->err));
    check_i64(t, 15000, at);
    check_ok(t, distance_parse(TEXT("1h30m"), &at, t->err));
    check_i64(t, 5400000, at);
    check_error(t, distance_parse(TEXT("0"), &at, t->err), ERROR_BAD_INPUT);
    check_error(t, distance_parse(TEXT("-5"), &at, t->err), ERROR_BAD_INPUT);
}

// ---- Answers ----

static Text printed(Test *t, const char *json, TableFormat format, size_t *rows) {
    JsonValue *data;
    AUTO(builder_free) Builder out = {0};
    check_ok(t, json_parse(text_from_cstring(json), t->arena, &data, t->err));
    check_ok(t, query_print(data, format, t->arena, &out, rows, t->err));
    return text_copy(builder_text(&out), t->arena);
}

TEST(an_instant_answer_is_a_table_with_a_column_per_label) {
    size_t rows;
    const char *data =
        "{\"resultType\":\"vector\",\"result\":["
        "{\"metric\":{\"__name__\":\"up\",\"job\":\"node\"},\"value\":[1700000000,\"1\"]},"
        "{\"metric\":{\"__name__\":\"up\",\"zone\":\"b,c\"},\"value\":[1700000000.5,\"12.5\"]}]}";
    check_text(t,
               TEXT("metric  job   zone  value\n"
                    "up      node            1\n"
                    "up            b,c    12.5\n"),
               printed(t, data, TABLE_TEXT, &rows));
    check_i64(t, 2, rows);
    check_text(t,
               TEXT("time,metric,job,zone,value\n"
                    "2023-11-14T22:13:20.000Z,up,node,,1\n"
                    "2023-11-14T22:13:20.500Z,up,,\"b,c\",12.5\n"),
               printed(t, data, TABLE_CSV, &rows));
}

TEST(an_answer_over_time_is_a_block_per_series) {
    size_t rows;
    const char *data =
        "{\"resultType\":\"matrix\",\"result\":["
        "{\"metric\":{\"__name__\":\"m\",\"a\":\"x\\\"\\u001b\"},\"values\":[[0,\"1\"],[60,\"-22\"]"
        "]},"
        "{\"metric\":{},\"histograms\":[[60,{\"count\":\"3\",\"sum\":\"1.5\",\"buckets\":[[3,"
        "\"-0.1\",\"0.1\",\"1\"],[0,\"1\",\"2\",\"2\"]]}]]}]}";
    check_text(t,
               TEXT("m{a=\"x\\\"\\x1b\"}\n"
                    "time                      value\n"
                    "1970-01-01T00:00:00.000Z      1\n"
                    "1970-01-01T00:01:00.000Z    -22\n"
                    "\n"
                    "{}\n"
                    "time                                                          value\n"
                    "1970-01-01T00:01:00.000Z  {count:3, sum:1.5, [-0.1,0.1]:1, (1,2]:2}\n"),
               printed(t, data, TABLE_TEXT, &rows));
}

TEST(single_values_and_empty_answers) {
    size_t rows;
    check_text(t, TEXT("2\n"),
               printed(t, "{\"resultType\":\"scalar\",\"result\":[4,\"2\"]}", TABLE_TEXT, &rows));
    check_text(t, TEXT("a\n"),
               printed(t, "{\"resultType\":\"string\",\"result\":[4,\"a\"]}", TABLE_TEXT, &rows));
    check_text(t, TEXT(""),
               printed(t, "{\"resultType\":\"vector\",\"result\":[]}", TABLE_TEXT, &rows));
    check_i64(t, 0, rows);
    static const char *const strange[] = {
        "{}",
        "[]",
        "{\"resultType\":\"vector\",\"result\":[{}]}",
        "{\"resultType\":\"scalar\",\"result\":[]}",
        "{\"resultType\":\"scalar\",\"result\":[\"a\",\"b\"]}",
        "{\"resultType\":\"vector\",\"result\":[{\"value\":[1,{}]}]}"};
    for (size_t i = 0; i < COUNT(strange); i++) {
        JsonValue *data;
        AUTO(builder_free) Builder out = {0};
        check_ok(t, json_parse(text_from_cstring(strange[i]), t->arena, &data, t->err));
        check_error(t, query_print(data, TABLE_TEXT, t->arena, &out, &rows, t->err), ERROR_CORRUPT);
    }
}

TEST(the_caret_stands_under_the_fault) {
    AUTO(builder_free) Builder out = {0};
    query_print_caret(TEXT("sum(\nüp ++)"), TEXT("query \"q\": 2:6: parse error: no"), &out);
    check_text(t, TEXT("  üp ++)\n      ^\n"), builder_text(&out));
    builder_clear(&out);
    query_print_caret(TEXT("up"), TEXT("no place at all, 12: 3"), &out);
    query_print_caret(TEXT("up"), TEXT("1:99: beyond"), &out);
    query_print_caret(TEXT("up"), TEXT("9:1: beyond"), &out);
    query_print_caret(TEXT("up"), TEXT("0:0: nowhere"), &out);
    check_i64(t, 0, out.len);
}

// ---- Tables of text ----

TEST(a_table_prints_in_three_ways) {
    Table table = {.arena = t->arena};
    table_column(&table, TEXT("name"), false, false);
    table_column(&table, TEXT("n"), true, true);
    static const char *const cells[] = {"größe", "1", "x\"y\n\033[2J", "100"};
    for (size_t i = 0; i < COUNT(cells); i++) table_cell(&table, text_from_cstring(cells[i]));
    AUTO(builder_free) Builder out = {0};
    table_print(&table, TABLE_TEXT, &out);
    check_text(t, TEXT("name        n\ngröße       1\nx\"y??[2J  100\n"), builder_text(&out));
    builder_clear(&out);
    table_print(&table, TABLE_CSV, &out);
    check_text(t, TEXT("name,n\ngröße,1\n\"x\"\"y\n\033[2J\",100\n"), builder_text(&out));
    builder_clear(&out);
    table_print(&table, TABLE_JSON, &out);
    JsonValue *rows;
    check_ok(t, json_parse(builder_text(&out), t->arena, &rows, t->err));
    check_i64(t, 2, rows->count);
    check_text(t, TEXT("x\"y\n\033[2J"), json_get(rows->first->next, TEXT("name"))->text);
    check(t, json_get(rows->first, TEXT("n"))->kind == JSON_NUMBER);
}

// ---- What cannot be printed ----

TEST(a_doctor_who_cannot_speak_fails_and_says_so) {
    Call call;
    check_ok(t, parse(t, COMMAND_DOCTOR, &call, "--data /tmp --listen 127.0.0.1:0"));
    call_fail_after(OS_CALL_STREAM_WRITE, 1, true, 28 /* ENOSPC */);
    ExitCode code = commands[COMMAND_DOCTOR].run(&call, t->err);
    uint64_t written = call_fail_after(OS_CALL_NONE, 0, false, 0);
    check(t, code == CODE_FAILED && written > 0);
    check_i64(t, ERROR_DISK_FULL, t->err->code);
    check(t, strstr(t->err->message, "the standard output") != NULL);
}

// ---- Progress ----

static Builder said;
static void listen(Text text) {
    builder_add(&said, text);
}

TEST(work_that_takes_less_than_two_seconds_says_nothing) {
    ManualClock manual;
    clock_manual(&manual, 0);
    for (int terminal = 0; terminal < 2; terminal++) {
        ProgressLine line;
        progress_begin_on(&line, TEXT("pushing"), TEXT(""), &manual.clock, terminal, listen);
        for (int i = 0; i < 19; i++) {
            clock_advance(&manual, 100);
            progress_tell(&line.progress, i, 19);
        }
        progress_end(&line);
        check_i64(t, 0, said.len);
    }
}

TEST(after_two_seconds_a_line_comes_every_five) {
    ManualClock manual;
    clock_manual(&manual, 0);
    ProgressLine line;
    progress_begin_on(&line, TEXT("pushing"), TEXT(""), &manual.clock, false, listen);
    for (int i = 1; i <= 80; i++) {
        clock_advance(&manual, 100);
        progress_tell(&line.progress, i * MB, 100 * MB);
    }
    progress_end(&line);
    check_text(t,
               TEXT("pushing: 20.0 MiB of 100.0 MiB (20 %), 10.0 MiB/s, 8 s left\n"
                    "pushing: 70.0 MiB of 100.0 MiB (70 %), 10.0 MiB/s, 3 s left\n"),
               builder_text(&said));
    builder_free(&said);
}

TEST(a_terminal_has_one_line_that_is_gone_at_the_end) {
    ManualClock manual;
    clock_manual(&manual, 0);
    ProgressLine line;
    progress_begin_on(&line, TEXT("reading"), TEXT("samples"), &manual.clock, true, listen);
    clock_advance(&manual, 3000);
    progress_tell(&line.progress, 30000, 36000000);
    progress_tell(&line.progress, 30000, 36000000);  // too soon
    clock_advance(&manual, 1000);
    progress_tell(&line.progress, 40000, 0);
    progress_end(&line);
    progress_end(&line);
    check_text(t,
               TEXT("\rreading: 30.0 k of 36.0 M samples (0 %), 10.0 k/s, 59 min 57 s left"
                    "\rreading: 40.0 k samples, 10.0 k/s                                  "
                    "\r                                 \r"),
               builder_text(&said));
    builder_free(&said);
}

TEST_MAIN("cli", CASE(commands_are_sorted_and_explained), CASE(flags_are_sorted_and_explained),
          CASE(work_that_takes_less_than_two_seconds_says_nothing),
          CASE(after_two_seconds_a_line_comes_every_five),
          CASE(a_terminal_has_one_line_that_is_gone_at_the_end),
          CASE(no_flag_has_the_name_of_a_setting),
          CASE(every_command_has_a_help_page_that_fits_a_terminal),
          CASE(flags_take_their_values_in_every_usual_way),
          CASE(settings_are_flags_where_the_row_says_so),
          CASE(a_wrong_command_line_says_what_was_meant), CASE(moments_and_distances),
          CASE(an_instant_answer_is_a_table_with_a_column_per_label),
          CASE(an_answer_over_time_is_a_block_per_series), CASE(single_values_and_empty_answers),
          CASE(the_caret_stands_under_the_fault), CASE(a_table_prints_in_three_ways),
          CASE(a_doctor_who_cannot_speak_fails_and_says_so))
