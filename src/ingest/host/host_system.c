// The system as a whole: kernel, distribution, clock, descriptors, processes.

#include "ingest/host/scrape.h"
#include "os/disk.h"
#include "os/process.h"

static Text read_line(Scrape *scrape, const char *name) {
    Text rest, line;
    Error err;
    if (!read_proc(scrape, name, &rest, &err) || !next_line(&rest, &line)) return TEXT_NONE;
    return text_copy(text_trim(line), scrape->arena);
}

bool collect_uname(Scrape *scrape, Error *err) {
    Text kernel = machine_kernel(scrape->arena), sysname, release, machine;
    if (!next_word(&kernel, &sysname) || !next_word(&kernel, &release) ||
        !next_word(&kernel, &machine)) {
        return error_set(err, ERROR_IO, "the kernel does not name itself");
    }
    Label labels[] = {
        {TEXT("sysname"), sysname},
        {TEXT("release"), release},
        {TEXT("machine"), machine},
        {TEXT("version"), read_line(scrape, "sys/kernel/version")},
        {TEXT("nodename"), machine_name(scrape->arena)},
        {TEXT("domainname"), read_line(scrape, "sys/kernel/domainname")},
    };
    emit(scrape, TEXT("node_uname_info"), labels, COUNT(labels), 1);
    return true;
}

bool collect_os(Scrape *scrape, Error *err) {
    static const struct {
        Text key;
        Text label;
    } fields[] = {
        {TEXT_INIT("ID"), TEXT_INIT("id")},
        {TEXT_INIT("NAME"), TEXT_INIT("name")},
        {TEXT_INIT("PRETTY_NAME"), TEXT_INIT("pretty_name")},
        {TEXT_INIT("VERSION"), TEXT_INIT("version")},
        {TEXT_INIT("VERSION_CODENAME"), TEXT_INIT("version_codename")},
        {TEXT_INIT("VERSION_ID"), TEXT_INIT("version_id")},
    };
    builder_clear(scrape->file);
    TRY(process_read_file("/etc/os-release", scrape->file, err));
    Text rest = builder_text(scrape->file), line, key;
    Label labels[COUNT(fields)];
    size_t count = 0;
    while (next_line(&rest, &line)) {
        Text value = line;
        if (!text_cut(&value, '=', &key) || value.at == NULL) continue;
        if (value.len >= 2 && value.at[0] == '"') value = text_slice(value, 1, value.len - 1);
        for (size_t i = 0; i < COUNT(fields); i++) {
            if (text_equal(fields[i].key, key) && count < COUNT(labels))
                labels[count++] = (Label){fields[i].label, value};
        }
    }
    emit(scrape, TEXT("node_os_info"), labels, count, 1);
    return true;
}

bool collect_time(Scrape *scrape, Error *err) {
    (void)err;
    emit_one(scrape, TEXT("node_time_seconds"), (double)scrape->now_ms / 1000);
    return true;
}

bool collect_filefd(Scrape *scrape, Error *err) {
    Text rest;
    TRY(read_proc(scrape, "sys/fs/file-nr", &rest, err));
    emit_one(scrape, TEXT("node_filefd_allocated"), next_number(&rest));
    (void)next_number(&rest);
    emit_one(scrape, TEXT("node_filefd_maximum"), next_number(&rest));
    return true;
}

// "1234 (name with ) in it) S ppid …": the state stands behind the last parenthesis, the threads 17
// words later.
static bool read_process(Text line, char *state, double *threads) {
    size_t at = line.len;
    while (at > 0 && line.at[at - 1] != ')') at--;
    Text rest = text_slice(line, at, line.len), word;
    if (!next_word(&rest, &word) || word.len != 1) return false;
    *state = word.at[0];
    for (int i = 0; i < 16; i++) {
        if (!next_word(&rest, &word)) return false;
    }
    *threads = next_number(&rest);
    return true;
}

bool collect_processes(Scrape *scrape, Error *err) {
    Disk *disk = disk_real();
    DiskEntries entries;
    TRY(disk->list(disk, scrape->proc, scrape->arena, &entries, err));
    double by_state[128] = {0}, threads_all = 0, count = 0;
    for (size_t i = 0; i < entries.count; i++) {
        uint64_t number;
        if (!text_to_u64(entries.at[i].name, &number)) continue;
        char name[48];
        snprintf(name, sizeof name, "%llu/stat", (unsigned long long)number);
        Text line;
        Error gone;  // a process may end between the list and the read
        char state;
        double threads;
        if (!read_proc(scrape, name, &line, &gone) || !read_process(line, &state, &threads))
            continue;
        by_state[(unsigned char)state & 127]++;
        threads_all += threads;
        count++;
    }
    for (size_t state = 'A'; state <= 'z'; state++) {
        char letter = (char)state;
        if (by_state[state] > 0)
            emit_with(scrape, TEXT("node_processes_state"), TEXT("state"), (Text){&letter, 1},
                      by_state[state]);
    }
    emit_one(scrape, TEXT("node_processes_threads"), threads_all);
    emit_one(scrape, TEXT("node_processes_pids"), count);
    Text most;
    if (read_proc(scrape, "sys/kernel/threads-max", &most, err))
        emit_one(scrape, TEXT("node_processes_max_threads"), next_number(&most));
    if (read_proc(scrape, "sys/kernel/pid_max", &most, err))
        emit_one(scrape, TEXT("node_processes_max_processes"), next_number(&most));
    return true;
}
