// The disk in memory while the power is on: reads see the live state, changes are kept until a
// sync.

#include "os/disk_model.h"

#include "base/assert.h"
#include "base/memory.h"
#include "os/disk_model_state.h"

static const int64_t TOTAL_BYTES_WITHOUT_END = 1024 * GB;
static const int64_t FILE_BYTES_MAX = 4 * GB;  // what a test can mean

struct File {
    uint32_t node;
    bool may_write;
    uint64_t generation;
    size_t path_len;
    char path[];
};

static DiskModel *take(Disk *disk) {
    DiskModel *model = disk->context;
    mutex_take(&model->lock);
    return model;
}

static bool give(DiskModel *model, bool ok) {
    mutex_give(&model->lock);
    return ok;
}

// Counts an operation that changes something, and fails it when the power is already gone.
static bool mutate(DiskModel *model, const char *doing, Text path, Error *err) {
    model->operations++;
    if (model->stop_at == 0 || model->operations < model->stop_at) return true;
    return error_set(err, ERROR_IO, "%s %.*s: the disk of the test has stopped", doing,
                     TEXT_ARG(path));
}

static uint32_t node_new(DiskModel *model, NodeKind kind) {
    if (model->nodes.count >= model->sweep_at) model_sweep(model);
    size_t place = 0;
    while (place < model->nodes.count && model->nodes.at[place].kind != NODE_FREE) place++;
    if (place == model->nodes.count) (void)array_add(&model->nodes);
    model->nodes.at[place].kind = kind;
    return (uint32_t)place;
}

// Where a path leads: the folder that holds it, its last name, and the node when it exists.
typedef struct Place {
    uint32_t folder;
    Text name;  // "" for the root itself
    uint32_t node;
    bool exists;
} Place;

static bool next_name(Text *rest, Text *out) {
    while (text_cut(rest, '/', out)) {
        if (out->len > 0 && !text_equal(*out, TEXT("."))) return true;
    }
    return false;
}

// Fails when a folder on the way is missing; the last name may be.
static bool find(DiskModel *model, Text path, Place *out, Error *err) {
    Text rest = path.len == 0 ? TEXT(".") : path, name;
    *out = (Place){.exists = true};
    while (next_name(&rest, &name)) {
        if (!out->exists || model->nodes.at[out->node].kind != NODE_FOLDER) {
            return error_set(err, ERROR_NOT_FOUND, "%.*s: no such folder on the way",
                             TEXT_ARG(path));
        }
        out->folder = out->node;
        out->name = name;
        const Entries *entries = &model->nodes.at[out->folder].live_entries;
        size_t place = entries_find(entries, name, &out->exists);
        out->node = out->exists ? entries->at[place].node : 0;
    }
    return true;
}

static bool find_existing(DiskModel *model, Text path, NodeKind kind, Place *out, Error *err) {
    TRY(find(model, path, out, err));
    if (!out->exists) return error_set(err, ERROR_NOT_FOUND, "%.*s is not there", TEXT_ARG(path));
    if (model->nodes.at[out->node].kind != kind) {
        return error_set(err, ERROR_IO, "%.*s is %s", TEXT_ARG(path),
                         kind == NODE_FILE ? "a folder" : "not a folder");
    }
    return true;
}

static void apply_live(DiskModel *model, uint32_t folder, EntryChange change) {
    Entries *entries = &model->nodes.at[folder].live_entries;
    bool found;
    size_t place = entries_find(entries, shared_text(change.name), &found);
    if (found) model->nodes.at[entries->at[place].node].links--;
    if (change.kind == ENTRY_MOVE) model->nodes.at[change.node].links--;
    entries_apply(entries, &change);
    if (change.kind != ENTRY_DROP) model->nodes.at[change.node].links++;
}

// Applies a change to what is live, and remembers it until the folder is synced.
static void change_entry(DiskModel *model, uint32_t folder, EntryChange change) {
    apply_live(model, folder, change);
    *array_add(&model->nodes.at[folder].entry_changes) = change;
}

static Shared *name_new(Text name) {
    Shared *shared = shared_new(name.len);
    memcpy(shared->at, name.at, name.len);
    return shared;
}

