"""What the scenarios share: a server in a folder of its own, a remote-write sender, a query client, TAP output.

Only the standard library. Everything talks to 127.0.0.1 and stops by itself.
"""

import http.client
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
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def binary():
    """The traceo to drive: given as the first argument, else the release build."""
    for argument in sys.argv[1:]:
        if argument.endswith("traceo"):
            return argument
    return str(ROOT / "build/traceo")


class Server:
    """One traceo process on a folder that lives until close()."""

    def __init__(self, *flags, folder=None):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="traceo-scenario-")
        self.flags = list(flags)
        self.port = free_port()
        self.process = None
        self.env = None  # that of this process
        self.log = open(os.path.join(self.folder, "server.log"), "ab")

    def start(self, timeout_s=30, wait=True):
        self.process = subprocess.Popen(
            [binary(), "serve", "--data", os.path.join(self.folder, "data"), "--listen", f"127.0.0.1:{self.port}",
             "--host.enabled", "false", "--self.interval", "1h", "--otlp.grpc_listen", "off", "--otlp.http_listen", "off", *self.flags],
            stdout=self.log, stderr=self.log, env=self.env)
        begun = time.monotonic()
        while wait:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.tail()}")
            try:
                if self.get("/-/ready")[0] == 200:
                    break
            except OSError:
                pass
            if time.monotonic() - begun > timeout_s:
                raise RuntimeError(f"not ready after {timeout_s} s:\n{self.tail()}")
            time.sleep(0.005)
        return time.monotonic() - begun

    def tail(self):
        return pathlib.Path(self.folder, "server.log").read_text(errors="replace")[-3000:]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout_s=30):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=timeout_s)

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        self.log.close()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path, headers=None, method="GET"):
        connection = self.connect()
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def post(self, path, headers=None):
        return self.get(path, headers, "POST")

    def metric(self, name):
        """One of its own metrics that has no labels."""
        return float(re.search(rf"^{name} (\S+)$", self.get("/metrics")[1].decode(), re.M)[1])

    def query(self, expression, at_s, headers=None):
        """The `data` of an instant query."""
        status, body = self.get("/api/v1/query?" + urllib.parse.urlencode({"query": expression, "time": at_s}), headers)
        if status != 200:
            raise RuntimeError(f"{expression}: {status} {body[:300]!r}")
        return json.loads(body)["data"]


# ---- Remote write 1.0 -----------------------------------------------------------------------------


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def series(labels, samples):
    """One TimeSeries: labels a dictionary, samples a list of (milliseconds, value)."""
    out = b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in sorted(labels.items()))
    for time_ms, value in samples:
        out += field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(time_ms))
    return field(1, out)


def snappy(body):
    """Snappy's block format with literals only: valid, not small."""
    out = bytearray(varint(len(body)))
    for at in range(0, len(body), 60000):
        piece = body[at:at + 60000]
        length = len(piece) - 1
        out += bytes([61 << 2]) + struct.pack("<H", length) if length >= 60 else bytes([length << 2])
        out += piece
    return bytes(out)


WRITE_HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}


def write(connection, body, headers=None):
    """Sends a WriteRequest; returns status and answer."""
    connection.request("POST", "/api/v1/write", snappy(body), {**WRITE_HEADERS, **(headers or {})})
    answer = connection.getresponse()
    return answer.status, answer.read()


# ---- TAP ------------------------------------------------------------------------------------------


class Tap:
    def __init__(self):
        self.number = self.bad = 0

    def check(self, holds, name, why=""):
        self.number += 1
        self.bad += not holds
        print(f"{'ok' if holds else 'not ok'} {self.number} - {name}", flush=True)
        if not holds and why:
            print("# " + str(why).replace("\n", "\n# "), flush=True)
        return holds

    def skip(self, name, why):
        self.number += 1
        print(f"ok {self.number} - {name} # SKIP {why}", flush=True)
        print(f"# skipped: {name}: {why}", flush=True)

    def end(self):
        print(f"1..{self.number}")
        return 1 if self.bad else 0
