"""What `make bench` measures: the tasks (one server, one round), and the rows of the table made of their figures, with what is asked of each."""

import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import questions as asking
import record
from servers import ROOT, SERVERS

INTERVAL_S = 15
SETTLE_S = 2
PEERS = ["victoria", "prometheus"]
EVERYBODY = ["traceo", "traceo-relaxed", *PEERS]
FRESH_PER_S = 80000  # of new series: series.new_per_s is 100,000, and Traceo refuses what is beyond
HEAVY = ['sum({job="node"})', 'count({job="node"} > 100)']


class Sizes:
    """How much of everything. Series × steps; `fresh`: all new."""

    def __init__(self, rounds, known, own, fresh, noise, heavy, heavy_steps, scrapes, scrape_interval):
        self.rounds, self.known, self.own, self.fresh, self.noise = rounds, known, own, fresh, noise
        self.heavy, self.heavy_steps = heavy, heavy_steps
        self.scrapes, self.scrape_interval = scrapes, scrape_interval


SIZES = {
    "short": Sizes(1, (20000, 27), (20000, 42), (400000, 3), (2000, 240), (30000, 24), 10, 120, 0.5),
    "full": Sizes(5, (20000, 200), (20000, 200), (400000, 20), (2000, 1440), (100000, 60), 20, 535, 2),
}
BATCH, HEAVY_BATCH, HEAVY_RATE = 2000, 1000, 50


class Bench:
    """What all tasks of a run share: sizes, the folder, the streams that were made, the recording of exporters."""

    def __init__(self, sizes, folder, recording):
        self.sizes, self.folder, self.recording, self.recorder = sizes, folder, recording, None
        self.end_s = int(time.time()) // 60 * 60 - 120
        self.recorded = None  # (series, samples, scrapes)

    def stream(self, series, steps, batch=BATCH, *more):
        """The path of a stream that ends before now, and when it begins, seconds."""
        start_s = self.end_s - steps * INTERVAL_S
        path = f"{self.folder}/stream-{series}-{steps}-{batch}{''.join(more)}"
        if not os.path.exists(path):
            with open(path, "wb") as file:
                subprocess.run([str(ROOT / "build/release/bench/stream"), "--series", str(series), "--steps", str(steps), "--batch", str(batch),
                                "--start-ms", str(start_s * 1000), *more], stdout=file, check=True)
        return path, start_s

    def recorded_stream(self):
        path = f"{self.folder}/stream-recorded"
        if self.recorder is not None:
            self.recorder.wait()
            self.recorder = None
        if self.recorded is None:
            with open(path, "wb") as file:
                self.recorded = record.make_stream(self.recording, file)
        return path


class Running:
    """A server on an empty folder; ends and leaves nothing behind, whatever happens."""

    def __init__(self, name, bench):
        self.server = SERVERS[name](record.free_port())
        self.folder = tempfile.mkdtemp(prefix=f"traceo-bench-{name}-", dir=bench.folder)
        self.data = f"{self.folder}/data"

    def __enter__(self):
        os.makedirs(self.data)
        self.server.start(self.data)
        return self

    def __exit__(self, *_):
        if self.server.process.poll() is None:
            self.server.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class Sender:
    """bench/send to one server; where the stream is paused, run() goes on with it."""

    def __init__(self, server, stream, per_step, *more, connections=4):
        target = []
        if server.otlp == "rw2":
            target = ["--type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"]
        elif server.otlp:
            target = ["--path", "/v1/metrics", "--encoding", server.otlp.replace("none", "identity")]
        self.name = server.name
        self.process = subprocess.Popen([str(ROOT / "build/release/bench/send"), "--port", str(server.port), "--connections", str(connections),
                                         "--frames-per-step", str(per_step), *target, *more, stream],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def until_pause(self):
        if self.process.stdout.readline() != "paused\n":
            sys.exit(f"{self.name}: the sender ended before its pause")

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self):
        out, _ = self.process.communicate()
        if self.process.returncode != 0:
            sys.exit(f"{self.name}: samples were refused: {out}")
        return json.loads(out)


