// A tenant: whose data this is. A type of its own, so that no function can take it for a text.
#pragma once

#include "base/error.h"
#include "base/text.h"

enum { TENANT_NAME_BYTES_MAX = 64 };

// Small, dense and stable for the life of the data directory; 0 is none.
typedef struct TenantId {
    uint32_t number;
} TenantId;

#define TENANT_DEFAULT_NAME TEXT("default")
#define TENANT_SELF_NAME    TEXT("traceo")  // Traceo's own metrics

// 1 to 64 bytes of a-z A-Z 0-9 - _ . ; not "." or ".."; BAD_INPUT says what is wrong.
must_use bool tenant_name_check(Text name, Error *err);