static bool open_in(DiskModel *model, Text path, FileMode mode, File **out, Error *err) {
    Place place;
    bool create = mode == FILE_CREATE || mode == FILE_CREATE_DIRECT;
    if (create) {
        TRY(mutate(model, "opening", path, err));
        TRY(find(model, path, &place, err));
        if (place.exists)
            return error_set(err, ERROR_IO, "opening %.*s: File exists", TEXT_ARG(path));
        place.node = node_new(model, NODE_FILE);
        change_entry(model, place.folder,
                     (EntryChange){ENTRY_ADD, name_new(place.name), NULL, place.node, 0});
    } else {
        TRY(find_existing(model, path, NODE_FILE, &place, err));
    }
    File *file = memory_take_zeroed(sizeof *file + path.len);
    file->node = place.node;
    file->may_write = mode != FILE_READ && mode != FILE_READ_DIRECT;
    file->generation = model->generation;
    file->path_len = path.len;
    memcpy(file->path, path.at, path.len);
    model->nodes.at[place.node].open_count++;
    *out = file;
    return true;
}

static bool model_open(Disk *disk, Text path, FileMode mode, File **out, Error *err) {
    DiskModel *model = take(disk);
    return give(model, open_in(model, path, mode, out, err));
}

static void model_close(Disk *disk, File **file) {
    if (*file == NULL) return;
    DiskModel *model = take(disk);
    if ((*file)->generation == model->generation) {
        Node *node = &model->nodes.at[(*file)->node];
        node->open_count--;
        if (node->locked_by == *file) node->locked_by = NULL;
    }
    memory_free(TAKE(*file));
    give(model, true);
}

static Text path_of(const File *file) {
    return (Text){file->path, file->path_len};
}

static bool node_of(DiskModel *model, const File *file, Node **out, Error *err) {
    if (file->generation != model->generation) {
        return error_set(err, ERROR_IO, "%.*s was opened before the crash",
                         TEXT_ARG(path_of(file)));
    }
    *out = &model->nodes.at[file->node];
    return true;
}

static bool model_size(Disk *disk, File *file, int64_t *out, Error *err) {
    DiskModel *model = take(disk);
    Node *node = NULL;
    if (!node_of(model, file, &node, err)) return give(model, false);
    *out = (int64_t)node->live.size;
    return give(model, true);
}

static bool model_read(Disk *disk, File *file, int64_t offset, void *into, size_t len, size_t *got,
                       Error *err) {
    DiskModel *model = take(disk);
    Node *node = NULL;
    if (!node_of(model, file, &node, err)) return give(model, false);
    assert(offset >= 0);
    size_t start = MIN((size_t)offset, node->live.size);
    *got = MIN(len, node->live.size - start);
    if (*got > 0) memcpy(into, node->live.bytes->at + start, *got);
    return give(model, true);
}

static int64_t bytes_used(const DiskModel *model) {
    int64_t bytes = 0;
    for (size_t i = 0; i < model->nodes.count; i++) {
        const Node *node = &model->nodes.at[i];
        if (node->links > 0 || node->open_count > 0) bytes += (int64_t)node->live.size;
    }
    return bytes;
}

static int64_t bytes_free(const DiskModel *model) {
    int64_t all = model->capacity > 0 ? model->capacity : TOTAL_BYTES_WITHOUT_END;
    return MAX(all - bytes_used(model), (int64_t)0);
}

static bool node_to_change(DiskModel *model, const File *file, const char *doing, Node **out,
                           Error *err) {
    TRY(mutate(model, doing, path_of(file), err));
    TRY(node_of(model, file, out, err));
    if (!file->may_write)
        return error_set(err, ERROR_IO, "%s %.*s: opened to read", doing, TEXT_ARG(path_of(file)));
    return true;
}