def cpu_of(server, work):
    """CPU seconds of the server during work() and until it has settled."""
    before = server.cpu_seconds()
    result = work()
    time.sleep(SETTLE_S)
    return server.cpu_seconds() - before, result


# ---- Tasks: (bench, name of a server) -> figures ----

def known_series(bench, name, size, *more):
    """CPU and rate of all steps but the first two, on the connections that sent those."""
    series, steps = size
    with Running(name, bench) as run:
        otlp = run.server.otlp
        packed = ["--rw2"] if otlp == "rw2" else ["--otlp", otlp] if otlp else []
        stream, _ = bench.stream(series, steps, BATCH, *more, *packed)
        sender = Sender(run.server, stream, -(-series // BATCH), "--pause-after", "2")
        sender.until_pause()
        time.sleep(SETTLE_S)
        sender.go_on()
        cpu, sent = cpu_of(run.server, sender.result)
        samples = series * (steps - 2)
        return {"cpu": cpu / samples * 1e9, "rate": samples / sent["seconds"] / 1e6}


def task_known(bench, name):
    return known_series(bench, name, bench.sizes.known)


def task_shuffled(bench, name):
    return known_series(bench, name, bench.sizes.known, "--shuffle")


def task_own(bench, name):
    return known_series(bench, name, bench.sizes.own)


def task_new(bench, name):
    """New series: the first step alone, all steps, memory; then kill -9 and ready, and a clean stop and ready."""
    series, steps = bench.sizes.fresh
    stream, _ = bench.stream(series, steps)
    with Running(name, bench) as run:
        server = run.server
        sender = Sender(server, stream, -(-series // BATCH), "--pause-after", "1", "--first-rate", str(FRESH_PER_S // BATCH))
        before = server.cpu_seconds()
        sender.until_pause()
        time.sleep(SETTLE_S)
        first = server.cpu_seconds() - before
        sender.go_on()
        sender.result()
        time.sleep(SETTLE_S)
        figures = {"cpu first": first / series * 1e9, "cpu": (server.cpu_seconds() - before) / series / steps * 1e9,
                   "rss": server.peak_bytes() / series}
        server.stop(signal.SIGKILL)
        figures["ready killed"] = server.start(run.data)
        begun = time.monotonic()
        server.stop()
        figures["stop"] = time.monotonic() - begun
        figures["ready clean"] = server.start(run.data)
        return figures


def on_disk(bench, name, stream, per_step, samples, connections):
    with Running(name, bench) as run:
        Sender(run.server, stream, per_step, connections=connections).result()
        time.sleep(SETTLE_S)
        return {"disk": run.server.flush(run.server, run.data) / samples}


def task_disk_real(bench, name):
    stream = bench.recorded_stream()
    return on_disk(bench, name, stream, 1, bench.recorded[1], 1)


def disk_noise(bench, name, noise):
    series, steps = bench.sizes.noise
    stream, _ = bench.stream(series, steps, BATCH, "--noise", noise)
    return on_disk(bench, name, stream, -(-series // BATCH), series * steps, 4)


def task_disk_small(bench, name):
    return disk_noise(bench, name, "small")


def task_disk_doubles(bench, name):
    return disk_noise(bench, name, "doubles")


def ask_until(server, expression, span, ended, counts):
    """Asks one heavy question again and again; counts the answers."""
    client = asking.Client(server.port)
    question = asking.Question("heavy", "range", "wide", "all", expression)
    while not ended.is_set():
        took, body = client.ask(question, *span)
        if took is None:
            counts.append(f"refused: {body}")
            break
        counts.append(took)
    client.close()


def task_heavy(bench, name):
    """Latency of writes at a steady rate while two clients ask two heavy questions without a break."""
    series, steps = bench.sizes.heavy
    stream, start_s = bench.stream(series, steps + bench.sizes.heavy_steps, HEAVY_BATCH)
    with Running(name, bench) as run:
        sender = Sender(run.server, stream, -(-series // HEAVY_BATCH), "--pause-after", str(steps), "--rate", str(HEAVY_RATE))
        sender.until_pause()
        time.sleep(SETTLE_S)
        ended, counts = threading.Event(), [[] for _ in HEAVY]
        threads = [threading.Thread(target=ask_until, args=(run.server, expression, (start_s, start_s + steps * INTERVAL_S), ended, counts[i]))
                   for i, expression in enumerate(HEAVY)]
        for thread in threads:
            thread.start()
        sender.go_on()
        sent = sender.result()
        ended.set()
        for thread in threads:
            thread.join()
        for answers in counts:
            if not answers or isinstance(answers[-1], str):
                sys.exit(f"{name}: a heavy query was not answered: {answers[-1:]}")
        return {"p50": sent["p50"], "p99": sent["p99"], "most": sent["most"], "queries": sum(map(len, counts)) / sent["seconds"]}


# ---- The table ----

class Row:
    """One line: the figure of a task, and what is asked. `how`: "times" a peer's figure divided by Traceo's shall be at least so much; "share":
    Traceo's divided by a peer's at most; "own": the figure of Traceo's remote write 1.0 divided by that of the column at least; "most": the
    figure itself at most. must and goal: {column: value}."""

    def __init__(self, task, figure, title, how=None, must=None, goal=None):
        self.task, self.figure, self.title, self.how, self.must, self.goal = task, figure, title, how, must or {}, goal or {}


OWN = ["traceo", "traceo-rw2", "traceo-otlp-none", "traceo-otlp-zstd", "traceo-otlp-gzip"]
OTLP = {name: 0.6 for name in OWN[2:]}

TASKS = {  # name: (what it does, its servers)
    "known": (task_known, EVERYBODY),
    "shuffled": (task_shuffled, EVERYBODY),
    "own": (task_own, OWN),
    "new": (task_new, EVERYBODY),
    "disk-small": (task_disk_small, ["traceo", *PEERS]),
    "disk-doubles": (task_disk_doubles, ["traceo", *PEERS]),
    "heavy": (task_heavy, EVERYBODY),
    "disk-real": (task_disk_real, ["traceo", *PEERS]),
}

ROWS = [
    Row("known", "cpu", "known series: CPU, ns a sample", "times", {"victoria": 8, "prometheus": 25}, {"victoria": 14, "prometheus": 50}),
    Row("known", "rate", "known series: million samples a second"),
    Row("shuffled", "cpu", "shuffled in every request: CPU, ns a sample", "times", {"victoria": 5, "prometheus": 18},
        {"victoria": 8, "prometheus": 30}),
    Row("new", "cpu", "all series new, {fresh}: CPU, ns a sample", "times", {"victoria": 4, "prometheus": 10}, {"victoria": 8, "prometheus": 20}),
    Row("new", "cpu first", "of it the first step, each sample a new series: CPU, ns"),
    Row("own", "cpu", "remote write 2.0, OTLP beside own 1.0: CPU, ns a sample", "own", {"traceo-rw2": 1.5, **OTLP},
        {"traceo-rw2": 2, **{name: 1 for name in OTLP}}),
    Row("disk-real", "disk", "disk, real exporters, B a sample", "share", {"victoria": 0.5, "prometheus": 0.3}, {"victoria": 0.4}),
    Row("disk-small", "disk", "disk, whole numbers below 100 at random, B a sample", "share", {"victoria": 0.96}, {"victoria": 0.93}),
    Row("disk-doubles", "disk", "disk, doubles at random, B a sample", "share", {"victoria": 0.96}, {"victoria": 0.93}),
    Row("new", "rss", "peak memory, {fresh} new: B a series", "share", {"victoria": 0.45, "prometheus": 0.12}, {"victoria": 0.33}),
    Row("new", "ready clean", "ready after a clean stop, s", "share", {"victoria": 1}, {"": 0.05}),
    Row("new", "ready killed", "ready after kill -9, s", "share", {"prometheus": 0.2}, {"prometheus": 0.1}),
    Row("new", "stop", "the clean stop itself, s"),
    Row("heavy", "p99", "p99 of a write beside 2 heavy queries, ms", "most", {"": 50}, {"": 10}),
    Row("heavy", "p50", "p50 of the same, ms"),
    Row("heavy", "queries", "heavy queries answered a second meanwhile"),
]
TITLES = {"traceo": "traceo", "traceo-relaxed": "relaxed", "victoria": "victoria", "prometheus": "prometheus", "traceo-rw2": "2.0",
          "traceo-otlp-none": "OTLP", "traceo-otlp-zstd": "OTLP zstd", "traceo-otlp-gzip": "OTLP gzip"}


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def spread(values):
    return number(values[0]) if len(values) == 1 else f"{number(statistics.median(values))} ({number(min(values))} to {number(max(values))})"


def ratios(row, column, results):
    """Round by round, what is compared with must and goal."""
    task = results[row.task]
    if row.how == "most" or column == "":
        return [figures[row.figure] for figures in task["traceo"]]
    pairs = zip(task["traceo"], task[column])
    if row.how == "share":
        return [own[row.figure] / other[row.figure] for own, other in pairs]
    if row.how == "own":
        return [own[row.figure] / other[row.figure] for own, other in pairs]
    return [other[row.figure] / own[row.figure] for own, other in pairs]


def judged(row, asked, results):
    """[(column, median of the ratios, whether it is reached, what was asked)]"""
    found = []
    for column, value in asked.items():
        middle = statistics.median(ratios(row, column, results))
        at_least = row.how in ("times", "own")
        found.append((column, middle, middle >= value if at_least else middle <= value, value))
    return found


def beside(row, results):
    """Traceo and the peers (or Traceo's other ways in): the ratios, with spread."""
    signs = {"times": "×", "own": "×", "share": "", "most": ""}
    columns = list(dict.fromkeys([*row.must, *row.goal]))
    return ", ".join(f"{TITLES[column]} {signs[row.how]}{spread(ratios(row, column, results))}" for column in columns if column) or ""


def asked_text(row, asked, results):
    cells = []
    for column, _, reached, value in judged(row, asked, results):
        sign = "≥ " if row.how in ("times", "own") else "≤ "
        cells.append(f"{TITLES[column] + ' ' if column else ''}{sign}{value:g} {'✓' if reached else '**no**'}")
    return ", ".join(dict.fromkeys(cells))


def table(results, sizes):
    lines = ["| measure (rounds) | traceo | relaxed | victoria | prometheus | beside | must | goal |", "|---|---|---|---|---|---|---|---|"]
    for row in ROWS:
        if row.task not in results:
            continue
        task = results[row.task]
        title = row.title.format(fresh=f"{sizes.fresh[0]:,} × {sizes.fresh[1]}") + f" ({len(task['traceo'])})"
        if row.how == "own":
            cells = [spread([figures[row.figure] for figures in task["traceo"]])]
            cells += [", ".join(f"{TITLES[name]} {spread([figures[row.figure] for figures in task[name]])}" for name in OWN[1:]), "", ""]
        else:
            cells = [spread([figures[row.figure] for figures in task[name]]) if name in task else "" for name in EVERYBODY]
        lines.append(f"| {title} | {' | '.join(cells)} | {beside(row, results) if row.how else ''} | "
                     f"{asked_text(row, row.must, results) if row.how else ''} | {asked_text(row, row.goal, results) if row.how else ''} |")
    return lines


def commit():
    """The last commit that changed the program, and whether the tree differs from it."""
    def git(*words):
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True).stdout.strip()
    return (git("log", "-1", "--format=%h", "--abbrev=12", "--", "src", "meson.build") or "unknown") + (" and changes" if git("status", "--porcelain", "--", "src", "meson.build") else "")


def load():
    return float(pathlib.Path("/proc/loadavg").read_text().split()[0])
