"""What bench/lines wrote down, read: which cache lines more than one thread locked, and what is there."""

import bisect
import collections
import os
import pathlib
import re
import subprocess

SYSCALLS = {0: "read", 1: "write", 20: "writev", 45: "recvfrom", 44: "sendto", 47: "recvmsg", 46: "sendmsg", 202: "futex", 232: "epoll_wait",
            233: "epoll_ctl", 281: "epoll_pwait", 75: "fdatasync", 18: "pwrite64", 296: "pwritev", 35: "nanosleep", 230: "clock_nanosleep"}


class Symbols:
    """Names of places in the code of a running process, from the files it has mapped."""

    def __init__(self, pid):
        self.maps = []
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r-xp ([0-9a-f]+) \S+ \d+\s+(/\S+)", line)
            if found:
                self.maps.append((int(found[1], 16), int(found[2], 16), int(found[3], 16), found[4]))
        self.tables = {}

    def table(self, path):
        if path not in self.tables:
            # Where a segment's file offset and address differ, the program headers tell.
            headers = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True).stdout
            loads = [tuple(int(word, 16) for word in found) for found in re.findall(r"LOAD +(0x\w+) (0x\w+) 0x\w+ (0x\w+)", headers)]
            names = []
            for flags in ([], ["-D"]):
                listed = subprocess.run(["nm", *flags, path], capture_output=True, text=True).stdout
                names += [(int(line.split()[0], 16), line.split()[2].split("@")[0]) for line in listed.splitlines()
                          if len(line.split()) == 3 and line.split()[1] in "tTwWi"]
            self.tables[path] = (loads, sorted(set(names)))
        return self.tables[path]

    def name(self, rip):
        for begin, end, offset, path in self.maps:
            if begin <= rip < end:
                loads, names = self.table(path)
                at = rip - begin + offset
                at = next((at - load[0] + load[1] for load in loads if load[0] <= at < load[0] + load[2]), at)
                place = bisect.bisect_right(names, (at, "￿")) - 1
                return (names[place][1] if place >= 0 else f"{at:x}"), os.path.basename(path)
        return f"{rip:x}", "?"


def read_lines(text, symbols):
    """(threads {tid: (name, instructions, locked)}, syscalls {(thread's kind, number): count}, locked [(address, tid, count, what)])"""
    threads, calls, locked = {}, collections.Counter(), []
    for line in text.splitlines():
        words = line.split()
        if words[0] == "thread":
            threads[int(words[2])] = (words[1], int(words[3]), int(words[4]))
        elif words[0] == "syscall":
            calls[(int(words[1]), int(words[2]))] += int(words[3])
        elif words[0] == "locked":
            address, tid, count = int(words[1], 16), int(words[3]), int(words[4])
            symbol, library = symbols(int(words[2], 16))
            rank = words[5] if "mutex" in symbol else words[6] if "rwlock" in symbol else "-"
            if rank != "-":
                what = f"lock {rank}"
            else:
                what = symbol if library == "traceo" else f"inside {library.split('.')[0]}"  # conditions, waiting: its own names are stripped
            locked.append((address, tid, count, what))
    return threads, {(threads[tid][0].rstrip("-0123456789"), number): count for (tid, number), count in calls.items()}, locked


def shared_lines(locked):
    """{line: {tid: Counter of what}} of the cache lines that more than one thread locked."""
    found = {}
    for address, tid, count, what in locked:
        found.setdefault(address >> 6, {}).setdefault(tid, collections.Counter())[what] += count
    return {line: threads for line, threads in found.items() if len(threads) > 1}


def lines_table(found, requests, batch):
    threads, calls, locked = found
    loops = {tid for tid, (name, _, _) in threads.items() if name.startswith("http")}
    busy = [tid for tid in loops if threads[tid][1] > 100000]
    samples = requests * batch
    shared = shared_lines(locked)
    private = sum(count for address, tid, count, _ in locked if address >> 6 not in shared and tid in loops)
    rows = []  # (by loops, by others, what loops do, threads)
    for by in shared.values():
        what = sum((counts for tid, counts in by.items() if tid in loops), collections.Counter())
        others = sum(sum(counts.values()) for tid, counts in by.items() if tid not in loops)
        names = collections.Counter(threads[tid][0].rstrip("-0123456789") for tid in by)
        rows.append((sum(what.values()), others, what, ", ".join(f"{count} {name}" for name, count in names.items())))
    lines = [f"{requests} requests of {batch} known series, {len(busy)} busy loops: {sum(threads[tid][1] for tid in loops) / samples:.0f} instructions a "
             f"sample on the loops, {sum(threads[tid][2] for tid in loops) / requests:.1f} locked instructions a request, "
             f"{private / requests:.1f} of them on lines that one thread has to itself.", "",
             "| shared line: what loops lock there | threads | a request, by loops | by others |", "|---|---|---|---|"]
    for count, others, what, names in sorted(rows, key=lambda row: -row[0]):
        if count > 0:
            words = ", ".join(f"{name} {each / requests:.2f}" for name, each in what.most_common(6))
            lines.append(f"| {words} | {names} | {count / requests:.2f} | {others / requests:.2f} |")
    lines += [f"| {sum(row[0] > 0 for row in rows)} lines together | | {sum(row[0] for row in rows) / requests:.1f} | "
              f"{sum(row[1] for row in rows) / requests:.1f} |", "",
              "System calls a request: " + ", ".join(f"{name} {SYSCALLS.get(number, number)} {count / requests:.2f}"
                                                     for (name, number), count in sorted(calls.items(), key=lambda pair: -pair[1]))]
    return lines
