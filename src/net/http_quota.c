// A hash table of networks, each with its count; an entry lives while the count is above zero.

#include "net/http_quota.h"

#include "base/assert.h"
#include "base/memory.h"
#include "os/thread.h"

// Few addresses are connected at a time; with 16,384 of them a chain has four.
enum { QUOTA_SLOTS = 4096 };

struct HttpQuotaEntry {
    AddressNetwork network;
    int64_t count;
    HttpQuotaEntry *next, **link;
};

struct HttpQuota {
    Mutex lock;  // LOCK_HTTP_QUOTA, over all of it
    HashKey key;
    HttpQuotaEntry *slots[QUOTA_SLOTS];
};

HttpQuota *http_quota_begin(HashKey key) {
    HttpQuota *quota = memory_new(HttpQuota);
    mutex_begin(&quota->lock, LOCK_HTTP_QUOTA);
    quota->key = key;
    return quota;
}

void http_quota_free(HttpQuota **quota) {
    if (*quota == NULL) return;
    for (size_t i = 0; i < QUOTA_SLOTS; i++) assert((*quota)->slots[i] == NULL);
    mutex_end(&(*quota)->lock);
    memory_free(TAKE(*quota));
}

static HttpQuotaEntry *find(HttpQuota *quota, const AddressNetwork *network) {
    Bytes bytes = {network->at, sizeof network->at};
    HttpQuotaEntry **slot = &quota->slots[hash_keyed(quota->key, bytes) % QUOTA_SLOTS];
    for (HttpQuotaEntry *entry = *slot; entry != NULL; entry = entry->next) {
        if (memcmp(entry->network.at, network->at, sizeof network->at) == 0) return entry;
    }
    HttpQuotaEntry *entry = memory_new(HttpQuotaEntry);
    *entry = (HttpQuotaEntry){.network = *network, .next = *slot, .link = slot};
    if (*slot != NULL) (*slot)->link = &entry->next;
    *slot = entry;
    return entry;
}

static void end_if_unused(HttpQuotaEntry *entry) {
    if (entry->count > 0) return;
    *entry->link = entry->next;
    if (entry->next != NULL) entry->next->link = entry->link;
    memory_free(entry);
}

HttpQuotaEntry *http_quota_take(HttpQuota *quota, const AddressNetwork *network, int64_t limit) {
    mutex_take(&quota->lock);
    HttpQuotaEntry *entry = find(quota, network);
    bool room = entry->count < limit;
    if (room) {
        entry->count++;
    } else {
        end_if_unused(entry);
    }
    mutex_give(&quota->lock);
    return room ? entry : NULL;
}

void http_quota_give(HttpQuota *quota, HttpQuotaEntry *entry) {
    if (entry == NULL) return;
    mutex_take(&quota->lock);
    assert(entry->count > 0);
    entry->count--;
    end_if_unused(entry);
    mutex_give(&quota->lock);
}
