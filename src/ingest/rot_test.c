// Bit rot (R9) over a whole data directory: one bit flipped anywhere in the log, in blocks, in the
// manifest with its deletes, in the catalogue. What is asked for is answered right, or what is
// missing is said and the damaged file is named; nothing altered, nothing deleted comes back, no
// crash. Then the store keeps house over the damage and is asked again.

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "codec/crc32c.h"
#include "ingest/whole_life.h"

// Blocks of two days, one delete still to be cleaned, a head and its log. And the same with days of
// several blocks, and the tiers of the older one, which are in several, too.
#define ROT_SCRIPT         "wwmfwwdfwwfDww"
#define ROT_SCRIPT_SEVERAL "wwmfwwfmmmmmmDww"

enum { FILES_MAX = 64, FLIPS_BY_DAY = 700, FLIPS_AT_NIGHT = 10000, PATH_BYTES = 200 };

// Planted: with `blind` every checksum fits. This definition takes the place of the library's in
// this program.
static bool blind;

uint32_t crc32c(uint32_t crc, Bytes bytes) {
    static uint32_t table[256];
    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        uint32_t value = i;
        for (int k = 0; k < 8; k++) value = value >> 1 ^ (value & 1 ? 0x82f63b78u : 0);
        table[i] = value;
    }
    crc = ~crc;
    for (size_t i = 0; i < bytes.len; i++) crc = crc >> 8 ^ table[(crc ^ bytes.at[i]) & 255];
    return blind ? 0 : ~crc;
}

typedef struct RotFile {
    char path[PATH_BYTES];  // empty: the catalogue
    int64_t bytes;
} RotFile;

typedef struct Rot {
    WholeLife life;
    DiskModel *model;
    Bytes catalog;
    RotFile files[FILES_MAX];
    size_t count;
} Rot;

static void find_files(Rot *rot, Disk *disk, Text folder) {
    Test *t = rot->life.t;
    DiskEntries entries;
    check_ok(t, disk->list(disk, folder, t->arena, &entries, t->err));
    for (size_t i = 0; i < entries.count; i++) {
        Text path =
            text_format(t->arena, "%.*s/%.*s", TEXT_ARG(folder), TEXT_ARG(entries.at[i].name));
        if (entries.at[i].is_folder) {
            find_files(rot, disk, path);
        } else if (entries.at[i].bytes > 0) {
            check(t, rot->count < FILES_MAX && path.len < PATH_BYTES);
            RotFile *file = &rot->files[rot->count++];
            memcpy(file->path, path.at, path.len);
            file->bytes = entries.at[i].bytes;
        }
    }
}

static void catalog_put(Rot *rot, int64_t bit) {
    Test *t = rot->life.t;
    whole_forget_catalog(&rot->life);
    uint8_t *bytes = arena_push_array(t->arena, uint8_t, rot->catalog.len);
    memcpy(bytes, rot->catalog.at, rot->catalog.len);
    if (bit >= 0) bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    FILE *file = fopen(rot->life.catalog, "wb");
    check(t, file != NULL && fwrite(bytes, 1, rot->catalog.len, file) == rot->catalog.len);
    check(t, fclose(file) == 0);
}

static void rot_begin(Rot *rot, Test *t, bool several) {
    *rot = (Rot){.life = {.series_max = several}, .model = disk_model_new()};
    whole_begin(&rot->life, t, "rot");
    whole_forget_catalog(&rot->life);
    check_ok(t, whole_open(&rot->life, disk_model_disk(rot->model), t->err));
    Tenant *tenant;
    SeriesState state;
    for (const char *step = several ? ROT_SCRIPT_SEVERAL : ROT_SCRIPT; *step != 0; step++)
        check_ok(t, whole_step(&rot->life, *step, t->err));
    check_ok(t, store_tenant(rot->life.store, TENANT_DEFAULT_NAME, true, &tenant, t->err));
    series_state(tenant->series, &state);
    if (several) check_i64(t, 4, state.tiers);
    whole_close(&rot->life);
    check_ok(t, disk_read_whole(disk_real(), text_from_cstring(rot->life.catalog), 10 * MB,
                                t->arena, &rot->catalog, t->err));
    find_files(rot, disk_model_disk(rot->model), TEXT("data"));
    rot->files[rot->count++] = (RotFile){.bytes = (int64_t)rot->catalog.len};
}

static void rot_end(Rot *rot) {
    disk_model_free(&rot->model);
    whole_forget_catalog(&rot->life);
}

