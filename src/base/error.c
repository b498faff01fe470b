// Errors: filled where they happen, extended on the way up.

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static const char *const names[] = {
    "NONE",
#define ERROR(name, blame, meaning) #name,
#include "base/error.def"
#undef ERROR
};

static const char *const meanings[] = {
    "No error.",
#define ERROR(name, blame, meaning) meaning,
#include "base/error.def"
#undef ERROR
};

bool error_raise(Error *err, ErrorCode code, const char *file, int line, const char *format, ...) {
    if (err == NULL) return false;
    err->code = code;
    err->file = file;
    err->line = line;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return false;
}

bool error_context(Error *err, const char *format, ...) {
    if (err == NULL) return false;
    char context[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    size_t len = strlen(context);
    size_t room = sizeof err->message - 1;
    if (len + 2 > room) return false;  // no room left for what went wrong: keep that instead
    size_t kept = MIN(strlen(err->message), room - len - 2);
    memmove(err->message + len + 2, err->message, kept);
    memcpy(err->message, context, len);
    memcpy(err->message + len, ": ", 2);
    err->message[len + 2 + kept] = '\0';
    return false;
}

ErrorCode error_code_from_errno(int number, ErrorCode otherwise) {
    if (number == ENOSPC || number == EDQUOT) return ERROR_DISK_FULL;
    if (number == ENOMEM) return ERROR_NO_MEMORY;
    return otherwise;
}

const char *error_code_name(ErrorCode code) {
    assert(code >= 0 && code < ERROR_CODE_COUNT);
    return names[code];
}

const char *error_code_meaning(ErrorCode code) {
    assert(code >= 0 && code < ERROR_CODE_COUNT);
    return meanings[code];
}
