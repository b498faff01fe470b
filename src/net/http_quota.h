// Private to src/net: how many connections each address has, so that one cannot take them all.
//
// Any thread.
#pragma once

#include "base/hash.h"
#include "os/socket.h"

typedef struct HttpQuota HttpQuota;
typedef struct HttpQuotaEntry HttpQuotaEntry;

// `key` is a secret: clients choose their addresses.
HttpQuota *http_quota_begin(HashKey key);
void http_quota_free(HttpQuota **quota);  // NULL is fine

// Counts one more connection of this network. NULL when there are `limit` already.
HttpQuotaEntry *http_quota_take(HttpQuota *quota, const AddressNetwork *network, int64_t limit);
void http_quota_give(HttpQuota *quota, HttpQuotaEntry *entry);  // one less; NULL is fine
