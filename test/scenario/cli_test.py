#!/usr/bin/env python3
"""The newcomer's path with the real binary: start, ask, push, stop, kill, keys, mistakes and what is said about them.

    cli_test.py TRACEO
"""

import csv
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from traceo import Tap, binary, free_port

# Settings of whoever runs the tests must not reach the program.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("TRACEO_")}
TRACEO = os.path.abspath(binary())  # commands run in a folder of their own
OK, FAILED, USAGE, PROBLEMS, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 130


class House:
    """A temporary folder, a port, and at most one server on them."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="traceo-cli-"))
        self.port = free_port()
        self.key = None
        self.server = None

    def run(self, *words, text=None, key="own", **more):
        """A client's command: (exit code, stdout, stderr)."""
        environment = {**ENVIRONMENT, "TRACEO_SERVER": f"http://127.0.0.1:{self.port}"}
        if key == "own" and self.key:
            environment["TRACEO_KEY"] = self.key
        elif key not in ("own", None):
            environment["TRACEO_KEY"] = key
        done = subprocess.run([TRACEO, *words], input=text, stdin=None if text is not None else subprocess.DEVNULL,
                              capture_output=True, text=True, cwd=self.folder, env=environment, timeout=60, **more)
        return done.returncode, done.stdout, done.stderr

    def start(self, *flags, listen=None):
        """Starts and waits until ready; returns the seconds that took."""
        begun = time.monotonic()
        with open(self.folder / "out", "wb") as out, open(self.folder / "err", "ab") as err:
            self.server = subprocess.Popen([TRACEO, "serve", "--listen", listen or f"127.0.0.1:{self.port}", *flags],
                                           stdout=out, stderr=err, cwd=self.folder, env=ENVIRONMENT)
        while time.monotonic() - begun < 30:
            if self.server.poll() is not None:
                raise RuntimeError(f"the server ended with {self.server.returncode}: {self.said()}")
            if "ready after" in (self.folder / "out").read_text():
                return time.monotonic() - begun
            time.sleep(0.002)
        raise RuntimeError(f"not ready after 30 s: {self.said()}")

    def said(self):
        return (self.folder / "err").read_text(errors="replace")[-2000:]

    def stop(self, number=signal.SIGTERM):
        self.server.send_signal(number)
        return self.server.wait(timeout=30)

    def end(self):
        if self.server and self.server.poll() is None:
            self.server.kill()
            self.server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def eventually(what, seconds):
    """Waits until `what()` holds; returns the seconds it took, or None."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if what():
            return time.monotonic() - begun
        time.sleep(0.05)
    return None


def first_minutes(tap, house):
    took = house.start()
    out = (house.folder / "out").read_text()
    tap.check(took < 2, "an empty folder is ready at once", f"{took:.2f} s")
    print(f"# ready after {took:.3f} s")
    tap.check(f"http://127.0.0.1:{house.port}" in out and str(house.folder / "traceo-data") in out, "the start-up lines name URL and folder", out)
    asked = re.search(r"Ask +traceo (.*)", out)
    tap.check(asked is not None, "the start-up lines say how to ask", out)
    took = eventually(lambda: house.run(*asked.group(1).split())[1].startswith("metric"), 6)
    tap.check(took is not None, "the first query has an answer within 6 s")

    lines = "# a comment\nshelf_books{room=\"a\"} 3\nshelf_books{room=\"b\"} 4.5\n"
    code, out, err = house.run("push", "--label", "town=x", text=lines)
    tap.check((code, out, err) == (OK, "", "stored: 2 samples\n"), "push stores lines", (code, out, err))
    code, out, err = house.run("query", "shelf_books")
    table = [line.split() for line in out.splitlines()]
    tap.check(table == [["metric", "room", "town", "value"], ["shelf_books", "a", "x", "3"], ["shelf_books", "b", "x", "4.5"]],
              "what was pushed is answered as a table", out + err)
    rows = list(csv.DictReader(io.StringIO(house.run("query", "shelf_books", "-o", "csv")[1])))
    tap.check([row["value"] for row in rows] == ["3", "4.5"] and rows[0]["room"] == "a", "and as CSV", rows)
    data = json.loads(house.run("query", "shelf_books", "--json")[1])["data"]
    tap.check(data["resultType"] == "vector" and len(data["result"]) == 2, "and as JSON", data)
    code, out, err = house.run("query", "shelf_books", "--since", "2m", "--step", "10s")
    tap.check(code == OK and out.count("shelf_books{") == 2 and "  4.5" in out, "and over time", out + err)
    code, out, err = house.run("query", "--explain", "sum by (room) (shelf_books)")
    tap.check(code == OK and out.splitlines()[1].startswith("sum by (room)") and out.splitlines()[2].startswith("└ shelf_books")
              and "2 samples" in out, "the plan of a query is shown as a tree", out + err)
    code, out, err = house.run("query", "--list")
    tap.check((code, out) == (OK, "") and "no query waits or runs" in err, "the list of running queries is empty", out + err)
    code, out, err = house.run("query", "--kill", "99")
    tap.check(code == FAILED and "no query 99 waits or runs now" in err, "a query that is not there cannot be ended", err)
    code, out, err = house.run("query", "up", "--list")
    tap.check(code == USAGE, "a list is of no query", err)
    code, out, err = house.run("query", "no_such_thing")
    tap.check((code, out) == (OK, "") and "no series with a recent sample matches" in err, "an empty answer says what to try", err)
    code, out, err = house.run("query", "up", "--tenant", "traceo", "-o", "json")
    tap.check(code == OK and "success" in out, "another tenant can be asked", err)


def mistakes(tap, house):
    code, out, err = house.run("push", text="books 1\nbooks_b 2\nshelf books 3\n")
    tap.check(code == FAILED and "standard input: line 3, column" in err, "a bad line is named", err)
    tap.check(house.run("query", "books")[1] == "", "and nothing of its file is stored")
    code, out, err = house.run("check", "metrics", text="# TYPE a counter\na 1\na 1\n")
    tap.check(code == OK and 'line 1, column 1: the counter "a" should end in "_total"' in out and "line 3, column 1: a stands twice" in out
              and "standard input: fine, 1 families, 2 series" in out, "a page of metrics is checked, with hints", out + err)
    code, out, err = house.run("check", "metrics", text="a 1\nb{c=1} 2\n")
    tap.check(code == 3 and "standard input: line 2, column 5: a label's value in quotes" in err, "and what is wrong is named", out + err)
    now = int(time.time() * 1000)
    code, out, err = house.run("push", text=f"twice 1 {now}\ntwice 2 {now}\nonce 5\n")
    tap.check(code == FAILED and "1 of 3 samples were refused" in err, "a contradiction is told", err)
    tap.check("5" in house.run("query", "once")[1], "and the rest is kept")
    code, out, err = house.run("query", "sum(rate(x[5m])")
    tap.check(code == FAILED and re.search(r"\n +\^\n", err) is not None and out == "", "a caret stands under a fault", err)
    code, out, err = house.run("qurey", "x")
    tap.check(code == USAGE and 'did you mean "traceo query"?' in err, "an unknown command is guessed", err)
    code, out, err = house.run("query", "up", "--server", f"http://127.0.0.1:{free_port()}")
    tap.check(code == UNREACHABLE and "no server answers" in err, "no server is exit code 4", (code, err))
    code, out, err = house.run("serve", "--data", "traceo-data", "--listen", f"127.0.0.1:{free_port()}")
    tap.check(code == FAILED and "another Traceo process uses the data directory traceo-data" in err, "a folder in use is refused", err)
    code, out, err = house.run("serve", "--data", "other", "--listen", f"127.0.0.1:{house.port}")
    tap.check(code == FAILED and "taken by another program" in err, "a port in use is refused", err)
    code, out, err = house.run("serve", "--data", "other", "--listen", f"0.0.0.0:{free_port()}")
    tap.check(code == FAILED and "traceo key add" in err, "the open network is refused without a key", err)
    (house.folder / "bad.yaml").write_text("listen: 127.0.0.1:0\nmemory:\n  limt: 1GiB\n")
    for command, expected in (["serve", "--config", "bad.yaml"], FAILED), (["check", "bad.yaml"], PROBLEMS):
        code, out, err = house.run(*command)
        tap.check(code == expected and 'bad.yaml:3: unknown setting "memory.limt"' in err, f"{command[0]} names file and line", (code, err))
    code, out, err = house.run("check", "query", "rate(x)")
    tap.check(code == PROBLEMS and "expected" in err, "a query can be checked without a server", (code, err))
    code, out, err = house.run("serve", "--memory.limit", "1MiB", "--data", "small")
    tap.check(code == FAILED and "memory.limit" in err, "a memory limit that cannot work is refused", err)
    (house.folder / "bad.yaml").write_text("listen: here\n")
    code, out, err = house.run("check", "bad.yaml")
    tap.check(code == PROBLEMS and "bad.yaml:1: listen: here: an address is ADDR:PORT" in err, "a wrong address is found by check", err)
    with open("/dev/full", "w") as full:
        done = subprocess.run([TRACEO, "help"], stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT)
    tap.check(done.returncode == FAILED, "output that cannot be written is a failure", done)


def survives(tap, house):
    def kept():
        return house.run("query", "sum(last_over_time(shelf_books[10m]))", "-o", "csv")[1].strip().endswith(",7.5")

    tap.check(house.stop() == OK, "SIGTERM ends with 0", house.said())
    house.start()
    tap.check(kept(), "samples are there after a restart")
    house.stop(signal.SIGKILL)
    house.start()
    tap.check(kept(), "samples are there after kill -9")
    code = house.stop(signal.SIGINT)
    tap.check(code == OK, "SIGINT ends with 0", code)

    house.start("--server.drain", "20s")
    slow = socket.create_connection(("127.0.0.1", house.port))
    slow.sendall(b"POST /api/v1/query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\nquery=")
    time.sleep(0.2)
    house.server.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    waits = house.server.poll() is None
    begun = time.monotonic()
    code = house.stop()
    tap.check(waits and code == INTERRUPTED and time.monotonic() - begun < 2, "a second signal ends it at once", (waits, code))
    slow.close()


def reloads(tap, house):
    path = house.folder / "traceo.yaml"
    path.write_text("query.timeout: 30s\n")
    house.start("--config", "traceo.yaml")
    tap.check("Config traceo.yaml" in (house.folder / "out").read_text(), "the start-up lines name the file of settings")

    def timeout():
        status = subprocess.run(["python3", "-c", "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())",
                                 f"http://127.0.0.1:{house.port}/api/v1/status/flags"], capture_output=True, text=True, env=ENVIRONMENT)
        return json.loads(status.stdout)["data"]["query.timeout"]

    tap.check(timeout() == "30s", "the file of settings counts")
    path.write_text("query.timeout: 45s\nretention: 7d\n")
    house.server.send_signal(signal.SIGHUP)
    tap.check(eventually(lambda: timeout() == "45s", 5) is not None, "SIGHUP reads it again", house.said())
    tap.check("takes effect at the next start" in house.said(), "what cannot change at run time is said", house.said())
    path.write_text("query.timeout: ten\n")
    house.server.send_signal(signal.SIGHUP)
    said = eventually(lambda: "traceo.yaml:1" in house.said(), 5)
    tap.check(said is not None and timeout() == "45s", "a bad file keeps the old settings", house.said())
    path.unlink()
    house.server.send_signal(signal.SIGHUP)
    said = eventually(lambda: "No such file" in house.said(), 5)
    tap.check(said is not None and timeout() == "45s", "and so does one that is gone", house.said())


def keys(tap, house):
    code, out, err = house.run("key", "list")
    tap.check(code == OK and "no keys yet" in err, "no keys at first", err)
    code, reader, err = house.run("key", "add", "--name", "reader", "--permissions", "read_metrics")
    house.key = reader.strip()
    tap.check(code == OK and re.fullmatch(r"traceo_[0-9a-f]{16}_[0-9a-f]{64}", house.key) is not None, "a key is made beside the server", (reader, err))
    took = eventually(lambda: "wants an API key" in house.run("query", "up", key=None)[2], 10)
    tap.check(took is not None, "soon no request passes without one")
    print(f"# after {took or 0:.1f} s")
    code, out, err = house.run("query", "1 + 1")
    tap.check((code, out) == (OK, "2\n"), "the key opens", err)
    code, out, err = house.run("push", text="x 1\n")
    tap.check(code == FAILED and "write_metrics" in err, "but not what it has no permission for", err)
    code, out, err = house.run("query", "1", "--tenant", "other")
    tap.check(code == FAILED and "tenant" in err, "nor another tenant", err)
    wrong = house.key[:-1] + ("0" if house.key[-1] != "0" else "1")
    code, out, err = house.run("query", "1", key=wrong)
    tap.check(code == FAILED and "does not know this API key" in err, "a wrong key does not", err)
    code, out, err = house.run("key", "add", "--permissions", "fly")
    tap.check(code == USAGE and "read_metrics" in err, "an unknown permission lists the known ones", err)
    identity = house.key.split("_")[1]
    listed = json.loads(house.run("key", "list", "--json")[1])
    tap.check([(row["id"], row["name"], row["state"]) for row in listed] == [(identity, "reader", "valid")], "keys are listed", listed)
    house.stop()
    house.start(listen=f"0.0.0.0:{house.port}")
    tap.check(house.run("query", "1 + 1")[1] == "2\n", "with a key it listens on the network")
    code, out, err = house.run("key", "revoke", identity)
    tap.check(code == OK, "a key is revoked", err)
    tap.check(eventually(lambda: house.run("query", "1")[0] == FAILED, 10) is not None, "and soon opens nothing")
    tap.check(house.run("key", "revoke", "nonsense")[0] == FAILED, "an unknown key cannot be revoked")


def looks(tap, house):
    code, out, err = house.run("doctor", "--listen", f"127.0.0.1:{house.port}")
    tap.check(code == OK and "ok    sync" in out.replace("warn", "ok  ") and "a Traceo answers" in out, "doctor finds the machine fit", out + err)
    tap.check(re.search(r"^(ok|warn)  +host +(all of this host can be seen, \d+ series|not seen: )", out, re.M) is not None, "doctor says what of the host can be seen", out)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, out, err = house.run("doctor", "--listen", f"127.0.0.1:{house.port}", "--otlp.grpc_listen", address)
        tap.check(code == OK and f"warn  otlp    {address} is taken" in out and "set otlp.grpc_listen" in out, "doctor names a port of OpenTelemetry that is taken, and what to do", out + err)
    segments = sorted((house.folder / "traceo-data/log").glob("*.log"))
    code, out, err = house.run("inspect", str(segments[0]))
    tap.check(code == OK and " records, the last one ends at" in out, "inspect prints a segment of the log", out[-300:] + err)
    code, out, err = house.run("inspect", "out")
    tap.check(code == FAILED and "not a file of a data directory" in err, "inspect says what it does not know", err)
    version = json.loads(house.run("version", "--json")[1])
    tap.check(house.run("--version")[1].startswith(f"traceo, version {version['version']} (revision: "), "version", version)
    script = house.run("completion", "bash")[1]
    probe = script + '\nCOMP_WORDS=(traceo query --si); COMP_CWORD=2; _traceo; echo "${COMPREPLY[*]}"\nCOMP_WORDS=(traceo ser); COMP_CWORD=1; _traceo; echo "${COMPREPLY[*]}"\n'
    done = subprocess.run(["bash", "-c", probe], capture_output=True, text=True)
    tap.check(done.stdout == "--since\nserve\n", "bash completes", done.stdout + done.stderr)
    page = house.run("man")[1]
    tap.check(page.startswith(".TH TRACEO 1") and ".SS \"traceo query" in page, "the manual page is roff", page[:200])
    if shutil.which("groff"):
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8"], input=page, capture_output=True, text=True)
        tap.check(done.returncode == 0 and done.stderr == "", "groff has nothing to say about it", done.stderr[:500])
    else:
        tap.skip("groff has nothing to say about it", "groff is not here")
    for topic in ("commands", "functions", "settings", "limits", "errors"):
        rows = json.loads(house.run("help", topic, "--json")[1])
        tap.check(len(rows) > 5 and all(row["help" if "help" in row else "meaning" if "meaning" in row else "why"] for row in rows), f"help {topic} is a table")


def long_ways(tap):
    """A line of progress on what takes longer than two seconds, and none on what does not."""
    house = House()
    house.start()
    pages, now_ms = house.folder / "pages.prom", int(time.time() * 1000)
    with open(pages, "w") as out:
        for i in range(200_000):
            out.write(f'long_way{{step="{i % 1000:08}"}} {i} {now_ms - i // 1000 * 1000}\n')
    code, _, err = house.run("push", text="short_way 1\n")
    tap.check((code, err) == (OK, "stored: 1 sample\n"), "a push that is fast has no line of progress", err)
    house.server.send_signal(signal.SIGSTOP)  # a server that is busy for a while
    push = subprocess.Popen([TRACEO, "push", str(pages), "--server", f"http://127.0.0.1:{house.port}"], stderr=subprocess.PIPE, text=True,
                            cwd=house.folder, env=ENVIRONMENT)
    time.sleep(3)
    house.server.send_signal(signal.SIGCONT)
    err = push.communicate(timeout=60)[1]
    line = re.search(r"^pushing: [\d.]+ (KiB|MiB) of [\d.]+ (KiB|MiB) \(\d+ %\), [\d.]+ (KiB|MiB)/s, \d+ s left$", err, re.M)
    tap.check(line is not None and "stored: 200000 samples" in err, "a push that is slow says how far it is", err)
    house.end()


def main():
    tap = Tap()
    house = House()
    try:
        first_minutes(tap, house)
        mistakes(tap, house)
        survives(tap, house)
        reloads(tap, house)
        keys(tap, house)
        looks(tap, house)
        long_ways(tap)
    finally:
        house.end()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
