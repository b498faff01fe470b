// The tables, and making a call of the words of a command line.

#include "cli/command.h"

#include <stdarg.h>

#include "app/app.h"
#include "cli/run.h"
#include "os/process.h"

enum { NEAR_MAX = 2 };  // letters apart that still look like a slip

const Command commands[COMMAND_COUNT] = {
#define SETTINGS    true
#define NO_SETTINGS false
#define COMMAND(id, name, arguments, most, shown, settings, run, example, help, more)              \
    [COMMAND_##                                                                                    \
        id] = {TEXT_INIT(name),    TEXT_INIT(arguments), (most),         (shown), (settings), run, \
               TEXT_INIT(example), TEXT_INIT(help),      TEXT_INIT(more)},
#include "cli/commands.def"
#undef COMMAND
#undef SETTINGS
#undef NO_SETTINGS
};

const Flag flags[FLAG_COUNT] = {
#define FLAG(id, name, letter, argument, many, commands, help)                        \
    [FLAG_##id] = {TEXT_INIT(name),      (letter),       TEXT_INIT(argument), (many), \
                   (unsigned)(commands), TEXT_INIT(help)},
#include "cli/flags.def"
#undef FLAG
};

const Command *command_find(Text name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (text_equal(commands[i].name, name)) return &commands[i];
    }
    return NULL;
}

// ---- Suggestions ----

typedef struct Nearest {
    Text wanted;
    Text found;
    size_t distance;
} Nearest;

static void nearest_try(Nearest *nearest, Text candidate) {
    size_t distance = text_distance(nearest->wanted, candidate);
    // "qurey" and "serv" are slips; "xy" for "man" is another word.
    bool begins = nearest->wanted.len >= 3 && text_starts_with(candidate, nearest->wanted);
    if (begins) distance = 1;
    if (distance > NEAR_MAX || distance >= candidate.len || distance >= nearest->distance) return;
    nearest->distance = distance;
    nearest->found = candidate;
}

static Nearest nearest_begin(Text wanted) {
    return (Nearest){.wanted = wanted, .distance = SIZE_MAX};
}

static bool unknown_flag(const Command *command, Text name, bool is_long, Error *err) {
    const char *hyphens = is_long ? "--" : "-";
    unsigned bit = 1u << (command - commands);
    Nearest nearest = nearest_begin(name);
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (flags[i].commands & bit) nearest_try(&nearest, flags[i].name);
    }
    for (size_t i = 0; command->settings && i < SETTING_COUNT; i++)
        nearest_try(&nearest, setting_rows[i].key);
    if (nearest.found.at != NULL) {
        return error_set(err, ERROR_BAD_INPUT, "%.*s has no flag %s%.*s; did you mean --%.*s?",
                         TEXT_ARG(command->name), hyphens, TEXT_ARG(name), TEXT_ARG(nearest.found));
    }
    return error_set(err, ERROR_BAD_INPUT, "%.*s has no flag %s%.*s; `traceo help %.*s` lists them",
                     TEXT_ARG(command->name), hyphens, TEXT_ARG(name), TEXT_ARG(command->name));
}

// ---- Parsing ----

static const Flag *flag_find(const Command *command, Text name) {
    unsigned bit = 1u << (command - commands);
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        bool letter = name.len == 1 && flags[i].letter == name.at[0];
        if ((flags[i].commands & bit) && (letter || text_equal(flags[i].name, name)))
            return &flags[i];
    }
    return NULL;
}

// Is there a setting of this name? Its value is judged later, layer by layer.
static bool is_setting(const Command *command, Text name, Arena *arena) {
    if (!command->settings) return false;
    Settings probe;
    settings_begin(&probe, arena);
    bool known = false;
    Error ignored;
    (void)!settings_read_flag(&probe, name, TEXT("x"), &known, &ignored);
    return known;
}

typedef struct Words {
    Texts all;
    size_t next;
} Words;

// -x and --xyz, with their value: behind '=', or the next word.
static bool take_flag(Call *call, Words *words, Text word, Error *err) {
    bool is_long = text_starts_with(word, TEXT("--"));
    Text name = text_slice(word, is_long ? 2 : 1, word.len), value = TEXT_NONE;
    ptrdiff_t equals = text_find_char(name, '=');
    if (equals >= 0) {
        value = text_slice(name, (size_t)equals + 1, name.len);
        name = text_slice(name, 0, (size_t)equals);
    } else if (!is_long && name.len > 1) {
        value = text_slice(name, 1, name.len);  // -ojson
        name = text_slice(name, 0, 1);
    }
    const Flag *flag = flag_find(call->command, name);
    if (flag != NULL && !is_long && name.at[0] != flag->letter) flag = NULL;
    bool setting = flag == NULL && is_long && is_setting(call->command, name, call->arena);
    if (flag == NULL && !setting) return unknown_flag(call->command, name, is_long, err);
    bool is_switch = flag != NULL && flag->argument.len == 0;
    if (is_switch && value.at != NULL) {
        return error_set(err, ERROR_BAD_INPUT, "--%.*s takes no value", TEXT_ARG(flag->name));
    }
    if (!is_switch && value.at == NULL) {
        if (words->next == words->all.count) {
            return error_set(
                err, ERROR_BAD_INPUT, "--%.*s wants a value: %.*s",
                TEXT_ARG(flag != NULL ? flag->name : name),
                TEXT_ARG(flag != NULL ? flag->argument : TEXT("see `traceo help settings`")));
        }
        value = words->all.at[words->next++];
    }
    if (flag == &flags[FLAG_HELP]) call->help = true;
    *array_add_on(call->arena, &call->flags) =
        (CallFlag){flag, flag != NULL ? flag->name : name, value};
    return true;
}

