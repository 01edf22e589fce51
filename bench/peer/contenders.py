"""Who takes part: ropewalk, and the peer in its modes. Each can be asked for rounds of a case."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

HERE = Path(__file__).parent

BLOCKS = {
    "lssl": "mixer: lssl, state: 64",
    "s4d": "mixer: s4d, state: 64",
    "ssd": "mixer: ssd, state: 64, heads: 8",
    "attention": "mixer: attention, heads: 8",
    "lstm": "mixer: lstm",
}

# Clipping, evaluation and checkpoints are no part of the step that is compared.
CONFIG = """\
model: {{width: {width}, repeat: {layers}, blocks: [{{{block}}}]}}
data: {{dataset: {dataset}, length: {length}, batch: {batch}}}
train: {{steps: {steps}, recompute: {recompute}}}
optimizer: {{name: adamw, lr: 1.0e-3, clip: 0}}
schedule: {{name: constant}}
checkpoint: {{every: 0}}
eval: {{every: 0, batches: 1}}
"""


@dataclass(frozen=True)
class Case:
    mixer: str
    layers: int
    width: int
    length: int
    batch: int

    @property
    def tokens(self) -> int:
        return self.batch * self.length

    def growth(self, from_: "Case") -> float:
        """How many times the step of another length of the same model this one's takes, at
        most: attention looks at all pairs, the others take a step a token."""
        factor = self.tokens / from_.tokens
        return factor * self.length / from_.length if self.mixer == "attention" else factor


@dataclass(frozen=True)
class Machine:
    """What each contender may use."""

    ropewalk: str
    python: str
    ranks: int
    threads: int  # of a rank
    memory: float  # GiB, of a process
    steps: int  # of a round that count, behind one that does not
    patience: float  # seconds after which a round of ropewalk counts as hanging
    recompute: str  # of ropewalk
    avx2: bool  # no instructions beyond AVX2


@dataclass
class Round:
    seconds: list[float] = field(default_factory=list)  # of each step
    peak_mib: float = 0  # of all ranks together


class Failed(Exception):
    """Why a contender has no figure."""


OUT_OF_MEMORY = "out of memory"


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:160] if lines else "no message"


# What holds a program to AVX2 on a processor that has more: ropewalk and its BLAS, PyTorch, its
# compiler, MKL and oneDNN.
AVX2 = {
    "ROPEWALK_ISA": "avx2",
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
}


def surroundings(machine: Machine) -> dict[str, str]:
    """The environment variables of a rank."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(machine.threads))
    if machine.avx2:
        environment |= AVX2
    if os.geteuid() == 0:  # in a container everyone is root
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return environment


class Ropewalk:
    """A run of the program for each round."""

    name = "ropewalk"

    def __init__(self, case: Case, machine: Machine, dataset: Path):
        self.case, self.machine = case, machine
        self.folder = Path(tempfile.mkdtemp(prefix="ropewalk-peer."))
        block = BLOCKS[case.mixer]
        sizes = asdict(case) | {"block": block, "dataset": dataset, "steps": machine.steps + 1}
        config = CONFIG.format(**sizes, recompute=machine.recompute)
        (self.folder / "case.yaml").write_text(config)

    def command(self) -> list[str]:
        machine = self.machine
        launch = []
        if machine.ranks > 1:
            launch = ["mpirun", "-n", str(machine.ranks), "--bind-to", "none"]
            if machine.ranks * machine.threads > len(os.sched_getaffinity(0)):
                launch += ["--oversubscribe", "--mca", "mpi_yield_when_idle", "1"]
        measure = [sys.executable, "-B", str(HERE / "resident.py"), str(self.folder / "peak")]
        train = [machine.ropewalk, "train", str(self.folder / "case.yaml"), "--resume", "never"]
        train += ["--run-dir", str(self.folder / "run"), "--threads", str(machine.threads)]
        return launch + measure + [str(machine.memory)] + train

    def start(self) -> float | None:
        """Nothing to prepare, so no estimate of a step."""
        return None

    def round(self) -> Round:
        for old in self.folder.glob("peak.*"):
            old.unlink()
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        try:
            done = subprocess.run(
                self.command(),
                capture_output=True,
                text=True,
                env=surroundings(self.machine),
                timeout=self.machine.patience,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"not done after {self.machine.patience:.0f} s") from None
        if done.returncode == 128 + signal.SIGKILL or OUT_OF_MEMORY in done.stderr:
            raise Failed(OUT_OF_MEMORY)
        if done.returncode != 0:
            raise Failed(last_line(done.stderr))
        lines = (self.folder / "run" / "metrics.jsonl").read_text().splitlines()
        steps = [fact for fact in map(json.loads, lines) if "step_s" in fact]
        peaks = [float(file.read_text()) for file in self.folder.glob("peak.*")]
        return Round([step["step_s"] for step in steps[1:]], sum(peaks))

    def stop(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Peer:
    """Processes that live as long as the case: see worker.py."""

    def __init__(self, case: Case, machine: Machine, compiled: bool):
        self.case, self.machine, self.compiled = case, machine, compiled
        self.name = "compiled" if compiled else "eager"
        self.errors = [tempfile.TemporaryFile("w+") for _ in range(machine.ranks)]
        self.workers: list[subprocess.Popen] = []

    def start(self) -> float:
        """Builds, compiles, warms up. Seconds of the last step of the warm-up."""
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        place |= {"GLOO_SOCKET_IFNAME": "lo", "WORLD_SIZE": str(self.machine.ranks)}
        case, machine = self.case, self.machine
        sizes = (case.layers, case.width, case.length, case.batch, machine.threads)
        command = [machine.python, "-B", str(HERE / "worker.py"), case.mixer, *map(str, sizes)]
        command += ["--memory", str(machine.memory)] + ["--compile"] * self.compiled
        for rank, error in enumerate(self.errors):
            worker = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=error,
                text=True,
                env=surroundings(machine) | place | {"RANK": str(rank)},
            )
            self.workers.append(worker)
        return max(answer["seconds"] for answer in self.answers())

    def answers(self) -> list[dict]:
        """Of all ranks. Where one ran out of memory, others see only that it is gone."""
        answers, failures = [], []
        for rank in range(len(self.workers)):
            try:
                answers.append(self.answer(rank))
            except Failed as failure:
                failures.append(failure)
        if failures:
            raise next((f for f in failures if str(f) == OUT_OF_MEMORY), failures[0])
        return answers

    def answer(self, rank: int) -> dict:
        worker = self.workers[rank]
        line = worker.stdout.readline()
        if not line:
            killed = worker.wait() == -signal.SIGKILL
            self.errors[rank].seek(0)
            raise Failed(OUT_OF_MEMORY if killed else last_line(self.errors[rank].read()))
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def round(self) -> Round:
        for worker in self.workers:
            worker.stdin.write(f"{self.machine.steps}\n")
            worker.stdin.flush()
        answers = self.answers()
        together = zip(*(answer["seconds"] for answer in answers))
        return Round([max(step) for step in together], sum(a["peak_mib"] for a in answers))

    def stop(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
            worker.stdin.close()
            worker.stdout.close()
        for error in self.errors:
            error.close()
