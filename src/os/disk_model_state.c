// The parts of the disk in memory: shared bytes, images, folders, nodes.

#include "os/disk_model_state.h"

#include "base/assert.h"
#include "base/memory.h"

Shared *shared_new(size_t capacity) {
    Shared *shared = memory_take_zeroed(sizeof *shared + capacity);
    atomic_init(&shared->holders, 1);
    shared->capacity = capacity;
    return shared;
}

Shared *shared_ref(Shared *shared) {
    if (shared != NULL) atomic_fetch_add(&shared->holders, 1);
    return shared;
}

void shared_unref(Shared **shared) {
    if (*shared != NULL && atomic_fetch_sub(&(*shared)->holders, 1) == 1) memory_free(*shared);
    *shared = NULL;
}

void image_set(Image *target, Image source) {
    Shared *bytes = shared_ref(source.bytes);
    shared_unref(&target->bytes);
    *target = (Image){bytes, source.size};
}

void image_end(Image *image) {
    shared_unref(&image->bytes);
    image->size = 0;
}

void image_own(Image *image, size_t bytes) {
    size_t capacity = image->bytes == NULL ? 0 : image->bytes->capacity;
    if (image->bytes != NULL && atomic_load(&image->bytes->holders) == 1 && capacity >= bytes)
        return;
    // A first write asks for what it needs; a file that grows again is given twice as much.
    if (capacity < bytes) capacity = MAX(bytes, capacity * 2);
    Shared *own = shared_new(capacity);
    if (image->size > 0) memcpy(own->at, image->bytes->at, image->size);
    shared_unref(&image->bytes);
    image->bytes = own;
}

void image_write(Image *image, size_t offset, const uint8_t *from, size_t len) {
    if (len == 0) return;
    image_own(image, MAX(offset + len, image->size));
    memcpy(image->bytes->at + offset, from, len);
    image->size = MAX(image->size, offset + len);
}

void image_resize(Image *image, size_t size) {
    if (size == image->size) return;
    image_own(image, MAX(size, image->size));
    if (size < image->size) memset(image->bytes->at + size, 0, image->size - size);
    image->size = size;
}

size_t entries_find(const Entries *entries, Text name, bool *found) {
    size_t low = 0, high = entries->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = text_compare(shared_text(entries->at[middle].name), name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = false;
    return low;
}

void entries_put(Entries *entries, Shared *name, uint32_t node) {
    bool found;
    size_t place = entries_find(entries, shared_text(name), &found);
    if (!found) {
        (void)array_add(entries);
        memmove(&entries->at[place + 1], &entries->at[place],
                (entries->count - 1 - place) * sizeof(Entry));
        entries->at[place].name = shared_ref(name);
    }
    entries->at[place].node = node;
}

void entries_drop(Entries *entries, Text name) {
    bool found;
    size_t place = entries_find(entries, name, &found);
    if (!found) return;
    shared_unref(&entries->at[place].name);
    entries->count--;
    memmove(&entries->at[place], &entries->at[place + 1], (entries->count - place) * sizeof(Entry));
}

void entries_end(Entries *entries) {
    for (size_t i = 0; i < entries->count; i++) shared_unref(&entries->at[i].name);
    array_free(entries);
}

void entries_set(Entries *target, const Entries *source) {
    entries_end(target);
    for (size_t i = 0; i < source->count; i++) {
        *array_add(target) = (Entry){shared_ref(source->at[i].name), source->at[i].node};
    }
}

void entries_apply(Entries *entries, const EntryChange *change) {
    if (change->kind == ENTRY_DROP) {
        entries_drop(entries, shared_text(change->name));
        return;
    }
    if (change->kind == ENTRY_MOVE) entries_drop(entries, shared_text(change->from));
    entries_put(entries, change->name, change->node);
}

void node_clear_changes(Node *node) {
    for (size_t i = 0; i < node->changes.count; i++) shared_unref(&node->changes.at[i].bytes);
    node->changes.count = 0;
}

void node_clear_entry_changes(Node *node) {
    for (size_t i = 0; i < node->entry_changes.count; i++) {
        shared_unref(&node->entry_changes.at[i].name);
        shared_unref(&node->entry_changes.at[i].from);
    }
    node->entry_changes.count = 0;
}

void node_end(Node *node) {
    image_end(&node->live);
    image_end(&node->durable);
    node_clear_changes(node);
    node_clear_entry_changes(node);
    entries_end(&node->live_entries);
    entries_end(&node->durable_entries);
    array_free(&node->changes);
    array_free(&node->entry_changes);
    *node = (Node){.kind = NODE_FREE};
}

static void mark(DiskModel *model, uint32_t number) {
    Node *node = &model->nodes.at[number];
    if (node->marked) return;
    assert(node->kind != NODE_FREE);
    node->marked = true;
    for (size_t i = 0; i < node->live_entries.count; i++)
        mark(model, node->live_entries.at[i].node);
    for (size_t i = 0; i < node->durable_entries.count; i++)
        mark(model, node->durable_entries.at[i].node);
    for (size_t i = 0; i < node->entry_changes.count; i++) {
        if (node->entry_changes.at[i].kind != ENTRY_DROP)
            mark(model, node->entry_changes.at[i].node);
    }
}

void model_sweep(DiskModel *model) {
    mark(model, 0);
    size_t kept = 0;
    for (uint32_t i = 0; i < model->nodes.count; i++) {
        Node *node = &model->nodes.at[i];
        if (node->kind != NODE_FREE && node->open_count > 0) mark(model, i);
    }
    for (uint32_t i = 0; i < model->nodes.count; i++) {
        Node *node = &model->nodes.at[i];
        if (!node->marked && node->kind != NODE_FREE) node_end(node);
        kept += node->marked;
        node->marked = false;
    }
    while (model->nodes.at[model->nodes.count - 1].kind == NODE_FREE) model->nodes.count--;
    model->sweep_at = MAX((size_t)64, kept * 2);
}
