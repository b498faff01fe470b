// Functions that do not compile here, each with what to use instead. Included by the build in front
// of every file (-include), so system headers are read first and the names poisoned after.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#ifndef __cplusplus
#undef alloca
#pragma GCC poison strcpy strcat strncpy strncat stpcpy /* Text, Builder */
#pragma GCC poison sprintf vsprintf gets                /* Builder, snprintf */
#pragma GCC poison atoi atol atoll atof                 /* text_to_i64, text_to_f64 */
#pragma GCC poison gmtime localtime ctime asctime       /* os/clock.h */
#pragma GCC poison alloca strtok                        /* an arena; text_cut */
#endif
