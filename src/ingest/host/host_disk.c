// Disks and file systems: /proc/diskstats (kernel: Documentation/admin-guide/iostats) and the
// mounts.

#include "ingest/host/scrape.h"
#include "os/process.h"

// Partitions and devices of memory say nothing that their disk does not; node_exporter leaves them
// out too.
static bool is_left_out(Text device) {
    static const Text prefixes[] = {TEXT_INIT("ram"), TEXT_INIT("loop"), TEXT_INIT("fd")};
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        if (text_starts_with(device, prefixes[i])) return true;
    }
    bool ends_in_digit =
        device.len > 0 && device.at[device.len - 1] >= '0' && device.at[device.len - 1] <= '9';
    static const Text letters[] = {TEXT_INIT("sd"), TEXT_INIT("vd"), TEXT_INIT("hd"),
                                   TEXT_INIT("xvd")};
    for (size_t i = 0; i < COUNT(letters); i++) {
        if (ends_in_digit && text_starts_with(device, letters[i])) return true;
    }
    return text_starts_with(device, TEXT("nvme")) && text_find_char(device, 'p') > 0;
}

bool collect_diskstats(Scrape *scrape, Error *err) {
    // ORDER: the columns of the kernel after major, minor and name. A sector is 512 bytes, times
    // are milliseconds.
    static const struct {
        Text name;
        double factor;
    } columns[] = {
        {TEXT_INIT("node_disk_reads_completed_total"), 1},
        {TEXT_INIT("node_disk_reads_merged_total"), 1},
        {TEXT_INIT("node_disk_read_bytes_total"), 512},
        {TEXT_INIT("node_disk_read_time_seconds_total"), 0.001},
        {TEXT_INIT("node_disk_writes_completed_total"), 1},
        {TEXT_INIT("node_disk_writes_merged_total"), 1},
        {TEXT_INIT("node_disk_written_bytes_total"), 512},
        {TEXT_INIT("node_disk_write_time_seconds_total"), 0.001},
        {TEXT_INIT("node_disk_io_now"), 1},
        {TEXT_INIT("node_disk_io_time_seconds_total"), 0.001},
        {TEXT_INIT("node_disk_io_time_weighted_seconds_total"), 0.001},
        {TEXT_INIT("node_disk_discards_completed_total"), 1},
        {TEXT_INIT("node_disk_discards_merged_total"), 1},
        {TEXT_INIT("node_disk_discarded_sectors_total"), 1},
        {TEXT_INIT("node_disk_discard_time_seconds_total"), 0.001},
        {TEXT_INIT("node_disk_flush_requests_total"), 1},
        {TEXT_INIT("node_disk_flush_requests_time_seconds_total"), 0.001},
    };
    Text rest, line, ignored, device, word;
    TRY(read_proc(scrape, "diskstats", &rest, err));
    while (next_line(&rest, &line)) {
        if (!next_word(&line, &ignored) || !next_word(&line, &ignored) ||
            !next_word(&line, &device) || is_left_out(device))
            continue;
        double value;
        for (size_t i = 0;
             i < COUNT(columns) && next_word(&line, &word) && text_to_f64(word, &value); i++) {
            emit_with(scrape, columns[i].name, TEXT("device"), device, value * columns[i].factor);
        }
    }
    return true;
}

// Kinds of file systems that hold no files of anyone.
static bool is_pseudo(Text kind) {
    static const Text kinds[] = {
        TEXT_INIT("autofs"),     TEXT_INIT("binfmt_misc"), TEXT_INIT("bpf"),
        TEXT_INIT("cgroup"),     TEXT_INIT("cgroup2"),     TEXT_INIT("configfs"),
        TEXT_INIT("debugfs"),    TEXT_INIT("devpts"),      TEXT_INIT("devtmpfs"),
        TEXT_INIT("fusectl"),    TEXT_INIT("hugetlbfs"),   TEXT_INIT("iso9660"),
        TEXT_INIT("mqueue"),     TEXT_INIT("nsfs"),        TEXT_INIT("overlay"),
        TEXT_INIT("proc"),       TEXT_INIT("procfs"),      TEXT_INIT("pstore"),
        TEXT_INIT("rpc_pipefs"), TEXT_INIT("securityfs"),  TEXT_INIT("selinuxfs"),
        TEXT_INIT("squashfs"),   TEXT_INIT("sysfs"),       TEXT_INIT("tracefs"),
    };
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (text_equal(kind, kinds[i])) return true;
    }
    return false;
}

// A space in a mount point is written \040 there.
static Text unescape(Text text, Arena *arena) {
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\\' && i + 3 < text.len) {
            builder_add_char(&out, (char)((text.at[i + 1] - '0') * 64 + (text.at[i + 2] - '0') * 8 +
                                          (text.at[i + 3] - '0')));
            i += 3;
        } else {
            builder_add_char(&out, text.at[i]);
        }
    }
    return text_copy(builder_text(&out), arena);
}

static void emit_mount(Scrape *scrape, Text device, Text kind, Text mount) {
    Label labels[] = {
        {TEXT("device"), device}, {TEXT("fstype"), kind}, {TEXT("mountpoint"), mount}};
    MountSpace space;
    Error err;
    if (!mount_space(mount.at, &space, &err)) {
        emit(scrape, TEXT("node_filesystem_device_error"), labels, 3, 1);
        return;
    }
    const struct {
        Text name;
        int64_t value;
    } rows[] = {
        {TEXT("node_filesystem_size_bytes"), space.bytes},
        {TEXT("node_filesystem_free_bytes"), space.bytes_free},
        {TEXT("node_filesystem_avail_bytes"), space.bytes_available},
        {TEXT("node_filesystem_files"), space.files},
        {TEXT("node_filesystem_files_free"), space.files_free},
        {TEXT("node_filesystem_readonly"), space.read_only},
        {TEXT("node_filesystem_device_error"), 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        emit(scrape, rows[i].name, labels, 3, (double)rows[i].value);
}

bool collect_filesystem(Scrape *scrape, Error *err) {
    Text rest, line, device, mount, kind;
    if (!read_proc(scrape, "1/mounts", &rest, err))
        TRY(read_proc(scrape, "self/mounts", &rest, err));
    rest = text_copy(rest, scrape->arena);
    ARRAY(Text) seen = {0};
    while (next_line(&rest, &line)) {
        if (!next_word(&line, &device) || !next_word(&line, &mount) || !next_word(&line, &kind) ||
            is_pseudo(kind))
            continue;
        mount = unescape(mount, scrape->arena);
        bool again = text_starts_with(mount, TEXT("/dev/")) ||
                     text_starts_with(mount, TEXT("/proc/")) ||
                     text_starts_with(mount, TEXT("/sys/"));
        for (size_t i = 0; i < seen.count; i++) again |= text_equal(seen.at[i], mount);
        if (again) continue;
        *array_add_on(scrape->arena, &seen) = mount;
        emit_mount(scrape, unescape(device, scrape->arena), kind, mount);
    }
    return true;
}
