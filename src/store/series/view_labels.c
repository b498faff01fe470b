// Sharing label bytes among series, and telling whether series stay apart: two hash tables.

#include "store/series/view_labels.h"

#include "base/assert.h"

LabelPicker picker_begin(const SeriesWanted *wanted, HashKey key, Arena *arena) {
    return (LabelPicker){.wanted = wanted, .key = key, .arena = arena, .apart = true};
}

void picker_end(LabelPicker *picker) {
    arena_free(&picker->scratch);
}

uint8_t picker_use(const LabelPicker *picker, Text name) {
    const SeriesWanted *wanted = picker->wanted;
    bool picked = !wanted->some || text_is_among(name, wanted->labels);
    bool of_rest = wanted->without.count > 0 && !text_is_among(name, wanted->without);
    return (uint8_t)((picked ? LABEL_PICKED : 0) | (of_rest ? LABEL_OF_REST : 0));
}

// ---- Do they stay apart? ----

static void rests_grow(LabelPicker *picker) {
    size_t before = picker->rest_slot_count;
    const uint64_t *old = picker->rests;
    picker->rest_slot_count = before == 0 ? 1024 : before * 4;
    picker->rests = arena_push_array(&picker->scratch, uint64_t, picker->rest_slot_count);
    for (size_t i = 0; i < before; i++) {
        size_t at = old[i] & (picker->rest_slot_count - 1);
        if (old[i] == 0) continue;
        while (picker->rests[at] != 0) at = (at + 1) & (picker->rest_slot_count - 1);
        picker->rests[at] = old[i];
    }
}

static void rest_see(LabelPicker *picker, uint64_t hash) {
    if (!picker->apart || picker->wanted->without.count == 0) return;
    if ((picker->rest_count + 1) * 4 >= picker->rest_slot_count * 3) rests_grow(picker);
    hash = hash == 0 ? 1 : hash;
    size_t at = hash & (picker->rest_slot_count - 1);
    for (; picker->rests[at] != 0; at = (at + 1) & (picker->rest_slot_count - 1)) {
        if (picker->rests[at] == hash) picker->apart = false;
    }
    picker->rests[at] = hash;
    picker->rest_count++;
}

// ---- Sets of labels that are shared ----

static void sets_grow(LabelPicker *picker) {
    picker->set_slot_count = picker->set_slot_count == 0 ? 256 : picker->set_slot_count * 4;
    picker->set_slots = arena_push_array(&picker->scratch, uint32_t, picker->set_slot_count);
    for (size_t i = 0; i < picker->sets.count; i++) {
        size_t at = picker->sets.at[i].hash & (picker->set_slot_count - 1);
        while (picker->set_slots[at] != 0) at = (at + 1) & (picker->set_slot_count - 1);
        picker->set_slots[at] = (uint32_t)i + 1;
    }
}

// The slot of a set with this hash that `is` says is the one; free where there is none.
static uint32_t *slot_of(LabelPicker *picker, uint64_t hash,
                         bool (*is)(const LabelPicker *picker, const PickedSet *set,
                                    const void *what),
                         const void *what) {
    if ((picker->sets.count + 1) * 4 >= picker->set_slot_count * 3) sets_grow(picker);
    size_t at = hash & (picker->set_slot_count - 1);
    for (; picker->set_slots[at] != 0; at = (at + 1) & (picker->set_slot_count - 1)) {
        const PickedSet *set = &picker->sets.at[picker->set_slots[at] - 1];
        if (set->hash == hash && is(picker, set, what)) break;
    }
    return &picker->set_slots[at];
}

static PickedSet *set_add(LabelPicker *picker, uint32_t *slot, uint64_t hash) {
    PickedSet *set = array_add_on(&picker->scratch, &picker->sets);
    *set = (PickedSet){.hash = hash};
    *slot = (uint32_t)picker->sets.count;
    return set;
}

static bool has_numbers(const LabelPicker *picker, const PickedSet *set, const void *what) {
    const Picked *picked = what;
    return set->count == picked->count &&
           (set->count == 0 || memcmp(picker->numbers.at + set->first, picked->numbers,
                                      set->count * sizeof *picked->numbers) == 0);
}

Labels *picked_find(LabelPicker *picker, const Picked *picked, bool *made) {
    assert(picked->count <= PICKED_MAX);
    rest_see(picker, picked->rest);
    uint32_t *slot = slot_of(picker, picked->hash, has_numbers, picked);
    *made = *slot == 0;
    if (!*made) return &picker->sets.at[*slot - 1].labels;
    PickedSet *set = set_add(picker, slot, picked->hash);
    set->first = (uint32_t)picker->numbers.count;
    set->count = (uint32_t)picked->count;
    for (size_t i = 0; i < picked->count; i++)
        *array_add_on(&picker->scratch, &picker->numbers) = picked->numbers[i];
    return &set->labels;
}

static bool has_bytes(const LabelPicker *picker, const PickedSet *set, const void *what) {
    (void)picker;
    const Labels *labels = what;
    return labels_equal(set->labels, *labels);
}

Labels picker_of_bytes(LabelPicker *picker, Labels labels) {
    AUTO(builder_free) Builder kept = {0};
    AUTO(builder_free) Builder rest_bytes = {0};
    Label label;
    Bytes rest = labels.wire, before = rest;
    for (; labels_next(&rest, &label); before = rest) {
        uint8_t use = picker_use(picker, label.name);
        Text piece = bytes_text((Bytes){before.at, (size_t)(rest.at - before.at)});
        if (use & LABEL_PICKED) builder_add(&kept, piece);
        if (use & LABEL_OF_REST) builder_add(&rest_bytes, piece);
    }
    if (picker->wanted->without.count > 0)
        rest_see(picker, hash_keyed(picker->key, text_bytes(builder_text(&rest_bytes))));
    if (!picker->wanted->some) return labels;
    Labels found = {text_bytes(builder_text(&kept))};
    uint64_t hash = hash_keyed(picker->key, found.wire);
    uint32_t *slot = slot_of(picker, hash, has_bytes, &found);
    if (*slot != 0) return picker->sets.at[*slot - 1].labels;
    PickedSet *set = set_add(picker, slot, hash);
    set->labels.wire = bytes_copy(found.wire, picker->arena);
    return set->labels;
}
