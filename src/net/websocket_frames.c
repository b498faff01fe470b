// The reader as a machine: a head of 2 to 14 bytes, then its payload, again and again.

#include "net/websocket_frames.h"

#include "base/assert.h"

void websocket_reader_free(WebSocketReader *reader) {
    builder_free(&reader->text);
}

static WebSocketEvent fail(WebSocketReader *reader, int code, const char *reason) {
    reader->code = code;
    reader->reason = reason;
    return WEBSOCKET_EVENT_FAILED;
}

static bool is_control(WebSocketOpcode opcode) {
    return opcode >= WEBSOCKET_CLOSE;
}

// How long the head is, as far as its bytes tell.
static size_t head_want(const WebSocketReader *reader) {
    if (reader->head_len < 2) return 2;
    uint8_t len = reader->head[1] & 0x7f;
    return 6u + (len == 126 ? 2u : len == 127 ? 8u : 0u);
}

// False: it breaks a rule that the first two bytes show already.
static bool check_start(WebSocketReader *reader) {
    uint8_t first = reader->head[0], len = reader->head[1] & 0x7f;
    WebSocketOpcode opcode = (WebSocketOpcode)(first & 0x0f);
    const char *fault = NULL;
    bool known =
        opcode <= WEBSOCKET_BINARY || (opcode >= WEBSOCKET_CLOSE && opcode <= WEBSOCKET_PONG);
    bool open = reader->message != WEBSOCKET_CONTINUATION;
    if ((first & 0x70) != 0) {
        fault = "a reserved bit is set and no extension was agreed on";
    } else if (!known) {
        fault = "a reserved opcode";
    } else if ((reader->head[1] & 0x80) == 0) {
        fault = "a frame of a client must be masked";
    } else if (is_control(opcode) && (first & 0x80) == 0) {
        fault = "a control frame must not be fragmented";
    } else if (is_control(opcode) && len > WEBSOCKET_CONTROL_MAX) {
        fault = "a control frame has at most 125 bytes";
    } else if (opcode == WEBSOCKET_CONTINUATION && !open) {
        fault = "a continuation of nothing";
    } else if (!is_control(opcode) && opcode != WEBSOCKET_CONTINUATION && open) {
        fault = "a new message inside a fragmented one";
    }
    if (fault != NULL) {
        (void)fail(reader, WEBSOCKET_PROTOCOL_ERROR, fault);
        return false;
    }
    reader->frame = opcode;
    reader->final = (first & 0x80) != 0;
    return true;
}

static bool check_length(WebSocketReader *reader) {
    const uint8_t *head = reader->head;
    uint8_t len = head[1] & 0x7f;
    size_t more = len == 126 ? 2u : len == 127 ? 8u : 0u;
    uint64_t length = more == 0 ? len : 0;
    for (size_t i = 0; i < more; i++) length = length << 8 | head[2 + i];
    bool shortest = more == 0 || (more == 2 && length > 125) || (more == 8 && length > UINT16_MAX);
    if (!shortest || length >> 63 != 0) {
        (void)fail(reader, WEBSOCKET_PROTOCOL_ERROR,
                   "a length is not written in its shortest form");
        return false;
    }
    memcpy(reader->mask, head + 2 + more, 4);
    reader->payload_len = length;
    reader->payload_done = 0;
    bool fits = is_control(reader->frame) ||
                (length <= reader->message_max && reader->text.len + length <= reader->message_max);
    if (!fits) (void)fail(reader, WEBSOCKET_TOO_LARGE, "the message is too large");
    return fits;
}

// Takes bytes of the head. True: it is whole, or wrong (*failed).
static bool read_head(WebSocketReader *reader, Bytes *input, bool *failed) {
    while (input->len > 0) {
        reader->head[reader->head_len++] = input->at[0];
        *input = (Bytes){input->at + 1, input->len - 1};
        *failed = reader->head_len == 2 && !check_start(reader);
        if (*failed) return true;
        if (reader->head_len < 2 || reader->head_len < head_want(reader)) continue;
        *failed = !check_length(reader);
        reader->in_payload = true;
        reader->head_len = 0;
        return true;
    }
    return false;
}

static void read_payload(WebSocketReader *reader, Bytes *input) {
    size_t count = (size_t)MIN((uint64_t)input->len, reader->payload_len - reader->payload_done);
    if (count == 0) return;
    char *into;
    if (is_control(reader->frame)) {
        into = (char *)reader->control + reader->payload_done;
    } else {
        builder_reserve(&reader->text, count);
        into = reader->text.at + reader->text.len;
        reader->text.len += count;
    }
    for (size_t i = 0; i < count; i++)
        into[i] = (char)(input->at[i] ^ reader->mask[(reader->payload_done + i) % 4]);
    reader->payload_done += count;
    *input = (Bytes){input->at + count, input->len - count};
}

