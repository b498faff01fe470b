// Names of tenants: a strict alphabet, because they become names of folders.

#include "model/tenant.h"

bool tenant_name_check(Text name, Error *err) {
    if (name.len == 0) return error_set(err, ERROR_BAD_INPUT, "the tenant's name is empty");
    if (name.len > TENANT_NAME_BYTES_MAX) {
        return error_set(err, ERROR_BAD_INPUT, "the tenant's name is longer than %d bytes",
                         TENANT_NAME_BYTES_MAX);
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
        if (!allowed) {
            return error_set(err, ERROR_BAD_INPUT,
                             "byte %zu of the tenant's name is not allowed; use a-z A-Z 0-9 - _ .",
                             i + 1);
        }
    }
    if (text_equal(name, TEXT(".")) || text_equal(name, TEXT(".."))) {
        return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is not a tenant's name", TEXT_ARG(name));
    }
    return true;
}
