// What a power cut leaves: one state of the disk that the syncs so far allow, chosen by a seed.
//
// The unit of a file is the sector. After a crash each sector shows what it held at some moment
// since the last sync, each sector at a moment of its own; so a write may be there, missing or
// torn, and a later one there without an earlier one, but never half a sector, and never two writes
// of one sector in the wrong order. The size is one more such unit: it can grow without its bytes
// (which then read as zeros) and bytes can be written without the size that shows them.
//
// The unit of a folder is the change of a name; each is there or not. See "All File Systems Are Not
// Created Equal" (OSDI '14) for how real file systems come to do all this.

#include "base/assert.h"
#include "base/hash.h"
#include "base/memory.h"
#include "os/disk_model_state.h"

static uint64_t random_next(uint64_t *state) {
    *state += 0x9e3779b97f4a7c15u;
    return hash_id(*state);
}

// How a crash treats what is pending: most states of interest lie near "nearly all" and "nearly
// nothing", which fair coins would hardly ever show when much is pending.
typedef struct Mood {
    unsigned keep;  // of 16
    unsigned tear;  // of 16; the rest is dropped
} Mood;

static Mood mood_next(uint64_t *state) {
    static const Mood moods[] = {{5, 6}, {5, 6}, {14, 1}, {1, 1}, {8, 0}, {0, 16}};
    return moods[random_next(state) % COUNT(moods)];
}

typedef enum Fate { FATE_DROP, FATE_KEEP, FATE_TEAR } Fate;

static Fate fate_next(Mood mood, uint64_t *state) {
    unsigned draw = (unsigned)(random_next(state) % 16);
    if (draw < mood.keep) return FATE_KEEP;
    return draw < mood.keep + mood.tear ? FATE_TEAR : FATE_DROP;
}

// The plan of one file: up to which change each sector is written (0: none), and which change gave
// the size.
typedef struct Plan {
    uint32_t *upto;
    size_t sector_count;
    size_t size_version;
    size_t hidden_from;  // sectors behind a cut that did not happen: later writes went elsewhere
} Plan;

static size_t size_of_version(const Node *node, size_t version) {
    return version == 0 ? node->durable.size : node->changes.at[version - 1].size_after;
}

static size_t size_version_next(size_t count, uint64_t *state) {
    uint64_t draw = random_next(state);
    if (draw % 4 == 0) return 0;
    if (draw % 4 == 1) return count;
    return (size_t)(draw / 4 % (count + 1));
}

static void plan_range(Plan *plan, size_t first, size_t last, uint32_t version, Fate fate,
                       uint64_t *state) {
    if (fate == FATE_DROP) return;
    uint64_t bits = 0;
    for (size_t sector = first; sector < MIN(last, plan->hidden_from); sector++) {
        if ((sector - first) % 64 == 0) bits = random_next(state);
        if (fate == FATE_KEEP || (bits >> ((sector - first) % 64) & 1) == 1)
            plan->upto[sector] = version;
    }
}

static void plan_cut(Plan *plan, size_t size, uint32_t version, Fate fate, uint64_t *state) {
    size_t whole = (size + SECTOR_BYTES - 1) / SECTOR_BYTES;
    if (version > plan->size_version) {
        plan->hidden_from = MIN(plan->hidden_from, whole);
        return;
    }
    // The size and the release of what lies behind it are one change.
    plan_range(plan, whole, plan->sector_count, version, FATE_KEEP, state);
    if (size % SECTOR_BYTES != 0)
        plan_range(plan, size / SECTOR_BYTES, whole, version, fate, state);
}

static void plan_file(Plan *plan, const Node *node, Mood mood, uint64_t *state) {
    plan->size_version = size_version_next(node->changes.count, state);
    plan->hidden_from = plan->sector_count;
    for (size_t i = 0; i < node->changes.count; i++) {
        const Change *change = &node->changes.at[i];
        uint32_t version = (uint32_t)(i + 1);
        Fate fate = change->lost ? FATE_DROP : fate_next(mood, state);
        if (change->kind == CHANGE_WRITE) {
            size_t last = (change->offset + change->len + SECTOR_BYTES - 1) / SECTOR_BYTES;
            plan_range(plan, change->offset / SECTOR_BYTES, last, version, fate, state);
        } else if (change->size_after < size_of_version(node, i)) {
            plan_cut(plan, change->size_after, version, fate, state);
        }
    }
}

