"""The servers that are measured: how each is started, made to write all to disk, and stopped."""

import json
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Server:
    """One peer: how to start it, how to make it write all to disk, how its OTLP is packed (None: remote write)."""

    def __init__(self, name, port, command, ready, flush, otlp):
        self.name, self.port, self.command, self.ready, self.flush, self.otlp = name, port, command, ready, flush, otlp
        self.process = None

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def start(self, data):
        """Starts and returns the seconds until it answers a query."""
        log = open(f"{data}.log", "ab")
        begun = time.monotonic()
        self.process = subprocess.Popen(self.command(data, self.port), stdout=log, stderr=log)
        while True:
            if self.process.poll() is not None:
                sys.exit(f"{self.name} ended with {self.process.returncode}; see {data}.log")
            try:
                with urllib.request.urlopen(self.url(self.ready), timeout=5) as answer:
                    if answer.status == 200:
                        return time.monotonic() - begun
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            if time.monotonic() - begun > 120:
                sys.exit(f"{self.name} is not ready after two minutes")
            time.sleep(0.002)

    def cpu_seconds(self):
        """CPU time of all its threads, those that have ended too, to the nanosecond (the clock of another process: clock_getcpuclockid(3))."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def peak_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(timeout=120)


def post(url, data=b""):
    with urllib.request.urlopen(urllib.request.Request(url, data=data, method="POST"), timeout=300) as answer:
        return answer.read()


def folder_bytes(folder):
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


def flush_traceo(server, data):
    post(server.url("/api/traceo/v1/flush"))
    return folder_bytes(f"{data}/objects")


def flush_victoria(server, data):
    urllib.request.urlopen(server.url("/internal/force_flush"), timeout=300).read()
    urllib.request.urlopen(server.url("/internal/force_merge"), timeout=300).read()
    time.sleep(5)
    return folder_bytes(f"{data}/data") + folder_bytes(f"{data}/indexdb")


def flush_prometheus(server, data):
    answer = json.loads(post(server.url("/api/v1/admin/tsdb/snapshot")))
    return folder_bytes(f"{data}/snapshots/{answer['data']['name']}")


def empty_config(data):
    path = f"{data}.yml"
    pathlib.Path(path).write_text("global: {}\n")
    return path


def traceo_command(data, port):
    return [str(ROOT / "build/traceo"), "serve", "--data", data, "--listen", f"127.0.0.1:{port}", "--host.enabled", "false",
            "--self.interval", "1h", "--otlp.grpc_listen", "off", "--otlp.http_listen", "off"]


SERVERS = {
    "traceo": lambda port: Server(
        "traceo", port,
        lambda data, port: traceo_command(data, port),
        "/-/ready", flush_traceo, None),
    "traceo-relaxed": lambda port: Server(
        "traceo-relaxed", port,
        lambda data, port: [*traceo_command(data, port), "--durability", "memory"],
        "/-/ready", flush_traceo, None),
    **{f"traceo-otlp-{packed}": lambda port, packed=packed: Server(
        f"traceo-otlp-{packed}", port,
        lambda data, port: [*traceo_command(data, port), "--otlp.promote_resource_attributes", "region,team"],
        "/-/ready", flush_traceo, packed) for packed in ("none", "gzip", "zstd")},
    "traceo-rw2": lambda port: Server(
        "traceo-rw2", port,
        lambda data, port: traceo_command(data, port),
        "/-/ready", flush_traceo, "rw2"),
    "victoria": lambda port: Server(
        "victoria", port,
        lambda data, port: ["victoria-metrics", f"-storageDataPath={data}", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=10y",
                            "-search.disableCache", "-loggerLevel=ERROR", "-search.latencyOffset=0s"],
        "/health", flush_victoria, None),
    "prometheus": lambda port: Server(
        "prometheus", port,
        lambda data, port: ["prometheus", f"--config.file={empty_config(data)}", f"--storage.tsdb.path={data}",
                            f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", "--web.enable-admin-api",
                            "--storage.tsdb.retention.time=10y", "--log.level=error"],
        "/-/ready", flush_prometheus, None),
}
