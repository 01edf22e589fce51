"""Runs a command, at most so large, and says how large it was.

    resident.py FILE GIB COMMAND...

FILE.PROCESS gets the peak of the command's resident memory in MiB, as the kernel counted
it. GIB limits its writable private memory. Where memory ends nevertheless, the kernel
ends this command before others. Under mpirun each rank has one of these.
"""

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path


def limit(gib: float) -> None:
    most = int(gib * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    Path("/proc/self/oom_score_adj").write_text("1000")


def end_with_parent() -> None:
    """Whoever ends this process ends the command, too (prctl, PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main() -> None:
    file, gib, *command = sys.argv[1:]
    child = os.fork()
    if child == 0:
        end_with_parent()
        limit(float(gib))
        os.execvp(command[0], command)
    _, status, usage = os.wait4(child, 0)
    Path(f"{file}.{os.getpid()}").write_text(str(usage.ru_maxrss / 1024))
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)  # as a shell tells of signals


if __name__ == "__main__":
    main()
