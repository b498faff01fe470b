// Parts of `traceo check`. Private to cli.
#pragma once

#include "cli/run.h"

// A page of metrics: `path`, or standard input when it is empty or "-".
ExitCode check_metrics(Call *call, Text path, Error *err);
