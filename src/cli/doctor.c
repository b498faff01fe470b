// `traceo doctor`: is this machine fit to run Traceo? A table of checks; each says ok, warn or
// fail, and what to do.

#include "cli/load.h"
#include "cli/run.h"
#include "ingest/host/host.h"
#include "net/http_client.h"
#include "os/clock.h"
#include "os/process.h"
#include "os/random.h"

enum {
    FILES_WANTED = 16384,  // connections alone may be as many
    SYNC_ROUNDS = 8,
    SYNC_MS_WARN = 20,  // per fdatasync: every write waits for one
    SERVER_TIMEOUT_MS = 2000,
};
static const int64_t MEMORY_WANTED = 512 * MB, SPACE_FAIL = 256 * MB, SPACE_WARN = 5 * GB;
static const int64_t YEAR_2024_MS = INT64_C(1704067200000), YEAR_2100_MS = INT64_C(4102444800000);

typedef enum Fitness { FIT, DOUBTFUL, UNFIT } Fitness;

typedef struct Finding {
    Fitness fitness;
    Text what;  // the state
    Text mend;  // what to do when it is not FIT
} Finding;

typedef struct Doctor {
    Arena *arena;
    Settings settings;
    Text folder;  // the data directory, or the nearest folder above it that is there
    bool folder_is_new;
} Doctor;

// ---- The machine ----

static Finding check_files(Doctor *doctor) {
    int64_t most = process_files_raise();
    Text what = text_format(doctor->arena, "%lld files may be open", (long long)most);
    if (most >= FILES_WANTED) return (Finding){FIT, what, TEXT_NONE};
    return (Finding){
        DOUBTFUL, what,
        TEXT("raise the hard limit (ulimit -Hn, or LimitNOFILE= of systemd) to 65536")};
}

static Finding check_memory(Doctor *doctor) {
    int64_t total = machine_memory_total(),
            limit = settings_number(&doctor->settings, SETTING_MEMORY_LIMIT);
    int64_t used = limit > 0 ? limit : total / 4 * 3;
    Text what = text_format(doctor->arena, "%lld MiB, of which Traceo may use %lld MiB",
                            (long long)(total / MB), (long long)(used / MB));
    if (used > total)
        return (Finding){UNFIT, what,
                         TEXT("set memory.limit below what the machine (or the container) has")};
    if (used < MEMORY_WANTED)
        return (Finding){
            DOUBTFUL, what,
            TEXT("give it 512 MiB or more; with less it refuses writes and queries early")};
    return (Finding){FIT, what, TEXT_NONE};
}

static Finding check_clock(Doctor *doctor) {
    Clock *clock = clock_system();
    int64_t wall_ms = clock->wall_ms(clock), began_ns = clock->monotonic_ns(clock);
    clock->sleep_ms(clock, 20);
    int64_t passed_ms = clock->wall_ms(clock) - wall_ms,
            steady_ms = (clock->monotonic_ns(clock) - began_ns) / 1000000;
    Text what =
        text_format(doctor->arena, "%.*s", TEXT_ARG(time_format_ms(wall_ms, doctor->arena)));
    if (wall_ms < YEAR_2024_MS || wall_ms > YEAR_2100_MS)
        return (Finding){UNFIT, what,
                         TEXT("set the clock; samples would be stored at wrong times")};
    if (passed_ms < steady_ms - 50 || passed_ms > steady_ms + 50) {
        return (Finding){DOUBTFUL, what,
                         TEXT("the clock steps; run a time service (chrony, systemd-timesyncd)")};
    }
    return (Finding){FIT, what, TEXT_NONE};
}

// ---- The disk ----

static bool find_folder(Doctor *doctor, Error *err) {
    Disk *disk = disk_real();
    Text path = settings_text(&doctor->settings, SETTING_DATA);
    bool there;
    TRY(disk->exists(disk, path, &there, err));
    doctor->folder_is_new = !there;
    while (!there) {
        while (path.len > 0 && path.at[path.len - 1] != '/') path.len--;
        while (path.len > 1 && path.at[path.len - 1] == '/') path.len--;
        if (path.len == 0) path = TEXT(".");
        if (text_equal(path, TEXT(".")) || text_equal(path, TEXT("/"))) break;
        TRY(disk->exists(disk, path, &there, err));
    }
    doctor->folder = path;
    return true;
}

static Finding check_space(Doctor *doctor) {
    Disk *disk = disk_real();
    DiskSpace space;
    Error err = {0};
    if (!disk->space(disk, doctor->folder, &space, &err)) {
        return (Finding){UNFIT, text_copy(text_from_cstring(err.message), doctor->arena),
                         TEXT("choose another --data")};
    }
    Text what = text_format(
        doctor->arena, "%.1f GiB free of %.1f GiB at %.*s%s", (double)space.free_bytes / (double)GB,
        (double)space.total_bytes / (double)GB, TEXT_ARG(doctor->folder),
        doctor->folder_is_new ? " (where the data directory will be made)" : "");
    if (space.free_bytes < SPACE_FAIL)
        return (Finding){UNFIT, what, TEXT("make room: writes stop when the disk is full")};
    if (space.free_bytes < SPACE_WARN)
        return (Finding){DOUBTFUL, what, TEXT("make room, or shorten retention")};
    return (Finding){FIT, what, TEXT_NONE};
}

