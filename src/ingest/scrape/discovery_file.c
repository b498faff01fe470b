// file_sd_configs: target groups in files that somebody else writes.
//
// The files are looked at every refresh_interval, but at least every five seconds, so that a change
// is known soon; only a file whose bytes changed is parsed. A file that cannot be read or parsed
// (perhaps half written) keeps the groups it had; one that is gone takes its groups along.

#include "base/hash.h"
#include "ingest/scrape/discovery.h"
#include "ingest/scrape/glob.h"

enum { LOOK_EVERY_MS = 5000, FILE_BYTES_MAX = 16 * MB };

typedef struct KnownFile {
    Text path;
    uint64_t hash, len;  // of its bytes
    TargetGroups groups;
    Arena arena;
    bool seen;
    Error error;  // of the last look
} KnownFile;

typedef struct FileProvider {
    Discovery head;
    const FileDiscovery *config;
    WheelTimer timer;
    ARRAY(KnownFile *) files;
    bool told;
    Error told_error;
} FileProvider;

static void known_free(KnownFile *file) {
    arena_free(&file->arena);
    memory_free(file);
}

static KnownFile *known_find(FileProvider *provider, Text path) {
    for (size_t i = 0; i < provider->files.count; i++) {
        if (text_equal(provider->files.at[i]->path, path)) return provider->files.at[i];
    }
    KnownFile *file = memory_new(KnownFile);
    file->path = text_copy(path, &file->arena);
    file->hash = UINT64_MAX;
    *array_add(&provider->files) = file;
    return file;
}

// Every group gets `__meta_filepath`.
static TargetGroups with_path(const TargetGroups *groups, Text path, Arena *arena) {
    TargetGroups out = {arena_push_array(arena, TargetGroup, groups->count), groups->count};
    for (size_t i = 0; i < groups->count; i++) {
        out.at[i] = groups->at[i];
        LabelArray labels = {0};
        for (size_t k = 0; k < groups->at[i].labels.count; k++)
            *array_add_on(arena, &labels) = groups->at[i].labels.at[k];
        *array_add_on(arena, &labels) = (Label){TEXT("__meta_filepath"), path};
        out.at[i].labels = labels;
    }
    return out;
}

// True when its groups changed.
static bool look_at_file(FileProvider *provider, Text path) {
    KnownFile *file = known_find(provider, path);
    file->seen = true;
    file->error = (Error){0};
    AUTO(arena_free) Arena arena = {0};
    Bytes bytes;
    if (!disk_read_whole(provider->head.world->disk, path, FILE_BYTES_MAX, &arena, &bytes,
                         &file->error))
        return false;
    uint64_t hash = hash_keyed((HashKey){0}, bytes);
    if (file->hash == hash && file->len == bytes.len) return false;
    bool json = text_ends_with(path, TEXT(".json")) || text_ends_with(path, TEXT(".JSON"));
    Arena kept = {0};
    Text own_path = text_copy(path, &kept);
    Text source = text_copy(bytes_text(bytes), &kept);
    TargetGroups groups;
    if (!target_groups_parse(source, own_path, json ? TARGETS_JSON : TARGETS_YAML, &kept, &groups,
                             &file->error)) {
        arena_free(&kept);
        return false;
    }
    groups = with_path(&groups, own_path, &kept);
    arena_free(&file->arena);
    *file = (KnownFile){own_path, hash, bytes.len, groups, kept, true, {0}};
    return true;
}

