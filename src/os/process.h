// This process and the machine under it: signals, limits, memory, environment, standard streams.
#pragma once

#include "base/error.h"
#include "base/text.h"

int64_t process_memory_resident(void);       // bytes, now
int64_t process_memory_resident_peak(void);  // bytes
int64_t machine_memory_total(void);          // bytes; a container's limit when lower
int64_t process_files_open(void);
int64_t process_files_max(void);
int64_t process_files_raise(void);  // soft limit to hard limit; returns it
int64_t process_id(void);
Text process_program_path(Arena *arena);
Text process_folder(Arena *arena);         // the working directory
_Noreturn void process_end_now(int code);  // nothing is closed or written any more
Text machine_name(Arena *arena);           // hostname
Text machine_kernel(Arena *arena);         // "Linux 6.1.0-28-amd64 x86_64"

// The value of an environment variable, or {NULL, 0}.
Text environment_get(const char *name);

// SIGTERM and SIGINT ask to stop, SIGHUP to reload; SIGPIPE is ignored. The handler only writes one
// byte; call from one place and wait with signals_wait.
typedef enum SignalKind { SIGNAL_NONE, SIGNAL_STOP, SIGNAL_RELOAD } SignalKind;
must_use bool signals_begin(Error *err);
SignalKind signals_wait(int64_t timeout_ms);  // NONE when the time is over
void signals_raise(SignalKind kind);          // from inside: as if the signal had come

// Standard streams, whole or not at all.
must_use bool stream_write_out(Text text, Error *err);
void stream_write_err(Text text);
must_use bool stream_read_in(int64_t bytes_max, Builder *out, Error *err);  // all of standard input
// At most `len` bytes of standard input, waiting for the first; `*got` 0 at its end.
must_use bool stream_read_some(void *into, size_t len, size_t *got, Error *err);
bool stream_out_is_terminal(void);
bool stream_err_is_terminal(void);
bool stream_in_is_terminal(void);

// A small file of /proc or /sys, whole; for reading the host's own state. Missing is NOT_FOUND.
must_use bool process_read_file(const char *path, Builder *out, Error *err);

// statvfs of a mount point, for the file-system metrics.
typedef struct MountSpace {
    int64_t bytes, bytes_free, bytes_available, files, files_free;
    bool read_only;
} MountSpace;
must_use bool mount_space(const char *path, MountSpace *out, Error *err);
