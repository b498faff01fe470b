// `traceo man`: the manual page in roff (man(7)), made of the tables. The build installs it.

#include "app/app.h"
#include "cli/run.h"
#include "cli/version.h"

// One character beyond ASCII as roff's own name for it, "…" as \[u2026]; *at stands on its first
// byte, and on its last afterwards. Our tables are UTF-8.
static void add_character(Builder *out, Text text, size_t *at) {
    uint8_t first = (uint8_t)text.at[*at];
    int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    uint32_t point = first & (0x3fu >> more);
    for (; more > 0 && *at + 1 < text.len; more--)
        point = point << 6 | ((uint8_t)text.at[++*at] & 0x3fu);
    builder_addf(out, "\\[u%04X]", point);
}

// Backslashes, hyphens and a leading dot or quote mean something to roff.
static void add_roff(Builder *out, Text text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool line_start = out->len == 0 || out->at[out->len - 1] == '\n';
        if (line_start && (c == '.' || c == '\'')) builder_add(out, TEXT("\\&"));
        if (c == '\\') {
            builder_add(out, TEXT("\\e"));
        } else if (c == '-') {
            builder_add(out, TEXT("\\-"));
        } else if (c == '\n') {
            builder_add(out, TEXT("\n.br\n"));
        } else if ((uint8_t)c >= 0x80) {
            add_character(out, text, &i);
        } else {
            builder_add_char(out, c);
        }
    }
}

static void add_line(Builder *out, const char *before, Text text) {
    builder_addf(out, "%s", before);
    add_roff(out, text);
    builder_add_char(out, '\n');
}

static void add_flag(Builder *out, const Flag *flag) {
    builder_add(out, TEXT(".TP\n\\fB"));
    if (flag->letter != 0) builder_addf(out, "\\-%c\\fR, \\fB", flag->letter);
    builder_add(out, TEXT("\\-\\-"));
    add_roff(out, flag->name);
    builder_add(out, TEXT("\\fR"));
    if (flag->argument.len > 0) {
        builder_add(out, TEXT(" \\fI"));
        add_roff(out, flag->argument);
        builder_add(out, TEXT("\\fR"));
    }
    builder_add_char(out, '\n');
    add_roff(out, flag->help);
    builder_add_char(out, '\n');
}

static void add_command(Builder *out, const Command *command) {
    builder_add(out, TEXT(".SS \"traceo "));
    add_roff(out, command->name);
    if (command->arguments.len > 0) {
        builder_add_char(out, ' ');
        add_roff(out, command->arguments);
    }
    builder_add(out, TEXT("\"\n"));
    add_roff(out, command->help);
    builder_add_char(out, '\n');
    if (command->more.len > 0) add_line(out, ".PP\n", command->more);
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        bool own =
            flags[i].commands != ~0u && (flags[i].commands & 1u << (command - commands)) != 0;
        if (own) add_flag(out, &flags[i]);
    }
    builder_add(out, TEXT(".PP\n.RS\n.nf\n"));
    Text line;
    for (Text rest = command->example; text_cut(&rest, '\n', &line);) add_line(out, "", line);
    builder_add(out, TEXT(".fi\n.RE\n"));
}

static void add_settings(Builder *out) {
    builder_add(out, TEXT(".SH SETTINGS\nEach stands in the file, in the environment "
                          "(\\fBTRACEO_MEMORY__LIMIT\\fR for "
                          "\\fBmemory.limit\\fR) or on the command line "
                          "(\\fB\\-\\-memory.limit\\fR); the later wins.\n"));
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const SettingRow *row = &setting_rows[i];
        add_line(out, ".TP\n.B ", row->key);
        add_roff(out, row->help);
        add_line(out, " Default: ", row->standard);
    }
}

ExitCode command_man(Call *call, Error *err) {
    ServerBuild build = build_facts();
    AUTO(builder_free) Builder out = {0};
    builder_addf(&out, ".TH TRACEO 1 \"\" \"Traceo %.*s\" \"User Commands\"\n",
                 TEXT_ARG(build.version));
    builder_add(
        &out,
        TEXT(".SH NAME\ntraceo \\- keeps metrics and answers queries in PromQL\n"
             ".SH SYNOPSIS\n.B traceo\n[\\fICOMMAND\\fR] [\\fIARGUMENTS\\fR] [\\fIFLAGS\\fR]\n"
             ".SH DESCRIPTION\nOne program and one data directory: Prometheus writes to it by "
             "remote write, PromQL asks it "
             "over Prometheus' HTTP API. What it has acknowledged survives kill \\-9 and power "
             "loss. Without a command it "
             "runs the server.\n.SH COMMANDS\n"));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (commands[i].shown) add_command(&out, &commands[i]);
    }
    add_settings(&out);
    builder_add(&out, TEXT(".SH EXIT STATUS\n0 fine, 1 failure, 2 the command line is not "
                           "understood, 3 a check found problems, "
                           "4 no server answers, 130 interrupted.\n"
                           ".SH FILES\n.TP\n.I /etc/traceo/traceo.yaml\nSettings, read when there "
                           "is no \\-\\-config.\n"));
    return call_print(builder_text(&out), err);
}
