#!/usr/bin/env python3
"""The disk is full (RELIABILITY R8): reads go on and are right, writes are refused quickly and say when to come again, deletes still work,
the server starts on a full disk, ingest is back by itself when there is space, and nothing acknowledged is lost.

    full_disk_test.py TRACEO [--rounds 1] [--seed N]

The data directory lies on a small tmpfs, ext4 and xfs of its own; a file beside it takes the space, all of it or all but a little, at a
random moment while batches come and heads become blocks. Or there is space, and no room for another file: the inodes are used up. The suite first catches its planted fault: an oracle that counts a refused batch
as acknowledged must find it missing.
"""

import argparse
import functools
import http.client
import os
import random
import shutil
import sys
import time
import urllib.parse

from mounts import Mount
from traceo import WRITE_HEADERS, Server, Tap, series, snappy

PER_BATCH = 200
REFUSED_S, BACK_S = 1.0, 5.0


class Life:
    def __init__(self, kind, megabytes, inodes, randomness):
        self.mount = Mount(kind, megabytes, inodes)
        self.of_files = inodes > 0
        self.server = Server("--web.enable_admin_api", "true")
        os.symlink(self.mount.at, os.path.join(self.server.folder, "data"))
        self.filler = os.path.join(self.mount.at, "filler")
        self.randomness = randomness
        self.base_ms = int(time.time() * 1000) - 3600 * 1000
        self.sent = 0
        self.acked, self.refused = [], []
        self.problems = []
        self.slowest_s = 0.0
        self.deletes = [0, 0]  # on a full disk: refused, done

    @functools.cached_property
    def bulk(self):
        """The same samples again and again: nothing new to store, much to log."""
        return series({"__name__": "full_bulk"}, [(self.base_ms + i, 1.5) for i in range(20_000)])

    def say(self, problem):
        self.problems.append(problem)

    def post(self, path, body=None, headers=None):
        connection = self.server.connect()
        try:
            connection.request("POST", path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace"), answer.getheader("Retry-After")
        finally:
            connection.close()

    def batch(self, bulk=b""):
        """Sends the next one; True when it was acknowledged."""
        number = self.sent
        self.sent += 1
        at_ms = self.base_ms + number * 10
        body = snappy(b"".join(series({"__name__": "full", "n": str(i)}, [(at_ms, number * 1000.0 + i)]) for i in range(PER_BATCH)) + bulk)
        begun = time.monotonic()
        status, text, again = self.post("/api/v1/write", body, WRITE_HEADERS)
        took_s = time.monotonic() - begun
        if status == 204:
            self.acked.append(number)
            return True
        self.refused.append(number)
        self.slowest_s = max(self.slowest_s, took_s)
        if status not in (503, 507, 429) or not again:
            self.say(f"a refusal is {status}, Retry-After {again}: {text[:200]}")
        return False

    def is_prepared(self):
        last = os.path.join(self.mount.at, "log", "ballast.7")
        until = time.monotonic() + 15
        while not os.path.exists(last) and time.monotonic() < until:
            time.sleep(0.05)
        if not os.path.exists(last):
            self.say("nothing is kept aside for a full disk")
        return True

    def fill(self):
        if self.of_files:
            self.fill_files(self.randomness.choice([0, 0, 1, 2, 3]))
        else:
            self.fill_bytes(self.randomness.choice([0, 0, 4096, 65536, 1 << 20]))

    def fill_files(self, leave):
        os.makedirs(self.filler, exist_ok=True)
        try:
            while self.mount.free_inodes() > leave:
                os.close(os.open(os.path.join(self.filler, str(len(os.listdir(self.filler)))), os.O_CREAT | os.O_WRONLY))
        except OSError:
            pass

    def empty(self):
        if self.of_files:
            shutil.rmtree(self.filler)
        else:
            os.truncate(self.filler, 0)
            os.unlink(self.filler)

    def fill_bytes(self, leave):
        with open(self.filler, "ab", buffering=0) as file:
            try:
                while self.mount.free_bytes() > leave:
                    file.write(b"x" * max(4096, min(1 << 20, self.mount.free_bytes() - leave)))
            except OSError:
                pass

    def look(self, when, also=()):
        """Every acknowledged batch, and nothing nobody sent. `also`: planted as acknowledged."""
        last = self.base_ms + self.sent * 10
        for i in (0, PER_BATCH - 1):
            found = {round(float(at) * 1000): float(value)
                     for row in self.server.query(f'full{{n="{i}"}}[{self.sent * 10 + 10}ms]', last / 1000)["result"] for at, value in row["values"]}
            for number in [*self.acked, *also]:
                if found.get(self.base_ms + number * 10) != number * 1000.0 + i:
                    self.say(f"{when}: batch {number} was acknowledged and is lost")
                    return
            for at, value in found.items():
                number = (at - self.base_ms) // 10
                if value != number * 1000.0 + i or number >= self.sent:
                    self.say(f"{when}: {value} at {at}, which nobody sent")
                    return

    def back(self, when):
        begun = time.monotonic()
        while not self.batch():
            if time.monotonic() - begun > BACK_S * 3:
                self.say(f"{when}: writes do not come back: {self.server.tail()[-600:]}")
                return
            time.sleep(0.05)
        took_s = time.monotonic() - begun
        if took_s > BACK_S:
            self.say(f"{when}: writes come back after {took_s:.1f} s")

    def round(self):
        for _ in range(self.randomness.randrange(5, 60)):
            self.batch()
            if self.randomness.random() < 0.1:
                self.post("/api/traceo/v1/flush")
        gone = self.sent + 1_000_000
        self.post("/api/v1/write", snappy(series({"__name__": "full_gone", "n": str(gone)}, [(self.base_ms, 1.0)])), WRITE_HEADERS)
        # What is kept aside takes a moment to be there, and then deletes and blocks have it.
        prepared = self.randomness.random() < 0.5 and self.is_prepared()
        self.fill()
        # The log has room that it took before: it goes on until that is used up.
        for _ in range(1000):
            if not self.batch(self.bulk):
                break
        status, text, _ = self.post("/api/traceo/v1/flush")
        if prepared and status != 200:
            self.say(f"heads do not become blocks on a full disk: {status} {text[:300]}")
        self.look("on a full disk")
        status, text, _ = self.post("/api/v1/admin/tsdb/delete_series?match[]=" + urllib.parse.quote('full_gone'))
        self.deletes[status == 204] += 1
        if status != 204 and (prepared or ("space" not in text and "full" not in text)):
            self.say(f"a delete on a full disk is {status}: {text[:300]}")
        for _ in range(5):
            self.batch()
        if self.randomness.random() < 0.5:
            self.server.kill()
            self.fill()
            self.server.start()
            self.look("after kill -9 and a start on a full disk")
        self.empty()
        self.back("when there is space again")
        status, text, _ = self.post("/api/traceo/v1/flush")
        if status != 200:
            self.say(f"heads do not become blocks when there is space again: {status} {text[:300]}")
        self.look("when there is space again")

    def close(self):
        self.server.close()
        self.mount.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="file systems whose name begins with this")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    randomness = random.Random(options.seed)
    print(f"# seed {options.seed}")
    tap = Tap()
    for of, megabytes, inodes in (("tmpfs", 200, 0), ("ext4", 200, 0), ("xfs", 320, 0), ("tmpfs without inodes", 200, 150), ("ext4 without inodes", 200, 150)):
        kind = of.split()[0]
        if not of.startswith(options.only):
            continue
        why = Mount.why_not(kind)
        if why:
            tap.skip(f"a full {of}", why)
            continue
        life = Life(kind, megabytes, inodes, randomness)
        try:
            life.server.start()
            for _ in range(options.rounds):
                life.round()
                if life.problems:
                    break
            life.server.kill()
            life.server.start()
            life.look("at the end")
            tap.check(not life.problems, f"{of}: {options.rounds} times full, {len(life.acked)} batches acknowledged, {len(life.refused)} refused",
                      "\n".join(life.problems[:5]))
            tap.check(life.refused and life.slowest_s < REFUSED_S, f"{of}: a refusal takes less than {REFUSED_S:.0f} s", f"{life.slowest_s:.2f} s")
            print(f"# {of}: {life.deletes[1]} deletes were done on a full disk, {life.deletes[0]} refused")
            life.problems = []
            if life.refused:
                # A refused batch may be there all the same (W25); of all of them, not every one is.
                life.look("planted", life.refused)
                tap.check(life.problems, f"{of}: a refused batch that counts as acknowledged is found missing")
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            tap.check(False, f"a full {of}", f"{error!r}\n{life.server.tail()}")
        finally:
            life.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