static bool write_in(DiskModel *model, const File *file, int64_t offset, const void *from,
                     size_t len, Error *err) {
    Node *node = NULL;
    TRY(node_to_change(model, file, "writing", &node, err));
    assert(offset >= 0 && offset + (int64_t)len <= FILE_BYTES_MAX);
    if (len == 0) return true;
    size_t end = (size_t)offset + len, fits = len;
    if (model->capacity > 0 && end > node->live.size) {
        int64_t more = (int64_t)(end - node->live.size), room = bytes_free(model);
        // A full disk takes what it can before it says so.
        if (more > room) fits = len - MIN(len, (size_t)(more - room));
    }
    if (fits > 0) {
        Shared *bytes = shared_new(fits);
        memcpy(bytes->at, from, fits);
        image_write(&node->live, (size_t)offset, from, fits);
        *array_add(&node->changes) =
            (Change){CHANGE_WRITE, false, (size_t)offset, fits, node->live.size, bytes};
    }
    return fits == len || error_set(err, ERROR_DISK_FULL, "writing %.*s: No space left on device",
                                    TEXT_ARG(path_of(file)));
}

static bool model_write(Disk *disk, File *file, int64_t offset, const void *from, size_t len,
                        Error *err) {
    DiskModel *model = take(disk);
    return give(model, write_in(model, file, offset, from, len, err));
}

static bool resize_in(DiskModel *model, const File *file, int64_t bytes, Error *err) {
    Node *node = NULL;
    TRY(node_to_change(model, file, "resizing", &node, err));
    assert(bytes >= 0 && bytes <= FILE_BYTES_MAX);
    int64_t more = bytes - (int64_t)node->live.size;
    if (model->capacity > 0 && more > bytes_free(model)) {
        return error_set(err, ERROR_DISK_FULL, "resizing %.*s: No space left on device",
                         TEXT_ARG(path_of(file)));
    }
    image_resize(&node->live, (size_t)bytes);
    *array_add(&node->changes) = (Change){CHANGE_RESIZE, false, 0, 0, (size_t)bytes, NULL};
    return true;
}

static bool model_resize(Disk *disk, File *file, int64_t bytes, Error *err) {
    DiskModel *model = take(disk);
    return give(model, resize_in(model, file, bytes, err));
}

static bool sync_in(DiskModel *model, const File *file, Error *err) {
    Node *node = NULL;
    TRY(mutate(model, "syncing", path_of(file), err));
    TRY(node_of(model, file, &node, err));
    if (model->fail_sync_in > 0 && --model->fail_sync_in == 0) {
        // The kernel marks the pages clean after it told of the failure once: they can still be
        // read, but no later sync writes them.
        for (size_t i = 0; i < node->changes.count; i++) node->changes.at[i].lost = true;
        return error_set(err, ERROR_IO, "syncing %.*s: Input/output error",
                         TEXT_ARG(path_of(file)));
    }
    if (model->lie == LIE_SYNC) return true;
    for (size_t i = 0; i < node->changes.count; i++) {
        const Change *change = &node->changes.at[i];
        if (change->kind == CHANGE_RESIZE) image_resize(&node->durable, change->size_after);
        if (change->kind == CHANGE_WRITE && !change->lost) {
            image_write(&node->durable, change->offset, change->bytes->at, change->len);
        }
    }
    node_clear_changes(node);
    if (node->durable.size != node->live.size)
        image_resize(&node->durable, node->live.size);  // after lost ones
    return true;
}

static bool model_sync(Disk *disk, File *file, Error *err) {
    DiskModel *model = take(disk);
    return give(model, sync_in(model, file, err));
}

// A copy of its own, of exactly the size: a read beyond it is then seen by AddressSanitizer.
static bool model_map(Disk *disk, File *file, int64_t bytes, Bytes *out, Error *err) {
    DiskModel *model = take(disk);
    Node *node = NULL;
    if (!node_of(model, file, &node, err)) return give(model, false);
    if (bytes != (int64_t)node->live.size) {
        error_set(err, ERROR_CORRUPT, "%.*s has %zu bytes, not %lld", TEXT_ARG(path_of(file)),
                  node->live.size, (long long)bytes);
        return give(model, false);
    }
    uint8_t *copy = memory_take(node->live.size);
    if (bytes > 0) memcpy(copy, node->live.bytes->at, node->live.size);
    *out = (Bytes){copy, node->live.size};
    return give(model, true);
}

static void model_will_need(Disk *disk, Bytes part) {
    (void)disk, (void)part;  // it is all in memory
}

