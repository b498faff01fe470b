// However the bytes are cut, the outcome is the same: MORE, DONE with the same head and body, or
// REFUSED for the same reason.
//
// The first two bytes choose the cut; the rest is a request with a chunked or plain body.

#include "base/assert.h"
#include "base/memory.h"
#include "net/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Outcome {
    HttpProgress progress;
    HttpRefusal refusal;
    HttpHead head;
    size_t consumed;
    Builder body;
} Outcome;

static const HttpParseLimits limits = {4096, 8192, 2048, 16};

// The bytes come in pieces of `step`, the first of them `first` long.
static void run(const uint8_t *data, size_t size, size_t first, size_t step, Arena *arena,
                Outcome *out) {
    HttpHeadParser *parser = arena_push(arena, HttpHeadParser);
    size_t len = MIN(first, size);
    while ((out->progress = http_head_parse(parser, (Bytes){data, len}, &limits)) == HTTP_MORE &&
           len < size) {
        len = MIN(len + step, size);
    }
    if (out->progress == HTTP_DONE &&
        !http_head_view(parser, (Bytes){data, len}, arena, &out->head))
        out->progress = HTTP_REFUSED;
    out->refusal = parser->refusal;
    if (out->progress != HTTP_DONE) return;
    out->consumed = parser->head_len;
    if (!out->head.chunked) return;
    HttpChunks chunks = {0};
    do {
        while (out->consumed < len && out->progress != HTTP_REFUSED) {
            size_t used;
            Bytes piece;
            out->progress = http_chunks_parse(
                &chunks, (Bytes){data + out->consumed, len - out->consumed}, 1024, &used, &piece);
            assert(used > 0 && used <= len - out->consumed && piece.len <= used);
            out->consumed += used;
            builder_add_bytes(&out->body, piece.at, piece.len);
            if (out->progress != HTTP_MORE) break;
        }
        if (out->progress != HTTP_MORE && chunks.state != 0) break;
        if (len == size) {
            out->progress = HTTP_MORE;
            break;
        }
        len = MIN(len + step, size);
    } while (out->consumed < len);
    out->refusal = chunks.refusal;
}

static void check_head(const HttpHead *head) {
    assert(text_is_utf8(head->path) && head->path.len > 0);
    assert(text_find(head->path, TEXT("/../")) < 0 && !text_ends_with(head->path, TEXT("/..")));
    for (size_t i = 0; i < head->path.len; i++) assert((uint8_t)head->path.at[i] >= 0x20);
    assert(head->content_length >= 0 && !(head->chunked && head->content_length > 0));
    for (size_t i = 0; i < head->header_count; i++) {
        Text value = head->headers[i].value;
        for (size_t k = 0; k < value.len; k++)
            assert(value.at[k] != '\r' && value.at[k] != '\n' && value.at[k] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    size_t first = data[0], step = 1 + data[1] % 64u;
    AUTO(arena_free) Arena arena = {0};
    Outcome whole = {0}, cut = {0};
    run(data + 2, size - 2, size - 2, size, &arena, &whole);
    run(data + 2, size - 2, first, step, &arena, &cut);
    assert(whole.progress == cut.progress);
    assert(whole.refusal.status == cut.refusal.status &&
           whole.refusal.reason == cut.refusal.reason);
    if (whole.progress == HTTP_DONE) {
        check_head(&whole.head);
        assert(whole.consumed == cut.consumed);
        assert(text_equal(whole.head.path, cut.head.path) &&
               text_equal(whole.head.query, cut.head.query));
        assert(text_equal(builder_text(&whole.body), builder_text(&cut.body)));
    }
    builder_free(&whole.body);
    builder_free(&cut.body);
    return 0;
}
