#!/bin/bash
# `lssl` learns a delay of 200 tokens in sequences of 1000 (examples/delay.yaml).
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"
slow
limit=600

run train "$top/examples/delay.yaml" --run-dir "$dir/run"
expect_exit 0 "training"
run eval "$dir/run"
expect_exit 0 "eval"
loss=$(awk '$1 == "loss" {print $2}' "$dir/out")
awk -v loss="${loss:-1}" 'BEGIN {exit !(loss < 0.12)}' ||
    fail "held-out loss $loss of a signal of variance 1, not below 0.12"
passed "held-out loss $loss"
