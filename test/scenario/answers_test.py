#!/usr/bin/env python3
"""Long answers with the real binary: what they cost in memory, with clients that are quick, slow, old or gone.

    answers_test.py TRACEO

Answers of more than 100 MB; the process may grow by BOUND_MIB beside what the answer is made of.
"""

import hashlib
import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import zlib

from traceo import Server, Tap, series, write

SERIES, SAMPLES, STEP_MS = 400, 9000, 1000  # 3.6 million samples: 100 MB of text and more
T0_MS = (int(time.time()) - 86400) * 1000
BOUND_MIB = 24
RANGE = "/api/v1/query_range?" + urllib.parse.urlencode(
    {"query": "long", "start": T0_MS / 1000, "end": T0_MS / 1000 + SAMPLES - 1, "step": 1, "nocache": 1})
EVERY = f"/api/v1/query?query=sum(sum_over_time(long[{SAMPLES * STEP_MS}ms]))&time={(T0_MS + SAMPLES * STEP_MS) // 1000}"
COUNT = f"/api/v1/query?query=count(long)&time={T0_MS // 1000 + 10}"
EXPORT = "/api/v1/export?" + urllib.parse.urlencode({"match[]": "long", "start": T0_MS / 1000 - 1})


def rss_mib(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024


class Watch(threading.Thread):
    """The most that the process takes while something goes on."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.ending = server, False
        self.before = self.most = rss_mib(server)

    def run(self):
        while not self.ending:
            self.most = max(self.most, rss_mib(self.server))
            time.sleep(0.005)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        self.join()
        self.grown = self.most - self.before


def fill(server):
    connection = server.connect()
    for start in range(0, SAMPLES, 500):
        for first in range(0, SERIES, 40):
            rows = b"".join(
                series({"__name__": "long", "n": f"{i:04}"},
                       [(T0_MS + k * STEP_MS, 1.0 / (i * 7 + k + 3)) for k in range(start, min(start + 500, SAMPLES))])
                for i in range(first, first + 40))
            status, answer = write(connection, rows)
            if status != 204:
                raise RuntimeError(f"{status} {answer[:300]!r}")
    connection.close()


def fetch(server, path, **headers):
    """Length and hash of the body as it came, never held here either; and the headers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    length, digest, lines = 0, hashlib.sha256(), 0
    coding = response.getheader("Content-Encoding")
    unpack = None
    if coding == "gzip":

        unpack = zlib.decompressobj(31).decompress
    while piece := response.read(256 * 1024):
        if unpack:
            piece = unpack(piece)
        length += len(piece)
        lines += piece.count(b"\n")
        digest.update(piece)
    connection.close()
    return response.status, length, digest.hexdigest(), lines, response.headers


def raw(server, request, timeout_s=60):
    """All bytes until the other side ends."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout_s) as connection:
        connection.sendall(request)
        while piece := connection.recv(1 << 20):
            yield piece


def main():
    server, tap = Server("--memory.limit", "2GiB", "--query.memory", "400MiB"), Tap()
    try:
        server.start()
        fill(server)
        connection = server.connect()
        connection.request("POST", "/api/traceo/v1/flush")
        connection.getresponse().read()
        fetch(server, COUNT)
        result_mib = SERIES * SAMPLES * 8 / 2**20 * 2  # the values, and as much again while they are found

        # Pages of blocks that are read stay in memory, unpacked, within a bound of their own: eight bytes a sample at most, whichever export they come with.
        bound_mib = BOUND_MIB + SERIES * SAMPLES * 8 / 2**20
        with Watch(server) as watch:
            status, length, plain, lines, headers = fetch(server, EXPORT)
        tap.check(status == 200 and headers["Transfer-Encoding"] == "chunked" and lines == SERIES * -(-SAMPLES // 8192),
                  "an export comes in chunks", f"{status} {lines} lines {dict(headers)}")
        tap.check(length > 100e6 and watch.grown < bound_mib, f"of 100 MB and more, in {bound_mib:.0f} MiB",
                  f"{length / 1e6:.0f} MB, grown by {watch.grown:.1f} MiB")
        print(f"# export: {length / 1e6:.0f} MB, the process grew by {watch.grown:.1f} MiB")
        with Watch(server) as watch:
            status, packed_length, packed, _, headers = fetch(server, EXPORT, **{"Accept-Encoding": "gzip"})
        tap.check(headers["Content-Encoding"] == "gzip" and packed == plain and watch.grown < bound_mib,
                  "packed with gzip it is the same, in the same memory", f"{packed_length} bytes, grown by {watch.grown:.1f} MiB")

        fetch(server, EVERY)  # what queries keep of blocks, within its own bound, is there from here on
        with Watch(server) as watch:
            status, length, plain_range, _, _ = fetch(server, RANGE)
        tap.check(status == 200 and length > 100e6 and watch.grown < result_mib + BOUND_MIB,
                  "a result of 100 MB and more takes its values and a few pieces",
                  f"{status}, {length / 1e6:.0f} MB, grown by {watch.grown:.1f} MiB")
        print(f"# query_range: {length / 1e6:.0f} MB, the process grew by {watch.grown:.1f} MiB")

        # An old client: no chunks, the end is that of the connection.
        digest, head = hashlib.sha256(), b""
        for piece in raw(server, f"GET {RANGE} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()):
            if b"\r\n\r\n" not in head:
                head += piece
                if b"\r\n\r\n" in head:
                    digest.update(head.split(b"\r\n\r\n", 1)[1])
                continue
            digest.update(piece)
        fields = head.split(b"\r\n\r\n", 1)[0].lower()
        tap.check(b"chunked" not in fields and b"connection: close" in fields and digest.hexdigest() == plain_range,
                  "HTTP/1.0 gets the same, ended by the connection", fields.decode())

        if shutil.which("curl"):
            url = f"http://127.0.0.1:{server.port}"
            for flags, name in ((["--http2-prior-knowledge"], "HTTP/2"), (["--http2-prior-knowledge", "--compressed"], "HTTP/2, packed")):
                done = subprocess.run(["curl", "-sgf", *flags, url + RANGE], stdout=subprocess.PIPE, timeout=120, check=False)
                tap.check(done.returncode == 0 and hashlib.sha256(done.stdout).hexdigest() == plain_range, f"curl gets the same over {name}",
                          f"curl: {done.returncode}, {len(done.stdout)} bytes")
        else:
            tap.skip("curl over HTTP/2", "there is no curl")

        # Slow readers, more than there are workers: others do not wait, and an export goes on after a pause
        # that is longer than its view of the store is kept.
        slow = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(12)]
        for i, one in enumerate(slow):
            one.sendall(f"GET {EXPORT if i % 2 == 0 else RANGE} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(1.5)
        begun, worst = time.monotonic(), 0.0
        while time.monotonic() - begun < 5.5:
            asked = time.monotonic()
            status, answer = server.get(COUNT)
            worst = max(worst, time.monotonic() - asked)
            if status != 200:
                break
        tap.check(status == 200 and worst < 2, "while a dozen do not read, queries are answered", f"{status} {worst:.2f} s")
        received = b""
        digest = hashlib.sha256()
        while piece := slow[0].recv(1 << 20):
            if b"\r\n\r\n" not in received:
                received += piece
                if b"\r\n\r\n" in received:
                    digest.update(received.split(b"\r\n\r\n", 1)[1])
                continue
            digest.update(piece)
        tap.check(digest.hexdigest() == plain, "one that reads on after six seconds gets all of it")
        for one in slow:
            one.close()
        for _ in range(200):
            _, answer = server.get("/api/traceo/v1/queries")
            left = json.loads(answer)["data"]["queries"]
            if not left:
                break
            time.sleep(0.05)
        tap.check(not left, "those that left are forgotten, and nothing is made for them", left)
        page = server.get("/metrics")[1]
        page = page if isinstance(page, str) else page.decode()
        held = re.search(r"^traceo_memory_queries_bytes (\S+)", page, re.M)
        tap.check(held and float(held.group(1)) == 0, "and hold no memory", held and held.group(0))
        tap.check(server.stop() == 0, "the server ends well", server.tail())
    finally:
        server.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
