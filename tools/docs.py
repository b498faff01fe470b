#!/usr/bin/env python3
"""The manual's tables come from the tables of the program, and what the manual names exists.

    docs.py              writes the sections between `<!-- made by tools/docs.py: NAME -->` and `<!-- end -->`
    docs.py --check      fails when a section is stale, or a link, path, function, test, command, flag, metric,
                         setting or route that the manual names does not exist
    docs.py --self-test  plants one fault of each kind and sees that it is found

The .def files are read as they stand, so no binary is needed.
"""

import os
import pathlib
import re
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SECTION = re.compile(r"(<!-- made by tools/docs\.py: ([a-z_]+) -->\n)(.*?)(<!-- end -->)", re.S)
RULES = 25  # W1 to W25 of docs/durability.md
# Written by the programs that measure (`make bench`, the script runner): not checked here, and not in every checkout.
MEASURED = {"docs/benchmarks.md", "docs/conformance.md"}


# ---- Reading tables of C ---------------------------------------------------------------------------

def tokens_of(source):
    """Strings (as ('text', value)), comments left out, everything else character by character."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"((?:[^"\\]|\\.)*)"|(.)', re.S)
    for match in pattern.finditer(source):
        if match.group(2) is not None:
            yield "char", match.group(2)
        elif match.group(1) is not None:
            yield "text", match.group(1).replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")


def rows_of(path, macro):
    """The arguments of each MACRO(…) in a .def file. Strings come without quotes, neighbours joined."""
    rows, word, depth, row, cell, is_text = [], "", 0, [], "", False
    for kind, value in tokens_of(path.read_text()):
        if depth == 0:
            if kind == "char" and (value.isalnum() or value == "_"):
                word += value
            elif (kind, value) == ("char", "(") and word == macro:
                depth, row, cell, is_text = 1, [], "", False
            else:
                word = ""
            continue
        if kind == "text":
            cell = (cell if is_text else "") + value
            is_text = True
            continue
        depth += (value in "({") - (value in ")}")
        if depth == 0 or (depth == 1 and value == ","):
            row.append(cell if is_text else cell.strip())
            cell, is_text = "", False
            if depth == 0:
                rows.append(row)
                word = ""
        elif not is_text:
            cell += value
    if not rows:
        sys.exit(f"docs: no {macro}(…) in {path}")
    return rows


def number_of(text):
    """`16 * MB` and `INT64_C(7)` as a number."""
    units = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
    value = 1
    for part in re.sub(r"INT64_C\((\d+)\)", r"\1", text).split("*"):
        value *= units[part.strip()] if part.strip() in units else int(part)
    return value


def with_unit(value, unit):
    if unit == "bytes":
        for name, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
            if value >= size and value % size == 0:
                return f"{value // size} {name}"
    if unit == "ms" and value % 1000 == 0:
        for name, size in (("years", 31557600000), ("min", 60000), ("s", 1000)):
            if value >= size and value % size == 0:
                return f"{value // size} {name}"
    return f"{value:,} {unit}"


# ---- Writing tables of Markdown --------------------------------------------------------------------

def cell_text(text):
    return text.replace("\n", " ").replace("|", "\\|")


def code(text):
    return f"`{cell_text(text)}`" if text else ""


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row).replace("  ", " ") + " |" for row in rows]
    return "\n".join(lines) + "\n"


VALUES = {"VECTOR": "instant vector", "MATRIX": "range vector", "SCALAR": "scalar", "STRING": "string"}


SCRAPE_KINDS = {"TEXT": "text", "SECRET": "secret", "URL": "URL", "PATH": "file", "BOOL": "true or false", "INHERITED": "true or false",
                "COUNT": "number", "PORT": "port", "FLOAT": "number", "DURATION": "duration", "SIZE": "size", "TEXTS": "list",
                "SECRETS": "list of secrets", "PATHS": "list of files", "STRUCT": "keys", "POINTER": "keys", "LIST": "list"}


class Tables:
    """The .def files below `root`, each read once; a method per section."""

    def __init__(self, root):
        src = root / "src"
        self.setting_rows = rows_of(src / "app/settings.def", "SETTING")
        self.limit_rows = rows_of(src / "base/limits.def", "LIMIT")
        self.lock_rows = rows_of(src / "base/locks.def", "LOCK")
        self.error_rows = rows_of(src / "base/error.def", "ERROR")
        self.status_rows = rows_of(src / "server/errors.def", "STATUS")
        self.command_rows = rows_of(src / "cli/commands.def", "COMMAND")
        self.flag_rows = rows_of(src / "cli/flags.def", "FLAG")
        self.function_rows = rows_of(src / "query/promql/functions.def", "FUNCTION")
        self.route_rows = rows_of(src / "server/routes.def", "ROUTE")
        self.param_rows = rows_of(src / "server/params.def", "PARAM")
        self.permission_rows = rows_of(src / "access/permissions.def", "PERMISSION")
        self.family_rows = rows_of(src / "ingest/host/families.def", "FAMILY")
        self.metric_rows = rows_of(src / "server/self_metrics.def", "METRIC") + rows_of(src / "server/self_metrics.def", "FAMILY")

        keys = src / "ingest/scrape/keys.def"
        # The file defines its macros away first: those are no rows.
        self.scrape_rows = {of: [row for row in rows_of(keys, of) if len(row) > 1] for of in (
            "FILE_KEY", "GLOBAL_KEY", "SCRAPE_KEY", "CLIENT_KEY", "PROXY_KEY", "BASIC_KEY", "AUTHORIZATION_KEY", "OAUTH2_KEY", "TLS_KEY",
            "HEADER_KEY", "RELABEL_KEY", "STATIC_KEY", "FILE_SD_KEY", "DNS_SD_KEY", "HTTP_SD_KEY", "FILE_LATER", "GLOBAL_LATER",
            "SCRAPE_LATER", "BASIC_LATER", "AUTHORIZATION_LATER", "OAUTH2_LATER", "TLS_LATER")}

        parser = "\n".join(path.read_text() for path in sorted((src / "query/promql").glob("*.c")))
        self.refused = sorted({text for call in re.findall(r"return parser_unsupported\((.*?);", parser, re.S)
                               for text in re.findall(r'"([^"]*)"', call) if " " in text and "%" not in text})
        tests = "\n".join(path.read_text() for path in src.glob("**/*_test.c"))
        self.test_variables = set(re.findall(r'"(TRACEO_[A-Z_]+)"', tests))

    def settings(self):
        rows = [[code(key), code(standard), cell_text(unit).replace(" ", " \\| ") if kind == "CHOICE" else cell_text(unit),
                 "yes" if reload == "true" else "at start", cell_text(text)]
                for _, key, kind, standard, unit, _, _, reload, text in self.setting_rows]
        return table(["setting", "default", "unit", "reload", "what it does"], rows)

    def limits(self):
        return table(["limit", "value", "why"], [[code(name), with_unit(number_of(value), unit), cell_text(why)]
                                                 for name, value, unit, why in self.limit_rows])

    def locks(self):
        return table(["lock", "protects"], [[code(name), cell_text(what)] for name, what in self.lock_rows])

    def errors(self):
        meaning = {name: text for name, _, text in self.error_rows}
        rows = sorted((int(status), name, kind) for name, status, kind, _ in self.status_rows)
        return table(["status", "errorType", "when"], [[str(status), code(kind), cell_text(meaning[name])] for status, name, kind in rows])

    def commands(self):
        rows = [[code(f"traceo {name} {arguments}".strip()), cell_text(text)]
                for _, name, arguments, _, shown, _, _, _, text, _ in self.command_rows if shown == "true"]
        return table(["command", "what it does"], rows)

    def flags(self):
        names = {identity: name for identity, name, *_ in self.command_rows}
        rows = []
        for _, name, letter, argument, _, which, text in self.flag_rows:
            short = f", -{letter.strip(chr(39))}" if letter != "0" else ""
            of = "every command" if which == "~0u" else ", ".join(names[word.strip().removeprefix("FOR_")] for word in which.split("|"))
            rows.append([code(f"--{name}{short}" + (f" {argument}" if argument else "")), of, cell_text(text)])
        return table(["flag", "of", "what it does"], rows)

    def functions(self):
        rows = []
        for _, name, result, takes, optional, many, state, _, _, text in self.function_rows:
            if state == "NOW":
                rows.append([code(f"{name}({self.takes(takes, optional, many)})"), VALUES[result], cell_text(text)])
        return table(["function", "gives", "what it does"], rows)

    @staticmethod
    def takes(takes, optional, many):
        words = [word.strip() for word in takes.removeprefix("TAKES(").removesuffix(")").split(",")]
        words = [VALUES[word] for word in words if word != "NONE"]
        first_optional = len(words) - int(optional)
        shown = [f"[{word}]" if i >= first_optional else word for i, word in enumerate(words)]
        return ", ".join(shown + (["…"] if many == "MANY" else []))

    def functions_later(self):
        names = [code(row[1]) for row in self.function_rows if row[6] == "LATER"]
        return (", ".join(names) if names else "none") + "\n"

    def language_later(self):
        return "".join(f"- {cell_text(text)}\n" for text in self.refused)

    def routes(self):
        permission = {identity: text for identity, text, _ in self.permission_rows}
        rows = []
        for _, methods, path, family, needs, _, _, _, _, _, parameters, text in self.route_rows:
            rows.append([", ".join(re.findall(r"M\((\w+)\)", methods)), code(path),
                         code(permission[needs]) if needs != "PUBLIC" else "none",
                         ", ".join(code(word) for word in parameters.split()), cell_text(text)])
        return table(["method", "path", "permission", "parameters (`!`: needed)", "what it does"], rows)

    def parameters(self):
        return table(["parameter", "type", "meaning"], [[code(name), kind, cell_text(text)] for name, kind, _, text in self.param_rows])

    def permissions(self):
        return table(["permission", "allows"], [[code(name), cell_text(text)] for _, name, text in self.permission_rows])

    def scrape_table(self, of):
        rows = []
        for name, kind, _, standard, words, _, text in self.scrape_rows[of]:
            if kind != "INLINE":
                kind = ", ".join(word for word in words.split("|") if word) if kind == "CHOICE" else words if kind == "HAND" else SCRAPE_KINDS[kind]
                rows.append([code(name), cell_text(kind), code(standard), cell_text(text)])
        return table(["key", "value", "default", "what it does"], rows)

    def scrape_file(self):
        return self.scrape_table("FILE_KEY")

    def scrape_global(self):
        return self.scrape_table("GLOBAL_KEY")

    def scrape_job(self):
        return self.scrape_table("SCRAPE_KEY")

    def scrape_relabel(self):
        return self.scrape_table("RELABEL_KEY")

    def scrape_client(self):
        return self.scrape_table("CLIENT_KEY") + "".join(
            f"\n{title}\n\n{self.scrape_table(of)}" for title, of in (
                ("`basic_auth`:", "BASIC_KEY"), ("`authorization`:", "AUTHORIZATION_KEY"), ("`oauth2`:", "OAUTH2_KEY"),
                ("`tls_config`:", "TLS_KEY"), ("A name of `http_headers`:", "HEADER_KEY"),
                ("A proxy (beside the keys above, and in `oauth2`):", "PROXY_KEY")))

    def scrape_discovery(self):
        return "\n".join(f"{title}\n\n{self.scrape_table(of)}" for title, of in (
            ("`static_configs`:", "STATIC_KEY"), ("`file_sd_configs`:", "FILE_SD_KEY"), ("`dns_sd_configs`:", "DNS_SD_KEY"),
            ("`http_sd_configs` (and every key of a request, above):", "HTTP_SD_KEY")))

    def scrape_later(self):
        where = {"FILE": "top level", "GLOBAL": "global", "SCRAPE": "scrape_configs", "BASIC": "basic_auth", "AUTHORIZATION": "authorization",
                 "OAUTH2": "oauth2", "TLS": "tls_config"}
        rows = [[code(name), where[of], cell_text(text)] for of in where for name, text in self.scrape_rows[f"{of}_LATER"]]
        return table(["key", "of", "instead"], rows)

    def host_families(self):
        return ", ".join(code(name) for name, _, _ in self.family_rows) + "\n"

    def metrics(self):
        rows = sorted((row[0], row[1].lower(), row[3]) for row in self.metric_rows)
        return table(["metric", "type", "meaning"], [[code(name), kind, cell_text(text)] for name, kind, text in rows])


# ---- Sections --------------------------------------------------------------------------------------

def pages_of(root):
    """The manual: README and ARCHITECTURE at the root, and the pages of docs/."""
    pages = [root / "README.md", root / "ARCHITECTURE.md", *sorted((root / "docs").glob("*.md"))]
    return [page for page in pages if page.exists() and str(page.relative_to(root)) not in MEASURED]


def with_sections(text, tables):
    def fill(match):
        return match.group(1) + getattr(tables, match.group(2))() + match.group(4)
    return SECTION.sub(fill, text)


def stale_sections(root, tables):
    faults = []
    for page in pages_of(root):
        for match in SECTION.finditer(page.read_text()):
            if getattr(tables, match.group(2))() != match.group(3):
                faults.append(f"{page.relative_to(root)}: the section {match.group(2)} is stale; run tools/docs.py")
    return faults


def write_sections(root):
    tables = Tables(root)
    for page in pages_of(root):
        old = page.read_text()
        new = with_sections(old, tables)
        if new != old:
            page.write_text(new)
            print(f"docs: wrote {page.relative_to(root)}")


# ---- What the pages name ---------------------------------------------------------------------------

def prose_of(text):
    """Without code blocks and comments."""
    return re.sub(r"<!--.*?-->", "", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), flags=re.S)


def anchor_of(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def dead_links(root, tables):
    faults = []
    for page in pages_of(root):
        for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page.read_text())):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            there = page if path == "" else pathlib.Path(os.path.normpath(page.parent / path))
            if not there.exists() and os.path.relpath(there, root) not in MEASURED:
                faults.append(f"{page.relative_to(root)}: links to {target}, which does not exist")
            elif anchor and there.exists() and anchor not in [anchor_of(line) for line in re.findall(r"^#+ (.*)$", there.read_text(), re.M)]:
                faults.append(f"{page.relative_to(root)}: links to {target}, but there is no such heading")
    return faults


def is_path(word):
    return re.fullmatch(r"(?:src|docs|test|tools|bench|base|os|codec|model|net|store|access|query|ingest|server|app|cli)/[\w./-]*", word) is not None


def missing_paths(root, tables):
    """Backticked paths, relative to the root or to src/, on the pages that describe the sources."""
    faults = []
    for page in pages_of(root):
        for word in re.findall(r"`([^`\s]+)`", prose_of(page.read_text())):
            if is_path(word) and word not in MEASURED and not (root / word).exists() and not (root / "src" / word).exists():
                faults.append(f"{page.relative_to(root)}: names {word}, which does not exist")
    return faults


def missing_functions(root, tables):
    """On a line of ARCHITECTURE.md or docs/durability.md, `name()` has to be defined in a file that the line names."""
    faults = []
    for page in (root / "ARCHITECTURE.md", root / "docs/durability.md"):
        for line in prose_of(page.read_text()).splitlines() if page.exists() else []:
            files = [root / "src" / word.removeprefix("src/") for word in re.findall(r"`([^`\s]+\.[ch])`", line)]
            source = "\n".join(path.read_text() for path in files if path.exists())
            for name in re.findall(r"`(\w+)\(\)`", line):
                if not re.search(rf"^\S[^\n;]*\b{name}\(", source, re.M):
                    faults.append(f"{page.relative_to(root)}: {name}() is in none of the files its line names: {line[:60]}…")
    return faults


def rules_and_tests(root, tables):
    """docs/durability.md has a row per rule, and the tests it names are in the sources."""
    page = root / "docs/durability.md"
    if not page.exists():
        return []
    faults, known, seen = [], set(), []
    for path in (root / "src").glob("**/*.c"):
        known |= set(re.findall(r"^TEST\((\w+)\)", path.read_text(), re.M))
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"W\d+", cells[0]):
            seen.append(cells[0])
            if not re.search(r"`\w+`", cells[-1]) and not cells[-1].startswith("no test"):
                faults.append(f"docs/durability.md: {cells[0]} names no test and does not say \"no test\"")
    for name in re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+){3,})`", page.read_text()):
        if name not in known:
            faults.append(f"docs/durability.md: there is no test {name}")
    if seen != [f"W{i}" for i in range(1, RULES + 1)]:
        faults.append(f"docs/durability.md: rows W1 to W{RULES} are expected, each once and in order")
    return faults


def unknown_calls(root, tables):
    """`traceo COMMAND --flag` in code: both are in the tables. `make TARGET` likewise."""
    commands = {row[1]: row for row in tables.command_rows}
    settings = {row[1] for row in tables.setting_rows} | {re.sub(r"[._]", "-", row[1]) for row in tables.setting_rows}
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.M))
    faults = []
    for page in pages_of(root):
        text = page.read_text().replace("\\\n", " ")
        place = page.relative_to(root)
        for line in re.findall(r"(?:^|[`|;($\"/= ])traceo ((?:[a-z]+)(?: [^`|;\n]*)?)", "\n".join(re.findall(r"```.*?```|`[^`\n]*`", text, re.S))):
            words = line.removeprefix("traceo ").split()  # sudo -u traceo traceo key
            if words[0] not in commands:
                if re.fullmatch(r"[a-z]+", words[0]) and len(words[0]) > 2:
                    faults.append(f"{place}: there is no command `traceo {words[0]}`")
                continue
            row = commands[words[0]]
            own = {flag[1] for flag in tables.flag_rows if flag[5] == "~0u" or f"FOR_{row[0]}" in re.findall(r"\w+", flag[5])}
            for flag in re.findall(r"(?<=\s)--([a-z][\w.-]*)", line):
                if flag not in own and not (row[5] == "SETTINGS" and flag in settings):
                    faults.append(f"{place}: `traceo {words[0]}` has no flag --{flag}")
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", "\n".join(re.findall(r"```.*?```|`[^`\n]*`", text, re.S)), re.M):
            if target not in targets:
                faults.append(f"{place}: there is no `make {target}`")
    return faults


def unknown_names(root, tables):
    """Own metrics, settings as variables, and routes that pages name."""
    metrics = {row[0] for row in tables.metric_rows}
    variables = {"TRACEO_" + row[1].upper().replace(".", "__") for row in tables.setting_rows} 
    variables |= {"TRACEO_KEY", "TRACEO_SERVER", "TRACEO_CA_FILE", "TRACEO_CERT_FILE", "TRACEO_KEY_FILE"} | tables.test_variables
    routes = [re.sub(r"\\\{\w+\\\}", "[^/`]+", re.escape(row[2])) for row in tables.route_rows]
    faults = []
    for page in pages_of(root):
        if page.parent == root:
            continue
        text, place = page.read_text(), page.relative_to(root)
        for name in re.findall(r"(?<![\w./-])(traceo_[a-z]\w*[a-z])\b(?!\()", text):
            if name not in metrics and re.sub(r"_(bucket|sum|count)$", "", name) not in metrics:
                faults.append(f"{place}: there is no metric {name}")
        for name in re.findall(r"\b(TRACEO_[A-Z_]+[A-Z])\b", text):
            if name not in variables:
                faults.append(f"{place}: there is no variable {name}")
        for path in re.findall(r"(?<![\w.])(/(?:api/v1|api/traceo|-)/[\w./{}-]*[\w}])", text):
            if not any(re.fullmatch(route, path) for route in routes):
                faults.append(f"{place}: there is no route {path}")
    return faults


CHECKS = [stale_sections, dead_links, missing_paths, missing_functions, rules_and_tests, unknown_calls, unknown_names]


def faults_of(root):
    tables = Tables(root)
    return [fault for check in CHECKS for fault in check(root, tables)]


def check(root):
    faults = faults_of(root)
    for fault in faults:
        print(fault)
    print(f"docs: {len(pages_of(root))} pages, {len(faults)} faults")
    return 1 if faults else 0


# ---- The check, checked ----------------------------------------------------------------------------

PLANTED = [
    ("a table that is stale", "docs/configure.md", lambda text: text.replace("| `retention` |", "| `retentoin` |"), "is stale"),
    ("a default that changed", "src/app/settings.def", lambda text: text.replace('"30d"', '"31d"'), "settings is stale"),
    ("a link to nowhere", "docs/README.md", lambda text: text + "\n[x](nowhere.md)\n", "does not exist"),
    ("a link to no heading", "docs/README.md", lambda text: text + "\n[x](send.md#nowhere)\n", "no such heading"),
    ("a file that is gone", "ARCHITECTURE.md", lambda text: text + "\n`src/net/gone.c`\n", "src/net/gone.c"),
    ("a function that moved", "ARCHITECTURE.md", lambda text: text + "\n`src/store/write.c` `store_read()`\n", "store_read()"),
    ("a test that does not exist", "docs/durability.md", lambda text: text + "\n`w1_a_test_nobody_wrote`\n", "no test w1_a_test_nobody_wrote"),
    ("a rule without a row", "docs/durability.md", lambda text: text.replace("| W7 |", "| W8 |"), "rows W1 to W25"),
    ("a command that does not exist", "docs/query.md", lambda text: text + "\n`traceo ask up`\n", "traceo ask"),
    ("a flag that does not exist", "docs/query.md", lambda text: text + "\n`traceo query up --until 1h`\n", "no flag --until"),
    ("a target that does not exist", "docs/install.md", lambda text: text + "\n`make it`\n", "make it"),
    ("a metric that does not exist", "docs/operate.md", lambda text: text + "\n`traceo_log_speed`\n", "no metric traceo_log_speed"),
    ("a variable that does not exist", "docs/configure.md", lambda text: text + "\n`TRACEO_LISTN`\n", "no variable TRACEO_LISTN"),
    ("a route that does not exist", "docs/query.md", lambda text: text + "\n`/api/v1/ask`\n", "no route /api/v1/ask"),
]


def self_test():
    print(f"1..{len(PLANTED) + 1}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "copy"
        skip = shutil.ignore_patterns("build", ".git", "traceo-data", "test", "bench")
        shutil.copytree(ROOT, copy, ignore=skip, symlinks=True)
        for name in ("test", "bench"):
            (copy / name).symlink_to(ROOT / name)
        before, original = set(faults_of(copy)), set(faults_of(ROOT))
        failed += before != original
        print(f"{'ok' if before == original else 'not ok'} 1 - a copy has the faults of the original, {len(original)}")
        for number, (name, path, plant, expected) in enumerate(PLANTED, 2):
            whole = (copy / path).read_text()
            (copy / path).write_text(plant(whole))
            found = [fault for fault in faults_of(copy) if fault not in before]
            (copy / path).write_text(whole)
            ok = any(expected in fault for fault in found)
            failed += not ok
            print(f"{'ok' if ok else 'not ok'} {number} - {name} is found" + ("" if ok else f" # found {found}"))
    return 1 if failed else 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments == ["--check"]:
        sys.exit(check(ROOT))
    if arguments == ["--self-test"]:
        sys.exit(self_test())
    if arguments:
        sys.exit(__doc__)
    write_sections(ROOT)
