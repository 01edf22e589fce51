#!/usr/bin/env python3
"""Writes tests/data/mamba2_oracle.h5: outputs and gradients of Mamba-2 as written
by others, for the test of the ssd mixer.

The model is Mamba2Mixer of the transformers library on its plain PyTorch path,
on the CPU, with small random weights: hidden 32, inner 64, heads 4, state 16,
4 taps, one group, no bias in the two projections; 2 sequences of 70 tokens.
It runs in float64, but for the gated norm and the scan, which that library does
in float32: expect agreement to about 1e-5 of the largest element.

Layout of the file; all datasets are float32, row-major:
  attributes of the root: hidden, inner, heads, state, conv, batch, length (int64),
      norm_eps (float64), versions (text)
  input   (batch, length, hidden)
  output  (batch, length, hidden)
  dout    (batch, length, hidden): the fixed weights of the loss, sum(output * dout)
  weights/NAME, gradients/NAME, with the names and shapes of ropewalk's parameters:
      in.weight    (2 inner + 2 state + heads, hidden): rows z | x | B | C | dt
      conv.weight  (inner + 2 state, conv): the last tap is the token itself
      conv.bias    (1, inner + 2 state)
      dt_bias, A_log, D  (1, heads)
      norm.weight  (1, inner)
      out.weight   (hidden, inner)
  gradients/input (batch, length, hidden)

Needs torch, transformers (5 or later) and h5py. Usage:
  python3 tests/make_mamba2_oracle.py [OUTPUT]
"""

import sys
from pathlib import Path

import h5py
import torch
import transformers
from transformers.models.mamba2.configuration_mamba2 import Mamba2Config
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

SIZES = {"hidden": 32, "inner": 64, "heads": 4, "state": 16, "conv": 4, "batch": 2, "length": 70}
NORM_EPS = 1e-5

# Their name of a weight -> ours.
NAMES = {
    "in_proj.weight": "in.weight",
    "conv1d.weight": "conv.weight",
    "conv1d.bias": "conv.bias",
    "dt_bias": "dt_bias",
    "A_log": "A_log",
    "D": "D",
    "norm.weight": "norm.weight",
    "out_proj.weight": "out.weight",
}


def build_mixer():
    """A mixer all of whose weights matter: no zeros, no equal heads."""
    config = Mamba2Config(
        hidden_size=SIZES["hidden"],
        expand=SIZES["inner"] // SIZES["hidden"],
        num_heads=SIZES["heads"],
        head_dim=SIZES["inner"] // SIZES["heads"],
        state_size=SIZES["state"],
        conv_kernel=SIZES["conv"],
        n_groups=1,
        chunk_size=32,
        use_bias=False,
        use_conv_bias=True,
        layer_norm_epsilon=NORM_EPS,
        num_hidden_layers=1,
    )
    mixer = Mamba2Mixer(config, layer_idx=0).double()
    heads = SIZES["heads"]
    values = {
        "in_proj.weight": torch.randn_like(mixer.in_proj.weight) / SIZES["hidden"] ** 0.5,
        "conv1d.weight": torch.randn_like(mixer.conv1d.weight) / SIZES["conv"] ** 0.5,
        "conv1d.bias": 0.1 * torch.randn_like(mixer.conv1d.bias),
        "dt_bias": torch.empty(heads).uniform_(-4, 0),
        "A_log": torch.empty(heads).uniform_(0, 2),
        "D": torch.empty(heads).uniform_(0.5, 1.5),
        "norm.weight": torch.empty(SIZES["inner"]).uniform_(0.5, 1.5),
        "out_proj.weight": torch.randn_like(mixer.out_proj.weight) / SIZES["inner"] ** 0.5,
    }
    with torch.no_grad():
        for name, parameter in mixer.named_parameters():
            # What the file holds is float32: compute from exactly that.
            parameter.copy_(values[name].float())
    return mixer


def matrix(name, tensor):
    """The tensor in the shape of ropewalk's parameter of that name."""
    if name == "conv.weight":
        return tensor.squeeze(1)
    return tensor if tensor.dim() == 2 else tensor.unsqueeze(0)


def run(mixer):
    """All tensors of the file, by name."""
    shape = (SIZES["batch"], SIZES["length"], SIZES["hidden"])
    x = torch.randn(shape).double().requires_grad_()
    dout = torch.randn(shape).double()
    output = mixer(x)
    (output * dout).sum().backward()
    tensors = {"input": x, "output": output, "dout": dout, "gradients/input": x.grad}
    for theirs, parameter in mixer.named_parameters():
        ours = NAMES[theirs]
        tensors["weights/" + ours] = matrix(ours, parameter)
        tensors["gradients/" + ours] = matrix(ours, parameter.grad)
    return tensors


def write(path, tensors):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", libver=("earliest", "v110")) as file:
        for name, size in SIZES.items():
            file.attrs[name] = size
        file.attrs["norm_eps"] = NORM_EPS
        versions = {"torch": torch.__version__, "transformers": transformers.__version__}
        file.attrs["versions"] = ", ".join(f"{k} {v}" for k, v in versions.items())
        for name, tensor in sorted(tensors.items()):
            file.create_dataset(name, data=tensor.detach().float().numpy(), track_times=False)


def main():
    default = Path(__file__).parent / "data" / "mamba2_oracle.h5"
    torch.manual_seed(1)
    torch.set_num_threads(1)
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else default, run(build_mixer()))


if __name__ == "__main__":
    main()
