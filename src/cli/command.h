// Commands and flags: two tables, and the call that the words of a command line become.
//
// One row of commands.def is all there is to know about a command, one of flags.def about a flag.
// `traceo help`, the manual page, the completions and the tests read the same rows.
#pragma once

#include "base/array.h"
#include "base/error.h"
#include "base/text.h"

typedef enum CommandId {
#define COMMAND(id, name, arguments, most, shown, settings, run, example, help, more) COMMAND_##id,
#include "cli/commands.def"
#undef COMMAND
    COMMAND_COUNT
} CommandId;

// A bit per command, for the rows of flags.def.
enum {
#define COMMAND(id, name, arguments, most, shown, settings, run, example, help, more) \
    FOR_##id = 1 << COMMAND_##id,
#include "cli/commands.def"
#undef COMMAND
};

typedef enum FlagId {
#define FLAG(id, name, letter, argument, many, commands, help) FLAG_##id,
#include "cli/flags.def"
#undef FLAG
    FLAG_COUNT
} FlagId;

// What the shell is told. Scripts rely on these numbers.
typedef enum ExitCode {
    CODE_OK = 0,
    CODE_FAILED = 1,
    CODE_USAGE = 2,        // the command line is not understood
    CODE_PROBLEMS = 3,     // a check found problems
    CODE_UNREACHABLE = 4,  // no server answered
    CODE_INTERRUPTED = 130,
} ExitCode;

typedef struct Call Call;

typedef struct Command {
    Text name;
    Text arguments;  // as shown in the usage line; empty: none
    size_t most;     // how many arguments there may be
    bool shown;      // in help, manual and completions
    bool settings;   // takes every setting as a flag too
    ExitCode (*run)(Call *call,
                    Error *err);  // fills `err` when the code is not OK and there is more to say
    Text example;                 // several are separated by a line end
    Text help;                    // one sentence
    Text more;                    // what else to know; may be empty
} Command;

typedef struct Flag {
    Text name;
    char letter;        // 0: none
    Text argument;      // empty: a switch
    bool many;          // may come several times
    unsigned commands;  // FOR_… bits
    Text help;
} Flag;

extern const Command commands[COMMAND_COUNT];  // sorted by name
extern const Flag flags[FLAG_COUNT];           // sorted by name

const Command *command_find(Text name);  // NULL when there is none
must_use bool command_unknown(
    Text name, Error *err);  // false: says that there is no such command, and which one was meant

// ---- A call ----

typedef struct CallFlag {
    const Flag *flag;  // NULL: a setting
    Text name;         // as written, without hyphens
    Text value;
} CallFlag;

struct Call {
    const Command *command;
    Arena *arena;
    ARRAY(Text) arguments;
    ARRAY(CallFlag) flags;  // in their order
    bool help;              // --help was asked for
};

// Words behind the command's name. BAD_INPUT says what is wrong and, where something is near, what
// was meant.
must_use bool call_parse(const Command *command, Texts words, Arena *arena, Call *out, Error *err);

bool call_has(const Call *call, FlagId id);
Text call_flag(const Call *call,
               FlagId id);  // the last one's value; TEXT_NONE when it was not given
Text call_argument(const Call *call, size_t index);  // TEXT_NONE when there are fewer

// For commands: fills `err` with a sentence that ends in where to find help; returns CODE_USAGE.
ExitCode call_usage(const Call *call, Error *err, const char *format, ...) printf_like(3, 4);

// Standard output, or CODE_FAILED when it is closed.
ExitCode call_print(Text text, Error *err);

// The whole of main(): words without the program's name; prints what there is to say.
ExitCode cli_run(Texts words);
