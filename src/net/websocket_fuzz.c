// However the bytes are cut, the events are the same; a message never passes its limit; and what we
// write of a message reads back, once it is masked.

#include "base/assert.h"
#include "net/websocket_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE_MAX = 300 };

// Everything that happened, as text.
static void run(const uint8_t *data, size_t size, size_t step, Builder *out) {
    WebSocketReader reader = {.message_max = MESSAGE_MAX};
    bool over = false;
    for (size_t at = 0; at < size && !over; at += step) {
        Bytes input = {data + at, MIN(step, size - at)};
        while (!over) {
            WebSocketEvent event = websocket_read(&reader, &input);
            if (event == WEBSOCKET_EVENT_MORE) break;
            over = event == WEBSOCKET_EVENT_FAILED || event == WEBSOCKET_EVENT_CLOSE;
            builder_addf(out, "%d ", (int)event);
            if (over) builder_addf(out, "%d", reader.code);
            if (event == WEBSOCKET_EVENT_FAILED) continue;
            assert(reader.payload.len <= (event == WEBSOCKET_EVENT_MESSAGE ? MESSAGE_MAX : 125));
            if (event == WEBSOCKET_EVENT_MESSAGE && reader.opcode == WEBSOCKET_TEXT)
                assert(text_is_utf8(bytes_text(reader.payload)));
            builder_add(out, bytes_text(reader.payload));
        }
        assert(over || input.len == 0);
        assert(reader.text.len <= MESSAGE_MAX);
    }
    websocket_reader_free(&reader);
}

static void check_round_trip(Bytes message) {
    Builder frame = {0}, masked = {0};
    websocket_write(WEBSOCKET_BINARY, message, &frame);
    size_t head = message.len <= 125 ? 2 : message.len <= UINT16_MAX ? 4 : 10;
    builder_add_bytes(&masked, frame.at, head);
    masked.at[1] = (char)(masked.at[1] | 0x80);
    builder_add_bytes(&masked, "\0\0\0\0", 4);  // a mask that changes nothing
    builder_add_bytes(&masked, frame.at + head, message.len);
    WebSocketReader reader = {.message_max = message.len};
    Bytes input = text_bytes(builder_text(&masked));
    WebSocketEvent event = websocket_read(&reader, &input);
    assert(event == WEBSOCKET_EVENT_MESSAGE && input.len == 0);
    assert(bytes_equal(reader.payload, message));
    websocket_reader_free(&reader);
    builder_free(&frame);
    builder_free(&masked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Builder whole = {0}, pieces = {0}, bytes = {0};
    run(data, size, MAX(size, (size_t)1), &whole);
    run(data, size, 7, &pieces);
    run(data, size, 1, &bytes);
    assert(text_equal(builder_text(&whole), builder_text(&pieces)));
    assert(text_equal(builder_text(&whole), builder_text(&bytes)));
    check_round_trip((Bytes){data, size});
    builder_free(&whole);
    builder_free(&pieces);
    builder_free(&bytes);
    return 0;
}
