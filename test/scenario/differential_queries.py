"""Random queries of PromQL that are well typed, as trees, so that a failing one can be cut down to the part that fails.

Two things are kept in mind while a query grows:

- `exact`: whether its values are the same to the last bit on both servers (sums and differences of the data are, quotients are not).
  What jumps at a border (comparisons, topk, floor, changes, …) is only asked of exact values, as a last bit would become an answer.
- Whatever 2.42 and 3.x answer differently on purpose is not asked; see `differential_test.py` for the list.
"""

from differential_data import BASE_MS, COUNTERS, MINUTES

# Functions that both know, by what they take and whether they want, and keep, exact values.
#          name           wants exact  gives exact
MAPS = {"abs": (False, True), "ceil": (True, True), "floor": (True, True), "exp": (True, False), "sqrt": (False, False), "ln": (True, False),
        "log2": (True, False), "log10": (True, False), "sin": (True, False), "cos": (True, False), "tan": (True, False),
        "asin": (True, False), "acos": (True, False), "atan": (False, False), "sinh": (True, False), "cosh": (True, False),
        "tanh": (False, False), "asinh": (False, False), "acosh": (True, False), "atanh": (True, False), "deg": (False, False),
        "rad": (False, False), "sgn": (True, True)}
DATES = ["minute", "hour", "day_of_month", "day_of_week", "day_of_year", "days_in_month", "month", "year"]
RATES = ["rate", "increase", "irate"]  # of counters only
RANGES = {"delta": (True, False), "idelta": (True, True), "deriv": (True, False), "changes": (True, True), "resets": (True, True),
          "avg_over_time": (True, False), "sum_over_time": (True, True), "min_over_time": (False, True), "max_over_time": (False, True),
          "count_over_time": (False, True), "last_over_time": (False, True), "present_over_time": (False, True),
          "stddev_over_time": (True, False), "stdvar_over_time": (True, False)}
AGGREGATIONS = {"sum": (False, True), "avg": (False, False), "min": (False, True), "max": (False, True), "count": (False, True),
                "group": (False, True), "stddev": (True, False), "stdvar": (True, False)}
ARITHMETIC = ["+", "-", "*", "/", "%", "^", "atan2"]
COMPARISONS = ["==", "!=", "<", "<=", ">", ">="]
SETS = ["and", "or", "unless"]
GROUPINGS = ["", " by (job)", " by (inst)", " by (job, inst)", " without (inst)", " without (code, zone)", " by (code)", " by (nothing)",
             " without ()", " by (job, inst, code)"]
PLAIN = ["req_total", "bytes_total", "temp", "level", "flat", "meta", "lat_count"]
MATCHERS = ['job="api"', 'job!="api"', 'inst=~"a|b"', 'inst!~"c.*"', 'code="200"', 'code=~".*"', 'zone=""', 'inst=~".+"', 'job=~"(?i)DB"',
            'job=~"d[a-c]"', 'nothing=""']


class Expr:
    """A piece of a query: texts and pieces; `kind` is vector, scalar, matrix or part."""

    def __init__(self, kind, exact, *pieces):
        self.kind, self.exact, self.pieces = kind, exact, pieces

    def __str__(self):
        return "".join(map(str, self.pieces))

    def parts(self):
        """All pieces that are queries themselves, the smallest first."""
        found = []
        for piece in self.pieces:
            if isinstance(piece, Expr):
                found += piece.parts()
        if self.kind in ("vector", "scalar"):
            found.append(self)
        return sorted(found, key=lambda part: len(str(part)))


