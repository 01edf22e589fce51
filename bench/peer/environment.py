"""The virtual environment of the peer: PyTorch and what reads our checkpoints."""

import os
import subprocess
import sys
from pathlib import Path

PACKAGES = ("torch", "numpy", "h5py", "hdf5plugin")


def folder() -> Path:
    chosen = os.environ.get("ROPEWALK_PEER_VENV")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "ropewalk" / "peer"


def run(*command: object) -> None:
    """With its output on standard error, where progress belongs."""
    if subprocess.run([str(part) for part in command], stdout=sys.stderr).returncode != 0:
        sys.exit(f"compare: failed: {' '.join(map(str, command))}")


def make(place: Path) -> None:
    print(f"compare: making {place} with {', '.join(PACKAGES)}: some GiB", file=sys.stderr)
    run(sys.executable, "-m", "venv", "--clear", place)
    run(place / "bin" / "python", "-m", "pip", "install", "--upgrade", *PACKAGES)
    (place / "complete").touch()


def python() -> str:
    """The interpreter that has PyTorch: ROPEWALK_PEER_PYTHON, or that of the virtual
    environment, which is made if it is missing."""
    given = os.environ.get("ROPEWALK_PEER_PYTHON")
    if given:
        return given
    place = folder()
    if not (place / "complete").exists():
        make(place)
    return str(place / "bin" / "python")
