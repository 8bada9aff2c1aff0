"""Become a command that dies with its parent: `python launcher.py PARENT_PID COMMAND...`.

Run as a file, with nothing imported beyond ctypes, so that it costs milliseconds. The wish to die survives the exec
(prctl(2), PR_SET_PDEATHSIG); it is asked for here rather than between fork and exec, where Python code may hang.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:  # it died before we asked
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606  # the command is the stack's own


if __name__ == "__main__":
    main()
