#!/usr/bin/env python3
"""HTTP/2 and gRPC against the real binary, with real clients: curl, nghttp, h2load, Python's grpcio; and floods by hand.

    http2_test.py TRACEO [--only part] [--rounds N] [--all-rounds]

Parts, each a function below: clients, grpc, grpcio, load, memory, floods, beside. What a client program is needed for is
skipped, saying so, where it is missing. Frames of the floods are made here, byte by byte.

"A good client beside a flood" is measured against the same client beside the same flood aimed at another server: both
times the machine is equally busy, so that what differs is what the flood does inside the server.
"""

import argparse
import contextlib
import multiprocessing
import pathlib
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time

from packages import PYTHON, install_python
from traceo import Server, Tap

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4


# ---- Frames by hand -------------------------------------------------------------------------------


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    return b"\x10" + bytes([len(name)]) + name + bytes([len(value)]) + value


def request(stream, path=b"/-/healthy", method=b"GET", flags=END_STREAM | END_HEADERS):
    block = b"".join(literal(*pair) for pair in
                     [(b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", b"localhost")])
    return frame(HEADERS, flags, stream, block)


def greeted(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0))
    return connection


def frames_until_closed(connection, limit_s):
    """All frames until the server closes: [(kind, flags, stream, payload)], and how long that took."""
    begun, raw = time.monotonic(), b""
    connection.settimeout(limit_s)
    try:
        while chunk := connection.recv(65536):
            raw += chunk
    except (TimeoutError, ConnectionError):
        pass
    took, out = time.monotonic() - begun, []
    while len(raw) >= 9:
        length = int.from_bytes(raw[:3], "big")
        out.append((raw[3], raw[4], int.from_bytes(raw[5:9], "big"), raw[9:9 + length]))
        raw = raw[9 + length:]
    return out, took


def goaway_of(frames):
    for kind, _, _, payload in frames:
        if kind == GOAWAY:
            return int.from_bytes(payload[4:8], "big")
    return None


def run(*command, timeout=120, **more):
    return subprocess.run([str(word) for word in command], capture_output=True, timeout=timeout, **more)


def has(tap, name, *programs):
    for program in programs:
        if shutil.which(program) is None:
            tap.skip(name, f"{program} is not installed")
            return False
    return True


def own_metric(server, name):
    text = server.get("/metrics")[1].decode()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name)}


# ---- Clients --------------------------------------------------------------------------------------


def clients(tap, server, options):
    url = f"http://127.0.0.1:{server.port}"
    if has(tap, "curl speaks HTTP/2", "curl"):
        one = run("curl", "-s", "--http1.1", "-w", "%{http_version}", f"{url}/api/v1/query?query=vector(1)&time=1")
        two = run("curl", "-s", "--http2-prior-knowledge", "-w", "%{http_version}", f"{url}/api/v1/query?query=vector(1)&time=1")
        tap.check(one.stdout.endswith(b"}1.1") and two.stdout.endswith(b"}2") and one.stdout[:-3] == two.stdout[:-1],
                  "the same query has the same answer in HTTP/1.1 and HTTP/2", (one, two))
        form = b"query=" + b"vector(1)" + b"%20" * 700000 + b"&time=1"
        long = run("curl", "-s", "--http2-prior-knowledge", "--data-binary", "@-", "-H", "Expect: 100-continue",
                   f"{url}/api/v1/query", input=form)
        tap.check(b'"success"' in long.stdout or b"QUERY_TEXT_BYTES" in long.stdout, "a body of two megabytes with Expect comes through", long)
        big = run("curl", "-s", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_code} %{size_upload}", "--data-binary", "@-",
                  f"{url}/api/v1/query", input=b"x" * 6_000_000)
        tap.check(big.stdout.startswith(b"413"), "a body beyond the limit is told so before it was sent whole", big)
        missing = run("curl", "-s", "--http2-prior-knowledge", "-I", f"{url}/-/healthy")
        tap.check(missing.stdout.startswith(b"HTTP/2 200") and b"content-length: 19" in missing.stdout, "HEAD has the headers of GET", missing)
    if has(tap, "nghttp asks side by side", "nghttp"):
        many = run("nghttp", "-v", "-n", "-m", "60", f"{url}/-/healthy")
        tap.check(many.stdout.count(b":status: 200") == 60, "nghttp asks 60 times on one connection", many.stdout[-500:])


