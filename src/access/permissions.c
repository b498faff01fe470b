// The table of permissions, and sets of them as text.

#include "access/access.h"

const PermissionRow permission_rows[PERMISSION_COUNT] = {
#define PERMISSION(name, text, help) {TEXT_INIT(text), TEXT_INIT(help)},
#include "access/permissions.def"
#undef PERMISSION
};

bool permissions_parse(Text text, Permissions *out, Error *err) {
    Permissions found = 0;
    Text word;
    for (Text rest = text; text_cut(&rest, ',', &word);) {
        word = text_trim(word);
        size_t at = 0;
        while (at < PERMISSION_COUNT && !text_equal(permission_rows[at].name, word)) at++;
        if (at == PERMISSION_COUNT) {
            AUTO(arena_free) Arena arena = {0};
            return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is no permission; there are %.*s",
                             TEXT_ARG(word), TEXT_ARG(permissions_print(PERMISSION_ALL, &arena)));
        }
        found |= 1u << at;
    }
    *out = found;
    return true;
}

Text permissions_print(Permissions permissions, Arena *arena) {
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < PERMISSION_COUNT; i++) {
        if ((permissions & (1u << i)) == 0) continue;
        if (out.len > 0) builder_add_char(&out, ',');
        builder_add(&out, permission_rows[i].name);
    }
    return text_copy(builder_text(&out), arena);
}
