#!/usr/bin/env bash
# The example of the quickstart, shortened, learns a real text on two ranks: its
# held-out bits per byte end below what xz -9e needs for the same bytes.
. "$(dirname "$0")/program.sh"
slow

text=/usr/share/doc/jargon-text/jargon.txt.gz
[[ -f $text ]] || skip "no $text (package jargon-text)"
limit=900

run data build "$dir/text.h5" "$text"
expect_exit 0 "data build"
run_ranks 2 train "$top/examples/quickstart.yaml" --run-dir "$dir/run" --threads 1 \
    --set "data.dataset=$dir/text.h5" --set train.steps=120 --set eval.every=0
expect_exit 0 "train"
run eval "$dir/run"
expect_exit 0 "eval"
bits=$(awk '$1 == "bits_per_byte" {print $2}' "$dir/out")
awk -v bits="$bits" 'BEGIN {exit !(bits > 0 && bits < 2.94)}' ||
    fail "held-out bits per byte are $bits, not below 2.94"
passed "$bits bits per byte after 120 steps"