static bool look_at_pattern(FileProvider *provider, Text pattern, Error *err) {
    size_t slash = pattern.len;
    while (slash > 0 && pattern.at[slash - 1] != '/') slash--;
    Text folder = text_slice(pattern, 0, slash);
    Text name = text_slice(pattern, slash, pattern.len);
    if (glob_is_plain(name)) {
        Error ignored;
        bool there = false;
        if (!provider->head.world->disk->exists(provider->head.world->disk, pattern, &there,
                                                &ignored) ||
            !there) {
            (void)error_set(err, ERROR_NOT_FOUND, "%.*s is not there", TEXT_ARG(pattern));
            return false;
        }
        return look_at_file(provider, pattern);
    }
    AUTO(arena_free) Arena arena = {0};
    DiskEntries entries;
    Text listed = folder.len == 0 ? TEXT(".") : folder;
    Disk *disk = provider->head.world->disk;
    if (!disk->list(disk, listed, &arena, &entries, err)) return false;
    bool changed = false;
    for (size_t i = 0; i < entries.count; i++) {
        if (entries.at[i].is_folder || !glob_matches(name, entries.at[i].name)) continue;
        Text path = text_format(&arena, "%.*s%.*s", TEXT_ARG(folder), TEXT_ARG(entries.at[i].name));
        if (look_at_file(provider, path)) changed = true;
    }
    return changed;
}

static bool forget_unseen(FileProvider *provider) {
    size_t kept = 0;
    for (size_t i = 0; i < provider->files.count; i++) {
        KnownFile *file = provider->files.at[i];
        if (file->seen) {
            provider->files.at[kept++] = file;
        } else {
            known_free(file);
        }
    }
    bool any = kept < provider->files.count;
    provider->files.count = kept;
    return any;
}

static void tell(FileProvider *provider) {
    AUTO(arena_free) Arena arena = {0};
    ARRAY(TargetGroup) all = {0};
    for (size_t i = 0; i < provider->files.count; i++) {
        const TargetGroups *groups = &provider->files.at[i]->groups;
        for (size_t k = 0; k < groups->count; k++) *array_add_on(&arena, &all) = groups->at[k];
    }
    TargetGroups groups = {all.at, all.count};
    provider->head.found(provider->head.context, &groups, NULL);
}

static void tell_error(FileProvider *provider, const Error *err) {
    if (strcmp(provider->told_error.message, err->message) == 0) return;
    provider->told_error = *err;
    if (err->code != ERROR_NONE) provider->head.found(provider->head.context, NULL, err);
}

static void look(FileProvider *provider) {
    Error err = {0};
    bool changed = !provider->told;
    for (size_t i = 0; i < provider->files.count; i++) provider->files.at[i]->seen = false;
    for (size_t i = 0; i < provider->config->files.count; i++) {
        if (look_at_pattern(provider, provider->config->files.at[i], &err)) changed = true;
    }
    if (forget_unseen(provider)) changed = true;
    for (size_t i = 0; i < provider->files.count; i++) {
        if (provider->files.at[i]->error.code != ERROR_NONE) err = provider->files.at[i]->error;
    }
    provider->told = true;
    if (changed) {
        tell(provider);
        provider->told_error = (Error){0};
    }
    tell_error(provider, &err);
    Loop *loop = provider->head.world->loop;
    int64_t wait_ms = MIN(provider->config->refresh_ms, (int64_t)LOOK_EVERY_MS);
    loop_arm(loop, &provider->timer, loop_now_ms(loop) + wait_ms);
}

static void timer_fire(WheelTimer *timer) {
    look((FileProvider *)(void *)((char *)timer - offsetof(FileProvider, timer)));
}

static void file_stop(Discovery *discovery) {
    FileProvider *provider = (FileProvider *)discovery;
    loop_disarm(discovery->world->loop, &provider->timer);
    for (size_t i = 0; i < provider->files.count; i++) known_free(provider->files.at[i]);
    array_free(&provider->files);
    memory_free(provider);
}

Discovery *discovery_file_start(const DiscoveryWorld *world, const FileDiscovery *config,
                                DiscoveryFound found, void *context) {
    FileProvider *provider = memory_new(FileProvider);
    provider->head = (Discovery){"file", file_stop, world, found, context};
    provider->config = config;
    provider->timer.fire = timer_fire;
    look(provider);
    return &provider->head;
}
