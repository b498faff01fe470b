// Failure is a return value that tells its story.
//
// What can fail returns bool, is must_use and takes `Error *err` last. False and a filled `err`
// travel together. Each floor adds what it alone knows with error_context on the way up:
//   "opening blocks/0042: 8 bytes of chunks, not 9"   (CORRUPT, store/series/block.c:29)
// Error is a plain struct on the caller's stack; nothing is allocated, a long message is cut.
#pragma once

#include "base/language.h"

typedef enum ErrorCode {
    ERROR_NONE = 0,
#define ERROR(name, blame, meaning) ERROR_##name,
#include "base/error.def"
#undef ERROR
    ERROR_CODE_COUNT
} ErrorCode;

enum { ERROR_MESSAGE_MAX = 512 };

typedef struct Error {
    ErrorCode code;
    int line;                         // where it was raised
    const char *file;                 // a literal
    char message[ERROR_MESSAGE_MAX];  // NUL-terminated, valid UTF-8 as far as its inputs were
} Error;

// Fills `err` (NULL is fine) and returns false, so that `return error_set(…)` reads well.
#define error_set(err, code, ...) error_raise((err), (code), __FILE__, __LINE__, __VA_ARGS__)

bool error_raise(Error *err, ErrorCode code, const char *file, int line, const char *format, ...)
    printf_like(5, 6);

// Puts "context: " in front of the message; returns false.
bool error_context(Error *err, const char *format, ...) printf_like(2, 3);

// Code from errno: ENOSPC and EDQUOT are DISK_FULL, ENOMEM is NO_MEMORY, all else `otherwise`.
ErrorCode error_code_from_errno(int number, ErrorCode otherwise);

const char *error_code_name(ErrorCode code);     // "CORRUPT"
const char *error_code_meaning(ErrorCode code);  // the sentence of error.def
