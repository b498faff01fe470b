// `traceo help`: what the tables say, for people (wrapped to 80 columns) and programs (JSON, CSV).

#include "app/app.h"
#include "base/limits.h"
#include "cli/format.h"
#include "cli/run.h"
#include "query/promql/promql.h"

enum { WIDTH = 80, COMMAND_WIDTH = 14, FLAG_WIDTH = 24 };

// Words of `text` from column `at` on, wrapped with a margin of `margin`.
static void add_wrapped(Builder *out, Text text, size_t at, size_t margin) {
    Text word;
    size_t start = at;
    for (Text rest = text; text_cut(&rest, ' ', &word);) {
        size_t columns = text_columns(word);
        if (at > start && at + 1 + columns > WIDTH) {
            builder_add_char(out, '\n');
            for (size_t i = 0; i < margin; i++) builder_add_char(out, ' ');
            at = margin;
        } else if (at > start) {
            builder_add_char(out, ' ');
            at++;
        }
        start = margin;
        builder_add(out, word);
        at += columns;
    }
    builder_add_char(out, '\n');
}

// "  name      explanation", the explanation on a line of its own behind a long name.
static void add_row(Builder *out, Text name, Text help, size_t width) {
    builder_addf(out, "  %.*s", TEXT_ARG(name));
    size_t at = 2 + text_columns(name);
    if (at + 2 > width) {
        builder_add_char(out, '\n');
        at = 0;
    }
    for (; at < width; at++) builder_add_char(out, ' ');
    add_wrapped(out, help, width, width);
}

static void add_examples(Builder *out, Text examples) {
    Text line;
    for (Text rest = examples; text_cut(&rest, '\n', &line);)
        builder_addf(out, "  %.*s\n", TEXT_ARG(line));
}

static void add_flag(Builder *out, const Flag *flag) {
    char name[128];
    int len =
        snprintf(name, sizeof name, "%s%c%s--%.*s%s%.*s", flag->letter != 0 ? "-" : "",
                 flag->letter != 0 ? flag->letter : ' ', flag->letter != 0 ? ", " : "   ",
                 TEXT_ARG(flag->name), flag->argument.len > 0 ? " " : "", TEXT_ARG(flag->argument));
    Text text = {name, (size_t)MIN(len, (int)sizeof name - 1)};
    add_row(out, text, flag->help, FLAG_WIDTH);
}

static void add_settings(Builder *out) {
    AUTO(arena_free) Arena arena = {0};
    builder_add(out, TEXT("\nSettings (defaults in brackets):\n"));
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const SettingRow *row = &setting_rows[i];
        Text name = text_format(&arena, "    --%.*s", TEXT_ARG(row->key));
        add_row(out, name,
                text_format(&arena, "%.*s [%.*s]", TEXT_ARG(row->help), TEXT_ARG(row->standard)),
                FLAG_WIDTH);
    }
}

static void print_command(const Command *command, Builder *out) {
    builder_addf(out, "%.*s\n\nUsage: traceo %.*s%s%.*s [FLAGS]\n\n", TEXT_ARG(command->help),
                 TEXT_ARG(command->name), command->arguments.len > 0 ? " " : "",
                 TEXT_ARG(command->arguments));
    if (command->more.len > 0) {
        add_wrapped(out, command->more, 0, 0);
        builder_add_char(out, '\n');
    }
    builder_add(out, TEXT("Examples:\n"));
    add_examples(out, command->example);
    builder_add(out, TEXT("\nFlags:\n"));
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (flags[i].commands & 1u << (command - commands)) add_flag(out, &flags[i]);
    }
    if (command == &commands[COMMAND_SERVE]) {
        add_settings(out);
    } else if (command->settings) {
        builder_add(
            out, TEXT("  and every setting, as --memory.limit 1GiB: see `traceo help settings`\n"));
    }
}

static void print_program(Builder *out) {
    builder_add(out, TEXT("Traceo keeps metrics and answers queries in PromQL.\n\nUsage: traceo "
                          "[COMMAND] [ARGUMENTS] [FLAGS]\n\nCommands:\n"));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (commands[i].shown) add_row(out, commands[i].name, commands[i].help, COMMAND_WIDTH);
    }
    builder_add(
        out,
        TEXT("\nFirst steps:\n"
             "  traceo                              run the server, collecting this machine's "
             "metrics\n"
             "  traceo query node_load1             ask it, in another terminal\n"
             "\n`traceo help COMMAND` explains a command; `traceo help functions`, `settings`,\n"
             "`limits` and `errors` are reference. Exit codes: 0 fine, 1 failure, 2 usage,\n"
             "3 a check found problems, 4 no server answers, 130 interrupted.\n"));
}

void help_print(const Command *command, Builder *out) {
    if (command == NULL) {
        print_program(out);
    } else {
        print_command(command, out);
    }
}

// ---- Reference tables ----

static const char *const value_names[] = {[VALUE_NONE] = "",
                                          [VALUE_SCALAR] = "scalar",
                                          [VALUE_VECTOR] = "instant vector",
                                          [VALUE_MATRIX] = "range vector",
                                          [VALUE_STRING] = "string"};

static void cell(Table *table, const char *text) {
    table_cell(table, text_from_cstring(text));
}

static void columns(Table *table, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        table_column(table, text_from_cstring(names[i]), false, false);
}

static void commands_table(Table *table) {
    static const char *const names[] = {"command", "arguments", "help"};
    columns(table, names, COUNT(names));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!commands[i].shown) continue;
        table_cell(table, commands[i].name);
        table_cell(table, commands[i].arguments);
        table_cell(table, commands[i].help);
    }
}

