"""Stacks of perf to stages and to a picture: whose nanoseconds they are, and a flame graph as an SVG without scripts.

A stack is a list of (symbol, object) from the leaf to the root. In the kernel its functions decide; in our program the file that the symbol was
compiled from, which the objects of the build tell; what is general (copying, hashing, readers) belongs to whoever called it.
"""

import pathlib
import re
import subprocess
from xml.sax.saxutils import escape

# What lies under one of these functions is of this stage, wherever it was compiled from: a strip is packed by what also makes chunks.
UNDER = [("pack", {"tail_pack"}), ("seal", {"series_seal", "series_merge", "seal_day", "chunk_flush", "page_close", "values_encode", "values_decode"})]
# (stage, what its files are called, what its functions are called); the first row that fits wins. Functions that are inlined count as their callers.
STAGES = [
    ("log", r"src/store/log/|src/codec/crc32c\.c", ""),
    ("pack", r"src/codec/snappy_rows\.c|src/store/index/bitpack\.c|src/store/series/strip\.c", ""),
    ("append", r"src/store/series/(page|page_starts|series)\.c", ""),
    ("append", r"src/store/series/head\.c", r"append"),
    ("resolve", r"src/store/series/(head|registry|registry_follow)\.c|src/model/labels\.c|src/store/index/postings\.c", ""),
    ("seal", r"src/store/series/|src/store/objects/|src/store/maintain\.c|src/store/index/", ""),
    ("unpack", r"src/codec/compress\.c", ""),
    ("decode", r"src/ingest/|src/store/|src/codec/protobuf\.c", ""),
    ("net", r"src/net/|src/server/|src/access/", ""),
]
KERNEL = [
    ("kernel: sockets", r"tcp_|sock|inet_|skb|__sys_recv|__sys_send|ep_poll|ep_send|epoll|ip_|net_rx"),
    ("kernel: disk", r"fdatasync|fsync|ext4|xfs|btrfs|blk_|bio|virtblk|iomap|writeback|pwrite|vfs_write|fallocate"),
    ("kernel: memory", r"page_fault|madvise|mmap|munmap|brk|handle_mm|clear_page|mprotect"),
]
ORDER = ["net", "unpack", "decode", "resolve", "append", "pack", "log", "seal", "kernel: sockets", "kernel: disk", "kernel: memory",
         "kernel: other", "other"]
COLOURS = dict(zip(ORDER, ["#7aa6da", "#e8c35c", "#e89a5c", "#8fbf7f", "#5fa89c", "#b08fc7", "#c77f8f", "#9a8f6f", "#b9c4cf", "#a3b0bd", "#cdd3d9",
                           "#dfe3e7", "#eeeeee"]))


def sources(objects):
    """{function: its source file} from the objects of a build; a name that two files have is not told by it."""
    found, twice = {}, set()
    for at in range(0, len(objects), 200):
        listed = subprocess.run(["nm", "-A", *map(str, objects[at:at + 200])], capture_output=True, text=True, check=True).stdout
        for line in listed.splitlines():
            words = line.split()
            if len(words) != 3 or words[1] not in "tT":
                continue
            path = words[0].rpartition(":")[0]
            source = re.sub(r"^.*?(src/.*?)/[^/]+\.p/(.*)\.o$", r"\1/\2", path)
            name = bare(words[2])
            if found.setdefault(name, source) != source:
                twice.add(name)
    return {name: source for name, source in found.items() if name not in twice}


def objects_of(build):
    return [path for path in pathlib.Path(build).glob("src/**/*.c.o") if "/lib" in str(path.parent) and path.parent.suffix == ".p"]


def bare(symbol):
    """Without what the compiler adds to the name of a part or a copy of a function."""
    return re.sub(r"\.(constprop|isra|part|cold|lto_priv)(\.\d+)*", "", symbol)


def is_kernel(frame):
    return frame[1].startswith("[")


def stage_of(stack, files):
    if stack and is_kernel(stack[0]):
        names = " ".join(symbol for symbol, place in stack if is_kernel((symbol, place)))
        return next((stage for stage, words in KERNEL if re.search(words, names)), "kernel: other")
    for stage, functions in UNDER:
        if any(bare(symbol) in functions for symbol, _ in stack):
            return stage
    for symbol, _ in stack:
        source = files.get(bare(symbol))
        if source is None:
            continue
        for stage, paths, functions in STAGES:
            if re.search(paths, source) and re.search(functions, symbol):
                return stage
    return "other"


