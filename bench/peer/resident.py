"""Runs a command, at most so large, and says how large it was.

    resident.py FILE GIB COMMAND...

FILE.PROCESS gets the peak of the command's resident memory in MiB, as the kernel counted
it. GIB limits its writable private memory. Where memory ends nevertheless, the kernel
ends this command before others. Under mpirun each rank has one of these.
"""

import os
import resource
import sys
from pathlib import Path


def limit(gib: float) -> None:
    most = int(gib * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    Path("/proc/self/oom_score_adj").write_text("1000")


def main() -> None:
    file, gib, *command = sys.argv[1:]
    child = os.fork()
    if child == 0:
        limit(float(gib))
        os.execvp(command[0], command)
    _, status, usage = os.wait4(child, 0)
    Path(f"{file}.{os.getpid()}").write_text(str(usage.ru_maxrss / 1024))
    sys.exit(os.waitstatus_to_exitcode(status) % 256)


if __name__ == "__main__":
    main()
