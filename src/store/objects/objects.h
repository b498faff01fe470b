// Objects: named immutable blobs; put whole, get by range, list by prefix, delete. Put is atomic
// and durable.
//
// The embedded side is a directory (write, fsync, rename, fsync the directory); object storage
// comes later behind the same table of functions. Names are made of [a-z0-9._-] and '/', composed
// by us, never from outside. Any thread.
#pragma once

#include "os/disk.h"

typedef struct Objects Objects;

typedef struct Object {
    Bytes bytes;  // the whole object, read-only; not trusted until its checksums were verified
    File *file;
} Object;

// An object on its way, in pieces: it need not be in memory whole. One thread at a time.
typedef struct ObjectDraft ObjectDraft;

struct Objects {
    void *context;
    // The whole of it, visible at once and durable, or not there at all. Replaces an object of the
    // same name.
    bool (*put)(Objects *objects, Text name, Bytes content, Error *err);
    // The same in pieces: `begin`, then `add` each behind the one before; what was added may be
    // read again, all `len` bytes or an error. Nobody sees it until `finish`. `abandon` ends it in
    // place of that, and whatever came of it; NULL is fine. One draft of a name at a time.
    bool (*begin)(Objects *objects, Text name, ObjectDraft **out, Error *err);
    bool (*add)(Objects *objects, ObjectDraft *draft, Bytes piece, Error *err);
    bool (*read)(Objects *objects, ObjectDraft *draft, int64_t offset, void *into, size_t len,
                 Error *err);
    bool (*finish)(Objects *objects, ObjectDraft *draft, Error *err);
    void (*abandon)(Objects *objects, ObjectDraft **draft);
    // Maps it. `bytes` is the size as stated elsewhere; another size is CORRUPT (W17). NOT_FOUND
    // when missing.
    bool (*open)(Objects *objects, Text name, int64_t bytes, Object *out, Error *err);
    void (*close)(Objects *objects, Object *object);
    // This part of the bytes of an object will be looked at soon: it is fetched now, in one go. A
    // hint: it does not wait, nor fail.
    void (*will_need)(Objects *objects, Bytes part);
    bool (*remove)(Objects *objects, Text name, Error *err);  // missing is fine
    // Every object whose name begins with `prefix`, sorted, in folders too; `*.tmp` leftovers of a
    // crash and strangers are listed as well, so that the owner can quarantine what its manifests
    // do not name (W15).
    bool (*list)(Objects *objects, Text prefix, Arena *arena, DiskEntries *out, Error *err);
    // The object under a second name, as the file `path` of the same disk, which is not there yet:
    // it takes no space and outlives `remove`. Durable once its folder is synced.
    bool (*publish)(Objects *objects, Text name, Text path, Error *err);
    // Reads past the page cache and compares with `crc` of the whole (W14: verify before the log is
    // trimmed).
    bool (*verify)(Objects *objects, Text name, int64_t bytes, uint32_t crc, Error *err);
};

must_use bool objects_open_directory(Disk *disk, Text folder, Objects **out, Error *err);
void objects_close(Objects **objects);
