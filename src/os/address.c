// Addresses to listen on: "ADDR:PORT", "[v6]:PORT", ":PORT" and "localhost:PORT", checked and made
// plain.

#include <arpa/inet.h>
#include <netinet/in.h>

#include "os/socket.h"

static bool port_from(Text digits, Text whole, uint16_t *out, Error *err) {
    uint64_t number = 0;
    if (!text_to_u64(digits, &number) || number > UINT16_MAX) {
        return error_set(err, ERROR_BAD_INPUT, "%.*s: \"%.*s\" is not a port (0 to 65535)",
                         TEXT_ARG(whole), TEXT_ARG(digits));
    }
    *out = (uint16_t)number;
    return true;
}

static bool parse_v6(Text host, Text port, Text whole, Arena *arena, Address *out, Error *err) {
    char name[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const char *given = text_to_cstring(host, arena);
    bool whole_text = memchr(given, '\0', host.len) == NULL;
    if (!whole_text || inet_pton(AF_INET6, given, &address) != 1) {
        return error_set(err, ERROR_BAD_INPUT, "%.*s: \"%.*s\" is not an IPv6 address",
                         TEXT_ARG(whole), TEXT_ARG(host));
    }
    TRY(port_from(port, whole, &out->port, err));
    inet_ntop(AF_INET6, &address, name, sizeof name);
    out->loopback = IN6_IS_ADDR_LOOPBACK(&address);
    out->text = text_format(arena, "[%s]:%u", name, (unsigned)out->port);
    return true;
}

bool address_parse(Text text, Arena *arena, Address *out, Error *err) {
    size_t colon = text.len;
    while (colon > 0 && text.at[colon - 1] != ':') colon--;
    if (colon == 0) {
        return error_set(err, ERROR_BAD_INPUT, "%.*s: an address is ADDR:PORT, as 127.0.0.1:4310",
                         TEXT_ARG(text));
    }
    Text host = text_slice(text, 0, colon - 1);
    Text port = text_slice(text, colon, text.len);
    if (host.len >= 2 && host.at[0] == '[' && host.at[host.len - 1] == ']') {
        return parse_v6(text_slice(host, 1, host.len - 1), port, text, arena, out, err);
    }
    if (text_find_char(host, ':') >= 0) {
        return error_set(err, ERROR_BAD_INPUT,
                         "%.*s: an IPv6 address stands in brackets, as [::1]:4310", TEXT_ARG(text));
    }
    if (host.len == 0 || text_equal_ignore_case(host, TEXT("localhost"))) host = TEXT("127.0.0.1");
    struct in_addr address;
    const char *given = text_to_cstring(host, arena);
    if (memchr(host.at, '\0', host.len) != NULL || inet_pton(AF_INET, given, &address) != 1) {
        return error_set(err, ERROR_BAD_INPUT,
                         "%.*s: \"%.*s\" is not an IPv4 address (names are not looked up)",
                         TEXT_ARG(text), TEXT_ARG(host));
    }
    TRY(port_from(port, text, &out->port, err));
    out->loopback = ntohl(address.s_addr) >> 24 == 127;
    out->text = text_format(arena, "%.*s:%u", TEXT_ARG(host), (unsigned)out->port);
    return true;
}

AddressNetwork address_network(Text peer) {
    AddressNetwork out = {0};
    char host[INET6_ADDRSTRLEN] = {0};
    size_t len = peer.len;
    while (len > 0 && peer.at[len - 1] != ':') len--;
    Text name = text_slice(peer, 0, len > 0 ? len - 1 : 0);
    if (name.len >= 2 && name.at[0] == '[') name = text_slice(name, 1, name.len - 1);
    if (name.len == 0 || name.len >= sizeof host) return out;
    memcpy(host, name.at, name.len);
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        out.at[10] = out.at[11] = 0xff;
        memcpy(out.at + 12, &v4, 4);
        out.loopback = ntohl(v4.s_addr) >> 24 == 127;
    } else if (inet_pton(AF_INET6, host, &v6) == 1) {
        memcpy(out.at, &v6, IN6_IS_ADDR_V4MAPPED(&v6) ? 16 : 8);
        out.loopback = IN6_IS_ADDR_LOOPBACK(&v6);
        if (out.loopback) memcpy(out.at, &v6, 16);
    }
    return out;
}