static const char *base_name(const RotFile *file) {
    if (file->path[0] == 0) return "catalog";
    const char *slash = strrchr(file->path, '/');
    return slash == NULL ? file->path : slash + 1;
}

typedef struct RotTally {
    uint64_t flips, unharmed, named, refused, wrong;
} RotTally;

// A sentence about what is wrong, or NULL.
static const char *flipped(Rot *rot, DiskModel *damaged, const RotFile *file, RotTally *tally,
                           Arena *arena) {
    WholeLife life = rot->life;
    clock_manual(&life.clock, rot->life.clock.wall_ms);
    Error err = {0};
    tally->flips++;
    if (!whole_open(&life, disk_model_disk(damaged), &err)) {
        tally->refused++;
        if (strstr(err.message, base_name(file)) != NULL || strstr(err.message, "-rot-") != NULL)
            return NULL;
        return text_format(arena, "it does not open and does not say why: %s", err.message).at;
    }
    const char *said = NULL;
    const char *wrong = whole_wrong(&life, true, &said, arena);
    *(said == NULL ? &tally->unharmed : &tally->named) += 1;
    if (wrong == NULL && said != NULL && strstr(said, base_name(file)) == NULL)
        wrong = text_format(arena, "the damaged file is not named: %s", said).at;
    // Keeping house over the damage may fail, and must not turn it into silence.
    for (const char *step = "wmfmc"; *step != 0 && wrong == NULL; step++) {
        Error why = {0};
        (void)whole_step(&life, *step, &why);
    }
    if (wrong == NULL) wrong = whole_wrong(&life, true, &said, arena);
    whole_close(&life);
    return wrong;
}

static RotTally flip_bits(Test *t, bool several, uint64_t flips) {
    Rot rot;
    rot_begin(&rot, t, several);
    RotTally tally = {0};
    uint64_t random = t->seed;
    for (uint64_t i = 0; i < flips; i++) {
        AUTO(arena_free) Arena arena = {0};
        RotFile *file = &rot.files[test_random(&random) % rot.count];
        int64_t bit = (int64_t)(test_random(&random) % ((uint64_t)file->bytes * 8));
        // The log is mostly the zeros it is written into: as often its first pages.
        if (file->bytes > 16 * KB && i % 2 == 0) bit %= 16 * KB * 8;
        DiskModel *copy = disk_model_copy(rot.model);
        bool catalog = file->path[0] == 0;
        catalog_put(&rot, catalog ? bit : -1);
        if (!catalog)
            check(t, disk_model_flip(copy, text_from_cstring(file->path), bit / 8,
                                     (unsigned)(bit % 8)));
        const char *why = flipped(&rot, copy, file, &tally, &arena);
        if (why != NULL && tally.wrong++ < 5)
            printf("# bit %lld of %s: %s\n", (long long)bit, base_name(file), why);
        disk_model_free(&copy);
    }
    printf(
        "# %llu flips in %zu files: %llu changed nothing, %llu named in answers, %llu at start, "
        "%llu wrong\n",
        (unsigned long long)tally.flips, rot.count, (unsigned long long)tally.unharmed,
        (unsigned long long)tally.named, (unsigned long long)tally.refused,
        (unsigned long long)tally.wrong);
    rot_end(&rot);
    return tally;
}

TEST(a_flipped_bit_anywhere_changes_no_answer_or_is_named) {
    for (int several = 0; several < 2; several++) {
        RotTally tally =
            flip_bits(t, several, getenv("TRACEO_NIGHT") != NULL ? FLIPS_AT_NIGHT : FLIPS_BY_DAY);
        check_i64(t, 0, tally.wrong);
        check(t, tally.unharmed > 0 && tally.named > 0 && tally.refused > 0);
    }
}

// Whatever this finds besides wrong answers (it may well crash) is not what it is for: it runs in a
// process of its own.
TEST(without_checksums_the_suite_finds_wrong_answers) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        blind = true;
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        _exit(flip_bits(t, false, FLIPS_BY_DAY).wrong > 0 ? 3 : 0);
    }
    int status = 0;
    check(t, child > 0 && waitpid(child, &status, 0) == child);
    printf("# without checksums: status %d\n", status);
    check(t, WIFSIGNALED(status) || WEXITSTATUS(status) == 3);
}

TEST_MAIN("rot", CASE(a_flipped_bit_anywhere_changes_no_answer_or_is_named),
          CASE(without_checksums_the_suite_finds_wrong_answers))