// RFC 6455 7.4: what may be sent; 1004 to 1006 and 1015 may not, 1016 to 2999 are nobody's yet.
static bool code_allowed(int code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static WebSocketEvent end_close(WebSocketReader *reader) {
    size_t len = (size_t)reader->payload_len;
    reader->code = WEBSOCKET_NO_CODE;
    reader->payload = BYTES_NONE;
    if (len == 0) return WEBSOCKET_EVENT_CLOSE;
    if (len == 1) return fail(reader, WEBSOCKET_PROTOCOL_ERROR, "a close frame with half a code");
    reader->code = reader->control[0] << 8 | reader->control[1];
    if (!code_allowed(reader->code))
        return fail(reader, WEBSOCKET_PROTOCOL_ERROR, "a close code that may not be sent");
    reader->payload = (Bytes){reader->control + 2, len - 2};
    if (!text_is_utf8(bytes_text(reader->payload)))
        return fail(reader, WEBSOCKET_BAD_TEXT, "the reason is not UTF-8");
    return WEBSOCKET_EVENT_CLOSE;
}

static WebSocketEvent end_data(WebSocketReader *reader) {
    if (reader->frame != WEBSOCKET_CONTINUATION) reader->message = reader->frame;
    if (!reader->final) return WEBSOCKET_EVENT_MORE;
    reader->opcode = reader->message;
    reader->message = WEBSOCKET_CONTINUATION;
    reader->message_given = true;
    reader->payload = text_bytes(builder_text(&reader->text));
    if (reader->opcode == WEBSOCKET_TEXT && !text_is_utf8(builder_text(&reader->text)))
        return fail(reader, WEBSOCKET_BAD_TEXT, "the text is not UTF-8");
    return WEBSOCKET_EVENT_MESSAGE;
}

// The frame is whole; MORE: it was not the last of its message.
static WebSocketEvent end_frame(WebSocketReader *reader) {
    reader->in_payload = false;
    if (!is_control(reader->frame)) return end_data(reader);
    if (reader->frame == WEBSOCKET_CLOSE) return end_close(reader);
    reader->opcode = reader->frame;
    reader->payload = (Bytes){reader->control, (size_t)reader->payload_len};
    return reader->frame == WEBSOCKET_PING ? WEBSOCKET_EVENT_PING : WEBSOCKET_EVENT_PONG;
}

WebSocketEvent websocket_read(WebSocketReader *reader, Bytes *input) {
    if (reader->message_given) {
        reader->message_given = false;
        if (reader->text.capacity > 16 * KB) {
            builder_free(&reader->text);
        } else {
            builder_clear(&reader->text);
        }
    }
    for (;;) {
        bool failed = false;
        if (!reader->in_payload && !read_head(reader, input, &failed)) return WEBSOCKET_EVENT_MORE;
        if (failed) return WEBSOCKET_EVENT_FAILED;
        read_payload(reader, input);
        if (reader->payload_done < reader->payload_len) return WEBSOCKET_EVENT_MORE;
        WebSocketEvent event = end_frame(reader);
        if (event != WEBSOCKET_EVENT_MORE) return event;
    }
}

void websocket_write(WebSocketOpcode opcode, Bytes payload, Builder *out) {
    assert(!is_control(opcode) || payload.len <= WEBSOCKET_CONTROL_MAX);
    builder_add_char(out, (char)(0x80 | opcode));
    if (payload.len <= 125) {
        builder_add_char(out, (char)payload.len);
    } else {
        int bytes = payload.len <= UINT16_MAX ? 2 : 8;
        builder_add_char(out, bytes == 2 ? 126 : 127);
        for (int i = bytes - 1; i >= 0; i--) builder_add_char(out, (char)(payload.len >> (8 * i)));
    }
    builder_add(out, bytes_text(payload));
}

void websocket_write_close(int code, Text reason, Builder *out) {
    uint8_t payload[WEBSOCKET_CONTROL_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
    reason = text_slice(reason, 0, sizeof payload - 2);
    while (!text_is_utf8(reason)) reason.len--;
    if (reason.len > 0) memcpy(payload + 2, reason.at, reason.len);
    websocket_write(WEBSOCKET_CLOSE, (Bytes){payload, reason.len + 2}, out);
}
