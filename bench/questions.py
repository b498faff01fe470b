"""Asking the query set: cold, warm and repeated runs, answers compared among servers, geometric means."""

import http.client
import json
import math
import os
import pathlib
import statistics
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
STEP_S = 60
TOLERANCE = 1e-9


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
    """One connection that is kept, as a dashboard has it."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def ask(self, question, start_s, end_s, nocache=True):
        """(seconds, body); (None, message) where it is refused."""
        path, arguments = question.path(start_s, end_s, nocache)
        target = f"{path}?{urllib.parse.urlencode(arguments)}"
        begun = time.perf_counter()
        self.connection.request("GET", target)
        answer = self.connection.getresponse()
        body = answer.read()
        took = time.perf_counter() - begun
        return (took, body) if answer.status == 200 else (None, body.decode(errors="replace")[:300])

    def close(self):
        self.connection.close()


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


def measure_warm(clients, servers, questions, start_s, end_s, repeats, say=None):
    """The servers in turn, question by question: {server: {question: (wall ms, CPU ms)}} as medians, and the answers."""
    figures = {name: {} for name in clients}
    answers = {name: {} for name in clients}
    for question in questions:
        walls, busy = {name: [] for name in clients}, {name: [] for name in clients}
        for number in range(repeats + 1):
            for name, client in clients.items():
                if question.name in figures[name]:
                    continue
                before = cpu_ns(servers[name].process.pid)
                took, body = client.ask(question, start_s, end_s)
                if took is None:
                    print(f"{name}: {question.name}: {body}")
                    figures[name][question.name] = None
                    continue
                answers[name][question.name] = body
                if number > 0:  # the first one warms
                    walls[name].append(took * 1e3)
                    busy[name].append((cpu_ns(servers[name].process.pid) - before) / 1e6)
        for name in clients:
            if question.name not in figures[name]:
                figures[name][question.name] = (statistics.median(walls[name]), statistics.median(busy[name]))
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
