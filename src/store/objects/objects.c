// Objects as files of a directory: written beside their place, synced, renamed into it, the folder
// synced.

#include "store/objects/objects.h"

#include <stdlib.h>

#include "base/array.h"
#include "codec/crc32c.h"

enum {
    NAME_BYTES_MAX = 512,
    FOLDERS_DEEP_MAX = 8,
    VERIFY_BYTES = 1 * MB,  // read at once
};

typedef struct Directory {
    Objects objects;
    Disk *disk;
    Arena arena;
    Text folder;
} Directory;

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-' ||
           c == '/';
}

// Names are ours, but a mistake of ours shall not leave the folder: no empty part, no part of dots.
static bool check_name(Text name, Error *err) {
    bool ok = name.len > 0 && name.len <= NAME_BYTES_MAX && !text_ends_with(name, TEXT(".tmp"));
    for (size_t i = 0; i < name.len && ok; i++) ok = is_name_char(name.at[i]);
    Text rest = name, part;
    while (ok && text_cut(&rest, '/', &part)) ok = part.len > 0 && part.at[0] != '.';
    if (ok) return true;
    return error_set(err, ERROR_BAD_INPUT,
                     "\"%.*s\" is no name of an object (a-z 0-9 . _ - and /, not *.tmp)",
                     TEXT_ARG(name));
}

static Text path_of(const Directory *directory, Text name, Arena *arena) {
    return text_format(arena, "%.*s/%.*s", TEXT_ARG(directory->folder), TEXT_ARG(name));
}

// "a/b/c" is "a/b" and "c"; "c" is "" and "c".
static void split(Text name, Text *folder, Text *last) {
    size_t slash = name.len;
    while (slash > 0 && name.at[slash - 1] != '/') slash--;
    *folder = text_slice(name, 0, slash == 0 ? 0 : slash - 1);
    *last = text_slice(name, slash, name.len);
}

static Text folder_path(const Directory *directory, Text folder, Arena *arena) {
    return folder.len == 0 ? directory->folder : path_of(directory, folder, arena);
}

static bool directory_put(Objects *objects, Text name, Bytes content, Error *err) {
    Directory *directory = objects->context;
    AUTO(arena_free) Arena arena = {0};
    TRY(check_name(name, err));
    Text folder, last;
    split(name, &folder, &last);
    Text path = folder_path(directory, folder, &arena);
    if (folder.len > 0 && !disk_make_folders(directory->disk, path, err)) {
        return error_context(err, "putting the object %.*s", TEXT_ARG(name));
    }
    if (disk_replace(directory->disk, path, last, content, err)) return true;
    return error_context(err, "putting the object %.*s", TEXT_ARG(name));
}

// ---- In pieces ----

struct ObjectDraft {
    Arena arena;
    Text name, folder, path, path_new;
    File *file;
    int64_t bytes;
    bool named;  // it has its place, and is nothing to be tidied away
};

static bool draft_file(Disk *disk, ObjectDraft *draft, Error *err) {
    TRY(disk_make_folders(disk, draft->folder, err));
    // A crashed attempt may have left its half behind; nobody reads it, so it goes.
    Error missing = {0};
    if (!disk->remove(disk, draft->path_new, &missing) && missing.code != ERROR_NOT_FOUND) {
        *err = missing;
        return false;
    }
    return disk->open(disk, draft->path_new, FILE_CREATE, &draft->file, err);
}

static void directory_abandon(Objects *objects, ObjectDraft **draft) {
    if (*draft == NULL) return;
    Directory *directory = objects->context;
    ObjectDraft *gone = TAKE(*draft);
    bool there = gone->file != NULL && !gone->named;
    directory->disk->close(directory->disk, &gone->file);
    if (there) (void)directory->disk->remove(directory->disk, gone->path_new, NULL);
    arena_free(&gone->arena);
    memory_free(gone);
}

static bool directory_begin(Objects *objects, Text name, ObjectDraft **out, Error *err) {
    Directory *directory = objects->context;
    TRY(check_name(name, err));
    ObjectDraft *draft = memory_new(ObjectDraft);
    Text folder, last;
    split(name, &folder, &last);
    draft->name = text_copy(name, &draft->arena);
    draft->folder = text_copy(folder_path(directory, folder, &draft->arena), &draft->arena);
    draft->path = path_of(directory, name, &draft->arena);
    draft->path_new = text_format(&draft->arena, "%.*s.tmp", TEXT_ARG(draft->path));
    if (!draft_file(directory->disk, draft, err)) {
        directory_abandon(objects, &draft);
        return error_context(err, "putting the object %.*s", TEXT_ARG(name));
    }
    *out = draft;
    return true;
}