def stage_on(thread, stack, files):
    """The same, knowing the thread: loops pack and never seal, and a stack that is cut off below does not show which it is."""
    stage = stage_of(stack, files)
    return "pack" if stage == "seal" and thread.startswith("http") else stage


def file_of(stack, files):
    """The source file that a stack is in: the innermost that is known and not of base or os, which serve all."""
    if stack and is_kernel(stack[0]):
        return stage_of(stack, files)
    for symbol, _ in stack:
        source = files.get(bare(symbol), "")
        if source and not source.startswith(("src/base/", "src/os/")):
            return source.removeprefix("src/")
    return "other"


def read_script(text):
    """The stacks of `perf script -F comm,ip,sym,dso`: [(thread, [(symbol, object)] from the leaf)]."""
    found, thread, stack = [], None, []
    for line in text.splitlines() + [""]:
        if not line.strip():
            if thread is not None:
                found.append((thread, stack))
            thread, stack = None, []
        elif not line[0].isspace():
            thread = line.strip().rstrip(":")
        else:
            if thread is None:
                thread = "?"
            frame = re.fullmatch(r"\s*[0-9a-f]+ (.*?)(?:\+0x[0-9a-f]+)? \((.*)\)", line)
            if frame is not None:
                stack.append((frame[1], frame[2]))
    return found


def shares(stacks, of):
    """{what of() says of a thread and its stack: its part of all stacks}, the largest first"""
    counts = {}
    for thread, stack in stacks:
        name = of(thread, stack)
        counts[name] = counts.get(name, 0) + 1
    return {name: count / len(stacks) for name, count in sorted(counts.items(), key=lambda pair: -pair[1])}


def folded(stacks):
    """The stacks as lines "root;…;leaf count", as flame graph tools take them."""
    counts = {}
    for thread, stack in stacks:
        key = ";".join([thread, *(symbol.replace(";", ",") for symbol, _ in reversed(stack))])
        counts[key] = counts.get(key, 0) + 1
    return [f"{key} {count}" for key, count in sorted(counts.items())]


class Node:
    def __init__(self, name, stage):
        self.name, self.stage, self.count, self.children = name, stage, 0, {}

    def child(self, name, stage):
        return self.children.setdefault(name, Node(name, stage))

    def depth(self):
        return 1 + max((child.depth() for child in self.children.values()), default=0)


WIDTH, HIGH, LEAST = 1400, 17, 0.3  # pixels; narrower frames are left out


def flame_svg(stacks, files, title):
    """A flame graph: the root below, a frame as wide as its part of the CPU time; its colour is its stage, a pointer on it tells the rest."""
    root = Node("all", "other")
    for thread, stack in stacks:
        at = root
        at.count += 1
        for place, (symbol, kind) in enumerate([(thread, ""), *reversed(stack)]):
            inner = stack[len(stack) - place:] if place > 0 else []
            at = at.child(symbol, stage_of(inner, files) if inner else "other")
            at.count += 1
    top = 46
    height = top + root.depth() * HIGH + 10
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
           'font-family="sans-serif" font-size="11">', f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
           f'<text x="8" y="17" font-size="14">{escape(title)}</text>']
    at = 8
    for stage in ORDER:
        out.append(f'<rect x="{at}" y="25" width="10" height="10" fill="{COLOURS[stage]}" stroke="#888"/><text x="{at + 14}" y="34">{stage}</text>')
        at += 26 + 6 * len(stage)

    def draw(node, left, level):
        width = node.count / max(1, root.count) * WIDTH
        if width < LEAST:
            return
        y = height - 10 - (level + 1) * HIGH
        label = node.name if len(node.name) * 6.2 < width - 4 else node.name[:int((width - 4) / 6.2)] if width > 30 else ""
        out.append(f'<g><title>{escape(node.name)}: {node.count / max(1, root.count):.2%} ({node.stage})</title>'
                   f'<rect x="{left:.1f}" y="{y}" width="{width:.1f}" height="{HIGH - 1}" fill="{COLOURS[node.stage]}" stroke="#ffffff" '
                   f'stroke-width="0.4"/>' + (f'<text x="{left + 2:.1f}" y="{y + 12}">{escape(label)}</text>' if label else "") + "</g>")
        for child in sorted(node.children.values(), key=lambda child: child.name):
            draw(child, left, level + 1)
            left += child.count / max(1, root.count) * WIDTH

    draw(root, 0, 0)
    return "\n".join([*out, "</svg>"]) + "\n"
