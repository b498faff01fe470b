// Network: /proc/net/dev, /proc/net/netstat and snmp, /proc/net/sockstat.

#include "ingest/host/scrape.h"

bool collect_netdev(Scrape *scrape, Error *err) {
    // ORDER: the columns of the kernel, receive then transmit.
    static const struct {
        Text name;
        Text help;
    } columns[] = {
        {TEXT_INIT("receive_bytes"), TEXT_INIT("Bytes received.")},
        {TEXT_INIT("receive_packets"), TEXT_INIT("Packets received.")},
        {TEXT_INIT("receive_errs"), TEXT_INIT("Packets received with an error.")},
        {TEXT_INIT("receive_drop"), TEXT_INIT("Packets received and dropped.")},
        {TEXT_INIT("receive_fifo"), TEXT_INIT("Overruns of the receive queue.")},
        {TEXT_INIT("receive_frame"), TEXT_INIT("Frames received misaligned.")},
        {TEXT_INIT("receive_compressed"), TEXT_INIT("Compressed packets received.")},
        {TEXT_INIT("receive_multicast"), TEXT_INIT("Multicast packets received.")},
        {TEXT_INIT("transmit_bytes"), TEXT_INIT("Bytes sent.")},
        {TEXT_INIT("transmit_packets"), TEXT_INIT("Packets sent.")},
        {TEXT_INIT("transmit_errs"), TEXT_INIT("Packets that could not be sent.")},
        {TEXT_INIT("transmit_drop"), TEXT_INIT("Packets dropped instead of sent.")},
        {TEXT_INIT("transmit_fifo"), TEXT_INIT("Overruns of the send queue.")},
        {TEXT_INIT("transmit_colls"), TEXT_INIT("Collisions.")},
        {TEXT_INIT("transmit_carrier"), TEXT_INIT("Losses of the carrier.")},
        {TEXT_INIT("transmit_compressed"), TEXT_INIT("Compressed packets sent.")},
    };
    Text names[COUNT(columns)];
    for (size_t i = 0; i < COUNT(columns); i++) {
        names[i] = text_format(scrape->arena, "node_network_%.*s_total", TEXT_ARG(columns[i].name));
        describe(scrape, names[i], TYPE_COUNTER, columns[i].help);
    }
    Text rest, line, device;
    TRY(read_proc(scrape, "net/dev", &rest, err));
    while (next_line(&rest, &line)) {
        ptrdiff_t colon = text_find_char(line, ':');
        if (colon < 0) continue;
        device = text_trim(text_slice(line, 0, (size_t)colon));
        Text values = text_slice(line, (size_t)colon + 1, line.len);
        for (size_t i = 0; i < COUNT(columns); i++) {
            emit_with(scrape, names[i], TEXT("device"), device, next_number(&values));
        }
    }
    return true;
}