// Writes and syncs a small file as the log does; *us is the mean of one round.
static bool try_sync(Disk *disk, Text path, FileMode mode, int64_t *us, Error *err) {
    uint8_t *buffer = NULL;
    TRY(disk_buffer_take(DISK_ALIGN, &buffer, err));
    memset(buffer, 0x5a, DISK_ALIGN);
    File *file = NULL;
    Clock *clock = clock_system();
    bool ok = disk->open(disk, path, mode, &file, err);
    int64_t began_ns = clock->monotonic_ns(clock);
    for (int i = 0; ok && i < SYNC_ROUNDS; i++) {
        ok = disk->write(disk, file, (int64_t)i * DISK_ALIGN, buffer, DISK_ALIGN, err) &&
             disk->sync_data(disk, file, err);
    }
    *us = (clock->monotonic_ns(clock) - began_ns) / 1000 / SYNC_ROUNDS;
    disk->close(disk, &file);
    disk_buffer_free(&buffer);
    Error ignored;
    (void)!disk->remove(disk, path, &ignored);
    return ok;
}

static Finding check_sync(Doctor *doctor, FileMode mode, const char *how) {
    uint64_t unique;
    Error err = {0};
    int64_t us = 0;
    if (!random_bytes(&unique, sizeof unique, &err))
        return (Finding){UNFIT, text_copy(text_from_cstring(err.message), doctor->arena),
                         TEXT_NONE};
    Text path = text_format(doctor->arena, "%.*s/.traceo-doctor-%016llx", TEXT_ARG(doctor->folder),
                            (unsigned long long)unique);
    if (!try_sync(disk_real(), path, mode, &us, &err)) {
        return (Finding){
            UNFIT, text_copy(text_from_cstring(err.message), doctor->arena),
            TEXT("choose a folder that this user may write, on a local disk, with --data")};
    }
    Text what = text_format(doctor->arena, "%s takes %.2f ms", how, (double)us / 1000);
    if (us > SYNC_MS_WARN * 1000)
        return (Finding){
            DOUBTFUL, what,
            TEXT("every write waits for this; use a faster disk, or fewer and larger writes")};
    return (Finding){FIT, what, TEXT_NONE};
}

static Finding check_fdatasync(Doctor *doctor) {
    return check_sync(doctor, FILE_CREATE, "writing 4 KiB durably (fdatasync)");
}

static Finding check_direct(Doctor *doctor) {
    Finding finding =
        check_sync(doctor, FILE_CREATE_DIRECT, "the same past the page cache (O_DIRECT)");
    if (finding.fitness == UNFIT) finding.fitness = DOUBTFUL;
    return finding;
}

// ---- The network ----

static bool traceo_answers(const Address *address, Arena *arena, int *status) {
    HttpClientRequest request = {.host = TEXT("127.0.0.1"),
                                 .port = address->port,
                                 .target = TEXT("/-/ready"),
                                 .timeout_ms = SERVER_TIMEOUT_MS};
    HttpClientAnswer answer;
    Error ignored;
    if (!http_client_send(&request, arena, &answer, &ignored)) return false;
    *status = answer.status;
    return text_find(answer.body, TEXT("Traceo")) >= 0 || answer.status == 503;
}

static Finding check_port(Doctor *doctor) {
    Address address;
    Error err = {0};
    if (!address_parse(settings_text(&doctor->settings, SETTING_LISTEN), doctor->arena, &address,
                       &err)) {
        return (Finding){UNFIT, text_copy(text_from_cstring(err.message), doctor->arena),
                         TEXT("mend --listen")};
    }
    AUTO(socket_close) Socket socket = SOCKET_NONE;
    if (socket_listen(address, false, &socket, &err)) {
        return (Finding){FIT, text_format(doctor->arena, "%.*s is free", TEXT_ARG(address.text)),
                         TEXT_NONE};
    }
    int status = 0;
    if (traceo_answers(&address, doctor->arena, &status)) {
        return (Finding){FIT,
                         text_format(doctor->arena, "a Traceo answers at %.*s (%s)",
                                     TEXT_ARG(address.text), status == 200 ? "ready" : "replaying"),
                         TEXT_NONE};
    }
    return (Finding){UNFIT, text_copy(text_from_cstring(err.message), doctor->arena),
                     TEXT("choose another address with --listen")};
}

