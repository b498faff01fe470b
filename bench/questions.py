"""Asking the query set: cold, warm and repeated runs, answers compared among servers, geometric means."""

import json
import math
import os
import pathlib
import select
import socket
import statistics
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
STEP_S = 60
TOLERANCE = 1e-9
REPEATS_MAX = 100  # of one question …
STEADY_MS = 150  # … while all its answers together take less than that


class Question:
    """One row of queries.txt."""

    def __init__(self, name, kind, group, compared, expression):
        self.name, self.kind, self.group, self.compared, self.expression = name, kind, group, compared, expression

    def path(self, start_s, end_s, nocache):
        arguments = {"start": start_s, "end": end_s}
        if nocache:
            arguments["nocache"] = 1
        if self.kind == "range":
            return "/api/v1/query_range", {**arguments, "query": self.expression, "step": STEP_S}
        if self.kind == "instant":
            del arguments["start"], arguments["end"]
            return "/api/v1/query", {**arguments, "query": self.expression, "time": end_s}
        if self.kind == "series":
            return "/api/v1/series", {**arguments, "match[]": self.expression}
        name, selector = self.expression.split(None, 1)
        return f"/api/v1/label/{name}/values", {**arguments, "match[]": selector}


def read_questions(only=None):
    rows = []
    for line in (ROOT / "bench/queries.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            question = Question(*line.split(None, 4))
            if not only or question.name in only:
                rows.append(question)
    return rows


class Client:
    """One connection that is kept, as a dashboard has it. Bare sockets: a client that parses headers like mail costs more than a small answer."""

    def __init__(self, port):
        self.port, self.host = port, f"127.0.0.1:{port}"
        self.connection, self.ended = self.connect(), False

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=300)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def is_closed(self):
        """Whether the server has closed the idle connection, as it may while the others answer."""
        return bool(select.select([self.connection], [], [], 0)[0])

    def ask(self, question, start_s, end_s, nocache=True):
        """(seconds from the first byte sent to the last one received, body); (None, message) where it is refused."""
        path, arguments = question.path(start_s, end_s, nocache)
        request = f"GET {path}?{urllib.parse.urlencode(arguments)} HTTP/1.1\r\nHost: {self.host}\r\nAccept-Encoding: identity\r\n\r\n".encode()
        if self.ended or self.is_closed():
            self.connection.close()
            self.connection, self.ended = self.connect(), False
        begun = time.perf_counter()
        self.connection.sendall(request)
        head, body = self.receive()
        took = time.perf_counter() - begun
        self.ended = b"\r\nconnection: close" in head
        body = unchunked(body) if b"\r\ntransfer-encoding: chunked" in head else body
        return (took, body) if head.split(None, 2)[1] == b"200" else (None, body.decode(errors="replace")[:300])

    def receive(self):
        """(the head in small letters, the body as it came)."""
        data = bytearray()
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self.more()
        head, end = bytes(data[:end]).lower(), end + 4
        if b"\r\ntransfer-encoding: chunked" in head:
            while not data.endswith(b"\r\n0\r\n\r\n") and data[end:] != b"0\r\n\r\n":
                data += self.more()
        else:
            left = end + int(head.split(b"\r\ncontent-length:", 1)[1].split(b"\r\n", 1)[0]) - len(data)
            while left > 0:
                piece = self.more()
                data += piece
                left -= len(piece)
        return head, bytes(data[end:])

    def more(self):
        piece = self.connection.recv(1 << 18)
        if not piece:
            raise ConnectionError("the server closed the connection within an answer")
        return piece

    def close(self):
        self.connection.close()


def unchunked(data):
    """The body out of the chunks of HTTP/1.1 (RFC 9112, 7.1)."""
    body, at = bytearray(), 0
    while True:
        line = data.index(b"\r\n", at)
        size = int(data[at:line].split(b";")[0], 16)
        if size == 0:
            return bytes(body)
        body += data[line + 2:line + 2 + size]
        at = line + 4 + size


