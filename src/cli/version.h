// What this binary is. Private to cli.
#pragma once

#include "server/server.h"

// Written by the build from revision.c.in and date.c.in; version, compiler and features are its
// defines.
extern const char build_revision[];
extern const char build_date[];

ServerBuild build_facts(void);
