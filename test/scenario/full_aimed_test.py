#!/usr/bin/env python3
"""The disk is full just where it hurts (RELIABILITY R8): for the log, for a head that becomes a block, for a merge, one by one. Reads go on and
are right, nothing acknowledged is lost, writes resume by themselves.

    full_aimed_test.py TRACEO BAD_DISK [--rounds 1] [--seed N]

BAD_DISK is bad_disk.c, built: in front of the binary it says that there is no space to writes, to writes after half of their bytes, or to new
files, of the log's files, of every block, or of the next block but one, which is the one that a merge makes. That it was the head or the merge
which found no space is read in what the server says. Sometimes the server is killed there and started again on the full disk. The suite first
catches its planted faults: a disk that is full elsewhere, a refused batch that counts as acknowledged, blocks that are gone.
"""

import argparse
import http.client
import os
import random
import re
import sys
import time

from bad_disk import FILES, GROWS, HALF, WRITES, BadDisk
from full_disk_test import BACK_S, REFUSED_S, Life
from traceo import Server, Tap

HOUR_MS = 3600 * 1000
# The log overwrites what it has, which takes no space: only what makes a file longer does.
WAYS = {"writes": WRITES | GROWS, "half a write": WRITES | HALF | GROWS, "new files": FILES}
# What the server says of it, in its log or in an answer.
SAYS = {
    "seal": r"sealing a head: putting the object",
    "merge": r"merging blocks of tenant default: putting the object",
}