def cpu_ns(pid):
    """CPU time of all threads that live, from the scheduler, to the nanosecond."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def drop_page_cache(folder):
    """Lets the kernel forget these files; the server is down, so that none is mapped."""
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            os.fsync(file)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


# ---- Answers ----


def rows_of(question, body):
    """The answer as {series: {time: value}}, in any order; lists of names and label sets as keys alone."""
    data = json.loads(body)["data"]
    if question.kind in ("series", "values"):
        return {json.dumps(row, sort_keys=True): {} for row in data}
    rows = {}
    for row in data["result"]:
        points = row["values"] if "values" in row else [row["value"]]
        rows[json.dumps(row["metric"], sort_keys=True)] = {float(time): float(value) for time, value in points}
    return rows


def differs(ours, theirs, with_values):
    """What differs first, as a sentence; None where nothing does."""
    if len(ours) != len(theirs):
        return f"{len(ours)} series and {len(theirs)}"
    if not with_values:
        return None
    for series, points in ours.items():
        if series not in theirs:
            return f"{series} is missing there"
        other = theirs[series]
        if points.keys() != other.keys():
            return f"{series} has {len(points)} points and {len(other)}"
        for moment, value in points.items():
            same = value == other[moment] or (math.isnan(value) and math.isnan(other[moment]))
            if not same and abs(value - other[moment]) > TOLERANCE * max(abs(value), abs(other[moment])):
                return f"{series} at {moment} is {value} and {other[moment]}"
    return None


def compare(questions, answers, first):
    """Lines about answers that are not those of `first`. `answers`: server -> question -> body."""
    lines = []
    for question in questions:
        mine = answers[first].get(question.name)
        if mine is None:
            continue
        ours = rows_of(question, mine)
        for name, all_of_it in answers.items():
            theirs = all_of_it.get(question.name)
            if name == first or theirs is None:
                continue
            with_values = question.compared == "all" or (question.compared == "prom" and not name.startswith("victoria"))
            difference = differs(ours, rows_of(question, theirs), with_values)
            if difference:
                lines.append(f"{question.name}: {first} and {name}: {difference}")
    return lines


# ---- Figures ----


def geometric_mean(values):
    values = [value for value in values if value is not None and value > 0]  # no NaN either
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else float("nan")


def ask_until_steady(client, process, question, start_s, end_s, repeats):
    """((median wall ms, median CPU ms), the last answer) of at least `repeats`, more of what is quick; (None, None) where it is refused."""
    walls, busy, body = [], [], None
    while len(walls) <= repeats or (len(walls) <= REPEATS_MAX and sum(walls) < STEADY_MS):
        before = cpu_ns(process.pid)
        took, body = client.ask(question, start_s, end_s)
        if took is None:
            print(f"{question.name}: {body}")
            return None, None
        walls.append(took * 1e3)
        busy.append((cpu_ns(process.pid) - before) / 1e6)
    return (statistics.median(walls[1:]), statistics.median(busy[1:])), body  # the first one warms


def measure_warm(clients, servers, questions, start_s, end_s, repeats, say=None):
    """The servers in turn, question by question: {server: {question: (wall ms, CPU ms)}} as medians, and the answers."""
    figures = {name: {} for name in clients}
    answers = {name: {} for name in clients}
    for question in questions:
        for name, client in clients.items():
            figures[name][question.name], body = ask_until_steady(client, servers[name].process, question, start_s, end_s, repeats)
            if body is not None:
                answers[name][question.name] = body
        if say:
            say(question, {name: figures[name][question.name] for name in clients})
    return figures, answers


def measure_once(client, questions, start_s, end_s, nocache, bodies=None):
    """Each question once: {question: wall ms}; the answers go to `bodies`."""
    times = {}
    for question in questions:
        took, body = client.ask(question, start_s, end_s, nocache)
        if bodies is not None and took is not None:
            bodies[question.name] = body
        times[question.name] = None if took is None else took * 1e3
    return times


def measure_dashboard(client, questions, start_s, end_s, repeats):
    """All range queries one after the other, result caches on: (ms the first time, median ms of loading it again)."""
    ranges = [question for question in questions if question.kind == "range"]
    totals = [sum(took or 0 for took in measure_once(client, ranges, start_s, end_s, False).values()) for _ in range(repeats + 1)]
    return totals[0], statistics.median(totals[1:])


def ratios(figures, first, other, names, place):
    """How many times longer `other` takes, for the questions that both answered."""
    return [figures[other][name][place] / figures[first][name][place] for name in names
            if figures[other].get(name) and figures[first].get(name) and figures[first][name][place] > 0]


def summary(questions, figures):
    """Geometric means of the ratios to the first server, and every question at which a peer is faster."""
    servers = list(figures)
    first, lines = servers[0], []
    groups = {"all": [question.name for question in questions],
              "wide": [question.name for question in questions if question.group == "wide"]}
    for other in servers[1:]:
        for title, names in groups.items():
            for place, what in ((0, "wall"), (1, "CPU")):
                found = ratios(figures, first, other, names, place)
                if found:
                    lines.append(f"{other}: ×{geometric_mean(found):.2f} in {what}, geometric mean of {len(found)} ({title})")
        slower = [name for name in groups["all"] if figures[other].get(name) and figures[first].get(name)
                  and figures[other][name][0] < figures[first][name][0]]
        lines.append(f"{other}: faster than {first} at: {', '.join(slower) or 'none'}")
    return lines
