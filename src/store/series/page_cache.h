// Pages of blocks that were read lately, verified and unpacked, and clocks, decoded; shared by all
// queries.
//
// A page is verified when it is read from its block and kept as a copy: what is found here is as it
// was then, whatever becomes of the file meanwhile. (That a file rots is found by the scrub, by
// whoever reads it next without finding it here, and by merges, which do not look here.) Bounded,
// and charged to a budget; what was used least lately goes, and all of a block with the block. Any
// thread.
#pragma once

#include "store/series/series.h"

// Shared; its bytes lie behind it. Filled by whoever made it, never written after it was put.
typedef struct KeptPage KeptPage;
KeptPage *kept_page_make(size_t len);
KeptPage *kept_page_ref(KeptPage *page);
void kept_page_unref(KeptPage **page);  // NULL is fine
Bytes kept_page_bytes(const KeptPage *page);
uint8_t *kept_page_room(KeptPage *page);

// Pages of one block have one owner, begun with {0} and known to one cache; what their numbers mean
// is the owner's business.
typedef struct PageOwner {
    KeptPage *pages;
} PageOwner;

// NULL: not kept. The caller unrefs it.
KeptPage *page_cache_find(PageCache *cache, const PageOwner *owner, uint32_t number);
// Keeps it, unless it is kept already or there is no room.
void page_cache_put(PageCache *cache, PageOwner *owner, uint32_t number, KeptPage *page);
// All of an owner go; nobody finds or puts pages of it meanwhile.
void page_cache_drop(PageCache *cache, PageOwner *owner);