// Applies a change to those sectors that the plan gives it: a write, or zeros behind a cut.
static void apply(const Plan *plan, const Change *change, uint32_t version, size_t all,
                  uint8_t *into) {
    size_t from = change->kind == CHANGE_WRITE ? change->offset : change->size_after;
    size_t to = change->kind == CHANGE_WRITE ? change->offset + change->len : all;
    for (size_t sector = from / SECTOR_BYTES; sector * SECTOR_BYTES < to; sector++) {
        if (plan->upto[sector] < version) continue;
        size_t start = MAX(from, sector * SECTOR_BYTES);
        size_t end = MIN(to, (sector + 1) * SECTOR_BYTES);
        if (change->kind == CHANGE_WRITE) {
            memcpy(into + start, change->bytes->at + (start - from), end - start);
        } else {
            memset(into + start, 0, end - start);
        }
    }
}

static void crash_file(Node *node, uint64_t *state) {
    size_t all = node->durable.size;
    for (size_t i = 0; i < node->changes.count; i++) all = MAX(all, node->changes.at[i].size_after);
    Plan plan = {.sector_count = (all + SECTOR_BYTES - 1) / SECTOR_BYTES};
    plan.upto = memory_new_array(uint32_t, plan.sector_count);
    plan_file(&plan, node, mood_next(state), state);

    size_t size = size_of_version(node, plan.size_version);
    image_own(&node->durable, all);
    node->durable.size = all;
    uint8_t *into = node->durable.bytes->at;
    for (size_t i = 0; i < node->changes.count; i++) {
        const Change *change = &node->changes.at[i];
        bool cuts = change->kind == CHANGE_RESIZE && change->size_after < size_of_version(node, i);
        if (change->kind == CHANGE_WRITE || cuts)
            apply(&plan, change, (uint32_t)(i + 1), all, into);
    }
    image_resize(&node->durable, size);
    memory_free(plan.upto);
}

// The renames across folders whose new name did not make it: their old name must then stay, or the
// file would be lost by a crash that no order of syncs can prevent.
typedef ARRAY(uint64_t) Pairs;

static bool pairs_have(const Pairs *pairs, uint64_t pair) {
    for (size_t i = 0; i < pairs->count; i++) {
        if (pairs->at[i] == pair) return true;
    }
    return false;
}

// The same answer each time it is asked about the i-th change.
static bool change_survives(Mood mood, uint64_t seed, size_t i) {
    uint64_t state = seed + i * 0x9e3779b97f4a7c15u;
    return fate_next(mood, &state) != FATE_DROP;
}

// Two passes: which new names are missing, and then what that leaves of each folder.
static void crash_folders(DiskModel *model, uint64_t *state) {
    Pairs missing = {0};
    uint64_t seed = random_next(state);
    Mood mood = mood_next(state);
    mood.tear /= 2;  // a name cannot be torn; its share goes to both sides
    for (int pass = 0; pass < 2; pass++) {
        size_t number = 0;
        for (size_t n = 0; n < model->nodes.count; n++) {
            Node *node = &model->nodes.at[n];
            for (size_t i = 0; i < node->entry_changes.count; i++) {
                const EntryChange *change = &node->entry_changes.at[i];
                bool survives = change_survives(mood, seed, number++);
                if (pass == 0) {
                    bool is_lost_half = change->pair != 0 && change->kind == ENTRY_ADD && !survives;
                    if (is_lost_half) *array_add(&missing) = change->pair;
                    continue;
                }
                if (change->kind == ENTRY_DROP && pairs_have(&missing, change->pair))
                    survives = false;
                if (survives) entries_apply(&node->durable_entries, change);
            }
        }
    }
    array_free(&missing);
}

// What is durable is all there is.
static void restart(DiskModel *model) {
    for (size_t i = 0; i < model->nodes.count; i++) {
        Node *node = &model->nodes.at[i];
        if (node->kind == NODE_FREE) continue;
        node->links = 0;
        node_clear_changes(node);
        node_clear_entry_changes(node);
        image_set(&node->live, node->durable);
        entries_set(&node->live_entries, &node->durable_entries);
    }
    model_sweep(model);
    for (size_t i = 0; i < model->nodes.count; i++) {
        const Entries *entries = &model->nodes.at[i].live_entries;
        for (size_t j = 0; j < entries->count; j++) model->nodes.at[entries->at[j].node].links++;
    }
}

void disk_model_crash(DiskModel *model, CrashKind kind, uint64_t seed) {
    mutex_take(&model->lock);
    uint64_t state = seed;
    model->generation++;
    model->stop_at = 0;
    model->fail_sync_in = 0;
    for (size_t i = 0; i < model->nodes.count; i++) {
        Node *node = &model->nodes.at[i];
        node->open_count = 0;
        node->locked_by = NULL;
        if (kind == CRASH_RANDOM && node->changes.count > 0) crash_file(node, &state);
    }
    if (kind == CRASH_RANDOM) crash_folders(model, &state);
    // After kill -9 the kernel still holds what was not synced: it stays to be lost by a later cut.
    if (kind != CRASH_KEEP_ALL) restart(model);
    mutex_give(&model->lock);
}
