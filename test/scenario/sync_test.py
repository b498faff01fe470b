#!/usr/bin/env python3
"""A sync that lies, under the real binary on real file systems (RELIABILITY R7): nothing acknowledged is lost, answers stop when the disk does,
reads go on, and what the page cache shows is not believed.

    sync_test.py TRACEO LIBRARY [--rounds 12] [--kinds ext4,xfs,btrfs] [--seed N]

A library in front of the binary (bad_disk.c) lets syncs fail by a schedule: one, some, all from now on; of the log, of blocks, of manifests,
of the catalogue, of any. A sync that failed has lost what was written since the one before, and the next one of the same file says yes.
Writers send batches, a keeper deletes series, makes blocks of heads and cleans them. After each schedule the server is killed, what was
lost is taken out of the files, and every acknowledged sample and delete is asked for.

The suite first catches its planted fault: a second sync that is believed must lose something.
"""

import argparse
import http.client
import os
import random
import sys
import threading
import time

from bad_disk import ALL, BadDisk
from flood_test import Pulse
from kill_test import SERIES_PER_BATCH, Keeper, faults
from mounts import Mount
from traceo import WRITE_HEADERS, Server, Tap, series, snappy

WRITERS = 2
STOP_S, READY_S = 1.0, 10


class Writer(threading.Thread):
    """Sends batch after batch, also after a refusal, until the server is gone."""

    def __init__(self, server, number, first_batch, base_ms):
        super().__init__(daemon=True)
        self.server, self.number, self.next_batch, self.base_ms = server, number, first_batch, base_ms
        self.acked, self.sent = [], []
        self.last_ack_s = 0.0
        self.refusals, self.slowest_s = [], 0.0  # texts

    def run(self):
        connection = self.server.connect()
        while True:
            batch = self.next_batch
            body = snappy(b"".join(series({"__name__": "kill_seq", "writer": str(self.number), "series": str(i)},
                                          [(self.base_ms + batch, float(batch * 1000 + i))]) for i in range(SERIES_PER_BATCH)))
            self.sent.append(batch)
            self.next_batch += 1
            begun = time.monotonic()
            try:
                connection.request("POST", "/api/v1/write", body, WRITE_HEADERS)
                answer = connection.getresponse()
                text = answer.read().decode(errors="replace")
            except (OSError, http.client.HTTPException):
                return
            took_s = time.monotonic() - begun
            if answer.status == 204:
                self.acked.append(batch)
                self.last_ack_s = time.monotonic()
                continue
            self.slowest_s = max(self.slowest_s, took_s)
            self.refusals.append(f"{answer.status}, Retry-After {answer.getheader('Retry-After')}: {text}")
            time.sleep(0.02)


