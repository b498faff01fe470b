"""Clients from other package registries that scenarios need: OpenTelemetry's SDKs and grpcio for Python, the SDKs for JavaScript.

They are installed into build/otlp, pinned by the files in test/scenario/otlp, once for all tests: who comes second waits.
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


@contextlib.contextmanager
def _alone():
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with open(PACKAGES / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(command, marker, stamp):
    """Runs an installer once per lock file; a sentence when it cannot be done."""
    if marker.exists() and marker.read_text() == stamp:
        return None
    try:
        for line in command:
            done = subprocess.run(line, capture_output=True, text=True, timeout=300, cwd=PACKAGES)
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