static bool directory_add(Objects *objects, ObjectDraft *draft, Bytes piece, Error *err) {
    Directory *directory = objects->context;
    Disk *disk = directory->disk;
    if (!disk->write(disk, draft->file, draft->bytes, piece.at, piece.len, err))
        return error_context(err, "putting the object %.*s", TEXT_ARG(draft->name));
    draft->bytes += (int64_t)piece.len;
    return true;
}

static bool directory_read(Objects *objects, ObjectDraft *draft, int64_t offset, void *into,
                           size_t len, Error *err) {
    Directory *directory = objects->context;
    size_t got = 0;
    TRY(directory->disk->read(directory->disk, draft->file, offset, into, len, &got, err));
    return got == len || error_set(err, ERROR_CORRUPT,
                                   "the object %.*s, while it is written, has no %zu bytes at %lld",
                                   TEXT_ARG(draft->name), len, (long long)offset);
}

static bool finish(Disk *disk, ObjectDraft *draft, Error *err) {
    TRY(disk->sync(disk, draft->file, err));
    TRY(disk->rename(disk, draft->path_new, draft->path, err));
    draft->named = true;
    return disk->sync_folder(disk, draft->folder, err);
}

static bool directory_finish(Objects *objects, ObjectDraft *draft, Error *err) {
    Directory *directory = objects->context;
    return finish(directory->disk, draft, err) ||
           error_context(err, "putting the object %.*s", TEXT_ARG(draft->name));
}

// ---- Reading ----

static bool directory_open(Objects *objects, Text name, int64_t bytes, Object *out, Error *err) {
    Directory *directory = objects->context;
    Disk *disk = directory->disk;
    AUTO(arena_free) Arena arena = {0};
    TRY(check_name(name, err));
    Object object = {0};
    TRY(disk->open(disk, path_of(directory, name, &arena), FILE_READ, &object.file, err));
    if (!disk->map(disk, object.file, bytes, &object.bytes, err)) {
        disk->close(disk, &object.file);
        return error_context(err, "opening the object %.*s", TEXT_ARG(name));
    }
    *out = object;
    return true;
}

static void directory_will_need(Objects *objects, Bytes part) {
    Directory *directory = objects->context;
    directory->disk->will_need(directory->disk, part);
}

static void directory_close(Objects *objects, Object *object) {
    Directory *directory = objects->context;
    if (object->file == NULL) return;
    directory->disk->unmap(directory->disk, &object->bytes);
    directory->disk->close(directory->disk, &object->file);
}

static bool directory_remove(Objects *objects, Text name, Error *err) {
    Directory *directory = objects->context;
    Disk *disk = directory->disk;
    AUTO(arena_free) Arena arena = {0};
    // What `list` shows may be removed, leftovers included.
    Text checked = text_ends_with(name, TEXT(".tmp")) ? text_slice(name, 0, name.len - 4) : name;
    TRY(check_name(checked, err));
    Error why = {0};
    if (!disk->remove(disk, path_of(directory, name, &arena), &why)) {
        if (why.code == ERROR_NOT_FOUND) return true;
        *err = why;
        return error_context(err, "removing the object %.*s", TEXT_ARG(name));
    }
    Text folder, last;
    split(name, &folder, &last);
    return disk->sync_folder(disk, folder_path(directory, folder, &arena), err);
}

typedef ARRAY(DiskEntry) EntryArray;

// Adds the objects below `folder` ("" is the top) to `out`.
static bool list_folder(const Directory *directory, Text folder, Text prefix, int depth,
                        Arena *arena, EntryArray *out, Error *err) {
    if (depth > FOLDERS_DEEP_MAX) {
        return error_set(err, ERROR_CORRUPT, "%.*s: folders lie deeper than objects ever do",
                         TEXT_ARG(folder));
    }
    DiskEntries entries;
    TRY(directory->disk->list(directory->disk, folder_path(directory, folder, arena), arena,
                              &entries, err));
    for (size_t i = 0; i < entries.count; i++) {
        DiskEntry entry = entries.at[i];
        if (folder.len > 0)
            entry.name = text_format(arena, "%.*s/%.*s", TEXT_ARG(folder), TEXT_ARG(entry.name));
        size_t shorter = MIN(entry.name.len, prefix.len);
        bool on_the_way =
            text_equal(text_slice(entry.name, 0, shorter), text_slice(prefix, 0, shorter));
        if (!on_the_way) continue;
        if (entry.is_folder) {
            TRY(list_folder(directory, entry.name, prefix, depth + 1, arena, out, err));
        } else if (text_starts_with(entry.name, prefix)) {
            *array_add_on(arena, out) = entry;
        }
    }
    return true;
}

