// The busiest processes: two readings of /proc and what lies between them.
//
// A reading is one line of each process's stat. Rates are over at least RATE_NS_MIN, so that two
// pages that look at about the same time do not get noise: the reading before the last is kept for
// that. What costs more (memory, user) is read for the rows shown only.

#include <stdlib.h>

#include "ingest/host/scrape.h"
#include "os/disk.h"
#include "os/process.h"

enum {
    RATE_NS_MIN = 900000000,
    TICKS_PER_SECOND = 100
};  // USER_HZ, fixed in the kernel's interface

typedef struct Reading {
    int64_t pid;
    uint64_t started;  // ticks after boot: a number that was given again is another process
    uint64_t ticks;    // user and system
    uint64_t pages;
    int64_t threads;
    char state;
    char name[16];
    uint8_t name_len;
} Reading;

typedef struct Readings {
    Arena arena;
    Reading *at;  // sorted by pid
    size_t count;
    int64_t taken_ns;  // 0: never
} Readings;

struct HostProcesses {
    Arena arena;
    Text proc;
    Builder file;
    Readings kept[2];  // the last and the one before
};

HostProcesses *host_processes_new(Text proc_folder) {
    HostProcesses *processes = memory_new(HostProcesses);
    processes->proc =
        text_copy(proc_folder.len > 0 ? proc_folder : TEXT("/proc"), &processes->arena);
    return processes;
}

void host_processes_free(HostProcesses **handle) {
    if (*handle == NULL) return;
    HostProcesses *processes = TAKE(*handle);
    for (size_t i = 0; i < COUNT(processes->kept); i++) arena_free(&processes->kept[i].arena);
    builder_free(&processes->file);
    arena_free(&processes->arena);
    memory_free(processes);
}

static bool read_file(HostProcesses *processes, Arena *arena, const char *name, Text *out) {
    Text path = text_format(arena, "%.*s/%s", TEXT_ARG(processes->proc), name);
    builder_clear(&processes->file);
    Error gone;  // a process may end between the list and the read
    if (!process_read_file(path.at, &processes->file, &gone)) return false;
    *out = builder_text(&processes->file);
    return true;
}

// "1234 (name with ) in it) S ppid …" (proc(5)): the words are counted behind the last parenthesis.
static bool reading_parse(Text line, Reading *out) {
    size_t close = line.len;
    while (close > 0 && line.at[close - 1] != ')') close--;
    ptrdiff_t open = text_find_char(line, '(');
    if (close == 0 || open < 0 || (size_t)open + 1 > close - 1) return false;
    Text name = text_slice(line, (size_t)open + 1, close - 1), rest, word;
    rest = text_slice(line, close, line.len);
    uint64_t words[22] = {0};
    for (size_t i = 0; i < COUNT(words); i++) {
        if (!next_word(&rest, &word)) return false;
        if (i == 0)
            out->state = word.at[0];
        else if (!text_to_u64(word, &words[i]))
            words[i] = 0;  // some are negative: not ours
    }
    // ORDER: proc(5), state is word 3 of the line and 0 here
    out->ticks = words[11] + words[12];
    out->threads = (int64_t)words[17];
    out->started = words[19];
    out->pages = words[21];
    out->name_len = (uint8_t)MIN(name.len, sizeof out->name);
    memcpy(out->name, name.at, out->name_len);
    return true;
}

static int by_pid(const void *a, const void *b) {
    int64_t x = ((const Reading *)a)->pid, y = ((const Reading *)b)->pid;
    return (x > y) - (x < y);
}

static bool read_all(HostProcesses *processes, int64_t now_ns, Readings *into, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    Disk *disk = disk_real();
    DiskEntries entries;
    TRY(disk->list(disk, processes->proc, &scratch, &entries, err));
    arena_clear(&into->arena);
    into->at = arena_push_array(&into->arena, Reading, entries.count);
    into->count = 0;
    for (size_t i = 0; i < entries.count; i++) {
        uint64_t pid;
        if (!text_to_u64(entries.at[i].name, &pid)) continue;
        char name[48];
        snprintf(name, sizeof name, "%llu/stat", (unsigned long long)pid);
        Text line;
        Reading *reading = &into->at[into->count];
        reading->pid = (int64_t)pid;
        if (read_file(processes, &scratch, name, &line) && reading_parse(line, reading))
            into->count++;
    }
    qsort(into->at, into->count, sizeof *into->at, by_pid);
    into->taken_ns = now_ns;
    return true;
}

// ---- Between two readings ----

static const Reading *reading_find(const Readings *readings, const Reading *wanted) {
    const Reading *found = readings->count == 0 ? NULL
                                                : bsearch(wanted, readings->at, readings->count,
                                                          sizeof *wanted, by_pid);
    return found != NULL && found->started == wanted->started ? found : NULL;
}

