"""The other side of bad_disk.c: what the disk below one server's data directory does from now on, and what it has lost."""

import mmap
import os
import struct

WRITES, FILES, HALF, GROWS = 1, 2, 4, 8
ALL = 0xFFFFFFFF
PATH_MAX, PART_MAX = 4096, 256
NUMBERS = ("skip", "fail", "believe", "full", "syncs", "failed", "refused", "slow_us", "full_skip", "forget", "cut")
BYTES = 4 * len(NUMBERS) + PATH_MAX + 3 * PART_MAX


class BadDisk:
    """A control file in `folder`; `library` is bad_disk.c, built. Only files below `under` are touched."""

    def __init__(self, library, folder, under):
        self.library, self.path = library, os.path.join(folder, "bad_disk")
        with open(self.path, "wb") as file:
            file.truncate(BYTES)
        self.file = open(self.path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), BYTES)
        self.put(4 * len(NUMBERS), os.path.realpath(under), PATH_MAX)

    def env(self):
        return {**os.environ, "LD_PRELOAD": os.path.abspath(self.library), "TRACEO_BAD_DISK": self.path}

    def put(self, at, text, room):
        self.map[at:at + room] = text.encode().ljust(room, b"\0")

    def number(self, name, value=None):
        at = 4 * NUMBERS.index(name)
        if value is not None:
            struct.pack_into("<I", self.map, at, value)
        return struct.unpack_from("<I", self.map, at)[0]

    def fail_syncs(self, count, part="", skip=0, believe=False):
        """Of the files with `part` in their path: after `skip` good syncs `count` fail (ALL: all) and lose what they should have kept.
        `believe`, planted: the program is told yes, as one hears that asks a second time."""
        self.number("fail", 0)
        self.put(4 * len(NUMBERS) + PATH_MAX, part, PART_MAX)
        self.number("skip", skip)
        self.number("believe", int(believe))
        self.number("failed", 0)
        self.number("fail", count)

    def fill(self, what, part="", skip=0):
        """WRITES, FILES, HALF, GROWS (of the writes those that make a file longer): which of them find no space, of the files with `part` in their path, after `skip` that go well. 0: there is
        space again."""
        self.number("full", 0)
        self.number("full_skip", skip)
        self.put(4 * len(NUMBERS) + PATH_MAX + PART_MAX, part, PART_MAX)
        self.number("refused", 0)
        self.number("full", what)

    def slow(self, us_per_mib, part=""):
        """Writes to files with `part` in their path take so long. Syncs that fail lose nothing from now on: what is overwritten would have to be
        remembered in the memory of the server."""
        self.number("forget", 1)
        self.fill(0, part)
        self.number("slow_us", us_per_mib)

    def cut_at_folder(self, part):
        """The power goes when a folder whose path has `part` in it is to be synced."""
        self.put(4 * len(NUMBERS) + PATH_MAX + 2 * PART_MAX, part, PART_MAX)
        self.number("cut", 1)

    def lose(self, folder):
        """What failing syncs lost is taken out of the files below `folder`, as a power cut would. The server must be dead. Returns how many bytes."""
        lost = {}
        with open(self.path + ".lost", "rb") as file:
            while header := file.read(32):
                inode, offset, length, good = struct.unpack("<4Q", header)
                if not good:
                    lost.setdefault(inode, []).append((offset, file.read(length)))
                    continue
                # Written again and synced: that part is on the disk.
                kept = []
                for at, old in lost.get(inode, []):
                    if at < offset:
                        kept.append((at, old[:offset - at]))
                    if at + len(old) > offset + length:
                        begin = max(at, offset + length)
                        kept.append((begin, old[begin - at:]))
                lost[inode] = kept
        os.truncate(self.path + ".lost", 0)
        count = 0
        for root, _, names in os.walk(os.path.realpath(folder)):
            for name in names:
                path = os.path.join(root, name)
                ranges = lost.get(os.lstat(path).st_ino)
                if not ranges:
                    continue
                with open(path, "r+b") as file:
                    for at, old in reversed(ranges):  # the oldest is what the disk had
                        file.seek(at)
                        file.write(old)
                        count += len(old)
                    file.flush()
                    os.fsync(file.fileno())
        return count