static int compare_entries(const void *a, const void *b) {
    return text_compare(((const DiskEntry *)a)->name, ((const DiskEntry *)b)->name);
}

static bool directory_list(Objects *objects, Text prefix, Arena *arena, DiskEntries *out,
                           Error *err) {
    Directory *directory = objects->context;
    EntryArray entries = {0};
    TRY(list_folder(directory, TEXT_NONE, prefix, 0, arena, &entries, err));
    if (entries.count > 1) qsort(entries.at, entries.count, sizeof *entries.at, compare_entries);
    *out = (DiskEntries){entries.at, entries.count};
    return true;
}

// Reads the file from the medium, piece by piece, and takes its checksum.
static bool read_crc(Disk *disk, File *file, int64_t bytes, uint8_t *buffer, size_t piece,
                     uint32_t *crc, int64_t *seen, Error *err) {
    *crc = 0;
    *seen = 0;
    while (*seen <= bytes) {
        size_t got = 0;
        TRY(disk->read(disk, file, *seen, buffer, piece, &got, err));
        if (got > 0) *crc = crc32c(*crc, (Bytes){buffer, got});
        *seen += (int64_t)got;
        if (got < piece) break;
    }
    return true;
}

static bool directory_verify(Objects *objects, Text name, int64_t bytes, uint32_t crc, Error *err) {
    Directory *directory = objects->context;
    Disk *disk = directory->disk;
    AUTO(arena_free) Arena arena = {0};
    AUTO(disk_buffer_free) uint8_t *buffer = NULL;
    TRY(check_name(name, err));
    // As much as it takes to see whether the file is longer than it should be.
    size_t pages = (size_t)(MIN(bytes, VERIFY_BYTES - 1) / DISK_ALIGN + 1);
    TRY(disk_buffer_take(pages * DISK_ALIGN, &buffer, err));
    File *file = NULL;
    TRY(disk->open(disk, path_of(directory, name, &arena), FILE_READ_DIRECT, &file, err));
    uint32_t actual = 0;
    int64_t seen = 0;
    bool ok = read_crc(disk, file, bytes, buffer, pages * DISK_ALIGN, &actual, &seen, err);
    disk->close(disk, &file);
    TRY(ok);
    if (seen != bytes) {
        return error_set(err, ERROR_CORRUPT,
                         "the object %.*s does not have the %lld bytes it should have",
                         TEXT_ARG(name), (long long)bytes);
    }
    if (actual == crc) return true;
    return error_set(err, ERROR_CORRUPT, "the object %.*s has the checksum %08x, not %08x",
                     TEXT_ARG(name), actual, crc);
}

static bool directory_publish(Objects *objects, Text name, Text path, Error *err) {
    Directory *directory = objects->context;
    AUTO(arena_free) Arena arena = {0};
    TRY(check_name(name, err));
    if (directory->disk->link(directory->disk, path_of(directory, name, &arena), path, err))
        return true;
    return error_context(err, "publishing the object %.*s", TEXT_ARG(name));
}

bool objects_open_directory(Disk *disk, Text folder, Objects **out, Error *err) {
    if (!disk_make_folders(disk, folder, err))
        return error_context(err, "opening the objects in %.*s", TEXT_ARG(folder));
    Directory *directory = memory_new(Directory);
    directory->disk = disk;
    directory->folder = text_copy(folder, &directory->arena);
    directory->objects = (Objects){
        .context = directory,
        .put = directory_put,
        .begin = directory_begin,
        .add = directory_add,
        .read = directory_read,
        .finish = directory_finish,
        .abandon = directory_abandon,
        .open = directory_open,
        .close = directory_close,
        .will_need = directory_will_need,
        .remove = directory_remove,
        .list = directory_list,
        .verify = directory_verify,
        .publish = directory_publish,
    };
    *out = &directory->objects;
    return true;
}

void objects_close(Objects **objects) {
    if (*objects == NULL) return;
    if (*objects == NULL) return;
    Directory *directory = (*objects)->context;
    arena_free(&directory->arena);
    memory_free(directory);
    *objects = NULL;
}
