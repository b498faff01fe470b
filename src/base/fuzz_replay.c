// Runs a fuzz target without libFuzzer: over its corpus, and over mutations of it from a fixed
// seed.
//
// The same LLVMFuzzerTestOneInput serves both; this makes every fuzz target an ordinary test.

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MUTATIONS_PER_SEED = 2000, INPUT_BYTES_MAX = 1 << 20 };

// Flips, cuts, repeats and inserts: crude, but it reaches error paths.
static size_t mutate(uint8_t *at, size_t len, size_t capacity, uint64_t *random) {
    size_t edits = 1 + test_random(random) % 4;
    for (size_t i = 0; i < edits; i++) {
        uint64_t r = test_random(random);
        size_t place = len == 0 ? 0 : (size_t)(r >> 8) % len;
        switch (r % 6) {
            case 0:
                if (len > 0) at[place] ^= (uint8_t)(1u << (r >> 60 & 7));
                break;
            case 1:
                if (len > 0) at[place] = (uint8_t)(r >> 40);
                break;
            case 2:
                len = place;
                break;
            case 3:
                if (len > 0 && len < capacity) {
                    memmove(at + place + 1, at + place, len - place);
                    at[place] = (uint8_t)(r >> 40);
                    len++;
                }
                break;
            case 4:
                if (len > 1) {
                    memmove(at + place, at + place + 1, len - place - 1);
                    len--;
                }
                break;
            default: {
                static const uint8_t interesting[] = {0x00, 0x7f, 0x80, 0xff, '"',
                                                      '\\', '{',  '[',  '\n'};
                if (len > 0) at[place] = interesting[(r >> 40) % sizeof interesting];
                break;
            }
        }
    }
    return len;
}

static void run(const uint8_t *data, size_t len) {
    // An exact copy, so that a read beyond the end is seen by the address sanitizer.
    uint8_t *exact = calloc(1, len == 0 ? 1 : len);
    if (exact == NULL) exit(1);
    if (len > 0) memcpy(exact, data, len);
    (void)LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

int main(int argc, char **argv) {
    static uint8_t seed[INPUT_BYTES_MAX], mutant[INPUT_BYTES_MAX];
    uint64_t random = 1;
    size_t runs = 0, seeds = 0;
    run((const uint8_t *)"", 0);
    DIR *folder = argc > 1 ? opendir(argv[1]) : NULL;
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        struct stat status;
        if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) continue;
        FILE *file = fopen(path, "rb");
        if (file == NULL) continue;
        size_t len = fread(seed, 1, sizeof seed, file);
        fclose(file);
        seeds++;
        run(seed, len);
        runs++;
        size_t mutations = len > 100000 ? 50 : MUTATIONS_PER_SEED;
        for (size_t i = 0; i < mutations; i++, runs++) {
            memcpy(mutant, seed, len);
            run(mutant, mutate(mutant, len, sizeof mutant, &random));
        }
    }
    if (folder != NULL) closedir(folder);
    printf("1..1\n%s 1 - %zu inputs from %zu seeds in %s\n", seeds > 0 ? "ok" : "not ok", runs,
           seeds, argc > 1 ? argv[1] : "(no corpus)");
    return seeds > 0 ? 0 : 1;
}
