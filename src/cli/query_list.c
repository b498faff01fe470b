// `traceo query --list` and `--kill ID`: what a server's queries are doing, and ending one.

#include "cli/client.h"
#include "cli/format.h"
#include "cli/query_print.h"
#include "cli/run.h"
#include "net/url.h"
#include "os/process.h"

static bool get(const Call *call, Text method, Text path, HttpClientAnswer *out, ExitCode *code,
                Error *err) {
    Client client;
    *code = CODE_USAGE;
    TRY(client_begin(call, &client, err));
    if (!client_send(&client, method, path, TEXT_NONE, TEXT_NONE, TEXT_NONE, call->arena, out,
                     err)) {
        *code = client_code(err);
        return false;
    }
    if (out->status == 200) return true;
    *code = client_refused(&client, out, err);
    return false;
}

// 1h02m, 3m05s, 12.3s
static Text age_shown(double ms, Arena *arena) {
    double seconds = ms / 1000;
    if (seconds < 60) return text_format(arena, "%.1fs", seconds);
    int64_t whole = (int64_t)seconds;
    if (whole < 3600)
        return text_format(arena, "%lldm%02llds", (long long)(whole / 60), (long long)(whole % 60));
    return text_format(arena, "%lldh%02lldm", (long long)(whole / 3600),
                       (long long)(whole / 60 % 60));
}

static Text cell_of(const JsonValue *query, Text key, TableFormat format, Arena *arena) {
    const JsonValue *value = json_get(query, key);
    double number;
    if (value == NULL) return TEXT("");
    if (format == TABLE_TEXT && text_equal(key, TEXT("ageMs")) && json_number(value, &number))
        return age_shown(number, arena);
    if (format == TABLE_TEXT && text_equal(key, TEXT("memoryBytes")) && json_number(value, &number))
        return text_format(arena, "%.0f", number / KB);
    return query_text_shown(value->text, arena);
}

ExitCode query_list(Call *call, TableFormat format, Error *err) {
    static const struct {
        Text key, heading;
        bool right;
    } columns[] = {
        {TEXT_INIT("id"), TEXT_INIT("id"), true},
        {TEXT_INIT("tenant"), TEXT_INIT("tenant"), false},
        {TEXT_INIT("state"), TEXT_INIT("state"), false},
        {TEXT_INIT("ageMs"), TEXT_INIT("age"), true},
        {TEXT_INIT("samples"), TEXT_INIT("samples"), true},
        {TEXT_INIT("memoryBytes"), TEXT_INIT("KiB"), true},
        {TEXT_INIT("key"), TEXT_INIT("key"), false},
        {TEXT_INIT("peer"), TEXT_INIT("peer"), false},
        {TEXT_INIT("query"), TEXT_INIT("query"), false},
    };
    HttpClientAnswer answer;
    ExitCode code;
    JsonValue *root;
    AUTO(builder_free) Builder out = {0};
    if (!get(call, TEXT("GET"), TEXT("/api/traceo/v1/queries"), &answer, &code, err)) return code;
    if (format == TABLE_JSON) {
        builder_add(&out, text_trim(answer.body));
        builder_add_char(&out, '\n');
        return call_print(builder_text(&out), err);
    }
    if (!json_parse(answer.body, call->arena, &root, err)) {
        error_context(err, "the answer of the server");
        return CODE_FAILED;
    }
    const JsonValue *queries = json_get(json_get(root, TEXT("data")), TEXT("queries"));
    Table table = {.arena = call->arena};
    for (size_t i = 0; i < COUNT(columns); i++)
        table_column(&table, format == TABLE_TEXT ? columns[i].heading : columns[i].key,
                     columns[i].right, columns[i].right);
    for (const JsonValue *query = queries == NULL ? NULL : queries->first; query != NULL;
         query = query->next) {
        for (size_t i = 0; i < COUNT(columns); i++)
            table_cell(&table, cell_of(query, columns[i].key, format, call->arena));
    }
    if (table_rows(&table) == 0 && format == TABLE_TEXT) {
        stream_write_err(TEXT("no query waits or runs\n"));
        return CODE_OK;
    }
    table_print(&table, format, &out);
    return call_print(builder_text(&out), err);
}

ExitCode query_kill(Call *call, Text id, Error *err) {
    HttpClientAnswer answer;
    ExitCode code;
    AUTO(builder_free) Builder path = {0};
    builder_add(&path, TEXT("/api/traceo/v1/queries/"));
    url_encode(id, &path);
    if (!get(call, TEXT("DELETE"), builder_text(&path), &answer, &code, err)) return code;
    AUTO(builder_free) Builder out = {0};
    builder_addf(&out, "query %.*s is ended\n", TEXT_ARG(id));
    return call_print(builder_text(&out), err);
}