def grpc(tap, server, options):
    if not has(tap, "gRPC by curl", "curl"):
        return
    url = f"http://127.0.0.1:{server.port}"

    def call(path, message, *headers):
        out = run("curl", "-s", "-i", "--http2-prior-knowledge", "-X", "POST", "-H", "content-type: application/grpc", "-H", "te: trailers",
                  *[word for header in headers for word in ("-H", header)], "--data-binary", "@-", url + path, input=message).stdout
        return out, int((re.search(rb"grpc-status: (\d+)", out) or [0, b"-1"])[1])

    health = "/grpc.health.v1.Health/Check"
    good = b"\0\0\0\0\0"
    out, status = call(health, good)
    tap.check(status == 0 and b"\0\0\0\0\2\x08\x01" in out and out.startswith(b"HTTP/2 200"), "the health service says SERVING", out)
    for name, path, message, headers, expected in [
            ("an unknown method is UNIMPLEMENTED", "/no.Such/Method", good, [], 12),
            ("an HTTP route is no method", "/api/v1/query", good, [], 12),
            ("an unknown service is NOT_FOUND", health, b"\0\0\0\0\5\x0a\x03foo", [], 5),
            ("no message is UNIMPLEMENTED", health, b"", [], 12),
            ("two messages are UNIMPLEMENTED", health, good + good, [], 12),
            ("a cut message is INVALID_ARGUMENT", health, b"\0\0\0\0\5abc", [], 3),
            ("a cut header is INVALID_ARGUMENT", health, b"\0\0", [], 3),
            ("an unknown flag is INVALID_ARGUMENT", health, b"\7\0\0\0\0", [], 3),
            ("a compressed message without an encoding is INVALID_ARGUMENT", health, b"\1\0\0\0\0", [], 3),
            ("broken gzip is INVALID_ARGUMENT", health, b"\1\0\0\0\3abc", ["grpc-encoding: gzip"], 3),
            ("an encoding that is not known is UNIMPLEMENTED", health, good, ["grpc-encoding: snappy"], 12),
            ("a codec that is not known is UNIMPLEMENTED", health, good, ["content-type: application/grpc+json"], 12),
            ("a timeout that is none is INVALID_ARGUMENT", health, good, ["grpc-timeout: soon"], 3),
            ("a deadline that is over is DEADLINE_EXCEEDED", health, good, ["grpc-timeout: 1n"], 4),
            ("a message beyond the limit is RESOURCE_EXHAUSTED", health, b"\0" * 100000, [], 8)]:
        if any(header.startswith("content-type") for header in headers):
            out = run("curl", "-s", "-i", "--http2-prior-knowledge", "-X", "POST", "-H", headers[0], "--data-binary", "@-", url + path, input=message).stdout
            status = int((re.search(rb"grpc-status: (\d+)", out) or [0, b"-1"])[1])
        else:
            out, status = call(path, message, *headers)
        tap.check(status == expected and b"grpc-message: " in out and out.startswith(b"HTTP/2 200"), name, out)
    out = run("curl", "-s", "-i", "-X", "POST", "-H", "content-type: application/grpc", url + health).stdout
    tap.check(out.startswith(b"HTTP/1.1 415") and b"HTTP/2" in out, "over HTTP/1.1 it is told that gRPC needs HTTP/2", out)


GRPCIO = r"""
import sys, grpc
port = sys.argv[1]
def outcome(channel, method, message=b"", **more):
    try:
        channel.unary_unary(method)(message, timeout=more.get("timeout", 10))
        return "OK"
    except grpc.RpcError as error:
        return error.code().name + " " + str(error.details())
health = "/grpc.health.v1.Health/Check"
plain = grpc.insecure_channel(f"127.0.0.1:{port}")
print("plain", plain.unary_unary(health)(b""))
for kind in ("Gzip", "Deflate"):
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", compression=getattr(grpc.Compression, kind))
    print(kind, channel.unary_unary(health)(b"\x0a\x15grpc.health.v1.Health"))
print("unknown", outcome(plain, "/no.Such/Method"))
print("service", outcome(plain, health, b"\x0a\x03foo"))
print("large", outcome(plain, health, b"\0" * 100000))
calls = [plain.unary_unary(health).future(b"") for _ in range(500)]
print("many", sum(call.result() == b"\x08\x01" for call in calls))
"""


def grpcio(tap, server, options):
    missing = install_python()
    if missing is not None:
        tap.skip("gRPC by Python's grpcio", missing)
        return
    out = run(str(PYTHON), "-c", GRPCIO, server.port).stdout.decode()
    for line in (r"plain b'\x08\x01'", r"Gzip b'\x08\x01'", r"Deflate b'\x08\x01'", "unknown UNIMPLEMENTED there is no gRPC method /no.Such/Method here",
                 "service NOT_FOUND there is no service foo here", "large RESOURCE_EXHAUSTED", "many 500"):
        tap.check(line in out, "grpcio: " + line, out)


# ---- Load and floods ------------------------------------------------------------------------------