static void model_unmap(Disk *disk, Bytes *view) {
    memory_free((void *)(uintptr_t)view->at);
    *view = BYTES_NONE;
}

static bool model_lock(Disk *disk, File *file, Error *err) {
    DiskModel *model = take(disk);
    Node *node = NULL;
    if (!node_of(model, file, &node, err)) return give(model, false);
    if (node->locked_by != NULL && node->locked_by != file) {
        error_set(err, ERROR_IN_USE, "%.*s is held by another process", TEXT_ARG(path_of(file)));
        return give(model, false);
    }
    node->locked_by = file;
    return give(model, true);
}

static bool make_folder_in(DiskModel *model, Text path, Error *err) {
    TRY(mutate(model, "making the folder", path, err));
    Place place;
    TRY(find(model, path, &place, err));
    if (place.exists) {
        if (model->nodes.at[place.node].kind == NODE_FOLDER) return true;
        return error_set(err, ERROR_IO, "making the folder %.*s: File exists", TEXT_ARG(path));
    }
    uint32_t node = node_new(model, NODE_FOLDER);
    change_entry(model, place.folder,
                 (EntryChange){ENTRY_ADD, name_new(place.name), NULL, node, 0});
    return true;
}

static bool model_make_folder(Disk *disk, Text path, Error *err) {
    DiskModel *model = take(disk);
    return give(model, make_folder_in(model, path, err));
}

static bool sync_folder_in(DiskModel *model, Text path, Error *err) {
    TRY(mutate(model, "syncing", path, err));
    Place place;
    TRY(find_existing(model, path, NODE_FOLDER, &place, err));
    if (model->lie == LIE_SYNC_FOLDER) return true;
    Node *folder = &model->nodes.at[place.node];
    for (size_t i = 0; i < folder->entry_changes.count; i++) {
        entries_apply(&folder->durable_entries, &folder->entry_changes.at[i]);
    }
    node_clear_entry_changes(folder);
    return true;
}

static bool model_sync_folder(Disk *disk, Text path, Error *err) {
    DiskModel *model = take(disk);
    return give(model, sync_folder_in(model, path, err));
}

static bool list_in(DiskModel *model, Text path, Arena *arena, DiskEntries *out, Error *err) {
    Place place;
    TRY(find_existing(model, path, NODE_FOLDER, &place, err));
    const Entries *entries = &model->nodes.at[place.node].live_entries;
    *out = (DiskEntries){arena_push_array(arena, DiskEntry, entries->count), entries->count};
    for (size_t i = 0; i < entries->count; i++) {
        const Node *node = &model->nodes.at[entries->at[i].node];
        out->at[i] = (DiskEntry){
            .name = text_copy(shared_text(entries->at[i].name), arena),
            .bytes = (int64_t)node->live.size,
            .is_folder = node->kind == NODE_FOLDER,
        };
    }
    return true;
}

static bool model_list(Disk *disk, Text path, Arena *arena, DiskEntries *out, Error *err) {
    DiskModel *model = take(disk);
    return give(model, list_in(model, path, arena, out, err));
}

// The lie: what a rename did is durable at once, and nothing pending of these names comes after it.
static void make_durable_early(Node *folder, const EntryChange *change) {
    size_t kept = 0;
    entries_apply(&folder->durable_entries, change);
    for (size_t i = 0; i < folder->entry_changes.count; i++) {
        EntryChange *pending = &folder->entry_changes.at[i];
        Text name = shared_text(pending->name);
        bool over = text_equal(name, shared_text(change->name)) ||
                    (change->from != NULL && text_equal(name, shared_text(change->from)));
        if (over) {
            shared_unref(&pending->name);
            shared_unref(&pending->from);
        } else {
            folder->entry_changes.at[kept++] = *pending;
        }
    }
    folder->entry_changes.count = kept;
}

static void rename_entry(DiskModel *model, uint32_t folder, EntryChange change) {
    if (model->lie != LIE_RENAME_EARLY) {
        change_entry(model, folder, change);
        return;
    }
    apply_live(model, folder, change);
    make_durable_early(&model->nodes.at[folder], &change);
    shared_unref(&change.name);
    shared_unref(&change.from);
}

