// A log's life on a simulated disk of its own, for tests.
#pragma once

#include "store/log/life.h"

typedef struct Stage {
    DiskModel *model;
    Life life;
} Stage;

static inline void stage_begin(Stage *stage) {
    stage->model = disk_model_new();
    life_begin(&stage->life, disk_model_disk(stage->model));
}

static inline void stage_end(Stage *stage) {
    life_end(&stage->life);
    disk_model_free(&stage->model);
}

static inline void append_and_commit(Test *t, Life *life, int records, size_t bytes) {
    for (int i = 0; i < records; i++) check_ok(t, life_append(life, bytes, t->err));
    check_ok(t, life_commit(life, t->err));
}

// The files of the log with this ending.
static inline size_t count_files(Test *t, Disk *disk, Text ending, Text *last) {
    DiskEntries entries;
    size_t count = 0;
    check_ok(t, disk->list(disk, TEXT("data/log"), t->arena, &entries, t->err));
    for (size_t i = 0; i < entries.count; i++) {
        if (!text_ends_with(entries.at[i].name, ending)) continue;
        count++;
        *last = text_format(t->arena, "data/log/%.*s", TEXT_ARG(entries.at[i].name));
    }
    return count;
}

static inline void crash(Stage *stage, CrashKind kind) {
    life_close(&stage->life);
    disk_model_crash(stage->model, kind, 1);
}

// As a power cut: the end mark of an orderly close is not written.
static inline void stop_and_crash(Stage *stage) {
    disk_model_stop_at(stage->model, disk_model_operations(stage->model) + 1);
    crash(stage, CRASH_DROP_ALL);
    disk_model_stop_at(stage->model, 0);
}

static inline void reopen_and_judge(Test *t, Stage *stage) {
    check_ok(t, life_open(&stage->life, t->err));
    check_ok(t, life_judge(&stage->life, false, t->err));
}
