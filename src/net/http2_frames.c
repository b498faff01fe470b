// Counting frames before they are understood.

#include "net/http2_frames.h"

#include <nghttp2/nghttp2.h>

bool http2_rate_allows(Http2Rate *rate, int64_t now_ms, int64_t window_ms, int64_t max) {
    if (rate->count == 0 || now_ms - rate->begin_ms >= window_ms)
        *rate = (Http2Rate){.begin_ms = now_ms};
    rate->count++;
    return max == 0 || rate->count <= max;
}

static bool control_allowed(Http2Frames *f, Http2FrameType type, uint8_t flags, int64_t now_ms,
                            const Http2Limits *limits, const char **what) {
    switch ((int)type) {
        case HTTP2_SETTINGS:
            if ((flags & HTTP2_FLAG_ACK) != 0) break;
            *what = "too many SETTINGS frames (HTTP2_SETTINGS_PER_S)";
            return http2_rate_allows(&f->settings, now_ms, 1000, limits->settings_per_s);
        case HTTP2_PING: {
            if ((flags & HTTP2_FLAG_ACK) != 0) break;
            if (f->pings.count == 0 || now_ms - f->pings.begin_ms >= 1000) f->answers = 0;
            int64_t max = limits->pings_per_s == 0 ? 0 : limits->pings_per_s + f->answers;
            *what = "too many PING frames (HTTP2_PINGS_PER_S)";
            return http2_rate_allows(&f->pings, now_ms, 1000, max);
        }
        case HTTP2_DATA:
            if (f->left > 0 || (flags & HTTP2_FLAG_END_STREAM) != 0) return true;
            break;
        case HTTP2_HEADERS:
        case HTTP2_CONTINUATION:
        case HTTP2_RST_STREAM:  // the session counts those that reset something
        case HTTP2_PUSH_PROMISE:
        case HTTP2_GOAWAY:
        case HTTP2_WINDOW_UPDATE:
            return true;
        case HTTP2_PRIORITY:
        default:
            break;
    }
    *what = "too many frames that bring nothing (HTTP2_USELESS_PER_S)";
    return http2_rate_allows(&f->useless, now_ms, 1000, limits->useless_per_s);
}

static bool fault(Http2Fault *out, Http2Goaway why, uint32_t code, const char *what) {
    *out = (Http2Fault){why, code, what};
    return false;
}

// The nine bytes of a frame's header are here.
static bool begin_frame(Http2Frames *f, int64_t now_ms, const Http2Limits *limits,
                        Http2Fault *out) {
    const uint8_t *h = f->header;
    f->left = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2];
    Http2FrameType type = (Http2FrameType)h[3];
    if (type == HTTP2_HEADERS) {
        if (!f->in_block) f->block_since_ms = now_ms;
        f->in_block = true;
        f->continuations = 0;
    }
    if (type == HTTP2_CONTINUATION && limits->continuations > 0 &&
        ++f->continuations > limits->continuations) {
        return fault(out, HTTP2_GOAWAY_HEADERS, NGHTTP2_ENHANCE_YOUR_CALM,
                     "too many CONTINUATION frames (HTTP2_CONTINUATIONS)");
    }
    // nghttp2 does not look at priorities that nobody uses; RFC 9113, 6.3 does.
    if (type == HTTP2_PRIORITY && (h[5] & 0x7f) == 0 && h[6] == 0 && h[7] == 0 && h[8] == 0) {
        return fault(out, HTTP2_GOAWAY_PROTOCOL, NGHTTP2_PROTOCOL_ERROR,
                     "PRIORITY of the connection itself");
    }
    if (type == HTTP2_PRIORITY && f->left != 5) {
        return fault(out, HTTP2_GOAWAY_PROTOCOL, NGHTTP2_FRAME_SIZE_ERROR,
                     "PRIORITY has five bytes");
    }
    const char *what = NULL;
    if (control_allowed(f, type, h[4], now_ms, limits, &what)) return true;
    return fault(out, HTTP2_GOAWAY_CONTROL, NGHTTP2_ENHANCE_YOUR_CALM, what);
}

static void end_frame(Http2Frames *f) {
    Http2FrameType type = (Http2FrameType)f->header[3];
    bool of_block = type == HTTP2_HEADERS || type == HTTP2_CONTINUATION;
    if (of_block && (f->header[4] & HTTP2_FLAG_END_HEADERS) != 0) f->in_block = false;
    f->header_len = 0;
    f->any = true;
}

size_t http2_frames_look(Http2Frames *f, Bytes bytes, int64_t now_ms, const Http2Limits *limits,
                         Http2Fault *out) {
    size_t at = MIN(bytes.len, HTTP2_PREFACE_BYTES - f->preface);
    f->preface += at;
    while (at < bytes.len) {
        if (f->header_len < HTTP2_FRAME_HEADER_BYTES) {
            size_t before = at,
                   part = MIN(bytes.len - at, HTTP2_FRAME_HEADER_BYTES - f->header_len);
            memcpy(f->header + f->header_len, bytes.at + at, part);
            f->header_len += part;
            at += part;
            if (f->header_len < HTTP2_FRAME_HEADER_BYTES) break;
            if (!begin_frame(f, now_ms, limits, out)) return before;
        }
        size_t part = MIN(bytes.len - at, (size_t)f->left);
        at += part;
        f->left -= (uint32_t)part;
        if (f->left == 0) end_frame(f);
    }
    return at;
}
