"""Run as its own process: unpacks a tar from stdin into the working directory, inside a user namespace.

Why it exists: an image's files must belong to the host ids that a sandbox's user namespace maps (guest 0 is host 100000), and a
recursive chown loses setuid bits and file capabilities, even for root. tar running inside the namespace loses neither.

The invariant it keeps: nothing is written before the parent has written the id maps and said so.

Protocol: one byte to the first fd named by argv when the namespace exists, one byte from the second when it is mapped (end of file:
give up), then tar is executed. Runs as `python -I -S unpack.py READY GO`; the standard library only, no threads.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys

CLONE_NEWUSER = 0x10000000
# Device nodes cannot be made in a user namespace; the sandbox gets its /dev from the runtime.
UNTAR = ["tar", "-x", "-p", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*"]


def main() -> None:
    # Looked up now: as the shifted root this process may not even read its own Python's files.
    tar = shutil.which("tar") or "/bin/tar"
    environment = dict(os.environ)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        sys.exit(f"cannot make a user namespace: {os.strerror(ctypes.get_errno())}")
    ready, go = int(sys.argv[1]), int(sys.argv[2])
    os.write(ready, b"+")
    if os.read(go, 1) != b"+":
        sys.exit("the parent gave up")
    os.close(ready)
    os.close(go)
    os.setgroups([])
    os.setgid(0)
    os.setuid(0)
    os.umask(0)
    os.execve(tar, UNTAR, environment)


if __name__ == "__main__":
    main()
