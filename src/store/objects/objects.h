// Objects: named immutable blobs; put whole, get by range, list by prefix, delete. Put is atomic and durable.
//
// The embedded side is a directory (write, fsync, rename, fsync the directory); object storage comes later
// behind the same table of functions. Names are made of [a-z0-9._-] and '/', composed by us, never from outside. Any thread.
#pragma once

#include "os/disk.h"

typedef struct Objects Objects;

typedef struct Object {
    Bytes bytes;   // the whole object, read-only; not trusted until its checksums were verified
    File *file;
} Object;

struct Objects {
    void *context;
    // Writes in pieces: begin, add …, then commit makes the whole visible at once, or abandon.
    bool (*put)(Objects *objects, Text name, Bytes content, Error *err);
    bool (*open)(Objects *objects, Text name, int64_t bytes, Object *out, Error *err);  // size as stated elsewhere
    void (*close)(Objects *objects, Object *object);
    bool (*remove)(Objects *objects, Text name, Error *err);  // missing is fine
    bool (*list)(Objects *objects, Text prefix, Arena *arena, DiskEntries *out, Error *err);
    // Reads past the page cache and compares with `crc` of the whole (W14: verify before the log is trimmed).
    bool (*verify)(Objects *objects, Text name, int64_t bytes, uint32_t crc, Error *err);
};

must_use bool objects_open_directory(Disk *disk, Text folder, Objects **out, Error *err);
void objects_close(Objects **objects);
