// The disk: every file operation of Traceo goes through one of these tables of functions.
//
//   disk_real()   the operating system
//   disk_model()  in memory, for tests: knows what a power cut may leave behind   (disk_model.h)
//   disk_fault()  around another: makes the n-th call fail, fall short or wait     (disk_fault.h)
//
// Paths are absolute or relative as given, without `..` handling: callers compose them from names
// they made themselves, never from outside. Any thread; one File is written by one thread at a
// time. Errors: IO with the errno text and the path, DISK_FULL, NOT_FOUND, IN_USE for a held lock.
// EINTR is repeated inside, short writes are continued inside (W11); a failed sync is reported once
// and never retried here (W8).
#pragma once

#include "base/error.h"
#include "base/text.h"

typedef struct File File;  // opaque; each disk has its own inside

typedef enum FileMode {
    FILE_READ,          // must exist
    FILE_WRITE,         // read and write, must exist
    FILE_CREATE,        // read and write, must not exist (O_CREAT | O_EXCL)
    FILE_READ_DIRECT,   // past the page cache where the file system can (O_DIRECT), else as
                        // FILE_READ
    FILE_WRITE_DIRECT,  // offsets, lengths and memory in multiples of DISK_ALIGN
    FILE_CREATE_DIRECT,
} FileMode;

// What O_DIRECT wants: offset, length and address are multiples of this.
enum { DISK_ALIGN = 4096 };

typedef struct DiskEntry {
    Text name;  // without the folder
    int64_t bytes;
    bool is_folder;
} DiskEntry;

typedef struct DiskEntries {
    DiskEntry *at;  // sorted by name
    size_t count;
} DiskEntries;

typedef struct DiskSpace {
    int64_t total_bytes;
    int64_t free_bytes;  // for an ordinary user
    int64_t free_files;
} DiskSpace;

typedef struct Disk Disk;
struct Disk {
    void *context;
    bool (*open)(Disk *disk, Text path, FileMode mode, File **out, Error *err);
    void (*close)(Disk *disk, File **file);  // NULL is fine; a write that matters was synced before
    bool (*size)(Disk *disk, File *file, int64_t *out, Error *err);
    // Reads up to `len` bytes at `offset`; fewer only at the end of the file (*got says how many).
    bool (*read)(Disk *disk, File *file, int64_t offset, void *into, size_t len, size_t *got,
                 Error *err);
    bool (*write)(Disk *disk, File *file, int64_t offset, const void *from, size_t len, Error *err);
    bool (*resize)(Disk *disk, File *file, int64_t bytes, Error *err);
    bool (*sync_data)(Disk *disk, File *file, Error *err);  // fdatasync
    bool (*sync)(Disk *disk, File *file, Error *err);       // fsync
    // A read-only view of the whole file, valid until unmap. The bytes are not trusted. `bytes` is
    // the size the caller expects (from a manifest): another size is CORRUPT (W17). A page that
    // cannot be read later shows zeros (W10), which the reader's checksum finds.
    bool (*map)(Disk *disk, File *file, int64_t bytes, Bytes *out, Error *err);
    void (*unmap)(Disk *disk, Bytes *view);
    // This part of a view will be looked at soon: it is read now, in one go. A hint: it does not
    // wait, nor fail.
    void (*will_need)(Disk *disk, Bytes part);
    // A lock of the whole file that another process cannot take (OFD); freed by close.
    bool (*lock)(Disk *disk, File *file, Error *err);  // ERROR_IN_USE

    bool (*make_folder)(Disk *disk, Text path, Error *err);  // one level; already there is fine
    bool (*sync_folder)(Disk *disk, Text path, Error *err);
    bool (*list)(Disk *disk, Text path, Arena *arena, DiskEntries *out, Error *err);
    bool (*rename)(Disk *disk, Text from, Text to, Error *err);  // replaces `to`
    // A second name for a file that must not be there yet (a hard link); durable with the folder.
    bool (*link)(Disk *disk, Text from, Text to, Error *err);
    bool (*remove)(Disk *disk, Text path, Error *err);         // a file; missing is NOT_FOUND
    bool (*remove_folder)(Disk *disk, Text path, Error *err);  // must be empty
    bool (*exists)(Disk *disk, Text path, bool *out, Error *err);
    bool (*space)(Disk *disk, Text path, DiskSpace *out, Error *err);
};

Disk *disk_real(void);

// Compositions that several rooms need, over any disk:

// The whole file into `arena`; larger than `bytes_max` is TOO_LARGE.
must_use bool disk_read_whole(Disk *disk, Text path, int64_t bytes_max, Arena *arena, Bytes *out,
                              Error *err);

// Atomic and durable: writes `path`.tmp, syncs it, renames it over `path`, syncs the folder. The
// old content or the new one is there after a power cut, nothing between (W14, W15).
must_use bool disk_replace(Disk *disk, Text folder, Text name, Bytes content, Error *err);

// Makes `path` and what is missing above it, each synced into its parent (W1).
must_use bool disk_make_folders(Disk *disk, Text path, Error *err);

// Memory as FILE_*_DIRECT wants it; NULL-safe close for AUTO.
must_use bool disk_buffer_take(size_t bytes, uint8_t **out, Error *err);
void disk_buffer_free(uint8_t **buffer);