class Life:
    def __init__(self, library, kind, randomness):
        self.mount = Mount(kind, 320) if kind else None
        self.server = Server("--web.enable_admin_api", "true")
        data = os.path.join(self.server.folder, "data")
        if self.mount:
            os.symlink(self.mount.at, data)
        else:
            os.mkdir(data)
        self.disk = BadDisk(library, self.server.folder, data)
        self.server.env = self.disk.env()
        self.randomness = randomness
        self.base_ms = int(time.time() * 1000) - 3600 * 1000
        self.acked, self.sent = [[] for _ in range(WRITERS)], [[] for _ in range(WRITERS)]
        self.keeper = None
        self.bad = []
        self.failed = self.lost_bytes = self.stopped = self.went_on = 0
        self.slowest_start_s = 0.0

    def schedule(self):
        part, count = self.randomness.choice(
            [("/log/", 1), ("/log/", 1), ("/log/", 2), ("/log/", 3), ("/log/", ALL), ("/log/", ALL), ("", 1), ("", 2), ("", 5), ("", ALL),
             ("/objects/", 1), ("/objects/", ALL), ("/tenants/", 1), ("/tenants/", ALL), ("catalog", 1), ("catalog", ALL)])
        return part, count, self.randomness.choice([0, 0, 1, 2, 5])

    def reads(self, writers):
        """Beside everything: what was acknowledged until now is there."""
        for writer in writers:
            acked = list(writer.acked)
            found = faults(self.server, writer.number, acked, list(range(writer.sent[0], writer.next_batch + 1)), self.base_ms)
            self.bad += [f"while syncs fail: {fault}" for fault in found[:3]]

    def round(self, plan=None, believe=False):
        part, count, skip = plan or self.schedule()
        how = f"{'all' if count == ALL else count} of {part or 'any file'} after {skip} good ones"
        self.server_begins()
        self.pulse = Pulse()
        self.pulse.start()
        writers = [Writer(self.server, w, len(self.sent[w]), self.base_ms) for w in range(WRITERS)]
        self.keeper = Keeper(self.server, self.base_ms, self.keeper)
        for thread in [*writers, self.keeper]:
            thread.start()
        time.sleep(self.randomness.uniform(0.02, 0.2))
        self.disk.fail_syncs(count, part, skip, believe)
        begun = first_s = time.monotonic()
        wait_s = self.randomness.uniform(0.1, 0.4)
        while time.monotonic() < begun + wait_s or (count == ALL and self.disk.number("failed") == 0 and time.monotonic() < begun + 3):
            if self.disk.number("failed") == 0:
                first_s = time.monotonic()
            time.sleep(0.002)
        for_good = count == ALL and part in ("/log/", "") and not believe
        if for_good:
            time.sleep(0.1)
        try:
            if not believe:
                self.reads(writers)
        except (RuntimeError, OSError, http.client.HTTPException) as error:
            self.bad.append(f"{how}: reads do not go on: {error!r}")
        failed = self.disk.number("failed")
        said = [text for writer in writers for text in writer.refusals]
        if for_good:
            late_s = max(writer.last_ack_s for writer in writers) - first_s
            if failed and late_s > STOP_S and not self.pulse.why_not():
                self.bad.append(f"{how}: a write is acknowledged {late_s:.2f} s after syncs began to fail")
            if failed and not said:
                self.bad.append(f"{how}: nobody is refused")
        # A tenant that cannot be made is another matter.
        said = [text for text in said if "the catalogue" not in text]
        if count == 1 and said:
            self.bad.append(f"{how}: one failing sync stops writes: {said[0]}")
        for text in said:
            # Senders keep what a 5xx refused and try again.
            if not text.startswith("50") or "syncing" not in text or "started again" not in text:
                self.bad.append(f"{how}: the refusal does not say what is wrong and what to do: {text}")
        if said and self.stopped < 3:
            self.is_told(how)
        slow_s = max(writer.slowest_s for writer in writers)
        if slow_s > STOP_S and not self.pulse.why_not():
            self.bad.append(f"{how}: a refusal takes {slow_s:.2f} s")
        self.pulse.over = True
        self.failed += failed
        self.stopped += bool(said)
        self.went_on += failed > 0 and not said
        self.server.kill()
        self.disk.fail_syncs(0)
        for thread in [*writers, self.keeper]:
            thread.join(timeout=30)
        self.lost_bytes += self.disk.lose(self.mount.at if self.mount else os.path.join(self.server.folder, "data"))
        self.slowest_start_s = max(self.slowest_start_s, self.server.start())
        found = self.keeper.faults()
        for writer in writers:
            found += faults(self.server, writer.number, writer.acked, writer.sent, self.base_ms)
            self.acked[writer.number] += writer.acked
            self.sent[writer.number] += writer.sent
        self.bad += [f"{how}: {fault}" for fault in found]

    def is_told(self, how):
        """The operator too, by a line of the log."""
        until = time.monotonic() + 3
        while time.monotonic() < until:
            lines = [line for line in self.server.tail().splitlines() if "writes are refused" in line]
            if lines and "level=error" in lines[-1] and "syncing" in lines[-1]:
                return
            time.sleep(0.05)
        self.bad.append(f"{how}: the server's log does not say that writes are refused")

    def server_begins(self):
        if self.server.process is None or self.server.process.poll() is not None:
            self.server.start()

    def end(self):
        for w in range(WRITERS):
            self.bad += faults(self.server, w, self.acked[w], self.sent[w], self.base_ms)

    def close(self):
        self.server.close()
        if self.mount:
            self.mount.close()


def lives(library, kind, rounds, randomness, tap):
    where = kind or "the temporary folder"
    life = Life(library, kind, randomness)
    try:
        for _ in range(20):
            life.round(("/log/", ALL, 0), believe=True)
            if life.bad:
                break
        tap.check(any("lost" in fault for fault in life.bad), f"{where}: a second sync that is believed is caught as a loss", life.bad[:3])
    finally:
        life.close()
    life = Life(library, kind, randomness)
    done = 0
    try:
        while done < rounds and not life.bad:
            # Both ends are seen in any run: one failure, and no good sync any more.
            life.round([("/log/", 1, 0), ("/log/", ALL, 0)][done] if done < 2 else None)
            done += 1
        if not life.bad:
            life.end()
        tap.check(not life.bad, f"{where}: {done} schedules, {life.failed} syncs failed and lost {life.lost_bytes} bytes, "
                  f"{sum(map(len, life.acked))} acknowledged batches, {life.keeper.done} deletes: nothing lost, altered or back",
                  "\n".join(life.bad[:10]) + "\n" + life.server.tail()[-1500:])
        tap.check(life.lost_bytes > 0 and life.stopped > 0 and life.went_on > 0,
                  f"{where}: {life.went_on} times writes went on, {life.stopped} times they stopped and said so")
        print(f"# {where}: the slowest start took {life.slowest_start_s:.1f} s")
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        tap.check(False, f"{where}: syncs that fail", f"{error!r}\n{life.bad[:3]}\n{life.server.tail()}")
    finally:
        life.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("library")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--kinds", default="ext4")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    randomness = random.Random(options.seed)
    print(f"# seed {options.seed}")
    tap = Tap()
    kinds = options.kinds.split(",")
    for kind in kinds:
        why = Mount.why_not(kind)
        if why and len(kinds) > 1:
            tap.skip(f"syncs that fail on {kind}", why)
            continue
        lives(options.library, None if why else kind, options.rounds, randomness, tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
