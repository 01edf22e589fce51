"""Compares one training step of ropewalk with the peer: loss and every gradient.

    check_equal.py RUN STEP TEXT MIXER LAYERS WIDTH STATE HEADS

RUN is a run folder whose step STEP was made with lr 0 and beta1 0: its checkpoint then
holds the weights of that step and, as the first moment, the gradient. TEXT has the bytes
of the dataset; the batch of the step was all of it, as one sequence.

The model in double precision says what is right, and both programs, in float32, must be
near: each number has a relative error of 2^-24, sums of a few thousand terms and a dozen
layers of operations make it some hundred times that. LIMIT leaves room for another
processor; a mistake in a formula or a misplaced weight shows as an error of order 1.
"""

import json
import sys
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 (lets h5py read Zstandard)
import torch

from models import Model, parameters

LIMIT = 1e-4  # of a gradient: 2-norm of the difference over that of the gradient
LOSS_LIMIT = 1e-6


def read_step(run: Path, step: int) -> tuple[dict, dict, float]:
    """Weights, gradients, loss."""
    with h5py.File(run / "checkpoints" / f"step-{step:08d}" / "index.h5") as file:
        weights = {name: torch.from_numpy(value[()]) for name, value in tensors(file["param"])}
        moments = {name: torch.from_numpy(value[()]) for name, value in tensors(file["opt/m"])}
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    loss = next(line["loss"] for line in lines if line["step"] == step and "loss" in line)
    return weights, moments, loss


def tensors(group: h5py.Group) -> list[tuple[str, h5py.Dataset]]:
    found: list[tuple[str, h5py.Dataset]] = []
    group.visititems(
        lambda name, item: found.append((name, item)) if isinstance(item, h5py.Dataset) else None
    )
    return found


def gradients(model: Model, weights: dict, text: bytes) -> tuple[dict, float]:
    """Of the peer, on ropewalk's weights."""
    own = parameters(model)
    expected = {name: tuple(weight.shape) for name, weight in weights.items()}
    if {name: tuple(p.shape) for name, p in own.items()} != expected:
        sys.exit("the models have other parameters")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(weights[name])
    tokens = torch.frombuffer(bytearray(text), dtype=torch.uint8).long()[None]
    # The last byte has no target.
    targets = torch.nn.functional.pad(tokens[:, 1:], (0, 1), value=-100)
    loss = model(tokens, targets)
    loss.backward()
    return {name: parameter.grad for name, parameter in own.items()}, loss.item()


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a.double() - b).norm() / b.norm()).item()


def main() -> None:
    run, step, text = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]).read_bytes()
    mixer, sizes = sys.argv[4], [int(size) for size in sys.argv[5:9]]
    weights, ours, our_loss = read_step(run, step)
    exact, exact_loss = gradients(Model(mixer, *sizes).double(), weights, text)
    peer, peer_loss = gradients(Model(mixer, *sizes), weights, text)
    failed = False
    for name, loss in (("ropewalk", our_loss), ("peer", peer_loss)):
        error = abs(loss / exact_loss - 1)
        failed |= not error <= LOSS_LIMIT
        print(f"{mixer}: loss {exact_loss:.9g}, relative error of {name} {error:.1e}")
    for name, gradient in exact.items():
        errors = distance(ours[name], gradient), distance(peer[name], gradient)
        failed |= not max(errors) <= LIMIT
        print(f"{mixer}: {name:28} ropewalk {errors[0]:.1e}  peer {errors[1]:.1e}")
    if failed:
        sys.exit(f"{mixer}: an error is above {LIMIT} (gradients), {LOSS_LIMIT} (loss)")


if __name__ == "__main__":
    main()