// The fields that node_exporter keeps by default, of the many that the kernel counts.
static bool is_kept(Text protocol, Text field) {
    static const struct {
        Text protocol;
        Text field;
    } kept[] = {
        {TEXT_INIT("Icmp"), TEXT_INIT("InMsgs")},
        {TEXT_INIT("Icmp"), TEXT_INIT("OutMsgs")},
        {TEXT_INIT("Icmp"), TEXT_INIT("InErrors")},
        {TEXT_INIT("Ip"), TEXT_INIT("Forwarding")},
        {TEXT_INIT("IpExt"), TEXT_INIT("InOctets")},
        {TEXT_INIT("IpExt"), TEXT_INIT("OutOctets")},
        {TEXT_INIT("Tcp"), TEXT_INIT("ActiveOpens")},
        {TEXT_INIT("Tcp"), TEXT_INIT("CurrEstab")},
        {TEXT_INIT("Tcp"), TEXT_INIT("InErrs")},
        {TEXT_INIT("Tcp"), TEXT_INIT("InSegs")},
        {TEXT_INIT("Tcp"), TEXT_INIT("OutRsts")},
        {TEXT_INIT("Tcp"), TEXT_INIT("OutSegs")},
        {TEXT_INIT("Tcp"), TEXT_INIT("PassiveOpens")},
        {TEXT_INIT("Tcp"), TEXT_INIT("RetransSegs")},
        {TEXT_INIT("TcpExt"), TEXT_INIT("ListenDrops")},
        {TEXT_INIT("TcpExt"), TEXT_INIT("ListenOverflows")},
        {TEXT_INIT("TcpExt"), TEXT_INIT("SyncookiesFailed")},
        {TEXT_INIT("TcpExt"), TEXT_INIT("SyncookiesRecv")},
        {TEXT_INIT("TcpExt"), TEXT_INIT("SyncookiesSent")},
        {TEXT_INIT("TcpExt"), TEXT_INIT("TCPOFOQueue")},
        {TEXT_INIT("TcpExt"), TEXT_INIT("TCPRcvQDrop")},
        {TEXT_INIT("TcpExt"), TEXT_INIT("TCPSynRetrans")},
        {TEXT_INIT("TcpExt"), TEXT_INIT("TCPTimeouts")},
        {TEXT_INIT("Udp"), TEXT_INIT("InDatagrams")},
        {TEXT_INIT("Udp"), TEXT_INIT("InErrors")},
        {TEXT_INIT("Udp"), TEXT_INIT("NoPorts")},
        {TEXT_INIT("Udp"), TEXT_INIT("OutDatagrams")},
        {TEXT_INIT("Udp"), TEXT_INIT("RcvbufErrors")},
        {TEXT_INIT("Udp"), TEXT_INIT("SndbufErrors")},
    };
    for (size_t i = 0; i < COUNT(kept); i++) {
        if (text_equal(kept[i].protocol, protocol) && text_equal(kept[i].field, field)) return true;
    }
    return false;
}

// Pairs of lines: "Tcp: Name Name …" and "Tcp: 1 2 …".
static void emit_pairs(Scrape *scrape, Text rest) {
    Text names, values, protocol, ignored, name;
    while (next_line(&rest, &names) && next_line(&rest, &values)) {
        if (!next_word(&names, &protocol) || !next_word(&values, &ignored) || protocol.len < 2)
            continue;
        protocol.len--;
        while (next_word(&names, &name)) {
            double value = next_number(&values);
            if (!is_kept(protocol, name)) continue;
            Text metric = text_format(scrape->arena, "node_netstat_%.*s_%.*s", TEXT_ARG(protocol),
                                      TEXT_ARG(name));
            emit_one(scrape, metric, value);
            describe(scrape, metric, TYPE_UNKNOWN,
                     text_format(scrape->arena, "The kernel's count %.*s of %.*s.", TEXT_ARG(name),
                                 TEXT_ARG(protocol)));
        }
    }
}

bool collect_netstat(Scrape *scrape, Error *err) {
    Text rest;
    TRY(read_proc(scrape, "net/netstat", &rest, err));
    emit_pairs(scrape, rest);
    TRY(read_proc(scrape, "net/snmp", &rest, err));
    emit_pairs(scrape, rest);
    return true;
}

// "TCP: inuse 5 orphan 0 tw 0 alloc 7 mem 1": node_sockstat_TCP_inuse, …; "sockets: used 123".
bool collect_sockstat(Scrape *scrape, Error *err) {
    Text rest, line, protocol, name;
    TRY(read_proc(scrape, "net/sockstat", &rest, err));
    while (next_line(&rest, &line)) {
        if (!next_word(&line, &protocol) || protocol.len < 2) continue;
        protocol.len--;
        while (next_word(&line, &name)) {
            double value = next_number(&line);
            Text metric = text_format(scrape->arena, "node_sockstat_%.*s_%.*s", TEXT_ARG(protocol),
                                      TEXT_ARG(name));
            emit_one(scrape, metric, value);
            describe(scrape, metric, TYPE_GAUGE,
                     text_format(scrape->arena, "%.*s sockets in the state %.*s.",
                                 TEXT_ARG(protocol), TEXT_ARG(name)));
        }
    }
    return true;
}