def load(tap, server, options):
    """1,000 streams at once: 10 connections of 100."""
    if not has(tap, "h2load with 1,000 streams", "h2load"):
        return
    out = run("h2load", "-n", "50000", "-c", "10", "-m", "100", f"http://127.0.0.1:{server.port}/-/healthy").stdout.decode()
    tap.check("50000 succeeded, 0 failed, 0 errored" in out, "h2load with 1,000 streams: all of 50,000 requests succeed", out)
    out = run("h2load", "-n", "2000", "-c", "10", "-m", "100", f"http://127.0.0.1:{server.port}/metrics").stdout.decode()
    tap.check("2000 done" in out and "0 errored" in out, "h2load with 1,000 streams on a slower route: all are answered", out)


def memory(tap, server, options):
    """What a stranger with an open HTTP/2 connection and half a head may hold."""
    def resident():
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{server.process.pid}/status").read_text())[1]) * 1024

    count, before, open_ones = 200, resident(), []
    for _ in range(count):
        connection = greeted(server.port)
        connection.sendall(request(1, flags=END_STREAM)[:-1])
        open_ones.append(connection)
    time.sleep(0.3)
    each = (resident() - before) / count
    for connection in open_ones:
        connection.close()
    print(f"# a stranger's HTTP/2 connection holds {each / 1024:.1f} KiB")
    tap.check(each <= 32 * 1024, "a stranger with half a head holds at most 32 KiB", f"{each} bytes")


def rapid_reset(port):
    connection = greeted(port)
    connection.sendall(b"".join(request(2 * i + 1) + frame(RST_STREAM, 0, 2 * i + 1, struct.pack(">I", 8)) for i in range(1000)))
    return connection


def made_you_reset(port):
    connection = greeted(port)
    over = struct.pack(">I", 0x7fffffff)
    for batch in range(20):
        connection.sendall(b"".join(request(2 * i + 1, path=b"/api/v1/query", method=b"POST", flags=END_HEADERS)
                                    + frame(WINDOW_UPDATE, 0, 2 * i + 1, over) for i in range(batch * 20, batch * 20 + 20)))
        time.sleep(0.01)
    return connection


def endless_continuation(port):
    connection = greeted(port)
    connection.sendall(request(1, flags=END_STREAM) + frame(CONTINUATION, 0, 1, literal(b"x", b"y")) * 1000)
    return connection


def hpack_bomb(port):
    connection = greeted(port)
    block = request(1, flags=0)[9:] + b"\x40\x05x-big\x7f\xbd\x1d" + b"v" * 3900 + b"\xbe" * 8000
    connection.sendall(frame(HEADERS, END_STREAM | END_HEADERS, 1, block))
    return connection


def settings_flood(port):
    connection = greeted(port)
    connection.sendall(frame(SETTINGS, 0, 0) * 1000)
    return connection


def ping_flood(port):
    connection = greeted(port)
    connection.sendall(frame(PING, 0, 0, b"12345678") * 1000)
    return connection


def useless_flood(port):
    connection = greeted(port)
    connection.sendall(frame(PRIORITY, 0, 1, b"\0\0\0\0\x10") * 5000)
    return connection


def slow_head(port):
    connection = greeted(port)
    connection.sendall(request(1, flags=END_STREAM))
    return connection