class Queries:
    """One random query per call of `vector`; `used` counts what stood in them."""

    def __init__(self, chance, used):
        self.chance, self.used = chance, used

    def pick(self, *choices):
        return self.chance.choice(choices)

    def use(self, name):
        self.used[name] = self.used.get(name, 0) + 1
        return name

    def table(self, table, exact, names=None):
        """A row of a table that gives exact values where they are wanted: its name, and what it wants."""
        rows = [name for name in (names or table) if table[name][1] or not exact]
        name = self.use(self.chance.choice(rows))
        return name, table[name][0] or exact

    # ---- Selectors ----

    def moved(self, at=True):
        chance = self.chance
        text = ""
        if at and chance.random() < 0.15:
            text += self.use(" @ ") + self.pick("start()", "end()", f"{BASE_MS // 1000 + chance.randrange(0, MINUTES * 60)}.5")
        if chance.random() < 0.2:
            text += self.use(" offset ") + self.pick("1m", "10s", "5m", "-30s", "-2m", "1s", "13m")
        return text

    def name(self, names=None):
        chance = self.chance
        name = chance.choice(names or PLAIN)
        matchers = chance.sample(MATCHERS, chance.choice([0, 0, 0, 1, 1, 2]))
        if chance.random() < 0.05 and not names:
            name = self.pick("", "", "missing")
            if not name:
                matchers = [self.pick('__name__=~"temp|flat|level"', '__name__=~".*_total"', '__name__!~"lat.*|wild|nh"'), 'inst=~".+"']
        if chance.random() < 0.03 and name:
            matchers, name = [f'__name__="{name}"'] + matchers, ""
        return name + ("{" + ", ".join(matchers) + "}" if matchers else "")

    def selector(self, exact, names=None):
        if not names and not exact and self.chance.random() < 0.05:
            names = ["wild"]
        return Expr("vector", True, self.name(names), self.moved())

    def range(self):
        return self.pick("15s", "30s", "1m", "2m", "5m", "10m", "61s", "20m")

    def matrix(self, depth, exact, names=None, at=True):
        if depth > 0 and self.chance.random() < 0.3:
            self.use("subquery")
            inner = self.selector(exact, names) if names else self.vector(depth - 1, exact)
            # Never a multiple of a step: see differential_data.py.
            span = self.pick("30s", "1m", "2m", "5m", "9m") + "250ms"
            step = self.pick("", "10s", "15s", "30s", "1m", "7s", "2m")
            if step in ("7s", "10s") and depth > 1:
                step = "30s"
            text = f"[{span}:{step}]"
            simple = inner.pieces and not str(inner).startswith("-") and names
            return Expr("matrix", inner.exact, *((inner,) if simple else ("(", inner, ")")), text, self.moved(at))
        return Expr("matrix", True, self.name(names or (PLAIN + ["wild"] if not exact and self.chance.random() < 0.1 else None)),
                    f"[{self.range()}]", self.moved(at))

    # ---- Scalars ----

    def scalar(self, depth, exact=True):
        chance = self.chance
        if depth > 0 and chance.random() < 0.25:
            shape = self.pick("scalar", "binary", "time", "pi", "bool")
            if shape == "scalar":
                inner = self.vector(depth - 1, exact)
                return Expr("scalar", inner.exact, self.use("scalar"), "(", inner, ")")
            if shape == "binary":
                left, right = self.scalar(depth - 1), self.scalar(depth - 1)
                return Expr("scalar", True, "(", left, f" {self.pick('+', '-', '*')} ", right, ")")
            if shape == "bool":
                return Expr("scalar", True, "(", self.scalar(0), f" {self.use(chance.choice(COMPARISONS))} bool ", self.scalar(0), ")")
            return Expr("scalar", shape == "time", self.use(shape), "()")
        return Expr("scalar", True, self.pick("0", "1", "2", "-1", "3", "0.5", "10", "100", "-0.25", "1e3", "0x1F", "NaN", "Inf", "-Inf", "4"))

    def number(self, *choices):
        return Expr("part", True, self.pick(*choices))

    # ---- Vectors ----

    def aggregate(self, depth, exact):
        chance = self.chance
        if chance.random() < 0.2:
            name = self.use(self.pick("topk", "bottomk"))
            inner = self.vector(depth - 1, True)
            # Of equal values either may be taken: the data has few, a count or a sign has many.
            inner = self.distinct(depth - 1)
            return Expr("vector", True, name, self.pick("", " by (job)", " without (inst)"), "(", self.number("1", "2", "3", "0", "5"), ", ",
                        inner, ")")
        if chance.random() < 0.08 and not exact:
            return Expr("vector", False, self.use("quantile"), self.pick(*GROUPINGS), "(", self.number("0.37", "0.9", "0.5", "0", "1", "1.5",
                        "-1", "0.99"), ", ", self.vector(depth - 1, True), ")")
        if chance.random() < 0.06:
            return Expr("vector", True, self.use("count_values"), self.pick("", " by (job)"), '("', self.pick("value", "job"), '", ',
                        self.vector(depth - 1, True), ")")
        name, wants = self.table(AGGREGATIONS, exact)
        # Of NaN and infinities alone 2.42 gives 0 as the deviation, 3.x NaN.
        inner = self.distinct(depth - 1) if name in ("stddev", "stdvar") else self.vector(depth - 1, wants)
        grouping = self.chance.choice(GROUPINGS)
        gives = AGGREGATIONS[name][1] and (inner.exact or name in ("count", "group"))
        if grouping and chance.random() < 0.3:
            return Expr("vector", gives, name, " (", inner, ")", grouping)
        return Expr("vector", gives, name, grouping, " (", inner, ")")

    def distinct(self, depth):
        """Values that are hardly ever equal."""
        inner = self.selector(True, ["req_total", "bytes_total", "temp", "level"])
        if depth > 0 and self.chance.random() < 0.4:
            return Expr("vector", True, self.pick("sum", "max", "min"), self.pick(" by (job)", " by (inst)", " by (job, inst)"), " (", inner, ")")
        if depth > 0 and self.chance.random() < 0.2:
            return Expr("vector", True, "-", inner)
        return inner

    def rate(self, depth, name=None):
        name = self.use(name or self.chance.choice(RATES))
        return Expr("vector", False, name, "(", self.matrix(depth - 1, True, COUNTERS), ")")

    def over_range(self, depth, exact):
        chance = self.chance
        if not exact and chance.random() < 0.3:
            return self.rate(depth)
        if not exact and chance.random() < 0.25:
            name = self.use(self.pick("quantile_over_time", "predict_linear", "holt_winters"))
            # With @ under predict_linear 2.42 moves the window with the steps all the same.
            inner = self.matrix(depth - 1, True, at=name != "predict_linear")
            if name == "quantile_over_time":
                return Expr("vector", False, name, "(", self.number("0.37", "0.9", "0", "1", "-1", "2"), ", ", inner, ")")
            if name == "predict_linear":
                return Expr("vector", False, name, "(", inner, ", ", self.number("60", "3600", "-30", "0"), ")")
            return Expr("vector", False, name, "(", inner, ", ", self.number("0.5", "0.1"), ", ", self.number("0.3", "0.9"), ")")
        if chance.random() < 0.05:
            return Expr("vector", True, self.use("absent_over_time"), "(", self.matrix(0, exact), ")")
        name, wants = self.table(RANGES, exact)
        inner = self.matrix(depth - 1, wants)
        gives = RANGES[name][1] and (inner.exact or name in ("count_over_time", "present_over_time"))
        return Expr("vector", gives, name, "(", inner, ")")

    # ---- Native histograms ----

    def native(self, depth):
        """A vector of native histograms: of what both versions compute alike (2.42 makes zeros of them in last_over_time, label_replace)."""
        if depth <= 0:
            return Expr("vector", True, self.name(["nh"]), self.moved())
        shape = self.pick("selector", "rate", "rate", "sum", "sum", "paren", "set", "add")
        if shape == "rate":
            return Expr("vector", False, self.pick("rate", "increase"), "(", self.name(["nh"]), f"[{self.range()}]", self.moved(), ")")
        inner = self.native(depth - 1)
        if shape == "sum":
            return Expr("vector", False, "sum", self.pick("", " by (job)", " without (inst)"), " (", inner, ")")
        if shape == "paren":
            return Expr("vector", inner.exact, "(", inner, ")")
        if shape == "set":
            return Expr("vector", inner.exact, "(", inner, self.pick(" and ", " unless ", " or "), self.pick("", "on (job, inst) "),
                        self.selector(True, ["temp", "flat"]), ")")
        if shape == "add":
            return Expr("vector", False, "(", inner, " + ", Expr("vector", inner.exact, *inner.pieces), ")")
        return Expr("vector", True, self.name(["nh"]), self.moved())

    def of_native(self, depth):
        """Numbers about native histograms."""
        name = self.use(self.pick("histogram_count", "histogram_count", "histogram_sum", "histogram_sum", "native count", "native range"))
        if name == "native count":
            return Expr("vector", True, self.pick("count", "group"), self.chance.choice(GROUPINGS), " (", self.native(depth - 1), ")")
        if name == "native range":
            return Expr("vector", True, self.pick("count_over_time", "present_over_time"), "(", self.name(["nh"]), f"[{self.range()}]",
                        self.moved(), ")")
        return Expr("vector", False, name, "(", self.native(depth - 1), ")")

    def call(self, depth, exact):
        chance = self.chance
        if not exact and chance.random() < 0.08:
            return self.of_native(depth)
        shape = chance.choice(["map"] * 5 + ["clamp"] * 2 + ["round", "date", "timestamp", "absent", "vector", "label", "label", "sort",
                                                            "histogram"])
        if shape == "map":
            name, wants = self.table(MAPS, exact)
            inner = self.vector(depth - 1, wants)
            return Expr("vector", MAPS[name][1] and inner.exact, name, "(", inner, ")")
        if shape == "clamp":
            name = self.use(self.pick("clamp", "clamp_min", "clamp_max"))
            inner = self.vector(depth - 1, exact)
            pieces = [name, "(", inner, ", ", self.scalar(depth - 1)]
            if name == "clamp":
                pieces += [", ", self.scalar(depth - 1)]
            return Expr("vector", inner.exact and all(piece.exact for piece in pieces if isinstance(piece, Expr)), *pieces, ")")
        if shape == "round":
            inner = self.vector(depth - 1, True)
            return Expr("vector", False, self.use("round"), "(", inner, self.pick("", ", 5", ", 0.25", ", 10", ", -1"), ")") if not exact else \
                Expr("vector", True, "floor(", inner, ")")
        if shape == "date":
            # Not of NaN and infinities: there Go gives what the processor makes of them.
            name = self.use(chance.choice(DATES))
            inner = self.pick("", self.selector(True, ["temp", "req_total"]), Expr("vector", True, "vector(time() * ", self.pick("1", "3", "-7"), ")"))
            return Expr("vector", True, name, "(", inner, ")")
        if shape == "timestamp" and not exact:
            # With @ Prometheus forgets the offset under timestamp().
            inner = Expr("vector", True, self.name(), self.pick("", " offset 1m", " offset -30s", " @ start()", " @ end()"))
            return Expr("vector", False, self.use("timestamp"), "(", inner, ")")
        if shape == "absent":
            return Expr("vector", True, self.use("absent"), "(", self.vector(depth - 1, exact), ")")
        if shape == "vector":
            inner = self.scalar(depth - 1, exact)
            return Expr("vector", inner.exact, self.use("vector"), "(", inner, ")")
        if shape == "label":
            inner = self.vector(depth - 1, exact)
            if chance.random() < 0.5:
                return Expr("vector", inner.exact, self.use("label_join"), "(", inner, self.pick(', "both", "-", "job", "inst")', ', "new", "", "code")',
                                                                                          ', "job", "/", "job", "job", "missing")', ', "x", "-")'))
            return Expr("vector", inner.exact, self.use("label_replace"), "(", inner,
                        self.pick(', "new", "$1", "job", "(.).*")', ', "job", "x", "inst", "a")', ', "inst", "", "missing", "")',
                                  ', "new", "${1}-$2", "inst", "(a)|(b)")', ', "new", "$0", "code", "[0-9]+")', ', "__name__", "made", "", "")'))
        if shape == "sort":
            inner = self.distinct(depth - 1)
            return Expr("vector", True, self.use(self.pick("sort", "sort_desc")), "(", inner, ")")
        if shape == "histogram" and not exact:
            inner = self.selector(True, ["lat_bucket"])
            if chance.random() < 0.6:
                inner = Expr("vector", False, self.pick("rate", "increase"), "(", self.name(["lat_bucket"]), f"[{self.range()}]", ")")
            if chance.random() < 0.4:
                inner = Expr("vector", False, "sum by (", self.pick("le", "job, le"), ") (", inner, ")")
            return Expr("vector", False, self.use("histogram_quantile"), "(", self.number("0.37", "0.83", "0.991", "-1", "2", "0.123"), ", ", inner, ")")
        return self.vector(depth - 1, exact)

    def sides(self, depth, exact, unique=False):
        """Two vectors and a matching under which they meet; `unique`: no two of one side do."""
        shape = self.pick("same", "grouped", "grouped", "many", "ones", "grouped" if unique else "free")
        if shape == "same":
            left = self.vector(depth - 1, exact)
            right = Expr("vector", left.exact, *left.pieces) if self.chance.random() < 0.5 else self.vector(depth - 1, exact)
            return left, "", right
        if shape == "grouped":
            labels = self.pick("job", "inst", "job, inst", "")
            left = Expr("vector", False, "sum by (", labels, ") (", self.vector(depth - 2, exact), ")")
            right = Expr("vector", False, self.pick("max", "count", "sum"), " by (", labels, ") (", self.vector(depth - 2, exact), ")")
            left.exact, right.exact = left.pieces[3].exact, right.pieces[4].exact
            return left, self.pick("", f"on ({labels}) ", "ignoring (code) "), right
        if shape == "many":
            left = self.selector(True, ["req_total", "temp", "bytes_total", "level"])
            one = self.selector(True, ["meta"])
            matching = self.pick("on (job, inst) group_left () ", "on (job, inst) group_left (version) ",
                                 "ignoring (version, code, zone) group_left (version) ")
            if self.chance.random() < 0.3:
                return one, matching.replace("group_left", "group_right"), left
            return left, matching, one
        if shape == "ones":
            return self.selector(True, ["temp", "flat", "level"]), self.pick("on (job, inst) ", "ignoring (zone) "), \
                self.selector(True, ["flat", "bytes_total", "temp"])
        matching = self.pick("", "on (job) ", "ignoring (inst) ", "on (job, inst) ", "on () ", "on (inst) group_left (job) ",
                             "ignoring (code) group_right () ")
        return self.vector(depth - 1, exact), matching, self.vector(depth - 1, exact)

    def binary(self, depth, exact):
        chance = self.chance
        shape = chance.choice(["vectors", "vectors", "left", "right", "set", "compare", "compare scalar"])
        if shape in ("left", "right"):
            op = self.use(self.pick("+", "-") if exact else chance.choice(ARITHMETIC))
            wants = exact or op in ("+", "-", "%", "^", "atan2")
            # 2.42 forgets to drop the name behind atan2: series of one name, which something else drops.
            vector = self.selector(True, PLAIN) if op == "atan2" else self.vector(depth - 1, wants)
            scalar = self.scalar(depth - 1, wants)
            gives = op in ("+", "-", "%") and vector.exact and scalar.exact
            pieces = (vector, f" {op} ", scalar) if shape == "left" else (scalar, f" {op} ", vector)
            if op == "atan2":
                return Expr("vector", False, "-(", *pieces, ")")
            return Expr("vector", gives, "(", *pieces, ")")
        if shape == "compare scalar":
            op = self.use(chance.choice(COMPARISONS))
            vector, scalar = self.vector(depth - 1, True), self.scalar(depth - 1)
            swapped = chance.random() < 0.3
            first, second = (scalar, vector) if swapped else (vector, scalar)
            return Expr("vector", True, "(", first, f" {op} ", self.pick("", "bool "), second, ")")
        if shape == "set":
            op = self.use(chance.choice(SETS))
            left, matching, right = self.sides(depth, exact)
            matching = matching.split("group_")[0]
            return Expr("vector", left.exact and right.exact, "(", left, f" {op} ", matching, right, ")")
        if shape == "compare":
            # A comparison that is false is a match in 3.x, and none in 2.42: then a second match is an error in 3.x only.
            bool_given = chance.random() < 0.5
            left, matching, right = self.sides(depth, True, unique=not bool_given)
            if not (left.exact and right.exact):
                return left
            return Expr("vector", True, "(", left, f" {self.use(chance.choice(COMPARISONS))} ", "bool " if bool_given else "", matching, right,
                        ")")
        op = self.use(self.pick("+", "-") if exact else chance.choice(ARITHMETIC))
        if op == "atan2":
            left, matching, right = self.selector(True, ["temp", "flat"]), "on (job, inst) ", self.selector(True, ["flat", "temp"])
            return Expr("vector", False, "-(", left, " atan2 ", matching, right, ")")
        left, matching, right = self.sides(depth, exact or op in ("+", "-", "%", "^"))
        if op not in ("*", "/") and not (left.exact and right.exact):
            op = "*"
        gives = op in ("+", "-", "%") and left.exact and right.exact
        return Expr("vector", gives, "(", left, f" {op} ", matching, right, ")")

    def vector(self, depth, exact=False):
        if depth <= 0:
            return self.selector(exact)
        shape = self.chance.choice(["selector", "minus", "paren"] + ["aggregate"] * 4 + ["range"] * 4 + ["call"] * 4 + ["binary"] * 5)
        if shape == "selector":
            return self.selector(exact)
        if shape == "minus":
            inner = self.vector(depth - 1, exact)
            return Expr("vector", inner.exact, self.pick("-", "-", "+"), "(", inner, ")")
        if shape == "paren":
            inner = self.vector(depth - 1, exact)
            return Expr("vector", inner.exact, "(", inner, ")")
        made = {"aggregate": self.aggregate, "range": self.over_range, "call": self.call, "binary": self.binary}[shape](depth, exact)
        return made if made.exact or not exact else self.selector(True)


def all_names():
    """Everything that a long run has to have asked."""
    return (list(MAPS) + DATES + RATES + list(RANGES) + list(AGGREGATIONS) + ARITHMETIC + COMPARISONS + SETS +
            ["topk", "bottomk", "quantile", "count_values", "quantile_over_time", "predict_linear", "holt_winters", "absent_over_time", "clamp",
             "clamp_min", "clamp_max", "round", "timestamp", "absent", "vector", "label_join", "label_replace", "sort", "sort_desc",
             "histogram_quantile", "histogram_count", "histogram_sum", "native count", "native range", "scalar", "time", "pi", "subquery", " @ ", " offset "])
