"""One process of the peer: builds a model, then waits for lines on standard input.

A line with a number asks for so many training steps (forward, backward, AdamW) behind one
that does not count; the answer is one line of JSON. Waiting takes no processor time and
little memory. The first line of output tells that the model is ready, warmed up and, if
asked, compiled. With RANK and WORLD_SIZE in the
environment the processes share the batch by DistributedDataParallel on gloo.
"""

import argparse
import ctypes
import json
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

import resident
from models import VOCAB, Model, optimizer_of, parameters

WARM_UP = 2  # steps that the memory allocator and the FFT plans need


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("mixer")
    for name in ("layers", "width", "length", "batch", "threads"):
        parser.add_argument(name, type=int)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--memory", type=float, default=16, help="GiB, at most")
    return parser.parse_args()


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def give_back_memory() -> None:
    """What the C library keeps for the next step: others are to use it meanwhile."""
    ctypes.CDLL(None).malloc_trim(0)


def forget_peak() -> None:
    """The peak of resident memory begins anew: compiling is not training."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def rank_and_ranks() -> tuple[int, int]:
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


class Training:
    def __init__(self, options: argparse.Namespace):
        rank, ranks = rank_and_ranks()
        torch.manual_seed(1)
        self.model: torch.nn.Module = Model(options.mixer, options.layers, options.width)
        self.count = sum(p.numel() for p in parameters(self.model).values())
        self.optimizer = optimizer_of(self.model)
        if options.compile:
            self.model.compile()
        if ranks > 1:
            dist.init_process_group("gloo")
            self.model = torch.nn.parallel.DistributedDataParallel(self.model)
        drawn = torch.Generator().manual_seed(rank)
        shape = (options.batch // ranks, options.length + 1)
        text = torch.randint(VOCAB, shape, generator=drawn)
        self.tokens, self.targets = text[:, :-1].contiguous(), text[:, 1:].contiguous()

    def step(self) -> float:
        """Seconds of one step."""
        start = time.perf_counter()
        self.model(self.tokens, self.targets).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - start


def serve(options: argparse.Namespace) -> None:
    training = Training(options)
    for _ in range(WARM_UP):
        last = training.step()
    say(parameters=training.count, seconds=last, torch=torch.__version__)
    give_back_memory()
    for line in sys.stdin:
        forget_peak()
        training.step()
        seconds = [training.step() for _ in range(int(line))]
        peak = peak_mib()
        give_back_memory()
        say(seconds=seconds, peak_mib=peak)


def main() -> None:
    options = arguments()
    # ropewalk flushes subnormal numbers in every thread; so does the peer. Threads that are
    # made later inherit it.
    torch.set_flush_denormal(True)
    torch.set_num_threads(options.threads)
    try:
        resident.limit(options.memory)
        serve(options)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate memory" not in str(error):
            raise
        say(error="out of memory")


if __name__ == "__main__":
    main()
