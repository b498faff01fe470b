#!/usr/bin/env python3
"""Random data and random queries to a real Debian prometheus and to Traceo: the answers have to be the same.

    differential_test.py TRACEO [--queries 500] [--seed 1|now] [--only NUMBER]

The samples go to both by remote write, then each query to both, as an instant query or over time. Labels, times, types and
the class of errors have to be equal, the order where the query says one, values within 1e-9 relative. What differs is
printed whole, cut down to its smallest part that differs, with the command that repeats it. `--only` asks one query of a seed.

2.42 and 3.x differ on purpose; Traceo follows 3.x, and these are asked around:

- ranges, lookbacks and subqueries are open on the left in 3.x: no sample and no step of a subquery stands on a border;
- near zero `rate` and `increase` extrapolate less in 3.x: counters are high, and subqueries of other values are not given to them;
- `holt_winters` has a new name in 3.x and an old one here;
- `atan2` keeps the metric name in 2.42: only of one name, and something behind it drops it;
- in 3.x a comparison that is false counts as a match: without `bool` it is only asked where no second match can come;
- stddev and stdvar of NaN alone are 0 in 2.42 and NaN in 3.x: they get finite values;
- predict_linear over a range with @ moves with the steps in 2.42: not asked;
- dates of NaN and infinities are what Go's processor makes of them, and NaN here: not asked;
- with @ under `timestamp()` Prometheus forgets an offset, Traceo does not: not asked together.
"""

import argparse
import json
import random
import shutil
import sys
import time

from beside import Client, both, difference, fill
from differential_data import BASE_MS, MINUTES, Data
from differential_queries import Queries, all_names
from traceo import Tap

class Question:
    """One query of a seed and when it is asked."""

    def __init__(self, seed, number, used):
        chance = random.Random(f"query:{seed}:{number}")
        queries = Queries(chance, used)
        self.expr = queries.native(2) if chance.random() < 0.03 else queries.vector(chance.choice([1, 2, 2, 3, 3, 4]))
        at = BASE_MS // 1000 + chance.randrange(60, MINUTES * 60 + 400)
        self.arguments = {"time": f"{at}.5"}
        self.path = "/api/v1/query"
        if chance.random() < 0.5:
            step = chance.choice([1, 5, 13, 15, 30, 60, 97, 300])
            self.path = "/api/v1/query_range"
            self.arguments = {"start": f"{at}.5", "end": f"{at + step * chance.randrange(0, 40)}.5", "step": str(step)}

    def ordered(self, text):
        # 2.42 gives the groups of topk in any order.
        return self.path == "/api/v1/query" and text.startswith(("sort(", "sort_desc(", "topk(", "bottomk("))

    def compare(self, text, mine, theirs):
        a = mine.ask(self.path, query=text, **self.arguments)
        b = theirs.ask(self.path, query=text, **self.arguments)
        return difference(a, b, self.ordered(text)), a, b

    def smallest(self, mine, theirs):
        """The smallest part that differs by itself."""
        for part in self.expr.parts():
            why, _, _ = self.compare(str(part), mine, theirs)
            if why:
                return str(part), why
        return None, None


# ---- Running --------------------------------------------------------------------------------------


def run(tap, options, mine, theirs):
    used, counts = {}, {"same": 0, "errors": 0, "empty": 0}
    numbers = [options.only] if options.only is not None else range(options.queries)
    different = 0
    for number in numbers:
        question = Question(options.seed, number, used)
        text = str(question.expr)
        why, a, b = question.compare(text, mine, theirs)
        if why is None:
            counts["same"] += 1
            counts["errors"] += a["status"] != "success"
            counts["empty"] += a["status"] == "success" and not a["data"]["result"]
            continue
        different += 1
        if different > options.shown:
            continue
        part, part_why = question.smallest(mine, theirs)
        tap.check(False, f"query {number}", f"{text}\n{question.path} {question.arguments}\n{why}\n"
                  f"smallest part: {part}\n    {part_why}\n"
                  f"traceo:     {json.dumps(a)[:1500]}\nprometheus: {json.dumps(b)[:1500]}\n"
                  f"again: test/scenario/differential_test.py build/traceo --seed {options.seed} --only {number}")
    total = len(numbers)
    print(f"# seed {options.seed}: {total} queries, {counts['same']} answered alike ({counts['errors']} of them errors, {counts['empty']} empty)")
    tap.check(different == 0, f"{total} random queries are answered alike", f"{different} differ")
    if options.only is None:
        tap.check(counts["errors"] < total * 0.35, "most queries are answered, not refused", f"{counts['errors']} of {total} are errors")
        if total >= 5000:
            missing = [name for name in all_names() if name not in used]
            tap.check(not missing, "every function and operator both know was asked", f"not: {missing}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seed", type=lambda text: int(time.time()) if text == "now" else int(text), default=1, help="a number, or now")
    parser.add_argument("--only", type=int)
    parser.add_argument("--shown", type=int, default=10)
    options = parser.parse_args()
    tap = Tap()
    if not shutil.which("prometheus"):
        tap.skip("random queries beside a real prometheus", "prometheus is not installed")
        return tap.end()
    flushes = {number for number in range(9) if random.Random(f"flush:{options.seed}:{number}").random() < 0.3}
    print(f"# seed {options.seed}: blocks are made at {len(flushes)} moments while the samples come")
    with both() as (server, prometheus):

        def after(target, number, connection):
            if target is not server or number not in flushes:
                return
            connection.request("POST", "/api/traceo/v1/flush")
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"no flush: {answer.status} {said[:300]!r}")

        fill([server, prometheus], Data(options.seed).requests(), after)
        run(tap, options, Client(server.port), Client(prometheus.port))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
