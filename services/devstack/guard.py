"""Becomes another program: as the user it should run as, and ending when the one that started it ends.

Run as a plain file (`python -I -S guard.py SIGNAL PARENT UID GID PROGRAM …`), so that it costs some milliseconds. It is
a process of its own because in a process that has threads nothing may run between fork and exec.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    signal, parent, uid, gid = (int(argument) for argument in sys.argv[1:5])
    program = sys.argv[5:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid, which clears it. Elsewhere the guardian process alone looks after those left behind.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal)
    if os.getppid() != parent:
        return  # it ended before it could be watched
    os.execv(program[0], program)  # noqa: S606  what it is for


main()
