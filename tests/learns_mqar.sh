#!/bin/bash
# `ssd` solves associative recall on sequences it has not seen (examples/mqar.yaml).
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"
slow
limit=600

run train "$top/examples/mqar.yaml" --run-dir "$dir/run"
expect_exit 0 "training"
run eval "$dir/run"
expect_exit 0 "eval"
accuracy=$(awk '$1 == "accuracy" {print $2}' "$dir/out")
awk -v accuracy="${accuracy:-0}" 'BEGIN {exit !(accuracy >= 0.95)}' ||
    fail "accuracy $accuracy on held-out sequences, not 0.95"
passed "accuracy $accuracy"