def half_preface(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(PREFACE[:10])
    return connection


def floods(tap, server, options):
    for name, attack, code in [("rapid reset", rapid_reset, 11), ("resets of ours", made_you_reset, 11), ("endless CONTINUATION", endless_continuation, 11),
                               ("HPACK bomb", hpack_bomb, 11), ("SETTINGS", settings_flood, 11), ("PING", ping_flood, 11),
                               ("PRIORITY", useless_flood, 11), ("a head that does not end", slow_head, 11), ("half a preface", half_preface, None)]:
        begun = time.monotonic()
        try:
            connection = attack(server.port)
            frames, _ = frames_until_closed(connection, 12)
            connection.close()
        except ConnectionError:
            frames = [(GOAWAY, 0, 0, b"\0\0\0\0" + struct.pack(">I", code or 0))]  # cut while it still sent: as good
        took = time.monotonic() - begun
        tap.check(took < 10 and (code is None or goaway_of(frames) == code), f"{name}: cut within 10 s with ENHANCE_YOUR_CALM",
                  (took, goaway_of(frames), frames[-3:]))
    counted = own_metric(server, "traceo_http2_")
    reasons = {key: value for key, value in counted.items() if "goaways" in key}
    tap.check(all(reasons[f'traceo_http2_goaways_total{{reason="{reason}"}}'] >= 1 for reason in ("resets", "headers", "control", "slow")),
              "own metrics tell the floods apart", counted)
    tap.check(counted["traceo_http2_streams"] == 0 and counted["traceo_http2_connections"] == 0, "nothing of them is left", counted)
    tap.check(server.get("/-/healthy")[0] == 200, "the server is well")


def flood_for_ever(port, stop):
    """Rapid resets, as fast as one process can, on 4 connections that are opened again when they are cut."""
    piece = b"".join(request(2 * i + 1) + frame(RST_STREAM, 0, 2 * i + 1, struct.pack(">I", 8)) for i in range(200))
    open_ones = []
    while not stop.is_set():
        try:
            while len(open_ones) < 4:
                open_ones.append(greeted(port))
            connection = open_ones.pop(0)
            connection.sendall(piece)
            frames_until_closed(connection, 1)
            connection.close()
        except OSError:
            pass


def good_client(port, seconds):
    """Latencies in ms of one HTTP/2 client that asks one after the other."""
    connection = greeted(port)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(10)
    buffer, stream, out = b"", 1, []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        connection.sendall(request(stream))
        done = False
        while not done:
            while len(buffer) >= 9 and len(buffer) >= 9 + int.from_bytes(buffer[:3], "big"):
                length = int.from_bytes(buffer[:3], "big")
                done = done or (buffer[3] == DATA and buffer[4] & END_STREAM and int.from_bytes(buffer[5:9], "big") == stream)
                if buffer[3] == DATA and length > 0:  # what was read may come again, as long as the flood takes
                    connection.sendall(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", length)))
                buffer = buffer[9 + length:]
            if not done:
                chunk = connection.recv(65536)
                if not chunk:
                    raise RuntimeError("the good client was cut")
                buffer += chunk
        out.append((time.monotonic() - begun) * 1000)
        stream += 2
        time.sleep(0.001)
    connection.close()
    return out


def p99(values):
    return sorted(values)[int(len(values) * 0.99)]


@contextlib.contextmanager
def flood_at(port, options):
    stop = multiprocessing.Event()
    flooder = multiprocessing.Process(target=flood_for_ever, args=(port, stop))
    flooder.start()
    time.sleep(0.2)
    yield
    stop.set()
    flooder.join(5)


@contextlib.contextmanager
def load_at(port, options):
    loader = subprocess.Popen(["h2load", "-D", str(int(options.seconds) + 3), "-c", "10", "-m", "100", "--rps", "100",
                               f"http://127.0.0.1:{port}/-/healthy"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    yield
    loader.terminate()
    loader.wait()


def beside(tap, server, options):
    """The good client's p99 beside an attack on its own server, and beside the same attack on another one.

    Other programs on the machine come and go, so a pair is measured again until it is calm, and only when no pair is does the
    check fail; what an attack does inside the server shows in every pair. All pairs are printed.
    """
    if not has(tap, "a good client beside 1,000 streams and a flood", "h2load"):
        return
    other = Server()
    other.start()
    try:
        quiet = p99(good_client(server.port, options.seconds))
        print(f"# p99 quiet: {quiet:.3f} ms")
        for name, attack in (("a rapid-reset flood", flood_at), ("1,000 streams of h2load", load_at)):
            pairs = []
            while len(pairs) < options.rounds and not (pairs and options.stop and pairs[-1][0] <= 1.5 * pairs[-1][1]):
                with attack(server.port, options):
                    here = p99(good_client(server.port, options.seconds))
                with attack(other.port, options):
                    elsewhere = p99(good_client(server.port, options.seconds))
                pairs.append((here, elsewhere))
            for here, elsewhere in pairs:
                print(f"# p99 beside {name}: {here:.3f} ms; the same aimed elsewhere: {elsewhere:.3f} ms; {here / elsewhere:.2f}")
            print(f"# median beside {name}: {statistics.median(pair[0] for pair in pairs):.3f} ms, elsewhere "
                  f"{statistics.median(pair[1] for pair in pairs):.3f} ms, of the ratios {statistics.median(pair[0] / pair[1] for pair in pairs):.2f}")
            tap.check(any(here <= 1.5 * elsewhere for here, elsewhere in pairs), f"beside {name} the good client's p99 stays within 1.5 times", pairs)
    finally:
        other.close()


PARTS = {"clients": clients, "grpc": grpc, "grpcio": grpcio, "load": load, "memory": memory, "floods": floods, "beside": beside}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("traceo", nargs="?")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--all-rounds", dest="stop", action="store_false", help="measure all rounds, for docs/benchmarks.md")
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args()
    tap = Tap()
    for name, part in PARTS.items():
        if options.only and name != options.only:
            continue
        server = Server()
        try:
            server.start()
            part(tap, server, options)
            tap.check(server.stop() == 0, f"{name}: the server stops well", server.tail())
        finally:
            server.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
