// What commands.def names: one function per command, in the file of its name. Private to cli.
#pragma once

#include "cli/command.h"

ExitCode command_check(Call *call, Error *err);
ExitCode command_completion(Call *call, Error *err);
ExitCode command_doctor(Call *call, Error *err);
ExitCode command_export(Call *call, Error *err);
ExitCode command_help(Call *call, Error *err);
ExitCode command_import(Call *call, Error *err);
ExitCode command_inspect(Call *call, Error *err);
ExitCode command_key(Call *call, Error *err);
ExitCode command_man(Call *call, Error *err);
ExitCode command_push(Call *call, Error *err);
ExitCode command_query(Call *call, Error *err);
ExitCode command_serve(Call *call, Error *err);
ExitCode command_verify(Call *call, Error *err);
ExitCode command_version(Call *call, Error *err);

// help.c: the explanation of one command, and of the whole program (NULL), for help, --help and
// usage errors.
void help_print(const Command *command, Builder *out);
