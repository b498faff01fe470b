"""Hostile clients and what watches over a server while they are at it; used by limits_test.py.

Raw sockets, bombs and broken messages byte by byte, slow clients, and the `Guard`, which looks after every bad request
whether anything but the answer changed.
"""

import json
import pathlib
import re
import socket
import struct
import threading
import time

from traceo import field, series, varint, write

MB = 1 << 20


# ---- Talking ------------------------------------------------------------------------------------


class Answer:
    """What came back on a raw socket until it was closed or quiet: the first status, its body, how many answers there were."""

    def __init__(self, raw, took_s, closed):
        self.raw, self.took_s, self.closed = raw, took_s, closed
        self.count = len(re.findall(rb"^HTTP/1\.[01] \d\d\d ", raw, re.M))
        first = re.match(rb"HTTP/1\.[01] (\d\d\d) ", raw)
        self.status = int(first.group(1)) if first else 0
        self.text = raw.partition(b"\r\n\r\n")[2].decode(errors="replace")

    def __str__(self):
        return f"{self.count} answers, status {self.status}, {self.took_s:.2f} s, {self.text[:400]}"


def talk(port, sent, wait_s=5.0, enough=None):
    """Sends bytes, reads until the peer closes, `wait_s` passed or `enough(bytes)`."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as peer:
        try:
            peer.sendall(sent)
        except OSError:
            pass  # an early answer closes while we still send; the answer counts
        raw, closed, took_s = b"", False, 0.0
        while time.monotonic() - begun < wait_s:
            try:
                more = peer.recv(65536)
            except socket.timeout:
                break
            except OSError:
                closed = True
                break
            if not more:
                closed = True
                break
            if not raw:
                took_s = time.monotonic() - begun
            raw += more
            if enough and enough(raw):
                break
        return Answer(raw, took_s or time.monotonic() - begun, closed)


def whole(raw):
    """Is there one answer with all of its body?"""
    head, blank, body = raw.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(blank) and (length is None or len(body) >= int(length.group(1)))


def post(port, body, headers, path="/api/v1/write", wait_s=20.0):
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"] + [f"{k}: {v}" for k, v in headers.items()]
    return talk(port, "\r\n".join(lines).encode() + b"\r\n\r\n" + body, wait_s, whole)


class Guard:
    """A server with a series that must survive everything."""

    def __init__(self, tap, server):
        self.tap, self.server = tap, server
        self.at_ms = int(time.time() * 1000) - 1800_000
        self.sent = 0.0
        self.connection = server.connect()
        self.alive()
        self.series = self.count_series()

    def count_series(self):
        status, body = self.server.get("/api/v1/status/tsdb")
        return json.loads(body)["data"]["headStats"]["numSeries"] if status == 200 else f"status/tsdb answers {status}"

    def alive(self):
        """Writes the next sample of the known series and asks for it."""
        self.sent += 1
        self.at_ms += 1
        status, answer = write(self.connection, series({"__name__": "guard", "who": "known"}, [(self.at_ms, self.sent)]))
        if status != 204:
            return f"the known series is refused: {status} {answer[:300]!r}"
        found = self.server.query("guard", self.at_ms / 1000)["result"]
        seen = float(found[0]["value"][1]) if found else None
        return None if seen == self.sent else f"the known series is {seen}, not {self.sent}"

    def memory(self, name):
        for line in pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        return 0

    def refused(self, name, act, statuses, says="", margin=64 * MB, within_s=1.5, once=True):
        """`act()` gives an Answer with one of the statuses whose text holds `says`, and nothing else changes."""
        return self.all_refused(name, [(name, act, says)], statuses, margin, within_s, once)

    def all_refused(self, name, cases, statuses, margin=64 * MB, within_s=1.5, once=True):
        """Many cases as one check: (what, act, says); `says` may be a regular expression."""
        statuses = [statuses] if isinstance(statuses, int) else statuses
        bad = []
        for what, act, says in cases:
            # 5: the peak begins anew (proc(5), clear_refs).
            pathlib.Path(f"/proc/{self.server.process.pid}/clear_refs").write_text("5")
            before = self.memory("VmRSS")
            try:
                answer = act()
            except Exception as error:  # whatever happens to the client is a finding too
                answer = Answer(f"client: {error!r}".encode(), 0, True)
            grown = self.memory("VmHWM") - before
            problems = []
            if answer.status not in statuses:
                problems.append(f"the status is not one of {statuses}")
            if says and not re.search(says, answer.text):
                problems.append(f"the answer does not say {says!r}")
            if answer.status >= 400 and '"error":"' not in answer.text.replace('": "', '":"'):
                problems.append("no reason is given")
            try:
                answer.raw.decode()
            except UnicodeDecodeError as error:
                problems.append(f"the answer is not UTF-8: {error}")
            if once and answer.count > 1:
                problems.append("there is a second answer")
            if answer.took_s > within_s:
                answer.took_s = min(answer.took_s, act().took_s)  # a busy machine is no finding: once more
            if answer.took_s > within_s:
                problems.append(f"it took {answer.took_s:.2f} s")
            if grown > margin:
                problems.append(f"memory grew by {grown // MB} MiB, more than {margin // MB}")
            if self.server.process.poll() is not None:
                bad.append(f"{what}: the server died with {self.server.process.returncode}:\n{self.server.tail()}")
                break
            try:
                problems += filter(None, [self.alive()])
                now = self.count_series()
                if now != self.series:
                    problems.append(f"the series were {self.series} and are {now}")
                    self.series = now
            except Exception as error:
                problems.append(f"afterwards: {error!r}")
            if problems:
                bad.append(f"{what}: {'; '.join(problems)}: {answer}")
        return self.tap.check(not bad, f"{name} ({len(cases)})" if len(cases) > 1 else name, "\n".join(bad[:12]))


# ---- Bombs and frames ---------------------------------------------------------------------------


def zstd_frame(blocks, stated=None):
    """A frame by hand (RFC 8878): `stated` content size in eight bytes as one segment, else a window of 8 MiB."""
    head = b"\x28\xb5\x2f\xfd"
    head += b"\xe0" + struct.pack("<Q", stated) if stated is not None else b"\x00" + bytes([13 << 3])
    return head + b"".join(blocks)


def zstd_block(kind, size, content, last):
    return struct.pack("<I", size << 3 | kind << 1 | last)[:3] + content


def zstd_bomb(mib, stated=None):
    """128 KiB of zeros per block of four bytes."""
    return zstd_frame([zstd_block(1, 128 * 1024, b"\0", i == mib * 8 - 1) for i in range(mib * 8)], stated)


def snappy_bomb(mib, stated=None):
    """One literal byte, then copies of 64 bytes in three bytes each."""
    return varint(stated if stated is not None else mib * MB) + b"\x00\0" + (b"\xfe\x01\x00" * (mib * MB // 64))


def snappy_repeated(prefix, piece, times):
    """`piece` again and again: a literal, then copies of up to 64 bytes in three bytes each."""
    left = len(piece) * (times - 1)
    out = varint(len(prefix) + len(piece) * times) + bytes([(len(prefix + piece) - 1) << 2]) + prefix + piece
    copy = lambda length: bytes([(length - 1) << 2 | 2]) + struct.pack("<H", len(piece))
    return out + copy(64) * (left // 64) + (copy(left % 64) if left % 64 else b"")


# ---- Rows as they stand -------------------------------------------------------------------------


def pairs(*labels):
    """Labels as they stand: in this order, twice, empty, whatever."""
    return b"".join(field(1, field(1, name) + field(2, value)) for name, value in labels)


def sample(at_ms, value=1.0):
    return field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at_ms))


# ---- Clients beside everything else ----------------------------------------------------------------


class Slow(threading.Thread):
    """Clients that take their time, beside everything else. Results are read after join()."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.results = port, {}

    def drip(self, name, first, more, every_s, for_s):
        begun, raw = time.monotonic(), b""
        with socket.create_connection(("127.0.0.1", self.port)) as peer:
            peer.settimeout(every_s)
            try:
                peer.sendall(first)
                while time.monotonic() - begun < for_s:
                    try:
                        piece = peer.recv(4096)
                        raw += piece
                        if not piece:
                            break
                    except socket.timeout:
                        if more and not raw:
                            peer.sendall(more)
            except OSError:
                pass
        self.results[name] = Answer(raw, time.monotonic() - begun, True)

    def run(self):
        write_head = b"POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: snappy\r\n"
        clients = [threading.Thread(target=self.drip, args=each, daemon=True) for each in [
            ("a slow head", b"GET /-/ready HTTP/1.1\r\n", b"X", 0.3, 20),
            ("a slow head in whole lines", b"GET /-/ready HTTP/1.1\r\n", b"X: y\r\n", 0.3, 20),
            ("a head that stops", b"GET /-/re", b"", 0.3, 20),
            ("a slow body", write_head + b"Content-Length: 100000\r\n\r\n", b"x", 0.3, 40),
            ("a body that stops", write_head + b"Content-Length: 100000\r\n\r\nabc", b"", 0.3, 40),
            ("slow chunks", write_head + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.3, 40)]]
        for client in clients:
            client.start()
        for client in clients:
            client.join()

    def report(self, tap):
        self.join(timeout=60)
        for name, answer in self.results.items():
            head = "head" in name
            word = "HTTP_HEADER_TIME_MS" if head else "HTTP_BODY_RATE_MIN"
            tap.check(answer.status == 408 and word in answer.text and answer.took_s < (8 if head else 25),
                      f"{name} is cut with 408 and the name of the limit", answer)


class Ingest(threading.Thread):
    """Keeps writing; remembers the worst answer."""

    def __init__(self, server, at_ms):
        super().__init__(daemon=True)
        self.server, self.at_ms, self.stop, self.worst_s, self.failed, self.sent = server, at_ms, False, 0.0, [], 0

    def run(self):
        connection = self.server.connect()
        while not self.stop:
            begun = time.monotonic()
            self.sent += 1
            try:
                status, answer = write(connection, series({"__name__": "beside"}, [(self.at_ms + self.sent, 1.0)]))
                if status != 204:
                    self.failed.append((status, answer[:200]))
            except Exception as error:
                self.failed.append(repr(error))
                connection = self.server.connect()
            self.worst_s = max(self.worst_s, time.monotonic() - begun)
            time.sleep(0.02)
