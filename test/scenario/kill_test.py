#!/usr/bin/env python3
"""kill -9 under load (RELIABILITY R3): every acknowledged sample is there, none twice, none altered.

    kill_test.py TRACEO [--rounds 20] [--seed N] [--crowd 0]

Writers send batches over several connections and remember what was acknowledged; a keeper deletes series, makes blocks of heads, has
blocks written again without what was deleted, and sends samples of a day that is over, which is merged and gets its tiers, and of the last
seconds that retention keeps. At a random moment the server is
killed; it starts again on the same folder; every acknowledged sample of the round is asked for. At the end all rounds
are asked for at once. With --crowd the day that is over has so many series more, which do not fit into one block at a memory.limit of
64 MiB: it stays several, and so do its tiers. The suite first catches its planted fault: with `durability: memory` an answer leaves before the
data is written, and some round must lose something.
"""

import argparse
import http.client
import json
import random
import sys
import threading
import time
import urllib.parse

from traceo import Server, Tap, series, write

WRITERS = 4
SERIES_PER_BATCH = 40
DAY_MS = 86400 * 1000
RETENTION_DAYS, PAST_S = 7, 3  # what is sent of the past is let go so much later


class Writer(threading.Thread):
    """Sends batch after batch until the server is gone; `acked` holds the numbers of acknowledged batches."""

    def __init__(self, server, number, first_batch, base_ms):
        super().__init__(daemon=True)
        self.server, self.number, self.next_batch, self.base_ms = server, number, first_batch, base_ms
        self.acked = []
        self.sent = []
        self.refused = None

    def run(self):
        connection = self.server.connect()
        while True:
            batch = self.next_batch
            body = b"".join(
                series({"__name__": "kill_seq", "writer": str(self.number), "series": str(i)}, [(self.base_ms + batch, float(batch * 1000 + i))])
                for i in range(SERIES_PER_BATCH))
            self.sent.append(batch)
            self.next_batch += 1
            try:
                status, answer = write(connection, body)
            except (OSError, http.client.HTTPException):
                return
            if status not in (200, 204):
                self.refused = (status, answer)
                return
            self.acked.append(batch)


