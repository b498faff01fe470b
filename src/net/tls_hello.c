// Is the first message of a client whole? It is read only so far: record headers and one length.

#include "net/tls_private.h"

enum {
    RECORD_HEADER = 5,   // type, version, length (RFC 8446, 5.1)
    MESSAGE_HEADER = 4,  // type, length
    TYPE_HANDSHAKE = 22,
    TYPE_CLIENT_HELLO = 1
};

static const size_t hello_max = (size_t)LIMIT_TLS_HELLO_BYTES;

static size_t number_at(Bytes bytes, size_t at, size_t width) {
    size_t number = 0;
    for (size_t i = 0; i < width; i++) number = number << 8 | bytes.at[at + i];
    return number;
}

bool tls_hello_is_whole(Bytes taken) {
    // A hello may be cut over several records; its own length lies in the first bytes of what they
    // carry. A record that is not of a hello ends the waiting: OpenSSL knows what to say to it.
    uint8_t message[MESSAGE_HEADER];
    size_t carried = 0, wanted = MESSAGE_HEADER;
    for (size_t at = 0; at < taken.len;) {
        if (taken.at[at] != TYPE_HANDSHAKE) return true;
        if (taken.len - at < RECORD_HEADER) return false;
        size_t len = number_at(taken, at + 3, 2);
        if (len == 0 || len > hello_max) return true;
        at += RECORD_HEADER;
        size_t here = MIN(len, taken.len - at);
        for (size_t i = 0; i < here && carried + i < MESSAGE_HEADER; i++)
            message[carried + i] = taken.at[at + i];
        carried += here;
        if (carried >= 1 && message[0] != TYPE_CLIENT_HELLO) return true;
        if (carried >= MESSAGE_HEADER)
            wanted = MESSAGE_HEADER + number_at((Bytes){message, MESSAGE_HEADER}, 1, 3);
        if (wanted > hello_max || carried >= wanted) return true;
        if (here < len) return false;
        at += here;
    }
    return false;
}
