#!/usr/bin/env python3
"""make tidy: the rules of the house, checked.

Fails for what is always wrong: an include that climbs a floor or crosses to a neighbour, a private header
used outside its folder, a banned function, a file no build names, a file that names this machine. The rest
(no README, a long file, a long function, a TODO without a reason) is printed as notes to weigh.

    tools/tidy.py [ROOT]        ROOT defaults to the repository
"""

import pathlib
import re
import subprocess
import sys

FILE_LINES_NOTE = 900
FUNCTION_LINES_NOTE = 80
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
BANNED = re.compile(r"\b(strcpy|strcat|strncpy|strncat|stpcpy|sprintf|vsprintf|gets|atoi|atol|atoll|atof|gmtime|"
                    r"localtime|ctime|asctime|alloca|strtok)\s*\(")
# Words that belong to one machine or workplace, not to the repository.
FOREIGN = re.compile(r"/work/(?:main|shared|\.library)|deb\.debian\.org|registry\.npmjs|pypi\.org|proxy\.golang\.org|crates\.io/api")


class House:
    """The folders of src/ with their floors, from src/FLOORS (top first)."""

    def __init__(self, root):
        self.root = root
        self.floor_of = {}
        lines = [line.split("#")[0].split() for line in (root / "src/FLOORS").read_text().splitlines()]
        lines = [folders for folders in lines if folders]
        for height, folders in enumerate(reversed(lines)):
            for folder in folders:
                self.floor_of[folder] = height

    def folder_of(self, path):
        """The longest folder of FLOORS that holds `path` (relative to src/), or None."""
        parts = path.split("/")[:-1]
        for length in range(len(parts), 0, -1):
            name = "/".join(parts[:length])
            if name in self.floor_of:
                return name
        return None

    def may_include(self, user, used):
        """Itself, its own parts, or what lies on a lower line."""
        if user == used:
            return True
        return self.floor_of[used] < self.floor_of[user]

    def front_door(self, folder):
        """The header of the folder's own name, when it has one: then only that is open to others."""
        door = self.root / "src" / folder / (folder.split("/")[-1] + ".h")
        return door if door.exists() else None


def strip_comments(text):
    """Comments and strings blanked, lines kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def check_includes(house, errors):
    for path in sorted((house.root / "src").rglob("*.[ch]")) + sorted((house.root / "src").rglob("*.cc")):
        relative = str(path.relative_to(house.root / "src"))
        user = house.folder_of(relative)
        if user is None:
            errors.append(f"src/{relative}: its folder is not in src/FLOORS")
            continue
        for included in INCLUDE.findall(path.read_text()):
            used = house.folder_of(included)
            if used is None:
                continue
            if not (house.root / "src" / included).exists():
                errors.append(f"src/{relative}: includes {included}, which does not exist")
                continue
            is_test = relative.endswith(("_test.c", "_fuzz.c", "_bench.c"))
            if not house.may_include(user, used):
                errors.append(f"src/{relative}: {user} must not include {included} (see src/FLOORS)")
            door = house.front_door(used)
            inside = relative.startswith(used + "/")
            if door and not inside and not is_test and str(door.relative_to(house.root / "src")) != included:
                errors.append(f"src/{relative}: {included} is a private room of {used}; use {door.name}")


def check_banned(house, errors):
    for path in sorted((house.root / "src").rglob("*.c")) + sorted((house.root / "bench").rglob("*.c")):
        text = strip_comments(path.read_text())
        for number, line in enumerate(text.splitlines(), 1):
            for name in BANNED.findall(line):
                errors.append(f"{path.relative_to(house.root)}:{number}: {name}() is banned (base/banned.h says what to use)")


def check_dead_files(house, errors):
    builds = "\n".join(path.read_text() for path in house.root.rglob("meson.build") if "build" not in path.parts[:-1])
    for path in sorted((house.root / "src").rglob("*.c")):
        if not re.search(r"['/]" + re.escape(path.name) + "'", builds):
            errors.append(f"{path.relative_to(house.root)}: no meson.build names it")
    sources = "\n".join(path.read_text() for folder in ("src", "bench", "test") for path in (house.root / folder).rglob("*")
                        if path.suffix in (".c", ".h", ".cc"))
    for path in sorted((house.root / "src").rglob("*.h")) + sorted((house.root / "src").rglob("*.def")):
        relative = str(path.relative_to(house.root / "src"))
        if f'"{relative}"' not in sources and path.name != "banned.h":
            errors.append(f"src/{relative}: nothing includes it")


def tracked_files(root):
    listed = subprocess.run(["git", "-C", str(root), "ls-files"], capture_output=True, text=True)
    if listed.returncode != 0:
        return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    return listed.stdout.splitlines()


def check_foreign_words(house, errors):
    for name in tracked_files(house.root):
        path = house.root / name
        if name.endswith(("tidy.py", "tidy_test.py")) or not path.is_file() or path.stat().st_size > 1 << 20:
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if FOREIGN.search(line):
                errors.append(f"{name}:{number}: names one machine or a registry's host")


def functions_of(text):
    """(name, first line, length) of each function: a line that opens at column 0 with `{` at its end."""
    lines = text.splitlines()
    begun = None
    for number, line in enumerate(lines, 1):
        if begun is None and re.match(r"^[A-Za-z_].*\)\s*\{\s*$", line):
            names = re.findall(r"([A-Za-z_]\w*)\s*\(", line)
            begun = (names[0] if names else line, number)
        elif begun is not None and line == "}":
            yield begun[0], begun[1], number - begun[1]
            begun = None


def notes_of(house):
    notes = []
    for folder in sorted(house.floor_of):
        path = house.root / "src" / folder
        if path.is_dir() and not (path / "README.md").exists():
            notes.append(f"src/{folder}: no README.md")
    for path in sorted((house.root / "src").rglob("*.[ch]")):
        relative = path.relative_to(house.root)
        text = path.read_text()
        count = text.count("\n")
        if count > FILE_LINES_NOTE:
            notes.append(f"{relative}: {count} lines; is it still one idea?")
        if path.suffix == ".c":
            for name, line, length in functions_of(text):
                if length > FUNCTION_LINES_NOTE:
                    notes.append(f"{relative}:{line}: {name}() has {length} lines")
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(r"//.*\bTODO\b(?!: \w.{15,})", line):
                notes.append(f"{relative}:{number}: a TODO that does not say why today's behaviour is acceptable")
    return notes


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    house = House(root)
    errors = []
    check_includes(house, errors)
    check_banned(house, errors)
    check_dead_files(house, errors)
    check_foreign_words(house, errors)
    for note in notes_of(house):
        print("note:", note)
    for error in errors:
        print("error:", error)
    print(f"tidy: {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