bool call_parse(const Command *command, Texts words, Arena *arena, Call *out, Error *err) {
    *out = (Call){.command = command, .arena = arena};
    Words left = {words, 0};
    bool only_arguments = false;
    while (left.next < words.count) {
        Text word = words.at[left.next++];
        if (!only_arguments && text_equal(word, TEXT("--"))) {
            only_arguments = true;
        } else if (!only_arguments && word.len > 1 && word.at[0] == '-') {
            TRY(take_flag(out, &left, word, err));
        } else {
            *array_add_on(arena, &out->arguments) = word;
        }
    }
    if (!out->help && out->arguments.count > command->most) {
        return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is one argument too many for %.*s%s",
                         TEXT_ARG(out->arguments.at[command->most]), TEXT_ARG(command->name),
                         command == &commands[COMMAND_QUERY] ? "; put the query in quotes" : "");
    }
    return true;
}

bool call_has(const Call *call, FlagId id) {
    return call_flag(call, id).at != NULL;
}

Text call_flag(const Call *call, FlagId id) {
    for (size_t i = call->flags.count; i > 0; i--) {
        const CallFlag *given = &call->flags.at[i - 1];
        if (given->flag == &flags[id]) return given->value.at != NULL ? given->value : TEXT("");
    }
    return TEXT_NONE;
}

Text call_argument(const Call *call, size_t index) {
    return index < call->arguments.count ? call->arguments.at[index] : TEXT_NONE;
}

// ---- Saying ----

ExitCode call_usage(const Call *call, Error *err, const char *format, ...) {
    char message[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    error_set(err, ERROR_BAD_INPUT, "%s; see `traceo help %.*s`", message,
              TEXT_ARG(call->command->name));
    return CODE_USAGE;
}

ExitCode call_print(Text text, Error *err) {
    return stream_write_out(text, err) ? CODE_OK : CODE_FAILED;
}

static void say(const char *prefix, const Error *err) {
    AUTO(builder_free) Builder line = {0};
    builder_addf(&line, "%s%s\n", prefix, err->message);
    stream_write_err(builder_text(&line));
}

bool command_unknown(Text name, Error *err) {
    Nearest nearest = nearest_begin(name);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (commands[i].shown) nearest_try(&nearest, commands[i].name);
    }
    if (nearest.found.at != NULL) {
        return error_set(err, ERROR_BAD_INPUT,
                         "there is no command \"%.*s\"; did you mean \"traceo %.*s\"?",
                         TEXT_ARG(name), TEXT_ARG(nearest.found));
    }
    return error_set(err, ERROR_BAD_INPUT, "there is no command \"%.*s\"; `traceo help` lists them",
                     TEXT_ARG(name));
}

static ExitCode run_command(const Command *command, Texts words, Arena *arena, Error *err) {
    Call call;
    if (!call_parse(command, words, arena, &call, err)) return CODE_USAGE;
    if (!call.help) return command->run(&call, err);
    AUTO(builder_free) Builder out = {0};
    help_print(command, &out);
    return call_print(builder_text(&out), err);
}

// `traceo`, `traceo --data x`: serve; `traceo --help` and `traceo --version`: the two questions
// that everyone asks.
static ExitCode run_words(Texts words, Arena *arena, Error *err) {
    Text first = words.count > 0 ? words.at[0] : TEXT_NONE;
    Texts rest = words.count > 0 ? (Texts){words.at + 1, words.count - 1} : words;
    if (text_equal(first, TEXT("--version")) || text_equal(first, TEXT("-V"))) {
        return run_command(&commands[COMMAND_VERSION], rest, arena, err);
    }
    if (text_equal(first, TEXT("--help")) || text_equal(first, TEXT("-h"))) {
        return run_command(&commands[COMMAND_HELP], rest, arena, err);
    }
    if (first.len == 0 || first.at[0] == '-')
        return run_command(&commands[COMMAND_SERVE], words, arena, err);
    const Command *command = command_find(first);
    if (command == NULL) {
        (void)!command_unknown(first, err);
        return CODE_USAGE;
    }
    return run_command(command, rest, arena, err);
}

ExitCode cli_run(Texts words) {
    AUTO(arena_free) Arena arena = {0};
    Error err = {0};
    ExitCode code = run_words(words, &arena, &err);
    if (err.code != ERROR_NONE) say("traceo: ", &err);
    return code;
}
