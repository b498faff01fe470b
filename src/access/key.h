// The text of an API key, `traceo_<id>_<secret>`, and how one arrives in a request. Private to
// access.
#pragma once

#include "access/access.h"

enum {
    KEY_ID_BYTES = 8,
    KEY_SECRET_BYTES = 32,
    KEY_ID_TEXT = KEY_ID_BYTES * 2,
    KEY_SECRET_TEXT = KEY_SECRET_BYTES * 2,
    KEY_HASH_BYTES = 32,
    KEY_TEXT_MAX = 256,  // longer is not looked at
};

#define KEY_PREFIX TEXT("traceo_")

typedef struct KeyText {
    Text id;
    Text secret;
} KeyText;

// The key a request brought, as a view or on `arena` (Basic is base64). False when there is none.
bool key_find(const AccessRequest *request, Arena *arena, Text *out);

// Takes it apart; false when it does not look like a key of ours. Nothing is allocated.
bool key_split(Text text, KeyText *out);

// SHA-256 of the secret as written. False only when libcrypto fails, which is not the caller's
// fault.
must_use bool key_hash(Text secret, uint8_t into[KEY_HASH_BYTES], Error *err);

// In time that does not depend on where they differ.
bool key_hash_equal(const uint8_t a[KEY_HASH_BYTES], const uint8_t b[KEY_HASH_BYTES]);
