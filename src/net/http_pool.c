// Free buffers of a loop.

#include "base/memory.h"
#include "net/http_loop.h"

void http_pool_take(HttpPool *pool, size_t capacity, HttpBuffer *out) {
    Error err = {0};
    bool ok = http_pool_reserve(pool, capacity, out, &err);
    if (!ok) *out = (HttpBuffer){memory_take(capacity), capacity};
}

bool http_pool_reserve(HttpPool *pool, size_t capacity, HttpBuffer *out, Error *err) {
    HttpBuffer buffer = {0};
    if (pool->count > 0) buffer = pool->at[--pool->count];
    if (buffer.capacity < capacity) {
        memory_free(buffer.at);
        void *at = NULL;
        TRY(memory_reserve(capacity, &at, err));
        buffer = (HttpBuffer){at, capacity};
    }
    *out = buffer;
    return true;
}

void http_pool_give(HttpPool *pool, HttpBuffer *buffer, size_t keep_max) {
    if (buffer->at != NULL && pool->count < HTTP_POOL_COUNT && buffer->capacity <= keep_max) {
        pool->at[pool->count++] = *buffer;
    } else {
        memory_free(buffer->at);
    }
    *buffer = (HttpBuffer){0};
}

void http_pool_free(HttpPool *pool) {
    while (pool->count > 0) memory_free(pool->at[--pool->count].at);
}
