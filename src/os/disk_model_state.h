// What the disk in memory consists of; shared by disk_model.c (living) and disk_model_crash.c
// (dying).
//
//   node (a file)      live image  = what reads see
//                      durable image + pending changes, in order = what the platter may hold
//   node (a folder)    live entries, durable entries + pending changes, likewise
//
// Bytes and names are shared by counted reference and copied on write, so that a copy of a whole
// model costs no more than its tables.
#pragma once

#include <stdatomic.h>

#include "base/array.h"
#include "os/disk_model.h"
#include "os/thread.h"

enum { SECTOR_BYTES = 512 };

// Bytes with a count of who holds them; only a single holder may change them.
typedef struct Shared {
    _Atomic int holders;
    size_t capacity;
    uint8_t at[];
} Shared;

// The bytes of a file. Those from `size` to the capacity are always zero.
typedef struct Image {
    Shared *bytes;  // NULL: no byte yet
    size_t size;
} Image;

typedef enum ChangeKind { CHANGE_WRITE, CHANGE_RESIZE } ChangeKind;

typedef struct Change {
    ChangeKind kind;
    bool lost;      // a failed sync dropped it: it will never be durable (W8)
    size_t offset;  // of a write
    size_t len;
    size_t size_after;  // of the file
    Shared *bytes;      // of a write
} Change;

typedef struct Entry {
    Shared *name;  // capacity is its length
    uint32_t node;
} Entry;

typedef ARRAY(Entry) Entries;  // sorted by name

// ADD makes or replaces a name, DROP removes one, MOVE does both at once within one folder.
typedef enum EntryChangeKind { ENTRY_ADD, ENTRY_DROP, ENTRY_MOVE } EntryChangeKind;

typedef struct EntryChange {
    EntryChangeKind kind;
    Shared *name;
    Shared *from;   // of a MOVE
    uint32_t node;  // of an ADD or MOVE
    uint64_t pair;  // not 0: the ADD and the DROP of one rename across folders
} EntryChange;

typedef enum NodeKind { NODE_FREE, NODE_FILE, NODE_FOLDER } NodeKind;

typedef struct Node {
    NodeKind kind;
    bool marked;     // by a sweep
    uint32_t links;  // live names
    uint32_t open_count;
    const File *locked_by;
    Image live;
    Image durable;
    ARRAY(Change) changes;
    Entries live_entries;
    Entries durable_entries;
    ARRAY(EntryChange) entry_changes;
} Node;

struct DiskModel {
    Disk disk;
    Mutex lock;
    ARRAY(Node) nodes;    // 0 is the root folder
    size_t sweep_at;      // so many nodes ask for a sweep
    uint64_t generation;  // files opened in an earlier one are invalid
    uint64_t pairs;
    uint64_t operations;
    uint64_t stop_at;
    uint64_t fail_sync_in;
    int64_t capacity;
    DiskLie lie;
};

Shared *shared_new(size_t capacity);  // zeroed
Shared *shared_ref(Shared *shared);   // NULL is fine
void shared_unref(Shared **shared);   // NULL is fine

void image_set(Image *target, Image source);  // shares the bytes
void image_end(Image *image);
// Makes the image's bytes its own, with room for `bytes`.
void image_own(Image *image, size_t bytes);
void image_write(Image *image, size_t offset, const uint8_t *from, size_t len);
void image_resize(Image *image, size_t size);

// The place of `name`, or where it would be; *found says which.
size_t entries_find(const Entries *entries, Text name, bool *found);
void entries_put(Entries *entries, Shared *name, uint32_t node);
void entries_drop(Entries *entries, Text name);
void entries_set(Entries *target, const Entries *source);
void entries_end(Entries *entries);
void entries_apply(Entries *entries, const EntryChange *change);

void node_clear_changes(Node *node);
void node_clear_entry_changes(Node *node);
void node_end(Node *node);           // and makes it NODE_FREE
void model_sweep(DiskModel *model);  // frees nodes that nothing can lead to any more

static inline Text shared_text(const Shared *name) {
    return (Text){(const char *)name->at, name->capacity};
}