static bool rename_in(DiskModel *model, Text from, Text to, Error *err) {
    TRY(mutate(model, "renaming", from, err));
    Place source, target;
    TRY(find(model, from, &source, err));
    TRY(find(model, to, &target, err));
    if (!source.exists)
        return error_set(err, ERROR_NOT_FOUND, "renaming %.*s: it is not there", TEXT_ARG(from));
    if (source.name.len == 0 || target.name.len == 0)
        return error_set(err, ERROR_IO, "the root cannot be renamed");
    if (target.exists) {
        const Node *replaced = &model->nodes.at[target.node];
        if (source.node == target.node) return true;
        if (replaced->kind != model->nodes.at[source.node].kind ||
            replaced->live_entries.count > 0) {
            return error_set(err, ERROR_IO, "renaming %.*s: %.*s is in the way", TEXT_ARG(from),
                             TEXT_ARG(to));
        }
    }
    if (source.folder == target.folder) {
        rename_entry(model, source.folder,
                     (EntryChange){ENTRY_MOVE, name_new(target.name), name_new(source.name),
                                   source.node, 0});
        return true;
    }
    uint64_t pair = ++model->pairs;
    rename_entry(model, target.folder,
                 (EntryChange){ENTRY_ADD, name_new(target.name), NULL, source.node, pair});
    rename_entry(model, source.folder,
                 (EntryChange){ENTRY_DROP, name_new(source.name), NULL, 0, pair});
    return true;
}

static bool model_rename(Disk *disk, Text from, Text to, Error *err) {
    DiskModel *model = take(disk);
    return give(model, rename_in(model, from, to, err));
}

static bool link_in(DiskModel *model, Text from, Text to, Error *err) {
    TRY(mutate(model, "linking", from, err));
    Place source, target;
    TRY(find_existing(model, from, NODE_FILE, &source, err));
    TRY(find(model, to, &target, err));
    if (target.exists)
        return error_set(err, ERROR_IO, "linking %.*s: %.*s is in the way", TEXT_ARG(from),
                         TEXT_ARG(to));
    change_entry(model, target.folder,
                 (EntryChange){ENTRY_ADD, name_new(target.name), NULL, source.node, 0});
    return true;
}

static bool model_link(Disk *disk, Text from, Text to, Error *err) {
    DiskModel *model = take(disk);
    return give(model, link_in(model, from, to, err));
}

static bool remove_in(DiskModel *model, Text path, NodeKind kind, Error *err) {
    TRY(mutate(model, "removing", path, err));
    Place place;
    TRY(find_existing(model, path, kind, &place, err));
    if (model->nodes.at[place.node].live_entries.count > 0 || place.name.len == 0) {
        return error_set(err, ERROR_IO, "removing the folder %.*s: Directory not empty",
                         TEXT_ARG(path));
    }
    change_entry(model, place.folder, (EntryChange){ENTRY_DROP, name_new(place.name), NULL, 0, 0});
    return true;
}

static bool model_remove(Disk *disk, Text path, Error *err) {
    DiskModel *model = take(disk);
    return give(model, remove_in(model, path, NODE_FILE, err));
}

static bool model_remove_folder(Disk *disk, Text path, Error *err) {
    DiskModel *model = take(disk);
    return give(model, remove_in(model, path, NODE_FOLDER, err));
}

static bool model_exists(Disk *disk, Text path, bool *out, Error *err) {
    DiskModel *model = take(disk);
    Place place;
    *out = find(model, path, &place, NULL) && place.exists;
    return give(model, true);
}

static bool model_space(Disk *disk, Text path, DiskSpace *out, Error *err) {
    DiskModel *model = take(disk);
    int64_t total = model->capacity > 0 ? model->capacity : TOTAL_BYTES_WITHOUT_END;
    *out = (DiskSpace){total, bytes_free(model), 1000000};
    return give(model, true);
}

