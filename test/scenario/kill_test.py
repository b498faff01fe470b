#!/usr/bin/env python3
"""kill -9 under load (RELIABILITY R3): every acknowledged sample is there, none twice, none altered.

    kill_test.py TRACEO [--rounds 20] [--seed N]

Writers send batches over several connections and remember what was acknowledged. At a random moment the server is
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
    """Returns (faults, acknowledged samples)."""
    server = Server(*flags)
    base_ms = int(time.time() * 1000) - 3600 * 1000
    acked, sent = {w: [] for w in range(WRITERS)}, {w: [] for w in range(WRITERS)}
    bad = []
    try:
        server.start()
        for _ in range(rounds):
            writers = [Writer(server, w, len(sent[w]), base_ms) for w in range(WRITERS)]
            for writer in writers:
                writer.start()
            time.sleep(randomness.uniform(0.02, 0.4))
            server.kill()
            for writer in writers:
                writer.join(timeout=30)
                if writer.refused:
                    bad.append(f"a good batch was refused: {writer.refused}")
            server.start()
            for writer in writers:
                bad += faults(server, writer.number, writer.acked, writer.sent, base_ms)
                acked[writer.number] += writer.acked
                sent[writer.number] += writer.sent
            if bad:
                return bad, sum(map(len, acked.values())) * SERIES_PER_BATCH
        for w in range(WRITERS):
            bad += faults(server, w, acked[w], sent[w], base_ms)
        return bad, sum(map(len, acked.values())) * SERIES_PER_BATCH
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
    planted, _ = run(20, randomness, "--durability", "memory")
    tap.check(any("lost" in fault for fault in planted), "answering before the data is written is caught as a loss")
    bad, acked = run(options.rounds, randomness)
    tap.check(not bad, f"{options.rounds} kills, {acked} acknowledged samples: none lost, none twice, none altered", "\n".join(bad[:20]))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
