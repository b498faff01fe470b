#!/usr/bin/env python3
"""A flood of writes (RELIABILITY R12): several times what the disk takes, each at its time whether or not those before it are answered, and
what is refused comes again much too soon; then no more. As much as before is taken meanwhile, the rest is refused quickly and told when to come
again, questions are answered, memory stays within its limit, seconds after the end a write takes as long as before, and nothing
acknowledged is lost, also after kill -9.

    flood_test.py TRACEO LIBRARY [--seconds 6] [--times 5]

The disk is made slow by a library in front of the binary (bad_disk.c), so that it is known what it takes and a generator in Python can pass
that several times. The suite first catches its planted fault: a server that does a fifth of what it could (its disk is slower than
when it was measured) must be seen.
"""

import argparse
import http.client
import os
import re
import shutil
import sys
import tempfile
import threading
import time

from bad_disk import BadDisk
from traceo import WRITE_HEADERS, Server, Tap, series, snappy, varint

LIMIT_MIB, WAITING_MIB = 320, 64  # the second: what may wait for the disk
CONNECTIONS, BULK, AGAIN_S = 64, 80_000, 0.2
SLOW_US = 15_000  # a MiB: 66 MiB/s


class Flood:
    """Numbered bodies of `BULK` samples, the same again and again, and one that is the body's own."""

    def __init__(self, server):
        self.server = server
        self.base_ms = int(time.time() * 1000) - 3600 * 1000
        self.bulk = series({"__name__": "flood_bulk"}, [(self.base_ms + i, 1.5) for i in range(BULK)])
        self.packed = snappy(self.bulk)[len(varint(len(self.bulk))):]
        self.lock = threading.Lock()
        self.sent, self.acked = 0, []
        self.took, self.refusals, self.odd = [], [], []

    def send(self, connection, number=None):
        """True: acknowledged. False: refused and told to come again. The number is for the next try."""
        with self.lock:
            if number is None:
                number = self.sent
                self.sent += 1
        own = series({"__name__": "flood"}, [(self.base_ms + number, float(number))])
        body = varint(len(self.bulk) + len(own)) + self.packed + snappy(own)[len(varint(len(own))):]
        begun = time.monotonic()
        connection.request("POST", "/api/v1/write", body, WRITE_HEADERS)
        answer = connection.getresponse()
        text = answer.read()
        took_s = time.monotonic() - begun
        with self.lock:
            if answer.status == 204:
                self.acked.append((number, time.monotonic()))
                self.took.append(took_s)
                return True, number
            self.refusals.append(took_s)
            if answer.status not in (429, 503) or not answer.getheader("Retry-After"):
                self.odd.append(f"{answer.status}, Retry-After {answer.getheader('Retry-After')}: {text[:200]}")
            return False, number

    def closed(self, seconds, connections):
        """As fast as answered; acknowledged bodies a second."""
        until = time.monotonic() + seconds
        before = len(self.acked)

        def run():
            connection = self.server.connect()
            while time.monotonic() < until:
                self.send(connection)
        self.together(run, connections)
        return (len(self.acked) - before) / seconds

    def open(self, seconds, rate):
        """Each at its time; who is refused comes again soon, whatever it was told. How many were due."""
        begun, due = time.monotonic(), [0]

        def run():
            connection, number = self.server.connect(), None
            while time.monotonic() < begun + seconds:
                if number is None:
                    with self.lock:
                        mine = due[0]
                        due[0] += 1
                    wait_s = begun + mine / rate - time.monotonic()
                    if wait_s > 0:
                        time.sleep(wait_s)
                try:
                    taken, number = self.send(connection, number)
                except (OSError, http.client.HTTPException):
                    connection.close()  # a refusal may end a connection whose body was on its way
                    connection = self.server.connect()
                    continue
                if taken:
                    number = None
                else:
                    time.sleep(AGAIN_S)
        self.together(run, CONNECTIONS)
        return due[0]

    def together(self, run, count):
        def guarded():
            try:
                run()
            except (OSError, http.client.HTTPException) as error:
                self.odd.append(repr(error))
        threads = [threading.Thread(target=guarded, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)

    def lost(self):
        numbers = [number for number, _ in self.acked]
        found = {}
        for row in self.server.query(f"flood[{self.sent + 10}ms]", (self.base_ms + self.sent) / 1000)["result"]:
            found = {round(float(at) * 1000) - self.base_ms: float(value) for at, value in row["values"]}
        gone = [number for number in numbers if found.get(number) != number]
        return f"{len(gone)} of {len(numbers)} are lost or altered, the first is {gone[0]}" if gone else None


class Pulse(threading.Thread):
    """How late this process gets to run: what it measures is worth no more than that."""

    def __init__(self):
        super().__init__(daemon=True)
        self.latest_s, self.over = 0.0, False

    def run(self):
        while not self.over:
            begun = time.monotonic()
            time.sleep(0.02)
            self.latest_s = max(self.latest_s, time.monotonic() - begun - 0.02)

    def why_not(self):
        """Why times cannot be judged here, or None."""
        if self.latest_s > 0.3:
            return f"the machine held this test up for {self.latest_s:.1f} s"
        if os.getloadavg()[0] > 2 * os.cpu_count():
            return f"the machine is busy with other things: load {os.getloadavg()[0]:.1f}"
        return None


class Watcher(threading.Thread):
    """What memory is used, and whether questions are answered meanwhile."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.stop, self.most, self.asked, self.bad = server, False, 0.0, 0, []
        self.slowest_s = 0.0

    def run(self):
        while not self.stop:
            try:
                text = open(f"/proc/{self.server.process.pid}/status").read()
            except OSError:
                return  # the planted one was ended
            private = re.search(r"^RssAnon:\s+(\d+) kB", text, re.M)
            if private is None:
                return
            self.most = max(self.most, int(private[1]) / 1024)
            begun = time.monotonic()
            try:
                self.server.query("1 + 1", 1)
                if self.server.get("/-/ready")[0] != 200:
                    self.bad.append("not ready")
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                self.bad.append(repr(error))
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
            self.asked += 1
            time.sleep(0.05)


def cpu_s(server):
    """Of the server, so far."""
    fields = open(f"/proc/{server.process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percent(numbers, part):
    return sorted(numbers)[min(len(numbers) - 1, int(len(numbers) * part))] if numbers else 0.0


def run(library, seconds, times, slow_us, tap):
    # In memory, so that the disk is as slow as is said and not slower.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    server = Server("--memory.limit", f"{LIMIT_MIB}MiB", folder=tempfile.mkdtemp(prefix="traceo-flood-", dir=memory))
    data = os.path.join(server.folder, "data")
    os.mkdir(data)
    disk = BadDisk(library, server.folder, data)
    server.env = disk.env()
    try:
        disk.number("slow_us", SLOW_US)
        server.start()
        flood = Flood(server)
        flood.closed(1.0, 4)
        used_s, taken = cpu_s(server), len(flood.acked)
        capacity = flood.closed(3.0, 4)
        each_s = (cpu_s(server) - used_s) / max(1, len(flood.acked) - taken)
        before_s = percent(flood.took, 0.5)
        flood.took = []
        watcher = Watcher(server)
        watcher.start()
        disk.number("slow_us", slow_us)
        first, begun = len(flood.acked), time.monotonic()
        used_s = cpu_s(server)
        pulse = Pulse()
        pulse.start()
        due = flood.open(seconds, capacity * times)
        goodput = len([at for _, at in flood.acked[first:] if at < begun + seconds]) / seconds
        enough = goodput >= 0.9 * capacity
        if tap is None:
            return enough, goodput, capacity
        ended = time.monotonic()
        used_s = cpu_s(server) - used_s
        flood_took, refusals = flood.took, flood.refusals
        connection, taken, again_s = server.connect(), False, 1e9
        while time.monotonic() < ended + 10 and again_s > before_s * 2 + 0.2:
            begun = time.monotonic()
            taken, _ = flood.send(connection)
            again_s = time.monotonic() - begun
        normal_s = time.monotonic() - ended
        watcher.stop = True
        watcher.join(timeout=30)
        bulk_mib = len(flood.bulk) / (1 << 20)
        print(f"# the disk takes {capacity:.0f} bodies a second ({capacity * bulk_mib:.0f} MiB), one takes {before_s * 1000:.0f} ms; flooded with {times} times that "
              f"for {seconds:.0f} s ({due} due) {goodput:.0f} a second are taken, in {percent(flood_took, 0.5):.1f} s ({percent(flood_took, 0.99):.1f} s for 99 %), "
              f"and {len(refusals)} refused, in {percent(refusals, 0.5) * 1000:.0f} ms ({percent(refusals, 0.99) * 1000:.0f} ms); {watcher.most:.0f} MiB; "
              f"{used_s:.1f} s of CPU, {each_s * 1000:.1f} ms for one that is taken; "
              f"{watcher.asked} questions, the slowest {watcher.slowest_s * 1000:.0f} ms; as before after {normal_s:.1f} s")
        longest_s = WAITING_MIB / (capacity * bulk_mib) + 2

        def timed(holds, name, why=""):
            busy = None if holds else pulse.why_not()
            return tap.skip(name, f"{busy}; {why}") if busy else tap.check(holds, name, why)
        timed(enough, f"{goodput:.0f} of {capacity:.0f} bodies a second are taken in the flood", f"{goodput:.1f}")
        tap.check(not flood.odd and len(refusals) > 10, "the others are refused by name and told when to come again", "\n".join([str(len(refusals)), *flood.odd[:3]]))
        timed(percent(refusals, 0.99) < 1, "a refusal takes less than a second", f"{percent(refusals, 0.99):.2f} s")
        timed(percent(flood_took, 1.0) < longest_s, f"none waits longer than the bytes that may wait: {longest_s:.1f} s", f"{percent(flood_took, 1.0):.1f} s")
        tap.check(watcher.most < LIMIT_MIB * 1.1, f"memory stays below {LIMIT_MIB} MiB", f"{watcher.most:.0f} MiB")
        tap.check(not watcher.bad and watcher.asked > 5, f"{watcher.asked} questions are answered meanwhile", "\n".join(watcher.bad[:3]))
        timed(taken and normal_s < 5, "5 s after the end a write takes as long as before", f"{normal_s:.1f} s, {again_s:.2f} s")
        wrong = flood.lost()
        tap.check(wrong is None, f"{len(flood.acked)} acknowledged bodies are there", wrong)
        server.kill()
        server.start(timeout_s=120)
        wrong = flood.lost()
        tap.check(wrong is None, "also after kill -9", wrong)
        return enough, goodput, capacity
    finally:
        server.close()
        shutil.rmtree(server.folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("library")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--times", type=float, default=5)
    options = parser.parse_args()
    tap = Tap()
    enough, goodput, capacity = run(options.library, 4, options.times, SLOW_US * 5, None)
    tap.check(not enough, f"a server that does a fifth of what it could is caught: {goodput:.0f} of {capacity:.0f} a second")
    run(options.library, options.seconds, options.times, SLOW_US, tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
