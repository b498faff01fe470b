// `traceo inspect`: finds out what a file is, and has it printed by the room that writes such
// files.

#include "cli/progress.h"
#include "cli/run.h"
#include "store/store.h"

enum { HEAD_BYTES = 16 };
static const int64_t MANIFEST_BYTES_MAX = 64 * MB;

typedef struct Candidate {
    Text path, name;
    char head[HEAD_BYTES];
    size_t head_len;
} Candidate;

static bool begins(const Candidate *file, const char *magic) {
    Text text = text_from_cstring(magic);
    return text_starts_with((Text){file->head, file->head_len}, text);
}

static bool print_manifest(const Call *call, const Candidate *file, Builder *out, Error *err) {
    Bytes content;
    TRY(disk_read_whole(disk_real(), file->path, MANIFEST_BYTES_MAX, call->arena, &content, err));
    builder_add(out, bytes_text(content));
    return true;
}

static bool read_head(Candidate *file, Error *err) {
    Disk *disk = disk_real();
    File *opened = NULL;
    TRY(disk->open(disk, file->path, FILE_READ, &opened, err));
    bool ok = disk->read(disk, opened, 0, file->head, sizeof file->head, &file->head_len, err);
    disk->close(disk, &opened);
    return ok;
}

// Names are given by us, so a name says what a file wants to be even where its first bytes are
// damaged.
static bool print_file(const Call *call, const Candidate *file, Progress *progress, Builder *out,
                       Error *err) {
    if (text_equal(file->name, TEXT("MANIFEST"))) return print_manifest(call, file, out, err);
    if (text_ends_with(file->name, TEXT(".log")))
        return log_inspect(disk_real(), file->path, progress, out, err);
    if (begins(file, "TRcBLOCK") || text_ends_with(file->name, TEXT(".block"))) {
        return series_inspect_block(disk_real(), file->path, call_has(call, FLAG_VERIFY), progress,
                                    out, err);
    }
    if (begins(file, "SQLite format 3")) {
        return error_set(
            err, ERROR_BAD_INPUT,
            "%.*s is the catalogue, an SQLite database; `traceo key list` shows its keys",
            TEXT_ARG(file->path));
    }
    return error_set(
        err, ERROR_BAD_INPUT,
        "%.*s is not a file of a data directory: neither a segment of the log (log/*.log), nor a "
        "block (objects/), nor a MANIFEST (tenants/)",
        TEXT_ARG(file->path));
}

ExitCode command_inspect(Call *call, Error *err) {
    Candidate file = {.path = call_argument(call, 0)};
    if (file.path.len == 0) return call_usage(call, err, "the file is missing");
    file.name = file.path;
    for (ptrdiff_t slash; (slash = text_find_char(file.name, '/')) >= 0;)
        file.name = text_slice(file.name, (size_t)slash + 1, file.name.len);
    AUTO(builder_free) Builder out = {0};
    ProgressLine line;
    progress_begin(&line, TEXT("reading"), TEXT(""));
    bool ok = read_head(&file, err) && print_file(call, &file, &line.progress, &out, err);
    progress_end(&line);
    // What was understood before the damage is worth reading.
    Error closed;
    if (out.len > 0 && call_print(builder_text(&out), ok ? err : &closed) != CODE_OK)
        return CODE_FAILED;
    if (ok) return text_find(builder_text(&out), TEXT("DAMAGE")) >= 0 ? CODE_PROBLEMS : CODE_OK;
    return err->code == ERROR_CORRUPT ? CODE_PROBLEMS : CODE_FAILED;
}