// OpenTelemetry's ports: when one is taken, Traceo says so and goes on without it.
static Finding check_otlp_ports(Doctor *doctor) {
    static const SettingId ids[] = {SETTING_OTLP_GRPC_LISTEN, SETTING_OTLP_HTTP_LISTEN};
    AUTO(builder_free) Builder free_ones = {0};
    for (size_t i = 0; i < COUNT(ids); i++) {
        Text text = settings_text(&doctor->settings, ids[i]);
        if (text.len == 0 || text_equal(text, TEXT("off"))) continue;
        Address address;
        Error err = {0};
        AUTO(socket_close) Socket socket = SOCKET_NONE;
        int status = 0;
        bool fit = address_parse(text, doctor->arena, &address, &err) &&
                   (socket_listen(address, false, &socket, &err) ||
                    traceo_answers(&address, doctor->arena, &status));
        if (!fit)
            return (Finding){
                DOUBTFUL, text_copy(text_from_cstring(err.message), doctor->arena),
                text_format(doctor->arena,
                            "stop what listens there, or set %.*s to another address or to off",
                            TEXT_ARG(setting_rows[ids[i]].key))};
        builder_addf(&free_ones, "%s%.*s", free_ones.len > 0 ? " and " : "", TEXT_ARG(text));
    }
    if (free_ones.len == 0) return (Finding){FIT, TEXT("switched off"), TEXT_NONE};
    return (Finding){FIT,
                     text_format(doctor->arena, "OpenTelemetry may send to %.*s",
                                 TEXT_ARG(builder_text(&free_ones))),
                     TEXT_NONE};
}

// ---- What can be seen of this host ----

typedef struct Blind {
    Builder names;
    Text why;
    Arena *arena;
    bool pressure;
} Blind;

static void blind_add(void *context, Text collector, const Error *err) {
    Blind *blind = context;
    builder_addf(&blind->names, "%s%.*s", blind->names.len > 0 ? ", " : "", TEXT_ARG(collector));
    if (blind->why.len == 0) blind->why = text_copy(text_from_cstring(err->message), blind->arena);
    blind->pressure |= text_equal(collector, TEXT("pressure"));
}

// One round of the host collector, thrown away: which of it works here?
static Finding check_host(Doctor *doctor) {
    if (settings_number(&doctor->settings, SETTING_HOST_ENABLED) == 0)
        return (Finding){FIT, TEXT("switched off"), TEXT_NONE};
    Blind blind = {.arena = doctor->arena};
    Host *host = NULL;
    Error err = {0};
    if (!host_open((HostOptions){.failed = blind_add, .context = &blind}, &host, &err))
        return (Finding){DOUBTFUL, text_copy(text_from_cstring(err.message), doctor->arena),
                         TEXT("set host.enabled to false, or run node_exporter and scrape it")};
    AUTO(write_body_free) WriteBody body = {0};
    Clock *clock = clock_system();
    host_collect(host, clock, clock->wall_ms(clock), &body);
    host_close(&host);
    AUTO(builder_free) Builder names = blind.names;
    if (names.len == 0)
        return (Finding){FIT,
                         text_format(doctor->arena, "all of this host can be seen, %llu series",
                                     (unsigned long long)body.rows),
                         TEXT_NONE};
    return (Finding){
        DOUBTFUL,
        text_format(doctor->arena, "not seen: %.*s (%.*s)", TEXT_ARG(builder_text(&names)),
                    TEXT_ARG(blind.why)),
        blind.pressure ? TEXT("boot the kernel with psi=1 for pressure; in a container, mount the "
                              "host's /proc")
                       : TEXT("let this user read /proc and /sys; in a container, mount the "
                              "host's")};
}

// ---- All ----

typedef struct CheckRow {
    const char *name;
    Finding (*check)(Doctor *doctor);
} CheckRow;

static const CheckRow checks[] = {
    {"files", check_files}, {"memory", check_memory},   {"clock", check_clock},
    {"space", check_space}, {"sync", check_fdatasync},  {"direct", check_direct},
    {"port", check_port},   {"otlp", check_otlp_ports}, {"host", check_host},
};

ExitCode command_doctor(Call *call, Error *err) {
    static const char *const words[] = {[FIT] = "ok  ", [DOUBTFUL] = "warn", [UNFIT] = "FAIL"};
    Doctor doctor = {.arena = call->arena};
    if (!settings_load(call, call->arena, &doctor.settings, err))
        return err->code == ERROR_BAD_INPUT ? CODE_PROBLEMS : CODE_FAILED;
    if (!find_folder(&doctor, err)) return CODE_FAILED;
    ExitCode code = CODE_OK;
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < COUNT(checks); i++) {
        Finding finding = checks[i].check(&doctor);
        builder_addf(&out, "%s  %-7s %.*s\n", words[finding.fitness], checks[i].name,
                     TEXT_ARG(finding.what));
        if (finding.fitness != FIT && finding.mend.len > 0)
            builder_addf(&out, "              %.*s\n", TEXT_ARG(finding.mend));
        if (finding.fitness == UNFIT) code = CODE_PROBLEMS;
    }
    return call_print(builder_text(&out), err) == CODE_OK ? code : CODE_FAILED;
}
