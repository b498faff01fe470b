#!/usr/bin/env python3
"""Slow, silent and half-open clients by the thousand (the connections' half of R13), and a good one among them.

    slow_test.py BINARY [--clients N]

For each kind of bad client: N connections at once. Checked are the good client's 99th percentile against that beside
the same crowd at another server, so that the machine is as busy (at most 1.5 times, or 5 ms more, in one of three rounds); when the bad ones are
cut; and what memory each of them took.
"""

import argparse
import http.client
import multiprocessing
import os
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time

from traceo import Server, Tap

ATTACK_S, ROUNDS = 6, 3
SLACK_S = 0.005
KIB = 1024
HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
BODY = (b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 60000\r\n\r\n")
READ = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

# name, what is said first, what is said every second after, cut within so many seconds, is a stranger
KINDS = [
    ("a head byte by byte", HEAD, b"X-Slow: 1\r\n", 10, True),
    ("silence", b"", b"", 10, True),
    ("a body byte by byte", BODY, b"x", 12, False),
    ("answers that are not read", READ, b"", 30, False),
]


def ask_for(port, seconds, out):
    """The good client: a connection for each request, as the shell has them. Puts the sorted times."""
    took, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/api/v1/query?query=vector(1)")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        took.append(time.perf_counter() - begun if answer.status == 200 else 10.0)
        time.sleep(0.002)
    out.put(sorted(took))


def good_client(port, seconds):
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=ask_for, args=(port, seconds, queue))
    process.start()
    return process, queue


def percentile(times, part):
    return times[min(len(times) - 1, int(len(times) * part))]


def resident(server):
    with open(f"/proc/{server.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Crowd:
    """Many bad clients; `cut` is when each was ended by the server."""

    def __init__(self, port, count, first, more):
        self.more, self.cut, self.open = more, [], {}
        self.poll = select.epoll()
        self.begun = time.monotonic()
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", port), timeout=10)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.setblocking(False)
            try:
                one.send(first)
            except OSError:
                pass
            self.open[one.fileno()] = (one, time.monotonic())
            # Who does not read learns of the end by the reset alone.
            self.poll.register(one.fileno(), select.EPOLLRDHUP if first is READ else select.EPOLLIN | select.EPOLLRDHUP)
        self.took_s = time.monotonic() - self.begun

    def end(self, number):
        one, begun = self.open.pop(number)
        self.cut.append(time.monotonic() - begun)
        one.close()

    def look(self, wait_s):
        for number, events in self.poll.poll(wait_s):
            if number not in self.open:
                continue
            if events & (select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR):
                self.end(number)
                continue
            try:
                if not self.open[number][0].recv(65536):
                    self.end(number)
            except BlockingIOError:
                pass
            except OSError:
                self.end(number)

    def live(self, seconds):
        """Until all are cut, at most so long; a word each second."""
        end, said = time.monotonic() + seconds, time.monotonic()
        while self.open and time.monotonic() < end:
            self.look(0.05)
            if not self.more or time.monotonic() - said < 1:
                continue
            said = time.monotonic()
            for number in list(self.open):
                try:
                    self.open[number][0].send(self.more)
                except BlockingIOError:
                    pass
                except OSError:
                    self.end(number)

    def close(self):
        for one, _ in self.open.values():
            one.close()


def beside(server, aim, clients, kind):
    """The good client at `server` while a crowd is at `aim`: its times, the crowd, and what each of it held."""
    name, first, more, cut_s, _ = kind
    before = resident(aim)
    process, queue = good_client(server.port, ATTACK_S)
    crowd = Crowd(aim.port, clients, first, more)
    crowd.look(0)
    held = (resident(aim) - before) / max(len(crowd.open), 1)
    crowd.live(cut_s + crowd.took_s + 3)
    times = queue.get()
    process.join()
    return times, crowd, held


def attack(tap, server, other, clients, kind):
    name, _, _, cut_s, stranger = kind
    # What a crowd does inside the server it does every time; what the machine does besides, it does not.
    for _ in range(ROUNDS):
        calm, crowd, _ = beside(server, other, clients, kind)
        crowd.close()
        storm, crowd, held = beside(server, server, clients, kind)
        left, latest = len(crowd.open), max(crowd.cut, default=0)
        crowd.close()
        a, b = percentile(calm, 0.99), percentile(storm, 0.99)
        fair = b <= max(1.5 * a, a + SLACK_S)
        if fair:
            break
    tap.check(fair,
              f"{clients} × {name}: the good client's p99 is {b * 1e3:.1f} ms ({a * 1e3:.1f} ms with the crowd elsewhere)",
              f"{len(storm)} requests, slowest {storm[-1] * 1e3:.1f} ms")
    tap.check(left == 0 and latest <= cut_s + 1, f"{clients} × {name}: all are cut, the last after {latest:.1f} s", f"{left} are left")
    if stranger:
        tap.check(held <= 32 * KIB, f"{clients} × {name}: {held / KIB:.1f} KiB of memory each")


def half_handshakes(tap, clients):
    folder = tempfile.mkdtemp(prefix="traceo-slow-")
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", key, "-out", cert, "-subj", "/CN=localhost"], check=True, capture_output=True)
    server = Server("--tls.cert_file", cert, "--tls.key_file", key)
    server.start(wait=False)
    time.sleep(1)
    try:
        before = resident(server)
        crowd = Crowd(server.port, clients, HELLO, b"")
        held, open_then = resident(server) - before, len(crowd.open)
        crowd.live(10 + crowd.took_s)
        tap.check(not crowd.open, f"{clients} × half a handshake: all are cut, the last after {max(crowd.cut, default=0):.1f} s")
        # The hello is gathered before OpenSSL takes its 45 KiB.
        tap.check(held / max(open_then, 1) <= 16 * KIB, f"{open_then} × half a handshake: {held / max(open_then, 1) / KIB:.1f} KiB of memory each")
        crowd.close()
    finally:
        server.close()
        os.remove(cert)
        os.remove(key)
        os.rmdir(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("--clients", type=int, default=1000)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients = min(options.clients, hard - 200)
    tap = Tap()
    server, other = Server(), Server()
    server.start()
    other.start()
    try:
        for kind in KINDS:
            attack(tap, server, other, clients if kind[1] is not READ else min(clients, 40), kind)
    finally:
        server.close()
        other.close()
    half_handshakes(tap, clients)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