class Keeper(threading.Thread):
    """Beside the writers: series that are deleted, heads that become blocks, blocks that are written again without what was deleted.
    `before` is the keeper of the round before: what it knows goes on."""

    def __init__(self, server, base_ms, before=None):
        super().__init__(daemon=True)
        self.server, self.base_ms = server, base_ms
        self.next = before.next if before else 0
        # Numbers of series of which it is known that they are there, and that they are gone.
        self.there, self.gone = (before.there, before.gone) if before else (set(), set())
        self.done = before.done if before else 0
        # Of a day that is over: acknowledged, sent. Of the end of retention: sent.
        self.old_ms = before.old_ms if before else (base_ms // DAY_MS - 2) * DAY_MS + DAY_MS // 4
        self.old_acked, self.old_sent = (before.old_acked, before.old_sent) if before else (set(), set())
        self.past_sent = before.past_sent if before else 0
        self.from_tiers = before.from_tiers if before else 0

    def post(self, path):
        return self.server.post(path)[0]

    def run(self):
        try:
            connection = self.server.connect()
            while True:
                number = self.next
                self.next += 1
                name = {"__name__": "kill_gone", "n": str(number)}
                if write(connection, series(name, [(self.base_ms + number, float(number))]))[0] not in (200, 204):
                    return
                self.old_sent.add(number)
                if write(connection, series({"__name__": "kill_old"}, [(self.old_ms + number * 1000, float(number))]))[0] not in (200, 204):
                    return
                self.old_acked.add(number)
                if number % 4 == 0:
                    self.past_sent += 1
                    write(connection, series({"__name__": "kill_past"}, [(int(time.time() * 1000) - RETENTION_DAYS * DAY_MS + PAST_S * 1000, 1.0)]))
                if number % 3 == 1:
                    self.post("/api/traceo/v1/flush")
                if number % 5 == 4:
                    self.post("/api/v1/admin/tsdb/clean_tombstones")
                if number % 2 == 0:
                    if self.post("/api/v1/admin/tsdb/delete_series?match[]=kill_gone%7Bn%3D%22" + str(number) + "%22%7D") != 204:
                        return
                    self.gone.add(number)
                    self.done += 1
                else:
                    self.there.add(number)
        except (OSError, http.client.HTTPException):
            pass

    def count(self, name, at_ms, resolution, query="count_over_time({}[1d])"):
        """How many samples of a series a day has, and whether a tier says so."""
        status, body = self.server.get("/api/v1/query?" + urllib.parse.urlencode(
            {"query": query.format(name), "time": at_ms // 1000, "max_source_resolution": resolution}))
        answer = json.loads(body)
        if status != 200:
            return f"{status} {answer.get('error')}", False
        found = answer["data"]["result"]
        return int(found[0]["value"][1]) if found else 0, " from samples of " in body.decode()

    def old_faults(self):
        """Of the day that is over all is there, whoever answers; of the past no more than was sent."""
        end_ms = (self.old_ms // DAY_MS + 1) * DAY_MS
        data = self.server.query("kill_old[1d]", end_ms / 1000)
        found = {round(float(at) * 1000): float(value) for row in data["result"] for at, value in row["values"]}
        bad = [f"kill_old {number} was acknowledged and is lost" for number in self.old_acked if found.get(self.old_ms + number * 1000) != number]
        bad += [f"kill_old is {value} at {at}" for at, value in found.items()
                if value not in self.old_sent or at != self.old_ms + value * 1000]
        counts = {resolution: self.count("kill_old", end_ms, resolution) for resolution in ("0s", "5m", "1h")}
        bad += [f"kill_old has {count} samples by {resolution}, not {len(found)}" for resolution, (count, _) in counts.items() if count != len(found)]
        self.from_tiers += sum(tier for _, tier in counts.values())
        past = self.count("kill_past", (int(time.time() * 1000) // DAY_MS - RETENTION_DAYS + 1) * DAY_MS, "0s")[0]
        if not isinstance(past, int) or past > self.past_sent:
            bad.append(f"kill_past has {past} samples of {self.past_sent}")
        return bad

    def tier_faults(self):
        """Once heads are blocks and merged, tiers are made again, and count the same."""
        end_ms = (self.old_ms // DAY_MS + 1) * DAY_MS
        self.post("/api/traceo/v1/flush")
        until = time.monotonic() + 40
        while not self.count("kill_old", end_ms, "1h")[1]:
            if time.monotonic() > until:
                return [f"no tier answers for the day of kill_old after 40 s: {self.server.tail()[-500:]}"]
            time.sleep(0.05)
        return self.old_faults()

    def crowd(self, count):
        connection = self.server.connect()
        for at in range(0, count, 2000):
            status, answer = write(connection, b"".join(
                series({"__name__": "kill_crowd", "request_id": f"r-{i:08d}"}, [(self.old_ms - 1000 + i, float(i))]) for i in range(at, min(count, at + 2000))))
            if status not in (200, 204):
                raise RuntimeError(f"the crowd is refused: {status} {answer}")
        self.post("/api/traceo/v1/flush")

    def crowd_faults(self, count):
        """All of it is there, by samples and by windows, which are in more blocks than the two of a small day."""
        bad, end_ms = self.tier_faults(), (self.old_ms // DAY_MS + 1) * DAY_MS
        for resolution in ("0s", "1h"):
            for part in range(count // 1000):  # so many as the memory of one query holds
                found, tier = self.count(f'kill_crowd{{request_id=~"r-{part:05d}..."}}', end_ms, resolution, "sum(count_over_time({}[1d]))")
                if found != 1000 or tier != (resolution == "1h"):
                    bad.append(f"of the crowd from {part * 1000} on {found} are there by {resolution}, from a tier: {tier}")
        blocks = self.server.metric("traceo_series_tiers")
        return bad + ([] if blocks > 3 else [f"{blocks} blocks of tiers: the day is one block"])

    def faults(self):
        if self.next == 0:
            return []
        bad = self.old_faults()
        data = self.server.query(f"kill_gone[{self.next + 1}ms]", (self.base_ms + self.next) / 1000)
        found = {int(row["metric"]["n"]): row["values"] for row in data["result"]}
        return (bad + [f"kill_gone {number} was deleted and is back" for number in self.gone & set(found)] +
                [f"kill_gone {number} was acknowledged and is lost" for number in self.there - set(found)] +
                [f"kill_gone {number} is {values}" for number, values in found.items()
                 if len(values) != 1 or float(values[0][1]) != number or number >= self.next])


def stored(server, writer, from_ms, to_ms):
    """{series: [(ms, value)]} of one writer between two times."""
    window = max(1, to_ms - from_ms + 1)
    data = server.query(f'kill_seq{{writer="{writer}"}}[{window}ms]', to_ms / 1000)
    found = {}
    for row in data["result"]:
        found[int(row["metric"]["series"])] = [(round(float(at) * 1000), float(value)) for at, value in row["values"]]
    return found


def faults(server, writer, acked, sent, base_ms):
    """What is lost, altered, invented or double of one writer's batches."""
    if not sent:
        return []
    found = stored(server, writer, base_ms + sent[0], base_ms + sent[-1])
    bad = []
    for i in range(SERIES_PER_BATCH):
        samples = found.get(i, [])
        times = [at for at, _ in samples]
        if len(set(times)) != len(times):
            bad.append(f"series {i} has a time twice")
        values = dict(samples)
        for batch in acked:
            value = values.pop(base_ms + batch, None)
            if value is None:
                bad.append(f"batch {batch} of writer {writer} series {i} was acknowledged and is lost")
            elif value != batch * 1000 + i:
                bad.append(f"batch {batch} of writer {writer} series {i} is {value}")
        for at, value in values.items():
            batch = at - base_ms
            if batch not in sent or value != batch * 1000 + i:
                bad.append(f"series {i} has {value} at {at}, which nobody sent")
    return bad


def run(rounds, randomness, *flags, crowd=0):
    """Returns (faults, acknowledged samples, the keeper)."""
    flags = [*flags, *(["--memory.limit", "64MiB", "--query.memory", "16MiB"] if crowd else [])]
    server = Server("--web.enable_admin_api", "true", "--retention", f"{RETENTION_DAYS}d", "--series.retention_5m", "30d", "--series.retention_1h", "30d", *flags)
    base_ms = int(time.time() * 1000) - 3600 * 1000
    acked, sent = {w: [] for w in range(WRITERS)}, {w: [] for w in range(WRITERS)}
    bad, keeper = [], None
    try:
        server.start()
        if crowd:
            Keeper(server, base_ms).crowd(crowd)
        for number in range(rounds):
            writers = [Writer(server, w, len(sent[w]), base_ms) for w in range(WRITERS)]
            keeper = Keeper(server, base_ms, keeper)
            for thread in [*writers, keeper]:
                thread.start()
            time.sleep(randomness.uniform(0.02, 0.4))
            server.kill()
            for writer in writers:
                writer.join(timeout=30)
                if writer.refused:
                    bad.append(f"a good batch was refused: {writer.refused}")
            keeper.join(timeout=30)
            server.start()
            bad += keeper.faults()
            if number % 20 == 19:
                bad += keeper.tier_faults()
            for writer in writers:
                bad += faults(server, writer.number, writer.acked, writer.sent, base_ms)
                acked[writer.number] += writer.acked
                sent[writer.number] += writer.sent
            if bad:
                return bad, sum(map(len, acked.values())) * SERIES_PER_BATCH, keeper
        for w in range(WRITERS):
            bad += faults(server, w, acked[w], sent[w], base_ms)
        bad += keeper.crowd_faults(crowd) if crowd else []
        return bad, sum(map(len, acked.values())) * SERIES_PER_BATCH, keeper
    finally:
        server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--crowd", type=int, default=0, help="series more on the day that is over")
    options = parser.parse_args()
    randomness = random.Random(options.seed)
    print(f"# seed {options.seed}")
    tap = Tap()
    planted = run(20, randomness, "--durability", "memory")[0]
    tap.check(any("lost" in fault for fault in planted), "answering before the data is written is caught as a loss")
    bad, acked, keeper = run(options.rounds, randomness, crowd=options.crowd)
    tap.check(not bad and keeper.done > 0, f"{options.rounds} kills, {acked} acknowledged samples, {keeper.done} deletes: none lost, none twice, none altered, none back",
              "\n".join(bad[:20]))
    tap.check(keeper.from_tiers > 0, f"{len(keeper.old_acked)} samples of a day that is over, {keeper.from_tiers} answers from tiers that count the same")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
