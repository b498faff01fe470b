// Snapshots: a second data directory below `snapshots/`, made of links, and deletes as the store
// sees them.
//
// A snapshot is built under a name that ends in `.tmp` and renamed when all of it is durable, so
// that what has a proper name is whole. What a crash left half-built goes with the next snapshot.

#include "base/log.h"
#include "os/random.h"
#include "store/parts.h"

bool store_delete(Store *store, Tenant *tenant, const Matchers *sets, size_t count, int64_t from_ms,
                  int64_t to_ms, Error *err) {
    TRY(store_still_ours(store, err));
    return series_delete(tenant->series, sets, count, from_ms, to_ms, err) ||
           (store_made_room(store, err) &&
            series_delete(tenant->series, sets, count, from_ms, to_ms, err));
}

bool store_clean_deletes(Store *store, Tenant *tenant, Error *err) {
    TRY(store_still_ours(store, err));
    return series_clean_deletes(tenant->series, err) ||
           (store_made_room(store, err) && series_clean_deletes(tenant->series, err));
}

// ---- Snapshots ----

static Text below(Text folder, Text name, Arena *arena) {
    return text_format(arena, "%.*s/%.*s", TEXT_ARG(folder), TEXT_ARG(name));
}

// A folder and all that is in it, which we made.
static bool remove_tree(Disk *disk, Text folder, int depth, Error *err) {
    enum { DEPTH_MAX = 8 };
    AUTO(arena_free) Arena arena = {0};
    DiskEntries entries;
    if (depth > DEPTH_MAX)
        return error_set(err, ERROR_CORRUPT, "%.*s is deeper than snapshots are", TEXT_ARG(folder));
    TRY(disk->list(disk, folder, &arena, &entries, err));
    for (size_t i = 0; i < entries.count; i++) {
        Text path = below(folder, entries.at[i].name, &arena);
        if (entries.at[i].is_folder) {
            TRY(remove_tree(disk, path, depth + 1, err));
        } else {
            TRY(disk->remove(disk, path, err));
        }
    }
    return disk->remove_folder(disk, folder, err);
}

static bool remove_halves(Disk *disk, Text folder, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    DiskEntries entries;
    TRY(disk->list(disk, folder, &arena, &entries, err));
    for (size_t i = 0; i < entries.count; i++) {
        if (entries.at[i].is_folder && text_ends_with(entries.at[i].name, TEXT(".tmp")))
            TRY(remove_tree(disk, below(folder, entries.at[i].name, &arena), 0, err));
    }
    return true;
}

// "20261121T002452Z-0123456789abcdef", as Prometheus names them.
static bool make_name(Store *store, Arena *arena, Text *out, Error *err) {
    uint64_t random;
    TRY(random_bytes(&random, sizeof random, err));
    Text time = time_format_ms(store->options.clock->wall_ms(store->options.clock), arena);
    AUTO(builder_free) Builder name = {0};
    for (size_t i = 0; i < time.len && time.at[i] != '.'; i++) {
        if (time.at[i] != '-' && time.at[i] != ':') builder_add_char(&name, time.at[i]);
    }
    builder_addf(&name, "Z-%016llx", (unsigned long long)random);
    *out = text_copy(builder_text(&name), arena);
    return true;
}

static bool fill_tenant(Store *store, const Tenant *tenant, Text folder, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Text objects = text_format(&arena, "%.*s/objects/%u", TEXT_ARG(folder), tenant->id.number);
    Text tenants = text_format(&arena, "%.*s/tenants/%u", TEXT_ARG(folder), tenant->id.number);
    TRY(disk_make_folders(store->disk, objects, err) &&
        disk_make_folders(store->disk, tenants, err));
    return series_snapshot(tenant->series, objects, tenants, err) ||
           error_context(err, "tenant %.*s", TEXT_ARG(tenant->name));
}

// The tenants first: one that is made meanwhile is in the catalogue, where an empty one does no
// harm, and not the other way round.
static bool fill(Store *store, Text folder, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Tenant **tenants;
    size_t count;
    TRY(disk_make_folders(store->disk, folder, err));
    TRY(store_tenants(store, &arena, &tenants, &count, err));
    for (size_t i = 0; i < count; i++) TRY(fill_tenant(store, tenants[i], folder, err));
    TRY(catalog_copy(store->catalog, below(folder, TEXT("catalog.db"), &arena), err));
    return store->disk->sync_folder(store->disk, folder, err);
}

static bool snapshot(Store *store, Text name, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Disk *disk = store->disk;
    Text folder = below(store->options.folder, TEXT("snapshots"), &arena);
    Text whole = below(folder, name, &arena);
    Text half = text_format(&arena, "%.*s.tmp", TEXT_ARG(whole));
    TRY(store_still_ours(store, err));
    TRY(disk_make_folders(disk, folder, err) && remove_halves(disk, folder, err));
    if (!fill(store, half, err)) {
        Error ignored = {0};
        if (!remove_tree(disk, half, 0, &ignored))
            log_warn("a snapshot that failed could not be removed; the next one will",
                     LOG_ERR(&ignored));
        return false;
    }
    return disk->rename(disk, half, whole, err) && disk->sync_folder(disk, folder, err);
}

bool store_snapshot(Store *store, bool skip_head, Arena *arena, Text *name, Error *err) {
    if (store->options.catalog_path.len > 0)
        return error_set(
            err, ERROR_UNSUPPORTED,
            "the catalogue lies outside the data directory, so a snapshot would not be "
            "whole");
    TRY(make_name(store, arena, name, err));
    if (!skip_head) TRY(store_flush(store, err));
    mutex_take(&store->house_lock);
    bool done = snapshot(store, *name, err);
    mutex_give(&store->house_lock);
    return done || error_context(err, "making the snapshot %.*s", TEXT_ARG(*name));
}
