#!/usr/bin/env python3
"""kill -9 under load (RELIABILITY R3): every acknowledged sample is there, none twice, none altered.

    kill_test.py TRACEO [--rounds 20] [--seed N]

Writers send batches over several connections and remember what was acknowledged; a keeper deletes series, makes blocks of heads and has
blocks written again without what was deleted. At a random moment the server is
killed; it starts again on the same folder; every acknowledged sample of the round is asked for. At the end all rounds
are asked for at once. The suite first catches its planted fault: with `durability: memory` an answer leaves before the
data is written, and some round must lose something.
"""

import argparse
import http.client
import random
import sys
import threading
import time

from traceo import Server, Tap, series, write

WRITERS = 4
SERIES_PER_BATCH = 40


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

    def post(self, path):
        connection = self.server.connect()
        try:
            connection.request("POST", path)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def run(self):
        try:
            connection = self.server.connect()
            while True:
                number = self.next
                self.next += 1
                name = {"__name__": "kill_gone", "n": str(number)}
                if write(connection, series(name, [(self.base_ms + number, float(number))]))[0] not in (200, 204):
                    return
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

    def faults(self):
        if self.next == 0:
            return []
        data = self.server.query(f"kill_gone[{self.next + 1}ms]", (self.base_ms + self.next) / 1000)
        found = {int(row["metric"]["n"]): row["values"] for row in data["result"]}
        return ([f"kill_gone {number} was deleted and is back" for number in self.gone & set(found)] +
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


def run(rounds, randomness, *flags):
    """Returns (faults, acknowledged samples, deletes)."""
    server = Server("--web.enable_admin_api", "true", *flags)
    base_ms = int(time.time() * 1000) - 3600 * 1000
    acked, sent = {w: [] for w in range(WRITERS)}, {w: [] for w in range(WRITERS)}
    bad, keeper = [], None
    try:
        server.start()
        for _ in range(rounds):
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
            for writer in writers:
                bad += faults(server, writer.number, writer.acked, writer.sent, base_ms)
                acked[writer.number] += writer.acked
                sent[writer.number] += writer.sent
            if bad:
                return bad, sum(map(len, acked.values())) * SERIES_PER_BATCH, keeper.done
        for w in range(WRITERS):
            bad += faults(server, w, acked[w], sent[w], base_ms)
        return bad, sum(map(len, acked.values())) * SERIES_PER_BATCH, keeper.done
    finally:
        server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    randomness = random.Random(options.seed)
    print(f"# seed {options.seed}")
    tap = Tap()
    planted = run(20, randomness, "--durability", "memory")[0]
    tap.check(any("lost" in fault for fault in planted), "answering before the data is written is caught as a loss")
    bad, acked, deletes = run(options.rounds, randomness)
    tap.check(not bad and deletes > 0, f"{options.rounds} kills, {acked} acknowledged samples, {deletes} deletes: none lost, none twice, none altered, none back",
              "\n".join(bad[:20]))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
