// `traceo query`: asks a server and prints its answer.

#include "cli/client.h"
#include "cli/format.h"
#include "cli/query_print.h"
#include "cli/run.h"
#include "net/url.h"
#include "os/clock.h"
#include "os/process.h"

enum { POINTS_WANTED = 60 };

// Steps that fall on times people read.
static const int64_t steps_ms[] = {1000,    2000,    5000,     10000,    15000,    30000,
                                   60000,   120000,  300000,   600000,   900000,   1800000,
                                   3600000, 7200000, 14400000, 21600000, 43200000, 86400000};

static int64_t step_for(int64_t span_ms) {
    for (size_t i = 0; i < COUNT(steps_ms); i++) {
        if (span_ms / steps_ms[i] <= POINTS_WANTED) return steps_ms[i];
    }
    return span_ms / POINTS_WANTED;
}

typedef struct Asked {
    Text query;
    bool is_range, explain;
    int64_t start_ms, end_ms, step_ms;
    bool has_time;
    int64_t time_ms;
    TableFormat format;
} Asked;

static bool read_range(const Call *call, int64_t now_ms, Asked *out, Error *err) {
    Text since = call_flag(call, FLAG_SINCE), start = call_flag(call, FLAG_START),
         end = call_flag(call, FLAG_END);
    Text step = call_flag(call, FLAG_STEP);
    out->end_ms =
        (now_ms + 999) / 1000 * 1000;  // a whole second, and what was just stored is in it
    if (end.at != NULL) TRY(moment_parse(end, now_ms, &out->end_ms, err));
    if (since.at != NULL && start.at != NULL) {
        return error_set(err, ERROR_BAD_INPUT,
                         "--since and --start both say where the range begins; give one of them");
    }
    if (start.at != NULL) {
        TRY(moment_parse(start, now_ms, &out->start_ms, err));
    } else if (since.at != NULL) {
        int64_t span_ms;
        TRY(distance_parse(since, &span_ms, err));
        out->start_ms = out->end_ms - span_ms;
    } else {
        return error_set(err, ERROR_BAD_INPUT, "a range wants --start or --since too");
    }
    if (out->start_ms > out->end_ms)
        return error_set(err, ERROR_BAD_INPUT, "the range ends before it starts");
    out->step_ms = step_for(out->end_ms - out->start_ms);
    if (step.at != NULL) TRY(distance_parse(step, &out->step_ms, err));
    // The last point stands at the end: what is newest is what people want to see. A start that was
    // named is kept.
    if (start.at == NULL)
        out->start_ms = out->end_ms - (out->end_ms - out->start_ms) / out->step_ms * out->step_ms;
    return true;
}

static bool read_call(const Call *call, Asked *out, Error *err) {
    *out = (Asked){.query = call_argument(call, 0)};
    if (out->query.len == 0)
        return error_set(err, ERROR_BAD_INPUT,
                         "the query is missing, as in: traceo query node_load1");
    TRY(call_format(call, &out->format, err));
    Clock *clock = clock_system();
    int64_t now_ms = clock->wall_ms(clock);
    static const FlagId range_flags[] = {FLAG_SINCE, FLAG_START, FLAG_END, FLAG_STEP};
    for (size_t i = 0; i < COUNT(range_flags); i++)
        out->is_range = out->is_range || call_has(call, range_flags[i]);
    out->explain = call_has(call, FLAG_EXPLAIN);
    out->has_time = call_has(call, FLAG_TIME);
    if (out->has_time && out->is_range) {
        return error_set(
            err, ERROR_BAD_INPUT,
            "--time asks for one moment, the other flags for a range; give one or the other");
    }
    if (out->has_time) return moment_parse(call_flag(call, FLAG_TIME), now_ms, &out->time_ms, err);
    return !out->is_range || read_range(call, now_ms, out, err);
}

static void add_seconds(Builder *form, const char *name, int64_t ms) {
    builder_addf(form, "&%s=%s%lld.%03lld", name, ms < 0 ? "-" : "",
                 (long long)(ms < 0 ? -ms : ms) / 1000, (long long)(ms < 0 ? -ms : ms) % 1000);
}

static void say(const char *prefix, Text text) {
    AUTO(builder_free) Builder line = {0};
    builder_addf(&line, "%s%.*s\n", prefix, TEXT_ARG(text));
    stream_write_err(builder_text(&line));
}

static void say_notes(const char *prefix, const JsonValue *notes) {
    for (const JsonValue *note = notes == NULL ? NULL : notes->first; note != NULL;
         note = note->next)
        say(prefix, note->text);
}

static ExitCode print_answer(const Asked *asked, Text body, Arena *arena, Error *err) {
    JsonValue *root;
    if (!json_parse(body, arena, &root, err)) {
        error_context(err, "the answer of the server");
        return CODE_FAILED;
    }
    say_notes("warning: ", json_get(root, TEXT("warnings")));
    say_notes("note: ", json_get(root, TEXT("infos")));
    AUTO(builder_free) Builder out = {0};
    size_t rows = 1;
    if (asked->format == TABLE_JSON) {
        builder_add(&out, text_trim(body));
        builder_add_char(&out, '\n');
    } else if (asked->explain) {
        if (!query_print_plan(json_get(root, TEXT("data")), asked->format, arena, &out, err))
            return CODE_FAILED;
    } else if (!query_print(json_get(root, TEXT("data")), asked->format, arena, &out, &rows, err)) {
        return CODE_FAILED;
    }
    if (rows == 0) {
        say(asked->is_range ? "no series matches in that time"
                            : "no series with a recent sample matches",
            TEXT("; to see the names there are: traceo query 'count by (__name__) "
                 "({__name__!=\"\"})'"));
    }
    return call_print(builder_text(&out), err);
}

ExitCode command_query(Call *call, Error *err) {
    Asked asked;
    Client client;
    TableFormat format;
    if (call_has(call, FLAG_LIST) || call_has(call, FLAG_KILL)) {
        if (call->arguments.count > 0)
            return call_usage(call, err, "--list and --kill take no query");
        if (!call_format(call, &format, err)) return CODE_USAGE;
        return call_has(call, FLAG_LIST) ? query_list(call, format, err)
                                         : query_kill(call, call_flag(call, FLAG_KILL), err);
    }
    if (!read_call(call, &asked, err) || !client_begin(call, &client, err)) return CODE_USAGE;
    AUTO(builder_free) Builder form = {0};
    builder_add(&form, TEXT("query="));
    url_encode(asked.query, &form);
    if (asked.has_time) add_seconds(&form, "time", asked.time_ms);
    if (asked.is_range) {
        add_seconds(&form, "start", asked.start_ms);
        add_seconds(&form, "end", asked.end_ms);
        add_seconds(&form, "step", asked.step_ms);
    }
    HttpClientAnswer answer;
    Text path = asked.explain    ? TEXT("/api/traceo/v1/query_explain")
                : asked.is_range ? TEXT("/api/v1/query_range")
                                 : TEXT("/api/v1/query");
    if (!client_send(&client, TEXT("POST"), path, TEXT("application/x-www-form-urlencoded"),
                     TEXT_NONE, builder_text(&form), call->arena, &answer, err)) {
        return client_code(err);
    }
    if (answer.status == 200) return print_answer(&asked, answer.body, call->arena, err);
    ExitCode code = client_refused(&client, &answer, err);
    AUTO(builder_free) Builder caret = {0};
    query_print_caret(asked.query, text_from_cstring(err->message), &caret);
    stream_write_err(builder_text(&caret));
    return code;
}
