"""A recording of real exporters: pages as they came, with the times at which they were asked; and the same as remote write 1.0.

Debian's node_exporter, process_exporter and pushgateway, and Prometheus' and VictoriaMetrics' pages about themselves, which scrape the others meanwhile
so that they have something to tell. Each is asked on its own thread and phase, so the times have the jitter that a scraper has.

    bench/record.py FILE --interval 5 --scrapes 400

A recording is a row of records: a line of JSON ({"job", "instance", "time_ms", "seconds", "bytes"}) and so many bytes of zlib.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib

ROW = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?')
BATCH = 2000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def exporters(folder):
    """{job: (port, command)}; the peers scrape what stands in front of them."""
    ports = {job: free_port() for job in ("node", "process", "pushgateway", "prometheus", "victoria")}
    scrape = f"{folder}/scrape.yml"
    targets = "".join(f"  - job_name: {job}\n    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n" for job, port in ports.items())
    pathlib.Path(scrape).write_text(f"global: {{scrape_interval: 15s}}\nscrape_configs:\n{targets}")
    names = f"{folder}/processes.yml"
    pathlib.Path(names).write_text("process_names:\n  - name: '{{.Comm}}'\n    cmdline: ['.+']\n")
    address = {job: f"127.0.0.1:{port}" for job, port in ports.items()}
    return {
        "node": (ports["node"], ["prometheus-node-exporter", f"--web.listen-address={address['node']}"]),
        "process": (ports["process"], ["prometheus-process-exporter", f"-web.listen-address={address['process']}", f"-config.path={names}"]),
        "pushgateway": (ports["pushgateway"], ["prometheus-pushgateway", f"--web.listen-address={address['pushgateway']}"]),
        "prometheus": (ports["prometheus"], ["prometheus", f"--config.file={scrape}", f"--storage.tsdb.path={folder}/prometheus",
                                             f"--web.listen-address={address['prometheus']}", "--log.level=error"]),
        "victoria": (ports["victoria"], ["victoria-metrics", f"-promscrape.config={scrape}", f"-storageDataPath={folder}/victoria",
                                         f"-httpListenAddr={address['victoria']}", "-loggerLevel=ERROR"]),
    }


class Recorder:
    """Starts the exporters and records until `scrapes` rounds are there, or stop()."""

    def __init__(self, path, interval, scrapes):
        self.interval, self.scrapes = interval, scrapes
        self.file, self.lock, self.ended = open(path, "wb"), threading.Lock(), threading.Event()
        self.folder = tempfile.mkdtemp(prefix="traceo-record-")
        self.processes, self.threads, self.pages, self.failed = [], [], 0, 0
        chosen = exporters(self.folder)
        missing = [command[0] for _, command in chosen.values() if shutil.which(command[0]) is None]
        if missing:
            sys.exit(f"record: not installed: {', '.join(missing)}; `tools/setup check` installs them")
        for number, (job, (port, command)) in enumerate(chosen.items()):
            with open(f"{self.folder}/{job}.log", "wb") as log:
                self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))
            self.threads.append(threading.Thread(target=self.run, args=(job, port, number * 0.17 * interval), daemon=True))
        time.sleep(2)
        for thread in self.threads:
            thread.start()

    def run(self, job, port, phase):
        begun = time.monotonic() + phase
        for number in range(self.scrapes):
            if self.ended.wait(max(0, begun + number * self.interval - time.monotonic())):
                return
            time_ms, asked = int(time.time() * 1000), time.monotonic()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=max(self.interval, 2)) as answer:
                    page = answer.read()
            except OSError:
                page = b""
            packed = zlib.compress(page, 1)
            head = {"job": job, "instance": f"127.0.0.1:{port}", "time_ms": time_ms, "seconds": time.monotonic() - asked, "bytes": len(packed)}
            with self.lock:
                self.file.write(json.dumps(head).encode() + b"\n" + packed)
                self.pages += 1
                self.failed += page == b""

    def wait(self):
        for thread in self.threads:
            thread.join()
        self.stop()

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self.file.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def read(path):
    """(head, page) of each record; a record that is cut at the end of the file is left out."""
    with open(path, "rb") as file:
        while line := file.readline():
            head = json.loads(line)
            packed = file.read(head["bytes"])
            if len(packed) < head["bytes"]:
                return
            yield head, zlib.decompress(packed).decode()


# ---- As remote write ----

def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def literals(body):
    """Snappy that copies nothing (its format: a length, then literals of up to 65,536 bytes)."""
    out = [varint(len(body))]
    for at in range(0, len(body), 65536):
        piece = body[at:at + 65536]
        out.append(bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece)
    return b"".join(out)


def unescape(text):
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text)


def label_bytes(name, labels, head):
    pairs = {"__name__": name, "job": head["job"], "instance": head["instance"]}
    for label, value in LABEL.findall(labels or ""):
        pairs["exported_" + label if label in ("job", "instance") else label] = unescape(value)
    return b"".join(field(1, field(1, label.encode()) + field(2, value.encode())) for label, value in sorted(pairs.items()) if value)


def make_stream(recording, out):
    """Writes the recording as frames for bench/send, in the order of time, with the series that a scraper adds. (series, samples, scrapes)."""
    known, batch, samples, scrapes = {}, [], 0, 0

    def flush():
        body = literals(b"".join(batch))
        out.write(struct.pack("<I", len(body)) + body)
        batch.clear()

    for head, page in sorted(read(recording), key=lambda record: record[0]["time_ms"]):
        scrapes += 1
        rows = [line for line in page.splitlines() if line and line[0] != "#"]
        own = [f"up {int(bool(rows))}", f"scrape_duration_seconds {head['seconds']:.9f}", f"scrape_samples_scraped {len(rows)}",
               f"scrape_samples_post_metric_relabeling {len(rows)}"]
        for line in rows + own:
            series, _, value = line.rpartition(" ")
            key = (head["job"], series)
            labels = known.get(key)
            if labels is None:
                found = ROW.fullmatch(line)
                if found is None:
                    raise SystemExit(f"record: a row of {head['job']} that is not one: {line[:200]}")
                labels = known[key] = label_bytes(found[1], found[2], head)
            sample = b"\x09" + struct.pack("<d", float(value)) + b"\x10" + varint(head["time_ms"])
            batch.append(field(1, labels + field(2, sample)))
            samples += 1
            if len(batch) == BATCH:
                flush()
    if batch:
        flush()
    return len(known), samples, scrapes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--interval", type=float, default=5)
    parser.add_argument("--scrapes", type=int, default=400)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    recorder = Recorder(options.file, options.interval, options.scrapes)
    try:
        recorder.wait()
    finally:
        recorder.stop()
    print(f"{recorder.pages} pages, {recorder.failed} not answered, {os.path.getsize(options.file)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
