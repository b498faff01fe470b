"""Clients from other package registries that scenarios need: OpenTelemetry's SDKs and grpcio for Python, the SDKs for JavaScript;
clients of InfluxDB, StatsD, Datadog and Graphite for Python; a sender of remote write 2.0 in Go.

They are installed into build/otlp and build/clients, pinned by the files in test/scenario/otlp and test/scenario/clients, once for all
tests: who comes second waits.
"""

import contextlib
import fcntl
import pathlib
import subprocess
import sys

from traceo import ROOT

HERE = pathlib.Path(__file__).resolve().parent / "otlp"
PACKAGES = ROOT / "build/otlp"
PYTHON = PACKAGES / "venv/bin/python"
CLIENTS = ROOT / "build/clients"
CLIENTS_PYTHON = CLIENTS / "venv/bin/python"
CLIENTS_RW2 = CLIENTS / "rw2"


@contextlib.contextmanager
def _alone(folder=PACKAGES):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(command, marker, stamp, folder=PACKAGES):
    """Runs an installer once per lock file; a sentence when it cannot be done."""
    if marker.exists() and marker.read_text() == stamp:
        return None
    try:
        for line in command:
            done = subprocess.run(line, capture_output=True, text=True, timeout=300, cwd=folder)
            if done.returncode != 0:
                return f"{' '.join(map(str, line[:3]))}: {done.stderr.strip()[-300:]}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    marker.write_text(stamp)
    return None


def install_python():
    """None, or a sentence why it cannot be done; then PYTHON has the SDKs and grpcio."""
    lock = HERE / "requirements.txt"
    with _alone():
        return _install([[sys.executable, "-m", "venv", "venv"], ["venv/bin/pip", "install", "-q", "-r", lock]], PACKAGES / "python.done",
                        lock.read_text())


def install_js():
    lock = HERE / "package.json"
    folder = PACKAGES / "js"
    with _alone():
        folder.mkdir(exist_ok=True)
        (folder / "package.json").write_text(lock.read_text())
        return _install([["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts"]], PACKAGES / "js.done",
                        lock.read_text())


def install_clients():
    """None, or a sentence why it cannot be done; then CLIENTS_PYTHON has the clients of clients/requirements.txt."""
    lock = HERE.parent / "clients/requirements.txt"
    with _alone(CLIENTS):
        return _install([[sys.executable, "-m", "venv", "venv"], ["venv/bin/pip", "install", "-q", "-r", lock]], CLIENTS / "python.done",
                        lock.read_text(), CLIENTS)


def install_rw2():
    """The same for CLIENTS_RW2, built from clients/rw2 with Prometheus' own client library."""
    folder = HERE.parent / "clients/rw2"
    stamp = "".join((folder / name).read_text() for name in ("main.go", "go.mod", "go.sum"))
    with _alone(CLIENTS):
        return _install([["go", "build", "-C", str(folder), "-o", str(CLIENTS_RW2), "."]], CLIENTS / "rw2.done", stamp, CLIENTS)
