#!/usr/bin/env python3
"""Bit rot under the real binary (RELIABILITY R9): one bit flipped anywhere in a data directory. What is asked for is answered right, or what is
missing is said and the damaged file is named; or the server does not start and names it. Nothing altered, invented or back after a delete,
no crash.

    rot_test.py TRACEO [--flips 150] [--seed N]

A server fills a directory once: blocks of two days, deletes, an older day with its tiers, a head that is only in the log; it is killed. Each round
takes a copy of that, flips a bit, starts the server on it, asks for everything, and now and then lets it write and make blocks over the
damage. The suite first catches its planted faults, which no checksum can see: a copy from which the program itself deleted a series, and one
to which it added a sample.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import sys
import tempfile
import time
import urllib.parse

from traceo import Server, Tap, series, write

SERIES, DAY_MS, OLD = 6, 86400 * 1000, 50
FLAGS = ("--web.enable_admin_api", "true", "--series.retention_5m", "90d", "--series.retention_1h", "90d")


def post(server, path):
    connection = server.connect()
    try:
        connection.request("POST", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


class Master:
    """A directory and what is in it: {series: {ms: value}}."""

    def __init__(self, folder):
        self.data = os.path.join(folder, "data")
        self.now_ms = int(time.time() * 1000) // 15000 * 15000
        self.samples = {i: {} for i in range(SERIES)}
        self.old_ms = (self.now_ms // DAY_MS - 3) * DAY_MS
        server = Server(*FLAGS, folder=folder)
        server.start()
        try:
            self.write_old(server)
            for step, (day, count) in enumerate(((1, 40), (0, 30), (0, 30), (1, 20), (0, 25))):
                self.write(server, step, day, count)
                self.done(post(server, "/api/traceo/v1/flush"), 200)
                if step == 2:
                    self.delete(server, 1)
            self.delete(server, 2)
            self.write(server, 6, 0, 20)
            self.delete(server, 3)
            self.write(server, 7, 0, 10)
        finally:
            server.kill()
            server.log.close()
        # What is prepared ahead is never read.
        for name in os.listdir(os.path.join(self.data, "log")):
            if not name.endswith(".log"):
                os.unlink(os.path.join(self.data, "log", name))
        self.files = sorted(os.path.relpath(os.path.join(root, name), self.data) for root, _, names in os.walk(self.data) for name in names
                            if os.path.getsize(os.path.join(root, name)) > 0)

    @staticmethod
    def done(answer, status):
        if answer[0] != status:
            raise RuntimeError(f"filling the directory: {answer}")

    def write(self, server, step, day, count):
        # Between the steps is room, so that their times do not meet.
        first_ms = self.now_ms - day * DAY_MS - 3600 * 1000 + step * 300 * 1000
        body = b""
        for i in range(SERIES):
            if i == step % SERIES:
                continue
            rows = [(first_ms + k * 5000, float(step * 1000 + i * 100 + k)) for k in range(count)]
            self.samples[i].update(rows)
            body += series({"__name__": "rot", "n": str(i)}, rows)
        self.done(write(server.connect(), body), 204)

    def write_old(self, server):
        """A day that is over, until both tiers of it are there."""
        rows = [(self.old_ms + DAY_MS // 2 + k * 60_000, float(k)) for k in range(OLD)]
        self.done(write(server.connect(), series({"__name__": "rot_old"}, rows)), 204)
        self.done(post(server, "/api/traceo/v1/flush"), 200)
        until = time.monotonic() + 20
        while any(" from samples of " not in self.ask_old(server, resolution)[1] for resolution in ("5m", "1h")):
            if time.monotonic() > until:
                raise RuntimeError(f"no tiers after 20 s: {server.tail()}")
            time.sleep(0.1)

    def ask_old(self, server, resolution):
        """Status and text of the answer: the sum of the day."""
        status, body = server.get("/api/v1/query?" + urllib.parse.urlencode(
            {"query": "sum_over_time(rot_old[1d])", "time": self.old_ms // 1000 + DAY_MS // 1000, "max_source_resolution": resolution}))
        return status, body.decode(errors="replace")

    def delete(self, server, number):
        self.done(post(server, "/api/v1/admin/tsdb/delete_series?match[]=" + urllib.parse.quote(f'rot{{n="{number}"}}')), 204)
        self.samples[number] = {}


class Round:
    """A copy of the master, damaged by `damage` (a path in it, a bit), and a server on it."""

    def __init__(self, master, damage=None):
        self.master, self.damage = master, damage
        self.server = Server(*FLAGS, folder=tempfile.mkdtemp(prefix="traceo-rot-", dir=memory_folder()))
        shutil.copytree(master.data, os.path.join(self.server.folder, "data"))
        if damage:
            path, bit = damage
            with open(os.path.join(self.server.folder, "data", path), "r+b") as file:
                file.seek(bit // 8)
                byte = file.read(1)[0]
                file.seek(bit // 8)
                file.write(bytes([byte ^ (1 << bit % 8)]))

    def names_it(self, text):
        # The catalogue is one thing of several files, and a tenant that it lost is told by its name.
        path = self.damage[0]
        return os.path.basename(path) in text or (path.startswith("catalog") and "catalog" in text)

    def ask(self):
        """(kind, what is wrong or None)."""
        kind, wrong = self.ask_samples()
        for resolution in ("0s", "5m", "1h"):
            if wrong is None:
                again, wrong = self.ask_old(resolution)
                kind = again if again != "unharmed" else kind
        return kind, wrong

    def ask_old(self, resolution):
        status, text = self.master.ask_old(self.server, resolution)
        if status != 200:
            return ("named", None) if self.names_it(text) else ("named", f"by {resolution}: an error does not name the file: {status} {text[:300]}")
        answer = json.loads(text)
        said = " ".join(answer.get("warnings", []))
        values = [row["value"][1] for row in answer["data"]["result"]]
        if values == [str(OLD * (OLD - 1) // 2)]:
            return "unharmed", None
        if not said:
            return "wrong", f"the day that is over is {values} by {resolution}, and nothing is said"
        return "named", None if self.names_it(said) else f"by {resolution}: the damaged file is not named: {said[:300]}"

    def ask_samples(self):
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": "rot[3d]", "time": self.master.now_ms / 1000 + 3600})
        status, body = self.server.get(path)
        text = body.decode(errors="replace")
        if status != 200:
            return ("named", None) if self.names_it(text) else ("named", f"an error does not name the file: {status} {text[:300]}")
        answer = json.loads(text)
        missing = {i: dict(rows) for i, rows in self.master.samples.items()}
        for row in answer["data"]["result"]:
            of = missing.get(int(row["metric"].get("n", "-1")), {}) if row["metric"].get("__name__") == "rot" else {}
            for at, value in row["values"]:
                if of.pop(round(float(at) * 1000), None) != float(value):
                    return "wrong", f"{row['metric']} has {value} at {at}, which is altered, invented or back"
        short = sum(map(len, missing.values()))
        said = " ".join(answer.get("warnings", []))
        if not said:
            return "unharmed", f"{short} samples are missing and nothing is said" if short else None
        if self.damage and not self.names_it(said):
            return "named", f"the damaged file is not named: {said[:300]}"
        return "named", None

    def run(self, then):
        try:
            self.server.start()
        except RuntimeError as error:
            if self.server.process.poll() is None or self.server.process.returncode < 0:
                return "crash", str(error)
            return "refused", None if self.names_it(str(error)) else f"it does not start and does not name the file: {error}"
        kind, wrong = self.ask()
        if wrong is None and then:
            write(self.server.connect(), series({"__name__": "then"}, [(self.master.now_ms, 1.0)]))
            for path in ("/api/traceo/v1/flush", "/api/v1/admin/tsdb/clean_tombstones"):
                post(self.server, path)  # it may fail, and must not turn damage into silence
            wrong = self.ask()[1]
            wrong = wrong and "after keeping house: " + wrong
        if self.server.process.poll() is not None:
            return "crash", f"it ended with {self.server.process.returncode}"
        return kind, wrong

    def close(self):
        self.server.close()
        shutil.rmtree(self.server.folder, ignore_errors=True)


def memory_folder():
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def planted(master, tap):
    def judge(change):
        round = Round(master)
        try:
            round.server.start()
            before = round.ask()
            change(round.server)
            return before, round.ask()
        finally:
            round.close()

    before, after = judge(lambda server: post(server, "/api/v1/admin/tsdb/delete_series?match[]=" + urllib.parse.quote('rot{n="4"}')))
    tap.check(before == ("unharmed", None), "without damage everything is there", before)
    tap.check(after[1] and "nothing is said" in after[1], "a series that is silently gone is caught", after)
    _, after = judge(lambda server: write(server.connect(), series({"__name__": "rot_old"}, [(master.old_ms + DAY_MS // 2 + 1, 1.0)])))
    tap.check(after[1] and "the day that is over" in after[1], "another sample of a day that is over is caught", after)
    _, after = judge(lambda server: write(server.connect(), series({"__name__": "rot", "n": "5"}, [(master.now_ms + 1, 1.0)])))
    tap.check(after[1] and "invented" in after[1], "a sample that nobody sent is caught", after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("--flips", type=int, default=150)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    randomness = random.Random(options.seed)
    print(f"# seed {options.seed}")
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="traceo-rot-")
    try:
        master = Master(folder)
        planted(master, tap)
        counts, wrong = {"unharmed": 0, "named": 0, "refused": 0, "wrong": 0, "crash": 0}, []
        for number in range(options.flips):
            path = randomness.choice(master.files)
            bits = os.path.getsize(os.path.join(master.data, path)) * 8
            bit = randomness.randrange(bits)
            # The log is mostly the zeros it is written into: as often its first pages.
            if bits > 16384 * 8 and number % 2 == 0:
                bit %= 16384 * 8
            round = Round(master, (path, bit))
            try:
                kind, why = round.run(then=number % 4 == 0)
            except (OSError, http.client.HTTPException) as error:
                kind, why = "crash", f"{error!r}: {round.server.tail()[-500:]}"
            finally:
                round.close()
            counts[kind] += 1
            if why:
                wrong.append(f"bit {bit} of {path}: {why}")
        tap.check(not wrong, f"{options.flips} flips in {len(master.files)} files: {counts['unharmed']} changed nothing, {counts['named']} were named in answers, "
                  f"{counts['refused']} at the start; none is wrong, none silently short", f"{len(wrong)} are:\n" + "\n".join(wrong[:8]))
        tap.check(counts["unharmed"] and counts["named"] and counts["refused"], "each of these happens", counts)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        tap.check(False, "bit rot", repr(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
