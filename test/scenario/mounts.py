"""File systems of one's own for the scenarios: small, cut off from their power, full. Needs root and loop devices; where those are missing
`Mount.why_not()` says so and the scenario skips."""

import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import time

SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN, _IOR('X', 125, __u32): ext4, xfs
NO_LOG_FLUSH = 2       # what was not synced is gone, the journal is not written any more: a power cut

MAKE = {
    "ext4": (64, ["mkfs.ext4", "-q", "-F", "-m", "0"]),
    "xfs": (320, ["mkfs.xfs", "-q", "-f"]),
    "btrfs": (160, ["mkfs.btrfs", "-q", "-f"]),
}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


class Mount:
    """A file system of `megabytes` in a file (ext4, xfs, btrfs) or in memory (tmpfs), mounted on `at` until close(). `inodes`: room for
    about so many files (ext4, tmpfs); 0 is as many as such a file system usually has."""

    def __init__(self, kind, megabytes=0, inodes=0):
        self.kind, self.megabytes, self.inodes = kind, megabytes, inodes
        self.home = tempfile.mkdtemp(prefix="traceo-mount-")
        self.at, self.image = os.path.join(self.home, "mount"), os.path.join(self.home, "image")
        os.mkdir(self.at)
        self.mounted = False
        try:
            if kind != "tmpfs":
                least, make = MAKE[kind]
                with open(self.image, "wb") as file:
                    file.truncate(max(megabytes, least) << 20)
                run(*make, *(["-N", str(inodes)] if inodes else []), self.image)
            self.mount()
        except OSError:
            self.close()
            raise

    def mount(self):
        if self.kind == "tmpfs":
            run("mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m" + (f",nr_inodes={self.inodes}" if self.inodes else ""), "tmpfs", self.at)
        else:
            run("mount", "-o", "loop", self.image, self.at)
        self.mounted = True

    def unmount(self):
        if not self.mounted:
            return
        for _ in range(100):
            try:
                run("umount", self.at)
                break
            except OSError:
                time.sleep(0.05)  # whoever was killed still lets go of its files
        else:
            run("umount", "-l", self.at)
        self.mounted = False

    def cut_power(self):
        """Nothing that was not synced survives; every call on the file system fails from now on."""
        folder = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def free_bytes(self):
        space = os.statvfs(self.at)
        return space.f_bavail * space.f_frsize

    def free_inodes(self):
        return os.statvfs(self.at).f_favail

    def close(self):
        self.unmount()
        shutil.rmtree(self.home, ignore_errors=True)

    @staticmethod
    def why_not(kind, power=False):
        """A reason why there can be no such file system here, or None."""
        try:
            mount = Mount(kind, 8)
        except OSError as error:
            return str(error)
        try:
            if power:
                mount.cut_power()
            return None
        except OSError as error:
            return f"{kind} cannot be cut off: {error}"
        finally:
            mount.close()
