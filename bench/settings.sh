#!/bin/bash
# What the environment does to training: huge pages, threads bound to cores, the
# instruction sets of the program. Runs in turn, medians of ROUNDS; ratios to the first.
#
#   [ROPEWALK=build/ropewalk] bench/settings.sh [ROUNDS [THREADS]]
#
# Columns: user and system seconds and elapsed time of 4 steps with their start; the
# elapsed time of a start alone (the same command again, with nothing left to do).
set -euo pipefail
program=$(realpath "${ROPEWALK:-./ropewalk}")
rounds=${1:-5}
threads=${2:-2}
dir=$(mktemp -d "${TMPDIR:-/tmp}/ropewalk-settings.XXXXXX")
trap 'rm -rf "$dir"' EXIT

cat >"$dir/model.yaml" <<'END'
model:
  width: 256
  chunk: 256
  repeat: 2
  blocks:
    - {mixer: ssd, state: 64, heads: 8}
    - {mixer: lssl, state: 64}
    - {mlp: swiglu, expand: 2}
data:
  task: {name: mqar, vocab: 64, pairs: 8}
  length: 4096
  batch: 2
train: {steps: 4, seed: 1}
checkpoint: {every: 0}
eval: {every: 0, batches: 1}
END

settings=(LC_ALL=C GLIBC_TUNABLES=glibc.malloc.hugetlb=1
    "OMP_PROC_BIND=close OMP_PLACES=cores" OPENBLAS_NUM_THREADS=1 OMPI_MCA_pml=)
for set in $("$program" --version | sed -n 's/.*built in: //p'); do
    if ROPEWALK_ISA=$set "$program" --version >/dev/null 2>&1; then
        settings+=("ROPEWALK_ISA=$set")
    fi
done

# seconds SETTING: user, system and elapsed time of a training in $dir/run.
seconds() {
    local TIMEFORMAT='%U %S %R'
    # shellcheck disable=SC2086 # a setting may be several variables
    { time env OMP_WAIT_POLICY=passive $1 "$program" train "$dir/model.yaml" --run-dir "$dir/run" \
        --threads "$threads" >"$dir/log" 2>&1; } 2>&1
}

for ((round = 0; round < rounds; round++)); do
    for i in "${!settings[@]}"; do
        rm -rf "$dir/run"
        training=$(seconds "${settings[i]}")
        echo "$training $(seconds "${settings[i]}" | awk '{print $3}')" >>"$dir/times.$i"
    done
done

# median FILE COLUMN
median() { awk -v c="$2" '{print $c}' "$1" | sort -n | sed -n "$(((rounds + 1) / 2))p"; }

# ratio FILE COLUMN: median of the ratios to the first setting, round by round.
ratio() {
    paste "$1" "$dir/times.0" | awk -v c="$2" '{print $c / $(c + 4)}' >"$dir/ratios"
    median "$dir/ratios" 1
}

printf '%-40s %8s %8s %8s %8s %13s\n' setting user system elapsed start 'ratio elapsed'
for i in "${!settings[@]}"; do
    printf '%-40s' "${settings[i]}"
    for column in 1 2 3 4; do printf ' %8.2f' "$(median "$dir/times.$i" $column)"; done
    printf ' %13.3f\n' "$(ratio "$dir/times.$i" 3)"
done
