// Keys as strangers send them. What is taken for a key is spelled exactly one way; permissions
// survive being printed.

#include "access/key.h"
#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_key(Text text, Arena *arena) {
    KeyText key;
    if (!key_split(text, &key)) return;
    Text again = text_format(arena, "traceo_%.*s_%.*s", TEXT_ARG(key.id), TEXT_ARG(key.secret));
    assert(text_equal(again, text));
    uint8_t hash[KEY_HASH_BYTES];
    bool hashed = key_hash(key.secret, hash, NULL);
    assert(hashed && key_hash_equal(hash, hash));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    Text text = {(const char *)data, size}, found;
    AccessRequest forms[] = {
        {.authorization = text},
        {.authorization = text_format(&arena, "Basic %.*s", TEXT_ARG(text))},
        {.authorization = text_format(&arena, "Bearer %.*s", TEXT_ARG(text))},
        {.api_key = text},
    };
    for (size_t i = 0; i < COUNT(forms); i++) {
        if (key_find(&forms[i], &arena, &found)) check_key(found, &arena);
    }
    Permissions first, again;
    if (!permissions_parse(text, &first, NULL)) return 0;
    bool parsed = permissions_parse(permissions_print(first, &arena), &again, NULL);
    assert(first == 0 || (parsed && first == again));
    return 0;
}