class Aimed(Life):
    """A life on an ordinary disk that is full for some files."""

    def __init__(self, library, randomness):
        self.server = Server()
        self.data = os.path.join(self.server.folder, "data")
        os.mkdir(self.data)
        self.disk = BadDisk(library, self.server.folder, self.data)
        self.server.env = self.disk.env()
        self.randomness = randomness
        self.base_ms = int(time.time() * 1000) // HOUR_MS * HOUR_MS - HOUR_MS  # all within a day
        self.sent, self.slowest_s, self.said_before = 0, 0.0, 0
        self.acked, self.refused, self.problems = [], [], []

    def close(self):
        self.server.close()

    def fill(self, what, part="", skip=0):
        self.said_before = len(self.said())
        self.disk.fill(what, part, skip)

    def said(self):
        with open(os.path.join(self.server.folder, "server.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def has_said(self, target, also=""):
        """Whether the server said since fill() that its target was hit. Not in vain: it must have been for want of space."""
        text = self.said()[self.said_before:] + also
        return any(re.search(SAYS[target], line) and re.search("[Nn]o space|DISK_FULL", line) for line in text.splitlines())

    def wait(self, what, holds, seconds=10):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if holds():
                return
            time.sleep(0.05)
        self.say(f"{what}: not within {seconds} s; {self.said()[-600:]}")

    def house_is_kept(self):
        text = self.said()
        return max(text.rfind("housekeeping works again"), text.rfind("msg=ready")) >= text.rfind("housekeeping failed")

    def flush(self, wanted=200):
        status, text, _ = self.post("/api/traceo/v1/flush")
        if wanted and status != wanted:
            self.say(f"a flush is {status}, not {wanted}: {text[:300]}")
        return status, text

    def some_batches(self):
        for _ in range(self.randomness.randrange(1, 8)):
            if not self.batch():
                self.say("a batch is refused though the log has space")

    def maybe_killed(self, when):
        """Sometimes the power of the process ends here. What was acknowledged is there after it, on the same full disk."""
        if self.randomness.random() < 0.5:
            self.server.kill()
            self.server.start()
            self.look(f"{when}, after kill -9")

    def nothing_beside(self, when):
        """What is in the folder of objects is what the manifest names, once housekeeping has come by."""
        def names():
            return [name for _, _, files in os.walk(os.path.join(self.data, "objects")) for name in files]
        self.wait(f"{when}: as many objects as blocks, none half", lambda: len(names()) == self.server.metric("traceo_series_blocks")
                  and not any(name.endswith(".tmp") for name in names()))

    # ---- The three targets; each leaves a disk with space ----

    def log(self, way):
        self.some_batches()
        self.fill(way, "/log/")
        # It has room that it took before: bulk takes that up.
        for _ in range(1000):
            if not self.batch(self.bulk):
                break
        self.wait("the log takes no more", lambda: self.server.metric("traceo_log_writable") == 0)
        if self.disk.number("refused") == 0:
            self.say("nothing of the log was refused")
        self.look("while the log is full")
        for _ in range(5):
            self.batch()
        self.maybe_killed("while the log is full")
        self.fill(0)
        self.back("when there is space again")
        self.look("when there is space again")

    def seal(self, way, part=".block"):
        self.some_batches()
        self.fill(way, part)
        _, text = self.flush(0)
        self.wait("sealing finds no space", lambda: self.has_said("seal", text), 2)
        if self.disk.number("refused") == 0:
            self.say("nothing was refused")
        self.look("while blocks find no space")
        self.some_batches()
        self.look("while blocks find no space, of what came then")
        self.maybe_killed("while blocks find no space")
        self.fill(0)
        self.some_batches()
        self.flush()
        self.look("when there is space again")
        self.nothing_beside("when there is space again")

    def merge(self, way):
        # Whatever waits to be merged is, so that the next block makes the next merge, and what housekeeping says of it is not what it said before.
        merges = None
        while merges is None or self.server.metric("traceo_series_merges_total") != merges:
            merges = self.server.metric("traceo_series_merges_total")
            for _ in range(3):
                self.some_batches()
                self.flush()
            time.sleep(1.2)  # a round
        self.wait("housekeeping works", self.house_is_kept)
        self.some_batches()
        failures = self.server.metric("traceo_store_maintenance_failures_total")
        # The block of the fourth head has its place; the one after it is the merge's.
        self.fill(way, ".block", skip=1)
        self.flush()
        self.wait("merging finds no space", lambda: self.has_said("merge"))
        self.wait("and again", lambda: self.server.metric("traceo_store_maintenance_failures_total") >= failures + 2)
        if self.has_said("seal"):
            self.say("it was a head that found no space")
        if self.server.metric("traceo_series_merges_total") != merges:
            self.say("a merge that found no space counts as done")
        self.look("while merges find no space")
        self.some_batches()
        self.look("while merges find no space, of what came then")
        self.maybe_killed("while merges find no space")
        merges = self.server.metric("traceo_series_merges_total")
        self.fill(0)
        self.wait("merging goes on", lambda: self.server.metric("traceo_series_merges_total") > merges)
        self.some_batches()
        self.look("when there is space again")
        self.nothing_beside("when there is space again")


def planted(tap, library, randomness):
    life = Aimed(library, randomness)
    try:
        life.server.start()
        life.seal(WRITES, "/nowhere/")
        tap.check(life.problems, "a disk that is full elsewhere is noticed", "the test saw a target where there was none")
        life.problems = []
        life.log(WRITES | GROWS)
        tap.check(not life.problems, "the log alone", "\n".join(life.problems))
        life.look("planted", life.refused)
        tap.check(life.refused and life.problems, "a refused batch that counts as acknowledged is found missing")
        life.problems = []
        life.flush()
        life.server.kill()
        for root, _, names in os.walk(os.path.join(life.data, "objects")):
            for name in names:
                os.unlink(os.path.join(root, name))
        life.server.start()
        life.look("planted")
        tap.check(life.problems, "blocks that are gone are found missing")
    finally:
        life.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("library")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    randomness = random.Random(options.seed)
    print(f"# seed {options.seed}")
    tap = Tap()
    planted(tap, options.library, randomness)
    for target in ("log", *SAYS):
        life = Aimed(options.library, randomness)
        ways = dict.fromkeys(WAYS, 0)
        try:
            life.server.start()
            for _ in range(options.rounds):
                # A log that was made has no new file to make for long.
                way = randomness.choice([way for way in WAYS if target != "log" or way != "new files"])
                ways[way] += 1
                getattr(life, target)(WAYS[way])
                if life.problems:
                    life.problems.append(f"in round {sum(ways.values())}, by {way}")
                    break
            life.server.kill()
            life.server.start()
            life.look("at the end")
            tap.check(not life.problems, f"full for the {target}, {options.rounds} times ({', '.join(f'{way} {count}' for way, count in ways.items() if count)}): "
                      f"{len(life.acked)} batches acknowledged, {len(life.refused)} refused", "\n".join(life.problems[:5]))
            if life.refused:
                tap.check(life.slowest_s < REFUSED_S, f"a refusal takes less than {REFUSED_S:.0f} s, and {BACK_S:.0f} s later writes are back", f"{life.slowest_s:.2f} s")
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            tap.check(False, f"full for the {target}", f"{error!r}\n{life.server.tail()}")
        finally:
            life.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
