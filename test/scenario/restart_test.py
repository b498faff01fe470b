#!/usr/bin/env python3
"""Restarts under load (RELIABILITY R10): one after the other, by kill -9 and by SIGTERM, while writers send and readers ask. Every start is
quick, answers 503 until it is ready and never a wrong answer, nothing acknowledged is lost, and neither memory nor disk nor the number of
files grows with the restarts.

    restart_test.py TRACEO [--rounds 6] [--series 20000] [--seed N]

The suite first catches its planted fault: a folder into which every restart puts a file of 64 MiB must be seen to grow.
"""

import argparse
import os
import random
import re
import sys
import time

from kill_test import WRITERS, Keeper, Writer, faults
from traceo import Server, Tap, series, write

READY_S = 10
SEGMENT_MIB = 64  # of the log


def measure(server):
    """Private memory (MiB), open files, bytes on disk (MiB), once the blocks of lives that were too short for it are merged: one run a second."""
    blocks, still = server.metric("traceo_series_blocks"), 0
    while still < 2:
        time.sleep(1.2)
        before, blocks = blocks, server.metric("traceo_series_blocks")
        still = still + 1 if blocks >= before else 0
    text = open(f"/proc/{server.process.pid}/status").read()
    private = int(re.search(r"^RssAnon:\s+(\d+) kB", text, re.M)[1]) / 1024
    files = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    disk = 0
    for folder, _, names in os.walk(os.path.join(server.folder, "data")):
        for name in names:
            try:
                disk += os.stat(os.path.join(folder, name)).st_size
            except OSError:
                pass  # retired meanwhile
    return private, files, disk / (1 << 20)


def grows(before, after):
    """What is more than it was, of three measures; what the rounds themselves stored is a few MiB, and the log has two files more or less."""
    names, slack = ("MiB of memory", "open files", "MiB on disk"), (16, 16, 2 * SEGMENT_MIB)
    return [f"{before[i]:.0f} then {after[i]:.0f} {names[i]}" for i in range(3) if after[i] > before[i] * 1.25 + slack[i]]


def run(rounds, count, randomness, tap=None):
    server = Server("--web.enable_admin_api", "true", "--memory.limit", "256MiB")
    base_ms = int(time.time() * 1000) - 3600 * 1000
    acked, sent = {w: [] for w in range(WRITERS)}, {w: [] for w in range(WRITERS)}
    bad, keeper, slowest, first = [], None, 0, None
    try:
        server.start()
        connection = server.connect()
        for at in range(0, count, 5000):
            body = b"".join(series({"__name__": "stands", "n": str(i)}, [(base_ms, float(i))]) for i in range(at, min(at + 5000, count)))
            if write(connection, body)[0] != 204:
                bad.append("the series to begin with were refused")
        for number in range(rounds):
            writers = [Writer(server, w, len(sent[w]), base_ms) for w in range(WRITERS)]
            keeper = Keeper(server, base_ms, keeper)
            for thread in [*writers, keeper]:
                thread.start()
            time.sleep(randomness.uniform(0.05, 0.3))
            if randomness.random() < 0.5:
                server.kill()
            elif server.stop() != 0:
                bad.append(f"round {number}: SIGTERM under load does not end well")
            for thread in [*writers, keeper]:
                thread.join(timeout=30)
            slowest = max(slowest, server.start(timeout_s=60))
            # A writer counts a batch as acknowledged that was answered while the server stopped.
            for writer in writers:
                bad += faults(server, writer.number, writer.acked, writer.sent, base_ms)
                acked[writer.number] += writer.acked
                sent[writer.number] += writer.sent
            bad += keeper.faults()
            found = server.query("count(stands)", base_ms / 1000)["result"]
            if not found or found[0]["value"][1] != str(count):
                bad.append(f"round {number}: {found} of {count} series that stand")
            if tap is None:
                with open(os.path.join(server.folder, "data", f"planted-{number}"), "wb") as file:
                    file.truncate(SEGMENT_MIB << 20)
            if number == 1:
                first = measure(server)
            if bad:
                break
        last = measure(server)
        if tap is None:
            return grows(first, last)
        print(f"# slowest start {slowest:.2f} s; memory, files, disk after the second restart {first}, after the last {last}")
        tap.check(not bad and keeper.done > 0, f"{rounds} restarts, {sum(map(len, acked.values()))} batches, {keeper.done} deletes: nothing lost, altered or back",
                  "\n".join(bad[:10]))
        tap.check(slowest < READY_S, f"each is ready within {READY_S} s", f"{slowest:.1f} s")
        tap.check(first and not grows(first, last), "nothing grows with the restarts", first and grows(first, last))
        return []
    finally:
        server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--series", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    randomness = random.Random(options.seed)
    print(f"# seed {options.seed}")
    tap = Tap()
    tap.check(run(8, 1000, randomness), "a folder that grows with every restart is caught")
    run(options.rounds, options.series, randomness, tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