static DiskModel *model_new(void) {
    DiskModel *model = memory_new(DiskModel);
    model->disk = (Disk){
        .context = model,
        .open = model_open,
        .close = model_close,
        .size = model_size,
        .read = model_read,
        .write = model_write,
        .resize = model_resize,
        .sync_data = model_sync,
        .sync = model_sync,
        .map = model_map,
        .unmap = model_unmap,
        .will_need = model_will_need,
        .lock = model_lock,
        .make_folder = model_make_folder,
        .sync_folder = model_sync_folder,
        .list = model_list,
        .rename = model_rename,
        .link = model_link,
        .remove = model_remove,
        .remove_folder = model_remove_folder,
        .exists = model_exists,
        .space = model_space,
    };
    mutex_begin(&model->lock, LOCK_DISK_MODEL);
    return model;
}

DiskModel *disk_model_new(void) {
    DiskModel *model = model_new();
    model->sweep_at = 64;
    array_add(&model->nodes)->kind = NODE_FOLDER;
    return model;
}

void disk_model_free(DiskModel **model) {
    if (*model == NULL) return;
    for (size_t i = 0; i < (*model)->nodes.count; i++) node_end(&(*model)->nodes.at[i]);
    array_free(&(*model)->nodes);
    mutex_end(&(*model)->lock);
    memory_free(TAKE(*model));
}

Disk *disk_model_disk(DiskModel *model) {
    return &model->disk;
}

static void copy_node(Node *target, const Node *source) {
    target->kind = source->kind;
    target->links = source->links;
    image_set(&target->live, source->live);
    image_set(&target->durable, source->durable);
    entries_set(&target->live_entries, &source->live_entries);
    entries_set(&target->durable_entries, &source->durable_entries);
    for (size_t i = 0; i < source->changes.count; i++) {
        Change change = source->changes.at[i];
        shared_ref(change.bytes);
        *array_add(&target->changes) = change;
    }
    for (size_t i = 0; i < source->entry_changes.count; i++) {
        EntryChange change = source->entry_changes.at[i];
        shared_ref(change.name);
        shared_ref(change.from);
        *array_add(&target->entry_changes) = change;
    }
}

DiskModel *disk_model_copy(const DiskModel *model) {
    Mutex *lock = (Mutex *)(uintptr_t)&model->lock;
    DiskModel *copy = model_new();
    mutex_take(lock);
    for (size_t i = 0; i < model->nodes.count; i++)
        copy_node(array_add(&copy->nodes), &model->nodes.at[i]);
    copy->sweep_at = model->sweep_at;
    copy->pairs = model->pairs;
    copy->operations = model->operations;
    copy->stop_at = model->stop_at;
    copy->fail_sync_in = model->fail_sync_in;
    copy->capacity = model->capacity;
    copy->lie = model->lie;
    mutex_give(lock);
    return copy;
}

uint64_t disk_model_operations(const DiskModel *model) {
    Mutex *lock = (Mutex *)(uintptr_t)&model->lock;
    mutex_take(lock);
    uint64_t operations = model->operations;
    mutex_give(lock);
    return operations;
}

void disk_model_stop_at(DiskModel *model, uint64_t operation) {
    mutex_take(&model->lock);
    model->stop_at = operation;
    mutex_give(&model->lock);
}

void disk_model_fail_sync(DiskModel *model, uint64_t nth) {
    mutex_take(&model->lock);
    model->fail_sync_in = nth;
    mutex_give(&model->lock);
}

void disk_model_lie(DiskModel *model, DiskLie lie) {
    mutex_take(&model->lock);
    model->lie = lie;
    mutex_give(&model->lock);
}

void disk_model_capacity(DiskModel *model, int64_t bytes) {
    mutex_take(&model->lock);
    model->capacity = bytes;
    mutex_give(&model->lock);
}

static void flip(Image *image, size_t byte, unsigned bit) {
    if (byte >= image->size) return;
    image_own(image, image->size);
    image->bytes->at[byte] ^= (uint8_t)(1u << bit);
}

bool disk_model_flip(DiskModel *model, Text path, int64_t byte, unsigned bit) {
    mutex_take(&model->lock);
    Place place;
    bool there = find_existing(model, path, NODE_FILE, &place, NULL) && byte >= 0 &&
                 (size_t)byte < model->nodes.at[place.node].live.size && bit < 8;
    if (there) {
        flip(&model->nodes.at[place.node].live, (size_t)byte, bit);
        flip(&model->nodes.at[place.node].durable, (size_t)byte, bit);
    }
    return give(model, there);
}
