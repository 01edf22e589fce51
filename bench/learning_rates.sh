#!/bin/bash
# Held-out bits per byte by learning rate and width, with the usual rates and with those of
# model.base_width (muP): does the best rate of the narrowest model stay the best?
#
#   [ROPEWALK=./ropewalk] bench/learning_rates.sh DATASET FOLDER [BLOCKS]
#
# BLOCKS: those of the model, such as '{mixer: ssd, state: 32}'. WIDTHS, RATES, STEPS, REPEAT, SEED and
# THREADS in the environment change the rest. Heads are as wide in all models: `HEADS` in BLOCKS stands
# for the width over 32. Runs lie in FOLDER; finished ones are not run again.
set -euo pipefail
program=$(realpath "${ROPEWALK:-./ropewalk}")
[ $# -ge 2 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
dataset=$(realpath "$1")
blocks=${3:-'{mixer: attention, heads: HEADS}, {mlp: swiglu, expand: 2}'}
read -ra widths <<<"${WIDTHS:-64 128 256 512}"
read -ra rates <<<"${RATES:-0.002 0.004 0.008 0.016 0.032 0.064}"
steps=${STEPS:-100} repeat=${REPEAT:-2} seed=${SEED:-1}
mkdir -p "$2"
folder=$(realpath "$2")

# loss WIDTH RATE BASE: held-out bits per byte of a run.
loss() {
    local run=$folder/$1-$2-$3 heads=$(($1 / 32))
    if ! grep -qs '"eval_bits_per_byte"' "$run/metrics.jsonl"; then
        cat >"$run.yaml" <<END
model: {width: $1, chunk: 128, repeat: $repeat, base_width: $3, blocks: [${blocks//HEADS/$heads}]}
data: {dataset: $dataset, length: 512, batch: 4}
train: {steps: $steps, seed: $seed}
optimizer: {name: adamw, lr: $2}
schedule: {name: cosine, warmup: $((steps / 10))}
checkpoint: {every: 0}
eval: {every: 0, batches: 16}
END
        "$program" train "$run.yaml" --run-dir "$run" --resume never --threads "${THREADS:-2}" \
            2>"$run.log" >&2 || { tail -n 3 "$run.log" >&2; exit 1; }
    fi
    sed -n 's/.*"eval_bits_per_byte":\([0-9.]*\).*/\1/p' "$run/metrics.jsonl" | tail -n 1
}

for base in 0 "${widths[0]}"; do
    if [ "$base" = 0 ]; then echo "usual rates"; else echo "model.base_width: $base"; fi
    printf '%-8s' width "${rates[@]}" best
    echo
    for width in "${widths[@]}"; do
        printf '%-8s' "$width"
        best=9 best_rate=none
        for rate in "${rates[@]}"; do
            bits=$(loss "$width" "$rate" "$base")
            printf '%-8.3f' "${bits:-9}"
            if awk "BEGIN {exit !(${bits:-9} < $best)}"; then best=$bits best_rate=$rate; fi
        done
        echo "$best_rate"
    done
done
