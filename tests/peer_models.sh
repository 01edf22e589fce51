#!/usr/bin/env bash
# A training step is the same in ropewalk and in the peer of the benchmark
# (bench/peer/models.py, plain PyTorch): loss and the gradient of every parameter,
# on the same weights and bytes, at a length that no chunk divides, with more
# chunks than the peer combines at once.
#
# A step with lr 0 and beta1 0 leaves its weights and its gradient, as the first
# moment, in its checkpoint. The steps before it move the weights away from zeros
# and ones, which would hide a term that is missing.
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"
slow

cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}
python=${ROPEWALK_PEER_PYTHON:-${ROPEWALK_PEER_VENV:-$cache/ropewalk/peer}/bin/python}
[[ -x $python ]] || skip "no $python: PyTorch is some GiB, bench/peer/compare fetches it"
"$python" -c 'import torch, h5py, hdf5plugin' 2>"$dir/err" ||
    skip "$python has no torch, h5py, hdf5plugin (ROPEWALK_PEER_PYTHON, ROPEWALK_PEER_VENV)"

length=2201 layers=2 width=64 state=16 heads=8
head -c "$length" "$top/src/model/engine.c" >"$dir/text"
run data build "$dir/text.h5" "$dir/text" --format text --heldout 0
expect_exit 0 "data build"

# equal MIXER KEYS: of a model with blocks of this mixer.
equal() {
    cat >"$dir/$1.yaml" <<END
model: {width: $width, repeat: $layers, blocks: [{mixer: $1${2:+, $2}}]}
data: {dataset: $dir/text.h5, length: $length, batch: 1, reset_documents: false}
train: {steps: 10}
optimizer: {name: adamw, lr: 1.0e-2, clip: 0}
END
    run train "$dir/$1.yaml" --run-dir "$dir/$1" --stop-at 3
    expect_exit 0 "$1: train"
    run train "$dir/$1.yaml" --run-dir "$dir/$1" --stop-at 4 \
        --set optimizer.lr=0 --set optimizer.beta1=0
    expect_exit 0 "$1: a step that keeps its gradient"
    "$python" -B "$top/bench/peer/check_equal.py" "$dir/$1" 4 "$dir/text" \
        "$1" "$layers" "$width" "$state" "$heads" 2>"$dir/err" || fail "$1"
}

equal lssl "state: $state"
equal s4d "state: $state"
equal ssd "state: $state, heads: $heads"
equal attention "heads: $heads"
equal lstm
passed
