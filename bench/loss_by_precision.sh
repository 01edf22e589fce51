#!/bin/bash
# Held-out bits per byte of a short training on a text, for several seeds and the
# precisions named: does rounding cost more than another seed?
#
#   bench/loss_by_precision.sh DATASET [STEPS [PRECISION...]]     in the build folder
#
# DATASET is a text as `ropewalk data build` writes it; the model that of
# examples/quickstart.yaml, on 2 ranks of one thread. Default: 150 steps of float32 and
# bf16_emulated.
set -euo pipefail

[ $# -ge 1 ] || { sed -n 's/^# \{0,1\}//p' "$0" >&2; exit 2; }
dataset=$(realpath "$1")
steps=${2-150}
shift $(($# < 2 ? $# : 2))
precisions=("$@")
[ ${#precisions[@]} -gt 0 ] || precisions=(float32 bf16_emulated)
config=$(dirname "$0")/../examples/quickstart.yaml
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT

# bits SEED PRECISION
bits() {
    mpirun -n 2 --oversubscribe --bind-to none ./ropewalk train "$config" --run-dir "$runs/$1-$2" \
        --threads 1 --set "data.dataset=$dataset" --set "train.steps=$steps" \
        --set "train.seed=$1" --set "train.precision=$2" --set checkpoint.every=0 \
        --set eval.every=0 --set eval.batches=1 >&2
    ./ropewalk eval "$runs/$1-$2" | awk '$1 == "bits_per_byte" {print $2}'
}

printf '%-6s' seed
printf ' %14s' "${precisions[@]}"
echo
for seed in 1 2 3; do
    printf '%-6s' "$seed"
    for precision in "${precisions[@]}"; do printf ' %14s' "$(bits "$seed" "$precision")"; done
    echo
done
