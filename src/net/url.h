// Percent-decoding, and the key=value pairs of query strings and form bodies.
//
// Tolerant where clients are sloppy without being ambiguous: raw { } | " [ ] and any other byte but
// '&' in values. Strict where a byte would vanish or change meaning: a '%' without two hex digits
// is an error. `;` is an ordinary byte, not a separator (as WHATWG and Go since 1.17).
#pragma once

#include "base/error.h"
#include "base/text.h"

enum { URL_PAIRS_MAX = 1024 };

typedef struct UrlPair {
    Text key;
    Text value;  // empty when there was no '='
} UrlPair;

typedef struct UrlPairs {
    const UrlPair *at;
    size_t count;
} UrlPairs;

// Decodes %XX once; with `plus_is_space` also '+'. A view of `text` when nothing had to change.
must_use bool url_decode(Text text, bool plus_is_space, Arena *arena, Text *out, Error *err);

// application/x-www-form-urlencoded, from a query string (without '?') or a form body, in order.
// Empty pieces ("a&&b") are skipped; more than URL_PAIRS_MAX pairs is TOO_LARGE. Decoded bytes may
// be anything, also NUL and broken UTF-8: who uses a value checks it.
must_use bool url_pairs_parse(Text text, Arena *arena, UrlPairs *out, Error *err);

// The first value of `key`, TEXT_NONE when it is missing. Keys may come several times (match[]).
Text url_pairs_find(UrlPairs pairs, Text key);

// Puts `text` behind `out`, everything but unreserved characters (RFC 3986) escaped.
void url_encode(Text text, Builder *out);
