// Where the program begins.

#include "cli/command.h"

int main(int argc, char **argv) {
    AUTO(arena_free) Arena arena = {0};
    size_t count = argc > 1 ? (size_t)argc - 1 : 0;
    Text *words = arena_push_array(&arena, Text, count + 1);
    for (size_t i = 0; i < count; i++) words[i] = text_from_cstring(argv[i + 1]);
    return (int)cli_run((Texts){words, count});
}