static Text takes_text(const Function *function, Arena *arena) {
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < function->take_count; i++) {
        bool optional = i + function->optional >= function->take_count;
        builder_addf(&out, "%s%s%s%s", i > 0 ? ", " : "", optional ? "[" : "",
                     value_names[function->takes[i]], optional ? "]" : "");
    }
    if (function->variadic) builder_add(&out, TEXT(", …"));
    return text_copy(builder_text(&out), arena);
}

static void functions_table(Table *table) {
    static const char *const names[] = {"function", "takes", "gives", "here", "help", "example"};
    columns(table, names, COUNT(names));
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        const Function *function = &functions[i];
        table_cell(table, function->name);
        table_cell(table, takes_text(function, table->arena));
        cell(table, value_names[function->result]);
        cell(table, function->supported ? "yes" : "not yet");
        table_cell(table, function->help);
        table_cell(table, function->example);
    }
}

static void settings_table(Table *table) {
    static const char *const names[] = {"setting", "default", "unit", "reload", "help"};
    columns(table, names, COUNT(names));
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        table_cell(table, setting_rows[i].key);
        table_cell(table, setting_rows[i].standard);
        table_cell(table, setting_rows[i].unit);
        cell(table, setting_rows[i].reload ? "yes" : "at start");
        table_cell(table, setting_rows[i].help);
    }
}

static void limits_table(Table *table) {
    table_column(table, TEXT("limit"), false, false);
    table_column(table, TEXT("value"), true, true);
    table_column(table, TEXT("unit"), false, false);
    table_column(table, TEXT("why"), false, false);
    for (size_t i = 0; i < limit_row_count; i++) {
        cell(table, limit_rows[i].name);
        table_cell(table, text_format(table->arena, "%lld", (long long)limit_rows[i].value));
        cell(table, limit_rows[i].unit);
        cell(table, limit_rows[i].why);
    }
}

static void errors_table(Table *table) {
    static const char *const names[] = {"error", "meaning"};
    columns(table, names, COUNT(names));
    for (int code = ERROR_NONE + 1; code < ERROR_CODE_COUNT; code++) {
        cell(table, error_code_name((ErrorCode)code));
        cell(table, error_code_meaning((ErrorCode)code));
    }
}

// The reference as a terminal shows it: names in front, the rest wrapped behind.
static void print_functions(Builder *out) {
    AUTO(arena_free) Arena arena = {0};
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        const Function *function = &functions[i];
        builder_addf(
            out, "%.*s(%.*s) -> %s%s\n", TEXT_ARG(function->name),
            TEXT_ARG(takes_text(function, &arena)), value_names[function->result],
            function->supported ? "" : "   (not here yet: asked for, it is a clear error)");
        builder_add(out, TEXT("    "));
        add_wrapped(out, function->help, 4, 4);
        builder_addf(out, "    %.*s\n", TEXT_ARG(function->example));
    }
}

static void print_settings(Builder *out) {
    builder_add(
        out,
        TEXT(
            "Each setting can stand in the file (memory: {limit: 1GiB} or memory.limit: 1GiB), in\n"
            "the environment (TRACEO_MEMORY__LIMIT=1GiB) and on the command line (--memory.limit\n"
            "1GiB); the later wins. Those marked * change at a reload (SIGHUP or POST "
            "/-/reload).\n\n"));
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const SettingRow *row = &setting_rows[i];
        builder_addf(out, "%.*s%s = %.*s", TEXT_ARG(row->key), row->reload ? " *" : "",
                     TEXT_ARG(row->standard));
        if (row->unit.len > 0) builder_addf(out, "   (%.*s)", TEXT_ARG(row->unit));
        builder_add(out, TEXT("\n    "));
        add_wrapped(out, row->help, 4, 4);
    }
}

typedef struct Topic {
    Text name;
    void (*table)(Table *table);
    void (*print)(Builder *out);  // NULL: as a table
} Topic;

static const Topic topics[] = {
    {TEXT_INIT("commands"), commands_table, print_program},
    {TEXT_INIT("errors"), errors_table, NULL},
    {TEXT_INIT("functions"), functions_table, print_functions},
    {TEXT_INIT("limits"), limits_table, NULL},
    {TEXT_INIT("settings"), settings_table, print_settings},
};

static void print_topic(const Topic *topic, TableFormat format, Arena *arena, Builder *out) {
    if (format == TABLE_TEXT && topic->print != NULL) {
        topic->print(out);
        return;
    }
    Table table = {.arena = arena};
    topic->table(&table);
    table_print(&table, format, out);
}

ExitCode command_help(Call *call, Error *err) {
    TableFormat format;
    if (!call_format(call, &format, err)) return CODE_USAGE;
    Text name = call_argument(call, 0);
    if (name.at == NULL) name = TEXT("commands");
    AUTO(builder_free) Builder out = {0};
    const Topic *topic = NULL;
    for (size_t i = 0; i < COUNT(topics); i++) {
        if (text_equal(topics[i].name, name)) topic = &topics[i];
    }
    const Command *command = command_find(name);
    if (topic != NULL) {
        print_topic(topic, format, call->arena, &out);
    } else if (command != NULL) {
        help_print(command, &out);
    } else {
        const Function *function = function_find(name);
        if (function == NULL) return command_unknown(name, err) ? CODE_OK : CODE_USAGE;
        builder_addf(&out, "%.*s(%.*s) -> %s\n%.*s\n  %.*s\n", TEXT_ARG(function->name),
                     TEXT_ARG(takes_text(function, call->arena)), value_names[function->result],
                     TEXT_ARG(function->help), TEXT_ARG(function->example));
        if (!function->supported)
            builder_add(&out, TEXT("Not here yet: asked for, it is a clear error.\n"));
    }
    return call_print(builder_text(&out), err);
}