typedef struct Busy {
    const Reading *reading;
    double cpu;
} Busy;

static int by_cpu(const void *a, const void *b) {
    const Busy *x = a, *y = b;
    if (x->cpu != y->cpu) return x->cpu < y->cpu ? 1 : -1;
    uint64_t p = x->reading->pages, q = y->reading->pages;
    return (p < q) - (p > q);
}

// Seconds since boot, by /proc/uptime; 0 when it is not known.
static double uptime_s(HostProcesses *processes, Arena *arena) {
    Text rest;
    return read_file(processes, arena, "uptime", &rest) ? next_number(&rest) : 0;
}

static double cpu_of(const Reading *reading, const Readings *base, double seconds, double uptime) {
    const Reading *before = seconds > 0 ? reading_find(base, reading) : NULL;
    double ticks = (double)reading->ticks, over = seconds;
    if (before != NULL) {
        ticks = (double)(reading->ticks - MIN(before->ticks, reading->ticks));
    } else if (seconds == 0) {
        over = uptime - (double)reading->started / TICKS_PER_SECOND;
    }  // else it began between the two: all it used was used then
    return over > 0 ? ticks / TICKS_PER_SECOND / over : 0;
}

// ---- What is shown ----

// The name of a user by the lines "name:x:uid:…" of /etc/passwd.
static Text user_name(Text passwd, Text uid, Arena *arena) {
    Text line;
    while (text_cut(&passwd, '\n', &line)) {
        Text name, word, rest = line;
        if (!text_cut(&rest, ':', &name) || !text_cut(&rest, ':', &word) ||
            !text_cut(&rest, ':', &word))
            continue;
        if (text_equal(word, uid)) return text_copy(name, arena);
    }
    return text_copy(uid, arena);
}

static void fill(HostProcesses *processes, const Busy *busy, Text passwd, Arena *arena,
                 HostProcess *out) {
    const Reading *reading = busy->reading;
    *out = (HostProcess){
        .pid = reading->pid,
        .name = text_copy((Text){reading->name, reading->name_len}, arena),
        .state = reading->state,
        .threads = reading->threads,
        .cpu = busy->cpu,
    };
    char name[48];
    snprintf(name, sizeof name, "%lld/status", (long long)reading->pid);
    Text rest, line, word;
    if (!read_file(processes, arena, name, &rest)) return;
    while (text_cut(&rest, '\n', &line)) {
        if (!next_word(&line, &word)) continue;
        if (text_equal(word, TEXT("VmRSS:")))
            out->resident_bytes = (int64_t)next_number(&line) * KB;
        if (text_equal(word, TEXT("Uid:")) && next_word(&line, &word))
            out->user = user_name(passwd, word, arena);
    }
}

bool host_processes_read(HostProcesses *processes, Clock *clock, size_t most, Arena *arena,
                         HostTop *out, Error *err) {
    int64_t now_ns = clock->monotonic_ns(clock);
    Readings *last = &processes->kept[0], *before = &processes->kept[1];
    const bool fresh = last->taken_ns != 0 && now_ns - last->taken_ns < RATE_NS_MIN;
    // A fresh reading is not replaced: it will be the base of the next one.
    Readings *base = fresh ? before : last;
    Readings mine = {0};
    AUTO(arena_free) Arena scratch = {0};
    if (!read_all(processes, now_ns, &mine, err)) {
        arena_free(&mine.arena);
        return false;
    }
    double seconds = base->taken_ns == 0 ? 0 : (double)(now_ns - base->taken_ns) / 1e9;
    double uptime = uptime_s(processes, &scratch);
    Busy *busy = arena_push_array(&scratch, Busy, mine.count + 1);
    for (size_t i = 0; i < mine.count; i++)
        busy[i] = (Busy){&mine.at[i], cpu_of(&mine.at[i], base, seconds, uptime)};
    qsort(busy, mine.count, sizeof *busy, by_cpu);
    AUTO(builder_free) Builder passwd = {0};
    Error ignored;
    (void)!process_read_file("/etc/passwd", &passwd, &ignored);
    *out = (HostTop){.count = MIN(most, mine.count), .all = mine.count, .seconds = seconds};
    out->at = arena_push_array(arena, HostProcess, out->count + 1);
    for (size_t i = 0; i < out->count; i++)
        fill(processes, &busy[i], builder_text(&passwd), arena, &out->at[i]);
    if (fresh) {
        arena_free(&mine.arena);
    } else {
        arena_free(&before->arena);
        *before = *last;
        *last = mine;
    }
    return true;
}
